//! What the state codec costs: a tick's diff out of a world and into a replica, a snapshot and a catch-up both
//! ways. Sizes are printed once, because a faster codec that sends more is not a better one.

use std::hint::black_box;
use std::sync::Arc;

use benches::Crowd;
use criterion::{BatchSize, Criterion, Throughput};
use tickcast_protocol::catch_up::{self, Leap, STEPS_KNOWN_MAX};
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{Epoch, Fence, Nonce, Position, Progress, Replica, Tick, World, frame, snapshot};

/// Ticks of a recording: four seconds of play at 30 Hz.
const TICKS: u64 = 120;
/// Ticks before the recording: nobody stands at the start any more, and a prior is learned.
const WARM_UP: u64 = 300;
/// Ticks that a slow client missed.
const SPAN: u64 = 10;

/// Some seconds of one match, as its owner saw them.
struct Recording {
    start: World,
    /// What all diffs are coded with.
    prior: Arc<Prior>,
    /// Before each commit: the world with the tick's changes.
    worlds: Vec<World>,
    /// After each commit: the frame that goes to every client.
    frames: Vec<Vec<u8>>,
    end: World,
}

fn position(tick: u64) -> Position {
    Position { fence: Fence { epoch: Epoch(1), nonce: Nonce(7) }, tick: Tick(tick) }
}

fn record() -> Recording {
    let mut crowd = Crowd::new();
    let mut encoder = Encoder::new(Prior::first(crowd.world.schema()));
    for _ in 0..WARM_UP {
        crowd.step();
        encoder.encode(&crowd.world, &mut Vec::new());
        crowd.world.advance();
        encoder.poll_prior();
    }
    let (start, prior) = (crowd.world.clone(), Arc::clone(encoder.prior()));
    let (mut worlds, mut frames) = (Vec::new(), Vec::new());
    for tick in 1..=TICKS {
        crowd.step();
        worlds.push(crowd.world.clone());
        let mut payload = Vec::new();
        encoder.encode(&crowd.world, &mut payload);
        crowd.world.advance();
        frames.push(frame::diff(position(tick), prior.number(), Some(crowd.world.hash()), &payload));
    }
    Recording { start, prior, worlds, frames, end: crowd.world }
}

fn diffs(criterion: &mut Criterion, recording: &Recording) {
    let mut group = criterion.benchmark_group("diff");
    group.throughput(Throughput::Elements(TICKS));
    let mut out = Vec::with_capacity(64 * 1024);
    let mut encoder = Encoder::new(Arc::clone(&recording.prior));
    group.bench_function("encode 120 ticks", |bencher| {
        bencher.iter(|| {
            for world in &recording.worlds {
                out.clear();
                encoder.encode(black_box(world), &mut out);
            }
            out.len()
        });
    });
    let start = || Replica::loaded(recording.start.clone(), Arc::clone(&recording.prior), position(0));
    group.bench_function("apply 120 ticks", |bencher| {
        bencher.iter_batched(start, |replica| follow(replica, &recording.frames), BatchSize::LargeInput);
    });
    group.finish();
    assert!(
        follow(start(), &recording.frames).world().same_state(&recording.end),
        "the replica has the end's state"
    );
}

fn follow(mut replica: Replica, frames: &[Vec<u8>]) -> Replica {
    for frame in frames {
        assert_eq!(replica.apply(black_box(frame)), Progress::Advanced);
    }
    replica
}

fn snapshots(criterion: &mut Criterion, recording: &Recording) {
    let mut group = criterion.benchmark_group("snapshot");
    let mut payload = Vec::new();
    snapshot::encode(&recording.end, &mut payload);
    group.throughput(Throughput::Bytes(payload.len() as u64));
    let mut out = Vec::with_capacity(payload.len());
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            snapshot::encode(black_box(&recording.end), &mut out);
            out.len()
        });
    });
    group.bench_function("decode", |bencher| {
        let schema = recording.end.schema();
        let decode = || snapshot::decode(Arc::clone(schema), black_box(&payload)).expect("our own bytes");
        bencher.iter_with_large_drop(decode);
    });
    group.finish();
    let mut prior = Vec::new();
    recording.prior.encode(&mut prior);
    let diff_bytes: usize = recording.frames.iter().map(Vec::len).sum();
    println!(
        "a diff frame is {} bytes on average, a snapshot {}, a prior {}",
        diff_bytes as u64 / TICKS,
        payload.len(),
        prior.len()
    );
}

fn catch_ups(criterion: &mut Criterion, recording: &Recording) {
    let mut group = criterion.benchmark_group("catch-up");
    let missed = recording.frames.len() - SPAN as usize;
    let replica = Replica::loaded(recording.start.clone(), Arc::clone(&recording.prior), position(0));
    let from = follow(replica, &recording.frames[..missed]).into_world();
    let leap = Leap { span: SPAN as u32, known: STEPS_KNOWN_MAX };
    let mut payload = Vec::new();
    catch_up::encode(&from, &recording.end, leap, &mut payload);
    let mut out = Vec::with_capacity(payload.len());
    group.bench_function("encode over 10 ticks", |bencher| {
        bencher.iter(|| {
            out.clear();
            catch_up::encode(black_box(&from), &recording.end, leap, &mut out);
            out.len()
        });
    });
    group.bench_function("apply over 10 ticks", |bencher| {
        let apply = |mut world: World| {
            catch_up::apply(&mut world, leap, black_box(&payload)).expect("our own bytes");
            world
        };
        bencher.iter_batched(|| from.clone(), apply, BatchSize::LargeInput);
    });
    group.finish();
    let diff_bytes: usize = recording.frames[missed..].iter().map(Vec::len).sum();
    println!("a catch-up over 10 ticks is {} bytes, their diffs are {diff_bytes}", payload.len());
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let recording = record();
    diffs(&mut criterion, &recording);
    snapshots(&mut criterion, &recording);
    catch_ups(&mut criterion, &recording);
    criterion.final_summary();
}
