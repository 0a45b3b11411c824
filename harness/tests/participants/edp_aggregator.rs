//! What the EDP aggregator refuses, registers and fulfils: contract 3.11.

use crate::support::{Stage, faithful, last, play, play_with, said};
use fake_kingdom::fault::StatusName;
use halo_harness::participant::EventKind::{
    RequisitionFulfilled, RequisitionRefused, RequisitionSkipped, WorkRedelivered,
};
use halo_harness::participant::edp_aggregator::EdpAggregator;
use halo_harness::participant::measurement_consumer::{Defect, MeasurementConsumer, Wish};
use halo_harness::quirk::PeerQuirk;
use kingdom_proto::v2alpha as pb;
use pb::measurement::State;

const CSI: &str = "CONSENT_SIGNAL_INVALID";
const SPEC_INVALID: &str = "SPEC_INVALID";
const UNFULFILLABLE: &str = "UNFULFILLABLE";

fn aggregator(stage: &Stage) -> EdpAggregator {
    EdpAggregator::new(stage.data_provider("edp1"))
}

fn of_report(stage: &Stage, report: &str) -> Wish {
    let report = format!("{}/reports/{report}", stage.resource("mc1"));
    Wish { report: Some(report), ..stage.reach() }
}

/// 3.11: fetched, registered, decrypted again, fulfilled; 3.11.6 with the etag just read.
#[test]
fn a_requisition_of_a_report_is_registered_and_fulfilled() {
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        let name = stage.create(&mut consumer, &of_report(stage, "a")).await;
        aggregator.fetch(stage).await.unwrap();
        assert_eq!(aggregator.registered().len(), 1);
        aggregator.fulfil(stage).await;
        assert_eq!(said(&aggregator.provider.base), (RequisitionFulfilled, "3.11.6", ""));
        assert!(aggregator.registered().is_empty());
        assert_eq!(consumer.results(stage, &name).await.unwrap().len(), 1);
    });
}

/// 3.11.1 (quirk aggregator-skips-consent-checks): a spoilt signature and a nonce that is not listed
/// go through, or as documented are refused by rows 1 to 10 of 3.10.
#[test]
fn bad_consent_signals_go_through_unless_checked_as_documented() {
    for (defect, clause) in [
        (Defect::SpoiltSignature, "3.10/5"),
        (Defect::UnsupportedOid, "3.10/5"),
        (Defect::SpoiltInnerSignature, "3.10/10"),
        (Defect::OtherNonce, "3.10/10"),
    ] {
        play(async |stage: &Stage| {
            let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
            let wish = of_report(stage, "a").with(defect);
            stage.create(&mut consumer, &wish).await;
            aggregator.fetch(stage).await.unwrap();
            assert_eq!(said(&aggregator.provider.base), (RequisitionRefused, clause, CSI));
            faithful(&mut aggregator.provider.base, PeerQuirk::AggregatorSkipsConsentChecks);
            let name = stage.create(&mut consumer, &wish).await;
            aggregator.fetch(stage).await.unwrap();
            aggregator.fulfil(stage).await;
            assert_eq!(said(&aggregator.provider.base).0, RequisitionFulfilled);
            assert_eq!(consumer.get(stage, &name).await.unwrap().state(), State::Succeeded);
        });
    }
}

/// 3.11.2: a requisition without a report is refused alone.
#[test]
fn a_requisition_without_a_report_is_refused_alone() {
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        stage.create(&mut consumer, &stage.reach()).await;
        stage.create(&mut consumer, &of_report(stage, "a")).await;
        aggregator.fetch(stage).await.unwrap();
        assert_eq!(said(&aggregator.provider.base), (RequisitionRefused, "3.11.2", SPEC_INVALID));
        assert_eq!(aggregator.provider.base.events.len(), 1);
        assert_eq!(aggregator.registered().len(), 1);
    });
}

/// Three measurements of report `a`, the second with `defect`, and one of report `b`.
async fn create_reports(
    stage: &Stage,
    consumer: &mut MeasurementConsumer,
    spoil: impl Fn(&mut Wish),
) -> Vec<String> {
    let mut names = Vec::new();
    for (index, report) in ["a", "a", "a", "b"].into_iter().enumerate() {
        let mut wish = of_report(stage, report);
        wish.model_line = "modelProviders/a/modelSuites/b/modelLines/c".to_owned();
        if index == 1 {
            spoil(&mut wish);
        }
        names.push(stage.create(consumer, &wish).await);
    }
    names
}

/// 3.11.3 (quirk aggregator-refuses-whole-report): the first refusal hits every requisition of the
/// report, or as documented only the offending one; another report is never touched.
#[test]
fn one_bad_requisition_takes_its_report_along_or_not() {
    type Spoil = fn(&mut Wish);
    let cases: [(&str, &str, Spoil); 4] = [
        ("another key", CSI, |wish| wish.defect = Some(Defect::ForeignKey)),
        ("unparsable", SPEC_INVALID, |wish| wish.defect = Some(Defect::UnparsablePlaintext)),
        ("other message", SPEC_INVALID, |wish| wish.defect = Some(Defect::OtherInnerMessage)),
        ("model line", UNFULFILLABLE, |wish| {
            wish.model_line = "modelProviders/a/modelSuites/b/modelLines/d".to_owned();
        }),
    ];
    for (what, justification, spoil) in cases {
        for whole in [false, true] {
            play(async |stage: &Stage| {
                let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
                let base = &mut aggregator.provider.base;
                faithful(base, PeerQuirk::AggregatorSkipsConsentChecks);
                if whole {
                    faithful(base, PeerQuirk::AggregatorRefusesWholeReport);
                }
                let names = create_reports(stage, &mut consumer, spoil).await;
                aggregator.fetch(stage).await.unwrap();
                let base = &aggregator.provider.base;
                assert_eq!(said(base), (RequisitionRefused, "3.11.3", justification), "{what}");
                aggregator.fulfil(stage).await;
                let mut failed = Vec::new();
                for name in &names {
                    let state = consumer.get(stage, name).await.unwrap().state();
                    failed.push(state == State::Failed);
                }
                let expected =
                    if whole { [true, true, true, false] } else { [false, true, false, false] };
                assert_eq!(failed, expected, "{what}, whole report: {whole}");
            });
        }
    }
}

/// 3.11.4: a refusal that fails is only noted.
#[test]
fn a_refusal_that_fails_is_only_noted() {
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        stage.create(&mut consumer, &stage.reach()).await;
        stage.fault("Requisitions/RefuseRequisition", StatusName::Unavailable);
        aggregator.fetch(stage).await.unwrap();
        assert_eq!(said(&aggregator.provider.base), (RequisitionSkipped, "3.11.4", ""));
    });
}

/// 3.11.5: what the results fulfiller cannot decrypt is delivered again; 3.11.6: what is not
/// UNFULFILLED any more is skipped.
#[test]
fn a_lost_key_brings_the_work_back_and_a_cancelled_measurement_is_skipped() {
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        let name = stage.create(&mut consumer, &of_report(stage, "a")).await;
        aggregator.fetch(stage).await.unwrap();
        let old = std::mem::replace(&mut aggregator.provider.keys, vec![stage.keyset("new")]);
        aggregator.fulfil(stage).await;
        assert_eq!(said(&aggregator.provider.base), (WorkRedelivered, "3.11.5", ""));
        let waiting = consumer.get(stage, &name).await.unwrap().state();
        assert_eq!(waiting, State::AwaitingRequisitionFulfillment);
        aggregator.provider.keys = old;
        consumer.cancel(stage, &name).await.unwrap();
        aggregator.fulfil(stage).await;
        assert_eq!(said(&aggregator.provider.base), (RequisitionSkipped, "3.11.6", ""));
        assert!(aggregator.registered().is_empty());
    });
}

/// 3.11.5: a noise mechanism that it does not support.
#[test]
fn an_unsupported_noise_mechanism_is_refused() {
    use fake_kingdom::model::protocol::NoiseMechanism;
    let adjust = |setup: &mut halo_harness::environment::Setup| {
        setup.protocols.direct_noise_mechanisms = vec![NoiseMechanism::ContinuousLaplace];
    };
    play_with(adjust, async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        stage.create(&mut consumer, &of_report(stage, "a")).await;
        aggregator.fetch(stage).await.unwrap();
        aggregator.fulfil(stage).await;
        let event = last(&aggregator.provider.base);
        assert_eq!(said(&aggregator.provider.base), (RequisitionRefused, "3.11.5", SPEC_INVALID));
        assert!(event.cause.contains("noise"), "{event:?}");
    });
}
