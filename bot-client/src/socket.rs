//! One bot's socket: connects, carries frames between a bot and its node, leaves when it is told to. Whatever ends
//! it unasked is a failure with a name.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use thiserror::Error;
use tickcast_protocol::CloseCode;
use tickcast_protocol::client::ServerError;
use tickcast_protocol::limits::FRAME_BYTES_MAX;
use tickcast_protocol::message::SUBPROTOCOL;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::board::Board;
use crate::bot::{Bot, Step};
use crate::light::LightBot;
use crate::plan::Plan;
use crate::share::BotPlan;
use crate::swarm::{Phase, Shared};
use crate::tally::Marks;

/// Read buffer of a socket, bytes: it is allocated at once, for each of thousands.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Unsent bytes of a socket.
const WRITE_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How long it may take to be connected.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long it may take from the hello to being in the match.
const JOIN_MAX: Duration = Duration::from_secs(15);
/// How long a frame may take to be sent, and a goodbye to be said.
const SEND_MAX: Duration = Duration::from_secs(5);
/// Measurements that a bot gathers before it hands them over.
const SAMPLES_HELD: usize = 256;

/// Why a connection could not be made or ended unasked.
#[derive(Debug, Error)]
pub enum Failure {
    /// No TCP connection.
    #[error("connect: {0}")]
    Connect(io::Error),
    /// No WebSocket.
    #[error("handshake: {0}")]
    Handshake(String),
    /// Not connected in time.
    #[error("not connected within {} s", CONNECT_MAX.as_secs())]
    ConnectTime,
    /// Connected and not part of the match in time.
    #[error("not in the match within {} s", JOIN_MAX.as_secs())]
    JoinTime,
    /// The server closed.
    #[error("close {0} {1}")]
    Close(u16, String),
    /// The connection ended without a close frame.
    #[error("closed without a code")]
    Silent,
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
}

type Socket = WebSocketStream<TcpStream>;

/// Who sits at the socket.
enum Pilot {
    Full(Box<Bot>),
    Light(Box<LightBot>),
}

impl Pilot {
    fn new(bot: &BotPlan, plan: &Plan) -> Pilot {
        let (name, join) = (format!("bot-{}", bot.number), bot.join.clone());
        match plan.light {
            true => {
                let bot = LightBot::new(&name, join, bot.seed);
                Pilot::Light(Box::new(bot.allow_slow(plan.slow_clients_allowed)))
            }
            false => {
                let bot = Bot::new(&name, join, bot.seed);
                Pilot::Full(Box::new(bot.allow_slow(plan.slow_clients_allowed)))
            }
        }
    }

    fn is_joined(&self) -> bool {
        match self {
            Pilot::Full(bot) => bot.is_joined(),
            Pilot::Light(bot) => bot.is_joined(),
        }
    }

    fn marks(&mut self) -> &mut Marks {
        match self {
            Pilot::Full(bot) => bot.marks(),
            Pilot::Light(bot) => bot.marks(),
        }
    }

    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        match self {
            Pilot::Full(bot) => bot.poll_transmit(),
            Pilot::Light(bot) => bot.poll_transmit(),
        }
    }

    fn leave(&mut self) {
        match self {
            Pilot::Full(bot) => bot.leave(),
            Pilot::Light(bot) => bot.leave(),
        }
    }

    fn handle_end(&mut self, now: Duration) {
        match self {
            Pilot::Full(bot) => bot.handle_end(now),
            Pilot::Light(bot) => bot.handle_end(now),
        }
    }
}

/// A bot with all it needs to run.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    plan: BotPlan,
    pilot: Pilot,
    phase: watch::Receiver<Phase>,
    joined: bool,
    introduced: bool,
}

impl Seat {
    pub(crate) fn new(shared: Arc<Shared>, plan: BotPlan, phase: watch::Receiver<Phase>) -> Seat {
        let pilot = Pilot::new(&plan, &shared.plan);
        Seat { shared, plan, pilot, phase, joined: false, introduced: false }
    }

    /// Runs until the phase says to leave, or something fails. Tells whether the bot had joined.
    pub(crate) async fn run(mut self) -> (bool, Result<(), Failure>) {
        let result = self.drive().await;
        let marks = std::mem::take(self.pilot.marks());
        self.shared.absorb(marks);
        (self.joined, result)
    }

    async fn drive(&mut self) -> Result<(), Failure> {
        let mut phase = self.phase.clone();
        let mut socket = tokio::select! {
            socket = connect(&self.shared, &self.plan) => socket?,
            _ = phase.wait_for(|phase| *phase == Phase::Leaving) => return Ok(()),
        };
        self.transmit(&mut socket).await?;
        let mut measuring = *phase.borrow_and_update() == Phase::Measuring;
        let join_time = sleep(JOIN_MAX);
        tokio::pin!(join_time);
        loop {
            tokio::select! {
                message = socket.next() => {
                    self.handle_message(message, measuring)?;
                    self.transmit(&mut socket).await?;
                }
                // An error means that the swarm is gone: leave.
                changed = phase.changed() => match changed.map(|()| *phase.borrow_and_update()) {
                    Ok(Phase::Joining) => {}
                    Ok(Phase::Measuring) => measuring = true,
                    Ok(Phase::Leaving) | Err(_) => {
                        if measuring {
                            self.pilot.handle_end(self.shared.clock.now());
                        }
                        self.leave(&mut socket).await;
                        return Ok(());
                    }
                },
                () = &mut join_time, if !self.joined => return Err(Failure::JoinTime),
            }
        }
    }

    fn handle_message(
        &mut self,
        message: Option<Result<Message, WebSocketError>>,
        measuring: bool,
    ) -> Result<(), Failure> {
        match message {
            Some(Ok(Message::Binary(frame))) => self.handle_frame(&frame, measuring),
            Some(Ok(Message::Text(_))) => Err(Failure::Text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Close(None))) | None => Err(Failure::Silent),
            Some(Ok(Message::Close(Some(close)))) => Err(closed(close.code.into(), close.reason.as_str())),
            Some(Err(error)) => Err(Failure::Socket(error)),
        }
    }

    fn handle_frame(&mut self, frame: &[u8], measuring: bool) -> Result<(), Failure> {
        let now = self.shared.clock.now();
        match &mut self.pilot {
            Pilot::Full(bot) => {
                let step = bot.handle_frame(now, frame, measuring)?;
                let mut board =
                    self.shared.boards[self.plan.match_index].lock().unwrap_or_else(PoisonError::into_inner);
                self.introduced = exchange(bot, &mut board, &self.plan, step, now, self.introduced);
            }
            Pilot::Light(bot) => bot.handle_frame(now, frame, measuring)?,
        }
        if !self.joined && self.pilot.is_joined() {
            self.joined = true;
            self.shared.count_joined();
        }
        if self.pilot.marks().samples.len() >= SAMPLES_HELD {
            let marks = std::mem::take(self.pilot.marks());
            self.shared.absorb(marks);
        }
        Ok(())
    }

    async fn transmit(&mut self, socket: &mut Socket) -> Result<(), Failure> {
        while let Some(frame) = self.pilot.poll_transmit() {
            match timeout(SEND_MAX, socket.send(Message::binary(frame))).await {
                Ok(sent) => sent.map_err(Failure::Socket)?,
                Err(_) => return Err(Failure::SendTime),
            }
        }
        Ok(())
    }

    /// Says goodbye. The run is over: whether the server hears it does not matter any more.
    async fn leave(&mut self, socket: &mut Socket) {
        self.pilot.leave();
        let goodbye = async {
            if self.transmit(socket).await.is_ok() {
                let _ = socket.close(None).await;
            }
        };
        let _ = timeout(SEND_MAX, goodbye).await;
    }
}

/// Tells the other clients of the match what this one saw and sent. Returns whether the bot is known to them.
fn exchange(
    bot: &mut Bot,
    board: &mut Board,
    plan: &BotPlan,
    step: Step,
    now: Duration,
    known: bool,
) -> bool {
    if let Some((position, hash)) = step.state {
        board.handle_state(position, hash, bot.marks());
    }
    if let (Some(seat), Some(sent)) = (plan.seat, step.sent) {
        board.handle_sent(seat, sent);
    }
    if let (Some(watched), Some(seen)) = (plan.watches, step.seen) {
        board.handle_seen(watched, seen, now, bot.marks());
    }
    if let Some(player) = plan.watches.filter(|_| !bot.is_watching()).and_then(|seat| board.player(seat)) {
        bot.watch(player);
    }
    match (plan.seat, bot.player()) {
        (Some(seat), Some(player)) if !known => {
            board.handle_player(seat, player);
            true
        }
        _ => known,
    }
}

fn closed(number: u16, reason: &str) -> Failure {
    let name = CloseCode::from_number(number).map_or_else(|| reason.to_owned(), |code| format!("{code:?}"));
    Failure::Close(number, name)
}

async fn connect(shared: &Shared, plan: &BotPlan) -> Result<Socket, Failure> {
    let connecting = async {
        let stream = open(shared.addresses[plan.target], plan.source).await.map_err(Failure::Connect)?;
        let url: Result<Uri, _> = shared.plan.targets[plan.target].websocket_url().parse();
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
    timeout(CONNECT_MAX, connecting).await.unwrap_or(Err(Failure::ConnectTime))
}

async fn open(address: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(SocketAddr::from((source, 0)))?;
    }
    socket.connect(address).await
}

/// One board for each match.
pub(crate) type Boards = Vec<Mutex<Board>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_named_by_its_code() {
        assert_eq!(closed(4002, "whatever").to_string(), "close 4002 Slow");
        assert_eq!(closed(3000, "odd").to_string(), "close 3000 odd");
    }
}
