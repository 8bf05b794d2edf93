//! An owner of a match in segments, and those who get some of them, as a node cuts their frames out of the owner's.

use std::collections::BTreeSet;
use std::sync::Arc;

use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::sections::{self, Index, Section};
use tickcast_protocol::segments::Segments;
use tickcast_protocol::{EntityId, Position, Replica, Schema, SegmentId, World, frame};

use crate::file::{Entry, File};
use crate::sequence;
use crate::streams::encode_prior;

/// Who changes the match.
pub(crate) struct Owner {
    pub(crate) whole: World,
    pub(crate) segments: Segments,
    pub(crate) encoder: Encoder,
    pub(crate) position: Position,
}

impl Owner {
    pub(crate) fn new(schema: &Arc<Schema>, position: Position) -> Owner {
        let (whole, segments) = (World::new(Arc::clone(schema)), Segments::new(Arc::clone(schema)));
        Owner { whole, segments, encoder: Encoder::new(Prior::first(schema)), position }
    }

    pub(crate) fn set(&mut self, id: EntityId, fields: &[(&str, i32)]) {
        for (name, value) in fields {
            let field = self.whole.schema().kinds()[usize::from(id.kind)].field_index(name).expect("a field");
            self.whole.set(id, field, *value);
        }
    }

    /// A newborn, or one that goes on, in this segment from now on.
    pub(crate) fn put(&mut self, segment: u16, kind: u8, index: u16, fields: &[(&str, i32)]) -> EntityId {
        let id = EntityId { kind, index };
        self.whole.spawn_at(id).expect("there is room");
        self.set(id, fields);
        self.whole.place(id, SegmentId(segment));
        id
    }

    /// Commits what was changed; returns the sections of all segments.
    pub(crate) fn next(&mut self, proven: bool) -> Vec<u8> {
        self.segments.mirror(&self.whole);
        let mut sections = Vec::new();
        self.segments.commit(&mut self.encoder, proven, |_| true, &mut sections);
        self.whole.advance();
        self.position.tick = self.position.tick.next();
        assert_eq!(self.segments.hash(), self.whole.hash());
        sections
    }

    /// A new prior with some levels; returns its frame.
    pub(crate) fn publish(&mut self) -> Vec<u8> {
        let old = self.encoder.prior();
        let models = crate::prior::Prior::first(self.whole.schema()).levels().len();
        let level = |model| serde_json::json!([model, (model * 37 + model / 127 * 11) as i32 % 61 - 9]);
        let levels: Vec<_> = (0..models).step_by(61).map(level).collect();
        let payload = encode_prior(self.whole.schema(), old.number() + 1, &levels);
        self.encoder = Encoder::new(old.decode(&payload).unwrap());
        frame::prior(self.position, &payload)
    }

    fn prior(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        self.encoder.prior().encode(&mut payload);
        payload
    }

    pub(crate) fn view_of(&self, sections: &[u8]) -> Vec<u8> {
        frame::view(self.position, &self.prior(), sections)
    }

    pub(crate) fn frame_of(&self, sections: &[u8]) -> Vec<u8> {
        frame::segments(self.position, self.encoder.prior().number(), sections)
    }
}

/// Somebody who gets the segments of a view, and the file in which the frames are written down.
pub(crate) struct Viewer {
    pub(crate) view: Vec<SegmentId>,
    pub(crate) replica: Replica,
    pub(crate) file: File,
    /// What it had when it stopped taking frames, and in how many ticks it has not since.
    base: Option<(Segments, u8)>,
}

impl Viewer {
    pub(crate) fn new(schema: &Arc<Schema>, name: &'static str, about: &'static str) -> Viewer {
        let file = File { name, about, entries: Vec::new() };
        Viewer { view: Vec::new(), replica: Replica::empty(Arc::clone(schema)), file, base: None }
    }

    pub(crate) fn deliver(&mut self, name: &str, comment: &str, bytes: Vec<u8>) {
        let meaning = sequence::apply(&mut self.replica, &bytes);
        self.file.entries.push(Entry::new(name, comment, meaning, bytes));
    }

    /// All that is to be seen.
    pub(crate) fn begin(&mut self, owner: &Owner, view: &[u16], name: &str, comment: &str) {
        self.view = ids(view);
        let sections: Vec<u8> =
            self.view.iter().filter_map(|id| owner.segments.entered(*id)).flatten().collect();
        self.deliver(name, comment, owner.view_of(&sections));
        self.base = None;
        self.check(owner, name);
    }

    /// What of a tick's sections is for this view, which is another one from now on.
    pub(crate) fn cut(&mut self, owner: &Owner, sections: &[u8], view: &[u16]) -> Vec<u8> {
        let now = ids(view);
        let enter = |id, out: &mut Vec<u8>| out.extend(owner.segments.entered(id).unwrap_or_default());
        let mut cut = Vec::new();
        Index::of(sections).unwrap().cut(sections, &self.view, &now, enter, &mut cut);
        self.view = now;
        cut
    }

    /// A tick for this view, which is another one from now on. Who does not take it falls behind.
    pub(crate) fn follow(
        &mut self,
        owner: &Owner,
        sections: &[u8],
        view: &[u16],
        (name, comment): (&str, &str),
    ) {
        let cut = self.cut(owner, sections, view);
        self.deliver(name, comment, owner.frame_of(&cut));
        self.check(owner, name);
    }

    /// A tick that is not taken.
    pub(crate) fn miss(&mut self) {
        let replica = &self.replica;
        let (_, missed) = self.base.get_or_insert_with(|| (replica.segments().unwrap().clone(), 0));
        *missed += 1;
    }

    /// All that was missed, with the tick that was committed just now.
    pub(crate) fn leap(&mut self, owner: &Owner, view: &[u16], (name, comment): (&str, &str)) {
        self.miss();
        let (base, span) = self.base.take().expect("ticks were missed");
        let now = ids(view);
        let mut sections = Vec::new();
        for id in self.view.iter().chain(&now).copied().collect::<BTreeSet<SegmentId>>() {
            let had = base.get(id).filter(|_| self.view.contains(&id));
            match owner.segments.get(id).filter(|_| now.contains(&id)) {
                Some(world) if had.is_some_and(|had| had.same_state(world)) => {}
                Some(_) => sections.extend(owner.segments.entered(id).unwrap()),
                None if had.is_some() => sections::put(&mut sections, id, Section::Left),
                None => {}
            }
        }
        self.view = now;
        self.deliver(name, comment, frame::leap(owner.position, span, &sections));
        self.check(owner, name);
    }

    /// It has what is in its view, as the owner has it, and nothing else.
    fn check(&self, owner: &Owner, name: &str) {
        let segments = self.replica.segments().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(self.replica.position(), owner.position, "{name}");
        for (id, world) in segments.iter() {
            assert!(self.view.contains(&id), "{name}: segment {id} is not in the view");
            assert!(world.same_state(owner.segments.get(id).unwrap()), "{name}: segment {id}");
        }
        let seen = self.view.iter().filter_map(|id| owner.segments.get(*id)).map(World::len).sum::<usize>();
        assert_eq!(self.replica.world().len(), seen, "{name}");
    }
}

fn ids(view: &[u16]) -> Vec<SegmentId> {
    view.iter().copied().map(SegmentId).collect()
}
