//! Reads a trace from its file. Trusts nothing in it: what is not a whole trace is an error that says where,
//! and memory grows with what the file holds, never with what it claims.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::PathBuf;

use ruzstd::decoding::StreamingDecoder;
use serde::Deserialize;
use thiserror::Error;
use tickcast_protocol::EntityId;
use tickcast_protocol::limits::{ENTITIES_MAX, FIELDS_MAX, KINDS_MAX};

use super::{EntityType, Row, Trace};

const MAGIC: [u8; 4] = *b"GTR1";
/// Longest header, bytes.
const HEADER_BYTES_MAX: u32 = 256 * 1024;
/// Longest trace, bytes before compression: a small file may unfold to any size.
const TRACE_BYTES_MAX: u64 = 1 << 30;
/// Types of entity: a schema needs one more kind, for players.
const TYPES_MAX: usize = KINDS_MAX - 1;
/// How much is unfolded at a time, bytes: as much as a zstd block.
const CHUNK_BYTES: usize = 128 * 1024;

const _: () = assert!(TRACE_BYTES_MAX / 4 <= u32::MAX as u64, "where values begin is a u32");

/// A trace that cannot be read.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct TraceError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a trace.
#[derive(Debug, Error)]
pub enum Problem {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// It does not begin as a zstd stream does.
    #[error("not a zstd stream: {0}")]
    NotZstd(String),
    /// Its zstd stream is damaged or ends too early.
    #[error("the zstd stream is damaged or cut: {0}")]
    Damaged(io::Error),
    /// Something follows its zstd stream.
    #[error("something follows the zstd stream")]
    Trailing,
    /// The stream's checksum is not that of its content.
    #[error("the zstd stream's checksum is wrong")]
    Checksum,
    /// The stream does not begin with the magic bytes of a trace.
    #[error("not a trace: begins with `{0}`, not with `GTR1`")]
    Magic(String),
    /// The header is too long, not readable or asks for what a world cannot hold.
    #[error("header: {0}")]
    Header(String),
    /// The stream ends within the header or a tick.
    #[error("ends within {0}")]
    Cut(String),
    /// It holds no tick.
    #[error("holds no tick")]
    Empty,
    /// It is longer than a trace may be.
    #[error("longer than {TRACE_BYTES_MAX} bytes before compression")]
    Long,
    /// A tick does not come after the one before it.
    #[error("tick {found} follows tick {before}; numbers must ascend")]
    Ticks {
        /// The tick before.
        before: u32,
        /// What follows it.
        found: u32,
    },
    /// An entity has a type that the header does not have.
    #[error("tick {tick}: type {found} of an entity, the header has {types}")]
    Type {
        /// The tick.
        tick: u32,
        /// The entity's type.
        found: u8,
        /// How many types the header has.
        types: usize,
    },
    /// An entity's id is more than a world's index can be.
    #[error("tick {tick}: id {found} of an entity, the greatest possible is {}", ENTITIES_MAX - 1)]
    Id {
        /// The tick.
        tick: u32,
        /// The entity's id.
        found: u16,
    },
    /// Entities are not in ascending order, or one is there twice.
    #[error("tick {tick}: entity {found} (type:id) follows entity {before}; they must ascend, each once")]
    Order {
        /// The tick.
        tick: u32,
        /// The entity before.
        before: EntityId,
        /// The entity that follows it.
        found: EntityId,
    },
}

#[derive(Deserialize)]
struct Header {
    hz: f64,
    types: Vec<EntityType>,
}

/// Reads the trace of this name from its zstd stream.
pub(super) fn read(name: String, file: impl Read) -> Result<Trace, Problem> {
    let decoder = StreamingDecoder::new(BufReader::new(file));
    let decoder = decoder.map_err(|error| Problem::NotZstd(error.to_string()))?;
    let mut source = Source { inner: BufReader::with_capacity(CHUNK_BYTES, decoder), taken: 0 };
    let header = read_header(&mut source)?;
    let mut trace = Trace {
        name,
        hz: header.hz,
        types: header.types,
        numbers: Vec::new(),
        ends: Vec::new(),
        rows: Vec::new(),
        values: Vec::new(),
    };
    while !source.is_at_end()? {
        read_tick(&mut source, &mut trace)?;
    }
    if trace.ends.is_empty() {
        return Err(Problem::Empty);
    }
    finish(source.inner.into_inner())?;
    Ok(trace)
}

fn read_header(source: &mut Source<impl Read>) -> Result<Header, Problem> {
    let within = || "the header".to_owned();
    let magic = source.take(within)?;
    if magic != MAGIC {
        return Err(Problem::Magic(magic.escape_ascii().to_string()));
    }
    let length = u32::from_le_bytes(source.take(within)?);
    if length > HEADER_BYTES_MAX {
        return Err(Problem::Header(format!("{length} bytes, at most {HEADER_BYTES_MAX}")));
    }
    let mut json = vec![0; length as usize];
    source.fill(&mut json, within)?;
    let header: Header = serde_json::from_slice(&json).map_err(|error| Problem::Header(error.to_string()))?;
    if !(header.hz.is_finite() && header.hz > 0.0) {
        return Err(Problem::Header(format!("{} ticks a second", header.hz)));
    }
    let types = header.types.len();
    if !(1..=TYPES_MAX).contains(&types) {
        return Err(Problem::Header(format!("{types} types, allowed are 1 to {TYPES_MAX}")));
    }
    if let Some(long) = header.types.iter().find(|entity| entity.fields.len() > FIELDS_MAX) {
        let (name, fields) = (&long.name, long.fields.len());
        return Err(Problem::Header(format!("type `{name}` has {fields} fields, at most {FIELDS_MAX}")));
    }
    Ok(header)
}

fn read_tick(source: &mut Source<impl Read>, trace: &mut Trace) -> Result<(), Problem> {
    let position = trace.ends.len();
    let tick = u32::from_le_bytes(source.take(|| format!("the number of the tick at position {position}"))?);
    if let Some(before) = trace.numbers.last().copied().filter(|before| *before >= tick) {
        return Err(Problem::Ticks { before, found: tick });
    }
    let within = || format!("tick {tick}");
    let count = u16::from_le_bytes(source.take(within)?);
    let mut before: Option<EntityId> = None;
    let mut bytes = [0; 4 * FIELDS_MAX];
    for _ in 0..count {
        let [kind, low, high] = source.take(within)?;
        let index = u16::from_le_bytes([low, high]);
        let types = trace.types.len();
        let entity = trace.types.get(usize::from(kind)).ok_or(Problem::Type { tick, found: kind, types })?;
        if usize::from(index) >= ENTITIES_MAX {
            return Err(Problem::Id { tick, found: index });
        }
        let id = EntityId { kind, index };
        if let Some(before) = before.filter(|before| *before >= id) {
            return Err(Problem::Order { tick, before, found: id });
        }
        before = Some(id);
        let bytes = &mut bytes[..4 * entity.fields.len()];
        source.fill(bytes, within)?;
        trace.rows.push(Row { id, at: trace.values.len() as u32 });
        trace.values.extend(bytes.as_chunks::<4>().0.iter().map(|value| i32::from_le_bytes(*value)));
    }
    trace.numbers.push(tick);
    trace.ends.push(trace.rows.len());
    Ok(())
}

/// Looks at what is left after the last byte of content.
fn finish(decoder: StreamingDecoder<impl BufRead, ruzstd::decoding::FrameDecoder>) -> Result<(), Problem> {
    let written = decoder.decoder.get_checksum_from_data();
    if written.is_some() && written != decoder.decoder.get_calculated_checksum() {
        return Err(Problem::Checksum);
    }
    let mut rest = decoder.into_inner();
    if rest.fill_buf().map_err(Problem::Io)?.is_empty() { Ok(()) } else { Err(Problem::Trailing) }
}

/// The unfolded stream, and how much of it was read.
struct Source<R> {
    inner: BufReader<R>,
    taken: u64,
}

impl<R: Read> Source<R> {
    /// Whether nothing is left.
    fn is_at_end(&mut self) -> Result<bool, Problem> {
        Ok(self.inner.fill_buf().map_err(Problem::Damaged)?.is_empty())
    }

    /// The next bytes.
    fn take<const N: usize>(&mut self, within: impl Fn() -> String) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, within)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], within: impl Fn() -> String) -> Result<(), Problem> {
        self.taken += bytes.len() as u64;
        if self.taken > TRACE_BYTES_MAX {
            return Err(Problem::Long);
        }
        self.inner.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Problem::Cut(within()),
            _ => Problem::Damaged(error),
        })
    }
}

#[cfg(test)]
mod tests;
