//! One task per owned match: inputs in, a tick when it is due, one commit in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tickcast_protocol::{Fence, MatchId, TickRate};
use tokio::sync::watch;

use crate::backplane::{Backplane, Commit, CommitReply, Delivery, Subscription};
use crate::io::clock;
use crate::io::node::Node;
use crate::logic::channel::{self, Note};
use crate::logic::pacing::Pacer;
use crate::logic::simulation::{Counts, Produced, Simulation};

/// First and longest pause before an unanswered commit is repeated.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_millis(500);

/// Why a match task stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Another node owns the match now.
    Fenced,
    /// The match is gone.
    NoMatch,
    /// The store and this owner disagree about what was committed.
    Disagreement,
    /// The node stops.
    Shutdown,
    /// Nobody plays any more.
    Empty,
}

/// One ownership, towards the store.
struct Ownership<B: Backplane> {
    node: Arc<Node<B>>,
    id: MatchId,
    fence: Fence,
}

/// A match that this node runs.
pub struct Owned<B: Backplane> {
    ownership: Ownership<B>,
    simulation: Simulation,
    tick_rate: TickRate,
    inputs: Subscription,
}

impl<B: Backplane> Owned<B> {
    /// A match that was claimed and restored.
    pub fn new(
        node: Arc<Node<B>>,
        id: MatchId,
        simulation: Simulation,
        tick_rate: TickRate,
        inputs: Subscription,
    ) -> Owned<B> {
        let fence = simulation.position().fence;
        Owned { ownership: Ownership { node, id, fence }, simulation, tick_rate, inputs }
    }
    /// Runs the match until it ends or is another's.
    pub async fn run(mut self) {
        let mut stopping = self.ownership.node.stopping();
        let (id, fence) = (self.ownership.id.clone(), self.ownership.fence);
        tracing::info!(%id, %fence, tick = %self.simulation.position().tick, "match owned");
        let stop = self.ticks(&mut stopping).await;
        let released = match stop {
            Stop::Shutdown if self.simulation.players() > 0 => self.ownership.release().await,
            Stop::Shutdown | Stop::Empty => self.ownership.end().await,
            Stop::Fenced | Stop::NoMatch | Stop::Disagreement => true,
        };
        if stop == Stop::Disagreement {
            tracing::error!(%id, %fence, "match given up: the store disagrees about its last tick");
        }
        tracing::info!(%id, %fence, ?stop, released, "match no longer owned");
        self.ownership.node.owned.remove(&id);
    }

    async fn ticks(&mut self, stopping: &mut watch::Receiver<bool>) -> Stop {
        let mut pacer = Pacer::new(clock::now(), self.tick_rate, &self.ownership.id);
        let mut empty_since = Some(clock::now());
        let mut counted = Counts::default();
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(pacer.due().into()) => {
                    let begun = clock::now();
                    self.ownership.node.metrics.ticks_skipped.add(pacer.handle_tick(begun));
                    let produced = self.simulation.handle_tick(clock::unix_ms());
                    let made = clock::now();
                    if let Err(stop) = self.ownership.commit(produced, stopping).await {
                        return stop;
                    }
                    self.measure(begun, made, &mut counted);
                    if self.is_abandoned(&mut empty_since) {
                        return Stop::Empty;
                    }
                }
                delivery = self.inputs.recv() => match delivery {
                    Some(Delivery::Message(message)) => self.handle_message(&message),
                    // Joins are repeated by relays; lost inputs are lost, as on any network.
                    Some(Delivery::Lost) => self.ownership.node.metrics.inputs_lost.add(1),
                    None => return Stop::Shutdown,
                },
                _ = stopping.changed() => return Stop::Shutdown,
            }
        }
    }

    fn handle_message(&mut self, message: &[u8]) {
        match channel::parse_upstream(message) {
            Ok(batch) => batch.into_iter().for_each(|upstream| self.simulation.handle_upstream(upstream)),
            Err(_) => self.ownership.node.metrics.foreign_messages.add(1),
        }
    }

    fn is_abandoned(&self, empty_since: &mut Option<Instant>) -> bool {
        if self.simulation.players() > 0 {
            *empty_since = None;
            return false;
        }
        let now = clock::now();
        let since = *empty_since.get_or_insert(now);
        since + self.ownership.node.settings.empty_after <= now
    }

    fn measure(&self, begun: Instant, made: Instant, counted: &mut Counts) {
        let metrics = &self.ownership.node.metrics;
        metrics.ticks.add(1);
        metrics.step_us.add((made - begun).as_micros() as u64);
        metrics.commit_us.add((clock::now() - made).as_micros() as u64);
        let counts = self.simulation.counts();
        metrics.inputs_applied.add(counts.inputs_applied - counted.inputs_applied);
        metrics.inputs_dropped.add(counts.inputs_dropped - counted.inputs_dropped);
        metrics.priors.add(counts.priors - counted.priors);
        *counted = counts;
    }
}

impl<B: Backplane> Ownership<B> {
    async fn commit(&self, produced: Produced, stopping: &mut watch::Receiver<bool>) -> Result<(), Stop> {
        self.commit_until_known(&produced.commit, stopping).await?;
        for note in &produced.notes {
            let message = channel::encode_note(note);
            // A relay that misses it asks again, and is told again.
            let _ = self.node.backplane.notify(&self.id, self.fence, message).await;
        }
        Ok(())
    }

    /// Repeats the very same commit until the store has answered: a tick is never computed anew.
    async fn commit_until_known(
        &self,
        commit: &Commit,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Stop> {
        let mut pause = RETRY_MIN;
        loop {
            match self.node.backplane.commit(&self.id, commit).await {
                Ok(CommitReply::Ok | CommitReply::DupSame) => return Ok(()),
                Ok(CommitReply::Fenced) => {
                    self.node.metrics.fenced.add(1);
                    return Err(Stop::Fenced);
                }
                Ok(CommitReply::NoMatch) => return Err(Stop::NoMatch),
                Ok(CommitReply::DupDiff | CommitReply::Behind(_) | CommitReply::Stale(_)) => {
                    return Err(Stop::Disagreement);
                }
                Err(error) => {
                    self.node.metrics.commits_unknown.add(1);
                    tracing::warn!(id = %self.id, tick = %commit.tick, %error, "commit not answered, repeating");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
                _ = stopping.changed() => return Err(Stop::Shutdown),
            }
        }
    }

    async fn release(&self) -> bool {
        let released = self.node.backplane.release(&self.id, self.fence).await.is_ok();
        let _ = self.node.backplane.notify(&self.id, self.fence, channel::encode_note(&Note::Released)).await;
        released
    }

    async fn end(&self) -> bool {
        self.node.backplane.end(&self.id, self.fence, channel::encode_note(&Note::Ended)).await.is_ok()
    }
}
