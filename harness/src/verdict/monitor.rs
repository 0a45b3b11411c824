//! Whether every authentication failure of a run was seen by the server and named, and no other was
//! (design.md section 4, "monitor for authentication failures after rotation"). Pure.
//!
//! Probes fail at a server's door alone. What is forged inside a message passes the door, and it is a
//! participant that refuses it: a monitor of a whole scenario reads the events of both. Where no server
//! saw anything, as none was there, the caller did; and a measurement that a revocation failed is seen by
//! whoever reads it.

use crate::observation::{Alert, AlertFailures, Check, Fact, Observation, ServerEvent};
use crate::participant::EventKind;
use crate::probe::{Probe, Run};
use crate::verdict::check;
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use kingdom_proto::v2alpha as pb;
use pb::measurement::failure::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many failures the server recorded, by who and why, in the order of the names.
pub type Failures = BTreeMap<(String, String), u64>;

/// The authentication failures that the server recorded of the probes' own calls.
pub fn of_probes(run: &Run) -> Failures {
    let mut failures = Failures::new();
    for probe in &run.probes {
        if let Some(cause) = probe.server.as_deref().and_then(refusal) {
            *failures.entry((probe.caller.clone(), cause.to_owned())).or_default() += 1;
        }
    }
    failures
}

/// Refusals among `events` that belong to none of the probes: somebody else's failures.
pub fn of_strangers<'a>(run: &Run, events: &'a [ServerEvent]) -> Vec<&'a ServerEvent> {
    events
        .iter()
        .filter(|event| refusal(event).is_some())
        .filter(|event| !run.probes.iter().any(|probe| is_of(event, probe)))
        .collect()
}

/// Whether an event is of this probe. Of several refusals of one probe, as of a call that went out again,
/// one is joined.
fn is_of(event: &ServerEvent, probe: &Probe) -> bool {
    probe.server.as_ref().is_some_and(|joined| joined.seq == event.seq)
        || event.peer_address.as_ref().is_some_and(|address| {
            probe.local.as_ref() == Some(address) || probe.earlier_locals.contains(address)
        })
        || event.request_id.as_deref() == Some(probe.request_id.as_str())
}

/// The cause, if the event is an authentication failure: what a monitor counts.
fn refusal(event: &ServerEvent) -> Option<&str> {
    let cause = event.cause.as_deref()?;
    let counts = match event.kind.as_str() {
        "handshake" => event.outcome == "refused",
        "call" => {
            event.outcome == "refused"
                && (matches!(event.code.as_deref(), Some("UNAUTHENTICATED" | "PERMISSION_DENIED"))
                    || matches!(
                        cause,
                        "no_client_certificate"
                            | "akid_missing"
                            | "chain_not_single"
                            | "principal_unknown"
                            | "api_key_invalid"
                    ))
        }
        _ => false,
    };
    counts.then_some(cause)
}

/// The alerts among `events`, each with the failures in the window in front of it.
pub fn alerts(
    runs: &[&Run],
    events: &[ServerEvent],
    threshold: usize,
    window: Duration,
) -> Vec<Alert> {
    let time = |event: &ServerEvent| Timestamp::parse_rfc3339(&event.time);
    let of = |alert: &ServerEvent| {
        let at = time(alert)?;
        let mut failures: BTreeMap<(String, String), u64> = BTreeMap::new();
        let in_front = events.iter().filter(|event| event.seq < alert.seq);
        for event in in_front.filter(|event| time(event).is_some_and(|t| t.plus(window) >= at)) {
            // What the monitor counts, whether or not it is a refusal of a probe.
            if let Some(cause) = refusal(event) {
                *failures.entry((who(runs, event), cause.to_owned())).or_default() += 1;
            }
        }
        let failures = failures
            .into_iter()
            .map(|((who, cause), count)| AlertFailures { who, cause, count })
            .collect();
        let (seq, time) = (alert.seq, alert.time.clone());
        Some(Alert { seq, time, threshold, window_seconds: window.as_secs(), failures })
    };
    events.iter().filter(|event| event.kind == "alert").filter_map(of).collect()
}

fn who(runs: &[&Run], event: &ServerEvent) -> String {
    let probes = runs.iter().flat_map(|run| &run.probes);
    if let Some(probe) = probes.into_iter().find(|probe| is_of(event, probe)) {
        return probe.caller.clone();
    }
    let leaf = || {
        let peer = event.peer.as_ref()?;
        peer.skid.clone().or_else(|| peer.akid.clone())
    };
    let known = event.principal.clone().or_else(leaf);
    known.or_else(|| event.peer_address.clone()).unwrap_or_else(|| "nobody known".to_owned())
}

/// How long after the first authentication failure of the run an alert came, in whole milliseconds;
/// `None` if none came that the probes' own failures would have raised without anybody else's.
pub fn alert_after_ms(
    run: &Run,
    events: &[ServerEvent],
    threshold: usize,
    window: Duration,
) -> Option<i64> {
    let time = |event: &ServerEvent| Timestamp::parse_rfc3339(&event.time).map(Timestamp::micros);
    let of_probes = run.probes.iter().filter_map(|probe| probe.server.as_deref());
    let first = of_probes.filter(|event| refusal(event).is_some()).filter_map(time).min()?;
    let window_us = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
    let own: Vec<_> = events
        .iter()
        .filter(|event| refusal(event).is_some())
        .filter(|event| run.probes.iter().any(|probe| is_of(event, probe)))
        .filter_map(|event| Some((event.seq, time(event)?)))
        .collect();
    let raised = |alert: &&ServerEvent| {
        let Some(at) = time(alert) else { return false };
        // One that came before is of something else.
        let in_front =
            own.iter().filter(|(seq, t)| *seq < alert.seq && t.saturating_add(window_us) >= at);
        at >= first && in_front.count() >= threshold
    };
    let alerts = events.iter().filter(|event| event.kind == "alert");
    let alert = alerts.filter(raised).filter_map(time).min()?;
    Some((alert - first) / 1000)
}

/// Whether an alert was raised by the failures of the last action in the log: a call, with those of the same
/// caller for the same cause in front of it, or a run of probes. The alert must come after that action began,
/// and those failures alone must suffice for it.
pub fn raised_by_the_last(
    log: &[Observation],
    events: &[ServerEvent],
    threshold: usize,
    window: Duration,
) -> bool {
    let callers = callers(log);
    let last = log.iter().rev().find_map(|observation| match &observation.fact {
        Fact::Server(event) => Some(Ok(Some(&**event))),
        // No server has a record of it.
        Fact::Call(_) => Some(Ok(None)),
        Fact::Probes(run) => Some(Err(&**run)),
        _ => None,
    });
    // Events that count, and the first of them that the last action itself caused.
    let (own, began): (Vec<&ServerEvent>, u64) = match last {
        Some(Ok(event)) => {
            let Some((event, cause)) = event.and_then(|event| Some((event, refusal(event)?)))
            else {
                return false;
            };
            let who = callers.get(&event.seq);
            let is_own = |other: &&ServerEvent| {
                let same = who.is_some() && callers.get(&other.seq) == who;
                refusal(other) == Some(cause) && (same || other.seq == event.seq)
            };
            (events.iter().filter(is_own).collect(), event.seq)
        }
        Some(Err(run)) => {
            let failed = |event: &&ServerEvent| refusal(event).is_some();
            let of_probe =
                |event: &&ServerEvent| run.probes.iter().any(|probe| is_of(event, probe));
            let own: Vec<_> = events.iter().filter(failed).filter(of_probe).collect();
            let began = own.first().map_or(u64::MAX, |event| event.seq);
            (own, began)
        }
        None => return false,
    };
    let time = |event: &ServerEvent| Timestamp::parse_rfc3339(&event.time);
    let raised = |alert: &&ServerEvent| {
        let in_front = own.iter().filter(|event| event.seq < alert.seq);
        let in_window = |event: &&&ServerEvent| {
            time(event).zip(time(alert)).is_some_and(|(at, then)| at.plus(window) >= then)
        };
        alert.seq > began && in_front.filter(in_window).count() >= threshold
    };
    events.iter().filter(|event| event.kind == "alert").any(|alert| raised(&alert))
}

/// One failure of a scenario that a monitor over servers and participants sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Who failed at a server's door, or which participant refused.
    pub who: String,
    /// The server's cause code, its status where it gives no cause, what the caller's side knows where no
    /// server has a record, the participant's event, or why a measurement failed.
    pub what: String,
    /// The clause of the contract that decided it; `-` where the server gives no cause.
    pub clause: String,
    /// Number of the server's event.
    pub event: Option<u64>,
}

/// What a participant does that a monitor counts: it refuses, rejects, fails or ends.
pub fn minds(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Rejected
            | EventKind::RequisitionRefused
            | EventKind::ComputationFailed
            | EventKind::ParticipantEnded
    )
}

/// A measurement as a caller of the scenario read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Who read it.
    pub actor: String,
    /// What was read.
    pub measurement: pb::Measurement,
    /// Number of the server's event.
    pub event: Option<u64>,
}

/// All that went wrong, by whom it was seen: first what servers refused, of their `events`; then, of
/// `log`, the calls of the scenario that broke without a server's refusal, and what participants refused,
/// rejected or ended over; then the measurements among `reads` that a revocation had failed (1.6.3), each
/// once for each reader. `called` says what the scenario calls a principal.
///
/// Not here: what probes met where no server answered (the steps about probes compare that), and calls of
/// reference participants that broke below gRPC.
pub fn sightings(
    events: &[ServerEvent],
    log: &[Observation],
    reads: &[Read],
    called: &dyn Fn(&str) -> Option<String>,
) -> Vec<Sighting> {
    let callers = callers(log);
    let at_servers = events
        .iter()
        .filter(|event| matches!(event.kind.as_str(), "handshake" | "call"))
        .filter(|event| event.outcome == "refused")
        .map(|event| {
            let principal =
                || event.principal.as_deref().map(|name| called(name).unwrap_or(name.to_owned()));
            let who = callers.get(&event.seq).cloned().or_else(principal);
            let cause =
                Cause::ALL.iter().find(|cause| Some(cause.code()) == event.cause.as_deref());
            let what = event.cause.clone().or_else(|| event.code.clone());
            Sighting {
                who: who.unwrap_or_else(|| self::who(&[], event)),
                what: what.unwrap_or_else(|| "refused".to_owned()),
                clause: cause.map_or("-", |cause| cause.clause()).to_owned(),
                event: Some(event.seq),
            }
        });
    let by_participants = log.iter().filter_map(|observation| match &observation.fact {
        Fact::Participant(event) if minds(event.kind) => Some(Sighting {
            who: event.actor.clone(),
            what: event.kind.name().to_owned(),
            clause: event.clause.to_owned(),
            event: None,
        }),
        _ => None,
    });
    at_servers.chain(by_callers(log)).chain(by_participants).chain(by_readers(reads)).collect()
}

/// The scenario's own calls that broke, and that no server refused.
fn by_callers(log: &[Observation]) -> Vec<Sighting> {
    let mut broken = Vec::new();
    let mut calling = None;
    for observation in log {
        match &observation.fact {
            Fact::Call(call) => {
                broken.extend(calling.take());
                calling = call.cause.map(|cause| Sighting {
                    who: call.actor.clone(),
                    what: cause.code().to_owned(),
                    clause: cause.clause().to_owned(),
                    event: None,
                });
            }
            // What was joined to the call stands behind it.
            Fact::Server(event) if event.outcome == "refused" => calling = None,
            _ => {}
        }
    }
    broken.extend(calling);
    broken
}

fn by_readers(reads: &[Read]) -> Vec<Sighting> {
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let failed = reads.iter().filter(|read| {
        let failure = read.measurement.failure.as_ref();
        read.measurement.state() == pb::measurement::State::Failed
            && failure.is_some_and(|failure| failure.reason() == Reason::CertificateRevoked)
            && seen.insert((&read.actor, &read.measurement.name))
    });
    failed
        .map(|read| Sighting {
            who: read.actor.clone(),
            what: Reason::CertificateRevoked.as_str_name().to_owned(),
            clause: "1.6.3".to_owned(),
            event: read.event,
        })
        .collect()
}

/// Who made the scenario's own calls, by the number of the server's event.
fn callers(log: &[Observation]) -> BTreeMap<u64, String> {
    let mut callers = BTreeMap::new();
    let mut calling = None;
    for observation in log {
        match &observation.fact {
            Fact::Call(call) => calling = Some(call.actor.clone()),
            // What was joined to the call stands behind it.
            Fact::Server(event) => {
                if let Some(actor) = calling.take() {
                    callers.insert(event.seq, actor);
                }
            }
            _ => {}
        }
    }
    callers
}

/// That a monitor saw exactly these failures, each as often, given as who, what and clause. If not, the
/// cause says whether one was missed.
pub fn saw_exactly(expected: &[[String; 3]], observed: &[Sighting]) -> Check {
    let show = |who: &str, what: &str, clause: &str| format!("{who}: {what} by {clause}");
    let expected: Vec<_> = expected.iter().map(|[a, b, c]| show(a, b, c)).collect();
    let seen: Vec<_> = observed.iter().map(|one| show(&one.who, &one.what, &one.clause)).collect();
    let mut check = check::same_members("failures that the monitor saw", &expected, &seen);
    check.evidence = observed.iter().filter_map(|one| one.event).collect();
    let mut left = seen;
    let was_seen = |one: &String| {
        let place = left.iter().position(|other| other == one);
        place.map(|place| left.swap_remove(place)).is_some()
    };
    if expected.iter().all(was_seen) {
        check.or(Cause::UnexpectedState)
    } else {
        check.or(Cause::FailureNotSeen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{CallFact, ObservationLog};
    use crate::participant::ParticipantEvent;

    fn event(seq: u64, outcome: &str, cause: Option<&str>) -> ServerEvent {
        ServerEvent {
            seq,
            kind: "call".to_owned(),
            outcome: outcome.to_owned(),
            cause: cause.map(str::to_owned),
            code: Some("ALREADY_EXISTS".to_owned()),
            principal: Some("dataProviders/x".to_owned()),
            ..ServerEvent::default()
        }
    }

    fn participant(kind: EventKind) -> Fact {
        Fact::Participant(Box::new(ParticipantEvent {
            time: Timestamp::default(),
            actor: "edp1".to_owned(),
            kind,
            clause: "3.10/5",
            cause: String::new(),
            justification: "",
            subject: String::new(),
            certificate: String::new(),
        }))
    }

    fn log(facts: impl IntoIterator<Item = Fact>) -> ObservationLog {
        let mut log = ObservationLog::default();
        for fact in facts {
            log.record(Timestamp::default(), fact);
        }
        log
    }

    fn called(resource: &str) -> Option<String> {
        (resource == "dataProviders/x").then(|| "edp1".to_owned())
    }

    #[test]
    fn an_alert_is_of_the_last_call_s_actor_and_cause() {
        let at = |seq: u64, kind: &str, cause: &str| ServerEvent {
            seq,
            time: format!("2026-01-01T00:00:{seq:02}Z"),
            kind: kind.to_owned(),
            code: Some("UNAUTHENTICATED".to_owned()),
            ..event(seq, "refused", Some(cause))
        };
        let call = |actor: &str| {
            Fact::Call(CallFact {
                actor: actor.to_owned(),
                method: String::new(),
                request_id: String::new(),
                code: None,
                transport: None,
                cause: None,
            })
        };
        // By whom, in order; the alert comes after the event of this number.
        let raised = |actors: [&str; 3], after: u64, causes: [&str; 3]| {
            let calls = (1..)
                .zip(actors)
                .zip(causes)
                .map(|((seq, actor), cause)| (call(actor), at(2 * seq, "call", cause)));
            let calls: Vec<_> = calls.collect();
            let mut events: Vec<_> = calls.iter().map(|(_, event)| event.clone()).collect();
            events.push(at(after + 1, "alert", ""));
            let facts =
                calls.into_iter().flat_map(|(call, event)| [call, Fact::Server(Box::new(event))]);
            raised_by_the_last(log(facts).all(), &events, 3, Duration::from_secs(10))
        };
        let same = ["api_key_invalid"; 3];
        assert!(raised(["mc1"; 3], 6, same));
        assert!(!raised(["mc1"; 3], 4, same), "two are not three");
        let mut events: Vec<_> = (1..=4).map(|n| at(2 * n, "call", same[0])).collect();
        events.insert(3, at(7, "alert", ""));
        let calls = events.iter().filter(|event| event.kind == "call");
        let facts = calls.flat_map(|event| [call("mc1"), Fact::Server(Box::new(event.clone()))]);
        let log = log(facts);
        let before = raised_by_the_last(log.all(), &events, 3, Duration::from_secs(10));
        assert!(!before, "it came before the last one");
        assert!(!raised(["edp1", "mc1", "mc1"], 6, same), "one was another's");
        let other = ["principal_unknown", "api_key_invalid", "api_key_invalid"];
        assert!(!raised(["mc1"; 3], 6, other), "one had another cause");
    }

    fn row(who: &str, what: &str, clause: &str) -> [String; 3] {
        [who, what, clause].map(str::to_owned)
    }

    #[test]
    fn refusals_of_servers_and_of_participants_are_seen_and_nothing_else() {
        let events = [
            event(1, "ok", None),
            event(2, "refused", Some("certificate_expired")),
            event(3, "refused", None),
        ];
        let log = log([
            participant(EventKind::RequisitionFulfilled),
            participant(EventKind::RequisitionRefused),
        ]);
        let seen = sightings(&events, log.all(), &[], &called);
        let rows = [
            row("edp1", "certificate_expired", "1.6.1"),
            row("edp1", "ALREADY_EXISTS", "-"),
            row("edp1", "requisition_refused", "3.10/5"),
        ];
        let check = saw_exactly(&rows, &seen);
        assert!(check.holds, "{check:?}");
        assert_eq!(check.evidence, [2, 3]);
    }

    #[test]
    fn a_call_of_the_scenarios_own_is_its_callers_whoever_it_claims_to_be() {
        let refused = event(2, "refused", Some("akid_not_of_issuer"));
        let call = CallFact {
            actor: "mc1".to_owned(),
            method: String::new(),
            request_id: String::new(),
            code: None,
            transport: None,
            cause: Some(Cause::HandshakeFailed),
        };
        let log = log([Fact::Call(call), Fact::Server(Box::new(refused.clone()))]);
        let seen = sightings(&[refused], log.all(), &[], &called);
        assert_eq!((seen.len(), seen[0].who.as_str()), (1, "mc1"));
    }

    #[test]
    fn where_no_server_was_there_the_caller_saw_it() {
        let call = |actor: &str, cause: Option<Cause>| {
            Fact::Call(CallFact {
                actor: actor.to_owned(),
                method: String::new(),
                request_id: String::new(),
                code: cause.map_or(Some("OK"), |_| None),
                transport: None,
                cause,
            })
        };
        let accepted = Fact::Server(Box::new(event(7, "ok", None)));
        let log = log([
            call("edp1", Some(Cause::NobodyListens)),
            call("edp2", None),
            call("mc1", Some(Cause::ConnectionCut)),
            accepted,
        ]);
        let rows = [row("edp1", "nobody_listens", "5.5.2"), row("mc1", "connection_cut", "5.5.2")];
        let check = saw_exactly(&rows, &sightings(&[], log.all(), &[], &called));
        assert!(check.holds, "{check:?}");
    }

    #[test]
    fn a_measurement_that_a_revocation_failed_is_seen_once_by_each_who_reads_it() {
        let read = |actor: &str, state, reason: Reason| Read {
            actor: actor.to_owned(),
            measurement: pb::Measurement {
                name: "m".to_owned(),
                state: pb::measurement::State::into(state),
                failure: Some(pb::measurement::Failure {
                    reason: reason.into(),
                    ..Default::default()
                }),
                ..Default::default()
            },
            event: Some(4),
        };
        use pb::measurement::State::{AwaitingRequisitionFulfillment, Failed};
        let reads = [
            read("mc1", Failed, Reason::CertificateRevoked),
            read("mc1", Failed, Reason::CertificateRevoked),
            read("edp1", Failed, Reason::RequisitionRefused),
            read("edp2", AwaitingRequisitionFulfillment, Reason::CertificateRevoked),
        ];
        let seen = sightings(&[], &[], &reads, &called);
        let check = saw_exactly(&[row("mc1", "CERTIFICATE_REVOKED", "1.6.3")], &seen);
        assert!(check.holds, "{check:?}");
    }

    #[test]
    fn one_that_was_missed_and_one_too_many_have_causes_of_their_own() {
        let one = sightings(&[event(2, "refused", Some("expired"))], &[], &[], &called);
        let expected = [row("edp1", "expired", "2.1")];
        assert!(saw_exactly(&expected, &one).holds);
        let missed = saw_exactly(&expected, &[]);
        assert_eq!((missed.holds, missed.cause), (false, Some(Cause::FailureNotSeen)));
        let more = saw_exactly(&[], &one);
        assert_eq!((more.holds, more.cause), (false, Some(Cause::UnexpectedState)));
        let twice = [one.clone(), one].concat();
        assert!(!saw_exactly(&expected, &twice).holds, "each as often");
    }
}
