//! Small traces made by hand, for tests.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{Trace, reading};

/// Type, id and values of an entity.
pub(crate) type Entity<'a> = (u8, u16, &'a [i32]);

/// A trace under construction: its bytes before compression.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    bytes: Vec<u8>,
    next: u32,
}

impl Sample {
    /// A trace of these types with their fields, at 30 Hz, without ticks.
    pub(crate) fn new(types: &[(&str, &[&str])]) -> Sample {
        let types: Vec<_> = types
            .iter()
            .map(|(name, fields)| serde_json::json!({ "name": name, "fields": fields }))
            .collect();
        Sample::with_header(&serde_json::json!({ "name": "sample", "hz": 30, "types": types }).to_string())
    }

    /// A trace with this header, without ticks.
    pub(crate) fn with_header(header: &str) -> Sample {
        let mut bytes = b"GTR1".to_vec();
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header.as_bytes());
        Sample { bytes, next: 0 }
    }

    /// Gives the next tick this number.
    pub(crate) fn at(self, next: u32) -> Sample {
        Sample { next, ..self }
    }

    /// Adds the next tick, with its entities in this order.
    pub(crate) fn tick(mut self, entities: &[Entity<'_>]) -> Sample {
        self.bytes.extend(self.next.to_le_bytes());
        self.bytes.extend((entities.len() as u16).to_le_bytes());
        for (kind, id, values) in entities {
            self.bytes.push(*kind);
            self.bytes.extend(id.to_le_bytes());
            self.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        self.next = self.next.wrapping_add(1);
        self
    }

    /// The bytes before compression.
    pub(crate) fn raw(self) -> Vec<u8> {
        self.bytes
    }

    /// The trace, compressed and read again.
    pub(crate) fn trace(self) -> Trace {
        reading::read("sample".to_owned(), compressed(&self.bytes).as_slice()).expect("a good trace")
    }
}

/// A zstd stream of these bytes.
pub(crate) fn compressed(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}
