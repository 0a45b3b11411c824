//! Proof that old credentials are dead, and findings where the real system lets them live.

use super::{StepDefinition, api_credentials, monitoring, participants, step};
use crate::client::Credential;
use crate::coverage;
use crate::error::Problem;
use crate::observation::{Attempt, CredentialKind, Fact, Trial};
use crate::participant::{EventKind, ParticipantEvent};
use crate::verdict::check;
use crate::verdict::deadness::{self, Ground, KINGDOM};
use crate::verdict::{monitor, refusal, replay};
use crate::world::{PastCall, StepResult, Stop, World};
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use halo_pki::Authority;
use kingdom_proto::{system, v2alpha as pb};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
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
            "Then edp1's old root is dead, and its new one is not, at\n\
             | the Kingdom | unknown_issuer |",
            |world, given| {
                let (actor, what) = (given.text(0), given.text(1));
                let rows = given.table(2)?;
                let doors = world.doors(actor).await?;
                deadness::at_every_door(
                    actor,
                    what,
                    &doors,
                    rows.iter().map(|row| row[0].as_str()),
                )?;
                let replaced = replaced_credentials(world, actor, what).await?;
                for (row, old) in
                    rows.iter().flat_map(|row| replaced.iter().map(move |old| (row, old)))
                {
                    let new = new_credential(world, actor, old).await?;
                    for trial in trials(world, actor, old, &new, &row[0]).await? {
                        let left = deadness::left_alive(&trial, &row[1]);
                        let evidence = trial.old.events.clone();
                        look_at(world, trial.clone(), &row[1])?;
                        note_left(world, left?, evidence);
                        world.watch_dead_tls(&trial, &old.credential, old.root.as_ref());
                    }
                    nothing_lives_on(world, actor, old, &row[0]).await?;
                }
                Ok(())
            }
        ),
        step!(
            Check,
            r"(\w+)'s first leaf is refused with (\w+) where its present one is accepted",
            "Then edp1's first leaf is refused with unknown_issuer where its present one is accepted",
            |world, given| {
                let (actor, cause) = (given.text(0), given.text(1));
                let old = first_credential(world, actor, "leaf").await?;
                let new = new_credential(world, actor, &old).await?;
                for trial in trials(world, actor, &old, &new, KINGDOM).await? {
                    let after = trial.new.as_ref().map(refusal::Try::from);
                    let after = after.ok_or_else(|| Problem::harness("a trial of one alone"))?;
                    let check = refusal::of_old_beside_new(cause, &(&trial.old).into(), &after);
                    let left = deadness::left_alive(&trial, cause);
                    let evidence = trial.old.events.clone();
                    world.tried(trial.clone());
                    world.overhear()?;
                    let alive = deadness::seen_alive(world.log.all(), &trial);
                    world.check(check?)?;
                    alive?;
                    note_left(world, left?, evidence);
                    world.watch_dead_tls(&trial, &old.credential, None);
                }
                nothing_lives_on(world, actor, &old, KINGDOM).await
            }
        ),
        step!(
            Either,
            r"(\w+)'s (first|present) (leaf|root) works at every door",
            "Given edp1's first leaf works at every door",
            |world, given| {
                let (actor, what) = (given.text(0), given.text(2));
                let old = if given.text(1) == "first" {
                    first_credential(world, actor, what).await?
                } else {
                    let present = present_credential(world, actor, what).await?;
                    Old { what: format!("{}{what}", deadness::PRESENT), ..present }
                };
                for door in world.doors(actor).await? {
                    for attempt in world.attempts(actor, &old.credential, &door).await? {
                        let trial = old.trial(actor, &door, attempt, None);
                        let check = deadness::judge_alive(&trial);
                        world.tried(trial);
                        world.check(check)?;
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
                cites("old_credential_accepted", Ground::Door(door), clause)?;
                // Of several the one that was replaced last: the finding is about one.
                let old = replaced_credentials(world, actor, what).await?.pop();
                let old = old.ok_or_else(|| Problem::harness("none was replaced"))?;
                new_credential(world, actor, &old).await?;
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
                     from the bundle ends it; whoever runs {door} must notice, by the old subject key \
                     identifier in its events, for no participant can"
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
                let bound = after.attempt().refused_for.is_some()
                    || is_bound(world, owner, after, &new).await?;
                let named = [before.names(&old), bound && after.mentions(&new)];
                let what = format!("calls of {method} that name the old and then the new one");
                let observed = format!("{}, {}", named[0], named[1]);
                let check = check::equal(what, "true, true", &observed);
                world.check(check.or(Cause::UnexpectedState))?;
                let cause = given.text(2);
                let earlier = uses_of(world, owner, &old, cause, &calls[..calls.len() - 2]).await?;
                let used = earlier.clone();
                let certificate = old.clone();
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
                let event = before.event.clone();
                let mentions: Vec<_> =
                    calls.iter().filter(|call| call.mentions(&certificate)).collect();
                let mut mentions: Vec<_> = mentions.into_iter().map(PastCall::attempt).collect();
                mentions.extend(used);
                look_at(world, trial.clone(), given.text(2))?;
                world.check(deadness::is_refused_for(&certificate, event.as_ref()))?;
                // What was valid when it was called, and is no more, is dead too.
                is_in_state(world, owner, &new, &["REVOCATION_STATE_UNSPECIFIED"]).await?;
                is_dead(world, owner, &certificate, given.text(2)).await?;
                let death = death(world, &certificate, given.text(2))?;
                world.check(deadness::accepted_since(&trial, &death, &mentions))
            }
        ),
        step!(
            Check,
            r"(\w+)'s certificate (\w+) is dead to (\w+) by (\S+): it rejects the results of (\w+\.\w+), and accepts those of (\w+\.\w+)",
            "Then edp1's certificate certificate is dead to mc1 by 3.13.2/d: it rejects the results of mc1.old, and accepts those of mc1.new",
            |world, given| {
                let (owner, name, reader) = (given.text(0), given.text(1), given.text(2));
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let after = world.log.all().len();
                let old = read(world, reader, given.text(4)).await?;
                let rejected = minded(world, reader, after);
                let new = read(world, reader, given.text(5)).await?;
                let signers = signers(world, given.text(4)).await?;
                let what = format!("the signers of {}", given.text(4));
                let check = check::member(what, &certificate, &signers, true);
                world.check(check.or(Cause::UnexpectedState))?;
                let signer = certificate.clone();
                let trial = Trial {
                    owner: owner.to_owned(),
                    what: format!("certificate {name}"),
                    kind: CredentialKind::SigningCertificate,
                    credential: certificate,
                    door: deadness::door_of_reader(reader),
                    earlier: Vec::new(),
                    old,
                    new: Some(new),
                };
                look_at(world, trial, given.text(3))?;
                is_counterpart(world, owner, &signer, given.text(5)).await?;
                // Of several results the first that is rejected decides, and it may be another's.
                world.check(deadness::noticed(reader, given.text(3), &signer, &rejected))?;
                is_dead(world, owner, &signer, given.text(3)).await
            }
        ),
        step!(
            Check,
            r"(\w+)'s old encryption key is dead by (\S+): it did not open (\w+\.\w+), and opened (\w+\.\w+)",
            "Then edp1's old encryption key is dead by 3.10/7: it did not open mc1.old, and opened mc1.new",
            |world, given| {
                let (owner, clause) = (given.text(0), given.text(1));
                // Another refusal says nothing of the key.
                if !CANNOT_OPEN.contains(&clause) {
                    let what = format!("what is refused by {clause} may well have been opened");
                    let next = format!("a key is dead by {}", CANNOT_OPEN.join(" or "));
                    return Err(Problem::author(what, next).into());
                }
                let old = opened(world, owner, given.text(2))?;
                let new = opened(world, owner, given.text(3))?;
                let keys = encrypted(world, owner).await?;
                let (old_key, new_key) =
                    (key_of(world, &keys, given.text(2))?, key_of(world, &keys, given.text(3))?);
                // What nobody can open says nothing of a key.
                is_good(world, owner, &keys, given.text(2))?;
                let what = format!("the key of {}", given.text(3));
                let other = |other| if other { "another" } else { "the old one" };
                let check = check::equal(what, other(true), other(old_key != new_key));
                world.check(check.or(Cause::NoChangeObserved))?;
                let trial = Trial {
                    owner: owner.to_owned(),
                    what: "old encryption key".to_owned(),
                    kind: CredentialKind::EncryptionKey,
                    earlier: opened_by(world, owner, &keys, &old_key),
                    credential: old_key,
                    door: format!("requisitions read by {owner}"),
                    old,
                    new: Some(new),
                };
                let old_key = trial.credential.clone();
                look_at(world, trial.clone(), clause)?;
                let (refused, places) = places(world, owner, &keys, &old_key, given.text(2))?;
                world.check(deadness::opened_since(owner, &trial.what, refused, &places))?;
                is_out_of_force(world, &trial).await?;
                world.watch_dead_key(&trial).await?;
                // That its owner has dropped it takes it from nobody else who has it.
                let left = keys.iter().filter(|one| one.key == old_key);
                let left: Vec<_> = left
                    .map(|one| {
                        world.called(&one.measurement).unwrap_or(&one.measurement).to_owned()
                    })
                    .collect();
                let text = format!(
                    "the requisitions of {} stay encrypted to {owner}'s old key, and whoever has the key \
                     opens them; whoever stores them must restrict access, or cancel them and create them \
                     anew, for nobody is refused",
                    left.join(", ")
                );
                world.found("ciphertext_under_dead_key", "1.2.4", text, Vec::new());
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) has read the results of (\w+\.\w+)",
            "Given mc1 has read the results of mc1.m",
            |world, given| {
                let (reader, of) = (given.text(0), given.text(1));
                match read(world, reader, of).await?.refused_for {
                    None => Ok(()),
                    Some(why) => {
                        let what = format!("{reader} did not accept the results of {of}: {why}");
                        let next = "let them be there, under a certificate that is valid";
                        Err(Problem::author(what, next).into())
                    }
                }
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
                cites("dead_certificate_accepted", Ground::NoticedBy(by), clause)?;
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let accepted =
                    world.past_calls(method).into_iter().rev().find(|call| {
                        call.attempt().refused_for.is_none() && call.names(&certificate)
                    });
                let what = format!("{method} with {owner}'s certificate {name}");
                let observed = if accepted.is_some() { "accepted" } else { "not accepted" };
                world.check(check::equal(what, "accepted", observed).or(Cause::FailureNotSeen))?;
                let after = accepted.as_ref().map_or(0, |call| call.facts);
                let minded = minded(world, noticer, after);
                world.check(deadness::noticed(noticer, by, &certificate, &minded))?;
                is_to_blame(world, owner, &certificate, by).await?;
                if deadness::is_for_revocation(by) {
                    let revoked = revoked_at(world, &certificate)?;
                    let what = format!("{method} with {owner}'s certificate {name}");
                    let taken = accepted.as_ref().map(PastCall::attempt);
                    let order = taken.is_some_and(|taken| deadness::is_later(&taken, &revoked));
                    let retired = how_retired(world, &certificate)?;
                    let order = accepted_after(order, retired);
                    let check = check::equal(what, &accepted_after(true, retired), &order);
                    world.check(check.or(Cause::FailureNotSeen))?;
                }
                let text = format!(
                    "the Kingdom's {method} accepts what stands under {owner}'s certificate {name} and is \
                     not to be trusted; {noticer} must notice, and did by {by}"
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
                cites("dead_certificate_accepted", Ground::NoticedBy(by), clause)?;
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let signers = signers(world, of).await?;
                let what = format!("the signers of the results of {of}");
                let check = check::member(what, &certificate, &signers, true);
                world.check(check.or(Cause::FailureNotSeen))?;
                let revoked = revoked_at(world, &certificate)?;
                let arrived = arrived(world, of, owner, &certificate).await?;
                let what = format!("the results of {of} and {owner}'s certificate {name}");
                let retired = how_retired(world, &certificate)?;
                let order = accepted_after(deadness::is_later(&arrived, &revoked), retired);
                let check = check::equal(what, &accepted_after(true, retired), &order);
                world.check(check.or(Cause::FailureNotSeen))?;
                let after = world.log.all().len();
                read(world, reader, of).await?;
                let minded = minded(world, reader, after);
                world.check(deadness::noticed(reader, by, &certificate, &minded))?;
                let text = format!(
                    "results under {owner}'s certificate {name} are accepted after it was {retired}; \
                     {reader} must notice, and did by {by}"
                );
                world.found("dead_certificate_accepted", clause, text, revoked.events);
                Ok(())
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that (\w+) noticed nothing of (\w+\.\w+)",
            "Then it is a finding by 3.15.1 that mc1 noticed nothing of mc1.m",
            |world, given| {
                let (clause, reader, of) = (given.text(0), given.text(1), given.text(2));
                cites("dead_certificate_not_noticed", Ground::Reader(reader), clause)?;
                let signers = signers(world, of).await?;
                let retired = signers.iter().find(|signer| revoked_at(world, signer).is_ok());
                let retired = retired.map(|signer| how_retired(world, signer)).transpose()?;
                let what = format!("a signer of the results of {of}");
                let none = "none was revoked, or is on hold";
                let expected = retired.unwrap_or("revoked, or put on hold");
                let check = check::equal(what, expected, retired.unwrap_or(none));
                world.check(check.or(Cause::FailureNotSeen))?;
                let seen = monitoring::sightings(world)?.len();
                let attempt = read(world, reader, of).await?;
                // A monitor counts refusals, and here is none: neither at a server nor of the reader.
                let more = monitoring::sightings(world)?.len() - seen;
                let what = format!("failures that the monitor saw when {reader} read {of}");
                let check = check::equal(what, "0", &more.to_string());
                world.check(check.or(Cause::FailureNotSeen))?;
                let observed = attempt.refused_for.as_deref().unwrap_or("accepted").to_owned();
                let what = format!("the results of {of}, read by {reader}");
                let check = check::equal(what, "accepted", &observed);
                world.check(check.or(Cause::FailureNotSeen))?;
                let text = format!(
                    "{reader} reads the results of {of} without a look at the revocation state of \
                     their certificate, which was {}: nobody but a reader that looks notices, and no monitor sees \
                     it, for nobody refuses anything ({clause})",
                    retired.unwrap_or(none)
                );
                world.found("dead_certificate_not_noticed", clause, text, attempt.events);
                Ok(())
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that nobody noticed (\w+\.\w+) to be (\w+\.\w+) over again, which (\w+) must notice by their one signed spec",
            "Then it is a finding by 3.1.2 that nobody noticed mc1.again to be mc1.m over again, which mc1 must notice by their one signed spec",
            |world, given| {
                let (clause, again, first, owner) =
                    (given.text(0), given.text(1), given.text(2), given.text(3));
                cites("replay_not_noticed", Ground::Any, clause)?;
                let taken = read(world, owner, again).await?.refused_for;
                let what = format!("the results of {again}, read by {owner}");
                let check = check::equal(what, "accepted", taken.as_deref().unwrap_or("accepted"));
                world.check(check.or(Cause::FailureNotSeen))?;
                // What the owner can see for itself: of its measurements, which share one signed spec.
                let mut signed = Vec::new();
                for one in measurements(world, owner).await? {
                    let spec = one.measurement_spec.unwrap_or_default();
                    let value = spec.message.map(|any| any.value).unwrap_or_default();
                    signed.push((one.name, [value, spec.signature].concat()));
                }
                let mut pair = [again, first].map(|name| world.fill(&format!("{{{name}}}")));
                pair.sort_by_key(|name| name.as_ref().ok().cloned());
                let [one, other] = pair;
                let expected = [format!("{} = {}", one?, other?)];
                let observed: Vec<_> =
                    replay::copies(&signed).iter().map(|same| same.join(" = ")).collect();
                let what = format!("measurements of {owner} under one signed spec");
                let check = check::same_members(what, &expected, &observed);
                world.check(check.or(Cause::FailureNotSeen))?;
                let name = world.fill(&format!("{{{again}}}"))?;
                let calls = world.past_calls("Measurements.CreateMeasurement");
                let replays = calls.iter().filter(|call| call.names(&name));
                let evidence = replays.flat_map(|call| call.attempt().events).collect();
                let text = format!(
                    "nothing signed names the resource that it is for and nothing is used up, so \
                     nobody notices {again} to be {first} over again, neither the Kingdom nor a \
                     provider, whose check of the nonce holds for the copy too; the contract names \
                     nobody who must, and {owner} alone can, as the only one who knows what it \
                     signed: its list of measurements shows the two under one signed spec"
                );
                world.found("replay_not_noticed", clause, text, evidence);
                Ok(())
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that (\w+\.\w+) succeeded after it had failed, which (\w+) noticed by (\S+)",
            "Then it is a finding by 1.6.7 that mc1.m succeeded after it had failed, which mc1 noticed by 1.5.2",
            |world, given| {
                let (clause, of) = (given.text(0), given.text(1));
                let (owner, by) = (given.text(2), given.text(3));
                cites("late_result_overwrites_failure", Ground::Any, clause)?;
                let name = world.fill(&format!("{{{of}}}"))?;
                let events = world.running()?.events(0)?;
                let late = deadness::succeeded_after_failing(&events, &name);
                let shown = |late| if late { "SUCCEEDED after FAILED" } else { "no such order" };
                let what = format!("states of {of}");
                let check = check::equal(what, shown(true), shown(late.is_some()));
                world.check(check.or(Cause::FailureNotSeen))?;
                let after = world.log.all().len();
                read(world, owner, of).await?;
                let minded = minded(world, owner, after);
                world.check(deadness::noticed_of(owner, by, &name, &minded))?;
                let text = format!(
                    "a result that came after {of} had failed made it succeed, and nothing but the \
                     failure that stands beside the result still tells; {owner} must notice, and did by \
                     {by}, and discard the result"
                );
                let evidence = late.unwrap_or_default();
                world.found("late_result_overwrites_failure", clause, text, evidence);
                Ok(())
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that (\w+\.\w+) is signed without an OID, which (\w+) could notice and did not",
            "Then it is a finding by 3.1.5 that mc1.m is signed without an OID, which edp1 could notice and did not",
            |world, given| {
                let (clause, of, provider) = (given.text(0), given.text(1), given.text(2));
                cites("missing_oid_not_noticed", Ground::Any, clause)?;
                let spec = measurement(world, of).await?.measurement_spec.unwrap_or_default();
                let oid = spec.signature_algorithm_oid;
                let observed = if oid.is_empty() { "none" } else { oid.as_str() };
                let check =
                    check::equal(format!("the OID of the signed spec of {of}"), "none", observed);
                world.check(check.or(Cause::FailureNotSeen))?;
                let attempt = opened(world, provider, of)?;
                let observed = attempt.refused_for.as_deref().unwrap_or("fulfilled").to_owned();
                let what = format!("the requisition of {of} at {provider}");
                let check = check::equal(what, "fulfilled", &observed);
                world.check(check.or(Cause::FailureNotSeen))?;
                let text = format!(
                    "the spec of {of} is signed without an OID and verifies by luck, by the \
                     algorithm of the issuer's signature; {provider}, which verifies it, could \
                     notice that the OID is absent, and did not"
                );
                world.found("missing_oid_not_noticed", clause, text, attempt.events);
                Ok(())
            }
        ),
    ]
}

/// A finding cites a clause of the contract that its kind can cite.
pub(super) fn cites(code: &str, ground: Ground<'_>, clause: &str) -> Result<(), Problem> {
    let clauses = coverage::clauses().map_err(|error| Problem::harness(error.to_string()))?;
    match coverage::nearest_to_unknown(clause, &clauses) {
        None if deadness::citable(code, ground).contains(&clause) => Ok(()),
        None => {
            let what = format!("a finding `{code}` does not rest on clause {clause}");
            let known = deadness::citable(code, ground).join(", ");
            Err(Problem::author(what, format!("it can cite {known}")))
        }
        Some(nearest) => {
            let what = format!("the contract has no clause {clause}");
            Err(Problem::author(what, format!("the nearest is {nearest}")))
        }
    }
}

/// An old credential of mTLS, by which it is tried.
struct Old {
    kind: CredentialKind,
    what: String,
    identifier: String,
    credential: Credential,
    /// Of a root its authority.
    root: Option<Authority>,
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
async fn first_credential(world: &mut World, actor: &str, what: &str) -> Result<Old, Problem> {
    if what == "leaf" {
        let first = world.sandbox_credential(actor).await?;
        return leaf(first.ok_or_else(|| Problem::harness(format!("{actor} had no leaf")))?);
    }
    let root = world.authority(actor).await?;
    leaf_of(world, actor, &root)
}

/// The leaf that the actor presents, or of that leaf's root another one.
async fn present_credential(world: &mut World, actor: &str, what: &str) -> Result<Old, Problem> {
    let now = present(world, actor).await?;
    if what == "leaf" {
        return leaf(now);
    }
    let root = facts(&now)?.akid().map(<[u8]>::to_vec);
    let mut roots = world.all_roots(actor).await?;
    roots.retain(|one| Some(one.subject_key_identifier()) == root.as_deref());
    match roots.pop() {
        Some(root) => leaf_of(world, actor, &root),
        None => {
            let what = format!("what {actor} presents is of no root of its own");
            Err(Problem::author(what, "let it present a leaf of its root"))
        }
    }
}

/// Everything of this kind that the actor has replaced, oldest first: what was stolen is dead only if each
/// of them is.
async fn replaced_credentials(
    world: &mut World,
    actor: &str,
    what: &str,
) -> Result<Vec<Old>, Problem> {
    let now = present(world, actor).await?;
    let leaves = world.replaced_leaves(actor).await?;
    let mut replaced = Vec::new();
    if what == "leaf" {
        for old in leaves {
            replaced.push(leaf(old)?);
        }
    } else {
        let akid = |one: &Credential| -> Result<String, Problem> {
            Ok(facts(one)?.akid().map(hex::encode).unwrap_or_default())
        };
        let presented = leaves.iter().map(akid).collect::<Result<Vec<_>, _>>()?;
        let roots = world.all_roots(actor).await?;
        let skids: Vec<_> =
            roots.iter().map(|root| hex::encode(root.subject_key_identifier())).collect();
        let old = deadness::replaced_roots(&skids, &presented, &akid(&now)?);
        for root in roots.iter().zip(&skids).filter(|(_, skid)| old.contains(skid)) {
            replaced.push(leaf_of(world, actor, root.0)?);
        }
    }
    let count = replaced.len();
    if count == 0 {
        let what = format!("what {actor} presents is still of its old {what}");
        return Err(Problem::author(what, PRESENT_ANOTHER));
    }
    if count > 1 {
        for (n, old) in replaced.iter_mut().enumerate() {
            old.what = format!("{} {} of {count}", old.what, n + 1);
        }
    }
    Ok(replaced)
}

/// What to do where the old credential is presented still.
const PRESENT_ANOTHER: &str = "let it present a fresh leaf, or one of its new root";

/// A leaf, known by itself.
fn leaf(credential: Credential) -> Result<Old, Problem> {
    let identifier = skid(&credential)?;
    let what = "old leaf".to_owned();
    Ok(Old { kind: CredentialKind::TlsLeaf, what, identifier, credential, root: None })
}

/// A leaf that was issued just now, known by its root.
fn leaf_of(world: &mut World, actor: &str, root: &Authority) -> Result<Old, Problem> {
    let leaf = super::authentication::issue(world, actor, root)?;
    let chain = vec![leaf.certificate_der().to_vec()];
    Ok(Old {
        kind: CredentialKind::TlsRoot,
        what: "old root".to_owned(),
        identifier: hex::encode(root.subject_key_identifier()),
        credential: Credential { chain, key: leaf.key().pkcs8_der().to_vec() },
        root: Some(root.clone()),
    })
}

async fn present(world: &mut World, actor: &str) -> Result<Credential, Problem> {
    let now = world.actor(actor).await?.credential().cloned();
    now.ok_or_else(|| Problem::author(format!("{actor} presents no leaf"), PRESENT_ANOTHER))
}

/// What the actor presents now, which must be another one than the old.
async fn new_credential(world: &mut World, actor: &str, old: &Old) -> Result<Credential, Problem> {
    let now = present(world, actor).await?;
    let facts = facts(&now)?;
    let shown = if old.kind == CredentialKind::TlsLeaf {
        facts.skid
    } else {
        facts.akid().map(<[u8]>::to_vec)
    };
    if shown.map(hex::encode).as_ref() == Some(&old.identifier) {
        let what = format!("what {actor} presents is still of its {}", old.what);
        return Err(Problem::author(what, PRESENT_ANOTHER));
    }
    Ok(now)
}

/// The old credential and the new one at each server behind a door.
async fn trials(
    world: &mut World,
    actor: &str,
    old: &Old,
    new: &Credential,
    door: &str,
) -> Result<Vec<Trial>, Problem> {
    let after = world.attempts(actor, new, door).await?;
    let before = world.attempts(actor, &old.credential, door).await?;
    let pairs = before.into_iter().zip(after);
    Ok(pairs.map(|(old_one, new_one)| old.trial(actor, door, old_one, Some(new_one))).collect())
}

/// Whoever has a connection that was opened on the old credential must not be served on it any more.
async fn nothing_lives_on(world: &mut World, actor: &str, old: &Old, door: &str) -> StepResult {
    let open = world.surviving(actor, old.kind, &old.identifier, door).await?;
    world.check(deadness::outlived(actor, &old.what, door, &open))
}

fn note_left(world: &mut World, left: Option<String>, evidence: Vec<u64>) {
    if let Some(text) = left {
        world.found("leaf_refused_by_the_map_alone", "2.4", text, evidence);
    }
}

fn skid(credential: &Credential) -> Result<String, Problem> {
    Ok(hex::encode(facts(credential)?.skid.unwrap_or_default()))
}

fn facts(credential: &Credential) -> Result<halo_pki::CertificateFacts, Problem> {
    let leaf = credential.chain.first().map_or(&[][..], Vec::as_slice);
    halo_pki::inspect(leaf).map_err(|error| Problem::harness(format!("a leaf: {error}")))
}

pub(super) fn look_at(world: &mut World, trial: Trial, cause: &str) -> StepResult {
    let checks = deadness::judge(&trial, cause);
    world.tried(trial.clone());
    // What participants did with it on connections of their own is a use too.
    world.overhear()?;
    let alive = deadness::seen_alive(world.log.all(), &trial);
    for check in checks {
        world.check(check)?;
    }
    // What is still accepted fails; only of what is refused it counts whether it ever was accepted.
    Ok(alive?)
}

/// No key is dead while whoever encrypts anew encrypts to it.
pub(super) async fn is_out_of_force(world: &mut World, trial: &Trial) -> StepResult {
    let is_in_force = world.is_in_force(trial).await?;
    world.check(deadness::out_of_force(&trial.owner, &trial.what, is_in_force))
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

/// Results that are accepted beside those of a dead certificate show something only if the same owner signed
/// them, under another certificate: anybody else's would be accepted anyway.
async fn is_counterpart(world: &mut World, owner: &str, dead: &str, of: &str) -> StepResult {
    let own = world.fill(&format!("{{{owner}}}/certificates/"))?;
    let signers = signers(world, of).await?;
    let by_owner = signers.iter().any(|one| one.starts_with(&own) && one != dead);
    let what = format!("the results of {of}");
    let (another, nothing) = (
        format!("signed by another certificate of {owner}"),
        format!("signed by {}", signers.join(", ")),
    );
    let observed = if by_owner { &another } else { &nothing };
    world.check(check::equal(what, &another, observed).or(Cause::NoChangeObserved))
}

async fn measurement(world: &mut World, of: &str) -> Result<pb::Measurement, Stop> {
    let owner = of.split('.').next().unwrap_or_default();
    let owner = if owner == "reporting" { "mc1" } else { owner };
    let text = format!("name: \"{{{of}}}\"");
    super::certificates::must(world, owner, "Measurements.GetMeasurement", &text).await?;
    let response = world.response()?;
    Ok(response.transcode_to().map_err(|error| Problem::harness(error.to_string()))?)
}

/// The rows of contract 3.10 that a provider without the key refuses by.
const CANNOT_OPEN: [&str; 2] = ["3.10/7", "3.10/8"];

/// A certificate is dead only by its revocation or its end, and only if it is this one that was revoked or
/// ended: the same call can name another. A hold is no death, for a release brings the certificate back;
/// nor is any refusal of what stands under it, such as a spoilt signature.
async fn is_dead(
    world: &mut World,
    owner: &str,
    certificate: &str,
    refused_for: &str,
) -> StepResult {
    let states: &[&str] = match refused_for {
        "certificate_revoked" | "3.13.2/d" => &["REVOKED"],
        "certificate_expired" | "3.13.2/e" => &["EXPIRED"],
        _ => {
            let what = format!("{refused_for} is no death of a certificate");
            let next = "a certificate is dead by certificate_revoked or certificate_expired, to a \
                        reader by 3.13.2/d or, once it has expired, 3.13.2/e";
            return Err(Problem::author(what, next).into());
        }
    };
    is_in_state(world, owner, certificate, states).await
}

/// A participant's refusal for revocation is of this certificate only if this one is on hold or revoked:
/// the same message can name another that is.
async fn is_to_blame(
    world: &mut World,
    owner: &str,
    certificate: &str,
    refused_for: &str,
) -> StepResult {
    let states: &[&str] = match refused_for {
        "3.13.1/c" | "3.13.2/d" => &["HOLD", "REVOKED"],
        _ => return Ok(()),
    };
    is_in_state(world, owner, certificate, states).await
}

pub(super) async fn is_in_state(
    world: &mut World,
    owner: &str,
    certificate: &str,
    states: &[&str],
) -> StepResult {
    // What came before was for this step to look at.
    world.look();
    let text = format!("name: \"{certificate}\"");
    super::certificates::must(world, owner, "Certificates.GetCertificate", &text).await?;
    let read: pb::Certificate =
        world.response()?.transcode_to().map_err(|error| Problem::harness(error.to_string()))?;
    let mut state = read.revocation_state().as_str_name();
    if read.revocation_state() == pb::certificate::RevocationState::Unspecified {
        let facts = halo_pki::inspect(&read.x509_der);
        let facts = facts.map_err(|error| Problem::harness(format!("{certificate}: {error}")))?;
        let now = world.now();
        state = match () {
            () if now > facts.not_after => "EXPIRED",
            () if now < facts.not_before => "NOT_YET_VALID",
            () => state,
        };
    }
    let states = states.iter().map(ToString::to_string).collect::<Vec<_>>();
    let check = check::member(format!("state of {certificate} among"), state, &states, true);
    world.check(check.or(Cause::UnexpectedState))
}

/// What is accepted before a revocation, or before a hold, was right to be.
fn accepted_after(was_after: bool, retired: &str) -> String {
    if was_after {
        format!("accepted after it was {retired}")
    } else {
        "accepted before".to_owned()
    }
}

/// What the Kingdom did to a certificate that is revoked or on hold, in words.
fn how_retired(world: &World, certificate: &str) -> Result<&'static str, Problem> {
    Ok(deadness::how_retired(&world.running()?.events(0)?, certificate))
}

/// Since when a certificate is revoked or on hold.
pub(super) fn revoked_at(world: &World, certificate: &str) -> Result<Attempt, Problem> {
    let events = world.running()?.events(0)?;
    deadness::revoked_since(&events, certificate, true).ok_or_else(|| {
        let what = format!("{certificate} is not revoked, so nothing of it is dead");
        Problem::author(
            what,
            "revoke it before it is used once more; a hold that is released is none",
        )
    })
}

/// When a certificate died by this cause.
fn death(world: &World, certificate: &str, refused_for: &str) -> Result<Attempt, Problem> {
    let unknown = || Problem::harness(format!("nobody knows since when {certificate} is dead"));
    if refused_for == "certificate_expired" {
        let read: pb::Certificate = match world.last_message()? {
            Some(message) => message.transcode_to().map_err(|_| unknown())?,
            None => return Err(unknown()),
        };
        let facts = halo_pki::inspect(&read.x509_der).map_err(|_| unknown())?;
        let time = facts.not_after.format(&Rfc3339).map_err(|_| unknown())?;
        return Ok(Attempt { time, refused_for: None, events: Vec::new() });
    }
    let events = world.running()?.events(0)?;
    deadness::revoked_since(&events, certificate, false).ok_or_else(unknown)
}

/// When the result of the measurement `OWNER.NAME` came that its signer gave: with a data provider's own
/// requisition, or with the measurement's end. Another's result comes at another time.
async fn arrived(
    world: &mut World,
    of: &str,
    signer: &str,
    certificate: &str,
) -> Result<Attempt, Stop> {
    let measurement = world.fill(&format!("{{{of}}}"))?;
    let (resource, state) = if certificate.starts_with("dataProviders/") {
        let all = encrypted(world, signer).await?;
        let own = all.into_iter().find(|one| one.measurement == measurement);
        (own.map(|one| one.requisition).unwrap_or_default(), "FULFILLED")
    } else {
        (measurement, "SUCCEEDED")
    };
    let events = world.running()?.events(0)?;
    let came = deadness::came_into(&events, &resource, state);
    Ok(came.ok_or_else(|| {
        let what = format!("no result of {of} came from {signer}");
        Problem::author(what, "let it deliver one")
    })?)
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
    // When it did that, rather than when somebody looks.
    let now = world.clock().now();
    let measurement = world.fill(&format!("{{{of}}}"))?;
    let done = last_fate(world, provider, &measurement)?;
    let time = done.map_or(now, |(_, time)| time).to_string();
    Ok(Attempt { time, refused_for, events: Vec::new() })
}

/// The place, among all that a data provider did, of the last thing that it did about a measurement, and
/// when that was.
fn last_fate(
    world: &mut World,
    provider: &str,
    measurement: &str,
) -> Result<Option<(usize, Timestamp)>, Problem> {
    let provider = world.cast.acted(provider)?.provider()?;
    let decides =
        |kind| matches!(kind, EventKind::RequisitionFulfilled | EventKind::RequisitionRefused);
    let events = provider.base.events.iter().enumerate().rev();
    let mut of_it = events.filter(|(_, event)| {
        decides(event.kind)
            && provider.measurements.get(&event.subject).is_some_and(|one| one == measurement)
    });
    Ok(of_it.next().map(|(place, event)| (place, event.time)))
}

/// The place, among all that a data provider did, of its refusal of `OWNER.NAME`, and the places of what it
/// opened under a key.
fn places(
    world: &mut World,
    provider: &str,
    keys: &[Encrypted],
    key: &str,
    of: &str,
) -> Result<(usize, Vec<usize>), Problem> {
    let measurement = world.fill(&format!("{{{of}}}"))?;
    let refused = last_fate(world, provider, &measurement)?;
    let (refused, _) = refused.ok_or_else(|| Problem::harness(format!("no fate of {of}")))?;
    let under = |name: &str| keys.iter().any(|one| one.requisition == name && one.key == key);
    let provider = world.cast.acted(provider)?.provider()?;
    let events = provider.base.events.iter().enumerate();
    let opened = events.filter(|(_, event)| {
        event.kind == EventKind::RequisitionFulfilled && under(&event.subject)
    });
    Ok((refused, opened.map(|(place, _)| place).collect()))
}

/// A ciphertext whose refusal shows a key dead is one that the key opens.
fn is_good(world: &World, owner: &str, keys: &[Encrypted], of: &str) -> Result<(), Problem> {
    let measurement = world.fill(&format!("{{{of}}}"))?;
    let one = keys.iter().find(|one| one.measurement == measurement);
    let one = one.ok_or_else(|| Problem::harness(format!("no requisition of {of}")))?;
    let known = world.encryption_keys(owner)?;
    let key = known.iter().find(|known| digest(&known.public().to_binary()) == one.key);
    let key = key.ok_or_else(|| {
        let what = format!("{owner} never had the key that {of} is encrypted to");
        Problem::author(what, "let it be encrypted to a key that was in force")
    })?;
    let spec = halo_consent::open_signed(key, &one.sealed.ciphertext, &one.sealed.type_url);
    let what = |why: String| {
        Problem::author(
            format!("what {of} sends does not open under {owner}'s old key either: {why}"),
            "let its RequisitionSpec be a good one, so that its refusal says something of the key",
        )
    };
    spec.map(|_| ()).map_err(|error| what(error.to_string()))
}

/// Whether what an accepted call made is bound to a certificate. The answer of a creation shows a provider's
/// certificate as its caller wrote it, and the requisition the one that the Kingdom goes by (1.5.12).
async fn is_bound(
    world: &mut World,
    owner: &str,
    call: &PastCall,
    certificate: &str,
) -> Result<bool, Stop> {
    let unread = |error: prost::DecodeError| Problem::harness(error.to_string());
    let answer = call.response.as_slice();
    let made = match call.method.rsplit('/').next().unwrap_or_default() {
        "SetParticipantRequisitionParams" => {
            let set = system::ComputationParticipant::decode(answer).map_err(unread)?;
            let params = set.requisition_params.unwrap_or_default();
            return Ok(params.duchy_certificate == certificate);
        }
        "CreateMeasurement" => vec![pb::Measurement::decode(answer).map_err(unread)?],
        "BatchCreateMeasurements" => {
            pb::BatchCreateMeasurementsResponse::decode(answer).map_err(unread)?.measurements
        }
        // Nothing else asks for the state of a certificate, so that it cannot be dead there (1.6.2).
        method => {
            let what = format!("{method} refuses no certificate for its state");
            let next = "show its death by CreateMeasurement, BatchCreateMeasurements or, for a Duchy, \
                        SetParticipantRequisitionParams";
            return Err(Problem::author(what, next).into());
        }
    };
    if !certificate.starts_with("dataProviders/") {
        return Ok(made.iter().any(|one| one.measurement_consumer_certificate == certificate));
    }
    world.look();
    let bound = encrypted(world, owner).await?;
    let mut bound = bound.iter().filter(|one| one.certificate == certificate);
    Ok(bound.any(|one| made.iter().any(|made| made.name == one.measurement)))
}

/// The uses of a certificate that a door knows of: everything that was created under it, whoever did, and
/// the calls that were refused for it by this cause; of a Duchy's what it set as a participant too.
async fn uses_of(
    world: &mut World,
    owner: &str,
    certificate: &str,
    cause: &str,
    calls: &[PastCall],
) -> Result<Vec<Attempt>, Stop> {
    let mut uses = Vec::new();
    for call in calls {
        let event = call.event.as_ref();
        if event.is_some_and(|event| {
            event.subject.as_deref() == Some(certificate) && event.cause.as_deref() == Some(cause)
        }) {
            uses.push(call.attempt());
        }
    }
    let made = if certificate.starts_with("duchies/") {
        for call in calls {
            if call.attempt().refused_for.is_none()
                && is_bound(world, owner, call, certificate).await?
            {
                uses.push(call.attempt());
            }
        }
        uses.extend(world.log.all().iter().filter_map(|observation| match &observation.fact {
            Fact::Participant(event)
                if event.kind == EventKind::ParamsSet && event.cause == certificate =>
            {
                let time = event.time.to_string();
                Some(Attempt { time, refused_for: None, events: Vec::new() })
            }
            _ => None,
        }));
        Vec::new()
    } else {
        world.bound_to(owner, certificate).await?
    };
    let events = world.running()?.events(0)?;
    uses.extend(made.iter().filter_map(|name| deadness::created(&events, name)));
    Ok(uses)
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The requisitions of a data provider with the measurement and the key that each was encrypted to.
struct Encrypted {
    requisition: String,
    measurement: String,
    /// SHA-256 of the key.
    key: String,
    /// The data provider's certificate that it is bound to.
    certificate: String,
    sealed: pb::EncryptedMessage,
}

async fn encrypted(world: &mut World, provider: &str) -> Result<Vec<Encrypted>, Stop> {
    let listed: pb::ListRequisitionsResponse =
        api_credentials::list(world, provider, "Requisitions.ListRequisitions").await?;
    api_credentials::no_more(&listed.next_page_token)?;
    let all = listed.requisitions.into_iter().map(|one| {
        let any = one.data_provider_public_key.unwrap_or_default();
        let key = pb::EncryptionPublicKey::decode(any.value.as_slice()).unwrap_or_default();
        let key = digest(&key.data);
        let sealed = one.encrypted_requisition_spec.unwrap_or_default();
        let certificate = one.data_provider_certificate;
        let (requisition, measurement) = (one.name, one.measurement);
        Encrypted { requisition, measurement, key, certificate, sealed }
    });
    Ok(all.collect())
}

fn key_of(world: &World, keys: &[Encrypted], of: &str) -> Result<String, Problem> {
    let measurement = world.fill(&format!("{{{of}}}"))?;
    let one = keys.iter().find(|one| one.measurement == measurement);
    one.map(|one| one.key.clone()).ok_or_else(|| {
        Problem::author(format!("{of} has no requisition here"), "name another measurement")
    })
}

/// The requisitions under a key that the provider has opened, and fulfilled: uses of that key.
fn opened_by(world: &World, provider: &str, keys: &[Encrypted], key: &str) -> Vec<Attempt> {
    let under = |name: &str| keys.iter().any(|one| one.requisition == name && one.key == key);
    let facts = world.log.all().iter();
    facts
        .filter_map(|observation| match &observation.fact {
            Fact::Participant(event)
                if event.actor == provider
                    && event.kind == EventKind::RequisitionFulfilled
                    && under(&event.subject) =>
            {
                let time = event.time.to_string();
                Some(Attempt { time, refused_for: None, events: Vec::new() })
            }
            _ => None,
        })
        .collect()
}

/// The first page of what a consumer has measured.
async fn measurements(world: &mut World, owner: &str) -> Result<Vec<pb::Measurement>, Stop> {
    let listed: pb::ListMeasurementsResponse =
        api_credentials::list(world, owner, "Measurements.ListMeasurements").await?;
    api_credentials::no_more(&listed.next_page_token)?;
    Ok(listed.measurements)
}

/// What a participant refused, rejected or ended over since the log had this many facts.
fn minded(world: &World, participant: &str, after: usize) -> Vec<ParticipantEvent> {
    let minds = |event: &ParticipantEvent| event.actor == participant && monitor::minds(event.kind);
    world.log.all()[after..]
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Participant(event) if minds(event) => Some((**event).clone()),
            _ => None,
        })
        .collect()
}
