//! A ready-made set of organisations with their authorities, leaves, keys and resources
//! (interfaces.md section 2). Deterministic in its seed, but for signature bytes.

use crate::error::InternalError;
use crate::files::{Files, MemoryFiles, Role};
use crate::kingdom::Provision;
use crate::model::certificate::{Certificate, RevocationState};
use crate::model::data_provider::DataProvider;
use crate::model::measurement_consumer::{ApiKey, MeasurementConsumer};
use crate::model::model_provider::ModelProvider;
use crate::model::public_key::StoredPublicKey;
use crate::model::{IdSource, Owner, Timestamp, Write};
use crate::seam::entropy::Seed;
use halo_consent::{KeyTemplate, PrivateKeyset, SignatureAlgorithm, SigningKey};
use halo_pki::{Authority, AuthoritySpec, Leaf, LeafSpec, Validity};
use kingdom_proto::ApiId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// Organization of every certificate that is made for a sandbox.
pub const ORGANIZATION: &str = "Halo fake Kingdom, TEST ONLY";
const ROOT_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 365;
const SCHEMA: &str = "fake-kingdom/sandbox/1";

/// What a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "named as in interfaces.md")]
pub enum ParticipantKind {
    DataProvider,
    MeasurementConsumer,
    ModelProvider,
    Duchy,
}

/// The participants of every sandbox, in the order of interfaces.md section 2.
pub const PARTICIPANTS: &[(&str, ParticipantKind)] = &[
    ("edp1", ParticipantKind::DataProvider),
    ("edp2", ParticipantKind::DataProvider),
    ("mc1", ParticipantKind::MeasurementConsumer),
    ("modelprovider1", ParticipantKind::ModelProvider),
    ("aggregator", ParticipantKind::Duchy),
    ("worker1", ParticipantKind::Duchy),
    ("worker2", ParticipantKind::Duchy),
];

/// One participant's resource and credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Name of its folder.
    pub name: String,
    /// What it is.
    pub kind: ParticipantKind,
    /// Its resource name.
    pub resource: String,
    /// Its consent signalling certificate's name, if it has one registered.
    pub certificate: Option<String>,
    /// Its public key's name, if it has one.
    pub public_key: Option<String>,
    /// Its API key, if it has one. A secret: not in any log or report.
    pub api_key: Option<String>,
}

/// The ports of `serve`, chosen at the first start and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// Public API.
    pub public: u16,
    /// System API.
    pub system: u16,
    /// Operator API.
    pub operator: u16,
    /// Plaintext health.
    pub health: u16,
    /// Control listener.
    pub control: u16,
    /// Each replica's own public port.
    #[serde(default)]
    pub replicas: Vec<u16>,
    /// The port of each Duchy's own server.
    #[serde(default)]
    pub duchies: BTreeMap<String, u16>,
}

/// `sandbox.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    schema: String,
    seed: u64,
    participants: Vec<Participant>,
    #[serde(default)]
    ports: Option<Ports>,
}

/// A sandbox: every file by its path relative to the folder, and what the state starts with.
#[derive(Clone)]
pub struct Sandbox {
    files: BTreeMap<String, Vec<u8>>,
    participants: Vec<Participant>,
    seed: u64,
    ports: Option<Ports>,
}

/// A sandbox cannot be made, or a folder is not one.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of the sandbox is wrong.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Keys or certificates cannot be made.
    #[error("cannot make the sandbox's certificates: {0}")]
    Pki(#[from] halo_pki::PkiError),
    /// Keys or signatures cannot be made.
    #[error("cannot make the sandbox's keys: {0}")]
    Keys(String),
}

impl Sandbox {
    /// Makes a sandbox whose leaves are valid at each of `moments`, from a day before the first to a
    /// year after the last.
    ///
    /// # Errors
    /// Never with a working random number generator.
    pub fn generate(seed: Seed, moments: &[Timestamp]) -> Result<Self, SandboxError> {
        let first = moments.iter().min().copied().unwrap_or_default();
        let last = moments.iter().max().copied().unwrap_or_default();
        let date = |at: Timestamp| at.to_date_time().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let from = date(first).replace_nanosecond(0).unwrap_or(date(first)) - Duration::days(1);
        let until =
            |days| Validity { not_before: from, not_after: date(last) + Duration::days(days) };
        let mut maker = Maker {
            seed,
            ids: IdSource::new(seed.child("sandbox/ids")),
            now: first,
            root_validity: until(ROOT_DAYS),
            leaf_validity: until(LEAF_DAYS),
            files: BTreeMap::new(),
        };
        maker.make()
    }

    /// A sandbox for tests that run in real time.
    ///
    /// # Errors
    /// Never with a working random number generator.
    pub fn for_now(seed: Seed) -> Result<Self, SandboxError> {
        Self::generate(seed, &[crate::seam::clock::Clock::real().now()])
    }

    /// Reads a sandbox back from its folder.
    ///
    /// # Errors
    /// A file is missing, unreadable or not what it should be.
    pub fn open(folder: &Path) -> Result<Self, SandboxError> {
        let manifest_path = folder.join("sandbox.json");
        let text = read(&manifest_path)?;
        let wrong = |what: String| SandboxError::File { path: manifest_path.clone(), what };
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if manifest.schema != SCHEMA {
            return Err(wrong(format!(
                "schema `{}`, this version reads `{SCHEMA}`",
                manifest.schema
            )));
        }
        let mut files = BTreeMap::new();
        for path in kingdom_paths().chain(manifest.participants.iter().flat_map(participant_paths))
        {
            files.insert(path.clone(), read(&folder.join(&path))?);
        }
        Ok(Self {
            files,
            participants: manifest.participants,
            seed: manifest.seed,
            ports: manifest.ports,
        })
    }

    /// Writes certificates, keys and the servers' files: all that does not depend on ports.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_material(&self, folder: &Path) -> Result<(), SandboxError> {
        for (path, content) in &self.files {
            let secret = path.ends_with(".key") || path.contains("private");
            write_file(&folder.join(path), content, secret)?;
        }
        Ok(())
    }

    /// Writes every file: `kept` are the ports to remember, `current` those in use now.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path, kept: &Ports, current: &Ports) -> Result<(), SandboxError> {
        for participant in &self.participants {
            write_identity(folder, participant, current.public)?;
        }
        write_file(&folder.join("README.md"), readme(current).as_bytes(), false)?;
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            seed: self.seed,
            participants: self.participants.clone(),
            ports: Some(kept.clone()),
        };
        // Last and whole: a folder without it is not a sandbox yet.
        write_file(&folder.join("sandbox.json"), json(&manifest).as_bytes(), true)
    }

    /// The ports of the first start, if there was one.
    pub fn ports(&self) -> Option<&Ports> {
        self.ports.as_ref()
    }

    /// What tells this sandbox from every other: its names, not its secrets.
    pub fn fingerprint(&self) -> String {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for participant in &self.participants {
            hash.update(participant.resource.as_bytes());
            hash.update(participant.certificate.as_deref().unwrap_or_default().as_bytes());
        }
        hex::encode(hash.finalize())
    }

    /// The TLS leaves that are not valid at `now`: path and validity, one text each.
    pub fn leaves_invalid_at(&self, now: Timestamp) -> Vec<String> {
        let Some(now) = now.to_date_time() else { return Vec::new() };
        self.files()
            .filter(|(path, _)| path.ends_with("_tls.pem"))
            .filter_map(|(path, pem)| {
                let leaf = halo_pki::pem_certificates(pem).ok()?.into_iter().next()?;
                let facts = halo_pki::inspect(&leaf).ok()?;
                (!facts.is_valid_at(now)).then(|| {
                    format!("{path} is valid from {} to {}", facts.not_before, facts.not_after)
                })
            })
            .collect()
    }

    /// The participants.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// One participant by the name of its folder.
    pub fn participant(&self, name: &str) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.name == name)
    }

    /// One file by its path relative to the folder, such as `participants/edp1/edp1_tls.pem`.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Every file by its path relative to the folder.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The servers' files in memory, which a scenario may change.
    pub fn memory_files(&self) -> MemoryFiles {
        let files = MemoryFiles::default();
        for (role, path) in SERVER_FILES {
            files.set(*role, self.file(path).unwrap_or_default());
        }
        files
    }

    /// The servers' files in the sandbox's folder.
    pub fn disk_files(folder: &Path) -> Files {
        Files::Disk(SERVER_FILES.iter().map(|(role, path)| (*role, folder.join(path))).collect())
    }

    /// The files of each Duchy's own server in memory, which a scenario may change (contract 5.1.4).
    pub fn duchy_memory_files(&self) -> Vec<(String, MemoryFiles)> {
        self.duchies()
            .map(|duchy| {
                let files = MemoryFiles::default();
                for (role, path) in duchy_files(duchy) {
                    files.set(role, self.file(&path).unwrap_or_default());
                }
                (duchy.to_owned(), files)
            })
            .collect()
    }

    /// The files of each Duchy's own server in the sandbox's folder.
    pub fn duchy_disk_files(&self, folder: &Path) -> Vec<(String, Files)> {
        let at = |(role, path)| (role, folder.join(path));
        self.duchies()
            .map(|duchy| {
                (duchy.to_owned(), Files::Disk(duchy_files(duchy).into_iter().map(at).collect()))
            })
            .collect()
    }

    fn duchies(&self) -> impl Iterator<Item = &str> {
        self.participants
            .iter()
            .filter(|participant| participant.kind == ParticipantKind::Duchy)
            .map(|participant| participant.name.as_str())
    }

    /// What puts the sandbox's own resources, under their ids, into an empty state.
    ///
    /// # Errors
    /// A certificate or key file of the sandbox is not what it should be.
    pub fn provision(&self) -> Result<Provision, SandboxError> {
        let mut resources = Vec::new();
        for participant in &self.participants {
            resources.push(self.resource(participant)?);
        }
        Ok(Box::new(move |write| {
            for resource in resources {
                resource.put(write)?;
            }
            Ok(())
        }))
    }

    fn resource(&self, participant: &Participant) -> Result<Resource, SandboxError> {
        let folder = format!("participants/{0}/{0}", participant.name);
        let wrong = |path: String, what: &str| SandboxError::File {
            path: path.into(),
            what: what.to_owned(),
        };
        let id = participant.resource.rsplit('/').next().unwrap_or_default();
        let owner = match participant.kind {
            ParticipantKind::Duchy => Owner::Duchy(id.into()),
            kind => {
                let id = ApiId::decode(id)
                    .ok_or_else(|| {
                        wrong("sandbox.json".to_owned(), "a resource id does not decode")
                    })?
                    .value();
                match kind {
                    ParticipantKind::DataProvider => Owner::DataProvider(id),
                    ParticipantKind::MeasurementConsumer => Owner::MeasurementConsumer(id),
                    ParticipantKind::ModelProvider | ParticipantKind::Duchy => {
                        Owner::ModelProvider(id)
                    }
                }
            }
        };
        let certificate = match &participant.certificate {
            None => None,
            Some(name) => {
                let path = format!("{folder}_cs_cert.der");
                let der = self.file(&path).unwrap_or_default().to_vec();
                let facts =
                    halo_pki::inspect(&der).map_err(|e| wrong(path.clone(), &e.to_string()))?;
                let id = name.rsplit('/').next().and_then(ApiId::decode);
                Some(Certificate {
                    owner: owner.clone(),
                    id: id
                        .ok_or_else(|| {
                            wrong("sandbox.json".to_owned(), "a certificate id does not decode")
                        })?
                        .value(),
                    x509_der: der.into(),
                    subject_key_identifier: facts.skid.unwrap_or_default().into(),
                    not_valid_before: facts.not_before.into(),
                    not_valid_after: facts.not_after.into(),
                    revocation_state: RevocationState::Unspecified,
                })
            }
        };
        let public_key = match &participant.public_key {
            None => None,
            Some(_) => Some(self.signed_public_key(&folder)?),
        };
        let api_key = participant.api_key.as_deref().and_then(ApiId::decode).map(|key| ApiKey {
            secret_sha256: ApiKey::hash(key.value()),
            measurement_consumer: owner.external_id(),
        });
        Ok(Resource { owner, certificate, public_key, api_key })
    }

    fn signed_public_key(&self, folder: &str) -> Result<StoredPublicKey, SandboxError> {
        let path = format!("{folder}_enc_public.tink");
        let keyset = halo_consent::PublicKeyset::from_binary(self.file(&path).unwrap_or_default())
            .map_err(|error| SandboxError::File { path: path.into(), what: error.to_string() })?;
        let path = format!("{folder}_cs_private.der");
        let signer = SigningKey::from_pkcs8_der(self.file(&path).unwrap_or_default())
            .map_err(|error| SandboxError::File { path: path.into(), what: error.to_string() })?;
        let key = keyset.to_encryption_public_key();
        let algorithm = SignatureAlgorithm::EcdsaWithSha256;
        let signature =
            signer.sign(algorithm, &key).map_err(|error| SandboxError::Keys(error.to_string()))?;
        Ok(StoredPublicKey {
            key,
            signature,
            signature_algorithm_oid: algorithm.oid().to_owned(),
            api_version: "v2alpha".to_owned(),
        })
    }
}

/// What one participant has in the state.
struct Resource {
    owner: Owner,
    certificate: Option<Certificate>,
    public_key: Option<StoredPublicKey>,
    api_key: Option<ApiKey>,
}

impl Resource {
    fn put(self, write: &mut Write<'_>) -> Result<(), InternalError> {
        let certificate = self.certificate.as_ref().map_or(0, |certificate| certificate.id);
        let public_key = self.public_key.unwrap_or_default();
        match &self.owner {
            Owner::DataProvider(id) => write.tables.data_providers.put(DataProvider {
                id: *id,
                certificate,
                public_key,
                ..DataProvider::default()
            }),
            Owner::MeasurementConsumer(id) => {
                write.tables.measurement_consumers.put(MeasurementConsumer {
                    id: *id,
                    certificate,
                    public_key,
                });
            }
            Owner::ModelProvider(id) => write.tables.model_providers.put(ModelProvider { id: *id }),
            // Duchies come from their configuration, not from the state (contract 2.10, 2.16).
            Owner::Duchy(_) => {}
        }
        if !matches!(self.owner, Owner::Duchy(_)) {
            write.note("create", self.owner.name(), None, None);
        }
        if let Some(certificate) = self.certificate {
            let state = certificate.revocation_state.public_name();
            write.note("create", certificate.name(), None, Some(state));
            write.tables.certificates.put(certificate);
        }
        if let Some(api_key) = self.api_key {
            write.tables.api_keys.put(api_key);
        }
        Ok(())
    }
}

const SERVER_FILES: &[(Role, &str)] = &[
    (Role::TlsCert, "kingdom/kingdom_tls.pem"),
    (Role::TlsKey, "kingdom/kingdom_tls.key"),
    (Role::CertCollection, "kingdom/all_root_certs.pem"),
    (Role::OperatorCertCollection, "kingdom/kingdom_root.pem"),
    (Role::PrincipalMap, "kingdom/authority_key_identifier_to_principal_map.textproto"),
    (Role::DuchyInfo, "kingdom/duchy_cert_config.textproto"),
    (Role::DuchyIds, "kingdom/duchy_id_config.textproto"),
];

const BUNDLE: &str = "all_root_certs.pem";
const PRINCIPAL_MAP: &str = "authority_key_identifier_to_principal_map.textproto";

/// The files of a Duchy's own server, by path relative to the sandbox (contract 5.1.4).
fn duchy_files(name: &str) -> [(Role, String); 4] {
    let path = |file: &str| format!("participants/{name}/{file}");
    [
        (Role::TlsCert, path(&format!("{name}_tls.pem"))),
        (Role::TlsKey, path(&format!("{name}_tls.key"))),
        (Role::CertCollection, path(BUNDLE)),
        (Role::PrincipalMap, path(PRINCIPAL_MAP)),
    ]
}

fn kingdom_paths() -> impl Iterator<Item = String> {
    let keys = ["kingdom/kingdom_root.key"].into_iter();
    SERVER_FILES.iter().map(|(_, path)| *path).chain(keys).map(str::to_owned)
}

fn participant_paths(participant: &Participant) -> Vec<String> {
    let name = &participant.name;
    let mut files: Vec<String> = ["root.pem", "root.key", "tls.pem", "tls.key"]
        .iter()
        .map(|suffix| format!("{name}_{suffix}"))
        .collect();
    if participant.certificate.is_some() {
        files.extend(["cs_cert.der", "cs_private.der"].map(|suffix| format!("{name}_{suffix}")));
    }
    if participant.public_key.is_some() {
        files.extend(
            ["enc_private.tink", "enc_public.tink"].map(|suffix| format!("{name}_{suffix}")),
        );
    }
    files.extend(["kingdom_root.pem".to_owned(), "trusted_certs.pem".to_owned()]);
    if participant.kind == ParticipantKind::Duchy {
        files.extend([BUNDLE.to_owned(), PRINCIPAL_MAP.to_owned()]);
    }
    files.into_iter().map(|file| format!("participants/{name}/{file}")).collect()
}

/// Makes the files, one child generator per purpose, so that a new file never shifts another.
struct Maker {
    seed: Seed,
    ids: IdSource,
    now: Timestamp,
    root_validity: Validity,
    leaf_validity: Validity,
    files: BTreeMap<String, Vec<u8>>,
}

impl Maker {
    fn make(&mut self) -> Result<Sandbox, SandboxError> {
        let kingdom_root = self.authority("kingdom", "kingdom")?;
        let mut spec = LeafSpec::new("kingdom TEST ONLY", self.leaf_validity);
        spec.organization = ORGANIZATION.to_owned();
        spec.dns_names = vec!["localhost".to_owned(), "kingdom.test".to_owned()];
        spec.ip_addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let leaf = kingdom_root.issue(&spec, &mut self.seed.child("kingdom/tls"))?;
        self.put_leaf("kingdom", "kingdom_tls", &leaf);

        let mut roots = vec![kingdom_root.clone()];
        let mut participants = Vec::new();
        let mut map =
            String::from("# Authority key identifiers and the principals they stand for.\n");
        let mut duchy_info = String::from("# One root per Duchy.\n");
        let mut duchy_ids = String::from("# The Duchy set.\n");
        for (index, (name, kind)) in PARTICIPANTS.iter().enumerate() {
            let (participant, root) = self.participant(name, *kind)?;
            let skid = escaped(root.subject_key_identifier());
            if *kind == ParticipantKind::Duchy {
                let _ = write!(
                    duchy_info,
                    "duchies {{\n  duchy_id: \"{name}\"\n  computation_control_service_cert_host: \"localhost\"\n  root_certificate_skid: \"{skid}\"\n}}\n"
                );
                let _ = write!(
                    duchy_ids,
                    "duchies {{\n  external_duchy_id: \"{name}\"\n  internal_duchy_id: {}\n  active_start_time {{ seconds: 1640995200 }}\n}}\n",
                    2340 + index
                );
            } else {
                let _ = write!(
                    map,
                    "entries {{\n  authority_key_identifier: \"{skid}\"\n  principal_resource_name: \"{}\"\n}}\n",
                    participant.resource
                );
            }
            roots.push(root);
            participants.push(participant);
        }
        let bundle: String = roots.iter().map(Authority::certificate_pem).collect();
        self.put("kingdom/all_root_certs.pem", bundle.clone());
        self.put("kingdom/authority_key_identifier_to_principal_map.textproto", &map);
        self.put("kingdom/duchy_cert_config.textproto", duchy_info);
        self.put("kingdom/duchy_id_config.textproto", duchy_ids);
        for (name, kind) in PARTICIPANTS {
            if *kind == ParticipantKind::Duchy {
                self.put(&format!("participants/{name}/{BUNDLE}"), &bundle);
                self.put(&format!("participants/{name}/{PRINCIPAL_MAP}"), &map);
            }
            let kingdom = kingdom_root.certificate_pem();
            self.put(&format!("participants/{name}/kingdom_root.pem"), kingdom);
            self.put(&format!("participants/{name}/trusted_certs.pem"), bundle.clone());
        }
        Ok(Sandbox {
            files: std::mem::take(&mut self.files),
            participants,
            seed: self.seed.value(),
            ports: None,
        })
    }

    fn participant(
        &mut self,
        name: &str,
        kind: ParticipantKind,
    ) -> Result<(Participant, Authority), SandboxError> {
        let folder = format!("participants/{name}");
        let root = self.authority(&folder, name)?;
        let leaf = self.leaf(&root, name, "tls")?;
        self.put_leaf(&folder, &format!("{name}_tls"), &leaf);

        let resource = match kind {
            ParticipantKind::DataProvider => format!("dataProviders/{}", self.api_id()),
            ParticipantKind::MeasurementConsumer => {
                format!("measurementConsumers/{}", self.api_id())
            }
            ParticipantKind::ModelProvider => format!("modelProviders/{}", self.api_id()),
            ParticipantKind::Duchy => format!("duchies/{name}"),
        };
        let mut participant = Participant {
            name: name.to_owned(),
            kind,
            resource,
            certificate: None,
            public_key: None,
            api_key: None,
        };
        if kind != ParticipantKind::ModelProvider {
            let signer = self.leaf(&root, name, "cs")?;
            self.put(&format!("{folder}/{name}_cs_cert.der"), signer.certificate_der());
            self.put(&format!("{folder}/{name}_cs_private.der"), signer.key().pkcs8_der());
            participant.certificate =
                Some(format!("{}/certificates/{}", participant.resource, self.api_id()));
        }
        if matches!(kind, ParticipantKind::DataProvider | ParticipantKind::MeasurementConsumer) {
            let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
            let keyset =
                PrivateKeyset::generate(template, &mut self.seed.child(&format!("{name}/enc")))
                    .map_err(|error| SandboxError::Keys(error.to_string()))?;
            self.put(&format!("{folder}/{name}_enc_private.tink"), keyset.to_binary());
            self.put(&format!("{folder}/{name}_enc_public.tink"), keyset.public().to_binary());
            participant.public_key = Some(format!("{}/publicKey", participant.resource));
        }
        if kind == ParticipantKind::MeasurementConsumer {
            participant.api_key = Some(self.api_id());
        }
        Ok((participant, root))
    }

    fn authority(&mut self, folder: &str, name: &str) -> Result<Authority, SandboxError> {
        let spec = AuthoritySpec {
            organization: ORGANIZATION.to_owned(),
            common_name: format!("{name} root TEST ONLY"),
            dns_name: format!("ca.{name}.test"),
            validity: self.root_validity,
        };
        let root = Authority::create(&spec, &mut self.seed.child(&format!("{name}/root")))?;
        self.put(&format!("{folder}/{name}_root.pem"), root.certificate_pem());
        self.put(&format!("{folder}/{name}_root.key"), root.key().pkcs8_pem());
        Ok(root)
    }

    fn leaf(&self, root: &Authority, name: &str, purpose: &str) -> Result<Leaf, SandboxError> {
        let mut spec = LeafSpec::new(format!("{name} {purpose} TEST ONLY"), self.leaf_validity);
        spec.organization = ORGANIZATION.to_owned();
        spec.dns_names = vec!["localhost".to_owned(), format!("{name}.test")];
        Ok(root.issue(&spec, &mut self.seed.child(&format!("{name}/{purpose}")))?)
    }

    fn put(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.files.insert(path.to_owned(), content.as_ref().to_vec());
    }

    fn put_leaf(&mut self, folder: &str, name: &str, leaf: &Leaf) {
        self.put(&format!("{folder}/{name}.pem"), leaf.certificate_pem());
        self.put(&format!("{folder}/{name}.key"), leaf.key().pkcs8_pem());
    }

    fn api_id(&mut self) -> String {
        crate::error::api_id(self.ids.next(self.now))
    }
}

/// Bytes as a text proto string, the way the real project's map files write them.
pub fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02X}")).collect()
}

#[derive(Serialize)]
struct IdentityJson<'a> {
    name: &'a str,
    kind: ParticipantKind,
    resource: &'a str,
    certificate: Option<&'a str>,
    public_key: Option<&'a str>,
    api_key: Option<&'a str>,
    tls: TlsJson,
}

#[derive(Serialize)]
struct TlsJson {
    cert: String,
    key: String,
    trust: &'static str,
    server_name: &'static str,
}

fn identity_json(participant: &Participant) -> IdentityJson<'_> {
    IdentityJson {
        name: &participant.name,
        kind: participant.kind,
        resource: &participant.resource,
        certificate: participant.certificate.as_deref(),
        public_key: participant.public_key.as_deref(),
        api_key: participant.api_key.as_deref(),
        tls: TlsJson {
            cert: format!("{}_tls.pem", participant.name),
            key: format!("{}_tls.key", participant.name),
            trust: "kingdom_root.pem",
            server_name: "localhost",
        },
    }
}

fn client_env(participant: &Participant, folder: &Path, port: u16) -> String {
    let name = &participant.name;
    let own = folder.join("participants").join(name);
    let path = |file: &str| own.join(file).display().to_string();
    let mut text = String::new();
    for (key, value) in [
        ("HALO_TARGET", format!("localhost:{port}")),
        ("HALO_SERVER_NAME", "localhost".to_owned()),
        ("HALO_TLS_CERT", path(&format!("{name}_tls.pem"))),
        ("HALO_TLS_KEY", path(&format!("{name}_tls.key"))),
        ("HALO_TRUST", path("kingdom_root.pem")),
        ("HALO_RESOURCE", participant.resource.clone()),
        ("HALO_CERTIFICATE", participant.certificate.clone().unwrap_or_default()),
        ("HALO_PUBLIC_KEY", participant.public_key.clone().unwrap_or_default()),
        ("HALO_API_KEY", participant.api_key.clone().unwrap_or_default()),
    ] {
        let _ = writeln!(text, "{key}='{}'", value.replace('\'', "'\\''"));
    }
    text
}

fn readme(ports: &Ports) -> String {
    format!(
        "# A fake Kingdom's sandbox: TEST ONLY\n\n\
         Every authority in this folder was made for tests; trust none of them anywhere else.\n\n\
         - Public API: `localhost:{}` (TLS 1.3, client certificate required)\n\
         - System API: `localhost:{}`, operator API: `localhost:{}` (client: `kingdom/kingdom_tls.*`)\n\
         - Health (plaintext gRPC): `localhost:{}`, control (HTTP): `http://127.0.0.1:{}`\n\
         - Duchies' own servers for providers: {}\n\n\
         `participants/NAME/` holds one organisation's own authority, client leaf, consent signalling\n\
         pair and encryption key sets. `client.env` is for shells (`set -a; . participants/edp1/client.env`),\n\
         `identity.json` for programs. `ready.json` is there while the fake runs.\n",
        ports.public,
        ports.system,
        ports.operator,
        ports.health,
        ports.control,
        ports
            .duchies
            .iter()
            .map(|(id, port)| format!("{id} `localhost:{port}`"))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// Writes a participant's `identity.json` and `client.env` into the sandbox at `folder`, whose
/// public API is at this port.
///
/// # Errors
/// The folder cannot be written.
pub fn write_identity(
    folder: &Path,
    participant: &Participant,
    public_port: u16,
) -> Result<(), SandboxError> {
    let absolute = std::path::absolute(folder)
        .map_err(|source| SandboxError::Io { path: folder.to_owned(), source })?;
    let own = folder.join("participants").join(&participant.name);
    let identity = json(&identity_json(participant));
    write_file(&own.join("identity.json"), identity.as_bytes(), true)?;
    let env = client_env(participant, &absolute, public_port);
    write_file(&own.join("client.env"), env.as_bytes(), true)
}

fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn read(path: &Path) -> Result<Vec<u8>, SandboxError> {
    std::fs::read(path).map_err(|source| SandboxError::Io { path: path.to_owned(), source })
}

/// Writes a file whole (a reader sees the old or the new content), only if it differs.
pub fn write_file(path: &Path, content: &[u8], secret: bool) -> Result<(), SandboxError> {
    let io = |source| SandboxError::Io { path: path.to_owned(), source };
    if std::fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io)?;
    let mut file = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = if secret { 0o600 } else { 0o644 };
        file.permissions(std::fs::Permissions::from_mode(mode));
    }
    let mut file = file.tempfile_in(folder).map_err(io)?;
    io::Write::write_all(&mut file, content).map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(seed: u64) -> Sandbox {
        Sandbox::generate(Seed::new(seed), &[Timestamp::from_seconds(4_102_444_800)]).unwrap()
    }

    #[test]
    fn one_seed_gives_the_same_names_keys_and_key_identifiers() {
        let (one, two) = (sandbox(7), sandbox(7));
        assert_eq!(one.participants(), two.participants());
        for (path, content) in one.files() {
            if path.ends_with(".key") || path.ends_with(".tink") || path.ends_with(".textproto") {
                assert_eq!(Some(content), two.file(path), "{path}");
            }
        }
        assert_ne!(one.participants(), sandbox(8).participants());
    }

    #[test]
    fn a_sandbox_survives_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let made = sandbox(1);
        let ports = Ports { public: 1, ..Ports::default() };
        made.write_material(folder.path()).unwrap();
        made.write(folder.path(), &ports, &ports).unwrap();
        let opened = Sandbox::open(folder.path()).unwrap();
        assert_eq!(opened.participants(), made.participants());
        assert_eq!(opened.ports(), Some(&ports));
        for (path, content) in made.files() {
            assert_eq!(opened.file(path), Some(content), "{path}");
        }
    }
}
