//! One entity's committed state, decodable alone with the schema: an entity's field in the match's hash. No
//! entropy coding, nothing of other entities: varints that a person with the schema can read.
//!
//! A byte says of which layout it is: an entity of a segment but [`SegmentId::EVERYONE`] has another, in which that comes
//! first. Then the value of every field; then a mask of the integer fields whose last three values were not all
//! the same; then for each of those its last step and, if it is predicted linearly, the step before.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::SegmentId;
use crate::limits::SEGMENTS_MAX;
use crate::schema::Schema;
use crate::segments::Segments;
use crate::varint::{DecodeError, Reader, put, put_bytes, put_signed};
use crate::world::{Column, EntityId, Past, Table, World};

/// Byte in front.
const LAYOUT: u8 = 2;
/// Byte in front of an entity whose segment is told.
const LAYOUT_IN_SEGMENT: u8 = 3;

/// The entity's committed state. `None` when it is not part of it.
pub fn encode_entity(world: &World, id: EntityId) -> Option<Vec<u8>> {
    encode_in(world, SegmentId::EVERYONE, id)
}

/// The committed state of an entity that is in this segment, whose world this is. `None` when it is not part of it.
pub(crate) fn encode_in(world: &World, segment: SegmentId, id: EntityId) -> Option<Vec<u8>> {
    let table = &world.tables[usize::from(id.kind)];
    table.was_alive(id.index).then(|| {
        let mut out = Vec::new();
        if segment == SegmentId::EVERYONE {
            out.push(LAYOUT);
        } else {
            out.push(LAYOUT_IN_SEGMENT);
            put(&mut out, u64::from(segment.0));
        }
        put_record(table, id.index, &mut out);
        out
    })
}

/// Builds a world from entities' records; the error names the entity that could not be read.
pub fn decode_entities<'a>(
    schema: Arc<Schema>,
    entities: impl IntoIterator<Item = (EntityId, &'a [u8])>,
) -> Result<World, (EntityId, DecodeError)> {
    let mut world = World::new(schema);
    let mut pasts = Pasts::default();
    for (id, bytes) in entities {
        let read = segment_of(bytes).and_then(|(segment, reader)| match segment {
            SegmentId::EVERYONE => read_entity(&mut world, id, reader, &mut pasts),
            _ => Err(DecodeError::State("a segment, in a match that has none")),
        });
        read.map_err(|error| (id, error))?;
    }
    pasts.commit(&mut world);
    Ok(world)
}

/// Builds the segments of a match, and the world that they make together, from entities' records; the error names the
/// entity that could not be read.
pub fn decode_segments<'a>(
    schema: Arc<Schema>,
    entities: impl IntoIterator<Item = (EntityId, &'a [u8])>,
) -> Result<(Segments, World), (EntityId, DecodeError)> {
    let mut segments = Segments::new(Arc::clone(&schema));
    let mut whole = World::new(schema);
    let mut pasts: BTreeMap<SegmentId, Pasts> = BTreeMap::new();
    for (id, bytes) in entities {
        let read = segment_of(bytes).and_then(|(segment, reader)| {
            let world = segments.world_mut(segment);
            read_entity(world, id, reader, pasts.entry(segment).or_default())?;
            whole.spawn_at(id).map_err(|_| FULL)?;
            whole.place(id, segment);
            Ok(())
        });
        read.map_err(|error| (id, error))?;
    }
    for (segment, pasts) in pasts {
        pasts.commit(segments.world_mut(segment));
    }
    segments.fill(&mut whole);
    whole.advance();
    Ok((segments, whole))
}

const FULL: DecodeError = DecodeError::State("more entities than a world takes");

/// Which segment a record's entity is in, and what else it says. Refuses a layout that is not known.
fn segment_of(bytes: &[u8]) -> Result<(SegmentId, Reader<'_>), DecodeError> {
    let mut reader = Reader::new(bytes);
    let segment = match reader.byte()? {
        LAYOUT => 0,
        LAYOUT_IN_SEGMENT => reader.varint()?.checked_sub(1).ok_or(DecodeError::Range("segment"))? + 1,
        _ => return Err(DecodeError::State("an entity of an unknown layout version")),
    };
    if segment >= SEGMENTS_MAX as u64 {
        return Err(DecodeError::Range("segment"));
    }
    Ok((SegmentId(segment as u16), reader))
}

/// Refuses whatever the schema does not allow.
fn read_entity(
    world: &mut World,
    id: EntityId,
    mut reader: Reader<'_>,
    pasts: &mut Pasts,
) -> Result<(), DecodeError> {
    if usize::from(id.kind) >= world.tables.len() {
        return Err(DecodeError::State("an entity of an unknown kind"));
    }
    if world.contains(id) {
        return Err(DecodeError::State("the same entity twice"));
    }
    world.spawn_at(id).map_err(|_| FULL)?;
    read_record(&mut world.tables[usize::from(id.kind)], id, &mut reader, pasts)?;
    reader.finish()
}

fn put_record(table: &Table, index: u16, out: &mut Vec<u8>) {
    let mut moving = 0u64;
    for (field, column) in table.columns().iter().enumerate() {
        match column.int_at() {
            Some(at) => {
                let past = table.past(index, at);
                put_signed(out, i64::from(past.last));
                moving |= u64::from(column.moves(past)) << field;
            }
            None => put_bytes(out, table.committed_text(index, field).as_bytes()),
        }
    }
    put(out, moving);
    for (field, column) in table.columns().iter().enumerate() {
        if let Some(at) = column.int_at()
            && moving >> field & 1 == 1
        {
            let past = table.past(index, at);
            put_signed(out, column.step(past));
            if column.is_linear() {
                put_signed(out, column.step_before(past));
            }
        }
    }
}

fn read_record(
    table: &mut Table,
    id: EntityId,
    reader: &mut Reader<'_>,
    pasts: &mut Pasts,
) -> Result<(), DecodeError> {
    for field in 0..table.columns().len() {
        match table.columns()[field] {
            Column::Text { bytes_max, .. } => {
                let text = reader.text(bytes_max)?;
                table.set_text(id.index, field, text);
            }
            column => table.set(id.index, field, column.in_bounds(0, reader.signed()?)?),
        }
    }
    let moving = reader.varint()?;
    if table.columns().len() < 64 && moving >> table.columns().len() != 0 {
        return Err(DecodeError::Range("mask of moving fields"));
    }
    for (field, column) in table.columns().iter().enumerate() {
        if moving >> field & 1 == 1 {
            let step = reader.signed()?;
            let step_before = if column.is_linear() { reader.signed()? } else { 0 };
            let at = column.int_at().ok_or(DecodeError::Range("mask of moving fields"))?;
            let past = column.past(table.get(id.index, field), step, step_before);
            pasts.note(id, at, past.filter(|past| column.moves(*past)).ok_or(DecodeError::Range("step"))?);
        }
    }
    Ok(())
}

/// What newly built entities did before their last tick.
#[derive(Debug, Default)]
pub(crate) struct Pasts(Vec<(EntityId, usize, Past)>);

impl Pasts {
    /// Notes the past of integer column `at` of an entity.
    pub(crate) fn note(&mut self, id: EntityId, at: usize, past: Past) {
        self.0.push((id, at, past));
    }

    /// Commits the world and gives its entities their pasts.
    pub(crate) fn commit(self, world: &mut World) {
        world.advance();
        for (id, at, past) in self.0 {
            world.tables[usize::from(id.kind)].restore_past(id.index, at, past.prior, past.older);
        }
        world.tables.iter_mut().for_each(Table::find_moving);
    }
}
