//! Reads the facts of an assessment from a Kingdom, by addresses and identities alone: the operator
//! API for measurements, requisitions, results, keys and certificates, the public API for event
//! groups, and an audit trail from a file.
//!
//! Only RPCs of the real Kingdom are called, and every list is read to its end. What cannot be read
//! is an error ([`ReadError`]) or, where the identity is not allowed to, a [`Gap`].

use super::Gap;
use super::facts::{
    AuditFacts, CertificateFacts, EventGroupFacts, EventGroupScope, EventGroups, Facts,
    HistoryEntry, MeasurementFacts, OwnerKind, ParticipantFacts, Protocol, PublicKeyFacts,
    RequisitionFacts, Subject,
};
use crate::client::{Connection, Credential, Outcome, Request, Security, TlsOptions};
use fake_kingdom::audit::{self, Head};
use fake_kingdom::model::Timestamp;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::transport::{Network as _, Tcp};
use kingdom_proto::name::{DuchyCertificateName, EventGroupName};
use kingdom_proto::{ApiId, internal as pb, v2alpha};
use prost::Message;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one call, or one page of a list, may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a server may take for the handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for the alert of a server that refused this client.
const ALERT_PATIENCE: Duration = Duration::from_secs(2);
/// How many measurements are asked for at once.
const PAGE_SIZE: i32 = 500;
/// How many event groups.
const EVENT_GROUP_PAGE_SIZE: i32 = 100;

/// Something cannot be read: the assessment is not made.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file of the caller.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// No connection.
    #[error("no connection to the {api} at {target}: {what}")]
    Unreachable {
        /// Which API.
        api: &'static str,
        /// Its address.
        target: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The Kingdom refused, or broke off.
    #[error("{method} of the {api} at {target}: {what}")]
    Refused {
        /// Which API.
        api: &'static str,
        /// Its address.
        target: String,
        /// The method.
        method: &'static str,
        /// What it said, and what to do.
        what: String,
        /// The gRPC code, if the Kingdom answered.
        code: Option<&'static str>,
    },
    /// The Kingdom answered with something that cannot be.
    #[error(
        "{method} of the {api} at {target} answered what cannot be: {what}; is a Kingdom at this address?"
    )]
    Malformed {
        /// Which API.
        api: &'static str,
        /// Its address.
        target: String,
        /// The method.
        method: &'static str,
        /// What is wrong.
        what: String,
    },
    /// What is to be assessed is not there.
    #[error("{0}")]
    NotFound(String),
}

impl ReadError {
    fn file(path: &Path, what: impl Display) -> Self {
        Self::File { path: path.to_owned(), what: what.to_string() }
    }

    /// The gRPC code with which the Kingdom answered, if it did.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refused { code, .. } => *code,
            _ => None,
        }
    }
}

/// What `identity.json` of a sandbox's participant says (interfaces.md section 2). Secrets in it
/// stay here.
#[derive(Clone, Deserialize)]
struct IdentityFile {
    name: String,
    resource: String,
    api_key: Option<String>,
    tls: TlsPaths,
}

#[derive(Clone, Deserialize)]
struct TlsPaths {
    cert: PathBuf,
    key: PathBuf,
    trust: PathBuf,
    server_name: String,
}

/// How to reach one API, and as whom.
pub struct Access {
    api: &'static str,
    target: String,
    tls: TlsOptions,
    api_key: Option<String>,
    resource: String,
}

impl Access {
    /// The public API, as a participant: a folder with `identity.json`. `host` is the name in the
    /// server's certificate, if it is not the one in the file.
    ///
    /// # Errors
    /// [`ReadError::File`].
    pub fn of_participant(
        folder: &Path,
        target: &str,
        host: Option<&str>,
    ) -> Result<Self, ReadError> {
        let path = folder.join("identity.json");
        let file: IdentityFile = serde_json::from_slice(&bytes(&path)?).map_err(|error| {
            ReadError::file(&path, format!("{error}; give a participant's folder of a sandbox"))
        })?;
        let tls = &file.tls;
        let paths = [folder.join(&tls.cert), folder.join(&tls.key), folder.join(&tls.trust)];
        if OwnerKind::of(&file.resource).is_none() {
            let what = format!("{}'s resource is `{}`, no participant's", file.name, file.resource);
            return Err(ReadError::file(&path, what));
        }
        Ok(Self {
            api: "public API",
            target: target.to_owned(),
            tls: options(&paths, host.unwrap_or(&tls.server_name))?,
            api_key: file.api_key,
            resource: file.resource,
        })
    }

    /// The operator API, with the operator's own leaf: a folder with `kingdom_tls.pem`,
    /// `kingdom_tls.key` and `kingdom_root.pem`.
    ///
    /// # Errors
    /// [`ReadError::File`].
    pub fn of_operator(folder: &Path, target: &str, host: Option<&str>) -> Result<Self, ReadError> {
        let paths = ["kingdom_tls.pem", "kingdom_tls.key", "kingdom_root.pem"]
            .map(|name| folder.join(name));
        let named = target.rsplit_once(':').map_or(target, |(host, _)| host);
        Ok(Self {
            api: "operator API",
            target: target.to_owned(),
            tls: options(&paths, host.unwrap_or(named.trim_matches(['[', ']'])))?,
            api_key: None,
            resource: String::new(),
        })
    }

    /// An API to which there is a connection already, as this participant, or as the operator where
    /// there is no resource.
    pub fn over_connection(resource: Option<String>, tls: TlsOptions) -> Self {
        Self {
            api: if resource.is_some() { "public API" } else { "operator API" },
            target: "the scenario's own Kingdom".to_owned(),
            tls,
            api_key: None,
            resource: resource.unwrap_or_default(),
        }
    }

    /// The resource name of the participant; empty for the operator.
    pub fn resource(&self) -> &str {
        &self.resource
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    std::fs::read(path).map_err(|error| ReadError::file(path, error))
}

fn options([cert, key, trust]: &[PathBuf; 3], server_name: &str) -> Result<TlsOptions, ReadError> {
    let chain =
        halo_pki::pem_certificates(&bytes(cert)?).map_err(|error| ReadError::file(cert, error))?;
    let text = String::from_utf8(bytes(key)?)
        .map_err(|_| ReadError::file(key, "not PEM text; give an unencrypted PKCS#8 key"))?;
    let private = halo_pki::pem_private_key_skipping_leading_text(&text)
        .map_err(|error| ReadError::file(key, error))?;
    let roots = halo_pki::pem_certificates(&bytes(trust)?)
        .map_err(|error| ReadError::file(trust, error))?;
    let roots = halo_pki::trust_bundle(&roots).map_err(|error| ReadError::file(trust, error))?;
    // Only the first certificate of the file is shown (2.11).
    let Some(leaf) = chain.into_iter().next() else {
        return Err(ReadError::file(cert, "no certificate in it; give the client's leaf, PEM"));
    };
    let own = halo_consent::SigningKey::from_pkcs8_der(&private)
        .map_err(|error| ReadError::file(key, error))?;
    if !own.is_key_of(&leaf).map_err(|error| ReadError::file(cert, error))? {
        let what = format!("not the key of {}; give the two files of one leaf", cert.display());
        return Err(ReadError::file(key, what));
    }
    if roots.is_empty() {
        return Err(ReadError::file(
            trust,
            "no root in it; give the root of the server's leaf, PEM",
        ));
    }
    Ok(TlsOptions {
        credential: Some(Credential { chain: vec![leaf], key: private }),
        security: Security::Tls13,
        link: None,
        roots: roots.into_iter().map(|entry| entry.der).collect(),
        server_name: server_name.to_owned(),
        clock: Clock::real(),
    })
}

/// Calls one API over one connection, opened anew once when it breaks.
pub struct Channel {
    access: Access,
    connection: Connection,
}

impl Channel {
    /// Connects.
    ///
    /// # Errors
    /// [`ReadError::Unreachable`].
    pub async fn open(access: Access) -> Result<Self, ReadError> {
        let connection = connect(&access).await?;
        Ok(Self { access, connection })
    }

    /// A channel over a connection that is open already.
    pub fn over(access: Access, connection: Connection) -> Self {
        Self { access, connection }
    }

    /// One call with one answer; `method` is `package.Service/Method`.
    ///
    /// # Errors
    /// [`ReadError::Refused`] or [`ReadError::Malformed`].
    pub async fn call<A: Message + Default>(
        &mut self,
        method: &'static str,
        request: &impl Message,
    ) -> Result<A, ReadError> {
        let answers = self.stream(method, request).await?;
        answers.into_iter().next().ok_or_else(|| self.malformed(method, "OK without a message"))
    }

    /// One call, and every message of its answer.
    ///
    /// # Errors
    /// [`ReadError::Refused`] or [`ReadError::Malformed`].
    pub async fn stream<A: Message + Default>(
        &mut self,
        method: &'static str,
        request: &impl Message,
    ) -> Result<Vec<A>, ReadError> {
        let request = Request {
            method: method.to_owned(),
            metadata: self
                .access
                .api_key
                .iter()
                .map(|key| ("x-api-key".to_owned(), key.clone()))
                .collect(),
            messages: vec![request.encode_to_vec()],
            patience: PATIENCE,
        };
        let refused = |access: &Access, code, what| ReadError::Refused {
            api: access.api,
            target: access.target.clone(),
            method,
            what,
            code,
        };
        if self.connection.is_closed() {
            self.connection = connect(&self.access).await?;
        }
        let mut outcome = self.connection.call(&request).await;
        if matches!(outcome, Outcome::Broken(_)) && is_read(method) {
            // A replica that restarts takes its connections with it, and reading twice harms nobody.
            self.connection = connect(&self.access).await?;
            outcome = self.connection.call(&request).await;
        }
        match outcome {
            Outcome::Broken(error) => {
                let mut what = format!("no answer: {error}");
                if let Some(alert) = alert(&self.access).await {
                    what = format!("{what}; the server sent the TLS alert {alert}");
                }
                let next = own_fault(&self.access).unwrap_or_else(|| {
                    "the server may have refused this client's certificate: its events tell (`/v1/events`, then `halo-harness explain CODE`)".to_owned()
                });
                Err(refused(&self.access, None, format!("{what}; {next}")))
            }
            Outcome::Answered { status, .. } if status.code != "OK" => {
                let mut what = status.code.to_owned();
                if !status.description.is_empty() {
                    what = format!("{what}: {}", status.description);
                }
                if let Some(info) = &status.error_info {
                    what = format!("{what} (reason {})", info.reason);
                }
                let next = match status.code {
                    "UNAUTHENTICATED" => {
                        "the Kingdom knows no principal for this identity: is its root in bundle and map?"
                    }
                    "PERMISSION_DENIED" => "this identity may not read it: whose folder is it?",
                    "UNIMPLEMENTED" => {
                        "this server has no such method: are the two addresses swapped?"
                    }
                    _ => {
                        "the Kingdom's fault unless the address is wrong: look at its log, then assess again"
                    }
                };
                Err(refused(&self.access, Some(status.code), format!("{what}; {next}")))
            }
            Outcome::Answered { messages, .. } => messages
                .iter()
                .map(|bytes| {
                    A::decode(bytes.as_slice()).map_err(|error| self.malformed(method, error))
                })
                .collect(),
        }
    }

    fn malformed(&self, method: &'static str, what: impl Display) -> ReadError {
        ReadError::Malformed {
            api: self.access.api,
            target: self.access.target.clone(),
            method,
            what: what.to_string(),
        }
    }
}

fn is_read(method: &str) -> bool {
    let name = method.rsplit('/').next().unwrap_or_default();
    ["Get", "BatchGet", "List", "Stream"].iter().any(|prefix| name.starts_with(prefix))
}

/// With which TLS alert the server ends a new connection: with TLS 1.3 a refusal shows only after the
/// handshake, and often as a broken connection (2.1).
async fn alert(access: &Access) -> Option<String> {
    let asked = async {
        let (stream, _) = Tcp.connect(&access.target).await.ok()?;
        access.tls.refusal_alert(stream).await
    };
    tokio::time::timeout(ALERT_PATIENCE, asked).await.ok().flatten()
}

/// What is wrong with the client's own certificate by this machine's clock.
fn own_fault(access: &Access) -> Option<String> {
    let leaf = access.tls.credential.as_ref()?.chain.first()?;
    let facts = halo_pki::inspect(leaf).ok()?;
    let now = access.tls.clock.now().to_date_time()?;
    let when = |moment| Timestamp::from(moment);
    let what = if now > facts.not_after {
        format!("expired at {}", when(facts.not_after))
    } else if now < facts.not_before {
        format!("is not valid before {}", when(facts.not_before))
    } else {
        return None;
    };
    Some(format!("this client's own certificate {what}: issue and install another leaf"))
}

async fn connect(access: &Access) -> Result<Connection, ReadError> {
    let unreachable = |what: String| ReadError::Unreachable {
        api: access.api,
        target: access.target.clone(),
        what,
    };
    let (stream, local) = Tcp.connect(&access.target).await.map_err(|error| {
        unreachable(format!("{error}; is the Kingdom running, and is this its address?"))
    })?;
    let opened = Connection::open(stream, local, &access.tls);
    let opened = tokio::time::timeout(HANDSHAKE_PATIENCE, opened).await.map_err(|_| {
        unreachable("it accepts, and answers no TLS handshake; is this a TLS port?".to_owned())
    })?;
    opened.map_err(|error| {
        unreachable(format!(
            "{error}; check the identity's trust and the name in the server's certificate"
        ))
    })
}

/// What to assess.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is compromised.
    pub subject: Subject,
    /// The suspected time.
    pub since: Option<Timestamp>,
    /// The compromised key's SHA-256, if it is not the one in force.
    pub key: Option<String>,
    /// See [`Facts::own_keys`].
    pub own_keys: BTreeSet<String>,
    /// See [`Facts::vouched_keys`].
    pub vouched_keys: BTreeSet<String>,
    /// Entity types of event groups beside `campaign`.
    pub entity_types: Vec<String>,
    /// An audit trail.
    pub audit: Option<Trail>,
    /// What the trail must end with.
    pub audit_head: Option<Head>,
}

/// Where an audit trail comes from.
#[derive(Clone, Debug)]
pub enum Trail {
    /// A file.
    File(PathBuf),
    /// What `/v1/audit` answered.
    Text(String),
}

/// Reads everything.
///
/// # Errors
/// [`ReadError`]: something that is needed cannot be read.
pub async fn facts(
    question: &Question,
    public: &mut Channel,
    operator: &mut Channel,
) -> Result<Facts, ReadError> {
    let subject = &question.subject;
    let clock = public.access.tls.clock.clone();
    let started = clock.now();
    let audit = match &question.audit {
        Some(Trail::File(path)) => {
            let text = String::from_utf8(bytes(path)?)
                .map_err(|_| ReadError::file(path, "not text; give what /v1/audit answers"))?;
            Some(trail(&text, path, question.audit_head.as_ref(), subject)?)
        }
        Some(Trail::Text(text)) => {
            Some(trail(text, Path::new("/v1/audit"), question.audit_head.as_ref(), subject)?)
        }
        None => None,
    };
    let (certificate, der) = match subject {
        Subject::Certificate(name) => {
            let (facts, der) = certificate(operator, name).await?;
            (Some(facts), Some(der))
        }
        Subject::PublicKey(_) => (None, None),
    };
    let signer = Signer { name: subject.name(), der: der.as_deref() };
    let public_key = public_key(operator, subject, &signer).await?;
    let key = match subject {
        Subject::Certificate(_) => None,
        Subject::PublicKey(_) => {
            question.key.clone().or_else(|| public_key.as_ref().map(|row| row.key.clone()))
        }
    };
    let mut gaps = Vec::new();
    let measurements = measurements(operator, subject, &signer, &mut gaps).await?;
    let event_groups = event_groups(public, question, audit.as_ref(), &mut gaps).await?;
    Ok(Facts {
        subject: subject.clone(),
        since: question.since,
        read: Some((started, clock.now())),
        certificate,
        key,
        public_key,
        own_keys: question.own_keys.clone(),
        vouched_keys: question.vouched_keys.clone(),
        measurements,
        event_groups,
        audit,
        gaps,
    })
}

/// The compromised certificate as a verifier of what names it.
struct Signer<'a> {
    name: &'a str,
    der: Option<&'a [u8]>,
}

impl Signer<'_> {
    /// Whether its key made this signature; `None` if another certificate is named.
    fn made(&self, named: &str, message: &[u8], signature: &[u8], oid: &str) -> Option<bool> {
        let der = self.der.filter(|_| self.name == named)?;
        Some(halo_consent::verify(der, oid, message, signature).is_ok())
    }
}

/// SHA-256 of the public key set in a serialized EncryptionPublicKey (3.5.1): what `sha256sum` says
/// of the `.tink` file.
pub fn key_digest(encryption_public_key: &[u8]) -> String {
    let inner = v2alpha::EncryptionPublicKey::decode(encryption_public_key);
    let data = inner.map(|key| key.data).unwrap_or_default();
    // The Kingdom stores what it is given (1.2.3): what is no key has a digest all the same.
    let data = if data.is_empty() { encryption_public_key } else { &data };
    hex::encode(Sha256::digest(data))
}

const GET_CERTIFICATE: &str = "wfa.measurement.internal.kingdom.Certificates/GetCertificate";
const GET_DATA_PROVIDER: &str = "wfa.measurement.internal.kingdom.DataProviders/GetDataProvider";
const GET_CONSUMER: &str =
    "wfa.measurement.internal.kingdom.MeasurementConsumers/GetMeasurementConsumer";
const STREAM_MEASUREMENTS: &str =
    "wfa.measurement.internal.kingdom.Measurements/StreamMeasurements";
pub(super) const GET_MEASUREMENT: &str =
    "wfa.measurement.internal.kingdom.Measurements/GetMeasurement";
const LIST_EVENT_GROUPS: &str = "wfa.measurement.api.v2alpha.EventGroups/ListEventGroups";
const GET_EVENT_GROUP: &str = "wfa.measurement.api.v2alpha.EventGroups/GetEventGroup";

/// The number in a name, which [`Subject`] has checked.
pub(super) fn number(segment: &str) -> u64 {
    ApiId::decode(segment).and_then(|id| u64::try_from(id.value()).ok()).unwrap_or_default()
}

async fn certificate(
    operator: &mut Channel,
    name: &str,
) -> Result<(CertificateFacts, Vec<u8>), ReadError> {
    use pb::get_certificate_request::Parent;
    let (owner, id) = name.split_once("/certificates/").unwrap_or_default();
    let owner_id = owner.split_once('/').map(|(_, id)| id).unwrap_or_default();
    let parent = match OwnerKind::of(owner) {
        Some(OwnerKind::DataProvider) => Parent::ExternalDataProviderId(number(owner_id)),
        Some(OwnerKind::MeasurementConsumer) => {
            Parent::ExternalMeasurementConsumerId(number(owner_id))
        }
        Some(OwnerKind::Duchy) => Parent::ExternalDuchyId(owner_id.to_owned()),
        _ => Parent::ExternalModelProviderId(number(owner_id)),
    };
    let request =
        pb::GetCertificateRequest { parent: Some(parent), external_certificate_id: number(id) };
    let row: pb::Certificate =
        operator.call(GET_CERTIFICATE, &request).await.map_err(|error| match error.code() {
            Some("NOT_FOUND") => ReadError::NotFound(format!(
                "this Kingdom has no {name}: nothing is ever deleted (1.1.8), so the name or the Kingdom is another one"
            )),
            // So it says that its configuration has no such Duchy.
            Some("INVALID_ARGUMENT") if OwnerKind::of(owner) == Some(OwnerKind::Duchy) => {
                ReadError::NotFound(format!(
                    "this Kingdom knows no Duchy {owner_id}: correct the name, such as \
                     duchies/worker1/certificates/ID, or the address; its Duchies stand in its \
                     DuchyIdConfig (2.16)"
                ))
            }
            _ => error,
        })?;
    let facts = CertificateFacts {
        state: row.revocation_state(),
        skid: hex::encode(&row.subject_key_identifier),
        not_before: row.not_valid_before.as_ref().map(Timestamp::from_proto),
        not_after: row.not_valid_after.as_ref().map(Timestamp::from_proto),
    };
    Ok((facts, row.details.unwrap_or_default().x509_der))
}

async fn public_key(
    operator: &mut Channel,
    subject: &Subject,
    signer: &Signer<'_>,
) -> Result<Option<PublicKeyFacts>, ReadError> {
    let owner = subject.owner();
    let id = number(owner.split_once('/').map(|(_, id)| id).unwrap_or_default());
    let not_found = |error: ReadError| match error.code() {
        Some("NOT_FOUND") => ReadError::NotFound(format!(
            "this Kingdom has no {owner}: the name or the Kingdom is another one"
        )),
        _ => error,
    };
    let (certificate, (key, (signature, oid)), method) = match subject.owner_kind() {
        OwnerKind::DataProvider => {
            let request = pb::GetDataProviderRequest { external_data_provider_id: id };
            let row: pb::DataProvider =
                operator.call(GET_DATA_PROVIDER, &request).await.map_err(not_found)?;
            let details = row.details.unwrap_or_default();
            let signature =
                (details.public_key_signature, details.public_key_signature_algorithm_oid);
            (row.certificate, (details.public_key, signature), GET_DATA_PROVIDER)
        }
        OwnerKind::MeasurementConsumer => {
            let request =
                pb::GetMeasurementConsumerRequest { external_measurement_consumer_id: id };
            let row: pb::MeasurementConsumer =
                operator.call(GET_CONSUMER, &request).await.map_err(not_found)?;
            let details = row.details.unwrap_or_default();
            let signature =
                (details.public_key_signature, details.public_key_signature_algorithm_oid);
            (row.certificate, (details.public_key, signature), GET_CONSUMER)
        }
        // They have none (1.3.3, 1.3.4).
        OwnerKind::Duchy | OwnerKind::ModelProvider => return Ok(None),
    };
    let Some(certificate) = certificate.filter(|_| !key.is_empty()) else {
        return Err(operator.malformed(method, "no certificate or no public key"));
    };
    let certificate = api_id(certificate.external_certificate_id)
        .map_err(|what| operator.malformed(method, what))?;
    let certificate = format!("{owner}/certificates/{certificate}");
    Ok(Some(PublicKeyFacts {
        name: format!("{owner}/publicKey"),
        key: key_digest(&key),
        is_signed: signer.made(&certificate, &key, &signature, &oid),
        certificate,
    }))
}

fn api_id(id: u64) -> Result<String, String> {
    let known = i64::try_from(id).ok().and_then(ApiId::new);
    known.map(|id| id.to_string()).ok_or_else(|| format!("the external id {id}"))
}

/// Every measurement that may be concerned, merged from both views: one shows results and parts,
/// the other requisitions and Duchies (1.8.4).
async fn measurements(
    operator: &mut Channel,
    subject: &Subject,
    signer: &Signer<'_>,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<MeasurementFacts>, ReadError> {
    if subject.owner_kind() == OwnerKind::ModelProvider {
        return Ok(Vec::new());
    }
    let consumer = match subject.owner_kind() {
        OwnerKind::MeasurementConsumer => {
            number(subject.owner().split_once('/').map(|(_, id)| id).unwrap_or_default())
        }
        _ => 0,
    };
    let defaults = all_measurements(operator, consumer, pb::measurement::View::Default).await?;
    let computations =
        all_measurements(operator, consumer, pb::measurement::View::Computation).await?;
    let (merged, changed) = merge(defaults, computations);
    if !changed.is_empty() {
        let names = changed.iter().map(name_of).collect::<Result<Vec<_>, _>>();
        let names = names.map_err(|what| operator.malformed(STREAM_MEASUREMENTS, what))?;
        gaps.push(Gap::not_looked_at(
            format!(
                "what became of {} measurements that changed while they were read: {}",
                names.len(),
                super::some(&names)
            ),
            "their results are read in one list, their requisitions in another (1.8.4)",
            "assess again",
        ));
    }
    let mut rows = Vec::new();
    for row in merged {
        // Seen in the first view only: deleted in between, or the second view hides it.
        if row.requisitions.len() < row.data_providers.len() && !exists(operator, &row).await? {
            continue;
        }
        let facts = measurement_facts(&row, signer);
        rows.push(facts.map_err(|what| operator.malformed(STREAM_MEASUREMENTS, what))?);
    }
    Ok(rows)
}

/// One row of both views of each measurement, and those that changed between the two readings. A
/// measurement of one view only is as that one shows it.
fn merge(defaults: Rows, computations: Rows) -> (Vec<pb::Measurement>, Vec<pb::Measurement>) {
    let mut changed = Vec::new();
    let mut merged = defaults;
    for (key, mut row) in computations {
        if let Some(present) = merged.remove(&key) {
            if present.update_time != row.update_time {
                changed.push(row.clone());
            }
            if row.data_providers.is_empty() {
                row.data_providers = present.data_providers;
            }
            if row.results.is_empty() {
                row.results = present.results;
            }
        }
        merged.insert(key, row);
    }
    (merged.into_values().collect(), changed)
}

fn name_of(row: &pb::Measurement) -> Result<String, String> {
    let consumer = api_id(row.external_measurement_consumer_id)?;
    let measurement = api_id(row.external_measurement_id)?;
    Ok(format!("measurementConsumers/{consumer}/measurements/{measurement}"))
}

async fn exists(operator: &mut Channel, row: &pb::Measurement) -> Result<bool, ReadError> {
    let request = pb::GetMeasurementRequest {
        external_measurement_consumer_id: row.external_measurement_consumer_id,
        external_measurement_id: row.external_measurement_id,
    };
    match operator.call::<pb::Measurement>(GET_MEASUREMENT, &request).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("NOT_FOUND") => Ok(false),
        Err(error) => Err(error),
    }
}

type Key = (u64, u64);
type Rows = BTreeMap<Key, pb::Measurement>;

fn key_of(row: &pb::Measurement) -> Key {
    (row.external_measurement_consumer_id, row.external_measurement_id)
}

/// All pages of one view. A measurement that changes meanwhile moves to the end and is seen again:
/// none is missed.
async fn all_measurements(
    operator: &mut Channel,
    consumer: u64,
    view: pb::measurement::View,
) -> Result<Rows, ReadError> {
    use pb::stream_measurements_request::Filter;
    use pb::stream_measurements_request::filter::{After, after};
    let mut all = Rows::new();
    let mut after = None;
    loop {
        let request = pb::StreamMeasurementsRequest {
            filter: Some(Filter {
                external_measurement_consumer_id: i64::try_from(consumer).unwrap_or_default(),
                after,
                ..Filter::default()
            }),
            limit: PAGE_SIZE,
            measurement_view: view.into(),
        };
        let page: Vec<pb::Measurement> = operator.stream(STREAM_MEASUREMENTS, &request).await?;
        let is_last = page.len() < usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX);
        let Some(last) = page.last() else { break };
        after = Some(After {
            update_time: last.update_time,
            key: Some(after::Key::Measurement(pb::MeasurementKey {
                external_measurement_consumer_id: last.external_measurement_consumer_id,
                external_measurement_id: last.external_measurement_id,
            })),
        });
        if !take(&mut all, page) && !is_last {
            let what = "a page repeats an earlier one, so the rest cannot be read";
            return Err(operator.malformed(STREAM_MEASUREMENTS, what));
        }
        if is_last {
            break;
        }
    }
    Ok(all)
}

/// Adds a page; whether it had anything new.
fn take(all: &mut Rows, page: Vec<pb::Measurement>) -> bool {
    let mut is_new = false;
    for mut row in page {
        slim(&mut row);
        let key = key_of(&row);
        is_new |= all.get(&key).is_none_or(|seen| seen.update_time != row.update_time);
        all.insert(key, row);
    }
    is_new
}

/// Drops what no rule needs: ciphertexts and certificates would be held for the whole Kingdom.
fn slim(row: &mut pb::Measurement) {
    for result in &mut row.results {
        result.encrypted_result = Vec::new();
    }
    for provider in row.data_providers.values_mut() {
        provider.encrypted_requisition_spec = Vec::new();
    }
    for requisition in &mut row.requisitions {
        requisition.parent_measurement = None;
        if let Some(details) = &mut requisition.details {
            details.encrypted_requisition_spec = Vec::new();
            // Whether there is a result is all that matters.
            details.encrypted_data.truncate(1);
            details.encrypted_data.shrink_to_fit();
        }
        if let Some(certificate) = &mut requisition.data_provider_certificate {
            certificate.details = None;
        }
        for duchy in requisition.duchies.values_mut() {
            duchy.protocol = None;
        }
    }
    for participant in &mut row.computation_participants {
        participant.details = None;
        if let Some(certificate) = &mut participant.duchy_certificate {
            certificate.details = None;
        }
    }
    row.log_entries = Vec::new();
}

fn measurement_facts(
    row: &pb::Measurement,
    signer: &Signer<'_>,
) -> Result<MeasurementFacts, String> {
    let certificate_of = |owner: &str, certificate: u64| -> Result<String, String> {
        Ok(format!("{owner}/certificates/{}", api_id(certificate)?))
    };
    let provider = |provider: u64| -> Result<String, String> {
        Ok(format!("dataProviders/{}", api_id(provider)?))
    };
    let name = name_of(row)?;
    let consumer =
        format!("measurementConsumers/{}", api_id(row.external_measurement_consumer_id)?);
    let details = row.details.clone().unwrap_or_default();
    let mut bound = Vec::new();
    for (of, value) in &row.data_providers {
        let of = provider(*of)?;
        let certificate = certificate_of(&of, value.external_data_provider_certificate_id)?;
        bound.push((of, certificate));
    }
    bound.sort();
    let mut requisitions = Vec::new();
    for one in &row.requisitions {
        requisitions.push(requisition_facts(one)?);
    }
    requisitions.sort_by(|one, other| one.name.cmp(&other.name));
    if requisitions.len() < bound.len() {
        let what = format!(
            "{name} has {} parts and shows {} requisitions",
            bound.len(),
            requisitions.len()
        );
        return Err(what);
    }
    let mut participants = Vec::new();
    for one in &row.computation_participants {
        let Some(certificate) = &one.duchy_certificate else { continue };
        let owner = format!("duchies/{}", one.external_duchy_id);
        participants.push(ParticipantFacts {
            certificate: certificate_of(&owner, certificate.external_certificate_id)?,
            state: one.state(),
            update_time: one.update_time.as_ref().map(Timestamp::from_proto),
        });
    }
    let mut result_certificates = Vec::new();
    for one in &row.results {
        use pb::measurement::result_info::CertificateParent;
        let owner = match &one.certificate_parent {
            Some(CertificateParent::ExternalAggregatorDuchyId(duchy)) => format!("duchies/{duchy}"),
            Some(CertificateParent::ExternalDataProviderId(of)) => provider(*of)?,
            None => return Err(format!("{name}: a result without an owner")),
        };
        result_certificates.push(certificate_of(&owner, one.external_certificate_id)?);
    }
    result_certificates.sort();
    result_certificates.dedup();
    let certificate = certificate_of(&consumer, row.external_measurement_consumer_certificate_id)?;
    let spec = v2alpha::MeasurementSpec::decode(details.measurement_spec.as_slice())
        .map_err(|error| format!("{name}'s MeasurementSpec: {error}"))?;
    Ok(MeasurementFacts {
        is_signed: signer.made(
            &certificate,
            &details.measurement_spec,
            &details.measurement_spec_signature,
            &details.measurement_spec_signature_algorithm_oid,
        ),
        certificate,
        consumer,
        state: row.state(),
        failure: details.failure.as_ref().map(pb::MeasurementFailure::reason),
        create_time: row.create_time.as_ref().map(Timestamp::from_proto),
        update_time: row.update_time.as_ref().map(Timestamp::from_proto),
        etag: row.etag.clone(),
        reference_id: row.provided_measurement_id.clone(),
        question: question(&spec),
        result_key: result_key(spec),
        protocol: protocol(&details),
        bound,
        requisitions,
        participants,
        result_certificates,
        name,
    })
}

#[allow(deprecated, reason = "old measurements name their key in the legacy field (3.8.3)")]
fn result_key(spec: v2alpha::MeasurementSpec) -> Option<String> {
    let legacy = spec.serialized_measurement_public_key;
    let key = spec.measurement_public_key.map_or(legacy, |any| any.value);
    (!key.is_empty()).then(|| key_digest(&key))
}

/// What is asked for, whoever asks it again under another key and with other nonces.
#[allow(deprecated, reason = "old measurements name their key in the legacy field (3.8.3)")]
fn question(spec: &v2alpha::MeasurementSpec) -> String {
    let asked = v2alpha::MeasurementSpec {
        measurement_public_key: None,
        serialized_measurement_public_key: Vec::new(),
        nonce_hashes: Vec::new(),
        ..spec.clone()
    };
    hex::encode(Sha256::digest(asked.encode_to_vec()))
}

fn protocol(details: &pb::MeasurementDetails) -> Protocol {
    use pb::protocol_config::Protocol as Wire;
    match details.protocol_config.as_ref().and_then(|config| config.protocol.as_ref()) {
        Some(Wire::Direct(_)) => Protocol::Direct,
        Some(Wire::HonestMajorityShareShuffle(_)) => Protocol::ShareShuffle,
        _ => Protocol::Duchies,
    }
}

fn requisition_facts(row: &pb::Requisition) -> Result<RequisitionFacts, String> {
    let id = api_id;
    let data_provider = format!("dataProviders/{}", id(row.external_data_provider_id)?);
    let name = format!("{data_provider}/requisitions/{}", id(row.external_requisition_id)?);
    let bound = row
        .data_provider_certificate
        .as_ref()
        .ok_or_else(|| format!("{name} without a certificate"))?;
    let certificate =
        format!("{data_provider}/certificates/{}", id(bound.external_certificate_id)?);
    let details = row.details.clone().unwrap_or_default();
    let result_certificate = if details.encrypted_data.is_empty() {
        None
    } else if details.external_certificate_id == 0 {
        // The fulfiller named none: the bound one is reported (1.7.8).
        Some(certificate.clone())
    } else {
        Some(format!("{data_provider}/certificates/{}", id(details.external_certificate_id)?))
    };
    let mut duchy_certificates = Vec::new();
    for (duchy, value) in &row.duchies {
        let certificate = id(value.external_duchy_certificate_id)?;
        duchy_certificates.push(DuchyCertificateName::new(duchy, certificate).to_string());
    }
    duchy_certificates.sort();
    Ok(RequisitionFacts {
        name,
        data_provider,
        certificate,
        key: key_digest(&details.data_provider_public_key),
        state: row.state(),
        update_time: row.update_time.as_ref().map(Timestamp::from_proto),
        result_certificate,
        duchy_certificates,
    })
}

/// The event groups that the identity may read: a measurement consumer its own of all providers, a
/// data provider its own for all consumers (1.4.8, 1.4.10).
async fn event_groups(
    public: &mut Channel,
    question: &Question,
    audit: Option<&AuditFacts>,
    gaps: &mut Vec<Gap>,
) -> Result<EventGroups, ReadError> {
    let owner = question.subject.owner();
    if question.subject.owner_kind() != OwnerKind::MeasurementConsumer {
        return Ok(EventGroups { scope: EventGroupScope::NotConcerned, seen: Vec::new() });
    }
    let identity = public.access.resource.clone();
    let is_provider = OwnerKind::of(&identity) == Some(OwnerKind::DataProvider);
    if identity != owner && !is_provider {
        gaps.push(Gap::not_looked_at(
            format!("event groups of {owner}"),
            format!("{identity} may not read them (1.4.8)"),
            format!("give --identity of {owner}, or of each data provider in turn"),
        ));
        return Ok(EventGroups { scope: EventGroupScope::NotRead, seen: Vec::new() });
    }
    if is_provider {
        gaps.push(Gap::not_looked_at(
            format!("event groups of {owner} with other data providers than {identity}"),
            "a data provider reads its own only (1.4.8)",
            format!("give --identity of {owner}"),
        ));
    }
    let named = audit.map(|audit| &audit.living_event_groups);
    let seen = readable_event_groups(public, entity_types(&question.entity_types), named).await?;
    if audit.is_none() {
        gaps.push(Gap::not_looked_at(
            format!(
                "event groups of other entity types than {}",
                entity_types(&question.entity_types).join(", ")
            ),
            "a list shows the types that are asked for, and nothing lists the types (1.4.10); it may also be 30 s old (1.4.11)",
            "name them with --entity-type, or give the audit trail: --audit FILE",
        ));
    }
    let seen = seen.iter().map(event_group_facts).collect();
    Ok(EventGroups { scope: EventGroupScope::Of(identity), seen })
}

/// The event groups that are there and that the identity may read, by name: those of the trail too, which
/// has what a list leaves out, other entity types and what a stale read does not show yet.
async fn readable_event_groups(
    public: &mut Channel,
    entity_types: Vec<String>,
    in_trail: Option<&BTreeSet<String>>,
) -> Result<Vec<v2alpha::EventGroup>, ReadError> {
    let identity = public.access.resource.clone();
    let is_provider = OwnerKind::of(&identity) == Some(OwnerKind::DataProvider);
    let mut seen = BTreeMap::new();
    let mut request = v2alpha::ListEventGroupsRequest {
        parent: identity.clone(),
        page_size: EVENT_GROUP_PAGE_SIZE,
        filter: Some(v2alpha::list_event_groups_request::Filter {
            entity_type_in: entity_types,
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut tokens = BTreeSet::new();
    loop {
        let page: v2alpha::ListEventGroupsResponse =
            public.call(LIST_EVENT_GROUPS, &request).await?;
        for group in page.event_groups {
            seen.insert(group.name.clone(), group);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        if !tokens.insert(page.next_page_token.clone()) {
            let what = "a page token comes twice, so the rest cannot be read";
            return Err(public.malformed(LIST_EVENT_GROUPS, what));
        }
        request.page_token = page.next_page_token;
    }
    for name in in_trail.into_iter().flatten() {
        if seen.contains_key(name) || !may_read(name, &identity, is_provider) {
            continue;
        }
        if let Some(group) = event_group(public, name).await? {
            seen.insert(name.clone(), group);
        }
    }
    let is_there =
        |group: &v2alpha::EventGroup| group.state() != v2alpha::event_group::State::Deleted;
    Ok(seen.into_values().filter(is_there).collect())
}

/// The event groups of a consumer, of every entity type: `public` is its own, `trail` what `/v1/audit`
/// answers.
///
/// # Errors
/// They cannot be read, or the trail is not intact.
pub async fn event_groups_of(
    public: &mut Channel,
    consumer: &Subject,
    trail: &str,
) -> Result<Vec<v2alpha::EventGroup>, ReadError> {
    let audit = self::trail(trail, Path::new("/v1/audit"), None, consumer)?;
    readable_event_groups(public, entity_types(&[]), Some(&audit.living_event_groups)).await
}

fn entity_types(named: &[String]) -> Vec<String> {
    // An empty filter means this one only; any other hides it (1.4.10).
    let mut types = vec!["campaign".to_owned()];
    types.extend(named.iter().filter(|name| *name != "campaign").cloned());
    types
}

fn may_read(name: &str, identity: &str, is_provider: bool) -> bool {
    let provider =
        EventGroupName::parse(name).map(|name| format!("dataProviders/{}", name.data_provider));
    !is_provider || provider.as_deref() == Some(identity)
}

/// One event group by name; `None` if it is gone, or another consumer's (1.4.8).
async fn event_group(
    public: &mut Channel,
    name: &str,
) -> Result<Option<v2alpha::EventGroup>, ReadError> {
    let request = v2alpha::GetEventGroupRequest { name: name.to_owned(), ..Default::default() };
    match public.call(GET_EVENT_GROUP, &request).await {
        Ok(group) => Ok(Some(group)),
        Err(error) if matches!(error.code(), Some("NOT_FOUND" | "PERMISSION_DENIED")) => Ok(None),
        Err(error) => Err(error),
    }
}

#[allow(deprecated, reason = "old event groups fill the legacy fields only (1.4.2)")]
fn event_group_facts(group: &v2alpha::EventGroup) -> EventGroupFacts {
    let legacy = group.signed_measurement_consumer_public_key.as_ref().map(|signed| {
        signed.message.as_ref().map_or_else(|| signed.data.clone(), |any| any.value.clone())
    });
    let key = group.measurement_consumer_public_key.as_ref().map(|any| any.value.clone());
    let key = key.or(legacy).filter(|key| !key.is_empty());
    EventGroupFacts {
        name: group.name.clone(),
        consumer: group.measurement_consumer.clone(),
        key: key.map(|key| key_digest(&key)),
        has_metadata: group.encrypted_metadata.is_some()
            || !group.serialized_encrypted_metadata.is_empty(),
        state: group.state().as_str_name(),
    }
}

/// Checks a trail and takes out of it what the rule needs.
fn trail(
    text: &str,
    path: &Path,
    head: Option<&Head>,
    subject: &Subject,
) -> Result<AuditFacts, ReadError> {
    let found = audit::verify(text.lines(), head).map_err(|broken| {
        ReadError::file(
            path,
            format!(
                "{broken}; a trail that is not intact proves nothing: fetch it anew from /v1/audit"
            ),
        )
    })?;
    if found.count == 0 {
        return Err(ReadError::file(path, "no entries; a real trail begins with its resources"));
    }
    let mut facts = AuditFacts {
        head: found.to_string(),
        end_is_proven: head.is_some(),
        ..AuditFacts::default()
    };
    let owners_key = format!("{}/publicKey", subject.owner());
    for line in text.lines().filter(|line| !line.is_empty()) {
        let entry: audit::Entry =
            serde_json::from_str(line).map_err(|error| ReadError::file(path, error))?;
        let time = Timestamp::parse_rfc3339(&entry.time)
            .ok_or_else(|| ReadError::file(path, format!("entry {}: no time", entry.n)))?;
        facts.end = facts.end.max(Some(time));
        note(&mut facts, &entry, time);
        if entry.subject == subject.name() || entry.subject == owners_key {
            facts.history.push(HistoryEntry {
                time,
                actor: entry.actor,
                action: entry.action,
                subject: entry.subject,
                before: entry.before,
                after: entry.after,
            });
        }
    }
    Ok(facts)
}

fn note(facts: &mut AuditFacts, entry: &audit::Entry, time: Timestamp) {
    let segments: Vec<_> = entry.subject.split('/').collect();
    let (action, name) = (entry.action.as_str(), entry.subject.clone());
    match segments.as_slice() {
        ["measurementConsumers", _, "measurements", _] => match action {
            "create" => {
                facts.living_measurements.insert(name);
            }
            "delete" => {
                facts.living_measurements.remove(&name);
                facts.deleted_measurements.insert(name, time);
            }
            _ => {}
        },
        ["dataProviders", _, "eventGroups", _] => {
            match action {
                "create" => {
                    facts.living_event_groups.insert(name.clone());
                }
                "delete" => {
                    facts.living_event_groups.remove(&name);
                }
                _ => {}
            }
            if matches!(action, "create" | "update") {
                facts.last_change.insert(name, time);
            }
        }
        // A new owner comes with its first public key.
        ["dataProviders" | "measurementConsumers", _] if action == "create" => {
            facts.last_change.insert(format!("{name}/publicKey"), time);
        }
        ["dataProviders" | "measurementConsumers", _, "publicKey"] if action == "update" => {
            facts.last_change.insert(name, time);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Signer<'static> = Signer { name: "", der: None };

    fn row(id: u64, seconds: i64) -> pb::Measurement {
        pb::Measurement {
            external_measurement_consumer_id: 404,
            external_measurement_id: id,
            external_measurement_consumer_certificate_id: 7,
            update_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            details: Some(pb::MeasurementDetails::default()),
            ..pb::Measurement::default()
        }
    }

    fn requisition() -> pb::Requisition {
        pb::Requisition {
            external_data_provider_id: 404,
            external_requisition_id: 404,
            data_provider_certificate: Some(pb::Certificate {
                external_certificate_id: 404,
                ..pb::Certificate::default()
            }),
            details: Some(pb::RequisitionDetails::default()),
            ..pb::Requisition::default()
        }
    }

    fn rows(all: impl IntoIterator<Item = pb::Measurement>) -> Rows {
        all.into_iter().map(|row| (key_of(&row), row)).collect()
    }

    #[test]
    fn a_page_without_anything_new_ends_the_reading() {
        let mut all = Rows::new();
        assert!(take(&mut all, vec![row(1, 1), row(2, 2)]));
        assert!(!take(&mut all, vec![row(1, 1), row(2, 2)]), "the same page again");
        assert!(take(&mut all, vec![row(2, 2), row(1, 3)]), "it changed meanwhile");
        assert_eq!(all.len(), 2);
        assert!(take(&mut all, vec![row(3, 4)]));
    }

    #[test]
    fn what_changed_between_the_two_views_is_said() {
        let mut shown = row(1, 1);
        shown.results = vec![pb::measurement::ResultInfo::default()];
        let mut worked = row(1, 1);
        worked.requisitions = vec![requisition()];
        let (merged, changed) =
            merge(rows([shown, row(2, 1), row(3, 1)]), rows([worked, row(2, 5), row(4, 1)]));
        assert_eq!(merged.len(), 4, "none of either view is lost");
        assert_eq!((merged[0].results.len(), merged[0].requisitions.len()), (1, 1));
        let changed: Vec<_> = changed.iter().map(|row| row.external_measurement_id).collect();
        assert_eq!(changed, [2]);
    }

    #[test]
    fn a_part_without_its_requisition_is_an_error() {
        let mut one = row(1, 1);
        let part = pb::measurement::DataProviderValue {
            external_data_provider_certificate_id: 404,
            ..Default::default()
        };
        one.data_providers.insert(404, part);
        let error = measurement_facts(&one, &NOBODY).unwrap_err();
        assert!(error.ends_with("has 1 parts and shows 0 requisitions"), "{error}");
        one.requisitions = vec![requisition()];
        assert!(measurement_facts(&one, &NOBODY).is_ok());
        one.results = vec![pb::measurement::ResultInfo::default()];
        assert!(measurement_facts(&one, &NOBODY).unwrap_err().contains("without an owner"));
        assert_eq!(measurement_facts(&row(0, 1), &NOBODY).unwrap_err(), "the external id 0");
    }

    /// 1.7.8: without a certificate of its own the bound one is reported.
    #[test]
    fn a_direct_result_is_under_the_certificate_that_was_named_else_under_the_bound_one() {
        let mut one = requisition();
        assert_eq!(requisition_facts(&one).unwrap().result_certificate, None);
        one.details.as_mut().unwrap().encrypted_data = vec![1; 9];
        let bound = requisition_facts(&one).unwrap();
        assert_eq!(bound.result_certificate, Some(bound.certificate));
        one.details.as_mut().unwrap().external_certificate_id = 405;
        let named = "dataProviders/AAAAAAAAAZQ/certificates/AAAAAAAAAZU".to_owned();
        assert_eq!(requisition_facts(&one).unwrap().result_certificate, Some(named));
    }

    #[test]
    fn the_same_question_under_another_key_is_the_same_and_another_one_is_not() {
        use v2alpha::measurement_spec::{MeasurementType, Population, Reach, ReportingMetadata};
        let spec = v2alpha::MeasurementSpec {
            measurement_type: Some(MeasurementType::Reach(Reach::default())),
            ..Default::default()
        };
        let again = v2alpha::MeasurementSpec {
            measurement_public_key: Some(prost_types::Any {
                value: b"fresh".to_vec(),
                ..Default::default()
            }),
            nonce_hashes: vec![vec![1]],
            ..spec.clone()
        };
        assert_eq!(question(&again), question(&spec));
        let report = ReportingMetadata { report: "reports/x".to_owned(), ..Default::default() };
        for other in [
            v2alpha::MeasurementSpec {
                measurement_type: Some(MeasurementType::Population(Population::default())),
                ..spec.clone()
            },
            v2alpha::MeasurementSpec { model_line: "other".to_owned(), ..spec.clone() },
            v2alpha::MeasurementSpec { reporting_metadata: Some(report), ..spec.clone() },
        ] {
            assert_ne!(question(&other), question(&spec), "{other:?}");
        }
    }

    #[test]
    fn a_key_has_the_digest_of_its_key_set_whatever_is_around_it() {
        let of = |format| v2alpha::EncryptionPublicKey { format, data: b"keys".to_vec() };
        let bare = hex::encode(Sha256::digest(b"keys"));
        for format in [0, 1] {
            assert_eq!(key_digest(&of(format).encode_to_vec()), bare);
        }
        assert_ne!(key_digest(b"no key at all"), bare);
    }
}
