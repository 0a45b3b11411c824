//! What was observed, in order: an append-only log of typed facts, the only thing a verdict sees.

mod alert;
mod trial;

pub use alert::{Alert, AlertFailures};
pub use trial::{Attempt, CredentialKind, Trial};

use crate::error::Problem;
use crate::impact::Assessment;
use crate::participant::ParticipantEvent;
use crate::probe::Run;
use crate::procedure::PhaseRecord;
use fake_kingdom::cause::Cause;
use fake_kingdom::event::Process;
use fake_kingdom::model::Timestamp;
use serde::{Deserialize, Serialize};

/// One fact with its place in the log, the environment's time and the step it belongs to.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Number, from 1.
    pub n: u64,
    /// The environment's clock.
    pub time: Timestamp,
    /// Line of the step in its feature file; 0 before the first step.
    pub line: usize,
    /// What.
    pub fact: Fact,
}

/// One kind of fact.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A step began.
    Step(StepFact),
    /// A step ended without stopping the scenario.
    StepDone,
    /// The scenario changed its surroundings: clock, replicas, files, faults.
    Changed {
        /// What was changed, in words.
        what: String,
        /// By how much the clock was moved forward since the change before.
        jumped: std::time::Duration,
        /// The probing caller that goes on with it from here on. What a server is given is in force
        /// only when a process has read it, which that process's own events say.
        worn: Option<String>,
    },
    /// The scenario gave a participant, or `kingdom`, another TLS leaf.
    Replaced {
        /// Whose.
        actor: String,
        /// The leaf's subject key identifier, lower-case hex; empty if it has none now.
        skid: String,
    },
    /// What an actor whose credentials were tried presents when the scenario ends; lower-case hex.
    Presents {
        /// Who.
        actor: String,
        /// The leaf's subject key identifier.
        skid: String,
        /// The leaf's authority key identifier: its root.
        akid: String,
    },
    /// The scenario put something in place that a server reads when it starts or reloads.
    Placed {
        /// Whose, and what: a file, or the mode of client certificates.
        what: String,
    },
    /// What a running server had read when probes stopped, or the scenario ended.
    Reading(Reading),
    /// Without a certificate, a call was tried at the door of every replica.
    TriedBare {
        /// Whether each of them refused it for that.
        refused: bool,
    },
    /// A call and its outcome as the caller saw it.
    Call(CallFact),
    /// What the server recorded, joined to a call of ours.
    Server(Box<ServerEvent>),
    /// What the server recorded of a call that no step made, such as one of a reference participant on a
    /// connection of its own, under a credential that was tried.
    Overheard(Box<ServerEvent>),
    /// A run of probes began.
    ProbesStarted,
    /// A run of probes ended.
    Probes(Box<Run>),
    /// All that these callers' probes of the last run noticed was compared with what a step says.
    ProbesJudged(Vec<String>),
    /// A phase of a procedure ended, or was undone.
    Phase(Box<PhaseRecord>),
    /// The Kingdom showed an API credential of a participant before and after a step.
    Credential(CredentialFact),
    /// The Kingdom's monitor raised an alert.
    Alert(Box<Alert>),
    /// What a reference participant did.
    Participant(Box<ParticipantEvent>),
    /// An old credential was tried, and the same on the new one.
    Trial(Box<Trial>),
    /// What a stolen credential has touched was assessed.
    Impact(Box<Assessment>),
    /// Something was found that is no failure of the subject.
    Finding(Finding),
    /// A `Then` compared something.
    Check(Check),
    /// Something else than a check stopped the scenario.
    Problem(Problem),
    /// All steps were run.
    Finished,
}

/// What a running server had read when probes stopped, or the scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The replica, by number, or the Duchy, by its id.
    pub process: Process,
    /// When it first read what is in place, by the environment's clock; `None` if nothing was put in place
    /// or it has not read it.
    pub since: Option<Timestamp>,
    /// In what it goes on with something else than what is in place, in words.
    pub unread: Vec<String>,
    /// Whether what is in place is of no use, and it refused it.
    pub refused: bool,
}

/// A step as it stands in the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFact {
    /// `Given`, `When`, `Then`, `And`, `But`.
    pub keyword: String,
    /// Its text.
    pub text: String,
    /// Whether it must compare something.
    pub is_then: bool,
    /// Whether it is the background's: what it compares is no claim of the scenario's own.
    pub is_background: bool,
}

/// An API credential as the Kingdom showed it before and after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFact {
    /// Whose.
    pub actor: String,
    /// `api_certificate` or `encryption_key`.
    pub kind: &'static str,
    /// What identifies the one before, lower-case hex: a certificate's SKID, a key's SHA-256.
    pub before: String,
    /// The same of the one after.
    pub after: String,
}

/// A call as its caller saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFact {
    /// Who called.
    pub actor: String,
    /// `package.Service/Method`.
    pub method: String,
    /// What it sent as `x-request-id`.
    pub request_id: String,
    /// gRPC status name; `None` if no status arrived.
    pub code: Option<&'static str>,
    /// What went wrong below gRPC, if no status arrived. Never judged: it differs from run to run.
    pub transport: Option<String>,
    /// What the caller's side knows of that, if no status arrived.
    pub cause: Option<Cause>,
}

/// What the real system lets happen though nobody would expect it: no failure of the subject, but
/// something that somebody else must notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code, such as `revoked_certificate_accepted`.
    pub code: String,
    /// Clause of the contract.
    pub clause: String,
    /// In words, with who must notice instead.
    pub text: String,
    /// Numbers of the server's events.
    pub evidence: Vec<u64>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was compared, such as `status` or `certificates[0].name`.
    pub what: String,
    /// What had to be.
    pub expected: String,
    /// What was.
    pub observed: String,
    /// Whether they agree.
    pub holds: bool,
    /// Numbers of the server's events that bear on it.
    pub evidence: Vec<u64>,
    /// What it means if it does not hold, where no server can say so.
    pub cause: Option<Cause>,
}

impl Check {
    /// The same check, which if it does not hold means this.
    #[must_use]
    pub fn or(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }
}

/// An event of the fake, as its control listener shows it (interfaces.md section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "named as in interfaces.md")]
pub struct ServerEvent {
    pub seq: u64,
    pub time: String,
    pub replica: Option<u32>,
    pub duchy: Option<String>,
    pub connection: Option<u64>,
    pub peer_address: Option<String>,
    pub request_id: Option<String>,
    pub kind: String,
    pub outcome: String,
    pub cause: Option<String>,
    pub listener: Option<String>,
    pub method: Option<String>,
    pub code: Option<String>,
    pub principal: Option<String>,
    pub peer: Option<PeerFacts>,
    pub server: Option<ServerFacts>,
    pub subject: Option<String>,
    pub detail: Option<String>,
}

/// The client's leaf as the server saw it; lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "named as in interfaces.md")]
pub struct PeerFacts {
    pub serial: String,
    pub skid: Option<String>,
    pub akid: Option<String>,
}

/// The server's own leaf; lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "named as in interfaces.md")]
pub struct ServerFacts {
    pub serial: String,
    pub skid: Option<String>,
}

/// The log of one scenario.
#[derive(Clone, Debug, Default)]
pub struct ObservationLog {
    all: Vec<Observation>,
    line: usize,
}

impl ObservationLog {
    /// Appends a fact.
    pub fn record(&mut self, time: Timestamp, fact: Fact) {
        let n = self.all.len() as u64 + 1;
        self.all.push(Observation { n, time, line: self.line, fact });
    }

    /// Says which step the facts to come belong to.
    pub fn at_line(&mut self, line: usize) {
        self.line = line;
    }

    /// All facts, oldest first.
    pub fn all(&self) -> &[Observation] {
        &self.all
    }

    /// The run of probes that ended last.
    pub fn probes(&self) -> Option<&Run> {
        self.all.iter().rev().find_map(|observation| match &observation.fact {
            Fact::Probes(run) => Some(&**run),
            _ => None,
        })
    }

    /// Everything so far, which is no longer here afterwards.
    pub fn take(&mut self) -> Vec<Observation> {
        std::mem::take(&mut self.all)
    }

    /// How many comparisons there were.
    pub fn checks(&self) -> usize {
        self.all.iter().filter(|o| matches!(o.fact, Fact::Check(_))).count()
    }
}
