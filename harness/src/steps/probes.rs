//! Probes that go on while a scenario changes certificates, and what they must or must not notice.

use super::{Arguments, StepDefinition, step};
use crate::client::code_name;
use crate::error::{Owner, Problem};
use crate::nearest;
use crate::observation::Fact;
use crate::probe::schedule::RATE_PER_SECOND_MAX;
use crate::probe::{Density, Lane, Probe, Run};
use crate::verdict::outage::{self, Until, Window};
use crate::verdict::{availability, check, credentials, monitor};
use crate::world::{StepResult, Var, World};
use fake_kingdom::cause::Cause;
use fake_kingdom::event::AlertSettings;
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
            r"probes call the Kingdom as (\w+)(?:, (\w+))?(?: and (\w+))?",
            "Given probes call the Kingdom as edp1 and mc1",
            |world, given| {
                start(world, &[0, 1, 2].map(|i| given.text(i)), Density::default()).await
            }
        ),
        step!(
            Action,
            r"probes call the Kingdom (\d+) times a second as (\w+)(?:, (\w+))?(?: and (\w+))?",
            "Given probes call the Kingdom 100 times a second as edp1",
            |world, given| {
                let rate_per_second: u32 = given.number(0)?;
                if !(1..=RATE_PER_SECOND_MAX).contains(&rate_per_second) {
                    let what = format!("{rate_per_second} probes a second");
                    let next = format!("give a rate from 1 to {RATE_PER_SECOND_MAX}");
                    return Err(Problem::author(what, next).into());
                }
                let density = Density { rate_per_second, ..Density::default() };
                start(world, &[1, 2, 3].map(|i| given.text(i)), density).await
            }
        ),
        step!(
            Action,
            r"everybody probes the Kingdom",
            "Given everybody probes the Kingdom",
            |world, _given| {
                world.kingdom().await?;
                let all = world.running()?.sandbox().participants();
                let all: Vec<_> = all.iter().map(|one| one.name.clone()).collect();
                let all: Vec<_> = all.iter().map(String::as_str).collect();
                // So many callers share the lanes; and with an hour for each probe, everybody opens a
                // connection every 35 hours.
                let density = Density {
                    rate_per_second: 400,
                    new_connection_permille: 200,
                    ..Density::default()
                };
                Ok(world.start_probes(&all, density).await?)
            }
        ),
        step!(
            Action,
            r"the fleet renews its 90-day leaves 30 days before they end, for (\d+) days",
            "When the fleet renews its 90-day leaves 30 days before they end, for 365 days",
            |world, given| { Ok(world.follow_schedule(given.number(0)?).await?) }
        ),
        step!(
            Action,
            r"(\w+) renews its leaf no more",
            "When edp2 renews its leaf no more",
            |world, given| { Ok(world.drop_out(given.text(0))?) }
        ),
        step!(
            Action,
            r"the probes go on for (\d+) ms",
            "When the probes go on for 500 ms",
            |world, given| {
                world.dress_probes().await?;
                tokio::time::sleep(Duration::from_millis(given.number(0)?)).await;
                Ok(())
            }
        ),
        step!(
            Action,
            r"a call of each probing caller is held for (\d+) ms",
            "When a call of each probing caller is held for 600 ms",
            |world, given| { Ok(world.straddle(Duration::from_millis(given.number(0)?)).await?) }
        ),
        step!(
            Action,
            r"(\w+) presents (\d+) fresh leaves of its root, one every (\d+) ms",
            "When edp1 presents 20 fresh leaves of its root, one every 100 ms",
            |world, given| {
                let actor = given.text(0);
                let count: u32 = given.number(1)?;
                let pause = Duration::from_millis(given.number(2)?);
                for _ in 0..count {
                    let root = world.authority(actor).await?;
                    super::authentication::present_leaf(world, actor, &root).await?;
                    world.dress_probes().await?;
                    world.restart_caller(actor).await?;
                    tokio::time::sleep(pause).await;
                }
                world.changed(format!("{actor} presented {count} leaves"));
                Ok(())
            }
        ),
        step!(
            Action,
            r"the probing caller (\w+) starts again",
            "When the probing caller edp1 starts again",
            |world, given| {
                world.dress_probes().await?;
                Ok(world.restart_caller(given.text(0)).await?)
            }
        ),
        step!(
            Action,
            r"the probe loop breaks off",
            "When the probe loop breaks off",
            |world, _given| { Ok(world.break_off_probes()?) }
        ),
        step!(Action, r"the probes stop", "When the probes stop", |world, _given| {
            Ok(world.stop_probes().await?)
        }),
        step!(
            Action,
            r"(\w+) trusts the Kingdom's (old|new|old and new) roots?",
            "Given edp1 trusts the Kingdom's old and new roots",
            |world, given| {
                let old = world.authority(crate::world::OPERATOR).await?.certificate_der().to_vec();
                let mut roots = Vec::new();
                if given.text(1).contains("old") {
                    roots.push(old);
                }
                if given.text(1).contains("new") {
                    let new = world.new_root(crate::world::OPERATOR)?;
                    roots.push(new.certificate_der().to_vec());
                }
                world.actor(given.text(0)).await?.roots = Some(roots);
                Ok(())
            }
        ),
    ]
}

fn checks() -> Vec<StepDefinition> {
    vec![
        step!(Check, r"nobody noticed", "Then nobody noticed", |world, _given| {
            let judged = availability::judge(run(world)?);
            proves_something(&judged)?;
            can_see_gaps(run(world)?)?;
            let observed = judged.zero_downtime().err();
            let observed = observed.as_deref().unwrap_or("nothing noticed");
            world.check(check::equal(credentials::DOWNTIME, "nothing noticed", observed))?;
            proves_each_credential(&judged, run(world)?)?;
            let all = callers(run(world)?);
            world.record(Fact::ProbesJudged(all));
            Ok(())
        }),
        step!(
            Check,
            r"(\d+) rotations were seen, and a probe failed after none of them",
            "Then 49 rotations were seen, and a probe failed after none of them",
            |world, given| {
                whole_run(world)?;
                let (n, bad) = credentials::rotations(world.log.all());
                let expected = format!("{} rotations, 0 with a failure", given.text(0));
                let observed = format!("{n} rotations, {bad} with a failure");
                let check = check::equal("rotations", &expected, &observed);
                world.check(if bad == 0 { check.or(Cause::NoChangeObserved) } else { check })
            }
        ),
        step!(
            Check,
            r"(\w+)'s probes of lanes? (\w+)(?:, (\w+))??(?:, (\w+))??(?: and (\w+))? failed with (\w+(?:, \w+)*?)( to the end)?",
            "Then edp1's probes of lanes new_connection and reused_channel failed with unknown_issuer to the end\n\
             | from | edp1 presents a leaf of its new root |",
            |world, given| {
                let lanes = [1, 2, 3, 4].map(|i| given.text(i));
                let to_the_end = !given.text(6).is_empty();
                outage(world, given, Some(given.text(0)), &lanes, given.text(5), to_the_end)
            }
        ),
        step!(
            Check,
            r"(\w+)'s probes of lane (new_connection|reused_channel|server_stream|straddling_call) noticed nothing",
            "Then edp1's probes of lane reused_channel noticed nothing",
            |world, given| {
                let mut judged = availability::judge(run(world)?);
                proves_something(&judged)?;
                can_see_gaps(run(world)?)?;
                judged
                    .lanes
                    .retain(|row| row.actor == given.text(0) && row.lane.name() == given.text(1));
                if !judged.pooled().any(|row| row.sent > 0) {
                    return Err(empty(given.text(1)).into());
                }
                let observed = judged.zero_downtime().err();
                let observed = observed.as_deref().unwrap_or("nothing noticed");
                world.check(check::equal(credentials::DOWNTIME, "nothing noticed", observed))
            }
        ),
        step!(Check, r"(\w+) noticed nothing", "Then mc1 noticed nothing", |world, given| {
            let mut judged = availability::judge(run(world)?);
            proves_something(&judged)?;
            can_see_gaps(run(world)?)?;
            judged.lanes.retain(|row| row.actor == given.text(0));
            if !judged.pooled().any(|row| row.sent > 0) {
                return Err(empty(given.text(0)).into());
            }
            let observed = judged.zero_downtime().err();
            let observed = observed.as_deref().unwrap_or("nothing noticed");
            world.check(check::equal(credentials::DOWNTIME, "nothing noticed", observed))?;
            world.record(Fact::ProbesJudged(vec![given.text(0).to_owned()]));
            Ok(())
        }),
        step!(
            Check,
            r"the probes of lanes? (\w+)(?:, (\w+))??(?:, (\w+))??(?: and (\w+))? failed with (\w+(?:, \w+)*?)( to the end)?",
            "Then the probes of lane new_connection failed with unknown_issuer\n\
             | from  | all 2 replicas are stopped |\n\
             | until | all 2 replicas are started |",
            |world, given| {
                let lanes = [0, 1, 2, 3].map(|i| given.text(i));
                outage(world, given, None, &lanes, given.text(4), !given.text(5).is_empty())
            }
        ),
        step!(
            Check,
            r"the probes of lane (new_connection|reused_channel|server_stream|straddling_call) noticed nothing",
            "Then the probes of lane reused_channel noticed nothing",
            |world, given| {
                let mut judged = availability::judge(run(world)?);
                proves_something(&judged)?;
                can_see_gaps(run(world)?)?;
                judged.lanes.retain(|row| row.lane.name() == given.text(0));
                if !judged.pooled().any(|row| row.sent > 0) {
                    return Err(empty(given.text(0)).into());
                }
                let observed = judged.zero_downtime().err();
                let observed = observed.as_deref().unwrap_or("nothing noticed");
                world.check(check::equal(credentials::DOWNTIME, "nothing noticed", observed))
            }
        ),
        step!(
            Check,
            r"every replica answers with the Kingdom's (old|new) certificate",
            "Then every replica answers with the Kingdom's new certificate",
            |world, given| {
                let wanted = server_skid(world, given.text(0)).await?;
                let replicas = world.replicas();
                let last = credentials::last_by_replica(whole_run(world)?);
                let expected: Vec<_> = (0..replicas).map(|id| format!("{id}: {wanted}")).collect();
                let observed: Vec<_> =
                    last.iter().map(|(id, skid)| format!("{id}: {skid}")).collect();
                let what = "SKID that each replica answered last with";
                let check = check::equal(what, &expected.join(", "), &observed.join(", "));
                world.check(check.or(Cause::NoChangeObserved))
            }
        ),
        step!(
            Check,
            r"the calls of (\w+) ended on its (old|new) credential",
            "Then the calls of edp1 ended on its new credential",
            |world, given| {
                let run = whole_run(world)?;
                probes_as(run, given.text(0))?;
                let ended_on = credentials::ended_on(run, given.text(0));
                let observed = ended_on.ok_or_else(|| empty("new_connection"))?;
                let check = check::equal("credential of the last call", given.text(1), observed);
                world.check(check.or(Cause::NoChangeObserved))
            }
        ),
        step!(
            Check,
            r"calls of (\w+) were answered under (\d+) of its credentials",
            "Then calls of edp1 were answered under 21 of its credentials",
            |world, given| {
                let run = whole_run(world)?;
                probes_as(run, given.text(0))?;
                let observed = credentials::answered_under(run, given.text(0)).to_string();
                let check = check::equal("credentials answered under", given.text(1), &observed);
                world.check(check.or(Cause::NoChangeObserved))
            }
        ),
        step!(
            Check,
            r"the monitor saw at least (\d+) failures? of (\w+) with (\w+), and no other",
            "Then the monitor saw at least 3 failures of edp1 with unknown_issuer, and no other",
            |world, given| {
                let least: u64 = given.number(0)?;
                if least == 0 || !Cause::ALL.iter().any(|cause| cause.code() == given.text(2)) {
                    let what =
                        "at least 0 failures, or failures with an unknown cause, are always there";
                    let next = "give a number from 1 on and a code of `halo-harness explain`";
                    return Err(Problem::author(what, next).into());
                }
                let (who, why) = (given.text(1), given.text(2));
                let events = world.events_of_probes()?;
                let run = whole_run(world)?;
                let mut seen = monitor::of_probes(run);
                let of_it = seen.remove(&(who.to_owned(), why.to_owned())).unwrap_or_default();
                let mut observed = Vec::new();
                if of_it < least {
                    observed.push(format!("{of_it} failures of {who} with {why}"));
                }
                observed.extend(seen.iter().map(|((who, why), n)| format!("{n} of {who}: {why}")));
                let strangers = monitor::of_strangers(run, &events);
                observed.extend(strangers.iter().map(|event| {
                    let cause = event.cause.as_deref().unwrap_or_default();
                    format!("event {}: {cause} of nobody known", event.seq)
                }));
                let observed =
                    if observed.is_empty() { "just these".to_owned() } else { observed.join(", ") };
                // Of earlier runs every failure that no step spoke of turns the scenario red by itself.
                let what = "authentication failures of the last run of probes";
                let check = check::equal(what, "just these", &observed);
                world.check(if of_it < least { check.or(Cause::FailureNotSeen) } else { check })
            }
        ),
        step!(
            Check,
            r"an alert was raised within (\d+) ms of the first failure",
            "Then an alert was raised within 500 ms of the first failure",
            |world, given| {
                let allowed_ms: i64 = given.number(0)?;
                let events = world.events_of_probes()?;
                let after = {
                    let AlertSettings { threshold, window } = world.alert_settings();
                    monitor::alert_after_ms(whole_run(world)?, &events, threshold, window)
                };
                let observed = match after {
                    Some(ms) if ms <= allowed_ms => "in time".to_owned(),
                    Some(ms) => format!("after {ms} ms"),
                    None => "no alert".to_owned(),
                };
                let check = check::equal("alert", "in time", &observed);
                world.check(check.or(Cause::FailureNotSeen))
            }
        ),
        step!(
            Check,
            r"both credentials of (\w+) were in use at once",
            "Then both credentials of edp1 were in use at once",
            |world, given| {
                let observed = if credentials::overlap(whole_run(world)?, given.text(0)) {
                    "both at once"
                } else {
                    "one after the other"
                };
                let check = check::equal("credentials answered", "both at once", observed);
                world.check(check.or(Cause::NoChangeObserved))
            }
        ),
        step!(
            Check,
            r"each held call was answered",
            "Then each held call was answered",
            |world, _given| {
                let events = world.events_of_probes()?;
                let runs = outage::runs(world.log.all());
                let (run, changes) = runs.last().ok_or_else(no_probes)?;
                let in_force = outage::in_force(run, changes, &events);
                let held: Vec<_> =
                    run.probes.iter().filter(|p| p.lane == Lane::StraddlingCall).collect();
                if held.is_empty() {
                    return Err(empty("straddling_call").into());
                }
                // Replicas that are restarted one after another wait for the calls that they hold, so that
                // of one hold's calls not every one is still under way when its own turn comes.
                let mut of_one_hold = held.chunks(run.callers.len().max(1));
                let proves_nothing = |held: &&[&Probe]| {
                    !held.iter().any(|probe| outage::straddles(probe, &in_force))
                };
                if let Some(held) = of_one_hold.find(proves_nothing) {
                    let callers: Vec<_> = held.iter().map(|probe| probe.caller.as_str()).collect();
                    let what = format!(
                        "the held calls of {} ended before anything came into force for them or their \
                         replicas",
                        callers.join(" and ")
                    );
                    let next = "hold it right in front of a restart, a reload or another leaf of a \
                                probing caller, and for longer";
                    return Err(Problem::author(what, next).because(Cause::ProbeNotSent).into());
                }
                let failed: Vec<_> =
                    held.iter().filter_map(|probe| availability::failure(run, probe)).collect();
                let observed = if failed.is_empty() { "all".to_owned() } else { failed.join(", ") };
                world.check(check::equal("held calls answered", "all", &observed))
            }
        ),
    ]
}

/// Compares what was noticed with a predicted outage, whose window the table gives.
fn outage(
    world: &mut World,
    given: &Arguments,
    actor: Option<&str>,
    lanes: &[&str],
    causes: &str,
    to_the_end: bool,
) -> StepResult {
    let lanes: Vec<_> = lanes.iter().copied().filter(|lane| !lane.is_empty()).collect();
    for lane in &lanes {
        if !Lane::ALL.iter().any(|one| one.name() == *lane) {
            let known = Lane::ALL.map(Lane::name).join(", ");
            let what = format!("there is no lane `{lane}`");
            return Err(Problem::author(what, format!("the lanes are {known}")).into());
        }
    }
    let is_known = |code: &str| {
        Cause::ALL.iter().any(|cause| cause.code() == code)
            || (1..).map_while(code_name).any(|name| name == code)
    };
    if let Some(unknown) = causes.split(", ").find(|code| !is_known(code)) {
        let hint = nearest::hint(unknown, Cause::ALL.iter().map(|cause| cause.code()));
        let what = format!("there is no cause `{unknown}`{hint}");
        return Err(Problem::author(what, "`halo-harness explain` prints all").into());
    }
    let window = window(given.table(2)?, to_the_end)?;
    proves_something(&availability::judge(run(world)?))?;
    let runs = outage::runs(world.log.all());
    let (run, changes) = runs.last().ok_or_else(no_probes)?;
    let predicted = outage::Predicted { actor, lanes: &lanes, causes, window };
    let check = outage::judge(run, changes, predicted);
    let spoken = match actor {
        Some(actor) => vec![actor.to_owned()],
        None => callers(run),
    };
    world.check(check)?;
    world.record(Fact::ProbesJudged(spoken));
    Ok(())
}

/// The window of an outage: `from` and `until` name steps by their text, `within` says how long after
/// them it may begin and end.
fn window(rows: &[Vec<String>], to_the_end: bool) -> Result<Window<'_>, Problem> {
    let (mut from, mut until, mut within_us) = (None, None, outage::WITHIN_US);
    for row in rows {
        let [name, value] = row.as_slice() else { continue };
        match name.as_str() {
            "from" => from = Some(value.as_str()),
            "until" => until = Some(value.as_str()),
            "within" => {
                let ms = value.strip_suffix(" ms").and_then(|ms| ms.parse::<i64>().ok());
                within_us = ms
                    .filter(|ms| (1..=60_000).contains(ms))
                    .map(|ms| ms * 1000)
                    .ok_or_else(|| {
                        Problem::author(format!("`{value}` is no time"), "write it like `1300 ms`")
                    })?;
            }
            _ => {
                let what = format!("an outage has no `{name}`");
                return Err(Problem::author(what, "its rows are from, until and within"));
            }
        }
    }
    let from = from.ok_or_else(|| {
        let next =
            "put a table below, with the step that causes it: `| from | edp1 presents ... |`";
        Problem::author("the outage has no cause of its own", next)
    })?;
    let until = match (until, to_the_end) {
        (Some(_), true) => {
            let next = "leave out the row `until`, or `to the end`";
            return Err(Problem::author("an outage to the end is ended by no step", next));
        }
        (Some(step), false) => Until::Step(step),
        (None, true) => Until::Nothing,
        (None, false) => Until::Itself,
    };
    Ok(Window { from, until, within_us })
}

fn callers(run: &Run) -> Vec<String> {
    run.callers.iter().map(|(actor, _)| actor.clone()).collect()
}

async fn start(world: &mut World, actors: &[&str], density: Density) -> StepResult {
    let actors: Vec<_> = actors.iter().copied().filter(|actor| !actor.is_empty()).collect();
    Ok(world.start_probes(&actors, density).await?)
}

fn run(world: &World) -> Result<&Run, Problem> {
    world.log.probes().ok_or_else(no_probes)
}

/// The probes that stopped last, if all that were due were sent: what the others would have shown is not the
/// subject's fault.
pub(super) fn whole_run(world: &World) -> Result<&Run, Problem> {
    let run = run(world)?;
    let judged = availability::judge(run);
    if judged.is_incomplete() {
        proves_something(&judged)?;
    }
    Ok(run)
}

fn no_probes() -> Problem {
    Problem::author("no probes have stopped", "put `When the probes stop` in front")
}

/// Of whom no probe called, every count is 0.
fn probes_as(run: &Run, actor: &str) -> Result<(), Problem> {
    if run.callers.iter().any(|(caller, _)| caller == actor) {
        return Ok(());
    }
    let callers: Vec<_> = run.callers.iter().map(|(caller, _)| caller.as_str()).collect();
    let next = format!("name one who probed: {}", callers.join(", "));
    Err(Problem::author(format!("no probe called as {actor}"), next).because(Cause::ProbeNotSent))
}

fn empty(lane: &str) -> Problem {
    Problem::author(format!("lane {lane} has no probes"), "let the probes go on for longer")
        .because(Cause::ProbeNotSent)
}

/// A run that proves nothing stops the scenario: INVALID, never a pass.
fn proves_something(judged: &availability::Availability) -> Result<(), Problem> {
    let Some((owner, what)) = judged.flaw() else { return Ok(()) };
    let problem = if owner == Owner::ScenarioAuthor {
        Problem::author(what, "let the probes go on for longer, or call more often")
    } else {
        let next = "run again on a less busy machine, or let the probes go on for longer";
        Problem::environment(what, next)
    };
    Err(match judged.invalid.first() {
        Some((cause, _)) => problem.because(*cause),
        None => problem,
    })
}

/// Whether nobody noticed cannot be told from probes that are too far apart.
fn can_see_gaps(run: &Run) -> Result<(), Problem> {
    let Some(what) = availability::too_sparse(run) else { return Ok(()) };
    Err(Problem::author(what, "probe at a higher rate, or as fewer callers")
        .because(Cause::ProbeNotSent))
}

/// A credential that nobody saw accepted was rotated in by nobody.
fn proves_each_credential(judged: &availability::Availability, run: &Run) -> Result<(), Problem> {
    let unproven = judged.unproven(run);
    if unproven.is_empty() {
        return Ok(());
    }
    let what =
        format!("no new connection of {} was answered on its new credential", unproven.join(", "));
    let next = "let the probes go on after the switch";
    Err(Problem::author(what, next).because(Cause::ProbeNotSent))
}

async fn server_skid(world: &mut World, which: &str) -> Result<String, Problem> {
    if which == "new" {
        let leaf = world.leaf(credentials::KINGDOM, "new").map_err(|_| {
            Problem::author(
                "the Kingdom has got no new certificate",
                "put `When the Kingdom gets a new certificate` in front",
            )
            .because(Cause::NoChangeObserved)
        })?;
        let facts = halo_pki::inspect(leaf.certificate_der())
            .map_err(|error| Problem::harness(error.to_string()))?;
        return Ok(facts.skid.map(hex::encode).unwrap_or_default());
    }
    match world.get("kingdom.old_skid") {
        Ok(Var::Text(skid)) => Ok(skid.clone()),
        _ => {
            let pem =
                world.running()?.sandbox().file("kingdom/kingdom_tls.pem").unwrap_or_default();
            let leaf = halo_pki::pem_certificates(pem)
                .map_err(|error| Problem::harness(error.to_string()))?;
            let facts = halo_pki::inspect(leaf.first().map(Vec::as_slice).unwrap_or_default())
                .map_err(|error| Problem::harness(error.to_string()))?;
            Ok(facts.skid.map(hex::encode).unwrap_or_default())
        }
    }
}
