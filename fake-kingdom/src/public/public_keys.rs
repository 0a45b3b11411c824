//! PublicKeys of the public API (contract 1.2).

use super::{
    Answer, Caller, CertificateName, ParentName, bad_shape, full_name, require_owner, unpack,
    whitelist,
};
use crate::error::Refusal;
use crate::model::Write;
use crate::model::public_key::{self, StoredPublicKey};
use kingdom_proto::v2alpha as pb;

/// The version this API records beside each key.
pub const API_VERSION: &str = "v2alpha";

/// UpdatePublicKey, checks in the order of contract 1.2.2. The response echoes the request
/// verbatim (1.2.4); nothing is verified (1.2.3).
pub fn update(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::UpdatePublicKeyRequest,
) -> Answer<pb::PublicKey> {
    let key = request.public_key.clone().unwrap_or_default();
    let parent = key
        .name
        .strip_suffix("/publicKey")
        .and_then(ParentName::parse)
        .filter(|parent| {
            matches!(parent, ParentName::DataProvider(_) | ParentName::MeasurementConsumer(_))
        })
        .ok_or_else(|| bad_shape("public_key.name"))?;
    require_owner(caller, &parent.text())?;
    let certificate = CertificateName::parse(&key.certificate)
        .ok_or_else(|| bad_shape("public_key.certificate"))?;
    if certificate.parent != parent {
        return Err(Refusal::invalid_argument(
            "public_key.certificate does not have the same parent as the public key",
        ));
    }
    let signed = key
        .public_key
        .as_ref()
        .ok_or_else(|| Refusal::invalid_argument("public_key.public_key is not set"))?;
    unpack::<pb::EncryptionPublicKey>(
        signed.message.as_ref(),
        full_name::ENCRYPTION_PUBLIC_KEY,
        "public_key.public_key.message",
    )?;
    let (owner, certificate) = certificate.decode(&write.read())?;
    public_key::update(write, &owner, certificate, to_stored(signed))
        .map_err(|error| error.public(whitelist::UPDATE_PUBLIC_KEY))?;
    Ok(key)
}

/// The stored form of a signed public key.
pub fn to_stored(signed: &pb::SignedMessage) -> StoredPublicKey {
    StoredPublicKey {
        key: signed.message.as_ref().map(|any| any.value.clone()).unwrap_or_default(),
        signature: signed.signature.clone(),
        signature_algorithm_oid: signed.signature_algorithm_oid.clone(),
        api_version: API_VERSION.to_owned(),
    }
}

/// A signed message as reads show it: packed, and in the deprecated `data` too (contract 1.2.4).
#[allow(deprecated, reason = "reads fill the deprecated field as well")]
pub fn signed_message(
    message_full_name: &str,
    bytes: &[u8],
    signature: &[u8],
    signature_algorithm_oid: &str,
) -> pb::SignedMessage {
    pb::SignedMessage {
        message: Some(prost_types::Any {
            type_url: format!("{}{message_full_name}", kingdom_proto::TYPE_URL_PREFIX),
            value: bytes.to_vec(),
        }),
        data: bytes.to_vec(),
        signature: signature.to_vec(),
        signature_algorithm_oid: signature_algorithm_oid.to_owned(),
    }
}
