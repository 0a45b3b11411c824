//! The signature algorithms of table 3.2.1.

use std::fmt;

/// The type of a signing key, as far as the contract tells types apart (3.2.2, 3.2.4): the curve
/// and the size are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// An elliptic-curve key (P-256, P-384 or P-521).
    Ec,
    /// An RSA key.
    Rsa,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyType::Ec => "EC",
            KeyType::Rsa => "RSA",
        })
    }
}

/// The digest inside a signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A signature algorithm that the system knows: the rows of table 3.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256, the signature being ASN.1 DER.
    EcdsaWithSha256,
    /// ECDSA with SHA-384, the signature being ASN.1 DER.
    EcdsaWithSha384,
    /// ECDSA with SHA-512, the signature being ASN.1 DER.
    EcdsaWithSha512,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Sha256WithRsaEncryption,
    /// RSA PKCS#1 v1.5 with SHA-384.
    Sha384WithRsaEncryption,
    /// RSA PKCS#1 v1.5 with SHA-512.
    Sha512WithRsaEncryption,
}

impl SignatureAlgorithm {
    /// Every algorithm, in the order of table 3.2.1.
    pub const ALL: [SignatureAlgorithm; 6] = [
        SignatureAlgorithm::EcdsaWithSha256,
        SignatureAlgorithm::EcdsaWithSha384,
        SignatureAlgorithm::EcdsaWithSha512,
        SignatureAlgorithm::Sha256WithRsaEncryption,
        SignatureAlgorithm::Sha384WithRsaEncryption,
        SignatureAlgorithm::Sha512WithRsaEncryption,
    ];

    /// The object identifier as a dotted string, as `signature_algorithm_oid` carries it (3.2.1).
    pub const fn oid(self) -> &'static str {
        match self {
            SignatureAlgorithm::EcdsaWithSha256 => "1.2.840.10045.4.3.2",
            SignatureAlgorithm::EcdsaWithSha384 => "1.2.840.10045.4.3.3",
            SignatureAlgorithm::EcdsaWithSha512 => "1.2.840.10045.4.3.4",
            SignatureAlgorithm::Sha256WithRsaEncryption => "1.2.840.113549.1.1.11",
            SignatureAlgorithm::Sha384WithRsaEncryption => "1.2.840.113549.1.1.12",
            SignatureAlgorithm::Sha512WithRsaEncryption => "1.2.840.113549.1.1.13",
        }
    }

    /// The name in the options and the output of the command line tools (3.2.1, 4.2.3).
    pub const fn tool_name(self) -> &'static str {
        match self {
            SignatureAlgorithm::EcdsaWithSha256 => "ECDSA_WITH_SHA256",
            SignatureAlgorithm::EcdsaWithSha384 => "ECDSA_WITH_SHA384",
            SignatureAlgorithm::EcdsaWithSha512 => "ECDSA_WITH_SHA512",
            SignatureAlgorithm::Sha256WithRsaEncryption => "SHA_256_WITH_RSA_ENCRYPTION",
            SignatureAlgorithm::Sha384WithRsaEncryption => "SHA_384_WITH_RSA_ENCRYPTION",
            SignatureAlgorithm::Sha512WithRsaEncryption => "SHA_512_WITH_RSA_ENCRYPTION",
        }
    }

    /// The algorithm of a dotted object identifier; `None` outside table 3.2.1, which a verifier
    /// treats as an exception and not as a bad signature (3.2.3).
    pub fn from_oid(oid: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.oid() == oid)
    }

    /// The algorithm of a tool name, exactly as written in table 3.2.1; `None` for any other.
    pub fn from_tool_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.tool_name() == name)
    }

    /// What is signed with when nobody says otherwise: SHA-256 with the key's type (3.2.2).
    pub const fn default_for(key_type: KeyType) -> Self {
        match key_type {
            KeyType::Ec => SignatureAlgorithm::EcdsaWithSha256,
            KeyType::Rsa => SignatureAlgorithm::Sha256WithRsaEncryption,
        }
    }

    /// The type of key this algorithm needs (3.2.4).
    pub const fn key_type(self) -> KeyType {
        match self {
            SignatureAlgorithm::EcdsaWithSha256
            | SignatureAlgorithm::EcdsaWithSha384
            | SignatureAlgorithm::EcdsaWithSha512 => KeyType::Ec,
            SignatureAlgorithm::Sha256WithRsaEncryption
            | SignatureAlgorithm::Sha384WithRsaEncryption
            | SignatureAlgorithm::Sha512WithRsaEncryption => KeyType::Rsa,
        }
    }

    pub(crate) const fn hash(self) -> Hash {
        match self {
            SignatureAlgorithm::EcdsaWithSha256 | SignatureAlgorithm::Sha256WithRsaEncryption => {
                Hash::Sha256
            }
            SignatureAlgorithm::EcdsaWithSha384 | SignatureAlgorithm::Sha384WithRsaEncryption => {
                Hash::Sha384
            }
            SignatureAlgorithm::EcdsaWithSha512 | SignatureAlgorithm::Sha512WithRsaEncryption => {
                Hash::Sha512
            }
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    /// The tool name (3.2.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tool_name())
    }
}
