//! Fewer writes and fewer tasks under HTTP/2: without this, each reply leaves in a TLS record and a
//! write of its own, and from a task of its own.

use futures::task::AtomicWaker;
use hyper::rt::Executor;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
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

/// Polls a connection again at once if it was woken while it was polled, as each reply made in place
/// does: through the scheduler that would take another round, and wake another worker for it.
pub(super) struct Again {
    relay: Arc<Relay>,
    waker: Waker,
}

struct Relay {
    outer: AtomicWaker,
    polling: AtomicBool,
    woken: AtomicBool,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.outer.wake();
        }
    }
}

impl Again {
    /// After so many polls others have their turn.
    const ROUNDS: usize = 8;

    pub(super) fn new() -> Self {
        let relay = Arc::new(Relay {
            outer: AtomicWaker::new(),
            polling: AtomicBool::new(false),
            woken: AtomicBool::new(false),
        });
        Self { waker: relay.clone().into(), relay }
    }

    /// Polls `each` until it is ready or nothing has woken it meanwhile, and then `last`.
    pub(super) fn poll<T>(
        &self,
        context: &mut Context<'_>,
        mut each: impl FnMut(&mut Context<'_>) -> Poll<()>,
        last: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        let relay = &self.relay;
        relay.outer.register(context.waker());
        relay.polling.store(true, Ordering::SeqCst);
        let mut inner = Context::from_waker(&self.waker);
        for _ in 0..Self::ROUNDS {
            relay.woken.store(false, Ordering::SeqCst);
            if each(&mut inner).is_ready() || !relay.woken.load(Ordering::SeqCst) {
                break;
            }
        }
        let answer = last(&mut inner);
        // From here on a wake goes out; one from before is passed on.
        relay.polling.store(false, Ordering::SeqCst);
        if relay.woken.swap(false, Ordering::SeqCst) {
            context.waker().wake_by_ref();
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    /// Polls as the owner of a connection does: work, then drain.
    async fn drive<T>(
        cork: &Cork<tokio::io::DuplexStream>,
        work: impl Future<Output = T>,
    ) -> io::Result<T> {
        let mut work = std::pin::pin!(work);
        let mut done = None;
        poll_fn(|context| {
            if done.is_none()
                && let Poll::Ready(value) = work.as_mut().poll(context)
            {
                done = Some(value);
            }
            ready!(cork.poll_drain(context))?;
            done.take().map_or(Poll::Pending, |value| Poll::Ready(Ok(value)))
        })
        .await
    }

    #[tokio::test]
    async fn writes_leave_together_at_the_drain_and_not_before() {
        let (near, mut far) = duplex(1024);
        let cork = Cork::new(near);
        let mut writer = cork.clone();
        writer.write_all(b"one ").await.unwrap();
        writer.flush().await.unwrap();
        writer.write_all(b"two").await.unwrap();
        let mut bytes = [0; 16];
        assert!(futures::FutureExt::now_or_never(far.read(&mut bytes)).is_none());
        drive(&cork, async {}).await.unwrap();
        assert_eq!(far.read(&mut bytes).await.unwrap(), 7);
        assert_eq!(&bytes[..7], b"one two");
    }

    #[tokio::test]
    async fn more_than_the_buffer_reaches_a_slow_reader_whole() {
        let (near, mut far) = duplex(1000);
        let cork = Cork::new(near);
        let sent: Vec<u8> = (0..10 * BUFFER_BYTES).map(|n| (n % 251) as u8).collect();
        let reader = tokio::spawn(async move {
            let mut read = Vec::new();
            let mut chunk = [0; 333];
            loop {
                match far.read(&mut chunk).await.unwrap() {
                    0 => return read,
                    n => read.extend_from_slice(&chunk[..n]),
                }
                tokio::task::yield_now().await;
            }
        });
        let mut writer = cork.clone();
        drive(&cork, async {
            writer.write_all(&sent).await.unwrap();
            assert!(cork.lock().waiting.len() <= BUFFER_BYTES);
            writer.shutdown().await.unwrap();
        })
        .await
        .unwrap();
        assert!(reader.await.unwrap() == sent);
    }

    #[tokio::test]
    async fn the_end_of_a_stream_comes_after_what_waits() {
        let (near, mut far) = duplex(1024);
        let mut cork = Cork::new(near);
        cork.write_all(b"last words").await.unwrap();
        cork.shutdown().await.unwrap();
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last words");
    }

    #[tokio::test]
    async fn a_broken_stream_shows_at_the_drain() {
        let (near, far) = duplex(1024);
        let cork = Cork::new(near);
        drop(far);
        cork.clone().write_all(b"to nobody").await.unwrap();
        let error = drive(&cork, async {}).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_task_that_waits_goes_on_by_itself_and_a_panic_ends_only_its_own() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (done, finished) = tokio::sync::oneshot::channel();
        Inline.execute(async move {
            receiver.await.unwrap();
            done.send(()).unwrap();
        });
        Inline.execute(async { panic!("of one call") });
        Inline.execute(futures::future::lazy(move |_| sender.send(()).unwrap()));
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn a_wake_while_polling_is_another_poll_and_one_after_the_last_is_passed_on() {
        let again = Again::new();
        let (mut polls, mut returns) = (0, 0);
        poll_fn(|context| {
            returns += 1;
            let each = |inner: &mut Context<'_>| {
                polls += 1;
                if polls < Again::ROUNDS + 2 {
                    inner.waker().wake_by_ref();
                }
                Poll::<()>::Pending
            };
            again.poll(context, each, |_| ());
            if polls == Again::ROUNDS + 2 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        assert_eq!((polls, returns), (Again::ROUNDS + 2, 2));
    }
}
