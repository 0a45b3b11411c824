//! The containers around signatures and ciphertexts: SignedMessage (3.1), and what comes after the
//! decryption of an EncryptedMessage (3.5.3, 3.5.4).

use prost::Message;
use rand_core::RngCore;

use crate::algorithm::SignatureAlgorithm;
use crate::keyset::{DecryptError, EncryptError, PrivateKeyset, PublicKeyset};
use crate::signature::{SignError, SigningKey, VerifyError, verify};

/// What project code puts before a message's full name in a type URL (3.5.6).
pub const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// The full name of SignedMessage, the plaintext of every EncryptedMessage that was signed first
/// (3.7.3, 3.7.4, 3.7.5, 3.7.9).
pub const SIGNED_MESSAGE: &str = "wfa.measurement.api.v2alpha.SignedMessage";

/// The type URL of a message, from its full name (3.5.6).
pub fn type_url(full_name: &str) -> String {
    format!("{TYPE_URL_PREFIX}{full_name}")
}

/// Why an encrypted or packed message could not be opened. The contract tells the first cause from
/// the other two, which are parse errors (3.5.4; 3.10, row 8).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The ciphertext does not open.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// The stated type URL is not that of the expected message, however right the plaintext.
    #[error("the type URL is {stated:?}, not that of {expected}")]
    WrongTypeUrl {
        /// The type URL beside the ciphertext.
        stated: String,
        /// The full name of the message that is due.
        expected: String,
    },
    /// The bytes do not parse as the message that is due.
    #[error("not a serialized {expected}")]
    Unparsable {
        /// The full name of the message that is due.
        expected: String,
    },
}

/// Takes a message out of an Any as the original does: the part of the type URL after its last
/// slash must be the full name, a URL without a slash never fits (3.5.4, 3.5.6), and the bytes must
/// parse.
///
/// # Errors
/// [`OpenError::WrongTypeUrl`], [`OpenError::Unparsable`].
pub fn unpack<M: Message + Default>(
    stated_type_url: &str,
    full_name: &str,
    value: &[u8],
) -> Result<M, OpenError> {
    check_type_url(stated_type_url, full_name)?;
    M::decode(value).map_err(|_| OpenError::Unparsable { expected: full_name.to_owned() })
}

fn check_type_url(stated: &str, full_name: &str) -> Result<(), OpenError> {
    match stated.rsplit_once('/') {
        Some((_, name)) if name == full_name => Ok(()),
        _ => Err(OpenError::WrongTypeUrl {
            stated: stated.to_owned(),
            expected: full_name.to_owned(),
        }),
    }
}

/// Decrypts an EncryptedMessage {ciphertext, type_url} to the plaintext bytes, and checks the
/// stated type URL after that (3.5.3, 3.5.4). Does not parse the plaintext.
///
/// # Errors
/// [`OpenError::Decrypt`] first, then [`OpenError::WrongTypeUrl`].
pub fn open(
    keyset: &PrivateKeyset,
    ciphertext: &[u8],
    stated_type_url: &str,
    full_name: &str,
) -> Result<Vec<u8>, OpenError> {
    let plaintext = keyset.decrypt(ciphertext, &[])?;
    check_type_url(stated_type_url, full_name)?;
    Ok(plaintext)
}

/// [`open`], and parses the plaintext.
///
/// # Errors
/// Those of [`open`], then [`OpenError::Unparsable`].
pub fn open_as<M: Message + Default>(
    keyset: &PrivateKeyset,
    ciphertext: &[u8],
    stated_type_url: &str,
    full_name: &str,
) -> Result<M, OpenError> {
    unpack(stated_type_url, full_name, &keyset.decrypt(ciphertext, &[])?)
}

/// Opens an EncryptedMessage that holds a SignedMessage (3.7.3, 3.7.4, 3.7.5, 3.7.9). The signature
/// is not verified.
///
/// # Errors
/// Those of [`open_as`].
pub fn open_signed(
    keyset: &PrivateKeyset,
    ciphertext: &[u8],
    stated_type_url: &str,
) -> Result<SignedMessage, OpenError> {
    open_as::<SignedMessageProto>(keyset, ciphertext, stated_type_url, SIGNED_MESSAGE)
        .map(SignedMessage::from)
}

/// Encrypts a SignedMessage; the type URL to put beside the ciphertext is
/// `type_url(SIGNED_MESSAGE)`. Randomness as [`PublicKeyset::encrypt`].
///
/// # Errors
/// [`EncryptError`].
pub fn seal_signed(
    keyset: &PublicKeyset,
    message: &SignedMessage,
    rng: &mut dyn RngCore,
) -> Result<Vec<u8>, EncryptError> {
    keyset.encrypt(&message.encode(), &[], rng)
}

/// A `google.protobuf.Any`. Equality compares type URL and bytes, as the original does (3.5.6).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PackedMessage {
    /// The type URL.
    pub type_url: String,
    /// The serialized message.
    pub value: Vec<u8>,
}

/// A SignedMessage (3.1.1), field by field.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SignedMessage {
    /// `message`, if set.
    pub message: Option<PackedMessage>,
    /// `data`, deprecated: the same bytes as `message.value`.
    pub data: Vec<u8>,
    /// `signature`.
    pub signature: Vec<u8>,
    /// `signature_algorithm_oid`; may be empty (3.1.5).
    pub signature_algorithm_oid: String,
}

impl SignedMessage {
    /// Signs a serialized message and packs it as project code does: `data` is filled too (3.1.3),
    /// the object identifier always (3.1.4). Clear the latter for the official tool's way (3.1.5).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(
        key: &SigningKey,
        algorithm: SignatureAlgorithm,
        message: PackedMessage,
    ) -> Result<Self, SignError> {
        let signature = key.sign(algorithm, &message.value)?;
        Ok(Self {
            data: message.value.clone(),
            message: Some(message),
            signature,
            signature_algorithm_oid: algorithm.oid().to_owned(),
        })
    }

    /// The bytes that are signed: `message.value` if `message` is set, else `data` (3.1.3).
    pub fn signed_bytes(&self) -> &[u8] {
        self.message.as_ref().map_or(&self.data, |message| &message.value)
    }

    /// Verifies the signature, as [`verify`] does.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, certificate_der: &[u8]) -> Result<(), VerifyError> {
        verify(certificate_der, &self.signature_algorithm_oid, self.signed_bytes(), &self.signature)
    }

    /// The serialized message.
    pub fn encode(&self) -> Vec<u8> {
        let message = self
            .message
            .clone()
            .map(|message| AnyProto { type_url: message.type_url, value: message.value });
        SignedMessageProto {
            data: self.data.clone(),
            signature: self.signature.clone(),
            signature_algorithm_oid: self.signature_algorithm_oid.clone(),
            message,
        }
        .encode_to_vec()
    }

    /// Reads a serialized message.
    ///
    /// # Errors
    /// [`OpenError::Unparsable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        SignedMessageProto::decode(bytes)
            .map(Self::from)
            .map_err(|_| OpenError::Unparsable { expected: SIGNED_MESSAGE.to_owned() })
    }
}

impl From<SignedMessageProto> for SignedMessage {
    fn from(proto: SignedMessageProto) -> Self {
        Self {
            message: proto
                .message
                .map(|message| PackedMessage { type_url: message.type_url, value: message.value }),
            data: proto.data,
            signature: proto.signature,
            signature_algorithm_oid: proto.signature_algorithm_oid,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct AnyProto {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct SignedMessageProto {
    #[prost(bytes = "vec", tag = "1")]
    data: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
    #[prost(string, tag = "3")]
    signature_algorithm_oid: String,
    #[prost(message, optional, tag = "4")]
    message: Option<AnyProto>,
}
