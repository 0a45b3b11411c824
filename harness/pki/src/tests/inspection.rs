use super::{NOW, authority, rng};
use crate::hostile::{Variant, forge};
use crate::{CertificateFacts, InspectError, LeafSpec, PublicKeyAlgorithm, Validity, inspect};

fn read(variant: Variant) -> Result<CertificateFacts, InspectError> {
    let (authority, other) = (authority("a", 1), authority("b", 2));
    inspect(&forge(variant, &authority, &other, NOW, &mut rng(3)).unwrap().certificate)
}

#[test]
fn bytes_that_are_not_one_certificate_are_told_apart() {
    assert_eq!(read(Variant::Empty).unwrap_err(), InspectError::Empty);
    assert_eq!(read(Variant::Pem).unwrap_err(), InspectError::Pem);
    let trailing = InspectError::TrailingBytes { count: 16 };
    assert_eq!(read(Variant::TrailingGarbage).unwrap_err(), trailing);
    for variant in [Variant::Truncated, Variant::HugeLength] {
        assert!(matches!(read(variant).unwrap_err(), InspectError::Truncated { .. }));
    }
    let error = read(Variant::TwoCertificates).unwrap_err();
    assert!(matches!(error, InspectError::TrailingBytes { .. }));
    for variant in
        [Variant::IndefiniteLength, Variant::DeepNesting, Variant::Garbage, Variant::PrivateKey]
    {
        let error = read(variant).unwrap_err();
        assert!(matches!(error, InspectError::Malformed { .. }), "{variant:?}: {error}");
    }
}

#[test]
fn every_prefix_of_a_certificate_is_an_error_and_no_panic() {
    let leaf = LeafSpec::new("leaf", Validity::days(NOW, 365));
    let leaf = authority("a", 1).issue(&leaf, &mut rng(2)).unwrap();
    let der = leaf.certificate_der();
    for end in 0..der.len() {
        inspect(&der[..end]).unwrap_err();
    }
    for place in 0..der.len() {
        let mut changed = der.to_vec();
        changed[place] ^= 0xff;
        let _ = inspect(&changed);
    }
}

#[test]
fn odd_serials_are_facts() {
    let negative = read(Variant::NegativeSerial).unwrap().serial;
    assert!(negative.len() == 40 && negative.as_bytes()[0] >= b'8', "{negative}");
    assert_eq!(read(Variant::HugeSerial).unwrap().serial, "5a".repeat(64));
    assert_eq!(read(Variant::ZeroSerial).unwrap().serial, "00");
}

#[test]
fn odd_extensions_are_facts() {
    assert_eq!(read(Variant::SkidEmpty).unwrap().skid, Some(vec![]));
    assert_eq!(read(Variant::SkidHuge).unwrap().skid.unwrap().len(), 65536);
    assert_eq!(read(Variant::SkidTwice).unwrap().duplicate_extensions, ["2.5.29.14"]);
    assert!(read(Variant::SkidMalformed).unwrap().skid_malformed);
    assert_eq!(read(Variant::AkidEmpty).unwrap().akids, [Some(vec![])]);
    assert_eq!(read(Variant::AkidMalformed).unwrap().akids, [None]);
    assert_eq!(read(Variant::ManyExtensions).unwrap().duplicate_extensions.len(), 1);
    assert!(read(Variant::ContradictoryConstraints).unwrap().is_ca);
    assert_eq!(read(Variant::Version1).unwrap().version, 1);
    assert_eq!(read(Variant::EmptySubject).unwrap().subject, "");
}

#[test]
fn the_kind_of_key_is_told() {
    let kind = |variant| read(variant).unwrap().public_key_algorithm;
    assert_eq!(kind(Variant::Expired), PublicKeyAlgorithm::EcP256);
    assert_eq!(kind(Variant::P384Key), PublicKeyAlgorithm::EcP384);
    assert_eq!(kind(Variant::Ed25519Key), PublicKeyAlgorithm::Ed25519);
    assert_eq!(kind(Variant::Rsa1024Key), PublicKeyAlgorithm::Rsa { bits: 1024 });
}

#[test]
fn the_algorithm_beside_the_signature_is_told() {
    assert_eq!(read(Variant::Sha1Signature).unwrap().signature_algorithm, "1.2.840.10045.4.1");
}

/// `cargo test --release -p halo-pki -- --ignored --nocapture cost`
#[test]
#[ignore = "prints figures"]
#[allow(clippy::disallowed_methods, clippy::print_stdout)]
fn the_cost_of_reading_and_issuing() {
    let authority = authority("a", 1);
    let spec = LeafSpec::new("leaf", Validity::days(NOW, 365));
    let mut rng = rng(2);
    let start = std::time::Instant::now();
    let leaves: Vec<_> = (0..10_000).map(|_| authority.issue(&spec, &mut rng).unwrap()).collect();
    println!("issue: {:?} each", start.elapsed() / 10_000);
    let start = std::time::Instant::now();
    for leaf in &leaves {
        std::hint::black_box(inspect(leaf.certificate_der()).unwrap());
    }
    println!("inspect: {:?} each", start.elapsed() / 10_000);
}
