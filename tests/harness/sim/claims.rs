//! The imitated shell of a claim: looks, subscribes to inputs, asks, restores, starts the owner.

use std::time::Duration;

use rand::RngExt;
use tickcast_protocol::Nonce;
use tickcast_server::backplane::{Channel, Claim, ClaimReply, MatchFields, fields};
use tickcast_server::logic::rest;
use tickcast_server::logic::simulation::{Simulation, Writing};
use tickcast_server::logic::stored;

use super::cluster::{Cluster, Event};
use super::counters::Seen;
use super::ledger::Ledger;
use super::nodes::{Slot, Tenure};
use super::owner::{Next, Owner};
use super::relay::Work;
use super::settings::{LEASE, QUIET, RESUME_WINDOW};
use super::store::{Answer, Call, Request};

const CLAIM_TRIES: u32 = 3;
const CLAIM_PAUSE_MS: u64 = 50;

/// Who wants a match to be owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Relay,
    Sweep,
    Order,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claimed {
    Ours,
    Held(Duration),
    Deferred,
    Unavailable,
    NoMatch,
    Quarantined,
}

impl Cluster {
    pub(super) fn own(&mut self, node: usize, game: usize, by: By) {
        if self.nodes[node].leaving {
            return self.tell_claimed(node, game, by, Claimed::Deferred);
        }
        let slot = &mut self.nodes[node].slots[game];
        if !matches!(slot.tenure, Tenure::None) {
            return self.tell_claimed(node, game, by, Claimed::Ours);
        }
        slot.tenure = Tenure::Claiming(Vec::new());
        self.call(node, game, Request::Load, Next::ClaimLook { by });
    }

    /// A look at a match that might be claimed was answered.
    pub(super) fn handle_claim_look(&mut self, node: usize, game: usize, by: By, answer: Answer) {
        let stored = match answer {
            Answer::Loaded(Some(stored)) => stored,
            Answer::Loaded(None) => return self.end_claim(node, game, by, Claimed::NoMatch),
            _ => return self.end_claim(node, game, by, Claimed::Unavailable),
        };
        if fields::text(&stored, fields::STATUS) == Some(fields::QUARANTINED) {
            return self.end_claim(node, game, by, Claimed::Quarantined);
        }
        self.subscribe(node, game, Channel::Input, true);
        let claim = Claim {
            node: self.nodes[node].id.clone(),
            nonce: Nonce(self.rng.random()),
            unanswered: Vec::new(),
            lease: LEASE,
            crashes_max: self.plan.crashes_max,
        };
        let heir = fields::text(&stored, fields::HEIR) == Some(claim.node.as_str());
        self.call(node, game, Request::Claim(claim), Next::Claim { by, tries: 1, heir });
    }

    /// A claim was answered, or not.
    pub(super) fn handle_claim(&mut self, call: Call, by: By, tries: u32, heir: bool, answer: Answer) {
        let (node, game) = (call.node, call.game);
        match answer {
            Answer::Claim(ClaimReply::Claimed { fence, fields }) => {
                if by == By::Sweep {
                    self.counters.see(Seen::Swept);
                }
                if heir {
                    self.counters.see(Seen::HeirClaimed);
                }
                self.say(|| format!("n{node}: owns match {game} as {fence}, asked by {by:?}"));
                self.start_owner(node, game, &fields);
                self.tell_claimed(node, game, by, Claimed::Ours);
            }
            Answer::Claim(ClaimReply::Held { left }) => self.end_claim(node, game, by, Claimed::Held(left)),
            Answer::Claim(ClaimReply::Quarantined) => self.end_claim(node, game, by, Claimed::Quarantined),
            Answer::Claim(ClaimReply::NoMatch) => self.end_claim(node, game, by, Claimed::NoMatch),
            // If the try was granted and only the answer was lost, its nonce tells.
            _ if tries < CLAIM_TRIES => {
                let mut call = call;
                if let Request::Claim(claim) = &mut call.request {
                    claim.unanswered.push(claim.nonce);
                    claim.nonce = Nonce(self.rng.random());
                }
                let call = Call { then: Next::Claim { by, tries: tries + 1, heir }, ..call };
                self.at(self.now_ms + CLAIM_PAUSE_MS, Event::ClaimAgain { call });
            }
            _ => self.end_claim(node, game, by, Claimed::Unavailable),
        }
    }

    fn end_claim(&mut self, node: usize, game: usize, by: By, claimed: Claimed) {
        self.subscribe(node, game, Channel::Input, false);
        self.nodes[node].slots[game].tenure = Tenure::None;
        self.tell_claimed(node, game, by, claimed);
    }

    fn tell_claimed(&mut self, node: usize, game: usize, by: By, claimed: Claimed) {
        if by == By::Relay {
            self.relay_work(node, game, Work::Claimed(claimed));
        }
    }

    fn start_owner(&mut self, node: usize, game: usize, stored: &MatchFields) {
        let restored = match stored::restore(stored) {
            Ok(restored) => restored,
            Err(error) => {
                return self.oracle.fail(format!("match {game} was claimed and is not readable: {error}"));
            }
        };
        let writing = Writing {
            snapshot_every: 10,
            hash_every: 4,
            lease: LEASE,
            resume_window: RESUME_WINDOW,
            rewind: Duration::ZERO,
            rests: rest::is_allowed(QUIET, LEASE),
        };
        if fields::text(stored, fields::COMMITTED_MS).is_some() {
            self.counters.see(Seen::Takeover);
        }
        let rate = restored.stored.tick_rate;
        let (number, now) = (self.number(), self.now());
        let simulation = Simulation::new(Box::new(Ledger::of(&self.plan)), restored, writing);
        let Slot { tenure, .. } = &mut self.nodes[node].slots[game];
        let Tenure::Claiming(inbox) = std::mem::replace(tenure, Tenure::None) else {
            return self.oracle.fail("an owner was started twice".to_owned());
        };
        let owner = Owner::new(number, simulation, now, rate, &self.nodes[node].beat, inbox);
        self.nodes[node].slots[game].tenure = Tenure::Owner(Box::new(owner));
        self.owner_turn(node, game);
    }
}
