//! The two ciphertext layouts of 3.6, without Tink's prefix: ECIES with AES-GCM, and HPKE in base
//! mode (RFC 9180), both over the primitives of aws-lc.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::agreement::{
    self, ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey, X25519, agree,
};
use aws_lc_rs::{aead, hkdf, hmac};
use rand_core::RngCore;

/// Something a primitive did not accept; the caller knows what it was doing.
#[derive(Debug)]
pub(crate) struct Failed;

/// How often a private key is drawn before the generator is called broken. A good one misses with
/// a probability of 2^-32 per draw.
const DRAWS: usize = 16;

const SCALAR_LEN: usize = 32;
const P256_COORDINATE_LEN: usize = 32;
const TAG_LEN: usize = 16;

/// A curve to agree a secret on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    X25519,
}

impl Curve {
    fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Curve::P256 => &ECDH_P256,
            Curve::X25519 => &X25519,
        }
    }

    /// The length of a public key: an uncompressed point on P-256.
    pub(crate) fn public_len(self) -> usize {
        match self {
            Curve::P256 => 1 + 2 * P256_COORDINATE_LEN,
            Curve::X25519 => 32,
        }
    }

    /// Draws 32 bytes for a private key, on P-256 again until they are a scalar of the group.
    pub(crate) fn draw(self, rng: &mut dyn RngCore) -> Result<([u8; SCALAR_LEN], Pair), Failed> {
        for _ in 0..DRAWS {
            let mut scalar = [0; SCALAR_LEN];
            rng.fill_bytes(&mut scalar);
            if let Ok(pair) = self.pair(&scalar) {
                return Ok((scalar, pair));
            }
        }
        Err(Failed)
    }

    /// The key pair of a private key (big-endian, 32 bytes).
    pub(crate) fn pair(self, scalar: &[u8]) -> Result<Pair, Failed> {
        let private = PrivateKey::from_private_key(self.algorithm(), scalar).map_err(|_| Failed)?;
        let public = private.compute_public_key().map_err(|_| Failed)?.as_ref().to_vec();
        Ok(Pair { private, public })
    }

    /// Whether the bytes are a public key on this curve, in the one encoding used here.
    pub(crate) fn check_public(self, public: &[u8]) -> Result<(), Failed> {
        let encoding = match self {
            Curve::P256 => public.first() == Some(&4),
            Curve::X25519 => true,
        };
        if public.len() != self.public_len() || !encoding {
            return Err(Failed);
        }
        let unparsed = UnparsedPublicKey::new(self.algorithm(), public);
        let parsed = ParsedPublicKey::try_from(unparsed).map_err(|_| Failed)?;
        if parsed.alg() == self.algorithm() { Ok(()) } else { Err(Failed) }
    }
}

/// A key pair for agreement.
pub(crate) struct Pair {
    private: PrivateKey,
    pub(crate) public: Vec<u8>,
}

impl Pair {
    fn agree(&self, peer: &[u8]) -> Result<Vec<u8>, Failed> {
        let peer = UnparsedPublicKey::new(self.private.algorithm(), peer);
        agree(&self.private, peer, Failed, |secret| Ok(secret.to_vec()))
    }
}

/// An authenticated cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Cipher {
    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Cipher::Aes128Gcm => &AES_128_GCM,
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }

    fn hpke_id(self) -> u16 {
        match self {
            Cipher::Aes128Gcm => 1,
            Cipher::Aes256Gcm => 2,
            Cipher::ChaCha20Poly1305 => 3,
        }
    }

    fn key(self, bytes: &[u8]) -> Result<LessSafeKey, Failed> {
        Ok(LessSafeKey::new(UnboundKey::new(self.algorithm(), bytes).map_err(|_| Failed)?))
    }

    /// Appends the ciphertext and its tag to `out`. There never is associated data (3.6.3, 3.6.4).
    fn seal(
        self,
        key: &[u8],
        nonce: [u8; NONCE_LEN],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        let mut sealed = plaintext.to_vec();
        self.key(key)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .map_err(|_| Failed)?;
        out.extend_from_slice(&sealed);
        Ok(())
    }

    fn open(self, key: &[u8], nonce: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Failed> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Failed)?;
        let mut buffer = ciphertext.to_vec();
        let opened = self
            .key(key)?
            .open_in_place(nonce, Aad::empty(), &mut buffer)
            .map_err(|_| Failed)?
            .len();
        buffer.truncate(opened);
        Ok(buffer)
    }
}

/// A length for HKDF's output, which the library wants as a type.
struct OutputLen(usize);

impl hkdf::KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

pub(crate) fn expand(prk: &hkdf::Prk, info: &[&[u8]], len: usize) -> Result<Vec<u8>, Failed> {
    let mut out = vec![0; len];
    let okm = prk.expand(info, OutputLen(len)).map_err(|_| Failed)?;
    okm.fill(&mut out).map_err(|_| Failed)?;
    Ok(out)
}

/// The digest of ECIES's key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HkdfHash {
    Sha256,
    Sha384,
    Sha512,
}

/// How ECIES writes its ephemeral point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PointFormat {
    Uncompressed,
    Compressed,
}

/// ECIES over P-256 with an AES-GCM payload: 3.6.3 for the project's template, and the parameters
/// that a self-describing key set may choose otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ecies {
    pub(crate) hash: HkdfHash,
    pub(crate) salt: Vec<u8>,
    pub(crate) point: PointFormat,
    pub(crate) cipher: Cipher,
}

impl Ecies {
    fn point_len(&self) -> usize {
        match self.point {
            PointFormat::Uncompressed => 1 + 2 * P256_COORDINATE_LEN,
            PointFormat::Compressed => 1 + P256_COORDINATE_LEN,
        }
    }

    fn encode_point(&self, uncompressed: &[u8]) -> Result<Vec<u8>, Failed> {
        match self.point {
            PointFormat::Uncompressed => Ok(uncompressed.to_vec()),
            PointFormat::Compressed => {
                let x = uncompressed.get(1..1 + P256_COORDINATE_LEN).ok_or(Failed)?;
                let parity = uncompressed.last().ok_or(Failed)? & 1;
                let mut out = vec![2 + parity];
                out.extend_from_slice(x);
                Ok(out)
            }
        }
    }

    fn derive(&self, point: &[u8], secret: &[u8], info: &[u8]) -> Result<Vec<u8>, Failed> {
        let algorithm = match self.hash {
            HkdfHash::Sha256 => hkdf::HKDF_SHA256,
            HkdfHash::Sha384 => hkdf::HKDF_SHA384,
            HkdfHash::Sha512 => hkdf::HKDF_SHA512,
        };
        let prk = hkdf::Salt::new(algorithm, &self.salt).extract(&[point, secret].concat());
        expand(&prk, &[info], self.cipher.algorithm().key_len())
    }

    fn seal(
        &self,
        recipient: &[u8],
        plaintext: &[u8],
        info: &[u8],
        rng: &mut dyn RngCore,
        out: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        let (_, ephemeral) = Curve::P256.draw(rng)?;
        let point = self.encode_point(&ephemeral.public)?;
        let key = self.derive(&point, &ephemeral.agree(recipient)?, info)?;
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        out.extend_from_slice(&point);
        out.extend_from_slice(&nonce);
        self.cipher.seal(&key, nonce, plaintext, out)
    }

    fn open(&self, recipient: &Pair, ciphertext: &[u8], info: &[u8]) -> Result<Vec<u8>, Failed> {
        let (point, rest) = ciphertext.split_at_checked(self.point_len()).ok_or(Failed)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(Failed)?;
        // The first byte is the format's own, or the library would take either.
        let expected = match self.point {
            PointFormat::Uncompressed => point[0] == 4,
            PointFormat::Compressed => matches!(point[0], 2 | 3),
        };
        if !expected || sealed.len() < TAG_LEN {
            return Err(Failed);
        }
        let key = self.derive(point, &recipient.agree(point)?, info)?;
        self.cipher.open(&key, nonce, sealed)
    }
}

/// HPKE in base mode with HKDF-SHA256: 3.6.4 for the project's template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hpke {
    pub(crate) curve: Curve,
    pub(crate) cipher: Cipher,
}

const HPKE_KDF_HKDF_SHA256: u16 = 1;
const HPKE_VERSION: &[u8] = b"HPKE-v1";
const HPKE_SECRET_LEN: usize = 32;
const HPKE_MODE_BASE: u8 = 0;

fn labeled_extract(salt: &[u8], suite: &[u8], label: &[u8], ikm: &[u8]) -> Vec<u8> {
    // HKDF-Extract is HMAC under the salt; the library's own extraction keeps its output to itself.
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in [HPKE_VERSION, suite, label, ikm] {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

fn labeled_expand(
    prk: &[u8],
    suite: &[u8],
    label: &[u8],
    info: &[u8],
    len: usize,
) -> Result<Vec<u8>, Failed> {
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, prk);
    let len_bytes = u16::try_from(len).map_err(|_| Failed)?.to_be_bytes();
    expand(&prk, &[&len_bytes, HPKE_VERSION, suite, label, info], len)
}

impl Hpke {
    fn kem_id(self) -> u16 {
        match self.curve {
            Curve::P256 => 0x0010,
            Curve::X25519 => 0x0020,
        }
    }

    /// The shared secret of RFC 9180, section 4.1.
    fn shared_secret(self, dh: &[u8], enc: &[u8], recipient: &[u8]) -> Result<Vec<u8>, Failed> {
        let suite = [b"KEM".as_slice(), &self.kem_id().to_be_bytes()].concat();
        let prk = labeled_extract(&[], &suite, b"eae_prk", dh);
        let context = [enc, recipient].concat();
        labeled_expand(&prk, &suite, b"shared_secret", &context, HPKE_SECRET_LEN)
    }

    /// Key and nonce of the first message: RFC 9180, section 5.1, sequence number 0.
    fn schedule(self, secret: &[u8], info: &[u8]) -> Result<(Vec<u8>, [u8; NONCE_LEN]), Failed> {
        let suite = [
            b"HPKE".as_slice(),
            &self.kem_id().to_be_bytes(),
            &HPKE_KDF_HKDF_SHA256.to_be_bytes(),
            &self.cipher.hpke_id().to_be_bytes(),
        ]
        .concat();
        let mut context = vec![HPKE_MODE_BASE];
        context.extend(labeled_extract(&[], &suite, b"psk_id_hash", &[]));
        context.extend(labeled_extract(&[], &suite, b"info_hash", info));
        let secret = labeled_extract(secret, &suite, b"secret", &[]);
        let key_len = self.cipher.algorithm().key_len();
        let key = labeled_expand(&secret, &suite, b"key", &context, key_len)?;
        let nonce = labeled_expand(&secret, &suite, b"base_nonce", &context, NONCE_LEN)?;
        Ok((key, nonce.try_into().map_err(|_| Failed)?))
    }

    fn seal(
        self,
        recipient: &[u8],
        plaintext: &[u8],
        info: &[u8],
        rng: &mut dyn RngCore,
        out: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        let (_, ephemeral) = self.curve.draw(rng)?;
        let dh = ephemeral.agree(recipient)?;
        let secret = self.shared_secret(&dh, &ephemeral.public, recipient)?;
        let (key, nonce) = self.schedule(&secret, info)?;
        out.extend_from_slice(&ephemeral.public);
        self.cipher.seal(&key, nonce, plaintext, out)
    }

    fn open(self, recipient: &Pair, ciphertext: &[u8], info: &[u8]) -> Result<Vec<u8>, Failed> {
        let (enc, sealed) = ciphertext.split_at_checked(self.curve.public_len()).ok_or(Failed)?;
        self.curve.check_public(enc)?;
        if sealed.len() < TAG_LEN {
            return Err(Failed);
        }
        let dh = recipient.agree(enc)?;
        let secret = self.shared_secret(&dh, enc, &recipient.public)?;
        let (key, nonce) = self.schedule(&secret, info)?;
        self.cipher.open(&key, &nonce, sealed)
    }
}

/// What a key says about its own use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Ecies(Ecies),
    Hpke(Hpke),
}

impl Scheme {
    pub(crate) fn curve(&self) -> Curve {
        match self {
            Scheme::Ecies(_) => Curve::P256,
            Scheme::Hpke(hpke) => hpke.curve,
        }
    }

    /// Appends to `out` what follows Tink's prefix.
    pub(crate) fn seal(
        &self,
        recipient: &[u8],
        plaintext: &[u8],
        info: &[u8],
        rng: &mut dyn RngCore,
        out: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        match self {
            Scheme::Ecies(ecies) => ecies.seal(recipient, plaintext, info, rng, out),
            Scheme::Hpke(hpke) => hpke.seal(recipient, plaintext, info, rng, out),
        }
    }

    /// Opens what follows Tink's prefix.
    pub(crate) fn open(
        &self,
        recipient: &Pair,
        ciphertext: &[u8],
        info: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        match self {
            Scheme::Ecies(ecies) => ecies.open(recipient, ciphertext, info),
            Scheme::Hpke(hpke) => hpke.open(recipient, ciphertext, info),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9180, appendix A.1.1: the first message carries associated data there, so that only the
    // key schedule can be compared.
    #[test]
    fn key_schedule_of_rfc_9180_a_1() {
        let hpke = Hpke { curve: Curve::X25519, cipher: Cipher::Aes128Gcm };
        let secret =
            hex::decode("fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc")
                .unwrap();
        let info = hex::decode("4f6465206f6e2061204772656369616e2055726e").unwrap();
        let (key, nonce) = hpke.schedule(&secret, &info).unwrap();
        assert_eq!(hex::encode(key), "4531685d41d65f03dc48f6b8302c05b0");
        assert_eq!(hex::encode(nonce), "56d890e5accaaf011cff4b7d");
    }

    struct Zeros;

    impl RngCore for Zeros {
        fn next_u32(&mut self) -> u32 {
            0
        }
        fn next_u64(&mut self) -> u64 {
            0
        }
        fn fill_bytes(&mut self, dst: &mut [u8]) {
            dst.fill(0);
        }
    }

    #[test]
    fn a_broken_generator_ends_in_an_error_and_not_in_a_loop() {
        assert!(Curve::P256.draw(&mut Zeros).is_err());
    }
}
