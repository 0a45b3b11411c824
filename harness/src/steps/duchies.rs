//! The Duchies' own servers for providers (contract 1.7.14, 1.7.15, 5.10).

use super::{StepDefinition, authentication, replicas, step};
use crate::environment::{ReplicaAction, Target};
use crate::error::Problem;
use crate::verdict::check;
use crate::world::trust_files::without_any;
use crate::world::{StepResult, World};
use fake_kingdom::files::Role;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) calls ([\w.]+) at (\w+|\{[\w.]+\}) with",
            "When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with\n\
             \"\"\"\n\
             header { name: \"{edp1.m_requisition}\" }\n\
             \"\"\"",
            |world, given| {
                world.kingdom().await?;
                let duchy = Some(Target::Duchy(world.fill(given.text(2))?));
                Ok(world.call(given.text(0), given.text(1), given.doc()?, duchy).await?)
            }
        ),
        step!(
            Action,
            r"(\w+)'s server is (stopped|started|restarted|drained|cut|reloaded)",
            "When worker1's server is restarted",
            |world, given| {
                let (duchy, action) = (given.text(0), replicas::action(given.text(1)));
                let outcome = world.kingdom().await?.act_on_duchy(duchy, action).await?;
                world.changed(format!("{duchy}'s server: {action:?}"));
                match outcome {
                    Ok(()) => Ok(()),
                    Err(why) => {
                        world.check(check::equal(format!("{duchy}'s server"), "accepted", &why))
                    }
                }
            }
        ),
        step!(
            Check,
            r"(\w+)'s server does not start",
            "Then worker1's server does not start",
            |world, given| {
                let duchy = given.text(0);
                let kingdom = world.kingdom().await?;
                let _ = kingdom.act_on_duchy(duchy, ReplicaAction::Stop).await?;
                let outcome = kingdom.act_on_duchy(duchy, ReplicaAction::Start).await?;
                let observed = if outcome.is_err() { "refused" } else { "accepted" };
                let what = format!("start of {duchy}'s server");
                world.changed(what.clone());
                world.check(check::equal(what, "refused", observed))
            }
        ),
        step!(
            Action,
            r"the principal map of (\w+) is",
            "When the principal map of worker1 is\n\
             \"\"\"\n\
             entries { authority_key_identifier: \"{edp1.akid}\" principal_resource_name: \"{edp1}\" }\n\
             \"\"\"",
            |world, given| {
                world.kingdom().await?;
                let text = world.fill_text_proto(given.doc()?)?;
                set(world, given.text(0), Role::PrincipalMap, text.into_bytes()).await
            }
        ),
        step!(
            Action,
            r"the principal map of (\w+) knows (\w+)'s new root",
            "When the principal map of worker1 knows edp1's new root",
            |world, given| {
                let entry = authentication::entry_of_new_root(world, given.text(1))?;
                append(world, given.text(0), Role::PrincipalMap, entry.as_bytes()).await
            }
        ),
        step!(
            Action,
            r"the principal map of (\w+) gains",
            "When the principal map of worker1 gains\n\
             \"\"\"\n\
             entries { authority_key_identifier: \"{edp1.akid}\" principal_resource_name: \"{edp1}\" }\n\
             \"\"\"",
            |world, given| {
                world.kingdom().await?;
                let text = world.fill_text_proto(given.doc()?)?;
                append(world, given.text(0), Role::PrincipalMap, text.as_bytes()).await
            }
        ),
        step!(
            Action,
            r"the trust bundle of (\w+) includes (\w+)'s new root",
            "When the trust bundle of worker1 includes edp1's new root",
            |world, given| {
                let pem = world.new_root(given.text(1))?.certificate_pem();
                append(world, given.text(0), Role::CertCollection, pem.as_bytes()).await
            }
        ),
        step!(
            Action,
            r"the trust bundle of (\w+) no longer includes (\w+)'s root",
            "When the trust bundle of worker1 no longer includes edp1's root",
            |world, given| {
                let gone = world.old_roots(given.text(1)).await?;
                let duchy = given.text(0);
                let bundle =
                    world.running()?.duchy_file(duchy, Role::CertCollection).unwrap_or_default();
                let bundle = without_any(&bundle, given.text(1), &gone)?;
                set(world, duchy, Role::CertCollection, bundle).await
            }
        ),
        step!(
            Check,
            r#"(\w+) has stored a body of (\d+) bytes for "([^"]*)""#,
            "Then worker1 has stored a body of 5 bytes for \"{requisition}\"",
            |world, given| {
                let observed = stored(world, given.text(0), given.text(2))?;
                world.check(check::equal("bytes stored", given.text(1), &observed))
            }
        ),
        step!(
            Check,
            r#"(\w+) has stored nothing for "([^"]*)""#,
            "Then worker1 has stored nothing for \"{requisition}\"",
            |world, given| {
                let observed = stored(world, given.text(0), given.text(1))?;
                world.check(check::equal("bytes stored", "none", &observed))
            }
        ),
    ]
}

/// How many bytes a Duchy has recorded for a requisition, or `none`.
fn stored(world: &World, duchy: &str, requisition: &str) -> Result<String, Problem> {
    let requisition = world.fill(requisition)?;
    let fulfilments = world.running()?.fulfilments(duchy)?;
    let found = fulfilments.iter().find(|fulfilment| fulfilment.requisition == requisition);
    Ok(found.map_or("none".to_owned(), |fulfilment| fulfilment.body_bytes.to_string()))
}

async fn set(world: &mut World, duchy: &str, role: Role, content: Vec<u8>) -> StepResult {
    world.kingdom().await?;
    world.put_duchy_file(duchy, role, content)?;
    world.changed(format!("{duchy}'s file of {}", role.flag()));
    Ok(())
}

async fn append(world: &mut World, duchy: &str, role: Role, more: &[u8]) -> StepResult {
    let mut content = world.kingdom().await?.duchy_file(duchy, role).unwrap_or_default();
    content.extend_from_slice(b"\n");
    content.extend_from_slice(more);
    set(world, duchy, role, content).await
}
