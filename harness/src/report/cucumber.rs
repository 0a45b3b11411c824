//! `cucumber.ndjson`: Cucumber Messages (protocol 27), one envelope a line, for the standard
//! formatters. Pure.
//!
//! Ids are made of places and scenario ids, so one run gives the same ids as the next. Verdicts that
//! Cucumber does not have are told so:
//!
//! - INVALID is FAILED at the step that decided, or at the last one that was run, with a message that
//!   begins `INVALID:`: no formatter must count it as a success.
//! - NOT_APPLICABLE is SKIPPED.
//! - A negative twin that is red as stated has passed; its steps end with the one that turned red,
//!   whose message says so. One that is not red as stated is FAILED.

use super::evidence::Secrets;
use super::record::{Run, ScenarioRecord};
use super::steps::{Outcome, StepRecord};
use crate::run::ScenarioResult;
use crate::scenario::Scenario;
use crate::verdict::Verdict;
use fake_kingdom::model::Timestamp;
use gherkin::{Feature, GherkinEnv, Step, StepType};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The protocol's version.
const PROTOCOL: &str = "27.0.0";
const RUN_ID: &str = "run";

/// The record as Cucumber Messages.
pub fn to_ndjson(run: &Run, results: &[ScenarioResult]) -> String {
    let mut envelopes = vec![json!({"meta": {
        "protocolVersion": PROTOCOL,
        "implementation": {"name": "halo-harness", "version": run.tool.version},
        "runtime": {"name": run.environment},
        "os": {"name": std::env::consts::OS},
        "cpu": {"name": std::env::consts::ARCH},
    }})];
    let mut documents: BTreeMap<&str, Document> = BTreeMap::new();
    for result in results {
        let Scenario { file, source, .. } = &result.scenario;
        if !documents.contains_key(file.as_str()) {
            let source = result.secrets.hidden(source);
            envelopes.push(json!({"source": {
                "uri": file,
                "data": source,
                "mediaType": "text/x.cucumber.gherkin+plain",
            }}));
            let document = Document::of(file, &source);
            envelopes.push(json!({"gherkinDocument": document.message}));
            documents.insert(file, document);
        }
    }
    for result in results {
        if let Some(document) = documents.get(result.scenario.file.as_str()) {
            envelopes.push(json!({"pickle": pickle(result, document)}));
        }
    }
    let started = moment(&run.started);
    envelopes.push(json!({"testRunStarted": {"id": RUN_ID, "timestamp": timestamp(started)}}));
    for (record, result) in run.scenarios.iter().zip(results) {
        test_case(run, record, &result.scenario, started, &mut envelopes);
    }
    envelopes.push(json!({"testRunFinished": {
        "success": run.verdict == Verdict::Pass,
        "message": run.verdict.to_string(),
        "timestamp": timestamp(moment(&run.finished)),
        "testRunStartedId": RUN_ID,
    }}));
    envelopes.iter().fold(String::new(), |mut text, envelope| {
        let _ = writeln!(text, "{envelope}");
        text
    })
}

fn test_case(
    run: &Run,
    record: &ScenarioRecord,
    scenario: &Scenario,
    run_started: Timestamp,
    envelopes: &mut Vec<Value>,
) {
    let label = scenario.label();
    let (case, attempt) = (format!("case/{label}"), format!("attempt/{label}"));
    let results = results(run, record);
    let steps: Vec<_> = (0..results.len())
        .map(|n| json!({"id": step_id(&label, n), "pickleStepId": pickle_step_id(&label, n)}))
        .collect();
    envelopes.push(json!({"testCase": {
        "id": case,
        "pickleId": label,
        "testSteps": steps,
        "testRunStartedId": RUN_ID,
    }}));
    // What never began has no time of its own.
    let begun = record.steps.iter().any(|step| step.at_ms.is_some());
    let started = if begun { moment(&record.started) } else { run_started };
    envelopes.push(json!({"testCaseStarted": {
        "id": attempt,
        "testCaseId": case,
        "attempt": 0,
        "timestamp": timestamp(started),
    }}));
    let mut now = started;
    for (n, (step, (status, message))) in record.steps.iter().zip(results).enumerate() {
        let id = step_id(&label, n);
        now = step.at_ms.map_or(now, |at| after(started, at));
        envelopes.push(json!({"testStepStarted": {
            "testCaseStartedId": attempt,
            "testStepId": id,
            "timestamp": timestamp(now),
        }}));
        let took = step.took_ms.unwrap_or_default();
        now = after(now, took);
        let mut result = json!({
            "duration": timestamp(after(Timestamp::default(), took.max(0.0))),
            "status": status,
        });
        if let (Some(result), Some(message)) = (result.as_object_mut(), message) {
            result.insert("message".to_owned(), Value::from(message));
        }
        envelopes.push(json!({"testStepFinished": {
            "testCaseStartedId": attempt,
            "testStepId": id,
            "testStepResult": result,
            "timestamp": timestamp(now),
        }}));
    }
    envelopes.push(json!({"testCaseFinished": {
        "testCaseStartedId": attempt,
        "timestamp": timestamp(now),
        "willBeRetried": false,
    }}));
}

/// Status and message of each test step; a twin that is red as stated has none after the red one.
fn results(run: &Run, record: &ScenarioRecord) -> Vec<(&'static str, Option<String>)> {
    let ran = |step: &StepRecord| step.outcome != Outcome::NotRun;
    let mut results: Vec<_> = record
        .steps
        .iter()
        .map(|step| (if ran(step) { "PASSED" } else { "SKIPPED" }, None))
        .collect();
    let named = record
        .steps
        .iter()
        .position(|step| !matches!(step.outcome, Outcome::Passed | Outcome::NotRun));
    let Some(decides) =
        named.or_else(|| record.steps.iter().rposition(ran)).or((!results.is_empty()).then_some(0))
    else {
        return results;
    };
    let reason = record.reason.clone().unwrap_or_default();
    let red_as_stated = record.fault.is_some() && record.as_expected && !run.shows_red;
    match record.verdict {
        _ if red_as_stated => {
            results.truncate(decides + 1);
            results[decides] =
                ("PASSED", Some(format!("red as stated, {}: {reason}", record.verdict)));
        }
        Verdict::NotApplicable => {
            results[decides] = ("SKIPPED", Some(format!("NOT_APPLICABLE: {reason}")));
        }
        verdict if !run.is_fine(record) => {
            let blind = if record.as_expected { "" } else { "not red as stated: " };
            let blind = if record.fault.is_some() { blind } else { "" };
            results[decides] = ("FAILED", Some(format!("{blind}{verdict}: {reason}")));
        }
        _ => {}
    }
    results
}

fn step_id(label: &str, n: usize) -> String {
    format!("step/{label}/{n}")
}

fn pickle_step_id(label: &str, n: usize) -> String {
    format!("pickle-step/{label}/{n}")
}

fn moment(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap_or_default()
}

fn after(moment: Timestamp, ms: f64) -> Timestamp {
    #[allow(clippy::cast_possible_truncation, reason = "microseconds of one run fit")]
    Timestamp::from_micros(moment.micros().saturating_add((ms * 1000.0).round() as i64))
}

fn timestamp(moment: Timestamp) -> Value {
    let proto = moment.to_proto();
    json!({"seconds": proto.seconds, "nanos": proto.nanos})
}

/// A scenario as it was run: expanded, and as its fault left it.
fn pickle(result: &ScenarioResult, document: &Document) -> Value {
    let ScenarioResult { scenario, secrets, .. } = result;
    let label = scenario.label();
    let nodes = document.nodes(scenario.line);
    let steps: Vec<_> = scenario
        .steps
        .iter()
        .enumerate()
        .map(|(n, step)| {
            let mut message = json!({
                "id": pickle_step_id(&label, n),
                "text": secrets.hidden(&step.value),
                "type": match step.ty {
                    StepType::Given => "Context",
                    StepType::When => "Action",
                    StepType::Then => "Outcome",
                },
                "astNodeIds": [document.id(step.position.line)],
            });
            if let (Some(message), Some(argument)) =
                (message.as_object_mut(), argument(step, secrets))
            {
                message.insert("argument".to_owned(), argument);
            }
            message
        })
        .collect();
    let tags: Vec<_> = scenario
        .tags
        .iter()
        .filter_map(|tag| {
            let name = format!("@{tag}");
            let id = document.tag(scenario.line, &name)?;
            Some(json!({"name": name, "astNodeId": id}))
        })
        .collect();
    json!({
        "id": label,
        "uri": scenario.file,
        "location": {"line": scenario.line},
        "name": match &scenario.twin {
            None => scenario.name.clone(),
            Some(twin) => format!("{} [{}]", scenario.name, twin.fault),
        },
        "language": "en",
        "steps": steps,
        "tags": tags,
        "astNodeIds": nodes,
    })
}

/// Doc string or table of a pickle's step.
fn argument(step: &Step, secrets: &Secrets) -> Option<Value> {
    if let Some(doc) = &step.docstring {
        return Some(json!({"docString": {"content": secrets.hidden(doc)}}));
    }
    let rows: Vec<_> = step
        .table
        .as_ref()?
        .rows
        .iter()
        .map(|row| {
            let cells: Vec<_> =
                row.iter().map(|cell| json!({"value": secrets.hidden(cell)})).collect();
            json!({"cells": cells})
        })
        .collect();
    Some(json!({"dataTable": {"rows": rows}}))
}

/// A feature file's tree, and the ids in it.
struct Document {
    uri: String,
    message: Value,
    origins: Vec<Origin>,
}

/// Where a pickle comes from: a scenario, or a row of its examples.
struct Origin {
    line: usize,
    nodes: Vec<String>,
    /// Name and id of each tag in force.
    tags: Vec<(String, String)>,
}

impl Document {
    fn of(uri: &str, source: &str) -> Self {
        let mut document = Self { uri: uri.to_owned(), message: Value::Null, origins: Vec::new() };
        // It was parsed before it was run.
        let Ok(feature) = Feature::parse(source, GherkinEnv::default()) else {
            document.message = json!({"uri": uri, "comments": []});
            return document;
        };
        let tags = document.tags(&feature.tags, feature.position.line);
        let mut children: Vec<_> =
            feature.background.iter().map(|background| document.background(background)).collect();
        for scenario in &feature.scenarios {
            children.push(document.scenario(scenario, &tags));
        }
        for rule in &feature.rules {
            let own = document.tags(&rule.tags, rule.position.line);
            let all: Vec<_> = tags.iter().chain(&own).cloned().collect();
            let mut of_rule: Vec<_> =
                rule.background.iter().map(|background| document.background(background)).collect();
            for scenario in &rule.scenarios {
                of_rule.push(document.scenario(scenario, &all));
            }
            children.push(json!({"rule": {
                "id": document.id(rule.position.line),
                "location": {"line": rule.position.line},
                "tags": tag_messages(&own, rule.position.line),
                "keyword": rule.keyword.trim(),
                "name": rule.name,
                "description": rule.description.clone().unwrap_or_default(),
                "children": of_rule,
            }}));
        }
        document.message = json!({
            "uri": uri,
            "comments": [],
            "feature": {
                "location": {"line": feature.position.line},
                "tags": tag_messages(&tags, feature.position.line),
                "language": "en",
                "keyword": feature.keyword.trim(),
                "name": feature.name,
                "description": feature.description.clone().unwrap_or_default(),
                "children": children,
            },
        });
        document
    }

    /// The id of what stands at a line.
    fn id(&self, line: usize) -> String {
        format!("{}:{line}", self.uri)
    }

    /// Name and id of each tag of what stands at a line.
    fn tags(&self, tags: &[String], line: usize) -> Vec<(String, String)> {
        let id = |n| format!("{}:{line}:tag/{n}", self.uri);
        tags.iter()
            .enumerate()
            .map(|(n, tag)| (format!("@{}", tag.trim_start_matches('@')), id(n)))
            .collect()
    }

    fn background(&self, background: &gherkin::Background) -> Value {
        json!({"background": {
            "id": self.id(background.position.line),
            "location": {"line": background.position.line},
            "keyword": background.keyword.trim(),
            "name": background.name,
            "description": background.description.clone().unwrap_or_default(),
            "steps": self.steps(&background.steps),
        }})
    }

    fn scenario(&mut self, scenario: &gherkin::Scenario, inherited: &[(String, String)]) -> Value {
        let line = scenario.position.line;
        let id = self.id(line);
        let own = self.tags(&scenario.tags, line);
        let in_force: Vec<_> = inherited.iter().chain(&own).cloned().collect();
        let mut examples = Vec::new();
        for table in &scenario.examples {
            let at = table.position.line;
            let tags = self.tags(&table.tags, at);
            let rows = table.table.as_ref().map_or(&[][..], |table| &table.rows);
            // As the rows are numbered when the outline is expanded: right below their keyword.
            let row = |n: usize| row_message(&self.id(at + 1 + n), at + 1 + n, &rows[n]);
            let body: Vec<_> = (1..rows.len()).map(row).collect();
            for n in 1..rows.len() {
                let all = in_force.iter().chain(&tags).cloned().collect();
                let line = at + 1 + n;
                let nodes = vec![id.clone(), self.id(line)];
                self.origins.push(Origin { line, nodes, tags: all });
            }
            let mut message = json!({
                "id": self.id(at),
                "location": {"line": at},
                "tags": tag_messages(&tags, at),
                "keyword": table.keyword.trim(),
                "name": table.name.clone().unwrap_or_default(),
                "description": table.description.clone().unwrap_or_default(),
                "tableBody": body,
            });
            if let (Some(message), false) = (message.as_object_mut(), rows.is_empty()) {
                let header = row_message(&self.id(at + 1), at + 1, &rows[0]);
                message.insert("tableHeader".to_owned(), header);
            }
            examples.push(message);
        }
        if scenario.examples.is_empty() {
            self.origins.push(Origin { line, nodes: vec![id.clone()], tags: in_force });
        }
        json!({"scenario": {
            "id": id,
            "location": {"line": line},
            "tags": tag_messages(&own, line),
            "keyword": scenario.keyword.trim(),
            "name": scenario.name,
            "description": scenario.description.clone().unwrap_or_default(),
            "steps": self.steps(&scenario.steps),
            "examples": examples,
        }})
    }

    fn steps(&self, steps: &[Step]) -> Vec<Value> {
        steps.iter().map(|step| self.step(step)).collect()
    }

    fn step(&self, step: &Step) -> Value {
        let line = step.position.line;
        let keyword = step.keyword.trim();
        let mut message = json!({
            "id": self.id(line),
            "location": {"line": line},
            "keyword": format!("{keyword} "),
            "keywordType": match keyword {
                "Given" => "Context",
                "When" => "Action",
                "Then" => "Outcome",
                "And" | "But" => "Conjunction",
                _ => "Unknown",
            },
            "text": step.value,
        });
        let Some(fields) = message.as_object_mut() else { return message };
        if let Some(doc) = &step.docstring {
            let doc =
                json!({"location": {"line": line + 1}, "content": doc, "delimiter": "\"\"\""});
            fields.insert("docString".to_owned(), doc);
        }
        if let Some(table) = &step.table {
            let rows: Vec<_> = table
                .rows
                .iter()
                .enumerate()
                .map(|(n, row)| row_message(&self.id(line + 1 + n), line + 1 + n, row))
                .collect();
            let table = json!({"location": {"line": line + 1}, "rows": rows});
            fields.insert("dataTable".to_owned(), table);
        }
        message
    }

    /// The nodes that a scenario or row at this line comes from.
    fn nodes(&self, line: usize) -> Vec<String> {
        let found = self.origins.iter().find(|origin| origin.line == line);
        found.map_or_else(|| vec![self.id(line)], |origin| origin.nodes.clone())
    }

    fn tag(&self, line: usize, name: &str) -> Option<&str> {
        let origin = self.origins.iter().find(|origin| origin.line == line)?;
        origin.tags.iter().find(|(tag, _)| tag == name).map(|(_, id)| id.as_str())
    }
}

/// The parser does not keep where a tag stands: the line above what it is a tag of.
fn tag_messages(tags: &[(String, String)], line: usize) -> Vec<Value> {
    tags.iter()
        .map(|(name, id)| {
            json!({"id": id, "name": name, "location": {"line": line.saturating_sub(1).max(1)}})
        })
        .collect()
}

fn row_message(id: &str, line: usize, row: &[String]) -> Value {
    let cells: Vec<_> =
        row.iter().map(|cell| json!({"location": {"line": line}, "value": cell})).collect();
    json!({"id": id, "location": {"line": line}, "cells": cells})
}
