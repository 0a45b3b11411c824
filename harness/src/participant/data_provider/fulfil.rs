//! Fulfilling: a signed and encrypted result to the Kingdom (Direct), or data to a Duchy (MPC).

use super::population::{PopulationSpec, population_of};
use super::rules::{Order, duchy_key};
use super::{DataProvider, ResultDefect};
use crate::participant::wire::{self, CallError, Dial};
use crate::participant::{CannotMake, ED25519, RSA_SHA256, from_wire, seal, spoil};
use crate::quirk::{PeerQuirk, PeerQuirks};
use halo_consent::{StreamingKeyset, requisition_fingerprint};
use kingdom_proto::v2alpha as pb;
use pb::fulfill_requisition_request::header::{
    self, HonestMajorityShareShuffle, Protocol as HeaderProtocol, TrusTee,
};
use pb::fulfill_requisition_request::{BodyChunk, Header, Payload};
use pb::measurement::result;
use pb::measurement_spec::MeasurementType;
use pb::protocol_config::NoiseMechanism;
use pb::protocol_config::protocol::Protocol;
use rand_core::RngCore as _;

/// Octets in one chunk of a body (3.14).
const CHUNK_OCTETS: usize = 32 * 1024;

/// Octets of the opaque data that stands for sketches, shares and frequency vectors: more than one
/// chunk.
const DATA_OCTETS: usize = CHUNK_OCTETS + 1024;

/// Why a requisition was not fulfilled.
pub(super) enum Failure {
    Call(CallError),
    Make(CannotMake),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<CannotMake> for Failure {
    fn from(error: CannotMake) -> Self {
        Self::Make(error)
    }
}

/// Which program fulfils: the two send different etags (3.10.4, 3.11.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The EDP simulator, with the requisition as listed.
    Simulator,
    /// The EDP aggregator's results fulfiller, with the requisition just read.
    Aggregator,
}

/// What a fulfilment says of the requisition's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EtagSent {
    /// Nothing.
    None,
    /// The etag of the requisition at hand.
    AtHand,
    /// The etag that is read just before.
    ReadAgain,
}

/// 3.10.4 and 3.11.6: the etag that a fulfilment carries.
fn etag_sent(program: Program, protocol: &Protocol, quirks: &PeerQuirks) -> EtagSent {
    match protocol {
        Protocol::Direct(_)
            if program == Program::Simulator
                && quirks.faithful(PeerQuirk::DirectFulfilmentWithoutEtag) =>
        {
            EtagSent::None
        }
        Protocol::Direct(_)
        | Protocol::LiquidLegionsV2(_)
        | Protocol::ReachOnlyLiquidLegionsV2(_) => EtagSent::AtHand,
        Protocol::HonestMajorityShareShuffle(_) => EtagSent::ReadAgain,
        Protocol::TrusTee(_) => EtagSent::None,
    }
}

pub(super) async fn fulfil(
    provider: &mut DataProvider,
    dial: &dyn Dial,
    program: Program,
    requisition: &pb::Requisition,
    order: &Order,
) -> Result<(), Failure> {
    let sent = etag_sent(program, &order.protocol, &provider.base.identity.quirks);
    let etag = match sent {
        EtagSent::None => String::new(),
        EtagSent::AtHand => requisition.etag.clone(),
        EtagSent::ReadAgain => {
            let request = pb::GetRequisitionRequest { name: requisition.name.clone() };
            provider.base.call(dial, wire::GET_REQUISITION, &request).await?.etag
        }
    };
    match &order.protocol {
        Protocol::Direct(_) => direct(provider, dial, requisition, order, etag).await,
        Protocol::LiquidLegionsV2(_) | Protocol::ReachOnlyLiquidLegionsV2(_) => {
            let first = requisition.duchies.iter().map(|entry| duchy_id(&entry.key)).min();
            let duchy = provider.llv2_duchy.clone().or(first).unwrap_or_default();
            let sketch = octets(provider);
            let header = header(requisition, order, &etag, None);
            at_duchy(provider, dial, &duchy, header, &sketch).await
        }
        Protocol::HonestMajorityShareShuffle(_) => {
            share_shuffle(provider, dial, requisition, order, &etag).await
        }
        Protocol::TrusTee(_) => {
            let duchy =
                requisition.duchies.first().map(|entry| duchy_id(&entry.key)).unwrap_or_default();
            let vector = octets(provider);
            let (protocol, vector) = trus_tee(provider, vector)?;
            let header = header(requisition, order, &etag, Some(protocol));
            at_duchy(provider, dial, &duchy, header, &vector).await
        }
    }
}

async fn direct(
    provider: &mut DataProvider,
    dial: &dyn Dial,
    requisition: &pb::Requisition,
    order: &Order,
    etag: String,
) -> Result<(), Failure> {
    let mut signed = provider.signing.sign(&result(provider, order))?;
    match provider.result_defect {
        Some(ResultDefect::SpoiltSignature) => spoil(&mut signed.signature),
        Some(ResultDefect::UnsupportedOid) => {
            signed.signature_algorithm_oid = ED25519.to_owned();
        }
        Some(ResultDefect::OidOfOtherKeyType) => {
            signed.signature_algorithm_oid = RSA_SHA256.to_owned();
        }
        Some(ResultDefect::SpoiltCiphertext) | None => {}
    }
    let key = order.measurement_spec.measurement_public_key.as_ref();
    let mut encrypted = seal(key, signed, &mut provider.base.rng)?;
    if provider.result_defect == Some(ResultDefect::SpoiltCiphertext) {
        spoil(&mut encrypted.ciphertext);
    }
    let request = pb::FulfillDirectRequisitionRequest {
        name: requisition.name.clone(),
        encrypted_result: Some(encrypted),
        nonce: order.requisition_spec.nonce,
        certificate: provider.signing.certificate.clone(),
        etag,
        ..pb::FulfillDirectRequisitionRequest::default()
    };
    provider.base.call(dial, wire::FULFILL_DIRECT, &request).await?;
    Ok(())
}

/// A result of the type that is asked for. The numbers stand for a computation that the reference
/// provider does not make: they follow from its seed and the nonce, so that readers can be checked.
fn result(provider: &DataProvider, order: &Order) -> pb::measurement::Result {
    let mut rng = provider
        .base
        .identity
        .seed
        .child(&format!("{}/result/{}", provider.base.identity.name, order.requisition_spec.nonce));
    let number = i64::from(rng.next_u32() >> 12);
    let noise = NoiseMechanism::ContinuousGaussian.into();
    let reach = || result::Reach {
        value: number,
        noise_mechanism: noise,
        methodology: Some(result::reach::Methodology::DeterministicCountDistinct(
            pb::DeterministicCountDistinct {},
        )),
    };
    let mut made = pb::measurement::Result::default();
    match order.measurement_spec.measurement_type {
        Some(MeasurementType::ReachAndFrequency(_)) => {
            made.reach = Some(reach());
            made.frequency = Some(result::Frequency {
                relative_frequency_distribution: [(1, 0.75), (2, 0.25)].into(),
                noise_mechanism: noise,
                methodology: Some(result::frequency::Methodology::DeterministicDistribution(
                    pb::DeterministicDistribution {},
                )),
            });
        }
        Some(MeasurementType::Impression(_)) => {
            made.impression = Some(result::Impression {
                value: number,
                noise_mechanism: noise,
                methodology: Some(result::impression::Methodology::DeterministicCount(
                    pb::DeterministicCount::default(),
                )),
            });
        }
        Some(MeasurementType::Duration(_)) => {
            made.watch_duration = Some(result::WatchDuration {
                value: Some(prost_types::Duration { seconds: number, nanos: 0 }),
                noise_mechanism: noise,
                methodology: Some(result::watch_duration::Methodology::DeterministicSum(
                    pb::DeterministicSum {},
                )),
            });
        }
        Some(MeasurementType::Population(_)) => {
            let line = &order.measurement_spec.model_line;
            let known = provider.models.as_ref().and_then(|models| population_of(models, line));
            made.population = Some(result::Population {
                value: known.map_or(number, PopulationSpec::size),
                methodology: Some(result::population::Methodology::DeterministicCount(
                    pb::DeterministicCount::default(),
                )),
            });
        }
        _ => made.reach = Some(reach()),
    }
    made
}

/// The TrusTEE payload (3.14): the vector in clear, or encrypted with a fresh streaming key set whose
/// wrapped form goes into the header. Nothing is signed.
fn trus_tee(
    provider: &mut DataProvider,
    vector: Vec<u8>,
) -> Result<(HeaderProtocol, Vec<u8>), CannotMake> {
    use header::trus_tee::{DataFormat, EnvelopeEncryption};
    let Some(service) = provider.key_management.clone() else {
        let clear =
            TrusTee { data_format: DataFormat::FrequencyVector.into(), ..TrusTee::default() };
        return Ok((HeaderProtocol::TrusTee(clear), vector));
    };
    let rng = &mut provider.base.rng;
    let failed = |error: halo_consent::EncryptError| CannotMake(error.to_string());
    let keyset = StreamingKeyset::generate(rng);
    let wrapped = keyset.wrap(&service.key_encryption_key, rng).map_err(failed)?;
    let sealed = keyset.encrypt(&vector, &[], rng).map_err(failed)?;
    let encrypted = TrusTee {
        data_format: DataFormat::EncryptedFrequencyVector.into(),
        envelope_encryption: Some(EnvelopeEncryption {
            encrypted_dek: Some(pb::EncryptionKey {
                format: pb::encryption_key::Format::TinkEncryptedKeyset.into(),
                data: wrapped,
            }),
            kms_kek_uri: service.kek_uri,
            workload_identity_provider: service.workload_identity_provider,
            impersonated_service_account: service.impersonated_service_account,
            ..EnvelopeEncryption::default()
        }),
        ..TrusTee::default()
    };
    Ok((HeaderProtocol::TrusTee(encrypted), sealed))
}

async fn share_shuffle(
    provider: &mut DataProvider,
    dial: &dyn Dial,
    requisition: &pb::Requisition,
    order: &Order,
    etag: &str,
) -> Result<(), Failure> {
    let entry_key = |entry: &pb::requisition::DuchyEntry| {
        duchy_key(entry.value.as_ref().and_then(|value| value.protocol.as_ref())).cloned()
    };
    // The seed goes to the worker whose key is shown, the share to the other one (3.7.8, 3.7.9).
    let shown = requisition.duchies.iter().find_map(entry_key).and_then(|key| {
        from_wire(&key)
            .message
            .map(|any| prost_types::Any { type_url: any.type_url, value: any.value })
    });
    let duchy = requisition
        .duchies
        .iter()
        .find(|entry| entry_key(entry).is_none())
        .map(|entry| duchy_id(&entry.key))
        .unwrap_or_default();
    let mut seed = vec![0; 48];
    provider.base.rng.fill_bytes(&mut seed);
    let signed = provider.signing.sign(&pb::RandomSeed { data: seed })?;
    let secret_seed = seal(shown.as_ref(), signed, &mut provider.base.rng)?;
    let share = octets(provider);
    let protocol = HeaderProtocol::HonestMajorityShareShuffle(HonestMajorityShareShuffle {
        secret_seed: Some(secret_seed),
        register_count: i64::try_from(share.len()).unwrap_or_default(),
        data_provider_certificate: provider.signing.certificate.clone(),
    });
    let header = header(requisition, order, etag, Some(protocol));
    at_duchy(provider, dial, &duchy, header, &share).await
}

fn header(
    requisition: &pb::Requisition,
    order: &Order,
    etag: &str,
    protocol: Option<HeaderProtocol>,
) -> Header {
    let signed = requisition.measurement_spec.clone().unwrap_or_default();
    let spec = from_wire(&signed);
    let sealed = requisition.encrypted_requisition_spec.clone().unwrap_or_default();
    Header {
        name: requisition.name.clone(),
        requisition_fingerprint: requisition_fingerprint(spec.signed_bytes(), &sealed.ciphertext)
            .to_vec(),
        nonce: order.requisition_spec.nonce,
        protocol,
        etag: etag.to_owned(),
        ..Header::default()
    }
}

/// Sends header and body to a Duchy's fulfilment server (1.7.14).
async fn at_duchy(
    provider: &mut DataProvider,
    dial: &dyn Dial,
    duchy: &str,
    header: Header,
    body: &[u8],
) -> Result<(), Failure> {
    let requests = messages(header, body);
    let requests: Vec<_> = requests.iter().collect();
    provider.base.stream_to_duchy(dial, duchy, wire::FULFILL_AT_DUCHY, &requests).await?;
    Ok(())
}

/// A fulfilment as a stream: the header, then the body in chunks of 32 KiB (3.14).
fn messages(header: Header, body: &[u8]) -> Vec<pb::FulfillRequisitionRequest> {
    let message = |payload| pb::FulfillRequisitionRequest { payload: Some(payload) };
    let chunks = body.chunks(CHUNK_OCTETS);
    let chunks = chunks.map(|chunk| Payload::BodyChunk(BodyChunk { data: chunk.to_vec() }));
    std::iter::once(Payload::Header(header)).chain(chunks).map(message).collect()
}

fn octets(provider: &mut DataProvider) -> Vec<u8> {
    let mut data = vec![0; DATA_OCTETS];
    provider.base.rng.fill_bytes(&mut data);
    data
}

/// The id of a Duchy entry's key, which is bare or, as documented, a resource name (1.7.13).
fn duchy_id(key: &str) -> String {
    key.strip_prefix("duchies/").unwrap_or(key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::participant::data_provider::KeyManagement;
    use fake_kingdom::model::Timestamp;
    use fake_kingdom::sandbox::Sandbox;
    use fake_kingdom::seam::clock::Clock;
    use fake_kingdom::seam::entropy::Seed;
    use header::trus_tee::DataFormat;

    /// 3.14: chunks of 32 KiB, the last one shorter, in order.
    #[test]
    fn a_body_is_cut_into_chunks_of_32_kib() {
        let body: Vec<u8> = (0..70_000_u32).map(|number| number.to_be_bytes()[3]).collect();
        let sent = messages(Header::default(), &body);
        assert!(matches!(sent[0].payload, Some(Payload::Header(_))));
        let chunks: Vec<&[u8]> = sent[1..]
            .iter()
            .map(|message| match &message.payload {
                Some(Payload::BodyChunk(chunk)) => chunk.data.as_slice(),
                other => panic!("no chunk: {other:?}"),
            })
            .collect();
        let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.len()).collect();
        assert_eq!(lengths, [32_768, 32_768, 4_464]);
        assert_eq!(chunks.concat(), body);
    }

    /// 3.10.4, 3.11.6 (quirk direct-fulfilment-without-etag): the simulator's Direct fulfilment alone
    /// leaves out an etag that it has; as documented it sends it.
    #[test]
    fn each_program_and_protocol_sends_its_etag() {
        use crate::quirk::Fidelity;
        let faithful = PeerQuirks::all(Fidelity::Faithful);
        let documented =
            faithful.with(PeerQuirk::DirectFulfilmentWithoutEtag, Fidelity::AsDocumented);
        let llv2 = Protocol::LiquidLegionsV2(Default::default());
        let reach_only = Protocol::ReachOnlyLiquidLegionsV2(Default::default());
        let hmss = Protocol::HonestMajorityShareShuffle(Default::default());
        let trus_tee = Protocol::TrusTee(Default::default());
        let direct = Protocol::Direct(Default::default());
        for (protocol, simulator, aggregator) in [
            (&direct, EtagSent::None, EtagSent::AtHand),
            (&llv2, EtagSent::AtHand, EtagSent::AtHand),
            (&reach_only, EtagSent::AtHand, EtagSent::AtHand),
            (&hmss, EtagSent::ReadAgain, EtagSent::ReadAgain),
            (&trus_tee, EtagSent::None, EtagSent::None),
        ] {
            assert_eq!(etag_sent(Program::Simulator, protocol, &faithful), simulator);
            assert_eq!(etag_sent(Program::Aggregator, protocol, &faithful), aggregator);
        }
        assert_eq!(etag_sent(Program::Simulator, &direct, &documented), EtagSent::AtHand);
    }

    /// 3.14: whoever has the key of the key management service opens the vector; nobody else, and
    /// without a service it travels in clear.
    #[test]
    fn a_trus_tee_vector_opens_with_the_wrapped_key_of_its_header() {
        let seed = Seed::new(1);
        let now = Timestamp::from_seconds(1_893_456_000);
        let sandbox = Sandbox::generate(seed, &[now]).unwrap();
        let clock = Clock::real_from(now);
        let mut provider = DataProvider::of(&sandbox, "edp1", &clock, seed).unwrap();
        let vector = octets(&mut provider);
        let (HeaderProtocol::TrusTee(clear), body) =
            trus_tee(&mut provider, vector.clone()).unwrap()
        else {
            panic!("not a TrusTEE header");
        };
        assert_eq!((clear.data_format(), &body), (DataFormat::FrequencyVector, &vector));
        assert_eq!(clear.envelope_encryption, None);

        provider.key_management = Some(KeyManagement {
            kek_uri: "gcp-kms://key".to_owned(),
            workload_identity_provider: "provider".to_owned(),
            impersonated_service_account: "account".to_owned(),
            key_encryption_key: [9; 32],
        });
        let (HeaderProtocol::TrusTee(sealed), body) =
            trus_tee(&mut provider, vector.clone()).unwrap()
        else {
            panic!("not a TrusTEE header");
        };
        assert_eq!(sealed.data_format(), DataFormat::EncryptedFrequencyVector);
        let envelope = sealed.envelope_encryption.unwrap();
        assert_eq!(envelope.kms_kek_uri, "gcp-kms://key");
        let wrapped = envelope.encrypted_dek.unwrap().data;
        let keyset = StreamingKeyset::unwrap(&wrapped, &[9; 32]).unwrap();
        assert_eq!(keyset.decrypt(&body, &[]).unwrap(), vector);
        assert!(StreamingKeyset::unwrap(&wrapped, &[8; 32]).is_err());
    }
}
