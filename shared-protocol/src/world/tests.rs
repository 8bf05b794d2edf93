//! The world's bookkeeping: indexes, bounds, hash, touched entities.

use super::*;
use crate::schema::Field;

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    let thing = Kind::new(
        "thing",
        [
            Field::linear("x", -100, 100),
            Field::angle("aim", 4),
            Field::text("label", 5),
            Field::int("n", 3, 9),
        ],
    );
    Schema::new("demo", "player", [player, thing], []).unwrap()
}

const THING: u8 = 1;
const X: usize = 0;
const AIM: usize = 1;
const LABEL: usize = 2;
const N: usize = 3;

#[test]
fn values_stay_within_bounds() {
    let mut world = World::new(schema());
    let id = world.spawn(THING).unwrap();
    assert_eq!(world.get(id, N), 3, "default is the bound nearest to 0");
    world.set(id, X, 1000);
    world.set(id, AIM, -1);
    world.set_text(id, LABEL, "aéé!");
    assert_eq!((world.get(id, X), world.get(id, AIM), world.text(id, LABEL)), (100, 15, "aéé"));
    world.add(id, X, i32::MAX);
    assert_eq!(world.get(id, X), 100);
}

#[test]
fn an_index_freed_in_this_tick_is_used_from_the_next_on() {
    let mut world = World::new(schema());
    let first = world.spawn(THING).unwrap();
    world.advance();
    world.despawn(first);
    assert_eq!(world.spawn(THING).unwrap().index, 1);
    world.advance();
    assert_eq!(world.spawn(THING).unwrap().index, 0);
    assert_eq!(world.count(THING), 2);
}

#[test]
fn hash_follows_every_change_and_only_the_committed_state() {
    let mut world = World::new(schema());
    assert_eq!(world.hash(), 0);
    let id = world.spawn(THING).unwrap();
    assert_eq!(world.hash(), 0);
    world.advance();
    let spawned = world.hash();
    world.set(id, X, 7);
    world.set_text(id, LABEL, "hello");
    world.advance();
    assert_ne!(world.hash(), spawned);
    assert_eq!(world.hash(), world.recomputed_hash());
    world.set(id, X, 0);
    world.set_text(id, LABEL, "");
    world.advance();
    assert_eq!(world.hash(), spawned);
    world.despawn(id);
    world.advance();
    assert_eq!(world.hash(), 0);
}

#[test]
fn touched_lists_what_changed_what_stopped_and_what_went() {
    let mut world = World::new(schema());
    let (a, b) = (world.spawn(THING).unwrap(), world.spawn(THING).unwrap());
    world.advance();
    assert_eq!(world.take_touched(), [a, b]);
    world.advance();
    assert_eq!(world.take_touched(), []);
    world.set(a, X, 5);
    world.advance();
    assert_eq!(world.take_touched(), [a]);
    world.advance();
    assert_eq!(world.take_touched(), [a], "it stopped: its step changed");
    world.advance();
    assert_eq!(world.take_touched(), [a], "and now the step before");
    world.advance();
    assert_eq!(world.take_touched(), []);
    world.despawn(b);
    world.advance();
    assert_eq!(world.take_touched(), [b]);
}

#[test]
fn a_world_takes_65535_entities_and_no_more() {
    let mut world = World::new(schema());
    for _ in 0..ENTITIES_MAX {
        world.spawn(THING).unwrap();
    }
    assert_eq!(world.spawn(0), Err(WorldFull));
    world.advance();
    world.despawn(EntityId { kind: THING, index: 9 });
    world.advance();
    assert_eq!(world.spawn(THING).unwrap().index, 9);
}

#[test]
fn memory_follows_the_entities_and_not_their_indexes() {
    let mut world = World::new(schema());
    world.spawn_at(EntityId { kind: THING, index: 65_534 }).unwrap();
    world.advance();
    assert_eq!(world.spawn(THING).unwrap().index, 0);
    world.despawn(EntityId { kind: THING, index: 65_534 });
    world.advance();
    assert_eq!(
        world.get(EntityId { kind: THING, index: 65_534 }, N),
        3,
        "what does not exist has its default"
    );
    let ids: Vec<u16> = world.ids(THING).map(|id| id.index).collect();
    assert_eq!(ids, [0]);
    for _ in 0..3 {
        let id = world.spawn(THING).unwrap();
        world.despawn(id);
        world.advance();
    }
    assert_eq!(world.spawn(THING).unwrap().index, 1, "what came and went in one tick left nothing");
}

#[test]
fn a_roll_back_takes_every_change_back() {
    let mut world = World::new(schema());
    let (a, b) = (world.spawn(THING).unwrap(), world.spawn(THING).unwrap());
    world.set_text(a, LABEL, "old");
    world.advance();
    let before = world.clone();
    world.set(a, X, 9);
    world.set_text(a, LABEL, "new");
    world.despawn(b);
    let c = world.spawn(THING).unwrap();
    world.roll_back();
    assert!(world.same_state(&before));
    assert_eq!((world.len(), world.contains(b), world.contains(c)), (2, true, false));
    assert_eq!((world.get(a, X), world.text(a, LABEL)), (0, "old"));
    world.advance();
    assert_eq!(world.hash(), before.hash());
    assert_eq!(world.spawn(THING).unwrap(), c, "its index is free again");
}
