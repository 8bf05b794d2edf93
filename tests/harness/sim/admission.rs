//! The imitated shell of who listens: joins, players who are back on another connection, and goodbyes.

use std::time::{Duration, Instant};

use rand::RngExt;
use tickcast_protocol::message::{PROTOCOL_VERSION, Role, ServerMessage};
use tickcast_protocol::{CloseCode, PlayerId, Position, ResumeToken, SessionId, Tick};
use tickcast_server::logic::channel::Upstream;
use tickcast_server::logic::resume::{Judgement, Proof, TokenDigest, displaces};

use super::cluster::Cluster;
use super::counters::Seen;
use super::owner::Next;
use super::relay::Work;
use super::settings::QUIET;
use super::store::{self, Answer};

/// Beats between two repetitions of a request.
const REPEAT_BEATS: u64 = 4;
/// How long a request may take while the match ticks.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// A connection that wants into a match.
#[derive(Debug, Clone)]
pub(super) struct Join {
    pub(super) connection: u64,
    pub(super) wish: Wish,
}

/// A connection that is no more.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    pub(super) connection: u64,
    pub(super) player: Option<PlayerId>,
    pub(super) token: TokenDigest,
    pub(super) for_good: bool,
}

/// What it wants.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Play {
        name: String,
    },
    Resume(Proof),
    /// The proof was good: where the match stood, until that was loaded, and what to tell of a set-back.
    Admitted {
        proof: Proof,
        known: Option<Position>,
        set_back: Option<(Tick, Tick)>,
    },
}

/// What a connection waits for the owner to do.
pub(super) struct Request {
    session: u64,
    deadline: Instant,
    /// A name to join with; without it the player is back.
    join: Option<String>,
    /// Which of the player's resumes it is, and with which token.
    attempt: u32,
    token: TokenDigest,
}

impl Request {
    fn upstream(&self, player: PlayerId) -> Upstream {
        match &self.join {
            Some(name) => Upstream::Join { player, name: name.clone(), token: self.token, subject: None },
            None => {
                let session = Cluster::session(self.session);
                Upstream::Resume { player, session, attempt: self.attempt, token: self.token }
            }
        }
    }
}

impl Cluster {
    /// A hello was read: to the relay of its match, after a look at the token.
    pub(super) fn join_node(&mut self, id: u64, wish: Wish) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (node, game) = (connection.node, connection.game);
        if self.nodes[node].leaving {
            return self.close(id, CloseCode::Shutdown);
        }
        connection.wish = Some(wish.clone());
        match wish {
            Wish::Play { .. } => self.join_relay(node, game, Join { connection: id, wish }),
            Wish::Resume(_) | Wish::Admitted { .. } => {
                self.call(node, game, store::Request::Load, Next::Token { connection: id });
            }
        }
    }

    /// The store has told whose token it is.
    pub(super) fn handle_token(&mut self, id: u64, answer: Answer) {
        let Some(connection) = self.connections.get(&id) else { return };
        let (node, game, wish) = (connection.node, connection.game, connection.wish.clone());
        let Some(Wish::Resume(proof)) = wish else { return };
        let stored = match answer {
            Answer::Loaded(Some(stored)) => stored,
            Answer::Loaded(None) => return self.close(id, CloseCode::NoSuchMatch),
            _ => return self.close(id, CloseCode::Internal),
        };
        match proof.judge(&stored) {
            Judgement::Good { stored: known, set_back, .. } => {
                let wish = Wish::Admitted { proof, known: Some(known), set_back };
                self.join_relay(node, game, Join { connection: id, wish });
            }
            Judgement::Later => {
                self.counters.see(Seen::AskedToWait);
                self.close(id, CloseCode::Internal);
            }
            Judgement::Bad => self.close(id, CloseCode::BadTicket),
        }
    }

    pub(super) fn join_relay(&mut self, node: usize, game: usize, join: Join) {
        self.follow(node, game);
        self.relay_work(node, game, Work::Join(join));
    }

    pub(super) fn handle_join(&mut self, node: usize, game: usize, join: Join) {
        let now = self.now();
        if !self.connections.contains_key(&join.connection) || self.catches_up_first(node, game, &join) {
            return;
        }
        let Join { connection: id, wish } = join;
        if let Wish::Admitted { proof, .. } = &wish
            && !self.admits_again(node, game, id, proof)
        {
            return;
        }
        let set_back = match &wish {
            Wish::Admitted { set_back, .. } => *set_back,
            Wish::Play { .. } | Wish::Resume(_) => None,
        };
        let (player, token, attempt, join) = match wish {
            Wish::Play { name } => {
                let (player, token) =
                    (PlayerId(self.rng.random_range(1..1 << 30)), ResumeToken(self.rng.random()));
                (player, token, 0, Some(name))
            }
            Wish::Resume(proof) | Wish::Admitted { proof, .. } => {
                (proof.player, proof.token, proof.attempt, None)
            }
        };
        let digest = TokenDigest::of(&token);
        let name = self.nodes[node].id.clone();
        let Some(live) = self.live(node, game) else { return };
        let (rate, schema) = (live.stored.tick_rate, live.stored.schema.clone());
        let role = Role::Player(player);
        let welcome = ServerMessage::Welcome {
            protocol: PROTOCOL_VERSION,
            node: name,
            session: SessionId(id),
            match_id: self.ids[game].clone(),
            role,
            tick_rate: rate,
            schema: schema.to_json(),
            resume: token,
            quiet_ms: QUIET.as_millis() as u16,
        };
        self.send_control(id, &welcome.to_frame());
        if let Some((from, to)) = set_back {
            self.counters.see(Seen::ResetAtResume);
            self.send_control(id, &ServerMessage::Reset { from, to }.to_frame());
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            (connection.player, connection.attempt) = (Some(player), attempt);
            connection.token = digest;
            connection.session.handle_joined(now, role, schema, rate);
        }
        self.replace(node, game, player, id, attempt);
        let request = Request { session: id, deadline: now + REQUEST_DEADLINE, join, attempt, token: digest };
        self.send_upstream(node, game, request.upstream(player));
        if let Some(live) = self.live(node, game) {
            live.requests.insert(player, request);
            live.listeners.insert(id);
        }
        self.serve(node, game, id);
        self.pass_chat(node, game);
    }

    /// Whether the copy is older than what the store was seen to hold: then it is loaded, and the join comes after.
    fn catches_up_first(&mut self, node: usize, game: usize, join: &Join) -> bool {
        let Wish::Admitted { proof, known: Some(known), set_back } = join.wish else { return false };
        let Some(live) = self.live(node, game) else { return false };
        let have = live.relay.position();
        if have.fence == known.fence && have.tick >= known.tick && !live.is_astray() {
            return false;
        }
        let wish = Wish::Admitted { proof, known: None, set_back };
        if let Some(follow) = &mut self.nodes[node].slots[game].follow {
            follow.work.push_front(Work::Join(Join { connection: join.connection, wish }));
        }
        self.reload(node, game);
        true
    }

    fn admits_again(&mut self, node: usize, game: usize, id: u64, proof: &Proof) -> bool {
        let Some(live) = self.live(node, game) else { return false };
        let (astray, listeners) = (live.is_astray(), live.listeners.clone());
        if astray {
            self.close(id, CloseCode::Internal);
            return false;
        }
        let newer = listeners
            .iter()
            .filter_map(|other| self.connections.get(other))
            .any(|other| other.player == Some(proof.player) && !displaces(proof.attempt, other.attempt));
        if newer {
            self.close(id, CloseCode::Replaced);
        }
        !newer
    }

    /// A player is on this connection: any other of this node is out of date, unless a later resume made it.
    fn replace(&mut self, node: usize, game: usize, player: PlayerId, id: u64, attempt: u32) {
        let Some(live) = self.live(node, game) else { return };
        for other in live.listeners.clone() {
            let Some(connection) = self.connections.get_mut(&other) else { continue };
            if other != id && connection.player == Some(player) && displaces(attempt, connection.attempt) {
                connection.player = None;
                self.counters.see(Seen::Replaced);
                self.close(other, CloseCode::Replaced);
            }
        }
    }

    /// The owner has told which connection a player is on.
    pub(super) fn handle_resumed(
        &mut self,
        node: usize,
        game: usize,
        player: PlayerId,
        session: SessionId,
        attempt: u32,
    ) {
        let Some(live) = self.live(node, game) else { return };
        let is_answered = |request: &Request| request.join.is_none() && displaces(attempt, request.attempt);
        if live.requests.get(&player).is_some_and(is_answered) {
            live.requests.remove(&player);
        }
        self.replace(node, game, player, session.0, attempt);
    }

    /// The owner has refused a player.
    pub(super) fn handle_refused(&mut self, node: usize, game: usize, player: PlayerId, code: CloseCode) {
        let Some(live) = self.live(node, game) else { return };
        let Some(request) = live.requests.remove(&player) else { return };
        if let Some(connection) = self.connections.get_mut(&request.session) {
            connection.player = None;
            self.close(request.session, code);
        }
    }

    /// A connection is gone. The player's place is kept for a while, unless the player left for good.
    pub(super) fn handle_leave(&mut self, node: usize, game: usize, gone: Gone) {
        let now_ms = self.now_ms;
        let Gone { connection: id, player, token, for_good } = gone;
        let Some(live) = self.live(node, game) else { return };
        live.listeners.remove(&id);
        if live.listeners.is_empty() {
            live.idle_since_ms = now_ms;
        }
        let Some(player) = player else { return };
        live.requests.remove(&player);
        live.sayings.forget(player);
        if for_good {
            self.send_upstream(node, game, Upstream::Leave { player, token });
        }
    }

    /// After a set-back: a player who is connected here may not be part of the state any more. The owner says so, or
    /// that all is well.
    pub(super) fn ask_for_places(&mut self, node: usize, game: usize) {
        let deadline = self.now() + REQUEST_DEADLINE;
        let Some(live) = self.live(node, game) else { return };
        for id in live.listeners.clone() {
            let Some(connection) = self.connections.get(&id) else { continue };
            let (player, attempt, token) = (connection.player, connection.attempt, connection.token);
            if let (Some(live), Some(player)) = (self.live(node, game), player) {
                let request = Request { session: id, deadline, join: None, attempt, token };
                live.requests.entry(player).or_insert(request);
            }
        }
    }

    /// Joins that have become part of the state wait no longer.
    pub(super) fn notice_joined(&mut self, node: usize, game: usize) {
        let Some(live) = self.live(node, game) else { return };
        if live.requests.is_empty() {
            return;
        }
        live.relay.settle();
        let world = live.relay.replica().world();
        let (kind, field) = (world.schema().player_kind(), world.schema().player_field());
        let players: Vec<PlayerId> =
            world.ids(kind).map(|id| PlayerId(world.get(id, field) as u32)).collect();
        live.requests.retain(|player, request| request.join.is_none() || !players.contains(player));
    }

    /// Asks again for what the owner has not done yet, and gives up on what takes too long although it ticks.
    pub(super) fn repeat_requests(&mut self, node: usize, game: usize) {
        let (now, silent) = (self.now(), self.is_silent(node, game));
        let Some(live) = self.live(node, game) else { return };
        if silent {
            live.requests.values_mut().for_each(|request| request.deadline = now + REQUEST_DEADLINE);
        }
        let is_late = |request: &&Request| request.deadline <= now;
        let late: Vec<u64> = live.requests.values().filter(is_late).map(|request| request.session).collect();
        live.requests.retain(|_, request| request.deadline > now);
        let repeats = live.beats.is_multiple_of(REPEAT_BEATS);
        let again: Vec<Upstream> = live
            .requests
            .iter()
            .filter(|_| repeats)
            .map(|(player, request)| request.upstream(*player))
            .collect();
        late.into_iter().for_each(|id| self.close(id, CloseCode::Internal));
        again.into_iter().for_each(|upstream| self.send_upstream(node, game, upstream));
        if repeats && !silent {
            self.repeat_sayings(node, game);
        }
    }
}
