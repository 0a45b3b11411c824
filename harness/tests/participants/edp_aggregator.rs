//! What the EDP aggregator refuses, registers and fulfils: contract 3.11.

use crate::support::{Stage, faithful, last, play, play_with, said};
use fake_kingdom::fault::StatusName;
use halo_harness::participant::EventKind::{
    RequisitionFulfilled, RequisitionRefused, RequisitionSkipped, WorkRedelivered,
};
use halo_harness::participant::edp_aggregator::EdpAggregator;
use halo_harness::participant::measurement_consumer::{Defect, MeasurementConsumer, Wish};
use halo_harness::participant::wire;
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

/// 3.10/1 as documented (quirk aggregator-skips-consent-checks off): a consumer's certificate that
/// cannot be fetched just now is no offence. The requisition waits for the next run, and its report is
/// registered without it, however refusals spread (quirk aggregator-refuses-whole-report).
#[test]
fn a_certificate_that_cannot_be_fetched_leaves_its_requisition_for_the_next_run() {
    for status in [StatusName::Unavailable, StatusName::DeadlineExceeded, StatusName::Unknown] {
        for whole in [false, true] {
            play(async |stage: &Stage| {
                let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
                if whole {
                    let base = &mut aggregator.provider.base;
                    faithful(base, PeerQuirk::AggregatorRefusesWholeReport);
                }
                let mut names = Vec::new();
                for _ in 0..2 {
                    names.push(stage.create(&mut consumer, &of_report(stage, "a")).await);
                }
                stage.fault("Certificates/GetCertificate", status);
                aggregator.fetch(stage).await.unwrap();
                let base = &aggregator.provider.base;
                assert_eq!(said(base), (RequisitionSkipped, "3.10/1", ""), "{status:?}");
                assert_eq!(aggregator.registered().len(), 1, "{status:?}, whole: {whole}");
                aggregator.fetch(stage).await.unwrap();
                assert_eq!(aggregator.registered().len(), 2, "{status:?}, whole: {whole}");
                aggregator.fulfil(stage).await;
                for name in &names {
                    let state = consumer.get(stage, name).await.unwrap().state();
                    assert_eq!(state, State::Succeeded, "{status:?}, whole: {whole}");
                }
            });
        }
    }
}

/// 3.11.1 (quirk aggregator-skips-consent-checks): no certificate is fetched, so none can fail.
#[test]
fn without_consent_checks_no_certificate_is_fetched() {
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        faithful(&mut aggregator.provider.base, PeerQuirk::AggregatorSkipsConsentChecks);
        stage.create(&mut consumer, &of_report(stage, "a")).await;
        stage.fault("Certificates/GetCertificate", StatusName::Unavailable);
        aggregator.fetch(stage).await.unwrap();
        assert!(aggregator.provider.base.events.is_empty());
        assert_eq!(aggregator.registered().len(), 1);
    });
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
    let cases: [(&str, &str, Spoil); 3] = [
        ("another key", CSI, |wish| wish.defect = Some(Defect::ForeignKey)),
        ("unparsable", SPEC_INVALID, |wish| wish.defect = Some(Defect::UnparsablePlaintext)),
        ("other message", SPEC_INVALID, |wish| wish.defect = Some(Defect::OtherInnerMessage)),
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

/// 3.11.3 (quirk aggregator-refuses-whole-report): of two bad requisitions the first one's refusal, and
/// not the last one's, hits the report; as documented each has its own.
#[test]
fn the_first_refusal_hits_the_whole_report() {
    for (first, second, expected) in [
        (Defect::ForeignKey, Defect::UnparsablePlaintext, [CSI, SPEC_INVALID]),
        (Defect::UnparsablePlaintext, Defect::ForeignKey, [SPEC_INVALID, CSI]),
    ] {
        for whole in [true, false] {
            play(async |stage: &Stage| {
                let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
                let base = &mut aggregator.provider.base;
                faithful(base, PeerQuirk::AggregatorSkipsConsentChecks);
                if whole {
                    faithful(base, PeerQuirk::AggregatorRefusesWholeReport);
                }
                for wish in [
                    of_report(stage, "a"),
                    of_report(stage, "a").with(first),
                    of_report(stage, "a").with(second),
                ] {
                    stage.create(&mut consumer, &wish).await;
                    // The list is by update time.
                    stage.advance(std::time::Duration::from_secs(1));
                }
                aggregator.fetch(stage).await.unwrap();
                let events = &aggregator.provider.base.events;
                let refused: Vec<_> = events.iter().map(|event| event.justification).collect();
                let all = [expected[0]; 3];
                assert_eq!(refused, if whole { &all[..] } else { &expected[..] }, "{first:?}");
            });
        }
    }
}

/// 3.11.3 (quirk aggregator-refuses-whole-report): of requisitions that name different model lines none
/// alone offends, so each is refused, in either setting and whichever is listed first. A requisition that
/// is refused for itself has no part in it: as documented it alone is refused, and faithfully its refusal,
/// which comes before the model lines are compared, is the report's.
#[test]
fn different_model_lines_refuse_each_requisition_that_would_be_stored() {
    let (bad, none) = (Some(CSI), None);
    let mixed = Some(UNFULFILLABLE);
    for (lines, broken, documented, faithfully) in [
        (["c", "c", "c"], None, [none; 3], [none; 3]),
        (["c", "d", "c"], None, [mixed; 3], [mixed; 3]),
        (["d", "c", "c"], None, [mixed; 3], [mixed; 3]),
        (["d", "c", "c"], Some(0), [bad, none, none], [bad; 3]),
        (["c", "d", "c"], Some(2), [mixed, mixed, bad], [bad; 3]),
    ] {
        for whole in [false, true] {
            play(async |stage: &Stage| {
                let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
                let base = &mut aggregator.provider.base;
                faithful(base, PeerQuirk::AggregatorSkipsConsentChecks);
                if whole {
                    faithful(base, PeerQuirk::AggregatorRefusesWholeReport);
                }
                let mut names = Vec::new();
                for (index, line) in lines.iter().enumerate() {
                    let mut wish = of_report(stage, "a");
                    wish.model_line = format!("modelProviders/a/modelSuites/b/modelLines/{line}");
                    if broken == Some(index) {
                        wish.defect = Some(Defect::ForeignKey);
                    }
                    names.push(stage.create(&mut consumer, &wish).await);
                    // The list is by update time.
                    stage.advance(std::time::Duration::from_secs(1));
                }
                aggregator.fetch(stage).await.unwrap();
                let events = &aggregator.provider.base.events;
                let mut refused = Vec::new();
                for name in &names {
                    let of_it = |requisition: &String| {
                        aggregator.provider.measurements.get(requisition) == Some(name)
                    };
                    let event = events.iter().find(|event| of_it(&event.subject));
                    refused.push(event.map(|event| event.justification));
                }
                let expected = if whole { faithfully } else { documented };
                assert_eq!(refused, expected, "{lines:?}, broken: {broken:?}, whole: {whole}");
            });
        }
    }
}

/// 3.11.3, last sentence: EventGroups with an entity key and without one in requisitions that are
/// stored together; the whole group is refused, a report of one kind is not.
#[test]
fn mixed_event_group_selectors_are_refused_for_the_whole_group() {
    for (mixed, within_one) in [(true, true), (true, false), (false, true), (false, false)] {
        play(async |stage: &Stage| {
            let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
            let mut groups = Vec::new();
            for (id, keyed) in [("one", true), ("two", !mixed)] {
                let entity_key = keyed.then(|| pb::event_group::EntityKey {
                    entity_type: "campaign".to_owned(),
                    entity_id: id.to_owned(),
                });
                let request = pb::CreateEventGroupRequest {
                    parent: stage.resource("edp1"),
                    event_group: Some(pb::EventGroup {
                        measurement_consumer: stage.resource("mc1"),
                        event_group_reference_id: id.to_owned(),
                        entity_key,
                        ..pb::EventGroup::default()
                    }),
                    ..pb::CreateEventGroupRequest::default()
                };
                let base = &mut aggregator.provider.base;
                let created = base.call(stage, wire::CREATE_EVENT_GROUP, &request).await.unwrap();
                groups.push(created.name);
            }
            let of_groups = |groups: &[String]| {
                let mut wish = of_report(stage, "a");
                wish.providers[0].event_groups = groups.to_vec();
                wish
            };
            let wishes = if within_one {
                vec![of_groups(&groups), of_groups(&groups[..1])]
            } else {
                vec![of_groups(&groups[..1]), of_groups(&groups[1..])]
            };
            for wish in &wishes {
                stage.create(&mut consumer, wish).await;
            }
            aggregator.fetch(stage).await.unwrap();
            let events = &aggregator.provider.base.events;
            let refused: Vec<_> =
                events.iter().map(|event| (event.clause, event.justification)).collect();
            if mixed {
                assert_eq!(refused, [("3.11.3", UNFULFILLABLE); 2]);
                assert!(aggregator.registered().is_empty());
            } else {
                assert_eq!(refused, []);
                assert_eq!(aggregator.registered().len(), 2);
            }
        });
    }
}

/// 3.11.3: an EventGroup that cannot be read leaves the report for the next run of the fetcher.
#[test]
fn an_event_group_that_cannot_be_read_leaves_its_report_alone() {
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        let mut wish = of_report(stage, "a");
        wish.providers[0].event_groups =
            vec![stage.event_group(&mut aggregator.provider, "sim-eg-1").await];
        stage.create(&mut consumer, &wish).await;
        stage.fault("EventGroups/GetEventGroup", StatusName::Unavailable);
        aggregator.fetch(stage).await.unwrap();
        assert_eq!(said(&aggregator.provider.base), (RequisitionSkipped, "3.11.3", ""));
        assert!(aggregator.registered().is_empty());
        aggregator.fetch(stage).await.unwrap();
        assert_eq!(aggregator.registered().len(), 1);
    });
}

/// 3.11.4: a refusal of the fetcher carries no etag; 3.11.6: a Direct fulfilment the one just read,
/// although the simulator's quirk is in force, which is another program's.
#[test]
fn a_refusal_has_no_etag_and_a_fulfilment_the_one_just_read() {
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        faithful(&mut aggregator.provider.base, PeerQuirk::DirectFulfilmentWithoutEtag);
        stage.create(&mut consumer, &stage.reach()).await;
        aggregator.fetch(stage).await.unwrap();
        let base = &aggregator.provider.base;
        assert_eq!(said(base), (RequisitionRefused, "3.11.2", SPEC_INVALID));
        assert_eq!(base.last_sent(wire::REFUSE_REQUISITION).unwrap().etag, "");

        stage.create(&mut consumer, &of_report(stage, "a")).await;
        let etag = stage.listed(&mut aggregator.provider).await[0].etag.clone();
        assert_ne!(etag, "");
        aggregator.fetch(stage).await.unwrap();
        aggregator.fulfil(stage).await;
        let base = &aggregator.provider.base;
        assert_eq!(said(base), (RequisitionFulfilled, "3.11.6", ""));
        assert_eq!(base.last_sent(wire::FULFILL_DIRECT).unwrap().etag, etag);
    });
}

/// 3.11.5: a malformed name of the bound certificate, which the Kingdom never shows, throws for Direct
/// only: the work comes back, and nothing is refused.
#[test]
fn a_malformed_bound_name_brings_a_direct_work_back() {
    use halo_harness::participant::edp_aggregator::rules::{Work, work};
    play(async |stage: &Stage| {
        let (mut consumer, mut aggregator) = (stage.consumer(), aggregator(stage));
        stage.create(&mut consumer, &of_report(stage, "a")).await;
        let mut requisition = stage.listed(&mut aggregator.provider).await.remove(0);
        let judge = |requisition: &pb::Requisition| {
            work(requisition, &aggregator.provider.keys, &aggregator.noise_mechanisms)
        };
        assert!(matches!(judge(&requisition), Work::Fulfil(_)));
        requisition.data_provider_certificate = "duchies/a/certificates/b".to_owned();
        let outcome = judge(&requisition);
        assert!(
            matches!(&outcome, Work::Redeliver(cause) if cause.contains("duchies/a")),
            "{outcome:?}"
        );
        let trus_tee = pb::protocol_config::TrusTee {
            noise_mechanism: pb::protocol_config::NoiseMechanism::DiscreteGaussian.into(),
            ..Default::default()
        };
        let protocols = &mut requisition.protocol_config.as_mut().unwrap().protocols;
        protocols[0].protocol = Some(pb::protocol_config::protocol::Protocol::TrusTee(trus_tee));
        assert!(matches!(judge(&requisition), Work::Fulfil(_)));
    });
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
