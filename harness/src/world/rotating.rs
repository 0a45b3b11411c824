//! A procedure within a scenario: what its phases do, what its gates look at, and the way back.

use super::trust_files::{entry, joined, without_entry, without_root};
use super::{OPERATOR, World};
use crate::client::Credential;
use crate::environment::ReplicaAction;
use crate::error::Problem;
use crate::observation::Fact;
use crate::procedure::gate::{Holder, Identity, Observed, Rotation, gate};
use crate::procedure::seen::Seen;
use crate::procedure::{Gate, Phase, PhaseRecord, Procedure, Refusal};
use crate::verdict::credentials::KINGDOM;
use crate::verdict::trust::{InForce, Trust};
use fake_kingdom::cause::Cause;
use fake_kingdom::files::Role;
use fake_kingdom::model::{Mutation, Timestamp};
use fake_kingdom::sandbox::ParticipantKind;
use halo_pki::{Authority, AuthoritySpec, Leaf, LeafSpec, Validity};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a phase waits for its gate.
pub const GATE_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks at a gate.
const GATE_PAUSE: Duration = Duration::from_millis(20);

/// What the trail calls the end of a phase, and what a phase's way back.
const PHASE_DONE: &str = "rotation_phase";
const PHASE_BROKEN_OFF: &str = "rotation_phase_broken_off";
const PHASE_ROLLED_BACK: &str = "rotation_phase_rolled_back";

/// What is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A leaf, under the root that everybody knows.
    Leaf,
    /// A root, and a leaf of it.
    Root,
}

/// Why a phase was not done: what it means, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    /// Its code.
    pub cause: Option<Cause>,
    /// In words.
    pub why: String,
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        let cause = match &refusal {
            Refusal::GateShut { .. } => Cause::GateShut,
            _ => Cause::PhaseOutOfOrder,
        };
        Self { cause: Some(cause), why: refusal.to_string() }
    }
}

/// Whose file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Kingdom,
    Duchy(String),
}

type Contents = BTreeMap<(Place, Role), Vec<u8>>;

/// Where a procedure stands, whatever it is about.
pub(super) struct Course {
    pub(super) procedure: Procedure,
    pub(super) title: String,
    /// Peers that the actions leave out, as `replica 1`, `worker1`, `mc1`.
    pub(super) lagging: BTreeSet<String>,
}

impl Course {
    pub(super) fn new(title: String) -> Self {
        Self { procedure: Procedure::new(), title, lagging: BTreeSet::new() }
    }
}

/// A rotation that goes on.
pub(super) struct Rotating {
    course: Course,
    rotation: Rotation,
    scope: Scope,
    made: Option<(Leaf, Authority)>,
    old_credential: Option<Credential>,
    /// Bundles and maps as they were, and with both roots.
    before: Contents,
    with_both: Contents,
    /// Who trusted whom when it began.
    trust_before: Trust,
    /// What the servers recorded since.
    seen: Seen,
}

impl World {
    /// Begins a procedure, none of whose phases is done yet.
    ///
    /// # Errors
    /// One goes on already, or there is no such actor.
    pub async fn start_rotation(
        &mut self,
        holder: Option<&str>,
        scope: Scope,
        peers: Vec<String>,
    ) -> Result<(), Problem> {
        self.no_procedure_yet()?;
        self.kingdom().await?;
        for peer in &peers {
            self.actor(peer).await?;
        }
        let what = if scope == Scope::Leaf { "leaf" } else { "root" };
        let authority = self.authority(holder.unwrap_or(OPERATOR)).await?;
        let root = hex::encode(authority.subject_key_identifier());
        let (old_leaf, old_credential, title) = match holder {
            None => {
                let pem = self.running()?.file(Role::TlsCert).unwrap_or_default();
                let chain = halo_pki::pem_certificates(&pem)
                    .map_err(|error| Problem::harness(error.to_string()))?;
                let leaf = chain.into_iter().next().unwrap_or_default();
                (leaf, None, format!("the Kingdom's {what}"))
            }
            Some(actor) => {
                let credential = self.actor(actor).await?.credential.clone();
                let worn = credential.clone().ok_or_else(|| {
                    let what = format!("{actor} presents no certificate, so none is rotated");
                    Problem::author(what, "let it present one")
                })?;
                let leaf = worn.chain.into_iter().next().unwrap_or_default();
                (leaf, credential, format!("{actor}'s {what}"))
            }
        };
        let environment = self.running()?;
        let holder = match holder {
            None => Holder::Kingdom,
            Some(actor) => {
                let sandbox = environment.sandbox();
                let principal =
                    sandbox.participant(actor).map(|p| p.resource.clone()).unwrap_or_default();
                let duchies = environment
                    .duchy_statuses()
                    .into_iter()
                    .filter(|duchy| duchy.principals.iter().any(|(akid, _)| *akid == root))
                    .map(|duchy| duchy.id)
                    .collect();
                Holder::Participant { actor: actor.to_owned(), principal, duchies }
            }
        };
        let after_event = environment.last_event();
        let old = identity(&old_leaf, root)?;
        if let Some(probing) = &self.probing {
            probing.prober.forget_sightings();
        }
        let trust_before = self.trust_of(&peers).await?;
        self.rotating = Some(Rotating {
            trust_before,
            course: Course::new(title),
            rotation: Rotation { holder, old, new: None, peers },
            scope,
            made: None,
            old_credential,
            before: BTreeMap::new(),
            with_both: BTreeMap::new(),
            seen: Seen::after(after_event),
        });
        Ok(())
    }

    /// What every server and every peer of the procedure has in force now, and what they had when it
    /// began.
    ///
    /// # Errors
    /// No procedure goes on.
    pub async fn trust(&mut self) -> Result<(Trust, Trust), Problem> {
        let rotating = self.rotating()?;
        let (before, peers) = (rotating.trust_before.clone(), rotating.rotation.peers.clone());
        Ok((before, self.trust_of(&peers).await?))
    }

    /// Subject key identifier of the root that the procedure replaces.
    ///
    /// # Errors
    /// No procedure goes on, or it replaces none.
    pub fn old_root(&self) -> Result<String, Problem> {
        let rotating = self.rotating()?;
        match rotating.scope {
            Scope::Leaf => Err(Problem::author(
                "the procedure rotates a leaf, and its root stays",
                "ask after the root of a procedure that rotates one",
            )),
            _ => Ok(rotating.rotation.old.root.clone()),
        }
    }

    async fn trust_of(&mut self, peers: &[String]) -> Result<Trust, Problem> {
        let mut trust = Trust::new();
        for peer in peers {
            let roots = self.tls_of(peer).await?.root_skids().collect();
            trust.insert(format!("{peer} as a caller"), InForce { roots, map: Vec::new() });
        }
        let environment = self.running()?;
        for replica in environment.replica_statuses() {
            let of = InForce { roots: replica.trust, map: replica.principals };
            trust.insert(format!("replica {}", replica.id), of);
        }
        for duchy in environment.duchy_statuses() {
            trust.insert(duchy.id, InForce { roots: duchy.trust, map: duchy.principals });
        }
        Ok(trust)
    }

    /// There is one procedure in a scenario.
    pub(super) fn no_procedure_yet(&self) -> Result<(), Problem> {
        match self.course() {
            Ok(_) => Err(Problem::author("a procedure goes on already", "write one in a scenario")),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn course(&self) -> Result<&Course, Problem> {
        let rotating = self.rotating.as_ref().map(|rotating| &rotating.course);
        rotating.or(self.cutting.as_ref().map(|cutting| &cutting.course)).ok_or_else(no_procedure)
    }

    pub(super) fn course_mut(&mut self) -> Result<&mut Course, Problem> {
        let rotating = self.rotating.as_mut().map(|rotating| &mut rotating.course);
        let cutting = self.cutting.as_mut().map(|cutting| &mut cutting.course);
        rotating.or(cutting).ok_or_else(no_procedure)
    }

    fn rotating(&self) -> Result<&Rotating, Problem> {
        self.rotating.as_ref().ok_or_else(no_procedure)
    }

    fn rotating_mut(&mut self) -> Result<&mut Rotating, Problem> {
        self.rotating.as_mut().ok_or_else(no_procedure)
    }

    /// The phases that are done.
    ///
    /// # Errors
    /// No procedure goes on.
    pub fn phases_done(&self) -> Result<Vec<Phase>, Problem> {
        Ok(self.course()?.procedure.done())
    }

    /// The actions of the phases to come leave this peer out, as a rollout that gets stuck does.
    ///
    /// # Errors
    /// No procedure goes on, or it has no such peer.
    pub fn lag(&mut self, peer: &str) -> Result<(), Problem> {
        let known = self.peers()?;
        if !known.contains(peer) {
            let names: Vec<_> = known.into_iter().collect();
            return Err(Problem::author(
                format!("the procedure has no peer `{peer}`"),
                format!("its peers are {}", names.join(", ")),
            ));
        }
        self.course_mut()?.lagging.insert(peer.to_owned());
        self.changed(format!("{peer} lags behind"));
        Ok(())
    }

    /// A peer that lagged behind gets what it has missed.
    ///
    /// # Errors
    /// It does not lag behind, or what it missed cannot be done.
    pub async fn catch_up(&mut self, peer: &str) -> Result<Result<(), NotDone>, Problem> {
        let course = self.course_mut()?;
        if !course.lagging.remove(peer) {
            let what = format!("{peer} does not lag behind");
            return Err(Problem::author(what, "let it lag behind first"));
        }
        let done = course.procedure.done();
        for phase in &done {
            if let Err(not_done) = self.act(*phase, Some(peer)).await? {
                return Ok(Err(not_done));
            }
        }
        // What the holder did before on its old leaf, it did while it lagged behind.
        if done.contains(&Phase::Drain) && self.is_holder(peer) {
            self.drain_begins()?;
        }
        self.changed(format!("{peer} caught up"));
        Ok(Ok(()))
    }

    fn is_holder(&self, peer: &str) -> bool {
        let holder = self.rotating.as_ref().map(|rotating| &rotating.rotation.holder);
        matches!(holder, Some(Holder::Participant { actor, .. }) if actor == peer)
    }

    fn peers(&self) -> Result<BTreeSet<String>, Problem> {
        let environment = self.running()?;
        let replicas = environment.replica_statuses();
        let mut peers: BTreeSet<String> =
            replicas.iter().map(|replica| format!("replica {}", replica.id)).collect();
        if let Some(cutting) = &self.cutting {
            peers.extend(cutting.actors());
            return Ok(peers);
        }
        peers.extend(environment.duchy_statuses().into_iter().map(|duchy| duchy.id));
        let rotation = &self.rotating()?.rotation;
        peers.extend(rotation.peers.iter().cloned());
        if let Holder::Participant { actor, .. } = &rotation.holder {
            peers.insert(actor.clone());
        }
        Ok(peers)
    }

    /// The gate of a phase at this moment.
    ///
    /// # Errors
    /// No procedure goes on, or the server's events cannot be read.
    pub fn gate(&mut self, phase: Phase) -> Result<Gate, Problem> {
        if self.cutting.is_some() {
            return self.gate_of_cutover(phase);
        }
        let seen = self.observed()?;
        Ok(gate(phase, &self.rotating()?.rotation, &seen))
    }

    /// The gate of a phase as soon as it is open, else as it is after `patience`.
    ///
    /// # Errors
    /// As [`Self::gate`].
    pub async fn gate_within(&mut self, phase: Phase, patience: Duration) -> Result<Gate, Problem> {
        let until = tokio::time::sleep(patience);
        tokio::pin!(until);
        loop {
            let gate = self.gate(phase)?;
            if gate.is_open() || until.is_elapsed() {
                return Ok(gate);
            }
            tokio::select! {
                biased;
                () = &mut until => {}
                () = tokio::time::sleep(GATE_PAUSE) => {}
            }
        }
    }

    fn observed(&mut self) -> Result<Observed, Problem> {
        self.note_events()?;
        let environment = self.running()?;
        let (now, replicas) = (environment.now(), environment.replica_statuses());
        let (duchies, connections) = (environment.duchy_statuses(), environment.connections());
        let prober = self.probing.as_ref().map(|probing| &probing.prober);
        let callers = prober.map(|prober| prober.sightings()).unwrap_or_default();
        let probing = prober.map(|prober| prober.callers()).unwrap_or_default();
        let probing = probing.into_iter().map(|(actor, _)| actor).collect();
        let seen = &self.rotating()?.seen;
        let (shown, answered, opened) = (seen.shown(), seen.answered(), seen.opened());
        Ok(Observed {
            now,
            replicas,
            duchies,
            connections,
            callers,
            probing,
            shown,
            answered,
            opened,
        })
    }

    /// Takes note of what the servers recorded since the last look.
    fn note_events(&mut self) -> Result<(), Problem> {
        let events = self.running()?.events(self.rotating()?.seen.last_event())?;
        let seen = &mut self.rotating_mut()?.seen;
        events.iter().for_each(|event| seen.see(event));
        Ok(())
    }

    /// From here on nobody may open a connection on the old credential any more.
    fn drain_begins(&mut self) -> Result<(), Problem> {
        if self.rotating.is_some() {
            self.note_events()?;
            self.rotating_mut()?.seen.begin_drain();
        }
        Ok(())
    }

    /// Does a phase: waits for its gate, acts, and leaves a record and an entry in the audit trail.
    /// With `force` nothing is waited for and no gate or order counts.
    ///
    /// # Errors
    /// No procedure goes on, or the harness or environment fails.
    pub async fn do_phase(
        &mut self,
        phase: Phase,
        force: bool,
    ) -> Result<Result<(), NotDone>, Problem> {
        if let Err(refusal) = self.begin_phase(phase, force).await? {
            return Ok(Err(refusal.into()));
        }
        let (hook, outcome) = match self.hook(phase) {
            None => (None, self.act(phase, None).await?),
            Some(command) => {
                let (record, outcome) = self.run_hook(phase, command).await?;
                (Some(record), outcome)
            }
        };
        let now = self.running()?.now();
        let procedure = &mut self.course_mut()?.procedure;
        let (record, action) = match outcome {
            Ok(()) => (procedure.finish(now), PHASE_DONE),
            Err(_) => (procedure.abort(now), PHASE_BROKEN_OFF),
        };
        if let Some(record) = record {
            self.keep_phase(PhaseRecord { hook, ..record }, action)?;
        }
        Ok(outcome)
    }

    async fn begin_phase(
        &mut self,
        phase: Phase,
        force: bool,
    ) -> Result<Result<(), Refusal>, Problem> {
        let begun = self.open_phase(phase, force).await?;
        if begun.is_ok() && phase == Phase::Drain {
            self.drain_begins()?;
        }
        Ok(begun)
    }

    async fn open_phase(
        &mut self,
        phase: Phase,
        force: bool,
    ) -> Result<Result<(), Refusal>, Problem> {
        if force {
            let gate = self.gate(phase)?;
            let now = self.running()?.now();
            return Ok(self.course_mut()?.procedure.force(phase, &gate, now));
        }
        // What is out of order is refused at once; only a gate is worth waiting for.
        if let Err(refusal) = self.course()?.procedure.may_begin(phase) {
            return Ok(Err(refusal));
        }
        let gate = self.gate_within(phase, GATE_PATIENCE).await?;
        let now = self.running()?.now();
        Ok(self.course_mut()?.procedure.begin(phase, &gate, now))
    }

    fn keep_phase(&mut self, record: PhaseRecord, action: &'static str) -> Result<(), Problem> {
        let (before, after) = match &self.cutting {
            Some(cutting) => cutting.modes(),
            None => {
                let rotation = &self.rotating()?.rotation;
                let new = rotation.new.as_ref().map(|new| new.leaf.clone());
                (Some(rotation.old.leaf.clone()), new)
            }
        };
        let entry = Mutation {
            action: action.into(),
            subject: format!("{} of {}", record.name, self.course()?.title),
            before,
            after,
        };
        self.running()?.append_audit(OPERATOR, entry)?;
        self.record(Fact::Phase(Box::new(record)));
        Ok(())
    }

    /// Gives the procedure up; only [`Self::roll_back`] is left.
    ///
    /// # Errors
    /// No procedure goes on.
    pub fn abort_rotation(&mut self) -> Result<(), Problem> {
        let now = self.running()?.now();
        if let Some(record) = self.course_mut()?.procedure.abort(now) {
            self.keep_phase(record, PHASE_BROKEN_OFF)?;
        }
        Ok(())
    }

    /// Undoes every phase that was begun, the last one first.
    ///
    /// # Errors
    /// No procedure goes on, or the harness or environment fails.
    pub async fn roll_back(&mut self) -> Result<Result<(), NotDone>, Problem> {
        loop {
            let phase = match self.course()?.procedure.to_undo() {
                Ok(Some(phase)) => phase,
                Ok(None) => return Ok(Ok(())),
                Err(refusal) => return Ok(Err(refusal.into())),
            };
            let start = self.running()?.now();
            if let Err(not_done) = self.undo(phase).await? {
                return Ok(Err(not_done));
            }
            let end = self.running()?.now();
            let record = self.course_mut()?.procedure.undone(phase, start, end);
            self.keep_phase(record, PHASE_ROLLED_BACK)?;
            if !self.course()?.procedure.is_aborted() {
                return Ok(Ok(()));
            }
        }
    }

    /// What a phase does, for all peers that do not lag behind, or for one alone.
    async fn act(
        &mut self,
        phase: Phase,
        only: Option<&str>,
    ) -> Result<Result<(), NotDone>, Problem> {
        if self.cutting.is_some() {
            return self.cut(phase, only).await;
        }
        let rotating = self.rotating()?;
        let holder = rotating.rotation.holder.clone();
        let root_too = rotating.scope == Scope::Root;
        match (phase, &holder) {
            (Phase::Prepare, _) => {
                if only.is_none() {
                    self.make_new().await?;
                }
                Ok(Ok(()))
            }
            (Phase::Distribute, _) if !root_too => Ok(Ok(())),
            (Phase::Distribute, _) => {
                if self.rotating()?.with_both.is_empty() {
                    self.plan_trust()?;
                }
                let both = self.rotating()?.with_both.clone();
                if let Err(not_done) = self.put_trust(&both, only).await? {
                    return Ok(Err(not_done));
                }
                self.callers_trust(Trusts::Both, only).await?;
                Ok(Ok(()))
            }
            (Phase::Switch, Holder::Kingdom) => {
                if only.is_none() {
                    self.put_leaf()?;
                }
                self.restart_replicas(only, |_| true).await
            }
            (Phase::Switch, Holder::Participant { actor, .. }) => {
                if self.is_meant(actor, only)? {
                    let leaf = self.made()?.0.clone();
                    self.present(actor, &leaf).await?;
                    self.dress_probes().await?;
                }
                Ok(Ok(()))
            }
            (Phase::Drain, Holder::Kingdom) => {
                let old = self.rotating()?.rotation.old.leaf.clone();
                let open = self.running()?.connections();
                let busy: BTreeSet<u32> = open
                    .iter()
                    .filter(|open| open.server.skid.as_ref() == Some(&old))
                    .filter_map(|open| open.replica)
                    .collect();
                self.restart_replicas(only, |id| busy.contains(&id)).await
            }
            (Phase::Drain, Holder::Participant { actor, .. }) => {
                if self.is_meant(actor, only)? && self.probing.is_some() {
                    self.restart_caller(actor).await?;
                }
                Ok(Ok(()))
            }
            (Phase::Retire, _) if !root_too => Ok(Ok(())),
            (Phase::Retire, _) => {
                self.callers_trust(Trusts::New, only).await?;
                let without = self.trust_without_old().await?;
                self.put_trust(&without, only).await
            }
        }
    }

    /// Takes back what [`Self::act`] did, for all peers: a way back leaves nobody out.
    async fn undo(&mut self, phase: Phase) -> Result<Result<(), NotDone>, Problem> {
        self.course_mut()?.lagging.clear();
        if self.cutting.is_some() {
            return self.undo_cut(phase).await;
        }
        let rotating = self.rotating()?;
        let holder = rotating.rotation.holder.clone();
        let root_too = rotating.scope == Scope::Root;
        match (phase, &holder) {
            (Phase::Prepare, _) => {
                let rotating = self.rotating_mut()?;
                rotating.made = None;
                rotating.rotation.new = None;
                Ok(Ok(()))
            }
            (Phase::Drain, _) => {
                self.rotating_mut()?.seen.undo_drain();
                Ok(Ok(()))
            }
            (Phase::Distribute | Phase::Retire, _) if !root_too => Ok(Ok(())),
            (Phase::Distribute, _) => {
                self.callers_trust(Trusts::Old, None).await?;
                let before = self.rotating()?.before.clone();
                self.rotating_mut()?.with_both.clear();
                self.put_trust(&before, None).await
            }
            (Phase::Retire, _) => {
                self.callers_trust(Trusts::Both, None).await?;
                let both = self.rotating()?.with_both.clone();
                self.put_trust(&both, None).await
            }
            (Phase::Switch, Holder::Kingdom) => {
                for (role, path) in [
                    (Role::TlsCert, "kingdom/kingdom_tls.pem"),
                    (Role::TlsKey, "kingdom/kingdom_tls.key"),
                ] {
                    let sandbox = self.running()?.sandbox();
                    let content = sandbox.file(path).unwrap_or_default().to_vec();
                    self.put_file(role, content)?;
                }
                self.kingdom_has_its_first_leaf_back()?;
                self.changed("the Kingdom has its first leaf and key back");
                self.restart_replicas(None, |_| true).await
            }
            (Phase::Switch, Holder::Participant { actor, .. }) => {
                let old = self.rotating()?.old_credential.clone();
                self.puts_on(actor, old).await?;
                self.dress_probes().await?;
                if self.probing.is_some() {
                    self.restart_caller(actor).await?;
                }
                Ok(Ok(()))
            }
        }
    }

    pub(super) fn is_meant(&self, peer: &str, only: Option<&str>) -> Result<bool, Problem> {
        let lags = self.course()?.lagging.contains(peer);
        Ok(!lags && only.is_none_or(|only| only == peer))
    }

    fn made(&self) -> Result<&(Leaf, Authority), Problem> {
        self.rotating()?.made.as_ref().ok_or_else(|| {
            Problem::author("there is no new credential", "let the phase prepare be done first")
        })
    }

    async fn make_new(&mut self) -> Result<(), Problem> {
        let rotating = self.rotating()?;
        let scope = rotating.scope;
        let actor = match &rotating.rotation.holder {
            Holder::Kingdom => OPERATOR.to_owned(),
            Holder::Participant { actor, .. } => actor.clone(),
        };
        let unable = |error| Problem::harness(format!("no new credential: {error}"));
        let authority = match scope {
            Scope::Leaf => self.authority(&actor).await?,
            Scope::Root => {
                let spec = AuthoritySpec {
                    organization: "Halo harness, TEST ONLY".to_owned(),
                    common_name: format!("{actor} next root TEST ONLY"),
                    dns_name: format!("ca2.{actor}.test"),
                    validity: Validity::days(self.now() - time::Duration::days(1), 3650),
                };
                let root = Authority::create(&spec, self.rng()).map_err(unable)?;
                self.keep_root(&actor, root.clone());
                root
            }
        };
        let subject = if actor == OPERATOR { KINGDOM } else { actor.as_str() };
        let validity = Validity::days(self.now() - time::Duration::days(1), 365);
        let spec = LeafSpec::new(format!("{subject} TEST ONLY"), validity);
        let leaf = authority.issue(&spec, self.rng()).map_err(unable)?;
        let root = hex::encode(authority.subject_key_identifier());
        let new = identity(leaf.certificate_der(), root)?;
        self.keep_leaf(subject, "new", leaf.clone());
        let rotating = self.rotating_mut()?;
        rotating.rotation.new = Some(new);
        rotating.made = Some((leaf, authority));
        Ok(())
    }

    /// Works out the bundles and maps with both roots, and keeps them as they were.
    fn plan_trust(&mut self) -> Result<(), Problem> {
        let (_, authority) = self.made()?;
        let pem = authority.certificate_pem();
        let skid = authority.subject_key_identifier().to_vec();
        let environment = self.running()?;
        let (principal, duchies) = match &self.rotating()?.rotation.holder {
            // Contract 5.9.4: everybody, the Duchies included.
            Holder::Kingdom => {
                let all = environment.sandbox().participants().iter();
                let duchies = all.filter(|participant| participant.kind == ParticipantKind::Duchy);
                (None, duchies.map(|duchy| duchy.name.clone()).collect())
            }
            Holder::Participant { principal, duchies, .. } => {
                (Some(principal.clone()), duchies.clone())
            }
        };
        let mut places: Vec<(Place, Role)> = vec![(Place::Kingdom, Role::CertCollection)];
        if principal.is_none() {
            places.push((Place::Kingdom, Role::OperatorCertCollection));
        } else {
            places.push((Place::Kingdom, Role::PrincipalMap));
        }
        for duchy in duchies {
            places.push((Place::Duchy(duchy.clone()), Role::CertCollection));
            if principal.is_some() {
                places.push((Place::Duchy(duchy), Role::PrincipalMap));
            }
        }
        let (mut before, mut with_both) = (Contents::new(), Contents::new());
        for (place, role) in places {
            let old = match &place {
                Place::Kingdom => environment.file(role),
                Place::Duchy(id) => environment.duchy_file(id, role),
            }
            .unwrap_or_default();
            let more = match (&principal, role) {
                (Some(principal), Role::PrincipalMap) => entry(&skid, principal),
                _ => pem.clone(),
            };
            before.insert((place.clone(), role), old.clone());
            with_both.insert((place, role), joined(old, more.as_bytes()));
        }
        let rotating = self.rotating_mut()?;
        (rotating.before, rotating.with_both) = (before, with_both);
        Ok(())
    }

    async fn trust_without_old(&mut self) -> Result<Contents, Problem> {
        let holder = match &self.rotating()?.rotation.holder {
            Holder::Kingdom => OPERATOR.to_owned(),
            Holder::Participant { actor, .. } => actor.clone(),
        };
        let old = self.authority(&holder).await?;
        let without = |(&(ref place, role), content): (&(Place, Role), &Vec<u8>)| {
            let left = if role == Role::PrincipalMap {
                let map = String::from_utf8_lossy(content);
                without_entry(&map, old.subject_key_identifier())
                    .ok_or_else(|| Problem::harness("a map has lost its old entry"))?
                    .into_bytes()
            } else {
                without_root(content, old.certificate_der())?
            };
            Ok(((place.clone(), role), left))
        };
        self.rotating()?.with_both.iter().map(without).collect()
    }

    /// Puts bundles and maps in place and lets the servers read them.
    async fn put_trust(
        &mut self,
        contents: &Contents,
        only: Option<&str>,
    ) -> Result<Result<(), NotDone>, Problem> {
        let mut duchies = BTreeSet::new();
        for ((place, role), content) in contents {
            match place {
                Place::Kingdom => self.put_file(*role, content.clone())?,
                Place::Duchy(id) if self.is_meant(id, only)? => {
                    self.put_duchy_file(id, *role, content.clone())?;
                    duchies.insert(id.clone());
                }
                Place::Duchy(_) => {}
            }
        }
        self.changed("trust bundles and principal maps");
        for id in duchies {
            let outcome = self.running()?.act_on_duchy(&id, ReplicaAction::Restart).await?;
            if let Err(why) = outcome {
                return Ok(Err(NotDone {
                    cause: None,
                    why: format!("{id} does not start: {why}"),
                }));
            }
        }
        self.restart_replicas(only, |_| true).await
    }

    /// A rolling restart of the replicas that are meant and do not lag behind.
    pub(super) async fn restart_replicas(
        &mut self,
        only: Option<&str>,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<Result<(), NotDone>, Problem> {
        for id in 0..self.replicas() {
            if !wanted(id) || !self.is_meant(&format!("replica {id}"), only)? {
                continue;
            }
            let outcome = self.running()?.act_on_replica(id, ReplicaAction::Restart).await?;
            self.changed(format!("replica {id}: Restart"));
            if let Err(why) = outcome {
                let why = format!("replica {id} does not start: {why}");
                return Ok(Err(NotDone { cause: None, why }));
            }
        }
        Ok(Ok(()))
    }

    /// What stands for a phase's own action when a command does it: the new credential as files for
    /// the command, or as the command has made it.
    pub(super) async fn before_hook(&mut self, phase: Phase) -> Result<(), Problem> {
        if phase == Phase::Distribute && self.rotating()?.scope == Scope::Root {
            self.plan_trust()?;
        }
        Ok(())
    }

    /// Takes over what a command has done.
    pub(super) async fn after_hook(
        &mut self,
        phase: Phase,
        made: Option<Leaf>,
    ) -> Result<Result<(), NotDone>, Problem> {
        if phase == Phase::Prepare {
            let Some(leaf) = made else {
                let why = "it left no new certificate and key at HALO_NEW_CERT and HALO_NEW_KEY";
                let cause = Some(Cause::HookFailed);
                return Ok(Err(NotDone { cause, why: why.to_owned() }));
            };
            if self.rotating()?.scope == Scope::Root {
                return Err(Problem::author(
                    "a command cannot prepare a new root: the harness needs the authority itself",
                    "leave prepare to the harness, and hook the phases after it",
                ));
            }
            let actor = match &self.rotating()?.rotation.holder {
                Holder::Kingdom => OPERATOR.to_owned(),
                Holder::Participant { actor, .. } => actor.clone(),
            };
            let authority = self.authority(&actor).await?;
            let root = halo_pki::inspect(leaf.certificate_der())
                .ok()
                .and_then(|facts| facts.akid().map(hex::encode))
                .unwrap_or_default();
            let new = identity(leaf.certificate_der(), root)?;
            let subject = if actor == OPERATOR { KINGDOM } else { actor.as_str() };
            self.keep_leaf(subject, "new", leaf.clone());
            let rotating = self.rotating_mut()?;
            rotating.rotation.new = Some(new);
            rotating.made = Some((leaf, authority));
        }
        if phase == Phase::Distribute && self.rotating()?.scope == Scope::Root {
            let environment = self.running()?;
            let now = |key: &(Place, Role)| match &key.0 {
                Place::Kingdom => environment.file(key.1).unwrap_or_default(),
                Place::Duchy(id) => environment.duchy_file(id, key.1).unwrap_or_default(),
            };
            let with_both =
                self.rotating()?.before.keys().map(|key| (key.clone(), now(key))).collect();
            self.rotating_mut()?.with_both = with_both;
        }
        Ok(Ok(()))
    }

    /// The new leaf, if there is one, and who holds it.
    pub(super) fn new_leaf(&self) -> Result<(Option<Leaf>, Option<String>), Problem> {
        let rotating = self.rotating()?;
        let holder = match &rotating.rotation.holder {
            Holder::Kingdom => None,
            Holder::Participant { actor, .. } => Some(actor.clone()),
        };
        Ok((rotating.made.as_ref().map(|(leaf, _)| leaf.clone()), holder))
    }

    /// The callers and the holder: whose files a command may change.
    pub(super) fn clients_of_rotation(&self) -> Result<Vec<String>, Problem> {
        let rotation = &self.rotating()?.rotation;
        let mut clients = rotation.peers.clone();
        if let Holder::Participant { actor, .. } = &rotation.holder
            && !clients.contains(actor)
        {
            clients.push(actor.clone());
        }
        Ok(clients)
    }

    /// Puts the new leaf and its key into the Kingdom's files.
    fn put_leaf(&mut self) -> Result<(), Problem> {
        let (leaf, _) = self.made()?;
        let (certificate, key) = (leaf.certificate_pem(), leaf.key().pkcs8_pem());
        let der = leaf.certificate_der().to_vec();
        self.put_file(Role::TlsCert, certificate.into_bytes())?;
        self.put_file(Role::TlsKey, key.into_bytes())?;
        self.replaced_leaf_of(KINGDOM, Some(&der));
        self.changed("the Kingdom's leaf and key");
        Ok(())
    }

    /// What the callers trust, where the Kingdom's root is what changes.
    async fn callers_trust(&mut self, which: Trusts, only: Option<&str>) -> Result<(), Problem> {
        if self.rotating()?.rotation.holder != Holder::Kingdom {
            return Ok(());
        }
        let old = self.authority(OPERATOR).await?.certificate_der().to_vec();
        let new = self.made()?.1.certificate_der().to_vec();
        let roots = match which {
            Trusts::Old => vec![old],
            Trusts::Both => vec![old, new],
            Trusts::New => vec![new],
        };
        for peer in self.rotating()?.rotation.peers.clone() {
            if self.is_meant(&peer, only)? {
                self.actor(&peer).await?.roots = Some(roots.clone());
            }
        }
        self.dress_probes().await
    }
}

#[derive(Clone, Copy)]
enum Trusts {
    Old,
    Both,
    New,
}

pub(super) fn identity(leaf: &[u8], root: String) -> Result<Identity, Problem> {
    let facts = halo_pki::inspect(leaf).map_err(|error| Problem::harness(error.to_string()))?;
    let at = |time: time::OffsetDateTime| Timestamp::from_seconds(time.unix_timestamp());
    Ok(Identity {
        leaf: facts.skid.map(hex::encode).unwrap_or_default(),
        root,
        not_before: at(facts.not_before),
        not_after: at(facts.not_after),
    })
}

pub(super) fn no_procedure() -> Problem {
    Problem::author(
        "no procedure goes on",
        "begin with `Given a procedure rotates the Kingdom's leaf, with the peers edp1 and mc1`",
    )
}
