//! Whether an old credential is dead: refused for the right cause wherever it could still work, while
//! the same call on the new one is accepted (method.md section 4, recommendation 5). Pure.
//!
//! A refusal alone proves nothing: a door that is shut to everybody refuses the old credential too,
//! and so does a door that never knew it. What was never seen alive is not shown dead.

use super::check;
use crate::error::Problem;
use crate::observation::{Check, Fact, Observation, ServerEvent};
use crate::participant::{EventKind, ParticipantEvent};
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
    /// An encryption key pair; known by the SHA-256 of its public key, or by what the scenario calls it.
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

/// That the old credential was once accepted at the trial's door: what was never seen alive there is not
/// shown dead by a refusal. `log` is all that was observed, with or without the trial itself.
///
/// # Errors
/// It never was; the run proves nothing.
pub fn seen_alive(log: &[Observation], trial: &Trial) -> Result<(), Problem> {
    let before = trial.earlier.iter().chain(std::iter::once(&trial.old));
    let all = all_uses(log, trial);
    if all.iter().chain(before).any(|attempt| attempt.refused_for.is_none()) {
        return Ok(());
    }
    let what = format!(
        "{}'s {} was never seen to be accepted at {}, so its refusal there shows no death",
        trial.owner, trial.what, trial.door
    );
    Err(Problem::author(what, "try it there before it is retired").because(Cause::NeverSeenAlive))
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
        let mut uses = all_uses(log, trial);
        // On virtual time several things happen at one moment: there the server's numbers decide.
        uses.sort_by_key(|attempt| (moment(&attempt.time), attempt.events.first().copied()));
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

/// A credential that a trial showed to be dead, and that was accepted at the same door later on.
pub fn revived(log: &[Observation]) -> Option<String> {
    let dead = log.iter().find_map(|observation| match &observation.fact {
        Fact::Trial(trial) if trial.new.is_some() && trial.old.refused_for.is_some() => {
            let same = |one: &Deadness| {
                (one.kind, &one.credential, &one.door)
                    == (trial.kind, &trial.credential, &trial.door)
            };
            of(log).into_iter().find(|one| same(one) && one.first_refused.is_none())
        }
        _ => None,
    })?;
    let when = dead.last_accepted.unwrap_or_default();
    Some(format!(
        "{}'s credential {} was dead at {}, and was accepted there again at {when}",
        dead.owner, dead.credential, dead.door
    ))
}

/// Every use of the trial's credential at its door: in calls, probes and all trials.
fn all_uses(log: &[Observation], trial: &Trial) -> Vec<Attempt> {
    let mut all = uses(log, trial);
    for observation in log {
        let Fact::Trial(other) = &observation.fact else { continue };
        if (other.kind, &other.credential, &other.door)
            == (trial.kind, &trial.credential, &trial.door)
        {
            all.extend(other.earlier.iter().cloned());
            all.push(other.old.clone());
        }
    }
    all
}

/// What calls, probes and readers show of the credential at the trial's door.
fn uses(log: &[Observation], trial: &Trial) -> Vec<Attempt> {
    let mut uses = Vec::new();
    for observation in log {
        match &observation.fact {
            Fact::Server(event) => uses.extend(of_event(event, trial)),
            Fact::Participant(event) => uses.extend(of_reader(event, trial)),
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

/// A reader that read results under the certificate has accepted it.
fn of_reader(event: &ParticipantEvent, trial: &Trial) -> Option<Attempt> {
    let read = trial.kind == CredentialKind::SigningCertificate
        && event.kind == EventKind::ResultRead
        && event.cause == trial.credential
        && door_of_reader(&event.actor) == trial.door;
    read.then(|| Attempt { time: event.time.to_string(), refused_for: None, events: Vec::new() })
}

/// Where results are read, as doors are named.
pub fn door_of_reader(reader: &str) -> String {
    format!("results read by {reader}")
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

    fn recorded(facts: impl IntoIterator<Item = Fact>) -> ObservationLog {
        let mut log = ObservationLog::default();
        for fact in facts {
            log.record(Timestamp::default(), fact);
        }
        log
    }

    #[test]
    fn what_was_never_accepted_at_the_door_is_not_shown_dead() {
        let refused = trial(attempt(6, Some("unknown_issuer")), attempt(7, None));
        let strange = recorded([
            server(1, "bb", Some("dataProviders/x"), None),
            server(2, "aa", None, Some("principal_unknown")),
            Fact::Trial(Box::new(refused.clone())),
        ]);
        let problem = seen_alive(strange.all(), &refused).expect_err("never accepted");
        assert_eq!(problem.cause, Some(Cause::NeverSeenAlive));
    }

    #[test]
    fn a_call_a_trial_or_an_earlier_use_shows_it_alive() {
        let refused = trial(attempt(6, Some("unknown_issuer")), attempt(7, None));
        let called = recorded([server(1, "aa", Some("dataProviders/x"), None)]);
        assert!(seen_alive(called.all(), &refused).is_ok());
        let tried = Trial { new: None, ..trial(attempt(1, None), attempt(1, None)) };
        let tried = recorded([Fact::Trial(Box::new(tried))]);
        assert!(seen_alive(tried.all(), &refused).is_ok());
        let used = Trial { earlier: vec![attempt(1, None)], ..refused };
        assert!(seen_alive(&[], &used).is_ok());
    }

    #[test]
    fn a_trial_elsewhere_shows_nothing_of_this_door() {
        let refused = trial(attempt(6, Some("unknown_issuer")), attempt(7, None));
        let elsewhere =
            Trial { door: "worker1".to_owned(), ..trial(attempt(1, None), attempt(1, None)) };
        let elsewhere = recorded([Fact::Trial(Box::new(elsewhere))]);
        assert!(seen_alive(elsewhere.all(), &refused).is_err());
    }

    #[test]
    fn results_that_a_reader_accepted_show_their_certificate_alive_to_that_reader() {
        let refused = Trial {
            kind: CredentialKind::SigningCertificate,
            credential: "dataProviders/x/certificates/c".to_owned(),
            door: door_of_reader("mc1"),
            ..trial(attempt(6, Some("3.13.2/d")), attempt(7, None))
        };
        let read = |actor: &str| {
            Fact::Participant(Box::new(ParticipantEvent {
                time: Timestamp::default(),
                actor: actor.to_owned(),
                kind: EventKind::ResultRead,
                clause: "3.15.1",
                cause: "dataProviders/x/certificates/c".to_owned(),
                justification: "",
                subject: "measurementConsumers/y/measurements/m".to_owned(),
            }))
        };
        assert!(seen_alive(recorded([read("mc1")]).all(), &refused).is_ok());
        assert!(seen_alive(recorded([read("reporting")]).all(), &refused).is_err());
    }

    #[test]
    fn at_one_moment_the_servers_numbers_tell_first_from_last() {
        let at = |seq: u64, refused_for: Option<&str>| Attempt {
            events: vec![seq],
            ..attempt(1, refused_for)
        };
        let dead = trial(at(9, Some("unknown_issuer")), at(8, None));
        let alive = Trial { new: None, ..trial(at(2, None), at(2, None)) };
        let log = recorded([Fact::Trial(Box::new(dead)), Fact::Trial(Box::new(alive))]);
        let dead = of(log.all());
        assert_eq!(dead[0].cause.as_deref(), Some("unknown_issuer"));
        assert!(dead[0].last_accepted.is_some());
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
