//! MeasurementConsumers of the public API (contract 1.3).
//!
//! Accounts are outside this fake: no call ever has an account. So the three RPCs that need one
//! stop at their first check (contract 1.0.6, 1.3.6, 2.7).

use super::{
    Answer, Caller, bad_shape, decode_id, full_name, public_keys, require_principal, whitelist,
};
use crate::authn::Principal;
use crate::cause::Cause;
use crate::error::Refusal;
use crate::model::certificate;
use crate::model::measurement_consumer::{self, MeasurementConsumer};
use crate::model::{Owner, Read, Write};
use kingdom_proto::name::MeasurementConsumerName;
use kingdom_proto::v2alpha as pb;

/// GetMeasurementConsumer, in the order of table 1.0.6: the principal comes before the name, the
/// ids before the permission. Ids are compared decoded (1.1.4): that consumer, or any data provider.
///
/// # Errors
/// UNAUTHENTICATED, name shape, id, PERMISSION_DENIED, NOT_FOUND/MEASUREMENT_CONSUMER_NOT_FOUND.
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetMeasurementConsumerRequest,
) -> Answer<pb::MeasurementConsumer> {
    let principal = require_principal(caller)?;
    let name = MeasurementConsumerName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let id = decode_id(read, &name.measurement_consumer)?;
    let allowed = match principal {
        Principal::DataProvider(_) => true,
        Principal::MeasurementConsumer(_) => decode_id(read, principal.id())? == id,
        Principal::ModelProvider(_) | Principal::Duchy(_) | Principal::Account(_) => false,
    };
    if !allowed {
        return Err(Refusal::permission_denied());
    }
    measurement_consumer::find(read.tables, id)
        .map(|row| to_proto(read, row))
        .map_err(|error| error.public(whitelist::ONLY_NOT_FOUND))
}

/// CreateMeasurementConsumer: the account comes first, and there is none (contract 1.3.6).
///
/// # Errors
/// Always UNAUTHENTICATED.
pub fn create(
    _write: &mut Write<'_>,
    _caller: Caller<'_>,
    _request: &pb::CreateMeasurementConsumerRequest,
) -> Answer<pb::MeasurementConsumer> {
    Err(no_account())
}

/// AddMeasurementConsumerOwner: the account comes first, and there is none (table 1.0.6).
///
/// # Errors
/// Always UNAUTHENTICATED.
pub fn add_owner(
    _write: &mut Write<'_>,
    _caller: Caller<'_>,
    _request: &pb::AddMeasurementConsumerOwnerRequest,
) -> Answer<pb::MeasurementConsumer> {
    Err(no_account())
}

/// RemoveMeasurementConsumerOwner: the account comes first, and there is none (table 1.0.6).
///
/// # Errors
/// Always UNAUTHENTICATED.
pub fn remove_owner(
    _write: &mut Write<'_>,
    _caller: Caller<'_>,
    _request: &pb::RemoveMeasurementConsumerOwnerRequest,
) -> Answer<pb::MeasurementConsumer> {
    Err(no_account())
}

fn no_account() -> Refusal {
    Refusal::unauthenticated().because(Cause::AccountInvalid)
}

/// A measurement consumer as reads show it (contract 1.3.5): no display name, no owners.
pub fn to_proto(read: &Read<'_>, row: &MeasurementConsumer) -> pb::MeasurementConsumer {
    let owner = Owner::MeasurementConsumer(row.id);
    let certificate = certificate::find(read, &owner, row.certificate);
    pb::MeasurementConsumer {
        name: owner.name(),
        certificate_der: certificate.map(|row| row.x509_der.to_vec()).unwrap_or_default(),
        certificate: owner.certificate_name(row.certificate),
        public_key: Some(public_keys::signed_message(
            full_name::ENCRYPTION_PUBLIC_KEY,
            &row.public_key.key,
            &row.public_key.signature,
            &row.public_key.signature_algorithm_oid,
        )),
        ..pb::MeasurementConsumer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::public::fixture::{World, metadata, principal, refused};

    fn get_as(world: &World, caller: Caller<'_>, name: &str) -> Answer<pb::MeasurementConsumer> {
        get(&world.read(), caller, &pb::GetMeasurementConsumerRequest { name: name.to_owned() })
    }

    #[test]
    fn a_read_fills_exactly_the_fields_of_1_3_5() {
        let world = World::new();
        let row = get_as(&world, Some(&world.as_dp(0)), &world.mc(0)).unwrap();
        assert_eq!(row.name, world.mc(0));
        assert!(row.certificate.starts_with(&format!("{}/certificates/", world.mc(0))));
        assert!(row.certificate_der.starts_with(b"der of mc"));
        assert_eq!(row.public_key.unwrap().signature_algorithm_oid, "1.2.840.10045.4.3.2");
        assert_eq!((row.display_name.as_str(), row.owners.len()), ("", 0));
    }

    #[test]
    fn get_checks_principal_then_shape_then_id_then_permission_1_0_6() {
        let world = World::new();
        let duchy = principal("duchies/worker1");
        assert_eq!(refused(get_as(&world, None, "x")), (Code::Unauthenticated, None));
        assert_eq!(refused(get_as(&world, Some(&duchy), "x")), (Code::InvalidArgument, None));
        let bad_id = "measurementConsumers/x";
        assert_eq!(refused(get_as(&world, Some(&duchy), bad_id)), (Code::Unknown, None));
        let missing = "measurementConsumers/AAAAAAAAAZQ";
        assert_eq!(refused(get_as(&world, Some(&duchy), missing)), (Code::PermissionDenied, None));
        let answer = get_as(&world, Some(&world.as_dp(0)), missing);
        assert_eq!(
            refused(answer.clone()),
            (Code::NotFound, Some("MEASUREMENT_CONSUMER_NOT_FOUND"))
        );
        assert_eq!(metadata(answer, "measurementConsumer").as_deref(), Some(missing));
    }

    #[test]
    fn itself_and_any_data_provider_may_read_and_nobody_else_1_3_1() {
        let world = World::new();
        for allowed in [world.as_mc(0), world.as_dp(0), world.as_dp(1)] {
            assert!(get_as(&world, Some(&allowed), &world.mc(0)).is_ok(), "{allowed}");
        }
        for denied in [world.as_mc(1), world.as_mp(0), principal("accounts/AAAAAAAAAZQ")] {
            let answer = get_as(&world, Some(&denied), &world.mc(0));
            assert_eq!(refused(answer), (Code::PermissionDenied, None), "{denied}");
        }
    }

    #[test]
    fn another_spelling_of_the_own_id_is_readable_since_ids_are_compared_decoded_1_1_4() {
        let world = World::new();
        let padded = format!("{}=", world.mc(0));
        let row = get_as(&world, Some(&world.as_mc(0)), &padded).unwrap();
        // answers use the canonical form (2.12)
        assert_eq!(row.name, world.mc(0));
    }

    #[test]
    fn what_needs_an_account_is_unauthenticated_before_anything_else_1_3_6() {
        let mut world = World::new();
        let own = world.as_mc(0);
        let answer = world.write(|w| create(w, Some(&own), &Default::default()));
        assert_eq!(refused(answer), (Code::Unauthenticated, None));
        let answer = world.write(|w| add_owner(w, Some(&own), &Default::default()));
        assert_eq!(refused(answer), (Code::Unauthenticated, None));
        let answer = world.write(|w| remove_owner(w, Some(&own), &Default::default()));
        assert_eq!(refused(answer), (Code::Unauthenticated, None));
    }
}
