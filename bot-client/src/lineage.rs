//! What one bot has seen of its match, over all its connections: whether a state that was shown was later undone.
//! A tick lower than one already seen has one innocent reason: the node of a new connection is behind the last
//! one's. Then it is of an owner that was seen at that very tick, and what was seen comes again.

use std::collections::VecDeque;

use tickcast_protocol::Tick;

/// Owners that are remembered; a node is not behind by more.
const OWNERS_MAX: usize = 16;

/// The owners and ticks that a bot has seen. `O` names an owner: a fence, or the tag of one.
#[derive(Debug)]
pub struct Lineage<O> {
    /// Each owner with the first tick it was seen at.
    owners: VecDeque<(O, Tick)>,
    highest: Option<Tick>,
    /// Ticks that were seen and have not come again yet.
    behind: u64,
}

impl<O: PartialEq + Copy> Lineage<O> {
    /// Nothing seen yet.
    pub fn new() -> Lineage<O> {
        Lineage { owners: VecDeque::new(), highest: None, behind: 0 }
    }

    /// A state of this owner and tick is shown. Returns how many ticks that were seen it undoes.
    pub fn handle_state(&mut self, owner: O, tick: Tick) -> u64 {
        let Some(highest) = self.highest else {
            self.begin(owner, Tick(0), tick);
            return 0;
        };
        if tick < highest {
            let missing = highest.0 - tick.0;
            if self.was_seen(owner, tick) {
                self.behind = missing;
                return 0;
            }
            self.begin(owner, tick, tick);
            return missing;
        }
        self.behind = 0;
        self.highest = Some(tick);
        if self.owners.back().is_some_and(|(last, _)| *last != owner) {
            if self.owners.len() == OWNERS_MAX {
                self.owners.pop_front();
            }
            self.owners.push_back((owner, tick));
        }
        0
    }

    /// The server says that the state is set back: what was seen does not count any more.
    pub fn handle_reset(&mut self) {
        *self = Lineage::new();
    }

    /// Nothing more will be shown. Returns how many ticks that were seen have not come again.
    pub fn handle_end(&mut self) -> u64 {
        std::mem::take(&mut self.behind)
    }

    fn begin(&mut self, owner: O, from: Tick, tick: Tick) {
        self.owners.clear();
        self.owners.push_back((owner, from));
        (self.highest, self.behind) = (Some(tick), 0);
    }

    /// Whether this owner's state of this tick belongs to what was seen. The state at the edge of two owners is both's.
    fn was_seen(&self, owner: O, tick: Tick) -> bool {
        let ends = self.owners.iter().skip(1).map(|(_, first)| *first).chain([Tick(u64::MAX)]);
        let mut spans = self.owners.iter().zip(ends);
        spans.any(|((seen, first), end)| *seen == owner && tick.next() >= *first && tick <= end)
    }
}

impl<O: PartialEq + Copy> Default for Lineage<O> {
    fn default() -> Self {
        Lineage::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these states undo, each as it is shown, and what is missing at the end.
    fn undone(states: &[(u8, u64)]) -> (Vec<u64>, u64) {
        let mut lineage = Lineage::new();
        let each = states.iter().map(|(owner, tick)| lineage.handle_state(*owner, Tick(*tick))).collect();
        (each, lineage.handle_end())
    }

    #[test]
    fn going_on_undoes_nothing() {
        assert_eq!(undone(&[(1, 5), (1, 6), (1, 6), (2, 6), (2, 7), (2, 90)]), (vec![0; 6], 0));
    }

    #[test]
    fn another_owner_at_a_lower_tick_undoes_what_was_seen() {
        assert_eq!(undone(&[(1, 5), (1, 9), (2, 6), (2, 7), (2, 8)]), (vec![0, 0, 3, 0, 0], 0));
        // Counted once for each time, and from what was seen since.
        assert_eq!(undone(&[(1, 9), (2, 6), (2, 8), (3, 7)]), (vec![0, 3, 0, 1], 0));
        // An owner of the past, at a tick that was not its own.
        assert_eq!(undone(&[(1, 5), (2, 7), (2, 12), (1, 10)]), (vec![0, 0, 0, 2], 0));
    }

    #[test]
    fn a_node_that_is_behind_undoes_nothing_if_it_catches_up() {
        assert_eq!(undone(&[(1, 5), (1, 9), (1, 7), (1, 8), (1, 9)]), (vec![0; 5], 0));
        assert_eq!(undone(&[(1, 5), (1, 9), (1, 7), (1, 8)]), (vec![0; 4], 1));
        // Behind over a change of the owner, on either side of its edge.
        assert_eq!(undone(&[(1, 5), (2, 7), (2, 9), (1, 6), (2, 6), (2, 9)]), (vec![0; 6], 0));
    }

    #[test]
    fn a_reset_says_so_itself() {
        let mut lineage = Lineage::default();
        lineage.handle_state(1, Tick(9));
        lineage.handle_reset();
        assert_eq!((lineage.handle_state(2, Tick(4)), lineage.handle_end()), (0, 0));
        assert_eq!(lineage.handle_state(1, Tick(3)), 1, "what is seen after it counts again");
    }

    #[test]
    fn memory_stays_bounded() {
        let mut lineage = Lineage::new();
        assert!((0..100_u64).all(|tick| lineage.handle_state(tick, Tick(tick)) == 0));
        assert_eq!(lineage.owners.len(), OWNERS_MAX);
    }
}
