//! Whether anybody noticed: what a run of probes proves (interfaces.md section 4, "What the words
//! mean"; method.md section 2). Pure, and blind to what was injected: causes come from the server's
//! events and from the transport.

use crate::error::Owner;
use crate::probe::{Answer, Control, CredentialAge, Lane, Probe, Run};
use fake_kingdom::cause::Cause;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The longest gap that nobody notices.
pub const GAP_MS_MAX: u64 = 500;
/// Of the probes, at most this share may be excused; above it the run proves nothing.
const EXCUSED_MAX: f64 = 0.01;
/// An outage for the negative control lasts at least so many ticks ...
pub const CONTROL_TICKS_MIN: u64 = 10;
/// ... and at least so long.
pub const CONTROL_US_MIN: u64 = 300_000;

/// One lane of one caller with one credential, as the record shows it: pooled over replicas, or one
/// replica's own where there are enough probes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LaneReport {
    /// The kind of connection.
    pub lane: Lane,
    /// Who called.
    pub actor: String,
    /// Which of its credentials.
    pub credential: CredentialAge,
    /// The replica that answered; `None` = all, and those that no replica answered.
    pub replica: Option<u32>,
    /// Probes sent.
    pub sent: u64,
    /// Probes that were due and not handed to the transport in time.
    pub dropped: u64,
    /// Probes without the expected answer in time, the excused ones left out.
    pub failed: u64,
    /// Failures of the harness itself.
    pub excused: u64,
    /// The longest span of intended times without a success, within the span of these probes.
    pub longest_gap_ms: f64,
    /// The typical distance of two probes of the lane: no shorter gap can be seen.
    pub resolution_ms: f64,
    /// How much of what zero downtime allows is used up: no failure, no drop, and a gap of at most
    /// [`GAP_MS_MAX`], of which the distance of two probes is no outage. From 0; 1 or more is spent, as by
    /// one failure or drop. `None` where probes are further apart than such a gap.
    pub error_budget_used: Option<f64>,
    /// With 95 % confidence at most this share of calls fails; `None` for streams and straddling
    /// calls, which are no independent trials.
    pub upper_bound_95: Option<f64>,
    /// Failures by cause.
    pub failures_by_cause: BTreeMap<String, u64>,
    /// Half of the probes with the expected answer had it within this of their intended time, in
    /// microseconds; `None` without such a probe, here and below. A straddling call is held on purpose.
    pub latency_us_p50: Option<u64>,
    /// Of a hundred, ninety-nine.
    pub latency_us_p99: Option<u64>,
    /// The longest.
    pub latency_us_max: Option<u64>,
}

/// The negative control as the record shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ControlReport {
    /// How long the outage lasted.
    pub injected_ms: f64,
    /// The gap that the probes saw in it.
    pub seen_ms: f64,
}

/// What the run of probes proves.
#[derive(Clone, Debug, PartialEq)]
pub struct Availability {
    /// The lanes.
    pub lanes: Vec<LaneReport>,
    /// The negative control.
    pub control: Option<ControlReport>,
    /// What keeps it from proving anything; empty if it does prove something.
    pub invalid: Vec<(Cause, String)>,
    /// Whether all that keeps it from that is how short it was: then nobody but its author is to blame.
    pub is_too_short: bool,
    /// Every cause that was seen from either end.
    pub causes: BTreeSet<String>,
}

/// A caller's lane with fewer probes than this says nothing of it.
const LANE_MIN: u64 = 3;
/// Cells smaller than this are pooled.
const CELL_MIN: u64 = 30;

/// Judges a run.
pub fn judge(run: &Run) -> Availability {
    let main: Vec<&Probe> = run.probes.iter().filter(|probe| !in_control(run, probe)).collect();
    let mut lanes = Vec::new();
    let mut cells: BTreeMap<Cell, Vec<&Probe>> = BTreeMap::new();
    for probe in &main {
        let cell = (probe.lane, probe.caller.as_str(), probe.credential);
        cells.entry((cell, None)).or_default().push(probe);
        if let Some(replica) = probe.server.as_ref().and_then(|event| event.replica) {
            cells.entry((cell, Some(replica))).or_default().push(probe);
        }
    }
    for ((cell, replica), probes) in &cells {
        if replica.is_none() || probes.len() as u64 >= CELL_MIN {
            let of_lane = main.iter().filter(|p| (p.lane, p.caller.as_str()) == (cell.0, cell.1));
            let of_lane: Vec<&Probe> = match replica {
                None => of_lane.copied().collect(),
                Some(_) => probes.clone(),
            };
            lanes.push(report(run, *cell, *replica, probes, &of_lane));
        }
    }
    let control = run.control.map(|control| seen(run, control));
    let mut invalid = Vec::new();
    check_schedule(run, &main, &mut invalid);
    let was_kept = invalid.is_empty();
    check_lanes(run, &lanes, &mut invalid);
    check_records(run, &main, &mut invalid);
    check_control(run, control.as_ref(), &mut invalid);
    let causes = main.iter().flat_map(|probe| causes(run, probe)).collect();
    let is_too_short = was_kept
        && !invalid.is_empty()
        && invalid.iter().all(|(cause, _)| *cause == Cause::ProbeNotSent);
    Availability { lanes, control, invalid, is_too_short, causes }
}

type Cell<'a> = ((Lane, &'a str, CredentialAge), Option<u32>);

impl Availability {
    /// What keeps it from proving anything, and whose fault that is; `None` if it does prove something.
    pub fn flaw(&self) -> Option<(Owner, String)> {
        if self.invalid.is_empty() {
            return None;
        }
        let what: Vec<_> =
            self.invalid.iter().map(|(cause, what)| format!("{cause}: {what}")).collect();
        let owner = if self.is_too_short { Owner::ScenarioAuthor } else { Owner::Environment };
        Some((owner, format!("the probes prove nothing: {}", what.join("; "))))
    }

    /// Whether probes that were due were not sent, or too few to say anything: what is missing may be
    /// the harness's own fault, so nothing that they do not show is the subject's.
    pub fn is_incomplete(&self) -> bool {
        self.invalid.iter().any(|(cause, _)| *cause == Cause::ProbeNotSent)
    }

    /// The pooled rows.
    pub fn pooled(&self) -> impl Iterator<Item = &LaneReport> {
        self.lanes.iter().filter(|lane| lane.replica.is_none())
    }

    /// Callers that began to present another credential than at the start, on which not one new
    /// connection was answered before the negative control began: whether anybody would notice it is
    /// not known.
    pub fn unproven(&self, run: &Run) -> Vec<String> {
        let presents = |actor: &str| {
            let own = run.probes.iter().filter(|probe| probe.caller == actor);
            own.map(|probe| probe.credential).any(|age| age == CredentialAge::New)
        };
        let is_proven = |actor: &str| {
            run.probes.iter().any(|probe| {
                probe.caller == actor
                    && probe.lane == Lane::NewConnection
                    && probe.credential == CredentialAge::New
                    && probe.was_shown()
                    && !in_control(run, probe)
                    && probe.sent_us.is_some()
                    && failure(run, probe).is_none()
            })
        };
        let callers = run.callers.iter().map(|(actor, _)| actor);
        callers.filter(|actor| presents(actor) && !is_proven(actor)).cloned().collect()
    }

    /// Zero downtime: no unexcused failure, no drop, no gap above [`GAP_MS_MAX`]. The text says what
    /// was noticed, lane by lane.
    ///
    /// # Errors
    /// What was noticed.
    pub fn zero_downtime(&self) -> Result<(), String> {
        let noticed: Vec<_> = self.pooled().filter_map(noticed).collect();
        if noticed.is_empty() { Ok(()) } else { Err(noticed.join("; ")) }
    }
}

pub(super) fn noticed(lane: &LaneReport) -> Option<String> {
    let mut what = Vec::new();
    if lane.failed > 0 {
        let causes: Vec<_> =
            lane.failures_by_cause.iter().map(|(cause, n)| format!("{n} {cause}")).collect();
        what.push(format!("{} of {} failed ({})", lane.failed, lane.sent, causes.join(", ")));
    }
    if lane.dropped > 0 {
        what.push(format!("{} dropped", lane.dropped));
    }
    // Held calls are made when a scenario says so: between two of them there is no call to miss.
    let has_gaps = lane.lane != Lane::StraddlingCall;
    if has_gaps && lane.longest_gap_ms > GAP_MS_MAX as f64 {
        what.push(format!("a gap of {:.0} ms", lane.longest_gap_ms));
    }
    (!what.is_empty()).then(|| format!("{} {}: {}", lane.actor, lane.lane.name(), what.join(", ")))
}

pub(super) fn in_control(run: &Run, probe: &Probe) -> bool {
    probe.lane != Lane::StraddlingCall && probe.intended_us >= run.length_us
}

fn report(
    run: &Run,
    (lane, actor, credential): (Lane, &str, CredentialAge),
    replica: Option<u32>,
    probes: &[&Probe],
    of_lane: &[&Probe],
) -> LaneReport {
    let mut failures_by_cause = BTreeMap::new();
    let (mut sent, mut dropped, mut failed, mut excused) = (0, 0, 0, 0);
    for probe in probes {
        if probe.sent_us.is_none() {
            dropped += 1;
            continue;
        }
        sent += 1;
        if let Some(cause) = failure(run, probe) {
            if cause == Cause::HarnessFault.code() {
                excused += 1;
            } else {
                failed += 1;
                *failures_by_cause.entry(cause).or_default() += 1;
            }
        }
    }
    let n = sent - excused;
    let latencies = latencies_us(run, probes);
    let is_trial = matches!(lane, Lane::NewConnection | Lane::ReusedChannel);
    let longest_gap_ms = longest_gap_us(run, probes, of_lane) as f64 / 1000.0;
    let resolution_ms = resolution_us(of_lane) as f64 / 1000.0;
    LaneReport {
        lane,
        actor: actor.to_owned(),
        credential,
        replica,
        sent,
        dropped,
        failed,
        excused,
        longest_gap_ms,
        resolution_ms,
        error_budget_used: match lane {
            Lane::StraddlingCall => Some(if failed + dropped > 0 { 1.0 } else { 0.0 }),
            _ => budget_used(longest_gap_ms, resolution_ms, failed + dropped > 0),
        },
        upper_bound_95: (is_trial && n > 0).then(|| upper_bound(failed, n)),
        failures_by_cause,
        latency_us_p50: share_within(&latencies, 50),
        latency_us_p99: share_within(&latencies, 99),
        latency_us_max: latencies.last().copied(),
    }
}

/// The share of the allowed gap that the longest one takes, the distance of two probes left out.
fn budget_used(longest_gap_ms: f64, resolution_ms: f64, has_failed: bool) -> Option<f64> {
    let allowed_ms = GAP_MS_MAX as f64 - resolution_ms;
    if allowed_ms <= 0.0 {
        return None;
    }
    let used = (longest_gap_ms - resolution_ms).max(0.0) / allowed_ms;
    Some(if has_failed { used.max(1.0) } else { used })
}

/// From the intended time to the expected answer, shortest first. What failed has no latency: how long
/// it took is told by its cause and by the gap.
fn latencies_us(run: &Run, probes: &[&Probe]) -> Vec<u64> {
    let answered =
        probes.iter().filter(|probe| probe.sent_us.is_some() && failure(run, probe).is_none());
    let mut all: Vec<u64> = answered.map(|probe| probe.latency_us()).collect();
    all.sort_unstable();
    all
}

/// The least latency within which so many of a hundred lie (nearest rank).
fn share_within(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Why a probe failed: the server's word if it has one, else the client's; `None` if it did not.
pub fn failure(run: &Run, probe: &Probe) -> Option<String> {
    let server = probe.server.as_ref();
    let of_server = server.and_then(|event| event.cause.clone());
    match &probe.answer {
        Answer::Expected if principal_is_wrong(run, probe) => {
            Some(Cause::PrincipalUnknown.code().to_owned())
        }
        Answer::Expected => None,
        Answer::Status(code) => Some(of_server.unwrap_or_else(|| (*code).to_owned())),
        Answer::Broken(own) => {
            let refused = server.filter(|event| event.outcome == "refused");
            // A server whose certificate was refused knows only that the handshake failed.
            let of_server = refused
                .and_then(|event| event.cause.clone())
                .filter(|cause| cause != Cause::HandshakeFailed.code());
            Some(of_server.unwrap_or_else(|| own.code().to_owned()))
        }
    }
}

/// An answer under another principal is not the expected one. Reflection has no principal.
fn principal_is_wrong(run: &Run, probe: &Probe) -> bool {
    if probe.lane == Lane::ServerStream {
        return false;
    }
    let expected = run.callers.iter().find(|(actor, _)| *actor == probe.caller);
    let seen = probe.server.as_ref().map(|event| event.principal.as_deref());
    match (expected, seen) {
        (Some((_, expected)), Some(seen)) => seen != Some(expected.as_str()),
        _ => false,
    }
}

/// Every cause that either end names. TLS 1.3's late refusal, where the client believed that it was
/// connected, has a code of its own beside the server's reason.
pub(super) fn causes(run: &Run, probe: &Probe) -> Vec<String> {
    let Some(cause) = failure(run, probe) else { return Vec::new() };
    let mut all = vec![cause];
    let refused_handshake = probe
        .server
        .as_ref()
        .is_some_and(|event| event.kind == "handshake" && event.outcome == "refused");
    if refused_handshake && probe.answering.is_some() {
        all.push(Cause::LateClientRefusal.code().to_owned());
    }
    all
}

/// Gaps are measured over all successes of the lane, within the span of the cell's own probes.
fn longest_gap_us(run: &Run, probes: &[&Probe], of_lane: &[&Probe]) -> u64 {
    let intended = probes.iter().map(|probe| probe.intended_us);
    let (Some(first), Some(last)) = (intended.clone().min(), intended.max()) else { return 0 };
    let mut successes: Vec<u64> = of_lane
        .iter()
        .filter(|probe| probe.sent_us.is_some() && failure(run, probe).is_none())
        .map(|probe| probe.intended_us)
        .filter(|at| (first..=last).contains(at))
        .collect();
    successes.sort_unstable();
    let mut edges = vec![first];
    edges.extend(successes);
    edges.push(last);
    edges.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// The median distance of two probes of the lane.
fn resolution_us(of_lane: &[&Probe]) -> u64 {
    let mut at: Vec<u64> = of_lane.iter().map(|probe| probe.intended_us).collect();
    at.sort_unstable();
    let mut distances: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied().unwrap_or_default()
}

/// The exact (Clopper-Pearson) one-sided 95 % upper bound of a share, of which `failed` of `n`
/// were seen; without a failure it is 1 - 0.05^(1/n).
pub fn upper_bound(failed: u64, n: u64) -> f64 {
    if failed >= n {
        return 1.0;
    }
    if failed == 0 {
        return 1.0 - 0.05_f64.powf(1.0 / n as f64);
    }
    let (mut low, mut high) = (failed as f64 / n as f64, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(failed, n, middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// P(X <= k) of a binomial distribution.
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    for i in 0..=k {
        if i > 0 {
            log_choose += (((n - i + 1) as f64) / (i as f64)).ln();
        }
        sum += (log_choose + i as f64 * p.ln() + (n - i) as f64 * (-p).ln_1p()).exp();
    }
    sum
}

/// Lanes whose probes are further apart than a gap that nobody notices: whether there was one cannot be
/// seen, and each run would show one. `None` if each lane of each caller is dense enough.
pub fn too_sparse(run: &Run) -> Option<String> {
    let callers = run.callers.len() as u64;
    let share = |permille: u32| 1_000_000 * callers / u64::from(permille.max(1));
    let rate = u64::from(run.density.rate_per_second.max(1));
    let lanes = [
        (Lane::NewConnection, run.density.new_connection_permille),
        (Lane::ServerStream, run.density.server_stream_permille),
    ];
    let sparse =
        lanes.into_iter().filter(|(_, permille)| *permille > 0).find_map(|(lane, permille)| {
            let apart_ms = share(permille) / rate;
            (apart_ms > GAP_MS_MAX).then_some((lane, apart_ms))
        });
    sparse.map(|(lane, apart_ms)| {
        format!(
            "each caller's probes of lane {} are {apart_ms} ms apart, so that a gap of {GAP_MS_MAX} ms \
             cannot be told",
            lane.name()
        )
    })
}

/// A probe loop that stopped, or sends that came too late: the harness was not there to see.
fn check_schedule(run: &Run, main: &[&Probe], invalid: &mut Vec<(Cause, String)>) {
    let scheduled = main.iter().filter(|probe| probe.lane != Lane::StraddlingCall).count() as u64;
    let expected = run.density.expected(run.length_us);
    if scheduled + 1 < expected {
        let what = format!("{scheduled} probes were begun where {expected} were due");
        invalid.push((Cause::ProbeNotSent, what));
    }
    let dropped = main.iter().filter(|probe| probe.sent_us.is_none()).count();
    if dropped > 0 {
        let what = format!("{dropped} probes were handed to the transport too late");
        invalid.push((Cause::ProbeNotSent, what));
    }
}

/// An empty sample proves nothing, nor does one that is excused.
fn check_lanes(run: &Run, lanes: &[LaneReport], invalid: &mut Vec<(Cause, String)>) {
    for (actor, _) in &run.callers {
        for lane in [Lane::NewConnection, Lane::ReusedChannel, Lane::ServerStream] {
            let wanted = match lane {
                Lane::NewConnection => run.density.new_connection_permille > 0,
                Lane::ServerStream => run.density.server_stream_permille > 0,
                Lane::ReusedChannel | Lane::StraddlingCall => true,
            };
            let mut own = lanes
                .iter()
                .filter(|row| row.replica.is_none() && row.lane == lane && row.actor == *actor);
            let sent: u64 = own.by_ref().map(|row| row.sent).sum();
            if wanted && sent < LANE_MIN {
                let what = format!(
                    "{sent} probes of {actor}'s lane {} were sent, where {LANE_MIN} are the least",
                    lane.name()
                );
                invalid.push((Cause::ProbeNotSent, what));
            }
        }
    }
    let pooled = || lanes.iter().filter(|row| row.replica.is_none());
    let (sent, excused) =
        pooled().fold((0, 0), |(sent, excused), row| (sent + row.sent, excused + row.excused));
    if excused as f64 > sent as f64 * EXCUSED_MAX {
        let what = format!("{excused} of {sent} probes failed for the harness's own reasons");
        invalid.push((Cause::HarnessFault, what));
    }
}

/// An answer of which the server has no record says nothing about whom it was given to.
fn check_records(run: &Run, main: &[&Probe], invalid: &mut Vec<(Cause, String)>) {
    let unrecorded = main
        .iter()
        .filter(|probe| probe.lane != Lane::ServerStream)
        .filter(|probe| failure(run, probe).is_none() && probe.server.is_none())
        .count();
    if unrecorded > 0 {
        let what = format!("{unrecorded} answers have no record at the server");
        invalid.push((Cause::HarnessFault, what));
    }
}

/// The lanes of single calls, which the control's fault hits.
fn is_unary(probe: &Probe) -> bool {
    matches!(probe.lane, Lane::NewConnection | Lane::ReusedChannel)
}

/// The longest distance between two single calls: a tick of theirs, with a stream's in between.
fn unary_tick_us(run: &Run) -> u64 {
    let at: Vec<u64> = run.probes.iter().filter(|p| is_unary(p)).map(|p| p.intended_us).collect();
    at.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or_default()
}

/// What the single calls saw of the control's outage.
fn seen(run: &Run, control: Control) -> ControlReport {
    let mut successes: Vec<u64> = run
        .probes
        .iter()
        .filter(|probe| is_unary(probe))
        .filter(|probe| probe.sent_us.is_some() && failure(run, probe).is_none())
        .map(|probe| probe.intended_us)
        .collect();
    successes.sort_unstable();
    // Only a gap that lies in the outage is of it.
    let overlaps = |pair: &&[u64]| pair[0] < control.until_us && pair[1] > control.from_us;
    let gap = successes.windows(2).filter(overlaps).map(|pair| pair[1] - pair[0]).max();
    ControlReport {
        injected_ms: (control.until_us - control.from_us) as f64 / 1000.0,
        seen_ms: gap.unwrap_or_default() as f64 / 1000.0,
    }
}

/// Whether no single call was answered in the last ten ticks before the control began: the run has
/// seen an outage then, and is red by it.
fn is_down_at_end(run: &Run) -> bool {
    let Some(control) = run.control else { return false };
    let tick_us = unary_tick_us(run).max(1);
    let from = run.length_us.saturating_sub(CONTROL_TICKS_MIN * tick_us);
    let mut last = run
        .probes
        .iter()
        .filter(|probe| is_unary(probe) && (from..control.from_us).contains(&probe.intended_us))
        .peekable();
    last.peek().is_some() && last.all(|probe| failure(run, probe).is_some())
}

fn check_control(run: &Run, seen: Option<&ControlReport>, invalid: &mut Vec<(Cause, String)>) {
    let (Some(control), Some(seen)) = (run.control, seen) else {
        let what = "the run has no negative control, so nothing shows that it can see an outage";
        invalid.push((Cause::HarnessFault, what.to_owned()));
        return;
    };
    // An outage that goes on already cannot be told from the control's, and shows as much.
    if is_down_at_end(run) {
        return;
    }
    if control.fired == 0 {
        let what = "the negative control's fault never fired";
        invalid.push((Cause::HarnessFault, what.to_owned()));
    }
    let tick_us = 1_000_000 / u64::from(run.density.rate_per_second.max(1));
    let least_us = CONTROL_US_MIN.max(CONTROL_TICKS_MIN * tick_us);
    let injected_us = control.until_us - control.from_us;
    if injected_us < least_us {
        let what = format!("the negative control lasted {injected_us} us, too short to be sure");
        invalid.push((Cause::HarnessFault, what));
    }
    // Two ticks of the calls that look, and what the harness was late itself.
    let tolerance_ms = (2 * unary_tick_us(run) + run.lag_us_max) as f64 / 1000.0;
    if (seen.seen_ms - seen.injected_ms).abs() > tolerance_ms {
        let what = format!(
            "the negative control of {:.0} ms was seen as a gap of {:.0} ms (tolerance {:.0} ms)",
            seen.injected_ms, seen.seen_ms, tolerance_ms
        );
        invalid.push((Cause::HarnessFault, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::ServerEvent;
    use crate::probe::Density;
    use fake_kingdom::model::Timestamp;

    const PRINCIPAL: &str = "dataProviders/AAAAAAAAAZQ";

    fn event() -> ServerEvent {
        ServerEvent {
            kind: "call".to_owned(),
            outcome: "ok".to_owned(),
            principal: Some(PRINCIPAL.to_owned()),
            replica: Some(0),
            ..ServerEvent::default()
        }
    }

    /// Ten seconds at 200/s without a failure, and a control that was seen.
    fn clean() -> Run {
        let density = Density::default();
        let control = Control { from_us: 10_000_000, until_us: 10_400_000, fired: 80 };
        let probes = (0..2_200)
            .map(|n| {
                let (lane, _) = density.slot(n, 1);
                let at = density.due_us(n);
                let down = at >= control.from_us && at < control.until_us;
                Probe {
                    sent_us: Some(at),
                    ended_us: at + 1_000,
                    answer: if down { Answer::Status("UNAVAILABLE") } else { Answer::Expected },
                    server: Some(Box::new(event())),
                    ..Probe::due(n, lane, "edp1", format!("p-{n}"), at)
                }
            })
            .collect();
        Run {
            density,
            callers: vec![("edp1".to_owned(), PRINCIPAL.to_owned())],
            started: Timestamp::default(),
            length_us: 10_000_000,
            lag_us_max: 0,
            control: Some(control),
            probes,
        }
    }

    fn spoil(run: &mut Run, range: std::ops::Range<u64>, answer: &Answer) {
        for probe in &mut run.probes {
            if range.contains(&probe.intended_us) {
                probe.answer = answer.clone();
            }
        }
    }

    #[test]
    fn the_error_budget_is_the_allowed_gap_and_one_failure_spends_it() {
        assert_eq!(budget_used(100.0, 100.0, false), Some(0.0), "one tick is no outage");
        assert_eq!(budget_used(300.0, 100.0, false), Some(0.5));
        assert_eq!(budget_used(500.0, 100.0, false), Some(1.0));
        assert_eq!(budget_used(900.0, 100.0, true), Some(2.0));
        assert_eq!(budget_used(100.0, 100.0, true), Some(1.0));
        assert_eq!(budget_used(600.0, 500.0, false), None, "too sparse to say");
    }

    #[test]
    fn a_clean_run_with_a_seen_control_proves_zero_downtime() {
        let judged = judge(&clean());
        assert_eq!(judged.invalid, []);
        assert_eq!(judged.zero_downtime(), Ok(()));
        let reused = judged.pooled().find(|row| row.lane == Lane::ReusedChannel).unwrap();
        assert_eq!(reused.sent, 1_800);
        assert!((reused.upper_bound_95.unwrap() - 0.001_663).abs() < 1e-5);
        assert_eq!(reused.failed, 0);
        assert!(reused.longest_gap_ms <= 15.0, "{}", reused.longest_gap_ms);
    }

    #[test]
    fn latency_counts_from_the_intended_time_of_what_was_answered() {
        let mut run = clean();
        run.probes.retain(|probe| probe.lane != Lane::StraddlingCall);
        let reused = run.probes.iter_mut().filter(|probe| probe.lane == Lane::ReusedChannel);
        // 1,800 in the run proper: the k-th took k us, but was handed over late by half of it.
        for (k, probe) in (1..=1_800).zip(reused) {
            probe.sent_us = Some(probe.intended_us + k / 2);
            probe.ended_us = probe.intended_us + k;
        }
        let row = |run: &Run| {
            let lanes = judge(run).lanes;
            let row = lanes
                .into_iter()
                .find(|row| row.replica.is_none() && row.lane == Lane::ReusedChannel);
            let row = row.unwrap();
            [row.latency_us_p50, row.latency_us_p99, row.latency_us_max]
        };
        assert_eq!(row(&run), [Some(900), Some(1_782), Some(1_800)]);
        // The slowest one failed: its time is no latency.
        let slowest = run.probes.iter_mut().find(|p| p.latency_us() == 1_800).unwrap();
        slowest.answer = Answer::Status("UNAVAILABLE");
        assert_eq!(row(&run), [Some(900), Some(1_782), Some(1_799)]);
        spoil(&mut run, 0..10_000_000, &Answer::Broken(Cause::Timeout));
        assert_eq!(row(&run), [None, None, None]);
    }

    #[test]
    fn a_share_of_latencies_is_one_that_was_measured() {
        for (n, p50, p99) in [(0, None, None), (1, Some(1), Some(1)), (2, Some(1), Some(2))] {
            let sorted: Vec<u64> = (1..=n).collect();
            assert_eq!((share_within(&sorted, 50), share_within(&sorted, 99)), (p50, p99), "{n}");
        }
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((share_within(&hundred, 50), share_within(&hundred, 99)), (Some(50), Some(99)));
    }

    #[test]
    fn two_probes_of_a_lane_prove_nothing_and_three_do() {
        for (kept, is_valid) in [(2, false), (3, true)] {
            let mut run = clean();
            let streams = run.probes.iter_mut().filter(|probe| probe.lane == Lane::ServerStream);
            for probe in streams.skip(kept) {
                probe.lane = Lane::ReusedChannel;
            }
            assert_eq!(judge(&run).invalid.is_empty(), is_valid, "{kept}");
            assert_eq!(judge(&run).is_too_short, !is_valid, "{kept}");
        }
    }

    #[test]
    fn an_answer_without_a_record_at_the_server_proves_nothing() {
        let mut run = clean();
        let at = run.probes.iter().position(|probe| probe.lane == Lane::ReusedChannel).unwrap();
        run.probes[at].server = None;
        assert_eq!(judge(&run).invalid.len(), 1);
    }

    #[test]
    fn a_new_credential_is_proven_by_an_answer_before_the_control() {
        let with_new_from = |from_us: u64, answer: &Answer| {
            let mut run = clean();
            for probe in run.probes.iter_mut().filter(|probe| probe.intended_us >= from_us) {
                probe.credential = CredentialAge::New;
            }
            spoil(&mut run, from_us..10_000_000, answer);
            judge(&run).unproven(&run)
        };
        assert_eq!(with_new_from(9_000_000, &Answer::Expected), Vec::<String>::new());
        assert_eq!(with_new_from(9_000_000, &Answer::Broken(Cause::UnknownIssuer)), ["edp1"]);
        assert_eq!(with_new_from(10_000_000, &Answer::Expected), ["edp1"]);
        assert_eq!(judge(&clean()).unproven(&clean()), Vec::<String>::new());
    }

    #[test]
    fn a_single_lost_call_is_noticed_with_its_cause() {
        let mut run = clean();
        spoil(&mut run, 5_000_000..5_005_000, &Answer::Broken(Cause::ConnectionCut));
        let judged = judge(&run);
        let noticed = judged.zero_downtime().unwrap_err();
        assert!(noticed.contains("1 connection_cut"), "{noticed}");
        assert_eq!(judged.invalid, []);
    }

    #[test]
    fn an_outage_of_a_second_is_a_gap_and_failures_in_every_lane() {
        let mut run = clean();
        spoil(&mut run, 5_000_000..6_000_000, &Answer::Broken(Cause::NobodyListens));
        let judged = judge(&run);
        for row in judged.pooled() {
            assert!(row.failed > 0, "{row:?}");
            assert!(row.longest_gap_ms >= 1_000.0, "{row:?}");
        }
    }

    #[test]
    fn the_servers_reason_outweighs_the_clients_and_a_late_refusal_has_its_own_code() {
        let mut run = clean();
        let probe = &mut run.probes[100];
        probe.answer = Answer::Broken(Cause::ConnectionCut);
        probe.answering = Some(crate::client::Answering::default());
        probe.server = Some(Box::new(ServerEvent {
            kind: "handshake".to_owned(),
            outcome: "refused".to_owned(),
            cause: Some("expired".to_owned()),
            ..ServerEvent::default()
        }));
        let judged = judge(&run);
        let causes: Vec<_> = judged.causes.iter().map(String::as_str).collect();
        assert_eq!(causes, ["expired", "late_client_refusal"]);
    }

    #[test]
    fn an_answer_under_another_principal_is_a_failure() {
        let mut run = clean();
        let at = run.probes.iter().position(|probe| probe.lane == Lane::NewConnection).unwrap();
        let other = ServerEvent { principal: Some("duchies/worker1".to_owned()), ..event() };
        run.probes[at].server = Some(Box::new(other));
        assert!(judge(&run).zero_downtime().unwrap_err().contains("1 principal_unknown"));
    }

    #[test]
    fn a_dropped_send_a_stopped_loop_and_an_empty_lane_prove_nothing() {
        let mut dropped = clean();
        dropped.probes[7].sent_us = None;
        let mut stopped = clean();
        stopped.probes.retain(|probe| !(4_000_000..9_000_000).contains(&probe.intended_us));
        let mut empty = clean();
        empty.callers.push(("mc1".to_owned(), "measurementConsumers/x".to_owned()));
        assert!(!judge(&dropped).is_too_short && !judge(&stopped).is_too_short);
        for run in [dropped, stopped, empty] {
            let causes: Vec<_> = judge(&run).invalid.iter().map(|(cause, _)| *cause).collect();
            assert!(causes.contains(&Cause::ProbeNotSent), "{causes:?}");
        }
    }

    #[test]
    fn probes_further_apart_than_a_gap_cannot_tell_one() {
        let with = |rate_per_second, callers: usize| {
            let density = Density { rate_per_second, ..Density::default() };
            let caller = |n| (format!("caller{n}"), PRINCIPAL.to_owned());
            too_sparse(&Run { density, callers: (0..callers).map(caller).collect(), ..clean() })
        };
        assert_eq!(with(200, 5), None);
        let why = with(100, 3).unwrap();
        assert!(why.contains("new_connection are 600 ms apart"), "{why}");
    }

    #[test]
    fn a_control_that_is_missing_unfired_unseen_or_misjudged_proves_nothing() {
        let missing = Run { control: None, ..clean() };
        let mut unfired = clean();
        unfired.control.as_mut().unwrap().fired = 0;
        let mut unseen = clean();
        spoil(&mut unseen, 10_000_000..10_400_000, &Answer::Expected);
        let mut short = clean();
        short.control.as_mut().unwrap().until_us = 10_100_000;
        let mut longer = clean();
        spoil(&mut longer, 10_000_000..10_700_000, &Answer::Status("UNAVAILABLE"));
        for (what, run) in [
            ("missing", missing),
            ("unfired", unfired),
            ("unseen", unseen),
            ("short", short),
            ("longer", longer),
        ] {
            assert!(!judge(&run).invalid.is_empty(), "{what}");
        }
    }

    #[test]
    fn an_outage_that_goes_on_at_the_end_needs_no_control_and_is_no_pass() {
        let mut run = clean();
        spoil(&mut run, 9_000_000..11_000_000, &Answer::Broken(Cause::NobodyListens));
        run.control.as_mut().unwrap().fired = 0;
        let judged = judge(&run);
        assert_eq!(judged.invalid, []);
        assert!(judged.zero_downtime().is_err());
        // Twin: an answer in the last ticks, and the control is asked for again.
        spoil(&mut run, 9_990_000..9_995_000, &Answer::Expected);
        assert!(!judge(&run).invalid.is_empty());
    }

    #[test]
    fn failures_of_the_harness_leave_the_sample_and_more_than_a_hundredth_proves_nothing() {
        let mut few = clean();
        spoil(&mut few, 0..50_000, &Answer::Broken(Cause::HarnessFault));
        let judged = judge(&few);
        assert_eq!(judged.invalid, []);
        assert_eq!(judged.zero_downtime(), Ok(()));
        assert_eq!(judged.pooled().map(|row| row.excused).sum::<u64>(), 10);
        let mut many = clean();
        spoil(&mut many, 0..500_000, &Answer::Broken(Cause::HarnessFault));
        assert!(!judge(&many).invalid.is_empty());
    }

    #[test]
    fn the_bound_is_exact_with_and_without_failures() {
        assert!((upper_bound(0, 5_990) - 0.000_5).abs() < 1e-6);
        // Clopper-Pearson, one-sided: 1 of 100 gives 4.656 %, 5 of 100 gives 10.225 %.
        assert!((upper_bound(1, 100) - 0.046_56).abs() < 1e-4);
        assert!((upper_bound(5, 100) - 0.102_25).abs() < 1e-4);
        assert!((upper_bound(3, 3) - 1.0).abs() < f64::EPSILON);
    }
}
