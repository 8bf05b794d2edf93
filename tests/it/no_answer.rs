//! One operation of one node is not answered, or refused, and all others are: ticks are passed on meanwhile, and what
//! was lost is found again.

use std::time::Duration;

use harness::player::{Player, Socket};
use harness::process::wait_until;
use harness::troubled::{self, TroubledNode};
use tickcast_protocol::MatchId;
use tickcast_protocol::message::{ClientMessage, Join};
use tickcast_server::io::match_task::MatchOrder;
use tickcast_server::io::node::NewMatch;

const WITHIN: Duration = Duration::from_secs(10);
/// Long enough for a busy machine to tick in.
const LEASE: Duration = Duration::from_millis(600);
/// Shorter than the silence after which a client is asked whether it is there.
const AT_ONCE: Duration = Duration::from_secs(3);
/// A lease that never ends in a test.
const LONG: Duration = Duration::from_secs(60);

async fn created(owner: &TroubledNode) -> MatchId {
    owner.node.create(NewMatch::default()).await.expect("a new match").0
}

/// A player who says only what a test has it say, and of whom nothing is under way.
async fn quiet(node: &TroubledNode, id: &MatchId) -> Player {
    let mut player = Player::join(&node.players, "quiet", Join::Match(id.clone())).await;
    player.plays = false;
    let counts = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
    player.follow_until(WITHIN, "all that was said counts", counts).await;
    player
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    wait_until(WITHIN, what, || async { reached().then_some(()) }).await;
}

/// Says one thing, which is to be lost where `lost` counts, and then reaches the owner after `mended`.
async fn say_and_find_again(player: &mut Player, lost: impl Fn() -> bool, mended: impl FnOnce()) {
    let before = player.acknowledged();
    player.press(1).await;
    player.follow_while(until("what was said is lost", lost)).await;
    assert_eq!(player.acknowledged(), before);
    mended();
    let arrived = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
    player.follow_until(WITHIN, "what was said counts", arrived).await;
    assert_ne!(player.acknowledged(), before);
}

#[tokio::test]
async fn a_match_is_relayed_while_a_claim_of_it_waits_for_its_answer() {
    let [owner, other] = troubled::start(LEASE).await;
    let id = created(&owner).await;
    let mut player = quiet(&other, &id).await;
    other.trouble.claims.shut();
    owner.trouble.commits.shut();
    until("the other node claims", || other.trouble.claims.is_waited_at()).await;
    owner.trouble.commits.open();
    player.follow_ticks(20, WITHIN).await;
    assert!(other.trouble.claims.is_waited_at(), "still not answered");
    other.trouble.claims.open();
    player.follow_ticks(20, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn inputs_that_the_store_does_not_take_are_asked_for_again() {
    let [owner, other] = troubled::start(LONG).await;
    let id = created(&owner).await;
    let mut player = quiet(&other, &id).await;
    let inputs = &other.trouble.inputs;
    inputs.set(true);
    say_and_find_again(&mut player, || inputs.count() > 0, || inputs.set(false)).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn an_owner_that_lost_inputs_says_so_until_it_is_heard() {
    let [owner, other] = troubled::start(LONG).await;
    let id = created(&owner).await;
    let mut player = quiet(&other, &id).await;
    let trouble = &owner.trouble;
    trouble.notes.set(true);
    trouble.lose_inputs(true);
    let mended = || {
        trouble.lose_inputs(false);
        trouble.notes.set(false);
    };
    say_and_find_again(&mut player, || trouble.losses() > 0 && trouble.notes.count() > 0, mended).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn an_owner_takes_its_own_nodes_inputs_without_the_store_and_others_do_not() {
    let [owner, other] = troubled::start(LONG).await;
    let id = created(&owner).await;
    let mut player = quiet(&owner, &id).await;
    let _follower = quiet(&other, &id).await;
    let inputs = &owner.trouble.inputs;
    inputs.set(true);
    player.press(3).await;
    let arrived = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
    player.follow_until(WITHIN, "what was said counts", arrived).await;
    assert_eq!(inputs.count(), 0, "the store was not asked");
    // Now the match becomes the other node's.
    owner.trouble.claims.shut();
    let orders = owner.node.owned.get(&id).expect("it owns the match").clone();
    orders.try_send(MatchOrder::HandOver(None)).expect("a place in the queue");
    player.follow_while(until("the other node owns it", || other.node.owned.contains_key(&id))).await;
    say_and_find_again(&mut player, || inputs.count() > 0, || inputs.set(false)).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn a_client_that_stops_speaking_while_its_join_waits_is_gone_as_soon_as_that_is_answered() {
    let [owner, other] = troubled::start(LONG).await;
    let id = created(&owner).await;
    let mut witness = quiet(&owner, &id).await;
    other.trouble.loads.shut();
    let mut socket = Socket::open(&other.players).await;
    socket.hello(Join::Match(id)).await;
    until("the join waits", || other.trouble.loads.is_waited_at()).await;
    // What it says last and its end both come while nothing is read; it reads on, so that no write finds it gone.
    socket.say(&ClientMessage::Ping { nonce: 1 }).await;
    socket.shut_down_writing().await;
    witness.follow_ticks(5, WITHIN).await;
    other.trouble.loads.open();
    let gone = || async { other.node.sessions.is_empty().then_some(()) };
    wait_until(AT_ONCE, "the node knows that it is gone", gone).await;
}
