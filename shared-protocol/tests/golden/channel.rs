//! What nodes say to each other, and a match restored from its Redis fields. The types are written down here
//! as `docs/wire.md` describes them, so that the server's own are bound to the document by these files.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tickcast_protocol::chat::{ChatLine, ChatRefusal, ChatTo};
use tickcast_protocol::frame::{self, StateFrame, put_position, read_position};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::varint::Reader;
use tickcast_protocol::{
    CloseCode, Fence, InputSeq, MatchId, NodeId, PlayerId, Position, Progress, Replica, SessionId, Tick,
    codec, record,
};

use crate::control::line;
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
const DIFF_CHAT_MESSAGE: u8 = 0x85;
const DIFF_VIEWS_MESSAGE: u8 = 0x86;
/// Of player 300 from now on segments 0, 3 and 9; player 301 is gone.
const VIEW_CHANGES: [u8; 9] = [0xac, 0x02, 4, 0, 2, 5, 0xad, 0x02, 0];
const VIEW_CHANGES_JSON: &str = "[[300,[0,3,9]],[301,null]]";

/// SHA-256 of the resume token in `control.hex`, the bytes 0xa0 to 0xaf.
#[rustfmt::skip]
const TOKEN_DIGEST: [u8; 32] = [
    0x50, 0x35, 0x63, 0xc1, 0xbd, 0xa4, 0x53, 0x27, 0xff, 0x46, 0x17, 0x75, 0x0a, 0x06, 0xbd, 0x81,
    0x43, 0xfc, 0xd4, 0xe7, 0x92, 0x99, 0x34, 0xb7, 0xcf, 0x1e, 0x82, 0x6c, 0x1b, 0xa6, 0x0c, 0x90,
];

/// When the first tick of the example was sent, milliseconds since 1970.
const SENT_MS: u64 = 1_790_000_000_000;

#[derive(Debug, Serialize, Deserialize)]
enum Note {
    Refused { player: PlayerId, code: u16 },
    Ended,
    Released,
    InputsLost,
    Resumed { player: PlayerId, session: SessionId, attempt: u32 },
    ChatRefused { player: PlayerId, seq: u32, reason: ChatRefusal },
}

#[derive(Debug, Serialize, Deserialize)]
enum Upstream {
    Join { player: PlayerId, name: String, token: [u8; 32], subject: Option<String> },
    Resume { player: PlayerId, session: SessionId, attempt: u32, token: [u8; 32] },
    Leave { player: PlayerId, token: [u8; 32] },
    Input { player: PlayerId, seq: InputSeq, seen: Tick, behind: u16, values: Vec<i32> },
    Present { players: Vec<PlayerId> },
    Chat { player: PlayerId, seq: u32, to: ChatTo, text: String },
    Kick { player: PlayerId },
}

#[derive(Debug, Serialize, Deserialize)]
enum Order {
    Take { id: MatchId },
    HandOver { id: MatchId, to: Option<NodeId> },
    Drain,
    Bans,
}

pub(crate) fn file() -> File {
    let mut entries = diffs();
    entries.extend(said(&entries));
    entries.extend(notes());
    entries.extend(upstream());
    entries.extend(orders());
    let about = "Messages between nodes: diff channel (0x81, 0x82, 0x84 to 0x86), input channel (0x83) and order channels (0x00 to\n\
                 0x03). channel_diff_N is also the ring field ~dN of the worked example.";
    File { name: "channel.hex", about, entries }
}

fn notes() -> Vec<Entry> {
    let refused = Note::Refused { player: PlayerId(9), code: CloseCode::MatchFull.number() };
    let resumed = Note::Resumed { player: PlayerId(300), session: SessionId(0x1_0000_0007), attempt: 2 };
    let chat_refused = Note::ChatRefused { player: PlayerId(300), seq: 3, reason: ChatRefusal::Repeated };
    let notes = [
        ("note_refused", "the owner does not take player 9: the match is full", refused),
        ("note_ended", "the match ended", Note::Ended),
        ("note_released", "the owner gives the match up", Note::Released),
        ("note_inputs_lost", "inputs were lost on their way to the owner", Note::InputsLost),
        ("note_resumed", "player 300 is on that connection now", resumed),
        ("note_chat_refused", "line 3 of player 300 was said before", chat_refused),
    ];
    let bytes = |note| [vec![NOTE_MESSAGE], codec::encode(note)].concat();
    notes.iter().map(|(name, comment, note)| built(name, comment, bytes(note))).collect()
}

fn upstream() -> Vec<Entry> {
    let batch = vec![
        Upstream::Join { player: PlayerId(1), name: "Zoë".to_owned(), token: TOKEN_DIGEST, subject: None },
        Upstream::Input {
            player: PlayerId(1),
            seq: InputSeq(1),
            seen: Tick(6),
            behind: 384,
            values: vec![1, 250],
        },
        Upstream::Leave { player: PlayerId(300), token: TOKEN_DIGEST },
    ];
    let session = SessionId(0x1_0000_0007);
    let resume = vec![Upstream::Resume { player: PlayerId(300), session, attempt: 2, token: TOKEN_DIGEST }];
    let present = vec![Upstream::Present { players: vec![PlayerId(1), PlayerId(300)] }];
    let (to, text) = (ChatTo::Everyone, "hi, all 👋".to_owned());
    let chat = vec![Upstream::Chat { player: PlayerId(300), seq: 3, to, text }];
    let (name, subject) = ("Zoë".to_owned(), Some("account-42".to_owned()));
    let with_ticket = vec![Upstream::Join { player: PlayerId(300), name, token: TOKEN_DIGEST, subject }];
    let kick = vec![Upstream::Kick { player: PlayerId(300) }];
    let batches = [
        ("upstream", "a batch from a relay", batch),
        ("upstream_resume", "player 300 came back on that connection", resume),
        ("upstream_present", "a relay's players are still connected", present),
        ("upstream_ticket", "player 300 wants to come in, and is account-42", with_ticket),
        ("upstream_kick", "an operator puts player 300 out", kick),
        ("upstream_chat", "player 300 says something to everyone", chat),
    ];
    let bytes = |batch| [vec![INPUT_MESSAGE], codec::encode(batch)].concat();
    batches.iter().map(|(name, comment, batch)| built(name, comment, bytes(batch))).collect()
}

fn orders() -> Vec<Entry> {
    let id = || "Lobby_7-b".parse::<MatchId>().unwrap();
    let orders = [
        ("order_take", "claim this match, whose heir you are", Order::Take { id: id() }),
        ("order_hand_over", "hand this match over to whom you like", Order::HandOver { id: id(), to: None }),
        (
            "order_hand_over_to",
            "hand this match over to that node",
            Order::HandOver { id: id(), to: Some("eu-2".parse().unwrap()) },
        ),
        ("order_drain", "hand everything over and stop", Order::Drain),
        ("order_bans", "put out whoever is banned now", Order::Bans),
    ];
    orders.iter().map(|(name, comment, order)| built(name, comment, codec::encode(order))).collect()
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

/// Two of the ticks, without a prior and with one, once more: as they would be if something had been said, and the first
/// also as if views had changed.
fn said(ticks: &[Entry]) -> Vec<Entry> {
    let one = |first: u8, name: &str, comment: &str, lines: Vec<ChatLine>| {
        let entry = ticks.iter().find(|entry| entry.bytes[0] == first).expect("a tick of this kind");
        let DiffMessage { frame, prior, .. } = read_diff(&entry.bytes);
        let prior = prior.unwrap_or_default();
        let mut bytes = vec![DIFF_CHAT_MESSAGE];
        bytes.extend_from_slice(&entry.bytes[1..37]);
        for part in [frame, prior] {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        let views = name == "channel_views";
        if views {
            bytes[0] = DIFF_VIEWS_MESSAGE;
            bytes.extend_from_slice(&(codec::encode(&lines).len() as u32).to_le_bytes());
        }
        codec::encode_into(&lines, &mut bytes);
        if views {
            bytes.extend_from_slice(&VIEW_CHANGES);
        }
        built(name, comment, bytes)
    };
    let lines = vec![line(300, 0, "hi, all 👋"), line(301, 2, "left!")];
    vec![
        one(DIFF_MESSAGE, "channel_said", "a tick in which two lines were said", lines.clone()),
        one(DIFF_PRIOR_MESSAGE, "channel_said_prior", "the same with a prior", lines[..1].to_vec()),
        one(
            DIFF_MESSAGE,
            "channel_views",
            "player 300 gets segments 0, 3 and 9, player 301 is gone",
            Vec::new(),
        ),
    ]
}

struct DiffMessage<'a> {
    position: Position,
    hash: u32,
    sent_ms: u64,
    frame: &'a [u8],
    prior: Option<&'a [u8]>,
    said: Vec<ChatLine>,
    views: &'a [u8],
}

fn read_diff(bytes: &[u8]) -> DiffMessage<'_> {
    let mut reader = Reader::new(bytes);
    let first = reader.byte().unwrap();
    assert!([DIFF_MESSAGE, DIFF_PRIOR_MESSAGE, DIFF_CHAT_MESSAGE, DIFF_VIEWS_MESSAGE].contains(&first));
    let position = read_position(&mut reader).unwrap();
    let hash = u32::from_le_bytes(reader.array().unwrap());
    let sent_ms = u64::from_le_bytes(reader.array().unwrap());
    if first == DIFF_MESSAGE {
        return DiffMessage {
            position,
            hash,
            sent_ms,
            frame: reader.rest(),
            prior: None,
            said: Vec::new(),
            views: &[],
        };
    }
    let length = u32::from_le_bytes(reader.array().unwrap());
    let frame = reader.take(length as usize).unwrap();
    if first == DIFF_PRIOR_MESSAGE {
        return DiffMessage {
            position,
            hash,
            sent_ms,
            frame,
            prior: Some(reader.rest()),
            said: Vec::new(),
            views: &[],
        };
    }
    let length = u32::from_le_bytes(reader.array().unwrap());
    let prior = Some(reader.take(length as usize).unwrap()).filter(|prior| !prior.is_empty());
    if first == DIFF_CHAT_MESSAGE {
        let said = codec::decode(reader.rest()).unwrap();
        return DiffMessage { position, hash, sent_ms, frame, prior, said, views: &[] };
    }
    let length = u32::from_le_bytes(reader.array().unwrap());
    let said = codec::decode(reader.take(length as usize).unwrap()).unwrap();
    DiffMessage { position, hash, sent_ms, frame, prior, said, views: reader.rest() }
}

fn describe(bytes: &[u8]) -> String {
    match bytes[0] {
        DIFF_MESSAGE | DIFF_PRIOR_MESSAGE | DIFF_CHAT_MESSAGE | DIFF_VIEWS_MESSAGE => {
            let DiffMessage { position, hash, sent_ms, frame, prior, said, views } = read_diff(bytes);
            let views = if views == VIEW_CHANGES { VIEW_CHANGES_JSON } else { "[]" };
            let (position, frame) = (position_json(position), file::hex(frame));
            let prior = prior.map_or("null".to_owned(), |prior| format!(r#""{}""#, file::hex(prior)));
            let said = serde_json::to_string(&said).unwrap();
            format!(
                r#"{{"Diff":{{{position},"hash":"{hash:08x}","sent_ms":{sent_ms},"frame":"{frame}","prior":{prior},"said":{said},"views":{views}}}}}"#
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
        0..=3 => {
            let order: Order = codec::decode(bytes).unwrap();
            format!(r#"{{"Order":{}}}"#, serde_json::to_string(&order).unwrap())
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
