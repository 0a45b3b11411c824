//! `halo-harness keys`: the real `EncryptionPublicKeys` (contract 4.2), and the two commands of
//! `tinkey` that come before it (4.2.6).

use super::api::parse_algorithm;
use super::files::{self, wrong};
use super::{OurOptions, ToolError, warn};
use crate::quirk::PeerQuirk;
use clap::{Args, Subcommand, ValueEnum};
use fake_kingdom::seam::entropy;
use halo_consent::{KeyTemplate, PrivateKeyset, SignatureAlgorithm};
use kingdom_proto::v2alpha as pb;
use pb::encryption_public_key::Format as Wrapped;
use prost::Message as _;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The oddities that this tool has.
pub(super) const QUIRKS: &[PeerQuirk] = &[PeerQuirk::SignIgnoresKeyMismatch];

/// The command line of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(flatten)]
    ours: OurOptions,
    #[command(subcommand)]
    command: Option<KeysCommand>,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Wrap a public key set into an EncryptionPublicKey
    Serialize {
        /// What the data is
        #[arg(long, value_enum, default_value_t)]
        format: KeyFormat,
        /// The public key set, binary; not looked at
        #[arg(long, value_name = "FILE")]
        data: PathBuf,
        /// Where the EncryptionPublicKey goes
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take the key set out of an EncryptionPublicKey
    Deserialize {
        /// The EncryptionPublicKey
        #[arg(short, long = "in", value_name = "FILE")]
        input: PathBuf,
        /// Where the key set goes
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign an EncryptionPublicKey
    Sign {
        /// The consent signalling certificate, PEM or DER
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// Its private key, PKCS#8 DER
        #[arg(long, value_name = "FILE")]
        signing_key: PathBuf,
        /// The algorithm; without it, SHA-256 with the certificate's key type
        #[arg(long, value_name = "NAME", value_parser = parse_algorithm)]
        signature_algorithm: Option<SignatureAlgorithm>,
        /// The EncryptionPublicKey
        #[arg(short, long = "in", value_name = "FILE")]
        input: PathBuf,
        /// Where the signature goes, raw bytes
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a private key set, as `tinkey create-keyset` does (not in the real tool)
    CreateKeyset {
        /// What to make
        #[arg(long, value_name = "NAME", value_parser = parse_template,
              default_value = "ECIES_P256_HKDF_HMAC_SHA256_AES128_GCM")]
        key_template: KeyTemplate,
        /// Only binary
        #[arg(long, value_enum, default_value_t)]
        out_format: KeysetFormat,
        /// Where the private key set goes; never over a file that is there
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take the public key set out of a private one, as `tinkey create-public-keyset` does (not in
    /// the real tool)
    CreatePublicKeyset {
        /// Only binary
        #[arg(long, value_enum, default_value_t)]
        in_format: KeysetFormat,
        /// The private key set
        #[arg(long = "in", value_name = "FILE")]
        input: PathBuf,
        /// Only binary
        #[arg(long, value_enum, default_value_t)]
        out_format: KeysetFormat,
        /// Where the public key set goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum KeyFormat {
    #[default]
    #[value(name = "TINK_KEYSET")]
    TinkKeyset,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum KeysetFormat {
    #[default]
    Binary,
}

/// Runs the command.
///
/// # Errors
/// [`ToolError`], with the exit code of the real tool.
pub fn run(arguments: &KeysArgs, out: &mut dyn Write) -> Result<(), ToolError> {
    let quirks = arguments.ours.quirks(QUIRKS)?;
    match &arguments.command {
        None => Ok(()),
        Some(KeysCommand::Serialize { format: KeyFormat::TinkKeyset, data, out }) => {
            let keyset = files::read(data)?;
            // The real tool looks at nothing (4.2.1), and whoever asks is given what is published.
            if PrivateKeyset::from_binary(&keyset).is_ok() {
                warn(&format!(
                    "{} holds private key material, and {} now holds it too: do not publish it; take the public key set out with `halo-harness keys create-public-keyset`",
                    data.display(),
                    out.display()
                ));
            }
            files::write(out, &halo_consent::wrap_keyset(&keyset), false)
        }
        Some(KeysCommand::Deserialize { input, out }) => {
            let key = read_key(input)?;
            // The reverse of a `serialize` that looks at nothing (4.2.2): whoever uses the key is
            // stopped by its format (3.5.1), whoever takes it out is told.
            if key.format() != Wrapped::TinkKeyset {
                warn(&format!(
                    "{} does not say TINK_KEYSET (its format is {}), so nobody can use it: {} holds its data as it is",
                    input.display(),
                    key.format,
                    out.display()
                ));
            }
            files::write(out, &key.data, false)
        }
        Some(KeysCommand::Sign {
            certificate,
            signing_key,
            signature_algorithm,
            input,
            out: file,
        }) => {
            let message = files::read(input)?;
            decode_key(input, &message)?;
            let leaf = files::read_certificate(certificate)?;
            let key = files::read_signing_key(signing_key, &leaf)?;
            if key.is_key_of(&leaf) == Ok(false) {
                if !quirks.faithful(PeerQuirk::SignIgnoresKeyMismatch) {
                    return Err(wrong(
                        signing_key,
                        format!("not the key of the certificate {}", certificate.display()),
                    ));
                }
                warn(&format!(
                    "{} is not the key of {}: no signature of it verifies (quirk sign-ignores-key-mismatch)",
                    signing_key.display(),
                    certificate.display()
                ));
            }
            let algorithm = signature_algorithm.unwrap_or_else(|| key.default_algorithm());
            let signature =
                key.sign(algorithm, &message).map_err(|error| wrong(signing_key, error))?;
            if arguments.ours.format == super::Format::Json {
                let shown = serde_json::json!({
                    "signatureAlgorithm": algorithm.tool_name(),
                    "signatureAlgorithmOid": algorithm.oid(),
                });
                writeln!(out, "{shown:#}")?;
            } else {
                writeln!(out, "Signature algorithm: {algorithm} ({})", algorithm.oid())?;
            }
            files::write(file, &signature, false)
        }
        Some(KeysCommand::CreateKeyset { key_template, out, .. }) => {
            let keyset = PrivateKeyset::generate(*key_template, &mut entropy::system())
                .map_err(|error| ToolError::failed(error.to_string()))?;
            files::write_new(out, &keyset.to_binary(), true)
        }
        Some(KeysCommand::CreatePublicKeyset { input, out, .. }) => {
            let keyset = PrivateKeyset::from_binary(&files::read(input)?)
                .map_err(|error| wrong(input, error))?;
            files::write(out, &keyset.public().to_binary(), false)
        }
    }
}

fn read_key(path: &Path) -> Result<pb::EncryptionPublicKey, ToolError> {
    decode_key(path, &files::read(path)?)
}

fn decode_key(path: &Path, message: &[u8]) -> Result<pb::EncryptionPublicKey, ToolError> {
    pb::EncryptionPublicKey::decode(message)
        .map_err(|error| wrong(path, format!("not a serialized EncryptionPublicKey ({error})")))
}

fn parse_template(name: &str) -> Result<KeyTemplate, String> {
    KeyTemplate::ALL.into_iter().find(|template| template.name() == name).ok_or_else(|| {
        let names: Vec<_> = KeyTemplate::ALL.iter().map(|template| template.name()).collect();
        format!("no such template; there are {}", names.join(", "))
    })
}
