//! gRPC over one HTTP/2 connection: frames out, frames and a status back.

use super::status::{self, Status};
use super::tls::TlsOptions;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use fake_kingdom::seam::transport::BoxStream;
use futures::stream::{self, Once};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::time::Duration;
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
    /// The handshake failed on the client's side of it.
    Handshake(String),
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
            Self::Handshake(why) => write!(f, "handshake failed: {why}"),
            Self::Connection(why) => write!(f, "connection broke: {why}"),
            Self::Protocol(why) => write!(f, "the answer is not gRPC: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
        }
    }
}

/// A stream, so that no content-length is sent: gRPC clients send none.
type Body = StreamBody<Once<Ready<Result<Frame<Bytes>, Infallible>>>>;

/// One connection. Dropping it closes it.
pub struct Connection {
    sender: SendRequest<Body>,
    /// This end, as the server's events name it.
    pub local: String,
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
        let stream = tls.secure(stream).await?;
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| TransportError::Connection(error.to_string()))?;
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, local, task })
    }

    /// Whether the other end has closed it, or it broke.
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
        let broke = |error: hyper::Error| TransportError::Connection(error.to_string());
        self.sender.ready().await.map_err(broke)?;
        let response = self.sender.send_request(http_request(request)?).await.map_err(broke)?;
        let (head, mut body) = response.into_parts();
        let (mut data, mut messages, mut trailers) = (Vec::new(), Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame.map_err(broke)?.into_data() {
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

    async fn exchange(
        &mut self,
        request: &Request,
    ) -> Result<(Vec<Vec<u8>>, Status), TransportError> {
        let broke = |error: hyper::Error| TransportError::Connection(error.to_string());
        self.sender.ready().await.map_err(broke)?;
        let response = self.sender.send_request(http_request(request)?).await.map_err(broke)?;
        let (head, body) = response.into_parts();
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

fn http_request(request: &Request) -> Result<http::Request<Body>, TransportError> {
    let unusable = |what: &str| TransportError::Credential(format!("{what} cannot be sent"));
    let mut body = Vec::new();
    for message in &request.messages {
        let length = u32::try_from(message.len()).map_err(|_| unusable("the message"))?;
        body.push(0);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(message);
    }
    let mut built = http::Request::builder()
        .method(http::Method::POST)
        .uri(format!("https://kingdom/{}", request.method))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(StreamBody::new(stream::once(ready(Ok(Frame::data(Bytes::from(body)))))))
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
