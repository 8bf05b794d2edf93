//! Single entities as the store holds them.

use tickcast_protocol::prior::Prior;
use tickcast_protocol::{EntityId, Schema, World, diff, record};

use crate::file::{Entry, File};
use crate::runs::{self, DUEL_PRIOR_TICK};
use crate::sequence::{name, values_json};
use crate::worlds;

/// Those of the worked example at the tick of its snapshot and at that of its prior, and one at the bounds.
pub(crate) fn file() -> File {
    let mut entries = Vec::new();
    let ids = [(0, 0, "player_0"), (0, 1, "player_1"), (1, 0, "ball_0")];
    for (kind, index, label) in ids {
        entries.push(entity(label, "of the worked example at tick 7", &runs::duel_at(7), kind, index));
    }
    let late = [(0, 0, "late_player_0"), (0, 1, "late_player_1"), (1, 1, "late_ball_1")];
    for (kind, index, label) in late {
        let comment = format!("of the worked example at tick {DUEL_PRIOR_TICK}");
        entries.push(entity(label, &comment, &runs::duel_at(DUEL_PRIOR_TICK), kind, index));
    }
    let mut world = World::new(worlds::extremes());
    let id = EntityId { kind: 0, index: 65_534 };
    world.spawn_at(id).expect("there is room");
    for (field, value) in [(0, i32::MAX), (1, 33), (3, -100), (4, 65_535), (5, 9), (6, 1)] {
        world.set(id, field, value);
    }
    world.set_text(id, 2, "12345678");
    world.advance();
    for (field, value) in [(0, i32::MIN), (1, 2), (4, 32_767)] {
        world.set(id, field, value);
    }
    world.advance();
    for (field, value) in [(0, i32::MAX), (1, 1), (5, 3)] {
        world.set(id, field, value);
    }
    world.advance();
    entries.push(entity("extreme", "the longest steps", &world, id.kind, id.index));
    let mut world = World::new(worlds::wide());
    let id = EntityId { kind: 1, index: 2 };
    world.spawn_at(id).expect("there is room");
    world.advance();
    world.set(id, 63, 1);
    world.advance();
    entries.push(entity("panel", "64 fields, of which the last moved", &world, id.kind, id.index));
    let about = "Values of entity fields in a match's Redis hash: a version byte, then the record. `hash`\n\
                 is the entity's own hash, `key` its field name, `game` names the schema file, `next` is\n\
                 what the entity becomes when a diff says nothing of it.";
    File { name: "entities.hex", about, entries }
}

fn entity(label: &str, comment: &str, world: &World, kind: u8, index: u16) -> Entry {
    let id = EntityId { kind, index };
    let bytes = record::encode_entity(world, id).expect("it is alive");
    let meaning = describe(&bytes, id, world.schema().game());
    Entry::new(&format!("entity_{label}"), comment, meaning, bytes)
}

fn describe(bytes: &[u8], id: EntityId, game: &str) -> String {
    let schema = worlds::schema(game);
    let mut world = record::decode_entities(schema.clone(), [(id, bytes)]).expect("a good record");
    assert_eq!(record::encode_entity(&world, id).as_deref(), Some(bytes), "a record has one form");
    let (key, values, hash) = (name(&world, id), values_json(&world, id), world.hash());
    // What its steps are for: where it goes when a diff says nothing, which takes no byte.
    diff::apply(&mut world, &Prior::first(&schema), &[]).expect("an empty diff");
    let next = values_json(&world, id);
    format!(r#"{{"game":"{game}","key":"{key}","values":{values},"hash":"{hash:08x}","next":{next}}}"#)
}

pub(crate) fn meaning(entry: &Entry) -> String {
    let told: serde_json::Value = serde_json::from_str(&entry.meaning).unwrap();
    let game = told["game"].as_str().unwrap();
    describe(&entry.bytes, entity_id(&worlds::schema(game), told["key"].as_str().unwrap()), game)
}

/// The entity of a field name.
pub(crate) fn entity_id(schema: &Schema, key: &str) -> EntityId {
    let (kind, index) = key.split_once(':').unwrap();
    EntityId { kind: schema.kind_index(kind).unwrap(), index: index.parse().unwrap() }
}
