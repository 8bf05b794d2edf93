//! A binary range coder over bytes: 48-bit range, 16-bit probabilities, carry propagation, shortest flush.
//! Knows bits and their probabilities, never what they mean.
//!
//! The coder keeps an interval `[low, low + range)`, cuts it at a probability for every bit, and shifts out
//! the top two bytes when less than 32 bits of range are left (G. N. N. Martin, *Range encoding*, 1979; the
//! carry goes back into the bytes already written, as in M. Schindler's coder). The finished bytes are the
//! shortest that name a point of the last interval; a reader goes on with zeros behind them. 48 bits, because
//! every number that occurs is then an exact integer of JavaScript, and two bytes are shifted at once.

use crate::varint::DecodeError;

/// Bits of the range.
const BITS: u32 = 48;
/// Bits that are shifted at once.
const SHIFT: u32 = 16;
/// Below this range the next two bytes are shifted. One shift is always enough.
const RANGE_MIN: u64 = 1 << (BITS - SHIFT);
/// Most bits that go in at once without a probability.
pub(crate) const RAW_BITS_MAX: u32 = 16;

/// Writes bits behind whatever `out` holds already.
pub(crate) struct RangeEncoder<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    low: u64,
    range: u64,
}

impl<'a> RangeEncoder<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        RangeEncoder { start: out.len(), out, low: 0, range: (1 << BITS) - 1 }
    }

    /// Codes a bit that is 0 with probability `zero / 65536`, `zero` not 0.
    #[inline(always)]
    pub(crate) fn bit(&mut self, zero: u16, bit: bool) {
        let bound = (self.range >> 16) * u64::from(zero);
        let mask = u64::from(bit).wrapping_neg();
        self.low += bound & mask;
        self.range = (bound & !mask) | ((self.range - bound) & mask);
        self.shift_out();
    }

    /// Codes the low `bits` bits of a number, at most [`RAW_BITS_MAX`], each as likely as not.
    #[inline(always)]
    pub(crate) fn raw(&mut self, value: u32, bits: u32) {
        self.range >>= bits;
        self.low += u64::from(value) * self.range;
        self.shift_out();
    }

    /// Writes the shortest end.
    pub(crate) fn finish(mut self) {
        let last = self.low + self.range - 1;
        for kept in 0..=6usize {
            let free = (1u64 << (BITS as usize - 8 * kept)) - 1;
            let point = (self.low + free) & !free;
            if point <= last {
                self.low = point;
                self.settle_carry();
                self.out.extend_from_slice(&self.low.to_be_bytes()[2..2 + kept]);
                break;
            }
        }
        while self.out.len() > self.start && self.out.last() == Some(&0) {
            self.out.pop();
        }
    }

    #[inline(always)]
    fn shift_out(&mut self) {
        if self.range < RANGE_MIN {
            self.settle_carry();
            self.out.extend_from_slice(&((self.low >> (BITS - SHIFT)) as u16).to_be_bytes());
            self.low = self.low << SHIFT & ((1 << BITS) - 1);
            self.range <<= SHIFT;
        }
    }

    /// Moves a bit above the range into the bytes that are out already.
    #[inline(always)]
    fn settle_carry(&mut self) {
        if self.low >> BITS != 0 {
            self.low &= (1 << BITS) - 1;
            for byte in self.out[self.start..].iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
    }
}

/// Reads what a [`RangeEncoder`] wrote. Any bytes can be read without end; whether they were the whole
/// message shows in [`RangeDecoder::finish`].
pub(crate) struct RangeDecoder<'a> {
    bytes: &'a [u8],
    /// Bytes taken, those behind the end counted too.
    taken: usize,
    code: u64,
    range: u64,
}

impl<'a> RangeDecoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = RangeDecoder { bytes, taken: 0, code: 0, range: (1 << BITS) - 1 };
        for _ in 0..BITS / SHIFT {
            decoder.shift_in();
        }
        decoder
    }

    /// Reads a bit that is 0 with probability `zero / 65536`.
    #[inline(always)]
    pub(crate) fn bit(&mut self, zero: u16) -> bool {
        let bound = (self.range >> 16) * u64::from(zero);
        let bit = self.code >= bound;
        let mask = u64::from(bit).wrapping_neg();
        self.code -= bound & mask;
        self.range = (bound & !mask) | ((self.range - bound) & mask);
        self.fill();
        bit
    }

    /// Reads `bits` bits, at most [`RAW_BITS_MAX`].
    #[inline(always)]
    pub(crate) fn raw(&mut self, bits: u32) -> u32 {
        self.range >>= bits;
        // Bytes that no encoder wrote can lie beyond the interval.
        let value = (self.code / self.range).min((1 << bits) - 1);
        self.code -= value * self.range;
        self.fill();
        value as u32
    }

    /// Refuses bytes that were not needed, and an end that is not the shortest.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.taken < self.bytes.len() {
            return Err(DecodeError::Trailing(self.bytes.len() - self.taken));
        }
        match self.bytes.last() {
            Some(0) => Err(DecodeError::State("a coded payload that ends with a zero byte")),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn fill(&mut self) {
        if self.range < RANGE_MIN {
            self.shift_in();
            self.range <<= SHIFT;
        }
    }

    #[inline(always)]
    fn shift_in(&mut self) {
        let next = match self.bytes.get(self.taken..self.taken + 2) {
            Some(pair) => u64::from(pair[0]) << 8 | u64::from(pair[1]),
            None => self.bytes.get(self.taken).map_or(0, |last| u64::from(*last) << 8),
        };
        self.taken += 2;
        self.code = (self.code << SHIFT | next) & ((1 << BITS) - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_and_numbers_come_back(
            coded in prop::collection::vec((1u16.., any::<bool>(), 0u32..=RAW_BITS_MAX, any::<u16>()), 0..400),
            before in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let mut out = before.clone();
            let mut encoder = RangeEncoder::new(&mut out);
            for (zero, bit, bits, value) in &coded {
                encoder.bit(*zero, *bit);
                encoder.raw(u32::from(*value) & ((1 << bits) - 1), *bits);
            }
            encoder.finish();
            prop_assert_eq!(&out[..before.len()], &before[..], "what was there is left alone");
            let mut decoder = RangeDecoder::new(&out[before.len()..]);
            for (zero, bit, bits, value) in &coded {
                prop_assert_eq!(decoder.bit(*zero), *bit);
                prop_assert_eq!(decoder.raw(*bits), u32::from(*value) & ((1 << bits) - 1));
            }
            prop_assert_eq!(decoder.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_read_without_panic(bytes: Vec<u8>, probabilities in prop::collection::vec(1u16.., 0..200)) {
            let mut decoder = RangeDecoder::new(&bytes);
            for zero in probabilities {
                decoder.bit(zero);
                prop_assert!(decoder.raw(16) <= 0xffff);
            }
        }
    }

    #[test]
    fn what_was_likely_costs_nothing_and_what_is_left_over_is_refused() {
        let mut out = Vec::new();
        let mut encoder = RangeEncoder::new(&mut out);
        (0..1000).for_each(|_| encoder.bit(65_511, false));
        encoder.finish();
        assert!(out.is_empty(), "the zeros behind the end say it: {out:?}");
        let read = |bytes: &[u8]| {
            let mut decoder = RangeDecoder::new(bytes);
            assert_eq!(decoder.bit(32_768), !bytes.is_empty());
            decoder.finish()
        };
        assert_eq!(read(&[]), Ok(()));
        assert_eq!(read(&[0xff; 7]), Err(DecodeError::Trailing(1)));
        assert!(matches!(read(&[0xff, 0]), Err(DecodeError::State(_))));
    }

    #[test]
    fn a_carry_goes_into_bytes_already_written() {
        let mut out = vec![7];
        let mut encoder = RangeEncoder::new(&mut out);
        // Down to an interval that lies over the half, of which the lower bytes are out.
        let bits = [(32_767, true), (1, false), (32_768, true), (32_768, true)];
        bits[..2].iter().for_each(|(zero, bit)| encoder.bit(*zero, *bit));
        assert_eq!(*encoder.out, [7, 0x7f, 0xfe]);
        bits[2..].iter().for_each(|(zero, bit)| encoder.bit(*zero, *bit));
        encoder.finish();
        let mut decoder = RangeDecoder::new(&out[1..]);
        assert!(bits.iter().all(|(zero, bit)| decoder.bit(*zero) == *bit));
    }
}
