//! The steps of a scenario and what became of each. Pure.

use crate::observation::Fact;
use crate::run::ScenarioResult;
use crate::verdict::Verdict;
use serde::Serialize;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// Its line in the feature file.
    pub line: usize,
    /// `Given`, `When`, `Then`, `And`, `But`.
    pub keyword: String,
    /// Its text.
    pub text: String,
    /// The table or doc string below it, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// When it began, in milliseconds of the scenario's clock from its start; `None` if it did not.
    pub at_ms: Option<f64>,
    /// How long it took by that clock.
    pub took_ms: Option<f64>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was run, and what it compared held.
    Passed,
    /// What it compared did not hold.
    Failed,
    /// It is why the scenario proves nothing.
    Invalid,
    /// This environment cannot run it.
    NotApplicable,
    /// The scenario ended before it.
    NotRun,
}

/// The steps of a scenario.
pub fn of(result: &ScenarioResult) -> Vec<StepRecord> {
    let started = result.started.micros();
    let mut ran = Vec::new();
    for observation in &result.log {
        let at = (observation.time.micros() - started) as f64 / 1000.0;
        match &observation.fact {
            Fact::Step(_) => ran.push((at, at)),
            _ => {
                if let Some((_, end)) = ran.last_mut() {
                    *end = at;
                }
            }
        }
    }
    let mut steps: Vec<_> = result
        .scenario
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let time = ran.get(index);
            StepRecord {
                line: step.position.line,
                keyword: step.keyword.trim().to_owned(),
                text: result.secrets.hidden(&step.value),
                argument: argument(step).map(|text| result.secrets.hidden(&text)),
                outcome: if time.is_some() { Outcome::Passed } else { Outcome::NotRun },
                at_ms: time.map(|(from, _)| *from),
                took_ms: time.map(|(from, until)| until - from),
            }
        })
        .collect();
    if let (Some(outcome), Some(step)) =
        (outcome(result.judgement.verdict), deciding(result).and_then(|n| steps.get_mut(n)))
    {
        step.outcome = outcome;
    }
    steps
}

fn argument(step: &gherkin::Step) -> Option<String> {
    let row = |row: &Vec<String>| format!("| {} |", row.join(" | "));
    let table = || {
        let rows = step.table.as_ref()?.rows.iter().map(row);
        Some(rows.collect::<Vec<_>>().join("\n"))
    };
    step.docstring.as_ref().map(|doc| doc.trim_matches('\n').to_owned()).or_else(table)
}

fn outcome(verdict: Verdict) -> Option<Outcome> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Fail => Some(Outcome::Failed),
        Verdict::Invalid => Some(Outcome::Invalid),
        Verdict::NotApplicable => Some(Outcome::NotApplicable),
    }
}

/// The index of the step that the judgement names. A fault may put a step in twice: the last one of
/// its text that was run decided.
fn deciding(result: &ScenarioResult) -> Option<usize> {
    let decided = result.judgement.step.as_ref()?;
    let mut begun = 0;
    let mut found = None;
    for observation in &result.log {
        if let Fact::Step(step) = &observation.fact {
            if observation.line == decided.line
                && format!("{} {}", step.keyword, step.text) == decided.text
            {
                found = Some(begun);
            }
            begun += 1;
        }
    }
    found
}
