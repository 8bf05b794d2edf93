//! The traces in a folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::FILE_ENDING;

/// Why a folder gives no traces.
#[derive(Debug, Error)]
pub enum FolderError {
    /// There is nothing at this path.
    #[error("{}: no such folder", .0.display())]
    Missing(PathBuf),
    /// There is a file at this path.
    #[error("{}: not a folder; give the one that it is in", .0.display())]
    File(PathBuf),
    /// It cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// No file in it is a trace by its name.
    #[error("{}: no traces in it; their names end with {FILE_ENDING}", .0.display())]
    Empty(PathBuf),
}

/// The paths of a folder's traces, in the order of their names.
///
/// # Errors
/// When there is none.
pub fn traces_in(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let error = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => FolderError::Missing(folder.to_owned()),
        ErrorKind::NotADirectory => FolderError::File(folder.to_owned()),
        _ => FolderError::Io { path: folder.to_owned(), error },
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        if entry.file_name().to_string_lossy().ends_with(FILE_ENDING) {
            found.push(entry.path());
        }
    }
    found.sort();
    if found.is_empty() { Err(FolderError::Empty(folder.to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_come_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.gtr.zst", "REFERENCE.json", "a.gtr.zst", "c.gtr", "b2.gtr.zst"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names = ["a.gtr.zst", "b.gtr.zst", "b2.gtr.zst"].map(|name| folder.path().join(name));
        assert_eq!(traces_in(folder.path()).unwrap(), names);
    }

    #[test]
    fn a_folder_without_traces_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: &Path| {
            let told = traces_in(path).unwrap_err().to_string();
            assert!(told.starts_with(&path.display().to_string()), "{told}");
            told
        };
        assert!(told(folder.path()).contains("no traces in it"));
        let path = folder.path().join("x");
        assert!(told(&path).contains("no such folder"));
        fs::write(&path, "").unwrap();
        assert!(told(&path).contains("not a folder"));
    }
}
