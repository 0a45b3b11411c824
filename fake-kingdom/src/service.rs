//! The gRPC services: unpack, call the rule, wrap. No rule lives here.

use crate::authn::Principal;
use crate::cause::Cause;
use crate::core::Core;
use crate::error::{Code, Refusal};
use crate::model::{Read, Write};
use crate::public::{self, Answer, Caller};
use crate::status::to_status;
use kingdom_proto::v2alpha as pb;
use std::sync::{Arc, OnceLock};
use tonic::{Request, Response, Status};

/// Inbound limit of grpc-java, which the real servers leave as it is (contract 1.0.14).
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Every service that health reports, by full name.
pub(crate) const SERVICE_NAMES: &[&str] =
    &["wfa.measurement.api.v2alpha.Certificates", "wfa.measurement.api.v2alpha.PublicKeys"];

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
}

/// All services of all listeners, over one state.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) core: Arc<Core>,
}

/// The services of the public listener.
pub(crate) fn public_routes(core: Arc<Core>) -> tonic::service::Routes {
    let api = Arc::new(Api { core });
    macro_rules! server {
        ($($server:ty),+) => {{
            let mut routes = tonic::service::RoutesBuilder::default();
            $(routes.add_service(
                <$server>::from_arc(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
            );)+
            routes.routes()
        }};
    }
    server!(
        pb::certificates_server::CertificatesServer<Api>,
        pb::public_keys_server::PublicKeysServer<Api>
    )
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
}

macro_rules! service {
    ($service:path { $($kind:ident $method:ident($request:ty) -> $response:ty = $rule:path;)+ }) => {
        #[tonic::async_trait]
        impl $service for Api {
            $(async fn $method(
                &self,
                request: Request<$request>,
            ) -> Result<Response<$response>, Status> {
                self.$kind(request, $rule)
            })+
        }
    };
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
