//! The scenario's clock.

use super::{StepDefinition, step};
use crate::error::Problem;
use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)];

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"the clock moves forward by (\d+) (second|minute|hour|day)s?",
            "When the clock moves forward by 400 days",
            |world, given| {
                let by = duration(given.number(0)?, given.text(1))?;
                Ok(world.advance(by).await?)
            }
        ),
        step!(
            Action,
            r"the probes are over for (\d+) ms",
            "When the probes are over for 600 ms",
            |world, given| {
                let millis = given.number(0)?;
                world.kingdom().await?;
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }
        ),
        step!(Action, r"(\d+) seconds? pass(?:es)?", "When 2 seconds pass", |world, given| {
            let seconds = given.number(0)?;
            world.kingdom().await?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            world.changed(format!("{seconds} s passed"));
            Ok(())
        }),
    ]
}

pub(super) fn duration(count: u64, unit: &str) -> Result<Duration, Problem> {
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, seconds)| count.checked_mul(*seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| Problem::author(format!("{count} {unit}s is too long"), "choose less"))
}
