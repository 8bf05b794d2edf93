//! The only reader of clocks: everything else gets `now` as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock. Goes through tokio's, so that a test can pause it.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The wall clock, milliseconds since 1970: for people and for relays to measure by, never for decisions.
pub fn unix_ms() -> u64 {
    unix_us() / 1000
}

/// The same in microseconds, for histories.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
