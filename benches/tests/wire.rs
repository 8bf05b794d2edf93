//! The `wire` program as a process: what it refuses, and that nothing but the result goes to standard output.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn wire(words: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wire")).args(words).output().expect("the program was built")
}

#[track_caller]
fn refused(words: &[&Path], code: i32, expected: &str) -> String {
    let output = wire(words);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(expected), "{told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_cannot_be_measured_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(refused(&[&folder.path().join("none")], 1, "none: no such folder"), "");
    assert_eq!(refused(&[folder.path()], 1, "no traces in it; their names end with .gtr.zst"), "");
    fs::write(folder.path().join("odd.gtr.zst"), "odd").unwrap();
    let json = refused(&[folder.path(), Path::new("--json")], 1, "odd.gtr.zst: not a zstd stream");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["traces"], serde_json::json!([]));
    assert_eq!(refused(&[], 2, "<DIR>"), "");
}
