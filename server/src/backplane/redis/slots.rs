//! Slots of a Redis Cluster: which of them a key has, and which node serves it.

use redis::{RedisResult, Value, from_redis_value};

use super::address::HostPort;

/// Slots of a cluster.
pub(super) const SLOTS: u16 = 16384;

/// The slot of a key or channel: of what stands between the first `{` and the `}` after it, if anything does.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then_some(&rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// A range of slots and the master that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) master: HostPort,
}

/// What CLUSTER SLOTS answered. A node that does not know its own name means the one that was asked.
pub(super) fn parse(answer: Value, asked: &HostPort) -> RedisResult<Vec<Range>> {
    let ranges: Vec<(u16, u16, Vec<Value>)> = from_redis_value(owned_entries(answer))?;
    let range = |(first, last, node): (u16, u16, Vec<Value>)| {
        let mut node = node.into_iter();
        let host: Option<String> = from_redis_value(node.next().unwrap_or(Value::Nil))?;
        let port: u16 = from_redis_value(node.next().unwrap_or(Value::Nil))?;
        let known = host.filter(|host| !host.is_empty() && host != "?");
        let master = HostPort { host: known.unwrap_or_else(|| asked.host.clone()), port };
        Ok(Range { first, last, master })
    };
    ranges.into_iter().map(range).collect()
}

/// Each entry without the replicas that stand behind its master.
fn owned_entries(answer: Value) -> Value {
    match answer {
        Value::Array(entries) => Value::Array(entries.into_iter().map(without_replicas).collect()),
        other => other,
    }
}

fn without_replicas(entry: Value) -> Value {
    match entry {
        Value::Array(parts) => Value::Array(parts.into_iter().take(3).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
