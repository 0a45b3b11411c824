//! Alerts of the Kingdom's monitor.

use serde::Serialize;

/// An alert that the monitor raised, as the record shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Number of its event.
    pub seq: u64,
    /// When, by the Kingdom's clock; RFC 3339.
    pub time: String,
    /// Failures that make an alert ...
    pub threshold: usize,
    /// ... within so many seconds.
    pub window_seconds: u64,
    /// The failures that made it.
    pub failures: Vec<AlertFailures>,
}

/// Failures of one caller for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertFailures {
    /// Who: a probing actor, else the principal, else the key identifier of the client's leaf or its
    /// issuer, else its address.
    pub who: String,
    /// Cause code.
    pub cause: String,
    /// How many.
    pub count: u64,
}
