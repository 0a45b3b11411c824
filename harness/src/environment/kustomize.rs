//! Who makes the Kingdom's Secret of a Kustomization folder: `kubectl kustomize` where it is found, else
//! this program, which understands a `secretGenerator` alone (contract 5.1.2, 5.4.2).

use super::command::{self, Collected};
use super::secrets::{self, RenderError, Secret};
use crate::error::Problem;
use base64::Engine as _;
use serde::Deserialize as _;
use serde_norway::Value;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// How long kubectl may take: it may fetch what a folder names.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest output that is read; a cluster takes no Secret above 1 MiB.
const MANIFESTS_MAX: usize = 16 * 1024 * 1024;

/// Who renders a Kustomization folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renderer {
    /// This program, whatever the machine has: the same seed gives the same bytes.
    Simulation,
    /// This program, for want of kubectl.
    WithoutKubectl,
    /// This kubectl.
    Kubectl(PathBuf),
}

impl Renderer {
    /// kubectl if `PATH` has it.
    pub fn found() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        kubectl_on(&path).map_or(Self::WithoutKubectl, Self::Kubectl)
    }

    /// Whether a Secret is shown by its true name. The hash in it is one over ECDSA signatures, which are
    /// other ones each time: in simulation nothing may show it.
    pub fn shows_hashes(&self) -> bool {
        *self != Self::Simulation
    }

    /// The Secrets and ConfigMaps that a folder makes, in the order of their names.
    ///
    /// # Errors
    /// The folder is wrong, a fault of the scenario's author, or it needs a renderer that is not here;
    /// kubectl cannot be run or does not end, a fault of the environment.
    pub async fn render(&self, folder: &Path) -> Result<Vec<Secret>, Problem> {
        match self {
            Self::Kubectl(kubectl) => kubectl_kustomize(kubectl, folder, PATIENCE).await,
            Self::Simulation => secrets::render(folder).map_err(|error| {
                not_rendered(&error, folder, "run it with --env loopback, where kubectl renders it")
            }),
            Self::WithoutKubectl => secrets::render(folder).map_err(|error| {
                not_rendered(&error, folder, "install kubectl, which renders it if PATH has it")
            }),
        }
    }
}

/// Why our own rendering fails; `elsewhere` says who understands more.
fn not_rendered(error: &RenderError, folder: &Path, elsewhere: &str) -> Problem {
    let next = match error {
        RenderError::File { .. } => "correct the kustomization".to_owned(),
        RenderError::Line { .. } => format!(
            "correct it to a `secretGenerator` list of `name`, `type` and `files`, which is all that is \
             rendered without kubectl, or {elsewhere}"
        ),
    };
    Problem::author(without_folder(&error.to_string(), folder), next)
}

/// Where the folder is says nothing, and differs from run to run.
fn without_folder(text: &str, folder: &Path) -> String {
    let mut text = text.to_owned();
    for folder in folder.canonicalize().into_iter().chain([folder.to_owned()]) {
        let folder = folder.display().to_string();
        text = text.replace(&format!("{folder}/"), "").replace(&folder, "the folder");
    }
    text
}

/// The first program called kubectl in these folders, which stand as in `PATH`.
fn kubectl_on(path: &OsStr) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(path).map(|folder| folder.join("kubectl")).find(is_program)
}

async fn kubectl_kustomize(
    kubectl: &Path,
    folder: &Path,
    patience: Duration,
) -> Result<Vec<Secret>, Problem> {
    let mut program = Command::new(kubectl);
    program.arg("kustomize").arg(folder);
    let broken = |what: String| {
        let next = "repair kubectl, or take it off PATH: then a plain `secretGenerator` is rendered \
                    without it";
        Problem::environment(what, next)
    };
    let shown = kubectl.display();
    let collected = command::collect(program, patience, MANIFESTS_MAX).await;
    let Collected { exit_code, timed_out, out, err } =
        collected.map_err(|error| broken(format!("{shown} cannot be run: {error}")))?;
    let said = without_folder(String::from_utf8_lossy(&err).trim(), folder);
    match exit_code {
        _ if timed_out => {
            let seconds = patience.as_secs_f64();
            Err(broken(format!("kubectl kustomize did not end within {seconds} s: {said}")))
        }
        None => Err(broken(format!("a signal ended kubectl kustomize: {said}"))),
        Some(0) if out.len() >= MANIFESTS_MAX => Err(Problem::author(
            format!("the kustomization makes more than {MANIFESTS_MAX} bytes"),
            "leave out what the Kingdom does not read",
        )),
        Some(0) => manifests(&String::from_utf8_lossy(&out))
            .map_err(|error| broken(format!("what kubectl kustomize wrote: {error}"))),
        // It says that of itself, not of the folder.
        Some(code) if said.contains("unknown command") => {
            Err(broken(format!("kubectl knows no kustomize (exit code {code}): {said}")))
        }
        Some(code) => Err(Problem::author(
            format!("kubectl kustomize refuses the folder (exit code {code}): {said}"),
            "correct the kustomization",
        )),
    }
}

/// Why what a renderer wrote is not read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no YAML, or a Secret or ConfigMap of another form.
    #[error("{0}")]
    Yaml(#[from] serde_norway::Error),
    /// A value that is no base64.
    #[error("{name}: `{key}` is no base64")]
    Base64 {
        /// Whose.
        name: String,
        /// Which.
        key: String,
    },
}

/// The Secrets and ConfigMaps among manifests, in the order of their names; anything else is passed over.
///
/// # Errors
/// One of them cannot be read.
pub fn manifests(yaml: &str) -> Result<Vec<Secret>, ManifestError> {
    let mut found = Vec::new();
    for document in serde_norway::Deserializer::from_str(yaml) {
        let document = Value::deserialize(document)?;
        let field = |name: &str| document.get(name).and_then(Value::as_str);
        let is_mounted = matches!(field("kind"), Some("Secret" | "ConfigMap"));
        if is_mounted && field("apiVersion") == Some("v1") {
            let manifest: Manifest = serde_norway::from_value(document)?;
            found.push(manifest.read()?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    kind: String,
    metadata: Metadata,
    /// base64 in a Secret, text in a ConfigMap.
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
    /// Of a ConfigMap.
    #[serde(default)]
    binary_data: Option<BTreeMap<String, String>>,
    /// Of a Secret; outweighs `data`.
    #[serde(default)]
    string_data: Option<BTreeMap<String, String>>,
}

#[derive(serde::Deserialize)]
struct Metadata {
    name: String,
}

impl Manifest {
    fn read(self) -> Result<Secret, ManifestError> {
        let Self { kind, metadata: Metadata { name }, data, binary_data, string_data } = self;
        let (encoded, text) = match kind.as_str() {
            "Secret" => (data, string_data),
            _ => (binary_data, data),
        };
        let mut data = BTreeMap::new();
        for (key, mut value) in encoded.unwrap_or_default() {
            // Long values are folded into lines.
            value.retain(|letter| !letter.is_ascii_whitespace());
            let content = base64::engine::general_purpose::STANDARD.decode(value);
            let content = content
                .map_err(|_| ManifestError::Base64 { name: name.clone(), key: key.clone() })?;
            data.insert(key, content);
        }
        data.extend(
            text.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes())),
        );
        Ok(Secret { base: name.clone(), name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MANIFESTS: &str = "apiVersion: v1\ndata:\n  b.pem: |\n    Y2VydGlm\n    aWNhdGUK\nkind: Secret\n\
        metadata:\n  name: s-2\nstringData:\n  a.key: |\n    key\n---\napiVersion: v1\nbinaryData:\n  \
        map: bWFw\ndata:\n  text: \"1\"\nkind: ConfigMap\nmetadata:\n  name: c-1\n  namespace: halo\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\ndata: [1]\n---\n";

    fn secret(name: &str, data: &[(&str, &str)]) -> Secret {
        let data =
            data.iter().map(|(key, content)| ((*key).to_owned(), content.as_bytes().to_vec()));
        Secret { name: name.to_owned(), base: name.to_owned(), data: data.collect() }
    }

    #[test]
    fn secrets_and_config_maps_are_read_with_their_names_and_all_else_is_passed_over() {
        let expected = [
            secret("c-1", &[("map", "map"), ("text", "1")]),
            secret("s-2", &[("a.key", "key\n"), ("b.pem", "certificate\n")]),
        ];
        assert_eq!(manifests(MANIFESTS).unwrap(), expected);
        assert_eq!(manifests("").unwrap(), []);
        // Somebody's own kind of the same name is no Secret.
        assert_eq!(
            manifests(&MANIFESTS.replace("apiVersion: v1", "apiVersion: my/v1")).unwrap(),
            []
        );
    }

    #[test]
    fn what_is_no_manifest_is_told() {
        for (from, to, told) in [
            ("Y2VydGlm", "Y2Vyd:", "s-2: `b.pem` is no base64"),
            ("bWFw", "bWF", "c-1: `map` is no base64"),
            ("  name: s-2", "  named: s-2", "missing field `name`"),
            ("text: \"1\"", "text: [", "did not find expected"),
        ] {
            assert!(MANIFESTS.contains(from));
            let error = manifests(&MANIFESTS.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
    }

    /// A program called kubectl in a folder of its own.
    fn fake(script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubectl");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    fn rendered(script: &str, patience_ms: u64) -> Result<Vec<Secret>, Problem> {
        let (folder, kubectl) = fake(script);
        let patience = Duration::from_millis(patience_ms);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(kubectl_kustomize(&kubectl, folder.path(), patience))
    }

    #[test]
    fn kubectl_is_the_first_program_of_that_name_on_path() {
        let (empty, (not_a_program, file), (first, kubectl), (second, _)) =
            (tempfile::tempdir().unwrap(), fake(""), fake(""), fake(""));
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        let path = |folders: &[&tempfile::TempDir]| {
            env::join_paths(folders.iter().map(|folder| folder.path())).unwrap()
        };
        let all = path(&[&empty, &not_a_program, &first, &second]);
        assert_eq!(kubectl_on(&all), Some(kubectl));
        assert_eq!(kubectl_on(&path(&[&empty, &not_a_program])), None);
        assert_eq!(kubectl_on(OsStr::new("")), None);
    }

    #[test]
    fn each_way_in_which_kubectl_fails_has_its_owner() {
        use crate::error::Owner::{Environment, ScenarioAuthor};
        for (script, owner, told) in [
            (
                "echo \"$2/a.yaml is not there\" >&2; exit 1",
                ScenarioAuthor,
                ": a.yaml is not there;",
            ),
            ("echo 'unknown command \"kustomize\"' >&2; exit 1", Environment, "knows no kustomize"),
            ("kill -9 $$", Environment, "a signal ended kubectl"),
            ("echo 'kind: ['", Environment, "what kubectl kustomize wrote"),
            ("tail -f /dev/null", Environment, "did not end within 0.5 s"),
        ] {
            // Long enough for all but the one that never ends.
            let patience = if told.contains("0.5") { 500 } else { 20_000 };
            let problem = rendered(script, patience).unwrap_err();
            assert_eq!(problem.owner, owner, "{problem}");
            assert!(problem.to_string().contains(told), "{told}: {problem}");
        }
        assert_eq!(rendered(&format!("cat <<'END'\n{MANIFESTS}END"), 20_000).unwrap().len(), 2);
    }

    #[test]
    fn without_kubectl_what_only_kubectl_understands_is_refused_with_the_true_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let kustomization = "namespace: halo\nsecretGenerator: []\n";
        fs::write(folder.path().join("kustomization.yaml"), kustomization).unwrap();
        let refused = |renderer: Renderer| {
            let rendering = renderer.render(folder.path());
            futures::executor::block_on(rendering).unwrap_err().to_string()
        };
        let simulated = refused(Renderer::Simulation);
        let what = "kustomization.yaml:1: `namespace: halo` is not understood";
        assert!(simulated.contains(what), "{simulated}");
        assert!(simulated.contains("--env loopback") && !simulated.contains("install"));
        let without = refused(Renderer::WithoutKubectl);
        assert!(without.contains(what) && without.contains("install kubectl"), "{without}");
    }
}
