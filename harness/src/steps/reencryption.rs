//! Metadata of event groups under a consumer's encryption key, and who has not moved to the new one
//! (contract 1.4.1, 1.4.3, 8.1.7).

use super::certificates::must;
use super::{StepDefinition, step};
use crate::client::dynamic;
use crate::error::Problem;
use crate::observation::{Attempt, CredentialKind, Trial};
use crate::verdict::check;
use crate::verdict::deadness;
use crate::world::{StepResult, Stop, Var, World, ciphertext};
use fake_kingdom::cause::Cause;
use halo_consent::PublicKeyset;
use kingdom_proto::v2alpha as pb;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// What a trial calls the refusal of a key that does not fit.
const DOES_NOT_DECRYPT: &str = "does_not_decrypt";

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r#"(\w+) encrypts the metadata "([^"]+)" of its event group (\w+) to (\w+)'s key (\w+)"#,
            "Given edp1 encrypts the metadata \"news\" of its event group g to mc1's key fresh",
            |world, given| {
                let (provider, plain, group) = (given.text(0), given.text(1), given.text(2));
                let (consumer, key) = (given.text(3), given.text(4));
                let keyset = bytes(world, &format!("{consumer}.{key}_keyset"))?;
                let ciphertext = PublicKeyset::from_binary(&keyset)
                    .map_err(|error| Problem::harness(error.to_string()))?
                    .encrypt(plain.as_bytes(), &[], world.rng())
                    .map_err(|error| Problem::harness(error.to_string()))?;
                world.set(format!("{provider}.{group}_ciphertext"), Var::Bytes(ciphertext));
                let text = format!(
                    "event_group {{ name: \"{{{provider}.{group}}}\" measurement_consumer: \"{{{consumer}}}\" \
                     event_group_reference_id: \"{group}\" \
                     encrypted_metadata {{ ciphertext: \"{{{provider}.{group}_ciphertext}}\" }} \
                     measurement_consumer_public_key {{ [type.googleapis.com/\
                     wfa.measurement.api.v2alpha.EncryptionPublicKey] \
                     {{ format: TINK_KEYSET data: \"{{{consumer}.{key}_keyset}}\" }} }} }}"
                );
                must(world, provider, "EventGroups.UpdateEventGroup", &text).await
            }
        ),
        step!(
            Check,
            r"the event groups of (\w+) that are not under its key (\w+) are (none|\w+\.\w+(?:, \w+\.\w+)*)",
            "Then the event groups of mc1 that are not under its key fresh are edp2.h",
            |world, given| {
                let (consumer, key) = (given.text(0), given.text(1));
                let keyset = bytes(world, &format!("{consumer}.{key}_keyset"))?;
                let mut stale = Vec::new();
                let mut seen = 0;
                for group in world.event_groups_of(consumer).await? {
                    seen += 1;
                    let ciphertext = ciphertext(&group).to_vec();
                    let under = group.measurement_consumer_public_key.unwrap_or_default();
                    let under = pb::EncryptionPublicKey::decode(under.value.as_slice());
                    // What is no key at all is not under this one either; nor is what the key that it
                    // names does not open, for the Kingdom compares the two nowhere (1.4.3).
                    let names_it = under.is_ok_and(|under| under.data == keyset);
                    let opens = ciphertext.is_empty()
                        || open(world, consumer, key, &ciphertext)?.refused_for.is_none();
                    if !(names_it && opens) {
                        stale.push(group.name);
                    }
                }
                if seen == 0 {
                    let what =
                        format!("{consumer} has no event groups, so none can be left behind");
                    return Err(Problem::author(what, "let a provider make one").into());
                }
                let mut expected = Vec::new();
                for name in given.text(2).split(", ").filter(|name| *name != "none") {
                    expected.push(world.fill(&format!("{{{name}}}"))?);
                }
                let what = format!("event groups that are not under {consumer}'s key {key}");
                let check = check::same_members(what, &expected, &stale);
                world.check(check.or(Cause::UnexpectedState))
            }
        ),
        step!(
            Check,
            r"(\w+)'s encryption key (\w+) is dead for the metadata of (\w+\.\w+), and its (\w+) is not",
            "Then mc1's encryption key stolen is dead for the metadata of edp1.g, and its fresh is not",
            |world, given| {
                let (consumer, group) = (given.text(0), given.text(2));
                let ciphertext = metadata(world, consumer, group).await?;
                let old = open(world, consumer, given.text(1), &ciphertext)?;
                let new = open(world, consumer, given.text(3), &ciphertext)?;
                let of = [consumer, given.text(1), group];
                let trial = trial(world, of, old, Some(new))?;
                super::deadness::look_at(world, trial.clone(), DOES_NOT_DECRYPT)?;
                super::deadness::is_out_of_force(world, &trial).await?;
                Ok(world.watch_dead_key(&trial).await?)
            }
        ),
        step!(
            Either,
            r"(\w+)'s encryption key (\w+) opens the metadata of (\w+\.\w+)",
            "Given mc1's encryption key stolen opens the metadata of edp1.g",
            |world, given| {
                let (consumer, key, group) = (given.text(0), given.text(1), given.text(2));
                let ciphertext = metadata(world, consumer, group).await?;
                let attempt = open(world, consumer, key, &ciphertext)?;
                let trial = trial(world, [consumer, key, group], attempt, None)?;
                let check = deadness::judge_alive(&trial);
                world.tried(trial);
                world.check(check)
            }
        ),
        step!(
            Action,
            r"(\w+) replays its measurement (\w+) as (\w+)",
            "When mc1 replays its measurement m as again",
            |world, given| {
                let (consumer, name, again) = (given.text(0), given.text(1), given.text(2));
                replay(world, consumer, name, again).await
            }
        ),
    ]
}

/// The ciphertext in an event group's metadata, as the consumer reads it.
async fn metadata(world: &mut World, consumer: &str, group: &str) -> Result<Vec<u8>, Stop> {
    let name = world.fill(&format!("{{{group}}}"))?;
    let all = world.event_groups_of(consumer).await?;
    let read = all.iter().find(|one| one.name == name);
    Ok(read.map(|group| ciphertext(group).to_vec()).unwrap_or_default())
}

fn trial(
    world: &World,
    [consumer, key, group]: [&str; 3],
    old: Attempt,
    new: Option<Attempt>,
) -> Result<Trial, Problem> {
    // The digest by which `impact` knows a key that is no longer in force.
    let keyset = bytes(world, &format!("{consumer}.{key}_keyset"))?;
    Ok(Trial {
        owner: consumer.to_owned(),
        what: format!("encryption key {key}"),
        kind: CredentialKind::EncryptionKey,
        credential: hex::encode(Sha256::digest(&keyset)),
        door: format!("metadata of {group}"),
        earlier: Vec::new(),
        old,
        new,
    })
}

/// A new measurement with the signed spec and the ciphertexts of an old one (contract 3.1.2).
async fn replay(world: &mut World, consumer: &str, name: &str, again: &str) -> StepResult {
    let text = format!("name: \"{{{consumer}.{name}}}\"");
    must(world, consumer, "Measurements.GetMeasurement", &text).await?;
    let old: pb::Measurement = decoded(&world.response()?)?;
    let request = pb::CreateMeasurementRequest {
        parent: world.fill(&format!("{{{consumer}}}"))?,
        measurement: Some(pb::Measurement {
            measurement_consumer_certificate: old.measurement_consumer_certificate,
            measurement_spec: old.measurement_spec,
            data_providers: old.data_providers,
            ..pb::Measurement::default()
        }),
        ..pb::CreateMeasurementRequest::default()
    };
    let method = dynamic::Method::find(
        "Measurements.CreateMeasurement",
        crate::environment::Listener::Public,
    )
    .map_err(Problem::harness)?;
    world.send(consumer, method, vec![request.encode_to_vec()], None).await?;
    let created: pb::Measurement = decoded(&world.response()?)?;
    world.set(format!("{consumer}.{again}"), Var::Text(created.name));
    Ok(())
}

fn decoded<M: prost::Message + Default>(
    message: &prost_reflect::DynamicMessage,
) -> Result<M, Problem> {
    message.transcode_to().map_err(|error| Problem::harness(error.to_string()))
}

fn open(world: &World, consumer: &str, key: &str, ciphertext: &[u8]) -> Result<Attempt, Problem> {
    let opens = world.opens(consumer, key, ciphertext)?;
    let refused_for = (!opens).then(|| DOES_NOT_DECRYPT.to_owned());
    Ok(Attempt { time: world.clock().now().to_string(), refused_for, events: Vec::new() })
}

pub(super) fn bytes(world: &World, name: &str) -> Result<Vec<u8>, Problem> {
    match world.get(name)? {
        Var::Bytes(bytes) => Ok(bytes.clone()),
        Var::Text(text) => Ok(text.clone().into_bytes()),
    }
}
