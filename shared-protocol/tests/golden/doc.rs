//! Keeps docs/wire.md true: its examples are the golden ones, its tables are those of the code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::{CloseCode, limits};

use crate::prior::{LEVEL_MAX, zero_at};
use crate::{control, file, streams};

fn document() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/wire.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// In a fenced block, `golden:NAME` begins an example; each line after it is hex, then perhaps `;` and words.
pub(crate) fn check_examples(folder: &Path) {
    let mut golden: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".hex") {
            for entry in file::load(folder, &name) {
                let doubled = golden.insert(entry.name.clone(), entry.bytes).is_some();
                assert!(!doubled, "{} is in two golden files", entry.name);
            }
        }
    }
    let quoted = quoted(&document());
    assert!(!quoted.is_empty(), "docs/wire.md has no examples");
    for (name, bytes) in quoted {
        let expected =
            golden.get(&name).unwrap_or_else(|| panic!("docs/wire.md quotes {name}, which is not golden"));
        assert_eq!(file::hex(&bytes), file::hex(expected), "docs/wire.md quotes golden:{name} wrongly");
    }
    check_schemas(folder);
}

fn quoted(document: &str) -> Vec<(String, Vec<u8>)> {
    let mut quoted: Vec<(String, Vec<u8>)> = Vec::new();
    let mut within = false;
    for line in document.lines() {
        if line.starts_with("```") {
            within = false;
        } else if let Some(name) = line.strip_prefix("golden:") {
            quoted.push((name.trim().to_owned(), Vec::new()));
            within = true;
        } else if within {
            let hex = line.split(';').next().unwrap_or_default();
            quoted.last_mut().expect("an example has begun").1.extend(file::unhex(hex));
        }
    }
    quoted
}

/// In a fenced block, `decisions:NAME` begins what is coded in the payload of that example, which ends the frame:
/// a line for each bit (its model, the probability of a zero, the bit) or number without a model (`raw`, bits,
/// value). Coded again, they are the payload.
pub(crate) fn check_decisions(folder: &Path) {
    let run = file::load(folder, "duel.hex");
    let document = document();
    let mut found = 0;
    for block in document.split("\ndecisions:").skip(1) {
        let (name, lines) = block.split_once('\n').expect("lines follow the name");
        let lines = lines.lines().take_while(|line| !line.starts_with("```") && !line.is_empty());
        let step = |line: &str| {
            let words: Vec<&str> = line.split(';').next().unwrap_or_default().split_whitespace().collect();
            let number = |word: &str| word.parse::<u32>().unwrap_or_else(|_| panic!("no number: {line}"));
            match words[..] {
                ["raw", bits, value] => serde_json::json!(["raw", number(bits), number(value)]),
                [_, zero, bit] => serde_json::json!([number(zero), number(bit)]),
                _ => panic!("no decision: {line}"),
            }
        };
        let steps: Vec<serde_json::Value> = lines.map(step).collect();
        let coded = streams::encode_steps(&steps);
        let entry = run.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no {name}"));
        let payload = match frame::parse(&entry.bytes).unwrap() {
            StateFrame::Diff { payload, .. } | StateFrame::CatchUp { payload, .. } => payload,
            _ => panic!("{name} is no diff"),
        };
        assert_eq!(file::hex(&coded), file::hex(payload), "docs/wire.md tells other decisions of {name}");
        found += 1;
    }
    assert!(found > 0, "docs/wire.md tells no decisions");
}

/// The table of levels: after a marker, rows of `| level | probability | ...`.
pub(crate) fn check_levels() {
    let document = document();
    let (_, rest) = document.split_once("<!-- levels -->").expect("docs/wire.md marks its table of levels");
    let rows = rest.lines().filter(|line| !line.is_empty()).take_while(|line| line.starts_with('|')).skip(2);
    let mut listed = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        listed.extend(cells[1..].iter().map(|cell| cell.parse::<u16>().expect("a probability")));
    }
    let expected: Vec<u16> = (0..=LEVEL_MAX).map(zero_at).collect();
    assert_eq!(listed, expected, "docs/wire.md has other probabilities of levels");
}

/// The block after `<!-- golden:FILE -->` is the JSON of that file.
fn check_schemas(folder: &Path) {
    let document = document();
    let mut found = 0;
    for part in document.split("<!-- golden:").skip(1) {
        let (name, rest) = part.split_once(" -->").expect("the marker is closed");
        let block = rest.split("```").nth(1).expect("a block follows the marker");
        let json = block.strip_prefix("json").expect("the block is JSON");
        let stored = std::fs::read_to_string(folder.join(name)).unwrap();
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(json), parse(&stored), "docs/wire.md shows another {name}");
        found += 1;
    }
    assert!(found > 0, "docs/wire.md shows no schema");
}

/// The worked example of a ticket, as hex and as text, is the one that the code makes.
pub(crate) fn check_ticket() {
    let document = document();
    let text = control::worked_ticket().mint(&control::TICKET_KEY.parse().expect("a key"));
    assert!(document.contains(&format!("\n{text}\n")), "docs/wire.md lacks the ticket\n{text}");
    assert!(document.contains(&format!("`{}`", control::TICKET_KEY)), "docs/wire.md names another key");
    let (_, shown) =
        document.split_once("\nticket:account-42\n").expect("docs/wire.md shows a ticket's bytes");
    let lines = shown.lines().take_while(|line| !line.starts_with("```"));
    let bytes: Vec<u8> =
        lines.flat_map(|line| file::unhex(line.split(';').next().unwrap_or_default())).collect();
    let made = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).expect("a ticket is base64url");
    assert_eq!(file::hex(&bytes), file::hex(&made), "docs/wire.md shows other bytes of the ticket");
}

/// The tables of close codes and limits.
pub(crate) fn check_tables() {
    let document = document();
    let expect = |row: String| assert!(document.contains(&row), "docs/wire.md lacks the row\n{row}");
    for code in CloseCode::ALL {
        let back = if code.may_reconnect() { "yes" } else { "no" };
        expect(format!("| {} | {code:?} | {} | {back} |", code.number(), code.text()));
    }
    macro_rules! limits {
        ($($name:ident)*) => { $(expect(format!("| `{}` | {} |", stringify!($name), limits::$name));)* };
    }
    limits! {
        MATCH_ID_BYTES_MAX NAME_BYTES_MAX IDENT_BYTES_MAX TICK_RATE_HZ_MIN TICK_RATE_HZ_MAX KINDS_MAX
        FIELDS_MAX INPUT_FIELDS_MAX TEXT_BYTES_MAX ENTITIES_MAX SNAPSHOT_PAYLOAD_BYTES_MAX FRAME_BYTES_MAX
        CLIENT_FRAME_BYTES_MAX SERVER_CONTROL_BYTES_MAX SCHEMA_JSON_BYTES_MAX RECONNECT_URL_BYTES_MAX
        CLOSE_REASON_BYTES_MAX INPUT_SEQ_AHEAD_MAX HASH_EVERY_TICKS_MAX SUBJECT_BYTES_MAX TICKET_BYTES_MAX
        TICKET_LIFE_MS_MAX
    }
}
