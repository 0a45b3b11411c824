//! gRPC statuses and the details that travel with them (contract 1.0.3).

use prost::Message;
use std::collections::BTreeMap;

/// The names of the gRPC codes, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a gRPC code; `None` for a number that gRPC does not have.
pub fn code_name(code: usize) -> Option<&'static str> {
    NAMES.get(code).copied()
}

/// A status that a server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Name of its code.
    pub code: &'static str,
    /// Its description; empty if there is none.
    pub description: String,
    /// The first ErrorInfo among its details.
    pub error_info: Option<ErrorInfo>,
    /// Type URLs of all details.
    pub details: Vec<String>,
    /// All trailers, in the order of the wire; binary ones stay base64.
    pub trailers: Vec<(String, String)>,
}

impl Status {
    /// OK, with nothing beside it.
    pub(super) fn ok() -> Self {
        Self {
            code: NAMES[0],
            description: String::new(),
            error_info: None,
            details: Vec::new(),
            trailers: Vec::new(),
        }
    }
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ErrorInfo {
    /// Reason.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Domain.
    #[prost(string, tag = "2")]
    pub domain: String,
    /// Metadata.
    #[prost(btree_map = "string, string", tag = "3")]
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// What the trailer `grpc-status-details-bin` holds.
///
/// # Errors
/// It is not a `google.rpc.Status`, or an ErrorInfo in it does not parse: the server is wrong.
pub(super) fn details(bytes: &[u8]) -> Result<(Option<ErrorInfo>, Vec<String>), String> {
    let bad = |error: prost::DecodeError| format!("grpc-status-details-bin: {error}");
    let status = RpcStatus::decode(bytes).map_err(bad)?;
    let mut info = None;
    let mut urls = Vec::new();
    for detail in status.details {
        if detail.type_url.ends_with("/google.rpc.ErrorInfo") && info.is_none() {
            info = Some(ErrorInfo::decode(detail.value.as_slice()).map_err(bad)?);
        }
        urls.push(detail.type_url);
    }
    Ok((info, urls))
}
