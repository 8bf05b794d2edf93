//! What goes over a channel under a key: a message behind its code, and behind its stamp if it does not say itself where it
//! belongs. Who reads it gets a slice of what arrived, so that what is sent to clients is still one buffer for all of them.
//!
//! ```text
//! tick      u8 0x8e   code, 16 bytes   message
//! stamped   u8 0x8f   code, 16 bytes   u64 sender   u64 sent_us   message
//! ```

use bytes::Bytes;
use thiserror::Error;

use super::{CODE_BYTES, ClusterKeys, Code, Stamp, Subject};

pub(super) const TICK: u8 = 0x8e;
pub(super) const STAMPED: u8 = 0x8f;
/// Bytes before a message without a stamp.
pub const HEADER_BYTES: usize = 1 + CODE_BYTES;
/// Bytes of a stamp.
const STAMP_BYTES: usize = 16;

/// Why a message of a channel, or what stands in a hash, is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// It has no code.
    #[error("it has no code")]
    Unsigned,
    /// No live key made its code, for what it says or for where it stands.
    #[error("no live key made its code")]
    Code,
    /// It was heard before, or is older than what is remembered of its sender.
    #[error("it was heard before")]
    Replayed,
    /// The store's clock says another time than its sender did.
    #[error("it was not sent within the last half minute, by the store's clock")]
    Age,
}

/// A message that a live key made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was sealed: a slice, not a copy.
    pub message: Bytes,
    /// Who sent it and when; a committed tick says itself which one it is.
    pub stamp: Option<Stamp>,
}

/// A committed tick for this channel. The same tick is the same bytes, however often it is sealed.
pub fn seal_tick(keys: &ClusterKeys, channel: &str, message: &[u8]) -> Bytes {
    let code = keys.first().code(Subject::Tick, channel.as_bytes(), &[message]);
    [&[TICK], &code[..], message].concat().into()
}

/// Any other message for this channel.
pub fn seal(keys: &ClusterKeys, channel: &str, stamp: Stamp, message: &[u8]) -> Bytes {
    let stamp = stamp.to_bytes();
    let code = keys.first().code(Subject::Stamped, channel.as_bytes(), &[&stamp, message]);
    [&[STAMPED], &code[..], &stamp, message].concat().into()
}

/// Reads what arrived over this channel.
pub fn open(keys: &ClusterKeys, channel: &str, bytes: &Bytes) -> Result<Opened, Flaw> {
    let (kind, code) = begun(bytes).ok_or(Flaw::Unsigned)?;
    let behind = &bytes[HEADER_BYTES..];
    if !keys.made(&code, kind, channel.as_bytes(), &[behind]) {
        return Err(Flaw::Code);
    }
    match kind {
        Subject::Tick => Ok(Opened { message: bytes.slice(HEADER_BYTES..), stamp: None }),
        _ => {
            let stamp: [u8; STAMP_BYTES] =
                behind.get(..STAMP_BYTES).and_then(|stamp| stamp.try_into().ok()).ok_or(Flaw::Code)?;
            let message = bytes.slice(HEADER_BYTES + STAMP_BYTES..);
            Ok(Opened { message, stamp: Some(Stamp::from_bytes(stamp)) })
        }
    }
}

/// The code of a committed tick, as it stands in the ring; `None` of what is none.
pub(super) fn tick_code(bytes: &[u8]) -> Option<Code> {
    begun(bytes).filter(|(kind, _)| *kind == Subject::Tick).map(|(_, code)| code)
}

/// A committed tick of the ring without its code, which is not looked at; what has none, as it is.
pub fn strip(bytes: &Bytes) -> Bytes {
    if tick_code(bytes).is_some() { bytes.slice(HEADER_BYTES..) } else { bytes.clone() }
}

fn begun(bytes: &[u8]) -> Option<(Subject, Code)> {
    let kind = match *bytes.first()? {
        TICK => Subject::Tick,
        STAMPED => Subject::Stamped,
        _ => return None,
    };
    Some((kind, bytes.get(1..HEADER_BYTES)?.try_into().ok()?))
}
