//! The operator's API on the data server (contract 1.8): internal messages in and out, no caller
//! checks at all, errors untranslated (1.8.1).

pub mod certificates;
pub mod data_providers;
pub mod measurement_consumers;
pub mod measurements;
pub mod model_providers;
pub mod public_keys;
mod render;

pub use crate::public::Answer;
pub(crate) use crate::public::certificates::{signed, unsigned};

use crate::error::{InternalError, Refusal};

/// An external id of a request (table 1.8.2).
///
/// # Errors
/// A negative one is an uncaught exception: UNKNOWN.
pub(crate) fn external_id(id: u64) -> Answer<i64> {
    match signed(id) {
        id if id < 0 => Err(Refusal::uncaught()),
        id => Ok(id),
    }
}

/// INVALID_ARGUMENT by the data server's own field checks.
pub(crate) fn invalid_argument(message: &str) -> Refusal {
    InternalError::invalid_argument(message).untranslated()
}
