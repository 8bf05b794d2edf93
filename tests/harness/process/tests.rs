//! The handle of a process, tried on a shell: no node is needed to see that it works.

use std::process::Command;
use std::time::Duration;

use super::{Output, Process, wait_until};
use crate::signals;

const WITHIN: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Process::start("sh", command)
}

async fn printed(process: &Process, text: &str) {
    wait_until(WITHIN, text, || async { process.output.to_string().contains(text).then_some(()) }).await;
}

#[tokio::test]
async fn what_is_printed_last_is_there_after_the_exit() {
    let mut process = shell("echo first; echo last >&2; exit 7");
    assert_eq!(process.wait_exit(WITHIN).await.code(), Some(7));
    let output = process.output.to_string();
    assert!(output.contains("out first\n") && output.contains("err last\n"), "{output}");
}

#[tokio::test]
async fn signals_arrive() {
    let mut process = shell("trap 'echo caught; exit 3' INT; echo ready; while :; do :; done");
    printed(&process, "ready").await;
    let pid = process.child.id();
    signals::freeze(pid);
    assert_eq!(signals::state(pid), Some('T'));
    signals::send(pid, "INT");
    signals::thaw(pid);
    assert_eq!(process.wait_exit(WITHIN).await.code(), Some(3));
}

#[tokio::test]
async fn a_frozen_process_does_not_outlive_its_handle() {
    let process = shell("echo ready; exec tail -f /dev/null");
    printed(&process, "ready").await;
    let pid = process.child.id();
    signals::freeze(pid);
    drop(process);
    assert_eq!(signals::state(pid), None);
}

#[tokio::test]
#[should_panic(expected = "has ended; it was to be frozen")]
async fn a_process_that_is_gone_does_not_count_as_frozen() {
    let process = shell("exit 0");
    let pid = process.child.id();
    wait_until(WITHIN, "ended", || async { (signals::state(pid) == Some('Z')).then_some(()) }).await;
    signals::freeze(pid);
}

#[tokio::test]
#[should_panic(expected = "the moon is blue")]
async fn a_state_that_never_comes_is_named() {
    wait_until(Duration::from_millis(30), "the moon is blue", || async { None::<()> }).await;
}

#[test]
fn addresses_are_found_in_what_a_node_prints() {
    let output = Output::default();
    output.push("err players ws://127.0.0.1:1/ws".to_owned());
    output.push("out see http://127.0.0.1:2/ for help".to_owned());
    output.push("out   players   ws://127.0.0.1:3/ws".to_owned());
    assert_eq!(output.addresses(), None);
    output.push("out   operators http://127.0.0.1:4/".to_owned());
    assert_eq!(
        output.addresses(),
        Some(("ws://127.0.0.1:3/ws".to_owned(), "http://127.0.0.1:4/".to_owned()))
    );
}
