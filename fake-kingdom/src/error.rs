//! What a rule answers when it refuses: the data server's errors with their reasons, and their
//! two-tier translation for the public, system and operator APIs (contract 1.0.2).

use crate::cause::Cause;
use crate::model::{Owner, RevocationState};
use crate::quirk::{Quirk, Quirks};
use kingdom_proto::ApiId;
use std::collections::BTreeMap;

/// A gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the codes of gRPC, by their own names")]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// ErrorInfo domain of the public API (contract 1.0.2).
pub const PUBLIC_DOMAIN: &str = "halo.wfanet.org";
/// ErrorInfo domain of the data server (contract 1.0.2).
pub const INTERNAL_DOMAIN: &str = "wfa.measurement.internal.kingdom.ErrorCode";

/// An answer that refuses a call: what goes on the wire, and the cause that goes into the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code on the wire.
    pub code: Code,
    /// Description; not part of the contract, empty where the real system sends none.
    pub message: String,
    /// Details in `grpc-status-details-bin`, where the real system sends any.
    pub info: Option<ErrorInfo>,
    /// Cause code for the server's event, which may say more than the wire does.
    pub cause: Option<Cause>,
    /// The resource whose state refuses the call, for the server's event alone: the wire does not say
    /// which of several certificates is not valid (contract 1.0.11).
    pub subject: Option<String>,
}

/// `google.rpc.ErrorInfo` (contract 1.0.2, 1.0.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// [`PUBLIC_DOMAIN`] or [`INTERNAL_DOMAIN`].
    pub domain: &'static str,
    /// Name of an internal error code.
    pub reason: &'static str,
    /// Resource names (public) or decimal ids (internal).
    pub metadata: BTreeMap<String, String>,
}

impl Refusal {
    /// A refusal by the public layer itself: a short text and no ErrorInfo (contract 1.0.3).
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), info: None, cause: None, subject: None }
    }

    /// The same refusal, with the cause that its event carries.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// A failed argument check of the public layer (contract 1.0.3).
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// No principal (contract 2.4).
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "No authenticated principal found")
    }

    /// A principal that is not allowed (contract 2.4).
    pub fn permission_denied() -> Self {
        Self::new(Code::PermissionDenied, "Permission denied").because(Cause::PermissionDenied)
    }

    /// An uncaught exception of the real server: no description, no details (contract 1.0.4).
    pub fn uncaught() -> Self {
        Self::new(Code::Unknown, "")
    }

    /// A constraint without an answer of its own (contract 1.0.17): UNKNOWN, or `documented`.
    pub fn constraint(quirks: &Quirks, documented: Code, message: impl Into<String>) -> Self {
        if quirks.faithful(Quirk::ConstraintViolationIsUnknown) {
            Self::uncaught()
        } else {
            Self::new(documented, message)
        }
    }
}

/// An error of the data server, before any translation (contract 1.0.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalError {
    /// Status code of the data server.
    pub code: Code,
    /// Its reason with the ids involved; `None` for errors without ErrorInfo.
    pub reason: Option<Reason>,
    /// Description; the public layer drops it where there is no ErrorInfo.
    pub message: String,
    /// Cause code for the event.
    pub cause: Option<Cause>,
    /// The resource whose state refuses, for the event.
    pub subject: Option<String>,
}

impl InternalError {
    /// An error with a reason.
    pub fn new(code: Code, reason: Reason) -> Self {
        let message = reason.name().to_lowercase().replace('_', " ");
        Self { code, reason: Some(reason), message, cause: None, subject: None }
    }

    /// An error without ErrorInfo.
    pub fn bare(code: Code, message: impl Into<String>) -> Self {
        Self { code, reason: None, message: message.into(), cause: None, subject: None }
    }

    /// The same error, with the cause that its event carries.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The same error, with the resource whose state refuses.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// NOT_FOUND with a reason.
    pub fn not_found(reason: Reason) -> Self {
        Self::new(Code::NotFound, reason)
    }

    /// FAILED_PRECONDITION with a reason.
    pub fn failed_precondition(reason: Reason) -> Self {
        Self::new(Code::FailedPrecondition, reason)
    }

    /// INVALID_ARGUMENT without ErrorInfo: the caller sees no description (contract 1.0.2 c).
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::bare(Code::InvalidArgument, message)
    }

    /// As the public API shows it: codes on the RPC's whitelist pass, every other becomes UNKNOWN;
    /// ErrorInfo is rewritten and stays even then (contract 1.0.2, 1.0.12).
    pub fn public(self, whitelist: &[Code]) -> Refusal {
        self.public_or(whitelist, Code::Unknown)
    }

    /// As [`Self::public`], with another code for what the whitelist does not have.
    pub fn public_or(self, whitelist: &[Code], otherwise: Code) -> Refusal {
        let code = if whitelist.contains(&self.code) { self.code } else { otherwise };
        match self.reason {
            Some(reason) => Refusal {
                code,
                message: self.message,
                info: Some(reason.public_info()),
                cause: self.cause,
                subject: self.subject,
            },
            None => Refusal {
                code,
                message: String::new(),
                info: None,
                cause: self.cause,
                subject: self.subject,
            },
        }
    }

    /// As the operator API shows it: untranslated (contract 1.8.1).
    pub fn untranslated(self) -> Refusal {
        Refusal {
            code: self.code,
            message: self.message,
            info: self.reason.map(|reason| reason.internal_info()),
            cause: self.cause,
            subject: self.subject,
        }
    }

    /// As the four RPCs of contract 1.0.5 show it.
    pub fn untranslated_by_quirk(self, quirks: &Quirks) -> Refusal {
        if quirks.faithful(Quirk::InternalErrorsPassUntranslated) {
            self.untranslated()
        } else {
            let code = self.code;
            self.public(&[code])
        }
    }

    /// The bare code if it is on the list, else UNKNOWN; no description, no ErrorInfo (1.8.8).
    pub fn bare_code(self, whitelist: &[Code]) -> Refusal {
        let code = if whitelist.contains(&self.code) { self.code } else { Code::Unknown };
        let (cause, subject) = (self.cause, self.subject);
        Refusal { code, message: String::new(), info: None, cause, subject }
    }
}

/// Why the data server refuses (contract 1.0.11). External ids are positive int64.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the reasons of the contract; fields are their metadata")]
pub enum Reason {
    CertificateNotFound {
        owner: Option<Owner>,
        certificate: i64,
    },
    CertificateIsInvalid,
    CertificateRevocationStateIllegal {
        certificate: i64,
        state: RevocationState,
    },
    CertSubjectKeyIdAlreadyExists,
    OwnerNotFound(Owner),
    DuchyNotActive {
        duchy: String,
    },
    MeasurementNotFound {
        measurement_consumer: i64,
        measurement: i64,
    },
    MeasurementNotFoundByComputation {
        computation: i64,
    },
    MeasurementStateIllegal {
        measurement_consumer: i64,
        measurement: i64,
        /// Public and internal name of the state it is in.
        state: (&'static str, &'static str),
    },
    /// The two etags; `swapped` by quirk `measurement-etag-metadata-swapped` (1.8.3).
    MeasurementEtagMismatch {
        requested: String,
        actual: String,
        swapped: bool,
    },
    RequisitionNotFound {
        data_provider: i64,
        requisition: i64,
    },
    RequisitionNotFoundByComputation {
        computation: i64,
        requisition: i64,
    },
    RequisitionStateIllegal {
        requisition: i64,
        state: (&'static str, &'static str),
    },
    RequisitionEtagMismatch {
        requested: String,
        actual: String,
    },
    EventGroupNotFound {
        owner: Owner,
        event_group: i64,
    },
    /// `data_provider` as the real server names it, which may be wrong (1.0.11).
    EventGroupStateIllegal {
        data_provider: i64,
        event_group: i64,
    },
    EventGroupInvalidArgs {
        original: i64,
        provided: i64,
    },
    EventGroupMetadataDescriptorNotFound {
        data_provider: i64,
        descriptor: i64,
    },
    EventGroupMetadataDescriptorAlreadyExistsWithType,
    ComputationParticipantNotFound {
        computation: i64,
        duchy: String,
    },
    ComputationParticipantStateIllegal {
        computation: i64,
        duchy: String,
        state: &'static str,
    },
    ComputationParticipantEtagMismatch {
        requested: String,
        actual: String,
    },
    RequiredFieldNotSet {
        field: String,
    },
    InvalidFieldValue {
        field: String,
    },
    PermissionDenied,
}

impl Reason {
    /// The name of the internal error code.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CertificateNotFound { .. } => "CERTIFICATE_NOT_FOUND",
            Self::CertificateIsInvalid => "CERTIFICATE_IS_INVALID",
            Self::CertificateRevocationStateIllegal { .. } => {
                "CERTIFICATE_REVOCATION_STATE_ILLEGAL"
            }
            Self::CertSubjectKeyIdAlreadyExists => "CERT_SUBJECT_KEY_ID_ALREADY_EXISTS",
            Self::OwnerNotFound(Owner::DataProvider(_)) => "DATA_PROVIDER_NOT_FOUND",
            Self::OwnerNotFound(Owner::MeasurementConsumer(_)) => "MEASUREMENT_CONSUMER_NOT_FOUND",
            Self::OwnerNotFound(Owner::ModelProvider(_)) => "MODEL_PROVIDER_NOT_FOUND",
            Self::OwnerNotFound(Owner::Duchy(_)) => "DUCHY_NOT_FOUND",
            Self::DuchyNotActive { .. } => "DUCHY_NOT_ACTIVE",
            Self::MeasurementNotFound { .. } | Self::MeasurementNotFoundByComputation { .. } => {
                "MEASUREMENT_NOT_FOUND"
            }
            Self::MeasurementStateIllegal { .. } => "MEASUREMENT_STATE_ILLEGAL",
            Self::MeasurementEtagMismatch { .. } => "MEASUREMENT_ETAG_MISMATCH",
            Self::RequisitionNotFound { .. } | Self::RequisitionNotFoundByComputation { .. } => {
                "REQUISITION_NOT_FOUND"
            }
            Self::RequisitionStateIllegal { .. } => "REQUISITION_STATE_ILLEGAL",
            Self::RequisitionEtagMismatch { .. } => "REQUISITION_ETAG_MISMATCH",
            Self::EventGroupNotFound { .. } => "EVENT_GROUP_NOT_FOUND",
            Self::EventGroupStateIllegal { .. } => "EVENT_GROUP_STATE_ILLEGAL",
            Self::EventGroupInvalidArgs { .. } => "EVENT_GROUP_INVALID_ARGS",
            Self::EventGroupMetadataDescriptorNotFound { .. } => {
                "EVENT_GROUP_METADATA_DESCRIPTOR_NOT_FOUND"
            }
            Self::EventGroupMetadataDescriptorAlreadyExistsWithType => {
                "EVENT_GROUP_METADATA_DESCRIPTOR_ALREADY_EXISTS_WITH_TYPE"
            }
            Self::ComputationParticipantNotFound { .. } => "COMPUTATION_PARTICIPANT_NOT_FOUND",
            Self::ComputationParticipantStateIllegal { .. } => {
                "COMPUTATION_PARTICIPANT_STATE_ILLEGAL"
            }
            Self::ComputationParticipantEtagMismatch { .. } => {
                "COMPUTATION_PARTICIPANT_ETAG_MISMATCH"
            }
            Self::RequiredFieldNotSet { .. } => "REQUIRED_FIELD_NOT_SET",
            Self::InvalidFieldValue { .. } => "INVALID_FIELD_VALUE",
            Self::PermissionDenied => "PERMISSION_DENIED",
        }
    }

    /// ErrorInfo of the public API: camelCase keys, resource names (contract 1.0.11).
    pub fn public_info(&self) -> ErrorInfo {
        let mut metadata = BTreeMap::new();
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        match self {
            Self::CertificateNotFound { owner: Some(owner), certificate } => {
                put(
                    &format!("{}Certificate", owner.camel_case()),
                    owner.certificate_name(*certificate),
                );
            }
            Self::CertificateNotFound { owner: None, certificate } => {
                put("externalCertificateId", api_id(*certificate));
            }
            Self::CertificateRevocationStateIllegal { certificate, state } => {
                put("externalCertificateId", api_id(*certificate));
                put("certificationRevocationState", state.public_name().to_owned());
            }
            Self::OwnerNotFound(owner) => {
                put(owner.camel_case(), owner.name());
            }
            Self::DuchyNotActive { duchy } => {
                put("duchy", format!("duchies/{duchy}"));
            }
            Self::MeasurementNotFound { measurement_consumer, measurement } => {
                put("measurement", measurement_name(*measurement_consumer, *measurement));
            }
            Self::MeasurementStateIllegal { measurement_consumer, measurement, state } => {
                put("measurement", measurement_name(*measurement_consumer, *measurement));
                put("state", state.0.to_owned());
            }
            Self::RequisitionNotFound { data_provider, requisition } => {
                let provider = api_id(*data_provider);
                put(
                    "requisition",
                    format!("dataProviders/{provider}/requisitions/{}", api_id(*requisition)),
                );
            }
            Self::MeasurementNotFoundByComputation { computation } => {
                put("computation", format!("computations/{}", api_id(*computation)));
            }
            Self::RequisitionNotFoundByComputation { computation, requisition } => {
                let computation = api_id(*computation);
                put(
                    "requisition",
                    format!("computations/{computation}/requisitions/{}", api_id(*requisition)),
                );
            }
            Self::RequisitionStateIllegal { requisition, state } => {
                put("requisitionId", api_id(*requisition));
                put("state", state.0.to_owned());
            }
            Self::RequisitionEtagMismatch { requested, actual } => {
                put("requestEtag", requested.clone());
                put("actualEtag", actual.clone());
            }
            Self::EventGroupNotFound { owner, event_group } => {
                put("eventGroup", format!("{}/eventGroups/{}", owner.name(), api_id(*event_group)));
            }
            Self::EventGroupStateIllegal { data_provider, event_group } => {
                let provider = api_id(*data_provider);
                put(
                    "eventGroup",
                    format!("dataProviders/{provider}/eventGroups/{}", api_id(*event_group)),
                );
            }
            Self::EventGroupInvalidArgs { original, provided } => {
                put("originalMeasurementConsumer", Owner::MeasurementConsumer(*original).name());
                put("providedMeasurementConsumer", Owner::MeasurementConsumer(*provided).name());
            }
            Self::EventGroupMetadataDescriptorNotFound { data_provider, descriptor } => {
                let provider = api_id(*data_provider);
                let id = api_id(*descriptor);
                put(
                    "eventGroupMetadataDescriptor",
                    format!("dataProviders/{provider}/eventGroupMetadataDescriptors/{id}"),
                );
            }
            Self::RequiredFieldNotSet { field } | Self::InvalidFieldValue { field } => {
                put("fieldName", field.clone());
            }
            Self::CertificateIsInvalid
            | Self::CertSubjectKeyIdAlreadyExists
            | Self::MeasurementEtagMismatch { .. }
            | Self::EventGroupMetadataDescriptorAlreadyExistsWithType
            | Self::ComputationParticipantNotFound { .. }
            | Self::ComputationParticipantStateIllegal { .. }
            | Self::ComputationParticipantEtagMismatch { .. }
            | Self::PermissionDenied => {}
        }
        ErrorInfo { domain: PUBLIC_DOMAIN, reason: self.name(), metadata }
    }

    /// ErrorInfo of the data server: snake_case keys, decimal ids (contract 1.0.2).
    pub fn internal_info(&self) -> ErrorInfo {
        let mut metadata = BTreeMap::new();
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        match self {
            Self::CertificateNotFound { owner, certificate } => {
                if let Some(owner) = owner {
                    put(owner.internal_key(), owner.internal_value());
                }
                put("external_certificate_id", certificate.to_string());
            }
            Self::CertificateRevocationStateIllegal { certificate, state } => {
                put("external_certificate_id", certificate.to_string());
                put("certificate_revocation_state", state.public_name().to_owned());
            }
            Self::OwnerNotFound(owner) => {
                put(owner.internal_key(), owner.internal_value());
            }
            Self::DuchyNotActive { duchy } => {
                put("external_duchy_id", duchy.clone());
            }
            Self::MeasurementNotFound { measurement_consumer, measurement } => {
                put("external_measurement_consumer_id", measurement_consumer.to_string());
                put("external_measurement_id", measurement.to_string());
            }
            Self::MeasurementStateIllegal { measurement_consumer, measurement, state } => {
                put("external_measurement_consumer_id", measurement_consumer.to_string());
                put("external_measurement_id", measurement.to_string());
                put("measurement_state", state.1.to_owned());
            }
            Self::MeasurementEtagMismatch { requested, actual, swapped } => {
                let (requested, actual) =
                    if *swapped { (actual, requested) } else { (requested, actual) };
                put("requested_measurement_etag", requested.clone());
                put("actual_measurement_etag", actual.clone());
            }
            Self::RequisitionNotFound { data_provider, requisition } => {
                put("external_data_provider_id", data_provider.to_string());
                put("external_requisition_id", requisition.to_string());
            }
            Self::MeasurementNotFoundByComputation { computation } => {
                put("external_computation_id", computation.to_string());
            }
            Self::RequisitionNotFoundByComputation { computation, requisition } => {
                put("external_computation_id", computation.to_string());
                put("external_requisition_id", requisition.to_string());
            }
            Self::RequisitionStateIllegal { requisition, state } => {
                put("external_requisition_id", requisition.to_string());
                put("requisition_state", state.1.to_owned());
            }
            Self::RequisitionEtagMismatch { requested, actual } => {
                put("request_etag", requested.clone());
                put("actual_etag", actual.clone());
            }
            Self::EventGroupNotFound { owner, event_group } => {
                put(owner.internal_key(), owner.internal_value());
                put("external_event_group_id", event_group.to_string());
            }
            Self::EventGroupStateIllegal { data_provider, event_group } => {
                put("external_data_provider_id", data_provider.to_string());
                put("external_event_group_id", event_group.to_string());
            }
            Self::EventGroupInvalidArgs { original, provided } => {
                put("original_external_measurement_consumer_id", original.to_string());
                put("provided_external_measurement_consumer_id", provided.to_string());
            }
            Self::EventGroupMetadataDescriptorNotFound { data_provider, descriptor } => {
                put("external_data_provider_id", data_provider.to_string());
                put("external_event_group_metadata_descriptor_id", descriptor.to_string());
            }
            Self::ComputationParticipantNotFound { computation, duchy } => {
                put("external_computation_id", computation.to_string());
                put("external_duchy_id", duchy.clone());
            }
            Self::ComputationParticipantStateIllegal { computation, duchy, state } => {
                put("external_computation_id", computation.to_string());
                put("external_duchy_id", duchy.clone());
                put("computation_participant_state", (*state).to_owned());
            }
            Self::ComputationParticipantEtagMismatch { requested, actual } => {
                put("request_etag", requested.clone());
                put("actual_etag", actual.clone());
            }
            Self::RequiredFieldNotSet { field } | Self::InvalidFieldValue { field } => {
                put("field_name", field.clone());
            }
            Self::CertificateIsInvalid
            | Self::CertSubjectKeyIdAlreadyExists
            | Self::EventGroupMetadataDescriptorAlreadyExistsWithType
            | Self::PermissionDenied => {}
        }
        ErrorInfo { domain: INTERNAL_DOMAIN, reason: self.name(), metadata }
    }
}

/// The canonical text of an external id; ids of the state are positive by construction.
pub(crate) fn api_id(value: i64) -> String {
    ApiId::new(value).map(|id| id.to_string()).unwrap_or_default()
}

pub(crate) fn measurement_name(measurement_consumer: i64, measurement: i64) -> String {
    format!(
        "measurementConsumers/{}/measurements/{}",
        api_id(measurement_consumer),
        api_id(measurement)
    )
}
