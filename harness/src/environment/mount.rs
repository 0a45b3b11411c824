//! The Kingdom's files as replicas have them mounted, and when a change reaches them.

use super::secrets::{Delivery, Volume};
use crate::error::Problem;
use fake_kingdom::files::{Files, MemoryFiles, Role};
use fake_kingdom::sandbox::Sandbox;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// What was delivered, and what replicas see of it.
#[derive(Clone)]
pub(super) struct Mount {
    delivery: Delivery,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    /// The newest content, as it was applied.
    applied: BTreeMap<Role, Vec<u8>>,
    seen: Seen,
}

/// What replicas read.
enum Seen {
    Memory(MemoryFiles),
    Disk { volume: Volume, names: BTreeMap<Role, String>, folder: TempDir },
}

impl Mount {
    /// Mounts a sandbox's files: in a folder as the kubelet does, or in memory.
    pub(super) fn new(
        sandbox: &Sandbox,
        delivery: Delivery,
        on_disk: bool,
    ) -> Result<Self, Problem> {
        let unable = |error: std::io::Error| {
            Problem::environment(error.to_string(), "free the temporary folder, run again")
        };
        let Files::Disk(paths) = Sandbox::disk_files(Path::new("")) else {
            return Err(Problem::harness("a sandbox on disk has no paths"));
        };
        let mut applied = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (role, path) in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let content = sandbox.file(&path.to_string_lossy()).unwrap_or_default();
            applied.insert(role, content.to_vec());
            names.insert(role, name);
        }
        let seen = if on_disk {
            let folder = TempDir::new().map_err(unable)?;
            Seen::Disk { volume: Volume::new(folder.path()), names, folder }
        } else {
            Seen::Memory(MemoryFiles::default())
        };
        let mut inner = Inner { applied, seen };
        inner.publish().map_err(unable)?;
        Ok(Self { delivery, inner: Arc::new(Mutex::new(inner)) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the servers are started with.
    pub(super) fn files(&self) -> Files {
        match &self.inner().seen {
            Seen::Memory(files) => Files::Memory(files.clone()),
            Seen::Disk { names, folder, .. } => Files::Disk(
                names.iter().map(|(role, name)| (*role, folder.path().join(name))).collect(),
            ),
        }
    }

    /// The newest content of a file, whether anybody sees it or not.
    pub(super) fn get(&self, role: Role) -> Option<Vec<u8>> {
        self.inner().applied.get(&role).cloned()
    }

    /// Applies a change; replicas see it as the delivery says.
    pub(super) fn apply(&self, role: Role, content: Vec<u8>) {
        self.inner().applied.insert(role, content);
        if let Delivery::InPlace(delay) = self.delivery {
            let mount = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                // What is not published is not seen: the check that needs the change fails.
                let _ = mount.inner().publish();
            });
        }
    }

    /// A replica is about to start: with a hashed name it mounts what was applied last.
    pub(super) fn replica_starts(&self) -> Result<(), Problem> {
        if self.delivery != Delivery::HashedName {
            return Ok(());
        }
        self.inner()
            .publish()
            .map_err(|error| Problem::environment(error.to_string(), "free the disk, run again"))
    }
}

impl Inner {
    fn publish(&mut self) -> std::io::Result<()> {
        match &mut self.seen {
            Seen::Memory(files) => {
                for (role, content) in &self.applied {
                    files.set(*role, content.clone());
                }
                Ok(())
            }
            Seen::Disk { volume, names, .. } => volume.project(
                self.applied
                    .iter()
                    .filter_map(|(role, content)| Some((names.get(role)?.as_str(), &content[..]))),
            ),
        }
    }
}
