//! The users of `docs/redis-users.acl`, in a real Redis that reads that file: nodes have all that they need, a takeover
//! and operators' orders included, and neither user anything else.

use std::fs;
use std::time::Duration;

use harness::http::create_match;
use harness::player::Player;
use harness::process::{Ended, Node, NodeOptions, checkout, program, run};
use harness::redis::{Persistence, RedisServer};
use serde_json::json;
use tempfile::TempDir;
use tickcast_protocol::message::Join;
use tickcast_server::backplane::redis::{RedisBackplane, Timing};

/// For what takes a few ticks or round trips, on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);

/// What a node does not need: whoever has its password cannot do it either.
const NOT_FOR_NODES: &[&[&str]] = &[
    &["EVAL", "return 1", "0"],
    &["SCRIPT", "FLUSH"],
    &["FUNCTION", "LOAD", "#!lua name=x\nredis.register_function('f', function() end)"],
    &["CONFIG", "GET", "requirepass"],
    &["CONFIG", "SET", "dir", "/"],
    &["ACL", "LIST"],
    &["ACL", "SETUSER", "mine", "on"],
    &["DEBUG", "SLEEP", "0"],
    &["KEYS", "*"],
    &["SCAN", "0"],
    &["FLUSHALL"],
    &["SHUTDOWN", "NOSAVE"],
    &["REPLICAOF", "127.0.0.1", "1"],
    &["CLIENT", "KILL", "TYPE", "normal"],
    &["MONITOR"],
    &["RENAME", "tickcast:matches", "tickcast:gone"],
    &["DUMP", "tickcast:matches"],
    &["HGETALL", "other:key"],
    &["HSET", "other:key", "f", "v"],
    &["PUBLISH", "other:channel", "m"],
    &["SUBSCRIBE", "other:channel"],
];

/// What only nodes need.
const NOT_FOR_INSPECT: &[&[&str]] = &[
    &["HSET", "tickcast:{m}", "~tick", "1"],
    &["DEL", "tickcast:matches"],
    &["SET", "tickcast:ticket:1", "x"],
    &["PUBLISH", "tickcast:{m}:diff", "m"],
    &["SUBSCRIBE", "tickcast:{m}:diff"],
    &["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"],
    &["HGETALL", "other:key"],
];

/// The file as an operator would put it in, with passwords; the tests' own user stays what it is.
async fn server() -> (TempDir, RedisServer) {
    let text = fs::read_to_string(checkout().join("docs/redis-users.acl")).expect("a file of the checkout");
    assert!(text.starts_with("user default off\n"), "nobody else gets in");
    let text = text.replace("user default off", "user default on nopass ~* &* +@all");
    let text = text.replace(">CHANGE-ME-TOO", ">looks").replace(">CHANGE-ME", ">plays");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.acl");
    fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let server = RedisServer::start_with(Persistence::AppendOnly, &[("aclfile", &file)]).await;
    (folder, server)
}

fn url(server: &RedisServer, login: &str) -> String {
    format!("redis://{login}@127.0.0.1:{}", server.port())
}

async fn tickcast(words: &[&str], redis: &str) -> Ended {
    let mut command = program("tickcast");
    command.args(words).args(["--redis", redis]);
    run(command).await
}

/// Each of these is refused for want of a right.
async fn assert_refused(server: &RedisServer, login: &str, commands: &[&[&str]]) {
    for words in commands {
        assert_eq!(server.refusal(login, words).await.as_deref(), Some("NOPERM"), "{words:?}");
    }
}

#[tokio::test]
async fn nodes_have_the_rights_they_need_and_no_other() {
    let (_folder, redis) = server().await;
    let plays = url(&redis, "tickcast:plays");
    let (_plane, warnings) = RedisBackplane::connect(&plays, Timing::default()).await.expect("all rights");
    assert_eq!(warnings, []);
    let flags = ["--lease-ms", "600", "--sweep-ms", "300"];
    let start = |name| Node::start(NodeOptions::named(name, &plays, &flags));
    let (mut first, second) = (start("first").await, start("second").await);
    let id = create_match(first.authority(), &json!({})).await;
    let mut player = Player::join(&second.players, "guest", Join::Match(id.clone())).await;
    player.follow_ticks(30, WITHIN).await;
    first.kill9();
    let fence = player.position().fence;
    player.follow_until(WITHIN, "the other node goes on", |player| player.position().fence != fence).await;
    player.follow_ticks(20, WITHIN).await;
    for words in [&["move", id.as_str()][..], &["ban", "somebody"], &["bans"], &["end", id.as_str()]] {
        let ended = tickcast(words, &plays).await;
        // There is no other node to move it to, which is known only to who may ask.
        let is_done = ended.code == Some(0) || (words[0] == "move" && !ended.err.contains("NOPERM"));
        assert!(is_done, "{words:?}: {ended:?}");
    }
    assert_refused(&redis, "tickcast:plays", NOT_FOR_NODES).await;
}

#[tokio::test]
async fn who_inspects_may_look_and_nothing_else() {
    let (_folder, redis) = server().await;
    let node = Node::start(NodeOptions::named("node", &url(&redis, "tickcast:plays"), &[])).await;
    let id = create_match(node.authority(), &json!({})).await;
    let looks = url(&redis, "tickcast-inspect:looks");
    for words in [&["inspect"][..], &["inspect", id.as_str()], &["nodes"]] {
        let ended = tickcast(words, &looks).await;
        let wanted = if words == ["nodes"] { "node" } else { id.as_str() };
        assert!(ended.code == Some(0) && ended.out.contains(wanted), "{words:?} {ended:?}");
    }
    assert_refused(&redis, "tickcast-inspect:looks", NOT_FOR_INSPECT).await;
}
