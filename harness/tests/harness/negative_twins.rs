//! Every step that compares is shown to fail: a check that cannot fail is the worst defect.

use crate::support::play;
use halo_harness::steps::{Kind, Registry};
use halo_harness::verdict::Verdict;
use std::collections::BTreeSet;

const READ: &str = "When edp1 reads the certificate edp1.certificate\n";
const DENIED: &str = "When edp1 reads the certificate edp2.certificate\n";
const MISSING: &str = "Given missing is \"{edp1}/certificates/AAAAAAAAAZQ\"\n\
                       When edp1 changes the certificate missing by HOLD\n";
const LIST: &str =
    "When edp1 calls Certificates.ListCertificates with\n\"\"\"\nparent: \"{edp1}\"\n\"\"\"\n";
const OLD_ID: &str = "Given mc1 has a direct reach measurement called m with edp1\n\
                      And the clock moves forward by 600 seconds\n\
                      When edp1 calls Requisitions.GetRequisition with\n\"\"\"\n\
                      name: \"{edp1.m_requisition}\"\n\"\"\"\n";
const NO_CERTIFICATE: &str = "Given edp1 presents no certificate\n\
                              When edp1 reads the certificate edp1.certificate\n";
const BAD_KEY: &str = "Given mc1 sends the API key \"AAAAAAAAAZQ\"\n\
                       When mc1 reads the certificate mc1.certificate\n";
const NOT_TRANSLATED: &str = "Given missing is \"{edp1}/certificates/AAAAAAAAAZQ\"\n\
                              When edp1 reads the certificate missing\n";

const MEASURED: &str = "Given mc1 has a direct reach measurement called m with edp1\n\
                        When edp1 calls Requisitions.GetRequisition with\n\"\"\"\n\
                        name: \"{edp1.m_requisition}\"\n\"\"\"\n";
const STREAMED: &str = "Given mc1 has a direct reach measurement called m with edp1\n\
                        When operator calls Measurements.StreamMeasurements\n";
/// Ends with UNKNOWN and no message.
const UNKNOWN_STREAM: &str = "When operator calls Measurements.StreamMeasurements with\n\"\"\"\n\
                              filter { external_duchy_id: \"worker9\" }\n\"\"\"\n";
const COMPUTED: &str =
    "Given mc1 has an LLv2 reach measurement called m with edp1 and edp2\nAnd a running Kingdom\n";
const FAILURES: &str = "Given mc1 sends the API key \"AAAAAAAAAZQ\"\n\
                        When mc1 calls Certificates.GetCertificate 20 times with\n\"\"\"\n\
                        name: \"{mc1.certificate}\"\n\"\"\"\n";
const ONE_LISTED: &str = "When edp1 calls Certificates.ListCertificates with\n\"\"\"\nparent: \"{edp1}\" \
     filter { subject_key_identifiers: \"{edp1.certificate_skid}\" }\n\"\"\"\n";
const STORED: &str = "Given mc1 has an LLv2 reach measurement called m with edp1 and edp2\n\
                      And mc1.m has reached PENDING_REQUISITION_FULFILLMENT\n\
                      When edp1 calls RequisitionFulfillment.FulfillRequisition at worker1 with\n\
                      \"\"\"\nheader {\n  name: \"{edp1.m_requisition}\"\n  \
                      requisition_fingerprint: \"{edp1.m_fingerprint}\"\n  nonce: {edp1.m_nonce}\n}\n\
                      ---\nbody_chunk { data: \"sketch\" }\n\"\"\"\n";
const GROUPED: &str = "Given edp1 has an event group called g for mc1\n";
const HANDLED: &str = "Given mc1 creates a reach measurement called m with edp1\n\
                       When edp1 handles its requisitions\n";
const REFUSED: &str = "Given mc1 creates a reach measurement called m with edp1 that has a spoilt signature\n\
     When edp1 handles its requisitions\n";
const REPORTED: &str = "When reporting creates a reach measurement called m with edp1\n";

/// A run of probes without a change, with one lost call in it, and with a held call that is lost.
const DISTRIBUTED: &str = "Given a stopping replica waits 100 ms\n\
                           And probes call the Kingdom as edp1\n\
                           And a procedure rotates edp1's root, with the peer edp1\n\
                           When the phases up to distribute are done\nAnd the probes stop\n";
const PROBED: &str = "Given probes call the Kingdom as edp1\nWhen the probes go on for 300 ms\n\
                      And the probes stop\n";
const LOST: &str = "Given probes call the Kingdom as edp1\nWhen the probes go on for 200 ms\n\
                    And the connection is cut after the next 1 call of GetCertificate\n\
                    And the probes go on for 200 ms\nAnd the probes stop\n";
const HELD_IN_VAIN: &str = "Given a stopping replica waits 0 seconds\n\
                            And probes call the Kingdom as edp1\nWhen the probes go on for 100 ms\n\
                            And a call of each probing caller is held for 600 ms\n\
                            And the probes go on for 100 ms\nAnd all 2 replicas are restarted\n\
                            And the probes go on for 600 ms\nAnd the probes stop\n";
const REFUSED_PROBES: &str = "Given edp1 gets a new root\nAnd probes call the Kingdom as edp1\n\
     When the probes go on for 100 ms\nAnd edp1 presents a leaf of its new root\n\
     And the probes go on for 400 ms\nAnd the probes stop\n";
const RENEWED: &str = "Given probes call the Kingdom as edp1\nWhen the Kingdom gets a new certificate\n\
                       And the probes go on for 300 ms\nAnd the probes stop\n";
const STREAM_LOST: &str = "Given probes call the Kingdom as edp1\nWhen the probes go on for 200 ms\n\
                           And all 2 replicas are stopped\nAnd the probes go on for 1200 ms\n\
                           And all 2 replicas are started\nAnd the probes go on for 200 ms\n\
                           And the probes stop\n";

/// What happens, and the comparison that must not hold then.
const TWINS: &[(&str, &str)] = &[
    (
        "Given mc1 has a new encryption key called used\n\
         And mc1 has a new encryption key called other\n\
         And edp1 has an event group called g for mc1\n\
         And edp1 encrypts the metadata \"news\" of its event group g to mc1's key used\n",
        "Then mc1's encryption key other opens the metadata of edp1.g",
    ),
    (
        "Given mc1 gets a new root\nAnd the trust bundle no longer includes mc1's root\n\
         And all 2 replicas are restarted\n",
        "Then mc1's first leaf works at every door",
    ),
    (DENIED, "Then the call succeeds"),
    (NO_CERTIFICATE, "Then the call succeeds"),
    (READ, "Then the call fails with PERMISSION_DENIED"),
    (DENIED, "Then the call fails with UNAUTHENTICATED"),
    (NO_CERTIFICATE, "Then the call fails with UNAVAILABLE"),
    (NO_CERTIFICATE, "Then the call fails with UNKNOWN"),
    (MISSING, "Then the call fails with NOT_FOUND and reason DUCHY_NOT_FOUND"),
    (MISSING, "Then the call fails with UNKNOWN and reason CERTIFICATE_NOT_FOUND"),
    (DENIED, "Then the call fails with PERMISSION_DENIED and reason PERMISSION_DENIED"),
    (MISSING, "Then the error has no ErrorInfo"),
    (READ, "Then the error has no ErrorInfo"),
    (NO_CERTIFICATE, "Then the error has no ErrorInfo"),
    (DENIED, "Then the error has no description"),
    (READ, "Then the error has no description"),
    (NOT_TRANSLATED, "Then the error has a description"),
    (READ, "Then the error has a description"),
    (MISSING, "Then the error domain is \"wfa.measurement.internal.kingdom.ErrorCode\""),
    (DENIED, "Then the error domain is \"halo.wfanet.org\""),
    (MISSING, "Then the error metadata is\n| dataProviderCertificate | other |"),
    (MISSING, "Then the error metadata is\n| certificate | {missing} |"),
    (DENIED, "Then the error metadata is\n| dataProviderCertificate | other |"),
    (MISSING, "Then the error metadata is empty"),
    (DENIED, "Then the error metadata is empty"),
    (BAD_KEY, "Then the trailers have x-api-key \"AAAAAAAAAZR\""),
    (READ, "Then the trailers have x-api-key \"AAAAAAAAAZQ\""),
    (BAD_KEY, "Then the trailers have no x-api-key"),
    (READ, "Then the trailers have no x-api-key"),
    (READ, "Then the response has revocation_state: HOLD"),
    (READ, "Then the response has name: \"\""),
    (DENIED, "Then the response has revocation_state: HOLD"),
    (DENIED, "Then the response has revocation_state: REVOCATION_STATE_UNSPECIFIED"),
    (READ, "Then the response has\n| name | {edp1.certificate} |\n| revocation_state | HOLD |"),
    (READ, "Then the response field name is \"{edp2.certificate}\""),
    (LIST, "Then the response field certificates[9].name is \"{edp1.certificate}\""),
    (READ, "Then the response field name is not \"{edp1.certificate}\""),
    (DENIED, "Then the response field name is not \"x\""),
    (LIST, "Then the response has 3 certificates"),
    (LIST, "Then the response has 0 certificates"),
    (LIST, "Then the response lists certificates[*].name in this order\n| {edp1.certificate} |"),
    (LIST, "Then the response lists certificates[*].name in any order\n| {edp1.certificate} |"),
    (
        LIST,
        "Then the response lists certificates[*].name in any order\n| {edp1.certificate} |\n\
         | {edp1.certificate} |",
    ),
    (ONE_LISTED, "Then the response lists certificates[*].name by ascending id"),
    // Drawn before the clock went on; and no id at all.
    (OLD_ID, "Then the response field name ends in an id drawn now"),
    (READ, "Then the response field x509_der ends in an id drawn now"),
    (LIST, "Then the response lists \"{mc1.certificate}\" among certificates[*].name"),
    (LIST, "Then the response does not list \"{edp2.certificate}\" among certificates[*].name"),
    (DENIED, "Then the response does not list \"x\" among name"),
    (READ, "Then the response is\n\"\"\"\nname: \"{edp1.certificate}\"\n\"\"\""),
    (READ, "Then the response is\n\"\"\"\n\"\"\""),
    (READ, "Then the response is empty"),
    (DENIED, "Then the response is empty"),
    (STREAMED, "Then the stream has 0 messages"),
    (STREAMED, "Then the stream has 2 messages"),
    (UNKNOWN_STREAM, "Then the stream has 0 messages"),
    (LIST, "Then the response field next_page_token is saved as token"),
    (READ, "Then \"{edp1}\" equals \"{edp2}\""),
    (READ, "Then \"{edp1}\" differs from \"{edp1}\""),
    (READ, "Then edp1 sees its certificate in state HOLD"),
    (READ, "Then edp1 sees its certificate in state REVOKED"),
    (READ, "Then the connection is refused"),
    (DENIED, "Then the connection is refused"),
    (NO_CERTIFICATE, "Then the server recorded a refused handshake with cause unknown_issuer"),
    (READ, "Then the server recorded a refused handshake with cause no_client_certificate"),
    (NO_CERTIFICATE, "Then the server recorded an accepted handshake"),
    (DENIED, "Then the server recorded a refused call with cause principal_unknown"),
    (READ, "Then the server recorded a refused call with cause permission_denied"),
    (NO_CERTIFICATE, "Then the server recorded a refused call with cause no_client_certificate"),
    (READ, "Then the server knew the caller as \"{edp2}\""),
    (NO_CERTIFICATE, "Then the server knew the caller as \"{edp1}\""),
    (READ, "Then the server did not know the caller"),
    (NO_CERTIFICATE, "Then the server did not know the caller"),
    (READ, "Then the call was answered by replica 1"),
    (READ, "Then the call was answered by replica 9"),
    (NO_CERTIFICATE, "Then the replica that answered is saved as first"),
    (READ, "Then the server presented the certificate with SKID \"00\""),
    (READ, "Then worker1's server does not start"),
    (READ, "Then worker1 has stored a body of 5 bytes for \"{edp1}/requisitions/AAAAAAAAAZQ\""),
    (STORED, "Then worker1 has stored a body of 5 bytes for \"{edp1.m_requisition}\""),
    (STORED, "Then worker1 has stored nothing for \"{edp1.m_requisition}\""),
    (READ, "Then replica 0 does not start"),
    (READ, "Then replica 0 does not reload"),
    (READ, "Then nobody listens"),
    (READ, "Then the audit trail ends with\n| actor | nobody |"),
    (READ, "Then the audit trail has 7 entries with action \"revoke\""),
    (
        READ,
        "Then the audit trail verifies against the head \
         \"1:0000000000000000000000000000000000000000000000000000000000000000\"",
    ),
    (READ, "Then an alert was raised"),
    (FAILURES, "Then no alert was raised"),
    (READ, "Then the text name contains \"{edp2.certificate}\""),
    (READ, "Then the text name contains \"{edp1.certificate} and more\""),
    (LIST, "Then exactly 1 of certificates[*].name is set"),
    (LIST, "Then exactly 0 of certificates[*].name are set"),
    (MEASURED, "Then the response field state is the weak tag of update_time"),
    (MEASURED, "Then mc1 sees its measurement m in state COMPUTING"),
    (MEASURED, "Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED"),
    (MEASURED, "Then edp1 sees its requisition of mc1.m in state FULFILLED"),
    (MEASURED, "Then the operator sees mc1.m in state PENDING_COMPUTATION"),
    (MEASURED, "Then the operator sees edp1's requisition of mc1.m in state PENDING_PARAMS"),
    (MEASURED, "Then the operator sees edp2's requisition of mc1.m in state UNFULFILLED"),
    (MEASURED, "Then the operator sees worker1's part in mc1.m in state CREATED"),
    (COMPUTED, "Then the operator sees worker1's part in mc1.m in state READY"),
    (GROUPED, "Then edp1 sees its event group g in state DELETED"),
    (LOST, "Then nobody noticed"),
    (LOST, "Then edp1 noticed nothing"),
    (STREAM_LOST, "Then the probes of lane server_stream noticed nothing"),
    (
        LOST,
        "Then the probes of lane new_connection failed with expired\n\
         | from | the connection is cut after the next 1 call of GetCertificate |",
    ),
    (
        PROBED,
        "Then the probes of lane reused_channel failed with connection_cut\n\
         | from | probes call the Kingdom as edp1 |",
    ),
    (
        PROBED,
        "Then edp1's probes of lane reused_channel failed with connection_cut to the end\n\
         | from | probes call the Kingdom as edp1 |",
    ),
    (RENEWED, "Then every replica answers with the Kingdom's new certificate"),
    (DISTRIBUTED, "Then every server and caller trusts what it did before the procedure"),
    (DISTRIBUTED, "Then no server or caller trusts the root that the procedure replaced"),
    (PROBED, "Then the calls of edp1 ended on its new credential"),
    (PROBED, "Then the monitor saw at least 1 failure of edp1 with unknown_issuer, and no other"),
    (REFUSED_PROBES, "Then the monitor saw at least 1 failure of edp1 with expired, and no other"),
    (REFUSED_PROBES, "Then an alert was raised within 1 ms of the first failure"),
    (PROBED, "Then both credentials of edp1 were in use at once"),
    (PROBED, "Then calls of edp1 were answered under 2 of its credentials"),
    (LOST, "Then edp1's probes of lane reused_channel noticed nothing"),
    (HELD_IN_VAIN, "Then each held call was answered"),
    (READ, "Then the faults fired 1 time"),
    (
        MEASURED,
        "Then it is a finding by 1.6.7 that mc1.m succeeded after it had failed, which mc1 noticed by 1.5.2",
    ),
    (
        "Given modelprovider1 has a new certificate called first\n\
         And modelprovider1 registers its certificate first\n\
         And modelprovider1 gets a new root\n\
         And edp1's panel match stores modelprovider1's new root\n",
        "Then edp1's panel match takes what is signed with modelprovider1's certificate first",
    ),
    (HANDLED, "Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID"),
    (REFUSED, "Then edp1 refuses mc1.m with SPEC_INVALID"),
    (REFUSED, "Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/4"),
    (REFUSED, "Then edp1 fulfils mc1.m"),
    (HANDLED, "Then edp1 neither fulfils nor refuses mc1.m"),
    (REFUSED, "Then edp1 neither fulfils nor refuses mc1.m"),
    (HANDLED, "Then edp1 leaves the event participant_ended"),
    (REFUSED, "Then edp1 leaves the event requisition_refused by 3.10/4"),
    (REFUSED, "Then mc1 accepts the results of mc1.m"),
    (HANDLED, "Then mc1 rejects the results of mc1.m by 3.13.2/e"),
    (REPORTED, "Then reporting answers FAILED_PRECONDITION"),
    (
        "Given the next 1 call of GetCertificate fails with ABORTED\nWhen edp1 reads the certificate \
      edp1.certificate\n",
        "Then the faults fired 0 times",
    ),
];

#[test]
fn every_comparison_can_fail() {
    for (before, then) in TWINS {
        let result = play(&format!("{before}{then}"));
        let judgement = &result.judgement;
        assert_eq!(judgement.verdict, Verdict::Fail, "{before}{then}: {:?}", judgement.reason);
        let check = judgement.failed.as_ref().unwrap();
        assert_ne!(check.expected, check.observed, "{before}{then}");
        let decided = &judgement.step.as_ref().unwrap().text;
        assert_eq!(decided.lines().next(), then.lines().next(), "{before}{then}");
    }
}

#[test]
fn no_comparison_is_without_its_negative_twin() {
    let registry = Registry::new().unwrap();
    let mut covered = BTreeSet::new();
    for (_, then) in TWINS {
        let text = format!("Feature: f\n  Scenario: s\n    {then}\n");
        let scenarios = halo_harness::scenario::parse(&text, "f", "f").unwrap();
        let (definition, _) = registry.find(&scenarios[0].steps[0]).unwrap();
        covered.insert(definition.pattern);
    }
    // Those that need probes or a procedure have theirs among the faults, which every run plays.
    let embedded = halo_harness::scenario::embedded().unwrap();
    for fault in halo_harness::twins::embedded().unwrap() {
        let Some(part) = &fault.turns_red else { continue };
        let of_fault = embedded.iter().filter(|scenario| fault.scenarios.contains(&scenario.id));
        let steps = of_fault.flat_map(|scenario| &scenario.steps);
        for step in steps.filter(|step| step.ty == gherkin::StepType::Then) {
            if step.value.contains(part.as_str()) {
                covered.insert(registry.find(step).unwrap().0.pattern);
            }
        }
    }
    for step in registry.steps().filter(|step| step.kind != Kind::Action) {
        assert!(covered.contains(step.pattern), "no negative twin for `{}`", step.pattern);
    }
}

/// What a scenario's author got wrong, and what would otherwise have passed.
const PROVES_NOTHING: &[&str] = &[
    // Misspelt variables, which no text would ever equal.
    "When edp1 reads the certificate edp1.certificate\nThen the response field name is not \"{Edp2.certificate}\"",
    "When edp1 reads the certificate edp1.certificate\nThen the response field name is not \"{edp1.certificate-id}\"",
    "When edp1 reads the certificate edp1.certificate\nThen the response field name is not \"{ edp2.certificate }\"",
    // A table and a doc string that the step does not read.
    "When edp1 reads the certificate edp1.certificate\nThen the call succeeds\n  | state | HOLD |",
    "When mc1 calls ModelProviders.ListModelProviders\n\"\"\"\npage_size: 1\n\"\"\"\nThen the call succeeds",
    // A failure that no `Then` looked at, before the next call.
    "When edp1 reads the certificate edp2.certificate\nAnd edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    // Literals compared with each other.
    "When edp1 reads the certificate edp1.certificate\nThen \"x\" equals \"x\"",
    "When edp1 reads the certificate edp1.certificate\nThen \"x\" differs from \"y\"",
    // Nothing happened yet.
    "Given a running Kingdom\nThen the faults fired 0 times",
    // Nobody has acted, or nothing of that name was created.
    "Given a running Kingdom\nThen edp1 leaves the event participant_ended",
    "Given a running Kingdom\nThen reporting answers OK",
    "When edp1 handles its requisitions\nThen edp1 neither fulfils nor refuses mc1.m",
    "Given mc1 creates a reach measurement called m with edp1 that has a wart\nWhen edp1 handles its requisitions\nThen edp1 fulfils mc1.m",
    // A Secret that never changes under a replica, and replicas that read what changes under them.
    "Given each content of the Secret has a name of its own\nAnd replicas read changed files while they run\nWhen edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    // A kustomization that leaves out what the Kingdom reads, or that is not understood.
    "Given the Kingdom's Secret is made by the kustomization\n\"\"\"\nsecretGenerator:\n- name: s\n  files:\n  - kingdom_tls.pem\n\"\"\"\nWhen edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    "Given the Kingdom's Secret is made by the kustomization\n\"\"\"\nresources:\n- a.yaml\n\"\"\"\nWhen edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    "Given the Kingdom's Secret is made by the Kustomization folder \"not/there\"\nWhen edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    // What is not there, or not all of it.
    "When edp1 calls Certificates.GetCertificate on replica 77 with\n\"\"\"\nname: \"{edp1.certificate}\"\n\"\"\"\nThen nobody listens",
    "When all 1 replicas are stopped\nAnd edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    "When edp1 closes its connection\nAnd edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    "Given the next 1 call of GetCertificat fails with ABORTED\nWhen edp1 reads the certificate edp1.certificate\nThen the call succeeds",
    "Given edp1's certificate is in state HOLD\nAnd edp1's certificate is in state REVOCATION_STATE_UNSPECIFIED\nWhen edp1 reads the certificate edp1.certificate\nThen the call succeeds",
];

#[test]
fn what_proves_nothing_is_invalid() {
    for text in PROVES_NOTHING {
        let judgement = play(text).judgement;
        assert_eq!(judgement.verdict, Verdict::Invalid, "{text}: {judgement:?}");
        assert_eq!(judgement.owner, Some(halo_harness::error::Owner::ScenarioAuthor), "{text}");
    }
}

#[test]
fn nothing_differs_from_everything_and_is_no_proof() {
    let text = "When edp1 calls Certificates.ListCertificates with\n\"\"\"\nparent: \"{edp1}\"\n\"\"\"\n\
                Then the response field certificates[9].name is not \"x\"";
    assert_eq!(play(text).judgement.verdict, Verdict::Fail);
}

#[test]
fn every_example_means_its_own_step() {
    let registry = Registry::new().unwrap();
    for step in registry.steps() {
        let text = format!("Feature: f\n  Scenario: s\n    {}\n", step.example);
        let scenarios = halo_harness::scenario::parse(&text, "f", "f").unwrap();
        let (found, _) = registry.find(&scenarios[0].steps[0]).unwrap();
        assert_eq!(found.pattern, step.pattern, "{}", step.example);
    }
}

/// The sources of the vocabulary: each step's own text says whether it reads what stands below it.
#[test]
fn an_example_shows_what_stands_below_its_step() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/steps");
    let mut sources = String::new();
    for file in std::fs::read_dir(folder).unwrap() {
        sources.push_str(&std::fs::read_to_string(file.unwrap().path()).unwrap());
    }
    let registry = Registry::new().unwrap();
    let mut reading = 0;
    for source in sources.split("step!(").skip(1) {
        // Behind a list's last step stand helpers.
        let source = source.split("\n}\n").next().unwrap();
        if !source.contains("given.table(") && !source.contains("given.doc()") {
            continue;
        }
        let Some(step) =
            registry.steps().find(|step| source.contains(&format!("\"{}\"", step.pattern)))
        else {
            continue;
        };
        reading += 1;
        assert!(step.example.contains('\n'), "{} shows nothing below it", step.example);
    }
    assert!(reading > 20, "{reading} steps read a table or a doc string");
}

#[test]
fn an_action_that_has_to_succeed_fails_the_scenario_when_it_does_not() {
    for action in [
        "Given edp1 has a \"skid-absent\" certificate called bad\nAnd edp1 registers its certificate bad",
        "Given edp1.ghost is \"{edp1}/certificates/AAAAAAAAAZQ\"\nAnd edp1's certificate called ghost is in state HOLD",
        "Given edp1 has a new encryption key called k\nAnd edp1.ghost is \"{edp1}/certificates/AAAAAAAAAZQ\"\n\
         And edp1 has published its encryption key k with its certificate ghost",
        "Given the principal map gains\n\"\"\"\nnonsense\n\"\"\"\nAnd replica 0 is restarted",
    ] {
        let result = play(&format!("{action}\n{READ}Then the call succeeds"));
        assert_eq!(result.judgement.verdict, Verdict::Fail, "{action}: {:?}", result.judgement);
    }
}
