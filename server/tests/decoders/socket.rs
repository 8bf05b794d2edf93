//! What a client's socket brings, in whatever pieces: the messages are those that tungstenite alone makes of the same
//! bytes, and the session answers each by its rules.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tickcast_protocol::limits::CLIENT_FRAME_BYTES_MAX;
use tickcast_protocol::message::Role;
use tickcast_protocol::{CloseCode, PlayerId, TickRate};
use tickcast_server::io::clock;
use tickcast_server::io::websocket::intake::{Heard, Intake};
use tickcast_server::logic::session::{Output, Session};
use tokio_tungstenite::tungstenite::protocol::{Role as End, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::sample;

/// Bytes of a frame's head at most: what an unfinished frame may have besides its payload.
const HEAD_BYTES_MAX: usize = 14;
/// Who we are once joined.
const PLAYER: PlayerId = PlayerId(3);

/// What comes of a frame or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Binary(Vec<u8>),
    Text,
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close,
    TooLong,
    BadText,
    Broken,
}

impl Told {
    fn of(message: Result<Message, Error>) -> Told {
        match message {
            Ok(Message::Binary(bytes)) => Told::Binary(bytes.to_vec()),
            Ok(Message::Text(_)) => Told::Text,
            Ok(Message::Ping(bytes)) => Told::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Told::Pong(bytes.to_vec()),
            Ok(Message::Close(_) | Message::Frame(_)) => Told::Close,
            Err(Error::Capacity(_)) => Told::TooLong,
            Err(Error::Utf8(_)) => Told::BadText,
            Err(_) => Told::Broken,
        }
    }

    /// It is no message but what is wrong with one.
    fn is_refusal(&self) -> bool {
        matches!(self, Told::TooLong | Told::BadText | Told::Broken)
    }

    /// Nothing is listened to any more.
    fn is_last(&self) -> bool {
        self.is_refusal() || *self == Told::Close
    }
}

/// Bytes of a client: `pieces bytes`. The first byte says how they are cut.
pub(crate) fn socket(input: &[u8]) -> bool {
    let Some((pieces, bytes)) = input.split_first() else { return false };
    let (mine, left) = in_pieces(bytes, usize::from(*pieces));
    let theirs = as_a_whole(bytes);
    assert_same(&mine, &theirs, bytes, left);
    converse(&mine);
    !mine.is_empty() && !mine.iter().any(Told::is_refusal)
}

/// The messages are the same. Either may refuse a frame before it is whole where the other waits for its end, and where
/// more than one thing is wrong with it either may name another one.
fn assert_same(mine: &[Told], theirs: &[Told], bytes: &[u8], left: usize) {
    let messages = |told: &[Told]| told.iter().filter(|told| !told.is_refusal()).count();
    let (count, refusals) = (messages(mine), mine.len() - messages(mine));
    assert_eq!(mine[..count], theirs[..messages(theirs)], "the same bytes, the same messages");
    if refusals < theirs.len() - count {
        assert!(left > 0, "{theirs:?}");
    }
    if theirs.len() - count < refusals {
        let ended = as_a_whole(&[bytes, &[0; HEAD_BYTES_MAX + CLIENT_FRAME_BYTES_MAX]].concat());
        assert!(ended.get(count).is_some_and(Told::is_refusal), "{ended:?}");
    }
}

/// The messages of bytes that come in pieces, and how many bytes are left over.
fn in_pieces(bytes: &[u8], seed: usize) -> (Vec<Told>, usize) {
    let (mut intake, mut begun, mut told) = (Intake::default(), Vec::new(), Vec::new());
    let (mut rest, mut turn) = (bytes, seed);
    while !rest.is_empty() {
        turn = turn.wrapping_mul(31).wrapping_add(7);
        let size = if seed == 0 { rest.len() } else { 1 + turn % (1 + seed) };
        let (piece, behind) = rest.split_at(rest.len().min(size));
        rest = behind;
        begun.extend_from_slice(piece);
        let mut taken = 0;
        loop {
            let (size, heard) = intake.take(&mut begun[taken..]);
            if size == 0 {
                break;
            }
            taken += size;
            match heard {
                Some(Heard::Binary(payload)) => told.push(Told::Binary(payload.to_vec())),
                Some(Heard::Other(message)) => {
                    told.push(Told::of(message));
                    let reply = intake.reply().map_or(0, |reply| reply.len());
                    assert!(reply <= HEAD_BYTES_MAX + 125, "an answer is one control frame");
                }
                None => {}
            }
            if told.last().is_some_and(Told::is_last) {
                return (told, 0);
            }
        }
        begun.drain(..taken);
        assert!(begun.len() <= HEAD_BYTES_MAX + CLIENT_FRAME_BYTES_MAX + size, "{} bytes wait", begun.len());
    }
    let left = begun.len();
    (told, left)
}

/// The messages by tungstenite alone.
fn as_a_whole(bytes: &[u8]) -> Vec<Told> {
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .max_message_size(Some(CLIENT_FRAME_BYTES_MAX))
        .max_frame_size(Some(CLIENT_FRAME_BYTES_MAX));
    let mut reading = WebSocket::from_raw_socket(Spoken(bytes), End::Server, Some(config));
    let mut told = Vec::new();
    loop {
        match reading.read() {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return told,
            message => told.push(Told::of(message)),
        }
        if told.last().is_some_and(Told::is_last) {
            return told;
        }
    }
}

/// A stream that says these bytes, then nothing for now, and does not care what is answered.
struct Spoken<'a>(&'a [u8]);

impl Read for Spoken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

impl Write for Spoken<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells a session the messages, one each millisecond; joins it where it asks for that.
fn converse(told: &[Told]) {
    let start = clock::now();
    let mut session = Session::new(start, 60, 8192);
    let (mut joined, mut closed, mut inputs) = (false, false, 0);
    for (number, told) in (1u32..).zip(told) {
        let now = start + Duration::from_millis(1) * number;
        let output = match told {
            Told::Binary(frame) => session.handle_frame(now, frame),
            Told::Ping(_) | Told::Pong(_) => session.handle_sign_of_life(now),
            _ => break,
        };
        match output {
            Output::Close(code, text) => {
                assert!(
                    !closed || code == CloseCode::RateLimited || code == CloseCode::Malformed,
                    "{code:?} {text}"
                );
                closed = true;
            }
            _ if closed => assert_eq!(output, Output::Nothing, "nothing is heard after the close"),
            Output::Join { name, .. } => {
                assert!(!joined && !name.is_empty(), "one hello");
                joined = true;
                join(&mut session, now);
            }
            Output::Input { player, values, .. } => {
                assert!(joined && player == PLAYER, "an input is its connection's player's");
                assert!(sample_schema().admits_input(&values));
                inputs += 1;
            }
            Output::Say(saying) => assert!(joined && saying.player == PLAYER),
            Output::Refuse { .. } | Output::Snapshot => assert!(joined),
            Output::Nothing | Output::Pong { .. } | Output::OfferPing | Output::Ping { .. } => {}
        }
    }
    // At one message per millisecond the bucket's burst and what refills it is all that passes.
    assert!(inputs <= 512, "{inputs} inputs passed");
}

fn join(session: &mut Session, now: Instant) {
    let rate = TickRate::try_from(20u8).expect("a rate");
    session.handle_joined(now, Role::Player(PLAYER), sample_schema(), rate);
}

fn sample_schema() -> Arc<tickcast_protocol::Schema> {
    static SCHEMA: std::sync::OnceLock<Arc<tickcast_protocol::Schema>> = std::sync::OnceLock::new();
    let read = || {
        let stored = tickcast_server::logic::stored::StoredMatch::parse(&sample::fields());
        stored.expect("the sample can be read").schema
    };
    Arc::clone(SCHEMA.get_or_init(read))
}
