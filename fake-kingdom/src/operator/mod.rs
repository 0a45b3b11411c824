//! The data server's internal API, as its operator calls it (contract 1.8): no principal, no
//! ownership, errors untranslated. Pure: no tonic server, no clock.

pub mod certificates;
pub mod data_providers;
pub mod measurement_consumers;
pub mod model_providers;
pub mod public_keys;
