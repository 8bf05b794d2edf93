//! What the JavaScript client keeps: decisions in pure modules, time and sockets in its shells alone, nothing from
//! elsewhere.

use super::{Ban, File, accepts, check, code, refuse, refuses};

const SOURCES: &str = "server/web/sdk/src/";
/// Those that wait, read the clock or open sockets.
const SHELLS: &[&str] = &["connection.js", "http.js", "index.js"];

const IMPURE: &[Ban] = &[
    ("Date.now", "take `now` as a parameter"),
    ("performance.now", "take `now` as a parameter"),
    ("Math.random", "take `random` as a parameter"),
    ("setTimeout", "decide here, wait in connection.js"),
    ("setInterval", "decide here, wait in connection.js"),
    ("requestAnimationFrame", "the page calls `frame`"),
    ("await", "decide here, wait in a shell"),
    ("WebSocket", "connection.js alone opens sockets"),
    ("fetch", "http.js alone asks the API"),
    ("document", "the page draws"),
    ("window", "the page draws"),
];

fn purity(file: &File) -> Vec<String> {
    let own = file.path.strip_prefix(SOURCES);
    match own {
        Some(name) if file.is(&["js"]) && !SHELLS.contains(&name) => {
            refuse(&file.path, code(&file.text).filter(|(_, line)| !is_comment(line)), IMPURE)
        }
        _ => Vec::new(),
    }
}

fn is_comment(line: &str) -> bool {
    ["/*", "*"].iter().any(|mark| line.trim_start().starts_with(mark))
}

#[test]
fn decisions_of_the_client_are_pure() {
    let path = "server/web/sdk/src/netcode/clock.js";
    refuses(purity, path, "const now = performance.now();", "take `now`");
    refuses(purity, path, "setTimeout(() => {}, 5);", "wait in connection.js");
    accepts(purity, path, "/** Like performance.now. */\nconst a = 1; // Date.now\n * @param document");
    accepts(purity, "server/web/sdk/src/connection.js", "setInterval(poll, 8);");
    check(purity);
}

fn opening(file: &File) -> Vec<String> {
    if !file.path.starts_with("server/web/sdk/") || !file.is(&["js"]) || file.text.starts_with("// ") {
        return Vec::new();
    }
    vec![format!("{}: open with `//`: what the file holds", file.path)]
}

#[test]
fn every_script_says_what_it_is() {
    refuses(opening, "server/web/sdk/src/a.js", "export {};\n", "open with");
    check(opening);
}

/// Imports of a source from elsewhere.
fn imports(file: &File) -> Vec<String> {
    if !file.path.starts_with(SOURCES) || !file.is(&["js"]) {
        return Vec::new();
    }
    let statement = |line: &str| ["import ", "export ", "} from "].iter().any(|word| line.starts_with(word));
    let elsewhere = |line: &str| line.contains(" from '") && !line.contains(" from '.");
    let found = code(&file.text).filter(|(_, line)| statement(line) && elsewhere(line));
    found.map(|(number, _)| format!("{}:{number}: the client has no dependencies", file.path)).collect()
}

#[test]
fn the_client_depends_on_nothing() {
    refuses(imports, "server/web/sdk/src/a.js", "import WebSocket from 'ws';", "no dependencies");
    accepts(imports, "server/web/sdk/src/a.js", "import { b } from './b.js';");
    accepts(imports, "server/web/sdk/test/a.js", "import WebSocket from 'ws';");
    check(imports);
}
