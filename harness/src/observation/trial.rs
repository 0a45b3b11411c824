//! Trials of credentials that should be dead.

use serde::Serialize;

/// What kind of credential is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A leaf of mTLS; known by its subject key identifier.
    TlsLeaf,
    /// A root of mTLS, tried by a leaf that whoever has its key can issue at any time; known by its
    /// subject key identifier.
    TlsRoot,
    /// A consent signalling certificate; known by its resource name.
    SigningCertificate,
    /// An encryption key pair; known by the SHA-256 of its public key, or by what the scenario calls it.
    EncryptionKey,
}

/// How one use of a credential ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When; RFC 3339, by the server's clock where it has a record.
    pub time: String,
    /// Why it was refused; `None` if it was accepted.
    pub refused_for: Option<String>,
    /// Numbers of the server's events that say so.
    pub events: Vec<u64>,
}

/// An old credential tried at one door, and the same with the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Whose, such as `edp1`.
    pub owner: String,
    /// What is tried, in words, such as `old leaf`.
    pub what: String,
    /// Its kind.
    pub kind: CredentialKind,
    /// What identifies it.
    pub credential: String,
    /// Where it was tried, such as `the Kingdom`, `worker1`, `CreateMeasurement`.
    pub door: String,
    /// Earlier uses of the old credential there, by the owner or anybody else.
    pub earlier: Vec<Attempt>,
    /// With the old credential.
    pub old: Attempt,
    /// With the new one; `None` where a finding only says that the old one still works.
    pub new: Option<Attempt>,
}

impl Trial {
    /// Whether another trial was of the same credential at the same door.
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        (self.kind, &self.credential, &self.door) == (other.kind, &other.credential, &other.door)
    }
}
