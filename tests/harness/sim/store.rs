//! The store as the cluster meets it: the real model behind a network and a server that have faults. A request may be
//! lost, done and not answered, done long after its sender gave up, or refused as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use rand::RngExt;
use tickcast_protocol::Fence;
use tickcast_server::backplane::store::{Publication, Store};
use tickcast_server::backplane::{
    Channel, Claim, ClaimReply, Commit, CommitReply, MatchFields, Release, fields,
};

use super::cluster::{Cluster, Delivery, Event};
use super::counters::Seen;
use super::ledger::Book;
use super::owner::Next;
use super::plan::Kind;
use super::settings::ANSWER_MS_MAX;

/// What is asked of the store, of one match unless it says otherwise.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Claim(Claim),
    Commit(Rc<Commit>, Rc<Book>),
    Release(Fence, Release, Bytes),
    Notify(Fence, Bytes),
    Load,
    /// Of all matches.
    List(&'static [&'static str]),
}

/// What it answers.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Claim(ClaimReply),
    Commit(CommitReply),
    Done,
    Loaded(Option<MatchFields>),
    Listed(Vec<(usize, MatchFields)>),
    /// Nothing, or that it cannot.
    Unavailable,
}

/// A question on its way.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) node: usize,
    pub(super) life: u64,
    pub(super) game: usize,
    pub(super) sent_ms: u64,
    pub(super) request: Request,
    pub(super) then: Next,
}

/// The server and its faults.
#[derive(Debug, Default)]
pub(super) struct SimStore {
    pub(super) model: Store,
    /// By how much its clock is off.
    pub(super) clock_ms: i64,
    pub(super) stalled_until_ms: u64,
    pub(super) down_until_ms: u64,
    pub(super) restarts: u64,
    /// What replicas had at some moment, by the fault that needs it.
    pub(super) copies: BTreeMap<usize, Store>,
    /// Calls that are not waited for any more.
    abandoned: BTreeSet<u64>,
}

impl Cluster {
    /// Time by the store's clock. It begins late enough to be set back.
    pub(super) fn store_ms(&self) -> u64 {
        (self.now_ms as i64 + 1_000_000 + self.store.clock_ms) as u64
    }

    /// Sends a request; its answer comes to [`Cluster::handle_answer`].
    pub(super) fn call(&mut self, node: usize, game: usize, request: Request, then: Next) {
        let id = self.number();
        let call = Call { id, node, life: self.nodes[node].life, game, sent_ms: self.now_ms, request, then };
        let undelivered = match &call.request {
            Request::Claim(_) => self.strikes(Kind::ClaimUndelivered),
            Request::Commit(..) => self.strikes(Kind::CommitUndelivered),
            Request::Release(..) => self.strikes(Kind::ReleaseUndelivered),
            Request::Load => self.strikes(Kind::ReadUnanswered),
            Request::Notify(..) | Request::List(_) => false,
        };
        if undelivered {
            self.at(self.now_ms + ANSWER_MS_MAX, Event::Unanswered { call });
            return;
        }
        let latency = self.rng.random_range(1..8);
        if self.strikes(Kind::Late) {
            self.at(self.now_ms + ANSWER_MS_MAX, Event::Unanswered { call: call.clone() });
            let late = ANSWER_MS_MAX + self.rng.random_range(1..1_200);
            self.at(self.now_ms + late, Event::Request { call });
            return;
        }
        self.at(self.now_ms + latency, Event::Request { call });
    }

    /// A request has reached the store.
    pub(super) fn handle_request(&mut self, call: Call) {
        if self.now_ms < self.store.down_until_ms {
            // Within the time that a call has, a node may try again by itself.
            let again_ms = self.store.down_until_ms + self.rng.random_range(1..100);
            if again_ms < call.sent_ms + ANSWER_MS_MAX && self.rng.random_bool(0.5) {
                self.at(again_ms, Event::Request { call });
            } else {
                self.at(self.now_ms + 1, Event::Unanswered { call });
            }
            return;
        }
        if self.now_ms < self.store.stalled_until_ms {
            let given_up_ms = call.sent_ms + ANSWER_MS_MAX;
            if given_up_ms < self.store.stalled_until_ms {
                self.at(given_up_ms, Event::Unanswered { call: call.clone() });
            }
            self.counters.hit(Kind::Stall);
            self.at(self.store.stalled_until_ms, Event::Request { call });
            return;
        }
        let writes = matches!(call.request, Request::Claim(_) | Request::Commit(..) | Request::Release(..));
        if writes && self.strikes(Kind::Refuse) {
            self.at(self.now_ms + 2, Event::Unanswered { call });
            return;
        }
        let answer = self.apply(&call);
        if !self.is_current(call.node, call.life) {
            return;
        }
        let unanswered = match &call.request {
            Request::Claim(_) => self.strikes(Kind::ClaimUnanswered),
            Request::Commit(..) => self.strikes(Kind::CommitUnanswered),
            Request::Release(..) => self.strikes(Kind::ReleaseUnanswered),
            Request::Notify(..) | Request::Load | Request::List(_) => false,
        };
        if unanswered {
            self.at(call.sent_ms + ANSWER_MS_MAX, Event::Unanswered { call });
            return;
        }
        let latency = self.rng.random_range(1..8);
        self.at(self.now_ms + latency, Event::Answer { call, answer });
    }

    /// The caller waits no longer.
    pub(super) fn handle_unanswered(&mut self, call: Call) {
        if self.store.abandoned.insert(call.id) {
            self.handle_next(call, Answer::Unavailable);
        }
    }

    pub(super) fn handle_answer(&mut self, call: Call, answer: Answer) {
        if !self.store.abandoned.contains(&call.id) {
            self.handle_next(call, answer);
        }
    }

    /// One step of the model, watched by the oracle.
    fn apply(&mut self, call: &Call) -> Answer {
        let (id, now_ms, game) = (self.ids[call.game].clone(), self.store_ms(), call.game);
        let abandoned = self.store.abandoned.contains(&call.id);
        match &call.request {
            Request::Claim(claim) => {
                let before = self.stored_fence(game);
                let reply = self.store.model.claim(&id, claim, now_ms);
                if let ClaimReply::Claimed { fence, fields } = &reply {
                    let again = before == Some(*fence);
                    if again {
                        self.counters.see(Seen::ClaimRepeated);
                    }
                    self.oracle.handle_claim(game, *fence, before, fields);
                    self.say(|| {
                        format!("store: match {game} claimed by {} as {fence}, again: {again}", claim.node)
                    });
                }
                if reply == ClaimReply::Quarantined {
                    self.counters.see(Seen::Quarantined);
                }
                Answer::Claim(reply)
            }
            Request::Commit(commit, book) => {
                let stored = self.stored_fence(game);
                let (reply, publication) = self.store.model.commit(&id, commit, now_ms);
                for row in book.rows.iter() {
                    self.say(|| format!("    {row:?}"));
                }
                self.oracle.handle_commit(game, commit, book, &reply, stored, abandoned);
                self.see_commit(call, commit, &reply, abandoned);
                self.publish(publication);
                Answer::Commit(reply)
            }
            Request::Release(fence, release, message) => {
                let (_, publication) =
                    self.store.model.release(&id, *fence, release, message.clone(), now_ms);
                if publication.is_some() {
                    self.counters.see(Seen::Released);
                    self.say(|| format!("store: match {game} released by {fence}, {release:?}"));
                }
                self.publish(publication);
                Answer::Done
            }
            Request::Notify(fence, message) => {
                let (_, publication) = self.store.model.notify(&id, *fence, message.clone());
                self.publish(publication);
                Answer::Done
            }
            Request::Load => Answer::Loaded(self.store.model.load(&id)),
            Request::List(names) => {
                let listed = self.store.model.list(names).into_iter();
                let number = |id| self.ids.iter().position(|known| *known == id);
                Answer::Listed(listed.filter_map(|(id, stored)| Some((number(id)?, stored))).collect())
            }
        }
    }

    fn see_commit(&mut self, call: &Call, commit: &Commit, reply: &CommitReply, abandoned: bool) {
        let (game, tick) = (call.game, commit.tick);
        match reply {
            CommitReply::Ok => {
                self.counters.commits += 1;
                self.trace(u64::from(
                    commit
                        .message
                        .iter()
                        .fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte))),
                ));
                self.say(|| {
                    let whole = if commit.whole { ", whole" } else { "" };
                    format!("store: match {game} tick {tick} of {}{whole}", commit.fence)
                });
                if abandoned {
                    self.counters.see(Seen::AppliedLate);
                }
                if commit.whole {
                    self.counters.see(Seen::Repaired);
                }
                let prior = super::owner::has_prior(commit);
                let armed = (prior && self.disarm(game, Kind::CrashAtPrior))
                    || self.disarm(game, Kind::CrashAfterCommit);
                if armed && self.is_current(call.node, call.life) {
                    self.crash(call.node);
                }
            }
            CommitReply::DupSame => self.counters.see(Seen::DupSame),
            other => self.say(|| format!("store: match {game} tick {tick} of {}: {other:?}", commit.fence)),
        }
    }

    pub(super) fn stored_fence(&self, game: usize) -> Option<Fence> {
        let read = self.store.model.read(&self.ids[game], &[fields::EPOCH, fields::NONCE])?;
        fields::fence(&read)
    }

    fn publish(&mut self, publication: Option<Publication>) {
        let Some(Publication { id, message, .. }) = publication else { return };
        let game = self.ids.iter().position(|known| *known == id).expect("one of ours");
        self.broadcast(game, Channel::Diff, &message);
    }

    /// Sends a message to everybody who is subscribed now. A subscription delivers in order or says that it lost
    /// something; one that is deaf does neither.
    pub(super) fn broadcast(&mut self, game: usize, channel: Channel, message: &Bytes) {
        for node in 0..self.nodes.len() {
            let now_ms = self.now_ms;
            let member = &self.nodes[node];
            let subscription = &member.slots[game].subscriptions[channel as usize];
            if !member.up || !subscription.on || now_ms < member.cut_until_ms {
                continue;
            }
            if subscription.deaf {
                self.counters.hit(Kind::Deaf);
                continue;
            }
            self.deliver(node, game, channel, Delivery::Message(message.clone()));
        }
    }

    pub(super) fn deliver(&mut self, node: usize, game: usize, channel: Channel, delivery: Delivery) {
        let due_ms = self.now_ms + self.rng.random_range(1..12);
        let life = self.nodes[node].life;
        let subscription = &mut self.nodes[node].slots[game].subscriptions[channel as usize];
        subscription.due_ms = subscription.due_ms.max(due_ms);
        let (due_ms, since) = (subscription.due_ms, subscription.since);
        self.at(due_ms, Event::Deliver { node, life, game, channel, since, delivery });
    }

    pub(super) fn subscribe(&mut self, node: usize, game: usize, channel: Channel, on: bool) {
        let since = self.number();
        let subscription = &mut self.nodes[node].slots[game].subscriptions[channel as usize];
        (subscription.on, subscription.deaf, subscription.since) = (on, false, since);
    }
}
