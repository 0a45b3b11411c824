//! What the terminal shows at the end of a run.

use super::record::{Totals, place};
use crate::error::Owner;
use crate::run::ScenarioResult;
use crate::verdict::Verdict;
use std::fmt::Write as _;

/// One line for a scenario as it ends.
pub fn line(result: &ScenarioResult) -> String {
    format!("{:<14} {}", result.judgement.verdict.to_string(), result.scenario.id)
}

/// Each scenario that did not pass, with what to do next; then the totals.
pub fn summary(results: &[ScenarioResult], totals: &Totals, rerun: &str) -> String {
    let mut text = String::new();
    let mut interrupted = 0;
    for result in results {
        let judgement = &result.judgement;
        if judgement.owner == Some(Owner::User) {
            interrupted += 1;
            continue;
        }
        if judgement.verdict == Verdict::Pass {
            continue;
        }
        let _ = writeln!(text, "\n{} {}", judgement.verdict, result.scenario.id);
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
    let _ = writeln!(
        text,
        "\n{} scenarios: {} passed, {} failed, {} invalid, {} not applicable",
        totals.scenarios, totals.pass, totals.fail, totals.invalid, totals.not_applicable
    );
    text
}
