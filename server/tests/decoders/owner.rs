//! An owner and a relay of one match over the store's model, told whatever a client, another node or a stranger on a
//! channel may say, in any order. The owner goes on; a relay that nobody lied to has the owner's state at every tick.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tickcast_protocol::{CloseCode, PlayerId, Tick};
use tickcast_server::backplane::store::Store;
use tickcast_server::backplane::{CommitReply, fields};
use tickcast_server::logic::channel::{self, Upstream};
use tickcast_server::logic::relay::{Relay, Resync, Verdict};
use tickcast_server::logic::simulation::Simulation;
use tickcast_server::logic::stored;

use super::sample;

/// What happens: the first byte of each event; some take bytes.
pub(crate) const TICK: u8 = 0;
/// The relay hears what was published.
pub(crate) const HEAR: u8 = 1;
/// What was published is lost, and the relay is told so.
pub(crate) const LOSE: u8 = 2;
/// `length bytes`: a message on the input channel.
pub(crate) const UPSTREAM: u8 = 3;
/// `length bytes`: a message on the diff channel that no owner sent.
pub(crate) const FORGE: u8 = 4;
/// `place mask`: the next message of the diff channel comes damaged, then as it is.
pub(crate) const DAMAGE: u8 = 5;
/// The owner's node dies, another one claims the match.
pub(crate) const TAKE_OVER: u8 = 6;
/// `player seq`: a good input.
pub(crate) const INPUT: u8 = 7;
/// `player`: a good join.
pub(crate) const JOIN: u8 = 8;
/// Ticks within which everybody is in step again: a forged tick ahead of the owner's is found out by the one after.
const TICKS_TO_HEAL: usize = 3;
/// Events of one input at most.
const EVENTS_MAX: usize = 256;

struct Scene {
    store: Store,
    now_ms: u64,
    nonce: u64,
    owner: Simulation,
    relay: Relay,
    published: VecDeque<Bytes>,
    /// The hash of the owner's state after each tick.
    truth: BTreeMap<Tick, u32>,
    /// A stranger's message led the relay astray, and no load has brought it back since.
    is_deceived: bool,
}

/// A sequence of events.
pub(crate) fn owner(input: &[u8]) -> bool {
    let mut scene = Scene::new();
    let mut rest = input;
    for _ in 0..EVENTS_MAX {
        let Some((event, behind)) = rest.split_first() else { break };
        rest = scene.happen(*event, behind);
    }
    scene.published.clear();
    scene.load();
    for _ in 0..TICKS_TO_HEAL {
        scene.tick();
        scene.hear_all();
    }
    assert_eq!(scene.relay.replica().position(), scene.owner.position(), "all is well again");
    scene.is_deceived = false;
    scene.assert_in_step();
    !input.is_empty()
}

impl Scene {
    fn new() -> Scene {
        let mut store = sample::store().clone();
        let now_ms = 1_000_000;
        let owner = sample::claim(&mut store, 1, now_ms).expect("the lease is over");
        let restored = stored::restore(&store.load(&sample::id()).expect("a match")).expect("a good one");
        let relay = Relay::loaded(restored);
        let truth = BTreeMap::from([(owner.position().tick, owner.world().hash())]);
        let published = VecDeque::new();
        Scene { store, now_ms, nonce: 1, owner, relay, published, truth, is_deceived: false }
    }

    fn happen<'a>(&mut self, event: u8, behind: &'a [u8]) -> &'a [u8] {
        let take = |count: usize| behind.split_at(behind.len().min(count));
        let told = || {
            let length = behind.first().map_or(0, |length| usize::from(*length));
            let behind = behind.get(1..).unwrap_or_default();
            behind.split_at(behind.len().min(length))
        };
        match event % 9 {
            TICK => self.tick(),
            HEAR => self.hear_all(),
            LOSE => {
                self.published.clear();
                self.load();
            }
            UPSTREAM => {
                let (message, rest) = told();
                channel::parse_upstream(message).into_iter().flatten().for_each(|said| self.say(said));
                return rest;
            }
            FORGE => {
                let (message, rest) = told();
                self.deceive(&Bytes::copy_from_slice(message));
                return rest;
            }
            DAMAGE => {
                let (bytes, rest) = take(2);
                if let ([place, mask @ 1..=255], Some(message)) = (bytes, self.published.front()) {
                    let mut message = message.to_vec();
                    let at = usize::from(*place) % message.len();
                    message[at] ^= mask;
                    self.deceive(&message.into());
                }
                return rest;
            }
            TAKE_OVER => self.take_over(),
            INPUT => {
                let (bytes, rest) = take(2);
                if let [player, seq] = bytes {
                    let input = sample::input(&self.owner, u32::from(*player), u32::from(*seq));
                    self.say(input);
                }
                return rest;
            }
            _ => {
                let (bytes, rest) = take(1);
                bytes.iter().for_each(|player| self.say(sample::join(u32::from(*player))));
                return rest;
            }
        }
        behind
    }

    fn say(&mut self, said: Upstream) {
        self.owner.handle_upstream(said);
    }

    /// The owner makes a tick; the store takes it.
    fn tick(&mut self) {
        let before = self.owner.position().tick;
        let produced = self.owner.handle_tick(self.now_ms);
        assert_eq!(produced.commit.tick, Tick(before.0 + 1));
        assert!(self.owner.players() as u64 <= sample::PLAYERS_MAX, "{} players", self.owner.players());
        assert_eq!(self.owner.world().hash(), self.owner.world().recomputed_hash());
        self.truth.insert(produced.commit.tick, self.owner.world().hash());
        self.now_ms += 50;
        let (reply, publication) = self.store.commit(&sample::id(), &produced.commit, self.now_ms);
        assert_eq!(reply, CommitReply::Ok);
        self.published.extend(publication.map(|publication| publication.message));
        self.published.extend(produced.notes.iter().map(channel::encode_note));
    }

    fn hear_all(&mut self) {
        while let Some(message) = self.published.pop_front() {
            self.hear(&message);
            self.assert_in_step();
        }
    }

    /// Does what a relay's shell does with a message. Whether it was passed on.
    fn hear(&mut self, message: &Bytes) -> bool {
        match self.relay.handle_message(message) {
            Verdict::FanOut(frames) => {
                assert!(!frames.is_empty());
                return true;
            }
            Verdict::Reload(_) => self.load(),
            Verdict::Confirm(fence) => {
                let stored = self.store.load(&sample::id()).expect("a match");
                if fields::fence(&stored) == Some(fence) {
                    self.relay.confirm(fence);
                    return self.hear(message);
                }
            }
            Verdict::Refuse(_, code) => assert_ne!(code, CloseCode::Normal),
            Verdict::Resumed { player, .. } | Verdict::RefuseChat { player, .. } => {
                assert_ne!(player, PlayerId::OF_GAME)
            }
            Verdict::Ended | Verdict::Released | Verdict::Ignore | Verdict::Foreign => {}
        }
        false
    }

    /// A message that is not the owner's. It may be passed on where it does no harm, for it says when it was sent; and
    /// who knows the ownership and the state may lead a relay astray, until the next tick of the owner.
    fn deceive(&mut self, message: &Bytes) {
        let before = self.relay.replica().position();
        if self.hear(message) && self.relay.replica().position() != before {
            let replica = self.relay.replica();
            self.is_deceived |= self.truth.get(&replica.position().tick) != Some(&replica.world().hash());
        }
    }

    fn load(&mut self) {
        let fields = self.store.load(&sample::id()).expect("a match");
        let restored = stored::restore(&fields).expect("what an owner wrote can be read");
        // A copy that was deceived does not know it: a later tick will not fit, and then it is of no use.
        match self.relay.handle_load(&fields, restored) {
            Resync::Forward | Resync::Reset { .. } => self.is_deceived = false,
            Resync::Missed(_) | Resync::Kept => {}
        }
    }

    fn take_over(&mut self) {
        self.nonce += 1;
        self.now_ms += 2 * sample::LEASE.as_millis() as u64;
        let next = sample::claim(&mut self.store, self.nonce, self.now_ms).expect("the lease is over");
        let mut old = std::mem::replace(&mut self.owner, next);
        assert_eq!(
            self.owner.world().hash(),
            old.world().hash(),
            "the next owner goes on from the last tick"
        );
        let late = old.handle_tick(self.now_ms).commit;
        assert_eq!(self.store.commit(&sample::id(), &late, self.now_ms).0, CommitReply::Fenced);
    }

    fn assert_in_step(&self) {
        let replica = self.relay.replica();
        if !self.is_deceived && !replica.is_broken() && replica.position() == self.owner.position() {
            assert_eq!(replica.world().hash(), self.owner.world().hash(), "at {:?}", replica.position());
        }
    }
}
