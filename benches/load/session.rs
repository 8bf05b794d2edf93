//! What the load knows of a protocol: how to join, what a message means, what an input looks like.

use std::io;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::websocket::{self, Opened};

/// Directions a player may walk in.
pub(crate) const DIRECTIONS: u8 = 8;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the match.
    pub(crate) in_match: u32,
    /// Number of the player in it.
    pub(crate) player: u32,
    /// Whether it watches for the effects of its inputs.
    pub(crate) is_probe: bool,
}

/// A protocol and where its servers are.
pub(crate) trait Protocol {
    /// Connects, as far as that takes one round trip; the rest of joining is the session's.
    fn join(&mut self, place: Place) -> io::Result<(Opened, Box<dyn Session>)>;
}

/// One client's half of a connection.
pub(crate) trait Session {
    /// What is said first.
    fn greet(&mut self, _out: &mut Outbox<'_>) {}

    /// Takes in a message. An error ends the connection.
    fn take(&mut self, opcode: u8, payload: &[u8], out: &mut Outbox<'_>) -> Result<Seen, String>;

    /// Whether it is in its match and may send inputs.
    fn is_playing(&self) -> bool;

    /// Sends an input.
    fn act(&mut self, hand: Hand, out: &mut Outbox<'_>);

    /// Sends an input whose effect [`Seen::Update`] tells.
    fn probe(&mut self, hand: Hand, out: &mut Outbox<'_>);
}

/// What a message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No update.
    Other,
    /// The state of a later tick.
    Update {
        /// Ticks between this and the last one that had no update of their own.
        skipped: u32,
        /// It shows the effect of the input that was sent as a probe.
        is_answer: bool,
    },
}

/// What a player does in a tick: the same choice for every server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hand {
    /// One of [`DIRECTIONS`].
    pub(crate) direction: u8,
    /// Two buttons; the player fires with both.
    pub(crate) buttons: u8,
    /// Where to, 24 bits of a turn.
    pub(crate) aim: u32,
}

impl Hand {
    /// Any hand. Those of probes have odd aims, all others even ones, so that a probe's is nobody else's.
    pub(crate) fn random(rng: &mut ChaCha8Rng, is_probe: bool) -> Hand {
        let bits: u32 = rng.random();
        let aim = (bits & 0x00ff_fffe) | u32::from(is_probe);
        Hand { direction: (bits >> 24) as u8 % DIRECTIONS, buttons: (bits >> 30) as u8 & 3, aim }
    }

    /// Whether it fires.
    pub(crate) fn fires(self) -> bool {
        self.buttons == 3
    }

    /// The aim as a number of turns, exact in 32 bits.
    pub(crate) fn turns(self) -> f32 {
        self.aim as f32 / 16_777_216.0
    }
}

/// Frames on their way out, masked.
pub(crate) struct Outbox<'a> {
    /// The frames.
    pub(crate) bytes: &'a mut Vec<u8>,
    /// Where masks come from.
    pub(crate) rng: &'a mut ChaCha8Rng,
}

impl Outbox<'_> {
    /// Appends a frame.
    pub(crate) fn put(&mut self, opcode: u8, payload: &[u8]) {
        websocket::put(self.bytes, opcode, payload, self.rng.random());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_aim_of_a_probe_is_its_own_and_exact() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..100 {
            let (probe, other) = (Hand::random(&mut rng, true), Hand::random(&mut rng, false));
            assert_eq!((probe.aim % 2, other.aim % 2), (1, 0));
            assert_eq!((f64::from(probe.turns()) * 16_777_216.0) as u32, probe.aim);
            assert!(probe.direction < DIRECTIONS && probe.buttons < 4);
        }
    }
}
