//! The Kingdom's tables: ordered maps with one index per lookup, and a journal of each change.
//!
//! A rule changes tables in place; whoever runs the rule then either takes the journal (to store it
//! and keep the change) or rolls back. So a rule that fails half way leaves nothing behind.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::sync::Arc;

/// A row of a table.
pub trait Row: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The primary key.
    type Key: Ord + Clone + Serialize + DeserializeOwned + Send + Sync;
    /// The secondary indexes of the table; `()` if there are none.
    type Index: Default + Send + Sync;
    /// The table's stable name in the stored form.
    const TABLE: &'static str;

    /// The row's primary key.
    fn key(&self) -> Self::Key;
    /// Enters the row into the secondary indexes.
    fn enter(self: &Arc<Self>, index: &mut Self::Index);
    /// Enters all rows of a table that was read back into indexes that are empty.
    fn enter_all(rows: &[Arc<Self>], index: &mut Self::Index) {
        for row in rows {
            row.enter(index);
        }
    }
    /// Takes the row out of the secondary indexes.
    fn leave(&self, index: &mut Self::Index);
}

/// One table.
pub struct Table<R: Row> {
    rows: BTreeMap<R::Key, Arc<R>>,
    index: R::Index,
    /// For each change, the key and what stood there before.
    journal: Vec<(R::Key, Option<Arc<R>>)>,
    /// Rows that were read and are still to be entered.
    loading: Vec<Arc<R>>,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            index: R::Index::default(),
            journal: Vec::new(),
            loading: Vec::new(),
        }
    }
}

impl<R: Row> Table<R> {
    /// The row with this key.
    pub fn get(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(key).map(Arc::as_ref)
    }

    /// Whether a row has this key.
    pub fn contains(&self, key: &R::Key) -> bool {
        self.rows.contains_key(key)
    }

    /// The secondary indexes.
    pub fn index(&self) -> &R::Index {
        &self.index
    }

    /// All rows, in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &R> {
        self.rows.values().map(Arc::as_ref)
    }

    /// The rows whose keys lie in `range`, in order.
    pub fn range(&self, range: impl RangeBounds<R::Key>) -> impl DoubleEndedIterator<Item = &R> {
        self.rows.range(range).map(|(_, row)| row.as_ref())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Inserts or replaces a row.
    pub fn put(&mut self, row: R) {
        let key = row.key();
        let before = self.place(key.clone(), Some(Arc::new(row)));
        self.journal.push((key, before));
    }

    /// Changes a row in place of a copy; nothing happens if the key is unknown.
    pub fn update(&mut self, key: &R::Key, change: impl FnOnce(&mut R)) {
        if let Some(row) = self.get(key) {
            let mut row = row.clone();
            change(&mut row);
            self.put(row);
        }
    }

    /// Removes a row.
    pub fn remove(&mut self, key: &R::Key) {
        if let Some(before) = self.place(key.clone(), None) {
            self.journal.push((key.clone(), Some(before)));
        }
    }

    fn place(&mut self, key: R::Key, row: Option<Arc<R>>) -> Option<Arc<R>> {
        let before = match row {
            Some(row) => {
                let before = self.rows.insert(key, row.clone());
                if let Some(before) = &before {
                    before.leave(&mut self.index);
                }
                row.enter(&mut self.index);
                return before;
            }
            None => self.rows.remove(&key),
        };
        if let Some(before) = &before {
            before.leave(&mut self.index);
        }
        before
    }
}

/// One stored change: the bytes of a key, and of its row unless the row is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChange {
    /// The table.
    pub table: &'static str,
    /// The encoded key.
    pub key: Vec<u8>,
    /// The encoded row; `None` for a deletion.
    pub row: Option<Vec<u8>>,
}

/// What the owner of the tables does with every table, whatever its rows.
pub(crate) trait AnyTable: Send {
    fn name(&self) -> &'static str;
    /// The changes since the last call, encoded; each key once, with its final row.
    fn changes(&self) -> Result<Vec<StoredChange>, postcard::Error>;
    fn is_changed(&self) -> bool;
    fn commit(&mut self);
    fn roll_back(&mut self);
    /// Reads one stored row of a table that is empty; [`Self::loaded`] follows the last.
    fn load(&mut self, row: &[u8]) -> Result<(), postcard::Error>;
    /// Enters all rows that were read.
    fn loaded(&mut self);
}

impl<R: Row> AnyTable for Table<R> {
    fn name(&self) -> &'static str {
        R::TABLE
    }

    fn changes(&self) -> Result<Vec<StoredChange>, postcard::Error> {
        let keys: std::collections::BTreeSet<_> = self.journal.iter().map(|(key, _)| key).collect();
        keys.into_iter()
            .map(|key| {
                Ok(StoredChange {
                    table: R::TABLE,
                    key: postcard::to_stdvec(key)?,
                    row: self.get(key).map(postcard::to_stdvec).transpose()?,
                })
            })
            .collect()
    }

    fn is_changed(&self) -> bool {
        !self.journal.is_empty()
    }

    fn commit(&mut self) {
        self.journal.clear();
    }

    fn roll_back(&mut self) {
        while let Some((key, before)) = self.journal.pop() {
            self.place(key, before);
        }
    }

    fn load(&mut self, row: &[u8]) -> Result<(), postcard::Error> {
        self.loading.push(Arc::new(postcard::from_bytes(row)?));
        Ok(())
    }

    fn loaded(&mut self) {
        let rows = std::mem::take(&mut self.loading);
        std::thread::scope(|scope| {
            // Built at once from all keys: the map sorts them, and need not search for each.
            scope.spawn(|| self.rows = rows.iter().map(|row| (row.key(), row.clone())).collect());
            R::enter_all(&rows, &mut self.index);
        });
    }
}

/// Bytes in one piece. Their stored form is that of a sequence of numbers, which is read one by one.
pub(crate) mod bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[u8]>, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Box<[u8]>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(bytes.into())
            }
        }

        from.deserialize_bytes(Bytes)
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $row:ty,)+) => {
        /// Everything the Kingdom knows.
        #[derive(Default)]
        pub struct Tables {
            $($(#[$doc])* pub $field: Table<$row>,)+
        }

        impl Tables {
            pub(crate) fn each(&self) -> Vec<&dyn AnyTable> {
                vec![$(&self.$field),+]
            }

            pub(crate) fn each_mut(&mut self) -> Vec<&mut dyn AnyTable> {
                vec![$(&mut self.$field),+]
            }
        }
    };
}

tables! {
    /// API certificates of all owners.
    certificates: crate::model::certificate::Certificate,
    /// Data providers.
    data_providers: crate::model::data_provider::DataProvider,
    /// Measurement consumers.
    measurement_consumers: crate::model::measurement_consumer::MeasurementConsumer,
    /// Model providers.
    model_providers: crate::model::model_provider::ModelProvider,
    /// API keys, by the hash of their secret.
    api_keys: crate::model::measurement_consumer::ApiKey,
    /// Measurements.
    measurements: crate::model::measurement::Measurement,
    /// Requisitions.
    requisitions: crate::model::requisition::Requisition,
    /// Participants of computations.
    participants: crate::model::participant::Participant,
    /// Event groups, deleted ones included.
    event_groups: crate::model::event_group::EventGroup,
    /// Descriptors of event group metadata.
    event_group_metadata_descriptors: crate::model::event_group_metadata_descriptor::Descriptor,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::model_provider::ModelProvider;

    #[test]
    fn a_roll_back_restores_rows_in_reverse_order() {
        let mut tables = Tables::default();
        tables.model_providers.put(ModelProvider { id: 1 });
        tables.model_providers.commit();
        tables.model_providers.put(ModelProvider { id: 2 });
        tables.model_providers.remove(&1);
        tables.model_providers.remove(&2);
        tables.model_providers.roll_back();
        assert_eq!(tables.model_providers.iter().map(|row| row.id).collect::<Vec<_>>(), [1]);
        assert!(!tables.model_providers.is_changed());
    }

    #[test]
    fn bytes_in_one_piece_are_stored_as_a_sequence_is() {
        #[derive(Serialize, serde::Deserialize)]
        struct One(#[serde(with = "super::bytes")] Box<[u8]>);
        let content: Box<[u8]> = (0..=255).collect();
        let stored = postcard::to_stdvec(&One(content.clone())).unwrap();
        assert_eq!(stored, postcard::to_stdvec(&content).unwrap());
        assert_eq!(postcard::from_bytes::<One>(&stored).unwrap().0, content);
    }

    #[test]
    fn changes_hold_each_key_once_with_its_final_row() {
        let mut tables = Tables::default();
        tables.model_providers.put(ModelProvider { id: 1 });
        tables.model_providers.put(ModelProvider { id: 2 });
        tables.model_providers.remove(&1);
        let changes = tables.model_providers.changes().unwrap();
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0].row, None);
        assert!(changes[1].row.is_some());
    }
}
