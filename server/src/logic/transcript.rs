//! What a node that follows a match knows of its chat: the last lines that were committed, and which of them its
//! clients have not been shown yet.

use std::collections::VecDeque;

use tickcast_protocol::chat::ChatLine;
use tickcast_protocol::limits::CHAT_LINES_MAX;

/// The last lines of a match.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    lines: VecDeque<ChatLine>,
    /// So many at the end are new.
    fresh: usize,
}

impl Transcript {
    /// Begins at what is stored; whoever listens from now on is told of it as of history.
    pub fn new(lines: Vec<ChatLine>) -> Transcript {
        Transcript { lines: lines.into(), fresh: 0 }
    }

    /// Takes in what was said, in its order; what is known already changes nothing.
    pub fn add(&mut self, lines: impl IntoIterator<Item = ChatLine>) {
        for line in lines {
            if self.lines.back().is_none_or(|last| last.number < line.number) {
                self.lines.push_back(line);
                self.fresh += 1;
            }
            // Of what went by unheard, the match itself knows no more.
            if self.lines.len() > CHAT_LINES_MAX {
                self.lines.pop_front();
            }
        }
        self.fresh = self.fresh.min(self.lines.len());
    }

    /// Whether there are such lines.
    pub fn has_fresh(&self) -> bool {
        self.fresh > 0
    }

    /// The lines that are new since the last call.
    pub fn take_fresh(&mut self) -> Vec<ChatLine> {
        let begin = self.lines.len() - std::mem::take(&mut self.fresh);
        self.lines.range(begin..).cloned().collect()
    }

    /// What somebody of this team, 0 for none, may read of what was said before the lines that are new.
    pub fn history(&self, team: u32) -> Vec<ChatLine> {
        let told = self.lines.iter().take(self.lines.len() - self.fresh);
        told.filter(|line| line.is_for(team)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::{PlayerId, Tick};

    use super::*;

    fn line(number: u64, team: u32) -> ChatLine {
        let (name, text) = ("Zoë".to_owned().try_into().unwrap(), "hi".to_owned().try_into().unwrap());
        ChatLine { number, tick: Tick(number), from: PlayerId(7), seq: number as u32, team, name, text }
    }

    fn numbers(lines: &[ChatLine]) -> Vec<u64> {
        lines.iter().map(|line| line.number).collect()
    }

    #[test]
    fn each_line_is_new_once() {
        let mut transcript = Transcript::new(vec![line(1, 0)]);
        assert_eq!(numbers(&transcript.take_fresh()), [0; 0]);
        transcript.add([line(1, 0), line(2, 0), line(3, 0)]);
        assert_eq!(numbers(&transcript.history(0)), [1], "what is new is not history yet");
        assert_eq!(numbers(&transcript.take_fresh()), [2, 3]);
        transcript.add([line(2, 0), line(3, 0)]);
        assert_eq!(numbers(&transcript.take_fresh()), [0; 0]);
        assert_eq!(numbers(&transcript.history(0)), [1, 2, 3]);
    }

    #[test]
    fn a_team_reads_its_own_and_what_is_for_everyone() {
        let transcript = Transcript::new(vec![line(1, 1), line(2, 0), line(3, 2)]);
        assert_eq!(numbers(&transcript.history(0)), [2]);
        assert_eq!(numbers(&transcript.history(1)), [1, 2]);
        assert_eq!(numbers(&transcript.history(2)), [2, 3]);
    }

    #[test]
    fn memory_stays_bounded() {
        let mut transcript = Transcript::default();
        transcript.add((1..=10_000).map(|number| line(number, 0)));
        assert_eq!(transcript.history(0).len(), 0);
        assert_eq!(transcript.take_fresh().len(), CHAT_LINES_MAX);
        assert_eq!(transcript.history(0).last().map(|line| line.number), Some(10_000));
    }
}
