//! The Kingdom's files as replicas have them mounted, and when a change reaches them.

use super::secrets::{self, Delivery, Volume};
use crate::error::Problem;
use fake_kingdom::files::{Files, MemoryFiles, Role};
use fake_kingdom::sandbox::Sandbox;
use std::collections::{BTreeMap, BTreeSet};
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
    /// What each file is called.
    names: BTreeMap<Role, String>,
    /// The folder that makes the Secret of it, if there is one.
    kustomization: Option<Kustomization>,
    seen: Seen,
}

/// A Kustomization folder with the Kingdom's files in it.
struct Kustomization {
    folder: TempDir,
    /// Where each of the Kingdom's files stands in it.
    places: BTreeMap<Role, String>,
    /// Name of the Secret when it was made first, and of the one that was made last.
    first: Option<String>,
    latest: String,
    /// What each replica that was started again mounts.
    mounted: BTreeMap<u32, String>,
}

/// What replicas read.
enum Seen {
    Memory(MemoryFiles),
    Disk { volume: Volume, folder: TempDir },
}

impl Mount {
    /// Mounts a sandbox's files: in a folder as the kubelet does, or in memory.
    pub(super) fn new(
        sandbox: &Sandbox,
        delivery: Delivery,
        kustomization: Option<&BTreeMap<String, Vec<u8>>>,
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
            Seen::Disk { volume: Volume::new(folder.path()), folder }
        } else {
            Seen::Memory(MemoryFiles::default())
        };
        let kustomization = match kustomization {
            Some(files) => Some(Kustomization::new(files, &names).map_err(unable)?),
            None => None,
        };
        let mut inner = Inner { applied, names, kustomization, seen };
        inner.publish()?;
        Ok(Self { delivery, inner: Arc::new(Mutex::new(inner)) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the servers are started with.
    pub(super) fn files(&self) -> Files {
        let inner = self.inner();
        match &inner.seen {
            Seen::Memory(files) => Files::Memory(files.clone()),
            Seen::Disk { folder, .. } => Files::Disk(
                inner.names.iter().map(|(role, name)| (*role, folder.path().join(name))).collect(),
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
    pub(super) fn replica_starts(&self, replica: u32) -> Result<(), Problem> {
        if self.delivery != Delivery::HashedName {
            return Ok(());
        }
        let mut inner = self.inner();
        inner.publish()?;
        if let Some(folder) = &mut inner.kustomization {
            folder.mounted.insert(replica, folder.latest.clone());
        }
        Ok(())
    }

    /// Names of the Secret that a Kustomization folder makes: the first, and what each of the replicas that
    /// were started again mounts.
    pub(super) fn secret_names(&self) -> Option<(String, BTreeMap<u32, String>)> {
        let inner = self.inner();
        let folder = inner.kustomization.as_ref()?;
        Some((folder.first.clone()?, folder.mounted.clone()))
    }
}

impl Inner {
    fn publish(&mut self) -> Result<(), Problem> {
        let rendered = match &mut self.kustomization {
            Some(folder) => folder.render(&self.applied, &self.names)?,
            None => self.applied.clone(),
        };
        match &mut self.seen {
            Seen::Memory(files) => {
                for (role, content) in rendered {
                    files.set(role, content);
                }
                Ok(())
            }
            Seen::Disk { volume, .. } => {
                let files = rendered.iter().filter_map(|(role, content)| {
                    Some((self.names.get(role)?.as_str(), &content[..]))
                });
                volume.project(files).map_err(|error| {
                    Problem::environment(error.to_string(), "free the disk, run again")
                })
            }
        }
    }
}

impl Kustomization {
    /// Writes the folder out. A file of the Kingdom's stands where the folder has one of its name, else
    /// at the top.
    fn new(
        files: &BTreeMap<String, Vec<u8>>,
        names: &BTreeMap<Role, String>,
    ) -> std::io::Result<Self> {
        let folder = TempDir::new()?;
        for (path, content) in files {
            let path = folder.path().join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, content)?;
        }
        let place = |name: &String| {
            let own = |path: &&String| path.rsplit('/').next() == Some(name.as_str());
            files.keys().find(own).unwrap_or(name).clone()
        };
        let places = names.iter().map(|(role, name)| (*role, place(name))).collect();
        Ok(Self { folder, places, first: None, latest: String::new(), mounted: BTreeMap::new() })
    }

    /// What the Secret holds of each file, as Kustomize makes it now.
    fn render(
        &mut self,
        applied: &BTreeMap<Role, Vec<u8>>,
        names: &BTreeMap<Role, String>,
    ) -> Result<BTreeMap<Role, Vec<u8>>, Problem> {
        for (role, place) in &self.places {
            let content = applied.get(role).map(Vec::as_slice).unwrap_or_default();
            std::fs::write(self.folder.path().join(place), content).map_err(|error| {
                Problem::environment(error.to_string(), "free the temporary folder, run again")
            })?;
        }
        let secrets = secrets::render(self.folder.path()).map_err(|error| {
            // Where the folder is says nothing, and differs from run to run.
            let own = format!("{}/", self.folder.path().display());
            Problem::author(error.to_string().replace(&own, ""), "correct the kustomization")
        })?;
        let mut rendered = BTreeMap::new();
        let mut used = BTreeSet::new();
        for (role, name) in names {
            let holder = secrets.iter().find(|secret| secret.data.contains_key(name));
            let secret = holder.ok_or_else(|| {
                let what =
                    format!("no Secret of the kustomization has {name}, which the Kingdom reads");
                Problem::author(what, "list the file under `files` of a secretGenerator")
            })?;
            used.insert(secret.name.clone());
            rendered.insert(*role, secret.data.get(name).cloned().unwrap_or_default());
        }
        self.latest = used.into_iter().collect::<Vec<_>>().join(", ");
        self.first.get_or_insert_with(|| self.latest.clone());
        Ok(rendered)
    }
}
