//! The running Kingdom: replicas behind one address, and the handle that controls them.

use crate::audit::Head;
use crate::client::{self, Credentials};
use crate::core::{Core, Storage};
use crate::duchy::{Fulfilment, Store};
use crate::event::{AlertSettings, Event, EventLog, Kind, Listener, Process};
use crate::fault::{FaultRule, Faults, NumberedRule};
use crate::files::{Contents, FileError, Files, Role};
use crate::limiter::RateLimiter;
use crate::model::{IdSource, Timestamp};
use crate::persist::{Loaded, Persist, PersistError};
use crate::quirk::Quirks;
use crate::seam::clock::Clock;
use crate::seam::entropy::Seed;
use crate::seam::transport::{Incoming, Network, Tcp};
use crate::service;
use crate::settings::{Protocols, Settings};
use crate::tls::{self, ClientAuth, TlsError};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod connection;
mod cork;

/// When a replica reads its files again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reload {
    /// Only when it starts, as the real servers do (contract 5.4.1).
    #[default]
    AtStart,
    /// Also while it runs: a changed file is picked up within a second.
    Hot,
}

/// The addresses to listen on; port 0 means any free one.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The public API, in front of all replicas.
    pub public: String,
    /// The system API.
    pub system: String,
    /// The operator's internal API.
    pub operator: String,
    /// Plaintext gRPC health.
    pub health: String,
    /// Each replica's own public address; those that are missing get a free port of
    /// [`Self::replica_host`].
    pub replicas: Vec<String>,
    /// The Duchies' own servers, by id; those that are missing get a free port of
    /// [`Self::replica_host`].
    pub duchies: BTreeMap<String, String>,
    /// Host of the replicas' own listeners.
    pub replica_host: String,
}

impl Default for Addresses {
    fn default() -> Self {
        let any = || "127.0.0.1:0".to_owned();
        Self {
            public: any(),
            system: any(),
            operator: any(),
            health: any(),
            replicas: Vec::new(),
            duchies: BTreeMap::new(),
            replica_host: "127.0.0.1".to_owned(),
        }
    }
}

/// A Kingdom that cannot start: what is wrong, and in which file.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file is missing or wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// Certificate, key or trust bundle cannot be used.
    #[error("{flag}: {source}", flag = match .source { TlsError::Identity(_) => Role::TlsCert.flag(), TlsError::Anchor { .. } => .role.flag() })]
    Tls {
        /// The trust bundle that was being used.
        role: Role,
        /// What TLS says.
        source: TlsError,
    },
    /// An address cannot be bound.
    #[error("cannot listen on {what} address {address}: {source}; is another program using it? {}", .what.way_out())]
    Bind {
        /// Which listener.
        what: Port,
        /// The address.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Persist(#[from] PersistError),
    /// A replica number that does not exist.
    #[error("there is no replica {0}")]
    NoSuchReplica(u32),
    /// A Duchy that serves nothing here.
    #[error("no Duchy `{0}` serves here")]
    NoSuchDuchy(String),
    /// The trouble is in the files of a Duchy's own server.
    #[error("Duchy {id}: {source}")]
    Duchy {
        /// Which Duchy.
        id: Arc<str>,
        /// What is wrong.
        source: Box<StartError>,
    },
    /// A Duchy's leaf and key make no client of the Kingdom.
    #[error("its client of the Kingdom's system API: {0}")]
    Client(#[from] client::CredentialsError),
}

/// How long a replica's start waits for its addresses to be free again.
const FRONT_PATIENCE: Duration = Duration::from_secs(5);
/// Pause before the next try after an address could not be bound or a connection not be accepted.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// A listener, as far as its port is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in interfaces.md section 1")]
pub enum Port {
    Public,
    System,
    Operator,
    Health,
    Control,
    Replica,
    Duchy,
}

impl Port {
    fn way_out(self) -> String {
        let flag = match self {
            Self::Public => "--port",
            Self::System => "--system-port",
            Self::Operator => "--operator-port",
            Self::Health => "--health-port",
            Self::Control => "--control-port",
            Self::Replica => {
                return "replica ports are kept in sandbox.json; free it, or remove `ports` there"
                    .to_owned();
            }
            Self::Duchy => {
                return "Duchies' ports are kept in sandbox.json; free it, or remove `ports` there"
                    .to_owned();
            }
        };
        format!("choose another with {flag} N (0 = any free one)")
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::System => "system",
            Self::Operator => "operator",
            Self::Health => "health",
            Self::Control => "control",
            Self::Replica => "replica",
            Self::Duchy => "Duchy",
        })
    }
}

/// Everything a Kingdom is started with.
pub struct Builder {
    files: Files,
    quirks: Quirks,
    protocols: Protocols,
    replicas: u32,
    reload: Reload,
    client_auth: ClientAuth,
    clock: Clock,
    seed: Seed,
    data_dir: Option<PathBuf>,
    grace: Duration,
    network: Arc<dyn Network>,
    addresses: Addresses,
    alert: AlertSettings,
    provision: Option<Provision>,
    origin: String,
    duchies: Vec<(Arc<str>, Files)>,
}

/// Fills an empty state before the first connection, in one transaction.
pub type Provision =
    Box<dyn FnOnce(&mut crate::model::Write<'_>) -> Result<(), crate::error::InternalError> + Send>;

impl Builder {
    /// A Kingdom over these files: two replicas on free ports of 127.0.0.1, real time, random ids.
    pub fn new(files: Files) -> Self {
        Self {
            files,
            quirks: Quirks::default(),
            protocols: Protocols::default(),
            replicas: 2,
            reload: Reload::default(),
            client_auth: ClientAuth::default(),
            clock: Clock::real(),
            seed: Seed::random(),
            data_dir: None,
            grace: Duration::from_secs(25),
            network: Arc::new(Tcp),
            addresses: Addresses::default(),
            alert: AlertSettings::default(),
            provision: None,
            origin: String::new(),
            duchies: Vec::new(),
        }
    }

    /// Which oddities are in force.
    #[must_use]
    pub fn quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }

    /// Which protocols are on.
    #[must_use]
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = protocols;
        self
    }

    /// How many replicas stand behind the address.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// When files are read again.
    #[must_use]
    pub fn reload(mut self, reload: Reload) -> Self {
        self.reload = reload;
        self
    }

    /// Whether a client certificate is asked for.
    #[must_use]
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Where time comes from.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Where ids come from.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps the state in this folder.
    #[must_use]
    pub fn data_dir(mut self, folder: Option<PathBuf>) -> Self {
        self.data_dir = folder;
        self
    }

    /// How long a stopping replica lets calls finish (contract 5.5.2).
    #[must_use]
    pub fn shutdown_grace_period(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Real TCP or streams in memory.
    #[must_use]
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = network;
        self
    }

    /// Where to listen.
    #[must_use]
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        self
    }

    /// When authentication failures raise an alert.
    #[must_use]
    pub fn alert(mut self, alert: AlertSettings) -> Self {
        self.alert = alert;
        self
    }

    /// What a data directory belongs to, such as a sandbox's fingerprint: one that was begun with
    /// another origin is refused.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Duchies whose own server for providers runs beside the Kingdom (contract 1.7.14), each with
    /// its own leaf, key, bundle and principal map.
    #[must_use]
    pub fn duchies(mut self, duchies: impl IntoIterator<Item = (String, Files)>) -> Self {
        self.duchies = duchies.into_iter().map(|(id, files)| (id.into(), files)).collect();
        self
    }

    /// Fills an empty state before the first connection.
    #[must_use]
    pub fn provision(mut self, provision: Provision) -> Self {
        self.provision = Some(provision);
        self
    }

    /// Starts all replicas and listeners; on return every one of them accepts.
    ///
    /// # Errors
    /// A file the real server would not start with, an address in use, a data directory in use.
    pub async fn start(self) -> Result<Kingdom, StartError> {
        // Before the first read: a change from here on is one that `--reload hot` must notice.
        let first_digests: Vec<_> = std::iter::repeat_n(&self.files, self.replicas as usize)
            .chain(self.duchies.iter().map(|(_, files)| files))
            .map(files_digest)
            .collect();
        let contents = Contents::read(&self.files, &self.quirks)?;
        let settings = Settings {
            quirks: self.quirks,
            duchies: contents.duchies.clone(),
            protocols: self.protocols,
        };
        let (storage, loaded) = match &self.data_dir {
            None => (Storage::Memory(Mutex::new(None)), Loaded::default()),
            Some(folder) => {
                let (persist, loaded) = Persist::open(folder, &self.origin)?;
                (Storage::Disk(persist), loaded)
            }
        };
        let fresh = loaded.head.count == 0;
        let core = Arc::new(Core::new(
            settings,
            self.clock,
            IdSource::new(self.seed.child("ids")),
            EventLog::new(self.alert),
            storage,
            loaded,
        ));
        if let (true, Some(provision)) = (fresh, self.provision) {
            // A provisioner's resources are new and its own: a refusal is a fault of the builder.
            core.write("sandbox", |write| provision(write).map_err(|error| error.untranslated()))
                .map_err(|refusal| FileError {
                role: Role::PrincipalMap,
                file: None,
                place: None,
                what: format!("the sandbox's resources were refused: {}", refusal.message),
            })?;
        }

        let shared = Arc::new(Shared {
            services: service::Services::new(core.clone()),
            core,
            faults: Arc::default(),
            client_auth: ArcSwap::from_pointee(self.client_auth),
            grace: self.grace,
            network: self.network,
            next_connection: AtomicU64::new(1),
            connections: Mutex::default(),
            replica_host: self.addresses.replica_host.clone(),
            system_address: OnceLock::new(),
            running: watch::channel(0).0,
            fronts: Mutex::default(),
        });
        let replicas = (0..self.replicas)
            .map(|id| {
                let address = self.addresses.replicas.get(id as usize).cloned();
                Server::new(Process::Replica(id), self.files.clone(), shared.clone(), address)
            })
            .collect::<Vec<_>>();
        let duchies = self
            .duchies
            .into_iter()
            .map(|(id, files)| {
                let address = self.addresses.duchies.get(&*id).cloned();
                Server::new(Process::Duchy(id), files, shared.clone(), address)
            })
            .collect::<Vec<_>>();
        for replica in &replicas {
            replica.start().await?;
        }
        let mut kingdom = Kingdom {
            control: Control {
                shared: shared.clone(),
                replicas: replicas.into(),
                duchies: duchies.into(),
            },
            public: String::new(),
            system: String::new(),
            operator: String::new(),
            health: String::new(),
            tasks: Vec::new(),
        };
        let bind = |what, address: String| {
            let network = shared.network.clone();
            async move {
                network.bind(&address).await.map_err(|source| StartError::Bind {
                    what,
                    address,
                    source,
                })
            }
        };
        let public = bind(Port::Public, self.addresses.public).await?;
        let system = bind(Port::System, self.addresses.system).await?;
        let operator = bind(Port::Operator, self.addresses.operator).await?;
        let health = bind(Port::Health, self.addresses.health).await?;
        kingdom.public = public.address().to_owned();
        kingdom.system = system.address().to_owned();
        kingdom.operator = operator.address().to_owned();
        kingdom.health = health.address().to_owned();
        let _ = shared.system_address.set(kingdom.system.clone());
        let open = || {
            let (open, is_open) = watch::channel(true);
            shared.fronts().push(is_open);
            open
        };
        for (incoming, listener) in
            [(public, Listener::Public), (system, Listener::System), (operator, Listener::Operator)]
        {
            let control = kingdom.control.clone();
            let front = Front { control, listener, turn: AtomicU64::new(0), open: open() };
            kingdom.tasks.push(tokio::spawn(front.run(incoming)));
        }
        let control = kingdom.control.clone();
        kingdom.tasks.push(tokio::spawn(connection::serve_health(control, health, open())));
        for duchy in kingdom.control.duchies.iter() {
            duchy.start().await?;
        }
        if self.reload == Reload::Hot {
            kingdom.tasks.push(tokio::spawn(follow_files(kingdom.control.clone(), first_digests)));
        }
        Ok(kingdom)
    }
}

/// A running Kingdom. Dropping it stops everything at once.
pub struct Kingdom {
    control: Control,
    public: String,
    system: String,
    operator: String,
    health: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Kingdom {
    /// Starts to describe a Kingdom over these files.
    pub fn builder(files: Files) -> Builder {
        Builder::new(files)
    }

    /// The public API's address, in front of all replicas.
    pub fn public_address(&self) -> &str {
        &self.public
    }

    /// The system API's address.
    pub fn system_address(&self) -> &str {
        &self.system
    }

    /// The operator API's address.
    pub fn operator_address(&self) -> &str {
        &self.operator
    }

    /// The plaintext health address.
    pub fn health_address(&self) -> &str {
        &self.health
    }

    /// The handle that drives it.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops all replicas and Duchies' servers: each connection gets a GOAWAY and the grace period,
    /// then is cut.
    pub async fn shut_down(mut self) {
        let stops = self.control.servers().map(|server| server.stop());
        futures::future::join_all(stops).await;
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }
}

impl Drop for Kingdom {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for server in self.control.servers() {
            server.kill();
        }
    }
}

/// Drives a running Kingdom from beside it; never through its public API.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
    replicas: Arc<[Arc<Server>]>,
    duchies: Arc<[Arc<Server>]>,
}

impl Control {
    /// The state, clock, settings and logs.
    pub fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }

    /// The fake's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.core.clock
    }

    /// The network that the Kingdom's addresses live in.
    pub fn network(&self) -> Arc<dyn Network> {
        self.shared.network.clone()
    }

    /// The events of all replicas.
    pub fn events(&self) -> &EventLog {
        &self.shared.core.events
    }

    /// Count and hash of the audit trail.
    pub fn audit_head(&self) -> Head {
        self.shared.core.audit_head()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault rule behind all others; answers its number.
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.faults().add(rule)
    }

    /// Removes a fault rule.
    pub fn remove_fault(&self, id: u64) -> Option<NumberedRule> {
        self.faults().remove(id)
    }

    /// The fault rules with their counts.
    pub fn list_faults(&self) -> Vec<NumberedRule> {
        self.faults().list()
    }

    /// Changes what replicas ask for from their next start on, as another `--require-client-auth` in
    /// the manifest does (contract 5.2.8).
    pub fn set_client_auth(&self, client_auth: ClientAuth) {
        self.shared.client_auth.store(Arc::new(client_auth));
    }

    /// What a replica that starts now asks for.
    pub fn client_auth(&self) -> ClientAuth {
        **self.shared.client_auth.load()
    }

    /// The numbers of the replicas.
    pub fn replica_ids(&self) -> Vec<u32> {
        self.replicas.iter().filter_map(|replica| replica.process.replica()).collect()
    }

    fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.replicas.iter().chain(self.duchies.iter())
    }

    fn replica(&self, id: u32) -> Result<&Arc<Server>, StartError> {
        self.replicas
            .iter()
            .find(|replica| replica.process.replica() == Some(id))
            .ok_or(StartError::NoSuchReplica(id))
    }

    /// What one replica is doing.
    pub fn replica_status(&self, id: u32) -> Option<ReplicaStatus> {
        let status = self.replica(id).ok()?.status();
        Some(ReplicaStatus {
            id,
            state: status.state,
            public: status.address,
            connections: status.connections,
            server: status.server,
            trust: status.trust,
            principals: status.principals,
            client_auth: status.client_auth,
        })
    }

    /// The connections that are open now, whose handshake was accepted, in the order of acceptance.
    pub fn connections(&self) -> Vec<OpenConnection> {
        self.shared.connections().values().map(|open| OpenConnection::of(open)).collect()
    }

    /// The ids of the Duchies that serve here, in the order of their configuration.
    pub fn duchy_ids(&self) -> Vec<Arc<str>> {
        self.duchies.iter().filter_map(|duchy| duchy.process.duchy().cloned()).collect()
    }

    /// The handle that drives one Duchy's own server.
    ///
    /// # Errors
    /// No such Duchy serves here.
    pub fn duchy(&self, id: &str) -> Result<DuchyControl, StartError> {
        self.duchies
            .iter()
            .find(|duchy| duchy.process.duchy().is_some_and(|own| &**own == id))
            .map(|server| DuchyControl { server: server.clone() })
            .ok_or_else(|| StartError::NoSuchDuchy(id.to_owned()))
    }

    /// Stops a replica as SIGTERM does: GOAWAY, grace period, then cut.
    ///
    /// # Errors
    /// No such replica.
    pub async fn stop(&self, id: u32) -> Result<(), StartError> {
        self.replica(id)?.stop().await;
        self.fronts_settle().await;
        Ok(())
    }

    /// Starts a stopped replica, which reads its files again. On return the addresses in front of
    /// it accept connections.
    ///
    /// # Errors
    /// No such replica, or a file it does not start with; it then stays stopped.
    pub async fn start(&self, id: u32) -> Result<(), StartError> {
        self.replica(id)?.start().await?;
        self.fronts_settle().await;
        Ok(())
    }

    /// Waits until every front is open or closed as the number of running replicas wants it; a port
    /// that somebody else took meanwhile is waited for no longer than the bound.
    async fn fronts_settle(&self) {
        let fronts = self.shared.fronts().clone();
        let settled = async {
            for mut front in fronts {
                let running = self.shared.running.subscribe();
                // A front that is gone has nothing to say any more.
                let _ = front.wait_for(|open| *open == (*running.borrow() > 0)).await;
            }
        };
        let _ = tokio::time::timeout(FRONT_PATIENCE, settled).await;
    }

    /// [`Self::stop`], then [`Self::start`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&self, id: u32) -> Result<(), StartError> {
        self.stop(id).await?;
        self.start(id).await
    }

    /// Sends a GOAWAY on every connection of a replica, which goes on accepting new ones.
    ///
    /// # Errors
    /// No such replica.
    pub fn drain(&self, id: u32) -> Result<(), StartError> {
        self.replica(id)?.drain();
        Ok(())
    }

    /// Cuts every connection of a replica at once.
    ///
    /// # Errors
    /// No such replica.
    pub fn cut(&self, id: u32) -> Result<(), StartError> {
        self.replica(id)?.cut();
        Ok(())
    }

    /// Makes a running replica read its files again for the connections to come.
    ///
    /// # Errors
    /// A file it would not start with: what it had stays in force.
    pub fn reload(&self, id: u32) -> Result<(), StartError> {
        self.replica(id)?.reload()
    }
}

/// Drives one Duchy's own server.
#[derive(Clone)]
pub struct DuchyControl {
    server: Arc<Server>,
}

impl DuchyControl {
    /// Stops it as SIGTERM does.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Starts it, if it is stopped; it reads its files again.
    ///
    /// # Errors
    /// A file it does not start with; it then stays stopped.
    pub async fn start(&self) -> Result<(), StartError> {
        self.server.start().await
    }

    /// [`Self::stop`], then [`Self::start`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&self) -> Result<(), StartError> {
        self.stop().await;
        self.start().await
    }

    /// Sends a GOAWAY on every connection.
    pub fn drain(&self) {
        self.server.drain();
    }

    /// Cuts every connection at once.
    pub fn cut(&self) {
        self.server.cut();
    }

    /// Makes it read its files again for the connections to come, its own to the Kingdom included.
    ///
    /// # Errors
    /// A file it would not start with: what it had stays in force.
    pub fn reload(&self) -> Result<(), StartError> {
        self.server.reload()
    }

    /// What it is doing.
    pub fn status(&self) -> DuchyStatus {
        let status = self.server.status();
        DuchyStatus {
            id: self.server.process.duchy().map(|id| id.to_string()).unwrap_or_default(),
            state: status.state,
            address: status.address,
            connections: status.connections,
            server: status.server,
            trust: status.trust,
            principals: status.principals,
        }
    }

    /// What providers have fulfilled here.
    pub fn fulfilments(&self) -> Vec<Fulfilment> {
        let store = self.server.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.fulfilments().cloned().collect()
    }
}

/// What a Duchy's own server is doing, for the state snapshot.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DuchyStatus {
    /// The Duchy.
    pub id: String,
    /// `running` or `stopped`.
    pub state: &'static str,
    /// Its address, if running.
    pub address: Option<String>,
    /// Open connections.
    pub connections: usize,
    /// The leaf it presents to new connections, lower-case hex.
    pub server: Option<crate::event::ServerFacts>,
    /// SKIDs of its trust entries, lower-case hex.
    pub trust: Vec<String>,
    /// AKID in lower-case hex, and the principal it stands for.
    pub principals: Vec<(String, String)>,
}

/// What a server process is doing.
struct Status {
    state: &'static str,
    address: Option<String>,
    connections: usize,
    server: Option<crate::event::ServerFacts>,
    trust: Vec<String>,
    principals: Vec<(String, String)>,
    client_auth: Option<&'static str>,
}

/// What a replica is doing, for the state snapshot.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReplicaStatus {
    /// Number, from 0.
    pub id: u32,
    /// `running` or `stopped`.
    pub state: &'static str,
    /// Its own address, if running.
    pub public: Option<String>,
    /// Open connections.
    pub connections: usize,
    /// The leaf it presents to new connections, lower-case hex.
    pub server: Option<crate::event::ServerFacts>,
    /// SKIDs of its trust entries, lower-case hex.
    pub trust: Vec<String>,
    /// AKID in lower-case hex, and the principal it stands for.
    pub principals: Vec<(String, String)>,
    /// Whether it asks new connections for a client certificate: `off`, `optional`, `required`; `None` if
    /// it does not run.
    pub client_auth: Option<&'static str>,
}

/// A connection that is open: which credentials of both ends live on in it, whatever the files say
/// now (contract 5.5.4).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OpenConnection {
    /// Its number, as events have it.
    pub id: u64,
    /// The replica that serves it.
    pub replica: Option<u32>,
    /// The Duchy whose server serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duchy: Option<String>,
    /// The listener it came in on.
    pub listener: Listener,
    /// Where it came from.
    pub peer_address: String,
    /// The client's leaf, if it sent one.
    pub peer: Option<crate::event::PeerFacts>,
    /// The server's leaf at the handshake.
    pub server: crate::event::ServerFacts,
}

impl OpenConnection {
    fn of(connection: &crate::event::Connection) -> Self {
        Self {
            id: connection.id,
            replica: connection.process.replica(),
            duchy: connection.process.duchy().map(|id| id.to_string()),
            listener: connection.listener,
            peer_address: connection.peer_address.clone(),
            peer: connection.peer.clone(),
            server: (*connection.server).clone(),
        }
    }
}

/// Keeps a connection in the list of open ones until its task ends, however it ends.
pub(crate) struct Registered {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.connections().remove(&self.id);
    }
}

/// What all replicas share.
pub(crate) struct Shared {
    core: Arc<Core>,
    services: service::Services,
    faults: Arc<Mutex<Faults>>,
    /// What a replica asks for from its next start on.
    client_auth: ArcSwap<ClientAuth>,
    grace: Duration,
    network: Arc<dyn Network>,
    next_connection: AtomicU64,
    /// The connections that are open now, by number.
    connections: Mutex<BTreeMap<u64, Arc<crate::event::Connection>>>,
    replica_host: String,
    /// Where the Duchies' servers call the Kingdom; known once it is bound.
    system_address: OnceLock<String>,
    /// How many replicas run, for those who wait on it.
    running: watch::Sender<usize>,
    /// Whether each front's address accepts connections.
    fronts: Mutex<Vec<watch::Receiver<bool>>>,
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<crate::event::Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(self: &Arc<Self>, connection: &Arc<crate::event::Connection>) -> Registered {
        self.connections().insert(connection.id, connection.clone());
        Registered { shared: self.clone(), id: connection.id }
    }

    fn fronts(&self) -> MutexGuard<'_, Vec<watch::Receiver<bool>>> {
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes(&self, listener: Listener, loaded: &LoadedFiles) -> tonic::service::Routes {
        match listener {
            Listener::Duchy => loaded.routes.clone().unwrap_or_default(),
            Listener::Public => self.services.public.clone(),
            Listener::System => self.services.system.clone(),
            Listener::Operator => self.services.operator.clone(),
        }
    }
}

/// One server process, a replica of the Kingdom or a Duchy's own server: what it read at its start,
/// and its connections.
pub(crate) struct Server {
    process: Process,
    files: Files,
    /// What a Duchy keeps over restarts of its server.
    store: Arc<Mutex<Store>>,
    shared: Arc<Shared>,
    state: Mutex<Option<Running>>,
    /// Its own address, chosen at the first start and kept.
    address: Mutex<Option<String>>,
}

struct Running {
    loaded: Arc<ArcSwap<LoadedFiles>>,
    /// Phase of the replica's connections.
    phase: Arc<watch::Sender<Phase>>,
    accepting: JoinHandle<()>,
    address: String,
}

/// What connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Go on.
    Serve,
    /// GOAWAY: finish what is open. Counts up, so that a later drain reaches later connections.
    Drain(u64),
    /// Break off now. Counts up likewise.
    Cut(u64),
}

/// What a server process made of its files.
pub(crate) struct LoadedFiles {
    contents: Arc<Contents>,
    public: Arc<ServerConfig>,
    operator: Arc<ServerConfig>,
    limiter: Option<Arc<Mutex<RateLimiter>>>,
    server: Arc<crate::event::ServerFacts>,
    /// Of the public listener.
    client_auth: ClientAuth,
    /// A Duchy's service, whose client of the Kingdom is made of the Duchy's files.
    routes: Option<tonic::service::Routes>,
}

impl LoadedFiles {
    fn read(server: &Server) -> Result<Self, StartError> {
        let shared = &server.shared;
        match &server.process {
            Process::Replica(_) => {
                let contents = Contents::read(&server.files, &shared.core.settings().quirks)?;
                Self::of_replica(shared, contents)
            }
            Process::Duchy(id) => Contents::read_of_duchy(&server.files)
                .map_err(StartError::from)
                .and_then(|contents| Self::of_duchy(server, id, contents))
                .map_err(|source| StartError::Duchy { id: id.clone(), source: Box::new(source) }),
        }
    }

    fn of_duchy(
        server: &Server,
        id: &Arc<str>,
        contents: Arc<Contents>,
    ) -> Result<Self, StartError> {
        let shared = &server.shared;
        let config = tls::server_config(
            &contents.certificate_der,
            &contents.key_der,
            &contents.trust,
            ClientAuth::Required,
            &shared.core.clock,
        )
        .map_err(|source| StartError::Tls { role: Role::CertCollection, source })?;
        // Contract 5.2.9: the name that servers of the project look for in each other's leaf.
        let credentials = Credentials {
            chain: vec![contents.certificate_der.clone()],
            key: contents.key_der.clone(),
            trust: contents.trust.iter().map(|entry| entry.der.clone()).collect(),
            server_name: "localhost".to_owned(),
        };
        let system = shared.system_address.get().map(String::as_str).unwrap_or_default();
        let kingdom =
            client::channel(shared.network.clone(), system, &credentials, &shared.core.clock)?;
        let api = service::duchy::DuchyApi {
            core: shared.core.clone(),
            duchy: id.clone(),
            store: server.store.clone(),
            kingdom,
        };
        Ok(Self {
            server: Arc::new(connection::server_facts(&contents.certificate_der)),
            contents,
            operator: config.clone(),
            public: config,
            limiter: None,
            client_auth: ClientAuth::Required,
            routes: Some(api.routes()),
        })
    }

    fn of_replica(shared: &Shared, contents: Arc<Contents>) -> Result<Self, StartError> {
        let config = |trust, client_auth, role| {
            tls::server_config(
                &contents.certificate_der,
                &contents.key_der,
                trust,
                client_auth,
                &shared.core.clock,
            )
            .map_err(|source| StartError::Tls { role, source })
        };
        let client_auth = **shared.client_auth.load();
        let public = config(&contents.trust, client_auth, Role::CertCollection)?;
        let operator =
            config(&contents.operator_trust, ClientAuth::Required, Role::OperatorCertCollection)?;
        let limits = contents.limits.clone();
        let limiter =
            limits.map(|limits| Arc::new(Mutex::new(RateLimiter::new(limits, shared.now()))));
        let server = Arc::new(connection::server_facts(&contents.certificate_der));
        Ok(Self { contents, public, operator, limiter, server, client_auth, routes: None })
    }
}

impl Server {
    fn new(
        process: Process,
        files: Files,
        shared: Arc<Shared>,
        address: Option<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            process,
            files,
            store: Arc::default(),
            shared,
            state: Mutex::default(),
            address: Mutex::new(address),
        })
    }

    fn is_replica(&self) -> bool {
        self.process.replica().is_some()
    }

    fn state(&self) -> MutexGuard<'_, Option<Running>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(self: &Arc<Self>) -> Result<(), StartError> {
        if self.state().is_some() {
            return Ok(());
        }
        let loaded = LoadedFiles::read(self).inspect_err(|error| {
            self.event("start_refused", Some(error.to_string()));
        })?;
        let kept = self.address.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let address = kept.unwrap_or_else(|| format!("{}:0", self.shared.replica_host));
        let incoming = self.shared.network.bind(&address).await.map_err(|source| {
            let what = if self.is_replica() { Port::Replica } else { Port::Duchy };
            StartError::Bind { what, address, source }
        })?;
        let address = incoming.address().to_owned();
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address.clone());
        self.publish_duchy_set(&loaded);
        let loaded = Arc::new(ArcSwap::from_pointee(loaded));
        let phase = Arc::new(watch::channel(Phase::Serve).0);
        let accepting = tokio::spawn(self.clone().accept(incoming));
        *self.state() = Some(Running { loaded, phase, accepting, address });
        self.count_running(|running| running + 1);
        self.event("started", None);
        Ok(())
    }

    /// There is one data server behind all replicas: the newest start decides its Duchy set.
    fn publish_duchy_set(&self, loaded: &LoadedFiles) {
        if self.is_replica() {
            self.shared.core.set_duchies(&loaded.contents.duchies);
        }
    }

    /// The fronts stand before the replicas alone.
    fn count_running(&self, count: impl Fn(usize) -> usize) {
        if self.is_replica() {
            self.shared.running.send_modify(|running| *running = count(*running));
        }
    }

    async fn accept(self: Arc<Self>, mut incoming: Box<dyn Incoming>) {
        let own = if self.is_replica() { Listener::Public } else { Listener::Duchy };
        loop {
            match incoming.accept().await {
                Ok((stream, peer)) => self.take(stream, peer, own),
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Serves a stream, if the replica runs; else drops it.
    fn take(
        self: &Arc<Self>,
        stream: crate::seam::transport::BoxStream,
        peer: String,
        listener: Listener,
    ) {
        let state = self.state();
        let Some(running) = state.as_ref() else { return };
        let loaded = running.loaded.load_full();
        let phase = running.phase.subscribe();
        drop(state);
        tokio::spawn(connection::serve(self.clone(), loaded, phase, stream, peer, listener));
    }

    fn is_running(&self) -> bool {
        self.state().is_some()
    }

    async fn stop(&self) {
        let Some(running) = self.state().take() else { return };
        self.count_running(|running| running - 1);
        // Both ports stop accepting together, then calls get the grace period (contract 5.5.2).
        running.accepting.abort();
        let _ = running.accepting.await;
        self.event("stopping", None);
        running.phase.send_replace(Phase::Drain(u64::MAX));
        let closed = running.phase.closed();
        if tokio::time::timeout(self.shared.grace, closed).await.is_err() {
            running.phase.send_replace(Phase::Cut(u64::MAX));
            running.phase.closed().await;
        }
        self.event("stopped", None);
    }

    fn kill(&self) {
        if let Some(running) = self.state().take() {
            self.count_running(|running| running - 1);
            running.accepting.abort();
            running.phase.send_replace(Phase::Cut(u64::MAX));
        }
    }

    fn drain(&self) {
        self.tell(Phase::Drain);
        self.event("draining", None);
    }

    fn cut(&self) {
        self.tell(Phase::Cut);
        self.event("cut", None);
    }

    fn tell(&self, phase: impl FnOnce(u64) -> Phase) {
        if let Some(running) = self.state().as_ref() {
            running.phase.send_modify(|old| {
                let n = match *old {
                    Phase::Serve => 0,
                    Phase::Drain(n) | Phase::Cut(n) => n,
                };
                *old = phase(n + 1);
            });
        }
    }

    fn reload(&self) -> Result<(), StartError> {
        let state = self.state();
        let Some(running) = state.as_ref() else { return Ok(()) };
        let outcome = LoadedFiles::read(self);
        let process = Some(self.process.clone());
        let mut event = Event { process, ..Event::new(Kind::Reload, "ok") };
        let result = match outcome {
            // Published whole and only if good: a bad file never displaces a good one.
            Ok(loaded) => {
                self.publish_duchy_set(&loaded);
                running.loaded.store(Arc::new(loaded));
                Ok(())
            }
            Err(error) => {
                event.outcome = "refused";
                event.detail = Some(error.to_string());
                Err(error)
            }
        };
        self.shared.core.events.record(self.shared.now(), event);
        result
    }

    fn status(&self) -> Status {
        let state = self.state();
        let running = state.as_ref();
        let loaded = running.map(|running| running.loaded.load_full());
        Status {
            state: if running.is_some() { "running" } else { "stopped" },
            address: running.map(|running| running.address.clone()),
            connections: running.map_or(0, |running| running.phase.receiver_count()),
            server: loaded.as_ref().map(|loaded| (*loaded.server).clone()),
            trust: loaded
                .as_ref()
                .map(|loaded| loaded.contents.trust.iter().map(|t| hex::encode(&t.skid)).collect())
                .unwrap_or_default(),
            principals: loaded
                .as_ref()
                .map(|loaded| {
                    loaded
                        .contents
                        .lookup
                        .entries()
                        .map(|(akid, p)| (hex::encode(akid), p))
                        .collect()
                })
                .unwrap_or_default(),
            client_auth: loaded.as_ref().map(|loaded| loaded.client_auth.name()),
        }
    }

    fn event(&self, outcome: &'static str, detail: Option<String>) {
        let process = Some(self.process.clone());
        let event = Event { process, detail, ..Event::new(Kind::Replica, outcome) };
        self.shared.core.events.record(self.shared.now(), event);
    }
}

/// One address in front of all replicas: accepted connections go round robin to the running ones,
/// counted from 0; with none running the address refuses connections.
struct Front {
    control: Control,
    listener: Listener,
    /// Whose turn the next connection is.
    turn: AtomicU64,
    /// Tells whether the address accepts connections.
    open: watch::Sender<bool>,
}

impl Front {
    async fn run(self, incoming: Box<dyn Incoming>) {
        let control = self.control.clone();
        accept_while_running(&control, incoming, &self.open, |stream, peer| {
            self.hand_over(stream, peer);
        })
        .await;
    }

    fn hand_over(&self, stream: crate::seam::transport::BoxStream, peer: String) {
        let running: Vec<_> =
            self.control.replicas.iter().filter(|replica| replica.is_running()).collect();
        if running.is_empty() {
            return;
        }
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        let index = usize::try_from(turn % running.len() as u64).unwrap_or(0);
        running[index].take(stream, peer, self.listener);
    }
}

/// Accepts streams as long as any replica runs; with none running the address refuses connections.
async fn accept_while_running(
    control: &Control,
    incoming: Box<dyn Incoming>,
    open: &watch::Sender<bool>,
    mut take: impl FnMut(crate::seam::transport::BoxStream, String),
) {
    let address = incoming.address().to_owned();
    let mut incoming = Some(incoming);
    let mut running = control.shared.running.subscribe();
    loop {
        if *running.borrow_and_update() == 0 {
            incoming = None;
            open.send_replace(false);
            if running.changed().await.is_err() {
                return;
            }
            continue;
        }
        let listener = match &mut incoming {
            Some(listener) => listener,
            None => match control.shared.network.bind(&address).await {
                Ok(listener) => incoming.insert(listener),
                Err(_) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                    continue;
                }
            },
        };
        open.send_replace(true);
        tokio::select! {
            biased;
            changed = running.changed() => if changed.is_err() { return },
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => take(stream, peer),
                // Such as too many open files: it passes, and must not spin meanwhile.
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            },
        }
    }
}

/// `--reload hot`: looks at the files' contents once a second.
async fn follow_files(control: Control, mut last: Vec<FilesDigest>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for (server, last) in control.servers().zip(&mut last) {
            let digest = files_digest(&server.files);
            if digest != *last {
                *last = digest;
                // A refused reload leaves its event; what was in force stays.
                let _ = server.reload();
            }
        }
    }
}

/// The content of each file, as far as it can be read.
type FilesDigest = Vec<Option<Vec<u8>>>;

fn files_digest(files: &Files) -> FilesDigest {
    Role::ALL.into_iter().map(|role| files.content(role)).collect()
}
