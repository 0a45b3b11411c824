//! What a stolen certificate or key has touched.

use super::reencryption::bytes;
use super::{Arguments, StepDefinition, step};
use crate::error::Problem;
use crate::impact::facts::Subject;
use crate::verdict::check;
use crate::world::{StepResult, World};
use fake_kingdom::cause::Cause;
use sha2::{Digest as _, Sha256};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"what (\w+)'s certificate (\w+) has touched is",
            "Then what edp1's certificate certificate has touched is",
            |world, given| {
                let (owner, name) = (given.text(0), given.text(1));
                world.kingdom().await?;
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let subject = Subject::certificate(&certificate)
                    .map_err(|error| Problem::author(error.to_string(), "name a certificate"))?;
                compare(world, given, subject, None, format!("{owner}'s certificate {name}")).await
            }
        ),
        step!(
            Check,
            r"what (\w+)'s encryption key (\w+) has touched is",
            "Then what mc1's encryption key stolen has touched is",
            |world, given| {
                let (owner, name) = (given.text(0), given.text(1));
                world.kingdom().await?;
                let key = world.fill(&format!("{{{owner}}}/publicKey"))?;
                let subject = Subject::public_key(&key).map_err(|error| {
                    Problem::author(error.to_string(), "name an owner of a public key")
                })?;
                let keyset = bytes(world, &format!("{owner}.{name}_keyset"))?;
                let key = hex::encode(Sha256::digest(&keyset));
                compare(
                    world,
                    given,
                    subject,
                    Some(key),
                    format!("{owner}'s encryption key {name}"),
                )
                .await
            }
        ),
    ]
}

/// Compares the assessment with the table: kind, how, resource.
async fn compare(
    world: &mut World,
    given: &Arguments,
    subject: Subject,
    key: Option<String>,
    what: String,
) -> StepResult {
    let mut expected = Vec::new();
    for row in given.table(3)? {
        let resource = world.fill(&row[2])?;
        expected.push(format!("{} {} {resource}", row[0], row[1]));
    }
    let assessment = world.assess_impact(given.text(0), subject, key, None).await?;
    let observed: Vec<_> = assessment
        .affected
        .iter()
        .map(|one| format!("{} {} {}", one.kind.name(), one.how.name(), one.name))
        .collect();
    let check = check::same_members(format!("what {what} has touched"), &expected, &observed);
    world.check(check.or(Cause::UnexpectedState))
}
