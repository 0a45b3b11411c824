//! How soon the probes of a negative twin saw what its fault broke (method.md section 3: a maximum time
//! to detect). Pure.
//!
//! Measured is a twin whose red is a `noticed nothing`: in the scenario itself nobody fails there, so
//! whatever failed is the fault's. The time runs from the end of the first step that the fault put in
//! (where it left one out, from the place where that stood; never from before the probes began) to the end
//! of the first probe that failed with the expected cause, among those that the check named. A red that is
//! read off a count, a credential or a state has no time of its own, nor has one where an outage is
//! predicted and its probes fail in the scenario as well: these are not measured, and neither is a run in
//! which the scenario's clock jumped, for the probes' did not.

use super::Judgement;
use super::availability::{self, noticed};
use crate::observation::{Fact, Observation};
use crate::probe::{Probe, Run};
use serde::Serialize;

/// Where a fault stands in the steps of its twin, and how soon it must be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The first step that is not the scenario's own at this place, from 0.
    pub step: usize,
    /// Whether the fault put it in; else it stands behind what the fault left out.
    pub is_put_in: bool,
    /// `detect_within_ms` of the fault.
    pub within_ms: u64,
}

/// How soon the probes saw it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// From the fault to the end of the first probe that failed by it.
    pub after_ms: f64,
    /// `detect_within_ms` of the fault.
    pub within_ms: u64,
}

impl Detection {
    /// Whether that was soon enough.
    pub fn is_in_time(&self) -> bool {
        self.after_ms <= self.within_ms as f64
    }

    /// Why the twin is not red as stated.
    pub fn too_late(&self) -> Option<String> {
        let Self { after_ms, within_ms } = self;
        (!self.is_in_time()).then(|| {
            format!(
                "the first probe failed {after_ms:.0} ms after the fault, and detect_within_ms of \
                 scenarios/faults.toml is {within_ms}"
            )
        })
    }
}

/// How soon the probes saw the fault of a twin; `None` where that cannot be said.
pub fn of(
    log: &[Observation],
    judgement: &Judgement,
    watch: Watch,
    cause: &str,
) -> Option<Detection> {
    let check = judgement.failed.as_ref().filter(|check| check.what == "downtime")?;
    let ended = log.iter().rposition(|one| matches!(one.fact, Fact::Probes(_)))?;
    let Fact::Probes(run) = &log[ended].fact else { return None };
    let broken_us = broken_us(&log[..ended], run, watch)?;
    let judged = availability::judge(run);
    let named: Vec<_> = judged
        .pooled()
        .filter(|row| noticed(row).is_some_and(|what| check.observed.contains(&what)))
        .collect();
    let is_seen_in = |probe: &&Probe| {
        named.iter().any(|row| {
            (row.lane, row.actor.as_str(), row.credential)
                == (probe.lane, probe.caller.as_str(), probe.credential)
        }) && !availability::in_control(run, probe)
            && probe.sent_us.is_some()
            && availability::causes(run, probe).iter().any(|own| own == cause)
    };
    let seen_us = run.probes.iter().filter(is_seen_in).map(|probe| probe.ended_us).min()?;
    let after_ms = seen_us.saturating_sub(broken_us) as f64 / 1000.0;
    Some(Detection { after_ms, within_ms: watch.within_ms })
}

/// When the fault was done, in the time of this run; `None` if the log does not say.
fn broken_us(log: &[Observation], run: &Run, watch: Watch) -> Option<u64> {
    let started = log.iter().rposition(|one| matches!(one.fact, Fact::ProbesStarted))?;
    let jumped =
        |one: &Observation| matches!(&one.fact, Fact::Changed { jumped, .. } if !jumped.is_zero());
    if log[started..].iter().any(jumped) {
        return None;
    }
    let steps = log.iter().enumerate().filter(|(_, one)| matches!(one.fact, Fact::Step(_)));
    let (begun, _) = steps.clone().nth(watch.step)?;
    let done = if watch.is_put_in {
        begun + log[begun..].iter().position(|one| matches!(one.fact, Fact::StepDone))?
    } else {
        begun
    };
    let since = log[done].time.micros() - run.started.micros();
    Some(u64::try_from(since).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Owner;
    use crate::observation::{Check, ObservationLog, StepFact};
    use crate::probe::{Answer, Control, Density};
    use crate::verdict::Verdict;
    use fake_kingdom::cause::Cause;
    use fake_kingdom::model::Timestamp;
    use std::time::Duration;

    const START_US: i64 = 1_000_000_000;
    const MS: u64 = 1_000;

    /// Two seconds at 200/s, of two callers in turn; a probe takes a millisecond.
    fn run() -> Run {
        let density = Density::default();
        let probes = (0..480).map(|n| {
            let (lane, caller) = density.slot(n, 2);
            let at = density.due_us(n);
            let caller = ["edp1", "mc1"][caller];
            Probe {
                sent_us: Some(at),
                ended_us: at + MS,
                answer: Answer::Expected,
                ..Probe::due(n, lane, caller, format!("p-{n}"), at)
            }
        });
        Run {
            density,
            callers: vec![("edp1".to_owned(), "a".to_owned()), ("mc1".to_owned(), "b".to_owned())],
            started: Timestamp::from_micros(START_US),
            length_us: 2_000 * MS,
            lag_us_max: 0,
            control: Some(Control { from_us: 2_000 * MS, until_us: 2_400 * MS, fired: 1 }),
            probes: probes.collect(),
        }
    }

    /// Lets this caller's probes fail from then on.
    fn failing(run: &mut Run, caller: &str, from_ms: u64, cause: Cause) {
        let late = |probe: &&mut Probe| probe.caller == caller && probe.intended_us >= from_ms * MS;
        for probe in run.probes.iter_mut().filter(late) {
            probe.answer = Answer::Broken(cause);
        }
    }

    /// Steps 0 to 2 begin 100 ms, 400 ms and 700 ms after the run and take 200 ms each; step 1 may move
    /// the clock. What `callers` noticed is then red.
    fn measured(run: Run, watch: Watch, jumped: Duration, callers: &[&str]) -> Option<Detection> {
        let mut log = ObservationLog::default();
        let at = |ms: i64| Timestamp::from_micros(START_US + ms * 1_000);
        log.record(at(0), Fact::ProbesStarted);
        for begin in [100, 400, 700] {
            let step = StepFact {
                keyword: "When".to_owned(),
                text: "something".to_owned(),
                is_then: false,
                is_background: false,
            };
            log.record(at(begin), Fact::Step(step));
            let jumped = if begin == 400 { jumped } else { Duration::ZERO };
            log.record(
                at(begin + 100),
                Fact::Changed { what: "it".to_owned(), jumped, worn: None },
            );
            log.record(at(begin + 200), Fact::StepDone);
        }
        let mut judged = availability::judge(&run);
        judged.lanes.retain(|row| callers.contains(&row.actor.as_str()));
        let observed = judged.zero_downtime().err().unwrap_or_default();
        log.record(at(2_500), Fact::Probes(Box::new(run)));
        let check = Check {
            what: "downtime".to_owned(),
            expected: "nothing noticed".to_owned(),
            observed,
            holds: false,
            evidence: Vec::new(),
            cause: None,
        };
        let judgement = Judgement {
            verdict: Verdict::Fail,
            reason: None,
            owner: Some(Owner::Subject),
            causes: Vec::new(),
            step: None,
            failed: Some(check.clone()),
        };
        let seen = of(log.all(), &judgement, watch, "unknown_issuer");
        // A check of another kind has no time.
        let failed = Some(Check { what: "outage".to_owned(), ..check });
        assert_eq!(
            of(log.all(), &Judgement { failed, ..judgement }, watch, "unknown_issuer"),
            None
        );
        seen
    }

    fn after_ms(run: &Run, watch: Watch, callers: &[&str]) -> Option<f64> {
        let seen = measured(run.clone(), watch, Duration::ZERO, callers);
        seen.map(|seen| seen.after_ms)
    }

    const PUT_IN: Watch = Watch { step: 1, is_put_in: true, within_ms: 500 };
    const LEFT_OUT: Watch = Watch { is_put_in: false, ..PUT_IN };
    const BOTH: &[&str] = &["edp1", "mc1"];

    #[test]
    fn it_counts_from_the_end_of_what_was_put_in_and_from_the_place_of_what_was_left_out() {
        let mut run = run();
        failing(&mut run, "edp1", 900, Cause::UnknownIssuer);
        // Step 1 is from 400 ms to 600 ms; the probe of 900 ms ends a millisecond later.
        assert_eq!(after_ms(&run, PUT_IN, BOTH), Some(301.0));
        assert_eq!(after_ms(&run, LEFT_OUT, BOTH), Some(501.0));
        assert_eq!(after_ms(&run, Watch { step: 2, ..PUT_IN }, BOTH), Some(1.0));
        assert_eq!(after_ms(&run, Watch { step: 3, ..PUT_IN }, BOTH), None, "there is none");
    }

    #[test]
    fn a_failure_counts_when_it_is_known_by_its_cause_for_callers_that_the_check_named() {
        let mut run = run();
        failing(&mut run, "edp1", 900, Cause::UnknownIssuer);
        failing(&mut run, "mc1", 1_200, Cause::UnknownIssuer);
        assert_eq!(after_ms(&run, PUT_IN, &["mc1"]), Some(601.0 + 5.0), "edp1's is foreseen");
        failing(&mut run, "mc1", 0, Cause::ConnectionCut);
        assert_eq!(after_ms(&run, PUT_IN, &["mc1"]), None, "another cause");
        for probe in &mut run.probes {
            probe.ended_us = probe.intended_us + 1_000 * MS;
        }
        assert_eq!(after_ms(&run, PUT_IN, BOTH), Some(1_300.0), "a time-out");
    }

    #[test]
    fn the_harness_s_own_outage_is_none_of_it() {
        let mut run = run();
        failing(&mut run, "edp1", 1_900, Cause::ConnectionCut);
        failing(&mut run, "edp1", 2_000, Cause::UnknownIssuer);
        assert_eq!(after_ms(&run, PUT_IN, BOTH), None);
    }

    #[test]
    fn a_run_whose_clock_jumped_is_not_measured() {
        let mut run = run();
        failing(&mut run, "edp1", 900, Cause::UnknownIssuer);
        assert_eq!(measured(run, PUT_IN, Duration::from_secs(60), BOTH), None);
    }

    #[test]
    fn what_is_seen_too_late_is_told() {
        let mut run = run();
        failing(&mut run, "edp1", 900, Cause::UnknownIssuer);
        let seen = measured(run.clone(), PUT_IN, Duration::ZERO, BOTH).unwrap();
        assert!(seen.is_in_time() && seen.too_late().is_none());
        let seen = measured(run, LEFT_OUT, Duration::ZERO, BOTH).unwrap();
        assert!(!seen.is_in_time());
        assert!(seen.too_late().unwrap().contains("501 ms after the fault"));
    }
}
