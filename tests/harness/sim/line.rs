//! The way from a node to one client: the queue of the real decisions, then a socket that takes no more than a
//! window's bytes beyond what the client has read. Keeps order; knows no time.

use bytes::Bytes;
use tickcast_server::logic::outbox::Outbox;

/// Bytes that are under way at most: few, so that who does not read is soon behind.
const WINDOW_BYTES: usize = 256;
/// Bytes of a frame's length, which stands in front of it.
const LENGTH_BYTES: usize = 4;

/// Puts frames into the form in which they go over a [`Line`].
pub(super) fn seal(frames: &[&[u8]]) -> Bytes {
    let sealed = |frame: &&[u8]| [&(frame.len() as u32).to_le_bytes(), *frame].concat();
    frames.iter().flat_map(sealed).collect()
}

/// A line, empty at first.
#[derive(Debug, Default)]
pub(super) struct Line {
    outbox: Outbox,
    window: Vec<u8>,
    read: Vec<u8>,
}

impl Line {
    /// Whether no state frame waits.
    pub(super) fn is_clear(&self) -> bool {
        self.outbox.is_clear()
    }

    /// Sends sealed state; whether all of it is under way.
    pub(super) fn send_state(&mut self, sealed: Bytes) -> bool {
        self.outbox.push_state(sealed);
        self.flush();
        self.is_clear()
    }

    /// Sends a control frame.
    ///
    /// # Panics
    /// When too many wait.
    pub(super) fn send_control(&mut self, frame: &[u8]) {
        assert!(self.outbox.push_control(seal(&[frame])), "control frames are few");
        self.flush();
    }

    /// The client reads so many bytes: the frames that are whole now.
    pub(super) fn read(&mut self, mut bytes: usize) -> Vec<Vec<u8>> {
        while bytes > 0 && !self.window.is_empty() {
            let count = bytes.min(self.window.len());
            self.read.extend(self.window.drain(..count));
            bytes -= count;
            self.flush();
        }
        let mut frames = Vec::new();
        while let Some((length, rest)) = self.read.split_first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some(frame) = rest.get(..length) else { break };
            frames.push(frame.to_vec());
            self.read.drain(..LENGTH_BYTES + length);
        }
        frames
    }

    fn flush(&mut self) {
        while let Some(front) = self.outbox.front() {
            let count = front.len().min(WINDOW_BYTES - self.window.len());
            if count == 0 {
                break;
            }
            self.window.extend_from_slice(&front[..count]);
            self.outbox.handle_written(count);
        }
    }
}
