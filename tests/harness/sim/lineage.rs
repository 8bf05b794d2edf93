//! The history of one match in the store, and what of it a store that lost writes has taken back.

use std::collections::BTreeMap;
use std::rc::Rc;

use tickcast_protocol::{Fence, PlayerId, Position, Tick};

use super::ledger::{Book, Row};

/// A committed tick.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) fence: Fence,
    pub(super) hash: u32,
    pub(super) book: Rc<Book>,
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
    /// Every state that ever was the match's: its hash, and what is known of it.
    states: BTreeMap<(Key, Tick), (u32, Rc<Book>)>,
    /// What each ownership went on from, in whatever history.
    began: BTreeMap<Key, Position>,
    /// Players that are or were part of the state, with the first tick of that.
    admitted: BTreeMap<PlayerId, Tick>,
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

    pub(super) fn book(&self) -> Rc<Book> {
        self.ticks.last_key_value().map(|(_, entry)| Rc::clone(&entry.book)).unwrap_or_default()
    }

    pub(super) fn state(&self, at: Position) -> Option<u32> {
        if at.tick == Tick(0) {
            return Some(0);
        }
        self.states.get(&(key(at.fence), at.tick)).map(|(hash, _)| *hash)
    }

    /// What is known of a state, if there was one.
    pub(super) fn book_at(&self, at: Position) -> Option<&Rc<Book>> {
        self.states.get(&(key(at.fence), at.tick)).map(|(_, book)| book)
    }

    /// A new ownership goes on from the stored state, which is this one's; `false` if there was one of that name, in
    /// whatever history.
    pub(super) fn claim(&mut self, fence: Fence, before: Fence, hash: u32) -> bool {
        self.claims += 1;
        self.states.insert((key(fence), self.last()), (hash, self.book()));
        let from = Position { fence: before, tick: self.last() };
        self.began.insert(key(fence), from).is_none()
    }

    /// How many claims lie between a position and a later one that goes on from there; `None` if that one does not,
    /// because a store has lost the first.
    pub(super) fn claims_between(&self, had: Position, now: Position) -> Option<usize> {
        let (mut at, mut claims) = (now, 0);
        while at.fence != had.fence && had.tick > Tick(0) {
            at = *self.began.get(&key(at.fence))?;
            claims += 1;
        }
        (had.tick <= at.tick).then_some(claims)
    }

    /// Whether the state at a position is a past of that at another one. An ownership that has not ticked yet has
    /// changed nothing, whether or not the store still knows of it.
    pub(super) fn is_past(&self, mut had: Position, now: Position) -> bool {
        while let Some(from) = self.began.get(&key(had.fence)).filter(|from| from.tick == had.tick) {
            had = *from;
        }
        self.claims_between(had, now).is_some()
    }

    /// A tick was written; `false` if it is another one than was written of that name before.
    pub(super) fn commit(&mut self, tick: Tick, entry: Entry) -> bool {
        let hash = entry.hash;
        let state = (hash, Rc::clone(&entry.book));
        let same = self.states.insert((key(entry.fence), tick), state).is_none_or(|before| before.0 == hash);
        self.admit(&entry.book.rows, tick);
        self.ticks.insert(tick, entry);
        same
    }

    fn admit(&mut self, rows: &[Row], tick: Tick) {
        for row in rows {
            self.admitted.entry(row.player).or_insert(tick);
        }
    }

    /// Whether a player has been part of the state for so many ticks.
    pub(super) fn is_admitted(&self, player: PlayerId, ticks: u64) -> bool {
        self.admitted.get(&player).is_some_and(|since| since.0 + ticks <= self.last().0)
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
        let book = self.book();
        self.admitted.retain(|player, _| book.rows.iter().any(|row| row.player == *player));
        self.admit(&book.rows, self.last());
        count
    }

    /// Whether the store has lost ticks of an ownership.
    pub(super) fn lacks(&self, fence: Fence) -> bool {
        self.lost.keys().any(|(lost, _)| *lost == key(fence))
    }
}
