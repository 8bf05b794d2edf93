//! The law of the diff, over worlds that change at random; and what bad bytes may do: nothing but an error.

use super::*;
use crate::schema::{Field, InputField, Kind};
use proptest::prelude::*;

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    let fields = [
        Field::linear("x", i32::MIN, i32::MAX),
        Field { predictor: crate::schema::Predictor::Linear, ..Field::angle("aim", 6) },
        Field::text("label", 8),
        Field::int("hp", 0, 100),
        Field::angle("turret", 16),
    ];
    Schema::new("demo", "player", [player, Kind::new("thing", fields)], [InputField::new("a", 0, 1)]).unwrap()
}

/// One change a game makes to a world.
#[derive(Debug, Clone)]
enum Change {
    Spawn(u8, u16),
    Despawn(u8, u16),
    Set(u16, usize, i32),
    Text(u16, String),
    Advance,
}

fn change() -> impl Strategy<Value = Change> {
    let extreme = prop_oneof![any::<i32>(), Just(i32::MIN), Just(i32::MAX), -3..4];
    prop_oneof![
        (0u8..2, 0u16..12).prop_map(|(kind, index)| Change::Spawn(kind, index)),
        (0u8..2, 0u16..12).prop_map(|(kind, index)| Change::Despawn(kind, index)),
        (0u16..12, prop_oneof![Just(0usize), Just(1), Just(3), Just(4)], extreme)
            .prop_map(|(index, field, value)| Change::Set(index, field, value)),
        (0u16..12, ".{0,4}").prop_map(|(index, text)| Change::Text(index, text)),
        Just(Change::Advance),
    ]
}

fn make(world: &mut World, change: &Change) {
    match change {
        Change::Spawn(kind, index) => world.spawn_at(EntityId { kind: *kind, index: *index }).unwrap(),
        Change::Despawn(kind, index) => world.despawn(EntityId { kind: *kind, index: *index }),
        Change::Set(index, field, value) => world.set(EntityId { kind: 1, index: *index }, *field, *value),
        Change::Text(index, text) => world.set_text(EntityId { kind: 1, index: *index }, 2, text),
        Change::Advance => {}
    }
}

proptest! {
    #[test]
    fn a_replica_that_applies_diffs_equals_the_owner(changes in prop::collection::vec(change(), 0..120)) {
        let mut owner = World::new(schema());
        let mut replica = World::new(schema());
        for change in &changes {
            make(&mut owner, change);
            if let Change::Advance = change {
                let mut bytes = Vec::new();
                encode(&owner, &mut bytes);
                owner.advance();
                apply(&mut replica, &bytes).unwrap();
                prop_assert!(owner.same_state(&replica));
                prop_assert_eq!(owner.hash(), replica.hash());
                prop_assert_eq!(owner.hash(), owner.recomputed_hash());
            }
        }
    }

    #[test]
    fn a_snapshot_goes_on_like_the_original(changes in prop::collection::vec(change(), 0..80)) {
        let mut owner = World::new(schema());
        for change in &changes {
            make(&mut owner, change);
            if let Change::Advance = change {
                owner.advance();
            }
        }
        owner.advance();
        let mut bytes = Vec::new();
        encode_snapshot(&owner, &mut bytes);
        let mut copy = decode_snapshot(schema(), &bytes).unwrap();
        prop_assert!(owner.same_state(&copy));
        prop_assert_eq!(owner.hash(), copy.hash());
        // The next tick's bytes mean the same to both: prediction came along.
        let mut diff = Vec::new();
        encode(&owner, &mut diff);
        owner.advance();
        apply(&mut copy, &diff).unwrap();
        prop_assert!(owner.same_state(&copy));
    }

    #[test]
    fn entities_decode_alone(changes in prop::collection::vec(change(), 0..80)) {
        let mut owner = World::new(schema());
        for change in &changes {
            make(&mut owner, change);
            if let Change::Advance = change {
                owner.advance();
            }
        }
        owner.advance();
        let ids = (0..2).flat_map(|kind| owner.ids(kind).collect::<Vec<_>>());
        let fields: Vec<_> = ids.map(|id| (id, encode_entity(&owner, id).unwrap())).collect();
        let copy = decode_entities(schema(), fields.iter().map(|(id, bytes)| (*id, &bytes[..]))).unwrap();
        prop_assert!(owner.same_state(&copy));
        prop_assert_eq!(owner.hash(), copy.hash());
    }

    #[test]
    fn any_bytes_are_refused_or_applied_without_panic(bytes: Vec<u8>, changes in prop::collection::vec(change(), 0..40)) {
        let mut world = World::new(schema());
        changes.iter().for_each(|change| make(&mut world, change));
        world.advance();
        let _ = decode_snapshot(schema(), &bytes);
        let _ = decode_entities(schema(), [(EntityId { kind: 1, index: 3 }, &bytes[..])]);
        let _ = apply(&mut world, &bytes);
    }

    #[test]
    fn a_damaged_diff_never_panics(changes in prop::collection::vec(change(), 1..60), at: prop::sample::Index, bit in 0u8..8) {
        let mut owner = World::new(schema());
        changes.iter().for_each(|change| make(&mut owner, change));
        let mut bytes = Vec::new();
        encode(&owner, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        let _ = apply(&mut World::new(schema()), &bytes);
    }
}

#[test]
fn what_goes_on_as_predicted_costs_nothing() {
    let mut owner = World::new(schema());
    let id = owner.spawn(1).unwrap();
    owner.advance();
    for x in [10, 20, 30] {
        owner.set(id, 0, x);
        let mut bytes = Vec::new();
        encode(&owner, &mut bytes);
        owner.advance();
        let changed = bytes[3];
        assert_eq!(changed, u8::from(x == 10), "only the first move is a surprise");
    }
}

#[test]
fn a_full_world_may_trade_an_entity_of_one_kind_for_one_of_another() {
    let mut owner = World::new(schema());
    for _ in 0..crate::limits::ENTITIES_MAX {
        owner.spawn(1).unwrap();
    }
    owner.advance();
    let mut replica = owner.clone();
    owner.despawn(EntityId { kind: 1, index: 77 });
    owner.spawn(0).unwrap();
    let mut bytes = Vec::new();
    encode(&owner, &mut bytes);
    owner.advance();
    apply(&mut replica, &bytes).unwrap();
    assert!(owner.same_state(&replica));
}
