//! `halo-harness impact`: what a stolen certificate or key has touched, and what to do
//! (interfaces.md section 5). It sees addresses and identities only, so any Kingdom will do.

use crate::error::UsageError;
use crate::impact::facts::Subject;
use crate::impact::read::{self, Access, Channel, Question, ReadError, Trail};
use crate::impact::{Assessment, assess, text};
use clap::{ArgGroup, Args, ValueEnum};
use fake_kingdom::audit::Head;
use fake_kingdom::model::Timestamp;
use std::io::{self, Write};
use std::path::PathBuf;

/// The command line of `impact`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["certificate", "public_key"]))]
#[command(
    after_help = "Measurements, requisitions, results, keys and certificates are read from the \
operator API, event groups from the public API as the given identity. What nobody could look at stands \
in the answer beside what is affected.\n\nExit codes: 0 assessed, also when something is affected; 2 \
usage; 3 not known: nothing that was read names the key of --key-sha256, so that the empty list printed is \
no all-clear; 4 something cannot be read, and nothing is printed."
)]
pub struct ImpactArgs {
    /// The compromised certificate's resource name
    #[arg(long, value_name = "NAME", value_parser = Subject::certificate)]
    certificate: Option<Subject>,
    /// The resource name of the public key whose private key is compromised
    #[arg(long, value_name = "NAME", value_parser = Subject::public_key)]
    public_key: Option<Subject>,
    /// Which key, once it was replaced: SHA-256 of its public key set, as an assessment prints it and
    /// `sha256sum NAME_enc_public.tink` does; without it, the key in force
    // Beside the group, `requires = "public_key"` would not bite: the certificate excludes that.
    #[arg(long, value_name = "HEX", conflicts_with = "certificate", value_parser = digest)]
    key_sha256: Option<String>,
    /// SHA-256 of an encryption key that is the owner's own, as it says itself; repeatable. One in force
    /// under the compromised certificate that is none of these was put there by somebody else
    #[arg(long, value_name = "HEX", conflicts_with = "public_key", value_parser = digest)]
    own_key_sha256: Vec<String>,
    /// SHA-256 of an encryption key that the compromised certificate vouched for before it was replaced,
    /// as an earlier assessment prints it; repeatable
    #[arg(long, value_name = "HEX", conflicts_with = "public_key", value_parser = digest)]
    vouched_key_sha256: Vec<String>,
    /// The suspected time: tells before from after
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    since: Option<Timestamp>,
    /// Address of the Kingdom's public API
    #[arg(long, value_name = "HOST:PORT")]
    target: String,
    /// The name in its certificate, if it is not the identity's
    #[arg(long, value_name = "HOST")]
    target_cert_host: Option<String>,
    /// Address of the Kingdom's operator API
    #[arg(long, value_name = "HOST:PORT")]
    operator_target: String,
    /// The name in its certificate, if it is not the target's host
    #[arg(long, value_name = "HOST")]
    operator_target_cert_host: Option<String>,
    /// Who reads event groups: a participant's folder with identity.json; best the owner's of what is
    /// compromised, if that is a measurement consumer
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// The operator's folder, with kingdom_tls.pem, kingdom_tls.key and kingdom_root.pem
    #[arg(long, value_name = "DIR")]
    operator_identity: PathBuf,
    /// An entity type of event groups beside `campaign`; repeatable
    #[arg(long, value_name = "TYPE")]
    entity_type: Vec<String>,
    /// The audit trail, JSON lines as /v1/audit answers them: it has the times of keys and event
    /// groups, and what was deleted
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// What the trail must end with, as /v1/state and run.json show it
    #[arg(long, value_name = "COUNT:HASH", requires = "audit")]
    audit_head: Option<Head>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How the assessment is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person on call: affected, before and after, not known, next
    #[default]
    Human,
    /// Everything, schema halo-harness/impact/1
    Json,
}

/// Why there is no assessment.
#[derive(Debug, thiserror::Error)]
pub enum ImpactError {
    /// The command line is wrong: exit code 2.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Something cannot be read: exit code 4.
    #[error("no assessment: {0}")]
    Read(#[from] ReadError),
    /// This machine's fault: exit code 4.
    #[error("no assessment: {0}")]
    Machine(String),
    /// The answer cannot be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// What an assessment that was made and printed says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assessed {
    /// What the compromised certificate or key has touched: exit code 0.
    Known,
    /// Nothing that was read names the key, which may be mistyped: exit code 3.
    NotKnown,
}

/// Runs the command.
///
/// # Errors
/// [`ImpactError`].
pub fn run(arguments: &ImpactArgs, out: &mut dyn Write) -> Result<Assessed, ImpactError> {
    let subject = arguments.certificate.clone().or_else(|| arguments.public_key.clone());
    let subject = subject.ok_or_else(|| {
        UsageError::Argument("give --certificate NAME or --public-key NAME".to_owned())
    })?;
    let question = Question {
        subject,
        since: arguments.since,
        key: arguments.key_sha256.clone(),
        own_keys: arguments.own_key_sha256.iter().cloned().collect(),
        vouched_keys: arguments.vouched_key_sha256.iter().cloned().collect(),
        entity_types: arguments.entity_type.clone(),
        audit: arguments.audit.clone().map(Trail::File),
        audit_head: arguments.audit_head.clone(),
    };
    let public = Access::of_participant(
        &arguments.identity,
        &arguments.target,
        arguments.target_cert_host.as_deref(),
    )?;
    let operator = Access::of_operator(
        &arguments.operator_identity,
        &arguments.operator_target,
        arguments.operator_target_cert_host.as_deref(),
    )?;
    let assessment = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ImpactError::Machine(format!("no asynchronous runtime: {error}")))?
        .block_on(assess_now(&question, public, operator))?;
    match arguments.format {
        Format::Human => write!(out, "{}", text::to_text(&assessment))?,
        Format::Json => {
            let json = serde_json::to_string_pretty(&assessment)
                .map_err(|error| ImpactError::Machine(error.to_string()))?;
            writeln!(out, "{json}")?;
        }
    }
    Ok(if assessment.is_known() { Assessed::Known } else { Assessed::NotKnown })
}

async fn assess_now(
    question: &Question,
    public: Access,
    operator: Access,
) -> Result<Assessment, ReadError> {
    let mut operator = Channel::open(operator).await?;
    let mut public = Channel::open(public).await?;
    Ok(assess(&read::facts(question, &mut public, &mut operator).await?))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| "not RFC 3339, such as 2026-11-21T10:00:00Z".to_owned())
}

fn digest(text: &str) -> Result<String, String> {
    match hex::decode(text) {
        Ok(bytes) if bytes.len() == 32 => Ok(text.to_ascii_lowercase()),
        _ => Err("not 64 hex digits".to_owned()),
    }
}
