//! What operators read is what there is: `docs/operations.md` lists every setting, metric and command of the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::http::request;
use harness::process::{Node, NodeOptions, checkout, program, run};

fn operations() -> String {
    fs::read_to_string(checkout().join("docs/operations.md")).expect("docs/operations.md is there")
}

async fn help(args: &[&str]) -> String {
    let mut command = program("tickcast");
    command.args(args).arg("--help");
    let ended = run(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out
}

/// What stands between two texts, up to what needs no mention in a table.
fn between<'a>(text: &'a str, before: &str, after: &[char]) -> Option<&'a str> {
    text.split_once(before)?.1.split(after).next()
}

/// The first cells of the table rows that begin like this.
fn listed<'a>(document: &'a str, begin: &str) -> BTreeSet<&'a str> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).filter(|name| name.starts_with(begin)).collect()
}

#[tokio::test]
async fn operations_md_lists_every_setting_with_its_default() {
    let document = operations();
    let help = help(&["serve"]).await;
    let mut flags = BTreeSet::new();
    for setting in help.split("\n      --").skip(1) {
        let flag = format!("--{}", setting.split([' ', '[']).next().unwrap_or_default());
        let variable =
            between(setting, "[env: ", &['=', ']']).unwrap_or_else(|| panic!("{flag} has no variable"));
        if flag == "--config" {
            assert!(document.contains(variable), "docs/operations.md lacks {variable}");
            continue;
        }
        let default = between(setting, "[default: ", &[']', ',', ';'])
            .unwrap_or_else(|| panic!("the help does not tell the default of {flag}"));
        let row = format!("| `{flag}` | `{variable}` | {default} | ");
        assert!(document.contains(&row), "docs/operations.md lacks the row\n{row}");
        flags.insert(flag);
    }
    assert!(flags.len() > 10, "the settings are found in the help: {flags:?}");
    let flags: BTreeSet<&str> = flags.iter().map(String::as_str).collect();
    assert_eq!(listed(&document, "--"), flags, "docs/operations.md lists settings that there are not");
}

#[tokio::test]
async fn operations_md_lists_every_metric() {
    let node = Node::start(NodeOptions::default()).await;
    let operators = node.operators.trim_start_matches("http://").trim_end_matches('/');
    let metrics = request(operators, "GET", "/metrics", "").await.body;
    let helps = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    let metrics: BTreeSet<&str> = helps.collect();
    assert!(metrics.len() > 10, "{metrics:?}");
    assert_eq!(listed(&operations(), "tickcast_"), metrics, "the table of metrics is not what a node has");
}

#[tokio::test]
async fn operations_md_lists_every_command() {
    let document = operations();
    let help = help(&[]).await;
    let commands = help.split_once("Commands:\n").expect("the help lists commands").1;
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    let commands: BTreeSet<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains("drain"), "{commands:?}");
    for command in commands.iter().filter(|command| !["serve", "help"].contains(command)) {
        let row = format!("| `tickcast {command}");
        assert!(document.contains(&row), "docs/operations.md lacks the row\n{row}");
    }
}

/// The tests of the abuse suite, by their names in its source.
fn abuse_tests() -> BTreeSet<String> {
    let folder = checkout().join("tests/it/abuse");
    let files = fs::read_dir(folder).expect("the suite is there");
    let texts = files.map(|file| fs::read_to_string(file.expect("a file").path()).expect("a text"));
    let names = |text: String| -> Vec<String> {
        let rows = text.split("async fn a_").skip(1);
        rows.filter_map(|rest| Some(format!("a_{}", rest.split('(').next()?))).collect()
    };
    texts.flat_map(names).collect()
}

/// Whether a test's name begins with the number of a row.
fn is_of_suite(test: &str) -> bool {
    test.strip_prefix("a_").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// All source text below a folder.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("the sources are there").flatten();
    let text = |path: PathBuf| match path.is_dir() {
        true => sources(&path),
        false if path.extension().is_some_and(|it| it == "rs") => fs::read_to_string(path).expect("a text"),
        false => String::new(),
    };
    entries.map(|entry| text(entry.path())).collect()
}

#[test]
fn abuse_md_lists_every_test_of_the_suite_and_no_other() {
    let document = fs::read_to_string(checkout().join("docs/abuse.md")).expect("docs/abuse.md is there");
    let rows = document.lines().filter(|line| line.starts_with("| A-"));
    let mut listed = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let number = cells[1].trim_start_matches("A-");
        let tests: Vec<&str> = cells[4].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(!is_of_suite(test) || test.starts_with(&format!("a_{number}_")), "{test} of {row}");
            listed.insert(test.to_owned());
        }
    }
    let (own, others): (BTreeSet<String>, BTreeSet<String>) =
        listed.into_iter().partition(|name| is_of_suite(name));
    assert_eq!(own, abuse_tests(), "docs/abuse.md on the left, tests/it/abuse on the right");
    let sources = sources(&checkout().join("tests/it")) + &sources(&checkout().join("server/src"));
    for other in others {
        assert!(sources.contains(&format!("fn {other}(")), "docs/abuse.md names `{other}`, which is no test");
    }
}
