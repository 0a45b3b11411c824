//! The known answers of `tests/data/halo-crypto-vectors.json`, in each direction they allow.

use halo_consent::{
    KeyTemplate, PackedMessage, PrivateKeyset, PublicKeyset, SignatureAlgorithm, SignedMessage,
    SigningKey, nonce_hash, requisition_fingerprint, type_url, unwrap_keyset, verify, wrap_keyset,
};
use rcgen::KeyPair;

use crate::support::{Authority, bytes, ec_key, rng, vectors};

fn keyset(template: KeyTemplate) {
    let vectors = vectors();
    let field = |name: &str| bytes(&vectors, &format!("/{}/{name}", template.name()));
    let number = |name: &str| {
        vectors.pointer(&format!("/{}/{name}", template.name())).unwrap().as_u64().unwrap()
    };
    let private = PrivateKeyset::from_binary(&field("private_keyset")).unwrap();
    let public = PublicKeyset::from_binary(&field("public_keyset")).unwrap();

    assert_eq!(private.to_binary(), field("private_keyset"));
    assert_eq!(public.to_binary(), field("public_keyset"));
    assert_eq!(private.public(), public);
    assert_eq!(private.public().to_binary(), field("public_keyset"));
    assert_eq!(u64::from(public.primary_key_id()), number("key_id"));
    assert_eq!(u64::from(private.primary_key_id()), number("key_id"));
    assert_eq!(template.overhead() as u64, number("overhead_bytes"));
    let type_url = vectors.pointer(&format!("/{}/type_url_public", template.name())).unwrap();
    assert!(format!("{public:?}").contains(type_url.as_str().unwrap()));

    let plaintext = field("plaintext");
    assert_eq!(private.decrypt(&field("ciphertext"), &[]).unwrap(), plaintext);
    assert_eq!(private.decrypt(&field("empty_plaintext_ciphertext"), &[]).unwrap(), b"");

    let ours = public.encrypt(&plaintext, &[], &mut rng(1)).unwrap();
    assert_eq!(ours.len(), field("ciphertext").len());
    assert_eq!(ours[..5], field("ciphertext")[..5]);
    assert_eq!(private.decrypt(&ours, &[]).unwrap(), plaintext);
    let empty = public.encrypt(b"", &[], &mut rng(1)).unwrap();
    assert_eq!(empty.len(), field("empty_plaintext_ciphertext").len());
}

/// 3.6.3: known answers of the ECIES layout.
#[test]
fn ecies_key_set_and_ciphertexts() {
    keyset(KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm);
}

/// 3.6.4: known answers of the HPKE layout.
#[test]
fn hpke_key_set_and_ciphertexts() {
    keyset(KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm);
}

/// 3.8.2: SHA-256 of the eight bytes, big-endian.
#[test]
fn nonce_hashes() {
    let vectors = vectors();
    let cases = vectors["nonce_hash"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let nonce = case["nonce"].as_i64().unwrap().cast_unsigned();
        assert_eq!(hex::encode(nonce_hash(nonce)), case["sha256_be"].as_str().unwrap());
    }
}

/// 3.8.4: known answer of the requisition fingerprint.
#[test]
fn fingerprint() {
    let vectors = vectors();
    let field = |name: &str| bytes(&vectors, &format!("/requisition_fingerprint/{name}"));
    let fingerprint = requisition_fingerprint(
        &field("measurement_spec_bytes"),
        &field("encrypted_requisition_spec_ciphertext"),
    );
    assert_eq!(fingerprint.as_slice(), field("fingerprint"));
}

/// 3.1.2, 3.7.1: the signed bytes are the serialized message.
#[test]
fn signed_encryption_public_key() {
    let vectors = vectors();
    let field = |name: &str| bytes(&vectors, &format!("/signed_encryption_public_key/{name}"));
    let signed_bytes = field("signed_bytes");
    let key = KeyPair::try_from(field("signing_private_key_pkcs8_der")).unwrap();
    let certificate = Authority::new(ec_key()).leaf(&key);
    // The certificate made for this test is about the key of the vector.
    let spki = field("signing_public_key_spki_der");
    assert!(certificate.windows(spki.len()).any(|window| window == spki));

    // The signature as it is, with the identifier and by the fallback.
    for oid in ["1.2.840.10045.4.3.2", ""] {
        verify(&certificate, oid, &signed_bytes, &field("signature_der")).unwrap();
    }

    // The signed bytes are an EncryptionPublicKey around the ECIES vector's public key set.
    let keyset = bytes(&vectors, "/ECIES_P256_HKDF_HMAC_SHA256_AES128_GCM/public_keyset");
    assert_eq!(unwrap_keyset(&signed_bytes).unwrap(), keyset);
    assert_eq!(wrap_keyset(&keyset), signed_bytes);
    let public = PublicKeyset::from_encryption_public_key(&signed_bytes).unwrap();
    assert_eq!(public.to_encryption_public_key(), signed_bytes);

    // The SignedMessage around it, both ways.
    let serialized = field("signed_message_serialized");
    let message = SignedMessage::decode(&serialized).unwrap();
    assert_eq!(message.encode(), serialized);
    assert_eq!(message.signed_bytes(), signed_bytes);
    assert_eq!(message.data, signed_bytes);
    assert_eq!(message.signature, field("signature_der"));
    message.verify(&certificate).unwrap();

    // What this crate signs with the vector's key differs in nothing but the signature.
    let signer = SigningKey::from_pkcs8_der(&field("signing_private_key_pkcs8_der")).unwrap();
    assert!(signer.is_key_of(&certificate).unwrap());
    let packed = PackedMessage {
        type_url: type_url("wfa.measurement.api.v2alpha.EncryptionPublicKey"),
        value: signed_bytes,
    };
    let ours = SignedMessage::sign(&signer, SignatureAlgorithm::EcdsaWithSha256, packed).unwrap();
    ours.verify(&certificate).unwrap();
    assert_eq!(SignedMessage { signature: message.signature.clone(), ..ours }, message);
}
