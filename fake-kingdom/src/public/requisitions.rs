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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::Principal;
    use crate::model::fixture::{
        CERTIFICATE, DP1, DP2, Kingdom, MC1, MC2, consumer, el_gamal, provider, said, tink,
    };
    use crate::model::measurement::{FailureReason, MeasurementKey, State as M};
    use crate::public;
    use kingdom_proto::ApiId;

    const INVALID: (Code, Option<&str>) = (Code::InvalidArgument, None);
    const UNKNOWN: (Code, Option<&str>) = (Code::Unknown, None);
    const STATE_ILLEGAL: (Code, Option<&str>) =
        (Code::FailedPrecondition, Some("REQUISITION_STATE_ILLEGAL"));

    fn name_of(kingdom: &Kingdom, key: MeasurementKey, provider: i64) -> String {
        kingdom.requisition(key, provider).name()
    }

    fn try_get(kingdom: &Kingdom, key: MeasurementKey, id: i64) -> Answer<pb::Requisition> {
        let request = pb::GetRequisitionRequest { name: name_of(kingdom, key, id) };
        get(&kingdom.read(), Some(&provider(id)), &request)
    }

    fn refusal(name: String) -> pb::RefuseRequisitionRequest {
        let refusal = pb::requisition::Refusal { justification: 1, message: "no".to_owned() };
        pb::RefuseRequisitionRequest { name, refusal: Some(refusal), etag: String::new() }
    }

    #[allow(deprecated)]
    fn fulfilment(name: String) -> pb::FulfillDirectRequisitionRequest {
        pb::FulfillDirectRequisitionRequest {
            name,
            encrypted_result: Some(encrypted_message(b"result")),
            nonce: 5,
            ..pb::FulfillDirectRequisitionRequest::default()
        }
    }

    fn try_refuse(
        kingdom: &mut Kingdom,
        caller: Option<&Principal>,
        request: &pb::RefuseRequisitionRequest,
    ) -> Answer<pb::Requisition> {
        kingdom.write(|write| refuse(write, caller, request))
    }

    fn try_fulfill(
        kingdom: &mut Kingdom,
        caller: Option<&Principal>,
        request: &pb::FulfillDirectRequisitionRequest,
    ) -> Answer<pb::FulfillDirectRequisitionResponse> {
        kingdom.write(|write| fulfill_direct(write, caller, request))
    }

    /// A Direct measurement of two providers.
    fn direct_of_two(kingdom: &mut Kingdom) -> MeasurementKey {
        let impression = public::measurements::create;
        let request =
            crate::model::fixture::request(&[DP1, DP2], crate::model::fixture::impression());
        let name = kingdom.write(|w| impression(w, Some(&consumer(MC1)), &request)).unwrap().name;
        (MC1, ApiId::decode(name.rsplit('/').next().unwrap()).unwrap().value())
    }

    /// 1.7.5, in order, for Refuse and Fulfill alike.
    #[test]
    fn existence_then_etag_then_requisition_then_measurement_are_checked() {
        let mut kingdom = Kingdom::new();
        let key = direct_of_two(&mut kingdom);
        let both = |kingdom: &mut Kingdom, name: &str, etag: &str| {
            let refusal =
                pb::RefuseRequisitionRequest { etag: etag.to_owned(), ..refusal(name.to_owned()) };
            let fulfilment = pb::FulfillDirectRequisitionRequest {
                etag: etag.to_owned(),
                ..fulfilment(name.to_owned())
            };
            let first = said(try_refuse(kingdom, Some(&provider(DP1)), &refusal));
            let second = said(try_fulfill(kingdom, Some(&provider(DP1)), &fulfilment));
            assert_eq!(first, second);
            first
        };
        let own = Owner::DataProvider(DP1).name();
        let missing = format!("{own}/requisitions/AAAAAAAAAZQ");
        assert_eq!(
            both(&mut kingdom, &missing, "x"),
            (Code::NotFound, Some("REQUISITION_NOT_FOUND"))
        );
        // The measurement's state last.
        let name = name_of(&kingdom, key, DP1);
        kingdom.force(key, M::Cancelled);
        let expected = (Code::FailedPrecondition, Some("MEASUREMENT_STATE_ILLEGAL"));
        assert_eq!(both(&mut kingdom, &name, ""), expected);
        kingdom.force(key, M::PendingRequisitionFulfillment);
        try_fulfill(&mut kingdom, Some(&provider(DP1)), &fulfilment(name.clone())).unwrap();
        kingdom.force(key, M::Cancelled);
        assert_eq!(both(&mut kingdom, &name, ""), STATE_ILLEGAL);
        // The etag before the state.
        let expected = (Code::Unknown, Some("REQUISITION_ETAG_MISMATCH"));
        assert_eq!(both(&mut kingdom, &name, "x"), expected);
    }

    /// 1.7.10 and quirk requisition-etag-mismatch-is-unknown; 1.0.11 for the metadata.
    #[test]
    fn an_etag_mismatch_names_both_etags() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        let name = name_of(&kingdom, key, DP1);
        let actual = kingdom.requisition(key, DP1).etag();
        let wrong =
            pb::RefuseRequisitionRequest { etag: "W/\"0\"".to_owned(), ..refusal(name.clone()) };
        for code in [Code::Unknown, Code::Aborted] {
            let answer = try_refuse(&mut kingdom, Some(&provider(DP1)), &wrong).unwrap_err();
            assert_eq!(answer.code, code);
            let metadata = answer.info.unwrap().metadata;
            assert_eq!(metadata.get("requestEtag").map(String::as_str), Some("W/\"0\""));
            assert_eq!(metadata.get("actualEtag"), Some(&actual));
            let wrong = pb::FulfillDirectRequisitionRequest {
                etag: "x".to_owned(),
                ..fulfilment(name.clone())
            };
            assert_eq!(
                try_fulfill(&mut kingdom, Some(&provider(DP1)), &wrong).unwrap_err().code,
                code
            );
            kingdom.off(Quirk::RequisitionEtagMismatchIsUnknown);
        }
        let right = pb::RefuseRequisitionRequest { etag: actual, ..refusal(name) };
        assert!(try_refuse(&mut kingdom, Some(&provider(DP1)), &right).is_ok());
    }

    /// 1.7.6, order of the public checks.
    #[test]
    fn a_refusal_checks_name_and_justification_before_the_principal() {
        let mut kingdom = Kingdom::new();
        let own = Owner::DataProvider(DP1).name();
        let with = |name: &str, justification: i32| pb::RefuseRequisitionRequest {
            refusal: Some(pb::requisition::Refusal { justification, message: String::new() }),
            ..refusal(name.to_owned())
        };
        let bad_id = format!("{own}/requisitions/x");
        let mut call = |caller: Option<Principal>, request: &pb::RefuseRequisitionRequest| {
            said(try_refuse(&mut kingdom, caller.as_ref(), request))
        };
        assert_eq!(call(None, &with("x", 1)), INVALID);
        assert_eq!(call(None, &with(&bad_id, 0)), INVALID);
        assert_eq!(call(None, &with(&bad_id, 1)), (Code::Unauthenticated, None));
        assert_eq!(call(Some(provider(DP2)), &with(&bad_id, 1)), (Code::PermissionDenied, None));
        assert_eq!(call(Some(provider(DP1)), &with(&bad_id, 1)), UNKNOWN);
        // 1.7.1: the measurement-parented form is not a name here.
        let parented = "measurementConsumers/a/measurements/b/requisitions/c";
        assert_eq!(call(None, &with(parented, 1)), INVALID);
        // An unknown number is the data server's affair, before 1.7.5, without description.
        let missing = format!("{own}/requisitions/AAAAAAAAAZQ");
        let answer =
            try_refuse(&mut kingdom, Some(&provider(DP1)), &with(&missing, 77)).unwrap_err();
        assert_eq!((answer.code, answer.message.as_str()), (Code::InvalidArgument, ""));
    }

    /// 1.7.7.
    #[test]
    fn a_refusal_fails_the_measurement_and_withdraws_open_siblings_only() {
        let mut kingdom = Kingdom::new();
        let (first, second) = (direct_of_two(&mut kingdom), direct_of_two(&mut kingdom));
        let sibling = fulfilment(name_of(&kingdom, second, DP2));
        try_fulfill(&mut kingdom, Some(&provider(DP2)), &sibling).unwrap();
        for (key, expected) in [(first, State::Withdrawn), (second, State::Fulfilled)] {
            let before = kingdom.requisition(key, DP1).etag();
            let request = refusal(name_of(&kingdom, key, DP1));
            let answer = try_refuse(&mut kingdom, Some(&provider(DP1)), &request).unwrap();
            assert_eq!(answer.state(), pb::requisition::State::Refused);
            assert_eq!(answer.measurement_state(), pb::measurement::State::Failed);
            assert_eq!(answer.refusal, request.refusal);
            assert_ne!(answer.etag, before);
            assert_eq!(answer.etag, kingdom.requisition(key, DP1).etag());
            assert_eq!(kingdom.requisition(key, DP2).state, expected);
            let row = measurement::find(&kingdom.tables, key).unwrap();
            let failure = row.failure.clone().unwrap();
            assert_eq!(failure.reason, FailureReason::RequisitionRefused);
            // 1.5.3: the text contains the refused requisition's api id.
            let id = ApiId::new(kingdom.requisition(key, DP1).id).unwrap().to_string();
            assert!(failure.message.contains(&id));
        }
    }

    /// 1.7.8, order of the public checks.
    #[test]
    #[allow(deprecated)]
    fn a_direct_fulfilment_checks_its_fields_before_the_principal() {
        let mut kingdom = Kingdom::new();
        let own = Owner::DataProvider(DP1).name();
        let bad_id = format!("{own}/requisitions/x");
        let missing = format!("{own}/requisitions/AAAAAAAAAZQ");
        type Request = pb::FulfillDirectRequisitionRequest;
        let base = |name: &str| fulfilment(name.to_owned());
        let mut wrong_url = encrypted_message(b"result");
        wrong_url.type_url = full_name::SIGNED_MESSAGE.to_owned();
        let certificate = |text: &str| text.to_owned();
        type Case<'a> = (Option<Principal>, Request, (Code, Option<&'a str>));
        let cases: Vec<Case<'_>> = vec![
            (None, Request { nonce: 0, ..base("x") }, INVALID),
            (None, Request { nonce: 0, ..base(&bad_id) }, INVALID),
            (None, Request { encrypted_result: None, ..base(&bad_id) }, INVALID),
            (None, Request { encrypted_result: Some(wrong_url), ..base(&bad_id) }, INVALID),
            (None, base(&bad_id), (Code::Unauthenticated, None)),
            (Some(provider(DP2)), base(&bad_id), (Code::PermissionDenied, None)),
            (
                Some(provider(DP1)),
                Request { certificate: certificate("x"), ..base(&bad_id) },
                UNKNOWN,
            ),
            (
                Some(provider(DP1)),
                Request { certificate: certificate("x"), ..base(&missing) },
                INVALID,
            ),
            (
                Some(provider(DP1)),
                Request { certificate: certificate("duchies/a/certificates/b"), ..base(&missing) },
                INVALID,
            ),
            // The data server's check of the ciphertext comes before existence.
            (
                Some(provider(DP1)),
                Request { encrypted_result: Some(encrypted_message(b"")), ..base(&missing) },
                INVALID,
            ),
            (Some(provider(DP1)), base(&missing), (Code::NotFound, Some("REQUISITION_NOT_FOUND"))),
        ];
        for (caller, request, expected) in cases {
            let answer = try_fulfill(&mut kingdom, caller.as_ref(), &request);
            assert_eq!(said(answer), expected, "{request:?}");
        }
        // The legacy ciphertext still works.
        let key = kingdom.direct();
        let legacy = Request {
            encrypted_result: None,
            encrypted_result_ciphertext: b"legacy".to_vec(),
            ..base(&name_of(&kingdom, key, DP1))
        };
        assert!(try_fulfill(&mut kingdom, Some(&provider(DP1)), &legacy).is_ok());
    }

    /// 1.7.9, 1.5.7: the last one makes it SUCCEEDED; results show the explicit certificate, else
    /// the bound one, under the fulfilling provider.
    #[test]
    fn the_last_direct_fulfilment_succeeds_and_results_appear() {
        let mut kingdom = Kingdom::new();
        let key = direct_of_two(&mut kingdom);
        let read = |kingdom: &Kingdom| {
            let row = measurement::find(&kingdom.tables, key).unwrap();
            public::measurements::to_proto(&kingdom.read(), row)
        };
        let first = pb::FulfillDirectRequisitionRequest {
            certificate: Owner::DataProvider(77).certificate_name(66),
            ..fulfilment(name_of(&kingdom, key, DP1))
        };
        let answer = try_fulfill(&mut kingdom, Some(&provider(DP1)), &first).unwrap();
        assert_eq!(answer.state(), pb::requisition::State::Fulfilled);
        assert_eq!(kingdom.state(key), M::PendingRequisitionFulfillment);
        // Filled only while SUCCEEDED.
        assert!(read(&kingdom).results.is_empty());
        let second = fulfilment(name_of(&kingdom, key, DP2));
        try_fulfill(&mut kingdom, Some(&provider(DP2)), &second).unwrap();
        assert_eq!(kingdom.state(key), M::Succeeded);
        let mut certificates: Vec<_> =
            read(&kingdom).results.into_iter().map(|result| result.certificate).collect();
        certificates.sort();
        let mut expected = vec![
            Owner::DataProvider(DP1).certificate_name(66),
            Owner::DataProvider(DP2).certificate_name(DP2 + CERTIFICATE),
        ];
        expected.sort();
        assert_eq!(certificates, expected);
        let result = read(&kingdom).results[0].encrypted_result.clone().unwrap();
        assert_eq!(
            result.type_url,
            "type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage"
        );
        assert_eq!(result.ciphertext, b"result");
    }

    /// 1.7.9: a withdrawn or refused sibling is un-FULFILLED; quirk direct-fulfilment-of-any-protocol.
    #[test]
    fn a_direct_fulfilment_works_on_mpc_or_as_documented_is_refused() {
        for is_faithful in [true, false] {
            let mut kingdom = Kingdom::new();
            if !is_faithful {
                kingdom.off(Quirk::DirectFulfilmentOfAnyProtocol);
            }
            let key = kingdom.computed();
            kingdom.set_all_params(key, &el_gamal());
            kingdom.fulfill_computed(key, DP2);
            let request = fulfilment(name_of(&kingdom, key, DP1));
            let answer = try_fulfill(&mut kingdom, Some(&provider(DP1)), &request);
            if is_faithful {
                // SUCCEEDED, because *this* call was the direct one.
                assert!(answer.is_ok());
                assert_eq!(kingdom.state(key), M::Succeeded);
            } else {
                assert_eq!(said(answer), (Code::FailedPrecondition, None));
                assert_eq!(kingdom.state(key), M::PendingRequisitionFulfillment);
            }
        }
    }

    /// 1.7.3, 1.0.6.
    #[test]
    fn get_is_for_the_owning_provider_and_the_canonical_name() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        let name = name_of(&kingdom, key, DP1);
        let call = |caller: Option<Principal>, name: &str| {
            let request = pb::GetRequisitionRequest { name: name.to_owned() };
            get(&kingdom.read(), caller.as_ref(), &request)
        };
        assert_eq!(said(call(None, "x")), INVALID);
        assert_eq!(said(call(None, &name)), (Code::Unauthenticated, None));
        for other in [provider(DP2), consumer(MC1)] {
            assert_eq!(said(call(Some(other), &name)), (Code::PermissionDenied, None));
        }
        let parented = format!("measurementConsumers/a/measurements/b/requisitions/{}", "c");
        assert_eq!(said(call(Some(consumer(MC1)), &parented)), INVALID);
        let missing = format!("{}/requisitions/AAAAAAAAAZQ", Owner::DataProvider(DP1).name());
        let refusal = call(Some(provider(DP1)), &missing).unwrap_err();
        assert_eq!(refusal.code, Code::NotFound);
        assert_eq!(refusal.info.unwrap().metadata.get("requisition"), Some(&missing));
    }

    /// 1.7.4 and quirk pending-params-requisition-visible.
    #[test]
    fn a_requisition_without_params_shows_as_unfulfilled_or_as_documented_not_at_all() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        let shown = try_get(&kingdom, key, DP1).unwrap();
        assert_eq!(shown.state(), pb::requisition::State::Unfulfilled);
        assert!(shown.duchies.is_empty());
        kingdom.set_params(key, "worker2", &el_gamal());
        assert_eq!(try_get(&kingdom, key, DP1).unwrap().duchies.len(), 1);
        let name = name_of(&kingdom, key, DP1);
        let answer =
            try_refuse(&mut kingdom, Some(&provider(DP1)), &refusal(name.clone())).unwrap_err();
        let info = answer.info.unwrap();
        assert_eq!(
            (answer.code, info.reason),
            (Code::FailedPrecondition, "REQUISITION_STATE_ILLEGAL")
        );
        assert_eq!(info.metadata.get("state").map(String::as_str), Some("UNFULFILLED"));
        let answer = try_fulfill(&mut kingdom, Some(&provider(DP1)), &fulfilment(name.clone()));
        assert_eq!(said(answer), STATE_ILLEGAL);

        kingdom.off(Quirk::PendingParamsRequisitionVisible);
        let missing = (Code::NotFound, Some("REQUISITION_NOT_FOUND"));
        assert_eq!(said(try_get(&kingdom, key, DP1)), missing);
        let answer = try_refuse(&mut kingdom, Some(&provider(DP1)), &refusal(name.clone()));
        assert_eq!(said(answer), missing);
        let answer = try_fulfill(&mut kingdom, Some(&provider(DP1)), &fulfilment(name));
        assert_eq!(said(answer), missing);
        kingdom.set_params(key, "worker1", &el_gamal());
        kingdom.set_params(key, "aggregator", &el_gamal());
        assert!(try_get(&kingdom, key, DP1).is_ok());
    }

    /// Table 1.7.12.
    #[test]
    #[allow(deprecated)]
    fn reads_fill_the_fields_of_1_7_12() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        let shown = try_get(&kingdom, key, DP1).unwrap();
        let row = measurement::find(&kingdom.tables, key).unwrap();
        assert_eq!(shown.measurement, row.name());
        let certificate = Owner::MeasurementConsumer(MC1).certificate_name(MC1 + CERTIFICATE);
        assert_eq!(shown.measurement_consumer_certificate, certificate);
        let bound = Owner::DataProvider(DP1).certificate_name(DP1 + CERTIFICATE);
        assert_eq!(shown.data_provider_certificate, bound);
        let key_any = shown.data_provider_public_key.clone().unwrap();
        let signed_key = shown.signed_data_provider_public_key.clone().unwrap();
        assert_eq!((signed_key.message, signed_key.data), (Some(key_any.clone()), key_any.value));
        assert!(signed_key.signature.is_empty() && signed_key.signature_algorithm_oid.is_empty());
        assert_eq!(shown.encrypted_requisition_spec.clone().unwrap().ciphertext, b"ciphertext");
        assert_eq!(shown.encrypted_requisition_spec_ciphertext, b"ciphertext");
        assert_eq!(
            (shown.nonce, shown.refusal.clone(), shown.fulfillment_context.clone()),
            (0, None, None)
        );
        assert_eq!(
            shown.measurement_state(),
            pb::measurement::State::AwaitingRequisitionFulfillment
        );
        assert_eq!(shown.etag, kingdom.requisition(key, DP1).etag());
        assert!(shown.duchies.is_empty());

        let context = pb::requisition::FulfillmentContext {
            build_label: "build".to_owned(),
            warnings: vec!["warning".to_owned()],
        };
        let request = pb::FulfillDirectRequisitionRequest {
            fulfillment_context: Some(context.clone()),
            ..fulfilment(shown.name)
        };
        try_fulfill(&mut kingdom, Some(&provider(DP1)), &request).unwrap();
        let shown = try_get(&kingdom, key, DP1).unwrap();
        assert_eq!((shown.nonce, shown.fulfillment_context.clone()), (5, Some(context)));
        assert_eq!(shown.measurement_state(), pb::measurement::State::Succeeded);
    }

    /// 1.7.11: the bound certificate is that of creation.
    #[test]
    fn a_later_key_update_does_not_move_the_bound_certificate() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.direct();
        kingdom.tables.data_providers.update(&DP1, |row| row.certificate = DP1 + 2 * CERTIFICATE);
        let shown = try_get(&kingdom, key, DP1).unwrap();
        let bound = Owner::DataProvider(DP1).certificate_name(DP1 + CERTIFICATE);
        assert_eq!(shown.data_provider_certificate, bound);
    }

    /// 1.7.13 for LLv2, and quirk requisition-duchy-key-is-bare-id.
    #[test]
    fn llv2_duchies_show_el_gamal_keys_under_a_bare_id_or_as_documented_a_name() {
        let mut kingdom = Kingdom::new();
        let key = kingdom.computed();
        kingdom.set_all_params(key, &el_gamal());
        let shown = try_get(&kingdom, key, DP1).unwrap();
        assert_eq!(shown.duchies.len(), 3);
        let worker = shown.duchies.iter().find(|entry| entry.key == "worker1").unwrap();
        let value = worker.value.clone().unwrap();
        assert_eq!(value.duchy_certificate, Owner::Duchy("worker1".into()).certificate_name(501));
        let Some(DuchyProtocol::LiquidLegionsV2(params)) = value.protocol else {
            panic!("not LLv2")
        };
        let message = params.el_gamal_public_key.unwrap().message.unwrap();
        assert_eq!(message.value, b"el gamal");
        assert_eq!(
            message.type_url,
            "type.googleapis.com/wfa.measurement.api.v2alpha.ElGamalPublicKey"
        );
        kingdom.off(Quirk::RequisitionDuchyKeyIsBareId);
        let shown = try_get(&kingdom, key, DP1).unwrap();
        assert!(shown.duchies.iter().any(|entry| entry.key == "duchies/worker1"));
    }

    /// 1.7.13 for HMSS: no aggregator; the fulfilling one empty, by id modulo 2.
    #[test]
    fn hmss_hides_the_aggregator_and_the_key_of_the_fulfilling_duchy() {
        let mut kingdom = Kingdom::new();
        kingdom.enable_hmss();
        for _ in 0..8 {
            let key = kingdom.computed();
            kingdom.set_params(key, "worker1", &tink());
            kingdom.set_params(key, "worker2", &tink());
            kingdom.set_params(
                key,
                "aggregator",
                &Params::HonestMajorityShareShuffle(SignedKey::default()),
            );
            let row = kingdom.requisition(key, DP1);
            let fulfilling = if row.id % 2 == 0 { "worker1" } else { "worker2" };
            assert_eq!(row.fulfilling_duchy.as_deref(), Some(fulfilling));
            let shown = try_get(&kingdom, key, DP1).unwrap();
            let keys: Vec<_> = shown.duchies.iter().map(|entry| entry.key.as_str()).collect();
            assert_eq!(keys, ["worker1", "worker2"]);
            for entry in shown.duchies {
                let Some(DuchyProtocol::HonestMajorityShareShuffle(params)) =
                    entry.value.unwrap().protocol
                else {
                    panic!("not HMSS")
                };
                assert_eq!(params.public_key.is_none(), entry.key == fulfilling);
            }
        }
    }

    /// 1.7.13 for TrusTEE.
    #[test]
    fn trustee_shows_an_empty_marker_and_knows_its_fulfilling_duchy_from_creation() {
        let mut kingdom = Kingdom::new();
        kingdom.enable_trustee();
        let key = kingdom.computed();
        assert_eq!(kingdom.requisition(key, DP1).fulfilling_duchy.as_deref(), Some("aggregator"));
        kingdom.set_all_params(key, &Params::TrusTee);
        let shown = try_get(&kingdom, key, DP1).unwrap();
        let protocol = shown.duchies[0].value.clone().unwrap().protocol;
        assert_eq!(protocol, Some(DuchyProtocol::TrusTee(duchy_entry::TrusTee {})));
    }

    type Filter = pb::list_requisitions_request::Filter;

    fn of_provider(states: &[i32]) -> pb::ListRequisitionsRequest {
        #[allow(deprecated)]
        let filter = Filter { states: states.to_vec(), measurement_states: vec![] };
        pb::ListRequisitionsRequest {
            parent: Owner::DataProvider(DP1).name(),
            filter: Some(filter),
            ..pb::ListRequisitionsRequest::default()
        }
    }

    fn listed(kingdom: &Kingdom, request: &pb::ListRequisitionsRequest) -> (Vec<String>, String) {
        let page = list(&kingdom.read(), Some(&provider(DP1)), request).unwrap();
        (page.requisitions.into_iter().map(|row| row.name).collect(), page.next_page_token)
    }

    /// 1.7.2: what lists show.
    #[test]
    fn pending_params_is_never_listed_and_an_unspecified_state_matches_nothing() {
        let mut kingdom = Kingdom::new();
        let (computed, direct) = (kingdom.computed(), kingdom.direct());
        let only = vec![name_of(&kingdom, direct, DP1)];
        assert_eq!(listed(&kingdom, &of_provider(&[])).0, only);
        assert_eq!(listed(&kingdom, &of_provider(&[1])).0, only);
        assert!(listed(&kingdom, &of_provider(&[0])).0.is_empty());
        assert!(listed(&kingdom, &of_provider(&[2, 3, 4])).0.is_empty());
        kingdom.set_all_params(computed, &el_gamal());
        // Order is update_time, so what opened later comes last.
        let both = vec![only[0].clone(), name_of(&kingdom, computed, DP1)];
        assert_eq!(listed(&kingdom, &of_provider(&[])).0, both);
        let request = refusal(only[0].clone());
        try_refuse(&mut kingdom, Some(&provider(DP1)), &request).unwrap();
        assert_eq!(listed(&kingdom, &of_provider(&[3])).0, only);
        assert_eq!(listed(&kingdom, &of_provider(&[3, 1])).0, [both[1].clone(), both[0].clone()]);
    }

    /// 1.7.2: own measurement as parent; an unknown one gives an empty list.
    #[test]
    fn a_consumer_lists_by_measurement_only() {
        let mut kingdom = Kingdom::new();
        let key = direct_of_two(&mut kingdom);
        let name = measurement::find(&kingdom.tables, key).unwrap().name();
        let call = |caller: Principal, parent: &str| {
            let request =
                pb::ListRequisitionsRequest { parent: parent.to_owned(), ..Default::default() };
            list(&kingdom.read(), Some(&caller), &request)
        };
        assert_eq!(call(consumer(MC1), &name).unwrap().requisitions.len(), 2);
        let unknown =
            format!("{}/measurements/AAAAAAAAAZQ", Owner::MeasurementConsumer(MC1).name());
        assert!(call(consumer(MC1), &unknown).unwrap().requisitions.is_empty());
        for caller in [consumer(MC2), provider(DP1)] {
            assert_eq!(said(call(caller, &name)), (Code::PermissionDenied, None));
        }
        let other = Owner::DataProvider(DP2).name();
        assert_eq!(said(call(provider(DP1), &other)), (Code::PermissionDenied, None));
        let consumers = Owner::MeasurementConsumer(MC1).name();
        assert_eq!(said(call(consumer(MC1), &consumers)), INVALID);
    }

    /// 1.0.6 ListRequisitions: parent shape, measurement_states, principal, ownership, page_size,
    /// token, comparison.
    #[test]
    #[allow(deprecated)]
    fn a_list_is_checked_in_the_order_of_1_0_6() {
        let kingdom = Kingdom::new();
        let call = |caller: Option<Principal>, request: &pb::ListRequisitionsRequest| {
            let answer = list(&kingdom.read(), caller.as_ref(), request);
            answer.map_or_else(|refusal| (refusal.code, None), |_| (Code::Cancelled, None))
        };
        let filtered =
            |states: Vec<i32>, measurement_states: Vec<i32>| pb::ListRequisitionsRequest {
                filter: Some(Filter { states, measurement_states }),
                ..of_provider(&[])
            };
        assert_eq!(call(None, &pb::ListRequisitionsRequest::default()), INVALID);
        assert_eq!(call(None, &filtered(vec![], vec![1])), INVALID);
        assert_eq!(call(None, &filtered(vec![1], vec![2])), INVALID);
        assert_eq!(call(None, &filtered(vec![1, 2], vec![1])), INVALID);
        let accepted = filtered(vec![1], vec![1]);
        assert_eq!(call(None, &accepted), (Code::Unauthenticated, None));
        let garbage =
            pb::ListRequisitionsRequest { page_token: "~".to_owned(), ..accepted.clone() };
        let negative = pb::ListRequisitionsRequest { page_size: -1, ..garbage.clone() };
        assert_eq!(call(Some(provider(DP2)), &negative), (Code::PermissionDenied, None));
        assert_eq!(call(Some(provider(DP1)), &negative), INVALID);
        assert_eq!(call(Some(provider(DP1)), &garbage), UNKNOWN);
        assert_eq!(call(Some(provider(DP1)), &accepted), (Code::Cancelled, None));
    }

    /// 1.7.2, 1.0.13: pages follow each other; default 10, at most 500.
    #[test]
    fn pages_follow_each_other() {
        let mut kingdom = Kingdom::new();
        let mut names = Vec::new();
        for _ in 0..12 {
            let key = kingdom.direct();
            names.push(name_of(&kingdom, key, DP1));
        }
        let (page, page_token) = listed(&kingdom, &of_provider(&[]));
        assert_eq!(page, names[..10]);
        let next = pb::ListRequisitionsRequest { page_token, page_size: 5000, ..of_provider(&[]) };
        assert_eq!(listed(&kingdom, &next), (names[10..].to_vec(), String::new()));
    }

    /// Quirk list-requisitions-token-needs-same-filter, 1.0.13.
    #[test]
    fn another_filter_than_the_tokens_is_refused_or_as_documented_ignored() {
        let mut kingdom = Kingdom::new();
        for _ in 0..3 {
            kingdom.direct();
        }
        let first = pb::ListRequisitionsRequest { page_size: 1, ..of_provider(&[1, 2]) };
        let (_, page_token) = listed(&kingdom, &first);
        // Even another order differs.
        let reordered =
            pb::ListRequisitionsRequest { page_token: page_token.clone(), ..of_provider(&[2, 1]) };
        let other = pb::ListRequisitionsRequest { page_token, ..of_provider(&[4]) };
        for request in [&reordered, &other] {
            assert_eq!(said(list(&kingdom.read(), Some(&provider(DP1)), request)), INVALID);
        }
        kingdom.off(Quirk::ListRequisitionsTokenNeedsSameFilter);
        assert_eq!(listed(&kingdom, &reordered).0.len(), 2);
        assert_eq!(listed(&kingdom, &other).0.len(), 2);
        // The parent must be the same even then.
        let foreign =
            pb::ListRequisitionsRequest { parent: Owner::DataProvider(DP2).name(), ..other };
        assert_eq!(said(list(&kingdom.read(), Some(&provider(DP2)), &foreign)), INVALID);
    }
}
