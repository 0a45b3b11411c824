//! What an operator does on the data server.

use super::{StepDefinition, step};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![step!(
        Action,
        r"operator calls Measurements\.(BatchDeleteMeasurements|BatchCancelMeasurements) with (\d+) requests",
        "When operator calls Measurements.BatchCancelMeasurements with 1001 requests",
        |world, given| {
            let request =
                "requests { external_measurement_consumer_id: 1 external_measurement_id: 1 } ";
            let text = request.repeat(given.number(1)?);
            let method = format!("Measurements.{}", given.text(0));
            Ok(world.call(crate::world::OPERATOR, &method, &text, None).await?)
        }
    )]
}
