//! The names of things: matches, players, sessions, nodes, and one ownership of a match.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::MATCH_ID_BYTES_MAX;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an id is 1 to {MATCH_ID_BYTES_MAX} characters of A-Z a-z 0-9 _ -")]
pub struct BadId;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let fits = (1..=MATCH_ID_BYTES_MAX).contains(&text.len());
                let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                if fits && plain { Ok($name(text.to_owned())) } else { Err(BadId) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// One running game; 1 to 32 characters of `[A-Za-z0-9_-]`, so it is safe in keys, URLs and logs.
    MatchId
}
text_id! {
    /// One server process; same alphabet as [`MatchId`].
    NodeId
}

/// One player of one match: chosen by the node the player is connected to, unique within the match.
/// Between 1 and `i32::MAX`, because it is also an integer field of the player's entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlayerId(pub u32);

impl PlayerId {
    /// The first id of those that are a game's own, for players whom no client plays. They have entities but no
    /// seats, so nothing is ever awaited from them.
    pub const OF_GAME: PlayerId = PlayerId(i32::MAX as u32 - 1023);

    /// Whether a client can be this player.
    pub fn is_of_client(self) -> bool {
        (1..Self::OF_GAME.0).contains(&self.0)
    }
}

impl fmt::Display for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A part of a match's state that some clients get and others do not. Number 0 is for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SegmentId(pub u16);

impl SegmentId {
    /// Where every entity is that was not put elsewhere.
    pub const EVERYONE: SegmentId = SegmentId(0);
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One client connection to one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whoever shows it is the player it was given to: random, secret, never in a log.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResumeToken(pub [u8; 16]);

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(..)")
    }
}

/// Number of a player's input, counted from 1 by the client; 0 means "none yet". At most `i32::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct InputSeq(pub u32);

/// How many times a match has been claimed by an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// Drawn at random for each claim: tells two ownerships apart that a store which lost writes numbered alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Nonce(pub u64);

/// One ownership of a match. Compared for equality only: an order of fences would trust the store's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Fence {
    /// Number of the claim.
    pub epoch: Epoch,
    /// Random id of the claim.
    pub nonce: Nonce,
}

impl Fence {
    /// The fence's one-byte tag in a client frame: the low byte of both numbers mixed.
    pub fn tag(self) -> u8 {
        let mixed = self.epoch.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.nonce.0;
        mixed.to_le_bytes().into_iter().fold(0, |tag, byte| tag ^ byte)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.epoch.0, self.nonce.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sixteen_bytes_and_is_not_shown() {
        let token = ResumeToken([0xA7; 16]);
        assert_eq!(crate::codec::encode(&token), [0xA7; 16]);
        let shown = format!("{token:?}");
        assert!(!shown.contains("167") && !shown.to_lowercase().contains("a7"), "{shown}");
        assert_eq!(ResumeToken::default(), ResumeToken([0; 16]));
    }
}
