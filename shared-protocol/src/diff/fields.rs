//! One entity's fields in a diff: how each moved in the last ticks, and the residuals against the guess.

use crate::coder::Coder;
use crate::limits::FIELDS_MAX;
use crate::models::{FieldModels, Habit, KindModels, Lately, bits};
use crate::varint::DecodeError;
use crate::world::{Column, Past, Table};

/// How an integer field moved, and what it is guessed to be next.
#[derive(Debug, Clone, Copy, Default)]
struct Motion {
    guess: i32,
    habit: Habit,
    /// By how much this one is; for a text 1 if it changes.
    residual: i64,
}

/// The motions of the fields of the entity at hand.
#[derive(Debug, Clone)]
pub(crate) struct Motions([Motion; FIELDS_MAX]);

impl Default for Motions {
    fn default() -> Motions {
        Motions([Motion::default(); FIELDS_MAX])
    }
}

impl Motions {
    /// Looks at an entity's last three ticks.
    #[inline]
    pub(crate) fn find(&mut self, table: &Table, index: u16) -> Lately {
        let cells = table.cells(index);
        let ints = cells.len() / 4;
        let mut lately = Lately::default();
        for (motion, column) in self.0.iter_mut().zip(table.columns()) {
            let Some(at) = column.int_at() else {
                *motion = Motion::default();
                continue;
            };
            let past =
                Past { last: cells[ints + at], prior: cells[2 * ints + at], older: cells[3 * ints + at] };
            let (guess, step, echo) = column.motion(past);
            let habit = Habit::new(echo, step);
            *motion = Motion { guess, habit, residual: 0 };
            lately.moving |= step != 0;
            lately.surprised += usize::from(echo != 0);
            lately.widest = lately.widest.max(usize::from(habit.width));
        }
        lately
    }

    /// Compares the entity's current values with the guesses; whether any differs.
    #[inline]
    pub(crate) fn find_residuals(&mut self, table: &Table, index: u16) -> bool {
        let now = table.cells(index);
        let mut changed = 0;
        for (field, (motion, column)) in self.0.iter_mut().zip(table.columns()).enumerate() {
            motion.residual = match column.int_at() {
                Some(at) => column.difference(now[at], motion.guess),
                None => i64::from(table.text_changed(index, field)),
            };
            changed |= motion.residual;
        }
        changed != 0
    }

    /// Makes the guesses the entity's current values.
    #[inline]
    pub(crate) fn write_guesses(&self, table: &mut Table, index: u16) {
        let (now, columns) = table.now_mut(index);
        for (motion, column) in self.0.iter().zip(columns) {
            if let Some(at) = column.int_at() {
                now[at] = motion.guess;
            }
        }
    }

    /// Makes what is at the residuals from the guesses the entity's current values.
    #[inline]
    pub(crate) fn write_values(&self, table: &mut Table, index: u16) -> Result<(), DecodeError> {
        let (now, columns) = table.now_mut(index);
        for (motion, column) in self.0.iter().zip(columns) {
            if let Some(at) = column.int_at() {
                let value = column.displaced(motion.guess, motion.residual);
                now[at] = value.ok_or(DecodeError::Range("residual"))?;
            }
        }
        Ok(())
    }

    /// Whether the field is not what it was guessed to be.
    pub(crate) fn differs(&self, field: usize) -> bool {
        self.0[field].residual != 0
    }

    /// The texts that change.
    pub(crate) fn changed_texts<'a>(&'a self, columns: &'a [Column]) -> impl Iterator<Item = usize> + 'a {
        let texts = columns.iter().enumerate().filter(|(_, column)| column.int_at().is_none());
        texts.map(|(field, _)| field).filter(|field| self.0[*field].residual != 0)
    }
}

/// The residuals of an entity of which at least one is not 0: written from the motions, or read into them.
#[inline(always)]
pub(crate) fn code_fields(
    coder: &mut impl Coder,
    models: &KindModels,
    columns: &[Column],
    motions: &mut Motions,
) {
    let (mut flags, mut widest) = (0usize, 0);
    let last = columns.len() - 1;
    for (field, (motion, column)) in motions.0.iter_mut().zip(columns).enumerate() {
        let of_field = models.fields[field];
        let before = (flags & 1) + (flags >> 1 & 1);
        let is_text = column.int_at().is_none();
        let model =
            if is_text { of_field.text_changed(before) } else { of_field.differs(motion.habit, before) };
        // If nothing before the last field differs, then that one does.
        let differs = (field == last && flags == 0) || coder.bit(model, motion.residual != 0);
        flags = flags << 1 | usize::from(differs);
        motion.residual = if !differs {
            0
        } else if is_text {
            1
        } else {
            let sign = of_field.sign(motion.habit);
            let size = of_field.residual(motion.habit, widest);
            let residual = coder.difference(sign, size, motion.residual);
            widest = widest.max(bits(residual));
            residual
        };
    }
}

/// A newborn's integer as its difference from the default.
pub(crate) fn code_birth(coder: &mut impl Coder, models: FieldModels, difference: i64) -> i64 {
    if coder.bit(models.birth_differs(), difference != 0) {
        coder.difference(models.birth_sign(), models.birth_number(), difference)
    } else {
        0
    }
}
