//! A brain in a small arena: it goes where it should, stays within the schema, and repeats itself exactly.

use std::sync::Arc;

use tickcast_protocol::Field;

use super::*;

fn player(fields: impl IntoIterator<Item = Field>) -> Kind {
    let known = [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)];
    Kind::new("player", known.into_iter().chain(fields))
}

fn arena() -> Arc<Schema> {
    let place = || [Field::linear("x", 0, 16_000), Field::linear("y", 0, 16_000)];
    let own = place().into_iter().chain([Field::angle("aim", 10), Field::int("hp", 0, 100)]);
    let kinds = [player(own), Kind::new("wall", place()), Kind::new("pickup", place())];
    let inputs = [
        InputField::new("move_x", -100, 100),
        InputField::new("move_y", -50, 50),
        InputField::new("aim", 0, 1023),
        InputField::new("fire", 0, 1),
    ];
    Schema::new("arena", "player", kinds, inputs).unwrap()
}

fn put(world: &mut World, kind: &str, x: i32, y: i32) -> EntityId {
    let kind = world.schema().kind_index(kind).unwrap();
    let id = world.spawn(kind).unwrap();
    for (name, value) in [("x", x), ("y", y), ("hp", 100)] {
        if let Some(field) = number_field(&world.schema().kinds()[usize::from(kind)], name) {
            world.set(id, field, value);
        }
    }
    id
}

/// The sum of each input value over some decisions in a world that stands still but for the player, who is
/// moved a little so that no wall is assumed.
fn played(world: &mut World, own: EntityId, seed: u64) -> Vec<i64> {
    let schema = Arc::clone(world.schema());
    let mut brain = Brain::new(&schema, seed);
    let mut sums = vec![0i64; schema.input().len()];
    let x = schema.kinds()[usize::from(own.kind)].field_index("x");
    for step in 0..200 {
        if let Some(x) = x {
            world.add(own, x, if step % 2 == 0 { 1 } else { -1 });
        }
        let values = brain.decide(world, Some(own));
        assert!(schema.admits_input(&values), "{values:?}");
        sums.iter_mut().zip(&values).for_each(|(sum, value)| *sum += i64::from(*value));
    }
    sums
}

#[test]
fn goes_for_an_enemy_and_fires() {
    let mut world = World::new(arena());
    let own = put(&mut world, "player", 8000, 8000);
    put(&mut world, "player", 5000, 8000);
    let sums = played(&mut world, own, 7);
    assert!(sums[0] < -5000, "runs left: {sums:?}");
    assert!((450..570).contains(&(sums[2] / 200)), "aims at half a turn: {sums:?}");
    assert!(sums[3] > 100, "fires: {sums:?}");
}

#[test]
fn goes_for_a_pickup_when_hurt() {
    let mut world = World::new(arena());
    let own = put(&mut world, "player", 8000, 8000);
    put(&mut world, "player", 7000, 8000);
    put(&mut world, "pickup", 8000, 12_000);
    let hp = world.schema().kinds()[0].field_index("hp").unwrap();
    world.set(own, hp, 20);
    let sums = played(&mut world, own, 7);
    assert!(sums[1] > 2500, "runs up: {sums:?}");
    assert_eq!(sums[3], 0, "does not fire at a pickup: {sums:?}");
}

#[test]
fn does_not_fire_at_the_dead_and_wanders_alone() {
    let mut world = World::new(arena());
    let own = put(&mut world, "player", 8000, 8000);
    let dead = put(&mut world, "player", 7000, 8000);
    let hp = world.schema().kinds()[0].field_index("hp").unwrap();
    world.set(dead, hp, 0);
    let mut brain = Brain::new(&arena(), 3);
    let moves: Vec<Vec<i32>> = (0..100).map(|_| brain.decide(&world, Some(own))).collect();
    assert!(moves.iter().all(|values| values[3] == 0));
    assert!(moves.iter().filter(|values| values[0] != 0 || values[1] != 0).count() > 50);
}

#[test]
fn the_same_seed_makes_the_same_decisions() {
    let decisions = |seed| {
        let mut world = World::new(arena());
        let own = put(&mut world, "player", 100, 100);
        put(&mut world, "player", 200, 900);
        played(&mut world, own, seed)
    };
    assert_eq!(decisions(11), decisions(11));
    assert_ne!(decisions(11), decisions(12));
}

#[test]
fn an_unknown_game_gets_random_values_within_bounds() {
    let inputs = [InputField::new("lever", -3, 9), InputField::new("all", i32::MIN, i32::MAX)];
    let text = Kind::new("pickup", [Field::text("x", 8), Field::text("y", 8)]);
    let schema = Schema::new("other", "player", [player([]), text], inputs).unwrap();
    let mut world = World::new(schema);
    let own = world.spawn(0).unwrap();
    let sums = played(&mut world, own, 1);
    assert!((1..5).contains(&(sums[0] / 200)), "the middle of -3 to 9: {sums:?}");
}

#[test]
fn missing_names_are_done_without() {
    let place = [Field::linear("x", -10, 10), Field::text("hp", 4), Field::linear("y", -10, 10)];
    let inputs =
        [InputField::new("move_x", 0, 1), InputField::new("move_y", 5, 9), InputField::new("aim", 10, 13)];
    let schema = Schema::new("odd", "player", [player(place)], inputs).unwrap();
    let mut world = World::new(schema);
    let own = put(&mut world, "player", 0, 0);
    world.spawn(0).unwrap();
    played(&mut world, own, 5);
    assert_eq!(Brain::new(world.schema(), 5).decide(&world, None).len(), 3, "before the player is there");
}

#[test]
fn a_direction_is_its_angle() {
    for degrees in 0..360 {
        let radians = f64::from(degrees).to_radians();
        let to = Place { x: (radians.cos() * 1e6) as i64, y: (radians.sin() * 1e6) as i64 };
        let expected = f64::from(degrees) / 360.0 * TURN as f64;
        let error = (turn(to) as f64 - expected + 512.0).rem_euclid(1024.0) - 512.0;
        assert!(error.abs() < 1.7, "{degrees}: {error}");
    }
    assert_eq!(turn(Place::default()), 0);
    assert_eq!(turn(Place { x: i64::from(u32::MAX), y: -1 }), 0);
}
