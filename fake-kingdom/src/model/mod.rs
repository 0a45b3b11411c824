//! The rules of the data server, pure: time, fresh ids and the quirks in force are arguments, there
//! is no tonic, no tokio and no clock here.
//!
//! Rules take decoded ids and answer rows or an [`InternalError`]; the layers above
//! ([`crate::public`], [`crate::system`], [`crate::operator`]) check arguments and callers, and
//! translate.

pub mod cascade;
pub mod certificate;
pub mod data_provider;
pub mod etag;
pub mod event_group;
pub mod event_group_metadata_descriptor;
#[cfg(test)]
pub(crate) mod fixture;
pub mod id;
pub mod measurement;
pub mod measurement_consumer;
mod merge;
pub mod model_provider;
pub mod owner;
pub mod participant;
pub mod protocol;
pub mod public_key;
pub mod requisition;
pub mod timestamp;

pub use certificate::RevocationState;
pub use id::IdSource;
pub use owner::{Owner, OwnerKind};
pub use timestamp::{Interval, Moment, Timestamp};

use crate::error::{Code, InternalError};
use crate::quirk::{Quirk, Quirks};
use crate::settings::Settings;
use crate::store::Tables;
use std::borrow::Cow;

/// Answer of a rule.
pub type Outcome<T> = Result<T, InternalError>;

/// What a rule that only reads may look at.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    /// The state.
    pub tables: &'a Tables,
    /// The server's clock.
    pub now: Timestamp,
    /// The settings of this Kingdom: quirks, Duchies, protocols.
    pub settings: &'a Settings,
}

impl Read<'_> {
    /// Whether `quirk` behaves as the real system does.
    pub fn faithful(&self, quirk: Quirk) -> bool {
        self.settings.quirks.faithful(quirk)
    }

    /// The quirks in force.
    pub fn quirks(&self) -> &Quirks {
        &self.settings.quirks
    }
}

/// What a rule that writes may use. Its changes are kept only if it answers `Ok`.
pub struct Write<'a> {
    /// The state, changed in place.
    pub tables: &'a mut Tables,
    /// The commit time: later than any commit time before, in microseconds (contract 1.7.10).
    pub now: Timestamp,
    /// The settings of this Kingdom.
    pub settings: &'a Settings,
    /// Fresh ids.
    pub ids: &'a mut IdSource,
    /// What goes into the audit trail if the rule answers `Ok`.
    pub mutations: Vec<Mutation>,
}

impl Write<'_> {
    /// The same, for reading.
    pub fn read(&self) -> Read<'_> {
        Read { tables: self.tables, now: self.now, settings: self.settings }
    }

    /// Whether `quirk` behaves as the real system does.
    pub fn faithful(&self, quirk: Quirk) -> bool {
        self.settings.quirks.faithful(quirk)
    }

    /// Notes a change for the audit trail: what was done (`create`, `revoke`, ...) to which
    /// resource name, and its state before and after.
    pub fn note(
        &mut self,
        action: &'static str,
        subject: impl Into<String>,
        before: Option<&str>,
        after: Option<&str>,
    ) {
        self.mutations.push(Mutation {
            action: Cow::Borrowed(action),
            subject: subject.into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        });
    }

    /// A fresh external id, positive and unused as judged by `taken` (contract 1.1.9).
    pub fn fresh_id(&mut self, taken: impl Fn(&Tables, i64) -> bool) -> i64 {
        loop {
            let id = self.ids.next(self.now);
            if !taken(self.tables, id) {
                return id;
            }
        }
    }
}

/// A violation without an answer of its own (contract 1.0.17): UNKNOWN without ErrorInfo, or
/// `documented` by quirk `constraint-violation-is-unknown`.
pub fn constraint(read: &Read<'_>, documented: InternalError) -> InternalError {
    if read.faithful(Quirk::ConstraintViolationIsUnknown) {
        InternalError::bare(Code::Unknown, "")
    } else {
        documented
    }
}

/// One change, as the audit trail shows it (design.md section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// What was done.
    pub action: Cow<'static, str>,
    /// Name of the resource.
    pub subject: String,
    /// Its state before, if it had one.
    pub before: Option<String>,
    /// Its state after, if it has one.
    pub after: Option<String>,
}
