//! Measurement consumers and their API keys (contract 1.3, 2.6).

use super::certificate::{self, NewCertificate};
use super::public_key::StoredPublicKey;
use super::{Outcome, Owner, Write};
use crate::error::{InternalError, Reason};
use crate::store::{Row, Tables};
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
    fn enter(self: &std::sync::Arc<Self>, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}

/// The measurement consumer `id`, or NOT_FOUND/MEASUREMENT_CONSUMER_NOT_FOUND.
pub fn find(tables: &Tables, id: i64) -> Outcome<&MeasurementConsumer> {
    tables.measurement_consumers.get(&id).ok_or_else(|| {
        InternalError::not_found(Reason::OwnerNotFound(Owner::MeasurementConsumer(id)))
    })
}

/// A measurement consumer with its certificate, in one transaction. For whoever provisions a
/// Kingdom: the API's own way needs an account, of which there is none (contract 1.3.6).
///
/// # Errors
/// Empty key or signature INVALID_ARGUMENT; an SKID in use: quirk
/// `create-consumer-duplicate-skid-is-unknown`.
pub fn create(
    write: &mut Write<'_>,
    certificate: NewCertificate,
    public_key: StoredPublicKey,
) -> Outcome<MeasurementConsumer> {
    if public_key.key.is_empty() || public_key.signature.is_empty() {
        return Err(InternalError::invalid_argument("public key and signature must be set"));
    }
    let id = write.fresh_id(|tables, id| tables.measurement_consumers.contains(&id));
    let owner = Owner::MeasurementConsumer(id);
    let certificate = certificate::insert(write, owner.clone(), certificate)
        .map_err(|error| super::data_provider::duplicate_skid(&write.read(), error))?;
    let row = MeasurementConsumer { id, certificate: certificate.id, public_key };
    write.tables.measurement_consumers.put(row.clone());
    write.note("create", owner.name(), None, None);
    Ok(row)
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
    fn enter(self: &std::sync::Arc<Self>, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}
