//! Data providers (contract 1.3).

use super::certificate::{self, NewCertificate};
use super::public_key::StoredPublicKey;
use super::{Interval, Outcome, Owner, Read, Write};
use crate::error::{Code, InternalError, Reason};
use crate::quirk::Quirk;
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A data provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataProvider {
    /// External id.
    pub id: i64,
    /// The certificate that its public key is signed with: moves only by UpdatePublicKey (1.1.10).
    pub certificate: i64,
    /// The current public key.
    pub public_key: StoredPublicKey,
    /// Duchies that every LLv2 computation with this provider must involve (contract 1.5.16).
    pub required_duchies: Vec<String>,
    /// Availability per model line.
    pub data_availability_intervals: Vec<Availability>,
    /// Availability over all, deprecated upstream.
    pub data_availability_interval: Interval,
    /// What its software can do.
    pub capabilities: Capabilities,
}

/// Availability of a data provider's data for one model line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Ids of model provider, model suite and model line.
    pub model_line: (i64, i64, i64),
    /// Start and end.
    pub interval: Interval,
}

/// The three flags that are stored (contract 1.3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the contract")]
pub struct Capabilities {
    pub honest_majority_share_shuffle_supported: bool,
    pub trus_tee_supported: bool,
    pub noise_mechanism_deterministic_truncated_laplace_supported: bool,
}

/// What [`create`] stores beside the certificate.
#[derive(Clone, Debug, Default)]
pub struct NewDataProvider {
    /// The public key that goes with the certificate.
    pub public_key: StoredPublicKey,
    /// Duchies of every LLv2 computation.
    pub required_duchies: Vec<String>,
    /// Availability per model line.
    pub data_availability_intervals: Vec<Availability>,
    /// Availability over all.
    pub data_availability_interval: Interval,
    /// Flags.
    pub capabilities: Capabilities,
}

/// The data provider `id`, or NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn find(tables: &Tables, id: i64) -> Outcome<&DataProvider> {
    tables.data_providers.get(&id).ok_or_else(|| {
        InternalError::new(Code::NotFound, Reason::OwnerNotFound(Owner::DataProvider(id)))
    })
}

/// CreateDataProvider, with its certificate in the same transaction (contract 1.8.2).
///
/// # Errors
/// Empty key or signature INVALID_ARGUMENT; a required Duchy that is unknown or repeated as
/// [`require_duchies`]; an SKID in use as [`duplicate_skid`].
pub fn create(
    write: &mut Write<'_>,
    certificate: NewCertificate,
    new: NewDataProvider,
) -> Outcome<DataProvider> {
    if new.public_key.key.is_empty() || new.public_key.signature.is_empty() {
        return Err(InternalError::invalid_argument("public key and signature must be set"));
    }
    require_duchies(&write.read(), &new.required_duchies)?;
    let id = write.fresh_id(|tables, id| tables.data_providers.contains(&id));
    let owner = Owner::DataProvider(id);
    let certificate = certificate::insert(write, owner.clone(), certificate)
        .map_err(|error| duplicate_skid(&write.read(), error))?;
    let row = DataProvider {
        id,
        certificate: certificate.id,
        public_key: new.public_key,
        required_duchies: new.required_duchies,
        data_availability_intervals: new.data_availability_intervals,
        data_availability_interval: new.data_availability_interval,
        capabilities: new.capabilities,
    };
    write.tables.data_providers.put(row.clone());
    write.note("create", owner.name(), None, None);
    Ok(row)
}

/// An SKID in use, met while a certificate's parent is created: the real server does not map it
/// (contract 1.3.6, quirk `create-consumer-duplicate-skid-is-unknown`).
pub fn duplicate_skid(read: &Read<'_>, error: InternalError) -> InternalError {
    if error.reason == Some(Reason::CertSubjectKeyIdAlreadyExists)
        && read.faithful(Quirk::CreateConsumerDuplicateSkidIsUnknown)
    {
        return InternalError::bare(Code::Unknown, "");
    }
    error
}

/// ReplaceDataProviderRequiredDuchies.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND, then [`require_duchies`].
pub fn replace_required_duchies(
    write: &mut Write<'_>,
    id: i64,
    duchies: Vec<String>,
) -> Outcome<DataProvider> {
    find(write.tables, id)?;
    require_duchies(&write.read(), &duchies)?;
    replace(write, id, "replace_required_duchies", |row| row.required_duchies = duchies)
}

/// Every Duchy is in the Duchy set, none is there twice (contract 1.0.17).
///
/// # Errors
/// UNKNOWN without ErrorInfo; by quirk `constraint-violation-is-unknown` NOT_FOUND for an unknown
/// Duchy, INVALID_ARGUMENT for a repeated one.
pub fn require_duchies(read: &Read<'_>, duchies: &[String]) -> Outcome<()> {
    let mut seen = BTreeSet::new();
    for duchy in duchies {
        if read.settings.duchies.get(duchy).is_none() {
            let reason = Reason::OwnerNotFound(Owner::Duchy(duchy.as_str().into()));
            return Err(super::constraint(read, InternalError::not_found(reason)));
        }
        if !seen.insert(duchy) {
            let repeated = InternalError::invalid_argument(format!("Duchy {duchy} is repeated"));
            return Err(super::constraint(read, repeated));
        }
    }
    Ok(())
}

/// Replaces parts of a data provider; `action` names the change in the audit trail.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn replace(
    write: &mut Write<'_>,
    id: i64,
    action: &'static str,
    change: impl FnOnce(&mut DataProvider),
) -> Outcome<DataProvider> {
    let mut row = find(write.tables, id)?.clone();
    change(&mut row);
    write.tables.data_providers.put(row.clone());
    write.note(action, Owner::DataProvider(id).name(), None, None);
    Ok(row)
}

impl Row for DataProvider {
    type Key = i64;
    type Index = ();
    const TABLE: &'static str = "data_providers";

    fn key(&self) -> i64 {
        self.id
    }
    fn enter(self: &std::sync::Arc<Self>, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}
