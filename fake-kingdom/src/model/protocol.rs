//! Protocols of measurements: their parameters, which one a measurement gets, and which Duchies
//! compute it (contract 1.5.8, 1.5.15, 1.5.16).

use super::data_provider::{Capabilities, DataProvider};
use super::{Outcome, Read, constraint};
use crate::error::{Code, InternalError, Reason};
use crate::settings::DuchyEntry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A noise mechanism; the public and the internal API number them alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the values of the wire enum")]
pub enum NoiseMechanism {
    #[default]
    Unspecified,
    Geometric,
    DiscreteGaussian,
    None,
    ContinuousLaplace,
    ContinuousGaussian,
    DeterministicTruncatedLaplace,
}

impl NoiseMechanism {
    /// The wire number in the public and the internal API.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Geometric => 1,
            Self::DiscreteGaussian => 2,
            Self::None => 3,
            Self::ContinuousLaplace => 4,
            Self::ContinuousGaussian => 5,
            Self::DeterministicTruncatedLaplace => 6,
        }
    }

    /// Whether a provider with these capabilities supports it: one mechanism alone needs a flag
    /// (contract 1.5.15).
    pub fn is_supported_by(self, capabilities: &Capabilities) -> bool {
        self != Self::DeterministicTruncatedLaplace
            || capabilities.noise_mechanism_deterministic_truncated_laplace_supported
    }

    /// As LLv2 shows it: unset is shown as GEOMETRIC (contract 1.5.8).
    #[must_use]
    pub fn or_geometric(self) -> Self {
        if self == Self::Unspecified { Self::Geometric } else { self }
    }
}

/// Epsilon and delta.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire message")]
pub struct PrivacyParams {
    pub epsilon: f64,
    pub delta: f64,
}

/// Parameters of LLv2 and RO-LLv2 (contract 1.5.8).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire messages")]
pub struct LiquidLegions {
    pub decay_rate: f64,
    pub max_size: i64,
    /// Zero for RO-LLv2, which has none.
    pub sampling_indicator_size: i64,
    pub data_provider_noise: PrivacyParams,
    pub elliptic_curve_id: i32,
    pub noise_mechanism: NoiseMechanism,
    /// Shown to Duchies only.
    pub blinded_histogram_noise: PrivacyParams,
    /// Shown to Duchies only.
    pub noise_for_publisher_noise: PrivacyParams,
}

/// Parameters of HMSS (contract 1.5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire message")]
pub struct ShareShuffle {
    pub noise_mechanism: NoiseMechanism,
    pub reach_and_frequency_ring_modulus: i32,
    pub reach_ring_modulus: i32,
}

/// Parameters of TrusTEE (contract 1.5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire message")]
pub struct TrusTee {
    pub noise_mechanism: NoiseMechanism,
    /// min_impressions and min_users, if configured.
    pub result_minimum_thresholds: Option<(i32, i32)>,
}

/// What a measurement measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the types of contract 1.5.10")]
pub enum MeasurementType {
    Reach,
    ReachAndFrequency,
    Impression,
    Duration,
    Population,
}

/// Which methodologies a Direct measurement offers, each an empty marker on the wire (contract
/// 1.5.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the fields of the wire message")]
pub struct DirectMethods {
    pub custom_direct_methodology: bool,
    pub deterministic_count_distinct: bool,
    pub deterministic_distribution: bool,
    pub deterministic_count: bool,
    pub deterministic_sum: bool,
    pub liquid_legions_count_distinct: bool,
    pub liquid_legions_distribution: bool,
}

impl MeasurementType {
    /// The rows "Direct" of table 1.5.8.
    pub fn direct_methods(self) -> DirectMethods {
        let none = DirectMethods::default();
        let reach = DirectMethods {
            custom_direct_methodology: true,
            deterministic_count_distinct: true,
            liquid_legions_count_distinct: true,
            ..none
        };
        match self {
            Self::Reach => reach,
            Self::ReachAndFrequency => DirectMethods {
                deterministic_distribution: true,
                liquid_legions_distribution: true,
                ..reach
            },
            Self::Impression => {
                DirectMethods { custom_direct_methodology: true, deterministic_count: true, ..none }
            }
            Self::Duration => {
                DirectMethods { custom_direct_methodology: true, deterministic_sum: true, ..none }
            }
            Self::Population => DirectMethods { deterministic_count: true, ..none },
        }
    }
}

/// The protocol of one measurement, with the parameters it was created with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the protocols of contract 1.5.8")]
pub enum Protocol {
    /// With the noise mechanisms as started.
    Direct(Vec<NoiseMechanism>),
    LiquidLegionsV2(LiquidLegions),
    ReachOnlyLiquidLegionsV2(LiquidLegions),
    HonestMajorityShareShuffle(ShareShuffle),
    TrusTee(TrusTee),
}

impl Protocol {
    /// Whether Duchies take no part.
    pub fn is_direct(&self) -> bool {
        matches!(self, Self::Direct(_))
    }

    /// Whether the sampling interval may wrap past 1 (contract 1.5.10, the rows after the choice).
    pub fn interval_may_wrap(&self) -> bool {
        matches!(self, Self::HonestMajorityShareShuffle(_) | Self::TrusTee(_))
    }
}

/// Chooses the protocol of a measurement of the consumer named `consumer` (contract 1.5.15).
pub fn choose(
    read: &Read<'_>,
    consumer: &str,
    measurement_type: MeasurementType,
    providers: &[&DataProvider],
) -> Protocol {
    let settings = &read.settings.protocols;
    let computed =
        matches!(measurement_type, MeasurementType::Reach | MeasurementType::ReachAndFrequency);
    if providers.len() < 2 || !computed {
        return Protocol::Direct(settings.direct_noise_mechanisms.clone());
    }
    let all = |test: &dyn Fn(&Capabilities) -> bool| {
        providers.iter().all(|provider| test(&provider.capabilities))
    };
    let listed = |names: &[String]| names.iter().any(|name| name == consumer);

    if (settings.trustee_enabled || listed(&settings.trustee_for))
        && all(&|capabilities| capabilities.trus_tee_supported)
    {
        let mechanism = std::iter::once(settings.trustee.noise_mechanism)
            .chain(settings.trustee_fallback_noise_mechanisms.iter().copied())
            .find(|mechanism| all(&|capabilities| mechanism.is_supported_by(capabilities)));
        if let Some(noise_mechanism) = mechanism {
            return Protocol::TrusTee(TrusTee { noise_mechanism, ..settings.trustee });
        }
    }
    if (settings.hmss_enabled || listed(&settings.hmss_for))
        && all(&|capabilities| capabilities.honest_majority_share_shuffle_supported)
    {
        return Protocol::HonestMajorityShareShuffle(settings.hmss);
    }
    if measurement_type == MeasurementType::Reach && settings.ro_llv2_enabled {
        return Protocol::ReachOnlyLiquidLegionsV2(settings.ro_llv2);
    }
    Protocol::LiquidLegionsV2(settings.llv2)
}

/// The Duchies that compute a measurement, in the order of the configuration, the ones that only
/// fill up last; empty for Direct (contract 1.5.16).
///
/// # Errors
/// FAILED_PRECONDITION/DUCHY_NOT_ACTIVE for a required but inactive Duchy (1.5.11 step 7); too few
/// active ones is a constraint without an answer of its own (1.0.17).
pub fn duchies(
    read: &Read<'_>,
    protocol: &Protocol,
    providers: &[&DataProvider],
) -> Outcome<Vec<Arc<str>>> {
    let settings = &read.settings.protocols;
    let mut required: BTreeSet<&str> = BTreeSet::new();
    let (minimum, fills_up) = match protocol {
        Protocol::Direct(_) => return Ok(Vec::new()),
        Protocol::LiquidLegionsV2(_) | Protocol::ReachOnlyLiquidLegionsV2(_) => {
            required.extend(settings.llv2_required_duchies.iter().map(String::as_str));
            for provider in providers {
                required.extend(provider.required_duchies.iter().map(String::as_str));
            }
            (settings.llv2_minimum_duchies, true)
        }
        Protocol::HonestMajorityShareShuffle(_) => {
            required.extend(settings.hmss_duchies.iter().map(String::as_str));
            (settings.hmss_duchies.len(), false)
        }
        Protocol::TrusTee(_) => {
            required.insert(&settings.trustee_duchy);
            (1, false)
        }
    };
    let is_required = |entry: &&DuchyEntry| required.contains(entry.id.as_str());
    let mut chosen: Vec<&DuchyEntry> = read.settings.duchies.iter().filter(is_required).collect();
    if let Some(inactive) = chosen.iter().find(|entry| !entry.is_active(read.now)) {
        return Err(InternalError::failed_precondition(Reason::DuchyNotActive {
            duchy: inactive.id.clone(),
        }));
    }
    if fills_up {
        let missing = minimum.saturating_sub(chosen.len());
        let others = read.settings.duchies.iter().filter(|entry| !is_required(entry));
        chosen.extend(others.filter(|entry| entry.is_active(read.now)).take(missing));
    }
    if chosen.len() < minimum {
        let too_few = InternalError::bare(Code::FailedPrecondition, "too few active Duchies");
        return Err(constraint(read, too_few));
    }
    Ok(chosen.iter().map(|entry| entry.id.as_str().into()).collect())
}

/// The Duchy that fulfils a requisition from its creation on (contract 1.7.13): HMSS picks one of
/// the two that do not aggregate by the requisition's external id, TrusTEE has only one.
pub fn fulfilling_duchy(
    read: &Read<'_>,
    protocol: &Protocol,
    participants: &[Arc<str>],
    requisition: i64,
) -> Option<Arc<str>> {
    match protocol {
        Protocol::HonestMajorityShareShuffle(_) => {
            let [_, _, aggregator] = &read.settings.protocols.hmss_duchies;
            let workers: Vec<_> =
                participants.iter().filter(|duchy| ***duchy != **aggregator).collect();
            // Ids are positive, so the remainder is 0 or 1.
            let index = usize::try_from(requisition % 2).unwrap_or_default();
            workers.get(index).map(|duchy| (*duchy).clone())
        }
        Protocol::TrusTee(_) => participants.first().cloned(),
        Protocol::Direct(_)
        | Protocol::LiquidLegionsV2(_)
        | Protocol::ReachOnlyLiquidLegionsV2(_) => None,
    }
}
