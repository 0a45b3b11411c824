//! Rows as internal messages.

use super::unsigned;
use crate::model::certificate::Certificate;
use crate::model::measurement::{self, Measurement, MeasurementKey};
use crate::model::participant::{self, Params, Participant, SignedKey};
use crate::model::protocol::{LiquidLegions, PrivacyParams, Protocol};
use crate::model::requisition::{self, Requisition};
use crate::model::{Owner, Read, certificate};
use crate::public::public_keys::API_VERSION;
use kingdom_proto::internal as pb;
use pb::certificate::Parent;
use pb::measurement::result_info::CertificateParent;
use pb::protocol_config::{self as config, Protocol as WireProtocol};

/// `measurement_view` (contract 1.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Providers and results.
    Default,
    /// Requisitions, participants and results.
    Computation,
    /// Participants and log entries.
    ComputationStats,
}

/// A measurement in one of its views.
pub(super) fn measurement(read: &Read<'_>, row: &Measurement, view: View) -> pb::Measurement {
    let key: MeasurementKey = (row.measurement_consumer, row.id);
    let requisitions = || requisition::of_measurement(read.tables, key);
    let participants = || {
        let computation = row.computation.into_iter();
        computation.flat_map(|computation| participant::of_computation(read.tables, computation))
    };
    let mut message = pb::Measurement {
        external_measurement_consumer_id: unsigned(row.measurement_consumer),
        external_measurement_id: unsigned(row.id),
        external_computation_id: unsigned(row.computation.unwrap_or_default()),
        provided_measurement_id: row.reference_id.clone(),
        external_measurement_consumer_certificate_id: unsigned(row.certificate),
        create_time: Some(row.create_time.to_proto()),
        update_time: Some(row.update_time.to_proto()),
        state: row.state.to_internal(),
        details: Some(details(row)),
        etag: row.etag(),
        ..pb::Measurement::default()
    };
    if view != View::ComputationStats {
        message.results = results(read, row);
    }
    match view {
        View::Default => {
            message.data_providers = requisitions()
                .map(|requisition| (unsigned(requisition.data_provider), provider(requisition)))
                .collect();
        }
        View::Computation => {
            message.requisitions =
                requisitions().map(|requisition| requisition_of(read, row, requisition)).collect();
            message.computation_participants =
                participants().map(|participant| participant_of(read, row, participant)).collect();
        }
        View::ComputationStats => {
            message.computation_participants =
                participants().map(|participant| participant_of(read, row, participant)).collect();
            message.log_entries =
                participants().filter_map(|participant| log_entry(row, participant)).collect();
        }
    }
    message
}

fn details(row: &Measurement) -> pb::MeasurementDetails {
    pb::MeasurementDetails {
        api_version: API_VERSION.to_owned(),
        measurement_spec: row.spec.message.to_vec(),
        measurement_spec_signature: row.spec.signature.to_vec(),
        measurement_spec_signature_algorithm_oid: row.spec.signature_algorithm_oid.to_string(),
        protocol_config: Some(protocol_config(row)),
        duchy_protocol_config: duchy_protocol_config(&row.protocol),
        failure: row.failure.as_ref().map(|failure| pb::MeasurementFailure {
            reason: failure.reason.to_wire(),
            message: failure.message.clone(),
        }),
    }
}

fn results(read: &Read<'_>, row: &Measurement) -> Vec<pb::measurement::ResultInfo> {
    measurement::results(read.tables, row)
        .into_iter()
        .map(|result| {
            let (owner, certificate) = result.certificate;
            pb::measurement::ResultInfo {
                external_certificate_id: unsigned(certificate),
                encrypted_result: result.encrypted_result.to_vec(),
                api_version: API_VERSION.to_owned(),
                certificate_parent: Some(match owner {
                    Owner::Duchy(id) => {
                        CertificateParent::ExternalAggregatorDuchyId(id.to_string())
                    }
                    other => {
                        CertificateParent::ExternalDataProviderId(unsigned(other.external_id()))
                    }
                }),
            }
        })
        .collect()
}

#[allow(deprecated, reason = "deprecated fields of the message are named to stay empty")]
fn provider(row: &Requisition) -> pb::measurement::DataProviderValue {
    pb::measurement::DataProviderValue {
        external_data_provider_certificate_id: unsigned(row.certificate),
        data_provider_public_key: row.public_key.to_vec(),
        data_provider_public_key_signature: Vec::new(),
        data_provider_public_key_signature_algorithm_oid: String::new(),
        encrypted_requisition_spec: row.encrypted_requisition_spec.to_vec(),
        nonce_hash: row.nonce_hash.to_vec(),
    }
}

#[allow(deprecated, reason = "deprecated fields of the message are named to stay empty")]
fn requisition_of(read: &Read<'_>, parent: &Measurement, row: &Requisition) -> pb::Requisition {
    let computation = parent.computation.unwrap_or_default();
    let duchies = participant::of_computation(read.tables, computation).filter_map(duchy_value);
    let bound = (Owner::DataProvider(row.data_provider), row.certificate);
    pb::Requisition {
        external_measurement_consumer_id: unsigned(row.measurement_consumer),
        external_measurement_id: unsigned(row.measurement),
        external_requisition_id: unsigned(row.id),
        external_computation_id: unsigned(computation),
        external_data_provider_id: unsigned(row.data_provider),
        update_time: Some(row.update_time.to_proto()),
        state: row.state.to_internal(),
        external_fulfilling_duchy_id: row
            .fulfilling_duchy
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        duchies: duchies.collect(),
        details: Some(pb::RequisitionDetails {
            data_provider_public_key: row.public_key.to_vec(),
            data_provider_public_key_signature: Vec::new(),
            data_provider_public_key_signature_algorithm_oid: String::new(),
            encrypted_requisition_spec: row.encrypted_requisition_spec.to_vec(),
            nonce_hash: row.nonce_hash.to_vec(),
            nonce: row.nonce,
            refusal: row.refusal.as_ref().map(|refusal| pb::RequisitionRefusal {
                justification: refusal.justification,
                message: refusal.message.clone(),
            }),
            encrypted_data: row
                .direct_result
                .as_ref()
                .map(|result| result.encrypted_data.clone())
                .unwrap_or_default(),
            encrypted_data_api_version: row
                .direct_result
                .as_ref()
                .map(|result| result.api_version.clone())
                .unwrap_or_default(),
            external_certificate_id: unsigned(
                row.direct_result
                    .as_ref()
                    .and_then(|result| result.certificate)
                    .unwrap_or_default(),
            ),
            fulfillment_context: row.fulfillment_context.as_ref().map(|context| {
                pb::requisition_details::FulfillmentContext {
                    build_label: context.build_label.clone(),
                    warnings: context.warnings.clone(),
                }
            }),
        }),
        data_provider_certificate: read.tables.certificates.get(&bound).map(certificate_of),
        parent_measurement: Some(pb::requisition::ParentMeasurement {
            api_version: API_VERSION.to_owned(),
            external_measurement_consumer_certificate_id: unsigned(parent.certificate),
            measurement_spec: parent.spec.message.to_vec(),
            measurement_spec_signature: parent.spec.signature.to_vec(),
            measurement_spec_signature_algorithm_oid: parent
                .spec
                .signature_algorithm_oid
                .to_string(),
            protocol_config: Some(protocol_config(parent)),
            state: parent.state.to_internal(),
            data_providers_count: i32::try_from(
                requisition::of_measurement(read.tables, row.measurement_key()).count(),
            )
            .unwrap_or(i32::MAX),
            create_time: Some(parent.create_time.to_proto()),
        }),
        etag: row.etag(),
    }
}

fn duchy_value(row: &Participant) -> Option<(String, pb::requisition::DuchyValue)> {
    use pb::requisition::duchy_value::Protocol as Wire;
    let value = pb::requisition::DuchyValue {
        external_duchy_certificate_id: unsigned(row.certificate?),
        protocol: Some(match row.params.as_ref()? {
            Params::LiquidLegionsV2(key) => Wire::LiquidLegionsV2(el_gamal(key)),
            Params::ReachOnlyLiquidLegionsV2(key) => Wire::ReachOnlyLiquidLegionsV2(el_gamal(key)),
            Params::HonestMajorityShareShuffle(key) => Wire::HonestMajorityShareShuffle(tink(key)),
            Params::TrusTee => Wire::TrusTee(pb::TrusTeeParams {}),
        }),
    };
    Some((row.duchy.to_string(), value))
}

fn el_gamal(key: &SignedKey) -> pb::LiquidLegionsV2Params {
    pb::LiquidLegionsV2Params {
        el_gamal_public_key: key.key.clone(),
        el_gamal_public_key_signature: key.signature.clone(),
        el_gamal_public_key_signature_algorithm_oid: key.signature_algorithm_oid.clone(),
    }
}

fn tink(key: &SignedKey) -> pb::HonestMajorityShareShuffleParams {
    pb::HonestMajorityShareShuffleParams {
        tink_public_key: key.key.clone(),
        tink_public_key_signature: key.signature.clone(),
        tink_public_key_signature_algorithm_oid: key.signature_algorithm_oid.clone(),
    }
}

fn participant_of(
    read: &Read<'_>,
    parent: &Measurement,
    row: &Participant,
) -> pb::ComputationParticipant {
    use pb::computation_participant_details::Protocol as Wire;
    let owner = Owner::Duchy(row.duchy.clone());
    let named = row.certificate.and_then(|id| certificate::find(read, &owner, id));
    pb::ComputationParticipant {
        external_measurement_consumer_id: unsigned(parent.measurement_consumer),
        external_measurement_id: unsigned(parent.id),
        external_duchy_id: row.duchy.to_string(),
        external_computation_id: unsigned(row.computation),
        update_time: Some(row.update_time.to_proto()),
        state: row.state.to_wire(),
        details: Some(pb::ComputationParticipantDetails {
            protocol: row.params.as_ref().map(|params| match params {
                Params::LiquidLegionsV2(key) => Wire::LiquidLegionsV2(el_gamal(key)),
                Params::ReachOnlyLiquidLegionsV2(key) => {
                    Wire::ReachOnlyLiquidLegionsV2(el_gamal(key))
                }
                Params::HonestMajorityShareShuffle(key) => {
                    Wire::HonestMajorityShareShuffle(tink(key))
                }
                Params::TrusTee => Wire::TrusTee(pb::TrusTeeParams {}),
            }),
        }),
        failure_log_entry: log_entry(parent, row),
        api_version: API_VERSION.to_owned(),
        duchy_certificate: named.map(certificate_of),
        etag: row.etag(),
    }
}

/// The log entry that a failed participant left.
fn log_entry(parent: &Measurement, row: &Participant) -> Option<pb::DuchyMeasurementLogEntry> {
    let failure = row.failure.as_ref()?;
    let error = failure.error_time.map(|time| pb::MeasurementLogEntryError {
        r#type: pb::measurement_log_entry_error::Type::Permanent.into(),
        error_time: Some(time.to_proto()),
    });
    let stage_attempt =
        failure.stage_attempt.as_ref().map(|attempt| pb::DuchyMeasurementLogEntryStageAttempt {
            stage: attempt.stage,
            stage_name: attempt.stage_name.clone(),
            stage_start_time: attempt.stage_start_time.map(|time| time.to_proto()),
            attempt_number: attempt.attempt_number,
        });
    Some(pb::DuchyMeasurementLogEntry {
        log_entry: Some(pb::MeasurementLogEntry {
            external_measurement_consumer_id: unsigned(parent.measurement_consumer),
            external_measurement_id: unsigned(parent.id),
            create_time: Some(failure.create_time.to_proto()),
            details: Some(pb::MeasurementLogEntryDetails {
                log_message: failure.error_message.clone(),
                error,
            }),
        }),
        external_duchy_id: row.duchy.to_string(),
        external_computation_log_entry_id: 0,
        details: Some(pb::DuchyMeasurementLogEntryDetails {
            duchy_child_reference_id: failure.participant_child_reference_id.clone(),
            stage_attempt,
        }),
    })
}

/// A certificate as an internal message (contract 1.8.5).
pub(crate) fn certificate_of(row: &Certificate) -> pb::Certificate {
    let id = unsigned(row.owner.external_id());
    pb::Certificate {
        external_certificate_id: unsigned(row.id),
        subject_key_identifier: row.subject_key_identifier.to_vec(),
        not_valid_before: Some(row.not_valid_before.to_proto()),
        not_valid_after: Some(row.not_valid_after.to_proto()),
        revocation_state: row.revocation_state.to_wire(),
        details: Some(pb::CertificateDetails { x509_der: row.x509_der.to_vec() }),
        parent: Some(match &row.owner {
            Owner::DataProvider(_) => Parent::ExternalDataProviderId(id),
            Owner::MeasurementConsumer(_) => Parent::ExternalMeasurementConsumerId(id),
            Owner::ModelProvider(_) => Parent::ExternalModelProviderId(id),
            Owner::Duchy(duchy) => Parent::ExternalDuchyId(duchy.to_string()),
        }),
    }
}

fn protocol_config(row: &Measurement) -> pb::ProtocolConfig {
    fn marker<M: Default>(is_offered: bool) -> Option<M> {
        is_offered.then(M::default)
    }
    let protocol = match &row.protocol {
        Protocol::Direct(noise_mechanisms) => {
            let methods = row.measurement_type.direct_methods();
            WireProtocol::Direct(config::Direct {
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
        Protocol::LiquidLegionsV2(params) => WireProtocol::LiquidLegionsV2(liquid_legions(params)),
        Protocol::ReachOnlyLiquidLegionsV2(params) => {
            WireProtocol::ReachOnlyLiquidLegionsV2(liquid_legions(params))
        }
        Protocol::HonestMajorityShareShuffle(params) => {
            WireProtocol::HonestMajorityShareShuffle(config::HonestMajorityShareShuffle {
                noise_mechanism: params.noise_mechanism.to_wire(),
                reach_and_frequency_ring_modulus: params.reach_and_frequency_ring_modulus,
                reach_ring_modulus: params.reach_ring_modulus,
            })
        }
        Protocol::TrusTee(params) => WireProtocol::TrusTee(config::TrusTee {
            noise_mechanism: params.noise_mechanism.to_wire(),
            result_minimum_thresholds: params.result_minimum_thresholds.map(
                |(min_impressions, min_users)| config::trus_tee::ResultMinimumThresholds {
                    min_impressions,
                    min_users,
                },
            ),
        }),
    };
    pb::ProtocolConfig { external_protocol_config_id: String::new(), protocol: Some(protocol) }
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
        noise_mechanism: params.noise_mechanism.to_wire(),
    }
}

fn duchy_protocol_config(protocol: &Protocol) -> Option<pb::DuchyProtocolConfig> {
    use pb::duchy_protocol_config::{
        LiquidLegionsV2, Protocol as Wire, liquid_legions_v2::MpcNoise,
    };
    let noise = |params: &LiquidLegions| LiquidLegionsV2 {
        mpc_noise: Some(MpcNoise {
            blinded_histogram_noise: Some(privacy_params(params.blinded_histogram_noise)),
            noise_for_publisher_noise: Some(privacy_params(params.noise_for_publisher_noise)),
        }),
    };
    let wire = match protocol {
        Protocol::LiquidLegionsV2(params) => Wire::LiquidLegionsV2(noise(params)),
        Protocol::ReachOnlyLiquidLegionsV2(params) => Wire::ReachOnlyLiquidLegionsV2(noise(params)),
        _ => return None,
    };
    Some(pb::DuchyProtocolConfig { protocol: Some(wire) })
}

fn privacy_params(params: PrivacyParams) -> pb::DifferentialPrivacyParams {
    pb::DifferentialPrivacyParams { epsilon: params.epsilon, delta: params.delta }
}
