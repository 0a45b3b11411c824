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
    first_us: u64,
    last_us: u64,
    /// Answers between the first failure and the last.
    between: u64,
    /// Answers after the last failure.
    after: u64,
    too_early: bool,
}

/// One answer after a failure can be the luck of a replica that still works.
const ANSWERS_AGAIN_MIN: u64 = 2;

impl Outage {
    fn window(&self) -> &'static str {
        if self.too_early {
            "before anything was changed"
        } else if self.after >= ANSWERS_AGAIN_MIN {
            "answered again"
        } else if self.after + self.between == 0 {
            "to the end"
        } else {
            "now and then to the end"
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
        let outage = outages
            .entry(probe.lane.name())
            .or_insert_with(|| Outage { first_us: probe.intended_us, ..Outage::default() });
        outage.first_us = outage.first_us.min(probe.intended_us);
        outage.causes.insert(cause);
        outage.last_us = outage.last_us.max(probe.intended_us);
        let ended_us = i64::try_from(probe.ended_us).unwrap_or(i64::MAX);
        outage.too_early |= first_change_us.is_some_and(|first_us| ended_us < first_us);
    }
    for probe in run.probes.iter().filter(own) {
        if failure(run, probe).is_none()
            && let Some(outage) = outages.get_mut(probe.lane.name())
        {
            let at_us = probe.intended_us;
            outage.after += u64::from(at_us > outage.last_us);
            outage.between += u64::from(at_us > outage.first_us && at_us < outage.last_us);
        }
    }
    outages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::StepFact;
    use crate::probe::{Answer, ClientLeaf, CredentialAge, Density, Lane};
    use crate::verdict::{Verdict, judge as judge_log};
    use fake_kingdom::model::Timestamp;

    /// A second of calls of edp1 in two lanes, a change at 300 ms, and what failed with `unknown_issuer`.
    fn run(failed: &[(Lane, std::ops::Range<u64>)]) -> Run {
        let lanes = [Lane::NewConnection, Lane::ReusedChannel];
        let probe = |n: u64, lane: Lane| {
            let at = n * 10_000;
            let is_down = failed.iter().any(|(of, when)| *of == lane && when.contains(&at));
            Probe {
                n,
                lane,
                caller: "edp1".to_owned(),
                request_id: String::new(),
                intended_us: at,
                sent_us: Some(at),
                ended_us: at + 1_000,
                credential: CredentialAge::Old,
                client: ClientLeaf::default(),
                answering: None,
                local: None,
                earlier_locals: Vec::new(),
                reopened: false,
                answer: if is_down {
                    Answer::Broken(Cause::UnknownIssuer)
                } else {
                    Answer::Expected
                },
                server: None,
            }
        };
        Run {
            density: Density::default(),
            callers: vec![("edp1".to_owned(), "dataProviders/x".to_owned())],
            started: Timestamp::default(),
            length_us: 1_000_000,
            lag_us_max: 0,
            control: None,
            probes: (0..100).flat_map(|n| lanes.map(|lane| probe(n, lane))).collect(),
        }
    }

    fn holds(run: &Run, lanes: &[&str], to_the_end: bool) -> bool {
        let changes = [Change { from_us: 300_000, at_us: 310_000, what: "a change" }];
        let causes = "unknown_issuer";
        judge(run, &changes, Predicted { actor: Some("edp1"), lanes, causes, to_the_end }).holds
    }

    const BOTH: [&str; 2] = ["new_connection", "reused_channel"];

    #[test]
    fn a_predicted_outage_is_shown_in_its_lanes_and_until_its_end() {
        let passing = run(&[(Lane::NewConnection, 400_000..600_000)]);
        assert!(holds(&passing, &["new_connection"], false));
        let lasting = run(&[(Lane::NewConnection, 400_000..u64::MAX)]);
        assert!(holds(&lasting, &["new_connection"], true));
    }

    #[test]
    fn another_lane_of_the_caller_must_not_fail_with_it_and_a_named_one_must() {
        let one = run(&[(Lane::NewConnection, 400_000..600_000)]);
        assert!(!holds(&one, &BOTH, false));
        let both = run(&[
            (Lane::NewConnection, 400_000..600_000),
            (Lane::ReusedChannel, 400_000..410_000),
        ]);
        assert!(!holds(&both, &["new_connection"], false));
        assert!(holds(&both, &BOTH, false));
    }

    #[test]
    fn an_outage_that_ends_is_none_to_the_end_and_the_other_way_round() {
        let passing = run(&[(Lane::NewConnection, 400_000..600_000)]);
        assert!(!holds(&passing, &["new_connection"], true));
        let lasting = run(&[(Lane::NewConnection, 400_000..u64::MAX)]);
        assert!(!holds(&lasting, &["new_connection"], false));
    }

    #[test]
    fn a_lane_that_fails_now_and_then_to_the_end_is_neither() {
        let every_other: Vec<_> = (40..100)
            .step_by(2)
            .map(|n| (Lane::NewConnection, n * 10_000..n * 10_000 + 1))
            .collect();
        let run = run(&every_other);
        assert!(!holds(&run, &["new_connection"], true));
        assert!(!holds(&run, &["new_connection"], false));
    }

    #[test]
    fn a_failure_before_the_first_change_is_not_of_it() {
        let early = run(&[(Lane::NewConnection, 200_000..210_000)]);
        assert!(!holds(&early, &["new_connection"], false));
        // One that was under way when the change began is.
        let under_way = run(&[(Lane::NewConnection, 299_999..300_001)]);
        assert!(holds(&under_way, &["new_connection"], false));
    }

    #[test]
    fn an_outage_that_was_not_seen_has_a_cause_of_its_own() {
        let changes = [Change { from_us: 0, at_us: 0, what: "a change" }];
        let lanes = ["new_connection"];
        let predicted =
            Predicted { actor: None, lanes: &lanes, causes: "unknown_issuer", to_the_end: false };
        let check = judge(&run(&[]), &changes, predicted);
        assert_eq!((check.holds, check.cause), (false, Some(Cause::FailureNotSeen)));
    }

    /// The log of a scenario with these runs, after each of which a step spoke of `spoken`.
    fn verdict(runs: &[(Run, &[&str])]) -> Verdict {
        let mut facts = Vec::new();
        for (run, spoken) in runs {
            let step = StepFact {
                keyword: "Then".to_owned(),
                text: "edp1 noticed nothing".to_owned(),
                is_then: true,
                is_background: false,
            };
            facts.push(Fact::Probes(Box::new(run.clone())));
            facts.push(Fact::Step(step));
            facts.push(Fact::Check(check::equal("something", "1", "1")));
            facts.push(Fact::ProbesJudged(spoken.iter().map(ToString::to_string).collect()));
            facts.push(Fact::StepDone);
        }
        facts.push(Fact::Finished);
        let log: Vec<_> = (0..)
            .zip(facts)
            .map(|(n, fact)| Observation { n, time: Timestamp::default(), line: 1, fact })
            .collect();
        judge_log(&log).verdict
    }

    #[test]
    fn failures_of_whom_no_step_speaks_are_red_in_every_run() {
        let clean = || run(&[]);
        let failing = || run(&[(Lane::ReusedChannel, 400_000..410_000)]);
        assert_eq!(verdict(&[(clean(), &[])]), Verdict::Pass);
        assert_eq!(verdict(&[(failing(), &["edp1"])]), Verdict::Pass);
        assert_eq!(verdict(&[(failing(), &[])]), Verdict::Fail);
        assert_eq!(verdict(&[(failing(), &[]), (clean(), &["edp1"])]), Verdict::Fail);
        assert_eq!(verdict(&[(clean(), &["edp1"]), (failing(), &["mc1"])]), Verdict::Fail);
    }
}
