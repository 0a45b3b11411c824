//! Tink key sets: reading, writing, making, and hybrid encryption with them (3.5, 3.6).

use std::fmt;
use std::sync::Arc;

use prost::Message;
use rand_core::RngCore;

use crate::hybrid::{Cipher, Curve, Ecies, HkdfHash, Hpke, Pair, PointFormat, Scheme};
use crate::tink;

/// What a fresh key set is made of (3.6.1). Both kinds have one key, enabled, with Tink's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyTemplate {
    /// `ECIES_P256_HKDF_HMAC_SHA256_AES128_GCM`: the project's default and all fixtures' (3.6.3).
    EciesP256HkdfHmacSha256Aes128Gcm,
    /// `DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM`: what Duchies use for HMSS (3.6.4).
    DhkemX25519HkdfSha256HkdfSha256Aes256Gcm,
}

impl KeyTemplate {
    /// Every template.
    pub const ALL: [KeyTemplate; 2] = [
        KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm,
        KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm,
    ];

    /// Tink's name of the template, as `tinkey --key-template` takes it (4.2.6).
    pub const fn name(self) -> &'static str {
        match self {
            KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm => {
                "ECIES_P256_HKDF_HMAC_SHA256_AES128_GCM"
            }
            KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm => {
                "DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM"
            }
        }
    }

    /// How many bytes a ciphertext is longer than its plaintext (3.6.3, 3.6.4).
    pub const fn overhead(self) -> usize {
        match self {
            KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm => 98,
            KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm => 53,
        }
    }

    const fn curve(self) -> Curve {
        match self {
            KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm => Curve::P256,
            KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm => Curve::X25519,
        }
    }

    const fn type_urls(self) -> (&'static str, &'static str) {
        match self {
            KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm => {
                (tink::ECIES_PRIVATE, tink::ECIES_PUBLIC)
            }
            KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm => {
                (tink::HPKE_PRIVATE, tink::HPKE_PUBLIC)
            }
        }
    }

    fn public_value(self, public: &[u8]) -> Vec<u8> {
        match self {
            KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm => {
                let dem = tink::KeyTemplate {
                    type_url: tink::AES_GCM.to_owned(),
                    value: tink::AesGcmKeyFormat { key_size: 16, version: 0 }.encode_to_vec(),
                    output_prefix_type: tink::PREFIX_TINK,
                };
                let params = tink::EciesParams {
                    kem_params: Some(tink::EciesKemParams {
                        curve_type: tink::CURVE_NIST_P256,
                        hkdf_hash_type: tink::HASH_SHA256,
                        hkdf_salt: Vec::new(),
                    }),
                    dem_params: Some(tink::EciesDemParams { aead_dem: Some(dem) }),
                    ec_point_format: tink::POINT_UNCOMPRESSED,
                };
                let (x, y) = public[1..].split_at(32);
                let key = tink::EciesPublicKey {
                    version: 0,
                    params: Some(params),
                    x: x.to_vec(),
                    y: y.to_vec(),
                };
                key.encode_to_vec()
            }
            KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm => {
                let params = tink::HpkeParams {
                    kem: tink::HPKE_KEM_X25519,
                    kdf: tink::HPKE_KDF_SHA256,
                    aead: tink::HPKE_AEAD_AES256_GCM,
                };
                let key = tink::HpkePublicKey {
                    version: 0,
                    params: Some(params),
                    public_key: public.to_vec(),
                };
                key.encode_to_vec()
            }
        }
    }
}

/// Why bytes are not a key set that can be used, or a key set could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysetError {
    /// The bytes are not a Tink key set, or contradict themselves; the text says where.
    #[error("malformed key set: {0}")]
    Malformed(&'static str),
    /// A key set with private (or symmetric) material was given where a public one is due (3.5.2).
    #[error("the key set contains private material, but a public one is expected")]
    PrivateMaterial,
    /// A public key set was given where a private one is due.
    #[error("the key set contains no private material, but a private one is expected")]
    NoPrivateMaterial,
    /// A key of a type, or with parameters, that is no hybrid encryption known here.
    #[error("unsupported key of type {type_url:?}: {reason}")]
    Unsupported {
        /// The type URL of the key.
        type_url: String,
        /// What about it is unsupported.
        reason: &'static str,
    },
    /// The EncryptionPublicKey around the key set says no format (3.5.1).
    #[error("the encryption public key has no format")]
    UnspecifiedFormat,
    /// The EncryptionPublicKey around the key set says a format that does not exist (3.5.1).
    #[error("the encryption public key has the unknown format {0}")]
    UnknownFormat(i32),
    /// The generator did not give a usable number in many draws.
    #[error("the random number generator is broken")]
    Randomness,
}

/// Why a plaintext could not be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The recipient's key takes part in no agreement (a point of low order), or the generator is
    /// broken.
    #[error("encryption failed")]
    EncryptionFailed,
}

/// Why a ciphertext could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// No enabled key of the key set opens it: another key, another context, or a changed
    /// ciphertext, which cannot be told apart.
    #[error("decryption failed")]
    DecryptionFailed,
}

/// An enabled key, ready for use.
#[derive(Clone)]
struct Usable<K> {
    id: u32,
    prefix: Vec<u8>,
    scheme: Scheme,
    key: K,
}

/// A key set with private keys. `Debug` shows key ids and types, never the keys.
#[derive(Clone)]
pub struct PrivateKeyset {
    proto: tink::Keyset,
    keys: Vec<Usable<Arc<Pair>>>,
}

/// A key set with public keys only.
#[derive(Clone)]
pub struct PublicKeyset {
    proto: tink::Keyset,
    keys: Vec<Usable<Vec<u8>>>,
}

impl PrivateKeyset {
    /// Makes a key set with one key.
    ///
    /// Draws the key id (4 bytes, again while zero), then the private key (32 bytes, on P-256 again
    /// while it is not in the group): the same generator state gives the same bytes.
    ///
    /// # Errors
    /// [`KeysetError::Randomness`] if the generator never gives a usable number.
    pub fn generate(template: KeyTemplate, rng: &mut dyn RngCore) -> Result<Self, KeysetError> {
        let id =
            (0..16).map(|_| rng.next_u32()).find(|id| *id != 0).ok_or(KeysetError::Randomness)?;
        let (scalar, pair) = template.curve().draw(rng).map_err(|_| KeysetError::Randomness)?;
        let value = tink::HybridPrivateKey {
            version: 0,
            public_key: template.public_value(&pair.public),
            private_key: scalar.to_vec(),
        };
        let key_data = tink::KeyData {
            type_url: template.type_urls().0.to_owned(),
            value: value.encode_to_vec(),
            key_material_type: tink::MATERIAL_ASYMMETRIC_PRIVATE,
        };
        let key = tink::Key {
            key_data: Some(key_data),
            status: tink::STATUS_ENABLED,
            key_id: id,
            output_prefix_type: tink::PREFIX_TINK,
        };
        Self::from_proto(tink::Keyset { primary_key_id: id, key: vec![key] })
    }

    /// Reads a binary cleartext key set, as in a `*_enc_private.tink` file (4.4.9).
    ///
    /// Keys that are not enabled are kept, but neither checked nor used.
    ///
    /// # Errors
    /// [`KeysetError::Malformed`], also if a public key is not that of its private key or the
    /// primary key is missing or not enabled; [`KeysetError::NoPrivateMaterial`];
    /// [`KeysetError::Unsupported`].
    pub fn from_binary(bytes: &[u8]) -> Result<Self, KeysetError> {
        Self::from_proto(parse(bytes)?)
    }

    /// The binary cleartext key set: secret. Keys come out as they came in.
    pub fn to_binary(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// The id of the primary key.
    pub fn primary_key_id(&self) -> u32 {
        self.proto.primary_key_id
    }

    /// The public half: same ids and states, the public keys being the bytes inside the private
    /// ones.
    pub fn public(&self) -> PublicKeyset {
        let mut proto = self.proto.clone();
        for key in &mut proto.key {
            let Some(data) = &mut key.key_data else { continue };
            let public_type = match data.type_url.as_str() {
                tink::ECIES_PRIVATE => tink::ECIES_PUBLIC,
                tink::HPKE_PRIVATE => tink::HPKE_PUBLIC,
                // Not enabled and of a kind unknown here: it cannot be shown without its secret.
                _ => {
                    key.key_data = None;
                    continue;
                }
            };
            let private = tink::HybridPrivateKey::decode(data.value.as_slice());
            data.value = private.map(|p| p.public_key).unwrap_or_default();
            data.type_url = public_type.to_owned();
            data.key_material_type = tink::MATERIAL_ASYMMETRIC_PUBLIC;
        }
        let keys = self
            .keys
            .iter()
            .map(|usable| Usable {
                id: usable.id,
                prefix: usable.prefix.clone(),
                scheme: usable.scheme.clone(),
                key: usable.key.public.clone(),
            })
            .collect();
        PublicKeyset { proto, keys }
    }

    /// Decrypts a ciphertext (3.6.2 to 3.6.4): with every enabled key whose prefix the ciphertext
    /// carries, then with every enabled one without prefix. The project's `context_info` is always
    /// empty (3.5.3).
    ///
    /// # Errors
    /// [`DecryptError::DecryptionFailed`] if none opens it.
    pub fn decrypt(&self, ciphertext: &[u8], context_info: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let (raw, prefixed): (Vec<_>, Vec<_>) =
            self.keys.iter().partition(|usable| usable.prefix.is_empty());
        prefixed
            .into_iter()
            .chain(raw)
            .filter_map(|usable| Some((usable, ciphertext.strip_prefix(usable.prefix.as_slice())?)))
            .find_map(|(usable, rest)| usable.scheme.open(&usable.key, rest, context_info).ok())
            .ok_or(DecryptError::DecryptionFailed)
    }

    fn from_proto(proto: tink::Keyset) -> Result<Self, KeysetError> {
        for data in proto.key.iter().filter_map(|key| key.key_data.as_ref()) {
            let public = matches!(
                data.key_material_type,
                tink::MATERIAL_ASYMMETRIC_PUBLIC | tink::MATERIAL_REMOTE
            );
            if public {
                return Err(KeysetError::NoPrivateMaterial);
            }
        }
        let keys = usable_keys(&proto, |data| {
            if data.key_material_type != tink::MATERIAL_ASYMMETRIC_PRIVATE {
                return Err(unsupported(data, "not marked as a private key"));
            }
            let public_type = match data.type_url.as_str() {
                tink::ECIES_PRIVATE => tink::ECIES_PUBLIC,
                tink::HPKE_PRIVATE => tink::HPKE_PUBLIC,
                _ => return Err(unsupported(data, "not a private key for hybrid encryption")),
            };
            let private = tink::HybridPrivateKey::decode(data.value.as_slice())
                .map_err(|_| KeysetError::Malformed("private key"))?;
            check_version(private.version)?;
            let (scheme, public) = parse_public(public_type, &private.public_key)?;
            let scalar = match scheme.curve() {
                Curve::P256 => fixed_len(&private.private_key),
                // Not a number, but a string of bytes.
                Curve::X25519 => private.private_key.as_slice().try_into().ok(),
            };
            let scalar = scalar.ok_or(KeysetError::Malformed("length of the private key"))?;
            let pair = scheme
                .curve()
                .pair(&scalar)
                .map_err(|_| KeysetError::Malformed("private key out of range"))?;
            if pair.public != public {
                return Err(KeysetError::Malformed("public and private key differ"));
            }
            Ok((scheme, Arc::new(pair)))
        })?;
        Ok(Self { proto, keys })
    }
}

impl PublicKeyset {
    /// Reads a binary public key set: the `data` of an EncryptionPublicKey (3.5.1).
    ///
    /// Keys that are not enabled are kept, but neither checked nor used.
    ///
    /// # Errors
    /// [`KeysetError::PrivateMaterial`] if any key, enabled or not, is not public (3.5.2);
    /// [`KeysetError::Malformed`], also if a point is not on its curve or the primary key is
    /// missing or not enabled; [`KeysetError::Unsupported`].
    pub fn from_binary(bytes: &[u8]) -> Result<Self, KeysetError> {
        let proto = parse(bytes)?;
        for data in proto.key.iter().filter_map(|key| key.key_data.as_ref()) {
            // Tink lets remote keys pass, which hold no secret either.
            let public = matches!(
                data.key_material_type,
                tink::MATERIAL_ASYMMETRIC_PUBLIC | tink::MATERIAL_REMOTE
            );
            if !public {
                return Err(KeysetError::PrivateMaterial);
            }
        }
        let keys = usable_keys(&proto, |data| {
            let (scheme, public) = match data.type_url.as_str() {
                tink::ECIES_PUBLIC | tink::HPKE_PUBLIC => {
                    parse_public(&data.type_url, &data.value)?
                }
                _ => return Err(unsupported(data, "not a public key for hybrid encryption")),
            };
            scheme
                .curve()
                .check_public(&public)
                .map_err(|_| KeysetError::Malformed("public key not on its curve"))?;
            Ok((scheme, public))
        })?;
        Ok(Self { proto, keys })
    }

    /// The binary public key set. Keys come out as they came in.
    pub fn to_binary(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// Reads a serialized EncryptionPublicKey {format, data} with the key set in it (3.5.1).
    ///
    /// # Errors
    /// Those of [`unwrap_keyset`] and of [`PublicKeyset::from_binary`].
    pub fn from_encryption_public_key(bytes: &[u8]) -> Result<Self, KeysetError> {
        Self::from_binary(&unwrap_keyset(bytes)?)
    }

    /// The serialized EncryptionPublicKey {format = TINK_KEYSET, data} (3.5.1).
    pub fn to_encryption_public_key(&self) -> Vec<u8> {
        wrap_keyset(&self.to_binary())
    }

    /// The id of the primary key, with which is encrypted.
    pub fn primary_key_id(&self) -> u32 {
        self.proto.primary_key_id
    }

    /// Encrypts with the primary key (3.6.2 to 3.6.4). The project's `context_info` is always empty
    /// (3.5.3).
    ///
    /// Draws the ephemeral private key (32 bytes) and, for ECIES, the nonce (12 bytes): the same
    /// generator state gives the same ciphertext. Never use one state for two plaintexts outside
    /// tests.
    ///
    /// # Errors
    /// [`EncryptError::EncryptionFailed`].
    pub fn encrypt(
        &self,
        plaintext: &[u8],
        context_info: &[u8],
        rng: &mut dyn RngCore,
    ) -> Result<Vec<u8>, EncryptError> {
        let primary = self
            .keys
            .iter()
            .find(|usable| usable.id == self.proto.primary_key_id)
            .ok_or(EncryptError::EncryptionFailed)?;
        let mut out = primary.prefix.clone();
        primary
            .scheme
            .seal(&primary.key, plaintext, context_info, rng, &mut out)
            .map_err(|_| EncryptError::EncryptionFailed)?;
        Ok(out)
    }
}

/// Equality of the serialized key sets, which is what a peer compares (3.10, row 7).
impl PartialEq for PublicKeyset {
    fn eq(&self, other: &Self) -> bool {
        self.proto == other.proto
    }
}

impl Eq for PublicKeyset {}

impl fmt::Debug for PrivateKeyset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "PrivateKeyset", &self.proto)
    }
}

impl fmt::Debug for PublicKeyset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "PublicKeyset", &self.proto)
    }
}

fn debug(f: &mut fmt::Formatter<'_>, name: &str, proto: &tink::Keyset) -> fmt::Result {
    let keys: Vec<_> = proto
        .key
        .iter()
        .map(|key| (key.key_id, key.key_data.as_ref().map_or("", |d| d.type_url.as_str())))
        .collect();
    f.debug_struct(name)
        .field("primary_key_id", &proto.primary_key_id)
        .field("keys", &keys)
        .finish_non_exhaustive()
}

const FORMAT_UNSPECIFIED: i32 = 0;
const FORMAT_TINK_KEYSET: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct EncryptionPublicKey {
    #[prost(int32, tag = "1")]
    format: i32,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

/// Serializes an EncryptionPublicKey {format = TINK_KEYSET, data}, without looking at the key set:
/// what `EncryptionPublicKeys serialize` does (3.5.1, 4.2.1).
pub fn wrap_keyset(keyset: &[u8]) -> Vec<u8> {
    EncryptionPublicKey { format: FORMAT_TINK_KEYSET, data: keyset.to_vec() }.encode_to_vec()
}

/// The key set bytes inside a serialized EncryptionPublicKey, without looking at them (3.5.1).
///
/// # Errors
/// [`KeysetError::Malformed`] if it is none; [`KeysetError::UnspecifiedFormat`] and
/// [`KeysetError::UnknownFormat`], as when the key is used. The Kingdom itself never checks this.
pub fn unwrap_keyset(encryption_public_key: &[u8]) -> Result<Vec<u8>, KeysetError> {
    let message = EncryptionPublicKey::decode(encryption_public_key)
        .map_err(|_| KeysetError::Malformed("encryption public key"))?;
    match message.format {
        FORMAT_TINK_KEYSET => Ok(message.data),
        FORMAT_UNSPECIFIED => Err(KeysetError::UnspecifiedFormat),
        other => Err(KeysetError::UnknownFormat(other)),
    }
}

fn parse(bytes: &[u8]) -> Result<tink::Keyset, KeysetError> {
    let proto = tink::Keyset::decode(bytes)
        .map_err(|_| KeysetError::Malformed("not a protobuf message"))?;
    if proto.key.is_empty() {
        return Err(KeysetError::Malformed("no keys"));
    }
    Ok(proto)
}

/// The enabled keys, each read by `read`; checks that the primary key is among them.
fn usable_keys<K>(
    proto: &tink::Keyset,
    read: impl Fn(&tink::KeyData) -> Result<(Scheme, K), KeysetError>,
) -> Result<Vec<Usable<K>>, KeysetError> {
    let mut keys = Vec::new();
    for key in proto.key.iter().filter(|key| key.status == tink::STATUS_ENABLED) {
        let data = key.key_data.as_ref().ok_or(KeysetError::Malformed("key without data"))?;
        let (scheme, material) = read(data)?;
        let start = match key.output_prefix_type {
            tink::PREFIX_TINK => Some(1),
            tink::PREFIX_LEGACY | tink::PREFIX_CRUNCHY => Some(0),
            tink::PREFIX_RAW => None,
            _ => return Err(KeysetError::Malformed("output prefix type")),
        };
        let prefix =
            start.into_iter().chain(start.map(|_| key.key_id.to_be_bytes()).into_iter().flatten());
        keys.push(Usable { id: key.key_id, prefix: prefix.collect(), scheme, key: material });
    }
    if keys.iter().any(|usable| usable.id == proto.primary_key_id) {
        Ok(keys)
    } else {
        Err(KeysetError::Malformed("no enabled primary key"))
    }
}

fn unsupported(data: &tink::KeyData, reason: &'static str) -> KeysetError {
    KeysetError::Unsupported { type_url: data.type_url.clone(), reason }
}

fn check_version(version: u32) -> Result<(), KeysetError> {
    if version == 0 { Ok(()) } else { Err(KeysetError::Malformed("key version")) }
}

/// A big-endian number in 32 bytes: Tink writes some with a leading zero byte, and some without
/// their leading zeros (3.6.3).
fn fixed_len(number: &[u8]) -> Option<[u8; 32]> {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let significant = &number[first..];
    let mut out = [0; 32];
    let start = out.len().checked_sub(significant.len())?;
    out[start..].copy_from_slice(significant);
    Some(out)
}

/// The scheme of a public key and the key itself, a P-256 one as an uncompressed point.
fn parse_public(type_url: &str, value: &[u8]) -> Result<(Scheme, Vec<u8>), KeysetError> {
    let unsupported =
        |reason| Err(KeysetError::Unsupported { type_url: type_url.to_owned(), reason });
    if type_url == tink::ECIES_PUBLIC {
        let key = tink::EciesPublicKey::decode(value)
            .map_err(|_| KeysetError::Malformed("public key"))?;
        check_version(key.version)?;
        let params = key.params.unwrap_or_default();
        let kem = params.kem_params.unwrap_or_default();
        let dem = params.dem_params.and_then(|dem| dem.aead_dem).unwrap_or_default();
        if kem.curve_type != tink::CURVE_NIST_P256 {
            return unsupported("curve");
        }
        let hash = match kem.hkdf_hash_type {
            tink::HASH_SHA256 => HkdfHash::Sha256,
            tink::HASH_SHA384 => HkdfHash::Sha384,
            tink::HASH_SHA512 => HkdfHash::Sha512,
            _ => return unsupported("hash"),
        };
        let point = match params.ec_point_format {
            tink::POINT_UNCOMPRESSED => PointFormat::Uncompressed,
            tink::POINT_COMPRESSED => PointFormat::Compressed,
            _ => return unsupported("point format"),
        };
        if dem.type_url != tink::AES_GCM {
            return unsupported("data encapsulation");
        }
        let format = tink::AesGcmKeyFormat::decode(dem.value.as_slice())
            .map_err(|_| KeysetError::Malformed("data encapsulation"))?;
        let cipher = match format.key_size {
            16 => Cipher::Aes128Gcm,
            32 => Cipher::Aes256Gcm,
            _ => return unsupported("AES key size"),
        };
        let (Some(x), Some(y)) = (fixed_len(&key.x), fixed_len(&key.y)) else {
            return Err(KeysetError::Malformed("length of a coordinate"));
        };
        let scheme = Scheme::Ecies(Ecies { hash, salt: kem.hkdf_salt, point, cipher });
        Ok((scheme, [[4].as_slice(), &x, &y].concat()))
    } else {
        let key =
            tink::HpkePublicKey::decode(value).map_err(|_| KeysetError::Malformed("public key"))?;
        check_version(key.version)?;
        let params = key.params.unwrap_or_default();
        let curve = match params.kem {
            tink::HPKE_KEM_X25519 => Curve::X25519,
            tink::HPKE_KEM_P256 => Curve::P256,
            _ => return unsupported("KEM"),
        };
        if params.kdf != tink::HPKE_KDF_SHA256 {
            return unsupported("KDF");
        }
        let cipher = match params.aead {
            tink::HPKE_AEAD_AES128_GCM => Cipher::Aes128Gcm,
            tink::HPKE_AEAD_AES256_GCM => Cipher::Aes256Gcm,
            tink::HPKE_AEAD_CHACHA20_POLY1305 => Cipher::ChaCha20Poly1305,
            _ => return unsupported("AEAD"),
        };
        Ok((Scheme::Hpke(Hpke { curve, cipher }), key.public_key))
    }
}
