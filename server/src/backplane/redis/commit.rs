//! A commit as a call of its script, and what the script answers.

use redis::{Cmd, FromRedisValue, ParsingError, Value};
use tickcast_protocol::{MatchId, Tick};

use super::scripts::Script;
use super::{add_fence, decimal_ms, unknown};
use crate::backplane::{Channel, Commit, CommitReply, Unavailable, fields};

/// Fields that a plain tick sets besides its ring field: Lua's `unpack` fails above some 8,000 values.
const PLAIN_FIELDS_MAX: usize = 2000;

/// What the script is told of a commit, which goes the short way if it is plain.
fn kind(commit: &Commit) -> &'static str {
    match commit {
        Commit { whole: true, .. } => "whole",
        Commit { again: true, .. } => "again",
        // No tick comes before the first.
        Commit { tick: Tick(0), .. } => "full",
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
        .arg(commit.tick.0.saturating_sub(1))
        .arg(decimal_ms(commit.lease))
        .arg(decimal_ms(commit.lease_longest()))
        .arg(fields::channel(id, Channel::Diff))
        .arg(kind)
        .arg(&commit.ring_field[..])
        .arg(&commit.message[..]);
    for (name, value) in &commit.set {
        call.arg(&name[..]).arg(&value[..]);
    }
    if kind != "plain" {
        for name in &commit.delete {
            call.arg(&name[..]);
        }
        call.arg(commit.delete.len());
    }
    call
}

/// What the script answers. Most ticks are written, so that answer is a number, which a server makes of nothing; the others
/// are a word and the stored tick.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Number(i64),
    Word(String, u64),
}

impl Default for Answer {
    /// As if there were no match.
    fn default() -> Answer {
        Answer::Word("NO_MATCH".to_owned(), 0)
    }
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Answer, ParsingError> {
        if let Value::Int(number) = value {
            return Ok(Answer::Number(number));
        }
        let (word, tick) = redis::from_redis_value(value)?;
        Ok(Answer::Word(word, tick))
    }
}

impl Answer {
    /// What it means.
    pub(super) fn reply(self) -> Result<CommitReply, Unavailable> {
        let (word, stored) = match self {
            Answer::Number(0) => return Ok(CommitReply::Ok),
            Answer::Number(number) => return Err(unknown("a commit", &number.to_string())),
            Answer::Word(word, stored) => (word, Tick(stored)),
        };
        match word.as_str() {
            "DUP_SAME" => Ok(CommitReply::DupSame),
            "DUP_DIFF" => Ok(CommitReply::DupDiff),
            "FENCED" => Ok(CommitReply::Fenced),
            "NO_MATCH" => Ok(CommitReply::NoMatch),
            "BEHIND" => Ok(CommitReply::Behind(stored)),
            "STALE" => Ok(CommitReply::Stale(stored)),
            other => Err(unknown("a commit", other)),
        }
    }
}

#[cfg(test)]
mod tests;
