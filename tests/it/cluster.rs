//! Nodes, bots and a Redis as real processes: matches are played, nodes die, what is stored is read afterwards.

use std::time::Duration;

use harness::http::create_match;
use harness::player::Player;
use harness::process::{BotsRun, Ended, Node, NodeOptions, bots, program, run, wait_until};
use harness::proxy::{Faults, Proxy};
use harness::redis::{Persistence, RedisServer};
use serde_json::{Value, json};
use tickcast_protocol::message::Join;
use tickcast_protocol::{MatchId, World};
use tickcast_server::backplane::fields;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// A match goes on within this after its owner has died; the lease is 1.5 s of it.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(5);

async fn memory_node(args: &[&str]) -> Node {
    let args = args.iter().map(ToString::to_string).collect();
    Node::start(NodeOptions { args, ..NodeOptions::default() }).await
}

async fn cluster_node(redis: &RedisServer, name: &str, args: &[&str]) -> Node {
    let args = ["--node", name].iter().chain(args).map(ToString::to_string).collect();
    Node::start(NodeOptions { redis: Some(redis.url()), args, ..NodeOptions::default() }).await
}

/// That a run of bots passed and checked something.
#[track_caller]
fn assert_passed(run: &BotsRun, members: u64) {
    let (json, checks) = (&run.json, &run.json["checks"]);
    assert!(run.status.success(), "{}", run.output);
    assert_eq!(json["passed"], true, "{json:#}");
    assert_eq!(json["connections"]["joined"], members, "{json:#}");
    for count in ["desyncs", "lost_ticks", "state_mismatches", "broken_frames", "resets"] {
        assert_eq!(checks[count], 0, "{count}: {json:#}");
    }
    assert!(checks["state_comparisons"].as_u64() > Some(0), "{json:#}");
    assert!(json["traffic"]["inputs_applied"].as_u64() > Some(0), "{json:#}");
}

async fn inspect(redis: &RedisServer, args: &[&str]) -> Ended {
    let mut command = program("tickcast");
    command.args(["inspect", "--redis", &redis.url()]).args(args);
    let ended = run(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

async fn inspect_json(redis: &RedisServer, args: &[&str]) -> Value {
    let ended = inspect(redis, &[args, &["--json"]].concat()).await;
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[tokio::test]
async fn one_node_without_a_store_keeps_all_bots_in_step() {
    let node = memory_node(&["--hash-every", "1"]).await;
    let args = ["--matches", "2", "--players", "6", "--seconds", "3"];
    assert_passed(&bots(&[&node.players], &args).await, 12);
}

#[tokio::test]
async fn two_nodes_keep_all_bots_in_step_and_the_store_tells_what_they_saw() {
    let redis = RedisServer::start(Persistence::Off).await;
    let mut first = cluster_node(&redis, "first", &[]).await;
    let mut second = cluster_node(&redis, "second", &[]).await;
    let args = ["--matches", "3", "--players", "6", "--spectators", "1", "--seconds", "4"];
    let played = bots(&[&first.players, &second.players], &args).await;
    assert_passed(&played, 21);
    let ids = played.json["load"]["match_ids"].as_array().expect("the report names the matches").clone();
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str().expect("an id is text")).collect();
    // One match has a player who sees the very last ticks.
    let join = Join::Match(ids[0].parse().expect("an id"));
    let mut last = Player::join(&second.players, "witness", join).await;
    last.follow_ticks(10, WITHIN).await;
    first.kill9();
    second.kill9();

    let listed = inspect_json(&redis, &[]).await;
    let listed = listed["matches"].as_array().expect("a list of matches");
    assert_eq!(listed.len(), 3, "{listed:?}");
    for id in &ids {
        assert!(listed.iter().any(|row| row["id"] == *id), "{id} is not in {listed:?}");
        assert_complete(&inspect_json(&redis, &[id]).await);
        let text = inspect(&redis, &[id]).await.out;
        assert!(text.contains(id) && text.contains("verified"), "{text}");
    }
    assert_matches_what_was_seen(&inspect_json(&redis, &[ids[0]]).await, &last);
}

/// That a match was read back whole: its hash is that of the state, and all kinds are there.
#[track_caller]
fn assert_complete(shown: &Value) {
    assert!(shown["tick"].as_u64() > Some(0), "{shown:#}");
    assert_eq!(shown["hash"], shown["recomputed_hash"], "{shown:#}");
    let count = |kind: &str| shown["entities"][kind].as_array().map(|rows| rows.len() as u64);
    assert_eq!(count("player"), shown["players"].as_u64(), "{shown:#}");
    for kind in ["wall", "pickup", "round"] {
        assert!(count(kind) > Some(0), "no {kind}: {shown:#}");
    }
}

/// That the store is not behind what a player saw, and is the same where it is not ahead of it.
#[track_caller]
fn assert_matches_what_was_seen(shown: &Value, player: &Player) {
    let (seen, world) = (player.position().tick.0, player.replica().world());
    assert!(shown["tick"].as_u64() >= Some(seen), "seen {seen}, stored {:#}", shown["tick"]);
    if shown["tick"] == seen {
        assert_eq!(shown["hash"], format!("{:08x}", world.hash()));
    }
    let rows = shown["entities"]["player"].as_array().expect("players are listed");
    assert_eq!(rows.len(), world.count(world.schema().player_kind()));
    assert!(rows.iter().any(|row| row["name"] == "witness"), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row["seq"].as_u64() > Some(0)).count(), rows.len(), "{rows:?}");
}

#[tokio::test]
async fn players_of_another_node_do_not_notice_that_the_owner_dies() {
    let redis = RedisServer::start(Persistence::Off).await;
    let mut owner = cluster_node(&redis, "owner", &[]).await;
    let other = cluster_node(&redis, "other", &[]).await;
    let id = create_match(owner.authority(), &json!({})).await;
    let mut one = Player::join(&other.players, "one", Join::Match(id.clone())).await;
    let mut two = Player::join(&other.players, "two", Join::Match(id.clone())).await;
    one.follow_ticks(20, WITHIN).await;
    let before = one.position();
    assert_eq!(inspect_json(&redis, &[id.as_str()]).await["owner"], "owner");

    owner.kill9();
    let goes_on = "the other node has taken over and ticks";
    let new_owner = |player: &Player| {
        player.position().fence != before.fence && player.position().tick.0 > before.tick.0 + 20
    };
    one.follow_until(TAKEOVER_WITHIN, goes_on, new_owner).await;
    two.follow_until(WITHIN, goes_on, |two| two.position() == one.position()).await;
    assert_eq!(one.breaks, [""; 0]);
    assert_eq!(two.breaks, [""; 0]);
    assert_eq!(hash(one.replica().world()), hash(two.replica().world()));
    assert_eq!(inspect_json(&redis, &[id.as_str()]).await["owner"], "other");
    // Inputs arrive at the new owner.
    let sent = one.client().last_seq();
    let applied = |one: &Player| one.client().joined().and_then(|joined| joined.acknowledged()) > Some(sent);
    one.follow_until(WITHIN, "an input after the takeover is applied", applied).await;
}

fn hash(world: &World) -> u32 {
    assert_eq!(world.hash(), world.recomputed_hash());
    world.hash()
}

#[tokio::test]
async fn a_node_that_is_far_from_the_store_begins_to_follow_without_a_gap() {
    let redis = RedisServer::start(Persistence::Off).await;
    let proxy = Proxy::start(redis.port(), 1).await;
    let owner = cluster_node(&redis, "owner", &[]).await;
    let far = Node::start(NodeOptions::named("far", &proxy.redis_url(), &[])).await;
    let id = create_match(owner.authority(), &json!({})).await;
    let mut near = Player::join(&owner.players, "near", Join::Match(id.clone())).await;
    near.follow_ticks(10, WITHIN).await;
    // Several ticks pass between one answer of the store and the next.
    proxy.set(Faults { delay: Duration::from_millis(100), ..Faults::default() });
    let join = Player::join(&far.players, "watcher", Join::Spectate(id));
    let mut watcher = near.follow_while(join).await;
    near.follow_while(watcher.follow_ticks(20, WITHIN)).await;
    assert!(proxy.counts().delayed > 0, "nothing was late");
    assert_eq!(far.metric("reloads_total").await, 0, "what was published after the load was heard");
    assert_eq!(watcher.breaks, [""; 0]);
}

#[tokio::test]
async fn a_node_that_is_asked_to_stop_says_so_and_ends_well() {
    for ask in [Node::interrupt, Node::terminate] {
        let mut node = memory_node(&[]).await;
        let mut player = Player::join(&node.players, "guest", Join::Quick { game: String::new() }).await;
        ask(&node);
        let close = player.closed(WITHIN).await;
        assert_eq!(close.code, 4001, "{close:?}");
        assert!(close.reason.contains("reconnect elsewhere"), "{close:?}");
        assert_eq!(node.wait_exit(WITHIN).await.code(), Some(0));
        let said = node.output();
        assert!(said.contains("INFO stopped") && !said.contains("WARN"), "{said}");
    }
}

#[tokio::test]
async fn a_match_that_nobody_plays_leaves_nothing_behind() {
    let redis = RedisServer::start(Persistence::Off).await;
    let node = cluster_node(&redis, "alone", &["--empty-after", "1"]).await;
    let id = create_match(node.authority(), &json!({})).await;
    let player = Player::join(&node.players, "guest", Join::Match(id.clone())).await;
    assert_eq!(traces(&redis, &id).await, (1, 1));
    let mut watcher = Player::join(&node.players, "watcher", Join::Spectate(id.clone())).await;
    // Longer than a match lives without players.
    watcher.follow_ticks(45, WITHIN).await;
    assert_eq!(traces(&redis, &id).await, (1, 1));

    player.leave().await;
    assert_eq!(watcher.closed(WITHIN).await.code, 4511);
    let what = "the match's hash and its entry in the index are gone";
    let gone = || async { (traces(&redis, &id).await == (0, 0)).then_some(()) };
    wait_until(WITHIN, what, gone).await;
    let left: Vec<String> = redis.command(&["KEYS", "*"]).await;
    assert_eq!(left, [fields::NODES_KEY], "but for the living nodes");
}

/// Whether the store has the match's hash, and its entry in the index.
async fn traces(redis: &RedisServer, id: &MatchId) -> (u64, u64) {
    let hash = redis.command(&["EXISTS", &fields::key(id)]).await;
    (hash, redis.command(&["SISMEMBER", fields::INDEX_KEY, id.as_str()]).await)
}
