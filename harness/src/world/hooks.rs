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

/// No file of a private key is larger.
const KEY_FILE_MAX: u64 = 256 * 1024;

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
        add_keys_below(&mut secrets, &place.folder);
        let ended = command::run(&command, &variables, self.hooks.patience).await?;
        add_keys_below(&mut secrets, &place.folder);
        let output = secrets.redact(&ended.output);
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

/// The private keys in the files of a folder and its subfolders, whatever they are called: the holder's
/// own, those of the sandbox, and what a command has put beside them (the new key lies there too).
fn add_keys_below(secrets: &mut KnownSecrets, folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_keys_below(secrets, &path);
            continue;
        }
        // A pipe would never end, and a link to a folder could lead back.
        let is_read =
            std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= KEY_FILE_MAX);
        if is_read {
            secrets.add_keys_of(&std::fs::read(&path).unwrap_or_default());
        }
    }
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}
