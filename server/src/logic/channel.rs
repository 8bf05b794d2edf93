//! What nodes say to each other about a match: ticks and notes from its owner, joins and inputs to it.
//!
//! ```text
//! tick      u8 0x81   u64 epoch   u64 nonce   u64 tick   u32 hash   u64 sent_ms   client frame (DIFF)
//! note      u8 0x82   bincode Note
//! upstream  u8 0x83   bincode Vec<Upstream>
//! tick      u8 0x84   as 0x81 up to sent_ms   u32 length   client frame (DIFF)   client frame (PRIOR)
//! tick      u8 0x85   as 0x81 up to sent_ms   u32 length   client frame (DIFF)   u32 length   client frame (PRIOR) or
//!                     nothing   bincode Vec<ChatLine>
//! tick      u8 0x86   as 0x85, and before the lines their u32 length; behind them view changes (logic/views)
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tickcast_protocol::chat::{ChatLine, ChatRefusal, ChatText, ChatTo};
use tickcast_protocol::codec::{self, MessageError};
use tickcast_protocol::frame;
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::varint::{DecodeError, Reader};
use tickcast_protocol::{InputSeq, InputValues, PlayerId, Position, SessionId, Tick};

use crate::logic::resume::TokenDigest;
use crate::logic::views::{self, ViewChange};

const TICK: u8 = 0x81;
const NOTE: u8 = 0x82;
const UPSTREAM: u8 = 0x83;
const TICK_WITH_PRIOR: u8 = 0x84;
const TICK_WITH_CHAT: u8 = 0x85;
const TICK_WITH_VIEWS: u8 = 0x86;
/// Bytes of a tick message before the client frame, or before its length.
const TICK_HEADER_BYTES: usize = 1 + 24 + 4 + 8;
/// Bytes of the length of a frame that has something behind it.
const LENGTH_BYTES: usize = 4;

/// Entries an upstream message holds at most: keeps it well under the decoder's limit.
pub const UPSTREAM_BATCH_MAX: usize = 128;

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
    /// The owner gave the match up: another node may claim.
    Released,
    /// Inputs were lost on their way: clients are to send again what the state does not acknowledge.
    InputsLost,
    /// A player is on this connection from now on, and on no other.
    Resumed {
        /// Who.
        player: PlayerId,
        /// The connection.
        session: SessionId,
        /// Which of the player's resumes made it; 0 is the join.
        attempt: u32,
    },
    /// A line was not said.
    ChatRefused {
        /// Whose.
        player: PlayerId,
        /// Its number, by the player's client.
        seq: u32,
        /// Why.
        reason: ChatRefusal,
    },
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
        /// Of the token that gives the player back on another connection.
        token: TokenDigest,
        /// The account, if the player came with a ticket.
        subject: Option<Subject>,
    },
    /// A player is back on another connection, which has shown the token. Repeated until the owner has told it.
    Resume {
        /// Who.
        player: PlayerId,
        /// The connection.
        session: SessionId,
        /// Which of the player's resumes made it; 0 is the join.
        attempt: u32,
        /// Of the token that it has shown.
        token: TokenDigest,
    },
    /// A player left for good.
    Leave {
        /// Who.
        player: PlayerId,
        /// Of the token that the connection had shown.
        token: TokenDigest,
    },
    /// A player's input, checked against the schema.
    Input {
        /// Whose.
        player: PlayerId,
        /// Its number.
        seq: InputSeq,
        /// The last tick the player's client had applied.
        seen: Tick,
        /// How far what it showed was behind that, in 256ths of a tick.
        behind: u16,
        /// The values.
        values: InputValues,
    },
    /// These players are still connected. Without it the owner takes them for gone after a while.
    Present {
        /// Players of one relay.
        players: Vec<PlayerId>,
    },
    /// A player says something. Repeated until it is part of a tick, or refused.
    Chat {
        /// Who.
        player: PlayerId,
        /// Its number, by the player's client.
        seq: u32,
        /// Whom it is for.
        to: ChatTo,
        /// What is said.
        text: ChatText,
    },
    /// An operator puts a player out.
    Kick {
        /// Who.
        player: PlayerId,
    },
}

impl Upstream {
    /// Whether a match at rest cannot go on resting when this is said.
    pub fn ends_rest(&self) -> bool {
        !matches!(self, Upstream::Present { .. })
    }
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TickMessage {
    /// Whose tick.
    pub position: Position,
    /// Hash of the state after it.
    pub hash: u32,
    /// When the owner sent it, milliseconds since 1970 by the owner's clock.
    pub sent_ms: u64,
    /// What clients get, a DIFF: a slice of the message, not a copy.
    pub frame: Bytes,
    /// What they get behind it where later diffs are coded with a new prior, a PRIOR: a slice as well.
    pub prior: Option<Bytes>,
    /// What was said in it.
    pub lines: Vec<ChatLine>,
    /// Who gets other segments from it on.
    pub views: Vec<ViewChange>,
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

/// Builds a tick message around its DIFF, if later diffs are coded with a new prior the PRIOR, what was said, and whose
/// views changed.
pub fn encode_tick(
    position: Position,
    hash: u32,
    sent_ms: u64,
    client_frame: &[u8],
    prior: Option<&[u8]>,
    lines: &[ChatLine],
    changes: &[ViewChange],
) -> Bytes {
    let further = prior.map_or(0, |prior| LENGTH_BYTES + prior.len());
    let mut out = Vec::with_capacity(TICK_HEADER_BYTES + client_frame.len() + further);
    let first = match (changes, lines, prior) {
        ([], [], None) => TICK,
        ([], [], Some(_)) => TICK_WITH_PRIOR,
        ([], ..) => TICK_WITH_CHAT,
        _ => TICK_WITH_VIEWS,
    };
    out.push(first);
    frame::put_position(&mut out, position);
    out.extend_from_slice(&hash.to_le_bytes());
    out.extend_from_slice(&sent_ms.to_le_bytes());
    if first != TICK {
        out.extend_from_slice(&(client_frame.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(client_frame);
    let prior = prior.unwrap_or_default();
    if matches!(first, TICK_WITH_CHAT | TICK_WITH_VIEWS) {
        out.extend_from_slice(&(prior.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(prior);
    match first {
        TICK_WITH_CHAT => codec::encode_into(&lines, &mut out),
        TICK_WITH_VIEWS => {
            let lines = codec::encode(&lines);
            out.extend_from_slice(&(lines.len() as u32).to_le_bytes());
            out.extend_from_slice(&lines);
            views::encode(changes, &mut out);
        }
        _ => {}
    }
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
        first @ (TICK | TICK_WITH_PRIOR | TICK_WITH_CHAT | TICK_WITH_VIEWS) => {
            let position = frame::read_position(&mut reader)?;
            let hash = u32::from_le_bytes(reader.array()?);
            let sent_ms = u64::from_le_bytes(reader.array()?);
            let mut read = TickMessage { position, hash, sent_ms, ..TickMessage::default() };
            if first == TICK {
                read.frame = message.slice(TICK_HEADER_BYTES..);
                return Ok(FromOwner::Tick(read));
            }
            read.frame = message.slice_ref(take_measured(&mut reader)?);
            if first == TICK_WITH_PRIOR {
                read.prior = Some(message.slice_ref(reader.rest()));
                return Ok(FromOwner::Tick(read));
            }
            let prior = Some(take_measured(&mut reader)?).filter(|prior| !prior.is_empty());
            read.prior = prior.map(|prior| message.slice_ref(prior));
            if first == TICK_WITH_CHAT {
                read.lines = codec::decode(reader.rest())?;
            } else {
                read.lines = codec::decode(take_measured(&mut reader)?)?;
                read.views = views::decode(reader.rest())?;
            }
            Ok(FromOwner::Tick(read))
        }
        NOTE => Ok(FromOwner::Note(codec::decode(reader.rest())?)),
        _ => Err(ChannelError::Foreign),
    }
}

/// So many bytes as the length before them says.
fn take_measured<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = u32::from_le_bytes(reader.array()?);
    reader.take(usize::try_from(length).map_err(|_| DecodeError::End)?)
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
    use tickcast_protocol::limits::CHAT_BYTES_MAX;

    use super::*;

    fn tick(message: &Bytes) -> TickMessage {
        match parse_from_owner(message) {
            Ok(FromOwner::Tick(tick)) => tick,
            other => panic!("not a tick: {other:?}"),
        }
    }

    #[test]
    fn messages_come_back_and_their_frames_are_slices() {
        let message = encode_tick(Position::default(), 7, 8, b"frame", None, &[], &[]);
        let read = tick(&message);
        assert_eq!((read.hash, read.sent_ms, &read.frame[..], read.prior), (7, 8, &b"frame"[..], None));
        assert_eq!(read.frame.as_ptr(), message[TICK_HEADER_BYTES..].as_ptr());
        let message = encode_tick(Position::default(), 7, 8, b"frame", Some(b"prior"), &[], &[]);
        let read = tick(&message);
        let prior = read.prior.expect("there is one");
        assert_eq!((&read.frame[..], &prior[..]), (&b"frame"[..], &b"prior"[..]));
        assert!(message.as_ptr_range().contains(&read.frame.as_ptr()), "a slice, not a copy");
        assert!(message.as_ptr_range().contains(&prior.as_ptr()), "a slice, not a copy");
        let note = Note::Refused { player: PlayerId(5), code: 4505 };
        assert_eq!(parse_from_owner(&encode_note(&note)), Ok(FromOwner::Note(note)));
        let batch = vec![Upstream::Kick { player: PlayerId(1) }];
        assert_eq!(parse_upstream(&encode_upstream(&batch)), Ok(batch));
    }

    #[test]
    fn what_was_said_comes_with_its_tick() {
        let text = "hello".to_owned().try_into().unwrap();
        let name = "Zoë".to_owned().try_into().unwrap();
        let line = ChatLine { number: 9, tick: Tick(5), from: PlayerId(3), seq: 2, team: 1, name, text };
        let lines = [line.clone(), line];
        for prior in [None, Some(&b"prior"[..])] {
            let message = encode_tick(Position::default(), 7, 8, b"frame", prior, &lines, &[]);
            let read = tick(&message);
            assert_eq!((&read.frame[..], read.prior.as_deref()), (&b"frame"[..], prior));
            assert_eq!(read.lines, lines);
            // A text that would act on a terminal: whoever made it up is not of ours.
            let mut hostile = message.to_vec();
            let at = hostile.windows(5).rposition(|bytes| bytes == b"hello").unwrap();
            hostile[at] = 0x1b;
            assert!(parse_from_owner(&hostile.into()).is_err());
        }
    }

    #[test]
    fn a_batch_of_the_longest_lines_is_read() {
        let text: ChatText = "x".repeat(CHAT_BYTES_MAX).try_into().unwrap();
        let (player, to) = (PlayerId(u32::MAX >> 1), ChatTo::Team);
        let line = Upstream::Chat { player, seq: u32::MAX, to, text };
        let batch = vec![line; UPSTREAM_BATCH_MAX];
        assert_eq!(parse_upstream(&encode_upstream(&batch)), Ok(batch));
    }

    #[test]
    fn a_length_that_leads_behind_the_end_is_refused() {
        let whole = encode_tick(Position::default(), 7, 8, b"frame", Some(b"prior"), &[], &[]);
        let mut longer = whole.to_vec();
        longer[TICK_HEADER_BYTES] = 11;
        assert!(parse_from_owner(&longer.into()).is_err());
        let mut huge = whole.to_vec();
        huge[TICK_HEADER_BYTES..][..LENGTH_BYTES].fill(0xff);
        assert!(parse_from_owner(&huge.into()).is_err());
        assert!(parse_from_owner(&whole.slice(..TICK_HEADER_BYTES + LENGTH_BYTES + 4)).is_err());
    }

    #[test]
    fn foreign_messages_are_refused() {
        for bytes in [&b""[..], b"\x81short", b"\x84short", b"\x82\xff", b"hello"] {
            assert!(parse_from_owner(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
            assert!(parse_upstream(bytes).is_err(), "{bytes:?}");
        }
    }
}
