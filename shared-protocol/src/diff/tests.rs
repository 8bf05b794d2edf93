//! The laws of diff, snapshot, catch-up and record, over worlds that change at random; and what bad bytes may
//! do: nothing but an error.

use super::*;
use crate::catch_up::{self, Leap};
use crate::record::{decode_entities, encode_entity};
use crate::schema::Schema;
use crate::schema::{Field, InputField, Kind};
use crate::snapshot;
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

/// A world whose larger kind has so many entities that only those that move get a flag, or few.
fn world(crowded: bool) -> World {
    let mut world = World::new(schema());
    if crowded {
        (20..60).for_each(|index| world.spawn_at(EntityId { kind: 1, index }).unwrap());
    }
    world.advance();
    world
}

/// Applies changes and calls `tick` in the place of each advance; the owner has to be advanced there.
fn play(
    owner: &mut World,
    changes: &[Change],
    mut tick: impl FnMut(&mut World) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    for change in changes {
        make(owner, change);
        if let Change::Advance = change {
            tick(owner)?;
        }
    }
    tick(owner)
}

proptest! {
    #[test]
    fn a_replica_that_applies_diffs_equals_the_owner(
        changes in prop::collection::vec(change(), 0..120),
        crowded: bool,
    ) {
        let mut owner = world(crowded);
        let (mut replica, mut encoder) = (owner.clone(), Encoder::new(Prior::first(&schema())));
        play(&mut owner, &changes, |owner| {
            let (mut bytes, prior) = (Vec::new(), Arc::clone(encoder.prior()));
            encoder.encode(owner, &mut bytes);
            owner.advance();
            apply(&mut replica, &prior, &bytes).unwrap();
            prop_assert!(owner.same_state(&replica));
            prop_assert_eq!(owner.hash(), replica.hash());
            prop_assert_eq!(owner.hash(), owner.recomputed_hash());
            encoder.force_prior();
            Ok(())
        })?;
    }

    #[test]
    fn a_snapshot_goes_on_like_the_original(changes in prop::collection::vec(change(), 0..80), crowded: bool) {
        let mut owner = world(crowded);
        play(&mut owner, &changes, |owner| {
            owner.advance();
            let mut bytes = Vec::new();
            snapshot::encode(owner, &mut bytes);
            let copy = snapshot::decode(schema(), &bytes).unwrap();
            prop_assert!(owner.same_state(&copy));
            prop_assert_eq!(owner.hash(), copy.hash());
            Ok(())
        })?;
    }

    #[test]
    fn entities_decode_alone(changes in prop::collection::vec(change(), 0..80)) {
        let mut owner = world(false);
        play(&mut owner, &changes, |owner| {
            owner.advance();
            let ids = (0..2).flat_map(|kind| owner.ids(kind).collect::<Vec<_>>());
            let fields: Vec<_> = ids.map(|id| (id, encode_entity(owner, id).unwrap())).collect();
            let copy = decode_entities(schema(), fields.iter().map(|(id, bytes)| (*id, &bytes[..]))).unwrap();
            prop_assert!(owner.same_state(&copy));
            prop_assert_eq!(owner.hash(), copy.hash());
            Ok(())
        })?;
    }

    #[test]
    fn a_caught_up_client_is_in_step_after_two_more_ticks(
        changes in prop::collection::vec(change(), 0..120),
        crowded: bool,
    ) {
        let mut owner = world(crowded);
        let mut at = vec![owner.clone()];
        play(&mut owner, &changes, |owner| {
            owner.advance();
            at.push(owner.clone());
            Ok(())
        })?;
        let mut client = at[0].clone();
        let newest = at.len() - 1;
        let mut known = catch_up::STEPS_KNOWN_MAX;
        let (mut from, mut to) = (0, newest.saturating_sub(2));
        while from < newest {
            let leap = Leap { span: (to - from).max(1) as u32, known };
            let mut bytes = Vec::new();
            catch_up::encode(&client, &at[from + leap.span as usize], leap, &mut bytes);
            catch_up::apply(&mut client, leap, &bytes).unwrap();
            from += leap.span as usize;
            to = from + 1;
            known = leap.known_after();
            prop_assert_eq!(client.first_difference(&at[from]), None);
        }
        if known == catch_up::STEPS_KNOWN_MAX {
            prop_assert!(client.same_state(&owner));
        }
    }

    #[test]
    fn refused_bytes_leave_the_world_as_it_was(
        bytes: Vec<u8>,
        changes in prop::collection::vec(change(), 0..40),
        at: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let mut owner = world(false);
        changes.iter().for_each(|change| make(&mut owner, change));
        owner.advance();
        let (before, prior) = (owner.clone(), Prior::first(&schema()));
        changes.iter().rev().for_each(|change| make(&mut owner, change));
        let mut damaged = Vec::new();
        Encoder::new(Arc::clone(&prior)).encode(&owner, &mut damaged);
        if !damaged.is_empty() {
            let at = at.index(damaged.len());
            damaged[at] ^= 1u8 << bit;
        }
        for bytes in [&bytes, &damaged] {
            let _ = snapshot::decode(schema(), bytes);
            let _ = decode_entities(schema(), [(EntityId { kind: 1, index: 3 }, &bytes[..])]);
            let _ = prior.decode(bytes);
            let mut world = before.clone();
            if apply(&mut world, &prior, bytes).is_err() {
                prop_assert!(world.same_state(&before) && world.len() == before.len());
            }
            let mut world = before.clone();
            if catch_up::apply(&mut world, Leap { span: 3, known: 1 }, bytes).is_err() {
                prop_assert!(world.same_state(&before) && world.len() == before.len());
            }
        }
    }
}

#[test]
fn what_goes_on_as_predicted_is_not_mentioned() {
    let mut owner = world(false);
    let mut encoder = Encoder::new(Prior::first(&schema()));
    let id = owner.spawn(1).unwrap();
    owner.advance();
    for x in [10, 20, 30] {
        owner.set(id, 0, x);
        encoder.encode(&owner, &mut Vec::new());
        owner.advance();
        assert_eq!(encoder.sent(), usize::from(x == 10), "only the first move is a surprise");
    }
}

#[test]
fn few_bytes_cannot_bear_many_entities() {
    // Everything there is says with certainty that there is one more: levels of a hostile prior.
    let first = Prior::first(&schema());
    let hostile = first.next(&vec![-crate::prior::LEVEL_MAX; first.levels().len()]);
    for bytes in [&[][..], &[1], &[0xff; 8]] {
        let mut owner = world(false);
        let refused = apply(&mut owner, &hostile, bytes);
        assert!(refused.is_err() || owner.len() <= 8 * bytes.len(), "{} entities of {bytes:?}", owner.len());
        assert!(owner.len() <= 8 * bytes.len());
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
    let (mut bytes, prior) = (Vec::new(), Prior::first(&schema()));
    Encoder::new(Arc::clone(&prior)).encode(&owner, &mut bytes);
    owner.advance();
    apply(&mut replica, &prior, &bytes).unwrap();
    assert!(owner.same_state(&replica));
}
