//! The backplane on a Redis, a set of sentinels, or a Redis Cluster: one script per guarded operation, connections
//! for commands, others for subscriptions. No other part of the server may name the `redis` crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use redis::{RedisResult, cmd};
use tickcast_protocol::ticket::{Subject, TicketId};
use tickcast_protocol::{Fence, MatchId, NodeId};
use tokio::time::timeout;

use self::connect::Purpose;
use self::connection::Link;
use self::links::Links;
use self::scripts::{Script, Scripts};
use super::store::newborn;
use super::{
    Backplane, Channel, Claim, ClaimReply, Commit, CommitReply, FieldName, Guarded, MatchFields, Release,
    Subscription, UNANSWERED_MAX, Unavailable, fields,
};

mod address;
mod batch;
mod commit;
mod connect;
mod connection;
mod links;
mod rights;
mod router;
mod scripts;
mod security;
mod sharded;
mod slots;
mod subscriber;
mod target;
mod verdict;

pub use self::connect::{ConnectError, Warning};
pub use self::security::SecurityFiles;

/// Matches that `list` asks for at once.
const LISTED_AT_ONCE_MAX: usize = 500;

/// For a hint to be written before what it is about goes on without it.
const HINT_TIME_MAX: Duration = Duration::from_millis(250);

/// How long a Redis may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For one call, a connection attempt, or a subscription.
    pub call_time_max: Duration,
    /// Between two questions whether the server is there.
    pub ping_interval: Duration,
    /// For the answer to such a question, before the connection counts as dead.
    pub silence_max: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            call_time_max: Duration::from_secs(2),
            ping_interval: Duration::from_secs(1),
            silence_max: Duration::from_secs(3),
        }
    }
}

/// A backplane on a Redis; its clones share the connections, which end with the last of them.
#[derive(Debug, Clone)]
pub struct RedisBackplane {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    links: Links,
    scripts: Scripts,
    /// The last entry of a match was not taken.
    index_is_away: AtomicBool,
}

impl RedisBackplane {
    /// Connects, and checks that this Redis can be trusted with matches, and that its user may do what a node does.
    pub async fn connect(url: &str, timing: Timing) -> Result<(RedisBackplane, Vec<Warning>), ConnectError> {
        RedisBackplane::connect_secured(url, &SecurityFiles::default(), timing).await
    }

    /// As [`RedisBackplane::connect`], with files for TLS.
    pub async fn connect_secured(
        url: &str,
        files: &SecurityFiles,
        timing: Timing,
    ) -> Result<(RedisBackplane, Vec<Warning>), ConnectError> {
        RedisBackplane::connect_as(Purpose::Serve, url, files, timing).await
    }

    /// Connects to ask for something: what the user may not do is refused when it is asked for.
    pub async fn connect_to_ask(
        url: &str,
        files: &SecurityFiles,
        timing: Timing,
    ) -> Result<RedisBackplane, ConnectError> {
        Ok(RedisBackplane::connect_as(Purpose::Ask, url, files, timing).await?.0)
    }

    async fn connect_as(
        purpose: Purpose,
        url: &str,
        files: &SecurityFiles,
        timing: Timing,
    ) -> Result<(RedisBackplane, Vec<Warning>), ConnectError> {
        let (links, warnings) = Links::open(url, files, timing, purpose).await?;
        let scripts = Scripts::new(links.publish());
        Ok((
            RedisBackplane {
                shared: Arc::new(Shared { links, scripts, index_is_away: AtomicBool::new(false) }),
            },
            warnings,
        ))
    }

    /// Runs a script on a match. What stands at its key and is no hash is no match: the answer is the default.
    async fn run_script<T: redis::FromRedisValue + Default + Send>(
        &self,
        id: &MatchId,
        script: &Script,
        call: redis::Cmd,
    ) -> Result<T, Unavailable> {
        let run = |link| async { default_for_foreign(script.run(&call, link).await) };
        self.shared.links.commands.call(&fields::key(id), run).await
    }

    /// Runs a script that answers whether it did something.
    async fn run_guarded(
        &self,
        id: &MatchId,
        script: &Script,
        call: redis::Cmd,
    ) -> Result<Guarded, Unavailable> {
        let done: bool = self.run_script(id, script, call).await?;
        Ok(if done { Guarded::Done } else { Guarded::Refused })
    }

    /// Runs a command that reads a match. What stands at its key and is no hash is no match: the answer is the
    /// default.
    async fn read_match<T: redis::FromRedisValue + Default + Send>(
        &self,
        id: &MatchId,
        call: redis::Cmd,
    ) -> Result<T, Unavailable> {
        let run = |link| async { default_for_foreign(query(&call, link).await) };
        self.shared.links.commands.call(&fields::key(id), run).await
    }

    /// Runs a command on a key.
    async fn run<T: redis::FromRedisValue + Send>(
        &self,
        key: &str,
        call: redis::Cmd,
    ) -> Result<T, Unavailable> {
        self.shared.links.commands.call(key, |link| query(&call, link)).await
    }

    /// Publishes on a channel without a match.
    async fn publish(&self, channel: &str, message: &Bytes) -> Result<(), Unavailable> {
        let mut call = cmd(self.shared.links.publish());
        call.arg(channel).arg(&message[..]);
        let _receivers: u64 = self.run(channel, call).await?;
        Ok(())
    }

    /// These fields of a match, after whether it exists.
    async fn read_all(&self, id: &MatchId, names: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Unavailable> {
        let mut call = cmd("HMGET");
        call.arg(fields::key(id)).arg(fields::EPOCH).arg(names);
        self.read_match(id, call).await
    }

    /// Writes an id into the index, or out of it.
    async fn index(&self, command: &str, id: &MatchId) -> Result<(), Unavailable> {
        let mut call = cmd(command);
        call.arg(fields::INDEX_KEY).arg(id.as_str());
        self.run(fields::INDEX_KEY, call).await
    }

    /// Enters a match into the index, if that can be done at once. The index may be on another master than the match;
    /// it is a hint, and whoever owns the match enters it later.
    async fn hint(&self, id: &MatchId) {
        let written = timeout(HINT_TIME_MAX, self.index("SADD", id)).await;
        let error = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.0),
            Err(_) => Some(format!("not within {HINT_TIME_MAX:?}")),
        };
        let before = self.shared.index_is_away.swap(error.is_some(), Ordering::Relaxed);
        if let Some(error) = error.filter(|_| !before) {
            tracing::warn!(%id, error, "{} cannot be written, its owner enters the match later", fields::INDEX_KEY);
        }
    }

    /// Drops an id from the index, unless it has been created again meanwhile.
    async fn forget(&self, id: &MatchId) -> Result<(), Unavailable> {
        self.index("SREM", id).await?;
        let mut call = cmd("HEXISTS");
        call.arg(fields::key(id)).arg(fields::EPOCH);
        if self.read_match(id, call).await? { self.index("SADD", id).await } else { Ok(()) }
    }
}

/// Time between now and the earliest next attempt to connect.
#[derive(Debug, Clone, Copy)]
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff(Backoff::MIN)
    }
}

impl Backoff {
    const MIN: Duration = Duration::from_millis(50);
    const MAX: Duration = Duration::from_millis(500);

    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(Backoff::MAX);
        wait
    }
}

impl Backplane for RedisBackplane {
    async fn create(&self, id: &MatchId, fields: MatchFields) -> Result<bool, Unavailable> {
        // The index is a hint that may have been lost, so it is written even if the match exists; and first, so
        // that no match is without an entry for long.
        self.hint(id).await;
        let script = &self.shared.scripts.create;
        let mut call = script.call(&[&fields::key(id)]);
        for (name, value) in newborn(fields) {
            call.arg(&name[..]).arg(&value[..]);
        }
        self.run_script(id, script, call).await
    }

    async fn claim(&self, id: &MatchId, claim: Claim) -> Result<ClaimReply, Unavailable> {
        let script = &self.shared.scripts.claim;
        let mut call = script.call(&[&fields::key(id)]);
        call.arg(fields::nonce_text(claim.nonce))
            .arg(claim.node.as_str())
            .arg(decimal_ms(claim.lease))
            .arg(claim.crashes_max)
            .arg(fields::CLAIMS_KEPT);
        for nonce in claim.unanswered.iter().take(UNANSWERED_MAX) {
            call.arg(fields::nonce_text(*nonce));
        }
        let (answer, left_ms, hash): (String, u64, Vec<Vec<u8>>) = self.run_script(id, script, call).await?;
        match answer.as_str() {
            "CLAIMED" => {
                let fields = to_fields(hash);
                let fence = fields::fence(&fields).ok_or_else(|| unknown("a claim", "no fence"))?;
                self.hint(id).await;
                Ok(ClaimReply::Claimed { fence, fields })
            }
            "HELD" => Ok(ClaimReply::Held { left: Duration::from_millis(left_ms) }),
            "QUARANTINED" => Ok(ClaimReply::Quarantined),
            "NO_MATCH" | "" => Ok(ClaimReply::NoMatch),
            other => Err(unknown("a claim", other)),
        }
    }

    async fn commit(&self, id: &MatchId, commit: &Commit) -> Result<CommitReply, Unavailable> {
        let script = &self.shared.scripts.commit;
        let call = commit::call(script, id, commit);
        let run = |link: Link| async { default_for_foreign(script.run(&call, link.together()).await) };
        let answer: commit::Answer = self.shared.links.commands.call(&fields::key(id), run).await?;
        answer.reply()
    }

    async fn release(
        &self,
        id: &MatchId,
        fence: Fence,
        release: &Release,
        message: Bytes,
    ) -> Result<Guarded, Unavailable> {
        let script = &self.shared.scripts.release;
        let mut call = script.call(&[&fields::key(id)]);
        add_fence(&mut call, fence);
        call.arg(fields::channel(id, Channel::Diff))
            .arg(&message[..])
            .arg(release.heir.as_ref().map_or("", NodeId::as_str))
            .arg(decimal_ms(release.grace))
            .arg(u8::from(release.clean));
        self.run_guarded(id, script, call).await
    }

    async fn revive(&self, id: &MatchId) -> Result<Guarded, Unavailable> {
        let script = &self.shared.scripts.revive;
        self.run_guarded(id, script, script.call(&[&fields::key(id)])).await
    }

    async fn notify(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        let script = &self.shared.scripts.notify;
        let mut call = script.call(&[&fields::key(id)]);
        add_fence(&mut call, fence);
        call.arg(fields::channel(id, Channel::Diff)).arg(&message[..]);
        self.run_guarded(id, script, call).await
    }

    async fn end(&self, id: &MatchId, fence: Fence, message: Bytes) -> Result<Guarded, Unavailable> {
        let script = &self.shared.scripts.end;
        let mut call = script.call(&[&fields::key(id)]);
        add_fence(&mut call, fence);
        call.arg(fields::channel(id, Channel::Diff)).arg(&message[..]);
        let ended = self.run_guarded(id, script, call).await?;
        if ended == Guarded::Done {
            // An entry that stays behind is found to lead nowhere by the next who lists.
            let _ = self.index("SREM", id).await;
        }
        Ok(ended)
    }

    async fn load(&self, id: &MatchId) -> Result<Option<MatchFields>, Unavailable> {
        let mut call = cmd("HGETALL");
        call.arg(fields::key(id));
        let hash: Vec<Vec<u8>> = self.read_match(id, call).await?;
        Ok(if hash.is_empty() { None } else { Some(to_fields(hash)) })
    }

    async fn read(&self, id: &MatchId, fields: &[&str]) -> Result<Option<MatchFields>, Unavailable> {
        let mut values = self.read_all(id, fields).await?.into_iter();
        Ok(values.next().flatten().map(|_| present(fields, values)))
    }

    async fn list(&self, fields: &[&str]) -> Result<Vec<(MatchId, MatchFields)>, Unavailable> {
        let mut call = cmd("SMEMBERS");
        call.arg(fields::INDEX_KEY);
        let names: Vec<String> = self.run(fields::INDEX_KEY, call).await?;
        let mut ids: Vec<MatchId> = names.iter().filter_map(|name| name.parse().ok()).collect();
        ids.sort();
        let mut matches = Vec::with_capacity(ids.len());
        for ids in ids.chunks(LISTED_AT_ONCE_MAX) {
            let read = try_join_all(ids.iter().map(|id| self.read_all(id, fields))).await?;
            for (id, values) in ids.iter().zip(read) {
                let mut values = values.into_iter();
                if values.next().flatten().is_some() {
                    matches.push((id.clone(), present(fields, values)));
                } else {
                    // Whoever may only read, or finds no master for it, leaves the entry to others.
                    let _ = self.forget(id).await;
                }
            }
        }
        Ok(matches)
    }

    async fn enter(&self, id: &MatchId) -> Result<(), Unavailable> {
        self.index("SADD", id).await
    }

    async fn send_input(&self, id: &MatchId, message: Bytes) -> Result<(), Unavailable> {
        self.publish(&fields::channel(id, Channel::Input), &message).await
    }

    async fn subscribe(&self, id: &MatchId, channel: Channel) -> Result<Subscription, Unavailable> {
        self.shared.links.subscriptions.subscribe(fields::channel(id, channel)).await
    }

    async fn enlist(&self, node: &NodeId, entry: Option<Bytes>) -> Result<(), Unavailable> {
        let mut call = cmd(if entry.is_some() { "HSET" } else { "HDEL" });
        call.arg(fields::NODES_KEY).arg(node.as_str()).arg(entry.as_deref());
        let _fields: u64 = self.run(fields::NODES_KEY, call).await?;
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<(NodeId, Bytes)>, Unavailable> {
        let mut call = cmd("HGETALL");
        call.arg(fields::NODES_KEY);
        let named =
            |(name, entry): (FieldName, Bytes)| Some((std::str::from_utf8(&name).ok()?.parse().ok()?, entry));
        Ok(to_fields(self.run(fields::NODES_KEY, call).await?).into_iter().filter_map(named).collect())
    }

    async fn send_order(&self, node: &NodeId, message: Bytes) -> Result<(), Unavailable> {
        self.publish(&fields::orders(node), &message).await
    }

    async fn subscribe_orders(&self, node: &NodeId) -> Result<Subscription, Unavailable> {
        self.shared.links.subscriptions.subscribe(fields::orders(node)).await
    }

    async fn spend_ticket(&self, id: TicketId, remembered: Duration) -> Result<bool, Unavailable> {
        let key = fields::spent(id);
        let mut call = cmd("SET");
        call.arg(&key).arg("").arg("NX").arg("PX").arg(decimal_ms(remembered).max(1));
        let set: Option<String> = self.run(&key, call).await?;
        Ok(set.is_some())
    }

    async fn set_ban(&self, subject: &Subject, ban: Option<Bytes>) -> Result<(), Unavailable> {
        let mut call = cmd(if ban.is_some() { "HSET" } else { "HDEL" });
        call.arg(fields::BANS_KEY).arg(subject.as_str()).arg(ban.as_deref());
        let _fields: u64 = self.run(fields::BANS_KEY, call).await?;
        Ok(())
    }

    async fn ban(&self, subject: &Subject) -> Result<Option<Bytes>, Unavailable> {
        let mut call = cmd("HGET");
        call.arg(fields::BANS_KEY).arg(subject.as_str());
        let stored: Option<Vec<u8>> = self.run(fields::BANS_KEY, call).await?;
        Ok(stored.map(Bytes::from))
    }

    async fn bans(&self) -> Result<Vec<(Subject, Bytes)>, Unavailable> {
        let mut call = cmd("HGETALL");
        call.arg(fields::BANS_KEY);
        let named =
            |(name, ban): (FieldName, Bytes)| Some((std::str::from_utf8(&name).ok()?.parse().ok()?, ban));
        Ok(to_fields(self.run(fields::BANS_KEY, call).await?).into_iter().filter_map(named).collect())
    }

    fn distrust_subscriptions(&self) {
        self.shared.links.subscriptions.distrust();
    }

    async fn now_ms(&self) -> Result<u64, Unavailable> {
        // Of a cluster, the master that also takes the beats.
        let (seconds, micros): (u64, u64) = self.run(fields::NODES_KEY, cmd("TIME")).await?;
        Ok(seconds * 1000 + micros / 1000)
    }
}

async fn query<T: redis::FromRedisValue>(call: &redis::Cmd, mut link: Link) -> RedisResult<T> {
    link.query(call).await
}

/// Somebody else has written to a match's key. Only somebody can say what for, so it is left alone: asking again
/// and again would be no help, and one such key must not spoil what is asked about many matches.
fn default_for_foreign<T: Default>(outcome: RedisResult<T>) -> RedisResult<T> {
    match outcome {
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(T::default()),
        outcome => outcome,
    }
}

fn add_fence(call: &mut redis::Cmd, fence: Fence) {
    call.arg(fence.epoch.0).arg(fields::nonce_text(fence.nonce));
}

fn decimal_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A hash from the flat list of names and values that Redis sends.
fn to_fields(flat: Vec<Vec<u8>>) -> MatchFields {
    let mut fields = MatchFields::new();
    let mut flat = flat.into_iter();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        fields.insert(name.into(), Bytes::from(value));
    }
    fields
}

/// The fields that are there.
fn present(names: &[&str], values: impl Iterator<Item = Option<Vec<u8>>>) -> MatchFields {
    let pairs = names.iter().zip(values);
    pairs.filter_map(|(name, value)| Some(((*name).into(), Bytes::from(value?)))).collect()
}

fn unknown(what: &str, answer: &str) -> Unavailable {
    Unavailable(format!("{what} was answered with {answer}, which is not known"))
}
