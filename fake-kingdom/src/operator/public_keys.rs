//! PublicKeys of the internal API (table 1.8.2).

use crate::error::{InternalError, Refusal};
use crate::model::public_key::{self, StoredPublicKey};
use crate::model::{Owner, Write};
use crate::public::Answer;
use crate::public::certificates::signed;
use kingdom_proto::internal as pb;

/// UpdatePublicKey with raw key bytes: nothing is unpacked, nobody's ownership is looked at. Effect
/// as contract 1.2.4.
///
/// # Errors
/// A parent id or certificate id that is zero or not set, a blank `api_version`, an empty key or
/// signature INVALID_ARGUMENT; unknown parent NOT_FOUND; unknown certificate FAILED_PRECONDITION.
pub fn update(
    write: &mut Write<'_>,
    request: &pb::UpdatePublicKeyRequest,
) -> Answer<pb::UpdatePublicKeyResponse> {
    use pb::update_public_key_request::Parent;
    let owner = match request.parent {
        Some(Parent::ExternalDataProviderId(id)) if id != 0 => Owner::DataProvider(signed(id)),
        Some(Parent::ExternalMeasurementConsumerId(id)) if id != 0 => {
            Owner::MeasurementConsumer(signed(id))
        }
        _ => return Err(invalid("parent is not set")),
    };
    if request.external_certificate_id == 0 {
        return Err(invalid("external_certificate_id is not set"));
    }
    if request.api_version.trim().is_empty() {
        return Err(invalid("api_version is blank"));
    }
    let key = StoredPublicKey {
        key: request.public_key.clone(),
        signature: request.public_key_signature.clone(),
        signature_algorithm_oid: request.public_key_signature_algorithm_oid.clone(),
        api_version: request.api_version.clone(),
    };
    // Key and signature are checked below, as for the public API (contract 1.2.2).
    public_key::update(write, &owner, signed(request.external_certificate_id), key)
        .map(|()| pb::UpdatePublicKeyResponse {})
        .map_err(InternalError::untranslated)
}

fn invalid(message: &str) -> Refusal {
    InternalError::invalid_argument(message).untranslated()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::public::certificates::unsigned;
    use crate::public::fixture::{World, refused};
    use pb::update_public_key_request::Parent;

    fn good(world: &World) -> pb::UpdatePublicKeyRequest {
        let id = world.data_providers[0];
        let certificate = world.tables.data_providers.get(&id).unwrap().certificate;
        pb::UpdatePublicKeyRequest {
            parent: Some(Parent::ExternalDataProviderId(unsigned(id))),
            external_certificate_id: unsigned(certificate),
            api_version: "v9".to_owned(),
            // raw bytes: nothing is unpacked
            public_key: vec![0xff],
            public_key_signature: vec![1],
            public_key_signature_algorithm_oid: String::new(),
        }
    }

    #[test]
    fn raw_bytes_are_stored_for_anybody_1_8_2() {
        let mut world = World::new();
        let request = good(&world);
        world.write(|w| update(w, &request)).unwrap();
        let stored = &world.tables.data_providers.get(&world.data_providers[0]).unwrap().public_key;
        assert_eq!((stored.key.as_slice(), stored.api_version.as_str()), (&[0xff][..], "v9"));
    }

    #[test]
    fn what_is_required_is_an_argument_error_before_anything_is_looked_up_1_8_2() {
        let mut world = World::new();
        let good = good(&world);
        for case in [
            pb::UpdatePublicKeyRequest { parent: None, ..good.clone() },
            pb::UpdatePublicKeyRequest {
                parent: Some(Parent::ExternalMeasurementConsumerId(0)),
                ..good.clone()
            },
            pb::UpdatePublicKeyRequest { external_certificate_id: 0, ..good.clone() },
            pb::UpdatePublicKeyRequest { api_version: " ".to_owned(), ..good.clone() },
            pb::UpdatePublicKeyRequest { public_key: vec![], ..good.clone() },
            pb::UpdatePublicKeyRequest {
                parent: Some(Parent::ExternalDataProviderId(1)),
                public_key_signature: vec![],
                ..good.clone()
            },
        ] {
            let answer = world.write(|w| update(w, &case));
            assert_eq!(refused(answer), (Code::InvalidArgument, None));
        }
    }

    #[test]
    fn an_unknown_parent_comes_before_an_unknown_certificate_1_8_2() {
        let mut world = World::new();
        let unknown = pb::UpdatePublicKeyRequest { external_certificate_id: 1, ..good(&world) };
        let nobody = pb::UpdatePublicKeyRequest {
            parent: Some(Parent::ExternalMeasurementConsumerId(1)),
            ..unknown.clone()
        };
        let answer = world.write(|w| update(w, &nobody));
        assert_eq!(refused(answer), (Code::NotFound, Some("MEASUREMENT_CONSUMER_NOT_FOUND")));
        let answer = world.write(|w| update(w, &unknown));
        assert_eq!(refused(answer), (Code::FailedPrecondition, Some("CERTIFICATE_NOT_FOUND")));
    }
}
