//! The gates of a cutover from server TLS to mTLS: client certificates off, optional, required
//! (contract 2.1). Pure, as [`super::gate`] is.
//!
//! Who shows no certificate is known from the calls that the servers recorded, by the principal that
//! its API key gives it, never from a list of who ought to have one: the caller that nobody thought
//! of is the one that the switch would cut off. Programs that share an API key are one principal, so
//! one caller: it is named as long as the newest connection to some replica came from the one without.

use super::gate::Identity;
use super::{Gate, Phase};
use crate::observation::ServerEvent;
use fake_kingdom::event::Listener;
use fake_kingdom::model::Timestamp;
use fake_kingdom::{OpenConnection, ReplicaStatus};
use std::collections::{BTreeMap, BTreeSet};

/// A caller that must not notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// As scenarios call it.
    pub actor: String,
    /// As the Kingdom calls it.
    pub principal: String,
    /// The leaf that was made for it; `None` if it has its own, or before one is made.
    pub leaf: Option<Identity>,
}

/// What the newest connection of each caller to each replica showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    /// By replica and principal: the connection, and whether it came with a certificate.
    newest: BTreeMap<(u32, String), (u64, bool)>,
    /// Whose each connection is.
    owners: BTreeMap<u64, String>,
}

impl Callers {
    /// Takes note of one event: a call to the public API whose caller was known by name.
    pub fn see(&mut self, event: &ServerEvent) {
        let (Some(replica), Some(connection), Some(principal)) =
            (event.replica, event.connection, &event.principal)
        else {
            return;
        };
        if event.kind != "call" || event.listener.as_deref() != Some("public") {
            return;
        }
        self.owners.insert(connection, principal.clone());
        let newest = self.newest.entry((replica, principal.clone())).or_default();
        // A call on an older connection says nothing of what its caller shows by now.
        if connection >= newest.0 {
            *newest = (connection, event.peer.is_some());
        }
    }

    /// Everybody who has called.
    pub fn all(&self) -> BTreeSet<&str> {
        self.newest.keys().map(|(_, principal)| principal.as_str()).collect()
    }

    /// Whose newest connection to some replica came without a certificate.
    pub fn without_certificate(&self) -> BTreeSet<&str> {
        let bare = self.newest.iter().filter(|(_, (_, has_certificate))| !has_certificate);
        bare.map(|((_, principal), _)| principal.as_str()).collect()
    }

    fn has_called(&self, replica: u32, principal: &str) -> bool {
        self.newest.contains_key(&(replica, principal.to_owned()))
    }
}

/// All that a gate of a cutover may look at.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The environment's clock.
    pub now: Timestamp,
    /// What each replica says of itself.
    pub replicas: Vec<ReplicaStatus>,
    /// Open connections.
    pub connections: Vec<OpenConnection>,
    /// Who has called since the procedure began.
    pub callers: Callers,
    /// Name of each principal, as scenarios call it.
    pub names: BTreeMap<String, String>,
}

impl Observed {
    fn name<'a>(&'a self, principal: &'a str) -> &'a str {
        self.names.get(principal).map_or(principal, String::as_str)
    }
}

/// The gate of a phase at this moment.
pub fn gate(phase: Phase, peers: &[Peer], seen: &Observed) -> Gate {
    let (waits_for, missing) = match phase {
        Phase::Prepare => ("every replica runs, and every peer has been seen", met(peers, seen)),
        Phase::Distribute => {
            ("every new leaf is valid, and every replica trusts its root", acceptable(peers, seen))
        }
        Phase::Switch => (
            "every replica asks for a certificate, and every caller has been seen to show one",
            shown(peers, seen),
        ),
        Phase::Drain => ("every replica requires a certificate", required(seen)),
        Phase::Retire => (
            "no connection without a certificate is open, and no replica would accept another",
            [required(seen), closed(seen)].concat(),
        ),
    };
    Gate::of(waits_for, missing)
}

fn met(peers: &[Peer], seen: &Observed) -> Vec<String> {
    let mut missing = Vec::new();
    if seen.replicas.is_empty() {
        missing.push("no replica is known".to_owned());
    }
    let down = seen.replicas.iter().filter(|replica| replica.state != "running");
    missing.extend(down.map(|replica| format!("replica {} does not run", replica.id)));
    if peers.is_empty() {
        missing.push("no peer is named, so nobody would notice".to_owned());
    }
    let all = seen.callers.all();
    let unseen = peers.iter().filter(|peer| !all.contains(peer.principal.as_str()));
    missing.extend(unseen.map(|peer| format!("{} has not been seen", peer.actor)));
    missing
}

/// Optional is no mercy: a certificate that is not accepted is refused even there, and its caller is
/// cut off that was served without one.
fn acceptable(peers: &[Peer], seen: &Observed) -> Vec<String> {
    let mut missing = Vec::new();
    for Peer { actor, leaf, .. } in peers {
        let Some(leaf) = leaf else { continue };
        if seen.now < leaf.not_before {
            missing.push(format!("{actor}'s leaf is not valid yet"));
        }
        if leaf.not_after <= seen.now {
            missing.push(format!("{actor}'s leaf has expired"));
        }
        let ignorant = seen.replicas.iter().filter(|replica| !replica.trust.contains(&leaf.root));
        missing.extend(
            ignorant.map(|replica| format!("replica {} does not trust {actor}'s root", replica.id)),
        );
    }
    missing
}

fn shown(peers: &[Peer], seen: &Observed) -> Vec<String> {
    let mut missing = Vec::new();
    for replica in &seen.replicas {
        if !matches!(replica.client_auth, Some("optional" | "required")) {
            missing.push(format!("replica {} does not ask for a certificate", replica.id));
        }
        let unseen = peers.iter().filter(|p| !seen.callers.has_called(replica.id, &p.principal));
        missing.extend(
            unseen.map(|p| format!("{} has not been seen at replica {}", p.actor, replica.id)),
        );
    }
    // Also those whom nobody named as a peer.
    let bare = seen.callers.without_certificate();
    let text = |principal| format!("{} shows no certificate", seen.name(principal));
    missing.extend(bare.into_iter().map(text));
    missing
}

fn required(seen: &Observed) -> Vec<String> {
    let lax = seen.replicas.iter().filter(|replica| replica.client_auth != Some("required"));
    lax.map(|replica| format!("replica {} does not require a certificate", replica.id)).collect()
}

/// Contract 5.5.4: a connection that was made without a certificate goes on without one.
fn closed(seen: &Observed) -> Vec<String> {
    let bare = seen.connections.iter().filter(|open| {
        open.replica.is_some() && open.listener == Listener::Public && open.peer.is_none()
    });
    let whose = |open: &OpenConnection| match seen.callers.owners.get(&open.id) {
        Some(principal) => format!("open connections of {}", seen.name(principal)),
        None => "open connections of nobody known".to_owned(),
    };
    let whose: BTreeSet<_> = bare.map(whose).collect();
    whose.into_iter().map(|whose| format!("{whose} came without a certificate")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::PeerFacts;
    use fake_kingdom::event;

    fn peers() -> Vec<Peer> {
        let leaf = Identity {
            leaf: "leaf".to_owned(),
            root: "root".to_owned(),
            not_before: Timestamp::from_seconds(0),
            not_after: Timestamp::from_seconds(100),
        };
        let peer = |actor: &str, leaf| Peer {
            actor: actor.to_owned(),
            principal: format!("principals/{actor}"),
            leaf,
        };
        vec![peer("edp1", None), peer("mc1", Some(leaf))]
    }

    fn call(replica: u32, connection: u64, principal: &str, has_certificate: bool) -> ServerEvent {
        ServerEvent {
            kind: "call".to_owned(),
            outcome: "ok".to_owned(),
            listener: Some("public".to_owned()),
            replica: Some(replica),
            connection: Some(connection),
            principal: Some(principal.to_owned()),
            peer: has_certificate.then(PeerFacts::default),
            ..ServerEvent::default()
        }
    }

    fn open(id: u64, has_certificate: bool) -> OpenConnection {
        OpenConnection {
            id,
            replica: Some(1),
            duchy: None,
            listener: Listener::Public,
            peer_address: String::new(),
            peer: has_certificate.then(|| event::PeerFacts {
                serial: String::new(),
                skid: None,
                akid: None,
            }),
            server: event::ServerFacts { serial: String::new(), skid: None },
        }
    }

    /// A world in which every gate is open.
    fn all_well() -> Observed {
        let replica = |id| ReplicaStatus {
            id,
            state: "running",
            public: None,
            connections: 0,
            server: None,
            trust: vec!["root".to_owned()],
            principals: Vec::new(),
            client_auth: Some("required"),
        };
        let mut callers = Callers::default();
        for (connection, replica) in [(1, 0), (2, 1)] {
            callers.see(&call(replica, connection, "principals/edp1", true));
            callers.see(&call(replica, connection + 2, "principals/mc1", true));
        }
        Observed {
            now: Timestamp::from_seconds(50),
            replicas: vec![replica(0), replica(1)],
            connections: vec![open(4, true)],
            callers,
            names: peers().into_iter().map(|peer| (peer.principal, peer.actor)).collect(),
        }
    }

    fn missing(phase: Phase, change: impl FnOnce(&mut Observed)) -> Vec<String> {
        let mut seen = all_well();
        change(&mut seen);
        gate(phase, &peers(), &seen).missing().to_vec()
    }

    #[test]
    fn every_gate_is_open_when_all_is_well() {
        for phase in Phase::ALL {
            assert_eq!(missing(phase, |_| {}), [""; 0], "{phase}");
        }
    }

    #[test]
    fn prepare_waits_for_a_replica_that_is_down_and_for_a_peer_that_has_not_called() {
        let down = missing(Phase::Prepare, |seen| seen.replicas[1].state = "stopped");
        assert_eq!(down, ["replica 1 does not run"]);
        let unseen = missing(Phase::Prepare, |seen| seen.callers = Callers::default());
        assert_eq!(unseen, ["edp1 has not been seen", "mc1 has not been seen"]);
        let none = missing(Phase::Prepare, |seen| seen.replicas.clear());
        assert_eq!(none, ["no replica is known"]);
        let nobody = gate(Phase::Prepare, &[], &all_well());
        assert_eq!(nobody.missing(), ["no peer is named, so nobody would notice"]);
    }

    #[test]
    fn distribute_waits_for_leaves_that_the_replicas_would_accept() {
        for (second, why) in [(-1, "is not valid yet"), (100, "has expired")] {
            let bad = missing(Phase::Distribute, |seen| {
                seen.now = Timestamp::from_seconds(second);
            });
            assert_eq!(bad, [format!("mc1's leaf {why}")]);
        }
        let stranger = missing(Phase::Distribute, |seen| seen.replicas[1].trust.clear());
        assert_eq!(stranger, ["replica 1 does not trust mc1's root"]);
    }

    #[test]
    fn switch_waits_for_the_caller_whose_newest_connection_shows_no_certificate() {
        let bare = missing(Phase::Switch, |seen| {
            seen.callers.see(&call(1, 5, "principals/mc1", false));
        });
        assert_eq!(bare, ["mc1 shows no certificate"]);
        let stranger = missing(Phase::Switch, |seen| {
            seen.callers.see(&call(0, 6, "principals/nobody-thought-of-it", false));
        });
        assert_eq!(stranger, ["principals/nobody-thought-of-it shows no certificate"]);
        let old = missing(Phase::Switch, |seen| {
            seen.callers.see(&call(1, 0, "principals/mc1", false));
        });
        assert_eq!(old, [""; 0], "an older connection keeps what it has until it closes");
    }

    #[test]
    fn switch_waits_for_a_replica_that_asks_nobody_and_for_a_peer_that_it_has_not_met() {
        let off = missing(Phase::Switch, |seen| seen.replicas[0].client_auth = Some("off"));
        assert_eq!(off, ["replica 0 does not ask for a certificate"]);
        let down = missing(Phase::Switch, |seen| seen.replicas[0].client_auth = None);
        assert_eq!(down, ["replica 0 does not ask for a certificate"]);
        let unmet = missing(Phase::Switch, |seen| {
            seen.callers.newest.remove(&(1, "principals/mc1".to_owned()));
        });
        assert_eq!(unmet, ["mc1 has not been seen at replica 1"]);
    }

    #[test]
    fn drain_waits_for_a_replica_that_does_not_require_a_certificate() {
        let lax = missing(Phase::Drain, |seen| seen.replicas[1].client_auth = Some("optional"));
        assert_eq!(lax, ["replica 1 does not require a certificate"]);
    }

    #[test]
    fn retire_waits_for_the_last_connection_without_a_certificate() {
        let bare = missing(Phase::Retire, |seen| {
            seen.connections.extend([open(3, false), open(4, false), open(9, false)]);
        });
        assert_eq!(
            bare,
            [
                "open connections of mc1 came without a certificate",
                "open connections of nobody known came without a certificate",
            ]
        );
        let other = missing(Phase::Retire, |seen| {
            let system = OpenConnection { listener: Listener::System, ..open(9, false) };
            let duchy = OpenConnection { replica: None, ..open(9, false) };
            seen.connections.extend([system, duchy]);
        });
        assert_eq!(other, [""; 0], "the cutover is the public API's");
    }

    #[test]
    fn retire_waits_for_a_replica_that_went_back_to_optional_though_no_connection_is_open() {
        let lax = missing(Phase::Retire, |seen| seen.replicas[1].client_auth = Some("optional"));
        assert_eq!(lax, ["replica 1 does not require a certificate"]);
    }

    #[test]
    fn only_calls_to_the_public_api_by_a_caller_with_a_name_count() {
        let mut callers = Callers::default();
        let calls = [
            ServerEvent { listener: Some("system".to_owned()), ..call(0, 1, "a", false) },
            ServerEvent { kind: "handshake".to_owned(), ..call(0, 1, "a", false) },
            ServerEvent { principal: None, ..call(0, 1, "a", false) },
        ];
        for event in &calls {
            callers.see(event);
        }
        assert_eq!(callers, Callers::default());
    }
}
