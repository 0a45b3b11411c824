//! `halo-harness pki`: authorities and certificates after the test recipe (contract 4.4), and what
//! is wrong with those in a folder. Authorities are marked TEST ONLY.

use super::files::{self, wrong};
use super::{Format, ToolError};
use clap::{Args, Subcommand, ValueEnum};
use fake_kingdom::model::Timestamp;
use fake_kingdom::sandbox::ORGANIZATION;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::entropy;
use halo_consent::SigningKey;
use halo_pki::{
    Authority, AuthoritySpec, CertificateFacts, LeafSpec, PublicKeyAlgorithm, Validity,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// The commands of `pki`.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make a new authority: NAME_root.pem and NAME_root.key
    Init(InitArgs),
    /// Issue a leaf with a fresh key from the folder's authority
    Issue(IssueArgs),
    /// Show every certificate in a file or folder
    Inspect {
        /// How and for when.
        #[command(flatten)]
        shown: Shown,
        /// A file, or a folder with all below it
        #[arg(value_name = "DIR")]
        path: PathBuf,
    },
    /// Find what would fail: exit code 1 if there is anything, 3 if there is nothing to check
    Check {
        /// What expires within so many days fails too
        #[arg(long, value_name = "DAYS", default_value_t = 0)]
        fail_within: u32,
        /// How and for when.
        #[command(flatten)]
        shown: Shown,
        /// A file, or a folder with all below it
        #[arg(value_name = "DIR")]
        path: PathBuf,
    },
}

/// The options of `pki init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Whose authority; without it, the folder's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long it is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(i64).range(1..))]
    days: i64,
    /// Where it goes
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// The options of `pki issue`.
#[derive(Debug, Args)]
pub struct IssueArgs {
    /// Whose authority issues; without it, the only one in the folder
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A TLS leaf (PEM) or a consent signalling certificate (DER)
    #[arg(long, value_enum)]
    kind: LeafKind,
    /// First part of the files' names; without it, NAME_tls or NAME_cs
    #[arg(long = "as", value_name = "STEM")]
    stem: Option<String>,
    /// How long it is valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..))]
    days: i64,
    /// A DNS name besides localhost; repeatable
    #[arg(long = "dns", value_name = "HOST")]
    dns_names: Vec<String>,
    /// Where the authority is, and where the leaf goes
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LeafKind {
    /// STEM.pem and STEM.key
    Tls,
    /// STEM_cert.der and STEM_private.der
    Cs,
}

/// How and for when to show.
#[derive(Debug, Args)]
pub struct Shown {
    /// Judge validity at this time instead of now
    #[arg(long, value_name = "TIME", value_parser = super::event_options::parse_time)]
    at: Option<Timestamp>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Shown {
    fn now(&self) -> Result<OffsetDateTime, ToolError> {
        present(self.at)
    }
}

/// What `check` found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and nothing is wrong.
    Good,
    /// Something would fail.
    Problems,
    /// There was nothing to look at.
    Nothing,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read or written, or an authority not be used.
pub fn run(command: &PkiCommand, out: &mut dyn Write) -> Result<Outcome, ToolError> {
    match command {
        PkiCommand::Init(arguments) => init(arguments, out),
        PkiCommand::Issue(arguments) => issue(arguments, out),
        PkiCommand::Inspect { shown, path } => inspect(path, shown, out),
        PkiCommand::Check { fail_within, shown, path } => check(path, *fail_within, shown, out),
    }
}

fn init(arguments: &InitArgs, out: &mut dyn Write) -> Result<Outcome, ToolError> {
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => std::path::absolute(&arguments.folder)
            .ok()
            .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .ok_or_else(|| ToolError::usage(&["pki", "init"], "give --name"))?,
    };
    let name = plain(name, &["pki", "init"])?;
    let spec = AuthoritySpec {
        organization: ORGANIZATION.to_owned(),
        common_name: format!("{name} root TEST ONLY"),
        dns_name: format!("ca.{}.test", name.replace('_', "-")),
        validity: validity(arguments.days)?,
    };
    let root = Authority::create(&spec, &mut entropy::system())
        .map_err(|error| ToolError::failed(error.to_string()))?;
    let certificate = arguments.folder.join(format!("{name}_root.pem"));
    let key = arguments.folder.join(format!("{name}_root.key"));
    put_pair(
        (&certificate, root.certificate_pem().as_bytes()),
        (&key, root.key().pkcs8_pem().as_bytes()),
        out,
    )
}

fn issue(arguments: &IssueArgs, out: &mut dyn Write) -> Result<Outcome, ToolError> {
    let command = &["pki", "issue"];
    let folder = &arguments.folder;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => only_authority(folder)?,
    };
    let certificate = folder.join(format!("{name}_root.pem"));
    let key = folder.join(format!("{name}_root.key"));
    let pem = files::read(&certificate)?;
    let key_pem = String::from_utf8(files::read(&key)?).map_err(|_| wrong(&key, "not PEM text"))?;
    let root = Authority::load(&pem, &key_pem).map_err(|error| wrong(&certificate, error))?;
    let purpose = match arguments.kind {
        LeafKind::Tls => "tls",
        LeafKind::Cs => "cs",
    };
    let stem =
        plain(arguments.stem.clone().unwrap_or_else(|| format!("{name}_{purpose}")), command)?;
    let mut spec = LeafSpec::new(format!("{name} {purpose} TEST ONLY"), validity(arguments.days)?);
    spec.organization = ORGANIZATION.to_owned();
    spec.dns_names = vec!["localhost".to_owned(), format!("{}.test", name.replace('_', "-"))];
    spec.dns_names.extend(arguments.dns_names.iter().cloned());
    let leaf = root
        .issue(&spec, &mut entropy::system())
        .map_err(|error| ToolError::usage(command, error.to_string()))?;
    match arguments.kind {
        LeafKind::Tls => put_pair(
            (&folder.join(format!("{stem}.pem")), leaf.certificate_pem().as_bytes()),
            (&folder.join(format!("{stem}.key")), leaf.key().pkcs8_pem().as_bytes()),
            out,
        ),
        LeafKind::Cs => put_pair(
            (&folder.join(format!("{stem}_cert.der")), leaf.certificate_der()),
            (&folder.join(format!("{stem}_private.der")), leaf.key().pkcs8_der()),
            out,
        ),
    }
}

/// Neither file is written over one that is there, and the key is its owner's alone.
fn put_pair(
    certificate: (&Path, &[u8]),
    key: (&Path, &[u8]),
    out: &mut dyn Write,
) -> Result<Outcome, ToolError> {
    if let Some((taken, _)) = [certificate, key].into_iter().find(|(path, _)| path.exists()) {
        return Err(wrong(taken, "is there already and is not overwritten; choose another name"));
    }
    files::write_new(key.0, key.1, true)?;
    files::write_new(certificate.0, certificate.1, false)?;
    writeln!(out, "{}", certificate.0.display())?;
    writeln!(out, "{}", key.0.display())?;
    Ok(Outcome::Good)
}

fn only_authority(folder: &Path) -> Result<String, ToolError> {
    let names: Vec<String> = files_below(folder)?
        .into_iter()
        .filter(|path| path.parent() == Some(folder))
        .filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix("_root.key")?.to_owned()))
        .collect();
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(wrong(folder, "no NAME_root.key in it; make an authority with `pki init`")),
        many => Err(ToolError::usage(
            &["pki", "issue"],
            format!("there are several authorities, {}: give --name", many.join(", ")),
        )),
    }
}

fn plain(name: String, command: &[&'static str]) -> Result<String, ToolError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if name.is_empty() || !name.chars().all(good) {
        return Err(ToolError::usage(
            command,
            format!("`{name}` is no name for files and hosts: use letters, digits, _ and -"),
        ));
    }
    Ok(name)
}

fn present(at: Option<Timestamp>) -> Result<OffsetDateTime, ToolError> {
    at.unwrap_or_else(|| Clock::real().now())
        .to_date_time()
        .ok_or_else(|| ToolError::failed("the machine's clock is out of range"))
}

/// From a day ago, so that a clock that is a little behind takes it.
fn validity(days: i64) -> Result<Validity, ToolError> {
    let now = present(None)?;
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let until = Validity::days(now, days).not_after;
    Ok(Validity { not_before: now - Duration::days(1), not_after: until })
}

/// One certificate found, and where.
struct Found {
    path: PathBuf,
    /// Position in the file, from 1.
    entry: usize,
    der: Vec<u8>,
    facts: CertificateFacts,
}

/// What is wrong in a file.
struct Finding {
    path: PathBuf,
    /// Stable name of the rule.
    rule: &'static str,
    what: String,
}

/// Everything in the files.
#[derive(Default)]
struct Survey {
    certificates: Vec<Found>,
    keys: BTreeMap<PathBuf, SigningKey>,
    findings: Vec<Finding>,
    notes: Vec<Finding>,
}

impl Survey {
    fn read(path: &Path) -> Result<Self, ToolError> {
        let mut survey = Self::default();
        for file in files_below(path)? {
            survey.look_at(&file)?;
        }
        Ok(survey)
    }

    fn look_at(&mut self, path: &Path) -> Result<(), ToolError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let key_by_name = name.ends_with(".key") || name.ends_with("_private.der");
        let certificate_by_name =
            [".pem", ".crt", ".cer", ".der"].iter().any(|suffix| name.ends_with(suffix));
        if !key_by_name && !certificate_by_name {
            return Ok(());
        }
        let content = files::read(path)?;
        let text = files::is_pem(&content);
        if key_by_name {
            self.key(path, &content, text);
        } else if text || !name.ends_with(".der") {
            self.certificates_in_pem(path, &content);
        } else {
            self.certificate(path, 1, content);
        }
        Ok(())
    }

    fn key(&mut self, path: &Path, content: &[u8], text: bool) {
        let der = if text || path.extension().is_some_and(|extension| extension == "key") {
            match halo_pki::pem_private_key(&String::from_utf8_lossy(content)) {
                Ok(der) => der,
                Err(error) => return self.find(path, "malformed_key", error.to_string()),
            }
        } else {
            content.to_vec()
        };
        match SigningKey::from_pkcs8_der(&der) {
            Ok(key) => {
                self.keys.insert(path.to_owned(), key);
            }
            Err(error) => self.find(path, "malformed_key", error.to_string()),
        }
    }

    fn certificates_in_pem(&mut self, path: &Path, content: &[u8]) {
        match halo_pki::pem_certificates(content) {
            Ok(ders) => {
                for (index, der) in ders.into_iter().enumerate() {
                    self.certificate(path, index + 1, der);
                }
                if content.last() != Some(&b'\n') {
                    self.notes.push(Finding {
                        path: path.to_owned(),
                        rule: "no_final_newline",
                        what: "no newline at the end: joined with another file, it spoils the bundle (contract 5.3.1)".to_owned(),
                    });
                }
            }
            Err(error @ halo_pki::PemError::BoundaryNotAlone { .. }) => {
                self.find(path, "missing_newline", format!("{error} (contract 5.3.1)"));
            }
            Err(error) => self.find(path, "malformed_certificate", error.to_string()),
        }
    }

    fn certificate(&mut self, path: &Path, entry: usize, der: Vec<u8>) {
        match halo_pki::inspect(&der) {
            Ok(facts) => {
                self.certificates.push(Found { path: path.to_owned(), entry, der, facts });
            }
            Err(error) => {
                self.find(path, "malformed_certificate", format!("entry {entry}: {error}"));
            }
        }
    }

    fn find(&mut self, path: &Path, rule: &'static str, what: String) {
        self.findings.push(Finding { path: path.to_owned(), rule, what });
    }

    /// Whether there was anything to judge.
    fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.keys.is_empty() && self.findings.is_empty()
    }

    fn judge(&mut self, now: OffsetDateTime, within_days: u32) {
        let limit = now
            .checked_add(Duration::days(i64::from(within_days)))
            .unwrap_or(time::PrimitiveDateTime::MAX.assume_utc());
        let mut findings = Vec::new();
        for found in &self.certificates {
            let Found { path, entry, facts, .. } = found;
            let mut find = |rule, what: String| {
                let what = format!("entry {entry} ({}): {what}", facts.subject);
                findings.push(Finding { path: path.clone(), rule, what });
            };
            if facts.not_after < now {
                find("expired", format!("expired at {}", shown_time(facts.not_after)));
            } else if facts.not_after <= limit {
                find(
                    "expires_soon",
                    format!(
                        "expires at {}, within {within_days} days; rotate it before that",
                        shown_time(facts.not_after)
                    ),
                );
            }
            if now < facts.not_before {
                find("not_yet_valid", format!("valid from {} on", shown_time(facts.not_before)));
            }
            if let Some(oid) = facts.duplicate_extensions.first() {
                find(
                    "malformed_certificate",
                    format!("extension {oid} twice: the JVM does not parse it (contract 2.15)"),
                );
            }
        }
        let mut by_file: BTreeMap<&Path, Vec<&Found>> = BTreeMap::new();
        for found in &self.certificates {
            by_file.entry(&found.path).or_default().push(found);
        }
        for (path, entries) in by_file {
            let mut find = |rule, what: String| {
                findings.push(Finding { path: path.to_owned(), rule, what });
            };
            let key_path = key_beside(path);
            if let Some(key) = key_path.as_ref().and_then(|path| self.keys.get(path))
                && let Some(first) = entries.first()
            {
                match key.is_key_of(&first.der) {
                    Ok(true) => {}
                    Ok(false) => find(
                        "key_mismatch",
                        format!(
                            "{} is not its key; put the two files of one leaf together",
                            key_path.as_deref().unwrap_or(path).display()
                        ),
                    ),
                    Err(error) => find("malformed_certificate", error.to_string()),
                }
            }
            if is_bundle(path, entries.len(), key_path.as_ref()) {
                let ders: Vec<_> = entries.iter().map(|entry| &entry.der).collect();
                // One after the other: all that is wrong, not only the first.
                for (index, der) in ders.iter().enumerate() {
                    if let Err(error) = halo_pki::trust_bundle(&[der]) {
                        find(
                            "not_a_root",
                            format!(
                                "entry {} ({}): {} (contract 2.11)",
                                index + 1,
                                error.subject,
                                error.reason
                            ),
                        );
                    }
                }
            } else if entries.len() > 1 {
                find(
                    "chain",
                    format!(
                        "{} certificates beside a key: only the first is shown, chains are never sent (contract 2.11)",
                        entries.len()
                    ),
                );
            }
        }
        self.findings.extend(findings);
        self.findings.sort_by(|one, other| one.path.cmp(&other.path));
    }
}

/// Where the key of a certificate file is by the recipe's names (contract 4.4.9), if it is there.
fn key_beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let key = match name.strip_suffix("_cert.der") {
        Some(stem) => format!("{stem}_private.der"),
        None => format!("{}.key", name.rsplit_once('.')?.0),
    };
    Some(path.with_file_name(key)).filter(|path| path.exists())
}

/// A file that somebody loads as trust: several certificates without a key, or a name that says so.
fn is_bundle(path: &Path, entries: usize, key: Option<&PathBuf>) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let named = name.ends_with("_root")
        || ["roots", "root_certs", "trusted", "bundle", "collection"]
            .iter()
            .any(|word| name.contains(word));
    named || (entries > 1 && key.is_none())
}

fn inspect(path: &Path, shown: &Shown, out: &mut dyn Write) -> Result<Outcome, ToolError> {
    let now = shown.now()?;
    let survey = Survey::read(path)?;
    if shown.format == Format::Json {
        let certificates: Vec<_> =
            survey.certificates.iter().map(|found| certificate_json(found, now)).collect();
        let unreadable: Vec<_> = survey.findings.iter().map(finding_json).collect();
        writeln!(out, "{:#}", json!({"certificates": certificates, "unreadable": unreadable}))?;
    } else {
        for found in &survey.certificates {
            let Found { path, entry, facts, .. } = found;
            let hex = |bytes: Option<&[u8]>| bytes.map_or_else(|| "none".to_owned(), hex::encode);
            writeln!(out, "{} entry {entry}", path.display())?;
            writeln!(out, "  subject  {}", facts.subject)?;
            writeln!(out, "  issuer   {}", facts.issuer)?;
            writeln!(out, "  serial   {}", facts.serial)?;
            writeln!(out, "  SKID     {}", hex(facts.skid.as_deref()))?;
            writeln!(out, "  AKID     {}", hex(facts.akid()))?;
            writeln!(
                out,
                "  valid    {} to {}{}",
                shown_time(facts.not_before),
                shown_time(facts.not_after),
                if facts.is_valid_at(now) { "" } else { "  NOT VALID" }
            )?;
            let kind = if facts.is_ca { "authority" } else { "leaf" };
            writeln!(out, "  key      {}, {kind}", key_type(&facts.public_key_algorithm))?;
            if !facts.dns_names.is_empty() {
                writeln!(out, "  names    {}", facts.dns_names.join(", "))?;
            }
        }
        for finding in &survey.findings {
            writeln!(out, "{}: {}", finding.path.display(), finding.what)?;
        }
    }
    Ok(if survey.is_empty() {
        nothing(path);
        Outcome::Nothing
    } else {
        Outcome::Good
    })
}

fn check(
    path: &Path,
    within_days: u32,
    shown: &Shown,
    out: &mut dyn Write,
) -> Result<Outcome, ToolError> {
    let now = shown.now()?;
    let mut survey = Survey::read(path)?;
    survey.judge(now, within_days);
    let outcome = if survey.is_empty() {
        Outcome::Nothing
    } else if survey.findings.is_empty() {
        Outcome::Good
    } else {
        Outcome::Problems
    };
    if shown.format == Format::Json {
        let list = |all: &[Finding]| all.iter().map(finding_json).collect::<Vec<_>>();
        writeln!(
            out,
            "{:#}",
            json!({
                "certificates": survey.certificates.len(),
                "keys": survey.keys.len(),
                "findings": list(&survey.findings),
                "notes": list(&survey.notes),
            })
        )?;
    } else {
        for finding in &survey.findings {
            writeln!(out, "{}: {}: {}", finding.path.display(), finding.rule, finding.what)?;
        }
        for note in &survey.notes {
            writeln!(out, "{}: note: {}", note.path.display(), note.what)?;
        }
        writeln!(
            out,
            "{} certificates, {} keys, {} findings",
            survey.certificates.len(),
            survey.keys.len(),
            survey.findings.len()
        )?;
    }
    if outcome == Outcome::Nothing {
        nothing(path);
    }
    Ok(outcome)
}

fn nothing(path: &Path) {
    super::warn(&format!(
        "{}: no certificate and no key in it (names end in .pem, .crt, .cer, .der or .key): nothing was looked at",
        path.display()
    ));
}

fn finding_json(finding: &Finding) -> Json {
    json!({"file": finding.path.display().to_string(), "rule": finding.rule, "what": finding.what})
}

fn certificate_json(found: &Found, now: OffsetDateTime) -> Json {
    let facts = &found.facts;
    json!({
        "file": found.path.display().to_string(),
        "entry": found.entry,
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": facts.serial,
        "skid": facts.skid.as_deref().map(hex::encode),
        "akid": facts.akid().map(hex::encode),
        "not_before": shown_time(facts.not_before),
        "not_after": shown_time(facts.not_after),
        "valid": facts.is_valid_at(now),
        "ca": facts.is_ca,
        "key": key_type(&facts.public_key_algorithm),
        "signature_algorithm_oid": facts.signature_algorithm,
        "dns_names": facts.dns_names,
    })
}

fn key_type(algorithm: &PublicKeyAlgorithm) -> String {
    match algorithm {
        PublicKeyAlgorithm::EcP256 => "EC P-256".to_owned(),
        PublicKeyAlgorithm::EcP384 => "EC P-384".to_owned(),
        PublicKeyAlgorithm::EcOther(oid) => format!("EC {oid}"),
        PublicKeyAlgorithm::Rsa { bits } => format!("RSA {bits}"),
        PublicKeyAlgorithm::Ed25519 => "Ed25519".to_owned(),
        PublicKeyAlgorithm::Other(oid) => oid.clone(),
        _ => "unknown".to_owned(),
    }
}

pub(super) fn shown_time(at: OffsetDateTime) -> String {
    Timestamp::from(at).to_string()
}

/// A file itself, or all files below a folder, sorted; links to folders are not followed.
fn files_below(path: &Path) -> Result<Vec<PathBuf>, ToolError> {
    let kind = std::fs::metadata(path).map_err(|error| wrong(path, error))?;
    if kind.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| wrong(&folder, error))? {
            let entry = entry.map_err(|error| wrong(&folder, error))?;
            let kind = entry.file_type().map_err(|error| wrong(&folder, error))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() || entry.path().is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
