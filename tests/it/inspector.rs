//! What the operators' page is told, by real nodes on a real Redis: pages of many matches, one match decoded and compared,
//! what it says when Redis is gone, and orders, which need the token.

use std::time::Duration;

use harness::http::{Answer, create_match, request_with};
use harness::player::Player;
use harness::process::{Node, NodeOptions, program, run, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::{Value, json};
use tickcast_protocol::chat::ChatTo;
use tickcast_protocol::message::Join;
use tickcast_protocol::{CloseCode, MatchId};
use tickcast_server::io::clock;

/// For what takes a look, a sweep or some ticks, on a busy machine.
const WITHIN: Duration = Duration::from_secs(15);
const TOKEN: &str = "0123456789-operators";
const FLAGS: [&str; 4] = ["--lease-ms", "600", "--sweep-ms", "200"];
/// Matches that are only fields in Redis: nobody can host them, so they stay as they are.
const FABRICATED: usize = 2000;

async fn redis() -> RedisServer {
    RedisServer::start(Persistence::Off).await
}

async fn node(name: &str, redis: &RedisServer) -> Node {
    let env = vec![("TICKCAST_OPERATOR_TOKEN".to_owned(), TOKEN.to_owned())];
    Node::start(NodeOptions { env, ..NodeOptions::named(name, &redis.url(), &FLAGS) }).await
}

async fn get(node: &Node, path: &str) -> Value {
    let answer = node.ask_operators(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

async fn until(node: &Node, path: &str, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
    let reached = &reached;
    wait_until(WITHIN, what, || async move { Some(get(node, path).await).filter(reached) }).await
}

async fn order(node: &Node, path: &str, token: Option<&str>, body: &str) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    request_with(node.operators_authority(), "POST", path, &headers, body).await
}

fn ids(page: &Value) -> Vec<&str> {
    page["matches"].as_array().expect("rows").iter().filter_map(|row| row["id"].as_str()).collect()
}

fn whats(told: &Value) -> Vec<&str> {
    told["events"].as_array().expect("events").iter().filter_map(|event| event["what"].as_str()).collect()
}

/// Writes matches of a game that no node has.
async fn fabricate(redis: &RedisServer) {
    let script = "for i = 0, tonumber(ARGV[1]) - 1 do
        local id = string.format('fake-%04d', i)
        redis.call('HSET', 'tickcast:{' .. id .. '}', '~game', 'chess', '~epoch', 1, '~nonce', '00', '~tick', i,
            '~owner', 'node-' .. (i % 3), '~status', 'open', '~players', i % 7, '~lease_ms', '99999999999999')
        redis.call('SADD', 'tickcast:matches', id)
    end";
    let () = redis.command(&["EVAL", script, "0", &FABRICATED.to_string()]).await;
}

#[tokio::test]
async fn thousands_of_matches_are_paged_searched_and_sorted() {
    let redis = redis().await;
    fabricate(&redis).await;
    let node = node("n1", &redis).await;
    let real = create_match(node.authority(), &json!({ "game": "arena" })).await;
    let players = (0..FABRICATED).map(|number| number % 7).sum::<usize>();
    let whole = |page: &Value| page["total"] == FABRICATED + 1 && page["players"] == players;
    let all = until(&node, "/v1/matches", "all are listed and described", whole).await;
    assert_eq!(all["games"], json!({ "arena": 1, "chess": FABRICATED }));
    assert_eq!(all["matches"].as_array().map(Vec::len), Some(50));

    let mut seen = Vec::new();
    for offset in (0..=FABRICATED).step_by(200) {
        let page = get(&node, &format!("/v1/matches?game=chess&limit=200&offset={offset}")).await;
        assert_eq!(page["found"], FABRICATED);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
    }
    assert_eq!(seen, (0..FABRICATED).map(|number| format!("fake-{number:04}")).collect::<Vec<_>>());

    let highest = get(&node, "/v1/matches?game=chess&sort=tick&order=desc&limit=2").await;
    assert_eq!(ids(&highest), ["fake-1999", "fake-1998"]);
    let found = get(&node, "/v1/matches?search=fake-19&owner=node-1&limit=200").await;
    let found = ids(&found);
    assert_eq!((found.len(), found.first()), (34, Some(&"fake-1900")));
    let found = get(&node, &format!("/v1/matches?search={}", &real.as_str()[..6])).await;
    assert_eq!(ids(&found), [real.as_str()]);
    let refused = node.ask_operators("/v1/matches?sort=colour").await;
    assert_eq!((refused.status, refused.error().as_str()), (400, "matches have no order by `colour`"));
}

#[tokio::test]
async fn many_pages_cost_the_store_no_more_than_one() {
    let redis = redis().await;
    let node = node("n1", &redis).await;
    until(&node, "/v1/matches", "the first look", |page| page["as_of"]["age_ms"].is_u64()).await;
    let before = redis.info_number("total_commands_processed").await;
    let begun = clock::now();
    for _ in 0..300 {
        get(&node, "/v1/matches").await;
        get(&node, "/v1/nodes").await;
    }
    let commands = redis.info_number("total_commands_processed").await - before;
    // Beats, sweeps and looks go on; 600 answers on their own would be 1,800 commands and more.
    let took = clock::now() - begun;
    let allowed = 100 + 40 * took.as_secs();
    assert!(commands < allowed, "{commands} commands in {took:?}");
}

#[tokio::test]
async fn a_match_is_told_in_words_decoded_and_compared_with_this_nodes_copy() {
    let redis = redis().await;
    let nodes = [node("n1", &redis).await, node("n2", &redis).await];
    let id =
        create_match(nodes[0].authority(), &json!({ "game": "arena", "options": { "drones": 120 } })).await;
    let mut player = Player::join(&nodes[1].players, "Zoë <b>", Join::Match(id.clone())).await;
    let path = format!("/v1/matches/{id}");
    player.say(ChatTo::Everyone, "<i>hi</i>").await;
    let told = async {
        let ready = |told: &Value| {
            told["relay"]["agrees"] == true
                && told["stats"]["tick_us_p99"].is_u64()
                && told["chat"][0].is_object()
        };
        let told = until(&nodes[1], &path, "the copy agrees and the owner told its numbers", ready).await;
        assert_eq!((&told["owner"], &told["status"]), (&json!("n1"), &json!("running")));
        assert_eq!((&told["epoch"], &told["players"], &told["crashes"]), (&json!(1), &json!(1), &json!(0)));
        assert_eq!(told["claims"], json!([{ "epoch": 1, "tick": 0 }]));
        assert_eq!(told["hash"]["agrees"], true);
        let line = &told["chat"][0];
        assert_eq!((&line["name"], &line["text"]), (&json!("Zoë <b>"), &json!("<i>hi</i>")));
        assert_eq!(told["hash"]["stored"], told["hash"]["recomputed"]);
        assert!(told["stats"]["bytes_per_s"].as_u64() > Some(100), "{told}");
        // The lease, and an eighth of it.
        assert!(told["lease_left_ms"].as_u64() <= Some(675), "{told}");
        let elsewhere = get(&nodes[0], &path).await;
        assert_eq!((&elsewhere["owned_here"], &elsewhere["relay"]), (&json!(true), &Value::Null));

        let players = get(&nodes[0], &format!("{path}/entities?kind=player")).await;
        assert_eq!(players["total"], 1);
        let names = players["fields"].as_array().expect("names");
        let name = names.iter().position(|name| name == "name").expect("a player has a name");
        assert_eq!(players["entities"][0]["values"][name], "Zoë <b>");
        let drones = get(&nodes[0], &format!("{path}/entities?kind=drone&limit=50&offset=100")).await;
        assert_eq!((&drones["total"], drones["entities"].as_array().map(Vec::len)), (&json!(120), Some(20)));
        let map = get(&nodes[0], &format!("{path}/map")).await;
        let kinds: Vec<&str> =
            map["kinds"].as_array().expect("kinds").iter().filter_map(|kind| kind["name"].as_str()).collect();
        assert_eq!(kinds, ["player", "bullet", "wall", "pickup", "drone"], "the round has no place");
        let [low, high] = [0, 1].map(|end| map["kinds"][0]["x"][end].as_f64().expect("a bound"));
        let x = map["kinds"][0]["points"][0][1].as_f64().expect("a place");
        assert!((low..=high).contains(&x), "{x} within {low} to {high}");
    };
    tokio::select! {
        () = told => {}
        () = async { while player.advance().await.is_ok() {} } => panic!("the player was closed"),
    }
    for (path, status) in [
        ("/v1/matches/nowhere".to_owned(), 404),
        (format!("{path}/entities?kind=ghost"), 400),
        (format!("{path}/nothing"), 404),
        ("/v1/matches/no%20where".to_owned(), 404),
    ] {
        assert_eq!(nodes[0].ask_operators(&path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_state_that_has_not_its_hash_is_shown_as_such() {
    let redis = redis().await;
    let mut node = node("n1", &redis).await;
    let id = create_match(node.authority(), &json!({ "game": "arena" })).await;
    let path = format!("/v1/matches/{id}");
    until(&node, &path, "it ticks", |told| told["tick"].as_u64() > Some(3)).await;
    node.kill9();
    let other = Node::start(NodeOptions::named("n2", &redis.url(), &["--sweep-ms", "600000"])).await;
    let key = format!("tickcast:{{{id}}}");
    let _: u64 = redis.command(&["HSET", &key, "~hash", "0badc0de"]).await;
    let told = get(&other, &path).await;
    assert_eq!((&told["hash"]["agrees"], &told["hash"]["stored"]), (&json!(false), &json!("0badc0de")));
    let _: u64 = redis.command(&["HSET", &key, "~schema", "{}"]).await;
    let broken = |told: &Value| told["problem"].as_str().is_some_and(|problem| problem.contains("~schema"));
    until(&other, &path, "what cannot be read is named", broken).await;
}

#[tokio::test]
async fn without_redis_the_last_known_is_told_with_its_age() {
    let mut redis = redis().await;
    let node = node("n1", &redis).await;
    let id = create_match(node.authority(), &json!({ "game": "arena" })).await;
    let path = format!("/v1/matches/{id}");
    until(&node, "/v1/matches", "the match is listed", |page| page["total"] == 1).await;
    let before = until(&node, &path, "it ticks", |told| told["tick"].as_u64() > Some(3)).await;
    redis.kill();
    let troubled =
        |told: &Value| told["as_of"]["trouble"].is_string() && told["as_of"]["age_ms"].as_u64() > Some(1000);
    let page = until(&node, "/v1/matches", "the page tells the trouble", troubled).await;
    assert_eq!(ids(&page), [id.as_str()]);
    assert!(page["as_of"]["trouble"].as_str().is_some_and(|text| text.contains("backplane")), "{page}");
    let told = until(&node, &path, "the match tells the trouble", troubled).await;
    assert_eq!((&told["owner"], &told["hash"]["agrees"]), (&before["owner"], &json!(true)));
    let nodes = get(&node, "/v1/nodes").await;
    assert_eq!((&nodes["nodes"][0]["node"], &nodes["nodes"][0]["answers"]), (&json!("n1"), &json!(true)));
    let refused = order(&node, &format!("{path}/end"), Some(TOKEN), "").await;
    assert_eq!(refused.status, 409, "{refused:?}");
    redis.start_again().await;
    until(&node, "/v1/matches", "Redis is back", |page| page["as_of"]["trouble"].is_null()).await;
}

#[tokio::test]
async fn orders_need_the_token() {
    let node = Node::start(NodeOptions::default()).await;
    let id = create_match(node.authority(), &json!({ "game": "arena" })).await;
    let end = format!("/v1/matches/{id}/end");
    let without = order(&node, &end, Some(TOKEN), "").await;
    assert_eq!(without.status, 403);
    assert!(without.error().contains("TICKCAST_OPERATOR_TOKEN"), "{without:?}");

    let env = vec![("TICKCAST_OPERATOR_TOKEN".to_owned(), TOKEN.to_owned())];
    let node = Node::start(NodeOptions { env, ..NodeOptions::default() }).await;
    let id = create_match(node.authority(), &json!({ "game": "arena" })).await;
    let end = format!("/v1/matches/{id}/end");
    for wrong in [None, Some(""), Some("0123456789-operator"), Some("0123456789-operatorS")] {
        let refused = order(&node, &end, wrong, "").await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{wrong:?}");
    }
    let basic = [("Authorization", TOKEN)];
    let refused = request_with(node.operators_authority(), "POST", &end, &basic, "").await;
    assert_eq!(refused.status, 401);
    assert_eq!(node.ask_operators(&end).await.status, 405);
    let path = format!("/v1/matches/{id}");
    let elsewhere = request_with(node.authority(), "POST", &end, &[], "").await;
    assert_eq!(elsewhere.status, 404, "players' port takes no orders");
    assert_eq!(get(&node, &path).await["status"], "running");

    let mut player = Player::join(&node.players, "p", Join::Match(id.clone())).await;
    player.plays = false;
    let ended = order(&node, &end, Some(TOKEN), "").await;
    assert_eq!((ended.status, ended.json()), (200, json!({ "done": format!("match {id} has ended") })));
    let told = async {
        loop {
            if let Err(close) = player.advance().await {
                return close;
            }
        }
    };
    let close = tokio::time::timeout(WITHIN, told).await.expect("the player is told");
    assert_eq!(close.code, CloseCode::MatchOver.number(), "{close:?}");
    wait_until(WITHIN, "it is gone", || async {
        (node.ask_operators(&path).await.status == 404).then_some(())
    })
    .await;
    node.until_metric("matches_owned", WITHIN, |owned| owned == 0).await;
}

#[tokio::test]
async fn a_match_moves_and_a_node_leaves_and_every_node_tells_of_it() {
    let redis = redis().await;
    let nodes = [node("n1", &redis).await, node("n2", &redis).await, node("n3", &redis).await];
    let id = create_match(nodes[0].authority(), &json!({ "game": "arena" })).await;
    let path = format!("/v1/matches/{id}");
    let watcher = &nodes[2];
    until(watcher, "/v1/matches", "the watcher has seen the match", |page| page["total"] == 1).await;
    let to = json!({ "to": "n2" }).to_string();
    let moved = order(watcher, &format!("{path}/move"), Some(TOKEN), &to).await;
    assert_eq!((moved.status, moved.json()), (200, json!({ "done": format!("match {id}: n1 -> n2") })));
    let wrong = order(watcher, &format!("{path}/move"), Some(TOKEN), r#"{"to":"n9"}"#).await;
    assert!(wrong.status == 409 && wrong.error().contains("there is no node `n9`"), "{wrong:?}");
    let misspelt = order(watcher, &format!("{path}/move"), Some(TOKEN), r#"{"too":"n1"}"#).await;
    assert_eq!(misspelt.status, 400, "{misspelt:?}");
    let told = until(watcher, &path, "the takeover is told", |told| whats(told).contains(&"owned")).await;
    assert!(whats(&told).contains(&"order"), "{told}");
    let handed =
        until(&nodes[0], &path, "the old owner tells", |told| whats(told).contains(&"handed_over")).await;
    assert_eq!(handed["owner"], "n2");

    let drained = order(watcher, "/v1/nodes/n2/drain", Some(TOKEN), "").await;
    assert_eq!(drained.status, 200, "{drained:?}");
    let gone = |told: &Value| {
        let rows = told["nodes"].as_array().expect("rows");
        rows.iter().all(|row| row["node"] != "n2")
    };
    let left = until(watcher, "/v1/nodes", "n2 has left", gone).await;
    assert_eq!(left["nodes"][0]["version"], env!("CARGO_PKG_VERSION"));
    until(watcher, &path, "it is on another node", |told| {
        told["owner"] != "n2" && told["status"] == "running"
    })
    .await;
    let events = get(watcher, "/v1/events?limit=200").await;
    assert!(whats(&events).len() >= 4, "{events}");
    let refused = order(watcher, &format!("{path}/revive"), Some(TOKEN), "").await;
    assert!(refused.status == 409 && refused.error().contains("is not quarantined"), "{refused:?}");
}

#[tokio::test]
async fn a_match_without_a_living_owner_is_ended_from_the_command_line() {
    let redis = redis().await;
    let mut node = node("n1", &redis).await;
    let id: MatchId = create_match(node.authority(), &json!({ "game": "arena" })).await;
    node.kill9();
    let end = || async {
        let mut command = program("tickcast");
        command.args(["end", id.as_str(), "--redis", &redis.url()]);
        run(command).await
    };
    let ended = end().await;
    assert_eq!(
        (ended.code, ended.out.trim()),
        (Some(0), format!("match {id} has ended").as_str()),
        "{ended:?}"
    );
    let again = end().await;
    assert!(again.code == Some(1) && again.err.contains("no match"), "{again:?}");
    let left: u64 = redis.command(&["EXISTS", &format!("tickcast:{{{id}}}")]).await;
    assert_eq!(left, 0);
}
