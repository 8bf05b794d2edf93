//! What the owner of a match tells the relay on the same node: the bytes of the ticks it makes, and its state when that
//! is asked for. Bytes that are the owner's own need not be decoded to know that they lead to the owner's state.

use std::collections::VecDeque;

use bytes::Bytes;
use tickcast_protocol::Replica;

/// Ticks that are made and not heard of yet: one under way, and a few for a relay that is late. The oldest gives way.
const MADE_MAX: usize = 4;

/// Between an owner and a relay, for one match.
#[derive(Debug, Default)]
pub struct Vouch {
    /// What was made and not heard of yet, each with the state after it if one was asked for.
    made: VecDeque<(Bytes, Option<Replica>)>,
    is_wanted: bool,
}

impl Vouch {
    /// The owner has made a tick: its message, and a copy of the state after it, if that is wanted. It counts from when
    /// the same message comes from the store: before that it may not be committed.
    pub fn handle_made(&mut self, message: &Bytes, state: impl FnOnce() -> Replica) {
        if self.made.len() == MADE_MAX {
            self.made.pop_front();
        }
        let state = std::mem::take(&mut self.is_wanted).then(state);
        self.made.push_back((message.clone(), state));
    }

    /// Asks for the state after the next tick that is made.
    pub fn want_state(&mut self) {
        self.is_wanted = true;
    }

    /// A message was heard: whether the owner on this node made it, and the state after it if it was asked for.
    pub fn take(&mut self, message: &Bytes) -> Option<Made> {
        let place = self.made.iter().position(|(made, _)| made == message)?;
        let (_, state) = self.made.drain(..=place).next_back()?;
        Some(Made { state })
    }
}

/// Says that a message is the one that the owner on this node has made.
#[derive(Debug)]
pub struct Made {
    /// The state after it.
    pub state: Option<Replica>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tickcast_protocol::{Field, Kind, Schema};

    use super::*;

    fn replica() -> Replica {
        let player =
            Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
        let schema: Arc<Schema> = Schema::new("demo", "player", [player], []).expect("a schema");
        Replica::empty(schema)
    }

    fn unasked() -> Replica {
        panic!("nobody asked for the state");
    }

    #[test]
    fn only_what_was_made_is_vouched_for_and_once() {
        let mut vouch = Vouch::default();
        let (one, two) = (Bytes::from_static(b"one"), Bytes::from_static(b"two"));
        vouch.handle_made(&one, unasked);
        vouch.handle_made(&two, unasked);
        assert!(vouch.take(&Bytes::from_static(b"on")).is_none());
        assert!(vouch.take(&two).is_some_and(|made| made.state.is_none()));
        assert!(
            vouch.take(&two).is_none() && vouch.take(&one).is_none(),
            "later ones stand for those before"
        );
    }

    #[test]
    fn a_state_is_made_only_where_it_was_asked_for() {
        let mut vouch = Vouch::default();
        vouch.want_state();
        for message in [&b"a"[..], b"b"] {
            let asked = message == b"a";
            vouch.handle_made(&Bytes::from_static(message), if asked { replica } else { unasked });
        }
        let with_state = |vouch: &mut Vouch, message| {
            vouch.take(&Bytes::from_static(message)).map(|made| made.state.is_some())
        };
        assert_eq!(with_state(&mut vouch, b"a"), Some(true));
        assert_eq!(with_state(&mut vouch, b"b"), Some(false));
    }

    #[test]
    fn what_nobody_hears_of_does_not_pile_up() {
        let mut vouch = Vouch::default();
        for number in 0..100u8 {
            vouch.handle_made(&Bytes::copy_from_slice(&[number]), unasked);
        }
        assert_eq!(vouch.made.len(), MADE_MAX);
        assert!(
            vouch.take(&Bytes::from_static(&[95])).is_none()
                && vouch.take(&Bytes::from_static(&[96])).is_some()
        );
    }
}
