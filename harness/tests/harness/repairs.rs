//! What is called repaired while something of it is open: each must turn red.

use crate::support::play;
use halo_harness::run::ScenarioResult;
use halo_harness::verdict::Verdict;

/// edp1's metadata is under mc1's key `stolen`, and was assessed.
const STOLEN: &str = "Given edp1 has an event group called g for mc1\n\
    And mc1 has a new encryption key called stolen\n\
    And mc1 has published its encryption key stolen with its certificate certificate\n\
    And edp1 encrypts the metadata \"news\" of its event group g to mc1's key stolen\n\
    And mc1 has a new encryption key called fresh\n";
const ASSESSED: &str = "Then what mc1's encryption key stolen has touched is\n\
    | public_key | in_force | {mc1}/publicKey |\n| event_group | encrypted_to | {edp1.g} |\n";
const PUBLISHED: &str =
    "Given mc1 has published its encryption key fresh with its certificate certificate\n";
const ANEW: &str =
    "And edp1 encrypts the metadata \"news\" of its event group g to mc1's key fresh\n";
const NOTHING_OPEN: &str = "Then nothing that mc1's encryption key stolen has touched is open\n";
const NOT_FRESH: &str = "Then the event groups of mc1 that are not under its key fresh are none\n";

fn is_green(result: &ScenarioResult) {
    assert_eq!(result.judgement.verdict, Verdict::Pass, "{:?}", result.judgement.reason);
}

fn is_red(result: &ScenarioResult, what: &str) {
    let judgement = &result.judgement;
    assert_eq!(judgement.verdict, Verdict::Fail, "{:?}", judgement.reason);
    let failed = judgement.failed.as_ref().expect("a check decided");
    assert!(format!("{} {}", failed.what, failed.observed).contains(what), "{failed:?}");
}

/// 1.4.3: the Kingdom does not compare a ciphertext with the key that it names.
#[test]
fn a_ciphertext_that_names_the_fresh_key_is_open_if_the_stolen_one_opens_it() {
    let label = "And edp1 calls EventGroups.UpdateEventGroup with\n\"\"\"\n\
        event_group { name: \"{edp1.g}\" measurement_consumer: \"{mc1}\" \
        event_group_reference_id: \"g\" \
        encrypted_metadata { ciphertext: \"{edp1.g_ciphertext}\" } \
        measurement_consumer_public_key { [type.googleapis.com/\
        wfa.measurement.api.v2alpha.EncryptionPublicKey] \
        { format: TINK_KEYSET data: \"{mc1.fresh_keyset}\" } } }\n\"\"\"\nThen the call succeeds\n";
    let labelled = format!("{STOLEN}{ASSESSED}{PUBLISHED}{label}");
    is_red(&play(&format!("{labelled}{NOTHING_OPEN}")), "mc1's key stolen opens");
    is_red(&play(&format!("{labelled}{NOT_FRESH}")), "eventGroups/");
    let anew = format!("{STOLEN}{ASSESSED}{PUBLISHED}{ANEW}");
    is_green(&play(&format!("{anew}{NOTHING_OPEN}{NOT_FRESH}")));
}

/// 1.4.10: a list shows the entity types that are asked for.
#[test]
fn a_group_of_another_entity_type_is_open_too() {
    let creative = "And edp2 calls EventGroups.CreateEventGroup with\n\"\"\"\n\
        parent: \"{edp2}\" event_group { measurement_consumer: \"{mc1}\" \
        event_group_reference_id: \"c\" \
        entity_key { entity_type: \"creative\" entity_id: \"c\" } \
        encrypted_metadata { ciphertext: \"{edp1.g_ciphertext}\" } \
        measurement_consumer_public_key { [type.googleapis.com/\
        wfa.measurement.api.v2alpha.EncryptionPublicKey] \
        { format: TINK_KEYSET data: \"{mc1.stolen_keyset}\" } } }\n\"\"\"\n\
        Then the call succeeds\nAnd the response field name is saved as edp2.c\n";
    let with_it = format!("{STOLEN}{creative}");
    is_red(&play(&format!("{with_it}{ASSESSED}")), "event_group encrypted_to");
    let row = "| event_group | encrypted_to | {edp2.c} |\n";
    let repaired = format!("{with_it}{ASSESSED}{row}{PUBLISHED}{ANEW}");
    is_red(&play(&format!("{repaired}{NOTHING_OPEN}")), "event_group dataProviders/");
    is_red(&play(&format!("{repaired}{NOT_FRESH}")), "eventGroups/");
}

/// 1.4.2: the legacy field needs no key beside it.
#[test]
fn a_legacy_ciphertext_that_names_no_key_leaves_a_repair_open() {
    let legacy = "And edp2 calls EventGroups.CreateEventGroup with\n\"\"\"\n\
        parent: \"{edp2}\" event_group { measurement_consumer: \"{mc1}\" \
        event_group_reference_id: \"c\" \
        serialized_encrypted_metadata: \"{edp1.g_ciphertext}\" }\n\"\"\"\nThen the call succeeds\n";
    let repaired = format!("{STOLEN}{ASSESSED}{PUBLISHED}{ANEW}");
    is_green(&play(&format!("{repaired}{NOTHING_OPEN}")));
    let with_it = format!("{STOLEN}{legacy}{ASSESSED}{PUBLISHED}{ANEW}{NOTHING_OPEN}");
    is_red(&play(&with_it), "mc1's key stolen opens");
    // What the stolen key does not open is none of its business, though it names no key.
    let good = "And edp1 encrypts the metadata \"news\" of its event group g to mc1's key fresh\n";
    let other = format!("{STOLEN}{ASSESSED}{PUBLISHED}{good}{legacy}{NOTHING_OPEN}");
    is_green(&play(&other));
}

#[test]
fn what_was_stolen_an_hour_ago_was_stolen_then_however_late_it_is_said() {
    let repaired = "Given mc1 has a direct reach measurement called suspect with edp1\n\
        And edp1 has fulfilled its requisition of mc1.suspect\n\
        And edp1 has a new certificate called second\nAnd edp1 registers its certificate second\n\
        And edp1 has a new encryption key called fresh, signed with second\n\
        And edp1 has published its encryption key fresh with its certificate second\n\
        And edp1's certificate is in state REVOKED\n\
        Then what edp1's certificate certificate, stolen 1 hour ago, has touched is\n\
        | measurement | bound_to | {mc1.suspect} | after |\n\
        | measurement | result_signed_by | {mc1.suspect} | after |\n\
        | requisition | bound_to | {edp1.suspect_requisition} | after |\n\
        | result | result_signed_by | {edp1.suspect_requisition} | after |\n";
    let nothing = "Then nothing that edp1's certificate certificate, stolen 1 hour ago, has touched is open\n";
    is_red(&play(&format!("{repaired}{nothing}")), "is open");
    let later = "Given the clock moves forward by 2 hours\n";
    is_red(&play(&format!("{repaired}{later}{nothing}")), "is open");
}

/// modelprovider1's certificate `first` is stolen while mc1 measures, and its root is replaced for the leaf.
const MODEL_PROVIDER: &str = "Given mc1 creates a reach measurement called m with edp1\n\
    And modelprovider1 has a new certificate called first\n\
    And modelprovider1 registers its certificate first\n";
const NEW_ROOT: &str = "Given modelprovider1 gets a new root\n\
    And the trust bundle includes modelprovider1's new root\n\
    And the principal map knows modelprovider1's new root\n\
    And modelprovider1 presents a leaf of its new root\n\
    And the trust bundle no longer includes modelprovider1's root\n\
    And all 2 replicas are restarted\n";
const ITS_PLAN: &str =
    "When the repair plan of modelprovider1's certificate first is carried out\n";
const ITS_END: &str = "Then nothing that modelprovider1's certificate first has touched is open\n";

/// 1.3.4: it has no public key, and its plan names none.
#[test]
fn a_model_provider_repairs_with_the_leaf_that_is_trusted_and_not_with_the_stolen_one() {
    is_green(&play(&format!("{MODEL_PROVIDER}{ITS_PLAN}{ITS_END}")));
    is_green(&play(&format!("{MODEL_PROVIDER}{NEW_ROOT}{ITS_PLAN}{ITS_END}")));
    let stolen = NEW_ROOT.replace("And modelprovider1 presents a leaf of its new root\n", "");
    assert_ne!(stolen, NEW_ROOT);
    let stolen = play(&format!("{MODEL_PROVIDER}{stolen}{ITS_PLAN}{ITS_END}"));
    is_red(&stolen, "create_certificate modelProviders/");
    is_red(&play(&format!("{MODEL_PROVIDER}{ITS_END}")), "has to revoke_certificate");
}

/// 4.5: whoever takes it, what counts is what the owner itself signs with after the repair.
#[test]
fn a_certificate_is_dead_to_a_peer_only_if_its_owner_signs_with_the_new_one() {
    let before = "Given edp1's panel match stores modelprovider1's root\n\
        And edp1's panel match takes what is signed with modelprovider1's certificate first\n";
    let store = "Given edp1's panel match stores modelprovider1's new root\n";
    let dead = "Then modelprovider1's certificate first is dead to edp1's panel match by 3.4.3, \
        and its repaired is not\n";
    let repaired = format!("{MODEL_PROVIDER}{before}{NEW_ROOT}{ITS_PLAN}{ITS_END}{store}");
    is_green(&play(&format!("{repaired}{dead}")));
    let back = "Given modelprovider1 signs with its certificate first\n";
    is_red(&play(&format!("{repaired}{back}{dead}")), "the certificate that modelprovider1 signs");
    // Never taken while anybody looked: the refusal shows no death.
    let unseen =
        repaired.replace(before, "Given edp1's panel match stores modelprovider1's root\n");
    assert_eq!(play(&format!("{unseen}{dead}")).judgement.verdict, Verdict::Invalid);
}
