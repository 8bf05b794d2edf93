//! What an owner keeps of a match in segments besides its world: the segments as they were committed, and who gets which.

use tickcast_protocol::diff::Encoder;
use tickcast_protocol::sections::{Section, Sections};
use tickcast_protocol::segments::Segments;
use tickcast_protocol::{EntityId, SegmentId, World};

use super::cutting::Cutting;
use crate::game::{Game, Looking, Viewer, Visibility};
use crate::logic::seats::Seats;
use crate::logic::views::{ViewChange, Views};

/// The segments and views of a match.
pub(super) struct Parts {
    segments: Segments,
    views: Views,
    /// What changed with the tick that is being made.
    changes: Vec<ViewChange>,
    visibility: Visibility,
    /// Whether the world is cut at all.
    cutting: Cutting,
}

impl Parts {
    /// Goes on from restored segments, which are those of this world.
    pub(super) fn new(
        mut segments: Segments,
        views: Views,
        world: &World,
        visibility: Visibility,
        hz: u8,
    ) -> Parts {
        segments.settle_in(world);
        let is_cut =
            visibility == Visibility::Secrets || segments.iter().any(|(id, _)| id != SegmentId::EVERYONE);
        Parts { segments, views, changes: Vec::new(), visibility, cutting: Cutting::new(is_cut, hz) }
    }

    /// Decides for the tick that is about to be made whether its world is cut: one with secrets always is.
    pub(super) fn cut(&mut self, world: &mut World) {
        if self.visibility != Visibility::Secrets {
            self.cutting.decide(world.len());
        }
        world.keep_whole(!self.cutting.is_cut());
    }

    /// As they were committed.
    pub(super) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Who gets which.
    pub(super) fn views(&self) -> &Views {
        &self.views
    }

    /// Asks the game what everybody gets from this tick on.
    pub(super) fn decide(&mut self, game: &dyn Game, world: &World, seats: &Seats) {
        let is_here = |viewer| match viewer {
            Viewer::Spectators => true,
            Viewer::Player(player) => seats.contains(player),
        };
        self.views.retain(is_here, &mut self.changes);
        let players = seats.entities().map(|(player, entity)| (Viewer::Player(player), Some(entity)));
        for (viewer, entity) in std::iter::once((Viewer::Spectators, None)).chain(players) {
            let before = self.views.decided(viewer).map_or(&[][..], |view| view);
            let view = match self.cutting.is_cut() {
                true => game.view(Looking { viewer, entity, before, world }),
                false => vec![SegmentId::EVERYONE],
            };
            self.changes.extend(self.views.decide(viewer, view));
        }
    }

    /// Whose views changed with the tick.
    pub(super) fn take_changes(&mut self) -> Vec<ViewChange> {
        std::mem::take(&mut self.changes)
    }

    /// Commits a tick's changes of the world, and appends them as sections.
    pub(super) fn encode(&mut self, world: &World, encoder: &mut Encoder, proven: bool, out: &mut Vec<u8>) {
        let is_open = |segment| self.visibility != Visibility::Secrets || segment == SegmentId::EVERYONE;
        self.segments.mirror(world);
        let begin = out.len();
        self.segments.commit(encoder, proven, is_open, out);
        // What would be one diff, were the world whole: without the heads of its sections.
        let payload = |section| match section {
            Section::Changed { payload, .. } => payload.len(),
            _ => 0,
        };
        self.cutting.note(Sections::new(&out[begin..]).flatten().map(|cut| payload(cut.section)).sum());
    }

    /// The entities whose records changed since this was last asked.
    pub(super) fn take_touched(&mut self, world: &mut World) -> Vec<EntityId> {
        self.segments.take_touched(world).into_iter().collect()
    }

    /// An entity of the world as the store keeps it.
    pub(super) fn record(&self, world: &World, id: EntityId) -> Option<Vec<u8>> {
        world.contains(id).then(|| self.segments.record(world.segment(id), id))?
    }
}
