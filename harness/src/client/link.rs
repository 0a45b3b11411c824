//! The network between one caller and every server, as a set of rules: latency, a direction that
//! loses what it carries, connections that are lost, a peer that reads slowly. The same over real
//! sockets and in memory; on virtual time it repeats.

use fake_kingdom::seam::transport::BoxStream;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// One way of the network, seen from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// What the caller sends.
    ToServer,
    /// What the caller is sent.
    ToClient,
}

/// A caller's network. Cloning shares it; its rules hold for every connection that was opened
/// through it, open ones included.
#[derive(Clone, Default)]
pub struct Link(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rules: Mutex<Rules>,
    /// Wakes in the order of waiting; a watch channel wakes in a random one, and a run would not
    /// repeat.
    changed: Notify,
}

#[derive(Clone, Debug, Default)]
struct Rules {
    latency: Duration,
    bytes_per_second: Option<u64>,
    to_server_is_down: bool,
    to_client_is_down: bool,
    /// How often all open connections were lost.
    lost: u64,
    /// Rules that were set and have hit nothing yet, in words.
    unhit: BTreeSet<&'static str>,
}

const LATENCY: &str = "late messages";
const SLOW: &str = "a slow reader";
const TO_SERVER_DOWN: &str = "a way to the server that is down";
const TO_CLIENT_DOWN: &str = "a way back that is down";
const LOST: &str = "connections that are lost";

impl Rules {
    fn is_down(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.to_server_is_down,
            Direction::ToClient => self.to_client_is_down,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&*self.rules()).finish()
    }
}

impl Link {
    /// What is sent from now on takes this long, each way.
    pub fn set_latency(&self, latency: Duration) {
        self.change(|rules| {
            rules.latency = latency;
            // No latency is no fault: it makes a network that later rules can reach.
            if !latency.is_zero() {
                rules.unhit.insert(LATENCY);
            }
        });
    }

    /// The caller is sent at most this many bytes a second, in whole segments of 256 bytes.
    pub fn slow_down(&self, bytes_per_second: u64) {
        self.change(|rules| {
            rules.bytes_per_second = Some(bytes_per_second.max(1));
            rules.unhit.insert(SLOW);
        });
    }

    /// Nothing gets through in this direction; as with TCP, what was sent arrives once the way is
    /// open again, if anybody still waits for it.
    pub fn take_down(&self, direction: Direction) {
        self.change(|rules| match direction {
            Direction::ToServer => {
                rules.to_server_is_down = true;
                rules.unhit.insert(TO_SERVER_DOWN);
            }
            Direction::ToClient => {
                rules.to_client_is_down = true;
                rules.unhit.insert(TO_CLIENT_DOWN);
            }
        });
    }

    /// A rule that was set and has hit nothing since, in words.
    pub fn unhit(&self) -> Option<&'static str> {
        self.rules().unhit.first().copied()
    }

    fn hit(&self, rule: &'static str) {
        self.rules().unhit.remove(rule);
    }

    /// Both directions work again, without delay.
    pub fn mend(&self) {
        self.change(|rules| {
            let unhit = std::mem::take(&mut rules.unhit);
            *rules = Rules { lost: rules.lost, unhit, ..Rules::default() };
        });
    }

    /// Every open connection breaks; new ones can be opened.
    pub fn lose_connections(&self) {
        self.change(|rules| {
            rules.lost += 1;
            rules.unhit.insert(LOST);
        });
    }

    /// A stream's near end, behind this network.
    pub(super) fn through(&self, stream: BoxStream) -> BoxStream {
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        let link = self.clone();
        let lost_before = link.rules().lost;
        tokio::spawn(async move {
            let (from_client, to_client) = split(far);
            let (from_server, to_server) = split(stream);
            let up = carry(from_client, to_server, Direction::ToServer, link.clone());
            let down = carry(from_server, to_client, Direction::ToClient, link.clone());
            // Dropping both ends is what either side sees of a lost connection.
            tokio::select! {
                // In a fixed order, or a run would not repeat; and what was held back when the connection
                // is lost must not arrive first, though the way be open again in the same instant.
                biased;
                () = link.wait_until(|rules| rules.lost != lost_before) => link.hit(LOST),
                _ = async { tokio::join!(up, down) } => {}
            }
        });
        Box::new(near)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, how: impl FnOnce(&mut Rules)) {
        how(&mut self.rules());
        self.0.changed.notify_waiters();
    }

    async fn wait_until(&self, holds: impl Fn(&Rules) -> bool) {
        loop {
            // Waits from here on, so that no change falls between the look and the waiting.
            let changed = self.0.changed.notified();
            if holds(&self.rules()) {
                return;
            }
            changed.await;
        }
    }
}

/// Buffer of each direction, and the most that is carried at once.
const BUFFER_BYTES: usize = 64 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;
/// What a slow peer reads at once, filled or not. A handshake's signature is some bytes longer or
/// shorter each time, which must not be seen in virtual time.
const SEGMENT_BYTES: usize = 256;
/// Chunks under way at once; a faster sender waits.
const CHUNKS_UNDER_WAY: usize = 64;

/// Carries bytes one way until their source ends, each chunk as late as the rules say.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    link: Link,
) {
    let (sent, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_UNDER_WAY);
    let link = &link;
    let leave = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            let latency = link.rules().latency;
            if !latency.is_zero() {
                link.hit(LATENCY);
            }
            let due = Instant::now() + latency;
            if sent.send((due, chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let arrive = async move {
        while let Some((due, chunk)) = arriving.recv().await {
            tokio::time::sleep_until(due).await;
            if link.rules().is_down(direction) {
                link.hit(match direction {
                    Direction::ToServer => TO_SERVER_DOWN,
                    Direction::ToClient => TO_CLIENT_DOWN,
                });
            }
            link.wait_until(|rules| !rules.is_down(direction)).await;
            let rate = link.rules().bytes_per_second;
            if let (Direction::ToClient, Some(rate)) = (direction, rate) {
                link.hit(SLOW);
                let bytes = chunk.len().next_multiple_of(SEGMENT_BYTES);
                tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
            }
            if to.write_all(&chunk).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(leave, arrive);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link, the caller's end of a connection over it, and the server's.
    fn connected() -> (Link, BoxStream, tokio::io::DuplexStream) {
        let link = Link::default();
        let (server, stream) = tokio::io::duplex(1024);
        let client = link.through(Box::new(stream));
        (link, client, server)
    }

    async fn arrives(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> bool {
        let mut byte = [0];
        tokio::time::timeout(within, stream.read_exact(&mut byte))
            .await
            .is_ok_and(|read| read.is_ok())
    }

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_takes_as_long_as_the_latency() {
        let (link, mut client, mut server) = connected();
        link.set_latency(100 * MS);
        client.write_all(b"x").await.unwrap();
        assert!(!arrives(&mut server, 99 * MS).await);
        assert!(arrives(&mut server, 2 * MS).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_way_down_holds_what_goes_that_way_and_nothing_else() {
        let (link, mut client, mut server) = connected();
        link.take_down(Direction::ToClient);
        client.write_all(b"x").await.unwrap();
        assert!(arrives(&mut server, MS).await);
        server.write_all(b"y").await.unwrap();
        assert!(!arrives(&mut client, 1000 * MS).await);
        link.mend();
        assert!(arrives(&mut client, MS).await);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_connections_end_for_both_and_new_ones_work() {
        let (link, mut client, mut server) = connected();
        link.lose_connections();
        let mut rest = Vec::new();
        assert_eq!(client.read_to_end(&mut rest).await.unwrap_or_default(), 0);
        assert_eq!(server.read_to_end(&mut rest).await.unwrap_or_default(), 0);
        let (mut server, stream) = tokio::io::duplex(1024);
        let mut client = link.through(Box::new(stream));
        client.write_all(b"x").await.unwrap();
        assert!(arrives(&mut server, MS).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_held_back_is_lost_with_its_connection() {
        let (link, mut client, mut server) = connected();
        link.take_down(Direction::ToClient);
        server.write_all(b"y").await.unwrap();
        assert!(!arrives(&mut client, MS).await);
        link.lose_connections();
        link.mend();
        assert!(!arrives(&mut client, 1000 * MS).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_that_hits_nothing_says_so_until_it_does() {
        let (link, mut client, mut server) = connected();
        assert_eq!(link.unhit(), None);
        link.set_latency(Duration::ZERO);
        assert_eq!(link.unhit(), None, "no latency is no fault");
        link.take_down(Direction::ToClient);
        client.write_all(b"x").await.unwrap();
        assert!(arrives(&mut server, MS).await);
        assert_eq!(link.unhit(), Some(TO_CLIENT_DOWN), "the other way is not it");
        server.write_all(b"y").await.unwrap();
        assert!(!arrives(&mut client, MS).await);
        assert_eq!(link.unhit(), None);

        let nobodys = Link::default();
        nobodys.lose_connections();
        nobodys.mend();
        assert_eq!(nobodys.unhit(), Some(LOST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_gets_what_it_is_sent_at_its_own_rate() {
        let (link, mut client, mut server) = connected();
        link.slow_down(2_560);
        server.write_all(b"x").await.unwrap();
        assert!(!arrives(&mut client, 99 * MS).await);
        assert!(arrives(&mut client, 2 * MS).await);
        client.write_all(b"y").await.unwrap();
        assert!(arrives(&mut server, MS).await);
    }
}
