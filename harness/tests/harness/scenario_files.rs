//! Feature files: ids, tags, and what is wrong with them.

use halo_harness::error::UsageError;
use halo_harness::scenario::{self, Scenario};

const OUTLINE: &str = "@contract-1.1.12
Feature: States
  Background:
    Given a running Kingdom

  @slow @contract-1.1.2/RevokeCertificate
  Scenario Outline: Cells of <from>
    When edp1 reads the certificate <what>
    Then the call succeeds

    Examples:
      | from            | what |
      | HOLD to REVOKED | a.b  |
      | 1.5 & more      | c.d  |

  Scenario: It's plain
    Then the call succeeds
";

fn parse(text: &str) -> Result<Vec<Scenario>, UsageError> {
    scenario::parse(text, "contract/states.feature", "contract/states")
}

#[test]
fn ids_are_stem_slug_and_for_outlines_the_first_column() {
    let scenarios = parse(OUTLINE).unwrap();
    let ids: Vec<_> = scenarios.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "contract/states/cells-of-hold-to-revoked/hold-to-revoked",
            "contract/states/cells-of-1.5-more/1.5-more",
            "contract/states/it-s-plain",
        ]
    );
    assert_eq!(scenarios[0].steps[0].value, "a running Kingdom");
    assert_eq!(scenarios[1].steps[1].value, "edp1 reads the certificate c.d");
    assert_eq!(scenarios[1].place(), "contract/states.feature:14");
    assert_eq!(scenarios[0].clauses(), ["1.1.12", "1.1.2/RevokeCertificate"]);
    assert_eq!(scenarios[2].clauses(), ["1.1.12"]);
}

#[test]
fn a_file_that_does_not_parse_is_named_with_its_line() {
    let error = parse("Feature: f\n  Scenario: s\n    Given x\n    nonsense here\n").unwrap_err();
    let UsageError::Feature { file, line, reason } = &error else { panic!("{error}") };
    assert_eq!((file.as_str(), *line), ("contract/states.feature", 4), "{reason}");
    assert!(error.to_string().starts_with("contract/states.feature:4: "), "{error}");
}

#[test]
fn an_unknown_placeholder_and_an_outline_without_examples_are_refused() {
    let text = OUTLINE.replace("<what>", "<that>");
    assert!(
        parse(&text).unwrap_err().to_string().contains("no column of the examples is named <that>")
    );
    let text = "Feature: f\n  Scenario Outline: s\n    Given x\n";
    assert!(parse(text).unwrap_err().to_string().contains("no examples"));
}

#[test]
fn a_duplicate_id_names_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let text = "Feature: f\n  Scenario: Same\n    Given x\n  Scenario: same!\n    Given x\n";
    std::fs::write(folder.path().join("a.feature"), text).unwrap();
    let error = scenario::from_paths(&[folder.path().to_owned()]).unwrap_err();
    let UsageError::DuplicateId { id, first, second } = error else { panic!("{error}") };
    assert_eq!(id, "a/same");
    assert!(first.ends_with("a.feature:2") && second.ends_with("a.feature:4"), "{first} {second}");
}

#[test]
fn paths_that_hold_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = scenario::from_paths(&[folder.path().to_owned()]).unwrap_err();
    assert!(error.to_string().contains("no .feature file"), "{error}");
    assert!(scenario::from_paths(&["/does/not/exist.feature".into()]).is_err());
}

#[test]
fn tags_and_ids_select() {
    let ids = |tags: Option<&str>, ids: &[&str]| {
        let ids: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
        scenario::select(parse(OUTLINE).unwrap(), tags, &ids).map(|kept| kept.len())
    };
    assert_eq!(ids(None, &[]), Ok(3));
    assert_eq!(ids(Some("@slow"), &[]), Ok(2));
    assert_eq!(ids(Some("@contract-1.1.12 and not @slow"), &[]), Ok(1));
    assert_eq!(ids(Some("@contract-1.1.2/RevokeCertificate"), &[]), Ok(2));
    assert_eq!(ids(None, &["contract/states/it-s-plain"]), Ok(1));
    assert!(matches!(ids(Some("@a and"), &[]), Err(UsageError::Tags { .. })));
    let error = ids(None, &["contract/it-s-plain"]).unwrap_err().to_string();
    assert!(error.contains("did you mean contract/states/it-s-plain?"), "{error}");
}

#[test]
fn the_embedded_scenarios_parse_with_unique_ids_and_those_of_the_contract_cite_one_to_three_clauses()
 {
    let scenarios = scenario::embedded().unwrap();
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        let clauses = scenario.clauses().len();
        // A rehearsed procedure proves a procedure: it need not name a clause.
        let least = usize::from(scenario.id.starts_with("contract/"));
        assert!((least..=3).contains(&clauses), "{}: {clauses} clauses", scenario.id);
    }
}

#[test]
fn an_outline_that_would_vanish_and_a_placeholder_without_examples_are_refused() {
    for (body, reason) in [
        (
            "  Scenario Outline: s\n    Then the call fails with <code>\n    Examples:\n      | code |\n",
            "no row",
        ),
        ("  Scenario Outline: s\n    Then the call fails with <code>\n    Examples:\n", "no row"),
        ("  Scenario Template: s\n    Then the call succeeds\n", "no examples"),
        ("  Scenario: s\n    Then the call fails with <code>\n", "<code>"),
    ] {
        let text = format!("Feature: f\n{body}");
        let error = halo_harness::scenario::parse(&text, "f.feature", "f").unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("f.feature:2"), "{body}: {error}");
    }
}

#[test]
fn a_background_alone_makes_no_scenario() {
    let text = "Feature: f\n  Background:\n    When edp1 reads the certificate edp1.certificate\n    \
                Then the call succeeds\n  Scenario: empty\n  Scenario: claims nothing\n    \
                Given a running Kingdom\n";
    let registry = halo_harness::steps::Registry::new().unwrap();
    for scenario in halo_harness::scenario::parse(text, "f", "f").unwrap() {
        let result = halo_harness::run::run_one(&crate::support::plan(), &registry, scenario);
        let verdict = result.judgement.verdict;
        assert_eq!(verdict, halo_harness::verdict::Verdict::Invalid, "{}", result.scenario.id);
    }
}

/// Gherkin takes a line without a keyword for a description, and would drop the step without a word.
#[test]
fn a_misspelt_keyword_is_refused_with_its_line() {
    let whole = "Feature: f\n  A description.\n\n  Background:\n    Given a running Kingdom\n\n  \
                 Scenario: s\n    When edp1 reads the certificate edp1.certificate\n    Then the call succeeds\n";
    assert_eq!(parse(whole).unwrap().len(), 1);
    for (right, misspelt, line) in [
        ("Given a running", "Gven a running", 5),
        ("When edp1", "Whn edp1", 8),
        ("Scenario: s", "Scenaro: s", 8),
    ] {
        let text = match misspelt {
            "Scenaro: s" => whole
                .replace("  Background:\n    Given a running Kingdom\n\n", "")
                .replace(right, misspelt),
            _ => whole.replace(right, misspelt),
        };
        let UsageError::Feature { line: at, reason, .. } = parse(&text).unwrap_err() else {
            panic!("{misspelt}")
        };
        let line = if misspelt == "Scenaro: s" { 5 } else { line };
        assert_eq!(at, line, "{misspelt}: {reason}");
    }
}

#[test]
fn a_keyword_without_a_step_is_refused_with_its_own_line() {
    let text = "Feature: f\n  Scenario: s\n    Given a running Kingdom\n    When\n    Then the call succeeds\n";
    let Err(UsageError::Feature { line, reason, .. }) = parse(text) else { panic!("{text}") };
    assert_eq!(line, 4, "{reason}");
    assert!(reason.contains("`When` says nothing"), "{reason}");
}

#[test]
fn a_tag_that_nobody_has_is_named_with_the_one_that_was_meant() {
    let scenarios = parse(OUTLINE).unwrap();
    assert_eq!(scenario::unknown_tag(&scenarios, "@slow and not @contract-1.1.12"), None);
    let (tag, hint) = scenario::unknown_tag(&scenarios, "not (@slow or @sloww)").unwrap();
    assert_eq!((tag.as_str(), hint.as_str()), ("@sloww", "; did you mean @slow?"));
}

#[test]
fn a_tag_that_is_almost_one_that_claims_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.feature");
    for tag in ["@rotaton", "@Rotation", "@cut-over"] {
        let text = format!("Feature: f\n  {tag}\n  Scenario: s\n    Given a running Kingdom\n");
        std::fs::write(&path, text).unwrap();
        let Err(UsageError::Feature { line, reason, .. }) =
            scenario::from_paths(std::slice::from_ref(&path))
        else {
            panic!("{tag}")
        };
        assert_eq!(line, 2, "{reason}");
        assert!(reason.contains(&format!("{tag} claims nothing")), "{reason}");
    }
    for tag in ["@rotation", "@cutover", "@slow", "@rotation-of-keys"] {
        let text = format!("Feature: f\n  {tag}\n  Scenario: s\n    Given a running Kingdom\n");
        std::fs::write(&path, text).unwrap();
        assert!(scenario::from_paths(std::slice::from_ref(&path)).is_ok(), "{tag}");
    }
}
