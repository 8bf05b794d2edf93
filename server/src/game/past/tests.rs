//! What the past tells, against a model that remembers every world.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use tickcast_protocol::{Field, Kind};

const BODY: u8 = 1;
const X: usize = 0;
const AIM: usize = 1;
const HP: usize = 2;
const OTHER: usize = 3;
const JUMP: i32 = 50;
const HZ: u8 = 20;

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    let fields = [
        Field::linear("x", -9999, 9999),
        Field::angle("aim", 8),
        Field::int("hp", 0, 9),
        Field::flag("other"),
    ];
    Schema::new("test", "player", [player, Kind::new("body", fields)], []).unwrap()
}

fn past(world: &World, rewind_ms: u64) -> Past {
    let bodies = Remembered::new(BODY, [X, AIM, HP]).jump(JUMP);
    Past::new(world.schema(), &[bodies], HZ, Duration::from_millis(rewind_ms))
}

fn view(seen: u64, behind: u16) -> View {
    View { seen: Tick(seen), behind }
}

/// A world with one body that goes 10 a tick and turns by 100 of 256, and its past up to a tick.
fn walked(ticks: u64, rewind_ms: u64) -> (Past, EntityId) {
    let mut world = World::new(schema());
    let id = world.spawn(BODY).unwrap();
    let mut past = past(&world, rewind_ms);
    for tick in 1..=ticks {
        world.set(id, X, tick as i32 * 10);
        world.set(id, AIM, tick as i32 * 100);
        world.set(id, HP, tick as i32 % 10);
        world.advance();
        past.record(Tick(tick), &world);
    }
    (past, id)
}

#[test]
fn between_two_ticks_linear_fields_and_angles_go_evenly_and_others_stand() {
    let (past, id) = walked(9, 1000);
    let then = past.at(view(8, 64));
    assert_eq!([X, AIM, HP].map(|field| then.get(id, field)), [Some(78), Some(775 & 255), Some(7)]);
    let exact = past.at(view(8, 256));
    assert_eq!([X, AIM, HP].map(|field| exact.get(id, field)), [Some(70), Some(700 & 255), Some(7)]);
    assert_eq!((then.get(id, OTHER), then.behind()), (None, 256 + 64), "it was not asked for");
}

#[test]
fn nobody_sees_the_future_and_nobody_reaches_back_further_than_allowed_or_known() {
    let (past, id) = walked(100, 250);
    let x = |view| past.at(view).get(id, X);
    assert_eq!(x(view(100, 0)), Some(1000));
    for seen in [101, 150, u64::MAX] {
        assert_eq!(x(view(seen, 0)), Some(1000), "seen {seen} is in the future");
        assert_eq!(x(view(seen, 256)), Some(990));
    }
    // 250 ms are five ticks at 20 Hz.
    assert_eq!(x(view(96, 256)), Some(950));
    for (seen, behind) in [(96, 257), (95, 1), (100, u16::MAX), (94, 0), (0, 0), (0, u16::MAX)] {
        assert_eq!(x(view(seen, behind)), Some(950), "seen {seen}, {behind} behind");
    }
    let (young, id) = walked(3, 250);
    assert_eq!(young.at(view(0, 0)).get(id, X), Some(10), "nothing is known before");
}

#[test]
fn a_whole_second_is_kept_and_no_more() {
    let (past, id) = walked(100, 1000);
    assert_eq!(past.at(view(0, 0)).get(id, X), Some(800));
    assert_eq!(past.at(view(0, 0)).behind(), u64::from(HZ) * PARTS);
    assert!(past.kinds[0].ticks.len() == usize::from(HZ) + 1);
}

#[test]
fn who_was_born_or_put_elsewhere_since_did_not_exist_and_who_is_gone_does_not() {
    let mut world = World::new(schema());
    let [old, put, gone] = [0, 1, 2].map(|_| world.spawn(BODY).unwrap());
    let mut past = past(&world, 1000);
    let mut late = None;
    for tick in 1..=10 {
        match tick {
            5 => late = world.spawn(BODY).ok(),
            6 => world.set(put, X, JUMP + 1),
            7 => world.despawn(gone),
            8 => world.set(old, X, JUMP),
            _ => {}
        }
        world.advance();
        past.record(Tick(tick), &world);
    }
    let x = |id, seen| past.at(view(seen, 0)).get(id, X);
    let late = late.unwrap();
    assert_eq!([4, 5].map(|tick| x(late, tick)), [None, Some(0)]);
    assert_eq!([5, 6].map(|tick| x(put, tick)), [None, Some(JUMP + 1)]);
    assert_eq!([6, 10].map(|tick| x(gone, tick)), [None, None]);
    assert_eq!([7, 8].map(|tick| x(old, tick)), [Some(0), Some(JUMP)], "that is no jump");
    assert_eq!(past.at(view(6, 128)).get(put, X), None, "nor on its way to where it was put");
    assert_eq!(past.at(view(8, 128)).get(old, X), Some(JUMP / 2));
}

#[test]
fn the_legs_lead_from_the_moment_through_this_step() {
    let (past, _) = walked(100, 250);
    let legs = |view| -> Vec<(u64, i32)> {
        past.at(view).legs().map(|(moment, part)| (moment.behind(), part)).collect()
    };
    assert_eq!(legs(view(100, 0)), [(0, 256)]);
    assert_eq!(legs(view(99, 100)), [(356, 100), (256, 256), (0, 256)]);
    assert_eq!(legs(view(99, 0)), [(256, 256), (0, 256)]);
}

#[test]
fn a_player_without_an_input_is_shown_what_is_as_far_behind_as_before() {
    let (mut past, id) = walked(100, 250);
    let (player, stranger) = (PlayerId(7), PlayerId(8));
    past.note(player, view(98, 128));
    let mut world = World::new(schema());
    world.spawn(BODY).unwrap();
    assert_eq!((past.of(player).behind(), past.of(stranger).behind()), (640, 0));
    assert_eq!(past.of(player).get(id, X), Some(975));
    past.record(Tick(101), &world);
    assert_eq!(past.of(player).behind(), 640);
    past.forget(player);
    assert_eq!(past.of(player).behind(), 0);
}

#[test]
fn of_a_game_that_asks_for_nothing_nothing_is_kept() {
    let mut world = World::new(schema());
    let id = world.spawn(BODY).unwrap();
    let mut past = Past::new(world.schema(), &[], HZ, Duration::from_secs(1));
    for tick in 1..50 {
        past.record(Tick(tick), &world);
        past.note(PlayerId(1), view(tick, 300));
    }
    assert!(!past.is_kept() && past.kinds.is_empty() && past.lags.is_empty());
    assert_eq!(past.at(view(49, 0)).get(id, X), None);
}

/// What happens in one tick of a random story.
#[derive(Debug, Clone)]
enum Event {
    Spawn,
    Despawn(u16),
    Move(u16, i32),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Spawn),
        1 => (0u16..6).prop_map(Event::Despawn),
        6 => (0u16..6, -70i32..70).prop_map(|(index, way)| Event::Move(index, way)),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_past_tells_what_the_worlds_were(
        // Every other tick changes nothing.
        ticks in prop::collection::vec(prop::option::of(prop::collection::vec(event(), 0..4)), 1..80),
        looks in prop::collection::vec((any::<u64>(), 0u64..90, any::<u16>(), 0u16..6), 1..60),
    ) {
        let mut world = World::new(schema());
        let mut past = past(&world, 600);
        // For each tick, where each body was and since when it is there.
        let mut worlds: BTreeMap<u64, BTreeMap<u16, (i32, u64)>> = BTreeMap::new();
        for (events, tick) in ticks.iter().zip(1u64..) {
            for event in events.iter().flatten() {
                match event {
                    Event::Spawn if world.count(BODY) < 6 => drop(world.spawn(BODY)),
                    Event::Despawn(index) => world.despawn(EntityId { kind: BODY, index: *index }),
                    Event::Move(index, way) => world.add(EntityId { kind: BODY, index: *index }, X, *way),
                    Event::Spawn => {}
                    // Another node goes on, and knows nothing of what was.
                    Event::Restart => {
                        past = self::past(&world, 600);
                        worlds.clear();
                    }
                }
            }
            let rests = world.is_at_rest();
            world.advance();
            if rests {
                past.record_same(Tick(tick), &world);
            } else {
                past.record(Tick(tick), &world);
            }
            let before = worlds.get(&(tick - 1)).cloned().unwrap_or_default();
            let now = world.ids(BODY).map(|id| {
                let x = world.get(id, X);
                let stayed = before.get(&id.index).filter(|(was, _)| (x - was).abs() <= JUMP);
                (id.index, (x, stayed.map_or(tick, |(_, since)| *since)))
            });
            worlds.insert(tick, now.collect());
        }
        let last = ticks.len() as u64;
        let first = *worlds.keys().next().unwrap();
        for (wild, seen, behind, index) in looks {
            for seen in [wild, seen] {
                let claimed = (u128::from(seen.min(last)) * 256).saturating_sub(behind.into()) as u64;
                let at = claimed.clamp((last * 256).saturating_sub(12 * 256).max(first * 256), last * 256);
                let (tick, part) = (at / 256, (at % 256) as f64 / 256.0);
                let there = worlds[&last].get(&index).filter(|(_, since)| *since <= tick);
                let told = past.at(View { seen: Tick(seen), behind }).get(EntityId { kind: BODY, index }, X);
                prop_assert_eq!(told.is_some(), there.is_some());
                if let Some(told) = told {
                    let from = f64::from(worlds[&tick][&index].0);
                    let to = worlds.get(&(tick + 1)).map_or(from, |world| f64::from(world[&index].0));
                    prop_assert!((f64::from(told) - (from + (to - from) * part)).abs() <= 0.5);
                }
            }
        }
    }
}
