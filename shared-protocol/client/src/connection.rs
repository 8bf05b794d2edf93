//! A place in a match, held over one socket after the other.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tickcast_protocol::chat::ChatTo;
use tickcast_protocol::client::{Client, Event, Joined};
use tickcast_protocol::message::Join;
use tickcast_protocol::{EntityId, InputSeq, Replica};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

use crate::clock;
use crate::retry::Retry;
use crate::socket::{CONNECT_MAX, Failure, JOIN_MAX, Route, SEND_MAX, SILENCE_MAX, Socket, connect, resolve};
use crate::stream::Trust;
use crate::target::Target;
use crate::tickets::Tickets;

/// How long a way back is looked for. Servers hold a player's place for 10 seconds unless they are set otherwise.
const RESUME_MAX: Duration = Duration::from_secs(10);
/// How long the connection may be silent until a sign of life is asked for.
const PING_AFTER: Duration = Duration::from_secs(2);

/// How long a ticket may take: servers wait 5 seconds for a hello.
const HELLO_MAX: Duration = Duration::from_secs(4);

/// What has happened.
#[derive(Debug)]
pub enum News {
    /// What a frame of the server meant.
    Frame(Event),
    /// The connection is lost. The next one is being opened; until then the state stands still.
    Lost(Failure),
    /// The place is ours again, on another connection; the state follows with the next frames.
    Resumed,
}

/// How one gets in.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Where servers let nobody in without a ticket: where these come from.
    pub tickets: Tickets,
    /// Who says who the nodes are, where their addresses begin with `wss://`.
    pub trust: Trust,
}

impl Access {
    /// The same, where no ticket is needed without one.
    fn with_ticket(&self, is_needed: bool) -> Access {
        let tickets = if is_needed { self.tickets.clone() } else { Tickets::None };
        Access { tickets, trust: self.trust.clone() }
    }
}

/// A socket, and the ticket that the client shows on it; none for a player who is back.
struct Opened {
    socket: Socket,
    ticket: String,
}

type Opening = Pin<Box<dyn Future<Output = Result<Opened, Failure>> + Send>>;

/// A place in a match: a client, its socket, and the way back.
pub struct Connection {
    client: Client,
    access: Access,
    nodes: Vec<Target>,
    node: usize,
    retry: Retry,
    begun: Instant,
    /// `None` while there is no way to the match.
    socket: Option<Socket>,
    /// The next socket: after a loss, or because the node asked to go elsewhere.
    opening: Option<Opening>,
    heard: Instant,
    pinged: bool,
    /// Until when the server has to let us in again.
    admitted_by: Option<Instant>,
}

impl Connection {
    /// Joins at the first of these nodes that answers, and completes with the first state. A player's own entity
    /// follows within a few ticks. The connection's later sockets may lead to any of the nodes.
    ///
    /// # Errors
    /// What the last node tried has answered.
    ///
    /// # Panics
    /// Without a node.
    pub async fn open(nodes: &[Target], name: &str, join: Join) -> Result<Connection, Failure> {
        Connection::open_with(nodes, name, join, &Access::default()).await
    }

    /// As [`Connection::open`], where servers let nobody in without a ticket, or somebody else than the authorities of
    /// browsers says who the nodes are.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub async fn open_with(
        nodes: &[Target],
        name: &str,
        join: Join,
        access: &Access,
    ) -> Result<Connection, Failure> {
        assert!(!nodes.is_empty(), "name at least one node");
        let mut failure = Failure::ConnectTime;
        for node in 0..nodes.len() {
            match Connection::open_at(nodes, node, Client::new(name, join.clone()), access).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
            if !failure.may_reconnect() {
                break;
            }
        }
        Err(failure)
    }

    async fn open_at(
        nodes: &[Target],
        node: usize,
        mut client: Client,
        access: &Access,
    ) -> Result<Connection, Failure> {
        let asked = access.with_ticket(client.needs_ticket());
        let Opened { socket, ticket } = reach(nodes[node].clone(), CONNECT_MAX, asked).await?;
        client.show_ticket(ticket);
        let now = clock::now();
        let mut connection = Connection {
            client,
            access: access.clone(),
            nodes: nodes.to_vec(),
            node,
            retry: Retry::new(rand::random(), RESUME_MAX),
            begun: now,
            socket: Some(socket),
            opening: None,
            heard: now,
            pinged: false,
            admitted_by: Some(now + JOIN_MAX),
        };
        loop {
            match connection.step().await? {
                News::Frame(Event::Snapshot) => return Ok(connection),
                News::Lost(failure) => return Err(failure),
                News::Frame(_) | News::Resumed => {}
            }
        }
    }

    /// The next piece of news. Sends what waits to be sent, answers silence, and looks for a way back after a loss.
    /// May be dropped and called again, for example in `tokio::select!`: nothing gets lost.
    ///
    /// # Errors
    /// When it is over: the match ended, the place is gone, or no way back was found. Then there is nothing further.
    pub async fn next(&mut self) -> Result<News, Failure> {
        self.step().await
    }

    async fn step(&mut self) -> Result<News, Failure> {
        loop {
            if self.socket.is_none() {
                return self.come_back().await;
            }
            match self.follow().await {
                Ok(Some(news)) => return Ok(news),
                Ok(None) => {}
                Err(failure) => return self.lose(failure),
            }
        }
    }

    /// What happens on the socket; `None` for what is nobody's business.
    async fn follow(&mut self) -> Result<Option<News>, Failure> {
        self.flush().await?;
        let quiet = self.heard + if self.pinged { SILENCE_MAX } else { PING_AFTER };
        let admitted_by = self.admitted_by.unwrap_or(quiet);
        let Some(socket) = &mut self.socket else { return Ok(None) };
        tokio::select! {
            message = socket.next() => {
                (self.heard, self.pinged) = (clock::now(), false);
                self.handle_message(message)
            }
            opened = poll_opening(&mut self.opening) => {
                self.opening = None;
                // A node that leaves lives for a while yet; when it is gone, there is the usual way back.
                let Ok(next) = opened else { return Ok(None) };
                Ok(Some(self.change_to(next)))
            }
            () = sleep_until(admitted_by), if self.admitted_by.is_some() => Err(Failure::JoinTime),
            () = sleep_until(quiet) => {
                if std::mem::replace(&mut self.pinged, true) {
                    return Err(Failure::Unheard);
                }
                self.client.ping(0);
                Ok(None)
            }
        }
    }

    /// Hands over what waits to be sent: a frame leaves the client only when the socket takes it.
    async fn flush(&mut self) -> Result<(), Failure> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let client = &mut self.client;
        let sending = async {
            loop {
                poll_fn(|cx| socket.poll_ready_unpin(cx)).await?;
                let Some(frame) = client.poll_transmit() else { return socket.flush().await };
                socket.start_send_unpin(Message::binary(frame))?;
            }
        };
        match timeout(SEND_MAX, sending).await {
            Ok(sent) => sent.map_err(Failure::Socket),
            Err(_) => Err(Failure::SendTime),
        }
    }

    fn handle_message(
        &mut self,
        message: Option<Result<Message, WebSocketError>>,
    ) -> Result<Option<News>, Failure> {
        let event = match Failure::check(message)? {
            Some(frame) => self.client.handle_frame(&frame)?,
            None => return Ok(None),
        };
        match &event {
            Event::Snapshot => {
                self.admitted_by = None;
                self.retry.handle_return();
            }
            Event::Reconnect { within, url } => {
                let wait = self.retry.moment_within(*within);
                let target =
                    url.as_deref().and_then(|url| url.parse().ok()).unwrap_or_else(|| self.other_node());
                self.opening = Some(open_after(wait, target, CONNECT_MAX, self.asked()));
            }
            _ => {}
        }
        Ok(Some(News::Frame(event)))
    }

    fn other_node(&mut self) -> Target {
        self.node = self.retry.other_target(self.node, self.nodes.len());
        self.nodes[self.node].clone()
    }

    /// How the next connection gets in: a player needs no ticket.
    fn asked(&self) -> Access {
        let is_player = self.client.joined().is_some_and(|joined| joined.player().is_some());
        self.access.with_ticket(!is_player)
    }

    fn change_to(&mut self, opened: Opened) -> News {
        let Opened { socket, ticket } = opened;
        // Who has a first state was welcomed.
        let _ = self.client.resume();
        self.client.show_ticket(ticket);
        let now = clock::now();
        (self.socket, self.opening, self.heard, self.pinged) = (Some(socket), None, now, false);
        self.admitted_by = Some(now + JOIN_MAX);
        News::Resumed
    }

    fn lose(&mut self, failure: Failure) -> Result<News, Failure> {
        self.socket = None;
        if !failure.may_reconnect() || self.client.joined().is_none() {
            return Err(failure);
        }
        self.try_again(failure)
    }

    /// Plans the next try.
    fn try_again(&mut self, failure: Failure) -> Result<News, Failure> {
        let now = clock::now().saturating_duration_since(self.begun);
        let Some(wait) = self.retry.next_wait(now) else { return Err(Failure::GivenUp(Box::new(failure))) };
        let left = self.retry.time_left(now).saturating_sub(wait);
        let node = self.other_node();
        self.opening = Some(open_after(wait, node, left.min(CONNECT_MAX), self.asked()));
        Ok(News::Lost(failure))
    }

    async fn come_back(&mut self) -> Result<News, Failure> {
        let opened = poll_opening(&mut self.opening).await;
        self.opening = None;
        match opened {
            Ok(socket) => Ok(self.change_to(socket)),
            Err(failure) => self.try_again(failure),
        }
    }

    /// Sends an input with the next [`Connection::next`]: one value for each input field of the schema. Returns its
    /// number; `None` while there is no state to act on, for a spectator, or when the values are not what the schema
    /// says.
    pub fn input(&mut self, values: &[i32]) -> Option<InputSeq> {
        self.client.input(values)
    }

    /// Sends an input of a player who is shown a picture so many 256ths of a tick behind the state.
    pub fn input_behind(&mut self, values: &[i32], behind: u16) -> Option<InputSeq> {
        self.client.input_behind(values, behind)
    }

    /// Says something to others with the next [`Connection::next`], and returns its number; `None` for a spectator. It is
    /// kept until it is heard, and said again on the next connection.
    pub fn say(&mut self, to: ChatTo, text: &str) -> Option<u32> {
        self.client.say(to, text)
    }

    /// What the last welcome told.
    pub fn joined(&self) -> &Joined {
        self.client.joined().expect("a connection is made when its state is there")
    }

    /// The state.
    pub fn replica(&self) -> &Replica {
        &self.joined().replica
    }

    /// Our player's entity, once it is part of the state.
    pub fn entity(&self) -> Option<EntityId> {
        self.joined().entity()
    }

    /// Leaves the match for good.
    pub async fn leave(mut self) {
        self.client.leave();
        let deadline = clock::now() + SEND_MAX;
        if timeout_at(deadline, self.flush()).await.is_ok_and(|sent| sent.is_ok())
            && let Some(socket) = &mut self.socket
        {
            // The server closes.
            let closed = async { while socket.next().await.is_some_and(|message| message.is_ok()) {} };
            let _ = timeout_at(deadline, closed).await;
        }
    }
}

/// Opens a socket, and asks for a ticket once it is open: it is to be fresh.
async fn reach(target: Target, within: Duration, access: Access) -> Result<Opened, Failure> {
    let Access { tickets, trust } = access;
    let address = resolve(&target, false).await.map_err(Failure::Connect)?;
    let socket = connect(Route { target, address, source: None, trust }, within).await?;
    let ticket = timeout(HELLO_MAX, tickets.next()).await;
    let ticket = ticket.unwrap_or_else(|_| Err(Failure::Ticket("it did not come in time".to_owned())))?;
    Ok(Opened { socket, ticket })
}

fn open_after(wait: Duration, target: Target, within: Duration, access: Access) -> Opening {
    Box::pin(async move {
        tokio::time::sleep(wait).await;
        reach(target, within, access).await
    })
}

async fn poll_opening(opening: &mut Option<Opening>) -> Result<Opened, Failure> {
    match opening {
        Some(opening) => opening.await,
        None => std::future::pending().await,
    }
}
