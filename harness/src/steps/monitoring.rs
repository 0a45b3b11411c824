//! What a monitor over servers and participants saw of a whole scenario.

use super::{StepDefinition, step};
use crate::error::Problem;
use crate::verdict::monitor::{self, Sighting};
use crate::world::World;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"the monitor saw exactly",
            "Then the monitor saw exactly\n\
             | edp1 | unknown_issuer | 2.1 |",
            |world, given| {
                let rows = given.table(3)?;
                let expected: Vec<_> =
                    rows.iter().map(|row| [0, 1, 2].map(|cell| row[cell].clone())).collect();
                let seen = sightings(world)?;
                world.check(monitor::saw_exactly(&expected, &seen))
            }
        ),
        step!(
            Check,
            r"the monitor saw nothing",
            "Then the monitor saw nothing",
            |world, _given| {
                let seen = sightings(world)?;
                world.check(monitor::saw_exactly(&[], &seen))
            }
        ),
    ]
}

fn sightings(world: &mut World) -> Result<Vec<Sighting>, Problem> {
    world.look();
    let events = world.running()?.events(0)?;
    if events.is_empty() {
        let what = "nothing was called, so that there was nothing to see";
        return Err(Problem::author(what, "let somebody act first"));
    }
    let called = |resource: &str| world.called(resource).map(str::to_owned);
    Ok(monitor::sightings(&events, world.log.all(), &called))
}
