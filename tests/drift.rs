//! The same scenarios in two environments give the same verdicts and causes (design.md section 3),
//! and one seed in simulation gives one record, byte for byte.

use fake_kingdom::seam::entropy::Seed;
use halo_harness::deviations;
use halo_harness::environment::EnvironmentKind;
use halo_harness::report::record::{self, Tool};
use halo_harness::run::{Plan, ScenarioResult, run};
use halo_harness::scenario::{Scenario, embedded};
use halo_harness::twins;
use halo_harness::verdict::Verdict;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// Probes on a fixed schedule want the processor: one test after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// What loopback cannot run, and why.
const SIMULATED_ONLY: &[(&str, &str)] =
    &[("rotation/schedule/a-year-of-a-fleet-of-eight", "a year needs virtual time")];

/// Folders of scenarios that have negative twins.
const REHEARSED: [&str; 4] = ["rotation/", "cutover/", "revocation/", "compromise/"];

/// Of the twins every third is run twice, and all of those whose Secret has a name with a hash in it.
const TWINS: usize = 3;
const ALL_TWINS: &str = "rotation/secret-delivery/";

const SEED: u64 = 2_100;

fn play(environment: EnvironmentKind, scenarios: Vec<Scenario>) -> Vec<ScenarioResult> {
    let plan = Plan {
        environment,
        seed: Seed::new(SEED),
        jobs: 2,
        deviation: None,
        hooks: Default::default(),
    };
    run(&plan, scenarios, |_| {}, |_| {})
}

fn results(environment: EnvironmentKind) -> Vec<ScenarioResult> {
    let mut scenarios = embedded().expect("the embedded scenarios parse");
    let known = deviations::embedded().expect("deviations.toml is right");
    deviations::expect(&mut scenarios, &known, environment);
    play(environment, scenarios)
}

#[test]
fn loopback_and_simulation_agree_on_every_verdict_and_cause() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let loopback = results(EnvironmentKind::Loopback);
    let simulated = results(EnvironmentKind::Simulated);
    assert!(loopback.len() > 250, "{} scenarios", loopback.len());
    assert_eq!(loopback.len(), simulated.len());
    let mut differences = String::new();
    for (one, other) in loopback.iter().zip(&simulated) {
        assert_eq!(one.scenario.id, other.scenario.id);
        if SIMULATED_ONLY.iter().any(|(id, _)| *id == one.scenario.id) {
            assert_eq!(one.judgement.verdict, Verdict::NotApplicable, "{}", one.scenario.id);
            assert_eq!(other.judgement.verdict, Verdict::Pass, "{}", one.scenario.id);
            continue;
        }
        let facts = |result: &ScenarioResult| {
            format!("{:?} {:?}", result.judgement.verdict, result.judgement.causes)
        };
        if facts(one) != facts(other) {
            let (one_facts, other_facts) = (facts(one), facts(other));
            let _ =
                writeln!(differences, "{}: {one_facts}, simulated {other_facts}", one.scenario.id);
        }
    }
    assert!(differences.is_empty(), "{differences}");
    let unexpected: Vec<_> = loopback
        .iter()
        .filter(|result| !result.as_expected())
        .map(|result| (&result.scenario.id, &result.judgement.reason))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[test]
fn one_seed_gives_one_observation_log() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let log = || -> Vec<String> {
        let lines = |result: ScenarioResult| {
            let id = result.scenario.id;
            result.log.into_iter().map(move |observation| format!("{id} {observation:?}"))
        };
        results(EnvironmentKind::Simulated).into_iter().flat_map(lines).collect()
    };
    let (first, second) = (log(), log());
    let mut differences = String::new();
    for (one, other) in first.iter().zip(&second).filter(|(one, other)| one != other).take(5) {
        let (one, other) = (around(one, other), around(other, one));
        let _ = writeln!(differences, "{one}\n    against\n{other}");
    }
    assert!(differences.is_empty(), "the first lines that differ:\n{differences}");
    assert_eq!(first.len(), second.len());
}

#[test]
fn one_seed_gives_one_run_json_with_what_the_twins_say() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let rehearsed = rehearsed_with_twins();
    let twins = rehearsed.iter().filter(|scenario| scenario.twin.is_some()).count();
    assert!(twins > 150, "{twins} twins");
    let (first, second) = (run_json(&rehearsed), run_json(&rehearsed));
    let mut scenario = "";
    let mut differences = String::new();
    for (one, other) in first.lines().zip(second.lines()) {
        if one.starts_with(ID) {
            scenario = one;
        }
        if one != other && differences.lines().count() < 20 {
            let (one, other) = (around(one, other), around(other, one));
            let _ = writeln!(differences, "{scenario}\n{one}\n    against\n{other}");
        }
    }
    assert!(differences.is_empty(), "the first lines that differ:\n{differences}");
    assert_eq!(first.lines().count(), second.lines().count());
    assert!(first.contains("(content 1), as before"), "no twin tells the name of a Secret");
}

/// How the record of a scenario begins in `run.json`.
const ID: &str = "      \"id\": ";

fn rehearsed_with_twins() -> Vec<Scenario> {
    let mut scenarios = embedded().expect("the embedded scenarios parse");
    scenarios.retain(|one| REHEARSED.iter().any(|folder| one.id.starts_with(folder)));
    let faults = twins::embedded().expect("faults.toml is right");
    let simulated = EnvironmentKind::Simulated;
    let twins = twins::of(&scenarios, &faults, simulated).expect("every edit finds its step");
    let chosen = twins
        .into_iter()
        .enumerate()
        .filter(|(index, twin)| index.is_multiple_of(TWINS) || twin.id.starts_with(ALL_TWINS));
    scenarios.extend(chosen.map(|(_, twin)| twin));
    scenarios
}

fn run_json(scenarios: &[Scenario]) -> String {
    let results = play(EnvironmentKind::Simulated, scenarios.to_vec());
    let times = |of: fn(&ScenarioResult) -> String| results.iter().map(of).max();
    let started = times(|result| result.started.to_string()).unwrap_or_default();
    let finished = times(|result| result.finished.to_string()).unwrap_or_default();
    let tool = Tool { version: String::new(), digest: String::new() };
    let times = (started, finished);
    let run = record::make(tool, EnvironmentKind::Simulated, SEED, times, &results);
    record::to_json(&run).expect("JSON")
}

/// Who speaks in a line of the record, and where it parts from another.
fn around(line: &str, other: &str) -> String {
    let parts = line.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let head: String = line.chars().take(150).collect();
    let difference: String = line.chars().skip(parts.saturating_sub(400)).take(800).collect();
    format!("{head} ... {difference}")
}
