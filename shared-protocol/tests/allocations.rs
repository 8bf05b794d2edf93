//! A tick in steady state allocates nothing: neither to code it, nor to commit it, nor to read it.

use std::sync::Arc;

use tickcast_protocol::diff::{self, Encoder};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{EntityId, Field, Kind, Schema, World};

/// Ticks before the count begins: lists have grown to their sizes, and a first prior is out.
const WARM_UP: u64 = 200;
/// Ticks that are counted.
const COUNTED: u64 = 200;

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    let thing = [
        Field::linear("x", -30_000, 30_000),
        Field::linear("y", -30_000, 30_000),
        Field::angle("aim", 10),
        Field::int("hp", 0, 100),
        Field::text("name", 24),
    ];
    Schema::new("demo", "player", [player, Kind::new("thing", thing)], []).expect("a good schema")
}

/// A tick of a crowd in which everybody moves, some turn, one goes, one is born, and one lies still and wakes.
fn step(world: &mut World, tick: u64) {
    let ids: [u16; 400] = std::array::from_fn(|index| index as u16);
    for index in ids {
        let id = EntityId { kind: 1, index };
        let wave = ((tick + u64::from(index)) % 37) as i32;
        world.add(id, 0, wave - 18);
        world.add(id, 1, if u64::from(index) % 5 == tick % 5 { 3 } else { 2 });
        world.add(id, 2, wave);
    }
    world.despawn(EntityId { kind: 1, index: (tick % 400) as u16 });
    if tick > 0 {
        let back = EntityId { kind: 1, index: ((tick - 1) % 400) as u16 };
        world.spawn_at(back).expect("there is room");
    }
    world.set(EntityId { kind: 1, index: 450 + (tick % 40) as u16 }, 3, (tick % 100) as i32);
}

#[test]
fn a_tick_allocates_nothing() {
    let mut owner = World::new(schema());
    for _ in 0..500 {
        owner.spawn(1).expect("there is room");
    }
    owner.advance();
    let mut replica = owner.clone();
    let prior = Prior::first(owner.schema());
    let mut encoder = Encoder::new(Arc::clone(&prior));
    let mut bytes = Vec::with_capacity(64 * 1024);
    let mut sent = 0;
    for tick in 0..WARM_UP + COUNTED {
        step(&mut owner, tick);
        let counted = allocation_counter::measure(|| {
            bytes.clear();
            encoder.encode(&owner, &mut bytes);
            owner.advance();
            diff::apply(&mut replica, &prior, &bytes).expect("our own bytes");
        });
        sent += encoder.sent();
        assert!(tick < WARM_UP || counted.count_total == 0, "tick {tick}: {counted:?}");
        assert_eq!(owner.hash(), replica.hash(), "tick {tick}");
        // What was touched is taken for a snapshot of the store now and then; its list would grow otherwise.
        if tick % 30 == 0 {
            owner.take_touched();
            replica.take_touched();
        }
    }
    assert!(sent > 100 * (WARM_UP + COUNTED) as usize, "the crowd moves: {sent} mentions");
}
