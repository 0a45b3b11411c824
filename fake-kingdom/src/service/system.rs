//! The services of the system listener.

use super::{Api, context, routes, service};
use crate::system;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use kingdom_proto::system as pb;
use std::sync::Arc;
use std::time::Duration;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Ten minutes of asking once a second; then the client has to call again.
const ASKED_AGAIN_MAX: u32 = 600;

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
    type StreamActiveComputationsStream =
        BoxStream<'static, Result<pb::StreamActiveComputationsResponse, Status>>;

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
        let caller = context(&request)?;
        let mut wanted = request.get_ref().clone();
        let first = self.system_read(request, system::computations::stream_active)?.into_inner();
        let api = self.clone();
        // The real stream stays open for a while and asks again each second.
        let asked_again = futures::stream::unfold(0_u32, move |asked| {
            let mut batch = Vec::new();
            if asked == 0 {
                batch.clone_from(&first);
            } else if asked <= ASKED_AGAIN_MAX {
                let duchy = caller.caller.as_ref().map(|duchy| duchy.id()).unwrap_or_default();
                let more =
                    api.core.read(|read| system::computations::stream_active(read, duchy, &wanted));
                batch = more.unwrap_or_default();
            }
            if let Some(last) = batch.last() {
                wanted.continuation_token.clone_from(&last.continuation_token);
            }
            async move {
                if asked > ASKED_AGAIN_MAX {
                    return None;
                }
                if batch.is_empty() && asked > 0 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Some((futures::stream::iter(batch.into_iter().map(Ok)), asked + 1))
            }
        });
        Ok(Response::new(asked_again.flatten().boxed()))
    }

    async fn set_computation_result(
        &self,
        request: Request<pb::SetComputationResultRequest>,
    ) -> Result<Response<pb::Computation>, Status> {
        self.system_write(request, system::computations::set_result)
    }
}
