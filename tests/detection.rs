//! The scenarios see a Kingdom that behaves otherwise: with one quirk doing the opposite of what each
//! scenario asks for, a scenario of that quirk's clauses turns red; without, all are green.

use fake_kingdom::quirk::Quirk;
use fake_kingdom::seam::entropy::Seed;
use halo_harness::environment::EnvironmentKind;
use halo_harness::observation::Fact;
use halo_harness::run::{Plan, ScenarioResult, run};
use halo_harness::scenario::{Scenario, embedded};
use halo_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The scenarios whose tags name one of the quirk's clauses.
fn of_clauses(quirk: Quirk) -> Vec<Scenario> {
    let clauses: Vec<_> = quirk.clause().split(", ").collect();
    let named = |scenario: &Scenario| {
        scenario
            .clauses()
            .iter()
            .any(|tag| clauses.contains(&tag.split('/').next().unwrap_or_default()))
    };
    embedded().expect("the embedded scenarios parse").into_iter().filter(named).collect()
}

/// Each scenario's verdict, and whether one of its own comparisons decided it: a set-up that no longer
/// works is no detection.
fn verdicts(
    scenarios: Vec<Scenario>,
    deviation: Option<Quirk>,
) -> BTreeMap<String, (Verdict, bool)> {
    let plan = Plan {
        environment: EnvironmentKind::Simulated,
        seed: Seed::new(5),
        jobs: 2,
        deviation,
        hooks: Default::default(),
    };
    let results = run(&plan, scenarios, |_| {}, |_| {});
    let decided_by_then = |result: &ScenarioResult| {
        let step = result.log.iter().rev().find_map(|observation| match &observation.fact {
            Fact::Step(step) => Some(step.is_then),
            _ => None,
        });
        step.unwrap_or(false)
    };
    results
        .into_iter()
        .map(|result| {
            let seen = (result.judgement.verdict, decided_by_then(&result));
            (result.scenario.id, seen)
        })
        .collect()
}

#[test]
fn a_quirk_that_does_the_opposite_turns_a_scenario_of_its_clauses_red() {
    let mut unseen = String::new();
    for &quirk in Quirk::ALL {
        let scenarios = of_clauses(quirk);
        let faithful = verdicts(scenarios.clone(), None);
        let red: Vec<_> = faithful.iter().filter(|(_, seen)| seen.0 != Verdict::Pass).collect();
        assert!(red.is_empty(), "{quirk}: not green to begin with: {red:?}");
        let switched = verdicts(scenarios, Some(quirk));
        if !switched.values().any(|seen| *seen == (Verdict::Fail, true)) {
            let _ = writeln!(unseen, "{quirk}: {} scenarios, none turned red", switched.len());
        }
    }
    assert!(unseen.is_empty(), "{unseen}");
}

/// The scenarios that ask for a quirk by name, in the setting they name it in.
fn asking(quirk: Quirk, setting: &str) -> Vec<Scenario> {
    let step = format!("the quirk {quirk} is {setting}");
    let asks = |scenario: &Scenario| scenario.steps.iter().any(|s| s.value == step);
    embedded().expect("the embedded scenarios parse").into_iter().filter(asks).collect()
}

#[test]
fn a_scenario_that_asks_for_the_documented_setting_turns_red_without_it() {
    let mut unseen = String::new();
    for &quirk in Quirk::ALL {
        let documented = asking(quirk, "as-documented");
        if documented.is_empty() {
            let _ = writeln!(unseen, "{quirk}: no scenario asks for it as documented");
            continue;
        }
        let switched = verdicts(documented, Some(quirk));
        if !switched.values().any(|seen| *seen == (Verdict::Fail, true)) {
            let _ =
                writeln!(unseen, "{quirk}: as documented or not is all the same to {switched:?}");
        }
    }
    assert!(unseen.is_empty(), "{unseen}");
}
