//! API ids: the 11 characters that stand for a 64-bit id in a resource name.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;

/// The real decoder tolerates padding and ignores the two spare bits of the last character
/// (contract 2.12).
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A positive 64-bit id, shown as unpadded base64url of its 8 big-endian bytes (contract 2.12).
///
/// `404` is `AAAAAAAAAZQ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiId(i64);

impl ApiId {
    /// The id for `value`, or `None` if it is not positive.
    pub fn new(value: i64) -> Option<Self> {
        (value > 0).then_some(Self(value))
    }

    /// Decodes an id as the real Kingdom does: padding and the two spare bits of the 11th
    /// character are ignored; anything that is not 8 bytes, or not positive, is `None`.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 8] = TOLERANT.decode(text).ok()?.try_into().ok()?;
        Self::new(i64::from_be_bytes(bytes))
    }

    /// The number itself, always positive.
    pub fn value(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ApiId {
    /// The canonical form, which answers always use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&TOLERANT.encode(self.0.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_clause_2_12_encodes_and_decodes() {
        assert_eq!(ApiId::new(404).map(|id| id.to_string()).as_deref(), Some("AAAAAAAAAZQ"));
        assert_eq!(ApiId::decode("AAAAAAAAAZQ").map(ApiId::value), Some(404));
    }

    #[test]
    fn spare_bits_and_padding_are_ignored_on_decoding() {
        for text in ["AAAAAAAAAZR", "AAAAAAAAAZS", "AAAAAAAAAZT", "AAAAAAAAAZQ="] {
            assert_eq!(ApiId::decode(text).map(ApiId::value), Some(404), "{text}");
        }
    }

    #[test]
    fn what_is_not_eight_positive_bytes_of_base64url_does_not_decode() {
        for text in [
            "",
            "preferred",
            "AAAAAAAAAAA",
            "__________8",
            "AAAAAAAAAZ",
            "AAAA+AAAAZQ",
            "AAAAAAAAAZQA",
            "é",
        ] {
            assert_eq!(ApiId::decode(text), None, "{text}");
        }
    }
}
