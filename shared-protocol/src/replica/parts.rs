//! The segments that a replica gets, and the one world that they make together: what a game shows, in which an
//! entity that goes from one segment to another that is seen as well goes on without a break.

use std::sync::Arc;

use super::Gap;
use crate::diff;
use crate::ids::SegmentId;
use crate::limits::ENTITIES_MAX;
use crate::prior::Prior;
use crate::sections::{Cut, Section, Sections};
use crate::segments::Segments;
use crate::snapshot;
use crate::tick::Tick;
use crate::varint::DecodeError;
use crate::world::{EntityId, World};

/// The ticks that a frame leads from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) have: Tick,
    pub(super) to: Tick,
}

const FULL: DecodeError = DecodeError::State("more entities than a world takes");

/// Takes a frame's sections in; the prior is there where diffs may be among them, and then what is not mentioned goes on
/// as it is guessed to. Whoever gets an error has to start anew, for a part of them may be in.
pub(super) fn apply(
    segments: &mut Segments,
    whole: &mut World,
    ticks: Ticks,
    prior: Option<&Prior>,
    sections: &[u8],
) -> Result<(), Gap> {
    let Ticks { have, to } = ticks;
    let broken = |error| Gap::Broken { have, error };
    let mut changed = Changed::default();
    let mut entities = segments.entities();
    let mut unmentioned = segments.moving();
    let mut active = unmentioned.clone();
    for cut in Sections::new(sections) {
        let Cut { segment, section, .. } = cut.map_err(broken)?;
        entities -= segments.entities_of(segment);
        unmentioned.remove(&segment);
        active.insert(segment);
        let expected = match section {
            Section::Changed { hash, payload } => {
                let diff_here = DecodeError::State("a diff in a frame that has none");
                let prior = prior.ok_or(broken(diff_here))?;
                changed.apply(segments.world_mut(segment), segment, prior, payload).map_err(broken)?;
                hash
            }
            Section::Entered { hash, payload } => {
                let mut world = snapshot::decode(Arc::clone(whole.schema()), payload).map_err(broken)?;
                changed.note(segment, world.take_touched());
                changed.note_all(segment, segments.replace(segment, Some(world)));
                Some(hash)
            }
            Section::Left => {
                changed.note_all(segment, segments.replace(segment, None));
                None
            }
        };
        let actual = segments.settle(segment);
        entities += segments.entities_of(segment);
        // Until the frame is over an entity may be where it was and where it goes to, and nowhere else.
        if entities > 2 * ENTITIES_MAX {
            return Err(broken(FULL));
        }
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(Gap::Desync { tick: to, expected, actual });
        }
    }
    if let Some(prior) = prior {
        for segment in unmentioned {
            changed.apply(segments.world_mut(segment), segment, prior, &[]).map_err(broken)?;
        }
    }
    segments.handle_tick(active);
    changed.merge(segments, whole).map_err(broken)?;
    if entities == whole.len() {
        Ok(())
    } else {
        Err(broken(DecodeError::State("an entity in two segments")))
    }
}

/// The entities of which a frame says something, each with the segment in which it does.
#[derive(Debug, Default)]
struct Changed(Vec<(EntityId, SegmentId)>);

impl Changed {
    fn note(&mut self, segment: SegmentId, ids: impl IntoIterator<Item = EntityId>) {
        self.0.extend(ids.into_iter().map(|id| (id, segment)));
    }

    /// A segment's diff of the next tick.
    fn apply(
        &mut self,
        world: &mut World,
        segment: SegmentId,
        prior: &Prior,
        payload: &[u8],
    ) -> Result<(), DecodeError> {
        diff::apply(world, prior, payload)?;
        self.note(segment, world.take_touched());
        Ok(())
    }

    fn note_all(&mut self, segment: SegmentId, world: Option<World>) {
        if let Some(world) = world {
            let kinds = 0..world.schema().kinds().len() as u8;
            self.note(segment, kinds.flat_map(|kind| world.ids(kind)));
        }
    }

    /// Brings the whole up to date: an entity that one segment lost and another one has goes on.
    fn merge(mut self, segments: &Segments, whole: &mut World) -> Result<(), DecodeError> {
        self.0.sort_unstable();
        for mentions in self.0.chunk_by(|a, b| a.0 == b.0) {
            let id = mentions[0].0;
            let mut worlds =
                mentions.iter().filter_map(|(_, segment)| Some((*segment, segments.get(*segment)?)));
            match worlds.find(|(_, world)| world.contains(id)) {
                Some((segment, world)) => {
                    whole.copy_entity(world, id).map_err(|_| DecodeError::Range("entity index"))?;
                    whole.place(id, segment);
                    // Also where its values are what they were, and only its past is another one.
                    whole.touch(id);
                }
                None => whole.despawn(id),
            }
        }
        if whole.is_over_limit() {
            return Err(FULL);
        }
        whole.advance();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
