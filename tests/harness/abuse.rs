//! What abusers do to a node and what must become of it, row by row of `docs/abuse.md`. The suite (`tests/it/abuse`) does
//! each beside a few honest players; the program `abuse` does it as hard as it goes beside hundreds, and measures these.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tickcast_protocol::MatchId;
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::player::{Door, Player, Socket};
use crate::process::Node;
use crate::raw::{Raw, upgrade_request};

pub mod catalogue;
pub mod frames;
pub mod gauge;
pub mod handshake;
pub mod identity;
pub mod inputs;
pub mod operators;
pub mod report;
pub mod run;

/// For what takes some round trips or ticks, on a busy machine.
pub const WITHIN: Duration = Duration::from_secs(10);
/// A request's head must be there within 5 s, and a hello.
pub const CLOSED_WITHIN: Duration = Duration::from_secs(9);
/// Memory that a node may keep after an attack: what its allocator has taken and not given back, kilobytes.
pub const GROWTH_KB_MAX: u64 = 16 * 1024;
/// Addresses of a crowd: 127.9.0.0 and the following.
const ADDRESSES: u32 = 1 << 16;

/// A node under attack, and where the attack comes from.
#[derive(Clone)]
pub struct Target {
    /// The node.
    pub node: Arc<Node>,
    /// A match of the node that attackers may join.
    pub id: MatchId,
    crowd: Option<Arc<Crowd>>,
}

/// Many addresses of this machine, taken in turn and not faster than a pace: no attack but a flood of connections is to end at the
/// limits of an address or at the node's rate of new connections.
struct Crowd {
    next: AtomicU32,
    pace: Mutex<Interval>,
}

impl Target {
    /// A node that is attacked from 127.0.0.1.
    pub fn new(node: Arc<Node>, id: MatchId) -> Target {
        Target { node, id, crowd: None }
    }

    /// The same, attacked from one address after another, with so many WebSocket connections per second.
    #[must_use]
    pub fn from_many(self, per_second: u32) -> Target {
        let mut pace = interval(Duration::from_secs(1) / per_second);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Target { crowd: Some(Arc::new(Crowd { next: AtomicU32::new(0), pace: Mutex::new(pace) })), ..self }
    }

    /// Host and port for players.
    pub fn authority(&self) -> &str {
        self.node.authority()
    }

    /// The next address of the attackers.
    pub fn source(&self) -> Ipv4Addr {
        match &self.crowd {
            None => Ipv4Addr::LOCALHOST,
            Some(crowd) => {
                let number = crowd.next.fetch_add(1, Ordering::Relaxed) % ADDRESSES;
                Ipv4Addr::from_bits(Ipv4Addr::new(127, 9, 0, 0).to_bits() + number)
            }
        }
    }

    /// A connection.
    ///
    /// # Panics
    /// When there is none.
    pub async fn connect(&self) -> Raw {
        let authority = self.authority();
        let raw = Raw::connect_from(&self.source().to_string(), authority).await;
        raw.unwrap_or_else(|error| panic!("{authority}: {error}"))
    }

    /// A connection that is a WebSocket.
    ///
    /// # Panics
    /// When there is none.
    pub async fn open(&self) -> Raw {
        self.wait_turn().await;
        let mut raw = self.connect().await;
        let request = upgrade_request(self.authority(), &[]);
        raw.send(request.as_bytes()).await.expect("a new connection takes a request");
        let head = raw.head().await.expect("an answer");
        assert_eq!(head.status, 101, "{head:?}");
        raw
    }

    /// Sends a request with further headers, each with its line's end: the status of the answer and its body; 0 when the node closes
    /// instead.
    ///
    /// # Panics
    /// When it does neither.
    pub async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut raw = self.connect().await;
        let (authority, length) = (self.authority(), body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}");
        // A node that has read enough closes before all is sent.
        let _ = raw.send(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes()).await;
        let _ = raw.send(body.as_bytes()).await;
        let Some(head) = raw.head().await else { return (0, String::new()) };
        (head.status, String::from_utf8_lossy(&raw.rest(WITHIN).await).into_owned())
    }

    /// A WebSocket that tungstenite holds.
    ///
    /// # Panics
    /// When there is none.
    pub async fn socket(&self) -> Socket {
        self.wait_turn().await;
        Socket::open(self.door()).await
    }

    /// A player, or somebody who looks on.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn join(&self, name: &str, join: Join) -> Player {
        self.wait_turn().await;
        Player::join(self.door(), name, join).await
    }

    /// The same over a socket that holds little.
    ///
    /// # Panics
    /// When it does not get in.
    pub async fn join_narrow(&self, name: &str, join: Join) -> Player {
        self.wait_turn().await;
        Player::join_narrow(self.door(), name, join).await
    }

    /// A player who was closed is back, and says goodbye: its place is free.
    ///
    /// # Panics
    /// When it does not get its place again.
    pub async fn come_back_and_leave(&self, mut player: Player) {
        self.wait_turn().await;
        player.resume(self.door()).await;
        player.leave().await;
    }

    fn door(&self) -> Door<'_> {
        Door { source: Some(self.source().into()), ..Door::from(&self.node.players) }
    }

    /// Waits until another WebSocket connection fits into the pace.
    pub async fn wait_turn(&self) {
        if let Some(crowd) = &self.crowd {
            crowd.pace.lock().await.tick().await;
        }
    }

    /// Memory of the node's process, kilobytes.
    pub fn resident_kb(&self) -> u64 {
        gauge::resident_kb(self.node.pid())
    }
}

/// The frame of somebody who wants in.
pub fn hello(name: &str, join: Join) -> Vec<u8> {
    let (name, ticket) = (name.to_owned(), String::new());
    ClientMessage::Hello { protocol: PROTOCOL_VERSION, name, join, ticket }.to_frame()
}
