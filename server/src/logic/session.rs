//! The server's half of one connection: what a client may say when, how often, and what it means.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tickcast_protocol::chat::{ChatRefusal, ChatText, ChatTo, plain};
use tickcast_protocol::message::{ClientFrameError, ClientMessage, Join, PROTOCOL_VERSION, Role};
use tickcast_protocol::{CloseCode, InputSeq, InputValues, PlayerId, Schema, Tick, TickRate};

use crate::logic::chat::Saying;
use crate::logic::ingress::{Ingress, MESSAGES_PER_SECOND_MIN, message_rate};
use crate::logic::rate::Bucket;

/// How long a connection may take to say hello.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// How long a connection may be silent before a ping goes along with the next state that it is sent: one write for both.
pub const IDLE_OFFER: Duration = Duration::from_secs(3);
/// How long a connection may be silent before it is pinged, whether it is sent something or not.
pub const IDLE_PING: Duration = Duration::from_secs(5);
/// How long a connection may be silent before it is closed.
pub const IDLE_CLOSE: Duration = Duration::from_secs(10);
/// Lines of chat that a player saves up.
const CHAT_BURST: u32 = 5;
/// Lines that may be refused in quick succession, each told; who goes on is closed. One is forgotten per second.
const CHAT_REFUSALS: u32 = 20;

/// What the connection's shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Nothing.
    Nothing,
    /// Find the match and put the client into it.
    Join {
        /// The player's name.
        name: String,
        /// Where to.
        join: Join,
        /// The ticket that was shown; empty for none.
        ticket: String,
    },
    /// Pass the input on.
    Input {
        /// Who we are.
        player: PlayerId,
        /// Its number.
        seq: InputSeq,
        /// The last tick the client had applied.
        seen: Tick,
        /// How far what it showed was behind that, in 256ths of a tick.
        behind: u16,
        /// The values.
        values: InputValues,
    },
    /// Pass what the player says on.
    Say(Saying),
    /// Tell the client that something is not said.
    Refuse {
        /// Its number, by the client.
        seq: u32,
        /// Why.
        reason: ChatRefusal,
    },
    /// Answer a ping.
    Pong {
        /// The ping's nonce.
        nonce: u32,
    },
    /// Send a snapshot.
    Snapshot,
    /// Send a WebSocket ping with the next state: the client is silent.
    OfferPing,
    /// Send a WebSocket ping now.
    Ping {
        /// One was to go with the next state: only if it has not gone.
        was_offered: bool,
    },
    /// Close the connection, with this for the client to read.
    Close(CloseCode, String),
}

#[derive(Debug)]
enum State {
    AwaitingHello { deadline: Instant },
    Joining,
    Joined { role: Role, schema: Arc<Schema> },
    Closed,
}

/// The server's half of one connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    messages: Bucket,
    ingress: Ingress,
    /// `None` where there is no chat.
    chat: Option<Bucket>,
    refusals: Bucket,
    heard: Instant,
    asked: Asked,
}

/// Whether a silent client was asked for a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    /// As soon as it is sent something.
    Soon,
    Yes,
}

impl Session {
    /// A connection that has just been accepted. Its player may say so many lines per minute, and send so many bytes
    /// per second, or what the inputs of its match need.
    pub fn new(now: Instant, chat_per_minute: u32, bytes_per_second: u32) -> Session {
        let every = Duration::from_secs(60).checked_div(chat_per_minute);
        Session {
            state: State::AwaitingHello { deadline: now + HELLO_DEADLINE },
            messages: Bucket::new(now, MESSAGES_PER_SECOND_MIN, 2 * MESSAGES_PER_SECOND_MIN),
            ingress: Ingress::new(now, bytes_per_second),
            chat: every.map(|every| Bucket::every(now, every, CHAT_BURST)),
            refusals: Bucket::new(now, 1, CHAT_REFUSALS),
            heard: now,
            asked: Asked::No,
        }
    }

    /// The client is in its match.
    pub fn handle_joined(&mut self, now: Instant, role: Role, schema: Arc<Schema>, rate: TickRate) {
        let (per_second, at_once) = message_rate(rate);
        self.messages = Bucket::new(now, per_second, at_once);
        self.ingress.handle_joined(now, rate, schema.input().len());
        self.state = State::Joined { role, schema };
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub fn timeout(&self) -> Instant {
        let due = match self.state {
            State::AwaitingHello { deadline } => deadline,
            _ => match self.asked {
                Asked::No => self.heard + IDLE_OFFER,
                Asked::Soon => self.heard + IDLE_PING,
                Asked::Yes => self.heard + IDLE_CLOSE,
            },
        };
        self.ingress.deadline().map_or(due, |deadline| deadline.min(due))
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Output {
        match self.state {
            State::Closed => Output::Nothing,
            State::AwaitingHello { deadline } if deadline <= now => self.close(CloseCode::HelloDeadline, ""),
            _ if self.ingress.deadline().is_some_and(|deadline| deadline <= now) => {
                self.close(CloseCode::NoPong, "a message was begun and did not end in time")
            }
            _ if self.heard + IDLE_CLOSE <= now => self.close(CloseCode::NoPong, ""),
            _ if self.heard + IDLE_PING <= now && self.asked != Asked::Yes => {
                let before = std::mem::replace(&mut self.asked, Asked::Yes);
                Output::Ping { was_offered: before == Asked::Soon }
            }
            _ if self.heard + IDLE_OFFER <= now && self.asked == Asked::No => {
                self.asked = Asked::Soon;
                Output::OfferPing
            }
            _ => Output::Nothing,
        }
    }

    /// Looks at what the next message will need.
    pub fn warm(&self, now: Instant) {
        black_box((self.messages.is_full(now), self.ingress.is_idle(now), self.heard, self.asked));
    }

    /// So many bytes were read from the socket.
    pub fn handle_bytes(&mut self, now: Instant, count: usize) -> Output {
        match self.ingress.handle_bytes(now, count) {
            true => Output::Nothing,
            false => self.close(CloseCode::RateLimited, "too many bytes: slow down"),
        }
    }

    /// A message was read to its end.
    pub fn handle_whole(&mut self) {
        self.ingress.handle_whole();
    }

    /// The socket has no more for now; what it had may have ended within a message.
    pub fn handle_pause(&mut self, now: Instant, is_within: bool) {
        self.ingress.handle_pause(now, is_within);
    }

    /// A WebSocket ping or pong arrived.
    pub fn handle_sign_of_life(&mut self, now: Instant) -> Output {
        if !self.messages.take(now) {
            return self.close(CloseCode::RateLimited, "");
        }
        self.heard = now;
        self.asked = Asked::No;
        Output::Nothing
    }

    /// A binary frame arrived.
    pub fn handle_frame(&mut self, now: Instant, frame: &[u8]) -> Output {
        if let Output::Close(code, text) = self.handle_sign_of_life(now) {
            return Output::Close(code, text);
        }
        let message = match ClientMessage::from_frame(frame) {
            Ok(message) => message,
            Err(ClientFrameError::Protocol(theirs)) if matches!(self.state, State::AwaitingHello { .. }) => {
                let text = format!("this server speaks protocol {PROTOCOL_VERSION}, the client {theirs}");
                return self.close(CloseCode::ProtocolVersion, &text);
            }
            Err(error) => return self.close(CloseCode::Malformed, &error.to_string()),
        };
        match (&self.state, message) {
            (State::Closed, _) => Output::Nothing,
            (State::AwaitingHello { .. }, ClientMessage::Hello { name, join, ticket, .. }) => {
                self.handle_hello(&name, join, ticket)
            }
            (State::AwaitingHello { .. }, _) => {
                self.close(CloseCode::Malformed, "the first message is a hello")
            }
            (_, ClientMessage::Hello { .. }) => self.close(CloseCode::Malformed, "a second hello"),
            (_, ClientMessage::Ping { nonce }) => Output::Pong { nonce },
            (_, ClientMessage::Leave) => self.close(CloseCode::Normal, ""),
            (State::Joining, _) => self.close(CloseCode::Malformed, "only pings before the welcome"),
            (State::Joined { .. }, ClientMessage::NeedSnapshot) => Output::Snapshot,
            (State::Joined { .. }, ClientMessage::Chat { seq, to, text }) => {
                self.handle_chat(now, seq, to, &text)
            }
            (State::Joined { role, schema }, ClientMessage::Input { seq, seen, behind, values }) => {
                match role {
                    Role::Spectator => self.close(CloseCode::Malformed, "spectators send no input"),
                    Role::Player(_) if !schema.admits_input(&values) => {
                        self.close(CloseCode::Malformed, "input values do not fit the schema")
                    }
                    Role::Player(player) => Output::Input { player: *player, seq, seen, behind, values },
                }
            }
        }
    }

    fn handle_chat(&mut self, now: Instant, seq: u32, to: ChatTo, text: &str) -> Output {
        match self.admit_chat(now, to, text) {
            Ok((player, text)) => Output::Say(Saying { player, seq, to, text }),
            Err(_) if !self.refusals.take(now) => {
                self.close(CloseCode::RateLimited, "too much chat: slow down")
            }
            Err(reason) => Output::Refuse { seq, reason },
        }
    }

    fn admit_chat(
        &mut self,
        now: Instant,
        to: ChatTo,
        text: &str,
    ) -> Result<(PlayerId, ChatText), ChatRefusal> {
        let chat = self.chat.as_mut().ok_or(ChatRefusal::Off)?;
        let State::Joined { role: Role::Player(player), schema } = &self.state else {
            return Err(ChatRefusal::Spectator);
        };
        if to == ChatTo::Team && schema.team_field().is_none() {
            return Err(ChatRefusal::NoTeam);
        }
        let text = plain(text);
        let unfit = if text.is_empty() { ChatRefusal::Empty } else { ChatRefusal::TooLong };
        let text = ChatText::try_from(text).map_err(|_| unfit)?;
        if chat.take(now) { Ok((*player, text)) } else { Err(ChatRefusal::TooFast) }
    }

    /// Its version is ours, or it would not have been read.
    fn handle_hello(&mut self, name: &str, join: Join, ticket: String) -> Output {
        self.state = State::Joining;
        let name = Some(plain(name)).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| "player".to_owned());
        Output::Join { name, join, ticket }
    }

    fn close(&mut self, code: CloseCode, text: &str) -> Output {
        self.state = State::Closed;
        let text = if text.is_empty() { code.text() } else { text };
        Output::Close(code, text.to_owned())
    }
}

#[cfg(test)]
mod tests;
