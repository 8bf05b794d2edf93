//! What fog hides, and what it does not.

use super::*;
use crate::game::{Looking, Viewer, Visibility};

/// How far one sees, units.
const SIGHT: i32 = 300;

fn looks(game: &Match, viewer: Viewer, entity: Option<EntityId>, before: &[SegmentId]) -> Vec<SegmentId> {
    let mut view = game.game.view(Looking { viewer, entity, before, world: &game.world });
    view.sort_unstable();
    view
}

#[test]
fn one_sees_what_is_near_and_is_not_shown_what_is_far() {
    let options = [("fog", i64::from(SIGHT)), ("drones", 200), ("bots", 8), ("pickups", 30)];
    let mut game = Match::new(5, &options);
    let own = game.join(1).unwrap();
    let mut before = Vec::new();
    let (mut shown, mut hidden) = (0, 0);
    for tick in 0..600 {
        game.step(&[(1, [if tick % 200 < 100 { 127 } else { -127 }, 64, tick * 7 % 1024, 1])]);
        let view = looks(&game, Viewer::Player(PlayerId(1)), Some(own), &before);
        let at = spot(&game.world, own, player::X);
        for (kind, x) in [
            (player::KIND, player::X),
            (bullet::KIND, bullet::X),
            (pickup::KIND, pickup::X),
            (drone::KIND, drone::X),
        ] {
            for id in all(&game.world, kind) {
                let is_near = spot(&game.world, id, x).is_within(SIGHT * SCALE, at);
                let is_seen = view.binary_search(&game.world.segment(id)).is_ok();
                assert!(is_seen || !is_near, "tick {tick}: {id} is near, and not in the view");
                // A cell and a quarter beyond, there is nothing any more.
                let is_far = !spot(&game.world, id, x).is_within((SIGHT + 2 * 80) * SCALE, at);
                assert!(!is_seen || !is_far, "tick {tick}: {id} is far away, and in the view");
                shown += usize::from(is_seen);
                hidden += usize::from(!is_seen);
            }
        }
        before = view;
    }
    assert!(shown > 1_000 && hidden > 10 * shown / 2, "{shown} shown, {hidden} hidden");
}

#[test]
fn who_looks_on_sees_the_walls_and_how_the_round_stands() {
    let mut game = Match::new(5, &[("fog", 300), ("drones", 20), ("bots", 2)]);
    game.step(&[]);
    assert_eq!(looks(&game, Viewer::Spectators, None, &[]), [SegmentId::EVERYONE]);
    let open = |kind| all(&game.world, kind).iter().all(|id| game.world.segment(*id) == SegmentId::EVERYONE);
    assert!(open(wall::KIND) && open(round::KIND));
    let of_everyone = |kind: u8| all(&game.world, kind).into_iter().any(|id| game.world.segment(id).0 == 0);
    assert!(![player::KIND, drone::KIND, pickup::KIND].into_iter().any(of_everyone));
}

#[test]
fn without_fog_a_match_is_in_one_piece() {
    let options = |fog: i64| Options::from([("fog".to_owned(), fog)]);
    assert_eq!(Arena.info(&options(0)).unwrap().visibility, Visibility::Everything);
    assert_eq!(Arena.info(&options(300)).unwrap().visibility, Visibility::Secrets);
    assert!(Arena.info(&options(2_001)).is_err());
}
