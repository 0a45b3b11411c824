//! A data provider: lists its requisitions, verifies, decrypts, and fulfils or refuses (contract
//! 3.10), keeps its keys and EventGroups up to date (1.1, 1.2, 1.4).

mod fulfil;
pub mod population;
pub mod rules;

use super::wire::{self, CallError, Dial};
use super::{
    BadSandbox, Base, CannotMake, Ended, EventKind, Fetched, Identity, SigningPair,
    create_certificate, decryption_keyset, signing_pair, update_public_key,
};
use crate::participant::trust::Verifier;
use crate::quirk::PeerQuirk;
use fake_kingdom::sandbox::Sandbox;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy::Seed;
use fulfil::Program;
use halo_consent::PrivateKeyset;
use kingdom_proto::name::MeasurementName;
use kingdom_proto::v2alpha as pb;
use prost::{Message as _, Name as _};
use rules::{Decision, Facts, Need, Order, Policy, Refusal, Step};
use std::collections::BTreeMap;

/// A data provider's process and its files.
pub struct DataProvider {
    /// What it has in common with other participants.
    pub base: Base,
    /// The certificate it signs results with (3.9.1) and its key.
    pub signing: SigningPair,
    /// Its decryption keys; the first is the one that the real program loads (3.10 row 7).
    pub keys: Vec<PrivateKeyset>,
    /// The one measurement consumer it serves; `None` = every one.
    pub serves: Option<String>,
    /// What it fulfils.
    pub policy: Policy,
    /// What it knows of models and populations, if it is a population fulfiller (3.10.6).
    pub models: Option<population::Models>,
    /// The key management service that wraps TrusTEE keys; `None` = vectors travel in clear (3.14).
    pub key_management: Option<KeyManagement>,
    /// The measurement of each requisition that it saw.
    pub measurements: BTreeMap<String, String>,
    /// What is wrong with its Direct results on purpose.
    pub result_defect: Option<ResultDefect>,
    /// The Duchy it sends LLv2 sketches to; `None` = the first of the requisition's.
    pub llv2_duchy: Option<String>,
}

/// A key of a cloud key management service, as far as a TrusTEE header names it (3.14).
#[derive(Clone)]
pub struct KeyManagement {
    /// The key's URI.
    pub kek_uri: String,
    /// Who may use it.
    pub workload_identity_provider: String,
    /// In whose name.
    pub impersonated_service_account: String,
    /// The key itself, which a real service never shows.
    pub key_encryption_key: [u8; 32],
}

impl std::fmt::Debug for KeyManagement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyManagement").field("kek_uri", &self.kek_uri).finish_non_exhaustive()
    }
}

/// Something that is wrong on purpose with a Direct result, for its reader to find (3.13.2, 3.15.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultDefect {
    /// One bit of the signature is flipped.
    SpoiltSignature,
    /// The OID names Ed25519 (3.2.3).
    UnsupportedOid,
    /// The OID names RSA (3.2.4).
    OidOfOtherKeyType,
    /// One bit of the ciphertext is flipped.
    SpoiltCiphertext,
}

impl ResultDefect {
    /// All.
    pub const ALL: &'static [Self] = &[
        Self::SpoiltSignature,
        Self::UnsupportedOid,
        Self::OidOfOtherKeyType,
        Self::SpoiltCiphertext,
    ];

    /// Its name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpoiltSignature => "a spoilt signature",
            Self::UnsupportedOid => "an unsupported OID",
            Self::OidOfOtherKeyType => "an OID of another key type",
            Self::SpoiltCiphertext => "a spoilt ciphertext",
        }
    }
}

impl DataProvider {
    /// A sandbox's data provider, with the files that the sandbox made for it.
    ///
    /// # Errors
    /// The sandbox has no such data provider.
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
            serves: None,
            policy: Policy::default(),
            models: None,
            key_management: None,
            measurements: BTreeMap::new(),
            result_defect: None,
            llv2_duchy: None,
        })
    }

    /// One poll: everything listed is fulfilled, refused or left alone, oldest first.
    ///
    /// # Errors
    /// The real process ends (3.10.1): what comes after the offending requisition is untouched.
    pub async fn poll(&mut self, dial: &dyn Dial) -> Result<(), Ended> {
        let resource = self.base.identity.resource.clone();
        let requisitions = match self.list(dial).await {
            Ok(requisitions) => requisitions,
            Err(error) => return self.failed("3.10.3", &resource, &error),
        };
        for requisition in requisitions {
            if self.is_served(&requisition) {
                self.handle(dial, &requisition).await?;
            }
        }
        Ok(())
    }

    /// The UNFULFILLED requisitions: the first page (quirk `provider-polls-first-page-only`), or as
    /// documented all of them.
    async fn list(&mut self, dial: &dyn Dial) -> Result<Vec<pb::Requisition>, CallError> {
        let mut request = pb::ListRequisitionsRequest {
            parent: self.base.identity.resource.clone(),
            filter: Some(pb::list_requisitions_request::Filter {
                states: vec![pb::requisition::State::Unfulfilled.into()],
                ..Default::default()
            }),
            ..pb::ListRequisitionsRequest::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = self.base.call(dial, wire::LIST_REQUISITIONS, &request).await?;
            listed.extend(page.requisitions);
            if page.next_page_token.is_empty()
                || self.base.faithful(PeerQuirk::ProviderPollsFirstPageOnly)
            {
                return Ok(listed);
            }
            request.page_token = page.next_page_token;
        }
    }

    fn is_served(&self, requisition: &pb::Requisition) -> bool {
        let Some(served) = &self.serves else { return true };
        MeasurementName::parse(&requisition.measurement).is_some_and(|name| {
            *served == format!("measurementConsumers/{}", name.measurement_consumer)
        })
    }

    /// Fulfils, refuses or leaves one requisition as it was listed.
    ///
    /// # Errors
    /// The real process ends.
    pub async fn handle(
        &mut self,
        dial: &dyn Dial,
        requisition: &pb::Requisition,
    ) -> Result<(), Ended> {
        self.saw(requisition);
        let done = match self.judge(dial, requisition).await {
            Decision::Refuse(refusal) => self.refuse(dial, requisition, refusal).await,
            Decision::Fulfil(order) => self.fulfil(dial, requisition, &order).await,
            Decision::End(ending) => {
                Err(self.base.end(ending.clause, &requisition.name, ending.cause))
            }
            Decision::Skip(ending) => {
                let kind = EventKind::RequisitionSkipped;
                self.base.note(kind, ending.clause, &requisition.name, ending.cause);
                Ok(())
            }
        };
        // Whatever came of it, it stands under the consumer's certificate (3.7.2, 3.7.3).
        self.base.under(&requisition.measurement_consumer_certificate);
        done
    }

    /// Remembers whose requisition this is, for those who read its events.
    pub(super) fn saw(&mut self, requisition: &pb::Requisition) {
        self.measurements.insert(requisition.name.clone(), requisition.measurement.clone());
    }

    /// Judges one requisition, fetching what the rows ask for.
    pub async fn judge(&mut self, dial: &dyn Dial, requisition: &pb::Requisition) -> Decision {
        let mut certificates: Fetched<pb::Certificate> = Fetched::new();
        let mut event_groups: Fetched<pb::EventGroup> = Fetched::new();
        loop {
            let facts = Facts {
                requisition,
                bundle: &self.base.identity.bundle,
                keys: &self.keys,
                now_unix_seconds: self.base.now_unix_seconds(),
                quirks: self.base.identity.quirks,
                policy: &self.policy,
                certificates: &certificates,
                event_groups: &event_groups,
            };
            let step = match &self.models {
                None => rules::judge(&facts),
                Some(models) => population::judge(&facts, models),
            };
            match step {
                Step::Decided(decision) => return decision,
                Step::Fetch(Need::Certificate(name)) => {
                    let request = pb::GetCertificateRequest { name: name.clone() };
                    let fetched = self.base.call(dial, wire::GET_CERTIFICATE, &request).await;
                    certificates.insert(name, fetched);
                }
                Step::Fetch(Need::EventGroup(name)) => {
                    let request = pb::GetEventGroupRequest {
                        name: name.clone(),
                        ..pb::GetEventGroupRequest::default()
                    };
                    let fetched = self.base.call(dial, wire::GET_EVENT_GROUP, &request).await;
                    event_groups.insert(name, fetched);
                }
            }
        }
    }

    async fn refuse(
        &mut self,
        dial: &dyn Dial,
        requisition: &pb::Requisition,
        refusal: Refusal,
    ) -> Result<(), Ended> {
        let request = pb::RefuseRequisitionRequest {
            name: requisition.name.clone(),
            refusal: Some(pb::requisition::Refusal {
                justification: refusal.justification.into(),
                message: refusal.message.clone(),
            }),
            // 3.10.2: every refusal carries the etag.
            etag: requisition.etag.clone(),
        };
        match self.base.call(dial, wire::REFUSE_REQUISITION, &request).await {
            Ok(_) => {
                self.base.note_refusal(
                    EventKind::RequisitionRefused,
                    refusal.clause,
                    refusal.justification.as_str_name(),
                    &requisition.name,
                    refusal.message,
                );
                Ok(())
            }
            Err(error) => self.failed("3.10.2", &requisition.name, &error),
        }
    }

    async fn fulfil(
        &mut self,
        dial: &dyn Dial,
        requisition: &pb::Requisition,
        order: &Order,
    ) -> Result<(), Ended> {
        match fulfil::fulfil(self, dial, Program::Simulator, requisition, order).await {
            Ok(()) => {
                if let Some(budget) = &mut self.policy.budget {
                    *budget = budget.saturating_sub(1);
                }
                let kind = EventKind::RequisitionFulfilled;
                self.base.note(kind, "3.10", &requisition.name, "");
                Ok(())
            }
            Err(fulfil::Failure::Call(error)) => self.failed("3.10.2", &requisition.name, &error),
            Err(fulfil::Failure::Make(what)) => {
                let halt = rules::Halt::End {
                    ending: rules::Ending { clause: "3.5.1", cause: what.to_string() },
                    instead: Some(pb::requisition::refusal::Justification::SpecInvalid),
                };
                match halt.decide(&self.base.identity.quirks) {
                    Step::Decided(Decision::Refuse(refusal)) => {
                        self.refuse(dial, requisition, refusal).await
                    }
                    _ => Err(self.base.end("3.5.1", &requisition.name, what.to_string())),
                }
            }
        }
    }

    /// Fulfils without judging, as the EDP aggregator does (3.11).
    ///
    /// # Errors
    /// What went wrong, in words.
    pub(super) async fn fulfil_order(
        &mut self,
        dial: &dyn Dial,
        requisition: &pb::Requisition,
        order: &Order,
    ) -> Result<(), String> {
        let done = fulfil::fulfil(self, dial, Program::Aggregator, requisition, order).await;
        done.map_err(|failure| match failure {
            fulfil::Failure::Call(error) => error.to_string(),
            fulfil::Failure::Make(what) => what.to_string(),
        })
    }

    /// A failing call ends the process (3.10.2), or as documented is left for the next poll.
    fn failed(
        &mut self,
        clause: &'static str,
        subject: &str,
        error: &CallError,
    ) -> Result<(), Ended> {
        if self.base.faithful(PeerQuirk::ProviderDiesInsteadOfRefusing) {
            Err(self.base.end(clause, subject, error.to_string()))
        } else {
            self.base.note(EventKind::RequisitionSkipped, clause, subject, error.to_string());
            Ok(())
        }
    }

    /// Registers a certificate; results are signed with it from now on (3.9.1).
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

    /// Puts a new encryption key in force, signed by the present certificate. The old key is kept
    /// behind it (3.13.4 d), unless `drop_old`, which is what a careless rotation does (3.10.1).
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn rotate_encryption_key(
        &mut self,
        dial: &dyn Dial,
        keyset: PrivateKeyset,
        drop_old: bool,
    ) -> Result<(), CallError> {
        update_public_key(&mut self.base, dial, &self.signing, &keyset).await?;
        if drop_old {
            self.keys.clear();
        }
        self.keys.insert(0, keyset);
        Ok(())
    }

    /// Says which protocols it supports (1.5.15).
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn replace_capabilities(
        &mut self,
        dial: &dyn Dial,
        capabilities: pb::data_provider::Capabilities,
    ) -> Result<pb::DataProvider, CallError> {
        let request = pb::ReplaceDataProviderCapabilitiesRequest {
            name: self.base.identity.resource.clone(),
            capabilities: Some(capabilities),
        };
        self.base.call(dial, wire::REPLACE_CAPABILITIES, &request).await
    }

    /// Registers an EventGroup for a measurement consumer, with metadata encrypted to its public key
    /// if there is any (1.4.1), after the key was verified (3.15.3).
    ///
    /// # Errors
    /// The key is not trusted: the real process ends. Or the Kingdom's status.
    pub async fn create_event_group(
        &mut self,
        dial: &dyn Dial,
        consumer: &str,
        reference_id: &str,
        metadata: Option<&pb::event_group::Metadata>,
    ) -> Result<pb::EventGroup, MetadataError> {
        let group = self.event_group(dial, consumer, reference_id, metadata).await?;
        let request = pb::CreateEventGroupRequest {
            parent: self.base.identity.resource.clone(),
            event_group: Some(group),
            request_id: String::new(),
        };
        Ok(self.base.call(dial, wire::CREATE_EVENT_GROUP, &request).await?)
    }

    /// Replaces an EventGroup's metadata, encrypted to the consumer's present public key (1.4.3).
    ///
    /// # Errors
    /// As [`Self::create_event_group`].
    pub async fn update_event_group(
        &mut self,
        dial: &dyn Dial,
        present: &pb::EventGroup,
        metadata: &pb::event_group::Metadata,
    ) -> Result<pb::EventGroup, MetadataError> {
        let (consumer, id) = (&present.measurement_consumer, &present.event_group_reference_id);
        let mut group = self.event_group(dial, consumer, id, Some(metadata)).await?;
        group.name.clone_from(&present.name);
        let request = pb::UpdateEventGroupRequest { event_group: Some(group) };
        Ok(self.base.call(dial, wire::UPDATE_EVENT_GROUP, &request).await?)
    }

    async fn event_group(
        &mut self,
        dial: &dyn Dial,
        consumer: &str,
        reference_id: &str,
        metadata: Option<&pb::event_group::Metadata>,
    ) -> Result<pb::EventGroup, MetadataError> {
        let mut group = pb::EventGroup {
            measurement_consumer: consumer.to_owned(),
            event_group_reference_id: reference_id.to_owned(),
            ..pb::EventGroup::default()
        };
        if let Some(metadata) = metadata {
            let key = self.verified_consumer_key(dial, consumer).await?;
            let keyset = halo_consent::PublicKeyset::from_encryption_public_key(&key.value)
                .map_err(|error| CannotMake(format!("{consumer}'s public key: {error}")))?;
            let ciphertext = keyset
                .encrypt(&metadata.encode_to_vec(), &[], &mut self.base.rng)
                .map_err(|error| CannotMake(format!("{consumer}'s public key: {error}")))?;
            group.encrypted_metadata = Some(pb::EncryptedMessage {
                ciphertext,
                type_url: halo_consent::type_url(&pb::event_group::Metadata::full_name()),
            });
            group.measurement_consumer_public_key = Some(key);
        }
        Ok(group)
    }

    /// The consumer's public key, after issuer, path and signature (3.15.3). A failure ends the real
    /// process; as documented it only stops this one action.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub async fn verified_consumer_key(
        &mut self,
        dial: &dyn Dial,
        consumer: &str,
    ) -> Result<prost_types::Any, MetadataError> {
        let request = pb::GetMeasurementConsumerRequest { name: consumer.to_owned() };
        let resource = self.base.call(dial, wire::GET_MEASUREMENT_CONSUMER, &request).await?;
        let certificate = pb::Certificate {
            name: resource.certificate.clone(),
            x509_der: resource.certificate_der.clone(),
            ..pb::Certificate::default()
        };
        let signed = resource.public_key.unwrap_or_default();
        let verifier = Verifier {
            bundle: &self.base.identity.bundle,
            now_unix_seconds: self.base.now_unix_seconds(),
            quirks: self.base.identity.quirks,
        };
        if let Err(error) = verifier.verify(&certificate, &signed) {
            let cause = format!("{consumer}'s public key: {error}");
            if self.base.faithful(PeerQuirk::ProviderDiesInsteadOfRefusing) {
                let ended = self.base.end("3.15.3", consumer, cause);
                self.base.under(&resource.certificate);
                return Err(MetadataError::Ended(ended));
            }
            let (kind, named) = (EventKind::Rejected, &resource.certificate);
            self.base.note_under(named, kind, "3.15.3", consumer, cause.clone());
            return Err(MetadataError::Untrusted(cause));
        }
        signed.message.ok_or_else(|| CannotMake("the public key is empty".to_owned()).into())
    }
}

/// Why an EventGroup with metadata was not registered.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The measurement consumer's key is not trusted (3.15.3).
    #[error("{0}; have the measurement consumer sign its key with a certificate of a trusted root")]
    Untrusted(String),
    /// The real process ends (3.15.3).
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The Kingdom's status.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The metadata cannot be encrypted.
    #[error(transparent)]
    Make(#[from] CannotMake),
}
