//! What operators read is what there is: `docs/operations.md` lists every setting, metric and command of the program.

use std::collections::BTreeSet;

use harness::http::request;
use harness::process::{Node, NodeOptions, checkout, program, run};

fn operations() -> String {
    std::fs::read_to_string(checkout().join("docs/operations.md")).expect("docs/operations.md is there")
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
        let flag = format!("--{}", setting.split(' ').next().unwrap_or_default());
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
