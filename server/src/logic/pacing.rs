//! When ticks are due. A node's matches of one rate tick in few groups, all matches of a group at one moment: what a tick
//! needs in the caches serves the next one too, and the store is woken once for all. A tick that comes late is late; ticks
//! that would come a whole period late are skipped and counted: a node that was stopped never bursts.

use std::time::{Duration, Instant};

use tickcast_protocol::{MatchId, TickRate};

/// Groups of matches of one rate, spread evenly over their period. With fewer, whoever comes last in a group waits longer;
/// with more, an update costs more (docs/performance.md has both).
const GROUPS: u32 = 4;

/// The schedule of one match.
#[derive(Debug, Clone)]
pub struct Pacer {
    period: Duration,
    due: Instant,
}

impl Pacer {
    /// The first tick is due within one period; where in it depends on the match's group, and on `beat`, a moment that
    /// all matches of the node count from.
    pub fn new(now: Instant, rate: TickRate, id: &MatchId, beat: Instant) -> Pacer {
        let spread =
            id.as_str().bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let period = rate.period();
        let first = beat + period * (spread % GROUPS) / GROUPS;
        let gone = now.saturating_duration_since(first).as_nanos().next_multiple_of(period.as_nanos());
        Pacer { period, due: first + Duration::from_nanos(gone as u64) }
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::io::clock;

    #[test]
    fn late_ticks_are_skipped_never_bursted() {
        let start = clock::now();
        let rate = TickRate::try_from(20u64).unwrap();
        let mut pacer = Pacer::new(start, rate, &"m".parse().unwrap(), start);
        let first = pacer.due();
        assert_eq!(pacer.handle_tick(first), 0);
        assert_eq!(pacer.due(), first + rate.period());
        // A little late: the beat is kept.
        assert_eq!(pacer.handle_tick(pacer.due() + Duration::from_millis(20)), 0);
        assert_eq!(pacer.due(), first + rate.period() * 2);
        // Stopped for a second: one tick, then the beat again.
        assert_eq!(pacer.handle_tick(pacer.due() + Duration::from_millis(1010)), 20);
        assert_eq!(pacer.due(), first + rate.period() * 23);
    }

    #[test]
    fn matches_tick_in_groups_whenever_they_began() {
        let beat = clock::now();
        for hz in [10u64, 20, 30, 60] {
            let rate = TickRate::try_from(hz).unwrap();
            let mut moments = BTreeMap::<u128, usize>::new();
            for number in 0..400u32 {
                let now = beat + Duration::from_micros(u64::from(number) * 7_919);
                let id = format!("match-{}", number * 37).parse().unwrap();
                let mut pacer = Pacer::new(now, rate, &id, beat);
                assert!(pacer.due() >= now && pacer.due() <= now + rate.period(), "within one period");
                (0..number % 7).for_each(|_| assert_eq!(pacer.handle_tick(pacer.due()), 0));
                let phase = (pacer.due() - beat).as_nanos() % rate.period().as_nanos();
                *moments.entry(phase).or_default() += 1;
            }
            assert_eq!(moments.len(), GROUPS as usize, "at {hz} Hz");
            assert!(moments.values().all(|matches| *matches > 400 / GROUPS as usize / 2), "{moments:?}");
        }
    }
}
