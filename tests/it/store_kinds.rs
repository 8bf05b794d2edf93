//! Whole nodes on every kind of store: a match goes on when its owner dies, and when its store fails over.

use std::time::Duration;

use harness::http::create_match;
use harness::player::Player;
use harness::process::Node;
use harness::redis::{Persistence, RedisCluster, Sentinels};
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_server::backplane::fields;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// A store fails over and a match is taken over within this.
const FAILOVER_WITHIN: Duration = Duration::from_secs(30);

/// Two nodes and a player at the second of a match that the first has.
async fn played(url: &str) -> (Vec<Node>, MatchId, Player) {
    let nodes = Node::start_cluster(&["owner", "other"], url, &[]).await;
    let id = create_match(nodes[0].authority(), &json!({})).await;
    let mut player = Player::join(&nodes[1].players, "guest", Join::Match(id.clone())).await;
    player.follow_ticks(20, WITHIN).await;
    (nodes, id, player)
}

/// That a match goes on for a while after what has just happened.
async fn goes_on(player: &mut Player, deadline: Duration) {
    let from = player.position().tick.0;
    player.follow_until(deadline, "the match goes on", |player| player.position().tick.0 > from + 40).await;
    assert_eq!(player.replica().world().hash(), player.replica().world().recomputed_hash());
}

#[tokio::test]
async fn a_match_goes_on_while_sentinels_fail_over_and_without_its_owner() {
    let mut set = Sentinels::start().await;
    let (mut nodes, _id, mut player) = played(&set.url()).await;
    let old = set.kill_primary().await;
    goes_on(&mut player, FAILOVER_WITHIN).await;
    set.until_promoted(old).await;
    nodes[0].kill9();
    let before = player.position().fence;
    let owned_anew = |player: &Player| player.position().fence != before;
    player.follow_until(FAILOVER_WITHIN, "the other node takes over", owned_anew).await;
    goes_on(&mut player, WITHIN).await;
}

#[tokio::test]
async fn a_match_goes_on_while_its_master_dies_and_a_replica_is_promoted() {
    let mut cluster = RedisCluster::start(Persistence::Off).await;
    let (nodes, id, mut player) = played(&cluster.url()).await;
    let at = cluster.master_of(cluster.slot(&fields::key(&id)).await).await;
    let replica = player.follow_while(cluster.replica_of(at)).await;
    let before = player.position().fence;
    cluster.masters[at].kill();
    goes_on(&mut player, FAILOVER_WITHIN).await;
    assert_eq!(replica.info("role").await, "master");
    assert!(nodes[0].metric("commits_unknown_total").await > 0, "the failover was noticed");
    // Whether somebody else has claimed it meanwhile is a matter of time; that nobody was set back is not.
    assert!(!player.breaks.iter().any(|event| event.starts_with("Reset")), "{before} {:?}", player.breaks);
}

#[tokio::test]
async fn a_match_goes_on_while_its_slot_moves_and_without_its_owner() {
    let cluster = RedisCluster::start(Persistence::Off).await;
    let (mut nodes, id, mut player) = played(&cluster.url()).await;
    let slot = cluster.slot(&fields::key(&id)).await;
    let to = (cluster.master_of(slot).await + 1) % 3;
    cluster.move_slot(slot, to).await;
    goes_on(&mut player, FAILOVER_WITHIN).await;
    nodes[0].kill9();
    let before = player.position().fence;
    let owned_anew = |player: &Player| player.position().fence != before;
    player.follow_until(FAILOVER_WITHIN, "the other node takes over", owned_anew).await;
    goes_on(&mut player, WITHIN).await;
}
