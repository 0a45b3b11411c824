//! P-256 key pairs.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rand_core::RngCore;

use crate::der::{self, oid};
use crate::error::{KeyError, PkiError};
use crate::pem;

/// Octets of an uncompressed P-256 point.
const POINT_LENGTH: usize = 65;

/// The order of the P-256 group (SEC 2, 2.4.2), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A P-256 key pair (contract 4.4.1). Cheap to clone; clones share the key.
///
/// `Debug` shows the subject key identifier and never the private key.
#[derive(Clone)]
pub struct KeyPair(Arc<Inner>);

struct Inner {
    signer: EcdsaKeyPair,
    pkcs8: Vec<u8>,
    point: [u8; POINT_LENGTH],
}

impl KeyPair {
    /// Draws a key: 32 octets from `rng` taken as the private scalar, and drawn anew in the
    /// (practically unseen) case that they are zero or not below the group's order. The same
    /// generator state gives the same key.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        loop {
            let mut scalar = [0u8; 32];
            rng.fill_bytes(&mut scalar);
            if scalar != [0u8; 32] && scalar < ORDER {
                let bare = pkcs8(oid::PRIME256V1, &scalar, None);
                let key = Self::from_pkcs8_der(&bare)
                    .expect("every scalar in 1..order is a private key of P-256");
                let whole = pkcs8(oid::PRIME256V1, &scalar, Some(key.public_point()));
                return Self(Arc::new(Inner {
                    signer: key.0.signer.clone(),
                    pkcs8: whole,
                    point: key.0.point,
                }));
            }
        }
    }

    /// Takes an unencrypted PKCS#8 key on P-256, with or without the public key inside.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the bytes are anything else: another curve, another algorithm, an
    /// `ECPrivateKey` without its PKCS#8 shell, a public key that is not the private key's.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map_err(|error| KeyError { reason: error.to_string() })?;
        let point =
            signer.public_key().as_ref().try_into().map_err(|_| KeyError {
                reason: "the public key is not a P-256 point".to_owned(),
            })?;
        Ok(Self(Arc::new(Inner { signer, pkcs8: der.to_vec(), point })))
    }

    /// The key as unencrypted PKCS#8 DER, the form of `*.der` key files (contract 4.6.4). A loaded
    /// key gives back the bytes it was loaded from.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.0.pkcs8
    }

    /// The key as PEM whose first line is exactly `-----BEGIN PRIVATE KEY-----` (contract 4.6.1),
    /// ending in a newline.
    pub fn pkcs8_pem(&self) -> String {
        pem::encode(pem::PRIVATE_KEY, &self.0.pkcs8)
    }

    /// The public key as an uncompressed point: `0x04`, x, y (65 octets).
    pub fn public_point(&self) -> &[u8] {
        &self.0.point
    }

    /// The public key as SubjectPublicKeyInfo DER.
    pub fn public_key_info_der(&self) -> Vec<u8> {
        let algorithm = der::sequence(&[
            &der::object_identifier(oid::EC_PUBLIC_KEY),
            &der::object_identifier(oid::PRIME256V1),
        ]);
        der::sequence(&[&algorithm, &der::bit_string(&self.0.point)])
    }

    /// SHA-1 of the public key's bit string without its count of unused bits (RFC 5280, 4.2.1.2,
    /// method 1), which is what OpenSSL's `subjectKeyIdentifier = hash` writes. 20 octets.
    pub fn subject_key_identifier(&self) -> Vec<u8> {
        key_identifier(&self.0.point)
    }

    /// Signs with ECDSA and SHA-256; the signature is an ASN.1 DER sequence (contract 3.2). Its
    /// nonce comes from the crypto library, so two signatures over one message differ.
    ///
    /// # Errors
    ///
    /// [`PkiError::Signing`] when the crypto library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        let signature =
            self.0.signer.sign(&SystemRandom::new(), message).map_err(|_| PkiError::Signing)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identifier = crate::inspect::lower_hex(&self.subject_key_identifier());
        write!(formatter, "KeyPair {{ skid: {identifier}, private_key: redacted }}")
    }
}

/// Equal when they are the same public key.
impl PartialEq for KeyPair {
    fn eq(&self, other: &Self) -> bool {
        self.0.point == other.0.point
    }
}

impl Eq for KeyPair {}

/// SHA-1 of a public key's octets.
pub(crate) fn key_identifier(public_key: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, public_key).as_ref().to_vec()
}

/// PKCS#8 around an `ECPrivateKey` (RFC 5915) on the given curve.
pub(crate) fn pkcs8(curve: &[u8], scalar: &[u8], point: Option<&[u8]>) -> Vec<u8> {
    let algorithm = der::sequence(&[
        &der::object_identifier(oid::EC_PUBLIC_KEY),
        &der::object_identifier(curve),
    ]);
    let public = point.map(|point| der::element(0xa1, &der::bit_string(point))).unwrap_or_default();
    let private =
        der::sequence(&[&der::unsigned_integer(&[1]), &der::octet_string(scalar), &public]);
    der::sequence(&[&der::unsigned_integer(&[]), &algorithm, &der::octet_string(&private)])
}
