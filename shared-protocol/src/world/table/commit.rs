//! How a tick's changes of a table become its committed state, or are taken back: the past moves on by a tick, and the
//! lists of members and of what moves follow.

use super::{BLOCKS, Row, Table};

impl Table {
    /// Commits every change; returns by how much the sum of entity hashes grew.
    pub(crate) fn advance(&mut self) -> u32 {
        let mut visits = std::mem::take(&mut self.moving);
        visits.retain(|index| !self.rows[self.row(*index)].dirty);
        let unchanged = visits.len();
        visits.append(&mut self.dirty);
        if unchanged > 0 || !visits.is_sorted() {
            visits.sort_unstable();
        }
        let mut grown = 0u32;
        let mut membership_changed = false;
        for index in &visits {
            let row = self.row(*index);
            let Row { committed, alive, hash, .. } = self.rows[row];
            self.commit_row(row);
            membership_changed |= !(committed && alive);
            grown = grown.wrapping_add(self.rows[row].hash).wrapping_sub(hash);
        }
        if membership_changed {
            self.renew_members(&visits);
        }
        visits.retain(|index| self.find(*index).is_some_and(|row| self.rows[row].moving));
        self.moving = visits;
        grown
    }

    fn commit_row(&mut self, row: usize) {
        let (ints, texts) = (self.defaults.len(), self.texts_each);
        let Row { alive, committed, texts_set, .. } = self.rows[row];
        let cells = &mut self.cells[row * BLOCKS * ints..][..BLOCKS * ints];
        if committed {
            cells.copy_within(..3 * ints, ints);
        } else {
            (1..BLOCKS).for_each(|block| cells.copy_within(..ints, block * ints));
        }
        for at in row * texts..(row + 1) * texts {
            if texts_set && self.text_now[at] != self.text_last[at] {
                self.text_last[at].clone_from(&self.text_now[at]);
            }
        }
        let moving = alive && self.moves(row);
        let hash = if alive { self.entity_hash(row) } else { 0 };
        let touched = self.rows[row].touched || committed || alive;
        if touched && !self.rows[row].touched {
            self.touched.push(self.rows[row].index);
        }
        let rest = Row { dirty: false, texts_set: false, ..self.rows[row] };
        self.rows[row] = Row { committed: alive, moving, touched, hash, ..rest };
    }

    /// Brings the members up to date after these entities, ascending, were committed: a merge of two lists.
    fn renew_members(&mut self, visits: &[u16]) {
        let mut merged = std::mem::take(&mut self.spare);
        merged.clear();
        let mut kept = self.members.iter().copied().filter(|index| self.was_alive(*index)).peekable();
        for index in visits.iter().copied().filter(|index| self.was_alive(*index)) {
            while let Some(member) = kept.next_if(|member| *member <= index) {
                merged.push(member);
            }
            if merged.last() != Some(&index) {
                merged.push(index);
            }
        }
        merged.extend(kept);
        self.spare = std::mem::replace(&mut self.members, merged);
        for index in visits {
            self.free_if_gone(*index);
        }
    }

    /// Gives a row back that is neither alive nor committed.
    fn free_if_gone(&mut self, index: u16) {
        let row = self.row(index);
        if !self.rows[row].alive && !self.rows[row].committed {
            self.row_of.remove(index);
            self.vacant.push(row as u16);
            self.free_from = self.free_from.min(index);
        }
    }

    /// Takes every change since the last tick back.
    pub(crate) fn roll_back(&mut self) {
        let (ints, texts) = (self.defaults.len(), self.texts_each);
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            let row = self.row(index);
            let committed = self.rows[row].committed;
            self.alive = self.alive + usize::from(committed) - usize::from(self.rows[row].alive);
            self.rows[row].alive = committed;
            self.rows[row].dirty = false;
            self.rows[row].texts_set = false;
            self.cells[row * BLOCKS * ints..][..2 * ints].copy_within(ints.., 0);
            for at in row * texts..(row + 1) * texts {
                self.text_now[at].clone_from(&self.text_last[at]);
            }
            self.free_if_gone(index);
        }
        self.dirty = dirty;
    }
}
