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
    let principal = require_consumer(caller)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Cause;
    use crate::model::fixture::{
        CERTIFICATE, DP1, DP2, Kingdom, MC1, MC2, consumer, duration, impression, key, provider,
        put_spec, reach, reach_and_frequency, request, said, spec_for,
    };
    use crate::model::participant;
    use crate::model::requisition::State as RequisitionState;
    use pb::measurement_spec::{Population, VidSamplingInterval};

    type Request = pb::CreateMeasurementRequest;
    const INVALID: (Code, Option<&str>) = (Code::InvalidArgument, None);
    const UNKNOWN: (Code, Option<&str>) = (Code::Unknown, None);
    const CERT_INVALID: (Code, Option<&str>) =
        (Code::FailedPrecondition, Some("CERTIFICATE_IS_INVALID"));

    fn measurement_of(request: &mut Request) -> &mut pb::Measurement {
        request.measurement.as_mut().unwrap()
    }

    fn value_of(
        request: &mut Request,
        index: usize,
    ) -> &mut pb::measurement::data_provider_entry::Value {
        measurement_of(request).data_providers[index].value.as_mut().unwrap()
    }

    /// A spec whose shape is good, changed.
    fn with_spec(of: WireType, change: impl FnOnce(&mut pb::MeasurementSpec)) -> Request {
        let mut spec = spec_for(2, of);
        change(&mut spec);
        let mut request = request(&[DP1, DP2], of);
        put_spec(&mut request, &spec);
        request
    }

    fn create_said(request: &Request) -> (Code, Option<&'static str>) {
        said(Kingdom::new().try_create(request))
    }

    /// The steps of 1.5.9 as violations, each with the answer it has alone.
    #[allow(clippy::type_complexity)]
    fn violations() -> Vec<(&'static str, (Code, Option<&'static str>), Box<dyn Fn(&mut Request)>)>
    {
        fn spec_change(
            change: impl Fn(&mut pb::MeasurementSpec) + 'static,
        ) -> Box<dyn Fn(&mut Request)> {
            // Changes add up, so that two violations of the spec can stand together.
            Box::new(move |request| {
                let signed = measurement_of(request).measurement_spec.clone().unwrap_or_default();
                let bytes = signed.message.unwrap_or_default().value;
                let mut spec = pb::MeasurementSpec::decode(bytes.as_slice()).unwrap_or_default();
                change(&mut spec);
                put_spec(request, &spec);
            })
        }
        vec![
            (
                "provider name shape",
                INVALID,
                Box::new(|r| {
                    measurement_of(r).data_providers[0].key = "dataProviders".to_owned();
                }),
            ),
            (
                "provider id decodes",
                UNKNOWN,
                Box::new(|r| {
                    measurement_of(r).data_providers[1].key = "dataProviders/x".to_owned();
                }),
            ),
            (
                "providers exist",
                (Code::NotFound, None),
                Box::new(|r| {
                    measurement_of(r).data_providers[1].key = Owner::DataProvider(77).name();
                }),
            ),
            (
                "certificate shape",
                INVALID,
                Box::new(|r| {
                    measurement_of(r).measurement_consumer_certificate = "x".to_owned();
                }),
            ),
            (
                "certificate belongs to the parent",
                INVALID,
                Box::new(|r| {
                    measurement_of(r).measurement_consumer_certificate =
                        Owner::MeasurementConsumer(MC2).certificate_name(MC2 + CERTIFICATE);
                }),
            ),
            ("spec present", INVALID, Box::new(|r| measurement_of(r).measurement_spec = None)),
            ("public key present", INVALID, spec_change(|spec| spec.measurement_public_key = None)),
            (
                "nonce hashes unique",
                INVALID,
                spec_change(|spec| {
                    spec.nonce_hashes = vec![vec![1], vec![1]];
                }),
            ),
            (
                "per-type checks",
                UNKNOWN,
                spec_change(|spec| {
                    spec.vid_sampling_interval =
                        Some(VidSamplingInterval { start: -1.0, width: 0.5 });
                }),
            ),
            (
                "entry certificate shape",
                INVALID,
                Box::new(|r| {
                    value_of(r, 0).data_provider_certificate =
                        "duchies/x/certificates/y".to_owned();
                }),
            ),
            ("entry key", INVALID, Box::new(|r| value_of(r, 0).data_provider_public_key = None)),
            (
                "entry spec present",
                INVALID,
                Box::new(|r| {
                    value_of(r, 0).encrypted_requisition_spec = None;
                }),
            ),
            (
                "entry spec type_url",
                INVALID,
                Box::new(|r| {
                    value_of(r, 0).encrypted_requisition_spec.as_mut().unwrap().type_url =
                        "other.prefix/wfa.measurement.api.v2alpha.SignedMessage".to_owned();
                }),
            ),
            ("entry nonce hash", INVALID, Box::new(|r| value_of(r, 0).nonce_hash.clear())),
            (
                "entry certificate id decodes",
                UNKNOWN,
                Box::new(|r| {
                    value_of(r, 0).data_provider_certificate =
                        format!("{}/certificates/preferred", Owner::DataProvider(DP1).name());
                }),
            ),
            (
                "no earlier entry with the same provider",
                INVALID,
                Box::new(|r| {
                    measurement_of(r).data_providers[1].key = Owner::DataProvider(DP1).name();
                }),
            ),
            (
                "number of nonce hashes",
                INVALID,
                spec_change(|spec| {
                    spec.nonce_hashes.push(vec![9]);
                }),
            ),
            (
                "interval after the protocol choice",
                INVALID,
                spec_change(|spec| {
                    spec.vid_sampling_interval =
                        Some(VidSamplingInterval { start: 0.6, width: 0.5 });
                }),
            ),
            (
                "certificate id decodes",
                UNKNOWN,
                Box::new(|r| {
                    measurement_of(r).measurement_consumer_certificate = format!(
                        "{}/certificates/preferred",
                        Owner::MeasurementConsumer(MC1).name()
                    );
                }),
            ),
            (
                "spec signature",
                INVALID,
                Box::new(|r| {
                    if let Some(spec) = &mut measurement_of(r).measurement_spec {
                        spec.signature.clear();
                    }
                }),
            ),
            (
                "ciphertext",
                INVALID,
                Box::new(|r| {
                    if let Some(spec) = &mut value_of(r, 1).encrypted_requisition_spec {
                        spec.ciphertext.clear();
                    }
                }),
            ),
            (
                "certificate exists",
                (Code::FailedPrecondition, Some("CERTIFICATE_NOT_FOUND")),
                Box::new(|r| {
                    measurement_of(r).measurement_consumer_certificate =
                        Owner::MeasurementConsumer(MC1).certificate_name(7);
                }),
            ),
        ]
    }

    #[test]
    fn each_violation_alone_gets_the_answer_of_1_5_9() {
        for (step, expected, violate) in violations() {
            let mut request = request(&[DP1, DP2], reach());
            violate(&mut request);
            assert_eq!(create_said(&request), expected, "{step}");
        }
    }

    /// Where two violations can stand together, the earlier step answers; seen where codes differ.
    #[test]
    fn the_earlier_step_of_1_5_9_decides() {
        let all = violations();
        let step = |name: &str| all.iter().find(|(step, ..)| *step == name).unwrap();
        let pairs = [
            ("provider name shape", "provider id decodes"),
            ("provider id decodes", "certificate shape"),
            ("providers exist", "certificate shape"),
            ("certificate belongs to the parent", "per-type checks"),
            ("spec present", "entry certificate id decodes"),
            ("public key present", "per-type checks"),
            ("nonce hashes unique", "per-type checks"),
            ("per-type checks", "entry certificate shape"),
            ("per-type checks", "number of nonce hashes"),
            ("entry nonce hash", "entry certificate id decodes"),
            ("entry certificate id decodes", "no earlier entry with the same provider"),
            ("entry certificate id decodes", "number of nonce hashes"),
            ("number of nonce hashes", "certificate id decodes"),
            ("interval after the protocol choice", "certificate id decodes"),
            ("certificate id decodes", "spec signature"),
            ("ciphertext", "certificate exists"),
        ];
        for (first, second) in pairs {
            let mut request = request(&[DP1, DP2], reach());
            step(first).2(&mut request);
            step(second).2(&mut request);
            assert_eq!(create_said(&request), step(first).1, "{first} before {second}");
            assert_ne!(step(first).1, step(second).1, "the pair shows nothing");
        }
    }

    /// 1.5.9: data_providers non-empty comes first.
    #[test]
    fn a_create_without_providers_is_refused_before_anything_else() {
        let mut request = request(&[], reach());
        measurement_of(&mut request).measurement_consumer_certificate = String::new();
        assert_eq!(create_said(&request), INVALID);
        assert_eq!(create_said(&Request { measurement: None, ..request }), INVALID);
    }

    /// 1.0.6 CreateMeasurement.
    #[test]
    fn principal_then_parent_shape_then_ownership_come_before_1_5_9() {
        let mut kingdom = Kingdom::new();
        let mut request = request(&[], reach());
        let mut call = |caller: Option<&Principal>, request: &Request| {
            said(kingdom.write(|write| create(write, caller, request)))
        };
        request.parent = "x".to_owned();
        assert_eq!(call(None, &request), (Code::Unauthenticated, None));
        assert_eq!(call(Some(&provider(DP1)), &request), INVALID);
        request.parent = Owner::MeasurementConsumer(MC1).name();
        for other in [provider(DP1), consumer(MC2)] {
            assert_eq!(call(Some(&other), &request), (Code::PermissionDenied, None));
        }
    }

    /// 1.0.16: any prefix, but a slash and the very name; and the bytes must parse.
    #[test]
    fn packed_messages_need_a_slash_the_name_and_bytes_that_parse() {
        let name = full_name::ENCRYPTION_PUBLIC_KEY;
        for (type_url, value, is_accepted) in [
            (format!("some/prefix/{name}"), key().value, true),
            (name.to_owned(), key().value, false),
            (format!("type.googleapis.com/{}", full_name::SIGNED_MESSAGE), key().value, false),
            (format!("type.googleapis.com/{name}"), vec![0xff], false),
        ] {
            let any = prost_types::Any { type_url: type_url.clone(), value };
            let in_spec =
                with_spec(reach(), |spec| spec.measurement_public_key = Some(any.clone()));
            let mut in_entry = request(&[DP1], reach());
            value_of(&mut in_entry, 0).data_provider_public_key = Some(any);
            for request in [in_spec, in_entry] {
                let answer = Kingdom::new().try_create(&request);
                if is_accepted {
                    assert!(answer.is_ok(), "{type_url}");
                } else {
                    assert_eq!(said(answer), INVALID, "{type_url}");
                }
            }
        }
    }

    /// 1.5.9, last sentences: `data` passes the public checks, but only `message` is forwarded.
    #[test]
    #[allow(deprecated)]
    fn a_spec_in_the_deprecated_field_alone_is_refused_by_the_data_server() {
        let mut kingdom = Kingdom::new();
        let mut request = request(&[DP1, DP2], reach());
        let legacy = |spec: &pb::MeasurementSpec| {
            Some(pb::SignedMessage {
                message: None,
                data: spec.encode_to_vec(),
                signature: vec![1],
                signature_algorithm_oid: String::new(),
            })
        };
        measurement_of(&mut request).measurement_spec = legacy(&spec_for(2, reach()));
        let refusal = kingdom.try_create(&request).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (Code::InvalidArgument, ""));
        // Any earlier error wins.
        let mut spec = spec_for(2, reach());
        spec.vid_sampling_interval = Some(VidSamplingInterval { start: 2.0, width: 0.5 });
        measurement_of(&mut request).measurement_spec = legacy(&spec);
        assert_eq!(said(kingdom.try_create(&request)), UNKNOWN);
    }

    /// Table 1.5.10, each row's bounds.
    #[test]
    fn per_type_rules_refuse_what_lies_outside_their_bounds() {
        let interval = |start: f32, width: f32| Some(VidSamplingInterval { start, width });
        let dp = |epsilon: f64, delta: f64| Some(pb::DifferentialPrivacyParams { epsilon, delta });
        let good = dp(0.1, 0.0);
        let bad = [None, dp(0.0, 0.0), dp(1.0, -0.1), dp(f64::NAN, 0.0)];
        let mut cases: Vec<Request> = Vec::new();
        for params in bad {
            cases.push(with_spec(
                WireType::Reach(pb::measurement_spec::Reach { privacy_params: params }),
                |_| {},
            ));
            for (first, second) in [(params, good), (good, params)] {
                cases.push(with_spec(
                    WireType::ReachAndFrequency(pb::measurement_spec::ReachAndFrequency {
                        reach_privacy_params: first,
                        frequency_privacy_params: second,
                        maximum_frequency: 2,
                    }),
                    |_| {},
                ));
            }
            cases.push(with_spec(
                WireType::Impression(pb::measurement_spec::Impression {
                    privacy_params: params,
                    maximum_frequency_per_user: 1,
                }),
                |_| {},
            ));
        }
        cases.push(with_spec(
            WireType::ReachAndFrequency(pb::measurement_spec::ReachAndFrequency {
                reach_privacy_params: good,
                frequency_privacy_params: good,
                maximum_frequency: 1,
            }),
            |_| {},
        ));
        cases.push(with_spec(
            WireType::Impression(pb::measurement_spec::Impression {
                privacy_params: good,
                maximum_frequency_per_user: 0,
            }),
            |_| {},
        ));
        cases.push(with_spec(
            WireType::Duration(pb::measurement_spec::Duration {
                privacy_params: good,
                ..pb::measurement_spec::Duration::default()
            }),
            |_| {},
        ));
        cases.push(with_spec(WireType::Population(Population {}), |spec| spec.model_line.clear()));
        cases.push(with_spec(reach(), |spec| spec.measurement_type = None));
        for of in [reach(), reach_and_frequency()] {
            for width in [0.0, -0.5, 1.5, f32::NAN] {
                cases.push(with_spec(of, |spec| spec.vid_sampling_interval = interval(0.0, width)));
            }
            cases.push(with_spec(of, |spec| spec.vid_sampling_interval = None));
        }
        for start in [-0.1, 1.1] {
            cases.push(with_spec(reach_and_frequency(), |spec| {
                spec.vid_sampling_interval = interval(start, 0.5);
            }));
        }
        // Every Direct type too: start + width <= 1.
        for of in [impression(), duration(), WireType::Population(Population {})] {
            cases.push(with_spec(of, |spec| spec.vid_sampling_interval = interval(0.6, 0.5)));
        }
        for request in &cases {
            assert_eq!(create_said(request), INVALID, "{request:?}");
        }
    }

    /// Table 1.5.10, what is allowed, with the protocol it gets (1.5.15).
    #[test]
    fn per_type_rules_accept_what_lies_inside_their_bounds() {
        let types = [
            reach(),
            reach_and_frequency(),
            impression(),
            duration(),
            WireType::Population(Population {}),
        ];
        for of in types {
            let request = with_spec(of, |spec| {
                spec.vid_sampling_interval = Some(VidSamplingInterval { start: 0.5, width: 0.5 });
            });
            assert!(Kingdom::new().try_create(&request).is_ok(), "{of:?}");
        }
        // These types need no interval at all.
        for of in [impression(), duration()] {
            let request = with_spec(of, |spec| spec.vid_sampling_interval = None);
            assert!(Kingdom::new().try_create(&request).is_ok(), "{of:?}");
        }
    }

    /// Quirk reach-sampling-start-is-unknown, 1.5.10.
    #[test]
    fn a_reach_start_outside_its_range_is_unknown_or_as_documented_invalid() {
        for start in [-0.1, 1.1] {
            let request = with_spec(reach(), |spec| {
                spec.vid_sampling_interval = Some(VidSamplingInterval { start, width: 0.5 });
            });
            assert_eq!(create_said(&request), UNKNOWN);
            let mut kingdom = Kingdom::new();
            kingdom.off(Quirk::ReachSamplingStartIsUnknown);
            assert_eq!(said(kingdom.try_create(&request)), INVALID);
        }
    }

    /// 1.5.10, rows after the choice: HMSS and TrusTEE may wrap past 1, LLv2 may not.
    #[test]
    fn only_hmss_and_trustee_intervals_may_wrap() {
        let request = with_spec(reach(), |spec| {
            spec.vid_sampling_interval = Some(VidSamplingInterval { start: 1.0, width: 1.0 });
        });
        assert_eq!(create_said(&request), INVALID);
        let mut hmss = Kingdom::new();
        hmss.enable_hmss();
        assert!(hmss.try_create(&request).is_ok());
        let mut trustee = Kingdom::new();
        trustee.enable_trustee();
        assert!(trustee.try_create(&request).is_ok());
    }

    /// Table 1.5.11, steps 3, 5, 6 and their order.
    #[test]
    fn certificates_are_checked_in_the_order_of_1_5_11() {
        let unknown = |mut request: Request| {
            measurement_of(&mut request).measurement_consumer_certificate =
                Owner::MeasurementConsumer(MC1).certificate_name(7);
            request
        };
        let good = request(&[DP1, DP2], reach());

        let mut kingdom = Kingdom::new();
        kingdom.set_revoked(Owner::MeasurementConsumer(MC1), MC1 + CERTIFICATE);
        let refusal = kingdom.try_create(&good).unwrap_err();
        assert_eq!(refusal.cause, Some(Cause::CertificateRevoked));
        // The event says what the wire does not (1.0.11).
        let named = Owner::MeasurementConsumer(MC1).certificate_name(MC1 + CERTIFICATE);
        assert_eq!(refusal.subject, Some(named));
        let info = refusal.info.unwrap();
        assert_eq!((info.reason, info.metadata.len()), ("CERTIFICATE_IS_INVALID", 0));

        // Step 5: the provider's current certificate, whatever the entry names (1.5.12).
        let mut kingdom = Kingdom::new();
        kingdom.set_revoked(Owner::DataProvider(DP2), DP2 + 2 * CERTIFICATE);
        assert!(kingdom.try_create(&good).is_ok());
        kingdom.set_revoked(Owner::DataProvider(DP2), DP2 + CERTIFICATE);
        assert_eq!(said(kingdom.try_create(&good)), CERT_INVALID);
        // Step 5 before step 6.
        assert_eq!(said(kingdom.try_create(&unknown(good.clone()))), CERT_INVALID);

        // Step 6.
        let refusal = Kingdom::new().try_create(&unknown(good)).unwrap_err();
        assert_eq!(refusal.cause, Some(Cause::CertificateUnknown));
        let info = refusal.info.unwrap();
        let name = Owner::MeasurementConsumer(MC1).certificate_name(7);
        assert_eq!(info.reason, "CERTIFICATE_NOT_FOUND");
        assert_eq!(info.metadata.get("measurementConsumerCertificate"), Some(&name));
    }

    /// 1.5.11 step 1: a principal of a consumer that has no row.
    #[test]
    fn an_unknown_consumer_is_not_found_in_the_transaction() {
        let mut kingdom = Kingdom::new();
        let owner = Owner::MeasurementConsumer(77);
        let mut request = request(&[DP1], reach());
        request.parent = owner.name();
        measurement_of(&mut request).measurement_consumer_certificate = owner.certificate_name(7);
        let answer = kingdom.write(|write| create(write, Some(&consumer(77)), &request));
        assert_eq!(said(answer), (Code::NotFound, Some("MEASUREMENT_CONSUMER_NOT_FOUND")));
    }

    /// 1.6.1: both bounds are inclusive; expiry alone makes the predicate false (1.6.4).
    #[test]
    fn validity_includes_both_ends() {
        // Writes happen one microsecond after `now`.
        for (now, is_valid) in
            [(-2, false), (-1, true), (2_000_000_000_000 - 1, true), (2_000_000_000_000, false)]
        {
            let mut kingdom = Kingdom::new();
            kingdom.now = Timestamp::from_micros(now);
            assert_eq!(kingdom.try_create(&request(&[DP1], reach())).is_ok(), is_valid, "{now}");
        }
    }

    /// 1.5.11: any valid certificate of the consumer will do.
    #[test]
    fn a_valid_certificate_need_not_be_that_of_the_public_key() {
        let mut request = request(&[DP1], reach());
        measurement_of(&mut request).measurement_consumer_certificate =
            Owner::MeasurementConsumer(MC1).certificate_name(MC1 + 2 * CERTIFICATE);
        assert!(Kingdom::new().try_create(&request).is_ok());
    }

    /// 1.5.12 and quirk create-measurement-response-echoes-certificate.
    #[test]
    fn the_response_shows_the_named_certificate_and_reads_show_the_bound_one() {
        let shown = |measurement: &pb::Measurement| -> Vec<String> {
            let entries = measurement.data_providers.iter();
            entries.map(|entry| entry.value.clone().unwrap().data_provider_certificate).collect()
        };
        let named = |ids: [i64; 2], offset: i64| {
            ids.map(|id| Owner::DataProvider(id).certificate_name(id + offset)).to_vec()
        };
        let mut request = request(&[DP2, DP1], reach());
        // Rendered under the entry's provider, whatever parent was written.
        value_of(&mut request, 0).data_provider_certificate =
            Owner::DataProvider(77).certificate_name(DP2 + 2 * CERTIFICATE);
        let mut kingdom = Kingdom::new();
        let created = kingdom.try_create(&request).unwrap();
        assert_eq!(shown(&created), named([DP2, DP1], 2 * CERTIFICATE));
        let name = pb::GetMeasurementRequest { name: created.name };
        let read = get(&kingdom.read(), Some(&consumer(MC1)), &name).unwrap();
        let mut later = shown(&read);
        later.sort();
        let mut bound = named([DP1, DP2], CERTIFICATE);
        bound.sort();
        assert_eq!(later, bound);

        kingdom.off(Quirk::CreateMeasurementResponseEchoesCertificate);
        let created = kingdom.try_create(&request).unwrap();
        assert_eq!(shown(&created), named([DP2, DP1], CERTIFICATE));
    }

    /// 1.5.13: the stored measurement in its current state; body, provider certificates and the
    /// certificate's existence do not matter, its validity does.
    #[test]
    fn a_replay_answers_the_stored_measurement_in_its_current_state() {
        let mut kingdom = Kingdom::new();
        let mut first = request(&[DP1], reach());
        first.request_id = "again".to_owned();
        let created = kingdom.try_create(&first).unwrap();
        let name = pb::CancelMeasurementRequest { name: created.name.clone() };
        kingdom.write(|write| cancel(write, Some(&consumer(MC1)), &name)).unwrap();
        kingdom.set_revoked(Owner::DataProvider(DP1), DP1 + CERTIFICATE);

        let mut replay = request(&[DP1, DP2], impression());
        replay.request_id = "again".to_owned();
        measurement_of(&mut replay).measurement_consumer_certificate =
            Owner::MeasurementConsumer(MC1).certificate_name(7);
        let answer = kingdom.try_create(&replay).unwrap();
        assert_eq!(answer.name, created.name);
        assert_eq!(answer.state(), pb::measurement::State::Cancelled);
        assert_eq!(answer.data_providers.len(), 1);
        let bound = answer.data_providers[0].value.clone().unwrap().data_provider_certificate;
        assert_eq!(bound, Owner::DataProvider(DP1).certificate_name(DP1 + CERTIFICATE));

        // Refused when the certificate *named in the replay* exists and is not valid.
        kingdom.set_revoked(Owner::MeasurementConsumer(MC1), MC1 + CERTIFICATE);
        assert_eq!(said(kingdom.try_create(&first)), CERT_INVALID);
        // All public checks run again.
        measurement_of(&mut replay).data_providers[1].key = Owner::DataProvider(77).name();
        assert_eq!(said(kingdom.try_create(&replay)), (Code::NotFound, None));
    }

    /// 1.5.13: scoped per consumer; an empty one is none.
    #[test]
    fn request_ids_are_scoped_to_their_consumer() {
        let mut kingdom = Kingdom::new();
        let mut mine = request(&[DP1], reach());
        let unnamed =
            [kingdom.try_create(&mine).unwrap().name, kingdom.try_create(&mine).unwrap().name];
        assert_ne!(unnamed[0], unnamed[1]);
        mine.request_id = "id".to_owned();
        kingdom.try_create(&mine).unwrap();
        let owner = Owner::MeasurementConsumer(MC2);
        let mut theirs = mine.clone();
        theirs.parent = owner.name();
        measurement_of(&mut theirs).measurement_consumer_certificate =
            owner.certificate_name(MC2 + CERTIFICATE);
        let answer = kingdom.write(|write| create(write, Some(&consumer(MC2)), &theirs)).unwrap();
        assert!(answer.name.starts_with(&owner.name()));
    }

    fn protocol_of(kingdom: &mut Kingdom, request: &Request) -> &'static str {
        use pb::protocol_config::protocol::Protocol as Wire;
        let config = kingdom.try_create(request).unwrap().protocol_config.unwrap();
        match config.protocols[0].protocol.clone().unwrap() {
            Wire::Direct(_) => "Direct",
            Wire::LiquidLegionsV2(_) => "LLv2",
            Wire::ReachOnlyLiquidLegionsV2(_) => "RO-LLv2",
            Wire::HonestMajorityShareShuffle(_) => "HMSS",
            Wire::TrusTee(_) => "TrusTEE",
        }
    }

    /// 1.5.15, the order of preference.
    #[test]
    fn protocols_are_chosen_in_the_order_of_1_5_15() {
        let two = request(&[DP1, DP2], reach());
        let mut kingdom = Kingdom::new();
        assert_eq!(protocol_of(&mut kingdom, &two), "LLv2");
        kingdom.settings.protocols.ro_llv2_enabled = true;
        assert_eq!(protocol_of(&mut kingdom, &two), "RO-LLv2");
        let frequency = request(&[DP1, DP2], reach_and_frequency());
        assert_eq!(protocol_of(&mut kingdom, &frequency), "LLv2");
        kingdom.enable_hmss();
        assert_eq!(protocol_of(&mut kingdom, &frequency), "HMSS");
        kingdom.enable_trustee();
        assert_eq!(protocol_of(&mut kingdom, &two), "TrusTEE");
        // One provider, or another type, is Direct whatever is enabled.
        assert_eq!(protocol_of(&mut kingdom, &request(&[DP1], reach())), "Direct");
        for of in [impression(), duration(), WireType::Population(Population {})] {
            assert_eq!(protocol_of(&mut kingdom, &request(&[DP1, DP2], of)), "Direct");
        }
    }

    /// 1.5.15: all providers must support it; "enabled" is the flag or the consumer's name.
    #[test]
    fn hmss_needs_every_provider_and_the_flag_or_the_consumers_name() {
        let two = request(&[DP1, DP2], reach());
        let mut kingdom = Kingdom::new();
        kingdom.enable_hmss();
        kingdom.settings.protocols.hmss_enabled = false;
        assert_eq!(protocol_of(&mut kingdom, &two), "LLv2");
        kingdom.settings.protocols.hmss_for = vec![Owner::MeasurementConsumer(MC1).name()];
        assert_eq!(protocol_of(&mut kingdom, &two), "HMSS");
        kingdom.tables.data_providers.update(&DP2, |row| {
            row.capabilities.honest_majority_share_shuffle_supported = false;
        });
        assert_eq!(protocol_of(&mut kingdom, &two), "LLv2");
    }

    /// 1.5.15: the configured mechanism, else the first usable fallback, else no TrusTEE.
    #[test]
    fn trustee_falls_back_to_a_noise_mechanism_that_all_support() {
        use crate::model::protocol::NoiseMechanism as Noise;
        let two = request(&[DP1, DP2], reach());
        let mut kingdom = Kingdom::new();
        kingdom.enable_trustee();
        kingdom.settings.protocols.trustee.noise_mechanism = Noise::DeterministicTruncatedLaplace;
        assert_eq!(protocol_of(&mut kingdom, &two), "LLv2");
        kingdom.settings.protocols.trustee_fallback_noise_mechanisms =
            vec![Noise::DeterministicTruncatedLaplace, Noise::None, Noise::ContinuousGaussian];
        let config = kingdom.try_create(&two).unwrap().protocol_config.unwrap();
        let Some(pb::protocol_config::protocol::Protocol::TrusTee(shown)) =
            config.protocols[0].protocol
        else {
            panic!("not TrusTEE")
        };
        assert_eq!(shown.noise_mechanism(), pb::protocol_config::NoiseMechanism::None);
    }

    /// Table 1.5.8, the rows of Direct.
    #[test]
    fn direct_shows_the_markers_of_its_type_and_the_noise_as_started() {
        let expected: [(WireType, &[u8]); 5] = [
            (reach(), &[2, 3, 7]),
            (reach_and_frequency(), &[2, 3, 4, 7, 8]),
            (impression(), &[2, 5]),
            (duration(), &[2, 6]),
            (WireType::Population(Population {}), &[5]),
        ];
        for (of, fields) in expected {
            let config =
                Kingdom::new().try_create(&request(&[DP1], of)).unwrap().protocol_config.unwrap();
            assert_eq!(config.protocols.len(), 1);
            let Some(pb::protocol_config::protocol::Protocol::Direct(shown)) =
                config.protocols[0].protocol.clone()
            else {
                panic!("not Direct")
            };
            // NONE, CONTINUOUS_LAPLACE, CONTINUOUS_GAUSSIAN
            assert_eq!(shown.noise_mechanisms, [3, 4, 5]);
            let markers = [
                (2, shown.custom_direct_methodology.is_some()),
                (3, shown.deterministic_count_distinct.is_some()),
                (4, shown.deterministic_distribution.is_some()),
                (5, shown.deterministic_count.is_some()),
                (6, shown.deterministic_sum.is_some()),
                (7, shown.liquid_legions_count_distinct.is_some()),
                (8, shown.liquid_legions_distribution.is_some()),
            ];
            let set: Vec<u8> =
                markers.iter().filter(|(_, is_set)| *is_set).map(|(f, _)| *f).collect();
            assert_eq!(set, fields, "{of:?}");
        }
    }

    fn duchies(kingdom: &mut Kingdom, request: &Request) -> Vec<String> {
        let key = kingdom.create(request);
        let computation = kingdom.computation(key);
        let rows = participant::of_computation(&kingdom.tables, computation);
        rows.map(|row| row.duchy.to_string()).collect()
    }

    /// 1.5.16.
    #[test]
    fn duchies_are_the_required_ones_filled_up_to_the_minimum() {
        let two = request(&[DP1, DP2], reach());
        let mut kingdom = Kingdom::new();
        kingdom.settings.protocols.llv2_minimum_duchies = 2;
        assert_eq!(duchies(&mut kingdom, &two), ["aggregator", "worker1"]);
        kingdom.tables.data_providers.update(&DP2, |row| {
            // An id that is not in the Duchy set is ignored.
            row.required_duchies = vec!["worker2".to_owned(), "nobody".to_owned()];
        });
        assert_eq!(duchies(&mut kingdom, &two), ["aggregator", "worker2"]);
        kingdom.enable_hmss();
        assert_eq!(duchies(&mut kingdom, &two), ["aggregator", "worker1", "worker2"]);
        kingdom.enable_trustee();
        assert_eq!(duchies(&mut kingdom, &two), ["aggregator"]);
    }

    fn end_worker2(kingdom: &mut Kingdom, end: Timestamp) {
        let entries: Vec<_> = kingdom.settings.duchies.iter().cloned().collect();
        kingdom.settings.duchies =
            crate::settings::Duchies::new(entries.into_iter().map(|mut entry| {
                entry.active_until = (entry.id == "worker2").then_some(end);
                entry
            }));
    }

    /// 1.5.11 step 7 and 1.0.17 (quirk constraint-violation-is-unknown).
    #[test]
    fn inactive_required_duchies_are_named_and_too_few_active_ones_are_a_constraint() {
        let two = request(&[DP1, DP2], reach());
        let mut kingdom = Kingdom::new();
        // The end is inclusive: the write happens at that very microsecond.
        let end = Timestamp::from_micros(kingdom.now.micros() + 1);
        end_worker2(&mut kingdom, end);
        assert!(kingdom.try_create(&two).is_ok());
        assert_eq!(said(kingdom.try_create(&two)), UNKNOWN);
        kingdom.off(Quirk::ConstraintViolationIsUnknown);
        assert_eq!(said(kingdom.try_create(&two)), (Code::FailedPrecondition, None));
        kingdom
            .tables
            .data_providers
            .update(&DP1, |row| row.required_duchies = vec!["worker2".to_owned()]);
        let refusal = kingdom.try_create(&two).unwrap_err();
        let info = refusal.info.unwrap();
        assert_eq!((refusal.code, info.reason), (Code::FailedPrecondition, "DUCHY_NOT_ACTIVE"));
        assert_eq!(info.metadata.get("duchy").map(String::as_str), Some("duchies/worker2"));
        // MPC only.
        assert!(kingdom.try_create(&request(&[DP1], reach())).is_ok());
    }

    fn batch(requests: Vec<Request>) -> pb::BatchCreateMeasurementsRequest {
        pb::BatchCreateMeasurementsRequest {
            parent: Owner::MeasurementConsumer(MC1).name(),
            requests,
        }
    }

    fn try_batch(kingdom: &mut Kingdom, requests: Vec<Request>) -> Answer<Vec<pb::Measurement>> {
        let batch = batch(requests);
        kingdom
            .write(|write| batch_create(write, Some(&consumer(MC1)), &batch))
            .map(|response| response.measurements)
    }

    /// 1.5.1, 1.5.17: answers in request order, all or nothing, 1 to 50.
    #[test]
    fn a_batch_answers_in_order_and_leaves_nothing_behind_if_one_fails() {
        let mut kingdom = Kingdom::new();
        let named = |reference: &str| {
            let mut request = request(&[DP1], reach());
            measurement_of(&mut request).measurement_reference_id = reference.to_owned();
            request
        };
        let answer = try_batch(&mut kingdom, vec![named("a"), named("b"), named("c")]).unwrap();
        let references: Vec<_> =
            answer.iter().map(|row| row.measurement_reference_id.as_str()).collect();
        assert_eq!(references, ["a", "b", "c"]);
        let mut bad = named("d");
        measurement_of(&mut bad).measurement_consumer_certificate =
            Owner::MeasurementConsumer(MC1).certificate_name(7);
        let answer = try_batch(&mut kingdom, vec![named("e"), bad]);
        assert_eq!(said(answer), (Code::FailedPrecondition, Some("CERTIFICATE_NOT_FOUND")));
        assert_eq!(kingdom.tables.measurements.len(), 3);
        assert_eq!(kingdom.tables.requisitions.len(), 3);
        assert_eq!(said(try_batch(&mut kingdom, vec![])), INVALID);
        assert_eq!(said(try_batch(&mut kingdom, vec![named("x"); 51])), INVALID);
        assert!(try_batch(&mut kingdom, vec![named("x"); 50]).is_ok());
    }

    /// 1.5.1: child parents all empty or all equal; decided after the providers of the whole batch.
    #[test]
    fn child_parents_are_all_empty_or_all_equal_and_come_after_the_providers() {
        let mut kingdom = Kingdom::new();
        let with = request(&[DP1], reach());
        let without = Request { parent: String::new(), ..with.clone() };
        let other = Request { parent: Owner::MeasurementConsumer(MC2).name(), ..with.clone() };
        assert!(try_batch(&mut kingdom, vec![without.clone(), without.clone()]).is_ok());
        for children in
            [vec![with.clone(), without.clone()], vec![without, with.clone()], vec![other.clone()]]
        {
            assert_eq!(said(try_batch(&mut kingdom, children)), INVALID);
        }
        let mut missing = with;
        measurement_of(&mut missing).data_providers[0].key = Owner::DataProvider(77).name();
        assert_eq!(said(try_batch(&mut kingdom, vec![other, missing])), (Code::NotFound, None));
    }

    /// 1.5.17: after its spec checks, unlike in CreateMeasurement.
    #[test]
    fn a_child_without_providers_is_refused_after_its_spec_checks() {
        let mut kingdom = Kingdom::new();
        let mut child = request(&[], reach());
        assert_eq!(said(try_batch(&mut kingdom, vec![child.clone()])), INVALID);
        let mut spec = spec_for(0, reach());
        spec.vid_sampling_interval = Some(VidSamplingInterval { start: 2.0, width: 0.5 });
        put_spec(&mut child, &spec);
        assert_eq!(said(try_batch(&mut kingdom, vec![child])), UNKNOWN);
    }

    /// 1.5.17: one invalid named certificate fails everything, replays included.
    #[test]
    fn one_invalid_certificate_fails_the_batch_even_for_a_replay() {
        let mut kingdom = Kingdom::new();
        let mut old = request(&[DP1], reach());
        old.request_id = "old".to_owned();
        kingdom.try_create(&old).unwrap();
        kingdom.set_revoked(Owner::MeasurementConsumer(MC1), MC1 + CERTIFICATE);
        let mut new = request(&[DP1], reach());
        measurement_of(&mut new).measurement_consumer_certificate =
            Owner::MeasurementConsumer(MC1).certificate_name(MC1 + 2 * CERTIFICATE);
        assert!(try_batch(&mut kingdom, vec![new.clone()]).is_ok());
        assert_eq!(said(try_batch(&mut kingdom, vec![new, old])), CERT_INVALID);
    }

    /// 1.5.17, 1.0.17 (quirk constraint-violation-is-unknown).
    #[test]
    fn the_same_new_request_id_twice_in_a_batch_creates_nothing() {
        let mut kingdom = Kingdom::new();
        let mut twice = request(&[DP1], reach());
        twice.request_id = "twice".to_owned();
        let batch = || vec![twice.clone(), twice.clone()];
        assert_eq!(said(try_batch(&mut kingdom, batch())), UNKNOWN);
        assert!(kingdom.tables.measurements.is_empty());
        kingdom.off(Quirk::ConstraintViolationIsUnknown);
        assert_eq!(said(try_batch(&mut kingdom, batch())), INVALID);
        // An id that is already stored is a replay, twice if need be.
        kingdom.try_create(&twice).unwrap();
        let answer = try_batch(&mut kingdom, batch()).unwrap();
        assert_eq!(answer[0].name, answer[1].name);
    }

    /// Table 1.5.1 BatchGetMeasurements.
    #[test]
    fn batch_get_keeps_order_and_duplicates_and_misses_without_reason() {
        let mut kingdom = Kingdom::new();
        let names: Vec<_> =
            (0..2).map(|_| kingdom.try_create(&request(&[DP1], reach())).unwrap().name).collect();
        let call = |names: Vec<String>| {
            let request = pb::BatchGetMeasurementsRequest {
                parent: Owner::MeasurementConsumer(MC1).name(),
                names,
            };
            batch_get(&kingdom.read(), Some(&consumer(MC1)), &request)
        };
        let wanted = vec![names[1].clone(), names[0].clone(), names[1].clone()];
        let answer = call(wanted.clone()).unwrap();
        assert_eq!(answer.measurements.into_iter().map(|row| row.name).collect::<Vec<_>>(), wanted);
        let missing = Owner::MeasurementConsumer(MC1).name() + "/measurements/AAAAAAAAAZQ";
        assert_eq!(said(call(vec![names[0].clone(), missing])), (Code::NotFound, None));
        assert_eq!(said(call(vec![])), INVALID);
        assert_eq!(said(call(vec![names[0].clone(); 51])), INVALID);
        assert_eq!(said(call(vec!["x".to_owned()])), INVALID);
        let foreign = Owner::MeasurementConsumer(MC2).name() + "/measurements/AAAAAAAAAZQ";
        assert_eq!(said(call(vec![foreign])), INVALID);
    }

    /// 1.0.6 Measurements.*: principal, its kind, shape, ownership, ids; 1.5.1.
    #[test]
    fn get_and_cancel_check_the_principals_kind_before_the_name() {
        let mut kingdom = Kingdom::new();
        let own = Owner::MeasurementConsumer(MC1).name();
        let cases = [
            (None, "x".to_owned(), (Code::Unauthenticated, None)),
            (Some(provider(DP1)), "x".to_owned(), (Code::PermissionDenied, None)),
            (Some(consumer(MC1)), "x".to_owned(), INVALID),
            (Some(consumer(MC2)), format!("{own}/measurements/x"), (Code::PermissionDenied, None)),
            (Some(consumer(MC1)), format!("{own}/measurements/x"), UNKNOWN),
            (
                Some(consumer(MC1)),
                format!("{own}/measurements/AAAAAAAAAZQ"),
                (Code::NotFound, Some("MEASUREMENT_NOT_FOUND")),
            ),
        ];
        for (caller, name, expected) in cases {
            let request = pb::GetMeasurementRequest { name: name.clone() };
            assert_eq!(said(get(&kingdom.read(), caller.as_ref(), &request)), expected, "{name}");
            let request = pb::CancelMeasurementRequest { name };
            let answer = kingdom.write(|write| cancel(write, caller.as_ref(), &request));
            assert_eq!(said(answer), expected);
        }
        kingdom.off(Quirk::MalformedIdIsUnknown);
        let request = pb::GetMeasurementRequest { name: format!("{own}/measurements/x") };
        assert_eq!(said(get(&kingdom.read(), Some(&consumer(MC1)), &request)), INVALID);
    }

    /// Table 1.5.1 CancelMeasurement.
    #[test]
    fn cancelling_withdraws_open_requisitions_only_while_it_awaited_them() {
        for state in State::ALL {
            let mut kingdom = Kingdom::new();
            let key = kingdom.computed();
            kingdom.force(key, state);
            let name = measurement::find(&kingdom.tables, key).unwrap().name();
            let request = pb::CancelMeasurementRequest { name: name.clone() };
            let answer = kingdom.write(|write| cancel(write, Some(&consumer(MC1)), &request));
            let withdrawn = (RequisitionState::Withdrawn, RequisitionState::Withdrawn);
            let is_withdrawn = kingdom.requisition_states(key) == withdrawn;
            match state {
                State::PendingRequisitionParams | State::PendingRequisitionFulfillment => {
                    assert_eq!(answer.unwrap().state(), pb::measurement::State::Cancelled);
                    assert!(is_withdrawn);
                }
                State::PendingParticipantConfirmation | State::PendingComputation => {
                    assert_eq!(answer.unwrap().state(), pb::measurement::State::Cancelled);
                    assert!(!is_withdrawn);
                }
                State::Succeeded | State::Failed | State::Cancelled => {
                    let refusal = answer.unwrap_err();
                    assert_eq!(refusal.code, Code::FailedPrecondition);
                    let info = refusal.info.unwrap();
                    assert_eq!(info.reason, "MEASUREMENT_STATE_ILLEGAL");
                    assert_eq!(info.metadata.get("measurement"), Some(&name));
                    assert_eq!(
                        info.metadata.get("state").map(String::as_str),
                        Some(state.names().0)
                    );
                    assert!(!is_withdrawn);
                }
            }
        }
    }

    /// Table 1.5.6, 1.5.2: what a fresh measurement shows.
    #[test]
    #[allow(deprecated)]
    fn a_response_shows_the_fields_of_1_5_6() {
        let mut kingdom = Kingdom::new();
        let sent = request(&[DP1], reach());
        let shown = kingdom.try_create(&sent).unwrap();
        assert_eq!(shown.measurement_reference_id, "reference");
        assert_eq!(shown.state(), pb::measurement::State::AwaitingRequisitionFulfillment);
        assert_eq!(
            (shown.create_time, shown.update_time),
            (Some(kingdom.now.to_proto()), Some(kingdom.now.to_proto()))
        );
        let spec = shown.measurement_spec.unwrap();
        let sent_spec = sent.measurement.unwrap().measurement_spec.unwrap();
        let message = sent_spec.message.unwrap();
        assert_eq!((spec.message.unwrap(), spec.data), (message.clone(), message.value));
        assert_eq!(
            (spec.signature, spec.signature_algorithm_oid),
            (sent_spec.signature, "1.2".to_owned())
        );
        let config = shown.protocol_config.unwrap();
        assert_eq!(config.measurement_type(), pb::protocol_config::MeasurementType::Reach);
        assert_eq!((config.name.as_str(), config.protocol), ("", None));
        assert!(shown.results.is_empty() && shown.failure.is_none());
        // 1.5.2: Direct and MPC start in different internal states, the same public one.
        let (direct, computed) = (kingdom.direct(), kingdom.computed());
        assert_eq!(kingdom.state(direct), State::PendingRequisitionFulfillment);
        assert_eq!(kingdom.state(computed), State::PendingRequisitionParams);
    }

    fn list_request() -> pb::ListMeasurementsRequest {
        pb::ListMeasurementsRequest {
            parent: Owner::MeasurementConsumer(MC1).name(),
            ..pb::ListMeasurementsRequest::default()
        }
    }

    fn listed(kingdom: &Kingdom, request: &pb::ListMeasurementsRequest) -> (Vec<String>, String) {
        let page = list(&kingdom.read(), Some(&consumer(MC1)), request).unwrap();
        (page.measurements.into_iter().map(|row| row.name).collect(), page.next_page_token)
    }

    fn list_said(
        kingdom: &Kingdom,
        request: &pb::ListMeasurementsRequest,
    ) -> (Code, Option<&'static str>) {
        said(list(&kingdom.read(), Some(&consumer(MC1)), request))
    }

    /// 1.5.4 and quirk list-measurements-repeats-first-page.
    #[test]
    fn a_second_page_repeats_the_first_or_as_documented_follows_it() {
        let mut kingdom = Kingdom::new();
        let names: Vec<_> =
            (0..3).map(|_| kingdom.try_create(&request(&[DP1], reach())).unwrap().name).collect();
        let first = pb::ListMeasurementsRequest { page_size: 2, ..list_request() };
        let (page, token) = listed(&kingdom, &first);
        assert_eq!(page, names[..2]);
        let second = pb::ListMeasurementsRequest { page_token: token.clone(), ..first.clone() };
        assert_eq!(listed(&kingdom, &second), (page, token));

        kingdom.off(Quirk::ListMeasurementsRepeatsFirstPage);
        let (_, token) = listed(&kingdom, &first);
        let second = pb::ListMeasurementsRequest { page_token: token, ..first };
        assert_eq!(listed(&kingdom, &second), (names[2..].to_vec(), String::new()));
    }

    /// 1.5.4: order is update_time, so a change moves a measurement to the end.
    #[test]
    fn a_list_is_ordered_by_update_time() {
        let mut kingdom = Kingdom::new();
        let names: Vec<_> =
            (0..3).map(|_| kingdom.try_create(&request(&[DP1], reach())).unwrap().name).collect();
        let cancelled = pb::CancelMeasurementRequest { name: names[0].clone() };
        kingdom.write(|write| cancel(write, Some(&consumer(MC1)), &cancelled)).unwrap();
        let (page, _) = listed(&kingdom, &list_request());
        assert_eq!(page, [names[1].clone(), names[2].clone(), names[0].clone()]);
    }

    /// 1.5.4: states, and four exclusive bounds.
    #[test]
    fn filters_are_exclusive_and_public_states_stand_for_internal_ones() {
        let mut kingdom = Kingdom::new();
        let mut times = Vec::new();
        for _ in 0..3 {
            kingdom.direct();
            times.push(Some(kingdom.now.to_proto()));
        }
        let key = kingdom.computed();
        let count = |filter: pb::list_measurements_request::Filter| {
            let request = pb::ListMeasurementsRequest { filter: Some(filter), ..list_request() };
            listed(&kingdom, &request).0.len()
        };
        type F = pb::list_measurements_request::Filter;
        assert_eq!(
            count(F { updated_after: times[0], updated_before: times[2], ..F::default() }),
            1
        );
        assert_eq!(
            count(F { created_after: times[0], created_before: times[2], ..F::default() }),
            1
        );
        let states = |states: &[i32]| F { states: states.to_vec(), ..F::default() };
        assert_eq!(count(states(&[1])), 4);
        assert_eq!(count(states(&[0])), 0);
        assert_eq!(count(states(&[2, 3, 4, 5])), 0);
        kingdom.force(key, State::PendingParticipantConfirmation);
        let request = pb::ListMeasurementsRequest { filter: Some(states(&[2])), ..list_request() };
        assert_eq!(listed(&kingdom, &request).0.len(), 1);
    }

    /// 1.0.6 ListMeasurements: ownership last.
    #[test]
    fn a_list_decides_ownership_last() {
        let kingdom = Kingdom::new();
        let call = |caller: Option<Principal>, request: pb::ListMeasurementsRequest| {
            said(list(&kingdom.read(), caller.as_ref(), &request))
        };
        let bad_parent = pb::ListMeasurementsRequest { parent: "x".to_owned(), ..list_request() };
        assert_eq!(call(None, bad_parent.clone()), (Code::Unauthenticated, None));
        assert_eq!(call(Some(provider(DP1)), bad_parent.clone()), (Code::PermissionDenied, None));
        assert_eq!(call(Some(consumer(MC2)), bad_parent), INVALID);
        let negative = pb::ListMeasurementsRequest { page_size: -1, ..list_request() };
        assert_eq!(call(Some(consumer(MC2)), negative), INVALID);
        let garbage = pb::ListMeasurementsRequest { page_token: "~".to_owned(), ..list_request() };
        assert_eq!(call(Some(consumer(MC2)), garbage), UNKNOWN);
        assert_eq!(call(Some(consumer(MC2)), list_request()), (Code::PermissionDenied, None));
        // 1.1.4: decoded ids are compared, so another spelling of the own id will do.
        let own = Owner::MeasurementConsumer(MC1).name();
        let spelled = pb::ListMeasurementsRequest { parent: format!("{own}="), ..list_request() };
        assert!(list(&kingdom.read(), Some(&consumer(MC1)), &spelled).is_ok());
    }

    /// 1.0.13, and quirk malformed-page-token-is-unknown.
    #[test]
    fn a_token_must_equal_the_request_but_states_are_a_set() {
        let mut kingdom = Kingdom::new();
        for _ in 0..3 {
            kingdom.direct();
        }
        let filter = |states: &[i32]| {
            Some(pb::list_measurements_request::Filter {
                states: states.to_vec(),
                ..Default::default()
            })
        };
        let first =
            pb::ListMeasurementsRequest { page_size: 1, filter: filter(&[1, 2]), ..list_request() };
        let (_, page_token) = listed(&kingdom, &first);
        let with = |states: &[i32]| pb::ListMeasurementsRequest {
            page_token: page_token.clone(),
            filter: filter(states),
            ..list_request()
        };
        assert_eq!(listed(&kingdom, &with(&[2, 1, 1])).0.len(), 1);
        assert_eq!(list_said(&kingdom, &with(&[1])), INVALID);
        let time = Some(kingdom.now.to_proto());
        type F = pb::list_measurements_request::Filter;
        for other in [
            F { updated_after: time, states: vec![1, 2], ..F::default() },
            F { updated_before: time, states: vec![1, 2], ..F::default() },
            F { created_after: time, states: vec![1, 2], ..F::default() },
            F { created_before: time, states: vec![1, 2], ..F::default() },
        ] {
            let request = pb::ListMeasurementsRequest { filter: Some(other), ..with(&[]) };
            assert_eq!(list_said(&kingdom, &request), INVALID);
        }
        let garbage = pb::ListMeasurementsRequest { page_token: "~".to_owned(), ..list_request() };
        assert_eq!(list_said(&kingdom, &garbage), UNKNOWN);
        kingdom.off(Quirk::MalformedPageTokenIsUnknown);
        assert_eq!(list_said(&kingdom, &garbage), INVALID);
    }

    /// 1.5.4, 1.5.5: with a token 1..1000 replaces the stored size, 0 and more keep it.
    #[test]
    fn page_sizes_default_to_50_and_a_token_keeps_its_own() {
        let mut kingdom = Kingdom::new();
        for _ in 0..60 {
            kingdom.direct();
        }
        let size = |page_size, page_token: &str| {
            let request = pb::ListMeasurementsRequest {
                page_size,
                page_token: page_token.to_owned(),
                ..list_request()
            };
            listed(&kingdom, &request).0.len()
        };
        assert_eq!(size(0, ""), 50);
        assert_eq!(size(5000, ""), 60);
        let (_, token) =
            listed(&kingdom, &pb::ListMeasurementsRequest { page_size: 7, ..list_request() });
        assert_eq!(size(0, &token), 7);
        assert_eq!(size(1001, &token), 7);
        assert_eq!(size(9, &token), 9);
    }
}
