//! The diff of a tick: what differs from the prediction, in one range-coded stream with a match's prior.
//!
//! The law: after `apply(a, prior, encode(b))`, `a` is in `b`'s state, where `b` is `a` with changes. Bytes
//! that are refused leave the world as it was. For each kind: a flag for every entity that moves (for every
//! entity, in a small kind), then those that lay still and are mentioned, then births. `docs/wire.md`
//! describes every bit.

use std::sync::Arc;

use crate::coder::{self, Coder, FixedDecoder, FixedEncoder, Number, write_text};
use crate::learn::Learner;
use crate::limits::ENTITIES_MAX;
use crate::models::{KindModels, SMALL_KIND};
use crate::prior::Prior;
use crate::range::{RangeDecoder, RangeEncoder};
use crate::tally::TallyEncoder;
use crate::varint::DecodeError;
use crate::world::{Column, EntityId, Table, World};

pub(crate) mod fields;
use fields::{Motions, code_birth, code_fields};

/// Codes the diffs of a match, and learns from them what the next prior should be.
#[derive(Debug, Clone)]
pub struct Encoder {
    prior: Arc<Prior>,
    learner: Learner,
    writer: Writer,
    sent: usize,
}

/// What writing a diff needs besides, kept for its memory.
#[derive(Debug, Clone, Default)]
struct Writer {
    motions: Motions,
    woken: Vec<u16>,
    born: Vec<u16>,
}

impl Encoder {
    /// Begins with a prior: [`Prior::first`], or the one that the match's last owner published.
    pub fn new(prior: Arc<Prior>) -> Encoder {
        let learner = Learner::new(&prior);
        Encoder { prior, learner, writer: Writer::default(), sent: 0 }
    }

    /// Looks at what the next diff will need, so that the memory answers for all of it at once.
    pub fn warm(&self) {
        self.learner.tally.warm();
    }

    /// What the next diff is coded with.
    pub fn prior(&self) -> &Arc<Prior> {
        &self.prior
    }

    /// Entities that the last diff mentions.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Appends the world's uncommitted changes as one diff. The world is left as it is: advance it afterwards.
    pub fn encode(&mut self, world: &World, out: &mut Vec<u8>) {
        let (range, levels) = (RangeEncoder::new(out), self.prior.levels());
        let mut coder = TallyEncoder { range, levels, tally: &mut self.learner.tally };
        self.sent = self.writer.write(world, &self.prior, &mut coder);
        coder.range.finish();
    }

    /// As [`Encoder::encode`], and no later prior tells anything of it.
    pub fn encode_secret(&mut self, world: &World, out: &mut Vec<u8>) {
        let mut coder = FixedEncoder { range: RangeEncoder::new(out), levels: self.prior.levels() };
        self.sent = self.writer.write(world, &self.prior, &mut coder);
        coder.range.finish();
    }

    /// Ticks until [`Encoder::poll_prior`] may find that a new prior pays.
    pub fn ticks_to_prior(&self) -> u64 {
        self.learner.ticks_to_look()
    }

    /// Says that a tick was coded. Where it pays, there is a new prior from now on, which has to be published
    /// before the next diff.
    pub fn poll_prior(&mut self) -> Option<Arc<Prior>> {
        let next = Arc::new(self.learner.poll(&self.prior)?);
        self.prior = Arc::clone(&next);
        Some(next)
    }

    /// A new prior whether it pays or not, made from all that was coded so far: to measure what it would save.
    pub fn force_prior(&mut self) -> Arc<Prior> {
        self.prior = Arc::new(self.learner.force(&self.prior));
        Arc::clone(&self.prior)
    }
}

impl Writer {
    /// Writes the world's uncommitted changes; how many entities are mentioned.
    fn write(&mut self, world: &World, prior: &Prior, coder: &mut impl Coder) -> usize {
        // Nothing but zeros would be coded, of which nothing stays.
        if world.is_at_rest() {
            return 0;
        }
        let mut sent = 0;
        for (table, models) in world.tables.iter().zip(&prior.models.kinds) {
            let mut side = Writing { table, models, motions: &mut self.motions, sent: 0 };
            side.code_active(coder);
            side.code_woken(coder, &mut self.woken);
            side.code_born(coder, &mut self.born);
            sent += side.sent + self.born.len();
        }
        sent
    }
}

/// Applies a diff to a world without uncommitted changes and advances it by one tick.
pub fn apply(world: &mut World, prior: &Prior, bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.is_empty() && world.is_at_rest() {
        return Ok(());
    }
    let applied = read(world, prior, bytes);
    match applied {
        Ok(()) => world.advance(),
        Err(_) => world.roll_back(),
    }
    applied
}

fn read(world: &mut World, prior: &Prior, bytes: &[u8]) -> Result<(), DecodeError> {
    let mut coder = FixedDecoder { range: RangeDecoder::new(bytes), levels: prior.levels() };
    let mut motions = Motions::default();
    for (kind, models) in (0..).zip(&prior.models.kinds) {
        let mut side = Reading { world, kind, models, motions: &mut motions };
        side.read_active(&mut coder)?;
        side.read_woken(&mut coder)?;
        side.read_born(&mut coder)?;
    }
    coder.range.finish()?;
    if world.is_over_limit() {
        return Err(DecodeError::State("more entities than a world takes"));
    }
    Ok(())
}

/// Whether every entity of a kind gets a flag, and not only those that move.
fn is_small(table: &Table) -> bool {
    table.members().len() <= SMALL_KIND
}

/// Entities that get a flag each, ascending.
fn active(table: &Table) -> &[u16] {
    if is_small(table) { table.members() } else { table.moving() }
}

/// Which of the last two entities changed, as the next one's context.
pub(crate) fn neighbours(before: usize, changed: bool) -> usize {
    (before << 1 | usize::from(changed)) & 3
}

/// One kind of the world whose changes are written.
struct Writing<'a> {
    table: &'a Table,
    models: &'a KindModels,
    motions: &'a mut Motions,
    sent: usize,
}

impl Writing<'_> {
    fn code_active(&mut self, coder: &mut impl Coder) {
        let mut before = 0;
        for index in active(self.table) {
            let lately = self.motions.find(self.table, *index);
            let gone = !self.table.is_alive(*index);
            let changed = gone || self.motions.find_residuals(self.table, *index);
            coder.bit(self.models.changed(lately, before), changed);
            before = neighbours(before, changed);
            if changed {
                self.code_entity(coder, *index, gone, false);
            }
        }
    }

    fn code_woken(&mut self, coder: &mut impl Coder, woken: &mut Vec<u16>) {
        if is_small(self.table) {
            return;
        }
        woken.clear();
        for index in self.table.dirty() {
            if self.table.was_alive(*index) && !self.table.is_moving(*index) {
                self.motions.find(self.table, *index);
                if !self.table.is_alive(*index) || self.motions.find_residuals(self.table, *index) {
                    woken.push(*index);
                }
            }
        }
        woken.sort_unstable();
        code_number(coder, self.models.woken_count(), woken.len());
        let mut next = 0;
        for index in woken.iter().copied() {
            code_number(coder, self.models.woken_gap(), usize::from(index) - next);
            next = usize::from(index) + 1;
            let gone = !self.table.is_alive(index);
            self.motions.find(self.table, index);
            if !gone {
                self.motions.find_residuals(self.table, index);
            }
            self.code_entity(coder, index, gone, true);
        }
    }

    /// An entity of which it is known that it changes.
    fn code_entity(&mut self, coder: &mut impl Coder, index: u16, gone: bool, woken: bool) {
        self.sent += 1;
        coder.bit(self.models.gone(woken), gone);
        if !gone {
            code_fields(coder, self.models, self.table.columns(), self.motions);
            let columns = self.table.columns();
            for field in self.motions.changed_texts(columns) {
                write_text(coder, self.table.text(index, field));
            }
        }
    }

    fn code_born(&mut self, coder: &mut impl Coder, born: &mut Vec<u16>) {
        born.clear();
        let dirty = self.table.dirty().iter().copied();
        born.extend(dirty.filter(|index| self.table.is_alive(*index) && !self.table.was_alive(*index)));
        born.sort_unstable();
        code_number(coder, self.models.born_count(), born.len());
        let mut next = 0;
        for index in born.iter().copied() {
            code_number(coder, self.models.born_gap(), usize::from(index) - next);
            next = usize::from(index) + 1;
            coder.raw(1, 1);
            for (field, column) in self.table.columns().iter().enumerate() {
                match column.int_at() {
                    Some(at) => {
                        let value = i64::from(self.table.cells(index)[at]);
                        let default = i64::from(self.table.default_of(at));
                        code_birth(coder, self.models.fields[field], value - default);
                    }
                    None => write_text(coder, self.table.text(index, field)),
                }
            }
        }
    }
}

/// One kind of the world into which changes are read.
struct Reading<'a> {
    world: &'a mut World,
    kind: u8,
    models: &'a KindModels,
    motions: &'a mut Motions,
}

impl Reading<'_> {
    fn table(&mut self) -> &mut Table {
        &mut self.world.tables[usize::from(self.kind)]
    }

    fn read_active(&mut self, coder: &mut FixedDecoder<'_>) -> Result<(), DecodeError> {
        let mut before = 0;
        // Neither list changes before the tick is committed.
        for position in 0..active(self.table()).len() {
            let index = active(self.table())[position];
            let lately = self.motions.find(&self.world.tables[usize::from(self.kind)], index);
            let changed = coder.bit(self.models.changed(lately, before), false);
            before = neighbours(before, changed);
            if changed {
                self.read_entity(coder, index, false)?;
            } else if lately.moving {
                let table = &mut self.world.tables[usize::from(self.kind)];
                self.motions.write_guesses(table, index);
            }
        }
        Ok(())
    }

    fn read_woken(&mut self, coder: &mut FixedDecoder<'_>) -> Result<(), DecodeError> {
        if is_small(self.table()) {
            return Ok(());
        }
        let count = read_number(coder, self.models.woken_count(), self.table().members().len())?;
        let mut next = 0;
        for _ in 0..count {
            let index = next + read_number(coder, self.models.woken_gap(), ENTITIES_MAX)?;
            next = index + 1;
            let index = u16::try_from(index).map_err(|_| DecodeError::Range("entity index"))?;
            if !self.table().was_alive(index) || self.table().is_moving(index) {
                return Err(DecodeError::State("a change of an entity that does not exist, or that moves"));
            }
            self.motions.find(&self.world.tables[usize::from(self.kind)], index);
            self.read_entity(coder, index, true)?;
        }
        Ok(())
    }

    fn read_entity(
        &mut self,
        coder: &mut FixedDecoder<'_>,
        index: u16,
        woken: bool,
    ) -> Result<(), DecodeError> {
        if coder.bit(self.models.gone(woken), false) {
            self.world.despawn(EntityId { kind: self.kind, index });
            return Ok(());
        }
        let table = &mut self.world.tables[usize::from(self.kind)];
        code_fields(coder, self.models, table.columns(), self.motions);
        self.motions.write_values(table, index)?;
        let mut buffer = Vec::new();
        for field in 0..table.columns().len() {
            if matches!(table.columns()[field], Column::Text { .. }) && self.motions.differs(field) {
                read_text(coder, table, index, field, &mut buffer)?;
            }
        }
        Ok(())
    }

    fn read_born(&mut self, coder: &mut FixedDecoder<'_>) -> Result<(), DecodeError> {
        let count = read_number(coder, self.models.born_count(), ENTITIES_MAX)?;
        let (mut next, mut buffer) = (0, Vec::new());
        for _ in 0..count {
            let index = next + read_number(coder, self.models.born_gap(), ENTITIES_MAX)?;
            next = index + 1;
            let index = u16::try_from(index).map_err(|_| DecodeError::Range("entity index"))?;
            // Behind the end there are only zeros, so that few bytes cannot bear many entities.
            if coder.raw(1, 1) != 1 {
                return Err(DecodeError::State("a birth without its mark"));
            }
            if self.table().was_alive(index) {
                return Err(DecodeError::State("a birth of an entity that exists"));
            }
            let id = EntityId { kind: self.kind, index };
            self.world.spawn_over_limit(id).map_err(|_| DecodeError::Range("entity index"))?;
            let table = &mut self.world.tables[usize::from(self.kind)];
            for field in 0..table.columns().len() {
                match table.columns()[field].int_at() {
                    Some(at) => {
                        let difference = code_birth(coder, self.models.fields[field], 0);
                        let value = table.columns()[field].in_bounds(table.default_of(at), difference)?;
                        table.set(index, field, value);
                    }
                    None => read_text(coder, table, index, field, &mut buffer)?,
                }
            }
        }
        Ok(())
    }
}

fn code_number(coder: &mut impl Coder, models: Number, value: usize) {
    coder.number(models, value as u64);
}

fn read_number(coder: &mut impl Coder, models: Number, max: usize) -> Result<usize, DecodeError> {
    match coder.number(models, 0) {
        number if number <= max as u64 => Ok(number as usize),
        _ => Err(DecodeError::Range("count or index")),
    }
}

/// Reads a text into an entity's field.
pub(crate) fn read_text(
    coder: &mut impl Coder,
    table: &mut Table,
    index: u16,
    field: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let Column::Text { bytes_max, .. } = table.columns()[field] else {
        return Err(DecodeError::State("a text in a field of numbers"));
    };
    table.set_text(index, field, coder::read_text(coder, bytes_max, buffer)?);
    Ok(())
}

#[cfg(test)]
mod tests;
