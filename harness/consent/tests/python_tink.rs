//! Cross-checks with Tink for Python. Without it they are shown as ignored.

#[allow(dead_code, unreachable_pub, reason = "shared with the other tests, which need more of it")]
#[path = "consent/support.rs"]
mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use halo_consent::{KeyTemplate, PrivateKeyset, PublicKeyset, StreamingKeyset};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};

use support::{bytes, rng, vectors};

const SCRIPT: &str = include_str!("data/tink_peer.py");

type Test = fn(&Peer);

fn main() -> ExitCode {
    let python = python();
    if python.is_none() {
        eprintln!("skipped: no Python with tink (tests/python/requirements.txt)");
    }
    let tests: [(&str, Test); 3] = [
        ("keys_made_by_tink", keys_made_by_tink),
        ("keys_made_here", keys_made_here),
        ("streams_of_the_trus_tee_envelope", streams_of_the_trus_tee_envelope),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        let peer = Peer(python.clone().unwrap_or_default());
        let run = move || {
            test(&peer);
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(python.is_none())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A Python that has Tink: the environment of `.ci/run`, else the system's.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let candidates = [root.join("target/python-client/bin/python"), PathBuf::from("python3")];
    candidates.into_iter().find(|python| {
        Command::new(python)
            .args(["-c", "from tink import hybrid, secret_key_access, streaming_aead"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Tink, in a Python.
struct Peer(PathBuf);

impl Peer {
    /// Its answer to one request.
    fn ask(&self, request: &Value) -> Value {
        let mut child = Command::new(&self.0)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Their key: their ciphertexts open here, ours open there.
fn keys_made_by_tink(peer: &Peer) {
    let vectors = vectors();
    let request = json!({
        "command": "generate",
        "templates": [
            "ECIES_P256_HKDF_HMAC_SHA256_AES128_GCM",
            "ECIES_P256_COMPRESSED_HKDF_HMAC_SHA256_AES128_GCM",
            "DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_128_GCM",
            "DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM",
            "DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_RAW",
            "DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_CHACHA20_POLY1305",
        ],
        // Tink for Python has no such template, but takes such a key.
        "p256_pkcs8": vectors["signed_encryption_public_key"]["signing_private_key_pkcs8_der"],
    });
    let answer = peer.ask(&request);
    let keys = answer.as_array().unwrap();
    // Each template with its own prefix, and again with the CRUNCHY one; P-256 HPKE twice more.
    assert_eq!(keys.len(), 14);
    let mut ours = Vec::new();
    for (seed, key) in keys.iter().enumerate() {
        let name = &key["name"];
        let private = PrivateKeyset::from_binary(&bytes(key, "/private")).unwrap();
        let public = PublicKeyset::from_binary(&bytes(key, "/public")).unwrap();
        assert_eq!(private.to_binary(), bytes(key, "/private"), "{name}");
        assert_eq!(private.public().to_binary(), bytes(key, "/public"), "{name}");
        assert_eq!(public.to_binary(), bytes(key, "/public"), "{name}");
        for case in key["ciphertexts"].as_array().unwrap() {
            let opened = private.decrypt(&bytes(case, "/ciphertext"), &bytes(case, "/context"));
            assert_eq!(opened, Ok(bytes(case, "/plaintext")), "{name}");
        }
        for (plaintext, context) in [("", ""), ("74657874", ""), ("74657874", "637478")] {
            let sealed = public.encrypt(
                &hex::decode(plaintext).unwrap(),
                &hex::decode(context).unwrap(),
                &mut rng(seed as u64),
            );
            ours.push(json!({
                "private": key["private"],
                "ciphertext": hex::encode(sealed.unwrap()),
                "context": context,
                "plaintext": plaintext,
            }));
        }
    }
    let answer = peer.ask(&json!({ "command": "decrypt", "cases": ours }));
    assert_eq!(answer["opened"], ours.len());
}

/// Our key: it goes in and out of Tink unchanged, and ciphertexts go both ways.
fn keys_made_here(peer: &Peer) {
    let mut keys = Vec::new();
    let mut cases = Vec::new();
    // Several seeds, for numbers with leading zeros and without.
    for seed in 0..20 {
        for template in KeyTemplate::ALL {
            let private = PrivateKeyset::generate(template, &mut rng(seed)).unwrap();
            let sealed = private.public().encrypt(b"text", &[], &mut rng(seed)).unwrap();
            cases.push(json!({
                "private": hex::encode(private.to_binary()),
                "ciphertext": hex::encode(sealed),
                "context": "",
                "plaintext": hex::encode(b"text"),
            }));
            keys.push(private);
        }
    }
    let answer = peer.ask(&json!({ "command": "decrypt", "cases": cases }));
    assert_eq!(answer["opened"], keys.len());
    let request: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "private": hex::encode(key.to_binary()),
                "public": hex::encode(key.public().to_binary()),
            })
        })
        .collect();
    let answer = peer.ask(&json!({ "command": "encrypt", "keys": request }));
    for (key, theirs) in keys.iter().zip(answer.as_array().unwrap()) {
        assert_eq!(bytes(theirs, "/private"), key.to_binary());
        assert_eq!(bytes(theirs, "/public"), key.public().to_binary());
        let opened = key.decrypt(&bytes(theirs, "/ciphertext"), b"ctx").unwrap();
        assert_eq!(opened, b"text");
    }
}

/// 3.14: our streams open there, theirs open here, and a key set of theirs is read and written back
/// byte for byte.
fn streams_of_the_trus_tee_envelope(peer: &Peer) {
    let keyset = StreamingKeyset::generate(&mut rng(9));
    let plaintexts = [Vec::new(), b"text".to_vec(), vec![7; (1 << 20) + 5000]];
    let cases: Vec<_> = plaintexts
        .iter()
        .map(|plaintext| {
            let ciphertext = keyset.encrypt(plaintext, b"ctx", &mut rng(10)).unwrap();
            json!({
                "keyset": hex::encode(keyset.to_binary()),
                "plaintext": hex::encode(plaintext),
                "context": hex::encode(b"ctx"),
                "ciphertext": hex::encode(ciphertext),
            })
        })
        .collect();
    let answer = peer.ask(&json!({ "command": "stream", "cases": cases }));
    for (plaintext, theirs) in plaintexts.iter().zip(answer["cases"].as_array().unwrap()) {
        assert_eq!(theirs["opened"], true);
        assert_eq!(keyset.decrypt(&bytes(theirs, "/ciphertext"), b"ctx").unwrap(), *plaintext);
    }
    let made = bytes(&answer, "/keyset");
    assert_eq!(StreamingKeyset::from_binary(&made).unwrap().to_binary(), made);
}
