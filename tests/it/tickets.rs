//! Who is let in where the game's backend decides it: tickets over real sockets, on one node and on two, and what a
//! node tells of them.

use std::time::Duration;

use harness::http::{API_KEY, create_match, request};
use harness::player::{Close, Player, Socket};
use harness::process::{Ended, Node, NodeOptions, bots, program, run, wait_until};
use harness::redis::{Persistence, RedisServer};
use harness::tickets::{KEY, OTHER_KEY, mint, mint_with, ticket_of};
use serde_json::json;
use tickcast_client::{Access, Connection, Failure, Tickets};
use tickcast_protocol::chat::ChatTo;
use tickcast_protocol::message::{Join, Role, ServerMessage};
use tickcast_protocol::ticket::{Permit, Place, Ticket};
use tickcast_protocol::{InputSeq, MatchId};

mod accounts;
mod backends;
mod guests;
mod private;
mod secrets;

/// For what takes a round trip or a few ticks, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);
/// What everybody is told whose ticket is not good.
const NO_GOOD: &str = "the ticket is not, or no longer, good for this";

fn env(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// One account comes and goes here as fast as it can: how many connections it has meanwhile, `accounts` tests.
fn with_key(key: &str, args: &[&str]) -> NodeOptions {
    let args = ["--connections-per-account", "0"].iter().chain(args).map(ToString::to_string).collect();
    let env = vec![env("TICKCAST_TICKET_KEY", key), env("TICKCAST_API_KEY", API_KEY)];
    NodeOptions { env, args, ..NodeOptions::default() }
}

/// A node that lets nobody in without a ticket, and a match.
async fn closed_node() -> (Node, MatchId) {
    let node = Node::start(with_key(KEY, &[])).await;
    let id = create_match(node.authority(), &json!({})).await;
    (node, id)
}

fn to_match(id: &MatchId) -> Join {
    Join::Match(id.clone())
}

fn quick() -> Join {
    Join::Quick { game: String::new() }
}

/// How a hello with this ticket is answered: with the match that it leads into, or with a close.
async fn answered(node: &Node, join: Join, ticket: &str) -> Result<MatchId, Close> {
    let mut socket = Socket::open(&node.players).await;
    socket.hello_with(join, ticket).await;
    let welcome = ServerMessage::from_frame(&socket.next().await?).expect("a control frame comes first");
    match welcome {
        ServerMessage::Welcome { match_id, .. } => Ok(match_id),
        other => panic!("no welcome: {other:?}"),
    }
}

#[track_caller]
fn refused(answer: Result<MatchId, Close>, text: &str, what: &str) {
    let expected = Close { code: 4501, reason: text.to_owned() };
    assert_eq!(answer, Err(expected), "{what}");
}

#[tokio::test]
async fn only_a_good_ticket_lets_in_and_all_others_are_told_the_same() {
    let (node, id) = closed_node().await;
    let other = create_match(node.authority(), &json!({})).await;
    let good = ticket_of("account-1", &id);
    refused(answered(&node, to_match(&id), "").await, "a ticket is needed to join here", "none");
    let minute = 60_000;
    let flawed = [
        ("expired", Ticket { not_before_ms: 0, expires_ms: good.expires_ms - 2 * minute, ..good.clone() }),
        ("not yet", Ticket { not_before_ms: good.not_before_ms + minute, ..good.clone() }),
        ("too long", Ticket { expires_ms: good.expires_ms + 120 * minute, ..good.clone() }),
        ("audience", Ticket { audience: "elsewhere".parse().expect("a name"), ..good.clone() }),
        ("match", Ticket { place: Place::Match(other.clone()), ..good.clone() }),
        ("game", Ticket { place: Place::Game("chess".to_owned()), ..good.clone() }),
        ("role", Ticket { permit: Permit::Watch, ..good.clone() }),
    ];
    for (what, ticket) in &flawed {
        refused(answered(&node, to_match(&id), &mint(ticket)).await, NO_GOOD, what);
    }
    let text = mint(&good);
    let (cut, stretched) = (text[..text.len() - 1].to_owned(), format!("{text}A"));
    let forged = mint_with(&good, OTHER_KEY);
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.";
    let key_id = "eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uL2tleSIsImprdSI6Imh0dHA6Ly94In0.e30.AAAA";
    let long = "A".repeat(900);
    for junk in [cut.as_str(), &stretched, &forged, none, key_id, "\u{0}", "' OR 1=1 --", &long] {
        refused(answered(&node, to_match(&id), junk).await, NO_GOOD, junk);
    }
    let huge = answered(&node, to_match(&id), &"A".repeat(1 << 20)).await;
    assert_eq!(huge.map_err(|close| close.code), Err(1009), "a megabyte is not even read");
    assert_eq!(answered(&node, to_match(&id), &text).await, Ok(id.clone()));
    refused(answered(&node, to_match(&id), &text).await, NO_GOOD, "used");
    assert!(node.metric("tickets_refused_total").await >= 17);
    assert_eq!(node.metric("tickets_spent_total").await, 1);
}

#[tokio::test]
async fn a_ticket_leads_where_it_says_and_its_name_is_seen() {
    let (node, id) = closed_node().await;
    let fresh = |permit, place: Place| Ticket { permit, place, ..ticket_of("account-1", &id) };
    let of_match = || Place::Match(id.clone());
    let of_game = || Place::Game("arena".to_owned());
    let (play, watch) = (Permit::Play, Permit::Watch);
    for (ticket, join) in [
        (fresh(play, of_match()), quick()),
        (fresh(watch, of_match()), quick()),
        (fresh(watch, of_match()), Join::Spectate(id.clone())),
        (fresh(play, of_game()), to_match(&id)),
        (fresh(watch, of_game()), Join::Spectate(id.clone())),
    ] {
        assert_eq!(
            answered(&node, join.clone(), &mint(&ticket)).await,
            Ok(id.clone()),
            "{ticket:?} {join:?}"
        );
    }
    for join in [quick(), Join::Quick { game: "arena".to_owned() }] {
        let led = answered(&node, join, &mint(&fresh(play, of_game()))).await;
        assert!(led.is_ok(), "into any match of the game: {led:?}");
    }
    let nowhere: MatchId = "nowhere".parse().expect("an id");
    let chess = Ticket { place: Place::Game("chess".to_owned()), ..ticket_of("account-1", &id) };
    refused(answered(&node, quick(), &mint(&fresh(watch, of_game()))).await, NO_GOOD, "watch any match");
    refused(
        answered(&node, Join::Match(nowhere.clone()), &mint(&fresh(play, of_game()))).await,
        NO_GOOD,
        "no match",
    );
    let close = answered(&node, quick(), &mint(&chess)).await.expect_err("no such game");
    assert_eq!(close.code, 4504);
    let close = answered(&node, Join::Match(nowhere.clone()), &mint(&ticket_of("account-1", &nowhere))).await;
    assert_eq!(close.map_err(|close| close.code), Err(4504));

    let named = Ticket { name: "Zoë".to_owned(), ..ticket_of("account-2", &id) };
    let player = Player::join_with(&node.players, "liar", to_match(&id), &mint(&named)).await;
    let (world, me) = (player.replica().world(), player.client().joined().and_then(|joined| joined.entity()));
    let me = me.expect("a player has an entity");
    let kind = &world.schema().kinds()[usize::from(me.kind)];
    let name = kind.fields.iter().position(|field| field.name == "name").expect("players have names");
    assert_eq!(world.text(me, name), "Zoë");
}

#[tokio::test]
async fn a_ticket_is_good_once_in_a_cluster_and_who_is_back_needs_none() {
    let redis = RedisServer::start(Persistence::Off).await;
    let start = |name: &'static str| {
        let options = with_key(KEY, &["--node", name]);
        Node::start(NodeOptions { redis: Some(redis.url()), ..options })
    };
    let (mut first, second) = (start("first").await, start("second").await);
    let id = create_match(first.authority(), &json!({})).await;
    let ticket = mint(&ticket_of("account-1", &id));
    let mut player = Player::join_with(&second.players, "one", to_match(&id), &ticket).await;
    refused(answered(&second, to_match(&id), &ticket).await, NO_GOOD, "again");
    refused(answered(&first, to_match(&id), &ticket).await, NO_GOOD, "on another node");
    let keys: Vec<String> = redis.command(&["KEYS", "tickcast:ticket:*"]).await;
    let [key] = &keys[..] else { panic!("one used ticket is remembered: {keys:?}") };
    let left_ms: i64 = redis.command(&["PTTL", key]).await;
    assert!((1..=65_000).contains(&left_ms), "for as long as it would be good: {left_ms}");

    // Two connections show one ticket at the same moment: one gets in.
    let raced = mint(&ticket_of("account-2", &id));
    let both =
        tokio::join!(answered(&first, to_match(&id), &raced), answered(&second, to_match(&id), &raced));
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|let_in| **let_in).count(), 1);

    player.resume(&first.players).await;
    player.follow_ticks(10, WITHIN).await;
    player.resume(&second.players).await;
    first.kill9();
    let again = start("first").await;
    refused(answered(&again, to_match(&id), &ticket).await, NO_GOOD, "after a restart");
}

#[tokio::test]
async fn while_the_store_is_away_nobody_is_let_in_and_all_may_come_back() {
    let redis = RedisServer::start(Persistence::Off).await;
    let node = Node::start(NodeOptions { redis: Some(redis.url()), ..with_key(KEY, &[]) }).await;
    let id = create_match(node.authority(), &json!({})).await;
    redis.stop();
    let close = answered(&node, to_match(&id), &mint(&ticket_of("account-1", &id))).await;
    redis.cont();
    assert_eq!(close.map_err(|close| close.code), Err(4000));
}

#[tokio::test]
async fn a_key_is_changed_without_a_gap() {
    let (old, both, new) = (OTHER_KEY, format!("{KEY},{OTHER_KEY}"), KEY);
    for (keys, by_old, by_new) in [(old, true, false), (both.as_str(), true, true), (new, false, true)] {
        let node = Node::start(with_key(keys, &[])).await;
        let id = create_match(node.authority(), &json!({})).await;
        for (key, is_good) in [(OTHER_KEY, by_old), (KEY, by_new)] {
            let ticket = mint_with(&ticket_of("account-1", &id), key);
            assert_eq!(answered(&node, to_match(&id), &ticket).await.is_ok(), is_good, "{keys} {key}");
        }
    }
}

#[tokio::test]
async fn the_client_for_native_games_shows_tickets_and_asks_for_new_ones() {
    let (node, id) = closed_node().await;
    let nodes = [node.players.parse().expect("an address")];
    let open = async |tickets| {
        let access = Access { tickets, ..Access::default() };
        Connection::open_with(&nodes, "native", to_match(&id), &access).await
    };
    let refused = open(Tickets::None).await.err().and_then(|failure| failure.code());
    assert_eq!(refused, Some(4501));
    let failure = open(Tickets::each(|| async { Err("not logged in".to_owned()) })).await.err();
    assert!(matches!(&failure, Some(Failure::Ticket(why)) if why == "not logged in"), "{failure:?}");
    let connection = open(Tickets::One(mint(&ticket_of("account-1", &id)))).await.expect("a place");
    connection.leave().await;
    let of = id.clone();
    let each = Tickets::each(move || {
        let ticket = mint(&ticket_of("account-1", &of));
        async move { Ok(ticket) }
    });
    for _ in 0..2 {
        open(each.clone()).await.expect("each connection has a ticket of its own").leave().await;
    }
}

#[tokio::test]
async fn bots_make_their_own_tickets() {
    let (node, id) = closed_node().await;
    let args = ["--match-id", id.as_str(), "--players", "3", "--spectators", "1", "--seconds", "2"];
    let played =
        bots(&[&node.players], &[&args[..], &["--ticket-key", KEY, "--processes", "2"]].concat()).await;
    assert!(played.status.success(), "{}", played.output);
    assert_eq!(played.json["connections"]["joined"], 4, "{}", played.json);
    let played = bots(&[&node.players], &args).await;
    assert!(played.output.contains("close 4501 BadTicket"), "{}", played.output);
}

/// A ticket as the backend in plain Python makes it.
async fn python_ticket(args: &[&str]) -> String {
    let mut command = std::process::Command::new("python3");
    command.current_dir(harness::process::checkout()).arg("tests/stranger/mint.py").args(args);
    command.env("TICKCAST_TICKET_KEY", KEY);
    let ended = run(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out.trim().to_owned()
}

#[tokio::test]
async fn tickets_of_a_backend_written_from_the_document_are_good() {
    let (node, id) = closed_node().await;
    let of_match = python_ticket(&["account-1", "--match", id.as_str(), "--name", "Zoë"]).await;
    assert_eq!(answered(&node, quick(), &of_match).await, Ok(id.clone()));
    let of_game = python_ticket(&["account-2", "--game", "arena"]).await;
    assert_eq!(answered(&node, quick(), &of_game).await, Ok(id.clone()));
    let watcher = python_ticket(&["account-3", "--match", id.as_str(), "--watch"]).await;
    assert_eq!(answered(&node, Join::Spectate(id.clone()), &watcher).await, Ok(id.clone()));
}
