//! The services of the operator listener: what the data server offers to an operator. The RPCs that
//! only the real Kingdom's own public and system servers call are not implemented.

use super::{Api, Listed, routes, service, stream};
use crate::operator;
use kingdom_proto::internal as pb;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(super) fn routes(api: &Arc<Api>) -> (Routes, Vec<&'static str>) {
    routes!(api;
        pb::certificates_server::CertificatesServer<Api>,
        pb::public_keys_server::PublicKeysServer<Api>,
        pb::data_providers_server::DataProvidersServer<Api>,
        pb::measurement_consumers_server::MeasurementConsumersServer<Api>,
        pb::model_providers_server::ModelProvidersServer<Api>,
        pb::measurements_server::MeasurementsServer<Api>,
    )
}

service!(pb::public_keys_server::PublicKeys {
    operator_write update_public_key(pb::UpdatePublicKeyRequest) -> pb::UpdatePublicKeyResponse
        = operator::public_keys::update;
});

service!(pb::data_providers_server::DataProviders {
    operator_write create_data_provider(pb::DataProvider) -> pb::DataProvider
        = operator::data_providers::create;
    operator_read get_data_provider(pb::GetDataProviderRequest) -> pb::DataProvider
        = operator::data_providers::get;
    operator_read batch_get_data_providers(pb::BatchGetDataProvidersRequest)
        -> pb::BatchGetDataProvidersResponse = operator::data_providers::batch_get;
    operator_write replace_data_provider_required_duchies(
        pb::ReplaceDataProviderRequiredDuchiesRequest
    ) -> pb::DataProvider = operator::data_providers::replace_required_duchies;
    operator_write replace_data_availability_intervals(pb::ReplaceDataAvailabilityIntervalsRequest)
        -> pb::DataProvider = operator::data_providers::replace_data_availability_intervals;
    operator_write replace_data_availability_interval(pb::ReplaceDataAvailabilityIntervalRequest)
        -> pb::DataProvider = operator::data_providers::replace_data_availability_interval;
    operator_write replace_data_provider_capabilities(pb::ReplaceDataProviderCapabilitiesRequest)
        -> pb::DataProvider = operator::data_providers::replace_capabilities;
});

service!(pb::model_providers_server::ModelProviders {
    operator_write create_model_provider(pb::ModelProvider) -> pb::ModelProvider
        = operator::model_providers::create;
    operator_read get_model_provider(pb::GetModelProviderRequest) -> pb::ModelProvider
        = operator::model_providers::get;
    operator_read list_model_providers(pb::ListModelProvidersRequest)
        -> pb::ListModelProvidersResponse = operator::model_providers::list;
});

#[tonic::async_trait]
impl pb::certificates_server::Certificates for Api {
    type StreamCertificatesStream = Listed<pb::Certificate>;

    async fn create_certificate(
        &self,
        request: Request<pb::Certificate>,
    ) -> Result<Response<pb::Certificate>, Status> {
        self.operator_write(request, operator::certificates::create)
    }

    async fn get_certificate(
        &self,
        request: Request<pb::GetCertificateRequest>,
    ) -> Result<Response<pb::Certificate>, Status> {
        self.operator_read(request, operator::certificates::get)
    }

    async fn stream_certificates(
        &self,
        request: Request<pb::StreamCertificatesRequest>,
    ) -> Result<Response<Self::StreamCertificatesStream>, Status> {
        stream(self.operator_read(request, operator::certificates::stream))
    }

    async fn revoke_certificate(
        &self,
        request: Request<pb::RevokeCertificateRequest>,
    ) -> Result<Response<pb::Certificate>, Status> {
        self.operator_write(request, operator::certificates::revoke)
    }

    async fn release_certificate_hold(
        &self,
        request: Request<pb::ReleaseCertificateHoldRequest>,
    ) -> Result<Response<pb::Certificate>, Status> {
        self.operator_write(request, operator::certificates::release_hold)
    }
}

#[tonic::async_trait]
impl pb::measurement_consumers_server::MeasurementConsumers for Api {
    async fn create_measurement_consumer(
        &self,
        request: Request<pb::CreateMeasurementConsumerRequest>,
    ) -> Result<Response<pb::MeasurementConsumer>, Status> {
        self.operator_write(request, operator::measurement_consumers::create)
    }

    async fn get_measurement_consumer(
        &self,
        request: Request<pb::GetMeasurementConsumerRequest>,
    ) -> Result<Response<pb::MeasurementConsumer>, Status> {
        self.operator_read(request, operator::measurement_consumers::get)
    }

    async fn add_measurement_consumer_owner(
        &self,
        _: Request<pb::AddMeasurementConsumerOwnerRequest>,
    ) -> Result<Response<pb::MeasurementConsumer>, Status> {
        Err(servers_only("AddMeasurementConsumerOwner"))
    }

    async fn remove_measurement_consumer_owner(
        &self,
        _: Request<pb::RemoveMeasurementConsumerOwnerRequest>,
    ) -> Result<Response<pb::MeasurementConsumer>, Status> {
        Err(servers_only("RemoveMeasurementConsumerOwner"))
    }
}

fn servers_only(method: &str) -> Status {
    Status::unimplemented(format!(
        "{method} is called by the real Kingdom's own servers only; this fake offers what an operator uses (contract 1.8)"
    ))
}

#[tonic::async_trait]
impl pb::measurements_server::Measurements for Api {
    type StreamMeasurementsStream = Listed<pb::Measurement>;

    async fn create_measurement(
        &self,
        _: Request<pb::CreateMeasurementRequest>,
    ) -> Result<Response<pb::Measurement>, Status> {
        Err(servers_only("CreateMeasurement"))
    }

    async fn get_measurement(
        &self,
        request: Request<pb::GetMeasurementRequest>,
    ) -> Result<Response<pb::Measurement>, Status> {
        self.operator_read(request, operator::measurements::get)
    }

    async fn get_measurement_by_computation_id(
        &self,
        request: Request<pb::GetMeasurementByComputationIdRequest>,
    ) -> Result<Response<pb::Measurement>, Status> {
        self.operator_read(request, operator::measurements::get_by_computation_id)
    }

    async fn stream_measurements(
        &self,
        request: Request<pb::StreamMeasurementsRequest>,
    ) -> Result<Response<Self::StreamMeasurementsStream>, Status> {
        stream(self.operator_read(request, operator::measurements::stream))
    }

    async fn set_measurement_result(
        &self,
        _: Request<pb::SetMeasurementResultRequest>,
    ) -> Result<Response<pb::Measurement>, Status> {
        Err(servers_only("SetMeasurementResult"))
    }

    async fn cancel_measurement(
        &self,
        _: Request<pb::CancelMeasurementRequest>,
    ) -> Result<Response<pb::Measurement>, Status> {
        Err(servers_only("CancelMeasurement"))
    }

    async fn batch_cancel_measurements(
        &self,
        request: Request<pb::BatchCancelMeasurementsRequest>,
    ) -> Result<Response<pb::BatchCancelMeasurementsResponse>, Status> {
        self.operator_write(request, operator::measurements::batch_cancel)
    }

    async fn batch_delete_measurements(
        &self,
        request: Request<pb::BatchDeleteMeasurementsRequest>,
    ) -> Result<Response<()>, Status> {
        self.operator_write(request, operator::measurements::batch_delete)
    }

    async fn batch_create_measurements(
        &self,
        _: Request<pb::BatchCreateMeasurementsRequest>,
    ) -> Result<Response<pb::BatchCreateMeasurementsResponse>, Status> {
        Err(servers_only("BatchCreateMeasurements"))
    }

    async fn batch_get_measurements(
        &self,
        _: Request<pb::BatchGetMeasurementsRequest>,
    ) -> Result<Response<pb::BatchGetMeasurementsResponse>, Status> {
        Err(servers_only("BatchGetMeasurements"))
    }
}
