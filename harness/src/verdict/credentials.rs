//! Which credentials a run of probes saw before and after: a rotation that changed nothing proves
//! nothing (design.md section 2). Pure.

use super::{Verdict, availability, outage};
use crate::observation::{Fact, Observation};
use crate::probe::{Answer, CredentialAge, Lane, Probe, Run};
use fake_kingdom::model::Timestamp;
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
    for (run, replaced) in runs(log) {
        let sightings = sightings(run);
        let shown = shown(run);
        // What came back is not shown by what was seen before it came; and what everybody refuses was
        // shown all the same.
        let is_missing = |one: &&Replaced<'_>| {
            if one.actor == KINGDOM {
                return !shown.values().any(|leaves| one.is_among(leaves));
            }
            !sightings.iter().any(|(actor, _, skid, at_us)| {
                *actor == one.actor && *skid == one.skid && one.is_before(*at_us)
            })
        };
        if let Some(Replaced { actor, skid, .. }) = replaced.iter().find(is_missing) {
            return Some(format!(
                "no probe saw the TLS leaf of {actor} with SKID {skid} after it was put in place"
            ));
        }
        // Where a replica goes on as before, part of the callers see no change.
        let last = replaced.iter().rev().find(|one| one.actor == KINGDOM);
        if let Some(last) = last
            && let Some(replica) = shown
                .iter()
                .find_map(|(replica, leaves)| (!last.is_among(leaves)).then_some(replica))
        {
            let skid = last.skid;
            return Some(format!(
                "no probe saw replica {replica} with the Kingdom's TLS leaf with SKID {skid} after \
                 it was put in place"
            ));
        }
    }
    let any = of_log(log).iter().any(|change| change.changed);
    (!any).then(|| "nobody was seen to present another credential than before".to_owned())
}

/// A leaf that was put in the place of another while probes went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replaced<'a> {
    actor: &'a str,
    skid: &'a str,
    /// When, from the run's start, in microseconds of the probes' own time.
    at_us: i64,
}

impl Replaced<'_> {
    /// Whether a probe that was due then came after it. One that was due in the same instant may have
    /// gone out before.
    fn is_before(&self, due_us: u64) -> bool {
        i64::try_from(due_us).unwrap_or(i64::MAX) > self.at_us
    }

    fn is_among(&self, leaves: &BTreeSet<(&str, u64)>) -> bool {
        leaves.iter().any(|(skid, at_us)| *skid == self.skid && self.is_before(*at_us))
    }
}

/// The runs of probes of a scenario, each with the leaves that were replaced while it went on.
fn runs(log: &[Observation]) -> Vec<(&Run, Vec<Replaced<'_>>)> {
    let mut runs = Vec::new();
    let mut replaced: Vec<(Timestamp, i64, &str, &str)> = Vec::new();
    // How far the clock has jumped since the probes began, for their own time does not jump. The change
    // that a replacement is part of comes after it and tells the jumps up to it.
    let mut jumps_us = 0;
    let mut told = 0;
    for observation in log {
        match &observation.fact {
            Fact::ProbesStarted => {
                replaced.clear();
                (jumps_us, told) = (0, 0);
            }
            Fact::Changed { jumped, .. } => {
                jumps_us += i64::try_from(jumped.as_micros()).unwrap_or(i64::MAX);
                for (_, jumps, _, _) in replaced.iter_mut().skip(told) {
                    *jumps = jumps_us;
                }
                told = replaced.len();
            }
            Fact::Replaced { actor, skid } => {
                replaced.push((observation.time, jumps_us, actor, skid));
            }
            Fact::Probes(run) => {
                let started = run.started.micros();
                told = 0;
                let of_run = replaced.drain(..).map(|(time, jumps_us, actor, skid)| Replaced {
                    actor,
                    skid,
                    at_us: time.micros() - started - jumps_us,
                });
                runs.push((&**run, of_run.collect()));
            }
            _ => {}
        }
    }
    runs
}

/// Which of its replaced credentials an actor's open connections outlived: a participant's by its
/// name, the server's at one replica as `kingdom/0`.
pub fn outlived(run: &Run, actor: &str) -> Vec<Outlived> {
    kept(run, actor)
        .into_iter()
        .filter_map(|kept| {
            let for_ms = kept.last_us.checked_sub(kept.replaced_us)? as f64 / 1000.0;
            let Kept { serial, skid, .. } = kept;
            (for_ms > 0.0).then_some(Outlived { serial, skid, for_ms })
        })
        .collect()
}

/// Whether a run would have shown that an open connection of an actor outlives a replaced credential by
/// more than this: it went on for longer after each replacement, or no lane ended on the replaced one.
pub fn could_outlive(run: &Run, actor: &str, by_ms: f64) -> bool {
    kept(run, actor).iter().all(|kept| {
        let watched_ms = run.length_us.saturating_sub(kept.replaced_us) as f64 / 1000.0;
        !kept.is_open_at_end || watched_ms > by_ms
    })
}

/// A replaced credential, and the open connections that were made under it.
struct Kept {
    serial: String,
    skid: String,
    /// The first answer on a new connection under another one.
    replaced_us: u64,
    /// The last answer under this one.
    last_us: u64,
    /// Whether a lane had no later answer under another one.
    is_open_at_end: bool,
}

fn kept(run: &Run, actor: &str) -> Vec<Kept> {
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
        let open = || {
            let kept = |probe: &&Probe| probe.lane != Lane::NewConnection;
            run.probes.iter().filter(own).filter(kept)
        };
        let on_it = || open().filter(|probe| skid(probe) == old);
        let last_us = on_it().map(|probe| probe.ended_us).max()?;
        let serial = on_it().find_map(serial).unwrap_or_default();
        let mut lanes: BTreeMap<(Lane, &str), (u64, bool)> = BTreeMap::new();
        // A lane that went on with another replica has closed its connection to this one.
        let any_replica = run.probes.iter().filter(|probe| {
            probe.lane != Lane::NewConnection
                && probe.answer == Answer::Expected
                && probe.intended_us < run.length_us
        });
        for probe in any_replica {
            let last = lanes.entry((probe.lane, probe.caller.as_str())).or_default();
            *last = (*last).max((probe.ended_us, own(&probe) && skid(probe) == old));
        }
        let is_open_at_end = lanes.values().any(|(_, on_it)| *on_it);
        Some(Kept { serial, skid: old, replaced_us, last_us, is_open_at_end })
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
    for (actor, kind, skid, _) in sightings(run) {
        let all = seen.entry((actor, kind)).or_default();
        // No certificate is something else than any: a cutover to mTLS begins without.
        if all.last().is_none_or(|last| last != skid) {
            all.push(skid.to_owned());
        }
    }
    seen
}

/// What was seen on new connections before the negative control began: whose leaf, of what kind, its
/// subject key identifier, and when the probe was due.
fn sightings(run: &Run) -> Vec<(String, &'static str, &str, u64)> {
    let mut all = Vec::new();
    let in_time =
        |probe: &&Probe| probe.lane == Lane::NewConnection && probe.intended_us < run.length_us;
    for probe in run.probes.iter().filter(in_time) {
        let at_us = probe.intended_us;
        // What the server has a record of was shown to it, accepted or not.
        if let Some(skid) = probe.shown_skid() {
            all.push((probe.caller.clone(), "tls_client", skid, at_us));
        }
        if !is_fresh(run, probe) {
            continue;
        }
        if let Some(answering) = &probe.answering {
            let skid = answering.skid.as_str();
            all.push((KINGDOM.to_owned(), "tls_server", skid, at_us));
            if let Some(replica) = probe.server.as_ref().and_then(|event| event.replica) {
                all.push((format!("{KINGDOM}/{replica}"), "tls_server", skid, at_us));
            }
        }
    }
    all
}

/// Subject key identifiers of the leaves that each replica presented to probes on connections of their own,
/// taken or not, with when the probes were due, before the negative control began. What a kept connection has
/// is from its own handshake.
fn shown(run: &Run) -> BTreeMap<u32, BTreeSet<(&str, u64)>> {
    let mut shown: BTreeMap<u32, BTreeSet<(&str, u64)>> = BTreeMap::new();
    let in_time =
        |probe: &&Probe| probe.lane == Lane::NewConnection && probe.intended_us < run.length_us;
    for probe in run.probes.iter().filter(in_time) {
        let Some(event) = probe.server.as_deref() else { continue };
        let skid = event.server.as_ref().and_then(|server| server.skid.as_deref());
        if let (Some(replica), Some(skid)) = (event.replica, skid) {
            shown.entry(replica).or_default().insert((skid, probe.intended_us));
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

/// Which of its credentials a caller's last new connection was answered on, as the server was shown it:
/// `none` if it was shown none; `None` if no new connection was answered.
pub fn ended_on(run: &Run, caller: &str) -> Option<&'static str> {
    let own = |probe: &&Probe| probe.caller == caller && is_fresh(run, probe);
    let last = run.probes.iter().rfind(own)?;
    Some(match last.credential {
        _ if !last.was_shown() => "none",
        CredentialAge::Old => "old",
        CredentialAge::New => "new",
    })
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
                    && probe.was_shown()
                    && probe.answer == Answer::Expected
                    && probe.intended_us < run.length_us
            })
            .map(|probe| probe.ended_us)
    };
    let new = || answered(CredentialAge::New);
    let (Some(first_new), Some(last_new)) = (new().min(), new().max()) else { return false };
    answered(CredentialAge::Old).any(|old| first_new < old && old < last_new)
}

/// Under how many client credentials of a caller calls were answered; no certificate counts as one.
pub fn answered_under(run: &Run, caller: &str) -> usize {
    let answered = |probe: &&Probe| probe.caller == caller && probe.answer == Answer::Expected;
    let skids: BTreeSet<&str> =
        run.probes.iter().filter(answered).filter_map(Probe::shown_skid).collect();
    skids.len()
}

/// Rotations, and how many of them somebody noticed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PerRotation {
    /// Rotations.
    pub n: u64,
    /// Those from whose step on, and before the next one's, a probe failed; the first one has what failed
    /// before it too.
    pub bad: u64,
    /// With 95 % confidence at most this share of rotations is noticed.
    pub upper_bound_95: f64,
}

impl PerRotation {
    fn of(n: u64, bad: u64) -> Self {
        Self { n, bad, upper_bound_95: availability::upper_bound(bad, n) }
    }
}

/// The bound over the rotations of a scenario, all its runs of probes together; `None` if there were
/// fewer than two.
pub fn per_rotation(log: &[Observation]) -> Option<PerRotation> {
    let (n, bad) = rotations(log);
    (n > 1).then(|| PerRotation::of(n, bad))
}

/// How many rotations of a scenario were seen, and after how many of them a probe failed.
pub fn rotations(log: &[Observation]) -> (u64, u64) {
    let (mut n, mut bad) = (0, 0);
    for (run, replaced) in runs(log) {
        let starts = starts(run, &replaced);
        let failed = run
            .probes
            .iter()
            .filter(|probe| !availability::in_control(run, probe))
            .filter(|probe| availability::failure(run, probe).is_some());
        // What failed before the first one is its own too: nothing else happened.
        let of = |probe: &Probe| starts.partition_point(|at| *at <= probe.ended_us).max(1);
        let noticed: BTreeSet<usize> = failed.map(of).collect();
        n += starts.len() as u64;
        bad += noticed.len().min(starts.len()) as u64;
    }
    (n, bad)
}

/// When the rotations of a run began whose new leaf was seen, in microseconds from its start, in order:
/// with the step that put it in place, not when it was seen first, for between the two lies what a
/// switch breaks. One that no step of the harness made began, as far as is known, with the one before.
fn starts(run: &Run, replaced: &[Replaced<'_>]) -> Vec<u64> {
    let sightings = sightings(run);
    let of = |one: &Replaced<'_>, actor: &str, skid: &str| one.actor == actor && one.skid == skid;
    let is_another = |(n, one): &(usize, &Replaced<'_>)| {
        let made = replaced[..*n].iter().rfind(|earlier| earlier.actor == one.actor);
        let first =
            || sightings.iter().find(|(actor, _, _, at)| actor == one.actor && !one.is_before(*at));
        let before = made.map(|made| made.skid).or_else(|| Some(first()?.2));
        before != Some(one.skid)
    };
    let mut starts: Vec<u64> = replaced
        .iter()
        .enumerate()
        .filter(is_another)
        .map(|(_, one)| one)
        .filter(|one| {
            sightings
                .iter()
                .any(|(actor, _, skid, at_us)| of(one, actor, skid) && one.is_before(*at_us))
        })
        .map(|one| u64::try_from(one.at_us).unwrap_or_default())
        .collect();
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (actor, _, skid, at_us) in &sightings {
        let known = known.entry(actor).or_default();
        let is_first = known.is_empty();
        // Of the Kingdom's replicas each follows its own.
        if known.insert(skid)
            && !is_first
            && !actor.contains('/')
            && !skid.is_empty()
            && !replaced.iter().any(|one| of(one, actor, skid))
        {
            let before = starts.iter().filter(|start| *start < at_us).max();
            starts.push(before.copied().unwrap_or_default());
        }
    }
    starts.sort_unstable();
    starts
}

/// Of independent scenarios, those that rotated a leaf and claim that nobody noticed: each is one. Where an
/// outage is predicted, nobody claims it; what is INVALID proves nothing, and what failed for whatever
/// reason is none that nobody noticed.
pub fn over_scenarios<'a>(
    scenarios: impl Iterator<Item = (&'a [Observation], Verdict)>,
) -> Option<PerRotation> {
    let (mut n, mut bad) = (0, 0);
    for (log, verdict) in scenarios {
        if matches!(verdict, Verdict::Invalid | Verdict::NotApplicable) {
            continue;
        }
        let has_rotated = runs(log).iter().any(|(run, replaced)| !starts(run, replaced).is_empty());
        let mut asked = log.iter().filter_map(|observation| match &observation.fact {
            Fact::Check(check) if check.what == DOWNTIME => Some(check.holds),
            _ => None,
        });
        let predicts = log.iter().any(|observation| {
            matches!(&observation.fact, Fact::Check(check) if check.what == outage::PREDICTED)
        });
        if has_rotated
            && !predicts
            && let Some(first) = asked.next()
        {
            n += 1;
            let is_unnoticed = verdict == Verdict::Pass && first && asked.all(|holds| holds);
            bad += u64::from(!is_unnoticed);
        }
    }
    (n > 0).then(|| PerRotation::of(n, bad))
}

/// What a comparison is called that asks whether anybody noticed.
pub const DOWNTIME: &str = "downtime";

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{ObservationLog, PeerFacts, ServerEvent, ServerFacts};
    use crate::probe::Density;
    use fake_kingdom::cause::Cause;

    const PRINCIPAL: &str = "dataProviders/AAAAAAAAAZQ";

    fn at(us: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + i64::try_from(us).unwrap())
    }

    /// A new connection of edp1, answered by replica 0: when, the leaf of the Kingdom, the leaf that edp1
    /// holds, and the one that the Kingdom was shown.
    fn call(ms: u64, server: &str, client: &str, shown: Option<&str>) -> Probe {
        let event = ServerEvent {
            kind: "call".to_owned(),
            outcome: "ok".to_owned(),
            replica: Some(0),
            principal: Some(PRINCIPAL.to_owned()),
            peer: shown.map(|skid| PeerFacts { skid: Some(skid.to_owned()), ..Default::default() }),
            server: Some(ServerFacts { skid: Some(server.to_owned()), ..Default::default() }),
            ..ServerEvent::default()
        };
        let mut probe = Probe::due(ms, Lane::NewConnection, "edp1", format!("p-{ms}"), ms * 1000);
        probe.sent_us = Some(ms * 1000);
        probe.ended_us = ms * 1000 + 500;
        probe.client.skid = client.to_owned();
        let age = if client == "c1" { CredentialAge::Old } else { CredentialAge::New };
        probe.credential = age;
        let answering = crate::client::Answering { skid: server.to_owned(), ..Default::default() };
        probe.answering = Some(answering);
        probe.answer = Answer::Expected;
        probe.server = Some(Box::new(event));
        probe
    }

    fn lost(ms: u64) -> Probe {
        let mut probe = call(ms, "", "c1", None);
        probe.answering = None;
        probe.answer = Answer::Broken(Cause::ConnectionCut);
        probe.server = None;
        probe
    }

    fn run(probes: Vec<Probe>) -> Run {
        Run {
            started: at(0),
            length_us: 10_000_000,
            density: Density::default(),
            callers: vec![("edp1".to_owned(), PRINCIPAL.to_owned())],
            probes,
            control: None,
            lag_us_max: 0,
        }
    }

    /// The Kingdom's leaf is replaced at these times, in milliseconds, by these.
    fn log(replaced: &[(u64, &str)], probes: Vec<Probe>) -> Vec<Observation> {
        let mut log = ObservationLog::default();
        log.record(at(0), Fact::ProbesStarted);
        for (ms, skid) in replaced {
            let (actor, skid) = (KINGDOM.to_owned(), (*skid).to_owned());
            log.record(at(ms * 1000), Fact::Replaced { actor, skid });
        }
        log.record(at(9_000_000), Fact::Probes(Box::new(run(probes))));
        log.take()
    }

    fn server(ms: u64, skid: &str) -> Probe {
        call(ms, skid, "c1", Some("c1"))
    }

    const TWICE: [(u64, &str); 2] = [(10, "s2"), (30, "s3")];

    #[test]
    fn what_a_switch_breaks_before_its_leaf_is_seen_is_the_switch_s() {
        let calls = |lost_at: Option<u64>| {
            let mut all =
                vec![server(5, "s1"), server(20, "s2"), server(25, "s2"), server(45, "s3")];
            all.extend(lost_at.map(lost));
            all.sort_by_key(|probe| probe.n);
            all
        };
        let bad = |lost_at| {
            let seen = per_rotation(&log(&TWICE, calls(lost_at))).unwrap();
            assert_eq!(seen.n, 2);
            seen.bad
        };
        assert_eq!(bad(None), 0);
        assert_eq!(bad(Some(12)), 1, "between the first switch and the first sight of its leaf");
        assert_eq!(bad(Some(35)), 1, "of the second");
        assert_eq!(bad(Some(2)), 1, "before the first: nothing else went on");
        let mut both = calls(Some(12));
        both.insert(4, lost(40));
        assert_eq!(per_rotation(&log(&TWICE, both)).unwrap().bad, 2);
    }

    #[test]
    fn rotations_of_all_runs_count_together() {
        let mut all = log(&[(10, "s2")], vec![server(5, "s1"), server(20, "s2")]);
        assert_eq!(per_rotation(&all), None, "one alone bounds nothing");
        all.extend(log(&[(10, "s3")], vec![server(5, "s2"), lost(15), server(20, "s3")]));
        let seen = per_rotation(&all).unwrap();
        assert_eq!((seen.n, seen.bad), (2, 1));
    }

    #[test]
    fn scenarios_that_rotated_and_asked_are_counted_once_each() {
        let one = |holds: bool, leaf: &str| {
            let mut log = log(&[(10, leaf)], vec![server(5, "s1"), server(20, leaf)]);
            let observed = if holds { "nothing noticed" } else { "edp1 lost a call" };
            let check = super::super::check::equal(DOWNTIME, "nothing noticed", observed);
            let (n, time, line) = (9, at(1), 1);
            log.push(Observation { n, time, line, fact: Fact::Check(check) });
            log
        };
        let over = |all: &[(&Vec<Observation>, Verdict)]| {
            let seen = over_scenarios(all.iter().map(|(log, verdict)| (log.as_slice(), *verdict)));
            seen.map(|seen| (seen.n, seen.bad))
        };
        use Verdict::{Fail, Invalid, NotApplicable, Pass};
        let (good, red, same) = (one(true, "s2"), one(false, "s2"), one(true, "s1"));
        let seen = over(&[(&good, Pass), (&red, Fail), (&same, Pass)]);
        assert_eq!(seen, Some((2, 1)), "where nothing was rotated nothing is proved");
        let seen = over(&[(&good, Pass), (&good, Invalid), (&good, NotApplicable)]);
        assert_eq!(seen, Some((1, 0)), "what proves nothing does not count");
        assert_eq!(over(&[(&good, Fail)]), Some((1, 1)), "somebody else noticed");
        let mut predicted = one(true, "s2");
        let check = super::super::check::equal(outage::PREDICTED, "edp1", "edp1");
        predicted.push(Observation { n: 10, time: at(1), line: 2, fact: Fact::Check(check) });
        assert_eq!(over(&[(&predicted, Pass)]), None);
        let unasked = log(&[(10, "s2")], vec![server(5, "s1"), server(20, "s2")]);
        assert_eq!(over(&[(&unasked, Pass)]), None);
    }

    #[test]
    fn a_run_that_ends_sooner_than_it_would_show_proves_nothing_of_open_connections() {
        let reused = |ms: u64, client: &str| {
            let mut probe = call(ms, "s1", client, Some(client));
            probe.lane = Lane::ReusedChannel;
            probe
        };
        let mut probes = vec![
            call(5, "s1", "c1", Some("c1")),
            reused(6, "c1"),
            call(10, "s1", "c2", Some("c2")),
            reused(400, "c1"),
        ];
        let mut short = run(probes.clone());
        short.length_us = 500_000;
        assert!(outlived(&short, "edp1")[0].for_ms < 400.0);
        assert!(could_outlive(&short, "edp1", 400.0));
        assert!(!could_outlive(&short, "edp1", 900.0), "it is open still");
        probes.push(reused(450, "c2"));
        let mut closed = run(probes);
        closed.length_us = 500_000;
        assert!(could_outlive(&closed, "edp1", 900.0), "it was closed");
    }

    #[test]
    fn one_rotation_is_counted_as_one_and_what_broke_after_it() {
        let seen = |probes| rotations(&log(&[(10, "s2")], probes));
        assert_eq!(seen(vec![server(5, "s1"), server(20, "s2")]), (1, 0));
        assert_eq!(seen(vec![server(5, "s1"), server(20, "s2"), lost(25)]), (1, 1));
    }

    #[test]
    fn a_leaf_that_came_back_is_not_shown_by_what_was_seen_before() {
        let back = [(10, "s2"), (30, "s1")];
        let seen = vec![server(5, "s1"), server(20, "s2"), server(40, "s1")];
        assert_eq!(unseen(&log(&back, seen)), None);
        let mut old_channel = server(41, "s1");
        old_channel.lane = Lane::ReusedChannel;
        let kept = vec![server(5, "s1"), server(20, "s2"), server(40, "s2"), old_channel];
        let why = unseen(&log(&back, kept)).unwrap();
        assert!(why.contains("SKID s1 after it was put in place"), "{why}");
    }

    #[test]
    fn a_client_s_leaf_that_no_server_was_shown_is_no_change() {
        let calls = |shown: [Option<&str>; 4]| {
            let leaves = ["c1", "c2", "c1", "c2"];
            let at = |n: usize| 10 * (n as u64 + 1);
            let probes = leaves
                .iter()
                .zip(shown)
                .enumerate()
                .map(|(n, (leaf, shown))| call(at(n), "s1", leaf, shown));
            run(probes.collect())
        };
        let shown = calls([Some("c1"), Some("c2"), Some("c1"), Some("c2")]);
        assert_eq!(ended_on(&shown, "edp1"), Some("new"));
        assert_eq!(answered_under(&shown, "edp1"), 2);
        assert!(overlap(&shown, "edp1"));
        let client = |run: &Run| {
            let all = changes(run);
            all.into_iter().find(|change| change.kind == "tls_client").map(|change| change.changed)
        };
        assert_eq!(client(&shown), Some(true));

        let held_back = calls([None; 4]);
        assert_eq!(ended_on(&held_back, "edp1"), Some("none"));
        assert_eq!(answered_under(&held_back, "edp1"), 1);
        assert!(!overlap(&held_back, "edp1"));
        assert_eq!(client(&held_back), Some(false));
    }

    #[test]
    fn a_leaf_that_was_replaced_after_the_clock_had_jumped_is_seen_in_the_probes_own_time() {
        let day_us = 86_400_000_000;
        let mut log = ObservationLog::default();
        log.record(at(0), Fact::ProbesStarted);
        let (actor, skid) = (KINGDOM.to_owned(), "s2".to_owned());
        log.record(at(day_us + 10_000), Fact::Replaced { actor, skid });
        let jumped = std::time::Duration::from_micros(day_us);
        let what = "kingdom renewed its leaf".to_owned();
        log.record(at(day_us + 10_000), Fact::Changed { what, jumped, worn: None });
        let probes = vec![server(5, "s1"), server(20, "s2")];
        log.record(at(day_us + 30_000), Fact::Probes(Box::new(run(probes))));
        assert_eq!(unseen(&log.take()), None);
    }
}
