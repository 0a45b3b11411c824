use super::{NOW, authority, authority_spec, rng};
use crate::hostile::{Variant, forge};
use crate::{Authority, BundleReason, InspectError, bundle_pem, pem_certificates, trust_bundle};

fn forged(variant: Variant) -> Vec<u8> {
    let (authority, other) = (authority("a", 1), authority("b", 2));
    forge(variant, &authority, &other, NOW, &mut rng(3)).unwrap().certificate
}

fn reason(variant: Variant) -> BundleReason {
    let good = authority("a", 1).certificate_der().to_vec();
    let error = trust_bundle(&[good, forged(variant)]).unwrap_err();
    assert_eq!(error.entry, 2, "{error}");
    assert!(error.to_string().starts_with("trust bundle entry 2 (`"), "{error}");
    error.reason
}

#[test]
fn roots_are_kept_in_order_under_their_key_identifiers() {
    let (one, two) = (authority("a", 1), authority("b", 2));
    let text = bundle_pem(&[one.certificate_der(), two.certificate_der()]);
    let bundle = trust_bundle(&pem_certificates(text.as_bytes()).unwrap()).unwrap();
    let skids: Vec<&[u8]> = bundle.iter().map(|entry| &entry.skid[..]).collect();
    assert_eq!(skids, [one.subject_key_identifier(), two.subject_key_identifier()]);
    assert_eq!(bundle[0].der, one.certificate_der());
    assert_eq!(bundle[1].facts.subject, "O=Test, CN=b CA");
    assert!(trust_bundle::<&[u8]>(&[]).unwrap().is_empty());
}

#[test]
fn of_two_roots_with_one_key_identifier_the_last_wins() {
    let (one, two) = (authority("a", 1), authority("b", 2));
    let usurper = forged(Variant::RootWithAuthoritysSkid);
    let bundle = trust_bundle(&[one.certificate_der(), two.certificate_der(), &usurper]).unwrap();
    assert_eq!(bundle.len(), 2);
    assert_eq!(bundle[0].der, usurper);
    assert_eq!(bundle[0].skid, one.subject_key_identifier());
    assert_eq!(bundle[1].der, two.certificate_der());
}

#[test]
fn an_entry_that_is_not_a_root_with_a_key_identifier_is_refused_by_number() {
    assert_eq!(reason(Variant::RootWithoutSkid), BundleReason::NoSubjectKeyIdentifier);
    assert_eq!(reason(Variant::SkidMalformed), BundleReason::MalformedSubjectKeyIdentifier);
    assert!(matches!(reason(Variant::RootWithForeignAkid), BundleReason::NotARoot { .. }));
    assert!(matches!(reason(Variant::IntermediateAsRoot), BundleReason::NotARoot { .. }));
    assert!(matches!(reason(Variant::SkidTwice), BundleReason::DuplicateExtension { .. }));
    assert_eq!(reason(Variant::Empty), BundleReason::Unreadable(InspectError::Empty));
}

#[test]
fn the_refusal_names_the_entry_its_subject_and_the_keys() {
    let root = authority("a", 1);
    let below = root.intermediate(&authority_spec("below"), &mut rng(2)).unwrap();
    let text = trust_bundle(&[below.certificate_der()]).unwrap_err().to_string();
    assert!(text.contains("entry 1 (`O=Test, CN=below CA`)"), "{text}");
    for authority in [&root, &below] {
        let skid = crate::inspect::lower_hex(Authority::subject_key_identifier(authority));
        assert!(text.contains(&skid), "{text}");
    }
}

#[test]
fn what_the_loader_does_not_check_is_accepted() {
    for variant in [
        Variant::RootWithoutAkid,
        Variant::RootWithEmptySkid,
        Variant::RootNotCa,
        Variant::RootExpired,
        Variant::AkidAbsent,
        Variant::AkidWithoutKeyId,
    ] {
        assert_eq!(
            trust_bundle(&[forged(variant)]).map(|bundle| bundle.len()),
            Ok(1),
            "{variant:?}"
        );
    }
}
