//! `junit.xml`, made from the record.

use super::record::{Run, ScenarioRecord};
use crate::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The record as JUnit XML: one suite a feature file, one test case a scenario. FAIL is a failure,
/// INVALID an error, NOT_APPLICABLE skipped.
pub fn to_xml(run: &Run) -> String {
    let mut suites: BTreeMap<&str, Vec<&ScenarioRecord>> = BTreeMap::new();
    for scenario in &run.scenarios {
        suites.entry(suite(&scenario.id)).or_default().push(scenario);
    }
    let all: Vec<_> = run.scenarios.iter().collect();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites name=\"halo-harness {}\"{}>",
        escaped(run.environment),
        counts(&all, run.shows_red)
    );
    for (name, scenarios) in suites {
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\"{} timestamp=\"{}\">",
            escaped(name),
            counts(&scenarios, run.shows_red),
            escaped(&run.started)
        );
        for scenario in scenarios {
            case(&mut xml, name, scenario, run.shows_red);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(xml: &mut String, suite: &str, scenario: &ScenarioRecord, shows_red: bool) {
    let name = scenario.id.strip_prefix(suite).unwrap_or(&scenario.id).trim_start_matches('/');
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\"",
        escaped(&suite.replace('/', ".")),
        escaped(&match &scenario.fault {
            None => name.to_owned(),
            Some(fault) => format!("{name} [{fault}]"),
        })
    );
    let reason = scenario.reason.as_deref().unwrap_or_default();
    let element = match scenario.verdict {
        // What was expected is no failure: a pass, or the red of a negative twin.
        _ if scenario.as_expected
            && scenario.verdict != Verdict::NotApplicable
            && !(shows_red && scenario.verdict != Verdict::Pass) =>
        {
            xml.push_str("/>\n");
            return;
        }
        // A twin that is not red as stated: the harness would miss the fault.
        _ if scenario.fault.is_some() && !shows_red => "error",
        Verdict::Pass | Verdict::Fail => "failure",
        Verdict::Invalid => "error",
        Verdict::NotApplicable => "skipped",
    };
    let text = format!("{}: {reason}\nclauses: {}", scenario.place, scenario.clauses.join(", "));
    let _ = writeln!(
        xml,
        ">\n      <{element} message=\"{}\">{}</{element}>\n    </testcase>",
        escaped(reason),
        escaped(&text)
    );
}

fn suite(id: &str) -> &str {
    // Folder and file; the rest is the scenario.
    let mut slashes = id.match_indices('/').map(|(at, _)| at);
    let cut = if id.starts_with("contract/") { slashes.nth(2) } else { slashes.nth(1) };
    cut.or_else(|| id.rfind('/')).map_or(id, |at| &id[..at])
}

fn counts(scenarios: &[&ScenarioRecord], shows_red: bool) -> String {
    let count = |verdict| {
        let counts = |s: &&&ScenarioRecord| {
            s.verdict == verdict
                && (s.fault.is_none() || shows_red)
                && (!s.as_expected || shows_red || verdict == Verdict::NotApplicable)
        };
        scenarios.iter().filter(counts).count()
    };
    let is_blind = |s: &&&ScenarioRecord| s.fault.is_some() && !s.as_expected && !shows_red;
    let blind = scenarios.iter().filter(is_blind).count();
    format!(
        " tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        scenarios.len(),
        count(Verdict::Fail),
        count(Verdict::Invalid) + blind,
        count(Verdict::NotApplicable)
    )
}

/// Text for an attribute or element. What XML 1.0 cannot hold is shown as `\u{..}`.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}
