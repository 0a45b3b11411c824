//! `halo-harness api`: the real `MeasurementSystem` (contract 4.1).

use super::event_options::EventProviders;
use super::files;
use super::measurements;
use super::session::{Answer, CallError, Session, TlsFiles};
use super::text::{json_form, text_form};
use super::{Format, OurOptions, ToolError, warn};
use crate::environment::Listener;
use crate::quirk::{PeerQuirk, PeerQuirks};
use clap::{Args, Subcommand, ValueEnum};
use halo_consent::{KeyType, SignatureAlgorithm};
use kingdom_proto::name::{
    MeasurementConsumerCertificateName, MeasurementConsumerName, MeasurementConsumerPublicKeyName,
};
use kingdom_proto::v2alpha as pb;
use prost::Message as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

/// The oddities that this tool has.
pub(super) const QUIRKS: &[PeerQuirk] = &[
    PeerQuirk::CliSendsNoOid,
    PeerQuirk::CliPublicKeyApiKeyUnchecked,
    PeerQuirk::CliOneEventFilterPerProvider,
    PeerQuirk::CliListsFirstPageOnly,
    PeerQuirk::UnsupportedOidIsNotABadSignature,
    PeerQuirk::IssuerNotBoundToOwner,
    PeerQuirk::PemKeyFirstLine,
];

/// Commands of the real tool that are outside this harness.
const ELSEWHERE: &[&str] = &[
    "accounts",
    "client-accounts",
    "model-lines",
    "model-releases",
    "model-outages",
    "model-shards",
    "model-rollouts",
    "model-suites",
];

pub(super) const ENCRYPTION_PUBLIC_KEY: &str = "wfa.measurement.api.v2alpha.EncryptionPublicKey";

/// The command line of `api`.
#[derive(Debug, Args)]
pub struct ApiArgs {
    #[command(flatten)]
    tls: TlsFiles,
    /// Address of the Kingdom's public API
    #[arg(long, value_name = "HOST:PORT")]
    kingdom_public_api_target: String,
    /// The name in the Kingdom's certificate, if it is not the target's host
    #[arg(long, value_name = "HOST")]
    kingdom_public_api_cert_host: Option<String>,
    #[command(flatten)]
    ours: OurOptions,
    #[command(subcommand)]
    command: Option<ApiCommand>,
}

#[derive(Debug, Subcommand)]
enum ApiCommand {
    /// Register, revoke and look at API certificates
    Certificates(CertificatesArgs),
    /// Replace an encryption public key
    PublicKeys(PublicKeysArgs),
    /// Create a measurement consumer; needs an account, which the fake Kingdom has not
    MeasurementConsumers {
        #[command(subcommand)]
        command: MeasurementConsumersCommand,
    },
    /// Create an API key; needs an account, which the fake Kingdom has not
    ApiKeys(ApiKeysArgs),
    /// Create, list, read and cancel measurements
    Measurements(MeasurementsArgs),
    /// Read and change a data provider
    DataProviders(DataProvidersArgs),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Args)]
struct CertificatesArgs {
    /// The measurement consumer's API key; needed for its certificates only
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    #[command(subcommand)]
    command: CertificatesCommand,
}

#[derive(Debug, Subcommand)]
enum CertificatesCommand {
    /// Register a certificate
    Create {
        /// The owner's resource name
        #[arg(long, value_name = "NAME")]
        parent: String,
        /// The certificate, PEM or DER; of several in PEM the first counts
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Revoke a certificate or put it on hold
    Revoke {
        /// What it becomes
        #[arg(long, value_name = "STATE")]
        revocation_state: RevocationState,
        /// The certificate's resource name
        name: String,
    },
    /// Show a certificate (not in the real tool)
    Get {
        /// The certificate's resource name
        name: String,
    },
    /// List certificates: name and state (not in the real tool)
    List {
        /// The owner's resource name
        #[arg(long, value_name = "NAME")]
        parent: String,
        /// How many at once
        #[arg(long, value_name = "N", default_value_t = 0)]
        page_size: i32,
        /// Where to go on, as the page before said
        #[arg(long, value_name = "TOKEN", default_value = "")]
        page_token: String,
    },
    /// Take a certificate off hold (not in the real tool)
    ReleaseHold {
        /// The certificate's resource name
        name: String,
    },
}

/// Names are case-sensitive, and the unspecified state is taken and sent (contract 4.1.2).
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RevocationState {
    #[value(name = "REVOCATION_STATE_UNSPECIFIED")]
    Unspecified,
    #[value(name = "HOLD")]
    Hold,
    #[value(name = "REVOKED")]
    Revoked,
}

#[derive(Debug, Args)]
struct PublicKeysArgs {
    /// The measurement consumer's API key; needed for its key only
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    #[command(subcommand)]
    command: PublicKeysCommand,
}

#[derive(Debug, Subcommand)]
enum PublicKeysCommand {
    /// Replace an encryption public key
    Update {
        /// The new key: a serialized EncryptionPublicKey
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// Its signature, raw bytes
        #[arg(long, value_name = "FILE")]
        public_key_signature: PathBuf,
        /// Resource name of the certificate it is signed with
        #[arg(long, value_name = "NAME")]
        certificate: String,
        /// How it is signed; without it, found out from the certificate (not in the real tool)
        #[arg(long, value_name = "NAME", value_parser = parse_algorithm)]
        signature_algorithm: Option<SignatureAlgorithm>,
        /// The public key's resource name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum MeasurementConsumersCommand {
    /// Create a measurement consumer
    Create {
        /// The token that the Kingdom's operator gave
        #[arg(long, value_name = "TOKEN")]
        creation_token: String,
        /// The consent signalling certificate, PEM or DER
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// The encryption key: a serialized EncryptionPublicKey
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// Its signature, raw bytes
        #[arg(long, value_name = "FILE")]
        public_key_signature: PathBuf,
        /// What people see
        #[arg(long, value_name = "TEXT", default_value = "")]
        display_name: String,
        /// The account's token; asked for when not given
        #[arg(long, value_name = "TOKEN")]
        id_token: Option<String>,
        /// How the key is signed; without it, found out from the certificate (not in the real tool)
        #[arg(long, value_name = "NAME", value_parser = parse_algorithm)]
        signature_algorithm: Option<SignatureAlgorithm>,
    },
}

#[derive(Debug, Args)]
struct ApiKeysArgs {
    /// The account's token; asked for when not given
    #[arg(long, value_name = "TOKEN")]
    id_token: Option<String>,
    #[command(subcommand)]
    command: ApiKeysCommand,
}

#[derive(Debug, Subcommand)]
enum ApiKeysCommand {
    /// Create an API key; its secret is shown this once
    Create {
        /// The measurement consumer's resource name
        #[arg(long, value_name = "NAME")]
        measurement_consumer: String,
        /// A short name for the key
        #[arg(long, value_name = "TEXT")]
        nickname: String,
        /// What the key is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
}

#[derive(Debug, Args)]
struct MeasurementsArgs {
    /// The measurement consumer's API key
    #[arg(long, value_name = "KEY")]
    api_key: String,
    #[command(subcommand)]
    command: MeasurementsCommand,
}

#[derive(Debug, Subcommand)]
enum MeasurementsCommand {
    /// Create a measurement
    Create(Box<CreateMeasurementArgs>),
    /// List measurements: name and state
    List {
        /// The measurement consumer's resource name
        #[arg(long, value_name = "NAME")]
        measurement_consumer: String,
        /// How many at once (not in the real tool)
        #[arg(long, value_name = "N")]
        page_size: Option<i32>,
        /// Where to go on, as the page before said (not in the real tool)
        #[arg(long, value_name = "TOKEN")]
        page_token: Option<String>,
    },
    /// Show a measurement's state and its verified results
    Get {
        /// The private key set that opens the results, binary
        #[arg(long, value_name = "FILE")]
        encryption_private_key_file: PathBuf,
        /// The root that may issue an owner's certificates, PEM, repeatable (not in the real tool);
        /// counts with `--quirk issuer-not-bound-to-owner=as-documented`
        #[arg(long, value_name = "OWNER=FILE")]
        owner_root: Vec<String>,
        /// The measurement's resource name
        name: String,
    },
    /// Cancel a measurement
    Cancel {
        /// The measurement's resource name
        name: String,
    },
}

/// The options of `measurements create` (contract 4.1.4).
#[derive(Debug, Args)]
pub(super) struct CreateMeasurementArgs {
    /// The measurement consumer's resource name
    #[arg(long, value_name = "NAME")]
    pub(super) measurement_consumer: String,
    /// The measurement consumer's signing key, PKCS#8 DER
    #[arg(long, value_name = "FILE")]
    pub(super) private_key_der_file: PathBuf,
    /// Makes a repeated call harmless
    #[arg(long, value_name = "ID", default_value = "")]
    pub(super) request_id: String,
    /// The consumer's own reference
    #[arg(long, value_name = "ID", default_value = "")]
    pub(super) measurement_ref_id: String,
    /// The model line's resource name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(super) model_line: String,
    #[command(flatten)]
    pub(super) providers: EventProviders,
    /// Where the sampling interval starts
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) vid_sampling_start: Option<f32>,
    /// How wide the sampling interval is
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) vid_sampling_width: Option<f32>,
    /// Measure reach
    #[arg(long, help_heading = "Event measurement")]
    pub(super) reach: bool,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) reach_privacy_epsilon: Option<f64>,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) reach_privacy_delta: Option<f64>,
    /// Measure reach and frequency
    #[arg(long, help_heading = "Event measurement")]
    pub(super) reach_and_frequency: bool,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) rf_reach_privacy_epsilon: Option<f64>,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) rf_reach_privacy_delta: Option<f64>,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) rf_frequency_privacy_epsilon: Option<f64>,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) rf_frequency_privacy_delta: Option<f64>,
    /// The highest frequency told apart; 10 if not given
    #[arg(long, value_name = "N", help_heading = "Event measurement")]
    pub(super) max_frequency: Option<i32>,
    /// Count impressions
    #[arg(long, help_heading = "Event measurement")]
    pub(super) impression: bool,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) impression_privacy_epsilon: Option<f64>,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) impression_privacy_delta: Option<f64>,
    #[arg(long, value_name = "N", help_heading = "Event measurement")]
    pub(super) max_frequency_per_user: Option<i32>,
    /// Measure watch duration
    #[arg(long, help_heading = "Event measurement")]
    pub(super) duration: bool,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) duration_privacy_epsilon: Option<f64>,
    #[arg(long, value_name = "F", help_heading = "Event measurement")]
    pub(super) duration_privacy_delta: Option<f64>,
    /// The longest duration counted for a user, such as 5m20s
    #[arg(long, value_name = "DURATION", help_heading = "Event measurement",
          value_parser = super::event_options::parse_duration)]
    pub(super) max_duration: Option<prost_types::Duration>,
    /// Measure a population
    #[arg(long, help_heading = "Population measurement")]
    pub(super) population: bool,
    #[arg(long, value_name = "NAME", help_heading = "Population measurement")]
    pub(super) population_data_provider: Option<String>,
    #[arg(long, value_name = "TIME", help_heading = "Population measurement",
          value_parser = super::event_options::parse_time)]
    pub(super) population_start_time: Option<fake_kingdom::model::Timestamp>,
    #[arg(long, value_name = "TIME", help_heading = "Population measurement",
          value_parser = super::event_options::parse_time)]
    pub(super) population_end_time: Option<fake_kingdom::model::Timestamp>,
    #[arg(long, value_name = "CEL", help_heading = "Population measurement")]
    pub(super) population_filter: Option<String>,
    /// Taken and ignored
    #[arg(long, value_name = "NAME", help_heading = "Taken and ignored")]
    report: Option<String>,
    /// Taken and ignored
    #[arg(long, help_heading = "Taken and ignored")]
    cumulative: bool,
    /// Taken and ignored
    #[arg(long, help_heading = "Taken and ignored")]
    create_direct: bool,
    /// Taken and ignored
    #[arg(long, value_name = "F", help_heading = "Taken and ignored")]
    direct_vid_sampling_width: Option<f32>,
}

#[derive(Debug, Args)]
struct DataProvidersArgs {
    /// The data provider's resource name
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(subcommand)]
    command: DataProvidersCommand,
}

#[derive(Debug, Subcommand)]
enum DataProvidersCommand {
    /// Show the data provider
    Get,
    /// Replace the list of Duchies that must take part
    ReplaceRequiredDuchies {
        /// A Duchy's resource name; repeatable
        #[arg(long, value_name = "NAME", required = true)]
        required_duchies: Vec<String>,
    },
    /// Replace the capabilities; those not given stay as they are
    UpdateCapabilities {
        /// Honest majority share shuffle
        #[arg(long, alias = "honest-majority-share-shuffle-supported", value_name = "BOOL")]
        hmss_supported: Option<bool>,
        /// TrusTEE
        #[arg(long, value_name = "BOOL")]
        trus_tee_supported: Option<bool>,
        /// Noise mechanism: deterministic truncated Laplace
        #[arg(long, value_name = "BOOL")]
        noise_mechanism_deterministic_truncated_laplace_supported: Option<bool>,
    },
}

/// Runs the command.
///
/// # Errors
/// [`ToolError`], with the exit code of the real tool.
pub fn run(arguments: &ApiArgs, out: &mut dyn Write) -> Result<(), ToolError> {
    let quirks = arguments.ours.quirks(QUIRKS)?;
    let Some(command) = &arguments.command else {
        return Ok(());
    };
    let mut tool = Tool { arguments, quirks, out };
    match command {
        ApiCommand::Certificates(group) => tool.certificates(group),
        ApiCommand::PublicKeys(group) => tool.public_keys(group),
        ApiCommand::MeasurementConsumers { command } => tool.measurement_consumers(command),
        ApiCommand::ApiKeys(group) => tool.api_keys(group),
        ApiCommand::Measurements(group) => tool.measurements(group),
        ApiCommand::DataProviders(group) => tool.data_providers(group),
        ApiCommand::Other(words) => {
            let word = words.first().map(String::as_str).unwrap_or_default();
            let what = if ELSEWHERE.contains(&word) {
                format!(
                    "`{word}` is not part of this harness: the real tool has it, a rotation does not need it"
                )
            } else {
                format!("there is no command `{word}`")
            };
            Err(ToolError::usage(&[], what))
        }
    }
}

pub(super) struct Tool<'a> {
    arguments: &'a ApiArgs,
    pub(super) quirks: PeerQuirks,
    pub(super) out: &'a mut dyn Write,
}

impl Tool<'_> {
    pub(super) fn connect(&self) -> Result<Session, ToolError> {
        Session::open(
            &self.arguments.kingdom_public_api_target,
            self.arguments.kingdom_public_api_cert_host.as_deref(),
            &self.arguments.tls,
            &self.quirks,
            Listener::Public,
        )
    }

    pub(super) fn json(&self) -> bool {
        self.arguments.ours.format == Format::Json
    }

    /// The message's text form and one more newline (contract 4.0.5), or its JSON form.
    fn print<M>(&mut self, answer: &Answer<M>) -> Result<(), ToolError> {
        if self.json() {
            return self.print_json(&json_form(&answer.shown));
        }
        writeln!(self.out, "{}", text_form(&answer.shown))?;
        Ok(())
    }

    pub(super) fn print_json(&mut self, json: &serde_json::Value) -> Result<(), ToolError> {
        let text = serde_json::to_string_pretty(json)
            .map_err(|error| ToolError::failed(format!("no JSON: {error}")))?;
        writeln!(self.out, "{text}")?;
        Ok(())
    }

    fn certificates(&mut self, group: &CertificatesArgs) -> Result<(), ToolError> {
        let key = group.api_key.as_deref();
        let metadata = api_key(key);
        match &group.command {
            CertificatesCommand::Create { parent, certificate } => {
                if MeasurementConsumerName::parse(parent).is_some() && key.is_none() {
                    return Err(needs_api_key(&["api", "certificates", "create"]));
                }
                let x509_der = files::read_certificate(certificate)?;
                let request = pb::CreateCertificateRequest {
                    parent: parent.clone(),
                    certificate: Some(pb::Certificate { x509_der, ..Default::default() }),
                };
                let answer: Answer<pb::Certificate> =
                    self.connect()?.call("Certificates.CreateCertificate", &request, &metadata)?;
                if self.json() {
                    return self.print(&answer);
                }
                writeln!(self.out, "Certificate name: {}", answer.message.name)?;
                Ok(())
            }
            CertificatesCommand::Revoke { revocation_state, name } => {
                if MeasurementConsumerCertificateName::parse(name).is_some() && key.is_none() {
                    return Err(needs_api_key(&["api", "certificates", "revoke"]));
                }
                let state = match revocation_state {
                    RevocationState::Unspecified => pb::certificate::RevocationState::Unspecified,
                    RevocationState::Hold => pb::certificate::RevocationState::Hold,
                    RevocationState::Revoked => pb::certificate::RevocationState::Revoked,
                };
                let request = pb::RevokeCertificateRequest {
                    name: name.clone(),
                    revocation_state: state.into(),
                };
                let answer: Answer<pb::Certificate> =
                    self.connect()?.call("Certificates.RevokeCertificate", &request, &metadata)?;
                self.print(&answer)
            }
            CertificatesCommand::Get { name } => {
                let request = pb::GetCertificateRequest { name: name.clone() };
                let answer: Answer<pb::Certificate> =
                    self.connect()?.call("Certificates.GetCertificate", &request, &metadata)?;
                self.print(&answer)
            }
            CertificatesCommand::ReleaseHold { name } => {
                let request = pb::ReleaseCertificateHoldRequest { name: name.clone() };
                let answer: Answer<pb::Certificate> = self.connect()?.call(
                    "Certificates.ReleaseCertificateHold",
                    &request,
                    &metadata,
                )?;
                self.print(&answer)
            }
            CertificatesCommand::List { parent, page_size, page_token } => {
                let request = pb::ListCertificatesRequest {
                    parent: parent.clone(),
                    page_size: *page_size,
                    page_token: page_token.clone(),
                    filter: None,
                };
                let answer: Answer<pb::ListCertificatesResponse> =
                    self.connect()?.call("Certificates.ListCertificates", &request, &metadata)?;
                if self.json() {
                    return self.print(&answer);
                }
                for certificate in &answer.message.certificates {
                    let state = certificate.revocation_state().as_str_name();
                    writeln!(self.out, "{} {state}", certificate.name)?;
                }
                note_next_page(&answer.message.next_page_token);
                Ok(())
            }
        }
    }

    fn public_keys(&mut self, group: &PublicKeysArgs) -> Result<(), ToolError> {
        let PublicKeysCommand::Update {
            public_key,
            public_key_signature,
            certificate,
            signature_algorithm,
            name,
        } = &group.command;
        let command = &["api", "public-keys", "update"];
        let unchecked = self.quirks.faithful(PeerQuirk::CliPublicKeyApiKeyUnchecked);
        let of_consumer = MeasurementConsumerPublicKeyName::parse(name).is_some();
        if of_consumer && group.api_key.is_none() && !unchecked {
            return Err(needs_api_key(command));
        }
        let key = read_public_key(public_key, command)?;
        let signature = files::read(public_key_signature)?;
        let metadata = api_key(group.api_key.as_deref());
        let mut session = self.connect()?;
        let oid = if self.quirks.faithful(PeerQuirk::CliSendsNoOid) {
            warn_no_oid("quirk cli-sends-no-oid is faithful");
            String::new()
        } else if let Some(algorithm) = signature_algorithm {
            algorithm.oid().to_owned()
        } else {
            let request = pb::GetCertificateRequest { name: certificate.clone() };
            let found: Result<Answer<pb::Certificate>, CallError> =
                session.call("Certificates.GetCertificate", &request, &metadata);
            match found {
                Ok(found) => oid_of(&found.message.x509_der, &key, &signature),
                // The update itself then says what is wrong, as with the real tool.
                Err(error) => {
                    warn_no_oid(&format!(
                        "{certificate} cannot be read ({error}); or give --signature-algorithm"
                    ));
                    String::new()
                }
            }
        };
        let request = pb::UpdatePublicKeyRequest {
            public_key: Some(pb::PublicKey {
                name: name.clone(),
                public_key: Some(signed_key(key, signature, oid)),
                certificate: certificate.clone(),
            }),
        };
        let answer: Answer<pb::PublicKey> =
            session.call("PublicKeys.UpdatePublicKey", &request, &metadata)?;
        self.print(&answer)
    }

    fn measurement_consumers(
        &mut self,
        command: &MeasurementConsumersCommand,
    ) -> Result<(), ToolError> {
        let MeasurementConsumersCommand::Create {
            creation_token,
            certificate,
            public_key,
            public_key_signature,
            display_name,
            id_token,
            signature_algorithm,
        } = command;
        let key = read_public_key(public_key, &["api", "measurement-consumers", "create"])?;
        let certificate_der = files::read_certificate(certificate)?;
        let signature = files::read(public_key_signature)?;
        let oid = if self.quirks.faithful(PeerQuirk::CliSendsNoOid) {
            warn_no_oid("quirk cli-sends-no-oid is faithful");
            String::new()
        } else if let Some(algorithm) = signature_algorithm {
            algorithm.oid().to_owned()
        } else {
            oid_of(&certificate_der, &key, &signature)
        };
        let id_token = id_token_or_ask(id_token.as_deref())?;
        let request = pb::CreateMeasurementConsumerRequest {
            measurement_consumer: Some(pb::MeasurementConsumer {
                certificate_der,
                public_key: Some(signed_key(key, signature, oid)),
                display_name: display_name.clone(),
                measurement_consumer_creation_token: creation_token.clone(),
                ..Default::default()
            }),
        };
        let answer: Answer<pb::MeasurementConsumer> = self.connect()?.call(
            "MeasurementConsumers.CreateMeasurementConsumer",
            &request,
            &[("id_token", &id_token)],
        )?;
        self.print(&answer)
    }

    fn api_keys(&mut self, group: &ApiKeysArgs) -> Result<(), ToolError> {
        let ApiKeysCommand::Create { measurement_consumer, nickname, description } = &group.command;
        let id_token = id_token_or_ask(group.id_token.as_deref())?;
        let request = pb::CreateApiKeyRequest {
            parent: measurement_consumer.clone(),
            api_key: Some(pb::ApiKey {
                nickname: nickname.clone(),
                description: description.clone(),
                ..Default::default()
            }),
        };
        let answer: Answer<pb::ApiKey> =
            self.connect()?.call("ApiKeys.CreateApiKey", &request, &[("id_token", &id_token)])?;
        self.print(&answer)
    }

    fn measurements(&mut self, group: &MeasurementsArgs) -> Result<(), ToolError> {
        let key = group.api_key.as_str();
        match &group.command {
            MeasurementsCommand::Create(arguments) => measurements::create(self, key, arguments),
            MeasurementsCommand::List { measurement_consumer, page_size, page_token } => {
                let faithful = self.quirks.faithful(PeerQuirk::CliListsFirstPageOnly);
                if faithful && (page_size.is_some() || page_token.is_some()) {
                    return Err(ToolError::usage(
                        &["api", "measurements", "list"],
                        "the real tool has no --page-size and no --page-token; switch quirk cli-lists-first-page-only to use them",
                    ));
                }
                let request = pb::ListMeasurementsRequest {
                    parent: measurement_consumer.clone(),
                    page_size: page_size.unwrap_or_default(),
                    page_token: page_token.clone().unwrap_or_default(),
                    filter: None,
                };
                let answer: Answer<pb::ListMeasurementsResponse> = self.connect()?.call(
                    "Measurements.ListMeasurements",
                    &request,
                    &api_key(Some(key)),
                )?;
                if self.json() {
                    return self.print(&answer);
                }
                for measurement in &answer.message.measurements {
                    let state = measurements::state(measurement);
                    writeln!(self.out, "{} {state}", measurement.name)?;
                }
                if !faithful {
                    note_next_page(&answer.message.next_page_token);
                }
                Ok(())
            }
            MeasurementsCommand::Get { encryption_private_key_file, owner_root, name } => {
                measurements::get(self, key, encryption_private_key_file, owner_root, name)
            }
            MeasurementsCommand::Cancel { name } => {
                let request = pb::CancelMeasurementRequest { name: name.clone() };
                let answer: Answer<pb::Measurement> = self.connect()?.call(
                    "Measurements.CancelMeasurement",
                    &request,
                    &api_key(Some(key)),
                )?;
                if self.json() {
                    return self.print(&answer);
                }
                writeln!(self.out, "State: {}", measurements::state(&answer.message))?;
                Ok(())
            }
        }
    }

    fn data_providers(&mut self, group: &DataProvidersArgs) -> Result<(), ToolError> {
        let name = group.name.clone();
        match &group.command {
            DataProvidersCommand::Get => {
                let request = pb::GetDataProviderRequest { name };
                let answer: Answer<pb::DataProvider> =
                    self.connect()?.call("DataProviders.GetDataProvider", &request, &[])?;
                if !self.json() {
                    writeln!(self.out, "Data Provider Resource: {}", answer.message.name)?;
                }
                self.print(&answer)
            }
            DataProvidersCommand::ReplaceRequiredDuchies { required_duchies } => {
                let request = pb::ReplaceDataProviderRequiredDuchiesRequest {
                    name,
                    required_duchies: required_duchies.clone(),
                };
                let answer: Answer<pb::DataProvider> = self.connect()?.call(
                    "DataProviders.ReplaceDataProviderRequiredDuchies",
                    &request,
                    &[],
                )?;
                if self.json() {
                    return self.print(&answer);
                }
                #[allow(deprecated, reason = "the field that the RPC replaces")]
                let duchies = answer.message.required_duchies.join(", ");
                writeln!(
                    self.out,
                    "Data Provider {} duchy list replaced with [{duchies}]",
                    answer.message.name
                )?;
                Ok(())
            }
            DataProvidersCommand::UpdateCapabilities {
                hmss_supported,
                trus_tee_supported,
                noise_mechanism_deterministic_truncated_laplace_supported: laplace,
            } => {
                let mut session = self.connect()?;
                let request = pb::GetDataProviderRequest { name: name.clone() };
                let read: Answer<pb::DataProvider> =
                    session.call("DataProviders.GetDataProvider", &request, &[])?;
                let mut capabilities = read.message.capabilities.unwrap_or_default();
                let set = |field: &mut bool, wanted: &Option<bool>| {
                    *field = wanted.unwrap_or(*field);
                };
                set(&mut capabilities.honest_majority_share_shuffle_supported, hmss_supported);
                set(&mut capabilities.trus_tee_supported, trus_tee_supported);
                set(
                    &mut capabilities.noise_mechanism_deterministic_truncated_laplace_supported,
                    laplace,
                );
                let request = pb::ReplaceDataProviderCapabilitiesRequest {
                    name,
                    capabilities: Some(capabilities),
                };
                let answer: Answer<pb::DataProvider> =
                    session.call("DataProviders.ReplaceDataProviderCapabilities", &request, &[])?;
                let field = answer.shown.get_field_by_name("capabilities");
                let shown = field
                    .as_deref()
                    .and_then(prost_reflect::Value::as_message)
                    .cloned()
                    .ok_or_else(|| ToolError::failed("the answer has no capabilities"))?;
                self.print(&Answer { message: (), shown })
            }
        }
    }
}

/// The metadata of an API key (contract 2.6).
pub(super) fn api_key(key: Option<&str>) -> Vec<(&str, &str)> {
    key.map(|key| ("x-api-key", key)).into_iter().collect()
}

fn needs_api_key(command: &[&'static str]) -> ToolError {
    ToolError::usage(
        command,
        "a measurement consumer's resource needs --api-key, before the command",
    )
}

/// A file that is no EncryptionPublicKey is a usage error here (contract 4.0.4).
fn read_public_key(path: &std::path::Path, command: &[&'static str]) -> Result<Vec<u8>, ToolError> {
    let content = files::read(path)?;
    pb::EncryptionPublicKey::decode(content.as_slice()).map_err(|error| {
        ToolError::usage(
            command,
            format!(
                "{}: not a serialized EncryptionPublicKey ({error}); make one with `halo-harness keys serialize`",
                path.display()
            ),
        )
    })?;
    Ok(content)
}

#[allow(deprecated, reason = "project code fills `data` too (contract 3.1.3)")]
fn signed_key(key: Vec<u8>, signature: Vec<u8>, oid: String) -> pb::SignedMessage {
    pb::SignedMessage {
        data: key.clone(),
        message: Some(prost_types::Any {
            type_url: format!("{}{ENCRYPTION_PUBLIC_KEY}", kingdom_proto::TYPE_URL_PREFIX),
            value: key,
        }),
        signature,
        signature_algorithm_oid: oid,
    }
}

/// The algorithm with which the signature verifies, tried from the default of the certificate's key
/// type on (contract 3.2.2); that default if none does, as nobody at the Kingdom looks.
fn oid_of(certificate: &[u8], message: &[u8], signature: &[u8]) -> String {
    let key_type = match halo_consent::certificate_key_type(certificate) {
        Ok(key_type) => key_type,
        Err(error) => {
            warn_no_oid(&format!("the certificate's key cannot be used: {error}"));
            return String::new();
        }
    };
    match verifying_algorithm(key_type, certificate, message, signature) {
        Some(algorithm) => algorithm.oid().to_owned(),
        None => {
            warn(
                "the signature does not verify with this certificate: peers will refuse the key, the Kingdom does not look (contract 1.2.3)",
            );
            SignatureAlgorithm::default_for(key_type).oid().to_owned()
        }
    }
}

fn verifying_algorithm(
    key_type: KeyType,
    certificate: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<SignatureAlgorithm> {
    // The table begins with the default of each key type.
    SignatureAlgorithm::ALL
        .into_iter()
        .filter(|one| one.key_type() == key_type)
        .find(|one| halo_consent::verify(certificate, one.oid(), message, signature).is_ok())
}

fn warn_no_oid(why: &str) {
    warn(&format!(
        "no signature algorithm is recorded: {why}; peers then take the algorithm of the certificate's own signature (contract 3.1.5)"
    ));
}

fn note_next_page(token: &str) {
    if !token.is_empty() {
        let _ = writeln!(io::stderr(), "halo-harness: more follow: --page-token {token}");
    }
}

pub(super) fn parse_algorithm(name: &str) -> Result<SignatureAlgorithm, String> {
    SignatureAlgorithm::from_tool_name(name).ok_or_else(|| {
        let names: Vec<_> = SignatureAlgorithm::ALL.iter().map(|one| one.tool_name()).collect();
        format!("no such algorithm; there are {}", names.join(", "))
    })
}

/// A token that was not given is asked for, without echo on a terminal (contract 4.1.3 b).
fn id_token_or_ask(given: Option<&str>) -> Result<String, ToolError> {
    if let Some(token) = given {
        return Ok(token.to_owned());
    }
    let terminal = io::stdin().is_terminal();
    let echo = |how: &str| {
        let stty = Process::new("stty").arg(how).stdin(Stdio::inherit()).status();
        stty.is_ok_and(|status| status.success())
    };
    if terminal && !echo("-echo") {
        return Err(ToolError::failed("the terminal cannot hide a token; give --id-token"));
    }
    write!(io::stderr(), "ID Token: ")?;
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    if terminal {
        echo("echo");
        writeln!(io::stderr())?;
    }
    match read {
        Ok(_) if !line.trim().is_empty() => Ok(line.trim().to_owned()),
        Ok(_) => Err(ToolError::failed("no ID token was given; give --id-token")),
        Err(error) => Err(ToolError::failed(format!("the ID token cannot be read: {error}"))),
    }
}
