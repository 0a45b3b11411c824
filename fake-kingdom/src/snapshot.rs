//! What `GET /v1/state` shows: the whole state, by names and fingerprints, without secrets.

use crate::audit::Head;
use crate::error::measurement_name;
use crate::kingdom::{Control, DuchyStatus, OpenConnection, ReplicaStatus};
use crate::model::Owner;
use serde::Serialize;

/// The snapshot.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md section 3")]
pub struct Snapshot {
    pub time: String,
    pub certificates: Vec<CertificateState>,
    pub public_keys: Vec<PublicKeyState>,
    pub measurements: Vec<MeasurementState>,
    pub requisitions: Vec<RequisitionState>,
    pub replicas: Vec<ReplicaStatus>,
    pub duchies: Vec<DuchyStatus>,
    pub connections: Vec<OpenConnection>,
    pub trust: Vec<String>,
    pub principals: Vec<PrincipalEntry>,
    pub quirks: Vec<QuirkState>,
    pub audit_head: Head,
}

/// A certificate.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md section 3")]
pub struct CertificateState {
    pub name: String,
    pub state: &'static str,
    pub skid: String,
    pub not_before: String,
    pub not_after: String,
}

/// A public key: which certificate signed it, and a fingerprint of the key.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md section 3")]
pub struct PublicKeyState {
    pub name: String,
    pub certificate: String,
    pub key_sha256: String,
}

/// A measurement.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md section 3")]
pub struct MeasurementState {
    pub name: String,
    /// The data server's own state, which says more than the public one (contract 1.5.2).
    pub state: &'static str,
    pub certificate: String,
    pub failure: Option<String>,
    pub update_time: String,
}

/// A requisition.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md section 3")]
pub struct RequisitionState {
    pub name: String,
    pub measurement: String,
    pub state: &'static str,
    pub certificate: String,
    pub update_time: String,
}

/// An entry of the principal map or Duchy configuration.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md section 3")]
pub struct PrincipalEntry {
    pub replica: u32,
    pub akid: String,
    pub principal: String,
}

/// A quirk and its behaviour in force.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md section 3")]
pub struct QuirkState {
    pub name: &'static str,
    pub fidelity: crate::quirk::Fidelity,
}

/// Takes a snapshot; the tables are read in one piece.
pub fn take(control: &Control) -> Snapshot {
    let replicas: Vec<_> =
        control.replica_ids().into_iter().filter_map(|id| control.replica_status(id)).collect();
    let duchies = control
        .duchy_ids()
        .iter()
        .filter_map(|id| Some(control.duchy(id).ok()?.status()))
        .collect();
    let connections = control.connections();
    let audit_head = control.audit_head();
    control.core().read(|read| Snapshot {
        time: read.now.to_string(),
        certificates: read
            .tables
            .certificates
            .iter()
            .map(|row| CertificateState {
                name: row.name(),
                state: row.revocation_state.public_name(),
                skid: hex::encode(&row.subject_key_identifier),
                not_before: row.not_valid_before.to_string(),
                not_after: row.not_valid_after.to_string(),
            })
            .collect(),
        public_keys: {
            let providers = read
                .tables
                .data_providers
                .iter()
                .map(|row| (Owner::DataProvider(row.id), row.certificate, &row.public_key));
            let consumers =
                read.tables.measurement_consumers.iter().map(|row| {
                    (Owner::MeasurementConsumer(row.id), row.certificate, &row.public_key)
                });
            providers
                .chain(consumers)
                .map(|(owner, certificate, key)| PublicKeyState {
                    name: format!("{}/publicKey", owner.name()),
                    certificate: owner.certificate_name(certificate),
                    key_sha256: sha256(&key.key),
                })
                .collect()
        },
        measurements: read
            .tables
            .measurements
            .iter()
            .map(|row| MeasurementState {
                name: row.name(),
                state: row.state.internal_name(),
                certificate: Owner::MeasurementConsumer(row.measurement_consumer)
                    .certificate_name(row.certificate),
                failure: row.failure.as_ref().map(|failure| format!("{:?}", failure.reason)),
                update_time: row.update_time.to_string(),
            })
            .collect(),
        requisitions: read
            .tables
            .requisitions
            .iter()
            .map(|row| {
                let owner = Owner::DataProvider(row.data_provider);
                RequisitionState {
                    name: row.name(),
                    measurement: measurement_name(row.measurement_consumer, row.measurement),
                    state: row.state.internal_name(),
                    certificate: owner.certificate_name(row.certificate),
                    update_time: row.update_time.to_string(),
                }
            })
            .collect(),
        trust: {
            let mut trust: Vec<_> = replicas.iter().flat_map(|r| r.trust.clone()).collect();
            trust.sort();
            trust.dedup();
            trust
        },
        principals: replicas
            .iter()
            .flat_map(|replica| {
                replica.principals.iter().map(|(akid, principal)| PrincipalEntry {
                    replica: replica.id,
                    akid: akid.clone(),
                    principal: principal.clone(),
                })
            })
            .collect(),
        quirks: crate::quirk::Quirk::ALL
            .iter()
            .map(|&quirk| QuirkState {
                name: quirk.name(),
                fidelity: read.settings.quirks.fidelity(quirk),
            })
            .collect(),
        replicas,
        duchies,
        connections,
        audit_head,
    })
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}
