//! Measurements: rows, create rules, states, lists (contract 1.5, 1.8.2 to 1.8.4).

use super::data_provider::DataProvider;
use super::merge::merged;
use super::participant::{self, Participant};
use super::protocol::{self, MeasurementType, Protocol};
use super::requisition::{self, Requisition};
use super::{Outcome, Owner, Read, Timestamp, Write, certificate, constraint, etag};
use crate::cause::Cause;
use crate::error::{Code, InternalError, Reason, measurement_name};
use crate::quirk::Quirk;
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Measurement consumer and measurement, by external ids.
pub type MeasurementKey = (i64, i64);

/// A measurement as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Its measurement consumer.
    pub measurement_consumer: i64,
    /// External id.
    pub id: i64,
    /// External id of its computation; Direct ones have none.
    pub computation: Option<i64>,
    /// `measurement_reference_id` as given, not unique (contract 1.5.6).
    pub reference_id: String,
    /// `request_id` of its creation; empty if none was given (contract 1.5.13).
    pub request_id: String,
    /// The MC certificate that the create named (contract 1.5.11).
    pub certificate: i64,
    /// The MeasurementSpec, never verified (contract 1.5.14).
    pub spec: SignedBytes,
    /// What the spec asks for.
    pub measurement_type: MeasurementType,
    /// The protocol chosen at creation (contract 1.5.15).
    pub protocol: Protocol,
    /// Where it stands.
    pub state: State,
    /// Why it failed; stays filled after a late result (contract 1.5.2).
    pub failure: Option<Failure>,
    /// Commit time of its creation.
    pub create_time: Timestamp,
    /// Commit time of its last change; its etag derives from it.
    pub update_time: Timestamp,
    /// Results that Duchies delivered (contract 1.5.7).
    pub duchy_results: Vec<DuchyResult>,
}

/// A serialized message with its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBytes {
    /// The packed message's bytes.
    pub message: Box<[u8]>,
    /// The signature.
    pub signature: Box<[u8]>,
    /// Its algorithm's OID, possibly empty.
    pub signature_algorithm_oid: Box<str>,
}

/// Why a measurement failed (contract 1.5.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The reason.
    pub reason: FailureReason,
    /// A short human text.
    pub message: String,
}

/// The reasons of contract 1.5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the values of the wire enum")]
pub enum FailureReason {
    CertificateRevoked,
    RequisitionRefused,
    ComputationParticipantFailed,
}

impl FailureReason {
    /// The wire number, the same in the public and the internal API.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::CertificateRevoked => 1,
            Self::RequisitionRefused => 2,
            Self::ComputationParticipantFailed => 3,
        }
    }
}

/// A result that a Duchy delivered (contract 1.5.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuchyResult {
    /// The Duchy.
    pub duchy: Arc<str>,
    /// Its certificate, whose validity nobody checks (contract 1.6.2).
    pub certificate: i64,
    /// The ciphertext.
    pub encrypted_result: Vec<u8>,
    /// API version of the ciphertext's message.
    pub api_version: String,
}

/// The states of the data server (contract 1.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the values of the internal enum")]
pub enum State {
    PendingRequisitionParams,
    PendingRequisitionFulfillment,
    PendingParticipantConfirmation,
    PendingComputation,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    /// All states, in the order of their internal numbers.
    pub const ALL: [Self; 7] = [
        Self::PendingRequisitionParams,
        Self::PendingRequisitionFulfillment,
        Self::PendingParticipantConfirmation,
        Self::PendingComputation,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether it is one of the four non-terminal states (contract 1.6.3).
    pub fn is_pending(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether it still awaits parameters or fulfilment: only then a cancellation or a failed
    /// participant withdraws open requisitions (table 1.5.1 CancelMeasurement, 1.6.9).
    pub fn awaits_requisitions(self) -> bool {
        matches!(self, Self::PendingRequisitionParams | Self::PendingRequisitionFulfillment)
    }

    /// Wire number in the internal and the system API.
    pub fn to_internal(self) -> i32 {
        match self {
            Self::PendingRequisitionParams => 1,
            Self::PendingRequisitionFulfillment => 2,
            Self::PendingParticipantConfirmation => 3,
            Self::PendingComputation => 4,
            Self::Succeeded => 5,
            Self::Failed => 6,
            Self::Cancelled => 7,
        }
    }

    /// From an internal wire number.
    pub fn from_internal(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.to_internal() == number)
    }

    /// Wire number in the public API (contract 1.5.2).
    pub fn to_public(self) -> i32 {
        match self {
            Self::PendingRequisitionParams | Self::PendingRequisitionFulfillment => 1,
            Self::PendingParticipantConfirmation | Self::PendingComputation => 2,
            Self::Succeeded => 3,
            Self::Failed => 4,
            Self::Cancelled => 5,
        }
    }

    /// The states that one public state stands for; none for an unspecified or unknown one.
    pub fn from_public(number: i32) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |state| state.to_public() == number)
    }

    /// Public and internal name, for error metadata (contract 1.0.11).
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::PendingRequisitionParams => {
                ("AWAITING_REQUISITION_FULFILLMENT", "PENDING_REQUISITION_PARAMS")
            }
            Self::PendingRequisitionFulfillment => {
                ("AWAITING_REQUISITION_FULFILLMENT", "PENDING_REQUISITION_FULFILLMENT")
            }
            Self::PendingParticipantConfirmation => {
                ("COMPUTING", "PENDING_PARTICIPANT_CONFIRMATION")
            }
            Self::PendingComputation => ("COMPUTING", "PENDING_COMPUTATION"),
            Self::Succeeded => ("SUCCEEDED", "SUCCEEDED"),
            Self::Failed => ("FAILED", "FAILED"),
            Self::Cancelled => ("CANCELLED", "CANCELLED"),
        }
    }

    /// The internal name, which the audit trail shows.
    pub fn internal_name(self) -> &'static str {
        self.names().1
    }
}

impl Measurement {
    /// The canonical resource name.
    pub fn name(&self) -> String {
        measurement_name(self.measurement_consumer, self.id)
    }

    /// The etag, shown by the internal API only (contract 1.0.8, 1.7.10).
    pub fn etag(&self) -> String {
        etag::of(self.update_time)
    }

    /// FAILED_PRECONDITION/MEASUREMENT_STATE_ILLEGAL with its current state.
    pub(crate) fn state_illegal(&self) -> InternalError {
        InternalError::failed_precondition(Reason::MeasurementStateIllegal {
            measurement_consumer: self.measurement_consumer,
            measurement: self.id,
            state: self.state.names(),
        })
    }
}

/// What a create asks for, after the public checks of 1.5.9.
#[derive(Clone, Debug)]
pub struct NewMeasurement {
    /// Empty if none (contract 1.5.13).
    pub request_id: String,
    /// As given.
    pub reference_id: String,
    /// The named MC certificate.
    pub certificate: i64,
    /// The spec; only `message` is forwarded, so its bytes may be empty (contract 1.5.9).
    pub spec: SignedBytes,
    /// What the spec asks for.
    pub measurement_type: MeasurementType,
    /// The protocol chosen (contract 1.5.15).
    pub protocol: Protocol,
    /// The providers, in the order of the request.
    pub entries: Vec<NewEntry>,
}

/// One entry of `data_providers`. The certificate it names is not here: it is ignored (1.5.12).
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The provider.
    pub data_provider: i64,
    /// Its serialized EncryptionPublicKey.
    pub public_key: Vec<u8>,
    /// Ciphertext of the requisition spec.
    pub encrypted_requisition_spec: Vec<u8>,
    /// Hash of the nonce.
    pub nonce_hash: Vec<u8>,
}

/// What became of one request of a create.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The stored measurement.
    pub measurement: Measurement,
    /// Whether an earlier request with the same request_id made it (contract 1.5.13).
    pub is_replay: bool,
}

/// CreateMeasurement and BatchCreateMeasurements, all or nothing: the data server's field checks
/// of 1.5.9, then table 1.5.11 in order.
///
/// # Errors
/// Those of the table; the same new request_id twice is a constraint without an answer of its own
/// (contract 1.5.17).
pub fn create(
    write: &mut Write<'_>,
    measurement_consumer: i64,
    requests: Vec<NewMeasurement>,
) -> Outcome<Vec<Created>> {
    for request in &requests {
        let spec = &request.spec;
        let is_filled = |entry: &NewEntry| {
            !entry.public_key.is_empty()
                && !entry.encrypted_requisition_spec.is_empty()
                && !entry.nonce_hash.is_empty()
        };
        if spec.message.is_empty()
            || spec.signature.is_empty()
            || !request.entries.iter().all(is_filled)
        {
            return Err(InternalError::invalid_argument("a required field is not set"));
        }
    }

    let read = write.read();
    let owner = Owner::MeasurementConsumer(measurement_consumer);
    // Step 1.
    certificate::require_owner(&read, &owner)?;
    // Step 2.
    let existing: Vec<Option<MeasurementKey>> = requests
        .iter()
        .map(|request| by_request_id(write.tables, measurement_consumer, &request.request_id))
        .collect();
    // Step 3: replays included, and before any certificate is missed (step 6).
    for request in &requests {
        if let Some(named) = certificate::find(&read, &owner, request.certificate) {
            require_valid(named, write.now)?;
        }
    }
    // Steps 4 and 5, for what is new only (contract 1.5.13).
    let fresh = || requests.iter().zip(&existing).filter(|(_, found)| found.is_none());
    for (request, _) in fresh() {
        providers(write.tables, request)?;
    }
    for (request, _) in fresh() {
        for provider in providers(write.tables, request)? {
            let key = (Owner::DataProvider(provider.id), provider.certificate);
            if let Some(current) = write.tables.certificates.get(&key) {
                require_valid(current, write.now)?;
            }
        }
    }

    let mut created = Vec::with_capacity(requests.len());
    let mut new_request_ids = BTreeSet::new();
    let mut is_repeated = false;
    for (request, found) in requests.into_iter().zip(existing) {
        if let Some(key) = found {
            let measurement = find(write.tables, key)?.clone();
            created.push(Created { measurement, is_replay: true });
            continue;
        }
        if !request.request_id.is_empty() {
            is_repeated |= !new_request_ids.insert(request.request_id.clone());
        }
        let measurement = insert(write, measurement_consumer, request)?;
        created.push(Created { measurement, is_replay: false });
    }
    // A unique index: seen only when the transaction commits, after every other refusal.
    if is_repeated {
        let repeated = InternalError::invalid_argument("the same request_id twice in one batch");
        return Err(constraint(&write.read(), repeated));
    }
    Ok(created)
}

/// Steps 6 and 7 of table 1.5.11, then the rows.
fn insert(
    write: &mut Write<'_>,
    measurement_consumer: i64,
    request: NewMeasurement,
) -> Outcome<Measurement> {
    let owner = Owner::MeasurementConsumer(measurement_consumer);
    let read = write.read();
    if certificate::find(&read, &owner, request.certificate).is_none() {
        return Err(InternalError::failed_precondition(Reason::CertificateNotFound {
            owner: Some(owner),
            certificate: request.certificate,
        })
        .because(Cause::CertificateUnknown));
    }
    let involved = providers(read.tables, &request)?;
    let duchies = protocol::duchies(&read, &request.protocol, &involved)?;
    let bound: Vec<i64> = involved.iter().map(|provider| provider.certificate).collect();

    let id = write.fresh_id(|tables, id| tables.measurements.contains(&(measurement_consumer, id)));
    let computation = (!request.protocol.is_direct()).then(|| {
        write.fresh_id(|tables, id| tables.measurements.index().by_computation.contains_key(&id))
    });
    // MPC measurements wait for the Duchies' parameters first (contract 1.5.2).
    let (state, requisition_state) = if computation.is_some() {
        (State::PendingRequisitionParams, requisition::State::PendingParams)
    } else {
        (State::PendingRequisitionFulfillment, requisition::State::Unfulfilled)
    };
    let measurement = Measurement {
        measurement_consumer,
        id,
        computation,
        reference_id: request.reference_id,
        request_id: request.request_id,
        certificate: request.certificate,
        spec: request.spec,
        measurement_type: request.measurement_type,
        protocol: request.protocol,
        state,
        failure: None,
        create_time: write.now,
        update_time: write.now,
        duchy_results: Vec::new(),
    };
    write.tables.measurements.put(measurement.clone());
    write.note("create", measurement.name(), None, Some(state.internal_name()));

    if let Some(computation) = computation {
        for duchy in &duchies {
            write.tables.participants.put(Participant::new(computation, duchy.clone(), write.now));
        }
    }
    for (entry, bound) in request.entries.into_iter().zip(bound) {
        let key = (measurement_consumer, id);
        // Unique within the measurement too: Duchies look it up by computation and id.
        let requisition_id = write.fresh_id(|tables, candidate| {
            tables.requisitions.contains(&(entry.data_provider, candidate))
                || requisition::of_measurement(tables, key).any(|row| row.id == candidate)
        });
        let fulfilling_duchy = protocol::fulfilling_duchy(
            &write.read(),
            &measurement.protocol,
            &duchies,
            requisition_id,
        );
        let row = Requisition {
            data_provider: entry.data_provider,
            id: requisition_id,
            measurement_consumer,
            measurement: id,
            certificate: bound,
            public_key: entry.public_key.into(),
            encrypted_requisition_spec: entry.encrypted_requisition_spec.into(),
            nonce_hash: entry.nonce_hash.into(),
            state: requisition_state,
            update_time: write.now,
            fulfilling_duchy,
            nonce: 0,
            refusal: None,
            direct_result: None,
            fulfillment_context: None,
        };
        write.note("create", row.name(), None, Some(requisition_state.internal_name()));
        write.tables.requisitions.put(row);
    }
    Ok(measurement)
}

fn providers<'a>(tables: &'a Tables, request: &NewMeasurement) -> Outcome<Vec<&'a DataProvider>> {
    request
        .entries
        .iter()
        .map(|entry| {
            let id = entry.data_provider;
            tables.data_providers.get(&id).ok_or_else(|| {
                InternalError::failed_precondition(Reason::OwnerNotFound(Owner::DataProvider(id)))
            })
        })
        .collect()
}

/// The predicate of 1.6.1; ErrorInfo does not say which certificate (contract 1.0.11).
fn require_valid(row: &certificate::Certificate, now: Timestamp) -> Outcome<()> {
    match row.invalid_because(now) {
        None => Ok(()),
        Some(cause) => Err(InternalError::failed_precondition(Reason::CertificateIsInvalid)
            .because(cause)
            .about(row.name())),
    }
}

fn by_request_id(
    tables: &Tables,
    measurement_consumer: i64,
    request_id: &str,
) -> Option<MeasurementKey> {
    if request_id.is_empty() {
        return None;
    }
    let key = (measurement_consumer, request_id.to_owned());
    tables.measurements.index().by_request.get(&key).map(|id| (measurement_consumer, *id))
}

/// The measurement with this key (table 1.5.1 GetMeasurement).
///
/// # Errors
/// NOT_FOUND/MEASUREMENT_NOT_FOUND.
pub fn find(tables: &Tables, key: MeasurementKey) -> Outcome<&Measurement> {
    tables.measurements.get(&key).ok_or_else(|| {
        InternalError::not_found(Reason::MeasurementNotFound {
            measurement_consumer: key.0,
            measurement: key.1,
        })
    })
}

/// The measurement of a computation.
///
/// # Errors
/// NOT_FOUND/MEASUREMENT_NOT_FOUND.
pub fn find_by_computation(tables: &Tables, computation: i64) -> Outcome<&Measurement> {
    let key = tables.measurements.index().by_computation.get(&computation);
    key.and_then(|key| tables.measurements.get(key)).ok_or_else(|| {
        InternalError::not_found(Reason::MeasurementNotFoundByComputation { computation })
    })
}

/// Measurements created with this MC certificate, in the order of their ids (table 1.6.3).
pub(crate) fn by_certificate(
    tables: &Tables,
    measurement_consumer: i64,
    certificate: i64,
) -> Vec<MeasurementKey> {
    let ids = tables.measurements.index().by_certificate.get(&(measurement_consumer, certificate));
    ids.into_iter().flatten().map(|id| (measurement_consumer, *id)).collect()
}

/// Moves a measurement to another state, with a new update_time and an entry in the trail.
pub(crate) fn transition(
    write: &mut Write<'_>,
    key: MeasurementKey,
    action: &'static str,
    to: State,
    change: impl FnOnce(&mut Measurement),
) -> Outcome<Measurement> {
    let mut row = find(write.tables, key)?.clone();
    let before = row.state;
    row.state = to;
    row.update_time = write.now;
    change(&mut row);
    write.tables.measurements.put(row.clone());
    write.note(action, row.name(), Some(before.internal_name()), Some(to.internal_name()));
    Ok(row)
}

/// Sets a measurement FAILED for `reason` (contract 1.5.3).
pub(crate) fn fail(
    write: &mut Write<'_>,
    key: MeasurementKey,
    reason: FailureReason,
    message: String,
) -> Outcome<Measurement> {
    transition(write, key, "fail", State::Failed, |row| {
        row.failure = Some(Failure { reason, message });
    })
}

/// CancelMeasurement (table 1.5.1): open requisitions are withdrawn only while it still awaited
/// parameters or fulfilment.
///
/// # Errors
/// NOT_FOUND/MEASUREMENT_NOT_FOUND, then FAILED_PRECONDITION/MEASUREMENT_STATE_ILLEGAL.
pub fn cancel(write: &mut Write<'_>, key: MeasurementKey) -> Outcome<Measurement> {
    let row = find(write.tables, key)?;
    if !row.state.is_pending() {
        return Err(row.state_illegal());
    }
    let withdraws = row.state.awaits_requisitions();
    let row = transition(write, key, "cancel", State::Cancelled, |_| {})?;
    if withdraws {
        requisition::withdraw_open(write, key);
    }
    Ok(row)
}

/// One item of a batch of the operator: which measurement, and the etag it must have, or an empty
/// one (table 1.8.2).
pub type BatchItem = (MeasurementKey, String);

/// Which batch an item belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the two RPCs of table 1.8.2")]
pub enum BatchKind {
    Cancel,
    Delete,
}

/// The checks of one item of a batch (table 1.8.2). A batch checks its items in order and changes
/// nothing before all passed, so that the first problem decides and duplicates are fine.
///
/// # Errors
/// NOT_FOUND/MEASUREMENT_NOT_FOUND; for Cancel of one that is not pending INTERNAL or
/// FAILED_PRECONDITION (quirk `batch-cancel-not-pending-is-internal`) /MEASUREMENT_STATE_ILLEGAL;
/// ABORTED/MEASUREMENT_ETAG_MISMATCH.
pub fn check_batch_item(read: &Read<'_>, item: &BatchItem, kind: BatchKind) -> Outcome<()> {
    let (key, etag) = item;
    let row = find(read.tables, *key)?;
    if kind == BatchKind::Cancel && !row.state.is_pending() {
        let error = row.state_illegal();
        return Err(if read.faithful(Quirk::BatchCancelNotPendingIsInternal) {
            InternalError { code: Code::Internal, ..error }
        } else {
            error
        });
    }
    require_etag(read, row, etag)
}

/// BatchCancelMeasurements (table 1.8.2), after [`check_batch_item`] of each item; unlike [`cancel`]
/// it withdraws open requisitions in all four pending states. Answers in the order of the items.
///
/// # Errors
/// As [`check_batch_item`].
pub fn batch_cancel(write: &mut Write<'_>, items: &[BatchItem]) -> Outcome<Vec<Measurement>> {
    for item in items {
        check_batch_item(&write.read(), item, BatchKind::Cancel)?;
    }
    for key in items.iter().map(|(key, _)| *key).collect::<BTreeSet<_>>() {
        transition(write, key, "cancel", State::Cancelled, |_| {})?;
        requisition::withdraw_open(write, key);
    }
    items.iter().map(|(key, _)| find(write.tables, *key).cloned()).collect()
}

/// BatchDeleteMeasurements (table 1.8.2): a hard delete with all children, in any state.
///
/// # Errors
/// As [`check_batch_item`].
pub fn batch_delete(write: &mut Write<'_>, items: &[BatchItem]) -> Outcome<()> {
    for item in items {
        check_batch_item(&write.read(), item, BatchKind::Delete)?;
    }
    for key in items.iter().map(|(key, _)| *key).collect::<BTreeSet<_>>() {
        let row = find(write.tables, key)?.clone();
        requisition::delete_of(write, key);
        if let Some(computation) = row.computation {
            participant::delete_of(write, computation);
        }
        write.tables.measurements.remove(&key);
        write.note("delete", row.name(), Some(row.state.internal_name()), None);
    }
    Ok(())
}

fn require_etag(read: &Read<'_>, row: &Measurement, requested: &str) -> Outcome<()> {
    let actual = row.etag();
    if requested.is_empty() || requested == actual {
        return Ok(());
    }
    Err(InternalError::new(
        Code::Aborted,
        Reason::MeasurementEtagMismatch {
            requested: requested.to_owned(),
            actual,
            swapped: read.faithful(Quirk::MeasurementEtagMetadataSwapped),
        },
    ))
}

/// SetMeasurementResult: no state is read and no validity checked (contract 1.5.2, 1.6.2, 1.6.7),
/// unless quirk `late-result-overwrites-terminal-state` is off.
///
/// # Errors
/// NOT_FOUND for the measurement or the Duchy, FAILED_PRECONDITION/CERTIFICATE_NOT_FOUND, UNKNOWN
/// for a measurement that has SUCCEEDED already.
pub fn set_result(
    write: &mut Write<'_>,
    computation: i64,
    result: DuchyResult,
) -> Outcome<Measurement> {
    let row = find_by_computation(write.tables, computation)?;
    let key = row.key();
    let owner = Owner::Duchy(result.duchy.clone());
    certificate::require_owner(&write.read(), &owner)?;
    if certificate::find(&write.read(), &owner, result.certificate).is_none() {
        return Err(InternalError::failed_precondition(Reason::CertificateNotFound {
            owner: Some(owner),
            certificate: result.certificate,
        })
        .because(Cause::CertificateUnknown));
    }
    match row.state {
        State::Succeeded => return Err(InternalError::bare(Code::Unknown, "a result exists")),
        State::Failed | State::Cancelled
            if !write.faithful(Quirk::LateResultOverwritesTerminalState) =>
        {
            return Err(row.state_illegal());
        }
        _ => {}
    }
    transition(write, key, "succeed", State::Succeeded, |row| row.duchy_results.push(result))
}

/// One result, whoever produced it (contract 1.5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultOutput<'a> {
    /// Owner and id of the certificate to verify it with.
    pub certificate: (Owner, i64),
    /// The ciphertext.
    pub encrypted_result: &'a [u8],
}

/// The results of a measurement, filled only while it has SUCCEEDED (contract 1.5.7).
pub fn results<'a>(tables: &'a Tables, row: &'a Measurement) -> Vec<ResultOutput<'a>> {
    if row.state != State::Succeeded {
        return Vec::new();
    }
    let direct = requisition::of_measurement(tables, row.key()).filter_map(|requisition| {
        let result = requisition.direct_result.as_ref()?;
        let certificate = result.certificate.unwrap_or(requisition.certificate);
        Some(ResultOutput {
            certificate: (Owner::DataProvider(requisition.data_provider), certificate),
            encrypted_result: &result.encrypted_data,
        })
    });
    let computed = row.duchy_results.iter().map(|result| ResultOutput {
        certificate: (Owner::Duchy(result.duchy.clone()), result.certificate),
        encrypted_result: &result.encrypted_result,
    });
    direct.chain(computed).collect()
}

/// Which measurements a list wants; all time bounds are exclusive (contract 1.5.4, 1.8.4).
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one measurement consumer.
    pub measurement_consumer: Option<i64>,
    /// Created with this MC certificate.
    pub certificate: Option<i64>,
    /// In one of these states; `None` for any.
    pub states: Option<BTreeSet<State>>,
    /// Changed after.
    pub updated_after: Option<Timestamp>,
    /// Changed before.
    pub updated_before: Option<Timestamp>,
    /// Created after.
    pub created_after: Option<Timestamp>,
    /// Created before.
    pub created_before: Option<Timestamp>,
    /// With this Duchy as a participant.
    pub duchy: Option<Arc<str>>,
    /// Not Direct.
    pub has_computation: bool,
    /// Beyond the end of an earlier page.
    pub after: Option<Cursor>,
}

/// Where a page of a list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// update_time of the last row.
    pub update_time: Timestamp,
    /// Its identity.
    pub key: CursorKey,
}

/// What tells rows with one update_time apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the variants of the wire oneof")]
pub enum CursorKey {
    Measurement(MeasurementKey),
    Computation(i64),
}

impl Filter {
    /// The earliest update_time a matching row may have.
    fn start(&self) -> Timestamp {
        let cursor = self.after.map(|after| after.update_time);
        cursor.max(self.updated_after).unwrap_or(Timestamp::from_micros(i64::MIN))
    }

    fn matches(&self, tables: &Tables, row: &Measurement) -> bool {
        let beyond = |cursor: Cursor| {
            row.update_time > cursor.update_time
                || row.update_time == cursor.update_time
                    && match cursor.key {
                        CursorKey::Measurement(key) => row.key() > key,
                        CursorKey::Computation(id) => row.computation > Some(id),
                    }
        };
        let has_participant = |duchy: &Arc<str>| {
            row.computation.is_some_and(|computation| {
                tables.participants.contains(&(computation, duchy.clone()))
            })
        };
        self.certificate.is_none_or(|certificate| row.certificate == certificate)
            && self.updated_after.is_none_or(|bound| row.update_time > bound)
            && self.updated_before.is_none_or(|bound| row.update_time < bound)
            && self.created_after.is_none_or(|bound| row.create_time > bound)
            && self.created_before.is_none_or(|bound| row.create_time < bound)
            && (!self.has_computation || row.computation.is_some())
            && self.duchy.as_ref().is_none_or(has_participant)
            && self.after.is_none_or(beyond)
    }
}

/// The first `limit` measurements that `filter` wants, by update_time, consumer and measurement
/// (contract 1.5.4, 1.8.4).
pub fn list<'a>(read: &Read<'a>, filter: &Filter, limit: usize) -> Vec<&'a Measurement> {
    let tables = read.tables;
    let index = tables.measurements.index();
    let start = filter.start();
    let states = filter.states.clone().unwrap_or_else(|| State::ALL.into_iter().collect());
    let keys: Box<dyn Iterator<Item = (Timestamp, i64, i64)> + 'a> = match filter
        .measurement_consumer
    {
        Some(consumer) => Box::new(merged(
            states
                .into_iter()
                .filter_map(|state| index.by_consumer.get(&(consumer, state)))
                .map(|keys| keys.range((start, i64::MIN)..).map(move |&(t, id)| (t, consumer, id)))
                .collect(),
        )),
        None => Box::new(merged(
            states
                .into_iter()
                .filter_map(|state| index.by_state.get(&state))
                .map(|keys| keys.range((start, i64::MIN, i64::MIN)..).copied())
                .collect(),
        )),
    };
    keys.take_while(|(time, _, _)| filter.updated_before.is_none_or(|bound| *time < bound))
        .filter_map(|(_, consumer, id)| tables.measurements.get(&(consumer, id)))
        .filter(|row| filter.matches(tables, row))
        .take(limit)
        .collect()
}

/// The lookups that measurements need.
#[derive(Default)]
pub struct MeasurementIndex {
    by_computation: BTreeMap<i64, MeasurementKey>,
    /// request_id is unique per measurement consumer (contract 1.5.13).
    by_request: BTreeMap<(i64, String), i64>,
    /// Measurement consumer and certificate (table 1.6.3).
    by_certificate: BTreeMap<(i64, i64), BTreeSet<i64>>,
    /// List order of one consumer, one walk per state.
    by_consumer: BTreeMap<(i64, State), BTreeSet<(Timestamp, i64)>>,
    /// List order over all consumers, one walk per state.
    by_state: BTreeMap<State, BTreeSet<(Timestamp, i64, i64)>>,
}

impl Row for Measurement {
    type Key = MeasurementKey;
    type Index = MeasurementIndex;
    const TABLE: &'static str = "measurements";

    fn key(&self) -> Self::Key {
        (self.measurement_consumer, self.id)
    }

    fn enter(self: &std::sync::Arc<Self>, index: &mut Self::Index) {
        let consumer = self.measurement_consumer;
        if let Some(computation) = self.computation {
            index.by_computation.insert(computation, self.key());
        }
        if !self.request_id.is_empty() {
            index.by_request.insert((consumer, self.request_id.clone()), self.id);
        }
        index.by_certificate.entry((consumer, self.certificate)).or_default().insert(self.id);
        let by_consumer = index.by_consumer.entry((consumer, self.state)).or_default();
        by_consumer.insert((self.update_time, self.id));
        let by_state = index.by_state.entry(self.state).or_default();
        by_state.insert((self.update_time, consumer, self.id));
    }

    fn leave(&self, index: &mut Self::Index) {
        let consumer = self.measurement_consumer;
        if let Some(computation) = self.computation {
            index.by_computation.remove(&computation);
        }
        if !self.request_id.is_empty() {
            index.by_request.remove(&(consumer, self.request_id.clone()));
        }
        if let Some(ids) = index.by_certificate.get_mut(&(consumer, self.certificate)) {
            ids.remove(&self.id);
        }
        if let Some(keys) = index.by_consumer.get_mut(&(consumer, self.state)) {
            keys.remove(&(self.update_time, self.id));
        }
        if let Some(keys) = index.by_state.get_mut(&self.state) {
            keys.remove(&(self.update_time, consumer, self.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{CERTIFICATE, DP1, DP2, DUCHIES, Kingdom, MC1, el_gamal};
    use crate::seam::entropy::Seed;
    use crate::store::AnyTable;
    use rand_core::RngCore;

    /// Every state whatever, as a brute force over all rows would list it.
    fn brute_measurements(kingdom: &Kingdom, filter: &Filter) -> Vec<MeasurementKey> {
        let mut rows: Vec<_> = kingdom
            .tables
            .measurements
            .iter()
            .filter(|row| filter.states.as_ref().is_none_or(|states| states.contains(&row.state)))
            .collect();
        rows.sort_by_key(|row| (row.update_time, row.measurement_consumer, row.id));
        rows.into_iter().map(Row::key).collect()
    }

    fn brute_requisitions(
        tables: &Tables,
        states: &BTreeSet<requisition::State>,
    ) -> Vec<requisition::RequisitionKey> {
        let mut rows: Vec<_> = tables
            .requisitions
            .iter()
            .filter(|row| row.data_provider == DP1 && states.contains(&row.state))
            .collect();
        rows.sort_by_key(|row| (row.update_time, row.data_provider, row.id));
        rows.into_iter().map(Row::key).collect()
    }

    fn assert_indexes_agree(kingdom: &Kingdom) {
        let read = kingdom.read();
        let some: BTreeSet<State> = [State::Failed, State::PendingRequisitionFulfillment].into();
        for states in [None, Some(some)] {
            for measurement_consumer in [None, Some(MC1)] {
                let filter =
                    Filter { states: states.clone(), measurement_consumer, ..Filter::default() };
                let listed: Vec<_> =
                    list(&read, &filter, usize::MAX).into_iter().map(Row::key).collect();
                assert_eq!(listed, brute_measurements(kingdom, &filter));
            }
        }
        for states in [
            requisition::State::LISTED.into_iter().collect::<BTreeSet<_>>(),
            [requisition::State::Withdrawn].into(),
        ] {
            let parent = requisition::Parent::DataProvider(DP1);
            let rows = requisition::list(&read, parent, &states, None, usize::MAX);
            let listed: Vec<_> = rows.into_iter().map(Row::key).collect();
            assert_eq!(listed, brute_requisitions(&kingdom.tables, &states));
        }
        for row in kingdom.tables.measurements.iter() {
            if let Some(computation) = row.computation {
                assert_eq!(find_by_computation(&kingdom.tables, computation).unwrap(), row);
            }
            let open: BTreeSet<_> = requisition::of_measurement(&kingdom.tables, row.key())
                .filter(|requisition| requisition.state.is_open())
                .map(|requisition| (requisition.data_provider, requisition.certificate))
                .collect();
            for (provider, certificate) in open {
                let found =
                    requisition::measurements_open_under(&kingdom.tables, provider, certificate);
                assert!(found.contains(&row.key()));
            }
        }
    }

    /// Moves of every kind, at random but repeatable; those that are refused must leave nothing.
    fn wander(seed: u64, steps: usize) -> Kingdom {
        let mut random = Seed::new(seed).child("wander");
        let mut kingdom = Kingdom::new();
        for _ in 0..steps {
            let keys: Vec<_> = kingdom.tables.measurements.iter().map(Row::key).collect();
            let draw = random.next_u32() as usize;
            let Some(&key) = keys.get(draw / 16 % keys.len().max(1)) else {
                kingdom.computed();
                continue;
            };
            let state = kingdom.state(key);
            let is_computed = find(&kingdom.tables, key).unwrap().computation.is_some();
            match draw % 8 {
                0 => drop(kingdom.direct()),
                1 => drop(kingdom.computed()),
                2 => drop(kingdom.write(|write| cancel(write, key))),
                3 => drop(kingdom.write(|write| batch_delete(write, &[(key, String::new())]))),
                4 if is_computed && state == State::PendingRequisitionParams => {
                    for duchy in DUCHIES {
                        kingdom.set_params(key, duchy, &el_gamal());
                    }
                }
                5 if is_computed
                    && state == State::PendingRequisitionFulfillment
                    && kingdom.requisition(key, DP2).state == requisition::State::Unfulfilled =>
                {
                    kingdom.fulfill_computed(key, DP2);
                }
                6 => {
                    let row = kingdom.requisition(key, DP1).key();
                    let refusal = requisition::Refusal { justification: 5, message: String::new() };
                    drop(kingdom.write(|write| requisition::refuse(write, row, "", refusal)));
                }
                7 if (draw / 8).is_multiple_of(5) => {
                    kingdom.revoke(&Owner::DataProvider(DP2), DP2 + CERTIFICATE);
                    kingdom.certificate(Owner::DataProvider(DP2), DP2 + CERTIFICATE);
                }
                _ => {}
            }
            assert_indexes_agree(&kingdom);
        }
        kingdom
    }

    #[test]
    fn lists_and_lookups_agree_with_a_scan_after_any_changes() {
        for seed in 0..8 {
            wander(seed, 150);
        }
    }

    #[test]
    fn stored_rows_load_again_with_their_indexes() {
        let before = wander(1, 200);
        let mut after = Kingdom::new();
        fn carry<R: Row>(from: &crate::store::Table<R>, to: &mut crate::store::Table<R>) {
            for row in from.iter() {
                to.load(&postcard::to_stdvec(row).unwrap()).unwrap();
            }
            to.loaded();
        }
        carry(&before.tables.measurements, &mut after.tables.measurements);
        carry(&before.tables.requisitions, &mut after.tables.requisitions);
        carry(&before.tables.participants, &mut after.tables.participants);
        assert!(!after.tables.measurements.is_empty());
        assert!(before.tables.measurements.iter().eq(after.tables.measurements.iter()));
        assert!(before.tables.requisitions.iter().eq(after.tables.requisitions.iter()));
        assert!(before.tables.participants.iter().eq(after.tables.participants.iter()));
        assert_indexes_agree(&after);
    }
}
