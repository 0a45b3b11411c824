//! The few messages of Tink's key set format, written by hand: field numbers and types are those
//! of `google.crypto.tink`. The public half inside a private key is kept as bytes (the wire form of
//! a message and of bytes is the same), so that it goes out exactly as it came in: a peer compares
//! registered bytes (3.10, row 7).

use prost::Message;

pub(crate) const ECIES_PRIVATE: &str =
    "type.googleapis.com/google.crypto.tink.EciesAeadHkdfPrivateKey";
pub(crate) const ECIES_PUBLIC: &str =
    "type.googleapis.com/google.crypto.tink.EciesAeadHkdfPublicKey";
pub(crate) const HPKE_PRIVATE: &str = "type.googleapis.com/google.crypto.tink.HpkePrivateKey";
pub(crate) const HPKE_PUBLIC: &str = "type.googleapis.com/google.crypto.tink.HpkePublicKey";
pub(crate) const AES_GCM: &str = "type.googleapis.com/google.crypto.tink.AesGcmKey";

pub(crate) const AES_GCM_HKDF_STREAMING: &str =
    "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey";

pub(crate) const MATERIAL_SYMMETRIC: i32 = 1;
pub(crate) const MATERIAL_ASYMMETRIC_PRIVATE: i32 = 2;
pub(crate) const MATERIAL_ASYMMETRIC_PUBLIC: i32 = 3;
pub(crate) const MATERIAL_REMOTE: i32 = 4;

pub(crate) const STATUS_ENABLED: i32 = 1;

pub(crate) const PREFIX_TINK: i32 = 1;
pub(crate) const PREFIX_LEGACY: i32 = 2;
pub(crate) const PREFIX_RAW: i32 = 3;
pub(crate) const PREFIX_CRUNCHY: i32 = 4;

pub(crate) const CURVE_NIST_P256: i32 = 2;
pub(crate) const HASH_SHA384: i32 = 2;
pub(crate) const HASH_SHA256: i32 = 3;
pub(crate) const HASH_SHA512: i32 = 4;
pub(crate) const POINT_UNCOMPRESSED: i32 = 1;
pub(crate) const POINT_COMPRESSED: i32 = 2;

pub(crate) const HPKE_KEM_X25519: i32 = 1;
pub(crate) const HPKE_KEM_P256: i32 = 2;
pub(crate) const HPKE_KDF_SHA256: i32 = 1;
pub(crate) const HPKE_AEAD_AES128_GCM: i32 = 1;
pub(crate) const HPKE_AEAD_AES256_GCM: i32 = 2;
pub(crate) const HPKE_AEAD_CHACHA20_POLY1305: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Keyset {
    #[prost(uint32, tag = "1")]
    pub primary_key_id: u32,
    #[prost(message, repeated, tag = "2")]
    pub key: Vec<Key>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Key {
    #[prost(message, optional, tag = "1")]
    pub key_data: Option<KeyData>,
    #[prost(int32, tag = "2")]
    pub status: i32,
    #[prost(uint32, tag = "3")]
    pub key_id: u32,
    #[prost(int32, tag = "4")]
    pub output_prefix_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyData {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    #[prost(int32, tag = "3")]
    pub key_material_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyTemplate {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    #[prost(int32, tag = "3")]
    pub output_prefix_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AesGcmKeyFormat {
    #[prost(uint32, tag = "2")]
    pub key_size: u32,
    #[prost(uint32, tag = "3")]
    pub version: u32,
}

/// `EciesAeadHkdfPrivateKey` and, its third field being the private key there too,
/// `HpkePrivateKey`: the two have one wire form.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HybridPrivateKey {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub private_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EciesPublicKey {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(message, optional, tag = "2")]
    pub params: Option<EciesParams>,
    #[prost(bytes = "vec", tag = "3")]
    pub x: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub y: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EciesParams {
    #[prost(message, optional, tag = "1")]
    pub kem_params: Option<EciesKemParams>,
    #[prost(message, optional, tag = "2")]
    pub dem_params: Option<EciesDemParams>,
    #[prost(int32, tag = "3")]
    pub ec_point_format: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EciesKemParams {
    #[prost(int32, tag = "1")]
    pub curve_type: i32,
    #[prost(int32, tag = "2")]
    pub hkdf_hash_type: i32,
    #[prost(bytes = "vec", tag = "11")]
    pub hkdf_salt: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EciesDemParams {
    #[prost(message, optional, tag = "2")]
    pub aead_dem: Option<KeyTemplate>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HpkePublicKey {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(message, optional, tag = "2")]
    pub params: Option<HpkeParams>,
    #[prost(bytes = "vec", tag = "3")]
    pub public_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HpkeParams {
    #[prost(int32, tag = "1")]
    pub kem: i32,
    #[prost(int32, tag = "2")]
    pub kdf: i32,
    #[prost(int32, tag = "3")]
    pub aead: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AesGcmHkdfStreamingKey {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(message, optional, tag = "2")]
    pub params: Option<AesGcmHkdfStreamingParams>,
    #[prost(bytes = "vec", tag = "3")]
    pub key_value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AesGcmHkdfStreamingParams {
    #[prost(uint32, tag = "1")]
    pub ciphertext_segment_size: u32,
    #[prost(uint32, tag = "2")]
    pub derived_key_size: u32,
    #[prost(int32, tag = "3")]
    pub hkdf_hash_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EncryptedKeyset {
    #[prost(bytes = "vec", tag = "2")]
    pub encrypted_keyset: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub keyset_info: Option<KeysetInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeysetInfo {
    #[prost(uint32, tag = "1")]
    pub primary_key_id: u32,
    #[prost(message, repeated, tag = "2")]
    pub key_info: Vec<KeyInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyInfo {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(int32, tag = "2")]
    pub status: i32,
    #[prost(uint32, tag = "3")]
    pub key_id: u32,
    #[prost(int32, tag = "4")]
    pub output_prefix_type: i32,
}
