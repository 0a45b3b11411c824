//! What several tests need: seeded randomness, the known answers, and certificates.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use serde_json::Value;
use time::OffsetDateTime;

/// 2027-01-15, the middle of every certificate made here.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const YEAR: i64 = 31_536_000;

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn vectors() -> Value {
    serde_json::from_str(include_str!("../data/halo-crypto-vectors.json")).unwrap()
}

/// A hex field of the known answers, by its JSON pointer.
pub(crate) fn bytes(vectors: &Value, pointer: &str) -> Vec<u8> {
    hex::decode(vectors.pointer(pointer).unwrap().as_str().unwrap()).unwrap()
}

/// Parameters of a certificate valid for a year on either side of [`NOW`].
pub(crate) fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Some Organization");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = OffsetDateTime::from_unix_timestamp(NOW - YEAR).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(NOW + YEAR).unwrap();
    params.use_authority_key_identifier_extension = true;
    params
}

pub(crate) fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A self-signed authority.
pub(crate) struct Authority {
    pub(crate) der: Vec<u8>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(key: KeyPair) -> Self {
        Self::with(authority_params("Root"), key)
    }

    pub(crate) fn with(params: CertificateParams, key: KeyPair) -> Self {
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn leaf(&self, key: &KeyPair) -> Vec<u8> {
        self.leaf_with(params("leaf"), key)
    }

    pub(crate) fn leaf_with(&self, params: CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }
}

/// A P-256 key.
pub(crate) fn ec_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

/// An RSA key, which signs certificates with SHA-256.
pub(crate) fn rsa_key() -> KeyPair {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
}

/// Puts other content of the same length in place of every occurrence of some bytes.
pub(crate) fn replace(haystack: &[u8], needle: &[u8], with: &[u8]) -> Vec<u8> {
    assert_eq!(needle.len(), with.len());
    let places: Vec<_> = (0..=haystack.len() - needle.len())
        .filter(|i| haystack[*i..].starts_with(needle))
        .collect();
    let mut out = haystack.to_vec();
    assert!(!places.is_empty());
    for place in places {
        out[place..place + with.len()].copy_from_slice(with);
    }
    out
}
