//! The connections of one caller: new ones, the one that is reused, the one that carries a stream.

use super::{Answer, ClientLeaf, CredentialAge};
use crate::client::{Answering, Caller, Connection, Outcome, Request, TlsOptions, TransportError};
use crate::environment::{Dial, Listener, Target};
use fake_kingdom::cause::Cause;
use prost::Message as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What a caller presents to the connections to come; a switch of its credential is put in here.
#[derive(Clone)]
pub struct Wardrobe(Arc<Mutex<Worn>>);

struct Worn {
    tls: TlsOptions,
    first_skid: String,
    leaf: ClientLeaf,
    /// Subject key identifiers of the roots it trusts.
    trust: Arc<[String]>,
    /// Made once per credential.
    config: Result<Arc<rustls::ClientConfig>, String>,
}

impl Wardrobe {
    /// A caller that presents this.
    pub fn new(tls: TlsOptions) -> Self {
        let leaf = leaf_of(&tls);
        let config = tls.config().map(Arc::new);
        let (first_skid, trust) = (leaf.skid.clone(), tls.root_skids().collect());
        Self(Arc::new(Mutex::new(Worn { tls, first_skid, leaf, trust, config })))
    }

    /// Presents something else on the connections to come; open ones keep what they have.
    pub fn change(&self, tls: TlsOptions) {
        let mut worn = self.worn();
        worn.leaf = leaf_of(&tls);
        worn.trust = tls.root_skids().collect();
        worn.config = tls.config().map(Arc::new);
        worn.tls = tls;
    }

    /// What is known of a connection that is opened now, before it is.
    pub(super) fn facts(&self) -> LineFacts {
        self.worn().facts()
    }

    fn worn(&self) -> MutexGuard<'_, Worn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worn {
    fn facts(&self) -> LineFacts {
        let is_first = self.leaf.skid == self.first_skid;
        LineFacts {
            credential: if is_first { CredentialAge::Old } else { CredentialAge::New },
            client: self.leaf.clone(),
            trust: self.trust.clone(),
            answering: None,
            local: None,
            earlier: Vec::new(),
        }
    }
}

fn leaf_of(tls: &TlsOptions) -> ClientLeaf {
    let der = tls.credential.as_ref().and_then(|credential| credential.chain.first());
    let facts = der.and_then(|der| halo_pki::inspect(der).ok());
    let akid = facts.as_ref().and_then(|facts| facts.akid().map(hex::encode));
    ClientLeaf {
        skid: facts.and_then(|facts| facts.skid).map(hex::encode).unwrap_or_default(),
        akid: akid.unwrap_or_default(),
    }
}

/// A connection and whose it is.
pub(super) struct Line {
    connection: Connection,
    pub(super) facts: LineFacts,
}

/// What a probe keeps of its connection.
#[derive(Clone, Debug)]
pub(super) struct LineFacts {
    pub(super) credential: CredentialAge,
    pub(super) client: ClientLeaf,
    /// The roots that the caller trusted when it opened the connection.
    pub(super) trust: Arc<[String]>,
    pub(super) answering: Option<Answering>,
    pub(super) local: Option<String>,
    /// This end of the connections that the same probe was on before.
    pub(super) earlier: Vec<String>,
}

/// Why there is no connection, and what is known of the try.
pub(super) struct NoLine {
    pub(super) error: TransportError,
    pub(super) facts: LineFacts,
}

impl Line {
    pub(super) fn caller(&self) -> Caller {
        self.connection.caller()
    }
}

/// Opens a connection to the Kingdom's public address with what the caller presents now.
pub(super) async fn open(dial: &dyn Dial, wardrobe: &Wardrobe) -> Result<Line, Box<NoLine>> {
    let (tls, config, mut facts) = {
        let worn = wardrobe.worn();
        (worn.tls.clone(), worn.config.clone(), worn.facts())
    };
    let failed = |error, facts| Box::new(NoLine { error, facts });
    let config = match config {
        Ok(config) => config,
        Err(why) => return Err(failed(TransportError::Credential(why), facts)),
    };
    let dialled = match dial.dial(&Target::Front(Listener::Public)).await {
        Ok(dialled) => dialled,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return Err(failed(TransportError::NobodyListens, facts));
        }
        Err(error) => return Err(failed(TransportError::Dial(error.to_string()), facts)),
    };
    facts.local = Some(dialled.local.clone());
    match Connection::open_with(dialled.stream, dialled.local, &tls, config).await {
        Ok(connection) => {
            facts.answering.clone_from(&connection.answering);
            Ok(Line { connection, facts })
        }
        Err(error) => Err(failed(error, facts)),
    }
}

/// The connection that a caller uses again and again: opened when needed, and anew when the server
/// has closed it or said GOAWAY. Calls in flight keep the connection they are on.
#[derive(Default)]
pub(super) struct Channel {
    current: tokio::sync::Mutex<Option<Arc<Line>>>,
}

impl Channel {
    /// The connection that it has, if it has one and nobody is opening another.
    pub(super) fn facts(&self) -> Option<LineFacts> {
        self.current.try_lock().ok()?.as_ref().map(|line| line.facts.clone())
    }

    async fn line(&self, dial: &dyn Dial, wardrobe: &Wardrobe) -> Result<Arc<Line>, Box<NoLine>> {
        let mut current = self.current.lock().await;
        if let Some(line) = current.as_ref().filter(|line| !line.caller().is_closed()) {
            return Ok(line.clone());
        }
        *current = None;
        let line = Arc::new(open(dial, wardrobe).await?);
        *current = Some(line.clone());
        Ok(line)
    }

    /// Lets go of the connection, as a caller does that starts again.
    pub(super) async fn close(&self) {
        *self.current.lock().await = None;
    }

    /// One call; what the server did not begin to process goes out again on another connection, as
    /// gRPC clients do on their own.
    pub(super) async fn call(
        &self,
        dial: &dyn Dial,
        wardrobe: &Wardrobe,
        request: &Request,
    ) -> (Outcome, Option<LineFacts>, bool) {
        let mut earlier = Vec::new();
        let mut reopened = false;
        loop {
            let line = match self.line(dial, wardrobe).await {
                Ok(line) => line,
                Err(no) => {
                    let facts = LineFacts { earlier, ..no.facts };
                    return (Outcome::Broken(no.error), Some(facts), reopened);
                }
            };
            match line.caller().call(request).await {
                Outcome::Broken(TransportError::NotProcessed(_)) if !reopened => {
                    reopened = true;
                    earlier.extend(line.facts.local.clone());
                }
                outcome => {
                    let facts = LineFacts { earlier, ..line.facts.clone() };
                    return (outcome, Some(facts), reopened);
                }
            }
        }
    }
}

/// The stream that a caller keeps open; opened anew when it ends.
#[derive(Default)]
pub(super) struct Stream {
    current: tokio::sync::Mutex<Option<Arc<LiveStream>>>,
}

struct LiveStream {
    line: Line,
    /// What is waited for, in the order of the requests, together with the way out: one lock, so
    /// that both have one order. `None` once the stream has ended.
    waiting: Arc<Mutex<Option<Waiting>>>,
    reader: JoinHandle<()>,
    request_id: String,
}

struct Waiting {
    requests: mpsc::UnboundedSender<Vec<u8>>,
    answers: VecDeque<oneshot::Sender<Result<Vec<u8>, TransportError>>>,
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl LiveStream {
    /// Puts a request on the stream; the answer, or nothing if the stream has ended.
    fn ask(&self, message: Vec<u8>) -> Option<oneshot::Receiver<Result<Vec<u8>, TransportError>>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiting.as_mut()?;
        waiting.requests.send(message).ok()?;
        let (answer, answered) = oneshot::channel();
        waiting.answers.push_back(answer);
        Some(answered)
    }
}

/// What one tick on the stream came to.
pub(super) struct Asked {
    pub(super) answer: Answer,
    pub(super) facts: Option<LineFacts>,
    pub(super) reopened: bool,
    /// The request id of the stream it was asked on.
    pub(super) request_id: Option<String>,
}

impl Stream {
    pub(super) async fn close(&self) {
        *self.current.lock().await = None;
    }

    /// Asks on the stream, on a new one if it ended meanwhile.
    pub(super) async fn ask(
        &self,
        dial: &dyn Dial,
        wardrobe: &Wardrobe,
        request: &Request,
        message: &[u8],
    ) -> Asked {
        let mut earlier = Vec::new();
        let mut reopened = false;
        loop {
            let live = match self.live(dial, wardrobe, request).await {
                Ok(live) => live,
                Err(no) => {
                    return Asked {
                        answer: Answer::Broken(no.error.cause()),
                        facts: Some(LineFacts { earlier, ..no.facts }),
                        reopened,
                        request_id: Some(request_id(request)),
                    };
                }
            };
            if let Some(answered) = live.ask(message.to_vec()) {
                // Only what a GOAWAY turned away goes out again; an answer that is owed when the stream
                // breaks is lost.
                let answer = match answered.await {
                    Ok(Ok(answer)) if is_answer_of(message, &answer) => Some(Answer::Expected),
                    Ok(Ok(_)) => Some(Answer::Broken(Cause::UnexpectedState)),
                    Ok(Err(TransportError::NotProcessed(_))) => None,
                    Ok(Err(error)) => Some(Answer::Broken(error.cause())),
                    Err(_) => Some(Answer::Broken(Cause::ConnectionCut)),
                };
                if let Some(answer) = answer {
                    return Asked {
                        answer,
                        facts: Some(LineFacts { earlier, ..live.line.facts.clone() }),
                        reopened,
                        request_id: Some(live.request_id.clone()),
                    };
                }
            }
            reopened = true;
            earlier.extend(live.line.facts.local.clone());
        }
    }

    async fn live(
        &self,
        dial: &dyn Dial,
        wardrobe: &Wardrobe,
        request: &Request,
    ) -> Result<Arc<LiveStream>, Box<NoLine>> {
        let mut current = self.current.lock().await;
        let lives = |live: &Arc<LiveStream>| {
            live.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_some()
                && !live.line.caller().is_closed()
        };
        if let Some(live) = current.as_ref().filter(|live| lives(live)) {
            return Ok(live.clone());
        }
        let line = open(dial, wardrobe).await?;
        let mut stream = match line.caller().stream(request).await {
            Ok(stream) => stream,
            Err(error) => return Err(Box::new(NoLine { error, facts: line.facts })),
        };
        let answers = VecDeque::new();
        let waiting = Arc::new(Mutex::new(Some(Waiting { requests: stream.requests(), answers })));
        let reader = tokio::spawn({
            let waiting = waiting.clone();
            async move {
                loop {
                    let next = stream.next().await;
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let error = match next {
                        Ok(message) => {
                            let first =
                                waiting.as_mut().and_then(|waiting| waiting.answers.pop_front());
                            if let Some(first) = first {
                                let _ = first.send(Ok(message));
                            }
                            continue;
                        }
                        Err(error) => error,
                    };
                    for owed in waiting.take().into_iter().flat_map(|waiting| waiting.answers) {
                        let _ = owed.send(Err(error.clone()));
                    }
                    return;
                }
            }
        });
        let live = Arc::new(LiveStream { line, waiting, reader, request_id: request_id(request) });
        *current = Some(live.clone());
        Ok(live)
    }
}

/// Whether a reflection answer is one to this request: it carries the request back (field 2 of
/// `ServerReflectionResponse`).
fn is_answer_of(request: &[u8], answer: &[u8]) -> bool {
    #[derive(prost::Message)]
    struct Echo {
        #[prost(bytes = "vec", tag = "2")]
        original_request: Vec<u8>,
    }
    Echo::decode(answer).is_ok_and(|echo| echo.original_request == request)
}

fn request_id(request: &Request) -> String {
    let found = request.metadata.iter().find(|(name, _)| name == "x-request-id");
    found.map(|(_, id)| id.clone()).unwrap_or_default()
}

/// Until when a probe that was due then may take.
pub(super) fn deadline(due: Instant) -> Instant {
    due + super::PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reflection_answer_carries_its_request_back() {
        let list_services = [0x3a, 1, b'*'];
        let mut answer = vec![0x12, 3];
        answer.extend(list_services);
        assert!(is_answer_of(&list_services, &answer));
        assert!(!is_answer_of(&[0x3a, 1, b'x'], &answer));
        assert!(!is_answer_of(&list_services, &[]));
    }
}
