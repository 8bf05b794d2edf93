//! A swarm: everybody is sent what is near, all who see a cell see the same in it, and it outlives its owner; a small one is sent
//! whole.

use std::time::Duration;

use harness::http::create_match;
use harness::process::{BOTS_WITHIN, Bots, Node, NodeOptions, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;

const PLAYERS: usize = 24;
const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_swarm_is_played_on_two_nodes_also_when_its_owner_dies() {
    let redis = RedisServer::start(Persistence::Off).await;
    let flags = ["--lease-ms", "600", "--sweep-ms", "300"];
    let nodes = Node::start_cluster(&["owner", "other"], &redis.url(), &flags).await;
    let [mut owner, other] = <[Node; 2]>::try_from(nodes).ok().expect("two nodes were started");
    let new = json!({ "game": "swarm", "options": { "drones": 1_500, "pickups": 100, "tick_rate": 10 } });
    let id = create_match(owner.authority(), &new).await;
    let urls = [owner.players.as_str(), other.players.as_str()];
    let args = [
        "--match-id",
        id.as_str(),
        "--players",
        &PLAYERS.to_string(),
        "--seconds",
        "12",
        "--allow-slow-clients",
    ];
    let bots = Bots::start(&[], &urls, &args);
    let told = wait_until(WITHIN, "they play", || async {
        let told = other.ask_operators(&format!("/v1/matches/{id}/players")).await.json();
        let players = told["players"].as_array().map_or(0, Vec::len);
        (players == PLAYERS && told["players"].to_string().matches("\"sees\":{").count() == PLAYERS)
            .then_some(told)
    })
    .await;
    for row in told["players"].as_array().expect("rows") {
        let (seen, all) = (row["sees"]["entities"].as_u64(), told["entities"].as_u64());
        assert!(seen > Some(0) && seen < all, "everybody sees a part: {told}");
    }
    owner.kill9();
    let run = bots.ended(BOTS_WITHIN).await;
    assert!(run.status.success(), "{}", run.output);
    assert_eq!(run.json["connections"]["joined"], PLAYERS, "{:#}", run.json);
    for count in ["desyncs", "state_mismatches", "broken_frames", "resets"] {
        assert_eq!(run.json["checks"][count], 0, "{count}: {:#}", run.json);
    }
    assert!(run.json["checks"]["state_comparisons"].as_u64() > Some(0), "{:#}", run.json);
    assert!(run.json["recovery"]["reconnects"].as_u64() >= Some(PLAYERS as u64 / 2), "{:#}", run.json);
}

/// Few enough to be sent to everybody, until everybody has joined.
#[tokio::test]
async fn a_small_swarm_is_sent_whole_until_it_is_large() {
    let node = Node::start(NodeOptions::default()).await;
    let new = json!({ "game": "swarm", "options": { "drones": 980, "pickups": 10, "tick_rate": 10 } });
    let id = create_match(node.authority(), &new).await;
    let players = async || node.ask_operators(&format!("/v1/matches/{id}/players")).await.json();
    let first = ["--match-id", id.as_str(), "--players", "1", "--seconds", "10", "--allow-slow-clients"];
    let first = Bots::start(&[], &[&node.players], &first);
    let seen = async |whole: bool| {
        wait_until(WITHIN, if whole { "one gets everything" } else { "one gets a part" }, || async {
            let told = players().await;
            let (seen, all) = (told["players"][0]["sees"]["entities"].as_u64()?, told["entities"].as_u64()?);
            (seen > 0 && (seen == all) == whole).then_some(())
        })
        .await;
    };
    seen(true).await;
    let count = PLAYERS.to_string();
    let others = ["--match-id", id.as_str(), "--players", &count, "--seconds", "5", "--allow-slow-clients"];
    let others = Bots::start(&[], &[&node.players], &others);
    seen(false).await;
    for bots in [others, first] {
        let run = bots.ended(BOTS_WITHIN).await;
        assert!(run.status.success(), "{}", run.output);
        for count in ["desyncs", "state_mismatches", "broken_frames", "resets", "lost_ticks"] {
            assert_eq!(run.json["checks"][count], 0, "{count}: {:#}", run.json);
        }
        // One alone has nobody to compare with.
        let compared = run.json["checks"]["state_comparisons"].as_u64() > Some(0);
        assert_eq!(compared, run.json["connections"]["joined"] != 1, "{:#}", run.json);
    }
}
