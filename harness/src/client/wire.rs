//! gRPC over one HTTP/2 connection: frames out, frames and a status back.

use super::status::{self, Status};
use super::tls::{Answering, TlsOptions};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use fake_kingdom::cause::Cause;
use fake_kingdom::seam::transport::BoxStream;
use futures::StreamExt as _;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a caller sends.
#[derive(Clone, Debug)]
pub struct Request {
    /// `package.Service/Method`.
    pub method: String,
    /// Metadata, in order.
    pub metadata: Vec<(String, String)>,
    /// Encoded messages: one, or several for a client stream.
    pub messages: Vec<Vec<u8>>,
    /// How long to wait for the whole answer.
    pub patience: Duration,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A gRPC status arrived, after these messages.
    Answered {
        /// Encoded messages.
        messages: Vec<Vec<u8>>,
        /// The status.
        status: Status,
    },
    /// None arrived.
    Broken(TransportError),
}

/// Why no gRPC status arrived. The texts differ from run to run: never judge them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// Nobody listens at the address.
    NobodyListens,
    /// The stream could not be opened for another reason.
    Dial(String),
    /// The credential cannot be used by the client's own library.
    Credential(String),
    /// The client refused the server's leaf.
    ServerCertificate {
        /// Why, as a stable code.
        cause: Cause,
        /// The library's text.
        why: String,
    },
    /// The handshake failed on the client's side of it for another reason.
    Handshake(String),
    /// The server did not begin to process the call, by a GOAWAY or before it was sent: it may go
    /// out again on another connection.
    NotProcessed(String),
    /// The connection broke after the handshake, as the client saw it.
    Connection(String),
    /// The server broke a rule of gRPC.
    Protocol(String),
    /// No whole answer came in time.
    Timeout,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyListens => f.write_str("nobody listens at the address"),
            Self::Dial(why) => write!(f, "cannot connect: {why}"),
            Self::Credential(why) => write!(f, "the client cannot use its credential: {why}"),
            Self::ServerCertificate { why, .. } => {
                write!(f, "the client refuses the server's certificate: {why}")
            }
            Self::Handshake(why) => write!(f, "handshake failed: {why}"),
            Self::NotProcessed(why) => write!(f, "not processed: {why}"),
            Self::Connection(why) => write!(f, "connection broke: {why}"),
            Self::Protocol(why) => write!(f, "the answer is not gRPC: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl TransportError {
    /// What the client's side alone knows of it.
    pub fn cause(&self) -> Cause {
        match self {
            Self::ServerCertificate { cause, .. } => *cause,
            Self::NobodyListens | Self::Dial(_) => Cause::NobodyListens,
            Self::Credential(_) => Cause::HarnessFault,
            Self::Handshake(_) => Cause::HandshakeFailed,
            Self::NotProcessed(_) => Cause::Goaway,
            Self::Connection(_) | Self::Protocol(_) => Cause::ConnectionCut,
            Self::Timeout => Cause::Timeout,
        }
    }
}

/// A stream, so that no content-length is sent: gRPC clients send none.
type Body = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// The stream as the caller's network lets it be.
fn behind(tls: &TlsOptions, stream: BoxStream) -> BoxStream {
    match &tls.link {
        Some(link) => link.through(stream),
        None => stream,
    }
}

/// One connection. Dropping it closes it.
pub struct Connection {
    caller: Caller,
    /// This end, as the server's events name it.
    pub local: String,
    /// Who answered the handshake; `None` for plaintext.
    pub answering: Option<Answering>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Secures a stream and starts HTTP/2 on it. With TLS 1.3 success does not mean that the server
    /// has accepted the client's certificate.
    ///
    /// # Errors
    /// The handshake failed on this side, or the credential cannot be used.
    pub async fn open(
        stream: BoxStream,
        local: String,
        tls: &TlsOptions,
    ) -> Result<Self, TransportError> {
        let secured = tls.secure(behind(tls, stream)).await?;
        Self::over(secured, local).await
    }

    /// [`Self::open`] with a TLS configuration that was made before, by [`TlsOptions::config`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(
        stream: BoxStream,
        local: String,
        tls: &TlsOptions,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<Self, TransportError> {
        let secured = tls.secure_with(config, behind(tls, stream)).await?;
        Self::over(secured, local).await
    }

    async fn over(
        (stream, answering): (BoxStream, Option<Answering>),
        local: String,
    ) -> Result<Self, TransportError> {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| TransportError::Connection(error.to_string()))?;
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { caller: Caller { sender }, local, answering, task })
    }

    /// Makes one call.
    pub async fn call(&mut self, request: &Request) -> Outcome {
        self.caller.call(request).await
    }

    /// [`Caller::call_until`].
    pub async fn call_until(
        &mut self,
        request: &Request,
        enough: &dyn Fn(&[u8]) -> bool,
    ) -> Outcome {
        self.caller.call_until(request, enough).await
    }

    /// [`Caller::is_closed`].
    pub fn is_closed(&self) -> bool {
        self.caller.is_closed()
    }

    /// What makes calls on it, several at once.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }
}

/// Makes calls on one connection, which it does not keep open.
#[derive(Clone)]
pub struct Caller {
    sender: SendRequest<Body>,
}

impl Caller {
    /// Whether the connection takes no more calls: it ended, or the server sent a GOAWAY.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Makes one call.
    pub async fn call(&mut self, request: &Request) -> Outcome {
        let answer = tokio::time::timeout(request.patience, self.exchange(request)).await;
        match answer {
            Ok(Ok((messages, status))) => Outcome::Answered { messages, status },
            Ok(Err(error)) => Outcome::Broken(error),
            Err(_) => Outcome::Broken(TransportError::Timeout),
        }
    }

    /// Makes one call whose answer is a stream, and stops reading after the first message that is
    /// enough: the status is then OK by assumption, since none has come yet.
    pub async fn call_until(
        &mut self,
        request: &Request,
        enough: &dyn Fn(&[u8]) -> bool,
    ) -> Outcome {
        let answer =
            tokio::time::timeout(request.patience, self.exchange_until(request, enough)).await;
        match answer {
            Ok(Ok((messages, status))) => Outcome::Answered { messages, status },
            Ok(Err(error)) => Outcome::Broken(error),
            Err(_) => Outcome::Broken(TransportError::Timeout),
        }
    }

    async fn exchange_until(
        &mut self,
        request: &Request,
        enough: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(Vec<Vec<u8>>, Status), TransportError> {
        let (head, mut body) = self.send(request).await?.into_parts();
        let (mut data, mut messages, mut trailers) = (Vec::new(), Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame.map_err(|error| broke(&error))?.into_data() {
                Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
                Ok(bytes) => {
                    data.extend_from_slice(&bytes);
                    for message in whole_frames(&mut data)? {
                        let found = enough(&message);
                        messages.push(message);
                        if found {
                            return Ok((messages, Status::ok()));
                        }
                    }
                }
            }
        }
        Ok((messages, read_status(&trailers.unwrap_or(head.headers))?))
    }

    async fn send(
        &mut self,
        request: &Request,
    ) -> Result<http::Response<Incoming>, TransportError> {
        self.sender.ready().await.map_err(|error| not_sent(&error))?;
        let body = stream::once(ready(Ok(Frame::data(framed(&request.messages)?)))).boxed();
        let request = http_request(request, body)?;
        self.sender.send_request(request).await.map_err(|error| broke(&error))
    }

    async fn exchange(
        &mut self,
        request: &Request,
    ) -> Result<(Vec<Vec<u8>>, Status), TransportError> {
        let (head, body) = self.send(request).await?.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(TransportError::Protocol(format!("HTTP status {}", head.status)));
        }
        let (data, trailers) = read(body).await?;
        // A call that fails at once has its status in the headers ("trailers-only").
        let trailers = trailers.unwrap_or(head.headers);
        Ok((frames(&data)?, read_status(&trailers)?))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A bidirectional stream: messages go out one by one, and come back one by one.
pub struct StreamCall {
    requests: mpsc::UnboundedSender<Vec<u8>>,
    body: Incoming,
    unread: Vec<u8>,
}

impl Caller {
    /// Opens a bidirectional stream; its metadata and method are the request's, its messages the
    /// first to go out.
    ///
    /// # Errors
    /// The connection broke, or the server answered at once with a status.
    pub async fn stream(&mut self, request: &Request) -> Result<StreamCall, TransportError> {
        let (requests, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
        for message in &request.messages {
            let _ = requests.send(message.clone());
        }
        let body = stream::poll_fn(move |context| outgoing.poll_recv(context))
            .filter_map(|message| ready(framed(&[message]).ok().map(|data| Ok(Frame::data(data)))))
            .boxed();
        let open = async {
            self.sender.ready().await.map_err(|error| not_sent(&error))?;
            let response = self
                .sender
                .send_request(http_request(request, body)?)
                .await
                .map_err(|error| broke(&error))?;
            let (head, body) = response.into_parts();
            if head.headers.contains_key("grpc-status") {
                return Err(TransportError::Protocol("the stream was refused".to_owned()));
            }
            Ok(StreamCall { requests, body, unread: Vec::new() })
        };
        tokio::time::timeout(request.patience, open).await.unwrap_or(Err(TransportError::Timeout))
    }
}

impl StreamCall {
    /// What sends messages on it.
    pub fn requests(&self) -> mpsc::UnboundedSender<Vec<u8>> {
        self.requests.clone()
    }

    /// The next message.
    ///
    /// # Errors
    /// The stream has ended: [`TransportError::NotProcessed`] by a GOAWAY, else as it broke or was
    /// ended by the server.
    pub async fn next(&mut self) -> Result<Vec<u8>, TransportError> {
        loop {
            if let Some(head) = self.unread.first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if self.unread.len() >= 5 + length {
                    let rest = self.unread.split_off(5 + length);
                    let message = std::mem::replace(&mut self.unread, rest);
                    return Ok(message[5..].to_vec());
                }
            }
            let ended = || TransportError::Connection("the server ended the stream".to_owned());
            // The server had begun with it: what is cancelled now is lost.
            let lost = |error: hyper::Error| ended_by(&error, was_turned_away(&error));
            let frame = self.body.frame().await.ok_or_else(ended)?.map_err(lost)?;
            self.unread.extend_from_slice(&frame.into_data().map_err(|_| ended())?);
        }
    }
}

fn not_sent(error: &hyper::Error) -> TransportError {
    TransportError::NotProcessed(error.to_string())
}

/// Whether the server began to process a call that got no answer: not if the call never left, its
/// stream was refused, or a GOAWAY said that it was too late (RFC 9113 section 6.8).
fn broke(error: &hyper::Error) -> TransportError {
    ended_by(error, error.is_canceled() || was_turned_away(error))
}

fn ended_by(error: &hyper::Error, is_unprocessed: bool) -> TransportError {
    if is_unprocessed {
        TransportError::NotProcessed(error.to_string())
    } else {
        TransportError::Connection(error.to_string())
    }
}

/// Whether the server refused the stream, or said that it came too late.
fn was_turned_away(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    let mut too_late = false;
    while let Some(inner) = source {
        if let Some(h2) = inner.downcast_ref::<h2::Error>() {
            let refused = h2.reason() == Some(h2::Reason::REFUSED_STREAM);
            too_late |= h2.is_remote()
                && (refused || (h2.is_go_away() && h2.reason() == Some(h2::Reason::NO_ERROR)));
        }
        source = inner.source();
    }
    too_late
}

/// Messages as gRPC frames.
fn framed(messages: &[Vec<u8>]) -> Result<Bytes, TransportError> {
    let mut body = Vec::new();
    for message in messages {
        let length = u32::try_from(message.len())
            .map_err(|_| TransportError::Credential("the message cannot be sent".to_owned()))?;
        body.push(0);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(message);
    }
    Ok(Bytes::from(body))
}

fn http_request(
    request: &Request,
    body: stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>,
) -> Result<http::Request<Body>, TransportError> {
    let unusable = |what: &str| TransportError::Credential(format!("{what} cannot be sent"));
    let mut built = http::Request::builder()
        .method(http::Method::POST)
        .uri(format!("https://kingdom/{}", request.method))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(StreamBody::new(body))
        .map_err(|_| unusable("the method"))?;
    for (name, value) in &request.metadata {
        let name = HeaderName::try_from(name).map_err(|_| unusable("a metadata name"))?;
        let value = HeaderValue::try_from(value).map_err(|_| unusable("a metadata value"))?;
        built.headers_mut().append(name, value);
    }
    Ok(built)
}

async fn read(mut body: Incoming) -> Result<(Vec<u8>, Option<HeaderMap>), TransportError> {
    let mut data = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| TransportError::Connection(error.to_string()))?;
        match frame.into_data() {
            Ok(bytes) => data.extend_from_slice(&bytes),
            Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
        }
    }
    Ok((data, trailers))
}

fn frames(mut data: &[u8]) -> Result<Vec<Vec<u8>>, TransportError> {
    let bad = |what: &str| TransportError::Protocol(what.to_owned());
    let mut messages = Vec::new();
    while !data.is_empty() {
        let (head, rest) = data.split_at_checked(5).ok_or_else(|| bad("a cut-off frame"))?;
        if head[0] != 0 {
            return Err(bad("a compressed message nobody asked for"));
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (message, rest) =
            rest.split_at_checked(length).ok_or_else(|| bad("a cut-off frame"))?;
        messages.push(message.to_vec());
        data = rest;
    }
    Ok(messages)
}

/// Takes the whole frames off the front of what has come so far.
fn whole_frames(data: &mut Vec<u8>) -> Result<Vec<Vec<u8>>, TransportError> {
    let mut end = 0;
    while let Some(length) = data[end..].get(1..5) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if data.len() - end < 5 + length {
            break;
        }
        end += 5 + length;
    }
    let rest = data.split_off(end);
    let whole = std::mem::replace(data, rest);
    frames(&whole)
}

fn read_status(trailers: &HeaderMap) -> Result<Status, TransportError> {
    let bad = TransportError::Protocol;
    let text = |name: &str| trailers.get(name).map(|value| value.as_bytes());
    let code = text("grpc-status").ok_or_else(|| bad("no grpc-status".to_owned()))?;
    let code = std::str::from_utf8(code)
        .ok()
        .and_then(|code| status::code_name(code.parse().ok()?))
        .ok_or_else(|| bad("grpc-status is not a gRPC code".to_owned()))?;
    let description = text("grpc-message").map(percent_decoded).unwrap_or_default();
    let (error_info, details) = match text("grpc-status-details-bin") {
        None => (None, Vec::new()),
        Some(value) => {
            let bytes = ANY_PADDING
                .decode(value)
                .map_err(|error| bad(format!("grpc-status-details-bin: {error}")))?;
            status::details(&bytes).map_err(bad)?
        }
    };
    let trailers = trailers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    Ok(Status { code, description, error_info, details, trailers })
}

fn percent_decoded(bytes: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_encoded_description_is_decoded_and_a_stray_percent_stays() {
        assert_eq!(percent_decoded(b"caf%C3%A9 100%"), "caf\u{e9} 100%");
    }

    #[test]
    fn frames_are_split_and_a_cut_off_frame_is_an_error() {
        assert_eq!(frames(b"\0\0\0\0\x01a\0\0\0\0\0"), Ok(vec![b"a".to_vec(), Vec::new()]));
        assert!(frames(b"\0\0\0\0\x02a").is_err());
    }

    #[test]
    fn whole_frames_leave_what_is_cut_off_for_later() {
        let mut data = b"\0\0\0\0\x01a\0\0\0\0\x02b".to_vec();
        assert_eq!(whole_frames(&mut data), Ok(vec![b"a".to_vec()]));
        data.push(b'c');
        assert_eq!(whole_frames(&mut data), Ok(vec![b"bc".to_vec()]));
        assert_eq!(whole_frames(&mut data), Ok(Vec::new()));
    }

    #[test]
    fn an_answer_without_a_status_is_no_answer() {
        assert!(read_status(&HeaderMap::new()).is_err());
    }
}
