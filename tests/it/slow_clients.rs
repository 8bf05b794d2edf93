//! Clients that stop reading, at a real node: they are caught up or put out, and nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use harness::abuse::Target;
use harness::abuse::frames::no_readers;
use harness::http::{create_match, request};
use harness::player::Player;
use harness::process::{Node, NodeOptions};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_protocol::{MatchId, Tick};

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// A client is closed that takes nothing for 5 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);
/// For so many seconds of the match the place of a client is kept that was closed.
const RESUME_SECONDS: &str = "3";
/// A match whose ticks take too long goes slower than the clock.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// No prior is published in the ticks after this one, so that one catch-up leads over those that are missed.
const SETTLED: Tick = Tick(66);
/// Ticks for which a client does not read.
const STALL_TICKS: u64 = 40;
/// Snapshots that a client asks for before it stops reading: as much as a narrow socket holds.
const SNAPSHOTS: usize = 2;

/// A match whose snapshots are large.
async fn crowded_match() -> (Node, MatchId) {
    let args = ["--resume-seconds", RESUME_SECONDS].map(str::to_owned).into();
    let node = Node::start(NodeOptions { args, ..NodeOptions::default() }).await;
    let id = create_match(node.authority(), &json!({ "options": { "drones": 900 } })).await;
    (node, id)
}

/// A counter of the node.
async fn counter(node: &Node, name: &str) -> u64 {
    let operators = node.operators.trim_start_matches("http://").trim_end_matches('/');
    let metrics = request(operators, "GET", "/metrics", "").await.body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

async fn follow_to(player: &mut Player, tick: Tick) {
    let reached = |player: &Player| player.position().tick >= tick;
    player.follow_until(WITHIN, &format!("tick {tick}"), reached).await;
}

#[tokio::test]
async fn who_stops_reading_for_a_while_is_caught_up_and_nobody_else_notices() {
    let (node, id) = crowded_match().await;
    let mut quick = Player::join(&node.players, "quick", Join::Match(id.clone())).await;
    follow_to(&mut quick, SETTLED).await;
    let mut player = Player::join_narrow(&node.players, "slow", Join::Match(id.clone())).await;
    let mut watcher = Player::join_narrow(&node.players, "watcher", Join::Spectate(id)).await;
    player.ask_for_snapshots(SNAPSHOTS).await;
    watcher.ask_for_snapshots(SNAPSHOTS).await;
    let before = counter(&node, "tickcast_catch_ups_total").await;
    quick.follow_ticks(STALL_TICKS, WITHIN).await;

    let end = Tick(quick.position().tick.0 + STALL_TICKS);
    tokio::join!(follow_to(&mut quick, end), follow_to(&mut player, end), follow_to(&mut watcher, end));
    for slow in [&player, &watcher] {
        assert_eq!(slow.position(), quick.position(), "in step again, tick by tick");
        assert!(slow.replica().world().same_state(quick.replica().world()));
        let jumps = ["CaughtUp", "Snapshot"];
        assert!(slow.breaks.iter().all(|event| jumps.contains(&event.as_str())), "{:?}", slow.breaks);
        assert!(slow.breaks.iter().any(|event| event == "CaughtUp"), "{:?}", slow.breaks);
    }
    assert_eq!(quick.breaks, [""; 0]);
    // Each got one over the ticks it missed, and two that tell how everything moves.
    assert!(counter(&node, "tickcast_catch_ups_total").await >= before + 6);
    assert_eq!(counter(&node, "tickcast_closes_total{code=\"4002\",name=\"Slow\"}").await, 0);
}

#[tokio::test]
async fn who_reads_nothing_for_too_long_is_put_out() {
    let (node, id) = crowded_match().await;
    let mut quick = Player::join(&node.players, "quick", Join::Match(id.clone())).await;
    let target = Target::new(Arc::new(node), id.clone());
    let follow = async {
        loop {
            quick.advance().await.expect("nobody closes who reads");
        }
    };
    tokio::select! {
        () = no_readers(&target, Join::Match(id), 1, CLOSED_WITHIN) => {}
        () = follow => {}
    }
    let alone = |quick: &Player| quick.replica().world().count(0) == 1;
    quick.follow_until(GONE_WITHIN, "the stuck player has left the match", alone).await;
    assert_eq!(quick.breaks, [""; 0]);
}
