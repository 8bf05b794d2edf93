//! The imitated shell of a relay's upkeep: loads, claims after silence, questions about unknown owners, and the pump.

use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use tickcast_protocol::message::ServerMessage;
use tickcast_protocol::{CloseCode, Fence};
use tickcast_server::backplane::{MatchFields, fields};
use tickcast_server::logic::channel;
use tickcast_server::logic::relay::{Relay, Resync};
use tickcast_server::logic::stored::{self, Restored};
use tickcast_server::logic::watch::{Silence, Watch};

use super::claims::{By, Claimed};
use super::cluster::{Cluster, Event};
use super::counters::Seen;
use super::owner::Next;
use super::plan::Kind;
use super::relay::Live;
use super::settings::LEASE;
use super::store::{Answer, Request};

/// By how much of a lease nodes differ in when they claim.
const JITTER_PART: u32 = 16;

impl Cluster {
    /// The load that a relay begins with was answered.
    pub(super) fn handle_begin(&mut self, node: usize, game: usize, answer: Answer) {
        let now = self.now();
        let Some(restored) = self.restored(node, game, answer) else { return };
        let stored = restored.stored.clone();
        let relay = Relay::loaded(restored);
        let jitter = (LEASE / JITTER_PART).mul_f64(self.rng.random());
        let live = Live::new(relay, stored, Watch::new(now, LEASE, jitter), now, self.now_ms);
        if let Some(follow) = &mut self.nodes[node].slots[game].follow {
            follow.live = Some(live);
        }
        self.relay_goes_on(node, game);
    }

    /// What was loaded to begin with; otherwise nobody is let in.
    fn restored(&mut self, node: usize, game: usize, answer: Answer) -> Option<Restored> {
        let code = match answer {
            Answer::Loaded(Some(stored))
                if fields::text(&stored, fields::STATUS) == Some(fields::QUARANTINED) =>
            {
                CloseCode::Quarantined
            }
            Answer::Loaded(Some(stored)) => match stored::restore(&stored) {
                Ok(restored) => return Some(restored),
                Err(error) => {
                    self.oracle.fail(format!("match {game} is not readable: {error}"));
                    return None;
                }
            },
            Answer::Loaded(None) => CloseCode::NoSuchMatch,
            _ => CloseCode::Internal,
        };
        let follow = self.nodes[node].slots[game].follow.take()?;
        self.subscribe(node, game, tickcast_server::backplane::Channel::Diff, false);
        for work in follow.work {
            if let super::relay::Work::Join(join) = work {
                self.close(join.connection, code);
            }
        }
        None
    }

    /// The subscription was renewed: messages are missing.
    pub(super) fn handle_lost(&mut self, node: usize, game: usize) {
        self.reload(node, game);
    }

    pub(super) fn reload(&mut self, node: usize, game: usize) {
        if let Some(live) = self.live(node, game) {
            live.stale = false;
            self.relay_call(node, game, Request::Load, Next::RelayReload);
        }
    }

    pub(super) fn handle_reloaded(&mut self, node: usize, game: usize, answer: Answer) {
        let now = self.now();
        match answer {
            Answer::Loaded(Some(stored))
                if fields::text(&stored, fields::STATUS) == Some(fields::QUARANTINED) =>
            {
                return self.close_all(node, game, CloseCode::Quarantined);
            }
            Answer::Loaded(Some(stored)) => match stored::restore(&stored) {
                Ok(restored) => self.handle_load(node, game, &stored, restored),
                Err(error) => self.oracle.fail(format!("match {game} is not readable: {error}")),
            },
            Answer::Loaded(None) => return self.close_all(node, game, CloseCode::MatchOver),
            _ => {
                if let Some(live) = self.live(node, game) {
                    live.stale = true;
                    live.watch.handle_trouble(now);
                }
            }
        }
        self.relay_goes_on(node, game);
    }

    fn handle_load(&mut self, node: usize, game: usize, fields: &MatchFields, restored: Restored) {
        let Some(live) = self.live(node, game) else { return };
        let (before, after) = (live.relay.position(), restored.stored.position());
        live.stored = restored.stored.clone();
        let resync = live.relay.handle_load(fields, restored);
        let listeners: Vec<u64> = live.listeners.iter().copied().collect();
        self.say(|| format!("n{node}: match {game} loaded, {before:?} to {after:?}: {resync:?}"));
        let set_back = matches!(resync, Resync::Reset { .. });
        match resync {
            Resync::Kept => return self.counters.see(Seen::Kept),
            Resync::Missed(frames) => {
                if !frames.is_empty() {
                    self.counters.see(Seen::Missed);
                    self.fan_out(node, game, &frames);
                }
                return;
            }
            Resync::Forward => self.oracle.handle_forward(game, before, after),
            Resync::Reset { from, to } => {
                self.counters.see(Seen::Reset);
                self.oracle.handle_reset(game, before, after);
                let message = ServerMessage::Reset { from, to }.to_frame();
                listeners.iter().for_each(|id| self.send_control(*id, &message));
                self.ask_for_places(node, game);
            }
        }
        if let Some(live) = self.live(node, game) {
            live.laggards.handle_load(live.relay.replica());
        }
        for id in &listeners {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.has_history &= !set_back;
                connection.standing.lose();
            }
        }
        self.serve_all(node, game);
        self.pass_chat(node, game);
    }

    /// The store says whether it knows the owner that has ticked.
    pub(super) fn handle_confirm(
        &mut self,
        node: usize,
        game: usize,
        fence: Fence,
        message: Bytes,
        answer: Answer,
    ) {
        match answer {
            Answer::Loaded(Some(stored)) if fields::fence(&stored) == Some(fence) => {
                self.counters.see(Seen::Confirmed);
                if let Some(live) = self.live(node, game) {
                    live.relay.confirm(fence);
                }
                if let Some(follow) = &mut self.nodes[node].slots[game].follow {
                    follow.busy = false;
                }
                self.handle_message(node, game, &message);
                self.relay_turn(node, game);
            }
            Answer::Loaded(Some(_)) => {
                self.counters.see(Seen::ForeignFence);
                self.relay_goes_on(node, game);
            }
            Answer::Loaded(None) => self.close_all(node, game, CloseCode::MatchOver),
            _ => self.reload(node, game),
        }
    }

    /// Nothing was heard for a lease's length, or the owner gave the match up.
    pub(super) fn handle_watch_due(&mut self, node: usize, game: usize) {
        let now = self.now();
        let Some(live) = self.live(node, game) else { return };
        if live.listeners.is_empty() || live.claiming.is_some() || live.watch.due() > now {
            return;
        }
        live.claiming = Some(false);
        self.own(node, game, By::Relay);
    }

    pub(super) fn handle_claimed(&mut self, node: usize, game: usize, claimed: Claimed) {
        let now = self.now();
        let Some(live) = self.live(node, game) else { return };
        // One of a relay that there is no more is nobody's business.
        let Some(outdated) = live.claiming.take() else { return };
        match claimed {
            Claimed::Held(_) | Claimed::Deferred | Claimed::Unavailable if outdated => {}
            Claimed::Ours => {
                if live.watch.handle_ours(now) == Silence::Deaf {
                    return self.relay_call(node, game, Request::Load, Next::RelayDeaf);
                }
            }
            Claimed::Held(left) => {
                if live.watch.handle_held(now, left) == Silence::Deaf {
                    return self.relay_call(node, game, Request::Load, Next::RelayDeaf);
                }
            }
            Claimed::Deferred => live.watch.handle_deferred(now),
            Claimed::Unavailable => live.watch.handle_trouble(now),
            Claimed::NoMatch => return self.close_all(node, game, CloseCode::MatchOver),
            Claimed::Quarantined => return self.close_all(node, game, CloseCode::Quarantined),
        }
        if live.relay.is_broken() {
            self.reload(node, game);
        }
    }

    /// The match is owned and nothing is heard of it: if its tick has moved, this node is deaf.
    pub(super) fn handle_deafness(&mut self, node: usize, game: usize, answer: Answer) {
        let Some(live) = self.live(node, game) else { return };
        let have = live.relay.position().tick.0;
        let tick = match answer {
            Answer::Loaded(Some(stored)) => fields::number(&stored, fields::TICK),
            _ => None,
        };
        if tick.is_none_or(|tick| tick <= have) {
            return self.relay_goes_on(node, game);
        }
        self.counters.see(Seen::FoundDeaf);
        self.handle_renewed(node);
        self.reload(node, game);
    }

    /// Sends what has gathered, one message at a time.
    pub(super) fn pump(&mut self, node: usize, game: usize) {
        let (now_ms, life) = (self.now_ms, self.nodes[node].life);
        let Some(follow) = &mut self.nodes[node].slots[game].follow else { return };
        if follow.upstream.is_empty() {
            return;
        }
        // What arrives within one moment goes as one: a message is under way for about as long.
        let batch = std::mem::take(&mut follow.upstream);
        let message = channel::encode_upstream(&batch);
        let unanswered = now_ms < self.store.down_until_ms;
        if let Some(follow) = &mut self.nodes[node].slots[game].follow {
            follow.inputs_lost |= follow.lost && !unanswered;
            follow.lost = unanswered;
        }
        if unanswered || self.strikes(Kind::InputsUndelivered) {
            return;
        }
        let times = 1 + u64::from(self.strikes(Kind::InputsTwice));
        debug_assert!(self.is_current(node, life));
        for _ in 0..times {
            let due_ms = now_ms.max(self.store.stalled_until_ms) + self.rng.random_range(1..4);
            let follow = self.nodes[node].slots[game].follow.as_mut();
            let due_ms = follow.map_or(due_ms, |follow| {
                follow.sent_ms = follow.sent_ms.max(due_ms);
                follow.sent_ms
            });
            self.at(due_ms, Event::Input { game, message: message.clone() });
        }
    }

    /// How long a relay hears nothing until it counts the match as paused.
    pub(super) fn is_silent(&mut self, node: usize, game: usize) -> bool {
        let now = self.now();
        self.live(node, game).is_some_and(|live| live.heard + Duration::from_secs(1) < now)
    }
}
