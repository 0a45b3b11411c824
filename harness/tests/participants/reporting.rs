//! What Reporting answers: contract 3.13, and its signing key file, 5.4.3.

use crate::support::{SEED, Stage, documented, faithful, last, play, said, signing_key};
use fake_kingdom::fault::StatusName;
use halo_harness::participant::EventKind::{
    ParticipantEnded, Rejected, RequisitionFulfilled, RequisitionRefused,
};
use halo_harness::participant::data_provider::{DataProvider, ResultDefect};
use halo_harness::participant::reporting::Reporting;
use halo_harness::participant::reporting::rules::Answer;
use halo_harness::participant::{public_key_of, wire};
use halo_harness::quirk::PeerQuirk;
use halo_pki::AkidChoice;
use kingdom_proto::v2alpha as pb;
use pb::certificate::RevocationState::{Hold, Revoked};
use std::time::Duration;

const FAILED_PRECONDITION: &str = "FAILED_PRECONDITION";
const UNKNOWN: &str = "UNKNOWN";
const INTERNAL: &str = "INTERNAL";
const MINUTE: Duration = Duration::from_secs(60);

fn reporting(stage: &Stage) -> Reporting {
    let environment = &stage.environment;
    Reporting::of(environment.sandbox(), "mc1", environment.clock(), SEED).unwrap()
}

fn code<T: std::fmt::Debug>(answer: Result<T, Answer>) -> (&'static str, &'static str) {
    let answer = answer.unwrap_err();
    (answer.code, answer.clause)
}

/// 3.13.1, 3.13.2: the happy way.
#[test]
fn reporting_creates_a_measurement_and_reads_its_result() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
        provider.poll(stage).await.unwrap();
        let results = reporting.results(stage, &name).await.unwrap();
        assert!(results[0].result.reach.is_some());
    });
}

/// 3.13.1 a: a provider that is not there, or cannot be fetched.
#[test]
fn a_provider_that_cannot_be_fetched_fails_the_create_path() {
    play(async |stage: &Stage| {
        let mut reporting = reporting(stage);
        let mut wish = stage.reach();
        wish.providers[0].data_provider = "dataProviders/AAAAAAAAAZQ".to_owned();
        let answer = reporting.create(stage, &wish).await;
        assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.1/a"));
        stage.fault("DataProviders/GetDataProvider", StatusName::Unavailable);
        let answer = reporting.create(stage, &stage.reach()).await;
        assert_eq!(code(answer), (UNKNOWN, "3.13.1/a"));
    });
}

/// 3.13.1 b, 3.13.2 b: NOT_FOUND is FAILED_PRECONDITION; the Kingdom's UNKNOWN for a missing
/// certificate, like any other error, is INTERNAL.
#[test]
fn a_certificate_that_cannot_be_fetched_fails_both_paths() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
        provider.poll(stage).await.unwrap();
        for (status, expected) in [
            (StatusName::NotFound, FAILED_PRECONDITION),
            (StatusName::Unknown, INTERNAL),
            (StatusName::Unavailable, INTERNAL),
        ] {
            stage.fault("Certificates/GetCertificate", status);
            let answer = reporting.create(stage, &stage.reach()).await;
            assert_eq!(code(answer), (expected, "3.13.1/b"));
            stage.fault("Certificates/GetCertificate", status);
            let answer = reporting.results(stage, &name).await;
            assert_eq!(code(answer), (expected, "3.13.2/b"));
        }
    });
}

/// 3.13.1 c, 3.13.2 d: HOLD and REVOKED count alike; a released hold passes.
#[test]
fn a_revoked_or_held_certificate_fails_both_paths() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
        provider.poll(stage).await.unwrap();
        let certificate = provider.signing.certificate.clone();
        for state in [Some(Hold), None, Some(Revoked)] {
            provider.base.set_revocation(stage, &certificate, state).await.unwrap();
            let created = reporting.create(stage, &stage.reach()).await;
            let read = reporting.results(stage, &name).await;
            if state.is_none() {
                assert!(created.is_ok() && read.is_ok());
            } else {
                assert_eq!(code(created), (FAILED_PRECONDITION, "3.13.1/c"));
                assert_eq!(code(read), (FAILED_PRECONDITION, "3.13.2/d"));
                assert_eq!(said(reporting.base()).0, Rejected);
            }
        }
    });
}

/// Puts a key in force that is signed under a certificate of this kind.
async fn publish(stage: &Stage, provider: &mut DataProvider, what: &str) {
    let authority = match what {
        "foreign root" => stage.new_root("stranger"),
        "another owner's root" => stage.authority("edp2"),
        _ => stage.authority("edp1"),
    };
    let leaf = stage.leaf_of(&authority, what, |spec| match what {
        "no akid" => spec.akid = AkidChoice::Absent,
        "expired" => spec.validity.not_after = stage.now() - time::Duration::hours(1),
        _ => {}
    });
    provider.rotate_certificate(stage, leaf.certificate_der(), signing_key(&leaf)).await.unwrap();
    let mut signed = provider.signing.sign_packed(public_key_of(&provider.keys[0])).unwrap();
    match what {
        "spoilt signature" => signed.signature[9] ^= 1,
        "unsupported oid" => signed.signature_algorithm_oid = "1.3.101.112".to_owned(),
        "oid of another key type" => {
            signed.signature_algorithm_oid = "1.2.840.113549.1.1.11".to_owned();
        }
        _ => {}
    }
    let request = pb::UpdatePublicKeyRequest {
        public_key: Some(pb::PublicKey {
            name: format!("{}/publicKey", stage.resource("edp1")),
            public_key: Some(signed),
            certificate: provider.signing.certificate.clone(),
        }),
    };
    provider.base.call(stage, wire::UPDATE_PUBLIC_KEY, &request).await.unwrap();
}

/// 3.13.1 d, e: no AKID, issuer, path, signature; an unsupported OID as the quirk says.
#[test]
fn an_untrusted_provider_key_fails_the_create_path() {
    for (what, expected, as_documented) in [
        ("no akid", (UNKNOWN, "3.13.1/d"), (UNKNOWN, "3.13.1/d")),
        ("foreign root", (FAILED_PRECONDITION, "3.13.1/e"), (FAILED_PRECONDITION, "3.13.1/e")),
        ("expired", (FAILED_PRECONDITION, "3.13.1/e"), (FAILED_PRECONDITION, "3.13.1/e")),
        ("spoilt signature", (FAILED_PRECONDITION, "3.13.1/e"), (FAILED_PRECONDITION, "3.13.1/e")),
        ("unsupported oid", (UNKNOWN, "3.13.1/e"), (FAILED_PRECONDITION, "3.13.1/e")),
        ("oid of another key type", (UNKNOWN, "3.13.1/e"), (FAILED_PRECONDITION, "3.13.1/e")),
    ] {
        play(async |stage: &Stage| {
            let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
            publish(stage, &mut provider, what).await;
            let answer = reporting.create(stage, &stage.reach()).await;
            assert_eq!(code(answer), as_documented, "{what}, as documented");
            faithful(reporting.base(), PeerQuirk::UnsupportedOidIsNotABadSignature);
            let answer = reporting.create(stage, &stage.reach()).await;
            assert_eq!(code(answer), expected, "{what}, faithful");
        });
    }
}

/// 3.4.1 (quirk issuer-not-bound-to-owner) on the create path.
#[test]
fn a_key_signed_under_another_owners_root_passes_only_if_owners_are_not_bound() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        publish(stage, &mut provider, "another owner's root").await;
        let answer = reporting.create(stage, &stage.reach()).await;
        assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.1/e"));
        faithful(reporting.base(), PeerQuirk::IssuerNotBoundToOwner);
        assert!(reporting.create(stage, &stage.reach()).await.is_ok());
    });
}

/// 3.13.1, last sentences: four codes of the Kingdom pass on, with a text of Reporting's own; every
/// other one is UNKNOWN. Its own signing certificate is never checked.
#[test]
fn the_kingdoms_answer_to_the_create_passes_on_or_becomes_unknown() {
    play(async |stage: &Stage| {
        let mut reporting = reporting(stage);
        for (status, expected) in [
            (StatusName::InvalidArgument, "INVALID_ARGUMENT"),
            (StatusName::PermissionDenied, "PERMISSION_DENIED"),
            (StatusName::FailedPrecondition, FAILED_PRECONDITION),
            (StatusName::NotFound, "NOT_FOUND"),
            (StatusName::Unavailable, UNKNOWN),
            (StatusName::Aborted, UNKNOWN),
        ] {
            stage.fault("Measurements/BatchCreateMeasurements", status);
            let answer = reporting.create(stage, &stage.reach()).await;
            assert_eq!(code(answer), (expected, "3.13.1"));
        }
        let certificate = reporting.consumer.signing.certificate.clone();
        reporting.base().set_revocation(stage, &certificate, Some(Revoked)).await.unwrap();
        let answer = reporting.create(stage, &stage.reach()).await;
        assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.1"));
    });
}

/// 3.13.2 a, 3.13.5: the private key of the measurement's public key must be there.
#[test]
fn a_result_for_a_key_that_reporting_lost_fails_the_result_path() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
        provider.poll(stage).await.unwrap();
        reporting.consumer.keys.insert(0, stage.keyset("new"));
        assert!(reporting.results(stage, &name).await.is_ok());
        reporting.consumer.keys.truncate(1);
        let answer = reporting.results(stage, &name).await;
        assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.2/a"));
    });
}

/// 3.13.2 c: decryption comes before any check of the certificate.
#[test]
fn a_result_that_does_not_decrypt_is_unknown_even_under_a_revoked_certificate() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
        provider.result_defect = Some(ResultDefect::SpoiltCiphertext);
        provider.poll(stage).await.unwrap();
        let certificate = provider.signing.certificate.clone();
        provider.base.set_revocation(stage, &certificate, Some(Revoked)).await.unwrap();
        let answer = reporting.results(stage, &name).await;
        assert_eq!(code(answer), (UNKNOWN, "3.13.2/c"));
    });
}

/// 3.13.2 e (quirk untrusted-result-is-unknown): AKID, issuer, path, signature; an unsupported OID
/// besides by its own quirk.
#[test]
fn an_untrusted_result_fails_the_result_path() {
    for what in [
        "no akid",
        "foreign root",
        "expired",
        "spoilt signature",
        "unsupported oid",
        "oid of another key type",
        "other owner",
    ] {
        play(async |stage: &Stage| {
            let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
            let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
            let authority = match what {
                "foreign root" => stage.new_root("stranger"),
                "other owner" => stage.authority("edp2"),
                _ => stage.authority("edp1"),
            };
            let leaf = stage.leaf_of(&authority, "result", |spec| match what {
                "no akid" => spec.akid = AkidChoice::Absent,
                "expired" => spec.validity.not_after = stage.now() + time::Duration::hours(1),
                _ => {}
            });
            let key = signing_key(&leaf);
            provider.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
            provider.result_defect = match what {
                "spoilt signature" => Some(ResultDefect::SpoiltSignature),
                "unsupported oid" => Some(ResultDefect::UnsupportedOid),
                "oid of another key type" => Some(ResultDefect::OidOfOtherKeyType),
                _ => None,
            };
            provider.poll(stage).await.unwrap();
            stage.advance(Duration::from_secs(2 * 3600));

            let answer = reporting.results(stage, &name).await;
            assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.2/e"), "{what}");
            faithful(reporting.base(), PeerQuirk::UntrustedResultIsUnknown);
            let answer = reporting.results(stage, &name).await;
            assert_eq!(code(answer), (UNKNOWN, "3.13.2/e"), "{what}");
            documented(reporting.base(), PeerQuirk::UntrustedResultIsUnknown);
            faithful(reporting.base(), PeerQuirk::UnsupportedOidIsNotABadSignature);
            let expected = if what.contains("oid") { UNKNOWN } else { FAILED_PRECONDITION };
            let answer = reporting.results(stage, &name).await;
            assert_eq!(code(answer), (expected, "3.13.2/e"), "{what}");
            if what == "other owner" {
                faithful(reporting.base(), PeerQuirk::IssuerNotBoundToOwner);
                assert!(reporting.results(stage, &name).await.is_ok());
            }
        });
    }
}

/// 3.13.4 a (quirk reporting-stale-caches): revocation is seen up to the cache time later.
#[test]
fn a_revocation_is_seen_when_the_cache_entry_ends_or_as_documented_at_once() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        faithful(reporting.base(), PeerQuirk::ReportingStaleCaches);
        let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
        provider.poll(stage).await.unwrap();
        assert!(reporting.results(stage, &name).await.is_ok());
        let certificate = provider.signing.certificate.clone();
        provider.base.set_revocation(stage, &certificate, Some(Revoked)).await.unwrap();
        stage.advance(59 * MINUTE);
        assert!(reporting.results(stage, &name).await.is_ok(), "still cached");
        documented(reporting.base(), PeerQuirk::ReportingStaleCaches);
        let answer = reporting.results(stage, &name).await;
        assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.2/d"));
        faithful(reporting.base(), PeerQuirk::ReportingStaleCaches);
        stage.advance(2 * MINUTE);
        let answer = reporting.results(stage, &name).await;
        assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.2/d"));
    });
}

/// 3.13.4 b, d: after UpdatePublicKey Reporting encrypts to the old key for up to the cache time; a
/// provider that kept the old key fulfils, one that dropped it ends.
#[test]
fn a_stale_data_provider_encrypts_to_the_old_key() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        faithful(reporting.base(), PeerQuirk::ReportingStaleCaches);
        reporting.create(stage, &stage.reach()).await.unwrap();
        provider.rotate_encryption_key(stage, stage.keyset("new"), false).await.unwrap();
        provider.poll(stage).await.unwrap();
        let old = reporting.create(stage, &stage.reach()).await.unwrap();
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled, "{}", old.name);

        provider.keys.truncate(1);
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        let stuck = reporting.create(stage, &stage.reach()).await.unwrap();
        assert_eq!(provider.poll(stage).await.unwrap_err().clause, "3.10/7");
        assert_eq!(said(&provider.base).0, ParticipantEnded);
        reporting.consumer.cancel(stage, &stuck.name).await.unwrap();

        stage.advance(61 * MINUTE);
        reporting.create(stage, &stage.reach()).await.unwrap();
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled, "{:?}", last(&provider.base));
    });
}

/// 3.13.4 c: the certificate's entry ends before the DataProvider's, and the old certificate is
/// revoked: creation fails until the DataProvider's entry ends too.
#[test]
fn a_revoked_old_certificate_blocks_creation_until_the_data_provider_is_read_again() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        let name = reporting.create(stage, &stage.reach()).await.unwrap().name;
        provider.poll(stage).await.unwrap();
        faithful(reporting.base(), PeerQuirk::ReportingStaleCaches);
        stage.advance(61 * MINUTE);
        reporting.results(stage, &name).await.unwrap(); // loads the certificate
        stage.advance(30 * MINUTE);
        reporting.create(stage, &stage.reach()).await.unwrap(); // loads the DataProvider
        let old = provider.signing.certificate.clone();
        publish(stage, &mut provider, "good").await;
        provider.base.set_revocation(stage, &old, Some(Revoked)).await.unwrap();
        assert!(reporting.create(stage, &stage.reach()).await.is_ok(), "both stale");
        stage.advance(31 * MINUTE);
        let answer = reporting.create(stage, &stage.reach()).await;
        assert_eq!(code(answer), (FAILED_PRECONDITION, "3.13.1/c"));
        stage.advance(30 * MINUTE);
        assert!(reporting.create(stage, &stage.reach()).await.is_ok(), "both read again");
    });
}

/// 5.4.3 (quirk reporting-rereads-signing-key): the key file is edited in place; nobody notices but
/// the provider.
#[test]
fn an_edited_signing_key_file_is_used_at_once_or_as_documented_not() {
    play(async |stage: &Stage| {
        let (mut reporting, mut provider) = (reporting(stage), stage.data_provider("edp1"));
        reporting.signing_key_file = stage.leaf("mc1", "edited").key().pkcs8_der().to_vec();
        reporting.create(stage, &stage.reach()).await.unwrap();
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled);
        faithful(reporting.base(), PeerQuirk::ReportingRereadsSigningKey);
        reporting.create(stage, &stage.reach()).await.unwrap();
        provider.poll(stage).await.unwrap();
        let refused = (RequisitionRefused, "3.10/5", "CONSENT_SIGNAL_INVALID");
        assert_eq!(said(&provider.base), refused);
    });
}
