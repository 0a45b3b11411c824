//! What a phase waits for, computed from what was observed, never from what was ordered or from a
//! timer (method.md section 1, rows 6 and 7). Pure.

use super::Phase;
use super::seen::ClientLeaf;
use fake_kingdom::model::Timestamp;
use fake_kingdom::{DuchyStatus, OpenConnection, ReplicaStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A gate at one moment: open, or shut for these reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    waits_for: String,
    missing: Vec<String>,
}

impl Gate {
    /// A gate that waits for this, of which this is still missing.
    pub fn of(waits_for: impl Into<String>, missing: Vec<String>) -> Self {
        Self { waits_for: waits_for.into(), missing }
    }

    /// Whether nothing is missing.
    pub fn is_open(&self) -> bool {
        self.missing.is_empty()
    }

    /// What is missing, a sentence each.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_open() {
            return write!(f, "open: {}", self.waits_for);
        }
        write!(f, "shut: {}", self.missing.join("; "))
    }
}

/// Whose credential is rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The Kingdom's own leaf: its peers are the callers, and the Duchies.
    Kingdom,
    /// A participant's leaf: its peers are the replicas, and the Duchies that know it.
    Participant {
        /// As scenarios call it.
        actor: String,
        /// As the Kingdom calls it.
        principal: String,
        /// The Duchies whose map knows it (contract 5.9.1).
        duchies: BTreeSet<String>,
    },
}

/// A credential by what identifies it; lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Subject key identifier of the leaf.
    pub leaf: String,
    /// Subject key identifier of the root that issued it.
    pub root: String,
    /// From when the leaf is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// What is rotated, and among whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Whose credential.
    pub holder: Holder,
    /// What it replaces.
    pub old: Identity,
    /// The new one, once it is made.
    pub new: Option<Identity>,
    /// The callers that must not notice.
    pub peers: Vec<String>,
}

impl Rotation {
    fn changes_root(&self) -> bool {
        self.new.as_ref().is_some_and(|new| new.root != self.old.root)
    }
}

/// How a caller was last answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Subject key identifiers of the roots that it trusted when it opened the connection.
    pub trust: Vec<String>,
    /// Of its own leaf.
    pub client: String,
    /// Of the server's leaf.
    pub server: String,
}

/// All that a gate may look at.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The environment's clock.
    pub now: Timestamp,
    /// What each replica says of itself.
    pub replicas: Vec<ReplicaStatus>,
    /// What each Duchy's server says of itself.
    pub duchies: Vec<DuchyStatus>,
    /// Open connections, with the credentials that live on in them.
    pub connections: Vec<OpenConnection>,
    /// How each caller was answered last on a new connection, since the procedure began.
    pub callers: BTreeMap<String, Sighting>,
    /// Who probes, whether or not somebody named it as a peer.
    pub probing: BTreeSet<String>,
    /// The leaf that each replica showed on its newest connection.
    pub shown: BTreeMap<u32, String>,
    /// By replica and principal: the leaf of the newest connection that a call was answered on.
    pub answered: BTreeMap<(u32, String), String>,
    /// The leaves of clients that opened connections since the drain began.
    pub opened: BTreeSet<ClientLeaf>,
}

/// The callers that must not notice: those who were named, and those whose calls show that they are
/// there. The caller that nobody thought of is the one that a switch would cut off.
fn peers<'a>(rotation: &'a Rotation, seen: &'a Observed) -> BTreeSet<&'a str> {
    rotation.peers.iter().chain(&seen.probing).map(String::as_str).collect()
}

/// The gate of a phase at this moment.
pub fn gate(phase: Phase, rotation: &Rotation, seen: &Observed) -> Gate {
    let (waits_for, missing) = match phase {
        Phase::Prepare => {
            ("every replica runs and accepts the old credential", settled(rotation, seen))
        }
        Phase::Distribute => (
            "the new credential is sound, and every peer has been seen with the old one",
            baseline(rotation, seen),
        ),
        Phase::Switch => {
            ("every peer has been seen to accept the new root", accepted(rotation, seen))
        }
        Phase::Drain => ("every replica has been seen with the new leaf", switched(rotation, seen)),
        Phase::Retire => (
            "every replica has been seen with the new leaf since it started, no connection lives on the \
             old credential, and none was opened on it since the drain began",
            drained(rotation, seen),
        ),
    };
    Gate::of(waits_for, missing)
}

/// Before anything is touched, all agree on what there is: else the way back leads nowhere.
fn settled(rotation: &Rotation, seen: &Observed) -> Vec<String> {
    let mut missing = Vec::new();
    if seen.replicas.is_empty() {
        missing.push("no replica is known".to_owned());
    }
    for replica in &seen.replicas {
        let who = format!("replica {}", replica.id);
        if replica.state != "running" {
            missing.push(format!("{who} does not run"));
            continue;
        }
        match &rotation.holder {
            Holder::Kingdom if leaf(replica) != Some(rotation.old.leaf.as_str()) => {
                missing.push(format!("{who} does not show the old leaf"));
            }
            Holder::Kingdom => {}
            Holder::Participant { principal, .. } => {
                missing.extend(knows(
                    &who,
                    "old",
                    &rotation.old.root,
                    principal,
                    replica.knowledge(),
                ));
            }
        }
    }
    missing
}

/// The new credential is another one, valid now; and there is evidence that each peer is there.
fn baseline(rotation: &Rotation, seen: &Observed) -> Vec<String> {
    let mut missing = Vec::new();
    match &rotation.new {
        None => missing.push("there is no new credential".to_owned()),
        Some(new) => {
            if new.leaf == rotation.old.leaf {
                missing.push("the new leaf has the old one's key".to_owned());
            }
            if seen.now < new.not_before {
                missing.push("the new leaf is not valid yet".to_owned());
            }
            if new.not_after <= seen.now {
                missing.push("the new leaf has expired".to_owned());
            }
        }
    }
    let peers = peers(rotation, seen);
    if peers.is_empty() {
        missing.push("no peer is named, so nobody would notice".to_owned());
    }
    for peer in peers {
        if !seen.callers.contains_key(peer) {
            missing.push(format!("{peer} has not been seen"));
        }
    }
    missing
}

/// Each peer has the new root in force: in its own process, not in a file it may never read.
fn accepted(rotation: &Rotation, seen: &Observed) -> Vec<String> {
    let Some(new) = &rotation.new else { return vec!["there is no new credential".to_owned()] };
    let mut missing = Vec::new();
    match &rotation.holder {
        Holder::Kingdom => {
            for peer in peers(rotation, seen) {
                let trusts = seen.callers.get(peer).is_some_and(|s| s.trust.contains(&new.root));
                if !trusts {
                    missing.push(format!("{peer} has not been seen to trust the new root"));
                }
            }
            if rotation.changes_root() {
                for replica in &seen.replicas {
                    if !replica.trust.contains(&new.root) {
                        missing.push(format!("replica {} does not trust the new root", replica.id));
                    }
                }
                for duchy in &seen.duchies {
                    if !duchy.trust.contains(&new.root) {
                        missing.push(format!("{} does not trust the new root", duchy.id));
                    }
                }
            }
        }
        Holder::Participant { principal, duchies, .. } => {
            for replica in &seen.replicas {
                let who = format!("replica {}", replica.id);
                missing.extend(knows(&who, "new", &new.root, principal, replica.knowledge()));
            }
            for id in duchies {
                let of_duchy = seen.duchies.iter().find(|duchy| duchy.id == *id);
                let knowledge = of_duchy.map_or((&[][..], &[][..]), |duchy| duchy.knowledge());
                missing.extend(knows(id, "new", &new.root, principal, knowledge));
            }
        }
    }
    missing
}

/// The new leaf is what is shown, at every replica: by the last handshake or call, not by a file.
fn switched(rotation: &Rotation, seen: &Observed) -> Vec<String> {
    if rotation.new.is_none() {
        return vec!["there is no new credential".to_owned()];
    }
    let replicas = seen.replicas.iter();
    replicas.filter_map(|replica| not_switched(rotation, seen, replica)).collect()
}

/// Why this replica does not count as switched; `None` if it does.
fn not_switched(rotation: &Rotation, seen: &Observed, replica: &ReplicaStatus) -> Option<String> {
    let (id, new) = (replica.id, rotation.new.as_ref().map(|new| &new.leaf));
    if replica.state != "running" {
        return Some(format!("replica {id} does not run"));
    }
    let (newest, what) = match &rotation.holder {
        Holder::Kingdom => (seen.shown.get(&id), "with the new leaf".to_owned()),
        Holder::Participant { actor, principal, .. } => {
            (seen.answered.get(&(id, principal.clone())), format!("{actor}'s new leaf"))
        }
    };
    let is_seen = newest.is_some() && newest == new;
    (!is_seen).then(|| format!("replica {id} has not been seen to answer {what}"))
}

/// Contract 5.5.4: an open connection keeps the credentials of its handshake until it closes. That none
/// is open at this instant is not enough: whoever opens the next one on the old credential still uses it.
/// Nor is it enough that nothing is seen of the old one: a replica that was not seen since it started, or
/// that shows a third leaf, may be of the old root, and what switched once may have gone back.
fn drained(rotation: &Rotation, seen: &Observed) -> Vec<String> {
    let (old, changes_root) = (&rotation.old, rotation.changes_root());
    let is_old = |leaf: Option<&String>, issuer: Option<&String>| {
        leaf == Some(&old.leaf) || (changes_root && issuer == Some(&old.root))
    };
    let mut missing = Vec::new();
    match &rotation.holder {
        Holder::Kingdom => {
            // A server's leaf is known without its issuer: where the root changes, whatever is not the new
            // leaf may be of the old root.
            let new = rotation.new.as_ref().map(|new| &new.leaf);
            let lives_on = |open: &&OpenConnection| {
                let leaf = open.server.skid.as_ref();
                leaf == Some(&old.leaf) || (changes_root && leaf != new)
            };
            let open: BTreeSet<_> =
                seen.connections.iter().filter(lives_on).filter_map(|open| open.replica).collect();
            let again = seen.shown.iter().filter(|(_, leaf)| **leaf == old.leaf);
            let again: BTreeSet<_> = again.map(|(id, _)| *id).collect();
            let text = |id| {
                if again.contains(id) {
                    format!("replica {id} still shows the old leaf on new connections")
                } else {
                    format!("open connections to replica {id} live on the old credential")
                }
            };
            missing.extend(open.union(&again).map(text));
            // Of those that show the old leaf it was said above.
            let others = seen.replicas.iter().filter(|replica| !again.contains(&replica.id));
            missing.extend(others.filter_map(|replica| not_switched(rotation, seen, replica)));
        }
        Holder::Participant { actor, .. } => {
            if seen.opened.iter().any(|one| is_old(Some(&one.leaf), Some(&one.issuer))) {
                let text = "has opened connections on the old credential since the drain began";
                return vec![format!("{actor} {text}")];
            }
            let lives_on = |open: &OpenConnection| {
                let peer = open.peer.as_ref();
                peer.is_some_and(|peer| is_old(peer.skid.as_ref(), peer.akid.as_ref()))
            };
            if seen.connections.iter().any(lives_on) {
                missing.push(format!("open connections of {actor} live on the old credential"));
            }
            missing.extend(switched(rotation, seen));
        }
    }
    missing
}

fn leaf(replica: &ReplicaStatus) -> Option<&str> {
    replica.server.as_ref()?.skid.as_deref()
}

/// Trust entries, and the map from authority key identifier to principal.
type Knowledge<'a> = (&'a [String], &'a [(String, String)]);

trait Knows {
    fn knowledge(&self) -> Knowledge<'_>;
}

impl Knows for ReplicaStatus {
    fn knowledge(&self) -> Knowledge<'_> {
        (&self.trust, &self.principals)
    }
}

impl Knows for DuchyStatus {
    fn knowledge(&self) -> Knowledge<'_> {
        (&self.trust, &self.principals)
    }
}

/// Bundle and map are two switches (contract 2.8, 2.9): both must know the root.
fn knows(who: &str, age: &str, root: &str, principal: &str, has: Knowledge<'_>) -> Vec<String> {
    let (trust, map) = has;
    let mut missing = Vec::new();
    if !trust.iter().any(|skid| skid == root) {
        missing.push(format!("{who} does not trust the {age} root"));
    }
    if !map.iter().any(|(akid, of)| akid == root && of == principal) {
        missing.push(format!("{who} does not map the {age} root"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use fake_kingdom::event::{Listener, PeerFacts, ServerFacts};

    fn identity(age: &str) -> Identity {
        Identity {
            leaf: format!("{age}-leaf"),
            root: format!("{age}-root"),
            not_before: Timestamp::from_seconds(0),
            not_after: Timestamp::from_seconds(100),
        }
    }

    fn rotation(holder: Holder) -> Rotation {
        let peers = vec!["edp1".to_owned(), "mc1".to_owned()];
        Rotation { holder, old: identity("old"), new: Some(identity("new")), peers }
    }

    fn of_participant() -> Rotation {
        rotation(Holder::Participant {
            actor: "edp1".to_owned(),
            principal: "dataProviders/1".to_owned(),
            duchies: ["worker1".to_owned()].into(),
        })
    }

    fn server_leaf(skid: &str) -> ServerFacts {
        ServerFacts { serial: String::new(), skid: Some(skid.to_owned()) }
    }

    fn both_roots() -> (Vec<String>, Vec<(String, String)>) {
        let roots = ["old-root", "new-root"].map(str::to_owned).to_vec();
        let map = roots.iter().map(|root| (root.clone(), "dataProviders/1".to_owned())).collect();
        (roots, map)
    }

    /// A world in which every gate is open.
    fn all_well(of: &Rotation) -> Observed {
        let (trust, principals) = both_roots();
        let replica = |id| ReplicaStatus {
            id,
            state: "running",
            public: None,
            connections: 0,
            server: Some(server_leaf("old-leaf")),
            trust: trust.clone(),
            principals: principals.clone(),
            client_auth: Some("required"),
        };
        let duchy = DuchyStatus {
            id: "worker1".to_owned(),
            state: "running",
            address: None,
            connections: 0,
            server: None,
            trust: trust.clone(),
            principals: principals.clone(),
        };
        let sighting = Sighting { trust: trust.clone(), ..Sighting::default() };
        Observed {
            now: Timestamp::from_seconds(50),
            replicas: vec![replica(0), replica(1)],
            duchies: vec![duchy],
            connections: vec![open("new-leaf", "new-root", "new-leaf")],
            callers: of.peers.iter().map(|peer| (peer.clone(), sighting.clone())).collect(),
            shown: [0, 1].map(|id| (id, "new-leaf".to_owned())).into(),
            answered: [0, 1]
                .map(|id| ((id, "dataProviders/1".to_owned()), "new-leaf".to_owned()))
                .into(),
            probing: of.peers.iter().cloned().collect(),
            opened: [client_leaf("new-leaf", "new-root")].into(),
        }
    }

    fn open(peer: &str, issuer: &str, server: &str) -> OpenConnection {
        OpenConnection {
            id: 1,
            replica: Some(1),
            duchy: None,
            listener: Listener::Public,
            peer_address: String::new(),
            peer: Some(PeerFacts {
                serial: String::new(),
                skid: Some(peer.to_owned()),
                akid: Some(issuer.to_owned()),
            }),
            server: server_leaf(server),
        }
    }

    fn client_leaf(leaf: &str, issuer: &str) -> ClientLeaf {
        ClientLeaf { leaf: leaf.to_owned(), issuer: issuer.to_owned() }
    }

    fn missing(phase: Phase, of: &Rotation, change: impl FnOnce(&mut Observed)) -> Vec<String> {
        let mut seen = all_well(of);
        change(&mut seen);
        gate(phase, of, &seen).missing().to_vec()
    }

    #[test]
    fn drain_waits_for_a_replica_that_went_down_after_it_was_seen() {
        for of in [rotation(Holder::Kingdom), of_participant()] {
            let down = |seen: &mut Observed| seen.replicas[1].state = "stopped";
            assert_eq!(missing(Phase::Drain, &of, down), ["replica 1 does not run"]);
        }
    }

    #[test]
    fn every_gate_is_open_when_all_is_well() {
        for of in [rotation(Holder::Kingdom), of_participant()] {
            for phase in Phase::ALL {
                assert_eq!(missing(phase, &of, |_| {}), [""; 0], "{phase}");
            }
        }
    }

    #[test]
    fn prepare_waits_for_a_replica_that_is_down_or_shows_something_else() {
        let of = rotation(Holder::Kingdom);
        let down = missing(Phase::Prepare, &of, |seen| seen.replicas[1].state = "stopped");
        assert_eq!(down, ["replica 1 does not run"]);
        let other =
            missing(Phase::Prepare, &of, |s| s.replicas[0].server = Some(server_leaf("else")));
        assert_eq!(other, ["replica 0 does not show the old leaf"]);
        let none = missing(Phase::Prepare, &of, |seen| seen.replicas.clear());
        assert_eq!(none, ["no replica is known"]);
        let unmapped =
            missing(Phase::Prepare, &of_participant(), |s| s.replicas[0].principals.clear());
        assert_eq!(unmapped, ["replica 0 does not map the old root"]);
    }

    #[test]
    fn distribute_waits_for_a_sound_credential_and_for_a_peer_that_was_not_seen() {
        let mut of = rotation(Holder::Kingdom);
        let unseen = missing(Phase::Distribute, &of, |seen| {
            seen.callers.remove("mc1");
        });
        assert_eq!(unseen, ["mc1 has not been seen"]);
        for (second, why) in [(-1, "is not valid yet"), (100, "has expired")] {
            let bad = missing(Phase::Distribute, &of, |seen| {
                seen.now = Timestamp::from_seconds(second);
            });
            assert_eq!(bad, [format!("the new leaf {why}")]);
        }
        of.new = Some(of.old.clone());
        assert_eq!(missing(Phase::Distribute, &of, |_| {}), ["the new leaf has the old one's key"]);
        of.new = None;
        assert_eq!(missing(Phase::Distribute, &of, |_| {}), ["there is no new credential"]);
        of.peers.clear();
        assert_eq!(missing(Phase::Distribute, &of, |_| {}).len(), 2);
    }

    #[test]
    fn a_caller_that_probes_is_a_peer_though_nobody_named_it() {
        let of = rotation(Holder::Kingdom);
        let stranger = |phase, trust: Option<&[&str]>| {
            missing(phase, &of, |seen| {
                seen.probing.insert("edp2".to_owned());
                let trust = trust.map(|trust| trust.iter().map(ToString::to_string).collect());
                let sighting = trust.map(|trust| Sighting { trust, ..Sighting::default() });
                seen.callers.extend(sighting.map(|sighting| ("edp2".to_owned(), sighting)));
            })
        };
        assert_eq!(stranger(Phase::Distribute, None), ["edp2 has not been seen"]);
        let why = ["edp2 has not been seen to trust the new root"];
        assert_eq!(stranger(Phase::Switch, None), why);
        assert_eq!(stranger(Phase::Switch, Some(&["old-root"])), why);
        assert_eq!(stranger(Phase::Switch, Some(&["old-root", "new-root"])), [""; 0]);
    }

    #[test]
    fn switch_waits_for_each_caller_replica_and_duchy_to_accept_the_new_root() {
        let of = rotation(Holder::Kingdom);
        let caller = missing(Phase::Switch, &of, |seen| {
            let mc1 = seen.callers.get_mut("mc1").unwrap();
            mc1.trust.retain(|root| root == "old-root");
        });
        assert_eq!(caller, ["mc1 has not been seen to trust the new root"]);
        let duchy = missing(Phase::Switch, &of, |seen| seen.duchies[0].trust.clear());
        assert_eq!(duchy, ["worker1 does not trust the new root"]);
        let of = of_participant();
        let map = missing(Phase::Switch, &of, |seen| seen.replicas[1].principals.clear());
        assert_eq!(map, ["replica 1 does not map the new root"]);
        let bundle = missing(Phase::Switch, &of, |seen| seen.duchies[0].trust.clear());
        assert_eq!(bundle, ["worker1 does not trust the new root"]);
        let gone = missing(Phase::Switch, &of, |seen| seen.duchies.clear());
        assert_eq!(gone.len(), 2, "a Duchy that is not there accepts nothing");
    }

    #[test]
    fn another_participant_under_the_new_root_is_not_the_one() {
        let stolen = missing(Phase::Switch, &of_participant(), |seen| {
            for (_, principal) in &mut seen.replicas[0].principals {
                *principal = "dataProviders/2".to_owned();
            }
        });
        assert_eq!(stolen, ["replica 0 does not map the new root"]);
    }

    #[test]
    fn drain_waits_for_a_replica_that_was_not_seen_with_the_new_leaf() {
        let of = rotation(Holder::Kingdom);
        let old = missing(Phase::Drain, &of, |seen| {
            seen.shown.insert(1, "old-leaf".to_owned());
        });
        assert_eq!(old, ["replica 1 has not been seen to answer with the new leaf"]);
        let silent = missing(Phase::Drain, &of_participant(), |seen| {
            seen.answered.retain(|(replica, _), _| *replica == 0);
        });
        assert_eq!(silent, ["replica 1 has not been seen to answer edp1's new leaf"]);
        let back = missing(Phase::Drain, &of_participant(), |seen| {
            seen.answered.values_mut().for_each(|leaf| *leaf = "old-leaf".to_owned());
        });
        assert_eq!(back.len(), 2, "at both replicas it went back: {back:?}");
    }

    #[test]
    fn retire_waits_for_the_last_connection_on_the_old_credential() {
        let of = rotation(Holder::Kingdom);
        let one = missing(Phase::Retire, &of, |seen| {
            seen.connections.push(open("x", "y", "old-leaf"));
        });
        assert_eq!(one, ["open connections to replica 1 live on the old credential"]);
        let of = of_participant();
        for (leaf, root) in [("old-leaf", "old-root"), ("older-leaf", "old-root")] {
            let two = missing(Phase::Retire, &of, |seen| {
                seen.connections.extend([open(leaf, root, "x"), open(leaf, root, "x")]);
            });
            assert_eq!(two, ["open connections of edp1 live on the old credential"], "{leaf}");
        }
    }

    #[test]
    fn retire_waits_while_new_connections_come_on_the_old_credential_though_none_is_open() {
        let of = rotation(Holder::Kingdom);
        let shown = missing(Phase::Retire, &of, |seen| {
            seen.shown.insert(1, "old-leaf".to_owned());
        });
        assert_eq!(shown, ["replica 1 still shows the old leaf on new connections"]);
        let of = of_participant();
        for (leaf, root) in [("old-leaf", "old-root"), ("older-leaf", "old-root")] {
            let opened = missing(Phase::Retire, &of, |seen| {
                seen.opened.insert(client_leaf(leaf, root));
            });
            let why = "edp1 has opened connections on the old credential since the drain began";
            assert_eq!(opened, [why], "{leaf}");
        }
        let mut same_root = of_participant();
        same_root.new.as_mut().unwrap().root = "old-root".to_owned();
        let other = missing(Phase::Retire, &same_root, |seen| {
            seen.opened.insert(client_leaf("another's leaf", "old-root"));
        });
        assert_eq!(other, [""; 0], "where the root stays, only the old leaf is the old credential");
    }

    #[test]
    fn retire_waits_for_a_replica_that_was_not_seen_since_it_started() {
        let of = rotation(Holder::Kingdom);
        let unseen = missing(Phase::Retire, &of, |seen| {
            seen.shown.remove(&1);
        });
        assert_eq!(unseen, ["replica 1 has not been seen to answer with the new leaf"]);
        let unseen = missing(Phase::Retire, &of_participant(), |seen| {
            seen.answered.retain(|(replica, _), _| *replica == 0);
        });
        assert_eq!(unseen, ["replica 1 has not been seen to answer edp1's new leaf"]);
        for of in [of, of_participant()] {
            let down = |seen: &mut Observed| seen.replicas[1].state = "stopped";
            assert_eq!(missing(Phase::Retire, &of, down), ["replica 1 does not run"]);
            let again = |seen: &mut Observed| {
                seen.shown.insert(1, "new-leaf".to_owned());
            };
            assert_eq!(missing(Phase::Retire, &of, again), [""; 0]);
        }
    }

    #[test]
    fn retire_waits_while_a_replica_shows_a_third_leaf_which_may_be_of_the_old_root() {
        let of = rotation(Holder::Kingdom);
        let third = missing(Phase::Retire, &of, |seen| {
            seen.shown.insert(1, "third-leaf".to_owned());
        });
        assert_eq!(third, ["replica 1 has not been seen to answer with the new leaf"]);
        let on_third = |seen: &mut Observed| seen.connections.push(open("x", "y", "third-leaf"));
        let lives_on = ["open connections to replica 1 live on the old credential"];
        assert_eq!(missing(Phase::Retire, &of, on_third), lives_on);
        let mut same_root = of;
        same_root.new.as_mut().unwrap().root = "old-root".to_owned();
        let kept = missing(Phase::Retire, &same_root, on_third);
        assert_eq!(kept, [""; 0], "where the root stays, only the old leaf is the old credential");
    }
}
