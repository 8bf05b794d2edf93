//! Shots that are judged by what their shooter was shown.

use super::*;
use proptest::prelude::*;

/// 256ths of a tick.
const PARTS: u16 = 256;
/// Ticks that an action reaches back at most: 250 ms at 30 Hz, the last one in part.
const REACH: u16 = 7;

/// A shooter at (400, 480) and a target, on a map without walls; the target has walked a while as told.
fn stand_off(x: i32, y: i32, walk: [i32; 2], lag: u16) -> (Match, EntityId) {
    let mut arena = Match::new(7, &[("pickups", 0)]);
    arena.clear(wall::KIND);
    let (shooter, target) = (arena.join(1).unwrap(), arena.join(2).unwrap());
    arena.place(shooter, 400, 480);
    arena.place(target, x, y);
    let [move_x, move_y] = walk;
    arena.step(&[(2, [move_x, move_y, 0, 0])]);
    (0..12).for_each(|_| arena.step(&[]));
    (0..lag).for_each(|_| arena.step(&[]));
    (arena, target)
}

/// Steps once, the shooter firing on what it was shown so many 256ths of a tick ago.
fn fire(arena: &mut Match, aim: i32, behind: u16) {
    arena.behind = behind;
    arena.step(&[(1, [0, 0, aim, 1])]);
    arena.behind = 0;
}

/// The tick in which the target is hit, if it is within a second.
fn hit_at(arena: &mut Match, target: EntityId) -> Option<u64> {
    let let_go = [(1, IDLE)];
    for ticks in 0..30 {
        if arena.world.get(target, player::HP) < HP_MAX {
            return Some(arena.tick.0);
        }
        arena.step(if ticks == 0 { &let_go } else { &[] });
    }
    None
}

#[test]
fn a_target_is_hit_where_it_was_shown_and_only_by_whom_it_was_shown_to() {
    let shot = |behind: u16| {
        // Down along x = 500, aimed at where it was six ticks ago, a little ahead of it.
        let (mut arena, target) = stand_off(500, 380, [0, 127], 6);
        let then = arena.past.at(View { seen: arena.tick, behind: 6 * PARTS });
        let (x, y) = (then.get(target, player::X).unwrap(), then.get(target, player::X + 1).unwrap());
        let to = Spot { x: x - 400 * SCALE, y: y + 5 * 8 * SCALE - 480 * SCALE };
        let turn = f64::from(to.y).atan2(f64::from(to.x)) / std::f64::consts::TAU;
        fire(&mut arena, (turn * f64::from(TURN)).round() as i32, behind);
        hit_at(&mut arena, target)
    };
    assert!(shot(6 * PARTS).is_some());
    assert_eq!(shot(0), None, "now it is somewhere else");
}

#[test]
fn a_bullet_never_begins_further_away_than_the_limit_allows() {
    for behind in [0, 1, 300, REACH * PARTS, 2000, u16::MAX] {
        let (mut arena, _) = stand_off(100, 100, [0, 0], 40);
        fire(&mut arena, 0, behind);
        let bullet = arena.world.ids(bullet::KIND).next().unwrap();
        let flown = spot(&arena.world, bullet, bullet::X).x - 400 * SCALE;
        let ticks = f64::from(behind.min(REACH * PARTS + PARTS / 2)) / f64::from(PARTS) + 1.0;
        let expected = ticks * f64::from(BULLET_SPEED) / 30.0;
        assert!((f64::from(flown) - expected).abs() <= 2.0, "{behind}: {flown}, not {expected}");
    }
}

#[test]
fn no_wall_is_shot_through_however_late_the_shooter_is() {
    for behind in (0..=2400).step_by(64).chain([u16::MAX]) {
        let (mut arena, shooter, target) = duel(&[]);
        arena.place(shooter, 545, 480);
        arena.place(target, 620, 480);
        (0..12).for_each(|_| arena.step(&[]));
        fire(&mut arena, 0, behind);
        assert_eq!(arena.world.count(bullet::KIND), 0, "{behind}: the wall is next to the muzzle");
        assert_eq!(hit_at(&mut arena, target), None, "{behind}");
    }
}

#[test]
fn who_is_dead_or_was_put_elsewhere_since_is_not_hit_where_it_was() {
    let (mut arena, target) = stand_off(450, 480, [0, 0], 6);
    arena.world.set(target, player::HP, 0);
    arena.world.set(target, player::RESPAWN, 60);
    fire(&mut arena, 0, 6 * PARTS);
    assert_eq!(arena.world.get(target, player::DEATHS), 0, "nobody dies twice");
}

#[test]
fn a_drone_dies_once_however_late_the_second_shot_at_it_comes() {
    let points = |shooters: &[u32]| {
        let mut arena = Match::new(7, &[("drones", 1), ("pickups", 0)]);
        arena.clear(wall::KIND);
        let drone = EntityId { kind: drone::KIND, index: 0 };
        put(&mut arena.world, drone, drone::X, Spot { x: 460 * SCALE, y: 480 * SCALE });
        arena.world.set(drone, drone::HEADING, TURN / 2);
        for (player, x, y) in [(1, 400, 480), (2, 455, 540)] {
            let id = arena.join(player).unwrap();
            arena.place(id, x, y);
        }
        (0..4).for_each(|_| arena.step(&[]));
        arena.behind = 3 * PARTS;
        for shooter in shooters {
            arena.step(&[(*shooter, [0, 0, if *shooter == 1 { 0 } else { TURN * 3 / 4 }, 1])]);
        }
        let players = all(&arena.world, player::KIND);
        players.iter().map(|id| arena.world.get(*id, player::SCORE)).sum::<i32>()
    };
    for shooters in [&[1][..], &[2], &[1, 2], &[2, 1]] {
        assert_eq!(points(shooters), DRONE_POINTS, "{shooters:?}");
    }
}

#[test]
fn a_trigger_that_is_held_is_judged_like_the_input_that_holds_it() {
    let begins_at = |inputs: bool| {
        let (mut arena, _) = stand_off(100, 100, [0, 0], 6);
        fire(&mut arena, 0, 5 * PARTS);
        arena.clear(bullet::KIND);
        for _ in 0..10 {
            arena.behind = 5 * PARTS;
            arena.step(if inputs { &[(1, FIRE)] } else { &[] });
            if let Some(bullet) = arena.world.ids(bullet::KIND).next() {
                return spot(&arena.world, bullet, bullet::X);
            }
        }
        panic!("no second shot");
    };
    assert_eq!(begins_at(false), begins_at(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The very meaning of the compensation: a shot that comes late does what it would have done in time.
    #[test]
    fn a_late_shot_hits_whom_it_would_have_hit_in_time(
        x in 250i32..550,
        y in 330i32..630,
        walk in [-127i32..=127, -127i32..=127],
        aim in 0..TURN,
        lead in prop::bool::weighted(0.8),
        lag in 0..=REACH,
    ) {
        let (mut in_time, target) = stand_off(x, y, walk, 0);
        let aim = if lead { lead_at(&in_time, target) } else { aim };
        fire(&mut in_time, aim, 0);
        let (mut late, _) = stand_off(x, y, walk, lag);
        fire(&mut late, aim, lag * PARTS);
        let fired_late = late.tick.0;
        let expected = hit_at(&mut in_time, target);
        // What was to happen meanwhile happens at once.
        prop_assert_eq!(hit_at(&mut late, target), expected.map(|tick| tick.max(fired_late)));
    }

    /// Whatever a client claims, no step fails, and every node computes the same.
    #[test]
    fn whatever_is_claimed_the_invariants_hold(
        seed: u64,
        claims in prop::collection::vec((any::<u16>(), 0u32..8, 0..TURN), 1..150),
    ) {
        let options = [("drones", 8), ("score_limit", 5)];
        let (mut one, mut other) = (Match::new(seed, &options), Match::new(seed, &options));
        for arena in [&mut one, &mut other] {
            (1..8).for_each(|player| assert!(arena.join(player).is_some()));
        }
        for (behind, player, aim) in claims {
            for arena in [&mut one, &mut other] {
                arena.behind = behind;
                arena.step(&[(player, [127, aim % 127, aim, 1])]);
            }
            check(&one);
            prop_assert!(one.world.same_state(&other.world));
        }
    }
}

/// The heading at which the shooter's bullet meets the target if it goes on as it went.
fn lead_at(arena: &Match, target: EntityId) -> i32 {
    let x = |behind| {
        let then = arena.past.at(View { seen: arena.tick, behind });
        [0, 1].map(|axis| f64::from(then.get(target, player::X + axis).unwrap()))
    };
    let (now, before, speed) = (x(0), x(PARTS), f64::from(BULLET_SPEED / 30));
    let from = [400.0, 480.0].map(|units| units * f64::from(SCALE));
    let to = |ticks: f64| [0, 1].map(|axis| now[axis] + (now[axis] - before[axis]) * ticks - from[axis]);
    let ticks = (0..20).fold(0.0, |ticks, _| to(ticks)[0].hypot(to(ticks)[1]) / speed);
    let turn = to(ticks)[1].atan2(to(ticks)[0]) / std::f64::consts::TAU;
    (turn * f64::from(TURN)).round() as i32 & (TURN - 1)
}
