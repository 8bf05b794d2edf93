//! One task per owned match: inputs in, a tick when it is due, one commit in flight.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tickcast_protocol::history::{Event, Owner};
use tickcast_protocol::{Fence, MatchId, NodeId, TickRate};
use tokio::sync::{mpsc, watch};

use crate::backplane::{Backplane, Commit, Delivery, Guarded, Release, Subscription, Unavailable, fields};
use crate::io::clock;
use crate::io::node::Node;
use crate::io::relay_task::Tap;
use crate::logic::channel::{self, Note, Upstream};
use crate::logic::orders::Order;
use crate::logic::ownership::{Answered, Commitment, Stop};
use crate::logic::pacing::{Begun, Pacer};
use crate::logic::simulation::{Counts, Produced, Simulation};
use crate::logic::tick_stats::TickMeter;
use crate::ops::inspector::journal::What;

/// How long an heir has to claim before anybody may.
const HEIR_GRACE: Duration = Duration::from_millis(500);
/// A tick that is not committed for this long counts as trouble with the store.
const TROUBLE_AFTER: Duration = Duration::from_secs(1);

/// Waits until something is said on this node during a rest.
async fn roused(tap: Option<&Tap>) {
    match tap {
        Some(tap) => tap.roused().await,
        None => std::future::pending().await,
    }
}

/// What a node tells a match that it owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchOrder {
    /// Give the match up, to this node or to whoever comes first.
    HandOver(Option<NodeId>),
}

/// One ownership, towards the store.
struct Ownership<B: Backplane> {
    node: Arc<Node<B>>,
    id: MatchId,
    fence: Fence,
    /// Who is to own the match next, once it is given up.
    heir: Option<NodeId>,
}

/// A match that this node runs.
pub struct Owned<B: Backplane> {
    ownership: Ownership<B>,
    simulation: Simulation,
    tick_rate: TickRate,
    pacer: Pacer,
    meter: TickMeter,
    /// What the node's metrics have of the simulation's counts.
    counted: Counts,
    /// Since when nobody plays.
    empty_since: Option<Instant>,
    /// What comes from relays on other nodes, and from this node's while it begins.
    inputs: Subscription,
    /// What comes from the relay on this node, if there is one.
    tap: Option<Tap>,
    /// What was taken from it.
    taken: Vec<Upstream>,
    /// Inputs were lost, and relays could not be told yet.
    loss_untold: bool,
    orders: mpsc::Receiver<MatchOrder>,
}

impl<B: Backplane> Owned<B> {
    /// A match that was claimed and restored.
    pub fn new(
        node: Arc<Node<B>>,
        id: MatchId,
        simulation: Simulation,
        tick_rate: TickRate,
        inputs: Subscription,
        orders: mpsc::Receiver<MatchOrder>,
    ) -> Owned<B> {
        let fence = simulation.position().fence;
        let now = clock::now();
        let pacer = Pacer::new(now, tick_rate, &node.beat);
        Owned {
            ownership: Ownership { node, id, fence, heir: None },
            simulation,
            tick_rate,
            pacer,
            meter: TickMeter::new(tick_rate.hz()),
            counted: Counts::default(),
            empty_since: Some(now),
            inputs,
            tap: None,
            taken: Vec::new(),
            loss_untold: false,
            orders,
        }
    }

    /// Runs the match until it ends or is another's.
    pub async fn run(mut self) {
        let mut stopping = self.ownership.node.stopping();
        let (id, fence) = (self.ownership.id.clone(), self.ownership.fence);
        tracing::info!(%id, %fence, tick = %self.simulation.position().tick, "match owned");
        let stop = self.ticks(&mut stopping).await;
        self.tap = None;
        // From here on the match may be claimed again, by this node too.
        self.ownership.node.owned.remove(&id);
        let goes_on = self.simulation.players() > 0 || self.ownership.heir.is_some();
        let (released, how): (bool, fn(Owner) -> Event) = match stop {
            Stop::Released if goes_on => (self.ownership.release(true).await, Event::Released),
            Stop::Released | Stop::Empty => (self.ownership.end().await, Event::Ended),
            Stop::Panicked => (self.ownership.release(false).await, Event::Released),
            Stop::Fenced | Stop::NoMatch | Stop::Disagreement => (true, Event::Fenced),
        };
        self.ownership.node.record(&id, || how(fence.into()));
        match (stop, &self.ownership.heir) {
            (Stop::Fenced, _) => {
                self.ownership.node.note(&id, What::Fenced, format!("its ownership was {fence}"))
            }
            (Stop::Released, Some(heir)) => {
                self.ownership.node.note(&id, What::HandedOver, format!("to {heir}"));
            }
            _ => {}
        }
        if stop == Stop::Disagreement {
            tracing::error!(%id, %fence, "match given up: the store disagrees about its last tick");
        }
        tracing::info!(%id, %fence, ?stop, heir = ?self.ownership.heir, released, "match no longer owned");
    }

    async fn ticks(&mut self, stopping: &mut watch::Receiver<bool>) -> Stop {
        loop {
            let went = tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.pacer.due().into()) => self.handle_due(stopping).await,
                () = roused(self.tap.as_ref()), if self.pacer.is_resting() => self.catch_up(stopping).await,
                order = self.orders.recv() => self.handle_order(order, stopping).await,
                delivery = self.inputs.recv() => self.handle_delivery(delivery, stopping).await,
                _ = stopping.changed() => self.catch_up(stopping).await.and(Err(Stop::Released)),
            };
            if let Err(stop) = went {
                return stop;
            }
        }
    }

    async fn handle_due(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), Stop> {
        self.catch_up(stopping).await?;
        self.tick(stopping).await
    }

    /// Makes the tick that is due, or of those that have waited the first.
    async fn tick(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), Stop> {
        let begun = clock::now();
        let begins = self.pacer.handle_tick(begun);
        match begins {
            // What was said since it was due is for a later one.
            Begun::Late => self.ownership.node.metrics.ticks_waited.add(1),
            Begun::Due { skipped } => {
                self.ownership.node.metrics.ticks_skipped.add(skipped);
                self.meter.handle_overruns(skipped);
                self.simulation.warm();
                self.take_local();
            }
        }
        let mut produced = self.make_tick().ok_or(Stop::Panicked)?;
        let made = clock::now();
        if let Some(tap) = &self.tap {
            tap.vouch(&produced.commit.message, || self.simulation.replica());
        }
        let bytes = produced.commit.message.len();
        self.add_stats(&mut produced.commit);
        self.commit(produced, stopping).await?;
        self.meter.handle_tick(made - begun, clock::now() - made, bytes);
        self.measure(begun, made);
        if self.is_abandoned() {
            return Err(Stop::Empty);
        }
        if begins != Begun::Late {
            self.rest();
        }
        Ok(())
    }

    /// Lets ticks wait in which nothing is to happen, if nothing was said meanwhile.
    fn rest(&mut self) {
        let ticks = self.simulation.ticks_to_wait();
        if ticks > 0 && self.tap.as_ref().is_none_or(Tap::rest) {
            self.pacer.rest(ticks);
        }
    }

    /// Makes the ticks that have waited and were due before what comes now.
    async fn catch_up(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), Stop> {
        self.pacer.rouse(clock::now());
        while self.pacer.is_behind() {
            self.tick(stopping).await?;
        }
        Ok(())
    }

    async fn handle_order(
        &mut self,
        order: Option<MatchOrder>,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Stop> {
        self.catch_up(stopping).await?;
        if let Some(MatchOrder::HandOver(heir)) = order {
            self.ownership.heir = heir;
        }
        Err(Stop::Released)
    }

    async fn handle_delivery(
        &mut self,
        delivery: Option<Delivery>,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Stop> {
        self.catch_up(stopping).await?;
        match delivery {
            Some(Delivery::Message(message)) => self.handle_message(&message),
            Some(Delivery::Lost) => self.handle_loss().await,
            None => return Err(Stop::Released),
        }
        Ok(())
    }

    /// Makes a tick; `None` if the game panicked over it. Then nothing of it was committed, and the next owner
    /// goes on from the tick before.
    fn make_tick(&mut self) -> Option<Produced> {
        let sent_ms = clock::unix_ms();
        let made = catch_unwind(AssertUnwindSafe(|| self.simulation.handle_tick(sent_ms)));
        if made.is_err() {
            let Ownership { node, id, .. } = &self.ownership;
            let tick = self.simulation.position().tick.next();
            node.metrics.match_panics.add(1);
            node.note(id, What::Panicked, format!("over tick {tick}"));
            tracing::error!(%id, %tick, "the game panicked");
        }
        made.ok()
    }

    /// Once a second the hash tells how the ticks go, for whoever looks at the match from anywhere.
    fn add_stats(&self, commit: &mut Commit) {
        if commit.tick.0.is_multiple_of(u64::from(self.tick_rate.hz()))
            && let Some(stats) = self.meter.stats()
        {
            commit.set.push((fields::STATS.into(), stats.to_text().into()));
        }
    }

    /// Takes what this node's own players have said since the last tick.
    fn take_local(&mut self) {
        if self.tap.as_ref().is_none_or(Tap::is_closed) {
            let Ownership { node, id, .. } = &self.ownership;
            let uplink = node.uplinks.get(id).map(|uplink| Arc::clone(&uplink));
            self.tap = uplink.map(Tap::new);
        }
        if let Some(tap) = &self.tap {
            tap.take(&mut self.taken);
            self.taken.drain(..).for_each(|upstream| self.simulation.handle_upstream(upstream));
        }
    }

    fn handle_message(&mut self, message: &[u8]) {
        match channel::parse_upstream(message) {
            Ok(batch) => batch.into_iter().for_each(|upstream| self.simulation.handle_upstream(upstream)),
            Err(_) => self.ownership.node.metrics.foreign_messages.add(1),
        }
    }

    fn is_abandoned(&mut self) -> bool {
        if self.simulation.players() > 0 {
            self.empty_since = None;
            return false;
        }
        let now = clock::now();
        let since = *self.empty_since.get_or_insert(now);
        since + self.ownership.node.settings.empty_after <= now
    }

    fn measure(&mut self, begun: Instant, made: Instant) {
        let metrics = &self.ownership.node.metrics;
        metrics.ticks.add(1);
        metrics.step_us.add((made - begun).as_micros() as u64);
        metrics.commit_us.add((clock::now() - made).as_micros() as u64);
        let (counts, counted) = (self.simulation.counts(), &mut self.counted);
        metrics.inputs_applied.add(counts.inputs_applied - counted.inputs_applied);
        metrics.inputs_dropped.add(counts.inputs_dropped - counted.inputs_dropped);
        metrics.priors.add(counts.priors - counted.priors);
        metrics.chat_lines.add(counts.chat_lines - counted.chat_lines);
        *counted = counts;
    }

    async fn commit(&mut self, produced: Produced, stopping: &mut watch::Receiver<bool>) -> Result<(), Stop> {
        let Produced { commit, notes, applied } = produced;
        let Ownership { node, id, fence, .. } = &self.ownership;
        let (fence, tick) = ((*fence).into(), commit.tick);
        let world = self.simulation.world();
        node.record(id, || Event::Committing { fence, tick, hash: world.hash(), inputs: applied });
        let committed = self.commit_until_known(commit, stopping).await;
        let Ownership { node, id, .. } = &self.ownership;
        node.health.handle_committed(id);
        committed?;
        node.record(id, || Event::Committed { fence, tick });
        for note in &notes {
            // A relay that misses it asks again, and is told again.
            let _ = self.ownership.notify(note).await;
        }
        if self.loss_untold {
            self.tell_loss().await;
        }
        Ok(())
    }

    /// Inputs were lost on their way: clients are asked for those that are not acknowledged. Joins, and players
    /// who are back, are repeated by relays anyway.
    async fn handle_loss(&mut self) {
        self.ownership.node.metrics.inputs_lost.add(1);
        self.tell_loss().await;
    }

    /// Says that inputs were lost; what is not answered is said again behind the next tick.
    async fn tell_loss(&mut self) {
        self.loss_untold = self.ownership.notify(&Note::InputsLost).await.is_err();
    }

    /// Repeats the very same commit until the store has answered: a tick is never computed anew.
    async fn commit_until_known(
        &mut self,
        mut commit: Commit,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), Stop> {
        let Ownership { node, id, fence, .. } = &self.ownership;
        let since = clock::now();
        let mut commitment = Commitment::default();
        loop {
            let reply = node.backplane.commit(id, &commit).await;
            let pause = match commitment.handle_reply(&reply) {
                Answered::Committed => return Ok(()),
                Answered::Stop(stop) => {
                    node.metrics.fenced.add(u64::from(stop == Stop::Fenced));
                    return Err(stop);
                }
                Answered::Repair(stored) => {
                    node.metrics.repairs.add(1);
                    node.record(id, || Event::Repaired {
                        fence: (*fence).into(),
                        from: stored,
                        to: commit.tick,
                    });
                    node.note(id, What::Repaired, format!("from tick {stored} to {}", commit.tick));
                    tracing::warn!(%id, tick = %commit.tick, %stored, "the store lost ticks, writing them back");
                    commit = self.simulation.repair(&commit);
                    continue;
                }
                Answered::Repeat(pause) => pause,
            };
            commit.again = true;
            node.metrics.commits_unknown.add(1);
            if let Err(error) = &reply {
                tracing::warn!(%id, tick = %commit.tick, %error, "commit not answered, repeating");
            }
            if clock::now() >= since + TROUBLE_AFTER {
                node.health.handle_uncommitted(id);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Also where that was known before: ticks that have waited are made then, if the store takes them.
                _ = stopping.wait_for(|stopping| *stopping) => return Err(Stop::Released),
            }
        }
    }
}

impl<B: Backplane> Ownership<B> {
    async fn notify(&self, note: &Note) -> Result<Guarded, Unavailable> {
        self.node.backplane.notify(&self.id, self.fence, channel::encode_note(note)).await
    }

    /// Gives the match up, and tells the heir.
    async fn release(&self, clean: bool) -> bool {
        let release = Release { heir: self.heir.clone(), grace: HEIR_GRACE, clean };
        let message = channel::encode_note(&Note::Released);
        let released = self.node.backplane.release(&self.id, self.fence, &release, message).await.is_ok();
        if let Some(heir) = &self.heir {
            self.node.metrics.handovers.add(1);
            self.node.order(heir, &Order::Take { id: self.id.clone() }).await;
        }
        released
    }

    async fn end(&self) -> bool {
        self.node.backplane.end(&self.id, self.fence, channel::encode_note(&Note::Ended)).await.is_ok()
    }
}
