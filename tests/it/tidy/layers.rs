//! Which part of the server may import which: arrows between layers point down only.

use super::{File, accepts, check, code, is_word, refuses};

/// What `server/src/logic` may name of the backplane: values, no port.
const BACKPLANE_VALUES: &[&str] =
    &["Commit", "CommitReply", "FieldName", "MatchFields", "Unavailable", "fields"];

/// What stands after each `crate::` in code, groups taken apart: `crate::a::{b::C, d}` is `[a b C]`, `[a d]`.
fn crate_paths(text: &str) -> Vec<Vec<String>> {
    let code: Vec<&str> = code(text).map(|(_, line)| line).collect();
    let code = code.join("\n");
    let starts = code.match_indices("crate::").map(|(at, found)| (at, at + found.len()));
    let own = starts.filter(|(at, _)| !code[..*at].ends_with(|c: char| is_word(c) || c == ':'));
    own.flat_map(|(_, end)| path_tree(&code[end..])).collect()
}

fn path_tree(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return group_items(group).into_iter().flat_map(path_tree).collect();
    }
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match rest.strip_prefix("::") {
        None if name.is_empty() => Vec::new(),
        None => vec![vec![name.to_owned()]],
        Some(rest) => {
            let mut paths = path_tree(rest);
            if paths.is_empty() {
                paths.push(Vec::new());
            }
            paths.iter_mut().for_each(|path| path.insert(0, name.to_owned()));
            paths
        }
    }
}

/// The items of a group whose opening brace has been read, up to its closing brace.
fn group_items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                items.push(&group[start..at]);
                break;
            }
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn layers(file: &File) -> Vec<String> {
    let in_logic = file.under(&["server/src/logic"]);
    if !file.is(&["rs"]) || !(in_logic || file.under(&["server/src/backplane"])) {
        return Vec::new();
    }
    let allowed = |path: &Vec<String>| match path[0].as_str() {
        "io" | "ops" => false,
        "backplane" if in_logic => path.get(1).is_some_and(|name| BACKPLANE_VALUES.contains(&name.as_str())),
        _ => true,
    };
    // A test of pure code needs some instant to begin at; only the clock has one.
    let begins_at_clock = |path: &Vec<String>| path[..] == ["io", "clock"];
    let (code, tests) = match file.path.ends_with("/tests.rs") {
        true => ("", file.text.as_str()),
        false => file.text.split_once("#[cfg(test)]").unwrap_or((&file.text, "")),
    };
    let in_tests = crate_paths(tests).into_iter().filter(|path| !begins_at_clock(path));
    let up = crate_paths(code).into_iter().chain(in_tests).filter(|path| !allowed(path));
    let instead = "arrows point down: pass a value in, or move the code to server/src/io";
    up.map(|path| format!("{}: `crate::{}`; {instead}", file.path, path.join("::"))).collect()
}

#[test]
fn arrows_point_down() {
    refuses(layers, "server/src/logic/a.rs", "use crate::io::clock;", "crate::io::clock");
    refuses(layers, "server/src/logic/a.rs", "use crate::{\n game,\n ops::{metrics, b}};", "crate::ops::b");
    refuses(layers, "server/src/logic/a.rs", "use crate::backplane::{fields, Backplane};", "Backplane");
    refuses(layers, "server/src/logic/a.rs", "use crate::backplane::*;", "crate::backplane");
    refuses(layers, "server/src/backplane/memory.rs", "let a = crate::io::clock::now();", "crate::io");
    accepts(layers, "server/src/logic/a/tests.rs", "use crate::io::clock;");
    accepts(layers, "server/src/logic/a.rs", "#[cfg(test)]\nmod tests { use crate::io::clock; }");
    refuses(layers, "server/src/logic/a/tests.rs", "use crate::io::node;", "crate::io::node");
    let down = "use crate::backplane::{Commit, CommitReply, MatchFields, fields::{self, TICK}};\nuse crate::game::Game;";
    accepts(layers, "server/src/logic/a.rs", down);
    accepts(layers, "server/src/backplane/memory.rs", "use crate::backplane::{Backplane, Claim};");
    check(layers);
}
