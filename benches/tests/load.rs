//! `load` as a person starts it, for a moment and on few connections: what it measures is told on the terminal, as JSON
//! and as a page. What the figures are is nobody's business here.

use std::process::Command;

use harness::process::{Ended, program, run};
use serde_json::Value;
use tempfile::TempDir;

/// Runs a task on the programs of this very build.
async fn load(flags: &[&str]) -> (Ended, Value, String) {
    // Builds the server where it is missing.
    program("tickcast");
    let folder = TempDir::new().expect("a folder for temporary files");
    let [json, html] = ["report.json", "report.html"].map(|name| folder.path().join(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args(flags).args(["--no-build", "--players", "4", "--warm-up", "0.2", "--ramp", "200"]);
    command.arg("--json").arg(&json).arg("--html").arg(&html);
    let ended = run(command).await;
    let [json, html] = [json, html]
        .map(|file| std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{error}: {ended:?}")));
    (ended, serde_json::from_str(&json).expect("the report is JSON"), html)
}

#[tokio::test]
async fn growth_measures_every_system_at_every_size() {
    let mut flags = vec!["growth", "--systems", "floor-scan,tickcast", "--seconds", "1"];
    flags.extend(["--connections", "4,8", "--match-counts", "1,3", "--match-players", "2"]);
    let (ended, report, page) = load(&flags).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows = report["rows"].as_array().unwrap();
    let sizes: Vec<_> =
        rows.iter().map(|row| (row["matches"].as_u64(), row["summary"]["connections"].as_u64())).collect();
    let expected = [(1, 4), (2, 8), (1, 4), (2, 8), (1, 2), (3, 6), (1, 2), (3, 6)];
    assert_eq!(sizes, expected.map(|(matches, connections)| (Some(matches), Some(connections))), "{ended:?}");
    assert!(rows.iter().all(|row| row["summary"]["cpu_us"].as_f64() > Some(0.0)), "{report}");
    assert!(ended.out.contains("x smallest") && page.contains("as matches grow"), "{ended:?}");
}

#[tokio::test]
async fn churn_counts_who_came_and_says_what_was_left_behind() {
    let mut flags = vec!["churn", "--systems", "tickcast-redis", "--matches", "1", "--seconds", "1"];
    // Nobody waits here until the places of those who hang up are given up.
    flags.extend(["--rate", "10", "--stay", "3", "--settle", "0.1"]);
    let (ended, report, page) = load(&flags).await;
    let churn = &report["churns"][0];
    assert_eq!((churn["joined"].as_u64(), churn["failed"].as_u64()), (Some(10), Some(0)), "{ended:?}");
    assert!(churn["join_ms"]["p50"].as_f64() > Some(0.0), "{report}");
    // Those who have just left: their own match is there yet, with its keys.
    assert!(churn["after"]["keys"].as_u64() > churn["before"]["keys"].as_u64(), "{report}");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("NOT BACK") && page.contains("NOT BACK"), "{ended:?}");
}
