use super::authority;
use crate::{
    PemError, bundle_pem, pem_certificates, pem_private_key, pem_private_key_skipping_leading_text,
};

#[test]
fn all_certificates_are_read_in_order_whatever_stands_between_them() {
    let (one, two) = (authority("a", 1), authority("b", 2));
    let expected = [one.certificate_der(), two.certificate_der()];
    assert_eq!(pem_certificates(bundle_pem(&expected).as_bytes()).unwrap(), expected);
    let text = format!(
        "Bag Attributes\n  key: value\n\n{}\r\nsubject=/CN=b\n{}tail",
        one.certificate_pem().replace('\n', "\r\n"),
        two.certificate_pem()
    );
    assert_eq!(pem_certificates(text.as_bytes()).unwrap(), expected);
}

#[test]
fn a_missing_newline_between_two_roots_is_refused_with_its_line() {
    let (one, two) = (authority("a", 1), authority("b", 2));
    let first = one.certificate_pem();
    let text = format!("{}{}", first.trim_end(), two.certificate_pem());
    let line = first.lines().count();
    let error = pem_certificates(text.as_bytes()).unwrap_err();
    assert_eq!(error, PemError::BoundaryNotAlone { line });
    assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}");
}

#[test]
fn a_last_line_without_newline_is_fine() {
    let one = authority("a", 1);
    let text = one.certificate_pem();
    assert_eq!(pem_certificates(text.trim_end().as_bytes()).unwrap(), [one.certificate_der()]);
}

#[test]
fn damaged_certificate_files_are_refused_with_the_line() {
    let good = authority("a", 1).certificate_pem();
    let lines: Vec<&str> = good.lines().collect();
    let last = lines.len();
    let refused = |text: &str| pem_certificates(text.as_bytes()).unwrap_err();

    let cut = lines[..last - 1].join("\n");
    assert_eq!(refused(&cut), PemError::Unterminated { line: 1 });
    assert_eq!(refused(&format!("x\n{cut}\n{good}")), PemError::Unterminated { line: 2 });
    assert_eq!(refused(&lines[1..].join("\n")), PemError::StrayEnd { line: last - 1 });
    let damaged = good.replacen(lines[2], "not*base64", 1);
    assert_eq!(refused(&damaged), PemError::NotBase64 { line: 3 });
    let shorter = good.replacen(lines[2], &lines[2][1..], 1);
    assert_eq!(refused(&shorter), PemError::NotBase64 { line: 1 });
    let empty = "\n-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    assert_eq!(refused(empty), PemError::EmptyBlock { line: 2 });
    let nothing = PemError::NothingFound { label: "CERTIFICATE", lines: 2 };
    assert_eq!(refused("hello\nworld\n"), nothing);
    assert_eq!(refused(""), PemError::NothingFound { label: "CERTIFICATE", lines: 0 });
    let with_mark = format!("\u{feff}{good}");
    assert_eq!(refused(&with_mark), PemError::BoundaryNotAlone { line: 1 });
}

#[test]
fn a_private_key_among_certificates_is_refused_without_being_shown() {
    let one = authority("a", 1);
    let text = format!("{}{}", one.certificate_pem(), one.key().pkcs8_pem());
    let error = pem_certificates(text.as_bytes()).unwrap_err();
    let line = one.certificate_pem().lines().count() + 1;
    let label = "PRIVATE KEY".to_owned();
    assert_eq!(error, PemError::UnexpectedBlock { line, label, wanted: "CERTIFICATE" });
    let secret = one.key().pkcs8_pem().lines().nth(1).unwrap().to_owned();
    assert!(!error.to_string().contains(&secret));
}

#[test]
fn a_key_is_read_after_blank_lines_only() {
    let key = authority("a", 1).key().clone();
    let text = format!("\n  \n{}", key.pkcs8_pem());
    assert_eq!(pem_private_key(&text).unwrap(), key.pkcs8_der());
    let text = key.pkcs8_pem().replace('\n', "\r\n");
    assert_eq!(pem_private_key(&text).unwrap(), key.pkcs8_der());
}

#[test]
fn anything_before_the_key_is_refused_with_its_line() {
    let key = authority("a", 1).key().pkcs8_pem();
    let found = |text: &str| match pem_private_key(text).unwrap_err() {
        PemError::KeyFirstLine { line, found } => (line, found),
        other => panic!("{other}"),
    };
    assert_eq!(found(&format!("\n# comment\n{key}")), (2, "other text".to_owned()));
    let (line, text) = found("-----BEGIN EC PRIVATE KEY-----\nAAAA\n");
    assert!(line == 1 && text.contains("EC PRIVATE KEY"), "{text}");
    let (line, text) = found(&format!("-----BEGIN EC PARAMETERS-----\nAAAA\n{key}"));
    assert!(line == 1 && text.contains("EC PARAMETERS"), "{text}");
    assert_eq!(found(&format!(" {key}")).0, 1);
    let secret = key.lines().nth(1).unwrap();
    assert_eq!(found(secret), (1, "other text".to_owned()));
    let nothing = PemError::NothingFound { label: "PRIVATE KEY", lines: 2 };
    assert_eq!(pem_private_key("\n\n").unwrap_err(), nothing);
}

#[test]
fn the_documented_reading_skips_what_precedes_the_key() {
    let key = authority("a", 1).key().clone();
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----";
    let text = format!("# comment\n{parameters}\n{}", key.pkcs8_pem());
    assert_eq!(pem_private_key_skipping_leading_text(&text).unwrap(), key.pkcs8_der());
    let error = pem_private_key_skipping_leading_text(parameters).unwrap_err();
    assert_eq!(error, PemError::NothingFound { label: "PRIVATE KEY", lines: 3 });
    let cut = key.pkcs8_pem().lines().take(2).collect::<Vec<_>>().join("\n");
    let error = pem_private_key_skipping_leading_text(&cut).unwrap_err();
    assert_eq!(error, PemError::Unterminated { line: 1 });
}
