//! The players' port under TLS, with real nodes: who plays over it, whom a client refuses, new certificates while
//! connections go on, and clients that do not speak it.

use std::time::Duration;

use harness::certificates::{Authority, Files, HERE};
use harness::http::{self, Answer};
use harness::player::{Door, Player};
use harness::process::{Node, NodeOptions, bots, program, run, wait_until};
use harness::redis::{Persistence, RedisServer};
use tickcast_client::{Access, Connection, Failure, News, Trust};
use tickcast_protocol::client::Event;
use tickcast_protocol::message::Join;
use tokio::time::timeout;

mod handshakes;
mod slow;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);

async fn node(identity: &Files) -> Node {
    Node::start(NodeOptions { args: identity.flags(), ..NodeOptions::default() }).await
}

fn door<'n>(node: &'n Node, authority: &Authority) -> Door<'n> {
    Door { url: &node.players, trust: authority.trust(), source: None }
}

fn quick() -> Join {
    Join::Quick { game: String::new() }
}

async fn get(node: &Node, authority: &Authority, path: &str) -> Answer {
    let url = format!("https://{}", node.authority());
    http::request_over(&url, &authority.trust(), "GET", path, &[], "").await
}

#[tokio::test]
async fn bots_play_over_tls_on_both_nodes_of_a_cluster() {
    let redis = RedisServer::start(Persistence::Off).await;
    let authority = Authority::new("ours");
    let flags = authority.identity("node", HERE).flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--hash-every", "1"]).collect();
    let nodes = Node::start_cluster(&["one", "two"], &redis.url(), &flags).await;
    assert!(nodes.iter().all(|node| node.players.starts_with("wss://")));
    let ca = authority.file();
    let ca = ca.to_str().expect("a temporary path is text");
    let args = ["--matches", "2", "--players", "6", "--seconds", "3", "--tls-ca", ca, "--processes", "2"];
    let played = bots(&[&nodes[0].players, &nodes[1].players], &args).await;
    let (json, checks) = (&played.json, &played.json["checks"]);
    assert!(played.status.success(), "{}", played.output);
    assert_eq!(json["connections"]["joined"], 12, "{json:#}");
    for count in ["desyncs", "lost_ticks", "state_mismatches", "broken_frames", "resets"] {
        assert_eq!(checks[count], 0, "{count}: {json:#}");
    }
    assert!(checks["state_comparisons"].as_u64() > Some(0), "{json:#}");
    assert!(json["traffic"]["inputs_applied"].as_u64() > Some(0), "{json:#}");
    for node in &nodes {
        assert_eq!(node.metric("tls_refused_total").await, 0);
    }
}

#[tokio::test]
async fn the_page_and_the_api_are_there_over_tls_and_operators_need_none() {
    let authority = Authority::new("ours");
    let node = node(&authority.identity("node", HERE)).await;
    assert!(node.output().contains(&format!("https://{}/", node.authority())), "{}", node.output());
    let page = get(&node, &authority, "/").await;
    assert!(page.status == 200 && page.body.contains("<html"), "{page:?}");
    let games = get(&node, &authority, "/v1/games").await;
    assert!(games.status == 200 && games.body.contains("arena"), "{games:?}");
    assert_eq!(node.ask_operators("/healthz").await.body, "ok\n");
}

#[tokio::test]
async fn a_native_client_plays_over_tls() {
    let authority = Authority::new("ours");
    let node = node(&authority.identity("node", HERE)).await;
    let nodes = [node.players.parse().expect("an address")];
    let opened = Connection::open_with(&nodes, "native", quick(), &trusting(authority.trust())).await;
    let mut connection = opened.expect("a place");
    let played = timeout(WITHIN, async {
        while connection.joined().acknowledged().is_none_or(|seq| seq.0 < 30) {
            if let News::Frame(Event::Advanced) = connection.next().await.expect("the match goes on") {
                connection.input(&[127, 0, 0, 0]);
            }
        }
    });
    assert!(played.await.is_ok(), "not 30 inputs acknowledged within {WITHIN:?}");
    connection.leave().await;
    node.until_metric("connections", WITHIN, |count| count == 0).await;
}

/// The way in of a client for whom these authorities vouch.
fn trusting(trust: Trust) -> Access {
    Access { trust, ..Access::default() }
}

/// What a client says that does not trust a node.
async fn refusal(node: &Node, trust: &Trust) -> String {
    let nodes = [node.players.parse().expect("an address")];
    match Connection::open_with(&nodes, "wary", quick(), &trusting(trust.clone())).await {
        Err(Failure::Tls(error)) => error.to_string(),
        Err(other) => panic!("not refused for its certificate: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test]
async fn clients_refuse_who_cannot_prove_its_name() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = node(&ours.identity("good", HERE)).await;
    let foreign = refusal(&good, &theirs.trust()).await;
    assert!(foreign.contains("UnknownIssuer"), "{foreign}");
    let public = refusal(&good, &Trust::default()).await;
    assert!(public.contains("UnknownIssuer"), "{public}");
    let expired = refusal(&node(&ours.expired("expired", HERE)).await, &ours.trust()).await;
    assert!(expired.contains("expired"), "{expired}");
    let other = refusal(&node(&ours.identity("other", &["elsewhere.example"])).await, &ours.trust()).await;
    assert!(other.contains("not valid for name"), "{other}");
    // A node that speaks no TLS is not spoken to without.
    let plain = Node::start(NodeOptions::default()).await;
    let nodes = [plain.players.replace("ws://", "wss://").parse().expect("an address")];
    let opened = Connection::open_with(&nodes, "wary", quick(), &trusting(ours.trust())).await;
    assert!(matches!(opened, Err(Failure::Tls(_))));

    let untrusting = bots(&[&good.players], &["--players", "1", "--seconds", "1"]).await;
    assert!(!untrusting.status.success());
    assert!(untrusting.output.contains("UnknownIssuer"), "{}", untrusting.output);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_who_comes_and_who_is_there_plays_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = old.identity("node", HERE);
    let node = node(&files).await;
    let mut there = Player::join(door(&node, &old), "there", quick()).await;

    files.become_those(&new.identity("next", HERE));
    there.follow_while(node.says("new certificate", WITHIN)).await;
    let mut comes = Player::join(door(&node, &new), "comes", quick()).await;
    assert!(refusal(&node, &old.trust()).await.contains("UnknownIssuer"));

    // A key that is not the certificate's: what was there stays.
    let other = new.identity("other", HERE);
    files.become_those(&Files { cert: other.cert, key: new.identity("third", HERE).key });
    node.hang_up();
    there.follow_while(node.until_metric("certificates_refused_total", WITHIN, |count| count == 1)).await;
    node.says("do not fit each other", WITHIN).await;
    Player::join(door(&node, &new), "comes too", quick()).await.leave().await;
    std::fs::remove_file(&files.key).expect("our own file can be removed");
    node.hang_up();
    there.follow_while(node.until_metric("certificates_refused_total", WITHIN, |count| count >= 2)).await;

    files.become_those(&old.identity("last", HERE));
    node.hang_up();
    let back = async || {
        let nodes = [node.players.parse().expect("an address")];
        Connection::open_with(&nodes, "asks", quick(), &trusting(old.trust())).await.ok()
    };
    wait_until(WITHIN, "the last certificate is shown", back).await.leave().await;
    there.follow_ticks(30, WITHIN).await;
    comes.follow_ticks(30, WITHIN).await;
    assert_eq!((there.breaks, comes.breaks), (vec![], vec![]));
}

#[tokio::test]
async fn what_is_no_identity_is_refused_at_the_start_with_what_would_be() {
    let authority = Authority::new("ours");
    let (one, two) = (authority.identity("one", HERE), authority.identity("two", HERE));
    let text = |path: &std::path::Path| path.to_str().expect("a temporary path is text").to_owned();
    let (cert, key, other) = (text(&one.cert), text(&one.key), text(&two.key));
    let nowhere = text(&one.cert.with_extension("nowhere"));
    let cases: [(&[&str], &str); 7] = [
        (&["--tls-cert", &cert], "add --tls-key FILE"),
        (&["--tls-key", &key], "add --tls-cert FILE"),
        (&["--tls-cert", &nowhere, "--tls-key", &key], "cannot be read"),
        (&["--tls-cert", &cert, "--tls-key", &nowhere], "--tls-key"),
        (&["--tls-cert", &key, "--tls-key", &key], "no certificate in it"),
        (&["--tls-cert", &cert, "--tls-key", &cert], "no private key in it"),
        (&["--tls-cert", &cert, "--tls-key", &other], "do not fit each other"),
    ];
    for (args, hint) in cases {
        let mut command = program("tickcast");
        command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]).args(args);
        let ended = run(command).await;
        assert!(ended.code == Some(2) && ended.err.contains(hint), "{args:?}: {ended:?}, not {hint}");
    }
    let mut command = program("tickcast-bots");
    command.args(["--url", "wss://127.0.0.1:1", "--tls-ca", &key]);
    let ended = run(command).await;
    assert!(ended.code == Some(2) && ended.err.contains("no certificate of an authority"), "{ended:?}");
}
