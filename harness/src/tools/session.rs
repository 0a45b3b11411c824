//! A tool's connection to a Kingdom.

use super::ToolError;
use super::files::{self, wrong};
use super::pki::shown_time;
use crate::client::dynamic::Method;
use crate::client::{
    Connection, Credential, Outcome, Request, Security, Status, TlsOptions, TransportError,
};
use crate::environment::Listener;
use crate::quirk::PeerQuirks;
use clap::Args;
use fake_kingdom::seam::clock::Clock;
use fake_kingdom::seam::transport::{Network as _, Tcp};
use halo_pki::TrustEntry;
use prost::Message;
use prost_reflect::DynamicMessage;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The real tools set no deadline; a tool that never ends helps nobody.
const PATIENCE: Duration = Duration::from_secs(120);

/// The TLS options of the real tools (contract 4.0.6).
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsFiles {
    /// The client's certificate, PEM
    #[arg(long, value_name = "FILE")]
    tls_cert_file: PathBuf,
    /// Its private key, PEM, unencrypted PKCS#8
    #[arg(long, value_name = "FILE")]
    tls_key_file: PathBuf,
    /// The trusted roots, PEM: of the Kingdom and of whoever signs results
    #[arg(long, value_name = "FILE")]
    cert_collection_file: PathBuf,
}

/// One connection to one listener.
pub(super) struct Session {
    runtime: Runtime,
    connection: Connection,
    listener: Listener,
    trust: Vec<TrustEntry>,
    target: String,
    options: TlsOptions,
    /// What is wrong with the client's own certificate by this machine's clock, if anything.
    own_fault: Option<String>,
}

/// An answer: typed, and as it is printed.
pub(super) struct Answer<M> {
    pub(super) message: M,
    pub(super) shown: DynamicMessage,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// The Kingdom refused.
    Refused(Box<Status>),
    /// No status arrived.
    Broken {
        /// What the client saw of it.
        error: TransportError,
        /// The TLS alert with which the server ended the connection.
        alert: Option<String>,
        /// What is wrong with the client's own certificate.
        own_fault: Option<String>,
    },
    /// The answer is not the message that it should be.
    Malformed(String),
}

/// How long a server may take for the handshake.
const HANDSHAKE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// How long to wait for the alert of a server that refused a client.
const ALERT_PATIENCE: Duration = Duration::from_secs(2);

impl Session {
    /// Reads the TLS files and connects. `host` is the name that the server's certificate must have,
    /// if it is not the target's.
    pub(super) fn open(
        target: &str,
        host: Option<&str>,
        tls: &TlsFiles,
        quirks: &PeerQuirks,
        listener: Listener,
    ) -> Result<Self, ToolError> {
        let certificate = files::read_pem_certificate(&tls.tls_cert_file)?;
        let own_fault = out_of_date(&certificate, &Clock::real())
            .map(|what| format!("the client's certificate {} {what}", tls.tls_cert_file.display()));
        let key = files::read_pem_key(&tls.tls_key_file, quirks)?;
        let own = halo_consent::SigningKey::from_pkcs8_der(&key)
            .map_err(|error| wrong(&tls.tls_key_file, error))?;
        if !own.is_key_of(&certificate).map_err(|error| wrong(&tls.tls_cert_file, error))? {
            return Err(wrong(
                &tls.tls_key_file,
                format!(
                    "not the key of the certificate {}; give the two files of one leaf",
                    tls.tls_cert_file.display()
                ),
            ));
        }
        let bundle = halo_pki::pem_certificates(&files::read(&tls.cert_collection_file)?)
            .map_err(|error| wrong(&tls.cert_collection_file, error))?;
        let trust = halo_pki::trust_bundle(&bundle)
            .map_err(|error| wrong(&tls.cert_collection_file, error))?;
        let named = target.rsplit_once(':').map_or(target, |(host, _)| host);
        let options = TlsOptions {
            // Only the first certificate of the file is shown (contract 2.11).
            credential: Some(Credential { chain: vec![certificate], key }),
            security: Security::Tls13,
            roots: trust.iter().map(|entry| entry.der.clone()).collect(),
            server_name: host.unwrap_or(named.trim_matches(['[', ']'])).to_owned(),
            clock: Clock::real(),
            link: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ToolError::failed(format!("no asynchronous runtime: {error}")))?;
        let connection = runtime.block_on(async {
            let (stream, local) = Tcp.connect(target).await.map_err(|error| {
                ToolError::failed(format!(
                    "cannot connect to {target}: {error}; is the Kingdom running, and is this its address?"
                ))
            })?;
            let opened = Connection::open(stream, local, &options);
            let opened = tokio::time::timeout(HANDSHAKE_PATIENCE, opened).await.map_err(|_| {
                ToolError::failed(format!(
                    "{target} accepts connections and does not answer a TLS handshake within {} s; is this a TLS port of the Kingdom?",
                    HANDSHAKE_PATIENCE.as_secs()
                ))
            })?;
            opened.map_err(|error| {
                ToolError::failed(format!(
                    "no secure connection to {target}: {error}; check --cert-collection-file and the name in the server's certificate"
                ))
            })
        })?;
        let target = target.to_owned();
        Ok(Self { runtime, connection, listener, trust, target, options, own_fault })
    }

    /// The trusted roots.
    pub(super) fn trust(&self) -> &[TrustEntry] {
        &self.trust
    }

    /// Makes one unary call; `method` is `Service.Method`.
    pub(super) fn call<M: Message + Default>(
        &mut self,
        method: &str,
        request: &impl Message,
        metadata: &[(&str, &str)],
    ) -> Result<Answer<M>, CallError> {
        let method = Method::find(method, self.listener).map_err(CallError::Malformed)?;
        let request = Request {
            method: method.path(),
            metadata: metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            messages: vec![request.encode_to_vec()],
            patience: PATIENCE,
        };
        match self.runtime.block_on(self.connection.call(&request)) {
            Outcome::Broken(error) => {
                let alert = self.runtime.block_on(async {
                    let asked = async {
                        let (stream, _) = Tcp.connect(&self.target).await.ok()?;
                        self.options.refusal_alert(stream).await
                    };
                    tokio::time::timeout(ALERT_PATIENCE, asked).await.ok().flatten()
                });
                Err(CallError::Broken { error, alert, own_fault: self.own_fault.clone() })
            }
            Outcome::Answered { status, .. } if status.code != "OK" => {
                Err(CallError::Refused(Box::new(status)))
            }
            Outcome::Answered { messages, .. } => {
                let bytes = messages
                    .first()
                    .ok_or_else(|| CallError::Malformed("OK without a message".to_owned()))?;
                let message = M::decode(bytes.as_slice())
                    .map_err(|error| CallError::Malformed(error.to_string()))?;
                let shown = method.response(bytes).map_err(CallError::Malformed)?;
                Ok(Answer { message, shown })
            }
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => {
                write!(f, "the Kingdom refused: {}", status.code)?;
                if !status.description.is_empty() {
                    write!(f, ": {}", status.description)?;
                }
                if let Some(info) = &status.error_info {
                    write!(f, " (reason {}", info.reason)?;
                    for (key, value) in &info.metadata {
                        write!(f, ", {key}={value}")?;
                    }
                    write!(f, ")")?;
                }
                match status.code {
                    "UNAUTHENTICATED" => f.write_str(
                        "; no principal: is this client's root in the bundle and in the principal map, were the replicas restarted since, is the API key right?",
                    ),
                    "PERMISSION_DENIED" => {
                        f.write_str("; this client's principal may not do this: whose leaf is it?")
                    }
                    "UNIMPLEMENTED" => f.write_str(
                        "; this Kingdom does not serve it (the fake has neither accounts nor API keys to create)",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Broken { error, alert, own_fault } => {
                write!(f, "no answer: {error}")?;
                if let Some(alert) = alert {
                    write!(f, "; the server sent the TLS alert {alert}")?;
                }
                match own_fault {
                    Some(what) => write!(f, "; {what}: issue and install another leaf"),
                    None => f.write_str(
                        "; the Kingdom may have refused the client's certificate, which its events tell (`/v1/events`, then `halo-harness explain CODE`)",
                    ),
                }
            }
            Self::Malformed(what) => {
                write!(f, "the answer cannot be read: {what}; is a Kingdom at this address?")
            }
        }
    }
}

/// What a server will say against the validity period of a certificate.
fn out_of_date(certificate: &[u8], clock: &Clock) -> Option<String> {
    let facts = halo_pki::inspect(certificate).ok()?;
    let now = clock.now().to_date_time()?;
    if now > facts.not_after {
        Some(format!("expired at {}", shown_time(facts.not_after)))
    } else if now < facts.not_before {
        Some(format!("is not valid before {}", shown_time(facts.not_before)))
    } else {
        None
    }
}

impl From<CallError> for ToolError {
    fn from(error: CallError) -> Self {
        Self::Failed(error.to_string())
    }
}
