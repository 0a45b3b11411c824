//! Whether an old credential is dead: refused for the right cause wherever it could still work, while
//! the same call on the new one is accepted (method.md section 4, recommendation 5). Pure.
//!
//! A refusal alone proves nothing: a door that is shut to everybody refuses the old credential too,
//! and so does a door that never knew it. What was never seen alive is not shown dead. Nor is it dead
//! while a connection that was opened on it before is still served: a certificate is looked at in the
//! handshake, and never again (5.5.4).

use super::check;
use crate::error::Problem;
use crate::observation::{Attempt, Check, CredentialKind, Fact, Observation, ServerEvent, Trial};
use crate::participant::{EventKind, ParticipantEvent};
use crate::probe::Answer;
use fake_kingdom::OpenConnection;
use fake_kingdom::cause::Cause;
use fake_kingdom::event::Listener;
use serde::Serialize;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// That every door at which a credential could work is tried.
///
/// # Errors
/// One is missing: there it may live on.
pub fn at_every_door<'a>(
    owner: &str,
    what: &str,
    doors: &[String],
    tried: impl Iterator<Item = &'a str>,
) -> Result<(), Problem> {
    let tried: Vec<_> = tried.collect();
    match doors.iter().find(|door| !tried.contains(&door.as_str())) {
        None => Ok(()),
        Some(door) => Err(Problem::author(
            format!("{door} is not among the doors, and an old {what} of {owner} could work there"),
            format!("add a row for {door}"),
        )),
    }
}

/// The roots of an actor that were replaced: all that are older than the one of its present leaf, and those
/// of which it has presented a leaf before. By subject key identifier; `roots` oldest first.
pub fn replaced_roots(roots: &[String], presented: &[String], now: &str) -> Vec<String> {
    let present = roots.iter().position(|root| root == now);
    let is_old = |n: usize, root: &String| {
        Some(n) != present
            && (present.is_some_and(|present| n < present) || presented.contains(root))
    };
    let old = roots.iter().enumerate().filter(|(n, root)| is_old(*n, root));
    old.map(|(_, root)| root.clone()).collect()
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

/// That the old credential was accepted at the trial's door before it was refused there: what was never
/// seen alive there is not shown dead by a refusal. `log` is all that was observed, with or without the
/// trial itself.
///
/// # Errors
/// It never was; the run proves nothing.
pub fn seen_alive(log: &[Observation], trial: &Trial) -> Result<(), Problem> {
    if trial.old.refused_for.is_none() {
        return Ok(());
    }
    let before = |attempt: &Attempt| {
        let (one, other) = (moment(&attempt.time), moment(&trial.old.time));
        // At one moment the server's numbers decide, where it has a record of both.
        let numbers = attempt.events.first().zip(trial.old.events.first());
        one < other || (one == other && numbers.is_none_or(|(one, other)| one < other))
    };
    let all = all_uses(log, trial);
    if all.iter().chain(&trial.earlier).any(|one| one.refused_for.is_none() && before(one)) {
        return Ok(());
    }
    let what = format!(
        "{}'s {} was never seen to be accepted at {} before it was refused there, so its refusal shows \
         no death",
        trial.owner, trial.what, trial.door
    );
    Err(Problem::author(what, "try it there before it is retired").because(Cause::NeverSeenAlive))
}

/// That no call that mentions the certificate was accepted once it was dead: `calls` are all that mention it
/// at the trial's door. A refusal after that may be another's, which the same call names too.
pub fn accepted_since(trial: &Trial, death: &Attempt, calls: &[Attempt]) -> Check {
    let what = format!("{}'s {} at {} after its death", trial.owner, trial.what, trial.door);
    let again: Vec<_> =
        calls.iter().filter(|call| call.refused_for.is_none() && is_later(call, death)).collect();
    let observed = match again.last() {
        Some(call) => format!("accepted at {}", call.time),
        None => "accepted nowhere".to_owned(),
    };
    let mut check = check::equal(what, "accepted nowhere", &observed);
    check.evidence = again.iter().flat_map(|call| call.events.clone()).collect();
    check.or(Cause::StillAccepted)
}

/// That a refusal is of this certificate: of several that a call names another may be the one that is not
/// valid, and the wire does not say which (1.0.11); the server's event does.
pub fn is_refused_for(certificate: &str, event: Option<&ServerEvent>) -> Check {
    let subject = event.and_then(|event| event.subject.as_deref()).unwrap_or("none");
    let mut check = check::equal("the certificate that was refused", certificate, subject);
    check.evidence = event.map(|event| event.seq).into_iter().collect();
    check.or(Cause::UnexpectedState)
}

/// Since when a certificate is revoked, by what the Kingdom did to it; `None` if it is not. `or_held`: or on
/// hold, which a release ends as if it had never been.
pub fn revoked_since(events: &[ServerEvent], certificate: &str, or_held: bool) -> Option<Attempt> {
    let mut since = None;
    for event in changes(events, certificate) {
        let state = after(event);
        if state == "REVOKED" || (state == "HOLD" && or_held) {
            since = since.or_else(|| Some(change(event)));
        } else {
            since = None;
        }
    }
    since
}

/// When a resource was created, by what the Kingdom did to it.
pub fn created(events: &[ServerEvent], resource: &str) -> Option<Attempt> {
    changes(events, resource).next().map(change)
}

/// That an old key opened nothing after it had not opened what it is called dead for: `refused` is the place
/// of that refusal among all that its owner did, `opened` the places of what it opened under the key.
pub fn opened_since(owner: &str, what: &str, refused: usize, opened: &[usize]) -> Check {
    let later = opened.iter().filter(|place| **place > refused).count();
    let what = format!("requisitions that {owner}'s {what} opened after its death");
    check::equal(what, "0", &later.to_string()).or(Cause::StillAccepted)
}

/// When a resource last came into a state, by what the Kingdom did to it.
pub fn came_into(events: &[ServerEvent], resource: &str, state: &str) -> Option<Attempt> {
    changes(events, resource).filter(|event| after(event) == state).last().map(change)
}

/// Whether a measurement failed and succeeded after that: what the Kingdom did to it, in numbers of its
/// events.
pub fn succeeded_after_failing(events: &[ServerEvent], measurement: &str) -> Option<Vec<u64>> {
    let failed = came_into(events, measurement, "FAILED")?;
    let succeeded = came_into(events, measurement, "SUCCEEDED")?;
    is_later(&succeeded, &failed).then(|| [failed.events, succeeded.events].concat())
}

fn changes<'a>(events: &'a [ServerEvent], resource: &str) -> impl Iterator<Item = &'a ServerEvent> {
    events
        .iter()
        .filter(move |event| event.kind == "mutation" && event.subject.as_deref() == Some(resource))
}

/// The state that a change of a resource ended in.
fn after(event: &ServerEvent) -> &str {
    let detail = event.detail.as_deref().unwrap_or_default();
    detail.rsplit_once(" -> ").map_or("", |(_, after)| after)
}

fn change(event: &ServerEvent) -> Attempt {
    Attempt { time: event.time.clone(), refused_for: None, events: vec![event.seq] }
}

/// What stands under a key that was shown dead, and did not when that was shown or was written again since:
/// `known` was there then, `now` is there, `changed` are the resources that changed since.
pub fn under_again(
    known: &BTreeSet<(String, String)>,
    now: &BTreeSet<(String, String)>,
    changed: &BTreeSet<String>,
) -> Vec<String> {
    let rewritten = |name: &String| name.contains("/eventGroups/") && changed.contains(name);
    now.iter()
        .filter(|one| !known.contains(one) || rewritten(&one.1))
        .map(|(how, name)| format!("{name} ({how})"))
        .collect()
}

/// The resources that the Kingdom changed after an event.
pub fn changed_after(events: &[ServerEvent], after: u64) -> BTreeSet<String> {
    let changed = events.iter().filter(|event| event.kind == "mutation" && event.seq > after);
    changed.filter_map(|event| event.subject.clone()).collect()
}

/// What a finding is about, as far as the clause that it rests on depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground<'a> {
    /// The kind alone decides.
    Any,
    /// The door at which an old credential works.
    Door(&'a str),
    /// The clause by which a reader noticed: it says whether the certificate was revoked, has ended, or was
    /// never the signer's.
    NoticedBy(&'a str),
    /// The reader that noticed nothing.
    Reader(&'a str),
}

/// The clauses that a finding of this kind and ground can cite: any other says nothing of it.
pub fn citable(code: &str, ground: Ground<'_>) -> &'static [&'static str] {
    match code {
        "old_credential_accepted" => match ground {
            // There it is the Duchy's own map and bundle that count.
            Ground::Door(door) if ![KINGDOM, SYSTEM_API, OPERATOR_API].contains(&door) => {
                &["5.9.1", "5.10"]
            }
            _ => &["1.6.2", "2.1", "2.8"],
        },
        "leaf_refused_by_the_map_alone" => &["1.7.15", "2.4", "5.9.2"],
        "dead_certificate_accepted" => match ground {
            Ground::NoticedBy("3.13.1/e") => &["1.2.3"],
            // Of what is read, an end is found by the path.
            Ground::NoticedBy("3.13.2/e") => &["1.6.4"],
            _ => &["1.6.2"],
        },
        "revoked_certificate_taken_by_peer" => &["3.13.3", "4.5"],
        "dead_certificate_not_noticed" => match ground {
            Ground::Reader(reader) if reader == crate::participant::cast::REPORTING => &["3.13.4"],
            _ => &["3.15.1"],
        },
        "replay_not_noticed" => &["3.1.2"],
        "late_result_overwrites_failure" => &["1.5.2", "1.6.7"],
        "missing_oid_not_noticed" => &["3.1.5"],
        "ciphertext_under_dead_key" => &["1.2.4"],
        _ => &[],
    }
}

/// Whether a refusal for this cause shows a credential dead. No server has a revocation list: a root is dead
/// once it is in no bundle (2.8), a leaf with its root, at its end, or as long as nobody is its owner (2.4).
/// Any other refusal is of the call, and passes: a bucket fills again.
pub fn is_death(kind: CredentialKind, cause: &str) -> bool {
    let is = |causes: &[Cause]| causes.iter().any(|one| one.code() == cause);
    match kind {
        CredentialKind::TlsRoot => is(&[Cause::UnknownIssuer]),
        CredentialKind::TlsLeaf => {
            is(&[Cause::UnknownIssuer, Cause::Expired, Cause::PrincipalUnknown])
        }
        CredentialKind::SigningCertificate | CredentialKind::EncryptionKey => true,
    }
}

/// What a death by this cause leaves alive, in words; `None` if nothing.
///
/// A row of the principal map is no lock. A leaf without one passes the door of TLS and is nobody there
/// (2.4), until the row comes back or an API key stands beside it (2.6); so it counts as dead, with that
/// said.
///
/// # Errors
/// A root is not dead by it at all: whoever has its key issues leaves that pass, and the removal from the
/// bundle is the only cut-off (2.8, 5.9). Nor is anything dead by a cause that is no death ([`is_death`]).
pub fn left_alive(trial: &Trial, cause: &str) -> Result<Option<String>, Problem> {
    if cause != Cause::PrincipalUnknown.code() {
        if is_death(trial.kind, cause) {
            return Ok(None);
        }
        return Err(Problem::author(
            format!(
                "{}'s {} is refused with {cause} at {}, which is no death of it: the removal of its root \
                 from the bundle is the only cut-off (2.8)",
                trial.owner, trial.what, trial.door
            ),
            "remove the root from the bundle, restart what reads it, and expect unknown_issuer",
        ));
    }
    match trial.kind {
        CredentialKind::TlsRoot => Err(Problem::author(
            format!(
                "{}'s {} is refused with {cause} at {}, which is no death of a root: it is in the \
                 bundle still, and only the principal map's row is gone, so that every leaf of it passes \
                 the door of TLS (2.4, 2.8)",
                trial.owner, trial.what, trial.door
            ),
            "remove the root from the bundle, restart what reads it, and expect unknown_issuer",
        )),
        CredentialKind::TlsLeaf => Ok(Some(format!(
            "{}'s {} passes the door of TLS of {} still, as its root is in the bundle: it is nobody \
             there only as long as the principal map has no row for that root (2.4), and beside an API \
             key it is the key's owner (2.6); the root's removal from the bundle is the only end (2.8)",
            trial.owner, trial.what, trial.door
        ))),
        CredentialKind::SigningCertificate | CredentialKind::EncryptionKey => Ok(None),
    }
}

/// What one more try of a credential that was shown dead shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// It is dead; with what that leaves alive, in words.
    Dead(Option<String>),
    /// It is not; by what it is accepted, in words, where no call of its owner was.
    Alive(Option<String>),
    /// The refusal is of something else, so that nobody knows.
    Unproved,
}

/// What a try after the death shows. `passed`: a server took its call under the certificate, so that the
/// handshake was accepted.
pub fn again(trial: &Trial, tried: &Attempt, passed: bool) -> Again {
    let Some(cause) = tried.refused_for.as_deref() else { return Again::Alive(None) };
    if let Ok(left) = left_alive(trial, cause) {
        return Again::Dead(left);
    }
    let is_nobody = cause == Cause::PrincipalUnknown.code();
    match (passed, is_nobody, trial.kind) {
        // Whoever has the root's key issues leaves that pass, whatever the map says of them now.
        (true, true, CredentialKind::TlsRoot) => Again::Alive(Some(
            "its root is in the bundle again, and only the principal map has no row for it"
                .to_owned(),
        )),
        (true, _, _) if cause.starts_with(TAKEN_FOR) => Again::Alive(Some(cause.to_owned())),
        _ => Again::Unproved,
    }
}

/// How a refusal begins that is none, but the acceptance of somebody else.
pub const TAKEN_FOR: &str = "taken for ";

/// That a try after the death proves nothing: what it met is neither an acceptance nor a death.
pub fn unproved(trial: &Trial, tried: &Attempt) -> Problem {
    let cause = tried.refused_for.as_deref().unwrap_or("nothing");
    Problem::author(
        format!(
            "{}'s {} was tried once more at {} when the scenario ended, and was refused with {cause}, \
             which shows neither that it is dead still nor that it is not",
            trial.owner, trial.what, trial.door
        ),
        "let that door answer as it did when the death was shown, before the scenario ends",
    )
}

/// That nobody listens at a door whose files were changed after the death was shown there.
pub fn unheard(trial: &Trial) -> Problem {
    Problem::author(
        format!(
            "{}'s {} was shown dead at {}, what is read there was changed after that, and nobody listens \
             there when the scenario ends: whether it works again is not known",
            trial.owner, trial.what, trial.door
        ),
        "start it again before the scenario ends, or leave the change out",
    )
    .because(Cause::NobodyListens)
}

/// Whether the scenario put something in place, after the log had this many facts, that a server behind this
/// door reads when it starts.
pub fn placed_since(log: &[Observation], facts: usize, door: &str) -> bool {
    let whose = match door {
        KINGDOM | SYSTEM_API | OPERATOR_API => "the Kingdom's ".to_owned(),
        duchy => format!("{duchy}'s "),
    };
    let since = log.iter().skip(facts);
    since
        .into_iter()
        .any(|one| matches!(&one.fact, Fact::Placed { what } if what.starts_with(&whose)))
}

/// That a key is not the one that its owner has in force at the Kingdom: as long as it is, whoever encrypts
/// anew encrypts to it, whatever did not open under it.
pub fn out_of_force(owner: &str, what: &str, is_in_force: bool) -> Check {
    let show = |in_force: bool| if in_force { "in force" } else { "not in force" };
    let what = format!("{owner}'s {what} at the Kingdom");
    check::equal(what, show(false), show(is_in_force)).or(Cause::StillAccepted)
}

/// What the Kingdom did to a certificate: it is revoked, or only on hold.
pub fn how_retired(events: &[ServerEvent], certificate: &str) -> &'static str {
    match revoked_since(events, certificate, false) {
        Some(_) => "revoked",
        None => "put on hold",
    }
}

/// An open connection whose handshake was made with an old credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surviving {
    /// Its number, as events have it.
    pub id: u64,
    /// The newest call on it that the server has recorded; `None` if there was none so far.
    pub newest: Option<Attempt>,
}

/// Whether a connection is open at a door under this credential.
pub fn is_open_under(
    open: &OpenConnection,
    kind: CredentialKind,
    credential: &str,
    door: &str,
) -> bool {
    let Some(peer) = &open.peer else { return false };
    let shown = match kind {
        CredentialKind::TlsLeaf => peer.skid.as_deref(),
        CredentialKind::TlsRoot => peer.akid.as_deref(),
        CredentialKind::SigningCertificate | CredentialKind::EncryptionKey => None,
    };
    let at = match (&open.duchy, open.listener) {
        (Some(duchy), _) => duchy.as_str(),
        (None, Listener::System) => SYSTEM_API,
        (None, Listener::Operator) => OPERATOR_API,
        (None, Listener::Public | Listener::Duchy) => KINGDOM,
    };
    shown == Some(credential) && at == door
}

/// That no connection that was opened under the old credential is served any more: certificates are
/// looked at in the handshake alone, so that whoever has such a connection goes on (5.5.4). One whose
/// newest call was refused for the identity of its caller serves nobody.
pub fn outlived(owner: &str, what: &str, door: &str, open: &[Surviving]) -> Check {
    let served = open.iter().filter(|one| match &one.newest {
        Some(newest) => newest.refused_for.is_none(),
        None => true,
    });
    let (mut observed, mut evidence) = (Vec::new(), Vec::new());
    for one in served {
        let call = if one.newest.is_some() { "its newest call accepted" } else { "without a call" };
        observed.push(format!("connection {} is open, {call}", one.id));
        evidence.extend(one.newest.iter().flat_map(|newest| newest.events.clone()));
    }
    let observed = if observed.is_empty() { "none".to_owned() } else { observed.join("; ") };
    let what = format!("connections that live on {owner}'s {what} at {door}");
    let mut check = check::equal(what, "none", &observed);
    check.evidence = evidence;
    check.or(Cause::ConnectionOutlivesCredential)
}

/// That a participant noticed by a clause what stands under a certificate: `minded` is what it refused,
/// rejected or ended over since. What it minded about another certificate is another matter.
pub fn noticed(
    participant: &str,
    clause: &str,
    certificate: &str,
    minded: &[ParticipantEvent],
) -> Check {
    let show = |clause: &str, certificate: &str| format!("{certificate} by {clause}");
    let seen = minded.iter().find(|one| one.clause == clause && one.certificate == certificate);
    let observed = match seen.or(minded.last()) {
        Some(one) if one.certificate.is_empty() => {
            format!("no certificate, but by {}: {}", one.clause, one.cause)
        }
        Some(one) => show(one.clause, &one.certificate),
        None => "nothing".to_owned(),
    };
    let expected = show(clause, certificate);
    check::equal(format!("{participant} noticed"), &expected, &observed).or(Cause::NotNoticed)
}

/// That a participant noticed by a clause what is wrong with a resource, rather than with a certificate.
pub fn noticed_of(
    participant: &str,
    clause: &str,
    resource: &str,
    minded: &[ParticipantEvent],
) -> Check {
    let show = |clause: &str, resource: &str| format!("{resource} by {clause}");
    let seen = minded.iter().find(|one| one.clause == clause && one.subject == resource);
    let observed = match seen.or(minded.last()) {
        Some(one) => show(one.clause, &one.subject),
        None => "nothing".to_owned(),
    };
    let what = format!("{participant} noticed");
    check::equal(what, &show(clause, resource), &observed).or(Cause::NotNoticed)
}

/// Whether a participant that refuses by this clause does so for the revocation state alone.
pub fn is_for_revocation(clause: &str) -> bool {
    matches!(clause, "3.13.1/c" | "3.13.2/d")
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
    /// Whether its owner presents it when the scenario ends, so that it ought to work.
    #[serde(skip)]
    pub is_present: bool,
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
            is_present: is_present(log, trial),
        });
    }
    all
}

/// How a trial's `what` begins where the credential is tried as the one that its owner has now, rather than as
/// what was or may be stolen.
pub const PRESENT: &str = "present ";

/// Whether a credential was tried as its owner's present one, and is that still at the end.
fn is_present(log: &[Observation], trial: &Trial) -> bool {
    let as_present = |observation: &Observation| match &observation.fact {
        Fact::Trial(other) => other.is_of_the_same(trial) && other.what.starts_with(PRESENT),
        _ => false,
    };
    if !log.iter().any(as_present) {
        return false;
    }
    log.iter().any(|observation| {
        let Fact::Presents { actor, skid, akid } = &observation.fact else { return false };
        let shown = match trial.kind {
            CredentialKind::TlsLeaf => skid,
            CredentialKind::TlsRoot => akid,
            CredentialKind::SigningCertificate | CredentialKind::EncryptionKey => return false,
        };
        *actor == trial.owner && *shown == trial.credential
    })
}

/// A credential that a trial showed to be dead, and that was accepted at the same door later on, whatever
/// became of it after that. What stands behind the trial in the log came later; probes, whose run may have
/// begun before, go by their own time.
pub fn revived(log: &[Observation]) -> Option<String> {
    let shown_dead =
        log.iter().enumerate().filter_map(|(at, observation)| match &observation.fact {
            Fact::Trial(trial) if trial.new.is_some() && trial.old.refused_for.is_some() => {
                Some((&log[at + 1..], &**trial))
            }
            _ => None,
        });
    let (trial, (again, how)) = shown_dead
        .filter_map(|(rest, trial)| {
            let found = rest.iter().find_map(|one| Some((accepted(one, trial)?, one)));
            let how = |one: &Observation| match &one.fact {
                Fact::Trial(other) if other.what != trial.what => format!(": {}", other.what),
                _ => String::new(),
            };
            Some((trial, found.map(|(again, one)| (again, how(one)))?))
        })
        .next()?;
    Some(format!(
        "{}'s credential {} was dead at {}, and was accepted there again at {}{how}",
        trial.owner, trial.credential, trial.door, again.time
    ))
}

/// Whether one thing happened after another: at one moment of virtual time the server's numbers decide.
pub fn is_later(one: &Attempt, other: &Attempt) -> bool {
    let numbers = one.events.first().zip(other.events.first());
    let (one, other) = (moment(&one.time), moment(&other.time));
    one > other || (one == other && numbers.is_some_and(|(one, other)| one > other))
}

/// An acceptance of the trial's credential at its door, if this is one from after the trial.
fn accepted(observation: &Observation, trial: &Trial) -> Option<Attempt> {
    let is_later = |one: &Attempt| is_later(one, &trial.old);
    let found = match &observation.fact {
        Fact::Server(event) => of_event(event, trial),
        // It stands where it was noted, which may be long after it happened.
        Fact::Overheard(event) => of_event(event, trial).filter(is_later),
        Fact::Participant(event) => of_reader(event, trial),
        Fact::Trial(other) if other.is_of_the_same(trial) => Some(other.old.clone()),
        Fact::Probes(run) => {
            let answered = run.probes.iter().filter(|probe| probe.answer == Answer::Expected);
            let events = answered.filter_map(|probe| probe.server.as_deref());
            let attempts = events.filter_map(|event| of_event(event, trial));
            return attempts.filter(is_later).find(|one| one.refused_for.is_none());
        }
        _ => None,
    };
    found.filter(|one| one.refused_for.is_none())
}

/// What servers recorded under a credential that was tried, and the log does not have: calls that no step
/// made. Probes have their own place in the log.
pub fn overheard(log: &[Observation], events: &[ServerEvent]) -> Vec<ServerEvent> {
    let mut trials: Vec<&Trial> = Vec::new();
    let mut known = BTreeSet::new();
    let mut probed = BTreeSet::new();
    for observation in log {
        match &observation.fact {
            Fact::Trial(trial) => trials.push(trial),
            Fact::Server(event) | Fact::Overheard(event) => {
                known.insert(event.seq);
            }
            Fact::Probes(run) => {
                known
                    .extend(run.probes.iter().filter_map(|probe| Some(probe.server.as_ref()?.seq)));
                probed.extend(run.probes.iter().map(|probe| probe.request_id.as_str()));
            }
            _ => {}
        }
    }
    let is_new = |event: &ServerEvent| {
        let asked = event.request_id.as_deref();
        !known.contains(&event.seq) && !asked.is_some_and(|asked| probed.contains(asked))
    };
    let of_one = |event: &ServerEvent| trials.iter().any(|trial| of_event(event, trial).is_some());
    events.iter().filter(|event| is_new(event) && of_one(event)).cloned().collect()
}

/// Every use of the trial's credential at its door: in calls, probes and all trials.
fn all_uses(log: &[Observation], trial: &Trial) -> Vec<Attempt> {
    let mut all = uses(log, trial);
    for observation in log {
        let Fact::Trial(other) = &observation.fact else { continue };
        if other.is_of_the_same(trial) {
            all.extend(other.earlier.iter().cloned());
            all.push(other.old.clone());
        }
    }
    // What refuses anything but the credential shows nothing of it: a root lives on behind a leaf that is
    // nobody or has ended.
    all.retain(|one| one.refused_for.as_deref().is_none_or(|cause| is_death(trial.kind, cause)));
    all
}

/// What calls, probes and readers show of the credential at the trial's door.
fn uses(log: &[Observation], trial: &Trial) -> Vec<Attempt> {
    let mut uses = Vec::new();
    for observation in log {
        match &observation.fact {
            Fact::Server(event) | Fact::Overheard(event) => uses.extend(of_event(event, trial)),
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

/// A reader that read results under the certificate has accepted it, and one that rejected them as the trial
/// did has refused it.
fn of_reader(event: &ParticipantEvent, trial: &Trial) -> Option<Attempt> {
    let read = trial.kind == CredentialKind::SigningCertificate
        && event.certificate == trial.credential
        && door_of_reader(&event.actor) == trial.door;
    let refused_for = match event.kind {
        EventKind::ResultRead if read => None,
        EventKind::Rejected if read && trial.old.refused_for.as_deref() == Some(event.clause) => {
            Some(event.clause.to_owned())
        }
        _ => return None,
    };
    Some(Attempt { time: event.time.to_string(), refused_for, events: Vec::new() })
}

/// Where a party of an exchange takes what its peers sign, as doors are named.
pub fn door_of_peer(party: &str) -> String {
    format!("{party}'s panel match")
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

    fn shown_dead(kind: CredentialKind) -> Trial {
        let dead = trial(attempt(1, Some("unknown_issuer")), attempt(2, None));
        Trial { kind, ..dead }
    }

    #[test]
    fn a_try_after_the_death_shows_a_death_a_life_or_nothing() {
        use CredentialKind::{TlsLeaf, TlsRoot};
        let look = |kind, cause, passed| again(&shown_dead(kind), &attempt(3, cause), passed);
        for kind in [TlsLeaf, TlsRoot] {
            assert_eq!(look(kind, None, true), Again::Alive(None));
            assert_eq!(look(kind, Some("unknown_issuer"), false), Again::Dead(None));
            assert!(matches!(look(kind, Some("taken for x/y"), true), Again::Alive(Some(_))));
            for cause in ["rate_limited", "nobody_listens", "fault_injected", "taken for x/y"] {
                assert_eq!(look(kind, Some(cause), false), Again::Unproved, "{cause}");
            }
            assert_eq!(look(kind, Some("rate_limited"), true), Again::Unproved);
        }
        // A leaf that is nobody is dead with that said; its root is not.
        assert!(matches!(look(TlsLeaf, Some("principal_unknown"), true), Again::Dead(Some(_))));
        assert!(matches!(look(TlsRoot, Some("principal_unknown"), true), Again::Alive(Some(_))));
        assert_eq!(look(TlsRoot, Some("principal_unknown"), false), Again::Unproved);
    }

    #[test]
    fn only_files_of_that_door_count_as_changed_and_only_after_the_death() {
        let placed = |what: &str| Fact::Placed { what: what.to_owned() };
        let log = recorded([placed("the Kingdom's map"), Fact::StepDone, placed("worker1's map")]);
        assert!(placed_since(log.all(), 0, KINGDOM) && placed_since(log.all(), 0, SYSTEM_API));
        assert!(!placed_since(log.all(), 1, KINGDOM));
        assert!(placed_since(log.all(), 1, "worker1") && !placed_since(log.all(), 1, "worker2"));
    }

    #[test]
    fn a_key_that_is_in_force_is_not_dead() {
        assert!(out_of_force("edp1", "old encryption key", false).holds);
        let check = out_of_force("edp1", "old encryption key", true);
        assert_eq!((check.holds, check.cause), (false, Some(Cause::StillAccepted)));
    }

    #[test]
    fn a_hold_is_called_a_hold() {
        let how = |states: &[&str]| {
            let events = states.iter().zip(1..).map(|(state, seq)| changed(seq, "c", state));
            how_retired(&events.collect::<Vec<_>>(), "c")
        };
        assert_eq!(how(&["HOLD"]), "put on hold");
        assert_eq!(how(&["HOLD", "REVOKED"]), "revoked");
    }

    #[test]
    fn what_was_tried_as_present_is_present_as_long_as_its_owner_presents_it() {
        let presents = |skid: &str| Fact::Presents {
            actor: "edp1".to_owned(),
            skid: skid.to_owned(),
            akid: "rr".to_owned(),
        };
        let alive = |what: &str, skid: &str| {
            let tried = trial(attempt(1, None), attempt(2, None));
            let tried = Trial { what: what.to_owned(), new: None, ..tried };
            let log = recorded([Fact::Trial(Box::new(tried)), presents(skid)]);
            of(log.all())[0].is_present
        };
        assert!(alive("present leaf", "aa"));
        assert!(!alive("present leaf", "bb"), "it was replaced");
        assert!(!alive("old leaf", "aa"), "it was stolen, and never replaced");
    }

    #[test]
    fn what_is_still_accepted_says_so() {
        let alive = trial(attempt(1, None), attempt(2, None));
        assert_eq!(holds(&alive), [true, false]);
        assert_eq!(judge(&alive, "unknown_issuer")[1].cause, Some(Cause::StillAccepted));
        assert!(judge_alive(&alive).holds);
        assert!(!judge_alive(&trial(attempt(1, Some("expired")), attempt(2, None))).holds);
    }

    #[test]
    fn a_door_that_is_not_tried_is_told() {
        let doors = [KINGDOM.to_owned(), "worker1".to_owned()];
        let tried = |tried: &[&'static str]| {
            at_every_door("edp1", "leaf", &doors, tried.iter().copied()).err()
        };
        assert_eq!(tried(&["worker1", KINGDOM]), None);
        let problem = tried(&[KINGDOM]).expect("worker1 is missing");
        assert!(problem.what.starts_with("worker1 is not among the doors"), "{problem}");
    }

    #[test]
    fn each_root_that_another_took_the_place_of_is_old() {
        let of = |roots: &[&str], presented: &[&str], now| {
            let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
            replaced_roots(&owned(roots), &owned(presented), now).join(",")
        };
        assert_eq!(of(&["a", "b", "c"], &["a", "b"], "c"), "a,b");
        assert_eq!(of(&["a", "b", "c"], &["a"], "c"), "a,b", "b was there, whoever presented it");
        assert_eq!(of(&["a", "b", "c"], &["a"], "b"), "a", "c has replaced nothing yet");
        assert_eq!(of(&["a", "b"], &["a", "b"], "a"), "b", "b was rolled back");
        assert_eq!(of(&["a"], &["a"], "a"), "");
    }

    fn changed(seq: u64, subject: &str, after: &str) -> ServerEvent {
        ServerEvent {
            seq,
            time: "2026-01-01T00:00:01Z".to_owned(),
            kind: "mutation".to_owned(),
            subject: Some(subject.to_owned()),
            detail: Some(format!("revoke: - -> {after}")),
            ..ServerEvent::default()
        }
    }

    #[test]
    fn a_certificate_is_revoked_since_its_hold_unless_that_was_released() {
        let since = |states: &[&str], or_held| {
            let other = changed(90, "other", "REVOKED");
            let events: Vec<_> = states
                .iter()
                .zip(1..)
                .map(|(state, seq)| changed(seq, "c", state))
                .chain([other])
                .collect();
            revoked_since(&events, "c", or_held).map(|since| since.events[0])
        };
        let released = "REVOCATION_STATE_UNSPECIFIED";
        assert_eq!(since(&["HOLD", "REVOKED"], true), Some(1));
        assert_eq!(since(&["HOLD", "REVOKED"], false), Some(2));
        assert_eq!(since(&["HOLD", released], true), None);
        assert_eq!(since(&["HOLD", released, "REVOKED"], true), Some(3));
        assert_eq!(since(&["HOLD"], false), None);
        assert_eq!(since(&[], true), None, "another's is another matter");
    }

    #[test]
    fn a_late_success_comes_after_a_failure() {
        let of = |states: [&str; 2]| {
            let events = [changed(1, "m", states[0]), changed(2, "m", states[1])];
            succeeded_after_failing(&events, "m")
        };
        assert_eq!(of(["FAILED", "SUCCEEDED"]), Some(vec![1, 2]));
        assert_eq!(of(["SUCCEEDED", "FAILED"]), None);
        assert_eq!(of(["PENDING_COMPUTATION", "SUCCEEDED"]), None);
    }

    #[test]
    fn an_acceptance_after_the_death_is_none_before_it() {
        let of_trial = trial(attempt(6, Some("certificate_revoked")), attempt(7, None));
        let death = attempt(3, None);
        let holds = |calls: &[Attempt]| accepted_since(&of_trial, &death, calls).holds;
        assert!(holds(&[attempt(2, None), attempt(4, Some("certificate_revoked"))]));
        assert!(!holds(&[attempt(2, None), attempt(4, None)]));
        let check = accepted_since(&of_trial, &death, &[attempt(4, None)]);
        assert_eq!((check.cause, check.evidence), (Some(Cause::StillAccepted), vec![4]));
    }

    #[test]
    fn a_refusal_is_of_the_certificate_that_the_event_names() {
        let event = |subject: Option<&str>| ServerEvent {
            subject: subject.map(str::to_owned),
            ..ServerEvent::default()
        };
        assert!(is_refused_for("c", Some(&event(Some("c")))).holds);
        for other in [Some(event(Some("d"))), Some(event(None)), None] {
            assert!(!is_refused_for("c", other.as_ref()).holds);
        }
    }

    #[test]
    fn what_is_under_a_dead_key_is_new_or_was_written_again() {
        let under = |names: &[&str]| -> BTreeSet<(String, String)> {
            names.iter().map(|name| ("encrypted_to".to_owned(), (*name).to_owned())).collect()
        };
        let changed = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let group = "dataProviders/x/eventGroups/g";
        let requisition = "dataProviders/x/requisitions/r";
        let known = under(&[group, requisition]);
        assert!(under_again(&known, &known, &changed(&[requisition])).is_empty());
        assert_eq!(under_again(&known, &known, &changed(&[group])).len(), 1);
        assert_eq!(under_again(&under(&[group]), &known, &changed(&[requisition])).len(), 1);
        assert!(under_again(&known, &under(&[]), &changed(&[group])).is_empty());
    }

    #[test]
    fn each_kind_of_finding_cites_clauses_that_the_contract_has() {
        let clauses = crate::coverage::clauses().expect("clauses");
        let grounds = [
            Ground::Any,
            Ground::Door(KINGDOM),
            Ground::Door("worker1"),
            Ground::NoticedBy("3.13.1/c"),
            Ground::NoticedBy("3.13.1/e"),
            Ground::NoticedBy("3.13.2/e"),
            Ground::Reader("mc1"),
            Ground::Reader("reporting"),
        ];
        for code in crate::report::incident::open_codes() {
            for ground in grounds {
                assert!(!citable(code, ground).is_empty(), "{code} cites nothing");
                for clause in citable(code, ground) {
                    let unknown = crate::coverage::nearest_to_unknown(clause, &clauses);
                    assert_eq!(unknown, None, "{code} cites {clause}");
                }
            }
        }
        assert!(citable("anything else", Ground::Any).is_empty());
    }

    #[test]
    fn a_clause_is_of_the_door_the_reader_and_the_reason() {
        let can = |code, ground, clause| citable(code, ground).contains(&clause);
        for (code, right, wrong, clause) in [
            ("old_credential_accepted", Ground::Door("worker1"), Ground::Door(KINGDOM), "5.10"),
            ("old_credential_accepted", Ground::Door(KINGDOM), Ground::Door("worker1"), "2.1"),
            (
                "dead_certificate_accepted",
                Ground::NoticedBy("3.13.2/e"),
                Ground::NoticedBy("3.13.2/d"),
                "1.6.4",
            ),
            (
                "dead_certificate_accepted",
                Ground::NoticedBy("3.13.1/e"),
                Ground::NoticedBy("3.13.1/c"),
                "1.2.3",
            ),
            (
                "dead_certificate_accepted",
                Ground::NoticedBy("3.13.1/c"),
                Ground::NoticedBy("3.13.1/e"),
                "1.6.2",
            ),
            (
                "dead_certificate_not_noticed",
                Ground::Reader("reporting"),
                Ground::Reader("mc1"),
                "3.13.4",
            ),
            (
                "dead_certificate_not_noticed",
                Ground::Reader("mc1"),
                Ground::Reader("reporting"),
                "3.15.1",
            ),
        ] {
            assert!(can(code, right, clause), "{code} {clause}");
            assert!(!can(code, wrong, clause), "{code} {clause}");
        }
        assert!(!can("dead_certificate_not_noticed", Ground::Reader("mc1"), "3.13.3"));
    }

    #[test]
    fn what_was_opened_after_the_refusal_was_opened_by_a_key_that_lives() {
        assert!(opened_since("edp1", "old key", 4, &[0, 3]).holds);
        let check = opened_since("edp1", "old key", 4, &[0, 5]);
        assert_eq!((check.holds, check.cause), (false, Some(Cause::StillAccepted)));
    }

    #[test]
    fn no_bucket_and_no_strange_row_is_a_death() {
        let leaf = trial(attempt(6, Some("rate_limited")), attempt(7, None));
        let root = Trial { kind: CredentialKind::TlsRoot, ..leaf.clone() };
        for (trial, cause) in [
            (&leaf, "rate_limited"),
            (&root, "rate_limited"),
            (&root, "expired"),
            (&leaf, "nobody_listens"),
        ] {
            let problem = left_alive(trial, cause).expect_err(cause);
            assert_eq!(problem.owner, crate::error::Owner::ScenarioAuthor);
        }
        for cause in ["unknown_issuer", "expired"] {
            assert_eq!(left_alive(&leaf, cause).ok(), Some(None));
        }
        let log = recorded([Fact::Trial(Box::new(leaf))]);
        assert_eq!(of(log.all())[0].first_refused, None);
    }

    /// A leaf of it that is nobody, or has ended, is refused, and the root is in the bundle still.
    #[test]
    fn a_root_does_not_die_with_one_of_its_leaves() {
        let alive = Trial {
            kind: CredentialKind::TlsRoot,
            credential: "rr".to_owned(),
            new: None,
            ..trial(attempt(1, None), attempt(1, None))
        };
        let refused = |cause: &str| {
            let Fact::Server(mut event) = server(5, "aa", None, Some(cause)) else { panic!() };
            event.peer = Some(PeerFacts { akid: Some("rr".to_owned()), ..PeerFacts::default() });
            let log = recorded([Fact::Trial(Box::new(alive.clone())), Fact::Server(event)]);
            of(log.all())[0].first_refused.is_some()
        };
        assert!(!refused("principal_unknown"));
        assert!(!refused("expired"));
        assert!(refused("unknown_issuer"));
    }

    #[test]
    fn what_a_reader_rejected_before_the_trial_was_refused_then() {
        let refused = Trial {
            kind: CredentialKind::SigningCertificate,
            credential: "c".to_owned(),
            door: door_of_reader("mc1"),
            ..trial(attempt(6, Some("3.13.2/d")), attempt(7, None))
        };
        let rejected = |clause| {
            let at = Timestamp::parse_rfc3339("2026-01-01T00:00:03Z").expect("a time");
            let event = ParticipantEvent {
                time: at,
                actor: "mc1".to_owned(),
                kind: EventKind::Rejected,
                clause,
                cause: String::new(),
                justification: "",
                subject: String::new(),
                certificate: "c".to_owned(),
            };
            let trial = Fact::Trial(Box::new(refused.clone()));
            let log = recorded([Fact::Participant(Box::new(event)), trial]);
            of(log.all())[0].first_refused.clone()
        };
        assert_eq!(rejected("3.13.2/d").as_deref(), Some("2026-01-01T00:00:03Z"));
        assert_eq!(rejected("3.13.2/c").as_deref(), Some("2026-01-01T00:00:06Z"), "another matter");
    }

    #[test]
    fn what_is_wrong_with_a_resource_is_noticed_of_that_one() {
        let rejected = |subject: &str| ParticipantEvent {
            time: Timestamp::default(),
            actor: "mc1".to_owned(),
            kind: EventKind::Rejected,
            clause: "1.5.2",
            cause: String::new(),
            justification: "",
            subject: subject.to_owned(),
            certificate: String::new(),
        };
        assert!(noticed_of("mc1", "1.5.2", "m", &[rejected("m")]).holds);
        assert!(!noticed_of("mc1", "1.5.2", "m", &[rejected("other")]).holds);
        assert!(!noticed_of("mc1", "3.13.2/d", "m", &[rejected("m")]).holds);
        let nobody = noticed_of("mc1", "1.5.2", "m", &[]);
        assert_eq!(nobody.cause, Some(Cause::NotNoticed));
    }

    #[test]
    fn what_no_step_called_is_a_use_of_what_was_tried() {
        let refused = trial(attempt(6, Some("unknown_issuer")), attempt(7, None));
        let log = recorded([
            server(2, "aa", Some("dataProviders/x"), None),
            Fact::Trial(Box::new(refused.clone())),
        ]);
        let event = |second, skid: &str| match server(second, skid, Some("dataProviders/x"), None) {
            Fact::Server(event) => *event,
            _ => ServerEvent::default(),
        };
        let events = [event(2, "aa"), event(4, "aa"), event(5, "bb"), event(8, "aa")];
        let heard = overheard(log.all(), &events);
        assert_eq!(heard.iter().map(|event| event.seq).collect::<Vec<_>>(), [4, 8]);
        let with = |heard: &[ServerEvent]| {
            let heard = heard.iter().cloned().map(|event| Fact::Overheard(Box::new(event)));
            recorded([Fact::Trial(Box::new(refused.clone()))].into_iter().chain(heard))
        };
        assert!(seen_alive(with(&heard).all(), &refused).is_ok());
        assert!(revived(with(&heard).all()).is_some_and(|what| what.contains("00:00:08")));
        // What was noted late is none if it happened before.
        assert_eq!(revived(with(&heard[..1]).all()), None);
        let dead = of(with(&heard[..1]).all());
        assert_eq!(dead[0].last_accepted.as_deref(), Some("2026-01-01T00:00:04Z"));
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
    fn an_acceptance_after_the_refusal_does_not_show_what_was_refused_alive() {
        let refused = trial(attempt(6, Some("unknown_issuer")), attempt(7, None));
        let later = recorded([server(8, "aa", Some("dataProviders/x"), None)]);
        let problem = seen_alive(later.all(), &refused).expect_err("not before");
        assert_eq!(problem.cause, Some(Cause::NeverSeenAlive));
        // Within one moment the server's numbers tell.
        let at = |seq: u64, refused_for| Attempt { events: vec![seq], ..attempt(6, refused_for) };
        let refused = trial(at(5, Some("unknown_issuer")), at(4, None));
        let earlier = Trial { earlier: vec![at(3, None)], ..refused.clone() };
        assert!(seen_alive(&[], &earlier).is_ok());
        let later = Trial { earlier: vec![at(6, None)], ..refused };
        assert!(seen_alive(&[], &later).is_err());
    }

    #[test]
    fn without_a_row_of_the_map_a_leaf_is_nobody_and_a_root_is_no_dead_root() {
        let leaf = trial(attempt(6, Some("principal_unknown")), attempt(7, None));
        assert!(left_alive(&leaf, "principal_unknown").is_ok_and(|left| left.is_some()));
        assert_eq!(left_alive(&leaf, "unknown_issuer").ok(), Some(None));
        let root = Trial { kind: CredentialKind::TlsRoot, ..leaf };
        assert_eq!(left_alive(&root, "unknown_issuer").ok(), Some(None));
        let problem = left_alive(&root, "principal_unknown").expect_err("in the bundle still");
        assert_eq!(problem.owner, crate::error::Owner::ScenarioAuthor);
    }

    fn open(skid: &str, akid: &str, listener: Listener) -> OpenConnection {
        OpenConnection {
            id: 3,
            replica: Some(1),
            duchy: None,
            listener,
            peer_address: String::new(),
            peer: Some(fake_kingdom::event::PeerFacts {
                serial: String::new(),
                skid: Some(skid.to_owned()),
                akid: Some(akid.to_owned()),
            }),
            server: fake_kingdom::event::ServerFacts::default(),
        }
    }

    #[test]
    fn an_open_connection_is_of_its_leaf_and_of_its_root_at_its_own_door() {
        use CredentialKind::{TlsLeaf, TlsRoot};
        let public = open("aa", "bb", Listener::Public);
        assert!(is_open_under(&public, TlsLeaf, "aa", KINGDOM));
        assert!(is_open_under(&public, TlsRoot, "bb", KINGDOM));
        assert!(!is_open_under(&public, TlsLeaf, "bb", KINGDOM));
        assert!(!is_open_under(&public, TlsLeaf, "aa", SYSTEM_API));
        assert!(is_open_under(&open("aa", "bb", Listener::System), TlsLeaf, "aa", SYSTEM_API));
        let duchy = OpenConnection {
            duchy: Some("worker1".to_owned()),
            ..open("aa", "bb", Listener::Duchy)
        };
        assert!(is_open_under(&duchy, TlsLeaf, "aa", "worker1"));
        assert!(!is_open_under(&duchy, TlsLeaf, "aa", KINGDOM));
    }

    #[test]
    fn what_was_noticed_of_another_certificate_is_another_matter() {
        let rejected = |certificate: &str| ParticipantEvent {
            time: Timestamp::default(),
            actor: "mc1".to_owned(),
            kind: EventKind::Rejected,
            clause: "3.13.2/d",
            cause: String::new(),
            justification: "",
            subject: String::new(),
            certificate: certificate.to_owned(),
        };
        let of = |clause, minded: &[ParticipantEvent]| noticed("mc1", clause, "c", minded);
        assert!(of("3.13.2/d", &[rejected("c")]).holds);
        assert!(of("3.13.2/d", &[rejected("c"), rejected("other")]).holds);
        for minded in [vec![], vec![rejected("other")], vec![rejected("")]] {
            let check = of("3.13.2/d", &minded);
            assert_eq!((check.holds, check.cause), (false, Some(Cause::NotNoticed)));
        }
        assert!(!of("3.13.2/e", &[rejected("c")]).holds, "by another clause");
    }

    #[test]
    fn nothing_is_dead_while_a_connection_lives_on_it() {
        let holds = |newest: Option<Attempt>| {
            outlived("edp1", "old leaf", KINGDOM, &[Surviving { id: 3, newest }])
        };
        assert!(outlived("edp1", "old leaf", KINGDOM, &[]).holds);
        assert!(holds(Some(attempt(2, Some("principal_unknown")))).holds);
        for newest in [None, Some(attempt(2, None))] {
            let check = holds(newest);
            assert!(!check.holds);
            assert_eq!(check.cause, Some(Cause::ConnectionOutlivesCredential));
        }
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
                certificate: "dataProviders/x/certificates/c".to_owned(),
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
