//! The real system's oddities, each a named item that can be switched (contract 2.14).
//!
//! *Faithful* is what the real system does, *as documented* what the public documentation promises
//! or, where it is silent, common sense.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Which of a quirk's two behaviours is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// What the real system does, oddities included. The default.
    #[default]
    Faithful,
    /// What its documentation promises.
    AsDocumented,
}

impl FromStr for Fidelity {
    type Err = UnknownFidelity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "faithful" => Ok(Self::Faithful),
            "as-documented" => Ok(Self::AsDocumented),
            other => Err(UnknownFidelity(other.to_owned())),
        }
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Faithful => "faithful",
            Self::AsDocumented => "as-documented",
        })
    }
}

/// A fidelity that is neither of the two.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither `faithful` nor `as-documented`")]
pub struct UnknownFidelity(String);

/// A quirk name that table 2.14 does not have.
#[derive(Debug, thiserror::Error)]
#[error("no quirk is named `{0}`: `fake-kingdom serve --list-quirks` prints the names")]
pub struct UnknownQuirk(String);

/// A choice for every quirk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    as_documented: u64,
}

impl Quirks {
    /// Every quirk at `fidelity`.
    pub fn all(fidelity: Fidelity) -> Self {
        Quirk::ALL.iter().fold(Self::default(), |quirks, &quirk| quirks.with(quirk, fidelity))
    }

    /// The same choice, with `quirk` at `fidelity`.
    #[must_use]
    pub fn with(mut self, quirk: Quirk, fidelity: Fidelity) -> Self {
        let bit = 1_u64 << quirk as u32;
        match fidelity {
            Fidelity::Faithful => self.as_documented &= !bit,
            Fidelity::AsDocumented => self.as_documented |= bit,
        }
        self
    }

    /// The same choice, but for `quirk`, which behaves the other way.
    #[must_use]
    pub fn inverted(self, quirk: Quirk) -> Self {
        let other = match self.fidelity(quirk) {
            Fidelity::Faithful => Fidelity::AsDocumented,
            Fidelity::AsDocumented => Fidelity::Faithful,
        };
        self.with(quirk, other)
    }

    /// Whether `quirk` behaves as the real system does.
    pub fn faithful(&self, quirk: Quirk) -> bool {
        self.as_documented & (1 << quirk as u32) == 0
    }

    /// The behaviour in force for `quirk`.
    pub fn fidelity(&self, quirk: Quirk) -> Fidelity {
        if self.faithful(quirk) { Fidelity::Faithful } else { Fidelity::AsDocumented }
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|quirk| quirk.name() == text)
            .ok_or_else(|| UnknownQuirk(text.to_owned()))
    }
}

macro_rules! quirks {
    ($($variant:ident $name:literal $clause:literal $faithful:literal $documented:literal;)+) => {
        /// One oddity of table 2.14.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Quirk {
            $(#[doc = concat!("Contract ", $clause, ". Faithful: ", $faithful, ". As documented: ", $documented, ".")]
            $variant,)+
        }

        impl Quirk {
            /// Every quirk, in the order of table 2.14.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name under which it is switched.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The contract clauses that describe it.
            pub fn clause(self) -> &'static str {
                match self { $(Self::$variant => $clause),+ }
            }

            /// What the real system does.
            pub fn faithful(self) -> &'static str {
                match self { $(Self::$variant => $faithful),+ }
            }

            /// What its documentation promises.
            pub fn as_documented(self) -> &'static str {
                match self { $(Self::$variant => $documented),+ }
            }
        }
    };
}

quirks! {
    MalformedIdIsUnknown "malformed-id-is-unknown" "1.0.4, 2.12"
        "a name of the right shape with an undecodable id: UNKNOWN"
        "INVALID_ARGUMENT";
    MalformedPageTokenIsUnknown "malformed-page-token-is-unknown" "1.0.4, 1.0.13"
        "garbage page_token: UNKNOWN"
        "INVALID_ARGUMENT";
    InternalErrorsPassUntranslated "internal-errors-pass-untranslated" "1.0.5"
        "four RPCs hand on internal status and internal-domain ErrorInfo"
        "translated as 1.0.2, status kept, domain `halo.wfanet.org`";
    RateLimiterDropsFraction "rate-limiter-drops-fraction" "1.0.10"
        "a refill forgets the fraction of a token earned"
        "fractions accumulate: the long-run rate is exact";
    DeletedEventGroupErrorName "deleted-event-group-error-name" "1.0.11"
        "EVENT_GROUP_STATE_ILLEGAL of Update/BatchUpdate names the group's id as provider"
        "the group's real name";
    ListRequisitionsTokenNeedsSameFilter "list-requisitions-token-needs-same-filter" "1.0.13"
        "a filter other than the token's: INVALID_ARGUMENT"
        "with a token the request's filter is ignored and the token's applies";
    AuthRejectionEchoesHeaders "auth-rejection-echoes-headers" "1.0.15"
        "the trailers of such a rejection repeat the request headers, the key included"
        "no request header in the trailers";
    ConstraintViolationIsUnknown "constraint-violation-is-unknown" "1.0.17"
        "UNKNOWN for each row of the table"
        "ALREADY_EXISTS for an entity_key or message type in use; NOT_FOUND for an unknown Duchy; FAILED_PRECONDITION for too few active Duchies; INVALID_ARGUMENT for the rest";
    GetCertificateNotFoundIsUnknown "get-certificate-not-found-is-unknown" "1.1.2"
        "missing certificate: UNKNOWN, no ErrorInfo"
        "NOT_FOUND/CERTIFICATE_NOT_FOUND with the certificate's name";
    PreferredCertificateAliasUnsupported "preferred-certificate-alias-unsupported" "1.1.11"
        "`.../certificates/preferred`: UNKNOWN"
        "resolves to the parent's preferred certificate: 1.1.11";
    ListCertificatesIgnoresParent "list-certificates-ignores-parent" "1.1.17"
        "certificates of all parents of the same kind"
        "certificates of the given parent only";
    ListCertificatesTokenBypassesSkidFilter "list-certificates-token-bypasses-skid-filter" "1.1.18"
        "on later pages older rows ignore the SKID filter"
        "the filter holds on every page";
    ListModelProvidersNeedsNoPrincipal "list-model-providers-needs-no-principal" "1.3.2"
        "answers without a principal"
        "UNAUTHENTICATED";
    CreateConsumerDuplicateSkidIsUnknown "create-consumer-duplicate-skid-is-unknown" "1.3.6"
        "UNKNOWN (internal CreateDataProvider too)"
        "ALREADY_EXISTS/CERT_SUBJECT_KEY_ID_ALREADY_EXISTS";
    EmptyBatchUpdateNeedsNoPrincipal "empty-batch-update-needs-no-principal" "1.4.6"
        "an empty BatchUpdateEventGroups succeeds for anybody"
        "UNAUTHENTICATED, PERMISSION_DENIED or, for the owner, INVALID_ARGUMENT (requests is required)";
    EventGroupBatchSizeUnchecked "event-group-batch-size-unchecked" "1.4.6"
        "any batch size"
        "more than 50: INVALID_ARGUMENT";
    UpdateEventGroupResponseWithoutState "update-event-group-response-without-state" "1.4.7"
        "response shows STATE_UNSPECIFIED"
        "response shows ACTIVE";
    ForeignEventGroupDistinguishable "foreign-event-group-distinguishable" "1.4.8"
        "PERMISSION_DENIED with ErrorInfo when missing, without when foreign"
        "the same PERMISSION_DENIED without ErrorInfo";
    ListEventGroupsTokenDropsShowDeleted "list-event-groups-token-drops-show-deleted" "1.4.10"
        "page 2 with show_deleted=true: INVALID_ARGUMENT"
        "the token carries show_deleted, page 2 follows";
    DeleteEventGroupResponseKeepsEntityId "delete-event-group-response-keeps-entity-id" "1.4.12"
        "Delete's response shows entity_id"
        "response equals the next read: no entity_id";
    BatchGetDescriptorsOmitsMissing "batch-get-descriptors-omits-missing" "1.4.14"
        "missing descriptors are left out"
        "NOT_FOUND if any is missing";
    LateResultOverwritesTerminalState "late-result-overwrites-terminal-state" "1.5.2, 1.6.7"
        "SetComputationResult turns FAILED or CANCELLED into SUCCEEDED"
        "refused, nothing changes (internally FAILED_PRECONDITION/MEASUREMENT_STATE_ILLEGAL, UNKNOWN on the system API)";
    ListMeasurementsRepeatsFirstPage "list-measurements-repeats-first-page" "1.5.4"
        "page 2 is page 1 again, forever"
        "the token carries update_time, paging ends";
    ReachSamplingStartIsUnknown "reach-sampling-start-is-unknown" "1.5.10"
        "REACH with start outside [0,1]: UNKNOWN"
        "INVALID_ARGUMENT";
    CreateMeasurementResponseEchoesCertificate "create-measurement-response-echoes-certificate" "1.5.12"
        "create response shows the certificate the MC named"
        "create response shows the bound certificate";
    PendingParamsRequisitionVisible "pending-params-requisition-visible" "1.7.4"
        "Get shows it as UNFULFILLED; Refuse/Fulfill: FAILED_PRECONDITION"
        "not visible until UNFULFILLED: NOT_FOUND/REQUISITION_NOT_FOUND";
    DirectFulfilmentOfAnyProtocol "direct-fulfilment-of-any-protocol" "1.7.9"
        "FulfillDirect works whatever the protocol"
        "protocol not Direct: FAILED_PRECONDITION";
    RequisitionEtagMismatchIsUnknown "requisition-etag-mismatch-is-unknown" "1.7.10"
        "UNKNOWN/REQUISITION_ETAG_MISMATCH"
        "ABORTED/REQUISITION_ETAG_MISMATCH";
    RequisitionDuchyKeyIsBareId "requisition-duchy-key-is-bare-id" "1.7.13"
        "`worker1`"
        "`duchies/worker1`";
    DuchyUnmappedAkidIsUnknown "duchy-unmapped-akid-is-unknown" "1.7.15"
        "Duchy server, unmapped AKID: UNKNOWN"
        "UNAUTHENTICATED";
    BatchCancelNotPendingIsInternal "batch-cancel-not-pending-is-internal" "1.8.2"
        "INTERNAL/MEASUREMENT_STATE_ILLEGAL"
        "FAILED_PRECONDITION/MEASUREMENT_STATE_ILLEGAL";
    MeasurementEtagMetadataSwapped "measurement-etag-metadata-swapped" "1.8.3"
        "the two etags stand under each other's key"
        "each under its own key";
    NoClientCertificateIsUnknown "no-client-certificate-is-unknown" "2.1"
        "with optional client certificates, a call without one: UNKNOWN"
        "the call goes on without a certificate identity: an API key gives a principal, else UNAUTHENTICATED";
    ClientChainHasNoIdentity "client-chain-has-no-identity" "2.3"
        "more than one peer certificate: no identity"
        "the leaf (first certificate) gives the AKID";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again_and_none_twice() {
        for &quirk in Quirk::ALL {
            assert_eq!(quirk.name().parse::<Quirk>().ok(), Some(quirk));
        }
        assert!("nonsense".parse::<Quirk>().is_err());
    }

    #[test]
    fn switching_one_quirk_leaves_the_others_alone() {
        let quirks = Quirks::all(Fidelity::Faithful)
            .with(Quirk::ListCertificatesIgnoresParent, Fidelity::AsDocumented);
        for &quirk in Quirk::ALL {
            assert_eq!(quirks.faithful(quirk), quirk != Quirk::ListCertificatesIgnoresParent);
        }
    }
}
