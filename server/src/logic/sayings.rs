//! What the players of one node have said and the match does not show yet. Of each player one line at a time is under
//! way to the owner, repeated until it comes back as part of a tick: so lines keep their order, whatever is lost on
//! the way and whoever the owner is.

use std::collections::{BTreeMap, VecDeque};

use tickcast_protocol::PlayerId;
use tickcast_protocol::chat::{ChatLine, ChatRefusal};

use crate::logic::chat::Saying;

/// Lines of a player that wait.
const WAITING_MAX: usize = 8;
/// Repetitions after which a line is given up.
const REPEATS_MAX: u32 = 10;

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Saying>,
    /// How often the first of them was repeated.
    repeats: u32,
}

/// The lines that wait, by player.
#[derive(Debug, Default)]
pub struct Sayings {
    queues: BTreeMap<PlayerId, Queue>,
}

impl Sayings {
    /// A player says something: what to send to the owner now, or why it is not said.
    pub fn handle_saying(&mut self, saying: Saying) -> Result<Option<Saying>, ChatRefusal> {
        let queue = self.queues.entry(saying.player).or_default();
        if queue.waiting.back().is_some_and(|last| saying.seq <= last.seq) {
            // Sent again over another connection, while it waits.
            return Ok(None);
        }
        if queue.waiting.len() == WAITING_MAX {
            return Err(ChatRefusal::Unheard);
        }
        queue.waiting.push_back(saying.clone());
        Ok((queue.waiting.len() == 1).then_some(saying))
    }

    /// A line was said: what to send next, if it was one of ours.
    pub fn handle_line(&mut self, line: &ChatLine) -> Option<Saying> {
        self.done(line.from, line.seq).flatten()
    }

    /// The owner refused a line. `None` if it was none of ours, else what to send next.
    pub fn handle_refused(&mut self, player: PlayerId, seq: u32) -> Option<Option<Saying>> {
        self.done(player, seq)
    }

    /// A player is not on this node any more.
    pub fn forget(&mut self, player: PlayerId) {
        self.queues.remove(&player);
    }

    /// What to send again, and what is given up.
    pub fn repeat(&mut self) -> (Vec<Saying>, Vec<Saying>) {
        let (mut again, mut given_up) = (Vec::new(), Vec::new());
        for queue in self.queues.values_mut() {
            queue.repeats += 1;
            if queue.repeats > REPEATS_MAX {
                queue.repeats = 0;
                given_up.extend(queue.waiting.pop_front());
            }
            again.extend(queue.waiting.front().cloned());
        }
        self.queues.retain(|_, queue| !queue.waiting.is_empty());
        (again, given_up)
    }

    /// This line, and any before it, wait no longer.
    fn done(&mut self, player: PlayerId, seq: u32) -> Option<Option<Saying>> {
        let queue = self.queues.get_mut(&player)?;
        let before = queue.waiting.len();
        queue.waiting.retain(|saying| seq < saying.seq);
        if queue.waiting.len() == before {
            return None;
        }
        queue.repeats = 0;
        let next = queue.waiting.front().cloned();
        if next.is_none() {
            self.queues.remove(&player);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::Tick;
    use tickcast_protocol::chat::ChatTo;

    use super::*;

    const ME: PlayerId = PlayerId(7);

    fn saying(seq: u32) -> Saying {
        let text = format!("line {seq}").try_into().unwrap();
        Saying { player: ME, seq, to: ChatTo::Everyone, text }
    }

    fn line(seq: u32) -> ChatLine {
        let (name, text) = (String::new().try_into().unwrap(), "x".to_owned().try_into().unwrap());
        ChatLine { number: 1, tick: Tick(1), from: ME, seq, team: 0, name, text }
    }

    #[test]
    fn one_line_at_a_time_is_under_way_in_order() {
        let mut sayings = Sayings::default();
        assert_eq!(sayings.handle_saying(saying(1)), Ok(Some(saying(1))));
        assert_eq!(sayings.handle_saying(saying(2)), Ok(None));
        assert_eq!(sayings.handle_saying(saying(2)), Ok(None), "sent again");
        assert_eq!(sayings.repeat(), (vec![saying(1)], vec![]));
        assert_eq!(sayings.handle_line(&line(1)), Some(saying(2)));
        assert_eq!(sayings.handle_line(&line(1)), None, "an old one");
        assert_eq!(sayings.repeat(), (vec![saying(2)], vec![]));
        assert_eq!(sayings.handle_line(&line(2)), None);
        assert_eq!(sayings.repeat(), (vec![], vec![]));
        assert!(sayings.queues.is_empty(), "nothing is kept of who is done");
    }

    #[test]
    fn what_the_owner_refuses_does_not_hold_up_the_next() {
        let mut sayings = Sayings::default();
        for seq in 4..7 {
            sayings.handle_saying(saying(seq)).unwrap();
        }
        assert_eq!(sayings.handle_refused(ME, 3), None, "not ours");
        assert_eq!(sayings.handle_refused(ME, 4), Some(Some(saying(5))));
        assert_eq!(sayings.handle_refused(PlayerId(8), 5), None);
    }

    #[test]
    fn what_nobody_answers_is_given_up_and_memory_is_bounded() {
        let mut sayings = Sayings::default();
        let taken = (1..100).filter(|seq| sayings.handle_saying(saying(*seq)).is_ok()).count();
        assert_eq!(taken, WAITING_MAX);
        for _ in 0..REPEATS_MAX {
            assert_eq!(sayings.repeat(), (vec![saying(1)], vec![]));
        }
        assert_eq!(sayings.repeat(), (vec![saying(2)], vec![saying(1)]));
        sayings.forget(ME);
        assert_eq!(sayings.repeat(), (vec![], vec![]));
    }
}
