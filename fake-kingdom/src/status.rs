//! The one table from refusals to gRPC statuses and back to names.

use crate::error::{Code, ErrorInfo, Refusal};
use base64::Engine as _;
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code as Grpc, Status};

/// `google.rpc.Status`, as the details trailer carries it (contract 1.0.3).
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: std::collections::BTreeMap<String, String>,
}

/// The status that goes on the wire.
pub(crate) fn to_status(refusal: &Refusal) -> Status {
    let code = to_grpc(refusal.code);
    match &refusal.info {
        None => Status::new(code, refusal.message.clone()),
        Some(info) => {
            let details = details(code, &refusal.message, info);
            Status::with_details(code, refusal.message.clone(), details.into())
        }
    }
}

fn details(code: Grpc, message: &str, info: &ErrorInfo) -> Vec<u8> {
    let info = RpcErrorInfo {
        reason: info.reason.to_owned(),
        domain: info.domain.to_owned(),
        metadata: info.metadata.clone(),
    };
    RpcStatus {
        code: code as i32,
        message: message.to_owned(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
            value: info.encode_to_vec(),
        }],
    }
    .encode_to_vec()
}

/// A trailers-only response with `echoed` request headers among the trailers (contract 1.0.15).
pub(crate) fn rejection(
    status: Status,
    echoed: Option<&http::HeaderMap>,
) -> http::Response<tonic::body::Body> {
    let mut response = status.into_http::<tonic::body::Body>();
    if let Some(request) = echoed {
        let request = MetadataMap::from_headers(request.clone()).into_headers();
        for name in request.keys() {
            // A length that is the request's own would break the answer, which has no body.
            if name != http::header::CONTENT_LENGTH && !response.headers().contains_key(name) {
                for value in request.get_all(name) {
                    response.headers_mut().append(name, value.clone());
                }
            }
        }
    }
    response
}

fn to_grpc(code: Code) -> Grpc {
    Grpc::from_i32(code as i32)
}

/// The name of a gRPC code, as events show it.
pub(crate) fn code_name(code: i32) -> &'static str {
    match Grpc::from_i32(code) {
        Grpc::Ok => "OK",
        Grpc::Cancelled => "CANCELLED",
        Grpc::Unknown => "UNKNOWN",
        Grpc::InvalidArgument => "INVALID_ARGUMENT",
        Grpc::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Grpc::NotFound => "NOT_FOUND",
        Grpc::AlreadyExists => "ALREADY_EXISTS",
        Grpc::PermissionDenied => "PERMISSION_DENIED",
        Grpc::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Grpc::FailedPrecondition => "FAILED_PRECONDITION",
        Grpc::Aborted => "ABORTED",
        Grpc::OutOfRange => "OUT_OF_RANGE",
        Grpc::Unimplemented => "UNIMPLEMENTED",
        Grpc::Internal => "INTERNAL",
        Grpc::Unavailable => "UNAVAILABLE",
        Grpc::DataLoss => "DATA_LOSS",
        Grpc::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// An account token that cannot be decoded is UNKNOWN, one that is refused UNAUTHENTICATED
/// (contract 2.7). This fake knows no account, so every other token leads to none.
pub(crate) fn judge_id_token(token: &str) -> Result<(), Refusal> {
    let parts: Vec<&str> = token.split('.').collect();
    if parts.len() != 3 {
        return Err(Refusal::new(Code::Unauthenticated, "ID token is invalid")
            .because(crate::cause::Cause::AccountInvalid));
    }
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for part in &parts[..2] {
        let json = engine.decode(part.trim_end_matches('=')).ok();
        let object =
            json.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        if !object.is_some_and(|value| value.is_object()) {
            return Err(Refusal::uncaught().because(crate::cause::Cause::AccountInvalid));
        }
    }
    Ok(())
}
