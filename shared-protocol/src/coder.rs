//! Bits and numbers coded with models: what diffs, snapshots, catch-ups and priors are written with. One
//! function says how a thing is coded, in both directions: an encoder writes the value it is given and gives
//! it back, a decoder ignores it and gives back what it read.

use crate::prior::{Levels, zero_at};
use crate::range::{RAW_BITS_MAX, RangeDecoder, RangeEncoder};
use crate::varint::DecodeError;

/// Greatest exponent of a coded number: a residual of 32-bit values is less than 2^33.
const EXPONENT_MAX: u32 = 32;
/// Models of a number's exponent, in unary; the last one serves all greater ones.
const UNARY_MODELS: usize = 18;
/// Exponents whose top mantissa bits have models of their own; the last one serves all greater ones.
const MANTISSAS: usize = 12;
/// Models of the top two mantissa bits.
pub(crate) const MANTISSA_MODELS: usize = 3 * MANTISSAS;
/// Models of a number: its exponent's, then its mantissa's.
pub(crate) const NUMBER_MODELS: usize = UNARY_MODELS + MANTISSA_MODELS;

/// Half: where an adaptive model starts, in 1/65536.
const HALF: u16 = 1 << 15;
/// An adaptive model follows by 1/2^shift of what it was wrong by: the shift is 1 for its first two bits, 2 for
/// the next two, and so on up to this one.
const ADAPTION_SHIFT_MAX: u8 = 5;

/// The models of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    /// First model of the exponent's unary code.
    pub(crate) unary: usize,
    /// How many there are; the last one serves all greater exponents.
    pub(crate) unary_models: usize,
    /// First model of the mantissa's top bits.
    pub(crate) mantissa: usize,
}

impl Number {
    /// [`NUMBER_MODELS`] from here on: the exponent's, then the mantissa's.
    #[inline(always)]
    pub(crate) fn at(base: usize) -> Number {
        Number { unary: base, unary_models: UNARY_MODELS, mantissa: base + UNARY_MODELS }
    }
}

/// One direction of coding with numbered models.
pub(crate) trait Coder {
    /// A bit by the model of this number.
    fn bit(&mut self, model: usize, bit: bool) -> bool;

    /// Up to 16 bits, each as likely as not.
    fn raw(&mut self, value: u32, bits: u32) -> u32;

    /// A number of 0 to 2^33 - 2: value + 1 is a 1 and `exponent` further bits.
    #[inline(always)]
    fn number(&mut self, models: Number, value: u64) -> u64 {
        let Number { unary, unary_models, mantissa } = models;
        let own = (value + 1).ilog2();
        let mut exponent = 0;
        while exponent < EXPONENT_MAX
            && self.bit(unary + (exponent as usize).min(unary_models - 1), exponent < own)
        {
            exponent += 1;
        }
        let bit = |at: u32| value.wrapping_add(1) >> at & 1 == 1;
        let model = mantissa + 3 * ((exponent as usize).min(MANTISSAS) - usize::from(exponent > 0));
        let mut coded = 1u64;
        let mut left = exponent;
        if left > 0 {
            left -= 1;
            let first = self.bit(model, bit(left));
            coded = coded << 1 | u64::from(first);
            if left > 0 {
                left -= 1;
                coded = coded << 1 | u64::from(self.bit(model + 1 + usize::from(first), bit(left)));
            }
        }
        while left > 0 {
            let bits = left.min(RAW_BITS_MAX);
            left -= bits;
            let chunk = (value.wrapping_add(1) >> left) as u32 & ((1 << bits) - 1);
            coded = coded << bits | u64::from(self.raw(chunk, bits));
        }
        coded - 1
    }

    /// A difference that is not 0: its sign by one model, then its size less 1.
    #[inline(always)]
    fn difference(&mut self, sign: usize, size: Number, value: i64) -> i64 {
        let negative = self.bit(sign, value < 0);
        let size = self.number(size, value.unsigned_abs().wrapping_sub(1) & 0x1_ffff_ffff) as i64 + 1;
        if negative { -size } else { size }
    }
}

/// Writes a text of at most 255 bytes: length and bytes, inverted, so that the zeros behind an end are no text.
pub(crate) fn write_text(coder: &mut impl Coder, text: &str) {
    coder.raw(255 - text.len() as u32, 8);
    for byte in text.bytes() {
        coder.raw(u32::from(!byte), 8);
    }
}

/// Reads a text of at most `bytes_max` bytes by way of a buffer.
pub(crate) fn read_text<'a>(
    coder: &mut impl Coder,
    bytes_max: usize,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a str, DecodeError> {
    let length = 255 - coder.raw(0, 8) as usize;
    if length > bytes_max {
        return Err(DecodeError::Range("text length"));
    }
    buffer.clear();
    buffer.extend((0..length).map(|_| !(coder.raw(0, 8) as u8)));
    std::str::from_utf8(buffer).map_err(|_| DecodeError::Utf8)
}

/// Writes with probabilities that stay as they are.
pub(crate) struct FixedEncoder<'a> {
    pub(crate) range: RangeEncoder<'a>,
    /// Of every model, see [`zero_at`].
    pub(crate) levels: &'a Levels,
}

impl Coder for FixedEncoder<'_> {
    #[inline(always)]
    fn bit(&mut self, model: usize, bit: bool) -> bool {
        self.range.bit(zero_at(self.levels.at(model)), bit);
        bit
    }

    #[inline(always)]
    fn raw(&mut self, value: u32, bits: u32) -> u32 {
        self.range.raw(value, bits);
        value
    }
}

/// Reads with probabilities that stay as they are.
pub(crate) struct FixedDecoder<'a> {
    pub(crate) range: RangeDecoder<'a>,
    /// Of every model, see [`zero_at`].
    pub(crate) levels: &'a Levels,
}

impl Coder for FixedDecoder<'_> {
    #[inline(always)]
    fn bit(&mut self, model: usize, _: bool) -> bool {
        self.range.bit(zero_at(self.levels.at(model)))
    }

    #[inline(always)]
    fn raw(&mut self, _: u32, bits: u32) -> u32 {
        self.range.raw(bits)
    }
}

/// Probabilities of a zero that follow the bits they are used for, each with how many bits it has had; all
/// start at one half.
pub(crate) struct AdaptiveModels(Vec<(u16, u8)>);

impl AdaptiveModels {
    pub(crate) fn new(count: usize) -> AdaptiveModels {
        AdaptiveModels(vec![(HALF, 0); count])
    }

    #[inline]
    fn zero(&self, model: usize) -> u16 {
        self.0[model].0
    }

    #[inline]
    fn update(&mut self, model: usize, bit: bool) {
        let (zero, had) = &mut self.0[model];
        let shift = (1 + *had / 2).min(ADAPTION_SHIFT_MAX);
        *had = had.saturating_add(1);
        *zero = if bit { *zero - (*zero >> shift) } else { *zero + ((u16::MAX - *zero) >> shift) };
    }
}

/// Writes with probabilities that adapt.
pub(crate) struct AdaptiveEncoder<'a> {
    pub(crate) range: RangeEncoder<'a>,
    pub(crate) models: AdaptiveModels,
}

impl Coder for AdaptiveEncoder<'_> {
    #[inline(always)]
    fn bit(&mut self, model: usize, bit: bool) -> bool {
        self.range.bit(self.models.zero(model), bit);
        self.models.update(model, bit);
        bit
    }

    #[inline(always)]
    fn raw(&mut self, value: u32, bits: u32) -> u32 {
        self.range.raw(value, bits);
        value
    }
}

/// Reads with probabilities that adapt.
pub(crate) struct AdaptiveDecoder<'a> {
    pub(crate) range: RangeDecoder<'a>,
    pub(crate) models: AdaptiveModels,
}

impl Coder for AdaptiveDecoder<'_> {
    #[inline(always)]
    fn bit(&mut self, model: usize, _: bool) -> bool {
        let bit = self.range.bit(self.models.zero(model));
        self.models.update(model, bit);
        bit
    }

    #[inline(always)]
    fn raw(&mut self, _: u32, bits: u32) -> u32 {
        self.range.raw(bits)
    }
}
