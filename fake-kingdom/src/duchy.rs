//! A Duchy's own server for providers, `RequisitionFulfillment` (contract 1.7.14, 1.7.15): the rules,
//! pure, and the Duchy's own store of fulfilments.
//!
//! A real Duchy learns of computations from the system API and keeps them in a store of its own.
//! Here it looks them up in the Kingdom's state at each call; everything else, the call to the
//! Kingdom's system API included, goes its real way.

use crate::authn::Principal;
use crate::cause::Cause;
use crate::error::{Code, Refusal};
use crate::model::protocol::Protocol;
use crate::model::requisition::Requisition;
use crate::model::{Read, measurement};
use crate::public::{Answer, Caller, bad_shape, decode_id, require_owner};
use kingdom_proto::{name, system, v2alpha as pb};
use pb::fulfill_requisition_request::Header;
use pb::fulfill_requisition_request::header::trus_tee::DataFormat;
use pb::fulfill_requisition_request::header::{
    HonestMajorityShareShuffle, Protocol as Sent, TrusTee,
};
use prost::Message as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A requisition that a provider may fulfil at this Duchy: what the checks before the body found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    key: (i64, i64),
    computation: i64,
    nonce: u64,
}

/// The checks of a first message up to the body, in the order of 1.7.14.
///
/// # Errors
/// INVALID_ARGUMENT without a message, name or nonce; UNAUTHENTICATED or PERMISSION_DENIED of
/// 1.7.15; NOT_FOUND for an unknown requisition or another fingerprint, which is part of the
/// look-up's key; FAILED_PRECONDITION for a nonce that is not the requisition's.
pub fn check_header(
    read: &Read<'_>,
    duchy: &Arc<str>,
    caller: Caller<'_>,
    first: Option<&pb::FulfillRequisitionRequest>,
) -> Answer<Known> {
    use pb::fulfill_requisition_request::Payload;
    let first = first.ok_or_else(|| Refusal::invalid_argument("The stream is empty"))?;
    let header = match &first.payload {
        Some(Payload::Header(header)) => header,
        _ => return Err(bad_shape("name")),
    };
    let name = name::RequisitionName::parse(&header.name).ok_or_else(|| bad_shape("name"))?;
    if header.nonce == 0 {
        return Err(Refusal::invalid_argument("nonce is not set"));
    }
    require_owner(caller, &name::DataProviderName::new(&name.data_provider).to_string())?;
    let key = (decode_id(read, &name.data_provider)?, decode_id(read, &name.requisition)?);
    let (row, spec, computation) = look_up(read, duchy, key, &header.requisition_fingerprint)
        .ok_or_else(|| Refusal::new(Code::NotFound, "Requisition not found"))?;
    let hash = Sha256::digest(header.nonce.to_be_bytes());
    let hash = hash.as_slice();
    if hash != &*row.nonce_hash || !spec.nonce_hashes.iter().any(|listed| listed == hash) {
        return Err(Refusal::new(Code::FailedPrecondition, "Nonce does not match"));
    }
    Ok(Known { key, computation, nonce: header.nonce })
}

/// The requisition under its id and fingerprint, if this Duchy takes part in its computation.
fn look_up<'a>(
    read: &Read<'a>,
    duchy: &Arc<str>,
    key: (i64, i64),
    fingerprint: &[u8],
) -> Option<(&'a Requisition, pb::MeasurementSpec, i64)> {
    let row = read.tables.requisitions.get(&key)?;
    let measurement = measurement::find(read.tables, row.measurement_key()).ok()?;
    let computation = measurement.computation?;
    read.tables.participants.get(&(computation, duchy.clone()))?;
    let spec = &measurement.spec.message;
    if halo_consent::requisition_fingerprint(spec, &row.encrypted_requisition_spec) != *fingerprint
    {
        return None;
    }
    Some((row, pb::MeasurementSpec::decode(spec.as_ref()).ok()?, computation))
}

/// The protocol's part of the header, which is looked at only after the body is stored (1.7.14).
///
/// # Errors
/// INVALID_ARGUMENT.
pub fn check_protocol(
    read: &Read<'_>,
    duchy: &Arc<str>,
    known: &Known,
    header: &Header,
) -> Answer<()> {
    let invalid = |what: &str| Err(Refusal::invalid_argument(what));
    let row = read.tables.requisitions.get(&known.key);
    let measurement =
        row.and_then(|row| measurement::find(read.tables, row.measurement_key()).ok());
    let (Some(row), Some(measurement)) = (row, measurement) else {
        return Err(Refusal::new(Code::NotFound, "Requisition not found"));
    };
    match (&measurement.protocol, &header.protocol) {
        (Protocol::HonestMajorityShareShuffle(_), Some(Sent::HonestMajorityShareShuffle(sent))) => {
            check_share_shuffle(sent)?;
            if row.fulfilling_duchy.as_ref() != Some(duchy) {
                return invalid("This Duchy does not fulfil this requisition");
            }
            Ok(())
        }
        (Protocol::HonestMajorityShareShuffle(_), _) => {
            invalid("honest_majority_share_shuffle is not set")
        }
        (Protocol::TrusTee(_), Some(Sent::TrusTee(sent))) => check_trus_tee(sent),
        (Protocol::TrusTee(_), _) => invalid("trus_tee is not set"),
        _ => Ok(()),
    }
}

fn check_share_shuffle(sent: &HonestMajorityShareShuffle) -> Answer<()> {
    let seed = sent.secret_seed.as_ref().is_some_and(|seed| !seed.ciphertext.is_empty());
    if !seed {
        return Err(Refusal::invalid_argument("secret_seed is not set"));
    }
    if sent.data_provider_certificate.trim().is_empty() {
        return Err(Refusal::invalid_argument("data_provider_certificate is not set"));
    }
    Ok(())
}

fn check_trus_tee(sent: &TrusTee) -> Answer<()> {
    let known_key = || {
        let envelope = sent.envelope_encryption.as_ref();
        let key = envelope.and_then(|envelope| envelope.encrypted_dek.as_ref());
        key.is_some_and(|key| key.format == pb::encryption_key::Format::TinkEncryptedKeyset as i32)
    };
    match DataFormat::try_from(sent.data_format) {
        Ok(DataFormat::FrequencyVector) => Ok(()),
        Ok(DataFormat::EncryptedFrequencyVector) if known_key() => Ok(()),
        Ok(DataFormat::EncryptedFrequencyVector) => {
            Err(Refusal::invalid_argument("encrypted_dek has no known format"))
        }
        Ok(DataFormat::Unspecified) | Err(_) => {
            Err(Refusal::invalid_argument("data_format is not known"))
        }
    }
}

/// What this Duchy asks of the Kingdom once the body is there (1.7.14, last step).
pub fn kingdom_request(known: &Known, header: &Header) -> system::FulfillRequisitionRequest {
    let computation = crate::error::api_id(known.computation);
    let id = crate::error::api_id(known.key.1);
    system::FulfillRequisitionRequest {
        name: name::ComputationRequisitionName::new(computation, id).to_string(),
        nonce: known.nonce,
        fulfillment_context: header.fulfillment_context.as_ref().map(|context| {
            system::requisition::FulfillmentContext {
                build_label: context.build_label.clone(),
                warnings: context.warnings.clone(),
            }
        }),
        etag: header.etag.clone(),
    }
}

/// The principal on this server: the Duchy's own map alone counts (contract 1.7.15, 5.10).
///
/// # Errors
/// UNKNOWN for an AKID that the map does not have, by quirk `duchy-unmapped-akid-is-unknown`.
pub(crate) fn principal(mapped: Option<Principal>, faithful: bool) -> Answer<Option<Principal>> {
    match mapped {
        None if faithful => Err(Refusal::uncaught().because(Cause::PrincipalUnknown)),
        mapped => Ok(mapped),
    }
}

/// What a Duchy keeps of a fulfilment. The body is opaque: its size and hash stand for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fulfilment {
    /// The requisition's resource name.
    pub requisition: String,
    /// Bytes of the body.
    pub body_bytes: u64,
    /// SHA-256 of the body, lower-case hex.
    pub body_sha256: String,
    /// `data_provider_certificate` of an HMSS header: whom the shuffle phase will ask about
    /// (contract 3.12.4).
    pub data_provider_certificate: Option<String>,
    /// Ciphertext of the HMSS seed.
    #[serde(skip)]
    pub secret_seed: Option<pb::EncryptedMessage>,
    /// The nonce, which the confirmation phase compares (contract 3.12.3).
    #[serde(skip)]
    pub nonce: u64,
}

/// The bodies that one Duchy has stored, by requisition. Kept while the fake runs, over
/// restarts of the Duchy's server, but not in `--data-dir`.
#[derive(Debug, Default)]
pub struct Store {
    recorded: BTreeMap<(i64, i64), Fulfilment>,
}

impl Store {
    /// Whether the body is there already: a new one is then ignored, and only the call to the
    /// Kingdom repeated (1.7.14).
    pub fn has(&self, known: &Known) -> bool {
        self.recorded.contains_key(&known.key)
    }

    /// Records a fulfilment whose header passed the checks of [`check_header`]: its body is stored
    /// before the protocol's part is looked at.
    pub fn record(&mut self, known: &Known, header: &Header, body: Body) {
        let share_shuffle = match &header.protocol {
            Some(Sent::HonestMajorityShareShuffle(sent)) => Some(sent),
            _ => None,
        };
        let fulfilment = Fulfilment {
            requisition: header.name.clone(),
            body_bytes: body.bytes,
            body_sha256: hex::encode(body.hash.finalize()),
            data_provider_certificate: share_shuffle
                .map(|sent| sent.data_provider_certificate.clone()),
            secret_seed: share_shuffle.and_then(|sent| sent.secret_seed.clone()),
            nonce: known.nonce,
        };
        self.recorded.entry(known.key).or_insert(fulfilment);
    }

    /// All that is recorded, by provider and requisition.
    pub fn fulfilments(&self) -> impl Iterator<Item = &Fulfilment> {
        self.recorded.values()
    }
}

/// A body as it arrives, chunk by chunk.
#[derive(Clone, Default)]
pub struct Body {
    bytes: u64,
    hash: Sha256,
}

impl Body {
    /// Takes one more chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.hash.update(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{DP1, DP2, Kingdom, provider, put_spec, reach, request, said};
    use crate::model::measurement::MeasurementKey;
    use crate::quirk::Quirk;
    use pb::fulfill_requisition_request::{BodyChunk, Payload};

    const NONCE: u64 = 42;
    const INVALID: (Code, Option<&str>) = (Code::InvalidArgument, None);
    const NOT_FOUND: (Code, Option<&str>) = (Code::NotFound, None);

    /// An MPC measurement of both providers whose nonces are [`NONCE`] and one more.
    fn create(kingdom: &mut Kingdom) -> MeasurementKey {
        let mut request = request(&[DP1, DP2], reach());
        let hashes: Vec<Vec<u8>> =
            (NONCE..NONCE + 2).map(|n| Sha256::digest(n.to_be_bytes()).to_vec()).collect();
        let spec = pb::MeasurementSpec {
            nonce_hashes: hashes.clone(),
            ..crate::model::fixture::spec_for(2, reach())
        };
        put_spec(&mut request, &spec);
        let entries = &mut request.measurement.as_mut().unwrap().data_providers;
        for (entry, hash) in entries.iter_mut().zip(hashes) {
            entry.value.as_mut().unwrap().nonce_hash = hash;
        }
        kingdom.create(&request)
    }

    fn header(kingdom: &Kingdom, key: MeasurementKey) -> Header {
        let row = kingdom.requisition(key, DP1);
        let spec = &measurement::find(&kingdom.tables, key).unwrap().spec.message;
        Header {
            name: row.name(),
            requisition_fingerprint: halo_consent::requisition_fingerprint(
                spec,
                &row.encrypted_requisition_spec,
            )
            .to_vec(),
            nonce: NONCE,
            ..Header::default()
        }
    }

    fn first(header: Header) -> pb::FulfillRequisitionRequest {
        pb::FulfillRequisitionRequest { payload: Some(Payload::Header(header)) }
    }

    fn check(kingdom: &Kingdom, caller: i64, header: Header) -> Answer<Known> {
        let caller = provider(caller);
        check_header(&kingdom.read(), &"worker1".into(), Some(&caller), Some(&first(header)))
    }

    /// 1.7.14: each check before the next.
    #[test]
    fn a_header_is_checked_in_the_order_of_1_7_14() {
        let mut kingdom = Kingdom::new();
        let key = create(&mut kingdom);
        let good = header(&kingdom, key);
        let duchy: Arc<str> = "worker1".into();
        let stranger = provider(DP2);
        let answer = check_header(&kingdom.read(), &duchy, Some(&stranger), None);
        assert_eq!(said(answer), INVALID, "an empty stream");
        let body = Payload::BodyChunk(BodyChunk { data: b"x".to_vec() });
        let chunk = pb::FulfillRequisitionRequest { payload: Some(body) };
        let answer = check_header(&kingdom.read(), &duchy, Some(&stranger), Some(&chunk));
        assert_eq!(said(answer), INVALID, "a first message without header is a bad name");
        let cases = [
            ("name", DP2, Header { name: "x".to_owned(), nonce: 0, ..good.clone() }, INVALID),
            ("nonce", DP2, Header { nonce: 0, ..good.clone() }, INVALID),
            (
                "owner",
                DP2,
                Header { requisition_fingerprint: Vec::new(), ..good.clone() },
                (Code::PermissionDenied, None),
            ),
            (
                "id",
                DP1,
                Header { name: format!("{}/requisitions/x", provider(DP1)), ..good.clone() },
                (Code::Unknown, None),
            ),
            (
                "fingerprint",
                DP1,
                Header { requisition_fingerprint: vec![0; 32], nonce: 7, ..good.clone() },
                NOT_FOUND,
            ),
            (
                "nonce hash",
                DP1,
                Header { nonce: 7, ..good.clone() },
                (Code::FailedPrecondition, None),
            ),
        ];
        for (what, caller, header, expected) in cases {
            assert_eq!(said(check(&kingdom, caller, header)), expected, "{what}");
        }
        // Without a principal, only after name and nonce (1.7.15).
        let nameless = Header { name: "x".to_owned(), ..good.clone() };
        let answer = check_header(&kingdom.read(), &duchy, None, Some(&first(nameless)));
        assert_eq!(said(answer), INVALID);
        let answer = check_header(&kingdom.read(), &duchy, None, Some(&first(good.clone())));
        assert_eq!(said(answer), (Code::Unauthenticated, None));
        assert!(check(&kingdom, DP1, good).is_ok());
    }

    /// 1.7.14: the other provider's nonce is listed, but is not this requisition's.
    #[test]
    fn a_nonce_of_another_requisition_of_the_measurement_is_refused() {
        let mut kingdom = Kingdom::new();
        let key = create(&mut kingdom);
        let other = Header { nonce: NONCE + 1, ..header(&kingdom, key) };
        assert_eq!(said(check(&kingdom, DP1, other)), (Code::FailedPrecondition, None));
    }

    /// 1.7.14: a Duchy knows only the computations it takes part in; Direct ones have none.
    #[test]
    fn a_requisition_of_no_computation_of_this_duchy_is_not_found() {
        let mut kingdom = Kingdom::new();
        let direct = kingdom.direct();
        let good = Header { nonce: 5, ..header(&kingdom, direct) };
        assert_eq!(said(check(&kingdom, DP1, good)), NOT_FOUND);
        let key = create(&mut kingdom);
        let good = header(&kingdom, key);
        let caller = provider(DP1);
        let check = |duchy: &str| {
            check_header(&kingdom.read(), &duchy.into(), Some(&caller), Some(&first(good.clone())))
        };
        assert_eq!(said(check("worker3")), NOT_FOUND);
        assert!(check("worker2").is_ok());
    }

    fn protocol(kingdom: &Kingdom, duchy: &str, header: &Header) -> Answer<()> {
        let (duchy, caller, first) = (Arc::from(duchy), provider(DP1), first(header.clone()));
        let read = kingdom.read();
        let known = check_header(&read, &duchy, Some(&caller), Some(&first)).unwrap();
        check_protocol(&read, &duchy, &known, header)
    }

    /// 1.7.14: HMSS.
    #[test]
    fn hmss_needs_seed_certificate_and_the_fulfilling_duchy() {
        let mut kingdom = Kingdom::new();
        kingdom.enable_hmss();
        let key = create(&mut kingdom);
        let fulfilling = kingdom.requisition(key, DP1).fulfilling_duchy.clone().unwrap();
        let other = if &*fulfilling == "worker1" { "worker2" } else { "worker1" };
        let base = header(&kingdom, key);
        let good = HonestMajorityShareShuffle {
            secret_seed: Some(crate::public::encrypted_message(b"seed")),
            register_count: 1,
            data_provider_certificate: "dataProviders/a/certificates/b".to_owned(),
        };
        let with = |sent: HonestMajorityShareShuffle| Header {
            protocol: Some(Sent::HonestMajorityShareShuffle(sent)),
            ..base.clone()
        };
        let seedless = HonestMajorityShareShuffle { secret_seed: None, ..good.clone() };
        let blank = HonestMajorityShareShuffle {
            data_provider_certificate: " ".to_owned(),
            ..good.clone()
        };
        for (what, header) in
            [("none", base.clone()), ("seed", with(seedless)), ("certificate", with(blank))]
        {
            assert_eq!(said(protocol(&kingdom, &fulfilling, &header)), INVALID, "{what}");
        }
        assert_eq!(said(protocol(&kingdom, other, &with(good.clone()))), INVALID);
        assert!(protocol(&kingdom, &fulfilling, &with(good)).is_ok());
    }

    /// 1.7.14: TrusTEE.
    #[test]
    fn trustee_needs_a_known_data_format_and_if_encrypted_a_known_key_format() {
        use pb::fulfill_requisition_request::header::trus_tee::EnvelopeEncryption;
        let mut kingdom = Kingdom::new();
        kingdom.enable_trustee();
        let key = create(&mut kingdom);
        let base = header(&kingdom, key);
        let with = |data_format: i32, key_format: Option<i32>| Header {
            protocol: Some(Sent::TrusTee(TrusTee {
                data_format,
                envelope_encryption: key_format.map(|format| EnvelopeEncryption {
                    encrypted_dek: Some(pb::EncryptionKey { format, data: b"dek".to_vec() }),
                    ..EnvelopeEncryption::default()
                }),
                population_spec_fingerprint: 1,
            })),
            ..base.clone()
        };
        for (data_format, key_format) in
            [(0, None), (3, None), (2, None), (2, Some(0)), (2, Some(2))]
        {
            let header = with(data_format, key_format);
            let answer = protocol(&kingdom, "aggregator", &header);
            assert_eq!(said(answer), INVALID, "{data_format} {key_format:?}");
        }
        assert_eq!(said(protocol(&kingdom, "aggregator", &base)), INVALID);
        assert!(protocol(&kingdom, "aggregator", &with(1, None)).is_ok());
        assert!(protocol(&kingdom, "aggregator", &with(2, Some(1))).is_ok());
    }

    /// 1.7.14: what is stored first stays.
    #[test]
    fn a_second_body_is_ignored() {
        let mut kingdom = Kingdom::new();
        let key = create(&mut kingdom);
        let header = header(&kingdom, key);
        let known = check(&kingdom, DP1, header.clone()).unwrap();
        let mut store = Store::default();
        assert!(!store.has(&known));
        for text in ["first", "second one"] {
            let mut body = Body::default();
            body.push(text.as_bytes());
            store.record(&known, &header, body);
        }
        assert!(store.has(&known));
        let sizes: Vec<_> = store.fulfilments().map(|kept| kept.body_bytes).collect();
        assert_eq!(sizes, [5]);
    }

    /// 1.7.15, both behaviours of quirk `duchy-unmapped-akid-is-unknown`.
    #[test]
    fn an_unmapped_key_identifier_is_unknown_or_as_documented_nobody() {
        assert_eq!(said(principal(None, true)), (Code::Unknown, None));
        assert_eq!(principal(None, false), Ok(None));
        let known = provider(DP1);
        assert_eq!(principal(Some(known.clone()), true), Ok(Some(known)));
        assert_eq!(Quirk::DuchyUnmappedAkidIsUnknown.clause(), "1.7.15");
    }
}
