//! A small Kingdom for tests: two providers, two consumers with certificates, three Duchies.

use super::certificate::{Certificate, RevocationState};
use super::data_provider::DataProvider;
use super::measurement::{self, MeasurementKey};
use super::measurement_consumer::MeasurementConsumer;
use super::participant::{self, Params, SignedKey};
use super::requisition::{self, Fulfillment, Requisition};
use super::{IdSource, Owner, Read, Timestamp, Write, certificate};
use crate::authn::Principal;
use crate::error::{Code, Refusal};
use crate::model::Mutation;
use crate::public;
use crate::quirk::{Fidelity, Quirk};
use crate::seam::entropy::Seed;
use crate::settings::{Duchies, DuchyEntry, Settings};
use crate::store::Tables;
use kingdom_proto::{pack, v2alpha as pb};
use pb::measurement_spec::{self as spec, MeasurementType as SpecType};
use std::sync::Arc;

pub(crate) const DP1: i64 = 1;
pub(crate) const DP2: i64 = 2;
pub(crate) const MC1: i64 = 101;
pub(crate) const MC2: i64 = 102;
pub(crate) const DUCHIES: [&str; 3] = ["aggregator", "worker1", "worker2"];

/// Each owner's first certificate is its id plus this; a provider has a second one at plus 2000.
pub(crate) const CERTIFICATE: i64 = 1000;

pub(crate) struct Kingdom {
    pub(crate) tables: Tables,
    pub(crate) settings: Settings,
    pub(crate) now: Timestamp,
    pub(crate) mutations: Vec<Mutation>,
    ids: IdSource,
}

impl Kingdom {
    pub(crate) fn new() -> Self {
        let entry = |(index, id): (u64, &str)| DuchyEntry {
            id: id.to_owned(),
            internal_id: index,
            active_from: Timestamp::from_seconds(0),
            active_until: None,
        };
        let settings = Settings {
            duchies: Duchies::new((0..).zip(DUCHIES).map(entry)),
            ..Settings::default()
        };
        let mut kingdom = Self {
            tables: Tables::default(),
            settings,
            now: Timestamp::from_seconds(1_000_000),
            mutations: Vec::new(),
            ids: IdSource::new(Seed::new(7).child("ids")),
        };
        for id in [DP1, DP2] {
            kingdom.tables.data_providers.put(DataProvider {
                id,
                certificate: id + CERTIFICATE,
                ..DataProvider::default()
            });
            kingdom.certificate(Owner::DataProvider(id), id + CERTIFICATE);
            kingdom.certificate(Owner::DataProvider(id), id + 2 * CERTIFICATE);
        }
        for id in [MC1, MC2] {
            kingdom.tables.measurement_consumers.put(MeasurementConsumer {
                id,
                certificate: id + CERTIFICATE,
                public_key: Default::default(),
            });
            kingdom.certificate(Owner::MeasurementConsumer(id), id + CERTIFICATE);
            kingdom.certificate(Owner::MeasurementConsumer(id), id + 2 * CERTIFICATE);
        }
        for (id, duchy) in (0..).zip(DUCHIES) {
            kingdom.certificate(Owner::Duchy(duchy.into()), 500 + id);
        }
        kingdom.commit();
        kingdom
    }

    /// A valid certificate.
    pub(crate) fn certificate(&mut self, owner: Owner, id: i64) {
        let skid = owner.certificate_name(id).into_bytes();
        self.tables.certificates.put(Certificate {
            owner,
            id,
            x509_der: Box::from(*b"der"),
            subject_key_identifier: skid.into(),
            not_valid_before: Timestamp::from_seconds(0),
            not_valid_after: Timestamp::from_seconds(2_000_000),
            revocation_state: RevocationState::Unspecified,
        });
    }

    /// Only the state of a certificate, without any cascade.
    pub(crate) fn set_revoked(&mut self, owner: Owner, id: i64) {
        self.tables
            .certificates
            .update(&(owner, id), |row| row.revocation_state = RevocationState::Revoked);
    }

    pub(crate) fn off(&mut self, quirk: Quirk) {
        self.settings.quirks = self.settings.quirks.with(quirk, Fidelity::AsDocumented);
    }

    pub(crate) fn enable_hmss(&mut self) {
        self.settings.protocols.hmss_enabled = true;
        for id in [DP1, DP2] {
            self.tables.data_providers.update(&id, |row| {
                row.capabilities.honest_majority_share_shuffle_supported = true;
            });
        }
    }

    pub(crate) fn enable_trustee(&mut self) {
        self.settings.protocols.trustee_enabled = true;
        for id in [DP1, DP2] {
            self.tables
                .data_providers
                .update(&id, |row| row.capabilities.trus_tee_supported = true);
        }
    }

    pub(crate) fn read(&self) -> Read<'_> {
        Read { tables: &self.tables, now: self.now, settings: &self.settings }
    }

    /// Runs a writing rule one microsecond later; keeps its changes only if it answers `Ok`.
    pub(crate) fn write<T, E>(
        &mut self,
        rule: impl FnOnce(&mut Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // What a test arranged by hand stays, whatever the rule answers.
        self.commit();
        self.now = Timestamp::from_micros(self.now.micros() + 1);
        let mut write = Write {
            tables: &mut self.tables,
            now: self.now,
            settings: &self.settings,
            ids: &mut self.ids,
            mutations: Vec::new(),
        };
        let answer = rule(&mut write);
        let mutations = write.mutations;
        if answer.is_ok() {
            self.mutations.extend(mutations);
            self.commit();
        } else {
            self.tables.each_mut().into_iter().for_each(|table| table.roll_back());
        }
        answer
    }

    fn commit(&mut self) {
        self.tables.each_mut().into_iter().for_each(|table| table.commit());
    }

    /// Creates by the public API, as MC1.
    pub(crate) fn try_create(
        &mut self,
        request: &pb::CreateMeasurementRequest,
    ) -> Result<pb::Measurement, Refusal> {
        let caller = consumer(MC1);
        self.write(|write| public::measurements::create(write, Some(&caller), request))
    }

    pub(crate) fn create(&mut self, request: &pb::CreateMeasurementRequest) -> MeasurementKey {
        let name = self.try_create(request).unwrap().name;
        let id = kingdom_proto::ApiId::decode(name.rsplit('/').next().unwrap()).unwrap();
        (MC1, id.value())
    }

    /// A Direct measurement of one provider.
    pub(crate) fn direct(&mut self) -> MeasurementKey {
        self.create(&request(&[DP1], reach()))
    }

    /// An MPC measurement of both providers, by whatever protocol is enabled; LLv2 by default.
    pub(crate) fn computed(&mut self) -> MeasurementKey {
        self.create(&request(&[DP1, DP2], reach()))
    }

    pub(crate) fn computation(&self, key: MeasurementKey) -> i64 {
        measurement::find(&self.tables, key).unwrap().computation.unwrap()
    }

    pub(crate) fn set_params(&mut self, key: MeasurementKey, duchy: &str, params: &Params) {
        let computation = self.computation(key);
        let certificate = 500 + DUCHIES.iter().position(|id| *id == duchy).unwrap() as i64;
        let participant = (computation, Arc::from(duchy));
        self.write(|write| {
            let params = params.clone();
            participant::set_requisition_params(write, &participant, "", certificate, params)
        })
        .unwrap();
    }

    pub(crate) fn set_all_params(&mut self, key: MeasurementKey, params: &Params) {
        let computation = self.computation(key);
        let duchies: Vec<_> = participant::of_computation(&self.tables, computation)
            .map(|row| row.duchy.clone())
            .collect();
        for duchy in duchies {
            self.set_params(key, &duchy, params);
        }
    }

    /// Fulfils one provider's requisition by the MPC path.
    pub(crate) fn fulfill_computed(&mut self, key: MeasurementKey, provider: i64) {
        let (computation, id) = (self.computation(key), self.requisition(key, provider).id);
        self.write(|write| {
            let fulfillment = Fulfillment { nonce: 5, ..Fulfillment::default() };
            requisition::fulfill_computed(write, computation, id, &"worker1".into(), fulfillment)
        })
        .unwrap();
    }

    pub(crate) fn confirm_all(&mut self, key: MeasurementKey) {
        for duchy in DUCHIES {
            let participant = (self.computation(key), Arc::from(duchy));
            self.write(|write| participant::confirm(write, &participant, "")).unwrap();
        }
    }

    /// Revokes with the cascade.
    pub(crate) fn revoke(&mut self, owner: &Owner, id: i64) {
        self.write(|write| certificate::revoke(write, owner, id, RevocationState::Revoked))
            .unwrap();
    }

    pub(crate) fn requisition(&self, key: MeasurementKey, provider: i64) -> &Requisition {
        requisition::of_measurement(&self.tables, key)
            .find(|row| row.data_provider == provider)
            .unwrap()
    }

    pub(crate) fn state(&self, key: MeasurementKey) -> measurement::State {
        measurement::find(&self.tables, key).unwrap().state
    }

    /// Forces a state, to reach a case without its whole history.
    pub(crate) fn force(&mut self, key: MeasurementKey, state: measurement::State) {
        self.tables.measurements.update(&key, |row| row.state = state);
    }

    /// States of both providers' requisitions.
    pub(crate) fn requisition_states(
        &self,
        key: MeasurementKey,
    ) -> (requisition::State, requisition::State) {
        (self.requisition(key, DP1).state, self.requisition(key, DP2).state)
    }
}

pub(crate) fn el_gamal() -> Params {
    Params::LiquidLegionsV2(SignedKey { key: b"el gamal".to_vec(), ..SignedKey::default() })
}

pub(crate) fn tink() -> Params {
    Params::HonestMajorityShareShuffle(SignedKey { key: b"tink".to_vec(), ..SignedKey::default() })
}

pub(crate) fn provider(id: i64) -> Principal {
    Principal::parse(&Owner::DataProvider(id).name()).unwrap()
}

pub(crate) fn consumer(id: i64) -> Principal {
    Principal::parse(&Owner::MeasurementConsumer(id).name()).unwrap()
}

/// Code and reason of a refusal.
pub(crate) fn said<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> (Code, Option<&'static str>) {
    let refusal = answer.unwrap_err();
    (refusal.code, refusal.info.map(|info| info.reason))
}

const DP_OK: Option<pb::DifferentialPrivacyParams> =
    Some(pb::DifferentialPrivacyParams { epsilon: 1.0, delta: 0.0 });

pub(crate) fn reach() -> SpecType {
    SpecType::Reach(spec::Reach { privacy_params: DP_OK })
}

pub(crate) fn reach_and_frequency() -> SpecType {
    SpecType::ReachAndFrequency(spec::ReachAndFrequency {
        reach_privacy_params: DP_OK,
        frequency_privacy_params: DP_OK,
        maximum_frequency: 2,
    })
}

pub(crate) fn impression() -> SpecType {
    SpecType::Impression(spec::Impression { privacy_params: DP_OK, maximum_frequency_per_user: 1 })
}

#[allow(deprecated)]
pub(crate) fn duration() -> SpecType {
    SpecType::Duration(spec::Duration {
        privacy_params: DP_OK,
        maximum_watch_duration_per_user: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        maximum_watch_duration_per_user_seconds: 0,
    })
}

pub(crate) fn key() -> prost_types::Any {
    let key = pb::EncryptionPublicKey { format: 1, data: b"key".to_vec() };
    pack(public::full_name::ENCRYPTION_PUBLIC_KEY, &key)
}

/// A spec that passes every check, for `count` providers.
pub(crate) fn spec_for(count: usize, of: SpecType) -> pb::MeasurementSpec {
    pb::MeasurementSpec {
        measurement_public_key: Some(key()),
        nonce_hashes: (0..count).map(|index| vec![index as u8 + 1]).collect(),
        vid_sampling_interval: Some(spec::VidSamplingInterval { start: 0.0, width: 0.5 }),
        measurement_type: Some(of),
        model_line: "modelProviders/a/modelSuites/b/modelLines/c".to_owned(),
        ..pb::MeasurementSpec::default()
    }
}

/// Packs a spec into a request.
#[allow(deprecated)]
pub(crate) fn put_spec(request: &mut pb::CreateMeasurementRequest, spec: &pb::MeasurementSpec) {
    request.measurement.as_mut().unwrap().measurement_spec = Some(pb::SignedMessage {
        message: Some(pack(public::full_name::MEASUREMENT_SPEC, spec)),
        data: Vec::new(),
        signature: b"signature".to_vec(),
        signature_algorithm_oid: "1.2".to_owned(),
    });
}

/// A create request of MC1 that passes every check. Each entry names the provider's second
/// certificate, which is not its current one.
pub(crate) fn request(providers: &[i64], of: SpecType) -> pb::CreateMeasurementRequest {
    let entry = |id: &i64| {
        let owner = Owner::DataProvider(*id);
        pb::measurement::DataProviderEntry {
            key: owner.name(),
            value: Some(pb::measurement::data_provider_entry::Value {
                data_provider_certificate: owner.certificate_name(id + 2 * CERTIFICATE),
                data_provider_public_key: Some(key()),
                encrypted_requisition_spec: Some(public::encrypted_message(b"ciphertext")),
                nonce_hash: b"hash".to_vec(),
            }),
        }
    };
    let owner = Owner::MeasurementConsumer(MC1);
    let mut request = pb::CreateMeasurementRequest {
        parent: owner.name(),
        measurement: Some(pb::Measurement {
            measurement_consumer_certificate: owner.certificate_name(MC1 + CERTIFICATE),
            data_providers: providers.iter().map(entry).collect(),
            measurement_reference_id: "reference".to_owned(),
            ..pb::Measurement::default()
        }),
        request_id: String::new(),
    };
    put_spec(&mut request, &spec_for(providers.len(), of));
    request
}
