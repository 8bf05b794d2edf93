//! What a tick costs its owner: every player's input taken in, the demo game's rules, the diff, the hash, and
//! the commit ready to be sent; every thirtieth also writes a snapshot of the entities.

use std::time::Duration;

use benches::{Battle, claimed};
use criterion::{BatchSize, BenchmarkId, Criterion};
use tickcast_protocol::Tick;
use tickcast_server::game::{GameType, Options, Past};
use tickcast_server::games::Arena;

/// Ticks from one snapshot to the next: a second's worth.
const SNAPSHOT_EVERY: u64 = 30;
/// Players and drones of the matches that are measured.
const SIZES: [(u32, u32); 3] = [(16, 0), (64, 0), (64, 900)];

/// What it costs per tick that a game looks back: of 300 entities two or three fields are kept.
fn look_back(criterion: &mut Criterion) {
    let (players, drones) = (64, 236);
    let (battle, _) = Battle::begin(&claimed(Battle::fields(players, drones)), players, SNAPSHOT_EVERY, drop);
    let world = battle.world();
    let asked = Arena.create(&Options::new()).remembers();
    let mut past = Past::new(world.schema(), &asked, 30, Duration::from_millis(250));
    let mut tick = Tick(0);
    criterion.bench_function("past/record, 300 entities", |bencher| {
        bencher.iter(|| {
            tick = tick.next();
            past.record(tick, world);
        });
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("step");
    for (players, drones) in SIZES {
        let (mut battle, mut crew) =
            Battle::begin(&claimed(Battle::fields(players, drones)), players, SNAPSHOT_EVERY, drop);
        let (mut ticks, mut bytes) = (0u64, 0u64);
        let id = BenchmarkId::from_parameter(format!("{players} players, {drones} drones"));
        group.bench_function(id, |bencher| {
            bencher.iter_batched(
                || crew.inputs(),
                |inputs| {
                    let commit = battle.tick(inputs);
                    ticks += 1;
                    bytes += commit.message.len() as u64;
                    commit
                },
                BatchSize::SmallInput,
            );
        });
        assert_eq!(battle.counts().inputs_dropped, 0, "every input was applied");
        if let Some(average) = bytes.checked_div(ticks) {
            let entities = battle.entities();
            println!(
                "{players} players, {drones} drones: a message is {average} bytes on average, {entities} entities at the end"
            );
        }
    }
    group.finish();
    look_back(&mut criterion);
    criterion.final_summary();
}
