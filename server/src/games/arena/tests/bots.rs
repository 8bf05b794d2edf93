//! Bots: that they come, make room, fight, and live in the world alone.

use super::*;

fn bots(arena: &Match) -> Vec<EntityId> {
    let of_game = |id: &EntityId| {
        let player = PlayerId(arena.world.get(*id, player::PLAYER) as u32);
        player >= PlayerId::OF_GAME
    };
    arena.world.ids(player::KIND).filter(of_game).collect()
}

#[test]
fn as_many_bots_come_as_are_wanted_and_each_has_a_name() {
    for count in [0, 1, 5, 16] {
        let mut arena = Match::new(7, &[("bots", count)]);
        arena.step(&[]);
        let mut names: Vec<&str> =
            bots(&arena).iter().map(|id| arena.world.text(*id, player::NAME)).collect();
        assert_eq!(names.len(), count as usize);
        assert!(names.iter().all(|name| name.starts_with("bot ")), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count as usize, "two have the same name");
    }
}

#[test]
fn bots_make_room_for_people_and_come_back() {
    let mut arena = Match::new(7, &[("bots", 3), ("players_max", 4)]);
    arena.step(&[]);
    for (people, left) in [(1, 3), (2, 2), (3, 1), (4, 0)] {
        assert!(arena.join(people).is_some(), "bots take no place from {people} people");
        arena.step(&[]);
        assert_eq!((bots(&arena).len(), arena.world.count(player::KIND)), (left, people as usize + left));
    }
    assert!(arena.join(5).is_none());
    arena.leave(2);
    arena.step(&[]);
    assert_eq!(bots(&arena).len(), 1);
}

#[test]
fn bots_fight_each_other_and_move_about() {
    let mut arena = Match::new(11, &[("bots", 6), ("score_limit", 10_000)]);
    arena.step(&[]);
    let begun: Vec<Spot> = bots(&arena).iter().map(|id| spot(&arena.world, *id, player::X)).collect();
    let mut standing = 0;
    for _ in 0..60 * 30 {
        let before: Vec<Spot> = bots(&arena).iter().map(|id| spot(&arena.world, *id, player::X)).collect();
        arena.step(&[]);
        let living =
            bots(&arena).into_iter().enumerate().filter(|(_, id)| arena.world.get(*id, player::HP) > 0);
        standing += living.filter(|(at, id)| before[*at] == spot(&arena.world, *id, player::X)).count();
        check(&arena);
    }
    let deaths: i32 = bots(&arena).iter().map(|id| arena.world.get(*id, player::DEATHS)).sum();
    assert!((10..200).contains(&deaths), "{deaths} deaths in a minute");
    assert!(standing < 60 * 30, "{standing} of {} steps went nowhere", 6 * 60 * 30);
    assert!(bots(&arena).iter().zip(begun).all(|(id, from)| spot(&arena.world, *id, player::X) != from));
}

#[test]
fn a_hurt_bot_fetches_what_heals() {
    let mut arena = Match::new(5, &[("bots", 1), ("pickups", 1)]);
    arena.step(&[]);
    let (bot, pickup) = (bots(&arena)[0], EntityId { kind: pickup::KIND, index: 0 });
    arena.place(bot, 420, 600);
    put(&mut arena.world, pickup, pickup::X, Spot { x: 700 * SCALE, y: 640 * SCALE });
    arena.world.set(bot, player::HP, 20);
    let ticks = arena.step_until(60, |world| world.get(bot, player::HP) > 20);
    assert!(ticks > 10, "it has to go there");
}

#[test]
fn a_bot_shoots_at_whom_it_sees_and_not_at_a_wall() {
    for (wall_between, hurt) in [(false, true), (true, false)] {
        let mut arena = Match::new(5, &[("bots", 1), ("pickups", 0)]);
        arena.step(&[]);
        let bot = bots(&arena)[0];
        let prey = arena.join(1).unwrap();
        if !wall_between {
            arena.clear(wall::KIND);
        }
        let mut fired = false;
        for _ in 0..90 {
            arena.place(bot, 640, 480);
            arena.place(prey, 960, 480);
            arena.step(&[]);
            fired |= arena.world.count(bullet::KIND) > 0;
        }
        assert_eq!(fired, hurt, "wall between: {wall_between}");
        assert_eq!(arena.world.get(prey, player::HP) < HP_MAX, hurt, "wall between: {wall_between}");
    }
}

#[test]
fn a_match_with_bots_goes_on_alike_on_another_node() {
    let mut arena = Match::new(3, &[("bots", 8), ("drones", 5), ("round_seconds", 10)]);
    let mut other = arena.taken_over();
    for tick in 0..900 {
        if tick == 100 {
            assert_eq!(arena.join(4), other.join(4));
        }
        arena.step(&[]);
        other.step(&[]);
        assert!(arena.world.same_state(&other.world), "differs at tick {tick}");
        if tick % 7 == 0 {
            other = other.taken_over();
        }
    }
}

#[test]
fn a_way_has_the_heading_of_its_direction() {
    assert_eq!(geometry::heading(Spot { x: 0, y: 0 }), 0);
    for angle in 0..TURN {
        let off = (geometry::heading(direction(angle)) - angle).rem_euclid(TURN);
        assert!([0, TURN - 1].contains(&off), "{angle}: off by {off}");
    }
}

#[test]
fn a_wall_is_between_spots_when_a_bullet_would_meet_it() {
    let wall = Wall { from: Spot { x: 1000, y: 1000 }, to: Spot { x: 1640, y: 3000 } };
    let mut chance = rng(1, Tick(1));
    let mut seen = [0, 0];
    for _ in 0..4_000 {
        let mut spot = || Spot { x: chance.random_range(0..4_000), y: chance.random_range(0..4_000) };
        let (from, to) = (spot(), spot());
        let met = (0..=400).any(|part| {
            let at = |from: i32, to: i32| from + (to - from) * part / 400;
            wall.overlaps(Spot { x: at(from.x, to.x), y: at(from.y, to.y) }, 0)
        });
        seen[usize::from(met)] += 1;
        // A line that only touches a corner may go either way.
        let near = wall.from.x - 16 < wall.to.x && !met && {
            let wider = Wall {
                from: Spot { x: wall.from.x - 16, y: wall.from.y - 16 },
                to: Spot { x: wall.to.x + 16, y: wall.to.y + 16 },
            };
            wider.is_between(from, to)
        };
        assert!(near || wall.is_between(from, to) == met, "{from:?} to {to:?}");
    }
    assert!(seen.iter().all(|count| *count > 500), "{seen:?}");
}
