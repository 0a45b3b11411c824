//! A measurement consumer: creates measurements with signed and encrypted specs (contract 3.7), and
//! reads results after decrypting and verifying them (3.15.1), their certificates' revocation state
//! included.
//!
//! The official command-line tool verifies no provider when it creates (3.15.2) and reads no
//! revocation state (3.13.3): [`MeasurementConsumer::as_the_official_tool`].

use super::trust::{Untrusted, Verifier};
use super::wire::{self, CallError, Dial};
use super::{
    BadSandbox, Base, CannotMake, ED25519, EventKind, Identity, RSA_SHA256, SigningPair,
    create_certificate, decryption_keyset, pack, public_key_of, seal, signing_pair, spoil, to_wire,
    unpack, update_public_key,
};
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use halo_consent::{KeyTemplate, OpenError, PrivateKeyset, PublicKeyset, nonce_hash, open_signed};
use kingdom_proto::google_type::Interval;
use kingdom_proto::v2alpha as pb;
use pb::certificate::RevocationState;
use pb::measurement_spec::{self, MeasurementType, ReportingMetadata};
use pb::requisition_spec::{self, EventFilter, EventGroupEntry, RequisitionType};
use prost::Message as _;
use rand_core::RngCore as _;

/// What a measurement measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the contract")]
pub enum Measure {
    Reach,
    ReachAndFrequency,
    Impression,
    Duration,
    Population,
}

/// A measurement to create.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// What it measures.
    pub measure: Measure,
    /// Of which providers, and what of each.
    pub providers: Vec<Part>,
    /// `reporting_metadata.report`, if any.
    pub report: Option<String>,
    /// `model_line`.
    pub model_line: String,
    /// `request_id`.
    pub request_id: String,
    /// What is wrong with it on purpose.
    pub defect: Option<Defect>,
}

impl Wish {
    /// A measurement of all events of these providers, with nothing wrong.
    pub fn new(measure: Measure, providers: &[&str]) -> Self {
        let part = |name: &&str| Part {
            data_provider: (*name).to_owned(),
            event_groups: Vec::new(),
            filter: String::new(),
        };
        Self {
            measure,
            providers: providers.iter().map(part).collect(),
            report: None,
            model_line: match measure {
                Measure::Population => {
                    "modelProviders/AAAAAAAAAZQ/modelSuites/AAAAAAAAAZQ/modelLines/AAAAAAAAAZQ"
                        .to_owned()
                }
                _ => String::new(),
            },
            request_id: String::new(),
            defect: None,
        }
    }

    /// The same with something wrong.
    #[must_use]
    pub fn with(mut self, defect: Defect) -> Self {
        self.defect = Some(defect);
        self
    }
}

/// What a measurement wants of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The DataProvider's name.
    pub data_provider: String,
    /// Names of EventGroups.
    pub event_groups: Vec<String>,
    /// Event filter of each.
    pub filter: String,
}

macro_rules! defects {
    ($($variant:ident $name:literal $doc:literal;)+) => {
        /// Something that is wrong on purpose with a measurement, for a provider to find. The
        /// Kingdom takes all of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Defect {
            $(#[doc = $doc] $variant,)+
        }

        impl Defect {
            /// All.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in scenarios.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

defects! {
    SpoiltSignature "a spoilt signature" "3.10 row 5: one bit of the MeasurementSpec's signature is flipped.";
    UnsupportedOid "an unsupported OID" "3.10 row 5: the signature's OID names Ed25519 (3.2.3).";
    OidOfOtherKeyType "an OID of another key type" "3.10 row 5: the signature's OID names RSA (3.2.4).";
    EmptyOid "an empty OID" "3.1.5: no OID; verifies by luck where the CA signs alike.";
    UnknownKey "a key that the provider never had" "3.10 row 7: shows, and encrypts to, a key of nobody.";
    ForeignKey "a RequisitionSpec encrypted to a foreign key" "3.10 row 8: shows the provider's key, encrypts to another.";
    UnparsablePlaintext "an unparsable plaintext" "3.10 row 8: the plaintext is no SignedMessage.";
    OtherInnerMessage "another message in place of the RequisitionSpec" "3.10 row 9: the signed message is another one.";
    SpoiltInnerSignature "a spoilt RequisitionSpec signature" "3.10 row 10: one bit of the inner signature is flipped.";
    UnsupportedInnerOid "an unsupported OID on the RequisitionSpec" "3.10 row 10: the inner OID names Ed25519.";
    InnerOidOfOtherKeyType "an OID of another key type on the RequisitionSpec" "3.10 row 10: the inner OID names RSA (3.2.4).";
    OtherMeasurementKey "another measurement key in the RequisitionSpec" "3.10 row 10: 3.8.3 does not hold.";
    LegacyMeasurementKey "the legacy measurement key fields" "3.8.3: only the deprecated byte fields are set; no defect.";
    OtherLegacyMeasurementKey "other legacy measurement key fields" "3.10 row 10: only the deprecated byte fields are set, and 3.8.3 does not hold for them.";
    OtherNonce "a nonce whose hash is not listed" "3.10 row 10: 3.8.2 does not hold.";
    UnusableMeasurementKey "an unusable measurement key" "3.5.1: the key has no format, which shows when it is used.";
}

/// A measurement consumer and its files.
pub struct MeasurementConsumer {
    /// What it has in common with other participants.
    pub base: Base,
    /// The certificate it signs specs with and its key.
    pub signing: SigningPair,
    /// Its decryption keys; the first one's public half goes into measurements.
    pub keys: Vec<PrivateKeyset>,
    /// Whether it verifies providers' certificates and keys before it encrypts to them.
    pub verifies_providers: bool,
    /// Whether it reads certificates' revocation states.
    pub reads_revocation: bool,
    /// Whether it reads the failure that stays beside a late result (1.5.2).
    pub reads_failure: bool,
}

/// A result that passed every check that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedResult {
    /// The result.
    pub result: pb::measurement::Result,
    /// The certificate it was verified with.
    pub certificate: String,
}

/// A result, or a provider, that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{subject} is not trusted ({clause}): {cause}; the owner has to sign with a certificate in force"
)]
pub struct Rejection {
    /// Row or clause.
    pub clause: &'static str,
    /// The certificate or provider.
    pub subject: String,
    /// Why.
    pub cause: String,
}

/// Why nothing was created or read.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The Kingdom's status.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The consumer's own check.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Something cannot be signed or encrypted.
    #[error(transparent)]
    Make(#[from] CannotMake),
    /// The measurement has no results (yet).
    #[error("the measurement is {0}: results come with SUCCEEDED")]
    NotSucceeded(&'static str),
}

impl MeasurementConsumer {
    /// A sandbox's measurement consumer, careful in everything.
    ///
    /// # Errors
    /// The sandbox has no such measurement consumer.
    pub fn of(
        sandbox: &Sandbox,
        name: &str,
        clock: &Clock,
        seed: Seed,
    ) -> Result<Self, BadSandbox> {
        Ok(Self {
            base: Base::new(Identity::of(sandbox, name, clock, seed)?),
            signing: signing_pair(sandbox, name)?,
            keys: vec![decryption_keyset(sandbox, name)?],
            verifies_providers: true,
            reads_revocation: true,
            reads_failure: true,
        })
    }

    /// Makes it check as little as the official command-line tool does (3.15.1, 3.15.2).
    pub fn as_the_official_tool(&mut self) {
        self.verifies_providers = false;
        self.reads_revocation = false;
        self.reads_failure = false;
    }

    /// Creates a measurement.
    ///
    /// # Errors
    /// A provider is not trusted, or the Kingdom's status.
    pub async fn create(
        &mut self,
        dial: &dyn Dial,
        wish: &Wish,
    ) -> Result<pb::Measurement, ConsumerError> {
        let mut providers = Vec::new();
        for part in &wish.providers {
            let request = pb::GetDataProviderRequest { name: part.data_provider.clone() };
            let provider = self.base.call(dial, wire::GET_DATA_PROVIDER, &request).await?;
            if self.verifies_providers {
                self.check_provider(dial, &provider).await?;
            }
            providers.push(provider);
        }
        let request = pb::CreateMeasurementRequest {
            parent: self.base.identity.resource.clone(),
            measurement: Some(self.measurement(wish, &providers)?),
            request_id: wish.request_id.clone(),
        };
        let created = self.base.call(dial, wire::CREATE_MEASUREMENT, &request).await?;
        self.base.note(EventKind::MeasurementCreated, "1.5", &created.name, "");
        Ok(created)
    }

    /// Revocation state, issuer, path and signature of a provider's key.
    async fn check_provider(
        &mut self,
        dial: &dyn Dial,
        provider: &pb::DataProvider,
    ) -> Result<(), ConsumerError> {
        let certificate = self.certificate(dial, &provider.certificate).await?;
        let found = self.revocation(&certificate).or_else(|| {
            let signed = provider.public_key.clone().unwrap_or_default();
            self.verify(&certificate, &signed).err().map(|error| error.to_string())
        });
        match found {
            None => Ok(()),
            Some(cause) => {
                let named = &provider.certificate;
                Err(self.reject("3.13.1", named, &provider.name, cause).into())
            }
        }
    }

    async fn certificate(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<pb::Certificate, CallError> {
        let request = pb::GetCertificateRequest { name: name.to_owned() };
        self.base.call(dial, wire::GET_CERTIFICATE, &request).await
    }

    fn revocation(&self, certificate: &pb::Certificate) -> Option<String> {
        let state = certificate.revocation_state();
        (self.reads_revocation && state != RevocationState::Unspecified)
            .then(|| format!("the certificate's revocation state is {}", state.as_str_name()))
    }

    fn verify(
        &self,
        certificate: &pb::Certificate,
        signed: &pb::SignedMessage,
    ) -> Result<(), Untrusted> {
        let verifier = Verifier {
            bundle: &self.base.identity.bundle,
            now_unix_seconds: self.base.now_unix_seconds(),
            quirks: self.base.identity.quirks,
        };
        verifier.verify(certificate, signed)
    }

    fn reject(
        &mut self,
        clause: &'static str,
        certificate: &str,
        subject: &str,
        cause: String,
    ) -> Rejection {
        let kind = EventKind::Rejected;
        self.base.note_under(certificate, kind, clause, subject, cause.clone());
        Rejection { clause, subject: subject.to_owned(), cause }
    }

    /// A measurement with everything signed and encrypted, and what the wish says is wrong.
    ///
    /// # Errors
    /// A provider's key cannot be used.
    pub fn measurement(
        &mut self,
        wish: &Wish,
        providers: &[pb::DataProvider],
    ) -> Result<pb::Measurement, CannotMake> {
        let mut nonces = Vec::new();
        while nonces.len() < providers.len() {
            // 3.8.1: zero is refused at fulfilment.
            match self.base.rng.next_u64() {
                0 => {}
                nonce => nonces.push(nonce),
            }
        }
        let key = self.measurement_key(wish)?;
        let spec = measurement_spec(wish, &key, &nonces);
        let mut signed = self.signing.sign(&spec)?;
        match wish.defect {
            Some(Defect::SpoiltSignature) => spoil(&mut signed.signature),
            Some(Defect::UnsupportedOid) => signed.signature_algorithm_oid = ED25519.to_owned(),
            Some(Defect::OidOfOtherKeyType) => {
                signed.signature_algorithm_oid = RSA_SHA256.to_owned();
            }
            Some(Defect::EmptyOid) => signed.signature_algorithm_oid.clear(),
            _ => {}
        }
        let mut entries = Vec::new();
        for ((part, provider), nonce) in wish.providers.iter().zip(providers).zip(&nonces) {
            let value = self.entry(wish, part, provider, *nonce, &key)?;
            entries.push(pb::measurement::DataProviderEntry {
                key: part.data_provider.clone(),
                value: Some(value),
            });
        }
        Ok(pb::Measurement {
            measurement_consumer_certificate: self.signing.certificate.clone(),
            measurement_spec: Some(signed),
            data_providers: entries,
            ..pb::Measurement::default()
        })
    }

    fn measurement_key(&self, wish: &Wish) -> Result<prost_types::Any, CannotMake> {
        let keyset =
            self.keys.first().ok_or_else(|| CannotMake("there is no key set".to_owned()))?;
        let mut any = public_key_of(keyset);
        if wish.defect == Some(Defect::UnusableMeasurementKey) {
            let mut key: pb::EncryptionPublicKey = unpack(Some(&any)).map_err(CannotMake)?;
            key.format = 0;
            any = pack(&key);
        }
        Ok(any)
    }

    fn entry(
        &mut self,
        wish: &Wish,
        part: &Part,
        provider: &pb::DataProvider,
        nonce: u64,
        key: &prost_types::Any,
    ) -> Result<pb::measurement::data_provider_entry::Value, CannotMake> {
        let signed = provider.public_key.clone().unwrap_or_default();
        let mut shown = signed.message;
        let mut used = shown.clone();
        if matches!(wish.defect, Some(Defect::UnknownKey | Defect::ForeignKey)) {
            let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
            let stranger = PrivateKeyset::generate(template, &mut self.base.rng)
                .map_err(|error| CannotMake(error.to_string()))?;
            used = Some(public_key_of(&stranger));
            if wish.defect == Some(Defect::UnknownKey) {
                shown.clone_from(&used);
            }
        }
        let spec = self.requisition_spec(wish, part, nonce, key)?;
        let mut inner = if wish.defect == Some(Defect::OtherInnerMessage) {
            self.signing.sign(&pb::RandomSeed { data: spec.encode_to_vec() })?
        } else {
            self.signing.sign(&spec)?
        };
        match wish.defect {
            Some(Defect::SpoiltInnerSignature) => spoil(&mut inner.signature),
            Some(Defect::UnsupportedInnerOid) => inner.signature_algorithm_oid = ED25519.to_owned(),
            Some(Defect::InnerOidOfOtherKeyType) => {
                inner.signature_algorithm_oid = RSA_SHA256.to_owned();
            }
            _ => {}
        }
        let mut encrypted = seal(used.as_ref(), inner, &mut self.base.rng)?;
        if wish.defect == Some(Defect::UnparsablePlaintext)
            && let Some(used) = &used
        {
            let keyset = PublicKeyset::from_encryption_public_key(&used.value)
                .map_err(|error| CannotMake(error.to_string()))?;
            // A field of wire type 7, which does not exist.
            encrypted.ciphertext = keyset
                .encrypt(&[0x0f, 0xff], &[], &mut self.base.rng)
                .map_err(|error| CannotMake(error.to_string()))?;
        }
        Ok(pb::measurement::data_provider_entry::Value {
            data_provider_certificate: provider.certificate.clone(),
            data_provider_public_key: shown,
            encrypted_requisition_spec: Some(encrypted),
            nonce_hash: nonce_hash(nonce).to_vec(),
        })
    }

    #[allow(deprecated, reason = "the legacy form of 3.8.3 is still compared")]
    fn requisition_spec(
        &mut self,
        wish: &Wish,
        part: &Part,
        nonce: u64,
        key: &prost_types::Any,
    ) -> Result<pb::RequisitionSpec, CannotMake> {
        let now = self.base.now_unix_seconds();
        let days = |count: i64| {
            let seconds = now - count * 24 * 3600;
            Some(prost_types::Timestamp { seconds, nanos: 0 })
        };
        let interval = || Some(Interval { start_time: days(30), end_time: days(1) });
        let filter =
            || (!part.filter.is_empty()).then(|| EventFilter { expression: part.filter.clone() });
        let entry = |name: &String| EventGroupEntry {
            key: name.clone(),
            value: Some(requisition_spec::event_group_entry::Value {
                collection_interval: interval(),
                filter: filter(),
            }),
        };
        let mut spec = pb::RequisitionSpec {
            measurement_public_key: Some(key.clone()),
            nonce,
            requisition_type: Some(match wish.measure {
                Measure::Population => RequisitionType::Population(requisition_spec::Population {
                    filter: filter(),
                    interval: interval(),
                }),
                _ => RequisitionType::Events(requisition_spec::Events {
                    event_groups: part.event_groups.iter().map(entry).collect(),
                }),
            }),
            ..pb::RequisitionSpec::default()
        };
        match wish.defect {
            Some(Defect::OtherNonce) => spec.nonce = nonce.wrapping_add(1).max(1),
            Some(Defect::OtherMeasurementKey) => {
                let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
                let other = PrivateKeyset::generate(template, &mut self.base.rng)
                    .map_err(|error| CannotMake(error.to_string()))?;
                spec.measurement_public_key = Some(public_key_of(&other));
            }
            Some(Defect::LegacyMeasurementKey) => {
                spec.measurement_public_key = None;
                spec.serialized_measurement_public_key.clone_from(&key.value);
            }
            Some(Defect::OtherLegacyMeasurementKey) => {
                spec.measurement_public_key = None;
                spec.serialized_measurement_public_key.clone_from(&key.value);
                spoil(&mut spec.serialized_measurement_public_key);
            }
            _ => {}
        }
        Ok(spec)
    }

    /// Reads a measurement.
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn get(&mut self, dial: &dyn Dial, name: &str) -> Result<pb::Measurement, CallError> {
        let request = pb::GetMeasurementRequest { name: name.to_owned() };
        self.base.call(dial, wire::GET_MEASUREMENT, &request).await
    }

    /// Cancels a measurement.
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn cancel(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<pb::Measurement, CallError> {
        let request = pb::CancelMeasurementRequest { name: name.to_owned() };
        self.base.call(dial, wire::CANCEL_MEASUREMENT, &request).await
    }

    /// Reads and checks every result of a measurement: that it did not fail before, certificate, decryption, revocation state,
    /// issuer, path, signature.
    ///
    /// # Errors
    /// [`ConsumerError::Rejected`] for the first result that is not trusted.
    pub async fn results(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<Vec<VerifiedResult>, ConsumerError> {
        let measurement = self.get(dial, name).await?;
        if measurement.state() != pb::measurement::State::Succeeded {
            return Err(ConsumerError::NotSucceeded(measurement.state().as_str_name()));
        }
        // A failure beside a success: the result came after the measurement had ended (1.6.7).
        if let Some(failure) = measurement.failure.as_ref().filter(|_| self.reads_failure) {
            let reason = failure.reason().as_str_name();
            let cause = format!("the measurement had failed with {reason} before its result came");
            return Err(self.reject("1.5.2", "", name, cause).into());
        }
        let mut read = Vec::new();
        for output in &measurement.results {
            let certificate = self.certificate(dial, &output.certificate).await?;
            let result = self.open_result(&certificate, output).map_err(|(clause, cause)| {
                self.reject(clause, &output.certificate, &output.certificate, cause)
            })?;
            let (kind, named) = (EventKind::ResultRead, &output.certificate);
            self.base.note_under(named, kind, "3.15.1", name, named);
            read.push(VerifiedResult { result, certificate: output.certificate.clone() });
        }
        Ok(read)
    }

    fn open_result(
        &self,
        certificate: &pb::Certificate,
        output: &pb::measurement::ResultOutput,
    ) -> Result<pb::measurement::Result, (&'static str, String)> {
        let sealed = output.encrypted_result.clone().unwrap_or_default();
        let opened =
            open_with(&self.keys, &sealed).map_err(|error| ("3.13.2/c", error.to_string()))?;
        if let Some(cause) = self.revocation(certificate) {
            return Err(("3.13.2/d", cause));
        }
        let signed = to_wire(opened);
        self.verify(certificate, &signed).map_err(|error| ("3.13.2/e", error.to_string()))?;
        unpack(signed.message.as_ref()).map_err(|why| ("3.5.4", why))
    }

    /// Registers a certificate; specs are signed with it from now on.
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn rotate_certificate(
        &mut self,
        dial: &dyn Dial,
        certificate_der: &[u8],
        key: halo_consent::SigningKey,
    ) -> Result<(), CallError> {
        let created = create_certificate(&mut self.base, dial, certificate_der).await?;
        self.signing = SigningPair {
            certificate: created.name,
            certificate_der: certificate_der.to_vec(),
            key: key.into(),
        };
        Ok(())
    }

    /// Puts a new encryption key in force; the old one is kept until no open measurement uses it
    /// (3.13.5).
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn rotate_encryption_key(
        &mut self,
        dial: &dyn Dial,
        keyset: PrivateKeyset,
    ) -> Result<(), CallError> {
        update_public_key(&mut self.base, dial, &self.signing, &keyset).await?;
        self.keys.insert(0, keyset);
        Ok(())
    }
}

/// Opens a sealed SignedMessage with whichever key fits.
pub(super) fn open_with(
    keys: &[PrivateKeyset],
    sealed: &pb::EncryptedMessage,
) -> Result<halo_consent::SignedMessage, OpenError> {
    let mut outcome = Err(OpenError::Decrypt(halo_consent::DecryptError::DecryptionFailed));
    for keyset in keys {
        outcome = open_signed(keyset, &sealed.ciphertext, &sealed.type_url);
        if !matches!(outcome, Err(OpenError::Decrypt(_))) {
            break;
        }
    }
    outcome
}

#[allow(deprecated, reason = "the legacy form of 3.8.3 is still compared")]
fn measurement_spec(wish: &Wish, key: &prost_types::Any, nonces: &[u64]) -> pb::MeasurementSpec {
    let privacy = || Some(pb::DifferentialPrivacyParams { epsilon: 0.1, delta: 1e-12 });
    let legacy = matches!(
        wish.defect,
        Some(Defect::LegacyMeasurementKey | Defect::OtherLegacyMeasurementKey)
    );
    pb::MeasurementSpec {
        measurement_public_key: Some(key.clone()),
        serialized_measurement_public_key: if legacy { key.value.clone() } else { Vec::new() },
        nonce_hashes: nonces.iter().map(|nonce| nonce_hash(*nonce).to_vec()).collect(),
        vid_sampling_interval: Some(measurement_spec::VidSamplingInterval {
            start: 0.0,
            width: 1.0,
        }),
        measurement_type: Some(match wish.measure {
            Measure::Reach => {
                MeasurementType::Reach(measurement_spec::Reach { privacy_params: privacy() })
            }
            Measure::ReachAndFrequency => {
                MeasurementType::ReachAndFrequency(measurement_spec::ReachAndFrequency {
                    reach_privacy_params: privacy(),
                    frequency_privacy_params: privacy(),
                    maximum_frequency: 10,
                })
            }
            Measure::Impression => MeasurementType::Impression(measurement_spec::Impression {
                privacy_params: privacy(),
                maximum_frequency_per_user: 10,
            }),
            Measure::Duration => MeasurementType::Duration(measurement_spec::Duration {
                privacy_params: privacy(),
                maximum_watch_duration_per_user: Some(prost_types::Duration {
                    seconds: 300,
                    nanos: 0,
                }),
                ..measurement_spec::Duration::default()
            }),
            Measure::Population => MeasurementType::Population(measurement_spec::Population {}),
        }),
        model_line: wish.model_line.clone(),
        reporting_metadata: wish
            .report
            .clone()
            .map(|report| ReportingMetadata { report, metric: String::new() }),
    }
}
