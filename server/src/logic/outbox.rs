//! What one socket still has to be sent. Bounded: a socket that does not keep up loses the queued diffs and
//! gets a snapshot when it is empty again; one that stays behind for too long is closed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Frames a socket may be behind.
pub const FRAMES_QUEUED_MAX: usize = 64;
/// Bytes of diffs a socket may be behind; a single frame may be longer.
pub const BYTES_QUEUED_MAX: usize = 64 * 1024;
/// How long a socket may stay behind before it is closed.
pub const BEHIND_MAX: Duration = Duration::from_secs(5);

/// Whether the socket is in step after a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It gets every diff.
    InStep,
    /// Its queue ran over: it gets no diffs until it asks for a snapshot.
    Behind,
    /// It has drained and waits for a snapshot.
    NeedsSnapshot,
    /// It has been behind for too long.
    TooSlow,
}

#[derive(Debug)]
struct Queued {
    bytes: Bytes,
    state: bool,
}

/// The queue of one socket, of bytes ready for the wire.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Queued>,
    bytes: usize,
    /// The first entry has been sent in part: it must be finished.
    started: bool,
    behind_since: Option<Instant>,
}

impl Outbox {
    /// Queues a diff, unless the socket is behind.
    pub fn push_state(&mut self, now: Instant, frame: &Bytes) -> Standing {
        if let Some(since) = self.behind_since {
            return if now >= since + BEHIND_MAX {
                Standing::TooSlow
            } else if self.queue.is_empty() {
                Standing::NeedsSnapshot
            } else {
                Standing::Behind
            };
        }
        let full = self.queue.len() >= FRAMES_QUEUED_MAX
            || (!self.queue.is_empty() && self.bytes + frame.len() > BYTES_QUEUED_MAX);
        if full {
            self.collapse();
            self.behind_since = Some(now);
            return Standing::Behind;
        }
        self.push(frame.clone(), true);
        Standing::InStep
    }

    /// Queues a snapshot in place of every queued diff: the socket is in step again.
    pub fn push_snapshot(&mut self, frame: Bytes) {
        self.collapse();
        self.behind_since = None;
        self.push(frame, true);
    }

    /// Queues a control frame. `false` when even that does not fit: the socket is to be closed.
    pub fn push_control(&mut self, frame: Bytes) -> bool {
        let fits = self.queue.len() < 2 * FRAMES_QUEUED_MAX;
        if fits {
            self.push(frame, false);
        }
        fits
    }

    /// Whether a diff may be written past the queue.
    pub fn may_write_through(&self) -> bool {
        self.queue.is_empty() && self.behind_since.is_none()
    }

    /// Queues what the socket did not take of a frame.
    pub fn push_rest(&mut self, rest: Bytes) {
        self.push(rest, true);
        self.started = true;
    }

    /// The next bytes to write.
    pub fn front(&self) -> Option<Bytes> {
        self.queue.front().map(|queued| queued.bytes.clone())
    }

    /// So many bytes of the front were written.
    pub fn handle_written(&mut self, count: usize) {
        let Some(front) = self.queue.front_mut() else { return };
        self.bytes -= count;
        if count < front.bytes.len() {
            front.bytes = front.bytes.slice(count..);
            self.started = true;
        } else {
            self.queue.pop_front();
            self.started = false;
        }
    }

    fn push(&mut self, bytes: Bytes, state: bool) {
        self.bytes += bytes.len();
        self.queue.push_back(Queued { bytes, state });
    }

    /// Drops the queued state frames of which nothing was sent yet.
    fn collapse(&mut self) {
        let keep_first = self.started;
        let mut position = 0;
        self.queue.retain(|queued| {
            let kept = !queued.state || (position == 0 && keep_first);
            position += 1;
            kept
        });
        self.bytes = self.queue.iter().map(|queued| queued.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    fn frame(size: usize) -> Bytes {
        Bytes::from(vec![7; size])
    }

    fn drain(outbox: &mut Outbox) -> usize {
        let mut written = 0;
        while let Some(front) = outbox.front() {
            written += front.len();
            outbox.handle_written(front.len());
        }
        written
    }

    #[test]
    fn a_slow_socket_falls_behind_then_gets_a_snapshot() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        assert_eq!(outbox.push_state(now, &frame(100)), Standing::InStep);
        outbox.handle_written(40);
        for _ in 1..FRAMES_QUEUED_MAX {
            assert_eq!(outbox.push_state(now, &frame(100)), Standing::InStep);
        }
        assert_eq!(outbox.push_state(now, &frame(100)), Standing::Behind);
        assert_eq!(outbox.bytes, 60, "the frame that was begun is finished");
        assert_eq!(drain(&mut outbox), 60);
        assert_eq!(outbox.push_state(now, &frame(100)), Standing::NeedsSnapshot);
        outbox.push_snapshot(frame(5000));
        assert_eq!(outbox.push_state(now, &frame(100)), Standing::InStep);
        assert_eq!(drain(&mut outbox), 5100);
    }

    #[test]
    fn control_frames_survive_a_collapse() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        assert!(outbox.push_control(frame(3)));
        while outbox.push_state(now, &frame(9000)) == Standing::InStep {}
        assert_eq!(outbox.bytes, 3);
        let later = now + BEHIND_MAX;
        assert_eq!(outbox.push_state(later, &frame(1)), Standing::TooSlow);
    }

    #[test]
    fn memory_is_bounded_whatever_is_pushed() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        for _ in 0..10_000 {
            outbox.push_state(now, &frame(1000));
            outbox.push_control(frame(10));
            assert!(outbox.bytes <= BYTES_QUEUED_MAX + 2 * FRAMES_QUEUED_MAX * 10);
        }
    }

    #[test]
    fn a_large_frame_alone_is_taken() {
        let (now, mut outbox) = (clock::now(), Outbox::default());
        assert_eq!(outbox.push_state(now, &frame(10 * BYTES_QUEUED_MAX)), Standing::InStep);
        assert_eq!(outbox.push_state(now, &frame(1)), Standing::Behind);
    }
}
