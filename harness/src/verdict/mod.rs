//! Observations in, judgement out. Pure.

pub mod availability;
pub mod check;
pub mod credentials;
pub mod cutover;
pub mod deadness;
pub mod detection;
pub mod fates;
pub mod monitor;
pub mod outage;
pub mod reading;
pub mod refusal;
pub mod repair;
pub mod replay;
pub mod trust;

use crate::error::Owner;
use crate::observation::{Check, Fact, Observation};
use crate::probe::Run;
use fake_kingdom::cause::Cause;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// What a run of a scenario proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Every check was made and held.
    Pass,
    /// A check did not hold.
    Fail,
    /// The run proves nothing.
    Invalid,
    /// This environment cannot run the scenario.
    NotApplicable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
            Self::NotApplicable => "NOT_APPLICABLE",
        })
    }
}

/// A verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, unless it is a pass.
    pub reason: Option<String>,
    /// Whose fault it is, unless it is a pass.
    pub owner: Option<Owner>,
    /// Cause codes that the server recorded for the scenario's own calls, in order of the code.
    pub causes: Vec<String>,
    /// The step that decided.
    pub step: Option<DecidingStep>,
    /// The check that failed.
    pub failed: Option<Check>,
}

/// The step at which a scenario failed or stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidingStep {
    /// Its line.
    pub line: usize,
    /// Keyword and text.
    pub text: String,
}

/// What a scenario claims to change, by its tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `@rotation`: a credential.
    Rotation,
    /// `@cutover`: who is let in without a certificate.
    Cutover,
}

/// Judges a scenario that claims to change something: one in which nobody saw the change proves
/// nothing (design.md section 2).
pub fn judge_change(claims: &[Claim], log: &[Observation]) -> Judgement {
    let judgement = judge(log);
    if judgement.verdict != Verdict::Pass {
        return judgement;
    }
    let unseen = credentials::unseen(log)
        .or_else(|| reading::unproved(log))
        .or_else(|| claims.contains(&Claim::Cutover).then(|| cutover::unseen(log)).flatten());
    let Some(what) = unseen else { return judgement };
    let cause = Cause::NoChangeObserved;
    let mut causes = judgement.causes.clone();
    causes.push(cause.code().to_owned());
    causes.sort();
    Judgement {
        verdict: Verdict::Invalid,
        reason: Some(format!("{cause}: {what}. {}", cause.next_step())),
        owner: Some(Owner::Subject),
        causes,
        ..judgement
    }
}

/// Judges one scenario. The first of these that applies decides: what stopped it, a failed check,
/// a `Then` that compared nothing, an end that was not reached, no comparison at all.
pub fn judge(log: &[Observation]) -> Judgement {
    // What a run of probes that proves nothing is to blame for, of the first such run.
    let mut flaw = None;
    let causes: BTreeSet<String> = log
        .iter()
        .flat_map(|observation| match &observation.fact {
            Fact::Server(event) => event.cause.iter().cloned().collect(),
            Fact::Probes(run) => {
                let judged = availability::judge(run);
                flaw = flaw.take().or_else(|| judged.flaw());
                let invalid = judged.invalid.iter().map(|(cause, _)| cause.code().to_owned());
                judged.causes.into_iter().chain(invalid).collect()
            }
            Fact::Check(check) if !check.holds => {
                check.cause.iter().map(|cause| cause.code().to_owned()).collect()
            }
            Fact::Problem(problem) => {
                problem.cause.iter().map(|cause| cause.code().to_owned()).collect()
            }
            _ => BTreeSet::new(),
        })
        .collect();
    let pass = Judgement {
        verdict: Verdict::Pass,
        reason: None,
        owner: None,
        causes: causes.into_iter().collect(),
        step: None,
        failed: None,
    };
    let invalid = |reason: String, owner, step| Judgement {
        verdict: Verdict::Invalid,
        reason: Some(reason),
        owner: Some(owner),
        step,
        ..pass.clone()
    };

    let mut step = None;
    let mut is_then = false;
    let mut is_own = false;
    let mut checks = 0;
    let mut checks_of_step = 0;
    let mut finished = false;
    let mut last_event = None;
    for observation in log {
        match &observation.fact {
            Fact::Step(fact) => {
                let text = format!("{} {}", fact.keyword, fact.text);
                step = Some(DecidingStep { line: observation.line, text });
                is_then = fact.is_then;
                is_own = !fact.is_background;
                checks_of_step = 0;
            }
            Fact::Check(check) if !check.holds => {
                let mut check = check.clone();
                if check.evidence.is_empty() {
                    // What the server recorded of the call that the check is about.
                    check.evidence.extend(last_event);
                }
                return Judgement {
                    verdict: Verdict::Fail,
                    reason: Some(format!(
                        "{}: expected {}, observed {}",
                        check.what, check.expected, check.observed
                    )),
                    owner: Some(Owner::Subject),
                    step,
                    failed: Some(check),
                    ..pass
                };
            }
            Fact::Check(_) => {
                checks += usize::from(is_then && is_own);
                checks_of_step += 1;
            }
            Fact::Problem(problem) if problem.not_applicable => {
                return Judgement {
                    verdict: Verdict::NotApplicable,
                    ..invalid(problem.what.clone(), problem.owner, step)
                };
            }
            Fact::Problem(problem) => return invalid(problem.to_string(), problem.owner, step),
            Fact::StepDone if is_then && checks_of_step == 0 => {
                return invalid(
                    "the step compared nothing, so it cannot fail".to_owned(),
                    Owner::Harness,
                    step,
                );
            }
            Fact::Finished => finished = true,
            Fact::Call(_) => last_event = None,
            Fact::Server(event) => last_event = Some(event.seq),
            Fact::StepDone
            | Fact::Changed { .. }
            | Fact::Replaced { .. }
            | Fact::Presents { .. }
            | Fact::Placed { .. }
            | Fact::Reading(_)
            | Fact::TriedBare { .. }
            | Fact::ProbesStarted
            | Fact::Probes(_)
            | Fact::Phase(_)
            | Fact::Participant(_)
            | Fact::Overheard(_)
            | Fact::Trial(_)
            | Fact::Impact(_)
            | Fact::Finding(_)
            | Fact::Credential(_)
            | Fact::ProbesJudged(_)
            | Fact::Alert(_) => {}
        }
    }
    if !finished {
        let reason = "the scenario was broken off before its last step".to_owned();
        return invalid(reason, Owner::Harness, step);
    }
    let silent = not_predicted(log);
    let revived = deadness::revived(log);
    let mut causes = pass.causes.clone();
    if silent.is_none() && revived.is_some() {
        causes.push(Cause::StillAccepted.code().to_owned());
        causes.sort();
        causes.dedup();
    }
    if let Some(what) = silent.or(revived) {
        return Judgement {
            verdict: Verdict::Fail,
            reason: Some(what),
            owner: Some(Owner::Subject),
            causes,
            step: None,
            ..pass
        };
    }
    // Whatever a step has read from it, it is no evidence.
    if let Some((owner, what)) = flaw {
        return invalid(what, owner, None);
    }
    if checks == 0 {
        let reason = "no `Then` was evaluated, so nothing is proved; add one".to_owned();
        return invalid(reason, Owner::ScenarioAuthor, step);
    }
    pass
}

/// Failures of probes that no step has compared with anything: those of a caller of whom nobody spoke,
/// in any run.
fn not_predicted(log: &[Observation]) -> Option<String> {
    let mut run = None;
    let mut spoken: BTreeSet<&str> = BTreeSet::new();
    let silent = |run: Option<&Run>, spoken: &BTreeSet<&str>| {
        let failed = run.map(outage::who_failed).unwrap_or_default();
        let silent: Vec<_> = failed.difference(spoken).copied().collect();
        (!silent.is_empty()).then(|| {
            format!("probes of {} failed, and no step says that they must", silent.join(", "))
        })
    };
    for observation in log {
        match &observation.fact {
            Fact::Probes(next) => {
                if let Some(what) = silent(run, &spoken) {
                    return Some(what);
                }
                run = Some(&**next);
                spoken.clear();
            }
            Fact::ProbesJudged(actors) => spoken.extend(actors.iter().map(String::as_str)),
            _ => {}
        }
    }
    silent(run, &spoken)
}
