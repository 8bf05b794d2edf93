//! Recorded game states, tick by tick, for measuring the wire format on games that this project has never seen.
//! A trace is read whole and checked once; after that it is trusted.

pub mod folder;
pub mod play;
mod reading;
pub mod reference;
#[cfg(test)]
pub(crate) mod sample;
pub mod schema;

use std::fs::File;
use std::path::Path;

use serde::Deserialize;
use tickcast_protocol::EntityId;

pub use reading::{Problem, TraceError};

/// How a trace's file name ends.
pub const FILE_ENDING: &str = ".gtr.zst";

/// A recorded match: every entity's fields in every tick.
#[derive(Debug, Clone)]
pub struct Trace {
    name: String,
    hz: f64,
    types: Vec<EntityType>,
    /// For each tick its number, ascending.
    numbers: Vec<u32>,
    /// For each tick, where its rows end; they begin where the tick's before end.
    ends: Vec<usize>,
    rows: Vec<Row>,
    values: Vec<i32>,
}

/// A type of entity of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EntityType {
    /// Its name; any text.
    pub name: String,
    /// Names of its fields, in order; any texts.
    pub fields: Vec<String>,
}

/// An entity in one tick.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: EntityId,
    /// Where its values begin.
    at: u32,
}

impl Trace {
    /// Reads a trace from `NAME.gtr.zst`.
    ///
    /// # Errors
    /// When the file cannot be read, is not a whole trace, or holds what a [`tickcast_protocol::World`] cannot.
    pub fn read(path: impl AsRef<Path>) -> Result<Trace, TraceError> {
        let path = path.as_ref();
        let opened = File::open(path).map_err(Problem::Io);
        let read = opened.and_then(|file| reading::read(name_of(path), file));
        read.map_err(|problem| TraceError { path: path.to_owned(), problem })
    }

    /// The file's name without its ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ticks a second.
    pub fn hz(&self) -> f64 {
        self.hz
    }

    /// The types of entity; an [`EntityId`]'s kind is a position in this list.
    pub fn types(&self) -> &[EntityType] {
        &self.types
    }

    /// Number of ticks, at least 1.
    pub fn tick_count(&self) -> usize {
        self.ends.len()
    }

    /// How many ticks from the first on one may learn from: a fifth. What is measured is measured on the others.
    pub fn training_count(&self) -> usize {
        self.tick_count() / 5
    }

    /// The tick at this position, counted from 0. Where the recording left numbers out, the next one that it has
    /// follows.
    ///
    /// # Panics
    /// When the position is not below [`Trace::tick_count`].
    pub fn tick(&self, position: usize) -> TraceTick<'_> {
        let begin = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        let rows = &self.rows[begin..self.ends[position]];
        TraceTick { trace: self, number: self.numbers[position], rows }
    }

    /// Every tick, in order.
    pub fn ticks(&self) -> impl ExactSizeIterator<Item = TraceTick<'_>> {
        (0..self.tick_count()).map(|position| self.tick(position))
    }
}

/// The file's name without [`FILE_ENDING`], or whatever ending it has.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('.').map_or(name.as_ref(), |(stem, _)| stem).to_owned()
}

/// One tick of a trace.
#[derive(Debug, Clone, Copy)]
pub struct TraceTick<'a> {
    trace: &'a Trace,
    number: u32,
    rows: &'a [Row],
}

/// An entity as it was in one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity<'a> {
    /// Its type's position in [`Trace::types`] and its id.
    pub id: EntityId,
    /// One value for each of its type's fields.
    pub values: &'a [i32],
}

impl<'a> TraceTick<'a> {
    /// Its number in the recording.
    pub fn number(self) -> u32 {
        self.number
    }

    /// The types of entity of the trace.
    pub fn types(self) -> &'a [EntityType] {
        &self.trace.types
    }

    /// Its entities, ascending by id, each once.
    pub fn entities(self) -> impl ExactSizeIterator<Item = Entity<'a>> {
        self.rows.iter().map(move |row| self.entity(row))
    }

    /// The values of an entity if it is there.
    pub fn get(self, id: EntityId) -> Option<&'a [i32]> {
        let found = self.rows.binary_search_by_key(&id, |row| row.id).ok()?;
        Some(self.entity(&self.rows[found]).values)
    }

    fn entity(self, row: &Row) -> Entity<'a> {
        let (at, fields) = (row.at as usize, self.trace.types[usize::from(row.id.kind)].fields.len());
        Entity { id: row.id, values: &self.trace.values[at..at + fields] }
    }
}
