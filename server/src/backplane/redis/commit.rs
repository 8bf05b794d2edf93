//! A commit as a call of its script, and what the script answers.

use redis::Cmd;
use tickcast_protocol::MatchId;

use super::scripts::Script;
use super::{add_fence, decimal_ms};
use crate::backplane::{Channel, Commit, fields};

/// Fields that a plain tick sets besides its ring field: Lua's `unpack` fails above some 8,000 values.
const PLAIN_FIELDS_MAX: usize = 2000;

/// What the script is told of a commit, which goes the short way if it is plain.
fn kind(commit: &Commit) -> &'static str {
    match commit {
        Commit { whole: true, .. } => "whole",
        Commit { again: true, .. } => "again",
        Commit { set, delete, .. } if delete.is_empty() && set.len() <= PLAIN_FIELDS_MAX => "plain",
        Commit { .. } => "full",
    }
}

/// The call; `tick.lua` names its arguments.
pub(super) fn call(script: &Script, id: &MatchId, commit: &Commit) -> Cmd {
    let kind = kind(commit);
    let mut call = script.call(&[&fields::key(id)]);
    add_fence(&mut call, commit.fence);
    call.arg(commit.tick.0)
        .arg(decimal_ms(commit.lease))
        .arg(fields::channel(id, Channel::Diff))
        .arg(kind)
        .arg(&commit.ring_field)
        .arg(&commit.message[..]);
    for (name, value) in &commit.set {
        call.arg(name).arg(&value[..]);
    }
    if kind != "plain" {
        for name in &commit.delete {
            call.arg(name);
        }
        call.arg(commit.delete.len());
    }
    call
}
