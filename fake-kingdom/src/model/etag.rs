//! Etags (contract 1.7.10).

use super::Timestamp;
use sha2::{Digest, Sha256};

/// The weak tag of a resource last updated at `update_time`: `W/"` + SHA-256 of 8-byte big-endian
/// epoch seconds and 4-byte big-endian nanos, as 64 upper-case hex digits + `"`.
pub fn of(update_time: Timestamp) -> String {
    let proto = update_time.to_proto();
    let mut hash = Sha256::new();
    hash.update(proto.seconds.to_be_bytes());
    hash.update(proto.nanos.to_be_bytes());
    format!("W/\"{}\"", hex::encode_upper(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_the_weak_hash_of_seconds_and_nanos() {
        // from sha256sum over 12 zero bytes
        assert_eq!(
            of(Timestamp::from_micros(0)),
            "W/\"15EC7BF0B50732B49F8228E07D24365338F9E3AB994B00AF08E5A3BFFE55FD8B\""
        );
        assert_ne!(of(Timestamp::from_micros(0)), of(Timestamp::from_micros(1)));
    }
}
