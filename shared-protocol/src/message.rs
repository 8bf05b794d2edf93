//! Control messages: everything on a connection that is not state. Encoded by [`crate::codec`].

use serde::{Deserialize, Serialize};

use crate::chat::{ChatLine, ChatRefusal, ChatTo};
use crate::codec::{self, MessageError};
use crate::frame::{CLIENT_CONTROL, SERVER_CONTROL};
use crate::ids::{InputSeq, MatchId, NodeId, PlayerId, ResumeToken, SessionId};
use crate::limits::{
    CHAT_LINES_MAX, CLIENT_FRAME_BYTES_MAX, INPUT_FIELDS_MAX, NAME_BYTES_MAX, RECONNECT_URL_BYTES_MAX,
};
use crate::tick::{Position, Tick, TickRate};
use crate::values::InputValues;

/// Version of this contract. Both ends say it first; a server refuses another with close code 4503.
pub const PROTOCOL_VERSION: u16 = 5;

/// The WebSocket subprotocol a client may offer.
pub const SUBPROTOCOL: &str = "tickcast.v5";

/// Number of the variant [`ClientMessage::Hello`].
const HELLO: u32 = 0;

/// What a client wants to be put into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Join {
    /// Play any match of this game that has a place; one is created when there is none.
    Quick {
        /// Name of the game; empty for the node's default game.
        game: String,
    },
    /// Play this match.
    Match(MatchId),
    /// Watch this match.
    Spectate(MatchId),
    /// Go on as a player that lost its connection.
    Resume {
        /// The match.
        match_id: MatchId,
        /// Who we are.
        player: PlayerId,
        /// From the last welcome.
        token: ResumeToken,
        /// The last state that was shown; zeros if there was none.
        shown: Position,
        /// How often this player has resumed, with this one: an earlier connection does not displace a later one.
        /// A client that has lost count says [`u32::MAX`].
        attempt: u32,
    },
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The first message of every connection.
    Hello {
        /// [`PROTOCOL_VERSION`] of the client.
        protocol: u16,
        /// The player's name, at most [`NAME_BYTES_MAX`] bytes.
        name: String,
        /// Where to.
        join: Join,
        /// What the game's backend gave the player to show, at most [`TICKET_BYTES_MAX`] bytes; empty for none, as
        /// with [`Join::Resume`], which has a token of its own.
        ///
        /// [`TICKET_BYTES_MAX`]: crate::limits::TICKET_BYTES_MAX
        ticket: String,
    },
    /// The player's input.
    Input {
        /// One more than the input before; the first is 1.
        seq: InputSeq,
        /// The last tick the client had applied when it made the input.
        seen: Tick,
        /// How far the picture that the player was shown was behind it, in 256ths of a tick; 0 if it was that very tick.
        behind: u16,
        /// One value for each input field of the schema.
        values: InputValues,
    },
    /// Asks for a [`ServerMessage::Pong`].
    Ping {
        /// Comes back unchanged.
        nonce: u32,
    },
    /// The client's replica is broken or behind: send a snapshot.
    NeedSnapshot,
    /// The player leaves for good.
    Leave,
    /// The player says something to others.
    Chat {
        /// Greater than that of what the player said before, also before a resume; the first is 1.
        seq: u32,
        /// Whom it is for.
        to: ChatTo,
        /// What is said.
        text: String,
    },
}

/// Whether a session plays or watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Plays, as this player.
    Player(PlayerId),
    /// Watches.
    Spectator,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The answer to the hello. A snapshot follows, then a diff per tick.
    Welcome {
        /// [`PROTOCOL_VERSION`] of the server.
        protocol: u16,
        /// The node this connection is on.
        node: NodeId,
        /// This connection.
        session: SessionId,
        /// The match.
        match_id: MatchId,
        /// Player or spectator. The player's entity appears in the state within a few ticks.
        role: Role,
        /// Ticks per second of the match.
        tick_rate: TickRate,
        /// The schema as JSON.
        schema: String,
        /// What a later connection shows to be this player again; zero for a spectator, who just joins again.
        resume: ResumeToken,
        /// Quiet ticks are held back for this long at most, in milliseconds; 0 where every tick is sent.
        quiet_ms: u16,
    },
    /// The answer to a ping.
    Pong {
        /// The ping's nonce.
        nonce: u32,
        /// The last tick this node has relayed.
        tick: Tick,
    },
    /// The state was set back: what the client saw after `to` did not happen. A snapshot follows.
    Reset {
        /// The last tick before.
        from: Tick,
        /// Less than `from`: up to here what it saw may have happened.
        to: Tick,
    },
    /// The match ended; a close with code 4511 follows.
    Ended,
    /// This node is about to stop: connect anew, at a random moment within that time. State goes on until then.
    Reconnect {
        /// From now, milliseconds.
        within_ms: u32,
        /// Where to, at most [`RECONNECT_URL_BYTES_MAX`] bytes; empty for where one would connect anyway.
        url: String,
    },
    /// Something was said.
    Chat(ChatLine),
    /// What was said before, as far as the match keeps it and the client may read it: at most [`CHAT_LINES_MAX`] lines,
    /// by ascending number. It comes once per connection, behind the first snapshot, for a player who has just joined
    /// behind the tick that lets it in; and after a reset.
    ChatHistory(Vec<ChatLine>),
    /// Something was not said.
    ChatRefused {
        /// The number that the client gave it.
        seq: u32,
        /// Why not.
        reason: ChatRefusal,
    },
}

/// Why a client's frame was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientFrameError {
    /// Longer than a client's frame may be.
    #[error("frame of {0} bytes, at most {CLIENT_FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// The first byte is not that of a client's control frame.
    #[error("unknown frame kind")]
    Kind,
    /// A hello of another version of the protocol, which says the rest in another way.
    #[error("a hello of protocol {0}")]
    Protocol(u16),
    /// Not a message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A name or list is longer than allowed.
    #[error("{0} is too long")]
    Field(&'static str),
}

impl ClientMessage {
    /// The message as a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        let mut out = vec![CLIENT_CONTROL];
        codec::encode_into(self, &mut out);
        out
    }

    /// Reads a client's frame.
    pub fn from_frame(frame: &[u8]) -> Result<ClientMessage, ClientFrameError> {
        if frame.len() > CLIENT_FRAME_BYTES_MAX {
            return Err(ClientFrameError::TooLong(frame.len()));
        }
        let Some((&CLIENT_CONTROL, rest)) = frame.split_first() else { return Err(ClientFrameError::Kind) };
        // Whatever else changes, a hello begins with its variant and its version.
        if let Some((HELLO, protocol)) = codec::decode_prefix::<(u32, u16)>(rest)
            && protocol != PROTOCOL_VERSION
        {
            return Err(ClientFrameError::Protocol(protocol));
        }
        let message: ClientMessage = codec::decode(rest)?;
        match &message {
            ClientMessage::Hello { name, .. } if name.len() > NAME_BYTES_MAX => {
                Err(ClientFrameError::Field("name"))
            }
            ClientMessage::Input { values, .. } if values.len() > INPUT_FIELDS_MAX => {
                Err(ClientFrameError::Field("input"))
            }
            _ => Ok(message),
        }
    }
}

impl ServerMessage {
    /// The message as a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        let mut out = vec![SERVER_CONTROL];
        codec::encode_into(self, &mut out);
        out
    }

    /// Reads a server's control frame; the first byte has been seen to be [`SERVER_CONTROL`].
    pub fn from_frame(frame: &[u8]) -> Result<ServerMessage, MessageError> {
        match codec::decode(frame.get(1..).unwrap_or_default())? {
            ServerMessage::Reconnect { url, .. } if url.len() > RECONNECT_URL_BYTES_MAX => {
                Err(MessageError::Field("url"))
            }
            ServerMessage::ChatHistory(lines) if lines.len() > CHAT_LINES_MAX => {
                Err(MessageError::Field("chat"))
            }
            message => Ok(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_bytes_and_foreign_kinds_are_refused() {
        let mut frame = ClientMessage::Leave.to_frame();
        assert_eq!(ClientMessage::from_frame(&frame), Ok(ClientMessage::Leave));
        frame.push(0);
        assert!(matches!(ClientMessage::from_frame(&frame), Err(ClientFrameError::Message(_))));
        assert_eq!(ClientMessage::from_frame(&[]), Err(ClientFrameError::Kind));
        assert_eq!(ClientMessage::from_frame(&[SERVER_CONTROL, 0]), Err(ClientFrameError::Kind));
        assert_eq!(ClientMessage::from_frame(&[1; 2000]), Err(ClientFrameError::TooLong(2000)));
    }

    #[test]
    fn nobody_is_sent_to_an_endless_url() {
        let sent = |bytes: usize| {
            let message = ServerMessage::Reconnect { within_ms: 5000, url: "u".repeat(bytes) };
            (ServerMessage::from_frame(&message.to_frame()), message)
        };
        let (read, message) = sent(RECONNECT_URL_BYTES_MAX);
        assert_eq!(read, Ok(message));
        assert_eq!(sent(RECONNECT_URL_BYTES_MAX + 1).0, Err(MessageError::Field("url")));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        // An input that claims 2^63 values.
        let frame = [CLIENT_CONTROL, 1, 1, 1, 253, 0, 0, 0, 0, 0, 0, 0, 128];
        assert!(matches!(ClientMessage::from_frame(&frame), Err(ClientFrameError::Message(_))));
    }

    #[test]
    fn a_hello_of_another_version_is_known_as_one() {
        // As version 3 says it: nothing behind the place.
        let frame = [CLIENT_CONTROL, 0, 3, 2, b'B', b'o', 0, 0];
        assert_eq!(ClientMessage::from_frame(&frame), Err(ClientFrameError::Protocol(3)));
        assert_eq!(ClientMessage::from_frame(&[CLIENT_CONTROL, 0, 9]), Err(ClientFrameError::Protocol(9)));
    }
}
