//! Looks at every match in Redis all the time, and remembers when which owner was seen to have committed. (What the match itself
//! tells of that is not written with every tick.)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult, cmd, pipe};
use tickcast_server::backplane::fields;
use tokio::task::JoinSet;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// For an answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Who owns a match, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) owner: String,
    pub(super) epoch: u64,
    pub(super) tick: u64,
    pub(super) players: u64,
    /// When its tick was seen first, by Redis's clock.
    seen_ms: u64,
}

/// What was seen of one match.
#[derive(Debug, Default)]
struct Seen {
    now: Option<Owned>,
    /// For each epoch, when its first tick was seen, and its last; by Redis's clock.
    epochs: BTreeMap<u64, (u64, u64)>,
}

/// The look-out; ends when it is dropped.
pub(super) struct Watch {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    /// Dropping it ends the look-out.
    _task: JoinSet<()>,
}

impl Watch {
    pub(super) fn start(port: u16) -> Watch {
        let seen = Arc::default();
        let mut task = JoinSet::new();
        task.spawn(look(port, Arc::clone(&seen)));
        Watch { seen, _task: task }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every match as it was seen last.
    pub(super) fn now(&self) -> BTreeMap<String, Owned> {
        let seen = self.seen();
        seen.iter().filter_map(|(id, seen)| Some((id.clone(), seen.now.clone()?))).collect()
    }

    /// When the first tick of a later epoch was seen.
    pub(super) fn first_of_next_owner(&self, id: &str, epoch: u64) -> Option<u64> {
        let seen = self.seen();
        seen.get(id)?.epochs.range(epoch + 1..).next().map(|(_, (first, _))| *first)
    }

    /// Time between the last tick of an epoch and the first of the next.
    pub(super) fn gap_before_next_owner(&self, id: &str, epoch: u64) -> Option<u64> {
        let seen = self.seen();
        let epochs = &seen.get(id)?.epochs;
        let (_, last) = epochs.get(&epoch)?;
        let (first, _) = epochs.range(epoch + 1..).next()?.1;
        Some(first.saturating_sub(*last))
    }

    /// When a later tick than this was seen, after this time.
    pub(super) fn first_after(&self, id: &str, tick: u64, since_ms: u64) -> Option<u64> {
        let seen = self.seen();
        let now = seen.get(id)?.now.as_ref()?;
        (now.tick > tick && now.seen_ms > since_ms).then_some(now.seen_ms)
    }
}

async fn look(port: u16, seen: Arc<Mutex<BTreeMap<String, Seen>>>) {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_WITHIN));
    let client = Client::open(format!("redis://127.0.0.1:{port}")).expect("an address");
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut link: Option<MultiplexedConnection> = None;
    loop {
        looks.tick().await;
        if link.is_none() {
            link = client.get_multiplexed_async_connection_with_config(&config).await.ok();
        }
        let Some(open) = &mut link else { continue };
        match read(open).await {
            Ok(found) => note(&mut seen.lock().unwrap_or_else(PoisonError::into_inner), found),
            Err(_) => link = None,
        }
    }
}

async fn read(link: &mut MultiplexedConnection) -> RedisResult<Vec<(String, Owned)>> {
    let ids: Vec<String> = cmd("SMEMBERS").arg(fields::INDEX_KEY).query_async(link).await?;
    let mut reads = pipe();
    for id in &ids {
        let key = fields::key(&id.parse().expect("the index holds ids"));
        let names = [fields::OWNER, fields::EPOCH, fields::TICK, fields::PLAYERS, fields::COMMITTED_MS];
        reads.cmd("HMGET").arg(key).arg(&names);
    }
    let rows: Vec<Vec<Option<String>>> = reads.query_async(link).await?;
    let (seconds, micros): (u64, u64) = cmd("TIME").query_async(link).await?;
    let seen_ms = seconds * 1000 + micros / 1000;
    let owned = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        let owner = row.next()??;
        let mut number = || row.next()??.parse().ok();
        // The last is there from the first tick on.
        let (epoch, tick, players, _) = (number()?, number()?, number()?, number()?);
        Some(Owned { owner, epoch, tick, players, seen_ms })
    };
    Ok(ids.into_iter().zip(rows).filter_map(|(id, row)| Some((id, owned(row)?))).collect())
}

fn note(seen: &mut BTreeMap<String, Seen>, found: Vec<(String, Owned)>) {
    for (id, mut owned) in found {
        let seen = seen.entry(id).or_default();
        // A claim alone is no tick yet.
        let ticked = seen.now.as_ref().is_none_or(|before| before.tick < owned.tick);
        if let Some(before) = seen.now.as_ref().filter(|_| !ticked) {
            owned.seen_ms = before.seen_ms;
        } else {
            let at = owned.seen_ms;
            seen.epochs.entry(owned.epoch).and_modify(|(_, last)| *last = at).or_insert((at, at));
        }
        seen.now = Some(owned);
    }
}
