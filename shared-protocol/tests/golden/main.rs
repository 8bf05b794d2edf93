//! Golden frames: bytes of the wire with their meaning, in `golden/*.hex`, which bind every implementation.
//!
//! Each file is built with our code and compared with the one in git; then each is read from disk, decoded
//! with our code and compared with the meaning that stands beside the bytes. `GOLDEN_WRITE=1` rewrites the
//! files: then read the difference, because a changed byte is a changed protocol.

#![allow(clippy::unwrap_used, reason = "the whole crate is a test: what cannot be read ends it")]

mod channel;
mod control;
mod crafted;
mod doc;
mod entities;
mod file;
mod fog;
mod frames;
mod numbers;
mod parts;
mod refused;
mod runs;
mod segments;
mod sequence;
mod storm;
mod streams;
mod traces;
mod worlds;

// The codec's own source, for streams that no public function writes.
#[allow(dead_code, reason = "of these the tests use a part")]
#[path = "../../src/coder.rs"]
mod coder;
#[allow(dead_code, reason = "of these the tests use a part")]
#[path = "../../src/models.rs"]
mod models;
#[allow(dead_code, unreachable_pub, reason = "of these the tests use a part")]
#[path = "../../src/prior.rs"]
mod prior;
#[path = "../../src/range.rs"]
mod range;
use tickcast_protocol::{schema, varint};

use std::path::PathBuf;

use file::{Entry, File};

/// The folder of the golden files.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn writing() -> bool {
    std::env::var_os("GOLDEN_WRITE").is_some()
}

/// Tells what an entry's bytes mean to our code.
type Meaning = fn(&Entry) -> String;

/// Every file as our code builds it, with its reading.
fn files() -> Vec<(File, Meaning)> {
    vec![
        (numbers::file(), numbers::meaning),
        (control::file(), control::meaning),
        (streams::file(), streams::meaning),
        (frames::file(), frames::meaning),
        (entities::file(), entities::meaning),
        (channel::file(), channel::meaning),
        (refused::file(), refused::meaning),
    ]
}

/// Compares with the file on disk, or writes it.
fn check_text(name: &str, built: &str) {
    let path = folder().join(name);
    if writing() {
        std::fs::write(&path, built).expect("the golden folder is writable");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    if stored != built {
        panic!(
            "golden/{name} is not what the code builds:\n{}\nIf the protocol is meant to change: \
             GOLDEN_WRITE=1, docs/wire.md, and a new protocol version.",
            file::differences(&stored, built)
        );
    }
}

#[test]
fn code_builds_the_golden_files() {
    for (file, _) in files() {
        check_text(file.name, &file.render());
    }
    for (file, _) in runs::all() {
        check_text(file.name, &file.render());
    }
    for schema in worlds::schemas() {
        check_text(&format!("{}.schema.json", schema.game()), &(schema.to_json() + "\n"));
    }
}

#[test]
fn code_understands_the_golden_files() {
    if writing() {
        return;
    }
    for (file, meaning) in files() {
        for entry in file::load(&folder(), file.name) {
            let actual = meaning(&entry);
            assert_eq!(
                actual, entry.meaning,
                "golden/{}: {} means something else to our code",
                file.name, entry.name
            );
        }
    }
    for (File { name, .. }, schema) in runs::all() {
        sequence::replay(name, &schema, &file::load(&folder(), name));
    }
}

#[test]
fn a_match_is_restored_from_its_fields() {
    if !writing() {
        channel::restore(&folder());
    }
}

#[test]
fn wire_md_quotes_the_golden_files() {
    if !writing() {
        doc::check_examples(&folder());
    }
}

#[test]
fn wire_md_tells_every_decision_of_its_examples() {
    if !writing() {
        doc::check_decisions(&folder());
    }
}

#[test]
fn wire_md_lists_every_close_code_and_limit() {
    doc::check_tables();
}

#[test]
fn wire_md_shows_the_ticket_that_the_code_makes() {
    doc::check_ticket();
}

#[test]
fn wire_md_lists_every_level() {
    doc::check_levels();
}
