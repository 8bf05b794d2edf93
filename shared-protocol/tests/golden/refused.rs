//! Bytes that every decoder must refuse.

use tickcast_protocol::message::{ClientMessage, ServerMessage};
use tickcast_protocol::varint::Reader;
use tickcast_protocol::{EntityId, Replica, diff, frame};

use crate::file::{Entry, File, unhex};
use crate::{sequence, worlds};

/// What it is read as, a label, the bytes, why they are refused.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("varint", "padded", "80 00", "not the shortest form"),
    ("varint", "long", "ff ff ff ff ff ff ff ff ff 02", "more than 64 bits"),
    ("varint", "cut", "80", "the bytes end"),
    ("frame", "empty", "", "no kind"),
    ("frame", "kind", "12 00 00 00", "0x12 is no kind: a DIFF has one flag"),
    ("frame", "header", "11 47 08 00 01 02", "the hash is cut off"),
    (
        "frame",
        "owner_long",
        "21 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00",
        "a byte too many",
    ),
    ("diff", "cut", "00 00 00 00 00", "a section is missing"),
    ("diff", "trailing", "00 00 00 00 00 00 00", "a byte too many"),
    ("diff", "empty_mask", "01 00 00 00 00 00 00 00", "a changed entity without a changed field"),
    ("diff", "mask", "01 00 40 02 00 00 00 00 00", "the kind has no field 6"),
    ("diff", "stranger", "01 02 10 02 00 00 00 00 00", "a change of player 2, which does not exist"),
    ("diff", "out_of_bounds", "01 00 10 02 00 00 00 00 00", "hp would be 101"),
    ("diff", "half_turn", "01 00 08 80 02 00 00 00 00 00", "an angle's residual of +128 of 256"),
    (
        "diff",
        "text_long",
        "01 00 20 0d 61 61 61 61 61 61 61 61 61 61 61 61 61 00 00 00 00 00",
        "13 bytes of at most 12",
    ),
    ("diff", "text_utf8", "01 00 20 02 c3 28 00 00 00 00 00", "not UTF-8"),
    ("diff", "despawn", "00 01 02 00 00 00 00", "a despawn of player 2, which does not exist"),
    ("diff", "spawn_twice", "00 00 00 00 00 01 00 00 00", "a birth of ball 0, which exists"),
    ("diff", "spawn_reused", "00 00 00 00 01 00 01 00 00 00", "ball 0 goes and is born in the same tick"),
    ("diff", "spawn_bounds", "00 00 00 00 00 01 01 d2 0f 00", "a birth with x = 1001"),
    ("diff", "index", "00 00 00 00 00 01 ff ff 03 00 00", "index 65535"),
    ("snapshot", "step", "00 01 00 d0 0f 00 01 00", "x = 1000 after a step of -1 would come from 1001"),
    ("snapshot", "angle_step", "00 01 00 00 00 00 10", "a step of +8 of 16 is written as -8"),
    ("entity", "version", "02 02 52 f0 01 fa 01 c8 01 04 5a 6f c3 ab 02 0a", "version 2 is not known"),
    ("entity", "cut", "01 02 52", "the record ends"),
    ("client", "trailing", "01 04 00", "a byte too many"),
    ("client", "variant", "01 05", "no message 5"),
    ("client", "kind", "02 04", "0x02 is the server's kind"),
    (
        "client",
        "name",
        "01 00 01 19 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 00 00",
        "a name of 25 bytes",
    ),
    ("client", "wide_u16", "01 00 fc 01 00 00 00 00 00 00", "a u16 in the 32-bit form"),
    ("client", "match_id", "01 00 01 00 01 03 61 20 62", "a blank in a match id"),
    ("client", "length", "01 01 01 01 fd 00 00 00 00 00 00 00 80", "a list that claims 2^63 values"),
    ("server", "variant", "02 04", "no message 4"),
    ("server", "cut", "02 01 fb e8", "the bytes end"),
];

pub(crate) fn file() -> File {
    let entry = |(of, label, bytes, why): &(&str, &str, &str, &str)| {
        let why = serde_json::to_string(why).expect("a text is JSON");
        let meaning = format!(r#"{{"as":"{of}","why":{why}}}"#);
        Entry::new(&format!("refused_{of}_{label}"), &format!("as {of}"), meaning, unhex(bytes))
    };
    let about = "Bytes that must be refused. `as` says what they are read as: diff and snapshot are\n\
                 payloads of the game duel, a diff for its state at tick 7 (duel_snapshot in duel.hex),\n\
                 entity is its player:0.";
    File { name: "refused.hex", about, entries: CASES.iter().map(entry).collect() }
}

fn is_refused(of: &str, bytes: &[u8]) -> bool {
    let schema = worlds::duel();
    match of {
        "varint" => Reader::new(bytes).varint().is_err(),
        "frame" => frame::parse(bytes).is_err(),
        "diff" => {
            let mut replica = Replica::empty(schema);
            replica.apply(&sequence::duel().file.entries[0].bytes);
            diff::apply(&mut replica.world().clone(), bytes).is_err()
        }
        "snapshot" => diff::decode_snapshot(schema, bytes).is_err(),
        "entity" => diff::decode_entities(schema, [(EntityId { kind: 0, index: 0 }, bytes)]).is_err(),
        "client" => ClientMessage::from_frame(bytes).is_err(),
        "server" => ServerMessage::from_frame(bytes).is_err(),
        other => panic!("unknown reading {other}"),
    }
}

pub(crate) fn meaning(entry: &Entry) -> String {
    let told: serde_json::Value = serde_json::from_str(&entry.meaning).unwrap();
    if is_refused(told["as"].as_str().unwrap(), &entry.bytes) {
        entry.meaning.clone()
    } else {
        "accepted".to_owned()
    }
}
