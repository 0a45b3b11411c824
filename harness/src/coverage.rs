//! Which clause of the contract is held by which scenario or test.
//!
//! `scenarios/clauses.toml` names every numbered clause; those of sections 1 to 3 must be held. A scenario holds the
//! clauses that its tags name, provided that it ran and one of its `Then` steps compared something
//! ([`holds`]); a test of section 3 those that it cites ([`scan`]).

pub mod scan;

use crate::observation::Fact;
use crate::run::ScenarioResult;
use crate::scenario::Scenario;
use crate::verdict::Verdict;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

static CLAUSES: &str = include_str!("../../scenarios/clauses.toml");

/// How many clauses a scenario or a test may name: with more, a red one says little.
pub const CLAUSES_A_SCENARIO: usize = 3;

/// One clause, or one row of a table whose rows are rules of their own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// Reads a file of clauses.
///
/// # Errors
/// No TOML, a key that does not exist, a clause without id or title, an id that stands twice.
pub fn parse(text: &str) -> Result<Vec<Clause>, ClausesError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        clause: Vec<toml::Spanned<Clause>>,
    }
    let line_at = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    let file: File = toml::from_str(text).map_err(|error| ClausesError {
        line: line_at(error.span().map_or(0, |span| span.start)),
        what: error.message().to_owned(),
    })?;
    let mut seen = BTreeSet::new();
    let mut clauses = Vec::new();
    for spanned in file.clause {
        let line = line_at(spanned.span().start);
        let clause = spanned.into_inner();
        if clause.id.is_empty() || clause.title.is_empty() {
            let what = format!("clause `{}` has no id or no title", clause.id);
            return Err(ClausesError { line, what });
        }
        if !seen.insert(clause.id.clone()) {
            return Err(ClausesError { line, what: format!("clause {} stands twice", clause.id) });
        }
        clauses.push(clause);
    }
    Ok(clauses)
}

/// The known clause that is nearest to one that is none; `None` if it is one, or a table as a
/// whole.
pub fn nearest_to_unknown<'a>(cited: &str, clauses: &'a [Clause]) -> Option<&'a str> {
    let whole = |clause: &Clause| {
        clause.id.strip_prefix(cited).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if clauses.iter().any(whole) {
        return None;
    }
    // Of equals the one of the same section.
    let alike =
        |id: &str| cited.chars().zip(id.chars()).take_while(|(one, other)| one == other).count();
    let nearest = clauses.iter().min_by_key(|clause| {
        (strsim::levenshtein(cited, &clause.id), std::cmp::Reverse(alike(&clause.id)))
    });
    nearest.map(|clause| clause.id.as_str())
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
            ("[[clause]]\nid = \"1\"", 1),
            ("[[clause]]\nid = \"1\"\ntitle = \"\"", 1),
            ("[[clause]]\nid = \"1\"\ntitle = \"t\"\n[[clause]]\nid = \"1\"\ntitle = \"t\"", 4),
        ] {
            assert_eq!(parse(wrong).unwrap_err().line, line, "{wrong}");
        }
    }

    #[test]
    fn the_file_that_is_compiled_in_can_be_read() {
        assert!(clauses().unwrap().len() > 100);
    }

    #[test]
    fn an_unknown_clause_is_told_with_the_nearest_one() {
        let clauses = clauses().unwrap();
        let nearest = |cited| nearest_to_unknown(cited, &clauses);
        assert_eq!(nearest("1.1.9"), None);
        assert_eq!(nearest("3.10"), None, "a table as a whole");
        assert_eq!(nearest("5.4.1"), None);
        assert_eq!(nearest("5.4.99"), Some("5.4.1"));
        assert_eq!(nearest("1.1.99"), Some("1.1.9"));
        assert_eq!(nearest("1.1.2/RevokeCertificates"), Some("1.1.2/RevokeCertificate"));
        assert_eq!(nearest("3.1"), Some("3.14"), "the start of a number is no section");
    }

    const TESTS: &str = r#"
/// 3.10 rows 5 to 7, row 9; 3.2.4 (quirks one-key, another-key and never-switched): what 3 things do. 3.13.1 d, e.
#[test]
fn cites() {
    switch(PeerQuirk::OneKey, PeerQuirk::AnotherKey);
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
    assert!(called());
}

/// 3.1.3
fn is_no_test() {
    assert!(called());
}

    /// TLS 1.3.1, OID 1.2.840, 3.14.
    #[tokio::test(start_paused = true)]
    async fn is_async() {
        assert!(called());
    }

/// 3.1.1
#[test]
fn asserts_in_a_comment_and_a_string_only() {
    // assert_eq!(1, 2);
    call("assert_eq!(1, 2)", r"assert!(x)", '"');
}

/// 3.1.1
#[test]
fn asserts_a_constant() {
    assert!(true);
}

/// 3.1.1
#[test]
#[should_panic]
fn should_panic() {
    assert!(called());
}

/// 3.1.1
#[cfg(windows)]
#[test]
fn is_not_compiled() {
    assert!(called());
}

/// 3.1.1
#[test]
fn gives_up_before_it_asserts() {
    let Some(tool) = tool() else { return };
    assert!(tool.works());
}

#[cfg(feature = "x")]
mod optional {
    /// 3.1.1
    #[test]
    fn is_in_a_module_that_is_not_compiled() {
        assert!(called());
    }
}

/// 3.1.2
#[test]
fn comes_behind_them() {
    // cites "3.1.3" in a comment
    assert!(called("3.1.4"));
}
"#;

    #[test]
    fn a_file_that_no_mod_line_names_is_no_test() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("named/deeper")).unwrap();
        std::fs::create_dir_all(at("folder")).unwrap();
        for (name, source) in [
            (
                "main.rs",
                "//! mod stray;\nmod named;\npub(crate) mod folder;\n#[cfg(windows)]\nmod other;\n",
            ),
            ("named.rs", "#[cfg(test)]\nmod deeper;\nfn f() { g(\"\nmod stray;\n\") }\n"),
            ("named/deeper.rs", "mod inline { }\n"),
            ("folder/mod.rs", "mod beside;\n// mod stray;\n"),
            ("folder/beside.rs", ""),
            ("other.rs", ""),
            ("stray.rs", "#[test]\nfn cites() { assert_eq!(x, \"3.1.1\"); }\n"),
        ] {
            std::fs::write(at(name), source).unwrap();
        }
        let found = scan::module_files(&at("main.rs")).unwrap();
        let counted =
            ["folder/beside.rs", "folder/mod.rs", "main.rs", "named/deeper.rs", "named.rs"];
        assert_eq!(found, counted.map(at));
        std::fs::remove_file(at("folder/beside.rs")).unwrap();
        assert!(scan::module_files(&at("main.rs")).is_err(), "one that is named and not there");
    }

    #[test]
    fn tests_that_assert_are_found_with_what_they_cite() {
        let found = scan::citing(TESTS);
        let names: Vec<_> = found.iter().map(|citing| citing.test.as_str()).collect();
        assert_eq!(names, ["cites", "calls_one_that_asserts", "is_async", "comes_behind_them"]);
        let clauses = [
            "3.10", "3.10/5", "3.10/6", "3.10/7", "3.10/9", "3.2.4", "3.13.1", "3.13.1/d",
            "3.13.1/e", "3.10/11",
        ];
        assert_eq!(found[0].clauses, clauses);
        assert_eq!(found[0].quirks, ["one-key", "another-key"]);
        assert_eq!(found[2].clauses, ["3.14"]);
        assert_eq!(found[3].clauses, ["3.1.2", "3.1.4"]);
    }
}
