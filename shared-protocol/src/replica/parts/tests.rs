//! What a replica in segments does not take: diffs where none belong, frames of matches that everybody sees all of, and
//! more entities than a world holds.

use std::sync::Arc;

use crate::diff::Encoder;
use crate::frame;
use crate::ids::SegmentId;
use crate::limits::SEGMENTS_MAX;
use crate::prior::Prior;
use crate::replica::{Gap, Progress, Replica};
use crate::schema::{Field, Kind, Schema};
use crate::sections::{self, Section};
use crate::segments::Segments;
use crate::tick::{Position, Tick};
use crate::world::World;

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    Schema::new("demo", "player", [player], []).unwrap()
}

fn at(tick: u64) -> Position {
    Position { tick: Tick(tick), ..Position::default() }
}

/// What leads from nothing to so many entities in segment 0: as a diff, and as a snapshot.
fn born(count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut world = World::new(schema());
    (0..count).for_each(|_| assert!(world.spawn(0).is_ok()));
    let (mut changed, mut payload) = (Vec::new(), Vec::new());
    Encoder::new(Prior::first(&schema())).encode(&world, &mut payload);
    sections::put(&mut changed, SegmentId(0), Section::Changed { hash: None, payload: &payload });
    world.advance();
    let mut segments = Segments::new(schema());
    segments.replace(SegmentId(0), Some(world));
    (changed, segments.entered(SegmentId(0)).unwrap())
}

fn view(tick: u64, sections: &[u8]) -> Vec<u8> {
    frame::view(at(tick), &[0], sections)
}

fn begun() -> Replica {
    let mut replica = Replica::empty(schema());
    assert_eq!(replica.apply(&view(5, &[])), Progress::Advanced);
    replica
}

fn refusal(replica: &mut Replica, frame: &[u8]) -> String {
    match replica.apply(frame) {
        Progress::Gap(gap @ Gap::Broken { .. }) => gap.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn diffs_are_in_frames_of_the_next_tick_alone() {
    let (changed, entered) = born(1);
    assert_eq!(begun().apply(&frame::segments(at(6), 0, &changed)), Progress::Advanced);
    assert_eq!(begun().apply(&frame::leap(at(6), 1, &entered)), Progress::Advanced);
    for frame in [frame::leap(at(6), 1, &changed), view(6, &changed), view(u64::MAX, &changed)] {
        let refusal = refusal(&mut begun(), &frame);
        assert!(refusal.contains("a diff in a frame that has none"), "{refusal}");
    }
}

#[test]
fn a_match_is_in_segments_or_it_is_not() {
    let mut world = World::new(schema());
    let mut snapshot = Vec::new();
    crate::snapshot::encode(&world, &mut snapshot);
    let snapshot = frame::snapshot(at(5), 0, &[0], &snapshot);
    world.advance();
    let whole = || {
        let mut replica = Replica::empty(schema());
        assert_eq!(replica.apply(&snapshot), Progress::Advanced);
        replica
    };
    let of_whole = [frame::diff(at(6), 0, None, &[]), frame::catch_up(at(6), 1, None, &[])];
    let of_parts = [frame::segments(at(6), 0, &[]), frame::leap(at(6), 1, &[])];
    for (of_whole, of_parts) in of_whole.iter().zip(&of_parts) {
        assert_eq!(whole().apply(of_whole), Progress::Advanced);
        assert_eq!(begun().apply(of_parts), Progress::Advanced);
        let said = refusal(&mut begun(), of_whole);
        assert!(said.contains("a change of the whole of a match in segments"), "{said}");
        let said = refusal(&mut whole(), of_parts);
        assert!(said.contains("segments of a match that has none"), "{said}");
        // Before the first state they are early, and no mistake.
        for frame in [of_whole, of_parts] {
            assert_eq!(Replica::empty(schema()).apply(frame), Progress::Gap(Gap::Waiting));
        }
    }
}

#[test]
fn a_frame_does_not_fill_the_memory_before_it_is_refused() {
    let (_, entered) = born(60_000);
    let Some(Ok(cut)) = sections::Sections::new(&entered).next() else { panic!("one section") };
    let mut bytes = Vec::new();
    for number in 0..SEGMENTS_MAX as u16 {
        sections::put(&mut bytes, SegmentId(number), cut.section);
    }
    // The third one is the first that cannot be; the last would be found false later.
    bytes.truncate(3 * (entered.len() + 1));
    let refusal = refusal(&mut Replica::empty(schema()), &view(6, &bytes));
    assert!(refusal.contains("more entities than a world takes"), "{refusal}");
}
