//! frames that break rules, that never end, that come too fast, and connections that end in odd ways.

use std::time::Duration;

use futures_util::future::join_all;
use harness::http::create_match;
use harness::player::{Close, Socket};
use harness::raw::{Raw, frame, head};
use serde_json::json;
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION};
use tickcast_server::io::clock;
use tokio_tungstenite::tungstenite::Message;

use super::{Siege, WITHIN};

/// Within this a flood is closed; it is 1 s on a machine of its own.
const FLOOD_WITHIN: Duration = Duration::from_secs(3);
/// Connections that flood at the same time.
const FLOODERS: usize = 50;
/// Memory that a node may take for all of them, kilobytes.
const GROWTH_KB_MAX: u64 = 16 * 1024;
/// Within this a connection that ended is forgotten.
const REAPED_WITHIN: Duration = Duration::from_secs(12);
/// More frames than any rate allows in a moment.
const FLOOD: usize = 500;

/// What a new connection is told that sends this.
async fn told(authority: &str, bytes: &[u8]) -> Option<Close> {
    let mut raw = Raw::open(authority).await;
    let _ = raw.send(bytes).await;
    raw.closed(WITHIN).await
}

/// Sends the same again and again until the connection takes no more, and answers what it is told and how long that took.
async fn flood(authority: &str, first: &[u8], again: &[u8]) -> (Option<Close>, Duration) {
    let mut raw = Raw::open(authority).await;
    let begun = clock::now();
    let _ = raw.send(first).await;
    let block = again.repeat((64 * 1024 / again.len()).max(1));
    let sent = tokio::time::timeout(FLOOD_WITHIN, async { while raw.send(&block).await.is_ok() {} }).await;
    let close = raw.closed(WITHIN).await;
    assert!(sent.is_ok(), "it was still taken after {FLOOD_WITHIN:?}: {close:?}");
    (close, clock::now() - begun)
}

#[tokio::test]
async fn a_10_frames_that_break_a_rule_are_told_so() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let mut unmasked = vec![0x82, 3];
    unmasked.extend(b"abc");
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", unmasked, 1002),
        ("RSV1", frame(0xc2, b"abc"), 1002),
        ("RSV2", frame(0xa2, b"abc"), 1002),
        ("RSV3", frame(0x92, b"abc"), 1002),
        ("opcode 3", frame(0x83, b"abc"), 1002),
        ("opcode 7", frame(0x87, b"abc"), 1002),
        ("opcode 11", frame(0x8b, b"abc"), 1002),
        ("opcode 15", frame(0x8f, b"abc"), 1002),
        ("a ping in pieces", frame(0x09, b"abc"), 1002),
        ("a close in pieces", frame(0x08, &[3, 232]), 1002),
        ("a ping of 126 bytes", frame(0x89, &[0; 126]), 1002),
        ("a continuation of nothing", frame(0x80, b"abc"), 1002),
        ("a message within another", [frame(0x02, b"a"), frame(0x82, b"b")].concat(), 1002),
        ("a close of one byte", frame(0x88, &[3]), 1002),
        ("close 999", frame(0x88, &999_u16.to_be_bytes()), 1002),
        ("close 1005", frame(0x88, &1005_u16.to_be_bytes()), 1002),
        ("close 1006", frame(0x88, &1006_u16.to_be_bytes()), 1002),
        ("close 1015", frame(0x88, &1015_u16.to_be_bytes()), 1002),
        ("a close reason that is no text", frame(0x88, &[3, 232, 0xff, 0xfe]), 1007),
        ("a text that is none", frame(0x81, &[0xff, 0xfe]), 1007),
        ("a text", frame(0x81, b"hello"), 1003),
        ("a text in pieces", [frame(0x01, b"he"), frame(0x80, b"llo")].concat(), 1003),
        ("an empty binary message", frame(0x82, b""), 4500),
        ("a message in pieces that is none", [frame(0x02, b""), frame(0x80, b"")].concat(), 4500),
    ];
    siege
        .bears(async {
            for (what, bytes, code) in cases {
                let close = told(&authority, &bytes).await;
                assert_eq!(close.as_ref().map(|close| close.code), Some(code), "{what}: {close:?}");
            }
        })
        .await;
    assert!(!siege.node.output().contains("panicked"), "{}", siege.node.output());
}

#[tokio::test]
async fn a_11_a_length_that_is_too_long_is_refused_when_it_is_claimed() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let before = siege.resident_kb();
    siege
        .bears(async {
            for first in [0x82, 0x02, 0x81] {
                for claimed in [1 << 63, u64::MAX, (1 << 63) - 1, 16 << 20, 65_536, 4097, 1025] {
                    let close = told(&authority, &head(first, claimed)).await;
                    let is_told =
                        close.as_ref().is_some_and(|close| close.code == 1009 || close.code == 1002);
                    let too_big = close.as_ref().is_some_and(|close| close.code == 1009);
                    assert!(if claimed >> 63 == 0 { too_big } else { is_told }, "{claimed}: {close:?}");
                }
            }
            // The sum of the pieces counts, too.
            let pieces = [frame(0x02, &[0; 1000]), frame(0x00, &[0; 25])].concat();
            assert_eq!(told(&authority, &pieces).await.map(|close| close.code), Some(1009));
        })
        .await;
    let grown = siege.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB_MAX, "{grown} kB more");
}

#[tokio::test]
async fn a_12_fragment_floods_are_closed_by_their_bytes() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let before = siege.resident_kb();
    let begin = frame(0x02, b"");
    let cases = [
        ("endless empty pieces", begin.clone(), frame(0x00, b"")),
        ("pieces of one byte", begin.clone(), frame(0x00, b"x")),
        ("messages of no pieces", Vec::new(), [begin, frame(0x80, b"")].concat()),
        ("one byte for ever", Vec::new(), vec![0xff]),
    ];
    for (what, first, again) in cases {
        let floods = (0..FLOODERS).map(|_| flood(&authority, &first, &again));
        let all = siege.bears(join_all(floods)).await;
        for (close, took) in all {
            // What breaks a rule besides may be told that instead.
            let code = close.as_ref().map(|close| close.code);
            let expected = matches!(code, Some(4005)) || (what != "endless empty pieces" && code.is_some());
            assert!(expected && took < FLOOD_WITHIN, "{what}: {close:?} after {took:?}");
        }
    }
    let grown = siege.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB_MAX, "{grown} kB more");
}

#[tokio::test]
async fn a_12_a_message_that_is_begun_must_end() {
    let siege = Siege::begin(&[]).await;
    let (players, id, authority) = (siege.node.players.clone(), siege.id.clone(), siege.authority());
    let hello = |id| ClientMessage::Hello {
        protocol: PROTOCOL_VERSION,
        ticket: String::new(),
        name: "begins".to_owned(),
        join: Join::Spectate(id),
    };
    let hello = frame(0x82, &hello(id.clone()).to_frame());
    let half = [frame(0x02, b"ab"), frame(0x82, b"abc")[..5].to_vec()];
    let begun = half.map(async |bytes| {
        let mut raw = Raw::open(&authority).await;
        raw.send(&hello).await.expect("sent");
        raw.until_frame(0x82).await;
        raw.send(&bytes).await.expect("sent");
        raw.closed(WITHIN).await.expect("a close frame")
    });
    let whole = async {
        // Who says nothing at all but answers pings stays.
        let mut socket = Socket::open(&players).await;
        socket.hello(Join::Spectate(id.clone())).await;
        for _ in 0..200 {
            socket.next().await.expect("who begins nothing is not closed");
        }
    };
    let (closes, ()) = siege.bears(async { tokio::join!(join_all(begun), whole) }).await;
    for close in closes {
        assert!(close.code == 4004 && close.reason.contains("did not end in time"), "{close:?}");
    }
}

#[tokio::test]
async fn a_13_pings_and_pongs_are_counted_and_one_answer_waits() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let (ping, pong) = (frame(0x89, &[7; 125]), frame(0x8a, b""));
    siege
        .bears(async {
            for flooding in [frame(0x89, b""), ping.clone(), pong] {
                let close = told(&authority, &flooding.repeat(FLOOD)).await;
                assert_eq!(close.as_ref().map(|close| close.code), Some(4005), "{close:?}");
            }
            let mut raw = Raw::open(&authority).await;
            raw.send(&ping).await.expect("sent");
            assert_eq!(raw.until_frame(0x8a).await, [7; 125], "the same comes back");
        })
        .await;
}

#[tokio::test]
async fn a_15_connections_that_end_in_odd_ways_are_forgotten() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let connections = siege.node.metric("connections").await;
    siege
        .bears(async {
            for number in 0..30 {
                let mut raw = Raw::open(&authority).await;
                let whole = frame(0x82, b"\x01\x00");
                raw.send(&whole[..number % whole.len()]).await.expect("sent");
                match number % 3 {
                    0 => raw.shut_down_writing().await,
                    1 => raw.reset(),
                    _ => drop(raw),
                }
            }
            let half_closed = async {
                let mut raw = Raw::open(&authority).await;
                raw.shut_down_writing().await;
                raw.rest(REAPED_WITHIN).await;
            };
            half_closed.await;
            siege.node.until_metric("connections", REAPED_WITHIN, |open| open == connections).await;
        })
        .await;
}

#[tokio::test]
async fn a_16_a_text_is_refused() {
    let siege = Siege::begin(&[]).await;
    let (players, authority) = (siege.node.players.clone(), siege.authority());
    let id = create_match(&authority, &json!({})).await;
    let close = siege
        .bears(async {
            let mut socket = Socket::open(&players).await;
            socket.hello(Join::Match(id)).await;
            socket.next().await.expect("a welcome");
            socket.send(Message::text("go left")).await;
            socket.closed(WITHIN).await
        })
        .await;
    assert_eq!(close.code, 1003, "{close:?}");
}
