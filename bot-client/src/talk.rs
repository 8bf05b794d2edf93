//! What a bot says and hears: lines now and then, and the check that each arrives once, in order and nowhere else but
//! at its place. For matches in which all talk to everyone: lines of teams would look like holes.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tickcast_protocol::chat::{ChatLine, ChatTo};
use tickcast_protocol::client::Client;
use tickcast_protocol::limits::CHAT_LINES_MAX;

use crate::tally::Checks;

/// Between two lines of a bot; a server lets a player say one per second.
const PAUSE: Duration = Duration::from_millis(1500);
/// A line that its own player has not heard for this long is lost.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// Lines of its own that a bot remembers.
const OWN_MAX: usize = 1024;

/// One bot's part in the chat.
#[derive(Debug)]
pub(crate) struct Talk {
    due: Duration,
    unheard: VecDeque<(u32, Duration)>,
    own: BTreeSet<u32>,
    last: Option<u64>,
    heard: Vec<ChatLine>,
    /// We were away: the match may have forgotten lines meanwhile.
    returning: bool,
}

impl Talk {
    /// Begins with a pause of the bot's own, so that bots talk by turns.
    pub(crate) fn new(seed: u64) -> Talk {
        let due = PAUSE.mul_f64((seed % 997) as f64 / 997.0);
        Talk {
            due,
            unheard: VecDeque::new(),
            own: BTreeSet::new(),
            last: None,
            heard: Vec::new(),
            returning: false,
        }
    }

    /// Says something, if it is time to.
    pub(crate) fn speak(&mut self, now: Duration, client: &mut Client) {
        if now < self.due {
            return;
        }
        self.due = now + PAUSE;
        if let Some(seq) = client.say(ChatTo::Everyone, &format!("I have said {} lines", self.own.len())) {
            self.unheard.push_back((seq, now));
        }
    }

    /// Lines were heard.
    pub(crate) fn handle_lines(&mut self, lines: Vec<ChatLine>, me: Option<u32>, checks: &mut Checks) {
        checks.chat_lines += lines.len() as u64;
        let forgotten = std::mem::take(&mut self.returning) && lines.len() == CHAT_LINES_MAX;
        for (at, line) in lines.iter().enumerate() {
            let expected = self.last.filter(|_| !(forgotten && at == 0)).map_or(line.number, |last| last + 1);
            checks.chat_missing += line.number.abs_diff(expected);
            self.last = Some(line.number);
            if Some(line.from.0) == me {
                self.unheard.retain(|(seq, _)| *seq != line.seq);
                checks.chat_mismatches += u64::from(!self.own.insert(line.seq));
                if self.own.len() > OWN_MAX {
                    self.own.pop_first();
                }
            }
        }
        self.heard.extend(lines);
    }

    /// One of our lines is not said.
    pub(crate) fn handle_refused(&mut self, seq: u32, checks: &mut Checks) {
        checks.chat_refused += 1;
        self.unheard.retain(|(unheard, _)| *unheard != seq);
    }

    /// We have lost the connection, and are back on another one.
    pub(crate) fn handle_resume(&mut self) {
        self.returning = true;
    }

    /// What was said may not have been said, and other lines may have its numbers.
    pub(crate) fn handle_reset(&mut self) {
        self.last = None;
        self.own.clear();
    }

    /// The run is over.
    pub(crate) fn handle_end(&mut self, now: Duration, checks: &mut Checks) {
        let lost = |(_, said): &&(u32, Duration)| *said + HEARD_WITHIN < now;
        checks.chat_unheard += self.unheard.iter().filter(lost).count() as u64;
    }

    /// What was heard since the last call, to be compared with what others hear.
    pub(crate) fn take_heard(&mut self) -> Vec<ChatLine> {
        std::mem::take(&mut self.heard)
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::{PlayerId, Tick};

    use super::*;

    fn line(number: u64, from: u32, seq: u32) -> ChatLine {
        let (name, text) = (String::new().try_into().unwrap(), "x".to_owned().try_into().unwrap());
        ChatLine { number, tick: Tick(number), from: PlayerId(from), seq, team: 0, name, text }
    }

    fn hear(talk: &mut Talk, lines: Vec<ChatLine>) -> (u64, u64) {
        let mut checks = Checks::default();
        talk.handle_lines(lines, Some(7), &mut checks);
        (checks.chat_missing, checks.chat_mismatches)
    }

    #[test]
    fn holes_and_doubles_are_counted() {
        let mut talk = Talk::new(1);
        assert_eq!(hear(&mut talk, vec![line(5, 1, 1), line(6, 7, 1)]), (0, 0), "it begins anywhere");
        assert_eq!(hear(&mut talk, vec![line(9, 1, 2)]), (2, 0));
        assert_eq!(hear(&mut talk, vec![line(8, 1, 3)]), (2, 0), "out of order");
        assert_eq!(hear(&mut talk, vec![line(9, 7, 1)]), (0, 1), "our first line is said a second time");
        assert_eq!(talk.take_heard().len(), 5);
    }

    #[test]
    fn who_was_away_may_miss_what_the_match_forgot_and_nothing_else() {
        let mut talk = Talk::new(1);
        hear(&mut talk, vec![line(5, 1, 1)]);
        let all = |first: u64, count: u64| (first..first + count).map(|number| line(number, 1, 1)).collect();
        talk.handle_resume();
        assert_eq!(hear(&mut talk, all(100, CHAT_LINES_MAX as u64)), (0, 0));
        talk.handle_resume();
        assert_eq!(hear(&mut talk, all(170, 3)), (6, 0), "so few would have been kept with those before");
        talk.handle_reset();
        assert_eq!(hear(&mut talk, all(3, 1)), (0, 0));
    }
}
