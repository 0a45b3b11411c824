//! Descriptors of event group metadata (contract 1.4.13, 1.4.14).

use super::{Outcome, Owner, Read, Write, data_provider};
use crate::error::{Code, InternalError, Reason, api_id};
use crate::quirk::Quirk;
use crate::store::{Row, Tables};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A descriptor as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its data provider.
    pub data_provider: i64,
    /// External id.
    pub id: i64,
    /// The request id it was created with; empty if none.
    pub request_id: String,
    /// What it describes.
    pub content: Content,
}

/// A set of files that link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The serialized `FileDescriptorSet`; `None` if there is none.
    pub descriptor_set: Option<Vec<u8>>,
    /// Full names of the messages it defines at top level, the well-known ones left out. A name is
    /// registered once in the whole Kingdom (contract 1.0.17).
    pub types: Vec<String>,
}

/// The descriptor `id` of a data provider.
///
/// # Errors
/// NOT_FOUND/EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND.
pub fn find(tables: &Tables, data_provider: i64, id: i64) -> Outcome<&Descriptor> {
    tables.event_group_metadata_descriptors.get(&(data_provider, id)).ok_or_else(|| {
        let reason = Reason::EventGroupMetadataDescriptorNotFound { data_provider, descriptor: id };
        InternalError::not_found(reason)
    })
}

/// CreateEventGroupMetadataDescriptor (contract 1.4.13). A repeated request id answers the stored
/// descriptor (1.0.7).
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND, then a message type that is already registered (1.0.17).
pub fn create(
    write: &mut Write<'_>,
    data_provider: i64,
    request_id: String,
    content: Content,
) -> Outcome<Descriptor> {
    data_provider::find(write.tables, data_provider)?;
    let index = write.tables.event_group_metadata_descriptors.index();
    if !request_id.is_empty()
        && let Some(id) = index.by_request.get(&(data_provider, request_id.clone()))
    {
        return find(write.tables, data_provider, *id).cloned();
    }
    require_free_types(&write.read(), None, &content)?;
    let id = write.fresh_id(|tables, id| {
        tables.event_group_metadata_descriptors.index().providers.contains_key(&id)
    });
    let row = Descriptor { data_provider, id, request_id, content };
    write.tables.event_group_metadata_descriptors.put(row.clone());
    write.note("create", name(data_provider, id), None, None);
    Ok(row)
}

/// UpdateEventGroupMetadataDescriptor. The files are linked by the caller, but refused only here:
/// `None` is a set that does not link (contract 1.0.17).
///
/// # Errors
/// NOT_FOUND/EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND, then the violations of 1.0.17.
pub fn update(
    write: &mut Write<'_>,
    data_provider: i64,
    id: i64,
    content: Option<Content>,
) -> Outcome<Descriptor> {
    let mut row = find(write.tables, data_provider, id)?.clone();
    let content = content.ok_or_else(|| {
        let unlinked = InternalError::invalid_argument("descriptor_set does not link");
        super::constraint(&write.read(), unlinked)
    })?;
    require_free_types(&write.read(), Some(id), &content)?;
    row.content = content;
    write.tables.event_group_metadata_descriptors.put(row.clone());
    write.note("update", name(data_provider, id), None, None);
    Ok(row)
}

/// BatchGet: of each name only the descriptor's id is used, together with the parent; `None` stands
/// for all providers. Order follows the ids, each once (contract 1.4.14).
///
/// # Errors
/// None: missing ones are left out. As documented (quirk `batch-get-descriptors-omits-missing`)
/// NOT_FOUND/EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND, in the form asked for.
pub fn batch_get<'a>(
    read: &Read<'a>,
    data_provider: Option<i64>,
    ids: &[(i64, i64)],
) -> Outcome<Vec<&'a Descriptor>> {
    let index = read.tables.event_group_metadata_descriptors.index();
    let mut seen = std::collections::BTreeSet::new();
    let mut rows = Vec::with_capacity(ids.len());
    for (asked_provider, id) in ids {
        let provider = data_provider.or_else(|| index.providers.get(id).copied());
        match provider.map(|provider| find(read.tables, provider, *id)) {
            Some(Ok(row)) => {
                if seen.insert(*id) {
                    rows.push(row);
                }
            }
            _ if read.faithful(Quirk::BatchGetDescriptorsOmitsMissing) => {}
            _ => return find(read.tables, *asked_provider, *id).map(|_| Vec::new()),
        }
    }
    Ok(rows)
}

/// At most `limit` descriptors beyond `after` (provider id, descriptor id), in that order; of all
/// providers if `data_provider` is `None`.
pub fn list<'a>(
    read: &Read<'a>,
    data_provider: Option<i64>,
    after: Option<(i64, i64)>,
    limit: usize,
) -> Vec<&'a Descriptor> {
    let start = match (after, data_provider) {
        (Some(after), Some(provider)) => Bound::Excluded(after.max((provider, 0))),
        (Some(after), None) => Bound::Excluded(after),
        (None, Some(provider)) => Bound::Excluded((provider, 0)),
        (None, None) => Bound::Unbounded,
    };
    read.tables
        .event_group_metadata_descriptors
        .range((start, Bound::Unbounded))
        .take_while(|row| data_provider.is_none_or(|provider| row.data_provider == provider))
        .take(limit)
        .collect()
}

/// The canonical resource name.
pub fn name(data_provider: i64, id: i64) -> String {
    let provider = Owner::DataProvider(data_provider).name();
    format!("{provider}/eventGroupMetadataDescriptors/{}", api_id(id))
}

/// A violation that keeps its reason even where its code is unknown (contract 1.0.17).
fn require_free_types(read: &Read<'_>, own: Option<i64>, content: &Content) -> Outcome<()> {
    let index = read.tables.event_group_metadata_descriptors.index();
    let taken = content.types.iter().filter_map(|full_name| index.by_type.get(full_name));
    for holder in taken {
        if Some(*holder) != own {
            let code = if read.faithful(Quirk::ConstraintViolationIsUnknown) {
                Code::Unknown
            } else {
                Code::AlreadyExists
            };
            let reason = Reason::EventGroupMetadataDescriptorAlreadyExistsWithType;
            return Err(InternalError::new(code, reason));
        }
    }
    Ok(())
}

/// The lookups that descriptors need.
#[derive(Default)]
pub struct DescriptorIndex {
    /// The data provider of each descriptor; ids are unique across providers.
    providers: BTreeMap<i64, i64>,
    by_request: BTreeMap<(i64, String), i64>,
    by_type: BTreeMap<String, i64>,
}

impl Row for Descriptor {
    type Key = (i64, i64);
    type Index = DescriptorIndex;
    const TABLE: &'static str = "event_group_metadata_descriptors";

    fn key(&self) -> Self::Key {
        (self.data_provider, self.id)
    }

    fn enter(self: &std::sync::Arc<Self>, index: &mut Self::Index) {
        index.providers.insert(self.id, self.data_provider);
        if !self.request_id.is_empty() {
            index.by_request.insert((self.data_provider, self.request_id.clone()), self.id);
        }
        for full_name in &self.content.types {
            index.by_type.insert(full_name.clone(), self.id);
        }
    }

    fn leave(&self, index: &mut Self::Index) {
        index.providers.remove(&self.id);
        index.by_request.remove(&(self.data_provider, self.request_id.clone()));
        for full_name in &self.content.types {
            index.by_type.remove(full_name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AnyTable as _;

    #[test]
    fn a_stored_row_loads_with_all_it_had() {
        let row = Descriptor {
            data_provider: 1,
            id: 2,
            request_id: "r".to_owned(),
            content: Content { descriptor_set: Some(vec![3]), types: vec!["example.A".to_owned()] },
        };
        let mut tables = Tables::default();
        tables.event_group_metadata_descriptors.put(row.clone());
        let change = tables.event_group_metadata_descriptors.changes().unwrap().remove(0);
        let mut loaded = Tables::default();
        loaded.event_group_metadata_descriptors.load(&change.row.unwrap()).unwrap();
        loaded.event_group_metadata_descriptors.loaded();
        assert_eq!(find(&loaded, 1, 2), Ok(&row));
        let index = loaded.event_group_metadata_descriptors.index();
        assert_eq!(index.by_type.get("example.A"), Some(&2));
    }
}
