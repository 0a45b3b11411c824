//! What a stolen certificate or key has touched, and its repair by all whom it concerns.

use super::reencryption::bytes;
use super::time::duration;
use super::{Arguments, StepDefinition, authentication, participants, step};
use crate::error::Problem;
use crate::impact::Assessment;
use crate::impact::facts::{OwnerKind, Subject};
use crate::impact::plan::{Action, ActionKind};
use crate::impact::repair::digest;
use crate::participant::cast::Fresh;
use crate::verdict::{check, repair};
use crate::world::{StepResult, Stop, Var, World};
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use halo_consent::{KeyTemplate, PrivateKeyset, SigningKey};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

pub(super) fn steps() -> Vec<StepDefinition> {
    let mut steps = assessments();
    steps.extend(repairs());
    steps
}

fn assessments() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"what (\w+)'s certificate (\w+)(?:, stolen (\d+) (second|minute|hour|day)s? ago,)? has touched is",
            "Then what edp1's certificate certificate, stolen 1 hour ago, has touched is\n\
             | measurement | bound_to | {mc1.m} | after |",
            |world, given| {
                let stolen = Stolen::certificate(world, given).await?;
                compare(world, given, stolen).await
            }
        ),
        step!(
            Check,
            r"what (\w+)'s encryption key (\w+) has touched is",
            "Then what mc1's encryption key stolen has touched is\n\
             | measurement | bound_to | {mc1.m} |",
            |world, given| {
                let stolen = Stolen::key(world, given).await?;
                compare(world, given, stolen).await
            }
        ),
    ]
}

fn repairs() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"the repair plan of (\w+)'s certificate (\w+)(?:, stolen (\d+) (second|minute|hour|day)s? ago,)? is carried out",
            "When the repair plan of edp1's certificate certificate, stolen 1 hour ago, is carried out",
            |world, given| {
                let stolen = Stolen::certificate(world, given).await?;
                carry_out(world, given.text(0), stolen).await
            }
        ),
        step!(
            Action,
            r"the repair plan of (\w+)'s encryption key (\w+) is carried out",
            "When the repair plan of mc1's encryption key first is carried out",
            |world, given| {
                let stolen = Stolen::key(world, given).await?;
                carry_out(world, given.text(0), stolen).await
            }
        ),
        step!(
            Check,
            r"what is left to do about (\w+)'s certificate (\w+)(?:, stolen (\d+) (second|minute|hour|day)s? ago,)? is",
            "Then what is left to do about edp1's certificate certificate, stolen 1 hour ago, is\n\
             | mc1 | re_create | {mc1.m} |",
            |world, given| {
                let mut expected = Vec::new();
                for row in given.table(3)? {
                    let who = match row[0].as_str() {
                        "operator" => "operator".to_owned(),
                        actor => world.fill(&format!("{{{actor}}}"))?,
                    };
                    expected.push(format!("{who} has to {} {}", row[1], world.fill(&row[2])?));
                }
                let stolen = Stolen::certificate(world, given).await?;
                let what = format!("what is left to do about {}", stolen.what);
                let assessment = stolen.assess(world, given.text(0)).await?;
                // In the plan's order: what is done later stands on what is done before.
                let left: Vec<_> = assessment.plan.iter().map(Action::in_words).collect();
                world.check(check::list(what, &expected, &left).or(Cause::UnexpectedState))
            }
        ),
        step!(
            Check,
            r"nothing that (\w+)'s certificate (\w+)(?:, stolen (\d+) (second|minute|hour|day)s? ago,)? has touched is open",
            "Then nothing that edp1's certificate certificate, stolen 1 hour ago, has touched is open",
            |world, given| {
                let stolen = Stolen::certificate(world, given).await?;
                nothing_is_open(world, given.text(0), stolen, false).await
            }
        ),
        step!(
            Check,
            r"nothing that (\w+)'s encryption key (\w+) has touched is open",
            "Then nothing that mc1's encryption key first has touched is open",
            |world, given| {
                let stolen = Stolen::key(world, given).await?;
                let (owner, key) = (given.text(0), given.text(1));
                // Of a provider nothing but requisitions is encrypted to its key.
                if !world.fill(&format!("{{{owner}}}"))?.starts_with("measurementConsumers/") {
                    return nothing_is_open(world, owner, stolen, false).await;
                }
                // A label is no proof: whoever has the stolen key would try it on everything.
                let opened = world.event_groups_opened_by(owner, key).await?;
                nothing_is_open(world, owner, stolen, true).await?;
                let what = format!("event groups whose metadata {owner}'s key {key} opens");
                let check = check::list(what, &[], &opened).or(Cause::UnexpectedState);
                world.check(check)
            }
        ),
        step!(
            Check,
            r"(\w+) accepts the results of all that the repair created anew",
            "Then mc1 accepts the results of all that the repair created anew",
            |world, given| {
                let names: Vec<_> = world.cast.re_created.values().cloned().collect();
                if names.is_empty() {
                    let what = "no repair created anything anew";
                    let next = "let a repair plan be carried out that has something to create";
                    return Err(Problem::author(what, next).into());
                }
                let (mut expected, mut observed) = (Vec::new(), Vec::new());
                for name in names {
                    let called = world.called(&name).unwrap_or_default().to_owned();
                    let of = called.split_once('.').unwrap_or_default();
                    let read = participants::read(world, given.text(0), of).await?;
                    expected.push(format!("{called}: accepted"));
                    observed.push(format!("{called}: {read}"));
                }
                let check = check::list("results of what was created anew", &expected, &observed);
                world.check(check.or(Cause::MeasurementLost))
            }
        ),
    ]
}

/// What was stolen, and since when.
struct Stolen {
    subject: Subject,
    /// Of a key: the SHA-256 of its public key set.
    key: Option<String>,
    since: Option<Timestamp>,
    /// In words.
    what: String,
}

impl Stolen {
    /// Of owner, name and perhaps how long ago.
    async fn certificate(world: &mut World, given: &Arguments) -> Result<Self, Problem> {
        let (owner, name) = (given.text(0), given.text(1));
        world.kingdom().await?;
        let certificate = world.fill(&format!("{{{owner}.{name}}}"))?;
        let subject = Subject::certificate(&certificate)
            .map_err(|error| Problem::author(error.to_string(), "name a certificate"))?;
        let since = match given.text(2) {
            "" => None,
            _ => {
                let ago = duration(given.number(2)?, given.text(3))?;
                // The same words mean the same moment, however late they are said again.
                let called =
                    format!("{owner}.{name}_stolen_{}_{}_ago", given.text(2), given.text(3));
                let said = world.get(&called).ok().and_then(|said| match said {
                    Var::Text(text) => Timestamp::parse_rfc3339(text),
                    _ => None,
                });
                let since = said.unwrap_or_else(|| world.clock().now().minus(ago));
                world.set(called, Var::Text(since.to_string()));
                Some(since)
            }
        };
        Ok(Self { subject, key: None, since, what: format!("{owner}'s certificate {name}") })
    }

    /// Of owner and name.
    async fn key(world: &mut World, given: &Arguments) -> Result<Self, Problem> {
        let (owner, name) = (given.text(0), given.text(1));
        world.kingdom().await?;
        let key = world.fill(&format!("{{{owner}}}/publicKey"))?;
        let subject = Subject::public_key(&key)
            .map_err(|error| Problem::author(error.to_string(), "name an owner of a public key"))?;
        let keyset = bytes(world, &format!("{owner}.{name}_keyset"))?;
        let key = Some(hex::encode(Sha256::digest(&keyset)));
        Ok(Self { subject, key, since: None, what: format!("{owner}'s encryption key {name}") })
    }

    async fn assess(self, world: &mut World, owner: &str) -> Result<Assessment, Stop> {
        let own = self.own_keys(world, owner).await?;
        Ok(world.assess_impact(owner, self.subject, self.key, own, self.since).await?)
    }

    /// Of a certificate: the digests of the keys that its owner, as a reference participant, holds. What
    /// somebody else has published in its name is none of them.
    async fn own_keys(&self, world: &mut World, owner: &str) -> Result<BTreeSet<String>, Stop> {
        let kind = self.subject.owner_kind();
        if matches!(self.subject, Subject::PublicKey(_)) {
            return Ok(BTreeSet::new());
        }
        participants::act(world, async |stage, cast| {
            let keys = match kind {
                OwnerKind::Duchy | OwnerKind::ModelProvider => return Ok(BTreeSet::new()),
                OwnerKind::DataProvider => &cast.player(stage.0.sandbox(), owner)?.provider()?.keys,
                OwnerKind::MeasurementConsumer => {
                    &cast.player(stage.0.sandbox(), owner)?.consumer()?.keys
                }
            };
            Ok(keys.iter().map(digest).collect())
        })
        .await
    }
}

/// Everybody does what is theirs of the plan. What was `mc1.m` is created anew as `mc1.m_again`; the owner's
/// fresh certificate is called `repaired`, and its fresh encryption key too.
async fn carry_out(world: &mut World, owner: &str, stolen: Stolen) -> StepResult {
    let what = stolen.what.clone();
    let assessment = stolen.assess(world, owner).await?;
    let makes = |kind| assessment.plan.iter().any(|action| action.action == kind);
    let mut fresh = Fresh::default();
    if makes(ActionKind::CreateCertificate) {
        // Of a root that replaced a stolen one nobody but its owner issues.
        let newest = world.all_roots(owner).await?.pop();
        let root = newest.ok_or_else(|| Problem::harness(format!("{owner} has no root")))?;
        let leaf = authentication::issue(world, owner, &root)?;
        let key = SigningKey::from_pkcs8_der(leaf.key().pkcs8_der())
            .map_err(|error| Problem::harness(format!("a fresh key: {error}")))?;
        fresh.certificate = Some((leaf.certificate_der().to_vec(), key.into()));
        world.keep_leaf(owner, "repaired", leaf);
    }
    if makes(ActionKind::ReplacePublicKey) {
        let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
        let keyset = PrivateKeyset::generate(template, world.rng())
            .map_err(|error| Problem::harness(format!("a fresh key: {error}")))?;
        world.keep_key(&format!("{owner}.repaired_encryption"), Some(&keyset.to_binary()));
        let public = Var::Bytes(keyset.public().to_binary());
        world.set(format!("{owner}.repaired_keyset"), public);
        fresh.keyset = Some(keyset);
    }
    let mut operator = world.operator_channel().await?;
    let done = participants::act(world, async |stage, cast| {
        let sandbox = stage.0.sandbox();
        Ok(cast.repair(sandbox, &assessment, fresh, &mut operator, stage).await?)
    })
    .await?;
    world.changed(format!("the repair plan of {what} was carried out"));
    match done {
        Ok(done) => {
            if let Some(certificate) = done.certificate {
                world.set(format!("{owner}.repaired"), Var::Text(certificate));
            }
            for (n, (old, new)) in done.re_created.into_iter().enumerate() {
                let called = world.called(&old).map(|name| format!("{name}_again"));
                world.set(called.unwrap_or_else(|| format!("{owner}.again{n}")), Var::Text(new));
            }
            Ok(())
        }
        Err(why) => world.check(check::equal("the repair plan", "carried out", &why.to_string())),
    }
}

async fn nothing_is_open(
    world: &mut World,
    owner: &str,
    stolen: Stolen,
    was_tried: bool,
) -> StepResult {
    let assessment = stolen.assess(world, owner).await?;
    let check = repair::nothing_left(world.log.all(), &assessment, was_tried)?;
    world.check(check)
}

/// Compares the assessment with the table: kind, how, resource, and with a suspected time whether it
/// was before or after that.
async fn compare(world: &mut World, given: &Arguments, stolen: Stolen) -> StepResult {
    let (since, what) = (stolen.since, stolen.what.clone());
    let mut expected = Vec::new();
    for row in given.table(if since.is_some() { 4 } else { 3 })? {
        let resource = world.fill(&row[2])?;
        let when = row.get(3).map(|when| format!(" {when}")).unwrap_or_default();
        expected.push(format!("{} {} {resource}{when}", row[0], row[1]));
    }
    let assessment = stolen.assess(world, given.text(0)).await?;
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
