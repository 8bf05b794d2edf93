//! A copy of a match's state that follows its frames. Clients, bots, nodes and the inspector all use this
//! one. A gap has one cure: a snapshot.

use std::sync::Arc;

use thiserror::Error;

use crate::diff;
use crate::frame::{self, StateFrame};
use crate::schema::Schema;
use crate::tick::{Position, Tick};
use crate::varint::DecodeError;
use crate::world::World;

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
    /// An earlier gap is still open.
    #[error("waiting for a snapshot")]
    Waiting,
}

/// A copy of a match's state.
#[derive(Debug, Clone)]
pub struct Replica {
    world: World,
    position: Position,
    broken: bool,
}

impl Replica {
    /// An empty replica that waits for a snapshot.
    pub fn empty(schema: Arc<Schema>) -> Replica {
        Replica { world: World::new(schema), position: Position::default(), broken: true }
    }

    /// A replica of a state that was loaded, for example from a store.
    pub fn loaded(world: World, position: Position) -> Replica {
        Replica { world, position, broken: false }
    }

    /// The state; of no meaning while [`Replica::is_broken`].
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Where the replica stands.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether it needs a snapshot.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Gives the state up; the next snapshot starts it anew.
    pub fn invalidate(&mut self) {
        self.broken = true;
    }

    /// Takes a state frame in.
    pub fn apply(&mut self, bytes: &[u8]) -> Progress {
        let progress = match frame::parse(bytes) {
            Ok(StateFrame::Diff { tag, tick_low, hash, payload }) => {
                self.apply_diff(tag, tick_low, hash, payload)
            }
            Ok(StateFrame::Snapshot { position, hash, payload }) => {
                self.apply_snapshot(position, hash, payload)
            }
            Ok(StateFrame::Owner { position }) => self.apply_owner(position),
            Err(error) => Progress::Gap(Gap::Broken { have: self.position.tick, error }),
        };
        if let Progress::Gap(_) = progress {
            self.broken = true;
        }
        progress
    }

    fn apply_diff(&mut self, tag: u8, tick_low: u16, hash: Option<u32>, payload: &[u8]) -> Progress {
        let have = self.position.tick;
        if self.broken {
            return Progress::Gap(Gap::Waiting);
        }
        if tag != self.position.fence.tag() {
            return Progress::Gap(Gap::Owner { have });
        }
        match tick_low.wrapping_sub(have.low()) {
            1 => {}
            0 | 0x8000.. => return Progress::Stale,
            _ => return Progress::Gap(Gap::Missing { have }),
        }
        if let Err(error) = diff::apply(&mut self.world, payload) {
            return Progress::Gap(Gap::Broken { have, error });
        }
        self.position.tick = have.next();
        self.check_hash(hash)
    }

    fn apply_snapshot(&mut self, position: Position, hash: u32, payload: &[u8]) -> Progress {
        let known =
            !self.broken && position.fence == self.position.fence && position.tick <= self.position.tick;
        if known {
            return Progress::Stale;
        }
        match diff::decode_snapshot(Arc::clone(self.world.schema()), payload) {
            Ok(world) => {
                *self = Replica::loaded(world, position);
                self.check_hash(Some(hash))
            }
            Err(error) => Progress::Gap(Gap::Broken { have: self.position.tick, error }),
        }
    }

    fn apply_owner(&mut self, position: Position) -> Progress {
        if self.broken {
            return Progress::Gap(Gap::Waiting);
        }
        if position.tick != self.position.tick {
            return Progress::Gap(Gap::Owner { have: self.position.tick });
        }
        self.position = position;
        Progress::Stale
    }

    fn check_hash(&self, expected: Option<u32>) -> Progress {
        let actual = self.world.hash();
        match expected {
            Some(expected) if expected != actual => {
                Progress::Gap(Gap::Desync { tick: self.position.tick, expected, actual })
            }
            _ => Progress::Advanced,
        }
    }
}

#[cfg(test)]
mod tests;
