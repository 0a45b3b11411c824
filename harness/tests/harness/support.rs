//! Runs feature text in simulation.

use fake_kingdom::seam::entropy::Seed;
use halo_harness::environment::EnvironmentKind;
use halo_harness::run::{Plan, ScenarioResult, run_one};
use halo_harness::scenario;
use halo_harness::steps::Registry;

pub(crate) fn plan() -> Plan {
    Plan {
        environment: EnvironmentKind::Simulated,
        seed: Seed::new(7),
        jobs: 1,
        deviation: None,
        hooks: Default::default(),
    }
}

/// Plays the steps as one scenario.
pub(crate) fn play(steps: &str) -> ScenarioResult {
    play_in(&plan(), steps)
}

pub(crate) fn play_in(plan: &Plan, steps: &str) -> ScenarioResult {
    play_tagged(plan, "", steps)
}

/// Plays the steps as one scenario with these tags.
pub(crate) fn play_tagged(plan: &Plan, tags: &str, steps: &str) -> ScenarioResult {
    // A tag on the feature's own line would be no tag, and one more line would shift the steps.
    let head = if tags.is_empty() { String::new() } else { format!("{tags}\n") };
    let text = format!("{head}Feature: f\n  Scenario: s\n{steps}\n");
    let mut scenarios = scenario::parse(&text, "f.feature", "f").unwrap();
    run_one(plan, &Registry::new().unwrap(), scenarios.remove(0))
}
