//! One connection: handshake, identity, HTTP/2, and its end.

use super::cork::{Again, Cork, Inline};
use super::{Control, LoadedFiles, Phase, Server};
use crate::cause::Cause;
use crate::event::{Connection, Event, Kind, Listener, PeerFacts, ServerFacts};
use crate::pipeline::{Identity, Peer};
use crate::quirk::Quirk;
use crate::seam::transport::{BoxStream, Incoming};
use crate::tls;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

/// A client that does not finish its handshake is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves one stream from handshake to end.
pub(super) async fn serve(
    server: Arc<Server>,
    loaded: Arc<LoadedFiles>,
    mut phase: watch::Receiver<Phase>,
    stream: BoxStream,
    peer_address: String,
    listener: Listener,
) {
    let core = server.shared.core.clone();
    let config = match listener {
        Listener::Operator => loaded.operator.clone(),
        Listener::Public | Listener::System | Listener::Duchy => loaded.public.clone(),
    };
    let mut connection = Connection {
        id: server.shared.next_connection.fetch_add(1, Ordering::SeqCst),
        process: server.process.clone(),
        listener,
        peer_address,
        peer: None,
        server: loaded.server.clone(),
    };
    // A stop reaches the handshake too: the grace period counts for it as for a call.
    let mut draining = false;
    phase.mark_unchanged();
    let accept = tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(stream));
    let mut accept = std::pin::pin!(accept);
    let accepted = loop {
        tokio::select! {
            biased;
            changed = phase.changed() => match (changed, *phase.borrow_and_update()) {
                (Err(_), _) | (Ok(()), Phase::Cut(_)) => return,
                (Ok(()), Phase::Drain(_)) => draining = true,
                (Ok(()), Phase::Serve) => {}
            },
            accepted = accept.as_mut() => break accepted,
        }
    };
    let tls = match accepted {
        Ok(Ok(tls)) => tls,
        refused => {
            let (cause, peer) = match refused {
                Ok(Err(error)) => tls::cause_of(&error),
                _ => (Cause::Timeout, None),
            };
            connection.peer = peer;
            let event = Event {
                connection: Some(Arc::new(connection)),
                cause: Some(cause),
                ..Event::new(Kind::Handshake, "refused")
            };
            core.events.record(core.clock.now(), event);
            return;
        }
    };

    let certificates = tls.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf_alone_counts = core.settings().quirks.faithful(Quirk::ClientChainHasNoIdentity);
    let (peer, identity) = identify(certificates, leaf_alone_counts);
    connection.peer = peer;
    let connection = Arc::new(connection);
    let _open = server.shared.register(&connection);
    let cause = match &identity {
        Identity::Nobody(cause) => Some(*cause),
        Identity::Akid(_) | Identity::NoCertificate => None,
    };
    let event =
        Event { connection: Some(connection.clone()), cause, ..Event::new(Kind::Handshake, "ok") };
    core.events.record(core.clock.now(), event);

    let routes = server.shared.routes(listener, &loaded);
    let peer = Arc::new(Peer {
        core,
        faults: server.shared.faults.clone(),
        contents: loaded.contents.clone(),
        limiter: loaded.limiter.clone().filter(|_| listener == Listener::Public),
        connection,
        identity,
        routes,
        cut: Notify::new(),
    });
    let service = {
        let peer = peer.clone();
        TowerToHyperService::new(tower::service_fn(move |request| peer.clone().call(request)))
    };
    let mut http = hyper::server::conn::http2::Builder::new(Inline);
    http.auto_date_header(false);
    let tls = Cork::new(tls);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(tls.clone()), service));
    let mut served = false;
    let again = Again::new();
    if draining {
        serving.as_mut().graceful_shutdown();
    }
    loop {
        tokio::select! {
            biased;
            () = peer.cut.notified() => return,
            changed = phase.changed() => match (changed, *phase.borrow_and_update()) {
                (Err(_), _) | (Ok(()), Phase::Cut(_)) => return,
                (Ok(()), Phase::Drain(_)) if !draining && !served => {
                    draining = true;
                    serving.as_mut().graceful_shutdown();
                }
                (Ok(()), _) => {}
            },
            () = poll_fn(|context| {
                let each = |context: &mut Context<'_>| {
                    served = served || serving.as_mut().poll(context).is_ready();
                    if served { Poll::Ready(()) } else { Poll::Pending }
                };
                let drained = again.poll(context, each, |context| tls.poll_drain(context));
                match drained {
                    Poll::Ready(Ok(())) if served => Poll::Ready(()),
                    Poll::Ready(Err(_)) => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }) => return,
        }
    }
}

/// The peer certificate counts only if it was the only one (contract 2.3).
fn identify(
    certificates: &[rustls::pki_types::CertificateDer<'_>],
    single_only: bool,
) -> (Option<PeerFacts>, Identity) {
    let Some(leaf) = certificates.first() else { return (None, Identity::NoCertificate) };
    let Ok(facts) = tls::facts(leaf) else {
        return (None, Identity::Nobody(Cause::MalformedCertificate));
    };
    let peer = tls::peer_facts(&facts);
    let identity = match facts.akid() {
        _ if certificates.len() > 1 && single_only => Identity::Nobody(Cause::ChainNotSingle),
        Some(akid) => Identity::Akid(akid.to_vec()),
        None => Identity::Nobody(Cause::AkidMissing),
    };
    (Some(peer), identity)
}

/// What events show of the server's own leaf.
pub(super) fn server_facts(der: &[u8]) -> ServerFacts {
    match tls::facts(der) {
        Ok(facts) => {
            ServerFacts { serial: facts.serial.clone(), skid: facts.skid.as_ref().map(hex::encode) }
        }
        Err(_) => ServerFacts::default(),
    }
}

/// Plaintext gRPC health (contract 1.0.14, 5.6): open while any replica runs; nothing turns a
/// status off before shutdown.
pub(super) async fn serve_health(
    control: Control,
    incoming: Box<dyn Incoming>,
    open: watch::Sender<bool>,
) {
    let reporter = tonic_health::server::HealthReporter::new();
    for service in &control.shared.services.names {
        reporter.set_service_status(service, tonic_health::ServingStatus::Serving).await;
    }
    let health = tonic_health::server::HealthService::from_health_reporter(reporter);
    let routes =
        tonic::service::Routes::new(tonic_health::pb::health_server::HealthServer::new(health));
    super::accept_while_running(&control, incoming, &open, |stream, _| {
        let routes = routes.clone();
        let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let routes = routes.clone();
            tower::ServiceExt::oneshot(routes, request.map(tonic::body::Body::new))
        });
        tokio::spawn(
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)),
        );
    })
    .await;
}
