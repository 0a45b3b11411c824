//! Event groups and the descriptors of their metadata.

use super::certificates::must;
use super::{StepDefinition, step};
use crate::client::dynamic::{self, At};
use crate::error::Problem;
use crate::verdict::check;
use crate::world::{StepResult, Var, World};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"(\w+) has an event group called (\w+) for (\w+)",
            "Given edp1 has an event group called g for mc1",
            |world, given| {
                have(world, [given.text(0), given.text(1), given.text(2)], &[]).await
            }
        ),
        step!(
            Action,
            r"(\w+) has an event group called (\w+) for (\w+), where",
            "Given edp1 has an event group called g for mc1, where\n\
             | event_group.event_group_reference_id | \"one\" |",
            |world, given| {
                let changes = given.table(2)?;
                have(world, [given.text(0), given.text(1), given.text(2)], changes).await
            }
        ),
        step!(
            Action,
            r"(\w+) has deleted its event group (\w+)",
            "Given edp1 has deleted its event group g",
            |world, given| {
                let text = format!("name: \"{{{}.{}}}\"", given.text(0), given.text(1));
                must(world, given.text(0), "EventGroups.DeleteEventGroup", &text).await
            }
        ),
        step!(
            Action,
            r#"(\w+) has a metadata descriptor called (\w+) of the message type ([\w.]+)"#,
            "Given edp1 has a metadata descriptor called d of the message type example.Metadata",
            |world, given| {
                let (provider, name) = (given.text(0), given.text(1));
                let (package, message) = given.text(2).rsplit_once('.').unwrap_or_default();
                let text = format!(
                    "parent: \"{{{provider}}}\" event_group_metadata_descriptor {{ descriptor_set \
                     {{ file {{ name: \"{name}.proto\" package: \"{package}\" syntax: \"proto3\" \
                     message_type {{ name: \"{message}\" }} }} }} }}"
                );
                let method = "EventGroupMetadataDescriptors.CreateEventGroupMetadataDescriptor";
                must(world, provider, method, &text).await?;
                keep_name(world, &format!("{provider}.{name}"))
            }
        ),
        step!(
            Action,
            r"(\w+) creates (\d+) event groups for (\w+) in one batch",
            "When edp1 creates 51 event groups for mc1 in one batch",
            |world, given| {
                let child = format!(
                    "requests {{ event_group {{ measurement_consumer: \"{{{}}}\" }} }} ",
                    given.text(2)
                );
                let children = child.repeat(given.number(1)?);
                let text = format!("parent: \"{{{}}}\" {children}", given.text(0));
                let method = "EventGroups.BatchCreateEventGroups";
                Ok(world.call(given.text(0), method, &text, None).await?)
            }
        ),
        step!(
            Check,
            r"(\w+) sees its event group (\w+) in state ([A-Z_]+)",
            "Then edp1 sees its event group g in state DELETED",
            |world, given| {
                let text = format!("name: \"{{{}.{}}}\"", given.text(0), given.text(1));
                must(world, given.text(0), "EventGroups.GetEventGroup", &text).await?;
                let response = world.response()?;
                let At::One(state) = dynamic::at(&response, "state").map_err(Problem::harness)?
                else {
                    return Err(Problem::harness("state is a list").into());
                };
                world.check(check::equal("state", given.text(2), &state))
            }
        ),
    ]
}

/// Creates an event group; `{edp1.g}` is its name, `{edp1.g_id}` its id.
async fn have(
    world: &mut World,
    [provider, name, consumer]: [&str; 3],
    changes: &[Vec<String>],
) -> StepResult {
    let text = format!(
        "parent: \"{{{provider}}}\" event_group {{ measurement_consumer: \"{{{consumer}}}\" \
         event_group_reference_id: \"{name}\" }}"
    );
    world.call_changed(provider, "EventGroups.CreateEventGroup", &text, changes).await?;
    let check = check::status(super::calls::last_outcome(world)?, "OK", None);
    world.check(check)?;
    keep_name(world, &format!("{provider}.{name}"))
}

fn keep_name(world: &mut World, variable: &str) -> StepResult {
    let created = world.response()?;
    let At::One(name) = dynamic::at(&created, "name").map_err(Problem::harness)? else {
        return Err(Problem::harness("a name that is a list").into());
    };
    let id = name.rsplit('/').next().unwrap_or_default().to_owned();
    world.set(format!("{variable}_id"), Var::Text(id));
    world.set(variable, Var::Text(name));
    Ok(())
}
