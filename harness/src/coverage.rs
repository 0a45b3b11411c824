//! Which clause of the contract is held by which scenario or test.
//!
//! `scenarios/clauses.toml` names every numbered clause of sections 1 to 3. A scenario holds the
//! clauses that its tags name, provided that it ran and one of its `Then` steps compared something
//! ([`holds`]); a test of section 3 those that it cites ([`scan`]).

pub mod scan;

use crate::observation::Fact;
use crate::run::ScenarioResult;
use crate::scenario::Scenario;
use crate::verdict::Verdict;
use std::collections::{BTreeMap, BTreeSet};

static CLAUSES: &str = include_str!("../../scenarios/clauses.toml");

/// How many clauses a scenario may name: with more, a red one says little.
pub const CLAUSES_A_SCENARIO: usize = 3;

/// One clause, or one row of a table whose rows are rules of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its number, such as `1.1.9` or `1.1.2/RevokeCertificate`.
    pub id: String,
    /// What it is about, in one line.
    pub title: String,
    /// Why nobody can observe it, if nobody can.
    pub unobservable: Option<String>,
}

/// A fault of `clauses.toml`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clauses.toml:{line}: {what}")]
pub struct ClausesError {
    /// Where.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Every clause, in the order of the file.
///
/// # Errors
/// The file that was compiled in is wrong.
pub fn clauses() -> Result<Vec<Clause>, ClausesError> {
    parse(CLAUSES)
}

/// Parses the part of TOML that the file uses: `[[clause]]`, comments, and keys with a one-line string.
///
/// # Errors
/// Anything else, a key that does not exist, a clause without id or title, an id that stands twice.
pub fn parse(text: &str) -> Result<Vec<Clause>, ClausesError> {
    let mut clauses: Vec<Clause> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: &str| ClausesError { line: index + 1, what: what.to_owned() };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[clause]]" {
            clauses.push(Clause { id: String::new(), title: String::new(), unobservable: None });
            continue;
        }
        let clause =
            clauses.last_mut().ok_or_else(|| wrong("a key before the first [[clause]]"))?;
        let (key, value) =
            line.split_once('=').ok_or_else(|| wrong("neither a key nor a table"))?;
        let value = value
            .trim()
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .filter(|value| !value.is_empty() && !value.contains(['"', '\\']))
            .ok_or_else(|| wrong("the value is no plain string"))?;
        match key.trim() {
            "id" => clause.id = value.to_owned(),
            "title" => clause.title = value.to_owned(),
            "unobservable" => clause.unobservable = Some(value.to_owned()),
            _ => return Err(wrong("no such key: there are id, title, unobservable")),
        }
    }
    let mut seen = BTreeSet::new();
    for clause in &clauses {
        let broken = |what: String| ClausesError { line: 0, what };
        if clause.id.is_empty() || clause.title.is_empty() {
            return Err(broken(format!("clause `{}` has no id or no title", clause.id)));
        }
        if !seen.insert(&clause.id) {
            return Err(broken(format!("clause {} stands twice", clause.id)));
        }
    }
    Ok(clauses)
}

/// A test and what it cites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Citation {
    /// Its file and name.
    pub test: &'static str,
    /// Clauses of section 3.
    pub clauses: &'static [&'static str],
    /// Names of quirks.
    pub quirks: &'static [&'static str],
}

// `CITATIONS`: what [`scan`] finds in the tests of section 3, put together by the build script.
include!(concat!(env!("OUT_DIR"), "/citations.rs"));

/// Every test of section 3 that counts, as it was when this was built.
pub fn citations() -> &'static [Citation] {
    CITATIONS
}

/// The scenarios by the clause that their tags name.
pub fn scenarios_by_clause(scenarios: &[Scenario]) -> BTreeMap<String, BTreeSet<String>> {
    let mut by_clause: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for scenario in scenarios {
        for clause in scenario.clauses() {
            by_clause.entry(clause).or_default().insert(scenario.id.clone());
        }
    }
    by_clause
}

/// The tests by the clause that they cite.
pub fn tests_by_clause() -> BTreeMap<String, BTreeSet<String>> {
    let mut by_clause: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for citation in citations() {
        for clause in citation.clauses {
            by_clause.entry((*clause).to_owned()).or_default().insert(citation.test.to_owned());
        }
    }
    by_clause
}

/// Whether a scenario that ran holds the clauses it names: it passed, and a `Then` of its own compared
/// an expected value with an observed one.
pub fn holds(result: &ScenarioResult) -> bool {
    let mut is_own_then = false;
    let mut compared = false;
    for observation in &result.log {
        match &observation.fact {
            Fact::Step(step) => is_own_then = step.is_then && !step.is_background,
            Fact::Check(check) => compared |= is_own_then && check.holds,
            _ => {}
        }
    }
    compared && result.judgement.verdict == Verdict::Pass
}

#[cfg(test)]
mod tests_of_coverage {
    use super::*;

    #[test]
    fn a_file_of_clauses_is_read_and_its_faults_are_placed() {
        let text = "# c\n[[clause]]\nid = \"1.1.9\"\ntitle = \"ids\"\nunobservable = \"why\"\n";
        let clause = Clause {
            id: "1.1.9".to_owned(),
            title: "ids".to_owned(),
            unobservable: Some("why".to_owned()),
        };
        assert_eq!(parse(text), Ok(vec![clause]));
        for (wrong, line) in [
            ("id = \"1\"", 1),
            ("[[clause]]\nid = 1", 2),
            ("[[clause]]\nname = \"x\"", 2),
            ("[[clause]]\nnonsense", 2),
            ("[[clause]]\nid = \"1\"", 0),
            ("[[clause]]\nid = \"1\"\ntitle = \"t\"\n[[clause]]\nid = \"1\"\ntitle = \"t\"", 0),
        ] {
            assert_eq!(parse(wrong).unwrap_err().line, line, "{wrong}");
        }
    }

    #[test]
    fn the_file_that_is_compiled_in_can_be_read() {
        assert!(clauses().unwrap().len() > 100);
    }

    const TESTS: &str = r#"
/// 3.10 rows 5 to 7, row 9; 3.2.4 (quirks one-key and another-key): what 3 things do. 3.13.1 d, e.
#[test]
fn cites() {
    assert_eq!(x, ("3.10/11", 1));
}

/// 3.1.1
#[test]
fn asserts_nothing() {
    call();
}

/// 3.1.1
#[test]
fn calls_one_that_asserts() {
    is_no_test();
}

/// 3.1.2
#[test]
#[ignore]
fn is_not_run() {
    assert!(true);
}

/// 3.1.3
fn is_no_test() {
    assert!(true);
}

    /// TLS 1.3.1, OID 1.2.840, 3.14.
    #[tokio::test(start_paused = true)]
    async fn is_async() {
        assert!(true);
    }
"#;

    #[test]
    fn tests_that_assert_are_found_with_what_they_cite() {
        let found = scan::citing(TESTS);
        let names: Vec<_> = found.iter().map(|citing| citing.test.as_str()).collect();
        assert_eq!(names, ["cites", "calls_one_that_asserts", "is_async"]);
        let clauses = [
            "3.10", "3.10/5", "3.10/6", "3.10/7", "3.10/9", "3.2.4", "3.13.1", "3.13.1/d",
            "3.13.1/e", "3.10/11",
        ];
        assert_eq!(found[0].clauses, clauses);
        assert_eq!(found[0].quirks, ["one-key", "another-key"]);
        assert_eq!(found[2].clauses, ["3.14"]);
    }
}
