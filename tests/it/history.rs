//! Real nodes and bots write down what they do, one node is killed, and `tickcast check` proves the run; the same
//! histories with one line changed are refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::process::{Ended, Node, NodeOptions, bots, program, run, wait_until};
use harness::redis::{Persistence, RedisServer};
use serde_json::Value;

/// For a match to be played for a while, on a busy machine.
const WITHIN: Duration = Duration::from_secs(30);

async fn check(files: &[PathBuf]) -> Ended {
    let mut command = program("tickcast");
    command.arg("check").args(files).arg("--json");
    run(command).await
}

/// How often a history tells of this.
fn count(path: &Path, event: &str) -> usize {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.matches(&format!("\"event\":\"{event}\"")).count()
}

async fn node(redis: &RedisServer, name: &str, history: &Path) -> Node {
    let history = history.to_str().expect("a path in letters");
    Node::start(NodeOptions::named(name, &redis.url(), &["--history", history, "--lease-ms", "500"])).await
}

/// Position of the line with the given text that stands in the middle of all of them.
#[track_caller]
fn middle(lines: &[String], text: &str) -> usize {
    let places: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(text)).collect();
    assert!(!places.is_empty(), "no line has {text}");
    places[places.len() / 2]
}

#[tokio::test]
async fn a_takeover_is_proven_and_one_changed_line_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let files = ["first", "second", "bots"].map(|name| folder.path().join(format!("{name}.jsonl")));
    let redis = RedisServer::start(Persistence::Off).await;
    let mut first = node(&redis, "first", &files[0]).await;
    let second = node(&redis, "second", &files[1]).await;
    let urls = [first.players.clone(), second.players.clone()];
    let history = files[2].to_str().expect("a path in letters").to_owned();
    let playing = async {
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        bots(&urls, &["--players", "4", "--seconds", "6", "--history", &history]).await
    };
    let killing = async {
        let well_on = || async { (count(&files[0], "committed") > 60).then_some(()) };
        wait_until(WITHIN, "the first node has committed 60 ticks", well_on).await;
        first.kill9();
    };
    let (played, ()) = tokio::join!(playing, killing);
    drop(second);
    assert!(count(&files[1], "committed") > 20, "the second node went on: {}", played.output);
    assert!(count(&files[2], "seen") > 100 && count(&files[2], "sent") > 100, "{}", played.output);

    let proven = check(&files).await;
    assert_eq!(proven.code, Some(0), "{proven:?}");
    let told: Value = serde_json::from_str(&proven.out).expect("the report is JSON");
    assert_eq!((&told["verdict"], &told["takeovers"]), (&"proven".into(), &1.into()), "{told:#}");
    assert!(told["inputs"]["applied"].as_u64() > Some(100), "{told:#}");
    assert!(told["takeover_pauses_ms"]["max"].as_f64() > Some(300.0), "the lease comes first: {told:#}");
    assert_eq!(told["reconnects_ms"]["count"], 2, "half of the bots sat on the first node: {told:#}");
    assert_eq!(check(&files[..2]).await.code, Some(3), "without clients");
    assert_eq!(check(&files[2..]).await.code, Some(3), "without nodes");
    assert_eq!(check(&[folder.path().join("none")]).await.code, Some(2));
    refuse_changes(&files).await;
}

/// What is done to a line, and the guarantee that it breaks. `None` takes the line out.
type Change = (usize, &'static str, Option<fn(&str) -> String>, u64);

const CHANGES: [Change; 5] = [
    (0, "\"committing\"", None, 2),
    (0, "\"committed\"", None, 2),
    (1, "\"claimed\"", Some(lower_tick), 6),
    (2, "\"event\":\"seen\"", Some(other_hash), 4),
    (2, "\"event\":\"seen\"", Some(much_earlier), 1),
];

fn with(line: &str, name: &str, change: impl FnOnce(&Value) -> Value) -> String {
    let mut value: Value = serde_json::from_str(line).expect("a line is JSON");
    value[name] = change(&value[name]);
    value.to_string()
}

fn lower_tick(line: &str) -> String {
    with(line, "tick", |tick| (tick.as_u64().expect("a number") - 1).into())
}

fn other_hash(line: &str) -> String {
    with(line, "hash", |hash| if hash == "00000000" { "00000001" } else { "00000000" }.into())
}

fn much_earlier(line: &str) -> String {
    with(line, "at_us", |at_us| (at_us.as_u64().expect("a number") - 1_000_000).into())
}

async fn refuse_changes(files: &[PathBuf]) {
    for (file, text, change, guarantee) in CHANGES {
        let whole = fs::read_to_string(&files[file]).expect("a history");
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        let at = middle(&lines, text);
        let before = lines[at].clone();
        match change {
            Some(change) => lines[at] = change(&before),
            None => drop(lines.remove(at)),
        }
        fs::write(&files[file], lines.join("\n")).expect("a history can be changed");
        let refused = check(files).await;
        assert_eq!(refused.code, Some(1), "{before}: {refused:?}");
        let told: Value = serde_json::from_str(&refused.out).expect("the report is JSON");
        let violations = told["violations"].as_array().expect("a list");
        assert!(violations.iter().any(|it| it["guarantee"] == guarantee), "{before}: {told:#}");
        fs::write(&files[file], whole).expect("a history can be changed");
    }
    assert_eq!(check(files).await.code, Some(0), "all is as it was");
    // A writer that is killed leaves a part of a line.
    let mut torn = fs::read_to_string(&files[0]).expect("a history");
    torn.push_str("{\"at_us\":17");
    fs::write(&files[0], torn).expect("a history can be changed");
    let proven = check(files).await;
    assert!(proven.code == Some(0) && proven.out.contains("\"torn_lines\": 1"), "{proven:?}");
}
