//! What has codes, from whoever has the key and from whoever has not: messages of channels, and what a match holds.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use bytes::Bytes;
use tickcast_server::backplane::mac::envelope::{self, open, seal, seal_tick};
use tickcast_server::backplane::mac::stored::{self, Digest, Judged, is_covered, judge};
use tickcast_server::backplane::mac::{AGE_MAX, ClusterKeys, Stamp, Window};
use tickcast_server::backplane::{Channel, MatchFields, fields};

use super::sample;

/// The clock of the store in these checks, microseconds.
const NOW_US: u64 = 1_700_000_000_000_000;

/// The cluster's keys.
pub(crate) fn keys() -> ClusterKeys {
    "0123456789abcdef0123456789abcdef".parse().expect("long enough")
}

/// The channel that messages with codes are for.
pub(crate) fn diff() -> String {
    fields::channel(&sample::id(), Channel::Diff)
}

/// A message of the diff channel with a code. What is taken is what the key makes, to the byte.
pub(crate) fn envelope(message: &[u8]) -> bool {
    let (keys, bytes) = (keys(), Bytes::copy_from_slice(message));
    let plain = envelope::strip(&bytes);
    assert!(bytes.ends_with(&plain), "a slice of it");
    let Ok(opened) = open(&keys, &diff(), &bytes) else { return false };
    let again = match opened.stamp {
        Some(stamp) => seal(&keys, &diff(), stamp, &opened.message),
        None => seal_tick(&keys, &diff(), &opened.message),
    };
    assert_eq!(again, bytes, "it has one form");
    assert!(open(&keys, &fields::channel(&sample::id(), Channel::Input), &bytes).is_err());
    true
}

/// When messages were sent: pairs of a sender and three tenths of a second, from 38.4 s before now on. None is taken twice.
pub(crate) fn window(input: &[u8]) -> bool {
    let (mut window, mut taken) = (Window::default(), BTreeSet::new());
    for pair in input.chunks_exact(2) {
        let ms = u64::from(pair[1]) * 300;
        let stamp = Stamp { sender: u64::from(pair[0]), sent_us: NOW_US + ms * 1000 - 38_400_000 };
        if window.admit(stamp, NOW_US).is_ok() {
            assert!(taken.insert((stamp.sender, stamp.sent_us)), "twice: {stamp:?}");
            assert!(stamp.sent_us.abs_diff(NOW_US) <= AGE_MAX.as_micros() as u64, "{stamp:?}");
        }
    }
    !taken.is_empty()
}

/// The match of the samples, written with the key.
pub(crate) fn signed() -> &'static MatchFields {
    static SIGNED: OnceLock<MatchFields> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let (keys, id, mut signed) = (keys(), sample::id(), sample::fields());
        for (name, value) in &mut signed {
            if name.starts_with(b"~d") {
                *value = seal_tick(&keys, &diff(), value);
            }
        }
        let (fence, tick) = (fields::fence(&signed), fields::number(&signed, fields::TICK));
        let (fence, tick) = (fence.expect("it is owned"), tickcast_protocol::Tick(tick.expect("it ticks")));
        let mac = Digest::of(&keys, &id, &signed).mac(&keys, &id, fence, tick);
        signed.insert(fields::MAC.into(), mac);
        assert_eq!(stored::strip(signed.clone()), sample::fields());
        signed
    })
}

/// What a match holds after somebody's edits is right if, and only if, they changed nothing that a code is over.
pub(crate) fn judged(edited: &MatchFields) {
    let covered = |held: &MatchFields| -> MatchFields {
        let covered = held.iter().filter(|(name, _)| is_covered(name) || name[..] == *b"~mac");
        covered.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let same = covered(edited) == covered(signed())
        && fields::number(edited, fields::TICK) == fields::number(signed(), fields::TICK);
    match judge(&keys(), &sample::id(), edited) {
        Judged::Right(_) => assert!(same, "changed, and taken"),
        // An earlier ownership than the one that wrote it.
        _ if fields::fence(edited) != fields::fence(signed()) => {}
        _ => assert!(!same, "as it was, and refused"),
    }
}
