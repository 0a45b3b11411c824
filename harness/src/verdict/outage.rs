//! Outages that a scenario predicts: shown only with the predicted causes, in the predicted lanes and
//! in their window, and with nothing else failing. Pure.

use super::availability::failure;
use super::check;
use crate::observation::{Check, Fact, Observation};
use crate::probe::{Probe, Run};
use fake_kingdom::cause::Cause;
use std::collections::{BTreeMap, BTreeSet};

/// What a scenario says that callers must notice.
#[derive(Clone, Copy, Debug)]
pub struct Predicted<'a> {
    /// Who notices; `None` = every caller.
    pub actor: Option<&'a str>,
    /// The lanes that fail, by name.
    pub lanes: &'a [&'a str],
    /// The causes, all of them, in the order of their codes.
    pub causes: &'a str,
    /// Whether the outage lasts to the end of the run; otherwise each lane has to be answered again.
    pub to_the_end: bool,
}

/// A change of surroundings during a run of probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<'a> {
    /// When its step began, from the run's start, in microseconds of the probes' own time.
    pub from_us: i64,
    /// When it was done.
    pub at_us: i64,
    /// What, in words.
    pub what: &'a str,
}

/// The runs of probes of a scenario, each with what was changed while it went on.
pub fn runs(log: &[Observation]) -> Vec<(&Run, Vec<Change<'_>>)> {
    let mut runs = Vec::new();
    // From when, until when, what, and how far the clock has jumped meanwhile: the probes' own time
    // does not jump.
    let mut changes: Vec<(i64, i64, &str, i64)> = Vec::new();
    let mut step_began = i64::MIN;
    for observation in log {
        match &observation.fact {
            Fact::Changed { what, jumped } => {
                let jumped = i64::try_from(jumped.as_micros()).unwrap_or(i64::MAX);
                changes.push((step_began, observation.time.micros(), what, jumped));
            }
            Fact::Step(_) => step_began = observation.time.micros(),
            Fact::Probes(run) => {
                let started = run.started.micros();
                let mut jumps = 0;
                let changes = changes
                    .drain(..)
                    .filter(|(_, at, _, _)| *at >= started)
                    .map(|(from, at, what, jumped)| {
                        let from_us = (from.max(started) - started - jumps).max(0);
                        jumps += jumped;
                        Change { from_us, at_us: at - started - jumps, what }
                    })
                    .collect();
                runs.push((&**run, changes));
            }
            _ => {}
        }
    }
    runs
}

/// Compares what callers noticed with what was predicted. A caller's lane that is not named must not
/// fail; no failure may come before the first change.
pub fn judge(run: &Run, changes: &[Change<'_>], predicted: Predicted<'_>) -> Check {
    let actors: Vec<&str> = match predicted.actor {
        Some(actor) => vec![actor],
        None => run.callers.iter().map(|(actor, _)| actor.as_str()).collect(),
    };
    let end = if predicted.to_the_end { "to the end" } else { "answered again" };
    let (mut expected, mut observed) = (Vec::new(), Vec::new());
    let mut causes = BTreeSet::new();
    for actor in actors {
        let mut lanes: Vec<_> =
            predicted.lanes.iter().map(|lane| format!("{actor} {lane} ({end})")).collect();
        lanes.sort();
        expected.extend(lanes);
        let failed = failed(run, actor, changes.iter().map(|change| change.from_us).min());
        for (lane, outage) in failed {
            observed.push(format!("{actor} {lane} ({})", outage.window()));
            causes.extend(outage.causes);
        }
    }
    observed.sort();
    expected.sort();
    let causes = causes.into_iter().collect::<Vec<_>>().join(", ");
    let expected = format!("{} with {}", expected.join(", "), predicted.causes);
    let shown = format!("{} with {causes}", observed.join(", "));
    let check = check::equal("failed", &expected, &shown);
    if observed.is_empty() { check.or(Cause::FailureNotSeen) } else { check }
}

/// Callers of whom a probe failed.
pub fn who_failed(run: &Run) -> BTreeSet<&str> {
    let failed = |actor: &&str| !failed(run, actor, None).is_empty();
    run.callers.iter().map(|(actor, _)| actor.as_str()).filter(failed).collect()
}

#[derive(Default)]
struct Outage {
    causes: BTreeSet<String>,
    last_us: u64,
    answered_again: bool,
    too_early: bool,
}

impl Outage {
    fn window(&self) -> &'static str {
        match (self.too_early, self.answered_again) {
            (true, _) => "before anything was changed",
            (false, true) => "answered again",
            (false, false) => "to the end",
        }
    }
}

fn failed<'a>(
    run: &'a Run,
    actor: &str,
    first_change_us: Option<i64>,
) -> BTreeMap<&'static str, Outage> {
    let own = |probe: &&'a Probe| {
        probe.caller == actor
            && probe.sent_us.is_some()
            && !super::availability::in_control(run, probe)
    };
    let mut outages: BTreeMap<&'static str, Outage> = BTreeMap::new();
    for probe in run.probes.iter().filter(own) {
        let Some(cause) = failure(run, probe) else { continue };
        if cause == Cause::HarnessFault.code() {
            continue;
        }
        let outage = outages.entry(probe.lane.name()).or_default();
        outage.causes.insert(cause);
        outage.last_us = outage.last_us.max(probe.intended_us);
        let ended_us = i64::try_from(probe.ended_us).unwrap_or(i64::MAX);
        outage.too_early |= first_change_us.is_some_and(|first_us| ended_us < first_us);
    }
    for probe in run.probes.iter().filter(own) {
        if failure(run, probe).is_none()
            && let Some(outage) = outages.get_mut(probe.lane.name())
        {
            outage.answered_again |= probe.intended_us > outage.last_us;
        }
    }
    outages
}
