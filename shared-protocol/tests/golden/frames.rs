//! The headers of state frames, and the tag of an ownership.

use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::{Epoch, Fence, Nonce, Position, Tick};

use crate::file::{Entry, File, hex};

pub(crate) fn position(epoch: u64, nonce: u64, tick: u64) -> Position {
    Position { fence: Fence { epoch: Epoch(epoch), nonce: Nonce(nonce) }, tick: Tick(tick) }
}

pub(crate) fn file() -> File {
    let at = position(3, 0xabcd, 70_000);
    let mut entries = vec![
        ("diff_without_hash", "a DIFF without a hash", frame::diff(at, None, &[0, 0, 0])),
        ("diff_with_hash", "a DIFF with a hash", frame::diff(at, Some(0x1234_5678), &[0, 0, 0])),
        ("snapshot_header", "a SNAPSHOT (three empty kinds)", frame::snapshot(at, 0, &[0, 0, 0])),
        ("owner", "an OWNER: the state is that of tick 70000", frame::owner(at)),
    ];
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
    let about = "State frames taken apart. Hashes and nonces are hex, numbers decimal.";
    File { name: "frames.hex", about, entries: entries.into_iter().map(entry).collect() }
}

fn describe(bytes: &[u8]) -> String {
    match frame::parse(bytes).expect("a frame that was just built") {
        StateFrame::Diff { tag, tick_low, hash, payload } => {
            let hash = hash.map_or("null".to_owned(), |hash| format!(r#""{hash:08x}""#));
            let payload = hex(payload);
            format!(
                r#"{{"frame":"DIFF","tag":{tag},"tick_low":{tick_low},"hash":{hash},"payload":"{payload}"}}"#
            )
        }
        StateFrame::Snapshot { position, hash, payload } => {
            let payload = hex(payload);
            format!(
                r#"{{"frame":"SNAPSHOT",{},"hash":"{hash:08x}","payload":"{payload}"}}"#,
                position_json(position)
            )
        }
        StateFrame::Owner { position } => format!(r#"{{"frame":"OWNER",{}}}"#, position_json(position)),
    }
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
