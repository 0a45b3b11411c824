//! What shows that something went wrong: the server's events and the failed probes. Certificates are
//! in it by their key identifiers only. Pure.

use super::record::Finding;
use crate::observation::{Fact, ServerEvent};
use crate::probe::{Lane, Probe};
use crate::run::ScenarioResult;
use crate::verdict::availability;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How many events and probes are shown in full.
const SHOWN_MAX: usize = 12;
/// How many are counted out by number.
const NUMBERED_MAX: usize = 200;

/// The evidence of one scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// Numbers of the server's events of findings and failed probes, at most 200.
    pub events: Vec<u64>,
    /// The first of them in full.
    pub first: Vec<ServerEvent>,
    /// The first failed probes as their callers saw them.
    pub probes: Vec<FailedProbe>,
}

/// A probe without the expected answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedProbe {
    /// When it was due, from its run's start.
    pub at_ms: f64,
    /// The kind of connection.
    pub lane: Lane,
    /// Who called.
    pub actor: String,
    /// What it sent as `x-request-id`.
    pub request_id: String,
    /// Cause code or status.
    pub cause: String,
    /// Number of the server's event; `None` if the call never reached it.
    pub event: Option<u64>,
    /// Subject key identifier of the server's leaf on its connection; empty without an answer.
    pub server_skid: String,
    /// Of the client's leaf.
    pub client_skid: String,
}

/// What no report may hold. Known, because only so can it be left out.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// These texts.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.is_empty()).collect())
    }

    /// A text without them, and without any private key.
    pub fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), "[secret]");
        }
        while let Some((before, rest)) = cut_key(&text) {
            // What stands behind it keeps its line.
            let lines = text[before.len()..text.len() - rest.len()].matches('\n').count();
            text = format!("{before}[private key]{}{rest}", "\n".repeat(lines));
        }
        text
    }
}

/// The text before and after the first private key in PEM.
fn cut_key(text: &str) -> Option<(&str, &str)> {
    const MARK: &str = "PRIVATE KEY-----";
    let mark = text.find(MARK)?;
    let begin = text[..mark].rfind("-----BEGIN").unwrap_or(mark);
    let rest = &text[mark + MARK.len()..];
    let end = rest.find(MARK).map_or(rest.len(), |end| end + MARK.len());
    Some((&text[..begin], &rest[end..]))
}

/// The evidence of a scenario with these findings.
pub fn of(result: &ScenarioResult, findings: &[Finding]) -> Evidence {
    let mut known: BTreeMap<u64, &ServerEvent> = BTreeMap::new();
    let mut failed: Vec<(&Probe, String)> = Vec::new();
    for observation in &result.log {
        match &observation.fact {
            Fact::Server(event) => {
                known.insert(event.seq, event);
            }
            Fact::Probes(run) => {
                for probe in run.probes.iter().filter(|probe| probe.intended_us < run.length_us) {
                    if let Some(event) = &probe.server {
                        known.insert(event.seq, event);
                    }
                    if probe.sent_us.is_some()
                        && let Some(cause) = availability::failure(run, probe)
                    {
                        failed.push((probe, cause));
                    }
                }
            }
            _ => {}
        }
    }
    let mut events: Vec<u64> =
        findings.iter().flat_map(|finding| finding.evidence.iter().copied()).collect();
    events.extend(failed.iter().filter_map(|(probe, _)| Some(probe.server.as_ref()?.seq)));
    let mut seen = std::collections::BTreeSet::new();
    events.retain(|seq| seen.insert(*seq));
    let shown = events.iter().filter_map(|seq| known.get(seq)).take(SHOWN_MAX);
    Evidence {
        first: shown.map(|event| cleaned(event, &result.secrets)).collect(),
        probes: failed
            .iter()
            .take(SHOWN_MAX)
            .map(|(probe, cause)| FailedProbe {
                at_ms: probe.intended_us as f64 / 1000.0,
                lane: probe.lane,
                actor: probe.caller.clone(),
                request_id: probe.request_id.clone(),
                cause: cause.clone(),
                event: probe.server.as_ref().map(|event| event.seq),
                server_skid: probe
                    .answering
                    .as_ref()
                    .map(|answering| answering.skid.clone())
                    .unwrap_or_default(),
                client_skid: probe.client.skid.clone(),
            })
            .collect(),
        events: events.into_iter().take(NUMBERED_MAX).collect(),
    }
}

/// An event without secrets.
pub fn cleaned(event: &ServerEvent, secrets: &Secrets) -> ServerEvent {
    ServerEvent {
        subject: event.subject.as_deref().map(|text| secrets.hidden(text)),
        detail: event.detail.as_deref().map(|text| secrets.hidden(text)),
        ..event.clone()
    }
}
