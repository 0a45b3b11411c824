//! Measurements of the public API (contract 1.5; order of checks 1.0.6).

use super::certificates::{signed, unsigned};
use super::public_keys::signed_message;
use super::{
    Answer, Caller, bad_shape, decode_id, decode_token, encode_token, encrypted_message, full_name,
    packed, protocol_config, require_principal, signed_message_url, unpack, whitelist,
};
use crate::authn::Principal;
use crate::error::{Code, Refusal};
use crate::model::measurement::{
    self, Created, Cursor, CursorKey, Filter, Measurement, MeasurementKey, NewEntry,
    NewMeasurement, SignedBytes, State,
};
use crate::model::protocol::{self, MeasurementType};
use crate::model::requisition::{self, Requisition};
use crate::model::{Owner, Read, Timestamp, Write, data_provider};
use crate::quirk::Quirk;
use kingdom_proto::{ApiId, name, v2alpha as pb};
use pb::list_measurements_page_token::PreviousPageEnd;
use pb::measurement_spec::MeasurementType as WireType;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

const DEFAULT_PAGE_SIZE: i32 = 50;
const MAX_PAGE_SIZE: i32 = 1000;
const MAX_BATCH_SIZE: usize = 50;

/// GetMeasurement (table 1.5.1): only a measurement consumer, checked before the name.
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetMeasurementRequest,
) -> Answer<pb::Measurement> {
    let key = own_measurement(read, caller, &request.name)?;
    measurement::find(read.tables, key)
        .map(|row| to_proto(read, row))
        .map_err(|error| error.public(whitelist::GET_MEASUREMENT))
}

/// CancelMeasurement (table 1.5.1).
pub fn cancel(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::CancelMeasurementRequest,
) -> Answer<pb::Measurement> {
    let key = own_measurement(&write.read(), caller, &request.name)?;
    let row = measurement::cancel(write, key)
        .map_err(|error| error.public(whitelist::CHANGE_MEASUREMENT))?;
    Ok(to_proto(&write.read(), &row))
}

/// CreateMeasurement: public checks in the order of 1.5.9, then table 1.5.11.
pub fn create(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::CreateMeasurementRequest,
) -> Answer<pb::Measurement> {
    let principal = require_principal(caller)?;
    let parent = parent_of(principal, &request.parent)?;
    if entries_of(request).is_empty() {
        return Err(Refusal::invalid_argument("data_providers is empty"));
    }
    let requests = [request];
    let read = write.read();
    let providers = check_providers(&read, &requests)?;
    let checked = check(&read, &parent, request, providers.into_iter().next().unwrap_or_default())?;
    let created = create_all(write, &parent, &requests, vec![checked])?;
    created.into_iter().next().ok_or_else(Refusal::uncaught)
}

/// BatchCreateMeasurements (contract 1.5.17): all or nothing, answers in request order.
pub fn batch_create(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::BatchCreateMeasurementsRequest,
) -> Answer<pb::BatchCreateMeasurementsResponse> {
    let principal = require_principal(caller)?;
    let parent = parent_of(principal, &request.parent)?;
    require_batch_size(request.requests.len())?;
    let requests: Vec<_> = request.requests.iter().collect();
    let read = write.read();
    // Names and existence once for the whole batch, before the children's parents.
    let providers = check_providers(&read, &requests)?;
    let has_parents = requests.first().is_some_and(|first| !first.parent.is_empty());
    let mut checked = Vec::with_capacity(requests.len());
    for (child, providers) in requests.iter().zip(providers) {
        let expected = if has_parents { request.parent.as_str() } else { "" };
        if child.parent != expected {
            return Err(Refusal::invalid_argument("a child's parent does not match"));
        }
        checked.push(check(&read, &parent, child, providers)?);
    }
    let measurements = create_all(write, &parent, &requests, checked)?;
    Ok(pb::BatchCreateMeasurementsResponse { measurements })
}

/// BatchGetMeasurements (table 1.5.1): order and duplicates preserved; a missing one NOT_FOUND
/// without ErrorInfo.
pub fn batch_get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::BatchGetMeasurementsRequest,
) -> Answer<pb::BatchGetMeasurementsResponse> {
    let principal = require_consumer(caller)?;
    let parent = parent_of(principal, &request.parent)?;
    require_batch_size(request.names.len())?;
    let consumer = decode_id(read, &parent.measurement_consumer)?;
    let mut keys = Vec::with_capacity(request.names.len());
    for text in &request.names {
        let name = name::MeasurementName::parse(text).ok_or_else(|| bad_shape("names"))?;
        if name.measurement_consumer != parent.measurement_consumer {
            return Err(Refusal::invalid_argument("a name does not have the request's parent"));
        }
        keys.push((consumer, decode_id(read, &name.measurement)?));
    }
    let found = |key| match measurement::find(read.tables, key) {
        Ok(row) => Ok(to_proto(read, row)),
        Err(_) => Err(Refusal::new(Code::NotFound, "Measurement not found")),
    };
    let measurements = keys.into_iter().map(found).collect::<Answer<_>>()?;
    Ok(pb::BatchGetMeasurementsResponse { measurements })
}

/// ListMeasurements (contract 1.5.4, 1.5.5, 1.0.13); ownership is decided last, and on decoded ids
/// (1.0.6, 1.1.4).
pub fn list(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::ListMeasurementsRequest,
) -> Answer<pb::ListMeasurementsResponse> {
    let principal = require_consumer(caller)?;
    let parent =
        name::MeasurementConsumerName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    if request.page_size < 0 {
        return Err(Refusal::invalid_argument("page_size must not be negative"));
    }
    let consumer = decode_id(read, &parent.measurement_consumer)?;
    let token = list_token(read, consumer, request)?;
    if ApiId::decode(principal.id()).map(ApiId::value) != Some(consumer) {
        return Err(Refusal::permission_denied());
    }

    let time = |field: &Option<prost_types::Timestamp>| field.as_ref().map(Timestamp::from_proto);
    let filter = Filter {
        measurement_consumer: Some(consumer),
        states: (!token.states.is_empty())
            .then(|| token.states.iter().flat_map(|state| State::from_public(*state)).collect()),
        updated_after: time(&token.updated_after),
        updated_before: time(&token.updated_before),
        created_after: time(&token.created_after),
        created_before: time(&token.created_before),
        after: token.last_measurement.as_ref().map(|last| Cursor {
            // Without an update_time the cursor compares against epoch 0 (contract 1.5.4).
            update_time: time(&last.update_time).unwrap_or_default(),
            key: CursorKey::Measurement((consumer, signed(last.external_measurement_id))),
        }),
        ..Filter::default()
    };
    let size = usize::try_from(token.page_size).unwrap_or_default().max(1);
    let rows = measurement::list(read, &filter, size.saturating_add(1));
    let next_page_token = match rows.get(size - 1) {
        Some(last) if rows.len() > size => encode_token(&pb::ListMeasurementsPageToken {
            last_measurement: Some(PreviousPageEnd {
                update_time: (!read.faithful(Quirk::ListMeasurementsRepeatsFirstPage))
                    .then(|| last.update_time.to_proto()),
                external_measurement_id: unsigned(last.id),
            }),
            ..token
        }),
        _ => String::new(),
    };
    Ok(pb::ListMeasurementsResponse {
        measurements: rows.into_iter().take(size).map(|row| to_proto(read, row)).collect(),
        next_page_token,
    })
}

/// The request as a token: the first page's is made from the request, a later page's must equal it
/// (contract 1.0.13); sizes as 1.5.4 and 1.5.5.
fn list_token(
    read: &Read<'_>,
    consumer: i64,
    request: &pb::ListMeasurementsRequest,
) -> Answer<pb::ListMeasurementsPageToken> {
    let filter = request.filter.clone().unwrap_or_default();
    if request.page_token.is_empty() {
        return Ok(pb::ListMeasurementsPageToken {
            page_size: match request.page_size {
                0 => DEFAULT_PAGE_SIZE,
                size => size.min(MAX_PAGE_SIZE),
            },
            external_measurement_consumer_id: unsigned(consumer),
            states: filter.states,
            last_measurement: None,
            updated_after: filter.updated_after,
            updated_before: filter.updated_before,
            created_before: filter.created_before,
            created_after: filter.created_after,
        });
    }
    let mut token: pb::ListMeasurementsPageToken = decode_token(read, &request.page_token)?;
    let set = |states: &[i32]| states.iter().copied().collect::<BTreeSet<_>>();
    let is_same = token.external_measurement_consumer_id == unsigned(consumer)
        && set(&token.states) == set(&filter.states)
        && token.updated_after == filter.updated_after
        && token.updated_before == filter.updated_before
        && token.created_before == filter.created_before
        && token.created_after == filter.created_after;
    if !is_same {
        return Err(Refusal::invalid_argument("page_token does not match the request"));
    }
    if (1..=MAX_PAGE_SIZE).contains(&request.page_size) {
        token.page_size = request.page_size;
    }
    Ok(token)
}

/// The caller, who must be a measurement consumer (contract 1.0.6).
fn require_consumer(caller: Caller<'_>) -> Answer<&Principal> {
    match require_principal(caller)? {
        principal @ Principal::MeasurementConsumer(_) => Ok(principal),
        _ => Err(Refusal::permission_denied()),
    }
}

/// Principal, its kind, the name's shape, ownership, ids (contract 1.0.6).
fn own_measurement(read: &Read<'_>, caller: Caller<'_>, text: &str) -> Answer<MeasurementKey> {
    let principal = require_consumer(caller)?;
    let name = name::MeasurementName::parse(text).ok_or_else(|| bad_shape("name"))?;
    let parent = name::MeasurementConsumerName::new(&name.measurement_consumer);
    if principal.name() != parent.to_string() {
        return Err(Refusal::permission_denied());
    }
    Ok((decode_id(read, &name.measurement_consumer)?, decode_id(read, &name.measurement)?))
}

/// The parent's shape, then that the principal is that very parent, whatever its kind.
fn parent_of(principal: &Principal, text: &str) -> Answer<name::MeasurementConsumerName> {
    let parent = name::MeasurementConsumerName::parse(text).ok_or_else(|| bad_shape("parent"))?;
    if principal.name() == text { Ok(parent) } else { Err(Refusal::permission_denied()) }
}

fn require_batch_size(size: usize) -> Answer<()> {
    if (1..=MAX_BATCH_SIZE).contains(&size) {
        Ok(())
    } else {
        Err(Refusal::invalid_argument("a batch has 1 to 50 elements"))
    }
}

fn entries_of(request: &pb::CreateMeasurementRequest) -> &[pb::measurement::DataProviderEntry] {
    request
        .measurement
        .as_ref()
        .map(|measurement| measurement.data_providers.as_slice())
        .unwrap_or_default()
}

/// Provider names one by one, then their existence: NOT_FOUND, never with ErrorInfo (contract
/// 1.5.9, table 1.0.12). Answers the ids of each request's entries.
fn check_providers(
    read: &Read<'_>,
    requests: &[&pb::CreateMeasurementRequest],
) -> Answer<Vec<Vec<i64>>> {
    let mut ids = Vec::with_capacity(requests.len());
    for request in requests {
        let mut of_request = Vec::new();
        for entry in entries_of(request) {
            let name = name::DataProviderName::parse(&entry.key)
                .ok_or_else(|| bad_shape("data_providers.key"))?;
            of_request.push(decode_id(read, &name.data_provider)?);
        }
        ids.push(of_request);
    }
    if ids.iter().flatten().any(|id| !read.tables.data_providers.contains(id)) {
        return Err(Refusal::new(Code::NotFound, "DataProvider not found"));
    }
    Ok(ids)
}

/// A create that passed the public checks.
struct Checked {
    new: NewMeasurement,
    /// The certificate the consumer named for each provider, which only the response shows (1.5.12).
    named_certificates: BTreeMap<i64, i64>,
}

/// The checks of 1.5.9 from the MC certificate on.
fn check(
    read: &Read<'_>,
    parent: &name::MeasurementConsumerName,
    request: &pb::CreateMeasurementRequest,
    provider_ids: Vec<i64>,
) -> Answer<Checked> {
    let unset = pb::Measurement::default();
    let measurement = request.measurement.as_ref().unwrap_or(&unset);
    let certificate = name::MeasurementConsumerCertificateName::parse(
        &measurement.measurement_consumer_certificate,
    )
    .ok_or_else(|| bad_shape("measurement_consumer_certificate"))?;
    if certificate.measurement_consumer != parent.measurement_consumer {
        return Err(Refusal::invalid_argument("the certificate does not belong to the parent"));
    }

    let (spec, signed_spec) = check_spec(measurement.measurement_spec.as_ref())?;
    let key = spec.measurement_public_key.as_ref();
    unpack::<pb::EncryptionPublicKey>(
        key,
        full_name::ENCRYPTION_PUBLIC_KEY,
        "measurement_public_key",
    )?;
    let hashes: BTreeSet<&[u8]> = spec.nonce_hashes.iter().map(Vec::as_slice).collect();
    if hashes.len() != spec.nonce_hashes.len() {
        return Err(Refusal::invalid_argument("nonce_hashes are not unique"));
    }
    let measurement_type = check_type(read, &spec)?;
    // Reached by a child of a batch only: CreateMeasurement decides this first (contract 1.5.17).
    if measurement.data_providers.is_empty() {
        return Err(Refusal::invalid_argument("data_providers is empty"));
    }

    let mut entries = Vec::with_capacity(provider_ids.len());
    let mut named_certificates = BTreeMap::new();
    for (entry, provider) in measurement.data_providers.iter().zip(&provider_ids) {
        let (entry, named) = check_entry(read, entry, *provider)?;
        if named_certificates.insert(*provider, named).is_some() {
            return Err(Refusal::invalid_argument("a data provider is named twice"));
        }
        entries.push(entry);
    }
    if spec.nonce_hashes.len() != entries.len() {
        return Err(Refusal::invalid_argument("nonce_hashes do not match data_providers"));
    }

    let providers: Vec<_> =
        provider_ids.iter().filter_map(|id| data_provider::find(read.tables, *id).ok()).collect();
    let protocol = protocol::choose(read, &parent.to_string(), measurement_type, &providers);
    let interval = spec.vid_sampling_interval.unwrap_or_default();
    let is_interval_valid = if protocol.interval_may_wrap() {
        (0.0..=1.0).contains(&interval.start) && interval.width <= 1.0
    } else {
        interval.start + interval.width <= 1.0
    };
    if !is_interval_valid {
        return Err(Refusal::invalid_argument("vid_sampling_interval is out of range"));
    }

    let new = NewMeasurement {
        request_id: request.request_id.clone(),
        reference_id: measurement.measurement_reference_id.clone(),
        certificate: decode_id(read, &certificate.certificate)?,
        spec: signed_spec,
        measurement_type,
        protocol,
        entries,
    };
    Ok(Checked { new, named_certificates })
}

/// The spec and the bytes to forward: without `message` the deprecated `data` is parsed and checked,
/// but only `message` is forwarded (contract 1.5.9).
#[allow(deprecated, reason = "the deprecated field is accepted in part")]
fn check_spec(signed: Option<&pb::SignedMessage>) -> Answer<(pb::MeasurementSpec, SignedBytes)> {
    let signed = signed.ok_or_else(|| Refusal::invalid_argument("measurement_spec is not set"))?;
    let spec = match &signed.message {
        Some(_) => unpack(
            signed.message.as_ref(),
            full_name::MEASUREMENT_SPEC,
            "measurement_spec.message",
        )?,
        None => pb::MeasurementSpec::decode(signed.data.as_slice())
            .map_err(|_| Refusal::invalid_argument("measurement_spec does not parse"))?,
    };
    let message = signed.message.as_ref().map(|any| any.value.clone()).unwrap_or_default();
    Ok((
        spec,
        SignedBytes {
            message: message.into(),
            signature: signed.signature.clone().into(),
            signature_algorithm_oid: signed.signature_algorithm_oid.clone().into(),
        },
    ))
}

/// Table 1.5.10, the rows before the protocol choice.
fn check_type(read: &Read<'_>, spec: &pb::MeasurementSpec) -> Answer<MeasurementType> {
    let require = |holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(Refusal::invalid_argument(format!("{what} is invalid"))) }
    };
    let dp_ok = |params: &Option<pb::DifferentialPrivacyParams>| {
        let params = params.unwrap_or_default();
        params.epsilon > 0.0 && params.delta >= 0.0
    };
    let interval = spec.vid_sampling_interval.unwrap_or_default();
    let width_ok = interval.width > 0.0 && interval.width <= 1.0;
    let start_ok = (0.0..=1.0).contains(&interval.start);
    match &spec.measurement_type {
        Some(WireType::Reach(reach)) => {
            require(dp_ok(&reach.privacy_params), "privacy_params")?;
            require(width_ok, "vid_sampling_interval.width")?;
            // A plain precondition upstream: the exception is not caught.
            if !start_ok && read.faithful(Quirk::ReachSamplingStartIsUnknown) {
                return Err(Refusal::uncaught());
            }
            require(start_ok, "vid_sampling_interval.start")?;
            Ok(MeasurementType::Reach)
        }
        Some(WireType::ReachAndFrequency(both)) => {
            require(dp_ok(&both.reach_privacy_params), "reach_privacy_params")?;
            require(dp_ok(&both.frequency_privacy_params), "frequency_privacy_params")?;
            require(both.maximum_frequency > 1, "maximum_frequency")?;
            require(width_ok, "vid_sampling_interval.width")?;
            require(start_ok, "vid_sampling_interval.start")?;
            Ok(MeasurementType::ReachAndFrequency)
        }
        Some(WireType::Impression(impression)) => {
            require(dp_ok(&impression.privacy_params), "privacy_params")?;
            require(impression.maximum_frequency_per_user > 0, "maximum_frequency_per_user")?;
            Ok(MeasurementType::Impression)
        }
        Some(WireType::Duration(duration)) => {
            require(dp_ok(&duration.privacy_params), "privacy_params")?;
            let maximum = duration.maximum_watch_duration_per_user.is_some();
            require(maximum, "maximum_watch_duration_per_user")?;
            Ok(MeasurementType::Duration)
        }
        Some(WireType::Population(_)) => {
            require(!spec.model_line.is_empty(), "model_line")?;
            Ok(MeasurementType::Population)
        }
        None => Err(Refusal::invalid_argument("measurement_type is not set")),
    }
}

/// One entry of data_providers (contract 1.5.9): what is stored, and the id of the certificate it
/// names.
fn check_entry(
    read: &Read<'_>,
    entry: &pb::measurement::DataProviderEntry,
    data_provider: i64,
) -> Answer<(NewEntry, i64)> {
    let value = entry.value.clone().unwrap_or_default();
    let certificate = name::DataProviderCertificateName::parse(&value.data_provider_certificate)
        .ok_or_else(|| bad_shape("data_provider_certificate"))?;
    let key = value.data_provider_public_key.as_ref();
    unpack::<pb::EncryptionPublicKey>(
        key,
        full_name::ENCRYPTION_PUBLIC_KEY,
        "data_provider_public_key",
    )?;
    let spec = value
        .encrypted_requisition_spec
        .ok_or_else(|| Refusal::invalid_argument("encrypted_requisition_spec is not set"))?;
    if spec.type_url != signed_message_url() {
        return Err(Refusal::invalid_argument("encrypted_requisition_spec.type_url is invalid"));
    }
    if value.nonce_hash.is_empty() {
        return Err(Refusal::invalid_argument("nonce_hash is empty"));
    }
    let named = decode_id(read, &certificate.certificate)?;
    let entry = NewEntry {
        data_provider,
        public_key: key.map(|any| any.value.clone()).unwrap_or_default(),
        encrypted_requisition_spec: spec.ciphertext,
        nonce_hash: value.nonce_hash,
    };
    Ok((entry, named))
}

/// The data server's part, and its answers (contract 1.5.11 to 1.5.13).
fn create_all(
    write: &mut Write<'_>,
    parent: &name::MeasurementConsumerName,
    requests: &[&pb::CreateMeasurementRequest],
    checked: Vec<Checked>,
) -> Answer<Vec<pb::Measurement>> {
    let consumer = decode_id(&write.read(), &parent.measurement_consumer)?;
    let (new, named): (Vec<_>, Vec<_>) =
        checked.into_iter().map(|checked| (checked.new, checked.named_certificates)).unzip();
    let created = measurement::create(write, consumer, new)
        .map_err(|error| error.public(whitelist::CHANGE_MEASUREMENT))?;
    let read = write.read();
    let answer = |((created, named), request): ((&Created, &BTreeMap<i64, i64>), _)| {
        created_to_proto(&read, created, named, request)
    };
    Ok(created.iter().zip(&named).zip(requests.iter().copied()).map(answer).collect())
}

/// A create's response: entries in the order of the request and, by quirk
/// `create-measurement-response-echoes-certificate`, with the certificates the consumer named; a
/// replay shows what is stored (contract 1.5.12, 1.5.13).
fn created_to_proto(
    read: &Read<'_>,
    created: &Created,
    named: &BTreeMap<i64, i64>,
    request: &pb::CreateMeasurementRequest,
) -> pb::Measurement {
    let row = &created.measurement;
    if created.is_replay {
        return to_proto(read, row);
    }
    let echoes = read.faithful(Quirk::CreateMeasurementResponseEchoesCertificate);
    let stored: BTreeMap<i64, &Requisition> =
        requisition::of_measurement(read.tables, row_key(row))
            .map(|requisition| (requisition.data_provider, requisition))
            .collect();
    let order = entries_of(request).iter().filter_map(|entry| {
        let name = name::DataProviderName::parse(&entry.key)?;
        let id = ApiId::decode(&name.data_provider)?.value();
        let requisition = stored.get(&id)?;
        let shown = named.get(&id).filter(|_| echoes).copied().unwrap_or(requisition.certificate);
        Some(entry_to_proto(requisition, shown))
    });
    pb::Measurement { data_providers: order.collect(), ..to_proto(read, row) }
}

fn row_key(row: &Measurement) -> MeasurementKey {
    (row.measurement_consumer, row.id)
}

fn entry_to_proto(row: &Requisition, certificate: i64) -> pb::measurement::DataProviderEntry {
    let owner = Owner::DataProvider(row.data_provider);
    pb::measurement::DataProviderEntry {
        key: owner.name(),
        value: Some(pb::measurement::data_provider_entry::Value {
            data_provider_certificate: owner.certificate_name(certificate),
            data_provider_public_key: Some(packed(
                full_name::ENCRYPTION_PUBLIC_KEY,
                &row.public_key,
            )),
            encrypted_requisition_spec: Some(encrypted_message(&row.encrypted_requisition_spec)),
            nonce_hash: row.nonce_hash.to_vec(),
        }),
    }
}

/// The spec as reads show it (table 1.5.6, 1.7.12).
pub(super) fn spec_to_proto(row: &Measurement) -> pb::SignedMessage {
    let spec = &row.spec;
    let oid = &spec.signature_algorithm_oid;
    signed_message(full_name::MEASUREMENT_SPEC, &spec.message, &spec.signature, oid)
}

/// A measurement as every response shows it (table 1.5.6).
pub fn to_proto(read: &Read<'_>, row: &Measurement) -> pb::Measurement {
    let consumer = Owner::MeasurementConsumer(row.measurement_consumer);
    let results = measurement::results(read.tables, row).into_iter().map(|result| {
        let (owner, certificate) = result.certificate;
        pb::measurement::ResultOutput {
            encrypted_result: Some(encrypted_message(result.encrypted_result)),
            certificate: owner.certificate_name(certificate),
        }
    });
    pb::Measurement {
        name: row.name(),
        measurement_consumer_certificate: consumer.certificate_name(row.certificate),
        measurement_spec: Some(spec_to_proto(row)),
        data_providers: requisition::of_measurement(read.tables, row_key(row))
            .map(|requisition| entry_to_proto(requisition, requisition.certificate))
            .collect(),
        protocol_config: Some(protocol_config::to_proto(row)),
        state: row.state.to_public(),
        results: results.collect(),
        measurement_reference_id: row.reference_id.clone(),
        failure: row.failure.as_ref().map(|failure| pb::measurement::Failure {
            reason: failure.reason.to_wire(),
            message: failure.message.clone(),
        }),
        create_time: Some(row.create_time.to_proto()),
        update_time: Some(row.update_time.to_proto()),
    }
}
