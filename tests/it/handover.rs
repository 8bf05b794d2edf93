//! Matches that change their node on purpose: moved, drained, or because their node was told to stop. Players see
//! no break, are told where to go, and the node ends well.

use std::time::Duration;

use harness::http::create_match;
use harness::player::Player;
use harness::process::{Ended, Node, NodeOptions, program, run, wait_until};
use harness::redis::{Persistence, RedisServer, free_port};
use serde_json::{Value, json};
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_server::backplane::fields;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);

/// A Redis and two nodes that tell clients of each other, each with a match and a player at it.
struct Cluster {
    redis: RedisServer,
    nodes: Vec<Node>,
    ids: Vec<MatchId>,
    players: Vec<Player>,
}

impl Cluster {
    async fn start() -> Cluster {
        let redis = RedisServer::start(Persistence::Off).await;
        let url = redis.url();
        let starts = ["east", "west"].map(|name| Node::start(reachable(name, &url)));
        let nodes = futures_util::future::join_all(starts).await;
        let (mut ids, mut players) = (Vec::new(), Vec::new());
        for node in &nodes {
            let id = create_match(node.authority(), &json!({})).await;
            players.push(Player::join(&node.players, "guest", Join::Match(id.clone())).await);
            ids.push(id);
        }
        Cluster { redis, nodes, ids, players }
    }

    async fn tickcast(&self, words: &[&str]) -> Ended {
        let mut command = program("tickcast");
        command.args(words).args(["--redis", &self.redis.url()]);
        run(command).await
    }

    async fn owner(&self, id: &MatchId) -> String {
        self.redis.command(&["HGET", &fields::key(id), fields::OWNER]).await
    }
}

/// A node at an address that it can tell others before it has it.
fn reachable(name: &str, redis: &str) -> NodeOptions {
    let listen = format!("127.0.0.1:{}", free_port());
    let flags = ["--advertise", &format!("ws://{listen}/ws"), "--lease-ms", "600", "--sweep-ms", "300"];
    let env = vec![("TICKCAST_LISTEN".to_owned(), listen.clone())];
    NodeOptions { env, ..NodeOptions::named(name, redis, &flags) }
}

/// That a command did what it should, and what it said.
#[track_caller]
fn said(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    &ended.out
}

/// Follows until the server has named a place to connect to, takes the player's place there, and plays on.
async fn goes_where_it_is_sent(player: &mut Player) -> String {
    player.follow_until(WITHIN, "it is sent elsewhere", |player| !player.sent_to.is_empty()).await;
    let url = player.sent_to[0].clone();
    player.resume(&url).await;
    player.follow_ticks(20, WITHIN).await;
    url
}

#[tokio::test]
async fn a_match_is_moved_and_its_players_stay_where_they_are() {
    let mut cluster = Cluster::start().await;
    let id = cluster.ids[0].clone();
    let mut watcher = Player::join(&cluster.nodes[1].players, "watcher", Join::Spectate(id.clone())).await;
    let mut player = cluster.players.remove(0);
    let before = player.position().fence;
    let order = ["move", id.as_str(), "west"];
    let moved = watcher.follow_while(player.follow_while(cluster.tickcast(&order))).await;
    assert_eq!(said(&moved), format!("match {id}: east -> west\n"));
    assert_eq!(cluster.owner(&id).await, "west");
    assert_eq!(cluster.nodes[0].metric("handovers_total").await, 1);
    assert_eq!(cluster.nodes[1].metric("takeovers_total").await, 1);
    let on = |player: &Player| player.position().fence != before;
    tokio::join!(player.follow_until(WITHIN, "moved", on), watcher.follow_until(WITHIN, "moved", on));
    tokio::join!(player.follow_ticks(20, WITHIN), watcher.follow_ticks(20, WITHIN));
    // Without a name: to the only other one.
    let moved = watcher.follow_while(player.follow_while(cluster.tickcast(&["move", id.as_str()]))).await;
    assert_eq!(said(&moved), format!("match {id}: west -> east\n"));
    let again = player.follow_while(cluster.tickcast(&["move", id.as_str(), "east"])).await;
    assert_eq!(said(&again), format!("match {id} is on east already\n"));
    tokio::join!(player.follow_ticks(20, WITHIN), watcher.follow_ticks(20, WITHIN));
    assert_eq!((&player.breaks, &watcher.breaks), (&vec![], &vec![]));
    assert_eq!(player.seen.len() as u64, player.ticks + 1, "no tick is left out");
}

#[tokio::test]
async fn a_node_that_is_drained_sends_its_players_to_the_other_one_and_ends_well() {
    leaves(async |cluster, _| {
        let drained = cluster.tickcast(&["drain", "east"]).await;
        assert_eq!(said(&drained), "node east has left; 1 of 1 matches handed over (1 to west)\n");
        assert!(drained.err.contains("node east is leaving; "), "{drained:?}");
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_sends_its_players_to_the_other_one_and_ends_well() {
    leaves(async |_, node| node.terminate()).await;
}

async fn leaves(ask: impl AsyncFnOnce(&Cluster, &Node)) {
    let mut cluster = Cluster::start().await;
    let mut node = cluster.nodes.remove(0);
    let (mut player, mut other) = (cluster.players.remove(0), cluster.players.remove(0));
    // One that does not go: the node waits for it, and tells balancers meanwhile not to send anybody.
    let mut stays = Player::join(&node.players, "stays", Join::Spectate(cluster.ids[0].clone())).await;
    assert_eq!(node.ask_operators("/readyz").await.status, 200);
    let leaving = async {
        wait_until(WITHIN, "the node is not ready for clients", || async {
            let answer = node.ask_operators("/readyz").await;
            (answer.status == 503 && answer.body.contains("leaving")).then_some(())
        })
        .await;
        assert_eq!(node.ask_operators("/healthz").await.status, 200, "it leaves, and is not ill");
    };
    let (sent_to, closed, (), (), ()) = tokio::join!(
        goes_where_it_is_sent(&mut player),
        stays.closed(WITHIN),
        other.follow_ticks(60, WITHIN),
        leaving,
        ask(&cluster, &node),
    );
    assert_eq!(sent_to, cluster.nodes[0].players, "it is told the other node's address");
    assert_eq!(closed.code, 4001, "{closed:?}");
    assert_eq!(stays.sent_to, [sent_to]);
    assert_eq!(node.wait_exit(WITHIN).await.code(), Some(0));
    assert!(!node.output().contains("WARN not"), "{}", node.output());
    for id in &cluster.ids {
        assert_eq!(cluster.owner(id).await, "west");
    }
    let nodes: Vec<String> = cluster.redis.command(&["HKEYS", fields::NODES_KEY]).await;
    assert_eq!(nodes, ["west"]);
    tokio::join!(player.follow_ticks(10, WITHIN), other.follow_ticks(10, WITHIN));
    for player in [&player, &other, &stays] {
        assert_eq!(player.breaks, [""; 0]);
    }
}

#[tokio::test]
async fn who_is_alone_gives_its_matches_up_and_a_later_node_takes_them() {
    let mut cluster = Cluster::start().await;
    cluster.nodes.remove(1).kill9();
    let mut node = cluster.nodes.remove(0);
    let mut player = cluster.players.remove(0);
    // The other one's entry has to grow old first.
    let alone = async || (node.metric("matches_owned").await == 2).then_some(());
    player.follow_while(wait_until(WITHIN, "it has both matches", alone)).await;
    player.follow_ticks(75, WITHIN).await;
    node.terminate();
    let closed = player.closed(WITHIN).await;
    assert_eq!(closed.code, 4001, "{closed:?}");
    assert_eq!(node.wait_exit(WITHIN).await.code(), Some(0));
    for id in &cluster.ids {
        assert_eq!(cluster.owner(id).await, "", "given up");
    }
    let later = Node::start(reachable("later", &cluster.redis.url())).await;
    later.until_metric("takeovers_total", WITHIN, |count| count == 2).await;
    player.resume(&later.players).await;
    player.follow_ticks(20, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn nodes_are_listed_and_what_is_not_there_is_named() {
    let cluster = Cluster::start().await;
    let listed = cluster.tickcast(&["nodes", "--json"]).await;
    let listed: Value = serde_json::from_str(said(&listed)).expect("the list is JSON");
    let rows = listed["nodes"].as_array().expect("a list of nodes");
    assert_eq!(rows.len(), 2, "{listed:#}");
    for (row, node) in rows.iter().zip(&cluster.nodes) {
        assert_eq!(row["url"], node.players, "{listed:#}");
        assert_eq!(row["leaving"], false, "{listed:#}");
        assert!(row["beat_age_ms"].as_u64() < Some(5000), "{listed:#}");
    }
    let table = cluster.tickcast(&["nodes"]).await;
    for text in ["east", "west", "running", &cluster.nodes[1].players] {
        assert!(said(&table).contains(text), "{text} is not in {table:?}");
    }

    let id = cluster.ids[0].as_str();
    let lists = "`tickcast nodes` lists them";
    for (words, texts) in [
        (&["move", "nowhere", "west"][..], &["no match `nowhere`", "`tickcast inspect` lists them"][..]),
        (&["move", id, "north"], &["no node `north`", lists]),
        (&["move", "no where"], &["match `no where`", "A-Z"]),
        (&["drain", "north"], &["no node `north`", lists]),
        (&["drain", "no/where"], &["node `no/where`", "A-Z"]),
        (&["revive", "nowhere"], &["no match `nowhere`"]),
        (&["revive", id], &["is not quarantined"]),
    ] {
        let ended = cluster.tickcast(words).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{words:?}: {ended:?}");
        for text in texts {
            assert!(ended.err.contains(text), "{words:?}: {text} is not in {ended:?}");
        }
    }
}
