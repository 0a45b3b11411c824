//! What makes a run INVALID, and whose fault it is.

use crate::support::{plan, play, play_tagged};
use halo_harness::error::{Owner, Problem};
use halo_harness::observation::{Check, Fact, Observation, ObservationLog, StepFact};
use halo_harness::verdict::{Claim, Verdict, judge};

const CALL: &str = "When edp1 reads the certificate edp1.certificate\n";

fn invalid(steps: &str) -> (Owner, String) {
    let judgement = play(steps).judgement;
    assert_eq!(judgement.verdict, Verdict::Invalid, "{steps}");
    (judgement.owner.unwrap(), judgement.reason.unwrap())
}

#[test]
fn a_scenario_that_holds_passes() {
    let judgement = play(&format!("{CALL}Then the call succeeds")).judgement;
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Pass, None));
}

#[test]
fn an_undefined_step_is_invalid_wherever_it_stands() {
    for steps in [
        "Given nothing that anybody knows\nThen the call succeeds".to_owned(),
        format!("{CALL}Then the call succeeds\nAnd the moon is full"),
    ] {
        let (owner, reason) = invalid(&steps);
        assert_eq!(owner, Owner::ScenarioAuthor);
        assert!(reason.contains("undefined"), "{reason}");
    }
}

#[test]
fn an_undefined_step_is_shown_the_one_that_was_meant() {
    let steps = format!("{}{}", CALL.replace("reads the", "raeds the"), "Then the call succeeds");
    let (_, reason) = invalid(&steps);
    assert!(reason.contains("edp1 reads the certificate"), "{reason}");
}

#[test]
fn a_check_under_when_and_an_action_under_then_are_undefined() {
    for steps in [format!("{CALL}And the call succeeds"), format!("Then {}", &CALL[5..])] {
        assert!(invalid(&steps).1.contains("undefined"), "{steps}");
    }
}

#[test]
fn a_scenario_without_steps_or_without_a_then_is_invalid() {
    assert!(invalid("").1.contains("no steps"));
    assert!(invalid(CALL).1.contains("no `Then`"));
    // Registering checks that it succeeded, but that is no `Then`.
    let setup = "Given edp1 has a new certificate called c\nWhen edp1 registers its certificate c";
    assert!(invalid(setup).1.contains("no `Then`"));
}

#[test]
fn mistakes_of_the_author_are_invalid_and_named() {
    for (steps, named) in [
        ("When nobody reads the certificate edp1.certificate", "no actor `nobody`"),
        ("When edp1 reads the certificate edp9.certificate", "no variable {edp9.certificate}"),
        ("When edp1 calls Certificates.Nonsense", "has no method Nonsense"),
        ("When edp1 calls Nonsense.Get", "no service is named"),
        ("When edp1 calls Certificates.GetCertificate with", "no doc string"),
        (
            "When edp1 calls Certificates.GetCertificate with\n\"\"\"\nnam: \"x\"\n\"\"\"",
            "line 1, column 1",
        ),
        ("Given edp1 presents a \"nonsense\" certificate", "no certificate of the kind"),
        ("Given the quirk nonsense is faithful", "no quirk is named"),
        ("Given a running Kingdom\nAnd a Kingdom with 3 replicas", "already running"),
        ("When replica 9 is restarted", "no replica 9"),
        ("Then the call succeeds", "no call was made yet"),
        (
            "Given probes call the Kingdom as edp1\nWhen the probes go on for 200 ms\n\
             And the probes stop\nThen edp1's probes of lane new_connection failed with expired",
            "a table with 2 column(s)",
        ),
        (
            "Given probes call the Kingdom as edp1\nWhen the probes go on for 200 ms\n\
             And the probes stop\n\
             Then edp1's probes of lane new_connection failed with expired to the end\n\
             | from  | one |\n| until | two |",
            "is ended by no step",
        ),
        (
            "Given probes call the Kingdom as edp1\nWhen the probes go on for 200 ms\n\
             And the probes stop\n\
             Then edp1's probes of lane new_connection failed with expird\n| from | one |",
            "did you mean `expired`?",
        ),
        (
            "Given a procedure cuts the Kingdom over to mTLS, with the peer mc1",
            "client certificates are required already",
        ),
        (
            "Given client certificates are off\n\
             And a procedure cuts the Kingdom over to mTLS, with the peer operator",
            "no participant of the sandbox",
        ),
        (
            "Given client certificates are off\n\
             And a procedure cuts the Kingdom over to mTLS, with the peer mc1\n\
             And a procedure rotates the Kingdom's leaf, with the peer mc1",
            "a procedure goes on already",
        ),
        (
            "Given mc1 presents no certificate\n\
             Then mc1 is refused without a certificate by every replica, and accepted with its leaf",
            "mc1 has no leaf, so its refusal proves nothing",
        ),
    ] {
        let (owner, reason) = invalid(&format!("{steps}\nThen the call succeeds"));
        assert_eq!(owner, Owner::ScenarioAuthor, "{steps}");
        assert!(reason.contains(named), "{steps}: {reason}");
    }
    for (then, named) in [
        ("the response has nam: x", "has no field nam"),
        ("the call fails with NONSENSE", "no gRPC error code"),
        ("the call fails with OK", "no gRPC error code"),
        ("the server recorded a refused call with cause nonsense", "no cause has the code"),
        ("the response has 1 name", "not a list"),
        ("the stream has 1 message", "answers with one message"),
        ("the stream has 0 messages", "answers with one message"),
    ] {
        let (owner, reason) = invalid(&format!("{CALL}Then {then}"));
        assert_eq!(owner, Owner::ScenarioAuthor, "{then}");
        assert!(reason.contains(named), "{then}: {reason}");
    }
}

#[test]
fn what_is_read_from_probes_that_stopped_looking_proves_nothing() {
    let steps = "Given probes call the Kingdom as edp1\nWhen the probes go on for 400 ms\n\
                 And edp1 presents a fresh leaf of its root\nAnd the probes go on for 400 ms\n\
                 And the probe loop breaks off\nAnd the probes go on for 600 ms\n\
                 And the probes stop\nThen the calls of edp1 ended on its new credential\n";
    let (owner, reason) = invalid(steps);
    assert_eq!(owner, Owner::Environment);
    assert!(reason.contains("the probes prove nothing"), "{reason}");
    // Nor does a run that another one follows.
    let again = "Given probes call the Kingdom as edp1\nWhen the probes go on for 800 ms\n\
                 And the probes stop\nThen nobody noticed\n";
    invalid(&format!("{steps}{again}"));
}

/// What a scenario proves that claims this.
fn claiming(claim: Claim, steps: &str) -> (Verdict, String) {
    let tag = match claim {
        Claim::Rotation => "@rotation",
        Claim::Cutover => "@cutover",
    };
    let result = play_tagged(&plan(), tag, steps);
    let unclaimed = judge(&result.log);
    assert_eq!(unclaimed.verdict, Verdict::Pass, "{steps}{:?}", unclaimed.reason);
    (result.judgement.verdict, result.judgement.reason.unwrap_or_default())
}

const PROBED: &str = "Given probes call the Kingdom as edp1 and mc1\n";
const GRACE: &str = "Given a stopping replica waits 100 ms\n";
const OTHER_LEAF: &str = "When the probes go on for 300 ms\n\
                          And mc1 presents a fresh leaf of its root\n";
const UNNOTICED: &str = "And the probes go on for 500 ms\n\
                         And the probes stop\n\
                         Then nobody noticed\n";

#[test]
fn a_rotation_is_one_if_each_leaf_that_was_replaced_was_seen() {
    let steps = format!("{PROBED}{OTHER_LEAF}{UNNOTICED}");
    assert_eq!(claiming(Claim::Rotation, &steps).0, Verdict::Pass);
}

#[test]
fn a_rotation_in_which_nothing_was_replaced_is_invalid() {
    let steps = format!("{PROBED}When the probes go on for 300 ms\n{UNNOTICED}");
    let (verdict, reason) = claiming(Claim::Rotation, &steps);
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("nobody was seen to present another"), "{reason}");
}

#[test]
fn that_a_bystander_changed_its_leaf_is_no_rotation_of_the_kingdoms() {
    // Its replicas read their files as they start, and none did.
    let kingdoms = "And the Kingdom gets a new certificate\n";
    let (verdict, reason) =
        claiming(Claim::Rotation, &format!("{PROBED}{OTHER_LEAF}{kingdoms}{UNNOTICED}"));
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("no probe saw the TLS leaf of kingdom with"), "{reason}");
}

#[test]
fn a_leaf_that_one_replica_never_showed_is_not_rotated() {
    let kingdoms = "When the probes go on for 300 ms\nAnd the Kingdom gets a new certificate\n";
    let restarted = |what: &str| format!("{PROBED}{kingdoms}And {what}\n{UNNOTICED}");
    let begin = "Given a stopping replica waits 100 ms\n";
    let claim = |what| claiming(Claim::Rotation, &format!("{begin}{}", restarted(what)));
    assert_eq!(claim("all 2 replicas are restarted").0, Verdict::Pass);
    let (verdict, reason) = claim("replica 0 is restarted");
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("no probe saw replica 1 with"), "{reason}");
}

#[test]
fn a_cutover_is_one_if_somebody_was_refused_for_want_of_a_certificate() {
    let begin = "Given the quirk no-client-certificate-is-unknown is as-documented\n\
                 And client certificates are optional\n\
                 And mc1 presents no certificate\n\
                 And mc1 sends the API key \"{mc1.api_key}\"\n";
    let steps = format!("{begin}{PROBED}{OTHER_LEAF}{UNNOTICED}");
    let (verdict, reason) = claiming(Claim::Cutover, &steps);
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("stayed as it was from the start"), "{reason}");
    let optional = format!(
        "{GRACE}{begin}{PROBED}\
         When the probes go on for 100 ms\n\
         And replicas ask for optional client certificates from their next start on\n\
         And all 2 replicas are restarted\n{OTHER_LEAF}{UNNOTICED}"
    );
    let served = "And mc1 is served without a certificate by every replica\n";
    for steps in [optional.clone(), format!("{optional}{served}")] {
        let (verdict, reason) = claiming(Claim::Cutover, &steps);
        assert_eq!(verdict, Verdict::Invalid);
        assert!(reason.contains("for want of a certificate"), "{reason}");
    }
    let required = |restarted: &str| {
        format!(
            "{GRACE}{begin}{PROBED}{OTHER_LEAF}\
             And the probing caller mc1 starts again\n\
             And replicas ask for required client certificates from their next start on\n\
             And {restarted}\n{UNNOTICED}"
        )
    };
    let refused =
        "Then mc1 is refused without a certificate by every replica, and accepted with its leaf\n";
    let whole = format!("{}{refused}", required("all 2 replicas are restarted"));
    assert_eq!(claiming(Claim::Cutover, &whole).0, Verdict::Pass);
    // A call without a certificate is refused by one replica, and served by the other.
    let (verdict, reason) = claiming(Claim::Cutover, &required("replica 0 is restarted"));
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("never read whether to ask for client certificates"), "{reason}");
}

#[test]
fn what_is_put_in_place_before_or_after_the_probes_must_be_read_and_probed_too() {
    let leaf = "When the Kingdom gets a new certificate\n";
    let all = "When all 2 replicas are restarted\n";
    let one = "When replica 0 is restarted\n";
    let begin = "Given a stopping replica waits 100 ms\n";
    let probed = format!("{PROBED}{OTHER_LEAF}{UNNOTICED}");
    let claim = |steps: &str| claiming(Claim::Rotation, &format!("{begin}{steps}"));
    assert_eq!(claim(&format!("{leaf}{all}{probed}")).0, Verdict::Pass);
    for (steps, why) in [
        (format!("{leaf}{one}{probed}"), "replica 1 never read its TLS leaf"),
        (format!("{probed}{leaf}"), "replica 0 never read its TLS leaf"),
        (format!("{probed}{leaf}{all}"), "of edp1 was due after the Kingdom's --tls-cert-file"),
        (format!("{leaf}{one}{probed}{all}"), "replica 1 never read its TLS leaf"),
    ] {
        let (verdict, reason) = claim(&steps);
        assert_eq!(verdict, Verdict::Invalid, "{steps}");
        assert!(reason.contains(why), "{steps}{reason}");
    }
}

#[test]
fn what_one_caller_called_after_is_not_proved_for_another() {
    let begin = format!("{GRACE}{PROBED}{OTHER_LEAF}{UNNOTICED}");
    let removed = "When the trust bundle no longer includes edp1's root\n\
                   And all 2 replicas are restarted\n";
    let only_mc1 = "When probes call the Kingdom as mc1\nAnd the probes go on for 400 ms\n\
                    And the probes stop\nThen nobody noticed\n";
    let (verdict, reason) = claiming(Claim::Rotation, &format!("{begin}{removed}{only_mc1}"));
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("no new connection of edp1 was due after"), "{reason}");
}

#[test]
fn what_was_restarted_once_more_or_written_as_it_was_needs_no_more_probes() {
    let whole = format!("{GRACE}{PROBED}{OTHER_LEAF}{UNNOTICED}");
    let again = "When all 2 replicas are restarted\nAnd the trust bundle is the first one again\n";
    assert_eq!(claiming(Claim::Rotation, &format!("{whole}{again}")).0, Verdict::Pass);
}

#[test]
fn files_that_replicas_refuse_are_told_by_a_step_or_prove_nothing() {
    let glued = "Given replicas read changed files while they run\nAnd edp1 gets a new root\n";
    let steps = format!(
        "{glued}{PROBED}{OTHER_LEAF}\
         And the trust bundle gets edp1's new root without a newline between the two\n\
         And the probes go on for 1300 ms\n{UNNOTICED}"
    );
    let (verdict, reason) = claiming(Claim::Rotation, &steps);
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("refused its files, and no step says so"), "{reason}");
    let told = format!("{steps}And replica 0 does not reload\n");
    assert_eq!(claiming(Claim::Rotation, &told).0, Verdict::Pass);
}

#[test]
fn a_trust_bundle_that_no_replica_has_read_was_not_changed() {
    let bundle = "Given a stopping replica waits 100 ms\nAnd edp1 gets a new root\n\
                  When the trust bundle includes edp1's new root\n";
    let probed = format!("{PROBED}{OTHER_LEAF}{UNNOTICED}");
    let (verdict, reason) = claiming(Claim::Rotation, &format!("{bundle}{probed}"));
    assert_eq!(verdict, Verdict::Invalid);
    assert!(reason.contains("replica 0 never read its trust bundle"), "{reason}");
    let read = format!("{bundle}And all 2 replicas are restarted\n{probed}");
    assert_eq!(claiming(Claim::Rotation, &read).0, Verdict::Pass);
}

#[test]
fn where_probes_were_not_sent_no_failed_check_is_the_subject_s() {
    let then = "Then the calls of edp1 ended on its new credential\n";
    let probes = |what: &str| {
        format!(
            "{PROBED}When the probes go on for 300 ms\n{what}And the probes go on for 300 ms\n\
             And the probes stop\n{then}"
        )
    };
    assert_eq!(play(&probes("")).judgement.verdict, Verdict::Fail);
    let (owner, reason) = invalid(&probes("And the probe loop breaks off\n"));
    assert_eq!(owner, Owner::Environment);
    assert!(reason.contains("probe_not_sent"), "{reason}");
}

#[test]
fn a_network_or_a_clock_that_hit_nobody_proves_nothing() {
    let by = |what: &str, calls: &str| {
        format!(
            "Given {what}\n{calls}When edp1 reads the certificate edp1.certificate\nThen the call succeeds"
        )
    };
    let calls = "When mc1 reads the certificate mc1.certificate\n";
    for what in ["messages of mc1 take 20 ms each way", "the clock of mc1 is 2 hours ahead"] {
        let (owner, reason) = invalid(&by(what, ""));
        assert_eq!(owner, Owner::ScenarioAuthor);
        assert!(reason.contains("which hit nothing"), "{reason}");
        assert_eq!(play(&by(what, calls)).judgement.verdict, Verdict::Pass, "{what}");
    }
}

#[test]
fn a_failed_check_decides_before_anything_later() {
    let result = play(&format!("{CALL}Then the call fails with ABORTED\nAnd the moon is full"));
    assert_eq!(result.judgement.verdict, Verdict::Fail);
    assert_eq!(result.judgement.step.unwrap().line, 4);
}

fn log(facts: Vec<Fact>) -> Vec<Observation> {
    let mut log = ObservationLog::default();
    for fact in facts {
        log.record(Default::default(), fact);
    }
    log.all().to_vec()
}

fn step(is_then: bool) -> Fact {
    Fact::Step(StepFact {
        keyword: "Then".to_owned(),
        text: "x".to_owned(),
        is_then,
        is_background: false,
    })
}

fn check(holds: bool) -> Fact {
    let text = || "x".to_owned();
    Fact::Check(Check {
        what: text(),
        expected: text(),
        observed: text(),
        holds,
        evidence: vec![],
        cause: None,
    })
}

#[test]
fn a_then_that_compared_nothing_is_a_fault_of_the_harness() {
    let judgement = judge(&log(vec![
        step(true),
        check(true),
        Fact::StepDone,
        step(true),
        Fact::StepDone,
        Fact::Finished,
    ]));
    assert_eq!((judgement.verdict, judgement.owner), (Verdict::Invalid, Some(Owner::Harness)));
}

#[test]
fn a_scenario_that_was_broken_off_is_invalid_although_its_checks_held() {
    let judgement = judge(&log(vec![step(true), check(true), Fact::StepDone]));
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(judge(&[]).verdict, Verdict::Invalid);
}

#[test]
fn what_an_environment_cannot_do_is_not_applicable_and_nobody_fails() {
    let problem = Problem::not_applicable("no virtual time here");
    let judgement = judge(&log(vec![step(false), Fact::Problem(problem)]));
    assert_eq!(judgement.verdict, Verdict::NotApplicable);
    assert_eq!(judgement.reason.as_deref(), Some("no virtual time here"));
}

#[test]
fn a_fault_of_harness_or_environment_is_never_the_subjects() {
    for problem in [Problem::harness("x"), Problem::environment("x", "y")] {
        let judgement = judge(&log(vec![step(true), check(true), Fact::Problem(problem.clone())]));
        assert_eq!((judgement.verdict, judgement.owner), (Verdict::Invalid, Some(problem.owner)));
    }
}
