//! Multi-party computations: providers (contract 3.10 rows 14 to 16, 3.14), Duchies (3.12).

use crate::support::{
    SEED, Stage, documented, faithful, last, play_with, protocols, said, signing_key,
};
use fake_kingdom::fault::StatusName;
use halo_harness::environment::Setup;
use halo_harness::participant::EventKind::{
    ComputationFailed, ParticipantConfirmed, ParticipantEnded, RequisitionFulfilled,
    RequisitionRefused, RequisitionSkipped, StageRetried, StatusThrown,
};
use halo_harness::participant::data_provider::rules::{Decision, ProtocolKind};
use halo_harness::participant::data_provider::{DataProvider, KeyManagement};
use halo_harness::participant::duchy::Duchy;
use halo_harness::participant::duchy::rules::{ReceivedSeed, Shuffle};
use halo_harness::participant::measurement_consumer::MeasurementConsumer;
use halo_harness::participant::{SigningPair, wire};
use halo_harness::quirk::PeerQuirk;
use halo_pki::AkidChoice;
use kingdom_proto::{system, v2alpha as pb};
use pb::measurement::State;
use system::computation_participant::requisition_params::Protocol;

const CSI: &str = "CONSENT_SIGNAL_INVALID";
const SPEC_INVALID: &str = "SPEC_INVALID";
/// In no table of the contract (3.2.3), and of no EC key (3.2.4).
const ED25519: &str = "1.3.101.112";
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";

/// A measurement of both providers with its participants.
struct Scene<'a> {
    stage: &'a Stage,
    consumer: MeasurementConsumer,
    providers: Vec<DataProvider>,
    duchies: Vec<Duchy>,
    measurement: String,
    computation: system::Computation,
}

impl<'a> Scene<'a> {
    async fn new(stage: &'a Stage) -> Self {
        let mut consumer = stage.consumer();
        let mut providers = vec![stage.data_provider("edp1"), stage.data_provider("edp2")];
        for provider in &mut providers {
            let capabilities = pb::data_provider::Capabilities {
                honest_majority_share_shuffle_supported: true,
                trus_tee_supported: true,
                ..Default::default()
            };
            provider.replace_capabilities(stage, capabilities).await.unwrap();
        }
        let mut duchies = stage.duchies();
        let measurement = stage.create(&mut consumer, &stage.reach_of_both()).await;
        let computation = stage.computation(&mut duchies[0], &mut consumer, &measurement).await;
        Self { stage, consumer, providers, duchies, measurement, computation }
    }

    /// The Duchies that take part give their parameters.
    async fn set_params(&mut self) {
        for duchy in &mut self.duchies {
            if takes_part(&self.computation, &duchy.id) {
                duchy.set_params(self.stage, &self.computation).await.unwrap();
            }
        }
    }

    async fn poll(&mut self) {
        for provider in &mut self.providers {
            provider.poll(self.stage).await.unwrap();
        }
    }

    /// Each Duchy learns what its fulfilment server stored.
    fn hold(&mut self) {
        for duchy in &mut self.duchies {
            for fulfilment in self.stage.environment.fulfilments(&duchy.id).unwrap() {
                duchy.hold(&fulfilment.requisition);
            }
        }
    }

    async fn state(&mut self) -> State {
        self.consumer.get(self.stage, &self.measurement).await.unwrap().state()
    }
}

/// LLv2, or RO-LLv2 in its place where reach alone is measured.
fn liquid_legions(reach_only: bool) -> impl FnOnce(&mut Setup) {
    move |setup| setup.protocols.ro_llv2_enabled = reach_only
}

fn takes_part(computation: &system::Computation, duchy: &str) -> bool {
    computation
        .computation_participants
        .iter()
        .any(|participant| participant.name.ends_with(&format!("/{duchy}")))
}

/// 3.7.5, 3.7.7, 3.9.2: an LLv2 measurement from creation to the read result.
#[test]
fn an_llv2_measurement_is_fulfilled_confirmed_and_its_result_read() {
    is_confirmed_and_its_result_read(false);
}

/// 3.12.3, 3.7.7: the same of RO-LLv2.
#[test]
fn an_ro_llv2_measurement_is_fulfilled_confirmed_and_its_result_read() {
    is_confirmed_and_its_result_read(true);
}

fn is_confirmed_and_its_result_read(reach_only: bool) {
    play_with(liquid_legions(reach_only), async |stage: &Stage| {
        let mut scene = Scene::new(stage).await;
        let params = scene.duchies[0].params(&scene.computation).unwrap();
        assert_eq!(matches!(params, Protocol::ReachOnlyLiquidLegionsV2(_)), reach_only);
        scene.set_params().await;
        scene.poll().await;
        for provider in &scene.providers {
            assert_eq!(said(&provider.base), (RequisitionFulfilled, "3.10", ""));
        }
        scene.hold();
        let name = scene.computation.name.clone();
        for duchy in &mut scene.duchies {
            assert_eq!(duchy.confirm(stage, &name).await.unwrap(), Vec::<String>::new());
            assert_eq!(said(&duchy.base).0, ParticipantConfirmed);
        }
        // 3.9.2: the aggregator rotates in mid-computation and signs with the new certificate.
        let aggregator = &mut scene.duchies[0];
        let leaf = stage.leaf("aggregator", "new");
        let key = signing_key(&leaf);
        aggregator.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
        let reach = pb::measurement::result::Reach { value: 12_345, ..Default::default() };
        let result = pb::measurement::Result { reach: Some(reach), ..Default::default() };
        aggregator.deliver(stage, &scene.computation, &result).await.unwrap();
        let results = scene.consumer.results(stage, &scene.measurement).await.unwrap();
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].result, result);
        assert_eq!(results[0].certificate, scene.duchies[0].signing.certificate);
    });
}

/// 3.7.8, 3.7.9, 3.12.4: an HMSS measurement, with the seeds as the Duchies' servers stored them.
#[test]
fn an_hmss_measurement_is_fulfilled_and_its_seeds_pass_the_shuffle_phase() {
    play_with(protocols(true, false), async |stage: &Stage| {
        let mut scene = Scene::new(stage).await;
        scene.set_params().await;
        scene.poll().await;
        for provider in &scene.providers {
            assert_eq!(said(&provider.base), (RequisitionFulfilled, "3.10", ""));
        }
        assert_eq!(scene.state().await, State::Computing);
        let seeds = seeds(&scene);
        assert_eq!(seeds.iter().map(Vec::len).sum::<usize>(), 2);
        let name = scene.computation.name.clone();
        for (duchy, seeds) in scene.duchies.iter_mut().zip(&seeds) {
            if !seeds.is_empty() {
                let outcome = duchy.shuffle(stage, &name, seeds).await.unwrap();
                assert!(matches!(outcome, Shuffle::Passed(seed) if seed.data.len() == 48));
            }
        }
    });
}

/// The seeds for each Duchy: a seed is stored by the fulfilling worker and opened by the other one.
fn seeds(scene: &Scene<'_>) -> Vec<Vec<ReceivedSeed>> {
    let mut seeds = vec![Vec::new(); scene.duchies.len()];
    for (index, other) in [(1, 2), (2, 1)] {
        let stored = scene.stage.environment.fulfilments(&scene.duchies[index].id).unwrap();
        seeds[other].extend(stored.into_iter().map(|fulfilment| ReceivedSeed {
            sealed: fulfilment.secret_seed.unwrap(),
            certificate: fulfilment.data_provider_certificate.unwrap(),
        }));
    }
    seeds
}

/// 3.14: a TrusTEE measurement; the vector of 33 KiB arrives whole and in clear.
#[test]
fn a_trus_tee_measurement_is_fulfilled_in_clear() {
    play_with(protocols(false, true), async |stage: &Stage| {
        let mut scene = Scene::new(stage).await;
        scene.set_params().await;
        scene.poll().await;
        for provider in &scene.providers {
            assert_eq!(said(&provider.base), (RequisitionFulfilled, "3.10", ""));
        }
        assert_eq!(scene.state().await, State::Computing);
        let stored = stage.environment.fulfilments("aggregator").unwrap();
        assert_eq!(stored.len(), 2);
        assert!(stored.iter().all(|one| one.body_bytes == 33 * 1024));
    });
}

/// 3.7.10, first half: no Duchy of a TrusTEE computation shows a signed key. HMSS is the twin.
#[test]
fn no_duchy_of_a_trus_tee_computation_has_a_signed_key() {
    use pb::requisition::duchy_entry::value::Protocol as Shown;
    for trus_tee in [true, false] {
        play_with(protocols(!trus_tee, trus_tee), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            let computation = scene.computation.clone();
            let given: Vec<_> = scene
                .duchies
                .iter_mut()
                .filter(|duchy| takes_part(&computation, &duchy.id))
                .map(|duchy| duchy.params(&computation).unwrap())
                .collect();
            let is_bare = |params: &Protocol| matches!(params, Protocol::TrusTee(_));
            assert_eq!(
                (given.len(), given.iter().all(is_bare)),
                (if trus_tee { 1 } else { 3 }, trus_tee)
            );
            scene.set_params().await;
            let requisition = stage.listed(&mut scene.providers[0]).await.remove(0);
            let shown = requisition.duchies.iter().filter_map(shown_key).count();
            assert_eq!(shown, usize::from(!trus_tee));
            let is_marker = |entry: &pb::requisition::DuchyEntry| {
                matches!(entry.value.as_ref().unwrap().protocol, Some(Shown::TrusTee(_)))
            };
            assert_eq!(requisition.duchies.iter().all(is_marker), trus_tee);
        });
    }
}

/// 3.7.10, second half: a provider signs nothing of a TrusTEE fulfilment, so that with another signing
/// certificate and key it sends the same header and the same body. HMSS is the twin: it names the
/// certificate that its seed is signed with.
#[test]
fn a_provider_signs_nothing_of_a_trus_tee_fulfilment() {
    use pb::fulfill_requisition_request::Payload;
    use pb::fulfill_requisition_request::header::Protocol as Sent;
    for trus_tee in [true, false] {
        let mut sent = Vec::new();
        for other_signer in [false, true] {
            play_with(protocols(!trus_tee, trus_tee), async |stage: &Stage| {
                let mut scene = Scene::new(stage).await;
                scene.set_params().await;
                let provider = &mut scene.providers[0];
                if other_signer {
                    let leaf = stage.leaf("edp1", "other signer");
                    provider.signing = SigningPair {
                        certificate: format!("{}/certificates/AAAAAAAAAZQ", stage.resource("edp1")),
                        certificate_der: leaf.certificate_der().to_vec(),
                        key: std::sync::Arc::new(signing_key(&leaf)),
                    };
                }
                provider.poll(stage).await.unwrap();
                assert_eq!(said(&provider.base), (RequisitionFulfilled, "3.10", ""));
                let request = provider.base.last_sent(wire::FULFILL_AT_DUCHY).unwrap();
                let Some(Payload::Header(mut header)) = request.payload else {
                    panic!("no header: {request:?}");
                };
                // ECDSA is random: what is made over the consumer's signature differs in each run, and
                // the sealed seed does.
                header.requisition_fingerprint.clear();
                if let Some(Sent::HonestMajorityShareShuffle(shuffle)) = &mut header.protocol {
                    shuffle.secret_seed = None;
                }
                let bodies: Vec<_> = ["aggregator", "worker1", "worker2"]
                    .into_iter()
                    .flat_map(|duchy| stage.environment.fulfilments(duchy).unwrap())
                    .map(|fulfilment| fulfilment.body_sha256)
                    .collect();
                assert_eq!(bodies.len(), 1);
                sent.push((header, bodies));
            });
        }
        assert_eq!(sent[0] == sent[1], trus_tee, "{sent:?}");
    }
}

/// 3.14: an encrypted vector with its wrapped key is taken by the Duchy; the key's format is the
/// Duchy's to check (1.7.14).
#[test]
fn a_trus_tee_measurement_is_fulfilled_encrypted() {
    play_with(protocols(false, true), async |stage: &Stage| {
        let mut scene = Scene::new(stage).await;
        scene.set_params().await;
        for provider in &mut scene.providers {
            provider.key_management = Some(KeyManagement {
                kek_uri: "gcp-kms://key".to_owned(),
                workload_identity_provider: "provider".to_owned(),
                impersonated_service_account: "account".to_owned(),
                key_encryption_key: [9; 32],
            });
        }
        scene.poll().await;
        assert_eq!(scene.state().await, State::Computing);
        let stored = stage.environment.fulfilments("aggregator").unwrap();
        // Header and tag of the stream.
        assert!(stored.iter().all(|one| one.body_bytes == 33 * 1024 + 56));
    });
}

/// 3.10 row 14: what is wrong with a Duchy's certificate or key.
#[test]
fn a_duchys_bad_key_or_certificate_is_refused_or_ends_the_process() {
    for (what, ends) in [
        ("spoilt signature", false),
        ("unsupported oid", true),
        ("oid of another key type", true),
        ("no akid", true),
        ("foreign root", false),
        ("another owner's root", false),
        ("expired", false),
        ("fetch fails", true),
    ] {
        play_with(protocols(false, false), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            let computation = scene.computation.clone();
            let worker = &mut scene.duchies[1];
            let mut authority = stage.authority("worker1");
            if what == "foreign root" {
                authority = stage.new_root("stranger");
            } else if what == "another owner's root" {
                authority = stage.authority("edp2");
            }
            let leaf = stage.leaf_of(&authority, "worker1 new", |spec| match what {
                "no akid" => spec.akid = AkidChoice::Absent,
                "expired" => spec.validity.not_after = stage.now() + time::Duration::hours(1),
                _ => {}
            });
            let key = signing_key(&leaf);
            worker.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
            let mut params = worker.params(&computation).unwrap();
            if let Protocol::LiquidLegionsV2(key) = &mut params {
                match what {
                    "spoilt signature" => key.el_gamal_public_key_signature[9] ^= 1,
                    "unsupported oid" => {
                        key.el_gamal_public_key_signature_algorithm_oid = ED25519.to_owned();
                    }
                    "oid of another key type" => {
                        key.el_gamal_public_key_signature_algorithm_oid = RSA_SHA256.to_owned();
                    }
                    _ => {}
                }
            }
            worker.send_params(stage, &computation, params).await.unwrap();
            scene.duchies[0].set_params(stage, &computation).await.unwrap();
            scene.duchies[2].set_params(stage, &computation).await.unwrap();
            stage.advance(std::time::Duration::from_secs(2 * 3600));
            let provider = &mut scene.providers[0];

            let fault = || {
                if what == "fetch fails" {
                    // The MC's certificate passes, the first Duchy's does not.
                    stage.fault_after("Certificates/GetCertificate", StatusName::Unavailable, 1);
                }
            };
            faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
            faithful(&mut provider.base, PeerQuirk::UnsupportedOidIsNotABadSignature);
            if ends {
                fault();
                let ended = provider.poll(stage).await.unwrap_err();
                assert_eq!(ended.clause, "3.10/14", "{what}: {ended}");
                assert_eq!(said(&provider.base), (ParticipantEnded, "3.10/14", ""));
                documented(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
                documented(&mut provider.base, PeerQuirk::UnsupportedOidIsNotABadSignature);
            }
            fault();
            provider.poll(stage).await.unwrap();
            let expected = match what {
                "fetch fails" => (RequisitionSkipped, "3.10/14", ""),
                _ => (RequisitionRefused, "3.10/14", CSI),
            };
            assert_eq!(said(&provider.base), expected, "{what}: {:?}", last(&provider.base));
        });
    }
}

/// 3.10 row 14, in brackets: of an entry without a key (TrusTEE, the HMSS fulfilling Duchy) fetch, AKID
/// and issuer are checked, and the path is not.
#[test]
fn a_duchy_entry_without_key_is_checked_for_fetch_akid_and_issuer_only() {
    for hmss in [false, true] {
        for (what, ends, expected) in [
            ("fetch fails", true, Some((RequisitionSkipped, ""))),
            ("no akid", true, Some((RequisitionRefused, CSI))),
            ("foreign root", false, Some((RequisitionRefused, CSI))),
            ("expired", false, None),
            ("good", false, None),
        ] {
            play_with(protocols(hmss, !hmss), async |stage: &Stage| {
                let mut scene = Scene::new(stage).await;
                scene.set_params().await;
                let provider = &mut scene.providers[0];
                let requisition = stage.listed(provider).await.remove(0);
                // The Duchy whose entry shows no key, under another certificate.
                let keyless = requisition
                    .duchies
                    .iter()
                    .position(|entry| shown_key(entry).is_none())
                    .expect("one shows no key");
                let named = requisition.duchies[keyless].value.clone().unwrap().duchy_certificate;
                let id = named.split('/').nth(1).unwrap();
                let duchy = scene.duchies.iter_mut().find(|duchy| duchy.id == id).unwrap();
                let authority = match what {
                    "foreign root" => stage.new_root("stranger"),
                    _ => stage.authority(id),
                };
                let leaf = stage.leaf_of(&authority, "keyless", |spec| match what {
                    "no akid" => spec.akid = AkidChoice::Absent,
                    "expired" => spec.validity.not_after = stage.now() + time::Duration::hours(1),
                    _ => {}
                });
                let key = signing_key(&leaf);
                duchy.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
                let mut requisition = requisition;
                let value = requisition.duchies[keyless].value.as_mut().unwrap();
                value.duchy_certificate.clone_from(&duchy.signing.certificate);
                if what == "expired" {
                    stage.advance(std::time::Duration::from_secs(2 * 3600));
                }
                if what == "fetch fails" {
                    value.duchy_certificate = format!("duchies/{id}/certificates/AAAAAAAAAZQ");
                }
                faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
                let ended = matches!(
                    provider.judge(stage, &requisition).await,
                    Decision::End(ending) if ending.clause == "3.10/14"
                );
                assert_eq!(ended, ends, "{what}");
                documented(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
                let found = match provider.judge(stage, &requisition).await {
                    Decision::Refuse(refusal) => {
                        assert_eq!(refusal.clause, "3.10/14", "{what}");
                        Some((RequisitionRefused, refusal.justification.as_str_name()))
                    }
                    Decision::Skip(ending) => {
                        assert_eq!(ending.clause, "3.10/14", "{what}");
                        Some((RequisitionSkipped, ""))
                    }
                    Decision::Fulfil(_) => None,
                    other => panic!("{what}: {other:?}"),
                };
                assert_eq!(found, expected, "{what}, HMSS: {hmss}");
            });
        }
    }
}

/// The signed key that an entry shows, if any.
fn shown_key(entry: &pb::requisition::DuchyEntry) -> Option<pb::SignedMessage> {
    use pb::requisition::duchy_entry::value::Protocol as Shown;
    match entry.value.as_ref()?.protocol.as_ref()? {
        Shown::LiquidLegionsV2(key) | Shown::ReachOnlyLiquidLegionsV2(key) => {
            key.el_gamal_public_key.clone()
        }
        Shown::HonestMajorityShareShuffle(key) => key.public_key.clone(),
        Shown::TrusTee(_) => None,
    }
}

/// 3.10.4, for MPC: a requisition as listed, with another etag, which LLv2 sends, HMSS reads again and
/// TrusTEE leaves out.
#[test]
fn each_protocols_fulfilment_sends_its_etag() {
    use pb::fulfill_requisition_request::Payload;
    for (hmss, trus_tee) in [(false, false), (true, false), (false, true)] {
        play_with(protocols(hmss, trus_tee), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            scene.set_params().await;
            let provider = &mut scene.providers[0];
            let listed = stage.listed(provider).await.remove(0);
            let mut stale = listed.clone();
            stale.etag = "a stale etag".to_owned();
            provider.handle(stage, &stale).await.unwrap();
            let sent = match provider.base.last_sent(wire::FULFILL_AT_DUCHY).unwrap().payload {
                Some(Payload::Header(header)) => header.etag,
                other => panic!("no header: {other:?}"),
            };
            if hmss {
                assert_ne!(sent, "");
                assert_eq!(sent, listed.etag);
            } else if trus_tee {
                assert_eq!(sent, "");
            } else {
                assert_eq!(sent, stale.etag);
                // 3.10.2: the refused call is left for the next poll.
                assert_eq!(said(&provider.base), (RequisitionSkipped, "3.10.2", ""));
                provider.poll(stage).await.unwrap();
            }
            assert_eq!(said(&provider.base), (RequisitionFulfilled, "3.10", ""));
        });
    }
}

/// 3.10 row 15: HMSS with other than two entries, of which one shows a key; TrusTEE with other than
/// one. The Kingdom never shows it: a requisition as listed, changed.
#[test]
fn a_wrong_number_of_duchy_entries_is_refused() {
    use pb::requisition::duchy_entry::value::Protocol as Shown;
    for (hmss, what) in
        [(true, "one left out"), (true, "both show"), (true, "none shows"), (false, "doubled")]
    {
        play_with(protocols(hmss, !hmss), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            scene.set_params().await;
            let provider = &mut scene.providers[0];
            let mut requisition = stage.listed(provider).await.remove(0);
            assert!(matches!(provider.judge(stage, &requisition).await, Decision::Fulfil(_)));
            let entries = &mut requisition.duchies;
            let shows = |entry: &pb::requisition::DuchyEntry| {
                matches!(
                    &entry.value.as_ref().unwrap().protocol,
                    Some(Shown::HonestMajorityShareShuffle(key)) if key.public_key.is_some()
                )
            };
            match what {
                "one left out" => {
                    entries.pop();
                }
                "doubled" => {
                    let again = entries[0].clone();
                    entries.push(again);
                }
                "both show" => {
                    let shown = entries.iter().find(|entry| shows(entry)).unwrap().clone();
                    *entries = vec![shown.clone(), shown];
                }
                _ => {
                    let hidden = entries.iter().find(|entry| !shows(entry)).unwrap().clone();
                    *entries = vec![hidden.clone(), hidden];
                }
            }
            match provider.judge(stage, &requisition).await {
                Decision::Refuse(refusal) => {
                    assert_eq!(refusal.clause, "3.10/15", "{what}");
                    assert_eq!(refusal.justification.as_str_name(), SPEC_INVALID);
                }
                other => panic!("{what}: {other:?}"),
            }
        });
    }
}

/// 3.10 row 16: MPC noise other than DISCRETE_GAUSSIAN.
#[test]
fn mpc_noise_other_than_discrete_gaussian_is_refused() {
    let adjust = |setup: &mut halo_harness::environment::Setup| {
        setup.protocols.llv2.noise_mechanism =
            fake_kingdom::model::protocol::NoiseMechanism::Geometric;
    };
    play_with(adjust, async |stage: &Stage| {
        let mut scene = Scene::new(stage).await;
        scene.set_params().await;
        let provider = &mut scene.providers[0];
        provider.poll(stage).await.unwrap();
        assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/16", SPEC_INVALID));
    });
}

/// 3.10 row 16: each noise mechanism of each MPC protocol. DISCRETE_GAUSSIAN alone passes, except that
/// TrusTEE is charged as DISCRETE_GAUSSIAN whatever it names: the simulator never reads it, and as
/// deployed it is CONTINUOUS_GAUSSIAN.
#[test]
fn other_noise_than_discrete_gaussian_is_refused_except_for_trus_tee() {
    use ProtocolKind::{
        HonestMajorityShareShuffle, LiquidLegionsV2, ReachOnlyLiquidLegionsV2, TrusTee,
    };
    use pb::protocol_config::NoiseMechanism as Noise;
    use pb::protocol_config::protocol::Protocol as Config;
    for kind in [LiquidLegionsV2, ReachOnlyLiquidLegionsV2, HonestMajorityShareShuffle, TrusTee] {
        let adjust = |setup: &mut halo_harness::environment::Setup| {
            setup.protocols.ro_llv2_enabled = kind == ReachOnlyLiquidLegionsV2;
            setup.protocols.hmss_enabled = kind == HonestMajorityShareShuffle;
            setup.protocols.trustee_enabled = kind == TrusTee;
        };
        play_with(adjust, async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            scene.set_params().await;
            let provider = &mut scene.providers[0];
            let mut requisition = stage.listed(provider).await.remove(0);
            for noise in [
                Noise::Unspecified,
                Noise::Geometric,
                Noise::DiscreteGaussian,
                Noise::None,
                Noise::ContinuousLaplace,
                Noise::ContinuousGaussian,
                Noise::DeterministicTruncatedLaplace,
            ] {
                let config = requisition.protocol_config.as_mut().unwrap();
                let config = config.protocols[0].protocol.as_mut().unwrap();
                assert_eq!(ProtocolKind::of(config), kind);
                match config {
                    Config::LiquidLegionsV2(config) => config.set_noise_mechanism(noise),
                    Config::ReachOnlyLiquidLegionsV2(config) => config.set_noise_mechanism(noise),
                    Config::HonestMajorityShareShuffle(config) => config.set_noise_mechanism(noise),
                    Config::TrusTee(config) => config.set_noise_mechanism(noise),
                    Config::Direct(_) => panic!("Direct is not MPC"),
                }
                let refused = match provider.judge(stage, &requisition).await {
                    Decision::Fulfil(_) => None,
                    Decision::Refuse(refusal) => {
                        Some((refusal.clause, refusal.justification.as_str_name()))
                    }
                    other => panic!("{kind:?}, {noise:?}: {other:?}"),
                };
                let passes = kind == TrusTee || noise == Noise::DiscreteGaussian;
                let expected = (!passes).then_some(("3.10/16", SPEC_INVALID));
                assert_eq!(refused, expected, "{kind:?}, {noise:?}");
            }
        });
    }
}

/// 3.10 row 16, in brackets: a bad filter of a TrusTEE requisition ends the process.
#[test]
fn a_bad_filter_ends_the_process_for_trus_tee_and_is_refused_for_llv2() {
    for trustee in [false, true] {
        play_with(protocols(false, trustee), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            let group = stage.event_group(&mut scene.providers[0], "sim-eg-1").await;
            scene.consumer.cancel(stage, &scene.measurement).await.unwrap();
            let mut wish = stage.reach_of_both();
            wish.providers[0].event_groups = vec![group];
            wish.providers[0].filter = "person.age > (3".to_owned();
            let name = stage.create(&mut scene.consumer, &wish).await;
            let duchy = &mut scene.duchies[0];
            scene.computation = stage.computation(duchy, &mut scene.consumer, &name).await;
            scene.set_params().await;
            let provider = &mut scene.providers[0];
            faithful(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
            let polled = provider.poll(stage).await;
            if trustee {
                assert_eq!(polled.unwrap_err().clause, "3.10/16");
                documented(&mut provider.base, PeerQuirk::ProviderDiesInsteadOfRefusing);
                provider.poll(stage).await.unwrap();
            }
            assert_eq!(said(&provider.base), (RequisitionRefused, "3.10/16", SPEC_INVALID));
        });
    }
}

/// 3.12.3, 3.4.2: each finding of the confirmation phase fails the computation for good, an OID that
/// throws in the real mill included; all of them are collected.
#[test]
fn the_confirmation_phase_collects_its_findings_and_fails_the_computation() {
    for (what, clause, count) in [
        ("spoilt key", "3.12.3", 1),
        ("spoilt key of RO-LLv2", "3.12.3", 1),
        ("unsupported oid", "3.12.3", 1),
        ("oid of another key type", "3.12.3", 1),
        ("spoilt key of an expired certificate", "3.12.3", 2),
        ("another trusted root", "3.12.3", 1),
        ("missing data", "3.12.3", 2),
        ("no configured root", "3.12.5", 1),
        ("root not in the bundle", "3.12.5", 1),
    ] {
        play_with(liquid_legions(what.contains("RO-LLv2")), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            let computation = scene.computation.clone();
            let worker = &mut scene.duchies[1];
            let owner = if what == "another trusted root" { "worker2" } else { "worker1" };
            let leaf = stage.leaf_of(&stage.authority(owner), "worker1 new", |spec| {
                if what.contains("expired") {
                    spec.validity.not_after = stage.now() + time::Duration::hours(1);
                }
            });
            let key = signing_key(&leaf);
            worker.rotate_certificate(stage, leaf.certificate_der(), key).await.unwrap();
            let mut params = worker.params(&computation).unwrap();
            let (Protocol::LiquidLegionsV2(key) | Protocol::ReachOnlyLiquidLegionsV2(key)) =
                &mut params
            else {
                panic!("{what}: {params:?}");
            };
            let oid = &mut key.el_gamal_public_key_signature_algorithm_oid;
            match what {
                "unsupported oid" => *oid = ED25519.to_owned(),
                "oid of another key type" => *oid = RSA_SHA256.to_owned(),
                what if what.contains("spoilt") => key.el_gamal_public_key_signature[9] ^= 1,
                _ => {}
            }
            worker.send_params(stage, &computation, params).await.unwrap();
            scene.duchies[0].set_params(stage, &computation).await.unwrap();
            scene.duchies[2].set_params(stage, &computation).await.unwrap();
            for provider in &mut scene.providers {
                fulfil_unseen(stage, provider).await;
            }
            if what != "missing data" {
                scene.hold();
            }
            if what.contains("expired") {
                stage.advance(std::time::Duration::from_secs(2 * 3600));
            }
            let aggregator = &mut scene.duchies[0];
            match what {
                "no configured root" => {
                    aggregator.roots.remove("worker2");
                }
                "root not in the bundle" => {
                    let root = stage.authority("worker2");
                    aggregator.base.identity.bundle.remove(root.certificate_der());
                }
                _ => {}
            }
            let findings = aggregator.confirm(stage, &computation.name).await.unwrap();
            assert_eq!(findings.len(), count, "{what}: {findings:?}");
            assert_eq!(said(&aggregator.base), (ComputationFailed, clause, ""), "{what}");
            let measurement = scene.consumer.get(stage, &scene.measurement).await.unwrap();
            assert_eq!(measurement.state(), State::Failed, "{what}");
            let reason = pb::measurement::failure::Reason::ComputationParticipantFailed;
            assert_eq!(crate::support::failure(&measurement), reason);
        });
    }
}

/// Fulfils what is listed though a Duchy's key is bad: without the Duchy entries there is nothing to
/// verify, and LLv2 data may go to any Duchy.
async fn fulfil_unseen(stage: &Stage, provider: &mut DataProvider) {
    provider.llv2_duchy = Some("aggregator".to_owned());
    let mut requisition = stage.listed(provider).await.remove(0);
    requisition.duchies.clear();
    provider.handle(stage, &requisition).await.unwrap();
    assert_eq!(said(&provider.base).0, RequisitionFulfilled, "{:?}", last(&provider.base));
}

/// 3.12.3: the set of nonces equals nonce_hashes. The Kingdom takes other nonces at no fulfilment, so
/// the computation is changed after it was read.
#[test]
fn nonces_that_are_not_the_specs_are_a_finding() {
    use halo_harness::participant::duchy::rules::{Confirmation, confirm};
    play_with(protocols(false, false), async |stage: &Stage| {
        let mut scene = Scene::new(stage).await;
        scene.set_params().await;
        scene.poll().await;
        scene.hold();
        let name = scene.computation.name.clone();
        let aggregator = &mut scene.duchies[0];
        let mut computation = aggregator.computation(stage, &name).await.unwrap();
        let judge = |computation: &system::Computation| {
            confirm(&Confirmation {
                duchy: "aggregator",
                computation,
                bundle: &aggregator.base.identity.bundle,
                roots: &aggregator.roots,
                held: &aggregator.held,
                now_unix_seconds: aggregator.base.now_unix_seconds(),
            })
        };
        assert_eq!(judge(&computation), Ok(Vec::new()));
        computation.requisitions[0].nonce ^= 1;
        assert_eq!(judge(&computation).unwrap().len(), 1);
    });
}

/// 3.12.4: what the shuffle phase takes for permanent, an OID that throws included (3.2.3), and what
/// for transient.
#[test]
fn the_shuffle_phase_tells_transient_from_permanent() {
    for (what, permanent) in [
        ("unavailable", false),
        ("deadline exceeded", false),
        ("aborted", false),
        ("internal", true),
        ("missing certificate", true),
        ("undecryptable seed", true),
        ("spoilt signature", true),
        ("unsupported oid", true),
        ("oid of another key type", true),
        ("another provider's certificate", true),
        ("unknown root", true),
        ("no akid", true),
        ("expired", true),
    ] {
        play_with(protocols(true, false), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            scene.set_params().await;
            if matches!(what, "no akid" | "expired") {
                for (provider, name) in scene.providers.iter_mut().zip(["edp1", "edp2"]) {
                    let leaf = stage.leaf_of(&stage.authority(name), name, |spec| match what {
                        "no akid" => spec.akid = AkidChoice::Absent,
                        _ => spec.validity.not_after = stage.now() + time::Duration::hours(1),
                    });
                    let key = signing_key(&leaf);
                    let der = leaf.certificate_der();
                    provider.rotate_certificate(stage, der, key).await.unwrap();
                }
            }
            scene.poll().await;
            if what == "expired" {
                stage.advance(std::time::Duration::from_secs(2 * 3600));
            }
            let name = scene.computation.name.clone();
            let all = seeds(&scene);
            let index = if all[1].is_empty() { 2 } else { 1 };
            let mut own = all[index].clone();
            let other = scene
                .providers
                .iter()
                .find(|provider| provider.signing.certificate != own[0].certificate);
            match what {
                "missing certificate" => {
                    let owner = own[0].certificate.rsplit_once('/').unwrap().0.to_owned();
                    own[0].certificate = format!("{owner}/AAAAAAAAAZQ");
                }
                "undecryptable seed" => own[0].sealed.ciphertext[40] ^= 1,
                "spoilt signature" | "unsupported oid" | "oid of another key type" => {
                    let keyset = &scene.duchies[index].keyset;
                    let sealed = &mut own[0].sealed;
                    let mut seed =
                        halo_consent::open_signed(keyset, &sealed.ciphertext, &sealed.type_url)
                            .unwrap();
                    match what {
                        "unsupported oid" => seed.signature_algorithm_oid = ED25519.to_owned(),
                        "oid of another key type" => {
                            seed.signature_algorithm_oid = RSA_SHA256.to_owned();
                        }
                        _ => seed.signature[9] ^= 1,
                    }
                    let mut rng = SEED.child("test/seed");
                    sealed.ciphertext =
                        halo_consent::seal_signed(&keyset.public(), &seed, &mut rng).unwrap();
                }
                "another provider's certificate" => {
                    own[0].certificate = other.unwrap().signing.certificate.clone();
                }
                _ => {}
            }
            let duchy = &mut scene.duchies[index];
            if what == "unknown root" {
                for provider in ["edp1", "edp2"] {
                    let root = stage.authority(provider);
                    duchy.base.identity.bundle.remove(root.certificate_der());
                }
            }
            let status = match what {
                "unavailable" => Some(StatusName::Unavailable),
                "deadline exceeded" => Some(StatusName::DeadlineExceeded),
                "aborted" => Some(StatusName::Aborted),
                "internal" => Some(StatusName::Internal),
                _ => None,
            };
            if let Some(status) = status {
                stage.fault("Certificates/GetCertificate", status);
            }
            let outcome = duchy.shuffle(stage, &name, &own).await.unwrap();
            if permanent {
                assert!(matches!(outcome, Shuffle::Permanent(_)), "{what}: {outcome:?}");
                assert_eq!(said(&duchy.base).0, ComputationFailed);
                assert_eq!(scene.state().await, State::Failed, "{what}");
            } else {
                assert!(matches!(outcome, Shuffle::Transient(_)), "{what}: {outcome:?}");
                assert_eq!(said(&duchy.base).0, StageRetried);
                let again = duchy.shuffle(stage, &name, &own).await.unwrap();
                assert!(matches!(again, Shuffle::Passed(_)), "{what}: {again:?}");
            }
        });
    }
}

/// 3.12.5: a raw status that no phase translates is thrown out of the mill, and the computation stays;
/// after the maximum number of attempts it fails anyway, though nothing is wrong any more.
#[test]
fn a_thrown_status_leaves_the_computation_until_the_attempts_are_used_up() {
    for (maximum, passes) in [(2, false), (3, true)] {
        play_with(protocols(false, false), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            scene.set_params().await;
            scene.poll().await;
            scene.hold();
            let name = scene.computation.name.clone();
            scene.duchies[0].maximum_attempts = maximum;
            for method in [
                "Computations/GetComputation",
                "ComputationParticipants/ConfirmComputationParticipant",
            ] {
                stage.fault(method, StatusName::Internal);
                let thrown = scene.duchies[0].confirm(stage, &name).await.unwrap_err();
                assert_eq!(thrown.code, "INTERNAL");
                assert_eq!(said(&scene.duchies[0].base), (StatusThrown, "3.12.5", ""));
                assert_eq!(scene.state().await, State::Computing);
            }
            let findings = scene.duchies[0].confirm(stage, &name).await.unwrap();
            assert_eq!(findings.is_empty(), passes, "{findings:?}");
            let event = last(&scene.duchies[0].base);
            if passes {
                assert_eq!(event.kind, ParticipantConfirmed);
            } else {
                assert_eq!((event.kind, event.clause), (ComputationFailed, "3.12.5"));
                assert_eq!(scene.state().await, State::Failed);
            }
        });
    }
}

/// 3.12.5: a transient error of the shuffle phase counts as an attempt.
#[test]
fn transient_errors_use_up_the_attempts_of_the_shuffle_phase() {
    for (maximum, passes) in [(2, false), (3, true)] {
        play_with(protocols(true, false), async |stage: &Stage| {
            let mut scene = Scene::new(stage).await;
            scene.set_params().await;
            scene.poll().await;
            let name = scene.computation.name.clone();
            let all = seeds(&scene);
            let index = if all[1].is_empty() { 2 } else { 1 };
            scene.duchies[index].maximum_attempts = maximum;
            for _ in 0..2 {
                stage.fault("Certificates/GetCertificate", StatusName::Unavailable);
                let outcome = scene.duchies[index].shuffle(stage, &name, &all[index]).await;
                assert!(matches!(outcome, Ok(Shuffle::Transient(_))), "{outcome:?}");
                assert_eq!(scene.state().await, State::Computing);
            }
            let outcome = scene.duchies[index].shuffle(stage, &name, &all[index]).await.unwrap();
            assert_eq!(matches!(outcome, Shuffle::Passed(_)), passes, "{outcome:?}");
            if !passes {
                let event = last(&scene.duchies[index].base);
                assert_eq!((event.kind, event.clause), (ComputationFailed, "3.12.5"));
                assert_eq!(scene.state().await, State::Failed);
            }
        });
    }
}
