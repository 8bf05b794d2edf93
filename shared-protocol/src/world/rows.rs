//! Which row an entity's index has: an array by index where the indexes lie close together, as in a whole match, and a
//! sorted list where they are few among many, as in one segment of a big world. Memory follows the entries, not the
//! highest index.

/// No row: the index is free.
const NONE: u16 = u16::MAX;
/// An array pays as long as there are at most so many indexes for each entry.
const SPREAD_MAX: usize = 8;
/// An array that was made stays until there are this many times more.
const SPREAD_KEPT: usize = 4;
/// Entries that a small table is counted as having more: it is an array in any case.
const FEW: usize = 8;

/// One of the two is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// Row of each index up to the highest used.
    array: Vec<u16>,
    /// Index and row, ascending.
    list: Vec<(u16, u16)>,
    len: usize,
}

impl Rows {
    #[inline]
    pub(super) fn find(&self, index: u16) -> Option<usize> {
        match self.array.get(usize::from(index)) {
            Some(row) => (*row != NONE).then(|| usize::from(*row)),
            None => {
                let at = self.list.binary_search_by_key(&index, |(index, _)| *index).ok()?;
                Some(usize::from(self.list[at].1))
            }
        }
    }

    /// All entries by ascending index.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, usize)> + '_ {
        let array = (0..=u16::MAX).zip(&self.array).filter(|(_, row)| **row != NONE);
        let listed = self.list.iter().map(|(index, row)| (*index, usize::from(*row)));
        array.map(|(index, row)| (index, usize::from(*row))).chain(listed)
    }

    /// Gives an index, which has none, a row.
    pub(super) fn insert(&mut self, index: u16, row: usize) {
        let highest = self.list.last().map_or(self.array.len(), |(last, _)| usize::from(*last) + 1);
        let needed = highest.max(usize::from(index) + 1);
        let spread = if self.array.is_empty() { SPREAD_MAX } else { SPREAD_MAX * SPREAD_KEPT };
        if needed <= spread * (self.len + FEW) {
            self.become_array(needed);
            self.array[usize::from(index)] = row as u16;
        } else {
            self.become_list();
            let at = self.list.partition_point(|(other, _)| *other < index);
            self.list.insert(at, (index, row as u16));
        }
        self.len += 1;
    }

    fn become_array(&mut self, size: usize) {
        self.array.resize(size, NONE);
        for (index, row) in std::mem::take(&mut self.list) {
            self.array[usize::from(index)] = row;
        }
    }

    fn become_list(&mut self) {
        if !self.array.is_empty() {
            self.list = self.iter().map(|(index, row)| (index, row as u16)).collect();
            self.array = Vec::new();
        }
    }

    /// Takes the row away from an index that has one.
    pub(super) fn remove(&mut self, index: u16) {
        match self.array.get_mut(usize::from(index)) {
            Some(row) => *row = NONE,
            None => self.list.retain(|(other, _)| *other != index),
        }
        self.len -= 1;
        if self.len == 0 {
            self.array.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn entries(rows: &Rows) -> Vec<(u16, usize)> {
        rows.iter().collect()
    }

    fn bytes(rows: &Rows) -> usize {
        rows.array.capacity() * size_of::<u16>() + rows.list.capacity() * size_of::<(u16, u16)>()
    }

    #[test]
    fn whatever_comes_and_goes_is_found_again() {
        for seed in 0..200u64 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let (mut rows, mut model) = (Rows::default(), BTreeMap::new());
            let spread = [20u16, 700, 65_534][rng.random_range(0..3)];
            for _ in 0..600 {
                let highest = if rng.random_bool(0.1) { 65_534 } else { spread };
                let index = rng.random_range(0..=highest);
                if model.remove(&index).is_some() {
                    rows.remove(index);
                } else if model.len() < 300 {
                    let row = rng.random_range(0..65_535);
                    rows.insert(index, row);
                    model.insert(index, row);
                }
                assert_eq!(rows.find(index), model.get(&index).copied(), "seed {seed}");
                assert!(rows.array.is_empty() || rows.list.is_empty(), "seed {seed}");
            }
            assert_eq!(entries(&rows), model.into_iter().collect::<Vec<_>>(), "seed {seed}");
        }
    }

    #[test]
    fn memory_follows_the_entries() {
        let mut rows = Rows::default();
        (0..10).for_each(|row| rows.insert(60_000 + row, usize::from(row)));
        assert!(bytes(&rows) < 200, "{} bytes", bytes(&rows));
        let mut close = Rows::default();
        (0..10_000).for_each(|row| close.insert(row, usize::from(row)));
        assert!(!close.array.is_empty() && bytes(&close) <= 4 * 10_000, "an array where indexes lie close");
        // One by one they go, and what is left far apart is a list again with the next that comes.
        (0..10_000).filter(|index| index % 1_000 != 0).for_each(|index| close.remove(index));
        close.insert(10_001, 0);
        assert!(close.array.is_empty() && bytes(&close) < 200, "{} bytes", bytes(&close));
    }
}
