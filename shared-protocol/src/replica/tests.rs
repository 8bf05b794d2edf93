//! What a replica makes of frames in order, out of order, of another owner, damaged, and of a false hash.

use super::*;
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
    (start + 1..=start + count)
        .map(|tick| {
            world.spawn(0).unwrap();
            let mut payload = Vec::new();
            diff::encode(world, &mut payload);
            world.advance();
            frame::diff(Position { fence, tick: Tick(tick) }, Some(world.hash()), &payload)
        })
        .collect()
}

fn snapshot(world: &World, fence: Fence, tick: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    diff::encode_snapshot(world, &mut payload);
    frame::snapshot(Position { fence, tick: Tick(tick) }, world.hash(), &payload)
}

fn started(fence: Fence, tick: u64) -> (World, Replica) {
    let mut replica = Replica::empty(schema());
    let world = World::new(schema());
    assert_eq!(replica.apply(&snapshot(&world, fence, tick)), Progress::Advanced);
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
    assert_eq!(replica.apply(&snapshot(&world, fence(1), 65_539)), Progress::Advanced);
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
    diff::encode(&world, &mut payload);
    world.advance();
    let position = Position { fence: fence(1), tick: Tick(0) };
    assert_eq!(replica.apply(&frame::diff(position, None, &payload)), Progress::Advanced);
    assert_eq!(replica.position().tick, Tick(u64::MAX));
}
