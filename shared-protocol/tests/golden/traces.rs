//! Runs of recorded games, a few entities for a few ticks of each. `traces/GAME.json` holds what was recorded:
//! a schema, and for each tick every entity's values.
//!
//! These files were cut once from recordings that are not part of the project, each a whole game in the format
//! GTR1, which the benches read: eight ticks in a row of each, entities of the same ids, fields in the same order;
//! bounds and predictors are ours, and so is a kind `player` without entities, which every schema has.
//!
//! | file | recording | ticks | entities | origin |
//! |---|---|---|---|---|
//! | arena_trace | arena30_60hz | 1197 to 1204 | 5 bots, 40 bullets, 3 pickups, not all at once | our own generator |
//! | cubes_trace | cubes901_s1 | 796 to 803 | 36 cubes: of those that move or wake, and of the others | our own output of a rigid-body scene |
//! | ped_trace | ped_bi_corr_400 | 1097 to 1104 | 12 pedestrians | FZ Juelich archive, by way of PedPy's test data (MIT) |
//! | rocket_trace | rl_419a | 1000 to 1007 | all, cars and ball | a replay of boxcars' test data (MIT) |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use tickcast_protocol::{EntityId, Schema};

use crate::entities::entity_id;
use crate::frames::position;
use crate::sequence::Script;

/// Ticks that lead up to the snapshot.
const BEFORE: usize = 3;
/// Ticks before the prior, the snapshot's and those before it counted.
const FIRST_PRIOR: usize = 5;

/// The golden file, and the game of each.
const TRACES: [(&str, &str); 4] = [
    ("arena_trace.hex", "arena_trace"),
    ("cubes_trace.hex", "cubes_trace"),
    ("ped_trace.hex", "ped_trace"),
    ("rocket_trace.hex", "rocket_trace"),
];

#[derive(Deserialize)]
struct Trace {
    schema: serde_json::Value,
    first_tick: u64,
    ticks: Vec<BTreeMap<String, Vec<i32>>>,
}

fn load(game: &str) -> (Arc<Schema>, Trace) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/traces");
    let text = std::fs::read_to_string(folder.join(format!("{game}.json"))).unwrap();
    let trace: Trace = serde_json::from_str(&text).unwrap();
    (Schema::from_json(&trace.schema.to_string()).unwrap(), trace)
}

pub(crate) fn schemas() -> impl Iterator<Item = Arc<Schema>> {
    TRACES.iter().map(|(_, game)| load(game).0)
}

/// A run of each.
pub(crate) fn all() -> impl Iterator<Item = Script> {
    TRACES.iter().map(|(file, game)| run(file, game))
}

fn run(file: &'static str, game: &'static str) -> Script {
    let about = "A few entities of a recorded game: a snapshot, diffs with the first prior, a prior from them,\n\
                 and diffs that are coded with it. Apply the frames in order to an empty replica.";
    let (schema, trace) = load(game);
    let mut script = Script::new(file, about, Arc::clone(&schema), position(1, 1, trace.first_tick - 1));
    for (at, tick) in trace.ticks.iter().enumerate() {
        play(&mut script, &schema, tick);
        let number = script.position.tick.0 + 1;
        let name = |what: &str| format!("{game}_{what}");
        if at < BEFORE {
            script.next(false);
        } else {
            script.tick(&name(&number.to_string()), "the next tick", true);
        }
        if at + 1 == BEFORE {
            let snapshot = script.snapshot();
            script.deliver(&name("snapshot"), "the state", snapshot);
        }
        if at + 1 == FIRST_PRIOR {
            script.publish(&name("prior"), "a prior from the ticks so far");
        }
    }
    script
}

/// Makes the owner's world what was recorded of a tick.
fn play(script: &mut Script, schema: &Schema, tick: &BTreeMap<String, Vec<i32>>) {
    let recorded: BTreeMap<EntityId, &Vec<i32>> =
        tick.iter().map(|(key, values)| (entity_id(schema, key), values)).collect();
    let kinds = 0..schema.kinds().len() as u8;
    let there: Vec<EntityId> = kinds.flat_map(|kind| script.owner.ids(kind)).collect();
    for id in there.into_iter().filter(|id| !recorded.contains_key(id)) {
        script.owner.despawn(id);
    }
    for (id, values) in recorded {
        script.owner.spawn_at(id).expect("there is room");
        for (field, value) in values.iter().enumerate() {
            script.owner.set(id, field, *value);
            assert_eq!(script.owner.get(id, field), *value, "it is within the bounds");
        }
    }
}
