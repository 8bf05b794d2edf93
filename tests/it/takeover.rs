//! Owners that die or freeze with players on every node: the match goes on elsewhere, nobody sees a tick twice,
//! and who lost the connection takes its place again.

use std::time::Duration;

use harness::http::create_match;
use harness::player::{Close, Player, Socket};
use harness::process::{Node, NodeOptions, wait_until};
use harness::proxy::{Faults, Proxy};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_protocol::{Fence, MatchId, ResumeToken};
use tickcast_server::backplane::fields;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// A short lease, and a look for matches without an owner soon after.
const FLAGS: [&str; 4] = ["--lease-ms", "600", "--sweep-ms", "300"];

/// A Redis, a node that owns a match, and another node.
struct Cluster {
    redis: RedisServer,
    owner: Node,
    other: Node,
    id: MatchId,
}

impl Cluster {
    async fn start(flags: &[&str]) -> Cluster {
        let redis = RedisServer::start(Persistence::Off).await;
        let nodes = Node::start_cluster(&["owner", "other"], &redis.url(), &[&FLAGS, flags].concat()).await;
        let [owner, other] = <[Node; 2]>::try_from(nodes).ok().expect("two nodes were started");
        let id = create_match(owner.authority(), &json!({})).await;
        let cluster = Cluster { redis, owner, other, id };
        assert_eq!(cluster.stored(fields::OWNER).await, "owner");
        cluster
    }

    async fn join(&self, node: &Node, name: &str) -> Player {
        Player::join(&node.players, name, Join::Match(self.id.clone())).await
    }

    async fn stored(&self, field: &str) -> String {
        self.redis.command(&["HGET", &fields::key(&self.id), field]).await
    }
}

/// How a node closes the connection of somebody who says hello with this.
async fn refused(node: &Node, join: Join) -> Close {
    let mut socket = Socket::open(&node.players).await;
    socket.hello(join).await;
    socket.closed(WITHIN).await
}

async fn until_owned_anew(player: &mut Player, before: Fence) {
    let anew = |player: &Player| player.position().fence != before;
    player.follow_until(WITHIN, "another owner goes on", anew).await;
}

/// Numbers of the last inputs that the state includes, of all players together.
fn applied(player: &Player) -> u64 {
    let world = player.replica().world();
    let (kind, field) = (world.schema().player_kind(), world.schema().seq_field());
    world.ids(kind).map(|id| world.get(id, field) as u64).sum()
}

/// Players that the state has.
fn players(player: &Player) -> usize {
    let world = player.replica().world();
    world.count(world.schema().player_kind())
}

async fn rest(player: &mut Player) {
    player.plays = false;
    let done = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
    player.follow_until(WITHIN, "all inputs are acknowledged", done).await;
}

/// That everybody saw the same, as far as they saw the same ticks.
#[track_caller]
fn assert_one_history(players: &[&Player]) {
    for player in players {
        let (all, common) = (&players[0].seen, player.seen.iter());
        let common: Vec<_> = common.filter_map(|(tick, hash)| Some((tick, hash, all.get(tick)?))).collect();
        assert!(common.len() > 10, "{} ticks in common", common.len());
        for (tick, hash, first) in common {
            assert_eq!(hash, first, "tick {tick}");
        }
    }
}

#[tokio::test]
async fn players_of_a_dead_owner_are_back_elsewhere_and_the_others_see_no_break() {
    let mut cluster = Cluster::start(&[]).await;
    let mut near = cluster.join(&cluster.owner, "near").await;
    let mut far = cluster.join(&cluster.other, "far").await;
    tokio::join!(near.follow_ticks(20, WITHIN), far.follow_ticks(20, WITHIN));
    let (before, place) = (far.position().fence, near.client().joined().map(|joined| joined.player()));
    let entity = near.client().joined().and_then(|joined| joined.entity());

    // These reach its system and nobody else.
    cluster.owner.stop();
    near.press(3).await;
    cluster.owner.kill9();
    // Back before anybody has taken the match over, and after.
    let url = cluster.other.players.clone();
    let ((), taken_over_with) = tokio::join!(
        async {
            near.resume(&url).await;
            near.follow_ticks(20, WITHIN).await;
        },
        async {
            until_owned_anew(&mut far, before).await;
            let taken_over_with = applied(&far);
            far.follow_ticks(20, WITHIN).await;
            taken_over_with
        }
    );
    assert_eq!(near.client().joined().map(|joined| joined.player()), place, "the same player");
    assert_eq!(near.client().joined().and_then(|joined| joined.entity()), entity, "the same entity");
    tokio::join!(rest(&mut near), rest(&mut far));
    let sent = u64::from(near.client().last_seq().0) + u64::from(far.client().last_seq().0);
    // Numbers only rise, so none is left out and none applied twice when there are as many as were applied.
    assert_eq!(cluster.other.metric("inputs_applied_total").await, sent - taken_over_with);
    assert!(near.client().inputs_sent_again() >= 3, "what was under way got lost and was sent again");
    assert_eq!(cluster.other.metric("takeovers_total").await, 1);
    assert_eq!((&near.breaks, &far.breaks), (&vec![], &vec![]));
    assert_one_history(&[&near, &far]);
}

#[tokio::test]
async fn a_match_that_no_living_node_follows_is_found_and_goes_on() {
    let mut cluster = Cluster::start(&[]).await;
    let mut player = cluster.join(&cluster.owner, "guest").await;
    player.follow_ticks(20, WITHIN).await;
    assert_eq!(cluster.other.metric("matches_followed").await, 0, "nobody is there to miss the ticks");

    cluster.owner.kill9();
    cluster.other.until_metric("takeovers_total", WITHIN, |count| count == 1).await;
    cluster.other.until_metric("ticks_total", WITHIN, |count| count > 10).await;
    assert_eq!(cluster.stored(fields::OWNER).await, "other");
    player.resume(&cluster.other.players).await;
    player.follow_ticks(20, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn an_owner_that_was_frozen_for_longer_than_its_lease_does_nothing_more() {
    let cluster = Cluster::start(&[]).await;
    let mut near = cluster.join(&cluster.owner, "near").await;
    let mut far = cluster.join(&cluster.other, "far").await;
    tokio::join!(near.follow_ticks(20, WITHIN), far.follow_ticks(20, WITHIN));
    let before = far.position().fence;

    cluster.owner.stop();
    until_owned_anew(&mut far, before).await;
    far.follow_ticks(10, WITHIN).await;
    cluster.owner.cont();
    let fenced = cluster.owner.until_metric("fenced_total", WITHIN, |count| count > 0);
    assert_eq!(far.follow_while(fenced).await, 1);
    tokio::join!(until_owned_anew(&mut near, before), far.follow_ticks(40, WITHIN));
    let level = far.position().tick;
    near.follow_until(WITHIN, "it is in step again", |near| near.position().tick >= level).await;
    assert!(cluster.owner.metric("ticks_skipped_total").await > 0, "no burst of ticks");
    assert_eq!(cluster.owner.metric("fenced_total").await, 1);
    assert_eq!(far.breaks, [""; 0]);
    assert_eq!(near.breaks, [""; 0], "its node heard late, and all");
    assert_one_history(&[&near, &far]);
}

#[tokio::test]
async fn a_newer_connection_of_a_player_closes_the_older_one_wherever_it_is() {
    let cluster = Cluster::start(&[]).await;
    let mut first = cluster.join(&cluster.owner, "guest").await;
    for node in [&cluster.owner, &cluster.other, &cluster.owner] {
        let mut second = Player::join(&node.players, "guest", first.resume_join()).await;
        let (closed, ()) = tokio::join!(first.closed(WITHIN), second.follow_ticks(10, WITHIN));
        assert_eq!(closed.code, 4510, "{closed:?}");
        let place = |player: &Player| player.client().joined().and_then(|joined| joined.entity());
        assert_eq!(place(&second), place(&first));
        assert_eq!(second.breaks, [""; 0]);
        first = second;
    }
}

#[tokio::test]
async fn a_place_is_kept_for_who_has_its_token_until_the_player_leaves_or_the_window_is_over() {
    let cluster = Cluster::start(&["--resume-seconds", "1"]).await;
    let mut witness = cluster.join(&cluster.owner, "witness").await;
    let mut quiet = cluster.join(&cluster.other, "quiet").await;
    quiet.plays = false;
    let leaver = cluster.join(&cluster.owner, "leaver").await;
    let mut broken = cluster.join(&cluster.other, "broken").await;
    witness.follow_until(WITHIN, "all are there", |witness| players(witness) == 4).await;
    let (left_with, broke_with) = (leaver.resume_join(), broken.resume_join());

    let mut wrong = broke_with.clone();
    let Join::Resume { token, .. } = &mut wrong else { panic!("a resume") };
    *token = ResumeToken([7; 16]);
    let closed = witness.follow_while(refused(&cluster.other, wrong)).await;
    assert_eq!(closed.code, 4501, "{closed:?}");

    leaver.leave().await;
    witness.follow_until(WITHIN, "the leaver is gone", |witness| players(witness) == 3).await;
    let closed = witness.follow_while(refused(&cluster.other, left_with)).await;
    assert_eq!(closed.code, 4501, "{closed:?}");

    // The window is counted from the last that was heard of the player: here, an input of this very tick.
    broken.follow_ticks(5, WITHIN).await;
    rest(&mut broken).await;
    let from = broken.position().tick.0;
    drop(broken);
    let gone = |witness: &Player| players(witness) == 2;
    witness.follow_until(WITHIN, "the broken one's window is over", gone).await;
    assert!(witness.position().tick.0 >= from + 30, "not before a second has passed");
    let closed = witness.follow_while(refused(&cluster.owner, broke_with)).await;
    assert_eq!(closed.code, 4501, "{closed:?}");

    // Who says nothing and is connected keeps its place however short the window is.
    let quiet_place = quiet.client().joined().and_then(|joined| joined.entity());
    tokio::join!(witness.follow_ticks(60, WITHIN), quiet.follow_ticks(90, WITHIN));
    assert_eq!(quiet.client().joined().and_then(|joined| joined.entity()), quiet_place);
    assert_eq!(players(&witness), 2);
    assert_eq!(witness.breaks, [""; 0]);
}

#[tokio::test]
async fn who_has_lost_the_place_while_the_node_could_not_speak_for_it_is_told() {
    let redis = RedisServer::start(Persistence::Off).await;
    let proxy = Proxy::start(redis.port(), 1).await;
    let flags = [&FLAGS[..], &["--resume-seconds", "1"]].concat();
    let owner = Node::start(NodeOptions::named("owner", &redis.url(), &flags)).await;
    let other = Node::start(NodeOptions::named("other", &proxy.redis_url(), &flags)).await;
    let id = create_match(owner.authority(), &json!({})).await;
    let mut witness = Player::join(&owner.players, "witness", Join::Match(id.clone())).await;
    let mut player = Player::join(&other.players, "unheard", Join::Match(id)).await;
    witness.follow_until(WITHIN, "both are there", |witness| players(witness) == 2).await;
    // Ticks reach the other node; what it says reaches nobody.
    proxy.set(Faults { stall_to_server: true, ..Faults::default() });
    let (closed, ()) = tokio::join!(
        player.closed(WITHIN),
        witness.follow_until(WITHIN, "its window is over", |witness| players(witness) == 1),
    );
    assert_eq!(closed.code, 4501, "{closed:?}");
    assert!(proxy.counts().stalled > 0, "nothing was held back");
    proxy.heal();
    assert_eq!(witness.breaks, [""; 0]);
}

#[tokio::test]
async fn a_client_that_is_open_and_silent_is_closed_and_its_place_gets_free() {
    let cluster = Cluster::start(&["--resume-seconds", "1"]).await;
    let mut witness = cluster.join(&cluster.owner, "witness").await;
    let silent = cluster.join(&cluster.other, "silent").await;
    witness.follow_until(WITHIN, "both are there", |witness| players(witness) == 2).await;
    let code = "closes_total{code=\"4004\",name=\"NoPong\"}";
    let closed = cluster.other.until_metric(code, Duration::from_secs(14), |count| count == 1);
    witness.follow_while(closed).await;
    witness.follow_until(WITHIN, "its place is free", |witness| players(witness) == 1).await;
    assert_eq!(witness.breaks, [""; 0]);
    drop(silent);
    wait_until(WITHIN, "the connection is gone", || async {
        (cluster.other.metric("connections").await == 0).then_some(())
    })
    .await;
}
