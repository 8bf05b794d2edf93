//! The client in plain Python that was written from `docs/wire.md` alone: it must understand this server, and the
//! golden files.

use std::process::Command;

use harness::process::{Ended, Node, NodeOptions, checkout, run};
use serde_json::Value;

async fn stranger(args: &[&str]) -> Ended {
    let version = Command::new("python3").arg("--version").output();
    assert!(
        version.is_ok_and(|version| version.status.success()),
        "python3 is needed for the client of tests/stranger: apt-get install python3"
    );
    let mut command = Command::new("python3");
    command.current_dir(checkout()).arg("tests/stranger/client.py").args(args);
    let ended = run(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

async fn memory_node() -> Node {
    Node::start(NodeOptions::default()).await
}

#[track_caller]
fn assert_followed(ended: &Ended) -> Value {
    let report: Value = serde_json::from_str(&ended.out).expect("one line of JSON");
    assert!(report["hashes_verified"].as_u64() > Some(0), "{report}");
    assert!(report["ticks"].as_u64() > Some(0), "{report}");
    assert_eq!((&report["desyncs"], &report["gaps"]), (&Value::from(0), &Value::from(0)), "{report}");
    report
}

#[tokio::test]
async fn a_client_written_from_the_document_plays() {
    let node = memory_node().await;
    let report = assert_followed(&stranger(&[&node.players, "--seconds", "5"]).await);
    assert!(report["priors"].as_u64() > Some(0), "{report}");
    assert!(report["acknowledged"].as_u64() > Some(0), "{report}");
    assert!(report["entities"].as_u64() > Some(1), "{report}");
}

#[tokio::test]
async fn a_client_written_from_the_document_decodes_the_golden_files() {
    stranger(&["--golden", "shared-protocol/golden"]).await;
}
