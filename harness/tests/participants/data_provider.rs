//! What a data provider checks, refuses or ends at: contract 3.10, over the wire.

use crate::support::{Stage, failure, faithful, last, play, said};
use halo_harness::participant::EventKind::{
    ParticipantEnded, RequisitionFulfilled, RequisitionRefused,
};
use halo_harness::participant::measurement_consumer::{Defect, Measure, Wish};
use halo_harness::quirk::PeerQuirk;
use kingdom_proto::v2alpha as pb;
use pb::measurement::State;
use pb::measurement::failure::Reason;

const CSI: &str = "CONSENT_SIGNAL_INVALID";
const SPEC_INVALID: &str = "SPEC_INVALID";

/// 3.10, 3.7, 3.9.1, 3.15.1: the whole way of a Direct measurement.
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

/// 3.10 rows 5 to 10: each defect of a measurement meets the justification of its row.
#[test]
fn each_defect_is_refused_with_its_justification() {
    for (defect, clause, justification) in [
        (Defect::SpoiltSignature, "3.10/5", CSI),
        (Defect::UnsupportedOid, "3.10/5", CSI),
        (Defect::OidOfOtherKeyType, "3.10/5", CSI),
        (Defect::UnknownKey, "3.10/7", CSI),
        (Defect::ForeignKey, "3.10/8", CSI),
        (Defect::UnparsablePlaintext, "3.10/8", SPEC_INVALID),
        (Defect::OtherInnerMessage, "3.10/9", SPEC_INVALID),
        (Defect::SpoiltInnerSignature, "3.10/10", CSI),
        (Defect::UnsupportedInnerOid, "3.10/10", CSI),
        (Defect::OtherMeasurementKey, "3.10/10", CSI),
        (Defect::OtherNonce, "3.10/10", CSI),
        (Defect::UnusableMeasurementKey, "3.5.1", SPEC_INVALID),
    ] {
        play(async |stage: &Stage| {
            let (mut consumer, mut provider) = (stage.consumer(), stage.data_provider("edp1"));
            let name = stage.create(&mut consumer, &stage.reach().with(defect)).await;
            provider.poll(stage).await.unwrap();
            let event = last(&provider.base);
            assert_eq!(said(&provider.base), (RequisitionRefused, clause, justification), "{event:?}");
            let measurement = consumer.get(stage, &name).await.unwrap();
            assert_eq!(measurement.state(), State::Failed, "{defect:?}");
            assert_eq!(failure(&measurement), Reason::RequisitionRefused);
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

/// 3.10, 3.10.1 (quirk provider-dies-instead-of-refusing): what the process ends at; the row is the
/// same, and the measurement waits.
#[test]
fn a_faithful_provider_ends_where_the_table_says_so() {
    for (defect, clause, oid_is_not_bad) in [
        (Defect::UnsupportedOid, "3.10/5", true),
        (Defect::OidOfOtherKeyType, "3.10/5", true),
        (Defect::UnknownKey, "3.10/7", false),
        (Defect::UnparsablePlaintext, "3.10/8", false),
        (Defect::OtherInnerMessage, "3.10/9", false),
        (Defect::UnsupportedInnerOid, "3.10/10", true),
        (Defect::UnusableMeasurementKey, "3.5.1", false),
    ] {
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
