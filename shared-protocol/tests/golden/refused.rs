//! Bytes that every decoder must refuse.

use tickcast_protocol::catch_up::{self, Leap};
use tickcast_protocol::limits::RECONNECT_URL_BYTES_MAX;
use tickcast_protocol::message::{ClientMessage, ServerMessage};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::sections::Sections;
use tickcast_protocol::varint::{DecodeError, Reader};
use tickcast_protocol::{Replica, diff, frame, record, snapshot};

use crate::file::{Entry, File, unhex};
use crate::{crafted, runs, worlds};

/// What it is read as, a label, the bytes, why they are refused.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("varint", "padded", "80 00", "not the shortest form"),
    ("varint", "long", "ff ff ff ff ff ff ff ff ff 02", "more than 64 bits"),
    ("varint", "cut", "80", "the bytes end"),
    ("frame", "empty", "", "no kind"),
    ("frame", "kind", "40 00 00 00", "0x40 is no kind"),
    ("frame", "segments", "12 00 00 00", "a DIFF in segments, which version 3 does not have"),
    ("frame", "segments_flag", "53 47 08 00", "a SEGMENTS has no flags but the prior's number"),
    ("frame", "segments_hashed", "55 47 08 00 00 00 00 00", "and none for a hash: 0x55 is no kind"),
    ("frame", "segments_header", "50 47 08", "the tick is cut off"),
    ("frame", "leap_header", "52 47 08 00", "the span is cut off"),
    ("frame", "leap_span", "52 47 08 00 00", "a LEAP over no tick"),
    (
        "frame",
        "view_header",
        "51 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00",
        "the prior's length is cut off",
    ),
    (
        "frame",
        "view_prior_length",
        "51 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 02 00 00 00 00",
        "a prior of 2 bytes, of which 1 is there",
    ),
    ("sections", "order", "17 03", "segment 0 after 5"),
    ("sections", "twice", "17 14 00", "segment 5 again"),
    ("sections", "beyond", "83 80 01", "segment 4096"),
    ("sections", "beyond_all", "ff ff ff ff ff ff ff ff ff 01", "segment 2^62 - 1"),
    ("sections", "padded", "83 00", "a number that is not in its shortest form"),
    ("sections", "padded_length", "00 80 00", "a length that is not in its shortest form"),
    ("sections", "cut_number", "80", "the number is cut off"),
    ("sections", "cut_hash", "01 01 02 03", "the hash is cut off"),
    ("sections", "cut_payload", "02 01 02 03 04 02 c0", "a payload of 2 bytes, of which 1 is there"),
    ("sections", "endless", "00 ff ff ff ff ff ff ff ff ff 01", "a payload of 2^64 - 1 bytes"),
    ("frame", "header", "11 47 08 00 01 02", "the hash is cut off"),
    ("frame", "prior_header", "22 47 08", "the tick is cut off"),
    ("frame", "span", "30 47 08 00 00", "a CATCHUP over no tick"),
    ("frame", "catch_up_flag", "32 47 08 00 01", "a CATCHUP has one flag"),
    (
        "frame",
        "owner_long",
        "21 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00",
        "a byte too many",
    ),
    (
        "frame",
        "prior_length",
        "20 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 02 00 00 00 00",
        "a prior of 2 bytes, of which 1 is there",
    ),
    (
        "entity",
        "version",
        "01 02 52 f0 01 f4 03 c8 01 04 5a 6f c3 ab 06 02 02 0a 0a",
        "version 1 is no longer",
    ),
    (
        "entity",
        "version_3",
        "03 02 52 f0 01 f4 03 c8 01 04 5a 6f c3 ab 06 02 02 0a 0a",
        "version 3 is not known",
    ),
    ("entity", "cut", "02 02 52", "the record ends"),
    ("entity", "bounds", "02 02 52 f0 01 f4 03 ca 01 04 5a 6f c3 ab 00", "hp = 101"),
    ("entity", "angle", "02 02 52 f0 01 80 04 c8 01 04 5a 6f c3 ab 00", "aim = 256"),
    ("entity", "mask", "02 02 52 f0 01 f4 03 c8 01 04 5a 6f c3 ab 40 02", "the kind has no field 6"),
    (
        "entity",
        "mask_text",
        "02 02 52 f0 01 f4 03 c8 01 04 5a 6f c3 ab 20 02",
        "field 5 is a text, which has no steps",
    ),
    (
        "entity",
        "still",
        "02 02 52 f0 01 f4 03 c8 01 04 5a 6f c3 ab 02 00 00",
        "field 1 is in the mask and did not move",
    ),
    ("entity", "step", "02 02 52 d0 0f f4 03 c8 01 04 5a 6f c3 ab 04 01 00", "x = 1000 after a step of -1"),
    (
        "entity",
        "step_before",
        "02 02 52 ce 0f f4 03 c8 01 04 5a 6f c3 ab 04 01 03",
        "the step before would come from 1002",
    ),
    ("entity", "angle_step", "02 02 52 f0 01 f4 03 c8 01 04 5a 6f c3 ab 08 80 02", "a step of +128 of 256"),
    ("entity", "trailing", "02 02 52 f0 01 f4 03 c8 01 04 5a 6f c3 ab 00 00", "a byte too many"),
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
    ("client", "match_id", "01 00 02 00 01 03 61 20 62", "a blank in a match id"),
    ("client", "join", "01 00 03 00 04", "no join 4"),
    ("client", "token", "01 00 03 00 03 02 6d 31 01 a0 a1", "a resume token of 2 bytes"),
    ("client", "length", "01 01 01 01 fd 00 00 00 00 00 00 00 80", "a list that claims 2^63 values"),
    ("server", "variant", "02 05", "no message 5"),
    ("server", "cut", "02 01 fb e8", "the bytes end"),
];

pub(crate) fn file() -> File {
    let plain = CASES.iter().map(|(of, label, bytes, why)| entry(of, label, unhex(bytes), why));
    let crafted = [
        ("diff", crafted::diffs()),
        ("wide_diff", crafted::wide_diffs()),
        ("snapshot", crafted::snapshots()),
        ("catch_up", crafted::catch_ups()),
        ("prior", crafted::priors()),
        ("server", vec![("url", endless_url(), "a URL of 257 bytes")]),
    ];
    let crafted = crafted.into_iter().flat_map(|(of, cases)| {
        cases.into_iter().map(move |(label, bytes, why)| entry(of, label, bytes, why))
    });
    let about = "Bytes that must be refused. `as` says what they are read as: snapshot, diff, catch_up and\n\
                 prior are payloads of the game duel; a diff is for its state at tick 7 (duel_snapshot in\n\
                 duel.hex) and the first prior, a catch_up for the same state and a span of 1 with two steps\n\
                 known; wide_diff is a diff for the state of wide_snapshot in wide.hex; entity is player:0\n\
                 of the duel; sections are what stands in a frame of a match in segments.";
    File { name: "refused.hex", about, entries: plain.chain(crafted).collect() }
}

fn endless_url() -> Vec<u8> {
    let message = ServerMessage::Reconnect { within_ms: 0, url: "u".repeat(RECONNECT_URL_BYTES_MAX + 1) };
    message.to_frame()
}

fn entry(of: &str, label: &str, bytes: Vec<u8>, why: &str) -> Entry {
    let length = ["trailing", "owner_long", "client"].iter().any(|part| label.contains(part));
    let for_its_length = matches!(refusal(of, &bytes), Some(DecodeError::Trailing(_)));
    assert!(length || !for_its_length, "{of} {label} is refused for its length alone");
    let why = serde_json::to_string(why).expect("a text is JSON");
    let meaning = format!(r#"{{"as":"{of}","why":{why}}}"#);
    Entry::new(&format!("refused_{of}_{label}"), &format!("as {of}"), meaning, bytes)
}

fn refusal(of: &str, bytes: &[u8]) -> Option<DecodeError> {
    let schema = worlds::duel();
    let first = Prior::first(&schema);
    match of {
        "varint" => Reader::new(bytes).varint().err(),
        "frame" => frame::parse(bytes).err(),
        "sections" => Sections::new(bytes).find_map(Result::err),
        "diff" => diff::apply(&mut crafted::at_7(&schema), &first, bytes).err(),
        "wide_diff" => {
            let mut replica = Replica::empty(worlds::wide());
            replica.apply(&runs::wide().file.entries[0].bytes);
            diff::apply(&mut replica.world().clone(), replica.prior(), bytes).err()
        }
        "catch_up" => catch_up::apply(&mut crafted::at_7(&schema), Leap { span: 1, known: 2 }, bytes).err(),
        "snapshot" => snapshot::decode(schema, bytes).err(),
        "prior" => first.decode(bytes).err(),
        "entity" => record::decode_entities(schema, [(crafted::ZOE, bytes)]).err().map(|(_, error)| error),
        _ => None,
    }
}

fn is_refused(of: &str, bytes: &[u8]) -> bool {
    match of {
        "client" => ClientMessage::from_frame(bytes).is_err(),
        "server" => ServerMessage::from_frame(bytes).is_err(),
        _ => refusal(of, bytes).is_some(),
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
