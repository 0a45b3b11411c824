//! Which clauses of section 3 and which quirks a test file cites.
//!
//! A citation is a clause number in the doc comment of a test (`/// 3.10 rows 5 to 7, 3.2.4: ...`), or in
//! a string of its body (`"3.10/5"`). It counts only for a function with `#[test]` or
//! `#[tokio::test]`, without `#[ignore]`, whose body asserts something or calls a function of the same
//! file that does.
//!
//! Limits: the text is scanned, not run. That the test passes is what `cargo test` says; that it
//! asserts what the clause says is for its reader to judge.

/// One test and what it cites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citing {
    /// The function's name.
    pub test: String,
    /// Clauses, such as `3.2.1` or `3.10/5`, in order, each once.
    pub clauses: Vec<String>,
    /// Names of quirks whose two settings it compares, as its doc comment says; or one setting, as its
    /// body sets it: `cli-sends-no-oid=faithful`.
    pub quirks: Vec<String>,
}

/// Every test of a source file that counts, with what it cites.
pub fn citing(source: &str) -> Vec<Citing> {
    let lines: Vec<&str> = source.lines().collect();
    let asserting = asserting_functions(&lines);
    let mut found = Vec::new();
    let mut doc = String::new();
    let mut attributes = String::new();
    for (index, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        if let Some(comment) = text.strip_prefix("///") {
            doc.push_str(comment);
            doc.push('\n');
        } else if text.starts_with("#[") {
            attributes.push_str(text);
        } else {
            let is_test = attributes.contains("#[test]") || attributes.contains("#[tokio::test");
            if let (Some(test), true) = (function_name(text), is_test) {
                let body = body(&lines[index..]);
                let calls = |name: &String| body.contains(&format!("{name}("));
                let asserts = asserts_itself(&body) || asserting.iter().any(calls);
                if asserts && !attributes.contains("#[ignore") {
                    found.push(cited(test, &doc, &body));
                }
            }
            doc.clear();
            attributes.clear();
        }
    }
    found
}

/// The functions of the file that assert something themselves: a test that calls one asserts too.
fn asserting_functions(lines: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(name) = function_name(line.trim_start())
            && asserts_itself(&body(&lines[index..]))
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// Whether a function's body has an assertion of its own.
fn asserts_itself(body: &str) -> bool {
    ["assert!(", "assert_eq!(", "assert_ne!(", "assert_matches!("]
        .iter()
        .any(|assertion| body.contains(assertion))
}

/// A function from its first line up to the brace that closes it, which stands in its column.
fn body(lines: &[&str]) -> String {
    let first = lines.first().copied().unwrap_or_default();
    let indent = &first[..first.len() - first.trim_start().len()];
    let end = format!("{indent}}}");
    lines.iter().take_while(|line| **line != end).copied().collect::<Vec<_>>().join("\n")
}

fn function_name(text: &str) -> Option<&str> {
    let text = text.strip_prefix("async ").unwrap_or(text);
    text.strip_prefix("fn ")?.split(['(', '<']).next()
}

fn cited(test: &str, doc: &str, body: &str) -> Citing {
    let mut citing = Citing { test: test.to_owned(), ..Citing::default() };
    in_doc(doc, &mut citing);
    // Strings of the body: `"3.10/5"`.
    for text in body.split('"').skip(1).step_by(2) {
        if is_clause(text.split('/').next().unwrap_or_default()) && !text.contains(' ') {
            keep(&mut citing.clauses, text.to_owned());
        }
        if text.ends_with("=faithful") || text.ends_with("=as-documented") {
            keep(&mut citing.quirks, text.to_owned());
        }
    }
    citing
}

/// Words of a doc comment: clause numbers, `row N`, `rows N to M` and letters that belong to the clause
/// before them, names after `quirk` or `quirks`.
fn in_doc(doc: &str, citing: &mut Citing) {
    let mut table: Option<String> = None;
    let mut rows = false;
    let mut last_row: Option<u32> = None;
    let mut names = false;
    let mut range = false;
    for word in doc.split_whitespace() {
        let ends = word.ends_with([':', ';', '.', ')']);
        let word = word.trim_matches(|c: char| ",:;().`".contains(c));
        let number = word.parse::<u32>().ok();
        if names && word.contains('-') {
            keep(&mut citing.quirks, word.to_owned());
        } else if is_clause(word) {
            keep(&mut citing.clauses, word.to_owned());
            table = Some(word.to_owned());
            (rows, last_row, range) = (false, None, false);
        } else if word == "row" || word == "rows" {
            rows = true;
        } else if let (Some(table), Some(to), true) = (&table, number, rows) {
            let from = if range { last_row.map_or(to, |row| row + 1) } else { to };
            for row in from..=to {
                keep(&mut citing.clauses, format!("{table}/{row}"));
            }
            (last_row, range) = (Some(to), false);
        } else if word == "to" {
            range = last_row.is_some();
        } else if let (Some(table), true) = (&table, is_letter(word)) {
            keep(&mut citing.clauses, format!("{table}/{word}"));
        } else if word != "and" {
            (rows, range) = (false, false);
            table = None;
        }
        names =
            word == "quirk" || word == "quirks" || (names && (word.contains('-') || word == "and"));
        if ends {
            // Behind a colon the text begins: its `a` is no letter of a list.
            (rows, range, names) = (false, false, false);
            table = None;
        }
    }
}

/// `3.`, one or two more numbers, and nothing else.
fn is_clause(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    let numbers =
        parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
    (2..=3).contains(&parts.len()) && parts[0] == "3" && numbers && parts[1].len() <= 2
}

fn is_letter(word: &str) -> bool {
    matches!(word, "a" | "b" | "c" | "d" | "e")
}

fn keep(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}
