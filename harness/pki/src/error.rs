//! What can go wrong, whose fault it is and what to do next.

use thiserror::Error;

/// An authority or certificate that could not be made or loaded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The caller's spec asks for something a certificate cannot carry.
    #[error("the certificate spec cannot be written: {what}; correct the spec")]
    Spec {
        /// The field and why it does not fit.
        what: String,
    },
    /// A certificate and its private key do not belong together.
    #[error(
        "the private key is not the one of the certificate `{subject}`: give the key \
         that was made with that certificate"
    )]
    KeyMismatch {
        /// Subject of the certificate.
        subject: String,
    },
    /// The authority's certificate cannot serve as an issuer of the contract's recipe.
    #[error("the certificate `{subject}` cannot be loaded as an authority: {reason}")]
    NotAnAuthority {
        /// Subject of the certificate.
        subject: String,
        /// The rule it breaks and what would satisfy it.
        reason: &'static str,
    },
    /// The crypto library refused to sign: a fault of this program or of its environment.
    #[error("the crypto library failed to sign with a valid P-256 key: a defect here, report it")]
    Signing,
    /// The private key given does not serve.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate given cannot be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The PEM text given cannot be read.
    #[error(transparent)]
    Pem(#[from] PemError),
}

/// A private key that is not an unencrypted PKCS#8 P-256 key. Never shows the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the private key is not an unencrypted PKCS#8 key on P-256 ({reason}): convert it with \
     `openssl pkcs8 -topk8 -nocrypt`, or make a P-256 key"
)]
pub struct KeyError {
    /// The crypto library's own word for it.
    pub reason: String,
}

/// Bytes that are not one X.509 certificate in DER.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// No bytes at all.
    #[error("the certificate is empty: whoever supplied it sent no bytes")]
    Empty,
    /// The bytes are PEM text.
    #[error("the certificate is PEM text where DER is wanted: decode it first")]
    Pem,
    /// The outer element announces more bytes than there are.
    #[error(
        "the certificate is cut short: it announces {announced} bytes and has {present}; the \
         supplier lost its end"
    )]
    Truncated {
        /// Bytes the outer element says it has, header included.
        announced: usize,
        /// Bytes there are.
        present: usize,
    },
    /// There is a certificate, and then something else.
    #[error("{count} bytes follow the certificate: the supplier must send the certificate alone")]
    TrailingBytes {
        /// How many bytes follow.
        count: usize,
    },
    /// Not a certificate.
    #[error("the bytes are not an X.509 certificate ({what}): the supplier must send DER")]
    Malformed {
        /// What the parser stumbled over.
        what: String,
    },
}

/// PEM text that cannot be read. Lines count from 1. Never shows the content of a key block.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PemError {
    /// The text has no block of the wanted kind.
    #[error("no `-----BEGIN {label}-----` block in {lines} lines: is it the right file?")]
    NothingFound {
        /// The label looked for.
        label: &'static str,
        /// Lines read.
        lines: usize,
    },
    /// DER, or another binary encoding, where PEM text is wanted.
    #[error(
        "DER where PEM text is wanted: convert it, a certificate with `openssl x509 -inform DER -in \
         FILE -out FILE.pem`"
    )]
    Der,
    /// A boundary shares its line with something else, as after joining files without a newline.
    #[error(
        "line {line}: a BEGIN or END boundary does not stand alone on its line; a newline is \
         missing where two files were joined, end every file with one"
    )]
    BoundaryNotAlone {
        /// Where.
        line: usize,
    },
    /// A block of another kind.
    #[error("line {line}: a `{label}` block where only `{wanted}` blocks belong: take it out")]
    UnexpectedBlock {
        /// Where it begins.
        line: usize,
        /// Its label.
        label: String,
        /// The label that belongs there.
        wanted: &'static str,
    },
    /// An END boundary without its BEGIN, or with another label.
    #[error("line {line}: an END boundary that closes no open block: the block's start is lost")]
    StrayEnd {
        /// Where.
        line: usize,
    },
    /// A block that is not closed before the next one begins or the text ends.
    #[error("line {line}: the block that begins here is never closed: its end is lost")]
    Unterminated {
        /// Where the block begins.
        line: usize,
    },
    /// A line inside a block that is not base64.
    #[error("line {line}: not base64: the block is damaged, copy the file anew")]
    NotBase64 {
        /// Where; the block's BEGIN line when its lines are sound but do not fit together.
        line: usize,
    },
    /// A block without content.
    #[error("line {line}: the block that begins here is empty")]
    EmptyBlock {
        /// Where the block begins.
        line: usize,
    },
    /// The first line with text is not the boundary of an unencrypted PKCS#8 key.
    #[error(
        "line {line}: the first line that is not blank must be exactly `-----BEGIN PRIVATE \
         KEY-----` (unencrypted PKCS#8) but is {found}: take out what precedes the key, or convert \
         it with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    KeyFirstLine {
        /// Where.
        line: usize,
        /// A boundary as it stands, or "other text": never the text, which may be key material.
        found: String,
    },
}

/// An entry that keeps a trust bundle from being loaded (contract 2.11).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("trust bundle entry {entry} (`{subject}`) is refused: {reason}")]
pub struct BundleError {
    /// Position in the bundle, from 1.
    pub entry: usize,
    /// Its subject, or a stand-in when the entry cannot be read.
    pub subject: String,
    /// The rule it breaks.
    pub reason: BundleReason,
}

/// The rule of contract 2.11 that an entry of a trust bundle breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleReason {
    /// It is not a certificate.
    #[error("{0}")]
    Unreadable(InspectError),
    /// An extension stands there twice, so the certificate factory does not parse it (2.15).
    #[error("extension {oid} appears more than once; have the root issued anew")]
    DuplicateExtension {
        /// The extension, in dotted form.
        oid: String,
    },
    /// No subject key identifier.
    #[error("it has no subject key identifier; have the root issued anew with one")]
    NoSubjectKeyIdentifier,
    /// A subject key identifier that is not an octet string.
    #[error("its subject key identifier is not an octet string; have the root issued anew")]
    MalformedSubjectKeyIdentifier,
    /// An authority key identifier that names another key.
    #[error(
        "it is not a root: its authority key identifier {akid} is not its subject key identifier \
         {skid}; put the root itself into the bundle, intermediates are not supported"
    )]
    NotARoot {
        /// Authority key identifier, lower hex.
        akid: String,
        /// Subject key identifier, lower hex.
        skid: String,
    },
}
