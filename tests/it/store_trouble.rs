//! A store that stalls, restarts, forgets, is full or is written to by somebody else, under matches that are played:
//! a match pauses and goes on, or ends and says so; the nodes live and the other matches tick on.

use std::time::Duration;

use harness::http::{create_match, request};
use harness::player::Player;
use harness::process::{Node, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tickcast_protocol::MatchId;
use tickcast_protocol::message::Join;
use tickcast_server::backplane::fields;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// For a node to notice trouble, and for its connections to be there again.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// A Redis, two nodes, and a match of the first with a player at each.
struct Played {
    redis: RedisServer,
    nodes: Vec<Node>,
    id: MatchId,
    near: Player,
    far: Player,
}

impl Played {
    async fn start(persistence: Persistence, flags: &[&str]) -> Played {
        Played::on(RedisServer::start(persistence).await, flags).await
    }

    async fn on(redis: RedisServer, flags: &[&str]) -> Played {
        let flags = [&["--lease-ms", "600", "--sweep-ms", "300"], flags].concat();
        let nodes = Node::start_cluster(&["owner", "other"], &redis.url(), &flags).await;
        let id = create_match(nodes[0].authority(), &json!({})).await;
        let near = Player::join(&nodes[0].players, "near", Join::Match(id.clone())).await;
        let far = Player::join(&nodes[1].players, "far", Join::Match(id.clone())).await;
        let mut played = Played { redis, nodes, id, near, far };
        played.goes_on().await;
        played
    }

    /// That both players are some ticks further, and their inputs count.
    async fn goes_on(&mut self) {
        for player in [&mut self.near, &mut self.far] {
            let (from, sent) = (player.position().tick.0, player.client().last_seq());
            let further =
                |player: &Player| player.position().tick.0 > from + 20 && player.acknowledged() > Some(sent);
            player.follow_until(NOTICED_WITHIN, "the match goes on and inputs count", further).await;
        }
    }

    /// Waits for what `/healthz` of the owner says, while both follow.
    async fn until_health(&mut self, status: u16) {
        let owner = &self.nodes[0];
        let what = format!("/healthz answers {status}");
        let health = wait_until(NOTICED_WITHIN, &what, || async {
            (owner.ask_operators("/healthz").await.status == status).then_some(())
        });
        self.near.follow_while(self.far.follow_while(health)).await;
    }

    /// That nobody saw anything but one tick after the other.
    #[track_caller]
    fn assert_unbroken(&self) {
        assert_eq!((&self.near.breaks, &self.far.breaks), (&vec![], &vec![]));
    }

    /// That both are closed with this code, and that their nodes live and can begin a match anew.
    async fn ends_with(&mut self, code: u16) {
        let (near, far) = tokio::join!(self.near.closed(NOTICED_WITHIN), self.far.closed(NOTICED_WITHIN));
        assert_eq!((near.code, far.code), (code, code), "{near:?} {far:?}");
        for node in &mut self.nodes {
            assert!(node.is_running(), "{}", node.output());
            let id = create_match(node.authority(), &json!({})).await;
            let mut player = Player::join(&node.players, "next", Join::Match(id)).await;
            player.follow_ticks(10, WITHIN).await;
            assert_eq!(player.breaks, [""; 0]);
        }
    }

    async fn command(&self, words: &[&str]) -> String {
        self.redis.command(words).await
    }

    /// Keeps the match as it is now, twenty ticks before what follows.
    async fn keep_copy(&mut self) -> String {
        let (key, old) = (fields::key(&self.id), format!("{}:old", fields::key(&self.id)));
        let copied: bool = self.redis.command(&["COPY", &key, &old]).await;
        assert!(copied, "nothing was there to copy");
        tokio::join!(self.near.follow_ticks(20, WITHIN), self.far.follow_ticks(20, WITHIN));
        old
    }

    /// Sets the store back to what it was.
    async fn set_back(&self, old: &str) {
        let key = fields::key(&self.id);
        let copied: bool = self.redis.command(&["COPY", old, &key, "REPLACE"]).await;
        assert!(copied, "nothing was there to go back to");
        let stored: u64 = self.redis.command(&["HGET", old, fields::TICK]).await;
        assert!(stored + 15 < self.far.position().tick.0, "{stored} is not back");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_for_a_while_stops_the_match_for_that_while() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    played.redis.stop();
    played.until_health(503).await;
    played.redis.cont();
    played.until_health(200).await;
    played.goes_on().await;
    assert!(played.nodes[0].metric("commits_unknown_total").await > 0);
    played.assert_unbroken();
    // What the store did with the unanswered commit once it went on is what the owner repeated.
    let told = played.nodes[0].output();
    assert!(!told.contains("the store disagrees"), "{told}");
    assert_eq!(played.nodes[0].metric("resets_total").await, 0);
}

#[tokio::test]
async fn a_pause_shorter_than_a_call_may_take_is_a_pause_and_nothing_else() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    let from = played.far.position().tick;
    played.redis.pause(Duration::from_millis(1200), harness::redis::faults::Pause::All).await;
    played.goes_on().await;
    played.assert_unbroken();
    assert!(played.far.position().tick > from);
    assert!(played.nodes[0].metric("ticks_skipped_total").await > 20, "the pause was there");
}

#[tokio::test]
async fn a_store_that_crashes_and_has_its_log_goes_on_where_it_was() {
    let mut played = Played::start(Persistence::Always, &[]).await;
    played.redis.kill();
    played.redis.start_again().await;
    played.goes_on().await;
    played.until_health(200).await;
    played.assert_unbroken();
    assert_eq!(played.nodes[0].metric("repairs_total").await, 0);
}

#[tokio::test]
async fn a_store_that_crashes_and_has_nothing_left_ends_the_match() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    played.redis.kill();
    played.redis.start_again().await;
    played.ends_with(4511).await;
}

#[tokio::test]
async fn a_store_that_is_emptied_ends_the_match() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    let () = played.redis.command(&["FLUSHALL"]).await;
    played.ends_with(4511).await;
}

#[tokio::test]
async fn a_full_store_stops_the_match_until_there_is_room() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    played.redis.fill_memory().await;
    played.until_health(503).await;
    let complaint = played.nodes[0].ask_operators("/healthz").await.body;
    assert!(complaint.contains("not committed") && complaint.contains(played.id.as_str()), "{complaint}");
    assert!(played.nodes[0].output().contains("raise maxmemory"), "{}", played.nodes[0].output());
    played.redis.limit_memory(0, "noeviction").await;
    played.until_health(200).await;
    played.goes_on().await;
    played.assert_unbroken();
}

#[tokio::test]
async fn a_store_that_cannot_save_stops_the_match_until_it_can() {
    let settings = [("enable-protected-configs", "local")];
    let redis = RedisServer::start_with(Persistence::Off, &settings).await;
    let mut played = Played::on(redis, &[]).await;
    let folder: Vec<String> = played.redis.command(&["CONFIG", "GET", "dir"]).await;
    played.redis.config_set("save", "3600 1").await;
    // No file can be made there.
    let () = played.redis.command(&["CONFIG", "SET", "dir", "/proc"]).await;
    save(&mut played, "err").await;
    played.until_health(503).await;
    assert!(played.nodes[0].output().contains("MISCONF"), "{}", played.nodes[0].output());
    let () = played.redis.command(&["CONFIG", "SET", "dir", &folder[1]]).await;
    save(&mut played, "ok").await;
    played.until_health(200).await;
    played.goes_on().await;
    played.assert_unbroken();
}

/// Saves in the background, and waits for how that ends.
async fn save(played: &mut Played, outcome: &str) {
    let _: String = played.redis.command(&["BGSAVE"]).await;
    let redis = &played.redis;
    wait_until(WITHIN, &format!("the save ends with {outcome}"), || async {
        (redis.info("rdb_last_bgsave_status").await == outcome).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_store_that_forgets_its_scripts_is_told_them_again() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    played.redis.flush_scripts().await;
    played.goes_on().await;
    assert!(played.redis.info_number("number_of_cached_scripts").await > 0);
    played.assert_unbroken();
}

#[tokio::test]
async fn subscribers_that_are_cut_off_are_back_and_have_lost_nothing() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    assert!(played.redis.kill_subscribers().await >= 2, "each node has a connection for subscriptions");
    played.goes_on().await;
    for node in &played.nodes {
        assert!(node.metric("reloads_total").await > 0);
    }
    played.assert_unbroken();
}

#[tokio::test]
async fn a_key_of_another_type_ends_its_match_and_no_other() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    let [owner, other] = &played.nodes[..] else { panic!("two nodes") };
    let beside = create_match(owner.authority(), &json!({})).await;
    let mut witness = Player::join(&other.players, "witness", Join::Match(beside.clone())).await;
    assert_eq!(played.command(&["SET", &fields::key(&played.id), "x"]).await, "OK");
    let (near, far, ()) = tokio::join!(
        played.near.closed(NOTICED_WITHIN),
        played.far.closed(NOTICED_WITHIN),
        witness.follow_ticks(60, WITHIN),
    );
    assert_eq!((near.code, far.code), (4511, 4511), "{near:?} {far:?}");
    owner.until_metric("matches_owned", WITHIN, |count| count == 1).await;
    // Somebody wrote there: it stays what it is, and spoils nothing.
    assert_eq!(played.command(&["GET", &fields::key(&played.id)]).await, "x");
    let listed = request(owner.authority(), "GET", "/v1/matches", "").await;
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(listed.json()["matches"].as_array().map(Vec::len), Some(1), "{listed:?}");
    // The sweep of the living node still finds a match without an owner.
    played.nodes[0].kill9();
    let before = witness.position().fence;
    drop(witness);
    played.nodes[1].until_metric("takeovers_total", WITHIN, |count| count == 1).await;
    let mut witness = Player::join(&played.nodes[1].players, "witness", Join::Match(beside)).await;
    witness.follow_ticks(10, WITHIN).await;
    assert_ne!(witness.position().fence, before);
}

#[tokio::test]
async fn a_list_of_matches_that_is_lost_is_written_again_by_those_who_own_them() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    let deleted: u64 = played.redis.command(&["DEL", fields::INDEX_KEY]).await;
    assert_eq!(deleted, 1, "nothing was there to lose");
    let (redis, id) = (&played.redis, played.id.as_str());
    wait_until(WITHIN, "the match is listed again", || async {
        redis.command::<bool>(&["SISMEMBER", fields::INDEX_KEY, id]).await.then_some(())
    })
    .await;
    assert_eq!(played.nodes[0].metric("index_restored_total").await, 1);
    played.goes_on().await;
    played.assert_unbroken();
}

#[tokio::test]
async fn a_store_that_is_a_replica_now_stops_the_match_until_it_can_be_written() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    let promoted = RedisServer::replica(Persistence::Off, played.redis.port()).await;
    promoted.promote().await;
    played.redis.demote(&promoted).await;
    played.until_health(503).await;
    let complaint = played.nodes[0].ask_operators("/healthz").await.body;
    assert!(complaint.contains("not committed") && complaint.contains(played.id.as_str()), "{complaint}");
    assert!(played.nodes[0].output().contains("READONLY"), "{}", played.nodes[0].output());
    played.redis.promote().await;
    played.until_health(200).await;
    played.goes_on().await;
    played.assert_unbroken();
}

#[tokio::test]
async fn a_living_owner_writes_back_what_the_store_has_lost() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    let old = played.keep_copy().await;
    played.set_back(&old).await;
    played.goes_on().await;
    assert!(played.nodes[0].metric("repairs_total").await > 0);
    for node in &played.nodes {
        assert_eq!(node.metric("resets_total").await, 0);
    }
    played.assert_unbroken();
}

#[tokio::test]
async fn players_are_told_what_is_lost_when_the_store_and_the_owner_go_together() {
    let mut played = Played::start(Persistence::Off, &[]).await;
    let old = played.keep_copy().await;
    played.nodes[0].kill9();
    played.set_back(&old).await;
    let url = played.nodes[1].players.clone();
    let reset = |far: &Player| far.breaks.iter().any(|event| event.starts_with("Reset"));
    played.far.follow_until(NOTICED_WITHIN, "the player is told", reset).await;
    played.near.resume(&url).await;
    played.goes_on().await;
    assert_eq!(played.nodes[1].metric("resets_total").await, 1);
    let again = played.far.breaks.iter().filter(|event| event.starts_with("Reset")).count();
    assert_eq!(again, 1, "{:?}", played.far.breaks);
}

#[tokio::test]
async fn clients_are_sent_away_when_the_store_is_silent_for_too_long() {
    let mut played = Played::start(Persistence::Off, &["--stall-seconds", "2"]).await;
    played.redis.stop();
    let (near, far) = tokio::join!(played.near.closed(NOTICED_WITHIN), played.far.closed(NOTICED_WITHIN));
    assert_eq!((near.code, far.code), (4003, 4003), "{near:?} {far:?}");
    played.redis.cont();
    let urls = [0, 1].map(|node: usize| played.nodes[node].players.clone());
    let back = async |node: &Node| (node.ask_operators("/healthz").await.status == 200).then_some(());
    for node in &played.nodes {
        wait_until(NOTICED_WITHIN, "the node is well again", || back(node)).await;
    }
    tokio::join!(played.near.resume(&urls[0]), played.far.resume(&urls[1]));
    played.goes_on().await;
    played.assert_unbroken();
}
