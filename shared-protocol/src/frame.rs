//! Frames: the first byte says what the rest is. State frames are built once per tick and sent to everybody.
//!
//! ```text
//! DIFF      u8 0x10 | flags   u8 tag   u16 tick low   [u32 hash]   diff
//! SNAPSHOT  u8 0x20           u64 epoch   u64 nonce   u64 tick   u32 hash   snapshot
//! OWNER     u8 0x21           u64 epoch   u64 nonce   u64 tick
//! control   u8 0x01 (client) or 0x02 (server), then a bincode message
//! ```
//! Numbers are little endian.

use crate::ids::{Epoch, Fence, Nonce};
use crate::tick::{Position, Tick};
use crate::varint::{DecodeError, Reader};

/// First byte of a client's control frame.
pub const CLIENT_CONTROL: u8 = 0x01;
/// First byte of a server's control frame.
pub const SERVER_CONTROL: u8 = 0x02;
/// First byte of a diff, without flags.
pub const DIFF: u8 = 0x10;
/// Flag of a diff: the state hash after the tick follows the header.
pub const DIFF_HASH: u8 = 0x01;
/// First byte of a snapshot.
pub const SNAPSHOT: u8 = 0x20;
/// First byte of the announcement of a new owner.
pub const OWNER: u8 = 0x21;

/// A state frame, taken apart but not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFrame<'a> {
    /// The change to the next tick.
    Diff {
        /// [`Fence::tag`] of the owner that committed it.
        tag: u8,
        /// Low 16 bits of the tick it leads to.
        tick_low: u16,
        /// Hash of the state it leads to, where it is carried.
        hash: Option<u32>,
        /// The diff.
        payload: &'a [u8],
    },
    /// The whole state.
    Snapshot {
        /// Where the match stands.
        position: Position,
        /// Hash of the state.
        hash: u32,
        /// The snapshot.
        payload: &'a [u8],
    },
    /// A new owner goes on from this position: the state is that of `position.tick`, later diffs carry its tag.
    Owner {
        /// The new fence, and the last tick before it.
        position: Position,
    },
}

/// Builds a diff frame around a payload.
pub fn diff(position: Position, hash: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 8);
    out.push(DIFF | if hash.is_some() { DIFF_HASH } else { 0 });
    out.push(position.fence.tag());
    out.extend_from_slice(&position.tick.low().to_le_bytes());
    if let Some(hash) = hash {
        out.extend_from_slice(&hash.to_le_bytes());
    }
    out.extend_from_slice(payload);
    out
}

/// Builds a snapshot frame around a payload.
pub fn snapshot(position: Position, hash: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 29);
    out.push(SNAPSHOT);
    put_position(&mut out, position);
    out.extend_from_slice(&hash.to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// Builds the announcement of a new owner.
pub fn owner(position: Position) -> Vec<u8> {
    let mut out = vec![OWNER];
    put_position(&mut out, position);
    out
}

/// Appends a position: epoch, nonce, tick, each as u64.
pub fn put_position(out: &mut Vec<u8>, position: Position) {
    for number in [position.fence.epoch.0, position.fence.nonce.0, position.tick.0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Reads a position.
pub fn read_position(reader: &mut Reader<'_>) -> Result<Position, DecodeError> {
    let mut number = || Ok::<u64, DecodeError>(u64::from_le_bytes(reader.array()?));
    let fence = Fence { epoch: Epoch(number()?), nonce: Nonce(number()?) };
    Ok(Position { fence, tick: Tick(number()?) })
}

/// Takes a state frame apart.
pub fn parse(bytes: &[u8]) -> Result<StateFrame<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        first if first & !DIFF_HASH == DIFF => {
            let tag = reader.byte()?;
            let tick_low = u16::from_le_bytes(reader.array()?);
            let hash = match first & DIFF_HASH {
                0 => None,
                _ => Some(u32::from_le_bytes(reader.array()?)),
            };
            Ok(StateFrame::Diff { tag, tick_low, hash, payload: reader.rest() })
        }
        SNAPSHOT => {
            let position = read_position(&mut reader)?;
            let hash = u32::from_le_bytes(reader.array()?);
            Ok(StateFrame::Snapshot { position, hash, payload: reader.rest() })
        }
        OWNER => {
            let position = read_position(&mut reader)?;
            reader.finish()?;
            Ok(StateFrame::Owner { position })
        }
        _ => Err(DecodeError::State("not a state frame")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back() {
        let position =
            Position { fence: Fence { epoch: Epoch(3), nonce: Nonce(0xabcd) }, tick: Tick(70_000) };
        let expected = StateFrame::Diff {
            tag: position.fence.tag(),
            tick_low: 4464,
            hash: Some(7),
            payload: b"payload",
        };
        assert_eq!(parse(&diff(position, Some(7), b"payload")), Ok(expected));
        let expected = StateFrame::Snapshot { position, hash: 9, payload: b"all" };
        assert_eq!(parse(&snapshot(position, 9, b"all")), Ok(expected));
        assert_eq!(parse(&owner(position)), Ok(StateFrame::Owner { position }));
        assert!(parse(&[]).is_err());
        assert!(parse(&[0x33]).is_err());
        assert!(parse(&[owner(position), vec![0]].concat()).is_err());
    }
}
