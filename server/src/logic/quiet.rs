//! Which ticks a relay holds back: those that leave everything as it was, until one comes that does not, or until clients
//! would wonder whether anybody is there. What was held back is told by a flag of the next frame.

use std::time::Duration;

use bytes::Bytes;
use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::{Tick, TickRate};

use crate::logic::rest::{self, Still};

/// What was held back of one match.
#[derive(Debug)]
pub struct Quiet {
    /// Ticks that may be held back in a row.
    most: u64,
    /// Ticks from one end of a rest to the next: the others of a match at rest may come late.
    span: u64,
    still: Still,
    held: u64,
    /// The diff of the last tick that is held back.
    last: Bytes,
}

/// What becomes of a tick.
#[derive(Debug, PartialEq, Eq)]
pub enum Passing {
    /// It is held back.
    Held,
    /// These frames are sent.
    Sent {
        /// In their order.
        frames: Vec<Bytes>,
        /// Ticks before it that were held back.
        after: u64,
    },
}

impl Quiet {
    /// Lets nobody wait for a frame for longer than this; nothing is held back where that is less than two ticks.
    pub fn new(longest: Duration, tick_rate: TickRate) -> Quiet {
        let ticks = longest.as_millis() as u64 * u64::from(tick_rate.hz()) / 1000;
        let (most, span) = (ticks.saturating_sub(1), rest::span(tick_rate));
        Quiet { most, span, still: Still::default(), held: 0, last: Bytes::new() }
    }

    /// Takes in the frames of a tick, or of several that were missed and lead to it; the hash of the state they lead to; and
    /// whether something was said besides.
    pub fn handle_tick(&mut self, tick: Tick, frames: &[Bytes], hash: u32, says: bool) -> Passing {
        let before = self.still.hash();
        self.still.handle_tick(hash, !says && matches!(frames, [diff] if is_empty(diff)));
        if self.still.is_still() && self.may_hold(tick) {
            self.held += 1;
            self.last = frames[0].clone();
            return Passing::Held;
        }
        let (mut frames, after) = (frames.to_vec(), std::mem::take(&mut self.held));
        if after > 0 {
            let last = std::mem::take(&mut self.last);
            match frames
                .first()
                .filter(|_| is_one_tick(&frames))
                .and_then(|diff| frame::after_quiet(diff, hash))
            {
                Some(diff) => frames[0] = diff.into(),
                // Its own hash is not at hand, or an OWNER comes first, which is for those who are at its very tick.
                None => {
                    let quiet = before.and_then(|before| frame::after_quiet(&last, before));
                    frames.splice(..0, quiet.map(Bytes::from));
                }
            }
        }
        Passing::Sent { frames, after }
    }

    /// Whether another quiet tick may be held back: not if it ends a rest, and at the end of the next one clients would
    /// have waited for too long.
    fn may_hold(&self, tick: Tick) -> bool {
        let is_on_time = tick.0.is_multiple_of(self.span);
        self.held < self.most && !(is_on_time && self.held + self.span > self.most)
    }

    /// Ticks that are held back now.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// The state was loaded, with this hash and something moving in it or not; everybody gets it whole.
    pub fn handle_load(&mut self, hash: u32, rests: bool) {
        (self.still, self.held) = (Still::of(hash, rests), 0);
    }
}

/// Whether a frame is a diff in which everything went as it was guessed.
pub fn is_empty(diff: &[u8]) -> bool {
    matches!(frame::parse(diff), Ok(StateFrame::Diff { payload: [], .. }))
}

/// Whether no second tick is behind the first frame.
fn is_one_tick(frames: &[Bytes]) -> bool {
    frames[1..].iter().all(|frame| frame.first() == Some(&frame::PRIOR))
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::{Epoch, Fence, Nonce, Position, Tick};

    use super::*;

    const FENCE: Fence = Fence { epoch: Epoch(1), nonce: Nonce(7) };

    fn diff(tick: u64, payload: &[u8]) -> Bytes {
        frame::diff(Position { fence: FENCE, tick: Tick(tick) }, 2, None, payload).into()
    }

    fn quiet(ms: u64) -> Quiet {
        Quiet::new(Duration::from_millis(ms), TickRate::try_from(10u64).unwrap())
    }

    /// The ticks of these numbers that are sent, and how many were held back before each, where all have one hash.
    fn sent(quiet: &mut Quiet, ticks: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        let mut sent = Vec::new();
        for tick in ticks {
            if let Passing::Sent { frames, after } =
                quiet.handle_tick(Tick(tick), &[diff(tick, &[])], 9, false)
            {
                let flagged = frame::after_quiet(&diff(tick, &[]), 9).map(Bytes::from);
                let expected = if after > 0 { flagged } else { Some(diff(tick, &[])) };
                assert_eq!((frames.len(), frames.first()), (1, expected.as_ref()), "tick {tick}");
                sent.push((tick, after));
            }
        }
        sent
    }

    #[test]
    fn after_three_still_ticks_one_frame_comes_in_the_longest_time() {
        assert_eq!(sent(&mut quiet(1000), 1..=24), [(1, 0), (2, 0), (3, 0), (10, 6), (20, 9)]);
        assert_eq!(sent(&mut quiet(500), 1..=15), [(1, 0), (2, 0), (3, 0), (5, 1), (10, 4), (15, 4)]);
        assert_eq!(
            sent(&mut quiet(300), 6..=18),
            [(6, 0), (7, 0), (8, 0), (10, 1), (13, 2), (15, 1), (18, 2)]
        );
        let all: Vec<(u64, u64)> = (1..=9).map(|tick| (tick, 0)).collect();
        for off in [0, 100, 199] {
            assert_eq!(sent(&mut quiet(off), 1..=9), all, "{off} ms");
        }
    }

    #[test]
    fn whatever_tells_something_comes_at_once_and_makes_the_next_ticks_wait_for_nothing() {
        let cases: [(Bytes, u32, bool); 3] =
            [(diff(6, b"x"), 9, false), (diff(6, &[]), 8, false), (diff(6, &[]), 9, true)];
        for (frame, hash, says) in cases {
            let mut quiet = quiet(1000);
            sent(&mut quiet, 1..=5);
            assert_eq!(quiet.held(), 2);
            let flagged = frame::after_quiet(&frame, hash).unwrap().into();
            let expected = Passing::Sent { frames: vec![flagged], after: 2 };
            assert_eq!(quiet.handle_tick(Tick(6), &[frame], hash, says), expected);
            let again = sent(&mut quiet, 7..=11);
            assert_eq!(again[..2], [(7, 0), (8, 0)], "hash {hash}");
            assert!(quiet.held() > 0);
        }
    }

    #[test]
    fn what_is_no_single_diff_comes_behind_the_last_that_was_held_back() {
        let at = Position { fence: FENCE, tick: Tick(5) };
        let owner = Bytes::from(frame::owner(at));
        for frames in [vec![owner, diff(6, b"x")], vec![diff(6, b"x"), diff(7, b"y")]] {
            let mut quiet = quiet(1000);
            sent(&mut quiet, 1..=5);
            let mut expected = vec![Bytes::from(frame::after_quiet(&diff(5, &[]), 9).unwrap())];
            expected.extend(frames.clone());
            assert_eq!(
                quiet.handle_tick(Tick(7), &frames, 4, false),
                Passing::Sent { frames: expected, after: 2 }
            );
        }
        let mut quiet = quiet(1000);
        sent(&mut quiet, 1..=5);
        let prior = Bytes::from(frame::prior(at, b"p"));
        let Passing::Sent { frames, .. } =
            quiet.handle_tick(Tick(6), &[diff(6, &[]), prior.clone()], 9, false)
        else {
            panic!("a prior tells something")
        };
        assert_eq!(frames[1..], [prior]);
        assert_eq!(frame::after_quiet(&frames[0], 9).as_deref(), Some(&frames[0][..]), "flagged");
    }

    #[test]
    fn nothing_is_owed_to_those_who_get_the_state_whole() {
        let mut quiet = quiet(1000);
        sent(&mut quiet, 1..=5);
        quiet.handle_load(9, false);
        assert_eq!(
            (quiet.held(), sent(&mut quiet, 6..=8)),
            (0, vec![(6, 0), (7, 0)]),
            "three tell that all is still"
        );
        // Its ticks may come late from the first one on.
        quiet.handle_load(9, true);
        assert_eq!(sent(&mut quiet, 9..=20), [(15, 6)]);
    }
}
