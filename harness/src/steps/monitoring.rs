//! What a monitor over servers, callers and participants saw of a whole scenario.
//!
//! It sees what a server refused, at its door or later; a call of the scenario that broke where no server
//! refused it, such as one to a server that is not there; what a reference participant refused, rejected
//! or ended over; and a measurement that a revocation failed, as soon as a call of the scenario has read
//! it (`CERTIFICATE_REVOKED` by 1.6.3, once for each reader). What nobody has looked at was seen by nobody.
//! Of probes it sees what servers refused; what they met elsewhere is for the steps about probes.

use super::{StepDefinition, step};
use crate::error::Problem;
use crate::verdict::monitor::{self, Read, Sighting};
use crate::world::World;
use kingdom_proto::v2alpha as pb;
use prost::Message as _;

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

/// All that a monitor has seen so far.
pub(super) fn sightings(world: &mut World) -> Result<Vec<Sighting>, Problem> {
    world.look();
    let events = world.running()?.events(0)?;
    if events.is_empty() {
        let what = "nothing was called, so that there was nothing to see";
        return Err(Problem::author(what, "let somebody act first"));
    }
    let called = |resource: &str| world.called(resource).map(str::to_owned);
    Ok(monitor::sightings(&events, world.log.all(), &reads(world), &called))
}

/// The measurements that calls of the scenario were answered with.
fn reads(world: &World) -> Vec<Read> {
    let mut reads = Vec::new();
    for call in world.past_calls("api.v2alpha.Measurements.GetMeasurement") {
        if let Ok(measurement) = pb::Measurement::decode(call.response.as_slice()) {
            let event = call.event.as_ref().map(|event| event.seq);
            reads.push(Read { actor: call.actor.clone(), measurement, event });
        }
    }
    for call in world.past_calls("api.v2alpha.Measurements.ListMeasurements") {
        let Ok(page) = pb::ListMeasurementsResponse::decode(call.response.as_slice()) else {
            continue;
        };
        let event = call.event.as_ref().map(|event| event.seq);
        let actor = call.actor.clone();
        reads.extend(page.measurements.into_iter().map(|measurement| Read {
            actor: actor.clone(),
            measurement,
            event,
        }));
    }
    reads
}
