//! Outages that a scenario predicts: shown only with the predicted causes, in the predicted lanes and
//! in their window, and with nothing else failing. Pure.

use super::availability::{GAP_MS_MAX, failure};
use super::check;
use crate::observation::{Check, Fact, Observation, ServerEvent};
use crate::probe::{Probe, Run};
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What a scenario says that callers must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predicted<'a> {
    /// Who notices; `None` = every caller.
    pub actor: Option<&'a str>,
    /// The lanes that fail, by name.
    pub lanes: &'a [&'a str],
    /// The causes, all of them, in the order of their codes.
    pub causes: &'a str,
    /// When.
    pub window: Window<'a>,
}

/// When an outage is predicted. Steps are named by their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window<'a> {
    /// The step that begins it: the first of this text that changed something.
    pub from: &'a str,
    /// What ends it.
    pub until: Until<'a>,
    /// How long after its step an outage may begin or end, in microseconds.
    pub within_us: i64,
}

/// What ends an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until<'a> {
    /// Itself: it is over soon after it began.
    Itself,
    /// A step: the last of this text that changed something.
    Step(&'a str),
    /// Nothing: it lasts to the end of the run.
    Nothing,
}

/// How long after its step an outage may begin or end, if the scenario does not say: as long as a gap
/// that nobody notices.
pub const WITHIN_US: i64 = GAP_MS_MAX as i64 * 1000;

/// What a comparison with a predicted outage is called.
pub const PREDICTED: &str = "failed";

/// A change of surroundings during a run of probes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<'a> {
    /// When its step began, from the run's start, in microseconds of the probes' own time.
    pub from_us: i64,
    /// When it was done.
    pub at_us: i64,
    /// What, in words.
    pub what: &'a str,
    /// The text of its step.
    pub step: &'a str,
    /// The probing caller that went on with it.
    pub worn: Option<&'a str>,
    /// By how much the clock had been moved forward until then, in microseconds.
    pub jumped_us: i64,
}

/// Something that came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// For whom.
    pub of: Whom,
    /// When, from the run's start, in microseconds of the probes' own time.
    pub at_us: i64,
}

/// For whom something came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A replica, by number.
    Replica(u32),
    /// A probing caller.
    Caller(String),
}

/// Everything that came into force while the probes went on: what a caller put on, and every start,
/// stop, drain, cut and reload of a replica, whoever brought it about. A file that no process has read
/// yet is in force nowhere (contract 5.4.1, 5.4.2).
pub fn in_force(run: &Run, changes: &[Change<'_>], events: &[ServerEvent]) -> Vec<InForce> {
    let started = run.started.micros();
    // The events carry the environment's time, which jumps.
    let own_time = |at: i64| {
        let before = |change: &&Change<'_>| started + change.at_us + change.jumped_us <= at;
        at - started - changes.iter().rfind(before).map_or(0, |change| change.jumped_us)
    };
    let is_read = |event: &&ServerEvent| match event.kind.as_str() {
        "replica" => event.outcome != "start_refused",
        "reload" => event.outcome == "ok",
        _ => false,
    };
    let of_replicas = events.iter().filter(is_read).filter_map(|event| {
        let at = Timestamp::parse_rfc3339(&event.time)?;
        Some(InForce { of: Whom::Replica(event.replica?), at_us: own_time(at.micros()) })
    });
    // The moment of dressing: the step around it can be long.
    let worn = changes.iter().filter_map(|change| {
        Some(InForce { of: Whom::Caller(change.worn?.to_owned()), at_us: change.at_us })
    });
    worn.chain(of_replicas).collect()
}

/// The runs of probes of a scenario, each with what was changed while it went on.
pub fn runs(log: &[Observation]) -> Vec<(&Run, Vec<Change<'_>>)> {
    let mut runs = Vec::new();
    // A change as the log has it, with how far the clock has jumped meanwhile: the probes' own time
    // does not jump.
    let mut changes: Vec<(Change<'_>, i64)> = Vec::new();
    let (mut step_began, mut step) = (i64::MIN, "");
    for observation in log {
        match &observation.fact {
            Fact::Changed { what, jumped, worn } => {
                let jumped = i64::try_from(jumped.as_micros()).unwrap_or(i64::MAX);
                let at_us = observation.time.micros();
                let from_us = step_began;
                let change =
                    Change { from_us, at_us, what, step, worn: worn.as_deref(), jumped_us: 0 };
                changes.push((change, jumped));
            }
            Fact::Step(fact) => {
                (step_began, step) = (observation.time.micros(), fact.text.as_str());
            }
            // What was changed before stands at the same moment, if nothing took time.
            Fact::ProbesStarted => changes.clear(),
            Fact::Probes(run) => {
                let started = run.started.micros();
                let mut jumps = 0;
                let changes = changes
                    .drain(..)
                    .map(|(change, jumped)| {
                        let from_us = (change.from_us.max(started) - started - jumps).max(0);
                        jumps += jumped;
                        let at_us = change.at_us - started - jumps;
                        Change { from_us, at_us, jumped_us: jumps, ..change }
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
/// fail, and the outage must begin and end with its own steps.
pub fn judge(run: &Run, changes: &[Change<'_>], predicted: Predicted<'_>) -> Check {
    let actors: Vec<&str> = match predicted.actor {
        Some(actor) => vec![actor],
        None => run.callers.iter().map(|(actor, _)| actor.as_str()).collect(),
    };
    let window = predicted.window;
    let ends = match window.until {
        Until::Itself => "passes".to_owned(),
        Until::Step(step) => format!("until `{step}`"),
        Until::Nothing => "to the end".to_owned(),
    };
    let expected_window = format!("from `{}`, {ends}", window.from);
    let span = match Span::of(window, changes) {
        Ok(span) => span,
        Err(missing) => {
            let check = check::equal("outage", &expected_window, &missing);
            return check.or(Cause::FailureNotSeen);
        }
    };
    let mut lanes = predicted.lanes.to_vec();
    lanes.sort_unstable();
    let (mut expected, mut observed) = (Vec::new(), Vec::new());
    for actor in actors {
        let (lanes, causes) = (lanes.join(", "), predicted.causes);
        expected.push(format!("{actor}: {lanes} ({expected_window}) with {causes}"));
        // Lanes by what became of them, and each caller's causes apart: one's are not another's.
        let mut shown: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut causes = BTreeSet::new();
        for (lane, outage) in failed(run, actor) {
            let wrong = outage.outside(&span, window);
            shown.entry(wrong.unwrap_or_else(|| expected_window.clone())).or_default().push(lane);
            causes.extend(outage.causes);
        }
        if !shown.is_empty() {
            let causes = causes.into_iter().collect::<Vec<_>>().join(", ");
            let shown: Vec<_> = shown
                .into_iter()
                .map(|(window, lanes)| format!("{} ({window})", lanes.join(", ")))
                .collect();
            observed.push(format!("{actor}: {} with {causes}", shown.join("; ")));
        }
    }
    let is_unseen = observed.is_empty();
    let observed = if is_unseen { "nobody".to_owned() } else { observed.join("; ") };
    let check = check::equal(PREDICTED, &expected.join("; "), &observed);
    if is_unseen { check.or(Cause::FailureNotSeen) } else { check }
}

/// Whether a call was under way while something came into force for its caller, or for the replica that
/// has a record of it (for any, if none has): one that was not straddles nothing.
pub fn straddles(probe: &Probe, in_force: &[InForce]) -> bool {
    let at_us = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let (from_us, until_us) = (at_us(probe.intended_us), at_us(probe.ended_us));
    let replica = probe.server.as_ref().and_then(|event| event.replica);
    let is_own = |one: &&InForce| match &one.of {
        Whom::Replica(id) => replica.is_none_or(|own| own == *id),
        Whom::Caller(actor) => *actor == probe.caller,
    };
    in_force.iter().filter(is_own).any(|one| from_us <= one.at_us && one.at_us <= until_us)
}

/// Callers of whom a probe failed.
pub fn who_failed(run: &Run) -> BTreeSet<&str> {
    let failed = |actor: &&str| !failed(run, actor).is_empty();
    run.callers.iter().map(|(actor, _)| actor.as_str()).filter(failed).collect()
}

/// The steps of a window, in microseconds from the run's start.
struct Span {
    /// When the first step began.
    began_us: i64,
    /// When it had made its change.
    begun_us: i64,
    /// When the step that ends it began.
    ending_us: i64,
    /// When that had made its change.
    ended_us: i64,
}

impl Span {
    /// Where these steps stand among the changes; else what is missing.
    fn of(window: Window<'_>, changes: &[Change<'_>]) -> Result<Self, String> {
        let none = |step: &str| format!("`{step}` changed nothing while the probes went on");
        let first = changes.iter().find(|change| change.step == window.from);
        let first = first.ok_or_else(|| none(window.from))?;
        let of_first = changes
            .iter()
            .filter(|change| change.step == window.from && change.from_us == first.from_us);
        let begun_us = of_first.map(|change| change.at_us).max().unwrap_or(first.at_us);
        let (ending_us, ended_us) = match window.until {
            Until::Itself => (first.from_us, begun_us),
            Until::Nothing => (i64::MAX, i64::MAX),
            Until::Step(step) => {
                let behind =
                    |change: &&Change<'_>| change.step == step && change.from_us > first.from_us;
                let last = changes.iter().rev().find(behind);
                let last = last.ok_or_else(|| format!("{} after `{}`", none(step), window.from))?;
                (last.from_us, last.at_us)
            }
        };
        Ok(Self { began_us: first.from_us, begun_us, ending_us, ended_us })
    }
}

#[derive(Default)]
struct Outage {
    causes: BTreeSet<String>,
    failures: u64,
    /// When the first probe that failed was due, and when the last one was.
    first_us: i64,
    last_us: i64,
    /// When the first one had failed, and when the last one had.
    first_ended_us: i64,
    over_us: i64,
    /// Answers between the first failure and the last.
    between: u64,
    /// The longest span of answers alone between them.
    longest_rest_us: i64,
    /// Answers after the last failure.
    after: u64,
}

/// One answer after a failure can be the luck of a replica that still works; and one failure at the
/// end is no outage that lasts.
const IN_A_ROW_MIN: u64 = 2;

impl Outage {
    /// What keeps it from being the outage of this window.
    fn outside(&self, span: &Span, window: Window<'_>) -> Option<String> {
        let Window { from, until, within_us } = window;
        let late = |since_us: i64, at_us: i64| at_us > since_us.saturating_add(within_us);
        let ms = |us: i64| us / 1000;
        if self.first_ended_us < span.began_us {
            return Some(format!("before `{from}`"));
        }
        if late(span.begun_us, self.first_us) {
            return Some(format!("first {} ms after `{from}`", ms(self.first_us - span.begun_us)));
        }
        if self.longest_rest_us > within_us {
            return Some(format!("more than one, {} ms apart", ms(self.longest_rest_us)));
        }
        let is_over = self.after >= IN_A_ROW_MIN;
        match until {
            Until::Nothing if is_over => Some("answered again".to_owned()),
            Until::Nothing if self.after + self.between > 0 => {
                Some("now and then to the end".to_owned())
            }
            Until::Nothing if self.failures < IN_A_ROW_MIN => Some("a single one".to_owned()),
            Until::Nothing => None,
            _ if !is_over && self.after + self.between == 0 => Some("to the end".to_owned()),
            _ if !is_over => Some("now and then to the end".to_owned()),
            Until::Itself if late(span.ended_us, self.last_us) => {
                Some(format!("still {} ms after `{from}`", ms(self.last_us - span.ended_us)))
            }
            Until::Step(step) if late(span.ended_us, self.last_us) => {
                Some(format!("still {} ms after `{step}`", ms(self.last_us - span.ended_us)))
            }
            Until::Step(step) if late(self.over_us, span.ending_us) => {
                Some(format!("over {} ms before `{step}`", ms(span.ending_us - self.over_us)))
            }
            Until::Itself | Until::Step(_) => None,
        }
    }
}

fn failed<'a>(run: &'a Run, actor: &str) -> BTreeMap<&'static str, Outage> {
    let own = |probe: &&'a Probe| {
        probe.caller == actor
            && probe.sent_us.is_some()
            && !super::availability::in_control(run, probe)
    };
    let at_us = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let mut outages: BTreeMap<&'static str, Outage> = BTreeMap::new();
    for probe in run.probes.iter().filter(own) {
        let Some(cause) = failure(run, probe) else { continue };
        if cause == Cause::HarnessFault.code() {
            continue;
        }
        let (due_us, ended_us) = (at_us(probe.intended_us), at_us(probe.ended_us));
        let outage = outages.entry(probe.lane.name()).or_insert_with(|| Outage {
            first_us: due_us,
            last_us: due_us,
            first_ended_us: ended_us,
            ..Outage::default()
        });
        outage.failures += 1;
        outage.causes.insert(cause);
        outage.first_us = outage.first_us.min(due_us);
        outage.first_ended_us = outage.first_ended_us.min(ended_us);
        outage.last_us = outage.last_us.max(due_us);
        outage.over_us = outage.over_us.max(ended_us);
    }
    for (lane, outage) in &mut outages {
        let mut due: Vec<_> = run
            .probes
            .iter()
            .filter(own)
            .filter(|probe| probe.lane.name() == *lane)
            .map(|probe| (at_us(probe.intended_us), failure(run, probe).is_some()))
            .collect();
        due.sort_unstable();
        let mut failed_us = outage.first_us;
        for (at_us, has_failed) in due {
            if has_failed {
                outage.longest_rest_us = outage.longest_rest_us.max(at_us - failed_us);
                failed_us = at_us;
                outage.between += std::mem::take(&mut outage.after);
            } else if at_us > outage.first_us {
                outage.after += 1;
            }
        }
    }
    outages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::StepFact;
    use crate::probe::{Answer, Density, Lane};
    use crate::verdict::not_predicted;

    /// A second of calls of edp1 in two lanes, a change at 300 ms, and what failed with `unknown_issuer`.
    fn run(failed: &[(Lane, std::ops::Range<u64>)]) -> Run {
        let lanes = [Lane::NewConnection, Lane::ReusedChannel];
        let probe = |n: u64, lane: Lane| {
            let at = n * 10_000;
            let is_down = failed.iter().any(|(of, when)| *of == lane && when.contains(&at));
            let answer =
                if is_down { Answer::Broken(Cause::UnknownIssuer) } else { Answer::Expected };
            Probe {
                sent_us: Some(at),
                ended_us: at + 1_000,
                answer,
                ..Probe::due(n, lane, "edp1", String::new(), at)
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

    /// The change at 300 ms, and the one that ends an outage, at 590 ms.
    const CHANGES: [Change<'static>; 3] = [
        change(300_000, 310_000, "a bad step"),
        change(350_000, 350_000, "another step"),
        change(590_000, 600_000, "the way back"),
    ];

    const fn change(from_us: i64, at_us: i64, step: &'static str) -> Change<'static> {
        Change { from_us, at_us, what: "a change", step, worn: None, jumped_us: 0 }
    }

    fn observed(run: &Run, lanes: &[&str], from: &str, until: Until<'_>) -> (bool, String) {
        let window = Window { from, until, within_us: 100_000 };
        let predicted = Predicted { actor: Some("edp1"), lanes, causes: "unknown_issuer", window };
        let check = judge(run, &CHANGES, predicted);
        (check.holds, check.observed)
    }

    fn holds(run: &Run, lanes: &[&str], to_the_end: bool) -> bool {
        let until = if to_the_end { Until::Nothing } else { Until::Step("the way back") };
        observed(run, lanes, "a bad step", until).0
    }

    const BOTH: [&str; 2] = ["new_connection", "reused_channel"];

    #[test]
    fn a_predicted_outage_is_shown_in_its_lanes_and_until_its_end() {
        let passing = run(&[(Lane::NewConnection, 350_000..600_000)]);
        assert!(holds(&passing, &["new_connection"], false));
        let lasting = run(&[(Lane::NewConnection, 350_000..u64::MAX)]);
        assert!(holds(&lasting, &["new_connection"], true));
    }

    #[test]
    fn a_call_straddles_what_came_into_force_between_its_begin_and_its_end() {
        let mut probe = run(&[]).probes.remove(0);
        let caller = Whom::Caller(probe.caller.clone());
        let in_force = [300_000, 590_000].map(|at_us| InForce { of: caller.clone(), at_us });
        for (from, until, does) in [
            (100_000, 299_999, false),
            (100_000, 300_000, true),
            (300_000, 308_000, true),
            (301_000, 589_000, false),
        ] {
            (probe.intended_us, probe.ended_us) = (from, until);
            assert_eq!(straddles(&probe, &in_force), does, "{from} to {until}");
        }
    }

    #[test]
    fn a_call_straddles_only_what_is_of_its_own_caller_and_replica() {
        let mut probe = run(&[]).probes.remove(0);
        (probe.intended_us, probe.ended_us) = (100_000, 500_000);
        let by = |replica| Some(Box::new(ServerEvent { replica, ..ServerEvent::default() }));
        let straddles = |probe: &Probe, of| straddles(probe, &[InForce { of, at_us: 300_000 }]);
        probe.server = by(Some(1));
        assert!(straddles(&probe, Whom::Replica(1)));
        assert!(!straddles(&probe, Whom::Replica(0)));
        assert!(straddles(&probe, Whom::Caller(probe.caller.clone())));
        assert!(!straddles(&probe, Whom::Caller("somebody else".to_owned())));
        // What was cut off has no record of where it was.
        probe.server = None;
        assert!(straddles(&probe, Whom::Replica(0)));
    }

    fn at_replica_0(at_us: i64) -> InForce {
        InForce { of: Whom::Replica(0), at_us }
    }

    fn event(kind: &str, outcome: &str, at_us: i64) -> ServerEvent {
        ServerEvent {
            kind: kind.to_owned(),
            outcome: outcome.to_owned(),
            time: Timestamp::from_micros(at_us).to_string(),
            replica: Some(0),
            ..ServerEvent::default()
        }
    }

    #[test]
    fn a_file_that_no_process_has_read_is_in_force_nowhere() {
        let run = run(&[]);
        assert_eq!(in_force(&run, &CHANGES, &[]), []);
        let unread = [
            event("reload", "refused", 310_000),
            event("replica", "start_refused", 310_000),
            event("call", "ok", 310_000),
            ServerEvent { replica: None, ..event("reload", "ok", 310_000) },
        ];
        assert_eq!(in_force(&run, &CHANGES, &unread), []);
    }

    #[test]
    fn what_a_replica_does_and_what_a_caller_puts_on_is_in_force() {
        let run = run(&[]);
        for (kind, outcome) in [
            ("replica", "stopping"),
            ("replica", "started"),
            ("replica", "draining"),
            ("replica", "cut"),
            ("reload", "ok"),
        ] {
            let at = in_force(&run, &CHANGES, &[event(kind, outcome, 310_000)]);
            assert_eq!(at, [at_replica_0(310_000)], "{kind} {outcome}");
        }
        let mut worn = CHANGES;
        worn[1].worn = Some("mc1");
        let of = Whom::Caller("mc1".to_owned());
        assert_eq!(in_force(&run, &worn, &[]), [InForce { of, at_us: 350_000 }]);
    }

    #[test]
    fn what_came_into_force_after_the_clock_was_moved_has_the_probes_own_time() {
        const HOUR_US: i64 = 3_600_000_000;
        let mut changes = CHANGES;
        changes[1].jumped_us = HOUR_US;
        changes[2].jumped_us = HOUR_US;
        let events = [event("reload", "ok", 330_000), event("reload", "ok", HOUR_US + 400_000)];
        let at = in_force(&run(&[]), &changes, &events);
        assert_eq!(at, [at_replica_0(330_000), at_replica_0(400_000)]);
    }

    #[test]
    fn a_lane_that_fails_for_another_reason_in_the_middle_is_no_lane_of_the_outage() {
        let run = run(&[
            (Lane::NewConnection, 350_000..600_000),
            (Lane::ReusedChannel, 450_000..460_000),
        ]);
        let (holds, observed) = observed(&run, &BOTH, "a bad step", Until::Step("the way back"));
        assert!(!holds && observed.contains("reused_channel (first 140 ms after"), "{observed}");
    }

    #[test]
    fn the_causes_of_one_caller_are_not_those_of_another() {
        let mut both = run(&[(Lane::NewConnection, 350_000..600_000)]);
        both.callers.push(("mc1".to_owned(), "measurementConsumers/x".to_owned()));
        let of_mc1 = both.probes.clone().into_iter().map(|mut probe| {
            probe.caller = "mc1".to_owned();
            if probe.answer != Answer::Expected {
                probe.answer = Answer::Broken(Cause::Expired);
            }
            probe
        });
        both.probes.extend(of_mc1.collect::<Vec<_>>());
        let window =
            Window { from: "a bad step", until: Until::Step("the way back"), within_us: 100_000 };
        let lanes = &["new_connection"];
        let predicted = Predicted { actor: None, lanes, causes: "expired, unknown_issuer", window };
        assert!(!judge(&both, &CHANGES, predicted).holds);
    }

    #[test]
    fn another_lane_of_the_caller_must_not_fail_with_it_and_a_named_one_must() {
        let one = run(&[(Lane::NewConnection, 350_000..600_000)]);
        assert!(!holds(&one, &BOTH, false));
        let both = run(&[
            (Lane::NewConnection, 350_000..600_000),
            (Lane::ReusedChannel, 380_000..590_000),
        ]);
        assert!(!holds(&both, &["new_connection"], false));
        assert!(holds(&both, &BOTH, false));
    }

    #[test]
    fn an_outage_that_ends_is_none_to_the_end_and_the_other_way_round() {
        let passing = run(&[(Lane::NewConnection, 350_000..600_000)]);
        assert!(!holds(&passing, &["new_connection"], true));
        let lasting = run(&[(Lane::NewConnection, 350_000..u64::MAX)]);
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
    fn a_single_failure_at_the_end_does_not_last() {
        let run = run(&[(Lane::NewConnection, 990_000..u64::MAX)]);
        let (holds, observed) = observed(&run, &["new_connection"], "a bad step", Until::Nothing);
        assert!(!holds, "{observed}");
    }

    #[test]
    fn a_failure_before_its_step_is_not_of_it() {
        let early = run(&[(Lane::NewConnection, 200_000..600_000)]);
        let (holds, observed) = observed(&early, &["new_connection"], "a bad step", Until::Nothing);
        assert!(!holds && observed.contains("before `a bad step`"), "{observed}");
    }

    #[test]
    fn a_call_that_was_under_way_when_the_step_began_is_of_it() {
        let under_way = run(&[(Lane::NewConnection, 299_999..600_000)]);
        assert!(holds(&under_way, &["new_connection"], false));
    }

    #[test]
    fn an_outage_of_an_earlier_step_is_none_of_a_later_one() {
        let run = run(&[(Lane::NewConnection, 320_000..600_000)]);
        let back = Until::Step("the way back");
        assert!(observed(&run, &["new_connection"], "a bad step", back).0);
        let (holds, observed) = observed(&run, &["new_connection"], "another step", back);
        assert!(!holds && observed.contains("before `another step`"), "{observed}");
    }

    #[test]
    fn an_outage_that_begins_long_after_its_step_is_of_something_else() {
        let run = run(&[(Lane::NewConnection, 450_000..600_000)]);
        let back = Until::Step("the way back");
        let (holds, observed) = observed(&run, &["new_connection"], "a bad step", back);
        assert!(!holds && observed.contains("140 ms after `a bad step`"), "{observed}");
    }

    #[test]
    fn an_outage_ends_with_the_step_that_ends_it_and_not_before_or_later() {
        let back = Until::Step("the way back");
        let before = run(&[(Lane::NewConnection, 350_000..450_000)]);
        let (holds, observed_) = observed(&before, &["new_connection"], "a bad step", back);
        assert!(!holds && observed_.contains("before `the way back`"), "{observed_}");
        let later = run(&[(Lane::NewConnection, 350_000..750_000)]);
        let (holds, observed_) = observed(&later, &["new_connection"], "a bad step", back);
        assert!(!holds && observed_.contains("still 140 ms after `the way back`"), "{observed_}");
    }

    #[test]
    fn an_outage_that_nothing_ends_is_over_soon_by_itself() {
        let short = run(&[(Lane::NewConnection, 350_000..400_000)]);
        assert!(observed(&short, &["new_connection"], "a bad step", Until::Itself).0);
        let long = run(&[(Lane::NewConnection, 350_000..500_000)]);
        assert!(!observed(&long, &["new_connection"], "a bad step", Until::Itself).0);
    }

    #[test]
    fn two_outages_with_service_between_are_not_one() {
        let run = run(&[
            (Lane::NewConnection, 350_000..400_000),
            (Lane::NewConnection, 550_000..600_000),
        ]);
        let back = Until::Step("the way back");
        let (holds, observed) = observed(&run, &["new_connection"], "a bad step", back);
        assert!(!holds && observed.contains("more than one"), "{observed}");
    }

    #[test]
    fn an_outage_of_a_step_that_changed_nothing_is_not_seen() {
        let run = run(&[(Lane::NewConnection, 350_000..u64::MAX)]);
        let window = Window { from: "no step", until: Until::Nothing, within_us: WITHIN_US };
        let lanes = &["new_connection"];
        let predicted = Predicted { actor: None, lanes, causes: "unknown_issuer", window };
        let check = judge(&run, &CHANGES, predicted);
        assert_eq!((check.holds, check.cause), (false, Some(Cause::FailureNotSeen)));
    }

    #[test]
    fn an_outage_that_was_not_seen_has_a_cause_of_its_own() {
        let window = Window { from: "a bad step", until: Until::Nothing, within_us: WITHIN_US };
        let lanes = &["new_connection"];
        let predicted = Predicted { actor: None, lanes, causes: "unknown_issuer", window };
        let check = judge(&run(&[]), &CHANGES, predicted);
        assert_eq!((check.holds, check.cause), (false, Some(Cause::FailureNotSeen)));
    }

    /// The log of a scenario with these runs, after each of which a step spoke of `spoken`.
    fn is_silent(runs: &[(Run, &[&str])]) -> bool {
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
        not_predicted(&log).is_some()
    }

    #[test]
    fn failures_of_whom_no_step_speaks_are_red_in_every_run() {
        let clean = || run(&[]);
        let failing = || run(&[(Lane::ReusedChannel, 400_000..410_000)]);
        assert!(!is_silent(&[(clean(), &[])]));
        assert!(!is_silent(&[(failing(), &["edp1"])]));
        assert!(is_silent(&[(failing(), &[])]));
        assert!(is_silent(&[(failing(), &[]), (clean(), &["edp1"])]));
        assert!(is_silent(&[(clean(), &["edp1"]), (failing(), &["mc1"])]));
    }
}
