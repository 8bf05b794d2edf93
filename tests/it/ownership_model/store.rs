//! What the scripts do to the hash of the model's one match. Content is told by who computed it.

use std::fmt;

use super::{Flaw, Violation};

/// Claims without good ticks after which a match is quarantined.
pub(super) const CRASHES_MAX: u8 = 2;

/// A nonce that no node draws.
pub(super) const TRIAL: u8 = 7;

/// One ownership. The newborn match has epoch 0 and nonce 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Fence {
    pub epoch: u8,
    pub nonce: u8,
}

/// A state of the game: what each tick up to it was computed by, four bits a tick. Small is fast to check.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct World(u32);

impl World {
    pub(super) fn tick(self) -> u8 {
        (u32::BITS - self.0.leading_zeros()).div_ceil(4) as u8
    }

    /// The next tick by this owner; another `attempt` has other content.
    pub(super) fn step(self, nonce: u8, attempt: u8) -> World {
        World(self.0 | u32::from(nonce * 2 + attempt) << (4 * self.tick()))
    }

    pub(super) fn is_start_of(self, other: World) -> bool {
        other.0 & ((1 << (4 * self.tick())) - 1) == self.0
    }

    /// Ticks that this owner computed.
    pub(super) fn ticks_of(self, nonce: u8) -> usize {
        (0..self.tick()).filter(|tick| (self.0 >> (4 * tick) & 15) / 2 == u32::from(nonce)).count()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = (0..self.tick()).map(|tick| self.0 >> (4 * tick) & 15);
        f.debug_list().entries(by.map(|content| f32::from(content as u8) / 2.0)).finish()
    }
}

/// The claims of a lineage, each with the tick it began at: who may have shown what. Twelve bits a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Line {
    claims: u128,
    count: u8,
}

impl Line {
    pub(super) fn newborn() -> Line {
        Line { claims: 0, count: 1 }
    }

    pub(super) fn push(&mut self, fence: Fence, tick: u8) {
        let claim = u128::from(fence.epoch) << 8 | u128::from(fence.nonce) << 4 | u128::from(tick);
        self.claims |= claim << (12 * self.count);
        self.count += 1;
    }

    /// Whether a state that this owner showed at this tick is a past of the line's end.
    pub(super) fn holds(&self, fence: Fence, tick: u8) -> bool {
        let claim = |at: u8| (self.claims >> (12 * at) & 0xfff) as u16;
        let owner = u16::from(fence.epoch) << 4 | u16::from(fence.nonce);
        let Some(at) = (0..self.count).find(|at| claim(*at) >> 4 == owner) else { return false };
        at + 1 == self.count || claim(at + 1) & 15 >= u16::from(tick)
    }
}

/// What a load tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Position {
    pub fence: Fence,
    pub world: World,
    pub line: Line,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Commit {
    pub fence: Fence,
    pub world: World,
    pub whole: bool,
}

/// One try to claim, with a nonce of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Claim {
    pub node: u8,
    pub nonce: u8,
    /// Tries of this node that were not answered, one bit a nonce.
    pub unanswered: u8,
}

/// What travels to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Claim(Claim),
    Commit(Commit),
    Release { fence: Fence, heir: Option<u8> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimReply {
    Claimed(Position),
    Held,
    Quarantined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitReply {
    Ok,
    DupSame,
    DupDiff,
    Fenced,
    Behind,
    Stale,
}

/// The hash. There is no time in it: a lease expires whenever the checker likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub at: Position,
    pub leased: bool,
    pub heir: Option<u8>,
    pub crashes: u8,
    pub quarantined: bool,
}

impl Store {
    pub(super) fn newborn() -> Store {
        Store { at: Position { line: Line::newborn(), ..Position::default() }, ..Store::default() }
    }

    /// `claim.lua`. Answers whether it took another's good lease, too.
    pub(super) fn claim(&mut self, flaw: Option<Flaw>, claim: Claim) -> (ClaimReply, bool) {
        let Claim { node, nonce, unanswered } = claim;
        let stored = self.at.fence.nonce;
        let known = stored == nonce || unanswered & 1 << stored != 0;
        if known && flaw != Some(Flaw::ForgottenClaim) {
            return (ClaimReply::Claimed(self.at), false);
        }
        if self.quarantined {
            return (ClaimReply::Quarantined, false);
        }
        let held = self.leased && self.heir != Some(node);
        if held && flaw != Some(Flaw::LeaseIgnored) {
            return (ClaimReply::Held, false);
        }
        if self.crashes >= CRASHES_MAX {
            self.quarantined = true;
            return (ClaimReply::Quarantined, false);
        }
        self.at.fence = Fence { epoch: self.at.fence.epoch + 1, nonce };
        self.at.line.push(self.at.fence, self.at.world.tick());
        self.leased = true;
        self.heir = None;
        self.crashes += 1;
        (ClaimReply::Claimed(self.at), held)
    }

    /// What `claim.lua` would be if the node judged: it writes what it made of an earlier load.
    pub(super) fn claim_blindly(&mut self, stored: &Position, nonce: u8) -> (ClaimReply, bool) {
        let mut mine = *stored;
        mine.fence = Fence { epoch: stored.fence.epoch + 1, nonce };
        mine.line.push(mine.fence, mine.world.tick());
        let taken = self.leased;
        (self.at.fence, self.at.line) = (mine.fence, mine.line);
        (self.leased, self.heir) = (true, None);
        (ClaimReply::Claimed(mine), taken)
    }

    /// `commit.lua`. Answers whether it published, too.
    pub(super) fn commit(
        &mut self,
        flaw: Option<Flaw>,
        commit: &Commit,
    ) -> (CommitReply, bool, Option<Violation>) {
        if let Some(refusal) = self.refusal(flaw, commit) {
            let published = flaw == Some(Flaw::PublishFirst) && refusal != CommitReply::DupSame;
            return (refusal, published, published.then_some(Violation::PublishedUnwritten));
        }
        let violation = if commit.fence != self.at.fence {
            Some(Violation::CommitOfAnother)
        } else if !self.at.world.is_start_of(commit.world) {
            Some(Violation::HistoryRewritten)
        } else {
            None
        };
        self.at.world = commit.world;
        self.leased = true;
        if commit.world.ticks_of(commit.fence.nonce) >= 2 {
            self.absolve(flaw);
        }
        (CommitReply::Ok, true, violation)
    }

    fn refusal(&self, flaw: Option<Flaw>, commit: &Commit) -> Option<CommitReply> {
        let (stored, mine) = (self.at.fence, commit.fence);
        let fenced = match flaw {
            Some(Flaw::EpochAtLeast) => mine.epoch < stored.epoch,
            Some(Flaw::EpochOnly) => mine.epoch != stored.epoch,
            Some(Flaw::RepairUnfenced) if commit.whole => false,
            _ => mine != stored,
        };
        if fenced {
            return Some(CommitReply::Fenced);
        }
        let (last, tick) = (self.at.world.tick(), commit.world.tick());
        if tick == last {
            let same = self.at.world == commit.world;
            return Some(if same { CommitReply::DupSame } else { CommitReply::DupDiff });
        }
        if tick < last {
            return Some(CommitReply::Stale);
        }
        (tick > last + 1 && !commit.whole).then_some(CommitReply::Behind)
    }

    /// `release.lua`. The grace of an heir is a lease that only the heir may end early.
    pub(super) fn release(&mut self, flaw: Option<Flaw>, fence: Fence, heir: Option<u8>) {
        if self.at.fence == fence {
            self.leased = heir.is_some();
            self.heir = heir;
            self.absolve(flaw);
        }
    }

    /// The match has proved that it does not kill its owner.
    fn absolve(&mut self, flaw: Option<Flaw>) {
        self.crashes = 0;
        self.quarantined &= flaw == Some(Flaw::QuarantineStays);
    }
}
