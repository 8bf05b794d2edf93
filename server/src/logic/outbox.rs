//! What one socket still has to be sent: control frames, and at most one state frame, wholly or in part. More
//! state never waits here: `laggards` decides what comes next once this one is out.

use std::collections::VecDeque;

use bytes::Bytes;

/// Control frames a socket may be behind.
pub const CONTROL_QUEUED_MAX: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    State,
    Control,
    Pong,
}

#[derive(Debug)]
struct Queued {
    bytes: Bytes,
    kind: Kind,
    /// Some of it is written: the rest must follow.
    is_begun: bool,
}

/// The queue of one socket, of bytes ready for the wire.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Queued>,
    /// One of the queued is a state frame.
    state: bool,
}

impl Outbox {
    /// Whether no state frame waits.
    pub fn is_clear(&self) -> bool {
        !self.state
    }

    /// Queues a state frame.
    ///
    /// # Panics
    /// When one waits already.
    pub fn push_state(&mut self, bytes: Bytes) {
        assert!(self.is_clear(), "one state frame at a time");
        self.state = true;
        self.push(bytes, Kind::State);
    }

    /// Queues a control frame. `false` when there are too many: the socket is to be closed.
    pub fn push_control(&mut self, bytes: Bytes) -> bool {
        let fits = self.queue.len() < CONTROL_QUEUED_MAX;
        if fits {
            self.push(bytes, Kind::Control);
        }
        fits
    }

    /// Queues the answer to a ping, in place of one that waits: the newest is enough.
    pub fn push_pong(&mut self, bytes: Bytes) {
        let mut waiting = self.queue.iter_mut();
        if let Some(waiting) = waiting.find(|queued| queued.kind == Kind::Pong && !queued.is_begun) {
            waiting.bytes = bytes;
        } else if self.queue.len() < CONTROL_QUEUED_MAX {
            self.push(bytes, Kind::Pong);
        }
    }

    fn push(&mut self, bytes: Bytes, kind: Kind) {
        self.queue.push_back(Queued { bytes, kind, is_begun: false });
    }

    /// The next bytes to write.
    pub fn front(&self) -> Option<Bytes> {
        self.queue.front().map(|queued| queued.bytes.clone())
    }

    /// So many bytes of the front were written.
    pub fn handle_written(&mut self, count: usize) {
        let Some(front) = self.queue.front_mut() else { return };
        if count < front.bytes.len() {
            front.bytes = front.bytes.slice(count..);
            front.is_begun |= count > 0;
            return;
        }
        if let Some(Queued { kind: Kind::State, .. }) = self.queue.pop_front() {
            self.state = false;
        }
        if self.queue.is_empty() {
            // Most sockets take whatever comes: an empty queue keeps no memory.
            self.queue = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: usize) -> Bytes {
        Bytes::from(vec![7; size])
    }

    #[test]
    fn a_state_frame_waits_until_its_last_byte_is_written() {
        let mut outbox = Outbox::default();
        assert!(outbox.is_clear());
        assert!(outbox.push_control(frame(3)));
        outbox.push_state(frame(100));
        assert!(outbox.push_control(frame(5)));
        outbox.handle_written(3);
        assert_eq!(outbox.front(), Some(frame(100)));
        outbox.handle_written(99);
        assert!(!outbox.is_clear(), "one byte is left");
        outbox.handle_written(1);
        assert!(outbox.is_clear());
        assert_eq!(outbox.front(), Some(frame(5)));
    }

    #[test]
    #[should_panic(expected = "one state frame at a time")]
    fn a_second_state_frame_is_a_bug() {
        let mut outbox = Outbox::default();
        outbox.push_state(frame(1));
        outbox.push_state(frame(1));
    }

    #[test]
    fn one_pong_waits_and_it_is_the_newest() {
        let mut outbox = Outbox::default();
        outbox.push_state(frame(1));
        (1..200).for_each(|size| outbox.push_pong(frame(size)));
        outbox.handle_written(1);
        assert_eq!(outbox.front(), Some(frame(199)));
        outbox.handle_written(100);
        (1..200).for_each(|size| outbox.push_pong(frame(size)));
        assert_eq!(outbox.front(), Some(frame(99)), "what is begun is brought to its end");
        outbox.handle_written(99);
        assert_eq!(outbox.front(), Some(frame(199)));
        outbox.handle_written(199);
        assert_eq!(outbox.front(), None);
    }

    #[test]
    fn a_queue_that_is_empty_keeps_no_memory() {
        let mut outbox = Outbox::default();
        (0..20).for_each(|_| assert!(outbox.push_control(frame(3))));
        (0..19).for_each(|_| outbox.handle_written(3));
        assert!(outbox.queue.capacity() > 0 && outbox.front().is_some());
        outbox.handle_written(3);
        assert_eq!((outbox.front(), outbox.queue.capacity()), (None, 0));
    }

    #[test]
    fn control_frames_are_bounded() {
        let mut outbox = Outbox::default();
        outbox.push_state(frame(1));
        let taken = (0..10_000).filter(|_| outbox.push_control(frame(10))).count();
        assert_eq!(taken, CONTROL_QUEUED_MAX - 1);
    }
}
