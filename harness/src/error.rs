//! Whose fault it is: what stops a step other than a failed check.

use fake_kingdom::cause::Cause;
use serde::Serialize;
use std::fmt;

/// Who must act on a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// What is judged. Only a failed check puts a fault here.
    Subject,
    /// The company of the subject.
    Peer,
    /// This program.
    Harness,
    /// The machine, the network or the cluster that it runs on.
    Environment,
    /// Whoever wrote the scenario.
    ScenarioAuthor,
    /// Whoever started the run, and broke it off.
    User,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Peer => "peer",
            Self::Harness => "harness",
            Self::Environment => "environment",
            Self::ScenarioAuthor => "scenario author",
            Self::User => "user",
        })
    }
}

/// A problem that keeps a scenario from proving anything: what happened, whose fault, what next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Who must act.
    pub owner: Owner,
    /// What happened.
    pub what: String,
    /// What to do next.
    pub next: String,
    /// The environment cannot run this scenario at all; nobody's fault.
    pub not_applicable: bool,
    /// Its code in the catalogue of causes, if it has one.
    pub cause: Option<Cause>,
}

impl Problem {
    /// The scenario asks for something that is not there or makes no sense.
    pub fn author(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Owner::ScenarioAuthor, what, next)
    }

    /// The machine or network under the run failed.
    pub fn environment(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Owner::Environment, what, next)
    }

    /// This program failed.
    pub fn harness(what: impl Into<String>) -> Self {
        Self::new(Owner::Harness, what, "report it, with the seed and the scenario's id")
    }

    /// The same problem, with its code in the catalogue.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The run was broken off before the scenario ended.
    pub fn interrupted() -> Self {
        Self::new(Owner::User, "interrupted before the scenario ended", "run it again")
    }

    /// This environment cannot do what the scenario needs.
    pub fn not_applicable(what: impl Into<String>) -> Self {
        let next = "run the scenario in another environment";
        Self { not_applicable: true, ..Self::new(Owner::Environment, what, next) }
    }

    fn new(owner: Owner, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { owner, what: what.into(), next: next.into(), not_applicable: false, cause: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.owner, self.what, self.next)
    }
}

impl std::error::Error for Problem {}

/// The command line or a file given on it is wrong: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A feature file does not parse.
    #[error("{file}:{line}: {reason}")]
    Feature {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// Two scenarios have one id.
    #[error(
        "scenario id `{id}` stands twice, at {first} and {second}: rename one of the scenarios, or \
         give the outline another first column"
    )]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it stands first.
        first: String,
        /// Where it stands again.
        second: String,
    },
    /// A tag expression does not parse.
    #[error("--tags `{expression}`: {reason}; write for example `@contract-1.1.12 and not @slow`")]
    Tags {
        /// The expression.
        expression: String,
        /// Why.
        reason: String,
    },
    /// No such scenario.
    #[error("no scenario has the id `{id}`{hint}; `halo-harness list` prints all ids")]
    UnknownScenario {
        /// The id asked for.
        id: String,
        /// The nearest ones, or nothing.
        hint: String,
    },
    /// No such cause code.
    #[error("no cause has the code `{code}`{hint}; `halo-harness explain` prints all codes")]
    UnknownCause {
        /// The code asked for.
        code: String,
        /// The nearest one, or nothing.
        hint: String,
    },
    /// Anything else about an argument.
    #[error("{0}")]
    Argument(String),
}
