//! The inputs that fuzzing found worth keeping, given to their checks again. They stand in `tests/fuzz/corpus`, a folder
//! for each check; an input that once broke a promise stays there for good. The tests of the server's decoders use it
//! as well.

use std::fs;
use std::path::{Path, PathBuf};

use super::damage::Set;

/// Inputs of all checks together.
const FILES_MAX: usize = 120;
/// Their bytes.
const BYTES_MAX: usize = 200 * 1024;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz")
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

impl Set {
    /// Every kept input of its checks keeps the promises.
    pub(crate) fn assert_kept(&self) {
        let (mut files, mut bytes) = (0, 0);
        for (name, check) in self.checks {
            let folder = fuzz().join("corpus").join(self.folder).join(name);
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
            "{files} files, {bytes} bytes: minimize them (tests/fuzz/README.md)"
        );
    }

    /// Every check has its fuzz target, and every target its check.
    pub(crate) fn assert_targets(&self) {
        let mut wanted: Vec<&str> = self.checks.iter().map(|(name, _)| *name).collect();
        wanted.sort_unstable();
        assert_eq!(names(&fuzz().join("corpus").join(self.folder)), wanted);
        let sources: Vec<String> = wanted.iter().map(|name| format!("{name}.rs")).collect();
        let targets = fuzz().join("fuzz_targets").join(self.folder);
        assert_eq!(names(&targets), sources);
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for name in wanted {
            let source = fs::read_to_string(targets.join(format!("{name}.rs"))).unwrap();
            assert!(source.contains(&format!("check(\"{name}\", ")), "{name}.rs runs another check");
            let path = format!("name = \"{name}\"\npath = \"fuzz_targets/{}/{name}.rs\"\n", self.folder);
            assert!(manifest.contains(&path), "{name} is no target in tests/fuzz/Cargo.toml");
        }
    }
}
