//! The path check of 3.3: what passes and each cause of failure.

use halo_consent::{PathError, check_path};
use rcgen::{CustomExtension, DnType, DnValue, KeyPair, KeyUsagePurpose};
use time::OffsetDateTime;

use crate::support::{Authority, NOW, YEAR, authority_params, ec_key, params, replace, rsa_key};

#[test]
fn a_leaf_directly_under_its_issuer() {
    let leaf_key = ec_key();
    for key in [
        ec_key(),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
        rsa_key(),
    ] {
        let authority = Authority::new(key);
        check_path(&authority.leaf(&leaf_key), &authority.der, NOW).unwrap();
        // A root is a leaf of its own.
        check_path(&authority.der, &authority.der, NOW).unwrap();
    }
}

/// 3.3.1, 3.3.2: at the current time, and expired leaves fail.
#[test]
fn validity_of_the_leaf_ends_included() {
    let authority = Authority::new(ec_key());
    let leaf = authority.leaf(&ec_key());
    let (first, last) = (NOW - YEAR, NOW + YEAR);
    for now in [first, last] {
        check_path(&leaf, &authority.der, now).unwrap();
    }
    assert_eq!(
        check_path(&leaf, &authority.der, first - 1),
        Err(PathError::NotYetValid { not_before: first })
    );
    assert_eq!(
        check_path(&leaf, &authority.der, last + 1),
        Err(PathError::Expired { not_after: last })
    );
}

/// 3.3.3: the anchor's own expiry is not looked at.
#[test]
fn the_issuer_is_an_anchor_whatever_its_dates_and_constraints() {
    let mut expired = authority_params("Root");
    expired.not_after = OffsetDateTime::from_unix_timestamp(NOW - 1).unwrap();
    let authority = Authority::with(expired, ec_key());
    assert_eq!(check_path(&authority.leaf(&ec_key()), &authority.der, NOW), Ok(()));

    let mut no_authority = params("Root");
    no_authority.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::KeyCertSign];
    let authority = Authority::with(no_authority, ec_key());
    assert_eq!(check_path(&authority.leaf(&ec_key()), &authority.der, NOW), Ok(()));
}

/// 3.3.1: the leaf sits directly under the given issuer.
#[test]
fn another_issuer() {
    let authority = Authority::new(ec_key());
    let leaf = authority.leaf(&ec_key());
    let other_name = Authority::with(authority_params("Other"), ec_key());
    assert_eq!(check_path(&leaf, &other_name.der, NOW), Err(PathError::IssuerNameMismatch));
    let same_name = Authority::new(ec_key());
    assert_eq!(check_path(&leaf, &same_name.der, NOW), Err(PathError::KeyIdentifierMismatch));
    // Without an authority key identifier, the signature tells (3.4.4 is the caller's).
    let mut unidentified = params("leaf");
    unidentified.use_authority_key_identifier_extension = false;
    let leaf = authority.leaf_with(unidentified, &ec_key());
    check_path(&leaf, &authority.der, NOW).unwrap();
    assert_eq!(check_path(&leaf, &same_name.der, NOW), Err(PathError::BadSignature));
    let other_type = Authority::new(rsa_key());
    assert_eq!(check_path(&leaf, &other_type.der, NOW), Err(PathError::BadSignature));
}

#[test]
fn an_intermediate_in_between() {
    let root = Authority::new(ec_key());
    let key = ec_key();
    let intermediate_params = authority_params("Intermediate");
    let intermediate_der = root.leaf_with(intermediate_params.clone(), &key);
    let leaf = Authority::with(intermediate_params, key).leaf(&ec_key());
    check_path(&leaf, &intermediate_der, NOW).unwrap();
    check_path(&intermediate_der, &root.der, NOW).unwrap();
    assert_eq!(check_path(&leaf, &root.der, NOW), Err(PathError::IssuerNameMismatch));
}

#[test]
fn a_changed_leaf() {
    let authority = Authority::new(ec_key());
    let leaf = authority.leaf(&ec_key());
    let changed = replace(&leaf, b"leaf", b"loaf");
    assert_eq!(check_path(&changed, &authority.der, NOW), Err(PathError::BadSignature));
    // One of the two signature algorithms changed to SHA-384's.
    let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let sha384 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    let place = leaf.windows(8).position(|window| window == sha256).unwrap();
    let mut differing = leaf.clone();
    differing[place + 7] = 3;
    assert!(matches!(check_path(&differing, &authority.der, NOW), Err(PathError::BadLeaf(_))));
    let both = replace(&leaf, &sha256, &sha384);
    assert_eq!(check_path(&both, &authority.der, NOW), Err(PathError::BadSignature));
    let unknown = replace(&leaf, &sha256, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x09]);
    assert_eq!(
        check_path(&unknown, &authority.der, NOW),
        Err(PathError::UnsupportedAlgorithm { oid: "1.2.840.10045.4.3.9".to_owned() })
    );
}

#[test]
fn critical_extensions() {
    let authority = Authority::new(ec_key());
    let mut known = params("leaf");
    known.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    known.is_ca = rcgen::IsCa::ExplicitNoCa;
    check_path(&authority.leaf_with(known.clone(), &ec_key()), &authority.der, NOW).unwrap();
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    known.custom_extensions = vec![extension.clone()];
    check_path(&authority.leaf_with(known.clone(), &ec_key()), &authority.der, NOW).unwrap();
    extension.set_criticality(true);
    known.custom_extensions = vec![extension];
    assert_eq!(
        check_path(&authority.leaf_with(known, &ec_key()), &authority.der, NOW),
        Err(PathError::UnknownCriticalExtension { oid: "1.2.3.4".to_owned() })
    );
}

#[test]
fn names_in_another_spelling() {
    let key = ec_key();
    let mut other = authority_params("Root");
    other
        .distinguished_name
        .push(DnType::CommonName, DnValue::PrintableString("ROOT ".try_into().unwrap()));
    let leaf =
        Authority::with(other, KeyPair::try_from(key.serialized_der()).unwrap()).leaf(&ec_key());
    check_path(&leaf, &Authority::new(key).der, NOW).unwrap();
}

#[test]
fn what_is_no_certificate() {
    let authority = Authority::new(ec_key());
    let leaf = authority.leaf(&ec_key());
    assert!(matches!(check_path(b"", &authority.der, NOW), Err(PathError::BadLeaf(_))));
    assert!(matches!(check_path(&leaf, b"", NOW), Err(PathError::BadIssuer(_))));
}
