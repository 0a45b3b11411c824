//! EventGroups of the public API (contract 1.4).
//!
//! The real list may read a snapshot up to 30 s old (contract 1.4.11); this one reads strongly.
//! Activities belong to a service outside this fake, so no event group has any: the view
//! WITH_ACTIVITY_SUMMARY is accepted and adds nothing, `activity_contains` holds for no group.

use super::certificates::{signed, unsigned};
use super::{
    Answer, Caller, bad_shape, decode_id, decode_token, encode_token, full_name,
    interval_from_proto, interval_to_proto, page_size, public_keys, require_owner,
    require_principal, unpack, whitelist, with_constraints,
};
use crate::authn::Principal;
use crate::error::{Code, InternalError, Refusal};
use crate::model::event_group::{
    self, Content, Cursor, DEFAULT_ENTITY_TYPE, Details, EventGroup, Filter, Metadata,
    NewEventGroup, Order, State,
};
use crate::model::{Moment, Owner, Read, Write};
use crate::quirk::Quirk;
use kingdom_proto::TYPE_URL_PREFIX;
use kingdom_proto::name::{
    DataProviderName, EventGroupName, MeasurementConsumerEventGroupName, MeasurementConsumerName,
};
use kingdom_proto::v2alpha as pb;
use prost::Message as _;
use std::collections::BTreeSet;

/// Documented limit of the two batches (contract 1.4.6).
const MAX_BATCH: usize = 50;

/// GetEventGroup by either name form (contract 1.4.8).
///
/// # Errors
/// In order: name shape, principal, permission, ids, view, then NOT_FOUND/EVENT_GROUP_NOT_FOUND, or
/// PERMISSION_DENIED for a consumer that uses the provider's name.
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetEventGroupRequest,
) -> Answer<pb::EventGroup> {
    let name = AnyName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let principal = require_principal(caller)?;
    let own = principal.name() == name.parent();
    let allowed = match (&name, principal) {
        (AnyName::Provider(_), Principal::DataProvider(_)) => own,
        (AnyName::Provider(_), Principal::MeasurementConsumer(_)) => true,
        (AnyName::Provider(_), _) => false,
        (AnyName::Consumer(_), _) => own,
    };
    if !allowed {
        return Err(Refusal::permission_denied());
    }
    let (owner, id) = name.decode(read)?;
    check_view(request.view)?;
    let row = event_group::get(read, &owner, id).map_err(|error| {
        if own {
            return error.public(whitelist::GET_EVENT_GROUP);
        }
        // Missing is told apart from foreign by its ErrorInfo (quirk foreign-event-group-...).
        let mut refusal = Refusal::permission_denied();
        if read.faithful(Quirk::ForeignEventGroupDistinguishable) {
            refusal.info = error.public(whitelist::GET_EVENT_GROUP).info;
        }
        refusal
    })?;
    let consumer = Owner::MeasurementConsumer(row.content.measurement_consumer);
    if !own && principal.name() != consumer.name() {
        return Err(Refusal::permission_denied());
    }
    Ok(to_proto(row))
}

/// CreateEventGroup (contract 1.4.2, 1.4.4, 1.4.5).
///
/// # Errors
/// In order: parent shape, principal, ownership, field checks, ids, then 1.4.5 and 1.0.17.
pub fn create(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::CreateEventGroupRequest,
) -> Answer<pb::EventGroup> {
    let parent = DataProviderName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    require_owner(caller, &request.parent)?;
    let group = request.event_group.clone().unwrap_or_default();
    let content = content(&write.read(), &group)?;
    let provider = decode_id(&write.read(), &parent.data_provider)?;
    let new = NewEventGroup { request_id: request.request_id.clone(), content };
    let outcome = event_group::create(write, provider, new);
    outcome.map(|row| to_proto(&row)).map_err(|error| create_refusal(write, error))
}

/// BatchCreateEventGroups: one transaction, answered in request order (contract 1.4.6).
///
/// # Errors
/// In order: parent shape, principal, ownership, (batch size,) then each child's own checks.
pub fn batch_create(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::BatchCreateEventGroupsRequest,
) -> Answer<pb::BatchCreateEventGroupsResponse> {
    let parent = DataProviderName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    require_owner(caller, &request.parent)?;
    let read = write.read();
    check_batch_size(&read, request.requests.len())?;
    let mut request_ids = BTreeSet::new();
    let mut batch = Vec::with_capacity(request.requests.len());
    for child in &request.requests {
        if !child.parent.is_empty() && child.parent != request.parent {
            return Err(Refusal::invalid_argument("requests.parent differs from parent"));
        }
        if !child.request_id.is_empty() && !request_ids.insert(child.request_id.as_str()) {
            return Err(Refusal::invalid_argument("requests.request_id is repeated"));
        }
        let group = child.event_group.as_ref();
        let group =
            group.ok_or_else(|| Refusal::invalid_argument("requests.event_group is not set"))?;
        let content = content(&read, group)?;
        batch.push(NewEventGroup { request_id: child.request_id.clone(), content });
    }
    let provider = decode_id(&read, &parent.data_provider)?;
    let outcome = event_group::batch_create(write, provider, batch);
    let rows = outcome.map_err(|error| create_refusal(write, error))?;
    Ok(pb::BatchCreateEventGroupsResponse { event_groups: rows.iter().map(to_proto).collect() })
}

/// UpdateEventGroup: replaces the whole group (contract 1.4.7).
///
/// # Errors
/// In order: name shape, principal, ownership, field checks, ids, then 1.4.7 and 1.0.17.
pub fn update(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::UpdateEventGroupRequest,
) -> Answer<pb::EventGroup> {
    let group = request.event_group.clone().unwrap_or_default();
    let name = EventGroupName::parse(&group.name).ok_or_else(|| bad_shape("event_group.name"))?;
    require_owner(caller, &provider_name(&name))?;
    let read = write.read();
    let content = content(&read, &group)?;
    let provider = decode_id(&read, &name.data_provider)?;
    let id = decode_id(&read, &name.event_group)?;
    let rows = apply_updates(write, provider, vec![(id, content)])?;
    rows.into_iter().next().ok_or_else(Refusal::uncaught)
}

/// BatchUpdateEventGroups: principal and ownership are looked at only inside the loop over the
/// children, so an empty batch succeeds for anybody (contract 1.4.6, by quirk).
///
/// # Errors
/// Parent shape, then per child in order: name shape, the name's provider, principal, ownership,
/// field checks, ids; then 1.4.7 and 1.0.17.
pub fn batch_update(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::BatchUpdateEventGroupsRequest,
) -> Answer<pb::BatchUpdateEventGroupsResponse> {
    let parent = DataProviderName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    let read = write.read();
    if request.requests.is_empty() {
        if read.faithful(Quirk::EmptyBatchUpdateNeedsNoPrincipal) {
            return Ok(pb::BatchUpdateEventGroupsResponse::default());
        }
        require_owner(caller, &request.parent)?;
        return Err(Refusal::invalid_argument("requests is not set"));
    }
    if request.requests.len() > MAX_BATCH && !read.faithful(Quirk::EventGroupBatchSizeUnchecked) {
        require_owner(caller, &request.parent)?;
        check_batch_size(&read, request.requests.len())?;
    }
    let mut batch = Vec::with_capacity(request.requests.len());
    for child in &request.requests {
        let group = child.event_group.clone().unwrap_or_default();
        let name = EventGroupName::parse(&group.name)
            .ok_or_else(|| bad_shape("requests.event_group.name"))?;
        if name.data_provider != parent.data_provider {
            return Err(Refusal::invalid_argument("requests.event_group.name has another parent"));
        }
        require_owner(caller, &request.parent)?;
        let content = content(&read, &group)?;
        batch.push((decode_id(&read, &name.event_group)?, content));
    }
    let provider = decode_id(&read, &parent.data_provider)?;
    let event_groups = apply_updates(write, provider, batch)?;
    Ok(pb::BatchUpdateEventGroupsResponse { event_groups })
}

/// DeleteEventGroup (contract 1.4.12).
///
/// # Errors
/// In order: name shape, principal, ownership, ids, NOT_FOUND/EVENT_GROUP_NOT_FOUND,
/// NOT_FOUND/EVENT_GROUP_STATE_ILLEGAL.
pub fn delete(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::DeleteEventGroupRequest,
) -> Answer<pb::EventGroup> {
    let name = EventGroupName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    require_owner(caller, &provider_name(&name))?;
    let provider = decode_id(&write.read(), &name.data_provider)?;
    let id = decode_id(&write.read(), &name.event_group)?;
    let (row, entity_id) = event_group::delete(write, provider, id)
        .map_err(|error| error.public(whitelist::CHANGE_EVENT_GROUP))?;
    let mut group = to_proto(&row);
    if write.faithful(Quirk::DeleteEventGroupResponseKeepsEntityId)
        && let Some(key) = &mut group.entity_key
    {
        key.entity_id = entity_id;
    }
    Ok(group)
}

/// ListEventGroups (contract 1.4.10; order of checks 1.0.6; token 1.0.13).
///
/// # Errors
/// In order: page_size, parent shape, principal, ownership, token, the filter's names, token
/// comparison, order, view.
pub fn list(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::ListEventGroupsRequest,
) -> Answer<pb::ListEventGroupsResponse> {
    let size = page_size(request.page_size, 10, 500)?;
    let provider = DataProviderName::parse(&request.parent);
    let consumer = MeasurementConsumerName::parse(&request.parent);
    if provider.is_none() && consumer.is_none() {
        return Err(bad_shape("parent"));
    }
    require_owner(caller, &request.parent)?;
    let token: Option<pb::ListEventGroupsPageToken> = if request.page_token.is_empty() {
        None
    } else {
        Some(decode_token(read, &request.page_token)?)
    };
    let parent = match (provider, consumer) {
        (Some(name), _) => Owner::DataProvider(decode_id(read, &name.data_provider)?),
        (_, Some(name)) => Owner::MeasurementConsumer(decode_id(read, &name.measurement_consumer)?),
        (None, None) => return Err(bad_shape("parent")),
    };
    let filter = filter(read, request)?;
    let arguments = token_arguments(&parent, &filter, request);
    let after = match token {
        None => None,
        Some(mut token) => {
            let last = token.last_event_group.take().unwrap_or_default();
            // Neither stored by the real server nor compared (table 1.0.13).
            token.order_by = None;
            if token != arguments {
                return Err(Refusal::invalid_argument("page_token does not match the request"));
            }
            Some(Cursor {
                data_provider: signed(last.external_data_provider_id),
                id: signed(last.external_event_group_id),
                start: last.data_availability_start_time.as_ref().map(Moment::from_proto),
            })
        }
    };
    let order = order(request.order_by.as_ref())?;
    check_view(request.view)?;
    let rows = event_group::list(read, &parent, &filter, order, after, size + 1);
    let next_page_token = match rows.get(size - 1) {
        Some(last) if rows.len() > size => encode_token(&pb::ListEventGroupsPageToken {
            show_deleted: arguments.show_deleted
                && !read.faithful(Quirk::ListEventGroupsTokenDropsShowDeleted),
            last_event_group: Some(pb::list_event_groups_page_token::PreviousPageEnd {
                external_data_provider_id: unsigned(last.data_provider),
                external_event_group_id: unsigned(last.id),
                data_availability_start_time: last.start().map(Moment::to_proto),
            }),
            ..arguments
        }),
        _ => String::new(),
    };
    Ok(pb::ListEventGroupsResponse {
        event_groups: rows.into_iter().take(size).map(to_proto).collect(),
        next_page_token,
    })
}

/// An event group's name in either form, by shape.
enum AnyName {
    Provider(EventGroupName),
    Consumer(MeasurementConsumerEventGroupName),
}

impl AnyName {
    fn parse(text: &str) -> Option<Self> {
        EventGroupName::parse(text)
            .map(Self::Provider)
            .or_else(|| MeasurementConsumerEventGroupName::parse(text).map(Self::Consumer))
    }

    fn parent(&self) -> String {
        match self {
            Self::Provider(name) => provider_name(name),
            Self::Consumer(name) => {
                MeasurementConsumerName::new(&name.measurement_consumer).to_string()
            }
        }
    }

    fn decode(&self, read: &Read<'_>) -> Answer<(Owner, i64)> {
        Ok(match self {
            Self::Provider(name) => (
                Owner::DataProvider(decode_id(read, &name.data_provider)?),
                decode_id(read, &name.event_group)?,
            ),
            Self::Consumer(name) => (
                Owner::MeasurementConsumer(decode_id(read, &name.measurement_consumer)?),
                decode_id(read, &name.event_group)?,
            ),
        })
    }
}

fn provider_name(name: &EventGroupName) -> String {
    DataProviderName::new(&name.data_provider).to_string()
}

/// The field checks of create and update in the order of contract 1.4.2, then the ids, then what
/// has no answer of its own (1.0.17).
#[allow(deprecated, reason = "the deprecated variants are part of the checks")]
fn content(read: &Read<'_>, group: &pb::EventGroup) -> Answer<Content> {
    let key = group.measurement_consumer_public_key.as_ref();
    let signed_key = group.signed_measurement_consumer_public_key.as_ref();
    if group.encrypted_metadata.is_some() && key.is_none() && signed_key.is_none() {
        return Err(Refusal::invalid_argument(
            "measurement_consumer_public_key must be set if encrypted_metadata is set",
        ));
    }
    if key.is_some() {
        unpack::<pb::EncryptionPublicKey>(
            key,
            full_name::ENCRYPTION_PUBLIC_KEY,
            "measurement_consumer_public_key",
        )?;
    }
    let availability = group.data_availability_interval.as_ref().map(interval_from_proto);
    if let Some(interval) = availability {
        let start = interval.start.unwrap_or_default();
        if start <= Moment::default() {
            return Err(Refusal::invalid_argument("data_availability_interval starts before 1970"));
        }
        if interval.end.is_some_and(|end| end <= start) {
            return Err(Refusal::invalid_argument(
                "data_availability_interval ends before it starts",
            ));
        }
    }
    let consumer = MeasurementConsumerName::parse(&group.measurement_consumer)
        .ok_or_else(|| bad_shape("measurement_consumer"))?;
    let measurement_consumer = decode_id(read, &consumer.measurement_consumer)?;
    let metadata =
        group.event_group_metadata.as_ref().map(|sent| metadata(read, sent)).transpose()?;

    let entity_key = group.entity_key.clone().unwrap_or_default();
    let entity_type = match entity_key.entity_type {
        unset if unset.is_empty() => DEFAULT_ENTITY_TYPE.to_owned(),
        given => given,
    };
    let signed_key = signed_key.cloned().unwrap_or_default();
    let signed_bytes = signed_key.message.map_or(signed_key.data, |message| message.value);
    Ok(Content {
        measurement_consumer,
        reference_id: group.event_group_reference_id.clone(),
        media_types: group.media_types.clone(),
        availability,
        entity_type,
        entity_id: entity_key.entity_id,
        details: Details {
            public_key: key.map_or(signed_bytes, |packed| packed.value.clone()),
            public_key_signature: signed_key.signature,
            public_key_signature_algorithm_oid: signed_key.signature_algorithm_oid,
            encrypted_metadata: match &group.encrypted_metadata {
                Some(message) => message.ciphertext.clone(),
                None => group.serialized_encrypted_metadata.clone(),
            },
            event_templates: group.event_templates.iter().map(|t| t.r#type.clone()).collect(),
            vid_model_lines: group.vid_model_lines.clone(),
            metadata,
        },
    })
}

fn metadata(read: &Read<'_>, sent: &pb::EventGroupMetadata) -> Answer<Metadata> {
    let Some(pb::event_group_metadata::Selector::AdMetadata(ad)) = &sent.selector else {
        return Err(Refusal::constraint(
            read.quirks(),
            Code::InvalidArgument,
            "event_group_metadata has no selector",
        ));
    };
    let campaign = ad.campaign_metadata.clone().unwrap_or_default();
    let words = event_group::words(&campaign.brand_name)
        .chain(event_group::words(&campaign.campaign_name))
        .collect();
    Ok(Metadata { bytes: sent.encode_to_vec(), words })
}

fn create_refusal(write: &Write<'_>, error: InternalError) -> Refusal {
    error.public(&with_constraints(&write.read(), whitelist::CREATE_EVENT_GROUP))
}

fn apply_updates(
    write: &mut Write<'_>,
    provider: i64,
    batch: Vec<(i64, Content)>,
) -> Answer<Vec<pb::EventGroup>> {
    let rows = event_group::update(write, provider, batch).map_err(|error| {
        error.public(&with_constraints(&write.read(), whitelist::CHANGE_EVENT_GROUP))
    })?;
    let without_state = write.faithful(Quirk::UpdateEventGroupResponseWithoutState);
    Ok(rows
        .iter()
        .map(|row| {
            let mut group = to_proto(row);
            if without_state {
                group.set_state(pb::event_group::State::Unspecified);
            }
            group
        })
        .collect())
}

fn check_batch_size(read: &Read<'_>, size: usize) -> Answer<()> {
    if size > MAX_BATCH && !read.faithful(Quirk::EventGroupBatchSizeUnchecked) {
        return Err(Refusal::invalid_argument(format!(
            "requests has more than {MAX_BATCH} entries"
        )));
    }
    Ok(())
}

/// An unknown view number is an uncaught exception (contract 1.4.9).
fn check_view(number: i32) -> Answer<()> {
    pb::event_group::View::try_from(number).map(|_| ()).map_err(|_| Refusal::uncaught())
}

fn order(order_by: Option<&pb::list_event_groups_request::OrderBy>) -> Answer<Order> {
    use pb::list_event_groups_request::order_by::Field;
    let Some(order_by) = order_by else { return Ok(Order::Id) };
    match Field::try_from(order_by.field) {
        Ok(Field::Unspecified) => Ok(Order::Id),
        Ok(Field::DataAvailabilityStartTime) if order_by.descending => Ok(Order::StartDescending),
        Ok(Field::DataAvailabilityStartTime) => Ok(Order::StartAscending),
        // As with an unknown view.
        Err(_) => Err(Refusal::uncaught()),
    }
}

fn filter(read: &Read<'_>, request: &pb::ListEventGroupsRequest) -> Answer<Filter> {
    let sent = request.filter.clone().unwrap_or_default();
    let consumers = sent
        .measurement_consumer_in
        .iter()
        .map(|text| MeasurementConsumerName::parse(text).map(|name| name.measurement_consumer))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| bad_shape("filter.measurement_consumer_in"))?;
    let providers = sent
        .data_provider_in
        .iter()
        .map(|text| DataProviderName::parse(text).map(|name| name.data_provider))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| bad_shape("filter.data_provider_in"))?;
    let ids = |segments: Vec<String>| {
        segments.iter().map(|segment| decode_id(read, segment)).collect::<Answer<Vec<_>>>()
    };
    let moment = |sent: Option<prost_types::Timestamp>| sent.as_ref().map(Moment::from_proto);
    // The token has no field of its own for the intersection: it is a start before the interval's
    // end and an end after its start.
    let wanted = sent.data_availability_intersects.as_ref().map(interval_from_proto);
    let earlier = |a: Option<Moment>, b: Option<Moment>| a.into_iter().chain(b).min();
    let later = |a: Option<Moment>, b: Option<Moment>| a.into_iter().chain(b).max();
    Ok(Filter {
        measurement_consumer_in: ids(consumers)?,
        data_provider_in: ids(providers)?,
        show_deleted: request.show_deleted,
        media_types_intersect: sent.media_types_intersect,
        start_on_or_after: moment(sent.data_availability_start_time_on_or_after),
        start_on_or_before: earlier(
            moment(sent.data_availability_start_time_on_or_before),
            wanted.and_then(|interval| interval.end),
        ),
        end_on_or_after: later(
            moment(sent.data_availability_end_time_on_or_after),
            wanted.and_then(|interval| interval.start),
        ),
        end_on_or_before: moment(sent.data_availability_end_time_on_or_before),
        metadata_search_query: sent.metadata_search_query,
        activity_contains: sent.activity_contains.is_some(),
        entity_type_in: sent.entity_type_in,
    })
}

/// The token of this request, without the end of a page.
fn token_arguments(
    parent: &Owner,
    filter: &Filter,
    request: &pb::ListEventGroupsRequest,
) -> pb::ListEventGroupsPageToken {
    use pb::list_event_groups_page_token::ExternalParentId as Id;
    let id = unsigned(parent.external_id());
    let time = |moment: Option<Moment>| moment.map(Moment::to_proto);
    let ids = |ids: &[i64]| ids.iter().map(|id| unsigned(*id)).collect();
    pb::ListEventGroupsPageToken {
        external_data_provider_id_in: ids(&filter.data_provider_in),
        external_measurement_consumer_id_in: ids(&filter.measurement_consumer_in),
        show_deleted: filter.show_deleted,
        media_types_intersect: filter.media_types_intersect.clone(),
        data_availability_start_time_on_or_after: time(filter.start_on_or_after),
        data_availability_end_time_on_or_before: time(filter.end_on_or_before),
        data_availability_start_time_on_or_before: time(filter.start_on_or_before),
        data_availability_end_time_on_or_after: time(filter.end_on_or_after),
        metadata_search_query: filter.metadata_search_query.clone(),
        activity_contains: request.filter.as_ref().and_then(|sent| sent.activity_contains),
        entity_type_in: filter.entity_type_in.clone(),
        order_by: None,
        last_event_group: None,
        external_parent_id: Some(match parent {
            Owner::DataProvider(_) => Id::ExternalDataProviderId(id),
            _ => Id::ExternalMeasurementConsumerId(id),
        }),
    }
}

/// An event group as reads show it (contract 1.4.9): always under its data provider's name.
#[allow(deprecated, reason = "reads fill the deprecated fields as well")]
pub fn to_proto(row: &EventGroup) -> pb::EventGroup {
    let Content { details, .. } = &row.content;
    let encrypted = !details.encrypted_metadata.is_empty();
    let signed_key = (!details.public_key.is_empty()).then(|| {
        public_keys::signed_message(
            full_name::ENCRYPTION_PUBLIC_KEY,
            &details.public_key,
            &details.public_key_signature,
            &details.public_key_signature_algorithm_oid,
        )
    });
    pb::EventGroup {
        name: event_group::name(row.data_provider, row.id),
        measurement_consumer: Owner::MeasurementConsumer(row.content.measurement_consumer).name(),
        event_group_reference_id: row.content.reference_id.clone(),
        media_types: row.content.media_types.clone(),
        event_group_metadata: details
            .metadata
            .as_ref()
            .and_then(|metadata| pb::EventGroupMetadata::decode(metadata.bytes.as_slice()).ok()),
        vid_model_lines: details.vid_model_lines.clone(),
        event_templates: details
            .event_templates
            .iter()
            .map(|r#type| pb::event_group::EventTemplate { r#type: r#type.clone() })
            .collect(),
        encrypted_metadata: encrypted.then(|| pb::EncryptedMessage {
            ciphertext: details.encrypted_metadata.clone(),
            type_url: format!("{TYPE_URL_PREFIX}{}", full_name::EVENT_GROUP_METADATA),
        }),
        serialized_encrypted_metadata: details.encrypted_metadata.clone(),
        measurement_consumer_public_key: signed_key.as_ref().and_then(|key| key.message.clone()),
        signed_measurement_consumer_public_key: signed_key,
        state: match row.state {
            State::Active => pb::event_group::State::Active,
            State::Deleted => pb::event_group::State::Deleted,
        }
        .into(),
        data_availability_interval: row.content.availability.map(interval_to_proto),
        aggregated_activities: Vec::new(),
        entity_key: Some(pb::event_group::EntityKey {
            entity_type: row.content.entity_type.clone(),
            entity_id: row.content.entity_id.clone(),
        }),
    }
}

#[cfg(test)]
#[allow(deprecated, reason = "the deprecated fields are part of the contract")]
mod tests {
    use super::*;
    use crate::public::fixture::{World, metadata as info, principal, refused};
    use kingdom_proto::generated::google::r#type::Interval;

    const MISSING: &str = "AAAAAAAAAZQ";

    fn group(world: &World) -> pb::EventGroup {
        pb::EventGroup { measurement_consumer: world.mc(0), ..Default::default() }
    }

    fn with_id(world: &World, entity_id: &str) -> pb::EventGroup {
        let entity_key = Some(pb::event_group::EntityKey {
            entity_type: "creative".to_owned(),
            entity_id: entity_id.to_owned(),
        });
        pb::EventGroup { entity_key, ..group(world) }
    }

    fn key() -> prost_types::Any {
        let key = pb::EncryptionPublicKey { format: 1, data: b"keyset".to_vec() };
        prost_types::Any {
            // any prefix will do (1.0.16)
            type_url: format!("elsewhere/{}", full_name::ENCRYPTION_PUBLIC_KEY),
            value: key.encode_to_vec(),
        }
    }

    fn encrypted(world: &World) -> pb::EventGroup {
        pb::EventGroup {
            encrypted_metadata: Some(pb::EncryptedMessage {
                ciphertext: b"cipher".to_vec(),
                type_url: "anything".to_owned(),
            }),
            measurement_consumer_public_key: Some(key()),
            ..group(world)
        }
    }

    fn campaign(brand: &str, name: &str) -> Option<pb::EventGroupMetadata> {
        use pb::event_group_metadata::{AdMetadata, Selector, ad_metadata::CampaignMetadata};
        let campaign_metadata =
            Some(CampaignMetadata { brand_name: brand.to_owned(), campaign_name: name.to_owned() });
        Some(pb::EventGroupMetadata {
            selector: Some(Selector::AdMetadata(AdMetadata { campaign_metadata })),
            entity_metadata: None,
        })
    }

    fn interval(start: i64, end: Option<i64>) -> Option<Interval> {
        let time = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        Some(Interval { start_time: Some(time(start)), end_time: end.map(time) })
    }

    fn create_as(
        world: &mut World,
        caller: Caller<'_>,
        group: pb::EventGroup,
        request_id: &str,
    ) -> Answer<pb::EventGroup> {
        let request = pb::CreateEventGroupRequest {
            parent: world.dp(0),
            event_group: Some(group),
            request_id: request_id.to_owned(),
        };
        world.write(|w| create(w, caller, &request))
    }

    fn created(world: &mut World, group: pb::EventGroup) -> pb::EventGroup {
        let own = world.as_dp(0);
        create_as(world, Some(&own), group, "").unwrap()
    }

    fn update_own(world: &mut World, group: &pb::EventGroup) -> Answer<pb::EventGroup> {
        let own = world.as_dp(0);
        let request = pb::UpdateEventGroupRequest { event_group: Some(group.clone()) };
        world.write(|w| update(w, Some(&own), &request))
    }

    fn delete_own(world: &mut World, name: &str) -> Answer<pb::EventGroup> {
        let own = world.as_dp(0);
        let request = pb::DeleteEventGroupRequest { name: name.to_owned() };
        world.write(|w| delete(w, Some(&own), &request))
    }

    fn get_as(world: &World, caller: &Principal, name: &str) -> Answer<pb::EventGroup> {
        let request = pb::GetEventGroupRequest { name: name.to_owned(), view: 0 };
        get(&world.read(), Some(caller), &request)
    }

    fn batch_create_own(
        world: &mut World,
        groups: Vec<pb::EventGroup>,
    ) -> Answer<Vec<pb::EventGroup>> {
        let own = world.as_dp(0);
        let request = pb::BatchCreateEventGroupsRequest {
            parent: world.dp(0),
            requests: groups
                .into_iter()
                .map(|group| pb::CreateEventGroupRequest {
                    event_group: Some(group),
                    ..Default::default()
                })
                .collect(),
        };
        world.write(|w| batch_create(w, Some(&own), &request)).map(|response| response.event_groups)
    }

    fn batch_update_as(
        world: &mut World,
        caller: Caller<'_>,
        groups: Vec<pb::EventGroup>,
    ) -> Answer<Vec<pb::EventGroup>> {
        let request = pb::BatchUpdateEventGroupsRequest {
            parent: world.dp(0),
            requests: groups
                .into_iter()
                .map(|group| pb::UpdateEventGroupRequest { event_group: Some(group) })
                .collect(),
        };
        world.write(|w| batch_update(w, caller, &request)).map(|response| response.event_groups)
    }

    fn list_own(
        world: &World,
        change: impl FnOnce(&mut pb::ListEventGroupsRequest),
    ) -> Answer<pb::ListEventGroupsResponse> {
        let mut request = pb::ListEventGroupsRequest { parent: world.dp(0), ..Default::default() };
        change(&mut request);
        list(&world.read(), Some(&world.as_dp(0)), &request)
    }

    fn listed(world: &World, filter: pb::list_event_groups_request::Filter) -> Vec<String> {
        let response = list_own(world, |request| request.filter = Some(filter)).unwrap();
        response.event_groups.into_iter().map(|group| group.event_group_reference_id).collect()
    }

    // 1.4.2, 1.4.4, 1.4.5: create

    #[test]
    fn create_checks_shape_then_principal_then_ownership_then_fields_1_0_6() {
        let mut world = World::new();
        let (own, consumer) = (world.as_dp(0), world.as_mc(0));
        let request = |parent: &str| pb::CreateEventGroupRequest {
            parent: parent.to_owned(),
            ..Default::default()
        };
        let (bad, good) = (request("x"), request(&world.dp(0)));
        assert_eq!(refused(world.write(|w| create(w, None, &bad))).0, Code::InvalidArgument);
        assert_eq!(refused(world.write(|w| create(w, None, &good))).0, Code::Unauthenticated);
        let answer = world.write(|w| create(w, Some(&consumer), &good));
        assert_eq!(refused(answer), (Code::PermissionDenied, None));
        let answer = world.write(|w| create(w, Some(&own), &good));
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
    }

    #[test]
    fn another_spelling_of_the_own_id_is_not_ownership_1_1_4() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let request = pb::CreateEventGroupRequest {
            parent: format!("{}=", world.dp(0)),
            event_group: Some(group(&world)),
            ..Default::default()
        };
        let answer = world.write(|w| create(w, Some(&own), &request));
        assert_eq!(refused(answer), (Code::PermissionDenied, None));
    }

    #[test]
    fn the_field_checks_of_1_4_2_hold_for_create_and_update() {
        let mut world = World::new();
        let stored = created(&mut world, group(&World::new()));
        let own = world.as_dp(0);
        let good = group(&world);
        let cases = [
            pb::EventGroup { measurement_consumer_public_key: None, ..encrypted(&world) },
            pb::EventGroup {
                measurement_consumer_public_key: Some(prost_types::Any {
                    type_url: full_name::ENCRYPTION_PUBLIC_KEY.to_owned(),
                    ..key()
                }),
                ..good.clone()
            },
            pb::EventGroup {
                measurement_consumer_public_key: Some(prost_types::Any {
                    value: vec![0xff],
                    ..key()
                }),
                ..good.clone()
            },
            pb::EventGroup { data_availability_interval: interval(0, None), ..good.clone() },
            pb::EventGroup {
                data_availability_interval: Some(Interval::default()),
                ..good.clone()
            },
            pb::EventGroup { data_availability_interval: interval(5, Some(5)), ..good.clone() },
            pb::EventGroup { measurement_consumer: "dataProviders/x".to_owned(), ..good.clone() },
        ];
        for (i, case) in cases.into_iter().enumerate() {
            let answer = create_as(&mut world, Some(&own), case.clone(), "");
            assert_eq!(refused(answer), (Code::InvalidArgument, None), "create {i}");
            let answer =
                update_own(&mut world, &pb::EventGroup { name: stored.name.clone(), ..case });
            assert_eq!(refused(answer), (Code::InvalidArgument, None), "update {i}");
        }
        for interval in [interval(1, None), interval(1, Some(2))] {
            let sent = pb::EventGroup { data_availability_interval: interval, ..good.clone() };
            assert_eq!(created(&mut world, sent).data_availability_interval, interval);
        }
    }

    #[test]
    fn ids_decode_after_the_shape_of_measurement_consumer_1_4_2() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let bad_id = || pb::EventGroup {
            measurement_consumer: "measurementConsumers/x".to_owned(),
            ..Default::default()
        };
        let bad_interval =
            pb::EventGroup { data_availability_interval: interval(0, None), ..bad_id() };
        let answer = create_as(&mut world, Some(&own), bad_interval, "");
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        assert_eq!(refused(create_as(&mut world, Some(&own), bad_id(), "")), (Code::Unknown, None));
    }

    #[test]
    fn the_deprecated_variants_are_exempt_from_the_key_checks_1_4_2() {
        let mut world = World::new();
        let signed = pb::EventGroup {
            measurement_consumer_public_key: None,
            signed_measurement_consumer_public_key: Some(pb::SignedMessage {
                data: b"not a key".to_vec(),
                signature: b"s".to_vec(),
                signature_algorithm_oid: "1.2".to_owned(),
                message: None,
            }),
            ..encrypted(&world)
        };
        let stored = created(&mut world, signed);
        let shown = stored.signed_measurement_consumer_public_key.unwrap();
        assert_eq!(
            (shown.data.as_slice(), shown.signature.as_slice()),
            (&b"not a key"[..], &b"s"[..])
        );
        let serialized =
            pb::EventGroup { serialized_encrypted_metadata: b"c".to_vec(), ..group(&world) };
        assert_eq!(created(&mut world, serialized).encrypted_metadata.unwrap().ciphertext, b"c");
    }

    #[test]
    fn a_read_fills_the_fields_of_1_4_9_and_regenerates_type_urls() {
        let mut world = World::new();
        let sent = pb::EventGroup {
            event_group_reference_id: "ref".to_owned(),
            media_types: vec![2, 1],
            event_templates: vec![pb::event_group::EventTemplate { r#type: "t".to_owned() }],
            vid_model_lines: vec!["line".to_owned()],
            event_group_metadata: campaign("Brand", "Name"),
            ..encrypted(&world)
        };
        let name = created(&mut world, sent).name;
        let by_consumer =
            format!("{}/eventGroups/{}", world.mc(0), name.rsplit('/').next().unwrap());
        let shown = get_as(&world, &world.as_mc(0), &by_consumer).unwrap();
        // the canonical form even when read by the consumer's name
        assert_eq!(shown.name, name);
        assert_eq!(shown.measurement_consumer, world.mc(0));
        let message = shown.encrypted_metadata.unwrap();
        assert_eq!(message.ciphertext, b"cipher");
        assert_eq!(
            message.type_url,
            "type.googleapis.com/wfa.measurement.api.v2alpha.EventGroup.Metadata"
        );
        assert_eq!(shown.serialized_encrypted_metadata, b"cipher");
        let packed = shown.measurement_consumer_public_key.unwrap();
        assert_eq!(
            packed.type_url,
            "type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey"
        );
        assert_eq!(packed.value, key().value);
        let signed = shown.signed_measurement_consumer_public_key.unwrap();
        assert_eq!((signed.data, signed.message), (key().value, Some(packed)));
        assert_eq!(shown.media_types, [2, 1]);
        assert_eq!(shown.event_group_reference_id, "ref");
        assert_eq!(shown.event_templates[0].r#type, "t");
        assert_eq!(shown.vid_model_lines, ["line"]);
        assert_eq!(shown.event_group_metadata, campaign("Brand", "Name"));
        assert_eq!(shown.state, 1);
        let entity_key = shown.entity_key.unwrap();
        assert_eq!((&*entity_key.entity_type, &*entity_key.entity_id), ("campaign", ""));
        assert_eq!(shown.data_availability_interval, None);
        assert_eq!(shown.aggregated_activities, []);
    }

    #[test]
    fn a_stale_key_is_accepted_and_stays_1_4_3() {
        let mut world = World::new();
        let sent = encrypted(&world);
        assert_ne!(key().value, crate::public::fixture::public_key().key);
        let name = created(&mut world, sent).name;
        let shown = get_as(&world, &world.as_dp(0), &name).unwrap();
        assert_eq!(shown.measurement_consumer_public_key.unwrap().value, key().value);
    }

    #[test]
    fn create_looks_for_the_consumer_then_for_the_provider_1_4_5() {
        let mut world = World::new();
        let (gone, consumer) = (format!("dataProviders/{MISSING}"), world.mc(0));
        let request = |consumer: &str| pb::CreateEventGroupRequest {
            parent: gone.clone(),
            event_group: Some(pb::EventGroup {
                measurement_consumer: consumer.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let caller = principal(&gone);
        let missing = request(&format!("measurementConsumers/{MISSING}"));
        let answer = world.write(|w| create(w, Some(&caller), &missing));
        assert_eq!(
            refused(answer),
            (Code::FailedPrecondition, Some("MEASUREMENT_CONSUMER_NOT_FOUND"))
        );
        let answer = world.write(|w| create(w, Some(&caller), &request(&consumer)));
        assert_eq!(refused(answer), (Code::NotFound, Some("DATA_PROVIDER_NOT_FOUND")));
        // a batch has it the other way round (1.4.6)
        let batch =
            pb::BatchCreateEventGroupsRequest { parent: gone.clone(), requests: vec![missing] };
        let answer = world.write(|w| batch_create(w, Some(&caller), &batch));
        assert_eq!(refused(answer), (Code::NotFound, Some("DATA_PROVIDER_NOT_FOUND")));
    }

    #[test]
    fn a_repeated_request_id_answers_the_stored_group_even_if_deleted_or_different_1_4_5() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let sent = group(&world);
        let first = create_as(&mut world, Some(&own), sent.clone(), "r").unwrap();
        let other = pb::EventGroup { event_group_reference_id: "other".to_owned(), ..sent.clone() };
        assert_eq!(create_as(&mut world, Some(&own), other, "r").unwrap(), first);
        assert!(world.mutations.is_empty());
        delete_own(&mut world, &first.name).unwrap();
        let replayed = create_as(&mut world, Some(&own), sent.clone(), "r").unwrap();
        assert_eq!((replayed.name, replayed.state), (first.name.clone(), 2));
        // scoped per data provider
        let other_provider = world.as_dp(1);
        let request = pb::CreateEventGroupRequest {
            parent: world.dp(1),
            event_group: Some(sent.clone()),
            request_id: "r".to_owned(),
        };
        let elsewhere = world.write(|w| create(w, Some(&other_provider), &request)).unwrap();
        assert_ne!(elsewhere.name, first.name);
        // and the consumer of a replay must exist all the same, in a single creation
        let unknown = pb::EventGroup {
            measurement_consumer: format!("measurementConsumers/{MISSING}"),
            ..sent
        };
        let answer = create_as(&mut world, Some(&own), unknown, "r");
        assert_eq!(refused(answer).0, Code::FailedPrecondition);
    }

    #[test]
    fn violations_without_an_answer_are_unknown_1_0_17() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let sent = with_id(&world, "e");
        let stored = created(&mut world, sent.clone());
        let twice = pb::EventGroup { media_types: vec![1, 1], ..group(&world) };
        let unselected =
            pb::EventGroup { event_group_metadata: Some(Default::default()), ..group(&world) };
        for case in [sent, twice, unselected.clone()] {
            let answer = create_as(&mut world, Some(&own), case.clone(), "");
            assert_eq!(refused(answer), (Code::Unknown, None));
            assert_eq!(refused(batch_create_own(&mut world, vec![case])), (Code::Unknown, None));
        }
        let answer = update_own(&mut world, &pb::EventGroup { name: stored.name, ..unselected });
        assert_eq!(refused(answer), (Code::Unknown, None));
    }

    #[test]
    fn violations_have_their_own_codes_as_documented_1_0_17() {
        let mut world = World::documented(Quirk::ConstraintViolationIsUnknown);
        let own = world.as_dp(0);
        let sent = with_id(&world, "e");
        let stored = created(&mut world, sent.clone());
        assert_eq!(
            refused(create_as(&mut world, Some(&own), sent, "")),
            (Code::AlreadyExists, None)
        );
        let twice = pb::EventGroup { media_types: vec![1, 1], ..group(&world) };
        assert_eq!(refused(create_as(&mut world, Some(&own), twice, "")).0, Code::InvalidArgument);
        let unselected =
            pb::EventGroup { event_group_metadata: Some(Default::default()), ..group(&world) };
        let answer = create_as(&mut world, Some(&own), unselected.clone(), "");
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        let answer = update_own(&mut world, &pb::EventGroup { name: stored.name, ..unselected });
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
    }

    // 1.4.6: batches

    #[test]
    fn a_batch_is_all_or_nothing_and_answers_in_request_order_1_4_6() {
        let mut world = World::new();
        let named = |reference: &str, world: &World| pb::EventGroup {
            event_group_reference_id: reference.to_owned(),
            ..group(world)
        };
        let good = vec![named("b", &world), named("a", &world)];
        let rows = batch_create_own(&mut world, good).unwrap();
        assert_eq!(rows[0].event_group_reference_id, "b");
        assert_eq!(rows[1].event_group_reference_id, "a");
        let bad = pb::EventGroup {
            measurement_consumer: format!("measurementConsumers/{MISSING}"),
            ..Default::default()
        };
        let batch = vec![named("c", &world), bad];
        assert_eq!(refused(batch_create_own(&mut world, batch)).0, Code::FailedPrecondition);
        assert_eq!(world.tables.event_groups.len(), 2);
        assert_eq!(list_own(&world, |_| {}).unwrap().event_groups.len(), 2);
    }

    #[test]
    fn children_of_a_batch_creation_may_leave_the_parent_out_but_not_differ_1_4_6() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let child = |parent: &str, request_id: &str| pb::CreateEventGroupRequest {
            parent: parent.to_owned(),
            event_group: Some(group(&World::new())),
            request_id: request_id.to_owned(),
        };
        let parent = world.dp(0);
        let mut call = |requests: Vec<pb::CreateEventGroupRequest>| {
            let request = pb::BatchCreateEventGroupsRequest { parent: parent.clone(), requests };
            world.write(|w| batch_create(w, Some(&own), &request))
        };
        assert!(call(vec![child("", ""), child(&parent, ""), child(&parent, "r")]).is_ok());
        let other = World::new().dp(1);
        assert_eq!(refused(call(vec![child(&other, "")])), (Code::InvalidArgument, None));
        // a replayed request id is fine, a repeated one is not
        assert_eq!(call(vec![child("", "r")]).unwrap().event_groups.len(), 1);
        assert_eq!(refused(call(vec![child("", "q"), child("", "q")])).0, Code::InvalidArgument);
        let without = pb::CreateEventGroupRequest { event_group: None, ..child("", "") };
        assert_eq!(refused(call(vec![without])), (Code::InvalidArgument, None));
    }

    #[test]
    fn replayed_children_skip_the_check_of_the_consumer_1_4_6() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let sent = group(&world);
        create_as(&mut world, Some(&own), sent, "r").unwrap();
        let child = pb::CreateEventGroupRequest {
            event_group: Some(pb::EventGroup {
                measurement_consumer: format!("measurementConsumers/{MISSING}"),
                ..Default::default()
            }),
            request_id: "r".to_owned(),
            ..Default::default()
        };
        let request =
            pb::BatchCreateEventGroupsRequest { parent: world.dp(0), requests: vec![child] };
        assert!(world.write(|w| batch_create(w, Some(&own), &request)).is_ok());
    }

    #[test]
    fn any_batch_size_is_accepted_and_above_50_refused_as_documented_1_4_6() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let rows = batch_create_own(&mut world, vec![group(&World::new()); 51]).unwrap();
        assert_eq!(rows.len(), 51);
        assert_eq!(batch_update_as(&mut world, Some(&own), rows).unwrap().len(), 51);

        let mut world = World::documented(Quirk::EventGroupBatchSizeUnchecked);
        let answer = batch_create_own(&mut world, vec![group(&World::new()); 51]);
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        let rows = batch_create_own(&mut world, vec![group(&World::new()); 50]).unwrap();
        let mut more = rows.clone();
        more.push(rows[0].clone());
        let answer = batch_update_as(&mut world, Some(&own), more);
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        assert!(batch_update_as(&mut world, Some(&own), rows).is_ok());
    }

    #[test]
    fn batch_update_checks_each_child_in_order_1_4_6() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let stored = created(&mut world, group(&World::new()));
        let renamed = |name: String| pb::EventGroup { name, ..stored.clone() };
        // name shape and the name's provider come before the principal
        let answer = batch_update_as(&mut world, None, vec![renamed("x".to_owned())]);
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        let foreign = renamed(format!("{}/eventGroups/{MISSING}", world.dp(1)));
        let answer = batch_update_as(&mut world, None, vec![foreign.clone()]);
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        let answer = batch_update_as(&mut world, None, vec![stored.clone(), foreign.clone()]);
        assert_eq!(refused(answer), (Code::Unauthenticated, None));
        let other = world.as_dp(1);
        let answer = batch_update_as(&mut world, Some(&other), vec![stored.clone()]);
        assert_eq!(refused(answer), (Code::PermissionDenied, None));
        let missing = renamed(format!("{}/eventGroups/{MISSING}", world.dp(0)));
        let answer = batch_update_as(&mut world, Some(&own), vec![stored.clone(), missing]);
        assert_eq!(refused(answer), (Code::NotFound, Some("EVENT_GROUP_NOT_FOUND")));
    }

    #[test]
    fn an_empty_batch_update_needs_no_principal_1_4_6() {
        let mut world = World::new();
        assert_eq!(batch_update_as(&mut world, None, Vec::new()), Ok(Vec::new()));
        let request =
            pb::BatchUpdateEventGroupsRequest { parent: "x".to_owned(), requests: vec![] };
        let answer = world.write(|w| batch_update(w, None, &request));
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
    }

    #[test]
    fn an_empty_batch_update_needs_the_owner_and_requests_as_documented_1_4_6() {
        let mut world = World::documented(Quirk::EmptyBatchUpdateNeedsNoPrincipal);
        let (own, other) = (world.as_dp(0), world.as_dp(1));
        let mut code = |caller| refused(batch_update_as(&mut world, caller, Vec::new())).0;
        assert_eq!(code(None), Code::Unauthenticated);
        assert_eq!(code(Some(&other)), Code::PermissionDenied);
        assert_eq!(code(Some(&own)), Code::InvalidArgument);
    }

    #[test]
    fn a_batch_update_is_all_or_nothing_1_4_6() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let stored = batch_create_own(&mut world, vec![group(&World::new()); 2]).unwrap();
        delete_own(&mut world, &stored[1].name).unwrap();
        let mut sent = stored.clone();
        sent[0].event_group_reference_id = "changed".to_owned();
        let answer = batch_update_as(&mut world, Some(&own), sent);
        assert_eq!(refused(answer), (Code::NotFound, Some("EVENT_GROUP_STATE_ILLEGAL")));
        assert_eq!(get_as(&world, &own, &stored[0].name), Ok(stored[0].clone()));
    }

    // 1.4.7: update

    #[test]
    fn an_update_replaces_the_whole_group_1_4_7() {
        let mut world = World::new();
        let stored = created(&mut world, encrypted(&World::new()));
        let sent = pb::EventGroup {
            name: stored.name.clone(),
            event_group_reference_id: "new".to_owned(),
            ..group(&world)
        };
        update_own(&mut world, &sent).unwrap();
        let shown = get_as(&world, &world.as_dp(0), &stored.name).unwrap();
        assert_eq!(shown.event_group_reference_id, "new");
        assert_eq!(shown.encrypted_metadata, None);
        assert_eq!(shown.measurement_consumer_public_key, None);
    }

    #[test]
    fn the_response_of_an_update_has_no_state_though_reads_do_1_4_7() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let stored = created(&mut world, group(&World::new()));
        assert_eq!(update_own(&mut world, &stored).unwrap().state, 0);
        assert_eq!(
            batch_update_as(&mut world, Some(&own), vec![stored.clone()]).unwrap()[0].state,
            0
        );
        assert_eq!(get_as(&world, &own, &stored.name).unwrap().state, 1);

        let mut world = World::documented(Quirk::UpdateEventGroupResponseWithoutState);
        let stored = created(&mut world, group(&World::new()));
        assert_eq!(update_own(&mut world, &stored).unwrap().state, 1);
    }

    #[test]
    fn update_refuses_a_missing_then_a_deleted_group_then_another_consumer_1_4_7() {
        let mut world = World::new();
        let stored = created(&mut world, group(&World::new()));
        let missing = pb::EventGroup {
            name: format!("{}/eventGroups/{MISSING}", world.dp(0)),
            ..group(&world)
        };
        let answer = update_own(&mut world, &missing);
        assert_eq!(refused(answer.clone()), (Code::NotFound, Some("EVENT_GROUP_NOT_FOUND")));
        assert_eq!(info(answer, "eventGroup"), Some(missing.name));
        let moved = pb::EventGroup { measurement_consumer: world.mc(1), ..stored.clone() };
        let answer = update_own(&mut world, &moved);
        assert_eq!(
            refused(answer.clone()),
            (Code::InvalidArgument, Some("EVENT_GROUP_INVALID_ARGS"))
        );
        assert_eq!(info(answer.clone(), "originalMeasurementConsumer"), Some(world.mc(0)));
        assert_eq!(info(answer, "providedMeasurementConsumer"), Some(world.mc(1)));
        delete_own(&mut world, &stored.name).unwrap();
        let answer = update_own(&mut world, &moved);
        assert_eq!(refused(answer), (Code::NotFound, Some("EVENT_GROUP_STATE_ILLEGAL")));
    }

    #[test]
    fn the_error_about_a_deleted_group_names_the_wrong_provider_1_0_11() {
        let mut world = World::new();
        let own = world.as_dp(0);
        let stored = created(&mut world, group(&World::new()));
        delete_own(&mut world, &stored.name).unwrap();
        let id = stored.name.rsplit('/').next().unwrap().to_owned();
        let wrong = Some(format!("dataProviders/{id}/eventGroups/{id}"));
        assert_eq!(info(update_own(&mut world, &stored), "eventGroup"), wrong);
        let answer = batch_update_as(&mut world, Some(&own), vec![stored.clone()]);
        assert_eq!(info(answer, "eventGroup"), wrong);
        // correct from Delete
        assert_eq!(info(delete_own(&mut world, &stored.name), "eventGroup"), Some(stored.name));

        let mut world = World::documented(Quirk::DeletedEventGroupErrorName);
        let stored = created(&mut world, group(&World::new()));
        delete_own(&mut world, &stored.name).unwrap();
        assert_eq!(info(update_own(&mut world, &stored), "eventGroup"), Some(stored.name));
    }

    // 1.4.8, 1.4.9: get

    #[test]
    fn get_lets_the_provider_and_the_consumer_it_belongs_to_in_1_4_8() {
        let mut world = World::new();
        let name = created(&mut world, group(&World::new())).name;
        let id = name.rsplit('/').next().unwrap();
        let by_consumer = format!("{}/eventGroups/{id}", world.mc(0));
        assert!(get_as(&world, &world.as_dp(0), &name).is_ok());
        assert!(get_as(&world, &world.as_mc(0), &name).is_ok());
        assert!(get_as(&world, &world.as_mc(0), &by_consumer).is_ok());
        for (caller, name) in [
            (world.as_dp(1), &name),
            (world.as_mp(0), &name),
            (world.as_mc(1), &name),
            (world.as_dp(0), &by_consumer),
            (world.as_mc(1), &by_consumer),
            (principal("duchies/worker1"), &name),
        ] {
            let answer = get_as(&world, &caller, name);
            assert_eq!(refused(answer), (Code::PermissionDenied, None), "{caller} {name}");
        }
    }

    #[test]
    fn a_missing_group_is_named_in_the_form_asked_for_1_4_8() {
        let world = World::new();
        for (caller, parent) in [(world.as_dp(0), world.dp(0)), (world.as_mc(0), world.mc(0))] {
            let name = format!("{parent}/eventGroups/{MISSING}");
            let answer = get_as(&world, &caller, &name);
            assert_eq!(refused(answer.clone()), (Code::NotFound, Some("EVENT_GROUP_NOT_FOUND")));
            assert_eq!(info(answer, "eventGroup"), Some(name));
        }
    }

    #[test]
    fn a_consumer_can_tell_a_missing_group_from_a_foreign_one_by_its_error_info_1_4_8() {
        let mut world = World::new();
        let foreign = created(&mut world, group(&World::new())).name;
        let missing = format!("{}/eventGroups/{MISSING}", world.dp(0));
        let denied = |world: &World, name: &str| refused(get_as(world, &world.as_mc(1), name));
        let reason = Some("EVENT_GROUP_NOT_FOUND");
        assert_eq!(denied(&world, &missing), (Code::PermissionDenied, reason));
        assert_eq!(denied(&world, &foreign), (Code::PermissionDenied, None));

        let mut world = World::documented(Quirk::ForeignEventGroupDistinguishable);
        let foreign = created(&mut world, group(&World::new())).name;
        let caller = world.as_mc(1);
        assert_eq!(get_as(&world, &caller, &missing), get_as(&world, &caller, &foreign));
        assert_eq!(denied(&world, &missing), (Code::PermissionDenied, None));
    }

    #[test]
    fn get_checks_shape_principal_permission_ids_and_view_in_this_order_1_0_6() {
        let world = World::new();
        let call = |caller: Caller<'_>, name: &str, view| {
            let request = pb::GetEventGroupRequest { name: name.to_owned(), view };
            refused(get(&world.read(), caller, &request)).0
        };
        let (own, consumer, other) = (world.as_dp(0), world.as_mc(0), world.as_dp(1));
        assert_eq!(call(None, "x", 9), Code::InvalidArgument);
        let bad_id = "dataProviders/x/eventGroups/y";
        assert_eq!(call(None, bad_id, 9), Code::Unauthenticated);
        assert_eq!(call(Some(&other), bad_id, 9), Code::PermissionDenied);
        assert_eq!(call(Some(&consumer), bad_id, 0), Code::Unknown);
        let missing = format!("{}/eventGroups/{MISSING}", world.dp(0));
        // an unknown view number (1.4.9)
        assert_eq!(call(Some(&own), &missing, 9), Code::Unknown);
        assert_eq!(call(Some(&own), &missing, 2), Code::NotFound);
    }

    // 1.4.12: delete

    #[test]
    fn delete_clears_the_details_and_is_terminal_1_4_12() {
        let mut world = World::new();
        let sent =
            pb::EventGroup { entity_key: with_id(&world, "e").entity_key, ..encrypted(&world) };
        let stored = created(&mut world, sent.clone());
        let response = delete_own(&mut world, &stored.name).unwrap();
        assert_eq!((response.state, response.encrypted_metadata.clone()), (2, None));
        let shown = get_as(&world, &world.as_mc(0), &stored.name).unwrap();
        assert_eq!((shown.state, shown.encrypted_metadata.clone()), (2, None));
        assert_eq!(shown.measurement_consumer_public_key, None);
        // Delete's response still shows the entity id, later reads do not
        assert_eq!(response.entity_key.unwrap().entity_id, "e");
        assert_eq!(shown.entity_key.unwrap().entity_id, "");
        let answer = delete_own(&mut world, &stored.name);
        assert_eq!(refused(answer), (Code::NotFound, Some("EVENT_GROUP_STATE_ILLEGAL")));
        let missing = format!("{}/eventGroups/{MISSING}", world.dp(0));
        let answer = delete_own(&mut world, &missing);
        assert_eq!(refused(answer), (Code::NotFound, Some("EVENT_GROUP_NOT_FOUND")));
        // the slot is free again
        created(&mut world, sent);
    }

    #[test]
    fn the_response_of_delete_equals_the_next_read_as_documented_1_4_12() {
        let mut world = World::documented(Quirk::DeleteEventGroupResponseKeepsEntityId);
        let sent = with_id(&world, "e");
        let stored = created(&mut world, sent);
        let response = delete_own(&mut world, &stored.name).unwrap();
        assert_eq!(get_as(&world, &world.as_dp(0), &stored.name), Ok(response));
    }

    // 1.4.10: list

    #[test]
    fn list_checks_page_size_shape_principal_ownership_token_comparison_1_0_6() {
        let world = World::new();
        let call = |caller: Caller<'_>, parent: &str, page_size, page_token: &str| {
            let request = pb::ListEventGroupsRequest {
                parent: parent.to_owned(),
                page_size,
                page_token: page_token.to_owned(),
                ..Default::default()
            };
            refused(list(&world.read(), caller, &request)).0
        };
        let (own, consumer) = (world.as_dp(0), world.as_mc(0));
        assert_eq!(call(None, &world.dp(0), -1, "!"), Code::InvalidArgument);
        assert_eq!(call(None, "x", 0, "!"), Code::InvalidArgument);
        assert_eq!(call(None, &world.dp(0), 0, "!"), Code::Unauthenticated);
        assert_eq!(call(Some(&consumer), &world.dp(0), 0, "!"), Code::PermissionDenied);
        assert_eq!(call(Some(&own), &world.dp(0), 0, "!"), Code::Unknown);
        let other = encode_token(&pb::ListMeasurementsPageToken {
            external_measurement_consumer_id: 1,
            ..Default::default()
        });
        assert_eq!(call(Some(&own), &world.dp(0), 0, &other), Code::InvalidArgument);
    }

    fn many(world: &mut World, n: usize) -> Vec<String> {
        let rows = batch_create_own(world, vec![group(&World::new()); n]).unwrap();
        let mut ids: Vec<_> = rows.into_iter().map(|row| row.name).collect();
        ids.sort_by_key(|name| kingdom_proto::ApiId::decode(name.rsplit('/').next().unwrap()));
        ids
    }

    #[test]
    fn pages_default_to_10_go_up_to_500_and_follow_the_id_1_4_10() {
        let mut world = World::new();
        let names = many(&mut world, 501);
        let first = list_own(&world, |_| {}).unwrap();
        assert_eq!(first.event_groups.len(), 10);
        let all = list_own(&world, |request| request.page_size = 10_000).unwrap();
        assert_eq!(all.event_groups.len(), 500);
        let shown: Vec<_> = all.event_groups.into_iter().map(|group| group.name).collect();
        assert_eq!(shown, names[..500]);
        // page_size may change between pages (1.0.13)
        let second = list_own(&world, |request| {
            request.page_token = first.next_page_token;
            request.page_size = 500;
        })
        .unwrap();
        assert_eq!(second.event_groups.len(), 491);
        assert_eq!(second.event_groups[0].name, names[10]);
        assert_eq!(second.next_page_token, "");
    }

    #[test]
    fn a_consumer_lists_its_groups_of_all_providers_1_4_10() {
        let mut world = World::new();
        for i in 0..2 {
            let own = world.as_dp(i);
            let request = pb::CreateEventGroupRequest {
                parent: world.dp(i),
                event_group: Some(group(&world)),
                ..Default::default()
            };
            world.write(|w| create(w, Some(&own), &request)).unwrap();
        }
        let request =
            pb::ListEventGroupsRequest { parent: world.mc(0), page_size: 1, ..Default::default() };
        let first = list(&world.read(), Some(&world.as_mc(0)), &request).unwrap();
        // order: provider id first
        assert!(first.event_groups[0].name.starts_with(&world.dp(0)));
        let next = pb::ListEventGroupsRequest { page_token: first.next_page_token, ..request };
        let second = list(&world.read(), Some(&world.as_mc(0)), &next).unwrap();
        assert!(second.event_groups[0].name.starts_with(&world.dp(1)));
        let nothing = pb::ListEventGroupsRequest { parent: world.mc(1), ..Default::default() };
        let response = list(&world.read(), Some(&world.as_mc(1)), &nothing).unwrap();
        assert_eq!(response, Default::default());
    }

    #[test]
    fn deleted_groups_are_hidden_and_page_2_with_them_is_refused_1_4_10() {
        let mut world = World::new();
        let names = many(&mut world, 3);
        delete_own(&mut world, &names[0]).unwrap();
        assert_eq!(list_own(&world, |_| {}).unwrap().event_groups.len(), 2);
        let first = list_own(&world, |request| {
            request.show_deleted = true;
            request.page_size = 1;
        })
        .unwrap();
        assert_eq!(first.event_groups[0].name, names[0]);
        let second = |world: &World| {
            list_own(world, |request| {
                request.show_deleted = true;
                request.page_token = first.next_page_token.clone();
            })
        };
        assert_eq!(refused(second(&world)), (Code::InvalidArgument, None));
    }

    #[test]
    fn page_2_with_deleted_groups_follows_as_documented_1_4_10() {
        let mut world = World::documented(Quirk::ListEventGroupsTokenDropsShowDeleted);
        let names = many(&mut world, 3);
        delete_own(&mut world, &names[1]).unwrap();
        let page = |token: String| {
            list_own(&world, |request| {
                request.show_deleted = true;
                request.page_size = 1;
                request.page_token = token;
            })
            .unwrap()
        };
        let second = page(page(String::new()).next_page_token);
        assert_eq!(second.event_groups[0].name, names[1]);
    }

    #[test]
    fn every_filter_field_must_equal_the_tokens_1_0_13() {
        use pb::list_event_groups_request::Filter;
        let mut world = World::new();
        many(&mut world, 2);
        let token = list_own(&world, |request| request.page_size = 1).unwrap().next_page_token;
        let time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
        let none = Filter::default;
        let filters = [
            Filter { measurement_consumer_in: vec![world.mc(0)], ..none() },
            Filter { data_provider_in: vec![world.dp(0)], ..none() },
            Filter { media_types_intersect: vec![1], ..none() },
            Filter { data_availability_start_time_on_or_after: time, ..none() },
            Filter { data_availability_end_time_on_or_before: time, ..none() },
            Filter { data_availability_start_time_on_or_before: time, ..none() },
            Filter { data_availability_end_time_on_or_after: time, ..none() },
            Filter { data_availability_intersects: interval(1, Some(2)), ..none() },
            Filter { metadata_search_query: "q".to_owned(), ..none() },
            Filter { activity_contains: Some(Default::default()), ..none() },
            Filter { entity_type_in: vec!["campaign".to_owned()], ..none() },
        ];
        for (i, filter) in filters.into_iter().enumerate() {
            let answer = list_own(&world, |request| {
                request.page_token = token.clone();
                request.filter = Some(filter);
            });
            assert_eq!(refused(answer), (Code::InvalidArgument, None), "{i}");
        }
        // order_by and view are neither stored nor compared
        let answer = list_own(&world, |request| {
            request.page_token = token.clone();
            request.order_by = Some(pb::list_event_groups_request::OrderBy::default());
            request.view = 2;
        });
        assert!(answer.is_ok());
    }

    #[test]
    fn the_filters_select_1_4_10() {
        use pb::list_event_groups_request::Filter;
        let mut world = World::new();
        let groups = [
            pb::EventGroup {
                event_group_reference_id: "video".to_owned(),
                media_types: vec![1, 2],
                data_availability_interval: interval(100, Some(200)),
                event_group_metadata: campaign("Acme Soap", "Spring"),
                ..group(&world)
            },
            pb::EventGroup {
                event_group_reference_id: "other".to_owned(),
                measurement_consumer: world.mc(1),
                media_types: vec![3],
                data_availability_interval: interval(300, Some(400)),
                event_group_metadata: campaign("Zenith", "Acme tie-in"),
                ..Default::default()
            },
            pb::EventGroup {
                event_group_reference_id: "creative".to_owned(),
                ..with_id(&world, "c")
            },
        ];
        for group in groups {
            created(&mut world, group);
        }
        let none = Filter::default;
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let sorted = |filter| {
            let mut names = listed(&world, filter);
            names.sort();
            names
        };
        // an empty entity_type_in means only campaign
        assert_eq!(sorted(none()), ["other", "video"]);
        let types = |types: &[&str]| types.iter().map(|t| (*t).to_owned()).collect();
        assert_eq!(sorted(Filter { entity_type_in: types(&["creative"]), ..none() }), ["creative"]);
        let both = types(&["creative", "campaign"]);
        assert_eq!(
            sorted(Filter { entity_type_in: both, ..none() }),
            ["creative", "other", "video"]
        );
        let in_mc = vec![world.mc(1)];
        assert_eq!(sorted(Filter { measurement_consumer_in: in_mc, ..none() }), ["other"]);
        let in_dp = vec![world.dp(1)];
        assert_eq!(sorted(Filter { data_provider_in: in_dp, ..none() }), [""; 0]);
        assert_eq!(sorted(Filter { media_types_intersect: vec![2, 4], ..none() }), ["video"]);
        let on = time(300);
        let filter = Filter { data_availability_start_time_on_or_after: on, ..none() };
        assert_eq!(sorted(filter), ["other"]);
        let filter = Filter { data_availability_start_time_on_or_before: on, ..none() };
        assert_eq!(sorted(filter), ["other", "video"]);
        let filter = Filter { data_availability_end_time_on_or_before: time(399), ..none() };
        assert_eq!(sorted(filter), ["video"]);
        let filter = Filter { data_availability_end_time_on_or_after: time(201), ..none() };
        assert_eq!(sorted(filter), ["other"]);
        let filter = Filter { data_availability_intersects: interval(150, Some(250)), ..none() };
        assert_eq!(sorted(filter), ["video"]);
        let search = |query: &str| Filter { metadata_search_query: query.to_owned(), ..none() };
        assert_eq!(sorted(search("acme")), ["other", "video"]);
        assert_eq!(sorted(search("ACME soap")), ["video"]);
        let filter = Filter { activity_contains: Some(Default::default()), ..none() };
        assert_eq!(sorted(filter), [""; 0]);
        let bad = Filter { measurement_consumer_in: vec!["x".to_owned()], ..none() };
        let answer = list_own(&world, |request| request.filter = Some(bad));
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
    }

    #[test]
    fn with_order_by_the_start_of_availability_comes_first_across_pages_1_4_10() {
        use pb::list_event_groups_request::OrderBy;
        let mut world = World::new();
        for (reference, start) in [("b", 20), ("c", 30), ("a", 10)] {
            let sent = pb::EventGroup {
                event_group_reference_id: reference.to_owned(),
                data_availability_interval: interval(start, None),
                ..group(&world)
            };
            created(&mut world, sent);
        }
        let walk = |descending| {
            let (mut order, mut token) = (String::new(), String::new());
            loop {
                let page = list_own(&world, |request| {
                    request.page_size = 1;
                    request.page_token = token;
                    request.order_by = Some(OrderBy { field: 1, descending });
                })
                .unwrap();
                order.push_str(&page.event_groups[0].event_group_reference_id);
                token = page.next_page_token;
                if token.is_empty() {
                    return order;
                }
            }
        };
        assert_eq!(walk(false), "abc");
        assert_eq!(walk(true), "cba");
    }
}
