//! Known deviations: scenarios that state what ought to be and is not, because the real system cannot
//! do it. Each is listed with a reason; the day it is no longer true turns the run red.

use crate::environment::EnvironmentKind;
use crate::error::UsageError;
use crate::scenario::Scenario;
use crate::twins::{ExpectedVerdict, RedStep, Twin};
use serde::Deserialize;

static DEVIATIONS: &str = include_str!("../../scenarios/deviations.toml");
const FILE: &str = "scenarios/deviations.toml";

/// One known deviation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The scenario that is red.
    pub scenario: String,
    /// The clause that says why.
    pub clause: String,
    /// The reason, in words.
    pub reason: String,
    /// Since which revision of the contract it is known.
    pub since: String,
    /// The verdict that it has.
    pub expected_verdict: ExpectedVerdict,
    /// The cause that it is red for.
    pub expected_cause: String,
    /// The `Then` that is red.
    pub turns_red: String,
    /// Which one of that text, from 1; must be said where there are several.
    #[serde(default)]
    pub turns_red_nth: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    deviation: Vec<Deviation>,
}

/// The embedded deviations.
///
/// # Errors
/// The file is wrong.
pub fn embedded() -> Result<Vec<Deviation>, UsageError> {
    let file: File = toml::from_str(DEVIATIONS).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = DEVIATIONS.get(..at).unwrap_or_default().matches('\n').count() + 1;
        UsageError::Feature { file: FILE.to_owned(), line, reason: error.message().to_owned() }
    })?;
    Ok(file.deviation)
}

/// Lets the scenarios that are listed expect their red.
pub fn expect(scenarios: &mut [Scenario], deviations: &[Deviation], environment: EnvironmentKind) {
    for scenario in scenarios {
        let listed = deviations.iter().find(|deviation| deviation.scenario == scenario.id);
        if let (Some(deviation), None) = (listed, &scenario.twin) {
            let part = deviation.turns_red.clone();
            let red = RedStep::find(scenario, &part, deviation.turns_red_nth);
            scenario.deviation = Some(Twin {
                fault: String::new(),
                verdict: deviation.expected_verdict.verdict(),
                cause: deviation.expected_cause.clone(),
                // A step that is not there is never red: then it is not as listed.
                turns_red: Some(red.unwrap_or(RedStep { part, line: 0 })),
                environment,
                watch: None,
            });
        }
    }
}
