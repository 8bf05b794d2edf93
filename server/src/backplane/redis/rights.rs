//! Whether this user may do what a node does. Every command is tried on keys of our own that no match can have;
//! a script may run what its user may run.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value, cmd};

/// A match's id cannot begin like this.
const KEY: &str = "tickcast:{~probe}";
const SET: &str = "tickcast:{~probe}:set";
const TICKET: &str = "tickcast:{~probe}:ticket";
const CHANNEL: &str = "tickcast:{~probe}:diff";
const SCRIPT: &str = "return 1";
/// SHA-1 of the script.
const DIGEST: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

/// The commands that are refused, with the words of the first refusal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lacking {
    pub(super) commands: Vec<String>,
    pub(super) reason: String,
}

fn probes(publish: &str) -> Vec<(&'static str, Cmd)> {
    let call = |words: &[&str]| {
        let mut call = cmd(words[0]);
        call.arg(&words[1..]);
        call
    };
    let mut probes: Vec<(&'static str, Cmd)> = [
        ("hset", &["HSET", KEY, "f", "v"][..]),
        ("hget", &["HGET", KEY, "f"]),
        ("hmget", &["HMGET", KEY, "f"]),
        ("hkeys", &["HKEYS", KEY]),
        ("hgetall", &["HGETALL", KEY]),
        ("hdel", &["HDEL", KEY, "f"]),
        ("exists", &["EXISTS", KEY]),
        ("sadd", &["SADD", SET, "m"]),
        ("smembers", &["SMEMBERS", SET]),
        ("srem", &["SREM", SET, "m"]),
        ("set", &["SET", TICKET, "", "NX", "PX", "1"]),
        ("del", &["DEL", KEY]),
        ("time", &["TIME"]),
        ("ping", &["PING"]),
        ("script|load", &["SCRIPT", "LOAD", SCRIPT]),
        ("evalsha", &["EVALSHA", DIGEST, "1", KEY]),
    ]
    .into_iter()
    .map(|(name, words)| (name, call(words)))
    .collect();
    let publishes = if publish == "SPUBLISH" { "spublish" } else { "publish" };
    probes.push((publishes, call(&[publish, CHANNEL, ""])));
    probes
}

/// Tries everything. A refusal for another reason than a lacking right says nothing about rights.
pub(super) async fn lacking(mut link: MultiplexedConnection, publish: &str) -> RedisResult<Lacking> {
    let mut lacking = Lacking::default();
    for (name, probe) in probes(publish) {
        match probe.query_async::<Value>(&mut link).await {
            Err(error) if is_lacking(&error) => {
                if lacking.commands.is_empty() {
                    lacking.reason = super::connection::describe(&error);
                }
                lacking.commands.push(name.to_owned());
            }
            Err(error) if super::connection::is_fatal(&error) && error.is_io_error() => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(lacking)
}

fn is_lacking(error: &RedisError) -> bool {
    let unknown = error.detail().is_some_and(|words| words.starts_with("unknown command"));
    error.code() == Some("NOPERM") || (error.code() == Some("ERR") && unknown)
}
