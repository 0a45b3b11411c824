//! What became of measurements and requisitions that were in flight while a procedure went on (contract
//! 1.6.3, 3.10.1, 3.13.4). Pure.

use crate::observation::Check;
use crate::verdict::check;
use fake_kingdom::cause::Cause;
use std::collections::BTreeMap;

/// What became of each, by what it is called: its state, then what else it is compared by.
pub type Fates = BTreeMap<String, Vec<String>>;

/// Exactly these, each come to exactly this. If not, the cause says whether something was lost that
/// should have been kept, or kept that should have been lost, or bound to another credential.
pub fn exactly(what: impl Into<String>, expected: &Fates, observed: &Fates) -> Check {
    let check = check::list(what, &shown(expected), &shown(observed));
    let state = |fates: &Fates, name: &str| {
        fates.get(name).and_then(|fate| fate.first().cloned()).unwrap_or_default()
    };
    let mut later = None;
    for (name, fate) in expected {
        let (wanted, was) = (rank(&state(expected, name)), rank(&state(observed, name)));
        if was < wanted {
            return check.or(Cause::MeasurementLost);
        }
        // One that is not listed yet was not lost either.
        if was > wanted || !observed.contains_key(name) {
            later = Some(Cause::FailureNotSeen);
        } else if later.is_none() && observed.get(name).is_some_and(|other| other != fate) {
            later = Some(Cause::NoChangeObserved);
        }
    }
    match later {
        Some(cause) => check.or(cause),
        // One too many.
        None => check.or(Cause::UnexpectedState),
    }
}

fn shown(fates: &Fates) -> Vec<String> {
    fates.iter().map(|(name, fate)| format!("{name}: {}", fate.join(", "))).collect()
}

/// How well it went: lost, open, done. What is not there at all is lost.
fn rank(state: &str) -> u8 {
    let word = state.split(' ').next().unwrap_or_default();
    match word {
        "" | "FAILED" | "REFUSED" | "WITHDRAWN" | "CANCELLED" => 0,
        "SUCCEEDED" | "FULFILLED" => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(rows: &[(&str, &str)]) -> Fates {
        let split = |text: &str| text.split(", ").map(str::to_owned).collect();
        rows.iter().map(|(name, fate)| ((*name).to_owned(), split(fate))).collect()
    }

    #[test]
    fn the_same_fates_hold() {
        let all = fates(&[("m", "SUCCEEDED"), ("n", "FAILED CERTIFICATE_REVOKED")]);
        assert!(exactly("fates", &all, &all).holds);
    }

    #[test]
    fn each_difference_has_its_cause() {
        let wanted =
            fates(&[("m", "SUCCEEDED, second"), ("n", "FAILED CERTIFICATE_REVOKED, first")]);
        for (observed, cause) in [
            (
                fates(&[
                    ("m", "FAILED CERTIFICATE_REVOKED, second"),
                    ("n", "FAILED CERTIFICATE_REVOKED, first"),
                ]),
                Some(Cause::MeasurementLost),
            ),
            (
                fates(&[
                    ("m", "AWAITING_REQUISITION_FULFILLMENT, second"),
                    ("n", "SUCCEEDED, first"),
                ]),
                Some(Cause::MeasurementLost),
            ),
            (fates(&[("n", "FAILED CERTIFICATE_REVOKED, first")]), Some(Cause::MeasurementLost)),
            (
                fates(&[("m", "SUCCEEDED, second"), ("n", "SUCCEEDED, first")]),
                Some(Cause::FailureNotSeen),
            ),
            (fates(&[("m", "SUCCEEDED, second")]), Some(Cause::FailureNotSeen)),
            (
                fates(&[("m", "SUCCEEDED, first"), ("n", "FAILED CERTIFICATE_REVOKED, first")]),
                Some(Cause::NoChangeObserved),
            ),
            (
                fates(&[
                    ("m", "SUCCEEDED, second"),
                    ("n", "FAILED CERTIFICATE_REVOKED, first"),
                    ("o", "SUCCEEDED, first"),
                ]),
                Some(Cause::UnexpectedState),
            ),
        ] {
            let check = exactly("fates", &wanted, &observed);
            assert!(!check.holds, "{observed:?}");
            assert_eq!(check.cause, cause, "{observed:?}");
        }
    }
}
