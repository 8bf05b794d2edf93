//! The client's half of a connection, without a socket: frames in, events and frames out.

use std::collections::VecDeque;

use thiserror::Error;

use crate::frame::{SERVER_CONTROL, SNAPSHOT};
use crate::ids::{InputSeq, MatchId, NodeId, PlayerId, SessionId};
use crate::limits::NAME_BYTES_MAX;
use crate::message::{ClientMessage, Join, PROTOCOL_VERSION, Role, ServerMessage};
use crate::replica::{Gap, Progress, Replica};
use crate::schema::{Schema, SchemaError};
use crate::tick::{Tick, TickRate};
use crate::world::{Difference, EntityId};

/// What a frame meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server has let us in; a snapshot follows.
    Welcome,
    /// The whole state arrived: the first, or one that cured a gap.
    Snapshot,
    /// The state is one tick further.
    Advanced,
    /// The state is several ticks further: we were slow, and what we missed came as one.
    CaughtUp,
    /// The frame told nothing new.
    Stale,
    /// The state was lost; a snapshot has been asked for.
    Gap(Gap),
    /// The state was set back.
    Reset {
        /// The last tick before.
        from: Tick,
        /// The tick it goes on from.
        to: Tick,
    },
    /// The answer to a ping.
    Pong {
        /// The ping's nonce.
        nonce: u32,
        /// The last tick the node had relayed.
        tick: Tick,
    },
    /// The match ended.
    Ended,
}

/// What a server did that it must not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerError {
    /// The schema in the welcome is not one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A control frame was not readable.
    #[error("unreadable control frame: {0}")]
    Message(#[from] crate::codec::MessageError),
    /// A frame came before the welcome, or a second welcome.
    #[error("{0}")]
    Order(&'static str),
}

/// What the welcome told.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The match.
    pub match_id: MatchId,
    /// The node.
    pub node: NodeId,
    /// This connection.
    pub session: SessionId,
    /// Player or spectator.
    pub role: Role,
    /// Ticks per second.
    pub tick_rate: TickRate,
    /// The state as far as it is known.
    pub replica: Replica,
}

impl Joined {
    /// The player we are, unless we only watch.
    pub fn player(&self) -> Option<PlayerId> {
        match self.role {
            Role::Player(player) => Some(player),
            Role::Spectator => None,
        }
    }

    /// Our player's entity, once it is part of the state.
    pub fn entity(&self) -> Option<EntityId> {
        let player = self.player()?;
        entity_of(&self.replica, player)
    }

    /// The last of our inputs that the state includes.
    pub fn acknowledged(&self) -> Option<InputSeq> {
        let world = self.replica.world();
        self.entity().map(|id| InputSeq(world.get(id, world.schema().seq_field()) as u32))
    }
}

/// The entity of a player in a replica.
pub fn entity_of(replica: &Replica, player: PlayerId) -> Option<EntityId> {
    let world = replica.world();
    let field = world.schema().player_field();
    world.ids(world.schema().player_kind()).find(|id| world.get(*id, field) as u32 == player.0)
}

/// The client's half of a connection.
#[derive(Debug)]
pub struct Client {
    joined: Option<Joined>,
    last_seq: InputSeq,
    transmit: VecDeque<Vec<u8>>,
}

impl Client {
    /// Begins with a hello in [`Client::poll_transmit`]. The name is cut to [`NAME_BYTES_MAX`] bytes.
    pub fn new(name: &str, join: Join) -> Client {
        let mut end = name.len().min(NAME_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let hello = ClientMessage::Hello { protocol: PROTOCOL_VERSION, name: name[..end].to_owned(), join };
        Client { joined: None, last_seq: InputSeq(0), transmit: VecDeque::from([hello.to_frame()]) }
    }

    /// What the welcome told, once it is there.
    pub fn joined(&self) -> Option<&Joined> {
        self.joined.as_ref()
    }

    /// The number of the last input sent.
    pub fn last_seq(&self) -> InputSeq {
        self.last_seq
    }

    /// Where the state was wrong that a snapshot has just repaired, if that can be told: see
    /// [`Replica::take_difference`].
    pub fn take_difference(&mut self) -> Option<Difference> {
        self.joined.as_mut()?.replica.take_difference()
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// Sends an input: one value for each input field of the schema. Returns its number; `None` before the
    /// welcome, for a spectator, or when the values are not what the schema says.
    pub fn input(&mut self, values: &[i32]) -> Option<InputSeq> {
        let joined = self.joined.as_ref()?;
        joined.player()?;
        if !joined.replica.world().schema().admits_input(values) {
            return None;
        }
        let seq = InputSeq(self.last_seq.0.checked_add(1).filter(|next| *next <= i32::MAX as u32)?);
        let seen = joined.replica.position().tick;
        self.last_seq = seq;
        self.transmit.push_back(ClientMessage::Input { seq, seen, values: values.to_vec() }.to_frame());
        Some(seq)
    }

    /// Sends a ping.
    pub fn ping(&mut self, nonce: u32) {
        self.transmit.push_back(ClientMessage::Ping { nonce }.to_frame());
    }

    /// Says goodbye.
    pub fn leave(&mut self) {
        self.transmit.push_back(ClientMessage::Leave.to_frame());
    }

    /// Takes in a frame from the server.
    pub fn handle_frame(&mut self, frame: &[u8]) -> Result<Event, ServerError> {
        if frame.first() == Some(&SERVER_CONTROL) {
            return self.handle_message(ServerMessage::from_frame(frame)?);
        }
        let Some(joined) = &mut self.joined else {
            return Err(ServerError::Order("state before the welcome"));
        };
        let before = joined.replica.position();
        let is_snapshot = frame.first() == Some(&SNAPSHOT);
        Ok(match joined.replica.apply(frame) {
            Progress::Advanced if is_snapshot => Event::Snapshot,
            Progress::Advanced if joined.replica.position().tick == before.tick.next() => Event::Advanced,
            Progress::Advanced => Event::CaughtUp,
            Progress::Stale => Event::Stale,
            // Diffs that come before the snapshot that was asked for.
            Progress::Gap(Gap::Waiting) => Event::Stale,
            Progress::Gap(gap) => {
                self.transmit.push_back(ClientMessage::NeedSnapshot.to_frame());
                Event::Gap(gap)
            }
        })
    }

    fn handle_message(&mut self, message: ServerMessage) -> Result<Event, ServerError> {
        match message {
            ServerMessage::Welcome { node, session, match_id, role, tick_rate, schema, .. } => {
                if self.joined.is_some() {
                    return Err(ServerError::Order("a second welcome"));
                }
                let replica = Replica::empty(Schema::from_json(&schema)?);
                self.joined = Some(Joined { match_id, node, session, role, tick_rate, replica });
                Ok(Event::Welcome)
            }
            ServerMessage::Pong { nonce, tick } => Ok(Event::Pong { nonce, tick }),
            ServerMessage::Reset { from, to } => {
                if let Some(joined) = &mut self.joined {
                    joined.replica.invalidate();
                }
                Ok(Event::Reset { from, to })
            }
            ServerMessage::Ended => Ok(Event::Ended),
        }
    }
}

#[cfg(test)]
mod tests;
