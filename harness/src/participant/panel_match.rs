//! A party of a panel match exchange: peers' certificates under a root stored for their owner, cached
//! forever (contract 3.4.3, 4.5).

use super::trust::owner_of;
use super::wire::{self, CallError, Dial};
use super::{Base, EventKind, create_certificate, from_wire};
use crate::quirk::{PeerQuirk, PeerQuirks};
use halo_consent::{PathError, VerifyError, check_issuer_signature, check_path};
use kingdom_proto::v2alpha as pb;
use std::collections::BTreeMap;

/// Why a peer's certificate is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PanelMatchError {
    /// No root is stored for the owner (3.4.3).
    #[error("no root is stored for {0}: store its root before the exchange")]
    NoRoot(String),
    /// The certificate does not verify with the owner's root.
    #[error("{certificate}: {error}; the owner has to register a certificate of its stored root")]
    Untrusted {
        /// The certificate's name.
        certificate: String,
        /// What is wrong.
        error: PathError,
    },
    /// The message is not signed with the key of the certificate that it names.
    #[error("{certificate}: {error}; whoever sent the message does not hold its key")]
    BadSignature {
        /// The certificate's name.
        certificate: String,
        /// What is wrong.
        error: VerifyError,
    },
    /// The Kingdom's status.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl PanelMatchError {
    /// The clause that refuses: 3.4.3 what is not of the owner's stored root, 4.5 anything else that is
    /// wrong with what a peer signed; `None` if the Kingdom refused.
    pub fn clause(&self) -> Option<&'static str> {
        match self {
            Self::NoRoot(_)
            | Self::Untrusted {
                error:
                    PathError::IssuerNameMismatch
                    | PathError::KeyIdentifierMismatch
                    | PathError::BadSignature,
                ..
            } => Some("3.4.3"),
            Self::Untrusted { .. } | Self::BadSignature { .. } => Some("4.5"),
            Self::Call(_) => None,
        }
    }
}

/// A party's certificate manager.
pub struct PanelMatch {
    /// What it has in common with other participants.
    pub base: Base,
    /// Roots in DER, by their owner's resource name.
    pub roots: BTreeMap<String, Vec<u8>>,
    cache: BTreeMap<String, pb::Certificate>,
}

impl PanelMatch {
    /// A manager that has fetched nothing yet.
    pub fn new(base: Base, roots: BTreeMap<String, Vec<u8>>) -> Self {
        Self { base, roots, cache: BTreeMap::new() }
    }

    /// Registers the fresh certificate of an exchange.
    ///
    /// # Errors
    /// The Kingdom's status.
    pub async fn create_for_exchange(
        &mut self,
        dial: &dyn Dial,
        certificate_der: &[u8],
    ) -> Result<pb::Certificate, CallError> {
        create_certificate(&mut self.base, dial, certificate_der).await
    }

    /// A peer's certificate, fetched at most once, verified each time. No revocation state is read.
    ///
    /// # Errors
    /// [`PanelMatchError`].
    pub async fn certificate(
        &mut self,
        dial: &dyn Dial,
        name: &str,
    ) -> Result<pb::Certificate, PanelMatchError> {
        let certificate = match self.cache.get(name) {
            Some(cached) => cached.clone(),
            None => {
                let request = pb::GetCertificateRequest { name: name.to_owned() };
                let fetched = self.base.call(dial, wire::GET_CERTIFICATE, &request).await?;
                self.cache.insert(name.to_owned(), fetched.clone());
                fetched
            }
        };
        let owner = owner_of(name);
        let root =
            self.roots.get(owner).ok_or_else(|| PanelMatchError::NoRoot(owner.to_owned()))?;
        let now = self.base.now_unix_seconds();
        verify(&certificate.x509_der, root, now, &self.base.identity.quirks)
            .map_err(|error| PanelMatchError::Untrusted { certificate: name.to_owned(), error })?;
        Ok(certificate)
    }

    /// Takes a message that a peer signed, or rejects it. What such a message says the contract leaves
    /// open.
    ///
    /// # Errors
    /// [`PanelMatchError`].
    pub async fn take(
        &mut self,
        dial: &dyn Dial,
        name: &str,
        signed: &pb::SignedMessage,
    ) -> Result<(), PanelMatchError> {
        let verified = self.certificate(dial, name).await.and_then(|certificate| {
            from_wire(signed).verify(&certificate.x509_der).map_err(|error| {
                PanelMatchError::BadSignature { certificate: name.to_owned(), error }
            })
        });
        if let Err(error) = &verified
            && let Some(clause) = error.clause()
        {
            let cause = error.to_string();
            self.base.note_under(name, EventKind::Rejected, clause, owner_of(name), cause);
        }
        verified
    }
}

/// The check itself (4.5): the issuer's signature only (quirk `panel-match-ignores-validity`), or as
/// documented path and validity dates.
///
/// # Errors
/// [`PathError`].
pub fn verify(
    leaf_der: &[u8],
    root_der: &[u8],
    now_unix_seconds: i64,
    quirks: &PeerQuirks,
) -> Result<(), PathError> {
    if quirks.faithful(PeerQuirk::PanelMatchIgnoresValidity) {
        check_issuer_signature(leaf_der, root_der)
    } else {
        check_path(leaf_der, root_der, now_unix_seconds)
    }
}
