//! The planted bugs of `tests/planted`: that each still fits the sources, names tests that exist, and is listed. Whether
//! each turns a test red, `tests/planted/run` shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::process::checkout;

fn patches() -> Vec<PathBuf> {
    let folder = checkout().join("tests/planted");
    let entries =
        fs::read_dir(folder).expect("the folder is there").filter_map(|entry| Some(entry.ok()?.path()));
    let mut patches: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "patch")).collect();
    patches.sort();
    assert!(patches.len() >= 10, "{patches:?}");
    patches
}

/// The values of a field of a patch's head.
fn fields<'a>(patch: &'a str, name: &str) -> Vec<&'a str> {
    let head = patch.split("\n--- ").next().unwrap_or_default();
    head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

/// The file of a test's module, and the test's own name. In the backplane's contract a test runs once per kind of store.
fn place(package: &str, test: &str) -> (PathBuf, String) {
    let mut parts: Vec<&str> = test.split("::").collect();
    let own = parts.pop().expect("a name").to_owned();
    let source = match package {
        "tests" => checkout().join("tests/it"),
        "tickcast-server" => checkout().join("server/src"),
        "tickcast-protocol" => checkout().join("shared-protocol/src"),
        other => panic!("no package of ours: {other}"),
    };
    let nested = parts.iter().fold(source.clone(), |path, part| path.join(part));
    let file = nested.with_extension("rs");
    let parent = nested.parent().map(|parent| parent.with_extension("rs")).unwrap_or_default();
    (if file.exists() { file } else { parent }, own)
}

fn texts_below(path: &Path) -> String {
    let mut all = fs::read_to_string(path).unwrap_or_default();
    for entry in fs::read_dir(path.with_extension("")).into_iter().flatten().flatten() {
        all += &fs::read_to_string(entry.path()).unwrap_or_default();
    }
    all
}

#[test]
fn each_planted_bug_fits_the_sources_names_tests_and_is_listed() {
    let list = fs::read_to_string(checkout().join("docs/planted-bugs.md")).expect("the list is there");
    for path in patches() {
        let patch = fs::read_to_string(&path).expect("a patch is text");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let applied =
            Command::new("git").args(["apply", "--check"]).arg(&path).current_dir(checkout()).output();
        let applied = applied.expect("git runs");
        assert!(applied.status.success(), "{name}: {}", String::from_utf8_lossy(&applied.stderr));
        for field in ["Bug", "Why", "Harm"] {
            assert_eq!(fields(&patch, field).len(), 1, "{name}: one line `{field}: ...`");
        }
        let tests = fields(&patch, "Test");
        assert!(!tests.is_empty(), "{name}: a line `Test: PACKAGE NAME`");
        for test in tests {
            let (package, test) = test.split_once(' ').unwrap_or_else(|| panic!("{name}: PACKAGE NAME"));
            let (file, own) = place(package, test);
            let text = texts_below(&file);
            assert!(text.contains(&format!("fn {own}")), "{name}: no test `{own}` in {}", file.display());
        }
        let row = format!("| {} | {} |", &name[..2], fields(&patch, "Bug")[0]);
        assert!(list.contains(&row), "{name}: not in docs/planted-bugs.md: tests/planted/run --write");
    }
}
