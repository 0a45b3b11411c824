//! Event groups (contract 1.4).

use super::{Interval, Moment, Outcome, Owner, Read, Write, data_provider};
use crate::error::{Code, InternalError, Reason, api_id};
use crate::quirk::Quirk;
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// The entity type of a group that was created without an entity key (contract 1.4.9).
pub const DEFAULT_ENTITY_TYPE: &str = "campaign";

/// An event group as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventGroup {
    /// Its data provider.
    pub data_provider: i64,
    /// External id.
    pub id: i64,
    /// The request id it was created with; empty if none.
    pub request_id: String,
    /// Where it stands.
    pub state: State,
    /// What its data provider says about it.
    pub content: Content,
}

/// The states of an event group (contract 1.4.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// In use.
    Active,
    /// Gone for good, but still readable.
    Deleted,
}

impl State {
    /// The name of the public enum value.
    pub fn public_name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Deleted => "DELETED",
        }
    }
}

/// What create and update store (contract 1.4.7: an update replaces all of it).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The measurement consumer it belongs to; immutable.
    pub measurement_consumer: i64,
    /// The provider's own name for it.
    pub reference_id: String,
    /// Wire numbers of the media types.
    pub media_types: Vec<i32>,
    /// When it has data.
    pub availability: Option<Interval>,
    /// Never empty (contract 1.4.10).
    pub entity_type: String,
    /// Empty if there is none.
    pub entity_id: String,
    /// What a deletion clears.
    pub details: Details,
}

/// What vanishes when an event group is deleted (contract 1.4.12).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Bytes of the consumer's key used for `encrypted_metadata`; empty if none. Never compared
    /// with the consumer's current key (contract 1.4.3).
    pub public_key: Vec<u8>,
    /// Signature of the deprecated signed variant.
    pub public_key_signature: Vec<u8>,
    /// Its algorithm's OID.
    pub public_key_signature_algorithm_oid: String,
    /// Ciphertext, opaque (contract 1.4.2); empty if none.
    pub encrypted_metadata: Vec<u8>,
    /// Types of the event templates.
    pub event_templates: Vec<String>,
    /// Names as sent, deprecated upstream.
    pub vid_model_lines: Vec<String>,
    /// Plain metadata.
    pub metadata: Option<Metadata>,
}

/// Plain metadata of an event group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The serialized `EventGroupMetadata`.
    pub bytes: Vec<u8>,
    /// What `metadata_search_query` searches: the words of [`words`].
    pub words: BTreeSet<String>,
}

/// The words of a text, lower-cased: runs of letters and digits.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// One creation of a batch.
#[derive(Clone, Debug)]
pub struct NewEventGroup {
    /// For idempotency, scoped per data provider; empty if none (contract 1.4.5).
    pub request_id: String,
    /// What to store.
    pub content: Content,
}

/// The event group `id` of a data provider.
pub fn find(tables: &Tables, data_provider: i64, id: i64) -> Option<&EventGroup> {
    tables.event_groups.get(&(data_provider, id))
}

/// GetEventGroup in either form: by data provider or by measurement consumer (contract 1.4.8).
/// Deleted groups are found too.
///
/// # Errors
/// NOT_FOUND/EVENT_GROUP_NOT_FOUND in the form asked for.
pub fn get<'a>(read: &Read<'a>, owner: &Owner, id: i64) -> Outcome<&'a EventGroup> {
    let found = match owner {
        Owner::DataProvider(provider) => find(read.tables, *provider, id),
        Owner::MeasurementConsumer(consumer) => {
            let provider = read.tables.event_groups.index().providers.get(&id);
            provider
                .and_then(|provider| find(read.tables, *provider, id))
                .filter(|row| row.content.measurement_consumer == *consumer)
        }
        Owner::ModelProvider(_) | Owner::Duchy(_) => None,
    };
    found.ok_or_else(|| not_found(owner.clone(), id))
}

/// CreateEventGroup, in the order of contract 1.4.5.
///
/// # Errors
/// FAILED_PRECONDITION/MEASUREMENT_CONSUMER_NOT_FOUND, NOT_FOUND/DATA_PROVIDER_NOT_FOUND, then the
/// violations of 1.0.17.
pub fn create(
    write: &mut Write<'_>,
    data_provider: i64,
    new: NewEventGroup,
) -> Outcome<EventGroup> {
    require_consumer(write.tables, new.content.measurement_consumer)?;
    data_provider::find(write.tables, data_provider)?;
    match replayed(write.tables, data_provider, &new.request_id) {
        Some(row) => Ok(row.clone()),
        None => insert(write, data_provider, new),
    }
}

/// BatchCreateEventGroups: unlike [`create`] the data provider comes first, and a replayed child
/// skips the check of its consumer (contract 1.4.6). All or nothing.
///
/// # Errors
/// As [`create`]; what only the commit notices comes after all other checks.
pub fn batch_create(
    write: &mut Write<'_>,
    data_provider: i64,
    batch: Vec<NewEventGroup>,
) -> Outcome<Vec<EventGroup>> {
    data_provider::find(write.tables, data_provider)?;
    for new in &batch {
        if replayed(write.tables, data_provider, &new.request_id).is_none() {
            require_consumer(write.tables, new.content.measurement_consumer)?;
        }
    }
    let mut rows = Vec::with_capacity(batch.len());
    for new in batch {
        let row = match replayed(write.tables, data_provider, &new.request_id) {
            Some(row) => row.clone(),
            None => insert(write, data_provider, new)?,
        };
        rows.push(row);
    }
    Ok(rows)
}

/// UpdateEventGroup and BatchUpdateEventGroups: each child in order, all or nothing (contract
/// 1.4.6, 1.4.7).
///
/// # Errors
/// NOT_FOUND/EVENT_GROUP_NOT_FOUND, NOT_FOUND/EVENT_GROUP_STATE_ILLEGAL,
/// INVALID_ARGUMENT/EVENT_GROUP_INVALID_ARGS, then the violations of 1.0.17.
pub fn update(
    write: &mut Write<'_>,
    data_provider: i64,
    batch: Vec<(i64, Content)>,
) -> Outcome<Vec<EventGroup>> {
    for (id, content) in &batch {
        // The real server names the wrong provider here (table 1.0.11).
        let shown =
            if write.faithful(Quirk::DeletedEventGroupErrorName) { *id } else { data_provider };
        let row = active(write.tables, data_provider, *id, shown)?;
        let original = row.content.measurement_consumer;
        if original != content.measurement_consumer {
            let provided = content.measurement_consumer;
            let reason = Reason::EventGroupInvalidArgs { original, provided };
            return Err(InternalError::new(Code::InvalidArgument, reason));
        }
    }
    let mut rows = Vec::with_capacity(batch.len());
    for (id, mut content) in batch {
        // Only creation refuses a repeated media type (contract 1.0.17).
        let mut seen = BTreeSet::new();
        content.media_types.retain(|media_type| seen.insert(*media_type));
        require_free_slot(&write.read(), data_provider, Some(id), &content)?;
        let mut row = active(write.tables, data_provider, id, data_provider)?.clone();
        row.content = content;
        write.tables.event_groups.put(row.clone());
        let state = Some(State::Active.public_name());
        write.note("update", name(data_provider, id), state, state);
        rows.push(row);
    }
    Ok(rows)
}

/// DeleteEventGroup: the details vanish, the entity id's slot is free again, the state is terminal
/// (contract 1.4.12). Answers the row and the entity id it had.
///
/// # Errors
/// NOT_FOUND/EVENT_GROUP_NOT_FOUND, NOT_FOUND/EVENT_GROUP_STATE_ILLEGAL.
pub fn delete(write: &mut Write<'_>, data_provider: i64, id: i64) -> Outcome<(EventGroup, String)> {
    let mut row = active(write.tables, data_provider, id, data_provider)?.clone();
    row.state = State::Deleted;
    row.content.details = Details::default();
    let entity_id = std::mem::take(&mut row.content.entity_id);
    write.tables.event_groups.put(row.clone());
    let (before, after) = (State::Active.public_name(), State::Deleted.public_name());
    write.note("delete", name(data_provider, id), Some(before), Some(after));
    Ok((row, entity_id))
}

/// Filters of ListEventGroups (contract 1.4.10). Conditions on availability never hold for a group
/// without that end of it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "named as the fields of the token")]
pub struct Filter {
    pub measurement_consumer_in: Vec<i64>,
    pub data_provider_in: Vec<i64>,
    pub show_deleted: bool,
    pub media_types_intersect: Vec<i32>,
    pub start_on_or_after: Option<Moment>,
    pub start_on_or_before: Option<Moment>,
    pub end_on_or_after: Option<Moment>,
    pub end_on_or_before: Option<Moment>,
    pub metadata_search_query: String,
    /// Activities are outside this fake: no group has any, so this holds for none.
    pub activity_contains: bool,
    /// Empty means only [`DEFAULT_ENTITY_TYPE`].
    pub entity_type_in: Vec<String>,
}

impl Filter {
    fn holds(&self, row: &EventGroup) -> bool {
        let content = &row.content;
        let start = content.availability.and_then(|interval| interval.start);
        let end = content.availability.and_then(|interval| interval.end);
        let at_least = |moment: Option<Moment>, bound: Option<Moment>| {
            bound.is_none_or(|bound| moment.is_some_and(|moment| moment >= bound))
        };
        let at_most = |moment: Option<Moment>, bound: Option<Moment>| {
            bound.is_none_or(|bound| moment.is_some_and(|moment| moment <= bound))
        };
        let one_of = |ids: &[i64], id| ids.is_empty() || ids.contains(&id);
        let metadata = content.details.metadata.as_ref();
        (self.show_deleted || row.state != State::Deleted)
            && one_of(&self.measurement_consumer_in, content.measurement_consumer)
            && one_of(&self.data_provider_in, row.data_provider)
            && (self.media_types_intersect.is_empty()
                || self
                    .media_types_intersect
                    .iter()
                    .any(|wanted| content.media_types.contains(wanted)))
            && at_least(start, self.start_on_or_after)
            && at_most(start, self.start_on_or_before)
            && at_least(end, self.end_on_or_after)
            && at_most(end, self.end_on_or_before)
            && words(&self.metadata_search_query)
                .all(|word| metadata.is_some_and(|metadata| metadata.words.contains(&word)))
            && !self.activity_contains
            && if self.entity_type_in.is_empty() {
                content.entity_type == DEFAULT_ENTITY_TYPE
            } else {
                self.entity_type_in.contains(&content.entity_type)
            }
    }
}

/// Order of ListEventGroups (contract 1.4.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Provider id, event group id.
    Id,
    /// Start of availability first, earliest first; groups without one come before all.
    StartAscending,
    /// Start of availability first, latest first; groups without one come after all.
    StartDescending,
}

/// Where a page of the list ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// Provider id.
    pub data_provider: i64,
    /// Event group id.
    pub id: i64,
    /// Start of availability; looked at only in the orders by it.
    pub start: Option<Moment>,
}

/// At most `limit` event groups of `parent` beyond `after`.
pub fn list<'a>(
    read: &Read<'a>,
    parent: &Owner,
    filter: &Filter,
    order: Order,
    after: Option<Cursor>,
    limit: usize,
) -> Vec<&'a EventGroup> {
    let index = read.tables.event_groups.index();
    let tables = read.tables;
    let row = |(provider, id): (i64, i64)| tables.event_groups.get(&(provider, id));
    let rows: Box<dyn Iterator<Item = Option<&'a EventGroup>>> = match order {
        Order::Id => Box::new(
            beyond(index.by_id.get(parent), after.map(|at| (at.data_provider, at.id)))
                .map(|&k| row(k)),
        ),
        Order::StartAscending => {
            let after = after.map(|at| (at.start, at.data_provider, at.id));
            Box::new(beyond(index.by_start.get(parent), after).map(|&(_, dp, id)| row((dp, id))))
        }
        Order::StartDescending => {
            let after = after.map(|at| (Reverse(at.start), at.data_provider, at.id));
            let keys = beyond(index.by_latest_start.get(parent), after);
            Box::new(keys.map(|&(_, dp, id)| row((dp, id))))
        }
    };
    rows.flatten().filter(|row| filter.holds(row)).take(limit).collect()
}

fn beyond<K: Ord>(keys: Option<&BTreeSet<K>>, after: Option<K>) -> impl Iterator<Item = &K> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    keys.into_iter().flat_map(move |keys| keys.range((start.as_ref(), Bound::Unbounded)))
}

/// The canonical resource name.
pub fn name(data_provider: i64, id: i64) -> String {
    format!("{}/eventGroups/{}", Owner::DataProvider(data_provider).name(), api_id(id))
}

fn not_found(owner: Owner, event_group: i64) -> InternalError {
    InternalError::not_found(Reason::EventGroupNotFound { owner, event_group })
}

/// The group, unless it is missing or deleted; `shown` is the provider that the error names.
fn active(tables: &Tables, data_provider: i64, id: i64, shown: i64) -> Outcome<&EventGroup> {
    let row = find(tables, data_provider, id)
        .ok_or_else(|| not_found(Owner::DataProvider(data_provider), id))?;
    match row.state {
        State::Active => Ok(row),
        State::Deleted => Err(InternalError::not_found(Reason::EventGroupStateIllegal {
            data_provider: shown,
            event_group: id,
        })),
    }
}

fn require_consumer(tables: &Tables, id: i64) -> Outcome<()> {
    if tables.measurement_consumers.contains(&id) {
        Ok(())
    } else {
        let owner = Owner::MeasurementConsumer(id);
        Err(InternalError::failed_precondition(Reason::OwnerNotFound(owner)))
    }
}

/// The group created with this request id, even if deleted or different by now (contract 1.4.5).
fn replayed<'a>(
    tables: &'a Tables,
    data_provider: i64,
    request_id: &str,
) -> Option<&'a EventGroup> {
    if request_id.is_empty() {
        return None;
    }
    let requests = tables.event_groups.index().by_request.get(&data_provider)?;
    requests.get(request_id).and_then(|id| find(tables, data_provider, *id))
}

fn insert(write: &mut Write<'_>, data_provider: i64, new: NewEventGroup) -> Outcome<EventGroup> {
    let mut seen = BTreeSet::new();
    if !new.content.media_types.iter().all(|media_type| seen.insert(*media_type)) {
        let repeated = InternalError::invalid_argument("a media type is repeated");
        return Err(super::constraint(&write.read(), repeated));
    }
    require_free_slot(&write.read(), data_provider, None, &new.content)?;
    let id = write.fresh_id(|tables, id| tables.event_groups.index().providers.contains_key(&id));
    let row = EventGroup {
        data_provider,
        id,
        request_id: new.request_id,
        state: State::Active,
        content: new.content,
    };
    write.tables.event_groups.put(row.clone());
    write.note("create", name(data_provider, id), None, Some(State::Active.public_name()));
    Ok(row)
}

/// A non-empty entity id stands once per provider, consumer and entity type (contract 1.0.17,
/// 1.4.12).
fn require_free_slot(
    read: &Read<'_>,
    data_provider: i64,
    own: Option<i64>,
    content: &Content,
) -> Outcome<()> {
    let slot = slot(data_provider, content);
    let holder = slot.and_then(|slot| read.tables.event_groups.index().by_entity.get(&slot));
    if holder.is_none_or(|holder| Some(*holder) == own) {
        return Ok(());
    }
    let taken = InternalError::bare(Code::AlreadyExists, "entity_key is in use");
    Err(super::constraint(read, taken))
}

type Slot = (i64, i64, String, String);

fn slot(data_provider: i64, content: &Content) -> Option<Slot> {
    let Content { measurement_consumer, entity_type, entity_id, .. } = content;
    (!entity_id.is_empty())
        .then(|| (data_provider, *measurement_consumer, entity_type.clone(), entity_id.clone()))
}

type LatestKey = (Reverse<Option<Moment>>, i64, i64);

/// The lookups that event groups need.
#[derive(Default)]
pub struct EventGroupIndex {
    /// The data provider of each event group; ids are unique across providers.
    providers: BTreeMap<i64, i64>,
    /// Request ids of each data provider.
    by_request: BTreeMap<i64, BTreeMap<String, i64>>,
    /// Entity ids in use.
    by_entity: BTreeMap<Slot, i64>,
    /// List orders of each data provider and of each measurement consumer.
    by_id: BTreeMap<Owner, BTreeSet<(i64, i64)>>,
    by_start: BTreeMap<Owner, BTreeSet<(Option<Moment>, i64, i64)>>,
    by_latest_start: BTreeMap<Owner, BTreeSet<LatestKey>>,
}

impl EventGroup {
    /// The parents under which it is listed.
    fn parents(&self) -> [Owner; 2] {
        let consumer = self.content.measurement_consumer;
        [Owner::DataProvider(self.data_provider), Owner::MeasurementConsumer(consumer)]
    }

    /// When its data starts.
    pub fn start(&self) -> Option<Moment> {
        self.content.availability.and_then(|interval| interval.start)
    }
}

impl Row for EventGroup {
    type Key = (i64, i64);
    type Index = EventGroupIndex;
    const TABLE: &'static str = "event_groups";

    fn key(&self) -> Self::Key {
        (self.data_provider, self.id)
    }

    fn enter(self: &std::sync::Arc<Self>, index: &mut Self::Index) {
        let (provider, id, start) = (self.data_provider, self.id, self.start());
        index.providers.insert(id, provider);
        if !self.request_id.is_empty() {
            let requests = index.by_request.entry(provider).or_default();
            requests.insert(self.request_id.clone(), id);
        }
        if let Some(slot) = slot(provider, &self.content) {
            index.by_entity.insert(slot, id);
        }
        for parent in self.parents() {
            index.by_id.entry(parent.clone()).or_default().insert((provider, id));
            index.by_start.entry(parent.clone()).or_default().insert((start, provider, id));
            let latest = index.by_latest_start.entry(parent).or_default();
            latest.insert((Reverse(start), provider, id));
        }
    }

    fn leave(&self, index: &mut Self::Index) {
        let (provider, id, start) = (self.data_provider, self.id, self.start());
        index.providers.remove(&id);
        if let Some(requests) = index.by_request.get_mut(&provider) {
            requests.remove(&self.request_id);
        }
        if let Some(slot) = slot(provider, &self.content) {
            index.by_entity.remove(&slot);
        }
        for parent in self.parents() {
            if let Some(keys) = index.by_id.get_mut(&parent) {
                keys.remove(&(provider, id));
            }
            if let Some(keys) = index.by_start.get_mut(&parent) {
                keys.remove(&(start, provider, id));
            }
            if let Some(keys) = index.by_latest_start.get_mut(&parent) {
                keys.remove(&(Reverse(start), provider, id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AnyTable as _;

    #[test]
    fn a_stored_row_loads_with_all_it_had() {
        let row = EventGroup {
            data_provider: 1,
            id: 2,
            request_id: "r".to_owned(),
            state: State::Deleted,
            content: Content {
                measurement_consumer: 3,
                media_types: vec![1, 2],
                availability: Some(Interval {
                    start: Some(Moment { seconds: 5, nanos: 6 }),
                    end: None,
                }),
                entity_type: DEFAULT_ENTITY_TYPE.to_owned(),
                details: Details {
                    public_key: vec![7],
                    metadata: Some(Metadata { bytes: vec![8], words: words("A b").collect() }),
                    ..Details::default()
                },
                ..Content::default()
            },
        };
        let mut tables = Tables::default();
        tables.event_groups.put(row.clone());
        let change = tables.event_groups.changes().unwrap().remove(0);
        let mut loaded = Tables::default();
        loaded.event_groups.load(&change.row.unwrap()).unwrap();
        loaded.event_groups.loaded();
        assert_eq!(find(&loaded, 1, 2), Some(&row));
        assert_eq!(replayed(&loaded, 1, "r"), Some(&row));
    }

    #[test]
    fn a_roll_back_restores_every_index() {
        let row = EventGroup {
            data_provider: 1,
            id: 2,
            request_id: "r".to_owned(),
            state: State::Active,
            content: Content {
                measurement_consumer: 3,
                availability: Some(Interval { start: Some(Moment::default()), end: None }),
                entity_type: DEFAULT_ENTITY_TYPE.to_owned(),
                entity_id: "e".to_owned(),
                ..Content::default()
            },
        };
        let mut tables = Tables::default();
        tables.event_groups.put(row.clone());
        tables.event_groups.commit();
        tables.event_groups.update(&(1, 2), |row| {
            row.content.entity_id.clear();
            row.content.availability = None;
        });
        tables.event_groups.remove(&(1, 2));
        tables.event_groups.roll_back();
        let index = tables.event_groups.index();
        assert_eq!(index.by_entity.values().collect::<Vec<_>>(), [&2]);
        assert_eq!(index.providers.get(&2), Some(&1));
        assert_eq!(replayed(&tables, 1, "r"), Some(&row));
        for parent in row.parents() {
            assert_eq!(index.by_id[&parent], BTreeSet::from([(1, 2)]));
            assert_eq!(index.by_start[&parent], BTreeSet::from([(row.start(), 1, 2)]));
            assert_eq!(
                index.by_latest_start[&parent],
                BTreeSet::from([(Reverse(row.start()), 1, 2)])
            );
        }
    }
}
