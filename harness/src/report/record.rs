//! `run.json`, schema `halo-harness/run/1` (interfaces.md section 4).

use super::evidence::{self, Evidence};
use super::steps::{self, StepRecord};
use super::timeline::{self, Timeline};
use crate::environment::EnvironmentKind;
use crate::impact::Assessment;
use crate::observation::{Alert, Fact};
use crate::procedure::PhaseRecord;
use crate::run::ScenarioResult;
use crate::verdict::Verdict;
use crate::verdict::availability::{self, ControlReport, LaneReport};
use crate::verdict::credentials::{self, CredentialChange, PerRotation};
use crate::verdict::deadness::{self, Deadness};
use crate::verdict::detection::Detection;
use fake_kingdom::audit::Head;
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, thread};

/// The schema's name and version.
pub const SCHEMA: &str = "halo-harness/run/1";

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The program.
    pub tool: Tool,
    /// Name of the environment.
    pub environment: &'static str,
    /// The root seed, by which the run repeats.
    pub seed: u64,
    /// RFC 3339; virtual in simulation.
    pub started: String,
    /// RFC 3339; virtual in simulation.
    pub finished: String,
    /// Over all scenarios.
    pub verdict: Verdict,
    /// The audit trail's head, if just one Kingdom ran; else each scenario has its own.
    pub audit_head: Option<Head>,
    /// In the order of their files.
    pub scenarios: Vec<ScenarioRecord>,
    /// Over the scenarios, twins left out, that rotated a leaf and asked whether anybody noticed; each is
    /// an experiment of its own (method.md section 2, item 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_rotation: Option<PerRotation>,
    /// Sums.
    pub totals: Totals,
    /// The command line that repeats the run, for a shell.
    pub replay: Option<String>,
    /// With `--fault`: the red itself was asked for, so nothing is fine because it was expected.
    pub shows_red: bool,
}

impl Run {
    /// The record of a run with `--fault`: its verdict is the raw one.
    pub fn show_red(&mut self, results: &[ScenarioResult]) {
        let judgements: Vec<_> = results.iter().map(|result| &result.judgement).collect();
        self.verdict = crate::run::overall(&judgements);
        self.shows_red = true;
    }

    /// Whether a scenario needs nobody's attention.
    pub fn is_fine(&self, scenario: &ScenarioRecord) -> bool {
        match scenario.verdict {
            Verdict::Pass => scenario.fault.is_none() || (scenario.as_expected && !self.shows_red),
            Verdict::NotApplicable => scenario.fault.is_none(),
            Verdict::Fail | Verdict::Invalid => scenario.as_expected && !self.shows_red,
        }
    }

    /// Notes how the run is repeated: the whole of it, and each scenario by `of_scenario`, a command
    /// line to which the scenario's id is added.
    pub fn replayed_by(&mut self, whole: String, of_scenario: &str) {
        for scenario in &mut self.scenarios {
            let fault = scenario.fault.as_ref().map(|fault| format!(" --fault {fault}"));
            scenario.replay = Some(format!(
                "{of_scenario} --scenario {}{}",
                scenario.id,
                fault.unwrap_or_default()
            ));
        }
        self.replay = Some(whole);
    }
}

/// The program that ran.
#[derive(Clone, Debug, Serialize)]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// SHA-256 of its executable, lower-case hex.
    pub digest: String,
}

/// One scenario of a run.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioRecord {
    /// Stable id.
    pub id: String,
    /// The raw judgement.
    pub verdict: Verdict,
    /// Whether that is what was expected.
    pub as_expected: bool,
    /// The fault of a negative twin.
    pub fault: Option<String>,
    /// What a negative twin expects.
    pub expected: Option<Expected>,
    /// How soon the probes of a negative twin saw what it broke; only in simulation, and only where the
    /// red has a time of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<Detection>,
    /// Cause codes that the server recorded for the scenario's own calls.
    pub causes: Vec<String>,
    /// Clauses that it cites.
    pub clauses: Vec<String>,
    /// Why, unless it is a pass.
    pub reason: Option<String>,
    /// Phases of a procedure.
    pub phases: Vec<PhaseRecord>,
    /// Credentials before and after.
    pub credentials: Vec<CredentialChange>,
    /// Probe lanes.
    pub lanes: Vec<LaneReport>,
    /// The negative control.
    pub control: Option<ControlReport>,
    /// Alerts that the monitor raised, and by what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Proof that old credentials are dead.
    pub deadness: Vec<Deadness>,
    /// What stolen credentials have touched, and what to do about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub impact: Vec<Assessment>,
    /// What the scenario calls the resources of its assessments, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// Bound over many rotations.
    pub per_rotation: Option<PerRotation>,
    /// What was found, with evidence.
    pub findings: Vec<Finding>,
    /// Where it stands: `file:line` of the step that decided, else of the scenario.
    pub place: String,
    /// What its own Kingdom's audit trail ended with.
    pub audit_head: Option<Head>,
    /// Its feature's name and its own.
    pub name: String,
    /// When it began by its own clock; RFC 3339.
    pub started: String,
    /// Its steps, and what became of each.
    pub steps: Vec<StepRecord>,
    /// Its runs of probes over time.
    pub timelines: Vec<Timeline>,
    /// The server's events and the failed probes that show what went wrong.
    pub evidence: Evidence,
    /// The command line that repeats it, for a shell.
    pub replay: Option<String>,
}

/// Expected verdict and cause of a negative twin.
#[derive(Clone, Debug, Serialize)]
pub struct Expected {
    /// The verdict.
    pub verdict: Verdict,
    /// The cause code.
    pub cause: Option<String>,
}

/// Something found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `expectation_not_met`, or whose fault it is.
    pub code: String,
    /// The first clause that the scenario cites.
    pub clause: Option<String>,
    /// In words.
    pub text: String,
    /// Numbers of the server's events.
    pub evidence: Vec<u64>,
}

/// Sums over the scenarios; a negative twin counts as a scenario too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "named as in interfaces.md")]
pub struct Totals {
    pub scenarios: usize,
    pub pass: usize,
    pub fail: usize,
    pub invalid: usize,
    pub not_applicable: usize,
    pub unexpected: usize,
    pub twins: usize,
}

/// Makes the record of a run.
pub fn make(
    tool: Tool,
    environment: EnvironmentKind,
    seed: u64,
    (started, finished): (String, String),
    results: &[ScenarioResult],
) -> Run {
    let scenarios = all(results);
    let own = results
        .iter()
        .filter(|result| result.scenario.twin.is_none() && result.scenario.deviation.is_none());
    let heads: Vec<_> = results.iter().filter_map(|result| result.audit_head.clone()).collect();
    let count = |verdict| scenarios.iter().filter(|s| s.verdict == verdict).count();
    let totals = Totals {
        scenarios: scenarios.len(),
        pass: count(Verdict::Pass),
        fail: count(Verdict::Fail),
        invalid: count(Verdict::Invalid),
        not_applicable: count(Verdict::NotApplicable),
        unexpected: scenarios.iter().filter(|s| !s.as_expected).count(),
        twins: results.iter().filter(|result| result.scenario.twin.is_some()).count(),
    };
    Run {
        schema: SCHEMA,
        tool,
        environment: environment.name(),
        seed,
        started,
        finished,
        verdict: crate::run::verdict_of(results),
        audit_head: match heads.as_slice() {
            [head] => Some(head.clone()),
            _ => None,
        },
        scenarios,
        per_rotation: credentials::over_scenarios(
            own.map(|result| (result.log.as_slice(), result.judgement.verdict)),
        ),
        totals,
        replay: None,
        shows_red: false,
    }
}

/// The records of the scenarios, in the order given, made by all processors: nobody but the user
/// waits for them.
fn all(results: &[ScenarioResult]) -> Vec<ScenarioRecord> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let take = || {
        let mut taken = Vec::new();
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(result) = results.get(index)
        {
            taken.push((index, scenario(result)));
        }
        taken
    };
    let mut records = thread::scope(|scope| {
        let others: Vec<_> = (1..processors).map(|_| scope.spawn(take)).collect();
        let mut records = take();
        for other in others {
            records.extend(other.join().unwrap_or_else(|panic| panic::resume_unwind(panic)));
        }
        records
    });
    records.sort_unstable_by_key(|(index, _)| *index);
    records.into_iter().map(|(_, record)| record).collect()
}

fn scenario(result: &ScenarioResult) -> ScenarioRecord {
    let judgement = &result.judgement;
    let reason = judgement.reason.as_deref().map(|reason| result.secrets.hidden(reason));
    // That it came too late is what is wrong with such a twin, not what the check says.
    let too_late = result.detection.and_then(|detection| detection.too_late());
    let reason = match (too_late, reason) {
        (Some(too_late), reason) => Some(format!("{too_late}; {}", reason.unwrap_or_default())),
        (None, reason) => reason,
    };
    let clauses = result.scenario.clauses();
    let runs: Vec<_> = result
        .log
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Probes(run) => Some(&**run),
            _ => None,
        })
        .collect();
    let judged: Vec<_> = runs.iter().map(|run| availability::judge(run)).collect();
    let failure = reason.iter().map(|reason| Finding {
        code: match judgement.verdict {
            Verdict::Fail => "expectation_not_met".to_owned(),
            _ => judgement
                .owner
                .map_or_else(String::new, |owner| owner.to_string().replace(' ', "_")),
        },
        clause: clauses.first().cloned(),
        text: reason.clone(),
        evidence: judgement.failed.iter().flat_map(|check| check.evidence.clone()).collect(),
    });
    let found = result.log.iter().filter_map(|observation| match &observation.fact {
        Fact::Finding(finding) => Some(Finding {
            code: finding.code.clone(),
            clause: Some(finding.clause.clone()),
            text: result.secrets.hidden(&finding.text),
            evidence: finding.evidence.clone(),
        }),
        _ => None,
    });
    let findings: Vec<_> = failure.chain(found).collect();
    ScenarioRecord {
        id: result.scenario.id.clone(),
        verdict: judgement.verdict,
        as_expected: result.as_expected(),
        fault: result.scenario.twin.as_ref().map(|twin| twin.fault.clone()),
        expected: result
            .scenario
            .expected()
            .map(|twin| Expected { verdict: twin.verdict, cause: Some(twin.cause.clone()) }),
        detection: result.detection,
        causes: judgement.causes.clone(),
        clauses,
        reason,
        phases: result
            .log
            .iter()
            .filter_map(|observation| match &observation.fact {
                Fact::Phase(phase) => Some((**phase).clone()),
                _ => None,
            })
            .collect(),
        credentials: credentials::of_log(&result.log),
        lanes: judged.iter().flat_map(|judged| judged.lanes.clone()).collect(),
        control: judged.iter().find_map(|judged| judged.control),
        deadness: deadness::of(&result.log),
        impact: result
            .log
            .iter()
            .filter_map(|observation| match &observation.fact {
                Fact::Impact(assessment) => Some((**assessment).clone()),
                _ => None,
            })
            .collect(),
        alerts: result
            .log
            .iter()
            .filter_map(|observation| match &observation.fact {
                Fact::Alert(alert) => Some((**alert).clone()),
                _ => None,
            })
            .collect(),
        names: names(result),
        per_rotation: credentials::per_rotation(&result.log),
        evidence: evidence::of(result, &findings),
        findings,
        place: place(result),
        audit_head: result.audit_head.clone(),
        name: format!("{}: {}", result.scenario.feature, result.scenario.name),
        started: result.started.to_string(),
        steps: steps::of(result),
        timelines: timelines(result),
        replay: None,
    }
}

/// What the scenario calls what its assessments name.
fn names(result: &ScenarioResult) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for observation in &result.log {
        let Fact::Impact(assessment) = &observation.fact else { continue };
        let affected = assessment.affected.iter().map(|one| &one.name);
        let planned = assessment.plan.iter().flat_map(|action| [&action.who, &action.subject]);
        let all = affected.chain(planned).chain([&assessment.subject.name]);
        names.extend(
            all.filter_map(|name| result.names.get_key_value(name))
                .map(|(name, called)| (name.clone(), called.clone())),
        );
    }
    names
}

fn timelines(result: &ScenarioResult) -> Vec<Timeline> {
    let mut timelines = timeline::of(&result.log);
    for mark in timelines.iter_mut().flat_map(|timeline| &mut timeline.marks) {
        mark.text = result.secrets.hidden(&mark.text);
    }
    timelines
}

/// `file:line` of the step that decided, else of the scenario.
pub fn place(result: &ScenarioResult) -> String {
    match &result.judgement.step {
        Some(step) if result.judgement.verdict != Verdict::Pass => {
            format!("{}:{}", result.scenario.file, step.line)
        }
        _ => result.scenario.place(),
    }
}

/// The record as JSON, ending in a newline.
///
/// # Errors
/// Never: the record has no map with other keys than text.
pub fn to_json(run: &Run) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(run).map(|json| json + "\n")
}
