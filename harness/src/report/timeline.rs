//! A run of probes over time, as a page can draw it: what each lane saw, bin by bin, and what the
//! scenario changed meanwhile. Pure.

use crate::observation::Observation;
use crate::probe::{Lane, Probe, Run};
use crate::verdict::{availability, outage};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A lane has at most this many bins.
pub const BINS_MAX: u64 = 200;

/// One run of probes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timeline {
    /// When it began, by the scenario's clock; RFC 3339.
    pub started: String,
    /// How long it ran, up to the negative control.
    pub length_ms: f64,
    /// From when to when the harness injected an outage itself.
    pub control: Option<Span>,
    /// In the order of lane and actor.
    pub lanes: Vec<LaneTimeline>,
    /// What the scenario changed.
    pub marks: Vec<Mark>,
}

/// From when to when, in milliseconds from the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    /// From.
    pub from_ms: f64,
    /// Until.
    pub until_ms: f64,
}

/// One lane of one actor, over all replicas and credentials.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LaneTimeline {
    /// The kind of connection.
    pub lane: Lane,
    /// Who called.
    pub actor: String,
    /// How long one bin is; neighbours that saw the same without a failure are shown as one.
    pub bin_ms: f64,
    /// Those in which a probe was due, oldest first.
    pub bins: Vec<Bin>,
}

/// What a lane saw in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// From when, from the run's start.
    pub from_ms: f64,
    /// Until when.
    pub until_ms: f64,
    /// Probes sent.
    pub sent: u64,
    /// Probes due that were not sent in time.
    pub dropped: u64,
    /// Probes without the expected answer.
    pub failed: u64,
    /// Subject key identifiers of the servers' leaves that answered, oldest first.
    pub servers: Vec<String>,
    /// Subject key identifiers of the client's leaves on these connections, oldest first.
    pub clients: Vec<String>,
    /// The replicas that answered.
    pub replicas: BTreeSet<u32>,
    /// Failures by cause.
    pub causes: BTreeMap<String, u64>,
}

/// Something that the scenario changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// When, from the run's start.
    pub at_ms: f64,
    /// What.
    pub text: String,
}

/// The timelines of a scenario's runs of probes, in their order.
pub fn of(log: &[Observation]) -> Vec<Timeline> {
    let mark = |change: &outage::Change<'_>| Mark {
        at_ms: change.at_us as f64 / 1000.0,
        text: change.what.to_owned(),
    };
    let runs = outage::runs(log).into_iter();
    runs.map(|(run, changes)| timeline(run, changes.iter().map(mark).collect())).collect()
}

fn timeline(run: &Run, marks: Vec<Mark>) -> Timeline {
    let mut lanes: BTreeMap<(Lane, &str), Vec<&Probe>> = BTreeMap::new();
    for probe in &run.probes {
        lanes.entry((probe.lane, &probe.caller)).or_default().push(probe);
    }
    Timeline {
        started: run.started.to_string(),
        length_ms: run.length_us as f64 / 1000.0,
        control: run.control.map(|control| Span {
            from_ms: control.from_us as f64 / 1000.0,
            until_ms: control.until_us as f64 / 1000.0,
        }),
        lanes: lanes
            .into_iter()
            .map(|((lane, actor), probes)| lane_timeline(run, lane, actor, probes))
            .collect(),
        marks,
    }
}

fn lane_timeline(run: &Run, lane: Lane, actor: &str, mut probes: Vec<&Probe>) -> LaneTimeline {
    probes.sort_by_key(|probe| probe.intended_us);
    let end_us = probes.iter().map(|probe| span(probe).1).max().unwrap_or_default() + 1;
    // No finer than the lane's own ticks: else an empty bin would look like a gap.
    let widest = probes
        .windows(2)
        .map(|pair| pair[1].intended_us - pair[0].intended_us)
        .fold(BTreeMap::new(), |mut counts: BTreeMap<u64, usize>, distance| {
            *counts.entry(distance).or_default() += 1;
            counts
        })
        .into_iter()
        // A distance that came but once or twice is a gap of the schedule itself.
        .filter(|(_, count)| *count > 2)
        .map(|(distance, _)| distance)
        .max()
        .unwrap_or_default();
    let bin_us = end_us.div_ceil(BINS_MAX).max(widest).max(1);
    let mut bins: Vec<Bin> = Vec::new();
    let mut last = None;
    for probe in probes {
        let (from_us, until_us) = span(probe);
        let n = from_us / bin_us;
        if last != Some(n) {
            last = Some(n);
            bins.push(Bin {
                from_ms: (n * bin_us) as f64 / 1000.0,
                until_ms: ((n + 1) * bin_us).min(end_us) as f64 / 1000.0,
                ..Bin::default()
            });
        }
        let Some(bin) = bins.last_mut() else { continue };
        bin.until_ms = bin.until_ms.max(until_us as f64 / 1000.0);
        see(run, probe, bin);
    }
    LaneTimeline {
        lane,
        actor: actor.to_owned(),
        bin_ms: bin_us as f64 / 1000.0,
        bins: joined(bins),
    }
}

/// What a probe covers: its moment, or for a straddling call all the time that it was held.
fn span(probe: &Probe) -> (u64, u64) {
    match probe.lane {
        Lane::StraddlingCall => (probe.intended_us, probe.ended_us.max(probe.intended_us)),
        _ => (probe.intended_us, probe.intended_us),
    }
}

fn see(run: &Run, probe: &Probe, bin: &mut Bin) {
    if probe.sent_us.is_none() {
        bin.dropped += 1;
        return;
    }
    bin.sent += 1;
    if let Some(cause) = availability::failure(run, probe) {
        bin.failed += 1;
        *bin.causes.entry(cause).or_default() += 1;
    }
    let mut note = |all: fn(&mut Bin) -> &mut Vec<String>, skid: &str| {
        let all = all(bin);
        if !skid.is_empty() && !all.iter().any(|seen| seen == skid) {
            all.push(skid.to_owned());
        }
    };
    if let Some(answering) = &probe.answering {
        note(|bin| &mut bin.servers, &answering.skid);
    }
    note(|bin| &mut bin.clients, &probe.client.skid);
    bin.replicas.extend(probe.server.as_ref().and_then(|event| event.replica));
}

/// Neighbours that saw the same, and nothing wrong, as one.
fn joined(bins: Vec<Bin>) -> Vec<Bin> {
    let mut all: Vec<Bin> = Vec::new();
    for bin in bins {
        match all.last_mut() {
            Some(last)
                if is_clean(last)
                    && is_clean(&bin)
                    && last.until_ms >= bin.from_ms
                    && last.servers == bin.servers
                    && last.clients == bin.clients =>
            {
                last.until_ms = bin.until_ms;
                last.sent += bin.sent;
                last.replicas.extend(bin.replicas);
            }
            _ => all.push(bin),
        }
    }
    all
}

fn is_clean(bin: &Bin) -> bool {
    bin.failed == 0 && bin.dropped == 0
}
