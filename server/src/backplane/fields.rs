//! Names of a match's Redis key, channels and hash fields, and how their values are written.
//! Entities are `<kind>:<index>`; everything that begins with `~` is about the match itself.

use tickcast_protocol::{Epoch, Fence, MatchId, Nonce};

use super::{Channel, MatchFields};

/// Name of the game.
pub const GAME: &str = "~game";
/// `open` or `ended`.
pub const STATUS: &str = "~status";
/// Last committed tick, decimal.
pub const TICK: &str = "~tick";
/// Number of the ownership, decimal.
pub const EPOCH: &str = "~epoch";
/// Random id of the ownership, 16 hex digits.
pub const NONCE: &str = "~nonce";
/// Name of the owning node.
pub const OWNER: &str = "~owner";
/// When the lease expires, milliseconds since 1970 by the store's clock, decimal.
pub const LEASE_MS: &str = "~lease_ms";
/// Players in the match, decimal.
pub const PLAYERS: &str = "~players";
/// Players the match takes, decimal.
pub const PLAYERS_MAX: &str = "~players_max";
/// Hash of the state at `~tick`, 8 hex digits.
pub const HASH: &str = "~hash";
/// Tick as of which the entity fields stand, decimal.
pub const SNAPSHOT_TICK: &str = "~snapshot_tick";
/// What the diffs after `~snapshot_tick` are coded with, binary; absent in a match that has no prior but the first.
pub const PRIOR: &str = "~prior";
/// When the last tick was committed, milliseconds since 1970 by the store's clock, decimal.
pub const COMMITTED_MS: &str = "~committed_ms";
/// When the match was created, milliseconds since 1970, decimal.
pub const CREATED_MS: &str = "~created_ms";
/// Ticks per second, decimal.
pub const TICK_RATE: &str = "~tick_rate";
/// Number of ring fields, decimal.
pub const RING: &str = "~ring";
/// Seed of the per-tick generators, decimal.
pub const SEED: &str = "~seed";
/// The game's options, JSON.
pub const OPTIONS: &str = "~options";
/// The schema, JSON.
pub const SCHEMA: &str = "~schema";

/// Key of a match's hash. The braces are the cluster's hash tag.
pub fn key(id: &MatchId) -> String {
    format!("tickcast:{{{id}}}")
}

/// Name of a match's channel.
pub fn channel(id: &MatchId, channel: Channel) -> String {
    match channel {
        Channel::Diff => format!("tickcast:{{{id}}}:diff"),
        Channel::Input => format!("tickcast:{{{id}}}:input"),
    }
}

/// Key of the set of match ids: a hint, rebuilt from the hashes.
pub const INDEX_KEY: &str = "tickcast:matches";

/// Ring field of a tick.
pub fn ring(tick: u64, size: u64) -> Vec<u8> {
    format!("~d{}", tick % size).into_bytes()
}

/// A nonce as text.
pub fn nonce_text(nonce: Nonce) -> String {
    format!("{:016x}", nonce.0)
}

/// A field as text, if it is there and is UTF-8.
pub fn text<'a>(fields: &'a MatchFields, name: &str) -> Option<&'a str> {
    fields.get(name.as_bytes()).and_then(|value| std::str::from_utf8(value).ok())
}

/// A decimal field.
pub fn number(fields: &MatchFields, name: &str) -> Option<u64> {
    text(fields, name)?.parse().ok()
}

/// The stored ownership.
pub fn fence(fields: &MatchFields) -> Option<Fence> {
    let nonce = u64::from_str_radix(text(fields, NONCE)?, 16).ok()?;
    Some(Fence { epoch: Epoch(number(fields, EPOCH)?), nonce: Nonce(nonce) })
}
