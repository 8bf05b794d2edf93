//! When ticks are due. A node's matches of one rate tick in few groups, all matches of a group at one moment: what a tick
//! needs in the caches serves the next one too, and the store is woken once for all. A tick that comes late is late; ticks
//! that would come a whole period late are skipped and counted: a node that was stopped never bursts. Ticks of a match at
//! rest may wait, and are then made late on purpose: none of them is skipped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tickcast_protocol::TickRate;

/// Groups of matches of one rate, spread evenly over their period. With fewer, whoever comes last in a group waits longer;
/// with more, an update costs more (docs/performance.md has both).
const GROUPS: usize = 4;

/// What a node's matches count their ticks from, and how many there are in each group of a rate.
#[derive(Debug)]
pub struct Beat {
    start: Instant,
    /// By the rate's Hz.
    groups: Mutex<BTreeMap<u8, [usize; GROUPS]>>,
}

impl Beat {
    /// That of a node without matches.
    pub fn new(start: Instant) -> Beat {
        Beat { start, groups: Mutex::default() }
    }

    /// Puts one match more into the smallest group of its rate: the group is late by as much as its matches take.
    fn enter(&self, rate: TickRate) -> usize {
        let mut groups = self.lock();
        let sizes = groups.entry(rate.hz()).or_default();
        let smallest = (0..GROUPS).min_by_key(|group| sizes[*group]).unwrap_or_default();
        sizes[smallest] += 1;
        smallest
    }

    fn leave(&self, rate: TickRate, group: usize) {
        let mut groups = self.lock();
        if let Some(sizes) = groups.get_mut(&rate.hz()) {
            sizes[group] -= 1;
            if sizes.iter().all(|matches| *matches == 0) {
                groups.remove(&rate.hz());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u8, [usize; GROUPS]>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The schedule of one match, which stands in its group as long as this lives.
#[derive(Debug)]
pub struct Pacer {
    beat: Arc<Beat>,
    rate: TickRate,
    group: usize,
    /// When the next tick is due.
    due: Instant,
    /// Ticks from that one on that may wait.
    waiting: u32,
    /// Ticks from that one on that have waited, and come first.
    owed: u32,
}

/// A tick that begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Begun {
    /// It has waited, and was due before what was said since.
    Late,
    /// It is due.
    Due {
        /// Ticks before it that are left out.
        skipped: u64,
    },
}

impl Pacer {
    /// The first tick is due within one period, when its group's is.
    pub fn new(now: Instant, rate: TickRate, beat: &Arc<Beat>) -> Pacer {
        let group = beat.enter(rate);
        let period = rate.period();
        let first = beat.start + period * group as u32 / GROUPS as u32;
        let gone = now.saturating_duration_since(first).as_nanos().next_multiple_of(period.as_nanos());
        Pacer {
            beat: Arc::clone(beat),
            rate,
            group,
            due: first + Duration::from_nanos(gone as u64),
            waiting: 0,
            owed: 0,
        }
    }

    /// When the next tick is to be made.
    pub fn due(&self) -> Instant {
        self.due + self.rate.period() * self.waiting
    }

    /// Lets so many of the next ticks wait for the one behind them, until [`Pacer::rouse`].
    pub fn rest(&mut self, ticks: u32) {
        self.waiting = ticks;
    }

    /// Whether ticks may wait.
    pub fn is_resting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether ticks that have waited are to be made first, before anything that is said is taken in.
    pub fn is_behind(&self) -> bool {
        self.owed > 0
    }

    /// Ends a rest: those of its ticks that are due by now are to be made, and those behind them are due as ever.
    pub fn rouse(&mut self, now: Instant) {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting > 0 && now >= self.due {
            self.owed = waiting.min((self.late(now) + 1) as u32);
        }
    }

    /// A tick begins at `now`: sets the next one's time.
    pub fn handle_tick(&mut self, now: Instant) -> Begun {
        self.rouse(now);
        if self.owed > 0 {
            self.owed -= 1;
            self.due += self.rate.period();
            return Begun::Late;
        }
        let skipped = self.late(now);
        self.due += self.rate.period() * (skipped as u32 + 1);
        Begun::Due { skipped }
    }

    /// By how many whole periods the next tick is late.
    fn late(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.due).as_nanos() / self.rate.period().as_nanos()) as u64
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.beat.leave(self.rate, self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    const ON_TIME: Begun = Begun::Due { skipped: 0 };

    fn rate(hz: u64) -> TickRate {
        TickRate::try_from(hz).expect("a rate")
    }

    #[test]
    fn late_ticks_are_skipped_never_bursted() {
        let start = clock::now();
        let mut pacer = Pacer::new(start, rate(20), &Arc::new(Beat::new(start)));
        let (first, period) = (pacer.due(), rate(20).period());
        assert_eq!(pacer.handle_tick(first), ON_TIME);
        assert_eq!(pacer.due(), first + period);
        // A little late: the beat is kept.
        assert_eq!(pacer.handle_tick(pacer.due() + Duration::from_millis(20)), ON_TIME);
        assert_eq!(pacer.due(), first + period * 2);
        // Stopped for a second: one tick, then the beat again.
        assert_eq!(pacer.handle_tick(pacer.due() + Duration::from_millis(1010)), Begun::Due { skipped: 20 });
        assert_eq!(pacer.due(), first + period * 23);
    }

    /// What begins at `now`, for as long as something is due.
    fn begun(pacer: &mut Pacer, now: Instant) -> Vec<Begun> {
        std::iter::from_fn(|| (pacer.due() <= now).then(|| pacer.handle_tick(now))).collect()
    }

    fn begun_when_due(pacer: &mut Pacer) -> Vec<Begun> {
        let due = pacer.due();
        begun(pacer, due)
    }

    #[test]
    fn a_rest_leaves_no_tick_out_and_keeps_the_beat() {
        let start = clock::now();
        let mut pacer = Pacer::new(start, rate(20), &Arc::new(Beat::new(start)));
        let (first, period) = (pacer.due(), rate(20).period());
        pacer.rest(4);
        assert!(pacer.is_resting() && pacer.due() == first + period * 4);
        // At its end: all that waited, and the tick that is due.
        assert_eq!(begun_when_due(&mut pacer), [Begun::Late, Begun::Late, Begun::Late, Begun::Late, ON_TIME]);
        assert_eq!((pacer.due(), pacer.is_resting()), (first + period * 5, false));
        // Before its end: those that have come due, and no other.
        pacer.rest(4);
        let said = first + period * 6 + period / 2;
        pacer.rouse(said);
        assert!(pacer.is_behind());
        assert_eq!(begun(&mut pacer, said), [Begun::Late, Begun::Late]);
        assert_eq!((pacer.due(), pacer.is_behind()), (first + period * 7, false));
        // Before any is due.
        pacer.rest(4);
        pacer.rouse(first + period * 7 - period / 4);
        assert_eq!((pacer.due(), pacer.is_behind()), (first + period * 7, false));
        assert_eq!(begun_when_due(&mut pacer), [ON_TIME]);
        // Stopped meanwhile: what was to wait is made, what would have come behind it is left out.
        pacer.rest(2);
        let stopped = pacer.due() + period * 7;
        assert_eq!(begun(&mut pacer, stopped), [Begun::Late, Begun::Late, Begun::Due { skipped: 7 }]);
        assert_eq!(pacer.due(), stopped + period);
    }

    #[test]
    fn matches_tick_in_groups_of_one_size_whenever_they_began() {
        let start = clock::now();
        let beat = Arc::new(Beat::new(start));
        for hz in [10u64, 20, 30, 60] {
            let (rate, mut pacers) = (rate(hz), Vec::new());
            for number in 0..403u32 {
                let now = start + Duration::from_micros(u64::from(number) * 7_919);
                let mut pacer = Pacer::new(now, rate, &beat);
                assert!(pacer.due() >= now && pacer.due() <= now + rate.period(), "within one period");
                (0..number % 7).for_each(|_| assert_eq!(pacer.handle_tick(pacer.due()), ON_TIME));
                pacers.push(pacer);
            }
            let mut moments = BTreeMap::<u128, usize>::new();
            for pacer in &pacers {
                *moments.entry((pacer.due() - start).as_nanos() % rate.period().as_nanos()).or_default() += 1;
            }
            assert_eq!(moments.into_values().collect::<Vec<_>>(), [101, 101, 101, 100], "at {hz} Hz");
        }
    }

    #[test]
    fn a_new_match_takes_the_place_of_one_that_ended() {
        let start = clock::now();
        let beat = Arc::new(Beat::new(start));
        let mut pacers: Vec<_> = (0..8).map(|_| Pacer::new(start, rate(20), &beat)).collect();
        let groups: Vec<_> = pacers.iter().map(|pacer| pacer.group).collect();
        assert_eq!(groups, [0, 1, 2, 3, 0, 1, 2, 3]);
        pacers.retain(|pacer| pacer.group != 2);
        assert_eq!([(); 2].map(|()| Pacer::new(start, rate(20), &beat)).map(|pacer| pacer.group), [2, 2]);
        drop(pacers);
        assert!(beat.lock().is_empty(), "nothing is kept of a rate that nobody ticks at");
    }
}
