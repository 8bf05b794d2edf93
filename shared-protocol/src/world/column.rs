//! One integer field of a kind: its bounds, how its next value is guessed from the last three, and what
//! those three say about how it moves. Pure arithmetic on values; knows no entity.

use crate::schema::{FieldType, Predictor};
use crate::varint::DecodeError;

/// Where a field's values are and how they behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Integer column `at` within bounds; `linear` says how it is predicted.
    Int { at: usize, min: i32, max: i32, linear: bool },
    /// Integer column `at` that wraps at 2^bits.
    Angle { at: usize, bits: u8, linear: bool },
    /// Text column `at` of at most `bytes_max` bytes.
    Text { at: usize, bytes_max: usize },
}

/// An integer field's values at the last three committed ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Past {
    /// Value of the committed tick.
    pub(crate) last: i32,
    /// Value one tick before.
    pub(crate) prior: i32,
    /// Value two ticks before.
    pub(crate) older: i32,
}

impl Column {
    /// Column `at` among the kind's integers or, for a text, among its texts.
    pub(crate) fn new(holds: FieldType, predictor: Predictor, at: usize) -> Column {
        let linear = predictor == Predictor::Linear;
        match holds {
            FieldType::Int { min, max } => Column::Int { at, min, max, linear },
            FieldType::Angle { bits } => Column::Angle { at, bits, linear },
            FieldType::Text { bytes_max } => Column::Text { at, bytes_max: usize::from(bytes_max) },
        }
    }

    /// Place among the kind's integers; `None` for a text.
    #[inline]
    pub(crate) fn int_at(self) -> Option<usize> {
        match self {
            Column::Int { at, .. } | Column::Angle { at, .. } => Some(at),
            Column::Text { .. } => None,
        }
    }

    /// Whether it is guessed to go on as it went.
    #[inline]
    pub(crate) fn is_linear(self) -> bool {
        matches!(self, Column::Int { linear: true, .. } | Column::Angle { linear: true, .. })
    }

    /// The value nearest to this number: clamped to the bounds, or wrapped.
    #[inline]
    pub(crate) fn fit(self, value: i64) -> i32 {
        match self {
            Column::Int { min, max, .. } => value.clamp(i64::from(min), i64::from(max)) as i32,
            Column::Angle { bits, .. } => wrap(value, bits),
            Column::Text { .. } => 0,
        }
    }

    /// `to - from`; for an angle the short way round.
    #[inline]
    pub(crate) fn difference(self, to: i32, from: i32) -> i64 {
        let difference = i64::from(to) - i64::from(from);
        match self {
            Column::Angle { bits, .. } => shortest(difference, bits),
            _ => difference,
        }
    }

    /// The value at this difference from another; `None` when there is none.
    #[inline]
    pub(crate) fn displaced(self, from: i32, difference: i64) -> Option<i32> {
        match self {
            Column::Int { min, max, .. } => {
                let value = i64::from(from).checked_add(difference)?;
                i32::try_from(value).ok().filter(|value| (min..=max).contains(value))
            }
            Column::Angle { bits, .. } => (shortest(difference, bits) == difference)
                .then(|| wrap(i64::from(from).wrapping_add(difference), bits)),
            Column::Text { .. } => None,
        }
    }

    /// A value written as its difference from another: an angle's is not taken the short way round.
    pub(crate) fn in_bounds(self, from: i32, difference: i64) -> Result<i32, DecodeError> {
        let value =
            i64::from(from).checked_add(difference).filter(|value| i64::from(self.fit(*value)) == *value);
        value.map(|value| value as i32).ok_or(DecodeError::Range("field value"))
    }

    /// The past in which these steps led to a value; the step before counts for a linear field only. `None`
    /// when there is none.
    pub(crate) fn past(self, last: i32, step: i64, step_before: i64) -> Option<Past> {
        let before = |from: i32, step: i64| {
            let value = self.fit(i64::from(from).checked_sub(step)?);
            (self.difference(from, value) == step).then_some(value)
        };
        let prior = before(last, step)?;
        let older = if self.is_linear() { before(prior, step_before)? } else { prior };
        Some(Past { last, prior, older })
    }

    /// The guess for the tick after `last`, whose own tick before was `prior`.
    #[inline]
    pub(crate) fn predicted(self, last: i32, prior: i32) -> i32 {
        if self.is_linear() {
            // Modulo a full turn the short way round makes no difference.
            self.fit(2 * i64::from(last) - i64::from(prior))
        } else {
            last
        }
    }

    /// The guess for the tick `span` ticks after the last: a linear field goes on at the mean of its last
    /// `known` steps, at most two.
    pub(crate) fn predicted_after(self, past: Past, span: u32, known: u8) -> i32 {
        if !self.is_linear() || known == 0 {
            return past.last;
        }
        let step = self.step(past);
        let moved = match known {
            1 => step * i64::from(span),
            _ => (step + self.step_before(past)) * i64::from(span) / 2,
        };
        self.fit(i64::from(past.last) + moved)
    }

    /// How far it went in the last tick.
    #[inline]
    pub(crate) fn step(self, past: Past) -> i64 {
        self.difference(past.last, past.prior)
    }

    /// How far it went in the tick before the last.
    #[inline]
    pub(crate) fn step_before(self, past: Past) -> i64 {
        self.difference(past.prior, past.older)
    }

    /// What the last three ticks say about the next: the guess, the last step, and the echo, by how much the
    /// last tick's value differed from its own guess.
    #[inline(always)]
    pub(crate) fn motion(self, past: Past) -> (i32, i64, i64) {
        let Past { last, prior, .. } = past;
        let step = self.step(past);
        if self.is_linear() {
            let echo = self.difference(last, self.predicted(prior, past.older));
            (self.predicted(last, prior), step, echo)
        } else {
            (last, step, step)
        }
    }

    /// Whether the past of the next tick differs from the present one even if the value stays.
    #[inline]
    pub(crate) fn moves(self, past: Past) -> bool {
        past.last != past.prior || (self.is_linear() && past.prior != past.older)
    }
}

/// A number on the circle of 2^bits.
#[inline]
fn wrap(value: i64, bits: u8) -> i32 {
    (value & ((1 << bits) - 1)) as i32
}

/// The short way round for a difference on the circle of 2^bits: from -2^(bits-1) to 2^(bits-1) - 1.
#[inline]
fn shortest(difference: i64, bits: u8) -> i64 {
    let half = 1i64 << (bits - 1);
    (difference.wrapping_add(half) & ((1 << bits) - 1)) - half
}
