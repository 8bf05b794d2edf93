//! The client's half of the chat: what was said and not heard back yet, and which lines are new.

use std::collections::VecDeque;

use crate::chat::{ChatLine, ChatTo};
use crate::ids::PlayerId;
use crate::limits::{CHAT_BYTES_MAX, CHAT_LINES_MAX};
use crate::message::ClientMessage;
use crate::tick::Tick;

/// So much of a text is sent: more than is ever said, so that what is cut is refused as too long, and a frame that holds it.
const TEXT_BYTES_SENT: usize = 2 * CHAT_BYTES_MAX;

/// Lines that a client keeps until it hears them; of more it gives up the oldest. A server takes as many at once.
pub const SAID_KEPT_MAX: usize = 5;

/// What was said, by us and by others.
#[derive(Debug, Clone, Default)]
pub(super) struct Talk {
    last_seq: u32,
    kept: VecDeque<(u32, ClientMessage)>,
    /// Number and tick of the lines that were shown last.
    shown: VecDeque<(u64, Tick)>,
}

impl Talk {
    /// Numbers what is said, and keeps it until it is heard.
    pub(super) fn say(&mut self, to: ChatTo, text: &str) -> (u32, Vec<u8>) {
        let seq = self.last_seq.saturating_add(1);
        self.last_seq = seq;
        let text = text.char_indices().take_while(|(at, _)| *at < TEXT_BYTES_SENT).map(|(_, c)| c).collect();
        let message = ClientMessage::Chat { seq, to, text };
        let frame = message.to_frame();
        if self.kept.len() == SAID_KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((seq, message));
        (seq, frame)
    }

    /// Those of these lines that were not shown before. Our own need not be said again.
    pub(super) fn handle_lines(&mut self, mut lines: Vec<ChatLine>, me: Option<PlayerId>) -> Vec<ChatLine> {
        for line in lines.iter().filter(|line| Some(line.from) == me) {
            self.handle_answer(line.seq);
        }
        let last = self.shown.back().map_or(0, |(number, _)| *number);
        lines.retain(|line| last < line.number);
        self.shown.extend(lines.iter().map(|line| (line.number, line.tick)));
        self.shown.drain(..self.shown.len().saturating_sub(CHAT_LINES_MAX));
        lines
    }

    /// This, and what was said before it, was heard.
    pub(super) fn handle_answer(&mut self, seq: u32) {
        while self.kept.front().is_some_and(|(kept, _)| *kept <= seq) {
            self.kept.pop_front();
        }
    }

    /// This alone was refused.
    pub(super) fn handle_refused(&mut self, seq: u32) {
        self.kept.retain(|(kept, _)| *kept != seq);
    }

    /// What was shown of ticks after this one did not happen; its numbers may come again, of other lines.
    pub(super) fn handle_reset(&mut self, to: Tick) {
        self.shown.retain(|(_, tick)| *tick <= to);
    }

    /// What to say again on another connection.
    pub(super) fn say_again(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.kept.iter().map(|(_, message)| message.to_frame())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: PlayerId = PlayerId(7);

    fn line(number: u64, from: PlayerId, seq: u32) -> ChatLine {
        let (name, text) = (String::new().try_into().unwrap(), "x".to_owned().try_into().unwrap());
        ChatLine { number, tick: Tick(10 * number), from, seq, team: 0, name, text }
    }

    fn numbers(lines: &[ChatLine]) -> Vec<u64> {
        lines.iter().map(|line| line.number).collect()
    }

    #[test]
    fn a_line_is_shown_once_and_what_was_set_back_may_be_another() {
        let mut talk = Talk::default();
        let all = || (1..4).map(|number| line(number, PlayerId(1), number as u32)).collect::<Vec<_>>();
        assert_eq!(numbers(&talk.handle_lines(all(), Some(ME))), [1, 2, 3]);
        assert_eq!(numbers(&talk.handle_lines(all(), Some(ME))), [0; 0]);
        talk.handle_reset(Tick(10));
        assert_eq!(numbers(&talk.handle_lines(all(), Some(ME))), [2, 3]);
        talk.handle_lines((4..10_000).map(|number| line(number, ME, 1)).collect(), Some(ME));
        assert_eq!(talk.shown.len(), CHAT_LINES_MAX);
    }

    #[test]
    fn a_text_of_any_length_makes_a_frame_that_a_server_answers_in_words() {
        for text in ["ë".repeat(CHAT_BYTES_MAX), "x".repeat(100_000)] {
            let (_, frame) = Talk::default().say(ChatTo::Everyone, &text);
            let Ok(ClientMessage::Chat { text, .. }) = ClientMessage::from_frame(&frame) else {
                panic!("a frame too long")
            };
            assert!(text.len() > CHAT_BYTES_MAX);
        }
    }

    #[test]
    fn what_was_not_heard_is_said_again_with_its_number() {
        let mut talk = Talk::default();
        for seq in 1..=3 {
            assert_eq!(talk.say(ChatTo::Everyone, "hello").0, seq);
        }
        talk.handle_lines(vec![line(1, ME, 1), line(2, PlayerId(8), 3)], Some(ME));
        let again = |talk: &Talk| -> Vec<u32> {
            let seq = |frame: Vec<u8>| match ClientMessage::from_frame(&frame) {
                Ok(ClientMessage::Chat { seq, .. }) => seq,
                other => panic!("{other:?}"),
            };
            talk.say_again().map(seq).collect()
        };
        assert_eq!(again(&talk), [2, 3], "another's number is none of ours");
        talk.handle_refused(3);
        assert_eq!(again(&talk), [2]);
        for _ in 0..100 {
            talk.say(ChatTo::Team, "more");
        }
        assert_eq!(again(&talk), [99, 100, 101, 102, 103]);
    }
}
