//! Runs scenarios side by side: each in its own runtime on its own thread, each with its own
//! Kingdom; nothing of one ever reaches another.

use crate::environment::EnvironmentKind;
use crate::error::{Owner, Problem};
use crate::observation::{Fact, Observation, StepFact};
use crate::report::evidence::Secrets;
use crate::scenario::{CUTOVER, ROTATION, Scenario};
use crate::steps::Registry;
use crate::twins;
use crate::verdict::detection::{self, Detection};
use crate::verdict::{Claim, Judgement, Verdict, deadness, judge, judge_change};
use crate::world::{Hooks, Seeds, Stop, World};
use fake_kingdom::audit::Head;
use fake_kingdom::model::Timestamp;
use fake_kingdom::quirk::Quirk;
use fake_kingdom::seam::entropy::Seed;
use futures::FutureExt as _;
use gherkin::StepType;
use rand_core::RngCore as _;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest that one step may take, in the scenario's own time.
const STEP_PATIENCE: Duration = Duration::from_secs(120);

/// What a run is started with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where.
    pub environment: EnvironmentKind,
    /// Root of all randomness.
    pub seed: Seed,
    /// How many scenarios at once.
    pub jobs: usize,
    /// A quirk in which the fake does the opposite of what each scenario asks for: a seeded
    /// deviation, by which scenarios show that they would see one. `None` in a run that judges.
    pub deviation: Option<Quirk>,
    /// The user's own commands for phases of procedures. Twins run without: they show what the
    /// harness sees, not what the commands do.
    pub hooks: Hooks,
}

/// One scenario's result.
#[derive(Clone, Debug)]
pub struct ScenarioResult {
    /// The scenario.
    pub scenario: Scenario,
    /// When it began, by its own clock.
    pub started: Timestamp,
    /// When it ended, by its own clock as far as that runs by itself.
    pub finished: Timestamp,
    /// What it proves.
    pub judgement: Judgement,
    /// Everything that was observed.
    pub log: Vec<Observation>,
    /// What its Kingdom's audit trail ended with, if it had one.
    pub audit_head: Option<Head>,
    /// How soon the probes of a twin saw what it broke, in simulation, where that has a time.
    pub detection: Option<Detection>,
    /// What its reports must not hold.
    pub secrets: Secrets,
    /// What the scenario calls the resources that it knows, by their names.
    pub names: BTreeMap<String, String>,
}

impl ScenarioResult {
    /// Whether the verdict is what was expected: for a scenario a pass, or that this environment
    /// cannot run it; for a negative twin the stated verdict, for the stated cause
    /// ([`twins::is_for`]), at the stated `Then`, and where that is measured as soon as stated.
    pub fn as_expected(&self) -> bool {
        let judgement = &self.judgement;
        let Some(twin) = self.scenario.expected() else {
            return matches!(judgement.verdict, Verdict::Pass | Verdict::NotApplicable);
        };
        judgement.verdict == twin.verdict
            && twins::is_for(&twin.cause, judgement, &self.log)
            && twin.turns_red.as_ref().is_none_or(|step| step.is(judgement.step.as_ref()))
            && self.detection.is_none_or(|detection| detection.is_in_time())
    }
}

/// What a run tells while it goes on.
pub enum Progress {
    /// A scenario ended.
    Finished(Box<ScenarioResult>),
    /// The user broke the run off.
    Interrupted,
}

/// Runs all scenarios and hands each result to `each` as it comes; answers them in the order given.
/// What an interruption keeps from running is INVALID.
pub fn run(
    plan: &Plan,
    scenarios: Vec<Scenario>,
    interrupt: impl FnOnce(mpsc::Sender<Progress>),
    mut each: impl FnMut(&ScenarioResult),
) -> Vec<ScenarioResult> {
    let registry = match Registry::new() {
        Ok(registry) => Arc::new(registry),
        Err(problem) => {
            let unable = |scenario| stillborn(scenario, problem.clone());
            return scenarios.into_iter().map(unable).collect();
        }
    };
    let (sender, results) = mpsc::channel();
    let mut queue: Vec<_> = scenarios.clone();
    // What waits longest goes first, so that nothing is waited for alone at the end; twins that run
    // elsewhere wait in no real time, and come last.
    queue.sort_by_key(|scenario| {
        let is_elsewhere =
            scenario.twin.as_ref().is_some_and(|twin| twin.environment != plan.environment);
        (is_elsewhere, std::cmp::Reverse(scenario.waits_ms()))
    });
    let queue = VecDeque::from(queue);
    let labels = scenarios.iter().map(Scenario::label);
    let order: BTreeMap<String, usize> = labels.zip(0..).collect();
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..plan.jobs.min(scenarios.len()).max(1) {
        let (queue, sender, plan) = (queue.clone(), sender.clone(), plan.clone());
        let registry = registry.clone();
        std::thread::spawn(move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(scenario) = next else { return };
                let result = run_one(&plan, &registry, scenario);
                if sender.send(Progress::Finished(Box::new(result))).is_err() {
                    return;
                }
            }
        });
    }
    interrupt(sender);

    let mut done = Vec::new();
    while done.len() < scenarios.len() {
        match results.recv() {
            Ok(Progress::Finished(result)) => {
                each(&result);
                done.push(*result);
            }
            // Nobody waits for what is still running: the process is about to end.
            Ok(Progress::Interrupted) | Err(_) => break,
        }
    }
    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let finished: BTreeSet<_> = done.iter().map(|result| result.scenario.label()).collect();
    for scenario in scenarios {
        if !finished.contains(&scenario.label()) {
            done.push(stillborn(scenario, Problem::interrupted()));
        }
    }
    done.sort_by_cached_key(|result| order.get(&result.scenario.label()).copied());
    done
}

/// Runs one scenario on this thread.
pub fn run_one(plan: &Plan, registry: &Registry, scenario: Scenario) -> ScenarioResult {
    // A twin may run in another world than its scenario: what it shows is the same in each.
    let environment = scenario.twin.as_ref().map_or(plan.environment, |twin| twin.environment);
    let runtime = match environment.runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = Problem::environment(format!("no runtime: {error}"), "free resources");
            return stillborn(scenario, problem);
        }
    };
    let seed = |purpose: &str| Seed::new(plan.seed.child(purpose).next_u64());
    let seeds =
        Seeds { scenario: seed(&format!("scenario/{}", scenario.id)), sandbox: seed("sandbox") };
    let result = runtime.block_on(async {
        let mut world = World::new(environment, seeds, plan.deviation);
        if scenario.twin.is_none() {
            world.set_hooks(plan.hooks.clone());
        }
        let claim = |tag: &String| match tag.as_str() {
            ROTATION => Some(Claim::Rotation),
            CUTOVER => Some(Claim::Cutover),
            _ => None,
        };
        let claims: Vec<_> = scenario.tags.iter().filter_map(claim).collect();
        world.claims_change = !claims.is_empty();
        let started = world.clock().now();
        play(&mut world, registry, &scenario).await;
        world.note_alerts();
        world.note_present();
        if !claims.is_empty() {
            world.note_readings();
        }
        let audit_head = world.audit_head();
        let finished = world.clock().now();
        let log = world.log.take();
        let judgement = if claims.is_empty() { judge(&log) } else { judge_change(&claims, &log) };
        let secrets = world.secrets();
        let names = world.names();
        // On a real clock a busy machine would be what is measured.
        let watched = scenario.twin.as_ref().filter(|_| environment == EnvironmentKind::Simulated);
        let detection =
            watched.and_then(|twin| detection::of(&log, &judgement, twin.watch?, &twin.cause));
        ScenarioResult {
            judgement,
            scenario,
            started,
            finished,
            log,
            audit_head,
            detection,
            secrets,
            names,
        }
    });
    runtime.shutdown_background();
    result
}

/// Plays the steps until one stops the scenario; everything is in the world's log afterwards.
async fn play(world: &mut World, registry: &Registry, scenario: &Scenario) {
    if scenario.steps.len() == scenario.background_steps {
        let problem = Problem::author("the scenario has no steps", "write some, or remove it");
        world.record(Fact::Problem(problem));
        return;
    }
    for (index, step) in scenario.steps.iter().enumerate() {
        world.log.at_line(step.position.line);
        world.record(Fact::Step(StepFact {
            keyword: step.keyword.trim().to_owned(),
            text: step.value.clone(),
            is_then: step.ty == StepType::Then,
            is_background: index < scenario.background_steps,
        }));
        let outcome = match registry.find(step) {
            Err(no_match) => Err(no_match.into()),
            Ok((definition, arguments)) => {
                let body = AssertUnwindSafe((definition.run)(world, &arguments)).catch_unwind();
                match tokio::time::timeout(STEP_PATIENCE, body).await {
                    // A table or doc string that no step reads is a check that nobody makes.
                    Ok(Ok(outcome)) => outcome.map(|()| arguments.unused()),
                    Ok(Err(panic)) => Err(Stop::Problem(Problem::harness(panic_text(&*panic)))),
                    Err(_) => Err(Stop::Problem(Problem::harness(format!(
                        "the step did not end within {} s",
                        STEP_PATIENCE.as_secs()
                    )))),
                }
            }
        };
        let outcome = match outcome {
            Ok(unused) => unused.map_or(Ok(()), |problem| Err(Stop::Problem(problem))),
            Err(stop) => Err(stop),
        };
        match outcome {
            Ok(()) => {
                if step.ty == StepType::Then {
                    world.look();
                }
                let looked = world.look_at_dead_keys().await;
                if let Err(problem) = looked.and(world.dress_probes().await) {
                    world.record(Fact::Problem(problem));
                    return;
                }
                world.record(Fact::StepDone);
            }
            Err(Stop::Failed) => return,
            Err(Stop::Problem(problem)) => {
                world.record(Fact::Problem(problem));
                return;
            }
        }
    }
    // Probes that the scenario leaves running are stopped, and what they noticed is judged like the rest.
    if world.is_probing()
        && let Err(problem) = world.stop_probes().await
    {
        world.record(Fact::Problem(problem));
        return;
    }
    // A rule that only the last look would set off shows nothing of the scenario.
    let unfired = world.fault_that_never_fired();
    let looked = world.look_at_dead_tls().await;
    let looked = looked.and(crate::steps::look_at_dead_to_peers(world).await);
    world.note_revivals();
    let overheard = world.overhear();
    // What works again counts before what shows neither.
    let looked = looked.or_else(|problem| match deadness::revived(world.log.all()) {
        Some(_) => Ok(()),
        None => Err(problem),
    });
    let looked = looked.and(overheard);
    // What hit nothing before that look is why the look met it.
    match unfired.or(looked.err()) {
        Some(problem) => world.record(Fact::Problem(problem)),
        None => world.record(Fact::Finished),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a step panicked: {}", text.unwrap_or("no text"))
}

/// The result of a scenario that could not even begin.
fn stillborn(scenario: Scenario, problem: Problem) -> ScenarioResult {
    let mut log = crate::observation::ObservationLog::default();
    log.record(Timestamp::default(), Fact::Problem(problem));
    let log = log.all().to_vec();
    ScenarioResult {
        judgement: judge(&log),
        scenario,
        started: Timestamp::default(),
        finished: Timestamp::default(),
        log,
        audit_head: None,
        detection: None,
        secrets: Secrets::default(),
        names: BTreeMap::new(),
    }
}

/// The exit codes of `run` (interfaces.md section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All as expected.
    Passed = 0,
    /// The subject failed.
    SubjectFailed = 1,
    /// Usage, or a scenario file that is wrong.
    Usage = 2,
    /// INVALID, or nothing ran.
    Invalid = 3,
    /// The harness or the environment failed.
    HarnessFailed = 4,
}

/// The verdict over a whole run: one that was broken off proves nothing (interfaces.md section 4);
/// else a failure outweighs what proves nothing, and a run without a single proof proves nothing.
pub fn overall(judgements: &[&Judgement]) -> Verdict {
    let any = |verdict| judgements.iter().any(|judgement| judgement.verdict == verdict);
    if is_interrupted(judgements) {
        Verdict::Invalid
    } else if any(Verdict::Fail) {
        Verdict::Fail
    } else if any(Verdict::Invalid) || !any(Verdict::Pass) {
        Verdict::Invalid
    } else {
        Verdict::Pass
    }
}

fn is_interrupted(judgements: &[&Judgement]) -> bool {
    judgements.iter().any(|judgement| judgement.owner == Some(Owner::User))
}

/// The exit code of a run over its scenarios and their twins. A twin that did not turn red as stated
/// shows that the harness would miss a fault: then nothing it says counts.
pub fn exit_of(results: &[ScenarioResult]) -> Exit {
    let own = own(results);
    let own: Vec<_> = own.iter().collect();
    let blind =
        results.iter().any(|result| result.scenario.twin.is_some() && !result.as_expected());
    match exit(&own) {
        Exit::Passed if blind => Exit::HarnessFailed,
        code => code,
    }
}

/// The judgements of the scenarios themselves. A known deviation counts as a pass while it is what is
/// written down, and as a failure the day it is not.
fn own(results: &[ScenarioResult]) -> Vec<Judgement> {
    let of = |result: &ScenarioResult| {
        let verdict = match (&result.scenario.deviation, result.as_expected()) {
            (Some(_), true) => Verdict::Pass,
            (Some(_), false) if result.judgement.verdict == Verdict::Pass => Verdict::Fail,
            _ => result.judgement.verdict,
        };
        Judgement { verdict, ..result.judgement.clone() }
    };
    results.iter().filter(|result| result.scenario.twin.is_none()).map(of).collect()
}

/// The verdict over a run with its twins.
pub fn verdict_of(results: &[ScenarioResult]) -> Verdict {
    let own = own(results);
    let own: Vec<_> = own.iter().collect();
    match overall(&own) {
        Verdict::Pass if exit_of(results) != Exit::Passed => Verdict::Invalid,
        verdict => verdict,
    }
}

/// The exit code of a run. One that was broken off is INVALID; else a subject's failure is a finding
/// whatever else went wrong; then a fault of harness or environment, then any other INVALID.
pub fn exit(judgements: &[&Judgement]) -> Exit {
    let ours = judgements.iter().any(|judgement| {
        judgement.verdict == Verdict::Invalid
            && matches!(judgement.owner, Some(Owner::Harness | Owner::Environment))
    });
    match overall(judgements) {
        Verdict::Pass => Exit::Passed,
        Verdict::Fail => Exit::SubjectFailed,
        _ if is_interrupted(judgements) => Exit::Invalid,
        Verdict::Invalid | Verdict::NotApplicable if ours => Exit::HarnessFailed,
        Verdict::Invalid | Verdict::NotApplicable => Exit::Invalid,
    }
}
