//! How a changed file reaches a server: what Kustomize makes of a folder, and what the kubelet makes
//! of a Secret (contract 5.1.2, 5.4.2).

use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

/// How the Kingdom's files get to its replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// A change is there at once, as on one machine.
    #[default]
    AtOnce,
    /// The Secret is edited in place: every mounted volume has the change after this delay, whether a
    /// replica reads it or not.
    InPlace(Duration),
    /// Each content has a name of its own: a replica mounts the new one at its next start, and until
    /// then nothing changes under it.
    HashedName,
}

/// What replicas mount: a Secret as Kustomize's `secretGenerator` makes it, or a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// With the hash of its content behind it, unless the folder switches that off.
    pub name: String,
    /// Its name without the hash; the whole name where nobody says which part of it is the hash.
    pub base: String,
    /// Its files.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// Why a folder is not rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A line outside what is understood here; nothing is guessed.
    #[error("kustomization.yaml:{line}: {what}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// Why.
        what: String,
    },
}

/// Renders the `secretGenerator` of a Kustomization folder, in the order of its names: entries with
/// `name`, `type` and a block list of `files`, of the form `FILE` or `KEY=FILE`.
///
/// # Errors
/// The folder has no `kustomization.yaml`, it holds anything else, or a file is missing.
pub fn render(folder: &Path) -> Result<Vec<Secret>, RenderError> {
    let text = read(&folder.join("kustomization.yaml"))?;
    let text = String::from_utf8_lossy(&text);
    let mut entries: Vec<Entry> = Vec::new();
    let mut in_secrets = false;
    let mut in_files = false;
    for (number, whole) in text.lines().enumerate() {
        let bad = |what: &str| RenderError::Line { line: number + 1, what: what.to_owned() };
        let line = whole.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !whole.starts_with([' ', '-']) {
            let known = ["apiVersion:", "kind:", "secretGenerator:"];
            if !known.iter().any(|key| line.starts_with(key)) {
                return Err(bad(&format!("`{line}` is not understood")));
            }
            in_secrets = line == "secretGenerator:";
            continue;
        }
        if !in_secrets {
            return Err(bad(&format!("`{line}` stands in no list")));
        }
        let (is_item, field) = match line.strip_prefix("- ") {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if in_files && is_item && !field.starts_with("name:") {
            let entry = entries.last_mut().ok_or_else(|| bad("a file of no Secret"))?;
            entry.files.push(field.to_owned());
            continue;
        }
        if is_item {
            entries.push(Entry::default());
        }
        in_files = field == "files:";
        let entry = entries.last_mut().ok_or_else(|| bad("a field of no Secret"))?;
        match field.split_once(": ") {
            _ if in_files => {}
            Some(("name", name)) => entry.name = name.trim().to_owned(),
            Some(("type", kind)) => entry.kind = kind.trim().to_owned(),
            _ => return Err(bad(&format!("`{field}` is not understood"))),
        }
    }
    let mut secrets: Vec<_> =
        entries.iter().map(|entry| entry.render(folder)).collect::<Result<_, _>>()?;
    secrets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(secrets)
}

/// All files below a folder, by their path in it.
///
/// # Errors
/// A file cannot be read.
pub fn folder(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, RenderError> {
    let failed =
        |path: &Path, source| RenderError::File { path: path.display().to_string(), source };
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(within) = path.strip_prefix(root) {
                let name = within.to_string_lossy().into_owned();
                files.insert(name, read(&path)?);
            }
        }
    }
    Ok(files)
}

#[derive(Default)]
struct Entry {
    name: String,
    kind: String,
    files: Vec<String>,
}

impl Entry {
    fn render(&self, folder: &Path) -> Result<Secret, RenderError> {
        let mut data = BTreeMap::new();
        for file in &self.files {
            let own = || (file.rsplit('/').next().unwrap_or(file), file.as_str());
            let (key, path) = file.split_once('=').unwrap_or_else(own);
            data.insert(key.to_owned(), read(&folder.join(path))?);
        }
        let kind = if self.kind.is_empty() { "Opaque" } else { &self.kind };
        let name = format!("{}-{}", self.name, content_hash(kind, &data));
        Ok(Secret { name, base: self.name.clone(), data })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RenderError> {
    fs::read(path).map_err(|source| RenderError::File { path: path.display().to_string(), source })
}

/// Kustomize's: ten hex digits of SHA-256 over the Secret's JSON, with the digits that could make a
/// word replaced.
fn content_hash(kind: &str, data: &BTreeMap<String, Vec<u8>>) -> String {
    let data: BTreeMap<_, _> =
        data.iter().map(|(key, content)| (key, folded_base64(content))).collect();
    let whole = BTreeMap::from([
        ("data", serde_json::json!(data)),
        ("kind", "Secret".into()),
        // Kustomize means the Secret's name here and never finds it: the name does not count.
        ("name", "".into()),
        ("type", kind.into()),
    ]);
    let json = serde_json::to_vec(&whole).unwrap_or_default();
    let digits = hex::encode(Sha256::digest(json));
    let replaced = |digit| match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    digits.chars().take(10).map(replaced).collect()
}

/// base64 as Kustomize's generators write it, and hash it: what is longer than a line is folded.
fn folded_base64(content: &[u8]) -> String {
    const LINE: usize = 70;
    let base64 = base64::engine::general_purpose::STANDARD.encode(content);
    if base64.len() < LINE {
        return base64;
    }
    let mut folded = String::new();
    for (index, letter) in base64.chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            folded.push('\n');
        }
        folded.push(letter);
    }
    folded + "\n"
}

/// A volume as the kubelet keeps it: each file is a link through `..data`, which is a link to a folder
/// with a version, and is swapped at once.
#[derive(Debug)]
pub struct Volume {
    folder: PathBuf,
    version: u64,
}

impl Volume {
    /// An empty volume in a folder that exists.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), version: 0 }
    }

    /// Where a file of it is read.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts these files in place of what was there, all at once.
    ///
    /// # Errors
    /// The folder cannot be written; what was there stays.
    pub fn project<'a>(
        &mut self,
        files: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> io::Result<()> {
        use std::os::unix::fs::symlink;
        self.version += 1;
        let version = format!("..version_{}", self.version);
        let into = self.folder.join(&version);
        fs::create_dir(&into)?;
        let mut names = Vec::new();
        for (name, content) in files {
            fs::write(into.join(name), content)?;
            names.push(name.to_owned());
        }
        let data = self.folder.join("..data");
        let before = fs::read_link(&data).ok();
        let next = self.folder.join("..data_tmp");
        symlink(&version, &next)?;
        fs::rename(&next, &data)?;
        for name in names {
            let link = self.folder.join(&name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(&name), link)?;
            }
        }
        if let Some(before) = before {
            fs::remove_dir_all(self.folder.join(before))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUSTOMIZATION: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\n\
        secretGenerator:\n- name: certs-and-configs\n  files:\n  - kingdom_tls.pem\n  - sub/kingdom_tls.key\n\
        # by another key\n- name: tls\n  type: kubernetes.io/tls\n  files:\n    - tls.crt=kingdom_tls.pem\n    \
        - tls.key=sub/kingdom_tls.key\n";

    fn folder(kustomization: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        for (name, content) in [
            ("kustomization.yaml", kustomization),
            ("kingdom_tls.pem", "certificate\n"),
            ("sub/kingdom_tls.key", "key <&>\n"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn another_content_has_another_name_and_the_same_content_the_same() {
        let folder = folder(KUSTOMIZATION);
        let names = || render(folder.path()).unwrap().into_iter().map(|secret| secret.name);
        let before: Vec<_> = names().collect();
        assert_eq!(before, names().collect::<Vec<_>>());
        fs::write(folder.path().join("kingdom_tls.pem"), "another\n").unwrap();
        assert!(names().all(|name| !before.contains(&name)));
    }

    #[test]
    fn names_are_those_of_kubectl_1_32() {
        let folder = folder(KUSTOMIZATION);
        let names = || -> Vec<_> {
            render(folder.path()).unwrap().into_iter().map(|secret| secret.name).collect()
        };
        assert_eq!(names(), ["certs-and-configs-7gkd8999fd", "tls-d8dc6f85k7"]);
        // Longer than a line of base64.
        let long = "a line of a certificate\n".repeat(50);
        fs::write(folder.path().join("kingdom_tls.pem"), long).unwrap();
        assert_eq!(names(), ["certs-and-configs-kthf85tt9m", "tls-mbdk2h2hf4"]);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (text, line) in [
            ("resources:\n- a.yaml\n", 1),
            ("secretGenerator:\n- name: s\n  literals: [a=b]\n", 3),
            ("secretGenerator:\n- name: s\n  files:\n  - kingdom_tls.pem\n  options:\n", 5),
        ] {
            let error = render(folder(text).path()).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("kustomization.yaml:{line}:")),
                "{error}"
            );
        }
        let missing = folder("secretGenerator:\n- name: s\n  files:\n  - none.pem\n");
        assert!(matches!(render(missing.path()), Err(RenderError::File { .. })));
    }

    #[test]
    fn a_volume_is_swapped_whole_and_its_old_version_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut volume = Volume::new(folder.path());
        let put = |volume: &mut Volume, a: &str, b: &str| {
            volume.project([("a", a.as_bytes()), ("b", b.as_bytes())].into_iter()).unwrap();
        };
        put(&mut volume, "1", "1");
        let held = fs::canonicalize(volume.path("a")).unwrap();
        put(&mut volume, "2", "2");
        assert_eq!(fs::read(volume.path("a")).unwrap(), b"2");
        assert_eq!(fs::read(volume.path("b")).unwrap(), b"2");
        assert!(!held.exists(), "the old version is gone");
        let link = fs::read_link(folder.path().join("a")).unwrap();
        assert_eq!(link, Path::new("..data/a"));
        assert_eq!(fs::read_link(folder.path().join("..data")).unwrap(), Path::new("..version_2"));
    }
}
