//! The real servers' files (contract 2.9 to 2.11, 2.16, 1.0.9, 4.6): where they come from, and what
//! they say. A replica reads them all when it starts.

use crate::authn::PrincipalLookup;
use crate::limiter::{Limit, LimitSet, LimiterSettings};
use crate::memo::{self, Memo};
use crate::model::Timestamp;
use crate::quirk::{Quirk, Quirks};
use crate::settings::{Duchies, DuchyEntry};
use crate::tls;
use halo_pki::TrustEntry;
use kingdom_proto::config as pb;
use miette::Diagnostic as _;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// One of the files that the real servers are started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `--tls-cert-file`: only its first certificate is used (contract 2.11).
    TlsCert,
    /// `--tls-key-file`
    TlsKey,
    /// `--cert-collection-file`: trust of the public and system listeners.
    CertCollection,
    /// `--operator-cert-collection-file`: trust of the operator listener.
    OperatorCertCollection,
    /// `--authority-key-identifier-to-principal-map-file`
    PrincipalMap,
    /// `--duchy-info-config`
    DuchyInfo,
    /// `--duchy-id-config`
    DuchyIds,
    /// `--rate-limit-config-file`, the only optional one
    RateLimit,
}

impl Role {
    /// Every file that a replica reads.
    pub const ALL: [Self; 8] = [
        Self::TlsCert,
        Self::TlsKey,
        Self::CertCollection,
        Self::OperatorCertCollection,
        Self::PrincipalMap,
        Self::DuchyInfo,
        Self::DuchyIds,
        Self::RateLimit,
    ];

    /// The flag that names the file.
    pub fn flag(self) -> &'static str {
        match self {
            Self::TlsCert => "--tls-cert-file",
            Self::TlsKey => "--tls-key-file",
            Self::CertCollection => "--cert-collection-file",
            Self::OperatorCertCollection => "--operator-cert-collection-file",
            Self::PrincipalMap => "--authority-key-identifier-to-principal-map-file",
            Self::DuchyInfo => "--duchy-info-config",
            Self::DuchyIds => "--duchy-id-config",
            Self::RateLimit => "--rate-limit-config-file",
        }
    }
}

/// Where the files come from.
#[derive(Clone, Debug)]
pub enum Files {
    /// Real files; read again whenever a replica starts.
    Disk(BTreeMap<Role, PathBuf>),
    /// Contents in memory, which a scenario may change.
    Memory(MemoryFiles),
}

/// Files in memory. Cloning shares the contents.
#[derive(Clone, Default)]
pub struct MemoryFiles(Arc<RwLock<BTreeMap<Role, Vec<u8>>>>);

impl MemoryFiles {
    /// Replaces one file whole.
    pub fn set(&self, role: Role, content: impl Into<Vec<u8>>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(role, content.into());
    }

    /// The present content of one file.
    pub fn get(&self, role: Role) -> Option<Vec<u8>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&role).cloned()
    }

    /// All files as they are now, apart from these.
    fn snapshot(&self) -> Self {
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self(Arc::new(RwLock::new(files)))
    }

    /// A digest of every file, and of `more`.
    fn digest(&self, more: &[u8]) -> [u8; 32] {
        let files = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let parts = files.iter().flat_map(|(role, content)| [role.flag().as_bytes(), content]);
        memo::digest([more].into_iter().chain(parts))
    }
}

impl fmt::Debug for MemoryFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryFiles")
    }
}

impl Files {
    /// Reads one file; `None` if no such file was given.
    fn read(&self, role: Role) -> Result<Option<Vec<u8>>, FileError> {
        match self {
            Self::Disk(paths) => paths
                .get(&role)
                .map(|path| std::fs::read(path).map_err(|error| self.unreadable(role, &error)))
                .transpose(),
            Self::Memory(files) => Ok(files.get(role)),
        }
    }

    /// The present content of one file, if it can be read; for noticing a change.
    pub(crate) fn content(&self, role: Role) -> Option<Vec<u8>> {
        self.read(role).ok().flatten()
    }

    fn require(&self, role: Role) -> Result<Vec<u8>, FileError> {
        self.read(role)?.ok_or_else(|| self.error(role, None, "the file was not given".to_owned()))
    }

    fn text(&self, role: Role) -> Result<String, FileError> {
        String::from_utf8(self.require(role)?)
            .map_err(|error| self.error(role, None, format!("not UTF-8 text: {error}")))
    }

    fn unreadable(&self, role: Role, error: &io::Error) -> FileError {
        self.error(role, None, error.to_string())
    }

    fn error(&self, role: Role, place: Option<(usize, usize)>, what: String) -> FileError {
        let file = match self {
            Self::Disk(paths) => paths.get(&role).map(|path| path.display().to_string()),
            Self::Memory(_) => None,
        };
        FileError { role, file, place, what }
    }
}

/// A file that keeps a replica from starting: which one, where in it, and why.
#[derive(Debug)]
pub struct FileError {
    /// Which file.
    pub role: Role,
    /// Its path, if it has one.
    pub file: Option<String>,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.role.flag())?;
        if let Some(file) = &self.file {
            write!(f, " {file}")?;
        }
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for FileError {}

/// The contents of all files, checked.
pub struct Contents {
    /// The server's leaf, alone (contract 2.11).
    pub certificate_der: Vec<u8>,
    /// Its key, PKCS#8.
    pub key_der: Vec<u8>,
    /// Roots of the public and system listeners.
    pub trust: Vec<TrustEntry>,
    /// Roots of the operator listener.
    pub operator_trust: Vec<TrustEntry>,
    /// AKID to principal.
    pub lookup: PrincipalLookup,
    /// The Duchy set.
    pub duchies: Duchies,
    /// Rate limits; `None` = unlimited.
    pub limits: Option<LimiterSettings>,
}

impl Contents {
    /// Reads and checks every file.
    ///
    /// # Errors
    /// The first file that the real server would not start with.
    pub fn read(files: &Files, quirks: &Quirks) -> Result<Arc<Self>, FileError> {
        let drops_fraction = quirks.faithful(Quirk::RateLimiterDropsFraction);
        Self::once(files, &[1, u8::from(drops_fraction)], |files| Self::parse(files, quirks))
    }

    /// Reads and checks the files of a Duchy's own server (contract 5.1.4): leaf, key, bundle and
    /// its own map. It has no Duchy configuration of its own here, no operator and no limits.
    ///
    /// # Errors
    /// The first file that the real server would not start with.
    pub fn read_of_duchy(files: &Files) -> Result<Arc<Self>, FileError> {
        Self::once(files, &[0], Self::parse_of_duchy)
    }

    /// What `parse` makes of the files; of files in memory, which thousands of replicas of a run read,
    /// what it made of the same bytes before.
    fn once(
        files: &Files,
        how: &[u8],
        parse: impl Fn(&Files) -> Result<Self, FileError>,
    ) -> Result<Arc<Self>, FileError> {
        /// By what they were read from.
        static READ: Memo<[u8; 32], Arc<Contents>> = Memo::keeping(256);
        let Files::Memory(live) = files else { return parse(files).map(Arc::new) };
        // One look at all, so that what is kept is of the bytes it is kept for.
        let now = live.snapshot();
        READ.of(&now.digest(how), || parse(&Files::Memory(now.clone())).map(Arc::new))
    }

    fn parse_of_duchy(files: &Files) -> Result<Self, FileError> {
        let (certificate_der, key_der) = identity(files)?;
        let map = principal_map(files)?;
        Ok(Self {
            certificate_der,
            key_der,
            trust: trust(files, Role::CertCollection)?,
            operator_trust: Vec::new(),
            lookup: PrincipalLookup::new(map_entries(&map), []),
            duchies: Duchies::default(),
            limits: None,
        })
    }

    fn parse(files: &Files, quirks: &Quirks) -> Result<Self, FileError> {
        let (certificate_der, key_der) = identity(files)?;
        let map = principal_map(files)?;
        let duchy_info: pb::DuchyCertConfig =
            text_proto(files, Role::DuchyInfo, "wfa.measurement.config.DuchyCertConfig")?;
        if duchy_info.duchies.is_empty() {
            return Err(files.error(
                Role::DuchyInfo,
                None,
                "it lists no Duchy (contract 2.10)".to_owned(),
            ));
        }
        let duchy_ids: pb::DuchyIdConfig =
            text_proto(files, Role::DuchyIds, "wfa.measurement.config.DuchyIdConfig")?;

        Ok(Self {
            certificate_der,
            key_der,
            trust: trust(files, Role::CertCollection)?,
            operator_trust: trust(files, Role::OperatorCertCollection)?,
            lookup: PrincipalLookup::new(
                map_entries(&map),
                duchy_info
                    .duchies
                    .iter()
                    .map(|duchy| (duchy.duchy_id.as_str(), duchy.root_certificate_skid.as_slice())),
            ),
            duchies: Duchies::new(duchy_ids.duchies.iter().map(|duchy| DuchyEntry {
                id: duchy.external_duchy_id.clone(),
                internal_id: duchy.internal_duchy_id,
                active_from:
                    duchy.active_start_time.as_ref().map(Timestamp::from_proto).unwrap_or_default(),
                active_until: duchy.active_end_time.as_ref().map(Timestamp::from_proto),
            })),
            limits: limits(files, quirks)?,
        })
    }
}

/// The leaf, alone (contract 2.11), and its key.
fn identity(files: &Files) -> Result<(Vec<u8>, Vec<u8>), FileError> {
    let certificates = halo_pki::pem_certificates(&files.require(Role::TlsCert)?)
        .map_err(|error| files.error(Role::TlsCert, None, error.to_string()))?;
    let certificate_der = certificates
        .into_iter()
        .next()
        .ok_or_else(|| files.error(Role::TlsCert, None, "no certificate in it".to_owned()))?;
    let key_der = halo_pki::pem_private_key(&files.text(Role::TlsKey)?)
        .map_err(|error| files.error(Role::TlsKey, None, error.to_string()))?;
    if tls::is_other_key(&certificate_der, &key_der) {
        let mut certificate = Role::TlsCert.flag().to_owned();
        if let Some(file) = files.error(Role::TlsCert, None, String::new()).file {
            certificate = format!("{certificate} {file}");
        }
        let what = format!("not the key of {certificate}; give the two files of one leaf");
        return Err(files.error(Role::TlsKey, None, what));
    }
    Ok((certificate_der, key_der))
}

fn principal_map(files: &Files) -> Result<pb::AuthorityKeyToPrincipalMap, FileError> {
    text_proto(files, Role::PrincipalMap, "wfa.measurement.config.AuthorityKeyToPrincipalMap")
}

fn map_entries(map: &pb::AuthorityKeyToPrincipalMap) -> impl Iterator<Item = (&[u8], &str)> {
    map.entries.iter().map(|entry| {
        (entry.authority_key_identifier.as_slice(), entry.principal_resource_name.as_str())
    })
}

/// Contract 2.11: every entry must have an SKID and be a root.
fn trust(files: &Files, role: Role) -> Result<Vec<TrustEntry>, FileError> {
    let ders = halo_pki::pem_certificates(&files.require(role)?)
        .map_err(|error| files.error(role, None, error.to_string()))?;
    halo_pki::trust_bundle(&ders).map_err(|error| files.error(role, None, error.to_string()))
}

/// Contract 1.0.9: no file = unlimited; a file without `rate_limit` does not start.
fn limits(files: &Files, quirks: &Quirks) -> Result<Option<LimiterSettings>, FileError> {
    let role = Role::RateLimit;
    if files.read(role)?.is_none() {
        return Ok(None);
    }
    let config: pb::RateLimitConfig =
        text_proto(files, role, "wfa.measurement.config.RateLimitConfig")?;
    let set = |limit: &pb::rate_limit_config::RateLimit| -> Result<LimitSet, FileError> {
        Ok(LimitSet {
            default: bucket(files, limit.default_rate_limit.as_ref())?,
            per_method: limit
                .per_method_rate_limit
                .iter()
                .map(|(method, limit)| Ok((method.clone(), bucket(files, Some(limit))?)))
                .collect::<Result<_, FileError>>()?,
        })
    };
    let base = config.rate_limit.as_ref().ok_or_else(|| {
        files.error(role, None, "`rate_limit` is not set (contract 1.0.9)".to_owned())
    })?;
    Ok(Some(LimiterSettings {
        base: set(base)?,
        overrides: config
            .principal_rate_limit_override
            .iter()
            .map(|(akid, limit)| Ok((akid.clone(), set(limit)?)))
            .collect::<Result<_, FileError>>()?,
        drops_fraction: quirks.faithful(Quirk::RateLimiterDropsFraction),
    }))
}

fn bucket(
    files: &Files,
    limit: Option<&pb::rate_limit_config::MethodRateLimit>,
) -> Result<Limit, FileError> {
    let limit = limit.copied().unwrap_or_default();
    let rate = limit.average_request_rate;
    if limit.maximum_request_count > 0 && !(rate.is_finite() && rate > 0.0) {
        let what =
            "a positive `maximum_request_count` needs a positive, finite `average_request_rate`";
        return Err(files.error(Role::RateLimit, None, what.to_owned()));
    }
    Ok(Limit {
        maximum_request_count: limit.maximum_request_count,
        average_request_rate: limit.average_request_rate,
    })
}

/// Text protos are parsed strictly: an unknown field is a start-up error (contract 2.11).
fn text_proto<M: prost::Message + Default>(
    files: &Files,
    role: Role,
    full_name: &str,
) -> Result<M, FileError> {
    let text = files.text(role)?;
    parse_text_proto(&text, full_name).map_err(|error| files.error(role, error.place, error.what))
}

/// A text proto that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", .place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default())]
pub struct TextProtoError {
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
}

/// Parses a message of this project from its text form.
///
/// # Errors
/// Syntax errors, unknown fields and values out of range, with line and column.
pub fn parse_text_proto<M: prost::Message + Default>(
    text: &str,
    full_name: &str,
) -> Result<M, TextProtoError> {
    let plain = |what: String| TextProtoError { place: None, what };
    let descriptor = descriptor_pool()
        .get_message_by_name(full_name)
        .ok_or_else(|| plain(format!("no message is named {full_name}")))?;
    let message = parse_lenient(descriptor, text)?;
    M::decode(message.encode_to_vec().as_slice()).map_err(|error| plain(error.to_string()))
}

/// Text format lets the colon before a list of messages out, as before a single one; prost-reflect
/// knows the second only. So it is put where the parser misses it.
fn parse_lenient(
    descriptor: prost_reflect::MessageDescriptor,
    text: &str,
) -> Result<DynamicMessage, TextProtoError> {
    let mut completed = text.to_owned();
    let mut put: Vec<usize> = Vec::new();
    loop {
        let error = match DynamicMessage::parse_text_format(descriptor.clone(), &completed) {
            Ok(message) => return Ok(message),
            Err(error) => error,
        };
        let what = error.to_string();
        let offset =
            error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        match offset {
            Some(at)
                if what == "expected ':' or a message value, but found '['"
                    && completed.get(at..).is_some_and(|rest| rest.starts_with('[')) =>
            {
                completed.insert(at, ':');
                put.push(at);
            }
            _ => {
                // What has no place of its own is the end of the text: something is missing there.
                let at = offset.unwrap_or(completed.len());
                let added = put.iter().filter(|&&one| one < at).count();
                let place = Some(line_and_column(text, at - added));
                return Err(TextProtoError { place, what });
            }
        }
    }
}

/// The descriptors of all our messages, decoded once.
pub(crate) fn descriptor_pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(kingdom_proto::FILE_DESCRIPTOR_SET).unwrap_or_default()
    });
    &POOL
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "wfa.measurement.config.AuthorityKeyToPrincipalMap";

    fn parse(text: &str) -> Result<pb::AuthorityKeyToPrincipalMap, TextProtoError> {
        parse_text_proto(text, MAP)
    }

    #[test]
    fn files_in_memory_are_parsed_once_for_the_same_bytes_and_anew_for_others() {
        let seed = crate::seam::entropy::Seed::new(21);
        let sandbox = crate::sandbox::Sandbox::generate(seed, &[Timestamp::default()]).unwrap();
        let read = |files: &MemoryFiles, quirks: &Quirks| {
            Contents::read(&Files::Memory(files.clone()), quirks)
        };
        let faithful = Quirks::default();
        let files = sandbox.memory_files();
        let first = read(&files, &faithful).unwrap();
        assert!(Arc::ptr_eq(&first, &read(&sandbox.memory_files(), &faithful).unwrap()));

        let lenient = Quirks::default().inverted(Quirk::RateLimiterDropsFraction);
        assert!(!Arc::ptr_eq(&first, &read(&files, &lenient).unwrap()));
        let duchy = Contents::read_of_duchy(&Files::Memory(files.clone())).unwrap();
        assert!(duchy.operator_trust.is_empty() && !first.operator_trust.is_empty());

        let map = files.get(Role::PrincipalMap).unwrap();
        files.set(Role::PrincipalMap, Vec::new());
        let other = read(&files, &faithful).unwrap();
        assert!(first.lookup.entries().count() > other.lookup.entries().count());
        files.set(Role::PrincipalMap, b"entries {".to_vec());
        for _ in 0..2 {
            assert_eq!(read(&files, &faithful).err().unwrap().role, Role::PrincipalMap);
        }
        files.set(Role::PrincipalMap, map);
        assert!(Arc::ptr_eq(&first, &read(&files, &faithful).unwrap()));
    }

    #[test]
    fn a_list_of_messages_needs_no_colon() {
        let entry = |id: char| {
            format!(
                "{{ authority_key_identifier: \"{id}\" principal_resource_name: \"duchies/{id}\" }}"
            )
        };
        for text in [
            format!("entries [ {}, {} ]", entry('a'), entry('b')),
            format!("entries: [ {}, {} ]", entry('a'), entry('b')),
            format!("entries[{}]entries[{}]", entry('a'), entry('b')),
        ] {
            let map = parse(&text).expect("text format");
            assert_eq!(map.entries.len(), 2, "{text}");
        }
        let wrong = format!("entries [ {} ]\nentries [ {} ] nonsense: 1", entry('a'), entry('b'));
        let error = parse(&wrong).expect_err("an unknown field");
        let column = wrong.lines().nth(1).and_then(|line| line.find("nonsense")).expect("it") + 1;
        assert_eq!(error.place, Some((2, column)), "{}", error.what);
        assert!(parse("entries [ { ] }").is_err());
        assert!(parse("[ entries ]").is_err());
    }

    #[test]
    fn escapes_comments_several_entries_and_either_quoting_style_load() {
        let map = parse(
            "# comment\nentries {\n  authority_key_identifier: \"\\x90\\301a\\n\" # tail\n  \
             principal_resource_name: 'dataProviders/AAAAAAAAAZQ'\n}\nentries: { authority_key_identifier: '\\x01' \"\\x02\"; \
             principal_resource_name: \"duchies/worker1\" }",
        )
        .unwrap();
        assert_eq!(map.entries.len(), 2);
        assert_eq!(map.entries[0].authority_key_identifier, b"\x90\xc1a\n");
        assert_eq!(map.entries[1].authority_key_identifier, b"\x01\x02");
    }

    #[test]
    fn an_unknown_field_is_refused_with_line_and_column() {
        let error = parse("entries {\n  authority_key_id: \"a\"\n}").unwrap_err();
        assert_eq!(error.place, Some((2, 3)), "{error}");
    }

    #[test]
    fn a_broken_file_is_refused_with_line_and_column() {
        for (text, place) in [
            ("entries {\n  authority_key_identifier: \"\\xZZ\"\n}", (2, 29)),
            ("entries {\n  principal_resource_name: 7\n}", (2, 28)),
            ("entries {\n", (2, 1)),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.place.map(|place| place.0), Some(place.0), "{text}: {error}");
        }
    }
}
