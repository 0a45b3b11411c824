//! Whether every authentication failure of a run was seen by the server and named, and no other was
//! (design.md section 4, "monitor for authentication failures after rotation"). Pure.

use crate::observation::ServerEvent;
use crate::probe::{Probe, Run};
use fake_kingdom::model::Timestamp;
use std::collections::BTreeMap;

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

/// How long after the first authentication failure of the run an alert came, in whole milliseconds;
/// `None` if none came.
pub fn alert_after_ms(run: &Run, events: &[ServerEvent]) -> Option<i64> {
    let time = |event: &ServerEvent| Timestamp::parse_rfc3339(&event.time).map(Timestamp::micros);
    let of_probes = run.probes.iter().filter_map(|probe| probe.server.as_deref());
    let first = of_probes.filter(|event| refusal(event).is_some()).filter_map(time).min()?;
    let alert = events.iter().filter(|event| event.kind == "alert").filter_map(time).min()?;
    Some((alert - first) / 1000)
}
