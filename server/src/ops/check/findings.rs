//! What a check has found: broken guarantees with their place, and what is missing for a proof.

use std::collections::BTreeMap;

use tickcast_protocol::history::Event;

/// Findings of each sort that are kept in full; the rest is counted.
const KEPT_MAX: usize = 20;

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Position among the files.
    pub(super) file: usize,
    /// Number of the line, from 1.
    pub(super) line: u32,
}

/// A guarantee, as `docs/history.md` numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// Nothing is seen before its commit.
    CommitFirst = 1,
    /// One owner for each tick, and no hole.
    OneOwner = 2,
    /// Nothing seen is undone.
    NothingUndone = 3,
    /// The same state everywhere.
    SameState = 4,
    /// Inputs once and in order.
    InputsOnce = 5,
    /// Nothing committed is lost.
    NothingLost = 6,
}

impl Rule {
    /// What it promises.
    pub(super) fn text(self) -> &'static str {
        match self {
            Rule::CommitFirst => "no client sees a tick before its commit",
            Rule::OneOwner => "one owner commits each tick, and ticks have no hole",
            Rule::NothingUndone => "what a client saw is not undone, and nothing is left out",
            Rule::SameState => "every client has the owner's state",
            Rule::InputsOnce => "each input is applied at most once, and in order",
            Rule::NothingLost => "no committed tick is lost over a takeover",
        }
    }
}

/// A broken guarantee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) rule: Rule,
    pub(super) place: Place,
    pub(super) text: String,
}

/// All findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) violations: Vec<Violation>,
    pub(super) violated: BTreeMap<Rule, u64>,
    pub(super) missing: Vec<String>,
    pub(super) missing_count: u64,
    pub(super) events: BTreeMap<&'static str, u64>,
}

impl Findings {
    /// A guarantee is broken.
    pub(super) fn violation(&mut self, rule: Rule, place: Place, text: String) {
        *self.violated.entry(rule).or_default() += 1;
        // The first of each rule tell the most.
        if self.violated[&rule] <= KEPT_MAX as u64 {
            self.violations.push(Violation { rule, place, text });
        }
    }

    /// Something is not known.
    pub(super) fn missing(&mut self, text: String) {
        self.missing_count += 1;
        if self.missing.len() < KEPT_MAX {
            self.missing.push(text);
        }
    }

    pub(super) fn count(&mut self, event: &Event) {
        let name = match event {
            Event::Claimed { .. } => "claimed",
            Event::Committing { .. } => "committing",
            Event::Committed { .. } => "committed",
            Event::Repaired { .. } => "repaired",
            Event::Fenced(_) => "fenced",
            Event::Released(_) => "released",
            Event::Ended(_) => "ended",
            Event::Joined { .. } => "joined",
            Event::Seen { .. } => "seen",
            Event::Sent { .. } => "sent",
            Event::Reset { .. } => "reset",
            Event::Lost { .. } => "lost",
            Event::Closed { .. } => "closed",
        };
        *self.events.entry(name).or_default() += 1;
    }
}
