//! One call on its way to the handler: faults, interceptors in the order of contract 2.2, and the
//! event that it leaves.

use crate::authn::Principal;
use crate::cause::Cause;
use crate::core::Core;
use crate::duchy;
use crate::error::{Code, Refusal};
use crate::event::{Connection, Event, Kind, Listener};
use crate::fault::{Action, CutPoint, Faults};
use crate::files::Contents;
use crate::limiter::RateLimiter;
use crate::model::Owner;
use crate::model::measurement_consumer::ApiKey;
use crate::quirk::Quirk;
use crate::service::CallContext;
use crate::status::{code_name, judge_id_token, rejection, to_status};
use hyper::body::Incoming;
use kingdom_proto::ApiId;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;
use tonic::body::Body;
use tower::ServiceExt as _;

/// What the peer certificate says about the caller (contract 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The key identifier of its issuer.
    Akid(Vec<u8>),
    /// There is none, and why.
    Nobody(Cause),
    /// The client sent no certificate, which only an optional client-auth lets through.
    NoCertificate,
}

/// One accepted connection, shared by its calls.
pub(crate) struct Peer {
    pub(crate) core: Arc<Core>,
    pub(crate) faults: Arc<Mutex<Faults>>,
    pub(crate) contents: Arc<Contents>,
    pub(crate) limiter: Option<Arc<Mutex<RateLimiter>>>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) identity: Identity,
    pub(crate) routes: tonic::service::Routes,
    /// Breaks the connection at once.
    pub(crate) cut: Notify,
}

/// The connection is being cut: the call gets no answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
pub(crate) struct Cut;

type HttpResponse = http::Response<Body>;

impl Peer {
    /// Takes one call through to its answer, and leaves its event.
    pub(crate) async fn call(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<HttpResponse, Cut> {
        let method = self.core.events.method(capped(request.uri().path()));
        let request_id = header(&request, "x-request-id").map(|id| Arc::<str>::from(capped(id)));
        let mut event = Event {
            connection: Some(self.connection.clone()),
            request_id,
            method: Some(method.clone()),
            ..Event::new(Kind::Call, "ok")
        };

        let verdict = self.intercept(&method, &request);
        let context = match &verdict {
            Verdict::Pass(context) => context.clone(),
            Verdict::Refuse { .. } => CallContext {
                caller: None,
                no_principal_because: None,
                actor: "".into(),
                cause: Arc::default(),
                subject: Arc::default(),
            },
        };
        event.principal = context.caller.as_ref().map(|p| p.shared_name().clone());

        let struck = self.strike(&method, event.principal.as_deref());
        let cut_after = match struck {
            Some((id, Action::Status(name))) => {
                let status = tonic::Status::new(grpc_code(name), format!("fault rule {id}"));
                event.cause = Some(Cause::FaultInjected);
                return Ok(self.finish(event, rejection(status, None)));
            }
            Some((_, Action::Cut(CutPoint::Before))) => {
                return self.cut_now(event);
            }
            Some((_, Action::DelayMs(millis))) => {
                tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
                false
            }
            Some((_, Action::Cut(CutPoint::After))) => true,
            None => false,
        };

        let response = match verdict {
            Verdict::Refuse { refusal, echo } => {
                event.cause = refusal.cause;
                let echoed = echo.then(|| request.headers());
                rejection(to_status(&refusal), echoed)
            }
            Verdict::Pass(_) => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(context.clone());
                match self.routes.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
        };
        event.cause = event.cause.or_else(|| context.cause.get().copied());
        event.subject = event.subject.or_else(|| context.subject.get().cloned());
        if cut_after {
            return self.cut_now(event);
        }
        Ok(self.finish(event, response))
    }

    fn strike(&self, method: &str, principal: Option<&str>) -> Option<(u64, Action)> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.is_empty() {
            return None;
        }
        let struck = faults.strike(method, principal, &self.connection.process);
        drop(faults);
        if let Some((id, _)) = &struck {
            self.core.events.record(
                self.core.clock.now(),
                Event {
                    connection: Some(self.connection.clone()),
                    method: Some(method.into()),
                    subject: Some(format!("fault rule {id}")),
                    ..Event::new(Kind::Fault, "fired")
                },
            );
        }
        struck
    }

    fn cut_now(&self, mut event: Event) -> Result<HttpResponse, Cut> {
        event.outcome = "cut";
        event.cause = Some(Cause::ConnectionCut);
        self.core.events.record(self.core.clock.now(), event);
        self.cut.notify_one();
        Err(Cut)
    }

    /// The code is in the headers when a call fails at once; a unary answer is OK.
    fn finish(&self, mut event: Event, mut response: HttpResponse) -> HttpResponse {
        let mut code = response
            .headers()
            .get("grpc-status")
            .and_then(|value| value.to_str().ok()?.parse::<i32>().ok())
            .unwrap_or(0);
        // tonic says OUT_OF_RANGE to a message over the limit, grpc-java RESOURCE_EXHAUSTED
        // (contract 1.0.14); no rule of ours answers OUT_OF_RANGE.
        if code == tonic::Code::OutOfRange as i32 && event.cause != Some(Cause::FaultInjected) {
            code = tonic::Code::ResourceExhausted as i32;
            response.headers_mut().insert("grpc-status", http::HeaderValue::from(code));
        }
        event.code = Some(code_name(code));
        if code != 0 {
            event.outcome = "refused";
        }
        self.core.events.record(self.core.clock.now(), event);
        response
    }

    fn intercept(&self, method: &str, request: &http::Request<Incoming>) -> Verdict {
        let peer = self.connection.peer.as_ref();
        let peer_text = || {
            let skid = peer.and_then(|p| p.skid.as_deref()).unwrap_or("unknown");
            format!("certificate {skid}")
        };
        // Reflection is outside the interceptors: no principal, no rate limit (contract 1.0.14).
        if method.starts_with("/grpc.reflection.") {
            return Verdict::Pass(CallContext {
                caller: None,
                no_principal_because: None,
                actor: peer_text().into(),
                cause: Arc::default(),
                subject: Arc::default(),
            });
        }
        let outcome = match self.connection.listener {
            Listener::Public => self.intercept_public(method, request),
            Listener::System => self.intercept_system(),
            Listener::Operator => Ok((None, None)),
            Listener::Duchy => self.intercept_duchy(),
        };
        match outcome {
            Ok((caller, no_principal_because)) => {
                let actor = match (self.connection.listener, &caller) {
                    (Listener::Operator, _) => "operator".into(),
                    (_, Some(principal)) => principal.shared_name().clone(),
                    (_, None) => peer_text().into(),
                };
                Verdict::Pass(CallContext {
                    caller,
                    no_principal_because,
                    actor,
                    cause: Arc::new(OnceLock::new()),
                    subject: Arc::default(),
                })
            }
            Err(rejection) => rejection,
        }
    }

    /// AKID extraction -> rate limit -> AKID principal -> API key -> account (contract 2.2).
    fn intercept_public(
        &self,
        method: &str,
        request: &http::Request<Incoming>,
    ) -> Result<(Option<Principal>, Option<Cause>), Verdict> {
        let settings = self.core.settings();
        let quirks = &settings.quirks;
        let refuse = |refusal, echo| Verdict::Refuse { refusal, echo };
        let akid = match &self.identity {
            Identity::Akid(akid) => Some(akid.as_slice()),
            Identity::Nobody(_) => None,
            Identity::NoCertificate if quirks.faithful(Quirk::NoClientCertificateIsUnknown) => {
                return Err(refuse(Refusal::uncaught().because(Cause::NoClientCertificate), false));
            }
            Identity::NoCertificate => None,
        };
        if let Some(limiter) = &self.limiter {
            let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
            if !limiter.admit(akid, method, self.core.clock.now()) {
                let refusal = Refusal::new(Code::Unavailable, "Rate limit exceeded");
                return Err(refuse(refusal.because(Cause::RateLimited), false));
            }
        }
        let mut caller = akid.and_then(|akid| self.contents.lookup.principal(akid));
        let mut because = match (&caller, &self.identity) {
            (Some(_), _) => None,
            (None, Identity::Nobody(cause)) => Some(*cause),
            (None, Identity::NoCertificate) => Some(Cause::NoClientCertificate),
            (None, Identity::Akid(_)) => Some(Cause::PrincipalUnknown),
        };
        let echo = quirks.faithful(Quirk::AuthRejectionEchoesHeaders);
        if let Some(key) = header(request, "x-api-key") {
            caller = Some(self.api_key_principal(key).ok_or_else(|| {
                let refusal = Refusal::new(Code::Unauthenticated, "API key is invalid");
                refuse(refusal.because(Cause::ApiKeyInvalid), echo)
            })?);
            because = None;
        }
        if method.starts_with("/wfa.measurement.api.v2alpha.MeasurementConsumers/")
            && let Some(token) = header(request, "id_token")
        {
            judge_id_token(token).map_err(|refusal| refuse(refusal, echo))?;
        }
        Ok((caller, because))
    }

    /// A valid key's principal overrides the AKID's (contract 2.6).
    fn api_key_principal(&self, key: &str) -> Option<Principal> {
        let secret = ApiId::decode(key)?;
        self.core.read(|read| {
            let row = read.tables.api_keys.get(&ApiKey::hash(secret.value()))?;
            let name = Owner::MeasurementConsumer(row.measurement_consumer).name();
            Some(Principal::MeasurementConsumer(name.into()))
        })
    }

    /// The system API knows Duchies only, by their configuration (contract 2.5).
    fn intercept_system(&self) -> Result<(Option<Principal>, Option<Cause>), Verdict> {
        let refuse = |cause| Verdict::Refuse {
            refusal: Refusal::new(Code::Unauthenticated, "No Duchy identity").because(cause),
            echo: false,
        };
        match &self.identity {
            Identity::Akid(akid) => match self.contents.lookup.duchy(akid) {
                Some(id) => Ok((Some(Principal::Duchy(format!("duchies/{id}").into())), None)),
                None => Err(refuse(Cause::PrincipalUnknown)),
            },
            Identity::Nobody(cause) => Err(refuse(*cause)),
            // The AKID interceptor stands in front here too (contract 2.1).
            Identity::NoCertificate
                if self.core.settings().quirks.faithful(Quirk::NoClientCertificateIsUnknown) =>
            {
                Err(Verdict::Refuse {
                    refusal: Refusal::uncaught().because(Cause::NoClientCertificate),
                    echo: false,
                })
            }
            Identity::NoCertificate => Err(refuse(Cause::NoClientCertificate)),
        }
    }

    /// A Duchy's server: AKID extraction, then the Duchy's own map alone (contract 1.7.15, 5.10).
    fn intercept_duchy(&self) -> Result<(Option<Principal>, Option<Cause>), Verdict> {
        let settings = self.core.settings();
        let quirks = &settings.quirks;
        match &self.identity {
            Identity::Akid(akid) => {
                let faithful = quirks.faithful(Quirk::DuchyUnmappedAkidIsUnknown);
                duchy::principal(self.contents.lookup.principal(akid), faithful)
                    .map(|caller| {
                        let because = caller.is_none().then_some(Cause::PrincipalUnknown);
                        (caller, because)
                    })
                    // An exception of the look-up uses the request's headers (contract 1.0.15).
                    .map_err(|refusal| Verdict::Refuse {
                        refusal,
                        echo: quirks.faithful(Quirk::AuthRejectionEchoesHeaders),
                    })
            }
            Identity::Nobody(cause) => Ok((None, Some(*cause))),
            Identity::NoCertificate => Ok((None, Some(Cause::NoClientCertificate))),
        }
    }
}

/// What the interceptors decide.
enum Verdict {
    Pass(CallContext),
    Refuse {
        refusal: Refusal,
        /// Quirk `auth-rejection-echoes-headers` (contract 1.0.15).
        echo: bool,
    },
}

/// What a client chose and an event keeps is capped, or a million events could fill the memory.
fn capped(text: &str) -> &str {
    const BYTES_MAX: usize = 256;
    &text[..text.floor_char_boundary(BYTES_MAX)]
}

fn header<'a>(request: &'a http::Request<Incoming>, name: &str) -> Option<&'a str> {
    // Of several values grpc-java takes the last.
    request.headers().get_all(name).iter().next_back()?.to_str().ok()
}

fn grpc_code(name: crate::fault::StatusName) -> tonic::Code {
    use crate::fault::StatusName as S;
    tonic::Code::from_i32(match name {
        S::Cancelled => 1,
        S::Unknown => 2,
        S::InvalidArgument => 3,
        S::DeadlineExceeded => 4,
        S::NotFound => 5,
        S::AlreadyExists => 6,
        S::PermissionDenied => 7,
        S::ResourceExhausted => 8,
        S::FailedPrecondition => 9,
        S::Aborted => 10,
        S::OutOfRange => 11,
        S::Unimplemented => 12,
        S::Internal => 13,
        S::Unavailable => 14,
        S::DataLoss => 15,
        S::Unauthenticated => 16,
    })
}
