//! A cutover to mTLS within a scenario: what its phases do, what its gates look at, and the way back.

use super::World;
use super::rotating::{Course, NotDone, identity, no_procedure};
use crate::client::Credential;
use crate::error::Problem;
use crate::procedure::cutover::{Callers, Observed, Peer, gate};
use crate::procedure::{Gate, Phase};
use fake_kingdom::event::Listener;
use fake_kingdom::tls::ClientAuth;
use halo_pki::{Leaf, LeafSpec, Validity};
use std::collections::{BTreeMap, BTreeSet};

/// A cutover that goes on.
pub(super) struct Cutting {
    pub(super) course: Course,
    peers: Vec<Peer>,
    /// Leaves made for peers that presented none.
    made: BTreeMap<String, Leaf>,
    /// What each peer presented before.
    before: BTreeMap<String, Option<Credential>>,
    /// Whether client certificates were asked for at the start, and before the switch.
    first: ClientAuth,
    before_switch: ClientAuth,
    after_event: u64,
    callers: Callers,
}

impl Cutting {
    pub(super) fn actors(&self) -> impl Iterator<Item = String> + '_ {
        self.peers.iter().map(|peer| peer.actor.clone())
    }

    /// For the audit trail: from what to what.
    pub(super) fn modes(&self) -> (Option<String>, Option<String>) {
        let text = |mode: ClientAuth| Some(format!("client certificates {}", mode.name()));
        (text(self.first), text(ClientAuth::Required))
    }
}

impl World {
    /// Begins a cutover to mTLS, none of whose phases is done yet.
    ///
    /// # Errors
    /// A procedure goes on already, there is no such actor, or certificates are required already.
    pub async fn start_cutover(&mut self, peers: Vec<String>) -> Result<(), Problem> {
        self.no_procedure_yet()?;
        self.kingdom().await?;
        // As it is in force, whatever was ordered for the next start.
        let replicas = self.running()?.replica_statuses();
        let mode = replicas.iter().find_map(|replica| replica.client_auth);
        let first = mode.and_then(|mode| mode.parse().ok()).unwrap_or(self.setup.client_auth);
        if first == ClientAuth::Required {
            return Err(Problem::author(
                "client certificates are required already, so there is nothing to cut over",
                "begin with `Given client certificates are off`, or optional",
            ));
        }
        let mut all = Vec::new();
        let mut before = BTreeMap::new();
        for actor in peers {
            before.insert(actor.clone(), self.actor(&actor).await?.credential.clone());
            let participant = self.running()?.sandbox().participant(&actor);
            let principal = participant.map(|one| one.resource.clone()).ok_or_else(|| {
                let what = format!("{actor} is no participant of the sandbox");
                Problem::author(what, "name a participant, such as mc1")
            })?;
            all.push(Peer { actor, principal, leaf: None });
        }
        self.cutting = Some(Cutting {
            course: Course::new("the cutover to mTLS".to_owned()),
            peers: all,
            made: BTreeMap::new(),
            before,
            first,
            before_switch: first,
            after_event: self.running()?.last_event(),
            callers: Callers::default(),
        });
        Ok(())
    }

    fn cutting(&self) -> Result<&Cutting, Problem> {
        self.cutting.as_ref().ok_or_else(no_procedure)
    }

    fn cutting_mut(&mut self) -> Result<&mut Cutting, Problem> {
        self.cutting.as_mut().ok_or_else(no_procedure)
    }

    pub(super) fn gate_of_cutover(&mut self, phase: Phase) -> Result<Gate, Problem> {
        let environment = self.running()?;
        let events = environment.events(self.cutting()?.after_event)?;
        let (now, replicas) = (environment.now(), environment.replica_statuses());
        let connections = environment.connections();
        let participants = environment.sandbox().participants().iter();
        let names = participants.map(|one| (one.resource.clone(), one.name.clone())).collect();
        let cutting = self.cutting_mut()?;
        for event in &events {
            cutting.after_event = cutting.after_event.max(event.seq);
            cutting.callers.see(event);
        }
        let seen = Observed { now, replicas, connections, callers: cutting.callers.clone(), names };
        Ok(gate(phase, &cutting.peers, &seen))
    }

    /// What a phase does, for all peers that do not lag behind, or for one alone.
    pub(super) async fn cut(
        &mut self,
        phase: Phase,
        only: Option<&str>,
    ) -> Result<Result<(), NotDone>, Problem> {
        match phase {
            Phase::Prepare => {
                if only.is_none() {
                    self.make_client_leaves().await?;
                }
                for (actor, leaf) in self.cutting()?.made.clone() {
                    if self.is_meant(&actor, only)? {
                        self.present(&actor, &leaf).await?;
                    }
                }
                self.dress_probes().await?;
                Ok(Ok(()))
            }
            Phase::Distribute if self.cutting()?.first == ClientAuth::Off => {
                if only.is_none() {
                    self.ask_for_client_certificates(ClientAuth::Optional)?;
                    self.cutting_mut()?.before_switch = ClientAuth::Optional;
                }
                self.restart_replicas(only, |_| true).await
            }
            Phase::Switch => {
                if only.is_none() {
                    self.ask_for_client_certificates(ClientAuth::Required)?;
                }
                self.restart_replicas(only, |_| true).await
            }
            Phase::Drain => {
                let open = self.running()?.connections();
                let bare = open
                    .iter()
                    .filter(|open| open.listener == Listener::Public && open.peer.is_none());
                let busy: BTreeSet<u32> = bare.filter_map(|open| open.replica).collect();
                self.restart_replicas(only, |id| busy.contains(&id)).await
            }
            Phase::Distribute | Phase::Retire => Ok(Ok(())),
        }
    }

    /// Takes back what [`Self::cut`] did.
    pub(super) async fn undo_cut(&mut self, phase: Phase) -> Result<Result<(), NotDone>, Problem> {
        let cutting = self.cutting()?;
        let (first, before_switch) = (cutting.first, cutting.before_switch);
        match phase {
            Phase::Prepare => {
                let made = std::mem::take(&mut self.cutting_mut()?.made);
                for actor in made.into_keys() {
                    let cutting = self.cutting_mut()?;
                    let before = cutting.before.get(&actor).cloned().flatten();
                    for peer in cutting.peers.iter_mut().filter(|peer| peer.actor == actor) {
                        peer.leaf = None;
                    }
                    self.puts_on(&actor, before).await?;
                    self.dress_probes().await?;
                    if self.is_probing_as(&actor) {
                        self.restart_caller(&actor).await?;
                    }
                }
                Ok(Ok(()))
            }
            Phase::Distribute if first == ClientAuth::Off => {
                self.ask_for_client_certificates(first)?;
                self.cutting_mut()?.before_switch = first;
                self.restart_replicas(None, |_| true).await
            }
            Phase::Switch => {
                self.ask_for_client_certificates(before_switch)?;
                self.restart_replicas(None, |_| true).await
            }
            Phase::Distribute | Phase::Drain | Phase::Retire => Ok(Ok(())),
        }
    }

    /// A leaf of its own root for each peer that presents none.
    async fn make_client_leaves(&mut self) -> Result<(), Problem> {
        let bare: Vec<String> = {
            let cutting = self.cutting()?;
            let is_bare = |actor: &String| cutting.before.get(actor).is_none_or(Option::is_none);
            cutting.actors().filter(is_bare).collect()
        };
        for actor in bare {
            let authority = self.authority(&actor).await?;
            let validity = Validity::days(self.now() - time::Duration::days(1), 365);
            let spec = LeafSpec::new(format!("{actor} TEST ONLY"), validity);
            let leaf = authority
                .issue(&spec, self.rng())
                .map_err(|error| Problem::harness(format!("no leaf for {actor}: {error}")))?;
            let root = hex::encode(authority.subject_key_identifier());
            let new = identity(leaf.certificate_der(), root)?;
            self.keep_leaf(&actor, "new", leaf.clone());
            let cutting = self.cutting_mut()?;
            for peer in cutting.peers.iter_mut().filter(|peer| peer.actor == actor) {
                peer.leaf = Some(new.clone());
            }
            cutting.made.insert(actor, leaf);
        }
        Ok(())
    }
}
