//! Files as the real tools read and write them (contract 4.6).

use super::ToolError;
use crate::quirk::{PeerQuirk, PeerQuirks};
use fake_kingdom::sandbox;
use halo_consent::SigningKey;
use std::fmt::Display;
use std::path::Path;

/// Reads a file whole.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ToolError> {
    std::fs::read(path).map_err(|error| wrong(path, error))
}

/// The DER of a certificate file, PEM or DER; of several in PEM the first (contract 4.1.3 d, 4.6.3).
pub(super) fn read_certificate(path: &Path) -> Result<Vec<u8>, ToolError> {
    certificate_in(&read(path)?).map_err(|what| wrong(path, what))
}

/// The first certificate of a file that has to be PEM (contract 4.0.6, 4.6.3).
pub(super) fn read_pem_certificate(path: &Path) -> Result<Vec<u8>, ToolError> {
    let content = read(path)?;
    halo_pki::pem_certificates(&content).map_err(|error| wrong(path, error))?;
    certificate_in(&content).map_err(|what| wrong(path, what))
}

/// As [`read_certificate`], of the file's content.
pub(super) fn certificate_in(content: &[u8]) -> Result<Vec<u8>, String> {
    let der = if is_pem(content) {
        let all = halo_pki::pem_certificates(content).map_err(|error| error.to_string())?;
        all.into_iter().next().unwrap_or_default()
    } else {
        content.to_vec()
    };
    let facts = halo_pki::inspect(&der).map_err(|error| error.to_string())?;
    match facts.duplicate_extensions.first() {
        // The JVM does not parse such a certificate (contract 2.15).
        Some(oid) => {
            Err(format!("extension {oid} appears twice; have the certificate issued anew"))
        }
        None => Ok(der),
    }
}

/// Whether a file is PEM text rather than DER.
pub(super) fn is_pem(content: &[u8]) -> bool {
    content.windows(11).any(|window| window == b"-----BEGIN ")
}

/// A PEM private key, as PKCS#8 DER (contract 4.6.1).
pub(super) fn read_pem_key(path: &Path, quirks: &PeerQuirks) -> Result<Vec<u8>, ToolError> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| wrong(path, "not PEM text; convert the key with `openssl pkcs8 -topk8`"))?;
    if quirks.faithful(PeerQuirk::PemKeyFirstLine) {
        halo_pki::pem_private_key(&text)
    } else {
        halo_pki::pem_private_key_skipping_leading_text(&text)
    }
    .map_err(|error| wrong(path, error))
}

/// A signing key in PKCS#8 DER, read with the certificate's key algorithm: one of another type
/// fails, another one of the same type does not (contract 4.2.5, 4.6.2, 4.6.4).
pub(super) fn read_signing_key(path: &Path, certificate: &[u8]) -> Result<SigningKey, ToolError> {
    let content = read(path)?;
    if is_pem(&content) {
        return Err(wrong(
            path,
            "PEM text where PKCS#8 DER is wanted; convert it with `openssl pkcs8 -topk8 -nocrypt -outform DER`",
        ));
    }
    let key = SigningKey::from_pkcs8_der(&content).map_err(|error| wrong(path, error))?;
    let wanted = halo_consent::certificate_key_type(certificate)
        .map_err(|error| ToolError::failed(format!("the certificate cannot be used: {error}")))?;
    if key.key_type() != wanted {
        return Err(wrong(
            path,
            format!(
                "a key of type {}, but the certificate's key is of type {wanted}; give the certificate's own key",
                key.key_type()
            ),
        ));
    }
    Ok(key)
}

/// Writes a file whole; one that holds a private key is readable by its owner only.
pub(super) fn write(path: &Path, content: &[u8], secret: bool) -> Result<(), ToolError> {
    sandbox::write_file(path, content, secret).map_err(|error| ToolError::Failed(error.to_string()))
}

/// As [`write()`], but never over a file that is there.
pub(super) fn write_new(path: &Path, content: &[u8], secret: bool) -> Result<(), ToolError> {
    if path.exists() {
        return Err(wrong(path, "is there already and is not overwritten; choose another name"));
    }
    write(path, content, secret)
}

/// A file is not what it should be.
pub(super) fn wrong(path: &Path, what: impl Display) -> ToolError {
    ToolError::Failed(format!("{}: {what}", path.display()))
}
