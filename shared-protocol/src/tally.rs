//! What an owner needs of each model while it codes: the probability, and how many zeros and ones the model had since the
//! last look. Both stand side by side, for every coded bit asks for both, and by the next tick neither is in a cache.

use std::hint::black_box;

use crate::coder::Coder;
use crate::prior::{Levels, zero_at};
use crate::range::RangeEncoder;
use crate::sparse::Sparse;

/// How many zeros and ones a model had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen(pub(crate) [u16; 2]);

impl Seen {
    /// One more. Counts that would not fit are halved, both: what matters is their ratio.
    #[inline(always)]
    fn count(&mut self, bit: bool) {
        if self.0[usize::from(bit)] == u16::MAX {
            self.0 = self.0.map(|count| count / 2);
        }
        self.0[usize::from(bit)] += 1;
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Model {
    /// Probability of a zero, see [`zero_at`].
    zero: u16,
    seen: Seen,
}

impl Model {
    fn unused(levels: &Levels, model: usize) -> Model {
        Model { zero: zero_at(levels.at_or_zero(model)), seen: Seen::default() }
    }
}

/// The models of a match, for its owner.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    models: Sparse<Model>,
}

impl Tally {
    /// Of so many models.
    pub(crate) fn new(models: usize) -> Tally {
        Tally { models: Sparse::new(models) }
    }

    #[inline(always)]
    fn at(&mut self, model: usize, levels: &Levels) -> &mut Model {
        self.models.at_or(model, |model| Model::unused(levels, model))
    }

    /// Looks at every model that was ever used, once per line of a cache: the next tick needs about a third of them, here and
    /// there, and one behind the other they come much faster.
    pub(crate) fn warm(&self) {
        let lines = self.models.pieces().flat_map(|piece| piece.iter().step_by(64 / size_of::<Model>()));
        black_box(lines.fold(0, |all, model| all ^ model.zero));
    }

    /// The models that had a bit since the last look, in ascending order, with what they had.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (usize, Seen)> + '_ {
        let seen = self.models.iter().map(|(model, Model { seen, .. })| (model, seen));
        seen.filter(|(_, seen)| *seen != Seen::default())
    }

    /// Counts from nothing, with these levels from now on.
    pub(crate) fn reset(&mut self, levels: &Levels) {
        self.models.renew(|model| Model::unused(levels, model));
    }
}

/// Writes with probabilities that stay as they are, and counts which bits each model had.
pub(crate) struct TallyEncoder<'a> {
    pub(crate) range: RangeEncoder<'a>,
    /// Those that the tally was last reset to.
    pub(crate) levels: &'a Levels,
    pub(crate) tally: &'a mut Tally,
}

impl Coder for TallyEncoder<'_> {
    #[inline(always)]
    fn bit(&mut self, model: usize, bit: bool) -> bool {
        let model = self.tally.at(model, self.levels);
        self.range.bit(model.zero, bit);
        model.seen.count(bit);
        bit
    }

    #[inline(always)]
    fn raw(&mut self, value: u32, bits: u32) -> u32 {
        self.range.raw(value, bits);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::GROUP;

    /// Levels of three groups and a part of one.
    fn levels(level: i8) -> Levels {
        Levels::of(&[level; 3 * GROUP + 5])
    }

    fn code(tally: &mut Tally, levels: &Levels, bits: &[(usize, bool)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut coder = TallyEncoder { range: RangeEncoder::new(&mut out), levels, tally };
        bits.iter().for_each(|(model, bit)| assert_eq!(coder.bit(*model, *bit), *bit));
        coder.range.finish();
        out
    }

    fn plain(levels: &Levels, bits: &[(usize, bool)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut range = RangeEncoder::new(&mut out);
        bits.iter().for_each(|(model, bit)| range.bit(zero_at(levels.at(*model)), *bit));
        range.finish();
        out
    }

    #[test]
    fn what_is_coded_is_counted_and_coded_by_the_levels_at_hand() {
        let (first, next) = (levels(3), levels(-40));
        let last = 3 * GROUP + 5 - 1;
        let bits: Vec<(usize, bool)> = (0..90).map(|n| ([0, 5, last][n % 3], n % 7 == 0)).collect();
        let mut tally = Tally::new(first.len());
        assert_eq!(code(&mut tally, &first, &bits), plain(&first, &bits));
        let seen: Vec<(usize, Seen)> = tally.seen().collect();
        assert_eq!(seen, [(0, Seen([25, 5])), (5, Seen([26, 4])), (last, Seen([26, 4]))]);
        tally.reset(&next);
        assert_eq!(tally.seen().count(), 0);
        // Also of a group that had no place before.
        let more: Vec<(usize, bool)> = bits.into_iter().chain([(2 * GROUP, true)]).collect();
        assert_eq!(code(&mut tally, &next, &more), plain(&next, &more));
        assert_eq!(tally.seen().count(), 4);
    }

    #[test]
    fn counts_that_do_not_fit_are_halved_both() {
        let mut seen = Seen([u16::MAX, 1000]);
        seen.count(false);
        assert_eq!(seen, Seen([u16::MAX / 2 + 1, 500]));
    }
}
