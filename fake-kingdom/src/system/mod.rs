//! The system API, for Duchies (contract 1.8.7 to 1.8.9): the caller is a Duchy's plain id, always
//! present (2.5).

pub mod computations;
pub mod participants;
pub mod requisitions;

pub use crate::public::Answer;

use crate::error::Code;
use crate::model::participant::{Failure, Params, Participant, SignedKey, StageAttempt};
use crate::model::requisition::Requisition;
use crate::model::{Owner, Read, Timestamp, certificate};
use kingdom_proto::{name, system as pb};
use pb::computation_participant::requisition_params::{self, Protocol};
use pb::computation_participant::{self as participant, RequisitionParams};
use sha2::{Digest, Sha256};

/// Codes that the RPCs of one service hand on, always bare (contract 1.8.8).
mod whitelist {
    use super::Code;
    pub(super) const PARTICIPANTS: &[Code] = &[
        Code::NotFound,
        Code::FailedPrecondition,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::Internal,
    ];
    pub(super) const COMPUTATIONS: &[Code] = &[Code::DeadlineExceeded, Code::Cancelled];
}

fn computation_name(id: i64) -> String {
    name::ComputationName::new(crate::error::api_id(id)).to_string()
}

/// A participant as the system API shows it.
fn participant_to_proto(read: &Read<'_>, row: &Participant) -> pb::ComputationParticipant {
    let owner = Owner::Duchy(row.duchy.clone());
    let named = row.certificate.and_then(|id| certificate::find(read, &owner, id));
    pb::ComputationParticipant {
        name: row.name(),
        state: row.state.to_wire(),
        update_time: Some(row.update_time.to_proto()),
        requisition_params: Some(RequisitionParams {
            duchy_certificate: named.map(certificate::Certificate::name).unwrap_or_default(),
            duchy_certificate_der: named.map(|row| row.x509_der.to_vec()).unwrap_or_default(),
            protocol: row.params.as_ref().map(params_to_proto),
        }),
        failure: row.failure.as_ref().map(failure_to_proto),
        etag: row.etag(),
    }
}

fn params_to_proto(params: &Params) -> Protocol {
    let el_gamal = |key: &SignedKey| requisition_params::LiquidLegionsV2 {
        el_gamal_public_key: key.key.clone(),
        el_gamal_public_key_signature: key.signature.clone(),
        el_gamal_public_key_signature_algorithm_oid: key.signature_algorithm_oid.clone(),
    };
    match params {
        Params::LiquidLegionsV2(key) => Protocol::LiquidLegionsV2(el_gamal(key)),
        Params::ReachOnlyLiquidLegionsV2(key) => Protocol::ReachOnlyLiquidLegionsV2(el_gamal(key)),
        Params::HonestMajorityShareShuffle(key) => {
            Protocol::HonestMajorityShareShuffle(requisition_params::HonestMajorityShareShuffle {
                tink_public_key: key.key.clone(),
                tink_public_key_signature: key.signature.clone(),
                tink_public_key_signature_algorithm_oid: key.signature_algorithm_oid.clone(),
            })
        }
        Params::TrusTee => Protocol::TrusTee(requisition_params::TrusTee {}),
    }
}

fn params_from_proto(wire: &Protocol) -> Params {
    let el_gamal = |key: &requisition_params::LiquidLegionsV2| SignedKey {
        key: key.el_gamal_public_key.clone(),
        signature: key.el_gamal_public_key_signature.clone(),
        signature_algorithm_oid: key.el_gamal_public_key_signature_algorithm_oid.clone(),
    };
    match wire {
        Protocol::LiquidLegionsV2(key) => Params::LiquidLegionsV2(el_gamal(key)),
        Protocol::ReachOnlyLiquidLegionsV2(key) => Params::ReachOnlyLiquidLegionsV2(el_gamal(key)),
        Protocol::HonestMajorityShareShuffle(key) => {
            Params::HonestMajorityShareShuffle(SignedKey {
                key: key.tink_public_key.clone(),
                signature: key.tink_public_key_signature.clone(),
                signature_algorithm_oid: key.tink_public_key_signature_algorithm_oid.clone(),
            })
        }
        Protocol::TrusTee(_) => Params::TrusTee,
    }
}

fn failure_to_proto(failure: &Failure) -> participant::Failure {
    participant::Failure {
        participant_child_reference_id: failure.participant_child_reference_id.clone(),
        error_message: failure.error_message.clone(),
        error_time: failure.error_time.map(Timestamp::to_proto),
        stage_attempt: failure.stage_attempt.as_ref().map(|attempt| pb::StageAttempt {
            stage: attempt.stage,
            stage_name: attempt.stage_name.clone(),
            stage_start_time: attempt.stage_start_time.map(Timestamp::to_proto),
            attempt_number: attempt.attempt_number,
        }),
    }
}

/// What is stored of a failure: its time is logged only together with a stage attempt.
fn failure_from_proto(wire: &participant::Failure, now: Timestamp) -> Failure {
    let time = |field: &Option<prost_types::Timestamp>| field.as_ref().map(Timestamp::from_proto);
    let stage_attempt = wire.stage_attempt.as_ref().map(|attempt| StageAttempt {
        stage: attempt.stage,
        stage_name: attempt.stage_name.clone(),
        stage_start_time: time(&attempt.stage_start_time),
        attempt_number: attempt.attempt_number,
    });
    Failure {
        participant_child_reference_id: wire.participant_child_reference_id.clone(),
        error_message: wire.error_message.clone(),
        error_time: stage_attempt.as_ref().and_then(|_| time(&wire.error_time)),
        stage_attempt,
        create_time: now,
    }
}

/// A requisition as the system API shows it: its hash instead of the spec, and the nonce hash.
fn requisition_to_proto(computation: i64, row: &Requisition) -> pb::Requisition {
    let computation = crate::error::api_id(computation);
    let participant = |duchy: &std::sync::Arc<str>| {
        name::ComputationParticipantName::new(&computation, duchy).to_string()
    };
    let id = crate::error::api_id(row.id);
    pb::Requisition {
        name: name::ComputationRequisitionName::new(&computation, id).to_string(),
        requisition_spec_hash: Sha256::digest(&row.encrypted_requisition_spec).to_vec(),
        nonce_hash: row.nonce_hash.to_vec(),
        state: row.state.to_public(),
        fulfilling_computation_participant: row
            .fulfilling_duchy
            .as_ref()
            .map(participant)
            .unwrap_or_default(),
        nonce: row.nonce,
        fulfillment_context: row.fulfillment_context.as_ref().map(|context| {
            pb::requisition::FulfillmentContext {
                build_label: context.build_label.clone(),
                warnings: context.warnings.clone(),
            }
        }),
    }
}
