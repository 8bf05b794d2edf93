//! When a match's owner publishes a new prior, and what is in it. Nothing of this is part of the wire: a
//! reader takes whatever prior it is given.
//!
//! The owner counts which bits each model had. At ticks 4, 8, 16, ... it asks what the last window would have
//! cost with levels made from all that was counted so far, and publishes them if that pays for their own size
//! over the ticks to come, which are taken to be as many as have been.

use crate::prior::{LEVEL_MAX, Prior, zero_at};
use crate::sparse::Sparse;
use crate::tally::Tally;

/// First tick at which a prior is considered, and the longest wait between two, ticks.
const WINDOW_TICKS: std::ops::RangeInclusive<u64> = 4..=1024;
/// Ticks to come that a prior has to pay for itself in, at most.
const HORIZON_TICKS_MAX: u64 = 4096;
/// Counts of a model are halved above this sum: what it learned is of this many bits.
const COUNT_MAX: f32 = 4095.0;
/// Parts of a count that are kept.
const COUNT_PARTS: f32 = 16.0;
/// Counts that a level of an inherited prior stands for.
const INHERITED: f32 = 64.0;
/// About what one level costs in a published prior, bits.
const LEVEL_BITS: f64 = 6.0;
/// A prior is published if it saves this many times its own size.
const PAYS: f64 = 1.5;

/// What is known of a model: zeros and ones, in parts of [`COUNT_PARTS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Known([u16; 2]);

impl Known {
    fn of(counts: [f32; 2]) -> Known {
        Known(counts.map(|count| (count * COUNT_PARTS).round() as u16))
    }

    fn counts(self) -> [f32; 2] {
        self.0.map(|count| f32::from(count) / COUNT_PARTS)
    }
}

/// What an owner has counted.
#[derive(Debug, Clone)]
pub(crate) struct Learner {
    /// Zeros and ones of every model since the last look.
    pub(crate) tally: Tally,
    /// Those of the time before.
    known: Sparse<Known>,
    /// Ticks since the first.
    ticks: u64,
    /// Ticks since the last look.
    window: u64,
}

impl Learner {
    /// Begins with what a prior knows.
    pub(crate) fn new(prior: &Prior) -> Learner {
        let models = prior.levels().len();
        let mut known = Sparse::new(models);
        for (model, level) in prior.levels().iter().enumerate().filter(|(_, level)| *level != 0) {
            let zero = f32::from(zero_at(level)) / 65536.0;
            *known.at(model) = Known::of([INHERITED * zero, INHERITED * (1.0 - zero)]);
        }
        Learner { tally: Tally::new(models), known, ticks: 0, window: 0 }
    }

    /// A tick was coded with `prior`: the prior to publish now, if one pays.
    pub(crate) fn poll(&mut self, prior: &Prior) -> Option<Prior> {
        self.ticks += 1;
        self.window += 1;
        if self.window < self.due() {
            return None;
        }
        if self.tally.seen().next().is_none() {
            // Nothing moved: what is known is what was known, and pays as little as it did.
            self.window = 0;
            return None;
        }
        let levels = self.levels(prior.levels().len());
        let saved: f64 = self
            .tally
            .seen()
            .map(|(model, seen)| {
                let seen = seen.0.map(f64::from);
                cost(seen, prior.levels().at(model)) - cost(seen, levels[model])
            })
            .sum();
        let horizon = self.ticks.min(HORIZON_TICKS_MAX) as f64 / self.window as f64;
        self.window = 0;
        let next = prior.next(&levels);
        let mut bytes = Vec::new();
        next.encode(&mut bytes);
        let pays = saved * horizon > PAYS * 8.0 * bytes.len() as f64;
        self.tally.reset(if pays { next.levels() } else { prior.levels() });
        pays.then_some(next)
    }

    /// Ticks until the next look, at least.
    pub(crate) fn ticks_to_look(&self) -> u64 {
        self.due().saturating_sub(self.window)
    }

    /// Ticks from the last look to the next.
    fn due(&self) -> u64 {
        (self.ticks / 2).clamp(*WINDOW_TICKS.start(), *WINDOW_TICKS.end())
    }

    /// A new prior from all that was counted, at once.
    pub(crate) fn force(&mut self, prior: &Prior) -> Prior {
        let levels = self.levels(prior.levels().len());
        let next = prior.next(&levels);
        self.tally.reset(next.levels());
        next
    }

    /// The levels that fit what was counted; 0 where a level would cost more than it saves.
    fn levels(&mut self, models: usize) -> Vec<i8> {
        for (model, seen) in self.tally.seen() {
            let known = self.known.at(model);
            let mut counts = known.counts();
            (0..2).for_each(|bit| counts[bit] += f32::from(seen.0[bit]));
            let sum = counts[0] + counts[1];
            if sum > COUNT_MAX {
                counts = counts.map(|count| count * COUNT_MAX / sum);
            }
            *known = Known::of(counts);
        }
        let mut levels = vec![0; models];
        for (model, known) in self.known.iter().filter(|(_, known)| *known != Known::default()) {
            let counts = known.counts();
            let level = (8.0 * ((counts[0] + 0.4) / (counts[1] + 0.4)).ln()).round();
            let level = level.clamp(-f32::from(LEVEL_MAX), f32::from(LEVEL_MAX)) as i8;
            let counts = counts.map(f64::from);
            let saves = cost(counts, 0) - cost(counts, level);
            if saves > LEVEL_BITS {
                levels[model] = level;
            }
        }
        levels
    }
}

/// What these zeros and ones cost at a level, bits.
fn cost(counts: [f64; 2], level: i8) -> f64 {
    let zero = f64::from(zero_at(level)) / 65536.0;
    -counts[0] * zero.log2() - counts[1] * (1.0 - zero).log2()
}
