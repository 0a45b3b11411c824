//! Participants of computations: the Duchies' part of a measurement (contract 1.8.9, 1.6.8, 1.6.9).

use super::measurement::{self, FailureReason, Measurement, MeasurementKey};
use super::requisition;
use super::{Outcome, Owner, Read, Timestamp, Write, certificate, etag};
use crate::cause::Cause;
use crate::error::{Code, InternalError, Reason};
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Computation and Duchy.
pub type ParticipantKey = (i64, Arc<str>);

/// A participant as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// External id of the computation.
    pub computation: i64,
    /// The Duchy.
    pub duchy: Arc<str>,
    /// Where it stands.
    pub state: State,
    /// Commit time of its last change; its etag derives from it.
    pub update_time: Timestamp,
    /// The Duchy's certificate, once parameters are set.
    pub certificate: Option<i64>,
    /// The parameters.
    pub params: Option<Params>,
    /// What it said when it failed.
    pub failure: Option<Failure>,
}

/// Parameters for requisitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the protocols of contract 1.7.13")]
pub enum Params {
    LiquidLegionsV2(SignedKey),
    ReachOnlyLiquidLegionsV2(SignedKey),
    /// The key is empty at the aggregator.
    HonestMajorityShareShuffle(SignedKey),
    TrusTee,
}

/// A public key of a Duchy with its signature, never verified here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire messages")]
pub struct SignedKey {
    pub key: Vec<u8>,
    pub signature: Vec<u8>,
    pub signature_algorithm_oid: String,
}

/// What a Duchy reports when it fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire message")]
pub struct Failure {
    pub participant_child_reference_id: String,
    pub error_message: String,
    pub error_time: Option<Timestamp>,
    pub stage_attempt: Option<StageAttempt>,
    /// When it was logged.
    pub create_time: Timestamp,
}

/// The stage in which it failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire message")]
pub struct StageAttempt {
    pub stage: i32,
    pub stage_name: String,
    pub stage_start_time: Option<Timestamp>,
    pub attempt_number: i64,
}

/// The states of a participant; all APIs number them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the values of the wire enum")]
pub enum State {
    Created,
    RequisitionParamsSet,
    Ready,
    Failed,
}

impl State {
    /// The wire number.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Created => 1,
            Self::RequisitionParamsSet => 2,
            Self::Ready => 3,
            Self::Failed => 4,
        }
    }

    /// The name of the wire enum value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::RequisitionParamsSet => "REQUISITION_PARAMS_SET",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
        }
    }
}

impl Participant {
    /// A participant as a measurement's creation makes it.
    pub(crate) fn new(computation: i64, duchy: Arc<str>, now: Timestamp) -> Self {
        Self {
            computation,
            duchy,
            state: State::Created,
            update_time: now,
            certificate: None,
            params: None,
            failure: None,
        }
    }

    /// The resource name of the system API.
    pub fn name(&self) -> String {
        format!(
            "computations/{}/participants/{}",
            crate::error::api_id(self.computation),
            self.duchy
        )
    }

    /// The etag.
    pub fn etag(&self) -> String {
        etag::of(self.update_time)
    }
}

/// The participants of a computation, by Duchy id.
pub fn of_computation(tables: &Tables, computation: i64) -> impl Iterator<Item = &Participant> {
    let first: ParticipantKey = (computation, Arc::from(""));
    tables.participants.range(first..).take_while(move |row| row.computation == computation)
}

/// GetComputationParticipant.
///
/// # Errors
/// NOT_FOUND: DUCHY_NOT_FOUND or COMPUTATION_PARTICIPANT_NOT_FOUND.
pub fn find<'a>(read: &Read<'a>, key: &ParticipantKey) -> Outcome<&'a Participant> {
    certificate::require_owner(read, &Owner::Duchy(key.1.clone()))?;
    read.tables.participants.get(key).ok_or_else(|| {
        InternalError::not_found(Reason::ComputationParticipantNotFound {
            computation: key.0,
            duchy: key.1.to_string(),
        })
    })
}

/// The participant if `requested_etag` allows, with its measurement (contract 1.8.9).
fn for_change<'a>(
    read: &Read<'a>,
    key: &ParticipantKey,
    requested_etag: &str,
) -> Outcome<(&'a Participant, &'a Measurement)> {
    let row = find(read, key)?;
    let actual = row.etag();
    if !requested_etag.is_empty() && requested_etag != actual {
        return Err(InternalError::new(
            Code::Aborted,
            Reason::ComputationParticipantEtagMismatch {
                requested: requested_etag.to_owned(),
                actual,
            },
        ));
    }
    Ok((row, measurement::find_by_computation(read.tables, row.computation)?))
}

fn require_state(row: &Participant, wanted: State) -> Outcome<()> {
    if row.state == wanted {
        return Ok(());
    }
    Err(InternalError::failed_precondition(Reason::ComputationParticipantStateIllegal {
        computation: row.computation,
        duchy: row.duchy.to_string(),
        state: row.state.name(),
    }))
}

fn change(
    write: &mut Write<'_>,
    key: &ParticipantKey,
    action: &'static str,
    to: State,
    change: impl FnOnce(&mut Participant),
) -> Outcome<Participant> {
    let mut row = find(&write.read(), key)?.clone();
    let before = row.state;
    row.state = to;
    row.update_time = write.now;
    change(&mut row);
    write.tables.participants.put(row.clone());
    write.note(action, row.name(), Some(before.name()), Some(to.name()));
    Ok(row)
}

/// SetParticipantRequisitionParams (contract 1.8.9): one of the only three places where a
/// certificate's validity counts (1.6.2).
///
/// # Errors
/// In the order of the clause: CERTIFICATE_NOT_FOUND, CERTIFICATE_IS_INVALID (both
/// FAILED_PRECONDITION), COMPUTATION_PARTICIPANT_NOT_FOUND, etag ABORTED, states
/// FAILED_PRECONDITION.
pub fn set_requisition_params(
    write: &mut Write<'_>,
    key: &ParticipantKey,
    requested_etag: &str,
    certificate: i64,
    params: Params,
) -> Outcome<Participant> {
    let owner = Owner::Duchy(key.1.clone());
    let read = write.read();
    certificate::require_owner(&read, &owner)?;
    let Some(named) = certificate::find(&read, &owner, certificate) else {
        return Err(InternalError::failed_precondition(Reason::CertificateNotFound {
            owner: Some(owner),
            certificate,
        })
        .because(Cause::CertificateUnknown));
    };
    if let Some(cause) = named.invalid_because(write.now) {
        return Err(InternalError::failed_precondition(Reason::CertificateIsInvalid)
            .because(cause)
            .about(named.name()));
    }
    let (row, measurement) = for_change(&read, key, requested_etag)?;
    if measurement.state != measurement::State::PendingRequisitionParams {
        return Err(measurement.state_illegal());
    }
    require_state(row, State::Created)?;
    let measurement = measurement.key();

    // Only LLv2 participants confirm later (contract 1.6.3, 1.8.9).
    let to = match params {
        Params::LiquidLegionsV2(_) | Params::ReachOnlyLiquidLegionsV2(_) => {
            State::RequisitionParamsSet
        }
        Params::HonestMajorityShareShuffle(_) | Params::TrusTee => State::Ready,
    };
    let row = change(write, key, "set-params", to, |row| {
        row.certificate = Some(certificate);
        row.params = Some(params);
    })?;
    if of_computation(write.tables, key.0).all(|other| other.state == to) {
        let next = measurement::State::PendingRequisitionFulfillment;
        measurement::transition(write, measurement, "advance", next, |_| {})?;
        requisition::open_all(write, measurement);
    }
    Ok(row)
}

/// ConfirmComputationParticipant: READY; when all are, the measurement computes (contract 1.6.8).
///
/// # Errors
/// NOT_FOUND, etag ABORTED, then FAILED_PRECONDITION unless the measurement awaits confirmation and
/// the participant has set its parameters.
pub fn confirm(
    write: &mut Write<'_>,
    key: &ParticipantKey,
    requested_etag: &str,
) -> Outcome<Participant> {
    let (row, measurement) = for_change(&write.read(), key, requested_etag)?;
    if measurement.state != measurement::State::PendingParticipantConfirmation {
        return Err(measurement.state_illegal());
    }
    require_state(row, State::RequisitionParamsSet)?;
    let measurement = measurement.key();
    let row = change(write, key, "confirm", State::Ready, |_| {})?;
    if of_computation(write.tables, key.0).all(|other| other.state == State::Ready) {
        let next = measurement::State::PendingComputation;
        measurement::transition(write, measurement, "advance", next, |_| {})?;
    }
    Ok(row)
}

/// FailComputationParticipant (contract 1.6.9): open requisitions are withdrawn only while the
/// measurement still awaited parameters or fulfilment.
///
/// # Errors
/// NOT_FOUND, etag ABORTED, FAILED_PRECONDITION/MEASUREMENT_STATE_ILLEGAL if it is not pending.
pub fn fail(
    write: &mut Write<'_>,
    key: &ParticipantKey,
    requested_etag: &str,
    failure: Failure,
) -> Outcome<Participant> {
    let (_, measurement) = for_change(&write.read(), key, requested_etag)?;
    if !measurement.state.is_pending() {
        return Err(measurement.state_illegal());
    }
    let (measurement, withdraws) = (measurement.key(), measurement.state.awaits_requisitions());
    let message = format!("A participant of the computation failed. {}", failure.error_message);
    let row = change(write, key, "fail", State::Failed, |row| row.failure = Some(failure))?;
    measurement::fail(write, measurement, FailureReason::ComputationParticipantFailed, message)?;
    if withdraws {
        requisition::withdraw_open(write, measurement);
    }
    Ok(row)
}

/// Deletes the participants of a computation (table 1.8.2 BatchDeleteMeasurements).
pub(crate) fn delete_of(write: &mut Write<'_>, computation: i64) {
    let keys: Vec<_> = of_computation(write.tables, computation).map(Row::key).collect();
    for key in keys {
        write.tables.participants.remove(&key);
    }
}

/// Measurements in which this Duchy's participant used this certificate and is exactly in
/// REQUISITION_PARAMS_SET (table 1.6.3 Duchy).
pub(crate) fn measurements_unconfirmed_under(
    tables: &Tables,
    duchy: &Arc<str>,
    certificate: i64,
) -> BTreeSet<MeasurementKey> {
    let index = tables.participants.index();
    let computations = index.unconfirmed_by_certificate.get(&(duchy.clone(), certificate));
    computations
        .into_iter()
        .flatten()
        .filter_map(|computation| measurement::find_by_computation(tables, *computation).ok())
        .map(Row::key)
        .collect()
}

/// The lookups that participants need.
#[derive(Default)]
pub struct ParticipantIndex {
    /// Duchy and certificate, REQUISITION_PARAMS_SET only (table 1.6.3).
    unconfirmed_by_certificate: BTreeMap<(Arc<str>, i64), BTreeSet<i64>>,
}

impl Participant {
    fn unconfirmed_under(&self) -> Option<(Arc<str>, i64)> {
        let certificate = self.certificate?;
        (self.state == State::RequisitionParamsSet).then(|| (self.duchy.clone(), certificate))
    }
}

impl Row for Participant {
    type Key = ParticipantKey;
    type Index = ParticipantIndex;
    const TABLE: &'static str = "participants";

    fn key(&self) -> Self::Key {
        (self.computation, self.duchy.clone())
    }

    fn enter(self: &std::sync::Arc<Self>, index: &mut Self::Index) {
        if let Some(under) = self.unconfirmed_under() {
            index.unconfirmed_by_certificate.entry(under).or_default().insert(self.computation);
        }
    }

    fn leave(&self, index: &mut Self::Index) {
        if let Some(under) = self.unconfirmed_under()
            && let Some(computations) = index.unconfirmed_by_certificate.get_mut(&under)
        {
            computations.remove(&self.computation);
        }
    }
}
