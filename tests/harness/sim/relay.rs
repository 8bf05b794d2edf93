//! The imitated shell of a followed match: one thing after the other, and nothing while it waits for the store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use tickcast_protocol::message::ServerMessage;
use tickcast_protocol::replica::Gap;
use tickcast_protocol::{CloseCode, PlayerId, SessionId};
use tickcast_server::backplane::Channel;
use tickcast_server::game::Viewer;
use tickcast_server::logic::channel::Upstream;
use tickcast_server::logic::chat::Saying;
use tickcast_server::logic::laggards::{Laggards, Next as Serve};
use tickcast_server::logic::quiet::Quiet;
use tickcast_server::logic::relay::{Relay, Verdict};
use tickcast_server::logic::sayings::Sayings;
use tickcast_server::logic::stored::StoredMatch;
use tickcast_server::logic::watch::Watch;

use super::admission::{Gone, Join, Request};
use super::claims::Claimed;
use super::cluster::{Cluster, Delivery, Event};
use super::counters::Seen;
use super::line::seal;
use super::nodes::Slot;
use super::owner::Next;
use super::plan::Kind;
use super::settings::{LINGER_MS, QUIET};
use super::store;

/// Beats between two signs of presence.
const PRESENCE_BEATS: u64 = 8;

/// What a relay has to do.
#[derive(Debug)]
pub(super) enum Work {
    Delivery(Delivery),
    Join(Join),
    Leave(Gone),
    Say(Upstream),
    Saying(Saying),
    Snapshot { connection: u64 },
    Beat,
    Watch,
    Claimed(Claimed),
}

/// A match that a node follows, from the load that it begins with.
#[derive(Default)]
pub(super) struct Follow {
    pub(super) live: Option<Live>,
    pub(super) work: VecDeque<Work>,
    /// It waits for the store.
    pub(super) busy: bool,
    /// What goes up with the next message.
    pub(super) upstream: Vec<Upstream>,
    /// Inputs did not get through.
    pub(super) lost: bool,
    /// Inputs did not get through, and those after them did.
    pub(super) inputs_lost: bool,
    /// When the last message upstream arrives; later ones do not overtake it.
    pub(super) sent_ms: u64,
}

/// What it has once it was loaded.
pub(super) struct Live {
    pub(super) relay: Relay,
    pub(super) laggards: Laggards,
    pub(super) stored: StoredMatch,
    pub(super) watch: Watch,
    /// A claim under way, and whether the match was heard of since.
    pub(super) claiming: Option<bool>,
    pub(super) listeners: BTreeSet<u64>,
    pub(super) requests: BTreeMap<PlayerId, Request>,
    pub(super) sayings: Sayings,
    pub(super) heard: Instant,
    pub(super) stale: bool,
    pub(super) idle_since_ms: u64,
    pub(super) beats: u64,
    pub(super) watch_at_ms: Option<u64>,
    /// Nothing was heard of it since it was loaded to begin with.
    pub(super) fresh: bool,
}

impl Live {
    /// Whether the copy is of no use just now.
    pub(super) fn is_astray(&self) -> bool {
        self.stale || self.relay.is_broken()
    }

    pub(super) fn new(relay: Relay, stored: StoredMatch, watch: Watch, now: Instant, now_ms: u64) -> Live {
        let mut laggards = Laggards::new(seal, Quiet::new(QUIET, stored.tick_rate));
        laggards.handle_load(relay.replica());
        Live {
            relay,
            laggards,
            stored,
            watch,
            claiming: None,
            listeners: BTreeSet::new(),
            requests: BTreeMap::new(),
            sayings: Sayings::default(),
            heard: now,
            stale: false,
            idle_since_ms: now_ms,
            beats: 0,
            watch_at_ms: None,
            fresh: true,
        }
    }
}

impl Cluster {
    pub(super) fn live(&mut self, node: usize, game: usize) -> Option<&mut Live> {
        self.nodes[node].slots[game].follow.as_mut()?.live.as_mut()
    }

    /// Follows a match unless it is followed already: subscribes first, loads second, applies after.
    pub(super) fn follow(&mut self, node: usize, game: usize) {
        if self.nodes[node].slots[game].follow.is_some() {
            return;
        }
        self.nodes[node].slots[game].follow = Some(Follow { busy: true, ..Follow::default() });
        self.subscribe(node, game, Channel::Diff, true);
        self.call(node, game, store::Request::Load, Next::RelayBegin);
    }

    pub(super) fn relay_work(&mut self, node: usize, game: usize, work: Work) {
        if let Some(follow) = &mut self.nodes[node].slots[game].follow {
            follow.work.push_back(work);
            self.relay_turn(node, game);
        }
    }

    /// Asks the store; nothing else is done until it has answered.
    pub(super) fn relay_call(&mut self, node: usize, game: usize, request: store::Request, then: Next) {
        self.relay_waits(node, game);
        self.call(node, game, request, then);
    }

    pub(super) fn relay_waits(&mut self, node: usize, game: usize) {
        if let Some(follow) = &mut self.nodes[node].slots[game].follow {
            follow.busy = true;
        }
    }

    /// The store has answered: goes on.
    pub(super) fn relay_goes_on(&mut self, node: usize, game: usize) {
        if let Some(follow) = &mut self.nodes[node].slots[game].follow {
            follow.busy = false;
            self.relay_turn(node, game);
        }
    }

    pub(super) fn relay_turn(&mut self, node: usize, game: usize) {
        loop {
            let Some(follow) = &mut self.nodes[node].slots[game].follow else { return };
            if follow.busy {
                return;
            }
            let Some(work) = follow.work.pop_front() else { break };
            match work {
                Work::Delivery(Delivery::Message(message)) => self.handle_message(node, game, &message),
                Work::Delivery(Delivery::Lost) => self.handle_lost(node, game),
                Work::Join(join) => self.handle_join(node, game, join),
                Work::Leave(gone) => self.handle_leave(node, game, gone),
                Work::Say(upstream) => self.send_upstream(node, game, upstream),
                Work::Saying(saying) => self.handle_saying(node, game, saying),
                Work::Snapshot { connection } => {
                    if let Some(connection) = self.connections.get_mut(&connection) {
                        connection.standing.lose();
                    }
                    self.serve(node, game, connection);
                }
                Work::Beat => self.handle_relay_beat(node, game),
                Work::Watch => self.handle_watch_due(node, game),
                Work::Claimed(claimed) => self.handle_claimed(node, game, claimed),
            }
        }
        self.schedule_watch(node, game);
    }

    fn schedule_watch(&mut self, node: usize, game: usize) {
        let life = self.nodes[node].life;
        let Some(live) = self.live(node, game) else { return };
        if live.listeners.is_empty() || live.claiming.is_some() {
            return;
        }
        let due = live.watch.due();
        let due_ms = self.ms(due);
        let Some(live) = self.live(node, game) else { return };
        if live.watch_at_ms.is_none() {
            live.watch_at_ms = Some(due_ms);
            self.at(due_ms, Event::Watch { node, life, game });
        }
    }

    pub(super) fn handle_watch(&mut self, node: usize, game: usize) {
        if let Some(live) = self.live(node, game) {
            live.watch_at_ms = None;
        }
        self.relay_work(node, game, Work::Watch);
    }

    pub(super) fn handle_message(&mut self, node: usize, game: usize, message: &Bytes) {
        let now = self.now();
        let Slot { follow: Some(follow), vouch, .. } = &mut self.nodes[node].slots[game] else { return };
        let inputs_lost = std::mem::take(&mut follow.inputs_lost);
        let Some(live) = &mut follow.live else { return };
        if inputs_lost {
            live.relay.handle_inputs_lost();
        }
        let fresh = std::mem::replace(&mut live.fresh, false);
        if live.relay.wants_state() {
            vouch.want_state();
        }
        let made = vouch.take(message);
        self.counters.add(Seen::Vouched, u64::from(made.is_some()));
        self.counters.add(Seen::Adopted, u64::from(made.as_ref().is_some_and(|made| made.state.is_some())));
        match live.relay.handle_vouched(message, made) {
            Verdict::FanOut(frames) => {
                live.heard = now;
                live.claiming = live.claiming.map(|_| true);
                live.watch.handle_tick(now);
                self.fan_out(node, game, &frames);
            }
            Verdict::Ignore => {}
            Verdict::Foreign => self.counters.see(Seen::Foreign),
            Verdict::Reload(gap) => {
                self.say(|| format!("n{node}: match {game}: {gap}"));
                let told = self.plan.has(&[Kind::Deaf]) || self.oracle.was_set_back(game);
                if fresh && !told && matches!(gap, Gap::Missing { .. }) {
                    self.oracle.fail(format!("n{node} was let to begin with a hole: match {game}, {gap}"));
                }
                self.reload(node, game);
            }
            Verdict::Confirm(fence) => {
                let then = Next::RelayConfirm { fence, message: message.clone() };
                self.relay_call(node, game, store::Request::Load, then);
            }
            Verdict::Refuse(player, code) => self.handle_refused(node, game, player, code),
            Verdict::Resumed { player, session, attempt } => {
                self.handle_resumed(node, game, player, session, attempt);
            }
            Verdict::RefuseChat { player, seq, reason } => {
                self.handle_chat_refused(node, game, (player, seq), reason);
            }
            Verdict::Ended => self.close_all(node, game, CloseCode::MatchOver),
            Verdict::Released => {
                live.claiming = live.claiming.map(|_| true);
                live.watch.handle_released(now);
            }
        }
    }

    pub(super) fn fan_out(&mut self, node: usize, game: usize, frames: &[Bytes]) {
        let Some(live) = self.live(node, game) else { return };
        let (at, hash) = (live.relay.position(), live.relay.hash());
        live.laggards.handle_tick(at.tick, frames, hash, live.relay.has_said());
        self.oracle.handle_relayed(game, at, hash);
        self.serve_all(node, game);
        self.notice_joined(node, game);
        self.pass_chat(node, game);
    }

    pub(super) fn serve_all(&mut self, node: usize, game: usize) {
        let Some(live) = self.live(node, game) else { return };
        for connection in live.listeners.clone() {
            self.serve(node, game, connection);
        }
        let Some(live) = self.live(node, game) else { return };
        let sent = live.laggards.take_counts();
        self.counters.add(Seen::CatchUp, sent.catch_ups);
        self.counters.add(Seen::SlowSnapshot, sent.snapshots_for_slow);
    }

    /// Sends a listener what comes next for it.
    pub(super) fn serve(&mut self, node: usize, game: usize, id: u64) {
        let now = self.now();
        let Some(follow) = &mut self.nodes[node].slots[game].follow else { return };
        let Some(Live { relay, laggards, .. }) = &mut follow.live else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let line = &mut connection.line;
        let viewer = connection.player.map_or(Viewer::Spectators, Viewer::Player);
        let view = relay.view(viewer).cloned();
        if connection.standing.needs_state(view.as_ref()) {
            relay.settle();
        }
        match laggards.next(now, relay.replica(), &mut connection.standing, view.as_ref(), || line.is_clear())
        {
            Serve::Wait => return,
            Serve::TooSlow => return self.close(id, CloseCode::Slow),
            Serve::Send(frame) => {
                let whole = line.send_state(frame.bytes.clone());
                if whole || relay.settle() {
                    laggards.handle_sent(relay.replica(), &mut connection.standing, &frame, whole);
                } else {
                    connection.standing.lose();
                }
            }
        }
        self.schedule_read(id);
    }

    fn handle_relay_beat(&mut self, node: usize, game: usize) {
        let now_ms = self.now_ms;
        let Some(live) = self.live(node, game) else { return };
        live.beats += 1;
        let (beats, stale, idle) = (live.beats, live.stale, live.listeners.is_empty());
        let over = idle && now_ms > live.idle_since_ms + LINGER_MS;
        let listeners: Vec<u64> = live.listeners.iter().copied().collect();
        if over {
            return self.end_relay(node, game);
        }
        self.repeat_requests(node, game);
        if beats.is_multiple_of(PRESENCE_BEATS) {
            let players: Vec<PlayerId> =
                listeners.iter().filter_map(|id| self.connections.get(id)?.player).collect();
            self.send_upstream(node, game, Upstream::Present { players });
        }
        if stale {
            self.reload(node, game);
        }
    }

    pub(super) fn close_all(&mut self, node: usize, game: usize, code: CloseCode) {
        let Some(live) = self.live(node, game) else { return };
        let listeners = std::mem::take(&mut live.listeners);
        self.end_relay(node, game);
        for id in listeners {
            if code == CloseCode::MatchOver {
                self.send_control(id, &ServerMessage::Ended.to_frame());
            }
            self.close(id, code);
        }
    }

    /// The match is not followed any more; whoever wanted in meanwhile asks again.
    pub(super) fn end_relay(&mut self, node: usize, game: usize) {
        self.subscribe(node, game, Channel::Diff, false);
        let Some(follow) = self.nodes[node].slots[game].follow.take() else { return };
        for work in follow.work {
            if let Work::Join(join) = work {
                self.join_relay(node, game, join);
            }
        }
    }

    /// Passes on what a player says, as much as has gathered while the last message was under way.
    pub(super) fn send_upstream(&mut self, node: usize, game: usize, upstream: Upstream) {
        if let Some(follow) = &mut self.nodes[node].slots[game].follow {
            follow.upstream.push(upstream);
            self.pump(node, game);
        }
    }

    /// The connection as its note names it.
    pub(super) fn session(id: u64) -> SessionId {
        SessionId(id)
    }
}
