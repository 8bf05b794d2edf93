//! One entity's committed state, decodable alone with the schema: an entity's Redis field, and the unit of
//! a snapshot. First the value of every field, then the step of every linearly predicted one.

use std::sync::Arc;

use crate::schema::{Predictor, Schema};
use crate::varint::{DecodeError, Reader, put_bytes, put_signed};
use crate::world::{Column, EntityId, Table, World};

/// Version byte in front of an entity's Redis field.
const LAYOUT_VERSION: u8 = 1;

/// The entity's committed state as bytes of a Redis field: a version byte, then the record.
/// `None` when it is not part of the committed state.
pub fn encode_entity(world: &World, id: EntityId) -> Option<Vec<u8>> {
    let table = &world.tables[usize::from(id.kind)];
    table.was_alive(id.index).then(|| {
        let mut out = vec![LAYOUT_VERSION];
        put_record(table, id.index, &mut out);
        out
    })
}

/// Builds a world from entities' Redis fields; the error names the entity that could not be read.
pub fn decode_entities<'a>(
    schema: Arc<Schema>,
    entities: impl IntoIterator<Item = (EntityId, &'a [u8])>,
) -> Result<World, (EntityId, DecodeError)> {
    let mut world = World::new(schema);
    let mut steps = Vec::new();
    for (id, bytes) in entities {
        read_entity(&mut world, id, bytes, &mut steps).map_err(|error| (id, error))?;
    }
    commit_records(&mut world, &steps)?;
    Ok(world)
}

fn read_entity(
    world: &mut World,
    id: EntityId,
    bytes: &[u8],
    steps: &mut Vec<Step>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != LAYOUT_VERSION {
        return Err(DecodeError::State("an entity of an unknown layout version"));
    }
    if usize::from(id.kind) >= world.tables.len() {
        return Err(DecodeError::State("an entity of an unknown kind"));
    }
    read_record(world, id, &mut reader, steps)?;
    reader.finish()
}

/// An entity, a linear field of it, and its step in the committed tick.
pub(super) type Step = (EntityId, usize, i64);

pub(super) fn put_record(table: &Table, index: u16, out: &mut Vec<u8>) {
    for (field, column) in table.columns().iter().enumerate() {
        match column {
            Column::Text { .. } => put_bytes(out, table.committed_text(index, field).as_bytes()),
            _ => put_signed(out, i64::from(table.committed(index, field).0)),
        }
    }
    for (field, column) in table.columns().iter().enumerate() {
        if let Column::Int { linear: true, .. } | Column::Angle { linear: true, .. } = column {
            put_signed(out, table.committed(index, field).1);
        }
    }
}

pub(super) fn read_record(
    world: &mut World,
    id: EntityId,
    reader: &mut Reader<'_>,
    steps: &mut Vec<Step>,
) -> Result<(), DecodeError> {
    if world.contains(id) {
        return Err(DecodeError::State("the same entity twice"));
    }
    world.spawn_at(id).map_err(|_| DecodeError::State("more entities than a world takes"))?;
    let fields = world.kind(id.kind).fields.len();
    for field in 0..fields {
        read_value(world, id, field, reader)?;
    }
    for field in 0..fields {
        if world.kind(id.kind).fields[field].predictor == Predictor::Linear {
            let step = reader.signed()?;
            if step.unsigned_abs() > u64::from(u32::MAX) {
                return Err(DecodeError::Range("step"));
            }
            if step != 0 {
                steps.push((id, field, step));
            }
        }
    }
    Ok(())
}

pub(super) fn read_value(
    world: &mut World,
    id: EntityId,
    field: usize,
    reader: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    match world.tables[usize::from(id.kind)].columns()[field] {
        Column::Text { bytes_max, .. } => {
            let text = reader.text(bytes_max)?;
            world.set_text(id, field, text);
        }
        Column::Int { min, max, .. } => {
            let value = super::in_range(reader.signed()?, min, max)?;
            world.set(id, field, value);
        }
        Column::Angle { bits, .. } => {
            let value = super::in_range(reader.signed()?, 0, (1 << bits) - 1)?;
            world.set(id, field, value);
        }
    }
    Ok(())
}

/// Makes records that were read the committed state, with their steps.
pub(super) fn commit_records(world: &mut World, steps: &[Step]) -> Result<(), (EntityId, DecodeError)> {
    world.advance();
    for (id, field, step) in steps.iter().copied() {
        if !world.tables[usize::from(id.kind)].restore_step(id.index, field, step) {
            return Err((id, DecodeError::Range("step")));
        }
    }
    Ok(())
}
