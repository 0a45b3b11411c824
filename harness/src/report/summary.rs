//! What the terminal shows at the end of a run.

use super::record::{Run, place};
use crate::error::Owner;
use crate::run::ScenarioResult;
use crate::twins;
use crate::verdict::Verdict;
use crate::verdict::credentials::PerRotation;
use std::fmt::Write as _;

/// One line for a scenario as it ends.
pub fn line(result: &ScenarioResult) -> String {
    let verdict = match (&result.scenario.twin, result.as_expected()) {
        (None, true) if result.scenario.deviation.is_some() => "DEVIATES".to_owned(),
        (None, _) => result.judgement.verdict.to_string(),
        (Some(_), true) => "RED AS STATED".to_owned(),
        (Some(_), false) => "NOT RED".to_owned(),
    };
    format!("{verdict:<14} {}", result.scenario.label())
}

/// Each scenario that did not pass, with what to do next; then the totals. The red of a twin that is
/// as stated is shown only if it was asked for.
pub fn summary(results: &[ScenarioResult], record: &Run, rerun: &str, show_red: bool) -> String {
    let totals = &record.totals;
    let mut text = String::new();
    let mut interrupted = 0;
    for result in results {
        let judgement = &result.judgement;
        if judgement.owner == Some(Owner::User) {
            interrupted += 1;
            continue;
        }
        if result.scenario.twin.is_none() && result.as_expected() {
            continue;
        }
        if result.scenario.deviation.is_some() {
            let _ = writeln!(
                text,
                "\nNO LONGER AS LISTED {}: take it off scenarios/deviations.toml, or find out why",
                result.scenario.label()
            );
        }
        let mut rerun = rerun.to_owned();
        if let Some(twin) = &result.scenario.twin {
            if result.as_expected() && !show_red {
                continue;
            }
            let expected = format!("{} with cause {}", twin.verdict, twin.cause);
            let at = twin
                .turns_red
                .as_ref()
                .map(|step| format!(" at `{}` (line {})", step.part, step.line));
            let red = if result.as_expected() { "RED AS STATED" } else { "NOT RED AS STATED" };
            let _ = writeln!(
                text,
                "\n{red} {}: expected {expected}{}",
                result.scenario.label(),
                at.unwrap_or_default()
            );
            if let Some(why) = result.detection.and_then(|detection| detection.too_late()) {
                let _ = writeln!(text, "  too late  {why}");
            }
            if !twins::is_for(&twin.cause, judgement, &result.log) {
                let told: Vec<_> = twins::red_for(judgement, &result.log).into_iter().collect();
                let _ = writeln!(text, "  red for   {}", told.join(", "));
            }
            rerun = format!("{rerun} --fault {}", twin.fault);
        }
        let _ = writeln!(text, "\n{} {}", judgement.verdict, result.scenario.label());
        let step = judgement.step.as_ref().map_or("", |step| step.text.as_str());
        let _ = writeln!(text, "  at        {}  {step}", place(result));
        match &judgement.failed {
            Some(check) => {
                let _ = writeln!(text, "  compared  {}", check.what);
                let _ = writeln!(text, "  expected  {}", check.expected);
                let _ = writeln!(text, "  observed  {}", check.observed);
            }
            None => {
                let reason = judgement.reason.as_deref().unwrap_or_default();
                let _ = writeln!(text, "  because   {reason}");
            }
        }
        let clauses = result.scenario.clauses();
        if !clauses.is_empty() {
            let _ = writeln!(text, "  clause    {}", clauses.join(", "));
        }
        if !judgement.causes.is_empty() {
            let _ = writeln!(text, "  causes    {}", judgement.causes.join(", "));
        }
        let _ = writeln!(text, "  rerun     {rerun} --scenario {}", result.scenario.id);
    }
    if interrupted > 0 {
        let _ = writeln!(text, "\ninterrupted: {interrupted} scenarios prove nothing");
    }
    if totals.twins < totals.scenarios || totals.twins == 0 {
        let _ = writeln!(
            text,
            "\n{} scenarios: {} passed, {} failed, {} invalid, {} not applicable",
            results.iter().filter(|result| result.scenario.twin.is_none()).count(),
            own(results, Verdict::Pass),
            own(results, Verdict::Fail),
            own(results, Verdict::Invalid),
            own(results, Verdict::NotApplicable)
        );
    }
    let known =
        results.iter().filter(|r| r.scenario.deviation.is_some() && r.as_expected()).count();
    if known > 0 {
        let _ = writeln!(text, "{known} known deviations, red as listed");
    }
    if totals.twins > 0 {
        let twins = || results.iter().filter(|result| result.scenario.twin.is_some());
        let red = twins().filter(|result| result.as_expected()).count();
        let _ = writeln!(text, "{} negative twins: {red} red as stated", totals.twins);
    }
    if let Some(PerRotation { n, bad, upper_bound_95 }) = record.per_rotation
        && n > 1
    {
        let most = upper_bound_95 * 100.0;
        let _ = writeln!(
            text,
            "{n} scenarios that rotated a leaf unnoticed: {bad} noticed, so at most {most:.1} % are (95 %)"
        );
    }
    text
}

/// Scenarios with a verdict; their twins and known deviations left out.
fn own(results: &[ScenarioResult], verdict: Verdict) -> usize {
    let is_own = |result: &&ScenarioResult| {
        let known = result.scenario.deviation.is_some() && result.as_expected();
        result.scenario.twin.is_none() && !known
    };
    results.iter().filter(is_own).filter(|result| result.judgement.verdict == verdict).count()
}
