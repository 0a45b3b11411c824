//! Reading certificates into plain facts.

use std::net::IpAddr;

use time::OffsetDateTime;
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser as _;
use x509_parser::prelude::{X509Certificate, X509Extension};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::der::{self, oid};
use crate::error::InspectError;
use crate::pem;

/// What a certificate says. Nothing here has been verified: no signature, date or rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// 1, 2 or 3.
    pub version: u32,
    /// Subject, as `O=..., CN=...`.
    pub subject: String,
    /// Issuer, in the same form.
    pub issuer: String,
    /// The content octets of the serial INTEGER in lower hex, as they stand: a positive number
    /// whose first octet would be 0x80 or more shows its leading `00`, a negative one has none.
    pub serial: String,
    /// The subject key identifier, any length, zero included (contract 1.1.5, 1.1.6). `None` when
    /// there is no such extension or it is malformed. Of two, the first.
    pub skid: Option<Vec<u8>>,
    /// There is a subject key identifier extension that holds no octet string (1.1.5).
    pub skid_malformed: bool,
    /// One entry for each authority key identifier extension, in order: the key identifier
    /// inside, `None` when it has none or cannot be read.
    pub akids: Vec<Option<Vec<u8>>>,
    /// First moment of validity.
    pub not_before: OffsetDateTime,
    /// Last moment of validity.
    pub not_after: OffsetDateTime,
    /// basicConstraints say CA:TRUE.
    pub is_ca: bool,
    /// DNS subject alternative names, in order.
    pub dns_names: Vec<String>,
    /// IP address subject alternative names, in order.
    pub ip_addresses: Vec<IpAddr>,
    /// Kind of the public key, from which the verifier takes the key algorithm (4.6.2).
    pub public_key_algorithm: PublicKeyAlgorithm,
    /// The SubjectPublicKeyInfo in DER.
    pub public_key_info: Vec<u8>,
    /// OID of the algorithm beside the signature, in dotted form.
    pub signature_algorithm: String,
    /// Issuer and subject are the same octets.
    pub self_issued: bool,
    /// Extensions that appear more than once, in dotted form; the JVM does not parse a
    /// certificate that has any (2.15).
    pub duplicate_extensions: Vec<String>,
}

impl CertificateFacts {
    /// The key identifier of the first authority key identifier extension, which is the caller's
    /// identity (contract 2.3). `None` when there is no extension or no key identifier in it.
    pub fn akid(&self) -> Option<&[u8]> {
        self.akids.first()?.as_deref()
    }

    /// Whether `now` lies within the validity, ends included.
    pub fn is_valid_at(&self, now: OffsetDateTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// The kind of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKeyAlgorithm {
    /// Elliptic curve P-256.
    EcP256,
    /// Elliptic curve P-384.
    EcP384,
    /// An elliptic curve by another name, dotted; empty when the curve is not named.
    EcOther(String),
    /// RSA with a modulus of so many bits (0 when the key cannot be read).
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// Ed25519.
    Ed25519,
    /// Any other, by its dotted OID.
    Other(String),
}

/// Reads one DER certificate. Extensions are looked at as far as the facts need; a zero-length
/// subject key identifier, repeated extensions and negative or overlong serials are facts, not
/// errors.
///
/// # Errors
///
/// [`InspectError`] for no bytes, PEM text, a certificate cut short, trailing bytes, and
/// anything that is not a certificate.
pub fn inspect(der: &[u8]) -> Result<CertificateFacts, InspectError> {
    let certificate = parse(der)?;
    let tbs = &certificate.tbs_certificate;
    if tbs.version.0 > 2 {
        return Err(InspectError::Malformed {
            what: format!("version {} does not exist", tbs.version.0),
        });
    }
    let mut facts = CertificateFacts {
        version: tbs.version.0 + 1,
        subject: tbs.subject.to_string(),
        issuer: tbs.issuer.to_string(),
        serial: lower_hex(tbs.raw_serial()),
        skid: None,
        skid_malformed: false,
        akids: Vec::new(),
        not_before: tbs.validity.not_before.to_datetime(),
        not_after: tbs.validity.not_after.to_datetime(),
        is_ca: false,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        public_key_algorithm: public_key_algorithm(&tbs.subject_pki),
        public_key_info: tbs.subject_pki.raw.to_vec(),
        signature_algorithm: certificate.signature_algorithm.algorithm.to_id_string(),
        self_issued: tbs.issuer.as_raw() == tbs.subject.as_raw(),
        duplicate_extensions: Vec::new(),
    };
    let extensions = tbs.extensions();
    for (index, extension) in extensions.iter().enumerate() {
        read_extension(extension, &mut facts);
        let earlier = extensions[..index].iter().any(|other| other.oid == extension.oid);
        if earlier {
            let oid = extension.oid.to_id_string();
            if !facts.duplicate_extensions.contains(&oid) {
                facts.duplicate_extensions.push(oid);
            }
        }
    }
    Ok(facts)
}

/// The subject as it stands in the certificate, DER.
pub(crate) fn raw_subject(der: &[u8]) -> Result<Vec<u8>, InspectError> {
    Ok(parse(der)?.tbs_certificate.subject.as_raw().to_vec())
}

pub(crate) fn lower_hex(octets: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 0x0f)]).collect()
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, InspectError> {
    if der.is_empty() {
        return Err(InspectError::Empty);
    }
    if let Some(announced) = announced_length(der)
        && announced > der.len()
        && der[0] == der::SEQUENCE
    {
        return Err(InspectError::Truncated { announced, present: der.len() });
    }
    // Extensions are read below, and only those of interest.
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    match parser.parse(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(InspectError::TrailingBytes { count: rest.len() }),
        Err(_) if pem::is_pem(&der[..der.len().min(4096)]) => Err(InspectError::Pem),
        Err(error) => Err(InspectError::Malformed { what: error.to_string() }),
    }
}

/// Length of the first element, header included, when the header is there and makes sense.
fn announced_length(der: &[u8]) -> Option<usize> {
    let first = *der.get(1)?;
    if first < 0x80 {
        return Some(2 + usize::from(first));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let octets = der.get(2..2 + count)?;
    let length = octets.iter().fold(0usize, |sum, octet| sum << 8 | usize::from(*octet));
    length.checked_add(2 + count)
}

fn read_extension(extension: &X509Extension<'_>, facts: &mut CertificateFacts) {
    let value = extension.value;
    match extension.oid.as_bytes() {
        oid::SUBJECT_KEY_IDENTIFIER => match der::read_only(value, der::OCTET_STRING) {
            Some(identifier) if facts.skid.is_none() => facts.skid = Some(identifier.to_vec()),
            Some(_) => {}
            None => facts.skid_malformed = true,
        },
        oid::AUTHORITY_KEY_IDENTIFIER => facts.akids.push(key_identifier(value)),
        oid::BASIC_CONSTRAINTS => facts.is_ca |= says_ca(value),
        oid::SUBJECT_ALT_NAME => read_names(value, facts),
        _ => {}
    }
}

/// keyIdentifier, the element tagged [0], of an AuthorityKeyIdentifier.
fn key_identifier(value: &[u8]) -> Option<Vec<u8>> {
    let content = der::read_only(value, der::SEQUENCE)?;
    elements(content).find(|(tag, _)| *tag == 0x80).map(|(_, content)| content.to_vec())
}

fn says_ca(value: &[u8]) -> bool {
    let first = der::read_only(value, der::SEQUENCE).and_then(der::read);
    first.is_some_and(|first| first.tag == der::BOOLEAN && first.content == [0xff])
}

fn read_names(value: &[u8], facts: &mut CertificateFacts) {
    let content = der::read_only(value, der::SEQUENCE).unwrap_or_default();
    for (tag, content) in elements(content) {
        match (tag, content.len()) {
            (0x82, _) => facts.dns_names.push(String::from_utf8_lossy(content).into_owned()),
            (0x87, 4) => {
                facts.ip_addresses.extend(<[u8; 4]>::try_from(content).map(IpAddr::from));
            }
            (0x87, 16) => {
                facts.ip_addresses.extend(<[u8; 16]>::try_from(content).map(IpAddr::from));
            }
            _ => {}
        }
    }
}

fn public_key_algorithm(info: &SubjectPublicKeyInfo<'_>) -> PublicKeyAlgorithm {
    let algorithm = &info.algorithm;
    match algorithm.algorithm.as_bytes() {
        oid::EC_PUBLIC_KEY => {
            let curve = algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
            match curve.as_ref().map(|curve| curve.as_bytes()) {
                Some(oid::PRIME256V1) => PublicKeyAlgorithm::EcP256,
                Some(oid::SECP384R1) => PublicKeyAlgorithm::EcP384,
                _ => PublicKeyAlgorithm::EcOther(
                    curve.map(|curve| curve.to_id_string()).unwrap_or_default(),
                ),
            }
        }
        oid::RSA_ENCRYPTION => {
            let modulus = der::read_only(&info.subject_public_key.data, der::SEQUENCE)
                .and_then(der::read)
                .filter(|first| first.tag == der::INTEGER)
                .map(|first| first.content)
                .unwrap_or_default();
            let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
            let significant = &modulus[zeros..];
            let spare = significant.first().map_or(0, |first| first.leading_zeros() as usize);
            PublicKeyAlgorithm::Rsa { bits: 8 * significant.len() - spare }
        }
        oid::ED25519 => PublicKeyAlgorithm::Ed25519,
        _ => PublicKeyAlgorithm::Other(algorithm.algorithm.to_id_string()),
    }
}

/// The elements of a constructed content, up to the first that cannot be read.
fn elements(mut content: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let element = der::read(content)?;
        content = element.rest;
        Some((element.tag, element.content))
    })
}
