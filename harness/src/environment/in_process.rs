//! A Kingdom in this process, over whatever network: what loopback and simulation share.

use super::kustomize::Renderer;
use super::mount::Mount;
use super::sandboxes;
use super::secrets::Delivery;
use super::{
    Dial, Dialled, Environment, EventFilter, Listener, ReplicaAction, Setup, Target, Workplace,
};
use crate::error::Problem;
use crate::observation::{PeerFacts, ServerEvent, ServerFacts};
use fake_kingdom::audit::Head;
use fake_kingdom::duchy::Fulfilment;
use fake_kingdom::event::{Event, Kind, Process};
use fake_kingdom::fault::{FaultRule, NumberedRule};
use fake_kingdom::files::{Files, Role};
use fake_kingdom::model::{Mutation, Timestamp};
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::transport::Network;
use fake_kingdom::tls::ClientAuth;
use fake_kingdom::{
    Control, DuchyStatus, Kingdom, OpenConnection, Reload, ReplicaStatus, StartError,
};
use futures::future::{BoxFuture, LocalBoxFuture};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(super) struct InProcess {
    kingdom: Kingdom,
    files: Files,
    duchy_files: BTreeMap<String, Files>,
    commands: Option<ForCommands>,
    mount: Option<Mount>,
    sandbox: Arc<Sandbox>,
    clock: Clock,
    /// The events read so far: each is converted once.
    read: Mutex<Vec<ServerEvent>>,
}

/// What stands open for a user's own commands, as long as the scenario runs.
struct ForCommands {
    workplace: Workplace,
    controlling: JoinHandle<io::Result<()>>,
    /// Removed with the scenario.
    _folder: TempDir,
}

impl ForCommands {
    async fn open(kingdom: &Kingdom, folder: TempDir) -> Result<Self, Problem> {
        let unable = |error: io::Error| {
            Problem::environment(format!("no control listener: {error}"), "free a port, run again")
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(unable)?;
        let control = format!("http://{}", listener.local_addr().map_err(unable)?);
        let public = kingdom.public_address().to_owned();
        let serving = fake_kingdom::control::serve(listener, kingdom.control().clone());
        let workplace = Workplace { folder: folder.path().to_owned(), public, control };
        Ok(Self { workplace, controlling: tokio::spawn(serving), _folder: folder })
    }
}

impl Drop for ForCommands {
    fn drop(&mut self) {
        self.controlling.abort();
    }
}

fn get(files: &Files, role: Role) -> Option<Vec<u8>> {
    match files {
        Files::Memory(files) => files.get(role),
        Files::Disk(paths) => std::fs::read(paths.get(&role)?).ok(),
    }
}

/// Replaces a file whole: a reader sees the old content or the new.
fn put(files: &Files, role: Role, content: Vec<u8>) -> io::Result<()> {
    match files {
        Files::Memory(files) => {
            files.set(role, content);
            Ok(())
        }
        Files::Disk(paths) => {
            let missing = || io::Error::from(io::ErrorKind::NotFound);
            let path = paths.get(&role).ok_or_else(missing)?;
            let next = path.with_extension("next");
            std::fs::write(&next, content)?;
            std::fs::rename(next, path)
        }
    }
}

impl InProcess {
    pub(super) async fn start(
        setup: Setup,
        network: Arc<dyn Network>,
        renderer: Renderer,
    ) -> Result<Box<dyn Environment>, Problem> {
        let sandbox = sandboxes::at(setup.sandbox, setup.clock.now())?;
        let folder = if setup.for_commands { Some(folder_with(&sandbox)?) } else { None };
        let (files, duchy_files): (_, BTreeMap<_, _>) = match &folder {
            Some(folder) => {
                let duchies = sandbox.duchy_disk_files(folder.path());
                (Sandbox::disk_files(folder.path()), duchies.into_iter().collect())
            }
            None => {
                let duchies = sandbox.duchy_memory_files().into_iter();
                let duchies = duchies.map(|(duchy, files)| (duchy, Files::Memory(files)));
                (Files::Memory(sandbox.memory_files()), duchies.collect())
            }
        };
        if setup.delivery == Delivery::HashedName && setup.reload_hot {
            return Err(Problem::author(
                "a Secret with a hashed name never changes under a running replica, so there is \
                 nothing to read while it runs",
                "leave out `Given replicas read changed files while they run`",
            ));
        }
        let mount = match setup.delivery {
            Delivery::AtOnce => None,
            delivery => {
                let kustomization = setup.kustomization.as_ref().map(|files| (files, renderer));
                Some(Mount::new(&sandbox, delivery, kustomization, setup.on_disk).await?)
            }
        };
        let files = mount.as_ref().map_or(files, Mount::files);
        let duchies: Vec<_> =
            duchy_files.iter().map(|(duchy, files)| (duchy.clone(), files.clone())).collect();
        let provision = sandbox
            .provision()
            .map_err(|error| Problem::harness(format!("no resources: {error}")))?;
        let reload = if setup.reload_hot { Reload::Hot } else { Reload::AtStart };
        let kingdom = Kingdom::builder(files.clone())
            .provision(provision)
            .duchies(duchies)
            .network(network)
            .clock(setup.clock.clone())
            .seed(setup.seed)
            .quirks(setup.quirks)
            .protocols(setup.protocols)
            .replicas(setup.replicas)
            .reload(reload)
            .client_auth(setup.client_auth)
            .shutdown_grace_period(setup.grace)
            .alert(setup.alert)
            .start()
            .await
            .map_err(|error| match error {
                StartError::Bind { .. } => {
                    Problem::environment(error.to_string(), "free ports or descriptors, run again")
                }
                error => Problem::harness(format!("the Kingdom does not start: {error}")),
            })?;
        let commands = match folder {
            Some(folder) => Some(ForCommands::open(&kingdom, folder).await?),
            None => None,
        };
        Ok(Box::new(Self {
            kingdom,
            files,
            duchy_files,
            commands,
            mount,
            sandbox,
            clock: setup.clock,
            read: Mutex::new(Vec::new()),
        }))
    }

    fn fronts(&self) -> BTreeMap<Listener, String> {
        [
            (Listener::Public, self.kingdom.public_address()),
            (Listener::System, self.kingdom.system_address()),
            (Listener::Operator, self.kingdom.operator_address()),
            (Listener::Health, self.kingdom.health_address()),
        ]
        .map(|(listener, address)| (listener, address.to_owned()))
        .into()
    }

    fn events_after(&self, after: u64) -> Result<Vec<ServerEvent>, Problem> {
        let lost = |error: &dyn std::fmt::Display| {
            Problem::harness(format!("events cannot be read: {error}"))
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = read.last().map_or(0, |event| event.seq);
        let events = self.kingdom.control().events();
        for event in events.after(newest, usize::MAX).map_err(|e| lost(&e))? {
            read.push(shown(&event));
        }
        let first = read.partition_point(|event| event.seq <= after);
        Ok(read[first..].to_vec())
    }
}

impl Environment for InProcess {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    fn dial(&self, target: Target) -> LocalBoxFuture<'_, io::Result<Dialled>> {
        let dialler = self.dialler();
        Box::pin(async move { dialler.dial(&target).await })
    }

    fn dialler(&self) -> Arc<dyn Dial> {
        Arc::new(Dialler { control: self.kingdom.control().clone(), fronts: self.fronts() })
    }

    fn advance(&self, by: Duration) -> Result<(), Problem> {
        self.clock
            .advance(by)
            .map_err(|error| Problem::author(error.to_string(), "move the clock by less"))
    }

    fn act_on_replica(
        &self,
        id: u32,
        action: ReplicaAction,
    ) -> LocalBoxFuture<'_, Result<Result<(), String>, Problem>> {
        Box::pin(async move {
            let control = self.kingdom.control();
            if let (Some(mount), ReplicaAction::Start | ReplicaAction::Restart) =
                (&self.mount, action)
            {
                mount.replica_starts(id).await?;
            }
            let outcome = match action {
                ReplicaAction::Stop => control.stop(id).await,
                ReplicaAction::Start => control.start(id).await,
                ReplicaAction::Restart => control.restart(id).await,
                ReplicaAction::Drain => control.drain(id),
                ReplicaAction::Cut => control.cut(id),
                ReplicaAction::Reload => control.reload(id),
            };
            match outcome {
                Ok(()) => Ok(Ok(())),
                Err(StartError::NoSuchReplica(id)) => Err(Problem::author(
                    format!("there is no replica {id}"),
                    "count replicas from 0, or ask for more with `Given a Kingdom with N replicas`",
                )),
                Err(error @ StartError::Bind { .. }) => {
                    Err(Problem::environment(error.to_string(), "run again"))
                }
                Err(refusal) => Ok(Err(refusal.to_string())),
            }
        })
    }

    fn act_on_duchy<'a>(
        &'a self,
        duchy: &'a str,
        action: ReplicaAction,
    ) -> LocalBoxFuture<'a, Result<Result<(), String>, Problem>> {
        Box::pin(async move {
            let duchy = self.kingdom.control().duchy(duchy).map_err(|_| no_such_duchy(duchy))?;
            let outcome = match action {
                ReplicaAction::Start => duchy.start().await,
                ReplicaAction::Restart => duchy.restart().await,
                ReplicaAction::Reload => duchy.reload(),
                ReplicaAction::Stop => {
                    duchy.stop().await;
                    Ok(())
                }
                ReplicaAction::Drain => {
                    duchy.drain();
                    Ok(())
                }
                ReplicaAction::Cut => {
                    duchy.cut();
                    Ok(())
                }
            };
            match outcome {
                Ok(()) => Ok(Ok(())),
                Err(error @ StartError::Bind { .. }) => {
                    Err(Problem::environment(error.to_string(), "run again"))
                }
                Err(refusal) => Ok(Err(refusal.to_string())),
            }
        })
    }

    fn fulfilments(&self, duchy: &str) -> Result<Vec<Fulfilment>, Problem> {
        let duchy = self.kingdom.control().duchy(duchy).map_err(|_| no_such_duchy(duchy))?;
        Ok(duchy.fulfilments())
    }

    fn workplace(&self) -> Option<&Workplace> {
        self.commands.as_ref().map(|commands| &commands.workplace)
    }

    fn set_client_auth(&self, client_auth: ClientAuth) {
        self.kingdom.control().set_client_auth(client_auth);
    }

    fn client_auth(&self) -> ClientAuth {
        self.kingdom.control().client_auth()
    }

    fn file(&self, role: Role) -> Option<Vec<u8>> {
        match &self.mount {
            Some(mount) => mount.get(role),
            None => get(&self.files, role),
        }
    }

    fn secret_names(&self) -> Option<(String, BTreeMap<u32, String>)> {
        self.mount.as_ref()?.secret_names()
    }

    fn set_file(&self, role: Role, content: Vec<u8>) {
        if let Some(mount) = &self.mount {
            mount.apply(role, content);
            return;
        }
        // What is not written is not read either: the check that needs the change fails.
        let _ = put(&self.files, role, content);
    }

    fn duchy_file(&self, duchy: &str, role: Role) -> Option<Vec<u8>> {
        get(self.duchy_files.get(duchy)?, role)
    }

    fn set_duchy_file(&self, duchy: &str, role: Role, content: Vec<u8>) -> Result<(), Problem> {
        let files = self.duchy_files.get(duchy).ok_or_else(|| no_such_duchy(duchy))?;
        put(files, role, content)
            .map_err(|error| Problem::environment(error.to_string(), "free the disk, run again"))
    }

    fn has_alerts(&self) -> bool {
        let kept = self.kingdom.control().events().after(0, usize::MAX).unwrap_or_default();
        kept.iter().any(|event| event.kind == Kind::Alert)
    }

    fn last_event(&self) -> u64 {
        self.kingdom.control().events().last_seq()
    }

    fn event<'a>(
        &'a self,
        after: u64,
        filter: &'a EventFilter<'a>,
        patience: Duration,
    ) -> LocalBoxFuture<'a, Result<Option<ServerEvent>, Problem>> {
        Box::pin(async move {
            let mut newest = self.kingdom.control().events().subscribe();
            let search = async {
                loop {
                    newest.borrow_and_update();
                    let found = self.events_after(after)?.into_iter().find(|event| filter(event));
                    if found.is_some() {
                        return Ok(found);
                    }
                    if newest.changed().await.is_err() {
                        return Ok(None);
                    }
                }
            };
            tokio::time::timeout(patience, search).await.unwrap_or(Ok(None))
        })
    }

    fn events(&self, after: u64) -> Result<Vec<ServerEvent>, Problem> {
        self.events_after(after)
    }

    fn remove_fault(&self, id: u64) -> Option<NumberedRule> {
        self.kingdom.control().remove_fault(id)
    }

    fn add_fault(&self, rule: FaultRule) -> u64 {
        self.kingdom.control().add_fault(rule)
    }

    fn faults(&self) -> Vec<NumberedRule> {
        self.kingdom.control().list_faults()
    }

    fn audit_head(&self) -> Head {
        self.kingdom.control().audit_head()
    }

    fn append_audit(&self, actor: &str, entry: Mutation) -> Result<(), Problem> {
        let appended = self.kingdom.control().core().append_audit(actor, entry);
        let refused = |refusal: fake_kingdom::error::Refusal| {
            Problem::harness(format!("the audit trail: {}", refusal.message))
        };
        appended.map(|_| ()).map_err(refused)
    }

    fn replica_statuses(&self) -> Vec<ReplicaStatus> {
        let control = self.kingdom.control();
        control.replica_ids().into_iter().filter_map(|id| control.replica_status(id)).collect()
    }

    fn duchy_statuses(&self) -> Vec<DuchyStatus> {
        let control = self.kingdom.control();
        let status = |id: &Arc<str>| Some(control.duchy(id).ok()?.status());
        control.duchy_ids().iter().filter_map(status).collect()
    }

    fn connections(&self) -> Vec<OpenConnection> {
        self.kingdom.control().connections()
    }

    fn audit_lines(&self) -> Result<Vec<String>, Problem> {
        let lines = self.kingdom.control().core().audit_lines(1, usize::MAX);
        lines.map_err(|error| Problem::harness(format!("the audit trail: {error}")))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Dials this Kingdom from any task.
struct Dialler {
    control: Control,
    fronts: BTreeMap<Listener, String>,
}

impl Dialler {
    fn address(&self, target: &Target) -> Option<String> {
        match target {
            Target::Front(listener) => self.fronts.get(listener).cloned(),
            Target::Replica(id) => self.control.replica_status(*id)?.public,
            Target::Duchy(id) => self.control.duchy(id).ok()?.status().address,
        }
    }
}

impl Dial for Dialler {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Dialled>> {
        Box::pin(async move {
            let nobody = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let address = self.address(target).ok_or_else(nobody)?;
            let (stream, local) = self.control.network().connect(&address).await?;
            Ok(Dialled { stream, local })
        })
    }
}

/// An event as the control listener shows it (interfaces.md section 3), without its way through JSON.
fn shown(event: &Event) -> ServerEvent {
    let Event {
        seq,
        time,
        kind,
        outcome,
        cause,
        connection,
        process: _,
        request_id,
        method,
        code,
        principal,
        subject,
        detail,
    } = event;
    let text = |text: &Arc<str>| text.to_string();
    let connection = connection.as_deref();
    ServerEvent {
        seq: *seq,
        time: time.to_string(),
        replica: event.process().and_then(Process::replica),
        duchy: event.process().and_then(Process::duchy).map(text),
        connection: connection.map(|connection| connection.id),
        peer_address: connection.map(|connection| connection.peer_address.clone()),
        request_id: request_id.as_ref().map(text),
        kind: kind.name().to_owned(),
        outcome: (*outcome).to_owned(),
        cause: cause.map(|cause| cause.code().to_owned()),
        listener: connection.map(|connection| connection.listener.name().to_owned()),
        method: method.as_ref().map(text),
        code: code.map(str::to_owned),
        principal: principal.as_ref().map(text),
        peer: connection.and_then(|connection| connection.peer.as_ref()).map(|peer| PeerFacts {
            serial: peer.serial.clone(),
            skid: peer.skid.clone(),
            akid: peer.akid.clone(),
        }),
        server: connection.map(|connection| ServerFacts {
            serial: connection.server.serial.clone(),
            skid: connection.server.skid.clone(),
        }),
        subject: subject.clone(),
        detail: detail.clone(),
    }
}

/// A new folder with all files of a sandbox.
fn folder_with(sandbox: &Sandbox) -> Result<TempDir, Problem> {
    let unable = |what: String| Problem::environment(what, "free the temporary folder, run again");
    let folder = TempDir::new().map_err(|error| unable(error.to_string()))?;
    sandbox.write_material(folder.path()).map_err(|error| unable(error.to_string()))?;
    Ok(folder)
}

fn no_such_duchy(id: &str) -> Problem {
    Problem::author(
        format!("no Duchy `{id}` serves here"),
        "the Duchies of a sandbox are aggregator, worker1 and worker2",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use fake_kingdom::cause::Cause;
    use fake_kingdom::event;

    #[test]
    fn an_event_is_shown_as_the_control_listener_shows_it() {
        let connection = |process, listener, peer| event::Connection {
            id: 7,
            process,
            listener,
            peer_address: "127.0.0.1:4711".to_owned(),
            peer,
            server: Arc::new(event::ServerFacts { serial: "0a".to_owned(), skid: None }),
        };
        let peer = event::PeerFacts {
            serial: "0b".to_owned(),
            skid: Some("0c".to_owned()),
            akid: Some("0d".to_owned()),
        };
        let bare = Event::new(Kind::Alert, "raised");
        let call = Event {
            seq: 3,
            time: Timestamp::from_micros(1_234_567),
            cause: Some(Cause::UnknownIssuer),
            connection: Some(Arc::new(connection(
                Process::Replica(1),
                event::Listener::Public,
                Some(peer),
            ))),
            request_id: Some("r1".into()),
            method: Some("/a/B".into()),
            code: Some("UNAUTHENTICATED"),
            principal: Some("dataProviders/x".into()),
            subject: Some("subject".to_owned()),
            detail: Some("detail".to_owned()),
            ..Event::new(Kind::Call, "refused")
        };
        let of_duchy = Process::Duchy("worker1".into());
        let mut events = vec![
            Event { process: Some(Process::Replica(2)), ..Event::new(Kind::Replica, "started") },
            Event { process: Some(of_duchy.clone()), ..Event::new(Kind::Reload, "ok") },
            Event::new(Kind::Mutation, "ok"),
            Event::new(Kind::Fault, "fired"),
            bare,
            call,
        ];
        use event::Listener as L;
        events.extend([L::Public, L::System, L::Operator, L::Duchy].map(|listener| Event {
            connection: Some(Arc::new(connection(of_duchy.clone(), listener, None))),
            ..Event::new(Kind::Handshake, "ok")
        }));
        for event in events {
            let json = serde_json::to_vec(&event).unwrap();
            assert_eq!(shown(&event), serde_json::from_slice(&json).unwrap());
        }
    }
}
