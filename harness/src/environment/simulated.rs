//! Streams in memory and virtual time: no socket, no real clock, one thread a scenario.

use super::in_process::InProcess;
use super::kustomize::Renderer;
use super::{Environment, Setup};
use crate::error::Problem;
use fake_kingdom::model::Timestamp;
use fake_kingdom::seam::transport::Memory;
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
    InProcess::start(setup, Arc::new(Memory::default()), Renderer::Simulation).await
}
