//! ComputationParticipants of the system API (contract 1.8.7 to 1.8.9).

use super::{Answer, failure_from_proto, params_from_proto, participant_to_proto, whitelist};
use crate::error::{InternalError, Refusal};
use crate::model::participant::{self, ParticipantKey};
use crate::model::{Read, Write};
use crate::public::{bad_shape, decode_id};
use kingdom_proto::{name, system as pb};

/// GetComputationParticipant.
///
/// # Errors
/// Name shape INVALID_ARGUMENT, another Duchy's PERMISSION_DENIED (1.8.7), bare codes (1.8.8).
pub fn get(
    read: &Read<'_>,
    caller: &str,
    request: &pb::GetComputationParticipantRequest,
) -> Answer<pb::ComputationParticipant> {
    let name = own(caller, &request.name)?;
    let key = decode(read, &name)?;
    participant::find(read, &key).map(|row| participant_to_proto(read, row)).map_err(translate)
}

/// SetParticipantRequisitionParams, checks in the order of 1.8.9.
///
/// # Errors
/// As the clause says; an invalid, an unknown certificate and a wrong state look alike (1.8.8).
pub fn set_requisition_params(
    write: &mut Write<'_>,
    caller: &str,
    request: &pb::SetParticipantRequisitionParamsRequest,
) -> Answer<pb::ComputationParticipant> {
    let name = own(caller, &request.name)?;
    let params = request.requisition_params.clone().unwrap_or_default();
    let certificate = name::DuchyCertificateName::parse(&params.duchy_certificate)
        .ok_or_else(|| bad_shape("requisition_params.duchy_certificate"))?;
    if certificate.duchy != name.duchy {
        return Err(Refusal::invalid_argument("the certificate is another Duchy's"));
    }
    let key = decode(&write.read(), &name)?;
    let certificate = decode_id(&write.read(), &certificate.certificate)?;
    let protocol = params
        .protocol
        .as_ref()
        .ok_or_else(|| Refusal::invalid_argument("requisition_params.protocol is not set"))?;
    let params = params_from_proto(protocol);
    participant::set_requisition_params(write, &key, &request.etag, certificate, params)
        .map(|row| participant_to_proto(&write.read(), &row))
        .map_err(translate)
}

/// ConfirmComputationParticipant (contract 1.6.8).
///
/// # Errors
/// As [`get`], and etag ABORTED, states FAILED_PRECONDITION.
pub fn confirm(
    write: &mut Write<'_>,
    caller: &str,
    request: &pb::ConfirmComputationParticipantRequest,
) -> Answer<pb::ComputationParticipant> {
    let name = own(caller, &request.name)?;
    let key = decode(&write.read(), &name)?;
    participant::confirm(write, &key, &request.etag)
        .map(|row| participant_to_proto(&write.read(), &row))
        .map_err(translate)
}

/// FailComputationParticipant (contract 1.6.9).
///
/// # Errors
/// As [`confirm`].
pub fn fail(
    write: &mut Write<'_>,
    caller: &str,
    request: &pb::FailComputationParticipantRequest,
) -> Answer<pb::ComputationParticipant> {
    let name = own(caller, &request.name)?;
    let key = decode(&write.read(), &name)?;
    let failure = failure_from_proto(&request.failure.clone().unwrap_or_default(), write.now);
    participant::fail(write, &key, &request.etag, failure)
        .map(|row| participant_to_proto(&write.read(), &row))
        .map_err(translate)
}

/// The name's shape, then that it is the caller's own (contract 1.8.7).
fn own(caller: &str, text: &str) -> Answer<name::ComputationParticipantName> {
    let name = name::ComputationParticipantName::parse(text).ok_or_else(|| bad_shape("name"))?;
    if name.duchy == caller { Ok(name) } else { Err(Refusal::permission_denied()) }
}

fn decode(read: &Read<'_>, name: &name::ComputationParticipantName) -> Answer<ParticipantKey> {
    Ok((decode_id(read, &name.computation)?, name.duchy.as_str().into()))
}

fn translate(error: InternalError) -> Refusal {
    error.bare_code(whitelist::PARTICIPANTS)
}
