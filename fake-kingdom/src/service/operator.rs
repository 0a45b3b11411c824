//! The services of the operator listener: what the data server offers to an operator. The RPCs that
//! only the real Kingdom's own public and system servers call are not implemented.

use super::{Api, Listed, routes, stream};
use crate::operator;
use kingdom_proto::internal as pb;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(super) fn routes(api: &Arc<Api>) -> (Routes, Vec<&'static str>) {
    routes!(api; pb::measurements_server::MeasurementsServer<Api>)
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
