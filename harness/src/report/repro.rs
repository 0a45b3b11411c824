//! `repro/`: what somebody else needs to see a failure again. Pure; no secrets.

use super::evidence::{Secrets, cleaned};
use super::record::{Run, ScenarioRecord};
use crate::error::Owner;
use crate::observation::{Fact, Observation};
use crate::run::ScenarioResult;
use crate::verdict::{Verdict, availability};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Stands in every `repro/` of ours, so that no other folder of this name is ever cleared.
pub const MARKER: &str = "seed";

/// The files of `repro/` by path within it; none if nothing went wrong.
pub fn files(run: &Run, results: &[ScenarioResult]) -> Vec<(String, String)> {
    let wrong: Vec<_> = run
        .scenarios
        .iter()
        .zip(results)
        .filter(|(record, result)| {
            !run.is_fine(record)
                && record.verdict != Verdict::NotApplicable
                && result.judgement.owner != Some(Owner::User)
        })
        .collect();
    if wrong.is_empty() {
        return Vec::new();
    }
    let mut readme = format!(
        "halo-harness {} ({})\nenvironment  {}\nseed         {}\nall          {}\n",
        run.tool.version,
        run.tool.digest,
        run.environment,
        run.seed,
        run.replay.as_deref().unwrap_or_default()
    );
    let mut files = vec![(MARKER.to_owned(), format!("{}\n", run.seed))];
    for (record, result) in wrong {
        let folder = folder(record);
        let _ = write!(
            readme,
            "\n{folder}\n  scenario   {}\n  verdict    {}\n  at         {}\n  because    {}\n  \
             again      {}\n",
            record.id,
            record.verdict,
            record.place,
            record.reason.as_deref().unwrap_or_default(),
            record.replay.as_deref().unwrap_or_default()
        );
        let source = result.secrets.hidden(&result.scenario.source);
        files.push((format!("{folder}/scenario.feature"), source));
        files.push((format!("{folder}/steps.txt"), steps(record, result)));
        files.push((format!("{folder}/events.jsonl"), events(result)));
    }
    files.push(("README.txt".to_owned(), readme));
    files
}

/// One folder for each scenario and twin.
fn folder(record: &ScenarioRecord) -> String {
    let name = record.id.replace('/', "__");
    match &record.fault {
        None => name,
        Some(fault) => format!("{name}__{fault}"),
    }
}

/// The steps as they were run: expanded, with the background's, and as the fault left them.
fn steps(record: &ScenarioRecord, result: &ScenarioResult) -> String {
    let mut text = String::new();
    for (step, source) in record.steps.iter().zip(&result.scenario.steps) {
        let outcome = serde_json::to_value(step.outcome).unwrap_or_default();
        let outcome = outcome.as_str().unwrap_or_default();
        let _ = writeln!(text, "{outcome:<15}{} {}", step.keyword, step.text);
        if let Some(doc) = &source.docstring {
            for line in result.secrets.hidden(doc).lines() {
                let _ = writeln!(text, "{:<17}{line}", "");
            }
        }
        for row in source.table.iter().flat_map(|table| &table.rows) {
            let row = result.secrets.hidden(&row.join(" | "));
            let _ = writeln!(text, "{:<17}| {row} |", "");
        }
    }
    text
}

/// What was observed, oldest first, one JSON object a line. Of probes: those that failed.
fn events(result: &ScenarioResult) -> String {
    let mut text = String::new();
    for observation in &result.log {
        for line in lines(observation, &result.secrets) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

fn lines(observation: &Observation, secrets: &Secrets) -> Vec<Value> {
    let hidden = |text: &str| secrets.hidden(text);
    let mut all = Vec::new();
    let fact = match &observation.fact {
        Fact::Step(step) => json!({"step": format!("{} {}", step.keyword, hidden(&step.text))}),
        Fact::StepDone => return all,
        Fact::Finished => json!({"finished": true}),
        Fact::Phase(phase) => json!({"phase": **phase}),
        Fact::ProbesJudged(actors) => json!({"probes_judged": actors}),
        Fact::Changed { what, .. } => json!({"changed": hidden(what)}),
        Fact::Replaced { actor, skid } => {
            json!({"replaced_tls_leaf": {"actor": actor, "skid": skid}})
        }
        Fact::Presents { actor, skid, akid } => {
            json!({"presents_at_the_end": {"actor": actor, "skid": skid, "akid": akid}})
        }
        Fact::Placed { what } => json!({"placed": hidden(what)}),
        Fact::Reading(reading) => json!({"read": {
            "replica": reading.process.replica(),
            "duchy": reading.process.duchy().map(|id| id.to_string()),
            "since": reading.since.map(|since| since.to_string()),
            "unread": reading.unread,
            "refused": reading.refused,
        }}),
        Fact::TriedBare { refused } => json!({"tried_without_certificate": {"refused": refused}}),
        Fact::ProbesStarted => json!({"probes_started": true}),
        Fact::Call(call) => json!({"call": {
            "actor": call.actor,
            "method": call.method,
            "request_id": call.request_id,
            "code": call.code,
            "transport": call.transport.as_deref().map(hidden),
            "cause": call.cause,
        }}),
        Fact::Server(event) => json!({"event": cleaned(event, secrets)}),
        Fact::Overheard(event) => json!({"overheard": cleaned(event, secrets)}),
        Fact::Alert(alert) => json!({"alert": **alert}),
        Fact::Credential(credential) => json!({"credential": {
            "actor": credential.actor,
            "kind": credential.kind,
            "before": credential.before,
            "after": credential.after,
        }}),
        Fact::Participant(event) => json!({"participant": {
            "actor": event.actor,
            "kind": event.kind.name(),
            "clause": event.clause,
            "cause": hidden(&event.cause),
            "justification": event.justification,
            "subject": hidden(&event.subject),
            "certificate": hidden(&event.certificate),
        }}),
        Fact::Impact(assessment) => json!({"impact": **assessment}),
        Fact::Trial(trial) => json!({"trial": {
            "owner": trial.owner,
            "kind": trial.kind,
            "credential": trial.credential,
            "door": trial.door,
            "old_refused_for": trial.old.refused_for,
            "new_refused_for": trial.new.as_ref().map(|new| &new.refused_for),
        }}),
        Fact::Finding(finding) => json!({"finding": {
            "code": finding.code,
            "clause": finding.clause,
            "text": hidden(&finding.text),
            "evidence": finding.evidence,
        }}),
        Fact::Check(check) => json!({"check": {
            "what": hidden(&check.what),
            "expected": hidden(&check.expected),
            "observed": hidden(&check.observed),
            "holds": check.holds,
            "evidence": check.evidence,
        }}),
        Fact::Problem(problem) => json!({"problem": {
            "owner": problem.owner,
            "what": hidden(&problem.what),
            "next": problem.next,
        }}),
        Fact::Probes(run) => {
            for probe in run.probes.iter().filter(|probe| probe.intended_us < run.length_us) {
                let cause = availability::failure(run, probe);
                if cause.is_none() && probe.sent_us.is_some() {
                    continue;
                }
                all.push(json!({"n": observation.n, "line": observation.line, "failed_probe": {
                    "intended_us": probe.intended_us,
                    "sent_us": probe.sent_us,
                    "ended_us": probe.ended_us,
                    "lane": probe.lane,
                    "actor": probe.caller,
                    "request_id": probe.request_id,
                    "cause": cause,
                    "server_skid": probe.answering.as_ref().map(|answering| &answering.skid),
                    "client_skid": probe.client.skid,
                    "event": probe.server.as_ref().map(|event| cleaned(event, secrets)),
                }}));
            }
            json!({"probes": {
                "started": run.started.to_string(),
                "probes": run.probes.len(),
                "length_us": run.length_us,
                "lag_us_max": run.lag_us_max,
            }})
        }
    };
    let mut line = json!({
        "n": observation.n,
        "time": observation.time.to_string(),
        "line": observation.line,
    });
    if let (Some(line), Value::Object(fact)) = (line.as_object_mut(), fact) {
        line.extend(fact);
    }
    all.push(line);
    all
}
