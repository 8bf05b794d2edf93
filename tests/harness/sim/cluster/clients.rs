//! The clients of the cluster: their sessions, the lines to them, what they see and say.

use rand::RngExt;
use tickcast_protocol::client::{Client, Event as Told};
use tickcast_protocol::message::{Join, Role, ServerMessage};
use tickcast_protocol::{PlayerId, ResumeToken, SessionId};
use tickcast_server::logic::channel::Upstream;
use tickcast_server::logic::laggards::{Next, Standing};
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::session::{Output, Session};
use tickcast_server::logic::stored::StoredMatch;

use super::super::line::Line;
use super::{Cluster, Event};

/// Longest pause in which a client reads nothing. A node waits for longer.
const STALL_MS_MAX: u64 = 1500;

/// A client and what its node knows of it.
pub(super) struct Seat {
    pub(super) node: usize,
    pub(super) client: Client,
    pub(super) player: PlayerId,
    session: Session,
    standing: Standing,
    line: Line,
    /// The node has let it in: it gets every tick from here on.
    listening: bool,
    up_due_ms: u64,
}

impl Cluster {
    pub(super) fn connect(&mut self, node: usize) {
        let player = PlayerId(self.seats.len() as u32 + 1);
        let mut client = Client::new(&format!("p{player}"), Join::Match(self.id.clone()));
        let hello = client.poll_transmit().expect("a hello");
        let (session, standing, line) = (Session::new(self.now()), Standing::default(), Line::default());
        let seat = Seat { node, client, player, session, standing, line, listening: false, up_due_ms: 0 };
        self.seats.push(seat);
        let client = self.seats.len() - 1;
        self.at(self.now_ms, Event::Up { client, frame: hello });
        self.at(self.now_ms, Event::Read { client });
    }

    pub(super) fn handle_up(&mut self, client: usize, frame: &[u8]) {
        let now = self.now();
        let seat = &mut self.seats[client];
        match seat.session.handle_frame(now, frame) {
            Output::Join { name, .. } => self.join(client, name),
            Output::Input { player, seq, seen, values } => {
                self.upstream(&[Upstream::Input { player, seq, seen, values }]);
            }
            Output::Nothing => {}
            other => panic!("an honest client never causes {other:?}"),
        }
    }

    fn join(&mut self, client: usize, name: String) {
        let loaded = self.store.load(&self.id).expect("the match is there");
        let meta = StoredMatch::parse(&loaded).expect("readable");
        let (now, player) = (self.now(), self.seats[client].player);
        let role = Role::Player(player);
        let welcome = ServerMessage::Welcome {
            protocol: tickcast_protocol::message::PROTOCOL_VERSION,
            node: "n".parse().expect("an id"),
            session: SessionId(client as u64),
            match_id: self.id.clone(),
            role,
            tick_rate: meta.tick_rate,
            schema: meta.schema.to_json(),
            resume: ResumeToken::default(),
        };
        let seat = &mut self.seats[client];
        seat.listening = true;
        seat.session.handle_joined(now, role, meta.schema.clone(), meta.tick_rate);
        seat.line.send_control(&welcome.to_frame());
        self.serve(client);
        self.upstream(&[Upstream::Join { player, name, token: TokenDigest::of(&ResumeToken::default()) }]);
    }

    /// Sends a client what comes next for it, as a relay's task does.
    fn serve(&mut self, client: usize) {
        let now = self.now();
        let Seat { node, standing, line, .. } = &mut self.seats[client];
        let node = &mut self.nodes[*node];
        let replica = node.relay.replica();
        match node.laggards.next(now, replica, standing, || line.is_clear()) {
            Next::Wait => {}
            Next::TooSlow => panic!("nobody stalls for that long"),
            Next::Send(frame) => {
                let whole = line.send_state(frame.bytes.clone());
                node.laggards.handle_sent(replica, standing, &frame, whole);
            }
        }
    }

    /// Sends every client of a node what comes next for it.
    pub(super) fn serve_all(&mut self, node: usize) {
        for client in 0..self.seats.len() {
            if self.seats[client].node == node && self.seats[client].listening {
                self.serve(client);
            }
        }
        let sent = self.nodes[node].laggards.take_counts();
        self.faults.caught_up += sent.catch_ups;
        self.faults.given_snapshots += sent.snapshots_for_slow;
    }

    /// What a node's clients have is of no use.
    pub(super) fn lose_all(&mut self, node: usize) {
        let seats = self.seats.iter_mut().filter(|seat| seat.node == node);
        seats.for_each(|seat| seat.standing.lose());
    }

    /// A client reads some of what is under way, all of it in calm times, and now and then nothing for long.
    pub(super) fn handle_read(&mut self, client: usize) {
        let stalls = self.chance(1) && self.chance(50);
        let (bytes, pause_ms) = match (self.calm, stalls) {
            (true, _) => (usize::MAX, 10),
            (_, true) => (0, self.rng.random_range(0..STALL_MS_MAX)),
            _ => (self.rng.random_range(0..2000), self.rng.random_range(1..20)),
        };
        self.faults.stalled += u64::from(stalls);
        for frame in self.seats[client].line.read(bytes) {
            self.handle_down(client, &frame);
        }
        self.at(self.now_ms + pause_ms, Event::Read { client });
    }

    fn handle_down(&mut self, client: usize, frame: &[u8]) {
        let told = self.seats[client].client.handle_frame(frame).expect("a server never breaks the contract");
        let jump = match told {
            Told::Advanced => false,
            Told::Snapshot | Told::CaughtUp => true,
            Told::Welcome | Told::Stale | Told::NewOwner => return,
            other => panic!("on a socket that keeps order there is no {other:?}"),
        };
        let seat = &mut self.seats[client];
        let joined = seat.client.joined().expect("welcomed");
        let (at, hash) = (joined.replica.position(), joined.replica.world().hash());
        let acknowledged = joined.acknowledged();
        let entered = joined.entity().is_some();
        self.oracle.handle_state(client, at, hash, jump, acknowledged);
        if entered {
            let bounds: Vec<(i32, i32)> = schema_bounds(&self.seats[client].client);
            let values: Vec<i32> =
                bounds.iter().map(|(min, max)| self.rng.random_range(*min..=*max)).collect();
            self.seats[client].client.input(&values).expect("values within the schema");
        }
        while let Some(frame) = self.seats[client].client.poll_transmit() {
            let due = self.now_ms + self.rng.random_range(0..20);
            self.seats[client].up_due_ms = self.seats[client].up_due_ms.max(due);
            self.at(self.seats[client].up_due_ms, Event::Up { client, frame });
        }
    }
}

fn schema_bounds(client: &Client) -> Vec<(i32, i32)> {
    let joined = client.joined().expect("welcomed");
    joined.replica.world().schema().input().iter().map(|field| (field.min, field.max)).collect()
}
