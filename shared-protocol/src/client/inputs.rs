//! The inputs that the state has not acknowledged: kept to be sent again, because whoever should have applied them
//! may be gone.

use std::collections::VecDeque;

use crate::ids::InputSeq;
use crate::limits::INPUT_SEQ_AHEAD_MAX;
use crate::message::ClientMessage;
use crate::tick::Tick;
use crate::values::InputValues;

/// Inputs that a client keeps; of more it gives up the oldest. An owner takes in no input further ahead.
pub const INPUTS_KEPT_MAX: usize = INPUT_SEQ_AHEAD_MAX as usize;

#[derive(Debug, Clone)]
struct Input {
    seq: InputSeq,
    seen: Tick,
    behind: u16,
    values: InputValues,
}

impl Input {
    fn to_frame(&self) -> Vec<u8> {
        let Input { seq, seen, behind, ref values } = *self;
        ClientMessage::Input { seq, seen, behind, values: values.clone() }.to_frame()
    }
}

/// What a player said and the state does not show yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs {
    last_seq: InputSeq,
    kept: VecDeque<Input>,
    sent_again: u64,
}

impl Inputs {
    /// The number of the last input.
    pub(super) fn last_seq(&self) -> InputSeq {
        self.last_seq
    }

    /// How many times an input was sent again.
    pub(super) fn sent_again(&self) -> u64 {
        self.sent_again
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Numbers an input and keeps it; as a frame. `None` when there is no number left.
    pub(super) fn push(&mut self, seen: Tick, behind: u16, values: &[i32]) -> Option<Vec<u8>> {
        let seq = InputSeq(self.last_seq.0.checked_add(1).filter(|next| *next <= i32::MAX as u32)?);
        self.last_seq = seq;
        if self.kept.len() == INPUTS_KEPT_MAX {
            self.kept.pop_front();
        }
        let input = Input { seq, seen, behind, values: values.into() };
        let frame = input.to_frame();
        self.kept.push_back(input);
        Some(frame)
    }

    /// The state holds everything up to this number. It may be beyond ours: a seat that was given back has its own past.
    pub(super) fn acknowledge(&mut self, applied: InputSeq) {
        self.last_seq = self.last_seq.max(applied);
        while self.kept.front().is_some_and(|input| input.seq <= applied) {
            self.kept.pop_front();
        }
    }

    /// All that are kept, to be sent again as they were.
    pub(super) fn send_again(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.sent_again += self.kept.len() as u64;
        self.kept.iter().map(Input::to_frame)
    }
}
