//! What must be true of every claim, of every commit and of every state that a client sees, checked as it happens.

use std::rc::Rc;

use tickcast_protocol::{Fence, PlayerId, Position, Tick, World};
use tickcast_server::backplane::{Commit, CommitReply, MatchFields, fields};
use tickcast_server::logic::channel::{self, FromOwner};

use super::ledger::{Book, Row};
use super::lineage::{Entry, Lineage};
use super::plan::{Kind, Plan};
use super::secrets;

/// Claims that one fault may cause.
const CLAIMS_PER_FAULT_MAX: u64 = 4;
/// Ticks within which whatever was asked of the store before is answered or given up.
const ANSWERED_TICKS: u64 = 10;

/// How a client came to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The tick after the one it had.
    Next,
    /// Ahead, with a snapshot or a catch-up.
    Ahead,
    /// It was told of a set-back.
    Back,
    /// The first one of a connection on which it resumed.
    Resumed,
    /// The first one of all.
    First,
}

/// What a client has, and the frame that led there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) at: Position,
    pub(super) player: Option<PlayerId>,
    pub(super) world: &'a World,
    pub(super) frame: &'a [u8],
}

/// Watches all matches; remembers the first thing that is wrong.
#[derive(Debug)]
pub(super) struct Oracle {
    matches: Vec<Lineage>,
    seen: Vec<Position>,
    pub(super) failure: Option<String>,
    pub(super) comparisons: u64,
    claims_seen: u64,
}

impl Oracle {
    pub(super) fn new(matches: usize, clients: usize) -> Oracle {
        Oracle {
            matches: (0..matches).map(|_| Lineage::default()).collect(),
            seen: vec![Position::default(); clients],
            failure: None,
            comparisons: 0,
            claims_seen: 0,
        }
    }

    pub(super) fn fail(&mut self, text: String) {
        self.failure.get_or_insert(text);
    }

    fn hold(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.fail(text());
        }
    }

    /// An ownership was granted, or was told once more.
    pub(super) fn handle_claim(
        &mut self,
        game: usize,
        fence: Fence,
        before: Option<Fence>,
        stored: &MatchFields,
    ) {
        let before = before.unwrap_or_default();
        if before == fence {
            return;
        }
        let lineage = &mut self.matches[game];
        let hash = fields::text(stored, fields::HASH).and_then(|text| u32::from_str_radix(text, 16).ok());
        let tick = fields::number(stored, fields::TICK).map(Tick);
        let fits = tick == Some(lineage.last());
        let living = lineage.living.take();
        let new = lineage.claim(fence, before, hash.unwrap_or_default());
        self.hold(new, || format!("ownership {fence} of match {game} was granted twice"));
        self.hold(fits, || format!("match {game} was claimed at {tick:?}, which is not the last tick"));
        self.hold(living.is_none(), || {
            format!(
                "match {game}: {fence} was granted while {living:?} lived and had lost ticks to write back"
            )
        });
    }

    /// A commit was answered; `stored` was the ownership before. Nobody waits for an `abandoned` one.
    pub(super) fn handle_commit(
        &mut self,
        game: usize,
        commit: &Commit,
        book: &Rc<Book>,
        reply: &CommitReply,
        stored: Option<Fence>,
        abandoned: bool,
    ) {
        let hash = hash_of(commit);
        let (fence, tick) = (commit.fence, commit.tick);
        let about = || format!("match {game} tick {tick} of {fence}");
        match reply {
            CommitReply::Ok => {
                self.hold(stored == Some(fence), || format!("{}: {stored:?} owns it", about()));
                self.handle_written(game, commit, Entry { fence, hash, book: Rc::clone(book) });
            }
            CommitReply::DupSame => {
                let entry = self.matches[game].ticks.get(&tick);
                let same = entry.is_some_and(|entry| (entry.fence, entry.hash) == (fence, hash));
                self.hold(same, || format!("{}: found committed, and is not", about()));
            }
            CommitReply::Fenced => self.hold(stored != Some(fence), || format!("{}: fenced", about())),
            CommitReply::NoMatch => {
                let gone = self.matches[game].gone;
                self.hold(gone, || format!("{}: no match", about()));
            }
            CommitReply::Behind(_) => {
                let lost = self.matches[game].lacks(fence);
                self.hold(lost, || format!("{}: {reply:?}, and nothing was lost", about()));
            }
            CommitReply::DupDiff | CommitReply::Stale(_) => {
                self.hold(abandoned, || format!("{}: {reply:?}", about()));
            }
        }
    }

    fn handle_written(&mut self, game: usize, commit: &Commit, entry: Entry) {
        let (tick, fence) = (commit.tick, commit.fence);
        if commit.whole
            && let Err(error) = self.matches[game].write_back(fence, tick)
        {
            self.fail(format!("match {game}: {error}"));
        }
        let last = self.matches[game].last();
        self.hold(tick == last.next(), || format!("match {game}: tick {tick} of {fence} after {last}"));
        let before = self.matches[game].book();
        for row in entry.book.rows.iter() {
            let earlier = before.rows.iter().find(|before| before.player == row.player);
            let in_order =
                earlier.is_none_or(|before| row.last >= before.last && row.applied >= before.applied);
            let sums = row.seq == row.last && row.applied + row.skipped == row.last;
            self.hold(row.wrong == 0 && in_order && sums, || {
                format!("match {game} tick {tick}: inputs applied twice or out of order: {row:?} after {earlier:?}")
            });
        }
        let same = self.matches[game].commit(tick, entry);
        self.hold(same, || format!("match {game}: two states of tick {tick} of {fence}"));
    }

    /// The owner of a match has died, stands still, or has given it up.
    pub(super) fn handle_owner_gone(&mut self, game: usize) {
        self.matches[game].living = None;
    }

    /// The store is as it was earlier. `living`: the ownership lives and has to be the first to come back.
    pub(super) fn handle_rollback(&mut self, game: usize, to: Tick, living: Option<Fence>) -> u64 {
        let lost = self.matches[game].roll_back(to);
        self.matches[game].living = living.filter(|_| lost > 0);
        lost
    }

    /// The match is not in the store any more.
    pub(super) fn handle_gone(&mut self, game: usize) {
        self.matches[game].gone = true;
        self.matches[game].living = None;
    }

    pub(super) fn was_gone(&self, game: usize) -> bool {
        self.matches[game].gone
    }

    /// Whether the store has lost ticks of the match.
    pub(super) fn was_set_back(&self, game: usize) -> bool {
        self.matches[game].set_back
    }

    /// A node passes a state on.
    pub(super) fn handle_relayed(&mut self, game: usize, at: Position, hash: u32) {
        let committed = self.matches[game].state(at);
        self.hold(committed == Some(hash), || {
            format!("match {game}: a node passed on {at:?} with {hash:08x}, committed is {committed:08x?}")
        });
    }

    /// A node lets its clients jump ahead from here, and tells nothing of a set-back.
    pub(super) fn handle_forward(&mut self, game: usize, before: Position, after: Position) {
        let past = self.matches[game].is_past(before, after);
        self.hold(past, || {
            format!("match {game}: {before:?} was lost, and {after:?} passed on as a jump ahead")
        });
    }

    /// A node tells its clients, or one that resumes, that they are set back.
    pub(super) fn handle_reset(&mut self, game: usize, before: Position, after: Position) {
        let lineage = &self.matches[game];
        // What is older than the list of claims is not known any more.
        let known = |claims: usize| claims < fields::CLAIMS_KEPT;
        let past = lineage.claims_between(before, after).is_some_and(known);
        // What was lost before its time a living owner has never had.
        let newest = |fence| Position { fence, tick: Tick(u64::MAX) };
        let living = lineage.living.filter(|fence| lineage.is_past(before, newest(*fence)));
        self.hold(!past, || {
            format!("match {game}: reset from {before:?} to {after:?}, which goes on from there")
        });
        self.hold(living.is_none(), || {
            format!(
                "match {game}: reset from {before:?} while {living:?} lived and would have written it back"
            )
        });
    }

    /// A client's state is at this position now.
    pub(super) fn handle_state(&mut self, client: usize, game: usize, sight: Sight<'_>, change: Change) {
        let Sight { at, world, .. } = sight;
        let wrong = match self.matches[game].book_at(at).map(|book| &book.world) {
            Some(Some(committed)) => secrets::check(committed, sight.player, world)
                .and_then(|()| secrets::check_frame(committed, sight.player, sight.frame))
                .err(),
            _ => {
                let (hash, committed) = (world.hash(), self.matches[game].state(at));
                let same = committed == Some(hash);
                (!same).then(|| format!("has {hash:08x}, committed is {committed:08x?}"))
            }
        };
        self.hold(wrong.is_none(), || format!("client {client} at {at:?}: {}", wrong.unwrap_or_default()));
        let before = std::mem::replace(&mut self.seen[client], at);
        // Where it was is a past of where it is, or it was told of a set-back.
        let past = self.matches[game].is_past(before, at);
        let fits = match change {
            Change::Next => past && self.is_next(game, before, at),
            Change::Ahead | Change::Resumed => past,
            Change::Back | Change::First => true,
        };
        self.hold(fits, || format!("client {client} went from {before:?} to {at:?}, {change:?}"));
        self.comparisons += 1;
    }

    /// Whether a client goes on from one state to the other with the next frame: every tick between them was quiet.
    fn is_next(&self, game: usize, before: Position, at: Position) -> bool {
        let state = |tick| self.matches[game].state(Position { tick: Tick(tick), ..at });
        let quiet = before.tick.0 + 1..at.tick.0;
        at.tick > before.tick && quiet.into_iter().all(|tick| state(tick) == self.matches[game].state(before))
    }

    /// Whether a player has been part of the state for so long that whoever asks now is told so.
    pub(super) fn is_admitted(&self, game: usize, player: PlayerId) -> bool {
        self.matches[game].is_admitted(player, ANSWERED_TICKS)
    }

    /// What the last state says of a player.
    pub(super) fn row(&self, game: usize, player: PlayerId) -> Option<Row> {
        self.matches[game].book().rows.iter().find(|row| row.player == player).copied()
    }

    /// All claims so far.
    pub(super) fn claims(&self) -> u64 {
        self.matches.iter().map(|lineage| lineage.claims).sum()
    }

    /// Ownership moved although all was well: how often is seen at the end.
    pub(super) fn note_claims(&mut self, claims: u64) {
        self.claims_seen = claims;
    }

    /// A match changes its owner because of faults only.
    pub(super) fn check_claims(&self, game: usize, plan: &Plan) -> Result<(), String> {
        let panics = plan.has(&[Kind::Poison]);
        let max = 1 + CLAIMS_PER_FAULT_MAX * plan.faults.len() as u64 + u64::from(panics) * 4;
        let claims = self.matches[game].claims;
        (claims <= max).then_some(()).ok_or_else(|| {
            format!("match {game} was claimed {claims} times over {} faults", plan.faults.len())
        })
    }
}

fn hash_of(commit: &Commit) -> u32 {
    match channel::parse_from_owner(&commit.message) {
        Ok(FromOwner::Tick(tick)) => tick.hash,
        other => panic!("a commit carries a tick, not {other:?}"),
    }
}
