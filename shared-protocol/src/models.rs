//! Which model codes what: the numbering of a schema's models, and the contexts that choose among them.
//! Part of the wire format: docs/wire.md has every number.

use crate::coder::{MANTISSA_MODELS, NUMBER_MODELS, Number};
use crate::schema::{FieldType, Schema};

/// Kinds with at most this many entities code a flag for each; larger ones only for those that move.
pub(crate) const SMALL_KIND: usize = 32;

// Models of a kind, from its base on.
const CHANGED: usize = 0;
const CHANGED_MODELS: usize = 4 * 2 * 6 * 4;
const GONE: usize = CHANGED + CHANGED_MODELS;
const WOKEN_COUNT: usize = GONE + 2;
const WOKEN_GAP: usize = WOKEN_COUNT + NUMBER_MODELS;
const BORN_COUNT: usize = WOKEN_GAP + NUMBER_MODELS;
const BORN_GAP: usize = BORN_COUNT + NUMBER_MODELS;
const KIND_MODELS: usize = BORN_GAP + NUMBER_MODELS;

// Models of an integer field, from its base on.
/// Classes of an echo, see [`Habit`].
const ECHOES: usize = 9;
const DIFFERS: usize = 0;
const DIFFERS_MODELS: usize = ECHOES * 3 * 3;
const SIGN: usize = DIFFERS + DIFFERS_MODELS;
const SIGN_MODELS: usize = ECHOES * 3;
const UNARY: usize = SIGN + SIGN_MODELS;
/// Bits of an echo that are told apart, 0 to 6, and more; classes of the widest residual beside.
const WIDTHS: usize = 8;
const BESIDES: usize = 4;
/// Models of a residual's exponent; the last one serves all greater ones.
const RESIDUAL_UNARY_MODELS: usize = 12;
const MANTISSA: usize = UNARY + WIDTHS * BESIDES * RESIDUAL_UNARY_MODELS;
const BIRTH_DIFFERS: usize = MANTISSA + MANTISSA_MODELS;
const BIRTH_SIGN: usize = BIRTH_DIFFERS + 1;
const BIRTH_NUMBER: usize = BIRTH_SIGN + 1;
const INT_MODELS: usize = BIRTH_NUMBER + NUMBER_MODELS;

/// Models of a text field: one for each number of changed fields before it.
const TEXT_MODELS: usize = 3;

/// The numbering of a schema's models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Models {
    pub(crate) kinds: Vec<KindModels>,
    pub(crate) count: usize,
}

/// Where a kind's models begin, and those of each of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KindModels {
    base: usize,
    pub(crate) fields: Vec<FieldModels>,
}

/// Where a field's models begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldModels(usize);

impl Models {
    pub(crate) fn new(schema: &Schema) -> Models {
        let mut count = 0;
        let mut take = |models: usize| {
            count += models;
            count - models
        };
        let kinds = schema.kinds().iter().map(|kind| KindModels {
            base: take(KIND_MODELS),
            fields: kind
                .fields
                .iter()
                .map(|field| match field.holds {
                    FieldType::Text { .. } => FieldModels(take(TEXT_MODELS)),
                    _ => FieldModels(take(INT_MODELS)),
                })
                .collect(),
        });
        Models { kinds: kinds.collect(), count }
    }
}

impl KindModels {
    /// Whether an entity changes otherwise than predicted, by what it did lately and what the two entities
    /// before it do now.
    pub(crate) fn changed(&self, lately: Lately, neighbours: usize) -> usize {
        let Lately { surprised, moving, widest } = lately;
        self.base
            + CHANGED
            + ((surprised.min(3) * 2 + usize::from(moving)) * 6 + widest.min(5)) * 4
            + neighbours
    }

    /// Whether it goes, by whether it was expected to change at all.
    pub(crate) fn gone(&self, woken: bool) -> usize {
        self.base + GONE + usize::from(woken)
    }

    /// How many that lay still are mentioned.
    pub(crate) fn woken_count(&self) -> Number {
        Number::at(self.base + WOKEN_COUNT)
    }

    /// How far the next of them is.
    pub(crate) fn woken_gap(&self) -> Number {
        Number::at(self.base + WOKEN_GAP)
    }

    /// How many are born.
    pub(crate) fn born_count(&self) -> Number {
        Number::at(self.base + BORN_COUNT)
    }

    /// How far the next of them is.
    pub(crate) fn born_gap(&self) -> Number {
        Number::at(self.base + BORN_GAP)
    }
}

impl FieldModels {
    /// Whether the value differs from its guess. `before`: of the two fields before, how many do.
    #[inline]
    pub(crate) fn differs(self, habit: Habit, before: usize) -> usize {
        self.0 + DIFFERS + (usize::from(habit.echo) * 3 + usize::from(habit.pace)) * 3 + before
    }

    /// Whether it differs downwards.
    #[inline]
    pub(crate) fn sign(self, habit: Habit) -> usize {
        self.0 + SIGN + usize::from(habit.echo) * 3 + usize::from(habit.direction)
    }

    /// By how much. `widest`: bits of the widest residual of the fields before.
    #[inline]
    pub(crate) fn residual(self, habit: Habit, widest: usize) -> Number {
        let set = usize::from(habit.width).min(WIDTHS - 1) * BESIDES + usize::from(BESIDE[widest]);
        Number {
            unary: self.0 + UNARY + set * RESIDUAL_UNARY_MODELS,
            unary_models: RESIDUAL_UNARY_MODELS,
            mantissa: self.0 + MANTISSA,
        }
    }

    /// Whether a newborn's value differs from the default.
    pub(crate) fn birth_differs(self) -> usize {
        self.0 + BIRTH_DIFFERS
    }

    /// Whether it differs downwards.
    pub(crate) fn birth_sign(self) -> usize {
        self.0 + BIRTH_SIGN
    }

    /// By how much.
    pub(crate) fn birth_number(self) -> Number {
        Number::at(self.0 + BIRTH_NUMBER)
    }

    /// Whether a text changes.
    pub(crate) fn text_changed(self, before: usize) -> usize {
        self.0 + before
    }
}

/// What an entity did in the last tick.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lately {
    /// Fields that differed from their guess.
    pub(crate) surprised: usize,
    /// Whether any field went anywhere.
    pub(crate) moving: bool,
    /// Bits of the widest surprise.
    pub(crate) widest: usize,
}

/// Bits of a number's size: 0 for 0, 1 for 1, 2 for 2 and 3, ...
#[inline]
pub(crate) fn bits(value: i64) -> usize {
    // One more bit below keeps 0 from being a case of its own.
    (value.unsigned_abs() << 1 | 1).ilog2() as usize
}

/// How a field moved in the last tick, as far as it chooses models.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Habit {
    /// Class of the echo: 0, 1, -1, 2 to 3, -2 to -3, 4 to 15, -4 to -15, 16 and more, -16 and less.
    echo: u8,
    /// Bits of the echo.
    pub(crate) width: u8,
    /// Class of the step: 0, up to 7, more.
    pace: u8,
    /// Sign of the step: 0 down, 1 none, 2 up.
    direction: u8,
}

impl Habit {
    /// Of a field that went by `step`, and by `echo` otherwise than guessed. By tables, because branches on
    /// what is as good as random cost more than all the rest.
    #[inline]
    pub(crate) fn new(echo: i64, step: i64) -> Habit {
        let width = bits(echo);
        Habit {
            echo: ECHO[width] + u8::from(echo < 0),
            width: width as u8,
            pace: PACE[bits(step)],
            direction: (step.signum() + 1) as u8,
        }
    }
}

/// By bits of a number: 0, then pairs of classes for 1, 2 to 3, 4 to 15, and more.
const ECHO: [u8; 65] = by_bits([(0, 0), (1, 1), (2, 3), (4, 5)], 7);
/// By bits: 0, 1 to 7, more.
const PACE: [u8; 65] = by_bits([(0, 0), (3, 1), (3, 1), (3, 1)], 2);
/// By bits of the widest residual: none, 1 to 2, 3 to 5, more.
const BESIDE: [u8; 65] = by_bits([(0, 0), (2, 1), (5, 2), (5, 2)], 3);

/// A class for each number of bits: that of the first limit it does not exceed, or else the last.
const fn by_bits(limits: [(usize, u8); 4], rest: u8) -> [u8; 65] {
    let mut classes = [rest; 65];
    let mut bits = 0;
    while bits < classes.len() {
        let mut limit = limits.len();
        while limit > 0 {
            limit -= 1;
            if bits <= limits[limit].0 {
                classes[bits] = limits[limit].1;
            }
        }
        bits += 1;
    }
    classes
}
