use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{NOW, authority, rng};
use crate::hostile::{ForgedKey, Forgery, Place, Variant, forge};
use crate::{KeyPair, inspect};

fn forged(variant: Variant) -> Forgery {
    let (authority, other) = (authority("a", 1), authority("b", 2));
    forge(variant, &authority, &other, NOW, &mut rng(3)).unwrap()
}

/// webpki's verdict on a client or server with this certificate, both authorities being trusted.
fn verdict(forgery: &Forgery) -> Result<(), String> {
    let (authority, other) = (authority("a", 1), authority("b", 2));
    let roots = [authority.certificate_der(), other.certificate_der()].map(CertificateDer::from);
    let anchors = roots.each_ref().map(|root| anchor_from_trusted_cert(root).unwrap());
    let chain: Vec<_> = forgery.chain.iter().map(|der| CertificateDer::from(&der[..])).collect();
    let now = Duration::from_secs(NOW.unix_timestamp() as u64);
    let der = CertificateDer::from(&forgery.certificate[..]);
    let leaf = EndEntityCert::try_from(&der).map_err(|error| format!("{error:?}"))?;
    let usage = KeyUsage::client_auth();
    let now = UnixTime::since_unix_epoch(now);
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &chain, now, usage, None, None)
        .map_err(|error| format!("{error:?}"))?;
    let name = ServerName::try_from("localhost").unwrap();
    leaf.verify_is_valid_for_subject_name(&name).map_err(|error| format!("{error:?}"))
}

#[test]
fn the_catalogue_is_complete_and_its_names_are_unique() {
    let names: BTreeSet<&str> = Variant::ALL.iter().map(|variant| variant.name()).collect();
    assert_eq!(names.len(), Variant::ALL.len());
    assert!(names.len() >= 60, "{}", names.len());
    for variant in Variant::ALL {
        assert_eq!(Variant::from_name(variant.name()), Some(*variant));
        assert!(variant.describe().ends_with('.') && !variant.describe().contains("  "));
    }
    assert_eq!(Variant::from_name("good"), None);
}

#[test]
fn every_leaf_and_root_of_the_catalogue_can_be_read() {
    for variant in Variant::ALL.iter().filter(|variant| variant.place() != Place::Bytes) {
        inspect(&forged(*variant).certificate)
            .unwrap_or_else(|error| panic!("{variant:?}: {error}"));
    }
}

#[test]
fn every_forgery_repeats_but_for_its_signature() {
    for variant in Variant::ALL.iter().filter(|variant| variant.place() != Place::Bytes) {
        let (first, second) = (forged(*variant), forged(*variant));
        assert_eq!(inspect(&first.certificate), inspect(&second.certificate), "{variant:?}");
        assert_eq!(first.key.pkcs8_der(), second.key.pkcs8_der(), "{variant:?}");
    }
}

#[test]
fn the_key_of_a_forgery_is_the_one_in_its_certificate() {
    for variant in Variant::ALL.iter().filter(|variant| variant.place() != Place::Bytes) {
        let forgery = forged(*variant);
        let facts = inspect(&forgery.certificate).unwrap();
        if let ForgedKey::P256(key) = &forgery.key {
            assert_eq!(facts.public_key_info, key.public_key_info_der(), "{variant:?}");
            KeyPair::from_pkcs8_der(key.pkcs8_der()).unwrap();
        }
        assert!(!format!("{forgery:?}").contains("pkcs8"));
    }
}

#[test]
fn keys_of_other_kinds_load_and_are_the_certificates() {
    let public = |variant| {
        let facts = inspect(&forged(variant).certificate).unwrap();
        facts.public_key_info
    };
    let p384 = forged(Variant::P384Key).key;
    let p384 = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, p384.pkcs8_der().unwrap())
        .unwrap();
    assert!(public(Variant::P384Key).ends_with(p384.public_key().as_ref()));
    let ed25519 = forged(Variant::Ed25519Key).key;
    let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(ed25519.pkcs8_der().unwrap()).unwrap();
    assert!(public(Variant::Ed25519Key).ends_with(ed25519.public_key().as_ref()));
    assert!(forged(Variant::Rsa1024Key).key.pkcs8_der().is_none());
}

#[test]
fn webpki_accepts_only_the_leaves_it_is_known_to_accept() {
    let accepted: Vec<&str> = Variant::ALL
        .iter()
        .filter(|variant| variant.place() == Place::Leaf)
        .filter(|variant| verdict(&forged(**variant)).is_ok())
        .map(|variant| variant.name())
        .collect();
    let known = [
        "endless-validity",
        "wrong-time-form",
        "empty-subject",
        "through-intermediate",
        "intermediate-akid-of-other",
        "akid-absent",
        "akid-without-key-id",
        "akid-empty",
        "akid-malformed",
        "akid-twice",
        "akid-of-both",
        "akid-of-other",
        "akid-of-nobody",
        "skid-absent",
        "skid-empty",
        "skid-malformed",
        "skid-twice",
        "skid-of-authority",
        "many-extensions",
        "negative-serial",
        "zero-serial",
        "huge-serial",
        "rsa-1024-key",
        "p-384-key",
        "ed25519-key",
        "point-off-curve",
        "authoritys-key",
    ];
    assert_eq!(accepted, known);
}

#[test]
fn webpki_names_the_rule_that_a_leaf_breaks() {
    for (variant, expected) in [
        (Variant::Expired, "CertExpired"),
        (Variant::JustExpired, "CertExpired"),
        (Variant::NotYetValid, "CertNotValidYet"),
        (Variant::WrongName, "CertNotValidForName"),
        (Variant::CommonNameOnly, "CertNotValidForName"),
        (Variant::CaAsLeaf, "CaUsedAsEndEntity"),
        (Variant::IssuedByLeaf, "EndEntityUsedAsCa"),
        (Variant::UnknownAuthority, "UnknownIssuer"),
        (Variant::MissingIntermediate, "UnknownIssuer"),
        (Variant::SignedByOtherInAuthoritysName, "InvalidSignatureForPublicKey"),
        (Variant::SelfSignedInAuthoritysName, "InvalidSignatureForPublicKey"),
        (Variant::PathTooLong, "PathLenConstraintViolated"),
        (Variant::NameConstraintViolated, "NameConstraintViolation"),
        (Variant::WrongExtendedKeyUsage, "RequiredEkuNotFound"),
        (Variant::UnknownCriticalExtension, "UnsupportedCriticalExtension"),
        (Variant::Version1, "UnsupportedCertVersion"),
        (Variant::FlippedSignatureBit, "InvalidSignatureForPublicKey"),
        (Variant::Sha1Signature, "UnsupportedSignatureAlgorithm"),
        (Variant::AlgorithmsDisagree, "SignatureAlgorithmMismatch"),
    ] {
        let error = verdict(&forged(variant)).unwrap_err();
        assert!(error.starts_with(expected), "{variant:?}: {error}");
    }
}
