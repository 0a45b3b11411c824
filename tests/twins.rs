//! Every rehearsed procedure has negative twins, and every one of its checks a twin that turns it red
//! (`scenarios/faults.toml`). That each is red as stated is what `halo-harness run` shows.

use gherkin::StepType;
use halo_harness::scenario::{Scenario, embedded};
use halo_harness::twins::{self, Edit, Fault, RedStep};
use std::fmt::Write as _;

/// Folders of scenarios that rehearse a procedure.
const REHEARSED: [&str; 4] = ["rotation/", "cutover/", "revocation/", "compromise/"];

fn rehearsed() -> Vec<Scenario> {
    let all = embedded().expect("the embedded scenarios parse");
    all.into_iter().filter(|s| REHEARSED.iter().any(|folder| s.id.starts_with(folder))).collect()
}

fn faults() -> Vec<Fault> {
    twins::embedded().expect("faults.toml is right")
}

#[test]
fn every_fault_names_scenarios_that_are_there() {
    let known: Vec<_> =
        embedded().expect("they parse").into_iter().map(|scenario| scenario.id).collect();
    for fault in faults() {
        for id in &fault.scenarios {
            assert!(known.contains(id), "fault {} names {id}, which is not there", fault.id);
        }
    }
}

#[test]
fn every_check_of_a_rehearsed_procedure_has_a_twin_that_turns_it_red() {
    let (mut scenarios, faults) = (rehearsed(), faults());
    // A known deviation is red itself.
    let deviations = halo_harness::deviations::embedded().expect("deviations.toml is right");
    scenarios.retain(|scenario| deviations.iter().all(|known| known.scenario != scenario.id));
    assert!(!scenarios.is_empty());
    let mut missing = String::new();
    for scenario in &scenarios {
        let own: Vec<_> = faults.iter().filter(|f| f.scenarios.contains(&scenario.id)).collect();
        for step in scenario.steps.iter().filter(|step| step.ty == StepType::Then) {
            // By its line: another `Then` may read the same.
            let line = step.position.line;
            let red = |fault: &&Fault| match fault.red_step(scenario) {
                Ok(red) => red.is_some_and(|red| red.line == line),
                Err(wrong) => panic!("fault {} on {}: {wrong}", fault.id, scenario.id),
            };
            if !own.iter().any(red) {
                let (id, text) = (&scenario.id, &step.value);
                let _ = writeln!(missing, "{id}: no twin turns line {line} red, `{text}`");
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

/// A status that the fake answers for everything breaks nothing that a procedure would break.
#[test]
fn blanket_status_faults_are_at_most_a_tenth_of_the_pairs() {
    let is_blanket = |edit: &Edit| match edit {
        Edit::Skip { .. } => false,
        Edit::Replace { with: text, .. }
        | Edit::Before { put: text, .. }
        | Edit::After { put: text, .. } => {
            text.contains(" fail with ") || text.contains(" fails with ")
        }
    };
    let (mut pairs, mut blanket) = (0, 0);
    for fault in faults() {
        pairs += fault.scenarios.len();
        if fault.edits.iter().any(is_blanket) {
            blanket += fault.scenarios.len();
        }
    }
    assert!(blanket * 10 <= pairs, "{blanket} of {pairs}");
}

#[test]
fn every_deviation_names_a_scenario_that_is_there() {
    let known: Vec<_> =
        embedded().expect("they parse").into_iter().map(|scenario| scenario.id).collect();
    for deviation in halo_harness::deviations::embedded().expect("deviations.toml is right") {
        assert!(known.contains(&deviation.scenario), "{}", deviation.scenario);
    }
}

#[test]
fn every_deviation_names_one_then_that_is_red() {
    let scenarios = embedded().expect("they parse");
    for known in halo_harness::deviations::embedded().expect("deviations.toml is right") {
        let of = scenarios.iter().find(|one| one.id == known.scenario).expect("it is there");
        let red = RedStep::find(of, &known.turns_red, known.turns_red_nth);
        assert!(red.is_ok(), "{}: {red:?}", known.scenario);
    }
}

#[test]
fn a_fault_whose_edit_finds_no_step_is_refused() {
    let scenario = rehearsed().into_iter().next().expect("one");
    let mut fault = faults().into_iter().next().expect("one");
    fault.edits = vec![Edit::Skip { at: "a step that is not there".to_owned() }];
    let environment = halo_harness::environment::EnvironmentKind::Simulated;
    let refused = twins::twin(&scenario, &fault, environment).expect_err("it would never fire");
    assert!(refused.to_string().contains("never fire"), "{refused}");
}
