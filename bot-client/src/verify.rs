//! The check that all clients of a match hold the same state at the same tick. Bounded: only the newest ticks
//! are kept, and a client that is further behind is not compared.

use std::collections::BTreeMap;

use tickcast_protocol::{Fence, Position, Tick};

/// Ticks of a match that are kept for comparison.
pub const TICKS_KEPT: u64 = 512;
/// Ownerships told apart at one tick: more are not compared.
const OWNERS_PER_TICK_MAX: usize = 4;

/// What a comparison said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The first to be at this tick: there is nothing to compare with.
    First,
    /// As the first.
    Equal,
    /// Not as the first.
    Different {
        /// The first one's hash.
        first: u32,
    },
    /// The tick is not kept any more.
    TooLate,
}

/// The states of one match, as its clients report them.
#[derive(Debug, Default)]
pub struct StateCheck {
    // A match that was set back repeats its tick numbers under another owner: states of different owners are
    // not compared.
    ticks: BTreeMap<Tick, Vec<(Fence, u32)>>,
}

impl StateCheck {
    /// A client is at this position with this state hash.
    pub fn handle_state(&mut self, position: Position, hash: u32) -> Comparison {
        let newest =
            self.ticks.last_key_value().map_or(position.tick, |(tick, _)| (*tick).max(position.tick));
        let oldest = Tick(newest.0.saturating_sub(TICKS_KEPT - 1));
        if position.tick < oldest {
            return Comparison::TooLate;
        }
        while self.ticks.first_key_value().is_some_and(|(tick, _)| *tick < oldest) {
            self.ticks.pop_first();
        }
        let owners = self.ticks.entry(position.tick).or_default();
        match owners.iter().find(|(fence, _)| *fence == position.fence) {
            Some((_, first)) if *first == hash => Comparison::Equal,
            Some((_, first)) => Comparison::Different { first: *first },
            None if owners.len() == OWNERS_PER_TICK_MAX => Comparison::TooLate,
            None => {
                owners.push((position.fence, hash));
                Comparison::First
            }
        }
    }

    /// Ticks that are kept now; at most [`TICKS_KEPT`].
    pub fn ticks_kept(&self) -> usize {
        self.ticks.len()
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::{Epoch, Nonce};

    use super::*;

    fn at(owner: u64, tick: u64) -> Position {
        Position { fence: Fence { epoch: Epoch(owner), nonce: Nonce(owner) }, tick: Tick(tick) }
    }

    #[test]
    fn states_of_one_tick_are_compared() {
        let mut check = StateCheck::default();
        assert_eq!(check.handle_state(at(1, 5), 77), Comparison::First);
        assert_eq!(check.handle_state(at(1, 6), 78), Comparison::First);
        assert_eq!(check.handle_state(at(1, 5), 77), Comparison::Equal);
        assert_eq!(check.handle_state(at(1, 6), 99), Comparison::Different { first: 78 });
    }

    #[test]
    fn a_repeated_tick_of_another_owner_is_another_state() {
        let mut check = StateCheck::default();
        check.handle_state(at(1, 5), 77);
        assert_eq!(check.handle_state(at(2, 5), 80), Comparison::First);
        assert_eq!(check.handle_state(at(2, 5), 80), Comparison::Equal);
        assert_eq!(check.handle_state(at(1, 5), 77), Comparison::Equal);
    }

    #[test]
    fn memory_stays_bounded() {
        let mut check = StateCheck::default();
        for tick in 0..3 * TICKS_KEPT {
            check.handle_state(at(1, tick), 0);
        }
        assert_eq!(check.ticks_kept() as u64, TICKS_KEPT);
        assert_eq!(check.handle_state(at(1, 2 * TICKS_KEPT - 1), 1), Comparison::TooLate);
        assert_eq!(check.handle_state(at(1, 2 * TICKS_KEPT), 0), Comparison::Equal);
        check.handle_state(at(1, u64::MAX), 0);
        assert_eq!(check.ticks_kept(), 1, "a jump forward forgets what is behind");
        for owner in 2..20 {
            check.handle_state(at(owner, u64::MAX), 0);
        }
        assert_eq!(check.handle_state(at(20, u64::MAX), 0), Comparison::TooLate);
    }
}
