//! The public API's own layer: argument checks, callers and permissions in the order of contract
//! 1.0.6, translation of errors (1.0.2), wire messages in and out. Pure: no tonic server, no clock.

pub mod certificates;
pub mod data_providers;
pub mod event_group_metadata_descriptors;
pub mod event_groups;
#[cfg(test)]
pub(crate) mod fixture;
mod lenient;
pub mod measurement_consumers;
pub mod measurements;
pub mod model_providers;
mod protocol_config;
pub mod public_keys;
pub mod requisitions;
mod token;

pub(crate) use token::token_bytes;
pub use token::{decode_token, encode_token};

use crate::authn::Principal;
use crate::error::{Code, Refusal};
use crate::model::{Interval, Moment, Owner, Read};
use crate::quirk::Quirk;
use kingdom_proto::generated::google::r#type::Interval as WireInterval;
use kingdom_proto::{ApiId, name};

/// Who calls: the outcome of the interceptors (contract 2.2).
pub type Caller<'a> = Option<&'a Principal>;

/// Answer of a public rule.
pub type Answer<T> = Result<T, Refusal>;

/// The principal, or UNAUTHENTICATED (contract 2.4).
pub fn require_principal<'a>(caller: Caller<'a>) -> Answer<&'a Principal> {
    caller.ok_or_else(Refusal::unauthenticated)
}

/// The caller must be exactly this resource; names are compared as strings (contract 1.1.4).
pub fn require_owner(caller: Caller<'_>, resource_name: &str) -> Answer<()> {
    if require_principal(caller)?.name() == resource_name {
        Ok(())
    } else {
        Err(Refusal::permission_denied())
    }
}

/// Decodes an id of a name whose shape matched (contract 1.0.4, 2.12).
///
/// # Errors
/// UNKNOWN without description, or INVALID_ARGUMENT (quirk `malformed-id-is-unknown`).
pub fn decode_id(read: &Read<'_>, segment: &str) -> Answer<i64> {
    ApiId::decode(segment).map(ApiId::value).ok_or_else(|| {
        if read.faithful(Quirk::MalformedIdIsUnknown) {
            Refusal::uncaught()
        } else {
            Refusal::invalid_argument(format!("`{segment}` is not a resource id"))
        }
    })
}

/// A bad name or parent: wrong shape (contract 1.0.6).
pub fn bad_shape(field: &str) -> Refusal {
    Refusal::invalid_argument(format!("{field} is unspecified or invalid"))
}

/// A certificate's parent by shape, before any id is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentName {
    /// `dataProviders/{}`
    DataProvider(name::DataProviderName),
    /// `measurementConsumers/{}`
    MeasurementConsumer(name::MeasurementConsumerName),
    /// `modelProviders/{}`
    ModelProvider(name::ModelProviderName),
    /// `duchies/{}`
    Duchy(name::DuchyName),
}

impl ParentName {
    /// Matches the four kinds of parents of a certificate.
    pub fn parse(text: &str) -> Option<Self> {
        name::DataProviderName::parse(text)
            .map(Self::DataProvider)
            .or_else(|| name::MeasurementConsumerName::parse(text).map(Self::MeasurementConsumer))
            .or_else(|| name::ModelProviderName::parse(text).map(Self::ModelProvider))
            .or_else(|| name::DuchyName::parse(text).map(Self::Duchy))
    }

    /// The resource name, as sent.
    pub fn text(&self) -> String {
        match self {
            Self::DataProvider(name) => name.to_string(),
            Self::MeasurementConsumer(name) => name.to_string(),
            Self::ModelProvider(name) => name.to_string(),
            Self::Duchy(name) => name.to_string(),
        }
    }

    /// Decodes the id; a Duchy id is never decoded (contract 2.12).
    ///
    /// # Errors
    /// As [`decode_id`].
    pub fn decode(&self, read: &Read<'_>) -> Answer<Owner> {
        Ok(match self {
            Self::DataProvider(name) => Owner::DataProvider(decode_id(read, &name.data_provider)?),
            Self::MeasurementConsumer(name) => {
                Owner::MeasurementConsumer(decode_id(read, &name.measurement_consumer)?)
            }
            Self::ModelProvider(name) => {
                Owner::ModelProvider(decode_id(read, &name.model_provider)?)
            }
            Self::Duchy(name) => Owner::Duchy(name.duchy.as_str().into()),
        })
    }
}

/// A certificate's name by shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateName {
    /// Its parent.
    pub parent: ParentName,
    /// The last segment, as sent.
    pub certificate: String,
}

impl CertificateName {
    /// Matches a certificate's name under any of the four kinds of parents.
    pub fn parse(text: &str) -> Option<Self> {
        let (parent, certificate) = text.split_once("/certificates/")?;
        if certificate.contains('/') {
            return None;
        }
        Some(Self { parent: ParentName::parse(parent)?, certificate: certificate.to_owned() })
    }

    /// Decodes both ids, the parent's first.
    ///
    /// # Errors
    /// As [`decode_id`].
    pub fn decode(&self, read: &Read<'_>) -> Answer<(Owner, i64)> {
        Ok((self.parent.decode(read)?, decode_id(read, &self.certificate)?))
    }
}

/// `page_size` of a list: negative is INVALID_ARGUMENT, 0 the default, above the limit the limit.
///
/// # Errors
/// INVALID_ARGUMENT for a negative size.
pub fn page_size(wanted: i32, default: usize, limit: usize) -> Answer<usize> {
    match usize::try_from(wanted) {
        Err(_) => Err(Refusal::invalid_argument("page_size must not be negative")),
        Ok(0) => Ok(default),
        Ok(size) => Ok(size.min(limit)),
    }
}

/// The bytes of a packed message, if the type URL's last part is `full_name` (contract 1.0.16).
///
/// # Errors
/// INVALID_ARGUMENT if the type differs, there is no slash, or the bytes do not parse.
pub fn unpack<M: prost::Message + prost::Name + Default>(
    packed: Option<&prost_types::Any>,
    full_name: &str,
    field: &str,
) -> Answer<M> {
    let invalid = || Refusal::invalid_argument(format!("{field} is not a packed {full_name}"));
    let packed = packed.ok_or_else(invalid)?;
    match packed.type_url.rsplit_once('/') {
        Some((_, name)) if name == full_name => lenient::decode(&packed.value).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}

/// A packed message from its stored bytes, with the prefix that reads show (contract 1.0.16).
pub(crate) fn packed(full_name: &str, bytes: &[u8]) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("{}{full_name}", kingdom_proto::TYPE_URL_PREFIX),
        value: bytes.to_vec(),
    }
}

/// The one `type_url` that an EncryptedMessage may have; it is compared as a whole (contract
/// 1.0.16).
pub(crate) fn signed_message_url() -> String {
    format!("{}{}", kingdom_proto::TYPE_URL_PREFIX, full_name::SIGNED_MESSAGE)
}

/// An encrypted SignedMessage; its type URL is regenerated (contract 1.5.6, 1.5.7).
pub(crate) fn encrypted_message(ciphertext: &[u8]) -> kingdom_proto::v2alpha::EncryptedMessage {
    kingdom_proto::v2alpha::EncryptedMessage {
        ciphertext: ciphertext.to_vec(),
        type_url: signed_message_url(),
    }
}

/// Full names of the messages that travel packed.
pub mod full_name {
    /// EncryptionPublicKey
    pub const ENCRYPTION_PUBLIC_KEY: &str = "wfa.measurement.api.v2alpha.EncryptionPublicKey";
    /// MeasurementSpec
    pub const MEASUREMENT_SPEC: &str = "wfa.measurement.api.v2alpha.MeasurementSpec";
    /// SignedMessage
    pub const SIGNED_MESSAGE: &str = "wfa.measurement.api.v2alpha.SignedMessage";
    /// EventGroup.Metadata
    pub const EVENT_GROUP_METADATA: &str = "wfa.measurement.api.v2alpha.EventGroup.Metadata";
    /// ElGamalPublicKey
    pub const EL_GAMAL_PUBLIC_KEY: &str = "wfa.measurement.api.v2alpha.ElGamalPublicKey";
}

/// A row of the whitelist, and what the documented answers to violations need beside it (contract
/// 1.0.17): in force the other way, the violations are UNKNOWN already.
pub(crate) fn with_constraints(read: &Read<'_>, whitelist: &[Code]) -> Vec<Code> {
    let mut codes = whitelist.to_vec();
    if !read.faithful(Quirk::ConstraintViolationIsUnknown) {
        codes.extend([Code::AlreadyExists, Code::InvalidArgument]);
    }
    codes
}

/// An interval as reads show it.
pub(crate) fn interval_to_proto(interval: Interval) -> WireInterval {
    WireInterval {
        start_time: interval.start.map(Moment::to_proto),
        end_time: interval.end.map(Moment::to_proto),
    }
}

/// An interval as it was sent.
pub(crate) fn interval_from_proto(interval: &WireInterval) -> Interval {
    Interval {
        start: interval.start_time.as_ref().map(Moment::from_proto),
        end: interval.end_time.as_ref().map(Moment::from_proto),
    }
}

/// Row of the status whitelist, table 1.0.12.
pub(crate) mod whitelist {
    use super::Code;
    pub(crate) const GET_CERTIFICATE: &[Code] = &[Code::InvalidArgument];
    pub(crate) const CREATE_CERTIFICATE: &[Code] =
        &[Code::NotFound, Code::AlreadyExists, Code::InvalidArgument];
    pub(crate) const CHANGE_CERTIFICATE: &[Code] = &[Code::NotFound, Code::FailedPrecondition];
    pub(crate) const UPDATE_PUBLIC_KEY: &[Code] =
        &[Code::InvalidArgument, Code::FailedPrecondition, Code::NotFound];
    pub(crate) const GET_MEASUREMENT: &[Code] = &[Code::NotFound];
    pub(crate) const CHANGE_MEASUREMENT: &[Code] =
        &[Code::InvalidArgument, Code::FailedPrecondition, Code::NotFound];
    pub(crate) const GET_REQUISITION: &[Code] =
        &[Code::InvalidArgument, Code::NotFound, Code::DeadlineExceeded, Code::Unavailable];
    pub(crate) const REFUSE_REQUISITION: &[Code] =
        &[Code::InvalidArgument, Code::NotFound, Code::FailedPrecondition, Code::DeadlineExceeded];
    pub(crate) const FULFILL_DIRECT_REQUISITION: &[Code] =
        &[Code::NotFound, Code::InvalidArgument, Code::FailedPrecondition];
    /// GetDataProvider, ReplaceDataProviderRequiredDuchies, GetMeasurementConsumer; of
    /// GetModelProvider, where all else is INTERNAL; of the two descriptor RPCs.
    pub(crate) const ONLY_NOT_FOUND: &[Code] = &[Code::NotFound];
    pub(crate) const REPLACE_AVAILABILITY_OR_CAPABILITIES: &[Code] =
        &[Code::DeadlineExceeded, Code::Cancelled, Code::NotFound];
    pub(crate) const GET_EVENT_GROUP: &[Code] = &[Code::NotFound, Code::DeadlineExceeded];
    pub(crate) const CREATE_EVENT_GROUP: &[Code] =
        &[Code::DeadlineExceeded, Code::FailedPrecondition, Code::NotFound];
    pub(crate) const CHANGE_EVENT_GROUP: &[Code] =
        &[Code::InvalidArgument, Code::FailedPrecondition, Code::NotFound];
    pub(crate) const UPDATE_DESCRIPTOR: &[Code] = &[Code::InvalidArgument, Code::NotFound];
    /// All else is INTERNAL.
    pub(crate) const REPLACE_AVAILABILITY_INTERVALS: &[Code] =
        &[Code::NotFound, Code::FailedPrecondition];
}
