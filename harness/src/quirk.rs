//! The oddities of the real peers and tools, each a named item that can be switched (contract 5.12).
//!
//! The Kingdom's own oddities stand in [`fake_kingdom::quirk`]; these belong to the participants'
//! processes and to the command-line tools. *Faithful* is what the real component does, *as
//! documented* what its documentation promises or, where that is silent, common sense.

use std::fmt;
use std::str::FromStr;

pub use fake_kingdom::quirk::{Fidelity, UnknownFidelity};

/// A quirk name that table 5.12 does not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "no quirk of a participant or a tool is named `{0}`: contract 5.12 and docs/tools.md list the names"
)]
pub struct UnknownPeerQuirk(String);

/// A setting that is not `NAME=faithful|as-documented`.
#[derive(Debug, thiserror::Error)]
pub enum BadPeerSetting {
    /// No `=` in it.
    #[error("`{0}` is not NAME=faithful or NAME=as-documented")]
    Shape(String),
    /// The name is unknown.
    #[error(transparent)]
    Name(#[from] UnknownPeerQuirk),
    /// The behaviour is unknown.
    #[error(transparent)]
    Fidelity(#[from] UnknownFidelity),
}

/// One quirk and the behaviour chosen for it: `NAME=faithful` or `NAME=as-documented`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSetting {
    /// The quirk that is set.
    pub quirk: PeerQuirk,
    /// What it is set to.
    pub fidelity: Fidelity,
}

impl FromStr for PeerSetting {
    type Err = BadPeerSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, fidelity) =
            text.split_once('=').ok_or_else(|| BadPeerSetting::Shape(text.to_owned()))?;
        Ok(Self { quirk: name.parse()?, fidelity: fidelity.parse()? })
    }
}

/// A choice for every quirk of table 5.12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerQuirks {
    as_documented: u64,
}

impl PeerQuirks {
    /// Every quirk at `fidelity`.
    pub fn all(fidelity: Fidelity) -> Self {
        PeerQuirk::ALL.iter().fold(Self::default(), |quirks, &quirk| quirks.with(quirk, fidelity))
    }

    /// The same choice, with `quirk` at `fidelity`.
    #[must_use]
    pub fn with(mut self, quirk: PeerQuirk, fidelity: Fidelity) -> Self {
        let bit = 1_u64 << quirk as u32;
        match fidelity {
            Fidelity::Faithful => self.as_documented &= !bit,
            Fidelity::AsDocumented => self.as_documented |= bit,
        }
        self
    }

    /// The same choice with every setting applied in turn: the last one for a quirk holds.
    #[must_use]
    pub fn with_settings(self, settings: &[PeerSetting]) -> Self {
        settings.iter().fold(self, |quirks, set| quirks.with(set.quirk, set.fidelity))
    }

    /// Whether `quirk` behaves as the real component does.
    pub fn faithful(&self, quirk: PeerQuirk) -> bool {
        self.as_documented & (1 << quirk as u32) == 0
    }

    /// The behaviour in force for `quirk`.
    pub fn fidelity(&self, quirk: PeerQuirk) -> Fidelity {
        if self.faithful(quirk) { Fidelity::Faithful } else { Fidelity::AsDocumented }
    }
}

impl fmt::Display for PeerQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PeerQuirk {
    type Err = UnknownPeerQuirk;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|quirk| quirk.name() == text)
            .ok_or_else(|| UnknownPeerQuirk(text.to_owned()))
    }
}

macro_rules! peer_quirks {
    ($($variant:ident $name:literal $clause:literal $faithful:literal $documented:literal;)+) => {
        /// One oddity of table 5.12.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum PeerQuirk {
            $(#[doc = concat!("Contract ", $clause, ". Faithful: ", $faithful, ". As documented: ", $documented, ".")]
            $variant,)+
        }

        impl PeerQuirk {
            /// Every quirk, in the order of table 5.12.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name under which it is switched.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The contract clause that describes it.
            pub fn clause(self) -> &'static str {
                match self { $(Self::$variant => $clause),+ }
            }

            /// What the real component does.
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

peer_quirks! {
    UnsupportedOidIsNotABadSignature "unsupported-oid-is-not-a-bad-signature" "3.2.3"
        "an exception, with the caller's worst outcome"
        "the same outcome as a bad signature";
    IssuerNotBoundToOwner "issuer-not-bound-to-owner" "3.4.1"
        "any trusted root may have issued the certificate"
        "only a root configured for the named owner";
    OneDecryptionKeyLoaded "one-decryption-key-loaded" "3.10 row 7"
        "a requisition for another key cannot be opened"
        "the matching private key is looked up, old ones included";
    ProviderDiesInsteadOfRefusing "provider-dies-instead-of-refusing" "3.10.1"
        "the process ends"
        "refuses that requisition (CONSENT_SIGNAL_INVALID or SPEC_INVALID) or skips it, and goes on with the next";
    ProviderPollsFirstPageOnly "provider-polls-first-page-only" "3.10.3"
        "the first 10, filtered afterwards"
        "all pages";
    DirectFulfilmentWithoutEtag "direct-fulfilment-without-etag" "3.10.4"
        "no etag"
        "the etag of the requisition as read";
    AggregatorSkipsConsentChecks "aggregator-skips-consent-checks" "3.11.1"
        "decrypts only"
        "rows 1 to 10 of 3.10";
    AggregatorRefusesWholeReport "aggregator-refuses-whole-report" "3.11.3"
        "the first refusal hits all of the report"
        "only the offending requisition is refused";
    UntrustedResultIsUnknown "untrusted-result-is-unknown" "3.13.2 e"
        "UNKNOWN"
        "FAILED_PRECONDITION, as on the create path";
    ReportingStaleCaches "reporting-stale-caches" "3.13.4"
        "certificate and data provider up to the cache time old"
        "read at each use";
    CliSendsNoOid "cli-sends-no-oid" "4.1.2"
        "no signature_algorithm_oid is sent"
        "the OID of the signature is sent";
    CliPublicKeyApiKeyUnchecked "cli-public-key-api-key-unchecked" "4.1.3 a"
        "`public-keys update` for a measurement consumer runs without `--api-key`"
        "exit 2";
    CliOneEventFilterPerProvider "cli-one-event-filter-per-provider" "4.1.4 b"
        "two filters for a provider: exit 1"
        "one filter for each event group";
    CliListsFirstPageOnly "cli-lists-first-page-only" "4.1.5"
        "the first page, no options"
        "`--page-size` and `--page-token`";
    SignIgnoresKeyMismatch "sign-ignores-key-mismatch" "4.2.5"
        "signs with any key of the certificate's type"
        "refuses a key that is not the certificate's";
    CreateResourceStoresFileVerbatim "create-resource-stores-file-verbatim" "4.3.9"
        "a PEM file is stored as PEM"
        "stored as DER";
    PanelMatchIgnoresValidity "panel-match-ignores-validity" "4.5"
        "the issuer's signature only"
        "path and validity dates as 3.3";
    PemKeyFirstLine "pem-key-first-line" "4.6.1"
        "anything before the marker fails"
        "text before the marker is skipped";
    ReportingRereadsSigningKey "reporting-rereads-signing-key" "5.4.3"
        "the key file is read at each create"
        "read once, with its certificate";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nineteen_names_are_found_again() {
        assert_eq!(PeerQuirk::ALL.len(), 19);
        for &quirk in PeerQuirk::ALL {
            assert_eq!(quirk.name().parse::<PeerQuirk>().ok(), Some(quirk));
        }
        assert!("nonsense".parse::<PeerQuirk>().is_err());
    }

    #[test]
    fn no_name_is_shared_with_a_quirk_of_the_kingdom() {
        for quirk in PeerQuirk::ALL {
            assert!(quirk.name().parse::<fake_kingdom::quirk::Quirk>().is_err(), "{quirk}");
        }
    }

    #[test]
    fn switching_one_quirk_leaves_the_others_alone() {
        let quirks = PeerQuirks::default().with(PeerQuirk::CliSendsNoOid, Fidelity::AsDocumented);
        for &quirk in PeerQuirk::ALL {
            assert_eq!(quirks.faithful(quirk), quirk != PeerQuirk::CliSendsNoOid);
        }
        let back = quirks.with(PeerQuirk::CliSendsNoOid, Fidelity::Faithful);
        assert_eq!(back, PeerQuirks::all(Fidelity::Faithful));
    }

    #[test]
    fn the_last_setting_of_a_quirk_holds() {
        let settings = ["cli-sends-no-oid=as-documented", "cli-sends-no-oid=faithful"]
            .map(|text| text.parse::<PeerSetting>().expect("a good setting"));
        assert!(PeerQuirks::default().with_settings(&settings).faithful(PeerQuirk::CliSendsNoOid));
    }

    #[test]
    fn a_bad_setting_says_which_part_is_wrong() {
        let message = |text: &str| match text.parse::<PeerSetting>() {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(message("cli-sends-no-oid").contains("NAME=faithful"));
        assert!(message("nonsense=faithful").contains("`nonsense`"));
        assert!(message("cli-sends-no-oid=maybe").contains("`maybe`"));
    }
}
