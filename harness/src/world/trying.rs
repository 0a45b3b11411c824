//! Trying a credential where it could work, as whoever holds it would.

use super::{Call, World};
use crate::client::{Credential, Outcome, TransportError};
use crate::environment::{Listener, Target};
use crate::error::Problem;
use crate::observation::{Attempt, CredentialKind, Fact, Finding, ServerEvent, Trial};
use crate::participant::SigningPair;
use crate::verdict::deadness::{self, Again, KINGDOM, SYSTEM_API, Surviving, identity_refusal};
use fake_kingdom::cause::Cause;
use fake_kingdom::sandbox::ParticipantKind;
use halo_pki::{Authority, LeafSpec, Validity};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A call that is over, as far as trials look back at it.
#[derive(Clone, Debug)]
pub struct PastCall {
    /// Who called.
    pub actor: String,
    /// `/package.Service/Method`.
    pub method: String,
    /// All it sent.
    pub request: Vec<u8>,
    /// All that was answered.
    pub response: Vec<u8>,
    /// The status that arrived.
    pub code: Option<&'static str>,
    /// What the server recorded.
    pub event: Option<ServerEvent>,
    /// How many facts the log had when it was over.
    pub facts: usize,
}

impl PastCall {
    /// The call as one use of the credential it names.
    pub fn attempt(&self) -> Attempt {
        let event = self.event.as_ref();
        let cause = event.and_then(|event| event.cause.clone());
        Attempt {
            time: event.map(|event| event.time.clone()).unwrap_or_default(),
            refused_for: match self.code {
                Some("OK") => None,
                code => Some(cause.unwrap_or_else(|| code.unwrap_or("no status").to_owned())),
            },
            events: event.map(|event| event.seq).into_iter().collect(),
        }
    }

    /// Whether the call mentions a resource at all, whatever the Kingdom went by.
    pub fn mentions(&self, resource: &str) -> bool {
        let within = |bytes: &[u8]| {
            bytes.windows(resource.len().max(1)).any(|part| part == resource.as_bytes())
        };
        !resource.is_empty() && (within(&self.request) || within(&self.response))
    }

    /// Whether the call was about a resource: what was answered names it, or where nothing was, what
    /// was sent or what the server recorded.
    pub fn names(&self, resource: &str) -> bool {
        let within = |bytes: &[u8]| {
            bytes.windows(resource.len().max(1)).any(|part| part == resource.as_bytes())
        };
        // What is sent may name a certificate that the Kingdom does not go by (contract 1.5.14).
        let sent = within(if self.response.is_empty() { &self.request } else { &self.response });
        let recorded = self.event.as_ref().is_some_and(|event| {
            [&event.subject, &event.detail]
                .into_iter()
                .flatten()
                .any(|text| text.contains(resource))
        });
        !resource.is_empty() && (sent || recorded)
    }
}

/// A credential of mTLS that a trial showed dead at its door, by which it is tried once more.
#[derive(Clone)]
pub(super) struct DeadTls {
    trial: Trial,
    credential: Credential,
    /// Of a root its authority: whoever has its key issues a leaf at any time.
    root: Option<Authority>,
    /// How many facts the log had when it was shown dead.
    facts: usize,
}

/// A signing certificate that was shown dead to a party of an exchange, by which it is tried once more.
#[derive(Clone)]
pub(crate) struct DeadToPeer {
    /// By what it was shown.
    pub(crate) trial: Trial,
    /// Who no longer takes what is signed with it.
    pub(crate) party: String,
    /// With what whoever has its key signs.
    pub(crate) pair: SigningPair,
}

/// One call of a trial.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Why it was refused; `None` if its caller was taken for its owner.
    pub refused_for: Option<String>,
    /// What the server recorded: of the call, or of its refused handshake.
    pub event: Option<ServerEvent>,
}

/// Whether a trial sends the actor's own metadata, its API key among it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepsKey {
    Yes,
    No,
}

/// One server that tells callers apart by their certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Server {
    Replica(u32),
    /// The system API has one address in front of all replicas.
    SystemApi,
    Duchy(String),
}

/// How long the servers may take to notice that a connection was closed.
const CLOSING_PATIENCE: Duration = Duration::from_millis(500);
/// How long one try of the last look may take: a server's record of it may come as late as
/// [`super::EVENT_PATIENCE`], and a network that swallows it never ends it.
pub(crate) const LAST_LOOK_PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two looks.
const CLOSING_PAUSE: Duration = Duration::from_millis(5);

impl World {
    /// The doors at which a credential of this actor could work: the public API, for a Duchy the
    /// system API, and every Duchy whose map has the actor.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn doors(&mut self, actor: &str) -> Result<Vec<String>, Problem> {
        self.actor(actor).await?;
        let environment = self.running()?;
        let participant = environment.sandbox().participant(actor);
        let kind = participant.map(|participant| participant.kind);
        let mut doors = vec![KINGDOM.to_owned()];
        match kind {
            Some(ParticipantKind::Duchy) => doors.push(SYSTEM_API.to_owned()),
            Some(ParticipantKind::DataProvider) => {
                doors.extend(environment.duchy_statuses().into_iter().map(|duchy| duchy.id));
            }
            _ => {}
        }
        Ok(doors)
    }

    /// Uses a credential at a door: one attempt at every replica of the Kingdom, or at the Duchy's one
    /// server. A replica that does not run refuses whatever is tried, so that it shows no death.
    ///
    /// # Errors
    /// There is no such door, or not every replica was reached.
    pub async fn attempts(
        &mut self,
        actor: &str,
        credential: &Credential,
        door: &str,
    ) -> Result<Vec<Attempt>, Problem> {
        let doors = self.doors(actor).await?;
        if !doors.iter().any(|known| known == door) {
            let what = format!("{actor}'s credential could never work at `{door}`");
            return Err(Problem::author(what, format!("its doors are {}", doors.join(", "))));
        }
        if door == SYSTEM_API {
            return self.attempts_at_each_replica(actor, credential).await;
        }
        let servers = match door {
            KINGDOM => (0..self.replicas()).map(Server::Replica).collect(),
            duchy => vec![Server::Duchy(duchy.to_owned())],
        };
        let mut attempts = Vec::new();
        for server in servers {
            attempts.push(self.attempt(actor, credential, server).await?.1);
        }
        Ok(attempts)
    }

    /// The system API's address hands connections to the running replicas in turn: tried until each of
    /// them has answered or refused; in the order of the replicas.
    async fn attempts_at_each_replica(
        &mut self,
        actor: &str,
        credential: &Credential,
    ) -> Result<Vec<Attempt>, Problem> {
        let replicas = self.replicas() as usize;
        let mut reached = BTreeMap::new();
        // Somebody else's connections can take a turn.
        for _ in 0..3 * replicas {
            let (event, attempt) = self.attempt(actor, credential, Server::SystemApi).await?;
            let replica = event.and_then(|event| event.replica);
            reached.entry(replica.unwrap_or_default()).or_insert(attempt);
            if reached.len() == replicas {
                return Ok(reached.into_values().collect());
            }
        }
        Err(Problem::author(
            format!(
                "{SYSTEM_API} was tried {} times, and only {} of {replicas} replicas were reached",
                3 * replicas,
                reached.len()
            ),
            "let every replica run before a credential is tried there",
        ))
    }

    /// The connections that are open at a door under an old credential, each with the newest call on it.
    /// On the one that the actor itself keeps open a call is made now; of others, such as the channels
    /// of probes, the server's record tells.
    ///
    /// # Errors
    /// The server's events cannot be read.
    pub async fn surviving(
        &mut self,
        actor: &str,
        kind: CredentialKind,
        credential: &str,
        door: &str,
    ) -> Result<Vec<Surviving>, Problem> {
        let under = |world: &Self| -> Result<Vec<_>, Problem> {
            let mut open = world.running()?.connections();
            open.retain(|open| deadness::is_open_under(open, kind, credential, door));
            Ok(open)
        };
        let kept = self.open.get(actor).map(|kept| kept.local.clone());
        // What was closed just now is not open, though the server may not have noticed yet.
        let settled = async {
            loop {
                let open = under(self)?;
                let is_kept = |address: &String| kept.as_ref() == Some(address);
                if open.iter().all(|open| is_kept(&open.peer_address)) {
                    return Ok(open);
                }
                tokio::time::sleep(CLOSING_PAUSE).await;
            }
        };
        let open = match tokio::time::timeout(CLOSING_PATIENCE, settled).await {
            Ok(open) => open?,
            Err(_) => under(self)?,
        };
        if open.iter().any(|open| kept.as_ref() == Some(&open.peer_address)) {
            self.call_on_kept(actor).await?;
        }
        let events = if open.is_empty() { Vec::new() } else { self.running()?.events(0)? };
        // That call may have shown that it is closed.
        let still: Vec<_> = under(self)?.into_iter().map(|open| open.id).collect();
        let newest = |id: u64| {
            let mut calls = events.iter().rev().filter(|event| event.kind == "call");
            let event = calls.find(|event| event.connection == Some(id))?;
            Some(Attempt {
                time: event.time.clone(),
                refused_for: identity_refusal(event),
                events: vec![event.seq],
            })
        };
        let open = open.into_iter().filter(|open| still.contains(&open.id));
        Ok(open.map(|open| Surviving { id: open.id, newest: newest(open.id) }).collect())
    }

    /// A call over the connection that the actor keeps open, by which its record is the newest.
    async fn call_on_kept(&mut self, actor: &str) -> Result<(), Problem> {
        // What came before was for other steps to look at, and this call is looked at here.
        self.looked_at = true;
        let text = format!("parent: \"{{{actor}}}\"");
        let called = self.call(actor, "Certificates.ListCertificates", &text, None).await;
        self.looked_at = true;
        called
    }

    async fn attempt(
        &mut self,
        actor: &str,
        credential: &Credential,
        server: Server,
    ) -> Result<(Option<ServerEvent>, Attempt), Problem> {
        // Only the certificate is tried: an API key would be an identity of its own.
        let tried = self.try_at(actor, Some(credential.clone()), KeepsKey::No, server).await?;
        let now = self.clock().now().to_string();
        let attempt = Attempt {
            time: tried.event.as_ref().map_or(now, |event| event.time.clone()),
            refused_for: tried.refused_for,
            events: tried.event.iter().map(|event| event.seq).collect(),
        };
        Ok((tried.event, attempt))
    }

    /// Calls every replica with this leaf or none, and with the actor's own API key, in their order.
    ///
    /// # Errors
    /// There is no such actor.
    pub async fn try_by_key(
        &mut self,
        actor: &str,
        credential: Option<&Credential>,
    ) -> Result<Vec<Tried>, Problem> {
        let mut all = Vec::new();
        for id in 0..self.replicas() {
            let server = Server::Replica(id);
            all.push(self.try_at(actor, credential.cloned(), KeepsKey::Yes, server).await?);
        }
        Ok(all)
    }

    async fn try_at(
        &mut self,
        actor: &str,
        credential: Option<Credential>,
        keeps_key: KeepsKey,
        server: Server,
    ) -> Result<Tried, Problem> {
        let kept = self.open.remove(actor);
        let guise = self.actor(actor).await?;
        let worn = std::mem::replace(&mut guise.credential, credential);
        let metadata = guise.metadata.clone();
        if keeps_key == KeepsKey::No {
            guise.metadata.clear();
        }
        let (method, text, target) = match server {
            Server::Replica(id) => (
                "Certificates.ListCertificates",
                format!("parent: \"{{{actor}}}\""),
                Target::Replica(id),
            ),
            Server::SystemApi => (
                "system Computations.GetComputation",
                "name: \"computations/AAAAAAAAAZQ\"".to_owned(),
                Target::Front(Listener::System),
            ),
            Server::Duchy(ref id) => (
                "RequisitionFulfillment.FulfillRequisition",
                format!("header {{ name: \"{{{actor}}}/requisitions/AAAAAAAAAZQ\" nonce: 1 }}"),
                Target::Duchy(id.clone()),
            ),
        };
        // What came before was for other steps to look at, and this call is looked at here.
        self.looked_at = true;
        let called = self.call(actor, method, &text, Some(target)).await;
        self.looked_at = true;
        let guise = self.actor(actor).await?;
        guise.credential = worn;
        guise.metadata = metadata;
        if let Some(kept) = kept {
            self.open.insert(actor.to_owned(), kept);
        }
        called?;
        let own = self.fill(&format!("{{{actor}}}"))?;
        let event = match &self.last()?.outcome {
            Outcome::Answered { .. } => self.call_event().await?,
            Outcome::Broken(TransportError::NobodyListens) => None,
            Outcome::Broken(_) => self.handshake_event().await?,
        };
        let refused_for = refusal(self.last()?, event.as_ref(), &own, &server);
        Ok(Tried { refused_for, event })
    }

    /// Begins to watch a credential of mTLS that a trial showed to be dead. `root`: its authority, if it is a
    /// root.
    pub fn watch_dead_tls(
        &mut self,
        trial: &Trial,
        credential: &Credential,
        root: Option<&Authority>,
    ) {
        self.dead_tls.retain(|one| !one.trial.is_of_the_same(trial));
        self.dead_tls.push(DeadTls {
            trial: trial.clone(),
            credential: credential.clone(),
            root: root.cloned(),
            facts: self.log.all().len(),
        });
    }

    /// The last look of a scenario: tries every credential of mTLS that was shown dead once more at its
    /// door, for files can bring it back and nobody need use it there; and at the Duchies that are no door of
    /// its owner's, where it may still pass the door of TLS (1.7.15, 5.9.2). One that is accepted again counts
    /// before what proves nothing.
    ///
    /// # Errors
    /// A call cannot be made at all or does not end, or what it meets is neither an acceptance nor a death.
    pub async fn look_at_dead_tls(&mut self) -> Result<(), Problem> {
        if self.dead_tls.is_empty() {
            return Ok(());
        }
        self.alerts_until = Some(self.running()?.last_event());
        let (mut is_alive, mut unproved) = (false, None);
        let mut passed: Vec<(CredentialKind, String)> = Vec::new();
        for dead in self.dead_tls.clone() {
            let credential = self.leaf_of_dead(&dead)?;
            match self.look_again(&dead, &credential).await {
                Ok(alive) => is_alive |= alive,
                Err(Unseen::NotEnded(problem)) => {
                    unproved = unproved.or(Some(problem));
                    break;
                }
                Err(Unseen::Unproved(problem)) => unproved = unproved.or(Some(problem)),
            }
            let known = (dead.trial.kind, dead.trial.credential.clone());
            if !passed.contains(&known) {
                if let Err(problem) = self.look_who_lets_pass(&dead.trial, &credential).await {
                    unproved = unproved.or(Some(problem));
                    break;
                }
                passed.push(known);
            }
        }
        match unproved {
            Some(problem) if !is_alive => Err(problem),
            _ => Ok(()),
        }
    }

    /// What is shown of a dead credential: itself, or of a root a leaf that was issued just now.
    fn leaf_of_dead(&mut self, dead: &DeadTls) -> Result<Credential, Problem> {
        let Some(root) = &dead.root else { return Ok(dead.credential.clone()) };
        let validity = Validity::days(self.now() - time::Duration::days(1), 365);
        let spec = LeafSpec::new(format!("{} TEST ONLY", dead.trial.owner), validity);
        let leaf = root.issue(&spec, self.rng());
        let leaf = leaf.map_err(|error| Problem::harness(error.to_string()))?;
        let chain = vec![leaf.certificate_der().to_vec()];
        Ok(Credential { chain, key: leaf.key().pkcs8_der().to_vec() })
    }

    /// Tries a dead credential once more at each server behind its door; whether one accepted it.
    async fn look_again(
        &mut self,
        dead: &DeadTls,
        credential: &Credential,
    ) -> Result<bool, Unseen> {
        let trial = &dead.trial;
        let replicas = self.replicas();
        let servers: Vec<Server> = match trial.door.as_str() {
            KINGDOM => (0..replicas).map(Server::Replica).collect(),
            // Somebody else's connections can take a turn.
            SYSTEM_API => vec![Server::SystemApi; 3 * replicas as usize],
            duchy => vec![Server::Duchy(duchy.to_owned())],
        };
        let (mut is_alive, mut unproved) = (false, None);
        let mut reached = BTreeSet::new();
        let unheard = |world: &Self| {
            let changed = deadness::placed_since(world.log.all(), dead.facts, &trial.door);
            changed.then(|| deadness::unheard(trial))
        };
        for server in servers {
            if server == Server::SystemApi && reached.len() == replicas as usize {
                break;
            }
            let tried = self.attempt(&trial.owner, credential, server);
            let tried = tokio::time::timeout(LAST_LOOK_PATIENCE, tried).await;
            let tried = tried.map_err(|_| Unseen::NotEnded(not_ended(trial)))?;
            let (event, old) = tried.map_err(Unseen::Unproved)?;
            if old.refused_for.as_deref() == Some(Cause::NobodyListens.code()) {
                unproved = unproved.or_else(|| unheard(self));
                continue;
            }
            reached.insert(event.as_ref().and_then(|event| event.replica));
            let passed = event.is_some_and(|event| {
                event.kind == "call" && event.peer.is_some_and(|peer| peer.akid.is_some())
            });
            match deadness::again(trial, &old, passed) {
                Again::Dead(left) => {
                    if let Some(text) = left.filter(|_| trial.old.refused_for != old.refused_for) {
                        self.found("leaf_refused_by_the_map_alone", "2.4", text, old.events);
                    }
                }
                Again::Alive(how) => {
                    is_alive = true;
                    let what = match how {
                        Some(how) => format!("{}, {how}", trial.what),
                        None => trial.what.clone(),
                    };
                    let old = Attempt { refused_for: None, ..old };
                    self.tried(Trial {
                        what,
                        old,
                        new: None,
                        earlier: Vec::new(),
                        ..trial.clone()
                    });
                }
                Again::Unproved => {
                    unproved = unproved.or_else(|| Some(deadness::unproved(trial, &old)));
                }
            }
        }
        if trial.door == SYSTEM_API && reached.len() < replicas as usize {
            unproved = unproved.or_else(|| unheard(self));
        }
        match unproved {
            Some(problem) if !is_alive => Err(Unseen::Unproved(problem)),
            _ => Ok(is_alive),
        }
    }

    /// Notes at which Duchies that are no door of its owner's a dead credential passes the door of TLS.
    async fn look_who_lets_pass(
        &mut self,
        trial: &Trial,
        credential: &Credential,
    ) -> Result<(), Problem> {
        let doors = self.doors(&trial.owner).await?;
        let duchies = self.running()?.duchy_statuses();
        // By whom the map there takes it for; nobody first.
        let mut open: BTreeMap<Option<String>, (Vec<String>, Vec<u64>)> = BTreeMap::new();
        for id in duchies.into_iter().map(|duchy| duchy.id).filter(|id| !doors.contains(id)) {
            let (worn, server) = (Some(credential.clone()), Server::Duchy(id.clone()));
            let tried = self.try_at(&trial.owner, worn, KeepsKey::No, server);
            let tried = tokio::time::timeout(LAST_LOOK_PATIENCE, tried).await;
            let tried = tried.map_err(|_| not_ended(trial))??;
            if let Some(event) = tried.event.filter(|event| event.kind == "call") {
                let of = open.entry(event.principal).or_default();
                of.0.push(id);
                of.1.push(event.seq);
            }
        }
        let own = self.running()?.sandbox().participant(&trial.owner);
        let is_duchy = own.is_some_and(|own| own.kind == ParticipantKind::Duchy);
        for (principal, (duchies, evidence)) in open {
            let (owner, what, duchies) = (&trial.owner, &trial.what, duchies.join(", "));
            if let Some(principal) = principal {
                let text = format!(
                    "{owner}'s {what} still works at {duchies}: its root is in the bundle there, and the \
                     principal map there has its row, so that it is accepted as {principal}, and what is \
                     called there is refused only because nothing there is that caller's (1.7.15); the \
                     root's removal from each of these bundles is the only end (2.8)"
                );
                self.found("old_credential_accepted", "1.7.15", text, evidence);
                continue;
            }
            let text = format!(
                "{owner}'s {what} passes the door of TLS of {duchies} still, as its root is in the bundle \
                 there: it is nobody only as long as the principal map there has no row for that root \
                 (1.7.15); the root's removal from each of these bundles is the only end (2.8)"
            );
            // A Duchy's root is in every Duchy's bundle, since Duchies call each other.
            let clause = if is_duchy { "5.9.2" } else { "1.7.15" };
            self.found("leaf_refused_by_the_map_alone", clause, text, evidence);
        }
        Ok(())
    }

    /// Notes what the owners of credentials that were tried present now: that is meant to work.
    pub fn note_present(&mut self) {
        let tried = self.log.all().iter().filter_map(|observation| match &observation.fact {
            Fact::Trial(trial) => Some(trial.owner.clone()),
            _ => None,
        });
        for actor in tried.collect::<BTreeSet<_>>() {
            let worn = self.guises.get(&actor).and_then(|guise| guise.credential.as_ref());
            let leaf = worn.and_then(|credential| credential.chain.first());
            let Some(facts) = leaf.and_then(|leaf| halo_pki::inspect(leaf).ok()) else { continue };
            let akid = facts.akid().map(hex::encode).unwrap_or_default();
            let skid = facts.skid.map(hex::encode).unwrap_or_default();
            self.record(Fact::Presents { actor, skid, akid });
        }
    }

    /// Begins to watch a signing certificate that a trial showed to be dead to a party of an exchange.
    pub(crate) fn watch_dead_to_peer(&mut self, dead: DeadToPeer) {
        self.dead_to_peers.retain(|one| !one.trial.is_of_the_same(&dead.trial));
        self.dead_to_peers.push(dead);
    }

    /// What was shown dead to parties of exchanges.
    pub(crate) fn dead_to_peers(&self) -> Vec<DeadToPeer> {
        self.dead_to_peers.clone()
    }

    /// Notes a trial.
    pub fn tried(&mut self, trial: Trial) {
        self.record(Fact::Trial(Box::new(trial)));
    }

    /// Notes what servers recorded under the credentials that were tried, in calls that no step made:
    /// reference participants dial connections of their own.
    ///
    /// # Errors
    /// The events cannot be read.
    pub fn overhear(&mut self) -> Result<(), Problem> {
        let is_trial = |observation: &crate::observation::Observation| {
            matches!(observation.fact, Fact::Trial(_))
        };
        if !self.log.all().iter().any(is_trial) {
            return Ok(());
        }
        let events = self.running()?.events(0)?;
        for event in deadness::overheard(self.log.all(), &events) {
            self.record(Fact::Overheard(Box::new(event)));
        }
        Ok(())
    }

    /// Notes a finding.
    pub fn found(&mut self, code: &str, clause: &str, text: String, evidence: Vec<u64>) {
        let (code, clause) = (code.to_owned(), clause.to_owned());
        self.record(Fact::Finding(Finding { code, clause, text, evidence }));
    }

    /// The calls of a method so far, oldest first; `Service.Method`, with or without its package.
    pub fn past_calls(&self, method: &str) -> Vec<PastCall> {
        let wanted = match method.rsplit_once('.') {
            Some((service, method)) => format!("{service}/{method}"),
            None => method.to_owned(),
        };
        self.past.iter().filter(|call| call.method.ends_with(&wanted)).cloned().collect()
    }

    /// Notes calls that were accepted under a signing certificate after it had been shown dead for their
    /// method: the log alone does not know what a call names.
    pub fn note_revivals(&mut self) {
        let mut again = Vec::new();
        for (at, observation) in self.log.all().iter().enumerate() {
            let Fact::Trial(trial) = &observation.fact else { continue };
            let is_dead = trial.kind == CredentialKind::SigningCertificate
                && trial.new.is_some()
                && trial.old.refused_for.is_some();
            if !is_dead || !trial.door.contains('.') {
                continue;
            }
            let accepted = self.past_calls(&trial.door).into_iter().find(|call| {
                call.facts > at
                    && call.mentions(&trial.credential)
                    && call.attempt().refused_for.is_none()
            });
            if let Some(call) = accepted {
                again.push(Trial { old: call.attempt(), new: None, ..(**trial).clone() });
            }
        }
        for trial in again {
            self.record(Fact::Trial(Box::new(trial)));
        }
    }

    /// Remembers the last call with what the server recorded of it.
    pub(super) fn remember(&mut self, request: Vec<u8>, event: Option<&ServerEvent>) {
        let facts = self.log.all().len();
        if let Some(call) = &self.last {
            let (code, response) = match &call.outcome {
                Outcome::Answered { status, messages } => (Some(status.code), messages.concat()),
                Outcome::Broken(_) => (None, Vec::new()),
            };
            let event = event.cloned();
            let (actor, method) = (call.actor.clone(), call.method.path());
            self.past.push(PastCall { actor, method, request, response, code, event, facts });
        }
    }
}

/// Why the last look shows nothing.
enum Unseen {
    /// A try did not end: whatever comes next would not either.
    NotEnded(Problem),
    /// What it met is neither an acceptance nor a death.
    Unproved(Problem),
}

/// That a try of the last look did not end.
pub(crate) fn not_ended(trial: &Trial) -> Problem {
    Problem::author(
        format!(
            "{}'s {} was tried once more when the scenario ended, and the try did not end within {} s: \
             whether it is dead still is not known",
            trial.owner,
            trial.what,
            LAST_LOOK_PATIENCE.as_secs()
        ),
        "let its owner's network and the servers answer again before the scenario ends",
    )
}

/// Why a server did not take the caller for its owner; `None` if it did.
fn refusal(call: &Call, event: Option<&ServerEvent>, own: &str, server: &Server) -> Option<String> {
    let code = match &call.outcome {
        Outcome::Answered { status, .. } => status.code,
        Outcome::Broken(TransportError::NobodyListens) => {
            return Some(Cause::NobodyListens.code().to_owned());
        }
        Outcome::Broken(_) => "no status",
    };
    let Some(event) = event else { return Some(format!("{code}, without a record")) };
    if let Some(cause) = identity_refusal(event) {
        return Some(cause);
    }
    if event.principal.as_deref() != Some(own) {
        return Some(format!(
            "{}{}",
            deadness::TAKEN_FOR,
            event.principal.as_deref().unwrap_or("nobody")
        ));
    }
    match server {
        // This call has to succeed; the others get as far as a resource that does not exist.
        Server::Replica(_) if code != "OK" => {
            Some(event.cause.clone().unwrap_or_else(|| code.to_owned()))
        }
        _ => None,
    }
}
