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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Cause;
    use crate::error::{INTERNAL_DOMAIN, PUBLIC_DOMAIN};
    use crate::model::RevocationState;
    use crate::model::fixture::{
        CERTIFICATE, DP1, DP2, DUCHIES, Kingdom, MC1, el_gamal, said, tink,
    };
    use crate::model::measurement::{self, FailureReason, MeasurementKey, State as M};
    use crate::model::requisition::State as R;
    use crate::public;
    use crate::quirk::Quirk;

    const INVALID: (Code, Option<&str>) = (Code::InvalidArgument, None);
    const DENIED: (Code, Option<&str>) = (Code::PermissionDenied, None);
    const PRECONDITION: (Code, Option<&str>) = (Code::FailedPrecondition, None);
    const NOT_FOUND: (Code, Option<&str>) = (Code::NotFound, None);
    const UNKNOWN: (Code, Option<&str>) = (Code::Unknown, None);

    fn participant_name(kingdom: &Kingdom, key: MeasurementKey, duchy: &str) -> String {
        format!("{}/participants/{duchy}", computation_name(kingdom.computation(key)))
    }

    fn set_request(name: String, certificate: i64) -> pb::SetParticipantRequisitionParamsRequest {
        let duchy = name.rsplit('/').next().unwrap().into();
        pb::SetParticipantRequisitionParamsRequest {
            requisition_params: Some(RequisitionParams {
                duchy_certificate: Owner::Duchy(duchy).certificate_name(certificate),
                duchy_certificate_der: Vec::new(),
                protocol: Some(params_to_proto(&el_gamal())),
            }),
            name,
            etag: String::new(),
        }
    }

    fn try_set(
        kingdom: &mut Kingdom,
        caller: &str,
        request: &pb::SetParticipantRequisitionParamsRequest,
    ) -> Answer<pb::ComputationParticipant> {
        kingdom.write(|write| participants::set_requisition_params(write, caller, request))
    }

    /// 1.8.9, each step before the next.
    #[test]
    fn params_are_checked_in_the_order_of_1_8_9() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let name = participant_name(&kingdom, key, "worker1");
        let missing = "computations/AAAAAAAAAZQ/participants/worker1".to_owned();
        let good = set_request(name.clone(), 501);
        type Request = pb::SetParticipantRequisitionParamsRequest;
        let with_certificate = |text: &str| {
            let mut request = good.clone();
            request.requisition_params.as_mut().unwrap().duchy_certificate = text.to_owned();
            request
        };
        let refused = [
            ("worker2", Request { name: "x".to_owned(), ..good.clone() }, INVALID),
            ("worker2", with_certificate("x"), DENIED),
            ("worker1", with_certificate("x"), INVALID),
            ("worker1", with_certificate("duchies/worker2/certificates/AAAAAAAAAZQ"), INVALID),
            (
                "worker1",
                Request { etag: "x".to_owned(), ..set_request(missing.clone(), 9) },
                PRECONDITION,
            ),
            ("worker1", Request { etag: "x".to_owned(), ..set_request(missing, 501) }, NOT_FOUND),
            ("worker1", Request { etag: "x".to_owned(), ..good.clone() }, (Code::Aborted, None)),
        ];
        for (caller, request, expected) in refused {
            assert_eq!(said(try_set(&mut kingdom, caller, &request)), expected, "{request:?}");
        }
        // Validity before existence of the participant; bare, but the event knows (1.8.8).
        kingdom.certificate(Owner::Duchy("worker1".into()), 601);
        kingdom.set_revoked(Owner::Duchy("worker1".into()), 601);
        let absent = "computations/AAAAAAAAAZQ/participants/worker1".to_owned();
        let refusal = try_set(&mut kingdom, "worker1", &set_request(absent, 601)).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (Code::FailedPrecondition, ""));
        assert_eq!((refusal.info, refusal.cause), (None, Some(Cause::CertificateRevoked)));
        assert_eq!(refusal.subject, Some(Owner::Duchy("worker1".into()).certificate_name(601)));
        // States last.
        kingdom.force(key, M::PendingRequisitionFulfillment);
        assert_eq!(said(try_set(&mut kingdom, "worker1", &good)), PRECONDITION);
        kingdom.force(key, M::PendingRequisitionParams);
        let set = try_set(&mut kingdom, "worker1", &good).unwrap();
        assert_eq!(set.state(), pb::computation_participant::State::RequisitionParamsSet);
        assert_eq!(set.requisition_params.unwrap().duchy_certificate_der, b"der");
        assert_eq!(said(try_set(&mut kingdom, "worker1", &good)), PRECONDITION);
    }

    /// 1.8.9, effect: only with the last participant does the measurement move.
    #[test]
    fn the_last_participants_params_open_all_requisitions() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let etag = kingdom.requisition(key, DP1).etag();
        for duchy in &DUCHIES[..2] {
            kingdom.set_params(key, duchy, &el_gamal());
        }
        assert_eq!(kingdom.state(key), M::PendingRequisitionParams);
        assert_eq!(kingdom.requisition_states(key), (R::PendingParams, R::PendingParams));
        kingdom.set_params(key, DUCHIES[2], &el_gamal());
        assert_eq!(kingdom.state(key), M::PendingRequisitionFulfillment);
        assert_eq!(kingdom.requisition_states(key), (R::Unfulfilled, R::Unfulfilled));
        assert_ne!(kingdom.requisition(key, DP1).etag(), etag);
    }

    /// 1.7.9, 1.6.8: LLv2 awaits confirmation; HMSS computes at once.
    #[test]
    fn the_last_fulfilment_leads_to_confirmation_or_computation() {
        for is_hmss in [false, true] {
            let mut kingdom = Kingdom::new();
            if is_hmss {
                kingdom.enable_hmss();
            }
            let key = kingdom.computed();
            kingdom.set_all_params(key, &if is_hmss { tink() } else { el_gamal() });
            kingdom.fulfill_computed(key, DP1);
            assert_eq!(kingdom.state(key), M::PendingRequisitionFulfillment);
            kingdom.fulfill_computed(key, DP2);
            if !is_hmss {
                assert_eq!(kingdom.state(key), M::PendingParticipantConfirmation);
                kingdom.confirm_all(key);
            }
            assert_eq!(kingdom.state(key), M::PendingComputation);
            assert_eq!(measurement::find(&kingdom.tables, key).unwrap().state.to_public(), 2);
        }
    }

    /// 1.8.7: another Duchy's participant; 1.8.8: bare codes.
    #[test]
    fn a_participant_is_its_own_duchys_alone() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let name = participant_name(&kingdom, key, "worker1");
        let absent = "computations/AAAAAAAAAZQ/participants/worker1".to_owned();
        let cases = [
            ("worker1", "x".to_owned(), INVALID),
            ("worker2", name.clone(), DENIED),
            ("worker1", "computations/x/participants/worker1".to_owned(), UNKNOWN),
            ("worker1", absent, NOT_FOUND),
        ];
        for (caller, name, expected) in cases {
            let get = pb::GetComputationParticipantRequest { name: name.clone() };
            assert_eq!(said(participants::get(&kingdom.read(), caller, &get)), expected, "{name}");
            let confirm = pb::ConfirmComputationParticipantRequest {
                name: name.clone(),
                etag: String::new(),
            };
            let answer = kingdom.write(|write| participants::confirm(write, caller, &confirm));
            assert_eq!(said(answer), expected, "{name}");
            let fail = pb::FailComputationParticipantRequest { name, ..Default::default() };
            let answer = kingdom.write(|write| participants::fail(write, caller, &fail));
            assert_eq!(said(answer), expected);
        }
        let get = pb::GetComputationParticipantRequest { name: name.clone() };
        let shown = participants::get(&kingdom.read(), "worker1", &get).unwrap();
        assert_eq!((shown.name, shown.state), (name.clone(), 1));
        // Confirming too early is a wrong state, a wrong etag comes before it.
        let mut confirm = pb::ConfirmComputationParticipantRequest { name, etag: "x".to_owned() };
        let answer = kingdom.write(|write| participants::confirm(write, "worker1", &confirm));
        assert_eq!(said(answer), (Code::Aborted, None));
        confirm.etag.clear();
        let answer = kingdom.write(|write| participants::confirm(write, "worker1", &confirm));
        assert_eq!(said(answer), PRECONDITION);
    }

    /// 1.6.9.
    #[test]
    fn a_failed_participant_fails_any_pending_measurement() {
        for state in M::ALL {
            let mut kingdom = Kingdom::new();
            let key = kingdom.computed();
            kingdom.force(key, state);
            let request = pb::FailComputationParticipantRequest {
                name: participant_name(&kingdom, key, "worker1"),
                failure: Some(participant::Failure {
                    error_message: "the mill broke".to_owned(),
                    ..participant::Failure::default()
                }),
                etag: String::new(),
            };
            let answer = kingdom.write(|write| participants::fail(write, "worker1", &request));
            let withdrawn = kingdom.requisition_states(key) == (R::Withdrawn, R::Withdrawn);
            assert_eq!(withdrawn, state.awaits_requisitions(), "{state:?}");
            if !state.is_pending() {
                assert_eq!(said(answer), PRECONDITION);
                continue;
            }
            assert_eq!(answer.unwrap().state(), pb::computation_participant::State::Failed);
            assert_eq!(kingdom.state(key), M::Failed);
            let failure = measurement::find(&kingdom.tables, key).unwrap().failure.clone().unwrap();
            assert_eq!(failure.reason, FailureReason::ComputationParticipantFailed);
            // 1.5.3: the text contains the participant's own log message.
            assert!(failure.message.contains("the mill broke"));
        }
    }

    fn result_request(kingdom: &Kingdom, key: MeasurementKey) -> pb::SetComputationResultRequest {
        pb::SetComputationResultRequest {
            name: computation_name(kingdom.computation(key)),
            aggregator_certificate: Owner::Duchy("aggregator".into()).certificate_name(500),
            encrypted_result: b"result".to_vec(),
            ..pb::SetComputationResultRequest::default()
        }
    }

    fn try_result(
        kingdom: &mut Kingdom,
        request: &pb::SetComputationResultRequest,
    ) -> Answer<pb::Computation> {
        kingdom.write(|write| computations::set_result(write, "aggregator", request))
    }

    /// 1.5.2, 1.6.7 and quirk late-result-overwrites-terminal-state.
    #[test]
    fn a_late_result_revives_a_dead_measurement_or_as_documented_is_refused() {
        for (state, is_faithful) in
            [(M::Failed, true), (M::Cancelled, true), (M::Failed, false), (M::Cancelled, false)]
        {
            let mut kingdom = Kingdom::new();
            if !is_faithful {
                kingdom.off(Quirk::LateResultOverwritesTerminalState);
            }
            let key = kingdom.computed();
            if state == M::Failed {
                kingdom.revoke(&Owner::DataProvider(DP1), DP1 + CERTIFICATE);
            } else {
                kingdom.force(key, state);
            }
            let request = result_request(&kingdom, key);
            let answer = try_result(&mut kingdom, &request);
            if !is_faithful {
                assert_eq!(said(answer), UNKNOWN);
                assert_eq!(kingdom.state(key), state);
                continue;
            }
            assert!(answer.is_ok());
            let row = measurement::find(&kingdom.tables, key).unwrap();
            assert_eq!(row.state, M::Succeeded);
            // `failure` stays filled and the result is visible.
            assert_eq!(row.failure.is_some(), state == M::Failed);
            let shown = public::measurements::to_proto(&kingdom.read(), row);
            let certificate = Owner::Duchy("aggregator".into()).certificate_name(500);
            assert_eq!(shown.results[0].certificate, certificate);
        }
    }

    /// 1.5.2: "on a measurement already SUCCEEDED it fails UNKNOWN".
    #[test]
    fn a_second_result_fails() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let request = result_request(&kingdom, key);
        assert!(try_result(&mut kingdom, &request).is_ok());
        assert_eq!(said(try_result(&mut kingdom, &request)), UNKNOWN);
    }

    /// 1.6.2: the certificate must exist, its validity is ignored; 1.8.7; 1.8.8.
    #[test]
    fn a_results_certificate_must_be_the_callers_and_exist_but_not_be_valid() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let good = result_request(&kingdom, key);
        type Request = pb::SetComputationResultRequest;
        let certificate = |duchy: &str, id: i64| Owner::Duchy(duchy.into()).certificate_name(id);
        let absent = "computations/AAAAAAAAAZQ".to_owned();
        let cases = [
            (Request { name: "x".to_owned(), ..good.clone() }, INVALID),
            (Request { aggregator_certificate: "x".to_owned(), ..good.clone() }, INVALID),
            (
                Request { aggregator_certificate: certificate("worker1", 501), ..good.clone() },
                DENIED,
            ),
            (
                Request { aggregator_certificate: certificate("aggregator", 9), ..good.clone() },
                UNKNOWN,
            ),
            (Request { name: absent.clone(), ..good.clone() }, UNKNOWN),
        ];
        for (request, expected) in cases {
            assert_eq!(said(try_result(&mut kingdom, &request)), expected, "{request:?}");
        }
        kingdom.set_revoked(Owner::Duchy("aggregator".into()), 500);
        assert!(try_result(&mut kingdom, &good).is_ok());
        let get = pb::GetComputationRequest { name: absent };
        assert_eq!(said(computations::get(&kingdom.read(), "worker1", &get)), UNKNOWN);
    }

    fn fulfil_request(
        kingdom: &Kingdom,
        key: MeasurementKey,
        provider: i64,
    ) -> pb::FulfillRequisitionRequest {
        let id = crate::error::api_id(kingdom.requisition(key, provider).id);
        pb::FulfillRequisitionRequest {
            name: format!("{}/requisitions/{id}", computation_name(kingdom.computation(key))),
            nonce: 5,
            ..pb::FulfillRequisitionRequest::default()
        }
    }

    /// 1.8.7: any Duchy, and it is recorded.
    #[test]
    fn any_duchy_fulfils_and_is_recorded() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.set_all_params(key, &el_gamal());
        let request = fulfil_request(&kingdom, key, DP1);
        let answer =
            kingdom.write(|write| requisitions::fulfill(write, "worker2", &request)).unwrap();
        assert_eq!(answer.state(), pb::requisition::State::Fulfilled);
        assert_eq!((answer.nonce, answer.nonce_hash.as_slice()), (5, b"hash".as_slice()));
        let participant = participant_name(&kingdom, key, "worker2");
        assert_eq!(answer.fulfilling_computation_participant, participant);
        let zero = pb::FulfillRequisitionRequest { nonce: 0, ..request };
        let answer = kingdom.write(|write| requisitions::fulfill(write, "worker2", &zero));
        assert_eq!(said(answer), INVALID);
    }

    /// Quirk internal-errors-pass-untranslated, 1.0.5, 1.7.10: the status is kept either way.
    #[test]
    fn fulfilment_errors_pass_untranslated_or_as_documented_translated() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let good = fulfil_request(&kingdom, key, DP1);
        let wrong_etag = pb::FulfillRequisitionRequest { etag: "x".to_owned(), ..good.clone() };
        let missing = pb::FulfillRequisitionRequest {
            name: format!(
                "{}/requisitions/AAAAAAAAAZQ",
                computation_name(kingdom.computation(key))
            ),
            ..good.clone()
        };
        for domain in [INTERNAL_DOMAIN, PUBLIC_DOMAIN] {
            let mut call = |request: &pb::FulfillRequisitionRequest| {
                let answer =
                    kingdom.write(|write| requisitions::fulfill(write, "worker1", request));
                let refusal = answer.unwrap_err();
                let info = refusal.info.unwrap();
                assert_eq!(info.domain, domain);
                (refusal.code, info.reason)
            };
            assert_eq!(call(&wrong_etag), (Code::Aborted, "REQUISITION_ETAG_MISMATCH"));
            assert_eq!(call(&good), (Code::FailedPrecondition, "REQUISITION_STATE_ILLEGAL"));
            assert_eq!(call(&missing), (Code::NotFound, "REQUISITION_NOT_FOUND"));
            kingdom.off(Quirk::InternalErrorsPassUntranslated);
        }
    }

    /// A stream goes on from its token, shows a Duchy's own computations, and no Direct ones.
    #[test]
    fn a_stream_of_computations_goes_on_from_its_token() {
        let mut kingdom = Kingdom::new();
        kingdom.direct();
        let first = kingdom.computed();
        kingdom.settings.protocols.llv2_minimum_duchies = 1;
        kingdom.computed();
        let call = |kingdom: &Kingdom, caller: &str, token: &str| {
            let request =
                pb::StreamActiveComputationsRequest { continuation_token: token.to_owned() };
            computations::stream_active(&kingdom.read(), caller, &request)
        };
        assert_eq!(call(&kingdom, "aggregator", "").unwrap().len(), 2);
        let rows = call(&kingdom, "worker1", "").unwrap();
        assert_eq!(rows.len(), 1);
        let token = rows[0].continuation_token.clone();
        assert!(call(&kingdom, "worker1", &token).unwrap().is_empty());
        kingdom.revoke(&Owner::MeasurementConsumer(MC1), MC1 + CERTIFICATE);
        let rows = call(&kingdom, "worker1", &token).unwrap();
        let computation = rows[0].computation.clone().unwrap();
        assert_eq!(computation.name, computation_name(kingdom.computation(first)));
        assert_eq!(computation.state(), pb::computation::State::Failed);
        assert_eq!(
            (computation.requisitions.len(), computation.computation_participants.len()),
            (2, 3)
        );
        // Both fail in one transaction: the token tells rows of one update_time apart.
        let rows = call(&kingdom, "aggregator", &token).unwrap();
        assert_eq!(rows.len(), 2);
        let rest = call(&kingdom, "aggregator", &rows[0].continuation_token).unwrap();
        assert_eq!(rest, rows[1..]);
        assert_eq!(said(call(&kingdom, "aggregator", "~")), UNKNOWN);
        assert_eq!(said(call(&kingdom, "nobody", "")), UNKNOWN);
    }

    /// 1.6.2: of the Duchies' calls, only parameters need a valid certificate.
    #[test]
    fn a_held_certificate_stops_params_only() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.tables.certificates.update(&(Owner::Duchy("worker1".into()), 501), |row| {
            row.revocation_state = RevocationState::Hold;
        });
        let request = set_request(participant_name(&kingdom, key, "worker1"), 501);
        let refusal = try_set(&mut kingdom, "worker1", &request).unwrap_err();
        assert_eq!(refusal.cause, Some(Cause::CertificateOnHold));
        kingdom.certificate(Owner::Duchy("worker1".into()), 501);
        kingdom.set_all_params(key, &el_gamal());
        kingdom.set_revoked(Owner::Duchy("worker1".into()), 501);
        kingdom.fulfill_computed(key, DP1);
        kingdom.fulfill_computed(key, DP2);
        kingdom.confirm_all(key);
        assert_eq!(kingdom.state(key), M::PendingComputation);
    }
}
