//! What a data provider checks, refuses or ends at: contract 3.10, over the wire.

use crate::support::{SEED, Stage, documented, failure, faithful, last, play, said, signing_key};
use fake_kingdom::fault::StatusName;
use halo_consent::SigningKey;
use halo_harness::participant::EventKind::{
    ParticipantEnded, Rejected, RequisitionFulfilled, RequisitionRefused, RequisitionSkipped,
};
use halo_harness::participant::data_provider::MetadataError;
use halo_harness::participant::data_provider::population::{Models, PopulationSpec};
use halo_harness::participant::data_provider::rules::{Decision, Methodology, ProtocolKind};
use halo_harness::participant::measurement_consumer::{Defect, Measure, MeasurementConsumer, Wish};
use halo_harness::participant::wire;
use halo_harness::quirk::PeerQuirk;
use halo_pki::hostile::Variant;
use halo_pki::{AkidChoice, Leaf};
use kingdom_proto::v2alpha as pb;
use pb::measurement::State;
use pb::measurement::failure::Reason;
use pb::protocol_config::protocol::Protocol;
use prost::{Message as _, Name as _};
use std::time::Duration;

const CSI: &str = "CONSENT_SIGNAL_INVALID";
const SPEC_INVALID: &str = "SPEC_INVALID";

/// 3.7.2, 3.7.3, 3.7.4: the whole way of a Direct measurement, of which each part opens or verifies.
#[test]
fn a_direct_measurement_is_fulfilled_and_its_result_read() {
    play(async |stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        for measure in
            [Measure::Reach, Measure::ReachAndFrequency, Measure::Impression, Measure::Duration]
        {
            let wish = Wish::new(measure, &[&stage.resource("edp1")]);
            let name = stage.create(&mut consumer, &wish).await;
            provider.poll(stage).await.unwrap();
            assert_eq!(said(&provider.base), (RequisitionFulfilled, "3.10", ""));
            let results = consumer.results(stage, &name).await.unwrap();
            assert_eq!(results.len(), 1);
            assert_eq!(results[0].certificate, provider.signing.certificate);
            let result = &results[0].result;
            let shows = match measure {
                Measure::Reach => result.reach.is_some() && result.frequency.is_none(),
                Measure::ReachAndFrequency => result.reach.is_some() && result.frequency.is_some(),
                Measure::Impression => result.impression.is_some(),
                _ => result.watch_duration.is_some(),
            };
            assert!(shows, "{measure:?}: {result:?}");
        }
    });
}

/// Creates a measurement with each defect, and compares the refusal with the row's.
fn are_refused(cases: &[(Defect, &str, &str)]) {
    for &(defect, clause, justification) in cases {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            let name = stage.create(&mut consumer, &stage.reach().with(defect)).await;
            provider.poll(stage).await.unwrap();
            let event = last(&provider.base);
            assert_eq!(
                said(&provider.base),
                (RequisitionRefused, clause, justification),
                "{event:?}"
            );
            let measurement = consumer.get(stage, &name).await.unwrap();
            assert_eq!(measurement.state(), State::Failed, "{defect:?}");
            assert_eq!(failure(&measurement), Reason::RequisitionRefused);
        });
    }
}

/// 3.10 row 5, row 7: each defect of the MeasurementSpec or of the key shown meets the justification of
/// its row.
#[test]
fn each_outer_defect_is_refused_with_its_justification() {
    are_refused(&[
        (Defect::SpoiltSignature, "3.10/5", CSI),
        (Defect::UnsupportedOid, "3.10/5", CSI),
        (Defect::OidOfOtherKeyType, "3.10/5", CSI),
        (Defect::UnknownKey, "3.10/7", CSI),
    ]);
}

/// 3.10 row 8, row 9: so does each defect of the encryption and of its plaintext; 3.5.1: and a key that
/// shows itself unusable only when it is used.
#[test]
fn each_defect_of_the_plaintext_is_refused_with_its_justification() {
    are_refused(&[
        (Defect::ForeignKey, "3.10/8", CSI),
        (Defect::UnparsablePlaintext, "3.10/8", SPEC_INVALID),
        (Defect::OtherInnerMessage, "3.10/9", SPEC_INVALID),
        (Defect::UnusableMeasurementKey, "3.5.1", SPEC_INVALID),
    ]);
}

/// 3.10 row 10: so does each defect of the RequisitionSpec; 3.8.2, 3.8.3.
#[test]
fn each_inner_defect_is_refused_with_its_justification() {
    are_refused(&[
        (Defect::SpoiltInnerSignature, "3.10/10", CSI),
        (Defect::UnsupportedInnerOid, "3.10/10", CSI),
        (Defect::InnerOidOfOtherKeyType, "3.10/10", CSI),
        (Defect::OtherMeasurementKey, "3.10/10", CSI),
        (Defect::OtherLegacyMeasurementKey, "3.10/10", CSI),
        (Defect::OtherNonce, "3.10/10", CSI),
    ]);
}

/// 3.8.3, legacy: without the Any in the RequisitionSpec its byte field decides; the same bytes pass,
/// others are refused.
#[test]
fn the_legacy_key_fields_are_compared() {
    for (defect, said_of_it) in [
        (Defect::LegacyMeasurementKey, (RequisitionFulfilled, "3.10", "")),
        (Defect::OtherLegacyMeasurementKey, (RequisitionRefused, "3.10/10", CSI)),
    ] {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            stage.create(&mut consumer, &stage.reach().with(defect)).await;
            provider.poll(stage).await.unwrap();
            assert_eq!(said(&provider.base), said_of_it, "{:?}", last(&provider.base));
        });
    }
}

/// 3.10 row 13: the measurement type fits each protocol or not. The Kingdom never pairs them wrongly:
/// the protocol of a requisition as listed is changed.
#[test]
fn a_measurement_type_that_does_not_fit_the_protocol_is_refused() {
    let direct = |requisition: &pb::Requisition| requisition.protocol_config.clone().unwrap();
    let of = |protocol: Protocol| {
        let protocol = pb::protocol_config::Protocol { protocol: Some(protocol) };
        pb::ProtocolConfig { protocols: vec![protocol], ..Default::default() }
    };
    let llv2 = || of(Protocol::LiquidLegionsV2(Default::default()));
    let reach_only = || of(Protocol::ReachOnlyLiquidLegionsV2(Default::default()));
    let hmss = || of(Protocol::HonestMajorityShareShuffle(Default::default()));
    let trus_tee = || of(Protocol::TrusTee(Default::default()));
    use Measure::{Duration, Impression, Reach, ReachAndFrequency};
    for (measure, fitting) in [
        (Reach, [true, true, true, true, true]),
        (ReachAndFrequency, [true, true, false, true, true]),
        (Impression, [true, false, false, false, false]),
        (Duration, [true, false, false, false, false]),
    ] {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            stage.create(&mut consumer, &Wish::new(measure, &[&stage.resource("edp1")])).await;
            let listed = stage.listed(&mut provider).await.remove(0);
            let configs = [direct(&listed), llv2(), reach_only(), hmss(), trus_tee()];
            for (config, fits) in configs.into_iter().zip(fitting) {
                let mut requisition = listed.clone();
                requisition.protocol_config = Some(config);
                let decision = provider.judge(stage, &requisition).await;
                let at_row_13 = refused(&decision) == Some(("3.10/13", SPEC_INVALID));
                assert_eq!(at_row_13, !fits, "{measure:?}: {decision:?}");
            }
        });
    }
}

/// 3.10 row 16: the provider has the methodology, and the requisition does not offer it.
#[test]
fn a_direct_methodology_that_is_not_offered_is_declined() {
    use pb::protocol_config::Direct;
    type Withdraw = fn(&mut Direct);
    let cases: [(Measure, Withdraw); 5] = [
        (Measure::Reach, |direct| direct.deterministic_count_distinct = None),
        (Measure::ReachAndFrequency, |direct| direct.deterministic_count_distinct = None),
        (Measure::ReachAndFrequency, |direct| direct.deterministic_distribution = None),
        (Measure::Impression, |direct| direct.deterministic_count = None),
        (Measure::Duration, |direct| direct.deterministic_sum = None),
    ];
    for (measure, withdraw) in cases {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            stage.create(&mut consumer, &Wish::new(measure, &[&stage.resource("edp1")])).await;
            let mut requisition = stage.listed(&mut provider).await.remove(0);
            let decision = provider.judge(stage, &requisition).await;
            assert!(matches!(decision, Decision::Fulfil(_)), "{measure:?}: {decision:?}");
            let protocols = &mut requisition.protocol_config.as_mut().unwrap().protocols;
            let Some(Protocol::Direct(direct)) = &mut protocols[0].protocol else {
                panic!("not Direct: {protocols:?}");
            };
            withdraw(direct);
            let decision = provider.judge(stage, &requisition).await;
            assert_eq!(refused(&decision), Some(("3.10/16", "DECLINED")), "{measure:?}");
        });
    }
}

/// 3.1.4, 3.1.5 first row; 3.8.3 legacy: what looks odd and is none the less good.
#[test]
fn an_empty_oid_verifies_by_luck_and_the_legacy_key_fields_count() {
    for defect in [Defect::EmptyOid, Defect::LegacyMeasurementKey] {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            let name = stage.create(&mut consumer, &stage.reach().with(defect)).await;
            provider.poll(stage).await.unwrap();
            assert_eq!(said(&provider.base).0, RequisitionFulfilled, "{defect:?}");
            assert_eq!(consumer.results(stage, &name).await.unwrap().len(), 1);
        });
    }
}

/// Lets a faithful provider meet each defect, and compares the row at which it ends.
fn end_the_process(cases: &[(Defect, &'static str, bool)]) {
    for &(defect, clause, oid_is_not_bad) in cases {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
            if oid_is_not_bad {
                faithful(&mut provider.base, PeerQuirk::UnsupportedOidIsNotABadSignature);
            }
            let name = stage.create(&mut consumer, &stage.reach().with(defect)).await;
            let ended = provider.poll(stage).await.unwrap_err();
            assert_eq!(ended.clause, clause, "{defect:?}: {ended}");
            assert_eq!(said(&provider.base), (ParticipantEnded, clause, ""));
            let measurement = consumer.get(stage, &name).await.unwrap();
            assert_eq!(measurement.state(), State::AwaitingRequisitionFulfillment);
        });
    }
}

/// 3.10.1: what the process ends at; the row is the same as that of the refusal in its place, and the
/// measurement waits.
#[test]
fn a_faithful_provider_ends_at_the_outer_rows_where_the_table_says_so() {
    end_the_process(&[
        (Defect::UnsupportedOid, "3.10/5", true),
        (Defect::OidOfOtherKeyType, "3.10/5", true),
        (Defect::UnknownKey, "3.10/7", false),
    ]);
}

/// The same behind the decryption.
#[test]
fn a_faithful_provider_ends_at_the_inner_rows_where_the_table_says_so() {
    end_the_process(&[
        (Defect::UnparsablePlaintext, "3.10/8", false),
        (Defect::OtherInnerMessage, "3.10/9", false),
        (Defect::UnsupportedInnerOid, "3.10/10", true),
        (Defect::InnerOidOfOtherKeyType, "3.10/10", true),
    ]);
}

/// 3.5.1: the same where the measurement key shows itself unusable.
#[test]
fn a_faithful_provider_ends_at_an_unusable_measurement_key() {
    end_the_process(&[(Defect::UnusableMeasurementKey, "3.5.1", false)]);
}

/// 3.10 row 1: the MC certificate cannot be fetched. A careful provider leaves the requisition for
/// the next poll, a faithful one ends.
#[test]
fn a_certificate_that_cannot_be_fetched_ends_the_process_or_waits() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        stage.create(&mut consumer, &stage.reach()).await;
        stage.fault("Certificates/GetCertificate", StatusName::Unavailable);
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionSkipped, "3.10/1", ""));
        stage.fault("Certificates/GetCertificate", StatusName::Unavailable);
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        assert_eq!(provider.poll(stage).await.unwrap_err().clause, "3.10/1");
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled);
    });
}

/// Gives mc1 a consent signalling certificate of its own making, and creates with it.
async fn create_under(stage: &Stage, consumer: &mut MeasurementConsumer, leaf: &Leaf) -> String {
    consumer.rotate_certificate(stage, leaf.certificate_der(), signing_key(leaf)).await.unwrap();
    stage.create(consumer, &stage.reach()).await
}

/// 3.10 row 2, 3.4.4: an MC certificate without AKID.
#[test]
fn a_certificate_without_akid_is_refused_or_ends_the_process() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let leaf = stage.leaf_of(&stage.authority("mc1"), "no akid", |spec| {
            spec.akid = AkidChoice::Absent;
        });
        create_under(stage, &mut consumer, &leaf).await;
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        assert_eq!(provider.poll(stage).await.unwrap_err().clause, "3.10/2");
        documented(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/2", CSI));
    });
}

/// 3.10 row 3: an MC certificate of a root that is not in the bundle; with the root in it and bound
/// to the MC, the same kind of certificate passes.
#[test]
fn a_foreign_root_is_refused_until_the_bundle_has_it() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let root = stage.new_root("stranger");
        create_under(stage, &mut consumer, &stage.leaf_of(&root, "first", |_| {})).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/3", CSI));

        provider.base.identity.bundle.add(root.certificate_der()).unwrap();
        let name = stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/3", CSI), "not bound to mc1");
        assert_eq!(consumer.get(stage, &name).await.unwrap().state(), State::Failed);

        provider.base.identity.bundle.bind(&stage.resource("mc1"), root.certificate_der());
        stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled);
    });
}

/// 3.4.1 (quirk issuer-not-bound-to-owner): a leaf of edp2's root passes for mc1, or as documented
/// not.
#[test]
fn a_leaf_of_another_trusted_root_passes_only_if_owners_are_not_bound() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        create_under(stage, &mut consumer, &stage.leaf("edp2", "of edp2")).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/3", CSI));
        faithful(&mut provider.base, PeerQuirk::IssuerNotBoundToOwner);
        stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled);
    });
}

/// 3.10 row 4, 3.3.2: a certificate that expired after the Kingdom took the measurement; and one that
/// another authority signed in the name of mc1's.
#[test]
fn an_expired_certificate_and_a_forged_path_are_refused() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let leaf = stage.leaf_of(&stage.authority("mc1"), "short", |spec| {
            spec.validity.not_after = stage.now() + time::Duration::hours(1);
        });
        create_under(stage, &mut consumer, &leaf).await;
        stage.advance(Duration::from_secs(2 * 3600));
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/4", CSI));

        let forgery = halo_pki::hostile::forge(
            Variant::SignedByOtherInAuthoritysName,
            &stage.authority("mc1"),
            &stage.authority("edp2"),
            stage.now(),
            &mut SEED.child("test/forgery"),
        )
        .unwrap();
        let key = SigningKey::from_pkcs8_der(forgery.key.pkcs8_der().unwrap()).unwrap();
        consumer.rotate_certificate(stage, &forgery.certificate, key).await.unwrap();
        stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/4", CSI));
        assert!(last(&provider.base).cause.contains("signature"), "{:?}", last(&provider.base));
    });
}

/// 3.2.3 (quirk unsupported-oid-is-not-a-bad-signature) alone, with a process that never ends.
#[test]
fn an_unsupported_oid_is_a_refusal_as_long_as_the_process_does_not_end() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        // Dies instead of refusing, but takes the OID for a bad signature: it refuses.
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        stage.create(&mut consumer, &stage.reach().with(Defect::UnsupportedOid)).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/5", CSI));
        // The other way round: the exception is caught and refused.
        documented(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        faithful(&mut provider.base, PeerQuirk::UnsupportedOidIsNotABadSignature);
        stage.create(&mut consumer, &stage.reach().with(Defect::UnsupportedOid)).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/5", CSI));
    });
}

type Change = fn(&mut pb::Requisition);

/// Judges a requisition as listed, with each change, by a careful and by a faithful provider.
fn never_shown(cases: &[(&str, &str, &str, bool, Change)]) {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        stage.create(&mut consumer, &stage.reach()).await;
        let listed = stage.listed(&mut provider).await.remove(0);
        assert!(matches!(provider.judge(stage, &listed).await, Decision::Fulfil(_)));
        for &(what, clause, justification, ends, change) in cases {
            let mut requisition = listed.clone();
            change(&mut requisition);
            documented(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
            let decision = provider.judge(stage, &requisition).await;
            assert_eq!(refused(&decision), Some((clause, justification)), "{what}: {decision:?}");
            faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
            match provider.judge(stage, &requisition).await {
                Decision::End(ending) => assert!(ends && ending.clause == clause, "{what}"),
                Decision::Refuse(_) => assert!(!ends, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    });
}

/// 3.10 row 6, row 8 (type_url), which the Kingdom never lets through: a requisition as listed, changed.
#[test]
fn packed_types_that_the_kingdom_never_shows_end_the_process_too() {
    never_shown(&[
        ("wrong spec type", "3.10/6", SPEC_INVALID, true, |requisition| {
            let signed = requisition.measurement_spec.as_mut().unwrap();
            signed.message.as_mut().unwrap().type_url = "type.googleapis.com/x.Y".to_owned();
        }),
        ("wrong key type", "3.10/6", SPEC_INVALID, true, |requisition| {
            let key = requisition.data_provider_public_key.as_mut().unwrap();
            key.type_url = "type.googleapis.com/x.Y".to_owned();
        }),
        ("wrong type_url", "3.10/8", SPEC_INVALID, true, |requisition| {
            let sealed = requisition.encrypted_requisition_spec.as_mut().unwrap();
            sealed.type_url = "type.googleapis.com/x.Y".to_owned();
        }),
    ]);
}

/// 3.10 row 13, row 17, changed likewise.
#[test]
fn protocols_and_names_that_the_kingdom_never_shows_are_refused_too() {
    never_shown(&[
        ("no protocol", "3.10/13", SPEC_INVALID, false, |requisition| {
            requisition.protocol_config.as_mut().unwrap().protocols.clear();
        }),
        ("no noise", "3.10/13", SPEC_INVALID, false, |requisition| {
            let protocols = &mut requisition.protocol_config.as_mut().unwrap().protocols;
            if let Some(Protocol::Direct(direct)) = &mut protocols[0].protocol {
                direct.noise_mechanisms.clear();
            }
        }),
        ("bound certificate", "3.10/17", "UNFULFILLABLE", false, |requisition| {
            requisition.data_provider_certificate = "duchies/a/certificates/b".to_owned();
        }),
    ]);
}

fn refused(decision: &Decision) -> Option<(&'static str, &'static str)> {
    match decision {
        Decision::Refuse(refusal) => Some((refusal.clause, refusal.justification.as_str_name())),
        _ => None,
    }
}

/// 3.10 row 7, 3.10.1 (quirks one-decryption-key-loaded and provider-dies-instead-of-refusing): a
/// requisition for the old key, after a rotation that kept it or dropped it, and a newer one for the
/// new key behind it.
#[test]
fn a_dropped_decryption_key_stops_every_newer_requisition_of_a_faithful_provider() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let old = stage.create(&mut consumer, &stage.reach()).await;
        provider.rotate_encryption_key(stage, stage.keyset("new"), false).await.unwrap();
        let new = stage.create(&mut consumer, &stage.reach()).await;
        let waiting = State::AwaitingRequisitionFulfillment;

        faithful(&mut provider.base, PeerQuirk::OneDecryptionKeyLoaded);
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        for _ in 0..2 {
            // Kubernetes starts it again, and it dies again.
            assert_eq!(provider.poll(stage).await.unwrap_err().clause, "3.10/7");
            assert_eq!(consumer.get(stage, &old).await.unwrap().state(), waiting);
            assert_eq!(consumer.get(stage, &new).await.unwrap().state(), waiting);
        }
        // 3.10.1: until the offending one is cancelled.
        consumer.cancel(stage, &old).await.unwrap();
        provider.poll(stage).await.unwrap();
        assert_eq!(consumer.get(stage, &new).await.unwrap().state(), State::Succeeded);
    });
}

/// 3.10 row 7 as documented: the matching key is looked up, old ones included.
#[test]
fn a_kept_decryption_key_is_found_and_a_dropped_one_is_refused() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let old = stage.create(&mut consumer, &stage.reach()).await;
        provider.rotate_encryption_key(stage, stage.keyset("second"), false).await.unwrap();
        let new = stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        for name in [&old, &new] {
            assert_eq!(consumer.get(stage, name).await.unwrap().state(), State::Succeeded);
        }
        let dropped = stage.create(&mut consumer, &stage.reach()).await;
        provider.rotate_encryption_key(stage, stage.keyset("third"), true).await.unwrap();
        let kept = stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(consumer.get(stage, &dropped).await.unwrap().state(), State::Failed);
        assert_eq!(consumer.get(stage, &kept).await.unwrap().state(), State::Succeeded);
    });
}

/// The wish of one reach measurement of an EventGroup.
fn of_group(stage: &Stage, group: &str, filter: &str) -> Wish {
    let mut wish = stage.reach();
    wish.providers[0].event_groups = vec![group.to_owned()];
    wish.providers[0].filter = filter.to_owned();
    wish
}

/// 3.10 row 11, 3.10.5: unreadable names, and the ids that ask for a refusal.
#[test]
fn unreadable_event_groups_and_test_ids_are_refused() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let edp1 = stage.resource("edp1");
        for (id, clause, justification) in [
            ("x", "3.10/11", SPEC_INVALID),
            ("consent-signal-invalid", "3.10.5", CSI),
            ("spec-invalid", "3.10.5", SPEC_INVALID),
            ("insufficient-privacy-budget", "3.10.5", "INSUFFICIENT_PRIVACY_BUDGET"),
            ("unfulfillable", "3.10.5", "UNFULFILLABLE"),
            ("declined", "3.10.5", "DECLINED"),
        ] {
            let name = match id {
                "x" => "eventGroups/x".to_owned(),
                id => format!("{edp1}/eventGroups/{id}"),
            };
            stage.create(&mut consumer, &of_group(stage, &name, "")).await;
            provider.poll(stage).await.unwrap();
            assert_eq!(said(&provider.base), (RequisitionRefused, clause, justification));
        }
    });
}

/// 3.10 row 12: an EventGroup that is missing, not this provider's, of another prefix, or cannot be
/// read; and the happy twin.
#[test]
fn event_groups_are_fetched_and_their_reference_ids_looked_at() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let good = stage.event_group(&mut provider, "sim-eg-1").await;
        let other = stage.event_group(&mut provider, "real-1").await;
        let foreign = stage.event_group(&mut stage.data_provider("edp2"), "sim-eg-2").await;
        let missing = format!("{}/eventGroups/AAAAAAAAAZQ", stage.resource("edp1"));
        stage.create(&mut consumer, &of_group(stage, &good, "person.age > 3")).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled);
        for name in [&missing, &other] {
            stage.create(&mut consumer, &of_group(stage, name, "")).await;
            provider.poll(stage).await.unwrap();
            assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/12", SPEC_INVALID));
        }
        let name = stage.create(&mut consumer, &of_group(stage, &foreign, "")).await;
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        assert_eq!(provider.poll(stage).await.unwrap_err().clause, "3.10/12");
        documented(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/12", SPEC_INVALID));
        assert_eq!(consumer.get(stage, &name).await.unwrap().state(), State::Failed);
        stage.create(&mut consumer, &of_group(stage, &good, "")).await;
        stage.fault("EventGroups/GetEventGroup", StatusName::Unavailable);
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionSkipped, "3.10/12", ""));
    });
}

/// 3.10 row 13: a type that fits no Direct fulfilment, and a protocol that is not supported.
#[test]
fn a_measurement_type_or_protocol_that_is_not_supported_is_refused() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let population = Wish::new(Measure::Population, &[&stage.resource("edp1")]);
        stage.create(&mut consumer, &population).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/13", SPEC_INVALID));
        provider.policy.protocols.remove(&ProtocolKind::Direct);
        stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/13", SPEC_INVALID));
    });
}

/// 3.10 row 16: budget, filter, methodology.
#[test]
fn a_used_up_budget_a_bad_filter_and_a_missing_methodology_are_refused() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let group = stage.event_group(&mut provider, "sim-eg-1").await;
        for bad in ["person.age > (3", "age > > 18", "foo bar"] {
            stage.create(&mut consumer, &of_group(stage, &group, bad)).await;
            provider.poll(stage).await.unwrap();
            let expected = (RequisitionRefused, "3.10/16", SPEC_INVALID);
            assert_eq!(said(&provider.base), expected, "{bad}");
        }
        let good = "has(person.age) && person.age in [18, 19] ? true : !(a.b('c') >= 1)";
        stage.create(&mut consumer, &of_group(stage, &group, good)).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionFulfilled, "3.10", ""));
        provider.policy.budget = Some(1);
        for expected in [
            (RequisitionFulfilled, "3.10", ""),
            (RequisitionRefused, "3.10/16", "INSUFFICIENT_PRIVACY_BUDGET"),
        ] {
            stage.create(&mut consumer, &stage.reach()).await;
            provider.poll(stage).await.unwrap();
            assert_eq!(said(&provider.base), expected);
        }
        provider.policy.budget = None;
        provider.policy.methodologies.remove(&Methodology::DeterministicCountDistinct);
        stage.create(&mut consumer, &stage.reach()).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/16", "DECLINED"));
    });
}

/// 3.10.3 (quirk provider-polls-first-page-only): twelve wait, a page holds ten, and the filter by
/// measurement consumer comes after the page.
#[test]
fn a_poll_handles_one_page_or_as_documented_all() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        for _ in 0..12 {
            stage.create(&mut consumer, &stage.reach()).await;
        }
        faithful(&mut provider.base, PeerQuirk::ProviderPollsFirstPageOnly);
        provider.serves = Some("measurementConsumers/AAAAAAAAAZQ".to_owned());
        provider.poll(stage).await.unwrap();
        assert_eq!(provider.base.events, []);
        provider.serves = Some(stage.resource("mc1"));
        provider.poll(stage).await.unwrap();
        assert_eq!(provider.base.events.len(), 10);
        for _ in 0..10 {
            stage.create(&mut consumer, &stage.reach()).await;
        }
        documented(&mut provider.base, PeerQuirk::ProviderPollsFirstPageOnly);
        provider.poll(stage).await.unwrap();
        assert_eq!(provider.base.events.len(), 22);
    });
}

/// 3.10.4 (quirk direct-fulfilment-without-etag), 1.7.10: another etag than the present one passes
/// without being sent, or is refused.
#[test]
fn a_direct_fulfilment_carries_the_etag_or_not() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        stage.create(&mut consumer, &stage.reach()).await;
        let mut stale = stage.listed(&mut provider).await.remove(0);
        stale.etag = stale.etag.replace(['0', '1', '2', '3'], "A");
        provider.handle(stage, &stale).await.unwrap();
        let event = last(&provider.base);
        assert_eq!((event.kind, event.clause), (RequisitionSkipped, "3.10.2"));
        assert!(event.cause.contains("REQUISITION_ETAG_MISMATCH"), "{event:?}");
        let sent = provider.base.last_sent(wire::FULFILL_DIRECT).unwrap();
        assert_eq!(sent.etag, stale.etag);
        faithful(&mut provider.base, PeerQuirk::DirectFulfilmentWithoutEtag);
        provider.handle(stage, &stale).await.unwrap();
        assert_eq!(said(&provider.base).0, RequisitionFulfilled);
        assert_eq!(provider.base.last_sent(wire::FULFILL_DIRECT).unwrap().etag, "");
    });
}

/// 3.10.2: every refusal carries the etag; a refusal that fails ends the process too.
#[test]
fn a_refusal_carries_the_etag_and_its_failure_ends_the_process() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        stage.create(&mut consumer, &stage.reach().with(Defect::SpoiltSignature)).await;
        let mut stale = stage.listed(&mut provider).await.remove(0);
        stale.etag = stale.etag.replace(['0', '1', '2', '3'], "A");
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        let ended = provider.handle(stage, &stale).await.unwrap_err();
        assert_eq!(ended.clause, "3.10.2");
        assert!(ended.cause.contains("REQUISITION_ETAG_MISMATCH"), "{ended}");
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/5", CSI));
    });
}

/// 3.9.1: the result is signed by the certificate of the provider's own configuration, whatever the
/// requisition is bound to; 1.6.5 the safe order of a rotation.
#[test]
fn a_result_is_signed_with_the_certificate_configured_now() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let name = stage.create(&mut consumer, &stage.reach()).await;
        let bound = provider.signing.certificate.clone();
        let leaf = stage.leaf("edp1", "result");
        let key = signing_key(&leaf);
        provider.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
        provider.poll(stage).await.unwrap();
        let results = consumer.results(stage, &name).await.unwrap();
        assert_eq!(results[0].certificate, provider.signing.certificate);
        assert_ne!(results[0].certificate, bound);
    });
}

/// 3.15.3, 1.4.1: the MC's public key is verified before metadata is encrypted to it.
#[test]
fn metadata_is_encrypted_only_to_a_key_that_verifies() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let mc1 = stage.resource("mc1");
        let metadata = pb::event_group::Metadata::default();
        let group =
            provider.create_event_group(stage, &mc1, "sim-eg-1", Some(&metadata)).await.unwrap();
        assert!(!group.encrypted_metadata.unwrap().ciphertext.is_empty());

        // A key signed by a certificate that is another one's.
        let leaf = stage.leaf("edp2", "of edp2");
        let key = signing_key(&leaf);
        consumer.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
        consumer.rotate_encryption_key(stage, stage.keyset("mc new")).await.unwrap();
        let refused = provider.create_event_group(stage, &mc1, "sim-eg-2", Some(&metadata)).await;
        assert!(matches!(refused, Err(MetadataError::Untrusted(_))));
        assert_eq!(said(&provider.base), (Rejected, "3.15.3", ""));
        faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
        let ended = provider.create_event_group(stage, &mc1, "sim-eg-2", Some(&metadata)).await;
        assert!(matches!(ended, Err(MetadataError::Ended(ended)) if ended.clause == "3.15.3"));
    });
}

/// 3.7.6: EventGroup.Metadata is encrypted to the consumer's public key as it is, without a SignedMessage
/// around it; the consumer's key alone opens it, and whoever the provider signs as, it sends the same.
#[test]
fn metadata_is_encrypted_to_the_consumer_and_signed_by_nobody() {
    let mut sent = Vec::new();
    for other_signer in [false, true] {
        play(async |stage: &Stage| {
            let (consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            if other_signer {
                let leaf = stage.leaf("edp1", "other signer");
                provider.signing.certificate =
                    format!("{}/certificates/AAAAAAAAAZQ", stage.resource("edp1"));
                provider.signing.certificate_der = leaf.certificate_der().to_vec();
                provider.signing.key = std::sync::Arc::new(signing_key(&leaf));
            }
            let mc1 = stage.resource("mc1");
            let metadata = pb::event_group::Metadata {
                event_group_metadata_descriptor: format!(
                    "{}/eventGroupMetadataDescriptors/AAAAAAAAAZQ",
                    stage.resource("edp1")
                ),
                metadata: Some(prost_types::Any {
                    type_url: "type.googleapis.com/some.Metadata".to_owned(),
                    value: b"what the campaign is".to_vec(),
                }),
            };
            let created = provider.create_event_group(stage, &mc1, "sim-eg-1", Some(&metadata));
            let group = created.await.unwrap();
            let key = halo_harness::participant::public_key_of(&consumer.keys[0]);
            assert_eq!(group.measurement_consumer_public_key, Some(key));
            let sealed = group.encrypted_metadata.unwrap();
            let open = |keyset: &halo_consent::PrivateKeyset| {
                let name = pb::event_group::Metadata::full_name();
                halo_consent::open_as::<pb::event_group::Metadata>(
                    keyset,
                    &sealed.ciphertext,
                    &sealed.type_url,
                    &name,
                )
            };
            assert_eq!(open(&consumer.keys[0]), Ok(metadata));
            let stranger = open(&provider.keys[0]);
            assert!(matches!(stranger, Err(halo_consent::OpenError::Decrypt(_))), "{stranger:?}");
            sent.push(provider.base.last_sent(wire::CREATE_EVENT_GROUP).unwrap());
        });
    }
    assert_eq!(sent[0], sent[1]);
}

/// 3.5.6: every type URL that a participant writes begins with `type.googleapis.com/`, inside what is
/// encrypted too.
#[test]
fn every_type_url_of_a_measurement_has_the_prefix_of_the_project() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        stage.create(&mut consumer, &stage.reach()).await;
        let request = consumer.base.last_sent(wire::CREATE_MEASUREMENT).unwrap();
        let measurement = request.measurement.unwrap();
        let packed = measurement.measurement_spec.unwrap().message.unwrap();
        let spec = pb::MeasurementSpec::decode(packed.value.as_slice()).unwrap();
        let entry = measurement.data_providers[0].value.clone().unwrap();
        let sealed = entry.encrypted_requisition_spec.unwrap();
        let opened =
            halo_consent::open_signed(&provider.keys[0], &sealed.ciphertext, &sealed.type_url)
                .unwrap();
        let inner = opened.message.unwrap();
        let requisition_spec = pb::RequisitionSpec::decode(inner.value.as_slice()).unwrap();
        provider.poll(stage).await.unwrap();
        let fulfilment = provider.base.last_sent(wire::FULFILL_DIRECT).unwrap();
        let name = |of: &str| format!("type.googleapis.com/wfa.measurement.api.v2alpha.{of}");
        assert_eq!(packed.type_url, name("MeasurementSpec"));
        assert_eq!(spec.measurement_public_key.unwrap().type_url, name("EncryptionPublicKey"));
        assert_eq!(entry.data_provider_public_key.unwrap().type_url, name("EncryptionPublicKey"));
        assert_eq!(sealed.type_url, name("SignedMessage"));
        assert_eq!(inner.type_url, name("RequisitionSpec"));
        let key = requisition_spec.measurement_public_key.unwrap();
        assert_eq!(key.type_url, name("EncryptionPublicKey"));
        assert_eq!(fulfilment.encrypted_result.unwrap().type_url, name("SignedMessage"));
    });
}

/// 3.10.6: what a population fulfiller refuses after row 10, and the happy twin.
#[test]
fn a_population_fulfiller_refuses_what_its_models_do_not_hold() {
    play(async |stage: &Stage| {
        let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
        let wish = Wish::new(Measure::Population, &[&stage.resource("edp1")]);
        let line = wish.model_line.clone();
        let own = format!("{}/populations/a", stage.resource("edp1"));
        let foreign = format!("{}/populations/a", stage.resource("edp2"));
        let good = PopulationSpec { vid_ranges: vec![1..=1000] };
        let bad = PopulationSpec { vid_ranges: vec![1..=10, 5..=20] };
        let models = |population: Option<Option<&str>>, spec: Option<Option<PopulationSpec>>| {
            let mut models = Models::default();
            if let Some(population) = population {
                models.lines.insert(line.clone(), population.map(str::to_owned));
            }
            for name in [&own, &foreign] {
                if let Some(spec) = &spec {
                    models.populations.insert(name.clone(), spec.clone());
                }
            }
            models
        };
        let spec = || Some(Some(good.clone()));
        for (what, models, filter, justification) in [
            ("no line", models(None, spec()), "", SPEC_INVALID),
            ("no release", models(Some(None), spec()), "", SPEC_INVALID),
            ("another provider's", models(Some(Some(&foreign)), spec()), "", SPEC_INVALID),
            ("bad filter", models(Some(Some(&own)), spec()), "person.age > (", SPEC_INVALID),
            ("no expression", models(Some(Some(&own)), spec()), "foo bar", SPEC_INVALID),
            ("missing", models(Some(Some(&own)), None), "", "UNFULFILLABLE"),
            ("without spec", models(Some(Some(&own)), Some(None)), "", "UNFULFILLABLE"),
            ("invalid", models(Some(Some(&own)), Some(Some(bad.clone()))), "", "UNFULFILLABLE"),
        ] {
            provider.models = Some(models);
            let mut wish = wish.clone();
            wish.providers[0].filter = filter.to_owned();
            stage.create(&mut consumer, &wish).await;
            provider.poll(stage).await.unwrap();
            let expected = (RequisitionRefused, "3.10.6", justification);
            assert_eq!(said(&provider.base), expected, "{what}");
        }
        provider.models = Some(models(Some(Some(&own)), spec()));
        let name = stage.create(&mut consumer, &wish).await;
        provider.poll(stage).await.unwrap();
        let results = consumer.results(stage, &name).await.unwrap();
        assert_eq!(results[0].result.population.unwrap().value, 1000);
        // Rows 1 to 10 come first.
        stage.create(&mut consumer, &wish.with(Defect::SpoiltSignature)).await;
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/5", CSI));
    });
}
