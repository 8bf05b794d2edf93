//! What one bad match may do to its node and to other matches: nothing. Games that panic, fields that make no
//! sense, and messages that nobody of ours sent.

use std::time::Duration;

use harness::http::create_match;
use harness::player::{Close, Player, Socket};
use harness::process::{Ended, Node, NodeOptions, program, run, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_server::backplane::{Channel, fields};

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// For a match to be claimed until it is quarantined.
const QUARANTINED_WITHIN: Duration = Duration::from_secs(20);
const FLAGS: [&str; 4] = ["--lease-ms", "600", "--sweep-ms", "200"];
/// The input that is too much for the game `faulty`.
const POISON: i32 = 9;

/// A node with the game `faulty`, which fails as often as said: `once`, `always`, or not at all.
async fn node(name: &str, redis: &RedisServer, fails: Option<&str>) -> Node {
    let env = fails.map(|fails| ("FAULTY".to_owned(), fails.to_owned())).into_iter().collect();
    let options = NodeOptions::named(name, &redis.url(), &FLAGS);
    Node::start(NodeOptions { env, program: Some("faulty"), ..options }).await
}

async fn faulty_match(node: &Node, panic_at: u64) -> MatchId {
    create_match(node.authority(), &json!({ "game": "faulty", "options": { "panic_at": panic_at } })).await
}

/// A player of another match of the node, who is to notice nothing.
async fn witness(node: &Node) -> Player {
    let id = create_match(node.authority(), &json!({ "game": "arena" })).await;
    Player::join(&node.players, "witness", Join::Match(id)).await
}

async fn join(node: &Node, id: &MatchId) -> Player {
    let mut player = Player::join(&node.players, "guest", Join::Match(id.clone())).await;
    player.plays = false;
    player
}

/// How a node closes the connection of somebody who wants to play.
async fn refused(node: &Node, id: &MatchId) -> Close {
    let mut socket = Socket::open(&node.players).await;
    socket.hello(Join::Match(id.clone())).await;
    socket.closed(WITHIN).await
}

async fn tickcast(redis: &RedisServer, words: &[&str]) -> Ended {
    let mut command = program("tickcast");
    command.args(words).args(["--redis", &redis.url()]);
    run(command).await
}

async fn stored(redis: &RedisServer, id: &MatchId, field: &str) -> String {
    let value: Option<String> = redis.command(&["HGET", &fields::key(id), field]).await;
    value.unwrap_or_default()
}

async fn until_stored(redis: &RedisServer, id: &MatchId, field: &str, value: &str) {
    wait_until(QUARANTINED_WITHIN, &format!("{field} of {id} is {value}"), || async {
        (stored(redis, id, field).await == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_game_that_panics_once_goes_on_from_its_last_tick() {
    let redis = RedisServer::start(Persistence::Off).await;
    let fails = node("fails", &redis, Some("once")).await;
    let well = node("well", &redis, None).await;
    let id = faulty_match(&fails, 60).await;
    let mut beside = witness(&fails).await;
    let (mut near, mut far) = (join(&fails, &id).await, join(&well, &id).await);
    let before = near.position().fence;
    let past = |player: &Player| player.position().tick.0 > 80;
    let all = async {
        tokio::join!(
            near.follow_until(WITHIN, "past the panic", past),
            far.follow_until(WITHIN, "past the panic", past),
        )
    };
    beside.follow_while(all).await;
    assert_ne!(near.position().fence, before, "owned anew");
    assert_eq!((&near.breaks, &far.breaks, &beside.breaks), (&vec![], &vec![], &vec![]));
    assert_eq!(fails.metric("match_panics_total").await, 1);
    assert_eq!(fails.metric("takeovers_total").await + well.metric("takeovers_total").await, 1);
    assert!(fails.output().contains("as it was told to"), "{}", fails.output());
}

#[tokio::test]
async fn an_input_over_which_a_game_panics_once_is_applied_once() {
    let redis = RedisServer::start(Persistence::Off).await;
    let node = node("fails", &redis, Some("once")).await;
    let id = faulty_match(&node, 0).await;
    let mut player = join(&node, &id).await;
    for value in [1, POISON, 2] {
        player.input(&[value]).await;
    }
    let done = |player: &Player| player.acknowledged() == Some(player.client().last_seq());
    player.follow_until(WITHIN, "all inputs are acknowledged", done).await;
    let world = player.replica().world();
    let entity = player.client().joined().and_then(|joined| joined.entity()).expect("in the match");
    let count = world.schema().kinds()[0].field_index("inputs").expect("a field of the game");
    let sent = player.client().last_seq().0 as i32;
    assert!(sent >= 3 && world.get(entity, count) == sent, "each of {sent} inputs once");
    assert_eq!(node.metric("match_panics_total").await, 1);
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn a_game_that_panics_always_is_quarantined_and_lives_again_when_revived() {
    let redis = RedisServer::start(Persistence::Off).await;
    let mut fails = node("fails", &redis, Some("always")).await;
    let mut too = node("too", &redis, Some("always")).await;
    let id = faulty_match(&fails, 60).await;
    let mut beside = witness(&fails).await;
    let (mut near, mut far) = (join(&fails, &id).await, join(&too, &id).await);
    let closed = async { tokio::join!(near.closed(QUARANTINED_WITHIN), far.closed(QUARANTINED_WITHIN)) };
    let (near_closed, far_closed) = beside.follow_while(closed).await;
    assert_eq!((near_closed.code, far_closed.code), (4509, 4509), "{near_closed:?} {far_closed:?}");
    assert_eq!(stored(&redis, &id, fields::STATUS).await, fields::QUARANTINED);
    assert_eq!(stored(&redis, &id, fields::TICK).await, "59", "nothing of the tick that fails is kept");
    let panics = fails.metric("match_panics_total").await + too.metric("match_panics_total").await;
    assert_eq!(panics, 4, "the first, and three that tried again");
    assert!(fails.is_running() && too.is_running());
    let refused = beside.follow_while(refused(&too, &id)).await;
    assert_eq!(refused.code, 4509, "{refused:?}");
    beside.follow_ticks(30, WITHIN).await;
    assert_eq!(beside.breaks, [""; 0]);

    fails.kill9();
    too.kill9();
    let well = node("well", &redis, None).await;
    well.until_metric("takeovers_total", WITHIN, |count| count == 1).await;
    let revived = tickcast(&redis, &["revive", id.as_str()]).await;
    assert!(revived.code == Some(0) && revived.out.contains(id.as_str()), "{revived:?}");
    near.resume(&well.players).await;
    near.follow_until(WITHIN, "past the tick that failed", |near| near.position().tick.0 > 70).await;
    assert_eq!(near.breaks, [""; 0]);
    let again = tickcast(&redis, &["revive", id.as_str()]).await;
    assert!(again.code == Some(1) && again.err.contains("is not quarantined"), "{again:?}");
}

/// Changes a field in the store: `cut` takes its last byte, `more` adds one, `flip` inverts the first.
const CHANGE: &str = "
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 0 end
if ARGV[2] == 'gone' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
if ARGV[2] == 'cut' then value = value:sub(1, -2) end
if ARGV[2] == 'more' then value = value .. '\\255' end
if ARGV[2] == 'flip' then value = string.char(bit.bxor(value:byte(1), 255)) .. value:sub(2) end
redis.call('HSET', KEYS[1], ARGV[1], value)
return 1";

/// A match of a node that is dead, with entities, a prior, diffs behind them and a seat.
async fn orphan(redis: &RedisServer) -> MatchId {
    let flags = [&FLAGS[..], &["--snapshot-every", "1000"]].concat();
    let mut owner = Node::start(NodeOptions::named("dead", &redis.url(), &flags)).await;
    let id = create_match(owner.authority(), &json!({})).await;
    let mut player = Player::join(&owner.players, "guest", Join::Match(id.clone())).await;
    player.follow_ticks(80, WITHIN).await;
    // On a busy machine the player joins behind the last prior, with which the entities are written.
    let is_written = wait_until(3 * WITHIN, "the player is in a snapshot, with ticks behind it", || async {
        let written: bool = redis.command(&["HEXISTS", &fields::key(&id), "player:0"]).await;
        let number = async |field: &str| stored(redis, &id, field).await.parse::<u64>().ok();
        (written && number(fields::SNAPSHOT_TICK).await? + 2 <= number(fields::TICK).await?).then_some(())
    });
    player.follow_while(is_written).await;
    owner.kill9();
    id
}

/// Copies of a match, each with one field changed in one way, and what was done to it.
async fn spoiled_copies(
    redis: &RedisServer,
    whole: &MatchId,
    seat: &str,
    diff: &str,
    last: &str,
) -> Vec<(MatchId, String)> {
    let mut bad = Vec::new();
    for (field, changes) in [
        (fields::SCHEMA, &["gone", "cut", "more", "flip"][..]),
        (fields::OPTIONS, &["gone", "cut", "more", "flip"]),
        (fields::HASH, &["gone", "cut", "more", "flip"]),
        (fields::PRIOR, &["gone", "cut", "more", "flip"]),
        (fields::TICK, &["gone", "more", "flip"]),
        (fields::SNAPSHOT_TICK, &["gone", "more", "flip"]),
        (fields::TICK_RATE, &["gone", "cut", "more", "flip"]),
        (fields::RING, &["gone", "more", "flip"]),
        (fields::SEED, &["gone", "more", "flip"]),
        (fields::PLAYERS, &["gone", "cut", "more", "flip"]),
        (fields::PLAYERS_MAX, &["gone", "more", "flip"]),
        (fields::CREATED_MS, &["gone", "more", "flip"]),
        (fields::VERSION, &["gone", "cut", "more", "flip"]),
        (fields::GAME, &["gone", "more", "flip"]),
        (fields::STATUS, &["gone", "cut", "more", "flip"]),
        (fields::LEASE_MS, &["gone", "cut", "more", "flip"]),
        (seat, &["cut", "more", "flip"]),
        (diff, &["gone", "cut", "more", "flip"]),
        (last, &["gone", "cut", "more", "flip"]),
        ("player:0", &["gone", "cut", "more", "flip"]),
        ("wall:0", &["gone", "cut", "more", "flip"]),
        ("pickup:0", &["gone", "cut", "more", "flip"]),
        ("round:0", &["gone", "cut", "more", "flip"]),
    ] {
        for change in changes {
            let id: MatchId = format!("bad{}", bad.len()).parse().expect("an id");
            let key = fields::key(&id);
            let copied: bool = redis.command(&["COPY", &fields::key(whole), &key]).await;
            let changed: bool = redis.command(&["EVAL", CHANGE, "1", &key, field, change]).await;
            assert!(copied && changed, "{field} {change}");
            let _: u64 = redis.command(&["SADD", fields::INDEX_KEY, id.as_str()]).await;
            bad.push((id, format!("{field} {change}")));
        }
    }
    bad
}

#[tokio::test]
async fn fields_that_make_no_sense_end_in_quarantine_and_never_the_node() {
    let redis = RedisServer::start(Persistence::Off).await;
    let whole = orphan(&redis).await;
    let number = async |field: &str| stored(&redis, &whole, field).await.parse::<u64>().expect("a number");
    let (tick, snapshot, ring) =
        (number(fields::TICK).await, number(fields::SNAPSHOT_TICK).await, number(fields::RING).await);
    assert!(snapshot + 2 <= tick, "no diff is needed: {snapshot} {tick}");
    let names: Vec<String> = redis.command(&["HKEYS", &fields::key(&whole)]).await;
    let seat = names.iter().find(|name| name.starts_with(fields::SEAT_PREFIX)).expect("a seat").as_str();
    let diff = format!("~d{}", (snapshot + 1) % ring);
    let last = format!("~d{}", tick % ring);
    let bad = spoiled_copies(&redis, &whole, seat, &diff, &last).await;

    let coded = [fields::PRIOR, &diff, &last].map(|field| [format!("{field} more"), format!("{field} cut")]);
    let coded: Vec<String> = coded.into_iter().flatten().collect();
    let mut survivor = Node::start(NodeOptions::named("survivor", &redis.url(), &FLAGS)).await;
    let mut beside = witness(&survivor).await;
    let all = async {
        let mut unharmed = 0;
        for (id, what) in &bad {
            let quarantined = wait_until(QUARANTINED_WITHIN, &format!("{what} is decided"), || async {
                match stored(&redis, id, fields::STATUS).await == fields::QUARANTINED {
                    true => Some(true),
                    false => (stored(&redis, id, fields::TICK).await.parse::<u64>().ok()? > tick + 30)
                        .then_some(false),
                }
            })
            .await;
            if quarantined {
                let refused = refused(&survivor, id).await;
                assert_eq!(refused.code, 4509, "{what}: {refused:?}");
            } else {
                // A lease is no part of the match: the next claim writes it anew. The end of what is range coded may stand for itself: then the state has its hash.
                assert!(coded.contains(what) || what.starts_with(fields::LEASE_MS), "{what} is played on");
                unharmed += 1;
            }
        }
        // The one that nothing was done to is played on.
        until_stored(&redis, &whole, fields::OWNER, "survivor").await;
        unharmed
    };
    let unharmed = beside.follow_while(all).await;
    beside.follow_ticks(30, WITHIN).await;
    assert_eq!(beside.breaks, [""; 0]);
    assert!(survivor.is_running());
    let quarantined = bad.len() as u64 - unharmed;
    let shown = tickcast(&redis, &["inspect"]).await.out;
    assert_eq!(shown.matches(fields::QUARANTINED).count() as u64, quarantined, "{shown}");
    for text in ["match quarantined", "field `~status` is missing", "field `~lease_ms` is missing"] {
        assert!(survivor.output().contains(text), "{text} is not in {}", survivor.output());
    }
    assert_eq!(survivor.metric("claims_failed_total").await, 3 * quarantined, "three tries each");
    assert_eq!(survivor.metric("matches_owned").await, 2 + unharmed);
}

#[tokio::test]
async fn a_match_of_another_version_is_left_to_those_who_know_it() {
    let redis = RedisServer::start(Persistence::Off).await;
    let id = orphan(&redis).await;
    let crashes = stored(&redis, &id, fields::CRASHES).await;
    let _: u64 = redis.command(&["HSET", &fields::key(&id), fields::VERSION, "99"]).await;
    let node = Node::start(NodeOptions::named("older", &redis.url(), &FLAGS)).await;
    node.until_metric("claims_unfit_total", WITHIN, |count| count > 3).await;
    let refused = refused(&node, &id).await;
    assert_eq!(refused.code, 4000, "{refused:?}");
    assert_eq!(stored(&redis, &id, fields::STATUS).await, fields::OPEN);
    assert_eq!(stored(&redis, &id, fields::CRASHES).await, crashes);
    assert_eq!(node.metric("claims_failed_total").await, 0);
    let version = fields::VERSION_WRITTEN.to_string();
    let _: u64 = redis.command(&["HSET", &fields::key(&id), fields::VERSION, &version]).await;
    node.until_metric("takeovers_total", WITHIN, |count| count == 1).await;
}

/// Publishes the match's last tick as that of an ownership that there never was, one tick further.
const FORGE: &str = "
local tick = redis.call('HGET', KEYS[1], '~tick')
local message = redis.call('HGET', KEYS[1], '~d' .. (tick % redis.call('HGET', KEYS[1], '~ring')))
message = message:sub(1, 9) .. string.rep('\\7', 8) .. string.char((tick + 1) % 256) .. message:sub(19)
return redis.call('PUBLISH', ARGV[1], message)";
/// Publishes so many bytes that begin like one of ours.
const BEGIN: &str =
    "return redis.call('PUBLISH', ARGV[1], string.char(ARGV[2]) .. string.rep('\\255', ARGV[3]))";

#[tokio::test]
async fn messages_that_nobody_of_ours_sent_are_counted_and_change_nothing() {
    let redis = RedisServer::start(Persistence::Off).await;
    let nodes = Node::start_cluster(&["owner", "other"], &redis.url(), &FLAGS).await;
    let id = create_match(nodes[0].authority(), &json!({})).await;
    let mut player = Player::join(&nodes[1].players, "guest", Join::Match(id.clone())).await;
    player.follow_ticks(10, WITHIN).await;
    let (diff, input) = (fields::channel(&id, Channel::Diff), fields::channel(&id, Channel::Input));
    let orders = "tickcast:{node:owner}:orders";
    let long = "x".repeat(1_000_000);
    let publish = async |words: &[&str]| {
        let heard: u64 = redis.command(words).await;
        assert!(heard > 0, "nobody heard {:.60?}", words);
    };
    let publishes = async {
        for channel in [diff.as_str(), &input, orders] {
            for text in ["", "garbage", &long] {
                publish(&["PUBLISH", channel, text]).await;
            }
            for first in ["129", "130", "131", "132"] {
                for length in ["0", "8", "40", "1000000"] {
                    publish(&["EVAL", BEGIN, "0", channel, first, length]).await;
                }
            }
        }
        for _ in 0..20 {
            publish(&["EVAL", FORGE, "1", &fields::key(&id), &diff]).await;
        }
    };
    player.follow_while(publishes).await;
    // Of the diff channel the other node counts all, the owner those of the input channel and the orders.
    let counted = async {
        nodes[1].until_metric("foreign_messages_total", WITHIN, |count| count >= 19 + 20).await;
        nodes[0].until_metric("foreign_messages_total", WITHIN, |count| count >= 2 * 19).await;
    };
    player.follow_while(counted).await;
    player.follow_ticks(30, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
    for node in &nodes {
        assert_eq!((node.metric("reloads_total").await, node.metric("resets_total").await), (0, 0));
        assert_eq!(node.metric("takeovers_total").await, 0);
    }
}
