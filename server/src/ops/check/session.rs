//! One connection of a client, as its history tells it: ticks one after the other, or a reason why not.

use tickcast_protocol::{Fence, PlayerId, Tick};

use super::findings::{Findings, Place, Rule};

/// States of one owner, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) fence: Fence,
    pub(super) last: Tick,
    /// Where the last one stands.
    pub(super) place: Place,
    /// Whether the client was told later that the state is set back.
    pub(super) told: bool,
}

/// What is expected of the next state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Next {
    /// Whatever comes: it is the first one, or one after a reset.
    #[default]
    Any,
    /// Not an earlier one: the client lost the thread and asked for the whole state.
    Later,
    /// The very next one.
    Following,
}

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) joined: bool,
    pub(super) player: Option<PlayerId>,
    pub(super) runs: Vec<Run>,
    next: Next,
}

impl Session {
    /// The client has this state.
    pub(super) fn handle_seen(
        &mut self,
        fence: Fence,
        tick: Tick,
        merged: bool,
        place: Place,
        findings: &mut Findings,
    ) {
        let before = self.runs.last().map(|run| run.last).unwrap_or_default();
        let broken = match self.next {
            Next::Any => None,
            Next::Later | Next::Following if tick < before => Some("without a reset"),
            Next::Following if tick > before.next() && !merged => {
                Some("without a word about the ticks between")
            }
            Next::Later | Next::Following => None,
        };
        if let Some(how) = broken {
            let text = format!("a client went from tick {before} to {tick} {how}");
            findings.violation(Rule::NothingUndone, place, text);
        }
        self.next = Next::Following;
        match self.runs.last_mut() {
            Some(run) if run.fence == fence && !run.told && tick >= run.last => {
                (run.last, run.place) = (tick, place);
            }
            _ => self.runs.push(Run { fence, last: tick, place, told: false }),
        }
    }

    /// The server said that the state is set back.
    pub(super) fn handle_reset(&mut self) {
        self.next = Next::Any;
        self.runs.iter_mut().for_each(|run| run.told = true);
    }

    /// The client lost the thread, and knows it.
    pub(super) fn handle_lost(&mut self) {
        if self.next == Next::Following {
            self.next = Next::Later;
        }
    }
}
