//! The text of a golden file: comments, then for each example its meaning as JSON and its bytes as hex.
//!
//! ```text
//! # what it is
//! leave = {"ClientMessage":"Leave"}
//! leave: 01 04
//! ```
//! Bytes go on in lines that begin with four spaces.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const BYTES_PER_LINE: usize = 32;

/// One example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// What it is, for a person; empty when read from a file.
    pub(crate) comment: String,
    /// What the bytes mean, as JSON in one line.
    pub(crate) meaning: String,
    pub(crate) bytes: Vec<u8>,
}

impl Entry {
    pub(crate) fn new(name: &str, comment: &str, meaning: String, bytes: Vec<u8>) -> Entry {
        Entry { name: name.to_owned(), comment: comment.to_owned(), meaning, bytes }
    }
}

/// One golden file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) entries: Vec<Entry>,
}

impl File {
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for line in self.about.lines() {
            let _ = writeln!(text, "# {line}");
        }
        for entry in &self.entries {
            let _ =
                write!(text, "\n# {}\n{} = {}\n{}:", entry.comment, entry.name, entry.meaning, entry.name);
            for (number, line) in entry.bytes.chunks(BYTES_PER_LINE).enumerate() {
                text.push_str(if number == 0 { " " } else { "\n    " });
                text.push_str(&hex(line));
            }
            text.push('\n');
        }
        text
    }
}

/// Bytes as pairs of hex digits with blanks between.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<String>>().join(" ")
}

/// The bytes of pairs of hex digits with blanks between.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let pair =
        |pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("`{pair}` is no byte in hex: {text}"));
    text.split_whitespace().map(pair).collect()
}

/// Reads a golden file.
pub(crate) fn load(folder: &Path, name: &str) -> Vec<Entry> {
    let text =
        std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("golden/{name}: {error}"));
    parse(&text)
}

/// An example of a golden file, if the file is there and has it.
pub(crate) fn find(folder: &Path, name: &str, entry: &str) -> Option<Entry> {
    let text = std::fs::read_to_string(folder.join(name)).ok()?;
    parse(&text).into_iter().find(|found| found.name == entry)
}

fn parse(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(more) = line.strip_prefix("    ") {
            entries.last_mut().expect("bytes follow a name").bytes.extend(unhex(more));
        } else if let Some((name, meaning)) = line.split_once(" = ") {
            entries.push(Entry::new(name, "", meaning.to_owned(), Vec::new()));
        } else {
            let (name, bytes) = line.split_once(':').unwrap_or_else(|| panic!("no golden line: {line}"));
            let entry = entries.last_mut().filter(|entry| entry.name == name);
            entry.unwrap_or_else(|| panic!("{name}: bytes without a meaning")).bytes = unhex(bytes);
        }
    }
    entries
}

/// What differs between two golden texts, entry by entry.
pub(crate) fn differences(stored: &str, built: &str) -> String {
    if !built.contains("\n# ") {
        return format!("stored: {stored}\nbuilt:  {built}");
    }
    let by_name = |text| parse(text).into_iter().map(|entry| (entry.name.clone(), entry)).collect();
    let (stored, built): (BTreeMap<String, Entry>, BTreeMap<String, Entry>) =
        (by_name(stored), by_name(built));
    let mut text = String::new();
    for (name, entry) in &built {
        match stored.get(name) {
            None => drop(writeln!(text, "{name}: not in the file")),
            Some(old) if old.bytes != entry.bytes => {
                let at = old.bytes.iter().zip(&entry.bytes).take_while(|(a, b)| a == b).count();
                let (stored, built) = (hex(&old.bytes), hex(&entry.bytes));
                let _ = writeln!(text, "{name}: from byte {at}\n  stored {stored}\n  built  {built}");
            }
            Some(old) if old.meaning != entry.meaning => {
                let _ =
                    writeln!(text, "{name}: meaning\n  stored {}\n  built  {}", old.meaning, entry.meaning);
            }
            Some(_) => {}
        }
    }
    for name in stored.keys().filter(|name| !built.contains_key(*name)) {
        let _ = writeln!(text, "{name}: in the file, not built any more");
    }
    if text.is_empty() { "comments or order".to_owned() } else { text }
}
