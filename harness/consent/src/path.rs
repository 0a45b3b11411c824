//! The certificate path check that peers make (3.3).

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::x509::X509Name;

use crate::signature::{PublicKey, VerifyError, parse_certificate};

/// Why a leaf does not sit under the issuer it is checked against. The original knows one exception
/// for all of them; they are kept apart here so that a verdict can say which it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The leaf cannot be read.
    #[error("bad leaf certificate: {0}")]
    BadLeaf(&'static str),
    /// The trusted issuer's certificate cannot be read.
    #[error("bad issuer certificate: {0}")]
    BadIssuer(&'static str),
    /// The leaf names another issuer than the trusted one's subject.
    #[error("the leaf names another issuer")]
    IssuerNameMismatch,
    /// The leaf's authority key identifier is not the issuer's subject key identifier (only where
    /// both have one).
    #[error("the leaf's authority key identifier is not the issuer's subject key identifier")]
    KeyIdentifierMismatch,
    /// The leaf is not valid yet at the given time.
    #[error("the leaf is not valid before {not_before}")]
    NotYetValid {
        /// Seconds since the Unix epoch.
        not_before: i64,
    },
    /// The leaf is not valid any more at the given time, whenever anything was signed with it
    /// (3.3.2).
    #[error("the leaf is not valid after {not_after}")]
    Expired {
        /// Seconds since the Unix epoch.
        not_after: i64,
    },
    /// The issuer signed with an algorithm that is neither in table 3.2.1 nor Ed25519.
    #[error("the leaf is signed with the unsupported algorithm {oid:?}")]
    UnsupportedAlgorithm {
        /// The identifier of the leaf's signatureAlgorithm.
        oid: String,
    },
    /// The issuer's signature on the leaf does not verify with the trusted issuer's key (or that
    /// key is of another type).
    #[error("the issuer's signature on the leaf is bad")]
    BadSignature,
    /// The leaf has a critical extension that no part of the path check understands.
    #[error("the leaf has the unknown critical extension {oid}")]
    UnknownCriticalExtension {
        /// The identifier of the extension.
        oid: String,
    },
}

/// Checks that a leaf sits directly under a trusted issuer at a given time: a PKIX path of length
/// one, revocation off (3.3.1).
///
/// Looks at, in the order of the JDK: the names, the key identifiers where both certificates have
/// one, the leaf's validity (both ends included), the issuer's signature, and the leaf's critical
/// extensions. Not at: the issuer's own validity (3.3.3), its basic constraints and key usage (it
/// is a trust anchor, which the JDK takes as it is), any revocation state, and whose certificate it
/// is (3.4).
///
/// # Errors
/// [`PathError`]: the first thing that is wrong.
pub fn check_path(
    leaf_der: &[u8],
    trusted_issuer_der: &[u8],
    now_unix_seconds: i64,
) -> Result<(), PathError> {
    let leaf = read(leaf_der).map_err(PathError::BadLeaf)?;
    let issuer = read(trusted_issuer_der).map_err(PathError::BadIssuer)?;
    if !same_name(leaf.issuer(), issuer.subject()) {
        return Err(PathError::IssuerNameMismatch);
    }
    if let (Some(authority), Some(subject)) = (authority_key_id(&leaf), subject_key_id(&issuer))
        && authority != subject
    {
        return Err(PathError::KeyIdentifierMismatch);
    }
    let not_before = leaf.validity().not_before.timestamp();
    if now_unix_seconds < not_before {
        return Err(PathError::NotYetValid { not_before });
    }
    let not_after = leaf.validity().not_after.timestamp();
    if now_unix_seconds > not_after {
        return Err(PathError::Expired { not_after });
    }
    check_signature(&leaf, &issuer)?;
    for extension in leaf.extensions().iter().filter(|extension| extension.critical) {
        // What the JDK's checkers take off the list of critical extensions.
        let known = matches!(
            extension.parsed_extension(),
            ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::BasicConstraints(_)
                | ParsedExtension::NameConstraints(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::PolicyMappings(_)
                | ParsedExtension::PolicyConstraints(_)
                | ParsedExtension::InhibitAnyPolicy(_)
        );
        if !known {
            return Err(PathError::UnknownCriticalExtension { oid: extension.oid.to_id_string() });
        }
    }
    Ok(())
}

/// Checks the issuer's signature on a leaf and nothing else: no names, no dates, no extensions
/// (contract 4.5).
///
/// # Errors
/// [`PathError`]: a certificate that cannot be read, an unsupported algorithm, a bad signature.
pub fn check_issuer_signature(leaf_der: &[u8], issuer_der: &[u8]) -> Result<(), PathError> {
    let leaf = read(leaf_der).map_err(PathError::BadLeaf)?;
    let issuer = read(issuer_der).map_err(PathError::BadIssuer)?;
    check_signature(&leaf, &issuer)
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, &'static str> {
    let certificate = parse_certificate(der).map_err(reason)?;
    if certificate.signature_algorithm.algorithm != certificate.tbs_certificate.signature.algorithm
    {
        return Err("the two signature algorithms differ");
    }
    Ok(certificate)
}

fn reason(error: VerifyError) -> &'static str {
    match error {
        VerifyError::BadCertificate(reason) => reason,
        _ => "unusable",
    }
}

fn check_signature(
    leaf: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<(), PathError> {
    let key =
        PublicKey::of(issuer.public_key()).map_err(|error| PathError::BadIssuer(reason(error)))?;
    let oid = leaf.signature_algorithm.algorithm.to_id_string();
    let message = leaf.tbs_certificate.as_ref();
    match key.verify_certificate(&oid, message, leaf.signature_value.data.as_ref()) {
        Ok(()) => Ok(()),
        Err(VerifyError::UnsupportedOid { oid }) => Err(PathError::UnsupportedAlgorithm { oid }),
        Err(_) => Err(PathError::BadSignature),
    }
}

fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => Some(id.key_identifier.as_ref()?.0),
        _ => None,
    })
}

fn subject_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

/// Whether two names are the same: by their bytes, or else attribute by attribute in RFC 5280's
/// sense (section 7.1: other string type, letter case or spacing).
fn same_name(a: &X509Name<'_>, b: &X509Name<'_>) -> bool {
    a.as_raw() == b.as_raw() || canonical(a).is_some_and(|name| Some(name) == canonical(b))
}

fn canonical(name: &X509Name<'_>) -> Option<Vec<Vec<(String, String)>>> {
    name.iter_rdn()
        .map(|rdn| {
            let mut attributes = rdn
                .iter()
                .map(|attribute| {
                    let value = attribute.as_str().ok()?;
                    let words: Vec<_> = value.split_whitespace().map(str::to_lowercase).collect();
                    Some((attribute.attr_type().to_id_string(), words.join(" ")))
                })
                .collect::<Option<Vec<_>>>()?;
            attributes.sort();
            Some(attributes)
        })
        .collect()
}
