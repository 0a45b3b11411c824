//! Requisitions: rows, state rules of refusal and fulfilment, lists (contract 1.7).

use super::measurement::{self, FailureReason, Measurement, MeasurementKey};
use super::merge::merged;
use super::protocol::Protocol;
use super::{Outcome, Owner, Read, Timestamp, Write, certificate, etag};
use crate::error::{Code, InternalError, Reason, api_id};
use crate::quirk::Quirk;
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Data provider and requisition, by external ids.
pub type RequisitionKey = (i64, i64);

/// A requisition as stored. Certificate, key and spec are those of creation (contract 1.7.11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requisition {
    /// Its data provider.
    pub data_provider: i64,
    /// External id.
    pub id: i64,
    /// The consumer of its measurement.
    pub measurement_consumer: i64,
    /// Its measurement.
    pub measurement: i64,
    /// The provider's certificate it is bound to (contract 1.5.12).
    pub certificate: i64,
    /// The provider's serialized EncryptionPublicKey, as the consumer sent it.
    pub public_key: Box<[u8]>,
    /// Ciphertext of the requisition spec.
    pub encrypted_requisition_spec: Box<[u8]>,
    /// Hash of the nonce; no public answer shows it on a requisition (table 1.7.12).
    pub nonce_hash: Box<[u8]>,
    /// Where it stands.
    pub state: State,
    /// Commit time of its last change; its etag derives from it (contract 1.7.10).
    pub update_time: Timestamp,
    /// The Duchy that fulfils or fulfilled it (contract 1.7.13, 1.8.7).
    pub fulfilling_duchy: Option<Arc<str>>,
    /// The nonce, 0 before fulfilment.
    pub nonce: u64,
    /// Why it was refused.
    pub refusal: Option<Refusal>,
    /// What a direct fulfilment delivered.
    pub direct_result: Option<DirectResult>,
    /// What the provider said about its fulfilment.
    pub fulfillment_context: Option<FulfillmentContext>,
}

/// A refusal (contract 1.7.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Wire number of the justification, 1 to 5, alike in both APIs.
    pub justification: i32,
    /// Free text.
    pub message: String,
}

/// The result of a direct fulfilment (contract 1.7.8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectResult {
    /// Ciphertext.
    pub encrypted_data: Vec<u8>,
    /// The certificate the provider named, not even checked to exist (contract 1.6.2).
    pub certificate: Option<i64>,
    /// API version of the ciphertext's message.
    pub api_version: String,
}

/// `fulfillment_context` (contract 1.7.9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the fields of the wire message")]
pub struct FulfillmentContext {
    pub build_label: String,
    pub warnings: Vec<String>,
}

/// The states of the data server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the values of the internal enum")]
pub enum State {
    PendingParams,
    Unfulfilled,
    Fulfilled,
    Refused,
    Withdrawn,
}

impl State {
    /// All states, in the order of their internal numbers.
    pub const ALL: [Self; 5] =
        [Self::PendingParams, Self::Unfulfilled, Self::Fulfilled, Self::Refused, Self::Withdrawn];

    /// What lists show without a filter, and the most they ever show (contract 1.7.2).
    pub const LISTED: [Self; 4] =
        [Self::Unfulfilled, Self::Fulfilled, Self::Refused, Self::Withdrawn];

    /// Whether a cascade or cancellation withdraws it (contract 1.6.3).
    pub fn is_open(self) -> bool {
        matches!(self, Self::PendingParams | Self::Unfulfilled)
    }

    /// Wire number in the internal API.
    pub fn to_internal(self) -> i32 {
        match self {
            Self::PendingParams => 1,
            Self::Unfulfilled => 2,
            Self::Fulfilled => 3,
            Self::Refused => 4,
            Self::Withdrawn => 5,
        }
    }

    /// Wire number in the public and the system API: PENDING_PARAMS is shown as UNFULFILLED
    /// (contract 1.7.4).
    pub fn to_public(self) -> i32 {
        match self {
            Self::PendingParams | Self::Unfulfilled => 1,
            Self::Fulfilled => 2,
            Self::Refused => 3,
            Self::Withdrawn => 4,
        }
    }

    /// The state that a public filter means; never PENDING_PARAMS, and none for an unspecified or
    /// unknown number (contract 1.7.2).
    pub fn from_public(number: i32) -> Option<Self> {
        Self::LISTED.into_iter().find(|state| state.to_public() == number)
    }

    /// Public and internal name, for error metadata (contract 1.0.11, 1.7.4).
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::PendingParams => ("UNFULFILLED", "PENDING_PARAMS"),
            Self::Unfulfilled => ("UNFULFILLED", "UNFULFILLED"),
            Self::Fulfilled => ("FULFILLED", "FULFILLED"),
            Self::Refused => ("REFUSED", "REFUSED"),
            Self::Withdrawn => ("WITHDRAWN", "WITHDRAWN"),
        }
    }

    /// The internal name, which the audit trail shows.
    pub fn internal_name(self) -> &'static str {
        self.names().1
    }
}

impl Requisition {
    /// The canonical resource name (contract 1.7.1).
    pub fn name(&self) -> String {
        format!(
            "{}/requisitions/{}",
            Owner::DataProvider(self.data_provider).name(),
            api_id(self.id)
        )
    }

    /// The etag (contract 1.7.10).
    pub fn etag(&self) -> String {
        etag::of(self.update_time)
    }

    /// Key of its measurement.
    pub fn measurement_key(&self) -> MeasurementKey {
        (self.measurement_consumer, self.measurement)
    }
}

/// The requisitions of a measurement, by provider and id.
pub fn of_measurement(tables: &Tables, key: MeasurementKey) -> impl Iterator<Item = &Requisition> {
    let keys = tables.requisitions.index().by_measurement.get(&key);
    keys.into_iter().flatten().filter_map(|key| tables.requisitions.get(key))
}

/// Withdraws every open requisition of a measurement, of all its providers; fulfilled ones stay
/// (contract 1.6.3). Each gets a new update_time, hence a new etag (1.6.6).
pub(crate) fn withdraw_open(write: &mut Write<'_>, key: MeasurementKey) {
    let open: Vec<_> =
        of_measurement(write.tables, key).filter(|row| row.state.is_open()).map(Row::key).collect();
    for key in open {
        change(write, key, "withdraw", State::Withdrawn, |_| {});
    }
}

/// Opens the requisitions of a measurement once all Duchies gave their parameters (1.8.9).
pub(crate) fn open_all(write: &mut Write<'_>, key: MeasurementKey) {
    let keys: Vec<_> = of_measurement(write.tables, key).map(Row::key).collect();
    for key in keys {
        change(write, key, "open", State::Unfulfilled, |_| {});
    }
}

/// Deletes the requisitions of a measurement (table 1.8.2 BatchDeleteMeasurements).
pub(crate) fn delete_of(write: &mut Write<'_>, key: MeasurementKey) {
    let keys: Vec<_> = of_measurement(write.tables, key).map(Row::key).collect();
    for key in keys {
        write.tables.requisitions.remove(&key);
    }
}

fn change(
    write: &mut Write<'_>,
    key: RequisitionKey,
    action: &'static str,
    to: State,
    change: impl FnOnce(&mut Requisition),
) {
    if let Some(row) = write.tables.requisitions.get(&key) {
        let (name, before) = (row.name(), row.state);
        let now = write.now;
        write.tables.requisitions.update(&key, |row| {
            row.state = to;
            row.update_time = now;
            change(row);
        });
        write.note(action, name, Some(before.internal_name()), Some(to.internal_name()));
    }
}

/// GetRequisition (contract 1.7.3), with quirk `pending-params-requisition-visible` (1.7.4).
///
/// # Errors
/// NOT_FOUND/REQUISITION_NOT_FOUND.
pub fn get<'a>(read: &Read<'a>, key: RequisitionKey) -> Outcome<&'a Requisition> {
    let is_visible = |row: &&Requisition| {
        row.state != State::PendingParams || read.faithful(Quirk::PendingParamsRequisitionVisible)
    };
    read.tables.requisitions.get(&key).filter(is_visible).ok_or_else(|| {
        InternalError::not_found(Reason::RequisitionNotFound {
            data_provider: key.0,
            requisition: key.1,
        })
    })
}

/// Whose requisitions a list shows (contract 1.7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the two parents of the clause")]
pub enum Parent {
    DataProvider(i64),
    Measurement(MeasurementKey),
}

/// Order of lists: update_time, provider, requisition (contract 1.7.2).
pub type Cursor = (Timestamp, i64, i64);

/// One page of ListRequisitions: the first `limit` rows in `states` beyond `after`.
pub fn list<'a>(
    read: &Read<'a>,
    parent: Parent,
    states: &BTreeSet<State>,
    after: Option<Cursor>,
    limit: usize,
) -> Vec<&'a Requisition> {
    let tables = read.tables;
    let order = |row: &Requisition| (row.update_time, row.data_provider, row.id);
    let beyond = |row: &&Requisition| after.is_none_or(|after| order(row) > after);
    match parent {
        Parent::DataProvider(provider) => {
            let start = after.map_or(i64::MIN, |(time, _, _)| time.micros());
            let walks = states
                .iter()
                .filter_map(|state| {
                    tables.requisitions.index().by_provider.get(&(provider, *state))
                })
                .map(|keys| keys.range((Timestamp::from_micros(start), i64::MIN)..).copied())
                .collect();
            merged(walks)
                .filter_map(|(_, id)| tables.requisitions.get(&(provider, id)))
                .filter(beyond)
                .take(limit)
                .collect()
        }
        Parent::Measurement(key) => {
            let mut rows: Vec<_> = of_measurement(tables, key)
                .filter(|row| states.contains(&row.state))
                .filter(beyond)
                .collect();
            rows.sort_by_key(|row| order(row));
            rows.truncate(limit);
            rows
        }
    }
}

/// The checks of 1.7.5, after existence: etag, requisition, measurement.
fn require_fulfillable<'a>(
    tables: &'a Tables,
    row: &Requisition,
    requested_etag: &str,
) -> Outcome<&'a Measurement> {
    let actual = row.etag();
    if !requested_etag.is_empty() && requested_etag != actual {
        return Err(InternalError::new(
            Code::Aborted,
            Reason::RequisitionEtagMismatch { requested: requested_etag.to_owned(), actual },
        ));
    }
    if row.state != State::Unfulfilled {
        return Err(InternalError::failed_precondition(Reason::RequisitionStateIllegal {
            requisition: row.id,
            state: row.state.names(),
        }));
    }
    let measurement = measurement::find(tables, row.measurement_key())?;
    if measurement.state != measurement::State::PendingRequisitionFulfillment {
        return Err(measurement.state_illegal());
    }
    Ok(measurement)
}

/// RefuseRequisition from "the data server" on (contract 1.7.6): 1.7.5, then the effect 1.7.7.
///
/// # Errors
/// An unknown justification INVALID_ARGUMENT without description; those of 1.7.5.
pub fn refuse(
    write: &mut Write<'_>,
    key: RequisitionKey,
    requested_etag: &str,
    refusal: Refusal,
) -> Outcome<Requisition> {
    if !(1..=5).contains(&refusal.justification) {
        return Err(InternalError::invalid_argument("unknown justification"));
    }
    let row = get(&write.read(), key)?;
    require_fulfillable(write.tables, row, requested_etag)?;
    let measurement = row.measurement_key();
    change(write, key, "refuse", State::Refused, |row| row.refusal = Some(refusal));
    let message = format!("ID of the refused requisition: {}", api_id(key.1));
    measurement::fail(write, measurement, FailureReason::RequisitionRefused, message)?;
    withdraw_open(write, measurement);
    get(&write.read(), key).cloned()
}

/// What any fulfilment says beside its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fulfillment {
    /// Stored; not verified for Direct (contract 1.7.8).
    pub nonce: u64,
    /// Stored if given (contract 1.7.9).
    pub context: Option<FulfillmentContext>,
    /// Compared unless empty (contract 1.7.10).
    pub etag: String,
}

/// FulfillDirectRequisition from "data server" on (contract 1.7.8): ciphertext, 1.7.5, effect 1.7.9.
///
/// # Errors
/// Empty ciphertext INVALID_ARGUMENT without description; those of 1.7.5; FAILED_PRECONDITION if
/// the protocol is not Direct and quirk `direct-fulfilment-of-any-protocol` is off.
pub fn fulfill_direct(
    write: &mut Write<'_>,
    key: RequisitionKey,
    result: DirectResult,
    fulfillment: Fulfillment,
) -> Outcome<Requisition> {
    if result.encrypted_data.is_empty() {
        return Err(InternalError::invalid_argument("encrypted data is not set"));
    }
    let row = get(&write.read(), key)?;
    let measurement = require_fulfillable(write.tables, row, &fulfillment.etag)?;
    if !measurement.protocol.is_direct() && !write.faithful(Quirk::DirectFulfilmentOfAnyProtocol) {
        let message = "the measurement's protocol is not Direct";
        return Err(InternalError::bare(Code::FailedPrecondition, message));
    }
    fulfill(write, key, fulfillment, measurement::State::Succeeded, |row| {
        row.direct_result = Some(result);
    })
}

/// The system API's FulfillRequisition: any Duchy may fulfil any computation's requisition and is
/// recorded as the fulfilling one (contract 1.8.7); 1.7.5 as everywhere.
///
/// # Errors
/// NOT_FOUND/REQUISITION_NOT_FOUND; those of 1.7.5; NOT_FOUND/DUCHY_NOT_FOUND.
pub fn fulfill_computed(
    write: &mut Write<'_>,
    computation: i64,
    requisition: i64,
    duchy: &Arc<str>,
    fulfillment: Fulfillment,
) -> Outcome<Requisition> {
    let key = by_computation(write.tables, computation, requisition).ok_or_else(|| {
        InternalError::not_found(Reason::RequisitionNotFoundByComputation {
            computation,
            requisition,
        })
    })?;
    let row = &write.tables.requisitions.get(&key);
    let row = row.ok_or_else(|| InternalError::bare(Code::Internal, "index without a row"))?;
    let measurement = require_fulfillable(write.tables, row, &fulfillment.etag)?;
    // LLv2 participants confirm first; the others have been ready since they gave parameters
    // (contract 1.6.3, 1.6.8).
    let next = match measurement.protocol {
        Protocol::HonestMajorityShareShuffle(_) | Protocol::TrusTee(_) => {
            measurement::State::PendingComputation
        }
        _ => measurement::State::PendingParticipantConfirmation,
    };
    certificate::require_owner(&write.read(), &Owner::Duchy(duchy.clone()))?;
    let duchy = duchy.clone();
    fulfill(write, key, fulfillment, next, |row| row.fulfilling_duchy = Some(duchy))
}

/// FULFILLED; the fulfilment that leaves no other requisition un-FULFILLED moves the measurement to
/// `next`: which state that is, this last call decides (contract 1.7.9).
fn fulfill(
    write: &mut Write<'_>,
    key: RequisitionKey,
    fulfillment: Fulfillment,
    next: measurement::State,
    result: impl FnOnce(&mut Requisition),
) -> Outcome<Requisition> {
    change(write, key, "fulfill", State::Fulfilled, |row| {
        row.nonce = fulfillment.nonce;
        row.fulfillment_context = fulfillment.context;
        result(row);
    });
    let row = get(&write.read(), key)?.clone();
    let measurement = row.measurement_key();
    if of_measurement(write.tables, measurement).all(|row| row.state == State::Fulfilled) {
        let action = if next == measurement::State::Succeeded { "succeed" } else { "advance" };
        measurement::transition(write, measurement, action, next, |_| {})?;
    }
    Ok(row)
}

fn by_computation(tables: &Tables, computation: i64, id: i64) -> Option<RequisitionKey> {
    let measurement = measurement::find_by_computation(tables, computation).ok()?;
    of_measurement(tables, measurement.key()).find(|row| row.id == id).map(Row::key)
}

/// Measurements with an open requisition bound to this certificate (table 1.6.3 DataProvider).
pub(crate) fn measurements_open_under(
    tables: &Tables,
    data_provider: i64,
    certificate: i64,
) -> BTreeSet<MeasurementKey> {
    let ids = tables.requisitions.index().open_by_certificate.get(&(data_provider, certificate));
    ids.into_iter()
        .flatten()
        .filter_map(|id| tables.requisitions.get(&(data_provider, *id)))
        .map(Requisition::measurement_key)
        .collect()
}

/// The lookups that requisitions need.
#[derive(Default)]
pub struct RequisitionIndex {
    by_measurement: BTreeMap<MeasurementKey, BTreeSet<RequisitionKey>>,
    /// Provider and certificate, open requisitions only (table 1.6.3).
    open_by_certificate: BTreeMap<(i64, i64), BTreeSet<i64>>,
    /// List order of one provider, one walk per state.
    by_provider: BTreeMap<(i64, State), BTreeSet<(Timestamp, i64)>>,
}

impl Row for Requisition {
    type Key = RequisitionKey;
    type Index = RequisitionIndex;
    const TABLE: &'static str = "requisitions";

    fn key(&self) -> Self::Key {
        (self.data_provider, self.id)
    }

    fn enter(self: &std::sync::Arc<Self>, index: &mut Self::Index) {
        index.by_measurement.entry(self.measurement_key()).or_default().insert(self.key());
        if self.state.is_open() {
            let bound = (self.data_provider, self.certificate);
            index.open_by_certificate.entry(bound).or_default().insert(self.id);
        }
        let by_provider = index.by_provider.entry((self.data_provider, self.state)).or_default();
        by_provider.insert((self.update_time, self.id));
    }

    fn leave(&self, index: &mut Self::Index) {
        // A measurement that is gone leaves no empty entry behind.
        if let Some(keys) = index.by_measurement.get_mut(&self.measurement_key()) {
            keys.remove(&self.key());
            if keys.is_empty() {
                index.by_measurement.remove(&self.measurement_key());
            }
        }
        if let Some(ids) =
            index.open_by_certificate.get_mut(&(self.data_provider, self.certificate))
        {
            ids.remove(&self.id);
        }
        if let Some(keys) = index.by_provider.get_mut(&(self.data_provider, self.state)) {
            keys.remove(&(self.update_time, self.id));
        }
    }
}
