//! The cluster itself: nodes, clients, the queue of what is under way, and the faults.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::catch_up::STEPS_KNOWN_MAX;
use tickcast_protocol::{MatchId, NodeId, Nonce, PlayerId, ResumeToken};
use tickcast_server::backplane::store::{Publication, Store};
use tickcast_server::backplane::{Channel, Claim, ClaimReply, Commit, CommitReply, fields};
use tickcast_server::game::{GameType, Options};
use tickcast_server::games::Arena;
use tickcast_server::io::clock;
use tickcast_server::logic::channel::{self, FromOwner, TickMessage, Upstream};
use tickcast_server::logic::laggards::Laggards;
use tickcast_server::logic::pacing::Pacer;
use tickcast_server::logic::relay::{Relay, Resync, Verdict};
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::simulation::{Simulation, Writing};
use tickcast_server::logic::stored::{self, Restored};

use super::Oracle;
use super::line::seal;

mod clients;
use clients::Seat;

const LEASE_MS: u64 = 500;
const CLIENTS_PER_NODE: usize = 3;
const NODES: usize = 2;

/// How often each fault took effect.
#[derive(Debug, Default, Clone, Copy)]
pub struct Faults {
    /// Diff messages that a relay did not get.
    pub lost: u64,
    /// Upstream messages that arrived twice.
    pub repeated: u64,
    /// Upstream messages that overtook others.
    pub reordered: u64,
    /// Commits whose answer was lost.
    pub unanswered: u64,
    /// Owners that stopped for good.
    pub killed: u64,
    /// Owners that stopped for a while, and had lost the match when they went on.
    pub fenced: u64,
    /// Owners that stopped for good with the tick after which diffs are coded anew.
    pub killed_at_priors: u64,
    /// Times a client read nothing for a while.
    pub stalled: u64,
    /// Catch-ups that came of it.
    pub caught_up: u64,
    /// Snapshots that came of it.
    pub given_snapshots: u64,
}

enum Event {
    Tick { node: usize, claim: u64 },
    Retry { node: usize, claim: u64 },
    Beat { node: usize },
    Diff { node: usize, message: Option<Bytes> },
    Input { message: Bytes, sent: u64 },
    Read { client: usize },
    Up { client: usize, frame: Vec<u8> },
}

struct Owner {
    claim: u64,
    simulation: Simulation,
    pacer: Pacer,
    unanswered: Option<Commit>,
    paused_until_ms: u64,
}

struct Node {
    relay: Relay,
    laggards: Laggards,
    owner: Option<Owner>,
    heard_ms: u64,
    diff_due_ms: u64,
}

/// Two nodes, one match, six clients.
pub struct Cluster {
    rng: ChaCha8Rng,
    start: Instant,
    now_ms: u64,
    id: MatchId,
    store: Store,
    nodes: Vec<Node>,
    seats: Vec<Seat>,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    claims: u64,
    last_input_sent: u64,
    calm: bool,
    /// What must be true.
    pub oracle: Oracle,
    /// What was done to it.
    pub faults: Faults,
}

impl Cluster {
    /// A cluster whose faults come from this seed.
    pub fn new(seed: u64) -> Cluster {
        let id: MatchId = "sim".parse().expect("an id");
        let options = Options::from([("drones".to_owned(), 20)]);
        let info = Arena.info(&options).expect("options of the arena");
        let mut store = Store::default();
        store.create(&id, stored::new_match(&info, &options, seed, 0, 16));
        let loaded = store.load(&id).expect("it was created");
        let begun = stored::restore(&loaded).expect("it is readable");
        let node = || Node {
            relay: Relay::new(begun.world.clone(), begun.prior.clone(), begun.stored.position()),
            laggards: Laggards::new(seal),
            owner: None,
            heard_ms: 0,
            diff_due_ms: 0,
        };
        let mut cluster = Cluster {
            rng: ChaCha8Rng::seed_from_u64(seed),
            start: clock::now(),
            now_ms: 0,
            id,
            store,
            nodes: (0..NODES).map(|_| node()).collect(),
            seats: Vec::new(),
            queue: BTreeMap::new(),
            queued: 0,
            claims: 0,
            last_input_sent: 0,
            calm: false,
            oracle: Oracle::default(),
            faults: Faults::default(),
        };
        for node in 0..NODES {
            cluster.at(node as u64, Event::Beat { node });
            (0..CLIENTS_PER_NODE).for_each(|_| cluster.connect(node));
        }
        cluster
    }

    /// Runs with faults, then without until everything has settled; then all must be in step.
    pub fn run(&mut self, faulty: Duration) {
        let end_ms = faulty.as_millis() as u64;
        self.run_until(end_ms);
        self.calm = true;
        self.run_until(end_ms + 4 * LEASE_MS + 2_000);
        self.check_all_in_step();
    }

    fn run_until(&mut self, end_ms: u64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end_ms {
                break;
            }
            let ((at_ms, _), event) = entry.remove_entry();
            self.now_ms = at_ms;
            self.handle(event);
        }
        self.now_ms = end_ms;
    }

    fn check_all_in_step(&self) {
        let loaded = self.store.load(&self.id).expect("the match is there");
        let Restored { stored: meta, world, .. } = stored::restore(&loaded).expect("the store is readable");
        assert_eq!(meta.tick, self.oracle.last());
        assert!(meta.tick.0 > 30, "the match went on, tick {}", meta.tick);
        for (number, seat) in self.seats.iter().enumerate() {
            let joined = seat.client.joined().expect("welcomed");
            let behind = meta.tick.0 - joined.replica.position().tick.0;
            assert!(behind <= 4, "client {number} is {behind} ticks behind");
            assert_eq!(joined.replica.steps_known(), STEPS_KNOWN_MAX, "client {number} reads diffs");
            assert!(joined.entity().is_some(), "client {number} plays");
        }
        assert_eq!(world.count(world.schema().player_kind()), self.seats.len());
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    fn at(&mut self, due_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((due_ms.max(self.now_ms), self.queued), event);
    }

    fn chance(&mut self, percent: u32) -> bool {
        !self.calm && self.rng.random_range(0..100) < percent
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { node, claim } => self.handle_tick(node, claim),
            Event::Retry { node, claim } => self.handle_retry(node, claim),
            Event::Beat { node } => self.handle_beat(node),
            Event::Diff { node, message } => self.handle_diff(node, message),
            Event::Input { message, sent } => self.handle_input(&message, sent),
            Event::Read { client } => self.handle_read(client),
            Event::Up { client, frame } => self.handle_up(client, &frame),
        }
    }

    // What goes over the store.

    /// Messages from different senders overtake each other; some come twice.
    fn upstream(&mut self, batch: &[Upstream]) {
        let message = channel::encode_upstream(batch);
        let sent = self.queued;
        let copies = if self.chance(5) { 2 } else { 1 };
        self.faults.repeated += copies - 1;
        for _ in 0..copies {
            let due = self.now_ms + self.rng.random_range(0..30);
            self.at(due, Event::Input { message: message.clone(), sent });
        }
    }

    fn handle_input(&mut self, message: &Bytes, sent: u64) {
        self.faults.reordered += u64::from(sent < self.last_input_sent);
        self.last_input_sent = self.last_input_sent.max(sent);
        for node in 0..NODES {
            let now_ms = self.now_ms;
            if let Some(owner) =
                self.nodes[node].owner.as_mut().filter(|owner| owner.paused_until_ms <= now_ms)
            {
                let batch = channel::parse_upstream(message).expect("our own message");
                batch.into_iter().for_each(|upstream| owner.simulation.handle_upstream(upstream));
            }
        }
    }

    /// A subscription delivers in order or says that something was lost.
    fn publish(&mut self, publication: Option<Publication>) {
        let Some(Publication { channel: Channel::Diff, message, .. }) = publication else { return };
        for node in 0..NODES {
            let lost = self.chance(2);
            self.faults.lost += u64::from(lost);
            let due = self.now_ms + self.rng.random_range(0..30);
            let due = due.max(self.nodes[node].diff_due_ms);
            self.nodes[node].diff_due_ms = due;
            self.at(due, Event::Diff { node, message: (!lost).then(|| message.clone()) });
        }
    }

    fn handle_diff(&mut self, node: usize, message: Option<Bytes>) {
        self.nodes[node].heard_ms = self.now_ms;
        let verdict = message.map(|message| self.hear(node, &message));
        match verdict {
            None | Some(Verdict::Reload(_)) => self.reload(node),
            Some(Verdict::FanOut(frames)) => {
                self.nodes[node].laggards.handle_tick(&frames);
                self.serve_all(node);
            }
            Some(Verdict::Ignore) => {}
            Some(other) => panic!("nobody says {other:?} here"),
        }
    }

    /// What a node makes of a message; an owner that it does not know is looked up in the store.
    fn hear(&mut self, node: usize, message: &Bytes) -> Verdict {
        let relay = &mut self.nodes[node].relay;
        match relay.handle_message(message) {
            Verdict::Confirm(fence) => {
                let loaded = self.store.load(&self.id).expect("the match is there");
                if fields::fence(&loaded) != Some(fence) {
                    return Verdict::Ignore;
                }
                relay.confirm(fence);
                relay.handle_message(message)
            }
            verdict => verdict,
        }
    }

    fn reload(&mut self, node: usize) {
        let loaded = self.store.load(&self.id).expect("the match is there");
        let Restored { stored, world, prior, .. } = stored::restore(&loaded).expect("readable");
        let resync = self.nodes[node].relay.handle_load(world, prior, stored.position());
        assert_eq!(resync, Resync::Forward, "a store that keeps its data never sets back");
        self.nodes[node].laggards.handle_load();
        self.lose_all(node);
        self.serve_all(node);
    }

    // Ownership.

    fn handle_beat(&mut self, node: usize) {
        self.at(self.now_ms + 100 + node as u64 * 7, Event::Beat { node });
        let players: Vec<PlayerId> =
            self.seats.iter().filter(|seat| seat.node == node).map(|seat| seat.player).collect();
        let waits = |seat: &&Seat| {
            let joined = seat.client.joined();
            seat.node == node && joined.is_some_and(|joined| joined.entity().is_none())
        };
        let again = |seat: &Seat| Upstream::Join {
            player: seat.player,
            name: "again".to_owned(),
            token: TokenDigest::of(&ResumeToken::default()),
        };
        let joins: Vec<Upstream> = self.seats.iter().filter(waits).map(again).collect();
        self.upstream(&joins);
        self.upstream(&[Upstream::Present { players }]);
        let silent = self.now_ms >= self.nodes[node].heard_ms + LEASE_MS;
        if (self.claims == 0 || silent) && self.nodes[node].owner.is_none() {
            self.claim(node);
        }
    }

    fn claim(&mut self, node: usize) {
        let claim = Claim {
            node: format!("n{node}").parse::<NodeId>().expect("an id"),
            nonce: Nonce(self.rng.random()),
            lease: Duration::from_millis(LEASE_MS),
            crashes_max: u32::MAX,
        };
        let ClaimReply::Claimed { fields, .. } = self.store.claim(&self.id.clone(), &claim, self.now_ms)
        else {
            return;
        };
        let restored = stored::restore(&fields).expect("readable");
        let writing = Writing {
            snapshot_every: 10,
            hash_every: 1,
            lease: claim.lease,
            resume_window: Duration::from_secs(60),
        };
        let pacer = Pacer::new(self.now(), restored.stored.tick_rate, &self.id);
        let simulation = Simulation::new(Arena.create(&restored.stored.options), restored, writing);
        self.claims += 1;
        let claim = self.claims;
        self.nodes[node].owner =
            Some(Owner { claim, simulation, pacer, unanswered: None, paused_until_ms: 0 });
        self.at(self.now_ms, Event::Tick { node, claim });
    }

    /// The owner of this claim, unless it is gone by now.
    fn owner(&mut self, node: usize, claim: u64) -> Option<&mut Owner> {
        self.nodes[node].owner.as_mut().filter(|owner| owner.claim == claim)
    }

    fn handle_tick(&mut self, node: usize, claim: u64) {
        let (now, now_ms) = (self.now(), self.now_ms);
        if self.owner(node, claim).is_none() {
            return;
        }
        if self.chance(1) && self.chance(40) {
            self.faults.killed += 1;
            self.nodes[node].owner = None;
            return;
        }
        if self.chance(1) && self.chance(40) {
            let until = now_ms + 3 * LEASE_MS;
            let owner = self.owner(node, claim).expect("it was there");
            owner.paused_until_ms = until;
            self.at(until, Event::Tick { node, claim });
            return;
        }
        let owner = self.owner(node, claim).expect("it was there");
        owner.pacer.handle_tick(now);
        owner.unanswered = Some(owner.simulation.handle_tick(now_ms).commit);
        self.commit(node, claim);
    }

    /// Whether a commit changes what later diffs are coded with; then whoever restores the match from it has
    /// exactly what its owner has.
    fn check_prior(&self, node: usize, commit: &Commit) -> bool {
        let tick = channel::parse_from_owner(&commit.message).expect("our own message");
        if !matches!(tick, FromOwner::Tick(TickMessage { prior: Some(_), .. })) {
            return false;
        }
        let loaded = self.store.load(&self.id).expect("the match is there");
        let restored = stored::restore(&loaded).expect("readable");
        let owner = self.nodes[node].owner.as_ref().expect("it has just committed");
        assert!(restored.world.same_state(owner.simulation.world()), "tick {}", commit.tick);
        true
    }

    fn handle_retry(&mut self, node: usize, claim: u64) {
        if self.owner(node, claim).is_some() {
            self.commit(node, claim);
        }
    }

    fn commit(&mut self, node: usize, claim: u64) {
        let owner = self.owner(node, claim).expect("it was there");
        let commit = owner.unanswered.clone().expect("a commit to be made");
        let arrives = !self.chance(3);
        let mut reply = None;
        if arrives {
            let id = self.id.clone();
            let (answer, publication) = self.store.commit(&id, &commit, self.now_ms);
            let loaded = self.store.load(&id).expect("the match is there");
            let stored = fields::fence(&loaded).expect("a fence");
            self.oracle.handle_commit(&commit, &answer, stored);
            self.publish(publication);
            if answer == CommitReply::Ok && self.check_prior(node, &commit) && self.chance(30) {
                self.faults.killed_at_priors += 1;
                self.nodes[node].owner = None;
                return;
            }
            reply = (!self.chance(3)).then_some(answer);
        }
        match reply {
            None => {
                self.faults.unanswered += 1;
                self.at(self.now_ms + 20, Event::Retry { node, claim });
            }
            Some(CommitReply::Fenced) => {
                self.faults.fenced += 1;
                self.nodes[node].owner = None;
            }
            Some(_) => {
                let start = self.start;
                let owner = self.owner(node, claim).expect("it was there");
                owner.unanswered = None;
                let due_ms = (owner.pacer.due() - start).as_millis() as u64;
                self.at(due_ms, Event::Tick { node, claim });
            }
        }
    }
}
