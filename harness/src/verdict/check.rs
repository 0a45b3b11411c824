//! The comparisons that `Then` steps ask for. Pure: expectation and observation in, [`Check`] out.

use crate::observation::{Check, ServerEvent};
use fake_kingdom::cause::Cause;
use std::collections::BTreeMap;

/// What a caller saw of a call, as far as it is compared.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// A gRPC status arrived.
    Status {
        /// Its name.
        code: &'a str,
        /// The reason in its ErrorInfo.
        reason: Option<&'a str>,
    },
    /// No gRPC status arrived.
    NoStatus {
        /// What the transport said.
        why: &'a str,
    },
}

impl Outcome<'_> {
    fn show(&self) -> String {
        match self {
            Self::Status { code, reason: None } => (*code).to_owned(),
            Self::Status { code, reason: Some(reason) } => format!("{code} and reason {reason}"),
            Self::NoStatus { why } => format!("no gRPC status ({why})"),
        }
    }
}

/// Equality of two texts.
pub fn equal(what: impl Into<String>, expected: &str, observed: &str) -> Check {
    holds(what, expected, observed, expected == observed)
}

/// A status name, with or without a reason. Without one, any reason or none will do.
pub fn status(outcome: Outcome<'_>, code: &str, reason: Option<&str>) -> Check {
    let expected = Outcome::Status { code, reason }.show();
    let agree = match outcome {
        Outcome::Status { code: observed, reason: observed_reason } => {
            observed == code && (reason.is_none() || observed_reason == reason)
        }
        Outcome::NoStatus { .. } => false,
    };
    let check = holds("status", &expected, &outcome.show(), agree);
    // A refusal that did not come has no cause of its own.
    match outcome {
        Outcome::Status { code: "OK", .. } if code != "OK" => check.or(Cause::FailureNotSeen),
        _ => check,
    }
}

/// A text that must stand inside another.
pub fn contains(what: impl Into<String>, wanted: &str, observed: &str) -> Check {
    // Nothing stands inside everything: that proves nothing.
    let agree = !wanted.is_empty() && observed.contains(wanted);
    holds(what, &format!("a text with {wanted}"), observed, agree)
}

/// Presence or absence.
pub fn absent(what: impl Into<String>, observed: Option<&str>) -> Check {
    holds(what, "absent", observed.unwrap_or("absent"), observed.is_none())
}

/// A list in exactly this order.
pub fn list(what: impl Into<String>, expected: &[String], observed: &[String]) -> Check {
    holds(what, &show_list(expected), &show_list(observed), expected == observed)
}

/// The same members, as often, in any order.
pub fn same_members(what: impl Into<String>, expected: &[String], observed: &[String]) -> Check {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    let agree = sorted(expected) == sorted(observed);
    holds(what, &format!("{} in any order", show_list(expected)), &show_list(observed), agree)
}

/// A member that must (or must not) be in a list.
pub fn member(what: impl Into<String>, wanted: &str, observed: &[String], present: bool) -> Check {
    let expected = format!("{} {wanted}", if present { "contains" } else { "does not contain" });
    let found = observed.iter().any(|member| member == wanted);
    holds(what, &expected, &show_list(observed), found == present)
}

/// Two maps, exactly.
pub fn map(
    what: impl Into<String>,
    expected: &BTreeMap<String, String>,
    observed: &BTreeMap<String, String>,
) -> Check {
    holds(what, &show_map(expected), &show_map(observed), expected == observed)
}

/// A connection that the server refused, or that nobody accepted.
pub fn refused_connection(outcome: Outcome<'_>, handshake: Option<&ServerEvent>) -> Check {
    let at_the_door = handshake.is_some_and(|event| event.outcome == "refused");
    let observed = match (outcome, handshake) {
        (Outcome::NoStatus { why }, None) => format!("no handshake on the server's record ({why})"),
        (Outcome::NoStatus { .. }, Some(event)) => show_event(event),
        (Outcome::Status { .. }, _) => format!("accepted, and answered {}", outcome.show()),
    };
    let agree = matches!(outcome, Outcome::NoStatus { .. }) && at_the_door;
    holds("connection", "refused", &observed, agree)
}

/// The server's event of a handshake or call: outcome, and cause if one is expected.
pub fn server_event(
    what: impl Into<String>,
    event: Option<&ServerEvent>,
    outcome: &str,
    cause: Option<&str>,
) -> Check {
    let expected = match cause {
        Some(cause) => format!("{outcome} with cause {cause}"),
        None => outcome.to_owned(),
    };
    let agree = event.is_some_and(|event| {
        event.outcome == outcome && (cause.is_none() || event.cause.as_deref() == cause)
    });
    let observed = event.map_or_else(|| "no such event".to_owned(), show_event);
    let mut check = holds(what, &expected, &observed, agree);
    check.evidence = event.map(|event| event.seq).into_iter().collect();
    // A refusal that did not come has no cause of its own.
    if outcome == "refused" && event.is_none_or(|event| event.outcome != outcome) {
        return check.or(Cause::FailureNotSeen);
    }
    check
}

fn show_event(event: &ServerEvent) -> String {
    match &event.cause {
        Some(cause) => format!("{} with cause {cause}", event.outcome),
        None => event.outcome.clone(),
    }
}

fn holds(what: impl Into<String>, expected: &str, observed: &str, holds: bool) -> Check {
    Check {
        what: what.into(),
        expected: show(expected),
        observed: show(observed),
        holds,
        evidence: Vec::new(),
        cause: None,
    }
}

/// An empty text is hard to see.
fn show(text: &str) -> String {
    if text.is_empty() { "\"\"".to_owned() } else { text.to_owned() }
}

fn show_list(list: &[String]) -> String {
    format!("[{}]", list.join(", "))
}

fn show_map(map: &BTreeMap<String, String>) -> String {
    let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{{{}}}", entries.join(", "))
}
