//! The Kingdom's files as replicas have them mounted, and when a change reaches them.

use super::kustomize::Renderer;
use super::secrets::{Delivery, Secret, Volume};
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
    /// The folder that makes the Secret, if there is one; one rendering at a time.
    kustomization: Option<Arc<tokio::sync::Mutex<Kustomization>>>,
}

struct Inner {
    /// The newest content, as it was applied.
    applied: BTreeMap<Role, Vec<u8>>,
    /// What each file is called.
    names: BTreeMap<Role, String>,
    /// Names of the Secret that a Kustomization folder makes.
    secret: SecretNames,
    seen: Seen,
}

/// Names of a Secret, as they are shown.
#[derive(Default)]
struct SecretNames {
    /// When it was made first, and when it was made last.
    first: Option<String>,
    latest: String,
    /// What each replica that was started again mounts.
    mounted: BTreeMap<u32, String>,
}

/// A Kustomization folder with the Kingdom's files in it.
struct Kustomization {
    folder: TempDir,
    renderer: Renderer,
    /// What each of the Kingdom's files is called, and where it stands in the folder.
    names: BTreeMap<Role, String>,
    places: BTreeMap<Role, String>,
    /// The true names of each Secret by its base, one for each content that was made so far.
    contents: BTreeMap<String, Vec<String>>,
}

/// What replicas read.
enum Seen {
    Memory(MemoryFiles),
    Disk { volume: Volume, folder: TempDir },
}

impl Mount {
    /// Mounts a sandbox's files: in a folder as the kubelet does, or in memory.
    pub(super) async fn new(
        sandbox: &Sandbox,
        delivery: Delivery,
        kustomization: Option<(&BTreeMap<String, Vec<u8>>, Renderer)>,
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
            Some((files, renderer)) => {
                let folder = Kustomization::new(files, &names, renderer).map_err(unable)?;
                Some(Arc::new(tokio::sync::Mutex::new(folder)))
            }
            None => None,
        };
        let inner = Inner { applied, names, secret: SecretNames::default(), seen };
        let mount = Self { delivery, inner: Arc::new(Mutex::new(inner)), kustomization };
        mount.publish().await?;
        Ok(mount)
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
                let _ = mount.publish().await;
            });
        }
    }

    /// A replica is about to start: with a hashed name it mounts what was applied last.
    pub(super) async fn replica_starts(&self, replica: u32) -> Result<(), Problem> {
        if self.delivery != Delivery::HashedName {
            return Ok(());
        }
        self.publish().await?;
        let names = &mut self.inner().secret;
        names.mounted.insert(replica, names.latest.clone());
        Ok(())
    }

    /// Shows replicas what was applied. Whoever renders it may take its time: nothing else waits meanwhile.
    async fn publish(&self) -> Result<(), Problem> {
        let Some(folder) = &self.kustomization else {
            let mut inner = self.inner();
            let applied = inner.applied.clone();
            return inner.show(&applied);
        };
        let mut folder = folder.lock().await;
        let applied = self.inner().applied.clone();
        let (rendered, name) = folder.render(&applied).await?;
        let mut inner = self.inner();
        inner.secret.first.get_or_insert_with(|| name.clone());
        inner.secret.latest = name;
        inner.show(&rendered)
    }

    /// Names of the Secret that a Kustomization folder makes: the first, and what each of the replicas that
    /// were started again mounts.
    pub(super) fn secret_names(&self) -> Option<(String, BTreeMap<u32, String>)> {
        let names = &self.inner().secret;
        Some((names.first.clone()?, names.mounted.clone()))
    }
}

impl Inner {
    fn show(&mut self, rendered: &BTreeMap<Role, Vec<u8>>) -> Result<(), Problem> {
        match &mut self.seen {
            Seen::Memory(files) => {
                for (role, content) in rendered {
                    files.set(*role, content.clone());
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
        renderer: Renderer,
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
        let names = names.clone();
        Ok(Self { folder, renderer, names, places, contents: BTreeMap::new() })
    }

    /// What the Secret holds of each file, as Kustomize makes it now, and the name that is shown for it.
    async fn render(
        &mut self,
        applied: &BTreeMap<Role, Vec<u8>>,
    ) -> Result<(BTreeMap<Role, Vec<u8>>, String), Problem> {
        for (role, place) in &self.places {
            let content = applied.get(role).map(Vec::as_slice).unwrap_or_default();
            std::fs::write(self.folder.path().join(place), content).map_err(|error| {
                Problem::environment(error.to_string(), "free the temporary folder, run again")
            })?;
        }
        let secrets = self.renderer.render(self.folder.path()).await?;
        let mut rendered = BTreeMap::new();
        let mut used = BTreeSet::new();
        for (role, name) in &self.names {
            let holder = holder(&secrets, name)?;
            used.insert((&holder.name, &holder.base));
            rendered.insert(*role, holder.data.get(name).cloned().unwrap_or_default());
        }
        let used: Vec<_> = used.into_iter().map(|(name, base)| self.shown(name, base)).collect();
        Ok((rendered, used.join(", ")))
    }

    /// The name of a Secret; where its hash must not show, the number of its content in its place.
    fn shown(&mut self, name: &str, base: &str) -> String {
        if self.renderer.shows_hashes() {
            return name.to_owned();
        }
        let contents = self.contents.entry(base.to_owned()).or_default();
        let known = contents.iter().position(|content| content == name);
        let index = known.unwrap_or_else(|| {
            contents.push(name.to_owned());
            contents.len() - 1
        });
        format!("{base} (content {})", index + 1)
    }
}

/// The Secret or ConfigMap that has a file of the Kingdom's; several only if the file is the same in each.
fn holder<'a>(secrets: &'a [Secret], file: &str) -> Result<&'a Secret, Problem> {
    let mut holders = secrets.iter().filter(|secret| secret.data.contains_key(file));
    let first = holders.next().ok_or_else(|| {
        let what = format!("no Secret of the kustomization has {file}, which the Kingdom reads");
        Problem::author(what, "list the file under `files` of a secretGenerator")
    })?;
    match holders.find(|other| other.data.get(file) != first.data.get(file)) {
        None => Ok(first),
        Some(other) => Err(Problem::author(
            format!("{file} has one content in {} and another in {}", first.base, other.base),
            "have one of them hold the Kingdom's file, the other under another name",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(renderer: Renderer, names: &[(&str, &str)]) -> Vec<String> {
        let files = BTreeMap::new();
        let mut folder = Kustomization::new(&files, &BTreeMap::new(), renderer).unwrap();
        names.iter().map(|(name, base)| folder.shown(name, base)).collect()
    }

    #[test]
    fn in_simulation_contents_are_numbered_in_the_order_in_which_they_are_first_seen() {
        let (s, t) = ("s", "t");
        let names = [("s-x", s), ("s-b", s), ("s-x", s), ("t-x", t), ("s-c", s), ("s-b", s)];
        let numbered = [
            "s (content 1)",
            "s (content 2)",
            "s (content 1)",
            "t (content 1)",
            "s (content 3)",
            "s (content 2)",
        ];
        assert_eq!(shown(Renderer::Simulation, &names), numbered);
        let true_names = names.map(|(name, _)| name);
        assert_eq!(shown(Renderer::WithoutKubectl, &names), true_names);
        assert_eq!(shown(Renderer::Kubectl("kubectl".into()), &names), true_names);
    }

    #[test]
    fn a_file_with_two_contents_has_no_holder_and_one_with_the_same_in_both_has() {
        let secret = |name: &str, content: &str| Secret {
            name: format!("{name}-hash"),
            base: name.to_owned(),
            data: BTreeMap::from([("tls.pem".to_owned(), content.as_bytes().to_vec())]),
        };
        let same = [secret("a", "1"), secret("b", "1")];
        assert_eq!(holder(&same, "tls.pem").unwrap().base, "a");
        let told = |secrets: &[Secret], file| holder(secrets, file).unwrap_err().to_string();
        let differ = told(&[secret("a", "1"), secret("b", "2")], "tls.pem");
        assert!(differ.contains("one content in a and another in b"), "{differ}");
        assert!(told(&same, "root.pem").contains("no Secret of the kustomization has root.pem"));
    }
}
