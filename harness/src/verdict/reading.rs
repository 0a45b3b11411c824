//! Whether what was put in place was read by every server, and whether probes went on after it: what
//! nobody has read changed nothing, and what nobody called after proves nothing (design.md section 2;
//! contract 5.4.1, 5.4.2). Pure.

use crate::observation::{Fact, Observation};
use crate::probe::Run;
use fake_kingdom::model::Timestamp;
use std::collections::BTreeMap;

/// What keeps a scenario from having changed what it put in place: that a server which runs at the end
/// goes on with something else, or that no probe was due after it. `None` if every server has read
/// everything and was probed afterwards, or if nothing was put in place.
pub fn unproved(log: &[Observation]) -> Option<String> {
    let readings = || {
        log.iter().filter_map(|observation| match &observation.fact {
            Fact::Reading(reading) => Some(reading),
            _ => None,
        })
    };
    if let Some(behind) = readings().find(|reading| !reading.unread.is_empty()) {
        let unread = behind.unread.join(" and ");
        return Some(format!("{} never read {unread}", behind.process));
    }
    // Where nobody probes, each step has its own calls.
    let last = last_probe(log)?;
    let mut placed: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for observation in log {
        if let Fact::Placed { what } = &observation.fact {
            placed.insert(what, observation.time);
        }
    }
    if placed.is_empty() {
        return None;
    }
    if let Some((what, _)) = placed.iter().find(|(_, at)| **at >= last) {
        return Some(format!("no probe was due after {what} was put in place"));
    }
    let late = readings().find(|reading| reading.last.is_some_and(|at| at >= last))?;
    Some(format!("no probe was due after {} had read its files", late.process))
}

/// When the last probe of a scenario was due before its negative control, by the environment's clock.
fn last_probe(log: &[Observation]) -> Option<Timestamp> {
    let mut jumped = std::time::Duration::ZERO;
    let mut last = None;
    for observation in log {
        match &observation.fact {
            Fact::ProbesStarted => jumped = std::time::Duration::ZERO,
            Fact::Changed { jumped: by, .. } => jumped += *by,
            // The probes' own time does not jump with the clock.
            Fact::Probes(run) => last = last_due(run).map(|due| due.plus(jumped)).or(last),
            _ => {}
        }
    }
    last
}

fn last_due(run: &Run) -> Option<Timestamp> {
    let due = run.probes.iter().map(|probe| probe.intended_us);
    let last = due.filter(|due_us| *due_us < run.length_us).max()?;
    Some(run.started.plus(std::time::Duration::from_micros(last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{ObservationLog, Reading};
    use crate::probe::{Density, Lane, Probe};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + ms * 1_000)
    }

    /// Probes from 0 to 900 ms, each 100 ms; the control begins at 1,000 ms.
    fn probes() -> Fact {
        let probe =
            |n: u64| Probe::due(n, Lane::ReusedChannel, "edp1", format!("p-{n}"), n * 100_000);
        Fact::Probes(Box::new(Run {
            density: Density::default(),
            callers: Vec::new(),
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

    fn reading(last_ms: i64, unread: &[&str]) -> Fact {
        Fact::Reading(Reading {
            process: "replica 1".to_owned(),
            last: Some(at(last_ms)),
            unread: unread.iter().map(|what| (*what).to_owned()).collect(),
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
            "no probe was due after the Kingdom's --cert-collection-file was put in place"
                .to_owned(),
        );
        assert_eq!(run_with(899, 899), None);
        assert_eq!(run_with(900, 900), told);
        assert_eq!(run_with(1_500, 1_510), told);
    }

    #[test]
    fn what_was_read_only_after_the_last_probe_is_not_proved() {
        let told = Some("no probe was due after replica 1 had read its files".to_owned());
        assert_eq!(run_with(300, 900), told);
        assert_eq!(run_with(300, 1_900), told);
    }

    #[test]
    fn the_clock_s_jumps_are_no_time_of_the_probes() {
        let jump = Fact::Changed {
            what: "the clock".to_owned(),
            jumped: std::time::Duration::from_secs(60),
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
