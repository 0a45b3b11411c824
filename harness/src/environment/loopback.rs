//! Real TCP on 127.0.0.1 and real time, plus the offset that a scenario may add.

use super::in_process::{Dialler, InProcess};
use super::{Dialled, Environment, Setup};
use crate::error::Problem;
use fake_kingdom::seam::transport::Tcp;
use futures::future::LocalBoxFuture;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// One thread with real input and output.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Starts a Kingdom on free ports.
pub(super) async fn start(setup: Setup) -> Result<Box<dyn Environment>, Problem> {
    InProcess::start(setup, Arc::new(Tcp), TcpDialler).await
}

struct TcpDialler;

impl Dialler for TcpDialler {
    fn dial<'a>(&'a self, address: &'a str) -> LocalBoxFuture<'a, io::Result<Dialled>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let local = stream.local_addr()?.to_string();
            Ok(Dialled { stream: Box::new(stream), local })
        })
    }
}
