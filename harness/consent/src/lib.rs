//! Consent signalling of the Halo cross-media measurement system: sign, verify, encrypt, decrypt
//! and key sets, byte for byte as the real system does it.
//!
//! Clause numbers (3.1.2 and so on) are those of the written contract,
//! `halo-contract-peers.md`. The crate works on bytes (serialized messages, type URLs, signature
//! bytes, object identifiers as dotted strings) and knows no generated message type, so that the
//! fake and the checkers that judge it can share it without sharing anything else.
//!
//! * [`SigningKey`], [`verify`], [`SignatureAlgorithm`]: signatures, 3.1 and 3.2.
//! * [`check_path`]: the certificate path check of a peer, 3.3; [`check_issuer_signature`]: less, 4.5.
//! * [`PrivateKeyset`], [`PublicKeyset`], [`KeyTemplate`]: Tink key sets and hybrid encryption,
//!   3.5 and 3.6.
//! * [`SignedMessage`], [`open`], [`unpack`]: the containers around them, 3.1.1 and 3.5.4.
//! * [`StreamingKeyset`]: the envelope around a TrusTEE frequency vector, 3.14.
//! * [`nonce_hash`], [`requisition_fingerprint`]: 3.8.
//!
//! # Determinism
//! Nothing here reads a clock: the time is an argument. Key sets and ciphertexts take all of their
//! randomness from the generator they are handed, so that the same seed gives the same bytes. The
//! one exception are ECDSA signatures, whose nonces are the library's own (RSA signatures repeat).
//!
//! # Example
//! ```
//! use halo_consent::{KeyTemplate, PrivateKeyset, PublicKeyset};
//! use rand_core::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
//! let template = KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm;
//! let private = PrivateKeyset::generate(template, &mut rng)?;
//! let registered = private.public().to_encryption_public_key();
//!
//! let public = PublicKeyset::from_encryption_public_key(&registered)?;
//! let ciphertext = public.encrypt(b"a serialized SignedMessage", &[], &mut rng)?;
//! assert_eq!(private.decrypt(&ciphertext, &[])?, b"a serialized SignedMessage");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod digest;
mod envelope;
mod hybrid;
mod keyset;
mod path;
mod signature;
mod streaming;
mod tink;

pub use algorithm::{KeyType, SignatureAlgorithm};
pub use digest::{nonce_hash, requisition_fingerprint};
pub use envelope::{
    OpenError, PackedMessage, SIGNED_MESSAGE, SignedMessage, TYPE_URL_PREFIX, open, open_as,
    open_signed, seal_signed, type_url, unpack,
};
pub use keyset::{
    DecryptError, EncryptError, KeyTemplate, KeysetError, PrivateKeyset, PublicKeyset,
    unwrap_keyset, wrap_keyset,
};
pub use path::{PathError, check_issuer_signature, check_path};
pub use signature::{
    SignError, SigningKey, SigningKeyError, VerifyError, certificate_key_type, verify,
};
pub use streaming::StreamingKeyset;
