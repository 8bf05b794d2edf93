//! Frames: the first byte says what the rest is. State frames are built once per tick and sent to everybody.
//!
//! ```text
//! DIFF      u8 0x10 | flags   u8 tag   u16 tick low   [u32 hash]   diff
//! SNAPSHOT  u8 0x20   u64 epoch   u64 nonce   u64 tick   u32 hash   u32 length   prior   snapshot
//! OWNER     u8 0x21   u64 epoch   u64 nonce   u64 tick
//! PRIOR     u8 0x22   u8 tag   u16 tick low   prior
//! CATCHUP   u8 0x30 | flag   u8 tag   u16 tick low   u8 span   [u32 hash]   catch-up
//! SEGMENTS  u8 0x50 | flags   u8 tag   u16 tick low   sections
//! VIEW      u8 0x51   u64 epoch   u64 nonce   u64 tick   u32 length   prior   sections
//! LEAP      u8 0x52   u8 tag   u16 tick low   u8 span   sections
//! control   u8 0x01 (client) or 0x02 (server), then a bincode message
//! ```
//! Numbers are little endian. Flag 0x01 of a diff or a catch-up: a hash follows. Of a diff with a hash, 0x02: ticks that are
//! not sent come before it, and were quiet. Of a diff, also one in segments, 0x0c: the low two bits of the prior's number. SEGMENTS, VIEW and LEAP are what DIFF, SNAPSHOT and CATCHUP are to a match
//! that everybody sees all of; [`crate::sections`] has what they are made of.

use crate::ids::{Epoch, Fence, Nonce};
use crate::tick::{Position, Tick};
use crate::varint::{DecodeError, Reader};

/// First byte of a client's control frame.
pub const CLIENT_CONTROL: u8 = 0x01;
/// First byte of a server's control frame.
pub const SERVER_CONTROL: u8 = 0x02;
/// First byte of a diff, without flags.
pub const DIFF: u8 = 0x10;
/// Flag of a diff and of a catch-up: the hash of the state it leads to follows the header.
pub const HASHED: u8 = 0x01;
/// Flag of a diff that carries a hash: the ticks between the last one that was sent and this one changed nothing.
pub const AFTER_QUIET: u8 = 0x02;
/// Furthest that a diff leads with [`AFTER_QUIET`]: the low bits of a tick tell no more apart.
pub const QUIET_SPAN_MAX: u16 = 0x7fff;
/// First byte of a diff in segments, without the bits of the prior's number.
pub const SEGMENTS: u8 = 0x50;
/// Bits of a diff's first byte that hold the low bits of the prior's number.
pub const DIFF_PRIOR: u8 = 0x0c;
/// First byte of a snapshot.
pub const SNAPSHOT: u8 = 0x20;
/// First byte of the announcement of a new owner.
pub const OWNER: u8 = 0x21;
/// First byte of a new prior.
pub const PRIOR: u8 = 0x22;
/// First byte of all that a client sees of a match in segments.
pub const VIEW: u8 = 0x51;
/// First byte of a catch-up, without its flag.
pub const CATCHUP: u8 = 0x30;
/// First byte of a catch-up in segments.
pub const LEAP: u8 = 0x52;
/// Ticks that a catch-up leads over at most.
pub const SPAN_MAX: u8 = u8::MAX;

/// A state frame, taken apart but not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFrame<'a> {
    /// The change to the next tick.
    Diff {
        /// [`Fence::tag`] of the owner that committed it.
        tag: u8,
        /// Low 16 bits of the tick it leads to.
        tick_low: u16,
        /// Low two bits of the number of the prior it is coded with.
        prior_low: u8,
        /// Ticks may lie before it that were quiet and are not sent.
        after_quiet: bool,
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
        /// What the diffs after it are coded with.
        prior: &'a [u8],
        /// The snapshot.
        payload: &'a [u8],
    },
    /// What the diffs after a tick are coded with.
    Prior {
        /// [`Fence::tag`] of the owner that published it.
        tag: u8,
        /// Low 16 bits of the tick.
        tick_low: u16,
        /// The prior.
        payload: &'a [u8],
    },
    /// The change over several ticks, for a client that fell behind.
    CatchUp {
        /// [`Fence::tag`] of the owner that committed the tick it leads to.
        tag: u8,
        /// Low 16 bits of the tick it leads to.
        tick_low: u16,
        /// Ticks that it leads over, at least 1.
        span: u8,
        /// Hash of the state it leads to, where it is carried.
        hash: Option<u32>,
        /// The catch-up.
        payload: &'a [u8],
    },
    /// The change to the next tick, of a match in segments.
    Segments {
        /// [`Fence::tag`] of the owner that committed it.
        tag: u8,
        /// Low 16 bits of the tick it leads to.
        tick_low: u16,
        /// Low two bits of the number of the prior it is coded with.
        prior_low: u8,
        /// What becomes of each segment; see [`crate::sections`].
        sections: &'a [u8],
    },
    /// All that a client sees of a match in segments.
    View {
        /// Where the match stands.
        position: Position,
        /// What the diffs after it are coded with.
        prior: &'a [u8],
        /// A snapshot of each segment.
        sections: &'a [u8],
    },
    /// The change over several ticks, of a match in segments: snapshots of those that are not what they were.
    Leap {
        /// [`Fence::tag`] of the owner that committed the tick it leads to.
        tag: u8,
        /// Low 16 bits of the tick it leads to.
        tick_low: u16,
        /// Ticks that it leads over, at least 1.
        span: u8,
        /// What becomes of each segment; none of them is changed by a diff.
        sections: &'a [u8],
    },
    /// A new owner goes on from this position: the state is that of `position.tick`, later diffs carry its tag.
    Owner {
        /// The new fence, and the last tick before it.
        position: Position,
    },
}

/// Builds a diff frame around a payload.
pub fn diff(position: Position, prior_number: u8, hash: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 8);
    out.push(DIFF | (prior_number << 2) & DIFF_PRIOR | flag_of(hash));
    put_short_position(&mut out, position);
    put_hash(&mut out, hash);
    out.extend_from_slice(payload);
    out
}

/// The frame of a diff as it is sent behind quiet ticks that were not: with this hash. `None` of any other frame.
pub fn after_quiet(diff: &[u8], hash: u32) -> Option<Vec<u8>> {
    let Ok(StateFrame::Diff { tag, tick_low, prior_low, payload, .. }) = parse(diff) else { return None };
    let mut out = Vec::with_capacity(payload.len() + 8);
    out.extend([DIFF | AFTER_QUIET | HASHED | prior_low << 2, tag]);
    out.extend_from_slice(&tick_low.to_le_bytes());
    out.extend_from_slice(&hash.to_le_bytes());
    out.extend_from_slice(payload);
    Some(out)
}

fn flag_of(hash: Option<u32>) -> u8 {
    if hash.is_some() { HASHED } else { 0 }
}

fn put_hash(out: &mut Vec<u8>, hash: Option<u32>) {
    if let Some(hash) = hash {
        out.extend_from_slice(&hash.to_le_bytes());
    }
}

/// Builds a snapshot frame around a prior and a payload.
pub fn snapshot(position: Position, hash: u32, prior: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(prior.len() + payload.len() + 33);
    out.push(SNAPSHOT);
    put_position(&mut out, position);
    out.extend_from_slice(&hash.to_le_bytes());
    out.extend_from_slice(&(prior.len() as u32).to_le_bytes());
    out.extend_from_slice(prior);
    out.extend_from_slice(payload);
    out
}

/// Builds the frame of a prior for the diffs after this position.
pub fn prior(position: Position, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![PRIOR];
    put_short_position(&mut out, position);
    out.extend_from_slice(payload);
    out
}

/// Builds a catch-up frame around a payload that leads over `span` ticks to this position.
pub fn catch_up(position: Position, span: u8, hash: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 9);
    out.push(CATCHUP | flag_of(hash));
    put_short_position(&mut out, position);
    out.push(span);
    put_hash(&mut out, hash);
    out.extend_from_slice(payload);
    out
}

/// Builds a diff frame of a match in segments.
pub fn segments(position: Position, prior_number: u8, sections: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sections.len() + 4);
    out.push(SEGMENTS | (prior_number << 2) & DIFF_PRIOR);
    put_short_position(&mut out, position);
    out.extend_from_slice(sections);
    out
}

/// Builds a frame of all that a client sees of a match in segments.
pub fn view(position: Position, prior: &[u8], sections: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(prior.len() + sections.len() + 29);
    out.push(VIEW);
    put_position(&mut out, position);
    out.extend_from_slice(&(prior.len() as u32).to_le_bytes());
    out.extend_from_slice(prior);
    out.extend_from_slice(sections);
    out
}

/// Builds a catch-up frame of a match in segments, over `span` ticks to this position.
pub fn leap(position: Position, span: u8, sections: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sections.len() + 5);
    out.push(LEAP);
    put_short_position(&mut out, position);
    out.push(span);
    out.extend_from_slice(sections);
    out
}

fn put_short_position(out: &mut Vec<u8>, position: Position) {
    out.push(position.fence.tag());
    out.extend_from_slice(&position.tick.low().to_le_bytes());
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
    let word = |reader: &mut Reader<'_>| Ok::<u32, DecodeError>(u32::from_le_bytes(reader.array()?));
    let half = |reader: &mut Reader<'_>| Ok::<u16, DecodeError>(u16::from_le_bytes(reader.array()?));
    match reader.byte()? {
        first if is_diff(first) => {
            let (tag, tick_low) = (reader.byte()?, half(&mut reader)?);
            let hash = if first & HASHED == 0 { None } else { Some(word(&mut reader)?) };
            let (prior_low, after_quiet) = ((first & DIFF_PRIOR) >> 2, first & AFTER_QUIET != 0);
            Ok(StateFrame::Diff { tag, tick_low, prior_low, after_quiet, hash, payload: reader.rest() })
        }
        first if first & !DIFF_PRIOR == SEGMENTS => {
            let (tag, tick_low) = (reader.byte()?, half(&mut reader)?);
            let prior_low = (first & DIFF_PRIOR) >> 2;
            Ok(StateFrame::Segments { tag, tick_low, prior_low, sections: reader.rest() })
        }
        VIEW => {
            let position = read_position(&mut reader)?;
            let prior = take_prior(&mut reader)?;
            Ok(StateFrame::View { position, prior, sections: reader.rest() })
        }
        LEAP => {
            let (tag, tick_low) = (reader.byte()?, half(&mut reader)?);
            let span = read_span(&mut reader)?;
            Ok(StateFrame::Leap { tag, tick_low, span, sections: reader.rest() })
        }
        SNAPSHOT => {
            let position = read_position(&mut reader)?;
            let hash = word(&mut reader)?;
            let prior = take_prior(&mut reader)?;
            Ok(StateFrame::Snapshot { position, hash, prior, payload: reader.rest() })
        }
        OWNER => {
            let position = read_position(&mut reader)?;
            reader.finish()?;
            Ok(StateFrame::Owner { position })
        }
        PRIOR => {
            let (tag, tick_low) = (reader.byte()?, half(&mut reader)?);
            Ok(StateFrame::Prior { tag, tick_low, payload: reader.rest() })
        }
        first if first & !HASHED == CATCHUP => {
            let (tag, tick_low) = (reader.byte()?, half(&mut reader)?);
            let span = read_span(&mut reader)?;
            let hash = if first & HASHED == 0 { None } else { Some(word(&mut reader)?) };
            Ok(StateFrame::CatchUp { tag, tick_low, span, hash, payload: reader.rest() })
        }
        _ => Err(DecodeError::State("not a state frame")),
    }
}

fn is_diff(first: u8) -> bool {
    first & !(HASHED | DIFF_PRIOR) == DIFF || first & !DIFF_PRIOR == DIFF | HASHED | AFTER_QUIET
}

fn take_prior<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = u32::from_le_bytes(reader.array()?);
    reader.take(usize::try_from(length).map_err(|_| DecodeError::End)?)
}

fn read_span(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    match reader.byte()? {
        0 => Err(DecodeError::Range("span of a catch-up")),
        span => Ok(span),
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
            prior_low: 1,
            after_quiet: false,
            hash: Some(7),
            payload: b"payload",
        };
        assert_eq!(parse(&diff(position, 5, Some(7), b"payload")), Ok(expected));
        let expected = StateFrame::Snapshot { position, hash: 9, prior: b"how", payload: b"all" };
        assert_eq!(parse(&snapshot(position, 9, b"how", b"all")), Ok(expected));
        assert_eq!(parse(&owner(position)), Ok(StateFrame::Owner { position }));
        let (tag, tick_low) = (position.fence.tag(), 4464);
        assert_eq!(parse(&prior(position, b"how")), Ok(StateFrame::Prior { tag, tick_low, payload: b"how" }));
        let expected = StateFrame::CatchUp { tag, tick_low, span: 200, hash: Some(9), payload: b"some" };
        assert_eq!(parse(&catch_up(position, 200, Some(9), b"some")), Ok(expected));
        assert!(parse(&catch_up(position, 0, None, b"none")).is_err());
        let expected = StateFrame::Segments { tag, tick_low, prior_low: 2, sections: b"some" };
        assert_eq!(parse(&segments(position, 6, b"some")), Ok(expected));
        let expected = StateFrame::View { position, prior: b"how", sections: b"all" };
        assert_eq!(parse(&view(position, b"how", b"all")), Ok(expected));
        let expected = StateFrame::Leap { tag, tick_low, span: 3, sections: b"all" };
        assert_eq!(parse(&leap(position, 3, b"all")), Ok(expected));
        assert!(parse(&leap(position, 0, b"all")).is_err());
        assert!(parse(&[0x12, 0, 0, 0]).is_err(), "after quiet ticks there is a hash");
        assert!(parse(&[]).is_err());
        assert!(parse(&[0x33]).is_err());
        assert!(parse(&[owner(position), vec![0]].concat()).is_err());
    }

    #[test]
    fn what_comes_behind_quiet_ticks_is_the_same_diff_with_a_hash() {
        let position =
            Position { fence: Fence { epoch: Epoch(3), nonce: Nonce(0xabcd) }, tick: Tick(70_000) };
        for carried in [None, Some(7)] {
            let sent = after_quiet(&diff(position, 7, carried, b"payload"), 7).expect("a diff");
            let (tag, tick_low, payload) = (position.fence.tag(), 4464, &b"payload"[..]);
            let expected =
                StateFrame::Diff { tag, tick_low, prior_low: 3, after_quiet: true, hash: Some(7), payload };
            assert_eq!((sent[0], parse(&sent)), (0x1f, Ok(expected)));
            assert_eq!(after_quiet(&sent, 7).as_ref(), Some(&sent));
        }
        assert_eq!(after_quiet(&owner(position), 7), None);
    }
}
