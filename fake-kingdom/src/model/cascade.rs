//! What a revocation takes with it (contract 1.6.3).

use super::certificate::Certificate;
use super::measurement::{self, FailureReason, MeasurementKey};
use super::{Outcome, Owner, Write, participant, requisition};

/// Fails the pending measurements that table 1.6.3 names for `certificate`, and withdraws their open
/// requisitions, in the transaction of the revocation.
///
/// # Errors
/// None that a caller can cause: an index that names a row that is not there.
pub fn certificate_revoked(write: &mut Write<'_>, certificate: &Certificate) -> Outcome<()> {
    let tables = &*write.tables;
    let (named, message): (Vec<MeasurementKey>, _) = match &certificate.owner {
        Owner::MeasurementConsumer(id) => (
            measurement::by_certificate(tables, *id, certificate.id),
            "The measurement consumer's certificate was revoked.",
        ),
        Owner::DataProvider(id) => (
            requisition::measurements_open_under(tables, *id, certificate.id).into_iter().collect(),
            "A data provider's certificate was revoked.",
        ),
        Owner::Duchy(id) => (
            participant::measurements_unconfirmed_under(tables, id, certificate.id)
                .into_iter()
                .collect(),
            "A Duchy's certificate was revoked.",
        ),
        Owner::ModelProvider(_) => return Ok(()),
    };
    for key in named {
        if measurement::find(write.tables, key)?.state.is_pending() {
            let message = message.to_owned();
            measurement::fail(write, key, FailureReason::CertificateRevoked, message)?;
            requisition::withdraw_open(write, key);
        }
    }
    Ok(())
}
