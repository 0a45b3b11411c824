//! Containers: SignedMessage, and what follows a decryption (3.1, 3.5.3, 3.5.4).

use halo_consent::{
    DecryptError, KeyTemplate, OpenError, PackedMessage, PrivateKeyset, SIGNED_MESSAGE,
    SignatureAlgorithm, SignedMessage, SigningKey, VerifyError, open, open_signed, seal_signed,
    type_url, unpack,
};

use crate::support::{Authority, ec_key, rng};

const SPEC: &str = "wfa.measurement.api.v2alpha.RequisitionSpec";

fn packed() -> PackedMessage {
    PackedMessage { type_url: type_url(SPEC), value: b"spec bytes".to_vec() }
}

/// 3.1.1: the number of each field, written out: data 1, signature 2, the object identifier 3, message 4
/// with type_url 1 and value 2. Each in its turn, and all of them.
#[test]
fn the_fields_of_a_signed_message_on_the_wire() {
    let any = PackedMessage { type_url: "u/N".to_owned(), value: b"vv".to_vec() };
    let none = SignedMessage::default();
    let data = SignedMessage { data: b"dd".to_vec(), ..none.clone() };
    let signature = SignedMessage { signature: b"sss".to_vec(), ..none.clone() };
    let oid = SignedMessage { signature_algorithm_oid: "1.2".to_owned(), ..none.clone() };
    let message = SignedMessage { message: Some(any.clone()), ..none.clone() };
    let all = SignedMessage {
        data: data.data.clone(),
        signature: signature.signature.clone(),
        signature_algorithm_oid: oid.signature_algorithm_oid.clone(),
        message: Some(any),
    };
    let parts: [&[u8]; 4] =
        [b"\x0a\x02dd", b"\x12\x03sss", b"\x1a\x031.2", b"\x22\x09\x0a\x03u/N\x12\x02vv"];
    let whole = parts.concat();
    for (signed, wire) in [
        (none, &[][..]),
        (data, parts[0]),
        (signature, parts[1]),
        (oid, parts[2]),
        (message, parts[3]),
        (all, &whole),
    ] {
        assert_eq!(signed.encode(), wire);
        assert_eq!(SignedMessage::decode(wire), Ok(signed));
    }
}

/// 3.5.3: what is signed, packed and encrypted comes back as it was.
#[test]
fn sign_pack_encrypt_and_back() {
    let key = ec_key();
    let certificate = Authority::new(ec_key()).leaf(&key);
    let signer = SigningKey::from_pkcs8_der(key.serialized_der()).unwrap();
    let message =
        SignedMessage::sign(&signer, SignatureAlgorithm::EcdsaWithSha256, packed()).unwrap();
    for template in KeyTemplate::ALL {
        let keyset = PrivateKeyset::generate(template, &mut rng(1)).unwrap();
        let sealed = seal_signed(&keyset.public(), &message, &mut rng(2)).unwrap();
        let stated = type_url(SIGNED_MESSAGE);
        let opened = open_signed(&keyset, &sealed, &stated).unwrap();
        assert_eq!(opened, message);
        opened.verify(&certificate).unwrap();
        assert_eq!(open(&keyset, &sealed, &stated, SIGNED_MESSAGE).unwrap(), message.encode());
    }
}

/// 3.5.4: a wrong type URL is no decryption error.
#[test]
fn the_causes_of_a_failure_to_open() {
    let keyset = PrivateKeyset::generate(KeyTemplate::ALL[0], &mut rng(1)).unwrap();
    let public = keyset.public();
    let message = SignedMessage { message: Some(packed()), ..SignedMessage::default() };
    let sealed = seal_signed(&public, &message, &mut rng(2)).unwrap();
    // Right plaintext, wrong type URL: no decryption error.
    for stated in ["", SIGNED_MESSAGE, "type.googleapis.com/wfa.measurement.api.v2alpha.Signed"] {
        assert_eq!(
            open_signed(&keyset, &sealed, stated),
            Err(OpenError::WrongTypeUrl {
                stated: stated.to_owned(),
                expected: SIGNED_MESSAGE.to_owned(),
            })
        );
    }
    // Any host will do.
    assert!(open_signed(&keyset, &sealed, &format!("host/path/{SIGNED_MESSAGE}")).is_ok());
    // The ciphertext comes first.
    assert_eq!(
        open_signed(&keyset, &sealed[1..], ""),
        Err(OpenError::Decrypt(DecryptError::DecryptionFailed))
    );
    // Right type URL, but other plaintext.
    let other = public.encrypt(&[0xff], &[], &mut rng(3)).unwrap();
    assert_eq!(
        open_signed(&keyset, &other, &type_url(SIGNED_MESSAGE)),
        Err(OpenError::Unparsable { expected: SIGNED_MESSAGE.to_owned() })
    );
    assert!(SignedMessage::decode(&[0xff]).is_err());
}

/// 3.5.6: the prefix that project code writes; and two Any are equal if type URL and bytes are, so that
/// another prefix in front of the same message and bytes makes another Any.
#[test]
fn the_prefix_of_a_type_url_counts_in_a_comparison() {
    assert_eq!(
        type_url("wfa.measurement.api.v2alpha.RequisitionSpec"),
        "type.googleapis.com/wfa.measurement.api.v2alpha.RequisitionSpec"
    );
    assert_eq!(
        packed(),
        PackedMessage {
            type_url: "type.googleapis.com/wfa.measurement.api.v2alpha.RequisitionSpec".to_owned(),
            value: b"spec bytes".to_vec(),
        }
    );
    assert_ne!(packed(), PackedMessage { type_url: format!("host/{SPEC}"), ..packed() });
    assert_ne!(packed(), PackedMessage { value: b"spec byteS".to_vec(), ..packed() });
}

/// 3.5.4: the type URL names the message after its last slash.
#[test]
fn unpacks_any_prost_message() {
    // google.protobuf.BytesValue is such a message, and prost's own.
    let url = "type.googleapis.com/google.protobuf.BytesValue";
    let value: Vec<u8> = unpack(url, "google.protobuf.BytesValue", &[0x0a, 1, 7]).unwrap();
    assert_eq!(value, [7]);
    assert!(matches!(
        unpack::<Vec<u8>>(url, "google.protobuf.StringValue", &[]),
        Err(OpenError::WrongTypeUrl { .. })
    ));
}

/// 3.1.3: the message counts before the deprecated data.
#[test]
fn data_counts_only_without_a_message() {
    let key = ec_key();
    let certificate = Authority::new(ec_key()).leaf(&key);
    let signer = SigningKey::from_pkcs8_der(key.serialized_der()).unwrap();
    let signed =
        SignedMessage::sign(&signer, SignatureAlgorithm::EcdsaWithSha384, packed()).unwrap();
    assert_eq!(signed.data, packed().value);
    assert_eq!(signed.signature_algorithm_oid, "1.2.840.10045.4.3.3");

    let legacy = SignedMessage { message: None, ..signed.clone() };
    legacy.verify(&certificate).unwrap();
    assert_eq!(SignedMessage::decode(&legacy.encode()).unwrap(), legacy);
    let other_data = SignedMessage { data: b"other".to_vec(), ..signed.clone() };
    other_data.verify(&certificate).unwrap();
    // A message that is set but empty counts too.
    let emptied = SignedMessage { message: Some(PackedMessage::default()), ..signed.clone() };
    assert_eq!(emptied.verify(&certificate), Err(VerifyError::BadSignature));
    assert_eq!(SignedMessage::decode(&emptied.encode()).unwrap(), emptied);
    // Nothing binds the signature to the type.
    let mut retyped = signed;
    retyped.message.as_mut().unwrap().type_url = type_url(SIGNED_MESSAGE);
    retyped.verify(&certificate).unwrap();
}
