//! DataProviders of the public API (contract 1.3).

use super::{
    Answer, Caller, bad_shape, decode_id, full_name, interval_from_proto, interval_to_proto,
    public_keys, require_owner, require_principal, whitelist, with_constraints,
};
use crate::authn::Principal;
use crate::error::{Code, Refusal, api_id};
use crate::model::certificate;
use crate::model::data_provider::{self, Availability, Capabilities, DataProvider};
use crate::model::{Outcome, Owner, Read, Write};
use kingdom_proto::name::{DataProviderName, DuchyName};
use kingdom_proto::v2alpha as pb;

/// GetDataProvider: the provider itself, any measurement consumer, any model provider (table
/// 1.3.1). Its certificate is shown even if revoked or expired.
///
/// # Errors
/// In order: name shape, principal, permission, id, NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn get(
    read: &Read<'_>,
    caller: Caller<'_>,
    request: &pb::GetDataProviderRequest,
) -> Answer<pb::DataProvider> {
    let name = DataProviderName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let allowed = match require_principal(caller)? {
        own @ Principal::DataProvider(_) => own.name() == request.name,
        Principal::MeasurementConsumer(_) | Principal::ModelProvider(_) => true,
        Principal::Duchy(_) | Principal::Account(_) => false,
    };
    if !allowed {
        return Err(Refusal::permission_denied());
    }
    let id = decode_id(read, &name.data_provider)?;
    data_provider::find(read.tables, id)
        .map(|row| to_proto(read, row))
        .map_err(|error| error.public(whitelist::ONLY_NOT_FOUND))
}

/// ReplaceDataProviderRequiredDuchies, in the order of table 1.0.6: the shape of every Duchy name
/// comes before the principal.
///
/// # Errors
/// A Duchy that is unknown or repeated: 1.0.17.
pub fn replace_required_duchies(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::ReplaceDataProviderRequiredDuchiesRequest,
) -> Answer<pb::DataProvider> {
    let name = DataProviderName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    let duchies = request
        .required_duchies
        .iter()
        .map(|text| DuchyName::parse(text).map(|name| name.duchy))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| bad_shape("required_duchies"))?;
    require_owner(caller, &request.name)?;
    let id = decode_id(&write.read(), &name.data_provider)?;
    let outcome = data_provider::replace_required_duchies(write, id, duchies);
    let codes = with_constraints(&write.read(), whitelist::ONLY_NOT_FOUND);
    answer(write, outcome, &codes, Code::Unknown)
}

/// ReplaceDataAvailabilityIntervals. Model lines are outside this fake, so that a line exists is
/// not checked; only the shape of its name is.
///
/// # Errors
/// What the whitelist lacks is INTERNAL (table 1.0.12).
pub fn replace_data_availability_intervals(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::ReplaceDataAvailabilityIntervalsRequest,
) -> Answer<pb::DataProvider> {
    let name = DataProviderName::parse(&request.name).ok_or_else(|| bad_shape("name"))?;
    require_owner(caller, &request.name)?;
    let entries = &request.data_availability_intervals;
    let lines = entries
        .iter()
        .map(|entry| model_line_segments(&entry.key))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| bad_shape("data_availability_intervals.key"))?;
    let read = write.read();
    let id = decode_id(&read, &name.data_provider)?;
    let mut intervals = Vec::with_capacity(entries.len());
    for ([provider, suite, line], entry) in lines.into_iter().zip(entries) {
        intervals.push(Availability {
            model_line: (
                decode_id(&read, provider)?,
                decode_id(&read, suite)?,
                decode_id(&read, line)?,
            ),
            interval: entry.value.as_ref().map(interval_from_proto).unwrap_or_default(),
        });
    }
    let action = "replace_data_availability_intervals";
    let outcome = data_provider::replace(write, id, action, |row| {
        row.data_availability_intervals = intervals;
    });
    answer(write, outcome, whitelist::REPLACE_AVAILABILITY_INTERVALS, Code::Internal)
}

/// ReplaceDataAvailabilityInterval (table 1.3.1).
///
/// # Errors
/// In order: name shape, principal, ownership, id, NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn replace_data_availability_interval(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::ReplaceDataAvailabilityIntervalRequest,
) -> Answer<pb::DataProvider> {
    let interval = request.data_availability_interval.as_ref();
    let interval = interval.map(interval_from_proto).unwrap_or_default();
    let action = "replace_data_availability_interval";
    replace_own(write, caller, &request.name, action, |row| {
        row.data_availability_interval = interval
    })
}

/// ReplaceDataProviderCapabilities: three of the four flags are stored (contract 1.3.5).
///
/// # Errors
/// As [`replace_data_availability_interval`].
pub fn replace_capabilities(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    request: &pb::ReplaceDataProviderCapabilitiesRequest,
) -> Answer<pb::DataProvider> {
    let flags = request.capabilities.unwrap_or_default();
    let capabilities = Capabilities {
        honest_majority_share_shuffle_supported: flags.honest_majority_share_shuffle_supported,
        trus_tee_supported: flags.trus_tee_supported,
        noise_mechanism_deterministic_truncated_laplace_supported: flags
            .noise_mechanism_deterministic_truncated_laplace_supported,
    };
    let action = "replace_capabilities";
    replace_own(write, caller, &request.name, action, |row| row.capabilities = capabilities)
}

fn replace_own(
    write: &mut Write<'_>,
    caller: Caller<'_>,
    name: &str,
    action: &'static str,
    change: impl FnOnce(&mut DataProvider),
) -> Answer<pb::DataProvider> {
    let parsed = DataProviderName::parse(name).ok_or_else(|| bad_shape("name"))?;
    require_owner(caller, name)?;
    let id = decode_id(&write.read(), &parsed.data_provider)?;
    let outcome = data_provider::replace(write, id, action, change);
    answer(write, outcome, whitelist::REPLACE_AVAILABILITY_OR_CAPABILITIES, Code::Unknown)
}

fn answer(
    write: &Write<'_>,
    outcome: Outcome<DataProvider>,
    whitelist: &[Code],
    otherwise: Code,
) -> Answer<pb::DataProvider> {
    outcome
        .map(|row| to_proto(&write.read(), &row))
        .map_err(|error| error.public_or(whitelist, otherwise))
}

/// The three variable segments of `modelProviders/{}/modelSuites/{}/modelLines/{}`.
fn model_line_segments(text: &str) -> Option<[&str; 3]> {
    match text.split('/').collect::<Vec<_>>()[..] {
        ["modelProviders", provider, "modelSuites", suite, "modelLines", line] => {
            Some([provider, suite, line])
        }
        _ => None,
    }
}

/// A data provider as reads show it (contract 1.3.5).
#[allow(deprecated, reason = "reads fill the deprecated field as well")]
pub fn to_proto(read: &Read<'_>, row: &DataProvider) -> pb::DataProvider {
    let owner = Owner::DataProvider(row.id);
    let certificate = certificate::find(read, &owner, row.certificate);
    let flags = row.capabilities;
    pb::DataProvider {
        name: owner.name(),
        certificate_der: certificate.map(|row| row.x509_der.to_vec()).unwrap_or_default(),
        certificate: owner.certificate_name(row.certificate),
        public_key: Some(public_keys::signed_message(
            full_name::ENCRYPTION_PUBLIC_KEY,
            &row.public_key.key,
            &row.public_key.signature,
            &row.public_key.signature_algorithm_oid,
        )),
        display_name: String::new(),
        required_duchies: row.required_duchies.iter().map(|id| format!("duchies/{id}")).collect(),
        data_availability_interval: Some(interval_to_proto(row.data_availability_interval)),
        capabilities: Some(pb::data_provider::Capabilities {
            honest_majority_share_shuffle_supported: flags.honest_majority_share_shuffle_supported,
            trus_tee_supported: flags.trus_tee_supported,
            noise_mechanism_none_supported: false,
            noise_mechanism_deterministic_truncated_laplace_supported: flags
                .noise_mechanism_deterministic_truncated_laplace_supported,
        }),
        data_availability_intervals: row
            .data_availability_intervals
            .iter()
            .map(|entry| pb::data_provider::DataAvailabilityMapEntry {
                key: model_line_name(entry.model_line),
                value: Some(interval_to_proto(entry.interval)),
            })
            .collect(),
    }
}

fn model_line_name((provider, suite, line): (i64, i64, i64)) -> String {
    let (provider, suite, line) = (api_id(provider), api_id(suite), api_id(line));
    format!("modelProviders/{provider}/modelSuites/{suite}/modelLines/{line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::model::certificate::RevocationState;
    use crate::public::fixture::{World, metadata, principal, refused};
    use crate::quirk::Quirk;

    fn get_as(world: &World, caller: Caller<'_>, name: &str) -> Answer<pb::DataProvider> {
        get(&world.read(), caller, &pb::GetDataProviderRequest { name: name.to_owned() })
    }

    #[test]
    fn a_read_fills_exactly_the_fields_of_1_3_5() {
        let world = World::new();
        let row = get_as(&world, Some(&world.as_mc(0)), &world.dp(0)).unwrap();
        assert_eq!(row.name, world.dp(0));
        assert!(row.certificate.starts_with(&format!("{}/certificates/", world.dp(0))));
        assert!(row.certificate_der.starts_with(b"der of dp"));
        let key = row.public_key.unwrap();
        assert_eq!(
            key.message.unwrap().type_url,
            "type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey"
        );
        assert_eq!(key.signature, b"signature");
        // always present, may be empty
        assert_eq!(row.data_availability_interval, Some(Default::default()));
        assert_eq!(row.capabilities, Some(Default::default()));
        assert_eq!(row.display_name, "");
    }

    #[test]
    fn the_certificate_is_shown_though_revoked_as_1_3_1_says() {
        let mut world = World::new();
        let owner = Owner::DataProvider(world.data_providers[0]);
        let id = world.tables.data_providers.get(&world.data_providers[0]).unwrap().certificate;
        world
            .write(|w| {
                certificate::revoke(w, &owner, id, RevocationState::Revoked)
                    .map_err(|error| error.untranslated())
            })
            .unwrap();
        let row = get_as(&world, Some(&world.as_dp(0)), &world.dp(0)).unwrap();
        assert_eq!(row.certificate, owner.certificate_name(id));
        assert!(!row.certificate_der.is_empty());
    }

    #[test]
    fn itself_any_consumer_and_any_model_provider_may_read_and_nobody_else_1_3_1() {
        let world = World::new();
        for allowed in [world.as_dp(0), world.as_mc(1), world.as_mp(1)] {
            assert!(get_as(&world, Some(&allowed), &world.dp(0)).is_ok(), "{allowed}");
        }
        for denied in [world.as_dp(1), principal("duchies/worker1"), principal("accounts/a")] {
            let answer = get_as(&world, Some(&denied), &world.dp(0));
            assert_eq!(refused(answer), (Code::PermissionDenied, None), "{denied}");
        }
    }

    #[test]
    fn get_checks_shape_then_principal_then_permission_then_id_1_0_6() {
        let world = World::new();
        let (mc, other) = (world.as_mc(0), world.as_dp(1));
        assert_eq!(refused(get_as(&world, None, "x")), (Code::InvalidArgument, None));
        let bad_id = "dataProviders/x";
        assert_eq!(refused(get_as(&world, None, bad_id)), (Code::Unauthenticated, None));
        assert_eq!(refused(get_as(&world, Some(&other), bad_id)), (Code::PermissionDenied, None));
        assert_eq!(refused(get_as(&world, Some(&mc), bad_id)), (Code::Unknown, None));
        let missing = get_as(&world, Some(&mc), "dataProviders/AAAAAAAAAZQ");
        assert_eq!(refused(missing.clone()), (Code::NotFound, Some("DATA_PROVIDER_NOT_FOUND")));
        assert_eq!(metadata(missing, "dataProvider").as_deref(), Some("dataProviders/AAAAAAAAAZQ"));
    }

    #[test]
    fn a_bad_id_is_an_argument_error_as_documented_1_0_4() {
        let world = World::documented(Quirk::MalformedIdIsUnknown);
        let answer = get_as(&world, Some(&world.as_mc(0)), "dataProviders/x");
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
    }

    fn replace_duchies(
        world: &mut World,
        caller: Caller<'_>,
        name: &str,
        duchies: &[&str],
    ) -> Answer<pb::DataProvider> {
        let required_duchies = duchies.iter().map(|text| (*text).to_owned()).collect();
        let request = pb::ReplaceDataProviderRequiredDuchiesRequest {
            name: name.to_owned(),
            required_duchies,
        };
        world.write(|w| replace_required_duchies(w, caller, &request))
    }

    #[test]
    fn the_shape_of_every_duchy_name_comes_before_the_principal_1_0_6() {
        let mut world = World::new();
        let name = world.dp(0);
        let answer = replace_duchies(&mut world, None, &name, &["duchies/worker1", "worker2"]);
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
        let answer = replace_duchies(&mut world, None, &name, &["duchies/worker1"]);
        assert_eq!(refused(answer), (Code::Unauthenticated, None));
        let other = world.as_dp(1);
        let answer = replace_duchies(&mut world, Some(&other), &name, &["duchies/nobody"]);
        assert_eq!(refused(answer), (Code::PermissionDenied, None));
    }

    #[test]
    #[allow(deprecated, reason = "the field under test")]
    fn required_duchies_are_replaced_and_read_as_names_1_3_5() {
        let mut world = World::new();
        let (own, name) = (world.as_dp(0), world.dp(0));
        let duchies = ["duchies/worker2", "duchies/worker1"];
        replace_duchies(&mut world, Some(&own), &name, &duchies).unwrap();
        let row = get_as(&world, Some(&own), &name).unwrap();
        assert_eq!(row.required_duchies, duchies);
        assert_eq!(world.mutations[0].subject, name);
    }

    #[test]
    fn an_unknown_or_repeated_duchy_is_unknown_1_0_17() {
        let mut world = World::new();
        let (own, name) = (world.as_dp(0), world.dp(0));
        for duchies in [["duchies/nobody", "duchies/worker1"], ["duchies/worker1"; 2]] {
            let answer = replace_duchies(&mut world, Some(&own), &name, &duchies);
            assert_eq!(refused(answer), (Code::Unknown, None));
        }
    }

    #[test]
    fn an_unknown_duchy_is_not_found_and_a_repeated_one_invalid_as_documented_1_0_17() {
        let mut world = World::documented(Quirk::ConstraintViolationIsUnknown);
        let (own, name) = (world.as_dp(0), world.dp(0));
        let answer = replace_duchies(&mut world, Some(&own), &name, &["duchies/nobody"]);
        assert_eq!(refused(answer).0, Code::NotFound);
        let answer = replace_duchies(&mut world, Some(&own), &name, &["duchies/worker1"; 2]);
        assert_eq!(refused(answer).0, Code::InvalidArgument);
    }

    #[test]
    fn only_the_provider_itself_replaces_its_availability_and_capabilities_1_3_1() {
        let mut world = World::new();
        let (own, name) = (world.as_dp(0), world.dp(0));
        let capabilities = Some(pb::data_provider::Capabilities {
            honest_majority_share_shuffle_supported: true,
            noise_mechanism_none_supported: true,
            ..Default::default()
        });
        let request =
            pb::ReplaceDataProviderCapabilitiesRequest { name: name.clone(), capabilities };
        let denied = world.as_mc(0);
        let answer = world.write(|w| replace_capabilities(w, Some(&denied), &request));
        assert_eq!(refused(answer), (Code::PermissionDenied, None));
        let row = world.write(|w| replace_capabilities(w, Some(&own), &request)).unwrap();
        let flags = row.capabilities.unwrap();
        assert!(flags.honest_majority_share_shuffle_supported);
        // neither stored nor returned (1.3.5)
        assert!(!flags.noise_mechanism_none_supported);

        let interval = Some(interval_to_proto(crate::model::Interval {
            start: Some(crate::model::Moment { seconds: 5, nanos: 7 }),
            end: None,
        }));
        let request = pb::ReplaceDataAvailabilityIntervalRequest {
            name: name.clone(),
            data_availability_interval: interval,
        };
        let row = world.write(|w| replace_data_availability_interval(w, Some(&own), &request));
        assert_eq!(row.unwrap().data_availability_interval, interval);

        let key = "modelProviders/AAAAAAAAAAE/modelSuites/AAAAAAAAAAI/modelLines/AAAAAAAAAAM";
        let entry = |key: &str| pb::data_provider::DataAvailabilityMapEntry {
            key: key.to_owned(),
            value: interval,
        };
        let request = |keys: &[&str]| pb::ReplaceDataAvailabilityIntervalsRequest {
            name: name.clone(),
            data_availability_intervals: keys.iter().map(|key| entry(key)).collect(),
        };
        let row = world
            .write(|w| replace_data_availability_intervals(w, Some(&own), &request(&[key])))
            .unwrap();
        assert_eq!(row.data_availability_intervals, [entry(key)]);
        let answer = world.write(|w| {
            replace_data_availability_intervals(w, Some(&own), &request(&["modelLines/x"]))
        });
        assert_eq!(refused(answer), (Code::InvalidArgument, None));
    }
}
