//! Clients at real sockets: one that only sends and listens, for what a client must not do, and one that plays
//! by the rules and notes whatever breaks the row of ticks it sees.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tickcast_client::stream::Stream;
use tickcast_client::{Target, Trust};
use tickcast_protocol::chat::{ChatLine, ChatRefusal, ChatTo};
use tickcast_protocol::client::{Client, Event};
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION};
use tickcast_protocol::{InputSeq, Position, Replica, Tick};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Within this a client is connected, and a player is part of the state.
pub const JOINED_WITHIN: Duration = Duration::from_secs(10);
/// Receive buffer of a narrow socket.
const NARROW_BYTES: u32 = 4096;
/// Ticks for which an input holds one direction before it turns.
const TURN_TICKS: u64 = 20;

/// How a server ended a connection: the code and the reason of its close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code.
    pub code: u16,
    /// The reason.
    pub reason: String,
}

/// Where a client connects, and whom it trusts where TLS is spoken.
#[derive(Debug, Clone)]
pub struct Door<'d> {
    /// The node's address.
    pub url: &'d str,
    /// Who may say who it is.
    pub trust: Trust,
    /// The address of this machine that it comes from; `None` leaves that to the system.
    pub source: Option<IpAddr>,
}

impl<'d> From<&'d str> for Door<'d> {
    fn from(url: &'d str) -> Door<'d> {
        Door { url, trust: Trust::default(), source: None }
    }
}

impl<'d> From<&'d String> for Door<'d> {
    fn from(url: &'d String) -> Door<'d> {
        Door::from(url.as_str())
    }
}

/// A WebSocket and nothing more.
pub struct Socket(WebSocketStream<Stream>);

impl Socket {
    /// Connects.
    ///
    /// # Panics
    /// When that fails.
    pub async fn open(door: impl Into<Door<'_>>) -> Socket {
        Socket::open_with(&door.into(), None).await
    }

    /// Connects with a receive buffer of this many bytes, unless the system is to choose.
    async fn open_with(door: &Door<'_>, buffer_bytes: Option<u32>) -> Socket {
        let url = door.url;
        let target: Target = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let address = target.authority().parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let opened = timeout(JOINED_WITHIN, async {
            let socket = TcpSocket::new_v4()?;
            door.source.map_or(Ok(()), |source| socket.bind((source, 0).into()))?;
            buffer_bytes.map_or(Ok(()), |bytes| socket.set_recv_buffer_size(bytes))?;
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            client_async(url, Stream::over(stream, &target, &door.trust).await?).await
        });
        let opened = opened.await.unwrap_or_else(|_| panic!("{url}: not connected within {JOINED_WITHIN:?}"));
        Socket(opened.unwrap_or_else(|error| panic!("{url}: {error}")).0)
    }

    /// Sends a message. A server that has closed already is no failure: its close frame is there to be read.
    pub async fn send(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// Closes the writing half, and reads on.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn shut_down_writing(&mut self) {
        self.0.get_mut().shutdown().await.expect("an open connection");
    }

    /// Sends a control message of the protocol.
    pub async fn say(&mut self, message: &ClientMessage) {
        self.send(Message::binary(message.to_frame())).await;
    }

    /// Sends a hello.
    pub async fn hello(&mut self, join: Join) {
        self.hello_with(join, "").await;
    }

    /// Sends a hello that shows a ticket.
    pub async fn hello_with(&mut self, join: Join, ticket: &str) {
        let (protocol, name, ticket) = (PROTOCOL_VERSION, "raw".to_owned(), ticket.to_owned());
        self.say(&ClientMessage::Hello { protocol, name, join, ticket }).await;
    }

    /// The next frame, or how the server closed.
    ///
    /// # Panics
    /// When the connection breaks without a close frame, or text arrives.
    pub async fn next(&mut self) -> Result<Vec<u8>, Close> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(frame.into()),
                Some(Ok(Message::Close(Some(close)))) => {
                    // The answer, for which the server waits a moment.
                    let _ = self.0.flush().await;
                    return Err(Close { code: close.code.into(), reason: close.reason.to_string() });
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Err(error @ Error::Io(_))) => panic!("the connection broke: {error}"),
                other => panic!("neither a frame nor a close with a code: {other:?}"),
            }
        }
    }

    /// Reads until the server closes.
    ///
    /// # Panics
    /// When it does not within `deadline`, or in another way than by a close frame with a code.
    pub async fn closed(&mut self, deadline: Duration) -> Close {
        let closed = timeout(deadline, async {
            loop {
                if let Err(close) = self.next().await {
                    return close;
                }
            }
        });
        closed.await.unwrap_or_else(|_| panic!("not closed within {deadline:?}"))
    }
}

/// A client by the rules: it follows the state and, as a player, sends one input per tick.
pub struct Player {
    socket: Socket,
    client: Client,
    /// Diffs applied, each to the tick before it.
    pub ticks: u64,
    /// Whatever was no next tick since the first snapshot; a state without a break leaves this empty.
    pub breaks: Vec<String>,
    /// The hash of the state after each tick that was shown.
    pub seen: BTreeMap<Tick, u32>,
    /// Where the server has asked to connect instead, each time it did; empty if it named no place.
    pub sent_to: Vec<String>,
    /// Whether ticks are answered with inputs, as long as the client is a player.
    pub plays: bool,
    /// What was said, as it was told.
    pub chat: Vec<ChatLine>,
    /// The numbers of what this player said and was refused, and why.
    pub refused: Vec<(u32, ChatRefusal)>,
}

impl Player {
    /// Joins, and completes when the client has the state and, as a player, is part of it.
    ///
    /// # Panics
    /// When that does not happen within [`JOINED_WITHIN`].
    pub async fn join(door: impl Into<Door<'_>>, name: &str, join: Join) -> Player {
        Player::join_at(Socket::open(door).await, Client::new(name, join)).await
    }

    /// Joins with a ticket.
    ///
    /// # Panics
    /// As [`Player::join`].
    pub async fn join_with(url: &str, name: &str, join: Join, ticket: &str) -> Player {
        let mut client = Client::new(name, join);
        client.show_ticket(ticket.to_owned());
        Player::join_at(Socket::open(url).await, client).await
    }

    /// Joins over a socket that holds little: while this player does not read, it soon is behind.
    ///
    /// # Panics
    /// As [`Player::join`].
    pub async fn join_narrow(door: impl Into<Door<'_>>, name: &str, join: Join) -> Player {
        let socket = Socket::open_with(&door.into(), Some(NARROW_BYTES)).await;
        Player::join_at(socket, Client::new(name, join)).await
    }

    async fn join_at(socket: Socket, client: Client) -> Player {
        let name = client.name().to_owned();
        let mut player = Player {
            socket,
            client,
            ticks: 0,
            breaks: Vec::new(),
            seen: BTreeMap::new(),
            sent_to: Vec::new(),
            plays: true,
            chat: Vec::new(),
            refused: Vec::new(),
        };
        player.until_in(&format!("{name} is in the match")).await;
        player
    }

    async fn until_in(&mut self, what: &str) {
        let is_in = |player: &Player| {
            let joined = player.client.joined().filter(|_| player.client.is_welcomed());
            joined.is_some_and(|joined| {
                !joined.replica.is_broken() && (joined.player().is_none() || joined.entity().is_some())
            })
        };
        self.follow_until(JOINED_WITHIN, what, is_in).await;
    }

    /// Lets the connection go, if there still is one, and takes its place again over another one. The first
    /// snapshot of it is no break; a tick that had been shown and is another one now is.
    ///
    /// # Panics
    /// When the client does not get its place within [`JOINED_WITHIN`].
    pub async fn resume(&mut self, door: impl Into<Door<'_>>) {
        let door = door.into();
        let what = format!("back in the match at {}", door.url);
        self.client.resume().expect("it was in the match before");
        self.socket = Socket::open(door).await;
        self.until_in(&what).await;
    }

    /// What another connection has to show to be this player.
    ///
    /// # Panics
    /// When this is no player.
    pub fn resume_join(&self) -> Join {
        let joined = self.client.joined().expect("a player has joined");
        let player = joined.player().expect("a spectator has no place to take again");
        let (match_id, token) = (joined.match_id.clone(), joined.resume);
        Join::Resume { match_id, player, token, shown: joined.replica.position(), attempt: u32::MAX }
    }

    /// The last of this player's inputs that the state includes.
    pub fn acknowledged(&self) -> Option<InputSeq> {
        self.client.joined().and_then(|joined| joined.acknowledged())
    }

    /// The client's half of the protocol.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The state as this client has it.
    pub fn replica(&self) -> &Replica {
        &self.client.joined().expect("a player has joined").replica
    }

    /// Where the state stands.
    pub fn position(&self) -> Position {
        self.replica().position()
    }

    /// Follows the match until `done`.
    ///
    /// # Panics
    /// When the deadline passes first, or the server closes.
    pub async fn follow_until(&mut self, deadline: Duration, what: &str, done: impl Fn(&Player) -> bool) {
        let follow = async {
            while !done(self) {
                if let Err(close) = self.advance().await {
                    panic!("closed with {close:?} while waiting: {what}");
                }
            }
        };
        timeout(deadline, follow).await.unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"));
    }

    /// Follows the match for this many ticks.
    ///
    /// # Panics
    /// When they do not come within the deadline.
    pub async fn follow_ticks(&mut self, ticks: u64, deadline: Duration) {
        let enough = self.ticks + ticks;
        let what = format!("{ticks} ticks further");
        self.follow_until(deadline, &what, |player| player.ticks >= enough).await;
    }

    /// Follows the match until the server closes.
    ///
    /// # Panics
    /// When it does not within the deadline.
    pub async fn closed(&mut self, deadline: Duration) -> Close {
        let follow = async {
            loop {
                if let Err(close) = self.advance().await {
                    return close;
                }
            }
        };
        timeout(deadline, follow).await.unwrap_or_else(|_| panic!("not closed within {deadline:?}"))
    }

    /// Follows the match while something else is done.
    ///
    /// # Panics
    /// When the server closes meanwhile.
    pub async fn follow_while<T>(&mut self, other: impl Future<Output = T>) -> T {
        let follow = async {
            loop {
                if let Err(close) = self.advance().await {
                    return close;
                }
            }
        };
        tokio::select! {
            done = other => done,
            close = follow => panic!("closed with {close:?}"),
        }
    }

    /// Takes in one frame; answers a new tick with an input.
    ///
    /// # Panics
    /// When the server breaks the protocol.
    pub async fn advance(&mut self) -> Result<Event, Close> {
        self.transmit().await;
        let frame = self.socket.next().await?;
        let first =
            self.client.joined().is_none_or(|joined| joined.replica.position() == Position::default());
        let before = self.client.joined().map_or(0, |joined| joined.replica.position().tick.0);
        let event = self.client.handle_frame(&frame).expect("the server keeps to the protocol");
        match &event {
            Event::Advanced => {
                self.ticks += self.position().tick.0 - before;
                self.note_state();
                if self.plays {
                    self.play();
                }
            }
            Event::Snapshot if first => self.note_state(),
            Event::Snapshot | Event::CaughtUp | Event::Gap(_) | Event::Reset { .. } => {
                self.breaks.push(format!("{event:?}"));
            }
            Event::Welcome | Event::NewOwner | Event::Stale | Event::Pong { .. } => {}
            Event::Ended => {}
            Event::Chat(lines) => self.chat.extend(lines.iter().cloned()),
            Event::ChatRefused { seq, reason } => self.refused.push((*seq, *reason)),
            Event::Reconnect { url, .. } => self.sent_to.push(url.clone().unwrap_or_default()),
        }
        self.transmit().await;
        Ok(event)
    }

    /// A tick is shown in one version only, however often a client comes back.
    fn note_state(&mut self) {
        let (tick, hash) = (self.position().tick, self.replica().world().hash());
        if self.seen.insert(tick, hash).is_some_and(|before| before != hash) {
            self.breaks.push(format!("tick {tick} in two versions"));
        }
    }

    fn play(&mut self) {
        let replica = &self.client.joined().expect("a tick comes after the welcome").replica;
        let forth = (replica.position().tick.0 / TURN_TICKS).is_multiple_of(2);
        let input = replica.world().schema().input().iter();
        let values: Vec<i32> = input.map(|field| if forth { field.max } else { field.min }).collect();
        // `None` for a spectator.
        let _ = self.client.input(&values);
    }

    /// Sends so many inputs, whatever has become of the ticks.
    pub async fn press(&mut self, count: usize) {
        for _ in 0..count {
            self.play();
        }
        self.transmit().await;
    }

    /// Sends a message besides those of the client, which knows nothing of it.
    pub async fn send_besides(&mut self, message: &ClientMessage) {
        self.socket.say(message).await;
    }

    /// Sends one input with these values.
    pub async fn input(&mut self, values: &[i32]) {
        assert!(self.client.input(values).is_some(), "{values:?} is no input of this player");
        self.transmit().await;
    }

    /// Closes the connection as a page does that is loaded anew: with a close frame, without leaving the match.
    pub async fn close(mut self) {
        self.socket.send(Message::Close(None)).await;
        let _ = self.closed(JOINED_WITHIN).await;
    }

    /// Says something.
    ///
    /// # Panics
    /// When this is no player.
    pub async fn say(&mut self, to: ChatTo, text: &str) {
        self.client.say(to, text).expect("a player may talk");
        self.transmit().await;
    }

    /// Asks for so many snapshots, and reads none of them.
    pub async fn ask_for_snapshots(&mut self, count: usize) {
        for _ in 0..count {
            self.socket.say(&ClientMessage::NeedSnapshot).await;
        }
    }

    /// Says goodbye and closes.
    pub async fn leave(mut self) {
        self.client.leave();
        self.transmit().await;
        let _ = self.socket.0.close(None).await;
    }

    async fn transmit(&mut self) {
        while let Some(frame) = self.client.poll_transmit() {
            self.socket.send(Message::binary(frame)).await;
        }
    }
}
