//! What a replica makes of frames in order, out of order, of another owner, damaged, and of a false hash.

use super::*;
use crate::diff::Encoder;
use crate::ids::{Epoch, Fence, Nonce};
use crate::schema::{Field, Kind};

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    Schema::new("demo", "player", [player], []).unwrap()
}

fn fence(nonce: u64) -> Fence {
    Fence { epoch: Epoch(1), nonce: Nonce(nonce) }
}

/// An owner's frames of `count` ticks after `start`, in each of which one entity is born.
fn frames(world: &mut World, fence: Fence, start: u64, count: u64) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Prior::first(&schema()));
    (start + 1..=start + count)
        .map(|tick| {
            world.spawn(0).unwrap();
            let mut payload = Vec::new();
            encoder.encode(world, &mut payload);
            world.advance();
            frame::diff(Position { fence, tick: Tick(tick) }, 0, Some(world.hash()), &payload)
        })
        .collect()
}

fn snapshot_of(world: &World, fence: Fence, tick: u64) -> Vec<u8> {
    let (mut prior, mut payload) = (Vec::new(), Vec::new());
    Prior::first(&schema()).encode(&mut prior);
    snapshot::encode(world, &mut payload);
    frame::snapshot(Position { fence, tick: Tick(tick) }, world.hash(), &prior, &payload)
}

fn started(fence: Fence, tick: u64) -> (World, Replica) {
    let mut replica = Replica::empty(schema());
    let world = World::new(schema());
    assert_eq!(replica.apply(&snapshot_of(&world, fence, tick)), Progress::Advanced);
    (world, replica)
}

#[test]
fn follows_in_order_passes_over_repeats_and_stops_at_a_hole() {
    let (mut world, mut replica) = started(fence(1), 65_534);
    let frames = frames(&mut world, fence(1), 65_534, 5);
    for frame in &frames[..3] {
        assert_eq!(replica.apply(frame), Progress::Advanced);
        assert_eq!(replica.apply(frame), Progress::Stale);
    }
    assert_eq!(replica.position().tick, Tick(65_537), "over the wrap of the low bits");
    assert_eq!(replica.apply(&frames[4]), Progress::Gap(Gap::Missing { have: Tick(65_537) }));
    assert_eq!(replica.apply(&frames[3]), Progress::Gap(Gap::Waiting));
    assert_eq!(replica.apply(&snapshot_of(&world, fence(1), 65_539)), Progress::Advanced);
    assert!(replica.world().same_state(&world));
}

#[test]
fn another_owner_is_a_gap_unless_announced() {
    let (mut world, mut replica) = started(fence(1), 10);
    let next = frames(&mut world, fence(2), 10, 1);
    assert!(matches!(replica.clone().apply(&next[0]), Progress::Gap(Gap::Owner { .. })));
    let announced = frame::owner(Position { fence: fence(2), tick: Tick(10) });
    assert_eq!(replica.apply(&announced), Progress::Stale);
    assert_eq!(replica.apply(&next[0]), Progress::Advanced);
}

#[test]
fn a_false_hash_is_a_desync() {
    let (mut world, mut replica) = started(fence(1), 1);
    let mut frame = frames(&mut world, fence(1), 1, 1).remove(0);
    frame[4] ^= 1;
    assert!(matches!(replica.apply(&frame), Progress::Gap(Gap::Desync { tick: Tick(2), .. })));
    assert!(replica.is_broken());
    assert_eq!(replica.apply(&snapshot_of(&world, fence(1), 2)), Progress::Advanced);
    assert_eq!(replica.take_difference(), None, "the state was right, the hash was not");
}

#[test]
fn a_broken_frame_is_a_gap() {
    let (_, mut replica) = started(fence(1), 1);
    assert!(matches!(replica.apply(&[0x77]), Progress::Gap(Gap::Broken { .. })));
}

#[test]
fn the_last_tick_there_is_panics_nobody() {
    let (mut world, mut replica) = started(fence(1), u64::MAX);
    let mut payload = Vec::new();
    Encoder::new(Prior::first(&schema())).encode(&world, &mut payload);
    world.advance();
    let position = Position { fence: fence(1), tick: Tick(0) };
    assert_eq!(replica.apply(&frame::diff(position, 0, None, &payload)), Progress::Advanced);
    assert_eq!(replica.position().tick, Tick(u64::MAX));
}

#[test]
fn a_desync_is_named_by_the_snapshot_of_its_tick() {
    let (mut world, mut replica) = started(fence(1), 1);
    let mut other = world.clone();
    let frames = frames(&mut world, fence(1), 1, 2);
    assert_eq!(replica.apply(&frames[0]), Progress::Advanced);
    // Another history of the same tick: player:0 has another number.
    let id = other.spawn(0).unwrap();
    other.set(id, 0, 7);
    other.advance();
    let payload = [];
    let lie = frame::diff(Position { fence: fence(1), tick: Tick(3) }, 0, Some(1), &payload);
    assert!(
        matches!(replica.apply(&lie), Progress::Gap(Gap::Desync { .. })),
        "the diff says nothing happened"
    );
    other.spawn(0).unwrap();
    other.advance();
    assert_eq!(replica.apply(&snapshot_of(&other, fence(1), 3)), Progress::Advanced);
    let difference = replica.take_difference().expect("the snapshot is of the same tick");
    assert_eq!(difference.to_string(), "player:0 field `player` is 0, should be 7");
}

#[test]
fn catching_up_leaves_a_replica_that_two_more_ticks_bring_in_step() {
    let (mut world, mut replica) = started(fence(1), 5);
    let mut at = vec![world.clone()];
    let mut encoder = Encoder::new(Prior::first(&schema()));
    let mut diffs = Vec::new();
    for tick in 6..=16u64 {
        if tick % 3 == 0 {
            world.spawn(0).unwrap();
        }
        let ids: Vec<_> = world.ids(0).collect();
        ids.iter().for_each(|id| world.add(*id, 1, (tick % 4) as i32));
        let mut payload = Vec::new();
        encoder.encode(&world, &mut payload);
        world.advance();
        diffs.push(frame::diff(
            Position { fence: fence(1), tick: Tick(tick) },
            0,
            Some(world.hash()),
            &payload,
        ));
        at.push(world.clone());
    }
    let catch_up = |replica: &Replica, to: u64| {
        let from = replica.position().tick.0;
        let leap = Leap { span: (to - from) as u32, known: replica.steps_known() };
        let mut payload = Vec::new();
        let world = &at[to as usize - 5];
        catch_up::encode(replica.world(), world, leap, &mut payload);
        let position = Position { fence: fence(1), tick: Tick(to) };
        frame::catch_up(position, (to - from) as u8, Some(world.hash()), &payload)
    };
    for (to, known) in [(13, 0), (14, 1), (15, 2)] {
        assert!(!replica.is_broken());
        let frame = catch_up(&replica, to);
        assert_eq!(replica.apply(&frame), Progress::Advanced);
        assert_eq!(replica.steps_known(), known);
        assert_eq!(replica.apply(&frame), Progress::Stale);
        let diff = &diffs[to as usize - 5];
        let refused = Progress::Gap(Gap::Cold { have: Tick(to) });
        assert_eq!(replica.clone().apply(diff) == refused, known < 2);
        // A node that loaded the match anew gives everybody a snapshot and goes on with diffs.
        let snapshot = snapshot_of(&at[to as usize - 5], fence(1), to);
        let mut taught = replica.clone();
        assert_eq!(taught.apply(&snapshot) == Progress::Stale, known == 2);
        assert_eq!(taught.apply(diff), Progress::Advanced);
    }
    assert!(replica.world().same_state(&at[10]));
    assert_eq!(replica.apply(&diffs[10]), Progress::Advanced);
    assert!(replica.world().same_state(&world));
    let far = frame::catch_up(Position { fence: fence(1), tick: Tick(20) }, 3, None, &[]);
    assert!(matches!(replica.apply(&far), Progress::Gap(Gap::Missing { .. })), "it begins at another tick");
}

#[test]
fn a_prior_is_taken_once_and_a_diff_of_another_is_a_gap() {
    let (mut world, mut replica) = started(fence(1), 1);
    let mut encoder = Encoder::new(Prior::first(&schema()));
    let mut number = 0;
    for tick in 2..40u64 {
        world.spawn(0).unwrap();
        let mut payload = Vec::new();
        encoder.encode(&world, &mut payload);
        world.advance();
        let position = Position { fence: fence(1), tick: Tick(tick) };
        let diff = frame::diff(position, number, None, &payload);
        let wrong = frame::diff(position, number + 1, None, &payload);
        assert_eq!(replica.clone().apply(&wrong), Progress::Gap(Gap::Prior { have: number }));
        assert_eq!(replica.apply(&diff), Progress::Advanced);
        if let Some(prior) = encoder.poll_prior() {
            let mut bytes = Vec::new();
            prior.encode(&mut bytes);
            assert_eq!(replica.apply(&frame::prior(position, &bytes)), Progress::Stale);
            number = prior.number();
        }
        assert_eq!(replica.prior(), encoder.prior());
    }
    assert!(number > 0, "a prior was published");
    assert!(replica.world().same_state(&world));
}
