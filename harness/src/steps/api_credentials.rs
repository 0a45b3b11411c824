//! API certificates and encryption keys that are rotated with measurements in flight: what the Kingdom
//! shows before and after, and what becomes of each measurement and requisition (contract 1.6.3,
//! 1.6.5, 3.10.1, 3.13.4); and which open connections outlive an old credential.

use super::certificates::must;
use super::participants::{act, create, refused, wish};
use super::probes::whole_run;
use super::{StepDefinition, step};
use crate::client::Outcome;
use crate::error::Problem;
use crate::observation::{CredentialFact, Fact};
use crate::participant::wire;
use crate::verdict::fates::{self, Fates};
use crate::verdict::{check, credentials};
use crate::world::{StepResult, Stop, Var, World};
use fake_kingdom::cause::Cause;
use kingdom_proto::v2alpha as pb;
use prost::Message as _;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) creates (\d+) reach measurements? called (\w+) with (\w+)(?: and (\w+))?",
            "When mc1 creates 3 reach measurements called before with edp1",
            |world, given| {
                let (actor, count) = (given.text(0), given.number::<u32>(1)?);
                for n in 1..=count {
                    let wish = wish(world, "reach", &[given.text(3), given.text(4)]).await?;
                    create(world, actor, &format!("{}{n}", given.text(2)), wish).await?;
                    if world.fill(&format!("{{{actor}.{}{n}}}", given.text(2))).is_err() {
                        let what = format!("{actor} was refused a measurement");
                        return Err(Problem::author(what, "let what it needs be there").into());
                    }
                }
                world.changed(format!("{actor} created {count} measurements"));
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) publishes its encryption key under the certificate that it signs with",
            "When edp1 publishes its encryption key under the certificate that it signs with",
            |world, given| {
                let actor = given.text(0).to_owned();
                let before = shown(world, &actor).await?;
                act(world, async |stage, cast| {
                    let provider = cast.player(stage.0.sandbox(), &actor)?.provider()?;
                    let keyset = provider.keys.first().cloned().ok_or_else(|| {
                        Problem::author(format!("{actor} has no encryption key"), "give it one")
                    })?;
                    let published = provider.rotate_encryption_key(stage, keyset, false).await;
                    published.map_err(|error| refused(&error))?;
                    // It is the same key, which was put in front of itself.
                    provider.keys.remove(0);
                    Ok(())
                })
                .await?;
                world.changed(format!("the certificate of {}'s encryption key", given.text(0)));
                note_change(world, given.text(0), before).await
            }
        ),
        step!(
            Action,
            r"(\w+)'s own trust bundle includes (\w+)'s new root",
            "When edp1's own trust bundle includes mc1's new root",
            |world, given| {
                let (actor, owner) = (given.text(0).to_owned(), given.text(1));
                let root = world.new_root(owner)?.certificate_der().to_vec();
                let owner_name = world.fill(&format!("{{{owner}}}"))?;
                act(world, async |stage, cast| {
                    let bundle =
                        &mut cast.player(stage.0.sandbox(), &actor)?.base().identity.bundle;
                    bundle.bind(&owner_name, &root);
                    bundle.add(&root).map_err(|error| refused(&error))
                })
                .await?;
                world.changed(format!("{}'s own trust bundle", given.text(0)));
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) has a new certificate called (\w+) of its new root",
            "Given mc1 has a new certificate called second of its new root",
            |world, given| {
                let root = world.new_root(given.text(0))?.clone();
                let leaf = super::authentication::issue(world, given.text(0), &root)?;
                world.keep_leaf(given.text(0), given.text(1), leaf);
                Ok(())
            }
        ),
        step!(
            Check,
            r"the measurements of (\w+) are exactly",
            "Then the measurements of mc1 are exactly\n\
             | mc1.m | SUCCEEDED |",
            |world, given| {
                let rows = given.table(2)?;
                let listed: pb::ListMeasurementsResponse =
                    list(world, given.text(0), "Measurements.ListMeasurements").await?;
                no_more(&listed.next_page_token)?;
                let expected = expected(world, rows)?;
                let observed = listed.measurements.iter().map(|one| {
                    let reason = one.failure.as_ref().map(|failure| failure.reason());
                    let reason = reason.map(|reason| format!(" {}", reason.as_str_name()));
                    let state =
                        format!("{}{}", one.state().as_str_name(), reason.unwrap_or_default());
                    (label(world, &one.name), vec![state])
                });
                let observed: Fates = observed.collect();
                let what = format!("measurements of {}", given.text(0));
                world.check(fates::exactly(what, &expected, &observed))
            }
        ),
        step!(
            Check,
            r"the requisitions of (\w+) are exactly",
            "Then the requisitions of edp1 are exactly\n\
             | mc1.m | FULFILLED | certificate | first |",
            |world, given| {
                let actor = given.text(0);
                let rows = given.table(4)?;
                let listed: pb::ListRequisitionsResponse =
                    list(world, actor, "Requisitions.ListRequisitions").await?;
                no_more(&listed.next_page_token)?;
                let first = match world.get(&format!("{actor}.keyset"))? {
                    Var::Bytes(keyset) => keyset.clone(),
                    Var::Text(_) => Vec::new(),
                };
                let expected = expected(world, rows)?;
                let observed = listed.requisitions.iter().map(|one| {
                    let why = one.refusal.as_ref().map(|refusal| refusal.justification());
                    let why = why.map(|why| format!(" {}", why.as_str_name()));
                    let state = format!("{}{}", one.state().as_str_name(), why.unwrap_or_default());
                    let certificate = world.called(&one.data_provider_certificate);
                    let certificate = certificate.and_then(|name| name.rsplit('.').next());
                    let any = one.data_provider_public_key.clone().unwrap_or_default();
                    let key = pb::EncryptionPublicKey::decode(any.value.as_slice());
                    let key = key.map(|key| key.data).unwrap_or_default();
                    let key = if key == first { "first key" } else { "later key" };
                    let certificate = certificate.unwrap_or("an unknown certificate").to_owned();
                    (label(world, &one.measurement), vec![state, certificate, key.to_owned()])
                });
                let observed: Fates = observed.collect();
                let what = format!("requisitions of {actor}");
                world.check(fates::exactly(what, &expected, &observed))
            }
        ),
        step!(
            Check,
            r"open connections of (\w+(?:/\d+)?) outlived its old credential by at least (\d+) ms",
            "Then open connections of edp1 outlived its old credential by at least 300 ms",
            |world, given| {
                let least: f64 = given.number(1)?;
                let all = credentials::outlived(whole_run(world)?, given.text(0));
                let longest = all.iter().map(|one| one.for_ms).fold(0.0, f64::max);
                let observed = if longest >= least { "long enough" } else { "too short" };
                let mut check = check::equal("connections on it", "long enough", observed);
                check.what = outlived_text(given.text(0), &all);
                world.check(check.or(Cause::FailureNotSeen))
            }
        ),
        step!(
            Check,
            r"no open connection of (\w+(?:/\d+)?) outlived its old credential by more than (\d+) ms",
            "Then no open connection of edp1 outlived its old credential by more than 900 ms",
            |world, given| {
                let most: f64 = given.number(1)?;
                let changes = credentials::changes(whole_run(world)?);
                if !changes.iter().any(|one| one.actor == given.text(0) && one.changed) {
                    let what = format!("{} was not seen with another credential", given.text(0));
                    let next = "name who rotated: a probing caller, or `kingdom/0` for a replica";
                    let problem = Problem::author(what, next);
                    return Err(problem.because(Cause::NoChangeObserved).into());
                }
                if !credentials::could_outlive(whole_run(world)?, given.text(0), most) {
                    let what = format!(
                        "an open connection of {} is on its old credential to the end, and the \
                         probes went on for less than {most} ms after the switch",
                        given.text(0)
                    );
                    return Err(Problem::author(what, "let the probes go on for longer").into());
                }
                let all = credentials::outlived(whole_run(world)?, given.text(0));
                let over = all.iter().any(|one| one.for_ms > most);
                let observed = if over { "too long" } else { "short enough" };
                let mut check = check::equal("connections on it", "short enough", observed);
                check.what = outlived_text(given.text(0), &all);
                world.check(check.or(Cause::ConnectionOutlivesCredential))
            }
        ),
    ]
}

/// The Kingdom's API credentials of a participant: SKID of its certificate, digest of its key.
pub(super) type Shown = [(&'static str, String); 2];

/// What the Kingdom shows of a participant's API credentials now, read as that participant.
pub(super) async fn shown(world: &mut World, actor: &str) -> Result<Shown, Stop> {
    act(world, async |stage, cast| {
        let player = cast.player(stage.0.sandbox(), actor)?;
        let base = player.base();
        let name = base.identity.resource.clone();
        let (der, key) = if name.starts_with("dataProviders/") {
            let request = pb::GetDataProviderRequest { name };
            let read = base.call(stage, wire::GET_DATA_PROVIDER, &request).await;
            let read = read.map_err(|error| refused(&error))?;
            (read.certificate_der, read.public_key)
        } else {
            let request = pb::GetMeasurementConsumerRequest { name };
            let read = base.call(stage, wire::GET_MEASUREMENT_CONSUMER, &request).await;
            let read = read.map_err(|error| refused(&error))?;
            (read.certificate_der, read.public_key)
        };
        let facts = halo_pki::inspect(&der).ok();
        let skid = facts.and_then(|facts| facts.skid).map(hex::encode).unwrap_or_default();
        let message = key.and_then(|signed| signed.message).unwrap_or_default();
        let digest = crate::impact::read::key_digest(&message.value);
        Ok([("api_certificate", skid), ("encryption_key", digest)])
    })
    .await
}

/// Notes what of it a step has changed.
pub(super) async fn note_change(world: &mut World, actor: &str, before: Shown) -> StepResult {
    let after = shown(world, actor).await?;
    for ((kind, before), (_, after)) in before.into_iter().zip(after) {
        if before != after {
            let actor = actor.to_owned();
            world.record(Fact::Credential(CredentialFact { actor, kind, before, after }));
        }
    }
    Ok(())
}

/// The first page of what an actor owns: enough for a scenario, and [`no_more`] says when it is not.
pub(super) async fn list<M: prost::Message + Default>(
    world: &mut World,
    actor: &str,
    method: &str,
) -> Result<M, Stop> {
    must(world, actor, method, &format!("parent: \"{{{actor}}}\"")).await?;
    let bytes = match &world.last()?.outcome {
        Outcome::Answered { messages, .. } => messages.first().cloned().unwrap_or_default(),
        Outcome::Broken(_) => Vec::new(),
    };
    M::decode(bytes.as_slice()).map_err(|error| Problem::harness(error.to_string()).into())
}

pub(super) fn no_more(next_page_token: &str) -> Result<(), Problem> {
    if next_page_token.is_empty() {
        return Ok(());
    }
    Err(Problem::author("there are more than one page shows", "create fewer in one scenario"))
}

/// What the table says: a measurement by what the scenario calls it, then what it comes to.
fn expected(world: &World, rows: &[Vec<String>]) -> Result<Fates, Problem> {
    let of = |row: &Vec<String>| {
        let resource = world.fill(&format!("{{{}}}", row[0]))?;
        Ok((label(world, &resource), row[1..].to_vec()))
    };
    rows.iter().map(of).collect()
}

/// `mc1.before1 (AAAAAAAAAGs)`.
fn label(world: &World, resource: &str) -> String {
    let id = resource.rsplit('/').next().unwrap_or_default();
    format!("{} ({id})", world.called(resource).unwrap_or("one that the scenario did not name"))
}

fn outlived_text(actor: &str, all: &[credentials::Outlived]) -> String {
    let one = |one: &credentials::Outlived| {
        format!("serial {} (SKID {}) for {:.0} ms", one.serial, one.skid, one.for_ms)
    };
    let all: Vec<_> = all.iter().map(one).collect();
    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    format!("open connections of {actor} on a replaced credential: {all}")
}
