//! Fake Kingdom.
