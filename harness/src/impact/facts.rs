//! What was read of a Kingdom, as plain values: all that the rule of [`super::assess`] may use.

use fake_kingdom::model::Timestamp;
use kingdom_proto::ApiId;
use kingdom_proto::internal as pb;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Kinds of owners of certificates and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// `dataProviders/ID`
    DataProvider,
    /// `measurementConsumers/ID`
    MeasurementConsumer,
    /// `duchies/ID`
    Duchy,
    /// `modelProviders/ID`
    ModelProvider,
}

impl OwnerKind {
    /// The kind that a resource name's collection says; `None` for another collection.
    pub fn of(resource: &str) -> Option<Self> {
        match resource.split('/').next()? {
            "dataProviders" => Some(Self::DataProvider),
            "measurementConsumers" => Some(Self::MeasurementConsumer),
            "duchies" => Some(Self::Duchy),
            "modelProviders" => Some(Self::ModelProvider),
            _ => None,
        }
    }
}

/// What is compromised: a registered certificate, or the encryption key behind a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A certificate's resource name.
    Certificate(String),
    /// A public key's resource name. Which of the owner's keys over time is meant stands in
    /// [`Facts::key`].
    PublicKey(String),
}

/// Not a name of the kind that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not {wanted}")]
pub struct BadName {
    name: String,
    wanted: &'static str,
}

impl Subject {
    /// A certificate by its name (contract 2.13).
    ///
    /// # Errors
    /// Another shape, or an id that does not decode (2.12).
    pub fn certificate(name: &str) -> Result<Self, BadName> {
        let bad = || BadName {
            name: name.to_owned(),
            wanted: "OWNER/certificates/ID with OWNER dataProviders/ID, measurementConsumers/ID, \
                     duchies/ID or modelProviders/ID",
        };
        let (owner, id) = name.split_once("/certificates/").ok_or_else(bad)?;
        if is_owner(owner) && ApiId::decode(id).is_some() {
            Ok(Self::Certificate(name.to_owned()))
        } else {
            Err(bad())
        }
    }

    /// A public key by its name (contract 2.13).
    ///
    /// # Errors
    /// Another shape, or an id that does not decode (2.12).
    pub fn public_key(name: &str) -> Result<Self, BadName> {
        let owner = name.strip_suffix("/publicKey").unwrap_or_default();
        let has_keys = matches!(
            OwnerKind::of(owner),
            Some(OwnerKind::DataProvider | OwnerKind::MeasurementConsumer)
        );
        if has_keys && is_owner(owner) {
            Ok(Self::PublicKey(name.to_owned()))
        } else {
            let wanted = "dataProviders/ID/publicKey or measurementConsumers/ID/publicKey";
            Err(BadName { name: name.to_owned(), wanted })
        }
    }

    /// Its resource name.
    pub fn name(&self) -> &str {
        match self {
            Self::Certificate(name) | Self::PublicKey(name) => name,
        }
    }

    /// The resource that owns it.
    pub fn owner(&self) -> &str {
        match self {
            Self::Certificate(name) => crate::participant::trust::owner_of(name),
            Self::PublicKey(name) => name.strip_suffix("/publicKey").unwrap_or(name),
        }
    }

    /// The kind of its owner.
    pub fn owner_kind(&self) -> OwnerKind {
        OwnerKind::of(self.owner()).unwrap_or(OwnerKind::ModelProvider)
    }
}

fn is_owner(name: &str) -> bool {
    let mut segments = name.split('/');
    let (Some(_), Some(id), None) = (segments.next(), segments.next(), segments.next()) else {
        return false;
    };
    match OwnerKind::of(name) {
        None => false,
        // A Duchy's id is a plain string (2.12).
        Some(OwnerKind::Duchy) => !id.is_empty(),
        Some(_) => ApiId::decode(id).is_some(),
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(name) => write!(f, "certificate {name}"),
            Self::PublicKey(name) => write!(f, "encryption key of {name}"),
        }
    }
}

/// Everything that was read, and what could not be.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What is compromised.
    pub subject: Subject,
    /// Since when it is suspected to be in foreign hands.
    pub since: Option<Timestamp>,
    /// When reading began and ended, by this machine's clock. A Kingdom in use goes on meanwhile: what
    /// changed later is not here.
    pub read: Option<(Timestamp, Timestamp)>,
    /// The compromised certificate; `None` for a key.
    pub certificate: Option<CertificateFacts>,
    /// SHA-256 of the compromised key's public key set, lower-case hex; `None` for a certificate.
    pub key: Option<String>,
    /// The owner's public key in force; `None` for owners that have none (1.3.3, 1.3.4).
    pub public_key: Option<PublicKeyFacts>,
    /// SHA-256 of each key set that the owner says is its own; none if nobody asked it. The Kingdom does
    /// not know: it takes what is published with the owner's access.
    pub own_keys: BTreeSet<String>,
    /// SHA-256 of each key set that the compromised certificate vouched for, as an earlier assessment
    /// said; the Kingdom keeps none that was replaced (1.2.4).
    pub vouched_keys: BTreeSet<String>,
    /// Every measurement that may be concerned: all of the owner's if it is a measurement consumer,
    /// else all of the Kingdom (there is no filter by provider or Duchy certificate, 8.1.5).
    pub measurements: Vec<MeasurementFacts>,
    /// Event groups.
    pub event_groups: EventGroups,
    /// The audit trail, if it was given.
    pub audit: Option<AuditFacts>,
    /// What the reader could not look at.
    pub gaps: Vec<super::Gap>,
}

/// A certificate as the operator API shows it.
#[derive(Clone, Debug)]
pub struct CertificateFacts {
    /// REVOCATION_STATE_UNSPECIFIED, HOLD or REVOKED.
    pub state: pb::certificate::RevocationState,
    /// Subject key identifier, lower-case hex.
    pub skid: String,
    /// Validity.
    pub not_before: Option<Timestamp>,
    /// Validity.
    pub not_after: Option<Timestamp>,
}

/// A public key in force.
#[derive(Clone, Debug)]
pub struct PublicKeyFacts {
    /// Its resource name.
    pub name: String,
    /// The certificate that it names as its signer (1.2.4).
    pub certificate: String,
    /// Whether the compromised certificate's key made its signature; `None` if it names another.
    pub is_signed: Option<bool>,
    /// SHA-256 of its public key set.
    pub key: String,
}

/// How a measurement is computed, as far as the cascade of revocation depends on it (1.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Each provider sends its result to the Kingdom.
    Direct,
    /// Duchies compute; providers sign nothing that they send.
    Duchies,
    /// Duchies compute, and each provider signs a random seed for one of them (3.7.9).
    ShareShuffle,
}

/// A measurement as the operator API shows it in both views.
#[derive(Clone, Debug)]
pub struct MeasurementFacts {
    /// Resource name.
    pub name: String,
    /// The measurement consumer's resource name.
    pub consumer: String,
    /// The certificate that its MeasurementSpec names as its signer (3.7.2).
    pub certificate: String,
    /// Whether the compromised certificate's key made that signature; `None` if it names another.
    pub is_signed: Option<bool>,
    /// Internal state.
    pub state: pb::measurement::State,
    /// Why it failed, if it did.
    pub failure: Option<pb::measurement_failure::Reason>,
    /// When it was created: the Kingdom's time.
    pub create_time: Option<Timestamp>,
    /// When it last changed.
    pub update_time: Option<Timestamp>,
    /// Its etag, for the operator's batches.
    pub etag: String,
    /// What its creator calls it.
    pub reference_id: String,
    /// SHA-256 of what its MeasurementSpec asks for: all of it but the key for results and the nonces,
    /// which are others when the same is asked again.
    pub question: String,
    /// SHA-256 of the public key set that results are encrypted to (3.7.4, 3.7.5).
    pub result_key: Option<String>,
    /// How it is computed.
    pub protocol: Protocol,
    /// Provider and certificate of each part, as the default view shows them.
    pub bound: Vec<(String, String)>,
    /// Requisitions, as the computation view shows them.
    pub requisitions: Vec<RequisitionFacts>,
    /// Duchies of the computation.
    pub participants: Vec<ParticipantFacts>,
    /// Certificates of the results that the Kingdom shows: full names.
    pub result_certificates: Vec<String>,
}

impl MeasurementFacts {
    /// Whether it may still produce a result.
    pub fn is_pending(&self) -> bool {
        use pb::measurement::State;
        matches!(
            self.state,
            State::PendingRequisitionParams
                | State::PendingRequisitionFulfillment
                | State::PendingParticipantConfirmation
                | State::PendingComputation
        )
    }
}

/// A requisition.
#[derive(Clone, Debug)]
pub struct RequisitionFacts {
    /// Canonical resource name (1.7.1).
    pub name: String,
    /// The provider's resource name.
    pub data_provider: String,
    /// The certificate it is bound to (1.5.12).
    pub certificate: String,
    /// SHA-256 of the public key set that its RequisitionSpec is encrypted to (3.7.3).
    pub key: String,
    /// State.
    pub state: pb::requisition::State,
    /// When it last changed; once FULFILLED it changes no more.
    pub update_time: Option<Timestamp>,
    /// The certificate of the direct result that it holds, if it holds one (1.5.7, 1.7.8).
    pub result_certificate: Option<String>,
    /// Certificates of the Duchies that have given their parameters (1.7.13).
    pub duchy_certificates: Vec<String>,
}

/// A Duchy in a computation.
#[derive(Clone, Debug)]
pub struct ParticipantFacts {
    /// The certificate that it gave its parameters with (1.8.9).
    pub certificate: String,
    /// Its state.
    pub state: pb::computation_participant::State,
    /// When it last changed.
    pub update_time: Option<Timestamp>,
}

/// The event groups that could be read.
#[derive(Clone, Debug)]
pub struct EventGroups {
    /// How far the reader got.
    pub scope: EventGroupScope,
    /// Those that it saw, the deleted ones left out: their content is gone (1.4.12).
    pub seen: Vec<EventGroupFacts>,
}

/// How far the reading of event groups got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventGroupScope {
    /// No event group can be concerned: they are encrypted to measurement consumers' keys and signed
    /// by nobody (3.7.6).
    NotConcerned,
    /// The given identity may read none that is concerned.
    NotRead,
    /// Read, under this parent.
    Of(String),
}

/// An event group.
#[derive(Clone, Debug)]
pub struct EventGroupFacts {
    /// Canonical name.
    pub name: String,
    /// Whom it is for.
    pub consumer: String,
    /// SHA-256 of the public key set that it names, if it names one.
    pub key: Option<String>,
    /// Whether it holds metadata.
    pub has_metadata: bool,
    /// Public state.
    pub state: &'static str,
}

/// What an intact audit trail says (interfaces.md section 3).
#[derive(Clone, Debug, Default)]
pub struct AuditFacts {
    /// Its head, `COUNT:HASH`.
    pub head: String,
    /// Whether the end was checked against a head that was given. That is the end of this file; whether
    /// the Kingdom went on is another question.
    pub end_is_proven: bool,
    /// When its last entry was made: of later times it says nothing.
    pub end: Option<Timestamp>,
    /// When a resource was last created or updated, by its name: public keys and event groups.
    pub last_change: BTreeMap<String, Timestamp>,
    /// Measurements that were created and not deleted since.
    pub living_measurements: BTreeSet<String>,
    /// Measurements that were deleted, and when.
    pub deleted_measurements: BTreeMap<String, Timestamp>,
    /// Event groups that were created and not deleted since.
    pub living_event_groups: BTreeSet<String>,
    /// What happened to the compromised certificate and to the owner's public key, oldest first.
    pub history: Vec<HistoryEntry>,
}

/// One entry of the trail about what is compromised.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HistoryEntry {
    /// When.
    #[serde(serialize_with = "super::as_text")]
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To which resource.
    pub subject: String,
    /// State or certificate before.
    pub before: Option<String>,
    /// State or certificate after.
    pub after: Option<String>,
}
