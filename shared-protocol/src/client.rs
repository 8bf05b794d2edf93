//! The client's half of its connections, without a socket: frames in, events and frames out. One connection after
//! the other: [`Client::resume`] begins the next one, and inputs that got lost with the last one are sent again.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;

use self::inputs::Inputs;
use self::talk::Talk;

use crate::chat::{ChatLine, ChatRefusal, ChatTo};
use crate::frame::{DIFF, OWNER, SERVER_CONTROL, SNAPSHOT, VIEW};
use crate::ids::{InputSeq, MatchId, NodeId, PlayerId, ResumeToken, SessionId};
use crate::limits::NAME_BYTES_MAX;
use crate::message::{ClientMessage, Join, PROTOCOL_VERSION, Role, ServerMessage};
use crate::replica::{Gap, Progress, Replica};
use crate::schema::{Schema, SchemaError};
use crate::tick::{Position, Tick, TickRate};
use crate::world::{Difference, EntityId};

mod inputs;
mod talk;

pub use self::inputs::INPUTS_KEPT_MAX;
pub use self::talk::SAID_KEPT_MAX;

/// What a frame meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server has let us in; a snapshot follows.
    Welcome,
    /// The whole state arrived: the first, or one that cured a gap.
    Snapshot,
    /// The state is one tick further, or further by ticks that changed nothing and were held back before this one.
    Advanced,
    /// The state is several ticks further: we were slow, and what we missed came as one.
    CaughtUp,
    /// Another owner goes on from the very state that we have. Inputs that are not acknowledged were sent again.
    NewOwner,
    /// The frame told nothing new.
    Stale,
    /// The state was lost; a snapshot has been asked for.
    Gap(Gap),
    /// The state was set back.
    Reset {
        /// The last tick before.
        from: Tick,
        /// Less than `from`: up to here what was seen may have happened.
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
    /// The node is about to stop: open the next connection at a random moment within that time, [`Client::resume`]
    /// on it, and only then let this one go. The state goes on here until then.
    Reconnect {
        /// From now.
        within: Duration,
        /// Where to; `None` for where one would connect anyway.
        url: Option<String>,
    },
    /// What was said and not told before, in its order; of what was said before we came, as much as is kept.
    Chat(Vec<ChatLine>),
    /// Something that we said is not heard.
    ChatRefused {
        /// Its number.
        seq: u32,
        /// Why.
        reason: ChatRefusal,
    },
}

/// A client that was never let in has nothing to resume: it joins anew, with [`Client::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("never let in, so there is nothing to resume")]
pub struct NeverWelcomed;

/// What a server did that it must not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerError {
    /// The schema in the welcome is not one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A control frame was not readable.
    #[error("unreadable control frame: {0}")]
    Message(#[from] crate::codec::MessageError),
    /// A frame came before the welcome, a second welcome, or one into another place than was resumed.
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
    /// What the next connection shows to be the same player.
    pub resume: ResumeToken,
    /// For how long ticks that change nothing may be held back.
    pub quiet: Duration,
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

/// The client's half of its connections.
#[derive(Debug)]
pub struct Client {
    name: String,
    /// What a hello that is no resume shows.
    ticket: String,
    /// Where to, until the hello is taken.
    hello: Option<Join>,
    joined: Option<Joined>,
    /// Whether this connection was let in.
    welcomed: bool,
    /// The first state of a resumed connection is still to come.
    resuming: bool,
    inputs: Inputs,
    talk: Talk,
    /// On a resumed connection what was said before is still to come; then we say again what was not heard.
    awaits_chat: bool,
    /// The last good state's position, over all connections.
    shown: Option<Position>,
    /// How often we have resumed.
    attempt: u32,
    /// Our player's entity, remembered because a search looks at every player.
    entity: Option<EntityId>,
    transmit: VecDeque<Vec<u8>>,
}

impl Client {
    /// Begins with a hello in [`Client::poll_transmit`]. The name is cut to [`NAME_BYTES_MAX`] bytes.
    pub fn new(name: &str, join: Join) -> Client {
        let mut end = name.len().min(NAME_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        Client {
            name: name[..end].to_owned(),
            ticket: String::new(),
            hello: Some(join),
            joined: None,
            welcomed: false,
            resuming: false,
            inputs: Inputs::default(),
            talk: Talk::default(),
            awaits_chat: false,
            shown: None,
            attempt: 0,
            entity: None,
            transmit: VecDeque::new(),
        }
    }

    /// Whether the hello that is still to be sent shows a ticket, where one is asked for: a player who is back needs none.
    pub fn needs_ticket(&self) -> bool {
        self.hello.as_ref().is_some_and(|join| !matches!(join, Join::Resume { .. }))
    }

    /// Lets the hello that is still to be sent show this ticket. A ticket is good once: each connection of a spectator
    /// needs another one.
    pub fn show_ticket(&mut self, ticket: String) {
        self.ticket = ticket;
    }

    /// The connection is gone or about to be: begins the next one, with a hello in [`Client::poll_transmit`] that
    /// asks for the same place. What was not sent is dropped, and the state waits for a snapshot; inputs that are
    /// not acknowledged are sent again once it is there. May be called again when that connection fails too.
    pub fn resume(&mut self) -> Result<(), NeverWelcomed> {
        let joined = self.joined.as_mut().ok_or(NeverWelcomed)?;
        joined.replica.invalidate();
        self.attempt = self.attempt.saturating_add(1);
        let (match_id, token) = (joined.match_id.clone(), joined.resume);
        let (shown, attempt) = (self.shown.unwrap_or_default(), self.attempt);
        let join = match joined.role {
            Role::Player(player) => Join::Resume { match_id, player, token, shown, attempt },
            Role::Spectator => Join::Spectate(match_id),
        };
        (self.welcomed, self.resuming, self.awaits_chat) = (false, true, true);
        self.transmit.clear();
        self.hello = Some(join);
        Ok(())
    }

    /// The name in our hellos.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the last welcome told, once there was one; the state is that of the last connection until a resumed
    /// one is let in.
    pub fn joined(&self) -> Option<&Joined> {
        self.joined.as_ref()
    }

    /// Whether this connection has been let in.
    pub fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// The number of the last input sent. Numbers go on over all connections.
    pub fn last_seq(&self) -> InputSeq {
        self.inputs.last_seq()
    }

    /// How many times an input was sent again, over all connections.
    pub fn inputs_sent_again(&self) -> u64 {
        self.inputs.sent_again()
    }

    /// Where the state was wrong that a snapshot has just repaired, if that can be told: see
    /// [`Replica::take_difference`].
    pub fn take_difference(&mut self) -> Option<Difference> {
        self.joined.as_mut()?.replica.take_difference()
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if let Some(join) = self.hello.take() {
            let ticket = match join {
                Join::Resume { .. } => String::new(),
                Join::Quick { .. } | Join::Match(_) | Join::Spectate(_) => std::mem::take(&mut self.ticket),
            };
            let (protocol, name) = (PROTOCOL_VERSION, self.name.clone());
            return Some(ClientMessage::Hello { protocol, name, join, ticket }.to_frame());
        }
        self.transmit.pop_front()
    }

    /// Sends an input: one value for each input field of the schema. Returns its number; `None` before the
    /// welcome, on a resumed connection also before the state, before the player is part of the state, for a
    /// spectator, or when the values are not what the schema says. It is kept until the state acknowledges it, at most [`INPUTS_KEPT_MAX`] of them. The player
    /// acts on the state as it is; one who is shown an earlier picture acts with [`Client::input_behind`].
    pub fn input(&mut self, values: &[i32]) -> Option<InputSeq> {
        self.input_behind(values, 0)
    }

    /// Sends an input of a player who is shown a picture so many 256ths of a tick behind the state, as one is where
    /// the state is interpolated.
    pub fn input_behind(&mut self, values: &[i32], behind: u16) -> Option<InputSeq> {
        let joined = self.joined.as_ref().filter(|_| self.welcomed && !self.resuming)?;
        joined.player()?;
        // Nobody would take the first ones, and those behind them would wait for them.
        if self.inputs.last_seq() == InputSeq(0) {
            joined.entity()?;
        }
        if !joined.replica.world().schema().admits_input(values) {
            return None;
        }
        let frame = self.inputs.push(joined.replica.position().tick, behind, values)?;
        self.transmit.push_back(frame);
        Some(self.inputs.last_seq())
    }

    /// Says something to others, and returns its number; `None` before the first welcome, and for a spectator. It is
    /// kept until it is heard, and said again on the next connection: at most [`SAID_KEPT_MAX`] lines.
    pub fn say(&mut self, to: ChatTo, text: &str) -> Option<u32> {
        self.joined.as_ref()?.player()?;
        let (seq, frame) = self.talk.say(to, text);
        if !self.awaits_chat {
            self.transmit.push_back(frame);
        }
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
        let Some(joined) = self.joined.as_mut().filter(|_| self.welcomed) else {
            return Err(ServerError::Order("state before the welcome"));
        };
        let before = joined.replica.position();
        let is_snapshot = matches!(frame.first(), Some(&(SNAPSHOT | VIEW)));
        let is_owner = frame.first() == Some(&OWNER);
        let is_diff = frame.first().is_some_and(|first| first & 0xf0 == DIFF);
        let progress = joined.replica.apply(frame);
        let after = joined.replica.position();
        if !matches!(progress, Progress::Gap(_)) && !joined.replica.is_broken() {
            self.handle_state(after, is_owner);
        }
        Ok(match progress {
            Progress::Advanced if is_snapshot => Event::Snapshot,
            Progress::Advanced if is_diff || after.tick == before.tick.next() => Event::Advanced,
            Progress::Advanced => Event::CaughtUp,
            Progress::Stale if after.fence != before.fence => Event::NewOwner,
            Progress::Stale => Event::Stale,
            // Diffs that come before the snapshot that was asked for.
            Progress::Gap(Gap::Waiting) => Event::Stale,
            Progress::Gap(gap) => {
                self.transmit.push_back(ClientMessage::NeedSnapshot.to_frame());
                Event::Gap(gap)
            }
        })
    }

    /// The state is good: forgets the inputs that it acknowledges. The others are sent again where they may have
    /// got lost: with the last connection, with the last owner, or on their way to an owner that asks for them by
    /// being `announced` once more.
    fn handle_state(&mut self, at: Position, announced: bool) {
        let changed = self.shown.replace(at).is_some_and(|before| before.fence != at.fence) || announced;
        let again = std::mem::take(&mut self.resuming) || changed;
        // Before the first one it is to be seen where the numbers go on from.
        if self.inputs.is_empty() && self.inputs.last_seq() > InputSeq(0) {
            return;
        }
        if let Some(applied) = self.acknowledged() {
            self.inputs.acknowledge(applied);
        }
        if again {
            self.transmit.extend(self.inputs.send_again());
        }
    }

    fn acknowledged(&mut self) -> Option<InputSeq> {
        let joined = self.joined.as_ref()?;
        let player = joined.player()?;
        let world = joined.replica.world();
        let field = world.schema().player_field();
        let known = self.entity.filter(|id| world.contains(*id) && world.get(*id, field) as u32 == player.0);
        self.entity = known.or_else(|| entity_of(&joined.replica, player));
        self.entity.map(|id| InputSeq(world.get(id, world.schema().seq_field()) as u32))
    }

    fn handle_lines(&mut self, lines: Vec<ChatLine>) -> Event {
        let me = self.joined.as_ref().and_then(Joined::player);
        let new = self.talk.handle_lines(lines, me);
        if new.is_empty() { Event::Stale } else { Event::Chat(new) }
    }

    fn handle_message(&mut self, message: ServerMessage) -> Result<Event, ServerError> {
        match message {
            ServerMessage::Welcome {
                node,
                session,
                match_id,
                role,
                tick_rate,
                schema,
                resume,
                quiet_ms,
                ..
            } => {
                if self.welcomed {
                    return Err(ServerError::Order("a second welcome"));
                }
                if self.joined.as_ref().is_some_and(|old| old.match_id != match_id || old.role != role) {
                    return Err(ServerError::Order("a welcome into another place than was resumed"));
                }
                let replica = Replica::empty(Schema::from_json(&schema)?);
                (self.welcomed, self.entity) = (true, None);
                let quiet = Duration::from_millis(u64::from(quiet_ms));
                self.joined =
                    Some(Joined { match_id, node, session, role, tick_rate, resume, quiet, replica });
                Ok(Event::Welcome)
            }
            ServerMessage::Pong { nonce, tick } => Ok(Event::Pong { nonce, tick }),
            ServerMessage::Reset { from, to } => {
                if let Some(joined) = &mut self.joined {
                    joined.replica.invalidate();
                }
                self.talk.handle_reset(to);
                Ok(Event::Reset { from, to })
            }
            ServerMessage::Ended => Ok(Event::Ended),
            ServerMessage::Reconnect { within_ms, url } => Ok(Event::Reconnect {
                within: Duration::from_millis(u64::from(within_ms)),
                url: Some(url).filter(|url| !url.is_empty()),
            }),
            ServerMessage::Chat(line) => Ok(self.handle_lines(vec![line])),
            ServerMessage::ChatHistory(lines) => {
                let event = self.handle_lines(lines);
                if std::mem::take(&mut self.awaits_chat) {
                    self.transmit.extend(self.talk.say_again());
                }
                Ok(event)
            }
            ServerMessage::ChatRefused { seq, reason } => {
                self.talk.handle_refused(seq);
                // What was said already was heard, or is behind what is kept.
                let is_news = reason != ChatRefusal::Repeated;
                Ok(if is_news { Event::ChatRefused { seq, reason } } else { Event::Stale })
            }
        }
    }
}

#[cfg(test)]
mod tests;
