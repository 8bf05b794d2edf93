//! Clients that differ in what they may see follow a world of random changes: each has all that is in its view and nothing
//! else, and what it is sent has no section of the rest.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::frame::{self, StateFrame};
use crate::ids::{Epoch, Fence, Nonce};
use crate::prior::Prior;
use crate::replica::{Progress, Replica};
use crate::schema::{Field, Kind};
use crate::sections::{Index, Sections};
use crate::tick::{Position, Tick};

/// Segments that the tests use.
const SEGMENTS: u16 = 5;
const X: usize = 0;
const LABEL: usize = 1;
const THING: u8 = 1;

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    let thing = Kind::new("thing", [Field::linear("x", -1000, 1000), Field::text("label", 5)]);
    Schema::new("demo", "player", [player, thing], []).unwrap()
}

/// A match's owner, and what it sends.
struct Owner {
    whole: World,
    segments: Segments,
    encoder: Encoder,
    position: Position,
}

impl Owner {
    fn new() -> Owner {
        let fence = Fence { epoch: Epoch(1), nonce: Nonce(7) };
        Owner {
            whole: World::new(schema()),
            segments: Segments::new(schema()),
            encoder: Encoder::new(Prior::first(&schema())),
            position: Position { fence, tick: Tick(0) },
        }
    }

    /// Commits what was changed; returns the tick's sections.
    fn commit(&mut self, proven: bool) -> Vec<u8> {
        self.segments.mirror(&self.whole);
        let mut sections = Vec::new();
        self.segments.commit(&mut self.encoder, proven, |_| true, &mut sections);
        self.whole.advance();
        self.position.tick = self.position.tick.next();
        assert_eq!(self.segments.hash(), self.whole.hash());
        sections
    }

    fn frame(&self, sections: &[u8]) -> Vec<u8> {
        frame::segments(self.position, self.encoder.prior().number(), sections)
    }

    /// What somebody gets who begins.
    fn view(&self, view: &[SegmentId]) -> Vec<u8> {
        let mut prior = Vec::new();
        self.encoder.prior().encode(&mut prior);
        let sections: Vec<u8> = view.iter().filter_map(|id| self.segments.entered(*id)).flatten().collect();
        frame::view(self.position, &prior, &sections)
    }

    /// What is to be seen of the state: the entities of these segments.
    fn seen(&self, view: &[SegmentId]) -> BTreeMap<EntityId, (i32, String)> {
        let ids = self.whole.ids(THING).filter(|id| view.contains(&self.whole.segment(*id)));
        ids.map(|id| (id, self.of(id))).collect()
    }

    fn of(&self, id: EntityId) -> (i32, String) {
        (self.whole.get(id, X), self.whole.text(id, LABEL).to_owned())
    }
}

/// Somebody who gets a part of the segments.
#[derive(Clone)]
struct Client {
    view: Vec<SegmentId>,
    replica: Replica,
}

impl Client {
    fn begins(owner: &Owner, view: &[SegmentId]) -> Client {
        let mut replica = Replica::empty(schema());
        assert_eq!(replica.apply(&owner.view(view)), Progress::Advanced);
        Client { view: view.to_vec(), replica }
    }

    /// Gets a tick, and from now on the segments of another view.
    fn follow(&mut self, owner: &Owner, sections: &[u8], view: &[SegmentId]) {
        let mut bytes = Vec::new();
        let enter = |id, out: &mut Vec<u8>| out.extend(owner.segments.entered(id).unwrap_or_default());
        Index::of(sections).unwrap().cut(sections, &self.view, view, enter, &mut bytes);
        for cut in Sections::new(&bytes) {
            let cut = cut.unwrap();
            assert!(view.contains(&cut.segment) || cut.section == Section::Left, "a section of another view");
        }
        assert_eq!(self.replica.apply(&owner.frame(&bytes)), Progress::Advanced);
        self.view = view.to_vec();
    }

    /// Gets what was missed, and from now on the segments of another view.
    fn leap(&mut self, owner: &Owner, span: u8, view: &[SegmentId]) {
        let mut bytes = Vec::new();
        for number in 0..SEGMENTS {
            let id = SegmentId(number);
            match owner.segments.entered(id) {
                Some(section) if view.contains(&id) => bytes.extend_from_slice(&section),
                _ => sections::put(&mut bytes, id, Section::Left),
            }
        }
        assert_eq!(self.replica.apply(&frame::leap(owner.position, span, &bytes)), Progress::Advanced);
        self.view = view.to_vec();
    }

    fn check(&self, owner: &Owner) {
        let world = self.replica.world();
        let of = |id| (id, (world.get(id, X), world.text(id, LABEL).to_owned()));
        let seen: BTreeMap<EntityId, (i32, String)> = world.ids(THING).map(of).collect();
        assert_eq!(seen, owner.seen(&self.view));
        assert_eq!(self.replica.position(), owner.position);
        assert_eq!(world.hash(), world.recomputed_hash());
        for (id, ours) in self.replica.segments().unwrap().iter() {
            let theirs = owner.segments.get(id).expect("a segment that the owner has");
            assert!(ours.same_state(theirs), "segment {id}: {:?}", ours.first_difference(theirs));
        }
    }
}

fn all() -> Vec<SegmentId> {
    (0..SEGMENTS).map(SegmentId).collect()
}

fn some(rng: &mut StdRng) -> Vec<SegmentId> {
    all().into_iter().filter(|_| rng.random_bool(0.5)).collect()
}

/// Changes a few things.
fn change(world: &mut World, rng: &mut StdRng) {
    for _ in 0..rng.random_range(0..6) {
        let ids: Vec<EntityId> = world.ids(THING).collect();
        let segment = SegmentId(rng.random_range(0..SEGMENTS));
        match (rng.random_range(0..10), ids.get(rng.random_range(0..ids.len().max(1)))) {
            (0..3, _) | (_, None) => {
                let id = world.spawn(THING).unwrap();
                world.set(id, X, rng.random_range(-1000..1000));
                world.place(id, segment);
            }
            (3, Some(id)) => world.despawn(*id),
            (4, Some(id)) => world.set_text(*id, LABEL, ["a", "bcd", ""][rng.random_range(0..3)]),
            (5..7, Some(id)) => world.place(*id, segment),
            (_, Some(id)) => world.add(*id, X, rng.random_range(-9..9)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everybody_has_what_is_in_the_view_and_nothing_else(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut owner = Owner::new();
        let mut node = Client::begins(&owner, &all());
        let mut clients: Vec<Client> = (0..4).map(|_| Client::begins(&owner, &some(&mut rng))).collect();
        let mut away = [0u8; 4];
        for tick in 0..60 {
            change(&mut owner.whole, &mut rng);
            let sections = owner.commit(tick % 4 == 0);
            node.follow(&owner, &sections, &all());
            node.check(&owner);
            prop_assert!(node.replica.world().first_difference(&owner.whole).is_none());
            for (client, away) in clients.iter_mut().zip(&mut away) {
                let view = if rng.random_bool(0.2) { some(&mut rng) } else { client.view.clone() };
                match *away {
                    0 if rng.random_bool(0.9) => client.follow(&owner, &sections, &view),
                    missed if missed > 3 || rng.random_bool(0.3) => {
                        client.leap(&owner, missed + 1, &view);
                        *away = 0;
                    }
                    _ => {
                        *away += 1;
                        continue;
                    }
                }
                client.check(&owner);
            }
            // What a node has is what a client could begin with on it.
            let copy = node.replica.segments().unwrap();
            prop_assert!(all().iter().all(|id| copy.entered(*id) == owner.segments.entered(*id)));
            if let Some(prior) = owner.encoder.poll_prior() {
                let mut bytes = Vec::new();
                prior.encode(&mut bytes);
                let bytes = frame::prior(owner.position, &bytes);
                prop_assert_eq!(node.replica.apply(&bytes), Progress::Stale);
                for (client, away) in clients.iter_mut().zip(&mut away) {
                    // Somebody who is away begins anew.
                    if *away > 0 {
                        *client = Client::begins(&owner, &client.view.clone());
                        *away = 0;
                    } else {
                        prop_assert_eq!(client.replica.apply(&bytes), Progress::Stale);
                    }
                }
            }
        }
    }

    #[test]
    fn noise_is_an_error_and_no_panic(bytes: Vec<u8>) {
        let mut owner = Owner::new();
        change(&mut owner.whole, &mut StdRng::seed_from_u64(1));
        owner.commit(false);
        let mut client = Client::begins(&owner, &all());
        owner.position.tick = owner.position.tick.next();
        for frame in [owner.frame(&bytes), frame::leap(owner.position, 1, &bytes)] {
            client.replica.apply(&frame);
            prop_assert!(client.replica.segments().is_some());
        }
        client.replica.apply(&frame::view(owner.position, b"", &bytes));
    }
}

#[test]
fn who_goes_from_one_seen_segment_to_another_goes_on() {
    let mut owner = Owner::new();
    let id = owner.whole.spawn(THING).unwrap();
    owner.commit(false);
    let mut both = Client::begins(&owner, &[SegmentId(0), SegmentId(1)]);
    let mut one = Client::begins(&owner, &[SegmentId(0)]);
    for x in 1..4 {
        owner.whole.set(id, X, x);
        owner.whole.place(id, SegmentId(u16::from(x == 3)));
        let sections = owner.commit(true);
        for client in [&mut both, &mut one] {
            let view = client.view.clone();
            client.follow(&owner, &sections, &view);
        }
    }
    let past = both.replica.world().tables[usize::from(THING)].past(id.index, 0);
    assert_eq!((past.last, past.prior, past.older), (3, 2, 1), "no break in its motion");
    assert!(!one.replica.world().contains(id));
    assert_eq!(one.replica.segments().unwrap().iter().count(), 0);
}

#[test]
fn a_tick_costs_what_changed() {
    let mut owner = Owner::new();
    for number in 0..100 {
        let id = owner.whole.spawn(THING).unwrap();
        owner.whole.place(id, SegmentId(number));
    }
    let sections =
        |bytes: &[u8]| Sections::new(bytes).map(|cut| cut.unwrap().segment.0).collect::<Vec<u16>>();
    assert_eq!(sections(&owner.commit(false)).len(), 100);
    assert_eq!(sections(&owner.commit(false)), [0; 0]);
    owner.whole.set(EntityId { kind: THING, index: 7 }, X, 5);
    assert_eq!(sections(&owner.commit(false)), [7]);
    assert_eq!(sections(&owner.commit(false)), [7], "it stops, which was not expected");
    assert_eq!(sections(&owner.commit(false)), [0; 0]);
    owner.whole.set(EntityId { kind: THING, index: 7 }, X, 7);
    assert_eq!(sections(&owner.commit(false)), [7], "it begins to move");
    owner.whole.set(EntityId { kind: THING, index: 7 }, X, 9);
    assert_eq!(sections(&owner.commit(false)), [0; 0], "that goes without saying");
    (0..3).for_each(|_| drop(owner.commit(false)));
    assert_eq!(sections(&owner.commit(true)).len(), 100, "each hash is told once");
    assert_eq!(sections(&owner.commit(true)), [0; 0]);
    owner.whole.despawn(EntityId { kind: THING, index: 7 });
    let last = owner.commit(false);
    let Some(Ok(cut)) = Sections::new(&last).next() else { panic!("one section") };
    assert!(
        matches!(cut.section, Section::Changed { hash: Some(0), .. }),
        "nobody keeps what is gone: {cut:?}"
    );
}

#[test]
fn an_entity_in_two_segments_and_a_false_hash_are_found() {
    let mut owner = Owner::new();
    let id = owner.whole.spawn(THING).unwrap();
    owner.commit(false);
    let mut twice = Segments::new(schema());
    twice.mirror(&{
        let mut world = World::new(schema());
        world.spawn_at(id).unwrap();
        world
    });
    let mut sections = Vec::new();
    twice.commit(&mut Encoder::new(Prior::first(&schema())), true, |_| true, &mut sections);
    let Some(Ok(cut)) = Sections::new(&sections).next() else { panic!("one section") };
    let Section::Changed { hash, payload } = cut.section else { panic!("a diff") };
    let begun = Client::begins(&owner, &all());
    owner.position.tick = owner.position.tick.next();
    let gap = |hash| {
        let mut client = begun.clone();
        let mut bytes = Vec::new();
        sections::put(&mut bytes, SegmentId(3), Section::Changed { hash, payload });
        assert!(matches!(frame::parse(&owner.frame(&bytes)), Ok(StateFrame::Segments { .. })));
        format!("{:?}", client.replica.apply(&owner.frame(&bytes)))
    };
    assert!(gap(hash).contains("an entity in two segments"), "{}", gap(hash));
    assert!(gap(Some(1)).contains("Desync"), "{}", gap(Some(1)));
}

#[test]
fn segments_together_hold_no_more_than_a_world() {
    let owner = Owner::new();
    let mut bytes = Vec::new();
    for kind in [0, THING] {
        let mut segments = Segments::new(schema());
        let mut whole = World::new(schema());
        for index in 0..40_000 {
            let id = EntityId { kind, index };
            whole.spawn_at(id).unwrap();
            whole.place(id, SegmentId(u16::from(kind)));
        }
        segments.mirror(&whole);
        segments.commit(&mut Encoder::new(Prior::first(&schema())), false, |_| true, &mut Vec::new());
        bytes.extend(segments.entered(SegmentId(u16::from(kind))).unwrap());
    }
    let mut prior = Vec::new();
    Prior::first(&schema()).encode(&mut prior);
    let mut replica = Replica::empty(schema());
    let progress = replica.apply(&frame::view(owner.position, &prior, &bytes));
    assert!(format!("{progress:?}").contains("more entities than a world takes"), "{progress:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What a store holds of a match, and who takes it over from there.
    #[test]
    fn a_match_goes_on_from_its_records_as_if_nothing_had_been(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut owner = Owner::new();
        let mut records: BTreeMap<EntityId, Vec<u8>> = BTreeMap::new();
        for tick in 0..100 {
            change(&mut owner.whole, &mut rng);
            owner.commit(tick % 4 == 0);
            for id in owner.segments.take_touched(&mut owner.whole) {
                match owner.segments.record(owner.whole.segment(id), id) {
                    Some(record) => records.insert(id, record),
                    None => records.remove(&id),
                };
            }
            let stored = records.iter().map(|(id, bytes)| (*id, bytes.as_slice()));
            let (mut segments, whole) = record::decode_segments(schema(), stored).unwrap();
            assert_eq!(whole.hash(), owner.whole.hash());
            for (id, theirs) in owner.segments.iter() {
                let ours = segments.get(id).expect("a segment that the owner has");
                assert!(ours.same_state(theirs), "segment {id}: {:?}", ours.first_difference(theirs));
            }
            assert_eq!(segments.iter().count(), owner.segments.iter().count());
            segments.settle_in(&whole);
            if tick % 10 == 9 {
                owner.segments = segments;
                owner.whole = whole;
                owner.segments.take_touched(&mut owner.whole);
            }
        }
    }
}

#[test]
fn nothing_is_learned_from_secrets() {
    let mut owner = Owner::new();
    let secret = owner.whole.spawn(THING).unwrap();
    owner.whole.place(secret, SegmentId(1));
    let (mut plain, mut learning) = (owner.encoder.clone(), owner.encoder.clone());
    let mut published = [false; 2];
    for tick in 0..64 {
        owner.whole.set(secret, X, (tick * tick * 37) % 900);
        let mut as_it_is = owner.segments.clone();
        as_it_is.mirror(&owner.whole);
        owner.segments.mirror(&owner.whole);
        let (mut hidden, mut shown) = (Vec::new(), Vec::new());
        owner.segments.commit(&mut plain, false, |id| id == SegmentId::EVERYONE, &mut hidden);
        as_it_is.commit(&mut learning, false, |_| true, &mut shown);
        owner.whole.advance();
        published[0] |= plain.poll_prior().is_some();
        published[1] |= learning.poll_prior().is_some();
        if !published[1] {
            assert_eq!(hidden, shown, "it is coded alike");
        }
    }
    assert_eq!(published, [false, true]);
}

#[test]
fn a_record_of_a_segment_is_refused_where_there_are_none_and_beyond_the_last() {
    let mut owner = Owner::new();
    let id = owner.whole.spawn(THING).unwrap();
    owner.whole.place(id, SegmentId(3));
    owner.commit(true);
    let mut bytes = owner.segments.record(SegmentId(3), id).unwrap();
    assert_eq!(owner.segments.record(SegmentId(2), id), None);
    let (_, refused) = record::decode_entities(schema(), [(id, &bytes[..])]).unwrap_err();
    assert!(refused.to_string().contains("a segment, in a match that has none"), "{refused}");
    assert!(record::decode_segments(schema(), [(id, &bytes[..])]).is_ok());
    bytes.splice(1..2, [0x80, 0x20]);
    assert!(record::decode_segments(schema(), [(id, &bytes[..])]).is_err(), "segment 4096");
}
