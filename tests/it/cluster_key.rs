//! Somebody who may do everything in Redis, against a cluster that has a key and one that has none: what is forged, changed or
//! sent again there. `stored` is about what matches hold, `rollout` about nodes that use the key differently.

use std::time::Duration;

use bytes::Bytes;
use harness::http::create_match;
use harness::player::{Player, Socket};
use harness::process::{Ended, Node, NodeOptions, program, run, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_protocol::{Fence, MatchId, PlayerId, Tick};
use tickcast_server::backplane::mac::envelope::{self, HEADER_BYTES};
use tickcast_server::backplane::mac::{self, ClusterKeys};
use tickcast_server::backplane::redis::{RedisBackplane, Timing};
use tickcast_server::backplane::{Backplane, Channel, Delivery, MatchFields, Subscription, fields};
use tickcast_server::game::GameType;
use tickcast_server::games::Arena;
use tickcast_server::logic::channel::{self, Upstream};
use tickcast_server::logic::orders::Order;
use tickcast_server::logic::simulation::{Simulation, Writing};
use tickcast_server::logic::stored::restore;

mod rollout;
mod stored;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(15);
const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OTHER: &str = "another-key-of-thirty-two-letters";
const FLAGS: [&str; 4] = ["--lease-ms", "600", "--sweep-ms", "200"];

fn env(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A node with this key, if any, that goes so far with it.
async fn node(
    name: &str,
    redis: &RedisServer,
    key: Option<&str>,
    step: Option<&str>,
    flags: &[&str],
) -> Node {
    let key = key.map(|key| env("TICKCAST_CLUSTER_KEY", key));
    let step = step.map(|step| env("TICKCAST_CLUSTER_MAC", step));
    let env = key.into_iter().chain(step).collect();
    Node::start(NodeOptions { env, ..NodeOptions::named(name, &redis.url(), flags) }).await
}

async fn tickcast(words: &[&str], redis: &RedisServer, key: Option<&str>) -> Ended {
    let mut command = program("tickcast");
    command.args(words).args(["--redis", &redis.url()]);
    key.map(|key| command.env("TICKCAST_CLUSTER_KEY", key));
    run(command).await
}

/// Somebody with a login to Redis, and nothing else.
async fn attacker(redis: &RedisServer) -> RedisBackplane {
    RedisBackplane::connect(&redis.url(), Timing::default()).await.expect("a good server").0
}

async fn loaded(attacker: &RedisBackplane, id: &MatchId) -> MatchFields {
    attacker.load(id).await.expect("an answer").expect("a match")
}

async fn fence(attacker: &RedisBackplane, id: &MatchId) -> Fence {
    fields::fence(&loaded(attacker, id).await).expect("it is owned")
}

/// Publishes on the diff channel. The script asks for the ownership, which everybody can read.
async fn publish(attacker: &RedisBackplane, id: &MatchId, message: Bytes) {
    let fence = fence(attacker, id).await;
    attacker.notify(id, fence, message).await.expect("an answer");
}

/// The next thing that is said on a channel.
async fn overheard(subscription: &mut Subscription) -> Bytes {
    let next = tokio::time::timeout(WITHIN, subscription.recv()).await.expect("something is said");
    match next {
        Some(Delivery::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

/// An owner, another node with a player of its match, and somebody who may do everything in Redis.
struct Scene {
    redis: RedisServer,
    owner: Node,
    other: Node,
    id: MatchId,
    player: Player,
    attacker: RedisBackplane,
}

impl Scene {
    async fn new(key: Option<&str>, flags: &[&str]) -> Scene {
        let redis = RedisServer::start(Persistence::Off).await;
        let owner = node("owner", &redis, key, None, flags).await;
        let other = node("other", &redis, key, None, flags).await;
        let id = create_match(owner.authority(), &json!({})).await;
        let mut player = Player::join(&other.players, "guest", Join::Match(id.clone())).await;
        player.follow_ticks(20, WITHIN).await;
        let attacker = attacker(&redis).await;
        Scene { redis, owner, other, id, player, attacker }
    }

    fn player_id(&self) -> PlayerId {
        self.player.client().joined().expect("in the match").player().expect("no spectator")
    }

    /// Nothing was taken from anybody, and the match goes on.
    async fn goes_on(&mut self) {
        self.player.follow_ticks(30, WITHIN).await;
        assert_eq!(self.player.breaks, [""; 0]);
        for node in [&self.owner, &self.other] {
            assert_eq!((node.metric("reloads_total").await, node.metric("resets_total").await), (0, 0));
            assert_eq!(node.metric("takeovers_total").await, 0);
            assert!(!node.output().contains(&KEY[..8]), "a key in the log: {}", node.output());
        }
    }
}

/// The tick after the stored one, as its owner would make it.
fn next_tick(stored: MatchFields) -> (Tick, Bytes) {
    let stored = mac::stored::strip(stored);
    let restored = restore(&stored).expect("what an owner wrote");
    let writing = Writing {
        snapshot_every: 30,
        hash_every: 16,
        lease: WITHIN,
        resume_window: WITHIN,
        rewind: Duration::from_millis(250),
        rests: false,
    };
    let game = Arena.create(&restored.stored.options);
    let mut simulation = Simulation::new(game, restored, writing);
    simulation.recall(&stored).expect("what an owner wrote");
    let commit = simulation.handle_tick(0).commit;
    (commit.tick, commit.message)
}

/// The owner stands still, and somebody makes its next tick: right in every way, but for the key.
async fn with_a_forged_tick(key: Option<&str>) -> (Scene, Tick, Bytes) {
    let mut scene = Scene::new(key, &["--lease-ms", "60000"]).await;
    scene.owner.stop();
    let stored = loaded(&scene.attacker, &scene.id).await;
    let last = fields::number(&stored, fields::TICK).expect("it ticks");
    scene.player.follow_until(WITHIN, "the last tick", |player| player.position().tick == Tick(last)).await;
    let (tick, message) = next_tick(stored);
    assert_eq!(tick, Tick(last + 1));
    (scene, tick, message)
}

#[tokio::test]
async fn without_a_key_a_forged_tick_is_taken() {
    let (mut scene, tick, message) = with_a_forged_tick(None).await;
    publish(&scene.attacker, &scene.id, message).await;
    scene.player.follow_until(WITHIN, "the forged tick", |player| player.position().tick == tick).await;
    assert_eq!(scene.other.metric("foreign_messages_total").await, 0);
}

#[tokio::test]
async fn with_a_key_a_forged_tick_is_refused() {
    let (mut scene, tick, message) = with_a_forged_tick(Some(KEY)).await;
    let name = fields::channel(&scene.id, Channel::Diff);
    let other: ClusterKeys = OTHER.parse().expect("long enough");
    let ring = loaded(&scene.attacker, &scene.id).await;
    let true_one = ring.iter().find(|(name, _)| name.starts_with(b"~d")).expect("there is a ring").1;
    let with_its_code = [&true_one[..HEADER_BYTES], &message[..]].concat().into();
    let forged = [message.clone(), envelope::seal_tick(&other, &name, &message), with_its_code];
    for forged in forged {
        publish(&scene.attacker, &scene.id, forged).await;
    }
    let counted = scene.other.until_metric("foreign_messages_total", WITHIN, |count| count >= 3);
    assert_eq!(scene.player.follow_while(counted).await, 3);
    assert_eq!(scene.player.position().tick.next(), tick, "nothing was passed on");
    // The nodes' own key makes the same bytes a tick.
    let ours: ClusterKeys = KEY.parse().expect("long enough");
    publish(&scene.attacker, &scene.id, envelope::seal_tick(&ours, &name, &message)).await;
    scene.player.follow_until(WITHIN, "the tick", |player| player.position().tick == tick).await;
}

#[tokio::test]
async fn without_a_key_forged_inputs_and_orders_are_followed() {
    let mut scene = Scene::new(None, &FLAGS).await;
    let kick = channel::encode_upstream(&[Upstream::Kick { player: scene.player_id() }]);
    scene.attacker.send_input(&scene.id, kick).await.expect("an answer");
    let closed = scene.player.closed(WITHIN).await;
    assert_eq!(closed.code, 4506, "{closed:?}");
    let owner = "owner".parse().expect("a name");
    scene.attacker.send_order(&owner, Order::Drain.encode().into()).await.expect("an answer");
    scene.owner.wait_exit(WITHIN).await;
}

#[tokio::test]
async fn with_a_key_forged_inputs_and_orders_are_refused() {
    let mut scene = Scene::new(Some(KEY), &FLAGS).await;
    let before = scene.owner.metric("foreign_messages_total").await;
    assert_eq!(before, 0);
    let kick = channel::encode_upstream(&[Upstream::Kick { player: scene.player_id() }]);
    scene.attacker.send_input(&scene.id, kick).await.expect("an answer");
    let owner = "owner".parse().expect("a name");
    scene.attacker.send_order(&owner, Order::Drain.encode().into()).await.expect("an answer");
    let counted = scene.owner.until_metric("foreign_messages_total", WITHIN, |count| count >= 2);
    assert_eq!(scene.player.follow_while(counted).await, 2);
    scene.goes_on().await;
    let refused = "a message was refused; further ones are counted only";
    assert!(scene.owner.output().contains(refused), "{}", scene.owner.output());
    // An operator with the key is followed, one without is not.
    let player = scene.player_id().to_string();
    let words = ["kick", scene.id.as_str(), &player];
    let unheard = scene.player.follow_while(tickcast(&words, &scene.redis, None)).await;
    assert!(unheard.code == Some(1) && unheard.err.contains("the cluster's key"), "{unheard:?}");
    assert!(scene.owner.metric("foreign_messages_total").await > 2);
    let (heard, closed) =
        tokio::join!(tickcast(&words, &scene.redis, Some(KEY)), scene.player.closed(WITHIN));
    assert!(heard.code == Some(0) && closed.code == 4506, "{heard:?} {closed:?}");
}

#[tokio::test]
async fn what_nodes_have_said_is_good_once_and_in_its_place() {
    let mut scene = Scene::new(Some(KEY), &FLAGS).await;
    let elsewhere = create_match(scene.owner.authority(), &json!({})).await;
    let mut there = scene.attacker.subscribe(&elsewhere, Channel::Diff).await.expect("a subscription");
    let mut ticks = scene.attacker.subscribe(&scene.id, Channel::Diff).await.expect("a subscription");
    let mut inputs = scene.attacker.subscribe(&scene.id, Channel::Input).await.expect("a subscription");
    let heard =
        async { (overheard(&mut there).await, overheard(&mut ticks).await, overheard(&mut inputs).await) };
    let (of_another, old_tick, old_inputs) = scene.player.follow_while(heard).await;
    assert_eq!((old_tick[0], old_inputs[0]), (0x8e, 0x8f), "they have codes");
    // Another match's tick here, and inputs where ticks are: the other node counts them.
    publish(&scene.attacker, &scene.id, of_another).await;
    publish(&scene.attacker, &scene.id, old_inputs.clone()).await;
    let counted = scene.other.until_metric("foreign_messages_total", WITHIN, |count| count >= 2);
    assert_eq!(scene.player.follow_while(counted).await, 2);
    // Inputs that were heard before: the owner counts them. An old tick is what everybody has.
    scene.attacker.send_input(&scene.id, old_inputs.clone()).await.expect("an answer");
    scene.attacker.send_input(&scene.id, old_inputs).await.expect("an answer");
    publish(&scene.attacker, &scene.id, old_tick).await;
    let counted = scene.owner.until_metric("foreign_messages_total", WITHIN, |count| count >= 2);
    assert_eq!(scene.player.follow_while(counted).await, 2);
    scene.goes_on().await;
    assert_eq!(scene.other.metric("foreign_messages_total").await, 2);
}

#[tokio::test]
async fn half_a_setting_is_refused_and_no_key_is_shown() {
    let redis = RedisServer::start(Persistence::Off).await;
    let serve = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
    let refused = async |words: &[&str], hint: &str| {
        let mut command = program("tickcast");
        command.args(words);
        let ended = run(command).await;
        assert!(ended.code == Some(2) && ended.err.contains(hint), "{words:?}: {ended:?}");
        assert!(!format!("{ended:?}").contains(&KEY[..8]), "{ended:?}");
    };
    refused(&[&serve[..], &["--cluster-key", KEY]].concat(), "add --redis URL").await;
    refused(
        &[&serve[..], &["--redis", &redis.url(), "--cluster-mac", "sign"]].concat(),
        "TICKCAST_CLUSTER_KEY",
    )
    .await;
    refused(
        &[&serve[..], &["--redis", &redis.url(), "--cluster-mac", "no"]].concat(),
        "accept, sign, require",
    )
    .await;
    refused(&[&serve[..], &["--redis", &redis.url(), "--cluster-key", &KEY[..9]]].concat(), "at least 32")
        .await;
    refused(&["nodes", "--redis", &redis.url(), "--cluster-key", &KEY[..9]], "at least 32").await;
}
