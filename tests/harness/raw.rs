//! A client that sends what a test wants it to send, byte by byte: requests that are none, frames that break rules.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::player::Close;

/// Within this a node takes a connection and answers a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The mask of every frame.
pub const MASK: [u8; 4] = [1, 20, 0, 255];
/// In the second byte of a frame: a mask follows.
const MASKED: u8 = 0x80;

/// A client's frame: its first byte, and a masked payload.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The head of a frame that claims a payload of so many bytes.
pub fn head(first: u8, claimed: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match claimed {
        0..126 => bytes.push(MASKED | claimed as u8),
        126..65_536 => {
            bytes.push(MASKED | 126);
            bytes.extend((claimed as u16).to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | 127);
            bytes.extend(claimed.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// The request of a WebSocket client, with these headers in place of those of the same name or besides; one that is
/// empty is left out.
pub fn upgrade_request(authority: &str, changed: &[(&str, &str)]) -> String {
    let usual = [
        ("Host", authority),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    let kept = usual.iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    let all = kept.chain(changed).filter(|(_, value)| !value.is_empty());
    let headers: String = all.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET /ws HTTP/1.1\r\n{headers}\r\n")
}

/// A connection and what was read of it.
pub struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Status line and headers, in small letters.
    pub text: String,
}

impl Raw {
    /// Connects.
    ///
    /// # Panics
    /// When that fails.
    pub async fn connect(authority: &str) -> Raw {
        Raw::connect_from("127.0.0.1", authority).await.unwrap_or_else(|error| panic!("{authority}: {error}"))
    }

    /// Connects from this address of this machine.
    pub async fn connect_from(source: &str, authority: &str) -> io::Result<Raw> {
        let parse = |text: String| text.parse::<SocketAddr>().map_err(io::Error::other);
        let socket = TcpSocket::new_v4()?;
        socket.bind(parse(format!("{source}:0"))?)?;
        let connected = timeout(ANSWER_WITHIN, socket.connect(parse(authority.to_owned())?)).await;
        let stream = connected.map_err(io::Error::other)??;
        stream.set_nodelay(true)?;
        Ok(Raw { stream, unread: Vec::new() })
    }

    /// Connects and becomes a WebSocket.
    ///
    /// # Panics
    /// When it does not.
    pub async fn open(authority: &str) -> Raw {
        let mut raw = Raw::connect(authority).await;
        raw.send(upgrade_request(authority, &[]).as_bytes()).await.expect("a new connection takes a request");
        let head = raw.head().await.expect("an answer");
        assert_eq!(head.status, 101, "{head:?}");
        raw
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends bytes and reads what comes meanwhile: who is told something before it has sent all can be told no more.
    pub async fn send_and_listen(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut reading, mut writing) = self.stream.split();
        let mut sending = pin!(writing.write_all(bytes));
        let mut buffer = [0; 4096];
        let mut has_ended = false;
        loop {
            tokio::select! {
                biased;
                read = reading.read(&mut buffer), if !has_ended => {
                    let count = read.unwrap_or(0);
                    has_ended = count == 0;
                    self.unread.extend_from_slice(&buffer[..count]);
                }
                sent = &mut sending => return sent,
            }
        }
    }

    /// Ends the writing half.
    pub async fn shut_down_writing(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Ends the connection at once, as a machine that forgot it (RST).
    pub fn reset(self) {
        // With something unread and no time to linger the system says so.
        let _ = self.stream.set_zero_linger();
    }

    /// The head of the next answer; `None` when the connection ends first.
    ///
    /// # Panics
    /// When neither comes.
    pub async fn head(&mut self) -> Option<Head> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_some(ANSWER_WITHIN).await {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&self.unread[..end]).to_lowercase();
        self.unread.drain(..end);
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        Some(Head { status: status.unwrap_or_else(|| panic!("no status: {text}")), text })
    }

    /// Reads until the server ends the connection, and answers all that was not read before.
    ///
    /// # Panics
    /// When it does not within `deadline`.
    pub async fn rest(&mut self, deadline: Duration) -> Vec<u8> {
        let end = timeout(deadline, async { while self.read_some(deadline).await {} });
        end.await.unwrap_or_else(|_| panic!("not ended within {deadline:?}"));
        std::mem::take(&mut self.unread)
    }

    /// Reads frames until the server closes; `None` when the connection ends without a close frame.
    ///
    /// # Panics
    /// When it goes on for longer than `deadline`.
    pub async fn closed(&mut self, deadline: Duration) -> Option<Close> {
        let close = timeout(deadline, async {
            loop {
                while let Some((first, payload)) = self.take_frame() {
                    if first == 0x88 {
                        let (code, reason) = payload.split_first_chunk().expect("a code");
                        let reason = String::from_utf8_lossy(reason).into_owned();
                        return Some(Close { code: u16::from_be_bytes(*code), reason });
                    }
                }
                if !self.read_some(deadline).await {
                    return None;
                }
            }
        });
        close.await.unwrap_or_else(|_| panic!("not closed within {deadline:?}"))
    }

    /// The next frame: its first byte and its payload.
    ///
    /// # Panics
    /// When none comes.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some(frame) = self.take_frame() {
                return frame;
            }
            assert!(self.read_some(ANSWER_WITHIN).await, "ended before a frame");
        }
    }

    /// Reads frames until one begins with this byte, and answers its payload.
    ///
    /// # Panics
    /// When none comes.
    pub async fn until_frame(&mut self, first: u8) -> Vec<u8> {
        loop {
            let (other, payload) = self.frame().await;
            if other == first {
                return payload;
            }
        }
    }

    /// Waits for more. `false` is the end.
    ///
    /// # Panics
    /// When nothing comes.
    pub async fn read_more(&mut self) -> bool {
        self.read_some(ANSWER_WITHIN).await
    }

    /// Reads so many bytes at most, and lets them go.
    pub async fn read_at_most(&mut self, count: usize) {
        let mut buffer = vec![0; count];
        let _ = timeout(ANSWER_WITHIN, self.stream.read(&mut buffer)).await;
    }

    /// The first whole frame of what was read: its first byte and its payload.
    pub fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second, rest @ ..] = self.unread.as_slice() else { return None };
        let (extended, size) = match second {
            126 => (2, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?) as usize),
            short => (0, usize::from(*short)),
        };
        let payload = rest.get(extended..extended + size)?.to_vec();
        let first = *first;
        self.unread.drain(..2 + extended + size);
        Some((first, payload))
    }

    /// Whether something came; `false` is the end.
    async fn read_some(&mut self, deadline: Duration) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = timeout(deadline, self.stream.read(&mut buffer)).await;
        let read = read.unwrap_or_else(|_| panic!("nothing within {deadline:?}"));
        let count = read.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..count]);
        count > 0
    }
}
