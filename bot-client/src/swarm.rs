//! One process's bots: starts them one after the other, waits until all are in, measures, and sends them home at
//! the deadline. Owns every task it starts.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tickcast_client::Trust;
use tickcast_client::socket::resolve;
use tickcast_client::stream::BadTrust;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::board::Board;
use crate::clock::Clock;
use crate::history::History;
use crate::plan::Plan;
use crate::seat::{Outcome, Seat};
use crate::share::{BotPlan, Share};
use crate::tally::{Marks, Tally};

/// How long the goodbyes may take.
const LEAVING_MAX: Duration = Duration::from_secs(10);
/// Time between two reports of progress.
const PULSE: Duration = Duration::from_millis(200);
/// A time that does not come.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What a swarm is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Measure once all bots have joined or failed to.
    Measure,
    /// Come home now.
    Stop,
}

/// How far a swarm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pulse {
    /// Bots of the swarm.
    pub planned: u64,
    /// Bots that have joined.
    pub joined: u64,
    /// Bots that failed.
    pub failed: u64,
    /// How long it has been measuring.
    pub measured: Duration,
    /// Whether all bots have joined or failed to.
    pub ready: bool,
}

/// Where all bots of a swarm are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Joining,
    Measuring,
    Leaving,
}

/// What a swarm needs of the world and does not get.
#[derive(Debug, Error)]
pub enum Missing {
    /// Nobody knows where a node is.
    #[error("no address for {0}: {1}")]
    Address(String, io::Error),
    /// Nobody says who the nodes are.
    #[error("--tls-ca {0}")]
    Trust(#[from] BadTrust),
    /// There is no place for the history.
    #[error("--history {0}: {1}")]
    History(String, io::Error),
}

/// What all bots of a swarm use.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) plan: Plan,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) trust: Trust,
    /// One for each match.
    pub(crate) boards: Vec<Mutex<Board>>,
    pub(crate) history: Option<History>,
    tally: Mutex<Tally>,
    changed: Notify,
}

impl Shared {
    pub(crate) fn absorb(&self, marks: Marks) {
        self.tally().absorb(marks);
    }

    pub(crate) fn count_joined(&self) {
        self.tally().connections.joined += 1;
        self.changed.notify_one();
    }

    pub(crate) fn count_loss(&self, reason: String) {
        self.tally().lose(reason);
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Swarm {
    shared: Arc<Shared>,
    bots: VecDeque<BotPlan>,
    tasks: JoinSet<Outcome>,
    phase: watch::Sender<Phase>,
    /// Time between two connections.
    step: Duration,
    next_start: Duration,
    /// Bots that ended without having joined.
    never_joined: u64,
    may_measure: bool,
    measuring_since: Duration,
    deadline: Duration,
}

/// Runs a share of a plan to its end. A closed command channel means [`Command::Stop`].
pub async fn run(
    clock: Clock,
    plan: Plan,
    share: Share,
    mut commands: mpsc::Receiver<Command>,
    pulses: mpsc::Sender<Pulse>,
) -> Result<Tally, Missing> {
    let mut swarm = Swarm::new(clock, plan, &share).await?;
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut commanded = true;
    while !swarm.is_over() {
        tokio::select! {
            () = sleep_until(clock.at(swarm.next_start)), if !swarm.bots.is_empty() => swarm.start_due(),
            Some(outcome) = swarm.tasks.join_next() => swarm.handle_outcome(outcome),
            () = swarm.shared.changed.notified() => {}
            () = sleep_until(clock.at(swarm.deadline)) => swarm.handle_deadline(),
            command = commands.recv(), if commanded => {
                commanded = command.is_some();
                swarm.handle_command(command.unwrap_or(Command::Stop));
            }
            _ = pulse.tick() => {
                // A reader that is behind needs only the next one.
                let _ = pulses.try_send(swarm.pulse());
            }
        }
        let ready = swarm.is_ready();
        if ready && swarm.phase_is(Phase::Joining) && swarm.may_measure {
            swarm.begin_measuring();
        }
    }
    Ok(swarm.finish().await)
}

impl Swarm {
    async fn new(clock: Clock, plan: Plan, share: &Share) -> Result<Swarm, Missing> {
        let mut addresses = Vec::new();
        for target in &plan.targets {
            let address = resolve(target, plan.source_addresses > 0).await;
            addresses.push(address.map_err(|error| Missing::Address(target.authority(), error))?);
        }
        let trust = plan.trust()?;
        let history = match &plan.history {
            Some(path) => {
                let opened = History::open(path);
                Some(opened.map_err(|error| Missing::History(path.display().to_string(), error))?)
            }
            None => None,
        };
        let bots: VecDeque<BotPlan> = share.bots(&plan).collect();
        let players = share.players(&plan);
        let boards = share.match_ids.iter().map(|_| Mutex::new(Board::new(players))).collect();
        let mut tally = Tally::default();
        tally.connections.planned = bots.len() as u64;
        let step = Duration::from_secs(u64::from(plan.processes)) / plan.ramp_per_second;
        let (tally, changed) = (Mutex::new(tally), Notify::new());
        Ok(Swarm {
            shared: Arc::new(Shared { clock, plan, addresses, trust, boards, history, tally, changed }),
            bots,
            tasks: JoinSet::new(),
            phase: watch::Sender::new(Phase::Joining),
            step,
            next_start: clock.now(),
            never_joined: 0,
            may_measure: false,
            measuring_since: Duration::ZERO,
            deadline: NEVER,
        })
    }

    fn phase_is(&self, phase: Phase) -> bool {
        *self.phase.borrow() == phase
    }

    fn is_ready(&self) -> bool {
        let connections = self.shared.tally().connections.clone();
        self.bots.is_empty() && connections.joined + self.never_joined >= connections.planned
    }

    fn is_over(&self) -> bool {
        let nobody_left = self.bots.is_empty() && self.tasks.is_empty();
        nobody_left || (self.phase_is(Phase::Leaving) && self.deadline <= self.shared.clock.now())
    }

    fn pulse(&self) -> Pulse {
        let ready = self.is_ready();
        let measured = match self.phase_is(Phase::Measuring) {
            true => self.shared.clock.now().saturating_sub(self.measuring_since),
            false => self.shared.tally().measured,
        };
        let connections = self.shared.tally().connections.clone();
        Pulse {
            planned: connections.planned,
            joined: connections.joined,
            failed: connections.failed,
            measured,
            ready,
        }
    }

    fn start_due(&mut self) {
        let now = self.shared.clock.now();
        while self.next_start <= now {
            let Some(plan) = self.bots.pop_front() else { return };
            let seat = Seat::new(Arc::clone(&self.shared), plan, self.phase.subscribe());
            self.tasks.spawn(seat.run());
            self.next_start += self.step;
        }
    }

    fn handle_outcome(&mut self, outcome: Result<Outcome, JoinError>) {
        // Connections that end while everybody leaves are no failures; to be without one by then is.
        let leaving = self.phase_is(Phase::Leaving);
        let (joined, failure) = match outcome {
            Ok(Outcome { joined, away, result }) => {
                let failure = result.err().filter(|_| !leaving || away);
                (joined, failure.map(|failure| failure.to_string()))
            }
            Err(error) => (false, Some(format!("bot: {error}")).filter(|_| !leaving)),
        };
        self.never_joined += u64::from(!joined);
        if let Some(failure) = failure {
            self.shared.tally().fail(failure);
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Measure => self.may_measure = true,
            Command::Stop if self.phase_is(Phase::Leaving) => {}
            Command::Stop => {
                self.shared.tally().stopped_early = true;
                self.begin_leaving();
            }
        }
    }

    fn handle_deadline(&mut self) {
        if self.phase_is(Phase::Measuring) {
            self.begin_leaving();
        }
    }

    fn begin_measuring(&mut self) {
        self.measuring_since = self.shared.clock.now();
        self.deadline = self.measuring_since + Duration::from_secs(u64::from(self.shared.plan.seconds));
        self.phase.send_replace(Phase::Measuring);
    }

    fn begin_leaving(&mut self) {
        let now = self.shared.clock.now();
        if self.phase_is(Phase::Measuring) {
            self.shared.tally().measured = now.saturating_sub(self.measuring_since);
        }
        self.bots.clear();
        self.deadline = now + LEAVING_MAX;
        self.phase.send_replace(Phase::Leaving);
    }

    async fn finish(mut self) -> Tally {
        if self.phase_is(Phase::Measuring) {
            // Every connection failed before the deadline.
            self.begin_leaving();
        }
        self.tasks.shutdown().await;
        std::mem::take(&mut *self.shared.tally())
    }
}

#[cfg(test)]
mod tests;
