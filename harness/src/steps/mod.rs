//! The Gherkin vocabulary, grouped by concept. Steps unpack their text and act on the
//! [`World`]; they hold no rule: a `Then` asks [`crate::verdict::check`].
//!
//! The registry is ours rather than the cucumber crate's: each step carries an example for `list
//! --steps`, returns a typed [`Stop`] instead of panicking, and is matched by its kind.

mod api_credentials;
mod authentication;
mod calls;
mod certificates;
mod cutover;
mod deadness;
mod duchies;
mod event_groups;
mod events;
mod faults;
mod impact;
mod keys;
mod measurements;
mod monitoring;
mod network;
mod operator;
mod panel_match;
mod participants;
mod probes;
mod procedures;
mod records;
mod reencryption;
mod replicas;
mod settings;
mod time;

use crate::error::Problem;
use crate::nearest;
use crate::world::{StepResult, Stop, World};
use futures::future::LocalBoxFuture;
use gherkin::StepType;
pub(crate) use panel_match::look_at_dead_to_peers;
use regex::Regex;
use regex_syntax::hir::literal::Extractor;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Given` or `When`: it acts.
    Action,
    /// `Then`: it compares, and fails if the comparison does not hold.
    Check,
    /// Both: it may stand anywhere, and compares.
    Either,
}

/// One step of the vocabulary.
pub struct StepDefinition {
    /// What it is for.
    pub kind: Kind,
    /// Regular expression over the whole text.
    pub pattern: &'static str,
    /// A use of it, keyword included, with the table or doc string below it if it reads one.
    pub example: &'static str,
    /// What it does.
    pub run: Run,
}

/// The body of a step.
pub type Run = for<'a> fn(&'a mut World, &'a Arguments) -> LocalBoxFuture<'a, StepResult>;

/// What a step was given.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    captures: Vec<String>,
    doc: Option<String>,
    table: Option<Vec<Vec<String>>>,
    doc_was_read: Cell<bool>,
    table_was_read: Cell<bool>,
}

impl Arguments {
    /// What stands under the step though it does not read it.
    pub fn unused(&self) -> Option<Problem> {
        let what = if self.doc.is_some() && !self.doc_was_read.get() {
            "doc string"
        } else if self.table.is_some() && !self.table_was_read.get() {
            "table"
        } else {
            return None;
        };
        Some(Problem::author(
            format!("the step does not read the {what} below it"),
            "take it away; `halo-harness list --steps` shows what stands below the steps that do",
        ))
    }

    /// The text of group `index`, counted from 0; empty if the group did not take part.
    fn text(&self, index: usize) -> &str {
        self.captures.get(index).map_or("", String::as_str)
    }

    /// A number out of group `index`.
    fn number<N: FromStr>(&self, index: usize) -> Result<N, Problem> {
        let text = self.text(index);
        text.parse().map_err(|_| {
            Problem::author(format!("`{text}` is not a number that fits here"), "correct it")
        })
    }

    /// The doc string.
    fn doc(&self) -> Result<&str, Problem> {
        self.doc_was_read.set(true);
        // The parser leaves the newline after the opening quotes in; lines count from the text.
        let text = self.doc.as_deref().map(|doc| doc.strip_prefix('\n').unwrap_or(doc));
        text.ok_or_else(|| {
            Problem::author("the step has no doc string", "put one below it, between \"\"\"")
        })
    }

    /// The table, each row with exactly `width` cells.
    fn table(&self, width: usize) -> Result<&[Vec<String>], Problem> {
        self.table_was_read.set(true);
        let rows = self.table.as_deref().unwrap_or_default();
        if rows.is_empty() || rows.iter().any(|row| row.len() != width) {
            return Err(Problem::author(
                format!("the step needs a table with {width} column(s)"),
                "put one below it, without a header",
            ));
        }
        Ok(rows)
    }
}

/// Writes one [`StepDefinition`]: kind, pattern, example, body.
macro_rules! step {
    ($kind:ident, $pattern:literal, $example:literal, |$world:ident, $arguments:ident| $body:block) => {
        $crate::steps::StepDefinition {
            kind: $crate::steps::Kind::$kind,
            pattern: $pattern,
            example: $example,
            run: |$world, $arguments| Box::pin(async move { $body }),
        }
    };
}
pub(crate) use step;

/// The whole vocabulary, compiled.
pub struct Registry {
    steps: Vec<(Pattern, StepDefinition)>,
    /// The patterns that a text was found to match before: scenarios and their twins repeat most of
    /// their steps, and looking through all patterns is dear.
    found: Mutex<BTreeMap<String, Vec<usize>>>,
}

/// A step's pattern, compiled when a text first begins as it does: a small run uses few of them, and
/// to compile all takes longer than to play many a scenario.
struct Pattern {
    whole: String,
    /// What every text that matches begins with.
    prefix: String,
    regex: OnceLock<Regex>,
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, Problem> {
        // Names are of ASCII letters and digits, as the sandbox's are; those of all scripts take ten times as
        // long to compile, and no number can be read from their digits.
        let pattern = pattern.replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "[0-9]");
        let whole = format!("^(?:{pattern})$");
        let parsed = regex_syntax::parse(&whole)
            .map_err(|error| Problem::harness(format!("a step's pattern: {error}")))?;
        let prefixes = Extractor::new().extract(&parsed);
        let prefix = prefixes.longest_common_prefix().unwrap_or_default();
        let prefix = String::from_utf8_lossy(prefix).trim_end_matches('\u{fffd}').to_owned();
        Ok(Self { whole, prefix, regex: OnceLock::new() })
    }

    /// The compiled pattern, if a text may match it.
    fn for_text(&self, text: &str) -> Option<&Regex> {
        let compiled = || Regex::new(&self.whole).expect("what parses compiles: see the tests");
        text.starts_with(&self.prefix).then(|| self.regex.get_or_init(compiled))
    }
}

/// Why a step's text leads nowhere.
#[derive(Debug)]
pub enum NoMatch {
    /// No pattern matches; the example that reads most like it.
    Undefined(Option<&'static str>),
    /// Several do.
    Ambiguous(Vec<&'static str>),
}

impl Registry {
    /// Collects the vocabulary.
    ///
    /// # Errors
    /// A pattern is not a regular expression: a fault of the harness.
    pub fn new() -> Result<Self, Problem> {
        let groups = [
            settings::steps(),
            authentication::steps(),
            calls::steps(),
            certificates::steps(),
            keys::steps(),
            duchies::steps(),
            measurements::steps(),
            monitoring::steps(),
            event_groups::steps(),
            operator::steps(),
            probes::steps(),
            procedures::steps(),
            cutover::steps(),
            participants::steps(),
            deadness::steps(),
            panel_match::steps(),
            reencryption::steps(),
            impact::steps(),
            api_credentials::steps(),
            events::steps(),
            records::steps(),
            replicas::steps(),
            time::steps(),
            network::steps(),
            faults::steps(),
        ];
        let steps = groups
            .into_iter()
            .flatten()
            .map(|step| Pattern::new(step.pattern).map(|pattern| (pattern, step)))
            .collect::<Result<_, Problem>>()?;
        Ok(Self { steps, found: Mutex::default() })
    }

    /// Every step, in the order of the documentation.
    pub fn steps(&self) -> impl Iterator<Item = &StepDefinition> {
        self.steps.iter().map(|(_, step)| step)
    }

    /// The patterns that match a text.
    fn matching(&self, text: &str) -> Vec<usize> {
        let found = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found().get(text) {
            return known.clone();
        }
        let is_match = |index: &usize| {
            self.steps[*index].0.for_text(text).is_some_and(|regex| regex.is_match(text))
        };
        let matching: Vec<_> = (0..self.steps.len()).filter(is_match).collect();
        found().insert(text.to_owned(), matching.clone());
        matching
    }

    /// The step whose example reads most like this text.
    fn nearest(&self, text: &str, is_check: bool) -> Option<&'static str> {
        let fits = |step: &&StepDefinition| match step.kind {
            Kind::Action => !is_check,
            Kind::Check => is_check,
            Kind::Either => true,
        };
        let examples = self.steps().filter(fits).filter_map(|step| {
            let first = step.example.lines().next()?;
            Some(first.split_once(' ')?.1)
        });
        nearest::nearest(text, examples)
    }

    /// Finds the one step that a line means.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&self, step: &gherkin::Step) -> Result<(&StepDefinition, Arguments), NoMatch> {
        let is_check = step.ty == StepType::Then;
        let mut found = Vec::new();
        for index in self.matching(&step.value) {
            let (pattern, definition) = &self.steps[index];
            let fits = match definition.kind {
                Kind::Action => !is_check,
                Kind::Check => is_check,
                Kind::Either => true,
            };
            let regex = pattern.for_text(&step.value).filter(|_| fits);
            if let Some(captures) = regex.and_then(|regex| regex.captures(&step.value)) {
                found.push((definition, captures));
            }
        }
        if found.len() > 1 {
            return Err(NoMatch::Ambiguous(found.iter().map(|(step, _)| step.pattern).collect()));
        }
        let (definition, captures) =
            found.pop().ok_or_else(|| NoMatch::Undefined(self.nearest(&step.value, is_check)))?;
        let captures = captures
            .iter()
            .skip(1)
            .map(|group| group.map_or_else(String::new, |group| group.as_str().to_owned()))
            .collect();
        let table = step.table.as_ref().map(|table| table.rows.clone());
        let doc = step.docstring.clone();
        Ok((definition, Arguments { captures, doc, table, ..Arguments::default() }))
    }
}

impl From<NoMatch> for Stop {
    fn from(no_match: NoMatch) -> Self {
        Self::Problem(match no_match {
            NoMatch::Undefined(nearest) => Problem::author(
                match nearest {
                    Some(example) => {
                        format!("the step is undefined; the nearest is like `{example}`")
                    }
                    None => "the step is undefined".to_owned(),
                },
                "`halo-harness list --steps` prints the vocabulary; a check needs `Then`",
            ),
            NoMatch::Ambiguous(patterns) => Problem::author(
                format!("the step is ambiguous: {}", patterns.join(" | ")),
                "word it so that one pattern matches",
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_matches_its_own_example() {
        let registry = Registry::new().unwrap();
        for (pattern, step) in &registry.steps {
            assert!(Regex::new(&pattern.whole).is_ok(), "{}", step.pattern);
            let first = step.example.lines().next().unwrap_or_default();
            let (_, text) = first.split_once(' ').unwrap_or_default();
            let found = pattern.for_text(text).is_some_and(|regex| regex.is_match(text));
            assert!(found, "`{}` does not match `{text}`", step.pattern);
        }
    }

    #[test]
    fn a_text_is_looked_at_only_by_patterns_that_begin_as_it_does() {
        let looked_at =
            |pattern: &str, text: &str| Pattern::new(pattern).unwrap().for_text(text).is_some();
        assert!(looked_at(r"(\w+) calls (\w+)", "edp1 calls X"));
        assert!(looked_at(r"the probes stop|probes end", "probes end"));
        assert!(looked_at(r"the clocks? moves?", "the clock move"));
        assert!(!looked_at(r"the probes stop", "the Kingdom stops"));
        assert!(Pattern::new(r"the (probes").is_err());
    }

    #[test]
    fn names_and_numbers_are_ascii() {
        let matches = |text: &str| {
            let pattern = Pattern::new(r"(\w+) waits (\d+) ms for ([\w/.]+)").unwrap();
            pattern.for_text(text).is_some_and(|regex| regex.is_match(text))
        };
        assert!(matches("edp_1 waits 20 ms for kingdom/0"));
        assert!(!matches("édp1 waits 20 ms for x"));
        assert!(!matches("edp1 waits ٢٠ ms for x"));
    }
}
