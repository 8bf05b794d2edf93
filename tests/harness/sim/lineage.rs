//! The history of one match in the store, and what of it a store that lost writes has taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tickcast_protocol::{Fence, PlayerId, Position, Tick};

use super::ledger::Row;

/// A committed tick.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) fence: Fence,
    pub(super) hash: u32,
    pub(super) rows: Rc<Vec<Row>>,
}

/// Ownerships have no order; this is one for maps.
type Key = (u64, u64);

fn key(fence: Fence) -> Key {
    (fence.epoch.0, fence.nonce.0)
}

/// What has been committed of one match.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// What the store holds.
    pub(super) ticks: BTreeMap<Tick, Entry>,
    /// What it held of each ownership, until its living owner writes it back.
    lost: BTreeMap<(Key, Tick), Entry>,
    /// The hash of every state that ever was the match's.
    states: BTreeMap<(Key, Tick), u32>,
    /// The tick that each ownership went on from, and whose it was.
    began: BTreeMap<Key, (Tick, Option<Key>)>,
    /// Every ownership that has committed.
    fences: BTreeSet<Key>,
    /// Players that are or were part of the state.
    pub(super) admitted: BTreeSet<PlayerId>,
    /// An owner that lives, commits, and has only to write back what the store lost.
    pub(super) living: Option<Fence>,
    pub(super) claims: u64,
    /// Ticks were taken back.
    pub(super) set_back: bool,
    /// The match was taken away.
    pub(super) gone: bool,
}

impl Lineage {
    pub(super) fn last(&self) -> Tick {
        self.ticks.last_key_value().map_or(Tick(0), |(tick, _)| *tick)
    }

    pub(super) fn rows(&self) -> Option<&Rc<Vec<Row>>> {
        self.ticks.last_key_value().map(|(_, entry)| &entry.rows)
    }

    pub(super) fn state(&self, at: Position) -> Option<u32> {
        if at.tick == Tick(0) { Some(0) } else { self.states.get(&(key(at.fence), at.tick)).copied() }
    }

    /// A new ownership goes on from the stored state; `false` if one of that name has committed, in whatever history.
    pub(super) fn claim(&mut self, fence: Fence, hash: u32) -> bool {
        self.claims += 1;
        self.states.insert((key(fence), self.last()), hash);
        let before = self.ticks.values().next_back().map(|entry| key(entry.fence));
        self.began.insert(key(fence), (self.last(), before));
        !self.fences.contains(&key(fence))
    }

    /// A tick was written; `false` if it is another one than was written of that name before.
    pub(super) fn commit(&mut self, tick: Tick, entry: Entry) -> bool {
        let hash = entry.hash;
        let same = self.states.insert((key(entry.fence), tick), hash).is_none_or(|before| before == hash);
        self.fences.insert(key(entry.fence));
        self.admitted.extend(entry.rows.iter().map(|row| row.player));
        self.ticks.insert(tick, entry);
        same
    }

    /// The owner has written the whole state: what the store had lost before it is history again.
    pub(super) fn write_back(&mut self, fence: Fence, tick: Tick) -> Result<(), String> {
        self.living = None;
        let from = self.last().next();
        let own: Vec<Tick> =
            self.lost.range((key(fence), from)..(key(fence), tick)).map(|(lost, _)| lost.1).collect();
        for lost in own {
            if let Some(entry) = self.lost.remove(&(key(fence), lost)) {
                self.ticks.insert(lost, entry);
            }
        }
        let whole = self.ticks.contains_key(&Tick(tick.0 - 1));
        whole.then_some(()).ok_or_else(|| format!("tick {tick} was written whole, and nothing was lost"))
    }

    /// The store is back at an earlier tick.
    pub(super) fn roll_back(&mut self, to: Tick) -> u64 {
        let taken = self.ticks.split_off(&to.next());
        let count = taken.len() as u64;
        self.set_back |= count > 0;
        self.lost.extend(taken.into_iter().map(|(tick, entry)| ((key(entry.fence), tick), entry)));
        let rows = self.rows().cloned().unwrap_or_default();
        self.admitted = rows.iter().map(|row| row.player).collect();
        count
    }

    /// Whether the store has lost ticks of an ownership.
    pub(super) fn lacks(&self, fence: Fence) -> bool {
        self.lost.keys().any(|(lost, _)| *lost == key(fence))
    }

    /// Whether the store has this very tick of this very ownership.
    pub(super) fn has_committed(&self, at: Position) -> bool {
        self.ticks.get(&at.tick).is_some_and(|entry| entry.fence == at.fence)
    }

    /// Whether a state is a past of another one, which the store held when it was sent and may have lost since.
    pub(super) fn is_past(&self, before: Position, of: Position) -> bool {
        let mut owner = Some(key(of.fence));
        while let Some((began, earlier)) = owner.and_then(|owner| self.began.get(&owner))
            && before.tick < *began
        {
            owner = *earlier;
        }
        let there = owner.and_then(|owner| self.states.get(&(owner, before.tick)).copied());
        before.tick == Tick(0) || before.tick <= of.tick && there.is_some() && there == self.state(before)
    }

    /// Whether a state is part of the history that the store holds.
    pub(super) fn holds(&self, at: Position) -> bool {
        let own = self.state(at);
        at.tick == Tick(0) || self.ticks.get(&at.tick).is_some_and(|entry| Some(entry.hash) == own)
    }
}
