//! What holds whatever players do: the invariants, at every tick, and that a match which another node takes
//! over goes on as if nothing had happened.

use super::*;
use proptest::prelude::*;

/// Players who chase and shoot each other, some of whom come and go.
fn brawl(seed: u64, options: &[(&str, i64)], ticks: u64) -> (i32, i32) {
    let mut arena = Match::new(seed, options);
    let mut taken_over = arena.taken_over();
    let mut chance = rng(seed, Tick(u64::MAX));
    let mut best = 0;
    for tick in 0..ticks {
        let comer = chance.random_range(1..=40u32);
        let inputs: Vec<(u32, Values)> =
            (1..=40).filter_map(|id| Some((id, chase(&arena.world, id)?))).collect();
        for arena in [&mut arena, &mut taken_over] {
            match tick % 10 {
                0 if find_player(&arena.world, comer as i32).is_none() => drop(arena.join(comer)),
                5 if tick % 100 == 5 => arena.leave(comer),
                _ => {}
            }
            arena.step(&inputs);
        }
        check(&arena);
        assert!(arena.world.same_state(&taken_over.world), "seed {seed}: differs at tick {tick}");
        if tick % 7 == 0 {
            taken_over = taken_over.taken_over();
        }
        best = best.max(best_score(&arena.world));
    }
    (best, arena.round(round::NUMBER))
}

/// What a simple bot does: walk to and shoot at the next player in line.
fn chase(world: &World, player: u32) -> Option<Values> {
    let me = find_player(world, player as i32)?;
    let others = all(world, player::KIND);
    let prey = others.iter().find(|id| **id > me).or(others.first())?;
    let (from, to) = (spot(world, me, player::X), spot(world, *prey, player::X));
    let turn = f64::from(to.y - from.y).atan2(f64::from(to.x - from.x)) / std::f64::consts::TAU;
    let aim = (turn * f64::from(TURN)).round() as i32 & (TURN - 1);
    let Spot { x, y } = direction(aim + 60);
    Some([x * MOVE_MAX / DIRECTION_LENGTH, y * MOVE_MAX / DIRECTION_LENGTH, aim, 1])
}

#[test]
fn a_match_that_is_taken_over_again_and_again_goes_on_like_the_original() {
    for seed in [1, 4711] {
        let options = [("drones", 20), ("score_limit", 30), ("round_seconds", 20), ("tick_rate", 20)];
        let (best, rounds) = brawl(seed, &options, 1_200);
        assert!(best >= 30 && rounds >= 3, "seed {seed}: only {best} points, {rounds} rounds");
    }
}

#[test]
fn steps_that_are_left_out_at_rest_would_have_changed_nothing() {
    for seed in 0..20 {
        let mut arena = Match::new(seed, &[("drones", 0), ("round_seconds", 20), ("tick_rate", 10)]);
        let (mut chance, mut at_rest) = (rng(seed, Tick(u64::MAX)), 0);
        for player in 1..=4 {
            arena.join(player).expect("a place is free");
        }
        arena.step(&[]);
        for _ in 0..600 {
            // A new game has seen no step before, and leaves none out.
            let mut fresh = arena.taken_over();
            let busy = arena.tick.0 % 100 < 30;
            let inputs: Vec<(u32, Values)> = match chance.random_range(0..10) {
                0 if busy => (1..=4).filter_map(|id| Some((id, chase(&arena.world, id)?))).collect(),
                1 | 2 => (1..=4).map(|id| (id, IDLE)).collect(),
                3 if arena.tick.0 % 100 == 90 => vec![(1, [127, 0, 0, 0]), (2, FIRE)],
                _ => Vec::new(),
            };
            at_rest += u32::from(inputs.is_empty() && arena.world.is_at_rest());
            for arena in [&mut arena, &mut fresh] {
                arena.step(&inputs);
            }
            assert!(arena.world.same_state(&fresh.world), "seed {seed}: differs at tick {}", arena.tick.0);
        }
        assert!(at_rest >= 50 && arena.round(round::NUMBER) >= 2, "seed {seed}: {at_rest} ticks at rest");
    }
}

/// One thing that happens to a match.
#[derive(Debug, Clone)]
enum Event {
    Join(u32),
    Leave(u32),
    Input(u32, Values),
    Tick,
}

fn event() -> impl Strategy<Value = Event> {
    let vector = || prop_oneof![-127..=127, Just(-127), Just(127), Just(0)];
    let values = (vector(), vector(), 0..TURN, 0..=1).prop_map(|(x, y, aim, fire)| [x, y, aim, fire]);
    prop_oneof![
        1 => (1u32..8).prop_map(Event::Join),
        1 => (1u32..8).prop_map(Event::Leave),
        6 => (0u32..8, values).prop_map(|(player, values)| Event::Input(player, values)),
        6 => Just(Event::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_players_do_the_invariants_hold(
        seed: u64,
        hz in 10i64..=128,
        events in prop::collection::vec(event(), 0..400),
    ) {
        let small = [("players_max", 4), ("drones", 5), ("round_seconds", 5), ("score_limit", 2)];
        let options = [&small[..], &[("tick_rate", hz)]].concat();
        let mut arena = Match::new(seed, &options);
        let mut taken_over = arena.taken_over();
        let mut inputs = Vec::new();
        for event in events {
            for arena in [&mut arena, &mut taken_over] {
                match &event {
                    Event::Join(player) if find_player(&arena.world, *player as i32).is_none() => {
                        arena.join(*player);
                    }
                    Event::Leave(player) => arena.leave(*player),
                    Event::Tick => arena.step(&inputs),
                    Event::Join(_) | Event::Input(..) => {}
                }
            }
            match event {
                Event::Input(player, values) => inputs.push((player, values)),
                Event::Tick => {
                    inputs.clear();
                    check(&arena);
                    prop_assert!(arena.world.same_state(&taken_over.world));
                    taken_over = taken_over.taken_over();
                }
                Event::Join(_) | Event::Leave(_) => {}
            }
        }
    }
}
