//! What a measurement consumer verifies: contract 3.15.1, 3.15.2, 3.13.3, 3.3.2.

use crate::support::{Stage, faithful, play, said, signing_key};
use halo_harness::participant::EventKind::Rejected;
use halo_harness::participant::data_provider::ResultDefect;
use halo_harness::participant::measurement_consumer::{ConsumerError, MeasurementConsumer};
use halo_harness::participant::wire;
use halo_harness::quirk::PeerQuirk;
use kingdom_proto::v2alpha as pb;
use pb::certificate::RevocationState::{Hold, Revoked};

async fn rejected(
    stage: &Stage,
    consumer: &mut MeasurementConsumer,
    name: &str,
) -> Option<&'static str> {
    match consumer.results(stage, name).await {
        Ok(_) => None,
        Err(ConsumerError::Rejected(rejection)) => {
            assert_eq!(said(&consumer.base), (Rejected, rejection.clause, ""));
            Some(rejection.clause)
        }
        Err(other) => panic!("{other}"),
    }
}

/// 3.13.3, 1.6.3: a result under a certificate that was revoked or held after fulfilment: the
/// Kingdom shows it, a careful consumer rejects it, the official tool does not notice.
#[test]
fn a_revoked_result_certificate_is_noticed_by_whoever_looks() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let name = stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(rejected(stage, &mut consumer, &name).await, None);
        let certificate = provider.signing.certificate.clone();
        for state in [Hold, Revoked] {
            provider.base.set_revocation(stage, &certificate, Some(state)).await.unwrap();
            assert_eq!(rejected(stage, &mut consumer, &name).await, Some("3.13.2/d"));
        }
        consumer.as_the_official_tool();
        assert_eq!(rejected(stage, &mut consumer, &name).await, None);
    });
}

/// Decryption, path and signature of a result (3.13.2), by both kinds of consumer; 3.3.2: an old result
/// under an expired certificate.
#[test]
fn a_bad_result_is_rejected_by_everybody() {
    for (defect, clause) in [
        (Some(ResultDefect::SpoiltCiphertext), "3.13.2/c"),
        (Some(ResultDefect::SpoiltSignature), "3.13.2/e"),
        (Some(ResultDefect::UnsupportedOid), "3.13.2/e"),
        (None, "3.13.2/e"),
    ] {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            let name = stage.create(&mut consumer, &stage.reach()).await;
            provider.result_defect = defect;
            let leaf = stage.leaf_of(&stage.authority("edp1"), "short", |spec| {
                spec.validity.not_after = stage.now() + time::Duration::hours(1);
            });
            let key = signing_key(&leaf);
            provider.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
            provider.poll(stage).await.unwrap();
            if defect.is_none() {
                assert_eq!(rejected(stage, &mut consumer, &name).await, None);
                stage.advance(std::time::Duration::from_secs(2 * 3600));
            }
            assert_eq!(rejected(stage, &mut consumer, &name).await, Some(clause), "{defect:?}");
            consumer.as_the_official_tool();
            assert_eq!(rejected(stage, &mut consumer, &name).await, Some(clause), "{defect:?}");
        });
    }
}

/// 3.15.1: results come with SUCCEEDED only.
#[test]
fn a_measurement_that_has_not_succeeded_has_no_results() {
    play(async |stage: &Stage| {
        let mut consumer = stage.consumer();
        let name = stage.create(&mut consumer, &stage.reach()).await;
        let unread = consumer.results(stage, &name).await;
        assert!(matches!(
            unread,
            Err(ConsumerError::NotSucceeded("AWAITING_REQUISITION_FULFILLMENT"))
        ));
    });
}

/// 3.15.2, 1.2.3: a provider's key that nobody signed: a careful consumer does not encrypt to it, the
/// official tool does.
#[test]
fn a_providers_unsigned_key_is_noticed_by_whoever_looks() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let mut signed = provider
            .signing
            .sign_packed(halo_harness::participant::public_key_of(&provider.keys[0]))
            .unwrap();
        signed.signature[9] ^= 1;
        let request = pb::UpdatePublicKeyRequest {
            public_key: Some(pb::PublicKey {
                name: format!("{}/publicKey", stage.resource("edp1")),
                public_key: Some(signed),
                certificate: provider.signing.certificate.clone(),
            }),
        };
        provider.base.call(stage, wire::UPDATE_PUBLIC_KEY, &request).await.unwrap();
        let created = consumer.create(stage, &stage.reach()).await;
        assert!(matches!(created, Err(ConsumerError::Rejected(_))));
        consumer.as_the_official_tool();
        assert!(consumer.create(stage, &stage.reach()).await.is_ok());
    });
}

/// 3.4.1 (quirk issuer-not-bound-to-owner): a provider's certificate of another owner's root.
#[test]
fn a_result_under_another_owners_root_passes_only_if_owners_are_not_bound() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let name = stage.create(&mut consumer, &stage.reach()).await;
        let leaf = stage.leaf("edp2", "of edp2");
        let key = signing_key(&leaf);
        provider.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
        provider.poll(stage).await.unwrap();
        assert_eq!(rejected(stage, &mut consumer, &name).await, Some("3.13.2/e"));
        faithful(&mut consumer.base, PeerQuirk::IssuerNotBoundToOwner);
        assert_eq!(rejected(stage, &mut consumer, &name).await, None);
    });
}
