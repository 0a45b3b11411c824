//! Requisitions of the public API (contract 1.7; order of checks 1.0.6).

use super::certificates::{signed, unsigned};
use super::measurements::spec_to_proto;
use super::public_keys::{API_VERSION, signed_message};
use super::{
    Answer, Caller, bad_shape, decode_id, decode_token, encode_token, encrypted_message, full_name,
    packed, page_size, protocol_config, require_owner, signed_message_url, whitelist,
};
use crate::error::{Code, InternalError, Refusal};
use crate::model::measurement;
use crate::model::participant::{self, Params, Participant, SignedKey};
use crate::model::requisition::{
    self, DirectResult, Fulfillment, FulfillmentContext, Parent, Requisition, RequisitionKey, State,
};
use crate::model::{Owner, Read, Timestamp, Write};
use crate::quirk::Quirk;
use kingdom_proto::{name, v2alpha as pb};
use pb::list_requisitions_page_token::PreviousPageEnd;
use pb::requisition::duchy_entry::{self, value::Protocol as DuchyProtocol};
use std::collections::BTreeSet;

/// ListRequisitions (contract 1.7.2, 1.0.13).
pub fn list(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::ListRequisitionsRequest,
) -> Answer<pb::ListRequisitionsResponse> {
    let parent = ParentName::parse(&request.parent).ok_or_else(|| bad_shape("parent"))?;
    let filter = request.filter.clone().unwrap_or_default();
    check_measurement_states(&filter)?;
    require_owner(caller, &parent.owner())?;
    let size = page_size(request.page_size, 10, 500)?;
    let parent = parent.decode(read)?;
    let first_page = list_token(parent, filter.states);
    let token = if request.page_token.is_empty() {
        first_page
    } else {
        let token: pb::ListRequisitionsPageToken = decode_token(read, &request.page_token)?;
        let is_same_parent = parent_ids(&token) == parent_ids(&first_page);
        let is_same_filter = token.states == first_page.states
            || !read.faithful(Quirk::ListRequisitionsTokenNeedsSameFilter);
        if !is_same_parent || !is_same_filter {
            return Err(Refusal::invalid_argument("page_token does not match the request"));
        }
        token
    };
    let states: BTreeSet<State> = if token.states.is_empty() {
        State::LISTED.into_iter().collect()
    } else {
        token.states.iter().filter_map(|state| State::from_public(*state)).collect()
    };
    let after = token.last_requisition.as_ref().map(|last| {
        let time = last.update_time.as_ref().map(Timestamp::from_proto).unwrap_or_default();
        (time, signed(last.external_data_provider_id), signed(last.external_requisition_id))
    });
    let rows = requisition::list(read, parent, &states, after, size + 1);
    let next_page_token = match rows.get(size - 1) {
        Some(last) if rows.len() > size => encode_token(&pb::ListRequisitionsPageToken {
            last_requisition: Some(PreviousPageEnd {
                update_time: Some(last.update_time.to_proto()),
                external_data_provider_id: unsigned(last.data_provider),
                external_requisition_id: unsigned(last.id),
            }),
            ..token
        }),
        _ => String::new(),
    };
    let page = rows.into_iter().take(size).map(|row| to_proto(read, row));
    Ok(pb::ListRequisitionsResponse { requisitions: page.collect::<Answer<_>>()?, next_page_token })
}

/// GetRequisition (contract 1.7.3, 1.7.4).
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetRequisitionRequest,
) -> Answer<pb::Requisition> {
    let name = shape(&request.name)?;
    require_provider(caller, &name)?;
    let key = decode(read, &name)?;
    let row =
        requisition::get(read, key).map_err(|error| error.public(whitelist::GET_REQUISITION))?;
    to_proto(read, row)
}

/// RefuseRequisition (contract 1.7.5 to 1.7.7).
pub fn refuse(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::RefuseRequisitionRequest,
) -> Answer<pb::Requisition> {
    let name = shape(&request.name)?;
    let refusal = request.refusal.clone().unwrap_or_default();
    if refusal.justification == 0 {
        return Err(Refusal::invalid_argument("refusal.justification is not set"));
    }
    require_provider(caller, &name)?;
    let key = decode(&write.read(), &name)?;
    let refusal =
        requisition::Refusal { justification: refusal.justification, message: refusal.message };
    let row = requisition::refuse(write, key, &request.etag, refusal)
        .map_err(|error| translate(&write.read(), error, whitelist::REFUSE_REQUISITION))?;
    to_proto(&write.read(), &row)
}

/// FulfillDirectRequisition (contract 1.7.8, 1.7.9). The nonce is not verified.
#[allow(deprecated, reason = "the deprecated ciphertext is still accepted")]
pub fn fulfill_direct(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::FulfillDirectRequisitionRequest,
) -> Answer<pb::FulfillDirectRequisitionResponse> {
    let name = shape(&request.name)?;
    if request.nonce == 0 {
        return Err(Refusal::invalid_argument("nonce is not set"));
    }
    let encrypted_data = match &request.encrypted_result {
        Some(result) if result.type_url == signed_message_url() => result.ciphertext.clone(),
        None if !request.encrypted_result_ciphertext.is_empty() => {
            request.encrypted_result_ciphertext.clone()
        }
        _ => return Err(Refusal::invalid_argument("encrypted_result is unset or invalid")),
    };
    require_provider(caller, &name)?;
    let key = decode(&write.read(), &name)?;
    // Only the id is kept: it is shown under the fulfilling provider, whatever parent was written.
    let certificate = if request.certificate.is_empty() {
        None
    } else {
        let certificate = name::DataProviderCertificateName::parse(&request.certificate)
            .ok_or_else(|| bad_shape("certificate"))?;
        Some(decode_id(&write.read(), &certificate.certificate)?)
    };
    let result = DirectResult { encrypted_data, certificate, api_version: API_VERSION.to_owned() };
    let fulfillment = Fulfillment {
        nonce: request.nonce,
        context: request.fulfillment_context.as_ref().map(|context| FulfillmentContext {
            build_label: context.build_label.clone(),
            warnings: context.warnings.clone(),
        }),
        etag: request.etag.clone(),
    };
    let row = requisition::fulfill_direct(write, key, result, fulfillment)
        .map_err(|error| translate(&write.read(), error, whitelist::FULFILL_DIRECT_REQUISITION))?;
    Ok(pb::FulfillDirectRequisitionResponse { state: row.state.to_public() })
}

/// The whitelist, and ABORTED where quirk `requisition-etag-mismatch-is-unknown` is off (1.7.10).
fn translate(read: &Read<'_>, error: InternalError, whitelist: &[Code]) -> Refusal {
    if error.code == Code::Aborted && !read.faithful(Quirk::RequisitionEtagMismatchIsUnknown) {
        error.public(&[Code::Aborted])
    } else {
        error.public(whitelist)
    }
}

/// The canonical name only (contract 1.7.1).
fn shape(text: &str) -> Answer<name::RequisitionName> {
    name::RequisitionName::parse(text).ok_or_else(|| bad_shape("name"))
}

fn require_provider(caller: Caller<'_>, name: &name::RequisitionName) -> Answer<()> {
    require_owner(caller, &name::DataProviderName::new(&name.data_provider).to_string())
}

fn decode(read: &Read<'_>, name: &name::RequisitionName) -> Answer<RequisitionKey> {
    Ok((decode_id(read, &name.data_provider)?, decode_id(read, &name.requisition)?))
}

/// A list's parent by shape (contract 1.7.2).
enum ParentName {
    DataProvider(name::DataProviderName),
    Measurement(name::MeasurementName),
}

impl ParentName {
    fn parse(text: &str) -> Option<Self> {
        name::DataProviderName::parse(text)
            .map(Self::DataProvider)
            .or_else(|| name::MeasurementName::parse(text).map(Self::Measurement))
    }

    /// Name of the only principal that may list it.
    fn owner(&self) -> String {
        match self {
            Self::DataProvider(name) => name.to_string(),
            Self::Measurement(name) => {
                name::MeasurementConsumerName::new(&name.measurement_consumer).to_string()
            }
        }
    }

    fn decode(&self, read: &Read<'_>) -> Answer<Parent> {
        Ok(match self {
            Self::DataProvider(name) => Parent::DataProvider(decode_id(read, &name.data_provider)?),
            Self::Measurement(name) => Parent::Measurement((
                decode_id(read, &name.measurement_consumer)?,
                decode_id(read, &name.measurement)?,
            )),
        })
    }
}

/// `measurement_states`: refused, except one combination without further effect (contract 1.7.2).
#[allow(deprecated, reason = "the deprecated field is refused")]
fn check_measurement_states(filter: &pb::list_requisitions_request::Filter) -> Answer<()> {
    let unfulfilled = i32::from(pb::requisition::State::Unfulfilled);
    let awaiting = i32::from(pb::measurement::State::AwaitingRequisitionFulfillment);
    let is_accepted = filter.measurement_states.is_empty()
        || filter.states == [unfulfilled] && filter.measurement_states == [awaiting];
    if is_accepted {
        Ok(())
    } else {
        Err(Refusal::invalid_argument("filter.measurement_states is not supported"))
    }
}

fn list_token(parent: Parent, states: Vec<i32>) -> pb::ListRequisitionsPageToken {
    let unset = pb::ListRequisitionsPageToken { states, ..Default::default() };
    match parent {
        Parent::DataProvider(id) => {
            pb::ListRequisitionsPageToken { external_data_provider_id: unsigned(id), ..unset }
        }
        Parent::Measurement((consumer, measurement)) => pb::ListRequisitionsPageToken {
            external_measurement_consumer_id: unsigned(consumer),
            external_measurement_id: unsigned(measurement),
            ..unset
        },
    }
}

fn parent_ids(token: &pb::ListRequisitionsPageToken) -> (u64, u64, u64) {
    (
        token.external_measurement_consumer_id,
        token.external_measurement_id,
        token.external_data_provider_id,
    )
}

/// A requisition as reads show it (table 1.7.12).
///
/// # Errors
/// None that a caller can cause: a requisition without its measurement.
#[allow(deprecated, reason = "reads fill the deprecated fields as well")]
pub fn to_proto(read: &Read<'_>, row: &Requisition) -> Answer<pb::Requisition> {
    let measurement =
        measurement::find(read.tables, row.measurement_key()).map_err(|_| Refusal::uncaught())?;
    let consumer = Owner::MeasurementConsumer(measurement.measurement_consumer);
    let provider = Owner::DataProvider(row.data_provider);
    let participants = measurement
        .computation
        .into_iter()
        .flat_map(|computation| participant::of_computation(read.tables, computation));
    Ok(pb::Requisition {
        name: row.name(),
        measurement: measurement.name(),
        measurement_consumer_certificate: consumer.certificate_name(measurement.certificate),
        measurement_spec: Some(spec_to_proto(measurement)),
        protocol_config: Some(protocol_config::to_proto(measurement)),
        data_provider_certificate: provider.certificate_name(row.certificate),
        data_provider_public_key: Some(packed(full_name::ENCRYPTION_PUBLIC_KEY, &row.public_key)),
        signed_data_provider_public_key: Some(signed_message(
            full_name::ENCRYPTION_PUBLIC_KEY,
            &row.public_key,
            &[],
            "",
        )),
        encrypted_requisition_spec: Some(encrypted_message(&row.encrypted_requisition_spec)),
        encrypted_requisition_spec_ciphertext: row.encrypted_requisition_spec.to_vec(),
        duchies: participants.filter_map(|duchy| duchy_to_proto(read, row, duchy)).collect(),
        state: row.state.to_public(),
        nonce: row.nonce,
        refusal: row.refusal.as_ref().map(|refusal| pb::requisition::Refusal {
            justification: refusal.justification,
            message: refusal.message.clone(),
        }),
        fulfillment_context: row.fulfillment_context.as_ref().map(|context| {
            pb::requisition::FulfillmentContext {
                build_label: context.build_label.clone(),
                warnings: context.warnings.clone(),
            }
        }),
        measurement_state: measurement.state.to_public(),
        update_time: Some(row.update_time.to_proto()),
        etag: row.etag(),
    })
}

/// One of `duchies` (contract 1.7.13); `None` while the participant has not set its parameters, and
/// for a Duchy of HMSS that gave no key.
fn duchy_to_proto(
    read: &Read<'_>,
    row: &Requisition,
    participant: &Participant,
) -> Option<pb::requisition::DuchyEntry> {
    use pb::requisition::duchy_entry::{HonestMajorityShareShuffle, LiquidLegionsV2, TrusTee};
    let owner = Owner::Duchy(participant.duchy.clone());
    let certificate = participant.certificate?;
    let el_gamal = |key: &SignedKey| LiquidLegionsV2 {
        el_gamal_public_key: Some(key_to_proto(full_name::EL_GAMAL_PUBLIC_KEY, key)),
    };
    let protocol = match participant.params.as_ref()? {
        Params::LiquidLegionsV2(key) => DuchyProtocol::LiquidLegionsV2(el_gamal(key)),
        Params::ReachOnlyLiquidLegionsV2(key) => {
            DuchyProtocol::ReachOnlyLiquidLegionsV2(el_gamal(key))
        }
        Params::HonestMajorityShareShuffle(key) if key.key.is_empty() => return None,
        Params::HonestMajorityShareShuffle(key) => {
            let is_fulfilling = row.fulfilling_duchy.as_ref() == Some(&participant.duchy);
            DuchyProtocol::HonestMajorityShareShuffle(HonestMajorityShareShuffle {
                public_key: (!is_fulfilling)
                    .then(|| key_to_proto(full_name::ENCRYPTION_PUBLIC_KEY, key)),
            })
        }
        Params::TrusTee => DuchyProtocol::TrusTee(TrusTee {}),
    };
    let key = if read.faithful(Quirk::RequisitionDuchyKeyIsBareId) {
        participant.duchy.to_string()
    } else {
        owner.name()
    };
    let value = duchy_entry::Value {
        duchy_certificate: owner.certificate_name(certificate),
        protocol: Some(protocol),
    };
    Some(pb::requisition::DuchyEntry { key, value: Some(value) })
}

fn key_to_proto(full_name: &str, key: &SignedKey) -> pb::SignedMessage {
    signed_message(full_name, &key.key, &key.signature, &key.signature_algorithm_oid)
}
