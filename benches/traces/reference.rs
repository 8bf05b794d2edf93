//! What other formats need for the same traces: `REFERENCE.json` beside them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// Name of the file.
const FILE_NAME: &str = "REFERENCE.json";

/// Sizes that other formats reach; empty when nobody wrote them down.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Reference {
    traces: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Entry {
    bytes_per_tick: BTreeMap<String, f64>,
}

/// Why the sizes cannot be read.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// The file is there and cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file is not JSON, or not that of reference sizes.
    #[error("{}: {error}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: serde_json::Error,
    },
}

impl Reference {
    /// Reads the sizes from a folder of traces; a folder without the file has none.
    ///
    /// # Errors
    /// When the file is there and not readable.
    pub fn read(folder: impl AsRef<Path>) -> Result<Reference, ReferenceError> {
        let path = folder.as_ref().join(FILE_NAME);
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|error| ReferenceError::Json { path, error }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Reference::default()),
            Err(error) => Err(ReferenceError::Io { path, error }),
        }
    }

    /// Mean payload bytes per tick over the last 80 % of a trace, by name of the format.
    pub fn bytes_per_tick(&self, trace: &str) -> Option<&BTreeMap<String, f64>> {
        self.traces.get(trace).map(|entry| &entry.bytes_per_tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Reference, ReferenceError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), json).unwrap();
        Reference::read(folder.path())
    }

    #[test]
    fn sizes_are_found_by_trace_and_format() {
        let json =
            r#"{"note": "", "traces": {"a": {"ticks": 3, "bytes_per_tick": {"rice": 1.5, "zstd": 2}}}}"#;
        let reference = read(json).unwrap();
        let of_a = reference.bytes_per_tick("a").unwrap();
        assert_eq!(of_a.get("rice"), Some(&1.5));
        assert_eq!(of_a.get("zstd"), Some(&2.0));
        assert_eq!(reference.bytes_per_tick("b"), None);
    }

    #[test]
    fn without_the_file_there_are_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Reference::read(folder.path()).unwrap().bytes_per_tick("a"), None);
    }

    #[test]
    fn a_broken_file_is_named() {
        let broken = ["", "{", "[]", "{}", r#"{"traces": {"a": {}}}"#];
        for json in broken {
            let told = read(json).unwrap_err().to_string();
            assert!(told.contains("REFERENCE.json: ") && told.contains("line 1"), "{json}: {told}");
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FILE_NAME)).unwrap();
        assert!(Reference::read(folder.path()).unwrap_err().to_string().contains("cannot be read"));
    }
}
