//! frames that break rules, that never end, that come too fast, and connections that end in odd ways.

use std::time::Duration;

use futures_util::future::join_all;
use tickcast_protocol::CloseCode;
use tickcast_protocol::message::Join;
use tickcast_server::io::clock;
use tokio_tungstenite::tungstenite::Message;

use super::{Target, WITHIN, hello};
use crate::player::Close;
use crate::raw::{frame, head};

/// Within this a flood is closed; it is 1 s on a machine of its own.
const FLOOD_WITHIN: Duration = Duration::from_secs(3);
/// Connections that flood at the same time.
pub const FLOODERS: usize = 50;
/// Within this a connection that ended is forgotten.
const REAPED_WITHIN: Duration = Duration::from_secs(12);
/// Snapshots that a client asks for before it stops reading: as much as a narrow socket holds.
const SNAPSHOTS: usize = 2;
/// More frames than any rate allows in a moment.
const FLOOD: usize = 500;

/// What a new connection is told that sends this.
async fn told(target: &Target, bytes: &[u8]) -> Option<Close> {
    let mut raw = target.open().await;
    let _ = raw.send(bytes).await;
    raw.closed(WITHIN).await
}

/// Sends the same again and again until the connection takes no more, and answers what it is told and how long that took.
async fn flood(target: &Target, first: &[u8], again: &[u8]) -> (Option<Close>, Duration) {
    let mut raw = target.open().await;
    let begun = clock::now();
    let _ = raw.send(first).await;
    let block = again.repeat((64 * 1024 / again.len()).max(1));
    let sent = tokio::time::timeout(FLOOD_WITHIN, async { while raw.send(&block).await.is_ok() {} }).await;
    let close = raw.closed(WITHIN).await;
    assert!(sent.is_ok(), "it was still taken after {FLOOD_WITHIN:?}: {close:?}");
    (close, clock::now() - begun)
}

/// frames that break a rule.
///
/// # Panics
/// When one is not told the code that fits.
pub async fn rules_broken(target: &Target) {
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
    for (what, bytes, code) in cases {
        let close = told(target, &bytes).await;
        assert_eq!(close.as_ref().map(|close| close.code), Some(code), "{what}: {close:?}");
    }
}

/// heads of frames that claim more than there may be.
///
/// # Panics
/// When one is not told 1009, or, where the length itself breaks a rule, 1002.
pub async fn long_lengths(target: &Target) {
    for first in [0x82, 0x02, 0x81] {
        for claimed in [1 << 63, u64::MAX, (1 << 63) - 1, 16 << 20, 65_536, 4097, 1025] {
            let close = told(target, &head(first, claimed)).await;
            let is_told = close.as_ref().is_some_and(|close| close.code == 1009 || close.code == 1002);
            let too_big = close.as_ref().is_some_and(|close| close.code == 1009);
            assert!(if claimed >> 63 == 0 { too_big } else { is_told }, "{claimed}: {close:?}");
        }
    }
    // The sum of the pieces counts, too.
    let pieces = [frame(0x02, &[0; 1000]), frame(0x00, &[0; 25])].concat();
    assert_eq!(told(target, &pieces).await.map(|close| close.code), Some(1009));
}

/// 50 connections at once send pieces of messages as fast as they can, in one way after another.
///
/// # Panics
/// When one is not closed in time.
pub async fn fragment_floods(target: &Target) {
    let begin = frame(0x02, b"");
    let cases = [
        ("endless empty pieces", begin.clone(), frame(0x00, b"")),
        ("pieces of one byte", begin.clone(), frame(0x00, b"x")),
        ("messages of no pieces", Vec::new(), [begin, frame(0x80, b"")].concat()),
        ("one byte for ever", Vec::new(), vec![0xff]),
    ];
    for (what, first, again) in cases {
        let floods = (0..FLOODERS).map(|_| flood(target, &first, &again));
        for (close, took) in join_all(floods).await {
            // What breaks a rule besides may be told that instead.
            let code = close.as_ref().map(|close| close.code);
            let expected = matches!(code, Some(4005)) || (what != "endless empty pieces" && code.is_some());
            assert!(expected && took < FLOOD_WITHIN, "{what}: {close:?} after {took:?}");
        }
    }
}

/// messages that are begun and never end, of somebody who looks on.
///
/// # Panics
/// When that is not closed with 4004.
pub async fn endless_messages(target: &Target) {
    let hello = frame(0x82, &hello("begins", Join::Spectate(target.id.clone())));
    let half = [frame(0x02, b"ab"), frame(0x82, b"abc")[..5].to_vec()];
    let begun = half.map(async |bytes| {
        let mut raw = target.open().await;
        raw.send(&hello).await.expect("sent");
        raw.until_frame(0x82).await;
        raw.send(&bytes).await.expect("sent");
        raw.closed(WITHIN).await.expect("a close frame")
    });
    for close in join_all(begun).await {
        assert!(close.code == 4004 && close.reason.contains("did not end in time"), "{close:?}");
    }
}

/// pings and pongs, more than may come.
///
/// # Panics
/// When that is not closed with 4005, for their number.
pub async fn pings(target: &Target) {
    for flooding in [frame(0x89, b""), frame(0x89, &[7; 125]), frame(0x8a, b"")] {
        let close = told(target, &flooding.repeat(FLOOD)).await.expect("a close frame");
        assert_eq!((close.code, close.reason.as_str()), (4005, CloseCode::RateLimited.text()));
    }
}

/// so many that join, ask for as many snapshots as their sockets hold, and read no more; until they are put out. The match's
/// snapshots must be large.
///
/// # Panics
/// When one is not put out by then.
pub async fn no_readers(target: &Target, join: Join, count: u64, deadline: Duration) {
    let closed = "closes_total{code=\"4002\",name=\"Slow\"}";
    let before = target.node.metric(closed).await;
    let mut stuck = join_all((0..count).map(|_| target.join_narrow("stuck", join.clone()))).await;
    join_all(stuck.iter_mut().map(|player| player.ask_for_snapshots(SNAPSHOTS))).await;
    target.node.until_metric(closed, deadline, |closed| closed >= before + count).await;
}

/// connections that end within a frame, in one way after another.
///
/// # Panics
/// When the node does not forget them.
pub async fn odd_ends(target: &Target) {
    let connections = target.node.metric("connections").await;
    for number in 0..30 {
        let mut raw = target.open().await;
        let whole = frame(0x82, b"\x01\x00");
        raw.send(&whole[..number % whole.len()]).await.expect("sent");
        match number % 3 {
            0 => raw.shut_down_writing().await,
            1 => raw.reset(),
            _ => drop(raw),
        }
    }
    let mut half_closed = target.open().await;
    half_closed.shut_down_writing().await;
    half_closed.rest(REAPED_WITHIN).await;
    target.node.until_metric("connections", REAPED_WITHIN, |open| open <= connections).await;
}

/// a member says something as text.
///
/// # Panics
/// When it is not closed with 1003.
pub async fn texts(target: &Target) {
    let mut socket = target.socket().await;
    socket.hello(Join::Match(target.id.clone())).await;
    socket.next().await.expect("a welcome");
    socket.send(Message::text("go left")).await;
    let close = socket.closed(WITHIN).await;
    assert_eq!(close.code, 1003, "{close:?}");
}
