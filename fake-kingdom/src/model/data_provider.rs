//! Data providers (contract 1.3).

use super::public_key::StoredPublicKey;
use super::{Outcome, Owner, Timestamp, Write};
use crate::error::{Code, InternalError, Reason};
use crate::store::Row;
use serde::{Deserialize, Serialize};

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
    pub data_availability_interval: (Option<Timestamp>, Option<Timestamp>),
    /// What its software can do.
    pub capabilities: Capabilities,
}

/// Availability of a data provider's data for one model line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Ids of model provider, model suite and model line.
    pub model_line: (i64, i64, i64),
    /// Start and end.
    pub interval: (Option<Timestamp>, Option<Timestamp>),
}

/// The three flags that are stored (contract 1.3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the contract")]
pub struct Capabilities {
    pub honest_majority_share_shuffle_supported: bool,
    pub trus_tee_supported: bool,
    pub noise_mechanism_deterministic_truncated_laplace_supported: bool,
}

/// The data provider `id`, or NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn find(tables: &crate::store::Tables, id: i64) -> Outcome<&DataProvider> {
    tables.data_providers.get(&id).ok_or_else(|| {
        InternalError::new(Code::NotFound, Reason::OwnerNotFound(Owner::DataProvider(id)))
    })
}

/// Replaces parts of a data provider; `action` names the change in the audit trail.
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
    fn enter(&self, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}
