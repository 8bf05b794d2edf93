//! What a commit costs, from the call to the answer, one at a time: to a Redis on this machine, and to the
//! memory of this process for comparison, without a key and with one. Printed besides: how many bytes such a commit has.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use benches::{Battle, Crew};
use criterion::{BatchSize, Criterion};
use harness::redis::{Persistence, RedisServer};
use tickcast_protocol::{MatchId, Nonce};
use tickcast_server::backplane::authenticated::Authenticated;
use tickcast_server::backplane::mac::envelope::{open, seal_tick};
use tickcast_server::backplane::mac::{ClusterKeys, ClusterMac, MacPolicy};
use tickcast_server::backplane::memory::MemoryBackplane;
use tickcast_server::backplane::redis::{RedisBackplane, Timing};
use tickcast_server::backplane::{Backplane, Claim, ClaimReply, Commit, CommitReply, fields};
use tickcast_server::io::clock;
use tokio::runtime::Runtime;

/// A typical match, and one in which more than enough entities move.
const PLAYERS: u32 = 16;
const DRONES: u32 = 120;
/// Entities that a snapshot tick writes.
const SNAPSHOT_ENTITIES: usize = 100;
/// Ticks between snapshots where ticks without one are measured.
const SNAPSHOT_EVERY: u64 = 30;

/// An owner of one match in a store.
struct Owner<'a, B> {
    runtime: &'a Runtime,
    plane: &'a B,
    id: MatchId,
    battle: Battle,
    crew: Crew,
    commits: u64,
    bytes: u64,
}

impl<'a, B: Backplane> Owner<'a, B> {
    fn new(runtime: &'a Runtime, plane: &'a B, id: &str, drones: u32, snapshot_every: u64) -> Owner<'a, B> {
        let id: MatchId = id.parse().expect("a valid id");
        let lease = Duration::from_secs(3600);
        let claim = Claim {
            node: "bench".parse().expect("a valid id"),
            nonce: Nonce(7),
            lease,
            crashes_max: u32::MAX,
            unanswered: Vec::new(),
        };
        let created = runtime.block_on(plane.create(&id, Battle::fields(PLAYERS, drones)));
        assert_eq!(created, Ok(true), "the match is new");
        let claimed = match runtime.block_on(plane.claim(&id, claim)) {
            Ok(ClaimReply::Claimed { fields, .. }) => fields,
            other => panic!("not claimed: {other:?}"),
        };
        let write = |tick| commit(runtime, plane, &id, &tick);
        let (battle, crew) = Battle::begin(&claimed, PLAYERS, snapshot_every, write);
        Owner { runtime, plane, id, battle, crew, commits: 0, bytes: 0 }
    }

    /// The next tick without a snapshot; one with a snapshot is committed on the way.
    fn plain_tick(&mut self) -> Commit {
        loop {
            let tick = self.battle.tick(self.crew.inputs());
            if !tick.set.iter().any(|(name, _)| *name == *fields::SNAPSHOT_TICK.as_bytes()) {
                return self.counted(tick);
            }
            commit(self.runtime, self.plane, &self.id, &tick);
        }
    }

    /// The next tick, which writes exactly so many entities.
    fn snapshot_tick(&mut self) -> Commit {
        let mut tick = self.battle.tick(self.crew.inputs());
        let (about, mut entities): (Vec<_>, Vec<_>) =
            tick.set.into_iter().partition(|(name, _)| name.starts_with(b"~"));
        assert!(entities.len() >= SNAPSHOT_ENTITIES, "only {} entities moved", entities.len());
        entities.truncate(SNAPSHOT_ENTITIES);
        tick.set = [about, entities].concat();
        tick.delete.clear();
        self.counted(tick)
    }

    fn counted(&mut self, tick: Commit) -> Commit {
        let set: usize = tick.set.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.commits += 1;
        self.bytes += (tick.message.len() + set) as u64;
        tick
    }

    fn measure(&mut self, criterion: &mut Criterion, name: &str, next: fn(&mut Self) -> Commit) {
        let (runtime, plane, id) = (self.runtime, self.plane, self.id.clone());
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || next(self),
                |tick| commit(runtime, plane, &id, &tick),
                BatchSize::PerIteration,
            );
        });
        if let Some(average) = self.bytes.checked_div(self.commits) {
            println!("{name}: {average} bytes of message and fields on average");
        }
    }
}

fn commit<B: Backplane>(runtime: &Runtime, plane: &B, id: &MatchId, tick: &Commit) {
    assert_eq!(runtime.block_on(plane.commit(id, tick)), Ok(CommitReply::Ok));
}

fn commits<B: Backplane>(criterion: &mut Criterion, runtime: &Runtime, name: &str, plane: &B) {
    Owner::new(runtime, plane, "tick", 0, SNAPSHOT_EVERY).measure(
        criterion,
        &format!("commit to {name}/tick, {PLAYERS} players"),
        Owner::plain_tick,
    );
    Owner::new(runtime, plane, "snapshot", DRONES, 1).measure(
        criterion,
        &format!("commit to {name}/tick with a snapshot of {SNAPSHOT_ENTITIES} entities"),
        Owner::snapshot_tick,
    );
}

fn keys() -> ClusterKeys {
    "a-key-of-the-benches-0123456789ab".parse().expect("long enough")
}

fn with_a_key<B: Backplane>(runtime: &Runtime, plane: B) -> Authenticated<B> {
    let mac = ClusterMac { keys: keys(), policy: MacPolicy::Require };
    let plane = Authenticated::new(plane, Some(mac), Arc::new(clock::unix_ms));
    runtime.block_on(plane).expect("a good store")
}

/// What a message costs whoever sends it, and each node that hears it.
fn codes(criterion: &mut Criterion) {
    let (keys, channel) = (keys(), "tickcast:{abcdefghijklmnopqrstuvwxyz}:diff");
    for bytes in [100, 200, 400, 600] {
        let message = vec![7; bytes];
        let sealed = seal_tick(&keys, channel, &message);
        criterion.bench_function(&format!("code/seal a tick of {bytes} bytes"), |bencher| {
            bencher.iter(|| seal_tick(&keys, channel, black_box(&message)));
        });
        criterion.bench_function(&format!("code/open a tick of {bytes} bytes"), |bencher| {
            bencher.iter(|| open(&keys, channel, black_box(&sealed)).is_ok());
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(RedisServer::start(Persistence::Off));
    let (plane, _warnings) =
        runtime.block_on(RedisBackplane::connect(&server.url(), Timing::default())).expect("a good server");
    commits(&mut criterion, &runtime, "redis", &plane);
    runtime.block_on(server.command::<()>(&["FLUSHALL"]));
    commits(&mut criterion, &runtime, "redis with a key", &with_a_key(&runtime, plane));
    let memory = || MemoryBackplane::new(Arc::new(clock::unix_ms));
    commits(&mut criterion, &runtime, "memory", &memory());
    commits(&mut criterion, &runtime, "memory with a key", &with_a_key(&runtime, memory()));
    codes(&mut criterion);
    criterion.final_summary();
}
