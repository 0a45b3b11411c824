//! `fake-kingdom serve` (interfaces.md section 1).

use crate::control;
use crate::event::AlertSettings;
use crate::files::{Files, Role};
use crate::kingdom::{Addresses, Kingdom, Port, Reload, StartError};
use crate::model::Timestamp;
use crate::quirk::{Fidelity, Quirk, Quirks};
use crate::sandbox::{Ports, Sandbox, SandboxError, write_file};
use crate::seam::clock::Clock;
use crate::seam::entropy::Seed;
use crate::settings::Protocols;
use crate::tls::ClientAuth;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// A contract-exact fake of the Halo Kingdom, for tests. Not for production.
#[derive(Debug, Parser)]
#[command(name = "fake-kingdom", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the public, system, operator, health and control listeners until SIGTERM.
    Serve(Box<ServeArgs>),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Makes or reopens a sandbox in this folder, then serves it.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tls_cert_file", "tls_key_file", "cert_collection_file", "operator_cert_collection_file", "authority_key_identifier_to_principal_map_file", "duchy_info_config", "duchy_id_config"])]
    sandbox: Option<PathBuf>,
    /// The server's leaf, PEM; only its first certificate is used.
    #[arg(long, value_name = "F")]
    tls_cert_file: Option<PathBuf>,
    /// The leaf's key, PEM, PKCS#8.
    #[arg(long, value_name = "F")]
    tls_key_file: Option<PathBuf>,
    /// Roots that the public and system listeners trust, PEM.
    #[arg(long, value_name = "F")]
    cert_collection_file: Option<PathBuf>,
    /// Roots that the operator listener trusts, PEM.
    #[arg(long, value_name = "F")]
    operator_cert_collection_file: Option<PathBuf>,
    /// `AuthorityKeyToPrincipalMap`, text proto.
    #[arg(long, value_name = "F")]
    authority_key_identifier_to_principal_map_file: Option<PathBuf>,
    /// `DuchyCertConfig`, text proto.
    #[arg(long, value_name = "F")]
    duchy_info_config: Option<PathBuf>,
    /// `DuchyIdConfig`, text proto.
    #[arg(long, value_name = "F")]
    duchy_id_config: Option<PathBuf>,
    /// `RateLimitConfig`, text proto; without it there is no limit.
    #[arg(long, value_name = "F")]
    rate_limit_config_file: Option<PathBuf>,
    /// Chooses RO-LLv2 for reach.
    #[arg(long)]
    enable_ro_llv2_protocol: bool,
    /// Chooses HMSS where all providers support it.
    #[arg(long)]
    enable_hmss: bool,
    /// Chooses TrusTEE where all providers support it.
    #[arg(long)]
    enable_trustee: bool,

    /// Port of the public API, 0 = any free one [default: the sandbox's, else 0].
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Port of the system API.
    #[arg(long, value_name = "N")]
    system_port: Option<u16>,
    /// Port of the operator's internal API.
    #[arg(long, value_name = "N")]
    operator_port: Option<u16>,
    /// Port of plaintext gRPC health.
    #[arg(long, value_name = "N")]
    health_port: Option<u16>,
    /// Port of the control listener (HTTP).
    #[arg(long, value_name = "N")]
    control_port: Option<u16>,
    /// Address to listen on; other than loopback it needs --allow-remote.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Lets other machines connect, to the control listener too. The sandbox's authorities are for
    /// tests only.
    #[arg(long)]
    allow_remote: bool,

    /// Replicas behind the public address.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    replicas: u32,
    /// When a replica reads its files again.
    #[arg(long, value_enum, default_value_t = ReloadArg::AtStart)]
    reload: ReloadArg,
    /// Whether a client certificate is asked for [default: required].
    #[arg(long, value_name = "off|optional|required", conflicts_with = "require_client_auth")]
    client_auth: Option<ClientAuth>,
    /// The real server's spelling: true = required, false = optional.
    #[arg(long, value_name = "BOOL", num_args = 1)]
    require_client_auth: Option<bool>,
    /// Behaviour of every quirk.
    #[arg(long, value_name = "faithful|as-documented", default_value_t = Fidelity::Faithful)]
    fidelity: Fidelity,
    /// Behaviour of one quirk (repeatable).
    #[arg(long, value_name = "NAME=FIDELITY", value_parser = parse_quirk)]
    quirk: Vec<(Quirk, Fidelity)>,
    /// Prints every quirk with its clause and both behaviours, and ends.
    #[arg(long)]
    list_quirks: bool,

    /// Keeps the state in this folder; it survives `kill -9`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How long a stopping replica lets calls finish.
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = parse_seconds)]
    shutdown_grace_period_seconds: Duration,
    /// Form of the ready line.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Start of the fake's clock [default: now].
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    start_time: Option<Timestamp>,
    /// Seed of ids and, at the first start, of the sandbox's keys [default: random].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Authentication failures within 60 s that raise an alert; 0 = never.
    #[arg(long, value_name = "N", default_value_t = 20)]
    alert_threshold: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReloadArg {
    AtStart,
    Hot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

fn parse_quirk(text: &str) -> Result<(Quirk, Fidelity), String> {
    let (name, fidelity) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not NAME=faithful|as-documented"))?;
    let quirk = name.parse::<Quirk>().map_err(|error| error.to_string())?;
    Ok((quirk, fidelity.parse::<Fidelity>().map_err(|error| error.to_string())?))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is not an RFC 3339 time"))
}

/// Why the process ends with code 2.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("{0}")]
    Usage(String),
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// Runs the process; the exit code is 0 after a clean stop, 2 for a start that cannot succeed.
pub fn run(cli: Cli) -> ExitCode {
    let Command::Serve(args) = cli.command;
    if args.list_quirks {
        return list_quirks(args.format);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let outcome = runtime.block_on(serve(*args));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &ServeError) -> ExitCode {
    let _ = writeln!(io::stderr(), "fake-kingdom: {error}");
    ExitCode::from(2)
}

#[derive(Serialize)]
struct QuirkLine {
    name: &'static str,
    clause: &'static str,
    faithful: &'static str,
    as_documented: &'static str,
}

fn list_quirks(format: Format) -> ExitCode {
    let mut text = String::new();
    let lines: Vec<_> = Quirk::ALL
        .iter()
        .map(|quirk| QuirkLine {
            name: quirk.name(),
            clause: quirk.clause(),
            faithful: quirk.faithful(),
            as_documented: quirk.as_documented(),
        })
        .collect();
    match format {
        Format::Json => text = serde_json::to_string_pretty(&lines).unwrap_or_default() + "\n",
        Format::Human => {
            for line in lines {
                text += &format!(
                    "{} (contract {})\n  faithful:      {}\n  as-documented: {}\n",
                    line.name, line.clause, line.faithful, line.as_documented
                );
            }
        }
    }
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

async fn serve(args: ServeArgs) -> Result<(), ServeError> {
    if !args.bind.is_loopback() && !args.allow_remote {
        return Err(ServeError::Usage(format!(
            "--bind {} lets other machines connect to a fake with test authorities; add --allow-remote if you mean it",
            args.bind
        )));
    }
    let real_now = Clock::real().now();
    let seed = args.seed.map_or_else(Seed::random, Seed::new);
    let start = args.start_time.unwrap_or(real_now);
    let sandbox = match &args.sandbox {
        None => None,
        Some(folder) if folder.join("sandbox.json").exists() => {
            let sandbox = Sandbox::open(folder)?;
            if let Some(leaf) = sandbox.leaves_invalid_at(start).first() {
                return Err(ServeError::Usage(format!(
                    "the sandbox {} was made for another time: {leaf}, but the clock starts at {start}; make a new sandbox, or choose another --start-time",
                    folder.display()
                )));
            }
            Some(sandbox)
        }
        Some(folder) => {
            let sandbox = Sandbox::generate(seed, &[real_now, start])?;
            sandbox.write_material(folder)?;
            Some(sandbox)
        }
    };
    let kept = sandbox.as_ref().and_then(|sandbox| sandbox.ports().cloned()).unwrap_or_default();
    let wanted = Ports {
        public: args.port.unwrap_or(kept.public),
        system: args.system_port.unwrap_or(kept.system),
        operator: args.operator_port.unwrap_or(kept.operator),
        health: args.health_port.unwrap_or(kept.health),
        control: args.control_port.unwrap_or(kept.control),
        replicas: kept.replicas.clone(),
        duchies: kept.duchies.clone(),
    };

    let mut quirks = Quirks::all(args.fidelity);
    for (quirk, fidelity) in &args.quirk {
        quirks = quirks.with(*quirk, *fidelity);
    }
    let client_auth = match (args.client_auth, args.require_client_auth) {
        (Some(mode), _) => mode,
        (None, Some(false)) => ClientAuth::Optional,
        (None, Some(true) | None) => ClientAuth::Required,
    };
    let address = |port: u16| SocketAddr::new(args.bind, port).to_string();
    let clock = match args.start_time {
        Some(start) => Clock::real_from(start),
        None => Clock::real(),
    };
    let mut builder = Kingdom::builder(files(&args)?)
        .quirks(quirks)
        .protocols(Protocols {
            ro_llv2_enabled: args.enable_ro_llv2_protocol,
            hmss_enabled: args.enable_hmss,
            trustee_enabled: args.enable_trustee,
            ..Protocols::default()
        })
        .replicas(args.replicas)
        .reload(match args.reload {
            ReloadArg::AtStart => Reload::AtStart,
            ReloadArg::Hot => Reload::Hot,
        })
        .client_auth(client_auth)
        .clock(clock)
        .seed(seed)
        .data_dir(args.data_dir.clone())
        .shutdown_grace_period(args.shutdown_grace_period_seconds)
        .alert(AlertSettings { threshold: args.alert_threshold, ..AlertSettings::default() })
        .addresses(Addresses {
            public: address(wanted.public),
            system: address(wanted.system),
            operator: address(wanted.operator),
            health: address(wanted.health),
            replicas: wanted.replicas.iter().map(|&port| address(port)).collect(),
            duchies: wanted.duchies.iter().map(|(id, &port)| (id.clone(), address(port))).collect(),
            replica_host: args.bind.to_string(),
        });
    if let (Some(sandbox), Some(folder)) = (&sandbox, &args.sandbox) {
        builder = builder
            .origin(sandbox.fingerprint())
            .provision(sandbox.provision()?)
            .duchies(sandbox.duchy_disk_files(folder));
    }
    let signals = Signals::new()?;
    let kingdom = builder.start().await?;
    let control_address = address(wanted.control);
    let control = tokio::net::TcpListener::bind(&control_address).await.map_err(|source| {
        StartError::Bind { what: Port::Control, address: control_address, source }
    })?;

    let ready = ready(&kingdom, control.local_addr()?, args.sandbox.as_deref())?;
    let router = control::router(kingdom.control().clone());
    let controlling = tokio::spawn(async move { axum::serve(control, router).await });
    let ready_file = match (&args.sandbox, &sandbox) {
        (Some(folder), Some(sandbox)) => {
            let ports = ready.ports();
            // Ports are chosen at the first start and kept.
            sandbox.write(folder, sandbox.ports().unwrap_or(&ports), &ports)?;
            let path = folder.join("ready.json");
            write_file(&path, format!("{}\n", ready.json()).as_bytes(), false)?;
            Some(path)
        }
        _ => None,
    };
    announce(&ready, args.format)?;

    signals.drain_then(kingdom.shut_down()).await;
    controlling.abort();
    if let Some(path) = ready_file {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

fn files(args: &ServeArgs) -> Result<Files, ServeError> {
    let mut files = match &args.sandbox {
        Some(folder) => match Sandbox::disk_files(folder) {
            Files::Disk(paths) => paths,
            Files::Memory(_) => BTreeMap::new(),
        },
        None => {
            let mut paths = BTreeMap::new();
            for (role, path) in [
                (Role::TlsCert, &args.tls_cert_file),
                (Role::TlsKey, &args.tls_key_file),
                (Role::CertCollection, &args.cert_collection_file),
                (Role::OperatorCertCollection, &args.operator_cert_collection_file),
                (Role::PrincipalMap, &args.authority_key_identifier_to_principal_map_file),
                (Role::DuchyInfo, &args.duchy_info_config),
                (Role::DuchyIds, &args.duchy_id_config),
            ] {
                let path = path.clone().ok_or_else(|| {
                    ServeError::Usage(format!(
                        "give --sandbox DIR, or all of the real servers' files: {} is missing",
                        role.flag()
                    ))
                })?;
                paths.insert(role, path);
            }
            paths
        }
    };
    if let Some(path) = &args.rate_limit_config_file {
        files.insert(Role::RateLimit, path.clone());
    }
    Ok(Files::Disk(files))
}

/// The ready line (interfaces.md section 1).
#[derive(Serialize)]
struct Ready {
    ready: bool,
    public: String,
    system: String,
    operator: String,
    health: String,
    control: String,
    replicas: Vec<ReadyReplica>,
    duchies: BTreeMap<String, String>,
    sandbox: Option<String>,
    pid: u32,
}

#[derive(Serialize)]
struct ReadyReplica {
    id: u32,
    public: String,
}

fn ready(kingdom: &Kingdom, control: SocketAddr, sandbox: Option<&Path>) -> io::Result<Ready> {
    let handle = kingdom.control();
    Ok(Ready {
        ready: true,
        public: kingdom.public_address().to_owned(),
        system: kingdom.system_address().to_owned(),
        operator: kingdom.operator_address().to_owned(),
        health: kingdom.health_address().to_owned(),
        control: format!("http://{control}"),
        replicas: handle
            .replica_ids()
            .into_iter()
            .filter_map(|id| Some(ReadyReplica { id, public: handle.replica_status(id)?.public? }))
            .collect(),
        duchies: handle
            .duchy_ids()
            .into_iter()
            .filter_map(|id| Some((id.to_string(), handle.duchy(&id).ok()?.status().address?)))
            .collect(),
        sandbox: sandbox.map(std::path::absolute).transpose()?.map(|p| p.display().to_string()),
        pid: std::process::id(),
    })
}

impl Ready {
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn ports(&self) -> Ports {
        let port = |address: &str| {
            address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
        };
        Ports {
            public: port(&self.public),
            system: port(&self.system),
            operator: port(&self.operator),
            health: port(&self.health),
            control: port(&self.control),
            replicas: self.replicas.iter().map(|replica| port(&replica.public)).collect(),
            duchies: self.duchies.iter().map(|(id, address)| (id.clone(), port(address))).collect(),
        }
    }
}

fn announce(ready: &Ready, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", ready.json())?,
        Format::Human => writeln!(
            out,
            "ready: public {}, system {}, operator {}, health {}, control {}, {} replicas{}{} (TEST ONLY; SIGTERM or Ctrl-C stops it)",
            ready.public,
            ready.system,
            ready.operator,
            ready.health,
            ready.control,
            ready.replicas.len(),
            ready
                .duchies
                .iter()
                .map(|(id, address)| format!(", {id} {address}"))
                .collect::<String>(),
            ready.sandbox.as_ref().map(|folder| format!(", sandbox {folder}")).unwrap_or_default()
        )?,
    }
    out.flush()
}

/// SIGTERM and Ctrl-C.
struct Signals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The first signal drains, a second one ends at once.
    async fn drain_then(mut self, drain: impl Future<Output = ()>) {
        self.next().await;
        let _ = writeln!(io::stderr(), "fake-kingdom: stopping; a second signal ends at once");
        tokio::select! {
            biased;
            () = self.next() => {}
            () = drain => {}
        }
    }
}
