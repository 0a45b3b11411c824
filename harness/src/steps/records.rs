//! What the Kingdom keeps of what happened: its audit trail and its alerts.

use super::{StepDefinition, step};
use crate::error::Problem;
use crate::verdict::{check, monitor};
use crate::world::World;
use fake_kingdom::audit::{self, Entry};
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Mutation;

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"an audit entry says that (\w+) did (\w+)",
            "When an audit entry says that edp1 did rotation_phase",
            |world, given| {
                let entry = Mutation {
                    action: given.text(1).to_owned().into(),
                    subject: "by hand".to_owned(),
                    before: None,
                    after: None,
                };
                world.kingdom().await?.append_audit(given.text(0), entry)?;
                world.changed("the audit trail");
                Ok(())
            }
        ),
        step!(
            Check,
            r"the audit trail ends with",
            "Then the audit trail ends with\n\
             | action | revoke |",
            |world, given| {
                let rows = given.table(2)?.to_vec();
                let last = entries(world)?.pop();
                for row in &rows {
                    let expected = world.fill(&row[1])?;
                    let observed = match &last {
                        Some(entry) => field(entry, &row[0])?,
                        None => "no entry".to_owned(),
                    };
                    let what = format!("{} of the last audit entry", row[0]);
                    world.check(check::equal(what, &expected, &observed))?;
                }
                Ok(())
            }
        ),
        step!(
            Check,
            r#"the audit trail has (\d+) entr(?:y|ies) with action "([^"]+)""#,
            "Then the audit trail has 1 entry with action \"revoke\"",
            |world, given| {
                let entries = entries(world)?;
                let of_action = entries.iter().filter(|entry| entry.action == given.text(1));
                let observed = of_action.count().to_string();
                let what = format!("audit entries with action {}", given.text(1));
                let check = check::equal(what, given.text(0), &observed);
                world.check(check.or(Cause::AuditMismatch))
            }
        ),
        step!(
            Check,
            r#"the audit trail verifies against (?:its own head|the head "([^"]+)")"#,
            "Then the audit trail verifies against its own head",
            |world, given| {
                world.acted()?;
                let own = world.running()?.audit_head();
                let head = match given.text(0) {
                    "" => own,
                    text => world.fill(text)?.parse().map_err(|error: audit::BadHead| {
                        Problem::author(error.to_string(), "correct the head")
                    })?,
                };
                let lines = world.running()?.audit_lines()?;
                let verified = audit::verify(lines.iter().map(String::as_str), Some(&head));
                let observed = match verified {
                    Ok(_) => "whole".to_owned(),
                    Err(broken) => format!("broken: {broken}"),
                };
                world.check(check::equal("audit trail", "whole", &observed))
            }
        ),
        step!(Check, r"an alert was raised", "Then an alert was raised", |world, _given| {
            let observed = alert_of_the_last(world)?;
            world.check(check::equal("alert", "raised", observed).or(Cause::FailureNotSeen))
        }),
        step!(Check, r"no alert was raised", "Then no alert was raised", |world, _given| {
            if world.log.probes().is_none() {
                world.last()?;
            }
            let observed = if world.running()?.has_alerts() { "raised" } else { "none" };
            world.check(check::equal("alert", "none", observed))
        }),
    ]
}

fn entries(world: &World) -> Result<Vec<Entry>, Problem> {
    // Before any call the trail holds the sandbox alone: that proves nothing of the scenario.
    world.acted()?;
    let lines = world.running()?.audit_lines()?;
    lines
        .iter()
        .map(|line| serde_json::from_str(line).map_err(|error| Problem::harness(error.to_string())))
        .collect()
}

fn field(entry: &Entry, name: &str) -> Result<String, Problem> {
    let none = || "none".to_owned();
    Ok(match name {
        "actor" => entry.actor.clone(),
        "action" => entry.action.clone(),
        "subject" => entry.subject.clone(),
        "before" => entry.before.clone().unwrap_or_else(none),
        "after" => entry.after.clone().unwrap_or_else(none),
        other => {
            return Err(Problem::author(
                format!("an audit entry has no `{other}` to compare"),
                "name actor, action, subject, before or after",
            ));
        }
    })
}

/// Whether the failures that the last action caused raised an alert: those of the last call's actor for its
/// cause, or of the probes if they ended after it. Somebody else's alert, or one from before, is none.
///
/// The monitor raises an alert together with the event that fills its window, so that what was not raised
/// by the end of the last call is not raised at all.
fn alert_of_the_last(world: &World) -> Result<&'static str, Problem> {
    if world.log.probes().is_none() {
        world.last()?;
    }
    let events = world.running()?.events(0)?;
    let settings = world.alert_settings();
    let raised =
        monitor::raised_by_the_last(world.log.all(), &events, settings.threshold, settings.window);
    Ok(if raised { "raised" } else { "none" })
}
