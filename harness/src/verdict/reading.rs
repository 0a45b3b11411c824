//! Whether what was put in place was read by every server, and whether every caller called after it:
//! what nobody has read changed nothing, and what nobody called after proves nothing (design.md section 2;
//! contract 5.4.1, 5.4.2). Pure.

use crate::observation::{Fact, Observation, Reading};
use crate::probe::{Lane, Run};
use fake_kingdom::event::Process;
use fake_kingdom::model::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// What keeps a scenario from having changed what it put in place: that a server which ran when the last
/// probes stopped, or runs at the end, goes on with something else; that it refused what is in place, and no
/// step says so; or that a caller had no probe on a connection of its own after it was read. `None` if
/// nothing does. A Duchy's own files are read by the Duchy; no probe calls it.
pub fn unproved(log: &[Observation]) -> Option<String> {
    let began = log.iter().rposition(|one| matches!(one.fact, Fact::ProbesStarted)).unwrap_or(0);
    let readings = || {
        log[began..].iter().filter_map(|observation| match &observation.fact {
            Fact::Reading(reading) => Some(reading),
            _ => None,
        })
    };
    if let Some(behind) = readings().find(|reading| !reading.unread.is_empty()) {
        return Some(format!("{} never read {}", name(behind), behind.unread.join(" and ")));
    }
    if let Some(refusing) = readings().find(|reading| reading.refused)
        && !says_that_files_are_refused(log)
    {
        return Some(format!("{} refused its files, and no step says so", name(refusing)));
    }
    let last = last_probes(log);
    // Where nobody probes, each step has its own calls.
    let callers = || last.iter().filter(|(actor, _)| **actor != ANYBODY);
    let called = |at: Timestamp| callers().find(|(_, due)| **due <= at).map(|(actor, _)| actor);
    for observation in log {
        let what = match &observation.fact {
            Fact::Placed { what } if is_the_kingdoms(what) => format!("{what} was put in place"),
            Fact::Changed { worn: Some(actor), .. } => {
                if last.get(actor.as_str()).is_some_and(|due| *due <= observation.time) {
                    return Some(unseen(actor, &format!("{actor} got other TLS files")));
                }
                continue;
            }
            // Of a schedule of days each step has its own probe, and what it changes tells the jumps before.
            Fact::Changed { what, jumped, .. }
                if !jumped.is_zero() && what.starts_with(THE_CLOCK) =>
            {
                if last.get(ANYBODY).is_some_and(|due| *due <= observation.time) {
                    return Some("no probe was due after the clock was moved".to_owned());
                }
                continue;
            }
            _ => continue,
        };
        if let Some(actor) = called(observation.time) {
            return Some(unseen(actor, &what));
        }
    }
    let mut replicas = readings().filter(|reading| reading.process.replica().is_some());
    replicas.find_map(|reading| {
        let actor = called(reading.since?)?;
        Some(unseen(actor, &format!("{} had read what was put in place", name(reading))))
    })
}

/// Whether what is put in place is the Kingdom's own, and not a Duchy's.
pub fn is_the_kingdoms(what: &str) -> bool {
    what.starts_with(KINGDOMS) || what == super::cutover::MODE
}

/// How the names of the Kingdom's own files begin.
pub const KINGDOMS: &str = "the Kingdom's ";

fn unseen(actor: &str, what: &str) -> String {
    format!("no new connection of {actor} was due after {what}")
}

fn name(reading: &Reading) -> String {
    match &reading.process {
        Process::Replica(id) => format!("replica {id}"),
        Process::Duchy(id) => id.to_string(),
    }
}

/// Whether a step found that a replica refuses its files.
fn says_that_files_are_refused(log: &[Observation]) -> bool {
    log.iter().any(|observation| match &observation.fact {
        Fact::Check(check) => {
            check.holds
                && check.observed == REFUSED
                && (check.what.starts_with("start of replica ")
                    || check.what.starts_with("reload of replica "))
        }
        _ => false,
    })
}

/// How a step calls what a replica does with files that it cannot use.
pub const REFUSED: &str = "refused";

/// How a move of the clock by itself is told.
pub const THE_CLOCK: &str = "the clock, by";

/// Every caller, on every lane.
const ANYBODY: &str = "";

/// When each caller's last probe on a connection of its own was due before the negative control, by the
/// environment's clock; where a run opens none, its last probe; and [`ANYBODY`]'s.
fn last_probes(log: &[Observation]) -> BTreeMap<&str, Timestamp> {
    let mut last = BTreeMap::new();
    // When the clock had been moved since the probes began, and by how much in all.
    let mut jumps: Vec<(Timestamp, Duration)> = Vec::new();
    for observation in log {
        match &observation.fact {
            Fact::ProbesStarted => jumps.clear(),
            Fact::Changed { jumped, .. } if !jumped.is_zero() => {
                let before = jumps.last().map_or(Duration::ZERO, |(_, all)| *all);
                jumps.push((observation.time, before + *jumped));
            }
            Fact::Probes(run) => {
                let callers = run.callers.iter().map(|(actor, _)| actor.as_str());
                for actor in callers.chain([ANYBODY]) {
                    // Who was not called at all is told by the lanes.
                    let due = last_due(run, actor).map_or(run.started, |us| due(run, us, &jumps));
                    last.insert(actor, due);
                }
            }
            _ => {}
        }
    }
    last
}

fn last_due(run: &Run, actor: &str) -> Option<u64> {
    let is_of_lane = |lane: Lane| match run.density.new_connection_permille {
        0 => lane != Lane::StraddlingCall,
        _ => lane == Lane::NewConnection,
    };
    run.probes
        .iter()
        .filter(|probe| actor == ANYBODY || probe.caller == actor && is_of_lane(probe.lane))
        .map(|probe| probe.intended_us)
        .filter(|due_us| *due_us < run.length_us)
        .max()
}

/// The environment's time of a moment of a run, which does not jump with the clock.
fn due(run: &Run, us: u64, jumps: &[(Timestamp, Duration)]) -> Timestamp {
    let own = run.started.plus(Duration::from_micros(us));
    // A probe that was due as the clock was moved may have gone out before.
    let jumped = jumps.iter().rfind(|(at, all)| own.plus(*all) > *at).map(|(_, all)| *all);
    own.plus(jumped.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::ObservationLog;
    use crate::probe::{Density, Probe};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + ms * 1_000)
    }

    /// Probes from 0 to 900 ms, each 100 ms; the control begins at 1,000 ms.
    fn probes() -> Fact {
        let probe =
            |n: u64| Probe::due(n, Lane::NewConnection, "edp1", format!("p-{n}"), n * 100_000);
        Fact::Probes(Box::new(Run {
            density: Density::default(),
            callers: vec![("edp1".to_owned(), String::new())],
            started: at(0),
            length_us: 1_000_000,
            lag_us_max: 0,
            control: None,
            probes: (0..12).map(probe).collect(),
        }))
    }

    fn placed() -> Fact {
        Fact::Placed { what: "the Kingdom's --cert-collection-file".to_owned() }
    }

    fn reading(since_ms: i64, unread: &[&str]) -> Fact {
        Fact::Reading(Reading {
            process: Process::Replica(1),
            since: Some(at(since_ms)),
            unread: unread.iter().map(|what| (*what).to_owned()).collect(),
            refused: false,
        })
    }

    fn unproved_of(facts: Vec<(i64, Fact)>) -> Option<String> {
        let mut log = ObservationLog::default();
        for (ms, fact) in facts {
            log.record(at(ms), fact);
        }
        unproved(log.all())
    }

    fn run_with(placed_ms: i64, read_ms: i64) -> Option<String> {
        let mut facts = vec![(0, Fact::ProbesStarted), (placed_ms, placed())];
        facts.insert(if placed_ms < 1_000 { 2 } else { 1 }, (1_000, probes()));
        facts.push((2_000, reading(read_ms, &[])));
        unproved_of(facts)
    }

    #[test]
    fn what_every_server_read_while_probes_went_on_is_proved() {
        assert_eq!(run_with(300, 310), None);
        assert_eq!(unproved_of(vec![(0, reading(-5, &[]))]), None, "nothing was put in place");
    }

    #[test]
    fn a_server_that_goes_on_with_what_was_before_is_told_even_where_nobody_probes() {
        let behind = (5, reading(-5, &["the principal map"]));
        let told = Some("replica 1 never read the principal map".to_owned());
        assert_eq!(unproved_of(vec![behind]), told);
    }

    #[test]
    fn what_is_put_in_place_with_the_last_probe_or_after_it_is_not_proved() {
        let told = Some(
            "no new connection of edp1 was due after the Kingdom's --cert-collection-file was put \
             in place"
                .to_owned(),
        );
        assert_eq!(run_with(899, 899), None);
        assert_eq!(run_with(900, 900), told);
        assert_eq!(run_with(1_500, 1_510), told);
    }

    #[test]
    fn what_was_read_only_after_the_last_probe_is_not_proved() {
        let told = Some(
            "no new connection of edp1 was due after replica 1 had read what was put in place"
                .to_owned(),
        );
        assert_eq!(run_with(300, 900), told);
        assert_eq!(run_with(300, 1_900), told);
    }

    #[test]
    fn who_probes_on_kept_connections_only_or_is_another_caller_has_not_called_after_it() {
        let run = |caller: &str, lane: Lane| {
            let Fact::Probes(mut run) = probes() else { unreachable!("a run") };
            run.callers = vec![(caller.to_owned(), String::new())];
            for probe in &mut run.probes {
                caller.clone_into(&mut probe.caller);
                if probe.intended_us > 400_000 {
                    probe.lane = lane;
                }
            }
            Fact::Probes(run)
        };
        let after = |second: Fact| {
            unproved_of(vec![
                (0, Fact::ProbesStarted),
                (500, placed()),
                (1_000, run("edp1", Lane::NewConnection)),
                (2_000, Fact::ProbesStarted),
                (3_000, second),
            ])
        };
        assert_eq!(after(run("mc1", Lane::NewConnection)), None);
        let of_edp1 = unproved_of(vec![
            (0, Fact::ProbesStarted),
            (500, placed()),
            (1_000, run("edp1", Lane::ReusedChannel)),
        ]);
        assert!(of_edp1.unwrap().starts_with("no new connection of edp1 was due after"));
    }

    #[test]
    fn what_a_caller_puts_on_and_a_moved_clock_want_a_probe_after_them_too() {
        let run = |change: Fact, ms: i64| {
            unproved_of(vec![(0, Fact::ProbesStarted), (ms, change), (ms + 1_000, probes())])
        };
        let worn = Fact::Changed {
            what: "other TLS files".to_owned(),
            jumped: Duration::ZERO,
            worn: Some("edp1".to_owned()),
        };
        assert_eq!(run(worn.clone(), 800), None);
        assert!(run(worn, 950).unwrap().contains("edp1 got other TLS files"));
        let day = Duration::from_secs(86_400);
        let moved = Fact::Changed { what: format!("{THE_CLOCK} 86400 s"), jumped: day, worn: None };
        assert_eq!(run(moved.clone(), 86_400_800), None);
        assert!(run(moved, 86_400_950).unwrap().contains("after the clock was moved"));
    }

    #[test]
    fn files_that_a_server_refuses_are_proved_by_a_step_that_says_so_alone() {
        let refused = || {
            let Fact::Reading(reading) = reading(0, &[]) else { unreachable!("a reading") };
            Fact::Reading(Reading { refused: true, since: None, ..reading })
        };
        let told = Some("replica 1 refused its files, and no step says so".to_owned());
        assert_eq!(unproved_of(vec![(5, refused())]), told);
        let check = |observed: &str| {
            Fact::Check(crate::verdict::check::equal("reload of replica 0", REFUSED, observed))
        };
        assert_eq!(unproved_of(vec![(4, check(REFUSED)), (5, refused())]), None);
        assert_eq!(unproved_of(vec![(4, check("accepted")), (5, refused())]), told);
    }

    #[test]
    fn the_clock_s_jumps_are_no_time_of_the_probes() {
        let jump = Fact::Changed {
            what: "the clock".to_owned(),
            jumped: Duration::from_secs(60),
            worn: None,
        };
        let hour = 60_000;
        let facts = |read_ms| {
            vec![
                (0, Fact::ProbesStarted),
                (hour + 200, jump.clone()),
                (hour + 300, placed()),
                (hour + 1_000, probes()),
                (hour + 2_000, reading(read_ms, &[])),
            ]
        };
        assert_eq!(unproved_of(facts(hour + 310)), None);
        assert!(unproved_of(facts(hour + 900)).is_some());
    }
}
