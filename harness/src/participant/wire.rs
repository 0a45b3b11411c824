//! How participants reach servers: typed methods over the harness's own client.

use crate::client::{Connection, ErrorInfo, Outcome, Request, TlsOptions, TransportError};
use crate::environment::{Dialled, Environment, Listener, Target};
use futures::future::LocalBoxFuture;
use kingdom_proto::{system, v2alpha as pb};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a participant may want to reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// The Kingdom's public API.
    PublicApi,
    /// The Kingdom's system API, for Duchies.
    SystemApi,
    /// A Duchy's requisition fulfilment server, by the Duchy's id.
    Duchy(String),
}

/// Opens streams. The one thing that knows where servers run.
pub trait Dial {
    /// Opens a stream.
    fn dial<'a>(&'a self, to: &'a Destination) -> LocalBoxFuture<'a, io::Result<Dialled>>;
}

/// Dials what an environment runs.
#[derive(Clone, Copy)]
pub struct Within<'a>(pub &'a dyn Environment);

impl Dial for Within<'_> {
    fn dial<'a>(&'a self, to: &'a Destination) -> LocalBoxFuture<'a, io::Result<Dialled>> {
        match to {
            Destination::PublicApi => self.0.dial(Target::Front(Listener::Public)),
            Destination::SystemApi => self.0.dial(Target::Front(Listener::System)),
            Destination::Duchy(id) => self.0.dial(Target::Duchy(id.clone())),
        }
    }
}

/// One method of an API, with the types of its request and its answer.
pub struct Method<Q, A> {
    path: &'static str,
    types: PhantomData<fn(&Q) -> A>,
}

impl<Q, A> Clone for Method<Q, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q, A> Copy for Method<Q, A> {}

impl<Q, A> Method<Q, A> {
    const fn new(path: &'static str) -> Self {
        Self { path, types: PhantomData }
    }

    /// `package.Service/Method`.
    pub fn path(self) -> &'static str {
        self.path
    }

    /// The Kingdom's listener that serves it.
    pub fn destination(self) -> Destination {
        if self.path.starts_with("wfa.measurement.system.") {
            Destination::SystemApi
        } else {
            Destination::PublicApi
        }
    }
}

macro_rules! methods {
    ($($name:ident $path:literal $request:ty => $answer:ty;)+) => {
        $(
            #[doc = concat!("`", $path, "`.")]
            pub const $name: Method<$request, $answer> = Method::new($path);
        )+

        /// The path of every method, for the test that looks them up among the services.
        pub const PATHS: &[&str] = &[$($path),+];
    };
}

methods! {
    GET_CERTIFICATE "wfa.measurement.api.v2alpha.Certificates/GetCertificate"
        pb::GetCertificateRequest => pb::Certificate;
    CREATE_CERTIFICATE "wfa.measurement.api.v2alpha.Certificates/CreateCertificate"
        pb::CreateCertificateRequest => pb::Certificate;
    REVOKE_CERTIFICATE "wfa.measurement.api.v2alpha.Certificates/RevokeCertificate"
        pb::RevokeCertificateRequest => pb::Certificate;
    RELEASE_CERTIFICATE_HOLD "wfa.measurement.api.v2alpha.Certificates/ReleaseCertificateHold"
        pb::ReleaseCertificateHoldRequest => pb::Certificate;
    UPDATE_PUBLIC_KEY "wfa.measurement.api.v2alpha.PublicKeys/UpdatePublicKey"
        pb::UpdatePublicKeyRequest => pb::PublicKey;
    GET_DATA_PROVIDER "wfa.measurement.api.v2alpha.DataProviders/GetDataProvider"
        pb::GetDataProviderRequest => pb::DataProvider;
    REPLACE_CAPABILITIES "wfa.measurement.api.v2alpha.DataProviders/ReplaceDataProviderCapabilities"
        pb::ReplaceDataProviderCapabilitiesRequest => pb::DataProvider;
    GET_MEASUREMENT_CONSUMER
        "wfa.measurement.api.v2alpha.MeasurementConsumers/GetMeasurementConsumer"
        pb::GetMeasurementConsumerRequest => pb::MeasurementConsumer;
    GET_MODEL_PROVIDER "wfa.measurement.api.v2alpha.ModelProviders/GetModelProvider"
        pb::GetModelProviderRequest => pb::ModelProvider;
    GET_EVENT_GROUP "wfa.measurement.api.v2alpha.EventGroups/GetEventGroup"
        pb::GetEventGroupRequest => pb::EventGroup;
    CREATE_EVENT_GROUP "wfa.measurement.api.v2alpha.EventGroups/CreateEventGroup"
        pb::CreateEventGroupRequest => pb::EventGroup;
    UPDATE_EVENT_GROUP "wfa.measurement.api.v2alpha.EventGroups/UpdateEventGroup"
        pb::UpdateEventGroupRequest => pb::EventGroup;
    CREATE_MEASUREMENT "wfa.measurement.api.v2alpha.Measurements/CreateMeasurement"
        pb::CreateMeasurementRequest => pb::Measurement;
    BATCH_CREATE_MEASUREMENTS "wfa.measurement.api.v2alpha.Measurements/BatchCreateMeasurements"
        pb::BatchCreateMeasurementsRequest => pb::BatchCreateMeasurementsResponse;
    GET_MEASUREMENT "wfa.measurement.api.v2alpha.Measurements/GetMeasurement"
        pb::GetMeasurementRequest => pb::Measurement;
    CANCEL_MEASUREMENT "wfa.measurement.api.v2alpha.Measurements/CancelMeasurement"
        pb::CancelMeasurementRequest => pb::Measurement;
    LIST_REQUISITIONS "wfa.measurement.api.v2alpha.Requisitions/ListRequisitions"
        pb::ListRequisitionsRequest => pb::ListRequisitionsResponse;
    GET_REQUISITION "wfa.measurement.api.v2alpha.Requisitions/GetRequisition"
        pb::GetRequisitionRequest => pb::Requisition;
    REFUSE_REQUISITION "wfa.measurement.api.v2alpha.Requisitions/RefuseRequisition"
        pb::RefuseRequisitionRequest => pb::Requisition;
    FULFILL_DIRECT "wfa.measurement.api.v2alpha.Requisitions/FulfillDirectRequisition"
        pb::FulfillDirectRequisitionRequest => pb::FulfillDirectRequisitionResponse;
    FULFILL_AT_DUCHY "wfa.measurement.api.v2alpha.RequisitionFulfillment/FulfillRequisition"
        pb::FulfillRequisitionRequest => pb::FulfillRequisitionResponse;
    GET_COMPUTATION "wfa.measurement.system.v1alpha.Computations/GetComputation"
        system::GetComputationRequest => system::Computation;
    SET_COMPUTATION_RESULT "wfa.measurement.system.v1alpha.Computations/SetComputationResult"
        system::SetComputationResultRequest => system::Computation;
    GET_PARTICIPANT
        "wfa.measurement.system.v1alpha.ComputationParticipants/GetComputationParticipant"
        system::GetComputationParticipantRequest => system::ComputationParticipant;
    SET_PARAMS
        "wfa.measurement.system.v1alpha.ComputationParticipants/SetParticipantRequisitionParams"
        system::SetParticipantRequisitionParamsRequest => system::ComputationParticipant;
    CONFIRM_PARTICIPANT
        "wfa.measurement.system.v1alpha.ComputationParticipants/ConfirmComputationParticipant"
        system::ConfirmComputationParticipantRequest => system::ComputationParticipant;
    FAIL_PARTICIPANT
        "wfa.measurement.system.v1alpha.ComputationParticipants/FailComputationParticipant"
        system::FailComputationParticipantRequest => system::ComputationParticipant;
}

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// Name of the gRPC code; UNAVAILABLE if no status came, as client libraries report it.
    pub code: &'static str,
    /// The server's description, or what broke.
    pub description: String,
    /// ErrorInfo, if there was one.
    pub info: Option<ErrorInfo>,
}

impl CallError {
    /// An error of the caller itself.
    pub fn own(what: impl fmt::Display) -> Self {
        Self { code: "INTERNAL", description: what.to_string(), info: None }
    }

    /// Whether trying again later may help (contract 3.12.4).
    pub fn is_transient(&self) -> bool {
        matches!(self.code, "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "ABORTED")
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)?;
        if let Some(info) = &self.info {
            write!(f, "/{}", info.reason)?;
        }
        if self.description.is_empty() { Ok(()) } else { write!(f, ": {}", self.description) }
    }
}

impl std::error::Error for CallError {}

impl From<TransportError> for CallError {
    fn from(error: TransportError) -> Self {
        let code =
            if error == TransportError::Timeout { "DEADLINE_EXCEEDED" } else { "UNAVAILABLE" };
        Self { code, description: error.to_string(), info: None }
    }
}

/// A participant's open connections, one for each destination.
#[derive(Default)]
pub(super) struct Line {
    open: BTreeMap<Destination, Connection>,
}

impl Line {
    /// Calls, over the open connection or a new one.
    pub(super) async fn call<Q: prost::Message, A: prost::Message + Default>(
        &mut self,
        dial: &dyn Dial,
        tls: &TlsOptions,
        metadata: Vec<(String, String)>,
        to: &Destination,
        method: &str,
        requests: &[&Q],
    ) -> Result<A, CallError> {
        let request = Request {
            method: method.to_owned(),
            metadata,
            messages: requests.iter().map(|request| request.encode_to_vec()).collect(),
            patience: PATIENCE,
        };
        let open = self.open.remove(to).filter(|connection| !connection.is_closed());
        let mut connection = match open {
            Some(connection) => connection,
            None => connect(dial, tls, to).await?,
        };
        match connection.call(&request).await {
            Outcome::Broken(error) => Err(error.into()),
            Outcome::Answered { messages, status } => {
                self.open.insert(to.clone(), connection);
                if status.code != "OK" {
                    return Err(CallError {
                        code: status.code,
                        description: status.description,
                        info: status.error_info,
                    });
                }
                messages
                    .first()
                    .and_then(|bytes| A::decode(bytes.as_slice()).ok())
                    .ok_or_else(|| CallError::own("the answer is not the message that is due"))
            }
        }
    }
}

/// Calls over a connection of its own and takes the first message that is wanted.
pub(super) async fn first_of_stream<Q: prost::Message, A: prost::Message + Default>(
    dial: &dyn Dial,
    tls: &TlsOptions,
    metadata: Vec<(String, String)>,
    to: &Destination,
    path: &str,
    request: &Q,
    wanted: &dyn Fn(&A) -> bool,
) -> Result<A, CallError> {
    let request = Request {
        method: path.to_owned(),
        metadata,
        messages: vec![request.encode_to_vec()],
        patience: PATIENCE,
    };
    let mut connection = connect(dial, tls, to).await?;
    let decoded = |bytes: &[u8]| A::decode(bytes).ok().filter(|message| wanted(message));
    let fits = |bytes: &[u8]| decoded(bytes).is_some();
    match connection.call_until(&request, &fits).await {
        Outcome::Broken(error) => Err(error.into()),
        Outcome::Answered { messages, status } if status.code == "OK" => messages
            .last()
            .and_then(|bytes| decoded(bytes))
            .ok_or_else(|| CallError::own("the stream ended without what was wanted")),
        Outcome::Answered { status, .. } => Err(CallError {
            code: status.code,
            description: status.description,
            info: status.error_info,
        }),
    }
}

async fn connect(
    dial: &dyn Dial,
    tls: &TlsOptions,
    to: &Destination,
) -> Result<Connection, CallError> {
    let dialled = dial.dial(to).await.map_err(|error| CallError {
        code: "UNAVAILABLE",
        description: format!("cannot connect: {error}"),
        info: None,
    })?;
    Ok(Connection::open(dialled.stream, dialled.local, tls).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_one_of_the_services() {
        let pool =
            prost_reflect::DescriptorPool::decode(kingdom_proto::FILE_DESCRIPTOR_SET).unwrap();
        for path in PATHS {
            let (service, method) = path.split_once('/').unwrap();
            let service = pool.get_service_by_name(service).unwrap_or_else(|| panic!("{path}"));
            assert!(service.methods().any(|known| known.name() == method), "{path}");
        }
    }
}
