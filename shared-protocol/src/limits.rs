//! Every bound of the protocol, and the relations between them as compile-time assertions.

/// Longest match or node id, bytes.
pub const MATCH_ID_BYTES_MAX: usize = 32;
/// Longest player name, bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 24;
/// Longest name of an account in a ticket, bytes.
pub const SUBJECT_BYTES_MAX: usize = 64;
/// Longest ticket as text, bytes.
pub const TICKET_BYTES_MAX: usize = 512;
/// For how long a ticket may be good, milliseconds: as long a used one has to be remembered.
pub const TICKET_LIFE_MS_MAX: u64 = 3_600_000;
/// Longest line of a chat, bytes of UTF-8.
pub const CHAT_BYTES_MAX: usize = 240;
/// Lines of its chat that a match keeps.
pub const CHAT_LINES_MAX: usize = 64;
/// Longest name of a game, kind, field or input field, bytes.
pub const IDENT_BYTES_MAX: usize = 32;
/// Slowest tick rate, Hz.
pub const TICK_RATE_HZ_MIN: u8 = 10;
/// Fastest tick rate, Hz.
pub const TICK_RATE_HZ_MAX: u8 = 128;
/// Kinds in a schema.
pub const KINDS_MAX: usize = 32;
/// Fields in a kind: a changed-field mask is 64 bits.
pub const FIELDS_MAX: usize = 64;
/// Fields of an input.
pub const INPUT_FIELDS_MAX: usize = 32;
/// Longest value of a text field, bytes.
pub const TEXT_BYTES_MAX: usize = 255;
/// Entities in a world, all kinds together; an entity's index is 0 to `ENTITIES_MAX - 1`.
pub const ENTITIES_MAX: usize = 65_535;
/// Segments of a match; a segment's number is 0 to `SEGMENTS_MAX - 1`.
pub const SEGMENTS_MAX: usize = 4096;
/// Upper bound of a world's snapshot payload, bytes: a spawn that could exceed it is refused.
pub const SNAPSHOT_PAYLOAD_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Longest frame a server sends, bytes.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest frame a client may send, bytes.
pub const CLIENT_FRAME_BYTES_MAX: usize = 1024;
/// Longest control frame a server sends, bytes (a welcome carries the schema).
pub const SERVER_CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Longest schema as JSON, bytes.
pub const SCHEMA_JSON_BYTES_MAX: usize = 48 * 1024;
/// Longest URL that a client is sent to, bytes.
pub const RECONNECT_URL_BYTES_MAX: usize = 256;
/// Reason text of a WebSocket close, bytes (RFC 6455: a control frame holds 125, two are the code).
pub const CLOSE_REASON_BYTES_MAX: usize = 123;
/// How far a client's input number may run ahead of the last one applied.
pub const INPUT_SEQ_AHEAD_MAX: u32 = 64;
/// Longest line of a history, bytes.
pub const HISTORY_LINE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A diff carries the state hash at least this often, in ticks.
pub const HASH_EVERY_TICKS_MAX: u64 = 16;

/// Longest varint of a `u64`, bytes.
pub const VARINT_BYTES_MAX: usize = 10;
/// Longest varint of one integer field's value, step or residual (34 bits after zigzag), bytes.
pub const VALUE_BYTES_MAX: usize = 5;

const _: () = assert!(SNAPSHOT_PAYLOAD_BYTES_MAX < FRAME_BYTES_MAX, "a snapshot fits a frame");
const _: () = assert!(SCHEMA_JSON_BYTES_MAX < SERVER_CONTROL_BYTES_MAX, "a welcome fits a control frame");
const _: () =
    assert!(INPUT_FIELDS_MAX * VALUE_BYTES_MAX + 64 < CLIENT_FRAME_BYTES_MAX, "an input fits a frame");
const _: () = assert!(
    CHAT_LINES_MAX * (CHAT_BYTES_MAX + NAME_BYTES_MAX + 5 * VARINT_BYTES_MAX) < SERVER_CONTROL_BYTES_MAX,
    "a chat fits a control frame"
);
const _: () = assert!(
    TICKET_BYTES_MAX + NAME_BYTES_MAX + MATCH_ID_BYTES_MAX + 128 < CLIENT_FRAME_BYTES_MAX,
    "a hello with a ticket fits a frame"
);
const _: () = assert!(CHAT_BYTES_MAX + 64 < CLIENT_FRAME_BYTES_MAX, "a line fits a frame");
const _: () = assert!(FIELDS_MAX <= 64, "a changed-field mask is one u64");
const _: () = assert!(ENTITIES_MAX <= u16::MAX as usize, "an index is a u16");
const _: () = assert!(SEGMENTS_MAX <= u16::MAX as usize, "a segment's number is a u16");
const _: () =
    assert!(CLIENT_FRAME_BYTES_MAX <= SERVER_CONTROL_BYTES_MAX, "one decode limit serves both ends");
