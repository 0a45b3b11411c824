//! Golden files: what differs from run to run is blanked, and the first difference is shown.

use regex::Regex;
use std::path::Path;

/// Compares a text with its golden file in `snapshots/`; with `UPDATE_SNAPSHOTS` set, writes it.
#[track_caller]
pub(crate) fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/snapshots").join(name);
    let text = redacted(text);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some(difference) = first_difference(&golden, &text) {
        panic!(
            "{name}, {difference}\nif it is meant: UPDATE_SNAPSHOTS=1 cargo test -p halo-harness \
             --test harness, and look at what git diff shows"
        );
    }
}

/// Line, what was expected and what is there.
fn first_difference(golden: &str, text: &str) -> Option<String> {
    if golden == text {
        return None;
    }
    let (mut expected, mut found) = (golden.lines(), text.lines());
    for line in 1.. {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (expected, found) if expected == found => {}
            (expected, found) => {
                let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return Some(format!(
                    "line {line}\n  expected: {}\n  observed: {}",
                    shown(expected),
                    shown(found)
                ));
            }
        }
    }
    Some("another end of line".to_owned())
}

/// Times, digests and key identifiers, ids of resources, addresses.
fn redacted(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, blank) in [
        (r"\b20\d\d-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"\b[0-9a-f]{16,}\b", "HEX"),
        (r"\b(dataProviders|measurementConsumers|certificates)/[A-Za-z0-9_-]{11}", "$1/ID"),
        (r#""(nanos|seconds)":\d+"#, r#""$1":0"#),
        (r"(10|127)\.\d+\.\d+\.\d+:\d+", "ADDRESS"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, blank).into_owned();
    }
    text
}

#[test]
fn the_first_difference_is_shown_and_a_golden_file_that_is_missing_is_one() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    let shown = first_difference("a\nb\nc\n", "a\nx\ny\n").unwrap();
    assert_eq!(shown, "line 2\n  expected: b\n  observed: x");
    assert!(first_difference("", "a\n").unwrap().contains("expected: (the end)"));
    assert!(first_difference("a\n", "a").is_some());
}

#[test]
fn what_differs_from_run_to_run_is_blanked_and_nothing_else() {
    assert_eq!(redacted("2030-01-01T00:00:00.5Z FAIL 17"), "TIME FAIL 17");
    assert_eq!(redacted("dataProviders/AAAAAAAAAZQ is 7"), "dataProviders/ID is 7");
}
