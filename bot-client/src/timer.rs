//! When an input was due. A player acts on a timer, whatever the network does; a bot that only answers updates
//! would ask nothing while the server is silent and so never see its worst moments (coordinated omission). This
//! timer runs at the tick rate, follows the phase in which updates arrive, and tells for each input the moment
//! from which its latency counts.

use std::time::Duration;

/// Inputs after which the timer takes over the updates' phase, where it was ahead all along.
const LOCK_EVERY: u32 = 64;
/// Timer periods that one input stands for at most.
const SLOTS_MAX: u32 = 100_000;

/// The moments of the timer that one input answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The first of them.
    pub at: Duration,
    /// How many; each is a period after the one before.
    pub slots: u32,
    /// The period.
    pub period: Duration,
}

impl Due {
    /// The latencies of an input that had its effect at `now`: one for each moment it answers.
    pub fn latencies(self, now: Duration) -> impl Iterator<Item = Duration> {
        let since = now.saturating_sub(self.at);
        (0..self.slots).map(move |slot| since.saturating_sub(self.period * slot))
    }
}

/// A player's timer.
#[derive(Debug, Clone)]
pub struct InputTimer {
    period: Duration,
    next: Option<Duration>,
    least_late: Duration,
    sends: u32,
}

impl InputTimer {
    /// A timer of this period, which is not zero.
    pub fn new(period: Duration) -> InputTimer {
        assert!(!period.is_zero(), "a tick rate has a period");
        InputTimer { period, next: None, least_late: Duration::MAX, sends: 0 }
    }

    /// An input is sent at `now`: which moments of the timer it answers.
    pub fn handle_send(&mut self, now: Duration) -> Due {
        let period = self.period;
        let next = self.next.unwrap_or(now);
        let (due, next) = if now < next {
            // The updates' phase is earlier than the timer's, or this is one of several updates at once.
            let early = next - now;
            let stays = early * 2 > period;
            self.least_late = Duration::ZERO;
            (Due { at: now, slots: 1, period }, if stays { next } else { now + period })
        } else {
            let late = now - next;
            let missed = (late.as_nanos() / period.as_nanos()).min(u128::from(SLOTS_MAX - 1)) as u32;
            self.least_late = self.least_late.min(late - period * missed);
            (Due { at: next, slots: missed + 1, period }, next + period * (missed + 1))
        };
        self.next = Some(next);
        self.sends += 1;
        if self.sends == LOCK_EVERY {
            self.next = Some(next + self.least_late);
            self.least_late = Duration::MAX;
            self.sends = 0;
        }
        due
    }

    /// Nothing was to be answered until now, for nothing happened.
    pub fn handle_quiet(&mut self, now: Duration) {
        self.next = self.next.map(|next| next.max(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_late_update_does_not_make_its_input_due_later() {
        let mut timer = InputTimer::new(PERIOD);
        assert_eq!(timer.handle_send(ms(100)), Due { at: ms(100), slots: 1, period: PERIOD });
        assert_eq!(timer.handle_send(ms(114)), Due { at: ms(110), slots: 1, period: PERIOD });
        assert_eq!(timer.handle_send(ms(120)), Due { at: ms(120), slots: 1, period: PERIOD });
    }

    #[test]
    fn silence_counts_as_every_input_that_would_have_been_sent() {
        let mut timer = InputTimer::new(PERIOD);
        timer.handle_send(ms(100));
        let due = timer.handle_send(ms(143));
        assert_eq!(due, Due { at: ms(110), slots: 4, period: PERIOD });
        assert_eq!(due.latencies(ms(150)).collect::<Vec<_>>(), [ms(40), ms(30), ms(20), ms(10)]);
        // What follows at once makes up for lost ticks: it is due now, and the timer goes on as it went.
        assert_eq!(timer.handle_send(ms(144)), Due { at: ms(144), slots: 1, period: PERIOD });
        assert_eq!(timer.handle_send(ms(150)), Due { at: ms(150), slots: 1, period: PERIOD });
    }

    #[test]
    fn quiet_is_no_silence() {
        let mut timer = InputTimer::new(PERIOD);
        timer.handle_send(ms(100));
        timer.handle_quiet(ms(143));
        assert_eq!(timer.handle_send(ms(143)), Due { at: ms(143), slots: 1, period: PERIOD });
        timer.handle_quiet(ms(143));
        assert_eq!(timer.handle_send(ms(155)).at, ms(153), "the next one is as due as it was");
    }

    #[test]
    fn the_timer_follows_the_phase_of_the_updates() {
        let mut timer = InputTimer::new(PERIOD);
        timer.handle_send(ms(100));
        assert_eq!(timer.handle_send(ms(107)).at, ms(107), "earlier: at once");
        let mut now = ms(107);
        for _ in 0..2 * LOCK_EVERY {
            // The server's clock is a little slower than ours.
            now += PERIOD + Duration::from_micros(10);
            timer.handle_send(now);
        }
        now += PERIOD;
        let late = now - timer.handle_send(now).at;
        assert!(late < ms(1), "later: within two rounds, but {late:?} remain");
    }
}
