//! Matches in which nobody does anything, on real nodes: their ticks are made several at once and none is left out,
//! whoever says something is heard at once, and they change their node as others do.

use std::time::Duration;

use harness::http::create_match;
use harness::player::Player;
use harness::process::{Node, NodeOptions, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_protocol::{MatchId, TickRate};
use tickcast_server::io::clock;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// For the rest to be long enough to tell of.
const RESTED_WITHIN: Duration = Duration::from_secs(30);
/// So many ticks have to wait.
const WAITED: u64 = 25;
const HZ: u64 = 20;
/// A rest ends with a tick whose number this divides.
const SPAN: u64 = HZ / 2;
const NODES: [&str; 2] = ["owner", "other"];

/// A match without anything that moves by itself.
async fn still_match(node: &Node) -> MatchId {
    let options = json!({ "drones": 0, "bots": 0, "round_seconds": 3600, "tick_rate": HZ });
    create_match(node.authority(), &json!({ "game": "arena", "options": options })).await
}

/// A player who does nothing but what a test has it do.
async fn join(node: &Node, id: &MatchId) -> Player {
    let mut player = Player::join(&node.players, "still", Join::Match(id.clone())).await;
    player.plays = false;
    act(&mut player, 0).await;
    player
}

/// Walks, or stands still, and sees that it counts.
async fn act(player: &mut Player, direction: i32) {
    player.input(&[direction, 0, 0, 0]).await;
    let sent = Some(player.client().last_seq());
    player.follow_until(WITHIN, "what was done counts", |player| player.acknowledged() == sent).await;
}

/// Until so many ticks more have waited on the node that owns the match.
async fn until_rested(owner: &Node, players: &mut [&mut Player]) {
    let before = owner.metric("ticks_waited_total").await;
    let rested = owner.until_metric("ticks_waited_total", RESTED_WITHIN, |now| now >= before + WAITED);
    match players {
        [one] => one.follow_while(rested).await,
        [one, two] => one.follow_while(two.follow_while(rested)).await,
        _ => unreachable!("one or two players"),
    };
}

#[tokio::test]
async fn a_match_at_rest_leaves_no_tick_out_and_hears_everybody_at_once() {
    let redis = RedisServer::start(Persistence::Off).await;
    let nodes = Node::start_cluster(&NODES, &redis.url(), &["--lease-ms", "1500"]).await;
    let id = still_match(&nodes[0]).await;
    let (mut near, mut far) = (join(&nodes[0], &id).await, join(&nodes[1], &id).await);
    let (since, tick) = (clock::now(), far.position().tick.0);
    let period = TickRate::try_from(HZ).expect("a rate").period();
    let due = || tick + since.elapsed().div_duration_f64(period) as u64;
    let frames = nodes[1].metric("frames_out_total").await;
    for round in 0..4 {
        until_rested(&nodes[0], &mut [&mut near, &mut far]).await;
        let (walks, looks_on) = if round % 2 == 0 { (&mut far, &mut near) } else { (&mut near, &mut far) };
        // In the middle of a rest: ticks that have come due wait.
        let middle = || async { (4..=7).contains(&(due() % SPAN)).then_some(()) };
        walks.follow_while(wait_until(WITHIN, "a rest has gone on for a while", middle)).await;
        let said = due();
        act(walks, 1).await;
        let at = walks.position().tick;
        let skipped = nodes[0].metric("ticks_skipped_total").await;
        assert!(at.0 + skipped >= said, "round {round}: said after {said} was due, and counts at {at}");
        act(walks, 0).await;
        looks_on.follow_until(WITHIN, "the other sees it", |player| player.position().tick >= at).await;
    }
    let (due, skipped) = (due(), nodes[0].metric("ticks_skipped_total").await);
    let at = far.position().tick.max(near.position().tick).0;
    // Half a second may wait, and what is on its way.
    assert!(at + skipped + HZ >= due && at <= due + HZ, "{at} of {due}, {skipped} skipped");
    let made = at - tick;
    let frames = nodes[1].metric("frames_out_total").await - frames;
    assert!(frames < made / 2, "{frames} frames for {made} ticks");
    for player in [&near, &far] {
        assert_eq!(player.breaks, [""; 0]);
    }
    for node in &nodes {
        assert_eq!((node.metric("desyncs_total").await, node.metric("reloads_total").await), (0, 0));
    }
}

#[tokio::test]
async fn a_match_at_rest_survives_its_node_and_rests_on() {
    let redis = RedisServer::start(Persistence::Off).await;
    let mut nodes =
        Node::start_cluster(&NODES, &redis.url(), &["--lease-ms", "1000", "--sweep-ms", "300"]).await;
    let id = still_match(&nodes[0]).await;
    let mut player = join(&nodes[1], &id).await;
    until_rested(&nodes[0], &mut [&mut player]).await;
    nodes[0].kill9();
    // Nobody says anything: the other node notices by itself.
    until_rested(&nodes[1], &mut [&mut player]).await;
    act(&mut player, 1).await;
    act(&mut player, 0).await;
    assert_eq!(player.breaks, [""; 0]);
    assert_eq!(nodes[1].metric("takeovers_total").await, 1);
}

#[tokio::test]
async fn without_quiet_ticks_nothing_waits() {
    let redis = RedisServer::start(Persistence::Off).await;
    let options = NodeOptions::named("owner", &redis.url(), &["--quiet-ms", "0"]);
    let node = Node::start(options).await;
    let id = still_match(&node).await;
    let mut player = join(&node, &id).await;
    player.follow_ticks(40, WITHIN).await;
    assert_eq!(node.metric("ticks_waited_total").await, 0);
}
