//! What matches hold, changed by somebody who may write to Redis while nobody owns them.

use futures_util::future::join_all;
use tickcast_protocol::ResumeToken;
use tickcast_protocol::record;
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::stored::{StoredError, entity_name};

use super::*;

const QUARANTINED_WITHIN: Duration = Duration::from_secs(30);
/// What is done to one match each; every one of them makes a match that can be read.
const CHANGES: [&str; 7] = ["nothing", "older", "players_max", "entity", "seat", "added", "another match's"];
/// Those of them that the codes tell: the whole of an older tick is right, only old.
const TOLD: usize = 5;

/// Matches of a node that has died, a player in each, and what one held a while before.
struct Orphans {
    redis: RedisServer,
    ids: Vec<MatchId>,
    attacker: RedisBackplane,
    older: MatchFields,
}

async fn orphans(key: Option<&str>) -> Orphans {
    let redis = RedisServer::start(Persistence::Off).await;
    // Entities stand as of the last tick: no diff behind them tells what the hash should be.
    let flags = [&FLAGS[..], &["--snapshot-every", "1"]].concat();
    let mut owner = node("dead", &redis, key, None, &flags).await;
    let mut ids = Vec::new();
    for _ in CHANGES {
        ids.push(create_match(owner.authority(), &json!({ "options": { "players_max": 4 } })).await);
    }
    let join = |id: &MatchId| Player::join(&owner.players, "guest", Join::Match(id.clone()));
    let mut players: Vec<Player> = join_all(ids.iter().map(join)).await;
    join_all(players.iter_mut().map(|player| player.follow_ticks(30, WITHIN))).await;
    let attacker = attacker(&redis).await;
    let older = loaded(&attacker, &ids[1]).await;
    join_all(players.iter_mut().map(|player| player.follow_ticks(50, WITHIN))).await;
    owner.kill9();
    Orphans { redis, ids, attacker, older }
}

/// Changes an entity, and the state's hash with it: without a key, the match can be read as before.
fn with_another_entity(stored: &MatchFields) -> MatchFields {
    let mut world = restore(&mac::stored::strip(stored.clone())).expect("what an owner wrote").world;
    let kind = world.schema().kind_index("pickup").expect("the arena has some");
    let id = world.ids(kind).next().expect("there is one");
    world.set(id, 0, world.get(id, 0) ^ 1);
    world.advance();
    let name = entity_name(world.schema(), id).into();
    let mut held = stored.clone();
    held.insert(name, record::encode_entity(&world, id).expect("an entity of this world").into());
    match restore(&mac::stored::strip(held.clone())) {
        Err(StoredError::Hash { actual, .. }) => {
            held.insert(fields::HASH.into(), format!("{actual:08x}").into());
        }
        other => panic!("the state is as it was: {other:?}"),
    }
    assert!(restore(&mac::stored::strip(held.clone())).is_ok(), "it can be read");
    held
}

/// What a match holds after a change.
async fn changed(orphans: &Orphans, change: &str, id: &MatchId) -> MatchFields {
    let mut stored = loaded(&orphans.attacker, id).await;
    match change {
        "nothing" => {}
        "older" => stored = orphans.older.clone(),
        "players_max" => drop(stored.insert(fields::PLAYERS_MAX.into(), Bytes::from_static(b"31"))),
        "entity" => stored = with_another_entity(&stored),
        "seat" => {
            let mut names = stored.keys().filter(|name| name.starts_with(fields::SEAT_PREFIX.as_bytes()));
            let seat = names.next().expect("a player").clone();
            stored.insert(seat, TokenDigest::of(&ResumeToken([9; 16])).to_text().into());
        }
        "added" => drop(stored.insert("~note".into(), Bytes::from_static(b"hello"))),
        _ => stored = loaded(&orphans.attacker, &orphans.ids[0]).await,
    }
    stored
}

async fn write(redis: &RedisServer, id: &MatchId, stored: &MatchFields) {
    let key = fields::key(id);
    let _: u64 = redis.command(&["DEL", &key]).await;
    for (name, value) in stored {
        redis.set_field(&key, name, value).await;
    }
}

async fn status(redis: &RedisServer, id: &MatchId) -> String {
    redis.command(&["HGET", &fields::key(id), fields::STATUS]).await
}

/// Changes them all and starts a node that has never seen them.
async fn found(orphans: &Orphans, key: Option<&str>) -> Node {
    for (change, id) in CHANGES.iter().zip(&orphans.ids) {
        let stored = changed(orphans, change, id).await;
        write(&orphans.redis, id, &stored).await;
    }
    node("survivor", &orphans.redis, key, None, &FLAGS).await
}

#[tokio::test]
async fn without_a_key_whatever_can_be_read_is_played_on() {
    let orphans = orphans(None).await;
    let survivor = found(&orphans, None).await;
    survivor.until_metric("takeovers_total", WITHIN, |count| count == CHANGES.len() as u64).await;
    assert_eq!(survivor.metric("claims_failed_total").await, 0);
}

#[tokio::test]
async fn with_a_key_what_no_node_wrote_ends_in_quarantine() {
    let orphans = orphans(Some(KEY)).await;
    let survivor = found(&orphans, Some(KEY)).await;
    survivor.until_metric("takeovers_total", WITHIN, |count| count == (CHANGES.len() - TOLD) as u64).await;
    for (change, id) in CHANGES.iter().zip(&orphans.ids) {
        let is_told = !["nothing", "older"].contains(change);
        let expected = if is_told { fields::QUARANTINED } else { fields::OPEN };
        wait_until(QUARANTINED_WITHIN, &format!("{change} is {expected}"), || async {
            (status(&orphans.redis, id).await == expected).then_some(())
        })
        .await;
    }
    assert_eq!(survivor.metric("claims_failed_total").await, 3 * TOLD as u64, "three tries each");
    assert!(survivor.output().contains("no node wrote what the match holds"), "{}", survivor.output());
}

#[tokio::test]
async fn a_code_that_is_taken_away_is_missed() {
    let orphans = orphans(Some(KEY)).await;
    let id = &orphans.ids[0];
    let gone: u64 = orphans.redis.command(&["HDEL", &fields::key(id), fields::MAC]).await;
    assert_eq!(gone, 1, "there was one");
    let _survivor = node("survivor", &orphans.redis, Some(KEY), None, &FLAGS).await;
    wait_until(QUARANTINED_WITHIN, "it is quarantined", || async {
        (status(&orphans.redis, id).await == fields::QUARANTINED).then_some(())
    })
    .await;
}

/// Somebody gives a player's seat to a token of its own, while the match is played: it is not believed.
#[tokio::test]
async fn a_seat_that_is_given_away_in_redis_is_not_taken() {
    for (key, code) in [(None, None), (Some(KEY), Some(4000))] {
        let scene = Scene::new(key, &FLAGS).await;
        let (player, match_id) = (scene.player_id(), scene.id.clone());
        let token = ResumeToken([9; 16]);
        let digest = TokenDigest::of(&token).to_text();
        let stored = fields::key(&scene.id);
        scene.redis.set_field(&stored, fields::seat(player).as_bytes(), digest.as_bytes()).await;
        let mut thief = Socket::open(&scene.other.players).await;
        let shown = scene.player.position();
        thief.hello(Join::Resume { match_id, player, token, shown, attempt: 1 }).await;
        let first = tokio::time::timeout(WITHIN, thief.next()).await.expect("an answer");
        assert_eq!(first.err().map(|close| close.code), code, "with {key:?}");
    }
}
