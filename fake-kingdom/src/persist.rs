//! The stored form of a Kingdom: tables, commit time and audit trail in one transactional file.

use crate::audit::Head;
use crate::model::Timestamp;
use crate::store::{AnyTable, StoredChange, Tables};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

const AUDIT: TableDefinition<'_, u64, &str> = TableDefinition::new("audit");
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
const LAST_COMMIT: &str = "last_commit_micros";
const SCHEMA: &str = "schema";
const ORIGIN: &str = "origin";
const SCHEMA_VERSION: &str = "1";

const FILE: &str = "kingdom.redb";

/// Pages kept in memory. All rows are on the heap, so the store is read only once.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

fn table(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// The store of `--data-dir`. Every acknowledged write survives `kill -9`.
pub struct Persist {
    database: Database,
}

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("data directory {path}: {what}", path = .path.display())]
pub struct PersistError {
    path: PathBuf,
    what: String,
}

/// What was read back.
#[derive(Default)]
pub struct Loaded {
    /// All rows.
    pub tables: Tables,
    /// Commit time of the last transaction.
    pub last_commit: Timestamp,
    /// Head of the audit trail.
    pub head: Head,
}

impl Persist {
    /// Opens or makes the store in `folder` and reads it back.
    ///
    /// # Errors
    /// Another process holds it, it is of another version or of another origin, or it cannot be read.
    pub fn open(folder: &Path, origin: &str) -> Result<(Self, Loaded), PersistError> {
        let fail = |what: String| PersistError { path: folder.to_owned(), what };
        std::fs::create_dir_all(folder).map_err(|error| fail(error.to_string()))?;
        // redb trusts the pages of a file whose header reads well, and panics on one that was cut.
        let opened = std::panic::catch_unwind(|| {
            let database =
                Database::builder().set_cache_size(CACHE_BYTES).create(folder.join(FILE))?;
            let persist = Self { database };
            let loaded = persist.load(origin)?;
            Ok((persist, loaded))
        });
        match opened {
            Ok(opened) => opened.map_err(|error: Failure| fail(error.to_string())),
            Err(_) => Err(fail(format!(
                "{FILE} is damaged: it was cut or overwritten; put back a copy of it, or give an empty --data-dir to begin anew"
            ))),
        }
    }

    fn load(&self, origin: &str) -> Result<Loaded, Failure> {
        let write = self.database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            let schema = meta.get(SCHEMA)?.map(|value| value.value().to_owned());
            match schema.as_deref() {
                None => {
                    meta.insert(SCHEMA, SCHEMA_VERSION)?;
                }
                Some(SCHEMA_VERSION) => {}
                Some(other) => {
                    return Err(Failure(format!(
                        "it has schema {other}, this version reads {SCHEMA_VERSION}; use the version that wrote it"
                    )));
                }
            }
            let begun_with = meta.get(ORIGIN)?.map(|value| value.value().to_owned());
            match begun_with.as_deref() {
                None => {
                    meta.insert(ORIGIN, origin)?;
                }
                Some(begun_with) if begun_with == origin => {}
                Some(_) => {
                    return Err(Failure(
                        "it was begun with another sandbox, or without one; give the sandbox it belongs to, or another --data-dir".to_owned(),
                    ));
                }
            }
            write.open_table(AUDIT)?;
        }
        let mut loaded = Loaded::default();
        for rows in loaded.tables.each_mut() {
            write.open_table(table(rows.name()))?;
        }
        write.commit()?;

        let read = self.database.begin_read()?;
        for rows in loaded.tables.each_mut() {
            let name = rows.name();
            let stored = read.open_table(table(name))?;
            load_rows(&stored, rows).map_err(|error| Failure(format!("table {name}: {error}")))?;
        }
        let meta = read.open_table(META)?;
        if let Some(micros) = meta.get(LAST_COMMIT)? {
            let micros =
                micros.value().parse().map_err(|error| Failure(format!("meta: {error}")))?;
            loaded.last_commit = Timestamp::from_micros(micros);
        }
        if let Some((_, line)) = read.open_table(AUDIT)?.last()? {
            let entry: crate::audit::Entry = serde_json::from_str(line.value())
                .map_err(|error| Failure(format!("audit trail: {error}")))?;
            loaded.head = Head { count: entry.n, hash: entry.hash };
        }
        Ok(loaded)
    }

    /// Stores one transaction whole or not at all; on return it is on disk.
    ///
    /// # Errors
    /// The disk refuses; nothing was stored.
    pub fn commit(
        &self,
        now: Timestamp,
        changes: &[StoredChange],
        audit: &[(u64, String)],
    ) -> Result<(), Failure> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        for of_table in changes.chunk_by(|one, next| one.table == next.table) {
            let mut rows = write.open_table(table(of_table[0].table))?;
            for change in of_table {
                match &change.row {
                    Some(row) => rows.insert(change.key.as_slice(), row.as_slice())?,
                    None => rows.remove(change.key.as_slice())?,
                };
            }
        }
        {
            let mut trail = write.open_table(AUDIT)?;
            for (n, line) in audit {
                trail.insert(n, line.as_str())?;
            }
            write.open_table(META)?.insert(LAST_COMMIT, now.micros().to_string().as_str())?;
        }
        write.commit()?;
        Ok(())
    }

    /// The audit trail's lines from entry `from` on, at most `limit`.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn audit(&self, from: u64, limit: usize) -> Result<Vec<String>, Failure> {
        let read = self.database.begin_read()?;
        let trail = read.open_table(AUDIT)?;
        let mut lines = Vec::new();
        for entry in trail.range(from..)?.take(limit) {
            lines.push(entry?.1.value().to_owned());
        }
        Ok(lines)
    }
}

/// Reads a table's pages on this thread and decodes its rows on another: each takes about as long.
fn load_rows(
    stored: &impl ReadableTable<&'static [u8], &'static [u8]>,
    rows: &mut dyn AnyTable,
) -> Result<(), Failure> {
    const CHUNK_BYTES: usize = 1 << 20;
    const CHUNKS_AHEAD: usize = 8;
    std::thread::scope(|scope| {
        let (chunks, received) = mpsc::sync_channel::<Chunk>(CHUNKS_AHEAD);
        let decoding = scope.spawn(move || -> Result<(), Failure> {
            for chunk in received {
                let mut start = 0;
                for end in chunk.ends {
                    rows.load(&chunk.bytes[start..end]).map_err(|e| Failure(e.to_string()))?;
                    start = end;
                }
            }
            rows.loaded();
            Ok(())
        });
        let mut chunk = Chunk::default();
        for entry in stored.iter()? {
            let (_, row) = entry?;
            chunk.bytes.extend_from_slice(row.value());
            chunk.ends.push(chunk.bytes.len());
            // A decoder that has given up says why when it is joined.
            if chunk.bytes.len() >= CHUNK_BYTES && chunks.send(std::mem::take(&mut chunk)).is_err()
            {
                break;
            }
        }
        let _ = chunks.send(chunk);
        drop(chunks);
        decoding.join().unwrap_or_else(|_| Err(Failure("decoding panicked".to_owned())))
    })
}

/// Rows one behind the other, and where each ends.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// The disk, or the file on it, refuses.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

macro_rules! failures {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })+
    };
}

impl From<redb::DatabaseError> for Failure {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => {
                Self("another process uses it; stop it, or give another --data-dir".to_owned())
            }
            other => Self(format!("{FILE}: {other}")),
        }
    }
}

failures!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);
