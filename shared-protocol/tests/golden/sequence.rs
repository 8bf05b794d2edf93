//! Frames as a replica gets them one after another, with the state after each; and single entities.

use std::sync::Arc;

use tickcast_protocol::schema::FieldType;
use tickcast_protocol::{EntityId, Position, Progress, Replica, Schema, Tick, World, diff, frame};

use crate::file::{Entry, File};
use crate::frames::position;
use crate::worlds;

/// An owner, a replica that follows it, and the file in which their frames are written down.
pub(crate) struct Script {
    pub(crate) owner: World,
    replica: Replica,
    pub(crate) position: Position,
    pub(crate) file: File,
}

impl Script {
    fn new(name: &'static str, about: &'static str, schema: Arc<Schema>, position: Position) -> Script {
        let (owner, replica) = (World::new(Arc::clone(&schema)), Replica::empty(schema));
        Script { owner, replica, position, file: File { name, about, entries: Vec::new() } }
    }

    /// A frame of the next tick; the owner advances.
    fn next(&mut self, hash: bool) -> Vec<u8> {
        let mut payload = Vec::new();
        diff::encode(&self.owner, &mut payload);
        self.owner.advance();
        self.position.tick = self.position.tick.next();
        frame::diff(self.position, hash.then(|| self.owner.hash()), &payload)
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        diff::encode_snapshot(&self.owner, &mut payload);
        frame::snapshot(self.position, self.owner.hash(), &payload)
    }

    /// The replica gets a frame.
    fn deliver(&mut self, name: &str, comment: &str, bytes: Vec<u8>) {
        let meaning = apply(&mut self.replica, &bytes);
        self.file.entries.push(Entry::new(name, comment, meaning, bytes));
    }

    fn tick(&mut self, name: &str, comment: &str, hash: bool) {
        let bytes = self.next(hash);
        self.deliver(name, comment, bytes);
        assert!(self.replica.world().same_state(&self.owner), "{name}");
    }

    fn set(&mut self, id: EntityId, fields: &[(&str, i32)]) {
        for (name, value) in fields {
            let field = self.owner.schema().kinds()[usize::from(id.kind)].field_index(name).expect("a field");
            self.owner.set(id, field, *value);
        }
    }

    fn text(&mut self, id: EntityId, name: &str, text: &str) {
        let field = self.owner.schema().kinds()[usize::from(id.kind)].field_index(name).expect("a field");
        self.owner.set_text(id, field, text);
    }

    fn spawn(&mut self, kind: u8, index: u16, fields: &[(&str, i32)]) -> EntityId {
        let id = EntityId { kind, index };
        self.owner.spawn_at(id).expect("there is room");
        self.set(id, fields);
        id
    }
}

/// Every sequence.
pub(crate) fn all() -> Vec<Script> {
    vec![duel(), extremes(), wide()]
}

/// The worked example of docs/wire.md.
pub(crate) fn duel() -> Script {
    let about = "The worked example of docs/wire.md: a snapshot at tick 7 and the diffs of ticks\n\
                 8, 9 and 10. The schema is in duel.schema.json. Apply them in order to an empty replica.";
    let mut script = Script::new("duel.hex", about, worlds::duel(), position(2, 0x1122_3344_5566_7788, 6));
    let zoe = script.spawn(0, 0, &[("player", 1), ("seq", 40), ("x", 115), ("aim", 250), ("hp", 100)]);
    let bo = script.spawn(0, 1, &[("player", 2), ("seq", 6), ("x", -300), ("hp", 100)]);
    script.text(zoe, "name", "Zoë");
    script.text(bo, "name", "Bo");
    let ball = script.spawn(1, 0, &[("x", 982), ("spin", 11)]);
    script.owner.advance();
    script.set(zoe, &[("seq", 41), ("x", 120)]);
    script.set(bo, &[("seq", 7)]);
    script.set(ball, &[("x", 990), ("spin", 14)]);
    script.next(false);
    let snapshot = script.snapshot();
    script.deliver("duel_snapshot", "the whole state at tick 7", snapshot);
    script.set(zoe, &[("seq", 42), ("x", 125)]);
    script.set(bo, &[("seq", 8)]);
    script.set(ball, &[("x", 998), ("spin", 1)]);
    script.tick("duel_tick_8", "everything goes on as it went: nothing is mentioned", true);
    script.set(zoe, &[("seq", 43), ("x", 127), ("aim", 4)]);
    script.set(bo, &[("hp", 75)]);
    script.set(ball, &[("x", 1000), ("spin", 4)]);
    script.tick(
        "duel_tick_9",
        "a slower step, a turn over zero, a hit, a player without input; the ball is stopped",
        false,
    );
    script.set(zoe, &[("seq", 44), ("x", 129)]);
    script.text(bo, "name", "Bob");
    script.owner.despawn(ball);
    script.spawn(1, 1, &[("x", 129)]);
    script.tick("duel_tick_10", "a text changes, one ball goes, another is born", true);
    script
}

fn extremes() -> Script {
    let about = "Values at their bounds, low bits of the tick that wrap, another owner, repeats and gaps.\n\
                 The schema is in extremes.schema.json. Apply the frames in order to an empty replica.";
    let mut script = Script::new("extremes.hex", about, worlds::extremes(), position(u64::MAX, 5, 65_533));
    let early = script.next(false);
    script.deliver("ext_too_early", "a diff while waiting for a snapshot", early);
    let snapshot = script.snapshot();
    script.deliver("ext_empty", "an empty state at tick 65534", snapshot);
    script.spawn(0, 0, &[]);
    let far =
        script.spawn(0, 300, &[("x", i32::MIN), ("aim", 63), ("turret", 65_535), ("hp", -100), ("side", 1)]);
    script.text(far, "label", "äöü€");
    script.text(far, "long", &"0123456789".repeat(26));
    script.spawn(0, 65_534, &[("x", i32::MAX), ("level", 9)]);
    script.spawn(1, 3, &[("player", i32::MAX), ("seq", i32::MAX)]);
    script.tick("ext_spawn", "births with defaults, at the bounds, with gaps between the indexes", true);
    script.set(
        far,
        &[("x", i32::MAX), ("aim", 31), ("turret", 32_767), ("hp", 100), ("level", 9), ("side", 0)],
    );
    script.text(far, "label", "");
    script.tick("ext_jump", "from bound to bound; low bits of the tick are 0", true);
    script.set(far, &[("x", i32::MIN), ("aim", 0), ("turret", 0), ("hp", 0), ("level", 3)]);
    script.text(far, "long", "x");
    script.tick("ext_jump_back", "against a prediction that stops at the bound", true);
    let repeat = script.file.entries.last().expect("a frame").bytes.clone();
    script.deliver("ext_repeat", "the same frame again", repeat);
    script.set(far, &[("x", i32::MIN), ("aim", 33), ("level", 3)]);
    script.tick("ext_rest", "what was predicted to go on stands still at the bound: not mentioned", true);
    script.owner.despawn(EntityId { kind: 0, index: 0 });
    script.owner.despawn(EntityId { kind: 0, index: 65_534 });
    script.spawn(0, 1, &[]);
    script.tick("ext_despawn", "two go, one is born; no hash", false);
    ownership(&mut script);
    script
}

/// What follows when the match changes its owner, and the ways of losing track.
fn ownership(script: &mut Script) {
    let far = EntityId { kind: 0, index: 300 };
    let old = script.position.fence;
    script.position.fence = position(1, 0xfeed, 0).fence;
    script.deliver("ext_owner", "another owner goes on from here", frame::owner(script.position));
    script.set(far, &[("hp", 1)]);
    script.tick("ext_new_owner", "a diff with the new owner's tag", true);
    script.set(far, &[("hp", 2)]);
    let mut stray = script.next(true);
    stray[1] = old.tag();
    script.deliver("ext_old_tag", "a diff with the old owner's tag", stray);
    let waiting = script.next(true);
    script.deliver("ext_waiting", "a gap is closed by nothing but a snapshot", waiting);
    let snapshot = script.snapshot();
    script.deliver("ext_cure", "the snapshot", snapshot.clone());
    script.deliver("ext_known", "a snapshot of a tick that the replica has", snapshot);
    script.next(true);
    let late = script.next(true);
    script.deliver("ext_hole", "a tick is missing", late);
    let snapshot = script.snapshot();
    script.deliver("ext_cure_hole", "the snapshot", snapshot);
    let mut lie = script.next(true);
    lie[4] ^= 0x01;
    script.deliver("ext_desync", "a hash that the state does not have", lie);
    let snapshot = script.snapshot();
    script.deliver("ext_cure_desync", "the snapshot", snapshot);
    let ahead = Position { tick: Tick(script.position.tick.0 + 1), ..script.position };
    script.deliver(
        "ext_owner_ahead",
        "an owner that goes on from a tick which the replica lacks",
        frame::owner(ahead),
    );
}

fn wide() -> Script {
    let about = "A kind with 64 fields: a changed-field mask of 10 bytes.\n\
                 The schema is in wide.schema.json. Apply the frames in order to an empty replica.";
    let mut script = Script::new("wide.hex", about, worlds::wide(), position(1, 1, 1));
    let panel = script.spawn(1, 0, &[("f1", 1)]);
    script.owner.advance();
    let snapshot = script.snapshot();
    script.deliver("wide_snapshot", "one panel", snapshot);
    script.set(panel, &[("f63", 1)]);
    script.tick("wide_last_field", "the last field changes", true);
    script.set(panel, &[("f0", 1), ("f1", 0), ("f63", 0)]);
    script.tick("wide_three_fields", "the first, the second and the last field change", true);
    script
}

/// Gives a replica a frame and says what came of it, as JSON.
fn apply(replica: &mut Replica, bytes: &[u8]) -> String {
    match replica.apply(bytes) {
        Progress::Advanced => format!(r#"{{"does":"advanced",{}}}"#, state_json(replica)),
        Progress::Stale => format!(r#"{{"does":"nothing",{}}}"#, state_json(replica)),
        Progress::Gap(_) => r#"{"does":"gap"}"#.to_owned(),
    }
}

pub(crate) fn state_json(replica: &Replica) -> String {
    let world = replica.world();
    let kinds = 0..world.schema().kinds().len() as u8;
    let ids: Vec<EntityId> = kinds.flat_map(|kind| world.ids(kind)).collect();
    let entities: Vec<String> =
        ids.iter().map(|id| format!(r#""{}":{}"#, name(world, *id), values_json(world, *id))).collect();
    let (tick, hash) = (replica.position().tick, world.hash());
    format!(r#""tick":{tick},"hash":"{hash:08x}","entities":{{{}}}"#, entities.join(","))
}

fn name(world: &World, id: EntityId) -> String {
    format!("{}:{}", world.schema().kinds()[usize::from(id.kind)].name, id.index)
}

fn values_json(world: &World, id: EntityId) -> String {
    let fields = &world.schema().kinds()[usize::from(id.kind)].fields;
    let value = |(at, field): (usize, &tickcast_protocol::Field)| {
        let value = match field.holds {
            FieldType::Text { .. } => serde_json::to_string(world.text(id, at)).expect("a text is JSON"),
            _ => world.get(id, at).to_string(),
        };
        format!(r#""{}":{value}"#, field.name)
    };
    format!("{{{}}}", fields.iter().enumerate().map(value).collect::<Vec<String>>().join(","))
}

/// Applies the frames of a file to an empty replica and compares the state after each.
pub(crate) fn replay(script: &Script, entries: &[Entry]) {
    let mut replica = Replica::empty(Arc::clone(script.owner.schema()));
    for entry in entries {
        let actual = apply(&mut replica, &entry.bytes);
        assert_eq!(actual, entry.meaning, "golden/{}: after {}", script.file.name, entry.name);
    }
}

/// Single entities as the store holds them: those of the worked example at tick 7, and one at the bounds.
pub(crate) fn entities_file() -> File {
    let duel = duel();
    let snapshot = &duel.file.entries[0].bytes;
    let mut replica = Replica::empty(worlds::duel());
    replica.apply(snapshot);
    let mut entries = Vec::new();
    let ids = [(0, 0, "player_0"), (0, 1, "player_1"), (1, 0, "ball_0")];
    for (kind, index, label) in ids {
        let bytes = diff::encode_entity(replica.world(), EntityId { kind, index }).expect("it is alive");
        entries.push(entity(
            &format!("entity_{label}"),
            "of the worked example at tick 7",
            &bytes,
            kind,
            index,
            "duel",
        ));
    }
    let mut world = World::new(worlds::extremes());
    let id = EntityId { kind: 0, index: 65_534 };
    world.spawn_at(id).expect("there is room");
    for (field, value) in [(0, i32::MIN), (1, 33), (3, -100), (4, 65_535), (5, 9), (6, 1)] {
        world.set(id, field, value);
    }
    world.set_text(id, 2, "12345678");
    world.advance();
    for (field, value) in [(0, i32::MAX), (1, 1), (5, 3)] {
        world.set(id, field, value);
    }
    world.advance();
    let bytes = diff::encode_entity(&world, id).expect("it is alive");
    entries.push(entity("entity_extreme", "the longest steps", &bytes, id.kind, id.index, "extremes"));
    let about = "Values of entity fields in a match's Redis hash: a version byte, then the record. `hash`\n\
                 is the entity's own hash, `key` its field name, `game` names the schema file.";
    File { name: "entities.hex", about, entries }
}

fn entity(name: &str, comment: &str, bytes: &[u8], kind: u8, index: u16, game: &str) -> Entry {
    let meaning = describe_entity(bytes, EntityId { kind, index }, game);
    Entry::new(name, comment, meaning, bytes.to_vec())
}

fn describe_entity(bytes: &[u8], id: EntityId, game: &str) -> String {
    let mut world = diff::decode_entities(worlds::schema(game), [(id, bytes)]).expect("a good record");
    assert_eq!(diff::encode_entity(&world, id).as_deref(), Some(bytes), "a record has one form");
    let (key, values, hash) = (name(&world, id), values_json(&world, id), world.hash());
    // Where the entity goes when no diff mentions it: what its steps are for.
    let quiet = vec![0; 3 * world.schema().kinds().len()];
    diff::apply(&mut world, &quiet).expect("an empty diff");
    let next = values_json(&world, id);
    format!(r#"{{"game":"{game}","key":"{key}","values":{values},"hash":"{hash:08x}","next":{next}}}"#)
}

pub(crate) fn entity_meaning(entry: &Entry) -> String {
    let told: serde_json::Value = serde_json::from_str(&entry.meaning).unwrap();
    let game = told["game"].as_str().unwrap();
    describe_entity(&entry.bytes, entity_id(&worlds::schema(game), told["key"].as_str().unwrap()), game)
}

/// The entity of a field name.
pub(crate) fn entity_id(schema: &Schema, key: &str) -> EntityId {
    let (kind, index) = key.split_once(':').unwrap();
    EntityId { kind: schema.kind_index(kind).unwrap(), index: index.parse().unwrap() }
}
