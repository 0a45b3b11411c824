//! The services of the public listener.

use super::{Api, routes, service};
use crate::public;
use kingdom_proto::v2alpha as pb;
use std::sync::Arc;
use tonic::service::Routes;

pub(super) fn routes(api: &Arc<Api>) -> (Routes, Vec<&'static str>) {
    routes!(api;
        pb::certificates_server::CertificatesServer<Api>,
        pb::public_keys_server::PublicKeysServer<Api>,
        pb::data_providers_server::DataProvidersServer<Api>,
        pb::measurement_consumers_server::MeasurementConsumersServer<Api>,
        pb::model_providers_server::ModelProvidersServer<Api>,
        pb::event_groups_server::EventGroupsServer<Api>,
        pb::event_group_metadata_descriptors_server::EventGroupMetadataDescriptorsServer<Api>,
        pb::measurements_server::MeasurementsServer<Api>,
        pb::requisitions_server::RequisitionsServer<Api>,
    )
}

service!(pb::certificates_server::Certificates {
    read get_certificate(pb::GetCertificateRequest) -> pb::Certificate = public::certificates::get;
    read list_certificates(pb::ListCertificatesRequest) -> pb::ListCertificatesResponse
        = public::certificates::list;
    write create_certificate(pb::CreateCertificateRequest) -> pb::Certificate
        = public::certificates::create;
    write revoke_certificate(pb::RevokeCertificateRequest) -> pb::Certificate
        = public::certificates::revoke;
    write release_certificate_hold(pb::ReleaseCertificateHoldRequest) -> pb::Certificate
        = public::certificates::release_hold;
});

service!(pb::public_keys_server::PublicKeys {
    write update_public_key(pb::UpdatePublicKeyRequest) -> pb::PublicKey
        = public::public_keys::update;
});

service!(pb::data_providers_server::DataProviders {
    read get_data_provider(pb::GetDataProviderRequest) -> pb::DataProvider
        = public::data_providers::get;
    write replace_data_provider_required_duchies(pb::ReplaceDataProviderRequiredDuchiesRequest)
        -> pb::DataProvider = public::data_providers::replace_required_duchies;
    write replace_data_availability_intervals(pb::ReplaceDataAvailabilityIntervalsRequest)
        -> pb::DataProvider = public::data_providers::replace_data_availability_intervals;
    write replace_data_availability_interval(pb::ReplaceDataAvailabilityIntervalRequest)
        -> pb::DataProvider = public::data_providers::replace_data_availability_interval;
    write replace_data_provider_capabilities(pb::ReplaceDataProviderCapabilitiesRequest)
        -> pb::DataProvider = public::data_providers::replace_capabilities;
});

service!(pb::measurement_consumers_server::MeasurementConsumers {
    read get_measurement_consumer(pb::GetMeasurementConsumerRequest) -> pb::MeasurementConsumer
        = public::measurement_consumers::get;
    write create_measurement_consumer(pb::CreateMeasurementConsumerRequest)
        -> pb::MeasurementConsumer = public::measurement_consumers::create;
    write add_measurement_consumer_owner(pb::AddMeasurementConsumerOwnerRequest)
        -> pb::MeasurementConsumer = public::measurement_consumers::add_owner;
    write remove_measurement_consumer_owner(pb::RemoveMeasurementConsumerOwnerRequest)
        -> pb::MeasurementConsumer = public::measurement_consumers::remove_owner;
});

service!(pb::model_providers_server::ModelProviders {
    read get_model_provider(pb::GetModelProviderRequest) -> pb::ModelProvider
        = public::model_providers::get;
    read list_model_providers(pb::ListModelProvidersRequest) -> pb::ListModelProvidersResponse
        = public::model_providers::list;
});

service!(pb::event_groups_server::EventGroups {
    read get_event_group(pb::GetEventGroupRequest) -> pb::EventGroup = public::event_groups::get;
    write create_event_group(pb::CreateEventGroupRequest) -> pb::EventGroup
        = public::event_groups::create;
    write batch_create_event_groups(pb::BatchCreateEventGroupsRequest)
        -> pb::BatchCreateEventGroupsResponse = public::event_groups::batch_create;
    write update_event_group(pb::UpdateEventGroupRequest) -> pb::EventGroup
        = public::event_groups::update;
    write batch_update_event_groups(pb::BatchUpdateEventGroupsRequest)
        -> pb::BatchUpdateEventGroupsResponse = public::event_groups::batch_update;
    write delete_event_group(pb::DeleteEventGroupRequest) -> pb::EventGroup
        = public::event_groups::delete;
    read list_event_groups(pb::ListEventGroupsRequest) -> pb::ListEventGroupsResponse
        = public::event_groups::list;
});

service!(pb::event_group_metadata_descriptors_server::EventGroupMetadataDescriptors {
    read get_event_group_metadata_descriptor(pb::GetEventGroupMetadataDescriptorRequest)
        -> pb::EventGroupMetadataDescriptor = public::event_group_metadata_descriptors::get;
    write create_event_group_metadata_descriptor(pb::CreateEventGroupMetadataDescriptorRequest)
        -> pb::EventGroupMetadataDescriptor = public::event_group_metadata_descriptors::create;
    write update_event_group_metadata_descriptor(pb::UpdateEventGroupMetadataDescriptorRequest)
        -> pb::EventGroupMetadataDescriptor = public::event_group_metadata_descriptors::update;
    read batch_get_event_group_metadata_descriptors(
        pb::BatchGetEventGroupMetadataDescriptorsRequest
    ) -> pb::BatchGetEventGroupMetadataDescriptorsResponse
        = public::event_group_metadata_descriptors::batch_get;
    read list_event_group_metadata_descriptors(pb::ListEventGroupMetadataDescriptorsRequest)
        -> pb::ListEventGroupMetadataDescriptorsResponse
        = public::event_group_metadata_descriptors::list;
});

service!(pb::measurements_server::Measurements {
    read get_measurement(pb::GetMeasurementRequest) -> pb::Measurement = public::measurements::get;
    write create_measurement(pb::CreateMeasurementRequest) -> pb::Measurement
        = public::measurements::create;
    read list_measurements(pb::ListMeasurementsRequest) -> pb::ListMeasurementsResponse
        = public::measurements::list;
    write cancel_measurement(pb::CancelMeasurementRequest) -> pb::Measurement
        = public::measurements::cancel;
    write batch_create_measurements(pb::BatchCreateMeasurementsRequest)
        -> pb::BatchCreateMeasurementsResponse = public::measurements::batch_create;
    read batch_get_measurements(pb::BatchGetMeasurementsRequest)
        -> pb::BatchGetMeasurementsResponse = public::measurements::batch_get;
});

service!(pb::requisitions_server::Requisitions {
    read list_requisitions(pb::ListRequisitionsRequest) -> pb::ListRequisitionsResponse
        = public::requisitions::list;
    write refuse_requisition(pb::RefuseRequisitionRequest) -> pb::Requisition
        = public::requisitions::refuse;
    write fulfill_direct_requisition(pb::FulfillDirectRequisitionRequest)
        -> pb::FulfillDirectRequisitionResponse = public::requisitions::fulfill_direct;
    read get_requisition(pb::GetRequisitionRequest) -> pb::Requisition = public::requisitions::get;
});
