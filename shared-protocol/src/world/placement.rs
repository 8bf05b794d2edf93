//! Where entities belong: which segment each is in, and how one is carried from one world to another.

use crate::ids::SegmentId;
use crate::limits::SEGMENTS_MAX;
use crate::world::{EntityId, World, WorldFull};

impl World {
    /// The segment that an entity is in; [`SegmentId::EVERYONE`] unless it was put elsewhere.
    pub fn segment(&self, id: EntityId) -> SegmentId {
        self.tables[usize::from(id.kind)].segment(id.index)
    }

    /// Puts an entity into a segment, from this tick on: who gets that segment and not the one it was in sees it
    /// appear, whole, and the others see it go. Nothing happens when the entity is not alive, or the world is kept whole.
    ///
    /// # Panics
    /// When there is no segment of this number: a bug of the game.
    pub fn place(&mut self, id: EntityId, segment: SegmentId) {
        assert!(usize::from(segment.0) < SEGMENTS_MAX, "segments are 0 to {}", SEGMENTS_MAX - 1);
        if self.contains(id) && !self.whole {
            self.tables[usize::from(id.kind)].place(id.index, segment);
        }
    }

    /// Whether everything is in [`SegmentId::EVERYONE`] from now on, wherever it is put.
    pub fn keep_whole(&mut self, whole: bool) {
        if whole && !self.whole {
            let ids = (0..self.tables.len() as u8).flat_map(|kind| self.ids(kind)).collect::<Vec<_>>();
            ids.into_iter().for_each(|id| self.place(id, SegmentId::EVERYONE));
        }
        self.whole = whole;
    }

    /// Says that what is stored of an entity changes with this tick, whether or not its values do.
    pub(crate) fn touch(&mut self, id: EntityId) {
        self.tables[usize::from(id.kind)].touch(id.index);
    }

    /// Whether the next tick is this one again: nothing was changed, and nothing moves by itself.
    pub fn is_at_rest(&self) -> bool {
        self.tables.iter().all(|table| table.dirty().is_empty() && table.moving().is_empty())
    }

    /// Gives an entity the current values that it has in another world of the same schema, where it is alive.
    pub(crate) fn copy_entity(&mut self, from: &World, id: EntityId) -> Result<(), WorldFull> {
        if !self.contains(id) {
            self.spawn_over_limit(id)?;
        }
        self.tables[usize::from(id.kind)].copy_now(id.index, &from.tables[usize::from(id.kind)]);
        Ok(())
    }
}
