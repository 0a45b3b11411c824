//! The service of a Duchy's own listener: reads the stream, asks the rules of [`crate::duchy`], then
//! the Kingdom's system API.

use super::{context, wrap};
use crate::core::Core;
use crate::duchy::{self, Body, Store};
use crate::model::requisition::State;
use crate::public::Answer;
use kingdom_proto::{system, v2alpha as pb};
use pb::fulfill_requisition_request::{Header, Payload};
use pb::requisition_fulfillment_server::{RequisitionFulfillment, RequisitionFulfillmentServer};
use std::sync::{Arc, Mutex, PoisonError};
use system::requisitions_client::RequisitionsClient;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

/// One Duchy's service.
#[derive(Clone)]
pub(crate) struct DuchyApi {
    pub(crate) core: Arc<Core>,
    pub(crate) duchy: Arc<str>,
    pub(crate) store: Arc<Mutex<Store>>,
    /// To the Kingdom's system API, under the Duchy's own leaf.
    pub(crate) kingdom: Channel,
}

impl DuchyApi {
    pub(crate) fn routes(self) -> Routes {
        let (routes, _) = super::routes!(Arc::new(self); RequisitionFulfillmentServer<DuchyApi>);
        routes
    }

    fn store(&self) -> std::sync::MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl RequisitionFulfillment for DuchyApi {
    async fn fulfill_requisition(
        &self,
        request: Request<Streaming<pb::FulfillRequisitionRequest>>,
    ) -> Result<Response<pb::FulfillRequisitionResponse>, Status> {
        let context = context(&request)?;
        let refuse = |answer: Answer<()>| wrap(&context, answer).map(|_| ());
        let mut stream = request.into_inner();
        let first = stream.message().await?;
        let known = self.core.read(|read| {
            duchy::check_header(read, &self.duchy, context.caller.as_ref(), first.as_ref())
        });
        let known = wrap(&context, known)?.into_inner();
        let header = match first.and_then(|first| first.payload) {
            Some(Payload::Header(header)) => header,
            // The rule has refused it.
            _ => Header::default(),
        };
        let mut body = Body::default();
        while let Some(message) = stream.message().await? {
            if let Some(Payload::BodyChunk(chunk)) = message.payload {
                body.push(&chunk.data);
            }
        }
        if !self.store().has(&known) {
            // The body is stored before the protocol's header is looked at; a later call finds it
            // there and only asks the Kingdom again (contract 1.7.14).
            self.store().record(&known, &header, body);
            let checked =
                self.core.read(|read| duchy::check_protocol(read, &self.duchy, &known, &header));
            refuse(checked)?;
        }
        let fulfilled = RequisitionsClient::new(self.kingdom.clone())
            .fulfill_requisition(duchy::kingdom_request(&known, &header))
            .await;
        fulfilled.map_err(|status| passed_on(&status))?;
        Ok(Response::new(pb::FulfillRequisitionResponse { state: State::Fulfilled.to_public() }))
    }
}

/// The Kingdom's status passes on as it is (contract 1.7.10), without its other trailers. Where there
/// is none, because the connection or its handshake failed, client libraries say UNAVAILABLE (2.1).
fn passed_on(status: &Status) -> Status {
    match std::error::Error::source(status) {
        Some(_) => Status::unavailable("the Kingdom's system API cannot be reached"),
        None => {
            Status::with_details(status.code(), status.message(), status.details().to_vec().into())
        }
    }
}
