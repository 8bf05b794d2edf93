//! Takes a client's bytes apart into messages. A whole masked binary frame, which nearly all are, is unmasked where it
//! lies; all else, frame by frame, is tungstenite's: control frames, messages in pieces, and whatever breaks a rule.

use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes of one frame's payload, and of one message.
const PAYLOAD_BYTES_MAX: usize = tickcast_protocol::limits::CLIENT_FRAME_BYTES_MAX;

/// The first byte of a frame that is a whole binary message: final, no extension, opcode 2.
const WHOLE_BINARY: u8 = 0x82;
/// In the first byte: the last frame of its message.
const FINAL: u8 = 0x80;
/// In the first byte: a control frame.
const CONTROL: u8 = 0x08;
/// In the first byte: what only extensions use.
const RESERVED: u8 = 0x70;
/// Longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;
/// In the second byte: a mask follows the length.
const MASKED: u8 = 0x80;

/// What a frame comes to.
#[derive(Debug)]
pub enum Heard<'b> {
    /// A whole binary message.
    Binary(&'b [u8]),
    /// A message that tungstenite made of one or several frames, or why it cannot.
    Other(Result<Message, Error>),
}

/// The reading half of a WebSocket, without its socket.
#[derive(Debug, Default)]
pub struct Intake {
    /// Present from the first frame that is not ours to handle until its message is complete.
    other: Option<Box<WebSocket<Lent>>>,
    /// That message came in pieces, of which the last is still to come.
    in_pieces: bool,
}

/// A frame's head: how long it is, and its payload.
#[derive(Debug, Clone, Copy)]
struct Head {
    bytes: usize,
    payload: usize,
}

impl Head {
    /// `None` while it is not whole. RFC 6455, section 5.2.
    fn parse(bytes: &[u8]) -> Option<Head> {
        let [_, second, rest @ ..] = bytes else { return None };
        let mask = if second & MASKED == 0 { 0 } else { 4 };
        let (length, payload) = match second & !MASKED {
            126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (0, u64::from(short)),
        };
        let head = Head { bytes: 2 + length + mask, payload: usize::try_from(payload).unwrap_or(usize::MAX) };
        (bytes.len() >= head.bytes).then_some(head)
    }
}

impl Intake {
    /// Takes the first frame off `bytes`: how many bytes that were, 0 while it is not whole, and what they come to.
    /// A frame that is too long is judged by its head. After an error there is nothing more to take.
    pub fn take<'b>(&mut self, bytes: &'b mut [u8]) -> (usize, Option<Heard<'b>>) {
        let Some(head) = Head::parse(bytes) else { return (0, None) };
        let [first, second, ..] = *bytes else { return (0, None) };
        // What must not be is refused by its head: the payload might never come.
        if let Some(error) = broken_rule(first, second, head.payload) {
            return (head.bytes, Some(Heard::Other(Err(Error::Protocol(error)))));
        }
        let is_too_long = head.payload > PAYLOAD_BYTES_MAX;
        let size = if is_too_long { head.bytes } else { head.bytes + head.payload };
        if bytes.len() < size {
            return (0, None);
        }
        if first == WHOLE_BINARY && !is_too_long && self.other.is_none() {
            let (head_bytes, rest) = bytes.split_at_mut(head.bytes);
            let payload = &mut rest[..head.payload];
            if let Some(mask) = head_bytes.last_chunk::<4>() {
                unmask(payload, *mask);
            }
            return (size, Some(Heard::Binary(payload)));
        }
        if first & CONTROL == 0 {
            self.in_pieces = first & FINAL == 0;
        }
        (size, self.take_other(&bytes[..size]).map(Heard::Other))
    }

    /// Whether a message came in pieces of which the last is still to come.
    pub(super) fn is_within_message(&self) -> bool {
        self.in_pieces
    }

    fn take_other(&mut self, frame: &[u8]) -> Option<Result<Message, Error>> {
        let other = self.other.get_or_insert_with(|| {
            Box::new(WebSocket::from_raw_socket(Lent::default(), Role::Server, Some(ws_config())))
        });
        other.get_mut().unread.extend_from_slice(frame);
        match other.read() {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => None,
            message => Some(message),
        }
    }

    /// What tungstenite answers, as frames for the socket; to be asked for after each [`Heard::Other`].
    pub fn reply(&mut self) -> Option<Bytes> {
        let other = self.other.as_mut()?;
        // Into memory: it does not fail, unless with what was heard already.
        let _ = other.flush();
        let reply = std::mem::take(&mut other.get_mut().written);
        if !self.in_pieces {
            self.other = None;
        }
        (!reply.is_empty()).then(|| reply.into())
    }
}

/// What is wrong with a frame that begins with these bytes and has so long a payload. RFC 6455, sections 5.1, 5.2 and 5.5.
fn broken_rule(first: u8, second: u8, payload: usize) -> Option<ProtocolError> {
    match (first, second) {
        _ if first & RESERVED != 0 => Some(ProtocolError::NonZeroReservedBits),
        _ if second & MASKED == 0 => Some(ProtocolError::UnmaskedFrameFromClient),
        _ if first & CONTROL != 0 && first & FINAL == 0 => Some(ProtocolError::FragmentedControlFrame),
        _ if first & CONTROL != 0 && payload > CONTROL_BYTES_MAX => Some(ProtocolError::ControlFrameTooBig),
        _ => None,
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Small messages, small buffers.
fn ws_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(Some(PAYLOAD_BYTES_MAX))
        .max_frame_size(Some(PAYLOAD_BYTES_MAX))
}

/// The stream that tungstenite sees: what it is lent to read, what it wrote.
#[derive(Debug, Default)]
struct Lent {
    unread: Vec<u8>,
    written: Vec<u8>,
}

impl Read for Lent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.unread.as_slice().read(buffer)?;
        self.unread.drain(..count);
        Ok(count)
    }
}

impl Write for Lent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
