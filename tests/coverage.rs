//! Every numbered clause of the contract is held by something that ran and compared an expected value
//! (`scenarios/clauses.toml`, `halo_harness::coverage`).

use fake_kingdom::quirk::Quirk;
use fake_kingdom::seam::entropy::Seed;
use halo_harness::coverage::{self, CLAUSES_A_SCENARIO, Clause};
use halo_harness::environment::EnvironmentKind;
use halo_harness::quirk::PeerQuirk;
use halo_harness::run::{Plan, run};
use halo_harness::scenario::{Scenario, embedded};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Sections in which everything can be observed, so that no reason is taken.
const NO_EXCUSES: [&str; 6] = ["1.1", "1.2", "1.5", "1.6", "1.7", "2"];

fn clauses() -> Vec<Clause> {
    coverage::clauses().expect("clauses.toml is right")
}

fn scenarios() -> Vec<Scenario> {
    embedded().expect("the embedded scenarios parse")
}

/// The clauses of the scenarios that ran, passed and compared something.
fn held_by_scenarios() -> BTreeSet<String> {
    let plan = Plan {
        environment: EnvironmentKind::Simulated,
        seed: Seed::new(2_030),
        jobs: 2,
        deviation: None,
        hooks: Default::default(),
    };
    let results = run(&plan, scenarios(), |_| {}, |_| {});
    let held = results.iter().filter(|result| coverage::holds(result));
    held.flat_map(|result| result.scenario.clauses()).collect()
}

fn is_in(section: &str, clause: &str) -> bool {
    clause.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

#[test]
fn every_clause_is_held_by_a_scenario_that_ran_or_by_a_test() {
    let by_scenario = held_by_scenarios();
    let by_test = coverage::tests_by_clause();
    let mut missing = String::new();
    let has_to_be_held = |clause: &&Clause| {
        clause.unobservable.is_none()
            && ["1", "2", "3"].iter().any(|section| is_in(section, &clause.id))
    };
    for clause in clauses().iter().filter(has_to_be_held) {
        if !by_scenario.contains(&clause.id) && !by_test.contains_key(&clause.id) {
            let _ = writeln!(missing, "{} ({}): nothing holds it", clause.id, clause.title);
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

#[test]
fn every_tag_names_a_clause_and_a_scenario_names_at_most_three() {
    let known: BTreeSet<_> = clauses().into_iter().map(|clause| clause.id).collect();
    let mut wrong = String::new();
    for scenario in scenarios() {
        let cited = scenario.clauses();
        // A rehearsed procedure proves a procedure: it need not name a clause.
        let must_cite = scenario.id.starts_with("contract/");
        if (must_cite && cited.is_empty()) || cited.len() > CLAUSES_A_SCENARIO {
            let _ = writeln!(wrong, "{}: {} clauses", scenario.place(), cited.len());
        }
        for clause in cited.iter().filter(|clause| !known.contains(*clause)) {
            // A table as a whole may be named too; it holds nothing then.
            let whole = |id: &String| {
                id.strip_prefix(clause.as_str()).is_some_and(|rest| rest.starts_with('/'))
            };
            if known.iter().any(whole) {
                continue;
            }
            let _ = writeln!(wrong, "{}: there is no clause {clause}", scenario.place());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_test_cites_clauses_that_are_there() {
    let known: BTreeSet<_> = clauses().into_iter().map(|clause| clause.id).collect();
    let mut wrong = String::new();
    for citation in coverage::citations() {
        for clause in citation.clauses {
            // A table or a section as a whole may be named too; it holds nothing then.
            let whole = |id: &String| {
                id.strip_prefix(clause).is_some_and(|rest| rest.starts_with(['/', '.']))
            };
            if !known.contains(*clause) && !known.iter().any(whole) {
                let _ = writeln!(wrong, "{}: there is no clause {clause}", citation.test);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_test_cites_at_most_three_clauses() {
    let known: BTreeSet<_> = clauses().into_iter().map(|clause| clause.id).collect();
    let mut wrong = String::new();
    for citation in coverage::citations() {
        // A table as a whole holds nothing.
        let held = citation.clauses.iter().filter(|clause| known.contains(**clause)).count();
        if held > CLAUSES_A_SCENARIO {
            let _ = writeln!(wrong, "{}: {:?}", citation.test, citation.clauses);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_held_is_not_called_unobservable() {
    let by_scenario = coverage::scenarios_by_clause(&scenarios());
    let by_test = coverage::tests_by_clause();
    for clause in clauses().iter().filter(|clause| clause.unobservable.is_some()) {
        let held = by_scenario.contains_key(&clause.id) || by_test.contains_key(&clause.id);
        assert!(!held, "{} is cited: take the reason out of clauses.toml", clause.id);
    }
}

#[test]
fn no_reason_is_taken_where_everything_can_be_observed() {
    for clause in clauses().iter().filter(|clause| clause.unobservable.is_some()) {
        let section = NO_EXCUSES.iter().find(|section| is_in(section, &clause.id));
        assert_eq!(section, None, "{} can be observed", clause.id);
    }
}

/// The scenarios in which a quirk is in a setting: the default is faithful, for those of its clauses.
fn in_setting(quirk: Quirk, setting: &str) -> bool {
    let step = format!("the quirk {quirk} is {setting}");
    let other = format!("the quirk {quirk} is ");
    let clauses: Vec<_> = quirk.clause().split(", ").collect();
    scenarios().iter().any(|scenario| {
        let asks = |text: &str| scenario.steps.iter().any(|step| step.value.starts_with(text));
        let of_its_clauses = scenario
            .clauses()
            .iter()
            .any(|tag| clauses.contains(&tag.split('/').next().unwrap_or_default()));
        of_its_clauses && (asks(&step) || (setting == "faithful" && !asks(&other)))
    })
}

/// That such a scenario would see the other setting is what `detection.rs` shows.
#[test]
fn every_quirk_of_the_kingdom_has_a_scenario_in_both_settings() {
    for &quirk in Quirk::ALL {
        for setting in ["faithful", "as-documented"] {
            assert!(in_setting(quirk, setting), "{quirk}: no scenario in which it is {setting}");
        }
    }
}

#[test]
fn every_quirk_of_a_component_that_we_build_has_a_test_in_both_settings() {
    let mut wrong = String::new();
    for quirk in PeerQuirk::ALL {
        let name = quirk.name();
        let cites = |text: &str| {
            coverage::citations().iter().any(|citation| citation.quirks.contains(&text))
        };
        let each = ["faithful", "as-documented"].map(|setting| format!("{name}={setting}"));
        // A participant does what is documented until a test switches it: the test that names the
        // quirk compares the two. A tool is told each setting in words.
        let of_a_tool = halo_harness::tools::quirks().any(|known| known == *quirk);
        let in_words = each.iter().all(|setting| cites(setting));
        if !(in_words || (!of_a_tool && cites(name))) {
            let _ = writeln!(wrong, "{name}: no test in both settings");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What no clause says is the fake's own, and a reader finds it in docs/limits.md.
#[test]
fn what_is_not_in_the_contract_of_hostile_certificates_stands_in_the_limits() {
    let feature = read("../scenarios/compromise/hostile-certificates.feature");
    let mut own = BTreeSet::new();
    let mut title = "";
    for line in feature.lines() {
        title = line.trim().strip_prefix("Scenario Outline: ").unwrap_or(title);
        if line.contains("| not in the contract |") {
            let (door, outcome) = match title {
                "refused at the door" => ("at the TLS door", "refused"),
                "through the door as nobody" => ("at the TLS door", "passes without identity"),
                "through the door as its owner" => ("at the TLS door", "accepted"),
                "refused by CreateCertificate" => ("CreateCertificate", "refused"),
                "accepted by CreateCertificate" => ("CreateCertificate", "accepted"),
                title => panic!("`{title}` is no outcome that the limits have a word for"),
            };
            own.insert((door, cells(line)[0].to_owned(), outcome));
        }
    }
    assert!(own.len() > 40, "{} rows", own.len());
    let limits = read("../docs/limits.md");
    let mut listed = BTreeSet::new();
    let mut door = "";
    for line in limits.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let doors = ["at the TLS door", "CreateCertificate"];
            door = doors.into_iter().find(|door| heading.ends_with(door)).unwrap_or_default();
        }
        let Some(kind) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        let said = cells(line)[1];
        if door.is_empty() || said.starts_with("cannot be presented") {
            continue;
        }
        let outcomes = ["refused", "passes without identity", "accepted"];
        let outcome = outcomes.into_iter().find(|outcome| said.starts_with(outcome));
        listed.insert((door, kind.to_owned(), outcome.unwrap_or(said)));
    }
    let missing: Vec<_> = own.difference(&listed).collect();
    let untrue: Vec<_> = listed.difference(&own).collect();
    assert!(missing.is_empty() && untrue.is_empty(), "not listed: {missing:?}; untrue: {untrue:?}");
}

fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn read(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
