//! A hash field's name.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

/// Bytes of a name that stand in itself. Those of a match have no more, but where a kind's name or a number is long.
const INLINE_BYTES: usize = 16;

/// The name of a hash field: any bytes. Short ones stand in the tree of a match's fields itself, so that whoever looks for
/// one does not fetch each name it passes from elsewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldName(SmallVec<[u8; INLINE_BYTES]>);

impl Deref for FieldName {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// A name is ordered and compared as its bytes are.
impl Borrow<[u8]> for FieldName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<[u8]> for FieldName {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl From<&[u8]> for FieldName {
    fn from(bytes: &[u8]) -> FieldName {
        FieldName(SmallVec::from_slice(bytes))
    }
}

impl From<&str> for FieldName {
    fn from(text: &str) -> FieldName {
        text.as_bytes().into()
    }
}

impl From<String> for FieldName {
    fn from(text: String) -> FieldName {
        text.into_bytes().into()
    }
}

impl From<Vec<u8>> for FieldName {
    /// One that is short does not keep the vector's memory.
    fn from(bytes: Vec<u8>) -> FieldName {
        bytes.as_slice().into()
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.escape_ascii().to_string(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_name_is_found_by_its_bytes_however_long_it_is() {
        let names: Vec<Vec<u8>> = (0..40).map(|length| vec![b'~'; length]).collect();
        let fields: BTreeMap<FieldName, usize> =
            names.iter().map(|name| (FieldName::from(name.clone()), name.len())).collect();
        for name in &names {
            assert_eq!(fields.get(name.as_slice()), Some(&name.len()));
            assert_eq!(&*FieldName::from(name.as_slice()), name.as_slice());
        }
        assert!(fields.keys().is_sorted_by(|a, b| a.len() < b.len()));
    }

    #[test]
    fn the_names_that_every_tick_looks_for_take_no_memory_of_their_own() {
        assert_eq!(size_of::<FieldName>(), size_of::<Vec<u8>>());
        for name in ["~d4294967295", "~snapshot_tick", "~committed_ms", "~lease_ms", "player:65535"] {
            assert!(!FieldName::from(name).0.spilled(), "{name}");
        }
        assert_eq!(format!("{:?}", FieldName::from(b"~d7\xff".as_slice())), r#""~d7\\xff""#);
    }
}
