//! The envelope around a TrusTEE frequency vector: a fresh streaming key set, wrapped by a key of a
//! key management service (3.14).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use prost::Message as _;
use rand_core::RngCore;

use crate::hybrid::expand;
use crate::keyset::{DecryptError, EncryptError};
use crate::tink;

const KEY_OCTETS: usize = 32;
const PREFIX_OCTETS: usize = 7;
const TAG_OCTETS: usize = 16;
/// Its own length in one octet, a salt as long as the key, the nonce's prefix.
const HEADER_OCTETS: usize = 1 + KEY_OCTETS + PREFIX_OCTETS;
const SEGMENT_OCTETS: usize = 1 << 20;
const NONCE_OCTETS: usize = 12;

/// A Tink key set with one key of the template `AES256_GCM_HKDF_1MB`. `Debug` shows the key's id.
#[derive(Clone)]
pub struct StreamingKeyset {
    key_id: u32,
    key: [u8; KEY_OCTETS],
}

impl std::fmt::Debug for StreamingKeyset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamingKeyset").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl StreamingKeyset {
    /// Makes a key set. Draws the key id (4 bytes, again while zero), then the key (32 bytes).
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        let key_id = loop {
            match rng.next_u32() {
                0 => {}
                id => break id,
            }
        };
        let mut key = [0; KEY_OCTETS];
        rng.fill_bytes(&mut key);
        Self { key_id, key }
    }

    /// The serialized `google.crypto.tink.Keyset`, in clear.
    pub fn to_binary(&self) -> Vec<u8> {
        let value = tink::AesGcmHkdfStreamingKey {
            version: 0,
            params: Some(tink::AesGcmHkdfStreamingParams {
                ciphertext_segment_size: SEGMENT_OCTETS as u32,
                derived_key_size: KEY_OCTETS as u32,
                hkdf_hash_type: tink::HASH_SHA256,
            }),
            key_value: self.key.to_vec(),
        };
        tink::Keyset {
            primary_key_id: self.key_id,
            key: vec![tink::Key {
                key_data: Some(tink::KeyData {
                    type_url: tink::AES_GCM_HKDF_STREAMING.to_owned(),
                    value: value.encode_to_vec(),
                    key_material_type: tink::MATERIAL_SYMMETRIC,
                }),
                status: tink::STATUS_ENABLED,
                key_id: self.key_id,
                output_prefix_type: tink::PREFIX_RAW,
            }],
        }
        .encode_to_vec()
    }

    /// Reads a key set as [`Self::to_binary`] writes it.
    ///
    /// # Errors
    /// It is not one key of that template.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, DecryptError> {
        let bad = || DecryptError::DecryptionFailed;
        let keyset = tink::Keyset::decode(bytes).map_err(|_| bad())?;
        let [key] = keyset.key.as_slice() else { return Err(bad()) };
        let data = key.key_data.as_ref().ok_or_else(bad)?;
        let value =
            tink::AesGcmHkdfStreamingKey::decode(data.value.as_slice()).map_err(|_| bad())?;
        let key_value = value.key_value.clone().try_into().map_err(|_| bad())?;
        let made = Self { key_id: key.key_id, key: key_value };
        if made.to_binary() == bytes { Ok(made) } else { Err(bad()) }
    }

    /// Encrypts a stream. Draws the salt (32 bytes), then the nonce's prefix (7 bytes).
    ///
    /// # Errors
    /// [`EncryptError`] for a stream of more than 2^32 segments.
    pub fn encrypt(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut dyn RngCore,
    ) -> Result<Vec<u8>, EncryptError> {
        let failed = || EncryptError::EncryptionFailed;
        let mut salt = [0; KEY_OCTETS];
        let mut prefix = [0; PREFIX_OCTETS];
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut prefix);
        let key = derive(&self.key, &salt, associated_data).ok_or_else(failed)?;
        let mut sealed = vec![HEADER_OCTETS as u8];
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(&prefix);
        let first = SEGMENT_OCTETS - HEADER_OCTETS - TAG_OCTETS;
        let segments = split(plaintext, first, SEGMENT_OCTETS - TAG_OCTETS);
        for (number, segment) in segments.iter().enumerate() {
            let nonce = nonce(&prefix, number, number + 1 == segments.len()).ok_or_else(failed)?;
            let mut buffer = segment.to_vec();
            key.seal_in_place_append_tag(nonce, Aad::empty(), &mut buffer).map_err(|_| failed())?;
            sealed.extend_from_slice(&buffer);
        }
        Ok(sealed)
    }

    /// Decrypts a whole stream.
    ///
    /// # Errors
    /// [`DecryptError`].
    pub fn decrypt(
        &self,
        ciphertext: &[u8],
        associated_data: &[u8],
    ) -> Result<Vec<u8>, DecryptError> {
        let failed = || DecryptError::DecryptionFailed;
        let (header, body) = ciphertext.split_at_checked(HEADER_OCTETS).ok_or_else(failed)?;
        if usize::from(header[0]) != HEADER_OCTETS {
            return Err(failed());
        }
        let (salt, prefix) = header[1..].split_at(KEY_OCTETS);
        let key = derive(&self.key, salt, associated_data).ok_or_else(failed)?;
        let segments = split(body, SEGMENT_OCTETS - HEADER_OCTETS, SEGMENT_OCTETS);
        let mut opened = Vec::new();
        for (number, segment) in segments.iter().enumerate() {
            let nonce = nonce(prefix, number, number + 1 == segments.len()).ok_or_else(failed)?;
            let mut buffer = segment.to_vec();
            let plain =
                key.open_in_place(nonce, Aad::empty(), &mut buffer).map_err(|_| failed())?;
            opened.extend_from_slice(plain);
        }
        Ok(opened)
    }

    /// The key set wrapped by a key of a key management service: a serialized
    /// `google.crypto.tink.EncryptedKeyset`, whose info shows key id and type in clear.
    ///
    /// # Errors
    /// [`EncryptError`].
    pub fn wrap(
        &self,
        key_encryption_key: &[u8; KEY_OCTETS],
        rng: &mut dyn RngCore,
    ) -> Result<Vec<u8>, EncryptError> {
        let failed = |_| EncryptError::EncryptionFailed;
        let mut nonce = [0; NONCE_OCTETS];
        rng.fill_bytes(&mut nonce);
        let mut sealed = self.to_binary();
        let key = UnboundKey::new(&AES_256_GCM, key_encryption_key)
            .map(LessSafeKey::new)
            .map_err(failed)?;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut sealed,
        )
        .map_err(failed)?;
        let wrapped = tink::EncryptedKeyset {
            encrypted_keyset: [nonce.as_slice(), &sealed].concat(),
            keyset_info: Some(tink::KeysetInfo {
                primary_key_id: self.key_id,
                key_info: vec![tink::KeyInfo {
                    type_url: tink::AES_GCM_HKDF_STREAMING.to_owned(),
                    status: tink::STATUS_ENABLED,
                    key_id: self.key_id,
                    output_prefix_type: tink::PREFIX_RAW,
                }],
            }),
        };
        Ok(wrapped.encode_to_vec())
    }

    /// The other way round.
    ///
    /// # Errors
    /// [`DecryptError`]: another key, or not a wrapped key set of that template.
    pub fn unwrap(
        wrapped: &[u8],
        key_encryption_key: &[u8; KEY_OCTETS],
    ) -> Result<Self, DecryptError> {
        let failed = || DecryptError::DecryptionFailed;
        let wrapped = tink::EncryptedKeyset::decode(wrapped).map_err(|_| failed())?;
        let (nonce, sealed) =
            wrapped.encrypted_keyset.split_at_checked(NONCE_OCTETS).ok_or_else(failed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let key = UnboundKey::new(&AES_256_GCM, key_encryption_key)
            .map(LessSafeKey::new)
            .map_err(|_| failed())?;
        let mut buffer = sealed.to_vec();
        let opened = key.open_in_place(nonce, Aad::empty(), &mut buffer).map_err(|_| failed())?;
        Self::from_binary(opened)
    }
}

/// The key of one stream: HKDF-SHA256 over the key, with the header's salt and the associated data.
fn derive(key: &[u8], salt: &[u8], associated_data: &[u8]) -> Option<LessSafeKey> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    let derived = expand(&prk, &[associated_data], KEY_OCTETS).ok()?;
    UnboundKey::new(&AES_256_GCM, &derived).map(LessSafeKey::new).ok()
}

fn nonce(prefix: &[u8], number: usize, is_last: bool) -> Option<Nonce> {
    let number = u32::try_from(number).ok()?.to_be_bytes();
    Nonce::try_assume_unique_for_key(&[prefix, &number, &[u8::from(is_last)]].concat()).ok()
}

/// A first piece of at most `first`, then pieces of at most `other`; one empty piece of nothing.
fn split(bytes: &[u8], first: usize, other: usize) -> Vec<&[u8]> {
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    let mut pieces = vec![head];
    pieces.extend(rest.chunks(other));
    pieces
}
