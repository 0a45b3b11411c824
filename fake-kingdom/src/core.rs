//! The one state behind all replicas: runs rules against it, one transaction a write, with the
//! audit trail in the same transaction.

use crate::audit::{self, Head};
use crate::error::{Code, Refusal};
use crate::event::{Event, EventLog, Kind};
use crate::model::{IdSource, Mutation, Read, Timestamp, Write};
use crate::persist::Persist;
use crate::seam::clock::Clock;
use crate::settings::Settings;
use crate::store::{StoredChange, Tables};
use arc_swap::ArcSwap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// State, clock, settings and logs of one Kingdom.
pub struct Core {
    state: RwLock<State>,
    settings: ArcSwap<Settings>,
    /// The fake's clock.
    pub clock: Clock,
    /// Events of all replicas.
    pub events: EventLog,
    storage: Storage,
}

struct State {
    tables: Tables,
    ids: IdSource,
    last_commit: Timestamp,
    head: Head,
}

/// Where transactions go.
pub enum Storage {
    /// Rows on the heap only; the audit trail in an unnamed temporary file, not on the heap.
    Memory(Mutex<Option<File>>),
    /// `--data-dir`.
    Disk(Persist),
}

impl Core {
    /// A Kingdom's state, empty or as read back from `storage`.
    pub fn new(
        settings: Settings,
        clock: Clock,
        ids: IdSource,
        events: EventLog,
        storage: Storage,
        loaded: crate::persist::Loaded,
    ) -> Self {
        let state = State {
            tables: loaded.tables,
            ids,
            last_commit: loaded.last_commit,
            head: loaded.head,
        };
        Self {
            state: RwLock::new(state),
            settings: ArcSwap::from_pointee(settings),
            clock,
            events,
            storage,
        }
    }

    /// The settings in force. Only the Duchy set ever changes.
    pub fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Puts another Duchy set in force, as a restart of the data server with another
    /// `--duchy-id-config` does (contract 2.16, 5.4.1).
    pub fn set_duchies(&self, duchies: &crate::settings::Duchies) {
        let present = self.settings.load();
        if present.duchies != *duchies {
            let settings = Settings { duchies: duchies.clone(), ..Settings::clone(&present) };
            self.settings.store(Arc::new(settings));
        }
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> RwLockWriteGuard<'_, State> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // A rule that panicked has left its journal behind.
        for table in state.tables.each_mut() {
            table.roll_back();
        }
        state
    }

    /// Runs a rule that only reads.
    pub fn read<T>(&self, rule: impl FnOnce(&Read<'_>) -> T) -> T {
        let state = self.read_lock();
        rule(&Read {
            tables: &state.tables,
            now: self.clock.now(),
            settings: &self.settings.load(),
        })
    }

    /// Runs a rule that writes, as one transaction: its changes and audit entries are stored
    /// together before this returns `Ok`; on `Err` nothing has changed.
    ///
    /// # Errors
    /// The rule's own refusal; INTERNAL if the store refuses.
    pub fn write<T>(
        &self,
        actor: &str,
        rule: impl FnOnce(&mut Write<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut guard = self.write_lock();
        let State { tables, ids, last_commit, head } = &mut *guard;
        // Commit times are unique and increase, as the real store's do: etags rest on it (1.7.10).
        let now =
            self.clock.now().max(Timestamp::from_micros(last_commit.micros().saturating_add(1)));
        let settings = self.settings.load();
        let mut write = Write { tables, now, settings: &settings, ids, mutations: Vec::new() };
        let answer = rule(&mut write);
        let mutations = std::mem::take(&mut write.mutations);

        let stored = match &answer {
            Ok(_) => self.store(tables, head, now, actor, &mutations),
            Err(_) => {
                roll_back(tables);
                return answer;
            }
        };
        match stored {
            Ok(new_head) => {
                for table in tables.each_mut() {
                    table.commit();
                }
                *last_commit = now;
                *head = new_head;
                // Under the lock, so that events and audit trail have one order.
                for mutation in mutations {
                    self.events.record(self.clock.now(), mutation_event(actor, mutation));
                }
                answer
            }
            Err(error) => {
                roll_back(tables);
                Err(Refusal::new(Code::Internal, format!("the fake's own store failed: {error}")))
            }
        }
    }

    /// Appends one entry to the audit trail without changing a resource (`POST /v1/audit`).
    ///
    /// # Errors
    /// The store refuses.
    pub fn append_audit(&self, actor: &str, mutation: Mutation) -> Result<Head, Refusal> {
        self.write(actor, |write| {
            write.mutations.push(mutation);
            Ok(())
        })?;
        Ok(self.audit_head())
    }

    /// Count and hash of the audit trail.
    pub fn audit_head(&self) -> Head {
        self.read_lock().head.clone()
    }

    /// Lines of the audit trail from entry `from` (counted from 1) on, at most `limit`.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn audit_lines(&self, from: u64, limit: usize) -> io::Result<Vec<String>> {
        match &self.storage {
            Storage::Disk(persist) => persist.audit(from, limit).map_err(io::Error::other),
            Storage::Memory(file) => {
                // The state's lock keeps writers out while the file is read.
                let _state = self.write_lock();
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(file) = file.as_mut() else { return Ok(Vec::new()) };
                file.seek(SeekFrom::Start(0))?;
                let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
                let lines = BufReader::new(&mut *file).lines().skip(skip).take(limit).collect();
                file.seek(SeekFrom::End(0))?;
                lines
            }
        }
    }

    fn store(
        &self,
        tables: &Tables,
        head: &Head,
        now: Timestamp,
        actor: &str,
        mutations: &[Mutation],
    ) -> Result<Head, String> {
        let mut head = head.clone();
        let mut lines = Vec::with_capacity(mutations.len());
        for mutation in mutations {
            let line = audit::append(&mut head, now, actor, mutation);
            lines.push((head.count, line));
        }
        match &self.storage {
            Storage::Memory(file) => {
                append_lines(file, &lines).map_err(|error| error.to_string())?
            }
            Storage::Disk(persist) => {
                let mut changes: Vec<StoredChange> = Vec::new();
                for table in tables.each().into_iter().filter(|table| table.is_changed()) {
                    changes.extend(table.changes().map_err(|error| error.to_string())?);
                }
                if changes.is_empty() && lines.is_empty() {
                    return Ok(head);
                }
                block(|| persist.commit(now, &changes, &lines))
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(head)
    }
}

fn append_lines(file: &Mutex<Option<File>>, lines: &[(u64, String)]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match file.as_mut() {
        Some(file) => file,
        None => file.insert(tempfile::tempfile()?),
    };
    let mut text = String::new();
    for (_, line) in lines {
        text.push_str(line);
        text.push('\n');
    }
    file.write_all(text.as_bytes())
}

/// Waiting for the disk must not hold up a worker of a multi-threaded runtime.
fn block<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn roll_back(tables: &mut Tables) {
    for table in tables.each_mut() {
        table.roll_back();
    }
}

fn mutation_event(actor: &str, mutation: Mutation) -> Event {
    let arrow = |state: Option<String>| state.unwrap_or_else(|| "-".to_owned());
    let detail =
        format!("{}: {} -> {}", mutation.action, arrow(mutation.before), arrow(mutation.after));
    Event {
        principal: Some(Arc::from(actor)),
        subject: Some(mutation.subject),
        detail: Some(detail),
        ..Event::new(Kind::Mutation, "ok")
    }
}
