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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, ErrorInfo, INTERNAL_DOMAIN};
    use crate::model::fixture::{
        CERTIFICATE, DP1, Kingdom, MC1, MC2, consumer, el_gamal, reach, request, said,
    };
    use crate::model::measurement::MeasurementKey;
    use crate::model::participant;
    use crate::model::requisition::State as RequisitionState;
    use crate::operator::unsigned;
    use crate::public;
    use crate::quirk::Quirk;
    use kingdom_proto::v2alpha;

    const INVALID: (Code, Option<&str>) = (Code::InvalidArgument, None);

    fn deletion(key: MeasurementKey, etag: &str) -> pb::DeleteMeasurementRequest {
        pb::DeleteMeasurementRequest {
            external_measurement_consumer_id: unsigned(key.0),
            external_measurement_id: unsigned(key.1),
            etag: etag.to_owned(),
        }
    }

    fn cancellation(key: MeasurementKey, etag: &str) -> pb::CancelMeasurementRequest {
        pb::CancelMeasurementRequest {
            external_measurement_consumer_id: unsigned(key.0),
            external_measurement_id: unsigned(key.1),
            etag: etag.to_owned(),
        }
    }

    fn delete(kingdom: &mut Kingdom, requests: Vec<pb::DeleteMeasurementRequest>) -> Answer<()> {
        let request = pb::BatchDeleteMeasurementsRequest { requests };
        kingdom.write(|write| batch_delete(write, &request))
    }

    fn cancel(
        kingdom: &mut Kingdom,
        requests: Vec<pb::CancelMeasurementRequest>,
    ) -> Answer<Vec<pb::Measurement>> {
        let request = pb::BatchCancelMeasurementsRequest { requests };
        kingdom.write(|write| batch_cancel(write, &request)).map(|response| response.measurements)
    }

    fn etag(kingdom: &Kingdom, key: MeasurementKey) -> String {
        measurement::find(&kingdom.tables, key).unwrap().etag()
    }

    /// Table 1.8.2: hard delete in any state with all children, and the request_id is free again.
    #[test]
    fn a_deletion_takes_all_children_and_frees_the_request_id() {
        for state in State::ALL {
            let mut kingdom = Kingdom::new();
            let mut wanted = request(&[DP1, 2], reach());
            wanted.request_id = "id".to_owned();
            let key = kingdom.create(&wanted);
            let (computation, etag) = (kingdom.computation(key), etag(&kingdom, key));
            kingdom.force(key, state);
            // Duplicates are fine.
            delete(&mut kingdom, vec![deletion(key, &etag), deletion(key, "")]).unwrap();
            assert!(kingdom.tables.measurements.is_empty());
            assert!(kingdom.tables.requisitions.is_empty());
            assert!(kingdom.tables.participants.is_empty());
            assert!(measurement::find_by_computation(&kingdom.tables, computation).is_err());
            assert_ne!(kingdom.create(&wanted), key);
            let name = format!(
                "{}/measurements/{}",
                Owner::MeasurementConsumer(MC1).name(),
                crate::error::api_id(key.1)
            );
            let get = v2alpha::GetMeasurementRequest { name };
            let answer = public::measurements::get(&kingdom.read(), Some(&consumer(MC1)), &get);
            assert_eq!(said(answer), (Code::NotFound, Some("MEASUREMENT_NOT_FOUND")));
        }
    }

    /// Table 1.8.2: all or nothing, the first problem decides; an empty list succeeds.
    #[test]
    fn a_batch_is_all_or_nothing_and_the_first_problem_decides() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        let (missing, negative) = ((MC1, 7), (MC1, -7));
        let not_found = (Code::NotFound, Some("MEASUREMENT_NOT_FOUND"));
        let mismatch = (Code::Aborted, Some("MEASUREMENT_ETAG_MISMATCH"));
        let unknown = (Code::Unknown, None);
        let cases = [
            (vec![(key, ""), (missing, "")], not_found),
            (vec![(missing, ""), (key, "x")], not_found),
            (vec![(key, "x"), (missing, "")], mismatch),
            (vec![(missing, ""), (negative, "")], not_found),
            (vec![(negative, ""), (missing, "")], unknown),
            (vec![(key, ""), ((MC1, 0), "")], INVALID),
            (vec![((0, 7), "")], INVALID),
        ];
        for (items, expected) in cases {
            let deletions = items.iter().map(|(key, etag)| deletion(*key, etag)).collect();
            assert_eq!(said(delete(&mut kingdom, deletions)), expected, "{items:?}");
            let cancellations = items.iter().map(|(key, etag)| cancellation(*key, etag)).collect();
            assert_eq!(said(cancel(&mut kingdom, cancellations)), expected, "{items:?}");
            assert_eq!(kingdom.state(key), State::PendingRequisitionFulfillment);
        }
        assert_eq!(said(delete(&mut kingdom, vec![deletion(key, ""); 1001])), INVALID);
        assert_eq!(said(cancel(&mut kingdom, vec![cancellation(key, ""); 1001])), INVALID);
        assert!(delete(&mut kingdom, vec![]).is_ok());
        assert!(delete(&mut kingdom, vec![deletion(key, ""); 1000]).is_ok());
    }

    /// 1.8.1: internal domain, snake_case, decimal ids.
    #[test]
    fn errors_are_untranslated() {
        let mut kingdom = Kingdom::new();
        let refusal = delete(&mut kingdom, vec![deletion((MC1, 7), "")]).unwrap_err();
        let metadata =
            [("external_measurement_consumer_id", "101"), ("external_measurement_id", "7")];
        let expected = ErrorInfo {
            domain: INTERNAL_DOMAIN,
            reason: "MEASUREMENT_NOT_FOUND",
            metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        };
        assert_eq!(refusal.info, Some(expected));
    }

    /// Quirk measurement-etag-metadata-swapped, 1.8.3.
    #[test]
    fn the_two_etags_stand_under_each_others_key_or_as_documented_their_own() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        let actual = etag(&kingdom, key);
        for is_swapped in [true, false] {
            for refusal in [
                delete(&mut kingdom, vec![deletion(key, "mine")]).unwrap_err(),
                cancel(&mut kingdom, vec![cancellation(key, "mine")]).unwrap_err(),
            ] {
                let metadata = refusal.info.unwrap().metadata;
                let shown = metadata.get("requested_measurement_etag").map(String::as_str);
                assert_eq!(shown, Some(if is_swapped { actual.as_str() } else { "mine" }));
                let shown = metadata.get("actual_measurement_etag").map(String::as_str);
                assert_eq!(shown, Some(if is_swapped { "mine" } else { actual.as_str() }));
            }
            kingdom.off(Quirk::MeasurementEtagMetadataSwapped);
        }
    }

    /// Table 1.8.2 BatchCancelMeasurements: withdraws in all four pending states.
    #[test]
    fn a_batch_cancellation_withdraws_open_requisitions_in_all_pending_states() {
        for state in State::ALL.into_iter().filter(|state| state.is_pending()) {
            let mut kingdom = Kingdom::new();
            let (first, second) = (kingdom.computed(), kingdom.computed());
            kingdom.force(first, state);
            let before = etag(&kingdom, first);
            let items = vec![cancellation(second, ""), cancellation(first, &before)];
            let answer = cancel(&mut kingdom, items).unwrap();
            let ids: Vec<_> = answer.iter().map(|row| row.external_measurement_id).collect();
            assert_eq!(ids, [unsigned(second.1), unsigned(first.1)]);
            assert!(answer.iter().all(|row| row.state() == pb::measurement::State::Cancelled));
            assert_eq!(answer[1].etag, etag(&kingdom, first));
            assert_ne!(answer[1].etag, before);
            assert_eq!(answer[1].update_time, Some(kingdom.now.to_proto()));
            let withdrawn = (RequisitionState::Withdrawn, RequisitionState::Withdrawn);
            assert_eq!(kingdom.requisition_states(first), withdrawn, "{state:?}");
        }
    }

    /// Quirk batch-cancel-not-pending-is-internal; the state comes before the etag.
    #[test]
    fn cancelling_what_is_not_pending_is_internal_or_as_documented_a_precondition() {
        for state in [State::Succeeded, State::Failed, State::Cancelled] {
            let mut kingdom = Kingdom::new();
            let key = kingdom.direct();
            kingdom.force(key, state);
            let answer = cancel(&mut kingdom, vec![cancellation(key, "x")]);
            assert_eq!(said(answer), (Code::Internal, Some("MEASUREMENT_STATE_ILLEGAL")));
            kingdom.off(Quirk::BatchCancelNotPendingIsInternal);
            let answer = cancel(&mut kingdom, vec![cancellation(key, "x")]);
            assert_eq!(said(answer), (Code::FailedPrecondition, Some("MEASUREMENT_STATE_ILLEGAL")));
        }
    }

    type F = pb::stream_measurements_request::Filter;

    fn streamed(kingdom: &Kingdom, filter: F, limit: i32) -> Vec<u64> {
        let request =
            pb::StreamMeasurementsRequest { filter: Some(filter), limit, measurement_view: 0 };
        let rows = stream(&kingdom.read(), &request).unwrap();
        rows.into_iter().map(|row| row.external_measurement_id).collect()
    }

    /// 1.8.4: each filter; bounds exclusive; limit 0 = none.
    #[test]
    fn a_stream_filters_by_every_field_of_1_8_4() {
        let mut kingdom = Kingdom::new();
        let direct = kingdom.direct();
        let at_direct = Some(kingdom.now.to_proto());
        let computed = kingdom.computed();
        let at_computed = Some(kingdom.now.to_proto());
        let owner = Owner::MeasurementConsumer(MC2);
        let mut theirs = request(&[DP1], reach());
        theirs.parent = owner.name();
        theirs.measurement.as_mut().unwrap().measurement_consumer_certificate =
            owner.certificate_name(MC2 + 2 * CERTIFICATE);
        let created = public::measurements::create;
        kingdom.write(|write| created(write, Some(&consumer(MC2)), &theirs)).unwrap();
        let all = streamed(&kingdom, F::default(), 0);
        assert_eq!(all.len(), 3);
        let (direct, computed, other) = (unsigned(direct.1), unsigned(computed.1), all[2]);
        assert_eq!(all, [direct, computed, other]);
        assert_eq!(streamed(&kingdom, F::default(), 2), [direct, computed]);

        let after = |key: Option<Key>, update_time| F {
            after: Some(After { update_time, key }),
            ..F::default()
        };
        let key_of = |consumer: i64, measurement: u64| {
            Some(Key::Measurement(pb::MeasurementKey {
                external_measurement_consumer_id: unsigned(consumer),
                external_measurement_id: measurement,
            }))
        };
        let cases = [
            (F { external_measurement_consumer_id: MC2, ..F::default() }, vec![other]),
            (
                F {
                    external_measurement_consumer_certificate_id: MC2 + 2 * CERTIFICATE,
                    ..F::default()
                },
                vec![other],
            ),
            (F { states: vec![1], ..F::default() }, vec![computed]),
            (F { states: vec![2, 1], ..F::default() }, all.clone()),
            (F { states: vec![0], ..F::default() }, vec![]),
            (F { updated_after: at_direct, ..F::default() }, vec![computed, other]),
            (F { updated_before: at_computed, ..F::default() }, vec![direct]),
            (F { created_after: at_computed, ..F::default() }, vec![other]),
            (F { created_before: at_computed, ..F::default() }, vec![direct]),
            (F { external_duchy_id: "worker1".to_owned(), ..F::default() }, vec![computed]),
            (F { has_external_computation_id: true, ..F::default() }, vec![computed]),
            (after(key_of(MC1, direct), at_direct), vec![computed, other]),
            (after(key_of(MC1, computed), at_computed), vec![other]),
            // Only the public token loses update_time.
            (after(key_of(MC1, direct), None), all.clone()),
        ];
        for (filter, expected) in cases {
            assert_eq!(streamed(&kingdom, filter.clone(), 0), expected, "{filter:?}");
        }
        let unknown = pb::StreamMeasurementsRequest {
            filter: Some(F { external_duchy_id: "nobody".to_owned(), ..F::default() }),
            ..pb::StreamMeasurementsRequest::default()
        };
        assert_eq!(said(stream(&kingdom.read(), &unknown)), (Code::Unknown, None));
    }

    /// 1.8.4 `measurement_view`.
    #[test]
    fn views_show_providers_or_the_computation() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.set_params(key, "worker1", &el_gamal());
        let view = |measurement_view| {
            let request = pb::StreamMeasurementsRequest {
                measurement_view,
                ..pb::StreamMeasurementsRequest::default()
            };
            stream(&kingdom.read(), &request).unwrap().remove(0)
        };
        let default = view(0);
        assert_eq!((default.data_providers.len(), default.requisitions.len()), (2, 0));
        assert_eq!(default.etag, etag(&kingdom, key));
        let computation = view(1);
        assert_eq!(computation.requisitions.len(), 2);
        assert_eq!(computation.computation_participants.len(), 3);
        let pending = &computation.requisitions[0];
        assert_eq!(pending.state(), pb::requisition::State::PendingParams);
        assert_eq!(pending.duchies.keys().collect::<Vec<_>>(), ["worker1"]);
        assert_eq!(pending.parent_measurement.clone().unwrap().data_providers_count, 2);
        assert!(view(2).requisitions.is_empty());
        let config = default.details.unwrap();
        assert!(config.duchy_protocol_config.is_some());
    }

    /// Table 1.8.2: duplicates are fine, and are answered in request order.
    #[test]
    fn the_same_measurement_twice_in_a_cancellation_is_cancelled_once() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        kingdom.mutations.clear();
        let twice = vec![cancellation(key, ""), cancellation(key, "")];
        let answer = cancel(&mut kingdom, twice).unwrap();
        assert_eq!(answer[0], answer[1]);
        let actions: Vec<_> = kingdom.mutations.iter().map(|m| m.action.as_ref()).collect();
        assert_eq!(actions, ["cancel", "withdraw"]);
    }

    /// 1.8.4 `after.computation`, and an `after` without any key.
    #[test]
    fn a_stream_goes_on_after_a_computation() {
        let mut kingdom = Kingdom::new();
        let (first, second) = (kingdom.computed(), kingdom.computed());
        let update_time = measurement::find(&kingdom.tables, first).unwrap().update_time.to_proto();
        let key = Key::Computation(pb::ComputationKey {
            external_computation_id: unsigned(kingdom.computation(first)),
        });
        let after = After { update_time: Some(update_time), key: Some(key) };
        let filter = F { after: Some(after), ..F::default() };
        assert_eq!(streamed(&kingdom, filter, 0), [unsigned(second.1)]);
        let unkeyed = pb::StreamMeasurementsRequest {
            filter: Some(F { after: Some(After::default()), ..F::default() }),
            ..pb::StreamMeasurementsRequest::default()
        };
        assert_eq!(said(stream(&kingdom.read(), &unkeyed)), (Code::Unknown, None));
    }

    #[test]
    fn a_measurement_is_found_by_its_ids_or_its_computation() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let by_ids = pb::GetMeasurementRequest {
            external_measurement_consumer_id: unsigned(key.0),
            external_measurement_id: unsigned(key.1),
        };
        assert_eq!(get(&kingdom.read(), &by_ids).unwrap().external_measurement_id, unsigned(key.1));
        let computation = kingdom.computation(key);
        let find = |id: i64| {
            let request =
                pb::GetMeasurementByComputationIdRequest { external_computation_id: unsigned(id) };
            get_by_computation_id(&kingdom.read(), &request)
        };
        assert_eq!(find(computation).unwrap().computation_participants.len(), 3);
        assert_eq!(participant::of_computation(&kingdom.tables, computation).count(), 3);
        assert_eq!(said(find(7)), (Code::NotFound, Some("MEASUREMENT_NOT_FOUND")));
    }
}
