//! Phases that the user's own commands do (interfaces.md section 4, `--hook`).

use super::{NotDone, World};
use crate::client::Credential;
use crate::environment::{Workplace, command};
use crate::error::Problem;
use crate::procedure::redaction::KnownSecrets;
use crate::procedure::{HookRecord, Phase};
use fake_kingdom::cause::Cause;
use halo_pki::{Leaf, pem_certificates, pem_private_key};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A larger file is not searched for private keys, and then nothing of the output is shown.
const KEY_FILE_MAX_MIB: u64 = 4;

/// The commands of a run.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// By phase.
    pub commands: BTreeMap<Phase, String>,
    /// How long each may take.
    pub patience: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { commands: BTreeMap::new(), patience: Duration::from_secs(60) }
    }
}

/// A client's files in the sandbox's folder: leaf, key, trust.
struct ClientFiles([PathBuf; 3]);

impl ClientFiles {
    fn of(folder: &Path, actor: &str) -> Self {
        let own = folder.join("participants").join(actor);
        Self([
            own.join(format!("{actor}_tls.pem")),
            own.join(format!("{actor}_tls.key")),
            own.join("kingdom_root.pem"),
        ])
    }

    fn read(&self) -> [Vec<u8>; 3] {
        self.0.each_ref().map(|path| std::fs::read(path).unwrap_or_default())
    }
}

impl World {
    /// The command that does a phase, if the user gave one.
    pub(super) fn hook(&self, phase: Phase) -> Option<String> {
        self.hooks.commands.get(&phase).cloned()
    }

    /// Runs the command of a phase, and takes over what it has done.
    pub(super) async fn run_hook(
        &mut self,
        phase: Phase,
        command: String,
    ) -> Result<(HookRecord, Result<(), NotDone>), Problem> {
        let Some(place) = self.running()?.workplace().cloned() else {
            return Err(Problem::not_applicable(
                "a command for a phase runs on loopback only: virtual time does not wait for it",
            ));
        };
        // Whether replicas ask for certificates stands in no file that a command could change.
        if self.cutting.is_some() {
            return Err(Problem::author(
                "a command can do a phase of a rotation, not of a cutover to mTLS",
                "leave out `--hook` for this scenario",
            ));
        }
        self.before_hook(phase).await?;
        let clients = self.clients_of_rotation()?;
        let files: Vec<_> =
            clients.iter().map(|actor| ClientFiles::of(&place.folder, actor)).collect();
        let before: Vec<_> = files.iter().map(ClientFiles::read).collect();
        let variables = self.variables(phase, &place)?;
        // Twice: the command may move or remove what was there, and make what was not.
        let mut secrets = self.secrets_of_hooks()?;
        let before_it = add_keys_below(&mut secrets, &place.folder);
        let ended = command::run(&command, &variables, self.hooks.patience).await?;
        let searched = before_it.and(add_keys_below(&mut secrets, &place.folder));
        let output = shown(&ended.output, &secrets, searched, &place.folder);
        let (exit_code, timed_out) = (ended.exit_code, ended.timed_out);
        let failed = match exit_code {
            Some(0) => None,
            _ if timed_out => {
                Some(format!("its command took longer than {} s", self.hooks.patience.as_secs()))
            }
            Some(code) => Some(format!("its command ended with exit code {code}")),
            None => Some("a signal ended its command".to_owned()),
        };
        let record = HookRecord { command, exit_code, timed_out, output };
        if let Some(why) = failed {
            let why = format!("{phase} broke off: {why}");
            return Ok((record, Err(NotDone { cause: Some(Cause::HookFailed), why })));
        }
        for ((actor, files), before) in clients.iter().zip(&files).zip(before) {
            let now = files.read();
            if now != before
                && let Err(why) = self.wear(actor, &now).await?
            {
                return Ok((record, Err(why)));
            }
        }
        self.dress_probes().await?;
        let outcome = self.after_hook(phase, new_leaf_in(&place.folder)).await?;
        Ok((record, outcome))
    }

    /// What the command is told; README.md names them.
    fn variables(
        &self,
        phase: Phase,
        place: &Workplace,
    ) -> Result<Vec<(&'static str, String)>, Problem> {
        let (leaf, holder) = self.new_leaf()?;
        let [certificate, key] = new_files(&place.folder);
        if let Some(leaf) = leaf {
            let unable = |error: std::io::Error| {
                Problem::environment(error.to_string(), "free the temporary folder, run again")
            };
            write_secret(&key, &leaf.key().pkcs8_pem()).map_err(unable)?;
            std::fs::write(&certificate, leaf.certificate_pem()).map_err(unable)?;
        }
        let files = match &holder {
            None => place.folder.join("kingdom"),
            Some(actor) => place.folder.join("participants").join(actor),
        };
        let text = |path: &Path| path.display().to_string();
        Ok(vec![
            ("HALO_PHASE", phase.name().to_owned()),
            ("HALO_HOLDER", holder.unwrap_or_else(|| "kingdom".to_owned())),
            ("HALO_PUBLIC", place.public.clone()),
            ("HALO_CONTROL", place.control.clone()),
            ("HALO_REPLICAS", self.replicas().to_string()),
            ("HALO_SANDBOX", text(&place.folder)),
            ("HALO_FILES_DIR", text(&files)),
            ("HALO_NEW_CERT", text(&certificate)),
            ("HALO_NEW_KEY", text(&key)),
        ])
    }

    /// What must never be shown: every private key that the harness gave out, the new one, and API keys.
    fn secrets_of_hooks(&self) -> Result<KnownSecrets, Problem> {
        let sandbox = self.running()?.sandbox();
        let mut secrets = KnownSecrets::default();
        for api_key in sandbox.participants().iter().filter_map(|p| p.api_key.as_deref()) {
            secrets.add_text(api_key);
        }
        for (path, content) in sandbox.files() {
            secrets.add_keys_of(content);
            if path.ends_with("_private.der") {
                secrets.add_der(content);
            }
            if path.ends_with("_private.tink") {
                let public = path.replace("_private.tink", "_public.tink");
                secrets.add_bytes(content, sandbox.file(&public).unwrap_or_default());
            }
        }
        if let (Some(leaf), _) = self.new_leaf()? {
            secrets.add_der(leaf.key().pkcs8_der());
        }
        Ok(secrets)
    }

    /// Lets an actor present and trust what its files say now.
    async fn wear(
        &mut self,
        actor: &str,
        files: &[Vec<u8>; 3],
    ) -> Result<Result<(), NotDone>, Problem> {
        let [certificate, key, trust] = files;
        let wrong = |what: &dyn std::fmt::Display| NotDone {
            cause: Some(Cause::HookFailed),
            why: format!("{actor} cannot use its files: {what}"),
        };
        let chain = match pem_certificates(certificate) {
            Ok(chain) => chain,
            Err(error) => return Ok(Err(wrong(&error))),
        };
        let key = match pem_private_key(&String::from_utf8_lossy(key)) {
            Ok(key) => key,
            Err(error) => return Ok(Err(wrong(&error))),
        };
        let roots = match pem_certificates(trust) {
            Ok(roots) => roots,
            Err(error) => return Ok(Err(wrong(&error))),
        };
        let guise = self.puts_on(actor, Some(Credential { chain, key })).await?;
        guise.roots = Some(roots);
        self.changed(format!("{actor}'s files"));
        Ok(Ok(()))
    }
}

/// Where a new leaf and its key lie between phases.
fn new_files(folder: &Path) -> [PathBuf; 2] {
    ["new_tls.pem", "new_tls.key"].map(|name| folder.join(name))
}

fn new_leaf_in(folder: &Path) -> Option<Leaf> {
    let [certificate, key] = new_files(folder);
    let chain = pem_certificates(&std::fs::read(certificate).ok()?).ok()?;
    let key = pem_private_key(&std::fs::read_to_string(key).ok()?).ok()?;
    Leaf::load(chain.first()?, &key).ok()
}

/// A file or folder that was not searched for private keys, and why.
struct NotSearched {
    path: PathBuf,
    why: String,
}

/// The private keys in the files of a folder and its subfolders, whatever they are called: the holder's
/// own, those of the sandbox, and what a command has put beside them (the new key lies there too).
///
/// # Errors
/// What could not be searched, and may hold a key that nobody knows now. The rest was searched.
fn add_keys_below(secrets: &mut KnownSecrets, folder: &Path) -> Result<(), NotSearched> {
    let mut searched = Ok(());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return unless_gone(folder, &error),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let this =
            if is_folder { add_keys_below(secrets, &path) } else { add_keys_in(secrets, &path) };
        searched = searched.and(this);
    }
    searched
}

fn add_keys_in(secrets: &mut KnownSecrets, path: &Path) -> Result<(), NotSearched> {
    match std::fs::metadata(path) {
        Err(error) => return unless_gone(path, &error),
        // A pipe would never end, and a link to a folder could lead back.
        Ok(file) if !file.is_file() => return Ok(()),
        Ok(file) if file.len() > KEY_FILE_MAX_MIB * 1024 * 1024 => {
            let why = format!("is larger than {KEY_FILE_MAX_MIB} MiB");
            return Err(NotSearched { path: path.to_owned(), why });
        }
        Ok(_) => {}
    }
    match std::fs::read(path) {
        Ok(content) => secrets.add_keys_of(&content),
        Err(error) => return unless_gone(path, &error),
    }
    Ok(())
}

/// What has been removed meanwhile, or a link to nothing, holds no key.
fn unless_gone(path: &Path, error: &std::io::Error) -> Result<(), NotSearched> {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Ok(());
    }
    Err(NotSearched { path: path.to_owned(), why: format!("cannot be read ({})", error.kind()) })
}

/// What the record shows of a command's output: nothing of it if a file was not searched.
fn shown(
    output: &str,
    secrets: &KnownSecrets,
    searched: Result<(), NotSearched>,
    folder: &Path,
) -> String {
    match searched {
        Err(NotSearched { path, why }) if !output.is_empty() => {
            let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            format!(
                "[secret] (nothing of the output is shown: {} in the sandbox's folder {why}, so it was \
                 not searched for private keys; let the command keep such a file elsewhere)\n",
                secrets.redact(&name)
            )
        }
        _ => secrets.redact(output),
    }
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const MIB: usize = 1024 * 1024;

    /// What is shown of the base64 of 24 bytes of a key's file, that lies behind so many bytes of notes.
    fn shown_beside(notes: usize) -> (String, String) {
        let key = halo_pki::KeyPair::generate(&mut ChaCha20Rng::seed_from_u64(8)).pkcs8_pem();
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep");
        std::fs::create_dir(&deep).unwrap();
        let notes = "a note\n".repeat(notes / 7);
        std::fs::write(deep.join("notes"), format!("{notes}{}", &*key)).unwrap();
        let mut secrets = KnownSecrets::default();
        let searched = add_keys_below(&mut secrets, folder.path());
        let output = format!("it is: {}", hex::encode(&key.as_bytes()[84..108]));
        let shown = shown(&output, &secrets, searched, folder.path());
        (output, shown)
    }

    #[test]
    fn a_key_in_a_large_file_is_known() {
        for notes in [0, 300 * 1024, 3 * MIB] {
            assert_eq!(shown_beside(notes).1, "it is: [secret]", "{notes} bytes of notes");
        }
    }

    #[test]
    fn beside_a_file_that_is_too_large_to_search_nothing_is_shown_and_it_is_said_why() {
        let (output, shown) = shown_beside(4 * MIB);
        assert!(
            shown.starts_with("[secret] (nothing of the output is shown: deep/notes"),
            "{shown}"
        );
        assert!(shown.contains("is larger than 4 MiB"), "{shown}");
        assert!(!shown.contains(&output[7..]), "{shown}");
    }
}
