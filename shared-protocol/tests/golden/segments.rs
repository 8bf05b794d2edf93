//! A match in segments, step by step: every kind of section, and what a client must not take.

use tickcast_protocol::sections::{self, Section, Sections};
use tickcast_protocol::{EntityId, Position, SegmentId, Tick, frame, snapshot};

use crate::frames::position;
use crate::parts::{Owner, Viewer};
use crate::worlds;

const PLAYER: u8 = 0;
const BALL: u8 = 1;
/// Not in the view at first; its number takes two bytes.
const HIDDEN: u16 = 300;

pub(crate) fn run() -> Viewer {
    let about = "A client that gets some segments of a match: sections of every kind, entities that go from one\n\
                 segment to another, a prior, another owner, ticks that it missed, and frames that it must\n\
                 not take. The schema is in duel.schema.json. Apply in order to an empty replica.";
    let mut owner = Owner::new(&worlds::duel(), position(2, 0x1122_3344_5566_7788, 18));
    let mut one = Viewer::new(&worlds::duel(), "segments.hex", about);
    owner.put(0, PLAYER, 0, &[("player", 1), ("x", 120), ("hp", 100)]);
    owner.put(5, BALL, 0, &[("x", 50)]);
    owner.put(9, BALL, 1, &[("x", 90)]);
    owner.put(HIDDEN, BALL, 2, &[("x", 300)]);
    owner.next(false);
    owner.set(EntityId { kind: BALL, index: 1 }, &[("x", 92)]);
    let early = owner.next(false);
    one.deliver("seg_too_early", "a diff in segments while waiting for a view", owner.frame_of(&early));
    one.begin(&owner, &[0, 5], "seg_view", "all of the segments 0 and 5 at tick 20");
    sections_of_each_kind(&mut owner, &mut one);
    one.deliver("seg_prior", "a prior for the diffs after tick 27", owner.publish());
    missed(&mut owner, &mut one);
    refused(&mut owner, &mut one);
    one
}

fn sections_of_each_kind(owner: &mut Owner, one: &mut Viewer) {
    let [zoe, ball, other, hidden] =
        [(PLAYER, 0), (BALL, 0), (BALL, 1), (BALL, 2)].map(|(kind, index)| EntityId { kind, index });
    owner.set(zoe, &[("seq", 1), ("x", 125)]);
    let sections = owner.next(false);
    one.follow(owner, &sections, &[0, 5], ("seg_21", "CHANGED 0; nothing is said of 5, which lies still"));
    owner.set(zoe, &[("seq", 2), ("x", 130)]);
    let sections = owner.next(false);
    let told = "0 goes on as it is guessed to, without a word; ENTERED 9, of whose ball the steps are told";
    one.follow(owner, &sections, &[0, 5, 9], ("seg_22", told));
    owner.set(other, &[("x", 94)]);
    owner.put(9, BALL, ball.index, &[("x", 54)]);
    let sections = owner.next(false);
    let told =
        "ball:0 goes from 5, which is no more, to 9: it goes on, and is a newborn there to the next diff";
    one.follow(owner, &sections, &[0, 5, 9], ("seg_23", told));
    owner.set(zoe, &[("seq", 2), ("x", 130)]);
    owner.set(ball, &[("x", 58)]);
    owner.put(5, BALL, hidden.index, &[("x", 301)]);
    let sections = owner.next(true);
    let told = "PROVEN 0, 5 and 9; ball:2 comes from a segment that the client does not get: it is born";
    one.follow(owner, &sections, &[0, 5, 9], ("seg_24", told));
    owner.set(other, &[("x", 94)]);
    owner.put(HIDDEN, BALL, 3, &[("x", -7)]);
    let sections = owner.next(false);
    let told = "LEFT 9 with ball:0 and ball:1; ENTERED 300";
    one.follow(owner, &sections, &[0, 5, HIDDEN], ("seg_25", told));
    let sections = owner.next(false);
    one.follow(owner, &sections, &[0, 5, HIDDEN], ("seg_26", "nothing moves: no section at all"));
    owner.set(other, &[("x", -94)]);
    let sections = owner.next(false);
    let told = "ball:1 jumps in 9, which the client does not get: it is told nothing";
    one.follow(owner, &sections, &[0, 5, HIDDEN], ("seg_27", told));
}

fn missed(owner: &mut Owner, one: &mut Viewer) {
    let zoe = EntityId { kind: PLAYER, index: 0 };
    owner.set(zoe, &[("aim", 7), ("x", 131)]);
    let sections = owner.next(false);
    one.follow(owner, &sections, &[0, 5, HIDDEN], ("seg_28", "the first diff that is coded with the prior"));
    owner.position.fence = position(3, 0xabcd, 0).fence;
    one.deliver("seg_owner", "another owner goes on from here", frame::owner(owner.position));
    for tick in 29..33 {
        owner.set(zoe, &[("x", 3 * tick)]);
        owner.put(9, BALL, 1, &[("x", 10 * tick)]);
        owner.next(false);
        if tick < 32 {
            one.miss();
        }
    }
    let told = "four ticks in one: ENTERED 0 anew, ENTERED 9, LEFT 300; 5 is what it was";
    one.leap(owner, &[0, 5, 9], ("seg_leap_32", told));
    let again = one.file.entries.last().expect("a frame").bytes.clone();
    one.deliver("seg_leap_again", "the same frame again", again);
    owner.set(zoe, &[("x", 99)]);
    owner.put(5, BALL, 1, &[("x", 330)]);
    let sections = owner.next(true);
    one.follow(owner, &sections, &[0, 5, 9], ("seg_33", "the very next diff, which everybody reads"));
}

/// Sections of which each one is written by hand.
fn written(sections: &[(u16, Section<'_>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    sections.iter().for_each(|(number, section)| sections::put(&mut bytes, SegmentId(*number), *section));
    bytes
}

fn refused(owner: &mut Owner, one: &mut Viewer) {
    let entered = owner.segments.entered(SegmentId(5)).expect("two balls");
    let Some(Ok(cut)) = Sections::new(&entered).next() else { panic!("one section") };
    let Section::Entered { payload: balls, .. } = cut.section else { panic!("a snapshot") };
    let still = Section::Changed { hash: None, payload: &[] };
    let lie = Some(0x0bad_0bad);
    let next = Position { tick: owner.position.tick.next(), ..owner.position };
    let hole = Position { tick: next.tick.next(), ..next };
    let number = owner.encoder.prior().number();
    let of = |sections: &[(u16, Section<'_>)]| frame::segments(next, number, &written(sections));
    let leap = |sections: &[(u16, Section<'_>)]| frame::leap(next, 1, &written(sections));
    let gaps = [
        ("seg_diff_in_leap", "CHANGED in a LEAP, although it leads over one tick", leap(&[(0, still)])),
        ("seg_twice", "balls of 5 in 9 as well, alike to the last bit", of(&[(9, cut.section)])),
        (
            "seg_false",
            "PROVEN with a hash that the segment does not have",
            of(&[(5, Section::Changed { hash: lie, payload: &[] })]),
        ),
        (
            "seg_false_entered",
            "ENTERED with a hash that the segment does not have",
            of(&[(5, Section::Entered { hash: 1, payload: balls })]),
        ),
        (
            "seg_broken",
            "a diff with a byte too many",
            of(&[(0, Section::Changed { hash: None, payload: &[0] })]),
        ),
        ("seg_order", "sections that do not ascend", of(&[(5, still), (0, still)])),
        ("seg_same", "the same segment twice", of(&[(5, still), (5, still)])),
        ("seg_beyond", "LEFT 4096, which is no segment", frame::segments(next, number, &[0x83, 0x80, 0x01])),
        ("seg_cut", "a section whose bytes end", frame::segments(next, number, &[0x00, 0x02, 0x80])),
        (
            "seg_padded",
            "a number that is not in its shortest form",
            frame::segments(next, number, &[0x83, 0x00]),
        ),
        (
            "seg_other_prior",
            "coded with a prior that the client does not have",
            frame::segments(next, number + 1, &[]),
        ),
        ("seg_hole", "a tick is missing", frame::segments(hole, number, &[])),
        (
            "seg_whole_diff",
            "a DIFF of a match that everybody sees all of",
            frame::diff(next, number, None, &[]),
        ),
        ("seg_whole_catch_up", "and a CATCHUP of one", frame::catch_up(next, 1, None, &[])),
    ];
    for (name, comment, bytes) in gaps {
        one.deliver(name, comment, bytes);
        assert!(one.replica.is_broken(), "{name}");
        one.begin(owner, &[0, 5, 9], &format!("{name}_cure"), "the view, of the same tick");
    }
    one.deliver("seg_known", "a view of a tick that the client has", owner.view_of(&[]));
    accepted(owner, one);
    owner.next(false);
    one.deliver("seg_diff_in_view", "CHANGED in a VIEW", owner.view_of(&written(&[(0, still)])));
    one.begin(owner, &[0, 5, 9], "seg_diff_in_view_cure", "the view");
    whole(owner, one);
}

/// What no server sends, and every client takes alike.
fn accepted(owner: &mut Owner, one: &mut Viewer) {
    let still = Section::Changed { hash: None, payload: &[] };
    let nothing = Section::Entered { hash: 0, payload: &[] };
    let odd = [(5, nothing), (77, still), (78, Section::Left), (HIDDEN, nothing)];
    owner.next(false);
    let told =
        "ENTERED 5 without an entity, so that it is no more; a diff of no entity, LEFT and ENTERED of none";
    one.deliver("seg_odd", told, owner.frame_of(&written(&odd)));
    owner.next(false);
    let told = "LEFT of what it never had, in a VIEW of nothing";
    one.deliver("seg_odd_view", told, owner.view_of(&written(&[(4095, Section::Left)])));
}

/// The same client in a match that is not in segments.
fn whole(owner: &mut Owner, one: &mut Viewer) {
    owner.next(false);
    let mut payload = Vec::new();
    snapshot::encode(&owner.whole, &mut payload);
    let all = frame::snapshot(owner.position, owner.whole.hash(), &[0], &payload);
    one.deliver("seg_snapshot", "a SNAPSHOT: everybody sees all from now on", all);
    let next = Position { tick: Tick(owner.position.tick.0 + 1), ..owner.position };
    one.deliver("seg_after_snapshot", "and a diff in segments is none", frame::segments(next, 0, &[]));
    one.begin(owner, &[0], "seg_end", "in segments again");
}
