use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{NOW, authority, authority_spec, rng};
use crate::{
    AkidChoice, Authority, Crl, CrlSpec, ExtendedKeyUsage, KeyPair, Leaf, LeafSpec, PkiError,
    PublicKeyAlgorithm, RevokedSerial, SkidChoice, Validity, inspect,
};

fn leaf_spec() -> LeafSpec {
    LeafSpec::new("leaf", Validity::days(NOW, 365))
}

/// The critical flag and the value of each extension, by dotted OID, in order.
fn extensions(der: &[u8]) -> Vec<(String, bool, Vec<u8>)> {
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    let extensions = certificate.extensions().iter();
    extensions.map(|e| (e.oid.to_id_string(), e.critical, e.value.to_vec())).collect()
}

fn extension(der: &[u8], oid: &str) -> Option<(bool, Vec<u8>)> {
    let mut all = extensions(der).into_iter();
    all.find(|(found, _, _)| found == oid).map(|(_, critical, value)| (critical, value))
}

#[test]
fn the_same_seed_gives_the_same_key_identifier_and_serial() {
    let (first, second, third) = (authority("a", 1), authority("a", 1), authority("a", 2));
    assert_eq!(first.key().pkcs8_der(), second.key().pkcs8_der());
    assert_eq!(first.subject_key_identifier(), second.subject_key_identifier());
    assert_eq!(
        inspect(first.certificate_der()).unwrap(),
        inspect(second.certificate_der()).unwrap()
    );
    assert_ne!(first.key().pkcs8_der(), third.key().pkcs8_der());
    let serial = |authority: &Authority| inspect(authority.certificate_der()).unwrap().serial;
    assert_ne!(serial(&first), serial(&third));
}

#[test]
fn a_key_is_the_same_in_every_release() {
    let key = KeyPair::generate(&mut rng(7));
    let skid = crate::inspect::lower_hex(&key.subject_key_identifier());
    assert_eq!(skid, "78d6d70d7191b73320664c6d76e5298e760ade41");
}

#[test]
fn a_key_survives_its_der_and_pem_forms() {
    let key = KeyPair::generate(&mut rng(1));
    let again = KeyPair::from_pkcs8_der(key.pkcs8_der()).unwrap();
    assert_eq!(again.public_point(), key.public_point());
    assert!(key.pkcs8_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(crate::pem_private_key(&key.pkcs8_pem()).unwrap(), key.pkcs8_der());
}

#[test]
fn a_scalar_of_zero_or_beyond_the_order_is_drawn_anew() {
    struct Octets(Vec<[u8; 32]>);
    impl rand_core::RngCore for Octets {
        fn next_u32(&mut self) -> u32 {
            0
        }
        fn next_u64(&mut self) -> u64 {
            0
        }
        fn fill_bytes(&mut self, out: &mut [u8]) {
            out.copy_from_slice(&self.0.remove(0));
        }
    }
    let mut one = [0u8; 32];
    one[31] = 1;
    let key = KeyPair::generate(&mut Octets(vec![[0; 32], [0xff; 32], one]));
    assert_eq!(key, KeyPair::generate(&mut Octets(vec![one])));
}

#[test]
fn a_key_that_is_not_pkcs8_on_p256_is_refused() {
    let error = KeyPair::from_pkcs8_der(b"nonsense").unwrap_err();
    assert!(error.to_string().contains("unencrypted PKCS#8"), "{error}");
}

#[test]
fn debug_output_never_shows_a_private_key() {
    let authority = authority("a", 1);
    let leaf = authority.issue(&leaf_spec(), &mut rng(2)).unwrap();
    assert!(format!("{:?}", authority.key()).contains("redacted"));
    for (text, key) in [
        (format!("{authority:?}"), authority.key()),
        (format!("{leaf:?}"), leaf.key()),
        (format!("{:?}", leaf.key()), leaf.key()),
    ] {
        let scalar = &key.pkcs8_der()[36..68];
        assert!(!text.contains(&format!("{scalar:?}")[1..60]), "{text}");
        assert!(!text.contains(&crate::inspect::lower_hex(scalar)), "{text}");
    }
}

#[test]
fn a_root_follows_the_recipe() {
    let root = authority("a", 1);
    let der = root.certificate_der();
    let facts = inspect(der).unwrap();
    assert_eq!(facts.version, 3);
    assert_eq!(facts.subject, "O=Test, CN=a CA");
    assert!(facts.self_issued && facts.is_ca);
    assert_eq!(facts.skid, Some(root.key().subject_key_identifier()));
    assert_eq!(facts.akids.len(), 1);
    assert_eq!(facts.akid(), facts.skid.as_deref());
    assert_eq!(facts.dns_names, ["ca.a.example"]);
    assert_eq!(facts.not_before, NOW);
    assert_eq!(facts.not_after, NOW + time::Duration::days(3650));
    assert_eq!(facts.public_key_algorithm, PublicKeyAlgorithm::EcP256);
    assert_eq!(facts.signature_algorithm, "1.2.840.10045.4.3.2");
    assert_eq!(facts.serial.len(), 40);
    assert_eq!(extension(der, "2.5.29.19").unwrap(), (true, vec![0x30, 3, 1, 1, 0xff]));
    // digitalSignature 0, keyCertSign 5, cRLSign 6: 0b1000_0110, one unused bit.
    assert_eq!(extension(der, "2.5.29.15").unwrap(), (false, vec![3, 2, 1, 0x86]));
    assert_eq!(extensions(der).len(), 5);
    let critical: Vec<bool> =
        extensions(der).into_iter().map(|(_, critical, _)| critical).collect();
    assert_eq!(critical, [true, false, false, false, false]);
}

#[test]
fn a_leaf_follows_the_recipe() {
    let root = authority("a", 1);
    let leaf = root.issue(&leaf_spec(), &mut rng(2)).unwrap();
    let der = leaf.certificate_der();
    let facts = inspect(der).unwrap();
    assert_eq!(facts.issuer, "O=Test, CN=a CA");
    assert_eq!(facts.subject, "O=Halo Conformance, CN=leaf");
    assert!(!facts.is_ca && !facts.self_issued);
    assert_eq!(facts.skid, Some(leaf.key().subject_key_identifier()));
    assert_eq!(facts.akid(), Some(root.subject_key_identifier()));
    assert_eq!(facts.dns_names, ["localhost"]);
    assert_eq!(facts.public_key_info, leaf.key().public_key_info_der());
    assert_eq!(extension(der, "2.5.29.19").unwrap(), (false, vec![0x30, 0]));
    // digitalSignature 0, nonRepudiation 1, keyEncipherment 2: 0b1110_0000, five unused bits.
    assert_eq!(extension(der, "2.5.29.15").unwrap(), (false, vec![3, 2, 5, 0xe0]));
    // The key id only: neither issuer nor serial in the authority key identifier.
    let akid = extension(der, "2.5.29.35").unwrap().1;
    assert_eq!(akid[..4], [0x30, 22, 0x80, 20]);
    assert!(extension(der, "2.5.29.37").is_none());
    assert!(extensions(der).iter().all(|(_, critical, _)| !critical));
}

#[test]
fn the_authority_key_identifier_is_what_the_spec_chooses() {
    let root = authority("a", 1);
    let akids = |akid: AkidChoice| {
        let spec = LeafSpec { akid, ..leaf_spec() };
        inspect(root.issue(&spec, &mut rng(2)).unwrap().certificate_der()).unwrap()
    };
    assert_eq!(akids(AkidChoice::Absent).akids, []);
    assert_eq!(akids(AkidChoice::Of(vec![1, 2])).akids, [Some(vec![1, 2])]);
    assert_eq!(akids(AkidChoice::KeyIdAbsent).akids, [None]);
    let twice = akids(AkidChoice::Twice(vec![1], vec![2]));
    assert_eq!(twice.akids, [Some(vec![1]), Some(vec![2])]);
    assert_eq!(twice.duplicate_extensions, ["2.5.29.35"]);
}

#[test]
fn the_subject_key_identifier_is_what_the_spec_chooses() {
    let root = authority("a", 1);
    let facts = |skid: SkidChoice| {
        let spec = LeafSpec { skid, ..leaf_spec() };
        let facts = inspect(root.issue(&spec, &mut rng(2)).unwrap().certificate_der()).unwrap();
        (facts.skid, facts.skid_malformed)
    };
    assert_eq!(facts(SkidChoice::Absent), (None, false));
    assert_eq!(facts(SkidChoice::Of(vec![9; 3])), (Some(vec![9; 3]), false));
    assert_eq!(facts(SkidChoice::Empty), (Some(vec![]), false));
    assert_eq!(facts(SkidChoice::Malformed), (None, true));
}

#[test]
fn names_addresses_purposes_and_serial_are_what_the_spec_says() {
    let root = authority("a", 1);
    let spec = LeafSpec {
        dns_names: vec!["one.example".to_owned(), "two.example".to_owned()],
        ip_addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        extended_key_usage: vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth],
        serial: Some(vec![0xff, 0x01]),
        is_ca: true,
        ..leaf_spec()
    };
    let leaf = root.issue(&spec, &mut rng(2)).unwrap();
    let facts = inspect(leaf.certificate_der()).unwrap();
    assert_eq!(facts.dns_names, spec.dns_names);
    assert_eq!(facts.ip_addresses, spec.ip_addresses);
    assert_eq!(facts.serial, "ff01");
    assert!(facts.is_ca);
    assert!(extension(leaf.certificate_der(), "2.5.29.37").is_some());
}

#[test]
fn a_spec_that_cannot_be_written_is_refused_by_name() {
    let root = authority("a", 1);
    let refused = |spec: LeafSpec| root.issue(&spec, &mut rng(2)).unwrap_err().to_string();
    let text = refused(LeafSpec { serial: Some(vec![]), ..leaf_spec() });
    assert!(text.contains("serial"), "{text}");
    let text = refused(LeafSpec { dns_names: vec!["bücher.example".to_owned()], ..leaf_spec() });
    assert!(text.contains("bücher.example"), "{text}");
    let mut spec = leaf_spec();
    spec.validity.not_before = time::macros::datetime!(-0001-01-01 00:00 UTC);
    assert!(refused(spec).contains("not_before"));
}

#[test]
fn dates_are_written_in_the_form_of_their_century() {
    let root = authority("a", 1);
    for not_after in [
        time::macros::datetime!(2049-12-31 23:59:59 UTC),
        time::macros::datetime!(2050-01-01 00:00:00 UTC),
        time::macros::datetime!(9999-12-31 23:59:59 UTC),
    ] {
        let not_before = time::macros::datetime!(1950-01-01 01:00:00 +01:00);
        let spec = LeafSpec { validity: Validity { not_before, not_after }, ..leaf_spec() };
        let leaf = root.issue(&spec, &mut rng(2)).unwrap();
        let facts = inspect(leaf.certificate_der()).unwrap();
        assert_eq!((facts.not_before, facts.not_after), (not_before, not_after));
        assert!(facts.is_valid_at(not_after) && facts.is_valid_at(NOW));
    }
}

#[test]
fn a_validity_includes_both_of_its_ends_and_nothing_beyond() {
    let leaf = authority("a", 1).issue(&leaf_spec(), &mut rng(2)).unwrap();
    let facts = inspect(leaf.certificate_der()).unwrap();
    let (end, second) = (NOW + time::Duration::days(365), time::Duration::SECOND);
    assert!(facts.is_valid_at(NOW) && facts.is_valid_at(end));
    assert!(!facts.is_valid_at(NOW - second) && !facts.is_valid_at(end + second));
    assert_eq!(Validity::days(NOW, i64::from(i32::MAX)).not_after.year(), 9999);
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Authority>();
    shared::<crate::Leaf>();
    shared::<KeyPair>();
    shared::<Crl>();
    shared::<crate::TrustEntry>();
    shared::<crate::hostile::Forgery>();
    shared::<PkiError>();
}

#[test]
fn a_renewal_for_the_same_key_keeps_the_identifier_and_changes_the_serial() {
    let root = authority("a", 1);
    let mut rng = rng(2);
    let first = root.issue(&leaf_spec(), &mut rng).unwrap();
    let second = root.issue_for_key(&leaf_spec(), first.key(), &mut rng).unwrap();
    let facts = |der| inspect(der).unwrap();
    let (first, second) = (facts(first.certificate_der()), facts(second.certificate_der()));
    assert_eq!(first.skid, second.skid);
    assert_ne!(first.serial, second.serial);
}

#[test]
fn an_intermediate_names_its_issuer() {
    let root = authority("a", 1);
    let below = root.intermediate(&authority_spec("below"), &mut rng(2)).unwrap();
    let facts = inspect(below.certificate_der()).unwrap();
    assert_eq!(facts.akid(), Some(root.subject_key_identifier()));
    assert_eq!(facts.issuer, "O=Test, CN=a CA");
    assert_eq!(facts.subject, "O=Test, CN=below CA");
    assert_eq!(facts.skid.as_deref(), Some(below.subject_key_identifier()));
    let leaf = below.issue(&leaf_spec(), &mut rng(3)).unwrap();
    let facts = inspect(leaf.certificate_der()).unwrap();
    assert_eq!(facts.akid(), Some(below.subject_key_identifier()));
    assert_eq!(facts.issuer, "O=Test, CN=below CA");
}

#[test]
fn an_authority_loads_from_its_own_files() {
    let made = authority("a", 1);
    let key = made.key().pkcs8_pem();
    let from_der = Authority::load(made.certificate_der(), &key).unwrap();
    let from_pem = Authority::load(made.certificate_pem().as_bytes(), &key).unwrap();
    assert_eq!(from_der, made);
    assert_eq!(from_pem, made);
}

#[test]
fn an_authority_does_not_load_with_anothers_key_or_a_leafs_certificate() {
    let (one, two) = (authority("a", 1), authority("b", 2));
    let error = Authority::load(one.certificate_der(), &two.key().pkcs8_pem()).unwrap_err();
    assert_eq!(error, PkiError::KeyMismatch { subject: "O=Test, CN=a CA".to_owned() });
    let leaf = one.issue(&leaf_spec(), &mut rng(3)).unwrap();
    let error = Authority::load(leaf.certificate_der(), &leaf.key().pkcs8_pem()).unwrap_err();
    assert!(matches!(error, PkiError::NotAnAuthority { .. }), "{error}");
}

#[test]
fn a_revocation_list_says_what_it_was_told() {
    use x509_parser::prelude::CertificateRevocationList;
    let root = authority("a", 1);
    let spec = CrlSpec {
        this_update: NOW,
        next_update: NOW + time::Duration::days(7),
        number: 200,
        revoked: vec![
            RevokedSerial { serial: vec![5], revoked_at: NOW, reason: Some(1) },
            RevokedSerial { serial: vec![0, 0x80], revoked_at: NOW, reason: None },
        ],
    };
    let crl = Crl::issue(&root, &spec).unwrap();
    let (rest, parsed) = CertificateRevocationList::from_der(crl.der()).unwrap();
    assert!(rest.is_empty());
    let serials: Vec<&[u8]> =
        parsed.iter_revoked_certificates().map(|entry| entry.raw_serial()).collect();
    assert_eq!(serials, [&[5][..], &[0, 0x80]]);
    let reason = parsed.iter_revoked_certificates().next().unwrap().reason_code().unwrap().1;
    assert_eq!(reason.0, 1);
    assert_eq!(parsed.crl_number().unwrap().to_string(), "200");
    assert_eq!(parsed.last_update().to_datetime(), NOW);
    assert_eq!(parsed.next_update().unwrap().to_datetime(), spec.next_update);
    assert!(crl.pem().starts_with("-----BEGIN X509 CRL-----\n"));

    let nothing = CrlSpec { revoked: vec![], ..spec };
    let crl = Crl::issue(&root, &nothing).unwrap();
    let (_, parsed) = CertificateRevocationList::from_der(crl.der()).unwrap();
    assert_eq!(parsed.iter_revoked_certificates().count(), 0);
}

#[test]
fn a_leaf_is_loaded_with_its_own_key_and_with_no_other() {
    let root = authority("a", 1);
    let issue = |seed| root.issue(&leaf_spec(), &mut rng(seed)).unwrap();
    let (leaf, other) = (issue(2), issue(3));
    let load = |key: &KeyPair| Leaf::load(leaf.certificate_der(), key.pkcs8_der());
    assert_eq!(load(leaf.key()), Ok(leaf.clone()));
    assert!(matches!(load(other.key()), Err(PkiError::KeyMismatch { .. })));
}
