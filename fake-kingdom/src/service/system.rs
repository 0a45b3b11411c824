//! The services of the system listener.

use super::{Api, Listed, routes, service, stream};
use crate::system;
use kingdom_proto::system as pb;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(super) fn routes(api: &Arc<Api>) -> (Routes, Vec<&'static str>) {
    routes!(api;
        pb::computations_server::ComputationsServer<Api>,
        pb::computation_participants_server::ComputationParticipantsServer<Api>,
        pb::requisitions_server::RequisitionsServer<Api>,
    )
}

service!(pb::computation_participants_server::ComputationParticipants {
    system_read get_computation_participant(pb::GetComputationParticipantRequest)
        -> pb::ComputationParticipant = system::participants::get;
    system_write set_participant_requisition_params(pb::SetParticipantRequisitionParamsRequest)
        -> pb::ComputationParticipant = system::participants::set_requisition_params;
    system_write fail_computation_participant(pb::FailComputationParticipantRequest)
        -> pb::ComputationParticipant = system::participants::fail;
    system_write confirm_computation_participant(pb::ConfirmComputationParticipantRequest)
        -> pb::ComputationParticipant = system::participants::confirm;
});

service!(pb::requisitions_server::Requisitions {
    system_write fulfill_requisition(pb::FulfillRequisitionRequest) -> pb::Requisition
        = system::requisitions::fulfill;
});

#[tonic::async_trait]
impl pb::computations_server::Computations for Api {
    type StreamActiveComputationsStream = Listed<pb::StreamActiveComputationsResponse>;

    async fn get_computation(
        &self,
        request: Request<pb::GetComputationRequest>,
    ) -> Result<Response<pb::Computation>, Status> {
        self.system_read(request, system::computations::get)
    }

    async fn stream_active_computations(
        &self,
        request: Request<pb::StreamActiveComputationsRequest>,
    ) -> Result<Response<Self::StreamActiveComputationsStream>, Status> {
        stream(self.system_read(request, system::computations::stream_active))
    }

    async fn set_computation_result(
        &self,
        request: Request<pb::SetComputationResultRequest>,
    ) -> Result<Response<pb::Computation>, Status> {
        self.system_write(request, system::computations::set_result)
    }
}
