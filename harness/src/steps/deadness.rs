//! Proof that old credentials are dead, and findings where the real system lets them live.

use super::{StepDefinition, participants, step};
use crate::client::Credential;
use crate::error::Problem;
use crate::observation::Fact;
use crate::participant::{EventKind, ParticipantEvent};
use crate::verdict::check;
use crate::verdict::deadness::{self, Attempt, CredentialKind, Trial};
use crate::world::{PastCall, StepResult, Stop, World};
use fake_kingdom::cause::Cause;
use kingdom_proto::v2alpha as pb;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn steps() -> Vec<StepDefinition> {
    let mut all = tls();
    all.extend(keys());
    all.extend(findings());
    all
}

fn tls() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"(\w+)'s old (leaf|root) is dead, and its new one is not, at",
            "Then edp1's old root is dead, and its new one is not, at",
            |world, given| {
                let (actor, what) = (given.text(0), given.text(1));
                let rows = given.table(2)?;
                for door in world.doors(actor).await? {
                    if !rows.iter().any(|row| row[0] == door) {
                        return Err(Problem::author(
                            format!("{door} is not among the doors, and an old {what} of {actor} could work there"),
                            format!("add a row for {door}"),
                        )
                        .into());
                    }
                }
                let old = old_credential(world, actor, what).await?;
                let new = new_credential(world, actor, &old).await?;
                for row in rows {
                    let after = world.attempts(actor, &new, &row[0]).await?;
                    let before = world.attempts(actor, &old.credential, &row[0]).await?;
                    for (old_attempt, new_attempt) in before.into_iter().zip(after) {
                        let trial = old.trial(actor, &row[0], old_attempt, Some(new_attempt));
                        look_at(world, trial, &row[1])?;
                    }
                }
                Ok(())
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that (\w+)'s old (leaf|root) still works at (the Kingdom|the system API|\w+)",
            "Then it is a finding by 1.6.2 that edp1's old leaf still works at the Kingdom",
            |world, given| {
                let (clause, actor, what, door) =
                    (given.text(0), given.text(1), given.text(2), given.text(3));
                let old = old_credential(world, actor, what).await?;
                let mut evidence = Vec::new();
                for attempt in world.attempts(actor, &old.credential, door).await? {
                    let trial = old.trial(actor, door, attempt, None);
                    let check = deadness::judge_alive(&trial);
                    evidence.extend(check.evidence.clone());
                    world.tried(trial);
                    world.check(check)?;
                }
                let text = format!(
                    "{actor}'s old {what} still works at {door}: nothing but the removal of its root \
                     from the bundle ends it"
                );
                world.found("old_credential_accepted", clause, text, evidence);
                Ok(())
            }
        ),
    ]
}

fn keys() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"(\w+)'s certificate (\w+) is dead by (\w+), and its (\w+) is not, as the last two calls of ([\w.]+) show",
            "Then mc1's certificate certificate is dead by certificate_revoked, and its second is not, as the last two calls of Measurements.CreateMeasurement show",
            |world, given| {
                let (owner, method) = (given.text(0), given.text(4));
                let old = world.fill(&format!("{{{owner}.{}}}", given.text(1)))?;
                let new = world.fill(&format!("{{{owner}.{}}}", given.text(3)))?;
                let calls = world.past_calls(method);
                let [.., before, after] = calls.as_slice() else {
                    let what = format!("{method} was not called twice");
                    return Err(Problem::author(what, "call it with either certificate").into());
                };
                // Otherwise two other calls would speak for these certificates.
                let named = [before.names(&old), after.names(&new)];
                let what = format!("calls of {method} that name the old and then the new one");
                world.check(check::equal(
                    what,
                    "true, true",
                    &format!("{}, {}", named[0], named[1]),
                ))?;
                let earlier = calls[..calls.len() - 2].iter().filter(|call| call.names(&old));
                let earlier = earlier.map(PastCall::attempt).collect();
                let trial = Trial {
                    owner: owner.to_owned(),
                    what: format!("certificate {}", given.text(1)),
                    kind: CredentialKind::SigningCertificate,
                    credential: old,
                    door: method.to_owned(),
                    earlier,
                    old: before.attempt(),
                    new: Some(after.attempt()),
                };
                look_at(world, trial, given.text(2))
            }
        ),
        step!(
            Check,
            r"(\w+)'s certificate (\w+) is dead to (\w+) by (\S+): it rejects the results of (\w+\.\w+), and accepts those of (\w+\.\w+)",
            "Then edp1's certificate certificate is dead to mc1 by 3.13.2/d: it rejects the results of mc1.old, and accepts those of mc1.new",
            |world, given| {
                let (owner, name, reader) = (given.text(0), given.text(1), given.text(2));
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let old = read(world, reader, given.text(4)).await?;
                let new = read(world, reader, given.text(5)).await?;
                let signers = signers(world, given.text(4)).await?;
                let what = format!("the signers of {}", given.text(4));
                world.check(check::member(what, &certificate, &signers, true))?;
                let trial = Trial {
                    owner: owner.to_owned(),
                    what: format!("certificate {name}"),
                    kind: CredentialKind::SigningCertificate,
                    credential: certificate,
                    door: format!("results read by {reader}"),
                    earlier: Vec::new(),
                    old,
                    new: Some(new),
                };
                look_at(world, trial, given.text(3))
            }
        ),
        step!(
            Check,
            r"(\w+)'s old encryption key is dead by (\S+): it did not open (\w+\.\w+), and opened (\w+\.\w+)",
            "Then edp1's old encryption key is dead by 3.10/8: it did not open mc1.old, and opened mc1.new",
            |world, given| {
                let (owner, clause) = (given.text(0), given.text(1));
                let old = opened(world, owner, given.text(2))?;
                let new = opened(world, owner, given.text(3))?;
                let trial = Trial {
                    owner: owner.to_owned(),
                    what: "old encryption key".to_owned(),
                    kind: CredentialKind::EncryptionKey,
                    credential: world.fill(&format!("{{{}}}", given.text(2)))?,
                    door: format!("requisitions read by {owner}"),
                    earlier: Vec::new(),
                    old,
                    new: Some(new),
                };
                look_at(world, trial, clause)
            }
        ),
    ]
}

fn findings() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"it is a finding by (\S+) that ([\w.]+) accepted (\w+)\.(\w+), which (\w+) noticed by (\S+)",
            "Then it is a finding by 1.6.2 that PublicKeys.UpdatePublicKey accepted edp1.certificate, which reporting noticed by 3.13.1/c",
            |world, given| {
                let (clause, method, owner, name) =
                    (given.text(0), given.text(1), given.text(2), given.text(3));
                let (noticer, by) = (given.text(4), given.text(5));
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let accepted =
                    world.past_calls(method).into_iter().rev().find(|call| {
                        call.attempt().refused_for.is_none() && call.names(&certificate)
                    });
                let what = format!("{method} with {owner}'s certificate {name}");
                let observed = if accepted.is_some() { "accepted" } else { "not accepted" };
                world.check(check::equal(what, "accepted", observed).or(Cause::FailureNotSeen))?;
                let after = accepted.as_ref().map_or(0, |call| call.facts);
                let by_then = noticed(world, noticer, after);
                let noticed = format!("{noticer} noticed");
                let expected = format!("by {by}");
                let seen = by_then.iter().find(|event| event.clause == by);
                let observed = match (seen, by_then.last()) {
                    (Some(_), _) => expected.clone(),
                    (None, Some(event)) => format!("by {}: {}", event.clause, event.cause),
                    (None, None) => "nothing".to_owned(),
                };
                world.check(check::equal(noticed, &expected, &observed).or(Cause::NotNoticed))?;
                let text = format!(
                    "the Kingdom's {method} accepts {owner}'s certificate {name}, which is no longer \
                     valid; {noticer} must notice, and did by {by}"
                );
                let evidence = accepted.map(|call| call.attempt().events).unwrap_or_default();
                world.found("dead_certificate_accepted", clause, text, evidence);
                Ok(())
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that the results of (\w+\.\w+) under (\w+)\.(\w+) were accepted, which (\w+) noticed by (\S+)",
            "Then it is a finding by 1.6.2 that the results of mc1.m under edp1.certificate were accepted, which mc1 noticed by 3.13.2/d",
            |world, given| {
                let (clause, of, owner, name) =
                    (given.text(0), given.text(1), given.text(2), given.text(3));
                let (reader, by) = (given.text(4), given.text(5));
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let signers = signers(world, of).await?;
                let what = format!("the signers of the results of {of}");
                let check = check::member(what, &certificate, &signers, true);
                world.check(check.or(Cause::FailureNotSeen))?;
                let revoked = revoked_at(world, &certificate)?;
                let arrived = changed_at(world, of).await?;
                let what = format!("the results of {of} and {owner}'s certificate {name}");
                let order = |earlier| {
                    if earlier { "accepted after it was revoked" } else { "accepted before" }
                };
                let check = check::equal(what, order(true), order(revoked.unix_seconds < arrived));
                world.check(check.or(Cause::FailureNotSeen))?;
                let refused_for = read(world, reader, of).await?.refused_for;
                let observed =
                    refused_for.map_or("nothing".to_owned(), |clause| format!("by {clause}"));
                let check =
                    check::equal(format!("{reader} noticed"), &format!("by {by}"), &observed);
                world.check(check.or(Cause::NotNoticed))?;
                let text = format!(
                    "results under {owner}'s certificate {name} are accepted after it was revoked; \
                     {reader} must notice, and did by {by}"
                );
                world.found("dead_certificate_accepted", clause, text, revoked.evidence);
                Ok(())
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that (\w+) noticed nothing of (\w+\.\w+)",
            "Then it is a finding by 3.15.1 that mc1 noticed nothing of mc1.m",
            |world, given| {
                let (clause, reader, of) = (given.text(0), given.text(1), given.text(2));
                let attempt = read(world, reader, of).await?;
                let observed = attempt.refused_for.as_deref().unwrap_or("accepted").to_owned();
                let what = format!("the results of {of}, read by {reader}");
                let check = check::equal(what, "accepted", &observed);
                world.check(check.or(Cause::FailureNotSeen))?;
                let text = format!(
                    "{reader} reads the results of {of} without a look at the revocation state of \
                     their certificate: nobody but a reader that looks notices"
                );
                world.found("dead_certificate_not_noticed", clause, text, attempt.events);
                Ok(())
            }
        ),
    ]
}

/// An old credential of mTLS, by which it is tried.
struct Old {
    kind: CredentialKind,
    what: String,
    identifier: String,
    credential: Credential,
}

impl Old {
    fn trial(&self, owner: &str, door: &str, old: Attempt, new: Option<Attempt>) -> Trial {
        Trial {
            owner: owner.to_owned(),
            what: self.what.clone(),
            kind: self.kind,
            credential: self.identifier.clone(),
            door: door.to_owned(),
            earlier: Vec::new(),
            old,
            new,
        }
    }
}

/// The leaf that the actor began with; of its first root a leaf that was issued just now, as whoever
/// has the root's key can.
async fn old_credential(world: &mut World, actor: &str, what: &str) -> Result<Old, Problem> {
    let first = world.sandbox_credential(actor).await?;
    let (kind, credential) = if what == "leaf" {
        let first = first.ok_or_else(|| Problem::harness(format!("{actor} had no leaf")))?;
        (CredentialKind::TlsLeaf, first)
    } else {
        let root = world.authority(actor).await?;
        let leaf = super::authentication::issue(world, actor, &root)?;
        let chain = vec![leaf.certificate_der().to_vec()];
        (CredentialKind::TlsRoot, Credential { chain, key: leaf.key().pkcs8_der().to_vec() })
    };
    let identifier = match kind {
        CredentialKind::TlsLeaf => skid(&credential)?,
        _ => hex::encode(world.authority(actor).await?.subject_key_identifier()),
    };
    Ok(Old { kind, what: format!("old {what}"), identifier, credential })
}

/// What the actor presents now, which must be another one than the old.
async fn new_credential(world: &mut World, actor: &str, old: &Old) -> Result<Credential, Problem> {
    let now = world.actor(actor).await?.credential.clone();
    let next = "let it present a fresh leaf, or one of its new root";
    let now = now.ok_or_else(|| Problem::author(format!("{actor} presents no leaf"), next))?;
    let facts = facts(&now)?;
    let shown = if old.kind == CredentialKind::TlsLeaf {
        facts.skid
    } else {
        facts.akid().map(<[u8]>::to_vec)
    };
    if shown.map(hex::encode).as_ref() == Some(&old.identifier) {
        let what = format!("what {actor} presents is still of its {}", old.what);
        return Err(Problem::author(what, next));
    }
    Ok(now)
}

fn skid(credential: &Credential) -> Result<String, Problem> {
    Ok(hex::encode(facts(credential)?.skid.unwrap_or_default()))
}

fn facts(credential: &Credential) -> Result<halo_pki::CertificateFacts, Problem> {
    let leaf = credential.chain.first().map_or(&[][..], Vec::as_slice);
    halo_pki::inspect(leaf).map_err(|error| Problem::harness(format!("a leaf: {error}")))
}

fn look_at(world: &mut World, trial: Trial, cause: &str) -> StepResult {
    let checks = deadness::judge(&trial, cause);
    world.tried(trial);
    for check in checks {
        world.check(check)?;
    }
    Ok(())
}

/// A reader's look at the results of `OWNER.NAME`.
async fn read(world: &mut World, reader: &str, of: &str) -> Result<Attempt, Stop> {
    let (owner, name) = of.split_once('.').unwrap_or((of, ""));
    let observed = participants::read(world, reader, (owner, name)).await?;
    let refused_for = match observed.strip_prefix("rejected by ") {
        Some(clause) => Some(clause.to_owned()),
        None if observed == "accepted" => None,
        None => Some(observed),
    };
    Ok(Attempt { time: world.clock().now().to_string(), refused_for, events: Vec::new() })
}

/// The certificates that the results of `OWNER.NAME` name.
async fn signers(world: &mut World, of: &str) -> Result<Vec<String>, Stop> {
    let read = measurement(world, of).await?;
    Ok(read.results.into_iter().map(|result| result.certificate).collect())
}

async fn measurement(world: &mut World, of: &str) -> Result<pb::Measurement, Stop> {
    let owner = of.split('.').next().unwrap_or_default();
    let owner = if owner == "reporting" { "mc1" } else { owner };
    let text = format!("name: \"{{{of}}}\"");
    super::certificates::must(world, owner, "Measurements.GetMeasurement", &text).await?;
    let response = world.response()?;
    Ok(response.transcode_to().map_err(|error| Problem::harness(error.to_string()))?)
}

/// When a certificate was revoked, and the server's record of it.
struct Revoked {
    unix_seconds: i64,
    evidence: Vec<u64>,
}

fn revoked_at(world: &World, certificate: &str) -> Result<Revoked, Problem> {
    let calls = world.past_calls("Certificates.RevokeCertificate");
    let done = calls
        .iter()
        .map(|call| (call, call.attempt()))
        .rev()
        .find(|(call, attempt)| attempt.refused_for.is_none() && call.names(certificate));
    let Some((_, attempt)) = done else {
        let what = format!("{certificate} was not revoked, so nothing of it is dead");
        return Err(Problem::author(what, "revoke it before its results arrive"));
    };
    let time = OffsetDateTime::parse(&attempt.time, &Rfc3339)
        .map_err(|error| Problem::harness(format!("an event's time: {error}")))?;
    Ok(Revoked { unix_seconds: time.unix_timestamp(), evidence: attempt.events })
}

/// When the measurement called `OWNER.NAME` last changed, in seconds since 1970.
async fn changed_at(world: &mut World, of: &str) -> Result<i64, Stop> {
    let read = measurement(world, of).await?;
    Ok(read.update_time.unwrap_or_default().seconds)
}

/// What became of the requisition of `OWNER.NAME` at a data provider, as a use of its key.
fn opened(world: &mut World, provider: &str, of: &str) -> Result<Attempt, Problem> {
    let (owner, name) = of.split_once('.').unwrap_or((of, ""));
    let fate = participants::fate(world, provider, (owner, name), true)?;
    let refused_for = match fate.rsplit_once(" by ") {
        _ if fate.starts_with("fulfilled") => None,
        Some((_, clause)) => Some(clause.to_owned()),
        None => Some(fate),
    };
    Ok(Attempt { time: world.clock().now().to_string(), refused_for, events: Vec::new() })
}

/// What a participant refused, rejected or ended over since the log had this many facts.
fn noticed(world: &World, participant: &str, after: usize) -> Vec<ParticipantEvent> {
    let minds = |event: &ParticipantEvent| {
        event.actor == participant
            && matches!(
                event.kind,
                EventKind::Rejected
                    | EventKind::RequisitionRefused
                    | EventKind::ComputationFailed
                    | EventKind::ParticipantEnded
            )
    };
    world.log.all()[after..]
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Participant(event) if minds(event) => Some((**event).clone()),
            _ => None,
        })
        .collect()
}
