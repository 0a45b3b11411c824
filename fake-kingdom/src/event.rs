//! What happened at the server, as typed events (interfaces.md section 3).

use crate::cause::Cause;
use crate::model::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How many events are kept at least; older ones are gone for good.
pub const CAPACITY: usize = 1_000_000;

/// Events are kept, and forgotten, in segments: one piece of memory for many events.
const SEGMENT: usize = 1_000;

/// How many method names are shared between events; clients may ask for any path.
const METHODS_MAX: usize = 512;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in interfaces.md")]
pub enum Kind {
    Handshake,
    Call,
    Mutation,
    Reload,
    Replica,
    Fault,
    Alert,
}

impl Kind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Call => "call",
            Self::Mutation => "mutation",
            Self::Reload => "reload",
            Self::Replica => "replica",
            Self::Fault => "fault",
            Self::Alert => "alert",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Which listener a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as in interfaces.md")]
pub enum Listener {
    Public,
    System,
    Operator,
    /// A Duchy's server for providers (contract 1.7.14).
    Duchy,
}

impl Listener {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::System => "system",
            Self::Operator => "operator",
            Self::Duchy => "duchy",
        }
    }
}

impl Serialize for Listener {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The server process that an event comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// A replica of the Kingdom, by number.
    Replica(u32),
    /// A Duchy's own server, by the Duchy's id.
    Duchy(Arc<str>),
}

impl Process {
    /// The number, if it is a replica of the Kingdom.
    pub fn replica(&self) -> Option<u32> {
        match self {
            Self::Replica(id) => Some(*id),
            Self::Duchy(_) => None,
        }
    }

    /// The id, if it is a Duchy's server.
    pub fn duchy(&self) -> Option<&Arc<str>> {
        match self {
            Self::Replica(_) => None,
            Self::Duchy(id) => Some(id),
        }
    }
}

/// The facts of one connection, shared by all its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Number of the connection, from 1, in the order of acceptance.
    pub id: u64,
    /// The replica it was handed to, or the Duchy's server.
    pub process: Process,
    /// The listener it came in on.
    pub listener: Listener,
    /// Where it came from.
    pub peer_address: String,
    /// The client's leaf, if it sent one that parses.
    pub peer: Option<PeerFacts>,
    /// The server's leaf.
    pub server: Arc<ServerFacts>,
}

/// What identifies a client's leaf; lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerFacts {
    /// Serial number.
    pub serial: String,
    /// Subject key identifier, if it has one.
    pub skid: Option<String>,
    /// Authority key identifier, if it has exactly one.
    pub akid: Option<String>,
}

/// What identifies the server's leaf; lower-case hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerFacts {
    /// Serial number.
    pub serial: String,
    /// Subject key identifier, if it has one.
    pub skid: Option<String>,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Number, from 1, without gaps.
    pub seq: u64,
    /// The fake's clock.
    pub time: Timestamp,
    /// What it is about.
    pub kind: Kind,
    /// `ok`, `refused`, or what a replica or reload did.
    pub outcome: &'static str,
    /// Why it was refused.
    pub cause: Option<Cause>,
    /// The connection, if it belongs to one.
    pub connection: Option<Arc<Connection>>,
    /// The replica or Duchy's server, for events without a connection.
    pub process: Option<Process>,
    /// The client's `x-request-id`, by which a probe and its event are joined.
    pub request_id: Option<Arc<str>>,
    /// Full method, such as `/wfa.measurement.api.v2alpha.Certificates/GetCertificate`.
    pub method: Option<Arc<str>>,
    /// Name of the gRPC status code.
    pub code: Option<&'static str>,
    /// Who called.
    pub principal: Option<Arc<str>>,
    /// The resource or file that the event is about, and a short text; never a secret.
    pub subject: Option<String>,
    /// What was done to the subject.
    pub detail: Option<String>,
}

impl Event {
    /// An event of `kind` with nothing else known yet.
    pub fn new(kind: Kind, outcome: &'static str) -> Self {
        Self {
            seq: 0,
            time: Timestamp::default(),
            kind,
            outcome,
            cause: None,
            connection: None,
            process: None,
            request_id: None,
            method: None,
            code: None,
            principal: None,
            subject: None,
            detail: None,
        }
    }

    /// The process it comes from, if from one.
    pub fn process(&self) -> Option<&Process> {
        self.connection.as_deref().map(|connection| &connection.process).or(self.process.as_ref())
    }

    /// Whether the monitor counts it as an authentication failure.
    fn is_authentication_failure(&self) -> bool {
        self.outcome == "refused"
            && match self.kind {
                Kind::Handshake => true,
                Kind::Call => {
                    matches!(self.code, Some("UNAUTHENTICATED" | "PERMISSION_DENIED"))
                        || matches!(
                            self.cause,
                            Some(
                                Cause::NoClientCertificate
                                    | Cause::AkidMissing
                                    | Cause::ChainNotSingle
                                    | Cause::PrincipalUnknown
                                    | Cause::ApiKeyInvalid
                            )
                        )
                }
                _ => false,
            }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let connection = self.connection.as_deref();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("time", &self.time.to_string())?;
        map.serialize_entry("replica", &self.process().and_then(Process::replica))?;
        map.serialize_entry("duchy", &self.process().and_then(Process::duchy).map(|id| &**id))?;
        map.serialize_entry("connection", &connection.map(|c| c.id))?;
        map.serialize_entry("peer_address", &connection.map(|c| c.peer_address.as_str()))?;
        map.serialize_entry("request_id", &self.request_id.as_deref())?;
        map.serialize_entry("kind", &self.kind)?;
        map.serialize_entry("outcome", self.outcome)?;
        map.serialize_entry("cause", &self.cause)?;
        map.serialize_entry("listener", &connection.map(|c| c.listener))?;
        map.serialize_entry("method", &self.method.as_deref())?;
        map.serialize_entry("code", &self.code)?;
        map.serialize_entry("principal", &self.principal.as_deref())?;
        map.serialize_entry("peer", &connection.and_then(|c| c.peer.as_ref()))?;
        map.serialize_entry("server", &connection.map(|c| &c.server))?;
        map.serialize_entry("subject", &self.subject)?;
        map.serialize_entry("detail", &self.detail)?;
        map.end()
    }
}

/// When the monitor raises an alert: at least `threshold` authentication failures within `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSettings {
    /// Failures that make an alert; 0 switches it off.
    pub threshold: usize,
    /// The window they must fall into.
    pub window: Duration,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self { threshold: 20, window: Duration::from_secs(60) }
    }
}

/// What the counters of `/metrics` are kept by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterKey {
    /// What it counts.
    pub kind: Kind,
    /// Outcome.
    pub outcome: &'static str,
    /// Cause code, or empty.
    pub cause: &'static str,
    /// gRPC code, or empty.
    pub code: &'static str,
    /// Replica or Duchy's server, if any.
    pub process: Option<Process>,
}

/// The log of a Kingdom: the newest [`CAPACITY`] events, or a few more, and counters over all.
pub struct EventLog {
    inner: Mutex<Inner>,
    newest: watch::Sender<u64>,
    methods: RwLock<BTreeSet<Arc<str>>>,
}

#[derive(Default)]
struct Inner {
    /// All full but the last.
    segments: VecDeque<Vec<Event>>,
    last_seq: u64,
    counters: BTreeMap<CounterKey, u64>,
    alert: AlertSettings,
    failures: VecDeque<Timestamp>,
    alerted: bool,
}

/// The events asked for are no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("events up to {oldest_kept} are no longer kept", oldest_kept = .first_kept.saturating_sub(1))]
pub struct Gone {
    /// The oldest event that is still there.
    pub first_kept: u64,
}

impl EventLog {
    /// An empty log.
    pub fn new(alert: AlertSettings) -> Self {
        let inner = Inner { alert, ..Inner::default() };
        let methods = RwLock::default();
        Self { inner: Mutex::new(inner), newest: watch::channel(0).0, methods }
    }

    /// A method's path, shared with the events of earlier calls.
    pub(crate) fn method(&self, path: &str) -> Arc<str> {
        let known = self.methods.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(method) = known.get(path) {
            return method.clone();
        }
        drop(known);
        let method: Arc<str> = path.into();
        let mut known = self.methods.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < METHODS_MAX {
            known.insert(method.clone());
        }
        method
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an event; its number and, if need be, an alert are made here.
    pub fn record(&self, now: Timestamp, event: Event) {
        let mut inner = self.lock();
        let failure = event.is_authentication_failure();
        inner.append(now, event);
        if failure {
            inner.watch_failures(now);
        }
        let last = inner.last_seq;
        drop(inner);
        // Nobody to tell is the usual case, and this is on the way of every call.
        if self.newest.receiver_count() > 0 {
            self.newest.send_replace(last);
        }
    }

    /// The events after number `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Some of them are no longer kept.
    pub fn after(&self, after: u64, limit: usize) -> Result<Vec<Arc<Event>>, Gone> {
        let inner = self.lock();
        let first_kept = inner.last_seq + 1 - inner.kept() as u64;
        let next = after.saturating_add(1);
        if next < first_kept {
            return Err(Gone { first_kept });
        }
        let skip = usize::try_from(next - first_kept).unwrap_or(usize::MAX);
        let kept = inner.segments.iter().skip(skip / SEGMENT).flatten();
        Ok(kept.skip(skip % SEGMENT).take(limit).cloned().map(Arc::new).collect())
    }

    /// The number of the newest event; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.lock().last_seq
    }

    /// Follows the number of the newest event.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        let receiver = self.newest.subscribe();
        self.newest.send_replace(self.last_seq());
        receiver
    }

    /// Counters over all events, the forgotten ones included.
    pub fn counters(&self) -> BTreeMap<CounterKey, u64> {
        self.lock().counters.clone()
    }
}

impl Inner {
    fn append(&mut self, now: Timestamp, mut event: Event) {
        self.last_seq += 1;
        event.seq = self.last_seq;
        event.time = now;
        let key = CounterKey {
            kind: event.kind,
            outcome: event.outcome,
            cause: event.cause.map_or("", Cause::code),
            code: event.code.unwrap_or(""),
            process: event.process().cloned(),
        };
        *self.counters.entry(key).or_default() += 1;
        match self.segments.back_mut().filter(|segment| segment.len() < SEGMENT) {
            Some(segment) => segment.push(event),
            None => {
                let used = if self.kept() >= CAPACITY + SEGMENT {
                    self.segments.pop_front()
                } else {
                    None
                };
                let mut segment = used.unwrap_or_default();
                segment.clear();
                // The first segment grows with use: an idle Kingdom stays small.
                if !self.segments.is_empty() {
                    segment.reserve_exact(SEGMENT);
                }
                segment.push(event);
                self.segments.push_back(segment);
            }
        }
    }

    fn kept(&self) -> usize {
        match self.segments.back() {
            Some(last) => (self.segments.len() - 1) * SEGMENT + last.len(),
            None => 0,
        }
    }

    /// Raises one alert when the threshold is reached, and re-arms once the window is below it.
    fn watch_failures(&mut self, now: Timestamp) {
        if self.alert.threshold == 0 {
            return;
        }
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|&at| at.plus(self.alert.window) < now) {
            self.failures.pop_front();
        }
        if self.failures.len() < self.alert.threshold {
            self.alerted = false;
        } else if !self.alerted {
            self.alerted = true;
            let mut alert = Event::new(Kind::Alert, "raised");
            alert.detail = Some(format!(
                "{} authentication failures within {} s",
                self.failures.len(),
                self.alert.window.as_secs()
            ));
            self.append(now, alert);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Event {
        Event { cause: Some(Cause::UnknownIssuer), ..Event::new(Kind::Handshake, "refused") }
    }

    #[test]
    fn events_are_numbered_from_one_without_gaps() {
        let log = EventLog::new(AlertSettings::default());
        for _ in 0..3 {
            log.record(Timestamp::default(), Event::new(Kind::Call, "ok"));
        }
        let seqs: Vec<_> = log.after(1, 10).unwrap().iter().map(|event| event.seq).collect();
        assert_eq!(seqs, [2, 3]);
    }

    #[test]
    fn the_newest_events_are_kept_and_older_ones_are_gone() {
        let log = EventLog::new(AlertSettings::default());
        let last = (CAPACITY + 3 * SEGMENT) as u64;
        for _ in 0..last {
            log.record(Timestamp::default(), Event::new(Kind::Call, "ok"));
        }
        let Err(Gone { first_kept }) = log.after(0, 1) else { panic!("all are kept") };
        assert!((last + 1 - first_kept) as usize >= CAPACITY);
        let kept = log.after(first_kept - 1, usize::MAX).unwrap();
        assert!(kept.iter().map(|event| event.seq).eq(first_kept..=last));
        assert_eq!(log.after(last - 1, 10).unwrap()[0].seq, last);
        assert!(log.after(u64::MAX, 10).unwrap().is_empty());
    }

    #[test]
    fn who_subscribes_late_sees_the_newest_number_and_then_each_new_one() {
        let log = EventLog::new(AlertSettings::default());
        log.record(Timestamp::default(), Event::new(Kind::Call, "ok"));
        let mut newest = log.subscribe();
        assert_eq!(*newest.borrow_and_update(), 1);
        log.record(Timestamp::default(), Event::new(Kind::Call, "ok"));
        assert!(newest.has_changed().unwrap());
        assert_eq!(*newest.borrow(), 2);
    }

    #[test]
    fn an_alert_is_raised_once_when_the_threshold_is_reached_within_the_window() {
        let log = EventLog::new(AlertSettings { threshold: 3, window: Duration::from_secs(10) });
        for second in [0, 20, 21, 22, 23] {
            log.record(Timestamp::from_seconds(second), refused());
        }
        let alerts: Vec<_> = log
            .after(0, usize::MAX)
            .unwrap()
            .iter()
            .filter(|event| event.kind == Kind::Alert)
            .map(|event| event.time)
            .collect();
        assert_eq!(alerts, [Timestamp::from_seconds(22)]);
    }

    #[test]
    fn successes_raise_no_alert() {
        let log = EventLog::new(AlertSettings { threshold: 1, window: Duration::from_secs(10) });
        log.record(Timestamp::default(), Event::new(Kind::Handshake, "ok"));
        assert_eq!(log.last_seq(), 1);
    }
}
