//! Encryption public keys (contract 1.2).

use super::{Outcome, Owner, Write};
use crate::error::{InternalError, Reason};
use serde::{Deserialize, Serialize};

/// A public key as stored: the serialized EncryptionPublicKey and its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPublicKey {
    /// The packed message's bytes.
    pub key: Vec<u8>,
    /// The signature, never verified by the Kingdom (contract 1.2.3).
    pub signature: Vec<u8>,
    /// Its algorithm's OID, possibly empty.
    pub signature_algorithm_oid: String,
    /// API version, such as `v2alpha`.
    pub api_version: String,
}

/// UpdatePublicKey (contract 1.2.2 from "then internally" on, 1.2.4).
///
/// # Errors
/// Empty key or signature INVALID_ARGUMENT; unknown owner NOT_FOUND; certificate not of that owner
/// FAILED_PRECONDITION/CERTIFICATE_NOT_FOUND. Nothing is verified (1.2.3).
pub fn update(
    write: &mut Write<'_>,
    owner: &Owner,
    certificate: i64,
    public_key: StoredPublicKey,
) -> Outcome<()> {
    if public_key.key.is_empty() || public_key.signature.is_empty() {
        return Err(InternalError::invalid_argument("public key and signature must be set"));
    }
    let before = match owner {
        Owner::DataProvider(id) => write.tables.data_providers.get(id).map(|row| row.certificate),
        Owner::MeasurementConsumer(id) => {
            write.tables.measurement_consumers.get(id).map(|row| row.certificate)
        }
        Owner::ModelProvider(_) | Owner::Duchy(_) => None,
    }
    .ok_or_else(|| InternalError::not_found(Reason::OwnerNotFound(owner.clone())))?;
    if !write.tables.certificates.contains(&(owner.clone(), certificate)) {
        return Err(InternalError::failed_precondition(Reason::CertificateNotFound {
            owner: Some(owner.clone()),
            certificate,
        })
        .because(crate::cause::Cause::CertificateUnknown));
    }
    match owner {
        Owner::DataProvider(id) => write.tables.data_providers.update(id, |row| {
            row.certificate = certificate;
            row.public_key = public_key;
        }),
        Owner::MeasurementConsumer(id) => write.tables.measurement_consumers.update(id, |row| {
            row.certificate = certificate;
            row.public_key = public_key;
        }),
        Owner::ModelProvider(_) | Owner::Duchy(_) => {}
    }
    let (before, after) = (owner.certificate_name(before), owner.certificate_name(certificate));
    write.note("update", format!("{}/publicKey", owner.name()), Some(&before), Some(&after));
    Ok(())
}
