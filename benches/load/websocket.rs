//! WebSocket frames (RFC 6455) as a client that counts needs them: heads of what comes, masked frames that go, and the
//! opening handshake on a socket that still blocks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A binary message.
pub(crate) const BINARY: u8 = 2;
/// The end.
pub(crate) const CLOSE: u8 = 8;
/// Asks for a pong.
pub(crate) const PING: u8 = 9;
/// The answer to a ping.
pub(crate) const PONG: u8 = 10;

/// How long a server may take for an answer of the opening handshake.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest head of an answer, bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A whole frame at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// What it is.
    pub(crate) opcode: u8,
    /// Where its payload begins.
    pub(crate) begin: usize,
    /// Where its payload ends, and the next frame begins.
    pub(crate) end: usize,
}

/// The first frame, if it is there as a whole. Servers do not mask, and those measured here do not cut messages up.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let (opcode, short) = (bytes.first()? & 0x0f, *bytes.get(1)? & 0x7f);
    let (begin, length): (usize, usize) = match short {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, length.into()),
    };
    let end = begin.checked_add(length).filter(|end| *end <= bytes.len())?;
    Some(Head { opcode, begin, end })
}

/// Appends a masked frame of less than 64 KiB.
pub(crate) fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// An open connection, and what the server sent right behind its answer.
pub(crate) struct Opened {
    pub(crate) stream: TcpStream,
    pub(crate) rest: Vec<u8>,
}

/// Connects and shakes hands.
pub(crate) fn open(server: SocketAddr, path: &str, subprotocol: Option<&str>) -> io::Result<Opened> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let subprotocol = subprotocol.map_or(String::new(), |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    // Who answers is a server of our own: one key does for all, and the answer to it is not checked.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{subprotocol}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let end = loop {
        if let Some(at) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece)?;
        if count == 0 || answer.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("no answer to the opening handshake"));
        }
        answer.extend_from_slice(&piece[..count]);
    };
    if !answer.starts_with(b"HTTP/1.1 101") {
        let line: Vec<u8> = answer.iter().copied().take_while(|byte| *byte != b'\r').collect();
        return Err(io::Error::other(format!("no WebSocket: {}", String::from_utf8_lossy(&line))));
    }
    Ok(Opened { stream, rest: answer.split_off(end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_by_their_heads() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        assert_eq!(head(&long), Some(Head { opcode: BINARY, begin: 4, end: 260 }));
        assert_eq!(head(&long[..259]), None);
        assert_eq!(head(&[0x8a, 0, 0x82]), Some(Head { opcode: PONG, begin: 2, end: 2 }));
        let longest = [&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65536]].concat();
        assert_eq!(head(&longest), Some(Head { opcode: 1, begin: 10, end: 65546 }));
        assert_eq!(head(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]), None);
        assert_eq!(head(&[0x82]), None);
    }

    #[test]
    fn what_goes_is_masked() {
        let mut out = Vec::new();
        put(&mut out, PING, &[1, 2, 3, 4, 5], [1, 1, 1, 1]);
        assert_eq!(out, [0x89, 0x85, 1, 1, 1, 1, 0, 3, 2, 5, 4]);
        out.clear();
        put(&mut out, BINARY, &[0; 300], [0; 4]);
        assert_eq!((out.len(), &out[..4]), (308, &[0x82, 0xfe, 1, 44][..]));
    }
}
