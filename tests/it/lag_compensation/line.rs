//! The line between a client and its match, and what the client shows of it: both in virtual time.

use std::collections::VecDeque;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::client::Client;
use tickcast_protocol::message::Join;

use super::range::{Range, Shot, Spot, aim_at};

/// A stream each way: late, by more or less, and in order.
pub(super) struct Line {
    delay_ms: f64,
    jitter_ms: f64,
    rng: ChaCha8Rng,
    ups: VecDeque<(f64, Vec<u8>)>,
    downs: VecDeque<(f64, Vec<u8>)>,
}

impl Line {
    pub(super) fn new(delay_ms: f64, jitter_ms: f64, seed: u64) -> Line {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Line { delay_ms, jitter_ms, rng, ups: VecDeque::new(), downs: VecDeque::new() }
    }

    fn due(&mut self, now_ms: f64, last_ms: Option<f64>) -> f64 {
        let due = now_ms + self.delay_ms + self.rng.random_range(-self.jitter_ms..=self.jitter_ms);
        due.max(last_ms.unwrap_or(0.0))
    }

    pub(super) fn send_up(&mut self, now_ms: f64, frame: Vec<u8>) {
        let due = self.due(now_ms, self.ups.back().map(|last| last.0));
        self.ups.push_back((due, frame));
    }

    pub(super) fn send_down(&mut self, now_ms: f64, frame: Vec<u8>) {
        let due = self.due(now_ms, self.downs.back().map(|last| last.0));
        self.downs.push_back((due, frame));
    }

    pub(super) fn ups_until(&mut self, now_ms: f64) -> Vec<Vec<u8>> {
        let count = self.ups.iter().take_while(|(due, _)| *due <= now_ms).count();
        self.ups.drain(..count).map(|(_, frame)| frame).collect()
    }

    pub(super) fn downs_until(&mut self, now_ms: f64) -> Vec<Vec<u8>> {
        let count = self.downs.iter().take_while(|(due, _)| *due <= now_ms).count();
        self.downs.drain(..count).map(|(_, frame)| frame).collect()
    }
}

/// A client that shows the others a fixed time after they were there, between two ticks.
pub(super) struct Screen {
    client: Client,
    tick_ms: f64,
    delay_ms: f64,
    /// Where the target was, by tick, as far as frames came.
    targets: Vec<Option<Spot>>,
}

impl Screen {
    pub(super) fn new(range: &Range, tick_ms: f64, delay_ms: f64) -> Screen {
        let mut client = Client::new("far away", Join::Quick { game: String::new() });
        for frame in range.welcome() {
            client.handle_frame(&frame).expect("a frame of the server");
        }
        while client.poll_transmit().is_some() {}
        Screen { client, tick_ms, delay_ms, targets: vec![None] }
    }

    pub(super) fn handle_frame(&mut self, frame: &[u8]) {
        self.client.handle_frame(frame).expect("a frame of the server");
        let replica = &self.client.joined().expect("it was let in").replica;
        assert!(!replica.is_broken());
        self.targets.resize(replica.position().tick.0 as usize + 1, None);
        self.targets[replica.position().tick.0 as usize] = Range::target_in(replica.world());
    }

    fn shown(&self, at: f64) -> Option<Spot> {
        let (tick, part) = (at.floor() as usize, at.fract());
        let from = (*self.targets.get(tick)?)?;
        let to = self.targets.get(tick + 1).copied().flatten().unwrap_or(from);
        Some(from.between(to, part))
    }

    /// Makes this beat's input; with it, if it fires, what was shown then.
    pub(super) fn act(&mut self, now_ms: f64, fires: bool) -> Option<(Vec<u8>, Option<Shot>)> {
        let joined = self.client.joined()?;
        let (seen, world) = (joined.replica.position().tick.0, joined.replica.world());
        let own = Range::shooter_in(world)?;
        // The picture stands where the frame that should follow is late.
        let at = ((now_ms - self.delay_ms) / self.tick_ms).clamp(1.0, seen.max(1) as f64);
        let (target, before) = (self.shown(at)?, self.shown((at - 1.0).max(0.0))?);
        let behind = ((seen as f64 - at) * 256.0).round() as u16;
        let aim = aim_at(own, target, target.minus(before), 1000.0 / self.tick_ms);
        self.client.input_behind(&[0, 0, aim, i32::from(fires)], behind)?;
        let shot = fires.then(|| Shot { seq: self.client.last_seq(), at, aim, from: own });
        Some((self.client.poll_transmit()?, shot))
    }
}
