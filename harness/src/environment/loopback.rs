//! Real TCP on 127.0.0.1 and real time, plus the offset that a scenario may add.

use super::in_process::InProcess;
use super::kustomize::Renderer;
use super::{Environment, Setup};
use crate::error::Problem;
use fake_kingdom::seam::transport::Tcp;
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// One thread with real input and output.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Starts a Kingdom on free ports.
pub(super) async fn start(setup: Setup) -> Result<Box<dyn Environment>, Problem> {
    InProcess::start(setup, Arc::new(Tcp), Renderer::found()).await
}
