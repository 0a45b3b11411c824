//! A contract-exact fake of the Halo Kingdom. Not for production.

pub mod audit;
pub mod authn;
pub mod cause;
pub mod client;
pub mod control;
pub mod core;
pub mod duchy;
pub mod error;
pub mod event;
pub mod fault;
pub mod files;
pub mod kingdom;
pub mod limiter;
mod memo;
pub mod model;
pub mod operator;
pub mod persist;
mod pipeline;
pub mod public;
pub mod quirk;
pub mod sandbox;
pub mod seam;
pub mod serve;
mod service;
pub mod settings;
pub mod snapshot;
mod status;
pub mod store;
pub mod system;
pub mod tls;

pub use files::Files;
pub use kingdom::{
    Addresses, Builder, Control, DuchyStatus, Kingdom, OpenConnection, Reload, ReplicaStatus,
    StartError,
};
pub use sandbox::Sandbox;
