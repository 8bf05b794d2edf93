//! The whole state at a tick, with what prediction needs of the two ticks before: for a client that joins or
//! lost its way. Coded with models that adapt, so that it needs no prior to be read.

use std::sync::Arc;

use crate::coder::{
    AdaptiveDecoder, AdaptiveEncoder, AdaptiveModels, Coder, NUMBER_MODELS, Number, write_text,
};
use crate::diff::read_text;
use crate::limits::ENTITIES_MAX;
use crate::range::{RangeDecoder, RangeEncoder};
use crate::record::Pasts;
use crate::schema::Schema;
use crate::varint::DecodeError;
use crate::world::{Column, EntityId, Table, World};

// Models of a kind: how many entities, and how far the next one is.
const COUNT: usize = 0;
const GAP: usize = COUNT + NUMBER_MODELS;
const KIND_MODELS: usize = GAP + NUMBER_MODELS;

/// Models of one number of a field: whether it is 0 (by whether the one before was), its sign, its size.
const VALUE_MODELS: usize = 2 + 1 + NUMBER_MODELS;
/// A field's value, its step, and by how much the step before differed from that.
const FIELD_MODELS: usize = 3 * VALUE_MODELS;

/// Appends the whole committed state.
pub fn encode(world: &World, out: &mut Vec<u8>) {
    let models = AdaptiveModels::new(models_of(world));
    let mut coder = AdaptiveEncoder { range: RangeEncoder::new(out), models };
    let mut base = 0;
    for table in &world.tables {
        coder.number(Number::at(base + COUNT), table.members().len() as u64);
        let mut next = 0;
        for index in table.members().iter().copied() {
            coder.number(Number::at(base + GAP), u64::from(index) - next);
            next = u64::from(index) + 1;
            coder.raw(1, 1);
            write_entity(&mut coder, table, index, base + KIND_MODELS);
        }
        base += KIND_MODELS + FIELD_MODELS * table.columns().len();
    }
    coder.range.finish();
}

/// Builds a world from a whole state.
pub fn decode(schema: Arc<Schema>, bytes: &[u8]) -> Result<World, DecodeError> {
    let mut world = World::new(schema);
    let models = AdaptiveModels::new(models_of(&world));
    let mut coder = AdaptiveDecoder { range: RangeDecoder::new(bytes), models };
    let (mut base, mut pasts, mut buffer) = (0, Pasts::default(), Vec::new());
    for kind in 0..world.tables.len() {
        let count = coder.number(Number::at(base + COUNT), 0);
        let mut next = 0;
        for _ in 0..count {
            let index = next + coder.number(Number::at(base + GAP), 0);
            next = index + 1;
            if index >= ENTITIES_MAX as u64 {
                return Err(DecodeError::Range("entity index"));
            }
            // Behind the end there are only zeros, so that few bytes cannot hold many entities.
            if coder.raw(1, 1) != 1 {
                return Err(DecodeError::State("an entity without its mark"));
            }
            let id = EntityId { kind: kind as u8, index: index as u16 };
            world.spawn_at(id).map_err(|_| DecodeError::State("more entities than a world takes"))?;
            let table = &mut world.tables[kind];
            read_entity(&mut coder, table, id, base + KIND_MODELS, &mut pasts, &mut buffer)?;
        }
        base += KIND_MODELS + FIELD_MODELS * world.tables[kind].columns().len();
    }
    coder.range.finish()?;
    pasts.commit(&mut world);
    Ok(world)
}

fn models_of(world: &World) -> usize {
    world.tables.iter().map(|table| KIND_MODELS + FIELD_MODELS * table.columns().len()).sum()
}

fn write_entity(coder: &mut AdaptiveEncoder<'_>, table: &Table, index: u16, base: usize) {
    for (field, column) in table.columns().iter().enumerate() {
        let Some(at) = column.int_at() else {
            write_text(coder, table.committed_text(index, field));
            continue;
        };
        let past = table.past(index, at);
        let value = i64::from(past.last) - i64::from(table.default_of(at));
        code_motion(
            coder,
            base + FIELD_MODELS * field,
            *column,
            [value, column.step(past), column.step_before(past)],
        );
    }
}

fn read_entity(
    coder: &mut AdaptiveDecoder<'_>,
    table: &mut Table,
    id: EntityId,
    base: usize,
    pasts: &mut Pasts,
    buffer: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    for field in 0..table.columns().len() {
        let column = table.columns()[field];
        let Some(at) = column.int_at() else {
            read_text(coder, table, id.index, field, buffer)?;
            continue;
        };
        let [value, step, step_before] = code_motion(coder, base + FIELD_MODELS * field, column, [0; 3]);
        let value = column.in_bounds(table.default_of(at), value)?;
        table.set(id.index, field, value);
        let past = column.past(value, step, step_before).ok_or(DecodeError::Range("step"))?;
        if column.moves(past) {
            pasts.note(id, at, past);
        }
    }
    Ok(())
}

/// A value as its difference from the default, its step, and for a linear field the step before, as its
/// difference from the step.
fn code_motion(coder: &mut impl Coder, base: usize, column: Column, motion: [i64; 3]) -> [i64; 3] {
    let [value, step, step_before] = motion;
    let value = code_value(coder, base, false, value);
    let step = code_value(coder, base + VALUE_MODELS, value != 0, step);
    if !column.is_linear() {
        return [value, step, 0];
    }
    let bend = code_value(coder, base + 2 * VALUE_MODELS, step != 0, step_before.wrapping_sub(step));
    [value, step, step.wrapping_add(bend)]
}

fn code_value(coder: &mut impl Coder, base: usize, after: bool, value: i64) -> i64 {
    if coder.bit(base + usize::from(after), value != 0) {
        coder.difference(base + 2, Number::at(base + 3), value)
    } else {
        0
    }
}
