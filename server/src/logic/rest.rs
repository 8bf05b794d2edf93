//! Matches in which nothing happens. Their ticks are due as ever, and may be made late: an owner lets them wait until one is
//! due whose number ends a rest, or until somebody says something, and then makes all that have come due, one after the
//! other. No tick is left out, and none is another than it would have been. Every node knows by its number which tick of a
//! match at rest came on time, and sends no other one.

use std::time::Duration;

use tickcast_protocol::{Tick, TickRate};

/// Longest time for which an owner lets ticks wait. Whoever counts a match as silent waits for longer.
const REST: Duration = Duration::from_millis(500);
/// So many ticks in a row have to change nothing for the last of them to be still: then the values of the last three ticks,
/// all that prediction knows, were the same before it.
const STILL_TICKS: u32 = 3;

/// Whether a node's matches rest: where clients wait for states and other nodes for ticks for long enough.
pub fn is_allowed(quiet: Duration, lease: Duration) -> bool {
    quiet >= REST && lease >= REST * 2
}

/// Ticks from the end of one rest to the end of the next: a rest ends with a tick whose number this divides.
pub fn span(tick_rate: TickRate) -> u64 {
    REST.as_millis() as u64 * u64::from(tick_rate.hz()) / 1000
}

/// How many ticks behind this one may wait, where nothing is to happen before `until`.
pub fn ticks_to_wait(tick: Tick, until: Tick, span: u64) -> u32 {
    let end = (tick.0 + 1).next_multiple_of(span).min(until.0);
    end.saturating_sub(tick.0 + 1) as u32
}

/// Counts how many ticks in a row have changed nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Still {
    hash: Option<u32>,
    /// Up to [`STILL_TICKS`].
    ticks: u32,
}

impl Still {
    /// Of a state with this hash; whether nothing is moving in it.
    pub fn of(hash: u32, rests: bool) -> Still {
        Still { hash: Some(hash), ticks: if rests { STILL_TICKS } else { 0 } }
    }

    /// Hash of the state after the last tick; `None` before the first.
    pub fn hash(self) -> Option<u32> {
        self.hash
    }

    /// Takes in a tick: the hash of the state that it leads to, and whether there is nothing to tell of it besides.
    pub fn handle_tick(&mut self, hash: u32, tells_nothing: bool) {
        let before = self.hash.replace(hash);
        self.ticks = if tells_nothing && before == Some(hash) { STILL_TICKS.min(self.ticks + 1) } else { 0 };
    }

    /// Whether the last tick was still.
    pub fn is_still(self) -> bool {
        self.ticks == STILL_TICKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_wait_for_the_end_of_the_rest_or_for_what_is_to_happen() {
        let hz = |hz: u64| TickRate::try_from(hz).expect("a rate");
        assert_eq!([10, 20, 30, 60].map(|rate| span(hz(rate))), [5, 10, 15, 30]);
        let waiting = |tick, until| ticks_to_wait(Tick(tick), Tick(until), 5);
        assert_eq!([3, 4, 5, 6, 7, 8, 9, 10].map(|tick| waiting(tick, 1000)), [1, 0, 4, 3, 2, 1, 0, 4]);
        assert_eq!(
            [8, 7, 6, 5, 0].map(|until| waiting(5, until)),
            [2, 1, 0, 0, 0],
            "what is to happen is on time"
        );
    }

    #[test]
    fn three_ticks_that_change_nothing_are_still_and_one_that_does_begins_anew() {
        let mut still = Still::default();
        let mut told = Vec::new();
        for (hash, tells_nothing) in [
            (1, true),
            (1, true),
            (1, true),
            (1, true),
            (1, true),
            (1, false),
            (1, true),
            (2, true),
            (2, true),
        ] {
            still.handle_tick(hash, tells_nothing);
            told.push(still.is_still());
        }
        assert_eq!(told, [false, false, false, true, true, false, false, false, false]);
        let (mut rests, mut moves) = (Still::of(2, true), Still::of(2, false));
        rests.handle_tick(2, true);
        moves.handle_tick(2, true);
        assert!(rests.is_still() && !moves.is_still(), "what was loaded says whether anything moves");
    }

    #[test]
    fn nobody_rests_where_others_would_wonder() {
        let ms = Duration::from_millis;
        let allowed = |quiet, lease| is_allowed(ms(quiet), ms(lease));
        assert!(allowed(500, 1000) && allowed(1000, 1500));
        assert!(!allowed(499, 1500) && !allowed(0, 1500) && !allowed(1000, 999));
    }
}
