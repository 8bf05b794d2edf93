//! The entities of one kind. Each has a row of cells: its values now, and those of the last three committed
//! ticks. Knows which entities changed in this tick (*dirty*), which go on by themselves (*moving*: their
//! last three values are not all the same) and which changed since the last snapshot (*touched*). Memory
//! follows the entities that there are, not their indexes.

mod commit;

use std::hint::black_box;

use crate::hash::WordHasher;
use crate::ids::SegmentId;
use crate::limits::ENTITIES_MAX;
use crate::schema::{FieldType, Kind};
use crate::world::column::{Column, Past};
use crate::world::rows::Rows;

/// Blocks of cells in a row: now, last, prior, older.
const BLOCKS: usize = 4;

#[derive(Debug, Clone, Copy)]
struct Row {
    index: u16,
    /// Alive with the changes made since the last tick.
    alive: bool,
    /// Alive in the committed state.
    committed: bool,
    dirty: bool,
    /// A text was set since the last tick: all other texts are what they were, and need not be looked at.
    texts_set: bool,
    moving: bool,
    touched: bool,
    segment: SegmentId,
    hash: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    kind: u8,
    columns: Vec<Column>,
    defaults: Vec<i32>,
    texts_each: usize,
    rows: Vec<Row>,
    row_of: Rows,
    vacant: Vec<u16>,
    /// `BLOCKS` times the defaults' length for each row.
    cells: Vec<i32>,
    text_now: Vec<String>,
    text_last: Vec<String>,
    /// Indexes of the committed state, ascending.
    members: Vec<u16>,
    /// The members' former list, kept for its memory.
    spare: Vec<u16>,
    dirty: Vec<u16>,
    /// Ascending; committed.
    moving: Vec<u16>,
    /// Indexes whose record changed or went since [`Table::take_touched`].
    touched: Vec<u16>,
    /// No index below this one is free.
    free_from: u16,
    alive: usize,
}

impl Table {
    pub(crate) fn new(kind: u8, declared: &Kind) -> Table {
        let mut columns = Vec::new();
        let mut defaults = Vec::new();
        let mut texts_each = 0;
        for field in &declared.fields {
            let is_text = matches!(field.holds, FieldType::Text { .. });
            let at = if is_text { texts_each } else { defaults.len() };
            columns.push(Column::new(field.holds, field.predictor, at));
            if is_text {
                texts_each += 1;
            } else {
                let (min, max) = field.bounds();
                defaults.push(0.clamp(min, max));
            }
        }
        Table {
            kind,
            columns,
            defaults,
            texts_each,
            rows: Vec::new(),
            row_of: Rows::default(),
            vacant: Vec::new(),
            cells: Vec::new(),
            text_now: Vec::new(),
            text_last: Vec::new(),
            members: Vec::new(),
            spare: Vec::new(),
            dirty: Vec::new(),
            moving: Vec::new(),
            touched: Vec::new(),
            free_from: 0,
            alive: 0,
        }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn default_of(&self, at: usize) -> i32 {
        self.defaults[at]
    }

    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    pub(crate) fn is_alive(&self, index: u16) -> bool {
        self.find(index).is_some_and(|row| self.rows[row].alive)
    }

    pub(crate) fn was_alive(&self, index: u16) -> bool {
        self.find(index).is_some_and(|row| self.rows[row].committed)
    }

    pub(crate) fn is_moving(&self, index: u16) -> bool {
        self.find(index).is_some_and(|row| self.rows[row].moving)
    }

    pub(crate) fn segment(&self, index: u16) -> SegmentId {
        self.find(index).map_or(SegmentId::EVERYONE, |row| self.rows[row].segment)
    }

    pub(crate) fn place(&mut self, index: u16, segment: SegmentId) {
        let row = self.row(index);
        if self.rows[row].segment != segment {
            self.rows[row].segment = segment;
            self.mark_dirty(row);
        }
    }

    pub(crate) fn touch(&mut self, index: u16) {
        if let Some(row) = self.find(index) {
            self.mark_dirty(row);
        }
    }

    /// Indexes that are alive now, ascending.
    pub(crate) fn alive_indexes(&self) -> impl Iterator<Item = u16> + '_ {
        self.row_of.iter().filter(|(_, row)| self.rows[*row].alive).map(|(index, _)| index)
    }

    /// Who is alive now, ascending, with the current values of the integers and angles.
    pub(crate) fn alive_rows(&self) -> impl Iterator<Item = (u16, &[i32])> {
        let width = self.defaults.len();
        self.alive_indexes()
            .map(move |index| (index, &self.cells[self.row(index) * BLOCKS * width..][..width]))
    }

    /// Indexes of the committed state, ascending.
    pub(crate) fn members(&self) -> &[u16] {
        &self.members
    }

    /// Indexes of the committed state whose last three values are not all the same, ascending.
    pub(crate) fn moving(&self) -> &[u16] {
        &self.moving
    }

    /// Indexes that were changed, born or ended since the last tick, in the order of their first change.
    pub(crate) fn dirty(&self) -> &[u16] {
        &self.dirty
    }

    /// Looks at the cells of what moves, once per line of a cache.
    pub(crate) fn warm_moving(&self) {
        const LINE: usize = 64 / size_of::<i32>();
        for index in &self.moving {
            let cells = self.cells(*index).iter().step_by(LINE);
            black_box((cells.fold(0, |all, value| all ^ value), self.rows[self.row(*index)].hash));
        }
    }

    pub(crate) fn free_index(&self) -> Option<u16> {
        let mut indexes = self.free_from..ENTITIES_MAX as u16;
        indexes.find(|index| self.find(*index).is_none())
    }

    pub(crate) fn spawn(&mut self, index: u16) {
        let row = self.find(index).unwrap_or_else(|| self.take_row(index));
        let (ints, texts) = (self.defaults.len(), self.texts_each);
        self.cells[row * BLOCKS * ints..][..ints].copy_from_slice(&self.defaults);
        self.text_now[row * texts..(row + 1) * texts].iter_mut().for_each(String::clear);
        self.rows[row].alive = true;
        self.rows[row].texts_set = true;
        self.alive += 1;
        self.mark_dirty(row);
    }

    fn take_row(&mut self, index: u16) -> usize {
        let blank = Row {
            index,
            alive: false,
            committed: false,
            dirty: false,
            texts_set: false,
            moving: false,
            touched: false,
            segment: SegmentId::EVERYONE,
            hash: 0,
        };
        let row = match self.vacant.pop() {
            Some(row) => usize::from(row),
            None => {
                self.rows.push(blank);
                self.cells.resize(self.rows.len() * BLOCKS * self.defaults.len(), 0);
                self.text_now.resize(self.rows.len() * self.texts_each, String::new());
                self.text_last.resize(self.rows.len() * self.texts_each, String::new());
                self.rows.len() - 1
            }
        };
        self.rows[row] = blank;
        self.row_of.insert(index, row);
        if index == self.free_from {
            self.free_from += 1;
        }
        row
    }

    pub(crate) fn despawn(&mut self, index: u16) {
        let row = self.row(index);
        self.rows[row].alive = false;
        self.alive -= 1;
        self.mark_dirty(row);
    }

    /// Current value of an integer; the default of an entity that does not exist.
    #[inline]
    pub(crate) fn get(&self, index: u16, field: usize) -> i32 {
        let at = self.columns[field].int_at().unwrap_or_else(|| panic!("field {field} is a text"));
        self.find(index).map_or(self.defaults[at], |row| self.cells[row * BLOCKS * self.defaults.len() + at])
    }

    #[inline]
    pub(crate) fn set(&mut self, index: u16, field: usize, value: i32) {
        let column = self.columns[field];
        let at = column.int_at().unwrap_or_else(|| panic!("field {field} is a text"));
        let value = column.fit(i64::from(value));
        let row = self.row(index);
        let cell = &mut self.cells[row * BLOCKS * self.defaults.len() + at];
        if *cell != value {
            *cell = value;
            self.mark_dirty(row);
        }
    }

    /// Current text; empty for an entity that does not exist.
    pub(crate) fn text(&self, index: u16, field: usize) -> &str {
        let at = self.text_at(field);
        self.find(index).map_or("", |row| &self.text_now[row * self.texts_each + at])
    }

    pub(crate) fn set_text(&mut self, index: u16, field: usize, text: &str) {
        let Column::Text { at, bytes_max } = self.columns[field] else {
            panic!("field {field} is not a text")
        };
        let mut end = text.len().min(bytes_max);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let row = self.row(index);
        let now = &mut self.text_now[row * self.texts_each + at];
        if *now != text[..end] {
            now.clear();
            now.push_str(&text[..end]);
            self.rows[row].texts_set = true;
            self.mark_dirty(row);
        }
    }

    /// An entity's current integers, to be set to values within their bounds; and the kind's columns.
    #[inline]
    pub(crate) fn now_mut(&mut self, index: u16) -> (&mut [i32], &[Column]) {
        let (row, ints) = (self.row(index), self.defaults.len());
        self.mark_dirty(row);
        (&mut self.cells[row * BLOCKS * ints..][..ints], &self.columns)
    }

    /// Gives an entity the current values that it has in another table of the same kind; it is in both.
    pub(crate) fn copy_now(&mut self, index: u16, from: &Table) {
        let (row, theirs) = (self.row(index), from.row(index));
        let (ints, texts) = (self.defaults.len(), self.texts_each);
        let now = &mut self.cells[row * BLOCKS * ints..][..ints];
        let wanted = &from.cells[theirs * BLOCKS * ints..][..ints];
        let mut changed = now != wanted;
        now.copy_from_slice(wanted);
        for at in 0..texts {
            let (text, wanted) = (&mut self.text_now[row * texts + at], &from.text_now[theirs * texts + at]);
            if text != wanted {
                text.clone_from(wanted);
                self.rows[row].texts_set = true;
                changed = true;
            }
        }
        if changed {
            self.mark_dirty(row);
        }
    }

    /// The last three committed values of integer column `at`.
    #[inline]
    pub(crate) fn past(&self, index: u16, at: usize) -> Past {
        let ints = self.defaults.len();
        let cells = &self.cells[self.row(index) * BLOCKS * ints + at..];
        Past { last: cells[ints], prior: cells[2 * ints], older: cells[3 * ints] }
    }

    /// An entity's integers now, then of the last three ticks: four blocks of the kind's integers.
    #[inline]
    pub(crate) fn cells(&self, index: u16) -> &[i32] {
        let width = BLOCKS * self.defaults.len();
        &self.cells[self.row(index) * width..][..width]
    }

    pub(crate) fn text_changed(&self, index: u16, field: usize) -> bool {
        let row = self.row(index);
        let at = row * self.texts_each + self.text_at(field);
        self.rows[row].texts_set && self.text_now[at] != self.text_last[at]
    }

    pub(crate) fn committed_text(&self, index: u16, field: usize) -> &str {
        &self.text_last[self.row(index) * self.texts_each + self.text_at(field)]
    }

    /// Makes an entity of the committed state one with another past.
    pub(crate) fn restore_past(&mut self, index: u16, at: usize, prior: i32, older: i32) {
        let (row, ints) = (self.row(index), self.defaults.len());
        self.cells[(row * BLOCKS + 2) * ints + at] = prior;
        self.cells[(row * BLOCKS + 3) * ints + at] = older;
    }

    /// Makes the entities of the committed state that move known as such, after pasts were restored.
    pub(crate) fn find_moving(&mut self) {
        self.moving.clear();
        for position in 0..self.members.len() {
            let index = self.members[position];
            let row = self.row(index);
            self.rows[row].moving = self.moves(row);
            if self.rows[row].moving {
                self.moving.push(index);
            }
        }
    }

    /// Forgets every tick but the last: nothing moves.
    pub(crate) fn forget_past(&mut self) {
        let ints = self.defaults.len();
        for cells in self.cells.chunks_exact_mut((BLOCKS * ints).max(1)) {
            let (recent, past) = cells.split_at_mut(2 * ints);
            past[..ints].copy_from_slice(&recent[ints..]);
            past[ints..].copy_from_slice(&recent[ints..]);
        }
        self.find_moving();
    }

    fn moves(&self, row: usize) -> bool {
        let ints = self.defaults.len();
        let cells = &self.cells[row * BLOCKS * ints..][..BLOCKS * ints];
        self.columns.iter().any(|column| {
            column.int_at().is_some_and(|at| {
                let past =
                    Past { last: cells[ints + at], prior: cells[2 * ints + at], older: cells[3 * ints + at] };
                column.moves(past)
            })
        })
    }

    fn entity_hash(&self, row: usize) -> u32 {
        let (ints, texts) = (self.defaults.len(), self.texts_each);
        let mut hasher = WordHasher::new();
        hasher.word(u32::from(self.kind) << 16 | u32::from(self.rows[row].index));
        for value in &self.cells[(row * BLOCKS + 1) * ints..][..ints] {
            hasher.word(*value as u32);
        }
        for text in &self.text_last[row * texts..(row + 1) * texts] {
            hasher.text(text);
        }
        hasher.finish()
    }

    pub(crate) fn recomputed_hash(&self) -> u32 {
        self.members.iter().fold(0, |sum, index| sum.wrapping_add(self.entity_hash(self.row(*index))))
    }

    /// Takes what was touched, ascending; the list keeps its memory.
    pub(crate) fn take_touched(&mut self, mut take: impl FnMut(u16)) {
        self.touched.sort_unstable();
        self.touched.dedup();
        for position in 0..self.touched.len() {
            let index = self.touched[position];
            if let Some(row) = self.find(index) {
                self.rows[row].touched = false;
            }
            take(index);
        }
        self.touched.clear();
    }

    #[inline]
    fn find(&self, index: u16) -> Option<usize> {
        self.row_of.find(index)
    }

    #[inline]
    fn row(&self, index: u16) -> usize {
        self.row_of.find(index).unwrap_or_else(|| panic!("no entity has index {index} of kind {}", self.kind))
    }

    fn text_at(&self, field: usize) -> usize {
        match self.columns[field] {
            Column::Text { at, .. } => at,
            _ => panic!("field {field} is not a text"),
        }
    }

    fn mark_dirty(&mut self, row: usize) {
        if !self.rows[row].dirty {
            self.rows[row].dirty = true;
            self.dirty.push(self.rows[row].index);
        }
    }
}
