//! Clients under TLS that stop reading: they are caught up or put out as plain ones are, and nobody else notices.

use std::time::Duration;

use harness::certificates::{Authority, HERE};
use harness::http;
use harness::player::Player;
use harness::process::{Node, NodeOptions};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_protocol::{MatchId, Tick};

use super::{WITHIN, door};

/// A client is closed that takes nothing for 5 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);
/// No prior is published in the ticks after this one, so that one catch-up leads over those that are missed.
const SETTLED: Tick = Tick(66);
/// Ticks for which a client does not read.
const STALL_TICKS: u64 = 40;
/// Snapshots that a client asks for before it stops reading: as much as a narrow socket holds.
const SNAPSHOTS: usize = 2;

/// A match whose snapshots are large.
async fn crowded_match(authority: &Authority) -> (Node, MatchId) {
    let args = authority.identity("node", HERE).flags();
    let node = Node::start(NodeOptions { args, ..NodeOptions::default() }).await;
    let url = format!("https://{}", node.authority());
    let body = json!({ "options": { "drones": 900 } }).to_string();
    let created = http::request_over(&url, &authority.trust(), "POST", "/v1/matches", &[], &body).await;
    let id = created.json()["id"].as_str().and_then(|id| id.parse().ok());
    (node, id.unwrap_or_else(|| panic!("no id: {created:?}")))
}

async fn follow_to(player: &mut Player, tick: Tick) {
    let reached = |player: &Player| player.position().tick >= tick;
    player.follow_until(WITHIN, &format!("tick {tick}"), reached).await;
}

#[tokio::test]
async fn who_stops_reading_is_caught_up_or_put_out_and_nobody_else_notices() {
    let authority = Authority::new("ours");
    let (node, id) = crowded_match(&authority).await;
    let mut quick = Player::join(door(&node, &authority), "quick", Join::Match(id.clone())).await;
    follow_to(&mut quick, SETTLED).await;
    let mut slow = Player::join_narrow(door(&node, &authority), "slow", Join::Match(id.clone())).await;
    let mut stuck = Player::join_narrow(door(&node, &authority), "stuck", Join::Spectate(id)).await;
    slow.ask_for_snapshots(SNAPSHOTS).await;
    stuck.ask_for_snapshots(SNAPSHOTS).await;
    let before = node.metric("catch_ups_total").await;
    quick.follow_ticks(STALL_TICKS, WITHIN).await;

    let end = Tick(quick.position().tick.0 + STALL_TICKS);
    tokio::join!(follow_to(&mut quick, end), follow_to(&mut slow, end));
    assert_eq!(slow.position(), quick.position(), "in step again, tick by tick");
    assert!(slow.replica().world().same_state(quick.replica().world()));
    assert!(slow.breaks.iter().any(|event| event == "CaughtUp"), "{:?}", slow.breaks);
    assert!(
        slow.breaks.iter().all(|event| ["CaughtUp", "Snapshot"].contains(&event.as_str())),
        "{:?}",
        slow.breaks
    );
    assert!(node.metric("catch_ups_total").await >= before + 3);

    let slow_ones = "closes_total{code=\"4002\",name=\"Slow\"}";
    let put_out = node.until_metric(slow_ones, CLOSED_WITHIN, |count| count == 1);
    quick.follow_while(slow.follow_while(put_out)).await;
    assert_eq!(quick.breaks, [""; 0]);
    drop(stuck);
}
