//! The probabilities that a match's diffs are coded with. They stay as they are from one prior to the next,
//! so that any tick decodes from the state before it and the prior alone. A prior is published by the owner,
//! carried in snapshots, and kept in the match's hash.

use std::sync::Arc;

use crate::coder::{AdaptiveDecoder, AdaptiveEncoder, AdaptiveModels, Coder, NUMBER_MODELS, Number};
use crate::models::Models;
use crate::range::{RangeDecoder, RangeEncoder};
use crate::schema::Schema;
use crate::varint::DecodeError;

/// Models whose levels have their places beside each other.
const BLOCK: usize = 32;

/// Greatest level: a bit is all but certain.
pub(crate) const LEVEL_MAX: i8 = 63;

/// Probability of a zero at levels 0 to 63, in 1/65536: 65536 / (1 + exp(-level / 8)), rounded. At level -n
/// it is 65536 less that of level n.
const ZEROS: [u16; LEVEL_MAX as usize + 1] = [
    32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581, 54754, 55834,
    56822, 57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778, 63090, 63368, 63615, 63835,
    64030, 64203, 64357, 64494, 64614, 64721, 64816, 64900, 64974, 65039, 65097, 65149, 65194, 65234, 65269,
    65300, 65328, 65352, 65374, 65393, 65410, 65425, 65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495,
    65500, 65504, 65508, 65511,
];

/// The probabilities of a schema's models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prior {
    number: u8,
    levels: Levels,
    pub(crate) models: Arc<Models>,
}

/// A level for each model, of -[`LEVEL_MAX`] to [`LEVEL_MAX`]. Nearly all are 0: blocks of nothing but those share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Levels {
    count: usize,
    /// For each [`BLOCK`] of models its place among the values, in blocks.
    blocks: Vec<u16>,
    /// Begins with the block of zeros.
    values: Vec<i8>,
}

impl Levels {
    /// These.
    pub(crate) fn of(levels: &[i8]) -> Levels {
        let mut values = vec![0; BLOCK];
        let blocks = levels.chunks(BLOCK).map(|block| {
            if block.iter().all(|level| *level == 0) {
                return 0;
            }
            let place = values.len() / BLOCK;
            values.extend_from_slice(block);
            values.resize((place + 1) * BLOCK, 0);
            u16::try_from(place).expect("a schema's limits keep models few enough")
        });
        let blocks = blocks.collect();
        values.shrink_to_fit();
        Levels { count: levels.len(), blocks, values }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// That of a model.
    #[inline(always)]
    pub(crate) fn at(&self, model: usize) -> i8 {
        self.values[usize::from(self.blocks[model / BLOCK]) * BLOCK + model % BLOCK]
    }

    /// That of a model, 0 behind the last.
    pub(crate) fn at_or_zero(&self, model: usize) -> i8 {
        if model < self.count { self.at(model) } else { 0 }
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i8> + '_ {
        (0..self.count).map(|model| self.at(model))
    }
}

impl Prior {
    /// The prior that every match begins with: number 0, every bit as likely as not.
    pub fn first(schema: &Schema) -> Arc<Prior> {
        let models = Arc::new(Models::new(schema));
        Arc::new(Prior { number: 0, levels: Levels::of(&vec![0; models.count]), models })
    }

    /// The prior after this one.
    pub(crate) fn next(&self, levels: &[i8]) -> Prior {
        Prior {
            number: self.number.wrapping_add(1),
            levels: Levels::of(levels),
            models: Arc::clone(&self.models),
        }
    }

    /// Counts the priors of a match, modulo 256; the first is 0.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The level of every model.
    pub(crate) fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Appends number and levels.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.number);
        let mut coder =
            AdaptiveEncoder { range: RangeEncoder::new(out), models: AdaptiveModels::new(MODELS) };
        let mut before = [0, 0];
        for level in self.levels.iter() {
            code_level(&mut coder, &mut before, level);
        }
        coder.range.finish();
    }

    /// Reads what [`Prior::encode`] wrote, for the same schema as this prior's.
    pub fn decode(&self, bytes: &[u8]) -> Result<Arc<Prior>, DecodeError> {
        let (number, coded) = bytes.split_first().ok_or(DecodeError::End)?;
        let models = AdaptiveModels::new(MODELS);
        let mut coder = AdaptiveDecoder { range: RangeDecoder::new(coded), models };
        let mut before = [0, 0];
        let mut levels = Vec::with_capacity(self.levels.len());
        for _ in 0..self.levels.len() {
            levels.push(code_level(&mut coder, &mut before, 0));
            if levels.last().is_some_and(|level| !(-LEVEL_MAX..=LEVEL_MAX).contains(level)) {
                return Err(DecodeError::Range("level"));
            }
        }
        coder.range.finish()?;
        Ok(Arc::new(Prior { number: *number, levels: Levels::of(&levels), models: Arc::clone(&self.models) }))
    }
}

/// Probability of a zero at a level, in 1/65536. By a table, for every coded bit asks.
#[inline(always)]
pub(crate) fn zero_at(level: i8) -> u16 {
    ZERO_AT[usize::from(level.cast_unsigned())]
}

/// By the level's eight bits; those beyond the greatest level are as certain as that is.
const ZERO_AT: [u16; 256] = {
    let mut all = [0; 256];
    let mut bits = 0;
    while bits < all.len() {
        let level = (bits as u8).cast_signed();
        let size =
            if level.unsigned_abs() > LEVEL_MAX as u8 { LEVEL_MAX as u8 } else { level.unsigned_abs() };
        let zero = ZEROS[size as usize];
        all[bits] = if level < 0 { zero.wrapping_neg() } else { zero };
        bits += 1;
    }
    all
};

// Models of the levels' own coding.
const PRESENT: usize = 0;
const SIGN: usize = PRESENT + 9;
const NUMBER: usize = SIGN + 3;
const MODELS: usize = NUMBER + NUMBER_MODELS;

/// One level, by whether the two before are 0 and which sign the last had.
fn code_level(coder: &mut impl Coder, before: &mut [i8; 2], level: i8) -> i8 {
    let class = |level: i8| (level.signum() + 1) as usize;
    let present = PRESENT + class(before[0]) * 3 + class(before[1]);
    let coded = if coder.bit(present, level != 0) {
        let coded = coder.difference(SIGN + class(before[0]), Number::at(NUMBER), i64::from(level));
        coded.clamp(i64::from(i8::MIN), i64::from(i8::MAX)) as i8
    } else {
        0
    };
    *before = [coded, before[0]];
    coded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn levels_that_are_all_zero_take_one_block() {
        let levels = Levels::of(&[0; 1000 * BLOCK]);
        assert_eq!((levels.len(), levels.values.len()), (1000 * BLOCK, BLOCK));
        let mut one = vec![0; 1000 * BLOCK];
        one[500 * BLOCK + 7] = -3;
        let levels = Levels::of(&one);
        assert_eq!((levels.at(500 * BLOCK + 7), levels.values.len()), (-3, 2 * BLOCK));
    }

    proptest! {
        #[test]
        fn every_level_is_found_again(
            blocks in prop::collection::vec(prop_oneof![
                Just(vec![0; BLOCK]),
                prop::collection::vec(-LEVEL_MAX..=LEVEL_MAX, BLOCK),
            ], 0..20),
            left in prop::collection::vec(-LEVEL_MAX..=LEVEL_MAX, 0..BLOCK),
        ) {
            let levels: Vec<i8> = blocks.into_iter().flatten().chain(left).collect();
            let kept = Levels::of(&levels);
            prop_assert_eq!(kept.len(), levels.len());
            prop_assert_eq!(kept.iter().collect::<Vec<i8>>(), levels);
        }
    }
}
