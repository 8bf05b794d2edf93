//! What keeps a followed match in step and owned: loads after a loss, claims after silence, questions to the
//! store about an owner that is not known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tickcast_protocol::message::ServerMessage;
use tickcast_protocol::{CloseCode, Fence, Position};
use tokio::sync::oneshot;

use super::{Followed, load, restore};
use crate::backplane::{Backplane, MatchFields, fields};
use crate::io::claims::Claimed;
use crate::io::clock;
use crate::logic::relay::Resync;
use crate::logic::stored::Restored;
use crate::logic::watch::Silence;
use crate::ops::inspector::journal::What;

/// Silence after which clients are not kept waiting with a request's deadline running.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// A claim under way. Meanwhile the match is relayed: somebody else may own it and tick.
pub(super) struct Claiming {
    answer: oneshot::Receiver<Claimed>,
    /// The match was heard of since it was asked for.
    outdated: bool,
}

/// What a claim under way came to, and whether the match was heard of meanwhile. Never, if there is none.
pub(super) async fn claimed(claiming: &mut Option<Claiming>) -> (Claimed, bool) {
    let Some(Claiming { answer, outdated }) = claiming else { return std::future::pending().await };
    // A claim that panicked has been told of by its task.
    let claimed = (answer.await.unwrap_or(Claimed::Deferred), *outdated);
    *claiming = None;
    claimed
}

impl<B: Backplane> Followed<B> {
    pub(super) async fn reload(&mut self) -> bool {
        self.node.metrics.reloads.add(1);
        self.stale = false;
        self.relay.settle();
        if let Some(gap) = self.relay.take_found() {
            self.count(&gap);
        }
        let loaded = load(&self.node, &self.id).await;
        match loaded.and_then(|fields| Ok((restore(&self.id, &fields)?, fields))) {
            Ok((restored, fields)) => {
                if let Some(difference) = self.relay.find_difference(&fields) {
                    tracing::warn!(id = %self.id, %difference, "this node's copy of the state was wrong here");
                }
                self.handle_load(&fields, restored);
                true
            }
            Err(refusal) if refusal.code == CloseCode::NoSuchMatch => self.close_all(CloseCode::MatchOver),
            Err(refusal) if refusal.code == CloseCode::Quarantined => self.close_all(refusal.code),
            // The store is away: the next beat tries again.
            Err(_) => {
                self.stale = true;
                self.watch.handle_trouble(clock::now());
                true
            }
        }
    }

    /// Sees to it that the copy is not older than what the store was seen to hold. `false` when the match is gone.
    pub(super) async fn catch_up_with(&mut self, known: Position) -> bool {
        let have = self.relay.position();
        if have.fence == known.fence && have.tick >= known.tick && !self.is_astray() {
            return true;
        }
        self.reload().await
    }

    /// Whether the copy is of no use just now.
    pub(super) fn is_astray(&self) -> bool {
        self.stale || self.relay.is_broken()
    }

    fn handle_load(&mut self, fields: &MatchFields, restored: Restored) {
        self.stored = restored.stored.clone();
        match self.relay.handle_load(fields, restored) {
            Resync::Kept => return,
            Resync::Missed(frames) => {
                if !frames.is_empty() {
                    self.take_in(&frames);
                    self.fan_out();
                }
                return;
            }
            Resync::Forward => {}
            Resync::Reset { from, to } => {
                tracing::warn!(id = %self.id, %from, %to, "the store lost ticks that players saw");
                self.node.metrics.resets.add(1);
                self.node.note(
                    &self.id,
                    What::Reset,
                    format!("players were set back from tick {from} to {to}"),
                );
                let message = ServerMessage::Reset { from, to }.to_frame();
                for listener in self.listeners.values_mut() {
                    listener.sink.send_control(&message);
                    listener.has_history = false;
                }
                self.ask_for_players();
            }
        }
        self.laggards.handle_load(self.relay.replica());
        self.listeners.values_mut().for_each(|listener| listener.standing.lose());
        self.serve_all();
        self.pass_chat();
    }

    /// An owner that this copy does not know has ticked: the store knows whether there is such a one. Anybody can
    /// publish on a channel.
    pub(super) async fn confirm(&mut self, fence: Fence, message: &Bytes) -> bool {
        let stored = self.node.backplane.read(&self.id, &[fields::EPOCH, fields::NONCE]).await;
        match stored {
            Ok(Some(stored)) if fields::fence(&stored) == Some(fence) => {
                self.relay.confirm(fence);
                Box::pin(self.handle_message(message)).await
            }
            Ok(Some(_)) => {
                self.node.metrics.foreign_messages.add(1);
                true
            }
            Ok(None) => self.close_all(CloseCode::MatchOver),
            Err(_) => self.reload().await,
        }
    }

    /// The owner is said to have ended the match. Anybody can say so on a channel: the store knows.
    pub(super) async fn handle_ended(&mut self) -> bool {
        match self.node.backplane.read(&self.id, &[fields::EPOCH]).await {
            Ok(None) => {
                let message = ServerMessage::Ended.to_frame();
                self.listeners.values().for_each(|listener| listener.sink.send_control(&message));
                self.close_all(CloseCode::MatchOver)
            }
            Ok(Some(_)) => {
                self.node.metrics.foreign_messages.add(1);
                true
            }
            // The next claim finds out.
            Err(_) => true,
        }
    }

    /// Whether the match is paused, as far as can be heard.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.heard + SILENT_AFTER < now
    }

    /// Whether silence is a reason to ask for the match.
    pub(super) fn may_claim(&self) -> bool {
        !self.listeners.is_empty() && self.claiming.is_none()
    }

    /// Nothing was heard of the match for too long, or its owner gave it up: asks for it. A store may take seconds to
    /// answer, or never do, so that is waited for beside everything else.
    pub(super) fn claim(&mut self) -> bool {
        let (told, answer) = oneshot::channel();
        let (node, id) = (Arc::clone(&self.node), self.id.clone());
        self.node.tasks.spawn(async move {
            // Nobody waits any more when the match is not followed any more.
            let _ = told.send(node.own(&id).await);
        });
        self.claiming = Some(Claiming { answer, outdated: false });
        true
    }

    /// The match was heard of: what a claim under way is told of its owner is older than that.
    pub(super) fn outdate_claim(&mut self) {
        if let Some(claiming) = &mut self.claiming {
            claiming.outdated = true;
        }
    }

    /// A claim was answered. `false` when the match is gone.
    pub(super) async fn handle_claimed(&mut self, claimed: Claimed, outdated: bool) -> bool {
        let now = clock::now();
        match claimed {
            Claimed::Held(_) | Claimed::Deferred | Claimed::Unavailable(_) if outdated => {}
            Claimed::Ours => {
                if self.watch.handle_ours(now) == Silence::Deaf {
                    return self.handle_deafness().await;
                }
            }
            Claimed::Held(left) => {
                if self.watch.handle_held(now, left) == Silence::Deaf {
                    return self.handle_deafness().await;
                }
            }
            Claimed::Deferred => self.watch.handle_deferred(now),
            Claimed::Unavailable(_) => self.watch.handle_trouble(now),
            Claimed::Refused(refusal) => {
                tracing::debug!(id = %self.id, text = refusal.text, "match not claimed");
                match refusal.code {
                    CloseCode::NoSuchMatch => return self.close_all(CloseCode::MatchOver),
                    CloseCode::Quarantined => return self.close_all(refusal.code),
                    _ => self.watch.handle_claimed(now),
                }
            }
        }
        if self.relay.is_broken() { self.reload().await } else { true }
    }

    /// The match is owned and nothing is heard of it: if its tick has moved, this node is deaf.
    async fn handle_deafness(&mut self) -> bool {
        let have = self.relay.position().tick.0;
        let stored = self.node.backplane.read(&self.id, &[fields::TICK]).await;
        let moved = |stored| fields::number(&stored, fields::TICK).is_some_and(|tick| tick > have);
        if stored.is_ok_and(|stored| stored.is_some_and(moved)) {
            // A store that was silent and answers again has answered the owner too: its tick is on its way to us.
            if self.suspected != Some(have) {
                self.suspected = Some(have);
                self.watch.handle_suspicion(clock::now());
                return true;
            }
            tracing::error!(id = %self.id, "the match ticks and is not heard here, subscribing anew");
            self.node.metrics.deaf.add(1);
            self.node.note(&self.id, What::Deaf, format!("since tick {have}"));
            self.node.health.handle_unheard(&self.id);
            self.node.backplane.distrust_subscriptions();
            return self.reload().await;
        }
        true
    }
}
