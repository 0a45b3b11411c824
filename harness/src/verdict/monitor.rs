//! Whether every authentication failure of a run was seen by the server and named, and no other was
//! (design.md section 4, "monitor for authentication failures after rotation"). Pure.

use crate::observation::ServerEvent;
use crate::probe::{Probe, Run};
use fake_kingdom::model::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
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
    let own = |event: &ServerEvent, probe: &Probe| {
        probe.server.as_ref().is_some_and(|joined| joined.seq == event.seq)
            // Of several refusals of one probe, as of a call that went out again, one is joined.
            || event.peer_address.as_ref().is_some_and(|address| {
                probe.local.as_ref() == Some(address) || probe.earlier_locals.contains(address)
            })
            || event.request_id.as_deref() == Some(probe.request_id.as_str())
    };
    events
        .iter()
        .filter(|event| refusal(event).is_some())
        .filter(|event| !run.probes.iter().any(|probe| own(event, probe)))
        .collect()
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

/// An alert that the monitor raised, as the record shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Number of its event.
    pub seq: u64,
    /// When, by the Kingdom's clock; RFC 3339.
    pub time: String,
    /// Failures that make an alert ...
    pub threshold: usize,
    /// ... within so many seconds.
    pub window_seconds: u64,
    /// The failures that made it.
    pub failures: Vec<AlertFailures>,
}

/// Failures of one caller for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertFailures {
    /// Who: a probing actor, else the principal, else the key identifier of the client's leaf or its
    /// issuer, else its address.
    pub who: String,
    /// Cause code.
    pub cause: String,
    /// How many.
    pub count: u64,
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
    let own = |probe: &&Probe| {
        (event.peer_address.is_some() && event.peer_address == probe.local)
            || event.request_id.as_deref() == Some(probe.request_id.as_str())
    };
    if let Some(probe) = probes.into_iter().find(own) {
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
/// `None` if none came.
pub fn alert_after_ms(run: &Run, events: &[ServerEvent]) -> Option<i64> {
    let time = |event: &ServerEvent| Timestamp::parse_rfc3339(&event.time).map(Timestamp::micros);
    let of_probes = run.probes.iter().filter_map(|probe| probe.server.as_deref());
    let first = of_probes.filter(|event| refusal(event).is_some()).filter_map(time).min()?;
    let alert = events.iter().filter(|event| event.kind == "alert").filter_map(time).min()?;
    Some((alert - first) / 1000)
}
