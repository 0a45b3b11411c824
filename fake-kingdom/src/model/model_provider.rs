//! Model providers (contract 1.3).

use super::{Outcome, Owner, Read, Write};
use crate::error::{Code, InternalError};
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// A model provider: it has certificates but no public key (contract 1.3.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelProvider {
    /// External id.
    pub id: i64,
}

/// The model provider `id`, or NOT_FOUND without ErrorInfo (table 1.3.1 GetModelProvider).
pub fn find(tables: &Tables, id: i64) -> Outcome<&ModelProvider> {
    tables
        .model_providers
        .get(&id)
        .ok_or_else(|| InternalError::bare(Code::NotFound, "model provider not found"))
}

/// CreateModelProvider (table 1.8.2).
pub fn create(write: &mut Write<'_>) -> ModelProvider {
    let id = write.fresh_id(|tables, id| tables.model_providers.contains(&id));
    let row = ModelProvider { id };
    write.tables.model_providers.put(row.clone());
    write.note("create", Owner::ModelProvider(id).name(), None, None);
    row
}

/// At most `limit` model providers beyond the id `after`, ids ascending (table 1.3.1).
pub fn list<'a>(read: &Read<'a>, after: Option<i64>, limit: usize) -> Vec<&'a ModelProvider> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    read.tables.model_providers.range((start, Bound::Unbounded)).take(limit).collect()
}

impl Row for ModelProvider {
    type Key = i64;
    type Index = ();
    const TABLE: &'static str = "model_providers";

    fn key(&self) -> i64 {
        self.id
    }
    fn enter(self: &std::sync::Arc<Self>, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}
