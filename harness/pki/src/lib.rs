//! Authorities, certificates, trust bundles and revocation lists for the harness.
//!
//! The certificates follow the test recipe of the Halo contract (`halo-contract-peers.md`,
//! section 4.4) unless a spec asks for something else; [`hostile`] holds the ones that break a
//! rule on purpose. [`inspect`] reads any certificate, well-formed or nearly so, into plain facts.
//!
//! # Time and randomness
//!
//! Nothing here reads a clock or a system random number generator. Every date is an argument, and
//! every key and serial is drawn from the generator passed in, so one seed gives one key, one
//! subject key identifier and one serial. The only thing two runs do not share is the ECDSA
//! signature value, whose nonce the crypto library draws itself: certificates of the same seed
//! differ in their signature bytes and in nothing else.
//!
//! # Layers
//!
//! `der` (bytes) <- `key`, `draft` (an unsigned certificate) <- `authority`, `crl`, `hostile`;
//! `pem`, `inspect` and `bundle` only read. X.509 is written by hand rather than through a
//! certificate library because the recipe needs extensions that libraries insist on marking
//! critical, and the hostile catalogue needs certificates that they refuse to write at all.

mod authority;
mod bundle;
mod crl;
mod der;
mod draft;
mod error;
pub mod hostile;
mod inspect;
mod key;
mod pem;
#[cfg(test)]
mod tests;

pub use authority::{
    AkidChoice, Authority, AuthoritySpec, DEFAULT_ORGANIZATION, ExtendedKeyUsage, Leaf, LeafSpec,
    SkidChoice, Validity,
};
pub use bundle::{TrustEntry, bundle_pem, trust_bundle};
pub use crl::{Crl, CrlSpec, RevokedSerial};
pub use error::{BundleError, BundleReason, InspectError, KeyError, PemError, PkiError};
pub use inspect::{CertificateFacts, PublicKeyAlgorithm, inspect};
pub use key::KeyPair;
pub use pem::{
    certificate_pem, pem_certificates, pem_private_key, pem_private_key_skipping_leading_text,
};
