//! One task per connection: reads frames into the session, drains the sink, keeps the deadlines.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tickcast_protocol::message::{Role, ServerMessage};
use tickcast_protocol::{CloseCode, SessionId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role as WsRole, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, error::CapacityError};

use crate::backplane::Backplane;
use crate::io::clock;
use crate::io::node::Node;
use crate::io::relay_task::{RelayCommand, Uplink};
use crate::io::sink::{Drained, Sink};
use crate::logic::channel::Upstream;
use crate::logic::session::{Output, Session};

/// How long a closed connection may take to say goodbye.
const CLOSE_LINGER: Duration = Duration::from_secs(1);

/// One configuration for every socket: small buffers, small messages.
pub fn ws_config() -> WebSocketConfig {
    let frame_max = tickcast_protocol::limits::CLIENT_FRAME_BYTES_MAX;
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(Some(frame_max))
        .max_frame_size(Some(frame_max))
}

/// The reading half as tungstenite wants it: what tungstenite itself writes (pongs, close replies) goes
/// through the sink as whole frames, so it never lands inside another frame.
struct ReadSide {
    socket: OwnedReadHalf,
    sink: Arc<Sink>,
}

impl AsyncRead for ReadSide {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for ReadSide {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.sink.send_raw(Bytes::copy_from_slice(bytes)) {
            Poll::Ready(Ok(bytes.len()))
        } else {
            Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Connection<B: Backplane> {
    node: Arc<Node<B>>,
    id: SessionId,
    sink: Arc<Sink>,
    session: Session,
    /// The match's relay, once joined.
    relay: Option<mpsc::Sender<RelayCommand>>,
    /// Where its inputs go, once joined.
    uplink: Option<Arc<Uplink>>,
    /// The client closed first, which a page does that is loaded anew: no goodbye, only `Leave` is one.
    closed_first: bool,
}

/// Serves one upgraded socket until it ends.
pub async fn serve<B: Backplane>(node: Arc<Node<B>>, stream: TcpStream, early: Bytes) {
    let id = node.next_session();
    let (socket, write) = stream.into_split();
    let sink = Arc::new(Sink::new(write));
    node.sessions.insert(id, Arc::clone(&sink));
    let side = ReadSide { socket, sink: Arc::clone(&sink) };
    let ws =
        WebSocketStream::from_partially_read(side, early.to_vec(), WsRole::Server, Some(ws_config())).await;
    let session = Session::new(clock::now(), node.settings.chat_per_minute);
    let mut connection =
        Connection { node, id, sink, session, relay: None, uplink: None, closed_first: false };
    connection.run(ws).await;
    if let Some(relay) = connection.relay.take() {
        // Whoever said goodbye, or may not come back, is gone; whose connection broke may be back in a moment.
        let parted = |code: CloseCode| !code.may_reconnect() && code != CloseCode::Replaced;
        let for_good = !connection.closed_first && connection.sink.closing().is_some_and(parted);
        let _ = relay.send(RelayCommand::Leave { session: id, for_good }).await;
    }
    connection.node.sessions.remove(&id);
    if let Some(code) = connection.sink.closing() {
        connection.node.metrics.count_close(code);
    }
}

impl<B: Backplane> Connection<B> {
    async fn run(&mut self, mut ws: WebSocketStream<ReadSide>) {
        let mut deadline = pin!(tokio::time::sleep_until(self.session.timeout().into()));
        let sink = Arc::clone(&self.sink);
        let (mut readable, mut broken, mut closing) = (true, false, false);
        loop {
            tokio::select! {
                message = ws.next(), if readable => match message {
                    Some(message) => {
                        broken |= message.is_err();
                        if !self.handle_message(message).await {
                            return;
                        }
                    }
                    // Tungstenite reads nothing behind an error or a close; our close frame is still to go out.
                    None if sink.closing().is_some() => readable = false,
                    None => return,
                },
                drained = sink.drain() => match drained {
                    Ok(Drained::GoesOn) => {}
                    Ok(Drained::Closed) => break,
                    Err(_) => return,
                },
                () = &mut deadline => {
                    // A client that does not even take its close frame is not waited for.
                    if closing {
                        return;
                    }
                    let output = self.session.handle_timeout(clock::now());
                    self.handle_output(output).await;
                    deadline.as_mut().reset(self.session.timeout().into());
                }
            }
            if !closing && sink.closing().is_some() {
                closing = true;
                deadline.as_mut().reset((clock::now() + CLOSE_LINGER).into());
            }
        }
        // The close frame is out. Read on until the client has answered, or for a moment.
        let goodbye = async {
            while !broken {
                let Some(message) = ws.next().await else { return };
                broken = message.is_err();
            }
            // With bytes left unread the system would reset the connection, and the close frame could be lost.
            let _ = tokio::io::copy(&mut ws.get_mut().socket, &mut tokio::io::sink()).await;
        };
        let _ = tokio::time::timeout(CLOSE_LINGER, goodbye).await;
    }

    /// `false` ends the connection at once.
    async fn handle_message(&mut self, message: Result<Message, Error>) -> bool {
        let now = clock::now();
        let output = match message {
            Ok(Message::Binary(frame)) => {
                self.node.metrics.frame_received(frame.len());
                self.session.handle_frame(now, &frame)
            }
            Ok(Message::Ping(_) | Message::Pong(_)) => self.session.handle_sign_of_life(now),
            Ok(Message::Text(_)) => close(CloseCode::TextFrame),
            Ok(Message::Close(_)) => {
                self.closed_first |= self.sink.closing().is_none();
                close(CloseCode::Normal)
            }
            Ok(Message::Frame(_)) => Output::Nothing,
            Err(error) => match code_of(&error) {
                Some(code) => close(code),
                None => return false,
            },
        };
        self.handle_output(output).await;
        true
    }

    async fn handle_output(&mut self, output: Output) {
        match output {
            Output::Nothing => {}
            Output::Ping => self.sink.send_ping(),
            Output::Join { name, join } => self.join(name, join).await,
            Output::Input { player, seq, seen, behind, values } => {
                let input = Upstream::Input { player, seq, seen, behind, values };
                let refused = self.uplink.as_ref().is_some_and(|uplink| !uplink.push(input));
                self.node.metrics.inputs_lost.add(u64::from(refused));
            }
            Output::Say(saying) => self.tell_relay(RelayCommand::Say(saying)),
            Output::Refuse { seq, reason } => {
                self.node.metrics.chat_refused.add(1);
                self.sink.send_control(&ServerMessage::ChatRefused { seq, reason }.to_frame());
            }
            Output::Pong { nonce } => match &self.relay {
                Some(_) => self.tell_relay(RelayCommand::Ping { session: self.id, nonce }),
                None => self
                    .sink
                    .send_control(&ServerMessage::Pong { nonce, tick: Default::default() }.to_frame()),
            },
            Output::Snapshot => self.tell_relay(RelayCommand::Snapshot { session: self.id }),
            Output::Close(code, text) => self.sink.close(code, &text),
        }
    }

    async fn join(&mut self, name: String, join: tickcast_protocol::message::Join) {
        match self.node.join(self.id, &self.sink, name, join).await {
            Ok(joined) => {
                self.session.handle_joined(clock::now(), joined.role, joined.schema, joined.tick_rate);
                (self.relay, self.uplink) = (Some(joined.relay), Some(joined.uplink));
                if let Role::Player(player) = joined.role {
                    tracing::debug!(session = %self.id, %player, "joined");
                }
            }
            Err(refusal) => self.sink.close(refusal.code, &refusal.text),
        }
    }

    /// The relay's queue is bounded; when it is full the match is in trouble and an input more is no help.
    fn tell_relay(&self, command: RelayCommand) {
        let refused = self.relay.as_ref().is_some_and(|relay| relay.try_send(command).is_err());
        if refused {
            self.node.metrics.commands_dropped.add(1);
        }
    }
}

fn close(code: CloseCode) -> Output {
    Output::Close(code, code.text().to_owned())
}

/// The close code for what tungstenite found; it sends none by itself.
fn code_of(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(CloseCode::TooBig),
        Error::Utf8(_) => Some(CloseCode::BadUtf8),
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        _ => None,
    }
}
