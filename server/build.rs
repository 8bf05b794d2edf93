//! Writes the table of the web files that the binary holds: every file of the served folders, by its path in `web/`.
//! What is not in these folders, or of another type, is not in the binary and cannot be asked for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What of `web/` is served. The SDK's tests, settings and fetched packages stand beside its `src`.
const SERVED: [&str; 4] = ["index.html", "game", "inspector", "sdk/src"];
/// The types that are served.
const EXTENSIONS: [&str; 5] = ["html", "js", "css", "svg", "png"];

fn main() -> io::Result<()> {
    let variable = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let web = variable("CARGO_MANIFEST_DIR").join("web");
    let mut found = Vec::new();
    for served in SERVED {
        // What is not there yet appears in the folder above.
        let watched = if web.join(served).exists() { served } else { "" };
        println!("cargo::rerun-if-changed=web/{watched}");
        collect(&web.join(served), &mut found)?;
    }
    found.sort();
    let mut table = String::from("[\n");
    for path in &found {
        let name = path.strip_prefix(&web).expect("it was found there").to_str().expect("names are UTF-8");
        let _ = writeln!(table, "    ({name:?}, include_bytes!({path:?})),");
    }
    fs::write(variable("OUT_DIR").join("web_files.rs"), table + "]\n")
}

/// Adds a file, or all of a folder but its tests.
fn collect(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        if path.ends_with("test") {
            return Ok(());
        }
        return fs::read_dir(path)?.try_for_each(|entry| collect(&entry?.path(), found));
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    if extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) && path.is_file() {
        found.push(path.to_owned());
    }
    Ok(())
}
