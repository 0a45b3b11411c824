//! Requisitions of the system API (contract 1.8.7, 1.7.10).

use super::{Answer, requisition_to_proto};
use crate::error::Refusal;
use crate::model::Write;
use crate::model::requisition::{self, Fulfillment, FulfillmentContext};
use crate::public::{bad_shape, decode_id};
use kingdom_proto::{name, system as pb};

/// FulfillRequisition: accepts any Duchy for any computation and records the caller as the
/// fulfilling one (contract 1.8.7). Errors pass untranslated (1.0.5, quirk
/// `internal-errors-pass-untranslated`).
///
/// # Errors
/// Name shape and a zero nonce INVALID_ARGUMENT; then those of 1.7.5.
pub fn fulfill(
    write: &mut Write<'_>,
    caller: &str,
    request: &pb::FulfillRequisitionRequest,
) -> Answer<pb::Requisition> {
    let name =
        name::ComputationRequisitionName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    if request.nonce == 0 {
        return Err(Refusal::invalid_argument("nonce is not set"));
    }
    let computation = decode_id(&write.read(), &name.computation)?;
    let id = decode_id(&write.read(), &name.requisition)?;
    let fulfillment = Fulfillment {
        nonce: request.nonce,
        context: request.fulfillment_context.as_ref().map(|context| FulfillmentContext {
            build_label: context.build_label.clone(),
            warnings: context.warnings.clone(),
        }),
        etag: request.etag.clone(),
    };
    let quirks = write.settings.quirks;
    requisition::fulfill_computed(write, computation, id, &caller.into(), fulfillment)
        .map(|row| requisition_to_proto(computation, &row))
        .map_err(|error| error.untranslated_by_quirk(&quirks))
}
