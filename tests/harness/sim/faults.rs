//! What each fault of the plan does, and how everything is made whole at the end.

use bytes::Bytes;
use rand::RngExt;
use tickcast_protocol::{Epoch, Fence, Nonce, Position, Tick, frame};
use tickcast_server::backplane::store::Store;
use tickcast_server::backplane::{Channel, fields};
use tickcast_server::logic::channel;

use super::cluster::{Cluster, Event};
use super::plan::{Fault, Kind};
use super::settings::{FAULTY_MS, NODES};

/// Ticks that a failover takes back, as time.
const LAG_MS_MAX: u64 = 1_500;
/// Faults beside which a living owner may be late to write back what a failover took.
const HINDERS_OWNERS: &[Kind] = &[
    Kind::CommitUnanswered,
    Kind::CommitUndelivered,
    Kind::Late,
    Kind::Stall,
    Kind::Refuse,
    Kind::ClockAhead,
    Kind::Pause,
    Kind::Wipe,
];

impl Cluster {
    pub(super) fn plan_faults(&mut self) {
        for (number, fault) in self.plan.faults.clone().into_iter().enumerate() {
            self.at(fault.at_ms, Event::Fault { fault: number });
            if matches!(fault.kind, Kind::Failover | Kind::FailoverDead) {
                let lag_ms = fault.ms.min(LAG_MS_MAX);
                self.at(fault.at_ms.saturating_sub(lag_ms), Event::Copy { fault: number });
            }
        }
    }

    pub(super) fn handle_fault(&mut self, number: usize) {
        let fault = self.plan.faults[number];
        self.say(|| format!("FAULT {fault}"));
        let Fault { kind, node, game, client, ms, percent, .. } = fault;
        match kind {
            Kind::CommitUnanswered
            | Kind::CommitUndelivered
            | Kind::ReadUnanswered
            | Kind::Late
            | Kind::InputsUndelivered
            | Kind::InputsTwice => self.open_window(kind, ms, percent),
            Kind::Refuse => self.open_window(kind, ms, 100),
            // Claims and releases are few.
            Kind::ClaimUnanswered | Kind::ClaimUndelivered => self.open_window(kind, FAULTY_MS, percent),
            Kind::ReleaseUnanswered | Kind::ReleaseUndelivered | Kind::OrderLost => {
                self.open_window(kind, FAULTY_MS, percent.max(60));
                self.hand_over(game);
            }
            Kind::Stall => {
                self.store.stalled_until_ms = self.now_ms + ms;
                // Connections that answer nothing for long are given up.
                if percent > 60 {
                    (0..NODES).for_each(|node| self.cut(node, ms + 50));
                }
            }
            Kind::Failover | Kind::FailoverDead => self.fail_over(number, fault),
            Kind::Wipe => self.wipe(),
            Kind::Flush => self.flush(game),
            Kind::ClockAhead => {
                self.counters.hit(kind);
                self.store.clock_ms += 2 * ms as i64;
            }
            Kind::ClockBack => {
                self.counters.hit(kind);
                self.store.clock_ms -= ms as i64;
            }
            Kind::Garbage => self.babble(game),
            Kind::UnknownFence => self.pretend(game),
            Kind::Cut => {
                self.counters.hit(kind);
                self.cut(node, ms / 4);
            }
            Kind::Deaf => {
                let subscription = &mut self.nodes[node].slots[game].subscriptions[Channel::Diff as usize];
                subscription.deaf = subscription.on;
            }
            Kind::Crash => self.crash_if_up(node),
            Kind::CrashAll => (0..NODES).for_each(|node| self.crash_by(kind, node)),
            Kind::CrashBeforeCommit | Kind::CrashAfterCommit | Kind::CrashAtPrior | Kind::Panic => {
                self.armed.insert((game, kind));
            }
            Kind::Pause => {
                self.counters.hit(kind);
                // Mostly the owner: others are hardly missed.
                let node = self.owner_of(game).filter(|_| percent > 40).unwrap_or(node);
                self.pause(node, ms);
            }
            Kind::Drain => self.begin_drain(node),
            Kind::HandOver => self.hand_over(game),
            Kind::Poison => {
                self.poisoned.insert(game);
            }
            Kind::SlowReader | Kind::Break | Kind::HalfOpen => self.disturb_client(client, kind, ms),
        }
    }

    fn open_window(&mut self, kind: Kind, ms: u64, percent: u32) {
        self.windows.insert(kind, (self.now_ms + ms, percent));
    }

    fn crash_if_up(&mut self, node: usize) {
        self.crash_by(Kind::Crash, node);
    }

    fn crash_by(&mut self, kind: Kind, node: usize) {
        if self.nodes[node].up {
            self.counters.hit(kind);
            self.crash(node);
        }
    }

    /// A replica that lags takes over: what it did not have yet never happened.
    fn fail_over(&mut self, number: usize, fault: Fault) {
        let Some(copy) = self.store.copies.remove(&number) else { return };
        let quiet = !self.plan.has(HINDERS_OWNERS);
        let owners: Vec<Option<usize>> = (0..self.ids.len()).map(|game| self.owner_of(game)).collect();
        if fault.kind == Kind::FailoverDead {
            owners.iter().flatten().for_each(|node| self.crash(*node));
        }
        self.store.model = copy;
        // The other replicas follow this one from now on.
        self.store.copies.clear();
        for (game, owner) in owners.into_iter().enumerate() {
            let wanted = [fields::TICK];
            let Some(stored) = self.store.model.read(&self.ids[game], &wanted) else { continue };
            let to = Tick(fields::number(&stored, fields::TICK).unwrap_or(0));
            let fence = self.stored_fence(game);
            let own = owner.and_then(|owner| self.nodes[owner].slots[game].owner()).map(|owner| owner.fence);
            let living = own.filter(|own| quiet && fence == Some(*own));
            let lost = self.oracle.handle_rollback(game, to, living);
            if lost > 0 {
                self.counters.hit(fault.kind);
            }
            self.say(|| format!("store: match {game} is back at tick {to}, {lost} lost, {living:?} lives"));
        }
        self.restart_store(10 * u64::from(fault.percent));
    }

    fn restart_store(&mut self, ms: u64) {
        self.store.restarts += 1;
        self.store.model.set_history(&self.store.restarts.to_string());
        self.store.down_until_ms = self.now_ms + ms;
        for node in 0..NODES {
            let renewed_ms = ms + self.rng.random_range(1..100);
            self.cut(node, renewed_ms);
        }
    }

    /// A restart without persistence.
    fn wipe(&mut self) {
        self.counters.hit(Kind::Wipe);
        self.store.model = Store::default();
        self.store.copies.clear();
        (0..self.ids.len()).for_each(|game| self.oracle.handle_gone(game));
        self.restart_store(200);
    }

    fn flush(&mut self, game: usize) {
        let Some(fence) = self.stored_fence(game) else { return };
        self.counters.hit(Kind::Flush);
        self.store.model.end(&self.ids[game], fence, Bytes::new());
        self.store.copies.clear();
        self.oracle.handle_gone(game);
    }

    /// Somebody publishes what is no message.
    fn babble(&mut self, game: usize) {
        self.counters.hit(Kind::Garbage);
        for length in [0, 1, 7, 60] {
            let bytes: Vec<u8> = (0..length).map(|_| self.rng.random()).collect();
            for channel in [Channel::Diff, Channel::Input] {
                self.broadcast(game, channel, &Bytes::from(bytes.clone()));
                // A note of few bytes would be one: whoever may publish may say that a match is over.
                let kinds = if length < 60 { &[0x81, 0x83, 0x84][..] } else { &[0x81, 0x82, 0x83, 0x84] };
                let kind = kinds[self.rng.random_range(0..kinds.len())];
                let message = [&[kind], &bytes[..]].concat();
                self.broadcast(game, channel, &Bytes::from(message));
            }
        }
    }

    /// Somebody publishes a well-formed tick of an ownership that was never granted.
    fn pretend(&mut self, game: usize) {
        let Some(stored) = self.store.model.read(&self.ids[game], &[fields::TICK, fields::EPOCH]) else {
            return;
        };
        self.counters.hit(Kind::UnknownFence);
        let number = |name| fields::number(&stored, name).unwrap_or(0);
        let fence = Fence { epoch: Epoch(number(fields::EPOCH) + 1), nonce: Nonce(self.rng.random()) };
        let position = Position { fence, tick: Tick(number(fields::TICK) + 1) };
        let payload = frame::diff(position, 0, None, &[]);
        let message = channel::encode_tick(position, 0, 0, &payload, None, &[], &[]);
        self.broadcast(game, Channel::Diff, &message);
    }

    /// Nothing goes wrong any more. What has gone wrong is left to the cluster to mend.
    pub(super) fn heal(&mut self) {
        self.say(|| "HEAL".to_owned());
        self.calm = true;
        self.windows.clear();
        self.armed.clear();
        self.store.copies.clear();
        self.store.stalled_until_ms = self.store.stalled_until_ms.min(self.now_ms);
        self.nodes.iter_mut().for_each(|node| node.paused_until_ms = node.paused_until_ms.min(self.now_ms));
    }
}
