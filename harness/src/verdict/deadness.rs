//! Whether an old credential is dead: refused for the right cause wherever it could still work, while
//! the same call on the new one is accepted (method.md section 4, recommendation 5). Pure.
//!
//! A refusal alone proves nothing: a door that is shut to everybody refuses the old credential too.

use super::check;
use crate::observation::{Check, Fact, Observation, ServerEvent};
use crate::probe::Answer;
use fake_kingdom::cause::Cause;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What kind of credential is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A leaf of mTLS; known by its subject key identifier.
    TlsLeaf,
    /// A root of mTLS, tried by a leaf that whoever has its key can issue at any time; known by its
    /// subject key identifier.
    TlsRoot,
    /// A consent signalling certificate; known by its resource name.
    SigningCertificate,
    /// An encryption key pair; known by the measurement whose requisition was encrypted to it.
    EncryptionKey,
}

/// How one use of a credential ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When; RFC 3339, by the server's clock where it has a record.
    pub time: String,
    /// Why it was refused; `None` if it was accepted.
    pub refused_for: Option<String>,
    /// Numbers of the server's events that say so.
    pub events: Vec<u64>,
}

/// An old credential tried at one door, and the same with the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Whose, such as `edp1`.
    pub owner: String,
    /// What is tried, in words, such as `old leaf`.
    pub what: String,
    /// Its kind.
    pub kind: CredentialKind,
    /// What identifies it.
    pub credential: String,
    /// Where it was tried, such as `the Kingdom`, `worker1`, `CreateMeasurement`.
    pub door: String,
    /// Earlier uses of the old credential there, by the owner or anybody else.
    pub earlier: Vec<Attempt>,
    /// With the old credential.
    pub old: Attempt,
    /// With the new one; `None` where a finding only says that the old one still works.
    pub new: Option<Attempt>,
}

/// What a trial must show for the old credential to count as dead at its door: first that the new one
/// is accepted there, then that the old one is refused for this cause.
pub fn judge(trial: &Trial, cause: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(new) = &trial.new {
        let what = format!("{}'s new credential at {}", trial.owner, trial.door);
        let mut check = check::equal(what, "accepted", &show(new));
        check.evidence = new.events.clone();
        checks.push(check.or(Cause::CounterpartRefused));
    }
    let what = format!("{}'s {} at {}", trial.owner, trial.what, trial.door);
    let mut check = check::equal(what, &format!("refused with {cause}"), &show(&trial.old));
    check.evidence = trial.old.events.clone();
    checks.push(if trial.old.refused_for.is_none() {
        check.or(Cause::StillAccepted)
    } else {
        check
    });
    checks
}

/// What must hold where the real system has no refusal: the old credential is accepted.
pub fn judge_alive(trial: &Trial) -> Check {
    let what = format!("{}'s {} at {}", trial.owner, trial.what, trial.door);
    let mut check = check::equal(what, "accepted", &show(&trial.old));
    check.evidence = trial.old.events.clone();
    check.or(Cause::FailureNotSeen)
}

fn show(attempt: &Attempt) -> String {
    match &attempt.refused_for {
        None => "accepted".to_owned(),
        Some(cause) => format!("refused with {cause}"),
    }
}

/// One credential at one door, as the record shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deadness {
    /// What identifies it: a subject key identifier, a resource name.
    pub credential: String,
    /// Its kind.
    pub kind: CredentialKind,
    /// Whose.
    pub owner: String,
    /// Where it was tried.
    pub door: String,
    /// When it was last accepted there; RFC 3339. `None` if it never was while anybody looked.
    pub last_accepted: Option<String>,
    /// When it was first refused after that. `None`: it still works.
    pub first_refused: Option<String>,
    /// Why it was.
    pub cause: Option<String>,
}

/// Every credential that was tried, with its last acceptance and first refusal over all that was
/// observed: trials, the scenario's own calls and probes.
pub fn of(log: &[Observation]) -> Vec<Deadness> {
    let trials: Vec<&Trial> = log
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Trial(trial) => Some(&**trial),
            _ => None,
        })
        .collect();
    let mut all: Vec<Deadness> = Vec::new();
    for trial in &trials {
        let is_same = |one: &Deadness| {
            (one.kind, &one.credential, &one.door) == (trial.kind, &trial.credential, &trial.door)
        };
        if all.iter().any(is_same) {
            continue;
        }
        let mut uses = uses(log, trial);
        for other in trials.iter().filter(|other| {
            (other.kind, &other.credential, &other.door)
                == (trial.kind, &trial.credential, &trial.door)
        }) {
            uses.extend(other.earlier.iter().cloned());
            uses.push(other.old.clone());
        }
        uses.sort_by_key(|attempt| moment(&attempt.time));
        let last = uses.iter().rposition(|attempt| attempt.refused_for.is_none());
        let refused = uses.get(last.map_or(0, |last| last + 1));
        all.push(Deadness {
            credential: trial.credential.clone(),
            kind: trial.kind,
            owner: trial.owner.clone(),
            door: trial.door.clone(),
            last_accepted: last.map(|last| uses[last].time.clone()),
            first_refused: refused.map(|attempt| attempt.time.clone()),
            cause: refused.and_then(|attempt| attempt.refused_for.clone()),
        });
    }
    all
}

/// What calls and probes show of the credential at the trial's door.
fn uses(log: &[Observation], trial: &Trial) -> Vec<Attempt> {
    let mut uses = Vec::new();
    for observation in log {
        match &observation.fact {
            Fact::Server(event) => uses.extend(of_event(event, trial)),
            Fact::Probes(run) => {
                for probe in &run.probes {
                    let attempt = probe.server.as_deref().and_then(|event| of_event(event, trial));
                    // A refusal of anything but the credential shows nothing of it.
                    uses.extend(attempt.filter(|attempt| {
                        attempt.refused_for.is_some() || probe.answer == Answer::Expected
                    }));
                }
            }
            _ => {}
        }
    }
    uses
}

fn of_event(event: &ServerEvent, trial: &Trial) -> Option<Attempt> {
    let peer = event.peer.as_ref()?;
    let shown = match trial.kind {
        CredentialKind::TlsLeaf => peer.skid.as_ref()?,
        CredentialKind::TlsRoot => peer.akid.as_ref()?,
        CredentialKind::SigningCertificate | CredentialKind::EncryptionKey => return None,
    };
    if *shown != trial.credential || door(event) != trial.door {
        return None;
    }
    let refused_for = identity_refusal(event);
    // An accepted handshake is no proof of anything; a call under a principal is.
    if refused_for.is_none() && event.principal.is_none() {
        return None;
    }
    Some(Attempt { time: event.time.clone(), refused_for, events: vec![event.seq] })
}

/// Where an event happened, as doors are named.
pub fn door(event: &ServerEvent) -> String {
    match (&event.duchy, event.listener.as_deref()) {
        (Some(duchy), _) => duchy.clone(),
        (None, Some("system")) => SYSTEM_API.to_owned(),
        (None, Some("operator")) => OPERATOR_API.to_owned(),
        _ => KINGDOM.to_owned(),
    }
}

/// The public API's door.
pub const KINGDOM: &str = "the Kingdom";
/// The system API's door.
pub const SYSTEM_API: &str = "the system API";
/// The operator's door.
pub const OPERATOR_API: &str = "the operator's listener";

/// Why a server did not take a caller for who its certificate says it is, if it did not.
pub fn identity_refusal(event: &ServerEvent) -> Option<String> {
    let cause = event.cause.as_deref();
    match event.kind.as_str() {
        "handshake" if event.outcome == "refused" => Some(cause.unwrap_or("refused").to_owned()),
        "call" if event.principal.is_none() => {
            Some(cause.unwrap_or("principal_unknown").to_owned())
        }
        _ => None,
    }
}

fn moment(rfc3339: &str) -> OffsetDateTime {
    OffsetDateTime::parse(rfc3339, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{ObservationLog, PeerFacts};
    use fake_kingdom::model::Timestamp;

    fn attempt(second: u32, refused_for: Option<&str>) -> Attempt {
        Attempt {
            time: format!("2026-01-01T00:00:{second:02}Z"),
            refused_for: refused_for.map(str::to_owned),
            events: vec![u64::from(second)],
        }
    }

    fn trial(old: Attempt, new: Attempt) -> Trial {
        Trial {
            owner: "edp1".to_owned(),
            what: "old leaf".to_owned(),
            kind: CredentialKind::TlsLeaf,
            credential: "aa".to_owned(),
            door: KINGDOM.to_owned(),
            earlier: Vec::new(),
            old,
            new: Some(new),
        }
    }

    fn holds(trial: &Trial) -> Vec<bool> {
        judge(trial, "unknown_issuer").iter().map(|check| check.holds).collect()
    }

    #[test]
    fn a_refusal_for_the_cause_beside_an_acceptance_is_dead() {
        assert_eq!(
            holds(&trial(attempt(1, Some("unknown_issuer")), attempt(2, None))),
            [true, true]
        );
    }

    #[test]
    fn a_refusal_beside_a_refusal_proves_nothing() {
        let shut = trial(attempt(1, Some("unknown_issuer")), attempt(2, Some("unknown_issuer")));
        assert_eq!(holds(&shut), [false, true]);
        assert_eq!(judge(&shut, "unknown_issuer")[0].cause, Some(Cause::CounterpartRefused));
    }

    #[test]
    fn a_refusal_for_another_cause_is_not_that_death() {
        assert_eq!(holds(&trial(attempt(1, Some("expired")), attempt(2, None))), [true, false]);
    }

    #[test]
    fn what_is_still_accepted_says_so() {
        let alive = trial(attempt(1, None), attempt(2, None));
        assert_eq!(holds(&alive), [true, false]);
        assert_eq!(judge(&alive, "unknown_issuer")[1].cause, Some(Cause::StillAccepted));
        assert!(judge_alive(&alive).holds);
        assert!(!judge_alive(&trial(attempt(1, Some("expired")), attempt(2, None))).holds);
    }

    fn server(second: u32, skid: &str, principal: Option<&str>, cause: Option<&str>) -> Fact {
        Fact::Server(Box::new(ServerEvent {
            seq: u64::from(second),
            time: format!("2026-01-01T00:00:{second:02}Z"),
            kind: "call".to_owned(),
            outcome: if cause.is_some() { "refused" } else { "ok" }.to_owned(),
            cause: cause.map(str::to_owned),
            listener: Some("public".to_owned()),
            principal: principal.map(str::to_owned),
            peer: Some(PeerFacts { skid: Some(skid.to_owned()), ..PeerFacts::default() }),
            ..ServerEvent::default()
        }))
    }

    #[test]
    fn the_record_has_the_last_acceptance_and_the_first_refusal_after_it() {
        let mut log = ObservationLog::default();
        for fact in [
            server(1, "aa", Some("dataProviders/x"), None),
            server(2, "aa", None, Some("principal_unknown")),
            server(3, "aa", Some("dataProviders/x"), None),
            server(4, "bb", Some("dataProviders/x"), None),
            server(5, "aa", None, Some("principal_unknown")),
            Fact::Trial(Box::new(trial(attempt(6, Some("unknown_issuer")), attempt(7, None)))),
        ] {
            log.record(Timestamp::default(), fact);
        }
        let dead = of(log.all());
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].last_accepted.as_deref(), Some("2026-01-01T00:00:03Z"));
        assert_eq!(dead[0].first_refused.as_deref(), Some("2026-01-01T00:00:05Z"));
        assert_eq!(dead[0].cause.as_deref(), Some("principal_unknown"));
    }

    #[test]
    fn the_record_says_of_what_still_works_that_it_was_never_refused() {
        let mut log = ObservationLog::default();
        let alive = trial(attempt(6, None), attempt(7, None));
        log.record(Timestamp::default(), Fact::Trial(Box::new(alive)));
        let dead = of(log.all());
        assert_eq!((dead[0].first_refused.as_ref(), dead[0].cause.as_ref()), (None, None));
    }
}
