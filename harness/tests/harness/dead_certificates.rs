//! Certificates and encryption keys that are called dead by another's refusal, findings without their
//! premise, and alerts that are somebody else's: each must turn red.

use crate::support::play;
use fake_kingdom::cause::Cause;
use halo_harness::error::Owner;
use halo_harness::run::ScenarioResult;
use halo_harness::verdict::Verdict;

fn is_green(result: &ScenarioResult) {
    assert_eq!(result.judgement.verdict, Verdict::Pass, "{:?}", result.judgement.reason);
}

/// A check decided, whose subject begins like this.
fn is_red(result: &ScenarioResult, what: &str, cause: Cause) {
    let judgement = &result.judgement;
    assert_eq!(judgement.verdict, Verdict::Fail, "{:?}", judgement.reason);
    let failed = judgement.failed.as_ref().expect("a check decided");
    assert!(failed.what.starts_with(what), "{failed:?}");
    assert_eq!(failed.cause, Some(cause), "{failed:?}");
}

/// The end of the scenario showed what was called dead at work again.
fn is_revived(result: &ScenarioResult) {
    let judgement = &result.judgement;
    assert_eq!(judgement.verdict, Verdict::Fail, "{:?}", judgement.reason);
    let reason = judgement.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("was accepted there again"), "{reason}");
}

fn is_wrongly_written(result: &ScenarioResult, why: &str) {
    let judgement = &result.judgement;
    assert_eq!(judgement.verdict, Verdict::Invalid, "{:?}", judgement.reason);
    assert_eq!(judgement.owner, Some(Owner::ScenarioAuthor));
    let reason = judgement.reason.as_deref().unwrap_or_default();
    assert!(reason.contains(why), "{reason}");
}

/// edp1 has moved its key to `second`, and its first certificate is revoked.
const MOVED: &str = "Given edp1 has a new certificate called second\n\
    And edp1 registers its certificate second\n\
    And edp1 has a new encryption key called fresh, signed with second\n\
    And mc1 creates a reach measurement with edp1\n";
const PUBLISHED: &str =
    "Given edp1 has published its encryption key fresh with its certificate second\n";
const REVOKED: &str = "And edp1's certificate is in state REVOKED\n";
const BY_SECOND: &str = "When mc1 creates a reach measurement with edp1, where\n\
    | measurement.data_providers[0].value.data_provider_certificate | \"{edp1.second}\" |\n";
const BY_FIRST: &str = "When mc1 creates a reach measurement with edp1, where\n\
    | measurement.data_providers[0].value.data_provider_certificate | \"{edp1.certificate}\" |\n";
const DEAD: &str = "Then edp1's certificate certificate is dead by certificate_revoked, and its \
    second is not, as the last two calls of Measurements.CreateMeasurement show\n";
const FAILS: &str = "Then the call fails with FAILED_PRECONDITION\n";

#[test]
fn a_certificate_is_not_dead_by_the_refusal_of_another_that_the_call_names_too() {
    let own = format!("{MOVED}{REVOKED}{BY_FIRST}{FAILS}{PUBLISHED}{BY_SECOND}{DEAD}");
    is_green(&play(&own));
    let bad = "And mc1 has a new certificate called bad\nAnd mc1 registers its certificate bad\n\
        And mc1's certificate called bad is in state REVOKED\n";
    let by_both = BY_FIRST.replace(
        "where\n",
        "where\n| measurement.measurement_consumer_certificate | \"{mc1.bad}\" |\n",
    );
    let other = format!("{MOVED}{bad}{PUBLISHED}{REVOKED}{by_both}{FAILS}{BY_SECOND}{DEAD}");
    is_red(&play(&other), "the certificate that was refused", Cause::UnexpectedState);
}

#[test]
fn a_certificate_that_was_taken_after_its_revocation_is_not_dead() {
    // The first certificate is accepted once its key has moved, and refused when that moves back.
    let moved_back = "Given edp1 has a new encryption key called again\n\
        And edp1 has published its encryption key again with its certificate certificate\n";
    let taken = |between: &str| {
        format!(
            "{MOVED}{REVOKED}{PUBLISHED}{between}{moved_back}{BY_FIRST}{FAILS}{PUBLISHED}{BY_SECOND}{DEAD}"
        )
    };
    is_green(&play(&taken("")));
    let accepted = format!("{BY_FIRST}Then the call succeeds\n");
    is_red(&play(&taken(&accepted)), "edp1's certificate certificate at", Cause::StillAccepted);
}

#[test]
fn a_certificate_that_is_taken_after_it_was_shown_dead_is_alive() {
    let dead = format!("{MOVED}{REVOKED}{BY_FIRST}{FAILS}{PUBLISHED}{BY_SECOND}{DEAD}");
    is_green(&play(&format!("{dead}{BY_SECOND}Then the call succeeds\n")));
    is_revived(&play(&format!("{dead}{BY_FIRST}Then the call succeeds\n")));
}

#[test]
fn calls_that_name_neither_certificate_show_nothing_of_them() {
    let elsewhere = "When mc1 creates a reach measurement with edp2\nThen the call succeeds\n";
    let steps = format!("{MOVED}{REVOKED}{BY_FIRST}{FAILS}{elsewhere}{elsewhere}{DEAD}");
    is_red(
        &play(&steps),
        "calls of Measurements.CreateMeasurement that name",
        Cause::UnexpectedState,
    );
}

const READ: &str = "Given mc1 creates a reach measurement called stolen with edp1\n\
    And edp1 handles its requisitions\nAnd mc1 has read the results of mc1.stolen\n\
    And edp1 has a new certificate called second\nAnd edp1 registers its certificate second\n\
    And edp1 signs with its certificate second\nAnd edp1 puts a new encryption key in force\n\
    And mc1 creates a reach measurement called clean with edp1\nAnd edp1 handles its requisitions\n";
const DEAD_TO: &str = "Then edp1's certificate certificate is dead to mc1 by 3.13.2/d: it rejects the \
    results of mc1.stolen, and accepts those of mc1.clean\n";

#[test]
fn a_certificate_on_hold_is_not_dead_to_its_reader() {
    is_green(&play(&format!("{READ}And edp1's certificate is in state REVOKED\n{DEAD_TO}")));
    let held = play(&format!("{READ}And edp1's certificate is in state HOLD\n{DEAD_TO}"));
    is_red(&held, "state of", Cause::UnexpectedState);
}

#[test]
fn a_certificate_that_did_not_sign_the_results_is_not_dead_by_their_rejection() {
    let other = "And edp1 has a new certificate called other\nAnd edp1 registers its certificate other\n\
        And edp1's certificate other is revoked\nAnd edp1's certificate is in state REVOKED\n";
    let steps =
        format!("{READ}{other}{}", DEAD_TO.replace("certificate certificate", "certificate other"));
    is_red(&play(&steps), "the signers of", Cause::UnexpectedState);
}

/// Of two results under revoked certificates the reader rejects the first it comes to, and no other.
#[test]
fn a_certificate_is_not_dead_to_a_reader_by_the_rejection_of_another_s_result() {
    let sign = |provider: &str, name: &str| {
        format!(
            "And {provider} has a new certificate called {name}\n\
             And {provider} registers its certificate {name}\n\
             And {provider} signs with its certificate {name}\n"
        )
    };
    let both = "And edp1 handles its requisitions\nAnd edp2 handles its requisitions\n";
    let steps = |owner: &str| {
        format!(
            "Given a running Kingdom\n{}{}\
             And mc1 creates an impression measurement called m with edp1 and edp2\n{both}\
             And mc1 has read the results of mc1.m\n{}{}\
             And mc1 creates an impression measurement called clean with edp1 and edp2\n{both}\
             And edp1's certificate stolen is revoked\nAnd edp2's certificate stolen is revoked\n\
             Then {owner}'s certificate stolen is dead to mc1 by 3.13.2/d: it rejects the results of \
             mc1.m, and accepts those of mc1.clean\n",
            sign("edp1", "stolen"),
            sign("edp2", "stolen"),
            sign("edp1", "next"),
            sign("edp2", "next"),
        )
    };
    let results = ["edp1", "edp2"].map(|owner| play(&steps(owner)));
    let (green, red): (Vec<_>, Vec<_>) =
        results.iter().partition(|result| result.judgement.verdict == Verdict::Pass);
    assert_eq!((green.len(), red.len()), (1, 1), "{:?}", results.map(|r| r.judgement.reason));
    is_red(red[0], "mc1 noticed", Cause::NotNoticed);
}

const HANDLED: &str =
    "Given mc1 creates a reach measurement called m with edp1\nAnd edp1 handles its requisitions\n";
const NOTHING_NOTICED: &str = "Then it is a finding by 3.15.1 that mc1 noticed nothing of mc1.m\n";

#[test]
fn a_hold_that_was_released_is_no_revocation() {
    let held = "And edp1 changes the certificate edp1.certificate by HOLD\n";
    let tool = "Given mc1 checks as little as the official tool\n";
    is_green(&play(&format!("{HANDLED}{held}{tool}{NOTHING_NOTICED}")));
    let released = "And edp1 changes the certificate edp1.certificate by release\n";
    let good = play(&format!("{HANDLED}{held}{released}{NOTHING_NOTICED}"));
    is_red(&good, "a signer of the results", Cause::FailureNotSeen);
    let planted = "Given edp1's certificate is in state HOLD\nAnd edp1 has a new encryption key called planted\n\
         When edp1 publishes its encryption key planted with its certificate certificate\n\
         And reporting creates a reach measurement called n with edp1\n{}\
         Then it is a finding by 1.6.2 that PublicKeys.UpdatePublicKey accepted edp1.certificate, \
         which reporting noticed by 3.13.1/c\n";
    is_green(&play(&planted.replace("{}", "")));
    is_red(&play(&planted.replace("{}", released)), "state of", Cause::UnexpectedState);
}

#[test]
fn a_result_is_late_by_its_own_arrival_and_not_by_another_s() {
    let steps = |whose: &str| {
        format!(
            "Given {whose} has a new certificate called stolen\nAnd {whose} registers its certificate stolen\n\
             And {whose} signs with its certificate stolen\n\
             And mc1 creates an impression measurement called m with edp1 and edp2\n\
             And edp1 handles its requisitions\nAnd the clock moves forward by 20 minutes\n\
             And {whose}'s certificate stolen is revoked\nAnd the clock moves forward by 20 minutes\n\
             When edp2 handles its requisitions\n\
             Then it is a finding by 1.6.2 that the results of mc1.m under {whose}.stolen were accepted, \
             which mc1 noticed by 3.13.2/d\n"
        )
    };
    is_red(&play(&steps("edp1")), "the results of mc1.m and", Cause::FailureNotSeen);
}

#[test]
fn a_finding_cites_a_clause_that_its_kind_rests_on() {
    let of = |clause: &str| {
        play(&format!(
            "Given mc1 presents a fresh leaf of its root\n\
             Then it is a finding by {clause} that mc1's old leaf still works at the Kingdom\n"
        ))
    };
    is_green(&of("2.1"));
    is_wrongly_written(&of("1.4.10"), "does not rest on clause 1.4.10");
    is_wrongly_written(&of("9.9.9"), "the contract has no clause 9.9.9");
}

#[test]
fn a_finding_cites_a_clause_of_its_door_its_reader_and_its_reason() {
    let planted = |clause: &str| {
        format!(
            "Given edp1's certificate is in state REVOKED\n\
             And edp1 has a new encryption key called planted\n\
             When edp1 publishes its encryption key planted with its certificate certificate\n\
             And reporting creates a reach measurement called m with edp1\n\
             Then it is a finding by {clause} that PublicKeys.UpdatePublicKey accepted edp1.certificate, \
             which reporting noticed by 3.13.1/c\n"
        )
    };
    let unnoticed = |clause: &str| {
        let revoked = "And edp1's certificate is in state REVOKED\n\
            Given mc1 checks as little as the official tool\n";
        format!("{HANDLED}{revoked}{}", NOTHING_NOTICED.replace("3.15.1", clause))
    };
    let at_the_kingdom = "Given mc1 presents a fresh leaf of its root\n\
        Then it is a finding by 5.10 that mc1's old leaf still works at the Kingdom\n";
    is_green(&play(&planted("1.6.2")));
    is_green(&play(&unnoticed("3.15.1")));
    for steps in [
        planted("1.6.4"),
        planted("1.2.3"),
        unnoticed("3.13.3"),
        unnoticed("3.13.4"),
        at_the_kingdom.to_owned(),
    ] {
        is_wrongly_written(&play(&steps), "does not rest on clause");
    }
}

#[test]
fn a_result_is_late_only_if_the_measurement_had_failed_before() {
    let begin = "Given mc1 has an LLv2 reach measurement called m with edp1 and edp2\n\
        And mc1.m has reached PENDING_COMPUTATION\n{}When aggregator delivers the result of mc1.m\n\
        Then the call succeeds\n\
        And it is a finding by 1.6.7 that mc1.m succeeded after it had failed, which mc1 noticed by 1.5.2\n";
    let revoked = "And mc1's certificate is in state REVOKED\n";
    is_green(&play(&begin.replace("{}", revoked)));
    let tool = format!("{revoked}And mc1 checks as little as the official tool\n");
    is_red(&play(&begin.replace("{}", &tool)), "mc1 noticed", Cause::NotNoticed);
    is_red(&play(&begin.replace("{}", "")), "states of mc1.m", Cause::FailureNotSeen);
}

#[test]
fn an_alert_is_of_the_last_action_and_nobody_else() {
    let refused = |actor: &str, variant: &str, cause: &str, times: usize| {
        let once = format!(
            "When {actor} reads the certificate edp1.certificate\n\
             Then the server recorded a refused handshake with cause {cause}\n"
        );
        format!("Given {actor} presents a \"{variant}\" certificate\n{}", once.repeat(times))
    };
    let begin = "Given an alert is raised by 3 failures within 10 seconds\n";
    let alert = "And an alert was raised\n";
    let strangers = refused("modelprovider1", "unknown-authority", "unknown_issuer", 3);
    let own = refused("edp1", "akid-of-other", "akid_not_of_issuer", 1);
    is_green(&play(&format!("{begin}{strangers}{alert}")));
    is_red(&play(&format!("{begin}{strangers}{own}{alert}")), "alert", Cause::FailureNotSeen);
    // An alert of its own, from long before.
    let again = refused("modelprovider1", "unknown-authority", "unknown_issuer", 1);
    let long =
        format!("{begin}{strangers}Given the clock moves forward by 2 hours\n{again}{alert}");
    is_red(&play(&long), "alert", Cause::FailureNotSeen);
    // Two of somebody else's and one of its own raise one, which is of neither alone.
    let two = refused("modelprovider1", "unknown-authority", "unknown_issuer", 2);
    is_red(&play(&format!("{begin}{two}{own}{alert}")), "alert", Cause::FailureNotSeen);
}

/// mc1's key `stolen` is dead for what edp1 has in its group g.
const KEY_DEAD: &str = "Given mc1 has a new encryption key called stolen\n\
    And edp1 has an event group called g for mc1\n\
    And edp1 encrypts the metadata \"news\" of its event group g to mc1's key stolen\n\
    And mc1's encryption key stolen opens the metadata of edp1.g\n\
    And mc1 has a new encryption key called fresh\n\
    And mc1 has published its encryption key fresh with its certificate certificate\n\
    And edp1 encrypts the metadata \"news\" of its event group g to mc1's key fresh\n\
    Then mc1's encryption key stolen is dead for the metadata of edp1.g, and its fresh is not\n";

#[test]
fn a_dead_key_that_is_put_in_force_or_encrypted_to_again_is_alive() {
    is_green(&play(KEY_DEAD));
    let fresh =
        "Given edp1 encrypts the metadata \"sport\" of its event group g to mc1's key fresh\n";
    is_green(&play(&format!("{KEY_DEAD}{fresh}")));
    for again in [
        "Given mc1 has published its encryption key stolen with its certificate certificate\n",
        "Given edp1 encrypts the metadata \"news\" of its event group g to mc1's key stolen\n",
    ] {
        is_revived(&play(&format!("{KEY_DEAD}{again}")));
        // What was put right before the end was wrong all the same.
        let right = "And mc1 has published its encryption key fresh with its certificate certificate\n\
            And edp1 encrypts the metadata \"news\" of its event group g to mc1's key fresh\n";
        is_revived(&play(&format!("{KEY_DEAD}{again}{right}")));
    }
}

/// edp1's first key is dropped, and what was encrypted to it stays shut.
const DROPPED: &str = "Given mc1 creates a reach measurement called before with edp1\n\
    And edp1 handles its requisitions\n\
    And mc1 creates a reach measurement called old with edp1\n\
    And edp1 puts a new encryption key in force and drops the old one\n\
    And mc1 creates a reach measurement called new with edp1\nWhen edp1 handles its requisitions\n";
const KEY_DROPPED: &str = "Then edp1's old encryption key is dead by 3.10/7: it did not open mc1.old, and opened mc1.new\n";

#[test]
fn a_provider_s_dead_key_is_alive_when_a_reader_s_cache_still_has_it() {
    let begin = "Given the quirk reporting-stale-caches is faithful\n\
        And reporting creates a reach measurement called cached with edp1\n\
        And edp1 handles its requisitions\n";
    is_green(&play(&format!("{begin}{DROPPED}{KEY_DROPPED}")));
    let later = "Given reporting creates a reach measurement called later with edp1\n\
        Then reporting answers OK\n";
    is_revived(&play(&format!("{begin}{DROPPED}{KEY_DROPPED}{later}")));
}

/// The key is kept: what is refused is refused because it is spoilt.
#[test]
fn a_key_is_not_dead_by_a_ciphertext_that_it_never_opened() {
    for defect in ["a RequisitionSpec encrypted to a foreign key", "an unparsable plaintext"] {
        let steps = format!(
            "Given mc1 creates a reach measurement called before with edp1\n\
             And edp1 handles its requisitions\n\
             And mc1 creates a reach measurement called old with edp1 that has {defect}\n\
             And mc1 creates a reach measurement called still with edp1\n\
             And edp1 puts a new encryption key in force\n\
             And mc1 creates a reach measurement called new with edp1\n\
             When edp1 handles its requisitions\nThen edp1 fulfils mc1.still\nAnd {}",
            KEY_DROPPED.replace("3.10/7", "3.10/8").trim_start_matches("Then ")
        );
        is_wrongly_written(&play(&steps), "does not open under edp1's old key either");
    }
}

/// The time of a refusal is when it was refused, not when somebody looked.
#[test]
fn a_key_and_a_certificate_are_dead_since_they_were_refused() {
    let later = "And the clock moves forward by 60 minutes\n";
    let first = |steps: &str| {
        let result = play(steps);
        is_green(&result);
        let dead = halo_harness::verdict::deadness::of(&result.log);
        dead[0].first_refused.clone().expect("it was refused")
    };
    let (at_once, late) = (
        first(&format!("{DROPPED}{KEY_DROPPED}")),
        first(&format!("{DROPPED}{later}{KEY_DROPPED}")),
    );
    assert_eq!(at_once, late);
    let revoked = format!("{READ}And edp1's certificate is in state REVOKED\n");
    let looked =
        "Then mc1 rejects the results of mc1.stolen by 3.13.2/d\nGiven a running Kingdom\n";
    let at_once = first(&format!("{revoked}{DEAD_TO}"));
    assert_eq!(at_once, first(&format!("{revoked}{looked}{later}{DEAD_TO}")));
    assert_ne!(at_once, first(&format!("{revoked}{later}{DEAD_TO}")));
}

/// A participant's creation and a batch are uses of the certificate too.
#[test]
fn the_last_acceptance_of_a_certificate_is_of_whoever_used_it_last() {
    let last = |used: &str| {
        let result = play(&format!(
            "Given mc1 has a new certificate called second\nAnd mc1 registers its certificate second\n\
             And mc1 has a direct reach measurement called first with edp1\n\
             And the clock moves forward by 40 minutes\n{used}\
             Given the clock moves forward by 20 minutes\n{}\
             When mc1 creates a reach measurement with edp1\n{FAILS}\
             When mc1 creates a reach measurement with edp1, where\n\
             | measurement.measurement_consumer_certificate | \"{{mc1.second}}\" |\n\
             Then mc1's certificate certificate is dead by certificate_revoked, and its second is not, as \
             the last two calls of Measurements.CreateMeasurement show\n",
            "And mc1's certificate is in state REVOKED\n"
        ));
        is_green(&result);
        let dead = halo_harness::verdict::deadness::of(&result.log);
        dead[0].last_accepted.clone().expect("it was accepted")
    };
    let first = last("");
    for used in [
        "And mc1 creates a reach measurement called later with edp1\n",
        "When mc1 creates a batch of 2 reach measurements with edp1\nThen the call succeeds\n",
    ] {
        assert!(last(used) > first, "{used}");
    }
}

/// The answer of a creation shows what its caller wrote, and the Kingdom goes by the key in force.
#[test]
fn a_certificate_that_an_answer_only_mentions_is_no_new_one() {
    let second_is_revoked = "And edp1 has a new certificate called third\n\
        And edp1 registers its certificate third\n\
        And edp1 has a new encryption key called moved, signed with third\n\
        And edp1's certificate second is revoked\n";
    let published = PUBLISHED.replace("fresh", "moved").replace("second", "third");
    let echoed =
        format!("{MOVED}{REVOKED}{second_is_revoked}{BY_FIRST}{FAILS}{published}{BY_SECOND}{DEAD}");
    is_red(
        &play(&echoed),
        "calls of Measurements.CreateMeasurement that name",
        Cause::UnexpectedState,
    );
    let mentioned = "When mc1 creates a reach measurement with edp2, where\n\
        | measurement.measurement_reference_id | \"{edp1.second}\" |\n";
    let steps = format!("{MOVED}{REVOKED}{BY_FIRST}{FAILS}{mentioned}{DEAD}");
    is_red(
        &play(&steps),
        "calls of Measurements.CreateMeasurement that name",
        Cause::UnexpectedState,
    );
}

/// It was valid when it was called, and is not when it is said to be.
#[test]
fn a_new_certificate_that_is_revoked_before_anybody_looks_is_dead_too() {
    let steps = format!(
        "{MOVED}{REVOKED}{BY_FIRST}{FAILS}{PUBLISHED}{BY_SECOND}Then the call succeeds\n\
         Given edp1's certificate second is revoked\n{DEAD}"
    );
    is_red(&play(&steps), "state of", Cause::UnexpectedState);
}

#[test]
fn results_of_another_provider_are_no_counterpart() {
    let steps = "Given mc1 creates a reach measurement called stolen with edp1\n\
        And edp1 handles its requisitions\nAnd mc1 has read the results of mc1.stolen\n\
        And mc1 creates a reach measurement called clean with edp2\n\
        And edp2 handles its requisitions\nAnd edp1's certificate is in state REVOKED\n";
    let red = play(&format!("{steps}{DEAD_TO}"));
    is_red(&red, "the results of mc1.clean", Cause::NoChangeObserved);
}

/// The key was dropped between the two, and never replaced: one and the same opened one of them.
#[test]
fn a_key_is_not_dead_beside_itself() {
    let steps = "Given mc1 creates a reach measurement called new with edp1\n\
        And edp1 handles its requisitions\n\
        And mc1 creates a reach measurement called old with edp1\n\
        And edp1 puts a new encryption key in force and drops the old one\n\
        When edp1 handles its requisitions\n";
    is_red(&play(&format!("{steps}{KEY_DROPPED}")), "the key of mc1.new", Cause::NoChangeObserved);
}

#[test]
fn a_door_without_a_row_is_told() {
    let steps = "Given edp1's first leaf works at every door\nAnd edp1 presents a fresh leaf of its root\n\
        Then edp1's old leaf is dead, and its new one is not, at\n| the Kingdom | unknown_issuer |\n";
    is_wrongly_written(&play(steps), "is not among the doors");
}

/// Every renewal replaces a leaf, whoever orders it. Each is valid for 90 days and replaced after 60: on
/// day 375 all that mc1 has replaced have ended, on day 385 the one that it replaced last has not.
#[test]
fn a_leaf_that_the_schedule_replaced_and_that_has_not_ended_is_alive() {
    let after = |days: u32| {
        play(&format!(
            "Given mc1's first leaf works at every door\nAnd everybody probes the Kingdom\n\
            When the fleet renews its 90-day leaves 30 days before they end, for {days} days\n\
            And the probes stop\n\
            Then mc1's old leaf is dead, and its new one is not, at\n| the Kingdom | expired |\n"
        ))
    };
    is_green(&after(375));
    is_red(&after(385), "mc1's old leaf 7 of 7 at the Kingdom", Cause::StillAccepted);
}

/// That another's leaf works proves nothing of one's own; but one's own is not another's because that
/// one presented it too.
#[test]
fn the_leaf_of_another_is_not_among_those_that_an_actor_replaced() {
    let after = |between: &str| {
        play(&format!(
            "Given mc1's first leaf works at every door\nAnd the clock moves forward by 30 minutes\n\
            And mc1 gets a new root\nAnd the trust bundle includes mc1's new root\n\
            And the principal map knows mc1's new root\n{between}\
            And mc1 presents a leaf of its new root\n\
            And the trust bundle no longer includes mc1's root\nAnd all 2 replicas are restarted\n\
            Then mc1's old leaf is dead, and its new one is not, at\n| the Kingdom | unknown_issuer |\n"
        ))
    };
    is_green(&after("And mc1 presents the credential of edp2\n"));
    let shared =
        "And mc1 presents a leaf of its new root\nAnd edp2 presents the credential of mc1\n";
    is_red(&after(shared), "mc1's old leaf 2 of 2 at the Kingdom", Cause::StillAccepted);
}
