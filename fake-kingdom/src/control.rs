//! The control listener: clock, faults, replicas, events, audit trail and state over HTTP
//! (interfaces.md section 3). Apart from the product API, and for tests only.

use crate::event::Process;
use crate::fault::FaultRule;
use crate::kingdom::{Control, DuchyControl, StartError};
use crate::model::{Mutation, Timestamp};
use crate::snapshot;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// The control listener's routes over a running Kingdom.
pub fn router(control: Control) -> Router {
    Router::new()
        .route("/v1/state", get(state))
        .route("/v1/events", get(events))
        .route("/v1/clock", get(clock).post(move_clock))
        .route("/v1/faults", get(faults).post(add_fault))
        .route("/v1/faults/{id}", delete(remove_fault))
        .route("/v1/replicas/{id}/{action}", post(replica))
        .route("/v1/duchies/{id}/{action}", post(duchy))
        .route("/v1/duchies/{id}/fulfilments", get(fulfilments))
        .route("/v1/audit", get(audit).post(append_audit))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(|| async {
            Failure(
                StatusCode::NOT_FOUND,
                "no such path; docs/control.md lists what this listener does".to_owned(),
            )
        })
        .with_state(control)
}

/// Serves the control listener until the task is dropped.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: tokio::net::TcpListener, control: Control) -> std::io::Result<()> {
    axum::serve(listener, router(control)).await
}

struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.1 });
        (self.0, axum::Json(body)).into_response()
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure(StatusCode::BAD_REQUEST, error.to_string()))
}

async fn state(State(control): State<Control>) -> impl IntoResponse {
    axum::Json(snapshot::take(&control))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn events(
    State(control): State<Control>,
    query: Result<Query<EventsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) =
        query.map_err(|error| Failure(StatusCode::BAD_REQUEST, error.body_text()))?;
    let events = control
        .events()
        .after(query.after, query.limit.unwrap_or(usize::MAX))
        .map_err(|gone| Failure(StatusCode::GONE, gone.to_string()))?;
    Ok(json_lines(events.iter().map(|event| serde_json::to_string(&**event).unwrap_or_default())))
}

fn json_lines(lines: impl Iterator<Item = String>) -> Response {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
}

#[derive(Serialize)]
struct Now {
    now: String,
}

async fn clock(State(control): State<Control>) -> impl IntoResponse {
    axum::Json(Now { now: control.clock().now().to_string() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum MoveClock {
    AdvanceSeconds(f64),
    Set(String),
}

async fn move_clock(
    State(control): State<Control>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let bad = |what: String| Failure(StatusCode::BAD_REQUEST, what);
    match parse(&body)? {
        MoveClock::AdvanceSeconds(seconds) => {
            let by = Duration::try_from_secs_f64(seconds).map_err(|_| {
                bad("advance_seconds must not be negative: the clock cannot be set back".to_owned())
            })?;
            control.clock().advance(by).map_err(|error| bad(error.to_string()))?;
        }
        MoveClock::Set(text) => {
            let wanted = Timestamp::parse_rfc3339(&text)
                .ok_or_else(|| bad(format!("`{text}` is not an RFC 3339 time")))?;
            control.clock().set(wanted).map_err(|error| bad(error.to_string()))?;
        }
    }
    Ok(clock(State(control)).await)
}

async fn faults(State(control): State<Control>) -> impl IntoResponse {
    axum::Json(control.list_faults())
}

async fn add_fault(
    State(control): State<Control>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let rule: FaultRule = parse(&body)?;
    let id = control.add_fault(rule);
    Ok((StatusCode::CREATED, axum::Json(serde_json::json!({ "id": id }))))
}

async fn remove_fault(
    State(control): State<Control>,
    Path(id): Path<u64>,
) -> Result<impl IntoResponse, Failure> {
    let missing = || Failure(StatusCode::NOT_FOUND, format!("there is no fault rule {id}"));
    control.remove_fault(id).map(axum::Json).ok_or_else(missing)
}

async fn replica(
    State(control): State<Control>,
    Path((id, action)): Path<(u32, String)>,
) -> Result<impl IntoResponse, Failure> {
    // In a task of its own: a caller that gives up must not leave a replica half stopped.
    let work = {
        let control = control.clone();
        tokio::spawn(async move {
            match action.as_str() {
                "restart" => Ok(control.restart(id).await),
                "stop" => Ok(control.stop(id).await),
                "start" => Ok(control.start(id).await),
                "drain" => Ok(control.drain(id)),
                "cut" => Ok(control.cut(id)),
                "reload" => Ok(control.reload(id)),
                other => Err(Failure(StatusCode::NOT_FOUND, format!("a replica cannot `{other}`"))),
            }
        })
    };
    match finished(work.await)? {
        Ok(()) => Ok(axum::Json(control.replica_status(id))),
        Err(error @ StartError::NoSuchReplica(_)) => {
            Err(Failure(StatusCode::NOT_FOUND, error.to_string()))
        }
        Err(error) => Err(Failure(StatusCode::CONFLICT, error.to_string())),
    }
}

async fn duchy(
    State(control): State<Control>,
    Path((id, action)): Path<(String, String)>,
) -> Result<impl IntoResponse, Failure> {
    let duchy = known_duchy(&control, &id)?;
    let work = {
        let duchy = duchy.clone();
        tokio::spawn(async move {
            match action.as_str() {
                "restart" => return Ok(duchy.restart().await),
                "start" => return Ok(duchy.start().await),
                "reload" => return Ok(duchy.reload()),
                "stop" => duchy.stop().await,
                "drain" => duchy.drain(),
                "cut" => duchy.cut(),
                other => {
                    let what = format!("a Duchy's server cannot `{other}`");
                    return Err(Failure(StatusCode::NOT_FOUND, what));
                }
            }
            Ok(Ok(()))
        })
    };
    match finished(work.await)? {
        Ok(()) => Ok(axum::Json(duchy.status())),
        Err(error) => Err(Failure(StatusCode::CONFLICT, error.to_string())),
    }
}

fn finished<T>(work: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    work.map_err(|error| {
        Failure(StatusCode::INTERNAL_SERVER_ERROR, format!("the fake itself failed: {error}"))
    })?
}

fn known_duchy(control: &Control, id: &str) -> Result<DuchyControl, Failure> {
    control.duchy(id).map_err(|error| Failure(StatusCode::NOT_FOUND, error.to_string()))
}

async fn fulfilments(
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    Ok(axum::Json(known_duchy(&control, &id)?.fulfilments()))
}

async fn audit(State(control): State<Control>) -> Result<Response, Failure> {
    let lines = control
        .core()
        .audit_lines(1, usize::MAX)
        .map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json_lines(lines.into_iter()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEntry {
    actor: String,
    action: String,
    subject: String,
    #[serde(default)]
    before: Option<String>,
    #[serde(default)]
    after: Option<String>,
}

async fn append_audit(
    State(control): State<Control>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let entry: NewEntry = parse(&body)?;
    let mutation = Mutation {
        action: entry.action.into(),
        subject: entry.subject,
        before: entry.before,
        after: entry.after,
    };
    let head = control
        .core()
        .append_audit(&entry.actor, mutation)
        .map_err(|refusal| Failure(StatusCode::INTERNAL_SERVER_ERROR, refusal.message))?;
    Ok((StatusCode::CREATED, axum::Json(head)))
}

async fn metrics(State(control): State<Control>) -> Response {
    let mut text = String::from(
        "# HELP halo_kingdom_events_total Handshakes, calls and other events by outcome and cause.\n\
         # TYPE halo_kingdom_events_total counter\n",
    );
    for (key, count) in control.events().counters() {
        let kind = serde_json::to_value(key.kind).ok();
        let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default();
        let process = key.process.as_ref();
        let replica = process.and_then(Process::replica).map(|id| id.to_string());
        let replica = replica.unwrap_or_default();
        let duchy = process.and_then(Process::duchy).map(|id| &**id).unwrap_or_default();
        let _ = writeln!(
            text,
            "halo_kingdom_events_total{{kind=\"{kind}\",outcome=\"{}\",cause=\"{}\",code=\"{}\",replica=\"{replica}\",duchy=\"{duchy}\"}} {count}",
            key.outcome, key.cause, key.code
        );
    }
    text.push_str(
        "# HELP halo_kingdom_replica_up Whether a replica is running.\n\
         # TYPE halo_kingdom_replica_up gauge\n",
    );
    let statuses: Vec<_> =
        control.replica_ids().into_iter().filter_map(|id| control.replica_status(id)).collect();
    for status in &statuses {
        let up = u8::from(status.state == "running");
        let _ = writeln!(text, "halo_kingdom_replica_up{{replica=\"{}\"}} {up}", status.id);
    }
    text.push_str(
        "# HELP halo_kingdom_connections Open connections.\n\
         # TYPE halo_kingdom_connections gauge\n",
    );
    for status in &statuses {
        let _ = writeln!(
            text,
            "halo_kingdom_connections{{replica=\"{}\"}} {}",
            status.id, status.connections
        );
    }
    let certificates = control.core().read(|read| read.tables.certificates.len());
    let _ = write!(
        text,
        "# HELP halo_kingdom_certificates Registered API certificates.\n\
         # TYPE halo_kingdom_certificates gauge\n\
         halo_kingdom_certificates {certificates}\n"
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
