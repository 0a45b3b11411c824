//! MeasurementConsumers of the internal API (table 1.8.2).

use super::certificates;
use crate::cause::Cause;
use crate::error::{Code, InternalError, Reason};
use crate::model::measurement_consumer::{self, MeasurementConsumer};
use crate::model::{Owner, Read, Write, certificate};
use crate::public::Answer;
use crate::public::certificates::{signed, unsigned};
use kingdom_proto::internal as pb;

/// CreateMeasurementConsumer: needs the hash of a creation token, and this fake issues none, so no
/// token is ever known (contract 1.3.6).
///
/// # Errors
/// Always PERMISSION_DENIED/PERMISSION_DENIED.
pub fn create(
    _write: &mut Write<'_>,
    _request: &pb::CreateMeasurementConsumerRequest,
) -> Answer<pb::MeasurementConsumer> {
    Err(InternalError::new(Code::PermissionDenied, Reason::PermissionDenied)
        .because(Cause::PermissionDenied)
        .untranslated())
}

/// GetMeasurementConsumer.
///
/// # Errors
/// NOT_FOUND/MEASUREMENT_CONSUMER_NOT_FOUND.
pub fn get(
    read: &Read<'_>,
    request: &pb::GetMeasurementConsumerRequest,
) -> Answer<pb::MeasurementConsumer> {
    measurement_consumer::find(read.tables, signed(request.external_measurement_consumer_id))
        .map(|row| to_proto(read, row))
        .map_err(InternalError::untranslated)
}

/// A measurement consumer as the internal API shows it.
pub fn to_proto(read: &Read<'_>, row: &MeasurementConsumer) -> pb::MeasurementConsumer {
    let owner = Owner::MeasurementConsumer(row.id);
    pb::MeasurementConsumer {
        external_measurement_consumer_id: unsigned(row.id),
        certificate: certificate::find(read, &owner, row.certificate).map(certificates::to_proto),
        details: Some(pb::MeasurementConsumerDetails {
            api_version: row.public_key.api_version.clone(),
            public_key: row.public_key.key.clone(),
            public_key_signature: row.public_key.signature.clone(),
            public_key_signature_algorithm_oid: row.public_key.signature_algorithm_oid.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::fixture::{World, refused};

    #[test]
    fn no_creation_token_is_ever_known_1_3_6() {
        let mut world = World::new();
        let answer = world.write(|w| create(w, &Default::default()));
        assert_eq!(refused(answer), (Code::PermissionDenied, Some("PERMISSION_DENIED")));
    }

    #[test]
    fn a_consumer_is_shown_with_its_certificate_and_key_or_not_found_1_8_2() {
        let world = World::new();
        let id = unsigned(world.measurement_consumers[0]);
        let request = pb::GetMeasurementConsumerRequest { external_measurement_consumer_id: id };
        let row = get(&world.read(), &request).unwrap();
        assert_eq!(row.external_measurement_consumer_id, id);
        assert!(row.certificate.unwrap().details.unwrap().x509_der.starts_with(b"der of mc"));
        assert_eq!(row.details.unwrap().public_key_signature, b"signature");
        let request = pb::GetMeasurementConsumerRequest { external_measurement_consumer_id: 404 };
        let answer = get(&world.read(), &request);
        assert_eq!(refused(answer), (Code::NotFound, Some("MEASUREMENT_CONSUMER_NOT_FOUND")));
    }
}
