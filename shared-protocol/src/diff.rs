//! The state codec, plain version: changed-field masks and varints of what differs from the prediction.
//!
//! The law: after `apply(a, encode(b))`, `a` is in `b`'s state, where `b` is `a` with changes. Decoding any
//! bytes never panics and never takes more than the world's limits; a world that refused bytes is broken
//! (it may hold half of them) and has to be loaded again. `docs/wire.md` describes every byte.

use std::sync::Arc;

use crate::schema::Schema;
use crate::varint::{DecodeError, Reader, put, put_bytes, put_signed};
use crate::world::{Column, EntityId, Table, World};

mod record;
pub use record::{decode_entities, encode_entity};

/// Appends the world's uncommitted changes as one diff. The world is left as it is: advance it afterwards.
pub fn encode(world: &World, out: &mut Vec<u8>) {
    for table in &world.tables {
        encode_table(table, out);
    }
}

/// Applies a diff to a world without uncommitted changes and advances it by one tick.
pub fn apply(world: &mut World, bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    for kind in 0..world.tables.len() {
        world.tables[kind].predict_moving();
        apply_changes(&mut world.tables[kind], &mut reader)?;
        apply_despawns(world, kind as u8, &mut reader)?;
        apply_spawns(world, kind as u8, &mut reader)?;
    }
    reader.finish()?;
    if world.is_over_limit() {
        return Err(DecodeError::State("more entities than a world takes"));
    }
    world.advance();
    Ok(())
}

/// Appends the whole committed state.
pub fn encode_snapshot(world: &World, out: &mut Vec<u8>) {
    for table in &world.tables {
        let indexes: Vec<u16> = table.committed_indexes().collect();
        let mut gaps = GapWriter::begin(out, indexes.len());
        for index in indexes {
            gaps.put(out, index);
            record::put_record(table, index, out);
        }
    }
}

/// Builds a world from a whole state.
pub fn decode_snapshot(schema: Arc<Schema>, bytes: &[u8]) -> Result<World, DecodeError> {
    let mut world = World::new(schema);
    let mut reader = Reader::new(bytes);
    let mut steps = Vec::new();
    for kind in 0..world.tables.len() as u8 {
        let mut gaps = GapReader::begin(&mut reader)?;
        while let Some(index) = gaps.next(&mut reader)? {
            record::read_record(&mut world, EntityId { kind, index }, &mut reader, &mut steps)?;
        }
    }
    reader.finish()?;
    record::commit_records(&mut world, &steps).map_err(|(_, error)| error)?;
    Ok(world)
}

fn encode_table(table: &Table, out: &mut Vec<u8>) {
    let (mut changed, mut gone, mut born) = (Vec::new(), Vec::new(), Vec::new());
    for index in table.visits() {
        match (table.was_alive(index), table.is_alive(index)) {
            (true, true) => match changed_mask(table, index) {
                0 => {}
                mask => changed.push((index, mask)),
            },
            (true, false) => gone.push(index),
            (false, true) => born.push(index),
            (false, false) => {}
        }
    }
    let mut gaps = GapWriter::begin(out, changed.len());
    for (index, mask) in changed {
        gaps.put(out, index);
        put(out, mask);
        for field in set_bits(mask) {
            put_change(table, index, field, out);
        }
    }
    let mut gaps = GapWriter::begin(out, gone.len());
    for index in gone {
        gaps.put(out, index);
    }
    let mut gaps = GapWriter::begin(out, born.len());
    for index in born {
        gaps.put(out, index);
        for field in 0..table.columns().len() {
            put_birth(table, index, field, out);
        }
    }
}

fn changed_mask(table: &Table, index: u16) -> u64 {
    let differs = |field: usize| match table.columns()[field] {
        Column::Text { .. } => table.text_changed(index, field),
        _ => table.residual(index, field) != 0,
    };
    (0..table.columns().len()).filter(|field| differs(*field)).fold(0, |mask, field| mask | 1 << field)
}

fn set_bits(mask: u64) -> impl Iterator<Item = usize> {
    (0..u64::BITS as usize).filter(move |bit| mask >> bit & 1 == 1)
}

fn put_change(table: &Table, index: u16, field: usize, out: &mut Vec<u8>) {
    match table.columns()[field] {
        Column::Text { .. } => put_bytes(out, table.text(index, field).as_bytes()),
        _ => put_signed(out, table.residual(index, field)),
    }
}

fn put_birth(table: &Table, index: u16, field: usize, out: &mut Vec<u8>) {
    match table.columns()[field] {
        Column::Text { .. } => put_bytes(out, table.text(index, field).as_bytes()),
        _ => put_signed(out, i64::from(table.get(index, field))),
    }
}

fn apply_changes(table: &mut Table, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let fields = table.columns().len();
    let mut gaps = GapReader::begin(reader)?;
    while let Some(index) = gaps.next(reader)? {
        if !table.was_alive(index) {
            return Err(DecodeError::State("a change of an entity that does not exist"));
        }
        let mask = reader.varint()?;
        if mask == 0 || (fields < 64 && mask >> fields != 0) {
            return Err(DecodeError::Range("changed-field mask"));
        }
        for field in set_bits(mask) {
            let residual_of = table.columns()[field];
            match residual_of {
                Column::Text { bytes_max, .. } => {
                    let text = reader.text(bytes_max)?;
                    table.set_text(index, field, text);
                }
                Column::Int { min, max, .. } => {
                    let guess = i64::from(table.predicted(index, field));
                    let value = guess.checked_add(reader.signed()?).ok_or(DecodeError::Range("residual"))?;
                    table.set(index, field, in_range(value, min, max)?);
                }
                Column::Angle { bits, .. } => {
                    let residual = reader.signed()?;
                    let half = 1i64 << (bits - 1);
                    if !(-half..half).contains(&residual) {
                        return Err(DecodeError::Range("angle residual"));
                    }
                    let guess = table.predicted(index, field);
                    table.set(index, field, guess + residual as i32);
                }
            }
        }
    }
    Ok(())
}

fn apply_despawns(world: &mut World, kind: u8, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut gaps = GapReader::begin(reader)?;
    while let Some(index) = gaps.next(reader)? {
        let id = EntityId { kind, index };
        if !world.contains(id) {
            return Err(DecodeError::State("a despawn of an entity that does not exist"));
        }
        world.despawn(id);
    }
    Ok(())
}

fn apply_spawns(world: &mut World, kind: u8, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut gaps = GapReader::begin(reader)?;
    while let Some(index) = gaps.next(reader)? {
        let id = EntityId { kind, index };
        if world.tables[usize::from(kind)].was_alive(index) {
            return Err(DecodeError::State("a spawn of an entity that exists"));
        }
        if !world.contains(id) {
            world.spawn_over_limit(id).map_err(|_| DecodeError::Range("entity index"))?;
        }
        for field in 0..world.tables[usize::from(kind)].columns().len() {
            record::read_value(world, id, field, reader)?;
        }
    }
    Ok(())
}

fn in_range(value: i64, min: i32, max: i32) -> Result<i32, DecodeError> {
    match i32::try_from(value) {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(DecodeError::Range("field value")),
    }
}

/// Ascending indexes as a count and the gaps between them.
struct GapWriter {
    next: u16,
}

impl GapWriter {
    fn begin(out: &mut Vec<u8>, count: usize) -> Self {
        put(out, count as u64);
        GapWriter { next: 0 }
    }

    fn put(&mut self, out: &mut Vec<u8>, index: u16) {
        put(out, u64::from(index - self.next));
        self.next = index.saturating_add(1);
    }
}

struct GapReader {
    left: usize,
    next: usize,
}

impl GapReader {
    fn begin(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let left = reader.bounded(crate::limits::ENTITIES_MAX, "entity count")?;
        Ok(GapReader { left, next: 0 })
    }

    fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<u16>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let gap = reader.bounded(crate::limits::ENTITIES_MAX, "entity index")?;
        let index = self.next + gap;
        if index >= crate::limits::ENTITIES_MAX {
            return Err(DecodeError::Range("entity index"));
        }
        self.next = index + 1;
        Ok(Some(index as u16))
    }
}

#[cfg(test)]
mod tests;
