//! The only reader of the clock. Everything else takes `now` as time since the run began.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since the run began.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts at zero.
    pub fn start() -> Clock {
        Clock { origin: instant() }
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        instant().saturating_duration_since(self.origin)
    }

    /// The instant at which [`Clock::now`] is `time`, for a timer.
    pub fn at(&self, time: Duration) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.origin + time)
    }
}

/// The wall clock, microseconds since 1970: for histories and tickets only.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn instant() -> Instant {
    Instant::now()
}
