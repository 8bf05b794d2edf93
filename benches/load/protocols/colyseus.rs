//! Colyseus 0.17 and 0.18: a seat is reserved over HTTP, then the room's WebSocket is opened and the join acknowledged.
//! Inputs are messages named `input` with a map in msgpack, as its own SDK sends them.

use std::io;
use std::net::SocketAddr;

use serde_json::json;

use super::holds;
use crate::load::hands::Hand;
use crate::load::http;
use crate::load::session::{Outbox, Place, Protocol, Seen, Session};
use crate::load::websocket::{self, BINARY, Opened};

const JOIN_ROOM: u8 = 10;
const ERROR: u8 = 11;
const LEAVE_ROOM: u8 = 12;
const ROOM_DATA: u8 = 13;
const ROOM_STATE: u8 = 14;
const ROOM_STATE_PATCH: u8 = 15;
/// Bits of the first byte that hold the code.
const CODE: u8 = 31;

/// A server with the room `arena`.
#[derive(Clone, Copy)]
pub(crate) struct Colyseus {
    pub(crate) server: SocketAddr,
    pub(crate) players: u32,
}

impl Protocol for Colyseus {
    fn join(&mut self, place: Place) -> io::Result<(Opened, Box<dyn Session>)> {
        let options = json!({ "number": place.in_match, "players": self.players });
        let seat = http::post(self.server, "/matchmake/joinOrCreate/arena", &options)?;
        let text = |name: &str| {
            let missing = || io::Error::other(format!("no {name} in a reservation: {seat}"));
            seat[name].as_str().ok_or_else(missing)
        };
        let path = format!("/{}/{}?sessionId={}", text("processId")?, text("roomId")?, text("sessionId")?);
        Ok((websocket::open(self.server, &path, None)?, Box::new(Player::default())))
    }

    fn fork(&self) -> Box<dyn Protocol> {
        Box::new(*self)
    }
}

#[derive(Default)]
struct Player {
    has_state: bool,
    awaited: Option<[u8; 4]>,
}

impl Session for Player {
    fn take(&mut self, opcode: u8, payload: &[u8], out: &mut Outbox<'_>) -> Result<Seen, String> {
        let (BINARY, Some(first)) = (opcode, payload.first()) else { return Ok(Seen::Other) };
        match first & CODE {
            ROOM_STATE_PATCH => {
                let is_answer = self.awaited.take_if(|awaited| holds(payload, *awaited)).is_some();
                // Patches have no number: what is left out shows only in the share that is delivered.
                return Ok(Seen::Update { skipped: 0, quiet: 0, is_answer });
            }
            JOIN_ROOM => out.put(BINARY, &[JOIN_ROOM]),
            ROOM_STATE => self.has_state = true,
            code @ (ERROR | LEAVE_ROOM) => return Err(format!("the room said {code}")),
            _ => {}
        }
        Ok(Seen::Other)
    }

    fn is_playing(&self) -> bool {
        self.has_state
    }

    fn act(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        let mut message = vec![ROOM_DATA, 0xa5];
        message.extend(b"input");
        message.extend([0x83, 0xa1, b'd', hand.direction, 0xa1, b'b', hand.buttons, 0xa1, b'a', 0xcb]);
        message.extend(f64::from(hand.turns()).to_be_bytes());
        out.put(BINARY, &message);
    }

    fn probe(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        self.awaited = Some(hand.turns().to_le_bytes());
        self.act(hand, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_an_answer_when_it_shows_the_aim_for_the_first_time() {
        let (mut bytes, mut rng) = (Vec::new(), rand::SeedableRng::seed_from_u64(1));
        let mut out = Outbox { bytes: &mut bytes, rng: &mut rng };
        let mut player = Player::default();
        let hand = Hand { direction: 0, buttons: 0, aim: 0x00ab_cdef };
        player.probe(hand, &mut out);
        let other = Hand { aim: hand.aim - 1, ..hand };
        let mut seen = |shown: Hand| {
            let patch = [&[ROOM_STATE_PATCH, 0x82][..], &shown.turns().to_le_bytes()].concat();
            player.take(BINARY, &patch, &mut out).unwrap()
        };
        let update = |is_answer| Seen::Update { skipped: 0, quiet: 0, is_answer };
        assert_eq!(seen(other), update(false), "another aim");
        assert_eq!(seen(hand), update(true));
        assert_eq!(seen(hand), update(false), "it was answered");
    }
}
