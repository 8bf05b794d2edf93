//! What the clients of a match in segments get, of whom not all see the same: cut out of the owner's frames, never
//! encoded for one client. Who sees the same shares the bytes; so does who gets a segment anew in the same tick.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tickcast_protocol::replica::Replica;
use tickcast_protocol::sections::{self, Index, Section};
use tickcast_protocol::{Position, SegmentId, Tick, frame};

use super::Seal;
use crate::logic::views::View;

/// Bytes of a frame in segments before its sections.
const HEADER_BYTES: usize = 4;

/// What a client has, or will have when what is under way to it has arrived: all of its view as of a tick.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    pub(super) position: Position,
    /// Number of the prior that it reads the next diff with.
    pub(super) prior: u8,
}

impl Since {
    /// Where everybody is who is in step.
    pub(super) fn of(replica: &Replica) -> Since {
        Since { position: replica.position(), prior: replica.prior().number() }
    }

    /// The ticks that one frame leads over to a replica's state: its owner and its prior have to be the same.
    pub(super) fn span_to(self, replica: &Replica) -> Option<u8> {
        let to = replica.position();
        let span = to.tick.0.checked_sub(self.position.tick.0)?;
        let goes_on = to.fence == self.position.fence && replica.prior().number() == self.prior;
        u8::try_from(span).ok().filter(|span| goes_on && *span > 0)
    }
}

/// Two views: of the tick before and of this one.
type Turn = (View, View);

/// What is cut, most of it for one tick.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// The frames that lead to the last tick: of one tick, or of several that were missed.
    frames: Vec<Bytes>,
    /// Of the last diff among them.
    index: Index,
    ticks: BTreeMap<Turn, Bytes>,
    leaps: BTreeMap<(Tick, Turn, bool), Bytes>,
    views: BTreeMap<(View, bool), Bytes>,
    entered: BTreeMap<SegmentId, Arc<[u8]>>,
}

impl Cuts {
    /// There is a new tick, or several that were missed, told by these frames.
    pub(super) fn handle_ticks(&mut self, frames: &[Bytes]) {
        self.forget();
        self.frames = frames.to_vec();
        let diff = frames.iter().rev().find(|frame| is_in_segments(frame));
        // A relay does not pass on what it cannot read.
        self.index = diff.and_then(|diff| Index::of(&diff[HEADER_BYTES..]).ok()).unwrap_or_default();
    }

    /// The state was loaded anew, and nobody has anything of what was before.
    pub(super) fn handle_load(&mut self) {
        self.forget();
        self.frames.clear();
    }

    fn forget(&mut self) {
        self.ticks.clear();
        self.leaps.clear();
        self.views.clear();
        self.entered.clear();
    }

    /// Where the ticks that were told last began, of this replica's: who was in step has that. `None` if one frame cannot
    /// lead over them.
    pub(super) fn missed_since(&self, replica: &Replica) -> Option<Since> {
        let diffs = self.frames.iter().filter(|frame| is_in_segments(frame)).count();
        let Position { fence, tick } = replica.position();
        let before = Position { fence, tick: Tick(tick.0.checked_sub(diffs as u64)?) };
        (diffs == self.frames.len()).then_some(Since { position: before, prior: replica.prior().number() })
    }

    /// Whether what was told last is one tick.
    pub(super) fn is_one_tick(&self) -> bool {
        self.frames.iter().filter(|frame| is_in_segments(frame)).count() == 1
    }

    /// The last tick, for who had one view before it and has another one now.
    pub(super) fn tick(&mut self, seal: Seal, replica: &Replica, turn: Turn) -> Bytes {
        if let Some(bytes) = self.ticks.get(&turn) {
            return bytes.clone();
        }
        let (index, entered) = (&self.index, &mut self.entered);
        let cut = |diff: &Bytes| {
            let mut out = diff[..HEADER_BYTES].to_vec();
            let enter = |segment, out: &mut Vec<u8>| out.extend_from_slice(&enter(entered, replica, segment));
            index.cut(&diff[HEADER_BYTES..], &turn.0, &turn.1, enter, &mut out);
            out
        };
        let diff = self.frames.iter().find(|frame| is_in_segments(frame)).map(cut).unwrap_or_default();
        let whole = |frame| if is_in_segments(frame) { &diff[..] } else { &frame[..] };
        let bytes = seal(&self.frames.iter().map(whole).collect::<Vec<_>>());
        self.ticks.insert(turn, bytes.clone());
        bytes
    }

    /// All that is in a view.
    pub(super) fn view(&mut self, seal: Seal, replica: &Replica, view: &View, announce: bool) -> Bytes {
        let entered = &mut self.entered;
        let whole = || {
            let (mut prior, mut out) = (Vec::new(), Vec::new());
            replica.prior().encode(&mut prior);
            view.iter().for_each(|segment| out.extend_from_slice(&enter(entered, replica, *segment)));
            super::sealed(seal, replica, &frame::view(replica.position(), &prior, &out), announce)
        };
        self.views.entry((Arc::clone(view), announce)).or_insert_with(whole).clone()
    }

    /// What is not what it was, over so many ticks, for who had one view then and has another one now.
    pub(super) fn leap(
        &mut self,
        seal: Seal,
        replica: &Replica,
        (from, span): (Tick, u8),
        turn: Turn,
        announce: bool,
    ) -> Bytes {
        let key = (from, turn, announce);
        if let Some(bytes) = self.leaps.get(&key) {
            return bytes.clone();
        }
        let mut out = Vec::new();
        let Some(segments) = replica.segments() else { return Bytes::new() };
        for (segment, had, has) in sections::merged(&key.1.0, &key.1.1) {
            let is_there = segments.get(segment).is_some();
            match (had, has) {
                (true, true) if segments.has_rested(segment, u64::from(span)) => {}
                (_, true) if is_there => {
                    out.extend_from_slice(&enter(&mut self.entered, replica, segment));
                }
                (true, _) => sections::put(&mut out, segment, Section::Left),
                _ => {}
            }
        }
        let bytes = super::sealed(seal, replica, &frame::leap(replica.position(), span, &out), announce);
        self.leaps.insert(key, bytes.clone());
        bytes
    }
}

/// Whether a frame is the diff of a match in segments.
pub(super) fn is_in_segments(frame: &Bytes) -> bool {
    frame.first().is_some_and(|first| first & !frame::DIFF_PRIOR == frame::SEGMENTS)
}

/// The section of a segment for who gets it anew in this tick; empty where it has no entity.
fn enter(entered: &mut BTreeMap<SegmentId, Arc<[u8]>>, replica: &Replica, segment: SegmentId) -> Arc<[u8]> {
    let encode = || {
        let section = replica.segments().and_then(|segments| segments.entered(segment));
        section.unwrap_or_default().into()
    };
    Arc::clone(entered.entry(segment).or_insert_with(encode))
}
