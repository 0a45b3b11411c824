//! Measurement consumers and their API keys (contract 1.3, 2.6).

use super::public_key::StoredPublicKey;
use crate::store::Row;
use serde::{Deserialize, Serialize};

/// A measurement consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementConsumer {
    /// External id.
    pub id: i64,
    /// The certificate that its public key is signed with: moves only by UpdatePublicKey (1.1.10).
    pub certificate: i64,
    /// The current public key.
    pub public_key: StoredPublicKey,
}

impl Row for MeasurementConsumer {
    type Key = i64;
    type Index = ();
    const TABLE: &'static str = "measurement_consumers";

    fn key(&self) -> i64 {
        self.id
    }
    fn enter(&self, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}

/// An API key. Only the hash of its secret is stored (contract 2.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// SHA-256 of the secret's 8 big-endian bytes.
    pub secret_sha256: [u8; 32],
    /// The measurement consumer it speaks for.
    pub measurement_consumer: i64,
}

impl ApiKey {
    /// The hash under which the secret `value` is stored.
    pub fn hash(value: i64) -> [u8; 32] {
        use sha2::Digest;
        sha2::Sha256::digest(value.to_be_bytes()).into()
    }
}

impl Row for ApiKey {
    type Key = [u8; 32];
    type Index = ();
    const TABLE: &'static str = "api_keys";

    fn key(&self) -> [u8; 32] {
        self.secret_sha256
    }
    fn enter(&self, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}
