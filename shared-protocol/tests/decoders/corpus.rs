//! The inputs that fuzzing found worth keeping, given to their checks again. They stand in `fuzz/corpus`, a folder for
//! each check; an input that once broke a promise stays there for good.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checks::CHECKS;

/// Inputs of all checks together.
const FILES_MAX: usize = 100;
/// Their bytes.
const BYTES_MAX: usize = 200 * 1024;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a folder, ascending.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let entries = entries.map(|entry| entry.expect("a folder of the checkout can be read"));
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_kept_input_keeps_the_promises() {
    let (mut files, mut bytes) = (0, 0);
    for (name, check) in CHECKS {
        let folder = fuzz().join("corpus").join(name);
        let kept = names(&folder);
        assert!(!kept.is_empty(), "{}: nothing is kept", folder.display());
        for file in kept {
            let input = fs::read(folder.join(&file)).unwrap();
            // Shown if the check fails.
            println!("{name}/{file}, {} bytes", input.len());
            check(&input);
            files += 1;
            bytes += input.len();
        }
    }
    assert!(
        files <= FILES_MAX && bytes <= BYTES_MAX,
        "{files} files, {bytes} bytes: minimize them (fuzz/README.md)"
    );
}

#[test]
fn every_check_has_its_fuzz_target_and_every_target_its_check() {
    let mut wanted: Vec<&str> = CHECKS.map(|(name, _)| name).into();
    wanted.sort_unstable();
    assert_eq!(names(&fuzz().join("corpus")), wanted);
    let sources: Vec<String> = wanted.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), sources);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in wanted {
        let source = fs::read_to_string(fuzz().join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(source.contains(&format!("check(\"{name}\", ")), "{name}.rs runs another check");
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name} is no target in fuzz/Cargo.toml");
    }
}
