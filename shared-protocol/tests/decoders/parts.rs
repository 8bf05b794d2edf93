//! Checks of a match in segments: a replica that has some of them is given sections that somebody made up.

use std::sync::Arc;

use tickcast_protocol::diff::Encoder;
use tickcast_protocol::limits::SEGMENTS_MAX;
use tickcast_protocol::segments::Segments;
use tickcast_protocol::{Progress, Replica, SegmentId, Tick, World, frame};

use super::checks::{assert_sound, born_max, head};
use super::conversation::position_of;
use super::scenes::{self, Dice, Moment, Scene};

/// Segments that a moment's entities are in.
const SEGMENTS: u16 = 3;
/// Frames of one input that are looked at.
const FRAMES_MAX: usize = 16;

/// Forms of a frame of an input.
const CHANGES: u8 = 0;
const LEAP: u8 = 1;
const VIEW: u8 = 2;

/// A replica of a moment in segments that sections are given to: `moment`, then frames of `form length(2) sections`.
pub(super) fn segments(input: &[u8]) -> bool {
    let ([moment], mut input) = head(input);
    let (scene, moment, _) = scenes::pick(moment, 0);
    let mut replica = begun(scene, moment);
    let mut advanced = false;
    for _ in 0..FRAMES_MAX {
        let ([form, low, high], rest) = head(input);
        let length = rest.len().min(usize::from(u16::from_le_bytes([low, high])));
        let (sections, rest) = rest.split_at(length);
        let mut position = replica.position();
        position.tick = Tick(position.tick.0.saturating_add(1));
        let bytes = match form % 3 {
            CHANGES => frame::segments(position, replica.prior().number(), sections),
            LEAP => frame::leap(position, 1, sections),
            _ => frame::view(position, &prior_of(scene), sections),
        };
        let before = replica.world().len();
        match replica.apply(&bytes) {
            Progress::Advanced => {
                advanced = true;
                let held = if form % 3 == VIEW { 0 } else { before };
                let born = replica.world().len().saturating_sub(held);
                assert!(born <= born_max(bytes.len()), "{born} entities of {} bytes", bytes.len());
                assert_together(&replica);
            }
            progress => assert!(replica.is_broken(), "{progress:?} of a frame that follows"),
        }
        input = rest;
        if input.is_empty() {
            break;
        }
    }
    advanced
}

/// That the parts are the whole.
fn assert_together(replica: &Replica) {
    let (whole, segments) = (replica.world(), replica.segments().expect("it has begun with some"));
    assert_sound(whole);
    assert_eq!(segments.hash(), whole.hash());
    assert_eq!(segments.iter().map(|(_, world)| world.len()).sum::<usize>(), whole.len());
    assert!(segments.iter().count() <= SEGMENTS_MAX);
    for (id, world) in segments.iter() {
        assert!(!world.is_empty(), "segment {id} is empty");
        assert_sound(world);
    }
}

fn prior_of(scene: &Scene) -> Vec<u8> {
    let mut bytes = Vec::new();
    scene.priors[0].encode(&mut bytes);
    bytes
}

/// A world's changes, its entities spread over the segments.
fn spread(world: &mut World) {
    let kinds = world.schema().kinds().len() as u8;
    let ids: Vec<_> = (0..kinds).flat_map(|kind| world.ids(kind)).collect();
    ids.into_iter().for_each(|id| world.place(id, SegmentId(id.index % SEGMENTS)));
}

/// An owner of a moment's state.
fn owner(scene: &Scene, moment: &Moment) -> (World, Segments, Encoder) {
    let mut world = World::new(Arc::clone(&scene.schema));
    let kinds = scene.schema.kinds().len() as u8;
    for id in (0..kinds).flat_map(|kind| moment.world.ids(kind)) {
        world.spawn_at(id).expect("it has room");
    }
    spread(&mut world);
    let mut segments = Segments::new(Arc::clone(&scene.schema));
    let mut encoder = Encoder::new(Arc::clone(&scene.priors[0]));
    segments.mirror(&world);
    segments.commit(&mut encoder, true, |_| true, &mut Vec::new());
    world.advance();
    (world, segments, encoder)
}

fn all_of(segments: &Segments) -> Vec<u8> {
    (0..SEGMENTS).filter_map(|number| segments.entered(SegmentId(number))).flatten().collect()
}

fn begun(scene: &Scene, moment: &Moment) -> Replica {
    let (_, segments, _) = owner(scene, moment);
    let mut replica = Replica::empty(Arc::clone(&scene.schema));
    let frame = frame::view(position_of(moment), &prior_of(scene), &all_of(&segments));
    assert_eq!(replica.apply(&frame), Progress::Advanced);
    replica
}

/// What an owner would send after each moment.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut dice = Dice(9);
    let seed = |(number, (scene, moment)): (u8, (&Scene, &Moment))| {
        let (mut world, mut segments, mut encoder) = owner(scene, moment);
        let mut input = vec![number];
        for proven in [false, true, false] {
            scenes::play(&mut world, &mut dice);
            spread(&mut world);
            let mut sections = Vec::new();
            segments.mirror(&world);
            segments.commit(&mut encoder, proven, |_| true, &mut sections);
            world.advance();
            say(&mut input, CHANGES, &sections);
        }
        say(&mut input, LEAP, &all_of(&segments));
        say(&mut input, VIEW, &all_of(&segments));
        input
    };
    (0..).zip(scenes::moments()).map(seed).collect()
}

fn say(input: &mut Vec<u8>, form: u8, sections: &[u8]) {
    input.push(form);
    input.extend((sections.len() as u16).to_le_bytes());
    input.extend(sections);
}
