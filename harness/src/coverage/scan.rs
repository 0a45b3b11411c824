//! Which clauses of section 3 and which quirks a test file cites.
//!
//! A citation is a clause number in the doc comment of a test (`/// 3.10 rows 5 to 7, 3.2.4: ...`), or in
//! a string of its body (`"3.10/5"`). It counts only for a function with `#[test]` or
//! `#[tokio::test]` that every `cargo test` runs to its assertions: without `#[ignore]`, `#[cfg]` (its
//! own or its module's) and `should_panic`, with no `return` before the first assertion, and with an
//! assertion in its code, or a call of a function of the same file that has one. Comments and strings
//! are no code, and `assert!(true)` is no assertion.
//!
//! A file counts only if it is compiled: [`module_files`] follows the `mod` lines.
//!
//! Limits: the text is scanned, not run, since test programs run in any order and `list --clauses` has
//! to know without them. That the test passes is what `cargo test` says; that it asserts what the clause
//! says is for its reader to judge, who has at most
//! [`CLAUSES_A_SCENARIO`](super::CLAUSES_A_SCENARIO) clauses to look for.

use std::io;
use std::path::{Path, PathBuf};

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

const ASSERTIONS: [&str; 4] = ["assert!(", "assert_eq!(", "assert_ne!(", "assert_matches!("];

/// Every test of a source file that counts, with what it cites.
pub fn citing(source: &str) -> Vec<Citing> {
    let lines: Vec<&str> = source.lines().collect();
    let code = without_comments(source, false);
    let bare = without_comments(source, true);
    let (code, bare): (Vec<&str>, Vec<&str>) = (code.lines().collect(), bare.lines().collect());
    let asserting = asserting_functions(&bare);
    let mut found = Vec::new();
    let mut doc = String::new();
    let mut attributes = String::new();
    // A file, or a module within it, that is not always compiled.
    if bare.iter().any(|line| line.starts_with("#![cfg")) {
        return found;
    }
    let mut not_compiled_to = 0;
    for (index, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        if let Some(comment) = text.strip_prefix("///") {
            doc.push_str(comment);
            doc.push('\n');
        } else if text.starts_with("#[") {
            attributes.push_str(text);
        } else {
            let is_optional = attributes.contains("#[cfg") && !attributes.contains("#[cfg(test)]");
            if is_optional && text.contains("mod ") && text.ends_with('{') {
                not_compiled_to = index + body(&bare[index..]).lines().count();
            }
            if let (Some(test), true) = (function_name(text), index >= not_compiled_to)
                && runs(&attributes)
            {
                let bare = body(&bare[index..]);
                let calls = |name: &String| bare.contains(&format!("{name}("));
                let asserts = asserts_itself(&bare) || asserting.iter().any(calls);
                if asserts && !may_end_early(&bare) {
                    found.push(cited(test, &doc, &body(&code[index..])));
                }
            }
            doc.clear();
            attributes.clear();
        }
    }
    found
}

/// The files that make up a module: its root (`main.rs` or `mod.rs`), and whatever `mod` lines name from
/// there on, in the order of their names. A file that none names is in no test program, and one behind a
/// `#[cfg]` not in every one.
///
/// # Errors
/// The root, or a file that is named, cannot be read.
pub fn module_files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(file) = open.pop() {
        let source = std::fs::read_to_string(&file).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let stem = file.file_stem().unwrap_or_default();
        let is_root = file == root || stem == "mod";
        let within = if is_root { folder.to_owned() } else { folder.join(stem) };
        for module in modules(&source) {
            let plain = within.join(format!("{module}.rs"));
            let of_folder = within.join(&module).join("mod.rs");
            open.push(if plain.exists() { plain } else { of_folder });
        }
        found.push(file);
    }
    found.sort();
    Ok(found)
}

/// The modules that a source file names with a file of their own.
fn modules(source: &str) -> Vec<String> {
    let bare = without_comments(source, true);
    let mut found = Vec::new();
    let mut attributes = String::new();
    for line in bare.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push_str(line);
            continue;
        }
        let declared = line.strip_suffix(';').and_then(|line| {
            let (visibility, name) = line.split_once("mod ")?;
            let is_visibility = visibility.is_empty() || visibility.starts_with("pub");
            is_visibility.then(|| name.trim())
        });
        let is_optional = attributes.contains("#[cfg") && !attributes.contains("#[cfg(test)]");
        if let (Some(name), false) = (declared, is_optional) {
            found.push(name.to_owned());
        }
        if !line.is_empty() {
            attributes.clear();
        }
    }
    found
}

/// Whether a function with these attributes is a test that runs in every `cargo test`, and passes only
/// if its assertions hold.
fn runs(attributes: &str) -> bool {
    let is_test = attributes.contains("#[test]") || attributes.contains("#[tokio::test");
    is_test && !["#[ignore", "#[cfg", "should_panic"].iter().any(|no| attributes.contains(no))
}

/// Whether a body gives up before its first assertion, as a test does that lacks a tool.
fn may_end_early(bare: &str) -> bool {
    let first = ASSERTIONS.iter().filter_map(|assertion| bare.find(assertion)).min();
    let before = bare.get(..first.unwrap_or(bare.len())).unwrap_or_default();
    before.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "return")
}

/// The same text, line by line, with comments blanked and, if asked for, what stands in strings: what is
/// left is code. Raw strings and character literals are known.
fn without_comments(source: &str, strings_too: bool) -> String {
    let mut out = String::with_capacity(source.len());
    let all: Vec<char> = source.chars().collect();
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    let mut at = 0;
    while at < all.len() {
        let starts =
            |text: &str| text.chars().enumerate().all(|(i, c)| all.get(at + i) == Some(&c));
        let hashes = all[at..].iter().skip(1).take_while(|c| **c == '#').count();
        let end = if starts("//") {
            all[at..].iter().position(|c| *c == '\n').map_or(all.len(), |length| at + length)
        } else if all[at] == 'r' && all.get(at + 1 + hashes) == Some(&'"') {
            let closing: Vec<char> =
                std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let from = at + hashes + 2;
            let closed = all[from..].windows(closing.len()).position(|window| window == closing);
            closed.map_or(all.len(), |length| from + length + closing.len())
        } else if all[at] == '"' {
            let mut end = at + 1;
            while end < all.len() && all[end] != '"' {
                end += if all[end] == '\\' { 2 } else { 1 };
            }
            (end + 1).min(all.len())
        } else if starts("'\"'") || starts("'\\\"'") {
            at + if starts("'\"'") { 3 } else { 4 }
        } else {
            at + 1
        };
        let is_code = end == at + 1 && all[at] != '"';
        let keep = is_code || (!starts("//") && !strings_too);
        out.extend(all[at..end].iter().map(|c| if keep { *c } else { blank(*c) }));
        at = end;
    }
    out
}

/// The functions of the file that assert something themselves: a test that calls one asserts too.
fn asserting_functions(bare: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for (index, line) in bare.iter().enumerate() {
        if let Some(name) = function_name(line.trim_start())
            && asserts_itself(&body(&bare[index..]))
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// Whether a function's body has an assertion of its own, other than of a constant.
fn asserts_itself(bare: &str) -> bool {
    ASSERTIONS.iter().any(|assertion| {
        bare.match_indices(assertion).any(|(at, found)| {
            let rest = bare.get(at + found.len()..).unwrap_or_default().trim_start();
            !["true)", "true,", "!false", ")"].iter().any(|constant| rest.starts_with(constant))
        })
    })
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
    // A quirk that the doc comment names and the code does not switch is only talk.
    citing.quirks.retain(|quirk| body.contains(&format!("PeerQuirk::{}", variant(quirk))));
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

/// The variant of a quirk's name: `cli-sends-no-oid`, `CliSendsNoOid`.
fn variant(quirk: &str) -> String {
    let capital = |word: &str| {
        let mut characters = word.chars();
        characters
            .next()
            .map(|first| first.to_ascii_uppercase())
            .into_iter()
            .chain(characters)
            .collect::<String>()
    };
    quirk.split('-').map(capital).collect()
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
