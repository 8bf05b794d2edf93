//! How a node comes to own a match: it looks whether it can host it, asks the store, restores the state, and
//! starts the task that runs it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tickcast_protocol::history::Event;
use tickcast_protocol::{CloseCode, Fence, MatchId, Nonce, Schema, TickRate};
use tokio::sync::mpsc;

use crate::backplane::fields::{self, VERSION_WRITTEN};
use crate::backplane::{
    Backplane, Channel, Claim, ClaimReply, MatchFields, Release, Subscription, Unavailable,
};
use crate::io::clock;
use crate::io::match_task::{MatchOrder, Owned};
use crate::io::node::{Node, Refusal};
use crate::logic::channel::{self, Note};
use crate::logic::rest;
use crate::logic::simulation::{Simulation, Writing};
use crate::logic::stored::{self, StoredError};

/// How often a claim that was not answered is repeated before it is given up.
const CLAIM_TRIES: u32 = 3;
/// Pause before such a repetition.
const CLAIM_PAUSE: Duration = Duration::from_millis(50);
/// Orders that wait for a match.
const ORDERS_QUEUED_MAX: usize = 4;

/// What became of the wish to own a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// This node owns it, or is just about to.
    Ours,
    /// Another node does, for at least this long.
    Held(Duration),
    /// Not now: this node is leaving, or has claimed a lot just now.
    Deferred,
    /// The store did not answer.
    Unavailable(Unavailable),
    /// It cannot be owned here, or at all.
    Refused(Refusal),
}

impl<B: Backplane> Node<B> {
    /// Claims a match and runs it here, if its lease has expired or this node is its heir.
    pub async fn own(self: &Arc<Self>, id: &MatchId) -> Claimed {
        if self.is_leaving() {
            return Claimed::Deferred;
        }
        let (orders, inbox) = mpsc::channel(ORDERS_QUEUED_MAX);
        match self.owned.entry(id.clone()) {
            dashmap::Entry::Occupied(_) => return Claimed::Ours,
            dashmap::Entry::Vacant(vacant) => drop(vacant.insert(orders)),
        }
        let claimed = self.claim(id, inbox).await;
        if claimed != Claimed::Ours {
            self.owned.remove(id);
        }
        claimed
    }

    async fn claim(self: &Arc<Self>, id: &MatchId, inbox: mpsc::Receiver<MatchOrder>) -> Claimed {
        if self.owned.len() > self.settings.matches_max || !self.take_claim() {
            self.metrics.claims_deferred.add(1);
            return Claimed::Deferred;
        }
        match self.backplane.read(id, &HOSTING).await {
            Err(error) => return Claimed::Unavailable(error),
            Ok(None) => return Claimed::Refused(Refusal::no_such_match()),
            Ok(Some(stored)) => {
                if let Err(refusal) = self.check_hosting(&stored) {
                    self.metrics.claims_unfit.add(1);
                    return Claimed::Refused(refusal);
                }
            }
        }
        // Inputs sent from now on arrive, also those sent before the claim is answered.
        let inputs = match self.backplane.subscribe(id, Channel::Input).await {
            Ok(inputs) => inputs,
            Err(error) => return Claimed::Unavailable(error),
        };
        match self.claim_until_known(id).await {
            Ok(ClaimReply::Claimed { fence, fields }) => self.start(id, fence, fields, inputs, inbox).await,
            Ok(ClaimReply::Held { left }) => Claimed::Held(left),
            Ok(ClaimReply::Quarantined) => {
                tracing::error!(%id, "match quarantined: its ownerships failed one after another, see above for why");
                Claimed::Refused(Refusal::quarantined())
            }
            Ok(ClaimReply::NoMatch) => Claimed::Refused(Refusal::no_such_match()),
            Err(error) => Claimed::Unavailable(error),
        }
    }

    /// Tries again what is not answered. A try that was granted and whose answer was lost is known by its nonce.
    async fn claim_until_known(&self, id: &MatchId) -> Result<ClaimReply, Unavailable> {
        let mut claim = Claim {
            node: self.settings.node.clone(),
            nonce: Nonce(rand::random()),
            unanswered: Vec::new(),
            lease: self.settings.lease,
            crashes_max: self.settings.crashes_max,
        };
        let mut reply = self.backplane.claim(id, claim.clone()).await;
        for _ in 1..CLAIM_TRIES {
            if reply.is_ok() {
                break;
            }
            tokio::time::sleep(CLAIM_PAUSE).await;
            claim.unanswered.push(claim.nonce);
            claim.nonce = Nonce(rand::random());
            reply = self.backplane.claim(id, claim.clone()).await;
        }
        reply
    }

    /// A match of another version, of a game that is another one here, or of another key, is left to nodes that know it. Fields
    /// that make no sense are no reason: such a match is claimed, fails, and is quarantined in the end.
    fn check_hosting(&self, stored: &MatchFields) -> Result<(), Refusal> {
        let refuse = |text: String| Err(Refusal::new(CloseCode::Internal, &text));
        if fields::text(stored, fields::STATUS) == Some(fields::QUARANTINED) {
            return Err(Refusal::quarantined());
        }
        match stored::believe(stored) {
            Ok(()) => {}
            Err(StoredError::UnknownKey) => return refuse(StoredError::UnknownKey.to_string()),
            Err(_) => return Ok(()),
        }
        if let Some(version) = fields::number(stored, fields::VERSION).filter(|it| *it != VERSION_WRITTEN) {
            return refuse(StoredError::Version(version).to_string());
        }
        let Some(name) = fields::text(stored, fields::GAME) else { return Ok(()) };
        let Some((_, game)) = self.games.find(name) else {
            return refuse(format!("this node does not know the game `{name}`"));
        };
        let options = fields::text(stored, fields::OPTIONS).and_then(|text| serde_json::from_str(text).ok());
        let Some(Ok(info)) = options.map(|options| game.info(&options)) else { return Ok(()) };
        let schema = fields::text(stored, fields::SCHEMA).map(Schema::from_json);
        if schema.is_some_and(|schema| schema.is_ok_and(|schema| schema.hash() != info.schema.hash())) {
            return refuse("the match is of another version of its game".to_owned());
        }
        Ok(())
    }

    async fn start(
        self: &Arc<Self>,
        id: &MatchId,
        fence: Fence,
        stored: MatchFields,
        inputs: Subscription,
        inbox: mpsc::Receiver<MatchOrder>,
    ) -> Claimed {
        // Whatever the fields hold, and whatever the game makes of them, ends this attempt and nothing else.
        let restored = catch_unwind(AssertUnwindSafe(|| self.restore(&stored)));
        let restored = restored.unwrap_or_else(|_| Err("the game panicked over its stored state".to_owned()));
        match restored {
            Ok((simulation, tick_rate)) => {
                let taken_over = fields::text(&stored, fields::COMMITTED_MS).is_some();
                self.metrics.takeovers.add(u64::from(taken_over));
                let (tick, hash) = (simulation.position().tick, simulation.world().hash());
                self.record(id, || Event::Claimed { fence: fence.into(), tick, hash });
                let owned = Owned::new(Arc::clone(self), id.clone(), simulation, tick_rate, inputs, inbox);
                self.tasks.spawn(owned.run());
                Claimed::Ours
            }
            Err(text) => {
                self.metrics.claims_failed.add(1);
                tracing::error!(%id, %fence, text, "match claimed and not usable, given up again");
                let failed = Release { heir: None, grace: Duration::ZERO, clean: false };
                let message = channel::encode_note(&Note::Released);
                let _ = self.backplane.release(id, fence, &failed, message).await;
                Claimed::Refused(Refusal::new(CloseCode::Internal, &text))
            }
        }
    }

    fn restore(&self, stored: &MatchFields) -> Result<(Simulation, TickRate), String> {
        let restored = stored::restore(stored).map_err(|error| error.to_string())?;
        let game = self.games.find(&restored.stored.game).ok_or("unknown game")?.1;
        game.info(&restored.stored.options).map_err(|bad| bad.0)?;
        let tick_rate = restored.stored.tick_rate;
        let writing = Writing {
            snapshot_every: self.snapshot_every(tick_rate.hz()),
            hash_every: self.settings.hash_every,
            lease: self.settings.lease,
            resume_window: self.settings.resume_window,
            rewind: self.settings.rewind,
            rests: rest::is_allowed(self.settings.quiet, self.settings.lease),
        };
        let game = game.create(&restored.stored.options);
        let mut simulation = Simulation::new(game, restored, writing);
        simulation.recall(stored).map_err(|error| error.to_string())?;
        Ok((simulation, tick_rate))
    }

    /// Whether the node may claim one match more now: many at once, after many nodes died, are spread.
    fn take_claim(&self) -> bool {
        self.claims.lock().is_ok_and(|mut claims| claims.take(clock::now()))
    }
}

/// The fields that tell whether a match can be hosted.
const HOSTING: [&str; 6] =
    [fields::MAC, fields::VERSION, fields::STATUS, fields::GAME, fields::OPTIONS, fields::SCHEMA];
