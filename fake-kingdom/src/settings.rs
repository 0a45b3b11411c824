//! What a Kingdom is started with and never changes: quirks, Duchies, protocols.

use crate::model::Timestamp;
use crate::model::protocol::{LiquidLegions, NoiseMechanism, PrivacyParams, ShareShuffle, TrusTee};
use crate::quirk::Quirks;
use std::collections::BTreeMap;

/// The settings that rules look at.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which oddities are in force.
    pub quirks: Quirks,
    /// The Duchy set of the data server (contract 2.16).
    pub duchies: Duchies,
    /// Protocols and their parameters (contract 1.5.8, 1.5.15, 1.5.16).
    pub protocols: Protocols,
}

/// The Duchy set, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duchies {
    order: Vec<String>,
    by_id: BTreeMap<String, DuchyEntry>,
}

/// One entry of `DuchyIdConfig` (contract 2.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuchyEntry {
    /// `external_duchy_id`.
    pub id: String,
    /// `internal_duchy_id`.
    pub internal_id: u64,
    /// First moment of activity, inclusive.
    pub active_from: Timestamp,
    /// Last moment of activity, inclusive; `None` = forever.
    pub active_until: Option<Timestamp>,
}

impl DuchyEntry {
    /// Whether the Duchy is active at `now`; both ends are inclusive (contract 1.5.16).
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.active_from <= now && self.active_until.is_none_or(|end| now <= end)
    }
}

impl Duchies {
    /// A set from entries in order; a repeated id keeps its first place and its last entry.
    pub fn new(entries: impl IntoIterator<Item = DuchyEntry>) -> Self {
        let mut duchies = Self::default();
        for entry in entries {
            if !duchies.by_id.contains_key(&entry.id) {
                duchies.order.push(entry.id.clone());
            }
            duchies.by_id.insert(entry.id.clone(), entry);
        }
        duchies
    }

    /// The Duchy with this external id.
    pub fn get(&self, id: &str) -> Option<&DuchyEntry> {
        self.by_id.get(id)
    }

    /// All, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &DuchyEntry> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }
}

/// Which protocols are on, and for whom (contract 1.5.15, 1.5.16).
#[derive(Clone, Debug)]
pub struct Protocols {
    /// `--enable-ro-llv2-protocol`.
    pub ro_llv2_enabled: bool,
    /// `--enable-hmss`.
    pub hmss_enabled: bool,
    /// Measurement consumers (names) with HMSS whatever the flag says.
    pub hmss_for: Vec<String>,
    /// `--enable-trustee`.
    pub trustee_enabled: bool,
    /// Measurement consumers (names) with TrusTEE whatever the flag says.
    pub trustee_for: Vec<String>,
    /// Duchies that every LLv2 computation involves.
    pub llv2_required_duchies: Vec<String>,
    /// How many Duchies an LLv2 computation has at least.
    pub llv2_minimum_duchies: usize,
    /// The three Duchies of HMSS: two workers, then the aggregator.
    pub hmss_duchies: [String; 3],
    /// The one Duchy of TrusTEE.
    pub trustee_duchy: String,
    /// `--direct-noise-mechanism`, shown by every Direct measurement (contract 1.5.8).
    pub direct_noise_mechanisms: Vec<NoiseMechanism>,
    /// Parameters of LLv2.
    pub llv2: LiquidLegions,
    /// Parameters of RO-LLv2.
    pub ro_llv2: LiquidLegions,
    /// Parameters of HMSS.
    pub hmss: ShareShuffle,
    /// Parameters of TrusTEE.
    pub trustee: TrusTee,
    /// `fallback_noise_mechanisms` of TrusTEE, tried in order (contract 1.5.15).
    pub trustee_fallback_noise_mechanisms: Vec<NoiseMechanism>,
}

impl Default for Protocols {
    /// As the project's own test deployment is configured.
    fn default() -> Self {
        let duchy = str::to_owned;
        let noise = PrivacyParams { epsilon: 1.0, delta: 1.0 };
        let llv2 = LiquidLegions {
            decay_rate: 7.75,
            max_size: 100_000,
            sampling_indicator_size: 10_000_000,
            data_provider_noise: noise,
            elliptic_curve_id: 415,
            noise_mechanism: NoiseMechanism::DiscreteGaussian,
            blinded_histogram_noise: noise,
            noise_for_publisher_noise: noise,
        };
        Self {
            ro_llv2_enabled: false,
            hmss_enabled: false,
            hmss_for: Vec::new(),
            trustee_enabled: false,
            trustee_for: Vec::new(),
            llv2_required_duchies: vec![duchy("aggregator")],
            llv2_minimum_duchies: 3,
            hmss_duchies: [duchy("worker1"), duchy("worker2"), duchy("aggregator")],
            trustee_duchy: duchy("aggregator"),
            direct_noise_mechanisms: vec![
                NoiseMechanism::None,
                NoiseMechanism::ContinuousLaplace,
                NoiseMechanism::ContinuousGaussian,
            ],
            llv2,
            ro_llv2: LiquidLegions { sampling_indicator_size: 0, ..llv2 },
            hmss: ShareShuffle {
                noise_mechanism: NoiseMechanism::DiscreteGaussian,
                reach_and_frequency_ring_modulus: 127,
                reach_ring_modulus: 127,
            },
            trustee: TrusTee {
                noise_mechanism: NoiseMechanism::ContinuousGaussian,
                result_minimum_thresholds: None,
            },
            trustee_fallback_noise_mechanisms: Vec::new(),
        }
    }
}
