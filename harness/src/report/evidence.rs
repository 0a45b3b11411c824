//! What shows that something went wrong: the server's events and the failed probes. Certificates are
//! in it by their key identifiers only. Pure.

use super::record::Finding;
use crate::observation::{Fact, ServerEvent};
use crate::probe::{Answer, Lane, Probe};
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
    /// Cause code or status: the server's word if it has one, else its caller's.
    pub cause: String,
    /// Number of the server's event; `None` if the call never reached it.
    pub event: Option<u64>,
    /// Subject key identifier of the server's leaf on its connection; empty without an answer.
    pub server_skid: String,
    /// Of the client's leaf.
    pub client_skid: String,
    /// When it was handed to the transport, from its run's start.
    pub sent_ms: f64,
    /// When it ended, from its run's start.
    pub ended_ms: f64,
    /// From when it was due to its end.
    pub latency_ms: f64,
    /// Authority key identifier of the client's leaf.
    pub client_akid: String,
    /// Serial number of the server's leaf on its connection; empty without an answer.
    pub server_serial: String,
    /// TLS version of its connection, such as `TLSv1_3`; empty without an answer.
    pub tls_version: String,
    /// Whom the server took its caller for; `None` if it did not get so far.
    pub principal: Option<String>,
    /// The replica that recorded it; `None` if none did.
    pub replica: Option<u32>,
    /// How it ended for its caller.
    pub outcome: Outcome,
    /// Cause code or status as its caller saw it; `None` if that was the expected answer.
    pub own_cause: Option<String>,
    /// Whether a GOAWAY or the stream's end made it go out again on another connection.
    pub reopened: bool,
}

/// How a failed probe ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With the expected answer: the server took its caller for somebody else.
    Answered,
    /// With another gRPC status.
    Status,
    /// Without an answer.
    Broken,
}

impl FailedProbe {
    fn new(probe: &Probe, sent_us: u64, cause: String) -> Self {
        let ms = |us: u64| us as f64 / 1000.0;
        let answering = probe.answering.clone().unwrap_or_default();
        let event = probe.server.as_deref();
        let (outcome, own_cause) = match &probe.answer {
            Answer::Expected => (Outcome::Answered, None),
            Answer::Status(code) => (Outcome::Status, Some((*code).to_owned())),
            Answer::Broken(cause) => (Outcome::Broken, Some(cause.code().to_owned())),
        };
        Self {
            at_ms: ms(probe.intended_us),
            lane: probe.lane,
            actor: probe.caller.clone(),
            request_id: probe.request_id.clone(),
            cause,
            event: event.map(|event| event.seq),
            server_skid: answering.skid,
            client_skid: probe.client.skid.clone(),
            sent_ms: ms(sent_us),
            ended_ms: ms(probe.ended_us),
            latency_ms: ms(probe.latency_us()),
            client_akid: probe.client.akid.clone(),
            server_serial: answering.serial,
            tls_version: answering.tls_version,
            principal: event.and_then(|event| event.principal.clone()),
            replica: event.and_then(|event| event.replica),
            outcome,
            own_cause,
            reopened: probe.reopened,
        }
    }
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
    let mut failed: Vec<(&Probe, u64, String)> = Vec::new();
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
                    if let Some(sent_us) = probe.sent_us
                        && let Some(cause) = availability::failure(run, probe)
                    {
                        failed.push((probe, sent_us, cause));
                    }
                }
            }
            _ => {}
        }
    }
    let mut events: Vec<u64> =
        findings.iter().flat_map(|finding| finding.evidence.iter().copied()).collect();
    events.extend(failed.iter().filter_map(|(probe, ..)| Some(probe.server.as_ref()?.seq)));
    let mut seen = std::collections::BTreeSet::new();
    events.retain(|seq| seen.insert(*seq));
    let shown = events.iter().filter_map(|seq| known.get(seq)).take(SHOWN_MAX);
    Evidence {
        first: shown.map(|event| cleaned(event, &result.secrets)).collect(),
        probes: failed
            .into_iter()
            .take(SHOWN_MAX)
            .map(|(probe, sent_us, cause)| FailedProbe::new(probe, sent_us, cause))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Answering;
    use crate::probe::{ClientLeaf, CredentialAge};
    use fake_kingdom::cause::Cause;

    fn probe(answer: Answer) -> Probe {
        Probe {
            n: 7,
            lane: Lane::ReusedChannel,
            caller: "edp1".to_owned(),
            request_id: "p-7".to_owned(),
            intended_us: 35_000,
            sent_us: Some(36_000),
            ended_us: 39_500,
            credential: CredentialAge::New,
            client: ClientLeaf { skid: "c1".to_owned(), akid: "a1".to_owned() },
            answering: Some(Answering {
                serial: "5e".to_owned(),
                skid: "d1".to_owned(),
                tls_version: "TLSv1_2".to_owned(),
            }),
            local: None,
            earlier_locals: Vec::new(),
            reopened: true,
            answer,
            server: Some(Box::new(ServerEvent {
                seq: 9,
                replica: Some(2),
                principal: Some("duchies/worker1".to_owned()),
                ..ServerEvent::default()
            })),
        }
    }

    #[test]
    fn each_field_of_a_failed_probe_is_its_own() {
        let failed =
            FailedProbe::new(&probe(Answer::Status("UNAUTHENTICATED")), 36_000, "revoked".into());
        let shown = serde_json::to_value(&failed).unwrap();
        let expected = serde_json::json!({
            "at_ms": 35.0, "lane": "reused_channel", "actor": "edp1", "request_id": "p-7",
            "cause": "revoked", "event": 9, "server_skid": "d1", "client_skid": "c1",
            "sent_ms": 36.0, "ended_ms": 39.5, "latency_ms": 4.5, "client_akid": "a1",
            "server_serial": "5e", "tls_version": "TLSv1_2", "principal": "duchies/worker1",
            "replica": 2, "outcome": "status", "own_cause": "UNAUTHENTICATED", "reopened": true,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_caller_s_own_cause_stands_beside_the_server_s() {
        for (answer, outcome, own_cause) in [
            (Answer::Expected, Outcome::Answered, None),
            (Answer::Status("UNKNOWN"), Outcome::Status, Some("UNKNOWN")),
            (Answer::Broken(Cause::ConnectionCut), Outcome::Broken, Some("connection_cut")),
        ] {
            let failed = FailedProbe::new(&probe(answer), 36_000, "expired".to_owned());
            assert_eq!((failed.outcome, failed.own_cause.as_deref()), (outcome, own_cause));
            assert_eq!(failed.cause, "expired");
        }
    }
}
