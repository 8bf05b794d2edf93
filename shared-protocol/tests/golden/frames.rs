//! The headers of state frames, and the tag of an ownership.

use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::sections::{self, Cut, Section, Sections};
use tickcast_protocol::varint::DecodeError;
use tickcast_protocol::{Epoch, Fence, Nonce, Position, SegmentId, Tick};

use crate::file::{Entry, File, hex};

pub(crate) fn position(epoch: u64, nonce: u64, tick: u64) -> Position {
    Position { fence: Fence { epoch: Epoch(epoch), nonce: Nonce(nonce) }, tick: Tick(tick) }
}

pub(crate) fn file() -> File {
    let at = position(3, 0xabcd, 70_000);
    let hash = Some(0x1234_5678);
    let mut entries = vec![
        (
            "diff_without_hash",
            "a DIFF without a hash, in which nothing is surprising",
            frame::diff(at, 0, None, &[]),
        ),
        ("diff_with_hash", "a DIFF with a hash", frame::diff(at, 0, hash, &[0xc0, 0x01])),
        ("diff_prior_1", "a DIFF that is coded with prior 1", frame::diff(at, 1, None, &[0xc0, 0x01])),
        (
            "diff_prior_254",
            "a DIFF with a hash, coded with prior 254",
            frame::diff(at, 254, hash, &[0xc0, 0x01]),
        ),
        (
            "diff_after_quiet",
            "the one before as it comes behind quiet ticks",
            frame::after_quiet(&frame::diff(at, 254, None, &[0xc0, 0x01]), 0x1234_5678).expect("a diff"),
        ),
        ("diff_prior_7", "a DIFF with a hash, coded with prior 7", frame::diff(at, 7, hash, &[])),
        (
            "snapshot_header",
            "a SNAPSHOT of an empty state, with the first prior",
            frame::snapshot(at, 0, &[0], &[]),
        ),
        (
            "snapshot_prior",
            "a SNAPSHOT with a prior",
            frame::snapshot(at, 0, &[9, 0xa5, 0x5a], &[0xc0, 0x01]),
        ),
        ("owner", "an OWNER: the state is that of tick 70000", frame::owner(at)),
        ("prior", "a PRIOR, number 9, for the diffs after tick 70000", frame::prior(at, &[9, 0xa5, 0x5a])),
        ("catch_up_without_hash", "a CATCHUP over one tick", frame::catch_up(at, 1, None, &[0xc0, 0x01])),
        (
            "catch_up_with_hash",
            "a CATCHUP over 200 ticks, with a hash",
            frame::catch_up(at, 200, hash, &[0xc0]),
        ),
    ];
    entries.extend(in_segments(at));
    let tags = [
        ("owner_tag_a", position(1, 1, 0)),
        ("owner_tag_b", position(2, 0x1122_3344_5566_7788, 7)),
        ("owner_tag_c", position(u64::MAX, u64::MAX, u64::MAX)),
    ];
    entries.extend(tags.map(|(name, at)| (name, "another ownership, for its tag", frame::owner(at))));
    let entry = |(name, comment, bytes): (&str, &str, Vec<u8>)| {
        let meaning = describe(&bytes);
        Entry::new(name, comment, meaning, bytes)
    };
    let about = "State frames taken apart; payloads and priors are not decoded, some are none. Hashes and\n\
                 nonces are hex, numbers decimal. `prior_low` are the low two bits of the prior's number.";
    File { name: "frames.hex", about, entries: entries.into_iter().map(entry).collect() }
}

fn in_segments(at: Position) -> [(&'static str, &'static str, Vec<u8>); 4] {
    let payload = &[0xc0, 0x01];
    let all = [
        (0, Section::Changed { hash: None, payload: &[] }),
        (31, Section::Changed { hash: Some(0x1234_5678), payload }),
        (32, Section::Entered { hash: 0xfeed_f00d, payload }),
        (4095, Section::Left),
    ];
    let put = |all: &[(u16, Section<'_>)]| {
        let mut bytes = Vec::new();
        all.iter().for_each(|(number, section)| sections::put(&mut bytes, SegmentId(*number), *section));
        bytes
    };
    [
        (
            "segments_each",
            "a SEGMENTS with a section of each kind, coded with prior 7",
            frame::segments(at, 7, &put(&all)),
        ),
        ("segments_none", "a SEGMENTS in which nothing changes", frame::segments(at, 0, &[])),
        ("view", "a VIEW with a prior and one segment", frame::view(at, &[9, 0xa5, 0x5a], &put(&all[2..3]))),
        ("leap", "a LEAP over 200 ticks", frame::leap(at, 200, &put(&all[2..]))),
    ]
}

fn describe(bytes: &[u8]) -> String {
    let hash_json = |hash: Option<u32>| hash.map_or("null".to_owned(), |hash| format!(r#""{hash:08x}""#));
    match frame::parse(bytes).expect("a frame that was just built") {
        StateFrame::Diff { tag, tick_low, prior_low, after_quiet, hash, payload } => {
            let (hash, payload) = (hash_json(hash), hex(payload));
            format!(
                r#"{{"frame":"DIFF","tag":{tag},"tick_low":{tick_low},"prior_low":{prior_low},"after_quiet":{after_quiet},"hash":{hash},"payload":"{payload}"}}"#
            )
        }
        StateFrame::Snapshot { position, hash, prior, payload } => {
            let (position, prior, payload) = (position_json(position), hex(prior), hex(payload));
            format!(
                r#"{{"frame":"SNAPSHOT",{position},"hash":"{hash:08x}","prior":"{prior}","payload":"{payload}"}}"#
            )
        }
        StateFrame::Owner { position } => format!(r#"{{"frame":"OWNER",{}}}"#, position_json(position)),
        StateFrame::Prior { tag, tick_low, payload } => {
            let payload = hex(payload);
            format!(r#"{{"frame":"PRIOR","tag":{tag},"tick_low":{tick_low},"payload":"{payload}"}}"#)
        }
        StateFrame::CatchUp { tag, tick_low, span, hash, payload } => {
            let (hash, payload) = (hash_json(hash), hex(payload));
            format!(
                r#"{{"frame":"CATCHUP","tag":{tag},"tick_low":{tick_low},"span":{span},"hash":{hash},"payload":"{payload}"}}"#
            )
        }
        StateFrame::Segments { tag, tick_low, prior_low, sections } => {
            let sections = sections_json(sections);
            format!(
                r#"{{"frame":"SEGMENTS","tag":{tag},"tick_low":{tick_low},"prior_low":{prior_low},"sections":[{sections}]}}"#
            )
        }
        StateFrame::View { position, prior, sections } => {
            let (position, prior, sections) = (position_json(position), hex(prior), sections_json(sections));
            format!(r#"{{"frame":"VIEW",{position},"prior":"{prior}","sections":[{sections}]}}"#)
        }
        StateFrame::Leap { tag, tick_low, span, sections } => {
            let sections = sections_json(sections);
            format!(
                r#"{{"frame":"LEAP","tag":{tag},"tick_low":{tick_low},"span":{span},"sections":[{sections}]}}"#
            )
        }
    }
}

fn sections_json(bytes: &[u8]) -> String {
    let section = |cut: Result<Cut<'_>, DecodeError>| {
        let Cut { segment, section, .. } = cut.expect("a section that was just built");
        let (name, hash, payload) = match section {
            Section::Changed { hash: None, payload } => ("CHANGED", None, Some(payload)),
            Section::Changed { hash, payload } => ("PROVEN", hash, Some(payload)),
            Section::Entered { hash, payload } => ("ENTERED", Some(hash), Some(payload)),
            Section::Left => ("LEFT", None, None),
        };
        let hash = hash.map_or(String::new(), |hash| format!(r#","hash":"{hash:08x}""#));
        let payload = payload.map_or(String::new(), |payload| format!(r#","payload":"{}""#, hex(payload)));
        format!(r#"{{"segment":{segment},"section":"{name}"{hash}{payload}}}"#)
    };
    Sections::new(bytes).map(section).collect::<Vec<String>>().join(",")
}

/// A position as JSON members, with the tag of its fence.
pub(crate) fn position_json(position: Position) -> String {
    let Position { fence, tick } = position;
    let (epoch, nonce, tag) = (fence.epoch.0, fence.nonce.0, fence.tag());
    format!(r#""epoch":{epoch},"nonce":"{nonce:016x}","tick":{tick},"tag":{tag}"#)
}

pub(crate) fn meaning(entry: &Entry) -> String {
    describe(&entry.bytes)
}
