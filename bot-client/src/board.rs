//! What the clients of one match in this process tell each other: states to compare, and inputs to watch for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tickcast_protocol::chat::ChatLine;
use tickcast_protocol::{InputSeq, PlayerId, Position, Tick};

use crate::tally::{Marks, Sample};
use crate::timer::Due;
use crate::verify::{Comparison, Held, StateCheck};

/// Inputs of a player that nobody has seen yet; further ones are not watched for.
const SENT_MAX: usize = 4096;

/// Lines of chat that are kept for comparison.
const LINES_MAX: usize = 1024;

/// An input that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub seq: InputSeq,
    /// When it was due.
    pub due: Due,
}

/// One match.
#[derive(Debug)]
pub struct Board {
    check: StateCheck,
    players: Vec<Seat>,
    /// What was heard, by tick and number: a match that was set back has other lines at the same numbers.
    lines: BTreeMap<(Tick, u64), ChatLine>,
}

#[derive(Debug, Default)]
struct Seat {
    player: Option<PlayerId>,
    sent: VecDeque<Sent>,
}

impl Board {
    /// A match with this many players in this process.
    pub fn new(players: usize) -> Board {
        let players = (0..players).map(|_| Seat::default()).collect();
        Board { check: StateCheck::default(), players, lines: BTreeMap::new() }
    }

    /// The player in a seat, once the server has said who it is.
    pub fn player(&self, seat: usize) -> Option<PlayerId> {
        self.players[seat].player
    }

    /// The server has said who the player in a seat is.
    pub fn handle_player(&mut self, seat: usize, player: PlayerId) {
        self.players[seat].player = Some(player);
    }

    /// A client is at this position and holds this.
    pub fn handle_state(&mut self, position: Position, held: &Held, marks: &mut Marks) {
        match self.check.handle_state(position, held) {
            Comparison::First => {}
            Comparison::Equal => marks.checks.state_comparisons += 1,
            Comparison::Different => {
                marks.checks.state_comparisons += 1;
                marks.checks.state_mismatches += 1;
            }
            Comparison::TooLate => marks.checks.state_too_late += 1,
        }
    }

    /// A client has heard a line.
    pub fn handle_line(&mut self, line: ChatLine, marks: &mut Marks) {
        let first = self.lines.entry((line.tick, line.number)).or_insert_with(|| line.clone());
        marks.checks.chat_mismatches += u64::from(*first != line);
        if self.lines.len() > LINES_MAX {
            self.lines.pop_first();
        }
    }

    /// The player in a seat sends an input that is to be measured.
    pub fn handle_sent(&mut self, seat: usize, sent: Sent) {
        let queue = &mut self.players[seat].sent;
        if queue.len() < SENT_MAX {
            queue.push_back(sent);
        }
    }

    /// A watcher sees this as the last applied input of the player in a seat.
    pub fn handle_seen(&mut self, seat: usize, seen: InputSeq, now: Duration, marks: &mut Marks) {
        let queue = &mut self.players[seat].sent;
        while let Some(sent) = queue.front().filter(|sent| sent.seq <= seen).copied() {
            queue.pop_front();
            marks.samples.extend(sent.due.latencies(now).map(Sample::ViewLatency));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u32, at_ms: u64) -> Sent {
        let due = Due { at: Duration::from_millis(at_ms), slots: 1, period: Duration::from_millis(10) };
        Sent { seq: InputSeq(seq), due }
    }

    #[test]
    fn an_input_is_measured_when_it_is_seen() {
        let (mut board, mut marks) = (Board::new(2), Marks::default());
        for (seq, at_ms) in [(1, 100), (2, 110), (3, 120)] {
            board.handle_sent(1, sent(seq, at_ms));
        }
        board.handle_seen(1, InputSeq(0), Duration::from_millis(115), &mut marks);
        assert_eq!(marks.samples, []);
        board.handle_seen(1, InputSeq(2), Duration::from_millis(130), &mut marks);
        let ms = |ms| Sample::ViewLatency(Duration::from_millis(ms));
        assert_eq!(marks.samples, [ms(30), ms(20)]);
    }
}
