//! The clock of the load and of the floor.

use std::time::Instant;

/// Now.
#[expect(clippy::disallowed_methods, reason = "time is what is measured here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
