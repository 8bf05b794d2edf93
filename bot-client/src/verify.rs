//! The check that all clients of a match hold the same state at the same tick; of a match in segments, in each segment that
//! several of them have. Bounded: only the newest ticks are kept, and a client that is further behind is not compared.

use std::collections::BTreeMap;

use tickcast_protocol::{Fence, Position, Replica, SegmentId, Tick};

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
    Different,
    /// The tick is not kept any more.
    TooLate,
}

/// What a client holds: hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Of everything.
    Whole(u32),
    /// Of each segment that it gets.
    Segments(Vec<(SegmentId, u32)>),
}

impl Held {
    /// What a replica holds.
    pub fn by(replica: &Replica) -> Held {
        match replica.segments() {
            None => Held::Whole(replica.world().hash()),
            Some(segments) => Held::Segments(segments.iter().map(|(id, world)| (id, world.hash())).collect()),
        }
    }
}

/// The states of one match, as its clients report them.
#[derive(Debug, Default)]
pub struct StateCheck {
    // A match that was set back repeats its tick numbers under another owner: states of different owners are
    // not compared.
    ticks: BTreeMap<Tick, Vec<OfOwner>>,
}

/// What was the first to be told of each segment, under an ownership; of a whole match that is one.
type OfOwner = (Fence, BTreeMap<SegmentId, u32>);

impl StateCheck {
    /// A client is at this position and holds this.
    pub fn handle_state(&mut self, position: Position, held: &Held) -> Comparison {
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
        let known = owners.iter().position(|(fence, _)| *fence == position.fence);
        let owner = match known {
            Some(owner) => owner,
            None if owners.len() == OWNERS_PER_TICK_MAX => return Comparison::TooLate,
            None => {
                owners.push((position.fence, BTreeMap::new()));
                owners.len() - 1
            }
        };
        let first = &mut owners[owner].1;
        let mut comparison = Comparison::First;
        let mut compare = |segment, hash| {
            let before = *first.entry(segment).or_insert(hash);
            if before != hash {
                comparison = Comparison::Different;
            } else if known.is_some() && comparison == Comparison::First {
                comparison = Comparison::Equal;
            }
        };
        match held {
            Held::Whole(hash) => compare(SegmentId::EVERYONE, *hash),
            Held::Segments(hashes) => hashes.iter().for_each(|(segment, hash)| compare(*segment, *hash)),
        }
        comparison
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
        assert_eq!(check.handle_state(at(1, 5), &Held::Whole(77)), Comparison::First);
        assert_eq!(check.handle_state(at(1, 6), &Held::Whole(78)), Comparison::First);
        assert_eq!(check.handle_state(at(1, 5), &Held::Whole(77)), Comparison::Equal);
        assert_eq!(check.handle_state(at(1, 6), &Held::Whole(99)), Comparison::Different);
    }

    #[test]
    fn of_a_match_in_segments_those_are_compared_that_several_have() {
        let mut check = StateCheck::default();
        let held = |hashes: &[(u16, u32)]| {
            Held::Segments(hashes.iter().map(|(segment, hash)| (SegmentId(*segment), *hash)).collect())
        };
        assert_eq!(check.handle_state(at(1, 5), &held(&[(0, 7), (3, 8)])), Comparison::First);
        assert_eq!(check.handle_state(at(1, 5), &held(&[(0, 7), (4, 9)])), Comparison::Equal);
        assert_eq!(check.handle_state(at(1, 5), &held(&[(0, 7), (3, 9)])), Comparison::Different);
        assert_eq!(check.handle_state(at(1, 5), &held(&[(0, 7), (4, 8)])), Comparison::Different);
    }

    #[test]
    fn a_repeated_tick_of_another_owner_is_another_state() {
        let mut check = StateCheck::default();
        check.handle_state(at(1, 5), &Held::Whole(77));
        assert_eq!(check.handle_state(at(2, 5), &Held::Whole(80)), Comparison::First);
        assert_eq!(check.handle_state(at(2, 5), &Held::Whole(80)), Comparison::Equal);
        assert_eq!(check.handle_state(at(1, 5), &Held::Whole(77)), Comparison::Equal);
    }

    #[test]
    fn memory_stays_bounded() {
        let mut check = StateCheck::default();
        for tick in 0..3 * TICKS_KEPT {
            check.handle_state(at(1, tick), &Held::Whole(0));
        }
        assert_eq!(check.ticks_kept() as u64, TICKS_KEPT);
        assert_eq!(check.handle_state(at(1, 2 * TICKS_KEPT - 1), &Held::Whole(1)), Comparison::TooLate);
        assert_eq!(check.handle_state(at(1, 2 * TICKS_KEPT), &Held::Whole(0)), Comparison::Equal);
        check.handle_state(at(1, u64::MAX), &Held::Whole(0));
        assert_eq!(check.ticks_kept(), 1, "a jump forward forgets what is behind");
        for owner in 2..20 {
            check.handle_state(at(owner, u64::MAX), &Held::Whole(0));
        }
        assert_eq!(check.handle_state(at(20, u64::MAX), &Held::Whole(0)), Comparison::TooLate);
    }
}
