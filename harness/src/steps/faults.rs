//! Faults that the fake injects on purpose.

use super::{Arguments, StepDefinition, step};
use crate::client::dynamic;
use crate::error::Problem;
use crate::verdict::check;
use crate::world::{StepResult, World};
use fake_kingdom::fault::{Action, CutPoint, FaultRule, Target};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"the next (\d+) calls? of ([\w.]+) (?:fails|fail) with ([A-Z_]+)",
            "Given the next 2 calls of GetCertificate fail with UNAVAILABLE",
            |world, given| {
                let name = serde_json::Value::String(given.text(2).to_owned());
                let status = serde_json::from_value(name).map_err(|_| {
                    let what = format!("{} is no gRPC error code", given.text(2));
                    Problem::author(what, "correct it")
                })?;
                add(world, given, Action::Status(status)).await
            }
        ),
        step!(
            Action,
            r"the next (\d+) calls? of ([\w.]+) (?:is|are) held for (\d+) ms",
            "Given the next 1 call of GetCertificate is held for 200 ms",
            |world, given| {
                let millis = given.number(2)?;
                add(world, given, Action::DelayMs(millis)).await
            }
        ),
        step!(
            Action,
            r"the connection is cut (before|after) the next (\d+) calls? of ([\w.]+)(?: by (\w+))?",
            "Given the connection is cut after the next 1 call of CreateCertificate",
            |world, given| {
                let point =
                    if given.text(0) == "before" { CutPoint::Before } else { CutPoint::After };
                let mut rule = rule(given.number(1)?, given.text(2), Action::Cut(point))?;
                world.kingdom().await?;
                if !given.text(3).is_empty() {
                    rule.target.principal = Some(world.fill(&format!("{{{}}}", given.text(3)))?);
                }
                world.running()?.add_fault(rule);
                world.changed("a fault rule");
                Ok(())
            }
        ),
        step!(
            Check,
            r"the faults fired (\d+) times?",
            "Then the faults fired 2 times",
            |world, given| {
                // Before any call nothing could have fired.
                world.last()?;
                let fired: u64 = world.running()?.faults().iter().map(|rule| rule.fired).sum();
                let fired = fired.to_string();
                world.check(check::equal("faults fired", given.text(0), &fired))
            }
        ),
    ]
}

async fn add(world: &mut World, given: &Arguments, action: Action) -> StepResult {
    let rule = rule(given.number(0)?, given.text(1), action)?;
    world.kingdom().await?.add_fault(rule);
    world.changed("a fault rule");
    Ok(())
}

fn rule(count: u64, method: &str, action: Action) -> Result<FaultRule, Problem> {
    if !dynamic::method_exists(method) {
        return Err(Problem::author(
            format!("no service has a method `{method}`, so the fault would never fire"),
            "write it as `GetCertificate` or `Certificates.GetCertificate`",
        ));
    }
    let method = Some(method.replace('.', "/"));
    Ok(FaultRule {
        target: Target { method, ..Target::default() },
        action,
        count: Some(count),
        skip: 0,
    })
}
