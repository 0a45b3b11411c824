//! An unsigned certificate, every field of which may be wrong.

use std::net::IpAddr;

use crate::authority::Validity;
use crate::der::{self, oid};
use crate::error::PkiError;
use crate::key::KeyPair;

pub(crate) const DIGITAL_SIGNATURE: u16 = 1 << 15;
pub(crate) const NON_REPUDIATION: u16 = 1 << 14;
pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 13;
pub(crate) const KEY_CERT_SIGN: u16 = 1 << 10;
pub(crate) const CRL_SIGN: u16 = 1 << 9;

const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const KEY_IDENTIFIER: u8 = 0x80;

/// The fields of a certificate before signing. Those of type `Vec<u8>` are DER elements.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Content of the version INTEGER; `None` leaves the field out, which means version 1.
    pub(crate) version: Option<u8>,
    /// Content octets of the serial INTEGER.
    pub(crate) serial: Vec<u8>,
    /// The signature algorithm as the signed part states it.
    pub(crate) inner_algorithm: Vec<u8>,
    /// The signature algorithm as it stands beside the signature.
    pub(crate) outer_algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) not_before: Vec<u8>,
    pub(crate) not_after: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) public_key_info: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

#[derive(Clone)]
pub(crate) struct Extension {
    /// Content octets of the object identifier.
    pub(crate) oid: &'static [u8],
    pub(crate) critical: bool,
    /// What the extension's octet string holds.
    pub(crate) value: Vec<u8>,
}

impl Draft {
    /// A version 3 certificate without extensions, to be signed with ECDSA and SHA-256.
    pub(crate) fn new(
        serial: Vec<u8>,
        issuer: Vec<u8>,
        validity: &Validity,
        subject: Vec<u8>,
        public_key_info: Vec<u8>,
    ) -> Result<Self, PkiError> {
        Ok(Self {
            version: Some(2),
            serial,
            inner_algorithm: algorithm(oid::ECDSA_WITH_SHA256),
            outer_algorithm: algorithm(oid::ECDSA_WITH_SHA256),
            issuer,
            not_before: time(validity.not_before, "not_before")?,
            not_after: time(validity.not_after, "not_after")?,
            subject,
            public_key_info,
            extensions: Vec::new(),
        })
    }

    /// Signs the fields as they stand, whatever algorithm they claim.
    pub(crate) fn sign(&self, key: &KeyPair) -> Result<Vec<u8>, PkiError> {
        let signed_part = self.encode();
        let signature = der::bit_string(&key.sign(&signed_part)?);
        Ok(der::sequence(&[&signed_part, &self.outer_algorithm, &signature]))
    }

    /// The fields with these octets for a signature.
    pub(crate) fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        der::sequence(&[&self.encode(), &self.outer_algorithm, &der::bit_string(signature)])
    }

    /// Takes out every extension of this kind.
    pub(crate) fn remove(&mut self, oid: &[u8]) {
        self.extensions.retain(|extension| extension.oid != oid);
    }

    fn encode(&self) -> Vec<u8> {
        let version = self
            .version
            .map(|version| der::element(0xa0, &der::element(der::INTEGER, &[version])))
            .unwrap_or_default();
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::encode).collect();
        let extensions = if extensions.is_empty() {
            Vec::new()
        } else {
            der::element(0xa3, &der::element(der::SEQUENCE, &extensions))
        };
        der::sequence(&[
            &version,
            &der::element(der::INTEGER, &self.serial),
            &self.inner_algorithm,
            &self.issuer,
            &der::sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.public_key_info,
            &extensions,
        ])
    }
}

impl Extension {
    pub(crate) fn new(oid: &'static [u8], critical: bool, value: Vec<u8>) -> Self {
        Self { oid, critical, value }
    }

    pub(crate) fn basic_constraints(critical: bool, is_ca: bool, path_length: Option<u8>) -> Self {
        let ca = if is_ca { der::boolean(true) } else { Vec::new() };
        let path_length =
            path_length.map(|length| der::unsigned_integer(&[length])).unwrap_or_default();
        Self::new(oid::BASIC_CONSTRAINTS, critical, der::sequence(&[&ca, &path_length]))
    }

    /// Bit 0 of RFC 5280 (4.2.1.3) is the highest of `bits`; the lowest seven must be clear.
    pub(crate) fn key_usage(bits: u16) -> Self {
        let octet = (bits >> 8) as u8;
        let content = [octet.trailing_zeros().min(7) as u8, octet];
        Self::new(oid::KEY_USAGE, false, der::element(der::BIT_STRING, &content))
    }

    pub(crate) fn subject_key_identifier(identifier: &[u8]) -> Self {
        Self::new(oid::SUBJECT_KEY_IDENTIFIER, false, der::octet_string(identifier))
    }

    /// With `None` the extension is there and holds no key identifier.
    pub(crate) fn authority_key_identifier(identifier: Option<&[u8]>) -> Self {
        let identifier = identifier
            .map(|identifier| der::element(KEY_IDENTIFIER, identifier))
            .unwrap_or_default();
        Self::new(oid::AUTHORITY_KEY_IDENTIFIER, false, der::sequence(&[&identifier]))
    }

    pub(crate) fn subject_alt_name(dns_names: &[String], addresses: &[IpAddr]) -> Self {
        let dns_names = dns_names.iter().map(|name| der::element(DNS_NAME, name.as_bytes()));
        let addresses = addresses.iter().map(|address| match address {
            IpAddr::V4(address) => der::element(IP_ADDRESS, &address.octets()),
            IpAddr::V6(address) => der::element(IP_ADDRESS, &address.octets()),
        });
        let names: Vec<u8> = dns_names.chain(addresses).flatten().collect();
        Self::new(oid::SUBJECT_ALT_NAME, false, der::element(der::SEQUENCE, &names))
    }

    pub(crate) fn extended_key_usage(purposes: &[&[u8]]) -> Self {
        let purposes: Vec<u8> =
            purposes.iter().flat_map(|purpose| der::object_identifier(purpose)).collect();
        Self::new(oid::EXTENDED_KEY_USAGE, false, der::element(der::SEQUENCE, &purposes))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let critical = if self.critical { der::boolean(true) } else { Vec::new() };
        der::sequence(&[
            &der::object_identifier(self.oid),
            &critical,
            &der::octet_string(&self.value),
        ])
    }
}

/// An algorithm identifier without parameters.
pub(crate) fn algorithm(oid: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::object_identifier(oid)])
}

/// The name `O=..., CN=...`; an empty part is left out.
pub(crate) fn name(organization: &str, common_name: &str) -> Vec<u8> {
    let attribute = |oid: &[u8], value: &str| {
        if value.is_empty() {
            return Vec::new();
        }
        let pair = der::sequence(&[&der::object_identifier(oid), &der::utf8_string(value)]);
        der::element(der::SET, &pair)
    };
    der::sequence(&[
        &attribute(oid::ORGANIZATION, organization),
        &attribute(oid::COMMON_NAME, common_name),
    ])
}

pub(crate) fn time(moment: time::OffsetDateTime, field: &str) -> Result<Vec<u8>, PkiError> {
    der::time(moment).ok_or_else(|| PkiError::Spec {
        what: format!("{field} is {moment}, outside the years 0 to 9999"),
    })
}
