//! Negative twins: a scenario with one thing broken, which must then turn red for the stated cause
//! (interfaces.md section 4; method.md section 3).
//!
//! A fault is an edit of the scenario's own steps, in the scenario's own vocabulary: what a person
//! would do wrong. So the verdict cannot know that anything was injected.

use crate::environment::EnvironmentKind;
use crate::error::UsageError;
use crate::observation::{Check, Fact, Observation};
use crate::scenario::{Scenario, VIRTUAL_TIME};
use crate::verdict::detection::Watch;
use crate::verdict::{DecidingStep, Judgement, Verdict};
use fake_kingdom::cause::Cause;
use gherkin::{GherkinEnv, Step, StepType};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The embedded faults.
static FAULTS: &str = include_str!("../../scenarios/faults.toml");
const FILE: &str = "scenarios/faults.toml";

/// A fault and the scenarios that it must turn red.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Stable id, such as `server-old-certificate-on-one-replica`.
    pub id: String,
    /// Where the fault is: `procedure`, `server`, `client`, `network`, `prober`.
    #[serde(rename = "where")]
    pub place: String,
    /// What is broken, in words.
    pub what: String,
    /// The scenarios it is tried on.
    pub scenarios: Vec<String>,
    /// The verdict that each of them must then have.
    pub expected_verdict: ExpectedVerdict,
    /// The cause code that must then be among its causes.
    pub expected_cause: String,
    /// The `Then` that must turn red, by a part of its text; without one, any.
    #[serde(default)]
    pub turns_red: Option<String>,
    /// Which one of that text it is, from 1; must be said where there are several.
    #[serde(default)]
    pub turns_red_nth: Option<usize>,
    /// Within how many milliseconds of the fault it must be seen, at the scenario's rate. Where it is
    /// measured, [`detection`](crate::verdict::detection) says.
    pub detect_within_ms: u64,
    /// What is changed in the steps.
    pub edits: Vec<Edit>,
}

/// The verdicts that a twin may expect: never a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "named as the verdicts")]
pub enum ExpectedVerdict {
    Fail,
    Invalid,
}

impl ExpectedVerdict {
    /// The verdict.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Fail => Verdict::Fail,
            Self::Invalid => Verdict::Invalid,
        }
    }
}

/// One change of a scenario's steps. `at` is the whole text of a step, without its keyword.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Leaves a step out, wherever it stands.
    Skip {
        /// Which.
        at: String,
    },
    /// Puts other steps in the place of one.
    Replace {
        /// Which.
        at: String,
        /// What stands there then, one step a line.
        with: String,
    },
    /// Puts steps in front of the first one of this text.
    Before {
        /// Which.
        at: String,
        /// What, one step a line.
        put: String,
    },
    /// Puts steps behind the first one of this text.
    After {
        /// Which.
        at: String,
        /// What, one step a line.
        put: String,
    },
}

/// A scenario's fault, and what it expects.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    /// The fault's id.
    pub fault: String,
    /// Verdict.
    pub verdict: Verdict,
    /// Cause code.
    pub cause: String,
    /// The `Then` that must turn red.
    pub turns_red: Option<RedStep>,
    /// Where it runs.
    pub environment: EnvironmentKind,
    /// Where its fault stands and how soon it must be seen; `None` if the end of the steps is what is
    /// missing, and of a known deviation.
    pub watch: Option<Watch>,
}

/// The `Then` that must turn red.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedStep {
    /// A part of its text.
    pub part: String,
    /// Its line in the scenario's file.
    pub line: usize,
}

impl RedStep {
    /// Finds it in a scenario.
    ///
    /// # Errors
    /// No `Then` has such a text, or several have and nothing says which.
    pub fn find(scenario: &Scenario, part: &str, nth: Option<usize>) -> Result<Self, String> {
        let thens = scenario.steps.iter().filter(|step| step.ty == StepType::Then);
        let lines: Vec<_> =
            thens.filter(|step| step.value.contains(part)).map(|step| step.position.line).collect();
        let line = match (nth, lines.as_slice()) {
            (None, [line]) => Ok(*line),
            (None, [_, _, ..]) => Err(format!(
                "{} `Then` read `{part}` (lines {lines:?}): say which turns red by turns_red_nth",
                lines.len()
            )),
            (nth, _) => {
                let index = nth.unwrap_or(1).checked_sub(1);
                let line = index.and_then(|index| lines.get(index)).copied();
                line.ok_or_else(|| format!("no such `Then` reads `{part}`"))
            }
        };
        Ok(Self { part: part.to_owned(), line: line? })
    }

    /// Whether that is the step that decided.
    pub fn is(&self, step: Option<&DecidingStep>) -> bool {
        step.is_some_and(|step| step.line == self.line && step.text.contains(&self.part))
    }
}

impl Fault {
    /// The `Then` of a scenario that it must turn red.
    ///
    /// # Errors
    /// As [`RedStep::find`].
    pub fn red_step(&self, scenario: &Scenario) -> Result<Option<RedStep>, String> {
        let find = |part: &String| RedStep::find(scenario, part, self.turns_red_nth);
        self.turns_red.as_ref().map(find).transpose()
    }
}

/// Whether a red is for this cause: what [`red_for`] answers must have it.
pub fn is_for(cause: &str, judgement: &Judgement, log: &[Observation]) -> bool {
    red_for(judgement, log).contains(cause)
}

/// The causes that a run is red for: those that the failed check itself tells, by its own cause, by the
/// server's events that it rests on and by what it observed. A scenario may well have the same cause
/// elsewhere, where it is wanted. Of a check that tells none, and of a run that no check decided, the
/// causes of the whole run count.
pub fn red_for(judgement: &Judgement, log: &[Observation]) -> BTreeSet<String> {
    let told = judgement.failed.as_ref().map(|check| told_causes(check, log)).unwrap_or_default();
    if told.is_empty() { judgement.causes.iter().cloned().collect() } else { told }
}

/// The causes that a failed check tells of itself.
fn told_causes(check: &Check, log: &[Observation]) -> BTreeSet<String> {
    let of_event = |observation: &Observation| match &observation.fact {
        Fact::Server(event) if check.evidence.contains(&event.seq) => event.cause.clone(),
        _ => None,
    };
    let words =
        check.observed.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let named = words.filter(|word| Cause::ALL.iter().any(|cause| cause.code() == *word));
    let own = check.cause.map(|cause| cause.code().to_owned());
    own.into_iter().chain(log.iter().filter_map(of_event)).chain(named.map(str::to_owned)).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<Fault>,
}

/// The embedded faults, in the order of the file.
///
/// # Errors
/// The file is wrong: line and reason.
pub fn embedded() -> Result<Vec<Fault>, UsageError> {
    parse(FAULTS)
}

/// Reads a file of faults.
///
/// # Errors
/// It is no TOML of this form, or a fault stands twice.
pub fn parse(text: &str) -> Result<Vec<Fault>, UsageError> {
    let wrong = |line, reason: String| UsageError::Feature { file: FILE.to_owned(), line, reason };
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        wrong(line, error.message().to_owned())
    })?;
    for (index, fault) in file.fault.iter().enumerate() {
        if file.fault[..index].iter().any(|other| other.id == fault.id) {
            return Err(wrong(1, format!("fault `{}` stands twice", fault.id)));
        }
        if fault.edits.is_empty() || fault.scenarios.is_empty() {
            return Err(wrong(1, format!("fault `{}` breaks nothing", fault.id)));
        }
    }
    Ok(file.fault)
}

/// The twins of these scenarios: each with each fault that names it. Those of a scenario that is
/// tagged `@virtual-time` run in simulation, wherever the others do.
///
/// # Errors
/// An edit finds no step: the fault would never fire.
pub fn of(
    scenarios: &[Scenario],
    faults: &[Fault],
    environment: EnvironmentKind,
) -> Result<Vec<Scenario>, UsageError> {
    let mut twins = Vec::new();
    for scenario in scenarios {
        let needs_virtual_time = scenario.tags.iter().any(|tag| tag == VIRTUAL_TIME);
        let environment = if needs_virtual_time { EnvironmentKind::Simulated } else { environment };
        for fault in faults.iter().filter(|fault| fault.scenarios.contains(&scenario.id)) {
            twins.push(twin(scenario, fault, environment)?);
        }
    }
    Ok(twins)
}

/// A scenario with a fault.
///
/// # Errors
/// As [`of`].
pub fn twin(
    scenario: &Scenario,
    fault: &Fault,
    environment: EnvironmentKind,
) -> Result<Scenario, UsageError> {
    let wrong = |reason: String| UsageError::Feature {
        file: FILE.to_owned(),
        line: 1,
        reason: format!("fault `{}` on {}: {reason}", fault.id, scenario.id),
    };
    let mut steps = scenario.steps.clone();
    for edit in &fault.edits {
        apply(edit, &mut steps).map_err(wrong)?;
    }
    let turns_red = fault.red_step(scenario).map_err(wrong)?;
    let watch = watch(scenario, fault, &steps);
    Ok(Scenario {
        steps,
        deviation: None,
        twin: Some(Twin {
            fault: fault.id.clone(),
            verdict: fault.expected_verdict.verdict(),
            cause: fault.expected_cause.clone(),
            turns_red,
            environment,
            watch,
        }),
        ..scenario.clone()
    })
}

/// The first step that differs. One that stands further down in the scenario as well has come up
/// because something was left out.
fn watch(scenario: &Scenario, fault: &Fault, steps: &[Step]) -> Option<Watch> {
    let is_same = |a: &Step, b: &Step| {
        (&a.value, &a.table, &a.docstring) == (&b.value, &b.table, &b.docstring)
    };
    let own = &scenario.steps;
    let step = (0..steps.len()).find(|&n| own.get(n).is_none_or(|own| !is_same(own, &steps[n])))?;
    let is_put_in = own.iter().skip(step).all(|own| !is_same(own, &steps[step]));
    Some(Watch { step, is_put_in, within_ms: fault.detect_within_ms })
}

fn apply(edit: &Edit, steps: &mut Vec<Step>) -> Result<(), String> {
    let (Edit::Skip { at }
    | Edit::Replace { at, .. }
    | Edit::Before { at, .. }
    | Edit::After { at, .. }) = edit;
    let found = steps
        .iter()
        .position(|step| step.value == *at)
        .ok_or_else(|| format!("no step reads `{at}`, so it would never fire"))?;
    match edit {
        Edit::Skip { .. } => steps.retain(|step| step.value != *at),
        Edit::Replace { with, .. } => {
            let new = lines(with, &steps[found])?;
            steps.splice(found..=found, new);
        }
        Edit::Before { put, .. } => {
            let new = lines(put, &steps[found])?;
            steps.splice(found..found, new);
        }
        Edit::After { put, .. } => {
            let new = lines(put, &steps[found])?;
            steps.splice(found + 1..=found, new);
        }
    }
    Ok(())
}

/// Steps that act, in the place of another one, each with the table or doc string below it.
fn lines(text: &str, like: &Step) -> Result<Vec<Step>, String> {
    let mut steps = String::new();
    let mut is_doc = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let is_fence = line.starts_with("\"\"\"");
        let word = if is_doc || is_fence || line.starts_with('|') { "  " } else { "When " };
        let _ = writeln!(steps, "    {word}{line}");
        is_doc ^= is_fence;
    }
    let feature = format!("Feature: f\n  Scenario: s\n{steps}");
    let feature = gherkin::Feature::parse(feature, GherkinEnv::default())
        .map_err(|error| format!("its steps are no Gherkin: {error}"))?;
    let mut steps: Vec<Step> =
        feature.scenarios.into_iter().flat_map(|scenario| scenario.steps).collect();
    for step in &mut steps {
        step.position = like.position;
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Scenario {
        let text = "Feature: f\n  Scenario: s\n    Given a\n    When b\n    And c\n    Then b\n";
        crate::scenario::parse(text, "f.feature", "f").unwrap().remove(0)
    }

    fn watched(edits: Vec<Edit>) -> Option<(usize, bool)> {
        let mut fault = embedded().unwrap().remove(0);
        (fault.edits, fault.turns_red) = (edits, None);
        let twin = twin(&scenario(), &fault, EnvironmentKind::Simulated).unwrap().twin.unwrap();
        twin.watch.map(|watch| (watch.step, watch.is_put_in))
    }

    #[test]
    fn the_then_that_turns_red_is_one_line_and_of_several_it_is_said_which() {
        let text = "Feature: f\n  Scenario: s\n    Given x\n    Then x\n    When x\n    Then x y\n";
        let scenario = crate::scenario::parse(text, "f.feature", "f").unwrap().remove(0);
        let line = |part, nth| RedStep::find(&scenario, part, nth).map(|step| step.line);
        assert_eq!(
            (line("y", None), line("x", Some(1)), line("x", Some(2))),
            (Ok(6), Ok(4), Ok(6))
        );
        let several = line("x", None).unwrap_err();
        assert!(several.contains("lines [4, 6]"), "{several}");
        for (part, nth) in [("x", Some(3)), ("x", Some(0)), ("z", None), ("y", Some(2))] {
            assert!(line(part, nth).is_err(), "{part} {nth:?}");
        }
        let second = RedStep::find(&scenario, "x", Some(2)).unwrap();
        let decided = |line, text: &str| DecidingStep { line, text: text.to_owned() };
        assert!(second.is(Some(&decided(6, "Then x y"))));
        // The first of the same text, and what a fault put in at the same line.
        assert!(!second.is(Some(&decided(4, "Then x"))));
        assert!(!second.is(Some(&decided(6, "When z"))));
        assert!(!second.is(None));
    }

    #[test]
    fn a_cause_from_elsewhere_in_the_run_is_not_what_a_check_is_red_for() {
        use crate::verdict::{check, judge};
        let event = |seq: u64, cause: &str| -> crate::observation::ServerEvent {
            let json = format!(
                r#"{{"seq": {seq}, "kind": "call", "outcome": "refused",
                    "cause": "{cause}"}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        let judged = |failed: Check| {
            let mut log = crate::observation::ObservationLog::default();
            for seq in [(1, "unknown_issuer"), (2, "expired")] {
                let fact = Fact::Server(Box::new(event(seq.0, seq.1)));
                log.record(Default::default(), fact);
            }
            log.record(Default::default(), Fact::Problem(crate::error::Problem::harness("-")));
            let log = log.all().to_vec();
            let mut judgement = judge(&log);
            judgement.failed = Some(failed);
            ["unknown_issuer", "expired", "timeout"].map(|cause| is_for(cause, &judgement, &log))
        };
        let red = |observed: &str| check::equal("downtime", "nothing noticed", observed);
        // By its evidence, by what it observed, by its own cause; any of the run if it tells none.
        let rests_on_2 = Check { evidence: vec![2], ..red("refused") };
        assert_eq!(judged(rests_on_2), [false, true, false]);
        assert_eq!(judged(red("1 of 2 failed (1 expired)")), [false, true, false]);
        assert_eq!(judged(red("late").or(Cause::Timeout)), [false, false, true]);
        assert_eq!(judged(red("another")), [true, true, false]);
        // Not a word of its own.
        assert_eq!(judged(red("not_expired")), [true, true, false]);
    }

    #[test]
    fn the_first_step_that_a_fault_changes_is_watched() {
        let (a, b, c) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
        let new = || "x\ny".to_owned();
        let before = |at: &String| Edit::Before { at: at.clone(), put: new() };
        assert_eq!(watched(vec![before(&b)]), Some((1, true)));
        assert_eq!(watched(vec![Edit::After { at: a, put: new() }]), Some((1, true)));
        assert_eq!(watched(vec![Edit::Replace { at: c.clone(), with: new() }]), Some((2, true)));
        assert_eq!(watched(vec![Edit::Skip { at: c.clone() }]), Some((2, false)));
        // In whatever order they are written down.
        assert_eq!(watched(vec![before(&c), Edit::Skip { at: b.clone() }]), Some((1, true)));
        assert_eq!(watched(vec![Edit::Skip { at: c }, before(&b)]), Some((1, true)));
    }
}
