//! What an owner does with the store's answer to a commit. A tick is made once: it is repeated until the store has
//! answered, repaired where the store lost what came before it, or the ownership ends.

use std::time::Duration;

use tickcast_protocol::Tick;

use crate::backplane::{CommitReply, Unavailable};

/// First and longest pause before an unanswered commit is repeated.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_millis(250);

/// Why an ownership ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Another node owns the match now.
    Fenced,
    /// The match is gone.
    NoMatch,
    /// The store and this owner disagree about what was committed.
    Disagreement,
    /// The node stops, or hands the match over.
    Released,
    /// Nobody plays any more.
    Empty,
    /// The game panicked.
    Panicked,
}

/// What to do next with a tick that was sent to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It is committed.
    Committed,
    /// Nobody knows: send the very same again after this pause.
    Repeat(Duration),
    /// The store lost ticks after this one: send the whole state with it.
    Repair(Tick),
    /// Nothing more.
    Stop(Stop),
}

/// A tick on its way to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    pause: Duration,
}

impl Default for Commitment {
    fn default() -> Commitment {
        Commitment { pause: RETRY_MIN }
    }
}

impl Commitment {
    /// Takes in an answer, or that there was none.
    pub fn handle_reply(&mut self, reply: &Result<CommitReply, Unavailable>) -> Answered {
        match reply {
            Ok(CommitReply::Ok | CommitReply::DupSame) => Answered::Committed,
            Ok(CommitReply::Behind(stored)) => Answered::Repair(*stored),
            Ok(CommitReply::Fenced) => Answered::Stop(Stop::Fenced),
            Ok(CommitReply::NoMatch) => Answered::Stop(Stop::NoMatch),
            Ok(CommitReply::DupDiff | CommitReply::Stale(_)) => Answered::Stop(Stop::Disagreement),
            Err(Unavailable(_)) => {
                let pause = self.pause;
                self.pause = (pause * 2).min(RETRY_MAX);
                Answered::Repeat(pause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_consequence() {
        let mut commitment = Commitment::default();
        let silence = || Err(Unavailable("OOM".to_owned()));
        assert_eq!(commitment.handle_reply(&silence()), Answered::Repeat(RETRY_MIN));
        assert_eq!(commitment.handle_reply(&silence()), Answered::Repeat(RETRY_MIN * 2));
        for _ in 0..20 {
            commitment.handle_reply(&silence());
        }
        assert_eq!(
            commitment.handle_reply(&silence()),
            Answered::Repeat(RETRY_MAX),
            "it is repeated for ever"
        );
        assert_eq!(commitment.handle_reply(&Ok(CommitReply::DupSame)), Answered::Committed);
        let behind = Ok(CommitReply::Behind(Tick(40)));
        assert_eq!(commitment.handle_reply(&behind), Answered::Repair(Tick(40)));
        for (reply, stop) in [
            (CommitReply::Fenced, Stop::Fenced),
            (CommitReply::NoMatch, Stop::NoMatch),
            (CommitReply::DupDiff, Stop::Disagreement),
            (CommitReply::Stale(Tick(9)), Stop::Disagreement),
        ] {
            assert_eq!(commitment.handle_reply(&Ok(reply)), Answered::Stop(stop));
        }
    }
}
