//! The Kingdom's replicas.

use super::{StepDefinition, step};
use crate::environment::ReplicaAction;
use crate::error::Problem;
use crate::verdict::check;
use crate::verdict::reading::REFUSED;
use crate::world::{StepResult, World};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"replica (\d+) is (stopped|started|restarted|drained|cut|reloaded)",
            "When replica 1 is restarted",
            |world, given| {
                let id = given.number(0)?;
                act(world, id, action(given.text(1))).await
            }
        ),
        step!(
            Action,
            r"all (\d+) replicas are (stopped|started|restarted|drained|cut|reloaded)",
            "When all 2 replicas are restarted",
            |world, given| {
                let named: u32 = given.number(0)?;
                world.kingdom().await?;
                if named != world.replicas() {
                    return Err(Problem::author(
                        format!("there are {} replicas, not {named}", world.replicas()),
                        "name all of them, or one by its number",
                    )
                    .into());
                }
                for id in 0..named {
                    act(world, id, action(given.text(1))).await?;
                }
                Ok(())
            }
        ),
        step!(
            Check,
            r"replica (\d+) does not (start|reload)",
            "Then replica 0 does not start",
            |world, given| {
                let id = given.number(0)?;
                let kingdom = world.kingdom().await?;
                let outcome = if given.text(1) == "start" {
                    let _ = kingdom.act_on_replica(id, ReplicaAction::Stop).await?;
                    kingdom.act_on_replica(id, ReplicaAction::Start).await?
                } else {
                    kingdom.act_on_replica(id, ReplicaAction::Reload).await?
                };
                let observed = if outcome.is_err() { REFUSED } else { "accepted" };
                world.changed(format!("replica {id}: {}", given.text(1)));
                let what = format!("{} of replica {id}", given.text(1));
                let check = check::equal(what, REFUSED, observed);
                world.check(check.or(fake_kingdom::cause::Cause::FailureNotSeen))
            }
        ),
    ]
}

/// Acts on a replica, which must not refuse.
async fn act(world: &mut World, id: u32, action: ReplicaAction) -> StepResult {
    let outcome = world.kingdom().await?.act_on_replica(id, action).await?;
    world.changed(format!("replica {id}: {action:?}"));
    match outcome {
        Ok(()) => Ok(()),
        Err(why) => world.check(check::equal(format!("replica {id}"), "accepted", &why)),
    }
}

pub(super) fn action(word: &str) -> ReplicaAction {
    match word {
        "stopped" => ReplicaAction::Stop,
        "started" => ReplicaAction::Start,
        "drained" => ReplicaAction::Drain,
        "cut" => ReplicaAction::Cut,
        "reloaded" => ReplicaAction::Reload,
        _ => ReplicaAction::Restart,
    }
}
