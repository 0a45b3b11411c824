//! Certificate revocation lists. The Kingdom reads none (contract 2.8); they serve the other
//! worlds of the harness.

use time::OffsetDateTime;

use crate::authority::Authority;
use crate::der::{self, oid};
use crate::draft::{self, Extension};
use crate::error::PkiError;
use crate::pem;

/// What a revocation list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlSpec {
    /// When the list is made.
    pub this_update: OffsetDateTime,
    /// When the next one is due at the latest.
    pub next_update: OffsetDateTime,
    /// CRL number (RFC 5280, 5.2.3), growing with every list of an authority.
    pub number: u64,
    /// The revoked certificates.
    pub revoked: Vec<RevokedSerial>,
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedSerial {
    /// The content octets of its serial INTEGER, as in [`LeafSpec::serial`](crate::LeafSpec).
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub revoked_at: OffsetDateTime,
    /// Reason code (RFC 5280, 5.3.1), for instance 1 for a compromised key, 6 for a hold.
    pub reason: Option<u8>,
}

/// A signed revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
}

impl Crl {
    /// Makes a version 2 list with a CRL number and the authority's key identifier, signed by
    /// `authority`. Draws no randomness.
    ///
    /// # Errors
    ///
    /// [`PkiError::Spec`] for a date outside the years 0 to 9999 or an empty serial.
    pub fn issue(authority: &Authority, spec: &CrlSpec) -> Result<Self, PkiError> {
        let mut revoked = Vec::new();
        for entry in &spec.revoked {
            revoked.extend(entry.encode()?);
        }
        // The list is left out when nothing is revoked (RFC 5280, 5.1.2.6).
        let revoked =
            if revoked.is_empty() { Vec::new() } else { der::element(der::SEQUENCE, &revoked) };
        let number = der::unsigned_integer(&spec.number.to_be_bytes());
        let skid = authority.subject_key_identifier();
        let extensions = der::sequence(&[
            &Extension::authority_key_identifier(Some(skid)).encode(),
            &Extension::new(oid::CRL_NUMBER, false, number).encode(),
        ]);
        let algorithm = draft::algorithm(oid::ECDSA_WITH_SHA256);
        let signed_part = der::sequence(&[
            &der::unsigned_integer(&[1]),
            &algorithm,
            authority.name(),
            &draft::time(spec.this_update, "this_update")?,
            &draft::time(spec.next_update, "next_update")?,
            &revoked,
            &der::element(0xa0, &extensions),
        ]);
        let signature = authority.key().sign(&signed_part)?;
        Ok(Self { der: der::sequence(&[&signed_part, &algorithm, &der::bit_string(&signature)]) })
    }

    /// The list in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The list as PEM (`X509 CRL`), ending in a newline.
    pub fn pem(&self) -> String {
        pem::encode("X509 CRL", &self.der)
    }
}

impl RevokedSerial {
    fn encode(&self) -> Result<Vec<u8>, PkiError> {
        if self.serial.is_empty() {
            return Err(PkiError::Spec { what: "a revoked serial has no octets".to_owned() });
        }
        let reason = self.reason.map(|reason| {
            let reason = Extension::new(oid::CRL_REASON, false, der::enumerated(reason));
            der::sequence(&[&reason.encode()])
        });
        Ok(der::sequence(&[
            &der::element(der::INTEGER, &self.serial),
            &draft::time(self.revoked_at, "revoked_at")?,
            &reason.unwrap_or_default(),
        ]))
    }
}
