//! When a refused try of an old credential counts: only beside the same call on the new one succeeding
//! (method.md section 3). Pure.

use crate::error::Problem;
use crate::observation::{Attempt, Check};
use crate::verdict::check;
use fake_kingdom::cause::Cause;

/// How one try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Whether the answer was OK.
    pub accepted: bool,
    /// Cause code, the server's word if it has one.
    pub cause: Option<String>,
    /// Number of the server's event.
    pub event: Option<u64>,
    /// Subject key identifier of the client's leaf, as the server saw it.
    pub peer_skid: Option<String>,
}

impl From<&Attempt> for Try {
    fn from(attempt: &Attempt) -> Self {
        Self {
            accepted: attempt.refused_for.is_none(),
            cause: attempt.refused_for.clone(),
            event: attempt.events.first().copied(),
            peer_skid: None,
        }
    }
}

/// The old credential was refused for `cause`, where the new one was accepted for the same call.
///
/// # Errors
/// The new one was refused as well: the refusal of the old one proves nothing.
pub fn of_old_beside_new(cause: &str, old: &Try, new: &Try) -> Result<Check, Problem> {
    if !new.accepted {
        let why = new.cause.as_deref().unwrap_or("no cause known");
        return Err(Problem::author(
            format!("the new credential was refused for the same call ({why})"),
            "let the new credential work before the old one is tried",
        )
        .because(Cause::RefusalProvesNothing));
    }
    let observed = match (old.accepted, &old.cause) {
        (true, _) => "accepted",
        (false, Some(cause)) => cause.as_str(),
        (false, None) => "refused for no known cause",
    };
    let mut check = check::equal("the old credential's try", cause, observed);
    check.evidence.extend(old.event);
    check.evidence.extend(new.event);
    Ok(if old.accepted { check.or(Cause::FailureNotSeen) } else { check })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(cause: &str) -> Try {
        Try { accepted: false, cause: Some(cause.to_owned()), event: Some(1), peer_skid: None }
    }

    const ACCEPTED: Try = Try { accepted: true, cause: None, event: Some(2), peer_skid: None };

    #[test]
    fn a_refusal_beside_an_acceptance_counts() {
        let check = of_old_beside_new("unknown_issuer", &refused("unknown_issuer"), &ACCEPTED);
        let check = check.expect("it proves something");
        assert!(check.holds);
        assert_eq!(check.evidence, [1, 2]);
    }

    #[test]
    fn a_refusal_of_both_proves_nothing() {
        let both = of_old_beside_new("unknown_issuer", &refused("unknown_issuer"), &refused("x"));
        assert_eq!(both.expect_err("nothing").cause, Some(Cause::RefusalProvesNothing));
    }

    #[test]
    fn another_cause_or_an_acceptance_fails() {
        let other = of_old_beside_new("unknown_issuer", &refused("certificate_expired"), &ACCEPTED);
        assert!(!other.expect("it proves something").holds);
        let alive = of_old_beside_new("unknown_issuer", &ACCEPTED, &ACCEPTED).expect("it does");
        assert_eq!((alive.holds, alive.cause), (false, Some(Cause::FailureNotSeen)));
    }
}
