//! Work that comes in turns and takes no more than a share of a thread's time: what others are due for is not to wait
//! until a flood has been answered.

use std::time::{Duration, Instant};

/// Shorter rests are not worth a timer: they are saved up.
const REST_MIN: Duration = Duration::from_millis(1);
/// Longest rest: a turn that took long did so because others had theirs within it.
const REST_MAX: Duration = Duration::from_millis(10);

/// One part of so many.
#[derive(Debug)]
pub struct Share {
    parts: u32,
    /// When what was taken so far is no more than the share.
    paid: Instant,
}

impl Share {
    /// A turn may take one of so many parts of the time.
    pub fn new(now: Instant, parts: u32) -> Share {
        Share { parts, paid: now }
    }

    /// A turn was taken. Until when to rest before the next one, if at all.
    pub fn handle_turn(&mut self, begun: Instant, ended: Instant) -> Option<Instant> {
        let took = ended.saturating_duration_since(begun);
        self.paid = (self.paid.max(begun) + took * self.parts).min(ended + REST_MAX);
        (self.paid >= ended + REST_MIN).then_some(self.paid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    const fn us(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    #[test]
    fn a_flood_takes_its_share_and_no_more() {
        let start = clock::now();
        let mut share = Share::new(start, 4);
        let (mut now, mut worked) = (start, Duration::ZERO);
        while now < start + Duration::from_secs(1) {
            let ended = now + us(300);
            worked += us(300);
            let rest = share.handle_turn(now, ended);
            assert!(rest.is_none_or(|until| (ended + REST_MIN..=ended + REST_MAX).contains(&until)));
            now = rest.unwrap_or(ended);
        }
        assert!((us(245_000)..us(255_000)).contains(&worked), "{worked:?} of a second");
    }

    #[test]
    fn who_comes_now_and_then_never_waits() {
        let start = clock::now();
        let mut share = Share::new(start, 4);
        let turn = |number: u32| start + us(400) * number;
        assert!((0..1000).all(|number| share.handle_turn(turn(number), turn(number) + us(100)).is_none()));
    }

    #[test]
    fn a_turn_in_which_others_took_long_is_not_paid_for_without_end() {
        let start = clock::now();
        let mut share = Share::new(start, 4);
        let ended = start + Duration::from_secs(2);
        assert_eq!(share.handle_turn(start, ended), Some(ended + REST_MAX));
    }
}
