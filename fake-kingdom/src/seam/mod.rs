//! All that touches the outside: time, randomness and transport.

pub mod clock;
pub mod entropy;
pub mod transport;
