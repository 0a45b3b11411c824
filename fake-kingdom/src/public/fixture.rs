//! A small Kingdom for the unit tests of this layer.

use super::Answer;
use crate::authn::Principal;
use crate::error::{Code, Refusal};
use crate::model::certificate::{NewCertificate, RevocationState};
use crate::model::data_provider::{self, NewDataProvider};
use crate::model::public_key::StoredPublicKey;
use crate::model::{IdSource, Mutation, Owner, Read, Timestamp, Write};
use crate::model::{measurement_consumer, model_provider};
use crate::quirk::{Fidelity, Quirk};
use crate::seam::entropy::Seed;
use crate::settings::{Duchies, DuchyEntry, Settings};
use crate::store::Tables;
use std::time::Duration;

/// Two data providers, two measurement consumers (all with certificates), two model providers,
/// three Duchies. Ids ascend within each pair.
pub(crate) struct World {
    pub(crate) tables: Tables,
    pub(crate) settings: Settings,
    ids: IdSource,
    now: Timestamp,
    /// What the last successful write noted.
    pub(crate) mutations: Vec<Mutation>,
    pub(crate) data_providers: [i64; 2],
    pub(crate) measurement_consumers: [i64; 2],
    pub(crate) model_providers: [i64; 2],
}

/// A public key as a participant would store it.
pub(crate) fn public_key() -> StoredPublicKey {
    StoredPublicKey {
        key: vec![8, 1, 18, 1, 7],
        signature: b"signature".to_vec(),
        signature_algorithm_oid: "1.2.840.10045.4.3.2".to_owned(),
        api_version: "v2alpha".to_owned(),
    }
}

/// A certificate that no rule here parses.
pub(crate) fn certificate(skid: &[u8]) -> NewCertificate {
    NewCertificate {
        x509_der: [b"der of ", skid].concat(),
        subject_key_identifier: skid.to_vec(),
        not_valid_before: Timestamp::from_seconds(0),
        not_valid_after: Timestamp::from_seconds(4_000_000_000),
        revocation_state: RevocationState::Unspecified,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let duchy = |id: &str| DuchyEntry {
            id: id.to_owned(),
            internal_id: 1,
            active_from: Timestamp::from_seconds(0),
            active_until: None,
        };
        let settings = Settings {
            duchies: Duchies::new(["aggregator", "worker1", "worker2"].map(duchy)),
            ..Settings::default()
        };
        let mut world = Self {
            tables: Tables::default(),
            settings,
            ids: IdSource::new(Seed::new(7).child("ids")),
            now: Timestamp::from_seconds(1_700_000_000),
            mutations: Vec::new(),
            data_providers: [0; 2],
            measurement_consumers: [0; 2],
            model_providers: [0; 2],
        };
        for i in 0..2 {
            let skid = format!("dp{i}");
            let new = NewDataProvider { public_key: public_key(), ..NewDataProvider::default() };
            world.data_providers[i] = world
                .write(|w| {
                    data_provider::create(w, certificate(skid.as_bytes()), new)
                        .map_err(crate::error::InternalError::untranslated)
                })
                .unwrap()
                .id;
            let skid = format!("mc{i}");
            world.measurement_consumers[i] = world
                .write(|w| {
                    measurement_consumer::create(w, certificate(skid.as_bytes()), public_key())
                        .map_err(crate::error::InternalError::untranslated)
                })
                .unwrap()
                .id;
            world.model_providers[i] = world.write(|w| Ok(model_provider::create(w))).unwrap().id;
        }
        world.data_providers.sort_unstable();
        world.measurement_consumers.sort_unstable();
        world.model_providers.sort_unstable();
        world
    }

    /// The same world with `quirk` as documented.
    pub(crate) fn documented(quirk: Quirk) -> Self {
        let mut world = Self::new();
        world.settings.quirks = world.settings.quirks.with(quirk, Fidelity::AsDocumented);
        world
    }

    pub(crate) fn read(&self) -> Read<'_> {
        Read { tables: &self.tables, now: self.now, settings: &self.settings }
    }

    /// Runs a rule as the owner of the tables does: a refusal leaves nothing behind.
    pub(crate) fn write<T>(&mut self, rule: impl FnOnce(&mut Write<'_>) -> Answer<T>) -> Answer<T> {
        self.now = self.now.plus(Duration::from_millis(1));
        let mut write = Write {
            tables: &mut self.tables,
            now: self.now,
            settings: &self.settings,
            ids: &mut self.ids,
            mutations: Vec::new(),
        };
        let answer = rule(&mut write);
        self.mutations = std::mem::take(&mut write.mutations);
        for table in self.tables.each_mut() {
            if answer.is_ok() { table.commit() } else { table.roll_back() }
        }
        answer
    }

    pub(crate) fn dp(&self, i: usize) -> String {
        Owner::DataProvider(self.data_providers[i]).name()
    }

    pub(crate) fn mc(&self, i: usize) -> String {
        Owner::MeasurementConsumer(self.measurement_consumers[i]).name()
    }

    pub(crate) fn mp(&self, i: usize) -> String {
        Owner::ModelProvider(self.model_providers[i]).name()
    }

    pub(crate) fn as_dp(&self, i: usize) -> Principal {
        principal(&self.dp(i))
    }

    pub(crate) fn as_mc(&self, i: usize) -> Principal {
        principal(&self.mc(i))
    }

    pub(crate) fn as_mp(&self, i: usize) -> Principal {
        principal(&self.mp(i))
    }
}

pub(crate) fn principal(name: &str) -> Principal {
    Principal::parse(name).unwrap()
}

/// Code and reason of a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> (Code, Option<&'static str>) {
    let Refusal { code, info, .. } = answer.unwrap_err();
    (code, info.map(|info| info.reason))
}

/// One metadata value of a refusal.
pub(crate) fn metadata<T: std::fmt::Debug>(answer: Answer<T>, key: &str) -> Option<String> {
    answer.unwrap_err().info.and_then(|info| info.metadata.get(key).cloned())
}
