//! What a refusal by the server means: whether it has run nothing, and what a person can do about it.

use redis::RedisError;

use super::connection::describe;

/// What to do with a refused command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has run nothing and will be able to by itself: the same command may be sent again.
    Later,
    /// Another server is asked from now on; this one has run nothing.
    Elsewhere,
    /// It stays refused until somebody does something.
    Refused,
}

struct Known {
    code: &'static str,
    verdict: Verdict,
    advice: &'static str,
}

const fn known(code: &'static str, verdict: Verdict, advice: &'static str) -> Known {
    Known { code, verdict, advice }
}

/// Codes of the server, the first word of a refusal.
const KNOWN: &[Known] = &[
    known("LOADING", Verdict::Later, "it reads its data from disk and answers when it is done"),
    known("BUSY", Verdict::Later, "a script of somebody else runs there; end it with SCRIPT KILL"),
    known("TRYAGAIN", Verdict::Later, "the slot is being moved"),
    known("CLUSTERDOWN", Verdict::Later, "slots are not served; look at CLUSTER INFO and CLUSTER NODES"),
    known("MASTERDOWN", Verdict::Later, "the replica has no primary; look at INFO replication"),
    known("MOVED", Verdict::Elsewhere, "the slot has moved; if it stays so, write redis+cluster://"),
    known("ASK", Verdict::Elsewhere, "the slot is being moved"),
    known("READONLY", Verdict::Elsewhere, "this server is a replica; give the address of its primary"),
    known("NOREPLICAS", Verdict::Later, "too few replicas are connected (min-replicas-to-write)"),
    known("OOM", Verdict::Refused, "its memory is full; raise maxmemory or end matches"),
    known("MISCONF", Verdict::Refused, "it cannot write to its disk; look at the disk and the server's log"),
    known("NOPERM", Verdict::Refused, "this user lacks a right; grant it with ACL SETUSER"),
    known("NOAUTH", Verdict::Refused, "it wants a password; put it into the address"),
    known("WRONGPASS", Verdict::Refused, "the password is wrong; correct it in the address"),
    known("WRONGTYPE", Verdict::Refused, "somebody else has written to this key; delete it there"),
    known("CROSSSLOT", Verdict::Refused, "the key has no hash tag of its match"),
];

fn of(code: Option<&str>) -> Option<&'static Known> {
    KNOWN.iter().find(|known| Some(known.code) == code)
}

/// What to do with a command that got this answer.
pub(super) fn verdict(error: &RedisError) -> Verdict {
    of(error.code()).map_or(Verdict::Refused, |known| known.verdict)
}

/// The server's own words, and what a person can do.
pub(super) fn explain(error: &RedisError) -> String {
    match of(error.code()) {
        Some(known) => format!("{} ({})", describe(error), known.advice),
        None => describe(error),
    }
}

#[cfg(test)]
mod tests;
