//! A Kingdom in this process, its sandbox in a folder, and the program.

use fake_kingdom::sandbox::Ports;
use fake_kingdom::seam::entropy::Seed;
use fake_kingdom::{Kingdom, Sandbox};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How the program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Exit 0; what was printed.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// This exit code, nothing printed, and each of these texts in the message.
    #[track_caller]
    pub(crate) fn bad(self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "", "nothing is printed when it fails");
        for text in texts {
            assert!(self.err.contains(text), "`{text}` is not in: {}", self.err);
        }
    }
}

/// Runs the program to its end.
pub(crate) fn halo<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_halo-harness"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The words of a command.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) sandbox: Sandbox,
    pub(crate) kingdom: Kingdom,
    pub(crate) runtime: Runtime,
}

impl World {
    /// A Kingdom that reads the files of a sandbox's folder.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = Sandbox::for_now(Seed::new(21)).expect("a sandbox");
        sandbox.write_material(folder.path()).expect("written");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let kingdom = runtime
            .block_on(
                Kingdom::builder(Sandbox::disk_files(folder.path()))
                    .provision(sandbox.provision().expect("resources"))
                    .start(),
            )
            .expect("it starts");
        let port = kingdom.public_address().rsplit(':').next().and_then(|p| p.parse().ok());
        let ports = Ports { public: port.expect("a port"), ..Ports::default() };
        sandbox.write(folder.path(), &ports, &ports).expect("written");
        Self { folder, sandbox, kingdom, runtime }
    }

    pub(crate) fn resource(&self, participant: &str) -> String {
        self.sandbox.participant(participant).expect("a participant").resource.clone()
    }

    pub(crate) fn certificate(&self, participant: &str) -> String {
        let participant = self.sandbox.participant(participant).expect("a participant");
        participant.certificate.clone().expect("a certificate")
    }

    pub(crate) fn api_key(&self) -> String {
        self.sandbox.participant("mc1").and_then(|mc| mc.api_key.clone()).expect("an API key")
    }

    /// A file of a participant by the recipe's name, such as `tls.pem`.
    pub(crate) fn file(&self, participant: &str, suffix: &str) -> String {
        let folder = self.own(participant);
        folder.join(format!("{participant}_{suffix}")).display().to_string()
    }

    pub(crate) fn own(&self, participant: &str) -> PathBuf {
        self.folder.path().join("participants").join(participant)
    }

    /// A path for a file that the test makes.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The global options of `api` for a participant.
    pub(crate) fn api_options(&self, participant: &str) -> Vec<String> {
        vec![
            "api".to_owned(),
            format!("--tls-cert-file={}", self.file(participant, "tls.pem")),
            format!("--tls-key-file={}", self.file(participant, "tls.key")),
            format!(
                "--cert-collection-file={}",
                self.own(participant).join("trusted_certs.pem").display()
            ),
            format!("--kingdom-public-api-target={}", self.kingdom.public_address()),
        ]
    }

    pub(crate) fn api(&self, participant: &str, more: &[&str]) -> Ended {
        let mut arguments = self.api_options(participant);
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        halo(&arguments)
    }

    pub(crate) fn provision(&self, more: &[&str]) -> Ended {
        let kingdom = self.folder.path().join("kingdom");
        let file = |name: &str| kingdom.join(name).display().to_string();
        let mut arguments = vec![
            "provision".to_owned(),
            "--tls-cert-file".to_owned(),
            file("kingdom_tls.pem"),
            "--tls-key-file".to_owned(),
            file("kingdom_tls.key"),
            "--cert-collection-file".to_owned(),
            file("kingdom_root.pem"),
            format!("--internal-api-target={}", self.kingdom.operator_address()),
        ];
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        halo(&arguments)
    }

    /// A fresh consent signalling pair of a participant: paths of certificate and key.
    pub(crate) fn issue(&self, participant: &str, stem: &str) -> (String, String) {
        let own = self.own(participant);
        let own = own.to_str().expect("text");
        halo(&["pki", "issue", "--kind", "cs", "--as", stem, own]).good();
        (format!("{own}/{stem}_cert.der"), format!("{own}/{stem}_private.der"))
    }

    /// A serialized EncryptionPublicKey of a participant's key set.
    pub(crate) fn serialized_key(&self, participant: &str) -> String {
        let out = self.path(&format!("{participant}_key.bin"));
        let data = self.file(participant, "enc_public.tink");
        halo(&["keys", "serialize", "--data", &data, "--out", &out]).good();
        out
    }

    pub(crate) fn restart_replicas(&self) {
        let control = self.kingdom.control();
        for id in control.replica_ids() {
            let mut outcome = self.runtime.block_on(control.restart(id));
            // A program that another test is just starting holds the freed port until its exec.
            for _ in 0..10_000 {
                if outcome.is_ok() {
                    break;
                }
                std::thread::yield_now();
                outcome = self.runtime.block_on(control.start(id));
            }
            outcome.expect("it restarts");
        }
    }

    /// What the Kingdom holds, as `/v1/state` shows it for one certificate.
    pub(crate) fn stored_der(&self, name: &str) -> Vec<u8> {
        self.kingdom.control().core().read(|read| {
            let found = read.tables.certificates.iter().find(|row| row.name() == name);
            found.map(|row| row.x509_der.to_vec()).expect("a stored certificate")
        })
    }
}

pub(crate) fn write(path: &str, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).expect("written");
}

pub(crate) fn read(path: &str) -> Vec<u8> {
    std::fs::read(path).expect("a file")
}

/// What follows `prefix` on the first line that has it.
pub(crate) fn after<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(prefix))
        .unwrap_or_else(|| panic!("no line begins with `{prefix}`: {text}"))
}
