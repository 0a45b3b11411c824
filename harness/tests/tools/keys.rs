//! `keys`: wrap, unwrap, sign, and the two commands of tinkey.

use crate::support::{halo, read, write};
use halo_consent::{PrivateKeyset, SignatureAlgorithm};
use rcgen::KeyPair;
use std::os::unix::fs::PermissionsExt as _;

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with an authority, a consent signalling pair and a key set.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        let own = folder.0.path().to_str().expect("text");
        halo(&["pki", "init", "--name", "x", own]).good();
        halo(&["pki", "issue", "--kind", "cs", own]).good();
        halo(&["pki", "issue", "--kind", "cs", "--as", "other", own]).good();
        halo(&["keys", "create-keyset", "--out", &folder.path("private.tink")]).good();
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn serialized(&self) -> String {
        let (public, out) = (self.path("public.tink"), self.path("key.bin"));
        let private = self.path("private.tink");
        halo(&["keys", "create-public-keyset", "--in", &private, "--out", &public]).good();
        halo(&["keys", "serialize", "--format", "TINK_KEYSET", "--data", &public, "-o", &out])
            .good();
        out
    }

    fn sign(&self, key: &str, more: &[&str]) -> crate::support::Ended {
        let (certificate, key) = (self.path("x_cs_cert.der"), self.path(key));
        let (input, out) = (self.serialized(), self.path("signature"));
        let mut all = more.to_vec();
        let sign = ["sign", "--certificate", &certificate, "--signing-key", &key];
        let at = all.iter().position(|word| *word == "|").unwrap_or(all.len());
        let mut rest = all.split_off(at);
        let mut words = vec!["keys"];
        words.append(&mut all);
        words.extend(sign);
        words.extend(["--in", &input, "--out", &out]);
        words.extend(rest.drain(..).skip(1));
        halo(&words)
    }
}

#[test]
fn a_root_without_a_command_is_silent_and_help_is_good() {
    assert_eq!(halo(&["keys"]).good(), "");
    assert!(halo(&["keys", "help"]).good().contains("serialize"));
    halo(&["keys", "serialize"]).bad(2, &["--data", "--out"]);
    halo(&["keys", "nonsense"]).bad(2, &["nonsense"]);
}

#[test]
fn what_is_serialized_is_deserialized_to_the_same_bytes_unlooked_at() {
    let folder = Folder::new();
    let (anything, out, back) = (folder.path("any"), folder.path("out"), folder.path("back"));
    write(&anything, b"not a key set");
    assert_eq!(halo(&["keys", "serialize", "--data", &anything, "--out", &out]).good(), "");
    assert_eq!(read(&out), b"\x08\x01\x12\x0dnot a key set");
    assert_eq!(halo(&["keys", "deserialize", "-i", &out, "-o", &back]).good(), "");
    assert_eq!(read(&back), b"not a key set");
    halo(&["keys", "serialize", "--format", "JSON", "--data", &anything, "--out", &out])
        .bad(2, &["TINK_KEYSET"]);
}

/// 4.2.2 is the reverse of a `serialize` that looks at nothing: what the format says decides nothing.
#[test]
fn data_of_another_format_is_deserialized_with_a_warning() {
    let folder = Folder::new();
    let (input, out) = (folder.path("in"), folder.path("out"));
    for (message, format) in [
        (&b"\x12\x03any"[..], "its format is 0"),
        (&b"\x08\x02\x12\x03any"[..], "its format is 2"),
        (&b"\x08\x01\x12\x03any"[..], ""),
    ] {
        write(&input, message);
        let ended = halo(&["keys", "deserialize", "--in", &input, "--out", &out]);
        assert_eq!(ended.err.contains("warning"), !format.is_empty(), "{ended:?}");
        assert!(ended.err.contains(format), "{ended:?}");
        assert_eq!(ended.good(), "");
        assert_eq!(read(&out), b"any");
        std::fs::remove_file(&out).expect("it was written");
    }
}

#[test]
fn a_signature_is_raw_bytes_and_the_line_names_the_algorithm() {
    let folder = Folder::new();
    let certificate = read(&folder.path("x_cs_cert.der"));
    for (more, algorithm) in [
        (&[][..], SignatureAlgorithm::EcdsaWithSha256),
        (&["|", "--signature-algorithm", "ECDSA_WITH_SHA384"], SignatureAlgorithm::EcdsaWithSha384),
    ] {
        let printed = folder.sign("x_cs_private.der", more).good();
        assert_eq!(printed, format!("Signature algorithm: {algorithm} ({})\n", algorithm.oid()));
        let signature = read(&folder.path("signature"));
        let message = read(&folder.path("key.bin"));
        assert_eq!(
            halo_consent::verify(&certificate, algorithm.oid(), &message, &signature),
            Ok(())
        );
    }
}

#[test]
fn a_key_of_another_certificate_goes_unnoticed_unless_the_quirk_is_off() {
    let folder = Folder::new();
    folder.sign("other_private.der", &[]).good();
    let on = ["--quirk", "sign-ignores-key-mismatch=faithful"];
    let faithful = folder.sign("other_private.der", &on);
    assert!(faithful.err.contains("no signature of it verifies"), "{}", faithful.err);
    assert!(faithful.good().starts_with("Signature algorithm: ECDSA_WITH_SHA256 "));
    std::fs::remove_file(folder.path("signature")).expect("it was written");
    let off = ["--quirk", "sign-ignores-key-mismatch=as-documented"];
    folder.sign("other_private.der", &off).bad(1, &["other_private.der", "not the key"]);
    assert!(!std::path::Path::new(&folder.path("signature")).exists());
    folder.sign("x_cs_private.der", &off).good();
}

#[test]
fn a_key_of_another_type_a_pem_key_and_a_wrong_input_exit_1() {
    let folder = Folder::new();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    write(&folder.path("rsa.der"), rsa.expect("an RSA key").serialize_der());
    folder.sign("rsa.der", &[]).bad(1, &["type RSA", "type EC"]);
    folder.sign("x_root.key", &[]).bad(1, &["x_root.key", "PKCS#8 DER"]);
    folder
        .sign("x_cs_private.der", &["|", "--signature-algorithm", "SHA_256_WITH_RSA_ENCRYPTION"])
        .bad(1, &["cannot be used with a key of type EC"]);

    let wrong = folder.path("wrong");
    write(&wrong, b"\xff\xff\xff");
    // Exit 1 here, 2 in `api` (4.0.4).
    halo(&["keys", "deserialize", "--in", &wrong, "--out", &folder.path("o")]).bad(1, &["wrong"]);
    let (certificate, key) = (folder.path("x_cs_cert.der"), folder.path("x_cs_private.der"));
    let sign = ["keys", "sign", "--certificate", &certificate, "--signing-key", &key, "--in"];
    let mut sign = sign.to_vec();
    sign.push(&wrong);
    let out = folder.path("o");
    sign.extend(["--out", &out]);
    halo(&sign).bad(1, &["EncryptionPublicKey"]);
}

#[test]
fn a_new_key_set_is_its_owners_alone_and_never_written_over_another() {
    let folder = Folder::new();
    let private = folder.path("private.tink");
    let mode = std::fs::metadata(&private).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let keyset = PrivateKeyset::from_binary(&read(&private)).expect("a key set");
    folder.serialized();
    assert_eq!(read(&folder.path("public.tink")), keyset.public().to_binary());
    halo(&["keys", "create-keyset", "--out", &private]).bad(1, &["is there already"]);
    halo(&["keys", "create-keyset", "--key-template", "AES", "--out", "x"]).bad(2, &["ECIES_P256"]);
}

/// The real tool validates nothing (4.2.1): a private key set is wrapped, and that is said.
#[test]
fn a_private_key_set_is_serialized_with_a_warning_and_a_public_one_without() {
    let folder = Folder::new();
    let (private, out) = (folder.path("private.tink"), folder.path("private.bin"));
    let ended = halo(&["keys", "serialize", "--data", &private, "--out", &out]);
    assert!(ended.err.contains("warning"), "{ended:?}");
    assert!(ended.err.contains("private key material"), "{ended:?}");
    ended.good();
    assert!(read(&out).ends_with(&read(&private)), "it is written none the less");

    let public = folder.path("public.tink");
    halo(&["keys", "create-public-keyset", "--in", &private, "--out", &public]).good();
    let ended = halo(&["keys", "serialize", "--data", &public, "--out", &out]);
    assert_eq!(ended.err, "");
    ended.good();
}
