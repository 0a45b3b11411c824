//! A gRPC client for any method of any service, over one connection that it never reopens itself.
//!
//! Not tonic's: its channel redials, and turns refused handshakes into statuses that look like a
//! server's answer (rust-notes.md section 1). Here a status is one that a server sent.

pub mod dynamic;
mod link;
mod status;
mod tls;
mod wire;

pub use link::{Direction, Link};
pub use status::{ErrorInfo, Status, code_name};
pub use tls::{Answering, Credential, Security, TlsOptions};
pub use wire::{Caller, Connection, Outcome, Request, StreamCall, TransportError};
