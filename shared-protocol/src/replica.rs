//! A copy of a match's state that follows its frames. Clients, bots, nodes and the inspector all use this
//! one. A gap has one cure: a snapshot. A replica that was caught up knows the values of its tick only; two
//! catch-ups of one tick each teach it the steps before, and then it reads diffs again.

mod parts;

use std::sync::Arc;

use thiserror::Error;

use crate::catch_up::{self, Leap, STEPS_KNOWN_MAX};
use crate::diff;
use crate::frame::{self, QUIET_SPAN_MAX, StateFrame};
use crate::prior::Prior;
use crate::schema::Schema;
use crate::segments::Segments;
use crate::snapshot;
use crate::tick::{Position, Tick};
use crate::varint::DecodeError;
use crate::world::{Difference, World};
use parts::Ticks;

/// What a frame did to a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The replica is at the frame's tick now.
    Advanced,
    /// The frame is of a tick the replica already has: nothing changed.
    Stale,
    /// The replica is of no use until a snapshot arrives.
    Gap(Gap),
}

/// Why a replica cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Gap {
    /// Ticks are missing between the replica and the frame.
    #[error("ticks missing after {have}")]
    Missing {
        /// The replica's last tick.
        have: Tick,
    },
    /// The frame is another owner's.
    #[error("frame of another owner after tick {have}")]
    Owner {
        /// The replica's last tick.
        have: Tick,
    },
    /// The state does not have the hash that the owner's has.
    #[error("desync at tick {tick}: hash {actual:08x}, owner's is {expected:08x}")]
    Desync {
        /// The tick after which the hashes differ.
        tick: Tick,
        /// The owner's hash.
        expected: u32,
        /// The replica's hash.
        actual: u32,
    },
    /// The frame could not be decoded.
    #[error("frame after tick {have} is broken: {error}")]
    Broken {
        /// The replica's last good tick.
        have: Tick,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A diff came to a replica that was caught up and does not know the steps before yet.
    #[error("a diff after a catch-up at tick {have}, which leaves too little known for it")]
    Cold {
        /// The replica's last tick.
        have: Tick,
    },
    /// A diff is coded with another prior than the replica has.
    #[error("a diff coded with another prior than number {have}")]
    Prior {
        /// Number of the replica's prior.
        have: u8,
    },
    /// An earlier gap is still open.
    #[error("waiting for a snapshot")]
    Waiting,
}

/// A copy of a match's state.
#[derive(Debug, Clone)]
pub struct Replica {
    world: World,
    /// Of a match in segments: those that are known. The world is all of them together.
    segments: Option<Segments>,
    prior: Arc<Prior>,
    position: Position,
    /// Steps before the last tick that are known.
    known: u8,
    broken: bool,
    /// The world is that of a tick whose hash was another.
    desynced: bool,
    difference: Option<Difference>,
}

impl Replica {
    /// An empty replica that waits for a snapshot.
    pub fn empty(schema: Arc<Schema>) -> Replica {
        let prior = Prior::first(&schema);
        let replica = Replica::loaded(World::new(schema), prior, Position::default());
        Replica { broken: true, ..replica }
    }

    /// A replica of a state that was loaded, for example from a store, with what its next diffs are coded with.
    pub fn loaded(world: World, prior: Arc<Prior>, position: Position) -> Replica {
        let known = STEPS_KNOWN_MAX;
        Replica {
            world,
            segments: None,
            prior,
            position,
            known,
            broken: false,
            desynced: false,
            difference: None,
        }
    }

    /// A replica of the loaded state of a match in segments, and of the world that they make together.
    pub fn in_segments(segments: Segments, world: World, prior: Arc<Prior>, position: Position) -> Replica {
        Replica { segments: Some(segments), ..Replica::loaded(world, prior, position) }
    }

    /// The state; of no meaning while [`Replica::is_broken`].
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The segments that it has, of a match in segments.
    pub fn segments(&self) -> Option<&Segments> {
        self.segments.as_ref()
    }

    /// Whether two replicas hold the same state and read the next tick alike.
    pub fn same_state(&self, other: &Replica) -> bool {
        match (&self.segments, &other.segments) {
            (None, None) => self.world.same_state(&other.world),
            // What entities did before is their segment's matter.
            (Some(ours), Some(theirs)) => {
                ours.same_state(theirs) && self.world.first_difference(&other.world).is_none()
            }
            _ => false,
        }
    }

    /// Where the replica stands.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What the next diff is coded with.
    pub fn prior(&self) -> &Arc<Prior> {
        &self.prior
    }

    /// Steps before the last tick that it knows; a diff needs all of [`STEPS_KNOWN_MAX`].
    pub fn steps_known(&self) -> u8 {
        self.known
    }

    /// Where the state was wrong that a snapshot has just repaired; known if that was of the very tick at
    /// which the hashes differed.
    pub fn take_difference(&mut self) -> Option<Difference> {
        self.difference.take()
    }

    /// Whether it needs a snapshot.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The state, for a use of its own.
    pub fn into_world(self) -> World {
        self.world
    }

    /// The state, and of a match in segments these, for a use of their own.
    pub fn into_parts(self) -> (World, Option<Segments>) {
        (self.world, self.segments)
    }

    /// Says that the state is that of another position, for example another owner's of the same tick.
    pub fn rebase(&mut self, position: Position) {
        self.position = position;
    }

    /// Gives the state up; the next snapshot starts it anew.
    pub fn invalidate(&mut self) {
        self.broken = true;
    }

    /// Takes a state frame in.
    pub fn apply(&mut self, bytes: &[u8]) -> Progress {
        let (follows, in_segments) = (!self.broken, self.segments.is_some());
        let progress = match frame::parse(bytes) {
            Ok(StateFrame::Diff { .. } | StateFrame::CatchUp { .. }) if follows && in_segments => {
                self.broken_by(DecodeError::State("a change of the whole of a match in segments"))
            }
            Ok(StateFrame::Segments { .. } | StateFrame::Leap { .. }) if follows && !in_segments => {
                self.broken_by(DecodeError::State("segments of a match that has none"))
            }
            Ok(StateFrame::Diff { tag, tick_low, prior_low, after_quiet, hash, payload }) => {
                let jump = if after_quiet { QUIET_SPAN_MAX } else { 1 };
                let ahead = tick_low.wrapping_sub(self.position.tick.low()).clamp(1, jump);
                self.apply_diff(tag, tick_low, ahead, prior_low, hash, payload)
            }
            Ok(StateFrame::Snapshot { position, hash, prior, payload }) => {
                self.apply_snapshot(position, hash, prior, payload)
            }
            Ok(StateFrame::Owner { position }) => self.apply_owner(position),
            Ok(StateFrame::Prior { tag, tick_low, payload }) => self.apply_prior(tag, tick_low, payload),
            Ok(StateFrame::CatchUp { tag, tick_low, span, hash, payload }) => {
                self.apply_catch_up(tag, tick_low, span, hash, payload)
            }
            Ok(StateFrame::Segments { tag, tick_low, prior_low, sections }) => {
                self.apply_segments(tag, tick_low, prior_low, sections)
            }
            Ok(StateFrame::View { position, prior, sections }) => self.apply_view(position, prior, sections),
            Ok(StateFrame::Leap { tag, tick_low, span, sections }) => {
                self.apply_leap(tag, tick_low, span, sections)
            }
            Err(error) => self.broken_by(error),
        };
        if let Progress::Gap(_) = progress {
            self.broken = true;
        }
        progress
    }

    fn broken_by(&self, error: DecodeError) -> Progress {
        Progress::Gap(Gap::Broken { have: self.position.tick, error })
    }

    /// Whether a frame that leads over `span` ticks follows on the replica's tick.
    fn check_order(&self, tag: u8, tick_low: u16, span: u16) -> Option<Progress> {
        let have = self.position.tick;
        if self.broken {
            return Some(Progress::Gap(Gap::Waiting));
        }
        if tag != self.position.fence.tag() {
            return Some(Progress::Gap(Gap::Owner { have }));
        }
        match tick_low.wrapping_sub(have.low()) {
            ahead if ahead == span => None,
            0 | 0x8000.. => Some(Progress::Stale),
            _ => Some(Progress::Gap(Gap::Missing { have })),
        }
    }

    /// A diff over several ticks comes behind quiet ones: they left everything as it was, also what is known of the past.
    fn apply_diff(
        &mut self,
        tag: u8,
        tick_low: u16,
        span: u16,
        prior_low: u8,
        hash: Option<u32>,
        payload: &[u8],
    ) -> Progress {
        if let Some(progress) = self.check_order(tag, tick_low, span) {
            return progress;
        }
        let have = self.position.tick;
        if self.known < STEPS_KNOWN_MAX {
            return Progress::Gap(Gap::Cold { have });
        }
        if prior_low != self.prior.number() & 3 {
            return Progress::Gap(Gap::Prior { have: self.prior.number() });
        }
        if let Err(error) = diff::apply(&mut self.world, &self.prior, payload) {
            return Progress::Gap(Gap::Broken { have, error });
        }
        self.position.tick = Tick(have.0.saturating_add(u64::from(span)));
        self.check_hash(hash)
    }

    fn apply_segments(&mut self, tag: u8, tick_low: u16, prior_low: u8, sections: &[u8]) -> Progress {
        if let Some(progress) = self.check_order(tag, tick_low, 1) {
            return progress;
        }
        if prior_low != self.prior.number() & 3 {
            return Progress::Gap(Gap::Prior { have: self.prior.number() });
        }
        let prior = Arc::clone(&self.prior);
        self.take_sections(self.position.tick.next(), Some(&prior), sections)
    }

    fn apply_leap(&mut self, tag: u8, tick_low: u16, span: u8, sections: &[u8]) -> Progress {
        if let Some(progress) = self.check_order(tag, tick_low, u16::from(span)) {
            return progress;
        }
        self.take_sections(Tick(self.position.tick.0.saturating_add(u64::from(span))), None, sections)
    }

    fn take_sections(&mut self, to: Tick, prior: Option<&Prior>, sections: &[u8]) -> Progress {
        let have = self.position.tick;
        let Some(segments) = &mut self.segments else { return Progress::Gap(Gap::Waiting) };
        match parts::apply(segments, &mut self.world, Ticks { have, to }, prior, sections) {
            Ok(()) => {
                self.position.tick = to;
                Progress::Advanced
            }
            Err(gap) => Progress::Gap(gap),
        }
    }

    fn apply_view(&mut self, position: Position, prior: &[u8], sections: &[u8]) -> Progress {
        let have = self.position.tick;
        if !self.broken && position.fence == self.position.fence && position.tick <= have {
            return Progress::Stale;
        }
        let prior = match self.prior.decode(prior) {
            Ok(prior) => prior,
            Err(error) => return self.broken_by(error),
        };
        let schema = self.world.schema();
        let mut world = World::new(Arc::clone(schema));
        let mut segments = Segments::new(Arc::clone(schema));
        let ticks = Ticks { have: position.tick, to: position.tick };
        if let Err(gap) = parts::apply(&mut segments, &mut world, ticks, None, sections) {
            return Progress::Gap(gap);
        }
        *self = Replica::in_segments(segments, world, prior, position);
        Progress::Advanced
    }

    fn apply_catch_up(
        &mut self,
        tag: u8,
        tick_low: u16,
        span: u8,
        hash: Option<u32>,
        payload: &[u8],
    ) -> Progress {
        if let Some(progress) = self.check_order(tag, tick_low, u16::from(span)) {
            return progress;
        }
        let have = self.position.tick;
        let leap = Leap { span: u32::from(span), known: self.known };
        if let Err(error) = catch_up::apply(&mut self.world, leap, payload) {
            return Progress::Gap(Gap::Broken { have, error });
        }
        self.position.tick = Tick(have.0.saturating_add(u64::from(span)));
        self.known = leap.known_after();
        self.check_hash(hash)
    }

    fn apply_prior(&mut self, tag: u8, tick_low: u16, payload: &[u8]) -> Progress {
        if let Some(progress) = self.check_order(tag, tick_low, 0) {
            return progress;
        }
        match self.prior.decode(payload) {
            Ok(prior) => {
                self.prior = prior;
                Progress::Stale
            }
            Err(error) => self.broken_by(error),
        }
    }

    fn apply_snapshot(&mut self, position: Position, hash: u32, prior: &[u8], payload: &[u8]) -> Progress {
        let same_owner = position.fence == self.position.fence;
        // One of the very tick that the replica was caught up to teaches it the steps before.
        let teaches = position.tick == self.position.tick && self.known < STEPS_KNOWN_MAX;
        if !self.broken && same_owner && position.tick <= self.position.tick && !teaches {
            return Progress::Stale;
        }
        let decoded = self.prior.decode(prior).and_then(|prior| {
            snapshot::decode(Arc::clone(self.world.schema()), payload).map(|world| (world, prior))
        });
        match decoded {
            Ok((world, prior)) => {
                let comparable = self.desynced && same_owner && position.tick == self.position.tick;
                let difference = comparable.then(|| self.world.first_difference(&world)).flatten();
                *self = Replica { difference, ..Replica::loaded(world, prior, position) };
                self.check_hash(Some(hash))
            }
            Err(error) => self.broken_by(error),
        }
    }

    fn apply_owner(&mut self, position: Position) -> Progress {
        if self.broken {
            return Progress::Gap(Gap::Waiting);
        }
        if position.tick != self.position.tick {
            return Progress::Gap(Gap::Owner { have: self.position.tick });
        }
        self.rebase(position);
        Progress::Stale
    }

    fn check_hash(&mut self, expected: Option<u32>) -> Progress {
        let actual = self.world.hash();
        match expected {
            Some(expected) if expected != actual => {
                self.desynced = true;
                Progress::Gap(Gap::Desync { tick: self.position.tick, expected, actual })
            }
            _ => Progress::Advanced,
        }
    }
}

#[cfg(test)]
mod tests;
