//! A sandbox's new participant: its folder, its root in the trust bundles, its map entry
//! (interfaces.md sections 2 and 5). A replica reads bundle and map when it starts.

use super::ToolError;
use super::files::{self, wrong};
use fake_kingdom::files::parse_text_proto;
use fake_kingdom::sandbox::{self, ORGANIZATION, Participant, ParticipantKind, Sandbox};
use fake_kingdom::seam::entropy;
use halo_consent::{KeyTemplate, PrivateKeyset, PublicKeyset, SignatureAlgorithm, SigningKey};
use halo_pki::{Authority, AuthoritySpec, Leaf, LeafSpec, Validity};
use kingdom_proto::config::AuthorityKeyToPrincipalMap;
use std::path::{Path, PathBuf};

const BUNDLE: &str = "kingdom/all_root_certs.pem";
const MAP: &str = "kingdom/authority_key_identifier_to_principal_map.textproto";
const MAP_TYPE: &str = "wfa.measurement.config.AuthorityKeyToPrincipalMap";

/// What is registered with a data provider.
#[derive(Clone)]
pub(super) struct Given {
    /// The certificate file as it stands.
    pub(super) certificate: Vec<u8>,
    /// A serialized EncryptionPublicKey.
    pub(super) public_key: Vec<u8>,
    /// Its signature.
    pub(super) signature: Vec<u8>,
    /// How it is signed.
    pub(super) algorithm: SignatureAlgorithm,
}

/// A participant whose folder is written and whose resource does not exist yet: a key is never lost,
/// and nothing trusts it before the Kingdom knows it.
pub(super) struct NewParticipant {
    sandbox: PathBuf,
    name: String,
    kind: ParticipantKind,
    root: Vec<u8>,
    root_skid: Vec<u8>,
    made: Option<Given>,
    public_port: u16,
}

impl NewParticipant {
    /// Checks the sandbox and writes the participant's own folder: what is given, and what is made
    /// for the rest, with authorities marked TEST ONLY.
    pub(super) fn prepare(
        folder: &Path,
        name: &str,
        kind: ParticipantKind,
        root: Option<&Path>,
        given: Option<&Given>,
    ) -> Result<Self, ToolError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('-') {
            return Err(ToolError::usage(
                &[],
                format!("--participant-name `{name}`: use a-z, 0-9, _ and -"),
            ));
        }
        let sandbox = Sandbox::open(folder).map_err(|error| {
            ToolError::failed(format!("{error}; is {} a sandbox?", folder.display()))
        })?;
        let own = folder.join("participants").join(name);
        if own.exists() {
            return Err(wrong(&own, "is there already; choose another --participant-name"));
        }
        let public_port = public_port(folder, &sandbox);
        let mut maker = Maker { own: own.clone(), name, validity: validity(&sandbox)? };
        let outcome = maker.write(&sandbox, kind, root, given);
        let (root, made) = outcome.inspect_err(|_| remove(&own))?;
        let root_skid = halo_pki::trust_bundle(std::slice::from_ref(&root))
            .map_err(|error| {
                remove(&own);
                ToolError::failed(error.to_string())
            })?
            .into_iter()
            .next()
            .map(|entry| entry.skid)
            .unwrap_or_default();
        let new = Self {
            sandbox: folder.to_owned(),
            name: name.to_owned(),
            kind,
            root,
            root_skid,
            made,
            public_port,
        };
        // What would fail afterwards fails now.
        new.bundles()
            .and_then(|_| new.maps())
            .and_then(|maps| {
                maps.iter()
                    .try_for_each(|path| new.map(path, "dataProviders/AAAAAAAAAAE").map(|_| ()))
            })
            .inspect_err(|_| remove(&own))?;
        Ok(new)
    }

    /// What was made to be registered.
    pub(super) fn given(&self) -> Option<Given> {
        self.made.clone()
    }

    /// Takes the folder away again: the resource was not created.
    pub(super) fn withdraw(&self) {
        remove(&self.folder());
    }

    /// Its own folder.
    pub(super) fn folder(&self) -> PathBuf {
        self.sandbox.join("participants").join(&self.name)
    }

    /// Once the resource exists: identity files, trust bundles, principal map.
    pub(super) fn join(&self, resource: &str, certificate: Option<&str>) -> Result<(), ToolError> {
        let finish = || {
            let participant = Participant {
                name: self.name.clone(),
                kind: self.kind,
                resource: resource.to_owned(),
                certificate: certificate.map(str::to_owned),
                public_key: certificate.map(|_| format!("{resource}/publicKey")),
                api_key: None,
            };
            sandbox::write_identity(&self.sandbox, &participant, self.public_port)
                .map_err(|error| ToolError::failed(error.to_string()))?;
            for (path, content) in self.bundles()? {
                files::write(&path, &content, false)?;
            }
            for path in self.maps()? {
                files::write(&path, self.map(&path, resource)?.as_bytes(), false)?;
            }
            Ok(())
        };
        finish().map_err(|error| match error {
            ToolError::Failed(what) => ToolError::Failed(format!(
                "{resource} exists now, but its sandbox entries are not complete: {what}"
            )),
            other => other,
        })
    }

    /// The Kingdom's principal map and each Duchy's own, without which the participant is cut off
    /// there (contract 5.10).
    fn maps(&self) -> Result<Vec<PathBuf>, ToolError> {
        let mut paths = vec![self.sandbox.join(MAP)];
        let file = Path::new(MAP).file_name().unwrap_or_default();
        paths.extend(self.folders()?.into_iter().map(|f| f.join(file)).filter(|p| p.exists()));
        Ok(paths)
    }

    /// Every participant's folder, in the order of the names.
    fn folders(&self) -> Result<Vec<PathBuf>, ToolError> {
        let participants = self.sandbox.join("participants");
        let entries =
            std::fs::read_dir(&participants).map_err(|error| wrong(&participants, error))?;
        let mut folders: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        folders.sort();
        Ok(folders)
    }

    /// The Kingdom's bundle, every participant's and each Duchy's server's, with this root at the end.
    fn bundles(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, ToolError> {
        let mut paths = vec![self.sandbox.join(BUNDLE)];
        let own =
            |folder: PathBuf| ["trusted_certs.pem", "all_root_certs.pem"].map(|f| folder.join(f));
        paths.extend(self.folders()?.into_iter().flat_map(own).filter(|path| path.exists()));
        let append = |path: PathBuf| {
            let mut content = files::read(&path)?;
            let present = halo_pki::pem_certificates(&content).map_err(|e| wrong(&path, e))?;
            if !present.contains(&self.root) {
                // Without it the next boundary would share a line (contract 5.3.1).
                if content.last().is_some_and(|&last| last != b'\n') {
                    content.push(b'\n');
                }
                content.extend(halo_pki::certificate_pem(&self.root).into_bytes());
            }
            Ok((path, content))
        };
        paths.into_iter().map(append).collect()
    }

    /// A principal map with this root's entry at the end.
    fn map(&self, path: &Path, resource: &str) -> Result<String, ToolError> {
        let mut text =
            String::from_utf8(files::read(path)?).map_err(|_| wrong(path, "not UTF-8 text"))?;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!(
            "entries {{\n  authority_key_identifier: \"{}\"\n  principal_resource_name: \"{resource}\"\n}}\n",
            sandbox::escaped(&self.root_skid)
        ));
        let parsed: AuthorityKeyToPrincipalMap =
            parse_text_proto(&text, MAP_TYPE).map_err(|error| wrong(path, error))?;
        let same = |akid: &[u8]| akid == self.root_skid;
        if parsed.entries.iter().filter(|e| same(&e.authority_key_identifier)).count() > 1 {
            return Err(wrong(
                path,
                "this root stands for a principal already; one authority is one principal (contract 2.8)",
            ));
        }
        Ok(text)
    }
}

struct Maker<'a> {
    own: PathBuf,
    name: &'a str,
    validity: (Validity, Validity),
}

impl Maker<'_> {
    /// The root's DER and, if nothing was given, what is to be registered.
    fn write(
        &mut self,
        sandbox: &Sandbox,
        kind: ParticipantKind,
        root: Option<&Path>,
        given: Option<&Given>,
    ) -> Result<(Vec<u8>, Option<Given>), ToolError> {
        let trust = sandbox.file("kingdom/kingdom_root.pem").unwrap_or_default();
        self.put("kingdom_root.pem", trust, false)?;
        let bundle = sandbox.file(BUNDLE).unwrap_or_default();
        self.put("trusted_certs.pem", bundle, false)?;
        if let Some(path) = root {
            let der = files::read_certificate(path)?;
            self.put(&self.file("root.pem"), halo_pki::certificate_pem(&der).as_bytes(), false)?;
            let Some(given) = given else { return Ok((der, None)) };
            let leaf = files::certificate_in(&given.certificate).map_err(ToolError::Failed)?;
            self.put(&self.file("cs_cert.der"), &leaf, false)?;
            if let Ok(keyset) = PublicKeyset::from_encryption_public_key(&given.public_key) {
                self.put(&self.file("enc_public.tink"), &keyset.to_binary(), false)?;
            }
            return Ok((der, None));
        }
        let spec = AuthoritySpec {
            organization: ORGANIZATION.to_owned(),
            common_name: format!("{} root TEST ONLY", self.name),
            dns_name: format!("ca.{}.test", self.name.replace('_', "-")),
            validity: self.validity.0,
        };
        let root = Authority::create(&spec, &mut entropy::system()).map_err(unmade)?;
        self.put(&self.file("root.pem"), root.certificate_pem().as_bytes(), false)?;
        self.put(&self.file("root.key"), root.key().pkcs8_pem().as_bytes(), true)?;
        let tls = self.leaf(&root, "tls")?;
        self.put(&self.file("tls.pem"), tls.certificate_pem().as_bytes(), false)?;
        self.put(&self.file("tls.key"), tls.key().pkcs8_pem().as_bytes(), true)?;
        if kind == ParticipantKind::ModelProvider {
            return Ok((root.certificate_der().to_vec(), None));
        }
        let signer = self.leaf(&root, "cs")?;
        self.put(&self.file("cs_cert.der"), signer.certificate_der(), false)?;
        self.put(&self.file("cs_private.der"), signer.key().pkcs8_der(), true)?;
        let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
        let keyset = PrivateKeyset::generate(template, &mut entropy::system()).map_err(unmade)?;
        self.put(&self.file("enc_private.tink"), &keyset.to_binary(), true)?;
        self.put(&self.file("enc_public.tink"), &keyset.public().to_binary(), false)?;
        let key = SigningKey::from_pkcs8_der(signer.key().pkcs8_der()).map_err(unmade)?;
        let public_key = keyset.public().to_encryption_public_key();
        let algorithm = key.default_algorithm();
        let signature = key.sign(algorithm, &public_key).map_err(unmade)?;
        let certificate = signer.certificate_der().to_vec();
        let made = Given { certificate, public_key, signature, algorithm };
        Ok((root.certificate_der().to_vec(), Some(made)))
    }

    fn leaf(&self, root: &Authority, purpose: &str) -> Result<Leaf, ToolError> {
        let name = self.name;
        let mut spec = LeafSpec::new(format!("{name} {purpose} TEST ONLY"), self.validity.1);
        spec.organization = ORGANIZATION.to_owned();
        spec.dns_names = vec!["localhost".to_owned(), format!("{}.test", name.replace('_', "-"))];
        root.issue(&spec, &mut entropy::system()).map_err(unmade)
    }

    fn file(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.name)
    }

    fn put(&self, file: &str, content: &[u8], secret: bool) -> Result<(), ToolError> {
        files::write_new(&self.own.join(file), content, secret)
    }
}

/// Validity of roots and of leaves, as the sandbox has it: for the real time and the fake's.
fn validity(sandbox: &Sandbox) -> Result<(Validity, Validity), ToolError> {
    let of = |path: &str| {
        let der = files::certificate_in(sandbox.file(path).unwrap_or_default())
            .map_err(|what| ToolError::failed(format!("{path}: {what}")))?;
        let facts = halo_pki::inspect(&der)
            .map_err(|error| ToolError::failed(format!("{path}: {error}")))?;
        Ok::<_, ToolError>(Validity { not_before: facts.not_before, not_after: facts.not_after })
    };
    Ok((of("kingdom/kingdom_root.pem")?, of("kingdom/kingdom_tls.pem")?))
}

/// Where the running fake serves, else where it served first.
fn public_port(folder: &Path, sandbox: &Sandbox) -> u16 {
    let ready = std::fs::read(folder.join("ready.json")).ok();
    ready
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
        .and_then(|ready| ready["public"].as_str()?.rsplit(':').next()?.parse().ok())
        .or_else(|| sandbox.ports().map(|ports| ports.public))
        .unwrap_or_default()
}

fn remove(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}

fn unmade(error: impl std::fmt::Display) -> ToolError {
    ToolError::failed(format!("keys and certificates cannot be made: {error}"))
}
