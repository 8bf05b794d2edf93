//! What codes are good for, and what they are not: channels, windows, hashes, key by key.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tickcast_protocol::{Fence, MatchId, Nonce, Tick};

use super::envelope::{Flaw, HEADER_BYTES, open, seal, seal_tick, strip};
use super::stored::{Digest, Judged, is_covered, judge};
use super::*;
use crate::backplane::store::Store;
use crate::backplane::{Channel, Claim, ClaimReply, Commit, CommitReply, MatchFields, fields};

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";
const STAMP: Stamp = Stamp { sender: 7, sent_us: 1_700_000_000_000_000 };
const RING: u64 = 4;

fn keys(text: &str) -> ClusterKeys {
    text.parse().expect("long enough")
}

fn id(text: &str) -> MatchId {
    text.parse().expect("the form of an id")
}

#[test]
fn a_message_comes_back_as_a_slice_and_under_each_live_key() {
    let (old, both) = (keys(OLD), keys(&format!("{NEW},{OLD}")));
    let tick = seal_tick(&old, "m:diff", b"tick");
    assert_eq!(tick, seal_tick(&old, "m:diff", b"tick"), "a repetition is the same bytes");
    assert_eq!(tick.len(), HEADER_BYTES + 4);
    let note = seal(&old, "m:diff", STAMP, b"note");
    for keys in [&old, &both] {
        let opened = open(keys, "m:diff", &tick).unwrap();
        assert_eq!((&opened.message[..], opened.stamp), (&b"tick"[..], None));
        assert_eq!(opened.message.as_ptr(), tick[HEADER_BYTES..].as_ptr(), "a slice, not a copy");
        let opened = open(keys, "m:diff", &note).unwrap();
        assert_eq!((&opened.message[..], opened.stamp), (&b"note"[..], Some(STAMP)));
    }
    assert_eq!(open(&both, "m:diff", &seal_tick(&both, "m:diff", b"")).unwrap().message.len(), 0);
    assert_eq!(
        open(&old, "m:diff", &seal_tick(&both, "m:diff", b"tick")),
        Err(Flaw::Code),
        "the first key signs"
    );
    assert_eq!((&strip(&tick)[..], strip(&note)), (&b"tick"[..], note));
}

#[test]
fn no_message_is_good_for_anything_else() {
    let keys = keys(OLD);
    for whole in [seal_tick(&keys, "m:diff", b"tick"), seal(&keys, "m:diff", STAMP, b"note")] {
        for channel in ["m:input", "n:diff", "m:dif", "m:difft", ""] {
            assert_eq!(open(&keys, channel, &whole), Err(Flaw::Code), "{channel}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.to_vec();
                changed[at] ^= 1 << bit;
                assert!(open(&keys, "m:diff", &changed.into()).is_err(), "byte {at}, bit {bit}");
            }
            assert!(open(&keys, "m:diff", &whole.slice(..at)).is_err(), "cut to {at}");
        }
        let longer = [&whole[..], b"!"].concat();
        assert_eq!(open(&keys, "m:diff", &longer.into()), Err(Flaw::Code));
    }
    assert_eq!(
        open(&keys, "m:diff", &Bytes::from_static(b"\x81 a tick without a code")),
        Err(Flaw::Unsigned)
    );
}

#[test]
fn a_stamp_is_good_once_and_for_a_while() {
    let mut window = Window::default();
    let now_us = STAMP.sent_us + 5;
    let at = |sent_us| Stamp { sent_us, ..STAMP };
    assert_eq!(window.admit(STAMP, now_us), Ok(()));
    assert_eq!(window.admit(STAMP, now_us), Err(Flaw::Replayed));
    assert_eq!(
        window.admit(Stamp { sender: 8, ..STAMP }, now_us),
        Ok(()),
        "of another sender it is another one"
    );
    // Fifteen overtake one, which is still new; it is not after a sixteenth.
    (2..17).for_each(|later| assert_eq!(window.admit(at(STAMP.sent_us + later), now_us), Ok(())));
    assert_eq!(window.admit(at(STAMP.sent_us + 1), now_us), Ok(()));
    assert_eq!(window.admit(at(STAMP.sent_us + 1), now_us), Err(Flaw::Replayed));
    assert_eq!(window.admit(STAMP, now_us), Err(Flaw::Replayed), "what is forgotten is too old");
    let edge = AGE_MAX.as_micros() as u64;
    for (sent_us, admitted) in
        [(now_us - edge - 1, Err(Flaw::Age)), (now_us + edge + 1, Err(Flaw::Age)), (now_us + edge, Ok(()))]
    {
        assert_eq!(window.admit(at(sent_us), now_us), admitted);
    }
    // Senders without end take no memory without end, and one who goes on speaking is never forgotten.
    let talker = |sent_us| Stamp { sender: u64::MAX, sent_us };
    for sender in 0..2000 {
        let now_us = now_us + 10 * sender;
        assert_eq!(window.admit(talker(now_us), now_us), Ok(()));
        assert_eq!(window.admit(Stamp { sender, sent_us: now_us + 1 }, now_us), Ok(()));
        assert_eq!(window.admit(talker(now_us), now_us), Err(Flaw::Replayed));
    }
}

/// One commit: what it sets and deletes of a few fields, and whether it is whole.
type Step = (Vec<(usize, u8)>, Vec<usize>, bool);

const NAMES: [&str; 9] =
    ["player:0", "player:1", "wall:0", "~seat:1", "~said:1", "~c3", "~prior", "~players", "~crashes"];

fn commit(fence: Fence, tick: u64, (set, delete, whole): &Step) -> Commit {
    let named = |at: &usize| NAMES[*at].as_bytes().to_vec();
    Commit {
        fence,
        tick: Tick(tick),
        lease: Duration::from_secs(1),
        ring_field: fields::ring(tick, RING),
        message: Bytes::from(format!("tick {tick}")),
        set: set.iter().map(|(at, value)| (named(at).into(), Bytes::from(vec![*value]))).collect(),
        delete: delete.iter().map(|at| named(at).into()).collect(),
        whole: *whole,
        again: false,
    }
}

/// A match that was created under a key and whose owner has made these commits.
fn played(keys: &ClusterKeys, steps: &[Step]) -> MatchFields {
    let (mut store, id) = (Store::default(), id("m"));
    let given = [("~game", "pong"), ("~version", "4"), ("player:0", "born")];
    let mut given: MatchFields =
        given.map(|(name, value)| (name.into(), Bytes::from(value))).into_iter().collect();
    given = crate::backplane::store::newborn(given);
    let mac = Digest::of(keys, &id, &given).mac(keys, &id, Fence::default(), Tick(0));
    given.insert(fields::MAC.into(), mac);
    assert!(store.create(&id, given));
    let node = "n".parse().expect("the form of an id");
    let lease = Duration::from_secs(1);
    let claim = Claim { node, nonce: Nonce(9), unanswered: Vec::new(), lease, crashes_max: 3 };
    let ClaimReply::Claimed { fence, fields: mut stored } = store.claim(&id, &claim, 5) else {
        panic!("nobody has it")
    };
    let Judged::Right(mut digest) = judge(keys, &id, &stored) else { panic!("as it was created") };
    for (at, step) in steps.iter().enumerate() {
        let commit = commit(fence, at as u64 + 1, step);
        let message = seal_tick(keys, &fields::channel(&id, Channel::Diff), &commit.message);
        let change = digest.change(keys, &id, &commit, &message);
        let mut signed = Commit { message, ..commit.clone() };
        signed.set.push((fields::MAC.into(), change.mac(keys, &id, &commit)));
        assert_eq!(store.commit(&id, &signed, 5).0, CommitReply::Ok);
        // A repetition that was written before is answered in the same way.
        digest.apply(change.clone());
        digest.apply(change);
        stored = store.load(&id).expect("it is there");
        assert!(matches!(judge(keys, &id, &stored), Judged::Right(_)), "after step {at}: {step:?}");
    }
    stored
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..NAMES.len();
    let step = (vec((at.clone(), any::<u8>()), 0..4), vec(at, 0..3), prop::bool::weighted(0.2));
    vec(step, 1..12)
}

proptest! {
    #[test]
    fn what_every_commit_makes_of_a_match_is_right(steps in steps()) {
        played(&keys(OLD), &steps);
    }

    #[test]
    fn no_field_may_be_another(steps in steps(), value in vec(any::<u8>(), 0..4), name in "(~?[a-z]{1,6}:?[0-9]?)") {
        let keys = keys(OLD);
        let stored = played(&keys, &steps);
        let wrong = |changed: &MatchFields| !matches!(judge(&keys, &id("m"), changed), Judged::Right(_));
        let bound = |name: &[u8]| is_covered(name) || [fields::TICK, fields::MAC].iter().any(|it| it.as_bytes() == name);
        for (field, before) in &stored {
            let mut changed = stored.clone();
            changed.insert(field.clone(), Bytes::from(value.clone()));
            prop_assert!(before[..] == value[..] || wrong(&changed) == bound(field) || [fields::EPOCH, fields::NONCE].map(str::as_bytes).contains(&&field[..]));
            changed.remove(field);
            prop_assert!(wrong(&changed) || !bound(field), "without {field:?}");
        }
        let mut more = stored.clone();
        if more.insert(name.clone().into(), Bytes::from(value)).is_none() {
            prop_assert_eq!(wrong(&more), is_covered(name.as_bytes()), "with {}", name);
        }
        prop_assert!(matches!(judge(&keys, &id("other"), &stored), Judged::Wrong), "of another match");
    }
}

#[test]
fn no_part_of_a_match_is_as_old_as_somebody_likes() {
    let keys = keys(OLD);
    let step = |value| (vec![(0, value)], Vec::new(), false);
    let (before, after) = (played(&keys, &[step(1), step(2)]), played(&keys, &[1, 2, 3, 4, 5, 6].map(step)));
    for name in [&b"player:0"[..], b"~mac", b"~d1", b"~d2"] {
        let mut mixed = after.clone();
        mixed.insert(name.into(), before.get(name).cloned().unwrap_or_default());
        assert!(matches!(judge(&keys, &id("m"), &mixed), Judged::Wrong), "{name:?}");
    }
    // A tick of the ring in another one's place, and one whose bytes are not those of its code.
    let mut swapped = after.clone();
    swapped.insert("~d1".into(), after[&b"~d2"[..]].clone());
    assert!(matches!(judge(&keys, &id("m"), &swapped), Judged::Wrong));
    let mut changed = after.clone();
    let tick = [&after[&b"~d1"[..]][..HEADER_BYTES], b"tick 9"].concat();
    changed.insert("~d1".into(), tick.into());
    assert!(matches!(judge(&keys, &id("m"), &changed), Judged::Wrong));
    // An ownership before the one that wrote it.
    let mut before_it = after.clone();
    before_it.insert("~epoch".into(), Bytes::from_static(b"0"));
    assert!(matches!(judge(&keys, &id("m"), &before_it), Judged::Wrong));
}

#[test]
fn a_hash_is_judged_by_the_key_it_names() {
    let (old, new, both) = (keys(OLD), keys(NEW), keys(&format!("{NEW},{OLD}")));
    let stored = played(&old, &[(vec![(0, 1)], Vec::new(), false)]);
    assert!(matches!(judge(&new, &id("m"), &stored), Judged::UnknownKey));
    let Judged::Right(digest) = judge(&both, &id("m"), &stored) else { panic!("the old key is live") };
    // The next commit is under the new key, whoever wrote what is there.
    let fence = fields::fence(&stored).expect("it is owned");
    let mac = digest.mac(&both, &id("m"), fence, Tick(1));
    let mut rewritten = stored.clone();
    rewritten.insert(fields::MAC.into(), mac);
    assert!(matches!(judge(&both, &id("m"), &rewritten), Judged::Right(_)));
    let mut without = stored;
    without.remove(fields::MAC.as_bytes());
    assert!(matches!(judge(&old, &id("m"), &without), Judged::Unsigned));
}
