//! What this node saw happen to matches, the newest so many: for people who ask what went on.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tickcast_protocol::MatchId;

/// Events that are kept; the oldest give way.
const EVENTS_KEPT: usize = 4096;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The match was made.
    Created,
    /// It has an owner, after another or none.
    Owned,
    /// Its owner gave it up.
    Released,
    /// Its owner had an order to hand it over.
    HandedOver,
    /// Its owner found that another one owns it.
    Fenced,
    /// Its owner wrote lost ticks back.
    Repaired,
    /// Its last tick is a lower one than before.
    SetBack,
    /// Players were told that ticks they saw are lost.
    Reset,
    /// The game panicked.
    Panicked,
    /// A copy did not have its owner's hash.
    Desync,
    /// It ticked and was not heard.
    Deaf,
    /// Nobody may own it.
    Quarantined,
    /// It may be owned again.
    Revived,
    /// It is gone.
    Ended,
    /// An operator asked for something.
    Order,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Grows by one with each event of this node.
    pub number: u64,
    /// When, milliseconds since 1970 by this node's clock.
    pub at_ms: u64,
    /// To which match; none for a node.
    #[serde(rename = "match")]
    pub id: Option<MatchId>,
    /// What.
    pub what: What,
    /// More of it, for a person.
    pub text: String,
}

/// The events that are kept.
#[derive(Debug, Default)]
pub struct Journal(Mutex<VecDeque<Event>>);

impl Journal {
    /// Takes an event in.
    pub fn note(&self, at_ms: u64, id: Option<&MatchId>, what: What, text: String) {
        let mut events = self.lock();
        let number = events.back().map_or(1, |last| last.number + 1);
        if events.len() == EVENTS_KEPT {
            events.pop_front();
        }
        events.push_back(Event { number, at_ms, id: id.cloned(), what, text });
    }

    /// The newest first, of one match or of all.
    pub fn newest(&self, of: Option<&MatchId>, limit: usize) -> Vec<Event> {
        let events = self.lock();
        let wanted = events.iter().rev().filter(|event| of.is_none() || event.id.as_ref() == of);
        wanted.take(limit).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_those_of_a_match_are_found() {
        let journal = Journal::default();
        let (one, other): (MatchId, MatchId) = ("one".parse().unwrap(), "other".parse().unwrap());
        journal.note(1, Some(&one), What::Created, String::new());
        for at_ms in 2..=EVENTS_KEPT as u64 + 1 {
            journal.note(at_ms, Some(&other), What::Owned, format!("n{at_ms}"));
        }
        assert!(journal.newest(Some(&one), 10).is_empty(), "the oldest gave way");
        let newest = journal.newest(Some(&other), 2);
        let numbers: Vec<u64> = newest.iter().map(|event| event.number).collect();
        assert_eq!(numbers, [EVENTS_KEPT as u64 + 1, EVENTS_KEPT as u64]);
        assert_eq!(journal.newest(None, usize::MAX).len(), EVENTS_KEPT);
    }
}
