//! inputs too many, out of order, out of time, out of range, and those that the rules do not grant.

use harness::abuse::inputs;
use harness::http::{create_match, request};
use harness::player::{Player, Socket};
use harness::process::{Node, NodeOptions, wait_until};
use harness::raw::{Raw, frame, upgrade_request};
use serde_json::json;
use tickcast_protocol::message::{ClientMessage, Join};

use super::{HONEST, Siege, WITHIN};

/// More messages than any rate allows in a moment.
const FLOOD: u32 = 500;
/// Inputs that a player may save up, and one.
const SAVED_UP_MAX: u64 = 5;

/// A match of its own for a player who cheats, which counts the inputs that it applies.
async fn counting() -> (Siege, Player) {
    let options = NodeOptions { program: Some("faulty"), ..NodeOptions::default() };
    let siege = Siege::of(Node::start(options).await).await;
    let id = create_match(siege.node.authority(), &json!({ "game": "faulty" })).await;
    let mut player = Player::join(&siege.node.players, "cheat", Join::Match(id)).await;
    player.plays = false;
    (siege, player)
}

/// Inputs of this player that ticks have applied.
fn applied(player: &Player) -> u64 {
    let world = player.replica().world();
    let entity = player.client().joined().and_then(|joined| joined.entity()).expect("in the match");
    let field = world.schema().kinds()[0].field_index("inputs").expect("a field of the game");
    world.get(entity, field) as u64
}

#[tokio::test]
async fn a_20_a_flood_of_inputs_is_closed_and_applied_no_faster() {
    let (siege, mut player) = counting().await;
    let (before, begun) = (applied(&player), player.position().tick);
    siege.bears(inputs::flood(&mut player)).await;
    let ticks = player.position().tick.0 - begun.0;
    assert!(applied(&player) - before <= ticks + SAVED_UP_MAX, "of {ticks} ticks");
}

#[tokio::test]
async fn a_20_who_floods_again_and_again_is_told_to_stay_away() {
    let siege = Siege::begin(&["--limit-loopback"]).await;
    let (players, authority) = (siege.node.players.clone(), siege.authority());
    let mut player = Player::join(&players, "flood", Join::Match(siege.id.clone())).await;
    player.plays = false;
    let path = format!("/v1/matches/{}", siege.id);
    let are_gone = async || {
        let told = request(&authority, "GET", &path, "").await.json();
        (told["players"].as_u64() == Some(HONEST as u64)).then_some(())
    };
    siege
        .bears(async {
            let mut codes = Vec::new();
            for time in 0..3 {
                if time > 0 {
                    player.resume(&players).await;
                }
                // No message costs less, and none breaks a rule.
                for nonce in 0..FLOOD {
                    player.send_besides(&ClientMessage::Ping { nonce }).await;
                }
                codes.push(player.closed(WITHIN).await.code);
            }
            assert_eq!(codes, [4005, 4005, 4508]);
            wait_until(WITHIN, "the seat is free at once", are_gone).await;
            let mut socket = Socket::open(&players).await;
            socket.hello(player.resume_join()).await;
            assert_eq!(socket.closed(WITHIN).await.code, 4501, "its token is good for nothing");
            let mut other =
                Raw::connect_from("127.0.0.9", &authority).await.expect("an address of this machine");
            other.send(upgrade_request(&authority, &[]).as_bytes()).await.expect("sent");
            assert_eq!(other.head().await.expect("an answer").status, 101);
            let _ = other.send(&frame(0x89, b"").repeat(FLOOD as usize)).await;
            let close = other.closed(WITHIN).await;
            assert_eq!(close.as_ref().map(|close| close.code), Some(4005), "another address: {close:?}");
        })
        .await;
}

#[tokio::test]
async fn a_21_numbers_and_ticks_that_make_no_sense_lock_nobody_out() {
    let (siege, mut player) = counting().await;
    siege
        .bears(async {
            let settled = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
            player.follow_until(WITHIN, "all that was said counts", settled).await;
            let before = applied(&player);
            inputs::odd_numbers(&mut player).await;
            assert_eq!(applied(&player), before + 2, "its next inputs count, and no other does");
            siege.node.until_metric("inputs_dropped_total", WITHIN, |dropped| dropped >= 9).await;
        })
        .await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn a_22_no_input_counts_that_its_time_has_not_granted() {
    let (siege, mut player) = counting().await;
    // For inputs twice as many as ticks and for such that were saved up: the tick, and how many were applied until then.
    let (mut twice, mut saved_up) = (Vec::new(), Vec::new());
    let look = |player: &Player, is_saved_up: bool| {
        let seen = (player.position().tick.0, applied(player));
        if is_saved_up { saved_up.push(seen) } else { twice.push(seen) }
    };
    siege.bears(inputs::hurry(&mut player, 60, look)).await;
    for seen in [&twice, &saved_up] {
        let (begun, first) = seen[0];
        for (tick, applied) in seen {
            let (ticks, gained) = (tick - begun, applied - first);
            assert!(gained <= ticks + SAVED_UP_MAX, "{gained} inputs in {ticks} ticks");
        }
    }
    for pair in saved_up.windows(2) {
        let at_once = pair[1].1 - pair[0].1;
        assert!(at_once <= 2, "{at_once} inputs in one tick");
    }
    let all = saved_up[saved_up.len() - 1].1 - saved_up[0].1;
    assert!(all <= 8, "no more than wait at once: {all}");
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn a_23_numbers_with_a_point_do_not_exist() {
    let siege = Siege::begin(&[]).await;
    siege.bears(inputs::floats(&siege.target())).await;
}

#[tokio::test]
async fn a_24_what_does_not_fit_is_refused_to_the_letter() {
    let siege = Siege::begin(&[]).await;
    siege.bears(inputs::misfits(&siege.target())).await;
}

#[tokio::test]
async fn a_25_what_the_rules_do_not_grant_is_no_error() {
    let siege = Siege::begin(&[]).await;
    siege.bears(inputs::greed(&siege.target(), 90)).await;
}
