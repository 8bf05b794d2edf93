//! Frames of every kind, whole and in pieces, against what RFC 6455 says of them.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::*;

const BINARY: OpCode = OpCode::Data(Data::Binary);
const REST: OpCode = OpCode::Data(Data::Continue);
const PING: OpCode = OpCode::Control(Control::Ping);

/// A client's frame, as tungstenite writes it.
fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 20, 0, 255];
    let header = FrameHeader { is_final, rsv1: false, rsv2: false, rsv3: false, opcode, mask: Some(mask) };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).expect("a vector takes any header");
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    unmask(&mut bytes[start..], mask);
    bytes
}

/// What all of it comes to, in words, and how many bytes are left.
fn told(intake: &mut Intake, bytes: &mut [u8]) -> (Vec<String>, usize) {
    let (mut all, mut at) = (Vec::new(), 0);
    loop {
        let (size, heard) = intake.take(&mut bytes[at..]);
        if size == 0 {
            return (all, bytes.len() - at);
        }
        at += size;
        match heard {
            Some(Heard::Binary(payload)) => all.push(format!("binary {}", payload.len())),
            Some(Heard::Other(Ok(Message::Binary(payload)))) => all.push(format!("binary {}", payload.len())),
            Some(Heard::Other(Ok(Message::Ping(payload)))) => all.push(format!("ping {}", payload.len())),
            Some(Heard::Other(Ok(Message::Close(_)))) => all.push("close".to_owned()),
            Some(Heard::Other(Ok(other))) => all.push(format!("{other:?}")),
            Some(Heard::Other(Err(error))) => {
                all.push(format!("error: {error}"));
                return (all, bytes.len() - at);
            }
            None => {}
        }
        let reply = intake.reply();
        if let Some(reply) = reply {
            all.push(format!("reply {reply:02x?}").replace("b\"", "\""));
        }
    }
}

fn tell(frames: &[Vec<u8>]) -> Vec<String> {
    told(&mut Intake::default(), &mut frames.concat()).0
}

#[test]
fn a_whole_binary_message_is_unmasked_where_it_lies() {
    let payload: Vec<u8> = (0..=255).collect();
    for size in [0, 1, 125, 126, 255] {
        let mut bytes = frame(BINARY, true, &payload[..size]);
        let length = bytes.len();
        let mut intake = Intake::default();
        match intake.take(&mut bytes) {
            (taken, Some(Heard::Binary(seen))) => assert_eq!((taken, seen), (length, &payload[..size])),
            other => panic!("{other:?}"),
        }
        assert!(intake.other.is_none(), "nothing is kept for what nearly all frames are");
    }
}

#[test]
fn a_ping_is_answered_and_nothing_is_kept_of_it() {
    let mut intake = Intake::default();
    let mut bytes = [frame(PING, true, b"hi"), frame(BINARY, true, b"abc")].concat();
    let (all, left) = told(&mut intake, &mut bytes);
    assert_eq!((all.len(), left), (3, 0), "{all:?}");
    assert_eq!((all[0].as_str(), all[2].as_str()), ("ping 2", "binary 3"));
    assert!(all[1].starts_with("reply"), "{all:?}");
    assert!(intake.other.is_none());
}

#[test]
fn a_message_in_pieces_is_put_together_around_a_ping() {
    let frames = [
        frame(BINARY, false, b"ab"),
        frame(PING, true, b""),
        frame(REST, true, b"cde"),
        frame(BINARY, true, b"f"),
    ];
    let all = tell(&frames);
    let messages: Vec<&str> =
        all.iter().map(String::as_str).filter(|told| !told.starts_with("reply")).collect();
    assert_eq!(messages, ["ping 0", "binary 5", "binary 1"]);
}

#[test]
fn what_breaks_a_rule_is_an_error() {
    let mut unmasked = frame(BINARY, true, b"abc");
    unmasked[1] &= !MASKED;
    let mut reserved = frame(BINARY, true, b"abc");
    reserved[0] |= 0x40;
    let mut unknown = frame(BINARY, true, b"abc");
    unknown[0] = 0x83;
    let long = frame(BINARY, true, &vec![0; PAYLOAD_BYTES_MAX + 1]);
    let pieces = [frame(BINARY, false, &[0; 600]), frame(REST, true, &[0; 600])].concat();
    let stray = frame(REST, true, b"abc");
    let twice = [frame(BINARY, false, b"a"), frame(BINARY, true, b"b")].concat();
    let long_ping = frame(PING, true, &[0; 126]);
    let text = frame(OpCode::Data(Data::Text), true, &[0xff, 0xfe]);
    for (name, bytes) in [
        ("unmasked", unmasked),
        ("reserved", reserved),
        ("unknown", unknown),
        ("long", long),
        ("pieces", pieces),
        ("stray", stray),
        ("twice", twice),
        ("long ping", long_ping),
        ("text", text),
    ] {
        let all = tell(&[bytes]);
        assert!(all.last().is_some_and(|told| told.starts_with("error")), "{name}: {all:?}");
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_by_its_head() {
    let head = frame(BINARY, true, &vec![0; PAYLOAD_BYTES_MAX + 1])[..8].to_vec();
    assert!(matches!(tell(&[head]).as_slice(), [told] if told.starts_with("error")));
    // Longer than any memory.
    let endless = [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4].to_vec();
    assert!(matches!(tell(&[endless]).as_slice(), [told] if told.starts_with("error")));
}

#[test]
fn pieces_of_a_stream_come_to_the_same_as_the_whole() {
    let seed = rand::random();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..300 {
        let mut stream = Vec::new();
        for _ in 0..rng.random_range(1..8) {
            let payload = vec![7; rng.random_range(0..200)];
            match rng.random_range(0..4) {
                0 => stream.extend(frame(PING, true, &payload[..payload.len().min(125)])),
                1 => stream.extend([frame(BINARY, false, &payload), frame(REST, true, &payload)].concat()),
                _ => stream.extend(frame(BINARY, true, &payload)),
            }
        }
        if rng.random_ratio(1, 4) {
            let at = rng.random_range(0..stream.len());
            stream[at] ^= 1 << rng.random_range(0..8);
        }
        let whole = told(&mut Intake::default(), &mut stream.clone());
        let (mut intake, mut begun, mut all) = (Intake::default(), Vec::new(), Vec::new());
        for byte in stream {
            begun.push(byte);
            let (more, left) = told(&mut intake, &mut begun);
            begun.drain(..begun.len() - left);
            all.extend(more);
            if all.last().is_some_and(|told| told.starts_with("error")) {
                break;
            }
        }
        assert_eq!(all, whole.0, "seed {seed}");
        let is_error = all.last().is_some_and(|told| told.starts_with("error"));
        assert!(is_error || begun.len() == whole.1, "seed {seed}");
    }
}
