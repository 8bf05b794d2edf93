//! Clusters whose nodes do not all use the key alike: it is introduced, changed and given up while a match is played, and a node
//! that does not have it leaves matches alone.

use super::*;

/// A key and a step.
type Uses = (Option<&'static str>, Option<&'static str>);

/// Each node plays with the one before it and takes its match over; the player goes along. Nothing is ever refused.
async fn hand_on(steps: &[Uses]) {
    let redis = RedisServer::start(Persistence::Off).await;
    let start = async |at: usize| {
        let (key, step) = steps[at];
        node(&format!("n{at}"), &redis, key, step, &FLAGS).await
    };
    let mut owner = start(0).await;
    let id = create_match(owner.authority(), &json!({})).await;
    let mut player = Player::join(&owner.players, "guest", Join::Match(id.clone())).await;
    for (at, uses) in steps.iter().enumerate().skip(1) {
        let next = start(at).await;
        player.resume(&next.players).await;
        // Ticks come from the one, inputs from the other.
        player.follow_ticks(90, WITHIN).await;
        let sent = player.client().last_seq();
        player.follow_until(WITHIN, "inputs arrive", |player| player.acknowledged() >= Some(sent)).await;
        for node in [&owner, &next] {
            assert_eq!(node.metric("foreign_messages_total").await, 0, "{uses:?}: {}", node.output());
        }
        let fence = player.position().fence;
        owner.kill9();
        player.follow_until(WITHIN, "taken over", |player| player.position().fence != fence).await;
        player.follow_ticks(90, WITHIN).await;
        assert_eq!(next.metric("claims_failed_total").await, 0, "{uses:?}: {}", next.output());
        assert_eq!((next.metric("takeovers_total").await, next.metric("resets_total").await), (1, 0));
        owner = next;
    }
    assert_eq!(player.breaks, [""; 0]);
    let has_mac: bool = redis.command(&["HEXISTS", &fields::key(&id), fields::MAC]).await;
    let (key, step) = *steps.last().expect("there are steps");
    assert_eq!(has_mac, key.is_some() && step != Some("accept"));
}

#[tokio::test]
async fn a_key_is_introduced_and_given_up_step_by_step() {
    let [none, accept, sign, require]: [Uses; 4] =
        [(None, None), (Some(KEY), Some("accept")), (Some(KEY), Some("sign")), (Some(KEY), Some("require"))];
    hand_on(&[none, accept, sign, require, sign, accept, none]).await;
}

#[tokio::test]
async fn a_key_is_changed_while_two_are_live() {
    const BOTH: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0,another-key-of-thirty-two-letters";
    const BOTH_NEW: &str = "another-key-of-thirty-two-letters,0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let keys = [KEY, BOTH, BOTH_NEW, OTHER];
    hand_on(&keys.map(|key| (Some(key), None))).await;
}

#[tokio::test]
async fn a_node_without_the_key_leaves_a_match_alone() {
    let redis = RedisServer::start(Persistence::Off).await;
    let mut owner = node("owner", &redis, Some(KEY), None, &FLAGS).await;
    let strangers = [
        node("keyless", &redis, None, None, &FLAGS).await,
        node("other", &redis, Some(OTHER), None, &FLAGS).await,
    ];
    let id = create_match(owner.authority(), &json!({})).await;
    let mut player = Player::join(&owner.players, "guest", Join::Match(id.clone())).await;
    player.follow_ticks(20, WITHIN).await;
    for stranger in &strangers {
        let mut socket = Socket::open(&stranger.players).await;
        socket.hello(Join::Match(id.clone())).await;
        let closed = player.follow_while(socket.closed(WITHIN)).await;
        assert_eq!(closed.code, 4000, "{closed:?}");
    }
    let hash = fields::key(&id);
    owner.kill9();
    for stranger in &strangers {
        stranger.until_metric("claims_unfit_total", WITHIN, |count| count > 3).await;
        assert_eq!(stranger.metric("claims_failed_total").await, 0);
        let page = stranger.ask_operators(&format!("/v1/matches/{id}")).await;
        assert!(page.body.contains("TICKCAST_CLUSTER_KEY"), "{}", page.body);
    }
    let stored: Vec<String> = redis.command(&["HMGET", &hash, fields::STATUS, fields::EPOCH]).await;
    assert_eq!(stored, [fields::OPEN, "1"], "nobody has claimed it");
    let heir = node("heir", &redis, Some(KEY), None, &FLAGS).await;
    heir.until_metric("takeovers_total", WITHIN, |count| count == 1).await;
    player.resume(&heir.players).await;
    player.follow_ticks(30, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn inspect_says_whether_it_has_verified_what_it_shows() {
    let redis = RedisServer::start(Persistence::Off).await;
    let owner = node("owner", &redis, Some(KEY), None, &FLAGS).await;
    let id = create_match(owner.authority(), &json!({})).await;
    let mut player = Player::join(&owner.players, "guest", Join::Match(id.clone())).await;
    player.follow_ticks(40, WITHIN).await;
    for (key, told) in [(None, "not verified"), (Some(KEY), "verified")] {
        let shown = player.follow_while(tickcast(&["inspect", id.as_str()], &redis, key)).await;
        let line = format!("authenticity: {told}");
        assert!(shown.code == Some(0) && shown.out.contains(&line), "{shown:?}");
        assert!(shown.out.contains("hash") && shown.out.contains("guest"), "{shown:?}");
        let json = player.follow_while(tickcast(&["inspect", id.as_str(), "--json"], &redis, key)).await;
        let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json["authenticity"], told);
    }
    let shown = player.follow_while(tickcast(&["inspect", id.as_str()], &redis, Some(OTHER))).await;
    assert!(shown.code == Some(1) && shown.err.contains("TICKCAST_CLUSTER_KEY"), "{shown:?}");
    let page = owner.ask_operators(&format!("/v1/matches/{id}/entities?kind=player")).await;
    assert!(page.status == 200 && page.body.contains("guest"), "{}", page.body);
    let changed: u64 = redis.command(&["HSET", &fields::key(&id), fields::PLAYERS_MAX, "31"]).await;
    assert_eq!(changed, 0, "it was there");
    let shown = player.follow_while(tickcast(&["inspect", id.as_str()], &redis, Some(KEY))).await;
    assert!(shown.code == Some(1) && shown.err.contains("no node wrote"), "{shown:?}");
}
