//! The parts of a frame of a match in segments, one after another, by ascending segment. A node cuts a client's frame out
//! of the owner's by leaving out what is not for it: no part depends on another, and none is coded again.
//!
//! ```text
//! CHANGED   varint segment << 2        varint length   diff
//! PROVEN    varint segment << 2 | 1    u32 hash        varint length   diff
//! ENTERED   varint segment << 2 | 2    u32 hash        varint length   snapshot
//! LEFT      varint segment << 2 | 3
//! ```
//! A segment that is not mentioned goes on as it is guessed to, as by a diff without a byte; in a frame over several ticks
//! it stays as it is.

use crate::ids::SegmentId;
use crate::limits::SEGMENTS_MAX;
use crate::varint::{DecodeError, Reader, put as put_varint, put_bytes};

/// What becomes of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section<'a> {
    /// It changes to the next tick.
    Changed {
        /// Hash of the segment afterwards, where it is carried.
        hash: Option<u32>,
        /// A diff of its entities.
        payload: &'a [u8],
    },
    /// The client gets it from now on, or anew.
    Entered {
        /// Hash of the segment.
        hash: u32,
        /// A snapshot of its entities.
        payload: &'a [u8],
    },
    /// The client does not get it any more, and forgets its entities.
    Left,
}

const CHANGED: u64 = 0;
const PROVEN: u64 = 1;
const ENTERED: u64 = 2;
const LEFT: u64 = 3;

/// Appends a section.
pub fn put(out: &mut Vec<u8>, segment: SegmentId, section: Section<'_>) {
    let head = u64::from(segment.0) << 2;
    match section {
        Section::Changed { hash: None, payload } => {
            put_varint(out, head | CHANGED);
            put_bytes(out, payload);
        }
        Section::Changed { hash: Some(hash), payload } => {
            put_varint(out, head | PROVEN);
            out.extend_from_slice(&hash.to_le_bytes());
            put_bytes(out, payload);
        }
        Section::Entered { hash, payload } => {
            put_varint(out, head | ENTERED);
            out.extend_from_slice(&hash.to_le_bytes());
            put_bytes(out, payload);
        }
        Section::Left => put_varint(out, head | LEFT),
    }
}

/// The sections of a frame, in order; after the first error there is nothing more.
#[derive(Debug, Clone)]
pub struct Sections<'a> {
    reader: Reader<'a>,
    next: u64,
}

/// One section, and the bytes that it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut<'a> {
    /// Of which segment.
    pub segment: SegmentId,
    /// What becomes of it.
    pub section: Section<'a>,
    /// All of the section, as [`put`] wrote it.
    pub bytes: &'a [u8],
}

impl<'a> Sections<'a> {
    /// Reads what follows a frame's header.
    pub fn new(bytes: &'a [u8]) -> Sections<'a> {
        Sections { reader: Reader::new(bytes), next: 0 }
    }

    fn read(&mut self) -> Result<Cut<'a>, DecodeError> {
        let begin = self.reader.rest();
        let head = self.reader.varint()?;
        let number = head >> 2;
        if number < self.next {
            return Err(DecodeError::State("sections out of order"));
        }
        if number >= SEGMENTS_MAX as u64 {
            return Err(DecodeError::Range("segment"));
        }
        self.next = number + 1;
        let form = head & 3;
        let hash = match form {
            PROVEN | ENTERED => Some(u32::from_le_bytes(self.reader.array()?)),
            _ => None,
        };
        let section = match (form, hash) {
            (LEFT, _) => Section::Left,
            (ENTERED, Some(hash)) => Section::Entered { hash, payload: self.payload()? },
            _ => Section::Changed { hash, payload: self.payload()? },
        };
        let bytes = &begin[..begin.len() - self.reader.rest().len()];
        Ok(Cut { segment: SegmentId(number as u16), section, bytes })
    }

    fn payload(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.reader.varint()?;
        self.reader.take(usize::try_from(length).map_err(|_| DecodeError::End)?)
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Cut<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.rest().is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(read)
    }
}

/// Where the sections of a frame are: made once a tick, to cut from for everybody.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Ascending.
    places: Vec<(SegmentId, std::ops::Range<usize>)>,
}

impl Index {
    /// Of what follows a frame's header.
    pub fn of(bytes: &[u8]) -> Result<Index, DecodeError> {
        let mut places = Vec::new();
        let mut at = 0;
        for cut in Sections::new(bytes) {
            let Cut { segment, bytes, .. } = cut?;
            places.push((segment, at..at + bytes.len()));
            at += bytes.len();
        }
        Ok(Index { places })
    }

    fn find(&self, segment: SegmentId) -> Option<std::ops::Range<usize>> {
        let place = self.places.binary_search_by_key(&segment, |(id, _)| *id).ok()?;
        Some(self.places[place].1.clone())
    }

    /// Appends what a client gets of the same bytes that had the segments of `before` in the tick before and has those of
    /// `now` from this one on, both ascending. `enter` appends the whole section of a segment that it gets anew; nothing
    /// where there is no entity in it.
    pub fn cut(
        &self,
        bytes: &[u8],
        before: &[SegmentId],
        now: &[SegmentId],
        mut enter: impl FnMut(SegmentId, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        for (segment, had, has) in merged(before, now) {
            match (had, has) {
                (true, true) => {
                    out.extend_from_slice(self.find(segment).map_or(&[], |place| &bytes[place]));
                }
                (false, true) => enter(segment, out),
                _ => put(out, segment, Section::Left),
            }
        }
    }
}

/// The segments of two views, ascending, each with whether it is in the one and in the other.
pub fn merged<'a>(
    before: &'a [SegmentId],
    now: &'a [SegmentId],
) -> impl Iterator<Item = (SegmentId, bool, bool)> + 'a {
    let (mut before, mut now) = (before.iter().copied().peekable(), now.iter().copied().peekable());
    std::iter::from_fn(move || {
        let next = [before.peek(), now.peek()].into_iter().flatten().min().copied()?;
        Some((next, before.next_if_eq(&next).is_some(), now.next_if_eq(&next).is_some()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u16, Section<'_>)>, DecodeError> {
        Sections::new(bytes).map(|cut| cut.map(|cut| (cut.segment.0, cut.section))).collect()
    }

    #[test]
    fn sections_come_back_and_their_bytes_are_slices() {
        let sections = [
            (0, Section::Changed { hash: None, payload: b"diff" }),
            (3, Section::Changed { hash: Some(7), payload: b"" }),
            (200, Section::Entered { hash: 9, payload: b"all" }),
            (4095, Section::Left),
        ];
        let mut bytes = Vec::new();
        for (number, section) in sections {
            put(&mut bytes, SegmentId(number), section);
        }
        assert_eq!(read(&bytes), Ok(sections.to_vec()));
        let cuts: Vec<&[u8]> = Sections::new(&bytes).map(|cut| cut.unwrap().bytes).collect();
        assert_eq!(cuts.concat(), bytes);
        assert_eq!(cuts[0].as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn what_is_out_of_order_too_far_or_cut_short_is_refused() {
        let of = |numbers: &[u16]| {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| put(&mut bytes, SegmentId(*number), Section::Left));
            bytes
        };
        assert!(read(&of(&[1, 2])).is_ok());
        assert_eq!(read(&of(&[2, 1])), Err(DecodeError::State("sections out of order")));
        assert_eq!(read(&of(&[2, 2])), Err(DecodeError::State("sections out of order")));
        assert_eq!(read(&of(&[SEGMENTS_MAX as u16])), Err(DecodeError::Range("segment")));
        let mut whole = Vec::new();
        put(&mut whole, SegmentId(5), Section::Entered { hash: 1, payload: b"some" });
        for end in 1..whole.len() {
            assert_eq!(read(&whole[..end]), Err(DecodeError::End), "{end}");
        }
        // A length near the end of its range takes no memory.
        assert_eq!(
            read(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Err(DecodeError::End)
        );
    }
}
