//! Signing and verifying (3.1, 3.2).

use std::fmt;

use aws_lc_rs::digest::{self, Digest, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA384_ASN1,
    ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1,
    ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING, ED25519,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::algorithm::{Hash, KeyType, SignatureAlgorithm};

const OID_EC: &str = "1.2.840.10045.2.1";
const OID_P256: &str = "1.2.840.10045.3.1.7";
const OID_P384: &str = "1.3.132.0.34";
const OID_P521: &str = "1.3.132.0.35";
const OID_RSA: &str = "1.2.840.113549.1.1.1";
const OID_ED25519: &str = "1.3.101.112";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// Why bytes are not a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Not an unencrypted PKCS#8 DER document (4.6.4) with an EC key on P-256, P-384 or P-521 or an
    /// RSA key of 2048 to 8192 bits.
    #[error("not a PKCS#8 DER key of type EC (P-256, P-384, P-521) or RSA (2048 to 8192 bits)")]
    Rejected,
}

/// Why a message could not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The algorithm needs a key of another type (3.2.4).
    #[error("{algorithm} cannot be used with a key of type {key}")]
    KeyTypeMismatch {
        /// The algorithm asked for.
        algorithm: SignatureAlgorithm,
        /// The type of the key at hand.
        key: KeyType,
    },
    /// The library failed to sign.
    #[error("signing failed")]
    SigningFailed,
}

/// Why a signature was not accepted. A caller in the real system treats only
/// [`VerifyError::BadSignature`] as an invalid signature; all others are exceptions to it (3.2.3,
/// 3.2.4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The signature does not fit the message and the certificate's key, or is not a signature.
    #[error("bad signature")]
    BadSignature,
    /// The object identifier is not in table 3.2.1 (3.2.3); an empty one was replaced by the
    /// certificate's own before (3.1.4).
    #[error("unsupported signature algorithm {oid:?}")]
    UnsupportedOid {
        /// The identifier that was looked up.
        oid: String,
    },
    /// The algorithm needs a key of another type than the certificate's (3.2.4).
    #[error("{algorithm} cannot be verified with a key of type {key}")]
    KeyTypeMismatch {
        /// The algorithm that the identifier names.
        algorithm: SignatureAlgorithm,
        /// The key type of the certificate: `EC`, `RSA`, or the object identifier of another.
        key: String,
    },
    /// The certificate cannot be read; the text says what is wrong.
    #[error("bad certificate: {0}")]
    BadCertificate(&'static str),
}

/// A private key for signing. `Debug` shows the type only.
pub struct SigningKey(Inner);

enum Inner {
    Ec(Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.key_type()).finish()
    }
}

impl SigningKey {
    /// Reads an unencrypted PKCS#8 DER key, as in a `*_cs_private.der` file (4.4.9, 4.6.4). The
    /// type is read from the key itself; where the original reads it from the certificate (4.2.5,
    /// 4.6.2), compare [`SigningKey::key_type`] with [`certificate_key_type`].
    ///
    /// # Errors
    /// [`SigningKeyError::Rejected`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, SigningKeyError> {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve.signing(), der) {
                return Ok(Self(Inner::Ec(curve, pair)));
            }
        }
        match RsaKeyPair::from_pkcs8(der) {
            Ok(pair) => Ok(Self(Inner::Rsa(pair))),
            Err(_) => Err(SigningKeyError::Rejected),
        }
    }

    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        match self.0 {
            Inner::Ec(..) => KeyType::Ec,
            Inner::Rsa(_) => KeyType::Rsa,
        }
    }

    /// What this key signs with when nobody says otherwise (3.2.2).
    pub fn default_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::default_for(self.key_type())
    }

    /// Whether the certificate is about this very key. The official tool does not ask (4.2.5).
    ///
    /// # Errors
    /// [`VerifyError::BadCertificate`].
    pub fn is_key_of(&self, certificate_der: &[u8]) -> Result<bool, VerifyError> {
        let certificate = parse_certificate(certificate_der)?;
        Ok(match (&self.0, PublicKey::of(certificate.public_key())?) {
            (Inner::Ec(own, pair), PublicKey::Ec(curve, point)) => {
                *own == curve && pair.public_key().as_ref() == point
            }
            (Inner::Rsa(pair), PublicKey::Rsa(key)) => pair.public_key().as_ref() == key,
            _ => false,
        })
    }

    /// Signs the bytes of a message, which are the serialized inner message and nothing else
    /// (3.1.2). Any digest of table 3.2.1 goes with any curve, as it does in the original.
    ///
    /// RSA signatures repeat; ECDSA signatures do not, their nonces are the library's.
    ///
    /// # Errors
    /// [`SignError::KeyTypeMismatch`] (3.2.4); [`SignError::SigningFailed`].
    pub fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        if algorithm.key_type() != self.key_type() {
            return Err(SignError::KeyTypeMismatch { algorithm, key: self.key_type() });
        }
        match &self.0 {
            Inner::Ec(curve, pair) => {
                let digest = curve.native_digest(algorithm.hash(), message)?;
                let signature = pair.sign_digest(&digest).map_err(|_| SignError::SigningFailed)?;
                Ok(signature.as_ref().to_vec())
            }
            Inner::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm.hash() {
                    Hash::Sha256 => &RSA_PKCS1_SHA256,
                    Hash::Sha384 => &RSA_PKCS1_SHA384,
                    Hash::Sha512 => &RSA_PKCS1_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                // PKCS#1 v1.5 draws nothing: the generator is there for the library's signature.
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignError::SigningFailed)?;
                Ok(signature)
            }
        }
    }
}

impl Curve {
    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Curve::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            Curve::P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    fn verification(self, hash: Hash) -> &'static dyn VerificationAlgorithm {
        match (self, hash) {
            (Curve::P256, Hash::Sha256) => &ECDSA_P256_SHA256_ASN1,
            (Curve::P256, Hash::Sha384) => &ECDSA_P256_SHA384_ASN1,
            (Curve::P256, Hash::Sha512) => &ECDSA_P256_SHA512_ASN1,
            (Curve::P384, Hash::Sha256) => &ECDSA_P384_SHA256_ASN1,
            (Curve::P384, Hash::Sha384) => &ECDSA_P384_SHA384_ASN1,
            (Curve::P384, Hash::Sha512) => &ECDSA_P384_SHA512_ASN1,
            (Curve::P521, Hash::Sha256) => &ECDSA_P521_SHA256_ASN1,
            (Curve::P521, Hash::Sha384) => &ECDSA_P521_SHA384_ASN1,
            (Curve::P521, Hash::Sha512) => &ECDSA_P521_SHA512_ASN1,
        }
    }

    /// The digest of the message, in the width of the one digest that the library signs with on
    /// this curve.
    ///
    /// ECDSA takes a digest as a number, of as many leading bits as the group's order has. So a
    /// longer one may be cut to the order's length and a shorter one may be padded with leading
    /// zeros, without a change of that number. (P-521's order is longer than any digest.)
    fn native_digest(self, hash: Hash, message: &[u8]) -> Result<Digest, SignError> {
        let algorithm = match hash {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        let native = match self {
            Curve::P256 => &digest::SHA256,
            Curve::P384 => &digest::SHA384,
            Curve::P521 => &digest::SHA512,
        };
        let actual = digest(algorithm, message);
        let actual = actual.as_ref();
        let mut bytes = vec![0; native.output_len().saturating_sub(actual.len())];
        bytes.extend(actual.iter().take(native.output_len()));
        Digest::import_less_safe(&bytes, native).map_err(|_| SignError::SigningFailed)
    }
}

/// The public key of a certificate.
pub(crate) enum PublicKey<'a> {
    Ec(Curve, &'a [u8]),
    Rsa(&'a [u8]),
    Ed25519(&'a [u8]),
    Other(String),
}

impl<'a> PublicKey<'a> {
    pub(crate) fn of(info: &'a SubjectPublicKeyInfo<'_>) -> Result<Self, VerifyError> {
        let bytes = info.subject_public_key.data.as_ref();
        Ok(match info.algorithm.algorithm.to_id_string().as_str() {
            OID_EC => {
                let curve = info
                    .algorithm
                    .parameters
                    .as_ref()
                    .and_then(|parameters| parameters.as_oid().ok())
                    .ok_or(VerifyError::BadCertificate("EC key without a named curve"))?;
                let curve = match curve.to_id_string().as_str() {
                    OID_P256 => Curve::P256,
                    OID_P384 => Curve::P384,
                    OID_P521 => Curve::P521,
                    _ => return Err(VerifyError::BadCertificate("EC key on an unknown curve")),
                };
                PublicKey::Ec(curve, bytes)
            }
            OID_RSA => PublicKey::Rsa(bytes),
            OID_ED25519 => PublicKey::Ed25519(bytes),
            other => PublicKey::Other(other.to_owned()),
        })
    }

    fn type_name(&self) -> String {
        match self {
            PublicKey::Ec(..) => KeyType::Ec.to_string(),
            PublicKey::Rsa(_) => KeyType::Rsa.to_string(),
            PublicKey::Ed25519(_) => OID_ED25519.to_owned(),
            PublicKey::Other(oid) => oid.clone(),
        }
    }

    /// Verifies with an algorithm of table 3.2.1.
    pub(crate) fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let (verification, key): (&'static dyn VerificationAlgorithm, _) =
            match (algorithm.key_type(), self) {
                (KeyType::Ec, PublicKey::Ec(curve, point)) => {
                    (curve.verification(algorithm.hash()), point)
                }
                (KeyType::Rsa, PublicKey::Rsa(key)) => match algorithm.hash() {
                    Hash::Sha256 => (&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key),
                    Hash::Sha384 => (&RSA_PKCS1_2048_8192_SHA384, key),
                    Hash::Sha512 => (&RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, key),
                },
                _ => {
                    return Err(VerifyError::KeyTypeMismatch { algorithm, key: self.type_name() });
                }
            };
        UnparsedPublicKey::new(verification, key)
            .verify(message, signature)
            .map_err(|_| VerifyError::BadSignature)
    }

    /// Verifies an issuer's signature on a certificate: table 3.2.1 and Ed25519, which the JDK
    /// knows too.
    pub(crate) fn verify_certificate(
        &self,
        oid: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        match self {
            PublicKey::Ed25519(key) if oid == OID_ED25519 => UnparsedPublicKey::new(&ED25519, key)
                .verify(message, signature)
                .map_err(|_| VerifyError::BadSignature),
            _ => self.verify(algorithm_of(oid)?, message, signature),
        }
    }
}

fn algorithm_of(oid: &str) -> Result<SignatureAlgorithm, VerifyError> {
    SignatureAlgorithm::from_oid(oid)
        .ok_or_else(|| VerifyError::UnsupportedOid { oid: oid.to_owned() })
}

/// Reads one DER certificate and nothing after it.
pub(crate) fn parse_certificate(der: &[u8]) -> Result<X509Certificate<'_>, VerifyError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(VerifyError::BadCertificate("bytes after the certificate")),
        Err(_) => Err(VerifyError::BadCertificate("not a DER certificate")),
    }
}

/// The type of a certificate's key, with which the original reads the private key (4.2.5, 4.6.2).
///
/// # Errors
/// [`VerifyError::BadCertificate`], also if the key is neither EC nor RSA.
pub fn certificate_key_type(certificate_der: &[u8]) -> Result<KeyType, VerifyError> {
    match PublicKey::of(parse_certificate(certificate_der)?.public_key())? {
        PublicKey::Ec(..) => Ok(KeyType::Ec),
        PublicKey::Rsa(_) => Ok(KeyType::Rsa),
        _ => Err(VerifyError::BadCertificate("the key is neither EC nor RSA")),
    }
}

/// Verifies a signature over the bytes of a message with the key of a DER certificate (3.1.2,
/// 3.2).
///
/// An empty object identifier stands for the certificate's own signatureAlgorithm, that is the
/// algorithm of the *issuer's* signature on it, with the outcomes of 3.1.4 and 3.1.5. Neither the
/// validity nor the issuer of the certificate is looked at: see [`crate::check_path`].
///
/// # Errors
/// [`VerifyError`], in the order in which the original finds out: certificate, identifier, key
/// type, signature.
pub fn verify(
    certificate_der: &[u8],
    signature_algorithm_oid: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    let certificate = parse_certificate(certificate_der)?;
    let algorithm = if signature_algorithm_oid.is_empty() {
        algorithm_of(&certificate.signature_algorithm.algorithm.to_id_string())?
    } else {
        algorithm_of(signature_algorithm_oid)?
    };
    PublicKey::of(certificate.public_key())?.verify(algorithm, message, signature)
}
