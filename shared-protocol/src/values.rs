//! The values of an input: a few numbers, kept where they stand, without memory of their own for as many as most games have.

use std::fmt;
use std::ops::Deref;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

/// As many take the room that the place of others elsewhere would take.
const INLINE: usize = 4;

/// One value for each input field of the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputValues(SmallVec<[i32; INLINE]>);

impl Deref for InputValues {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        &self.0
    }
}

impl From<&[i32]> for InputValues {
    fn from(values: &[i32]) -> InputValues {
        InputValues(values.into())
    }
}

impl From<Vec<i32>> for InputValues {
    fn from(values: Vec<i32>) -> InputValues {
        values.as_slice().into()
    }
}

impl FromIterator<i32> for InputValues {
    fn from_iter<I: IntoIterator<Item = i32>>(values: I) -> InputValues {
        InputValues(values.into_iter().collect())
    }
}

impl Serialize for InputValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for InputValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InputValues, D::Error> {
        deserializer.deserialize_seq(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = InputValues;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the values of an input")
    }

    /// Takes memory for values that have come, never for those that are announced.
    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<InputValues, A::Error> {
        let mut taken = SmallVec::new();
        while let Some(value) = values.next_element()? {
            taken.push(value);
        }
        Ok(InputValues(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_most_games_have_take_no_memory_of_their_own() {
        assert_eq!(size_of::<InputValues>(), size_of::<Vec<i32>>());
        let count = allocation_counter::measure(|| drop(InputValues::from(&[1, 2, 3, 4][..]))).count_total;
        assert_eq!(count, 0);
    }

    #[test]
    fn they_are_written_as_a_list_and_read_again() {
        for values in [vec![], vec![7], vec![1, -2, i32::MAX, i32::MIN], (0..32).collect()] {
            let written = serde_json::to_string(&InputValues::from(values.clone())).unwrap();
            assert_eq!(written, serde_json::to_string(&values).unwrap());
            assert_eq!(serde_json::from_str::<InputValues>(&written).unwrap()[..], values);
        }
    }
}
