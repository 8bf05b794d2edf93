//! What a node must be able to do to be called healthy: its commits succeed, it hears the ticks of the matches
//! that it follows, the store answers. That a connection is open proves none of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tickcast_protocol::MatchId;

/// Names of matches that an answer lists at most.
const NAMED_MAX: usize = 8;

/// What is wrong with a node now.
#[derive(Debug, Default)]
pub struct Health {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Owned matches whose tick the store has not taken for a while.
    uncommitted: BTreeSet<MatchId>,
    /// Followed matches that tick and are not heard.
    unheard: BTreeSet<MatchId>,
    /// When the store last answered the node's own question.
    answered: Option<Instant>,
}

impl Health {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store has not taken a match's tick for a while.
    pub fn handle_uncommitted(&self, id: &MatchId) {
        self.found().uncommitted.insert(id.clone());
    }

    /// A match's tick was committed, or the match is not owned here any more.
    pub fn handle_committed(&self, id: &MatchId) {
        let mut found = self.found();
        if !found.uncommitted.is_empty() {
            found.uncommitted.remove(id);
        }
    }

    /// A match ticks and is not heard here.
    pub fn handle_unheard(&self, id: &MatchId) {
        self.found().unheard.insert(id.clone());
    }

    /// A match was heard, or is not followed here any more.
    pub fn handle_heard(&self, id: &MatchId) {
        let mut found = self.found();
        if !found.unheard.is_empty() {
            found.unheard.remove(id);
        }
    }

    /// The store answered.
    pub fn handle_answer(&self, now: Instant) {
        self.found().answered = Some(now);
    }

    /// What is wrong, a sentence each; nothing if all is well.
    pub fn complaints(&self, now: Instant, silence_max: Duration) -> Vec<String> {
        let found = self.found();
        let mut complaints = Vec::new();
        let silent = found.answered.is_none_or(|answered| answered + silence_max < now);
        if silent {
            complaints.push(format!("the store has not answered for more than {} s", silence_max.as_secs()));
        }
        for (what, ids) in [("are not committed", &found.uncommitted), ("are not heard", &found.unheard)] {
            if !ids.is_empty() {
                let named: Vec<&str> = ids.iter().take(NAMED_MAX).map(MatchId::as_str).collect();
                let more = if ids.len() > NAMED_MAX { ", ..." } else { "" };
                complaints.push(format!("ticks of {} matches {what}: {}{more}", ids.len(), named.join(", ")));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    #[test]
    fn what_is_wrong_is_said_until_it_is_right() {
        let (now, silence) = (clock::now(), Duration::from_secs(5));
        let health = Health::default();
        assert_eq!(health.complaints(now, silence).len(), 1, "the store has never answered");
        health.handle_answer(now);
        assert_eq!(health.complaints(now + silence, silence), Vec::<String>::new());
        assert_eq!(health.complaints(now + silence * 2, silence).len(), 1);
        let ids: Vec<MatchId> = (10..30).map(|number| format!("m{number}").parse().unwrap()).collect();
        ids.iter().for_each(|id| health.handle_uncommitted(id));
        health.handle_unheard(&ids[0]);
        let complaints = health.complaints(now, silence);
        assert_eq!(complaints.len(), 2);
        assert!(
            complaints[0].contains("20 matches") && complaints[0].ends_with("m17, ..."),
            "{complaints:?}"
        );
        ids.iter().for_each(|id| health.handle_committed(id));
        health.handle_heard(&ids[0]);
        assert!(health.complaints(now, silence).is_empty());
    }
}
