//! What the load knows of a protocol: how to join, what a message means, what an input looks like.

use std::io;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::hands::Hand;
use super::websocket::{self, Opened};

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the match.
    pub(crate) in_match: u32,
    /// Number of the player in it.
    pub(crate) player: u32,
    /// Whether it watches for the effects of its inputs.
    pub(crate) is_probe: bool,
    /// Whether it only looks on; its number is then behind those of the players.
    pub(crate) is_spectator: bool,
}

/// A protocol and where its servers are.
pub(crate) trait Protocol: Send {
    /// Connects, as far as that takes one round trip; the rest of joining is the session's.
    fn join(&mut self, place: Place) -> io::Result<(Opened, Box<dyn Session>)>;

    /// Another one that knows the same matches.
    fn fork(&self) -> Box<dyn Protocol>;
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

    /// Says goodbye, where that is more than closing the connection.
    fn leave(&mut self, _out: &mut Outbox<'_>) {}
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
        /// Ticks before it in which nothing happened, as it tells.
        quiet: u32,
        /// It shows the effect of the input that was sent as a probe.
        is_answer: bool,
    },
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
