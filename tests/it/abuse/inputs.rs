//! inputs too many, out of order, out of time, out of range, and those that the rules do not grant.

use harness::http::{create_match, request};
use harness::player::{Close, Player, Socket};
use harness::process::{Node, NodeOptions, wait_until};
use harness::raw::{Raw, frame, upgrade_request};
use serde_json::json;
use tickcast_protocol::limits::INPUT_SEQ_AHEAD_MAX;
use tickcast_protocol::message::{ClientMessage, Join};
use tickcast_protocol::{InputSeq, MatchId, Tick};
use tokio_tungstenite::tungstenite::Message;

use super::{HONEST, Siege, WITHIN};

/// What `f32` makes of numbers that are none, or hardly any.
const FLOATS: [f32; 7] =
    [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MAX, f32::MIN_POSITIVE, f32::EPSILON];
/// More messages than any rate allows in a moment.
const FLOOD: u32 = 500;
/// Inputs that a player may save up, and one.
const SAVED_UP_MAX: u64 = 5;

fn input(seq: u32, values: &[i32]) -> ClientMessage {
    ClientMessage::Input { seq: InputSeq(seq), seen: Tick(1), behind: 0, values: values.to_vec() }
}

/// The least and the most of each field of an input of the match.
fn fields(player: &Player) -> Vec<(i32, i32)> {
    let input = player.replica().world().schema().input().iter();
    input.map(|field| (field.min, field.max)).collect()
}

/// What a player is told that sends these frames after its welcome.
async fn told(players: &str, id: &MatchId, frames: &[Vec<u8>]) -> Close {
    let mut socket = Socket::open(players).await;
    socket.hello(Join::Match(id.clone())).await;
    socket.next().await.expect("a welcome");
    for frame in frames {
        socket.send(Message::binary(frame.clone())).await;
    }
    socket.closed(WITHIN).await
}

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
    let close = siege
        .bears(async {
            for seq in 1..=1000 {
                player.send_besides(&input(seq, &[1])).await;
            }
            player.closed(WITHIN).await
        })
        .await;
    assert_eq!(close.code, 4005, "{close:?}");
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
            let last = player.client().last_seq().0;
            let too_far = last + INPUT_SEQ_AHEAD_MAX + 1000;
            for seq in [u32::MAX, i32::MAX as u32, i32::MAX as u32 + 1, too_far, 0, last, last] {
                player.send_besides(&input(seq, &[1])).await;
            }
            for seen in [u64::MAX, u64::MAX - 1, 0, 1 << 40] {
                let values = vec![1];
                let odd =
                    ClientMessage::Input { seq: InputSeq(0), seen: Tick(seen), behind: u16::MAX, values };
                player.send_besides(&odd).await;
            }
            let before = applied(&player);
            player.press(1).await;
            player.follow_until(WITHIN, "its next input counts", settled).await;
            assert_eq!(applied(&player), before + 1, "and no other does");
            siege.node.until_metric("inputs_dropped_total", WITHIN, |dropped| dropped >= 9).await;
        })
        .await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn a_22_no_input_counts_that_its_time_has_not_granted() {
    let (siege, mut player) = counting().await;
    siege
        .bears(async {
            // Twice as many as there are ticks.
            let (before, begun) = (applied(&player), player.position().tick);
            for _ in 0..60 {
                player.press(2).await;
                player.follow_ticks(1, WITHIN).await;
            }
            let ticks = player.position().tick.0 - begun.0;
            let gained = applied(&player) - before;
            assert!(gained <= ticks + SAVED_UP_MAX, "{gained} inputs in {ticks} ticks");
            // Saved up for a second, then all at once.
            player.follow_ticks(30, WITHIN).await;
            let (mut before, first) = (applied(&player), applied(&player));
            player.press(40).await;
            for tick in 1..=20 {
                player.follow_ticks(1, WITHIN).await;
                let now = applied(&player);
                assert!(now - before <= 2, "{} inputs in one tick", now - before);
                assert!(now - first <= tick + SAVED_UP_MAX, "{} inputs in {tick} ticks", now - first);
                before = now;
            }
            assert!(before - first <= 8, "no more than wait at once: {}", before - first);
        })
        .await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn a_23_numbers_with_a_point_do_not_exist() {
    let siege = Siege::begin(&[]).await;
    let probe = Player::join(&siege.node.players, "probe", Join::Match(siege.id.clone())).await;
    let fields = fields(&probe);
    drop(probe);
    siege
        .bears(async {
            for (field, (min, max)) in fields.iter().enumerate() {
                let bits = FLOATS.map(|float| float.to_bits() as i32);
                for bits in bits.into_iter().filter(|bits| !(*min..=*max).contains(bits)) {
                    let mut values: Vec<i32> = fields.iter().map(|(min, _)| *min).collect();
                    values[field] = bits;
                    let close = told(&siege.node.players, &siege.id, &[input(1, &values).to_frame()]).await;
                    assert_eq!(close.code, 4500, "{bits:#x} in field {field}: {close:?}");
                }
            }
        })
        .await;
}

#[tokio::test]
async fn a_24_what_does_not_fit_is_refused_to_the_letter() {
    let siege = Siege::begin(&[]).await;
    let probe = Player::join(&siege.node.players, "probe", Join::Match(siege.id.clone())).await;
    let fields = fields(&probe);
    drop(probe);
    let fits: Vec<i32> = fields.iter().map(|(min, _)| *min).collect();
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    for (field, (min, max)) in fields.iter().enumerate() {
        for value in [i64::from(*min) - 1, i64::from(*max) + 1].map(i32::try_from).into_iter().flatten() {
            let mut values = fits.clone();
            values[field] = value;
            cases.push((format!("{value} in field {field}"), input(1, &values).to_frame()));
        }
    }
    let more = [&fits[..], &[0]].concat();
    cases.push(("a value too many".to_owned(), input(1, &more).to_frame()));
    cases.push(("a value too few".to_owned(), input(1, &fits[1..]).to_frame()));
    cases.push(("no values".to_owned(), input(1, &[]).to_frame()));
    cases.push(("a thousand values".to_owned(), input(1, &[0; 900]).to_frame()));
    let whole = input(1, &fits).to_frame();
    let mut trailing = whole.clone();
    trailing.push(0);
    cases.push(("a byte behind it".to_owned(), trailing));
    cases.push(("cut short".to_owned(), whole[..whole.len() - 1].to_vec()));
    let mut longer = whole.clone();
    // The count of the values, before them.
    let count = whole.len() - fits.len() - 1;
    longer[count] = 200;
    cases.push(("more values claimed than there are".to_owned(), longer));
    for (what, bytes) in [
        ("nothing", &[][..]),
        ("no message", &[1]),
        ("an unknown message", &[1, 77]),
        ("an unknown kind", &[9, 0]),
        ("a server's kind", &[0, 0]),
        ("a number that does not end", &[1, 2, 0xfc]),
        ("a number that is no u32", &[1, 2, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("a kind of number that there is not", &[1, 2, 0xff, 1]),
    ] {
        cases.push((what.to_owned(), bytes.to_vec()));
    }
    siege
        .bears(async {
            for (what, bytes) in cases {
                let close = told(&siege.node.players, &siege.id, &[bytes]).await;
                assert_eq!(close.code, 4500, "{what}: {close:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_25_what_the_rules_do_not_grant_is_no_error() {
    let siege = Siege::begin(&[]).await;
    let players = siege.node.players.clone();
    siege
        .bears(async {
            let mut greedy = Player::join(&players, "greedy", Join::Match(siege.id.clone())).await;
            greedy.plays = false;
            let most: Vec<i32> = fields(&greedy).iter().map(|(_, max)| *max).collect();
            // Everything at once in every tick: through walls, without a pause between shots, dead or alive.
            for _ in 0..90 {
                greedy.input(&most).await;
                greedy.follow_ticks(1, WITHIN).await;
            }
            let arrived = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
            greedy.follow_until(WITHIN, "its inputs count all the same", arrived).await;
            assert_eq!(greedy.breaks, [""; 0]);
        })
        .await;
}
