//! The command line: what is printed, what is written, and the exit codes.

use halo_harness::cli;
use halo_harness::run::Exit;
use serde_json::Value;
use std::path::Path;

const GOOD: &str = "When edp1 reads the certificate edp1.certificate\n    Then the call succeeds";
const BAD: &str = "When edp1 reads the certificate edp2.certificate\n    Then the call succeeds";
const VOID: &str = "When edp1 reads the certificate edp1.certificate";

fn main(arguments: &[&str]) -> (Exit, String) {
    let mut out = Vec::new();
    let arguments = std::iter::once("halo-harness").chain(arguments.iter().copied());
    let exit = cli::main(arguments.map(str::to_owned), &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

fn run(features: &Path, more: &[&str]) -> (Exit, String) {
    let features = features.display().to_string();
    let mut arguments = vec!["run", "--env", "simulated", "--seed", "5", "--features", &features];
    arguments.extend(more);
    main(&arguments)
}

/// A file with one scenario for each text, named a, b, c, ...
fn features(folder: &Path, scenarios: &[&str]) -> std::path::PathBuf {
    let mut text = "Feature: f\n".to_owned();
    for (name, steps) in ('a'..).zip(scenarios) {
        text += &format!("  @t-{name} @contract-1.1.3\n  Scenario: {name}\n    {steps}\n");
    }
    let path = folder.join("f.feature");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn exit_codes_tell_pass_failure_and_invalid_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[GOOD, BAD, VOID]);
    assert_eq!(run(&path, &["--tags", "@t-a"]).0, Exit::Passed);
    assert_eq!(run(&path, &[]).0, Exit::SubjectFailed);
    assert_eq!(run(&path, &["--tags", "not @t-b"]).0, Exit::Invalid);
    // Nothing selected: nothing is proved.
    assert_eq!(run(&path, &["--tags", "@none"]).0, Exit::Invalid);
}

#[test]
fn usage_errors_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[GOOD]);
    assert_eq!(run(&path, &["--tags", "@a and"]).0, Exit::Usage);
    assert_eq!(run(&path, &["--scenario", "nonsense"]).0, Exit::Usage);
    assert_eq!(run(Path::new("/does/not/exist"), &[]).0, Exit::Usage);
    assert_eq!(main(&["run", "--env", "mars"]).0, Exit::Usage);
    // Flags of things that do not exist yet are refused, not swallowed.
    for flag in ["--fault", "--twins", "--subject"] {
        assert_eq!(run(&path, &[flag, "x"]).0, Exit::Usage, "{flag}");
    }
    assert_eq!(main(&["explain", "nonsense"]).0, Exit::Usage);
    std::fs::write(&path, "nonsense\n").unwrap();
    assert_eq!(run(&path, &[]).0, Exit::Usage);
}

#[test]
fn a_failure_is_shown_with_place_values_clause_and_how_to_rerun() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[GOOD, BAD]);
    let (_, text) = run(&path, &[]);
    let place = format!("{}:9", path.display());
    for part in [
        "FAIL f/b",
        place.as_str(),
        "expected  OK",
        "observed  PERMISSION_DENIED",
        "clause    1.1.3",
        "causes    permission_denied",
        "--seed 5",
        "--scenario f/b",
        "2 scenarios: 1 passed, 1 failed",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn reports_are_written_and_json_is_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[GOOD, BAD]);
    let report = folder.path().join("new/report");
    let (_, text) = run(&path, &["--format", "json", "--report", &report.display().to_string()]);
    let printed: Value = serde_json::from_str(&text).unwrap();
    let written = std::fs::read_to_string(report.join("run.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), printed);
    assert_eq!(printed["schema"], "halo-harness/run/1");
    assert_eq!(printed["verdict"], "FAIL");
    assert_eq!(printed["totals"]["unexpected"], 1);
    let read = |file: &str| std::fs::read_to_string(report.join(file)).unwrap();
    assert!(read("junit.xml").contains("<failure"));
    assert!(read("report.html").ends_with("</html>\n"));
    assert!(read("cucumber.ndjson").lines().last().unwrap().contains("testRunFinished"));
    assert_eq!(read("repro/seed").trim(), printed["seed"].to_string());
}

#[test]
fn a_passing_run_takes_the_earlier_failure_away_and_leaves_no_repro() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report").display().to_string();
    run(&features(folder.path(), &[BAD]), &["--report", &report]);
    assert!(Path::new(&report).join("repro").is_dir());
    let (exit, _) = run(&features(folder.path(), &[GOOD]), &["--report", &report]);
    assert_eq!(exit, Exit::Passed);
    assert!(!Path::new(&report).join("repro").exists());
}

#[test]
fn a_folder_called_repro_that_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[BAD]);
    let report = folder.path().join("report");
    std::fs::create_dir_all(report.join("repro")).unwrap();
    std::fs::write(report.join("repro/mine.txt"), "mine").unwrap();
    let (exit, _) = run(&path, &["--report", &report.display().to_string()]);
    assert_eq!(exit, Exit::Usage);
    assert!(report.join("repro/mine.txt").exists());
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_simulation() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[GOOD, BAD, VOID]);
    let json = || run(&path, &["--format", "json", "--jobs", "2"]).1;
    assert_eq!(json(), json());
}

#[test]
fn lists_are_readable_by_machines() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[GOOD]).display().to_string();
    let list = |more: &[&str]| -> Value {
        let mut arguments = vec!["list", "--features", &path, "--format", "json"];
        arguments.extend(more);
        serde_json::from_str(&main(&arguments).1).unwrap()
    };
    let scenarios = list(&[]);
    assert_eq!(scenarios[0]["id"], "f/a");
    assert_eq!(scenarios[0]["tags"], serde_json::json!(["@t-a", "@contract-1.1.3"]));
    assert_eq!(scenarios[0]["environments"], serde_json::json!(["loopback", "simulated"]));
    let year = "rotation/schedule/a-year-of-a-fleet-of-eight";
    let year = main(&["list", "--scenario", year, "--format", "json"]).1;
    let year: Value = serde_json::from_str(&year).unwrap();
    assert_eq!(year[0]["environments"], serde_json::json!(["simulated"]));
    let clauses = list(&["--clauses"]);
    assert_eq!(clauses[0]["clause"], "1.1.3");
    assert_eq!(clauses[0]["scenarios"], serde_json::json!(["f/a"]));
    assert_eq!(clauses.as_array().unwrap().len(), 1, "a user's own features name no other");
    assert!(list(&["--steps"]).as_array().unwrap().iter().all(|step| step["example"].is_string()));
}

#[test]
fn every_clause_is_listed_with_what_holds_it() {
    let (exit, text) = main(&["list", "--clauses"]);
    assert_eq!(exit, Exit::Passed);
    let after = |line: &str| text.lines().skip_while(|l| !l.starts_with(line)).nth(1).unwrap_or("");
    assert!(after("1.1.8 ").contains("scenarios"), "{}", after("1.1.8 "));
    assert!(after("1.8.6 ").contains("not observable"), "{}", after("1.8.6 "));
    assert!(text.contains("harness/consent/tests/consent/signatures::the_table_of_algorithms"));
}

#[test]
fn every_cause_is_explained() {
    let (exit, text) = main(&["explain", "akid_not_of_issuer"]);
    assert_eq!(exit, Exit::Passed);
    assert!(text.contains("2.15") && text.contains("Next:"), "{text}");
    let all: Value = serde_json::from_str(&main(&["explain", "--format", "json"]).1).unwrap();
    for code in ["no_client_certificate", "rate_limited", "harness_fault"] {
        assert!(all.as_array().unwrap().iter().any(|cause| cause["code"] == code), "{code}");
    }
}

#[test]
fn audit_verify_finds_an_edited_and_a_truncated_trail() {
    use fake_kingdom::audit::{Head, append};
    use fake_kingdom::model::{Mutation, Timestamp};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let mut head = Head::default();
    let mut lines = Vec::new();
    for action in ["create", "revoke"] {
        let mutation =
            Mutation { action: action.into(), subject: "x".to_owned(), before: None, after: None };
        lines.push(append(&mut head, Timestamp::default(), "operator", &mutation));
    }
    let file = path.display().to_string();
    let write = |lines: &[String]| std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let head = head.to_string();

    write(&lines);
    assert_eq!(main(&["audit", "verify", &file, "--head", &head]).0, Exit::Passed);
    write(&lines[..1]);
    assert_eq!(main(&["audit", "verify", &file]).0, Exit::Passed);
    assert_eq!(main(&["audit", "verify", &file, "--head", &head]).0, Exit::SubjectFailed);
    write(&[lines[0].replace("operator", "mallory"), lines[1].clone()]);
    let (exit, text) = main(&["audit", "verify", &file, "--format", "json"]);
    assert_eq!(exit, Exit::SubjectFailed);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["line"], 1);
    assert_eq!(main(&["audit", "verify", "/does/not/exist"]).0, Exit::Usage);
    assert_eq!(main(&["audit", "verify", &file, "--head", "nonsense"]).0, Exit::Usage);
}

#[test]
fn a_fault_of_harness_or_environment_exits_4_unless_the_subject_failed_too() {
    use halo_harness::error::Owner;
    use halo_harness::run::{exit, overall};
    use halo_harness::verdict::{Judgement, Verdict};
    let judgement = |verdict, owner| Judgement {
        verdict,
        reason: None,
        owner,
        causes: vec![],
        step: None,
        failed: None,
    };
    let pass = judgement(Verdict::Pass, None);
    let fail = judgement(Verdict::Fail, Some(Owner::Subject));
    let author = judgement(Verdict::Invalid, Some(Owner::ScenarioAuthor));
    let harness = judgement(Verdict::Invalid, Some(Owner::Harness));
    let interrupted = judgement(Verdict::Invalid, Some(Owner::User));
    assert_eq!(exit(&[&pass, &interrupted]), Exit::Invalid);
    assert_eq!(exit(&[&fail, &interrupted]), Exit::Invalid, "a run that was broken off");
    assert_eq!(exit(&[&harness, &interrupted]), Exit::Invalid);
    assert_eq!(overall(&[&fail, &interrupted]), Verdict::Invalid);
    let skipped = judgement(Verdict::NotApplicable, Some(Owner::Environment));
    assert_eq!(exit(&[&pass, &skipped]), Exit::Passed);
    assert_eq!(exit(&[&skipped]), Exit::Invalid);
    assert_eq!(exit(&[]), Exit::Invalid);
    assert_eq!(exit(&[&pass, &author]), Exit::Invalid);
    assert_eq!(exit(&[&pass, &author, &harness]), Exit::HarnessFailed);
    assert_eq!(exit(&[&fail, &harness]), Exit::SubjectFailed);
    assert_eq!(overall(&[&pass, &author, &fail]), Verdict::Fail);
}

#[test]
fn a_report_that_cannot_be_written_at_the_end_exits_4_and_the_summary_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[BAD]);
    let report = folder.path().join("report");
    // What the record is written to first, before it takes its name.
    std::fs::create_dir_all(report.join("run.part")).unwrap();
    let (exit, text) = run(&path, &["--report", &report.display().to_string()]);
    assert_eq!(exit, Exit::HarnessFailed);
    assert!(text.contains("1 failed"), "{text}");
}

#[test]
fn the_line_to_run_again_can_be_pasted_though_a_path_has_a_space_and_a_quote() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("it's a folder");
    std::fs::create_dir(&odd).unwrap();
    let path = features(&odd, &[BAD]);
    let (_, text) = run(&path, &[]);
    let expected = format!("--features '{}'", path.display().to_string().replace('\'', "'\\''"));
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn what_an_interruption_keeps_from_running_is_invalid_and_still_in_the_record() {
    use halo_harness::run::{self, Plan, Progress};
    use halo_harness::verdict::Verdict;
    let folder = tempfile::tempdir().unwrap();
    // Far longer than the interruption takes, in real time.
    let long = "When 100 seconds pass\n    Then the call succeeds";
    let path = features(folder.path(), &[long, long, long]);
    let scenarios = halo_harness::scenario::from_paths(&[path]).unwrap();
    let environment = halo_harness::environment::EnvironmentKind::Loopback;
    let plan = Plan { environment, ..crate::support::plan() };
    let interrupt =
        |run: std::sync::mpsc::Sender<Progress>| run.send(Progress::Interrupted).unwrap();
    let results = run::run(&plan, scenarios, interrupt, |_| {});
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|result| result.judgement.verdict == Verdict::Invalid));
}

#[test]
fn a_list_of_nothing_is_invalid_as_a_run_of_nothing_is() {
    assert_eq!(main(&["list", "--tags", "@nope"]), (Exit::Invalid, String::new()));
    assert_eq!(main(&["list", "--faults", "--tags", "@nope"]), (Exit::Invalid, String::new()));
    assert_eq!(main(&["list", "--tags", "@contract-1.1.9"]).0, Exit::Passed);
}

#[test]
fn faults_are_listed_for_the_scenarios_that_are_selected() {
    let (exit, all) = main(&["list", "--faults", "--format", "json"]);
    let all: Vec<Value> = serde_json::from_str(&all).unwrap();
    assert_eq!(exit, Exit::Passed);
    let scenario = all[0]["scenarios"][0].as_str().unwrap();
    let (exit, some) = main(&["list", "--faults", "--scenario", scenario, "--format", "json"]);
    let some: Vec<Value> = serde_json::from_str(&some).unwrap();
    assert_eq!(exit, Exit::Passed);
    assert!(!some.is_empty() && some.len() < all.len());
    let names = |fault: &Value| fault["scenarios"].as_array().unwrap().contains(&scenario.into());
    assert!(some.iter().all(names));
    // An option that would change nothing is refused.
    assert_eq!(main(&["list", "--steps", "--tags", "@x"]).0, Exit::Usage);
}

#[test]
fn a_tag_of_a_clause_that_is_not_there_is_refused_with_its_line_and_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = features(folder.path(), &[GOOD, GOOD]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(run(&path, &[]).0, Exit::Passed);
    std::fs::write(&path, text.replace("@t-b @contract-1.1.3", "@t-b @contract-1.1.33")).unwrap();
    assert_eq!(run(&path, &[]).0, Exit::Usage);
    let error = halo_harness::scenario::from_paths(&[path]).unwrap_err().to_string();
    assert!(error.contains("f.feature:6"), "{error}");
    assert!(error.contains("@contract-1.1.33") && error.contains("@contract-1.1.3,"), "{error}");
}
