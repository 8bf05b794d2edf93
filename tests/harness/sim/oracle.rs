//! What must be true of every commit and of every state that a client sees, checked as it happens.

use std::collections::BTreeMap;

use bytes::Bytes;
use tickcast_protocol::{Fence, InputSeq, Position, Tick};
use tickcast_server::backplane::{Commit, CommitReply};
use tickcast_server::logic::channel::{self, FromOwner};

/// Watches one match.
#[derive(Default)]
pub struct Oracle {
    committed: BTreeMap<Tick, (Fence, u32)>,
    seen: BTreeMap<usize, (Position, Option<InputSeq>)>,
    /// States compared with the committed one.
    pub comparisons: u64,
}

impl Oracle {
    /// A commit was answered. Only OK may be news, it must be the next tick, and it must be the fence's that
    /// the store holds.
    pub fn handle_commit(&mut self, commit: &Commit, reply: &CommitReply, stored: Fence) {
        let last = self.committed.last_key_value().map_or(Tick(0), |(tick, _)| *tick);
        let hash = hash_of(&commit.message);
        match reply {
            CommitReply::Ok => {
                assert_eq!(commit.tick, last.next(), "ticks are committed without a hole");
                assert_eq!(commit.fence, stored, "only the stored ownership commits");
                self.committed.insert(commit.tick, (commit.fence, hash));
            }
            CommitReply::DupSame => {
                assert_eq!(self.committed.get(&commit.tick), Some(&(commit.fence, hash)), "a repeat repeats");
            }
            CommitReply::Fenced => assert_ne!(commit.fence, stored),
            CommitReply::DupDiff | CommitReply::Behind(_) | CommitReply::Stale(_) | CommitReply::NoMatch => {
                panic!("an owner never gets {reply:?} while the store keeps its data")
            }
        }
    }

    /// A client's state is at this position now. `jump`: it came with a snapshot.
    pub fn handle_state(
        &mut self,
        client: usize,
        at: Position,
        hash: u32,
        jump: bool,
        acknowledged: Option<InputSeq>,
    ) {
        if at.tick > Tick(0) {
            let committed =
                self.committed.get(&at.tick).expect("no client sees a tick before it is committed");
            assert_eq!(committed.1, hash, "client {client} at tick {}", at.tick);
        }
        if let Some((before, seq_before)) = self.seen.get(&client) {
            if jump {
                assert!(at.tick >= before.tick, "never backwards");
            } else {
                assert_eq!(at.tick, before.tick.next(), "client {client}: contiguous ticks");
            }
            assert!(seq_before.is_none() || acknowledged >= *seq_before, "inputs are acknowledged in order");
        }
        self.comparisons += 1;
        self.seen.insert(client, (at, acknowledged));
    }

    /// The last committed tick.
    pub fn last(&self) -> Tick {
        self.committed.last_key_value().map_or(Tick(0), |(tick, _)| *tick)
    }

    /// How many ownerships have committed.
    pub fn owners(&self) -> usize {
        let mut fences: Vec<Fence> = self.committed.values().map(|(fence, _)| *fence).collect();
        fences.dedup();
        fences.len()
    }
}

fn hash_of(message: &Bytes) -> u32 {
    match channel::parse_from_owner(message) {
        Ok(FromOwner::Tick(tick)) => tick.hash,
        other => panic!("a commit carries a tick, not {other:?}"),
    }
}
