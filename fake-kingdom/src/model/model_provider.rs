//! Model providers (contract 1.3).

use crate::store::Row;
use serde::{Deserialize, Serialize};

/// A model provider: it has certificates but no public key (contract 1.3.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelProvider {
    /// External id.
    pub id: i64,
}

impl Row for ModelProvider {
    type Key = i64;
    type Index = ();
    const TABLE: &'static str = "model_providers";

    fn key(&self) -> i64 {
        self.id
    }
    fn enter(&self, (): &mut ()) {}
    fn leave(&self, (): &mut ()) {}
}
