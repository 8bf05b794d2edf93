//! An owner and a replica that gets its frames one after another, with the state after each.

use std::sync::Arc;

use tickcast_protocol::catch_up::{self, Leap};
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::frame::StateFrame;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::schema::FieldType;
use tickcast_protocol::segments::Segments;
use tickcast_protocol::{EntityId, Position, Progress, Replica, Schema, SegmentId, World, frame, snapshot};

use crate::file::{self, Entry, File};

/// An owner, a replica that follows it, and the file in which their frames are written down.
pub(crate) struct Script {
    pub(crate) owner: World,
    pub(crate) encoder: Encoder,
    pub(crate) replica: Replica,
    pub(crate) position: Position,
    pub(crate) file: File,
}

impl Script {
    pub(crate) fn new(
        name: &'static str,
        about: &'static str,
        schema: Arc<Schema>,
        position: Position,
    ) -> Script {
        let encoder = Encoder::new(Prior::first(&schema));
        let (owner, replica) = (World::new(Arc::clone(&schema)), Replica::empty(schema));
        Script { owner, encoder, replica, position, file: File { name, about, entries: Vec::new() } }
    }

    /// A frame of the next tick; the owner advances.
    pub(crate) fn next(&mut self, hash: bool) -> Vec<u8> {
        let mut payload = Vec::new();
        let number = self.encoder.prior().number();
        self.encoder.encode(&self.owner, &mut payload);
        self.owner.advance();
        self.position.tick = self.position.tick.next();
        // A run says itself where a prior is published.
        let mut polled = self.encoder.clone();
        if polled.poll_prior().is_none() {
            self.encoder = polled;
        }
        frame::diff(self.position, number, hash.then(|| self.owner.hash()), &payload)
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        snapshot::encode(&self.owner, &mut payload);
        frame::snapshot(self.position, self.owner.hash(), &self.prior_payload(), &payload)
    }

    /// Number and levels of what the next diff is coded with.
    pub(crate) fn prior_payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        self.encoder.prior().encode(&mut payload);
        payload
    }

    /// A new prior, told by the example of this name. What an owner learns is no part of the wire: the prior
    /// stays what it once was, and is learned where there is none yet.
    pub(crate) fn new_prior(&mut self, name: &str) -> Vec<u8> {
        let number = self.encoder.prior().number() + 1;
        let stored = file::find(&crate::folder(), self.file.name, name).and_then(|entry| {
            let Ok(StateFrame::Prior { payload, .. }) = frame::parse(&entry.bytes) else { return None };
            self.encoder.prior().decode(payload).ok().filter(|prior| prior.number() == number)
        });
        match stored {
            Some(prior) => self.encoder = Encoder::new(prior),
            None => drop(self.encoder.force_prior()),
        }
        frame::prior(self.position, &self.prior_payload())
    }

    /// What leads the replica to the owner's state in one.
    pub(crate) fn catch_up(&self, hash: bool) -> Vec<u8> {
        let span = (self.position.tick.0 - self.replica.position().tick.0) as u32;
        let leap = Leap { span, known: self.replica.steps_known() };
        let mut payload = Vec::new();
        catch_up::encode(self.replica.world(), &self.owner, leap, &mut payload);
        frame::catch_up(self.position, span as u8, hash.then(|| self.owner.hash()), &payload)
    }

    /// The replica gets a frame.
    pub(crate) fn deliver(&mut self, name: &str, comment: &str, bytes: Vec<u8>) {
        let meaning = apply(&mut self.replica, &bytes);
        self.file.entries.push(Entry::new(name, comment, meaning, bytes));
    }

    pub(crate) fn tick(&mut self, name: &str, comment: &str, hash: bool) {
        let bytes = self.next(hash);
        self.deliver(name, comment, bytes);
        assert!(self.replica.world().same_state(&self.owner), "{name}");
    }

    pub(crate) fn publish(&mut self, name: &str, comment: &str) {
        let bytes = self.new_prior(name);
        self.deliver(name, comment, bytes);
        assert!(self.replica.prior() == self.encoder.prior(), "{name}");
    }

    pub(crate) fn leap(&mut self, name: &str, comment: &str, hash: bool) {
        let bytes = self.catch_up(hash);
        self.deliver(name, comment, bytes);
        assert_eq!(self.replica.world().first_difference(&self.owner), None, "{name}");
    }

    pub(crate) fn set(&mut self, id: EntityId, fields: &[(&str, i32)]) {
        for (name, value) in fields {
            let field = self.owner.schema().kinds()[usize::from(id.kind)].field_index(name).expect("a field");
            self.owner.set(id, field, *value);
        }
    }

    pub(crate) fn text(&mut self, id: EntityId, name: &str, text: &str) {
        let field = self.owner.schema().kinds()[usize::from(id.kind)].field_index(name).expect("a field");
        self.owner.set_text(id, field, text);
    }

    pub(crate) fn spawn(&mut self, kind: u8, index: u16, fields: &[(&str, i32)]) -> EntityId {
        let id = EntityId { kind, index };
        self.owner.spawn_at(id).expect("there is room");
        self.set(id, fields);
        id
    }
}

/// Gives a replica a frame and says what came of it, as JSON.
pub(crate) fn apply(replica: &mut Replica, bytes: &[u8]) -> String {
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
    let (prior, known) = (replica.prior().number(), replica.steps_known());
    let entities = entities.join(",");
    let state = format!(
        r#""tick":{tick},"hash":"{hash:08x}","prior":{prior},"steps_known":{known},"entities":{{{entities}}}"#
    );
    match replica.segments() {
        Some(segments) => format!("{state},{}", segments_json(segments)),
        None => state,
    }
}

/// The hash of each segment.
fn segments_json(segments: &Segments) -> String {
    let each = |(id, world): (SegmentId, &World)| format!(r#""{id}":"{:08x}""#, world.hash());
    format!(r#""segments":{{{}}}"#, segments.iter().map(each).collect::<Vec<String>>().join(","))
}

pub(crate) fn name(world: &World, id: EntityId) -> String {
    format!("{}:{}", world.schema().kinds()[usize::from(id.kind)].name, id.index)
}

pub(crate) fn values_json(world: &World, id: EntityId) -> String {
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
pub(crate) fn replay(name: &str, schema: &Arc<Schema>, entries: &[Entry]) {
    let mut replica = Replica::empty(Arc::clone(schema));
    for entry in entries {
        let actual = apply(&mut replica, &entry.bytes);
        assert_eq!(actual, entry.meaning, "golden/{name}: after {}", entry.name);
    }
}
