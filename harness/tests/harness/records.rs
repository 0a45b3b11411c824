//! The run record and JUnit: golden files, with what differs from run to run blanked.

use crate::golden::assert_golden;
use crate::support::plan;
use halo_harness::report::{junit, record};
use halo_harness::run::{self, ScenarioResult};
use halo_harness::scenario;
use serde_json::Value;

const FEATURE: &str = "@contract-1.1.12
Feature: Three outcomes
  Scenario: good
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
  @contract-1.1.3
  Scenario: bad & <worse>
    When edp1 reads the certificate edp2.certificate
    Then the call succeeds
  Scenario: void
    When edp1 reads the certificate edp1.certificate
";

fn results() -> Vec<ScenarioResult> {
    let scenarios = scenario::parse(FEATURE, "three.feature", "three/outcomes").unwrap();
    run::run(&plan(), scenarios, |_| {}, |_| {})
}

fn record() -> record::Run {
    let tool = record::Tool { version: "0".to_owned(), digest: "0".to_owned() };
    let times = ("T0".to_owned(), "T1".to_owned());
    record::make(tool, plan().environment, 7, times, &results())
}

#[test]
fn the_record_is_as_the_schema_says() {
    let mut json = serde_json::to_value(record()).unwrap();
    for scenario in json["scenarios"].as_array_mut().unwrap() {
        scenario["audit_head"]["hash"] = Value::from("HASH");
    }
    assert_golden("run.json", &(serde_json::to_string_pretty(&json).unwrap() + "\n"));
}

#[test]
fn the_record_has_every_field_of_the_schema_and_the_top_level_in_its_order() {
    let text = record::to_json(&record()).unwrap();
    let place =
        |field: &str| text.find(&format!("\"{field}\"")).unwrap_or_else(|| panic!("no {field}"));
    let order = ["schema", "tool", "environment", "seed", "started", "finished"].map(place);
    assert!(order.is_sorted());
    for field in [
        "id",
        "verdict",
        "as_expected",
        "fault",
        "expected",
        "causes",
        "clauses",
        "reason",
        "phases",
        "credentials",
        "lanes",
        "control",
        "deadness",
        "per_rotation",
        "findings",
        "totals",
        "audit_head",
        "twins",
        "unexpected",
    ] {
        place(field);
    }
}

#[test]
fn one_seed_gives_one_record() {
    let tool = || record::Tool { version: "0".to_owned(), digest: "0".to_owned() };
    let times = || ("T0".to_owned(), "T1".to_owned());
    let one = record::make(tool(), plan().environment, 7, times(), &results());
    let two = record::make(tool(), plan().environment, 7, times(), &results());
    assert_eq!(record::to_json(&one).unwrap(), record::to_json(&two).unwrap());
}

#[test]
fn junit_tells_failures_from_errors_and_escapes_names() {
    assert_golden("junit.xml", &junit::to_xml(&record()));
}

#[test]
fn text_that_xml_cannot_hold_is_escaped() {
    assert_eq!(
        junit::escaped("a<b>&\"'\n\u{0}\u{1b}"),
        "a&lt;b&gt;&amp;&quot;&apos;&#10;\\u{0}\\u{1b}"
    );
}
