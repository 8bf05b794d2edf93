//! A set of input numbers that come mostly one after the other: a list of ranges.

use std::collections::BTreeMap;

/// The set; each range by its first number, with its last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Seqs(BTreeMap<u32, u32>);

impl Seqs {
    /// Adds a number.
    pub(super) fn insert(&mut self, seq: u32) {
        let before = self.0.range(..=seq).next_back().map(|(first, last)| (*first, *last));
        let (first, mut last) = match before {
            Some((_, last)) if last >= seq => return,
            Some((first, last)) if last + 1 == seq => (first, seq),
            _ => (seq, seq),
        };
        if let Some(end) = seq.checked_add(1).and_then(|next| self.0.remove(&next)) {
            last = end;
        }
        self.0.insert(first, last);
    }

    pub(super) fn contains(&self, seq: u32) -> bool {
        self.0.range(..=seq).next_back().is_some_and(|(_, last)| *last >= seq)
    }

    /// How many numbers up to this one are in it.
    pub(super) fn count_to(&self, most: u32) -> u64 {
        self.0.range(..=most).map(|(first, last)| u64::from((*last).min(most) - first) + 1).sum()
    }

    pub(super) fn count(&self) -> u64 {
        self.count_to(u32::MAX)
    }

    pub(super) fn last(&self) -> Option<u32> {
        self.0.last_key_value().map(|(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let mut seqs = Seqs::default();
        for seq in [5, 1, 2, 2, 7, 6, u32::MAX] {
            seqs.insert(seq);
        }
        assert_eq!(seqs.0, BTreeMap::from([(1, 2), (5, 7), (u32::MAX, u32::MAX)]));
        assert_eq!((seqs.count(), seqs.count_to(6), seqs.last()), (6, 4, Some(u32::MAX)));
        assert!(seqs.contains(6) && !seqs.contains(3) && !seqs.contains(0));
    }
}
