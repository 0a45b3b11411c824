//! A contract-exact fake of the Halo Kingdom. Not for production.

pub mod authn;
pub mod cause;
pub mod error;
pub mod model;
pub mod operator;
pub mod public;
pub mod quirk;
pub mod seam;
pub mod settings;
pub mod store;
