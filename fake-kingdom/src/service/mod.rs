//! The gRPC services: unpack, call the rule, wrap. No rule lives here.

use crate::authn::Principal;
use crate::cause::Cause;
use crate::core::Core;
use crate::error::{Code, Refusal};
use crate::model::{Read, Write};
use crate::public::{self, Answer, Caller};
use crate::status::to_status;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(crate) mod duchy;
mod operator;
mod public_api;
mod system;

/// Inbound limit of grpc-java, which the real servers leave as it is (contract 1.0.14).
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The services of one listener, with reflection beside them.
macro_rules! routes {
    ($api:expr; $($server:ty),+ $(,)?) => {{
        let names = vec![$(<$server as tonic::server::NamedService>::NAME),+];
        let routes = $crate::service::reflection(&names);
        $(
            let routes = routes.add_service(
                // grpc-java's server takes gzip by default.
                <$server>::from_arc($api.clone())
                    .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
                    .max_decoding_message_size($crate::service::MESSAGE_BYTES_MAX),
            );
        )+
        (routes, names)
    }};
}
pub(crate) use routes;

/// Server reflection v1 for these services (contract 1.0.14).
///
/// It depends on the names alone and takes milliseconds to make, so that every Kingdom of a process
/// shares one for each listener.
fn reflection(names: &[&'static str]) -> Routes {
    static MADE: Mutex<BTreeMap<Vec<&'static str>, Routes>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(names.to_vec()).or_insert_with(|| make_reflection(names)).clone()
}

fn make_reflection(names: &[&'static str]) -> Routes {
    let mut builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(kingdom_proto::FILE_DESCRIPTOR_SET)
        .include_reflection_service(true);
    for name in names {
        builder = builder.with_service_name(*name);
    }
    // It cannot fail: the descriptors are ours, and a test reads them.
    match builder.with_service_name("grpc.reflection.v1.ServerReflection").build_v1() {
        Ok(reflection) => Routes::new(reflection),
        Err(_) => Routes::default(),
    }
}

/// The routes of the three listeners, and every service by full name, as health reports them.
pub(crate) struct Services {
    pub(crate) public: Routes,
    pub(crate) system: Routes,
    pub(crate) operator: Routes,
    pub(crate) names: Vec<&'static str>,
}

impl Services {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let api = Arc::new(Api { core });
        let (public, mut names) = public_api::routes(&api);
        let (system, system_names) = system::routes(&api);
        let (operator, operator_names) = operator::routes(&api);
        names.extend(system_names);
        names.extend(operator_names);
        Self { public, system, operator, names }
    }
}

/// What the interceptors found out about a call; travels in the request's extensions.
#[derive(Clone)]
pub(crate) struct CallContext {
    /// The principal, if the call has one.
    pub(crate) caller: Option<Principal>,
    /// Why the call has no principal.
    pub(crate) no_principal_because: Option<Cause>,
    /// Who is written into the audit trail.
    pub(crate) actor: Arc<str>,
    /// Filled by the handler that refuses.
    pub(crate) cause: Arc<OnceLock<Cause>>,
    /// Filled by the handler that refuses, where a resource's state is why.
    pub(crate) subject: Arc<OnceLock<String>>,
}

/// All services of all listeners, over one state.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) core: Arc<Core>,
}

impl Api {
    fn read<Q, A>(
        &self,
        request: Request<Q>,
        rule: impl FnOnce(&Read<'_>, Caller<'_>, &Q) -> Answer<A>,
    ) -> Result<Response<A>, Status> {
        let context = context(&request)?;
        let answer = self.core.read(|read| rule(read, context.caller.as_ref(), request.get_ref()));
        wrap(&context, answer)
    }

    fn write<Q, A>(
        &self,
        request: Request<Q>,
        rule: impl FnOnce(&mut Write<'_>, Caller<'_>, &Q) -> Answer<A>,
    ) -> Result<Response<A>, Status> {
        let context = context(&request)?;
        let answer = self
            .core
            .write(&context.actor, |write| rule(write, context.caller.as_ref(), request.get_ref()));
        wrap(&context, answer)
    }
}

impl Api {
    /// A rule of the operator API: there is no principal (contract 1.8.1).
    fn operator_read<Q, A>(
        &self,
        request: Request<Q>,
        rule: impl FnOnce(&Read<'_>, &Q) -> Answer<A>,
    ) -> Result<Response<A>, Status> {
        self.read(request, |read, _, request| rule(read, request))
    }

    fn operator_write<Q, A>(
        &self,
        request: Request<Q>,
        rule: impl FnOnce(&mut Write<'_>, &Q) -> Answer<A>,
    ) -> Result<Response<A>, Status> {
        self.write(request, |write, _, request| rule(write, request))
    }

    /// A rule of the system API: the interceptor let only Duchies through (contract 2.5).
    fn system_read<Q, A>(
        &self,
        request: Request<Q>,
        rule: impl FnOnce(&Read<'_>, &str, &Q) -> Answer<A>,
    ) -> Result<Response<A>, Status> {
        self.read(request, |read, caller, request| {
            rule(read, public::require_principal(caller)?.id(), request)
        })
    }

    fn system_write<Q, A>(
        &self,
        request: Request<Q>,
        rule: impl FnOnce(&mut Write<'_>, &str, &Q) -> Answer<A>,
    ) -> Result<Response<A>, Status> {
        self.write(request, |write, caller, request| {
            rule(write, public::require_principal(caller)?.id(), request)
        })
    }
}

/// A list that was read in one piece, as a server stream.
type Listed<A> = tokio_stream::Iter<std::vec::IntoIter<Result<A, Status>>>;

fn stream<A>(answer: Result<Response<Vec<A>>, Status>) -> Result<Response<Listed<A>>, Status> {
    answer.map(|response| {
        response.map(|rows| {
            let rows: Vec<_> = rows.into_iter().map(Ok).collect();
            tokio_stream::iter(rows)
        })
    })
}

fn context<Q>(request: &Request<Q>) -> Result<CallContext, Status> {
    request
        .extensions()
        .get::<CallContext>()
        .cloned()
        .ok_or_else(|| Status::internal("the fake's interceptors did not run"))
}

fn wrap<A>(context: &CallContext, answer: Answer<A>) -> Result<Response<A>, Status> {
    answer.map(Response::new).map_err(|refusal| {
        note_cause(context, &refusal);
        to_status(&refusal)
    })
}

fn note_cause(context: &CallContext, refusal: &Refusal) {
    let cause = refusal.cause.or(match refusal.code {
        Code::Unauthenticated => context.no_principal_because,
        _ => None,
    });
    if let Some(cause) = cause {
        let _ = context.cause.set(cause);
    }
    if let Some(subject) = &refusal.subject {
        let _ = context.subject.set(subject.clone());
    }
}

/// Implements a service: each method names the way it runs and the rule that answers it.
macro_rules! service {
    ($service:path { $($kind:ident $method:ident($request:ty) -> $response:ty = $rule:path;)+ }) => {
        #[tonic::async_trait]
        impl $service for $crate::service::Api {
            $(async fn $method(
                &self,
                request: tonic::Request<$request>,
            ) -> Result<tonic::Response<$response>, tonic::Status> {
                self.$kind(request, $rule)
            })+
        }
    };
}
pub(crate) use service;
