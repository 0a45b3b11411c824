//! What the servers' own events say of a rotation: which leaf a replica showed last, on which leaf a
//! caller was answered last, and which leaves opened connections while the old one was being drained.
//! Pure.
//!
//! The newest connection counts, as in [`super::cutover::Callers`]: a call on an older one says nothing
//! of what its caller or its server shows by now, and what was once seen may have been taken back.

use crate::observation::ServerEvent;
use std::collections::{BTreeMap, BTreeSet};

/// A client's leaf by what identifies it; lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientLeaf {
    /// Its subject key identifier.
    pub leaf: String,
    /// Its authority key identifier.
    pub issuer: String,
}

/// What was seen since a procedure began.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    after_event: u64,
    /// By replica: the newest connection that was opened, and the server's leaf in it.
    shown: BTreeMap<u32, (u64, String)>,
    /// By replica and principal: the newest connection a call was answered on, and the caller's leaf.
    answered: BTreeMap<(u32, String), (u64, String)>,
    /// The leaves that opened connections since the drain began; `None` before it does.
    opened: Option<BTreeSet<ClientLeaf>>,
}

impl Seen {
    /// Nothing yet; events up to this one are none of the procedure's.
    pub fn after(event: u64) -> Self {
        Self { after_event: event, ..Self::default() }
    }

    /// The newest event that it has taken note of.
    pub fn last_event(&self) -> u64 {
        self.after_event
    }

    /// Takes note of one event.
    pub fn see(&mut self, event: &ServerEvent) {
        self.after_event = self.after_event.max(event.seq);
        if (event.kind.as_str(), event.outcome.as_str()) == ("handshake", "ok")
            && let (Some(opened), Some(peer)) = (&mut self.opened, &event.peer)
        {
            let (leaf, issuer) = (peer.skid.clone(), peer.akid.clone());
            let (leaf, issuer) = (leaf.unwrap_or_default(), issuer.unwrap_or_default());
            opened.insert(ClientLeaf { leaf, issuer });
        }
        let Some(replica) = event.replica else { return };
        let connection = event.connection.unwrap_or_default();
        match (event.kind.as_str(), event.outcome.as_str()) {
            // What it showed and answered before, another process did.
            ("replica", _) => {
                self.shown.remove(&replica);
                self.answered.retain(|(of, _), _| *of != replica);
            }
            ("handshake", "ok") => {
                if let Some(skid) = event.server.as_ref().and_then(|server| server.skid.clone()) {
                    keep_newest(&mut self.shown, replica, connection, skid);
                }
            }
            ("call", _) if event.code.as_deref() == Some("OK") => {
                let skid = event.peer.as_ref().and_then(|peer| peer.skid.clone());
                if let (Some(principal), Some(skid)) = (event.principal.clone(), skid) {
                    keep_newest(&mut self.answered, (replica, principal), connection, skid);
                }
            }
            _ => {}
        }
    }

    /// The drain begins, for all or for somebody who caught up: who opens a connection on the old leaf
    /// from here on has not let go of it.
    pub fn begin_drain(&mut self) {
        self.opened = Some(BTreeSet::new());
    }

    /// The drain was undone.
    pub fn undo_drain(&mut self) {
        self.opened = None;
    }

    /// The leaf that each replica showed on its newest connection.
    pub fn shown(&self) -> BTreeMap<u32, String> {
        self.shown.iter().map(|(replica, (_, leaf))| (*replica, leaf.clone())).collect()
    }

    /// The leaf of each caller's newest connection that a call was answered on, by replica and principal.
    pub fn answered(&self) -> BTreeMap<(u32, String), String> {
        self.answered.iter().map(|(who, (_, leaf))| (who.clone(), leaf.clone())).collect()
    }

    /// The leaves that opened connections since the drain began.
    pub fn opened(&self) -> BTreeSet<ClientLeaf> {
        self.opened.clone().unwrap_or_default()
    }
}

fn keep_newest<K: Ord>(of: &mut BTreeMap<K, (u64, String)>, key: K, connection: u64, leaf: String) {
    let newest = of.entry(key).or_default();
    if connection >= newest.0 {
        *newest = (connection, leaf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{PeerFacts, ServerFacts};

    const PRINCIPAL: &str = "dataProviders/1";

    fn event(kind: &str, replica: u32, connection: u64, leaf: &str) -> ServerEvent {
        ServerEvent {
            kind: kind.to_owned(),
            outcome: "ok".to_owned(),
            code: (kind == "call").then(|| "OK".to_owned()),
            replica: Some(replica),
            connection: Some(connection),
            principal: Some(PRINCIPAL.to_owned()),
            peer: Some(PeerFacts {
                serial: String::new(),
                skid: Some(leaf.to_owned()),
                akid: Some("root".to_owned()),
            }),
            server: Some(ServerFacts { serial: String::new(), skid: Some(leaf.to_owned()) }),
            ..ServerEvent::default()
        }
    }

    fn seen(events: &[ServerEvent]) -> Seen {
        let mut seen = Seen::after(0);
        events.iter().for_each(|event| seen.see(event));
        seen
    }

    fn answered(seen: &Seen, replica: u32) -> Option<String> {
        seen.answered().remove(&(replica, PRINCIPAL.to_owned()))
    }

    #[test]
    fn a_replica_that_starts_again_has_shown_and_answered_nothing_yet() {
        let before =
            [0, 1].map(|id| [event("handshake", id, 1, "new"), event("call", id, 1, "new")]);
        let mut seen = seen(&before.concat());
        assert_eq!((seen.shown().len(), seen.answered().len()), (2, 2));
        for outcome in ["stopping", "stopped", "started"] {
            let outcome = outcome.to_owned();
            seen.see(&ServerEvent { outcome, ..event("replica", 1, 0, "") });
        }
        assert_eq!(seen.shown(), BTreeMap::from([(0, "new".to_owned())]));
        assert_eq!(answered(&seen, 1), None, "another process did");
        assert_eq!(answered(&seen, 0).as_deref(), Some("new"), "the other one goes on");
    }

    #[test]
    fn what_a_replica_showed_last_counts_and_not_what_it_showed_once() {
        let of = |leaves: [&str; 2]| {
            let event = |n: usize| event("handshake", 0, n as u64 + 1, leaves[n]);
            seen(&[event(0), event(1)]).shown().remove(&0)
        };
        assert_eq!(of(["old", "new"]).as_deref(), Some("new"));
        assert_eq!(of(["new", "old"]).as_deref(), Some("old"));
    }

    #[test]
    fn the_newest_connection_counts_and_not_the_newest_call() {
        let on = |connection: u64, leaf: &str| event("call", 0, connection, leaf);
        assert_eq!(answered(&seen(&[on(1, "old"), on(2, "new")]), 0).as_deref(), Some("new"));
        let lingers = seen(&[on(2, "new"), on(1, "old")]);
        assert_eq!(answered(&lingers, 0).as_deref(), Some("new"), "an older connection lives on");
        let back = seen(&[on(2, "new"), on(3, "old")]);
        assert_eq!(answered(&back, 0).as_deref(), Some("old"), "it went back");
    }

    #[test]
    fn a_call_that_was_refused_and_a_handshake_that_failed_say_nothing() {
        let refused =
            ServerEvent { code: Some("NOT_FOUND".to_owned()), ..event("call", 0, 1, "new") };
        let failed =
            ServerEvent { outcome: "refused".to_owned(), ..event("handshake", 0, 1, "new") };
        let mut seen = Seen::after(0);
        seen.begin_drain();
        seen.see(&refused);
        seen.see(&failed);
        assert!(seen.answered().is_empty() && seen.shown().is_empty() && seen.opened().is_empty());
    }

    #[test]
    fn leaves_that_open_connections_are_kept_from_the_drain_on_and_only_then() {
        let mut seen = seen(&[event("handshake", 0, 1, "before")]);
        assert!(seen.opened().is_empty());
        seen.begin_drain();
        let at_a_duchy = ServerEvent { replica: None, ..event("handshake", 0, 3, "at a Duchy") };
        for event in [event("handshake", 0, 2, "after"), at_a_duchy, event("replica", 0, 0, "")] {
            seen.see(&event);
        }
        let leaves: Vec<_> = seen.opened().into_iter().map(|one| one.leaf).collect();
        assert_eq!(leaves, ["after", "at a Duchy"], "a restart does not excuse who opened it");
        seen.begin_drain();
        assert!(seen.opened().is_empty(), "it is drained anew");
        seen.undo_drain();
        seen.see(&event("handshake", 0, 4, "undone"));
        assert!(seen.opened().is_empty());
    }
}
