//! A Redis that is spoken to over TLS, real ones: nodes, bots and operators on it, whom they refuse, and that they never
//! speak without.

use std::time::Duration;

use harness::certificates::{Authority, Files, HERE};
use harness::http::create_match;
use harness::player::Player;
use harness::process::{Ended, Node, NodeOptions, bots, program, run, wait_until};
use harness::redis::{Persistence, RedisServer, free_port};
use serde_json::json;
use tickcast_protocol::message::Join;
use tickcast_server::backplane::fields;

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(10);

/// For a primary to be missed, and for its replica to be promoted.
const FAILOVER_WITHIN: Duration = Duration::from_secs(40);

type Settings = Vec<(&'static str, String)>;

/// What makes a Redis speak TLS at a port besides its plain one; it may ask for certificates of its clients.
fn secured(authority: &Authority, files: &Files, port: u16, asks: bool) -> Settings {
    let shown = |path: &std::path::Path| path.to_str().expect("a temporary path is text").to_owned();
    vec![
        ("tls-port", port.to_string()),
        ("tls-cert-file", shown(&files.cert)),
        ("tls-key-file", shown(&files.key)),
        ("tls-ca-cert-file", shown(&authority.file())),
        ("tls-auth-clients", if asks { "yes" } else { "no" }.to_owned()),
        ("tls-replication", "yes".to_owned()),
    ]
}

fn borrowed(settings: &Settings) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// One server: the handle, which speaks over the plain port, and the address with TLS.
async fn server(authority: &Authority, files: &Files, asks: bool) -> (RedisServer, String) {
    let port = free_port();
    let settings = secured(authority, files, port, asks);
    let server = RedisServer::start_with(Persistence::Off, &borrowed(&settings)).await;
    (server, format!("rediss://127.0.0.1:{port}"))
}

fn flags(authority: &Authority, own: Option<&Files>) -> Vec<String> {
    let shown = |path: &std::path::Path| path.to_str().expect("a temporary path is text").to_owned();
    let mut flags = vec!["--redis-ca".to_owned(), shown(&authority.file())];
    if let Some(files) = own {
        flags.extend([
            "--redis-cert".to_owned(),
            shown(&files.cert),
            "--redis-key".to_owned(),
            shown(&files.key),
        ]);
    }
    flags
}

async fn node(url: &str, flags: &[String]) -> Node {
    Node::start(NodeOptions { redis: Some(url.to_owned()), args: flags.to_vec(), ..NodeOptions::default() })
        .await
}

/// What the program says that is to run on this Redis.
async fn tickcast(words: &[&str], url: &str, flags: &[String]) -> Ended {
    let mut command = program("tickcast");
    command.args(words).args(["--redis", url]).args(flags);
    run(command).await
}

async fn refused(url: &str, flags: &[String], code: i32, hint: &str) {
    let listen = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
    for words in [&listen[..], &["nodes"]] {
        let ended = tickcast(words, url, flags).await;
        assert!(
            ended.code == Some(code) && ended.err.contains(hint),
            "{url} {flags:?}: {ended:?}, not {hint}"
        );
    }
}

/// That nobody but the test itself is at the plain port.
async fn assert_nobody_speaks_plainly(server: &RedisServer) {
    let clients: String = server.command(&["CLIENT", "LIST"]).await;
    let plain = format!(" laddr=127.0.0.1:{} ", server.port());
    let plainly: Vec<&str> = clients.lines().filter(|client| client.contains(&plain)).collect();
    assert_eq!(plainly.len(), 1, "{clients}");
    assert!(clients.lines().count() > 2, "{clients}");
}

#[tokio::test]
async fn nodes_bots_and_operators_are_on_a_redis_with_tls_that_asks_who_they_are() {
    let authority = Authority::new("ours");
    let own = authority.identity("node", HERE);
    let (server, url) = server(&authority, &authority.identity("redis", HERE), true).await;
    let flags = flags(&authority, Some(&own));
    let nodes = [node(&url, &flags).await, node(&url, &flags).await];
    let args = ["--matches", "2", "--players", "6", "--seconds", "3"];
    let played = bots(&[&nodes[0].players, &nodes[1].players], &args).await;
    assert!(played.status.success(), "{}", played.output);
    for count in ["desyncs", "lost_ticks", "state_mismatches", "resets"] {
        assert_eq!(played.json["checks"][count], 0, "{count}: {:#}", played.json);
    }
    assert_nobody_speaks_plainly(&server).await;

    let id = create_match(nodes[0].authority(), &json!({})).await;
    let listed = tickcast(&["nodes", "--json"], &url, &flags).await;
    assert!(listed.code == Some(0) && listed.out.contains("beat_age_ms"), "{listed:?}");
    let shown = tickcast(&["inspect", id.as_str()], &url, &flags).await;
    assert!(shown.code == Some(0) && shown.out.contains("arena"), "{shown:?}");

    // Both roads are found again: that of messages, and that of commands.
    let mut player = Player::join(&nodes[1].players, "stays", Join::Match(id.clone())).await;
    server.kill_subscribers().await;
    player.follow_ticks(30, WITHIN).await;
    let killed: u64 = server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    assert!(killed > 0, "no connection was there to be cut");
    player.follow_ticks(30, WITHIN).await;
    assert_nobody_speaks_plainly(&server).await;
    let ended = tickcast(&["end", id.as_str()], &url, &flags).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_redis_that_cannot_prove_its_name_is_refused_at_the_start() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let trusting = flags(&ours, None);
    let (good, url) = server(&ours, &ours.identity("redis", HERE), false).await;
    refused(&url, &flags(&theirs, None), 1, "UnknownIssuer").await;
    refused(&url, &[], 1, "UnknownIssuer").await;
    refused(&format!("{url}/#insecure"), &trusting, 1, "it has a `#`").await;
    let plain = url.replace("rediss://", "redis://");
    refused(&plain, &trusting, 2, "write rediss in place of redis").await;
    refused(&good.url(), &trusting, 2, "write rediss in place of redis").await;
    // What speaks no TLS is not spoken to without.
    refused(&good.url().replace("redis://", "rediss://"), &trusting, 1, "it has to listen there with TLS")
        .await;

    let (_expired, url) = server(&ours, &ours.expired("expired", HERE), false).await;
    refused(&url, &trusting, 1, "expired").await;
    let (_other, url) = server(&ours, &ours.identity("other", &["elsewhere.example"]), false).await;
    refused(&url, &trusting, 1, "not valid for name").await;
    let (_asking, url) = server(&ours, &ours.identity("asking", HERE), true).await;
    refused(&url, &trusting, 1, "--redis-cert and --redis-key").await;
    let foreign = theirs.identity("foreign", HERE);
    refused(&url, &flags(&ours, Some(&foreign)), 1, "no Redis answers").await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let ours = Authority::new("ours");
    let (one, two) = (ours.identity("one", HERE), ours.identity("two", HERE));
    let url = "rediss://127.0.0.1:1";
    let mixed = Files { cert: one.cert.clone(), key: two.key.clone() };
    refused(url, &flags(&ours, Some(&mixed)), 2, "--redis-cert and --redis-key: ").await;
    refused(url, &flags(&ours, Some(&one))[..4], 2, "add --redis-key FILE").await;
    let nowhere = Files { cert: one.cert.with_extension("nowhere"), key: one.key.clone() };
    refused(url, &flags(&ours, Some(&nowhere)), 2, "--redis-cert").await;
    let key = one.key.to_str().expect("a temporary path is text").to_owned();
    refused(url, &["--redis-ca".to_owned(), key], 2, "no certificate of an authority").await;
}

/// Plays on a node of this store.
async fn plays_on(url: &str, flags: &[String]) {
    let node = node(url, flags).await;
    let id = create_match(node.authority(), &json!({})).await;
    let mut player = Player::join(&node.players, "plays", Join::Match(id)).await;
    player.follow_ticks(30, WITHIN).await;
    assert_eq!(player.breaks, [""; 0]);
}

#[tokio::test]
async fn a_redis_cluster_is_spoken_to_over_tls() {
    let authority = Authority::new("ours");
    let own = authority.identity("node", HERE);
    let (port, bus) = (free_port(), free_port());
    let mut settings = secured(&authority, &authority.identity("redis", HERE), port, true);
    settings.extend([
        ("cluster-enabled", "yes".to_owned()),
        ("cluster-port", bus.to_string()),
        ("cluster-announce-ip", "127.0.0.1".to_owned()),
        ("tls-cluster", "yes".to_owned()),
    ]);
    let server = RedisServer::start_with(Persistence::Off, &borrowed(&settings)).await;
    let () = server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    let url = format!("rediss+cluster://127.0.0.1:{port}");
    plays_on(&url, &flags(&authority, Some(&own))).await;
    assert_eq!(server.info("cluster_enabled").await, "1");
    refused(&url, &[], 1, "UnknownIssuer").await;
}

#[tokio::test]
async fn sentinels_and_their_primary_are_spoken_to_over_tls() {
    let authority = Authority::new("ours");
    let own = authority.identity("node", HERE);
    let (_primary, url) = server(&authority, &authority.identity("redis", HERE), true).await;
    let primary_port = url.rsplit(':').next().expect("it ends with a port").to_owned();
    let port = free_port();
    let mut settings = secured(&authority, &authority.identity("sentinel", HERE), port, true);
    settings.push(("sentinel", format!("monitor matches 127.0.0.1 {primary_port} 1")));
    let _sentinel = RedisServer::sentinel(&borrowed(&settings)).await;
    let url = format!("rediss+sentinel://127.0.0.1:{port}/matches");
    plays_on(&url, &flags(&authority, Some(&own))).await;
    refused(&url, &[], 1, "UnknownIssuer").await;
}

/// A primary, its replica and a sentinel, all over TLS; the replica shows a certificate for these hosts.
struct Watched {
    primary: RedisServer,
    replica: RedisServer,
    _sentinel: RedisServer,
    url: String,
}

async fn watched(authority: &Authority, hosts_of_replica: &[&str]) -> Watched {
    let (primary, url) = server(authority, &authority.identity("primary", HERE), true).await;
    let primary_port = url.rsplit(':').next().expect("it ends with a port").to_owned();
    let files = authority.identity("replica", hosts_of_replica);
    let mut settings = secured(authority, &files, free_port(), true);
    settings.push(("replicaof", format!("127.0.0.1 {primary_port}")));
    let replica = RedisServer::start_with(Persistence::Off, &borrowed(&settings)).await;
    replica.until_following().await;
    let port = free_port();
    let mut settings = secured(authority, &authority.identity("sentinel", HERE), port, true);
    for rule in [
        "monitor matches 127.0.0.1 PORT 1",
        "down-after-milliseconds matches 2000",
        "failover-timeout matches 3000",
    ] {
        settings.push(("sentinel", rule.replace("PORT", &primary_port)));
    }
    let sentinel = RedisServer::sentinel(&borrowed(&settings)).await;
    wait_until(FAILOVER_WITHIN, "the sentinel knows the replica", || async {
        let known: Vec<Vec<String>> = sentinel.command(&["SENTINEL", "REPLICAS", "matches"]).await;
        (known.len() == 1).then_some(())
    })
    .await;
    let url = format!("rediss+sentinel://127.0.0.1:{port}/matches");
    Watched { primary, replica, _sentinel: sentinel, url }
}

impl Watched {
    async fn fail_over(&mut self) {
        self.replica.until_caught_up_with(&self.primary).await;
        self.primary.kill();
        self.replica.until_promoted(FAILOVER_WITHIN).await;
    }
}

#[tokio::test]
async fn a_failover_leads_to_a_replica_over_tls() {
    let authority = Authority::new("ours");
    let mut watched = watched(&authority, HERE).await;
    let flags = flags(&authority, Some(&authority.identity("node", HERE)));
    let nodes = [node(&watched.url, &flags).await, node(&watched.url, &flags).await];
    let id = create_match(nodes[0].authority(), &json!({})).await;
    let mut player = Player::join(&nodes[1].players, "stays", Join::Match(id.clone())).await;
    player.follow_ticks(30, WITHIN).await;
    player.follow_while(watched.fail_over()).await;
    let last: u64 = watched.replica.command(&["HGET", &fields::key(&id), fields::TICK]).await;
    // Ticks come from the one, inputs from the other.
    let past = |player: &Player| player.position().tick.0 > last + 60;
    player.follow_until(FAILOVER_WITHIN, "past the failover", past).await;
    let sent = player.client().last_seq();
    player.follow_until(WITHIN, "inputs arrive", |player| player.acknowledged() >= Some(sent)).await;
    assert_eq!(player.breaks, [""; 0]);
    assert_nobody_speaks_plainly(&watched.replica).await;
    refused(&watched.url, &[], 1, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_promoted_replica_that_cannot_prove_its_name_is_refused() {
    let authority = Authority::new("ours");
    let mut watched = watched(&authority, &["elsewhere.example"]).await;
    let flags = flags(&authority, Some(&authority.identity("node", HERE)));
    let node = node(&watched.url, &flags).await;
    let id = create_match(node.authority(), &json!({})).await;
    let mut player = Player::join(&node.players, "stays", Join::Match(id.clone())).await;
    player.follow_ticks(30, WITHIN).await;
    player.follow_while(watched.fail_over()).await;
    player.follow_while(node.says("not valid for name", FAILOVER_WITHIN)).await;
    let stored: u64 = watched.replica.command(&["HGET", &fields::key(&id), fields::TICK]).await;
    assert!(player.position().tick.0 >= stored, "nothing was committed there");
    let clients: String = watched.replica.command(&["CLIENT", "LIST"]).await;
    let scripts = clients.lines().filter(|client| client.contains("cmd=evalsha")).count();
    assert_eq!(scripts, 0, "{clients}");
    refused(&watched.url, &flags, 1, "not valid for name").await;
}
