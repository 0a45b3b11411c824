//! PEM text: writing, and reading with the line number of what is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::PemError;

pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Octets per line of base64, as OpenSSL writes it.
const LINE: usize = 48;

/// One certificate as PEM, ending in a newline, so that files of it can be joined as they are.
pub fn certificate_pem(der: &[u8]) -> String {
    encode(CERTIFICATE, der)
}

/// The certificates of all `CERTIFICATE` blocks, in order. Only the PEM shell is looked at; what
/// is inside is [`inspect`](crate::inspect)'s matter.
///
/// Text before, between and after blocks is skipped (contract 4.6.3), lines may end in CR LF.
///
/// # Errors
///
/// [`PemError`] with the line: a boundary that shares its line with anything, as when a newline
/// is missing between two joined roots (contract 5.3.1); a block of another kind, never closed,
/// empty or damaged; no block at all, or DER.
pub fn pem_certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let mut found = Vec::new();
    let mut reader = Reader::new(text);
    while let Some((line, label)) = reader.next_begin()? {
        if label != CERTIFICATE {
            return Err(PemError::UnexpectedBlock { line, label, wanted: CERTIFICATE });
        }
        found.push(reader.block(line, &label)?);
    }
    if found.is_empty() {
        // An ASN.1 SEQUENCE: a file in the other encoding.
        if text.first() == Some(&0x30) && std::str::from_utf8(text).is_err() {
            return Err(PemError::Der);
        }
        return Err(PemError::NothingFound { label: CERTIFICATE, lines: reader.line });
    }
    Ok(found)
}

/// The PKCS#8 DER of a private key, read as strictly as the Kingdom's components read theirs: the
/// first line that is not blank must be exactly `-----BEGIN PRIVATE KEY-----` (contract 4.6.1,
/// the faithful reading of quirk `pem-key-first-line`). What follows the block is not looked at.
///
/// # Errors
///
/// [`PemError::KeyFirstLine`] for anything else in front, [`PemError::NothingFound`] for blank
/// text, and the others for a damaged block.
pub fn pem_private_key(text: &str) -> Result<Vec<u8>, PemError> {
    let mut reader = Reader::new(text.as_bytes());
    while let Some(content) = reader.next_line() {
        let content = String::from_utf8_lossy(content);
        if content.trim().is_empty() {
            continue;
        }
        let line = reader.line;
        if content != "-----BEGIN PRIVATE KEY-----" {
            return Err(PemError::KeyFirstLine { line, found: describe_first_line(&content) });
        }
        return reader.block(line, PRIVATE_KEY);
    }
    Err(PemError::NothingFound { label: PRIVATE_KEY, lines: reader.line })
}

/// The PKCS#8 DER of the first `PRIVATE KEY` block, whatever precedes it: the documented reading
/// of quirk `pem-key-first-line` (contract 4.6.1), under which leading comments and an
/// `EC PARAMETERS` block are skipped.
///
/// # Errors
///
/// [`PemError::NothingFound`] when there is no such block (an `EC PRIVATE KEY` or an encrypted
/// key is not one), and the others for a damaged block.
pub fn pem_private_key_skipping_leading_text(text: &str) -> Result<Vec<u8>, PemError> {
    let mut reader = Reader::new(text.as_bytes());
    while let Some(content) = reader.next_line() {
        if let Some(Boundary::Begin(PRIVATE_KEY)) = reader.boundary(content)? {
            return reader.block(reader.line, PRIVATE_KEY);
        }
    }
    Err(PemError::NothingFound { label: PRIVATE_KEY, lines: reader.line })
}

pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(LINE) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Whether the text looks like PEM rather than DER.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    contains(bytes, b"-----BEGIN ")
}

/// A line that begins and ends as a boundary is shown, anything else may be part of a key.
fn describe_first_line(line: &str) -> String {
    let line = line.trim();
    if line.starts_with("-----") && line.ends_with("-----") && line.len() <= 80 {
        format!("`{line}`, perhaps with spaces around it")
    } else {
        "other text".to_owned()
    }
}

struct Reader<'a> {
    rest: Option<&'a [u8]>,
    /// Number of the line last read, from 1.
    line: usize,
}

enum Boundary<'a> {
    Begin(&'a str),
    End(&'a str),
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { rest: Some(text).filter(|text| !text.is_empty()), line: 0 }
    }

    /// The next line without its end, CR included.
    fn next_line(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        self.line += 1;
        let line = match rest.iter().position(|octet| *octet == b'\n') {
            Some(end) => {
                self.rest = Some(&rest[end + 1..]).filter(|rest| !rest.is_empty());
                &rest[..end]
            }
            None => {
                self.rest = None;
                rest
            }
        };
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Skips to the next BEGIN boundary; `None` at the end of the text.
    fn next_begin(&mut self) -> Result<Option<(usize, String)>, PemError> {
        while let Some(content) = self.next_line() {
            match self.boundary(content)? {
                Some(Boundary::Begin(label)) => return Ok(Some((self.line, label.to_owned()))),
                Some(Boundary::End(_)) => return Err(PemError::StrayEnd { line: self.line }),
                None => {}
            }
        }
        Ok(None)
    }

    /// Reads the rest of a block that began at line `begin`.
    fn block(&mut self, begin: usize, wanted: &str) -> Result<Vec<u8>, PemError> {
        let mut base64 = Vec::new();
        while let Some(content) = self.next_line() {
            match self.boundary(content)? {
                Some(Boundary::Begin(_)) => return Err(PemError::Unterminated { line: begin }),
                Some(Boundary::End(label)) if label == wanted => {
                    let der =
                        STANDARD.decode(&base64).or(Err(PemError::NotBase64 { line: begin }))?;
                    if der.is_empty() {
                        return Err(PemError::EmptyBlock { line: begin });
                    }
                    return Ok(der);
                }
                Some(Boundary::End(_)) => return Err(PemError::StrayEnd { line: self.line }),
                None => {
                    let content = content.trim_ascii();
                    let sound = |octet: &u8| {
                        octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=')
                    };
                    if !content.iter().all(sound) {
                        return Err(PemError::NotBase64 { line: self.line });
                    }
                    base64.extend_from_slice(content);
                }
            }
        }
        Err(PemError::Unterminated { line: begin })
    }

    /// The boundary this line is, if any; trailing white space is forgiven.
    fn boundary(&self, line: &'a [u8]) -> Result<Option<Boundary<'a>>, PemError> {
        if !contains(line, b"-----BEGIN ") && !contains(line, b"-----END ") {
            return Ok(None);
        }
        let alone = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.trim_end().strip_prefix("-----"))
            .and_then(|line| line.strip_suffix("-----"))
            .filter(|line| !line.contains('-'))
            .ok_or(PemError::BoundaryNotAlone { line: self.line })?;
        match (alone.strip_prefix("BEGIN "), alone.strip_prefix("END ")) {
            (Some(label), _) => Ok(Some(Boundary::Begin(label))),
            (_, Some(label)) => Ok(Some(Boundary::End(label))),
            _ => Err(PemError::BoundaryNotAlone { line: self.line }),
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
