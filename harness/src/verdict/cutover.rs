//! Whether a cutover to mTLS took place, and who would be cut off by it. Pure.
//!
//! That all callers are served says nothing: they are served as well where nothing was switched.

use super::check;
use crate::observation::{Check, Fact, Observation, ServerEvent};
use crate::procedure::cutover::Callers;
use fake_kingdom::cause::Cause;
use std::collections::BTreeSet;

/// How one call ended at one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why it was refused; `None` if its caller was taken for its owner.
    pub refused_for: Option<String>,
    /// Whether the handshake refused it.
    pub in_handshake: bool,
    /// Number of the server's event.
    pub event: Option<u64>,
}

impl Ending {
    /// Of a call with this outcome and the server's record of it.
    pub fn of(refused_for: Option<String>, event: Option<&ServerEvent>) -> Self {
        let in_handshake = event.is_some_and(|event| event.kind == "handshake");
        Self { refused_for, in_handshake, event: event.map(|event| event.seq) }
    }

    fn show(&self) -> String {
        match &self.refused_for {
            None => "accepted".to_owned(),
            Some(cause) if self.in_handshake => format!("refused in the handshake with {cause}"),
            Some(cause) => format!("refused after the handshake with {cause}"),
        }
    }
}

/// What one replica must show for certificates to be required there: first that the caller is
/// accepted with its leaf, then that the same call without it is refused in the handshake.
pub fn required(actor: &str, replica: u32, bare: &Ending, with_leaf: &Ending) -> [Check; 2] {
    let what = format!("{actor} with its leaf at replica {replica}");
    let mut accepted = check::equal(what, "accepted", &with_leaf.show());
    accepted.evidence.extend(with_leaf.event);
    let what = format!("{actor} without a certificate at replica {replica}");
    let expected = format!("refused in the handshake with {}", Cause::NoClientCertificate.code());
    let mut refused = check::equal(what, &expected, &bare.show());
    refused.evidence.extend(bare.event);
    if bare.refused_for.is_none() {
        refused = refused.or(Cause::StillAccepted);
    }
    [accepted.or(Cause::CounterpartRefused), refused]
}

/// What one replica must show after a way back: the caller is served without a certificate again.
pub fn served_without(actor: &str, replica: u32, bare: &Ending) -> Check {
    let what = format!("{actor} without a certificate at replica {replica}");
    let mut check = check::equal(what, "accepted", &bare.show());
    check.evidence.extend(bare.event);
    match &bare.refused_for {
        Some(cause) if cause == Cause::NoClientCertificate.code() => {
            check.or(Cause::NoClientCertificate)
        }
        _ => check,
    }
}

/// Who calls without a certificate, by these names, as the servers recorded it. One whose calls
/// are refused for it, and of whom nothing else is known, is one more; whom the handshake refuses is cut off
/// already.
pub fn without_certificate(
    events: &[ServerEvent],
    expected: &str,
    name: impl Fn(&str) -> String,
) -> Check {
    let mut callers = Callers::default();
    for event in events {
        callers.see(event);
    }
    let names: BTreeSet<_> = callers.without_certificate().into_iter().map(name).collect();
    let mut names: Vec<_> = names.into_iter().collect();
    let refused = events.iter().filter(|event| {
        let cause = event.cause.as_deref();
        event.kind == "call"
            && event.principal.is_none()
            && cause == Some(Cause::NoClientCertificate.code())
    });
    names.extend(refused.map(|event| format!("nobody known (event {})", event.seq)).take(1));
    let observed = match names.as_slice() {
        // Silence proves nothing.
        [] if callers.all().is_empty() => "unknown, for nobody has called".to_owned(),
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let check = check::equal("callers without a certificate", expected, &observed);
    if names.is_empty() {
        check.or(Cause::FailureNotSeen)
    } else {
        check.or(Cause::NoClientCertificate)
    }
}

/// Whether a call without a certificate ended as it must where certificates are required.
pub fn is_required(bare: &Ending) -> bool {
    bare.in_handshake && bare.refused_for.as_deref() == Some(Cause::NoClientCertificate.code())
}

/// What the scenario puts in place when it says what replicas ask for.
pub const MODE: &str = "the mode of client certificates";

/// What keeps a scenario from being a cutover: that what replicas ask for stayed as it was from the start,
/// or that nobody was refused for want of a certificate, neither at every replica nor as a probe. That
/// phases were done says nothing.
pub fn unseen(log: &[Observation]) -> Option<String> {
    let is_mode = |observation: &Observation| matches!(&observation.fact, Fact::Placed { what } if what == MODE);
    if !log.iter().any(is_mode) {
        return Some(format!("{MODE} stayed as it was from the start"));
    }
    let took_place = log.iter().any(|observation| match &observation.fact {
        Fact::TriedBare { refused } => *refused,
        Fact::Probes(run) => run.probes.iter().any(|probe| {
            let event = probe.server.as_deref();
            let cause = event.and_then(|event| event.cause.as_deref());
            cause == Some(Cause::NoClientCertificate.code())
        }),
        _ => false,
    });
    (!took_place).then(|| "nobody was refused for want of a certificate".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(refused_for: Option<&str>, in_handshake: bool) -> Ending {
        Ending { refused_for: refused_for.map(str::to_owned), in_handshake, event: Some(1) }
    }

    fn holds(bare: &Ending, with_leaf: &Ending) -> [bool; 2] {
        required("mc1", 0, bare, with_leaf).map(|check| check.holds)
    }

    const ACCEPTED: Ending = Ending { refused_for: None, in_handshake: false, event: Some(2) };

    #[test]
    fn required_is_a_refusal_in_the_handshake_beside_an_acceptance() {
        let refused = ending(Some("no_client_certificate"), true);
        assert_eq!(holds(&refused, &ACCEPTED), [true, true]);
        assert_eq!(holds(&refused, &refused), [false, true], "a shut door proves nothing");
        assert_eq!(holds(&ACCEPTED, &ACCEPTED), [true, false]);
        let late = ending(Some("no_client_certificate"), false);
        assert_eq!(holds(&late, &ACCEPTED), [true, false], "the faithful UNKNOWN is no mTLS");
        let other = ending(Some("unknown_issuer"), true);
        assert_eq!(holds(&other, &ACCEPTED), [true, false]);
    }

    #[test]
    fn what_is_still_accepted_without_a_certificate_says_so() {
        let [_, check] = required("mc1", 1, &ACCEPTED, &ACCEPTED);
        assert_eq!(check.cause, Some(Cause::StillAccepted));
        assert_eq!(check.observed, "accepted");
        assert!(served_without("mc1", 1, &ACCEPTED).holds);
        let shut = ending(Some("no_client_certificate"), true);
        let check = served_without("mc1", 1, &shut);
        assert!(!check.holds);
        assert_eq!(check.cause, Some(Cause::NoClientCertificate));
    }

    #[test]
    fn who_shows_no_certificate_is_named_and_silence_is_not_none() {
        let call = |principal: &str, has_certificate: bool| ServerEvent {
            kind: "call".to_owned(),
            listener: Some("public".to_owned()),
            replica: Some(0),
            connection: Some(1),
            principal: Some(principal.to_owned()),
            peer: has_certificate.then(Default::default),
            ..ServerEvent::default()
        };
        let named = |events: &[ServerEvent], expected: &str| {
            without_certificate(events, expected, |principal| principal.replace("x/", ""))
        };
        let both = [call("x/mc1", false), call("x/edp1", true)];
        assert!(named(&both, "mc1").holds);
        assert_eq!(named(&both, "none").cause, Some(Cause::NoClientCertificate));
        assert!(named(&both[1..], "none").holds);
        assert_eq!(named(&both[1..], "mc1").cause, Some(Cause::FailureNotSeen));
        assert!(!named(&[], "none").holds);

        let refused = ServerEvent {
            outcome: "refused".to_owned(),
            cause: Some("no_client_certificate".to_owned()),
            principal: None,
            ..call("", false)
        };
        assert!(!named(&[call("x/edp1", true), refused], "none").holds, "it is one, whoever it is");
    }

    /// Phases up to distribute require nothing, and a switch that no replica read requires nothing either.
    #[test]
    fn a_cutover_is_one_only_if_somebody_was_refused_for_want_of_a_certificate() {
        use crate::observation::ObservationLog;
        use crate::procedure::{Ending, Phase, PhaseRecord};
        use fake_kingdom::model::Timestamp;

        let log = |refused: Option<bool>| {
            let mut log = ObservationLog::default();
            let at = Timestamp::default();
            let phase = PhaseRecord {
                name: Phase::Switch,
                start: at,
                end: at,
                gate: "open".to_owned(),
                forced: false,
                ending: Ending::Done,
                hook: None,
            };
            log.record(at, Fact::Phase(Box::new(phase)));
            log.record(at, Fact::Placed { what: MODE.to_owned() });
            if let Some(refused) = refused {
                log.record(at, Fact::TriedBare { refused });
            }
            log.take()
        };
        assert_eq!(unseen(&log(Some(true))), None);
        for refused in [None, Some(false)] {
            let why = unseen(&log(refused)).unwrap();
            assert!(why.contains("nobody was refused for want of a certificate"), "{why}");
        }
        let mut required_all_along = log(Some(true));
        required_all_along.retain(|observation| !matches!(observation.fact, Fact::Placed { .. }));
        let why = unseen(&required_all_along).unwrap();
        assert!(why.contains("stayed as it was from the start"), "{why}");
    }
}
