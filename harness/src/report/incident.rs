//! The page of an incident for whoever is on call: what happened, what is dead since when, what is
//! still open, what to do next. Pure.

use super::record::{Finding, ScenarioRecord};
use crate::impact::Assessment;
use crate::impact::facts::OwnerKind;
use crate::observation::CredentialKind;
use crate::verdict::deadness::Deadness;
use crate::verdict::repair::is_of_the_same;
use fake_kingdom::cause::Cause;
use fake_kingdom::model::Timestamp;
use std::time::Duration;

/// What the record of a scenario says of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident<'a> {
    /// What was done and what it found, in order.
    pub happened: Vec<Happened<'a>>,
    /// Credentials that are refused, each where it was tried.
    pub dead: Vec<&'a Deadness>,
    /// Where the certificates and keys that were assessed stand at the Kingdom, and since when that is
    /// known.
    pub standing: Vec<String>,
    /// What still works, or is noticed by nobody but a careful reader: in words, with its clause.
    pub open: Vec<(String, Option<&'a str>)>,
    /// What to do, in this order.
    pub next: Vec<String>,
}

/// A step of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened<'a> {
    /// When it began, RFC 3339, by the clock that dates the rest of the page.
    pub at: String,
    /// The step.
    pub text: &'a str,
    /// The table or text below it.
    pub argument: Option<&'a str>,
}

/// The code of a finding that a peer of an exchange takes a revoked certificate.
pub const TAKEN_BY_PEER: &str = "revoked_certificate_taken_by_peer";

/// Codes of findings that say what the real system lets happen, and what to do about each.
const OPEN: [(&str, &str); 9] = [
    (
        "old_credential_accepted",
        "Take the root of the stolen leaf out of the bundle of every server that still accepts it, and \
         restart it; give every other leaf of that root a successor first, or it is cut off too.",
    ),
    (
        "leaf_refused_by_the_map_alone",
        "Take the root of the stolen leaf out of the bundle of that server too, and restart it: without a \
         row of the principal map the leaf is nobody, and still passes the door of TLS.",
    ),
    (
        "dead_certificate_accepted",
        "List what names the certificate with `halo-harness impact --certificate NAME`, point the public \
         key at a new certificate, and have everything that was signed since the theft signed again.",
    ),
    (
        "dead_certificate_not_noticed",
        "Read results again with a reader that looks at revocation states (a reporting server does, \
         once its caches have expired; the official tool does not), and discard what it rejects.",
    ),
    (
        TAKEN_BY_PEER,
        "Give every peer that still takes the revoked certificate a newer root of its owner's, which the \
         certificate is not of, in the place of the one it stores, and have what was signed since the theft signed again: a peer of an exchange reads no \
         revocation state, and keeps certificates for ever.",
    ),
    (
        "replay_not_noticed",
        "Let whoever signed it list its own measurements, and cancel those that share a signed spec with \
         another; change the stolen credential, as a replay needs one that may create.",
    ),
    (
        "late_result_overwrites_failure",
        "Discard the result of every measurement that succeeded though its `failure` is filled, which \
         stays beside a result that came after it, and create it anew.",
    ),
    (
        "ciphertext_under_dead_key",
        "Restrict access to what is still encrypted to the stolen key wherever it is stored; cancel what \
         goes on and create it anew under the new key, since a specification cannot be changed.",
    ),
    (
        "missing_oid_not_noticed",
        "Ask the signer to sign again with the OID of its algorithm; until then the signature verifies \
         only as long as its issuer signs certificates by the same algorithm.",
    ),
];

/// The codes of findings that say what is open.
pub fn open_codes() -> impl Iterator<Item = &'static str> {
    OPEN.iter().map(|(code, _)| *code)
}

/// Whether a finding says what is open, rather than what failed.
pub fn is_open(finding: &Finding) -> bool {
    OPEN.iter().any(|(code, _)| *code == finding.code)
}

/// The incident of a scenario, if it tried a credential or found what is open.
pub fn of(scenario: &ScenarioRecord) -> Option<Incident<'_>> {
    let mut findings: Vec<_> =
        scenario.findings.iter().filter(|finding| is_open(finding)).collect();
    if scenario.deadness.is_empty() && scenario.impact.is_empty() && findings.is_empty() {
        return None;
    }
    let happened = scenario
        .steps
        .iter()
        .filter_map(|step| {
            let at = at(&scenario.started, step.at_ms?);
            Some(Happened { at, text: &step.text, argument: step.argument.as_deref() })
        })
        .collect();
    let (dead, alive): (Vec<_>, Vec<_>) =
        scenario.deadness.iter().partition(|one| one.first_refused.is_some());
    // What was found alive and died later is no longer open: its row says until when it lived.
    findings.retain(|finding| {
        let still = match finding.code.as_str() {
            code if code == OPEN[0].0 => "still works at",
            TAKEN_BY_PEER => "is still taken by",
            _ => return true,
        };
        !dead.iter().any(|one| {
            let kind = match finding.code.as_str() {
                TAKEN_BY_PEER => String::new(),
                _ => format!("old {} ", leaf_or_root(one.kind)),
            };
            finding.text.starts_with(&format!("{}'s {kind}", one.owner))
                && finding.text.contains(&format!("{still} {}:", one.door))
        })
    });
    // Each replica that was tried says the same.
    let mut open: Vec<(String, Option<&str>)> = Vec::new();
    for one in &findings {
        let told = (one.text.clone(), one.clause.as_deref());
        if !open.contains(&told) {
            open.push(told);
        }
    }
    let mut next: Vec<String> = Vec::new();
    let mut add = |what: String| {
        if !next.contains(&what) {
            next.push(what);
        }
    };
    // What its owner presents is meant to work.
    for one in alive.into_iter().filter(|one| !one.is_present) {
        let taken = format!("is still taken by {}:", one.door);
        if findings.iter().any(|one| one.code == TAKEN_BY_PEER && one.text.contains(&taken)) {
            continue;
        }
        let what = leaf_or_root(one.kind);
        let text = format!("{}'s old {what} still works at {}:", one.owner, one.door);
        let told = findings
            .iter()
            .any(|finding| finding.code == OPEN[0].0 && finding.text.starts_with(&text));
        if !told {
            let text = format!("{}'s {} still works at {}", one.owner, kind(one.kind), one.door);
            if !open.contains(&(text.clone(), None)) {
                open.push((text, None));
            }
            add(end_of(one));
        }
    }
    for (code, what) in OPEN {
        if findings.iter().any(|finding| finding.code == code) {
            add(what.to_owned());
        }
    }
    // Of several assessments of one thing the last one counts: what was repaired is not open.
    let mut standing = Vec::new();
    for (n, assessment) in scenario.impact.iter().enumerate() {
        if !is_last(scenario, n) {
            continue;
        }
        standing.push(stands(scenario, assessment));
        for gap in &assessment.not_known {
            open.push((
                format!("not known: {}, because {}; {}", gap.what, gap.why, gap.next),
                None,
            ));
        }
        for action in &assessment.plan {
            add(format!(
                "{}: {} {}, because {}",
                called(scenario, &action.who),
                in_words(action.action.name()),
                called(scenario, &action.subject),
                action.why
            ));
        }
        if assessment.plan.is_empty() {
            add(format!(
                "Nothing that the Kingdom shows: {} found nothing left to do about {}. Have what is \
                 not known above looked at by whom it names.",
                assessed_at(assessment),
                called(scenario, &assessment.subject.name)
            ));
        }
    }
    // A credential that is dead here may still have signed or encrypted what others hold.
    for one in &dead {
        match one.kind {
            CredentialKind::SigningCertificate => add(format!(
                "Assess what {} signed: `halo-harness impact --certificate {}` with the addresses and \
                 identities of docs/tools.md, then re-create, re-sign and delete as its plan says.",
                one.owner,
                if one.credential.contains('/') { one.credential.as_str() } else { "NAME" }
            )),
            // Without its digest the command would look for the key in force, which is the new one.
            CredentialKind::EncryptionKey => add(format!(
                "Assess what was encrypted to {}'s old key: `halo-harness impact --public-key \
                 OWNER/publicKey --key-sha256 {}`, OWNER being {}'s resource name, with the addresses and \
                 identities of docs/tools.md, then re-encrypt, cancel and create again, and have the \
                 operator delete the rest.",
                one.owner, one.credential, one.owner
            )),
            CredentialKind::TlsLeaf | CredentialKind::TlsRoot => add(
                "Watch authentication failures with the cause above: whoever still presents the old \
                 credential is a laggard to help, or the thief."
                    .to_owned(),
            ),
        }
    }
    Some(Incident { happened, dead, standing, open, next })
}

/// As findings name it.
fn leaf_or_root(kind: CredentialKind) -> &'static str {
    if kind == CredentialKind::TlsRoot { "root" } else { "leaf" }
}

/// What ends a credential that still works.
fn end_of(one: &Deadness) -> String {
    match one.kind {
        CredentialKind::TlsLeaf | CredentialKind::TlsRoot => {
            Cause::StillAccepted.next_step().to_owned()
        }
        CredentialKind::SigningCertificate => format!(
            "Revoke {}, once the public key of {} points at a new certificate, and let whoever still \
             accepts it look at its state.",
            one.credential, one.owner
        ),
        CredentialKind::EncryptionKey => format!(
            "Let {} put a new encryption key in force and take the old one, with SHA-256 {}, out of all that \
             loads it; let nobody encrypt to it again, and cancel what is encrypted to it and create it anew.",
            one.owner, one.credential
        ),
    }
}

/// Whether no later assessment of the scenario is of the same certificate or key.
pub fn is_last(scenario: &ScenarioRecord, n: usize) -> bool {
    let Some(one) = scenario.impact.get(n) else { return false };
    !scenario.impact[n + 1..].iter().any(|later| is_of_the_same(one, later))
}

/// `re_create` as `re-create`, `create_certificate` as `create certificate`.
fn in_words(name: &str) -> String {
    match name.strip_prefix("re_") {
        Some(rest) => format!("re-{}", rest.replace('_', " ")),
        None => name.replace('_', " "),
    }
}

/// A resource as the scenario calls it, with its name.
pub fn called(scenario: &ScenarioRecord, name: &str) -> String {
    match scenario.names.get(name) {
        Some(called) => format!("{called} ({name})"),
        None => name.to_owned(),
    }
}

/// Which assessment, by when it was made.
pub fn assessed_at(assessment: &Assessment) -> String {
    match assessment.read_finished {
        Some(finished) => format!("the assessment of {finished}"),
        None => "the assessment".to_owned(),
    }
}

fn has_ended(assessment: &Assessment) -> bool {
    match (assessment.subject.not_after, assessment.read_finished) {
        (Some(not_after), Some(now)) => not_after < now,
        _ => false,
    }
}

/// In which state the Kingdom holds what was stolen, and what it refuses for that.
fn stands(scenario: &ScenarioRecord, assessment: &Assessment) -> String {
    let subject = &assessment.subject;
    let means = match (subject.kind, subject.state) {
        ("certificate", "REVOKED" | "HOLD")
            if OwnerKind::of(&subject.owner) == Some(OwnerKind::ModelProvider) =>
        {
            "the Kingdom asks for it nowhere, and no peer of its owner's exchanges reads that state (1.6.2, \
             3.13.3)"
        }
        ("certificate", "REVOKED" | "HOLD") => {
            "what is created under it is refused, as are a Duchy's parameters; key updates, fulfilments and \
             results under it are accepted, and have to be noticed by whoever reads them (1.6.2)"
        }
        ("certificate", "REVOCATION_STATE_UNSPECIFIED") if has_ended(assessment) => {
            "it has run out, so that nothing new is created under it; whoever reads what it signed has to \
             look at its dates (1.6.1)"
        }
        ("certificate", "REVOCATION_STATE_UNSPECIFIED") => "nothing of it is refused for its state",
        ("certificate", _) => "what that means for what it signed is not known",
        (_, "UNKNOWN") => "nothing that was read names it",
        (_, "IN_FORCE") => "whoever encrypts anew still encrypts to it",
        _ => "nothing new is encrypted to it by whoever reads the key in force",
    };
    let name = called(scenario, &subject.name);
    format!("{name} is {} by {}: {means}.", subject.state, assessed_at(assessment))
}

fn at(started: &str, at_ms: f64) -> String {
    let after = Duration::try_from_secs_f64(at_ms / 1000.0).unwrap_or_default();
    match Timestamp::parse_rfc3339(started) {
        Some(started) => started.plus(after).to_string(),
        None => started.to_owned(),
    }
}

/// A kind of credential in words.
pub fn kind(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::TlsLeaf => "TLS leaf",
        CredentialKind::TlsRoot => "TLS root",
        CredentialKind::SigningCertificate => "signing certificate",
        CredentialKind::EncryptionKey => "encryption key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::evidence::Evidence;
    use crate::report::steps::{Outcome, StepRecord};
    use crate::verdict::Verdict;

    fn scenario() -> ScenarioRecord {
        ScenarioRecord {
            id: "compromise/x/y".to_owned(),
            verdict: Verdict::Pass,
            as_expected: true,
            fault: None,
            expected: None,
            detection: None,
            causes: Vec::new(),
            clauses: Vec::new(),
            reason: None,
            phases: Vec::new(),
            credentials: Vec::new(),
            lanes: Vec::new(),
            control: None,
            alerts: Vec::new(),
            deadness: Vec::new(),
            impact: Vec::new(),
            names: Default::default(),
            per_rotation: None,
            findings: Vec::new(),
            place: String::new(),
            audit_head: None,
            name: String::new(),
            started: String::new(),
            steps: Vec::new(),
            timelines: Vec::new(),
            evidence: Evidence::default(),
            replay: None,
        }
    }

    fn deadness(door: &str, first_refused: Option<&str>) -> Deadness {
        Deadness {
            credential: "aa".to_owned(),
            kind: CredentialKind::TlsLeaf,
            owner: "edp1".to_owned(),
            door: door.to_owned(),
            last_accepted: Some("2026-01-01T00:00:00Z".to_owned()),
            first_refused: first_refused.map(str::to_owned),
            cause: first_refused.map(|_| "unknown_issuer".to_owned()),
            is_present: false,
        }
    }

    fn finding(door: &str) -> Finding {
        Finding {
            code: "old_credential_accepted".to_owned(),
            clause: Some("2.1".to_owned()),
            text: format!("edp1's old leaf still works at {door}: take its root out"),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn what_still_works_is_open_and_has_a_next_step() {
        let mut scenario = scenario();
        scenario.deadness = vec![deadness("worker1", None)];
        let incident = of(&scenario).expect("an incident");
        assert!(incident.dead.is_empty());
        assert!(incident.open[0].0.contains("edp1") && incident.open[0].0.contains("worker1"));
        assert_eq!(incident.next, [Cause::StillAccepted.next_step()]);
    }

    #[test]
    fn what_its_owner_presents_ought_to_work_and_is_not_open() {
        let mut scenario = scenario();
        scenario.deadness = vec![Deadness { is_present: true, ..deadness("worker1", None) }];
        let incident = of(&scenario).expect("an incident");
        assert!(incident.open.is_empty() && incident.next.is_empty(), "{incident:?}");
    }

    #[test]
    fn what_was_found_alive_and_died_later_is_no_longer_open() {
        let mut scenario = scenario();
        scenario.findings = vec![finding("worker1"), finding("worker2")];
        scenario.deadness = vec![deadness("worker1", Some("2026-01-01T01:00:00Z"))];
        let incident = of(&scenario).expect("an incident");
        assert_eq!(incident.dead.len(), 1);
        assert_eq!(incident.open.len(), 1);
        assert!(incident.open[0].0.contains("worker2"), "{:?}", incident.open);
    }

    /// 4.5: no root of TLS has anything to do with it.
    #[test]
    fn a_revoked_certificate_is_open_at_each_peer_that_still_takes_it() {
        let taken = |party: &str| Finding {
            code: TAKEN_BY_PEER.to_owned(),
            clause: Some("4.5".to_owned()),
            text: format!(
                "modelprovider1's certificate c is still taken by {party}'s panel match: x"
            ),
            evidence: Vec::new(),
        };
        let tried = |party: &str, first_refused| Deadness {
            kind: CredentialKind::SigningCertificate,
            owner: "modelprovider1".to_owned(),
            ..deadness(&format!("{party}'s panel match"), first_refused)
        };
        let mut scenario = scenario();
        scenario.findings = vec![taken("edp1"), taken("edp2")];
        scenario.deadness = vec![tried("edp1", Some("2026-01-01T01:00:00Z")), tried("edp2", None)];
        let incident = of(&scenario).expect("an incident");
        let open: Vec<_> = incident.open.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(open, [taken("edp2").text], "each once, and none that is dead");
        assert!(incident.next[0].contains("a newer root of its owner's"), "{:?}", incident.next);
        assert!(!incident.next.iter().any(|what| what == Cause::StillAccepted.next_step()));
    }

    #[test]
    fn where_a_revoked_certificate_stands_depends_on_whose_it_is() {
        let stands_of = |owner: &str| {
            let mut one = crate::verdict::repair::tests::assessment("c", &[]);
            owner.clone_into(&mut one.subject.owner);
            stands(&scenario(), &one)
        };
        assert!(stands_of("modelProviders/x").contains("the Kingdom asks for it nowhere"));
        assert!(stands_of("dataProviders/x").contains("what is created under it is refused"));
    }

    #[test]
    fn a_root_that_was_found_alive_is_open_though_a_leaf_of_it_died() {
        let mut scenario = scenario();
        let root = finding("worker1").text.replace("leaf", "root");
        scenario.findings = vec![Finding { text: root, ..finding("worker1") }, finding("worker1")];
        scenario.deadness = vec![deadness("worker1", Some("2026-01-01T01:00:00Z"))];
        let open = of(&scenario).expect("an incident").open;
        assert_eq!(open.len(), 1, "{open:?}");
        assert!(open[0].0.starts_with("edp1's old root still works"), "{open:?}");
    }

    #[test]
    fn what_each_replica_says_is_told_once() {
        let mut scenario = scenario();
        scenario.findings = vec![finding("worker1"), finding("worker1"), finding("worker2")];
        assert_eq!(of(&scenario).expect("an incident").open.len(), 2);
    }

    #[test]
    fn what_ends_a_key_is_no_bundle() {
        let next = |kind| {
            let mut scenario = scenario();
            scenario.deadness = vec![Deadness { kind, ..deadness("x", None) }];
            of(&scenario).expect("an incident").next.concat()
        };
        assert!(next(CredentialKind::TlsLeaf).contains("bundle"));
        for kind in [CredentialKind::EncryptionKey, CredentialKind::SigningCertificate] {
            assert!(!next(kind).contains("bundle"), "{}", next(kind));
        }
        assert!(next(CredentialKind::EncryptionKey).contains("take the old one"));
        assert!(next(CredentialKind::SigningCertificate).contains("Revoke"));
    }

    /// What was repaired meanwhile is neither open nor left to do.
    #[test]
    fn of_two_assessments_of_one_thing_the_last_one_counts() {
        let mut scenario = scenario();
        scenario.deadness = vec![deadness("worker1", Some("2026-01-01T01:00:00Z"))];
        let of_todo = |name: &str, todo: bool| {
            let mut one = crate::verdict::repair::tests::assessment(
                name,
                if todo { &[crate::impact::plan::ActionKind::Cancel] } else { &[] },
            );
            one.not_known = vec![crate::impact::Gap::not_recorded("x", "y", "z")];
            one
        };
        scenario.impact = vec![of_todo("c", true), of_todo("c", false)];
        let repaired = of(&scenario).expect("an incident");
        assert!(!repaired.next.iter().any(|what| what.contains("cancel c")), "{:?}", repaired.next);
        assert_eq!(repaired.open.len(), 1, "one gap, once: {:?}", repaired.open);
        scenario.impact = vec![of_todo("c", true), of_todo("other", false)];
        let other = of(&scenario).expect("an incident");
        assert!(other.next.iter().any(|what| what.contains("cancel c")), "{:?}", other.next);
    }

    #[test]
    fn steps_are_dated_by_the_clock_that_dates_what_is_dead_and_keep_their_tables() {
        let mut scenario = scenario();
        scenario.started = "2026-01-01T00:00:00Z".to_owned();
        scenario.deadness = vec![deadness("worker1", None)];
        scenario.steps = vec![StepRecord {
            line: 3,
            keyword: "Then".to_owned(),
            text: "the monitor saw exactly".to_owned(),
            argument: Some("| edp1 | expired | 2.1 |".to_owned()),
            outcome: Outcome::Passed,
            at_ms: Some(1_800_500.0),
            took_ms: Some(0.0),
        }];
        let happened = of(&scenario).expect("an incident").happened;
        assert_eq!(happened[0].at, "2026-01-01T00:30:00.5Z");
        assert_eq!(happened[0].argument, Some("| edp1 | expired | 2.1 |"));
    }

    #[test]
    fn a_scenario_that_tried_no_credential_is_no_incident() {
        assert!(of(&scenario()).is_none());
    }
}
