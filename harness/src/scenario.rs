//! Feature files in, scenarios with stable ids out.

use crate::coverage;
use crate::error::UsageError;
use crate::nearest;
use crate::twins::Twin;
use cucumber::feature::Ext as _;
use cucumber::tag::Ext as _;
use gherkin::tagexpr::TagOperation;
use gherkin::{Feature, GherkinEnv};
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The scenarios that come with the program.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../scenarios");

/// The tag of scenarios that claim to change a credential.
pub const ROTATION: &str = "rotation";
/// The tag of those that claim to change who is let in without a certificate.
pub const CUTOVER: &str = "cutover";
/// The tag of those that only simulation can run: so can it only their twins.
pub const VIRTUAL_TIME: &str = "virtual-time";
/// The tags that change how a scenario is judged or run.
const CLAIMS: [&str; 3] = [ROTATION, CUTOVER, VIRTUAL_TIME];

/// Prefix of the tags that name a clause of the contract.
const CLAUSE_TAG: &str = "contract-";

/// One scenario, ready to run: outlines expanded, background steps in front.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Folder, file, and slug of the name; for an outline, plus the value of its first column.
    pub id: String,
    /// Its feature's name.
    pub feature: String,
    /// Its own name.
    pub name: String,
    /// Feature file, as given or as embedded.
    pub file: String,
    /// Line of the scenario, or of its row in the examples.
    pub line: usize,
    /// Its tags and its feature's, without `@`, in the order of the file.
    pub tags: Vec<String>,
    /// Its steps, the background's in front.
    pub steps: Vec<gherkin::Step>,
    /// How many of the steps are the background's: they alone make no scenario.
    pub background_steps: usize,
    /// The whole text of its feature file.
    pub source: Arc<str>,
    /// The fault that it is a negative twin by; `None` for the scenario itself.
    pub twin: Option<Twin>,
    /// What it is known to be red for, if it is a known deviation.
    pub deviation: Option<Twin>,
}

impl Scenario {
    /// How long its probes go on, by its own steps: what it takes at least in real time.
    pub fn waits_ms(&self) -> u64 {
        let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
        let of_step = |text: &str| {
            let mut words = text.split_whitespace().rev().skip_while(|word| *word != "ms").skip(1);
            words.next().filter(is_number).and_then(|word| word.parse().ok()).unwrap_or(0u64)
        };
        let of_schedule = |text: &str| {
            let days = text.strip_suffix(" days").and_then(|text| text.rsplit(' ').next());
            // An hour of it is a probe.
            days.filter(is_number).and_then(|days| days.parse().ok()).unwrap_or(0u64) * 60
        };
        let of = |text: &str| match text {
            probing if probing.contains("probes go on for") => of_step(probing),
            fleet if fleet.starts_with("the fleet ") => of_schedule(fleet),
            _ => 0,
        };
        self.steps.iter().map(|step| of(&step.value)).sum()
    }

    /// The clauses that its tags name, such as `1.1.2/RevokeCertificate`.
    pub fn clauses(&self) -> Vec<String> {
        self.tags.iter().filter_map(|tag| tag.strip_prefix(CLAUSE_TAG)).map(str::to_owned).collect()
    }

    /// What it must come to, if not a pass: as a negative twin or as a known deviation.
    pub fn expected(&self) -> Option<&Twin> {
        self.twin.as_ref().or(self.deviation.as_ref())
    }

    /// What tells it apart within a run: its id and, for a twin, the fault.
    pub fn label(&self) -> String {
        match &self.twin {
            None => self.id.clone(),
            Some(twin) => format!("{} [{}]", self.id, twin.fault),
        }
    }

    /// `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Reads the embedded scenarios, in the order of their files.
///
/// # Errors
/// As [`parse`].
pub fn embedded() -> Result<Vec<Scenario>, UsageError> {
    let mut files = BTreeMap::new();
    collect_embedded(&EMBEDDED, &mut files);
    let mut scenarios = Vec::new();
    for (path, text) in files {
        let stem = path.with_extension("");
        scenarios.extend(parse(
            &text,
            &format!("scenarios/{}", path.display()),
            &stem.display().to_string(),
        )?);
    }
    no_duplicates(scenarios)
}

fn collect_embedded(folder: &'static Dir<'_>, files: &mut BTreeMap<PathBuf, String>) {
    for file in folder.files() {
        if file.path().extension().is_some_and(|extension| extension == "feature") {
            let text = String::from_utf8_lossy(file.contents()).into_owned();
            files.insert(file.path().to_owned(), text);
        }
    }
    for folder in folder.dirs() {
        collect_embedded(folder, files);
    }
}

/// Reads feature files, or all of a folder, in the order of their paths.
///
/// # Errors
/// A path that cannot be read or holds no feature file, and as [`parse`].
pub fn from_paths(paths: &[PathBuf]) -> Result<Vec<Scenario>, UsageError> {
    let mut scenarios = Vec::new();
    for path in paths {
        let mut files = Vec::new();
        collect(path, &mut files)?;
        if files.is_empty() {
            return Err(file_error(path, "no .feature file in it"));
        }
        let root = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(path) };
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(|error| file_error(&file, error))?;
            let stem = file.strip_prefix(root).unwrap_or(&file).with_extension("");
            let stem = stem.components().map(|part| part.as_os_str().to_string_lossy());
            let stem = stem.collect::<Vec<_>>().join("/");
            scenarios.extend(parse(&text, &file.display().to_string(), &stem)?);
        }
    }
    known_clauses(&scenarios)?;
    no_misspelt_claim(&scenarios)?;
    no_duplicates(scenarios)
}

/// A tag of a clause that does not exist proves nothing of the contract.
fn known_clauses(scenarios: &[Scenario]) -> Result<(), UsageError> {
    // That the compiled-in file is right is a test's business.
    let clauses = coverage::clauses().unwrap_or_default();
    for scenario in scenarios {
        for cited in scenario.clauses() {
            let Some(nearest) = coverage::nearest_to_unknown(&cited, &clauses) else { continue };
            let tag = format!("@{CLAUSE_TAG}{cited}");
            let reason = format!(
                "the contract has no clause {cited}, which {tag} names; the nearest is \
                     @{CLAUSE_TAG}{nearest}, and `halo-harness list --clauses` prints all"
            );
            return Err(wrong_tag(scenario, &tag, reason));
        }
    }
    Ok(())
}

/// What is wrong with a tag of a scenario, at the tag's own line.
fn wrong_tag(scenario: &Scenario, tag: &str, reason: String) -> UsageError {
    let is_here = |line: &str| line.split_whitespace().any(|word| word == tag);
    let line = scenario.source.lines().position(is_here);
    UsageError::Feature {
        file: scenario.file.clone(),
        line: line.map_or(scenario.line, |index| index + 1),
        reason,
    }
}

/// A misspelt tag would quietly take the guard away that the right one stands for.
fn no_misspelt_claim(scenarios: &[Scenario]) -> Result<(), UsageError> {
    let bare = |tag: &str| tag.to_lowercase().replace(['-', '_'], "");
    for scenario in scenarios {
        for tag in scenario.tags.iter().filter(|tag| !CLAIMS.contains(&tag.as_str())) {
            let meant =
                CLAIMS.into_iter().find(|claim| strsim::levenshtein(&bare(claim), &bare(tag)) <= 2);
            let Some(meant) = meant else { continue };
            let shown = format!("@{tag}");
            let reason = format!(
                "{shown} claims nothing; @{meant} would, and makes a run that changed nothing \
                     INVALID: write that, or a tag that is less like it"
            );
            return Err(wrong_tag(scenario, &shown, reason));
        }
    }
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), UsageError> {
    if path.is_dir() {
        let mut entries = std::fs::read_dir(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| file_error(path, error))?;
        entries.sort_by_key(std::fs::DirEntry::path);
        for entry in entries {
            let entry = entry.path();
            if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "feature") {
                collect(&entry, files)?;
            }
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}

fn file_error(path: &Path, reason: impl ToString) -> UsageError {
    UsageError::File { path: path.display().to_string(), reason: reason.to_string() }
}

/// Parses one feature file. `file` is for messages, `stem` begins the ids.
///
/// # Errors
/// File, line and reason of what does not parse, or of a placeholder that no column fills.
pub fn parse(text: &str, file: &str, stem: &str) -> Result<Vec<Scenario>, UsageError> {
    let wrong = |line, reason: String| UsageError::Feature { file: file.to_owned(), line, reason };
    let feature =
        Feature::parse(text, GherkinEnv::default()).map_err(|error| match bare_keyword(text) {
            Some((line, word)) => {
                wrong(line, format!("`{word}` says nothing; write its step behind it"))
            }
            None => wrong(line_of(&error, text), reason_of(&error)),
        })?;
    let all = feature.scenarios.iter().chain(feature.rules.iter().flat_map(|r| &r.scenarios));
    for scenario in all {
        outline_is_whole(scenario).map_err(|reason| wrong(scenario.position.line, reason))?;
    }
    no_step_is_a_description(&feature, text).map_err(|(line, reason)| wrong(line, reason))?;
    let source: Arc<str> = text.into();
    let feature = feature.expand_examples().map_err(|error| {
        let reason = format!("no column of the examples is named <{}>", error.name);
        wrong(error.pos.line, reason)
    })?;
    let rules = feature
        .rules
        .iter()
        .flat_map(|rule| rule.scenarios.iter().map(move |scenario| (Some(rule), scenario)));
    feature
        .scenarios
        .iter()
        .map(|scenario| (None, scenario))
        .chain(rules)
        .map(|(rule, scenario)| {
            let backgrounds =
                feature.background.iter().chain(rule.and_then(|r| r.background.as_ref()));
            let background: Vec<_> =
                backgrounds.flat_map(|background| background.steps.iter().cloned()).collect();
            let mut tags = feature.tags.clone();
            tags.extend(rule.map(|rule| rule.tags.clone()).unwrap_or_default());
            tags.extend(scenario.tags.iter().cloned());
            tags.dedup();
            let first_cell = scenario
                .examples
                .first()
                .and_then(|examples| examples.table.as_ref()?.rows.get(1)?.first());
            let mut id = format!("{stem}/{}", slug(&scenario.name));
            if let Some(cell) = first_cell {
                id = format!("{id}/{}", slug(cell));
            }
            Ok(Scenario {
                id,
                feature: feature.name.clone(),
                name: scenario.name.clone(),
                file: file.to_owned(),
                line: scenario.position.line,
                tags,
                background_steps: background.len(),
                steps: background.into_iter().chain(scenario.steps.iter().cloned()).collect(),
                source: source.clone(),
                twin: None,
                deviation: None,
            })
        })
        .collect()
}

/// Gherkin takes lines that begin with no keyword for a description, a misspelt step among them, which
/// would then silently not run: nothing but features and rules has one here.
fn no_step_is_a_description(feature: &Feature, text: &str) -> Result<(), (usize, String)> {
    let scenarios =
        || feature.scenarios.iter().chain(feature.rules.iter().flat_map(|r| &r.scenarios));
    let backgrounds =
        feature.background.iter().chain(feature.rules.iter().flat_map(|r| &r.background));
    let of_background = backgrounds.map(|one| (one.position.line, &one.description));
    let of_scenario = scenarios().map(|one| (one.position.line, &one.description));
    let examples = scenarios().flat_map(|scenario| &scenario.examples);
    let of_examples = examples.map(|one| (one.position.line, &one.description));
    for (line, description) in of_background.chain(of_scenario).chain(of_examples) {
        let Some(first) = description.as_deref().and_then(|text| text.trim().lines().next()) else {
            continue;
        };
        let below = text.lines().enumerate().skip(line);
        let at = below.clone().find(|(_, text)| text.trim() == first.trim());
        let line = at.map_or(line, |(index, _)| index + 1);
        return Err((
            line,
            format!(
                "`{}` begins with no keyword and would not run; begin a step with Given, When, Then, And \
                 or But, and a comment with #",
                first.trim()
            ),
        ));
    }
    // Under a misspelt `Scenario:` at the head of the file its steps become the feature's description.
    let is_step = |line: &str| {
        ["Given ", "When ", "Then ", "And ", "But ", "* "].iter().any(|word| line.starts_with(word))
    };
    let descriptions = feature.rules.iter().map(|rule| &rule.description);
    for description in descriptions.chain([&feature.description]).flatten() {
        if let Some(step) = description.lines().map(str::trim).find(|line| is_step(line)) {
            let at = text.lines().position(|line| line.trim() == step);
            let reason = format!("`{step}` stands in no scenario; is its `Scenario:` misspelt?");
            return Err((at.map_or(feature.position.line, |index| index + 1), reason));
        }
    }
    Ok(())
}

/// An outline must have a row in each of its tables, and what has no table no placeholder: else it
/// would vanish, or run with its placeholders as text.
fn outline_is_whole(scenario: &gherkin::Scenario) -> Result<(), String> {
    if scenario.examples.is_empty() {
        let is_outline = ["Outline", "Template"].iter().any(|k| scenario.keyword.contains(k));
        let placeholder = scenario.steps.iter().find_map(|step| {
            let cells = step.table.iter().flat_map(|table| table.rows.iter().flatten());
            let texts = cells.chain(step.docstring.iter()).chain(std::iter::once(&step.value));
            texts.filter_map(|text| placeholder_in(text)).next()
        });
        return match placeholder {
            Some(placeholder) => {
                Err(format!("<{placeholder}> is a placeholder, but there are no examples"))
            }
            None if is_outline => Err("the outline has no examples".to_owned()),
            None => Ok(()),
        };
    }
    let rows = |examples: &gherkin::Examples| examples.table.as_ref().map_or(0, |t| t.rows.len());
    match scenario.examples.iter().find(|examples| rows(examples) < 2) {
        Some(empty) => Err(format!("the examples at line {} have no row", empty.position.line)),
        None => Ok(()),
    }
}

fn placeholder_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('<')?;
    let (name, after) = rest.split_once('>')?;
    let is_name = name.starts_with(|c: char| c.is_alphabetic())
        && name.chars().all(|c| c.is_alphanumeric() || " _-".contains(c));
    if is_name { Some(name) } else { placeholder_in(after) }
}

/// The parser's error has its place in its text only.
fn line_of(error: &gherkin::ParseError, text: &str) -> usize {
    let shown = error.to_string();
    let digits = |rest: &str| {
        rest.trim_start_matches([' ', ':'])
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|number| number.parse::<usize>().ok())
    };
    shown
        .find(" at ")
        .and_then(|at| digits(&shown[at + 4..]))
        .or_else(|| shown.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse().ok()))
        .unwrap_or(1)
        .clamp(1, text.lines().count().max(1))
}

/// The first keyword of a step that stands alone in its line, for which the parser blames the next one.
fn bare_keyword(text: &str) -> Option<(usize, &str)> {
    let mut in_doc = false;
    text.lines().map(str::trim).zip(1..).find_map(|(line, number)| {
        in_doc ^= line.starts_with("\"\"\"") || line.starts_with("```");
        let is_bare = !in_doc && ["Given", "When", "Then", "And", "But", "*"].contains(&line);
        is_bare.then_some((number, line))
    })
}

/// The parser lists what it could not place as a set of words behind the place.
fn reason_of(error: &gherkin::ParseError) -> String {
    let shown = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match shown.split_once('{').map(|(_, words)| words.trim_end_matches('}')) {
        Some(words) => {
            let words: Vec<_> = words
                .split(", ")
                .map(|word| word.trim_matches('"'))
                .filter(|word| !word.is_empty() && *word != "_")
                .collect();
            format!("this is no Gherkin: {}", words.join(", "))
        }
        None => shown,
    }
}

fn no_duplicates(scenarios: Vec<Scenario>) -> Result<Vec<Scenario>, UsageError> {
    let mut seen: BTreeMap<&str, &Scenario> = BTreeMap::new();
    for scenario in &scenarios {
        if let Some(first) = seen.insert(&scenario.id, scenario) {
            return Err(UsageError::DuplicateId {
                id: scenario.id.clone(),
                first: first.place(),
                second: scenario.place(),
            });
        }
    }
    Ok(scenarios)
}

/// Keeps those that `tags` selects and, if ids are given, only those.
///
/// # Errors
/// A tag expression that does not parse, or an id that no scenario has.
pub fn select(
    scenarios: Vec<Scenario>,
    tags: Option<&str>,
    ids: &[String],
) -> Result<Vec<Scenario>, UsageError> {
    for id in ids {
        if !scenarios.iter().any(|scenario| scenario.id == *id) {
            let last = id.rsplit('/').next().unwrap_or(id);
            let near: Vec<_> = scenarios
                .iter()
                .map(|s| s.id.as_str())
                .filter(|s| s.contains(last))
                .take(3)
                .collect();
            let hint = if near.is_empty() {
                nearest::hint(id, scenarios.iter().map(|s| s.id.as_str()))
            } else {
                format!("; did you mean {}?", near.join(" or "))
            };
            return Err(UsageError::UnknownScenario { id: id.clone(), hint });
        }
    }
    let expression = tags
        .map(|text| {
            text.parse::<TagOperation>().map_err(|error| UsageError::Tags {
                expression: text.to_owned(),
                reason: format!("column {}: expected {}", error.location.column, error.expected),
            })
        })
        .transpose()?;
    Ok(scenarios
        .into_iter()
        .filter(|scenario| ids.is_empty() || ids.contains(&scenario.id))
        .filter(|scenario| expression.as_ref().is_none_or(|e| e.eval(&scenario.tags)))
        .collect())
}

/// The first tag of an expression that no scenario has, and the one that was meant.
pub fn unknown_tag(scenarios: &[Scenario], expression: &str) -> Option<(String, String)> {
    let known = || scenarios.iter().flat_map(|scenario| &scenario.tags).map(String::as_str);
    let mut named = expression
        .split(|c: char| c.is_whitespace() || c == '(' || c == ')')
        .filter_map(|word| word.strip_prefix('@'));
    let tag = named.find(|tag| !known().any(|one| one == *tag))?;
    let hint = nearest::nearest(tag, known()).map(|one| format!("; did you mean @{one}?"));
    Some((format!("@{tag}"), hint.unwrap_or_default()))
}

/// Lower case, with one hyphen for each run of anything but letters, digits and dots.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '.' {
            slug.extend(c.to_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
