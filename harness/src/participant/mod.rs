//! Reference participants: what data providers, measurement consumers, Duchies, model providers and
//! a reporting server do, over the wire, with the verification steps of contract section 3.
//!
//! By default they do what is documented. The oddities of the real components (contract 5.12) are
//! switched on one by one with [`PeerQuirks`]; where the real process ends instead of refusing, the
//! participant returns [`Ended`] and leaves a `participant_ended` event.
//!
//! A participant does not know where things run: it is handed a [`wire::Dial`] for each action, and
//! holds its clock, its randomness and its files (certificates, keys, trust bundle) as values. What
//! it *decides* stands in the pure modules (`rules`), apart from what it *does*.
//!
//! * [`data_provider`]: 3.10, 3.14, 3.15.3; [`edp_aggregator`]: 3.11; [`duchy`]: 3.12;
//!   [`reporting`]: 3.13; [`measurement_consumer`]: 3.15.1, 3.15.2; [`panel_match`]: 4.5;
//!   [`model_provider`]: 1.3.4.

pub mod cast;
pub mod data_provider;
pub mod duchy;
pub mod edp_aggregator;
pub mod event_filter;
pub mod measurement_consumer;
pub mod model_provider;
pub mod panel_match;
pub mod reporting;
pub mod trust;
pub mod wire;

use crate::client::{Credential, Security, TlsOptions};
use crate::quirk::{Fidelity, PeerQuirk, PeerQuirks};
use fake_kingdom::model::Timestamp;
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use halo_consent::{PackedMessage, PrivateKeyset, SigningKey};
use kingdom_proto::v2alpha as pb;
use prost::Name;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use trust::TrustBundle;
use wire::{CallError, Dial, Line, Method};

/// Every peer quirk as documented: how a participant behaves unless a scenario says otherwise.
pub fn documented() -> PeerQuirks {
    PeerQuirks::all(Fidelity::AsDocumented)
}

/// The real process ends: the exception leaves its main loop and the command exits 1 (contract
/// section 3, head).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process ends ({clause}): {cause}")]
pub struct Ended {
    /// Row or clause of the contract, such as `3.10/7`.
    pub clause: &'static str,
    /// What happened, in words.
    pub cause: String,
}

/// What kind of thing a participant did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The real process would have exited 1.
    ParticipantEnded,
    /// A provider refused a requisition.
    RequisitionRefused,
    /// A provider fulfilled a requisition.
    RequisitionFulfilled,
    /// A provider left a requisition as it was and went on.
    RequisitionSkipped,
    /// Work is delivered again later (contract 3.11.5).
    WorkRedelivered,
    /// A measurement consumer or reporting server created a measurement.
    MeasurementCreated,
    /// A result was read and passed every check made.
    ResultRead,
    /// A result or a provider did not pass a check.
    Rejected,
    /// A certificate was registered.
    CertificateCreated,
    /// A public key was put in force.
    PublicKeyUpdated,
    /// A Duchy gave its parameters.
    ParamsSet,
    /// A Duchy confirmed its part.
    ParticipantConfirmed,
    /// A Duchy failed a computation for good.
    ComputationFailed,
    /// A Duchy will try a stage again.
    StageRetried,
    /// A Duchy's mill threw a status that no phase translates (contract 3.12.5).
    StatusThrown,
    /// A Duchy delivered a result.
    ResultDelivered,
}

impl EventKind {
    /// Its name in scenarios and records, such as `participant_ended`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ParticipantEnded => "participant_ended",
            Self::RequisitionRefused => "requisition_refused",
            Self::RequisitionFulfilled => "requisition_fulfilled",
            Self::RequisitionSkipped => "requisition_skipped",
            Self::WorkRedelivered => "work_redelivered",
            Self::MeasurementCreated => "measurement_created",
            Self::ResultRead => "result_read",
            Self::Rejected => "rejected",
            Self::CertificateCreated => "certificate_created",
            Self::PublicKeyUpdated => "public_key_updated",
            Self::ParamsSet => "params_set",
            Self::ParticipantConfirmed => "participant_confirmed",
            Self::ComputationFailed => "computation_failed",
            Self::StageRetried => "stage_retried",
            Self::StatusThrown => "status_thrown",
            Self::ResultDelivered => "result_delivered",
        }
    }
}

/// One thing that a participant did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParticipantEvent {
    /// The participant's clock.
    pub time: Timestamp,
    /// Who, such as `edp1`.
    pub actor: String,
    /// What.
    pub kind: EventKind,
    /// Row or clause of the contract that decided it, such as `3.10/5`; empty if none did.
    pub clause: &'static str,
    /// Why, in words.
    pub cause: String,
    /// The justification of a refusal, such as `CONSENT_SIGNAL_INVALID`; empty if it is none.
    pub justification: &'static str,
    /// The resource it is about.
    pub subject: String,
    /// The certificate, by resource name, under which stood what it is about: what was read, rejected or
    /// refused, or what it signed itself; empty if no one certificate is meant.
    pub certificate: String,
}

/// A consent signalling certificate with its resource name and its private key.
#[derive(Clone, Debug)]
pub struct SigningPair {
    /// Resource name of the certificate, as configured (contract 3.9.1, 5.8).
    pub certificate: String,
    /// The certificate.
    pub certificate_der: Vec<u8>,
    /// The key.
    pub key: Arc<SigningKey>,
}

impl SigningPair {
    /// Signs a message as project code does, with the default algorithm of the key (3.1, 3.2.2).
    ///
    /// # Errors
    /// The library failed to sign.
    pub fn sign<M: Name>(&self, message: &M) -> Result<pb::SignedMessage, CannotMake> {
        self.sign_packed(pack(message))
    }

    /// Signs what is packed already.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn sign_packed(&self, message: prost_types::Any) -> Result<pb::SignedMessage, CannotMake> {
        let message = PackedMessage { type_url: message.type_url, value: message.value };
        let algorithm = self.key.default_algorithm();
        halo_consent::SignedMessage::sign(&self.key, algorithm, message)
            .map(to_wire)
            .map_err(|error| CannotMake(format!("the message cannot be signed: {error}")))
    }
}

/// What a participant wanted to send cannot be made from what it holds or was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; check the participant's keys and the key it was given")]
pub struct CannotMake(pub String);

/// Who a participant is and what it was started with.
#[derive(Clone)]
pub struct Identity {
    /// Its name in scenarios, such as `edp1`.
    pub name: String,
    /// Its resource name, such as `dataProviders/AAAAAAAAAZQ`.
    pub resource: String,
    /// Its TLS client certificate and key.
    pub tls: Credential,
    /// Sent as `x-api-key`, if it has one.
    pub api_key: Option<String>,
    /// The certificate collection: trusted for TLS and for consent signalling alike (5.1, 5.3).
    pub bundle: TrustBundle,
    /// The oddities in force.
    pub quirks: PeerQuirks,
    /// Its clock.
    pub clock: Clock,
    /// Root of its randomness.
    pub seed: Seed,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A sandbox lacks what a participant needs, or holds it in a wrong form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox makes no participant {name}: {what}; make the sandbox anew")]
pub struct BadSandbox {
    /// The participant.
    pub name: String,
    /// What is missing or wrong.
    pub what: String,
}

impl Identity {
    /// A sandbox's participant, every quirk as documented, each owner bound to its own root (3.4).
    ///
    /// # Errors
    /// The sandbox has no such participant.
    pub fn of(
        sandbox: &Sandbox,
        name: &str,
        clock: &Clock,
        seed: Seed,
    ) -> Result<Self, BadSandbox> {
        let files = Files { sandbox, name };
        let participant = sandbox
            .participant(name)
            .ok_or_else(|| files.bad("there is none of this name"))?
            .clone();
        let chain = files.certificates(&format!("{name}_tls.pem"))?;
        let key = String::from_utf8_lossy(files.bytes(&format!("{name}_tls.key"))?).into_owned();
        let key = halo_pki::pem_private_key(&key).map_err(|error| files.bad(error))?;
        let roots = files.certificates("trusted_certs.pem")?;
        let mut bundle = TrustBundle::new(&roots).map_err(|error| files.bad(error))?;
        for other in sandbox.participants() {
            let root = Files { sandbox, name: &other.name }
                .certificates(&format!("{}_root.pem", other.name))?;
            bundle.bind(&other.resource, &root[0]);
        }
        Ok(Self {
            name: name.to_owned(),
            resource: participant.resource,
            tls: Credential { chain, key },
            api_key: participant.api_key,
            bundle,
            quirks: documented(),
            clock: clock.clone(),
            seed,
        })
    }
}

/// The registered consent signalling certificate of a sandbox's participant.
///
/// # Errors
/// It has none.
pub fn signing_pair(sandbox: &Sandbox, name: &str) -> Result<SigningPair, BadSandbox> {
    let files = Files { sandbox, name };
    let certificate = sandbox
        .participant(name)
        .and_then(|participant| participant.certificate.clone())
        .ok_or_else(|| files.bad("it has no consent signalling certificate"))?;
    let key = SigningKey::from_pkcs8_der(files.bytes(&format!("{name}_cs_private.der"))?)
        .map_err(|error| files.bad(error))?;
    Ok(SigningPair {
        certificate,
        certificate_der: files.bytes(&format!("{name}_cs_cert.der"))?.to_vec(),
        key: Arc::new(key),
    })
}

/// The decryption key set of a sandbox's participant.
///
/// # Errors
/// It has none.
pub fn decryption_keyset(sandbox: &Sandbox, name: &str) -> Result<PrivateKeyset, BadSandbox> {
    let files = Files { sandbox, name };
    PrivateKeyset::from_binary(files.bytes(&format!("{name}_enc_private.tink"))?)
        .map_err(|error| files.bad(error))
}

struct Files<'a> {
    sandbox: &'a Sandbox,
    name: &'a str,
}

impl<'a> Files<'a> {
    fn bytes(&self, file: &str) -> Result<&'a [u8], BadSandbox> {
        let path = format!("participants/{}/{file}", self.name);
        self.sandbox.file(&path).ok_or_else(|| self.bad(format!("no {path}")))
    }

    fn certificates(&self, file: &str) -> Result<Vec<Vec<u8>>, BadSandbox> {
        let certificates =
            halo_pki::pem_certificates(self.bytes(file)?).map_err(|error| self.bad(error))?;
        if certificates.is_empty() {
            Err(self.bad(format!("{file} is empty")))
        } else {
            Ok(certificates)
        }
    }

    fn bad(&self, what: impl fmt::Display) -> BadSandbox {
        BadSandbox { name: self.name.to_owned(), what: what.to_string() }
    }
}

/// What every participant has in common: an identity, open connections, and what it did.
pub struct Base {
    /// Who it is.
    pub identity: Identity,
    /// What it did, oldest first.
    pub events: Vec<ParticipantEvent>,
    /// Its randomness.
    pub rng: ChaCha20Rng,
    reported: usize,
    line: Line,
    /// Path and first message of the last call.
    sent: Option<(&'static str, Vec<u8>)>,
}

impl Base {
    /// A participant that has done nothing yet.
    pub fn new(identity: Identity) -> Self {
        let rng = identity.seed.child(&format!("participant/{}", identity.name));
        Self { line: Line::default(), events: Vec::new(), reported: 0, sent: None, rng, identity }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// The status that came, or UNAVAILABLE if none did.
    pub async fn call<Q: prost::Message, A: prost::Message + Default>(
        &mut self,
        dial: &dyn Dial,
        method: Method<Q, A>,
        request: &Q,
    ) -> Result<A, CallError> {
        let tls = self.tls_options();
        let to = method.destination();
        self.sent = Some((method.path(), request.encode_to_vec()));
        self.line.call(dial, &tls, self.metadata(), &to, method.path(), &[request]).await
    }

    /// Makes one call with a stream of requests to a Duchy.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn stream_to_duchy<Q: prost::Message, A: prost::Message + Default>(
        &mut self,
        dial: &dyn Dial,
        duchy: &str,
        method: Method<Q, A>,
        requests: &[&Q],
    ) -> Result<A, CallError> {
        let tls = self.tls_options();
        let to = wire::Destination::Duchy(duchy.to_owned());
        self.sent = requests.first().map(|first| (method.path(), first.encode_to_vec()));
        self.line.call(dial, &tls, self.metadata(), &to, method.path(), requests).await
    }

    /// The request of its last call, a stream's first message, if the call was of this method. It shows
    /// what leaves no trace at the server, such as an etag that was not sent (3.10.4).
    pub fn last_sent<Q: prost::Message + Default, A>(&self, method: Method<Q, A>) -> Option<Q> {
        let (path, message) = self.sent.as_ref()?;
        (*path == method.path()).then(|| Q::decode(message.as_slice()).ok()).flatten()
    }

    /// Calls a method that answers with a stream, and takes the first message that is wanted.
    ///
    /// # Errors
    /// The status that ended the stream before it came.
    pub async fn first_of_stream<Q: prost::Message, A: prost::Message + Default>(
        &mut self,
        dial: &dyn Dial,
        to: &wire::Destination,
        path: &str,
        request: &Q,
        wanted: &dyn Fn(&A) -> bool,
    ) -> Result<A, CallError> {
        let tls = self.tls_options();
        wire::first_of_stream(dial, &tls, self.metadata(), to, path, request, wanted).await
    }

    /// Revokes or holds one of its certificates, or releases a hold (`None`).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn set_revocation(
        &mut self,
        dial: &dyn Dial,
        certificate: &str,
        state: Option<pb::certificate::RevocationState>,
    ) -> Result<pb::Certificate, CallError> {
        let name = certificate.to_owned();
        match state {
            Some(state) => {
                let request = pb::RevokeCertificateRequest { name, revocation_state: state.into() };
                self.call(dial, wire::REVOKE_CERTIFICATE, &request).await
            }
            None => {
                let request = pb::ReleaseCertificateHoldRequest { name };
                self.call(dial, wire::RELEASE_CERTIFICATE_HOLD, &request).await
            }
        }
    }

    /// Forgets its open connections, as a restarted process does.
    pub fn reconnect(&mut self) {
        self.line = Line::default();
    }

    /// Notes what it did.
    pub fn note(
        &mut self,
        kind: EventKind,
        clause: &'static str,
        subject: impl Into<String>,
        cause: impl Into<String>,
    ) {
        self.note_refusal(kind, clause, "", subject, cause);
    }

    /// Notes what it did, with a justification.
    pub fn note_refusal(
        &mut self,
        kind: EventKind,
        clause: &'static str,
        justification: &'static str,
        subject: impl Into<String>,
        cause: impl Into<String>,
    ) {
        self.events.push(ParticipantEvent {
            time: self.identity.clock.now(),
            actor: self.identity.name.clone(),
            kind,
            clause,
            cause: cause.into(),
            justification,
            subject: subject.into(),
            certificate: String::new(),
        });
    }

    /// Notes what it did with what stands under a certificate.
    pub fn note_under(
        &mut self,
        certificate: &str,
        kind: EventKind,
        clause: &'static str,
        subject: impl Into<String>,
        cause: impl Into<String>,
    ) {
        self.note(kind, clause, subject, cause);
        self.under(certificate);
    }

    /// Says under which certificate stood what was noted last.
    pub fn under(&mut self, certificate: &str) {
        if let Some(event) = self.events.last_mut() {
            certificate.clone_into(&mut event.certificate);
        }
    }

    /// What it did since this was last asked.
    pub fn unreported(&mut self) -> Vec<ParticipantEvent> {
        let new = self.events.get(self.reported..).unwrap_or_default().to_vec();
        self.reported = self.events.len();
        new
    }

    /// Notes that the real process ends here.
    pub fn end(&mut self, clause: &'static str, subject: &str, cause: impl Into<String>) -> Ended {
        let cause = cause.into();
        self.note(EventKind::ParticipantEnded, clause, subject, cause.clone());
        // Kubernetes starts the container again: with new connections (3.10.1).
        self.reconnect();
        Ended { clause, cause }
    }

    /// Whether an oddity of the real component is in force.
    pub fn faithful(&self, quirk: PeerQuirk) -> bool {
        self.identity.quirks.faithful(quirk)
    }

    /// The present, for certificates.
    pub fn now_unix_seconds(&self) -> i64 {
        self.identity.clock.now().micros().div_euclid(1_000_000)
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let key = self.identity.api_key.clone();
        key.map(|key| ("x-api-key".to_owned(), key)).into_iter().collect()
    }

    fn tls_options(&self) -> TlsOptions {
        TlsOptions {
            credential: Some(self.identity.tls.clone()),
            security: Security::Tls13,
            roots: self.identity.bundle.roots().map(<[u8]>::to_vec).collect(),
            server_name: "localhost".to_owned(),
            clock: self.identity.clock.clone(),
            link: None,
        }
    }
}

/// An OID that is not in table 3.2.1, for defects.
const ED25519: &str = "1.3.101.112";
/// The OID of RSA with SHA-256, which fits no EC key, for defects.
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";

/// Flips the last bit, for defects.
fn spoil(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

/// Packs a message with the prefix that project code writes (3.5.6).
pub fn pack<M: Name>(message: &M) -> prost_types::Any {
    kingdom_proto::pack(&M::full_name(), message)
}

/// Takes a message out of an Any; absent is as wrong as another type.
///
/// # Errors
/// What is wrong, in words.
pub fn unpack<M: Name + Default>(any: Option<&prost_types::Any>) -> Result<M, String> {
    let name = M::full_name();
    let any = any.ok_or_else(|| format!("there is no {name}"))?;
    halo_consent::unpack(&any.type_url, &name, &any.value).map_err(|error| error.to_string())
}

/// The wire's SignedMessage as the consent library has it.
#[allow(deprecated, reason = "verifiers fall back to `data` (contract 3.1.3)")]
pub fn from_wire(message: &pb::SignedMessage) -> halo_consent::SignedMessage {
    halo_consent::SignedMessage {
        message: message
            .message
            .clone()
            .map(|any| PackedMessage { type_url: any.type_url, value: any.value }),
        data: message.data.clone(),
        signature: message.signature.clone(),
        signature_algorithm_oid: message.signature_algorithm_oid.clone(),
    }
}

/// The consent library's SignedMessage as the wire has it.
#[allow(deprecated, reason = "project code fills `data` too (contract 3.1.3)")]
pub fn to_wire(message: halo_consent::SignedMessage) -> pb::SignedMessage {
    pb::SignedMessage {
        message: message
            .message
            .map(|any| prost_types::Any { type_url: any.type_url, value: any.value }),
        data: message.data,
        signature: message.signature,
        signature_algorithm_oid: message.signature_algorithm_oid,
    }
}

/// Registers a certificate under the caller's own resource.
///
/// # Errors
/// As [`Base::call`].
pub async fn create_certificate(
    base: &mut Base,
    dial: &dyn Dial,
    certificate_der: &[u8],
) -> Result<pb::Certificate, CallError> {
    let request = pb::CreateCertificateRequest {
        parent: base.identity.resource.clone(),
        certificate: Some(pb::Certificate {
            x509_der: certificate_der.to_vec(),
            ..pb::Certificate::default()
        }),
    };
    let certificate = base.call(dial, wire::CREATE_CERTIFICATE, &request).await?;
    base.note(EventKind::CertificateCreated, "1.1.5", &certificate.name, "");
    Ok(certificate)
}

/// Puts a public key in force, signed by a registered certificate (contract 1.2, 1.6.5).
///
/// # Errors
/// As [`Base::call`]; a key that cannot be signed is INTERNAL.
pub async fn update_public_key(
    base: &mut Base,
    dial: &dyn Dial,
    signer: &SigningPair,
    keyset: &PrivateKeyset,
) -> Result<pb::PublicKey, CallError> {
    let name = format!("{}/publicKey", base.identity.resource);
    let signed = signer.sign_packed(public_key_of(keyset)).map_err(CallError::own)?;
    let request = pb::UpdatePublicKeyRequest {
        public_key: Some(pb::PublicKey {
            name: name.clone(),
            public_key: Some(signed),
            certificate: signer.certificate.clone(),
        }),
    };
    let key = base.call(dial, wire::UPDATE_PUBLIC_KEY, &request).await?;
    let certificate = &signer.certificate;
    base.note_under(certificate, EventKind::PublicKeyUpdated, "1.2.4", name, certificate);
    Ok(key)
}

/// The packed EncryptionPublicKey of a key set.
pub fn public_key_of(keyset: &PrivateKeyset) -> prost_types::Any {
    prost_types::Any {
        type_url: halo_consent::type_url(&pb::EncryptionPublicKey::full_name()),
        value: keyset.public().to_encryption_public_key(),
    }
}

/// Encrypts a signed message to a packed EncryptionPublicKey (3.5, 3.7.3 to 3.7.5, 3.7.9).
///
/// # Errors
/// The key cannot be used (3.5.1).
pub fn seal(
    key: Option<&prost_types::Any>,
    message: pb::SignedMessage,
    rng: &mut ChaCha20Rng,
) -> Result<pb::EncryptedMessage, CannotMake> {
    let unusable = |what: &dyn fmt::Display| CannotMake(format!("the public key: {what}"));
    let key = key.ok_or_else(|| unusable(&"there is none"))?;
    let keyset = halo_consent::PublicKeyset::from_encryption_public_key(&key.value)
        .map_err(|error| unusable(&error))?;
    let ciphertext = halo_consent::seal_signed(&keyset, &from_wire(&message), rng)
        .map_err(|error| unusable(&error))?;
    Ok(pb::EncryptedMessage {
        ciphertext,
        type_url: halo_consent::type_url(halo_consent::SIGNED_MESSAGE),
    })
}

/// Sorted name to value, as participants keep what they fetched.
pub type Fetched<T> = BTreeMap<String, Result<T, CallError>>;
