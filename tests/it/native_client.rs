//! The client for native games against real nodes: it joins, plays, survives the death of its node, and says why when it
//! cannot go on.

use std::time::Duration;

use harness::player::Player;
use harness::process::{Node, NodeOptions, program, run};
use harness::redis::{Persistence, RedisServer};
use tickcast_client::{Connection, Failure, News, Target};
use tickcast_protocol::client::Event;
use tickcast_protocol::message::Join;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(20);

fn targets(nodes: &[Node]) -> Vec<Target> {
    nodes.iter().map(|node| node.players.parse().expect("an address")).collect()
}

async fn open(nodes: &[Node]) -> Connection {
    let join = Join::Quick { game: String::new() };
    Connection::open(&targets(nodes), "native", join).await.expect("a place")
}

/// Plays until so many inputs are acknowledged; what happened besides ticks.
async fn play(connection: &mut Connection, inputs: u32) -> Vec<String> {
    let mut besides = Vec::new();
    let played = timeout(WITHIN, async {
        let mut last = None;
        let begun = connection.joined().acknowledged().map_or(0, |seq| seq.0);
        while connection.joined().acknowledged().is_none_or(|seq| seq.0 < begun + inputs) {
            match connection.next().await.expect("the match goes on") {
                News::Frame(Event::Advanced | Event::CaughtUp) => {
                    last = connection.input(&[127, 0, 0, 0]).or(last)
                }
                News::Frame(Event::Stale | Event::Pong { .. }) => {}
                other => besides.push(format!("{other:?}")),
            }
        }
        assert!(last.is_some());
    });
    assert!(played.await.is_ok(), "not {inputs} inputs acknowledged within {WITHIN:?}: {besides:?}");
    besides
}

#[tokio::test]
async fn a_native_client_joins_plays_and_leaves() {
    let node = Node::start(NodeOptions::default()).await;
    let mut connection = open(std::slice::from_ref(&node)).await;
    assert_eq!(play(&mut connection, 30).await, [""; 0]);
    let me = connection.entity().expect("the player is part of the state");
    assert!(connection.replica().world().contains(me));
    connection.leave().await;
    let mut watcher = Player::join(&node.players, "watcher", Join::Quick { game: String::new() }).await;
    let alone = |player: &Player| {
        let world = player.replica().world();
        world.count(world.schema().player_kind()) == 1
    };
    watcher.follow_until(WITHIN, "who left is gone", alone).await;
}

#[tokio::test]
async fn a_native_client_goes_on_as_the_same_player_when_its_node_dies() {
    let redis = RedisServer::start(Persistence::Off).await;
    let flags = ["--lease-ms", "600", "--sweep-ms", "300"];
    let mut nodes = Node::start_cluster(&["one", "two"], &redis.url(), &flags).await;
    let mut connection = open(&nodes).await;
    assert_eq!(play(&mut connection, 10).await, [""; 0]);
    let (role, id) = (connection.joined().role, connection.joined().match_id.clone());
    assert_eq!(connection.joined().node.as_str(), "one");
    nodes[0].kill9();
    let besides = play(&mut connection, 30).await;
    assert!(besides.iter().any(|news| news.starts_with("Lost")), "{besides:?}");
    assert!(besides.iter().any(|news| news == "Resumed"), "{besides:?}");
    assert!(
        !besides.iter().any(|news| news.starts_with("Frame(Reset") || news.starts_with("Frame(Gap")),
        "{besides:?}"
    );
    assert_eq!((connection.joined().role, &connection.joined().match_id), (role, &id));
    assert_eq!(connection.joined().node.as_str(), "two");
}

#[tokio::test]
async fn a_native_client_is_told_why_it_cannot_come_in() {
    let node = Node::start(NodeOptions::default()).await;
    let nodes = targets(std::slice::from_ref(&node));
    let nowhere = Join::Match("nowhere".parse().expect("an id"));
    let refused = Connection::open(&nodes, "native", nowhere).await.map(|_| ());
    assert!(matches!(refused, Err(Failure::Close(4504, _))), "{refused:?}");
    drop(node);
    let refused = Connection::open(&nodes, "native", Join::Quick { game: String::new() }).await.map(|_| ());
    assert!(matches!(refused, Err(Failure::Connect(_))), "{refused:?}");
}

#[tokio::test]
async fn the_headless_example_plays() {
    let node = Node::start(NodeOptions::default()).await;
    let mut command = program("examples/headless");
    command.args(["3", &node.players]);
    let ended = run(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("joined match ") && ended.out.contains("hp Some(100)"), "{ended:?}");
}
