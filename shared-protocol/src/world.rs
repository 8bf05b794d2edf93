//! A match's state: entities of the schema's kinds, as columns of integers and texts.
//!
//! A world always stands between two ticks of committed state and the changes made since: the game (or a
//! decoder) changes *current* values, [`World::advance`] makes them the committed state of the next tick.
//! Kept are the values of the last three ticks, which is all that prediction and its models need. Costs
//! follow what changed: an entity that neither changes nor moves is not visited.

mod column;
mod comparison;
mod placement;
mod rows;
mod table;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::limits::{ENTITIES_MAX, SNAPSHOT_PAYLOAD_BYTES_MAX};
use crate::schema::{Kind, Schema};
pub(crate) use column::{Column, Past};
pub use comparison::Difference;
pub(crate) use table::Table;

/// One entity: its kind's number in the schema and its index within the kind. The index of a despawned
/// entity is used again, from the next tick on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    /// Number of the kind in the schema.
    pub kind: u8,
    /// Index within the kind.
    pub index: u16,
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.index)
    }
}

/// The world takes no further entity: the count or the snapshot's size would pass its limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the world is full")]
pub struct WorldFull;

/// Bytes of a snapshot besides its records: a count for each kind.
const COUNTS_BYTES_MAX: usize = 1024;

/// The state of one match.
#[derive(Debug, Clone)]
pub struct World {
    schema: Arc<Schema>,
    pub(crate) tables: Vec<Table>,
    entities: usize,
    record_bytes: usize,
    hash: u32,
    /// Entities are not put into segments.
    whole: bool,
}

impl World {
    /// An empty world.
    pub fn new(schema: Arc<Schema>) -> World {
        let tables =
            schema.kinds().iter().enumerate().map(|(index, kind)| Table::new(index as u8, kind)).collect();
        World { schema, tables, entities: 0, record_bytes: 0, hash: 0, whole: false }
    }

    /// What the state is made of.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Hash of the committed state: of the last tick's values, not of changes since.
    pub fn hash(&self) -> u32 {
        self.hash
    }

    /// Entities that are alive now, all kinds together.
    pub fn len(&self) -> usize {
        self.entities
    }

    /// Whether no entity is alive.
    pub fn is_empty(&self) -> bool {
        self.entities == 0
    }

    /// Entities of a kind that are alive now.
    pub fn count(&self, kind: u8) -> usize {
        self.tables[usize::from(kind)].alive()
    }

    /// Creates an entity with the kind's default values (0 or the nearest bound, empty text), at the lowest
    /// free index. An index freed in this tick is not free yet.
    pub fn spawn(&mut self, kind: u8) -> Result<EntityId, WorldFull> {
        let index = self.tables[usize::from(kind)].free_index().ok_or(WorldFull)?;
        let id = EntityId { kind, index };
        self.spawn_at(id)?;
        Ok(id)
    }

    /// Creates an entity at this index; an entity that is alive stays as it is.
    pub fn spawn_at(&mut self, id: EntityId) -> Result<(), WorldFull> {
        if self.contains(id) {
            return Ok(());
        }
        let bytes = self.kind(id.kind).record_bytes_max();
        if !Self::fits(self.entities + 1, self.record_bytes + bytes) {
            return Err(WorldFull);
        }
        self.spawn_over_limit(id)
    }

    /// Creates an entity that is not alive, even if the world is full: a diff spawns in one kind before it
    /// despawns in the next. Whoever calls this checks [`World::is_over_limit`] before the tick is over.
    pub(crate) fn spawn_over_limit(&mut self, id: EntityId) -> Result<(), WorldFull> {
        if usize::from(id.index) >= ENTITIES_MAX {
            return Err(WorldFull);
        }
        self.tables[usize::from(id.kind)].spawn(id.index);
        self.entities += 1;
        self.record_bytes += self.kind(id.kind).record_bytes_max();
        Ok(())
    }

    /// Whether the world holds more than it may.
    pub(crate) fn is_over_limit(&self) -> bool {
        !Self::fits(self.entities, self.record_bytes)
    }

    fn fits(entities: usize, record_bytes: usize) -> bool {
        entities <= ENTITIES_MAX && record_bytes <= SNAPSHOT_PAYLOAD_BYTES_MAX - COUNTS_BYTES_MAX
    }

    /// Removes an entity; nothing happens when it is not alive.
    pub fn despawn(&mut self, id: EntityId) {
        if self.contains(id) {
            self.tables[usize::from(id.kind)].despawn(id.index);
            self.entities -= 1;
            self.record_bytes -= self.kind(id.kind).record_bytes_max();
        }
    }

    /// Whether the entity is alive now.
    #[inline]
    pub fn contains(&self, id: EntityId) -> bool {
        self.tables.get(usize::from(id.kind)).is_some_and(|table| table.is_alive(id.index))
    }

    /// The entities of a kind that are alive now, by ascending index.
    pub fn ids(&self, kind: u8) -> impl Iterator<Item = EntityId> + '_ {
        self.tables[usize::from(kind)].alive_indexes().map(move |index| EntityId { kind, index })
    }

    /// The entities of a kind that are alive now, by ascending index, each with the current values of its integer and
    /// angle fields: in the order of the fields, texts left out.
    pub fn rows(&self, kind: u8) -> impl Iterator<Item = (EntityId, &[i32])> + '_ {
        let rows = self.tables[usize::from(kind)].alive_rows();
        rows.map(move |(index, values)| (EntityId { kind, index }, values))
    }

    /// Current value of an integer or angle field, by the field's position in its kind.
    ///
    /// # Panics
    /// When the entity's kind has no such field or it is a text, or the index was never used: a bug of the game.
    #[inline]
    pub fn get(&self, id: EntityId, field: usize) -> i32 {
        self.tables[usize::from(id.kind)].get(id.index, field)
    }

    /// Sets an integer field to the value nearest to `value` within its bounds; an angle wraps around.
    /// Nothing happens when the entity is not alive.
    ///
    /// # Panics
    /// When the entity's kind has no such field or it is a text: a bug of the game.
    #[inline]
    pub fn set(&mut self, id: EntityId, field: usize, value: i32) {
        if self.contains(id) {
            self.tables[usize::from(id.kind)].set(id.index, field, value);
        }
    }

    /// Adds to an integer field, saturating at its bounds; an angle wraps around.
    #[inline]
    pub fn add(&mut self, id: EntityId, field: usize, amount: i32) {
        if self.contains(id) {
            self.set(id, field, self.get(id, field).saturating_add(amount));
        }
    }

    /// Current value of a text field.
    ///
    /// # Panics
    /// When the entity's kind has no such field or it is not a text: a bug of the game.
    pub fn text(&self, id: EntityId, field: usize) -> &str {
        self.tables[usize::from(id.kind)].text(id.index, field)
    }

    /// Sets a text field, cut to its length at a character boundary.
    ///
    /// # Panics
    /// When the entity's kind has no such field or it is not a text: a bug of the game.
    pub fn set_text(&mut self, id: EntityId, field: usize, text: &str) {
        if self.contains(id) {
            self.tables[usize::from(id.kind)].set_text(id.index, field, text);
        }
    }

    /// Looks at what moves, which the next tick will need: of all of it at once it takes the memory hardly longer than of
    /// one entity.
    pub fn warm(&self) {
        self.tables.iter().for_each(Table::warm_moving);
    }

    /// Makes the current values the committed state of the next tick.
    pub fn advance(&mut self) {
        for table in &mut self.tables {
            self.hash = self.hash.wrapping_add(table.advance());
        }
    }

    /// Takes every change since the last tick back.
    pub fn roll_back(&mut self) {
        self.tables.iter_mut().for_each(Table::roll_back);
        self.entities = self.tables.iter().map(Table::alive).sum();
        self.record_bytes = self
            .tables
            .iter()
            .zip(self.schema.kinds())
            .map(|(t, kind)| t.alive() * kind.record_bytes_max())
            .sum();
    }

    /// Forgets the values of all ticks but the last, as if nothing had moved: what a catch-up leaves.
    pub fn forget_past(&mut self) {
        self.tables.iter_mut().for_each(Table::forget_past);
    }

    /// Every entity whose committed state changed (or that was removed) since the last call, ascending.
    pub fn take_touched(&mut self) -> Vec<EntityId> {
        let mut touched = Vec::new();
        for (kind, table) in (0..).zip(&mut self.tables) {
            table.take_touched(|index| touched.push(EntityId { kind, index }));
        }
        touched
    }

    /// The hash of the committed state computed from nothing: what [`World::hash`] must be.
    pub fn recomputed_hash(&self) -> u32 {
        self.tables.iter().fold(0, |sum, table| sum.wrapping_add(table.recomputed_hash()))
    }

    /// Whether two worlds hold the same committed state and would code the next tick alike.
    pub fn same_state(&self, other: &World) -> bool {
        self.schema == other.schema && comparison::first_difference(self, other, true).is_none()
    }

    /// The first entity, by kind and index, whose committed values differ between two worlds of one schema,
    /// and the first such field of it.
    pub fn first_difference(&self, other: &World) -> Option<Difference> {
        comparison::first_difference(self, other, false)
    }

    pub(crate) fn kind(&self, kind: u8) -> &Kind {
        &self.schema.kinds()[usize::from(kind)]
    }
}

#[cfg(test)]
mod tests;
