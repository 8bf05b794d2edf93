//! When what a relay's players say goes up to the owner: together, just before the tick that applies it. One message
//! a tick costs a store and an owner as much as one input does, and nothing is applied later for it.

use std::time::{Duration, Instant};

/// How long before the owner's next tick a message goes up; at most [`EARLY_PART`] of a tick.
const EARLY: Duration = Duration::from_millis(8);
const EARLY_PART: u32 = 4;
/// Ticks that are heard within this part of a tick came together: neither tells of the beat.
const TOGETHER_PART: u32 = 4;
/// By how much ticks may be heard later than the earliest were, each time, before that is taken for the beat.
const DRIFT: Duration = Duration::from_micros(500);

/// The beat of a match as it is heard here. The earliest tick counts: others were held up on their way.
#[derive(Debug, Clone)]
pub struct Gather {
    period: Duration,
    /// When the last tick was heard.
    heard: Option<Instant>,
    /// When the next tick is heard, at the earliest.
    next: Option<Instant>,
}

impl Gather {
    /// Of a match with this time between two ticks.
    pub fn new(period: Duration) -> Gather {
        Gather { period, heard: None, next: None }
    }

    /// A tick was heard.
    pub fn handle_tick(&mut self, now: Instant) {
        let before = self.heard.replace(now);
        if before.is_some_and(|before| now < before + self.period / TOGETHER_PART) {
            self.next = None;
            return;
        }
        let beat = match self.next {
            // Half a period off is another beat: an owner that skipped ticks, or another one.
            Some(next) if next < now + self.period / 2 && now < next + self.period / 2 => {
                now.min(next + DRIFT)
            }
            _ => now,
        };
        self.next = Some(beat + self.period);
    }

    /// When to send what gathers from now on. Without a beat, or where the tick may be made any moment, at once.
    pub fn due(&self, now: Instant) -> Instant {
        let early = EARLY.min(self.period / EARLY_PART);
        self.next.and_then(|next| next.checked_sub(early)).map_or(now, |due| due.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    const PERIOD: Duration = Duration::from_millis(50);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_gathers_goes_up_just_before_the_tick() {
        let start = clock::now();
        let mut gather = Gather::new(PERIOD);
        assert_eq!(gather.due(start), start, "nothing is known of the beat");
        gather.handle_tick(start);
        assert_eq!(gather.due(start + MS), start + PERIOD - EARLY);
        assert_eq!(gather.due(start + 47 * MS), start + 47 * MS, "the tick is near");
        assert_eq!(gather.due(start + 60 * MS), start + 60 * MS, "the tick is late");
        let mut fast = Gather::new(8 * MS);
        fast.handle_tick(start);
        assert_eq!(fast.due(start), start + 6 * MS, "most of a short tick gathers");
    }

    #[test]
    fn ticks_that_were_held_up_do_not_put_off_what_goes_up() {
        let start = clock::now();
        let mut gather = Gather::new(PERIOD);
        gather.handle_tick(start);
        gather.handle_tick(start + PERIOD + 20 * MS);
        assert_eq!(gather.due(start + 71 * MS), start + 2 * PERIOD + DRIFT - EARLY);
        gather.handle_tick(start + 2 * PERIOD - MS);
        assert_eq!(gather.due(start + 2 * PERIOD), start + 3 * PERIOD - MS - EARLY, "the earliest counts");
        // After a rest or a stall several come at once.
        gather.handle_tick(start + 3 * PERIOD + 20 * MS);
        gather.handle_tick(start + 3 * PERIOD + 21 * MS);
        assert_eq!(
            gather.due(start + 3 * PERIOD + 25 * MS),
            start + 3 * PERIOD + 25 * MS,
            "the beat is unknown"
        );
        gather.handle_tick(start + 4 * PERIOD);
        assert_eq!(gather.due(start + 4 * PERIOD), start + 5 * PERIOD - EARLY, "until one comes alone");
        let other = start + 4 * PERIOD + 30 * MS;
        gather.handle_tick(other);
        assert_eq!(gather.due(other), other + PERIOD - EARLY, "another beat");
    }
}
