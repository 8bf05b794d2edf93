//! Players of the game's own, whom no client plays: they take nobody's place on any node, and go on with the match when
//! its node dies.

use std::time::Duration;

use harness::http::{create_match, request};
use harness::player::{Player, Socket};
use harness::process::{Node, NodeOptions, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_protocol::{PlayerId, Tick};

const WITHIN: Duration = Duration::from_secs(20);

/// How many clients' players and how many of the game's own the state has.
fn players(player: &Player) -> (usize, usize) {
    let world = player.replica().world();
    let (kind, field) = (world.schema().player_kind(), world.schema().player_field());
    let (clients, own): (Vec<_>, Vec<_>) = world
        .ids(kind)
        .map(|id| PlayerId(world.get(id, field) as u32))
        .partition(|player| player.is_of_client());
    (clients.len(), own.len())
}

#[tokio::test]
async fn bots_take_nobodys_place_and_outlive_their_node() {
    let redis = RedisServer::start(Persistence::Off).await;
    let flags = ["--lease-ms", "600", "--sweep-ms", "300", "--resume-seconds", "1"];
    let nodes = Node::start_cluster(&["owner", "other"], &redis.url(), &flags).await;
    let [mut owner, other] = <[Node; 2]>::try_from(nodes).ok().expect("two nodes were started");
    let options = json!({ "options": { "bots": 3, "players_max": 3 } });
    let id = create_match(owner.authority(), &options).await;
    let play = || Join::Match(id.clone());

    let mut one = Player::join(&other.players, "one", play()).await;
    one.follow_until(WITHIN, "two bots are left", |one| players(one) == (1, 2)).await;
    let listed = request(other.authority(), "GET", &format!("/v1/matches/{id}"), "").await;
    assert_eq!(listed.json()["players"], 1, "{listed:?}");

    // Longer than a seat without a sign of life is kept, under another owner.
    let before = one.position();
    owner.kill9();
    let later = |one: &Player| {
        let Tick(tick) = one.position().tick;
        one.position().fence != before.fence && tick > before.tick.0 + 75
    };
    one.follow_until(WITHIN, "the match goes on", later).await;
    assert_eq!(players(&one), (1, 2), "bots have no seat that could be given up");

    let mut two = Player::join(&other.players, "two", play()).await;
    let mut three = one.follow_while(Player::join(&other.players, "three", play())).await;
    three.follow_until(WITHIN, "all bots have made room", |three| players(three) == (3, 0)).await;
    two.follow_until(WITHIN, "everybody sees it", |two| players(two) == (3, 0)).await;
    let mut fourth = Socket::open(&other.players).await;
    fourth.hello(play()).await;
    assert_eq!(fourth.closed(WITHIN).await.code, 4505);
}

#[tokio::test]
async fn a_match_with_bots_alone_ends_like_an_empty_one() {
    let args = ["--empty-after", "1"].map(str::to_owned).into();
    let node = Node::start(NodeOptions { args, ..NodeOptions::default() }).await;
    let id = create_match(node.authority(), &json!({ "options": { "bots": 4 } })).await;
    let path = format!("/v1/matches/{id}");
    wait_until(WITHIN, "the match is gone", || async {
        (request(node.authority(), "GET", &path, "").await.status == 404).then_some(())
    })
    .await;
}
