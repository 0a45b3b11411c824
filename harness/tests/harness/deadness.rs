//! What is called dead while something of it lives, what is called noticed by whom it was not, and what
//! is called unseen: each must turn red.

use crate::support::play;
use fake_kingdom::cause::Cause;
use halo_harness::error::Owner;
use halo_harness::observation::{CredentialKind, Fact};
use halo_harness::run::ScenarioResult;
use halo_harness::verdict::Verdict;

/// The root of mc1 is replaced, and the old one removed from the bundle.
const REMOVED: &str = "And mc1 gets a new root\nAnd the trust bundle includes mc1's new root\n\
    And the principal map knows mc1's new root\nAnd mc1 presents a leaf of its new root\n\
    And the trust bundle no longer includes mc1's root\n";
const DEAD: &str = "Then mc1's old leaf is dead, and its new one is not, at\n\
    | the Kingdom | unknown_issuer |\n";
const REFUSED: &str =
    "Then mc1's first leaf is refused with unknown_issuer where its present one is accepted\n";

fn is_red(result: &ScenarioResult, cause: Cause) {
    let judgement = &result.judgement;
    assert_eq!(judgement.verdict, Verdict::Fail, "{:?}", judgement.reason);
    let failed = judgement.failed.as_ref().expect("a check decided");
    assert_eq!(failed.cause, Some(cause), "{failed:?}");
}

fn is_green(result: &ScenarioResult) {
    assert_eq!(result.judgement.verdict, Verdict::Pass, "{:?}", result.judgement.reason);
}

#[test]
fn a_leaf_is_not_dead_while_its_owner_keeps_a_connection_that_was_opened_on_it() {
    let begin = "Given mc1's first leaf works at every door\n";
    for (then, kept) in [
        (DEAD, "And mc1 keeps a connection open\n"),
        (REFUSED, "And mc1 keeps a connection to replica 1 open\n"),
    ] {
        let opened = format!("{begin}{kept}{REMOVED}");
        let reloaded = format!("{opened}And all 2 replicas are reloaded\n");
        is_red(&play(&format!("{reloaded}{then}")), Cause::ConnectionOutlivesCredential);
        is_green(&play(&format!("{opened}And all 2 replicas are restarted\n{then}")));
        is_green(&play(&format!("{reloaded}And mc1 closes its connection\n{then}")));
    }
}

/// The map is asked at each call: a kept connection of a leaf without a row serves nobody.
#[test]
fn a_kept_connection_that_is_nobody_s_keeps_no_leaf_alive() {
    let steps = "Given mc1's first leaf works at every door\nAnd mc1 gets a new root\n\
        And the trust bundle includes mc1's new root\nAnd the principal map knows mc1's new root\n\
        And the principal map no longer knows mc1's old root\nAnd all 2 replicas are restarted\n\
        And mc1 keeps a connection open\nAnd mc1 presents a leaf of its new root\n\
        Then mc1's old leaf is dead, and its new one is not, at\n| the Kingdom | principal_unknown |";
    is_green(&play(steps));
}

#[test]
fn a_leaf_is_not_dead_while_a_probing_caller_s_channels_live_on_it() {
    let steps = format!(
        "Given mc1's first leaf works at every door\nAnd probes call the Kingdom as mc1\n\
         When the probes go on for 100 ms\n{REMOVED}And all 2 replicas are reloaded\n{{}}\
         And the probes go on for 100 ms\n{DEAD}"
    );
    is_red(&play(&steps.replace("{}", "")), Cause::ConnectionOutlivesCredential);
    let started_again = play(&steps.replace("{}", "And the probing caller mc1 starts again\n"));
    let own = started_again.log.iter().any(|observation| match &observation.fact {
        Fact::Check(check) => check.what.starts_with("connections that live on") && check.holds,
        _ => false,
    });
    assert!(own, "{:?}", started_again.judgement);
}

/// The system API has one address in front of all replicas: each has to be tried.
#[test]
fn a_duchy_s_root_is_not_dead_while_one_replica_knows_it() {
    let steps = "Given worker1's first root works at every door\nAnd worker1 gets a new root\n\
        And the trust bundle includes worker1's new root\nAnd the principal map knows worker1's new root\n\
        And the Duchy information gains\n\"\"\"\nduchies {\n  duchy_id: \"worker1\"\n  \
        computation_control_service_cert_host: \"localhost\"\n  \
        root_certificate_skid: \"{worker1.new_root_skid}\"\n}\n\"\"\"\n\
        And the trust bundle no longer includes worker1's root\nAnd worker1 presents a leaf of its new root\n";
    let then = "Then worker1's old root is dead, and its new one is not, at\n\
        | the system API | unknown_issuer |\n| the Kingdom | unknown_issuer |\n";
    is_green(&play(&format!("{steps}And all 2 replicas are restarted\n{then}")));
    for one in [0, 1] {
        let result = play(&format!("{steps}And replica {one} is restarted\n{then}"));
        assert_eq!(result.judgement.verdict, Verdict::Fail, "{:?}", result.judgement.reason);
        let failed = result.judgement.failed.expect("a check decided");
        assert!(failed.what.ends_with("at the system API"), "{failed:?}");
    }
}

#[test]
fn a_root_is_not_dead_by_the_principal_map_and_a_leaf_is_with_a_finding() {
    let begin = "Given mc1's first leaf works at every door\nAnd mc1's first root works at every door\n\
        And mc1 gets a new root\nAnd the trust bundle includes mc1's new root\n\
        And the principal map knows mc1's new root\n\
        And the principal map no longer knows mc1's old root\n\
        And mc1 presents a leaf of its new root\nAnd all 2 replicas are restarted\n";
    let dead = |what: &str| {
        let row = "| the Kingdom | principal_unknown |";
        play(&format!("{begin}Then mc1's old {what} is dead, and its new one is not, at\n{row}"))
    };
    let leaf = dead("leaf");
    is_green(&leaf);
    let finding = leaf.log.iter().find_map(|observation| match &observation.fact {
        Fact::Finding(finding) => Some(finding.clone()),
        _ => None,
    });
    let finding = finding.expect("what is left alive");
    assert_eq!(
        (finding.code.as_str(), finding.clause.as_str()),
        ("leaf_refused_by_the_map_alone", "2.4")
    );
    let root = dead("root").judgement;
    assert_eq!((root.verdict, root.owner), (Verdict::Invalid, Some(Owner::ScenarioAuthor)));
    assert!(root.reason.expect("a reason").contains("no death of a root"));
}

/// mc1's first root was stolen and is gone; its second is stolen now.
fn second_theft(removal: &str) -> String {
    let anew = "And mc1 gets a new root\nAnd the trust bundle includes mc1's new root\n\
        And the principal map knows mc1's new root\n";
    let restarted = "And all 2 replicas are restarted\nAnd mc1 presents a leaf of its new root\n";
    format!(
        "Given mc1's first leaf works at every door\nAnd mc1's first root works at every door\n\
         {anew}And the trust bundle no longer includes mc1's root\n{restarted}\
         And mc1's present leaf works at every door\nAnd mc1's present root works at every door\n\
         {anew}{removal}{restarted}"
    )
}

#[test]
fn of_two_stolen_roots_both_must_be_dead() {
    let removal = "And the trust bundle no longer includes mc1's root\n";
    for what in ["leaf", "root"] {
        let dead = DEAD.replace("leaf", what);
        is_green(&play(&format!("{}{dead}", second_theft(removal))));
        is_red(&play(&format!("{}{dead}", second_theft(""))), Cause::StillAccepted);
    }
}

#[test]
fn a_leaf_that_was_presented_and_never_seen_at_work_is_not_shown_dead() {
    let steps = format!(
        "Given mc1's first leaf works at every door\nAnd mc1 presents a fresh leaf of its root\n\
         {{}}{REMOVED}And all 2 replicas are restarted\n{DEAD}"
    );
    let unseen = play(&steps.replace("{}", "")).judgement;
    assert_eq!(unseen.verdict, Verdict::Invalid, "{:?}", unseen.reason);
    assert_eq!(unseen.causes, [Cause::NeverSeenAlive.code(), "unknown_issuer"]);
    is_green(&play(&steps.replace("{}", "And mc1's present leaf works at every door\n")));
}

/// A removal that removes nothing leaves what it was written for as it was.
#[test]
fn a_root_that_is_not_there_cannot_be_removed() {
    for (once, again) in [
        ("And the trust bundle no longer includes mc1's root\n", "none of mc1's old roots"),
        ("And the principal map no longer knows mc1's old root\n", "none of mc1's old roots"),
    ] {
        let steps = format!("Given mc1 gets a new root\n{once}{once}Then no alert was raised");
        let judgement = play(&steps).judgement;
        assert_eq!(judgement.owner, Some(Owner::ScenarioAuthor), "{:?}", judgement.reason);
        assert!(judgement.reason.expect("a reason").contains(again));
    }
}

/// A reference participant dials connections of its own, on the leaf that its actor has.
#[test]
fn a_dead_leaf_that_a_reference_participant_uses_again_is_alive() {
    let dead = format!(
        "Given mc1's first leaf works at every door\n{REMOVED}And all 2 replicas are restarted\n{DEAD}"
    );
    let used = "And mc1 creates a reach measurement called m with edp1\n\
        When edp1 handles its requisitions\nThen edp1 fulfils mc1.m\n";
    is_green(&play(&dead));
    is_green(&play(&format!("{dead}Given a running Kingdom\n{used}")));
    // Then it is removed again, so that nothing but that use tells.
    let back = "Given the trust bundle is the first one again\nAnd all 2 replicas are restarted\n\
        And mc1 presents its first leaf again\n";
    let gone = "Given the trust bundle includes mc1's new root\nAnd the trust bundle no longer includes mc1's root\n\
        And mc1 presents a leaf of its new root\nAnd all 2 replicas are restarted\n";
    is_green(&play(&format!("{dead}{back}{gone}")));
    is_revived(&play(&format!("{dead}{back}{used}{gone}")));
}

fn is_revived(result: &ScenarioResult) {
    let judgement = &result.judgement;
    assert_eq!(judgement.verdict, Verdict::Fail, "{:?}", judgement.reason);
    let reason = judgement.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("was accepted there again"), "{reason}");
}

/// Nobody uses it: the last look of the scenario tries it.
#[test]
fn a_dead_leaf_or_root_that_its_bundle_has_again_at_the_end_is_alive() {
    let dead = |what: &str| {
        format!(
            "Given mc1's first {what} works at every door\n{REMOVED}\
             And all 2 replicas are restarted\n{}",
            DEAD.replace("leaf", what)
        )
    };
    let back = "Given the trust bundle is the first one again\n";
    let restarted = "And all 2 replicas are restarted\n";
    let gone = "And the trust bundle no longer includes mc1's root\n";
    for what in ["leaf", "root"] {
        is_revived(&play(&format!("{}{back}{restarted}", dead(what))));
        is_revived(&play(&format!("{}{back}And replica 1 is restarted\n", dead(what))));
        is_green(&play(&format!("{}{back}{gone}{restarted}", dead(what))));
    }
    let refused = dead("leaf").replace(DEAD, REFUSED);
    is_green(&play(&refused));
    is_revived(&play(&format!("{refused}{back}{restarted}")));
}

/// mc1's leaf and root are dead, and its bundle has the root again.
fn back(what: &str, then: &str) -> ScenarioResult {
    play(&format!(
        "Given mc1's first leaf works at every door\nAnd mc1's first root works at every door\n{REMOVED}\
         And all 2 replicas are restarted\n{}\
         Given the trust bundle is the first one again\n{then}",
        DEAD.replace("leaf", what)
    ))
}

fn proves_nothing(result: &ScenarioResult, because: &str) {
    let judgement = &result.judgement;
    assert_eq!(judgement.verdict, Verdict::Invalid, "{:?}", judgement.reason);
    assert_eq!(judgement.owner, Some(Owner::ScenarioAuthor), "{:?}", judgement.reason);
    let reason = judgement.reason.as_deref().unwrap_or_default();
    assert!(reason.contains(because), "{reason}");
}

const RESTARTED: &str = "And all 2 replicas are restarted\n";

/// The bundle has it; only the map has no row, which is the death of no root.
#[test]
fn a_root_that_is_back_in_the_bundle_without_a_row_is_alive() {
    let rowless = format!("And the principal map no longer knows mc1's old root\n{RESTARTED}");
    let root = back("root", &rowless);
    is_revived(&root);
    let reason = root.judgement.reason.expect("a reason");
    assert!(reason.contains("its root is in the bundle again"), "{reason}");
    // The leaf is nobody: dead, and what that leaves alive is a finding.
    let leaf = back("leaf", &rowless);
    is_green(&leaf);
    let (clause, text) = open_points(&leaf).into_iter().next().expect("a finding");
    assert_eq!(clause, "2.4", "{text}");
}

#[test]
fn a_last_look_that_meets_neither_a_death_nor_an_acceptance_proves_nothing() {
    let limits = "And the rate limits are\n\"\"\"\nrate_limit { default_rate_limit { \
        maximum_request_count: 0 average_request_rate: 0.0 } }\n\"\"\"\n";
    for what in ["leaf", "root"] {
        proves_nothing(&back(what, &format!("{limits}{RESTARTED}")), "refused with rate_limited");
    }
}

#[test]
fn what_nobody_serves_any_more_is_not_dead_for_that_if_its_files_were_changed() {
    let stopped = "And all 2 replicas are stopped\n";
    let because = "nobody listens there when the scenario ends";
    proves_nothing(&back("root", &format!("{RESTARTED}{stopped}")), because);
    // One replica had it for a while, and the other never read it.
    let one = "And replica 0 is restarted\nAnd replica 0 is stopped\n";
    proves_nothing(&back("root", one), because);
    // What one replica accepts counts before what the other cannot say.
    is_revived(&back("root", &format!("{RESTARTED}And replica 0 is stopped\n")));
    // Nothing has changed since, so that nothing can have come back.
    let dead = format!("Given mc1's first leaf works at every door\n{REMOVED}{RESTARTED}{DEAD}");
    is_green(&play(&format!("{dead}Given {}", stopped.trim_start_matches("And "))));
}

/// Nothing ever comes back: without a bound the run would hang.
#[test]
fn a_last_look_that_does_not_end_proves_nothing() {
    let silent = back("leaf", &format!("{RESTARTED}And what mc1 is sent does not arrive\n"));
    assert_eq!(silent.judgement.verdict, Verdict::Invalid, "{:?}", silent.judgement.reason);
    let reason = silent.judgement.reason.unwrap_or_default();
    assert!(reason.contains("mc1"), "{reason}");
}

fn open_points(result: &ScenarioResult) -> Vec<(String, String)> {
    let findings = result.log.iter().filter_map(|one| match &one.fact {
        Fact::Finding(finding) => Some((finding.clause.clone(), finding.text.clone())),
        _ => None,
    });
    findings.collect()
}

/// Every Duchy of the sandbox has the whole map: there mc1's leaf is mc1, whom nothing there belongs to.
#[test]
fn a_dead_leaf_that_another_s_door_takes_for_its_owner_still_works_there() {
    let begin = format!("Given mc1's first leaf works at every door\n{REMOVED}{RESTARTED}");
    let found = |steps: &str| {
        let result = play(&format!("{begin}{steps}{DEAD}"));
        is_green(&result);
        let codes = result.log.iter().filter_map(|one| match &one.fact {
            Fact::Finding(finding) => Some((finding.code.clone(), finding.clause.clone())),
            _ => None,
        });
        (codes.collect::<Vec<_>>(), open_points(&result))
    };
    let (codes, texts) = found("");
    assert_eq!(codes, [("old_credential_accepted".to_owned(), "1.7.15".to_owned())]);
    let text = &texts[0].1;
    assert!(text.contains("still works at aggregator, worker1, worker2:"), "{text}");
    assert!(text.contains("accepted as measurementConsumers/"), "{text}");
    let rowless = "And the principal map of worker1 is\n\"\"\"\nentries { authority_key_identifier: \
        \"{edp1.root_akid}\" principal_resource_name: \"{edp1}\" }\n\"\"\"\n\
        And worker1's server is restarted\n";
    let (codes, texts) = found(rowless);
    assert_eq!(codes.len(), 2, "{codes:?}");
    assert!(texts[0].1.contains("passes the door of TLS of worker1 still"), "{}", texts[0].1);
    assert!(texts[1].1.contains("still works at aggregator, worker2:"), "{}", texts[1].1);
}

/// What ought to work is no open point of the incident's page.
#[test]
fn the_present_credential_is_not_told_to_be_cut_off() {
    let begin = format!("Given mc1's first leaf works at every door\n{REMOVED}{RESTARTED}{DEAD}");
    let present = "And mc1's present leaf works at every door\n\
        And mc1's present root works at every door\n";
    let alive = |steps: &str| {
        let all = halo_harness::verdict::deadness::of(&play(&format!("{begin}{steps}")).log);
        let alive = all.iter().filter(|one| one.first_refused.is_none());
        alive.map(|one| one.is_present).collect::<Vec<_>>()
    };
    assert_eq!(alive(present), [true, true]);
    // Its leaf was replaced since, and its root was not.
    let fresh = "Given mc1 presents a fresh leaf of its root\n";
    let first = "Given mc1's present leaf works at every door\n\
        And mc1's present root works at every door\n";
    let all = halo_harness::verdict::deadness::of(
        &play(&format!("{first}{fresh}Then no alert was raised\n")).log,
    );
    let present: Vec<_> = all.iter().map(|one| (one.kind, one.is_present)).collect();
    assert_eq!(present, [(CredentialKind::TlsLeaf, false), (CredentialKind::TlsRoot, true)]);
}

const AT_PEER: &str = "Given modelprovider1 has a new certificate called stolen\n\
    And modelprovider1 registers its certificate stolen\n\
    And edp1's panel match stores modelprovider1's root\n\
    And edp1's panel match takes what is signed with modelprovider1's certificate stolen\n\
    And the clock moves forward by 30 minutes\n";
const DEAD_AT_PEER: &str = "Then modelprovider1's certificate stolen is dead to edp1's panel match by \
    3.4.3, and its second is not\n";

/// A signature by another key is refused, whatever became of the certificate.
#[test]
fn a_certificate_is_not_dead_to_a_peer_by_another_key_s_signature() {
    let steps = |again: &str| {
        format!(
            "{AT_PEER}And modelprovider1 has a new certificate called second\n\
             And modelprovider1 registers its certificate second\n\
             And modelprovider1 signs with its certificate second\n{again}"
        )
    };
    let again = "And modelprovider1 has a new certificate called stolen\n";
    proves_nothing(
        &play(&format!("{}{DEAD_AT_PEER}", steps(again))),
        "is not that of the certificate stolen that it registered",
    );
    is_red(&play(&format!("{}{DEAD_AT_PEER}", steps(""))), Cause::StillAccepted);
    let by_signature = DEAD_AT_PEER.replace("3.4.3", "4.5");
    proves_nothing(&play(&format!("{}{by_signature}", steps(""))), "4.5 is no death");
}

#[test]
fn a_certificate_that_a_peer_takes_again_at_the_end_is_alive() {
    let dead = format!(
        "{AT_PEER}And modelprovider1 gets a new root\n\
         And modelprovider1 has a new certificate called second of its new root\n\
         And modelprovider1 registers its certificate second\n\
         And modelprovider1 signs with its certificate second\n\
         And edp1's panel match stores modelprovider1's new root\n{DEAD_AT_PEER}"
    );
    is_green(&play(&dead));
    let again = format!("{dead}When edp1's panel match stores modelprovider1's root\n");
    is_revived(&play(&again));
    // What nobody can say of another one is no excuse.
    let limits =
        "rate_limit { default_rate_limit { maximum_request_count: 0 average_request_rate: 0.0 } }";
    let leaf = format!(
        "Given mc1's first leaf works at every door\n{REMOVED}{RESTARTED}{DEAD}\
         Given the trust bundle is the first one again\nAnd the rate limits are\n\"\"\"\n{limits}\n\"\"\"\n{RESTARTED}"
    );
    proves_nothing(&play(&format!("{dead}{leaf}")), "refused with rate_limited");
    is_revived(&play(&format!("{again}{leaf}")));
}

/// What is stored already helps nobody.
#[test]
fn a_peer_that_stores_the_newest_root_is_told_to_wait_for_another() {
    let steps = |stored: &str| {
        format!(
            "{AT_PEER}And modelprovider1 gets a new root\n{stored}\
             And modelprovider1's certificate {{}} is revoked\n\
             Then it is a finding by 4.5 that edp1's panel match takes what is signed with \
             modelprovider1's certificate {{}}, which is revoked\n"
        )
    };
    let text = |steps: String| {
        let result = play(&steps);
        is_green(&result);
        open_points(&result).pop().expect("a finding").1
    };
    let old = text(steps("").replace("{}", "stolen"));
    assert!(old.contains("must store modelprovider1's new root"), "{old}");
    let newest = "And modelprovider1 has a new certificate called second of its new root\n\
        And modelprovider1 registers its certificate second\n\
        And edp1's panel match stores modelprovider1's new root\n";
    let newest = text(steps(newest).replace("{}", "second"));
    assert!(newest.contains("must get another root") && !newest.contains("must store"), "{newest}");
}

#[test]
fn a_key_that_its_owner_has_in_force_again_is_not_dead() {
    let provider = |again: &str| {
        format!(
            "Given mc1 creates a reach measurement called before with edp1\n\
             And edp1 handles its requisitions\nAnd the clock moves forward by 30 minutes\n\
             And mc1 creates a reach measurement called old with edp1\n\
             And edp1 puts a new encryption key in force and drops the old one\n\
             And mc1 creates a reach measurement called new with edp1\n\
             When edp1 handles its requisitions\n{again}\
             Then edp1's old encryption key is dead by 3.10/7: it did not open mc1.old, and opened mc1.new\n"
        )
    };
    let again = "When edp1 calls PublicKeys.UpdatePublicKey with\n\"\"\"\npublic_key { name: \
        \"{edp1}/publicKey\" certificate: \"{edp1.certificate}\" public_key { message { \
        [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { format: TINK_KEYSET \
        data: \"{edp1.keyset}\" } } signature: \"x\" } }\n\"\"\"\nThen the call succeeds\n";
    is_green(&play(&provider("")));
    is_red(&play(&provider(again)), Cause::StillAccepted);
    let consumer = |published: &str| {
        format!(
            "Given mc1 has a new encryption key called stolen\n\
             And mc1 has published its encryption key stolen with its certificate certificate\n\
             And edp1 has an event group called g for mc1\n\
             And edp1 encrypts the metadata \"news\" of its event group g to mc1's key stolen\n\
             And mc1's encryption key stolen opens the metadata of edp1.g\n\
             And the clock moves forward by 30 minutes\n\
             And mc1 has a new encryption key called fresh\n{published}\
             And edp1 encrypts the metadata \"news\" of its event group g to mc1's key fresh\n\
             Then mc1's encryption key stolen is dead for the metadata of edp1.g, and its fresh is not\n"
        )
    };
    let published =
        "And mc1 has published its encryption key fresh with its certificate certificate\n";
    is_green(&play(&consumer(published)));
    is_red(&play(&consumer("")), Cause::StillAccepted);
}

#[test]
fn a_certificate_on_hold_is_not_told_to_be_revoked() {
    let text = |change: &str| {
        let result = play(&format!(
            "Given edp1 has a new certificate called stolen\n\
             And edp1 registers its certificate stolen\n\
             And edp1 signs with its certificate stolen\n{change}\
             And the clock moves forward by 20 minutes\n\
             And mc1 creates a reach measurement called m with edp1\n\
             When edp1 handles its requisitions\n\
             Then it is a finding by 1.6.2 that the results of mc1.m under edp1.stolen were accepted, \
             which mc1 noticed by 3.13.2/d\n"
        ));
        is_green(&result);
        open_points(&result).pop().expect("a finding").1
    };
    let held = text("And edp1 changes the certificate edp1.stolen by HOLD\n");
    assert!(held.contains("accepted after it was put on hold"), "{held}");
    let revoked = text("And edp1's certificate stolen is revoked\n");
    assert!(revoked.contains("accepted after it was revoked"), "{revoked}");
}

/// That look is nobody's failure: a monitor raises no alert over it.
#[test]
fn the_last_look_at_what_is_dead_raises_no_alert() {
    let begin = "Given an alert is raised by 3 failures within 3600 seconds\n\
        And mc1's first leaf works at every door\n";
    let result = play(&format!("{begin}{REMOVED}And all 2 replicas are restarted\n{DEAD}"));
    is_green(&result);
    let alerts = result.log.iter().filter(|one| matches!(one.fact, Fact::Alert(_))).count();
    assert_eq!(alerts, 0, "two tries were refused, and the last look's do not count");
}

/// A Duchy calls no other Duchy's door for providers by right; its root is in the bundle there all the same.
#[test]
fn a_dead_leaf_that_passes_another_duchy_s_door_of_tls_is_open() {
    let begin = "Given worker1's first leaf works at every door\nAnd worker1 gets a new root\n\
        And the trust bundle includes worker1's new root\nAnd the principal map knows worker1's new root\n\
        And the Duchy information gains\n\"\"\"\nduchies {\n  duchy_id: \"worker1\"\n  \
        computation_control_service_cert_host: \"localhost\"\n  \
        root_certificate_skid: \"{worker1.new_root_skid}\"\n}\n\"\"\"\n\
        And the trust bundle no longer includes worker1's root\nAnd all 2 replicas are restarted\n\
        And worker1 presents a leaf of its new root\n";
    let dead = "Then worker1's old leaf is dead, and its new one is not, at\n\
        | the system API | unknown_issuer |\n| the Kingdom | unknown_issuer |\n";
    let removed = |duchy: &str| {
        format!(
            "And the trust bundle of {duchy} no longer includes worker1's root\n\
             And {duchy}'s server is restarted\n"
        )
    };
    let open = |steps: &str| {
        let result = play(&format!("{begin}{steps}{dead}"));
        is_green(&result);
        result.log.iter().find_map(|one| match &one.fact {
            Fact::Finding(finding) => Some((finding.clause.clone(), finding.text.clone())),
            _ => None,
        })
    };
    let (clause, text) = open("").expect("a finding");
    assert_eq!(clause, "5.9.2");
    assert!(text.contains("TLS of aggregator, worker1, worker2 still"), "{text}");
    let (_, text) = open(&removed("worker2")).expect("a finding");
    assert!(text.contains("TLS of aggregator, worker1 still"), "{text}");
    let all = [removed("worker2"), removed("worker1"), removed("aggregator")].concat();
    assert_eq!(open(&all), None);
}

/// A bucket fills again.
#[test]
fn a_caller_that_is_rate_limited_is_not_dead() {
    let limited = "And the rate limits are\n\"\"\"\nrate_limit {\n  default_rate_limit { \
        maximum_request_count: -1 average_request_rate: 1.0 }\n}\nprincipal_rate_limit_override {\n  \
        key: \"{mc1.root_akid}\"\n  value { default_rate_limit { maximum_request_count: 0 \
        average_request_rate: 1.0 } }\n}\n\"\"\"\n";
    for what in ["leaf", "root"] {
        let steps = format!(
            "Given mc1's first {what} works at every door\nAnd mc1 gets a new root\n\
             And the trust bundle includes mc1's new root\nAnd the principal map knows mc1's new root\n\
             {limited}And mc1 presents a leaf of its new root\nAnd all 2 replicas are restarted\n\
             Then mc1's old {what} is dead, and its new one is not, at\n| the Kingdom | rate_limited |\n"
        );
        let judgement = play(&steps).judgement;
        assert_eq!(judgement.owner, Some(Owner::ScenarioAuthor), "{:?}", judgement.reason);
        assert!(judgement.reason.expect("a reason").contains("is no death of it"));
    }
}

/// A leaf of it that is nobody is refused, and the root is in the bundle still.
#[test]
fn a_root_that_was_found_alive_is_not_dead_with_its_leaf() {
    let steps = "Given mc1's first leaf works at every door\nAnd mc1's first root works at every door\n\
        And mc1 gets a new root\nAnd the trust bundle includes mc1's new root\n\
        And the principal map knows mc1's new root\nAnd mc1 presents a leaf of its new root\n\
        Then it is a finding by 2.1 that mc1's old root still works at the Kingdom\n\
        Given the principal map no longer knows mc1's old root\nAnd all 2 replicas are restarted\n\
        Then mc1's old leaf is dead, and its new one is not, at\n| the Kingdom | principal_unknown |\n";
    let result = play(steps);
    is_green(&result);
    let all = halo_harness::verdict::deadness::of(&result.log);
    let dead = |kind| {
        let mut of = all.iter().filter(|one| one.kind == kind);
        of.all(|one| one.first_refused.is_some())
    };
    assert!(dead(CredentialKind::TlsLeaf));
    assert!(!dead(CredentialKind::TlsRoot), "{all:?}");
}

#[test]
fn the_last_acceptance_may_be_a_reference_participant_s() {
    let steps = |used: &str| {
        format!(
            "Given mc1's first leaf works at every door\nAnd the clock moves forward by 10 minutes\n\
             {used}And the clock moves forward by 10 minutes\n{REMOVED}\
             And all 2 replicas are restarted\n{DEAD}"
        )
    };
    let last = |used: &str| {
        let result = play(&steps(used));
        is_green(&result);
        let dead = halo_harness::verdict::deadness::of(&result.log);
        dead[0].last_accepted.clone().expect("it was accepted")
    };
    let used = "And mc1 creates a reach measurement called m with edp1\n";
    assert!(last(used) > last(""), "{} and {}", last(used), last(""));
}

/// Whose certificate the reporting server minded, and when that was revoked.
const PLANTED: &str = "And edp1 has a new encryption key called planted\n\
    When edp1 publishes its encryption key planted with its certificate certificate\n\
    Then the call succeeds\n";
const NOTICED: &str = "Then it is a finding by 1.6.2 that PublicKeys.UpdatePublicKey accepted \
    edp1.certificate, which reporting noticed by 3.13.1/c\n";

#[test]
fn a_finding_is_noticed_by_whoever_minds_that_certificate_and_no_other() {
    let revoked = "Given edp1's certificate is in state REVOKED\n";
    let of = |provider: &str| {
        format!("When reporting creates a reach measurement called m with {provider}\n")
    };
    is_green(&play(&format!("{revoked}{PLANTED}{}{NOTICED}", of("edp1"))));
    let other = format!(
        "{revoked}{PLANTED}Given edp2's certificate is in state REVOKED\n{}{NOTICED}",
        of("edp2")
    );
    is_red(&play(&other), Cause::NotNoticed);
}

#[test]
fn what_was_accepted_before_the_revocation_is_no_finding() {
    let begin = "Given a running Kingdom\n";
    let steps = format!(
        "{begin}{PLANTED}Given edp1's certificate is in state REVOKED\n\
         When reporting creates a reach measurement called m with edp1\n{NOTICED}"
    );
    is_red(&play(&steps), Cause::FailureNotSeen);
}

/// Of two results the first that is rejected decides.
#[test]
fn results_that_another_s_certificate_spoils_are_noticed_of_that_one() {
    let steps = |stolen: &str| {
        format!(
            "Given {stolen} has a new certificate called stolen\nAnd {stolen} registers its certificate stolen\n\
             And {stolen} signs with its certificate stolen\nAnd {stolen}'s certificate stolen is revoked\n\
             And edp1 has a new certificate called own\nAnd edp1 registers its certificate own\n\
             And edp1's certificate own is revoked\n\
             And the clock moves forward by 20 minutes\n\
             And mc1 creates an impression measurement called m with edp1 and edp2\n\
             And edp1 handles its requisitions\nWhen edp2 handles its requisitions\n\
             Then it is a finding by 1.6.2 that the results of mc1.m under {stolen}.stolen were accepted, which mc1 noticed by 3.13.2/d"
        )
    };
    is_green(&play(&steps("edp2")));
    // edp1's own is revoked and nobody's signer here.
    let other = steps("edp2").replace("under edp2.stolen", "under edp1.own");
    is_red(&play(&other), Cause::FailureNotSeen);
    // Both signed under a revoked one: the reader minds the first, and only that.
    let both = format!(
        "Given edp1 has a new certificate called first\nAnd edp1 registers its certificate first\n\
         And edp1 signs with its certificate first\nAnd edp1's certificate first is revoked\n{}",
        steps("edp2").replacen("Given ", "And ", 1)
    );
    let results = [both.clone(), both.replace("under edp2.stolen", "under edp1.first")]
        .map(|text| play(&text).judgement.verdict);
    let green = results.iter().filter(|verdict| **verdict == Verdict::Pass).count();
    assert_eq!(green, 1, "{results:?}");
}

/// The consumer's certificate expires, and the provider's is fine: its call is refused all the same.
#[test]
fn a_certificate_is_not_dead_by_another_s_end() {
    let steps = |whose: &str| {
        format!(
            "Given mc1 has a new certificate called short, valid from day -1 to day 1\n\
             And mc1 registers its certificate short\n\
             And edp1 has a new certificate called second\nAnd edp1 registers its certificate second\n\
             And edp1 has a new encryption key called fresh, signed with second\n\
             When mc1 creates a reach measurement with edp1, where\n\
             | measurement.measurement_consumer_certificate | \"{{mc1.short}}\" |\n\
             And the clock moves forward by 2 days\n\
             And mc1 creates a reach measurement with edp1, where\n\
             | measurement.measurement_consumer_certificate | \"{{mc1.short}}\" |\n\
             Then the call fails with FAILED_PRECONDITION\n\
             Given edp1 has published its encryption key fresh with its certificate second\n\
             When mc1 creates a reach measurement with edp1, where\n\
             | measurement.data_providers[0].value.data_provider_certificate | \"{{edp1.second}}\" |\n\
             Then {whose} is not, as the last two calls of Measurements.CreateMeasurement show"
        )
    };
    is_green(&play(&steps(
        "mc1's certificate short is dead by certificate_expired, and its certificate",
    )));
    let other = play(&steps(
        "edp1's certificate certificate is dead by certificate_expired, and its second",
    ));
    is_red(&other, Cause::UnexpectedState);
}

const NOTHING: &str = "Then the monitor saw nothing\n";

#[test]
fn a_server_that_is_not_there_is_seen_by_its_caller() {
    let call = "When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with\n\"\"\"\n\
        header { name: \"x\" }\n\"\"\"\n";
    let stopped = format!("Given worker1's server is stopped\n{call}");
    is_red(&play(&format!("{stopped}{NOTHING}")), Cause::UnexpectedState);
    let seen = format!("{stopped}Then the monitor saw exactly\n| edp1 | nobody_listens | 5.5.2 |");
    // Nothing else was called: then the servers have no record at all.
    is_green(&play(&format!("Given mc1 creates a reach measurement with edp1\n{seen}")));
}

#[test]
fn a_measurement_that_a_revocation_failed_is_seen_by_its_reader() {
    let failed = "Given mc1 has a direct reach measurement called open with edp1\n\
        And mc1's certificate is in state REVOKED\n\
        Then mc1 sees its measurement open failed with CERTIFICATE_REVOKED\n";
    is_red(&play(&format!("{failed}{NOTHING}")), Cause::UnexpectedState);
    let row = "| mc1 | CERTIFICATE_REVOKED | 1.6.3 |";
    is_green(&play(&format!("{failed}And the monitor saw exactly\n{row}")));
}

/// A later run does not cover an earlier one.
#[test]
fn failures_of_an_earlier_run_of_probes_that_no_step_spoke_of_are_red() {
    let run = |actor: &str| {
        format!(
            "Given probes call the Kingdom as {actor}\nWhen the probes go on for 300 ms\n\
             And the trust bundle no longer includes {actor}'s root\nAnd all 2 replicas are restarted\n\
             And the probes go on for 300 ms\nAnd the probes stop\n"
        )
    };
    let failed = |actor: &str| {
        format!(
            "Then {actor}'s probes of lanes new_connection, reused_channel and server_stream failed \
             with unknown_issuer to the end\n\
             | from | all 2 replicas are restarted |\n"
        )
    };
    let back = "When the trust bundle is the first one again\nAnd all 2 replicas are restarted\n";
    let seen =
        "Then the monitor saw at least 3 failures of edp1 with unknown_issuer, and no other\n";
    let (mc1, edp1) = (run("mc1"), run("edp1"));
    let spoken = format!("{mc1}{}{back}{edp1}{seen}{}", failed("mc1"), failed("edp1"));
    is_green(&play(&spoken));
    let silent = play(&format!("{mc1}{back}{edp1}{seen}{}", failed("edp1"))).judgement;
    assert_eq!(silent.verdict, Verdict::Fail);
    let reason = silent.reason.expect("a reason");
    assert!(reason.contains("probes of mc1 failed, and no step says"), "{reason}");
}
