//! What the players' page computes in advance must be what the server does: `server/web/game/test/walk.json` holds
//! walks and bullets of these rules, and the page's tests repeat them. With `TICKCAST_BLESS=1` it is written anew.

use super::*;
use serde_json::{Value, json};

#[test]
fn the_file_that_the_page_is_tested_with_tells_what_these_rules_do() {
    let walks: Vec<Value> = [10, 20, 30, 60, 128].into_iter().map(walk).collect();
    let bullets: Vec<[i32; 4]> = [10, 30, 64, 128]
        .into_iter()
        .flat_map(|hz| (0..TURN).step_by(37).map(move |heading| (hz, heading)))
        .map(|(hz, heading)| {
            let Spot { x, y } = rules(hz).flight(heading, BULLET_SPEED);
            [hz, heading, x, y]
        })
        .collect();
    let walls = Venue::ARENA
        .walls
        .iter()
        .map(|&[x, y, width, height]| [x, y, x + width, y + height].map(|units| units * SCALE))
        .collect::<Vec<_>>();
    let now = json!({ "walls": walls, "walks": walks, "bullets": bullets }).to_string() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/web/game/test/walk.json");
    if std::env::var_os("TICKCAST_BLESS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let known = std::fs::read_to_string(path).unwrap();
    assert!(known == now, "the rules changed: change server/web/game/rules.js, then TICKCAST_BLESS=1");
}

/// A player who runs around at random for a while, mostly into walls, with a finger on the trigger.
fn walk(hz: i64) -> Value {
    let mut arena = Match::new(3, &[("tick_rate", hz), ("pickups", 0)]);
    let id = arena.join(1).unwrap();
    arena.place(id, 640, 480);
    let mut chance = rng(9, Tick(hz as u64));
    let start = [640 * SCALE, 480 * SCALE];
    let mut wish = IDLE;
    let (mut inputs, mut states) = (Vec::new(), Vec::new());
    for tick in 0..400 {
        if tick % 11 == 0 {
            let mut vector = || chance.random_range(-MOVE_MAX..=MOVE_MAX);
            wish = [vector(), vector(), vector() & (TURN - 1), i32::from(vector() > 0)];
            if tick % 3 == 0 {
                wish[0] = wish[0].signum() * MOVE_MAX;
            }
        }
        arena.step(&[(1, wish)]);
        inputs.push(wish);
        let Spot { x, y } = spot(&arena.world, id, player::X);
        states.push([x, y, arena.world.get(id, player::COOLDOWN)]);
    }
    json!({ "hz": hz, "start": start, "inputs": inputs, "states": states })
}

fn rules(hz: i32) -> ArenaMatch {
    let options = Options::from([("tick_rate".to_owned(), i64::from(hz))]);
    ArenaMatch::new(Venue::ARENA, &options)
}
