//! Clients that stall behind a real relay: what each is sent, who shares what, and that all end in the owner's state.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::replica::Gap;
use tickcast_protocol::{Epoch, Fence, Field, Kind, Nonce, Progress, Schema, TickRate};

use super::*;
use crate::io::clock;
use crate::logic::channel;
use crate::logic::outbox::Outbox;
use crate::logic::relay::{Relay, Verdict};

mod quiet;
mod random;

/// So fast that more ticks than a catch-up spans pass before a client is closed.
const TICK: Duration = Duration::from_millis(15);
/// What a socket takes beyond what its client has read, bytes.
const WINDOW: usize = 300;

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    let ball = Kind::new(
        "ball",
        [
            Field::linear("x", -1000, 1000),
            Field::linear("y", -1000, 1000),
            Field::int("colour", 0, 9),
            Field::text("name", 12),
        ],
    );
    Schema::new("demo", "player", [player, ball], []).unwrap()
}

/// Each frame with its length in front.
fn seal(frames: &[&[u8]]) -> Bytes {
    let sealed = |frame: &&[u8]| [&(frame.len() as u32).to_le_bytes(), *frame].concat();
    frames.iter().flat_map(sealed).collect()
}

/// An owner of a world in which balls fly, bounce, come and go.
struct Owner {
    world: World,
    encoder: Encoder,
    position: Position,
    speeds: BTreeMap<u16, (i32, i32)>,
    /// Nothing happens in its world, and nothing is learned.
    rests: bool,
    rng: ChaCha8Rng,
}

impl Owner {
    fn new(seed: u64) -> Owner {
        let fence = Fence { epoch: Epoch(1), nonce: Nonce(seed) };
        Owner {
            world: World::new(schema()),
            encoder: Encoder::new(Prior::first(&schema())),
            position: Position { fence, tick: Tick(0) },
            speeds: BTreeMap::new(),
            rests: false,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn relay(&self) -> Relay {
        let prior = Arc::clone(self.encoder.prior());
        Relay::new(Replica::loaded(self.world.clone(), prior, self.position), Vec::new())
    }

    /// Another node goes on from the very state.
    fn hand_over(&mut self) {
        self.position.fence.epoch.0 += 1;
        self.encoder = Encoder::new(Arc::clone(self.encoder.prior()));
    }

    /// It has lost inputs, and says so.
    fn lose_inputs(relay: &mut Relay) {
        let note = channel::encode_note(&channel::Note::InputsLost);
        assert_eq!(relay.handle_message(&note), Verdict::Ignore);
    }

    /// The next tick, as it is published; with a new prior, if one is wanted, even where it does not pay.
    fn tick(&mut self, with_prior: bool) -> Bytes {
        if !self.rests {
            self.play();
        }
        let (number, mut payload) = (self.encoder.prior().number(), Vec::new());
        self.encoder.encode(&self.world, &mut payload);
        self.world.advance();
        self.position.tick = self.position.tick.next();
        let polled = if self.rests { None } else { self.encoder.poll_prior() };
        let next = polled.or_else(|| with_prior.then(|| self.encoder.force_prior()));
        let prior = next.map(|prior| {
            let mut bytes = Vec::new();
            prior.encode(&mut bytes);
            frame::prior(self.position, &bytes)
        });
        let (tick, hash) = (self.position.tick.0, self.world.hash());
        let carried = tick.is_multiple_of(HASH_EVERY_TICKS_MAX).then_some(hash);
        let diff = frame::diff(self.position, number, carried, &payload);
        channel::encode_tick(self.position, hash, 0, &diff, prior.as_deref(), &[], &[])
    }

    fn play(&mut self) {
        let ids: Vec<_> = self.world.ids(1).collect();
        for id in &ids {
            let speed = self.speeds.entry(id.index).or_default();
            if self.rng.random_range(0..8) == 0 {
                *speed = (self.rng.random_range(-9..=9), self.rng.random_range(-9..=9));
            }
            self.world.add(*id, 0, speed.0);
            self.world.add(*id, 1, speed.1);
        }
        if ids.len() < 30 && self.rng.random_range(0..3) > 0 {
            let id = self.world.spawn(1).unwrap();
            self.world.set_text(id, 3, "ball");
        }
        if let Some(id) = ids.get(self.rng.random_range(0..60)) {
            match self.rng.random_range(0..3) {
                0 => self.world.despawn(*id),
                1 => self.world.set(*id, 2, self.rng.random_range(0..=9)),
                _ => self.world.set_text(*id, 3, &format!("ball {}", self.rng.random_range(0..99))),
            }
        }
    }
}

/// A client at a socket that takes a window's bytes more than the client has read.
struct Client {
    standing: Standing,
    outbox: Outbox,
    window: Vec<u8>,
    read: Vec<u8>,
    replica: Replica,
    /// Kinds of the frames that it got.
    got: Vec<u8>,
    /// What it was sent last.
    sent: Bytes,
    /// The last tick whose hash it was told.
    checked: Tick,
    stalls_until: u64,
}

impl Client {
    fn new() -> Client {
        Client {
            standing: Standing::default(),
            outbox: Outbox::default(),
            window: Vec::new(),
            read: Vec::new(),
            replica: Replica::empty(schema()),
            got: Vec::new(),
            sent: Bytes::new(),
            checked: Tick(0),
            stalls_until: 0,
        }
    }

    /// The socket takes what it can; whether nothing waits.
    fn flush(&mut self) -> bool {
        while let Some(front) = self.outbox.front() {
            let count = front.len().min(WINDOW - self.window.len());
            if count == 0 {
                break;
            }
            self.window.extend_from_slice(&front[..count]);
            self.outbox.handle_written(count);
        }
        self.outbox.is_clear()
    }

    /// Reads so many bytes and applies the frames that are whole.
    fn read(&mut self, mut bytes: usize) {
        while bytes > 0 && !self.window.is_empty() {
            let count = bytes.min(self.window.len());
            self.read.extend(self.window.drain(..count));
            bytes -= count;
            self.flush();
        }
        while let Some((length, rest)) = self.read.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some(frame) = rest.get(..length) else { break };
            let progress = self.replica.apply(frame);
            assert!(!matches!(progress, Progress::Gap(_)), "{progress:?} for {:02x}", frame[0]);
            let (kind, hashed) = match frame[0] {
                first @ 0x20..0x30 => (first, first == frame::SNAPSHOT),
                first => (first & 0xf0, first & frame::HASHED != 0),
            };
            self.got.push(kind);
            let tick = self.replica.position().tick;
            self.checked = if hashed { tick } else { self.checked };
            let blocks = [tick, self.checked].map(|tick| tick.0 / HASH_EVERY_TICKS_MAX);
            assert_eq!(blocks[0], blocks[1], "{tick} unchecked since {}", self.checked);
            self.read.drain(..4 + length);
        }
    }

    fn reads_all(&mut self) {
        self.read(usize::MAX);
    }
}

/// An owner, a node that follows it, and the node's clients.
struct Place {
    owner: Owner,
    relay: Relay,
    laggards: Laggards,
    now: Instant,
    clients: Vec<Client>,
    too_slow: usize,
    bases_most: usize,
    /// Ticks that were held back.
    held: usize,
}

impl Place {
    fn new(seed: u64, clients: usize) -> Place {
        Place::quiet(seed, clients, Duration::ZERO)
    }

    /// One that holds ticks back which change nothing.
    fn quiet(seed: u64, clients: usize, longest: Duration) -> Place {
        let owner = Owner::new(seed);
        let mut place = Place {
            relay: owner.relay(),
            owner,
            laggards: Laggards::new(seal, Quiet::new(longest, TickRate::try_from(66u64).unwrap())),
            now: clock::now(),
            clients: (0..clients).map(|_| Client::new()).collect(),
            too_slow: 0,
            bases_most: 0,
            held: 0,
        };
        (0..clients).for_each(|client| place.serve(client));
        place
    }

    fn tick(&mut self, with_prior: bool) {
        self.now += TICK;
        let message = self.owner.tick(with_prior);
        let mut verdict = self.relay.handle_message(&message);
        if let Verdict::Confirm(fence) = verdict {
            self.relay.confirm(fence);
            verdict = self.relay.handle_message(&message);
        }
        let Verdict::FanOut(frames) = verdict else { panic!("fan out") };
        self.laggards.handle_tick(self.relay.position().tick, &frames, self.relay.hash(), false);
        self.held += usize::from(self.laggards.is_held());
        (0..self.clients.len()).for_each(|client| self.serve(client));
        let bases = self.laggards.bases.iter().filter(|base| base.strong_count() > 0).count();
        assert!(bases <= BASES_MAX);
        self.bases_most = self.bases_most.max(bases);
    }

    fn serve(&mut self, client: usize) {
        let (replica, now) = (self.relay.replica(), self.now);
        let Client { standing, outbox, .. } = &mut self.clients[client];
        let is_passed_over = self.laggards.is_held() && standing.is_in_step();
        match self.laggards.next(now, replica, standing, None, || outbox.is_clear()) {
            Next::Wait => {}
            _ if is_passed_over => panic!("a tick that is held back is nothing for who is in step"),
            Next::TooSlow => {
                self.too_slow += 1;
                self.clients[client] = Client::new();
            }
            Next::Send(frame) => {
                self.clients[client].sent = frame.bytes.clone();
                // Panics where a state frame waits already.
                self.clients[client].outbox.push_state(frame.bytes.clone());
                let whole = self.clients[client].flush();
                let standing = &mut self.clients[client].standing;
                self.laggards.handle_sent(replica, standing, &frame, whole);
            }
        }
    }

    /// Ticks of which all clients but `stalls` read everything.
    fn ticks(&mut self, count: u64, stalls: &[usize]) {
        for _ in 0..count {
            self.tick(false);
            let reads = (0..self.clients.len()).filter(|client| !stalls.contains(client));
            reads.collect::<Vec<_>>().into_iter().for_each(|client| self.clients[client].reads_all());
        }
    }

    /// Ticks until this client, which does not read, is behind.
    fn ticks_until_behind(&mut self, client: usize) {
        let others = |standing: &Standing| standing.busy_since.is_none();
        while others(&self.clients[client].standing) {
            self.ticks(1, &[client]);
        }
    }

    fn assert_in_step(&self) {
        for client in &self.clients {
            assert_eq!(client.replica.position(), self.owner.position);
            assert!(client.replica.world().same_state(&self.owner.world));
            assert_eq!(client.replica.steps_known(), STEPS_KNOWN_MAX);
            assert!(matches!(client.standing.has, Has::Everything));
        }
    }
}

#[test]
fn who_keeps_up_costs_nothing() {
    let mut place = Place::new(1, 10);
    place.ticks(100, &[]);
    place.assert_in_step();
    assert_eq!(place.bases_most, 0);
    let counts = place.laggards.take_counts();
    assert_eq!((counts.catch_ups, counts.snapshots_for_slow, counts.frames), (0, 0, 1010));
}

#[test]
fn who_was_slow_gets_one_catch_up_then_two_of_one_tick_then_diffs() {
    let mut place = Place::new(2, 2);
    // Past the first priors, which come close together.
    place.ticks(70, &[]);
    place.ticks_until_behind(0);
    place.ticks(4, &[0]);
    place.clients[0].got.clear();
    place.clients[0].reads_all();
    let owed = place.clients[0].got.len();
    place.ticks(5, &[]);
    let kinds = [frame::CATCHUP, frame::CATCHUP, frame::CATCHUP, frame::DIFF, frame::DIFF];
    assert_eq!(place.clients[0].got[owed..], kinds);
    place.assert_in_step();
    assert!(place.clients[1].got[1..].iter().all(|kind| [frame::DIFF, frame::PRIOR].contains(kind)));
}

#[test]
fn a_frame_that_was_late_by_less_than_a_tick_is_followed_by_a_diff() {
    let mut place = Place::new(3, 2);
    place.ticks(70, &[]);
    // In full flight until something of a frame waits.
    while place.clients[0].outbox.is_clear() {
        place.ticks(1, &[0]);
    }
    place.clients[0].reads_all();
    place.ticks(3, &[]);
    place.assert_in_step();
    assert_eq!(place.laggards.take_counts().catch_ups, 0);
    assert_eq!(place.bases_most, 1);
}

#[test]
fn those_who_fell_behind_together_share_state_and_bytes() {
    let mut place = Place::new(4, 12);
    place.ticks(70, &[]);
    let slow: Vec<usize> = (0..10).collect();
    while place.clients[0].standing.busy_since.is_none() {
        place.ticks(1, &slow);
    }
    assert_eq!(place.bases_most, 1);
    slow.iter().for_each(|client| place.clients[*client].reads_all());
    place.ticks(1, &slow);
    assert_eq!(place.laggards.take_counts().catch_ups, 10);
    let shared = place.clients[0].sent.as_ptr();
    assert!(slow.iter().all(|client| place.clients[*client].sent.as_ptr() == shared), "the very same bytes");
    place.ticks(3, &[]);
    place.assert_in_step();
    assert!(place.bases_most <= 2, "{} bases", place.bases_most);
}

/// What a client gets first that fell behind, after something happened to the match.
fn first_after(happens: impl FnOnce(&mut Place)) -> u8 {
    let mut place = Place::new(5, 2);
    place.ticks(70, &[]);
    place.ticks_until_behind(0);
    happens(&mut place);
    place.clients[0].got.clear();
    place.clients[0].reads_all();
    let owed = place.clients[0].got.len();
    place.ticks(4, &[]);
    place.assert_in_step();
    place.clients[0].got[owed]
}

#[test]
fn what_a_catch_up_cannot_lead_over_is_a_snapshot() {
    assert_eq!(first_after(|place| place.ticks(3, &[0])), frame::CATCHUP);
    assert_eq!(first_after(|place| place.tick(true)), frame::SNAPSHOT);
    assert_eq!(first_after(|place| place.owner.hand_over()), frame::SNAPSHOT);
    assert_eq!(first_after(|place| place.clients[0].standing.lose()), frame::SNAPSHOT);
}

/// How often a client that falls behind is told of an owner, and how its state came, when this happens meanwhile.
fn announced_after(happens: impl FnOnce(&mut Place)) -> (usize, u8) {
    let mut place = Place::new(5, 2);
    place.ticks(70, &[]);
    place.ticks_until_behind(0);
    let owed = |client: &Client| client.outbox.is_clear() && client.window.is_empty();
    happens(&mut place);
    place.ticks(1, &[0]);
    place.clients[0].got.clear();
    place.clients[0].reads_all();
    assert!(owed(&place.clients[0]) && !place.clients[0].got.contains(&frame::OWNER), "what was under way");
    let old = place.clients[0].got.len();
    place.ticks(4, &[]);
    place.assert_in_step();
    let told = |client: &Client| client.got.iter().filter(|kind| **kind == frame::OWNER).count();
    assert!(place.clients[1].got.contains(&frame::OWNER), "who keeps up was told");
    (told(&place.clients[0]), place.clients[0].got[old])
}

#[test]
fn who_was_slow_when_inputs_were_lost_is_told_of_it_once() {
    let lost = |place: &mut Place| Owner::lose_inputs(&mut place.relay);
    assert_eq!(announced_after(lost), (1, frame::CATCHUP));
    let lost_and_prior = |place: &mut Place| {
        lost(place);
        place.tick(true);
    };
    assert_eq!(announced_after(lost_and_prior), (1, frame::SNAPSHOT));
    let twice = |place: &mut Place| {
        lost(place);
        place.ticks(1, &[0]);
        lost(place);
    };
    assert_eq!(announced_after(twice), (1, frame::CATCHUP));
    // The new fence of a snapshot says it all.
    assert_eq!(announced_after(|place| place.owner.hand_over()), (0, frame::SNAPSHOT));
}

#[test]
fn more_ticks_than_a_catch_up_spans_are_a_snapshot() {
    for (ticks, kind) in [(200, frame::CATCHUP), (u64::from(frame::SPAN_MAX), frame::SNAPSHOT)] {
        let first = first_after(|place| {
            // Whatever flies would be elsewhere than it is guessed to be: then a snapshot is smaller anyway.
            place.clients[0].reads_all();
            place.owner.rests = true;
            place.ticks(5, &[]);
            place.ticks_until_behind(0);
            place.ticks(ticks, &[0]);
        });
        assert_eq!(first, kind, "after {ticks} ticks");
    }
}

#[test]
fn who_takes_nothing_for_too_long_is_closed() {
    let mut place = Place::new(6, 2);
    place.ticks(70, &[]);
    place.ticks_until_behind(0);
    let most = (BEHIND_MAX.as_millis() / TICK.as_millis()) as u64;
    place.ticks(most, &[0]);
    assert_eq!(place.too_slow, 0);
    place.ticks(1, &[0]);
    assert_eq!(place.too_slow, 1);
}

#[test]
fn nobody_gets_anything_of_a_broken_state() {
    let mut place = Place::new(7, 1);
    place.ticks(3, &[]);
    // Not the state that the owner has: byte 25 begins the hash.
    let mut wrong = place.owner.tick(false).to_vec();
    wrong[25] ^= 1;
    assert!(matches!(place.relay.handle_message(&wrong.into()), Verdict::Reload(Gap::Desync { .. })));
    place.clients[0].standing.lose();
    place.serve(0);
    assert!(place.clients[0].outbox.is_clear() && place.clients[0].window.is_empty());
}
