//! The cryptography of every TLS end, server and client.

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, KeyProvider, aws_lc_rs};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm,
};
use rustls::sign::SigningKey;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// aws-lc's provider, with AES-128 first, as BoringSSL orders them where the processor has AES, and
/// with signatures of certificates verified once.
///
/// The same few leaves and roots meet in thousands of handshakes of a run. Whether a signature is that
/// of a key over some bytes does not depend on time, roots or caller; all else about a path is checked
/// in every handshake, and so is the signature over the handshake itself.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        provider.key_provider = &EcdsaFirst;
        // Used for paths; the handshake's own signature goes by `mapping`.
        let algorithms = provider.signature_verification_algorithms.all;
        let algorithms =
            algorithms.iter().map(|algorithm| -> &'static dyn SignatureVerificationAlgorithm {
                Box::leak(Box::new(Once { algorithm: *algorithm, valid: Mutex::default() }))
            });
        provider.signature_verification_algorithms.all =
            Box::leak(algorithms.collect::<Vec<_>>().into_boxed_slice());
        Arc::new(provider)
    });
    PROVIDER.clone()
}

/// A private key, of whatever kind TLS can sign with.
///
/// # Errors
/// It is of no such kind.
pub fn signing_key(der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    EcdsaFirst.load_private_key(der)
}

/// Tries a key as what nearly every one is (contract 4.6.1), and then as all else: RSA's parser, which
/// comes first otherwise, is slow to see that a key is none of its own.
#[derive(Debug)]
struct EcdsaFirst;

impl KeyProvider for EcdsaFirst {
    fn load_private_key(
        &self,
        der: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        aws_lc_rs::sign::any_ecdsa_type(&der).or_else(|_| aws_lc_rs::sign::any_supported_type(&der))
    }
}

/// Digests of signatures that are kept; above that all are forgotten.
const KEPT: usize = 4096;

/// An algorithm that remembers what it has found valid.
#[derive(Debug)]
struct Once {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    valid: Mutex<BTreeSet<[u8; 32]>>,
}

impl SignatureVerificationAlgorithm for Once {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let mut digest = Sha256::new();
        for part in [public_key, message, signature] {
            // With lengths, so that bytes cannot move from one part to the next.
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let valid = || self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        if valid().contains(&digest) {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        let mut valid = valid();
        if valid.len() >= KEPT {
            valid.clear();
        }
        valid.insert(digest);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Finds valid what is `valid`, and counts.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(&self, _: &[u8], _: &[u8], sig: &[u8]) -> Result<(), InvalidSignature> {
            self.0.fetch_add(1, Ordering::SeqCst);
            if sig == b"valid" { Ok(()) } else { Err(InvalidSignature) }
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(b"")
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(b"")
        }
    }

    fn once() -> (&'static Counting, Once) {
        let algorithm: &'static Counting = Box::leak(Box::default());
        (algorithm, Once { algorithm, valid: Mutex::default() })
    }

    #[test]
    fn a_valid_signature_is_verified_once() {
        let (counting, once) = once();
        for _ in 0..3 {
            assert!(once.verify_signature(b"key", b"message", b"valid").is_ok());
        }
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_signature_over_other_bytes_or_of_another_key_is_verified_for_itself() {
        let (counting, once) = once();
        for (key, message) in [("key", "message"), ("keym", "essage"), ("key", "massage")] {
            assert!(once.verify_signature(key.as_bytes(), message.as_bytes(), b"valid").is_ok());
        }
        assert_eq!(counting.0.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn what_is_invalid_stays_so_however_often_it_is_shown() {
        let (_, once) = once();
        assert!(once.verify_signature(b"key", b"message", b"valid").is_ok());
        for _ in 0..3 {
            assert!(once.verify_signature(b"key", b"message", b"spoilt").is_err());
        }
    }
}
