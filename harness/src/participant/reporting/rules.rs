//! What Reporting answers: the create path and the result path of contract 3.13, as pure functions
//! over what was fetched so far.

use crate::participant::trust::{IssuerError, Untrusted, Verifier};
use crate::participant::wire::CallError;
use crate::participant::{Fetched, from_wire, public_key_of, to_wire, unpack};
use crate::quirk::PeerQuirk;
use halo_consent::{PrivateKeyset, VerifyError, open_signed};
use kingdom_proto::v2alpha as pb;
use pb::certificate::RevocationState;

/// A gRPC status that Reporting answers with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({clause}): {cause}")]
pub struct Answer {
    /// Name of the code.
    pub code: &'static str,
    /// Row, such as `3.13.1/c`.
    pub clause: &'static str,
    /// Why, in words.
    pub cause: String,
    /// The certificate it is about, by resource name; empty if it is about none.
    pub certificate: String,
}

/// Why a walk through the rows stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Fetch this DataProvider first.
    NeedDataProvider(String),
    /// Fetch this certificate first.
    NeedCertificate(String),
    /// The RPC ends with this.
    Answer(Answer),
}

impl Halt {
    fn answer(code: &'static str, clause: &'static str, cause: impl ToString) -> Self {
        let certificate = String::new();
        Self::Answer(Answer { code, clause, cause: cause.to_string(), certificate })
    }

    /// An answer is about this certificate.
    fn about(self, certificate: &str) -> Self {
        match self {
            Self::Answer(answer) => {
                Self::Answer(Answer { certificate: certificate.to_owned(), ..answer })
            }
            other => other,
        }
    }
}

const FAILED_PRECONDITION: &str = "FAILED_PRECONDITION";
const UNKNOWN: &str = "UNKNOWN";
const INTERNAL: &str = "INTERNAL";

/// The create path for one provider, rows a to e of 3.13.1: the provider whose key may be used.
///
/// # Errors
/// [`Halt`].
pub fn usable_provider(
    name: &str,
    data_providers: &Fetched<pb::DataProvider>,
    certificates: &Fetched<pb::Certificate>,
    verifier: &Verifier<'_>,
) -> Result<pb::DataProvider, Halt> {
    let provider = match data_providers.get(name) {
        None => return Err(Halt::NeedDataProvider(name.to_owned())),
        Some(Ok(provider)) => provider,
        Some(Err(error)) => {
            let code = if error.code == "NOT_FOUND" { FAILED_PRECONDITION } else { UNKNOWN };
            return Err(Halt::answer(code, "3.13.1/a", error));
        }
    };
    check_key(provider, certificates, verifier)
        .map_err(|halt| halt.about(&provider.certificate))?;
    Ok(provider.clone())
}

/// Rows b to e: all are about the certificate that the provider's key stands under.
fn check_key(
    provider: &pb::DataProvider,
    certificates: &Fetched<pb::Certificate>,
    verifier: &Verifier<'_>,
) -> Result<(), Halt> {
    let certificate = certificate(certificates, &provider.certificate, "3.13.1/b")?;
    check_state(certificate, "3.13.1/c")?;

    let leaf = certificate.x509_der.as_slice();
    let wrong = |error: Untrusted| {
        let (code, clause) = match &error {
            Untrusted::Issuer(IssuerError::NoAkid | IssuerError::Unreadable) => {
                (UNKNOWN, "3.13.1/d")
            }
            _ if error.is_exception(&verifier.quirks) => (UNKNOWN, "3.13.1/e"),
            _ => (FAILED_PRECONDITION, "3.13.1/e"),
        };
        Halt::answer(code, clause, format!("{}: {error}", certificate.name))
    };
    let issuer = verifier.issuer(leaf, &certificate.name).map_err(|error| wrong(error.into()))?;
    verifier.path(leaf, issuer).map_err(|error| wrong(error.into()))?;
    let signed = provider.public_key.clone().unwrap_or_default();
    from_wire(&signed).verify(leaf).map_err(|error| wrong(error.into()))
}

/// The result path for one result, rows a to e of 3.13.2.
///
/// # Errors
/// [`Halt`]; one bad result fails the whole RPC.
pub fn readable_result(
    measurement: &pb::Measurement,
    output: &pb::measurement::ResultOutput,
    keys: &[PrivateKeyset],
    certificates: &Fetched<pb::Certificate>,
    verifier: &Verifier<'_>,
) -> Result<pb::measurement::Result, Halt> {
    let read = checked_result(measurement, output, keys, certificates, verifier);
    read.map_err(|halt| halt.about(&output.certificate))
}

fn checked_result(
    measurement: &pb::Measurement,
    output: &pb::measurement::ResultOutput,
    keys: &[PrivateKeyset],
    certificates: &Fetched<pb::Certificate>,
    verifier: &Verifier<'_>,
) -> Result<pb::measurement::Result, Halt> {
    let signed_spec = measurement.measurement_spec.clone().unwrap_or_default();
    let wanted = unpack::<pb::MeasurementSpec>(signed_spec.message.as_ref())
        .ok()
        .and_then(|spec| spec.measurement_public_key)
        .map(|key| key.value);
    let keyset = keys
        .iter()
        .find(|keyset| Some(public_key_of(keyset).value) == wanted)
        .ok_or_else(|| {
            let cause = "no private key belongs to the measurement's public key";
            Halt::answer(FAILED_PRECONDITION, "3.13.2/a", cause)
        })?;
    let certificate = certificate(certificates, &output.certificate, "3.13.2/b")?;

    let sealed = output.encrypted_result.clone().unwrap_or_default();
    let opened = open_signed(keyset, &sealed.ciphertext, &sealed.type_url)
        .map_err(|error| Halt::answer(UNKNOWN, "3.13.2/c", error))?;
    check_state(certificate, "3.13.2/d")?;

    let leaf = certificate.x509_der.as_slice();
    let wrong = |error: Untrusted| {
        let is_oid = matches!(
            error,
            Untrusted::Signature(
                VerifyError::UnsupportedOid { .. } | VerifyError::KeyTypeMismatch { .. }
            )
        );
        let is_unknown = verifier.quirks.faithful(PeerQuirk::UntrustedResultIsUnknown)
            || (is_oid && error.is_exception(&verifier.quirks));
        let code = if is_unknown { UNKNOWN } else { FAILED_PRECONDITION };
        Halt::answer(code, "3.13.2/e", format!("{}: {error}", certificate.name))
    };
    let issuer = verifier.issuer(leaf, &certificate.name).map_err(|error| wrong(error.into()))?;
    verifier.path(leaf, issuer).map_err(|error| wrong(error.into()))?;
    opened.verify(leaf).map_err(|error| wrong(error.into()))?;
    unpack(to_wire(opened).message.as_ref()).map_err(|why| Halt::answer(UNKNOWN, "3.5.4", why))
}

/// What the Kingdom's answer to the batch create becomes (3.13.1): the code for four of them, with a
/// text of Reporting's own; otherwise UNKNOWN.
pub fn passed_on(error: &CallError) -> Answer {
    let code = match error.code {
        "INVALID_ARGUMENT" | "PERMISSION_DENIED" | "FAILED_PRECONDITION" | "NOT_FOUND" => {
            error.code
        }
        _ => UNKNOWN,
    };
    Answer {
        code,
        clause: "3.13.1",
        cause: "the Kingdom did not create the measurement".to_owned(),
        certificate: String::new(),
    }
}

fn certificate<'a>(
    fetched: &'a Fetched<pb::Certificate>,
    name: &str,
    clause: &'static str,
) -> Result<&'a pb::Certificate, Halt> {
    match fetched.get(name) {
        None => Err(Halt::NeedCertificate(name.to_owned())),
        Some(Ok(certificate)) => Ok(certificate),
        Some(Err(error)) => {
            let code = if error.code == "NOT_FOUND" { FAILED_PRECONDITION } else { INTERNAL };
            Err(Halt::answer(code, clause, format!("{name}: {error}")))
        }
    }
}

fn check_state(certificate: &pb::Certificate, clause: &'static str) -> Result<(), Halt> {
    match certificate.revocation_state() {
        RevocationState::Unspecified => Ok(()),
        state => {
            let cause = format!("{} is {}", certificate.name, state.as_str_name());
            Err(Halt::answer(FAILED_PRECONDITION, clause, cause))
        }
    }
}
