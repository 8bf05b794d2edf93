//! The cluster itself: nodes, clients, the queue of what is under way, and the faults.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::client::{Client, Event as Told};
use tickcast_protocol::message::{Join, Role, ServerMessage};
use tickcast_protocol::{MatchId, NodeId, Nonce, PlayerId, SessionId};
use tickcast_server::backplane::store::{Publication, Store};
use tickcast_server::backplane::{Channel, Claim, ClaimReply, Commit, CommitReply, fields};
use tickcast_server::game::{GameType, Options};
use tickcast_server::games::Arena;
use tickcast_server::io::clock;
use tickcast_server::logic::channel::{self, Upstream};
use tickcast_server::logic::pacing::Pacer;
use tickcast_server::logic::relay::{Relay, Resync, Verdict};
use tickcast_server::logic::session::{Output, Session};
use tickcast_server::logic::simulation::{Simulation, Writing};
use tickcast_server::logic::stored::{self, StoredMatch};

use super::Oracle;

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
}

enum Event {
    Tick { node: usize, claim: u64 },
    Retry { node: usize, claim: u64 },
    Beat { node: usize },
    Diff { node: usize, message: Option<Bytes> },
    Input { message: Bytes, sent: u64 },
    Down { client: usize, frame: Bytes },
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
    owner: Option<Owner>,
    heard_ms: u64,
    diff_due_ms: u64,
}

struct Seat {
    node: usize,
    client: Client,
    session: Session,
    player: PlayerId,
    /// The node has let it in: it gets every frame from here on.
    listening: bool,
    down_due_ms: u64,
    up_due_ms: u64,
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
        let (meta, world) = stored::restore(&loaded).expect("it is readable");
        let node = || Node {
            relay: Relay::new(world.clone(), meta.position()),
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
        let (meta, world) = stored::restore(&loaded).expect("the store is readable");
        assert_eq!(meta.tick, self.oracle.last());
        assert!(meta.tick.0 > 30, "the match went on, tick {}", meta.tick);
        for (number, seat) in self.seats.iter().enumerate() {
            let joined = seat.client.joined().expect("welcomed");
            let behind = meta.tick.0 - joined.replica.position().tick.0;
            assert!(behind <= 4, "client {number} is {behind} ticks behind");
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
            Event::Down { client, frame } => self.handle_down(client, &frame),
            Event::Up { client, frame } => self.handle_up(client, &frame),
        }
    }

    // Clients and their sessions.

    fn connect(&mut self, node: usize) {
        let player = PlayerId(self.seats.len() as u32 + 1);
        let mut client = Client::new(&format!("p{player}"), Join::Match(self.id.clone()));
        let hello = client.poll_transmit().expect("a hello");
        let session = Session::new(self.now());
        let seat = Seat { node, client, session, player, listening: false, down_due_ms: 0, up_due_ms: 0 };
        self.seats.push(seat);
        let client = self.seats.len() - 1;
        self.at(self.now_ms, Event::Up { client, frame: hello });
    }

    /// A socket delivers in order, each frame after some time.
    fn down(&mut self, client: usize, frame: Bytes) {
        let due = self.now_ms + self.rng.random_range(0..20);
        let seat = &mut self.seats[client];
        seat.down_due_ms = seat.down_due_ms.max(due);
        let due = seat.down_due_ms;
        self.at(due, Event::Down { client, frame });
    }

    fn handle_up(&mut self, client: usize, frame: &[u8]) {
        let now = self.now();
        let seat = &mut self.seats[client];
        match seat.session.handle_frame(now, frame) {
            Output::Join { name, .. } => self.join(client, name),
            Output::Input { player, seq, seen, values } => {
                self.upstream(&[Upstream::Input { player, seq, seen, values }]);
            }
            Output::Snapshot => {
                let snapshot = self.nodes[seat.node].relay.snapshot();
                self.down(client, snapshot);
            }
            Output::Nothing => {}
            other => panic!("an honest client never causes {other:?}"),
        }
    }

    fn join(&mut self, client: usize, name: String) {
        let loaded = self.store.load(&self.id).expect("the match is there");
        let meta = StoredMatch::parse(&loaded).expect("readable");
        let (now, player) = (self.now(), self.seats[client].player);
        let role = Role::Player(player);
        self.seats[client].listening = true;
        self.seats[client].session.handle_joined(now, role, meta.schema.clone(), meta.tick_rate);
        let welcome = ServerMessage::Welcome {
            protocol: tickcast_protocol::message::PROTOCOL_VERSION,
            node: "n".parse().expect("an id"),
            session: SessionId(client as u64),
            match_id: self.id.clone(),
            role,
            tick_rate: meta.tick_rate,
            schema: meta.schema.to_json(),
        };
        self.down(client, welcome.to_frame().into());
        let snapshot = self.nodes[self.seats[client].node].relay.snapshot();
        self.down(client, snapshot);
        self.upstream(&[Upstream::Join { player, name }]);
    }

    fn handle_down(&mut self, client: usize, frame: &[u8]) {
        let told = self.seats[client].client.handle_frame(frame).expect("a server never breaks the contract");
        let jump = match told {
            Told::Advanced => false,
            Told::Snapshot => true,
            Told::Welcome | Told::Stale => return,
            other => panic!("on a socket that keeps order there is no {other:?}"),
        };
        let seat = &mut self.seats[client];
        let joined = seat.client.joined().expect("welcomed");
        let (at, hash) = (joined.replica.position(), joined.replica.world().hash());
        let acknowledged = joined.acknowledged();
        let entered = joined.entity().is_some();
        self.oracle.handle_state(client, at, hash, jump, acknowledged);
        if entered {
            let bounds: Vec<(i32, i32)> = schema_bounds(&self.seats[client].client);
            let values: Vec<i32> =
                bounds.iter().map(|(min, max)| self.rng.random_range(*min..=*max)).collect();
            self.seats[client].client.input(&values).expect("values within the schema");
        }
        while let Some(frame) = self.seats[client].client.poll_transmit() {
            let due = self.now_ms + self.rng.random_range(0..20);
            self.seats[client].up_due_ms = self.seats[client].up_due_ms.max(due);
            self.at(self.seats[client].up_due_ms, Event::Up { client, frame });
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
        let verdict = message.map(|message| self.nodes[node].relay.handle_message(&message));
        match verdict {
            None | Some(Verdict::Reload(_)) => self.reload(node),
            Some(Verdict::FanOut(frames)) => {
                for client in 0..self.seats.len() {
                    if self.seats[client].node == node && self.seats[client].listening {
                        frames.iter().for_each(|frame| self.down(client, frame.clone()));
                    }
                }
            }
            Some(Verdict::Ignore) => {}
            Some(other) => panic!("nobody says {other:?} here"),
        }
    }

    fn reload(&mut self, node: usize) {
        let loaded = self.store.load(&self.id).expect("the match is there");
        let (meta, world) = stored::restore(&loaded).expect("readable");
        let resync = self.nodes[node].relay.handle_load(world, meta.position());
        assert_eq!(resync, Resync::Forward, "a store that keeps its data never sets back");
        let snapshot = self.nodes[node].relay.snapshot();
        for client in 0..self.seats.len() {
            if self.seats[client].node == node && self.seats[client].listening {
                self.down(client, snapshot.clone());
            }
        }
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
        let again = |seat: &Seat| Upstream::Join { player: seat.player, name: "again".to_owned() };
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
        };
        let ClaimReply::Claimed { fields, .. } = self.store.claim(&self.id.clone(), &claim, self.now_ms)
        else {
            return;
        };
        let (meta, world) = stored::restore(&fields).expect("readable");
        let writing = Writing { snapshot_every: 10, hash_every: 1, lease: claim.lease };
        let simulation = Simulation::new(Arena.create(&meta.options), &meta, world, writing);
        let pacer = Pacer::new(self.now(), meta.tick_rate, &self.id);
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

fn schema_bounds(client: &Client) -> Vec<(i32, i32)> {
    let joined = client.joined().expect("welcomed");
    joined.replica.world().schema().input().iter().map(|field| (field.min, field.max)).collect()
}
