//! Authorities and the certificates they issue, after the recipe of contract 4.4.

use std::net::IpAddr;
use std::sync::Arc;

use rand_core::RngCore;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use crate::der::{self, oid};
use crate::draft::{self, Draft, Extension};
use crate::error::PkiError;
use crate::inspect::{self, inspect};
use crate::key::KeyPair;
use crate::pem;

/// Organization of a [`LeafSpec::new`].
pub const DEFAULT_ORGANIZATION: &str = "Halo Conformance";

/// Octets of a drawn serial number: the most RFC 5280 (4.1.2.2) allows.
const SERIAL_LENGTH: usize = 20;

/// The time a certificate is valid, both ends included. Written in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment of validity.
    pub not_before: OffsetDateTime,
    /// Last moment of validity. Nothing checks that it is the later one.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// `days` times 24 hours from `from` on (the recipe: 3650 for a root, 365 for a leaf, contract
    /// 4.4.2), cut off at the end of the year 9999, the last moment X.509 can write.
    pub fn days(from: OffsetDateTime, days: i64) -> Self {
        let not_after =
            from.checked_add(Duration::days(days)).unwrap_or(PrimitiveDateTime::MAX.assume_utc());
        Self { not_before: from, not_after }
    }
}

/// What an authority's certificate says beyond the recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritySpec {
    /// Subject's O; left out when empty.
    pub organization: String,
    /// Subject's CN; left out when empty.
    pub common_name: String,
    /// The one DNS subject alternative name (contract 4.4.7).
    pub dns_name: String,
    /// Validity.
    pub validity: Validity,
}

/// A certificate authority: a certificate and its P-256 key. Cheap to clone.
///
/// `Debug` never shows the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    key: KeyPair,
    certificate: Arc<[u8]>,
    /// Subject as it stands in the certificate, so that the leaves' issuer equals it octet by
    /// octet.
    name: Arc<[u8]>,
    skid: Arc<[u8]>,
}

impl Authority {
    /// Makes a self-signed root after contract 4.4: critical CA:TRUE; key usage digitalSignature,
    /// keyCertSign and cRLSign, not critical; subject key identifier the hash of the key;
    /// authority key identifier equal to it; one DNS subject alternative name; no extended key
    /// usage.
    ///
    /// Draws the key, then the serial (20 octets, positive) from `rng`.
    ///
    /// # Errors
    ///
    /// [`PkiError::Spec`] for a date outside the years 0 to 9999 or a DNS name that is not ASCII.
    pub fn create(spec: &AuthoritySpec, rng: &mut dyn RngCore) -> Result<Self, PkiError> {
        let key = KeyPair::generate(rng);
        let name = draft::name(&spec.organization, &spec.common_name);
        let skid = key.subject_key_identifier();
        let draft = authority_draft(spec, &key, name, &skid, rng)?;
        let certificate = draft.sign(&key)?;
        Ok(Self::assemble(key, certificate, draft.subject, skid))
    }

    /// Takes an existing authority: its certificate as DER or as PEM (of several blocks, the
    /// first) and its key as PEM after contract 4.6.1.
    ///
    /// # Errors
    ///
    /// [`PkiError::Pem`], [`PkiError::Inspect`] and [`PkiError::Key`] for unreadable parts,
    /// [`PkiError::KeyMismatch`] for a key that is not the certificate's, and
    /// [`PkiError::NotAnAuthority`] for a certificate without the CA flag or without a usable
    /// subject key identifier, which its leaves could not name.
    pub fn load(certificate: &[u8], key_pem: &str) -> Result<Self, PkiError> {
        let certificate = if pem::is_pem(certificate) {
            pem::pem_certificates(certificate)?.swap_remove(0)
        } else {
            certificate.to_vec()
        };
        let key = KeyPair::from_pkcs8_der(&pem::pem_private_key(key_pem)?)?;
        let facts = inspect(&certificate)?;
        if facts.public_key_info != key.public_key_info_der() {
            return Err(PkiError::KeyMismatch { subject: facts.subject });
        }
        let refused = |subject, reason| Err(PkiError::NotAnAuthority { subject, reason });
        if !facts.is_ca {
            return refused(
                facts.subject,
                "its basicConstraints do not say CA:TRUE; give the CA's",
            );
        }
        let Some(skid) = facts.skid else {
            return refused(facts.subject, "it has no readable subject key identifier; issue anew");
        };
        let name = inspect::raw_subject(&certificate)?;
        Ok(Self::assemble(key, certificate, name, skid))
    }

    /// The certificate in DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate as PEM, ending in a newline.
    pub fn certificate_pem(&self) -> String {
        pem::certificate_pem(&self.certificate)
    }

    /// The authority's key.
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// The certificate's subject key identifier, which its leaves name as their authority key
    /// identifier and the Kingdom maps to a principal (contract 2.4, 2.8).
    pub fn subject_key_identifier(&self) -> &[u8] {
        &self.skid
    }

    /// Issues a leaf for a fresh key. Draws the key from `rng`, then the serial unless the spec
    /// gives one.
    ///
    /// # Errors
    ///
    /// [`PkiError::Spec`] for a date outside the years 0 to 9999, a DNS name that is not ASCII or
    /// an empty serial.
    pub fn issue(&self, spec: &LeafSpec, rng: &mut dyn RngCore) -> Result<Leaf, PkiError> {
        let key = KeyPair::generate(rng);
        self.issue_for_key(spec, &key, rng)
    }

    /// Issues a leaf for a key that is there already, as a renewal without a new key does; such a
    /// leaf has the old one's subject key identifier, which the Kingdom takes only once (contract
    /// 1.1.8). Draws only the serial from `rng`, unless the spec gives one.
    ///
    /// # Errors
    ///
    /// As [`Authority::issue`].
    pub fn issue_for_key(
        &self,
        spec: &LeafSpec,
        key: &KeyPair,
        rng: &mut dyn RngCore,
    ) -> Result<Leaf, PkiError> {
        let draft = self.leaf_draft(spec, key, rng)?;
        Ok(Leaf::assemble(key.clone(), draft.sign(&self.key)?))
    }

    /// Makes an authority below this one: as [`Authority::create`], but signed by this authority
    /// and naming its key. Trust bundles refuse it (contract 2.11) and the Kingdom takes no chains
    /// (2.3).
    ///
    /// # Errors
    ///
    /// As [`Authority::create`].
    pub fn intermediate(
        &self,
        spec: &AuthoritySpec,
        rng: &mut dyn RngCore,
    ) -> Result<Self, PkiError> {
        let key = KeyPair::generate(rng);
        let draft = authority_draft(spec, &key, self.name.to_vec(), &self.skid, rng)?;
        let certificate = draft.sign(&self.key)?;
        let skid = key.subject_key_identifier();
        Ok(Self::assemble(key, certificate, draft.subject, skid))
    }

    pub(crate) fn assemble(
        key: KeyPair,
        certificate: Vec<u8>,
        name: Vec<u8>,
        skid: Vec<u8>,
    ) -> Self {
        Self { key, certificate: certificate.into(), name: name.into(), skid: skid.into() }
    }

    /// The certificate's subject, DER.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The leaf of this spec before signing.
    pub(crate) fn leaf_draft(
        &self,
        spec: &LeafSpec,
        key: &KeyPair,
        rng: &mut dyn RngCore,
    ) -> Result<Draft, PkiError> {
        let serial = match &spec.serial {
            Some(serial) if serial.is_empty() => {
                return Err(PkiError::Spec { what: "the serial has no octets".to_owned() });
            }
            Some(serial) => serial.clone(),
            None => draw_serial(rng),
        };
        check_dns_names(&spec.dns_names)?;
        let subject = draft::name(&spec.organization, &spec.common_name);
        let info = key.public_key_info_der();
        let mut draft = Draft::new(serial, self.name.to_vec(), &spec.validity, subject, info)?;
        draft.extensions = leaf_extensions(spec, key, &self.skid);
        Ok(draft)
    }
}

/// What a leaf certificate says. [`LeafSpec::new`] is the recipe of contract 4.4; change fields
/// for anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafSpec {
    /// Subject's O; left out when empty.
    pub organization: String,
    /// Subject's CN; left out when empty.
    pub common_name: String,
    /// DNS subject alternative names, exactly these. Without any name or address there is no
    /// such extension.
    pub dns_names: Vec<String>,
    /// IP address subject alternative names.
    pub ip_addresses: Vec<IpAddr>,
    /// Validity.
    pub validity: Validity,
    /// The authority key identifier.
    pub akid: AkidChoice,
    /// The subject key identifier.
    pub skid: SkidChoice,
    /// Whether basicConstraints say CA:TRUE; if so keyUsage has keyCertSign as well.
    pub is_ca: bool,
    /// Extended key usages; none leaves the extension out (contract 4.4.8).
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    /// The content octets of the serial INTEGER, written as they stand: two's complement,
    /// big-endian, so that a first octet of 0x80 or more makes it negative. `None` draws 20
    /// octets of a positive number.
    pub serial: Option<Vec<u8>>,
}

impl LeafSpec {
    /// The recipe (contract 4.4): CA:FALSE, not critical; key usage nonRepudiation,
    /// digitalSignature and keyEncipherment, not critical; subject key identifier the hash of the
    /// key; authority key identifier with the key id only; DNS name `localhost`; no extended key
    /// usage; [`DEFAULT_ORGANIZATION`].
    pub fn new(common_name: impl Into<String>, validity: Validity) -> Self {
        Self {
            organization: DEFAULT_ORGANIZATION.to_owned(),
            common_name: common_name.into(),
            dns_names: vec!["localhost".to_owned()],
            ip_addresses: Vec::new(),
            validity,
            akid: AkidChoice::Issuer,
            skid: SkidChoice::Hash,
            is_ca: false,
            extended_key_usage: Vec::new(),
            serial: None,
        }
    }
}

/// The authority key identifier of a leaf: the value the Kingdom takes the caller's identity from
/// (contract 2.3, 2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AkidChoice {
    /// The issuer's subject key identifier (the recipe).
    Issuer,
    /// No such extension: no identity (2.3).
    Absent,
    /// This key identifier, whoever signs.
    Of(Vec<u8>),
    /// The extension twice, in this order; such a certificate does not parse in the JVM (2.15).
    Twice(Vec<u8>, Vec<u8>),
    /// The extension without a key identifier inside: no identity (2.3).
    KeyIdAbsent,
}

/// The subject key identifier of a leaf: the value that is unique in the Kingdom (contract 1.1.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkidChoice {
    /// [`KeyPair::subject_key_identifier`] (the recipe).
    Hash,
    /// No such extension: CreateCertificate refuses it (1.1.5).
    Absent,
    /// These octets, whatever the key.
    Of(Vec<u8>),
    /// An octet string of length zero, which counts as present (1.1.5).
    Empty,
    /// An extension that holds no octet string (1.1.5: UNKNOWN).
    Malformed,
}

/// A purpose of the extended key usage extension (RFC 5280, 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExtendedKeyUsage {
    /// TLS server.
    ServerAuth,
    /// TLS client.
    ClientAuth,
    /// Signing code, no purpose of the harness.
    CodeSigning,
}

/// An issued certificate and its key. Cheap to clone. `Debug` never shows the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    key: KeyPair,
    certificate: Arc<[u8]>,
}

impl Leaf {
    /// A leaf that somebody else has made, with its key.
    ///
    /// # Errors
    /// [`PkiError::KeyMismatch`] when the key is not the certificate's, and the errors of bytes that
    /// are no certificate or no P-256 key.
    pub fn load(certificate_der: &[u8], key_pkcs8_der: &[u8]) -> Result<Self, PkiError> {
        let facts = crate::inspect(certificate_der)?;
        let key = KeyPair::from_pkcs8_der(key_pkcs8_der)?;
        if facts.public_key_info != key.public_key_info_der() {
            return Err(PkiError::KeyMismatch { subject: facts.subject });
        }
        Ok(Self { key, certificate: certificate_der.into() })
    }

    /// The certificate in DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate as PEM, ending in a newline.
    pub fn certificate_pem(&self) -> String {
        pem::certificate_pem(&self.certificate)
    }

    /// The leaf's key.
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    pub(crate) fn assemble(key: KeyPair, certificate: Vec<u8>) -> Self {
        Self { key, certificate: certificate.into() }
    }
}

pub(crate) fn authority_draft(
    spec: &AuthoritySpec,
    key: &KeyPair,
    issuer: Vec<u8>,
    issuer_skid: &[u8],
    rng: &mut dyn RngCore,
) -> Result<Draft, PkiError> {
    let dns_names = [spec.dns_name.clone()];
    check_dns_names(&dns_names)?;
    let subject = draft::name(&spec.organization, &spec.common_name);
    let serial = draw_serial(rng);
    let mut draft = Draft::new(serial, issuer, &spec.validity, subject, key.public_key_info_der())?;
    let usage = draft::DIGITAL_SIGNATURE | draft::KEY_CERT_SIGN | draft::CRL_SIGN;
    draft.extensions = vec![
        Extension::basic_constraints(true, true, None),
        Extension::key_usage(usage),
        Extension::subject_key_identifier(&key.subject_key_identifier()),
        Extension::authority_key_identifier(Some(issuer_skid)),
        Extension::subject_alt_name(&dns_names, &[]),
    ];
    Ok(draft)
}

fn leaf_extensions(spec: &LeafSpec, key: &KeyPair, issuer_skid: &[u8]) -> Vec<Extension> {
    let mut usage = draft::NON_REPUDIATION | draft::DIGITAL_SIGNATURE | draft::KEY_ENCIPHERMENT;
    if spec.is_ca {
        usage |= draft::KEY_CERT_SIGN;
    }
    let mut extensions =
        vec![Extension::basic_constraints(false, spec.is_ca, None), Extension::key_usage(usage)];
    let skid = Extension::subject_key_identifier;
    match &spec.skid {
        SkidChoice::Hash => extensions.push(skid(&key.subject_key_identifier())),
        SkidChoice::Absent => {}
        SkidChoice::Of(identifier) => extensions.push(skid(identifier)),
        SkidChoice::Empty => extensions.push(skid(&[])),
        SkidChoice::Malformed => extensions.push(Extension::new(
            oid::SUBJECT_KEY_IDENTIFIER,
            false,
            der::utf8_string("not an octet string"),
        )),
    }
    let akid = Extension::authority_key_identifier;
    match &spec.akid {
        AkidChoice::Issuer => extensions.push(akid(Some(issuer_skid))),
        AkidChoice::Absent => {}
        AkidChoice::Of(identifier) => extensions.push(akid(Some(identifier))),
        AkidChoice::Twice(first, second) => {
            extensions.push(akid(Some(first)));
            extensions.push(akid(Some(second)));
        }
        AkidChoice::KeyIdAbsent => extensions.push(akid(None)),
    }
    if !spec.dns_names.is_empty() || !spec.ip_addresses.is_empty() {
        extensions.push(Extension::subject_alt_name(&spec.dns_names, &spec.ip_addresses));
    }
    if !spec.extended_key_usage.is_empty() {
        let purposes: Vec<&[u8]> = spec
            .extended_key_usage
            .iter()
            .map(|purpose| match purpose {
                ExtendedKeyUsage::ServerAuth => oid::SERVER_AUTH,
                ExtendedKeyUsage::ClientAuth => oid::CLIENT_AUTH,
                ExtendedKeyUsage::CodeSigning => oid::CODE_SIGNING,
            })
            .collect();
        extensions.push(Extension::extended_key_usage(&purposes));
    }
    extensions
}

/// A positive number of exactly 20 octets.
pub(crate) fn draw_serial(rng: &mut dyn RngCore) -> Vec<u8> {
    let mut serial = [0u8; SERIAL_LENGTH];
    rng.fill_bytes(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40;
    serial.to_vec()
}

fn check_dns_names(names: &[String]) -> Result<(), PkiError> {
    match names.iter().find(|name| !name.is_ascii()) {
        None => Ok(()),
        Some(name) => Err(PkiError::Spec {
            what: format!("the DNS name `{name}` is not ASCII, give its A-label form"),
        }),
    }
}
