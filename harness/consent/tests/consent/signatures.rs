//! Signing and verifying: every algorithm, and the outcomes of 3.1.5, 3.2.3 and 3.2.4.

use halo_consent::{
    KeyType, SignError, SignatureAlgorithm, SigningKey, SigningKeyError, VerifyError,
    certificate_key_type, verify,
};
use rcgen::{CertificateParams, KeyPair};

use crate::support::{Authority, ec_key, params, replace, rsa_key};

const MESSAGE: &[u8] = b"a serialized message";

fn signer(key: &KeyPair) -> SigningKey {
    SigningKey::from_pkcs8_der(key.serialized_der()).unwrap()
}

fn self_signed(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().self_signed(key).unwrap().der().to_vec()
}

/// 3.2.1: the table, written out: identifier and name in tools of each algorithm, and no other.
#[test]
fn the_table_of_algorithms() {
    let table = [
        (SignatureAlgorithm::EcdsaWithSha256, "1.2.840.10045.4.3.2", "ECDSA_WITH_SHA256"),
        (SignatureAlgorithm::EcdsaWithSha384, "1.2.840.10045.4.3.3", "ECDSA_WITH_SHA384"),
        (SignatureAlgorithm::EcdsaWithSha512, "1.2.840.10045.4.3.4", "ECDSA_WITH_SHA512"),
        (
            SignatureAlgorithm::Sha256WithRsaEncryption,
            "1.2.840.113549.1.1.11",
            "SHA_256_WITH_RSA_ENCRYPTION",
        ),
        (
            SignatureAlgorithm::Sha384WithRsaEncryption,
            "1.2.840.113549.1.1.12",
            "SHA_384_WITH_RSA_ENCRYPTION",
        ),
        (
            SignatureAlgorithm::Sha512WithRsaEncryption,
            "1.2.840.113549.1.1.13",
            "SHA_512_WITH_RSA_ENCRYPTION",
        ),
    ];
    assert_eq!(SignatureAlgorithm::ALL, table.map(|(algorithm, ..)| algorithm));
    for (algorithm, oid, name) in table {
        assert_eq!(algorithm.oid(), oid);
        assert_eq!(algorithm.tool_name(), name);
        assert_eq!(algorithm.to_string(), name);
        assert_eq!(SignatureAlgorithm::from_oid(oid), Some(algorithm));
        assert_eq!(SignatureAlgorithm::from_tool_name(name), Some(algorithm));
    }
    for other in ["", "1.2.840.10045.4.3.1", "1.2.840.113549.1.1.5", "1.2.840.113549.1.1.14"] {
        assert_eq!(SignatureAlgorithm::from_oid(other), None, "{other}");
    }
    assert_eq!(SignatureAlgorithm::from_tool_name("ecdsa_with_sha256"), None);
}

/// 3.2.1: what each row of the table computes, against another verifier of the same name; the hash of
/// another row does not verify.
#[test]
fn each_algorithm_is_the_one_of_its_name() {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
        ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
        VerificationAlgorithm,
    };
    use rcgen::PublicKeyData as _;
    let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let rsa = rsa_key();
    let cases: [(&KeyPair, &str, &'static dyn VerificationAlgorithm, bool); 11] = [
        (&p256, "ECDSA_WITH_SHA256", &ECDSA_P256_SHA256_ASN1, true),
        (&p256, "ECDSA_WITH_SHA384", &ECDSA_P256_SHA256_ASN1, false),
        (&p384, "ECDSA_WITH_SHA384", &ECDSA_P384_SHA384_ASN1, true),
        (&p384, "ECDSA_WITH_SHA384", &ECDSA_P384_SHA256_ASN1, false),
        (&p521, "ECDSA_WITH_SHA512", &ECDSA_P521_SHA512_ASN1, true),
        (&p521, "ECDSA_WITH_SHA512", &ECDSA_P521_SHA384_ASN1, false),
        (&rsa, "SHA_256_WITH_RSA_ENCRYPTION", &RSA_PKCS1_2048_8192_SHA256, true),
        (&rsa, "SHA_384_WITH_RSA_ENCRYPTION", &RSA_PKCS1_2048_8192_SHA384, true),
        (&rsa, "SHA_384_WITH_RSA_ENCRYPTION", &RSA_PKCS1_2048_8192_SHA256, false),
        (&rsa, "SHA_512_WITH_RSA_ENCRYPTION", &RSA_PKCS1_2048_8192_SHA512, true),
        (&rsa, "SHA_512_WITH_RSA_ENCRYPTION", &RSA_PKCS1_2048_8192_SHA384, false),
    ];
    for (key, name, verifier, verifies) in cases {
        let algorithm = SignatureAlgorithm::from_tool_name(name).unwrap();
        let signature = signer(key).sign(algorithm, MESSAGE).unwrap();
        let public = UnparsedPublicKey::new(verifier, key.der_bytes());
        let found = public.verify(MESSAGE, &signature).is_ok();
        assert_eq!(found, verifies, "{name} by {verifier:?}");
    }
}

/// 3.2.2: the default of each type of key.
#[test]
fn the_default_is_sha_256_with_the_keys_type() {
    assert_eq!(SignatureAlgorithm::default_for(KeyType::Ec), SignatureAlgorithm::EcdsaWithSha256);
    assert_eq!(
        SignatureAlgorithm::default_for(KeyType::Rsa),
        SignatureAlgorithm::Sha256WithRsaEncryption
    );
}

/// 3.2.1, 3.2.4: each algorithm with its own type of key, and none with another's.
#[test]
fn every_algorithm_with_every_kind_of_key() {
    let keys = [
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(),
        rsa_key(),
    ];
    for key in &keys {
        let certificate = self_signed(key);
        let signer = signer(key);
        assert_eq!(certificate_key_type(&certificate), Ok(signer.key_type()));
        assert_eq!(signer.default_algorithm().key_type(), signer.key_type());
        assert!(signer.is_key_of(&certificate).unwrap());
        for algorithm in SignatureAlgorithm::ALL {
            let signature = match signer.sign(algorithm, MESSAGE) {
                Ok(signature) => signature,
                Err(error) => {
                    assert_ne!(algorithm.key_type(), signer.key_type());
                    let key = signer.key_type();
                    assert_eq!(error, SignError::KeyTypeMismatch { algorithm, key });
                    // Whatever the signature, the key type comes first (3.2.4).
                    assert_eq!(
                        verify(&certificate, algorithm.oid(), MESSAGE, b""),
                        Err(VerifyError::KeyTypeMismatch { algorithm, key: key.to_string() })
                    );
                    continue;
                }
            };
            verify(&certificate, algorithm.oid(), MESSAGE, &signature).unwrap();
            let bad = Err(VerifyError::BadSignature);
            assert_eq!(verify(&certificate, algorithm.oid(), b"other", &signature), bad);
            assert_eq!(verify(&certificate, algorithm.oid(), MESSAGE, b""), bad);
            assert_eq!(verify(&certificate, algorithm.oid(), MESSAGE, &signature[1..]), bad);
            for other in SignatureAlgorithm::ALL {
                if other != algorithm && other.key_type() == algorithm.key_type() {
                    assert_eq!(verify(&certificate, other.oid(), MESSAGE, &signature), bad);
                }
            }
        }
    }
}

#[test]
fn signatures_of_another_key_are_bad() {
    let (one, other) = (ec_key(), ec_key());
    let certificate = self_signed(&one);
    let key = signer(&other);
    assert!(!key.is_key_of(&certificate).unwrap());
    let signature = key.sign(SignatureAlgorithm::EcdsaWithSha256, MESSAGE).unwrap();
    assert_eq!(
        verify(&certificate, "1.2.840.10045.4.3.2", MESSAGE, &signature),
        Err(VerifyError::BadSignature)
    );
    assert!(!signer(&rsa_key()).is_key_of(&certificate).unwrap());
}

/// 3.2.3: an identifier outside the table is no bad signature.
#[test]
fn unknown_identifiers_are_no_bad_signatures() {
    let key = ec_key();
    let certificate = self_signed(&key);
    let signature = signer(&key).sign(SignatureAlgorithm::EcdsaWithSha256, MESSAGE).unwrap();
    for oid in ["1.2.840.10045.4.1", "1.2.840.113549.1.1.10", "ECDSA_WITH_SHA256", " "] {
        assert_eq!(
            verify(&certificate, oid, MESSAGE, &signature),
            Err(VerifyError::UnsupportedOid { oid: oid.to_owned() })
        );
    }
}

/// 3.1.4, 3.1.5: what becomes of an object signed with the default, without identifier.
#[test]
fn an_empty_identifier_means_the_issuers_algorithm() {
    let leaf_key = ec_key();
    let signature = signer(&leaf_key).sign(SignatureAlgorithm::EcdsaWithSha256, MESSAGE).unwrap();
    let outcome = |authority_key: KeyPair| {
        verify(&Authority::new(authority_key).leaf(&leaf_key), "", MESSAGE, &signature)
    };
    assert_eq!(outcome(ec_key()), Ok(()));
    assert_eq!(
        outcome(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()),
        Err(VerifyError::BadSignature)
    );
    assert_eq!(
        outcome(rsa_key()),
        Err(VerifyError::KeyTypeMismatch {
            algorithm: SignatureAlgorithm::Sha256WithRsaEncryption,
            key: "EC".to_owned(),
        })
    );
    assert_eq!(
        outcome(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()),
        Err(VerifyError::UnsupportedOid { oid: "1.3.101.112".to_owned() })
    );
}

#[test]
fn a_certificate_with_another_kind_of_key() {
    let certificate = self_signed(&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    assert_eq!(
        verify(&certificate, "1.2.840.10045.4.3.2", MESSAGE, b""),
        Err(VerifyError::KeyTypeMismatch {
            algorithm: SignatureAlgorithm::EcdsaWithSha256,
            key: "1.3.101.112".to_owned(),
        })
    );
    assert!(matches!(certificate_key_type(&certificate), Err(VerifyError::BadCertificate(_))));
}

#[test]
fn what_is_no_certificate() {
    let certificate = self_signed(&ec_key());
    let longer = [certificate.as_slice(), &[0]].concat();
    for der in [b"".as_slice(), b"-----BEGIN CERTIFICATE-----", &certificate[1..], &longer] {
        assert!(matches!(
            verify(der, "1.2.840.10045.4.3.2", MESSAGE, b""),
            Err(VerifyError::BadCertificate(_))
        ));
    }
    // A curve that is none of the three: the last byte of prime256v1's identifier changed.
    let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let other = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x01];
    assert_eq!(
        verify(&replace(&certificate, &p256, &other), "1.2.840.10045.4.3.2", MESSAGE, b""),
        Err(VerifyError::BadCertificate("EC key on an unknown curve"))
    );
}

#[test]
fn what_is_no_signing_key() {
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ec = ec_key();
    for der in [b"".as_slice(), b"-----BEGIN", ed25519.serialized_der(), &ec.serialized_der()[4..]]
    {
        assert_eq!(SigningKey::from_pkcs8_der(der).err(), Some(SigningKeyError::Rejected));
    }
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", signer(&ec_key())), "SigningKey(Ec)");
}

#[test]
fn rsa_signatures_repeat() {
    let key = signer(&rsa_key());
    let sign = || key.sign(SignatureAlgorithm::Sha512WithRsaEncryption, MESSAGE).unwrap();
    assert_eq!(sign(), sign());
}

#[test]
fn verification_does_not_look_at_validity() {
    let key = ec_key();
    let mut expired = params("leaf");
    expired.not_after = expired.not_before;
    let certificate = Authority::new(ec_key()).leaf_with(expired, &key);
    let signature = signer(&key).sign(SignatureAlgorithm::EcdsaWithSha256, MESSAGE).unwrap();
    verify(&certificate, "1.2.840.10045.4.3.2", MESSAGE, &signature).unwrap();
}
