//! When ticks are due. A tick that comes late is late; ticks that would come a whole period late are skipped
//! and counted: a node that was stopped never bursts.

use std::time::{Duration, Instant};

use tickcast_protocol::{MatchId, TickRate};

/// The schedule of one match.
#[derive(Debug, Clone)]
pub struct Pacer {
    period: Duration,
    due: Instant,
}

impl Pacer {
    /// The first tick is due within one period; where in it depends on the match, so that a node's matches
    /// do not all step at the same moment.
    pub fn new(now: Instant, rate: TickRate, id: &MatchId) -> Pacer {
        let spread =
            id.as_str().bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let period = rate.period();
        Pacer { period, due: now + period * (spread % 64) / 64 }
    }

    /// When the next tick is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// A tick has begun at `now`: sets the next one's time, and returns how many were skipped.
    pub fn handle_tick(&mut self, now: Instant) -> u64 {
        let late = now.saturating_duration_since(self.due);
        let missed = (late.as_nanos() / self.period.as_nanos()) as u64;
        self.due += self.period * (missed as u32 + 1);
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    #[test]
    fn late_ticks_are_skipped_never_bursted() {
        let start = clock::now();
        let rate = TickRate::try_from(20u64).unwrap();
        let mut pacer = Pacer::new(start, rate, &"m".parse().unwrap());
        let first = pacer.due();
        assert!(first < start + rate.period());
        assert_eq!(pacer.handle_tick(first), 0);
        assert_eq!(pacer.due(), first + rate.period());
        // A little late: the beat is kept.
        assert_eq!(pacer.handle_tick(pacer.due() + Duration::from_millis(20)), 0);
        assert_eq!(pacer.due(), first + rate.period() * 2);
        // Stopped for a second: one tick, then the beat again.
        assert_eq!(pacer.handle_tick(pacer.due() + Duration::from_millis(1010)), 20);
        assert_eq!(pacer.due(), first + rate.period() * 23);
    }
}
