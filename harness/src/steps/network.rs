//! The network between a caller and the servers, and clocks that are wrong.

use super::{StepDefinition, step, time};
use crate::client::Direction;
use std::time::Duration;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"messages of (\w+) take (\d+) ms each way",
            "Given messages of edp1 take 40 ms each way",
            |world, given| {
                let latency = Duration::from_millis(given.number(1)?);
                world.link(given.text(0)).await?.set_latency(latency);
                world.changed(format!("messages of {} take {latency:?} each way", given.text(0)));
                Ok(())
            }
        ),
        step!(
            Action,
            r"what (\w+) (sends|is sent) does not arrive",
            "When what edp1 is sent does not arrive",
            |world, given| {
                let direction = match given.text(1) {
                    "sends" => Direction::ToServer,
                    _ => Direction::ToClient,
                };
                world.link(given.text(0)).await?.take_down(direction);
                world.changed(format!("what {} {} does not arrive", given.text(0), given.text(1)));
                Ok(())
            }
        ),
        step!(
            Action,
            r"(\w+) is sent at most (\d+) bytes a second",
            "Given edp1 is sent at most 1000 bytes a second",
            |world, given| {
                let rate = given.number(1)?;
                world.link(given.text(0)).await?.slow_down(rate);
                world.changed(format!("{} is sent at most {rate} bytes a second", given.text(0)));
                Ok(())
            }
        ),
        step!(
            Action,
            r"the open connections of (\w+) are lost",
            "When the open connections of edp1 are lost",
            |world, given| {
                world.link(given.text(0)).await?.lose_connections();
                world.changed(format!("the open connections of {} are lost", given.text(0)));
                Ok(())
            }
        ),
        step!(
            Action,
            r"the network of (\w+) works again",
            "When the network of edp1 works again",
            |world, given| {
                world.link(given.text(0)).await?.mend();
                world.changed(format!("the network of {} works again", given.text(0)));
                Ok(())
            }
        ),
        step!(
            Action,
            r"the clock of (\w+) is (\d+) (second|minute|hour|day)s? (ahead|behind)",
            "Given the clock of mc1 is 2 days behind",
            |world, given| {
                let by = time::duration(given.number(1)?, given.text(2))?;
                world.skew(given.text(0), by, given.text(3) == "ahead").await?;
                Ok(())
            }
        ),
    ]
}
