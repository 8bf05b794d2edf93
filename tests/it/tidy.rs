//! The rules of the house as tests: each refusal names the file, the line and what to write instead.
//! A rule is a function from a text to refusals, so that each is also shown a text that it must refuse.
//! Words that this file itself must not hold are put together with `concat!`.

use std::fs;
use std::path::{Path, PathBuf};

mod layers;
mod scripts;

/// Longest source file, lines.
const FILE_LINES_MAX: usize = 500;
/// Longest map, lines.
const MAP_LINES_MAX: usize = 200;
/// How far down in the README the first commands may stand, lines.
const README_COMMANDS_WITHIN: usize = 30;

/// A word that must not stand somewhere, and what to write instead.
type Ban = (&'static str, &'static str);

const IMPURE: &[Ban] = &[
    ("tokio", "move what waits to server/src/io"),
    ("redis", "go through the backplane's value types"),
    ("async", "decide here, wait in server/src/io"),
    (".await", "decide here, wait in server/src/io"),
    ("Instant::now", "take `now` as a parameter"),
    ("SystemTime", "take `now` as a parameter"),
    ("std::thread", "spawn in server/src/io/tasks.rs"),
    ("HashMap", "its order is random: BTreeMap"),
    ("HashSet", "its order is random: BTreeSet"),
    ("rand::rng", "take a seeded generator as a parameter"),
    ("rand::random", "take a seeded generator as a parameter"),
    ("thread_rng", "take a seeded generator as a parameter"),
    ("ThreadRng", "take a seeded generator as a parameter"),
    ("SysRng", "take a seeded generator as a parameter"),
];
const BINCODE: &[Ban] =
    &[(concat!("bin", "code"), "only shared-protocol/src/codec.rs names it: codec::encode_into")];
const SERVER: &[Ban] = &[
    (concat!("tickcast", "_server"), "bots know the server by its protocol: tickcast_protocol"),
    (concat!("tickcast", "-server"), "bots know the server by its protocol: tickcast-protocol"),
];
const SLEEPS: &[Ban] = &[
    (concat!("sle", "ep("), "step the clock, or harness::process::wait_until a state"),
    (concat!("sleep", "_until("), "step the clock, or harness::process::wait_until a state"),
];
const OPEN_ENDS: &[Ban] = &[
    (concat!("to", "do!"), "finish it or leave it out"),
    (concat!("unimple", "mented!"), "finish it or leave it out"),
    (concat!("TO", "DO"), "finish it, or say in a sentence what is so"),
    (concat!("FIX", "ME"), "finish it, or say in a sentence what is so"),
];
const HOSTS: &[Ban] = &[
    (concat!("crates", ".io"), "say the registry in words"),
    (concat!("pypi", ".org"), "say the registry in words"),
    (concat!("registry", ".npmjs"), "say the registry in words"),
    (concat!("deb.", "debian.org"), "say the registry in words"),
    (concat!("static.", "rust-lang"), "say the registry in words"),
];
/// Folders at the root of one machine; refused only where no folder stands before them.
const MACHINE_PATHS: &[Ban] = &[
    (concat!("/wo", "rk/"), "a path relative to the checkout"),
    (concat!("/fa", "rm/"), "a path relative to the checkout"),
    (concat!("/ro", "ot/"), "a path relative to the checkout"),
    (concat!("/ho", "me/"), "a path relative to the checkout"),
    (concat!("/Us", "ers/"), "a path relative to the checkout"),
];
/// File names that say nothing about what is in the file.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "types", "error", "errors", "misc"];

/// A file of the checkout: its path from the top, with slashes, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is(&self, extensions: &[&str]) -> bool {
        extensions
            .iter()
            .any(|extension| self.path.rsplit_once('.').is_some_and(|(_, own)| own == *extension))
    }

    fn under(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests package stands in the checkout")
        .to_owned()
}

/// Every text file of the checkout; what is built or fetched is left out.
fn files() -> Vec<File> {
    let top = top();
    let mut found = Vec::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the checkout can be read") {
            let entry = entry.expect("a folder of the checkout can be read");
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().expect("a file has a type");
            if kind.is_dir() {
                if !["target", ".git", "node_modules", "__pycache__"].iter().any(|left_out| name == *left_out)
                {
                    folders.push(path);
                }
            } else if kind.is_file() && name != ".git" && !name.to_string_lossy().ends_with(".log") {
                let relative =
                    path.strip_prefix(&top).expect("it was found there").to_string_lossy().replace('\\', "/");
                // What is not text is nobody's prose.
                if let Ok(text) = fs::read_to_string(&path) {
                    found.push(File { path: relative, text });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.iter().any(|file| file.path == "Cargo.toml"), "{} is the checkout", top.display());
    found
}

/// Applies a rule to every file and fails with all that it refuses.
fn check(rule: impl Fn(&File) -> Vec<String>) {
    let refused: Vec<String> = files().iter().flat_map(rule).collect();
    assert!(refused.is_empty(), "\n{}\n", refused.join("\n"));
}

/// That a rule refuses this text at this path, with a message that holds `expected`.
#[track_caller]
fn refuses(rule: impl Fn(&File) -> Vec<String>, path: &str, text: &str, expected: &str) {
    let refused = rule(&File { path: path.to_owned(), text: text.to_owned() });
    let named = refused.iter().any(|refusal| refusal.starts_with(path) && refusal.contains(expected));
    assert!(named, "{path} with {text:?} must be refused for {expected}: {refused:?}");
}

#[track_caller]
fn accepts(rule: impl Fn(&File) -> Vec<String>, path: &str, text: &str) {
    let refused = rule(&File { path: path.to_owned(), text: text.to_owned() });
    assert!(refused.is_empty(), "{path} with {text:?} must pass: {refused:?}");
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `line` as a word of its own, not as part of a longer one.
fn find_word(line: &str, word: &str) -> Option<usize> {
    let bounded = |at: usize| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let starts = !word.starts_with(is_word) || !before.is_some_and(is_word);
        starts && (!word.ends_with(is_word) || !after.is_some_and(is_word))
    };
    line.match_indices(word).map(|(at, _)| at).find(|at| bounded(*at))
}

/// A line without its comment; documentation may name what code may not.
fn code_of(line: &str) -> &str {
    match line.find("//") {
        Some(at) if at == 0 || !line[..at].ends_with(':') => &line[..at],
        _ => line,
    }
}

fn refuse<'a>(path: &str, lines: impl Iterator<Item = (usize, &'a str)>, bans: &[Ban]) -> Vec<String> {
    let mut refused = Vec::new();
    for (number, line) in lines {
        for (word, instead) in bans {
            if find_word(line, word).is_some() {
                refused.push(format!("{path}:{number}: `{word}`; {instead}"));
            }
        }
    }
    refused
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).map(|(number, line)| (number, code_of(line)))
}

fn opening(file: &File) -> Vec<String> {
    if !file.is(&["rs"]) || file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!("{}: open with `//!`: what the file holds, what it must never do", file.path)]
}

#[test]
fn every_rust_file_says_what_it_is() {
    refuses(opening, "server/src/a.rs", "use std::fmt;\n", "open with");
    check(opening);
}

fn length(file: &File) -> Vec<String> {
    let count = file.text.lines().count();
    if !file.is(&["rs", "js", "mjs", "ts", "lua", "py"]) || count <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![format!("{}: {count} lines, at most {FILE_LINES_MAX}: a file has one subject, split it", file.path)]
}

#[test]
fn files_are_short() {
    refuses(length, "server/web/a.js", &"\n".repeat(501), "501 lines");
    accepts(length, "server/web/a.js", &"\n".repeat(500));
    check(length);
}

fn purity(file: &File) -> Vec<String> {
    let pure =
        file.under(&["shared-protocol/src/", "server/src/logic/"]) || file.path == "server/src/logic.rs";
    if pure && file.is(&["rs"]) { refuse(&file.path, code(&file.text), IMPURE) } else { Vec::new() }
}

#[test]
fn decisions_are_pure() {
    refuses(purity, "server/src/logic/relay.rs", "use tokio::sync::mpsc;", "`tokio`; move what waits");
    refuses(purity, "server/src/logic/relay.rs", "let a = std::time::Instant::now();", "Instant::now");
    refuses(purity, "shared-protocol/src/a.rs", "fn f(m: &HashMap<u8, u8>) {}", "BTreeMap");
    refuses(purity, "shared-protocol/src/a.rs", "pub async fn f() {}", "async");
    refuses(purity, "shared-protocol/src/a.rs", "let mut r = rand::rng();", "seeded generator");
    accepts(
        purity,
        "shared-protocol/src/a.rs",
        "//! Knows nothing of tokio.\nlet asynchronous = 1; // no HashMap",
    );
    check(purity);
}

/// Whether a line of code names the crate `redis` and not a module of that name.
fn names_redis(line: &str) -> bool {
    let mut from = 0;
    while let Some(at) = find_word(&line[from..], "redis").map(|at| at + from) {
        from = at + "redis".len();
        let (before, after) = (&line[..at], line[from..].trim_start());
        let in_group = line.trim_start().starts_with("use ") && before.contains("::{");
        let of_a_module = in_group || before.strip_suffix("::").is_some_and(|path| path.ends_with(is_word));
        let used = before.trim_end().ends_with("use") || before.trim_end().ends_with("extern crate");
        if !of_a_module && (after.starts_with("::") || used) {
            return true;
        }
    }
    false
}

fn redis_in_one_place(file: &File) -> Vec<String> {
    let allowed = ["server/src/backplane/redis", "tests/harness/", "benches/"];
    if !file.is(&["rs"]) || file.under(&allowed) {
        return Vec::new();
    }
    let named = code(&file.text).filter(|(_, line)| names_redis(line));
    let refusal =
        |(number, _)| format!("{}:{number}: the redis crate; go through `trait Backplane`", file.path);
    named.map(refusal).collect()
}

#[test]
fn redis_is_named_in_one_place() {
    for line in ["use R::cmd;", "use ::R::cmd;", "let a = b(c, R::Client::open(d));", "use R as r;"] {
        let line = line.replace('R', concat!("red", "is"));
        refuses(redis_in_one_place, "server/src/io/a.rs", &line, "trait Backplane");
    }
    let own = "pub mod R;\nuse crate::backplane::{memory, R::Store};\nlet R = backplane::R::B;";
    let own = own.replace('R', "redis");
    accepts(redis_in_one_place, "server/src/io/a.rs", &own);
    check(redis_in_one_place);
}

fn bincode_in_one_file(file: &File) -> Vec<String> {
    if !file.is(&["rs"]) || file.path == "shared-protocol/src/codec.rs" {
        return Vec::new();
    }
    refuse(&file.path, code(&file.text), BINCODE)
}

#[test]
fn one_file_names_bincode() {
    refuses(bincode_in_one_file, "server/src/a.rs", concat!("use bin", "code::serde;"), "codec.rs");
    check(bincode_in_one_file);
}

fn bots_without_server(file: &File) -> Vec<String> {
    let concerned = file.under(&["bot-client/"]) && file.is(&["rs", "toml"]);
    if concerned { refuse(&file.path, code(&file.text), SERVER) } else { Vec::new() }
}

#[test]
fn bots_never_import_the_server() {
    refuses(
        bots_without_server,
        "bot-client/src/a.rs",
        concat!("use tickcast", "_server::game;"),
        "protocol",
    );
    refuses(
        bots_without_server,
        "bot-client/Cargo.toml",
        concat!("tickcast", "-server.workspace = true"),
        "protocol",
    );
    check(bots_without_server);
}

fn telling_name(file: &File) -> Vec<String> {
    let parts = file.path.split('/').map(|part| part.split_once('.').map_or(part, |(stem, _)| stem));
    let source = file.is(&["rs", "js", "mjs", "ts", "lua", "py"]);
    let empty = parts.filter(|stem| source && EMPTY_NAMES.contains(stem));
    empty
        .map(|stem| format!("{}: `{stem}` says nothing: name the file after its subject", file.path))
        .collect()
}

#[test]
fn files_are_named_after_their_subject() {
    refuses(telling_name, "server/src/utils.rs", "", "`utils`");
    refuses(telling_name, "server/src/common/a.rs", "", "`common`");
    check(telling_name);
}

fn sleepless(file: &File) -> Vec<String> {
    if !file.is(&["rs", "py", "js", "mjs", "ts"]) || file.under(&["tests/harness/"]) {
        return Vec::new();
    }
    let all = file.under(&["tests/"]) || file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    let inline = file.text.find("#[cfg(test)]").map_or(file.text.len(), |at| at);
    let skipped = if all { 0 } else { file.text[..inline].lines().count() };
    refuse(&file.path, code(&file.text).skip(skipped), SLEEPS)
}

#[test]
fn tests_do_not_sleep() {
    let nap = concat!("tokio::time::sle", "ep(second).await;");
    refuses(sleepless, "tests/it/a.rs", nap, "step the clock");
    refuses(sleepless, "server/src/a/tests.rs", nap, "step the clock");
    refuses(
        sleepless,
        "server/src/a.rs",
        &format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{nap}\n}}"),
        "a.rs:4",
    );
    accepts(sleepless, "server/src/a.rs", &format!("{nap}\n#[cfg(test)]\nmod tests;"));
    check(sleepless);
}

fn finished(file: &File) -> Vec<String> {
    let source = file.is(&["rs", "js", "mjs", "ts", "lua", "py", "html", "css", "toml", "md"]);
    if source { refuse(&file.path, lines(&file.text), OPEN_ENDS) } else { Vec::new() }
}

#[test]
fn nothing_is_left_open() {
    refuses(finished, "server/src/a.rs", concat!("fn a() { to", "do!() }"), "finish it");
    refuses(finished, "server/web/a.js", concat!("// FIX", "ME later"), "finish it");
    check(finished);
}

fn homeless(file: &File) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    if ["Cargo.lock", "package-lock.json"].contains(&name) {
        return Vec::new();
    }
    let rooted = |(_, line): &(usize, &str), path: &str| {
        let continues = |at: usize| line[..at].ends_with(|c: char| is_word(c) || c == '.');
        line.match_indices(path).any(|(at, _)| !continues(at))
    };
    let mut refused = refuse(&file.path, lines(&file.text), HOSTS);
    for ban in MACHINE_PATHS {
        let there = lines(&file.text).filter(|line| rooted(line, ban.0));
        refused.extend(there.map(|(number, _)| format!("{}:{number}: `{}`; {}", file.path, ban.0, ban.1)));
    }
    refused
}

#[test]
fn no_file_names_a_registry_host_or_a_machine() {
    refuses(homeless, "README.md", concat!("see https://crates", ".io/x"), "in words");
    refuses(homeless, "docs/a.md", concat!("cd /ro", "ot/tickcast"), "relative");
    accepts(homeless, "docs/a.md", concat!("target/ro", "ot/tickcast"));
    check(homeless);
}

fn read(name: &str) -> String {
    fs::read_to_string(top().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn map(text: &str) -> Result<(), String> {
    let count = text.lines().count();
    let fits = count < MAP_LINES_MAX;
    fits.then_some(())
        .ok_or(format!("ARCHITECTURE.md: {count} lines, under {MAP_LINES_MAX}: details belong in docs/"))
}

#[test]
fn the_map_is_short() {
    assert!(map(&"\n".repeat(200)).is_err());
    assert_eq!(map(&read("ARCHITECTURE.md")), Ok(()));
}

/// The first block of commands must stand near the top and start the server, then the bots.
fn readme(text: &str) -> Result<(), String> {
    let mut fences =
        lines(text).filter(|(_, line)| line.trim_start().starts_with("```")).map(|(number, _)| number);
    let wanted = ["cargo run --release", "./test"];
    if let (Some(begin), Some(end)) = (fences.next(), fences.next())
        && begin <= README_COMMANDS_WITHIN
    {
        let block = text.lines().take(end - 1).skip(begin);
        let commands: Vec<&str> =
            block.map(|line| line.split('#').next().unwrap_or_default().trim()).collect();
        if commands == wanted {
            return Ok(());
        }
    }
    Err(format!(
        "README.md: the first block stands within {README_COMMANDS_WITHIN} lines and holds the two commands {wanted:?}"
    ))
}

#[test]
fn the_readme_opens_with_the_two_commands() {
    let good = "# a\n\n```\ncargo run --release  # plays\n./test\n```\n";
    assert_eq!(readme(good), Ok(()));
    assert!(readme("# a\n").is_err());
    assert!(readme("# a\n```\ncargo run --release\n```\n").is_err());
    assert!(readme(&format!("{}{good}", "\n".repeat(30))).is_err());
    assert_eq!(readme(&read("README.md")), Ok(()));
}
