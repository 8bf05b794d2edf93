//! The programs as a person starts them: what is wrong is named, with what to do instead, and the exit code says
//! whose fault it was: 2 for flags and settings, 1 for everything else.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::http::create_match;
use harness::process::{Ended, Node, NodeOptions, bots, program, run};
use harness::redis::{Persistence, RedisServer, free_port};
use serde_json::json;
use tickcast_server::backplane::fields;

/// For what a node says just after it is ready.
const WITHIN: Duration = Duration::from_secs(10);

/// Runs the server with these flags and this environment, at free ports unless they say otherwise.
async fn tickcast(flags: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut command = program("tickcast");
    command.env("TICKCAST_LISTEN", "127.0.0.1:0").env("TICKCAST_OPS_LISTEN", "127.0.0.1:0");
    command.envs(env.iter().copied()).args(flags);
    run(command).await
}

async fn tickcast_bots(flags: &[&str]) -> Ended {
    let mut command = program("tickcast-bots");
    command.args(flags);
    run(command).await
}

/// That a program ended with this exit code and said all of this on standard error, and nothing else on output.
#[track_caller]
fn refused(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for text in texts {
        assert!(ended.err.contains(text), "{text} is not in {ended:?}");
    }
    assert!(!ended.err.contains("panicked"), "{ended:?}");
    assert_eq!(ended.out, "", "{ended:?}");
}

#[tokio::test]
async fn a_flag_that_cannot_be_is_named_with_what_can() {
    for (flags, texts) in [
        (["--hash-every", "17"], ["--hash-every 17", "1 to 16"]),
        (["--lease-ms", "5"], ["--lease-ms 5", "200 to 60000"]),
        (["--matches-max", "0"], ["--matches-max 0", "1 to 1000000"]),
        (["--empty-after", "soon"], ["'soon'", "--empty-after <SECONDS>"]),
        (["--node", "a b"], ["--node a b", "A-Z"]),
        (["--log", "=loud="], ["--log =loud=", "tickcast_server=debug"]),
        (["--lissten", "127.0.0.1:1"], ["--lissten", "--listen"]),
        (["--config", "nowhere.toml"], ["nowhere.toml", "configuration file"]),
    ] {
        refused(&tickcast(&flags, &[]).await, 2, &texts);
    }
    let mut command = program("tickcast");
    command.args(["--listen", "localhost"]);
    refused(&run(command).await, 2, &["'localhost'", "--listen <ADDR:PORT>"]);
    refused(&tickcast(&[], &[("TICKCAST_LEASE_MS", "short")]).await, 2, &["'short'", "--lease-ms <MS>"]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_flag() {
    let node = Node::start(NodeOptions::default()).await;
    let operators = node.operators.trim_start_matches("http://").trim_end_matches('/').to_owned();
    for (setting, taken, flag) in [
        ("TICKCAST_LISTEN", node.authority(), "--listen"),
        ("TICKCAST_OPS_LISTEN", operators.as_str(), "--ops-listen"),
    ] {
        let ended = tickcast(&[], &[(setting, taken)]).await;
        refused(&ended, 1, &[taken, "taken", &format!("another port with {flag}")]);
    }
}

/// Runs the server from a shell that lets it have so many open files, and up to so many if it asks for more; at an address
/// that is taken, so that it ends.
async fn with_open_files(soft: u32, hard: u32, taken: &str, connections_max: &str) -> Ended {
    let server = program("tickcast");
    let mut shell = Command::new("sh");
    let limits = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    shell.args(["-c", &limits]).arg(server.get_program());
    shell.args(["--listen", taken, "--ops-listen", "127.0.0.1:0", "--connections-max", connections_max]);
    for (name, _) in server.get_envs().filter(|(_, value)| value.is_none()) {
        shell.env_remove(name);
    }
    run(shell).await
}

#[tokio::test]
async fn a_node_takes_the_open_files_it_may_have_and_warns_when_they_are_too_few() {
    let node = Node::start(NodeOptions::default()).await;
    let ended = with_open_files(100, 700, node.authority(), "188").await;
    refused(&ended, 1, &["taken"]);
    assert!(!ended.err.contains("WARN"), "188 connections and what a node has besides are 700: {ended:?}");
    let ended = with_open_files(100, 700, node.authority(), "1000").await;
    refused(
        &ended,
        1,
        &["WARN --connections-max 1000", "700 open files", "takes 350 connections", "ulimit -Hn"],
    );
}

#[tokio::test]
async fn a_redis_that_cannot_be_used_is_refused_with_what_to_do() {
    let address = format!("127.0.0.1:{}", free_port());
    let ended = tickcast(&["--redis", &format!("redis://{address}")], &[]).await;
    refused(&ended, 1, &["no Redis answers", &address, "redis-server --port"]);
    let ended = tickcast(&["--redis", "127.0.0.1"], &[]).await;
    refused(&ended, 1, &["`127.0.0.1` is no address of a Redis", "write redis://"]);

    let redis = RedisServer::start(Persistence::Off).await;
    redis.config_set("maxmemory", "104857600").await;
    redis.config_set("maxmemory-policy", "allkeys-lru").await;
    let port = redis.port();
    let advice = format!("redis-cli -h 127.0.0.1 -p {port} CONFIG SET maxmemory-policy noeviction");
    let ended = tickcast(&["--redis", &redis.url()], &[]).await;
    refused(&ended, 1, &["maxmemory-policy allkeys-lru", &advice]);
    // Who does what it says gets a node, which warns of what is left.
    redis.config_set("maxmemory-policy", "noeviction").await;
    let node = Node::start(NodeOptions { redis: Some(redis.url()), ..NodeOptions::default() }).await;
    node.says("CONFIG SET appendonly yes", WITHIN).await;
}

#[tokio::test]
async fn a_configuration_file_is_read_and_its_mistakes_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let refused_file = async |text: &str, expected: &[&str]| {
        let ended = tickcast(&["--config", &write(folder.path(), text)], &[]).await;
        refused(&ended, 2, expected);
    };
    refused_file("lissten = 1\n", &["unknown field `lissten`", "expected one of `listen`", "node.toml"])
        .await;
    refused_file("hash_every = 17\n", &["1 to 16"]).await;
    refused_file("hash_every = \n", &["node.toml", "line 1"]).await;
    refused_file("listen = \"here\"\n", &["listen", "socket address"]).await;
    refused_file("[games.chess]\nclock = 1\n", &["[games.chess]", "there is: arena"]).await;
    refused_file("[games.arena]\ndrones = 901\n", &["[games.arena]", "drones 0 to 900"]).await;

    let args = vec!["--config".to_owned(), write(folder.path(), "node = \"filed\"\nlog = \"error\"\n")];
    let node = Node::start(NodeOptions { args, ..NodeOptions::default() }).await;
    assert!(node.output().contains("tickcast node filed is ready"), "{}", node.output());
}

fn write(folder: &Path, text: &str) -> String {
    let file = folder.join("node.toml");
    std::fs::write(&file, text).expect("a temporary file can be written");
    file.to_string_lossy().into_owned()
}

#[tokio::test]
async fn the_environment_sets_what_no_flag_sets() {
    let listen = format!("127.0.0.1:{}", free_port());
    let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let env = vec![env("TICKCAST_LISTEN", &listen), env("TICKCAST_NODE", "from-env")];
    let node = Node::start(NodeOptions { env: env.clone(), ..NodeOptions::default() }).await;
    assert_eq!(node.players, format!("ws://{listen}/ws"));
    assert!(node.output().contains("node from-env is ready"), "{}", node.output());
    drop(node);
    let args = ["--node", "from-flag"].map(str::to_owned).into();
    let node = Node::start(NodeOptions { env, args, ..NodeOptions::default() }).await;
    assert!(node.output().contains("node from-flag is ready"), "{}", node.output());
}

#[tokio::test]
async fn help_tells_every_flag() {
    // The settings as the program itself lists them when it is given one that it does not know.
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ended = tickcast(&["--config", &write(folder.path(), "x = 1\n")], &[]).await;
    let (_, listed) = ended.err.split_once("expected one of ").expect("the settings are listed");
    let settings: Vec<&str> = listed.split('`').skip(1).step_by(2).filter(|name| *name != "games").collect();
    assert!(settings.len() > 9, "{settings:?}");
    for command in [&["--help"][..], &["serve", "--help"]] {
        let help = tickcast(command, &[]).await;
        assert_eq!(help.code, Some(0), "{help:?}");
        for setting in settings.iter().chain(&["config"]) {
            let flag = format!("--{} ", setting.replace('_', "-"));
            let env = format!("TICKCAST_{}", setting.to_uppercase());
            // Where a flag without a value says yes, its value stands in brackets.
            let with_value = ["<", "[<"].map(|value| format!("{flag}{value}"));
            assert!(
                with_value.iter().any(|flag| help.out.contains(flag)) && help.out.contains(&env),
                "{flag}{env} is not in {}",
                help.out
            );
        }
    }
    let help = tickcast(&["--help"], &[]).await.out;
    assert!(help.contains("inspect"), "{help}");
    let help = tickcast(&["inspect", "--help"], &[]).await.out;
    for flag in ["[MATCH_ID]", "--redis <URL>", "--json", "--watch"] {
        assert!(help.contains(flag), "{flag} is not in {help}");
    }
    let help = tickcast_bots(&["--help"]).await.out;
    for flag in ["--url", "--matches", "--players", "--spectators", "--seconds", "--json", "--quiet"] {
        assert!(help.contains(flag), "{flag} is not in {help}");
    }
}

#[tokio::test]
async fn inspect_says_what_is_not_there() {
    let redis = RedisServer::start(Persistence::Off).await;
    let url = redis.url();
    let ended = tickcast(&["inspect", "nowhere", "--redis", &url], &[]).await;
    refused(&ended, 1, &["no match `nowhere`", "`tickcast inspect` without a match lists them"]);
    refused(&tickcast(&["inspect", "no where", "--redis", &url], &[]).await, 1, &["match `no where`", "A-Z"]);
    refused(&tickcast(&["inspect"], &[]).await, 2, &["--redis <URL>"]);
    let empty = tickcast(&["inspect"], &[("TICKCAST_REDIS", &url)]).await;
    assert_eq!((empty.code, empty.out.as_str()), (Some(0), "no matches\n"), "{empty:?}");
}

#[tokio::test]
async fn who_may_only_read_can_inspect_and_not_serve() {
    let redis = RedisServer::start(Persistence::Off).await;
    let node = Node::start(NodeOptions::named("node", &redis.url(), &[])).await;
    let id = create_match(node.authority(), &json!({})).await;
    // Of a match that is gone; whoever may write would take it out of the list.
    let _: u64 = redis.command(&["SADD", fields::INDEX_KEY, "gone"]).await;
    let user =
        ["ACL", "SETUSER", "reader", "on", ">pw", "resetkeys", "%R~tickcast:*", "resetchannels", "-@all"];
    let () = redis.command(&[&user[..], &["+@read", "+@connection", "+time"]].concat()).await;
    let url = format!("redis://reader:pw@127.0.0.1:{}", redis.port());
    for words in [&["inspect"][..], &["inspect", id.as_str()], &["nodes"]] {
        let ended = tickcast(&[words, &["--redis", &url]].concat(), &[]).await;
        let wanted = if words == ["nodes"] { "node" } else { id.as_str() };
        assert!(ended.code == Some(0) && ended.out.contains(wanted), "{words:?} {ended:?}");
    }
    let ended = tickcast(&["--redis", &url], &[]).await;
    assert!(ended.code == Some(1) && ended.err.contains("+hset"), "{ended:?}");
}

#[tokio::test]
async fn bots_say_why_they_cannot_play() {
    refused(&tickcast_bots(&["--url", "127.0.0.1:7777"]).await, 2, &["write ws://HOST:PORT"]);
    refused(&tickcast_bots(&["--url", "wss:127.0.0.1:7777"]).await, 2, &["wss://HOST for TLS"]);
    refused(&tickcast_bots(&["--players", "0"]).await, 2, &["--players or --spectators"]);
    let dead = format!("127.0.0.1:{}", free_port());
    let ended = tickcast_bots(&["--url", &format!("ws://{dead}"), "--seconds", "1"]).await;
    refused(&ended, 1, &[&dead, "is the server running", "--url"]);

    let node = Node::start(NodeOptions::default()).await;
    let played = bots(&[&node.players], &["--game", "chess", "--seconds", "1"]).await;
    assert_eq!(played.status.code(), Some(1), "{}", played.output);
    assert!(played.output.contains("no game `chess` here; there is: arena"), "{}", played.output);
    let played = bots(&[&node.players], &["--match-id", "nowhere", "--seconds", "1"]).await;
    assert_eq!(played.status.code(), Some(1), "{}", played.output);
    assert!(played.output.contains("close 4504 NoSuchMatch"), "{}", played.output);
}
