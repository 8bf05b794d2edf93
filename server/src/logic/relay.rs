//! How a node follows a match: what to pass on to its sockets, and when to load the match anew.

use bytes::Bytes;
use tickcast_protocol::replica::{Gap, Progress, Replica};
use tickcast_protocol::{CloseCode, PlayerId, Position, Tick, World, diff, frame};

use crate::logic::channel::{self, FromOwner, Note, TickMessage};

/// What to do with a message of the diff channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send these frames, in order, to every socket that is in step.
    FanOut(Vec<Bytes>),
    /// Nothing.
    Ignore,
    /// Count it: nobody of ours could have sent it.
    Foreign,
    /// The replica is of no use: load the match.
    Reload(Gap),
    /// Close this player's connection.
    Refuse(PlayerId, CloseCode),
    /// The match is over.
    Ended,
    /// The owner stepped down: somebody should claim.
    Released,
}

/// What a load changes for the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resync {
    /// The match went on meanwhile: a snapshot brings them up.
    Forward,
    /// They saw ticks that the store does not know: they are told, then get a snapshot.
    Reset {
        /// The last tick they saw.
        from: Tick,
        /// The tick it goes on from.
        to: Tick,
    },
}

/// A node's copy of a match.
#[derive(Debug)]
pub struct Relay {
    replica: Replica,
}

impl Relay {
    /// Begins at a loaded state.
    pub fn new(world: World, position: Position) -> Relay {
        Relay { replica: Replica::loaded(world, position) }
    }

    /// The copy.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The state, for a use of its own.
    pub fn into_world(self) -> World {
        self.replica.into_world()
    }

    /// Takes a message in.
    pub fn handle_message(&mut self, message: &Bytes) -> Verdict {
        match channel::parse_from_owner(message) {
            Ok(FromOwner::Tick(tick)) => self.handle_tick(tick),
            Ok(FromOwner::Note(Note::Refused { player, code })) => {
                Verdict::Refuse(player, CloseCode::from_number(code).unwrap_or(CloseCode::Internal))
            }
            Ok(FromOwner::Note(Note::Ended)) => Verdict::Ended,
            Ok(FromOwner::Note(Note::Released)) => Verdict::Released,
            Err(_) => Verdict::Foreign,
        }
    }

    fn handle_tick(&mut self, message: TickMessage) -> Verdict {
        let have = self.replica.position();
        let TickMessage { position, hash, frame: client_frame, .. } = message;
        let same_owner = position.fence == have.fence;
        if self.replica.is_broken() {
            return Verdict::Reload(Gap::Waiting);
        }
        if same_owner && position.tick <= have.tick {
            return Verdict::Ignore;
        }
        if position.tick != have.tick.next() {
            return self.lose(Gap::Missing { have: have.tick });
        }
        let mut frames = Vec::with_capacity(2);
        if !same_owner {
            // The full hash below proves that the new owner went on from the very state we have.
            let announced = Position { fence: position.fence, tick: have.tick };
            self.replica.rebase(announced);
            frames.push(Bytes::from(frame::owner(announced)));
        }
        match self.replica.apply(&client_frame) {
            Progress::Advanced => {}
            Progress::Stale => return self.lose(Gap::Owner { have: have.tick }),
            Progress::Gap(gap) => return self.lose(gap),
        }
        let actual = self.replica.world().hash();
        if actual != hash {
            return self.lose(Gap::Desync { tick: position.tick, expected: hash, actual });
        }
        frames.push(client_frame);
        Verdict::FanOut(frames)
    }

    fn lose(&mut self, gap: Gap) -> Verdict {
        self.replica.invalidate();
        Verdict::Reload(gap)
    }

    /// Takes in a newly loaded state; tells what the sockets have to learn.
    pub fn handle_load(&mut self, world: World, position: Position) -> Resync {
        let before = self.replica.position();
        self.replica = Replica::loaded(world, position);
        if position.tick < before.tick {
            Resync::Reset { from: before.tick, to: position.tick }
        } else {
            Resync::Forward
        }
    }

    /// A snapshot frame of the state as it is.
    pub fn snapshot(&self) -> Bytes {
        let mut payload = Vec::new();
        diff::encode_snapshot(self.replica.world(), &mut payload);
        frame::snapshot(self.replica.position(), self.replica.world().hash(), &payload).into()
    }
}

#[cfg(test)]
mod tests;
