//! Message authentication codes under the cluster's key, by which nodes tell what a node wrote to Redis from what somebody
//! else did. Keys and codes stand here; what is authenticated, in `envelope` (messages of channels) and `stored` (hashes).
//!
//! A code is the first 16 bytes of HMAC-SHA-256: half of it is kept, for whoever guesses must guess while the match runs, and
//! each guess is a message that is counted. Keyed BLAKE3 takes as long for a frame (docs/performance.md), and HMAC is here for
//! tickets anyway. What is authenticated begins with what it is and where it stands, so that no code is good for anything else.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use tickcast_protocol::ticket::{BadKey, split_keys};

pub mod envelope;
pub mod stored;
mod window;

pub use window::{AGE_MAX, Stamp, Window};

/// Bytes of a code.
pub const CODE_BYTES: usize = 16;
/// A code.
pub type Code = [u8; CODE_BYTES];

/// What codes are made with, and the numbers by which keys are told apart: of the setting, each for one purpose.
const CODES: &[u8] = b"tickcast cluster key 1: codes";
const NUMBERS: &[u8] = b"tickcast cluster key 1: numbers";

/// What is authenticated. The first byte of what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Subject {
    /// A message that says itself where it belongs: a committed tick.
    Tick = envelope::TICK,
    /// Any other message, with who sent it and when.
    Stamped = envelope::STAMPED,
    /// A field of a match's hash.
    Field = 1,
    /// All of a match's hash.
    Hash = 2,
}

/// Names a key without telling it, 8 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyNumber(u32);

impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A secret that the nodes of a cluster share, and Redis does not know. Never shown.
#[derive(Clone)]
struct ClusterKey {
    codes: Hmac<Sha256>,
    number: KeyNumber,
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterKey({}, ..)", self.number)
    }
}

impl ClusterKey {
    /// The key is the text's bytes as they are, also where they look like hex digits.
    fn new(text: &str) -> ClusterKey {
        let hmac = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        let derived = |purpose| hmac(text.as_bytes()).chain_update(purpose).finalize().into_bytes();
        let number = derived(NUMBERS);
        let number = u32::from_be_bytes([number[0], number[1], number[2], number[3]]);
        ClusterKey { codes: hmac(&derived(CODES)), number: KeyNumber(number) }
    }

    /// The code's function, told what is authenticated and where it stands: the name has its length before it, so that nothing
    /// of what follows can be taken for a part of it.
    fn begun(&self, subject: Subject, place: &[u8]) -> Hmac<Sha256> {
        let length = u8::try_from(place.len()).expect("the name of a channel, a match or a field is short");
        self.codes.clone().chain_update([subject as u8, length]).chain_update(place)
    }

    fn code(&self, subject: Subject, place: &[u8], parts: &[&[u8]]) -> Code {
        let whole = parts.iter().fold(self.begun(subject, place), |code, part| code.chain_update(part));
        whole.finalize().into_bytes()[..CODE_BYTES].try_into().expect("a digest is longer")
    }

    /// Whether this key made a code. How long that takes says nothing about how much of a wrong code is right.
    fn made(&self, code: &Code, subject: Subject, place: &[u8], parts: &[&[u8]]) -> bool {
        let whole = parts.iter().fold(self.begun(subject, place), |code, part| code.chain_update(part));
        whole.verify_truncated_left(code).is_ok()
    }
}

/// The live keys: the first one makes codes, all of them are good.
#[derive(Debug, Clone)]
pub struct ClusterKeys(Vec<ClusterKey>);

impl FromStr for ClusterKeys {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<ClusterKeys, BadKey> {
        Ok(ClusterKeys(split_keys(text)?.into_iter().map(ClusterKey::new).collect()))
    }
}

impl ClusterKeys {
    fn first(&self) -> &ClusterKey {
        self.0.first().expect("there is a key among the keys")
    }

    fn made(&self, code: &Code, subject: Subject, place: &[u8], parts: &[&[u8]]) -> bool {
        self.0.iter().any(|key| key.made(code, subject, place, parts))
    }
}

/// How far a cluster is in using its key: all nodes take one step before any takes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacPolicy {
    /// Write no codes; check those that are there
    Accept,
    /// Write codes; check those that are there
    Sign,
    /// Write codes; refuse what has none
    #[default]
    Require,
}

impl MacPolicy {
    /// Whether codes are written.
    pub fn writes(self) -> bool {
        self != MacPolicy::Accept
    }

    /// Whether what has no code is taken.
    pub fn takes_unsigned(self) -> bool {
        self != MacPolicy::Require
    }
}

/// The cluster's keys and what is done with them.
#[derive(Debug, Clone)]
pub struct ClusterMac {
    /// The live keys.
    pub keys: ClusterKeys,
    /// How far the cluster is.
    pub policy: MacPolicy,
}

#[cfg(test)]
mod tests;
