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
use crate::world::{Stop, Var, World};
use fake_kingdom::cause::Cause;
use halo_consent::SigningKey;

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
                let trial = trial(world, party, owner, name).await?;
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
                let trial = trial(world, party, owner, name).await?;
                is_in_state(world, owner, &trial.credential, &["REVOKED"]).await?;
                let mut evidence = revoked_at(world, &trial.credential)?.events;
                evidence.extend(&trial.old.events);
                let check = deadness::judge_alive(&trial);
                let text = format!(
                    "{owner}'s certificate {name} is still taken by {}: the party reads no revocation \
                     state, and keeps the certificate for ever; {party} must store {owner}'s new root in \
                     the place of the old one, and until then nobody notices ({clause})",
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
                let own = signing(world, owner).await?;
                let new = world.fill(&format!("{{{owner}.{successor}}}"))?;
                let what = format!("the certificate that {owner} signs with");
                let check = check::equal(what, &new, &own.certificate);
                world.check(check.or(Cause::NoChangeObserved))?;
                let new = take(world, party, own).await?;
                let old = trial(world, party, owner, name).await?;
                look_at(world, Trial { new: Some(new), ..old }, clause)
            }
        ),
    ]
}

/// Whoever holds the key signs with it, and the party looks at that.
async fn trial(world: &mut World, party: &str, owner: &str, name: &str) -> Result<Trial, Stop> {
    world.kingdom().await?;
    let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
    let certificate_der = match world.get(&format!("{owner}.{name}_der"))? {
        Var::Bytes(der) => der.clone(),
        Var::Text(text) => text.clone().into_bytes(),
    };
    let key = SigningKey::from_pkcs8_der(world.key(owner, name)?).map_err(|error| {
        Problem::author(format!("{owner}'s key {name}: {error}"), "use another variant")
    })?;
    let pair = SigningPair { certificate: certificate.clone(), certificate_der, key: key.into() };
    Ok(Trial {
        owner: owner.to_owned(),
        what: format!("certificate {name}"),
        kind: CredentialKind::SigningCertificate,
        credential: certificate,
        door: deadness::door_of_peer(party),
        earlier: Vec::new(),
        old: take(world, party, pair).await?,
        new: None,
    })
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
