//! One task per followed match: its frames in, every listener's sink filled; what players say, upstream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tickcast_protocol::message::{Role, ServerMessage};
use tickcast_protocol::replica::Gap;
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::{CloseCode, MatchId, PlayerId, Position, Schema, SessionId, Tick, TickRate};
use tokio::sync::{mpsc, oneshot};

use crate::backplane::{Backplane, Channel, Delivery, MatchFields, Subscription, fields};
use crate::game::Viewer;
use crate::io::clock;
use crate::io::entrance::Banned;
use crate::io::gate::AccountPlace;
use crate::io::node::{Node, Refusal};
use crate::io::sink::{AHEAD, Sink, ws_frames};
use crate::logic::channel::{UPSTREAM_BATCH_MAX, Upstream};
use crate::logic::chat::Saying;
use crate::logic::laggards::{Laggards, Next, Standing};
use crate::logic::quiet::Quiet;
use crate::logic::relay::{Relay, Seen, Verdict};
use crate::logic::resume::{Proof, TokenDigest};
use crate::logic::sayings::Sayings;
use crate::logic::stored::{self, Restored, StoredMatch};
use crate::logic::watch::Watch;
use crate::ops::inspector::journal::What;

mod admission;
mod chat;
mod upkeep;
mod uplink;

pub use admission::Newcomer;
use admission::Request;
use upkeep::Claiming;
pub use uplink::{Tap, Uplink};

/// Commands that wait for a relay; more are refused.
pub const COMMANDS_QUEUED_MAX: usize = 4096;
/// How often requests to the owner are looked at.
const BEAT: Duration = Duration::from_millis(250);
/// By how much of a lease nodes that follow a match differ in when they claim it.
const JITTER_PART: u32 = 16;
/// Longest time between two signs of presence of this relay's players.
const PRESENCE_MAX: Duration = Duration::from_secs(2);
/// Beats from one look for players without a place to the next: it walks through everybody, and hardly ever finds one.
const UNSEATED_BEATS: u64 = 4;
/// Signs of presence that come within a resume window, as far as beats are short enough for it.
const PRESENCE_PER_WINDOW: u32 = 4;
/// How long a match is followed without listeners, unless the node stops.
const LINGER: Duration = Duration::from_secs(5);

/// What a connection asks of a relay.
pub enum RelayCommand {
    /// Put a client into the match.
    Join {
        /// Boxed: a queue has room for 32 commands, and few are joins.
        newcomer: Box<Newcomer>,
        /// Where the answer goes. Dropped when the relay is just ending: ask again.
        reply: oneshot::Sender<Result<Joined, Refusal>>,
    },
    /// The connection is gone.
    Leave {
        /// Which.
        session: SessionId,
        /// The player does not come back.
        for_good: bool,
    },
    /// A player says something.
    Say(Saying),
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
    /// Put out whoever is banned.
    PutOut {
        /// All who are.
        banned: Banned,
    },
    /// Tell what the copy is like.
    Look {
        /// Where the answer goes; dropped when the relay is just ending.
        reply: oneshot::Sender<Seen>,
    },
}

// A queue has room for 32 commands as soon as there is one, and a relay has such a queue.
const _: () = assert!(size_of::<RelayCommand>() <= 56);

/// What a client wants in a match.
#[derive(Debug, Clone)]
pub enum Wish {
    /// A place.
    Play {
        /// The player's name.
        name: String,
    },
    /// The place it had. The proof has been found good.
    Resume {
        /// What it showed.
        proof: Proof,
        /// Where the match stood then.
        known: Position,
        /// The last tick that it saw, and up to where that may have happened, if the store has lost what it saw.
        set_back: Option<(Tick, Tick)>,
    },
    /// To look on.
    Watch,
}

/// What a joined connection needs to know.
pub struct Joined {
    /// Player or spectator.
    pub role: Role,
    /// To check inputs by.
    pub schema: Arc<Schema>,
    /// To limit messages by.
    pub tick_rate: TickRate,
    /// For inputs.
    pub uplink: Arc<Uplink>,
    /// For everything else.
    pub relay: mpsc::Sender<RelayCommand>,
    /// Its place among the connections of its account, if it has one.
    pub place: Option<AccountPlace>,
}

struct Listener {
    sink: Arc<Sink>,
    player: Option<PlayerId>,
    subject: Option<Subject>,
    /// Which of the player's resumes made the connection; 0 is the join.
    attempt: u32,
    /// Of the token that gives the player back; a spectator's gives nothing.
    token: TokenDigest,
    standing: Standing,
    /// It was told what was said before; from then on it is told what is said.
    has_history: bool,
}

/// A match that this node follows.
pub struct Followed<B: Backplane> {
    node: Arc<Node<B>>,
    id: MatchId,
    stored: StoredMatch,
    relay: Relay,
    listeners: BTreeMap<SessionId, Listener>,
    requests: BTreeMap<PlayerId, Request>,
    sayings: Sayings,
    uplink: Arc<Uplink>,
    commands: mpsc::WeakSender<RelayCommand>,
    laggards: Laggards,
    watch: Watch,
    /// A claim that is under way.
    claiming: Option<Claiming>,
    heard: Instant,
    /// The tick we had when the stored one was found to have moved on without us.
    suspected: Option<u64>,
    /// A load is due that the store did not answer.
    stale: bool,
    idle_since: Instant,
    beats: u64,
    /// Hash of the state in which every listener had its player.
    seated: Option<u32>,
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
        Ok((deliveries, restored)) => {
            let stored = restored.stored.clone();
            let tick_rate = stored.tick_rate;
            let relay = Relay::loaded(restored);
            let mut laggards = Laggards::new(ws_frames, Quiet::new(node.settings.quiet, tick_rate));
            laggards.handle_load(relay.replica());
            let uplink = Arc::new(Uplink::new(stored.tick_rate.period()));
            let (of_node, of_match, sending) = (Arc::clone(&node), id.clone(), Arc::clone(&uplink));
            node.tasks.spawn(async move { sending.run(&of_node, &of_match).await });
            node.uplinks.insert(id.clone(), Arc::clone(&uplink));
            let now = clock::now();
            let lease = node.settings.lease;
            let jitter = (lease / JITTER_PART).mul_f64(rand::random());
            let followed = Followed {
                node: Arc::clone(&node),
                id: id.clone(),
                stored,
                relay,
                listeners: BTreeMap::new(),
                requests: BTreeMap::new(),
                sayings: Sayings::default(),
                uplink,
                commands: sender,
                laggards,
                watch: Watch::new(now, lease, jitter),
                claiming: None,
                heard: now,
                suspected: None,
                stale: false,
                idle_since: now,
                beats: 0,
                seated: None,
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

fn restore(id: &MatchId, stored: &MatchFields) -> Result<Restored, Refusal> {
    if fields::text(stored, fields::STATUS) == Some(fields::QUARANTINED) {
        return Err(Refusal::quarantined());
    }
    stored::restore(stored).map_err(|error| Refusal::not_readable(id, &error))
}

impl<B: Backplane> Followed<B> {
    async fn run(mut self, mut deliveries: Subscription, commands: &mut mpsc::Receiver<RelayCommand>) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopping = self.node.stopping();
        loop {
            let goes_on = tokio::select! {
                delivery = deliveries.recv() => self.handle_deliveries(delivery, &mut deliveries).await,
                command = commands.recv() => match command {
                    Some(command) => self.handle_command(command).await,
                    None => false,
                },
                _ = beat.tick() => self.handle_beat().await,
                () = tokio::time::sleep_until(self.watch.due().into()), if self.may_claim() => self.claim(),
                (claimed, outdated) = upkeep::claimed(&mut self.claiming) => {
                    self.handle_claimed(claimed, outdated).await
                }
                _ = stopping.changed() => true,
            };
            let done = self.listeners.is_empty() && *stopping.borrow();
            if !goes_on || done {
                break;
            }
        }
        // From here on a new join starts a new relay; those that came too late ask again.
        self.node.followed.remove(&self.id);
        self.node.health.handle_heard(&self.id);
        commands.close();
        while commands.try_recv().is_ok() {}
    }

    /// Handles a delivery and those that wait behind it by now: the ticks of a match at rest come several at once.
    async fn handle_deliveries(&mut self, first: Option<Delivery>, deliveries: &mut Subscription) -> bool {
        let (mut delivery, mut waiting) = (first, deliveries.len());
        loop {
            let goes_on = match &delivery {
                Some(Delivery::Message(message)) => self.handle_message(message).await,
                Some(Delivery::Lost) => self.reload().await,
                None => self.close_all(CloseCode::PositionLost),
            };
            if !goes_on || waiting == 0 {
                return goes_on;
            }
            waiting -= 1;
            delivery = deliveries.try_recv().ok();
            if delivery.is_none() {
                return true;
            }
        }
    }

    async fn handle_command(&mut self, command: RelayCommand) -> bool {
        match command {
            RelayCommand::Join { newcomer, reply } => {
                if let Wish::Resume { known, .. } = &newcomer.wish
                    && !self.catch_up_with(*known).await
                {
                    return false;
                }
                let seat = match (&newcomer.wish, &newcomer.subject) {
                    (Wish::Play { .. }, Some(subject)) => self.seat_of(subject).await,
                    _ => None,
                };
                self.handle_join(*newcomer, seat, reply);
            }
            RelayCommand::Leave { session, for_good } => self.remove(session, for_good),
            RelayCommand::Say(saying) => self.handle_saying(saying),
            RelayCommand::PutOut { banned } => self.put_out(&banned),
            RelayCommand::Ping { session, nonce } => {
                if let Some(listener) = self.listeners.get(&session) {
                    let tick = self.relay.position().tick;
                    listener.sink.send_control(&ServerMessage::Pong { nonce, tick }.to_frame());
                }
            }
            // Whoever asked may have gone.
            RelayCommand::Look { reply } => drop(reply.send(self.relay.seen())),
            RelayCommand::Snapshot { session } => {
                if let Some(listener) = self.listeners.get_mut(&session) {
                    listener.standing.lose();
                    serve(&mut self.laggards, &mut self.relay, listener, clock::now());
                }
            }
        }
        true
    }

    fn send_upstream(&self, upstream: Upstream) {
        if !self.uplink.push(upstream) {
            self.node.metrics.inputs_lost.add(1);
        }
    }

    async fn handle_message(&mut self, message: &Bytes) -> bool {
        if self.uplink.take_lost() {
            self.relay.handle_inputs_lost();
        }
        let made = self.uplink.take_made(message, self.relay.wants_state());
        match self.relay.handle_vouched(message, made) {
            Verdict::FanOut(frames) => {
                self.heard = clock::now();
                self.outdate_claim();
                self.watch.handle_tick(self.heard);
                self.uplink.handle_tick(self.heard);
                self.node.health.handle_heard(&self.id);
                self.take_in(&frames);
                // Whoever ticks at the same moment makes its tick first: thousands of sends leave nothing in the caches.
                if !self.laggards.is_held() {
                    tokio::task::yield_now().await;
                }
                self.fan_out();
                true
            }
            Verdict::Ignore => true,
            Verdict::Foreign => {
                self.node.metrics.foreign_messages.add(1);
                true
            }
            Verdict::Reload(gap) => {
                tracing::warn!(id = %self.id, %gap, "gap, loading the match");
                self.count(&gap);
                self.reload().await
            }
            Verdict::Confirm(fence) => self.confirm(fence, message).await,
            Verdict::Refuse(player, code) => {
                self.handle_refused(player, code);
                true
            }
            Verdict::Resumed { player, session, attempt } => {
                self.handle_resumed(player, session, attempt);
                true
            }
            Verdict::RefuseChat { player, seq, reason } => {
                self.handle_chat_refused(player, seq, reason);
                true
            }
            Verdict::Ended => self.handle_ended().await,
            Verdict::Released => {
                self.outdate_claim();
                self.watch.handle_released(clock::now());
                true
            }
        }
    }

    fn count(&self, gap: &Gap) {
        if matches!(gap, Gap::Desync { .. }) {
            self.node.metrics.desyncs.add(1);
            self.node.note(&self.id, What::Desync, gap.to_string());
        }
    }

    /// Takes in the frames that lead to the relay's state.
    fn take_in(&mut self, frames: &[Bytes]) {
        let (tick, hash) = (self.relay.position().tick, self.relay.hash());
        self.laggards.handle_tick(tick, frames, hash, self.relay.has_said());
    }

    /// Sends every client in step what was taken in, unless it can wait, and those behind what brings them nearer.
    fn fan_out(&mut self) {
        self.serve_all();
        self.notice_joined();
        self.pass_chat();
    }

    fn serve_all(&mut self) {
        let (now, is_held) = (clock::now(), self.laggards.is_held());
        let is_served = |listener: &&mut Listener| !(is_held && listener.standing.is_in_step());
        let mut served = Vec::with_capacity(self.listeners.len());
        served.extend(self.listeners.values_mut().filter(is_served));
        for group in served.chunks_mut(AHEAD) {
            group.iter().for_each(|listener| listener.sink.warm());
            for listener in group {
                serve(&mut self.laggards, &mut self.relay, listener, now);
            }
        }
        self.node.metrics.add_sent(self.laggards.take_counts());
    }

    async fn handle_beat(&mut self) -> bool {
        let now = clock::now();
        self.beats += 1;
        self.repeat_requests(now);
        if self.beats.is_multiple_of(UNSEATED_BEATS) {
            self.close_unseated();
        }
        if self.beats.is_multiple_of(presence_beats(self.node.settings.resume_window)) {
            let players: Vec<PlayerId> =
                self.listeners.values().filter_map(|listener| listener.player).collect();
            for chunk in players.chunks(UPSTREAM_BATCH_MAX) {
                self.send_upstream(Upstream::Present { players: chunk.to_vec() });
            }
        }
        if self.listeners.is_empty() {
            return now < self.idle_since + LINGER;
        }
        if self.heard + self.node.settings.stall_max <= now {
            tracing::error!(id = %self.id, "no tick for too long, its clients are sent away");
            return self.close_all(CloseCode::PositionLost);
        }
        if self.stale { self.reload().await } else { true }
    }

    fn close_all(&mut self, code: CloseCode) -> bool {
        self.listeners.values().for_each(|listener| listener.sink.close(code, code.text()));
        false
    }
}

impl<B: Backplane> Drop for Followed<B> {
    fn drop(&mut self) {
        self.uplink.close();
        self.node.uplinks.remove_if(&self.id, |_, uplink| Arc::ptr_eq(uplink, &self.uplink));
    }
}

/// Beats between two signs of presence: several before the owner counts a player as gone.
fn presence_beats(resume_window: Duration) -> u64 {
    let pause = (resume_window / PRESENCE_PER_WINDOW).clamp(BEAT, PRESENCE_MAX);
    (pause.as_millis() / BEAT.as_millis()) as u64
}

/// Sends a listener what comes next for it. The state itself is needed for those only who are not in step.
fn serve(laggards: &mut Laggards, relay: &mut Relay, listener: &mut Listener, now: Instant) {
    let Listener { sink, standing, player, .. } = listener;
    let viewer = player.map_or(Viewer::Spectators, Viewer::Player);
    let view = relay.view(viewer).cloned();
    if standing.needs_state(view.as_ref()) {
        relay.settle();
    }
    match laggards.next(now, relay.replica(), standing, view.as_ref(), || sink.is_clear()) {
        Next::Wait => {}
        Next::TooSlow => sink.close(CloseCode::Slow, CloseCode::Slow.text()),
        Next::Send(frame) => {
            let whole = sink.send_state(frame.bytes.clone());
            if whole || relay.settle() {
                laggards.handle_sent(relay.replica(), standing, &frame, whole);
            } else {
                standing.lose();
            }
        }
    }
}
