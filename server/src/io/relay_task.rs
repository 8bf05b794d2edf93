//! One task per followed match: its frames in, every listener's sink filled; what players say, upstream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tickcast_protocol::message::{Role, ServerMessage};
use tickcast_protocol::replica::Gap;
use tickcast_protocol::{CloseCode, MatchId, PlayerId, Replica, ResumeToken, Schema, SessionId, TickRate};
use tokio::sync::{mpsc, oneshot};

use crate::backplane::{Backplane, Channel, Delivery, MatchFields, Subscription};
use crate::io::clock;
use crate::io::node::{Node, Refusal};
use crate::io::sink::{Sink, ws_frames};
use crate::logic::channel::{self, UPSTREAM_BATCH_MAX, Upstream};
use crate::logic::laggards::{Laggards, Next, Standing};
use crate::logic::relay::{Relay, Resync, Verdict};
use crate::logic::stored::{self, Restored, StoredMatch};

/// Commands that wait for a relay; more are refused.
pub const COMMANDS_QUEUED_MAX: usize = 4096;
/// Messages that wait to go upstream; more are dropped and counted.
const UPSTREAM_QUEUED_MAX: usize = 4096;
/// How often joins are repeated and silence is looked at.
const BEAT: Duration = Duration::from_millis(250);
/// Beats between two repetitions of a join that is not yet part of the state.
const JOIN_REPEAT_BEATS: u64 = 4;
/// How long a join may take.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);
/// Beats between two signs of presence of this relay's players.
const PRESENCE_BEATS: u64 = 8;
/// How long a match is followed without listeners, unless the node stops.
const LINGER: Duration = Duration::from_secs(5);

/// What a connection asks of a relay.
pub enum RelayCommand {
    /// Put a client into the match.
    Join {
        /// The connection.
        session: SessionId,
        /// Its writing half.
        sink: Arc<Sink>,
        /// The player's name; `None` for a spectator.
        name: Option<String>,
        /// Where the answer goes. Dropped when the relay is just ending: ask again.
        reply: oneshot::Sender<Result<Joined, Refusal>>,
    },
    /// The connection is gone.
    Leave {
        /// Which.
        session: SessionId,
    },
    /// Something for the owner.
    Upstream(Upstream),
    /// Answer a ping.
    Ping {
        /// Whose.
        session: SessionId,
        /// Its nonce.
        nonce: u32,
    },
    /// Send a snapshot.
    Snapshot {
        /// To whom.
        session: SessionId,
    },
}

/// What a joined connection needs to know.
pub struct Joined {
    /// Player or spectator.
    pub role: Role,
    /// To check inputs by.
    pub schema: Arc<Schema>,
    /// To limit messages by.
    pub tick_rate: TickRate,
    /// For everything further.
    pub relay: mpsc::Sender<RelayCommand>,
}

struct Listener {
    sink: Arc<Sink>,
    player: Option<PlayerId>,
    standing: Standing,
}

/// A join that is not yet part of the state.
struct Joining {
    session: SessionId,
    name: String,
    deadline: Instant,
}

/// A match that this node follows.
pub struct Followed<B: Backplane> {
    node: Arc<Node<B>>,
    id: MatchId,
    stored: StoredMatch,
    relay: Relay,
    listeners: BTreeMap<SessionId, Listener>,
    joining: BTreeMap<PlayerId, Joining>,
    upstream: mpsc::Sender<Upstream>,
    commands: mpsc::WeakSender<RelayCommand>,
    laggards: Laggards,
    heard: Instant,
    idle_since: Instant,
    beats: u64,
}

/// Follows a match until nobody listens or it is over.
pub async fn run<B: Backplane>(
    node: Arc<Node<B>>,
    id: MatchId,
    mut commands: mpsc::Receiver<RelayCommand>,
    sender: mpsc::WeakSender<RelayCommand>,
) {
    // Subscribe first, load second, apply after.
    let begun = async {
        let deliveries = node.backplane.subscribe(&id, Channel::Diff).await.map_err(Refusal::unavailable)?;
        let restored = restore(&id, &load(&node, &id).await?)?;
        Ok::<_, Refusal>((deliveries, restored))
    };
    match begun.await {
        Ok((deliveries, Restored { stored, world, prior })) => {
            let relay = Relay::new(world, prior, stored.position());
            let (upstream, pending) = mpsc::channel(UPSTREAM_QUEUED_MAX);
            node.tasks.spawn(pump(Arc::clone(&node), id.clone(), pending));
            let now = clock::now();
            let followed = Followed {
                node: Arc::clone(&node),
                id: id.clone(),
                stored,
                relay,
                listeners: BTreeMap::new(),
                joining: BTreeMap::new(),
                upstream,
                commands: sender,
                laggards: Laggards::new(ws_frames),
                heard: now,
                idle_since: now,
                beats: 0,
            };
            followed.run(deliveries, &mut commands).await;
        }
        Err(refusal) => {
            node.followed.remove(&id);
            commands.close();
            while let Some(command) = commands.recv().await {
                if let RelayCommand::Join { reply, .. } = command {
                    let _ = reply.send(Err(refusal.clone()));
                }
            }
        }
    }
}

async fn load<B: Backplane>(node: &Arc<Node<B>>, id: &MatchId) -> Result<MatchFields, Refusal> {
    let fields = node.backplane.load(id).await.map_err(Refusal::unavailable)?;
    fields.ok_or_else(Refusal::no_such_match)
}

fn restore(id: &MatchId, fields: &MatchFields) -> Result<Restored, Refusal> {
    stored::restore(fields).map_err(|error| {
        tracing::error!(%id, %error, "match in the store is not readable");
        Refusal::new(CloseCode::Internal, "the match in the store is not readable")
    })
}

/// Sends what players say, as much as has gathered while the last message was under way.
async fn pump<B: Backplane>(node: Arc<Node<B>>, id: MatchId, mut pending: mpsc::Receiver<Upstream>) {
    let mut batch = Vec::new();
    while pending.recv_many(&mut batch, UPSTREAM_BATCH_MAX).await > 0 {
        if node.backplane.send_input(&id, channel::encode_upstream(&batch)).await.is_err() {
            node.metrics.inputs_lost.add(batch.len() as u64);
        }
        batch.clear();
    }
}

impl<B: Backplane> Followed<B> {
    async fn run(mut self, mut deliveries: Subscription, commands: &mut mpsc::Receiver<RelayCommand>) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopping = self.node.stopping();
        loop {
            let goes_on = tokio::select! {
                delivery = deliveries.recv() => match delivery {
                    Some(Delivery::Message(message)) => self.handle_message(&message).await,
                    Some(Delivery::Lost) => self.reload().await,
                    None => self.close_all(CloseCode::PositionLost),
                },
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => false,
                },
                _ = beat.tick() => self.handle_beat().await,
                _ = stopping.changed() => true,
            };
            let done = self.listeners.is_empty() && *stopping.borrow();
            if !goes_on || done {
                break;
            }
        }
        // From here on a new join starts a new relay; those that came too late ask again.
        self.node.followed.remove(&self.id);
        commands.close();
        while commands.try_recv().is_ok() {}
    }

    fn handle_command(&mut self, command: RelayCommand) -> bool {
        match command {
            RelayCommand::Join { session, sink, name, reply } => self.handle_join(session, sink, name, reply),
            RelayCommand::Leave { session } => self.remove(session),
            RelayCommand::Upstream(upstream) => self.send_upstream(upstream),
            RelayCommand::Ping { session, nonce } => {
                if let Some(listener) = self.listeners.get(&session) {
                    let tick = self.relay.replica().position().tick;
                    listener.sink.send_control(&ServerMessage::Pong { nonce, tick }.to_frame());
                }
            }
            RelayCommand::Snapshot { session } => {
                if let Some(listener) = self.listeners.get_mut(&session) {
                    listener.standing.lose();
                    serve(&mut self.laggards, self.relay.replica(), listener, clock::now());
                }
            }
        }
        true
    }

    fn handle_join(
        &mut self,
        session: SessionId,
        sink: Arc<Sink>,
        name: Option<String>,
        reply: oneshot::Sender<Result<Joined, Refusal>>,
    ) {
        let Some(relay) = self.commands.upgrade() else { return };
        let players =
            self.relay.replica().world().count(self.stored.schema.player_kind()) + self.joining.len();
        if name.is_some() && players as u64 >= self.stored.players_max {
            let text = format!("the match is full: {} players", self.stored.players_max);
            let _ = reply.send(Err(Refusal::new(CloseCode::MatchFull, &text)));
            return;
        }
        let player = name.is_some().then(|| self.free_player());
        let role = player.map_or(Role::Spectator, Role::Player);
        let welcome = ServerMessage::Welcome {
            protocol: tickcast_protocol::message::PROTOCOL_VERSION,
            node: self.node.settings.node.clone(),
            session,
            match_id: self.id.clone(),
            role,
            tick_rate: self.stored.tick_rate,
            schema: self.stored.schema.to_json(),
            resume: ResumeToken::default(),
        };
        let schema = Arc::clone(&self.stored.schema);
        if reply.send(Ok(Joined { role, schema, tick_rate: self.stored.tick_rate, relay })).is_err() {
            return;
        }
        sink.send_control(&welcome.to_frame());
        let mut listener = Listener { sink, player, standing: Standing::default() };
        serve(&mut self.laggards, self.relay.replica(), &mut listener, clock::now());
        self.listeners.insert(session, listener);
        if let (Some(player), Some(name)) = (player, name) {
            let deadline = clock::now() + JOIN_DEADLINE;
            self.send_upstream(Upstream::Join { player, name: name.clone() });
            self.joining.insert(player, Joining { session, name, deadline });
        }
    }

    /// A player id that nobody in the match has.
    fn free_player(&self) -> PlayerId {
        let world = self.relay.replica().world();
        let field = self.stored.schema.player_field();
        loop {
            let player = PlayerId(rand::random_range(1..=i32::MAX as u32));
            let taken =
                world.ids(self.stored.schema.player_kind()).any(|id| world.get(id, field) as u32 == player.0);
            if !taken && !self.joining.contains_key(&player) {
                return player;
            }
        }
    }

    fn remove(&mut self, session: SessionId) {
        if let Some(player) = self.listeners.remove(&session).and_then(|listener| listener.player) {
            self.joining.remove(&player);
            self.send_upstream(Upstream::Leave { player });
        }
        if self.listeners.is_empty() {
            self.idle_since = clock::now();
        }
    }

    fn send_upstream(&self, upstream: Upstream) {
        if self.upstream.try_send(upstream).is_err() {
            self.node.metrics.inputs_lost.add(1);
        }
    }

    async fn handle_message(&mut self, message: &Bytes) -> bool {
        match self.relay.handle_message(message) {
            Verdict::FanOut(frames) => {
                self.heard = clock::now();
                self.laggards.handle_tick(&frames);
                self.serve_all();
                self.notice_joined();
                true
            }
            Verdict::Ignore => true,
            Verdict::Foreign => {
                self.node.metrics.foreign_messages.add(1);
                true
            }
            Verdict::Reload(gap) => {
                tracing::warn!(id = %self.id, %gap, "gap, loading the match");
                self.node.metrics.desyncs.add(u64::from(matches!(gap, Gap::Desync { .. })));
                self.reload().await
            }
            Verdict::Refuse(player, code) => {
                if let Some(joining) = self.joining.remove(&player)
                    && let Some(listener) = self.listeners.get_mut(&joining.session)
                {
                    listener.player = None;
                    listener.sink.close(code, code.text());
                }
                true
            }
            Verdict::Ended => {
                let message = ServerMessage::Ended.to_frame();
                self.listeners.values().for_each(|listener| listener.sink.send_control(&message));
                self.close_all(CloseCode::MatchOver)
            }
            Verdict::Released => self.claim().await,
        }
    }

    fn serve_all(&mut self) {
        let now = clock::now();
        for listener in self.listeners.values_mut() {
            serve(&mut self.laggards, self.relay.replica(), listener, now);
        }
        self.node.metrics.add_sent(self.laggards.take_counts());
    }

    fn notice_joined(&mut self) {
        if self.joining.is_empty() {
            return;
        }
        let world = self.relay.replica().world();
        let field = self.stored.schema.player_field();
        for id in world.ids(self.stored.schema.player_kind()) {
            self.joining.remove(&PlayerId(world.get(id, field) as u32));
        }
    }

    async fn reload(&mut self) -> bool {
        self.node.metrics.reloads.add(1);
        let loaded = load(&self.node, &self.id).await;
        match loaded.and_then(|fields| Ok((restore(&self.id, &fields)?, fields))) {
            Ok((restored, fields)) => {
                if let Some(difference) = self.relay.find_difference(&fields) {
                    tracing::warn!(id = %self.id, %difference, "this node's copy of the state was wrong here");
                }
                self.handle_load(restored);
                true
            }
            Err(refusal) if refusal.code == CloseCode::NoSuchMatch => self.close_all(CloseCode::MatchOver),
            // The store is away: the next message or beat tries again.
            Err(_) => true,
        }
    }

    fn handle_load(&mut self, restored: Restored) {
        let Restored { stored, world, prior } = restored;
        let resync = self.relay.handle_load(world, prior, stored.position());
        self.stored = stored;
        if let Resync::Reset { from, to } = resync {
            let message = ServerMessage::Reset { from, to }.to_frame();
            self.listeners.values().for_each(|listener| listener.sink.send_control(&message));
        }
        self.laggards.handle_load();
        self.listeners.values_mut().for_each(|listener| listener.standing.lose());
        self.serve_all();
    }

    async fn handle_beat(&mut self) -> bool {
        let now = clock::now();
        self.beats += 1;
        self.repeat_joins(now);
        if self.beats.is_multiple_of(PRESENCE_BEATS) {
            let players: Vec<PlayerId> =
                self.listeners.values().filter_map(|listener| listener.player).collect();
            for chunk in players.chunks(UPSTREAM_BATCH_MAX) {
                self.send_upstream(Upstream::Present { players: chunk.to_vec() });
            }
        }
        if self.listeners.is_empty() {
            return now < self.idle_since + LINGER;
        }
        if now >= self.heard + self.node.settings.lease {
            self.heard = now;
            let still_there = self.claim().await;
            if still_there && self.relay.replica().is_broken() {
                return self.reload().await;
            }
            return still_there;
        }
        true
    }

    fn repeat_joins(&mut self, now: Instant) {
        let repeats = self.beats.is_multiple_of(JOIN_REPEAT_BEATS);
        let late: Vec<PlayerId> = self
            .joining
            .iter()
            .filter(|(_, joining)| joining.deadline <= now)
            .map(|(player, _)| *player)
            .collect();
        for player in late {
            if let Some(joining) = self.joining.remove(&player)
                && let Some(listener) = self.listeners.get(&joining.session)
            {
                listener.sink.close(CloseCode::Internal, "the match's owner did not answer: reconnect");
            }
        }
        if repeats {
            for (player, joining) in &self.joining {
                self.send_upstream(Upstream::Join { player: *player, name: joining.name.clone() });
            }
        }
    }

    /// The match has no owner that ticks: ask for it. `false` when it is gone from the store.
    async fn claim(&mut self) -> bool {
        match self.node.own(&self.id).await {
            Err(refusal) if refusal.code == CloseCode::NoSuchMatch => self.close_all(CloseCode::MatchOver),
            Err(refusal) => {
                tracing::debug!(id = %self.id, text = refusal.text, "match not claimed");
                true
            }
            Ok(()) => true,
        }
    }

    fn close_all(&mut self, code: CloseCode) -> bool {
        self.listeners.values().for_each(|listener| listener.sink.close(code, code.text()));
        false
    }
}

/// Sends a listener what comes next for it.
fn serve(laggards: &mut Laggards, replica: &Replica, listener: &mut Listener, now: Instant) {
    let Listener { sink, standing, .. } = listener;
    match laggards.next(now, replica, standing, || sink.is_clear()) {
        Next::Wait => {}
        Next::TooSlow => sink.close(CloseCode::Slow, CloseCode::Slow.text()),
        Next::Send(frame) => {
            let whole = sink.send_state(frame.bytes.clone());
            laggards.handle_sent(replica, standing, &frame, whole);
        }
    }
}
