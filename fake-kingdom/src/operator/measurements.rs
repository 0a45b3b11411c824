//! Measurements of the operator's API (contract 1.8.2 to 1.8.4).

use super::render::{self, View};
use super::{Answer, external_id, invalid_argument, signed};
use crate::error::{InternalError, Refusal};
use crate::model::measurement::{
    self, BatchItem, BatchKind, Cursor, CursorKey, Filter, Measurement, State,
};
use crate::model::{Owner, Read, Timestamp, Write, certificate};
use kingdom_proto::internal as pb;
use pb::stream_measurements_request::filter::{After, after::Key};
use std::sync::Arc;

const MAX_BATCH_SIZE: usize = 1000;

/// BatchDeleteMeasurements (table 1.8.2): the operator's deletion path.
///
/// # Errors
/// INVALID_ARGUMENT for more than 1000 or a zero id, UNKNOWN for a negative one; then item by item
/// NOT_FOUND or ABORTED.
pub fn batch_delete(
    write: &mut Write<'_>,
    request: &pb::BatchDeleteMeasurementsRequest,
) -> Answer<()> {
    let wanted = request.requests.iter().map(|item| {
        (item.external_measurement_consumer_id, item.external_measurement_id, item.etag.as_str())
    });
    let items = items(&write.read(), wanted, BatchKind::Delete)?;
    measurement::batch_delete(write, &items).map_err(InternalError::untranslated)
}

/// BatchCancelMeasurements (table 1.8.2): answers in request order.
///
/// # Errors
/// As [`batch_delete`], and per item INTERNAL or FAILED_PRECONDITION if it is not pending (quirk
/// `batch-cancel-not-pending-is-internal`).
pub fn batch_cancel(
    write: &mut Write<'_>,
    request: &pb::BatchCancelMeasurementsRequest,
) -> Answer<pb::BatchCancelMeasurementsResponse> {
    let wanted = request.requests.iter().map(|item| {
        (item.external_measurement_consumer_id, item.external_measurement_id, item.etag.as_str())
    });
    let items = items(&write.read(), wanted, BatchKind::Cancel)?;
    let rows = measurement::batch_cancel(write, &items).map_err(InternalError::untranslated)?;
    let read = write.read();
    let measurements = rows.iter().map(|row| render::measurement(&read, row, View::Default));
    Ok(pb::BatchCancelMeasurementsResponse { measurements: measurements.collect() })
}

/// Field checks of the whole batch first, then item by item: a missing one decides before a later
/// one with a bad id.
fn items<'a>(
    read: &Read<'_>,
    wanted: impl ExactSizeIterator<Item = (u64, u64, &'a str)> + Clone,
    kind: BatchKind,
) -> Answer<Vec<BatchItem>> {
    if wanted.len() > MAX_BATCH_SIZE {
        return Err(invalid_argument("a batch has at most 1000 elements"));
    }
    if wanted.clone().any(|(consumer, measurement, _)| consumer == 0 || measurement == 0) {
        return Err(invalid_argument("an external id is not set"));
    }
    let mut items = Vec::with_capacity(wanted.len());
    for (consumer, measurement, etag) in wanted {
        let item = ((external_id(consumer)?, external_id(measurement)?), etag.to_owned());
        measurement::check_batch_item(read, &item, kind).map_err(InternalError::untranslated)?;
        items.push(item);
    }
    Ok(items)
}

/// GetMeasurement, in the default view.
///
/// # Errors
/// NOT_FOUND/MEASUREMENT_NOT_FOUND.
pub fn get(read: &Read<'_>, request: &pb::GetMeasurementRequest) -> Answer<pb::Measurement> {
    let consumer = external_id(request.external_measurement_consumer_id)?;
    let key = (consumer, external_id(request.external_measurement_id)?);
    let row = measurement::find(read.tables, key).map_err(InternalError::untranslated)?;
    Ok(render::measurement(read, row, View::Default))
}

/// GetMeasurementByComputationId, in the computation view.
///
/// # Errors
/// NOT_FOUND/MEASUREMENT_NOT_FOUND.
pub fn get_by_computation_id(
    read: &Read<'_>,
    request: &pb::GetMeasurementByComputationIdRequest,
) -> Answer<pb::Measurement> {
    let computation = external_id(request.external_computation_id)?;
    let row = measurement::find_by_computation(read.tables, computation)
        .map_err(InternalError::untranslated)?;
    Ok(render::measurement(read, row, View::Computation))
}

/// StreamMeasurements (contract 1.8.4): how an operator finds measurements.
///
/// # Errors
/// UNKNOWN for an unknown external_duchy_id or view, or an `after` without a key.
pub fn stream(
    read: &Read<'_>,
    request: &pb::StreamMeasurementsRequest,
) -> Answer<Vec<pb::Measurement>> {
    let view = match request.measurement_view {
        0 => View::Default,
        1 => View::Computation,
        2 => View::ComputationStats,
        _ => return Err(Refusal::uncaught()),
    };
    let rows = select(read, request)?;
    Ok(rows.into_iter().map(|row| render::measurement(read, row, view)).collect())
}

fn select<'a>(
    read: &Read<'a>,
    request: &pb::StreamMeasurementsRequest,
) -> Answer<Vec<&'a Measurement>> {
    let wanted = request.filter.clone().unwrap_or_default();
    let time = |field: &Option<prost_types::Timestamp>| field.as_ref().map(Timestamp::from_proto);
    let non_zero = |id: i64| (id != 0).then_some(id);
    let duchy: Option<Arc<str>> =
        (!wanted.external_duchy_id.is_empty()).then(|| wanted.external_duchy_id.as_str().into());
    if let Some(duchy) = &duchy
        && certificate::require_owner(read, &Owner::Duchy(duchy.clone())).is_err()
    {
        return Err(Refusal::uncaught());
    }
    let filter = Filter {
        measurement_consumer: non_zero(wanted.external_measurement_consumer_id),
        certificate: non_zero(wanted.external_measurement_consumer_certificate_id),
        states: (!wanted.states.is_empty()).then(|| {
            wanted.states.iter().filter_map(|state| State::from_internal(*state)).collect()
        }),
        updated_after: time(&wanted.updated_after),
        updated_before: time(&wanted.updated_before),
        created_after: time(&wanted.created_after),
        created_before: time(&wanted.created_before),
        duchy,
        has_computation: wanted.has_external_computation_id,
        after: wanted.after.as_ref().map(cursor).transpose()?,
    };
    let limit = match usize::try_from(request.limit) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(limit) => limit,
    };
    Ok(measurement::list(read, &filter, limit))
}

fn cursor(after: &After) -> Answer<Cursor> {
    let key = match &after.key {
        Some(Key::Measurement(key)) => CursorKey::Measurement((
            signed(key.external_measurement_consumer_id),
            signed(key.external_measurement_id),
        )),
        Some(Key::Computation(key)) => CursorKey::Computation(signed(key.external_computation_id)),
        None => return Err(Refusal::uncaught()),
    };
    let update_time = after.update_time.as_ref().map(Timestamp::from_proto).unwrap_or_default();
    Ok(Cursor { update_time, key })
}
