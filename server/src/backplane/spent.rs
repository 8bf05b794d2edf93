//! The tickets that were used in a single process, each for as long as it would be good. Bounded: where there is no room
//! for one more, nobody can show one.

use std::collections::BTreeSet;

use tickcast_protocol::ticket::TicketId;

/// Used tickets that are remembered at once; at one hour's life each, 27 joins per second.
pub const SPENT_MAX: usize = 100_000;

/// The used tickets.
#[derive(Debug, Default)]
pub struct Spent {
    ids: BTreeSet<TicketId>,
    /// The same by when they are forgotten.
    ends: BTreeSet<(u64, TicketId)>,
}

impl Spent {
    /// Uses a ticket up until a time; `Some(false)` if it was used before, `None` if there is no room.
    pub fn spend(&mut self, id: TicketId, until_ms: u64, now_ms: u64) -> Option<bool> {
        while let Some((_, id)) = self.ends.first().copied().filter(|(end, _)| *end <= now_ms) {
            self.ends.pop_first();
            self.ids.remove(&id);
        }
        if self.ids.contains(&id) {
            return Some(false);
        }
        if self.ids.len() >= SPENT_MAX {
            return None;
        }
        self.ids.insert(id);
        self.ends.insert((until_ms, id));
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> TicketId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        TicketId(bytes)
    }

    #[test]
    fn a_ticket_is_used_once_and_forgotten_when_it_is_no_good() {
        let mut spent = Spent::default();
        assert_eq!(spent.spend(id(1), 100, 50), Some(true));
        assert_eq!(spent.spend(id(1), 100, 99), Some(false));
        assert_eq!(spent.spend(id(2), 300, 99), Some(true));
        assert_eq!(spent.spend(id(1), 200, 100), Some(true), "it had been forgotten");
        assert_eq!(spent.spend(id(2), 300, 250), Some(false));
        assert_eq!((spent.ids.len(), spent.ends.len()), (1, 1));
    }

    #[test]
    fn where_there_is_no_room_nothing_is_taken_until_there_is() {
        let mut spent = Spent::default();
        for number in 0..SPENT_MAX as u32 {
            assert_eq!(spent.spend(id(number), 100 + u64::from(number), 0), Some(true));
        }
        assert_eq!(spent.spend(id(u32::MAX), 100, 0), None);
        assert_eq!(spent.spend(id(7), 100, 0), Some(false));
        assert_eq!(spent.spend(id(u32::MAX), 200, 100), Some(true));
    }
}
