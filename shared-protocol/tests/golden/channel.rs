//! What nodes say to each other, and a match restored from its Redis fields. The types are written down here
//! as `docs/wire.md` describes them, so that the server's own are bound to the document by these files.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tickcast_protocol::frame::{self, StateFrame, put_position, read_position};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::varint::Reader;
use tickcast_protocol::{
    CloseCode, Fence, InputSeq, PlayerId, Position, Progress, Replica, Tick, codec, record,
};

use crate::entities::entity_id;
use crate::file::{self, Entry, File};
use crate::frames::position_json;
use crate::runs::{self, DUEL_PRIOR_TICK};
use crate::sequence::state_json;
use crate::worlds;

const DIFF_MESSAGE: u8 = 0x81;
const NOTE_MESSAGE: u8 = 0x82;
const INPUT_MESSAGE: u8 = 0x83;
const DIFF_PRIOR_MESSAGE: u8 = 0x84;

/// When the first tick of the example was sent, milliseconds since 1970.
const SENT_MS: u64 = 1_790_000_000_000;

#[derive(Debug, Serialize, Deserialize)]
enum Note {
    Refused { player: PlayerId, code: u16 },
    Ended,
    Released,
}

#[derive(Debug, Serialize, Deserialize)]
enum Upstream {
    Join { player: PlayerId, name: String },
    Leave { player: PlayerId },
    Input { player: PlayerId, seq: InputSeq, seen: Tick, values: Vec<i32> },
    Present { players: Vec<PlayerId> },
}

pub(crate) fn file() -> File {
    let mut entries = diffs();
    let refused = Note::Refused { player: PlayerId(9), code: CloseCode::MatchFull.number() };
    for (name, comment, note) in [
        ("note_refused", "the owner does not take player 9: the match is full", refused),
        ("note_ended", "the match ended", Note::Ended),
        ("note_released", "the owner gives the match up: any node may claim it", Note::Released),
    ] {
        entries.push(built(name, comment, [vec![NOTE_MESSAGE], codec::encode(&note)].concat()));
    }
    let batch = vec![
        Upstream::Join { player: PlayerId(1), name: "Zoë".to_owned() },
        Upstream::Input { player: PlayerId(1), seq: InputSeq(1), seen: Tick(6), values: vec![1, 250] },
        Upstream::Leave { player: PlayerId(300) },
    ];
    entries.push(built(
        "upstream",
        "a batch from a relay",
        [vec![INPUT_MESSAGE], codec::encode(&batch)].concat(),
    ));
    let present = vec![Upstream::Present { players: vec![PlayerId(1), PlayerId(300)] }];
    entries.push(built(
        "upstream_present",
        "a relay's players are still connected",
        [vec![INPUT_MESSAGE], codec::encode(&present)].concat(),
    ));
    let about = "Messages between nodes: diff channel (0x81, 0x82, 0x84) and input channel (0x83).\n\
                 channel_diff_N is also the ring field ~dN of the worked example.";
    File { name: "channel.hex", about, entries }
}

fn built(name: &str, comment: &str, bytes: Vec<u8>) -> Entry {
    let meaning = describe(&bytes);
    Entry::new(name, comment, meaning, bytes)
}

/// The worked example's ticks as the owner publishes them, up to the first that is coded with the prior.
fn diffs() -> Vec<Entry> {
    let script = runs::duel();
    let fence: Fence = script.position.fence;
    let mut replica = Replica::empty(worlds::duel());
    replica.apply(&script.file.entries[0].bytes);
    let mut entries = Vec::new();
    for pair in script.file.entries[1..].windows(2) {
        let (frame, behind) = (&pair[0].bytes, &pair[1].bytes);
        if !matches!(frame::parse(frame), Ok(StateFrame::Diff { .. })) {
            replica.apply(frame);
            continue;
        }
        assert_eq!(replica.apply(frame), Progress::Advanced);
        let tick = replica.position().tick;
        let prior = matches!(frame::parse(behind), Ok(StateFrame::Prior { .. })).then_some(behind);
        let mut bytes = vec![if prior.is_some() { DIFF_PRIOR_MESSAGE } else { DIFF_MESSAGE }];
        put_position(&mut bytes, Position { fence, tick });
        bytes.extend_from_slice(&replica.world().hash().to_le_bytes());
        bytes.extend_from_slice(&(SENT_MS + 33 * (tick.0 - 8)).to_le_bytes());
        if let Some(prior) = prior {
            bytes.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            bytes.extend_from_slice(frame);
            bytes.extend_from_slice(prior);
        } else {
            bytes.extend_from_slice(frame);
        }
        entries.push(built(
            &format!("channel_diff_{tick}"),
            &format!("tick {tick} of the worked example"),
            bytes,
        ));
        if tick.0 > DUEL_PRIOR_TICK {
            break;
        }
    }
    entries
}

struct DiffMessage<'a> {
    position: Position,
    hash: u32,
    sent_ms: u64,
    frame: &'a [u8],
    prior: Option<&'a [u8]>,
}

fn read_diff(bytes: &[u8]) -> DiffMessage<'_> {
    let mut reader = Reader::new(bytes);
    let first = reader.byte().unwrap();
    assert!(first == DIFF_MESSAGE || first == DIFF_PRIOR_MESSAGE);
    let position = read_position(&mut reader).unwrap();
    let hash = u32::from_le_bytes(reader.array().unwrap());
    let sent_ms = u64::from_le_bytes(reader.array().unwrap());
    if first == DIFF_MESSAGE {
        return DiffMessage { position, hash, sent_ms, frame: reader.rest(), prior: None };
    }
    let length = u32::from_le_bytes(reader.array().unwrap());
    let frame = reader.take(length as usize).unwrap();
    DiffMessage { position, hash, sent_ms, frame, prior: Some(reader.rest()) }
}

fn describe(bytes: &[u8]) -> String {
    match bytes[0] {
        DIFF_MESSAGE | DIFF_PRIOR_MESSAGE => {
            let DiffMessage { position, hash, sent_ms, frame, prior } = read_diff(bytes);
            let (position, frame) = (position_json(position), file::hex(frame));
            let prior = prior.map_or("null".to_owned(), |prior| format!(r#""{}""#, file::hex(prior)));
            format!(
                r#"{{"Diff":{{{position},"hash":"{hash:08x}","sent_ms":{sent_ms},"frame":"{frame}","prior":{prior}}}}}"#
            )
        }
        NOTE_MESSAGE => {
            let note: Note = codec::decode(&bytes[1..]).unwrap();
            format!(r#"{{"Note":{}}}"#, serde_json::to_string(&note).unwrap())
        }
        INPUT_MESSAGE => {
            let batch: Vec<Upstream> = codec::decode(&bytes[1..]).unwrap();
            format!(r#"{{"Upstream":{}}}"#, serde_json::to_string(&batch).unwrap())
        }
        other => panic!("unknown message {other:#04x}"),
    }
}

pub(crate) fn meaning(entry: &Entry) -> String {
    describe(&entry.bytes)
}

/// Entities as of a tick, the prior that the diffs after it are coded with, and the ring's diffs are the state
/// of the last one: from tick 7 on with the first prior, and from that of the published one on with it.
pub(crate) fn restore(folder: &Path) {
    let run = runs::duel();
    let prior = run.file.entries.iter().find_map(|entry| match frame::parse(&entry.bytes) {
        Ok(StateFrame::Prior { payload, .. }) => Some(payload.to_vec()),
        _ => None,
    });
    let first = Prior::first(&worlds::duel());
    let published = first.decode(&prior.expect("the run has a prior")).unwrap();
    restore_from(folder, 7, false, first, DUEL_PRIOR_TICK);
    restore_from(folder, DUEL_PRIOR_TICK, true, published, DUEL_PRIOR_TICK + 1);
}

fn restore_from(folder: &Path, from: u64, late: bool, prior: Arc<Prior>, to: u64) {
    let schema = worlds::duel();
    let records = file::load(folder, "entities.hex");
    let records = records.iter().filter_map(|entry| {
        let told: serde_json::Value = serde_json::from_str(&entry.meaning).unwrap();
        let wanted = told["game"] == "duel" && entry.name.starts_with("entity_late") == late;
        wanted.then(|| (entity_id(&schema, told["key"].as_str().unwrap()), &entry.bytes[..]))
    });
    let world = record::decode_entities(Arc::clone(&schema), records).unwrap();
    let ring = file::load(folder, "channel.hex");
    let ring: Vec<&Entry> = ring.iter().filter(|entry| entry.name.starts_with("channel_diff_")).collect();
    let fence = read_diff(&ring[0].bytes).position.fence;
    let mut replica = Replica::loaded(world, prior, Position { fence, tick: Tick(from) });
    for entry in ring {
        let message = read_diff(&entry.bytes);
        if (from + 1..=to).contains(&message.position.tick.0) {
            assert_eq!(replica.apply(message.frame), Progress::Advanced, "{}", entry.name);
            assert_eq!(replica.position(), message.position, "{}", entry.name);
            assert_eq!(replica.world().hash(), message.hash, "{}", entry.name);
        }
    }
    assert_eq!(replica.position().tick, Tick(to));
    let run = file::load(folder, "duel.hex");
    let last = &run.iter().find(|entry| entry.name == format!("duel_tick_{to}")).unwrap().meaning;
    assert_eq!(&format!(r#"{{"does":"advanced",{}}}"#, state_json(&replica)), last);
}
