//! Where a scenario runs. The only modules that know of sockets, memory streams or clusters.

pub mod command;
mod in_process;
pub mod kustomize;
pub mod loopback;
mod mount;
mod sandboxes;
pub mod secrets;
pub mod simulated;

use crate::error::Problem;
use crate::observation::ServerEvent;
use fake_kingdom::audit::Head;
use fake_kingdom::duchy::Fulfilment;
use fake_kingdom::event::AlertSettings;
use fake_kingdom::fault::{FaultRule, NumberedRule};
use fake_kingdom::files::Role;
use fake_kingdom::model::{Mutation, Timestamp};
use fake_kingdom::quirk::Quirks;
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::seam::transport::BoxStream;
use fake_kingdom::settings::Protocols;
use fake_kingdom::tls::ClientAuth;
use fake_kingdom::{DuchyStatus, OpenConnection, ReplicaStatus};
use futures::future::{BoxFuture, LocalBoxFuture};
use secrets::Delivery;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The worlds that scenarios run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EnvironmentKind {
    /// Real TCP on 127.0.0.1, real time.
    Loopback,
    /// Streams in memory, virtual time, one thread a scenario.
    Simulated,
}

impl EnvironmentKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: &'static [Self] = &[Self::Loopback, Self::Simulated];

    /// Its name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Simulated => "simulated",
        }
    }

    /// A runtime for one scenario; nothing of another scenario ever runs in it.
    ///
    /// # Errors
    /// The operating system gives no more threads or descriptors.
    pub fn runtime(self) -> io::Result<Runtime> {
        match self {
            Self::Loopback => loopback::runtime(),
            Self::Simulated => simulated::runtime(),
        }
    }

    /// What the scenario's clock reads when it starts. Called inside its [`Self::runtime`].
    pub fn clock(self) -> Clock {
        match self {
            Self::Loopback => Clock::real(),
            Self::Simulated => Clock::virtual_from(simulated::START),
        }
    }

    /// Starts a Kingdom. Called inside the scenario's [`Self::runtime`].
    ///
    /// # Errors
    /// The Kingdom does not start: a fault of the scenario's files or of the machine.
    pub async fn start(self, setup: Setup) -> Result<Box<dyn Environment>, Problem> {
        match self {
            Self::Loopback => loopback::start(setup).await,
            Self::Simulated => simulated::start(setup).await,
        }
    }
}

/// How a scenario wants its Kingdom; the default is the documented one.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Root of the scenario's own keys, ids and order.
    pub seed: Seed,
    /// Root of the sandbox: of the keys, leaves and resources that a Kingdom starts with.
    pub sandbox: Seed,
    /// The scenario's clock.
    pub clock: Clock,
    /// Quirks (contract 2.14).
    pub quirks: Quirks,
    /// Which protocols are on (contract 1.5.15).
    pub protocols: Protocols,
    /// How many replicas.
    pub replicas: u32,
    /// Whether a changed file is read while a replica runs.
    pub reload_hot: bool,
    /// Whether a client certificate is asked for.
    pub client_auth: ClientAuth,
    /// How long a stopping replica waits for open calls.
    pub grace: Duration,
    /// When authentication failures raise an alert.
    pub alert: AlertSettings,
    /// How a change of the Kingdom's files reaches its replicas.
    pub delivery: Delivery,
    /// The Kustomization folder that makes the Kingdom's Secret, by path; the Kingdom's own files are put
    /// into it.
    pub kustomization: Option<std::collections::BTreeMap<String, Vec<u8>>>,
    /// Whether mounted files are real ones.
    pub on_disk: bool,
    /// Whether the servers read real files, and a control listener is open, for a user's own
    /// commands. Loopback only.
    pub for_commands: bool,
}

impl Setup {
    /// The defaults, with this seed, for the sandbox too, and clock.
    pub fn new(seed: Seed, clock: Clock) -> Self {
        Self {
            seed,
            sandbox: seed,
            clock,
            quirks: Quirks::default(),
            protocols: Protocols::default(),
            replicas: 2,
            reload_hot: false,
            client_auth: ClientAuth::Required,
            grace: Duration::from_secs(25),
            alert: AlertSettings::default(),
            delivery: Delivery::AtOnce,
            kustomization: None,
            on_disk: false,
            for_commands: false,
        }
    }
}

/// The listeners of a Kingdom: three with TLS, one without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    /// The public API.
    Public,
    /// The system API, for Duchies.
    System,
    /// The operator's internal API.
    Operator,
    /// Plaintext health (contract 1.0.14).
    Health,
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The address in front of all replicas.
    Front(Listener),
    /// One replica's own public address.
    Replica(u32),
    /// A Duchy's own server for providers, by the Duchy's id (contract 1.7.14).
    Duchy(String),
}

/// An open stream, and the address by which the server's events name this end of it.
pub struct Dialled {
    /// The stream.
    pub stream: BoxStream,
    /// This end.
    pub local: String,
}

/// Opens streams to what an environment runs, from any task, as long as it runs.
pub trait Dial: Send + Sync {
    /// Opens a stream.
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Dialled>>;
}

/// What can be done to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in interfaces.md section 3")]
pub enum ReplicaAction {
    Stop,
    Start,
    Restart,
    Drain,
    Cut,
    Reload,
}

/// What a user's own commands are shown.
#[derive(Clone, Debug)]
pub struct Workplace {
    /// The sandbox's folder (interfaces.md section 2); the servers read their files here.
    pub folder: PathBuf,
    /// The public API's address.
    pub public: String,
    /// The control listener's, as a URL.
    pub control: String,
}

/// A predicate over the server's events.
pub type EventFilter<'a> = dyn Fn(&ServerEvent) -> bool + 'a;

/// One scenario's Kingdom and the ways to reach and drive it.
pub trait Environment {
    /// The clock that the Kingdom and its clients judge certificates by.
    fn clock(&self) -> &Clock;
    /// The participants' credentials and resources.
    fn sandbox(&self) -> &Sandbox;
    /// Opens a stream.
    fn dial(&self, target: Target) -> LocalBoxFuture<'_, io::Result<Dialled>>;
    /// What opens streams from tasks of their own.
    fn dialler(&self) -> Arc<dyn Dial>;
    /// Moves the clock forward at once.
    ///
    /// # Errors
    /// The clock would go past its end.
    fn advance(&self, by: Duration) -> Result<(), Problem>;
    /// Acts on a replica; the inner error is the Kingdom's refusal to start with its files.
    fn act_on_replica(
        &self,
        id: u32,
        action: ReplicaAction,
    ) -> LocalBoxFuture<'_, Result<Result<(), String>, Problem>>;
    /// Acts on a Duchy's own server; the inner error is its refusal to start with its files.
    fn act_on_duchy<'a>(
        &'a self,
        duchy: &'a str,
        action: ReplicaAction,
    ) -> LocalBoxFuture<'a, Result<Result<(), String>, Problem>>;
    /// What providers have fulfilled at a Duchy.
    ///
    /// # Errors
    /// No such Duchy.
    fn fulfilments(&self, duchy: &str) -> Result<Vec<Fulfilment>, Problem>;
    /// The present content of one of a Duchy's own files.
    fn duchy_file(&self, duchy: &str, role: Role) -> Option<Vec<u8>>;
    /// Replaces one of a Duchy's own files whole.
    ///
    /// # Errors
    /// No such Duchy.
    fn set_duchy_file(&self, duchy: &str, role: Role, content: Vec<u8>) -> Result<(), Problem>;
    /// Where a user's own commands work, if there is such a place ([`Setup::for_commands`]).
    fn workplace(&self) -> Option<&Workplace> {
        None
    }
    /// Changes whether replicas ask for client certificates, from their next start on.
    fn set_client_auth(&self, client_auth: ClientAuth);
    /// What a replica that starts now asks for.
    fn client_auth(&self) -> ClientAuth;
    /// The present content of one of the servers' files.
    fn file(&self, role: Role) -> Option<Vec<u8>>;
    /// Names of the Secret that a Kustomization folder makes of the servers' files: as replicas mounted it
    /// first, and as each replica that was started again mounts it now. `None` without such a folder. In
    /// simulation the number of its content stands for the hash in a name.
    fn secret_names(&self) -> Option<(String, BTreeMap<u32, String>)> {
        None
    }
    /// Replaces one of the servers' files whole.
    fn set_file(&self, role: Role, content: Vec<u8>);
    /// Whether the monitor raised an alert; cheaper than reading all events.
    fn has_alerts(&self) -> bool;
    /// Number of the newest event.
    fn last_event(&self) -> u64;
    /// The first event after number `after` that matches, waiting for it at most `patience`.
    fn event<'a>(
        &'a self,
        after: u64,
        filter: &'a EventFilter<'a>,
        patience: Duration,
    ) -> LocalBoxFuture<'a, Result<Option<ServerEvent>, Problem>>;
    /// The events after number `after`, oldest first.
    ///
    /// # Errors
    /// Some of them are no longer kept.
    fn events(&self, after: u64) -> Result<Vec<ServerEvent>, Problem>;
    /// Adds a fault rule.
    fn add_fault(&self, rule: FaultRule) -> u64;
    /// Removes a fault rule; answers it with its counts.
    fn remove_fault(&self, id: u64) -> Option<NumberedRule>;
    /// The fault rules with their counts.
    fn faults(&self) -> Vec<NumberedRule>;
    /// Count and hash of the audit trail.
    fn audit_head(&self) -> Head;
    /// Appends an entry of a procedure's phase to the audit trail.
    ///
    /// # Errors
    /// The trail cannot be written.
    fn append_audit(&self, actor: &str, entry: Mutation) -> Result<(), Problem>;
    /// What each replica says of itself, in their order.
    fn replica_statuses(&self) -> Vec<ReplicaStatus>;
    /// What each Duchy's own server says of itself, in their order.
    fn duchy_statuses(&self) -> Vec<DuchyStatus>;
    /// The connections that are open at the servers, with the leaves of both ends.
    fn connections(&self) -> Vec<OpenConnection>;
    /// The audit trail, a line of JSON for each entry.
    ///
    /// # Errors
    /// It cannot be read.
    fn audit_lines(&self) -> Result<Vec<String>, Problem>;
    /// The present.
    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}
