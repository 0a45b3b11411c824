//! Fewer writes and fewer tasks under HTTP/2: without this, each reply leaves in a TLS record and a
//! write of its own, and from a task of its own.

use hyper::rt::Executor;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What may wait to be written; beyond it a writer waits for the stream.
const BUFFER_BYTES: usize = 64 * 1024;

/// A stream that gathers writes until [`Self::poll_drain`], which the owner of the connection calls
/// at the end of each poll. Its clones are one stream, for tasks that poll it one at a time.
pub(super) struct Cork<S> {
    shared: Arc<Mutex<Gathered<S>>>,
}

struct Gathered<S> {
    stream: S,
    waiting: Vec<u8>,
    /// How much of `waiting` the stream has taken.
    taken: usize,
    /// Whether the stream was flushed since it took something.
    flushed: bool,
}

impl<S> Clone for Cork<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Cork<S> {
    pub(super) fn new(stream: S) -> Self {
        let gathered = Gathered { stream, waiting: Vec::new(), taken: 0, flushed: true };
        Self { shared: Arc::new(Mutex::new(gathered)) }
    }

    fn lock(&self) -> MutexGuard<'_, Gathered<S>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes out all that waits, and flushes the stream.
    pub(super) fn poll_drain(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_drain(context)
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.waiting.len() {
            let rest = &self.waiting[self.taken..];
            let taken = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += taken;
            self.flushed = false;
        }
        self.waiting.clear();
        self.taken = 0;
        if !self.flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Cork<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Cork<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut gathered = self.lock();
        if gathered.waiting.len() >= BUFFER_BYTES {
            ready!(gathered.poll_drain(context))?;
        }
        let room = BUFFER_BYTES - gathered.waiting.len();
        let taken = bytes.len().min(room);
        gathered.waiting.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.lock();
        ready!(gathered.poll_drain(context))?;
        Pin::new(&mut gathered.stream).poll_shutdown(context)
    }
}

/// Polls a connection's new task once in place, and makes it a task of its own only if it then still
/// waits: a unary call whose message is there is done by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline;

impl<F> Executor<F> for Inline
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let mut task = Box::pin(task);
        // Its first poll as a task registers the waker that counts.
        let mut context = Context::from_waker(Waker::noop());
        // A panic ends this call alone, as it would in a task of its own.
        let first = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context)));
        if let Ok(Poll::Pending) = first {
            tokio::spawn(task);
        }
    }
}
