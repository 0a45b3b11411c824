//! `halo-harness provision`: the real `CreateResource` (contract 4.3), and the folder of a sandbox's
//! new participant.

use super::api::parse_algorithm;
use super::files::{self, wrong};
use super::participant::{Given, NewParticipant};
use super::session::{Answer, CallError, Session, TlsFiles};
use super::text::json_form;
use super::{Format, OurOptions, ToolError};
use crate::environment::Listener;
use crate::quirk::{PeerQuirk, PeerQuirks};
use clap::{Args, Subcommand};
use fake_kingdom::model::Timestamp;
use fake_kingdom::sandbox::ParticipantKind;
use halo_consent::SignatureAlgorithm;
use kingdom_proto::ApiId;
use kingdom_proto::internal as pb;
use kingdom_proto::name::DuchyName;
use prost::Message as _;
use std::io::Write;
use std::path::PathBuf;

/// The oddities that this tool has.
pub(super) const QUIRKS: &[PeerQuirk] =
    &[PeerQuirk::CreateResourceStoresFileVerbatim, PeerQuirk::PemKeyFirstLine];

/// The command line of `provision`.
#[derive(Debug, Args)]
pub struct ProvisionArgs {
    #[command(flatten)]
    tls: TlsFiles,
    /// Address of the Kingdom's internal API: the fake's operator listener
    #[arg(long, value_name = "HOST:PORT")]
    internal_api_target: String,
    /// The name in the Kingdom's certificate, if it is not the target's host
    #[arg(long, value_name = "HOST")]
    internal_api_cert_host: Option<String>,
    /// Taken and ignored, as by the real tool
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    internal_api_default_deadline: String,
    #[command(flatten)]
    ours: OurOptions,
    #[command(subcommand)]
    command: Option<ProvisionCommand>,
}

#[derive(Debug, Subcommand)]
enum ProvisionCommand {
    /// Create an account; the fake Kingdom has none
    Account,
    /// Create a token for a new measurement consumer; needs accounts, which the fake has not
    McCreationToken,
    /// Create a data provider
    DataProvider(DataProviderArgs),
    /// Create a model provider
    ModelProvider {
        #[command(flatten)]
        sandbox: SandboxOptions,
    },
    /// Register a Duchy's certificate
    DuchyCertificate {
        /// The Duchy's resource name
        #[arg(long, value_name = "NAME", conflicts_with = "duchy_id")]
        duchy: Option<String>,
        /// The Duchy's id
        #[arg(long, value_name = "ID", required_unless_present = "duchy")]
        duchy_id: Option<String>,
        /// The certificate, PEM or DER
        #[arg(long, alias = "cert-file", value_name = "FILE")]
        certificate_file: PathBuf,
    },
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Args)]
struct DataProviderArgs {
    /// The consent signalling certificate; stored as the file stands, PEM too
    #[arg(long, value_name = "FILE")]
    certificate_der_file: Option<PathBuf>,
    /// The encryption key: a serialized EncryptionPublicKey
    #[arg(long, value_name = "FILE")]
    encryption_public_key_file: Option<PathBuf>,
    /// Its signature, raw bytes; never verified
    #[arg(long, value_name = "FILE")]
    encryption_public_key_signature_file: Option<PathBuf>,
    /// How the key is signed
    #[arg(long, value_name = "NAME", value_parser = parse_algorithm)]
    encryption_public_key_signature_algorithm: Option<SignatureAlgorithm>,
    /// The API version of the key
    #[arg(long, value_name = "VERSION", default_value = "v2alpha")]
    encryption_public_key_api_version: String,
    /// Id of a Duchy that must take part; repeatable
    #[arg(long, value_name = "ID")]
    required_duchies: Vec<String>,
    #[command(flatten)]
    sandbox: SandboxOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "A sandbox's new participant (not in the real tool)")]
struct SandboxOptions {
    /// The sandbox that gets the participant's folder, trust and map entry
    #[arg(long, value_name = "DIR", requires = "participant_name")]
    sandbox_dir: Option<PathBuf>,
    /// Name of the participant's folder
    #[arg(long, value_name = "NAME", requires = "sandbox_dir")]
    participant_name: Option<String>,
    /// The participant's own root, PEM; without it, a new authority is made
    #[arg(long, value_name = "FILE", requires = "sandbox_dir")]
    root_cert_file: Option<PathBuf>,
}

impl SandboxOptions {
    fn wanted(&self) -> Option<(&PathBuf, &str)> {
        self.sandbox_dir.as_ref().zip(self.participant_name.as_deref())
    }
}

/// Runs the command.
///
/// # Errors
/// [`ToolError`], with the exit code of the real tool.
pub fn run(arguments: &ProvisionArgs, out: &mut dyn Write) -> Result<(), ToolError> {
    let quirks = arguments.ours.quirks(QUIRKS)?;
    let Some(command) = &arguments.command else {
        return Ok(());
    };
    let mut tool = Tool { arguments, quirks, out };
    match command {
        ProvisionCommand::Account => tool.account(),
        ProvisionCommand::McCreationToken => tool.creation_token(),
        ProvisionCommand::DataProvider(options) => tool.data_provider(options),
        ProvisionCommand::ModelProvider { sandbox } => tool.model_provider(sandbox),
        ProvisionCommand::DuchyCertificate { duchy, duchy_id, certificate_file } => {
            tool.duchy_certificate(duchy.as_deref(), duchy_id.as_deref(), certificate_file)
        }
        ProvisionCommand::Other(words) => {
            let word = words.first().map(String::as_str).unwrap_or_default();
            Err(ToolError::usage(
                &[],
                if word == "recurring-exchange" {
                    "`recurring-exchange` is not part of this harness: panel match is outside of it"
                        .to_owned()
                } else {
                    format!("there is no command `{word}`")
                },
            ))
        }
    }
}

struct Tool<'a> {
    arguments: &'a ProvisionArgs,
    quirks: PeerQuirks,
    out: &'a mut dyn Write,
}

impl Tool<'_> {
    fn connect(&self) -> Result<Session, ToolError> {
        Session::open(
            &self.arguments.internal_api_target,
            self.arguments.internal_api_cert_host.as_deref(),
            &self.arguments.tls,
            &self.quirks,
            Listener::Operator,
        )
    }

    /// Prints the lines of the real tool, or the answer in JSON.
    fn print<M>(&mut self, answer: &Answer<M>, lines: &[String]) -> Result<(), ToolError> {
        if self.arguments.ours.format == Format::Json {
            writeln!(self.out, "{:#}", json_form(&answer.shown))?;
            return Ok(());
        }
        for line in lines {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    fn account(&mut self) -> Result<(), ToolError> {
        let answer: Answer<pb::Account> =
            self.connect()?.call("Accounts.CreateAccount", &pb::Account::default(), &[])?;
        let lines = [
            format!("Account Name: accounts/{}", id(answer.message.external_account_id)?),
            format!("Activation Token: {}", id(answer.message.activation_token)?),
        ];
        self.print(&answer, &lines)
    }

    fn creation_token(&mut self) -> Result<(), ToolError> {
        let request = pb::CreateMeasurementConsumerCreationTokenRequest {};
        let answer: Answer<pb::CreateMeasurementConsumerCreationTokenResponse> = self
            .connect()?
            .call("Accounts.CreateMeasurementConsumerCreationToken", &request, &[])?;
        let token = id(answer.message.measurement_consumer_creation_token)?;
        self.print(&answer, &[format!("Creation Token: {token}")])
    }

    fn data_provider(&mut self, options: &DataProviderArgs) -> Result<(), ToolError> {
        let command = &["provision", "data-provider"];
        let usage = |what: &str| ToolError::usage(command, what);
        let given = (
            &options.certificate_der_file,
            &options.encryption_public_key_file,
            &options.encryption_public_key_signature_file,
            options.encryption_public_key_signature_algorithm,
        );
        let files = match given {
            (Some(certificate), Some(key), Some(signature), Some(algorithm)) => {
                let certificate = files::read(certificate)?;
                let public_key = files::read(key)?;
                kingdom_proto::v2alpha::EncryptionPublicKey::decode(public_key.as_slice())
                    .map_err(|error| {
                        wrong(key, format!("not a serialized EncryptionPublicKey ({error})"))
                    })?;
                let signature = files::read(signature)?;
                Some(Given { certificate, public_key, signature, algorithm })
            }
            (None, None, None, None) if options.sandbox.wanted().is_some() => None,
            _ => {
                return Err(usage(
                    "give all of --certificate-der-file, --encryption-public-key-file, --encryption-public-key-signature-file and --encryption-public-key-signature-algorithm; only with --sandbox-dir may all four be left out",
                ));
            }
        };
        if files.is_some()
            && options.sandbox.wanted().is_some()
            && options.sandbox.root_cert_file.is_none()
        {
            return Err(usage(
                "with a certificate of its own the participant has its own authority: give --root-cert-file",
            ));
        }
        if files.is_none() && options.sandbox.root_cert_file.is_some() {
            return Err(usage(
                "with a root of its own the participant has its own certificate: give the four files too",
            ));
        }
        let new = self.prepare(&options.sandbox, ParticipantKind::DataProvider, files.as_ref())?;
        let made = new.as_ref().and_then(NewParticipant::given);
        let given = files.or(made).ok_or_else(|| usage("there is no certificate to register"))?;
        let file = options.certificate_der_file.clone().unwrap_or_default();
        let certificate = self.certificate(&given.certificate, None).map_err(|what| {
            if files::is_pem(&given.certificate) || options.certificate_der_file.is_some() {
                wrong(&file, what)
            } else {
                ToolError::Failed(what)
            }
        })?;
        let request = pb::DataProvider {
            certificate: Some(certificate),
            details: Some(pb::DataProviderDetails {
                api_version: options.encryption_public_key_api_version.clone(),
                public_key: given.public_key,
                public_key_signature: given.signature,
                public_key_signature_algorithm_oid: given.algorithm.oid().to_owned(),
                ..Default::default()
            }),
            required_external_duchy_ids: options.required_duchies.clone(),
            ..Default::default()
        };
        let answer: Answer<pb::DataProvider> = self.created(&new, |session| {
            session.call("DataProviders.CreateDataProvider", &request, &[])
        })?;
        let name = format!("dataProviders/{}", id(answer.message.external_data_provider_id)?);
        let certificate =
            answer.message.certificate.as_ref().map_or(0, |c| c.external_certificate_id);
        let certificate = format!("{name}/certificates/{}", id(certificate)?);
        self.print(
            &answer,
            &[format!("DataProvider name: {name}"), format!("Certificate name: {certificate}")],
        )?;
        new.map_or(Ok(()), |new| new.join(&name, Some(&certificate)))
    }

    fn model_provider(&mut self, sandbox: &SandboxOptions) -> Result<(), ToolError> {
        let new = self.prepare(sandbox, ParticipantKind::ModelProvider, None)?;
        let answer: Answer<pb::ModelProvider> = self.created(&new, |session| {
            session.call("ModelProviders.CreateModelProvider", &pb::ModelProvider::default(), &[])
        })?;
        let name = format!("modelProviders/{}", id(answer.message.external_model_provider_id)?);
        self.print(&answer, &[format!("Model Provider Name: {name}")])?;
        new.map_or(Ok(()), |new| new.join(&name, None))
    }

    fn duchy_certificate(
        &mut self,
        duchy: Option<&str>,
        duchy_id: Option<&str>,
        file: &std::path::Path,
    ) -> Result<(), ToolError> {
        let duchy = match (duchy, duchy_id) {
            (Some(name), _) => {
                let parsed = DuchyName::parse(name).ok_or_else(|| {
                    ToolError::usage(
                        &["provision", "duchy-certificate"],
                        format!("`{name}` is not duchies/ID"),
                    )
                })?;
                parsed.duchy
            }
            (None, id) => id.unwrap_or_default().to_owned(),
        };
        let der = files::read_certificate(file)?;
        let parent = pb::certificate::Parent::ExternalDuchyId(duchy.clone());
        let request = self.certificate(&der, Some(parent)).map_err(|what| wrong(file, what))?;
        let answer: Answer<pb::Certificate> =
            self.connect()?.call("Certificates.CreateCertificate", &request, &[])?;
        let id = id(answer.message.external_certificate_id)?;
        self.print(&answer, &[format!("Certificate name: duchies/{duchy}/certificates/{id}")])
    }

    /// A certificate as the internal API takes it: the caller parses (contract 1.8.5). What is
    /// stored is the file as it stands (quirk `create-resource-stores-file-verbatim`).
    fn certificate(
        &self,
        content: &[u8],
        parent: Option<pb::certificate::Parent>,
    ) -> Result<pb::Certificate, String> {
        let der = files::certificate_in(content)?;
        let facts = halo_pki::inspect(&der).map_err(|error| error.to_string())?;
        let skid = facts
            .skid
            .ok_or("the certificate has no subject key identifier; have it issued anew with one")?;
        let verbatim = self.quirks.faithful(PeerQuirk::CreateResourceStoresFileVerbatim);
        Ok(pb::Certificate {
            parent,
            subject_key_identifier: skid,
            not_valid_before: Some(Timestamp::from(facts.not_before).to_proto()),
            not_valid_after: Some(Timestamp::from(facts.not_after).to_proto()),
            details: Some(pb::CertificateDetails {
                x509_der: if verbatim { content.to_vec() } else { der },
            }),
            ..Default::default()
        })
    }

    fn prepare(
        &self,
        sandbox: &SandboxOptions,
        kind: ParticipantKind,
        given: Option<&Given>,
    ) -> Result<Option<NewParticipant>, ToolError> {
        let Some((folder, name)) = sandbox.wanted() else {
            return Ok(None);
        };
        let root = sandbox.root_cert_file.as_deref();
        NewParticipant::prepare(folder, name, kind, root, given).map(Some)
    }

    /// Makes the call that creates. When it is refused, what was written for the participant goes;
    /// when no answer comes, the resource may exist, and its keys stay.
    fn created<M>(
        &self,
        new: &Option<NewParticipant>,
        call: impl FnOnce(&mut Session) -> Result<Answer<M>, CallError>,
    ) -> Result<Answer<M>, ToolError> {
        let withdraw = || {
            if let Some(new) = new {
                new.withdraw();
            }
        };
        let mut session = self.connect().inspect_err(|_| withdraw())?;
        call(&mut session).map_err(|error| match (&error, new) {
            (CallError::Refused(_), _) => {
                withdraw();
                error.into()
            }
            (_, None) => error.into(),
            (_, Some(new)) => ToolError::Failed(format!(
                "{error}; whether the resource was created is unknown, so its keys stay in {}: look at the Kingdom's audit trail, then register them or remove the folder",
                new.folder().display()
            )),
        })
    }
}

/// An id as resource names show it (contract 2.12).
fn id(value: u64) -> Result<ApiId, ToolError> {
    i64::try_from(value).ok().and_then(ApiId::new).ok_or_else(|| {
        ToolError::failed(format!("the Kingdom answered the id {value}, which is none"))
    })
}
