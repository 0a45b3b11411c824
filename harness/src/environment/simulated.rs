//! Streams in memory and virtual time: no socket, no real clock, one thread a scenario.

use super::in_process::{Dialler, InProcess};
use super::{Dialled, Environment, Setup};
use crate::error::Problem;
use fake_kingdom::model::Timestamp;
use fake_kingdom::seam::transport::{Memory, Network as _};
use futures::future::LocalBoxFuture;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// When every simulated scenario starts: 2030-01-01T00:00:00Z, far from any real run.
pub const START: Timestamp = Timestamp::from_seconds(1_893_456_000);

/// One thread, paused time, and no input or output that could make virtual time jump.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_time().start_paused(true).build()
}

/// Starts a Kingdom in memory.
pub(super) async fn start(setup: Setup) -> Result<Box<dyn Environment>, Problem> {
    let network = Memory::default();
    let dialler = MemoryDialler { network: network.clone(), dialled: Cell::new(0) };
    InProcess::start(setup, Arc::new(network), dialler).await
}

/// Counts its dials as [`Memory`] does, which names its clients `client:1`, `client:2`, ...
struct MemoryDialler {
    network: Memory,
    dialled: Cell<u64>,
}

impl Dialler for MemoryDialler {
    fn dial<'a>(&'a self, address: &'a str) -> LocalBoxFuture<'a, io::Result<Dialled>> {
        Box::pin(async move {
            self.dialled.set(self.dialled.get() + 1);
            let local = format!("client:{}", self.dialled.get());
            let stream = self.network.connect(address).await?;
            Ok(Dialled { stream, local })
        })
    }
}
