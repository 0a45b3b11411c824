//! Computations of the system API (contract 1.5.2, 1.8.7, 1.8.8).

use super::{Answer, computation_name, participant_to_proto, requisition_to_proto, whitelist};
use crate::error::{InternalError, Refusal};
use crate::model::measurement::{self, Cursor, CursorKey, DuchyResult, Filter, Measurement, State};
use crate::model::protocol::{LiquidLegions, NoiseMechanism, PrivacyParams, Protocol};
use crate::model::{Owner, Read, Timestamp, Write, certificate, participant, requisition};
use crate::public::public_keys::API_VERSION;
use crate::public::{bad_shape, decode_id, encode_token, token_bytes};
use kingdom_proto::{name, system as pb};
use pb::computation::MpcProtocolConfig;
use pb::computation::mpc_protocol_config::{self as mpc, Protocol as Wire};
use prost::Message as _;

/// GetComputation: any Duchy may (contract 1.8.7).
///
/// # Errors
/// Name shape INVALID_ARGUMENT; everything else, a missing one included, UNKNOWN (1.8.8).
pub fn get(
    read: &Read<'_>,
    _caller: &str,
    request: &pb::GetComputationRequest,
) -> Answer<pb::Computation> {
    let name = name::ComputationName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let computation = decode_id(read, &name.computation)?;
    measurement::find_by_computation(read.tables, computation)
        .map(|row| to_proto(read, row))
        .map_err(translate)
}

/// SetComputationResult: the measurement's state is not looked at (contract 1.5.2, 1.6.7, quirk
/// `late-result-overwrites-terminal-state`), nor the certificate's validity (1.6.2).
///
/// # Errors
/// Name or certificate shape INVALID_ARGUMENT; another Duchy's certificate PERMISSION_DENIED
/// (1.8.7); everything else UNKNOWN (1.8.8).
pub fn set_result(
    write: &mut Write<'_>,
    caller: &str,
    request: &pb::SetComputationResultRequest,
) -> Answer<pb::Computation> {
    let name = name::ComputationName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let certificate = name::DuchyCertificateName::parse(&request.aggregator_certificate)
        .ok_or_else(|| bad_shape("aggregator_certificate"))?;
    if certificate.duchy != caller {
        return Err(Refusal::permission_denied());
    }
    let computation = decode_id(&write.read(), &name.computation)?;
    let result = DuchyResult {
        duchy: caller.into(),
        certificate: decode_id(&write.read(), &certificate.certificate)?,
        encrypted_result: request.encrypted_result.clone(),
        api_version: request.public_api_version.clone(),
    };
    measurement::set_result(write, computation, result)
        .map(|row| to_proto(&write.read(), &row))
        .map_err(translate)
}

/// Where a stream stands; opaque to Duchies.
#[derive(Clone, PartialEq, prost::Message)]
struct ContinuationToken {
    #[prost(message, optional, tag = "1")]
    update_time_since: Option<prost_types::Timestamp>,
    #[prost(int64, tag = "2")]
    last_seen_external_computation_id: i64,
}

/// The states that Duchies hear of: all but "awaits fulfilment".
const STREAMED: [State; 6] = [
    State::PendingRequisitionParams,
    State::PendingParticipantConfirmation,
    State::PendingComputation,
    State::Failed,
    State::Cancelled,
    State::Succeeded,
];

/// StreamActiveComputations: what changed since the token in computations the caller takes part in,
/// by update_time. The real stream stays open and asks again each second; whoever serves this calls
/// it again with the last token.
///
/// # Errors
/// UNKNOWN for a garbage token or a Duchy that is not in the Duchy set (1.8.4).
pub fn stream_active(
    read: &Read<'_>,
    caller: &str,
    request: &pb::StreamActiveComputationsRequest,
) -> Answer<Vec<pb::StreamActiveComputationsResponse>> {
    let owner = Owner::Duchy(caller.into());
    certificate::require_owner(read, &owner).map_err(|_| Refusal::uncaught())?;
    let token = token_bytes(&request.continuation_token)
        .and_then(|bytes| ContinuationToken::decode(bytes.as_slice()).ok())
        .ok_or_else(Refusal::uncaught)?;
    let filter = Filter {
        states: Some(STREAMED.into_iter().collect()),
        duchy: Some(caller.into()),
        has_computation: true,
        after: token.update_time_since.as_ref().map(|time| Cursor {
            update_time: Timestamp::from_proto(time),
            key: CursorKey::Computation(token.last_seen_external_computation_id),
        }),
        ..Filter::default()
    };
    let mut rows = measurement::list(read, &filter, usize::MAX);
    // Rows changed in one transaction share an update_time; the token's order tells them apart.
    rows.sort_by_key(|row| (row.update_time, row.computation));
    let responses = rows.into_iter().map(|row| pb::StreamActiveComputationsResponse {
        computation: Some(to_proto(read, row)),
        continuation_token: encode_token(&ContinuationToken {
            update_time_since: Some(row.update_time.to_proto()),
            last_seen_external_computation_id: row.computation.unwrap_or_default(),
        }),
    });
    Ok(responses.collect())
}

fn translate(error: InternalError) -> Refusal {
    error.bare_code(whitelist::COMPUTATIONS)
}

fn to_proto(read: &Read<'_>, row: &Measurement) -> pb::Computation {
    let computation = row.computation.unwrap_or_default();
    let key = (row.measurement_consumer, row.id);
    // Results are visible only while SUCCEEDED (contract 1.5.7).
    let result = row.duchy_results.first().filter(|_| row.state == State::Succeeded);
    pb::Computation {
        name: computation_name(computation),
        public_api_version: API_VERSION.to_owned(),
        measurement_spec: row.spec.message.to_vec(),
        state: row.state.to_internal(),
        aggregator_certificate: result
            .map(|result| Owner::Duchy(result.duchy.clone()).certificate_name(result.certificate))
            .unwrap_or_default(),
        encrypted_result: result.map(|result| result.encrypted_result.clone()).unwrap_or_default(),
        computation_participants: participant::of_computation(read.tables, computation)
            .map(|participant| participant_to_proto(read, participant))
            .collect(),
        requisitions: requisition::of_measurement(read.tables, key)
            .map(|requisition| requisition_to_proto(computation, requisition))
            .collect(),
        mpc_protocol_config: Some(MpcProtocolConfig { protocol: protocol(&row.protocol) }),
    }
}

/// Parameters for Duchies; `None` for Direct, which has no computation.
fn protocol(of: &Protocol) -> Option<Wire> {
    Some(match of {
        Protocol::Direct(_) => return None,
        Protocol::LiquidLegionsV2(params) => Wire::LiquidLegionsV2(liquid_legions(params)),
        Protocol::ReachOnlyLiquidLegionsV2(params) => {
            Wire::ReachOnlyLiquidLegionsV2(liquid_legions(params))
        }
        Protocol::HonestMajorityShareShuffle(params) => {
            Wire::HonestMajorityShareShuffle(mpc::HonestMajorityShareShuffle {
                reach_and_frequency_ring_modulus: params.reach_and_frequency_ring_modulus,
                reach_ring_modulus: params.reach_ring_modulus,
                noise_mechanism: noise(params.noise_mechanism).into(),
            })
        }
        Protocol::TrusTee(params) => Wire::TrusTee(mpc::TrusTee {
            noise_mechanism: noise(params.noise_mechanism).into(),
            result_minimum_thresholds: params.result_minimum_thresholds.map(
                |(min_impressions, min_users)| mpc::trus_tee::ResultMinimumThresholds {
                    min_impressions,
                    min_users,
                },
            ),
        }),
    })
}

#[allow(deprecated, reason = "deprecated fields of the message are named to stay empty")]
fn liquid_legions(params: &LiquidLegions) -> mpc::LiquidLegionsV2 {
    use mpc::liquid_legions_v2::{LiquidLegionsSketchParams, MpcNoise};
    let privacy = |params: PrivacyParams| pb::DifferentialPrivacyParams {
        epsilon: params.epsilon,
        delta: params.delta,
    };
    mpc::LiquidLegionsV2 {
        sketch_params: Some(LiquidLegionsSketchParams {
            decay_rate: params.decay_rate,
            max_size: params.max_size,
        }),
        mpc_noise: Some(MpcNoise {
            blinded_histogram_noise: Some(privacy(params.blinded_histogram_noise)),
            publisher_noise: Some(privacy(params.noise_for_publisher_noise)),
        }),
        elliptic_curve_id: params.elliptic_curve_id,
        maximum_frequency: 0,
        noise_mechanism: noise(params.noise_mechanism.or_geometric()).into(),
    }
}

/// The system API numbers noise mechanisms in its own way, and has no continuous Laplace.
fn noise(of: NoiseMechanism) -> mpc::NoiseMechanism {
    match of {
        NoiseMechanism::Unspecified | NoiseMechanism::ContinuousLaplace => {
            mpc::NoiseMechanism::Unspecified
        }
        NoiseMechanism::Geometric => mpc::NoiseMechanism::Geometric,
        NoiseMechanism::DiscreteGaussian => mpc::NoiseMechanism::DiscreteGaussian,
        NoiseMechanism::None => mpc::NoiseMechanism::None,
        NoiseMechanism::ContinuousGaussian => mpc::NoiseMechanism::ContinuousGaussian,
        NoiseMechanism::DeterministicTruncatedLaplace => {
            mpc::NoiseMechanism::DeterministicTruncatedLaplace
        }
    }
}
