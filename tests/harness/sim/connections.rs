//! Connections between clients and nodes: the node's session and the line, and the ways in which one ends.

use rand::RngExt;
use tickcast_protocol::message::{Join, ServerMessage};
use tickcast_protocol::{CloseCode, PlayerId, ResumeToken};
use tickcast_server::logic::channel::Upstream;
use tickcast_server::logic::laggards::Standing;
use tickcast_server::logic::resume::{Proof, TokenDigest};
use tickcast_server::logic::session::{Output, Session};

use super::admission::{Gone, Wish};
use super::cluster::{Cluster, Event};
use super::line::Line;
use super::relay::Work;

/// A node's end, and what is under way to the client.
pub(super) struct Connection {
    pub(super) node: usize,
    pub(super) game: usize,
    /// The other end; `None` once the client has let go.
    pub(super) client: Option<usize>,
    pub(super) player: Option<PlayerId>,
    /// Which of the player's resumes made it.
    pub(super) attempt: u32,
    /// Of the token of its welcome.
    pub(super) token: TokenDigest,
    pub(super) wish: Option<Wish>,
    pub(super) session: Session,
    pub(super) standing: Standing,
    pub(super) line: Line,
    /// It was told what was said before.
    pub(super) has_history: bool,
    reading: bool,
    up_due_ms: u64,
}

impl Cluster {
    pub(super) fn connect(&mut self, node: usize, game: usize, client: usize) -> u64 {
        let id = self.number();
        let connection = Connection {
            node,
            game,
            client: Some(client),
            player: None,
            attempt: 0,
            token: TokenDigest::of(&ResumeToken::default()),
            wish: None,
            session: Session::new(self.now(), 60, 8192),
            standing: Standing::default(),
            line: Line::default(),
            has_history: false,
            reading: false,
            up_due_ms: 0,
        };
        self.connections.insert(id, connection);
        id
    }

    /// The connections of a node.
    pub(super) fn connected(&self, node: usize) -> Vec<u64> {
        self.connections.iter().filter(|(_, connection)| connection.node == node).map(|(id, _)| *id).collect()
    }

    /// A client sends a frame.
    pub(super) fn send_up(&mut self, id: u64, frame: Vec<u8>) {
        let due_ms = self.now_ms + self.rng.random_range(1..15);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.up_due_ms = connection.up_due_ms.max(due_ms);
        let due_ms = connection.up_due_ms;
        self.at(due_ms, Event::Up { connection: id, frame });
    }

    pub(super) fn handle_up(&mut self, id: u64, frame: Vec<u8>) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (node, game) = (connection.node, connection.game);
        let paused_until_ms = self.nodes[node].paused_until_ms;
        if self.now_ms < paused_until_ms {
            // What comes later does not overtake it, also if the node goes on before that.
            connection.up_due_ms = connection.up_due_ms.max(paused_until_ms);
            return self.at(paused_until_ms, Event::Up { connection: id, frame });
        }
        match connection.session.handle_frame(now, &frame) {
            Output::Join { name, join, .. } => {
                let wish = match join {
                    Join::Resume { player, token, shown, attempt, .. } => {
                        Wish::Resume(Proof { player, token, shown, attempt })
                    }
                    _ => Wish::Play { name },
                };
                self.join_node(id, wish);
            }
            Output::Input { player, seq, seen, behind, values } => {
                self.say(|| format!("n{node}: player {player} input {seq:?}"));
                let input = Upstream::Input { player, seq, seen, behind, values };
                self.relay_work(node, game, Work::Say(input));
            }
            Output::Snapshot => self.relay_work(node, game, Work::Snapshot { connection: id }),
            Output::Nothing | Output::OfferPing | Output::Ping { .. } | Output::Pong { .. } => {}
            Output::Say(saying) => self.relay_work(node, game, Work::Saying(saying)),
            Output::Refuse { seq, reason } => {
                self.send_control(id, &ServerMessage::ChatRefused { seq, reason }.to_frame());
            }
            Output::Close(code, text) => {
                self.oracle.fail(format!("an honest client was closed: {code:?} {text}"));
            }
        }
    }

    pub(super) fn send_control(&mut self, id: u64, frame: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.line.send_control(frame);
            self.schedule_read(id);
        }
    }

    /// What has been sent will arrive in a moment.
    pub(super) fn schedule_read(&mut self, id: u64) {
        let due_ms = self.now_ms + self.rng.random_range(1..15);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.client.is_some() && !connection.reading {
            connection.reading = true;
            self.at(due_ms, Event::Read { connection: id });
        }
    }

    pub(super) fn handle_read(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(client) = connection.client else { return };
        let reads_at_ms = self.clients[client].slow_until_ms;
        if self.now_ms < reads_at_ms {
            self.counters.hit(super::plan::Kind::SlowReader);
            return self.at(reads_at_ms, Event::Read { connection: id });
        }
        connection.reading = false;
        for frame in connection.line.read(usize::MAX) {
            self.handle_down(client, id, &frame);
        }
    }

    /// The node closes a connection; the client learns why.
    pub(super) fn close(&mut self, id: u64, code: CloseCode) {
        let for_good = !code.may_reconnect() && code != CloseCode::Replaced;
        self.say(|| format!("connection {id} closed: {code:?}"));
        if let Some((node, game, gone)) = self.end_connection(id, Some(code)) {
            self.relay_work(node, game, Work::Leave(Gone { for_good, ..gone }));
        }
    }

    /// The node finds that the client is gone.
    pub(super) fn lose_connection(&mut self, id: u64) {
        let node = self.connections.get(&id).map(|connection| connection.node);
        let paused_until_ms = node.map_or(0, |node| self.nodes[node].paused_until_ms);
        if self.now_ms < paused_until_ms {
            return self.at(paused_until_ms, Event::Gone { connection: id });
        }
        if let Some((node, game, gone)) = self.end_connection(id, None) {
            self.relay_work(node, game, Work::Leave(gone));
        }
    }

    /// The node's end is no more; the client reads what is under way, and then learns of it.
    pub(super) fn end_connection(
        &mut self,
        id: u64,
        code: Option<CloseCode>,
    ) -> Option<(usize, usize, Gone)> {
        let mut connection = self.connections.remove(&id)?;
        if let Some(client) = connection.client {
            let frames = connection.line.read(usize::MAX);
            let due_ms = self.now_ms + self.rng.random_range(1..40);
            self.at(due_ms, Event::Closed { client, connection: id, frames, code });
        }
        let gone =
            Gone { connection: id, player: connection.player, token: connection.token, for_good: false };
        Some((connection.node, connection.game, gone))
    }

    /// The client lets go; the node finds out after so long.
    pub(super) fn let_go(&mut self, id: u64, noticed_ms: u64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.client = None;
            self.at(self.now_ms + noticed_ms, Event::Gone { connection: id });
        }
    }
}
