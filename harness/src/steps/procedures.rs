//! Procedures: phases, gates, the way back.

use super::{StepDefinition, step};
use crate::error::Problem;
use crate::procedure::Phase;
use crate::procedure::orders::by_the_rule;
use crate::verdict::{check, trust};
use crate::world::{NotDone, Scope, StepResult, World};
use fake_kingdom::cause::Cause;
use std::time::Duration;

pub(super) fn steps() -> Vec<StepDefinition> {
    let mut steps = actions();
    steps.extend(checks());
    steps
}

fn actions() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"a procedure rotates (the Kingdom|\w+)'s (leaf|root), with the peers? (\w+)(?:, (\w+))?(?: and (\w+))?",
            "Given a procedure rotates the Kingdom's leaf, with the peers edp1 and mc1",
            |world, given| {
                let holder = Some(given.text(0)).filter(|holder| *holder != "the Kingdom");
                let scope = if given.text(1) == "leaf" { Scope::Leaf } else { Scope::Root };
                let peers = [2, 3, 4].map(|i| given.text(i).to_owned());
                let peers = peers.into_iter().filter(|peer| !peer.is_empty()).collect();
                Ok(world.start_rotation(holder, scope, peers).await?)
            }
        ),
        step!(
            Action,
            r"the phase (\w+) is done",
            "When the phase prepare is done",
            |world, given| { do_phase(world, phase(given.text(0))?, false).await }
        ),
        step!(
            Action,
            r"the phases up to (\w+) are done",
            "When the phases up to distribute are done",
            |world, given| {
                let last = phase(given.text(0))?;
                let done = world.phases_done()?;
                for next in Phase::ALL.into_iter().filter(|p| *p <= last && !done.contains(p)) {
                    do_phase(world, next, false).await?;
                }
                Ok(())
            }
        ),
        step!(
            Action,
            r"the phase (\w+) is forced",
            "When the phase switch is forced",
            |world, given| { do_phase(world, phase(given.text(0))?, true).await }
        ),
        step!(
            Action,
            r"(replica \d+|\w+) lags behind",
            "When replica 1 lags behind",
            |world, given| { Ok(world.lag(given.text(0))?) }
        ),
        step!(
            Action,
            r"(replica \d+|\w+) catches up",
            "When replica 1 catches up",
            |world, given| {
                let outcome = world.catch_up(given.text(0)).await?;
                must(world, given.text(0), outcome)
            }
        ),
        step!(
            Action,
            r"(\w+)'s root goes through every order of bundle, map and leaf",
            "When edp1's root goes through every order of bundle, map and leaf",
            |world, given| {
                world.tried_orders = world.try_all_orders(given.text(0)).await?;
                Ok(())
            }
        ),
        step!(
            Action,
            r"the procedure is aborted",
            "When the procedure is aborted",
            |world, _given| { Ok(world.abort_rotation()?) }
        ),
        step!(
            Action,
            r"the procedure is rolled back",
            "When the procedure is rolled back",
            |world, _given| {
                let outcome = world.roll_back().await?;
                must(world, "way back", outcome)
            }
        ),
    ]
}

fn checks() -> Vec<StepDefinition> {
    vec![
        step!(
            Check,
            r"every server and caller trusts what it did before the procedure",
            "Then every server and caller trusts what it did before the procedure",
            |world, _given| {
                let (before, now) = world.trust().await?;
                world.check(trust::is_as_before(&before, &now))
            }
        ),
        step!(
            Check,
            r"no server or caller trusts the root that the procedure replaced",
            "Then no server or caller trusts the root that the procedure replaced",
            |world, _given| {
                let old = world.old_root()?;
                let (_, now) = world.trust().await?;
                world.check(trust::is_gone(&old, &now))
            }
        ),
        step!(
            Check,
            r"the replicas mount a Secret of another name",
            "Then the replicas mount a Secret of another name",
            |world, _given| {
                let (first, now) = world.running()?.secret_names().ok_or_else(|| {
                    let next =
                        "begin with `Given the Kingdom's Secret is made by the kustomization`";
                    Problem::author("no kustomization makes the Secret", next)
                })?;
                let of = |id: u32| now.get(&id).unwrap_or(&first);
                let late: Vec<_> = (0..world.replicas())
                    .filter(|id| *of(*id) == first)
                    .map(|id| format!("replica {id}: {first}, as before"))
                    .collect();
                let observed = if late.is_empty() { "another".to_owned() } else { late.join(", ") };
                let check = check::equal("the Secret's name", "another", &observed);
                world.check(check.or(Cause::NoChangeObserved))
            }
        ),
        step!(
            Check,
            r"each of the (\d+) orders cuts off whom the rule says, and (\d+) cut off nobody",
            "Then each of the 30 orders cuts off whom the rule says, and 4 cut off nobody",
            |world, given| {
                let tried = &world.tried_orders;
                if tried.is_empty() {
                    let what = "no order was tried";
                    let next = "put `When edp1's root goes through every order ...` in front";
                    return Err(Problem::author(what, next).into());
                }
                let other: Vec<_> =
                    tried.iter().filter(|one| **one != by_the_rule(one.order)).collect();
                let working = tried.iter().filter(|one| one.works()).count();
                let differences: Vec<_> = other.iter().map(|one| one.shown()).collect();
                let observed = format!(
                    "{} orders, {working} cut off nobody; against the rule: {}",
                    tried.len(),
                    if differences.is_empty() { "none".into() } else { differences.join("; ") }
                );
                let expected = format!(
                    "{} orders, {} cut off nobody; against the rule: none",
                    given.text(0),
                    given.text(1)
                );
                // Which way it differs: somebody was cut off, or was not.
                let worse = other.iter().any(|one| {
                    let rule = by_the_rule(one.order);
                    one.seen
                        .iter()
                        .zip(&rule.seen)
                        .any(|(seen, rule)| seen.is_some() && rule.is_none())
                });
                let check = check::equal("orders of a root's switches", &expected, &observed);
                world.check(if worse { check } else { check.or(Cause::FailureNotSeen) })
            }
        ),
        step!(
            Either,
            r"the gate of (\w+) opens within (\d+) ms",
            "Then the gate of switch opens within 1000 ms",
            |world, given| {
                let phase = phase(given.text(0))?;
                let patience = Duration::from_millis(given.number(1)?);
                let gate = world.gate_within(phase, patience).await?;
                let observed = if gate.is_open() { "open".to_owned() } else { gate.to_string() };
                let check = check::equal(format!("gate of {phase}"), "open", &observed);
                world.check(check.or(Cause::GateShut))
            }
        ),
        step!(
            Either,
            r#"the gate of (\w+) stays shut for (\d+) ms because "([^"]+)""#,
            "Then the gate of switch stays shut for 300 ms because \"mc1 has not been seen to trust the new root\"",
            |world, given| {
                let phase = phase(given.text(0))?;
                let patience = Duration::from_millis(given.number(1)?);
                let gate = world.gate_within(phase, patience).await?;
                let what = format!("gate of {phase}");
                let expected = format!("shut: {}", given.text(2));
                let check = check::equal(what, &expected, &gate.to_string());
                world.check(check.or(Cause::GateOpen))
            }
        ),
        step!(
            Either,
            r#"the phase (\w+) is refused because "([^"]+)""#,
            "Then the phase switch is refused because \"distribute is not done\"",
            |world, given| {
                let phase = phase(given.text(0))?;
                let observed = match world.do_phase(phase, false).await? {
                    Ok(()) => format!("{phase} is done"),
                    Err(not_done) => not_done.why,
                };
                let expected = format!("{phase} is refused: {}", given.text(1));
                let check = check::equal(format!("phase {phase}"), &expected, &observed);
                world.check(check.or(Cause::PhaseOutOfOrder))
            }
        ),
        step!(
            Check,
            r"the phases that are done are (none|\w+(?:, \w+)*)",
            "Then the phases that are done are prepare, distribute",
            |world, given| {
                let done: Vec<_> = world.phases_done()?.into_iter().map(Phase::name).collect();
                let observed = if done.is_empty() { "none".to_owned() } else { done.join(", ") };
                let check = check::equal("phases that are done", given.text(0), &observed);
                world.check(check.or(Cause::PhaseOutOfOrder))
            }
        ),
    ]
}

async fn do_phase(world: &mut World, phase: Phase, force: bool) -> StepResult {
    let outcome = world.do_phase(phase, force).await?;
    must(world, &format!("phase {phase}"), outcome)
}

/// What the scenario builds on: it has to be done.
fn must(world: &mut World, what: &str, outcome: Result<(), NotDone>) -> StepResult {
    let Err(NotDone { cause, why }) = outcome else { return Ok(()) };
    let check = check::equal(what, "done", &why);
    world.check(match cause {
        Some(cause) => check.or(cause),
        None => check,
    })
}

fn phase(text: &str) -> Result<Phase, Problem> {
    text.parse().map_err(|error: crate::procedure::UnknownPhase| {
        Problem::author(error.to_string(), "correct its name")
    })
}
