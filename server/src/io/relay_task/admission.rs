//! Who listens: joins, players who are back on another connection, and goodbyes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tickcast_protocol::message::{PROTOCOL_VERSION, Role, ServerMessage};
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::{CloseCode, PlayerId, ResumeToken, SessionId};
use tokio::sync::oneshot;

use super::{Followed, Joined, Listener, Wish, serve};
use crate::backplane::{Backplane, fields};
use crate::io::clock;
use crate::io::entrance::BANNED;
use crate::io::node::Refusal;
use crate::io::sink::Sink;
use crate::logic::channel::Upstream;
use crate::logic::laggards::Standing;
use crate::logic::resume::{Holder, LAST_ATTEMPT, Proof, TokenDigest, displaces};

/// Beats between two repetitions of a request that the owner has not answered.
const REPEAT_BEATS: u64 = 4;
/// How long a request may take while the match ticks; while it does not, it may take as long as that lasts.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// What a connection waits for the owner to do.
pub(super) struct Request {
    session: SessionId,
    deadline: Instant,
    kind: RequestKind,
}

/// Somebody who wants into the match.
pub struct Newcomer {
    /// The connection.
    pub session: SessionId,
    /// Its writing half.
    pub sink: Arc<Sink>,
    /// What the client wants.
    pub wish: Wish,
    /// The account, of one who came with a ticket.
    pub subject: Option<Subject>,
}

enum RequestKind {
    /// To be part of the state.
    Join { name: String, token: TokenDigest, subject: Option<Subject> },
    /// To be given the seat that the account has, in place of whoever is on it.
    Return { name: String, token: TokenDigest, subject: Option<Subject> },
    /// To be told to everybody as the player's connection, which this one of its resumes made.
    Resume { attempt: u32, token: TokenDigest },
}

impl Request {
    /// What the owner is told, in this order.
    fn upstream(&self, player: PlayerId) -> Vec<Upstream> {
        let resume = |attempt, token| Upstream::Resume { player, session: self.session, attempt, token };
        match &self.kind {
            RequestKind::Join { name, token, subject } | RequestKind::Return { name, token, subject } => {
                let (name, subject) = (name.clone(), subject.clone());
                let join = Upstream::Join { player, name, token: *token, subject };
                let returns = matches!(self.kind, RequestKind::Return { .. });
                std::iter::once(join).chain(returns.then(|| resume(0, *token))).collect()
            }
            RequestKind::Resume { attempt, token } => vec![resume(*attempt, *token)],
        }
    }
}

impl<B: Backplane> Followed<B> {
    /// The player that an account is already, as the store tells of those who are in the copy. One that it does not tell of is
    /// the owner's to find.
    pub(super) async fn seat_of(&self, subject: &Subject) -> Option<PlayerId> {
        let world = self.relay.replica().world();
        let field = self.stored.schema.player_field();
        let ids = world.ids(self.stored.schema.player_kind());
        let players = ids.map(|id| PlayerId(world.get(id, field) as u32));
        let players: Vec<PlayerId> = players.filter(|player| player.is_of_client()).collect();
        if players.is_empty() {
            return None;
        }
        let names: Vec<String> = players.iter().map(|player| fields::seat(*player)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let stored = self.node.backplane.read(&self.id, &names).await.ok()??;
        let is_theirs = |name: &str| {
            let holder = fields::text(&stored, name).and_then(Holder::from_text);
            holder.is_some_and(|holder| holder.subject.as_ref() == Some(subject))
        };
        players.into_iter().zip(names).find(|(_, name)| is_theirs(name)).map(|(player, _)| player)
    }

    /// Somebody comes, whose account has this seat already.
    pub(super) fn handle_join(
        &mut self,
        newcomer: Newcomer,
        seat: Option<PlayerId>,
        reply: oneshot::Sender<Result<Joined, Refusal>>,
    ) {
        let Some(relay) = self.commands.upgrade() else { return };
        let Newcomer { session, sink, wish, subject } = newcomer;
        self.relay.settle();
        if matches!(wish, Wish::Play { .. }) && seat.is_none() && self.is_full() {
            let text = format!("the match is full: {} players", self.stored.players_max);
            let _ = reply.send(Err(Refusal::new(CloseCode::MatchFull, &text)));
            return;
        }
        if let Wish::Resume { proof, .. } = &wish
            && let Err(refusal) = self.admit_again(proof)
        {
            let _ = reply.send(Err(refusal));
            return;
        }
        let (player, token) = match &wish {
            Wish::Watch => (None, ResumeToken::default()),
            Wish::Play { .. } => {
                (Some(seat.unwrap_or_else(|| self.free_player())), ResumeToken(rand::random()))
            }
            Wish::Resume { proof, .. } => (Some(proof.player), proof.token),
        };
        let role = player.map_or(Role::Spectator, Role::Player);
        let welcome = ServerMessage::Welcome {
            protocol: PROTOCOL_VERSION,
            node: self.node.settings.node.clone(),
            session,
            match_id: self.id.clone(),
            role,
            tick_rate: self.stored.tick_rate,
            schema: self.stored.schema.to_json(),
            resume: token,
            quiet_ms: self.node.settings.quiet.as_millis() as u16,
        };
        let schema = Arc::clone(&self.stored.schema);
        let uplink = Arc::clone(&self.uplink);
        let tick_rate = self.stored.tick_rate;
        let joined = Joined { role, schema, tick_rate, uplink, relay, place: None };
        if reply.send(Ok(joined)).is_err() {
            return;
        }
        sink.send_control(&welcome.to_frame());
        let attempt = match &wish {
            Wish::Resume { proof, .. } => proof.attempt,
            Wish::Play { .. } | Wish::Watch => 0,
        };
        if let Wish::Resume { set_back: Some((from, to)), .. } = wish {
            sink.send_control(&ServerMessage::Reset { from, to }.to_frame());
        }
        let token = TokenDigest::of(&token);
        if let Some(player) = player {
            self.replace(player, session, if seat.is_some() { LAST_ATTEMPT } else { attempt });
            let subject = subject.clone();
            let kind = match wish {
                Wish::Play { name } if seat.is_some() => RequestKind::Return { name, token, subject },
                Wish::Play { name } => RequestKind::Join { name, token, subject },
                Wish::Resume { .. } | Wish::Watch => RequestKind::Resume { attempt, token },
            };
            let request = Request { session, deadline: clock::now() + REQUEST_DEADLINE, kind };
            request.upstream(player).into_iter().for_each(|upstream| self.send_upstream(upstream));
            self.requests.insert(player, request);
        }
        let standing = Standing::default();
        let mut listener = Listener { sink, player, subject, attempt, token, standing, has_history: false };
        serve(&mut self.laggards, &mut self.relay, &mut listener, clock::now());
        self.listeners.insert(session, listener);
        self.seated = None;
        self.pass_chat();
    }

    /// Whether a player may be let in again just now, on a connection that is not out of date already.
    fn admit_again(&self, proof: &Proof) -> Result<(), Refusal> {
        if self.is_astray() {
            return Err(Refusal::new(CloseCode::Internal, "the match cannot be shown just now: reconnect"));
        }
        let newer =
            |other: &Listener| other.player == Some(proof.player) && !displaces(proof.attempt, other.attempt);
        match self.listeners.values().any(newer) {
            true => Err(Refusal::new(CloseCode::Replaced, CloseCode::Replaced.text())),
            false => Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        let joins = |request: &&Request| matches!(request.kind, RequestKind::Join { .. });
        let waiting = self.requests.values().filter(joins).count();
        let (world, field) = (self.relay.replica().world(), self.stored.schema.player_field());
        let ids = world.ids(self.stored.schema.player_kind());
        let playing = ids.filter(|id| PlayerId(world.get(*id, field) as u32).is_of_client()).count();
        (playing + waiting) as u64 >= self.stored.players_max
    }

    /// A player id that nobody in the match has.
    fn free_player(&self) -> PlayerId {
        let world = self.relay.replica().world();
        let field = self.stored.schema.player_field();
        loop {
            let player = PlayerId(rand::random_range(1..PlayerId::OF_GAME.0));
            let taken =
                world.ids(self.stored.schema.player_kind()).any(|id| world.get(id, field) as u32 == player.0);
            if !taken && !self.requests.contains_key(&player) {
                return player;
            }
        }
    }

    /// A player is on this connection: any other of ours is out of date, unless a later resume made it.
    fn replace(&mut self, player: PlayerId, session: SessionId, attempt: u32) {
        for (other, listener) in &mut self.listeners {
            let is_older = displaces(attempt, listener.attempt);
            if *other != session && listener.player == Some(player) && is_older {
                listener.player = None;
                listener.sink.close(CloseCode::Replaced, CloseCode::Replaced.text());
            }
        }
    }

    /// The match was set back: whoever came after that has no place any more, and is told so by the owner.
    pub(super) fn ask_for_players(&mut self) {
        let deadline = clock::now() + REQUEST_DEADLINE;
        for (session, listener) in &self.listeners {
            if let Some(player) = listener.player {
                let kind = RequestKind::Resume { attempt: listener.attempt, token: listener.token };
                let request = Request { session: *session, deadline, kind };
                self.requests.entry(player).or_insert(request);
            }
        }
    }

    /// The owner has told which connection a player is on. A request of ours that is older is out of date, too.
    pub(super) fn handle_resumed(&mut self, player: PlayerId, session: SessionId, attempt: u32) {
        let is_answered = |request: &Request| match request.kind {
            RequestKind::Join { .. } => false,
            RequestKind::Return { .. } => request.session == session || attempt == LAST_ATTEMPT,
            RequestKind::Resume { attempt: own, .. } => displaces(attempt, own),
        };
        match self.requests.get(&player) {
            Some(request) if is_answered(request) => drop(self.requests.remove(&player)),
            // The owner has not heard yet that the account is on ours.
            Some(Request { kind: RequestKind::Return { .. }, .. }) => return,
            _ => {}
        }
        self.replace(player, session, attempt);
    }

    /// Whoever is banned goes, for good: a player's seat with him, when his connection ends with this code.
    pub(super) fn put_out(&mut self, banned: &BTreeSet<Subject>) {
        for listener in self.listeners.values() {
            if listener.subject.as_ref().is_some_and(|subject| banned.contains(subject)) {
                listener.sink.close(CloseCode::Kicked, BANNED);
            }
        }
    }

    /// The owner has refused a player, or put it out: for an operator, or as its account is another player now.
    pub(super) fn handle_refused(&mut self, player: PlayerId, code: CloseCode) {
        if matches!(code, CloseCode::Kicked | CloseCode::Replaced) {
            self.sayings.forget(player);
            for listener in self.listeners.values_mut().filter(|listener| listener.player == Some(player)) {
                listener.player = None;
                listener.sink.close(code, code.text());
            }
        }
        if let Some(request) = self.requests.remove(&player)
            && let Some(listener) = self.listeners.get_mut(&request.session)
        {
            listener.player = None;
            listener.sink.close(code, code.text());
        }
    }

    /// A connection is gone. The player's place is kept for a while, unless the player left for good.
    pub(super) fn remove(&mut self, session: SessionId, for_good: bool) {
        let gone = self.listeners.remove(&session);
        if let Some(Listener { player: Some(player), token, .. }) = gone {
            self.requests.remove(&player);
            self.sayings.forget(player);
            if for_good {
                self.send_upstream(Upstream::Leave { player, token });
            }
        }
        if self.listeners.is_empty() {
            self.idle_since = clock::now();
        }
    }

    /// Players who have lost their place, because they left over another connection or nothing was heard of them
    /// for too long, are told: they would send inputs for nobody. Ticks that are not decoded yet can wait with that.
    pub(super) fn close_unseated(&mut self) {
        let replica = self.relay.replica();
        if replica.is_broken() {
            return;
        }
        let (world, field) = (replica.world(), self.stored.schema.player_field());
        // The same players as at the last look, and the same listeners.
        let hash = self.requests.is_empty().then(|| world.hash());
        let known = std::mem::replace(&mut self.seated, hash);
        if hash.is_some() && known == hash {
            return;
        }
        let ids = world.ids(self.stored.schema.player_kind());
        // A sorted list: this is asked once a second of every match, whatever happens in it.
        let mut seated: Vec<PlayerId> = ids.map(|id| PlayerId(world.get(id, field) as u32)).collect();
        seated.sort_unstable();
        for listener in self.listeners.values_mut() {
            let unseated = |player: &PlayerId| {
                seated.binary_search(player).is_err() && !self.requests.contains_key(player)
            };
            if listener.player.is_some_and(|player| unseated(&player)) {
                listener.player = None;
                listener.sink.close(CloseCode::BadTicket, CloseCode::BadTicket.text());
            }
        }
    }

    /// Joins that have become part of the state wait no longer.
    pub(super) fn notice_joined(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        self.relay.settle();
        let world = self.relay.replica().world();
        let field = self.stored.schema.player_field();
        for id in world.ids(self.stored.schema.player_kind()) {
            let player = PlayerId(world.get(id, field) as u32);
            let joined = |request: &Request| matches!(request.kind, RequestKind::Join { .. });
            if self.requests.get(&player).is_some_and(joined) {
                self.requests.remove(&player);
            }
        }
    }

    /// Asks again for what the owner has not done yet, and gives up on what takes too long although it ticks.
    pub(super) fn repeat_requests(&mut self, now: Instant) {
        if self.is_silent(now) {
            for request in self.requests.values_mut() {
                request.deadline = now + REQUEST_DEADLINE;
            }
        }
        self.requests.retain(|_, request| {
            let in_time = now < request.deadline;
            if !in_time && let Some(listener) = self.listeners.get(&request.session) {
                listener.sink.close(CloseCode::Internal, "the match's owner did not answer: reconnect");
            }
            in_time
        });
        if self.beats.is_multiple_of(REPEAT_BEATS) {
            for (player, request) in &self.requests {
                for upstream in request.upstream(*player) {
                    self.send_upstream(upstream);
                }
            }
            if !self.is_silent(now) {
                self.repeat_sayings();
            }
        }
    }
}
