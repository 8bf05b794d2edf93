//! When a node that follows a match asks for its ownership, and when it finds itself deaf. Silence proves nothing:
//! the store judges the lease. After trouble with the store everybody waits a whole lease again, so that the
//! living owners are first.

use std::time::{Duration, Instant};

/// Answers that the match is owned, by whomever, while nothing is heard of it, after which this node counts itself as
/// deaf.
const HELD_WHILE_SILENT_MAX: u32 = 2;

/// What an answer to a claim means for the one who asked in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Wait on.
    Waiting,
    /// If the owner commits, nothing is heard of it: the subscription is to be made anew.
    Deaf,
}

/// Listens for the silence of one match.
#[derive(Debug, Clone)]
pub struct Watch {
    lease: Duration,
    jitter: Duration,
    due: Instant,
    held: u32,
}

impl Watch {
    /// A watch that begins now. The jitter, of this node and match, keeps nodes from asking all at once.
    pub fn new(now: Instant, lease: Duration, jitter: Duration) -> Watch {
        Watch { lease, jitter, due: now + lease + jitter, held: 0 }
    }

    /// When the match is to be claimed, if nothing happens.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// A tick was heard.
    pub fn handle_tick(&mut self, now: Instant) {
        self.held = 0;
        self.due = now + self.lease + self.jitter;
    }

    /// The store did not answer, or our connection to it was renewed.
    pub fn handle_trouble(&mut self, now: Instant) {
        self.due = now + self.lease + self.jitter;
    }

    /// The match was claimed, or a claim is under way.
    pub fn handle_claimed(&mut self, now: Instant) {
        self.handle_trouble(now);
    }

    /// This node owns the match itself. If it goes on hearing nothing, it commits ticks and is deaf to them.
    pub fn handle_ours(&mut self, now: Instant) -> Silence {
        self.handle_held(now, self.lease)
    }

    /// The match is owned for at least this long, says the store, by somebody else.
    pub fn handle_held(&mut self, now: Instant, left: Duration) -> Silence {
        self.due = now + left + self.jitter;
        self.held += 1;
        if self.held < HELD_WHILE_SILENT_MAX {
            return Silence::Waiting;
        }
        self.held = 0;
        Silence::Deaf
    }

    /// The match may tick unheard, or what it ticked just now may be on its way: asked again in a moment, it is clear.
    pub fn handle_suspicion(&mut self, now: Instant) {
        self.held = HELD_WHILE_SILENT_MAX - 1;
        self.due = now + self.lease / 4;
    }

    /// A claim had to wait for its turn.
    pub fn handle_deferred(&mut self, now: Instant) {
        self.due = now + self.jitter + self.lease / 10;
    }

    /// The owner gave the match up.
    pub fn handle_released(&mut self, now: Instant) {
        self.due = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    const LEASE: Duration = Duration::from_millis(1500);
    const JITTER: Duration = Duration::from_millis(40);

    #[test]
    fn silence_of_a_lease_is_a_reason_to_ask() {
        let now = clock::now();
        let mut watch = Watch::new(now, LEASE, JITTER);
        assert_eq!(watch.due(), now + LEASE + JITTER);
        let heard = now + Duration::from_secs(1);
        watch.handle_tick(heard);
        assert_eq!(watch.due(), heard + LEASE + JITTER);
        watch.handle_released(heard);
        assert_eq!(watch.due(), heard);
        let back = now + Duration::from_secs(9);
        watch.handle_trouble(back);
        assert_eq!(watch.due(), back + LEASE + JITTER, "the owner has a lease's time to come back");
    }

    #[test]
    fn an_owner_that_is_not_heard_is_there_and_we_are_deaf() {
        let now = clock::now();
        let mut watch = Watch::new(now, LEASE, JITTER);
        let left = Duration::from_millis(1200);
        assert_eq!(watch.handle_held(now, left), Silence::Waiting);
        assert_eq!(watch.due(), now + left + JITTER);
        assert_eq!(watch.handle_held(now + left, left), Silence::Deaf);
        assert_eq!(watch.handle_held(now + left, left), Silence::Waiting, "once told, it is mended");
        watch.handle_tick(now + left);
        assert_eq!(watch.handle_ours(now + left), Silence::Waiting);
        assert_eq!(watch.due(), now + left + LEASE + JITTER);
        assert_eq!(watch.handle_ours(now + left), Silence::Deaf, "our own ticks are not heard either");
        watch.handle_suspicion(now);
        assert_eq!(watch.due(), now + LEASE / 4);
        assert_eq!(watch.handle_ours(now), Silence::Deaf, "asked once more");
        watch.handle_tick(now + left);
        assert_eq!(watch.handle_held(now + left, left), Silence::Waiting);
    }
}
