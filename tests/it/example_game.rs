//! The example game as a program of its own: what a reader copies must run, and the bots must be able to play it
//! by its schema alone.

use std::time::Duration;

use harness::http::request;
use harness::player::Player;
use harness::process::{Node, NodeOptions, bots};
use tickcast_protocol::message::Join;

const RESTS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn bots_play_the_example_by_its_schema() {
    let example = Some("tictactoe");
    let node = Node::start(NodeOptions { example, ..NodeOptions::default() }).await;
    let mut player = Player::join(&node.players, "reader", Join::Quick { game: String::new() }).await;
    let game = player.replica().world().schema().game().to_owned();
    assert_eq!(game, "tictactoe");
    let games = request(node.authority(), "GET", "/v1/games", "").await.json();
    assert_eq!(games["games"], serde_json::json!([game]));
    // Nobody moves: its ticks are made several at once.
    player.plays = false;
    player.follow_while(node.until_metric("ticks_waited_total", RESTS_WITHIN, |waited| waited > 0)).await;
    player.leave().await;

    let args = ["--game", &game, "--players", "2", "--spectators", "1", "--seconds", "2"];
    let run = bots(&[&node.players], &args).await;
    assert!(run.status.success(), "{}", run.output);
    let (json, checks) = (&run.json, &run.json["checks"]);
    assert_eq!(json["passed"], true, "{json:#}");
    assert_eq!((checks["desyncs"].as_u64(), checks["lost_ticks"].as_u64()), (Some(0), Some(0)), "{json:#}");
    assert!(checks["state_comparisons"].as_u64() > Some(0), "{json:#}");
    assert!(json["traffic"]["inputs_applied"].as_u64() > Some(0), "{json:#}");
}
