//! One client's socket: how a connection is made, and how one fails, each with a name.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use tickcast_protocol::CloseCode;
use tickcast_protocol::client::ServerError;
use tickcast_protocol::limits::FRAME_BYTES_MAX;
use tickcast_protocol::message::SUBPROTOCOL;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error as WebSocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::stream::{Stream, Trust};
use crate::target::Target;

/// Read buffer of a socket, bytes: it is allocated at once, for each of thousands.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Unsent bytes of a socket.
const WRITE_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How long it may take to be connected.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long it may take from the hello to being in the match.
pub const JOIN_MAX: Duration = Duration::from_secs(15);
/// How long a frame may take to be sent, and a goodbye to be said.
pub const SEND_MAX: Duration = Duration::from_secs(5);
/// How long a node may be silent that is asked for a sign of life.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Why a connection could not be made or ended unasked.
#[derive(Debug, Error)]
pub enum Failure {
    /// No TCP connection.
    #[error("connect: {0}")]
    Connect(io::Error),
    /// No TLS: the node did not prove its name, or does not speak it.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// No WebSocket.
    #[error("handshake: {0}")]
    Handshake(String),
    /// Not connected in time.
    #[error("not connected in time")]
    ConnectTime,
    /// Connected and not part of the match in time.
    #[error("not in the match in time")]
    JoinTime,
    /// The server closed.
    #[error("close {0} {1}")]
    Close(u16, String),
    /// The connection ended without a close frame.
    #[error("closed without a code")]
    Silent,
    /// Nothing came, not even the answer to a ping.
    #[error("nothing heard for {} s", SILENCE_MAX.as_secs())]
    Unheard,
    /// The connection broke.
    #[error("socket: {0}")]
    Socket(WebSocketError),
    /// A frame could not be sent in time.
    #[error("nothing could be sent for {} s", SEND_MAX.as_secs())]
    SendTime,
    /// The server did what it must not do.
    #[error("server: {0}")]
    Server(#[from] ServerError),
    /// The server sent text.
    #[error("server: a text frame")]
    Text,
    /// The game's backend gave no ticket.
    #[error("ticket: {0}")]
    Ticket(String),
    /// No way back was found in the time for it.
    #[error("not back in time: {0}")]
    GivenUp(Box<Failure>),
    /// The run ended before a way back was found.
    #[error("not back at the end: {0}")]
    Away(Box<Failure>),
}

impl Failure {
    /// What came from a socket: a frame of the protocol, nothing of interest, or the end.
    pub fn check(message: Option<Result<Message, WebSocketError>>) -> Result<Option<Bytes>, Failure> {
        match message {
            Some(Ok(Message::Binary(frame))) => Ok(Some(frame)),
            Some(Ok(Message::Text(_))) => Err(Failure::Text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
            Some(Ok(Message::Close(None))) | None => Err(Failure::Silent),
            Some(Ok(Message::Close(Some(close)))) => {
                Err(Failure::closed(close.code.into(), close.reason.as_str()))
            }
            Some(Err(error)) => Err(Failure::Socket(error)),
        }
    }

    /// The server closed with this code.
    pub fn closed(number: u16, reason: &str) -> Failure {
        let name =
            CloseCode::from_number(number).map_or_else(|| reason.to_owned(), |code| format!("{code:?}"));
        Failure::Close(number, name)
    }

    /// The code that the server closed with.
    pub fn code(&self) -> Option<u16> {
        match self {
            Failure::Close(number, _) => Some(*number),
            _ => None,
        }
    }

    /// Whether another connection may do better.
    pub fn may_reconnect(&self) -> bool {
        match self {
            Failure::Close(number, _) => match CloseCode::from_number(*number) {
                Some(code) => code.may_reconnect(),
                None => (4000..4500).contains(number),
            },
            Failure::Connect(_) | Failure::Tls(_) => true,
            Failure::Handshake(_) | Failure::ConnectTime | Failure::JoinTime => true,
            Failure::Silent | Failure::Unheard | Failure::Socket(_) | Failure::SendTime => true,
            // Another try asks it again.
            Failure::Ticket(_) => true,
            Failure::Server(_) | Failure::Text | Failure::GivenUp(_) | Failure::Away(_) => false,
        }
    }
}

/// A WebSocket over TCP, or over TLS.
pub type Socket = WebSocketStream<Stream>;

/// Where a connection leads, and from where.
#[derive(Debug, Clone)]
pub struct Route {
    /// The node.
    pub target: Target,
    /// Where it is.
    pub address: SocketAddr,
    /// The local address, where the node is on this machine; `None` for the system's choice.
    pub source: Option<Ipv4Addr>,
    /// Who may say who the node is, where TLS is spoken.
    pub trust: Trust,
}

/// Opens a WebSocket within this time.
pub async fn connect(route: Route, within: Duration) -> Result<Socket, Failure> {
    let connecting = async {
        let stream = open(route.address, route.source).await.map_err(Failure::Connect)?;
        let stream = Stream::over(stream, &route.target, &route.trust).await.map_err(Failure::Tls)?;
        let url: Result<Uri, _> = route.target.websocket_url().parse();
        let request = url.map(|url| ClientRequestBuilder::new(url).with_sub_protocol(SUBPROTOCOL));
        let request = request.map_err(|error| Failure::Handshake(error.to_string()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let socket = client_async_with_config(request, stream, Some(config)).await;
        socket.map(|(socket, _)| socket).map_err(|error| Failure::Handshake(error.to_string()))
    };
    timeout(within, connecting).await.unwrap_or(Err(Failure::ConnectTime))
}

async fn open(address: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(source) = source.filter(|_| address.ip().is_loopback()) {
        socket.bind(SocketAddr::from((source, 0)))?;
    }
    socket.connect(address).await
}

/// Finds the address of a node.
pub async fn resolve(target: &Target, only_ipv4: bool) -> io::Result<SocketAddr> {
    let mut found = tokio::net::lookup_host(target.authority()).await?;
    found.find(|address| !only_ipv4 || address.is_ipv4()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_named_by_its_code() {
        assert_eq!(Failure::closed(4002, "whatever").to_string(), "close 4002 Slow");
        assert_eq!(Failure::closed(3000, "odd").to_string(), "close 3000 odd");
    }

    #[test]
    fn only_what_another_connection_may_cure_is_tried_again() {
        for number in [1012, 4000, 4001, 4002, 4003, 4004, 4005, 4444] {
            assert!(Failure::closed(number, "").may_reconnect(), "{number}");
        }
        for number in [1000, 1002, 3000, 4500, 4501, 4504, 4509, 4510, 4511, 4999] {
            assert!(!Failure::closed(number, "").may_reconnect(), "{number}");
        }
        assert!(Failure::Silent.may_reconnect() && Failure::Unheard.may_reconnect());
        assert!(Failure::Connect(io::ErrorKind::ConnectionRefused.into()).may_reconnect());
        assert!(!Failure::Text.may_reconnect() && !Failure::Server(ServerError::Order("")).may_reconnect());
    }
}
