//! The floor's protocol: the path says who comes, an update begins with its tick, an input is eight bytes.

use std::io;
use std::net::SocketAddr;

use super::holds;
use crate::load::hands::Hand;
use crate::load::session::{Outbox, Place, Protocol, Seen, Session};
use crate::load::websocket::{self, BINARY, Opened};

/// A floor.
#[derive(Clone, Copy)]
pub(crate) struct Floor(pub(crate) SocketAddr);

impl Protocol for Floor {
    fn join(&mut self, place: Place) -> io::Result<(Opened, Box<dyn Session>)> {
        let path = format!("/?match={}&player={}", place.in_match, place.player);
        Ok((websocket::open(self.0, &path, None)?, Box::new(Player::default())))
    }

    fn fork(&self) -> Box<dyn Protocol> {
        Box::new(*self)
    }
}

#[derive(Default)]
struct Player {
    tick: Option<u32>,
    seq: u16,
    awaited: Option<[u8; 4]>,
}

impl Session for Player {
    fn take(&mut self, opcode: u8, payload: &[u8], _: &mut Outbox<'_>) -> Result<Seen, String> {
        let (BINARY, Some(tick)) = (opcode, payload.first_chunk()) else { return Ok(Seen::Other) };
        let tick = u32::from_le_bytes(*tick);
        let skipped = self.tick.map_or(0, |last| tick.wrapping_sub(last).saturating_sub(1));
        self.tick = Some(tick);
        let is_answer = self.awaited.take_if(|awaited| holds(payload, *awaited)).is_some();
        Ok(Seen::Update { skipped, quiet: 0, is_answer })
    }

    fn is_playing(&self) -> bool {
        true
    }

    fn act(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        self.seq = self.seq.wrapping_add(1);
        let [low, high] = self.seq.to_le_bytes();
        let [a, b, c, d] = hand.aim.to_le_bytes();
        out.put(BINARY, &[low, high, hand.direction, hand.buttons, a, b, c, d]);
    }

    fn probe(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        self.awaited = Some(hand.aim.to_le_bytes());
        self.act(hand, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_an_answer_when_it_shows_the_aim_for_the_first_time() {
        let mut rng = rand::SeedableRng::seed_from_u64(1);
        let mut bytes = Vec::new();
        let mut out = Outbox { bytes: &mut bytes, rng: &mut rng };
        let mut player = Player::default();
        let mut seen = |player: &mut Player, tick: u32, aim: u32| {
            let update = [tick.to_le_bytes(), [0x5a; 4], aim.to_le_bytes()].concat();
            player.take(BINARY, &update, &mut out).unwrap()
        };
        let update = |is_answer| Seen::Update { skipped: 0, quiet: 0, is_answer };
        assert_eq!(seen(&mut player, 1, 0x00ab_cdef), update(false), "nothing is awaited");
        let (mut bytes, mut rng) = (Vec::new(), rand::SeedableRng::seed_from_u64(1));
        let hand = Hand { direction: 0, buttons: 0, aim: 0x00ab_cdef };
        player.probe(hand, &mut Outbox { bytes: &mut bytes, rng: &mut rng });
        assert_eq!(seen(&mut player, 2, 0x00ab_cdee), update(false), "another aim");
        assert_eq!(seen(&mut player, 3, 0x00ab_cdef), update(true));
        assert_eq!(seen(&mut player, 4, 0x00ab_cdef), update(false), "it was answered");
    }
}
