//! Which credentials a run of probes saw before and after: a rotation that changed nothing proves
//! nothing (design.md section 2). Pure.

use super::availability;
use crate::observation::{Fact, Observation};
use crate::probe::{Answer, CredentialAge, Lane, Probe, Run};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The Kingdom, as the holder of a credential.
pub const KINGDOM: &str = "kingdom";

/// One credential at the start and at the end of a run, as the record shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CredentialChange {
    /// Whose: an actor, or `kingdom`; at one replica of it `kingdom/0`.
    pub actor: String,
    /// `tls_server`, `tls_client`, `api_certificate` or `encryption_key`.
    pub kind: &'static str,
    /// Subject key identifier of the first one seen, lower-case hex; empty for none.
    pub before_skid: String,
    /// Of the last one seen.
    pub after_skid: String,
    /// Whether another one was seen at any time: a rotation that was rolled back ends as it began.
    pub changed: bool,
    /// The replaced ones on which open connections went on (contract 5.5.4), oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outlived: Vec<Outlived>,
}

/// A credential that had been replaced, and on which an open connection was still answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlived {
    /// Serial number of its certificate, as the server knows it; empty if it recorded no call.
    pub serial: String,
    /// Its subject key identifier.
    pub skid: String,
    /// From the first answer on a new connection under another one to the last answer under this one.
    pub for_ms: f64,
}

/// The credentials that a scenario saw change: those of its probes' connections, and the API
/// credentials that the Kingdom showed.
pub fn of_log(log: &[Observation]) -> Vec<CredentialChange> {
    let of = |observation: &Observation| match &observation.fact {
        Fact::Probes(run) => changes(run),
        Fact::Credential(fact) => vec![CredentialChange {
            actor: fact.actor.clone(),
            kind: fact.kind,
            before_skid: fact.before.clone(),
            after_skid: fact.after.clone(),
            changed: fact.before != fact.after,
            outlived: Vec::new(),
        }],
        _ => Vec::new(),
    };
    log.iter().flat_map(of).collect()
}

/// What keeps a scenario from having changed a credential: none was seen to change, or one that it
/// put in the place of another while probes went on was not seen, the Kingdom's last one at each of its
/// replicas. `None` if every change was seen.
pub fn unseen(log: &[Observation]) -> Option<String> {
    let mut replaced: Vec<(&str, &str)> = Vec::new();
    for observation in log {
        match &observation.fact {
            Fact::ProbesStarted => replaced.clear(),
            Fact::Replaced { actor, skid } => {
                replaced.push((actor, skid));
            }
            Fact::Probes(run) => {
                let seen = seen(run);
                let is_missing = |(actor, skid): &&(&str, &str)| {
                    let of_actor = seen.iter().filter(|((who, _), _)| who == actor);
                    !of_actor.flat_map(|(_, skids)| skids).any(|one| one == skid)
                };
                if let Some((actor, skid)) = replaced.iter().find(is_missing) {
                    return Some(format!("no probe saw the TLS leaf of {actor} with SKID {skid}"));
                }
                // Where a replica goes on as before, part of the callers see no change.
                let last = replaced.iter().rev().find(|(actor, _)| *actor == KINGDOM);
                if let Some((_, skid)) = last
                    && let Some(replica) = shown(run)
                        .into_iter()
                        .find_map(|(replica, skids)| (!skids.contains(*skid)).then_some(replica))
                {
                    return Some(format!(
                        "no probe saw replica {replica} with the Kingdom's TLS leaf with SKID {skid}"
                    ));
                }
                replaced.clear();
            }
            _ => {}
        }
    }
    let any = of_log(log).iter().any(|change| change.changed);
    (!any).then(|| "nobody was seen to present another credential than before".to_owned())
}

/// Which of its replaced credentials an actor's open connections outlived: a participant's by its
/// name, the server's at one replica as `kingdom/0`.
pub fn outlived(run: &Run, actor: &str) -> Vec<Outlived> {
    let replica: Option<u32> = actor.strip_prefix("kingdom/").and_then(|id| id.parse().ok());
    let own = |probe: &&Probe| {
        probe.answer == Answer::Expected
            && probe.intended_us < run.length_us
            && match replica {
                None => probe.caller == actor,
                Some(id) => probe.server.as_ref().is_some_and(|event| event.replica == Some(id)),
            }
    };
    let skid = |probe: &Probe| match replica {
        None => probe.client.skid.clone(),
        Some(_) => probe.answering.as_ref().map(|who| who.skid.clone()).unwrap_or_default(),
    };
    let serial = |probe: &Probe| {
        let event = probe.server.as_ref()?;
        match replica {
            None => event.peer.as_ref().map(|peer| peer.serial.clone()),
            Some(_) => event.server.as_ref().map(|server| server.serial.clone()),
        }
    };
    let fresh = || run.probes.iter().filter(own).filter(|probe| is_fresh(run, probe));
    let mut old: Vec<String> = Vec::new();
    for probe in run.probes.iter().filter(own) {
        let skid = skid(probe);
        if !skid.is_empty() && !old.contains(&skid) {
            old.push(skid);
        }
    }
    let of = |old: String| {
        // In use as long as new connections present it: a credential that came back is not replaced.
        let in_use =
            fresh().filter(|probe| skid(probe) == old).map(|probe| probe.intended_us).max();
        let replaced_us = fresh()
            .filter(|probe| skid(probe) != old && in_use.is_none_or(|at| probe.intended_us > at))
            .map(|probe| probe.ended_us)
            .min()?;
        let kept = || {
            let on_it = |probe: &&Probe| probe.lane != Lane::NewConnection && skid(probe) == old;
            run.probes.iter().filter(own).filter(on_it)
        };
        let last_us = kept().map(|probe| probe.ended_us).max()?;
        let serial = kept().find_map(serial).unwrap_or_default();
        let for_ms = last_us.checked_sub(replaced_us)? as f64 / 1000.0;
        (for_ms > 0.0).then_some(Outlived { serial, skid: old, for_ms })
    };
    old.into_iter().filter_map(of).collect()
}

/// What new connections were answered with, and what was presented on them, first and last, in the
/// order of the names.
pub fn changes(run: &Run) -> Vec<CredentialChange> {
    seen(run)
        .into_iter()
        .filter_map(|((actor, kind), all)| {
            Some(CredentialChange {
                changed: all.len() > 1,
                outlived: outlived(run, &actor),
                actor,
                kind,
                before_skid: all.first()?.clone(),
                after_skid: all.last()?.clone(),
            })
        })
        .collect()
}

/// Subject key identifiers that were seen on new connections, by whose leaf and what kind, in their order.
fn seen(run: &Run) -> BTreeMap<(String, &'static str), Vec<String>> {
    let mut seen: BTreeMap<(String, &'static str), Vec<String>> = BTreeMap::new();
    let mut see = |actor: String, kind, skid: &str| {
        let all = seen.entry((actor, kind)).or_default();
        // No certificate is something else than any: a cutover to mTLS begins without.
        if all.last().is_none_or(|last| last != skid) {
            all.push(skid.to_owned());
        }
    };
    let in_time =
        |probe: &&Probe| probe.lane == Lane::NewConnection && probe.intended_us < run.length_us;
    for probe in run.probes.iter().filter(in_time) {
        // What the server has a record of was presented to it, accepted or not.
        if probe.server.is_some() {
            see(probe.caller.clone(), "tls_client", &probe.client.skid);
        }
        if !is_fresh(run, probe) {
            continue;
        }
        if let Some(answering) = &probe.answering {
            see(KINGDOM.to_owned(), "tls_server", &answering.skid);
            if let Some(replica) = probe.server.as_ref().and_then(|event| event.replica) {
                see(format!("{KINGDOM}/{replica}"), "tls_server", &answering.skid);
            }
        }
    }
    seen
}

/// Subject key identifiers of the leaves that each replica presented to probes, on connections of any kind,
/// taken or not.
fn shown(run: &Run) -> BTreeMap<u32, BTreeSet<&str>> {
    let mut shown: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for event in run.probes.iter().filter_map(|probe| probe.server.as_deref()) {
        let skid = event.server.as_ref().and_then(|server| server.skid.as_deref());
        if let (Some(replica), Some(skid)) = (event.replica, skid) {
            shown.entry(replica).or_default().insert(skid);
        }
    }
    shown
}

/// A connection of its own and an answer on it, before the negative control began: what was presented
/// was accepted by both ends.
pub fn is_fresh(run: &Run, probe: &Probe) -> bool {
    probe.lane == Lane::NewConnection
        && probe.intended_us < run.length_us
        && availability::failure(run, probe).is_none()
}

/// The subject key identifier that each replica answered the last new connection with.
pub fn last_by_replica(run: &Run) -> BTreeMap<u32, String> {
    let mut last = BTreeMap::new();
    // The replicas go on during the negative control, and what they present then counts too.
    let fresh = |probe: &&Probe| {
        probe.lane == Lane::NewConnection && availability::failure(run, probe).is_none()
    };
    for probe in run.probes.iter().filter(fresh) {
        let replica = probe.server.as_ref().and_then(|event| event.replica);
        if let (Some(replica), Some(answering)) = (replica, &probe.answering) {
            last.insert(replica, answering.skid.clone());
        }
    }
    last
}

/// The last moment at which a call was answered over a connection that was made with this client
/// credential, in microseconds from the run's start.
pub fn last_answer_with_client(run: &Run, caller: &str, skid: &str) -> Option<u64> {
    let with = |probe: &&Probe| {
        probe.caller == caller && probe.client.skid == skid && probe.answer == Answer::Expected
    };
    run.probes.iter().filter(with).map(|probe| probe.ended_us).max()
}

/// Whether a caller's old and new credential were in use at once: a call over a connection of the old one
/// was answered between two over connections of the new one. One after the other, and back, is not at once.
pub fn overlap(run: &Run, caller: &str) -> bool {
    let answered = |age: CredentialAge| {
        run.probes
            .iter()
            .filter(move |probe| {
                probe.caller == caller
                    && probe.credential == age
                    && probe.answer == Answer::Expected
                    && probe.intended_us < run.length_us
            })
            .map(|probe| probe.ended_us)
    };
    let new = || answered(CredentialAge::New);
    let (Some(first_new), Some(last_new)) = (new().min(), new().max()) else { return false };
    answered(CredentialAge::Old).any(|old| first_new < old && old < last_new)
}

/// Under how many client credentials of a caller calls were answered.
pub fn answered_under(run: &Run, caller: &str) -> usize {
    let answered = |probe: &&Probe| probe.caller == caller && probe.answer == Answer::Expected;
    let skids: BTreeSet<&str> =
        run.probes.iter().filter(answered).map(|probe| probe.client.skid.as_str()).collect();
    skids.len()
}

/// Rotations of one run, and how many of them somebody noticed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PerRotation {
    /// Rotations.
    pub n: u64,
    /// Those after which, and before the next, a probe failed.
    pub bad: u64,
    /// With 95 % confidence at most this share of rotations is noticed.
    pub upper_bound_95: f64,
}

/// The bound over the rotations of a run; `None` if there were fewer than two.
pub fn per_rotation(run: &Run) -> Option<PerRotation> {
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut starts = Vec::new();
    let mut failures = Vec::new();
    for probe in &run.probes {
        if probe.intended_us >= run.length_us {
            continue;
        }
        if availability::failure(run, probe).is_some() {
            failures.push(probe.intended_us);
        }
        let of_client = (probe.caller.as_str(), probe.client.skid.as_str());
        let of_server =
            probe.answering.as_ref().map(|answering| (KINGDOM, answering.skid.as_str()));
        for credential in [Some(of_client), of_server].into_iter().flatten() {
            let first_of_all = !seen.iter().any(|(who, _)| *who == credential.0);
            if !credential.1.is_empty() && seen.insert(credential) && !first_of_all {
                starts.push(probe.intended_us);
            }
        }
    }
    if starts.len() < 2 {
        return None;
    }
    starts.sort_unstable();
    let ends = starts.iter().skip(1).copied().chain([u64::MAX]);
    let bad = starts
        .iter()
        .zip(ends)
        .filter(|(from, until)| failures.iter().any(|at| at >= from && at < until))
        .count() as u64;
    let n = starts.len() as u64;
    Some(PerRotation { n, bad, upper_bound_95: availability::upper_bound(bad, n) })
}

/// How many calls, begun at or after `from_us`, were answered over a connection whose server showed
/// this leaf.
pub fn answers_with_server(run: &Run, skid: &str, from_us: u64) -> u64 {
    let with = |probe: &&Probe| {
        probe.intended_us >= from_us
            && probe.answer == Answer::Expected
            && probe.answering.as_ref().is_some_and(|answering| answering.skid == skid)
    };
    run.probes.iter().filter(with).count() as u64
}
