//! What nodes say to each other about a match: ticks and notes from its owner, joins and inputs to it.
//!
//! ```text
//! tick      u8 0x81   u64 epoch   u64 nonce   u64 tick   u32 hash   u64 sent_ms   client frame (DIFF)
//! note      u8 0x82   bincode Note
//! upstream  u8 0x83   bincode Vec<Upstream>
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tickcast_protocol::codec::{self, MessageError};
use tickcast_protocol::frame;
use tickcast_protocol::varint::{DecodeError, Reader};
use tickcast_protocol::{InputSeq, PlayerId, Position, Tick};

const TICK: u8 = 0x81;
const NOTE: u8 = 0x82;
const UPSTREAM: u8 = 0x83;
/// Bytes of a tick message before the client frame.
const TICK_HEADER_BYTES: usize = 1 + 24 + 4 + 8;

/// Entries an upstream message holds at most: keeps it well under the decoder's limit.
pub const UPSTREAM_BATCH_MAX: usize = 256;

/// What an owner says besides ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// The player was not let in.
    Refused {
        /// Who.
        player: PlayerId,
        /// Number of the close code that says why.
        code: u16,
    },
    /// The match is over and gone.
    Ended,
    /// The owner stopped in good order: another node may claim at once.
    Released,
}

/// What a relay says to the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upstream {
    /// A player wants in. Repeated until the player is part of the state.
    Join {
        /// Chosen by the relay.
        player: PlayerId,
        /// For other players to see.
        name: String,
    },
    /// A player's connection ended.
    Leave {
        /// Who.
        player: PlayerId,
    },
    /// A player's input, checked against the schema.
    Input {
        /// Whose.
        player: PlayerId,
        /// Its number.
        seq: InputSeq,
        /// The last tick the player's client had applied.
        seen: Tick,
        /// The values.
        values: Vec<i32>,
    },
    /// These players are still connected. Without it the owner takes them for gone after a while.
    Present {
        /// Players of one relay.
        players: Vec<PlayerId>,
    },
}

/// A message of the diff channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromOwner {
    /// A committed tick.
    Tick(TickMessage),
    /// A note.
    Note(Note),
}

/// A committed tick, as published and as kept in the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickMessage {
    /// Whose tick.
    pub position: Position,
    /// Hash of the state after it.
    pub hash: u32,
    /// When the owner sent it, milliseconds since 1970 by the owner's clock.
    pub sent_ms: u64,
    /// What clients get: a slice of the message, not a copy.
    pub frame: Bytes,
}

/// Why a message of a channel was refused. It came from outside: another version, or somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChannelError {
    /// An unknown first byte.
    #[error("foreign message")]
    Foreign,
    /// Cut short.
    #[error(transparent)]
    Header(#[from] DecodeError),
    /// Not readable.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Builds a tick message around a client frame.
pub fn encode_tick(position: Position, hash: u32, sent_ms: u64, client_frame: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(TICK_HEADER_BYTES + client_frame.len());
    out.push(TICK);
    frame::put_position(&mut out, position);
    out.extend_from_slice(&hash.to_le_bytes());
    out.extend_from_slice(&sent_ms.to_le_bytes());
    out.extend_from_slice(client_frame);
    out.into()
}

/// Builds a note.
pub fn encode_note(note: &Note) -> Bytes {
    let mut out = vec![NOTE];
    codec::encode_into(note, &mut out);
    out.into()
}

/// Builds an upstream message.
pub fn encode_upstream(batch: &[Upstream]) -> Bytes {
    let mut out = vec![UPSTREAM];
    codec::encode_into(&batch, &mut out);
    out.into()
}

/// Reads a message of the diff channel.
pub fn parse_from_owner(message: &Bytes) -> Result<FromOwner, ChannelError> {
    let mut reader = Reader::new(message);
    match reader.byte()? {
        TICK => {
            let position = frame::read_position(&mut reader)?;
            let hash = u32::from_le_bytes(reader.array()?);
            let sent_ms = u64::from_le_bytes(reader.array()?);
            Ok(FromOwner::Tick(TickMessage {
                position,
                hash,
                sent_ms,
                frame: message.slice(TICK_HEADER_BYTES..),
            }))
        }
        NOTE => Ok(FromOwner::Note(codec::decode(reader.rest())?)),
        _ => Err(ChannelError::Foreign),
    }
}

/// Reads a message of the input channel.
pub fn parse_upstream(message: &[u8]) -> Result<Vec<Upstream>, ChannelError> {
    match message.split_first() {
        Some((&UPSTREAM, rest)) => Ok(codec::decode(rest)?),
        _ => Err(ChannelError::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_the_frame_is_a_slice() {
        let message = encode_tick(Position::default(), 7, 8, b"frame");
        let Ok(FromOwner::Tick(tick)) = parse_from_owner(&message) else { panic!("a tick") };
        assert_eq!((tick.hash, tick.sent_ms, &tick.frame[..]), (7, 8, &b"frame"[..]));
        assert_eq!(tick.frame.as_ptr(), message[TICK_HEADER_BYTES..].as_ptr());
        let note = Note::Refused { player: PlayerId(5), code: 4505 };
        assert_eq!(parse_from_owner(&encode_note(&note)), Ok(FromOwner::Note(note)));
        let batch = vec![Upstream::Leave { player: PlayerId(1) }];
        assert_eq!(parse_upstream(&encode_upstream(&batch)), Ok(batch));
    }

    #[test]
    fn foreign_messages_are_refused() {
        for bytes in [&b""[..], b"\x81short", b"\x82\xff", b"hello"] {
            assert!(parse_from_owner(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
            assert!(parse_upstream(bytes).is_err(), "{bytes:?}");
        }
    }
}
