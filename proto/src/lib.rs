//! Wire types of the Halo Kingdom: messages, enums, service clients and servers, typed resource
//! names and API ids.
//!
//! The `.proto` files beside this crate are written from `halo-wire-contract.json`; the test
//! `wire_contract` compares the two field by field. This crate knows nothing of the fake, of TLS
//! or of any rule.

pub mod api_id;
pub mod name;
mod verbatim;

pub use api_id::ApiId;
pub use verbatim::Verbatim;

/// The encoded `google.protobuf.FileDescriptorSet` of everything in this crate, imports and
/// `google.api` options included. Served by reflection (contract 1.0.14).
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Prefix that reads always show in the type URL of a packed message (contract 1.0.16).
pub const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// Packs a message into an `Any` with the prefix the real Kingdom shows (contract 1.0.16).
///
/// `full_name` is the message's full proto name, without a leading dot.
pub fn pack(full_name: &str, message: &impl prost::Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("{TYPE_URL_PREFIX}{full_name}"),
        value: message.encode_to_vec(),
    }
}

/// Generated code, one module per proto package.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod generated {
    /// `google.type`
    pub mod google {
        /// `google.api`
        pub mod api {
            tonic::include_proto!("google.api");
        }
        /// `google.type`
        pub mod r#type {
            tonic::include_proto!("google.r#type");
        }
    }
    /// `wfa.measurement`
    pub mod wfa {
        /// `wfa.measurement`
        pub mod measurement {
            /// `wfa.measurement.api`
            pub mod api {
                /// `wfa.measurement.api.v2alpha`
                pub mod v2alpha {
                    tonic::include_proto!("wfa.measurement.api.v2alpha");
                }
            }
            /// `wfa.measurement.config`
            pub mod config {
                tonic::include_proto!("wfa.measurement.config");
            }
            /// `wfa.measurement.internal`
            pub mod internal {
                /// `wfa.measurement.internal.kingdom`
                pub mod kingdom {
                    tonic::include_proto!("wfa.measurement.internal.kingdom");
                }
            }
            /// `wfa.measurement.system`
            pub mod system {
                /// `wfa.measurement.system.v1alpha`
                pub mod v1alpha {
                    tonic::include_proto!("wfa.measurement.system.v1alpha");
                }
            }
        }
    }
}

pub use generated::google::r#type as google_type;
pub use generated::wfa::measurement::api::v2alpha;
pub use generated::wfa::measurement::config;
pub use generated::wfa::measurement::internal::kingdom as internal;
pub use generated::wfa::measurement::system::v1alpha as system;
