//! The cryptography of every TLS end, server and client.

use crate::memo::{self, Memo};
use crate::seam::clock::Clock;
use rustls::crypto::{CryptoProvider, KeyProvider, aws_lc_rs};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm,
    SubjectPublicKeyInfoDer,
};
use rustls::sign::{Signer, SigningKey};
use rustls::{CipherSuite, SignatureAlgorithm, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// aws-lc's provider, with AES-128 first, as BoringSSL orders them where the processor has AES, and
/// with signatures of certificates verified once.
///
/// The same few leaves and roots meet in thousands of handshakes of a run. Whether a signature is that
/// of a key over some bytes does not depend on time, roots or caller; all else about a path is checked
/// in every handshake, and so is the signature over the handshake itself; but in virtual time, where
/// both ends are in this process, the signature that one end has just made with the very key that the
/// other asks about is not computed back ([`Signed`]).
pub fn provider(clock: &Clock) -> Arc<CryptoProvider> {
    static REAL: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(real()));
    static SIMULATED: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(simulated()));
    if clock.is_virtual() { SIMULATED.clone() } else { REAL.clone() }
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

fn real() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider.key_provider = &EcdsaFirst;
    // Used for paths; the handshake's own signature goes by `mapping`.
    let algorithms = provider.signature_verification_algorithms.all.iter();
    let once = |algorithm: &Algorithm| -> Algorithm {
        Box::leak(Box::new(Once { algorithm: *algorithm, valid: Mutex::default() }))
    };
    provider.signature_verification_algorithms.all =
        algorithms.map(once).collect::<Vec<_>>().leak();
    provider
}

fn simulated() -> CryptoProvider {
    let mut provider = real();
    let signed: &'static Signed = Box::leak(Box::default());
    provider.key_provider = Box::leak(Box::new(Noting { signed }));
    let noted = |algorithm: &Algorithm| -> Algorithm {
        Box::leak(Box::new(UnlessSigned { algorithm: *algorithm, signed }))
    };
    let mapping = provider.signature_verification_algorithms.mapping.iter();
    provider.signature_verification_algorithms.mapping = mapping
        .map(|(scheme, all)| (*scheme, &*all.iter().map(noted).collect::<Vec<_>>().leak()))
        .collect::<Vec<_>>()
        .leak();
    provider
}

/// A private key, of whatever kind TLS can sign with.
///
/// # Errors
/// It is of no such kind.
pub(crate) fn signing_key(
    der: PrivateKeyDer<'static>,
) -> Result<Arc<dyn SigningKey>, rustls::Error> {
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
        /// Replicas and restarts read the same few keys; to check one costs as much as a signature.
        static READ: Memo<[u8; 32], Arc<dyn SigningKey>> = Memo::keeping(256);
        let digest: [u8; 32] = Sha256::digest(der.secret_der()).into();
        READ.of(&digest, || {
            aws_lc_rs::sign::any_ecdsa_type(&der)
                .or_else(|_| aws_lc_rs::sign::any_supported_type(&der))
        })
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
        let digest = memo::digest([public_key, message, signature]);
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

/// The signatures that keys of this process have made and that nobody has verified yet.
#[derive(Debug, Default)]
struct Signed(Mutex<BTreeSet<[u8; 32]>>);

impl Signed {
    fn note(&self, digest: [u8; 32]) {
        let mut signed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if signed.len() >= KEPT {
            signed.clear();
        }
        signed.insert(digest);
    }

    /// Whether it was made here; once.
    fn take(&self, digest: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest)
    }
}

/// Octets of a P-256 key as SubjectPublicKeyInfo (RFC 5480), and of the point that ends it.
const P256_INFO_AND_POINT: (usize, usize) = (91, 65);

/// Loads keys whose signatures are noted.
#[derive(Debug)]
struct Noting {
    signed: &'static Signed,
}

impl KeyProvider for Noting {
    fn load_private_key(
        &self,
        der: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        let key = EcdsaFirst.load_private_key(der)?;
        let (whole, point) = P256_INFO_AND_POINT;
        let info = key.public_key().filter(|info| info.len() == whole);
        let Some(public_key) = info.map(|info| info[whole - point..].into()) else {
            return Ok(key);
        };
        Ok(Arc::new(NotingKey { key, public_key, signed: self.signed }))
    }
}

#[derive(Debug)]
struct NotingKey {
    key: Arc<dyn SigningKey>,
    public_key: Arc<[u8]>,
    signed: &'static Signed,
}

impl SigningKey for NotingKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        let public_key = self.public_key.clone();
        Some(Box::new(NotingSigner { signer, public_key, signed: self.signed }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

#[derive(Debug)]
struct NotingSigner {
    signer: Box<dyn Signer>,
    public_key: Arc<[u8]>,
    signed: &'static Signed,
}

impl Signer for NotingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature = self.signer.sign(message)?;
        self.signed.note(memo::digest([&self.public_key, message, &signature]));
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.signer.scheme()
    }
}

/// An algorithm that computes only what no key of this process has signed.
#[derive(Debug)]
struct UnlessSigned {
    algorithm: Algorithm,
    signed: &'static Signed,
}

impl SignatureVerificationAlgorithm for UnlessSigned {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.signed.take(&memo::digest([public_key, message, signature])) {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)
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
    use rustls::pki_types::PrivatePkcs8KeyDer;
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

    /// A P-256 key of the simulation, its public point, and a signature of it over `message`.
    fn signature(provider: &CryptoProvider, message: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let key = halo_pki::KeyPair::generate(&mut crate::seam::entropy::Seed::new(1).child("key"));
        let der = PrivatePkcs8KeyDer::from(key.pkcs8_der().to_vec());
        let signing = provider.key_provider.load_private_key(der.into()).unwrap();
        let scheme = SignatureScheme::ECDSA_NISTP256_SHA256;
        let signature = signing.choose_scheme(&[scheme]).unwrap().sign(message).unwrap();
        (key.public_point().to_vec(), signature)
    }

    fn p256(provider: &CryptoProvider) -> Algorithm {
        let mapping = provider.signature_verification_algorithms.mapping.iter();
        let wanted = SignatureScheme::ECDSA_NISTP256_SHA256;
        mapping.clone().find(|(scheme, _)| *scheme == wanted).unwrap().1[0]
    }

    #[test]
    fn what_a_key_of_the_simulation_signed_is_valid_and_so_it_is_by_computation() {
        let provider = simulated();
        let (point, signature) = signature(&provider, b"handshake");
        // The second time it is no longer noted, so it is computed.
        for _ in 0..2 {
            assert!(p256(&provider).verify_signature(&point, b"handshake", &signature).is_ok());
        }
        assert!(p256(&real()).verify_signature(&point, b"handshake", &signature).is_ok());
    }

    #[test]
    fn what_a_key_of_the_simulation_signed_is_no_signature_of_another_key_or_message() {
        let provider = simulated();
        let (point, signature) = signature(&provider, b"handshake");
        let other = halo_pki::KeyPair::generate(&mut crate::seam::entropy::Seed::new(2).child("k"));
        let verify = |point: &[u8], message: &[u8], signature: &[u8]| {
            p256(&provider).verify_signature(point, message, signature)
        };
        assert!(verify(other.public_point(), b"handshake", &signature).is_err());
        assert!(verify(&point, b"another handshake", &signature).is_err());
        let mut spoilt = signature.clone();
        *spoilt.last_mut().unwrap() ^= 1;
        assert!(verify(&point, b"handshake", &spoilt).is_err());
    }

    #[test]
    fn only_virtual_time_takes_a_signature_without_computing_it() {
        use crate::model::Timestamp;
        let real = provider(&Clock::real());
        let virtual_time = Clock::virtual_from(Timestamp::default());
        let simulated = provider(&virtual_time);
        let skewed = provider(&virtual_time.ahead_by(std::time::Duration::from_secs(1)));
        assert!(Arc::ptr_eq(&simulated, &skewed));
        assert!(!Arc::ptr_eq(&simulated, &real));
        assert!(!format!("{:?}", p256(&real)).contains("UnlessSigned"));
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
