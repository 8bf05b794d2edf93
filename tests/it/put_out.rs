//! Operators put people out: a player by a kick, an account by a ban, on whatever node it is.

use std::time::Duration;

use harness::http::{API_KEY, Answer, create_match, request_with};
use harness::player::{Close, Player, Socket};
use harness::process::{Ended, Node, NodeOptions, program, run, wait_until};
use harness::redis::{Persistence, RedisServer};
use harness::tickets::{KEY, mint, ticket_of};
use serde_json::{Value, json};
use tickcast_protocol::message::Join;
use tickcast_protocol::ticket::{Permit, Ticket};
use tickcast_protocol::{MatchId, PlayerId};
use tickcast_server::backplane::fields;

/// For what takes a round trip or a few ticks, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
const OPERATOR: &str = "planted-operator-token";

fn options(name: &str, redis: Option<&RedisServer>, guests: bool) -> NodeOptions {
    let key = if guests { "" } else { KEY };
    let env =
        [("TICKCAST_TICKET_KEY", key), ("TICKCAST_API_KEY", API_KEY), ("TICKCAST_OPERATOR_TOKEN", OPERATOR)];
    NodeOptions {
        redis: redis.map(RedisServer::url),
        args: vec!["--node".to_owned(), name.to_owned()],
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..NodeOptions::default()
    }
}

/// Two nodes of a cluster, and a match that the first has.
async fn cluster(redis: &RedisServer) -> (Node, Node, MatchId) {
    let first = Node::start(options("first", Some(redis), false)).await;
    let id = create_match(first.authority(), &json!({})).await;
    (first, Node::start(options("second", Some(redis), false)).await, id)
}

async fn tickcast(redis: &RedisServer, words: &[&str]) -> Ended {
    let mut command = program("tickcast");
    command.args(words).args(["--redis", &redis.url()]);
    run(command).await
}

async fn done(redis: &RedisServer, words: &[&str]) -> String {
    let ended = tickcast(redis, words).await;
    assert_eq!(ended.code, Some(0), "{words:?} {ended:?}");
    ended.out
}

async fn operate(node: &Node, method: &str, path: &str, body: &Value) -> Answer {
    let shown = format!("Bearer {OPERATOR}");
    let headers = [("Authorization", shown.as_str())];
    request_with(node.operators_authority(), method, path, &headers, &body.to_string()).await
}

async fn come(node: &Node, id: &MatchId, subject: &str) -> Player {
    let ticket = mint(&ticket_of(subject, id));
    Player::join_with(&node.players, subject, Join::Match(id.clone()), &ticket).await
}

fn number(player: &Player) -> PlayerId {
    player.client().joined().and_then(|joined| joined.player()).expect("a player has joined")
}

/// How a hello is refused.
async fn refused(node: &Node, join: Join, ticket: &str) -> Close {
    let mut socket = Socket::open(&node.players).await;
    socket.hello_with(join, ticket).await;
    socket.closed(WITHIN).await
}

async fn seat(redis: &RedisServer, id: &MatchId, player: PlayerId) -> Option<String> {
    redis.command(&["HGET", &fields::key(id), &fields::seat(player)]).await
}

fn kicked(reason: &str) -> Close {
    Close { code: 4506, reason: reason.to_owned() }
}

#[tokio::test]
async fn who_is_kicked_is_gone_on_whatever_node_and_its_token_is_good_for_nothing() {
    let redis = RedisServer::start(Persistence::Off).await;
    let (first, second, id) = cluster(&redis).await;
    for (at, node) in [&first, &second].into_iter().enumerate() {
        let mut player = come(node, &id, "account-1").await;
        let (player_id, resume) = (number(&player), player.resume_join());
        let stored = seat(&redis, &id, player_id).await.expect("a seat");
        assert!(stored.ends_with(" account-1"), "the seat knows whose it is: {stored}");
        let told = done(&redis, &["inspect", id.as_str()]).await;
        assert!(told.contains(&format!("player {player_id} is account-1")), "{told}");
        match at {
            0 => drop(done(&redis, &["kick", id.as_str(), &player_id.to_string()]).await),
            _ => {
                let path = format!("/v1/matches/{id}/kick");
                let answer = operate(&second, "POST", &path, &json!({ "player": player_id })).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
        assert_eq!(player.closed(WITHIN).await, kicked("kicked"));
        assert_eq!(seat(&redis, &id, player_id).await, None);
        for node in [&first, &second] {
            assert_eq!(refused(node, resume.clone(), "").await.code, 4501, "its token is good for nothing");
        }
    }
    let nobody = tickcast(&redis, &["kick", id.as_str(), "7"]).await;
    assert!(nobody.code == Some(1) && nobody.err.contains("has no player 7"), "{nobody:?}");
    let nowhere = tickcast(&redis, &["kick", "nowhere", "7"]).await;
    assert!(nowhere.code == Some(1) && nowhere.err.contains("no match"), "{nowhere:?}");
    come(&second, &id, "account-1").await.leave().await;
}

#[tokio::test]
async fn who_is_banned_is_put_out_everywhere_and_comes_back_when_it_is_over() {
    let redis = RedisServer::start(Persistence::Off).await;
    let (first, second, id) = cluster(&redis).await;
    let elsewhere = create_match(first.authority(), &json!({})).await;
    let mut here = come(&first, &id, "account-1").await;
    let ticket = mint(&Ticket { permit: Permit::Watch, ..ticket_of("account-1", &id) });
    let mut there = Player::join_with(&second.players, "there", Join::Spectate(id.clone()), &ticket).await;
    let mut other = come(&second, &id, "account-2").await;
    let mut away = come(&second, &elsewhere, "account-1").await;
    let resume = away.resume_join();
    away.follow_ticks(2, WITHIN).await;
    away.close().await;
    let told = done(&redis, &["ban", "account-1", "--for", "2h", "--reason", "spam and more"]).await;
    assert!(told.contains("banned for 2.0 h"), "{told}");
    assert_eq!(here.closed(WITHIN).await, kicked("banned"));
    assert_eq!(there.closed(WITHIN).await, kicked("banned"));
    for node in [&first, &second] {
        let ticket = mint(&ticket_of("account-1", &id));
        assert_eq!(refused(node, Join::Match(id.clone()), &ticket).await, kicked("banned"));
        assert_eq!(refused(node, resume.clone(), "").await, kicked("banned"), "nor does a token help");
    }
    let listed = done(&redis, &["bans"]).await;
    assert!(listed.contains("account-1") && listed.contains("spam and more"), "{listed}");
    let again = come(&second, &id, "account-3").await;
    other.follow_ticks(10, WITHIN).await;
    assert_eq!(other.breaks, [""; 0], "nobody else notices");
    // A successor of the match knows whose the seats are.
    let number = number(&again);
    drop(first);
    let successor = |player: &Player| player.position().fence.epoch.0 > 1;
    other.follow_until(Duration::from_secs(20), "the other node takes over", successor).await;
    let stored = seat(&redis, &id, number).await.expect("a seat");
    assert!(stored.ends_with(" account-3"), "{stored}");
    done(&redis, &["unban", "account-1"]).await;
    come(&second, &id, "account-1").await.leave().await;
    let unknown = tickcast(&redis, &["unban", "account-1"]).await;
    assert!(unknown.code == Some(1) && unknown.err.contains("is not banned"), "{unknown:?}");
    let soon = tickcast(&redis, &["ban", "account-1", "--for", "soon"]).await;
    assert!(soon.code == Some(1) && soon.err.contains("write 90s, 30m, 24h or 7d"), "{soon:?}");
    // One that is over keeps nobody out.
    done(&redis, &["ban", "account-1", "--for", "1s"]).await;
    wait_until(WITHIN, "the ban is over", || async {
        let mut socket = Socket::open(&second.players).await;
        socket.hello_with(Join::Match(id.clone()), &mint(&ticket_of("account-1", &id))).await;
        socket.next().await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_single_node_puts_people_out_over_its_operators_port() {
    let node = Node::start(options("alone", None, false)).await;
    let id = create_match(node.authority(), &json!({})).await;
    let mut player = come(&node, &id, "a/b%c").await;
    for (method, path) in [("POST", "/v1/bans"), ("DELETE", "/v1/bans/a"), ("POST", "/v1/matches/m/kick")] {
        let answer = request_with(node.operators_authority(), method, path, &[], "{}").await;
        assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
    }
    let answer = operate(&node, "POST", "/v1/bans", &json!({ "subject": "a/b%c", "reason": "rude" })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(player.closed(WITHIN).await, kicked("banned"));
    let listed = node.ask_operators("/v1/bans").await.json();
    assert_eq!((&listed["total"], &listed["found"]), (&json!(1), &json!(1)), "{listed}");
    let bans = listed["bans"].as_array().expect("a list");
    assert!(bans.len() == 1 && bans[0]["subject"] == "a/b%c" && bans[0]["reason"] == "rude", "{listed}");
    let ticket = mint(&ticket_of("a/b%c", &id));
    assert_eq!(refused(&node, Join::Match(id.clone()), &ticket).await, kicked("banned"));
    let answer = operate(&node, "DELETE", "/v1/bans/a%2Fb%25c", &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    come(&node, &id, "a/b%c").await.leave().await;
    for (body, text) in [(json!({}), "`subject`"), (json!({ "subject": "x", "for": "ever" }), "write 90s")] {
        let answer = operate(&node, "POST", "/v1/bans", &body).await;
        assert!(answer.status == 409 && answer.error().contains(text), "{body} {answer:?}");
    }
    assert_eq!(operate(&node, "PUT", "/v1/bans", &json!({})).await.status, 405);
}

#[tokio::test]
async fn a_guest_can_be_kicked() {
    let node = Node::start(options("open", None, true)).await;
    let id = create_match(node.authority(), &json!({})).await;
    let mut guest = Player::join(&node.players, "guest", Join::Match(id.clone())).await;
    let path = format!("/v1/matches/{id}/kick");
    assert_eq!(operate(&node, "POST", &path, &json!({})).await.status, 409);
    let answer = operate(&node, "POST", &path, &json!({ "player": number(&guest) })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(guest.closed(WITHIN).await, kicked("kicked"));
}

#[tokio::test]
async fn any_node_tells_who_plays_by_which_account_in_pages_and_no_secret() {
    let redis = RedisServer::start(Persistence::Off).await;
    let (first, second, id) = cluster(&redis).await;
    let mut players = Vec::new();
    for (at, subject) in ["account-1", "account-2", "other"].into_iter().enumerate() {
        players.push(come([&first, &second][at % 2], &id, subject).await);
    }
    for node in [&first, &second] {
        let ask = async |query: &str| {
            let answer = node.ask_operators(&format!("/v1/matches/{id}/players{query}")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()
        };
        let told = wait_until(WITHIN, "all are told", || async {
            Some(ask("").await).filter(|told| told["total"] == 3)
        })
        .await;
        let rows = told["players"].as_array().expect("rows");
        for (player, subject) in players.iter().zip(["account-1", "account-2", "other"]) {
            let row = rows.iter().find(|row| row["player"] == json!(number(player))).expect("a row");
            assert_eq!((&row["account"], &row["name"]), (&json!(subject), &json!(subject)));
            assert!(row["sees"].is_null(), "everybody sees everything: {row}");
            let stored = seat(&redis, &id, number(player)).await.expect("a seat");
            let digest = stored.split(' ').next().expect("a digest");
            assert!(digest.len() == 64 && !told.to_string().contains(digest), "{told}");
        }
        let page = ask("?search=account-&offset=1&limit=1").await;
        assert_eq!((&page["found"], &page["total"]), (&json!(2), &json!(3)));
        assert_eq!(page["players"].as_array().map(Vec::len), Some(1));
        assert_eq!(ask("?search=OTHE").await["found"], 1, "names in whatever case");
        assert_eq!(ask(&format!("?search={}", number(&players[0]))).await["found"], 1);
        for (path, status) in
            [("/v1/matches/nowhere/players", 404), (&*format!("/v1/matches/{id}/players?limit=x"), 400)]
        {
            assert_eq!(node.ask_operators(path).await.status, status, "{path}");
        }
        assert_eq!(operate(node, "POST", &format!("/v1/matches/{id}/players"), &json!({})).await.status, 405);
    }
    // Bans are told in pages, too, as they are on all nodes.
    for number in 0..3 {
        let body = json!({ "subject": format!("banned-{number}"), "for": "1h" });
        assert_eq!(operate(&first, "POST", "/v1/bans", &body).await.status, 200);
    }
    wait_until(WITHIN, "the other node tells them", || async {
        let told = second.ask_operators("/v1/bans?limit=2&search=banned-").await.json();
        let rows = told["bans"].as_array().expect("rows").clone();
        (told["found"] == 3 && rows.len() == 2 && rows[0]["subject"] == "banned-2").then_some(())
    })
    .await;
}
