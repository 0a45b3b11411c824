//! Streams between processes (TCP) or inside one (memory): the same code runs over both.

use futures::future::BoxFuture;
use rand_core::RngCore as _;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A byte stream of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A boxed byte stream.
pub type BoxStream = Box<dyn Stream>;

/// A stream and the address of its client's end as text.
pub type Accepted = (BoxStream, String);

/// A bound address that accepts streams. Dropping it makes the address refuse connections.
pub trait Incoming: Send {
    /// The address that clients dial.
    fn address(&self) -> &str;
    /// The next stream.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>>;
}

/// Where addresses live.
pub trait Network: Send + Sync + fmt::Debug {
    /// Binds an address; port 0 means any free one.
    fn bind<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Incoming>>>;
    /// Dials an address; answers the stream and the name of this end of it, which is the peer's
    /// address at the other end.
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Accepted>>;
}

/// Real TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

/// Ports that operating systems do not hand out to outgoing connections. A listener that closes and
/// comes back, as a stopped replica's does, would else find its port taken by somebody's client.
const FREE_PORTS: std::ops::Range<u16> = 15_000..32_000;
/// How many of them are tried before the system's own choice is taken.
const TRIES: usize = 64;

async fn bind_any(host: &str) -> io::Result<TcpListener> {
    let mut random = crate::seam::entropy::system();
    for _ in 0..TRIES {
        let offset = random.next_u32() % u32::from(FREE_PORTS.end - FREE_PORTS.start);
        let port = u32::from(FREE_PORTS.start) + offset;
        match TcpListener::bind(format!("{host}:{port}")).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            outcome => return outcome,
        }
    }
    TcpListener::bind(format!("{host}:0")).await
}

struct TcpIncoming {
    listener: TcpListener,
    address: String,
}

impl Network for Tcp {
    fn bind<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            let listener = match address.rsplit_once(':') {
                Some((host, "0")) => bind_any(host).await?,
                _ => TcpListener::bind(address).await?,
            };
            let address = listener.local_addr()?.to_string();
            Ok(Box::new(TcpIncoming { listener, address }) as Box<dyn Incoming>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Accepted>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let own = stream.local_addr()?.to_string();
            Ok((Box::new(stream) as BoxStream, own))
        })
    }
}

impl Incoming for TcpIncoming {
    fn address(&self) -> &str {
        &self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as BoxStream, peer.to_string()))
        })
    }
}

/// Streams inside one process, for simulation. Ports are numbered from 1 in the order of binding,
/// so that a run repeats.
#[derive(Clone, Default)]
pub struct Memory {
    shared: Arc<MemoryShared>,
}

#[derive(Default)]
struct MemoryShared {
    listeners: Mutex<BTreeMap<String, mpsc::UnboundedSender<Accepted>>>,
    next_port: AtomicU64,
    next_client: AtomicU64,
}

/// Buffer of each direction of a stream.
const BUFFER_BYTES: usize = 64 * 1024;

impl MemoryShared {
    fn listeners(&self) -> MutexGuard<'_, BTreeMap<String, mpsc::UnboundedSender<Accepted>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shared.listeners().keys()).finish()
    }
}

struct MemoryIncoming {
    address: String,
    streams: mpsc::UnboundedReceiver<Accepted>,
    shared: Arc<MemoryShared>,
}

impl Network for Memory {
    fn bind<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            let address = match address.rsplit_once(':') {
                Some((host, "0")) => {
                    format!("{host}:{}", 1 + self.shared.next_port.fetch_add(1, Ordering::SeqCst))
                }
                _ => address.to_owned(),
            };
            let (sender, streams) = mpsc::unbounded_channel();
            let mut listeners = self.shared.listeners();
            if listeners.contains_key(&address) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            listeners.insert(address.clone(), sender);
            drop(listeners);
            let shared = self.shared.clone();
            Ok(Box::new(MemoryIncoming { address, streams, shared }) as Box<dyn Incoming>)
        })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Accepted>> {
        Box::pin(async move {
            let (near, far): (DuplexStream, DuplexStream) = tokio::io::duplex(BUFFER_BYTES);
            let own =
                format!("client:{}", 1 + self.shared.next_client.fetch_add(1, Ordering::SeqCst));
            self.shared
                .listeners()
                .get(address)
                .and_then(|sender| sender.send((Box::new(far), own.clone())).ok())
                .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok((Box::new(near) as BoxStream, own))
        })
    }
}

impl Incoming for MemoryIncoming {
    fn address(&self) -> &str {
        &self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Accepted>> {
        Box::pin(async move {
            self.streams.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
        })
    }
}

impl Drop for MemoryIncoming {
    fn drop(&mut self) {
        self.shared.listeners().remove(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_listener_refuses_connections_in_memory_and_over_tcp() {
        for network in [Box::new(Memory::default()) as Box<dyn Network>, Box::new(Tcp)] {
            let incoming = network.bind("127.0.0.1:0").await.unwrap();
            let address = incoming.address().to_owned();
            assert!(network.connect(&address).await.is_ok());
            drop(incoming);
            let error = network.connect(&address).await.err().map(|error| error.kind());
            assert_eq!(error, Some(io::ErrorKind::ConnectionRefused));
        }
    }
}
