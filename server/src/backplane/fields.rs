//! Names of a match's Redis key, channels and hash fields, and how their values are written.
//! Entities are `<kind>:<index>`; everything that begins with `~` is about the match itself.

use tickcast_protocol::limits::CHAT_LINES_MAX;
use tickcast_protocol::ticket::TicketId;
use tickcast_protocol::{Epoch, Fence, MatchId, NodeId, Nonce, PlayerId};

use super::{Channel, FieldName, MatchFields};

/// Name of the game.
pub const GAME: &str = "~game";
/// [`OPEN`] or [`QUARANTINED`].
pub const STATUS: &str = "~status";
/// Version of all that a match's hash holds, decimal: a node leaves matches of another version alone.
pub const VERSION: &str = "~version";
/// Who may come in: [`OPEN`], or [`BY_TICKET`].
pub const ACCESS: &str = "~access";
/// Whether the match may be watched: 1, or 0.
pub const SPECTATORS: &str = "~spectators";
/// Ownerships since the match last ran well for a while, decimal.
pub const CRASHES: &str = "~crashes";
/// Names the store's history of writes in which the lease was granted: the replication id of the server. Another one
/// means that the store was restarted or replaced since, and may have lost what it had confirmed.
pub const HISTORY: &str = "~history";
/// The node that is to own the match next; absent when none was named.
pub const HEIR: &str = "~heir";
/// Last committed tick, decimal.
pub const TICK: &str = "~tick";
/// Number of the ownership, decimal.
pub const EPOCH: &str = "~epoch";
/// Random id of the ownership, 16 hex digits.
pub const NONCE: &str = "~nonce";
/// The last ownerships, each as `EPOCH:NONCE:TICK` with the tick it began from, the newest last, one blank between.
pub const CLAIMS: &str = "~claims";
/// Name of the owning node.
pub const OWNER: &str = "~owner";
/// When the lease expires, milliseconds since 1970 by the store's clock, decimal. A commit leaves it alone while enough is left.
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
/// When a tick last wrote the lease, milliseconds since 1970 by the store's clock, decimal: at most an eighth of the lease, and
/// a quarter of a second, before the last commit.
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
/// Who sees what, by the name of a [`crate::game::Visibility`]; absent where everybody sees everything.
pub const VISIBILITY: &str = "~visibility";
/// How the owner's last ticks went, JSON; for people. Written once a second.
pub const STATS: &str = "~stats";
/// Authenticates the state and what the match was created with, if the cluster has a key: `KEY:EPOCH:NONCE:CODE`, of the commit
/// that wrote it. Whoever has the key takes it away where it is right; where it is left, the fields are not to be believed.
pub const MAC: &str = "~mac";
/// The schema, JSON.
pub const SCHEMA: &str = "~schema";

/// Value of [`STATUS`] in a match that goes on, and of [`ACCESS`] in one that whoever may join may come into.
pub const OPEN: &str = "open";
/// Value of [`STATUS`] in a match that nobody may own.
pub const QUARANTINED: &str = "quarantined";
/// Value of [`ACCESS`] in a match that only those come into whose ticket names it.
pub const BY_TICKET: &str = "ticket";
/// Value of [`VERSION`] in what this program writes.
pub const VERSION_WRITTEN: u64 = 5;

/// Field with the digest of a player's resume token, 64 hex digits, and of one who came with a ticket behind a blank the
/// account; there as long as the player has a seat.
pub fn seat(player: PlayerId) -> String {
    format!("{SEAT_PREFIX}{player}")
}

/// Begins the name of each field of [`seat`].
pub const SEAT_PREFIX: &str = "~seat:";

/// Field with a line of the chat, JSON: the one of this number, until a later one takes its place.
pub fn chat(number: u64) -> String {
    format!("~c{}", number % CHAT_LINES_MAX as u64)
}

/// Field with the number of the last line that a player has said, by its client's count, decimal; there as long as the
/// player has a seat.
pub fn said(player: PlayerId) -> String {
    format!("{SAID_PREFIX}{player}")
}

/// Begins the name of each field of [`said`].
pub const SAID_PREFIX: &str = "~said:";

/// Field with the segments that a player gets, by its number, or with 0 those that spectators get: decimals, ascending, a
/// blank between. Only in matches in segments.
pub fn view(viewer: u32) -> String {
    format!("{VIEW_PREFIX}{viewer}")
}

/// Begins the name of each field of [`view`].
pub const VIEW_PREFIX: &str = "~view:";

/// Whether a field is part of the state as of a tick: an entity, a seat, a view, the chat, a diff of the ring, the prior. The
/// others tell of the match itself. The script of a commit has the same rule.
pub fn is_state(name: &[u8]) -> bool {
    match name.strip_prefix(b"~") {
        None => true,
        Some([b'c' | b'd', b'0'..=b'9', ..]) => true,
        Some(_) => {
            let of_players = [SEAT_PREFIX, SAID_PREFIX, VIEW_PREFIX];
            of_players.iter().any(|prefix| name.starts_with(prefix.as_bytes())) || name == PRIOR.as_bytes()
        }
    }
}

/// Entries that [`CLAIMS`] has at most.
pub const CLAIMS_KEPT: usize = 16;

/// An entry of [`CLAIMS`].
pub fn claim_entry(fence: Fence, tick: u64) -> String {
    format!("{}:{}:{tick}", fence.epoch.0, nonce_text(fence.nonce))
}

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

/// Key of the hash of nodes, by name.
pub const NODES_KEY: &str = "tickcast:nodes";

/// Key of the hash of bans, by subject.
pub const BANS_KEY: &str = "tickcast:bans";

/// Key that is there while a used ticket is remembered.
pub fn spent(ticket: TicketId) -> String {
    format!("tickcast:ticket:{ticket}")
}

/// Name of the channel with the orders for a node.
pub fn orders(node: &NodeId) -> String {
    format!("tickcast:{{node:{node}}}:orders")
}

/// Ring field of a tick.
pub fn ring(tick: u64, size: u64) -> FieldName {
    format!("~d{}", tick % size).into()
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
