//! frames that break rules, that never end, that come too fast, and connections that end in odd ways.

use harness::abuse::{GROWTH_KB_MAX, frames};
use harness::player::Socket;
use harness::raw::{Raw, frame};
use tickcast_protocol::message::Join;

use super::Siege;

#[tokio::test]
async fn a_10_frames_that_break_a_rule_are_told_so() {
    let siege = Siege::begin(&[]).await;
    siege.bears(frames::rules_broken(&siege.target())).await;
    assert!(!siege.node.output().contains("panicked"), "{}", siege.node.output());
}

#[tokio::test]
async fn a_11_a_length_that_is_too_long_is_refused_when_it_is_claimed() {
    let siege = Siege::begin(&[]).await;
    let target = siege.target();
    let before = target.resident_kb();
    siege.bears(frames::long_lengths(&target)).await;
    let grown = target.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB_MAX, "{grown} kB more");
}

#[tokio::test]
async fn a_12_fragment_floods_are_closed_by_their_bytes() {
    let siege = Siege::begin(&[]).await;
    let target = siege.target();
    let before = target.resident_kb();
    siege.bears(frames::fragment_floods(&target)).await;
    let grown = target.resident_kb().saturating_sub(before);
    assert!(grown < GROWTH_KB_MAX, "{grown} kB more");
}

#[tokio::test]
async fn a_12_a_message_that_is_begun_must_end() {
    let siege = Siege::begin(&[]).await;
    let target = siege.target();
    let whole = async {
        // Who says nothing at all but answers pings stays.
        let mut socket = Socket::open(&siege.node.players).await;
        socket.hello(Join::Spectate(siege.id.clone())).await;
        for _ in 0..200 {
            socket.next().await.expect("who begins nothing is not closed");
        }
    };
    siege.bears(async { tokio::join!(frames::endless_messages(&target), whole) }).await;
}

#[tokio::test]
async fn a_13_pings_and_pongs_are_counted_and_one_answer_waits() {
    let siege = Siege::begin(&[]).await;
    let authority = siege.authority();
    let target = siege.target();
    siege
        .bears(async {
            frames::pings(&target).await;
            let mut raw = Raw::open(&authority).await;
            raw.send(&frame(0x89, &[7; 125])).await.expect("sent");
            assert_eq!(raw.until_frame(0x8a).await, [7; 125], "the same comes back");
        })
        .await;
}

#[tokio::test]
async fn a_15_connections_that_end_in_odd_ways_are_forgotten() {
    let siege = Siege::begin(&[]).await;
    siege.bears(frames::odd_ends(&siege.target())).await;
}

#[tokio::test]
async fn a_16_a_text_is_refused() {
    let siege = Siege::begin(&[]).await;
    siege.bears(frames::texts(&siege.target())).await;
}
