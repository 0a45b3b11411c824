//! The one place that reads a clock.

use crate::model::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Where time comes from. Monotonic as long as the machine's own clock is.
pub trait Source: Send + Sync {
    /// The present, before any offset.
    fn now(&self) -> Timestamp;

    /// Whether it is a paused runtime's ([`Clock::is_virtual`]).
    fn is_virtual(&self) -> bool {
        false
    }
}

/// The machine's clock.
struct System;

impl Source for System {
    #[allow(clippy::disallowed_methods, reason = "the one place that owns real time")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

/// tokio's clock, which stands still or jumps in a paused runtime.
struct Virtual {
    epoch: Timestamp,
    origin: tokio::time::Instant,
}

impl Source for Virtual {
    fn now(&self) -> Timestamp {
        let elapsed = tokio::time::Instant::now().saturating_duration_since(self.origin);
        self.epoch.plus(elapsed)
    }

    fn is_virtual(&self) -> bool {
        true
    }
}

/// Another clock, set wrong.
struct Skewed {
    right: Clock,
    micros: i64,
}

impl Source for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.right.now().micros().saturating_add(self.micros))
    }

    fn is_virtual(&self) -> bool {
        self.right.is_virtual()
    }
}

/// The fake's clock: a source of time plus an offset that only grows.
///
/// Cloning shares the offset.
#[derive(Clone)]
pub struct Clock {
    source: Arc<dyn Source>,
    offset_micros: Arc<AtomicI64>,
}

/// The end of what RFC 3339 can write, and of the fake's clock.
const END: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// The fake's clock cannot go past the year 9999.
#[derive(Debug, thiserror::Error)]
#[error("the clock ends with the year 9999; it is {now}")]
pub struct EndOfTimeError {
    now: Timestamp,
}

/// The fake's clock cannot be set back, or past its end.
#[derive(Debug, thiserror::Error)]
#[error(
    "the clock cannot be set back: it is {now}, asked for {wanted}; restart the fake with --start-time instead"
)]
pub struct BackwardsError {
    now: Timestamp,
    wanted: Timestamp,
}

impl Clock {
    /// Real time.
    pub fn real() -> Self {
        Self::from_source(Arc::new(System))
    }

    /// Real time, shifted so that it reads `start` now.
    pub fn real_from(start: Timestamp) -> Self {
        let clock = Self::real();
        let shift = start.micros() - clock.now().micros();
        clock.offset_micros.store(shift, Ordering::SeqCst);
        clock
    }

    /// Virtual time: `start` now, then as the surrounding (paused) tokio runtime's clock.
    pub fn virtual_from(start: Timestamp) -> Self {
        Self::from_source(Arc::new(Virtual { epoch: start, origin: tokio::time::Instant::now() }))
    }

    /// A clock over any source.
    pub fn from_source(source: Arc<dyn Source>) -> Self {
        Self { source, offset_micros: Arc::new(AtomicI64::new(0)) }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(
            self.source.now().micros().saturating_add(self.offset_micros.load(Ordering::SeqCst)),
        )
    }

    /// Whether time stands still or jumps as a paused runtime says: a simulation, all of whose ends
    /// are in this process.
    pub fn is_virtual(&self) -> bool {
        self.source.is_virtual()
    }

    /// A clock that is always this much ahead of this one: somebody else's, set wrong.
    pub fn ahead_by(&self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self::from_source(Arc::new(Skewed { right: self.clone(), micros }))
    }

    /// A clock that is always this much behind this one.
    pub fn behind_by(&self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self::from_source(Arc::new(Skewed { right: self.clone(), micros: -micros }))
    }

    /// Moves the clock forward.
    ///
    /// # Errors
    /// It would go past the year 9999.
    pub fn advance(&self, by: Duration) -> Result<(), EndOfTimeError> {
        let now = self.now();
        if now.plus(by) > END {
            return Err(EndOfTimeError { now });
        }
        let micros = i64::try_from(by.as_micros()).unwrap_or_default();
        self.offset_micros.fetch_add(micros, Ordering::SeqCst);
        Ok(())
    }

    /// Sets the clock to a later moment.
    ///
    /// # Errors
    /// `wanted` lies in the past.
    pub fn set(&self, wanted: Timestamp) -> Result<(), BackwardsError> {
        let now = self.now();
        if wanted < now || wanted > END {
            return Err(BackwardsError { now, wanted });
        }
        self.offset_micros.fetch_add(wanted.micros() - now.micros(), Ordering::SeqCst);
        Ok(())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish()
    }
}

impl rustls::time_provider::TimeProvider for Clock {
    /// Certificates are judged by the fake's clock, never by the machine's.
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        let seconds = u64::try_from(self.now().micros().div_euclid(1_000_000)).ok()?;
        Some(rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
