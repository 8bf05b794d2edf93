//! Bytes of the state codec: LEB128 varints, zigzag for signed numbers, and a reader that cannot overrun.

use thiserror::Error;

use crate::limits::VARINT_BYTES_MAX;

/// Why state bytes could not be read. The bytes came from outside: this is never a panic.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes ended too early.
    #[error("unexpected end of bytes")]
    End,
    /// A varint was longer than its shortest form or than 64 bits.
    #[error("varint out of form")]
    Varint,
    /// Bytes were left over.
    #[error("{0} trailing bytes")]
    Trailing(usize),
    /// A number was outside of what the schema or the state allows.
    #[error("{0} out of range")]
    Range(&'static str),
    /// A text was not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A text said that something exists which does not, or the other way round.
    #[error("{0}")]
    State(&'static str),
}

/// Appends a varint: seven bits a byte, low bits first, shortest form.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number as a zigzag varint: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a text or bytes: varint length, then the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads bytes front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::End)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::End)?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// A varint in its shortest form.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for position in 0..VARINT_BYTES_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if position == VARINT_BYTES_MAX - 1 && bits > 1 {
                return Err(DecodeError::Varint);
            }
            value |= bits << (7 * position);
            if byte < 0x80 {
                let shortest = byte != 0 || position == 0;
                return if shortest { Ok(value) } else { Err(DecodeError::Varint) };
            }
        }
        Err(DecodeError::Varint)
    }

    /// A zigzag varint.
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A varint that is at most `max`.
    pub fn bounded(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        match usize::try_from(self.varint()?) {
            Ok(value) if value <= max => Ok(value),
            _ => Err(DecodeError::Range(what)),
        }
    }

    /// A text of at most `bytes_max` bytes.
    pub fn text(&mut self, bytes_max: usize) -> Result<&'a str, DecodeError> {
        let length = self.bounded(bytes_max, "text length")?;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Utf8)
    }

    /// Refuses bytes that are left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: i64, raw: u64) {
            let mut out = Vec::new();
            put_signed(&mut out, value);
            put(&mut out, raw);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.signed(), Ok(value));
            prop_assert_eq!(reader.varint(), Ok(raw));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_read_without_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_ok() {}
        }
    }

    #[test]
    fn padded_and_oversized_varints_are_refused() {
        assert_eq!(Reader::new(&[0x80, 0x00]).varint(), Err(DecodeError::Varint));
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(DecodeError::Varint));
        assert_eq!(Reader::new(&[0x80]).varint(), Err(DecodeError::End));
    }
}
