//! What we build on: one version of each crate but for those listed, and only licences that are
//! allowed. `cargo deny` looks closer where it is installed; these two hold everywhere.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Deserialize)]
struct Deny {
    bans: Bans,
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn deny() -> Deny {
    let text = std::fs::read_to_string(root().join(".cargo/deny.toml")).expect("deny.toml");
    toml::from_str(&text).expect("deny.toml is TOML")
}

#[test]
fn every_crate_has_one_version_but_for_those_that_are_listed() {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let lock: Lock = toml::from_str(&text).expect("Cargo.lock is TOML");
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &lock.package {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let twice: BTreeSet<_> =
        versions.iter().filter(|(_, all)| all.len() > 1).map(|(name, _)| *name).collect();
    let deny = deny();
    let listed: BTreeSet<_> =
        deny.bans.skip.iter().map(|skip| skip.name.split('@').next().unwrap_or_default()).collect();
    assert!(!versions.is_empty());
    assert_eq!(twice, listed, "in Cargo.lock several times, and listed in .cargo/deny.toml");
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("JSON");
    let allowed = deny().licenses.allow;
    let foreign: Vec<_> = metadata.packages.iter().filter(|one| one.source.is_some()).collect();
    assert!(foreign.len() > 50, "{} crates", foreign.len());
    let refused: Vec<_> = foreign
        .iter()
        .filter(|one| !one.license.as_deref().is_some_and(|text| is_allowed(text, &allowed)))
        // Not for the platforms that we build for (targets in .cargo/deny.toml).
        .filter(|one| !one.name.starts_with("windows"))
        .map(|one| format!("{} {}: {:?}", one.name, one.version, one.license))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Whether an SPDX expression can be satisfied with allowed licences alone.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens = spaced.split_whitespace().peekable();
    let holds = any(&mut tokens, allowed);
    holds && tokens.next().is_none()
}

type Tokens<'a, 'b> = &'a mut std::iter::Peekable<std::str::SplitWhitespace<'b>>;

fn any(tokens: Tokens<'_, '_>, allowed: &[String]) -> bool {
    let mut holds = all(tokens, allowed);
    while tokens.next_if_eq(&"OR").is_some() {
        holds |= all(tokens, allowed);
    }
    holds
}

fn all(tokens: Tokens<'_, '_>, allowed: &[String]) -> bool {
    let mut holds = one(tokens, allowed);
    while tokens.next_if_eq(&"AND").is_some() {
        holds &= one(tokens, allowed);
    }
    holds
}

fn one(tokens: Tokens<'_, '_>, allowed: &[String]) -> bool {
    match tokens.next() {
        Some("(") => {
            let holds = any(tokens, allowed);
            holds && tokens.next() == Some(")")
        }
        Some(licence) => {
            let mut licence = licence.to_owned();
            if tokens.next_if_eq(&"WITH").is_some() {
                licence = format!("{licence} WITH {}", tokens.next().unwrap_or_default());
            }
            allowed.contains(&licence)
        }
        None => false,
    }
}

#[test]
fn an_expression_is_allowed_only_with_every_licence_that_it_needs() {
    let allowed = ["MIT".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("GPL-3.0/MIT", true),
        ("(GPL-3.0 OR MIT) AND MIT", true),
        ("(GPL-3.0 OR MIT) AND BSL-1.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
