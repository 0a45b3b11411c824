//! What a stolen certificate or key has touched.

use super::reencryption::bytes;
use super::time::duration;
use super::{Arguments, StepDefinition, step};
use crate::error::Problem;
use crate::impact::facts::Subject;
use crate::verdict::check;
use crate::world::{StepResult, World};
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use sha2::{Digest as _, Sha256};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"what (\w+)'s certificate (\w+)(?:, stolen (\d+) (second|minute|hour|day)s? ago,)? has touched is",
            "Then what edp1's certificate certificate, stolen 1 hour ago, has touched is\n\
             | measurement | bound_to | {mc1.m} | after |",
            |world, given| {
                let (owner, name) = (given.text(0), given.text(1));
                world.kingdom().await?;
                let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
                let subject = Subject::certificate(&certificate)
                    .map_err(|error| Problem::author(error.to_string(), "name a certificate"))?;
                let since = match given.text(2) {
                    "" => None,
                    _ => {
                        let ago = duration(given.number(2)?, given.text(3))?;
                        Some(world.clock().now().minus(ago))
                    }
                };
                let what = format!("{owner}'s certificate {name}");
                compare(world, given, subject, None, since, what).await
            }
        ),
        step!(
            Check,
            r"what (\w+)'s encryption key (\w+) has touched is",
            "Then what mc1's encryption key stolen has touched is\n\
             | measurement | bound_to | {mc1.m} |",
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
                    None,
                    format!("{owner}'s encryption key {name}"),
                )
                .await
            }
        ),
    ]
}

/// Compares the assessment with the table: kind, how, resource, and with a suspected time whether it
/// was before or after that.
async fn compare(
    world: &mut World,
    given: &Arguments,
    subject: Subject,
    key: Option<String>,
    since: Option<Timestamp>,
    what: String,
) -> StepResult {
    let mut expected = Vec::new();
    for row in given.table(if since.is_some() { 4 } else { 3 })? {
        let resource = world.fill(&row[2])?;
        let when = row.get(3).map(|when| format!(" {when}")).unwrap_or_default();
        expected.push(format!("{} {} {resource}{when}", row[0], row[1]));
    }
    let assessment = world.assess_impact(given.text(0), subject, key, since).await?;
    let observed: Vec<_> = assessment
        .affected
        .iter()
        .map(|one| {
            let when = since.map(|_| format!(" {}", one.when.name())).unwrap_or_default();
            format!("{} {} {}{when}", one.kind.name(), one.how.name(), one.name)
        })
        .collect();
    let check = check::same_members(format!("what {what} has touched"), &expected, &observed);
    world.check(check.or(Cause::UnexpectedState))
}
