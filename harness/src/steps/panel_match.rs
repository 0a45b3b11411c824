//! Exchanges between peers: what a party's panel match program takes of what another one signed (contract
//! 3.4.3, 4.5). The Kingdom has no part in it but to hand certificates out.

use super::deadness::{cites, is_in_state, look_at, revoked_at};
use super::participants::act;
use super::{StepDefinition, step};
use crate::error::Problem;
use crate::observation::{Attempt, CredentialKind, Trial};
use crate::participant::SigningPair;
use crate::report::incident::TAKEN_BY_PEER;
use crate::verdict::{check, deadness};
use crate::world::{DeadToPeer, LAST_LOOK_PATIENCE, StepResult, Stop, Var, World, not_ended};
use fake_kingdom::cause::Cause;
use halo_consent::SigningKey;
use kingdom_proto::v2alpha as pb;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+)'s panel match stores (\w+)'s (root|new root)",
            "Given edp1's panel match stores modelprovider1's new root",
            |world, given| {
                let (party, owner, which) = (given.text(0), given.text(1), given.text(2));
                let root = match which {
                    "root" => world.authority(owner).await?,
                    _ => world.new_root(owner)?.clone(),
                };
                let resource = world.fill(&format!("{{{owner}}}"))?;
                world.changed(format!("{party}'s panel match stores {owner}'s {which}"));
                act(world, async |stage, cast| {
                    let party = cast.panel_match(stage.0.sandbox(), party)?;
                    party.roots.insert(resource, root.certificate_der().to_vec());
                    Ok(())
                })
                .await
            }
        ),
        step!(
            Either,
            r"(\w+)'s panel match takes what is signed with (\w+)'s certificate (\w+)",
            "Given edp1's panel match takes what is signed with modelprovider1's certificate first",
            |world, given| {
                let (party, owner, name) = (given.text(0), given.text(1), given.text(2));
                let (trial, _) = trial(world, party, owner, name).await?;
                let check = deadness::judge_alive(&trial);
                world.tried(trial);
                world.check(check)
            }
        ),
        step!(
            Check,
            r"it is a finding by (\S+) that (\w+)'s panel match takes what is signed with (\w+)'s certificate (\w+), which is revoked",
            "Then it is a finding by 4.5 that edp1's panel match takes what is signed with modelprovider1's certificate first, which is revoked",
            |world, given| {
                let (clause, party) = (given.text(0), given.text(1));
                let (owner, name) = (given.text(2), given.text(3));
                cites(TAKEN_BY_PEER, deadness::Ground::Any, clause)?;
                let (trial, _) = trial(world, party, owner, name).await?;
                is_in_state(world, owner, &trial.credential, &["REVOKED"]).await?;
                let mut evidence = revoked_at(world, &trial.credential)?.events;
                evidence.extend(&trial.old.events);
                let check = deadness::judge_alive(&trial);
                let next = if stores_the_newest_root(world, party, owner).await? {
                    format!(
                        "{party} stores {owner}'s newest root already, and the certificate is of that one: \
                         {owner} must get another root, and {party} store it in the place of this one"
                    )
                } else {
                    format!("{party} must store {owner}'s new root in the place of the old one")
                };
                let text = format!(
                    "{owner}'s certificate {name} is still taken by {}: the party reads no revocation \
                     state, and keeps the certificate for ever; {next}, and until then nobody notices \
                     ({clause})",
                    trial.door
                );
                world.tried(trial);
                world.check(check)?;
                world.found(TAKEN_BY_PEER, clause, text, evidence);
                Ok(())
            }
        ),
        step!(
            Check,
            r"(\w+)'s certificate (\w+) is dead to (\w+)'s panel match by (\S+), and its (\w+) is not",
            "Then modelprovider1's certificate first is dead to edp1's panel match by 3.4.3, and its second is not",
            |world, given| {
                let (owner, name, party) = (given.text(0), given.text(1), given.text(2));
                let (clause, successor) = (given.text(3), given.text(4));
                // Anything else that is refused is no death: a signature by another key, say.
                if clause != OF_NO_STORED_ROOT {
                    let what =
                        format!("{clause} is no death of a certificate to a peer of an exchange");
                    let next = format!(
                        "a peer stops taking it by {OF_NO_STORED_ROOT} alone, once it stores another root \
                         in the place of the certificate's own"
                    );
                    return Err(Problem::author(what, next).into());
                }
                let own = signing(world, owner).await?;
                let new = world.fill(&format!("{{{owner}.{successor}}}"))?;
                let what = format!("the certificate that {owner} signs with");
                let check = check::equal(what, &new, &own.certificate);
                world.check(check.or(Cause::NoChangeObserved))?;
                let new = take(world, party, own).await?;
                let (old, pair) = trial(world, party, owner, name).await?;
                let trial = Trial { new: Some(new), ..old };
                look_at(world, trial.clone(), clause)?;
                world.watch_dead_to_peer(DeadToPeer { trial, party: party.to_owned(), pair });
                Ok(())
            }
        ),
    ]
}

/// The clause by which a certificate is dead to a peer of an exchange.
const OF_NO_STORED_ROOT: &str = "3.4.3";

/// The last look of a scenario: tries every certificate that was shown dead to a party of an exchange once
/// more, for the party may store its root again and nobody need send it anything.
///
/// # Errors
/// A try does not end, or the refusal is not of the certificate.
pub(crate) async fn look_at_dead_to_peers(world: &mut World) -> Result<(), Problem> {
    let mut unproved = None;
    for DeadToPeer { trial, party, pair } in world.dead_to_peers() {
        let taken = tokio::time::timeout(LAST_LOOK_PATIENCE, take(world, &party, pair)).await;
        let old = match taken.map_err(|_| not_ended(&trial))? {
            Ok(old) => old,
            Err(Stop::Problem(problem)) => return Err(problem),
            Err(Stop::Failed) => return Err(Problem::harness("a try compared something")),
        };
        match old.refused_for.as_deref() {
            None => world.tried(Trial { old, new: None, earlier: Vec::new(), ..trial }),
            // It may have ended since, too.
            Some(OF_NO_STORED_ROOT | "4.5") => {}
            Some(_) => unproved = unproved.or_else(|| Some(deadness::unproved(&trial, &old))),
        }
    }
    unproved.map_or(Ok(()), Err)
}

/// Whether no root of the owner's is newer than the one that a party stores.
async fn stores_the_newest_root(world: &mut World, party: &str, owner: &str) -> Result<bool, Stop> {
    let resource = world.fill(&format!("{{{owner}}}"))?;
    let roots = world.all_roots(owner).await?;
    let newest = roots.last().map(|root| root.certificate_der().to_vec());
    act(world, async |stage, cast| {
        let party = cast.panel_match(stage.0.sandbox(), party)?;
        Ok(party.roots.get(&resource) == newest.as_ref())
    })
    .await
}

/// What is tried is the certificate only if the key is its own: any other signature is refused anyway.
async fn is_its_own(
    world: &mut World,
    (owner, name): (&str, &str),
    certificate: &str,
    key: &SigningKey,
) -> StepResult {
    world.look();
    let text = format!("name: \"{certificate}\"");
    super::certificates::must(world, owner, "Certificates.GetCertificate", &text).await?;
    let read: pb::Certificate =
        world.response()?.transcode_to().map_err(|error| Problem::harness(error.to_string()))?;
    let is_own = key.is_key_of(&read.x509_der);
    let is_own = is_own.map_err(|error| Problem::harness(format!("{certificate}: {error}")))?;
    if is_own {
        return Ok(());
    }
    let what = format!(
        "the key that {owner} calls {name} is not that of the certificate {name} that it registered, so \
         that what it signs shows nothing of that certificate"
    );
    let next = "give a certificate that is made later another name";
    Err(Problem::author(what, next).into())
}

/// Whoever holds the key signs with it, and the party looks at that.
async fn trial(
    world: &mut World,
    party: &str,
    owner: &str,
    name: &str,
) -> Result<(Trial, SigningPair), Stop> {
    world.kingdom().await?;
    let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
    let certificate_der = match world.get(&format!("{owner}.{name}_der"))? {
        Var::Bytes(der) => der.clone(),
        Var::Text(text) => text.clone().into_bytes(),
    };
    let key = SigningKey::from_pkcs8_der(world.key(owner, name)?).map_err(|error| {
        Problem::author(format!("{owner}'s key {name}: {error}"), "use another variant")
    })?;
    is_its_own(world, (owner, name), &certificate, &key).await?;
    let pair = SigningPair { certificate: certificate.clone(), certificate_der, key: key.into() };
    let trial = Trial {
        owner: owner.to_owned(),
        what: format!("certificate {name}"),
        kind: CredentialKind::SigningCertificate,
        credential: certificate,
        door: deadness::door_of_peer(party),
        earlier: Vec::new(),
        old: take(world, party, pair.clone()).await?,
        new: None,
    };
    Ok((trial, pair))
}

/// What the owner's own program signs with now.
async fn signing(world: &mut World, owner: &str) -> Result<SigningPair, Stop> {
    let own = act(world, async |stage, cast| {
        Ok(cast.player(stage.0.sandbox(), owner)?.signing().cloned())
    })
    .await?;
    Ok(own.ok_or_else(|| {
        let what = format!("{owner} signs with no certificate");
        Problem::author(what, "register one, and let it sign with it")
    })?)
}

/// How a party takes what is signed with this pair.
async fn take(world: &mut World, party: &str, pair: SigningPair) -> Result<Attempt, Stop> {
    // What such a message says the contract leaves open.
    let message = prost_types::Any { type_url: String::new(), value: b"an exchange".to_vec() };
    let signed = pair.sign_packed(message);
    let signed = signed.map_err(|error| Problem::harness(error.to_string()))?;
    let taken = act(world, async |stage, cast| {
        let party = cast.panel_match(stage.0.sandbox(), party)?;
        Ok(party.take(stage, &pair.certificate, &signed).await)
    })
    .await?;
    let refused_for = taken.err().map(|error| match error.clause() {
        Some(clause) => clause.to_owned(),
        None => error.to_string(),
    });
    Ok(Attempt { time: world.clock().now().to_string(), refused_for, events: Vec::new() })
}
