//! The cluster: what is under way, whose turn it is, and the run from the first fault to the last check.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::{CloseCode, MatchId};
use tickcast_server::backplane::{Channel, LEASE_AHEAD_MAX, fields};
use tickcast_server::game::{GameType, Options};
use tickcast_server::io::clock;
use tickcast_server::logic::stored;

use super::chat::Heard;
use super::clients::Player;
use super::connections::Connection;
use super::counters::Counters;
use super::ledger::Ledger;
use super::nodes::Node;
use super::oracle::Oracle;
use super::plan::{Kind, Plan};
use super::settings::{FAULTY_MS, HEAL_MS_MAX, NODES};
use super::store::{Answer, Call, SimStore};

/// From the beginning of the healing until clients make no new inputs.
const INPUTS_AFTER_HEAL_MS: u64 = 2_700;
/// No run needs as many.
const EVENTS_MAX: u64 = 500_000;
/// How often it is looked whether all is well again.
const LOOK_MS: u64 = 500;
/// How often all has to be well, one look after the other.
const LOOKS: u32 = 2;

/// What arrives from a channel.
#[derive(Debug, Clone)]
pub(super) enum Delivery {
    Message(Bytes),
    Lost,
}

/// What is under way. Whatever names a node's life is nothing when the node has died since.
#[derive(Debug)]
pub(super) enum Event {
    Request { call: Call },
    Unanswered { call: Call },
    Answer { call: Call, answer: Answer },
    Deliver { node: usize, life: u64, game: usize, channel: Channel, since: u64, delivery: Delivery },
    Tick { node: usize, life: u64, game: usize },
    Retry { node: usize, life: u64, game: usize, owner: u64 },
    ClaimAgain { call: Call },
    Watch { node: usize, life: u64, game: usize },
    Beat { node: usize, life: u64 },
    Sweep { node: usize, life: u64 },
    Take { node: usize, life: u64, game: usize },
    Drain { node: usize, life: u64 },
    NodeUp { node: usize },
    Renewed { node: usize, life: u64 },
    Up { connection: u64, frame: Vec<u8> },
    Gone { connection: u64 },
    Read { connection: u64 },
    Closed { client: usize, connection: u64, frames: Vec<Vec<u8>>, code: Option<CloseCode> },
    Client { client: usize },
    Copy { fault: usize },
    Fault { fault: usize },
    Input { game: usize, message: Bytes },
}

impl Event {
    fn node(&self) -> Option<(usize, u64)> {
        match self {
            Event::Unanswered { call } | Event::Answer { call, .. } | Event::ClaimAgain { call } => {
                Some((call.node, call.life))
            }
            Event::Deliver { node, life, .. }
            | Event::Tick { node, life, .. }
            | Event::Retry { node, life, .. }
            | Event::Watch { node, life, .. }
            | Event::Beat { node, life }
            | Event::Sweep { node, life }
            | Event::Take { node, life, .. }
            | Event::Drain { node, life }
            | Event::Renewed { node, life } => Some((*node, *life)),
            _ => None,
        }
    }
}

/// Three nodes, a match or two, some clients.
pub(super) struct Cluster {
    pub(super) rng: ChaCha8Rng,
    pub(super) start: Instant,
    pub(super) now_ms: u64,
    pub(super) plan: Plan,
    /// No faults any more.
    pub(super) calm: bool,
    pub(super) ids: Vec<MatchId>,
    pub(super) store: SimStore,
    pub(super) nodes: Vec<Node>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) clients: Vec<Player>,
    queue: BTreeMap<(u64, u64), Event>,
    numbers: u64,
    /// Faults that wait for their moment, by match.
    pub(super) armed: BTreeSet<(usize, Kind)>,
    pub(super) poisoned: BTreeSet<usize>,
    /// Until when a fault strikes, and how often in a hundred.
    pub(super) windows: BTreeMap<Kind, (u64, u32)>,
    pub(super) heard: Vec<Heard>,
    pub(super) oracle: Oracle,
    pub(super) counters: Counters,
    trace: u64,
    events: u64,
    verbose: bool,
}

impl Cluster {
    pub(super) fn new(plan: &Plan, verbose: bool) -> Cluster {
        let ids: Vec<MatchId> =
            (0..plan.matches).map(|number| format!("m{number}").parse().expect("an id")).collect();
        let options = Options::new();
        let info = Ledger::of(plan).info(&options).expect("the game takes no options");
        let mut store = SimStore::default();
        for id in &ids {
            store.model.create(id, stored::new_match(&info, &options, plan.seed, 0, 24));
        }
        let start = clock::now();
        let mut cluster = Cluster {
            rng: ChaCha8Rng::seed_from_u64(plan.seed),
            start,
            now_ms: 0,
            calm: false,
            store,
            nodes: (0..NODES).map(|number| Node::new(number, ids.len(), start)).collect(),
            connections: BTreeMap::new(),
            clients: Vec::new(),
            queue: BTreeMap::new(),
            numbers: 0,
            armed: BTreeSet::new(),
            poisoned: BTreeSet::new(),
            windows: BTreeMap::new(),
            heard: ids.iter().map(|_| Heard::default()).collect(),
            oracle: Oracle::new(ids.len(), plan.clients),
            counters: Counters::default(),
            trace: 0,
            events: 0,
            verbose,
            ids,
            plan: plan.clone(),
        };
        (0..NODES).for_each(|node| cluster.start_node(node));
        for client in 0..plan.clients {
            cluster.clients.push(Player::new(client, client % plan.matches, client % NODES));
            cluster.at(200 + 20 * client as u64, Event::Client { client });
        }
        cluster.plan_faults();
        // A match's creator owns it.
        (0..plan.matches).for_each(|game| cluster.own(game % NODES, game, super::claims::By::Order));
        cluster
    }

    /// Runs with faults, then without until all is well or the patience is over.
    pub(super) fn run(&mut self) -> Result<u64, String> {
        self.run_until(FAULTY_MS);
        self.heal();
        let (mut well, mut complaint) = (0, None);
        for look in 1..=HEAL_MS_MAX / LOOK_MS {
            self.run_until(FAULTY_MS + look * LOOK_MS);
            if self.oracle.failure.is_some() {
                break;
            }
            complaint = self.find_unwell();
            let claims = self.oracle.claims();
            well = if complaint.is_none() && self.now_ms >= FAULTY_MS + INPUTS_AFTER_HEAL_MS {
                well + 1
            } else {
                0
            };
            self.oracle.note_claims(claims);
            if well == LOOKS {
                break;
            }
        }
        if let Some(failure) = self.oracle.failure.take() {
            return Err(format!("at {} ms: {failure}", self.now_ms));
        }
        match complaint {
            Some(complaint) => Err(format!("not well after {HEAL_MS_MAX} ms without faults: {complaint}")),
            None if well < LOOKS => Err("no rest after the faults".to_owned()),
            None => self.check_end().map(|()| self.trace),
        }
    }

    fn run_until(&mut self, end_ms: u64) {
        while self.oracle.failure.is_none() {
            let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end_ms) else { break };
            let ((at_ms, number), event) = entry.remove_entry();
            self.now_ms = at_ms;
            self.events += 1;
            if self.events > EVENTS_MAX {
                self.oracle.fail(format!("it goes round in circles: {event:?}"));
            }
            self.trace(at_ms ^ (number << 20));
            self.handle(event);
        }
        if self.oracle.failure.is_none() {
            self.now_ms = end_ms;
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    /// Milliseconds of the run at an instant, rounded up.
    pub(super) fn ms(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.start).as_nanos() as u64).div_ceil(1_000_000)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn at(&mut self, due_ms: u64, event: Event) {
        let number = self.number();
        self.queue.insert((due_ms.max(self.now_ms), number), event);
    }

    pub(super) fn trace(&mut self, word: u64) {
        self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(7);
    }

    /// Tells a person what happens, if one looks at a single run.
    pub(super) fn say(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            println!("{:>6} {}", self.now_ms, text());
        }
    }

    /// Whether a fault that lasts happens this time.
    pub(super) fn strikes(&mut self, kind: Kind) -> bool {
        let window = self.windows.get(&kind).copied();
        let strikes = window.is_some_and(|(until_ms, percent)| {
            self.now_ms < until_ms && self.rng.random_range(0..100) < percent
        });
        if strikes {
            self.counters.hit(kind);
        }
        strikes
    }

    /// Whether a fault waits for this moment; it happens once.
    pub(super) fn disarm(&mut self, game: usize, kind: Kind) -> bool {
        let armed = self.armed.remove(&(game, kind));
        if armed {
            self.counters.hit(kind);
        }
        armed
    }

    pub(super) fn is_current(&self, node: usize, life: u64) -> bool {
        self.nodes[node].up && self.nodes[node].life == life
    }

    pub(super) fn inputs_end(&self) -> bool {
        self.now_ms > FAULTY_MS + INPUTS_AFTER_HEAL_MS
    }

    fn handle(&mut self, event: Event) {
        if let Some((node, life)) = event.node() {
            if !self.is_current(node, life) {
                return;
            }
            if self.now_ms < self.nodes[node].paused_until_ms {
                self.at(self.nodes[node].paused_until_ms, event);
                return;
            }
        }
        match event {
            Event::Request { call } => self.handle_request(call),
            Event::Unanswered { call } => self.handle_unanswered(call),
            Event::Answer { call, answer } => self.handle_answer(call, answer),
            Event::Deliver { node, game, channel, since, delivery, .. } => {
                self.handle_delivery(node, game, channel, since, delivery);
            }
            Event::Tick { node, game, .. } => self.owner_turn(node, game),
            Event::Retry { node, game, owner, .. } => self.handle_retry(node, game, owner),
            Event::ClaimAgain { call } => self.call(call.node, call.game, call.request, call.then),
            Event::Watch { node, game, .. } => self.handle_watch(node, game),
            Event::Beat { node, .. } => self.handle_beat(node),
            Event::Sweep { node, .. } => self.handle_sweep(node),
            Event::Take { node, game, .. } => self.own(node, game, super::claims::By::Order),
            Event::Drain { node, .. } => self.handle_drain(node),
            Event::NodeUp { node } => self.start_node(node),
            Event::Renewed { node, .. } => self.handle_renewed(node),
            Event::Up { connection, frame } => self.handle_up(connection, frame),
            Event::Gone { connection } => self.lose_connection(connection),
            Event::Read { connection } => self.handle_read(connection),
            Event::Closed { client, connection, frames, code } => {
                self.handle_closed(client, connection, &frames, code);
            }
            Event::Client { client } => self.handle_client(client),
            Event::Copy { fault } => {
                self.store.copies.insert(fault, self.store.model.clone());
            }
            Event::Fault { fault } => self.handle_fault(fault),
            Event::Input { game, message } => self.broadcast(game, Channel::Input, &message),
        }
    }

    /// What is not as it should be when nothing has gone wrong for a while.
    fn find_unwell(&self) -> Option<String> {
        for game in 0..self.ids.len() {
            let wanted = [fields::STATUS, fields::TICK, fields::COMMITTED_MS, fields::PLAYERS];
            let Some(stored) = self.store.model.read(&self.ids[game], &wanted) else { continue };
            if fields::text(&stored, fields::STATUS) == Some(fields::QUARANTINED) {
                continue;
            }
            if self.poisoned.contains(&game) {
                return Some(format!("match {game} is not quarantined"));
            }
            let committed_ms = fields::number(&stored, fields::COMMITTED_MS).unwrap_or(0);
            let late_ms = 300 + LEASE_AHEAD_MAX.as_millis() as u64;
            if committed_ms + late_ms < self.store_ms() {
                return Some(format!(
                    "match {game} does not tick, last {committed_ms} of {}",
                    self.store_ms()
                ));
            }
            let owners = self.nodes.iter().filter(|node| node.slots[game].owner().is_some()).count();
            if owners != 1 {
                return Some(format!("match {game} has {owners} owners"));
            }
        }
        (0..self.clients.len()).find_map(|client| self.find_unwell_client(client))
    }

    /// Checks what must be true of a run that ended well.
    fn check_end(&mut self) -> Result<(), String> {
        self.counters.comparisons = self.oracle.comparisons;
        for game in 0..self.ids.len() {
            self.oracle.check_claims(game, &self.plan)?;
        }
        (0..self.clients.len()).try_for_each(|client| self.check_client(client))
    }
}
