//! Trust bundles, and the three steps by which a peer verifies a signed message: issuer, path,
//! signature (contract 3.3, 3.4).

use super::from_wire;
use crate::quirk::{PeerQuirk, PeerQuirks};
use halo_consent::{PathError, VerifyError, check_path};
use halo_pki::BundleError;
use kingdom_proto::v2alpha as pb;
use std::collections::{BTreeMap, BTreeSet};

/// A component's certificate collection file, and whose root is whose.
#[derive(Clone, Debug, Default)]
pub struct TrustBundle {
    roots: BTreeMap<Vec<u8>, Vec<u8>>,
    owners: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl TrustBundle {
    /// A bundle of roots in DER, read as components read theirs (2.11); no owner is bound yet.
    ///
    /// # Errors
    /// An entry is not a root with a SKID: the process that loads it does not start.
    pub fn new(roots: &[Vec<u8>]) -> Result<Self, BundleError> {
        let entries = halo_pki::trust_bundle(roots)?;
        let roots = entries.into_iter().map(|entry| (entry.skid, entry.der)).collect();
        Ok(Self { roots, owners: BTreeMap::new() })
    }

    /// Trusts one more root.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn add(&mut self, root: &[u8]) -> Result<(), BundleError> {
        let added = Self::new(&[root.to_vec()])?;
        self.roots.extend(added.roots);
        Ok(())
    }

    /// Trusts a root no longer.
    pub fn remove(&mut self, root: &[u8]) {
        if let Some(skid) = skid(root) {
            self.roots.remove(&skid);
        }
    }

    /// Says that a root may issue certificates of this owner (3.4, documented behaviour).
    pub fn bind(&mut self, owner: &str, root: &[u8]) {
        if let Some(skid) = skid(root) {
            self.owners.entry(owner.to_owned()).or_default().insert(skid);
        }
    }

    /// The roots, by SKID.
    pub fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.roots.values().map(Vec::as_slice)
    }

    /// The root with this SKID (3.4.2).
    pub fn root(&self, skid: &[u8]) -> Option<&[u8]> {
        self.roots.get(skid).map(Vec::as_slice)
    }

    /// The trusted issuer of a leaf: the entry whose SKID is the leaf's AKID (3.4.1). If `owner` is
    /// given, it must be one of that owner's.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn issuer(&self, leaf: &[u8], owner: Option<&str>) -> Result<&[u8], IssuerError> {
        let facts = halo_pki::inspect(leaf).map_err(|_| IssuerError::Unreadable)?;
        let akid = facts.akid().ok_or(IssuerError::NoAkid)?;
        let root = self.root(akid).ok_or(IssuerError::NotTrusted)?;
        match owner {
            Some(owner) if !self.owners.get(owner).is_some_and(|own| own.contains(akid)) => {
                Err(IssuerError::OtherOwners)
            }
            _ => Ok(root),
        }
    }
}

fn skid(root: &[u8]) -> Option<Vec<u8>> {
    halo_pki::inspect(root).ok()?.skid
}

/// Why a leaf has no trusted issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The leaf cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// The leaf has no authority key identifier (3.4.4).
    #[error("the certificate has no authority key identifier")]
    NoAkid,
    /// No root of the bundle is its issuer.
    #[error("the certificate's issuer is not trusted")]
    NotTrusted,
    /// A trusted root issued it, but not one of the named owner's.
    #[error("the certificate's issuer is trusted for other owners only")]
    OtherOwners,
}

/// What is wrong with a certificate or with what it signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Its issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// Its path.
    #[error("the certificate path is invalid: {0}")]
    Path(#[from] PathError),
    /// The signature.
    #[error("the signature does not verify: {0}")]
    Signature(#[from] VerifyError),
}

impl Untrusted {
    /// Whether the real verifiers throw something else than their own "not valid" here: no AKID
    /// (3.4.4) always, an unsupported or unfitting OID as the quirk says (3.2.3, 3.2.4).
    pub fn is_exception(&self, quirks: &PeerQuirks) -> bool {
        match self {
            Self::Issuer(IssuerError::NoAkid | IssuerError::Unreadable) => true,
            Self::Signature(VerifyError::BadSignature) | Self::Issuer(_) | Self::Path(_) => false,
            Self::Signature(VerifyError::BadCertificate(_)) => true,
            Self::Signature(_) => quirks.faithful(PeerQuirk::UnsupportedOidIsNotABadSignature),
        }
    }
}

/// A verifier: a bundle at a moment, with its oddities.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'a> {
    /// What it trusts.
    pub bundle: &'a TrustBundle,
    /// When (3.3.1).
    pub now_unix_seconds: i64,
    /// Its oddities.
    pub quirks: PeerQuirks,
}

impl<'a> Verifier<'a> {
    /// The trusted issuer of a leaf that stands under `certificate`, its resource name: any root of
    /// the bundle, or as documented only the named owner's (quirk `issuer-not-bound-to-owner`).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn issuer(&self, leaf: &[u8], certificate: &str) -> Result<&'a [u8], IssuerError> {
        let bound = !self.quirks.faithful(PeerQuirk::IssuerNotBoundToOwner);
        self.bundle.issuer(leaf, bound.then(|| owner_of(certificate)))
    }

    /// The path of a leaf below an issuer, now (3.3).
    ///
    /// # Errors
    /// [`PathError`].
    pub fn path(&self, leaf: &[u8], issuer: &[u8]) -> Result<(), PathError> {
        check_path(leaf, issuer, self.now_unix_seconds)
    }

    /// Issuer, path and signature, in this order.
    ///
    /// # Errors
    /// [`Untrusted`]: the first thing that is wrong.
    pub fn verify(
        &self,
        certificate: &pb::Certificate,
        message: &pb::SignedMessage,
    ) -> Result<(), Untrusted> {
        let leaf = &certificate.x509_der;
        self.path(leaf, self.issuer(leaf, &certificate.name)?)?;
        Ok(from_wire(message).verify(leaf)?)
    }
}

/// `dataProviders/A` of `dataProviders/A/certificates/B`.
pub fn owner_of(certificate: &str) -> &str {
    certificate.split_once("/certificates/").map_or(certificate, |(owner, _)| owner)
}
