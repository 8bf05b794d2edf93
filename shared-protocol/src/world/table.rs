//! The entities of one kind, as columns. Knows which of them changed in this tick (*dirty*), which go on by
//! themselves (*moving*: a linear field's last two values differ) and which changed since the last snapshot
//! (*touched*).

use std::collections::BTreeSet;

use crate::hash::WordHasher;
use crate::limits::ENTITIES_MAX;
use crate::schema::{FieldType, Kind, Predictor};

/// Where a field's values are and how they behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Integer column `at` with bounds; `linear` says how it is predicted.
    Int { at: usize, min: i32, max: i32, linear: bool },
    /// Integer column `at` that wraps at 2^bits.
    Angle { at: usize, bits: u8, linear: bool },
    /// Text column `at` of at most `bytes_max` bytes.
    Text { at: usize, bytes_max: usize },
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Alive with the changes made since the last tick.
    alive: bool,
    /// Alive in the committed state.
    committed: bool,
    dirty: bool,
    moving: bool,
    touched: bool,
    hash: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    kind: u8,
    columns: Vec<Column>,
    defaults: Vec<i32>,
    texts_each: usize,
    slots: Vec<Slot>,
    /// Current values, `defaults.len()` a slot.
    now: Vec<i32>,
    /// Values of the committed tick.
    last: Vec<i32>,
    /// Values of the tick before the committed one.
    prior: Vec<i32>,
    text_now: Vec<String>,
    text_last: Vec<String>,
    dirty: Vec<u16>,
    moving: Vec<u16>,
    touched: Vec<u16>,
    /// Slots below `slots.len()` that may be used again.
    free: BTreeSet<u16>,
    alive: usize,
}

impl Table {
    pub(crate) fn new(kind: u8, declared: &Kind) -> Table {
        let mut columns = Vec::new();
        let mut defaults = Vec::new();
        let mut texts_each = 0;
        for field in &declared.fields {
            let linear = field.predictor == Predictor::Linear;
            let at = defaults.len();
            columns.push(match field.holds {
                FieldType::Int { min, max } => Column::Int { at, min, max, linear },
                FieldType::Angle { bits } => Column::Angle { at, bits, linear },
                FieldType::Text { bytes_max } => {
                    texts_each += 1;
                    Column::Text { at: texts_each - 1, bytes_max: usize::from(bytes_max) }
                }
            });
            if !matches!(field.holds, FieldType::Text { .. }) {
                let (min, max) = field.bounds();
                defaults.push(0.clamp(min, max));
            }
        }
        Table {
            kind,
            columns,
            defaults,
            texts_each,
            slots: Vec::new(),
            now: Vec::new(),
            last: Vec::new(),
            prior: Vec::new(),
            text_now: Vec::new(),
            text_last: Vec::new(),
            dirty: Vec::new(),
            moving: Vec::new(),
            touched: Vec::new(),
            free: BTreeSet::new(),
            alive: 0,
        }
    }

    pub(crate) fn kind(&self) -> u8 {
        self.kind
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    pub(crate) fn is_alive(&self, index: u16) -> bool {
        self.slots.get(usize::from(index)).is_some_and(|slot| slot.alive)
    }

    pub(crate) fn was_alive(&self, index: u16) -> bool {
        self.slots.get(usize::from(index)).is_some_and(|slot| slot.committed)
    }

    pub(crate) fn alive_indexes(&self) -> impl Iterator<Item = u16> + '_ {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.alive).map(|(index, _)| index as u16)
    }

    pub(crate) fn committed_indexes(&self) -> impl Iterator<Item = u16> + '_ {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.committed).map(|(index, _)| index as u16)
    }

    pub(crate) fn free_index(&self) -> Option<u16> {
        let grown = u16::try_from(self.slots.len()).ok().filter(|next| usize::from(*next) < ENTITIES_MAX);
        self.free.first().copied().or(grown)
    }

    pub(crate) fn spawn(&mut self, index: u16) {
        let at = usize::from(index);
        while self.slots.len() <= at {
            self.free.insert(self.slots.len() as u16);
            self.slots.push(Slot::default());
        }
        let (ints, texts) = (self.defaults.len(), self.texts_each);
        for column in [&mut self.now, &mut self.last, &mut self.prior] {
            column.resize(self.slots.len() * ints, 0);
        }
        for column in [&mut self.text_now, &mut self.text_last] {
            column.resize(self.slots.len() * texts, String::new());
        }
        self.free.remove(&index);
        self.now[at * ints..(at + 1) * ints].copy_from_slice(&self.defaults);
        self.text_now[at * texts..(at + 1) * texts].iter_mut().for_each(String::clear);
        self.slots[at].alive = true;
        self.alive += 1;
        self.mark_dirty(index);
    }

    pub(crate) fn despawn(&mut self, index: u16) {
        self.slots[usize::from(index)].alive = false;
        self.alive -= 1;
        self.mark_dirty(index);
    }

    pub(crate) fn get(&self, index: u16, field: usize) -> i32 {
        match self.columns[field] {
            Column::Int { at, .. } | Column::Angle { at, .. } => self.now[self.int_at(index, at)],
            Column::Text { .. } => panic!("field {field} is a text"),
        }
    }

    pub(crate) fn set(&mut self, index: u16, field: usize, value: i32) {
        let (at, value) = match self.columns[field] {
            Column::Int { at, min, max, .. } => (at, value.clamp(min, max)),
            Column::Angle { at, bits, .. } => (at, wrap(i64::from(value), bits)),
            Column::Text { .. } => panic!("field {field} is a text"),
        };
        let at = self.int_at(index, at);
        if self.now[at] != value {
            self.now[at] = value;
            self.mark_dirty(index);
        }
    }

    pub(crate) fn text(&self, index: u16, field: usize) -> &str {
        match self.columns[field] {
            Column::Text { at, .. } => &self.text_now[usize::from(index) * self.texts_each + at],
            _ => panic!("field {field} is not a text"),
        }
    }

    pub(crate) fn set_text(&mut self, index: u16, field: usize, text: &str) {
        let Column::Text { at, bytes_max } = self.columns[field] else {
            panic!("field {field} is not a text")
        };
        let mut end = text.len().min(bytes_max);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let at = usize::from(index) * self.texts_each + at;
        if self.text_now[at] != text[..end] {
            self.text_now[at] = text[..end].to_owned();
            self.mark_dirty(index);
        }
    }

    /// Entities that changed or go on by themselves, ascending: all that a diff has to look at.
    pub(crate) fn visits(&self) -> Vec<u16> {
        let mut visits: Vec<u16> = self.dirty.clone();
        visits.extend(self.moving.iter().filter(|index| !self.slots[usize::from(**index)].dirty));
        visits.sort_unstable();
        visits
    }

    /// Sets every moving entity's linear fields to what is predicted for the next tick.
    pub(crate) fn predict_moving(&mut self) {
        for position in 0..self.moving.len() {
            let index = self.moving[position];
            for field in 0..self.columns.len() {
                if let Some((at, _)) = int_column(self.columns[field]) {
                    let at = self.int_at(index, at);
                    self.now[at] = self.predicted(index, field);
                }
            }
            self.mark_dirty(index);
        }
    }

    /// The guess for an integer field in the next tick.
    pub(crate) fn predicted(&self, index: u16, field: usize) -> i32 {
        match self.columns[field] {
            Column::Int { at, min, max, linear } => {
                let at = self.int_at(index, at);
                let last = i64::from(self.last[at]);
                let step = if linear { last - i64::from(self.prior[at]) } else { 0 };
                (last + step).clamp(i64::from(min), i64::from(max)) as i32
            }
            Column::Angle { at, bits, linear } => {
                let at = self.int_at(index, at);
                let last = i64::from(self.last[at]);
                let step = if linear { last - i64::from(self.prior[at]) } else { 0 };
                wrap(last + step, bits)
            }
            Column::Text { .. } => 0,
        }
    }

    /// What the next tick's value differs from its guess by; for an angle the short way round.
    pub(crate) fn residual(&self, index: u16, field: usize) -> i64 {
        let (now, guess) = (i64::from(self.get(index, field)), i64::from(self.predicted(index, field)));
        match self.columns[field] {
            Column::Angle { bits, .. } => shortest(now - guess, bits),
            _ => now - guess,
        }
    }

    pub(crate) fn text_changed(&self, index: u16, field: usize) -> bool {
        let Column::Text { at, .. } = self.columns[field] else { return false };
        let at = usize::from(index) * self.texts_each + at;
        self.text_now[at] != self.text_last[at]
    }

    /// The committed value of an integer field and its step from the tick before (the short way for angles).
    pub(crate) fn committed(&self, index: u16, field: usize) -> (i32, i64) {
        let Some((at, _)) = int_column(self.columns[field]) else { return (0, 0) };
        let at = self.int_at(index, at);
        let step = i64::from(self.last[at]) - i64::from(self.prior[at]);
        match self.columns[field] {
            Column::Angle { bits, .. } => (self.last[at], shortest(step, bits)),
            _ => (self.last[at], step),
        }
    }

    pub(crate) fn committed_text(&self, index: u16, field: usize) -> &str {
        match self.columns[field] {
            Column::Text { at, .. } => &self.text_last[usize::from(index) * self.texts_each + at],
            _ => "",
        }
    }

    /// Makes a just spawned and advanced entity one that has moved by `step` in the committed tick.
    pub(crate) fn restore_step(&mut self, index: u16, field: usize, step: i64) -> bool {
        let Some((at, true)) = int_column(self.columns[field]) else { return step == 0 };
        let at = self.int_at(index, at);
        let before = i64::from(self.last[at]) - step;
        let prior = match self.columns[field] {
            Column::Int { min, max, .. } if (i64::from(min)..=i64::from(max)).contains(&before) => {
                before as i32
            }
            Column::Angle { bits, .. } if shortest(step, bits) == step => wrap(before, bits),
            _ => return false,
        };
        self.prior[at] = prior;
        if step != 0 && !self.slots[usize::from(index)].moving {
            self.slots[usize::from(index)].moving = true;
            self.moving.push(index);
        }
        true
    }

    /// Commits every change; returns by how much the sum of entity hashes grew.
    pub(crate) fn advance(&mut self) -> u32 {
        let visits = self.visits();
        self.dirty.clear();
        self.moving.clear();
        let mut grown = 0u32;
        for index in visits {
            let before = self.slots[usize::from(index)].hash;
            self.commit_slot(index);
            grown = grown.wrapping_add(self.slots[usize::from(index)].hash).wrapping_sub(before);
        }
        grown
    }

    fn commit_slot(&mut self, index: u16) {
        let slot = usize::from(index);
        let (ints, texts) = (self.defaults.len(), self.texts_each);
        let range = slot * ints..(slot + 1) * ints;
        let was = self.slots[slot].committed;
        let alive = self.slots[slot].alive;
        if alive {
            if was {
                self.prior[range.clone()].copy_from_slice(&self.last[range.clone()]);
            } else {
                self.prior[range.clone()].copy_from_slice(&self.now[range.clone()]);
            }
            self.last[range.clone()].copy_from_slice(&self.now[range]);
            for at in slot * texts..(slot + 1) * texts {
                if self.text_now[at] != self.text_last[at] {
                    self.text_last[at].clone_from(&self.text_now[at]);
                }
            }
        } else {
            self.free.insert(index);
            self.text_last[slot * texts..(slot + 1) * texts].iter_mut().for_each(String::clear);
        }
        let moving = alive && self.moves(index);
        let hash = if alive { self.entity_hash(index) } else { 0 };
        let touched = self.slots[slot].touched || was || alive;
        if touched && !self.slots[slot].touched {
            self.touched.push(index);
        }
        self.slots[slot] = Slot { alive, committed: alive, dirty: false, moving, touched, hash };
        if moving {
            self.moving.push(index);
        }
    }

    fn moves(&self, index: u16) -> bool {
        self.columns.iter().any(|column| match int_column(*column) {
            Some((at, true)) => {
                let at = self.int_at(index, at);
                self.last[at] != self.prior[at]
            }
            _ => false,
        })
    }

    fn entity_hash(&self, index: u16) -> u32 {
        let (slot, ints, texts) = (usize::from(index), self.defaults.len(), self.texts_each);
        let mut hasher = WordHasher::new();
        hasher.word(u32::from(self.kind) << 16 | u32::from(index));
        for value in &self.last[slot * ints..(slot + 1) * ints] {
            hasher.word(*value as u32);
        }
        for text in &self.text_last[slot * texts..(slot + 1) * texts] {
            hasher.text(text);
        }
        hasher.finish()
    }

    pub(crate) fn recomputed_hash(&self) -> u32 {
        self.committed_indexes().fold(0, |sum, index| sum.wrapping_add(self.entity_hash(index)))
    }

    pub(crate) fn take_touched(&mut self) -> impl Iterator<Item = u16> + use<> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        for index in &touched {
            self.slots[usize::from(*index)].touched = false;
        }
        touched.into_iter()
    }

    pub(crate) fn same_state(&self, other: &Table) -> bool {
        let same_fields = |index: u16| {
            (0..self.columns.len()).all(|field| {
                self.committed(index, field).0 == other.committed(index, field).0
                    && self.predicted(index, field) == other.predicted(index, field)
                    && self.committed_text(index, field) == other.committed_text(index, field)
            })
        };
        self.committed_indexes().eq(other.committed_indexes()) && self.committed_indexes().all(same_fields)
    }

    fn int_at(&self, index: u16, at: usize) -> usize {
        usize::from(index) * self.defaults.len() + at
    }

    fn mark_dirty(&mut self, index: u16) {
        let slot = &mut self.slots[usize::from(index)];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(index);
        }
    }
}

/// Where an integer or angle column is, and whether it is predicted linearly.
fn int_column(column: Column) -> Option<(usize, bool)> {
    match column {
        Column::Int { at, linear, .. } | Column::Angle { at, linear, .. } => Some((at, linear)),
        Column::Text { .. } => None,
    }
}

/// A number on the circle of 2^bits.
pub(crate) fn wrap(value: i64, bits: u8) -> i32 {
    (value & ((1 << bits) - 1)) as i32
}

/// The short way round for a difference on the circle of 2^bits: from -2^(bits-1) to 2^(bits-1) - 1.
pub(crate) fn shortest(difference: i64, bits: u8) -> i64 {
    let half = 1i64 << (bits - 1);
    ((difference + half) & ((1 << bits) - 1)) - half
}
