//! The page, the Cucumber Messages and the folder to repeat a failure with.

use crate::golden::assert_golden;
use crate::support::plan;
use fake_kingdom::model::Timestamp;
use halo_harness::observation::{Fact, Observation};
use halo_harness::probe::{CredentialAge, Lane};
use halo_harness::report::evidence::Secrets;
use halo_harness::report::record::{self, Run};
use halo_harness::report::timeline::{Bin, LaneTimeline, Mark, Span, Timeline};
use halo_harness::report::{cucumber, html, junit, repro, summary};
use halo_harness::run::{self, ScenarioResult};
use halo_harness::verdict::availability::{ControlReport, LaneReport};
use halo_harness::verdict::credentials::CredentialChange;
use halo_harness::{scenario, twins};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FEATURE: &str = "@contract-1.1.12
Feature: All that a report can hold
  Background:
    Given a running Kingdom
  Scenario: good
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
  @contract-1.1.3
  Scenario: bad & <worse> \"quoted\"
    When edp1 reads the certificate edp2.certificate
    Then the call succeeds
  Scenario: void
    When edp1 reads the certificate edp1.certificate
  Rule: one of two
    @slow
    Scenario Outline: rows
      When edp1 reads the certificate <which>
      Then the call succeeds
      And the response has
        | name | {<which>} |
      Examples:
        | which            |
        | edp1.certificate |
        | edp2.certificate |
";

fn results() -> Vec<ScenarioResult> {
    let scenarios = scenario::parse(FEATURE, "all.feature", "all").unwrap();
    run::run(&plan(), scenarios, |_| {}, |_| {})
}

fn record(results: &[ScenarioResult]) -> Run {
    let tool = record::Tool { version: "0".to_owned(), digest: "0".to_owned() };
    let times = ("2030-01-01T00:00:00Z".to_owned(), "2030-01-01T00:00:09Z".to_owned());
    let mut record = record::make(tool, plan().environment, 7, times, results);
    record.replayed_by("halo-harness run --seed 7".to_owned(), "halo-harness run --seed 7");
    record
}

/// The failed scenario's record with a run of probes of known numbers.
fn with_probes(mut record: Run) -> Run {
    let scenario = record.scenarios.iter_mut().find(|s| s.id.contains("bad")).unwrap();
    let skid = |digit: &str| digit.repeat(40);
    let bin = |from_ms, until_ms, servers: &[&str], failed| Bin {
        from_ms,
        until_ms,
        sent: 100,
        failed,
        servers: servers.iter().map(|digit| skid(digit)).collect(),
        clients: vec![skid("c")],
        replicas: BTreeSet::from([0, 1]),
        causes: (failed > 0).then(|| ("nobody_listens".to_owned(), failed)).into_iter().collect(),
        ..Bin::default()
    };
    let bins = vec![
        bin(0.0, 400.0, &["a"], 0),
        bin(400.0, 500.0, &[], 100),
        bin(500.0, 600.0, &["a", "b"], 0),
        Bin { dropped: 5, ..bin(600.0, 700.0, &["b"], 0) },
        bin(800.0, 1000.0, &["b"], 0),
    ];
    scenario.timelines = vec![Timeline {
        started: "2030-01-01T00:00:00Z".to_owned(),
        length_ms: 1000.0,
        control: Some(Span { from_ms: 1000.0, until_ms: 1400.0 }),
        lanes: vec![LaneTimeline {
            lane: Lane::ReusedChannel,
            actor: "edp1".to_owned(),
            bin_ms: 100.0,
            bins,
        }],
        marks: vec![Mark { at_ms: 400.0, text: "replica 0: <Stop>".to_owned() }],
    }];
    scenario.lanes = vec![LaneReport {
        lane: Lane::ReusedChannel,
        actor: "edp1".to_owned(),
        credential: CredentialAge::Old,
        replica: None,
        sent: 500,
        dropped: 5,
        failed: 100,
        excused: 1,
        longest_gap_ms: 1_100.0,
        resolution_ms: 10.0,
        error_budget_used: Some(0.25),
        upper_bound_95: Some(0.25),
        failures_by_cause: BTreeMap::from([("nobody_listens".to_owned(), 100)]),
        latency_us_p50: Some(640),
        latency_us_p99: Some(12_340),
        latency_us_max: Some(250_000),
    }];
    scenario.control = Some(ControlReport { injected_ms: 400.0, seen_ms: 410.0 });
    scenario.credentials = vec![CredentialChange {
        actor: "kingdom".to_owned(),
        kind: "tls_server",
        before_skid: skid("a"),
        after_skid: skid("b"),
        changed: true,
        outlived: Vec::new(),
    }];
    record
}

/// A page without what has a file of its own.
fn body(page: &str) -> String {
    let mut page = page.to_owned();
    for element in ["style", "script"] {
        let from = page.find(&format!("<{element}>")).unwrap();
        let until = page.find(&format!("</{element}>")).unwrap();
        page.replace_range(from..until, &format!("<{element}>"));
    }
    page
}

#[test]
fn the_page_is_as_before() {
    assert_golden("report.html", &body(&html::to_html(&with_probes(record(&results())))));
}

#[test]
fn the_cucumber_messages_are_as_before() {
    let results = results();
    let text = cucumber::to_ndjson(&record(&results), &results);
    let text = text.replace(std::env::consts::OS, "OS").replace(std::env::consts::ARCH, "CPU");
    assert_golden("cucumber.ndjson", &text);
}

#[test]
fn the_page_needs_nothing_else_and_every_link_in_it_has_its_place() {
    let page = html::to_html(&with_probes(record(&results())));
    for outside in ["http:", "https:", "src=", "@import", "<link"] {
        assert!(!page.contains(outside), "the page asks for something by `{outside}`");
    }
    let links: BTreeSet<&str> = attributes(&page, "href=\"#").collect();
    let places: BTreeSet<&str> = attributes(&page, "id=\"").collect();
    assert!(links.len() > 5, "{links:?}");
    let broken: Vec<_> = links.difference(&places).collect();
    assert_eq!(broken, Vec::<&&str>::new());
}

fn attributes<'a>(page: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    page.match_indices(start).filter_map(move |(at, _)| page[at + start.len()..].split('"').next())
}

#[test]
fn foreign_text_in_the_page_is_escaped() {
    let page = body(&html::to_html(&with_probes(record(&results()))));
    assert!(page.contains("bad &amp; &lt;worse&gt; &quot;quoted&quot;"), "{page}");
    assert!(page.contains("replica 0: &lt;Stop&gt;"), "{page}");
    assert!(!page.contains("<worse>") && !page.contains("<Stop>"));
}

#[test]
fn a_failure_says_what_why_where_and_how_to_see_it_again() {
    let page = html::to_html(&with_probes(record(&results())));
    for part in [
        "✗ FAIL",
        "expected OK, observed PERMISSION_DENIED",
        "permission_denied",
        "with 95 % confidence at most 25 % of calls fail",
        "halo-harness run --seed 7 --scenario all/bad-worse-quoted",
        "made an outage of 400 ms; the probes saw a gap of 410 ms",
        "A aaaaaaaa",
        "all.feature:",
    ] {
        assert!(page.contains(part), "no `{part}`");
    }
}

fn messages(text: &str) -> Vec<(String, Value)> {
    text.lines()
        .map(|line| {
            let envelope: Value = serde_json::from_str(line).unwrap();
            let envelope = envelope.as_object().unwrap();
            assert_eq!(envelope.len(), 1, "{line}");
            let (key, message) = envelope.iter().next().unwrap();
            (key.clone(), message.clone())
        })
        .collect()
}

/// Every `id` in a message.
fn ids(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| ids(value, all)),
        Value::Object(fields) => {
            if let Some(Value::String(id)) = fields.get("id") {
                all.push(id.clone());
            }
            fields.values().for_each(|value| ids(value, all));
        }
        _ => {}
    }
}

/// Every reference to an id.
fn references(value: &Value, all: &mut Vec<String>) {
    const KEYS: [&str; 8] = [
        "pickleId",
        "pickleStepId",
        "testCaseId",
        "testCaseStartedId",
        "testStepId",
        "testRunStartedId",
        "astNodeId",
        "astNodeIds",
    ];
    match value {
        Value::Array(values) => values.iter().for_each(|value| references(value, all)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(id) if KEYS.contains(&key.as_str()) => all.push(id.clone()),
                    Value::Array(ids) if KEYS.contains(&key.as_str()) => {
                        all.extend(ids.iter().map(|id| id.as_str().unwrap().to_owned()));
                    }
                    other => references(other, all),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_message_is_of_a_known_kind_and_every_reference_in_them_resolves() {
    let mut results = results();
    results.push(red_twin());
    let messages = messages(&cucumber::to_ndjson(&record(&results), &results));
    let known = [
        "meta",
        "source",
        "gherkinDocument",
        "pickle",
        "testRunStarted",
        "testCase",
        "testCaseStarted",
        "testStepStarted",
        "testStepFinished",
        "testCaseFinished",
        "testRunFinished",
    ];
    let (mut defined, mut used) = (Vec::new(), Vec::new());
    for (key, message) in &messages {
        assert!(known.contains(&key.as_str()), "{key}");
        ids(message, &mut defined);
        references(message, &mut used);
    }
    let unique: BTreeSet<_> = defined.iter().collect();
    assert_eq!(unique.len(), defined.len(), "an id stands twice");
    let broken: Vec<_> = used.iter().filter(|id| !unique.contains(id)).collect();
    assert_eq!(broken, Vec::<&String>::new());
    let count = |kind: &str| messages.iter().filter(|(key, _)| key == kind).count();
    assert_eq!(count("pickle"), 6);
    assert_eq!(count("testCaseFinished"), 6);
    assert_eq!(count("testStepStarted"), count("testStepFinished"));
}

/// Statuses and messages of a scenario's steps.
fn told(results: &[ScenarioResult], record: &Run, label: &str) -> Vec<(String, String)> {
    messages(&cucumber::to_ndjson(record, results))
        .iter()
        .filter(|(key, message)| {
            key == "testStepFinished" && message["testCaseStartedId"] == format!("attempt/{label}")
        })
        .map(|(_, message)| {
            let text =
                |key: &str| message["testStepResult"][key].as_str().unwrap_or_default().to_owned();
            (text("status"), text("message"))
        })
        .collect()
}

#[test]
fn cucumber_counts_what_proves_nothing_as_failed() {
    let results = results();
    let record = record(&results);
    let statuses = |label| {
        let told = told(&results, &record, label);
        told.into_iter().map(|(status, _)| status).collect::<Vec<_>>()
    };
    assert_eq!(statuses("all/good"), ["PASSED", "PASSED", "PASSED"]);
    assert_eq!(statuses("all/void"), ["PASSED", "FAILED"]);
    assert!(told(&results, &record, "all/void")[1].1.starts_with("INVALID: "));
    assert_eq!(
        statuses("all/rows/edp2.certificate"),
        ["PASSED", "PASSED", "FAILED", "SKIPPED"],
        "what comes after the failed step was not run"
    );
}

fn red_twin() -> ScenarioResult {
    let all = scenario::embedded().unwrap();
    let hot = all.iter().find(|s| s.id == "rotation/server-leaf/hot-reload").unwrap();
    let faults = twins::embedded().unwrap();
    let fault = faults.iter().find(|fault| fault.id == "single-lost-call").unwrap();
    let twin = twins::twin(hot, fault, plan().environment).unwrap();
    run::run(&plan(), vec![twin], |_| {}, |_| {}).remove(0)
}

#[test]
fn a_twin_that_is_red_as_stated_has_passed_unless_its_red_was_asked_for() {
    let results = vec![red_twin()];
    let mut record = record(&results);
    let label = "rotation/server-leaf/hot-reload [single-lost-call]";
    let as_stated = told(&results, &record, label);
    assert!(as_stated.iter().all(|(status, _)| status == "PASSED"), "{as_stated:?}");
    assert!(as_stated.last().unwrap().1.starts_with("red as stated, FAIL: "), "{as_stated:?}");
    assert!(html::to_html(&record).contains("✓ red as stated"));
    assert!(junit::to_xml(&record).contains("failures=\"0\""));
    assert_eq!(repro::files(&record, &results), []);
    record.show_red(&results);
    assert!(told(&results, &record, label).iter().any(|(status, _)| status == "FAILED"));
    assert!(html::to_html(&record).contains("✗ FAIL"));
    assert!(junit::to_xml(&record).contains("failures=\"1\""));
    assert!(!repro::files(&record, &results).is_empty());
}

#[test]
fn a_twin_that_is_red_for_a_cause_or_at_a_then_from_elsewhere_in_the_run_is_not_red_as_stated() {
    let all = scenario::embedded().unwrap();
    let faults = twins::embedded().unwrap();
    let played = |id: &str, change: fn(&mut twins::Fault)| {
        let mut fault = faults.iter().find(|fault| fault.id == id).unwrap().clone();
        change(&mut fault);
        let of = all.iter().find(|scenario| fault.scenarios.contains(&scenario.id)).unwrap();
        let simulated = halo_harness::environment::EnvironmentKind::Simulated;
        let twin = twins::twin(of, &fault, simulated).unwrap();
        run::run(&plan(), vec![twin], |_| {}, |_| {}).remove(0)
    };
    // The owner is refused with unknown_issuer in the scenario as well; red is that nothing changed.
    let elsewhere = played("owner-never-gets-a-new-leaf", |fault| {
        fault.expected_cause = "unknown_issuer".to_owned();
    });
    assert!(elsewhere.judgement.causes.contains(&"unknown_issuer".to_owned()));
    assert!(!elsewhere.as_expected());
    let told = record(std::slice::from_ref(&elsewhere));
    let told = summary::summary(&[elsewhere], &told, "rerun", false);
    assert!(told.contains("red for   no_change_observed"), "{told}");
    assert!(played("owner-never-gets-a-new-leaf", |_| {}).as_expected());
    // Two `Then` of the scenario read the same.
    assert!(!played("update-is-forgotten", |fault| fault.turns_red_nth = Some(1)).as_expected());
    assert!(played("update-is-forgotten", |_| {}).as_expected());
}

#[test]
fn a_twin_that_is_seen_later_than_stated_is_not_red_as_stated_and_says_so() {
    let all = scenario::embedded().unwrap();
    let id = "rotation/root/a-data-provider-s-root-in-an-order-that-works/map-bundle-leaf";
    let works = all.iter().find(|s| s.id == id).unwrap();
    let faults = twins::embedded().unwrap();
    let fault = faults.iter().find(|fault| fault.id == "map-never-updated").unwrap();
    let with = |detect_within_ms, environment| {
        let fault = twins::Fault { detect_within_ms, ..fault.clone() };
        twins::twin(works, &fault, environment).unwrap()
    };
    let simulated = halo_harness::environment::EnvironmentKind::Simulated;
    let late = 300;
    let twins: Vec<_> = [fault.detect_within_ms, late]
        .into_iter()
        .map(|ms| run::run(&plan(), vec![with(ms, simulated)], |_| {}, |_| {}).remove(0))
        .collect();
    let [in_time, too_late] = twins.as_slice() else { panic!("two") };
    let after_ms = in_time.detection.unwrap().after_ms;
    assert!(after_ms > f64::from(u32::try_from(late).unwrap()), "{after_ms}");
    assert!(in_time.as_expected());
    assert!(!too_late.as_expected());
    // Beside a scenario that passes.
    let exit = |twin: &ScenarioResult| run::exit_of(&[results().remove(0), twin.clone()]);
    assert_eq!(exit(in_time), run::Exit::Passed);
    assert_eq!(exit(too_late), run::Exit::HarnessFailed);
    let told = record(std::slice::from_ref(too_late));
    let text = summary::summary(std::slice::from_ref(too_late), &told, "rerun", false);
    assert!(text.contains("NOT RED AS STATED") && text.contains("too late  the first"), "{text}");
    assert!(told.scenarios[0].reason.as_ref().unwrap().starts_with("the first probe failed"));
    assert!(html::to_html(&told).contains("It did, too late."));
}

#[test]
fn the_timeline_of_real_probes_shows_the_lost_call_and_both_certificates() {
    let results = vec![red_twin()];
    let record = record(&results);
    let [timeline] = record.scenarios[0].timelines.as_slice() else { panic!("one run of probes") };
    assert!(!timeline.marks.is_empty());
    assert!(timeline.marks.iter().all(|mark| mark.at_ms >= 0.0));
    let run_proper = |bin: &&Bin| bin.from_ms < timeline.control.unwrap().from_ms - 100.0;
    let bins = || timeline.lanes.iter().flat_map(|lane| &lane.bins).filter(run_proper);
    assert_eq!(bins().map(|bin| bin.failed).sum::<u64>(), 1);
    let servers: BTreeSet<_> = bins().flat_map(|bin| &bin.servers).collect();
    assert_eq!(servers.len(), 2);
    assert!(timeline.lanes.iter().all(|lane| lane.bins.len() <= 200));
    let evidence = &record.scenarios[0].evidence;
    assert_eq!(evidence.probes.len(), 1);
    assert_eq!(evidence.probes[0].cause, "connection_cut");
}

#[test]
fn every_lane_with_an_answer_has_its_latencies_in_the_record() {
    let record = serde_json::to_value(record(&[red_twin()])).unwrap();
    let lanes = record["scenarios"][0]["lanes"].as_array().unwrap();
    assert!(!lanes.is_empty());
    for lane in lanes {
        let us = ["latency_us_p50", "latency_us_p99", "latency_us_max"].map(|f| lane[f].as_u64());
        assert!(us.is_sorted() && us[0].is_some(), "{lane:#}");
        // A straddling call is held, anything else fails after a second.
        assert!(us[2] < Some(1_000_000) || lane["lane"] == "straddling_call", "{lane:#}");
    }
}

#[test]
fn a_failed_probe_is_recorded_as_both_ends_saw_it() {
    let record = serde_json::to_value(record(&[red_twin()])).unwrap();
    let probe = &record["scenarios"][0]["evidence"]["probes"][0];
    assert_eq!(
        (&probe["outcome"], &probe["own_cause"], &probe["reopened"]),
        (&"broken".into(), &"connection_cut".into(), &false.into())
    );
    assert_eq!(probe["tls_version"], "TLSv1_3");
    for (field, length_min) in [("server_serial", 16), ("server_skid", 40), ("client_akid", 40)] {
        let value = probe[field].as_str().unwrap();
        let is_hex = value.len() >= length_min && value.chars().all(|c| c.is_ascii_hexdigit());
        assert!(is_hex, "{field}: {value}");
    }
    assert_ne!(probe["client_akid"], probe["client_skid"]);
    let principal = probe["principal"].as_str().unwrap();
    assert!(principal.starts_with("dataProviders/"), "{principal}");
    assert!(probe["replica"].as_u64().is_some_and(|replica| replica < 3), "{probe:#}");
    let ms = |field: &str| probe[field].as_f64().unwrap();
    assert!(ms("sent_ms") >= ms("at_ms") && ms("ended_ms") >= ms("sent_ms"), "{probe:#}");
    assert!((ms("ended_ms") - ms("at_ms") - ms("latency_ms")).abs() < 0.001, "{probe:#}");
}

#[test]
fn a_secret_is_in_no_report() {
    const KEY: &str = "Zm9yZ2V0IG1l";
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----";
    let mut results = results();
    // The first of its file: the file's text is told once.
    let bad = &mut results[0];
    bad.judgement.verdict = halo_harness::verdict::Verdict::Fail;
    assert_eq!(format!("{:?}", bad.secrets), "1 secrets", "the sandbox has one API key");
    bad.secrets = Secrets::new([KEY.to_owned()]);
    bad.judgement.reason = Some(format!("observed {KEY} and {PEM}"));
    for step in &mut bad.scenario.steps {
        step.value = format!("{} {KEY}", step.value);
    }
    let source = format!("# {PEM}\n{}# {KEY}\n", bad.scenario.source);
    bad.scenario.source = source.into();
    let jumped = std::time::Duration::ZERO;
    let fact = Fact::Changed { what: format!("{KEY} {PEM}"), jumped, worn: None };
    bad.log.push(Observation { n: 99, time: Timestamp::default(), line: 1, fact });
    let record = record(&results);
    let mut reports = vec![
        record::to_json(&record).unwrap(),
        html::to_html(&record),
        junit::to_xml(&record),
        cucumber::to_ndjson(&record, &results),
    ];
    assert!(reports[0].contains("[secret] and [private key]"));
    reports.extend(repro::files(&record, &results).into_iter().map(|(_, content)| content));
    for report in reports {
        assert!(!report.contains(KEY) && !report.contains("PRIVATE KEY"), "{report}");
    }
}

#[test]
fn what_stands_behind_a_hidden_key_keeps_its_line() {
    let text = "a\n-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nb";
    assert_eq!(Secrets::default().hidden(text), "a\n[private key]\n\n\nb");
}

#[test]
fn a_failure_is_repeated_from_its_seed_its_steps_and_its_events() {
    let results = results();
    let files: BTreeMap<_, _> = repro::files(&record(&results), &results).into_iter().collect();
    assert_eq!(files["seed"], "7\n");
    assert!(files["README.txt"].contains("--scenario all/bad-worse-quoted\n"));
    assert!(files["all__bad-worse-quoted/scenario.feature"].contains("Feature: All that"));
    assert!(files["all__bad-worse-quoted/steps.txt"].contains("failed         Then the call"));
    let events = &files["all__bad-worse-quoted/events.jsonl"];
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"]["cause"] == "permission_denied"));
    assert!(events.iter().any(|event| event["check"]["holds"] == false));
    assert!(!files.keys().any(|path| path.starts_with("all__good")));
}

/// One of the embedded scenarios, played, as a record.
fn played(id: &str) -> Run {
    let mut scenarios = scenario::embedded().unwrap();
    scenarios.retain(|scenario| scenario.id == id);
    assert_eq!(scenarios.len(), 1, "{id}");
    record(&run::run(&plan(), scenarios, |_| {}, |_| {}))
}

#[test]
fn an_alert_is_in_the_record_and_on_the_page_with_who_and_why() {
    let record =
        played("rotation/monitor/a-participant-that-lost-its-root-is-named-and-an-alert-is-raised");
    let [alert] = record.scenarios[0].alerts.as_slice() else {
        panic!("{:?}", record.scenarios[0].alerts)
    };
    assert_eq!((alert.threshold, alert.window_seconds), (3, 10));
    assert!(alert.time.starts_with("2030-01-01T00:00:"), "{}", alert.time);
    let [failures] = alert.failures.as_slice() else { panic!("{:?}", alert.failures) };
    assert_eq!(
        (failures.who.as_str(), failures.cause.as_str(), failures.count),
        ("edp1", "unknown_issuer", 3)
    );
    let page = html::to_html(&record);
    let row = "<td>3 failures within 10 s</td><td>edp1</td><td><code>unknown_issuer</code></td>";
    assert!(page.contains(row));
    let json: Value = serde_json::from_str(&record::to_json(&record).unwrap()).unwrap();
    assert_eq!(json["scenarios"][0]["alerts"][0]["failures"][0]["who"], "edp1");
}

#[test]
fn without_an_alert_neither_speaks_of_one() {
    let record = played("rotation/monitor/a-clean-rotation-raises-none");
    assert!(record.scenarios[0].alerts.is_empty());
    assert!(!html::to_html(&record).contains("Alerts of the authentication monitor"));
}

#[test]
fn a_connection_that_outlives_a_credential_is_named_with_serial_and_how_long() {
    let record = played(
        "rotation/procedure/an-open-channel-outlives-its-old-leaf-is-named-with-how-long-and-keeps-retire-shut",
    );
    let of_edp1 = |change: &&CredentialChange| change.actor == "edp1";
    let change = record.scenarios[0].credentials.iter().find(of_edp1).unwrap();
    let [outlived] = change.outlived.as_slice() else { panic!("{:?}", change.outlived) };
    assert_eq!(outlived.skid, change.before_skid);
    assert!(!outlived.serial.is_empty());
    assert!((650.0..2500.0).contains(&outlived.for_ms), "{}", outlived.for_ms);
    let page = html::to_html(&record);
    assert!(page.contains("Connections that outlived a replaced credential"));
    assert!(page.contains(&outlived.serial));
}

#[test]
fn what_is_changed_after_the_clock_jumped_stays_on_the_timeline() {
    let record = played(
        "rotation/encryption-key/reporting-caches-for-an-hour-and-the-old-key-is-kept-as-long-none-is-lost",
    );
    let timeline = &record.scenarios[0].timelines[0];
    assert!(timeline.marks.iter().any(|mark| mark.text.contains("the clock, by")));
    for mark in &timeline.marks {
        assert!((0.0..=timeline.length_ms).contains(&mark.at_ms), "{mark:?}");
    }
}

/// That nothing was tried is another thing than that nothing of it died.
#[test]
fn the_page_of_an_incident_says_whether_nothing_was_tried_or_nothing_died() {
    let page = |steps: &str| {
        let text = format!("Feature: f\n  Scenario: s\n{steps}");
        let scenarios = scenario::parse(&text, "f.feature", "f").unwrap();
        html::to_html(&record(&run::run(&plan(), scenarios, |_| {}, |_| {})))
    };
    let (untried, alive) = ("No use of an old credential was tried", "was shown dead");
    let tried = page("Given mc1's first leaf works at every door\nThen no alert was raised\n");
    assert!(tried.contains(alive) && !tried.contains(untried));
    let assessed = page(
        "Given mc1 has a direct reach measurement called m with edp1\n\
         Then what edp2's certificate certificate has touched is\n\
         | public_key | signed_by | {edp2}/publicKey |\n",
    );
    assert!(assessed.contains(untried) && !assessed.contains(alive));
}
