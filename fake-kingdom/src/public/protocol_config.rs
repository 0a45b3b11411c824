//! How the public API shows a measurement's protocol (contract 1.5.8).

use crate::model::measurement::Measurement;
use crate::model::protocol::{LiquidLegions, MeasurementType, PrivacyParams, Protocol};
use kingdom_proto::v2alpha as pb;
use pb::protocol_config::protocol::Protocol as Wire;
use pb::protocol_config::{self as config, Direct};

/// `protocol_config`: exactly one protocol; the deprecated name and top-level oneof stay empty.
#[allow(deprecated, reason = "deprecated fields of the message are named to stay empty")]
pub(super) fn to_proto(row: &Measurement) -> pb::ProtocolConfig {
    let wire = match &row.protocol {
        Protocol::Direct(noise_mechanisms) => {
            let methods = row.measurement_type.direct_methods();
            Wire::Direct(Direct {
                noise_mechanisms: noise_mechanisms.iter().map(|noise| noise.to_wire()).collect(),
                custom_direct_methodology: marker(methods.custom_direct_methodology),
                deterministic_count_distinct: marker(methods.deterministic_count_distinct),
                deterministic_distribution: marker(methods.deterministic_distribution),
                deterministic_count: marker(methods.deterministic_count),
                deterministic_sum: marker(methods.deterministic_sum),
                liquid_legions_count_distinct: marker(methods.liquid_legions_count_distinct),
                liquid_legions_distribution: marker(methods.liquid_legions_distribution),
            })
        }
        Protocol::LiquidLegionsV2(params) => Wire::LiquidLegionsV2(liquid_legions(params)),
        Protocol::ReachOnlyLiquidLegionsV2(params) => {
            Wire::ReachOnlyLiquidLegionsV2(config::ReachOnlyLiquidLegionsV2 {
                sketch_params: Some(pb::ReachOnlyLiquidLegionsSketchParams {
                    decay_rate: params.decay_rate,
                    max_size: params.max_size,
                }),
                data_provider_noise: Some(privacy_params(params.data_provider_noise)),
                elliptic_curve_id: params.elliptic_curve_id,
                noise_mechanism: params.noise_mechanism.or_geometric().to_wire(),
            })
        }
        Protocol::HonestMajorityShareShuffle(params) => {
            Wire::HonestMajorityShareShuffle(config::HonestMajorityShareShuffle {
                noise_mechanism: params.noise_mechanism.to_wire(),
                ring_modulus: match row.measurement_type {
                    MeasurementType::Reach => params.reach_ring_modulus,
                    _ => params.reach_and_frequency_ring_modulus,
                },
            })
        }
        Protocol::TrusTee(params) => Wire::TrusTee(config::TrusTee {
            noise_mechanism: params.noise_mechanism.to_wire(),
            result_minimum_thresholds: params.result_minimum_thresholds.map(
                |(min_impressions, min_users)| config::trus_tee::ResultMinimumThresholds {
                    min_impressions,
                    min_users,
                },
            ),
            deterministic_truncated_laplace_noise_params: None,
        }),
    };
    pb::ProtocolConfig {
        name: String::new(),
        measurement_type: measurement_type(row.measurement_type).into(),
        protocols: vec![config::Protocol { protocol: Some(wire) }],
        protocol: None,
    }
}

fn marker<M: Default>(is_offered: bool) -> Option<M> {
    is_offered.then(M::default)
}

#[allow(deprecated, reason = "deprecated fields of the message are named to stay empty")]
fn liquid_legions(params: &LiquidLegions) -> config::LiquidLegionsV2 {
    config::LiquidLegionsV2 {
        sketch_params: Some(pb::LiquidLegionsSketchParams {
            decay_rate: params.decay_rate,
            max_size: params.max_size,
            sampling_indicator_size: params.sampling_indicator_size,
        }),
        data_provider_noise: Some(privacy_params(params.data_provider_noise)),
        elliptic_curve_id: params.elliptic_curve_id,
        maximum_frequency: 0,
        noise_mechanism: params.noise_mechanism.or_geometric().to_wire(),
    }
}

fn privacy_params(params: PrivacyParams) -> pb::DifferentialPrivacyParams {
    pb::DifferentialPrivacyParams { epsilon: params.epsilon, delta: params.delta }
}

fn measurement_type(of: MeasurementType) -> config::MeasurementType {
    match of {
        MeasurementType::Reach => config::MeasurementType::Reach,
        MeasurementType::ReachAndFrequency => config::MeasurementType::ReachAndFrequency,
        MeasurementType::Impression => config::MeasurementType::Impression,
        MeasurementType::Duration => config::MeasurementType::Duration,
        MeasurementType::Population => config::MeasurementType::Population,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{DP1, DP2, Kingdom, reach, reach_and_frequency, request};
    use crate::model::protocol::NoiseMechanism;
    use pb::measurement_spec::MeasurementType as SpecType;

    fn shown(kingdom: &mut Kingdom, of: SpecType) -> Wire {
        let request = request(&[DP1, DP2], of);
        let config = kingdom.try_create(&request).unwrap().protocol_config.unwrap();
        assert_eq!(config.protocols.len(), 1);
        config.protocols[0].protocol.clone().unwrap()
    }

    /// Table 1.5.8, LLv2 and RO-LLv2: unset noise is shown as GEOMETRIC.
    #[test]
    fn llv2_shows_its_parameters_and_unset_noise_as_geometric() {
        let mut kingdom = Kingdom::new();
        let Wire::LiquidLegionsV2(llv2) = shown(&mut kingdom, reach()) else { panic!("not LLv2") };
        assert_eq!(llv2.noise_mechanism(), config::NoiseMechanism::DiscreteGaussian);
        assert!(llv2.sketch_params.is_some() && llv2.data_provider_noise.is_some());
        assert_eq!(llv2.elliptic_curve_id, 415);
        kingdom.settings.protocols.llv2.noise_mechanism = NoiseMechanism::Unspecified;
        let Wire::LiquidLegionsV2(llv2) = shown(&mut kingdom, reach()) else { panic!("not LLv2") };
        assert_eq!(llv2.noise_mechanism(), config::NoiseMechanism::Geometric);
        kingdom.settings.protocols.ro_llv2_enabled = true;
        kingdom.settings.protocols.ro_llv2.noise_mechanism = NoiseMechanism::Unspecified;
        let Wire::ReachOnlyLiquidLegionsV2(llv2) = shown(&mut kingdom, reach()) else {
            panic!("not RO-LLv2")
        };
        assert_eq!(llv2.noise_mechanism(), config::NoiseMechanism::Geometric);
    }

    /// Table 1.5.8, HMSS: ring_modulus separate for reach and for R&F.
    #[test]
    fn hmss_shows_the_ring_modulus_of_its_type() {
        let mut kingdom = Kingdom::new();
        kingdom.enable_hmss();
        kingdom.settings.protocols.hmss.reach_ring_modulus = 11;
        kingdom.settings.protocols.hmss.reach_and_frequency_ring_modulus = 13;
        for (of, modulus) in [(reach(), 11), (reach_and_frequency(), 13)] {
            let Wire::HonestMajorityShareShuffle(hmss) = shown(&mut kingdom, of) else {
                panic!("not HMSS")
            };
            assert_eq!(hmss.ring_modulus, modulus);
        }
    }

    /// Table 1.5.8, TrusTEE: result_minimum_thresholds if configured.
    #[test]
    fn trustee_shows_thresholds_only_if_configured() {
        let mut kingdom = Kingdom::new();
        kingdom.enable_trustee();
        for thresholds in [None, Some((3, 4))] {
            kingdom.settings.protocols.trustee.result_minimum_thresholds = thresholds;
            let Wire::TrusTee(shown) = shown(&mut kingdom, reach()) else { panic!("not TrusTEE") };
            let shown = shown.result_minimum_thresholds;
            assert_eq!(shown.map(|shown| (shown.min_impressions, shown.min_users)), thresholds);
        }
    }

    /// The protocol is that of creation, whatever the settings say later.
    #[test]
    fn a_measurement_keeps_the_parameters_it_was_created_with() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        kingdom.settings.protocols.direct_noise_mechanisms.clear();
        let row = kingdom.tables.measurements.get(&key).unwrap();
        let Some(Wire::Direct(direct)) = to_proto(row).protocols[0].protocol.clone() else {
            panic!("not Direct")
        };
        assert_eq!(direct.noise_mechanisms, [3, 4, 5]);
    }
}
