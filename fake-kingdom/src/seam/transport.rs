//! Streams: TCP or in memory.
