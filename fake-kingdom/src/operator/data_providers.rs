//! DataProviders of the internal API (table 1.8.2): provisioning.

use super::certificates;
use crate::error::{InternalError, Refusal};
use crate::model::certificate;
use crate::model::data_provider::{
    self, Availability, Capabilities, DataProvider, NewDataProvider,
};
use crate::model::public_key::StoredPublicKey;
use crate::model::{Outcome, Owner, Read, Write};
use crate::public::certificates::{signed, unsigned};
use crate::public::public_keys::API_VERSION;
use crate::public::{Answer, interval_from_proto, interval_to_proto};
use kingdom_proto::internal as pb;

/// CreateDataProvider, with its certificate as given (contract 1.8.5).
///
/// # Errors
/// An unknown `details.api_version`, an empty key or signature INVALID_ARGUMENT; an SKID in use
/// UNKNOWN (quirk `create-consumer-duplicate-skid-is-unknown`); a required Duchy that is unknown or
/// repeated as for the replacement (contract 1.0.17).
pub fn create(write: &mut Write<'_>, request: &pb::DataProvider) -> Answer<pb::DataProvider> {
    let details = request.details.clone().unwrap_or_default();
    if details.api_version != API_VERSION {
        let message = format!("unknown details.api_version `{}`", details.api_version);
        return Err(InternalError::invalid_argument(message).untranslated());
    }
    let new = NewDataProvider {
        public_key: StoredPublicKey {
            key: details.public_key,
            signature: details.public_key_signature,
            signature_algorithm_oid: details.public_key_signature_algorithm_oid,
            api_version: details.api_version,
        },
        required_duchies: request.required_external_duchy_ids.clone(),
        data_availability_intervals: intervals(&request.data_availability_intervals),
        data_availability_interval: details
            .data_availability_interval
            .as_ref()
            .map(interval_from_proto)
            .unwrap_or_default(),
        capabilities: capabilities(details.capabilities),
    };
    let certificate = certificates::from_proto(&request.certificate.clone().unwrap_or_default());
    let outcome = data_provider::create(write, certificate, new);
    answer(write, outcome)
}

/// GetDataProvider.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn get(read: &Read<'_>, request: &pb::GetDataProviderRequest) -> Answer<pb::DataProvider> {
    data_provider::find(read.tables, signed(request.external_data_provider_id))
        .map(|row| to_proto(read, row))
        .map_err(InternalError::untranslated)
}

/// BatchGetDataProviders, in the order of the ids.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND for the first that is missing.
pub fn batch_get(
    read: &Read<'_>,
    request: &pb::BatchGetDataProvidersRequest,
) -> Answer<pb::BatchGetDataProvidersResponse> {
    let data_providers = request
        .external_data_provider_ids
        .iter()
        .map(|id| data_provider::find(read.tables, signed(*id)).map(|row| to_proto(read, row)))
        .collect::<Outcome<Vec<_>>>()
        .map_err(InternalError::untranslated)?;
    Ok(pb::BatchGetDataProvidersResponse { data_providers })
}

/// ReplaceDataProviderRequiredDuchies.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND, then a Duchy that is unknown or repeated (contract 1.0.17).
pub fn replace_required_duchies(
    write: &mut Write<'_>,
    request: &pb::ReplaceDataProviderRequiredDuchiesRequest,
) -> Answer<pb::DataProvider> {
    let id = signed(request.external_data_provider_id);
    let duchies = request.required_external_duchy_ids.clone();
    let outcome = data_provider::replace_required_duchies(write, id, duchies);
    answer(write, outcome)
}

/// ReplaceDataAvailabilityIntervals. That a model line exists is not checked, since model lines are
/// outside this fake.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn replace_data_availability_intervals(
    write: &mut Write<'_>,
    request: &pb::ReplaceDataAvailabilityIntervalsRequest,
) -> Answer<pb::DataProvider> {
    let intervals = intervals(&request.data_availability_intervals);
    let action = "replace_data_availability_intervals";
    replace(write, request.external_data_provider_id, action, |row| {
        row.data_availability_intervals = intervals;
    })
}

/// ReplaceDataAvailabilityInterval.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn replace_data_availability_interval(
    write: &mut Write<'_>,
    request: &pb::ReplaceDataAvailabilityIntervalRequest,
) -> Answer<pb::DataProvider> {
    let sent = request.data_availability_interval.as_ref();
    let interval = sent.map(interval_from_proto).unwrap_or_default();
    let action = "replace_data_availability_interval";
    replace(write, request.external_data_provider_id, action, |row| {
        row.data_availability_interval = interval;
    })
}

/// ReplaceDataProviderCapabilities.
///
/// # Errors
/// NOT_FOUND/DATA_PROVIDER_NOT_FOUND.
pub fn replace_capabilities(
    write: &mut Write<'_>,
    request: &pb::ReplaceDataProviderCapabilitiesRequest,
) -> Answer<pb::DataProvider> {
    let capabilities = capabilities(request.capabilities);
    replace(write, request.external_data_provider_id, "replace_capabilities", |row| {
        row.capabilities = capabilities;
    })
}

fn replace(
    write: &mut Write<'_>,
    id: u64,
    action: &'static str,
    change: impl FnOnce(&mut DataProvider),
) -> Answer<pb::DataProvider> {
    let outcome = data_provider::replace(write, signed(id), action, change);
    answer(write, outcome)
}

fn answer(write: &Write<'_>, outcome: Outcome<DataProvider>) -> Result<pb::DataProvider, Refusal> {
    outcome.map(|row| to_proto(&write.read(), &row)).map_err(InternalError::untranslated)
}

fn intervals(entries: &[pb::data_provider::DataAvailabilityMapEntry]) -> Vec<Availability> {
    entries
        .iter()
        .map(|entry| {
            let key = entry.key.unwrap_or_default();
            Availability {
                model_line: (
                    signed(key.external_model_provider_id),
                    signed(key.external_model_suite_id),
                    signed(key.external_model_line_id),
                ),
                interval: entry.value.as_ref().map(interval_from_proto).unwrap_or_default(),
            }
        })
        .collect()
}

fn capabilities(sent: Option<pb::DataProviderCapabilities>) -> Capabilities {
    let flags = sent.unwrap_or_default();
    Capabilities {
        honest_majority_share_shuffle_supported: flags.honest_majority_share_shuffle_supported,
        trus_tee_supported: flags.trus_tee_supported,
        noise_mechanism_deterministic_truncated_laplace_supported: flags
            .noise_mechanism_deterministic_truncated_laplace_supported,
    }
}

/// A data provider as the internal API shows it.
pub fn to_proto(read: &Read<'_>, row: &DataProvider) -> pb::DataProvider {
    let flags = row.capabilities;
    let certificate = certificate::find(read, &Owner::DataProvider(row.id), row.certificate);
    pb::DataProvider {
        external_data_provider_id: unsigned(row.id),
        certificate: certificate.map(certificates::to_proto),
        details: Some(pb::DataProviderDetails {
            api_version: row.public_key.api_version.clone(),
            public_key: row.public_key.key.clone(),
            public_key_signature: row.public_key.signature.clone(),
            public_key_signature_algorithm_oid: row.public_key.signature_algorithm_oid.clone(),
            data_availability_interval: Some(interval_to_proto(row.data_availability_interval)),
            capabilities: Some(pb::DataProviderCapabilities {
                honest_majority_share_shuffle_supported: flags
                    .honest_majority_share_shuffle_supported,
                trus_tee_supported: flags.trus_tee_supported,
                noise_mechanism_deterministic_truncated_laplace_supported: flags
                    .noise_mechanism_deterministic_truncated_laplace_supported,
            }),
        }),
        required_external_duchy_ids: row.required_duchies.clone(),
        data_availability_intervals: row
            .data_availability_intervals
            .iter()
            .map(|entry| {
                let (provider, suite, line) = entry.model_line;
                pb::data_provider::DataAvailabilityMapEntry {
                    key: Some(pb::ModelLineKey {
                        external_model_provider_id: unsigned(provider),
                        external_model_suite_id: unsigned(suite),
                        external_model_line_id: unsigned(line),
                    }),
                    value: Some(interval_to_proto(entry.interval)),
                }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::public::fixture::{World, metadata, refused};
    use crate::quirk::Quirk;

    fn sent(skid: &[u8]) -> pb::DataProvider {
        pb::DataProvider {
            certificate: Some(pb::Certificate {
                subject_key_identifier: skid.to_vec(),
                ..Default::default()
            }),
            details: Some(pb::DataProviderDetails {
                api_version: "v2alpha".to_owned(),
                public_key: vec![1],
                public_key_signature: vec![2],
                ..Default::default()
            }),
            required_external_duchy_ids: vec!["worker1".to_owned()],
            ..Default::default()
        }
    }

    #[test]
    fn a_created_provider_is_found_alone_and_in_a_batch_1_8_2() {
        let mut world = World::new();
        let stored = world.write(|w| create(w, &sent(b"new"))).unwrap();
        let id = stored.external_data_provider_id;
        assert_eq!(stored.required_external_duchy_ids, ["worker1"]);
        assert_eq!(stored.certificate.as_ref().unwrap().subject_key_identifier, b"new");
        let request = pb::GetDataProviderRequest { external_data_provider_id: id };
        assert_eq!(get(&world.read(), &request).as_ref(), Ok(&stored));
        let first = unsigned(world.data_providers[0]);
        let request =
            pb::BatchGetDataProvidersRequest { external_data_provider_ids: vec![id, first] };
        let rows = batch_get(&world.read(), &request).unwrap().data_providers;
        assert_eq!((rows.len(), &rows[0]), (2, &stored));
        let request =
            pb::BatchGetDataProvidersRequest { external_data_provider_ids: vec![id, 404] };
        let answer = batch_get(&world.read(), &request);
        assert_eq!(refused(answer.clone()), (Code::NotFound, Some("DATA_PROVIDER_NOT_FOUND")));
        assert_eq!(metadata(answer, "external_data_provider_id").as_deref(), Some("404"));
    }

    #[test]
    fn create_needs_a_known_api_version_a_key_and_a_signature_1_8_2() {
        let mut world = World::new();
        let changed = |change: fn(&mut pb::DataProviderDetails)| {
            let mut provider = sent(b"new");
            change(provider.details.as_mut().unwrap());
            provider
        };
        for case in [
            changed(|details| details.api_version = "v3".to_owned()),
            changed(|details| details.public_key.clear()),
            changed(|details| details.public_key_signature.clear()),
            pb::DataProvider { details: None, ..sent(b"new") },
        ] {
            let answer = world.write(|w| create(w, &case));
            assert_eq!(refused(answer), (Code::InvalidArgument, None));
        }
        assert_eq!(world.tables.certificates.len(), 4);
    }

    #[test]
    fn an_skid_in_use_is_unknown_1_3_6() {
        let mut world = World::new();
        let answer = world.write(|w| create(w, &sent(b"mc0")));
        assert_eq!(refused(answer), (Code::Unknown, None));
        assert_eq!(world.tables.data_providers.len(), 2);
    }

    #[test]
    fn an_skid_in_use_already_exists_as_documented_1_3_6() {
        let mut world = World::documented(Quirk::CreateConsumerDuplicateSkidIsUnknown);
        let answer = world.write(|w| create(w, &sent(b"mc0")));
        assert_eq!(
            refused(answer),
            (Code::AlreadyExists, Some("CERT_SUBJECT_KEY_ID_ALREADY_EXISTS"))
        );
    }

    #[test]
    fn replacements_need_no_ownership_and_an_existing_provider_1_8_1() {
        let mut world = World::new();
        let id = unsigned(world.data_providers[0]);
        let duchies = |id, duchy: &str| pb::ReplaceDataProviderRequiredDuchiesRequest {
            external_data_provider_id: id,
            required_external_duchy_ids: vec![duchy.to_owned()],
        };
        let row = world.write(|w| replace_required_duchies(w, &duchies(id, "worker2"))).unwrap();
        assert_eq!(row.required_external_duchy_ids, ["worker2"]);
        let answer = world.write(|w| replace_required_duchies(w, &duchies(404, "nobody")));
        assert_eq!(refused(answer), (Code::NotFound, Some("DATA_PROVIDER_NOT_FOUND")));
        let answer = world.write(|w| replace_required_duchies(w, &duchies(id, "nobody")));
        assert_eq!(refused(answer), (Code::Unknown, None));

        let capabilities =
            pb::DataProviderCapabilities { trus_tee_supported: true, ..Default::default() };
        let request = pb::ReplaceDataProviderCapabilitiesRequest {
            external_data_provider_id: id,
            capabilities: Some(capabilities),
        };
        let row = world.write(|w| replace_capabilities(w, &request)).unwrap();
        assert_eq!(row.details.unwrap().capabilities, Some(capabilities));

        let value = Some(interval_to_proto(crate::model::Interval {
            start: Some(crate::model::Moment { seconds: 1, nanos: 2 }),
            end: None,
        }));
        let request = pb::ReplaceDataAvailabilityIntervalRequest {
            external_data_provider_id: id,
            data_availability_interval: value,
        };
        let row = world.write(|w| replace_data_availability_interval(w, &request)).unwrap();
        assert_eq!(row.details.unwrap().data_availability_interval, value);

        let entry = pb::data_provider::DataAvailabilityMapEntry {
            key: Some(pb::ModelLineKey {
                external_model_provider_id: 1,
                external_model_suite_id: 2,
                external_model_line_id: 3,
            }),
            value,
        };
        let request = pb::ReplaceDataAvailabilityIntervalsRequest {
            external_data_provider_id: id,
            data_availability_intervals: vec![entry],
        };
        let row = world.write(|w| replace_data_availability_intervals(w, &request)).unwrap();
        assert_eq!(row.data_availability_intervals, [entry]);
    }
}
