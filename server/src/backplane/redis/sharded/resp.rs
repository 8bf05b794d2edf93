//! The few words of RESP2 that a connection with sharded subscriptions speaks. The crate counts a subscription
//! that the server has ended by itself as the answer to another command, and has no such subscriptions outside
//! of its client for clusters.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::Timing;
use super::super::address::{HostPort, Login};

/// Longest string that is taken: what the server itself takes.
const TEXT_BYTES_MAX: usize = 512 << 20;
/// Longest list that is taken.
const ITEMS_MAX: usize = 16;
/// Longest line that is taken.
const LINE_BYTES_MAX: usize = 64 << 10;
const READ_BYTES: usize = 64 << 10;

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Message {
        channel: String,
        payload: Bytes,
    },
    Subscribed(String),
    /// On our wish, or because the slot has gone.
    Unsubscribed(String),
    Pong,
    Refusal(String),
}

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    read: BytesMut,
    write: BytesMut,
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Text(Bytes),
    Refusal(String),
    Number,
    Nothing,
    List(Vec<Value>),
}

impl Link {
    /// Connects and logs in.
    pub(super) async fn open(address: &HostPort, login: &Login, timing: Timing) -> io::Result<Link> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(timing.silence_max))?;
        let stream: Box<dyn Stream> = match login.tls() {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
                Box::new(TlsConnector::from(config).connect(name, stream).await?)
            }
        };
        let mut link = Link { stream, read: BytesMut::new(), write: BytesMut::new() };
        if let Some(words) = login.auth() {
            let words: Vec<&str> = ["AUTH"].into_iter().chain(words.iter().map(String::as_str)).collect();
            link.write(&words);
            link.flush().await?;
            let answer = loop {
                if let Some((value, used)) = parse(&link.read, 0).map_err(malformed)? {
                    link.read.advance(used);
                    break value;
                }
                link.read().await?;
            };
            if let Value::Refusal(words) = answer {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
            }
        }
        Ok(link)
    }

    /// Queues a command.
    pub(super) fn write(&mut self, words: &[&str]) {
        self.write.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.write.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }

    /// Sends what is queued.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.write).await
    }

    /// Waits for more. Nothing is lost when it is dropped.
    pub(super) async fn read(&mut self) -> io::Result<()> {
        self.read.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it")),
            _ => Ok(()),
        }
    }

    /// The next thing that has arrived as a whole.
    pub(super) fn next(&mut self) -> io::Result<Option<Reply>> {
        match parse(&self.read, 0).map_err(malformed)? {
            None => Ok(None),
            Some((value, used)) => {
                self.read.advance(used);
                Ok(Some(meaning(value).ok_or_else(|| malformed("an answer to nothing"))?))
            }
        }
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn meaning(value: Value) -> Option<Reply> {
    let items = match value {
        Value::Refusal(words) => return Some(Reply::Refusal(words)),
        Value::Text(text) if &text[..] == b"PONG" => return Some(Reply::Pong),
        Value::List(items) => items,
        Value::Text(_) | Value::Number | Value::Nothing => return None,
    };
    let mut texts = items.into_iter().map(|item| match item {
        Value::Text(text) => Some(text),
        _ => None,
    });
    let kind = texts.next()??;
    let name = texts.next()?.and_then(|name| String::from_utf8(name.to_vec()).ok());
    match &kind[..] {
        b"smessage" => Some(Reply::Message { channel: name?, payload: texts.next()?? }),
        b"ssubscribe" => name.map(Reply::Subscribed),
        b"sunsubscribe" => name.map(Reply::Unsubscribed),
        b"pong" => Some(Reply::Pong),
        _ => None,
    }
}

/// The first value and its length; `None` when more is to come.
fn parse(bytes: &[u8], depth: usize) -> Result<Option<(Value, usize)>, &'static str> {
    let Some(end) = bytes.windows(2).take(LINE_BYTES_MAX).position(|pair| pair == b"\r\n") else {
        return if bytes.len() > LINE_BYTES_MAX { Err("a line without an end") } else { Ok(None) };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| "a line that is no text")?;
    let (kind, rest) = line.split_at_checked(1).ok_or("an empty line")?;
    let used = end + 2;
    let count = || rest.parse::<i64>().map_err(|_| "a length that is no number");
    match kind {
        "+" => Ok(Some((Value::Text(Bytes::copy_from_slice(rest.as_bytes())), used))),
        "-" => Ok(Some((Value::Refusal(rest.to_owned()), used))),
        ":" => Ok(Some((Value::Number, used))),
        "$" => match usize::try_from(count()?) {
            Err(_) => Ok(Some((Value::Nothing, used))),
            Ok(length) if length > TEXT_BYTES_MAX => Err("a string that is too long"),
            Ok(length) if bytes.len() < used + length + 2 => Ok(None),
            Ok(length) => {
                let text = Bytes::copy_from_slice(&bytes[used..used + length]);
                Ok(Some((Value::Text(text), used + length + 2)))
            }
        },
        "*" => match usize::try_from(count()?) {
            Err(_) => Ok(Some((Value::Nothing, used))),
            Ok(length) if length > ITEMS_MAX || depth > 1 => Err("a list that is too long"),
            Ok(length) => {
                let (mut items, mut at) = (Vec::with_capacity(length), used);
                for _ in 0..length {
                    let Some((item, length)) = parse(&bytes[at..], depth + 1)? else { return Ok(None) };
                    items.push(item);
                    at += length;
                }
                Ok(Some((Value::List(items), at)))
            }
        },
        _ => Err("a value of an unknown kind"),
    }
}

#[cfg(test)]
mod tests;
