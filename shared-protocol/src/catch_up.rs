//! From the state of one tick to that of a later one, for a client that fell behind: the values alone. What
//! prediction needs of the ticks before is learned from two catch-ups of one tick each that follow; then the
//! client can read the diffs that everybody reads. Coded with models that adapt, so that it needs no prior.

use crate::coder::{
    AdaptiveDecoder, AdaptiveEncoder, AdaptiveModels, Coder, NUMBER_MODELS, Number, write_text,
};
use crate::diff::{neighbours, read_text};
use crate::limits::ENTITIES_MAX;
use crate::range::{RangeDecoder, RangeEncoder};
use crate::varint::DecodeError;
use crate::world::{Column, EntityId, Table, World};

/// Steps before the last tick that prediction takes; a replica that knows as many reads diffs.
pub const STEPS_KNOWN_MAX: u8 = 2;

// Models of a kind.
const CHANGED: usize = 0;
const GONE: usize = CHANGED + 2 * 4;
const BORN_COUNT: usize = GONE + 1;
const BORN_GAP: usize = BORN_COUNT + NUMBER_MODELS;
const NUMBER: usize = BORN_GAP + NUMBER_MODELS;
const KIND_MODELS: usize = NUMBER + NUMBER_MODELS;

// Models of a field: of an entity that stays, then of one that is born.
const DIFFERS: usize = 0;
const SIGN: usize = DIFFERS + 3;
const BIRTH_DIFFERS: usize = SIGN + 1;
const BIRTH_SIGN: usize = BIRTH_DIFFERS + 1;
const BIRTH_NUMBER: usize = BIRTH_SIGN + 1;
const FIELD_MODELS: usize = BIRTH_NUMBER + NUMBER_MODELS;

/// Over how many ticks a catch-up leads, and how many steps before the first of them are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leap {
    /// Ticks from the one state to the other, at least 1.
    pub span: u32,
    /// Steps that the replica knows, 0 to [`STEPS_KNOWN_MAX`]: both ends have to mean the same.
    pub known: u8,
}

impl Leap {
    /// Steps that the replica knows afterwards.
    pub fn known_after(self) -> u8 {
        if self.span == 1 { (self.known + 1).min(STEPS_KNOWN_MAX) } else { 0 }
    }
}

/// Appends what leads from one committed state to a later one of the same schema.
pub fn encode(from: &World, to: &World, leap: Leap, out: &mut Vec<u8>) {
    let models = AdaptiveModels::new(models_of(from));
    let mut coder = AdaptiveEncoder { range: RangeEncoder::new(out), models };
    let mut base = 0;
    for (from, to) in from.tables.iter().zip(&to.tables) {
        Writing { from, to, leap, base }.write(&mut coder);
        base += KIND_MODELS + FIELD_MODELS * from.columns().len();
    }
    coder.range.finish();
}

/// Leads a world without uncommitted changes to the later state. Bytes that are refused leave it as it was.
pub fn apply(world: &mut World, leap: Leap, bytes: &[u8]) -> Result<(), DecodeError> {
    let applied = read(world, leap, bytes);
    match applied {
        Ok(()) => {
            world.advance();
            if leap.span > 1 {
                world.forget_past();
            }
        }
        Err(_) => world.roll_back(),
    }
    applied
}

fn models_of(world: &World) -> usize {
    world.tables.iter().map(|table| KIND_MODELS + FIELD_MODELS * table.columns().len()).sum()
}

/// One kind in both states.
struct Writing<'a> {
    from: &'a Table,
    to: &'a Table,
    leap: Leap,
    base: usize,
}

impl Writing<'_> {
    fn write(&self, coder: &mut AdaptiveEncoder<'_>) {
        let mut before = 0;
        for index in self.from.members().iter().copied() {
            let gone = !self.to.was_alive(index);
            let changed = gone || self.differing(index).next().is_some();
            coder.bit(changed_model(self.base, self.from.is_moving(index), before), changed);
            before = neighbours(before, changed);
            if changed {
                coder.bit(self.base + GONE, gone);
                if !gone {
                    self.write_entity(coder, index);
                }
            }
        }
        let born = || self.to.members().iter().copied().filter(|index| !self.from.was_alive(*index));
        coder.number(Number::at(self.base + BORN_COUNT), born().count() as u64);
        let mut next = 0;
        for index in born() {
            let gap = u64::from(index) - next;
            coder.number(Number::at(self.base + BORN_GAP), gap);
            next = u64::from(index) + 1;
            coder.raw(1, 1);
            for (field, column) in self.to.columns().iter().enumerate() {
                match column.int_at() {
                    Some(at) => {
                        let default = i64::from(self.to.default_of(at));
                        let value = i64::from(self.to.past(index, at).last);
                        code_birth(coder, field_base(self.base, field), value - default);
                    }
                    None => write_text(coder, self.to.committed_text(index, field)),
                }
            }
        }
    }

    /// The fields whose value is not the guess, with their residual; of a text 1.
    fn differing(&self, index: u16) -> impl Iterator<Item = (usize, i64)> {
        let residual = move |(field, column): (usize, &Column)| {
            let residual = match column.int_at() {
                Some(at) => {
                    let guess =
                        column.predicted_after(self.from.past(index, at), self.leap.span, self.leap.known);
                    column.difference(self.to.past(index, at).last, guess)
                }
                None => {
                    let same = self.from.committed_text(index, field) == self.to.committed_text(index, field);
                    i64::from(!same)
                }
            };
            (field, residual)
        };
        self.from.columns().iter().enumerate().map(residual).filter(|(_, residual)| *residual != 0)
    }

    fn write_entity(&self, coder: &mut AdaptiveEncoder<'_>, index: u16) {
        let mut differing = self.differing(index).peekable();
        let mut flags = 0;
        for (field, column) in self.from.columns().iter().enumerate() {
            let residual = differing.next_if(|(at, _)| *at == field).map_or(0, |(_, residual)| residual);
            let place = Place { kind: self.base, field: field_base(self.base, field) };
            code_field(coder, place, &mut flags, *column, residual);
            if column.int_at().is_none() && residual != 0 {
                write_text(coder, self.to.committed_text(index, field));
            }
        }
    }
}

fn read(world: &mut World, leap: Leap, bytes: &[u8]) -> Result<(), DecodeError> {
    let models = AdaptiveModels::new(models_of(world));
    let mut coder = AdaptiveDecoder { range: RangeDecoder::new(bytes), models };
    let mut base = 0;
    for kind in 0..world.tables.len() {
        Reading { world, kind, leap, base }.read(&mut coder)?;
        base += KIND_MODELS + FIELD_MODELS * world.tables[kind].columns().len();
    }
    coder.range.finish()?;
    if world.is_over_limit() {
        return Err(DecodeError::State("more entities than a world takes"));
    }
    Ok(())
}

struct Reading<'a> {
    world: &'a mut World,
    kind: usize,
    leap: Leap,
    base: usize,
}

impl Reading<'_> {
    fn read(&mut self, coder: &mut AdaptiveDecoder<'_>) -> Result<(), DecodeError> {
        let (mut before, mut buffer) = (0, Vec::new());
        // The members do not change before the tick is committed.
        for position in 0..self.world.tables[self.kind].members().len() {
            let table = &self.world.tables[self.kind];
            let index = table.members()[position];
            let changed = coder.bit(changed_model(self.base, table.is_moving(index), before), false);
            before = neighbours(before, changed);
            if changed && coder.bit(self.base + GONE, false) {
                self.world.despawn(EntityId { kind: self.kind as u8, index });
            } else {
                self.read_entity(coder, index, changed, &mut buffer)?;
            }
        }
        let count = coder.number(Number::at(self.base + BORN_COUNT), 0);
        let mut next = 0;
        for _ in 0..count {
            let gap = coder.number(Number::at(self.base + BORN_GAP), 0);
            let index = next + gap;
            next = index + 1;
            if index >= ENTITIES_MAX as u64 {
                return Err(DecodeError::Range("entity index"));
            }
            self.read_birth(coder, index as u16, &mut buffer)?;
        }
        Ok(())
    }

    /// An entity that stays: where its fields are guessed to be, or by how much beside that.
    fn read_entity(
        &mut self,
        coder: &mut AdaptiveDecoder<'_>,
        index: u16,
        changed: bool,
        buffer: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        let table = &mut self.world.tables[self.kind];
        let mut flags = 0;
        for field in 0..table.columns().len() {
            let column = table.columns()[field];
            let place = Place { kind: self.base, field: field_base(self.base, field) };
            let residual = if changed { code_field(coder, place, &mut flags, column, 0) } else { 0 };
            match column.int_at() {
                Some(at) => {
                    let past = table.past(index, at);
                    let guess = column.predicted_after(past, self.leap.span, self.leap.known);
                    let value = column.displaced(guess, residual).ok_or(DecodeError::Range("residual"))?;
                    table.set(index, field, value);
                }
                None if residual != 0 => read_text(coder, table, index, field, buffer)?,
                None => {}
            }
        }
        Ok(())
    }

    fn read_birth(
        &mut self,
        coder: &mut AdaptiveDecoder<'_>,
        index: u16,
        buffer: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        // Behind the end there are only zeros, so that few bytes cannot bear many entities.
        if coder.raw(1, 1) != 1 {
            return Err(DecodeError::State("a birth without its mark"));
        }
        let id = EntityId { kind: self.kind as u8, index };
        if self.world.tables[self.kind].was_alive(index) || self.world.contains(id) {
            return Err(DecodeError::State("a birth of an entity that exists"));
        }
        self.world.spawn_over_limit(id).map_err(|_| DecodeError::Range("entity index"))?;
        let table = &mut self.world.tables[self.kind];
        for field in 0..table.columns().len() {
            let column = table.columns()[field];
            match column.int_at() {
                Some(at) => {
                    let difference = code_birth(coder, field_base(self.base, field), 0);
                    table.set(index, field, column.in_bounds(table.default_of(at), difference)?);
                }
                None => read_text(coder, table, index, field, buffer)?,
            }
        }
        Ok(())
    }
}

fn changed_model(base: usize, moving: bool, before: usize) -> usize {
    base + CHANGED + usize::from(moving) * 4 + before
}

fn field_base(base: usize, field: usize) -> usize {
    base + KIND_MODELS + FIELD_MODELS * field
}

/// Where the models of a field and of its kind begin.
#[derive(Clone, Copy)]
struct Place {
    kind: usize,
    field: usize,
}

/// A residual, or whether a text changes; by how many of the two fields before did.
fn code_field(coder: &mut impl Coder, place: Place, flags: &mut usize, column: Column, residual: i64) -> i64 {
    let Place { kind, field } = place;
    let before = (*flags & 1) + (*flags >> 1 & 1);
    let differs = coder.bit(field + DIFFERS + before, residual != 0);
    *flags = *flags << 1 | usize::from(differs);
    match (differs, column.int_at()) {
        (false, _) => 0,
        (true, None) => 1,
        // Few values pass in one catch-up, so that all fields of a kind learn their sizes together.
        (true, Some(_)) => coder.difference(field + SIGN, Number::at(kind + NUMBER), residual),
    }
}

fn code_birth(coder: &mut impl Coder, base: usize, difference: i64) -> i64 {
    if coder.bit(base + BIRTH_DIFFERS, difference != 0) {
        coder.difference(base + BIRTH_SIGN, Number::at(base + BIRTH_NUMBER), difference)
    } else {
        0
    }
}
