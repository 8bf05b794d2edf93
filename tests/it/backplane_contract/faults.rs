//! What only a Redis can do wrong: cut, freeze, crash, run full, turn into a replica, be the wrong one.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use harness::redis::{Persistence, RedisServer, free_port};
use tickcast_protocol::{Fence, MatchId};
use tickcast_server::backplane::redis::{ConnectError, RedisBackplane, Timing, Warning};
use tickcast_server::backplane::{
    Backplane, Channel, Commit, CommitReply, Delivery, FieldName, Subscription, Unavailable, fields,
};
use tokio::time::timeout;

use super::{
    LONG, PATIENCE, claim_by, claimed, commit_of, commit_ok, connect, eventually, expect_message, fields_of,
    id, loaded, message, next, notify_ok, owned, redis_backplane,
};

/// Bounds short enough for a test to exceed them.
const QUICK: Timing = Timing {
    call_time_max: Duration::from_millis(800),
    ping_interval: Duration::from_millis(100),
    silence_max: Duration::from_millis(300),
};

/// The connections of this moment, without the one that asks.
async fn client_ids(server: &RedisServer) -> BTreeSet<String> {
    let list: String = server.command(&["CLIENT", "LIST"]).await;
    let others = list.lines().filter(|line| !line.contains("cmd=client|list"));
    others.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

/// Waits until all of these connections are gone: a frozen one must be replaced, not waited for.
async fn expect_replaced(server: &RedisServer, before: &BTreeSet<String>) {
    assert_eq!(before.len(), 2, "one connection for commands, one for subscriptions");
    eventually("the frozen connections are replaced", || async {
        client_ids(server).await.is_disjoint(before)
    })
    .await;
}

/// Repeats a commit with the same bytes until its result is known.
async fn commit_until_known(plane: &RedisBackplane, id: &MatchId, commit: &Commit) -> CommitReply {
    let repeat = async {
        loop {
            if let Ok(reply) = plane.commit(id, commit).await {
                return reply;
            }
        }
    };
    timeout(PATIENCE, repeat).await.expect("the store comes back before the deadline")
}

/// Reads on to the report of a loss.
async fn expect_lost(subscription: &mut Subscription) {
    while next(subscription).await != Delivery::Lost {}
}

/// From here on, what is committed is delivered again.
async fn expect_flow(
    plane: &RedisBackplane,
    id: &MatchId,
    fence: Fence,
    from: u64,
    subscription: &mut Subscription,
) {
    for tick in from..from + 5 {
        commit_ok(plane, id, &commit_of(fence, tick)).await;
        expect_message(subscription, &message(tick)).await;
    }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Unavailable>) -> String {
    outcome.expect_err("the operation must fail").0
}

#[tokio::test]
async fn a_cut_subscription_is_renewed_and_reported() {
    let (server, plane) = redis_backplane().await;
    let (one, fence_one) = owned(&plane, "m1").await;
    let (two, fence_two) = owned(&plane, "m2").await;
    let mut first = plane.subscribe(&one, Channel::Diff).await.expect("a subscription");
    let mut second = plane.subscribe(&one, Channel::Diff).await.expect("a subscription");
    let mut other = plane.subscribe(&two, Channel::Diff).await.expect("a subscription");
    for round in 0..5 {
        assert_eq!(server.kill_subscribers().await, 1, "a node has one connection for subscriptions");
        for subscription in [&mut first, &mut second, &mut other] {
            assert_eq!(next(subscription).await, Delivery::Lost);
        }
        expect_flow(&plane, &one, fence_one, 1 + 5 * round, &mut first).await;
        for tick in 1 + 5 * round..6 + 5 * round {
            expect_message(&mut second, &message(tick)).await;
        }
        notify_ok(&plane, &two, fence_two, "other").await;
        expect_message(&mut other, b"other").await;
    }
}

#[tokio::test]
async fn a_cut_command_connection_is_renewed() {
    let server = RedisServer::start(Persistence::Off).await;
    // No PING comes to help: the failed call itself must have the connection replaced.
    let plane = connect(&server, Timing { ping_interval: LONG, ..QUICK }).await;
    let (id, fence) = owned(&plane, "m1").await;
    for tick in 1..=5 {
        let killed: u64 = server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        assert!(killed > 0, "no connection was there to be cut");
        let reply = commit_until_known(&plane, &id, &commit_of(fence, tick)).await;
        assert!(matches!(reply, CommitReply::Ok | CommitReply::DupSame), "{reply:?}");
    }
}

#[tokio::test]
async fn a_frozen_server_is_noticed_and_left() {
    let server = RedisServer::start(Persistence::Off).await;
    let plane = connect(&server, QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    expect_flow(&plane, &id, fence, 1, &mut subscription).await;
    let before = client_ids(&server).await;

    server.stop();
    let text = refusal(plane.commit(&id, &commit_of(fence, 6)).await);
    assert!(text.contains("800ms"), "{text}");
    let text = refusal(plane.subscribe(&id, Channel::Input).await);
    assert!(text.contains("not confirmed within 800ms"), "{text}");
    assert!(subscription.is_empty(), "the loss is reported when the subscription has been renewed");
    server.cont();

    // The frozen server had taken the commit in, and may execute it now: hence both answers.
    let reply = commit_until_known(&plane, &id, &commit_of(fence, 6)).await;
    assert!(matches!(reply, CommitReply::Ok | CommitReply::DupSame), "{reply:?}");
    expect_lost(&mut subscription).await;
    // The repeated commit may have been published after the renewal; then it comes first.
    commit_ok(&plane, &id, &commit_of(fence, 7)).await;
    while next(&mut subscription).await != Delivery::Message(message(7)) {}
    expect_flow(&plane, &id, fence, 8, &mut subscription).await;
    expect_replaced(&server, &before).await;
}

#[tokio::test]
async fn an_idle_node_notices_a_frozen_server() {
    let server = RedisServer::start(Persistence::Off).await;
    let plane = connect(&server, QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let before = client_ids(&server).await;
    server.stop();
    // Takes longer than the node may take to notice, and does not go through the node.
    connect_error(&server.url()).await;
    server.cont();
    assert_eq!(next(&mut subscription).await, Delivery::Lost);
    expect_replaced(&server, &before).await;
    expect_flow(&plane, &id, fence, 1, &mut subscription).await;
}

#[tokio::test]
async fn a_crashed_server_is_found_again() {
    // Synced once a second, Redis holds writes back while a slow disk is at it, and a crash loses those.
    let mut server = RedisServer::start(Persistence::Always).await;
    let plane = connect(&server, QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    expect_flow(&plane, &id, fence, 1, &mut subscription).await;

    server.kill();
    refusal(plane.commit(&id, &commit_of(fence, 6)).await);
    refusal(plane.load(&id).await);
    refusal(plane.subscribe(&id, Channel::Input).await);
    server.start_again().await;

    // The new process knows no script: this also proves that they are loaded again.
    let reply = commit_until_known(&plane, &id, &commit_of(fence, 6)).await;
    assert!(matches!(reply, CommitReply::Ok | CommitReply::DupSame), "{reply:?}");
    expect_lost(&mut subscription).await;
    commit_ok(&plane, &id, &commit_of(fence, 7)).await;
    while next(&mut subscription).await != Delivery::Message(message(7)) {}
    expect_flow(&plane, &id, fence, 8, &mut subscription).await;
}

#[tokio::test]
async fn a_server_that_lost_everything_says_so() {
    let mut server = RedisServer::start(Persistence::Off).await;
    let plane = connect(&server, QUICK).await;
    let (id, fence) = owned(&plane, "m1").await;
    server.kill();
    server.start_again().await;
    assert_eq!(commit_until_known(&plane, &id, &commit_of(fence, 1)).await, CommitReply::NoMatch);
}

#[tokio::test]
async fn a_full_server_refuses_and_publishes_nothing() {
    let (server, plane) = redis_backplane().await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    commit_ok(&plane, &id, &commit_of(fence, 1)).await;
    expect_message(&mut subscription, &message(1)).await;
    let before = loaded(&plane, &id).await;

    let name = |index: u32| FieldName::from(format!("ball:{index}"));
    let large = Commit {
        set: (0..5000).map(|index| (name(index), Bytes::from_static(b"value"))).collect(),
        delete: vec![fields::GAME.into()],
        ..commit_of(fence, 2)
    };
    server.config_set("maxmemory-policy", "noeviction").await;
    server.config_set("maxmemory", "1048576").await;
    for commit in [&large, &commit_of(fence, 2)] {
        let text = refusal(plane.commit(&id, commit).await);
        assert!(text.contains("OOM"), "{text}");
        assert_eq!(loaded(&plane, &id).await, before);
    }
    notify_ok(&plane, &id, fence, "first").await;
    expect_message(&mut subscription, b"first").await;

    server.config_set("maxmemory", "0").await;
    commit_ok(&plane, &id, &large).await;
    expect_message(&mut subscription, &message(2)).await;
}

#[tokio::test]
async fn a_replica_refuses_until_it_is_the_primary_again() {
    let (server, plane) = redis_backplane().await;
    let (id, fence) = owned(&plane, "m1").await;
    let mut subscription = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let () = server.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let text = refusal(plane.commit(&id, &commit_of(fence, 1)).await);
    assert!(text.contains("READONLY"), "{text}");
    let () = server.command(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(commit_until_known(&plane, &id, &commit_of(fence, 1)).await, CommitReply::Ok);
    expect_message(&mut subscription, &message(1)).await;
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let (server, plane) = redis_backplane().await;
    let (id, fence) = owned(&plane, "m1").await;
    commit_ok(&plane, &id, &commit_of(fence, 1)).await;
    let () = server.command(&["SCRIPT", "FLUSH", "SYNC"]).await;
    commit_ok(&plane, &id, &commit_of(fence, 2)).await;
}

#[tokio::test]
async fn a_dropped_subscription_is_ended_at_the_server() {
    let server = RedisServer::start(Persistence::Off).await;
    let plane = connect(&server, QUICK).await;
    let id = id("m1");
    let channel = fields::channel(&id, Channel::Diff);
    let receivers = || async {
        let (_name, count): (String, u64) = server.command(&["PUBSUB", "NUMSUB", &channel]).await;
        count
    };
    let first = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    let second = plane.subscribe(&id, Channel::Diff).await.expect("a subscription");
    assert_eq!(receivers().await, 1);
    drop(first);
    drop(second);
    eventually("the server forgets the channel", || async { receivers().await == 0 }).await;
}

#[tokio::test]
async fn connections_end_with_the_last_clone() {
    let server = RedisServer::start(Persistence::Off).await;
    let plane = connect(&server, QUICK).await;
    let clone = plane.clone();
    let mut subscription = plane.subscribe(&id("m1"), Channel::Diff).await.expect("a subscription");
    drop(plane);
    assert!(clone.now_ms().await.is_ok());
    drop(clone);
    eventually("only this test is connected", || async {
        let list: String = server.command(&["CLIENT", "LIST"]).await;
        list.lines().count() == 1
    })
    .await;
    assert_eq!(subscription.recv().await, None, "a subscription ends with its backplane");
}

#[tokio::test]
async fn the_index_is_only_a_hint() {
    let (server, plane) = redis_backplane().await;
    for name in ["m1", "m2", "m3"] {
        assert_eq!(plane.create(&id(name), fields_of(&[])).await, Ok(true));
    }
    let listed = || async {
        let matches = plane.list(&[]).await.expect("an answer");
        matches.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<String>>()
    };
    let deleted: u64 = server.command(&["DEL", &fields::key(&id("m2"))]).await;
    assert_eq!(deleted, 1);
    assert_eq!(listed().await, ["m1", "m3"]);
    let left: Vec<String> = server.command(&["SORT", fields::INDEX_KEY, "ALPHA"]).await;
    assert_eq!(left, ["m1", "m3"]);

    let deleted: u64 = server.command(&["DEL", fields::INDEX_KEY]).await;
    assert_eq!(deleted, 1);
    claimed(&plane, &id("m1"), claim_by("n1", 1, LONG)).await;
    assert_eq!(plane.create(&id("m3"), fields_of(&[])).await, Ok(false));
    assert_eq!(listed().await, ["m1", "m3"], "a claim and a repeated creation bring a match back");
}

async fn connect_error(url: &str) -> ConnectError {
    RedisBackplane::connect(url, QUICK).await.expect_err("this server must be refused")
}

#[tokio::test]
async fn an_address_without_a_server_is_named() {
    let port = free_port();
    let error = connect_error(&format!("redis://:secret@127.0.0.1:{port}")).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("no Redis answers at 127.0.0.1:{port} (")), "{text}");
    assert!(text.contains("redis-server --port") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_frozen_server_is_unreachable() {
    let server = RedisServer::start(Persistence::Off).await;
    server.stop();
    let text = connect_error(&server.url()).await.to_string();
    assert!(text.starts_with(&format!("no Redis answers at 127.0.0.1:{} (", server.port())), "{text}");
}

#[tokio::test]
async fn a_bad_address_is_explained_without_its_password() {
    for url in
        ["localhost", "http://u:secret@localhost", "redis://u:secret@host:port", "rediss://u:secret@h:port"]
    {
        let error = connect_error(url).await;
        assert!(matches!(error, ConnectError::BadUrl { .. }), "{url}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("write redis://[user:password@]host") && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_login_is_explained() {
    let server = RedisServer::start(Persistence::Off).await;
    let () = server.command(&["CONFIG", "SET", "requirepass", "secret"]).await;
    let port = server.port();
    for login in ["", ":wrong@", "nobody:wrong@"] {
        let error = connect_error(&format!("redis://{login}127.0.0.1:{port}")).await;
        assert!(matches!(error, ConnectError::Login { .. }), "{login}: {error:?}");
        assert!(!error.to_string().contains("wrong@"), "{error}");
    }
    let url = format!("redis://:secret@127.0.0.1:{port}");
    assert!(RedisBackplane::connect(&url, QUICK).await.is_ok());
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_with_the_cure() {
    let server = RedisServer::start(Persistence::Off).await;
    server.config_set("maxmemory-policy", "allkeys-lru").await;
    assert!(
        RedisBackplane::connect(&server.url(), QUICK).await.is_ok(),
        "without a limit nothing is evicted"
    );
    server.config_set("maxmemory", "104857600").await;
    let error = connect_error(&server.url()).await;
    assert!(matches!(error, ConnectError::Evicts { .. }), "{error:?}");
    let cure = format!("redis-cli -h 127.0.0.1 -p {} CONFIG SET maxmemory-policy noeviction", server.port());
    assert!(error.to_string().contains(&cure), "{error}");
    server.config_set("maxmemory-policy", "noeviction").await;
    assert!(RedisBackplane::connect(&server.url(), QUICK).await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_trusted_or_checked_is_a_warning() {
    let server = RedisServer::start(Persistence::Off).await;
    let (_plane, warnings) = RedisBackplane::connect(&server.url(), QUICK).await.expect("a good server");
    assert!(matches!(warnings[..], [Warning::NotPersistent { .. }]), "{warnings:?}");
    let cure = format!("redis-cli -h 127.0.0.1 -p {} CONFIG SET appendonly yes", server.port());
    assert!(warnings[0].to_string().contains(&cure), "{}", warnings[0]);
    server.config_set("appendonly", "yes").await;
    let (_plane, warnings) = RedisBackplane::connect(&server.url(), QUICK).await.expect("a good server");
    assert_eq!(warnings, []);

    let user = ["ACL", "SETUSER", "node", "on", ">pw", "~tickcast:*", "&tickcast:*", "+@all"];
    let url = format!("redis://node:pw@127.0.0.1:{}", server.port());
    for (append_only, denied, command) in
        [("yes", "-info", Some("INFO")), ("yes", "-config", None), ("no", "-config", Some("CONFIG"))]
    {
        server.config_set("appendonly", append_only).await;
        let () = server.command(&[&user[..], &[denied]].concat()).await;
        let (_plane, warnings) = RedisBackplane::connect(&url, QUICK).await.expect("a good server");
        match command {
            // What CONFIG would tell INFO tells, too.
            None => assert_eq!(warnings, []),
            Some(command) => {
                assert!(matches!(warnings[..], [Warning::Unchecked { .. }]), "{warnings:?}");
                let text = format!("does not allow {command}");
                assert!(warnings[0].to_string().contains(&text), "{}", warnings[0]);
            }
        }
    }
}
