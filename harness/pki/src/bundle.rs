//! Trust bundles, read as the Kingdom's components read theirs (contract 2.11, 5.3).

use std::collections::BTreeMap;

use crate::error::{BundleError, BundleReason};
use crate::inspect::{CertificateFacts, inspect, lower_hex};
use crate::pem;

/// A trusted root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustEntry {
    /// The certificate in DER, as supplied.
    pub der: Vec<u8>,
    /// Its subject key identifier, the key it is trusted under.
    pub skid: Vec<u8>,
    /// What it says.
    pub facts: CertificateFacts,
}

/// Checks a trust bundle by the rules of contract 2.11: every entry must parse, have a subject
/// key identifier and be a root, that is have no authority key identifier or one equal to it. Of
/// entries with the same subject key identifier the last one stays, in the first one's place.
///
/// Nothing else is checked: not the CA flag, the dates or the self-signature. An empty bundle is
/// an empty result.
///
/// # Errors
///
/// [`BundleError`] for the first entry that breaks a rule; the process that loads such a bundle
/// fails to start.
pub fn trust_bundle<D: AsRef<[u8]>>(ders: &[D]) -> Result<Vec<TrustEntry>, BundleError> {
    let mut entries: Vec<TrustEntry> = Vec::with_capacity(ders.len());
    let mut places: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (index, der) in ders.iter().enumerate() {
        let entry = trust_entry(der.as_ref(), index + 1)?;
        let place = *places.entry(entry.skid.clone()).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(earlier) => *earlier = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

/// The certificates as one PEM text, each block ending in a newline: the form of
/// `all_root_certs.pem` (contract 5.3.1).
pub fn bundle_pem<D: AsRef<[u8]>>(certificates: &[D]) -> String {
    certificates.iter().map(|der| pem::certificate_pem(der.as_ref())).collect()
}

fn trust_entry(der: &[u8], entry: usize) -> Result<TrustEntry, BundleError> {
    let facts = inspect(der).map_err(|error| BundleError {
        entry,
        subject: "unreadable".to_owned(),
        reason: BundleReason::Unreadable(error),
    })?;
    match root_identifier(&facts) {
        Ok(skid) => Ok(TrustEntry { der: der.to_vec(), skid, facts }),
        Err(reason) => Err(BundleError { entry, subject: facts.subject, reason }),
    }
}

fn root_identifier(facts: &CertificateFacts) -> Result<Vec<u8>, BundleReason> {
    if let Some(oid) = facts.duplicate_extensions.first() {
        return Err(BundleReason::DuplicateExtension { oid: oid.clone() });
    }
    if facts.skid_malformed {
        return Err(BundleReason::MalformedSubjectKeyIdentifier);
    }
    let skid = facts.skid.as_deref().ok_or(BundleReason::NoSubjectKeyIdentifier)?;
    match facts.akid() {
        Some(akid) if akid != skid => {
            Err(BundleReason::NotARoot { akid: lower_hex(akid), skid: lower_hex(skid) })
        }
        _ => Ok(skid.to_vec()),
    }
}
