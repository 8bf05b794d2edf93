//! A bot between two connections: since when it is without its match, and where its node asked it to go.

use std::time::Duration;

use crate::tally::{Marks, Sample};

/// The node asked the bot to connect anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Within this time.
    pub within: Duration,
    /// Where to; `None` for where it would connect anyway.
    pub url: Option<String>,
}

/// Whether a bot is away, and what it was asked.
#[derive(Debug, Default)]
pub struct Absence {
    since: Option<Duration>,
    asked: Option<Move>,
}

impl Absence {
    /// Whether it lost its connection and does not have the state on another one yet.
    pub fn is_away(&self) -> bool {
        self.since.is_some()
    }

    /// The connection was lost at `now`.
    pub fn handle_loss(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// Another connection begins: what was asked on the last one is done.
    pub fn handle_resume(&mut self, now: Duration) {
        self.handle_loss(now);
        self.asked = None;
    }

    /// The whole state is there: on another connection, this ends the time away. Whether it did.
    pub fn handle_return(&mut self, now: Duration, marks: &mut Marks) -> bool {
        let Some(since) = self.since.take() else { return false };
        marks.recovery.reconnects += 1;
        marks.samples.push(Sample::Away(now.saturating_sub(since)));
        true
    }

    /// The node asks the bot to connect anew.
    pub fn handle_asked(&mut self, within: Duration, url: Option<String>) {
        self.asked = Some(Move { within, url });
    }

    /// What the node asked for since the last call.
    pub fn take_move(&mut self) -> Option<Move> {
        self.asked.take()
    }
}
