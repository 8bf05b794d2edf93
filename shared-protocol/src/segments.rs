//! A match's state in segments, of which not everybody gets each: an entity is in one segment at a time, and a
//! client gets the segments of its view. Each segment is a world of its own, with the entities' own indexes, so
//! that it is coded, hashed and followed like the state of a whole match; together they are the whole.
//!
//! The owner's game changes one [`World`] and says of each entity where it belongs ([`World::place`]);
//! [`Segments::mirror`] carries a tick's changes over, at a cost that follows what changed. A segment in which
//! nothing is alive does not exist: there are no empty ones to be told apart from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diff::Encoder;
use crate::ids::SegmentId;
use crate::record;
use crate::schema::Schema;
use crate::sections::{self, Section};
use crate::snapshot;
use crate::world::{EntityId, World};

/// The segments of a match, or those of them that a client gets.
#[derive(Debug, Clone)]
pub struct Segments {
    schema: Arc<Schema>,
    worlds: BTreeMap<SegmentId, World>,
    /// Where each entity was in the last tick: by kind, then by index.
    homes: Vec<Vec<Option<SegmentId>>>,
    /// Segments that have changed since their hash was told.
    unproven: BTreeSet<SegmentId>,
    /// Ticks so far.
    ticks: u64,
    /// The tick in which each was last not at rest; not known of those that have been so since the beginning.
    active: BTreeMap<SegmentId, u64>,
}

impl Segments {
    /// Of an empty state.
    pub fn new(schema: Arc<Schema>) -> Segments {
        let homes = vec![Vec::new(); schema.kinds().len()];
        Segments {
            schema,
            worlds: BTreeMap::new(),
            homes,
            unproven: BTreeSet::new(),
            ticks: 0,
            active: BTreeMap::new(),
        }
    }

    /// The entities of a segment; `None` where there are none.
    pub fn get(&self, id: SegmentId) -> Option<&World> {
        self.worlds.get(&id)
    }

    /// The segments that have entities, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (SegmentId, &World)> {
        self.worlds.iter().map(|(id, world)| (*id, world))
    }

    /// Whether each segment has the same state in both, and would code the next tick alike.
    pub fn same_state(&self, other: &Segments) -> bool {
        let same = |(ours, theirs): ((&SegmentId, &World), (&SegmentId, &World))| {
            ours.0 == theirs.0 && ours.1.same_state(theirs.1)
        };
        self.worlds.len() == other.worlds.len() && self.worlds.iter().zip(&other.worlds).all(same)
    }

    /// The section of a client that gets this segment from now on; `None` where there are no entities.
    pub fn entered(&self, id: SegmentId) -> Option<Vec<u8>> {
        let world = self.get(id)?;
        let (mut payload, mut out) = (Vec::new(), Vec::new());
        snapshot::encode(world, &mut payload);
        sections::put(&mut out, id, Section::Entered { hash: world.hash(), payload: &payload });
        Some(out)
    }

    /// The committed state of an entity as the store keeps it, with the segment that it is in ([`crate::record`]).
    pub fn record(&self, segment: SegmentId, id: EntityId) -> Option<Vec<u8>> {
        record::encode_in(self.get(segment)?, segment, id)
    }

    /// Every entity whose record changed since the last call, or that left its segment and the whole with it: those that a
    /// segment tells, and those of the `whole`.
    pub fn take_touched(&mut self, whole: &mut World) -> BTreeSet<EntityId> {
        // What an entity did before its last tick is known to its segment only.
        let mut touched: BTreeSet<EntityId> = whole.take_touched().into_iter().collect();
        self.worlds.values_mut().for_each(|world| touched.extend(world.take_touched()));
        touched
    }

    /// Of a match that goes on at another owner: learns from the whole where each entity is.
    pub fn settle_in(&mut self, whole: &World) {
        for (kind, homes) in (0..).zip(&mut self.homes) {
            homes.clear();
            for id in whole.ids(kind) {
                homes.resize(homes.len().max(usize::from(id.index) + 1), None);
                homes[usize::from(id.index)] = Some(whole.segment(id));
            }
        }
    }

    /// Gives the entities of a world, which are those of all segments, the values that they have here.
    pub(crate) fn fill(&self, whole: &mut World) {
        for world in self.worlds.values() {
            for id in (0..self.schema.kinds().len() as u8).flat_map(|kind| world.ids(kind)) {
                // They are there: nothing is born, and the world cannot be full.
                let _ = whole.copy_entity(world, id);
            }
        }
    }

    /// Hash of the whole: what a world with all of these entities has.
    pub fn hash(&self) -> u32 {
        self.worlds.values().fold(0, |sum, world| sum.wrapping_add(world.hash()))
    }

    /// Whether a segment is there and what it was so many ticks ago, to the last bit; those ticks have to be known.
    pub fn has_rested(&self, id: SegmentId, ticks: u64) -> bool {
        let since = self.active.get(&id).copied().unwrap_or_default();
        self.worlds.contains_key(&id) && self.ticks - since >= ticks
    }

    /// There is another tick, in which these segments are not at rest.
    pub(crate) fn handle_tick(&mut self, active: impl IntoIterator<Item = SegmentId>) {
        self.ticks += 1;
        self.active.extend(active.into_iter().map(|id| (id, self.ticks)));
        self.forget_gone();
    }

    fn forget_gone(&mut self) {
        self.active.retain(|id, _| self.worlds.contains_key(id));
        self.unproven.retain(|id| self.worlds.contains_key(id));
    }

    /// Those in which something moves by itself.
    pub(crate) fn moving(&self) -> BTreeSet<SegmentId> {
        self.iter().filter(|(_, world)| !world.is_at_rest()).map(|(id, _)| id).collect()
    }

    /// How many entities they have.
    pub(crate) fn entities(&self) -> usize {
        self.worlds.values().map(World::len).sum()
    }

    pub(crate) fn entities_of(&self, id: SegmentId) -> usize {
        self.get(id).map_or(0, World::len)
    }

    /// Takes over what changed in a world since its last tick, as changes of this tick.
    pub fn mirror(&mut self, whole: &World) {
        for (kind, table) in (0..).zip(&whole.tables) {
            for index in table.dirty() {
                let id = EntityId { kind, index: *index };
                let now = table.is_alive(*index).then(|| table.segment(*index));
                self.move_home(id, now);
                if let Some(segment) = now {
                    // The whole has room for it, so that each of its parts has.
                    let _ = self.world_mut(segment).copy_entity(whole, id);
                }
            }
        }
    }

    fn move_home(&mut self, id: EntityId, now: Option<SegmentId>) {
        let homes = &mut self.homes[usize::from(id.kind)];
        let at = usize::from(id.index);
        homes.resize(homes.len().max(at + 1), None);
        let before = std::mem::replace(&mut homes[at], now);
        if before != now
            && let Some(world) = before.and_then(|segment| self.worlds.get_mut(&segment))
        {
            world.despawn(id);
        }
    }

    pub(crate) fn world_mut(&mut self, id: SegmentId) -> &mut World {
        self.worlds.entry(id).or_insert_with(|| World::new(Arc::clone(&self.schema)))
    }

    pub(crate) fn replace(&mut self, id: SegmentId, world: Option<World>) -> Option<World> {
        match world {
            Some(world) => self.worlds.insert(id, world),
            None => self.worlds.remove(&id),
        }
    }

    /// Forgets a segment that has become empty; returns its hash.
    pub(crate) fn settle(&mut self, id: SegmentId) -> u32 {
        if self.get(id).is_some_and(World::is_empty) {
            self.worlds.remove(&id);
        }
        self.get(id).map_or(0, World::hash)
    }

    /// Makes the changes that were taken over the committed state of the next tick, and appends them: a section for each
    /// segment that does not go on as it is guessed to. With `proven` each segment that has changed since the last such tick
    /// is there, with its hash. What is in segments that are not `open` is a secret: nothing is learned from it, for priors
    /// go to everybody.
    pub fn commit(
        &mut self,
        encoder: &mut Encoder,
        proven: bool,
        open: impl Fn(SegmentId) -> bool,
        out: &mut Vec<u8>,
    ) {
        let mut payload = Vec::new();
        self.ticks += 1;
        for (id, world) in &mut self.worlds {
            let is_at_rest = world.is_at_rest();
            if !is_at_rest {
                self.unproven.insert(*id);
                self.active.insert(*id, self.ticks);
            }
            // One that ends has its hash at once: nothing is told of it later.
            let proves = (proven || world.is_empty()) && self.unproven.remove(id);
            if is_at_rest && !proves {
                continue;
            }
            payload.clear();
            if open(*id) {
                encoder.encode(world, &mut payload);
            } else {
                encoder.encode_secret(world, &mut payload);
            }
            world.advance();
            let hash = proves.then(|| world.hash());
            // Silence says as much as a diff without a byte.
            if proves || !payload.is_empty() {
                sections::put(out, *id, Section::Changed { hash, payload: &payload });
            }
        }
        self.worlds.retain(|_, world| !world.is_empty());
        self.forget_gone();
    }
}

#[cfg(test)]
mod tests;
