//! Page tokens (contract 1.0.13).

use super::{Answer, lenient};
use crate::error::Refusal;
use crate::model::Read;
use crate::quirk::Quirk;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The token of a list: unpadded base64url of a message.
pub fn encode_token(token: &impl prost::Message) -> String {
    BASE64.encode(token.encode_to_vec())
}

/// Reads a token; the caller compares it with the request.
///
/// # Errors
/// Text that is not base64url, or bytes that are not a message of that type: UNKNOWN, or
/// INVALID_ARGUMENT (quirk `malformed-page-token-is-unknown`).
pub fn decode_token<M: prost::Message + prost::Name + Default>(
    read: &Read<'_>,
    text: &str,
) -> Answer<M> {
    token_bytes(text).and_then(|bytes| lenient::decode(&bytes)).ok_or_else(|| malformed(read))
}

/// The bytes of a token, if it is base64url at all.
pub(crate) fn token_bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// The answer to garbage (contract 1.0.4).
pub(crate) fn malformed(read: &Read<'_>) -> Refusal {
    if read.faithful(Quirk::MalformedPageTokenIsUnknown) {
        Refusal::uncaught()
    } else {
        Refusal::invalid_argument("page_token is invalid")
    }
}
