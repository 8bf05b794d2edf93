//! What a connection may send in bytes, whatever they are, and how long a message may take to come whole. Counted where
//! they are read from the socket: pieces of messages and empty frames never become messages, and cost all the same.

use std::time::{Duration, Instant};

use tickcast_protocol::TickRate;
use tickcast_protocol::limits::{INPUT_SEQ_AHEAD_MAX, VALUE_BYTES_MAX};

use crate::logic::rate::Bucket;

/// How long a message may take from its first byte to its last.
pub const MESSAGE_DEADLINE: Duration = Duration::from_secs(5);
/// Messages per second before the match's rate is known.
pub const MESSAGES_PER_SECOND_MIN: u32 = 20;
/// Messages per second besides inputs: pings, snapshots, chat.
const OTHERS_PER_SECOND: u32 = 10;
/// Bytes of an input's frame besides its values: the WebSocket's header and mask, the kinds, `seq`, `seen`, `behind` and
/// the number of values at their longest.
const INPUT_BYTES: u32 = 8 + 2 + 5 + 9 + 3 + 1;

/// Messages of a member: how many per second, and how many at once, with those that a client sends again.
pub fn message_rate(rate: TickRate) -> (u32, u32) {
    let per_second = (2 * u32::from(rate.hz())).max(MESSAGES_PER_SECOND_MIN) + OTHERS_PER_SECOND;
    (per_second, per_second + INPUT_SEQ_AHEAD_MAX)
}

/// Counts what comes in.
#[derive(Debug)]
pub struct Ingress {
    bytes: Bucket,
    per_second: u32,
    begun: Option<Instant>,
}

impl Ingress {
    /// A connection that may send so many bytes per second.
    pub fn new(now: Instant, per_second: u32) -> Ingress {
        Ingress { bytes: Bucket::new(now, per_second, per_second), per_second, begun: None }
    }

    /// It is in a match with inputs of so many values: whatever the messages are allowed to be, the bytes are too.
    pub fn handle_joined(&mut self, now: Instant, rate: TickRate, input_fields: usize) {
        let input_bytes = INPUT_BYTES + (input_fields * VALUE_BYTES_MAX) as u32;
        let (messages, at_once) = message_rate(rate);
        let per_second = self.per_second.max(messages * input_bytes);
        self.bytes = Bucket::new(now, per_second, self.per_second + at_once * input_bytes);
        self.begun = None;
    }

    /// Whether nothing came for a while.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.bytes.is_full(now)
    }

    /// So many bytes came. Whether they may.
    pub fn handle_bytes(&mut self, now: Instant, count: usize) -> bool {
        self.bytes.take_many(now, u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// No message is begun that is not whole.
    pub fn handle_whole(&mut self) {
        self.begun = None;
    }

    /// There is no more for now; what there was may have ended within a message.
    pub fn handle_pause(&mut self, now: Instant, is_within: bool) {
        self.begun = if is_within { Some(self.begun.unwrap_or(now)) } else { None };
    }

    /// When the message that is begun must be whole.
    pub fn deadline(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + MESSAGE_DEADLINE)
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::limits::{INPUT_FIELDS_MAX, TICK_RATE_HZ_MAX};
    use tickcast_protocol::message::ClientMessage;
    use tickcast_protocol::{InputSeq, Tick};

    use super::*;
    use crate::io::clock;

    /// Bytes on the wire of the largest input with so many values.
    fn largest_input(fields: usize) -> usize {
        let values = vec![i32::MIN; fields];
        let input = ClientMessage::Input {
            seq: InputSeq(u32::MAX),
            seen: Tick(u64::MAX),
            behind: u16::MAX,
            values: values.into(),
        };
        let payload = input.to_frame().len();
        payload + if payload < 126 { 6 } else { 8 }
    }

    #[test]
    fn an_honest_client_at_the_fastest_rate_is_never_stopped() {
        for fields in [0, 1, 5, INPUT_FIELDS_MAX] {
            let rate = TickRate::try_from(TICK_RATE_HZ_MAX).expect("a rate");
            let start = clock::now();
            let mut ingress = Ingress::new(start, 8192);
            ingress.handle_joined(start, rate, fields);
            let size = largest_input(fields);
            // All that it may have under way at once, as after a resume; and then at its rate, in pairs.
            assert!(ingress.handle_bytes(start, INPUT_SEQ_AHEAD_MAX as usize * size));
            for pair in 0..640 {
                let now = start + Duration::from_secs(pair) * 2 / 128;
                assert!(ingress.handle_bytes(now, 2 * size), "{fields} fields, pair {pair}");
            }
        }
    }

    #[test]
    fn whatever_the_messages_may_be_the_bytes_may_too() {
        for hz in [10, 30, TICK_RATE_HZ_MAX] {
            let rate = TickRate::try_from(hz).expect("a rate");
            let (_, at_once) = message_rate(rate);
            let now = clock::now();
            let mut ingress = Ingress::new(now, 8192);
            ingress.handle_joined(now, rate, 5);
            assert!((0..at_once).all(|_| ingress.handle_bytes(now, largest_input(5))), "{hz} Hz");
        }
    }

    #[test]
    fn a_flood_is_stopped_after_its_burst() {
        let now = clock::now();
        let mut ingress = Ingress::new(now, 8192);
        assert!(!ingress.handle_bytes(now, 8193));
        assert!(ingress.handle_bytes(now, 8192) && !ingress.handle_bytes(now, 1));
        assert!(ingress.handle_bytes(now + Duration::from_millis(500), 4096));
        assert!(!ingress.handle_bytes(now + Duration::from_millis(500), 4096));
    }

    #[test]
    fn a_message_that_is_begun_must_end() {
        let now = clock::now();
        let mut ingress = Ingress::new(now, 8192);
        assert_eq!(ingress.deadline(), None);
        ingress.handle_pause(now, true);
        let later = now + Duration::from_secs(3);
        ingress.handle_pause(later, true);
        assert_eq!(ingress.deadline(), Some(now + MESSAGE_DEADLINE), "more of the same does not put it off");
        ingress.handle_whole();
        ingress.handle_pause(later, true);
        assert_eq!(ingress.deadline(), Some(later + MESSAGE_DEADLINE), "the next one has its own");
        ingress.handle_pause(later, false);
        assert_eq!(ingress.deadline(), None);
    }
}
