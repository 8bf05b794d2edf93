//! tickcast: the handshake goes through the protocol's own client; after that only the heads of frames are read.
//! Probes alone decode the state, for in it stands which of their inputs were applied.

use std::io;
use std::net::SocketAddr;

use serde::Serialize;
use serde_json::json;
use tickcast_protocol::client::{Client, Event};
use tickcast_protocol::frame::{self, SERVER_CONTROL, StateFrame};
use tickcast_protocol::message::{ClientMessage, Join, SUBPROTOCOL};
use tickcast_protocol::{InputSeq, MatchId, Tick};

use crate::load::hands::{DIRECTIONS, Hand};
use crate::load::http;
use crate::load::session::{Outbox, Place, Protocol, Seen, Session};
use crate::load::websocket::{self, BINARY, Opened};

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Played {
    /// The arena, or a game with the same inputs.
    pub(crate) game: &'static str,
    /// Drones of each match.
    pub(crate) drones: u32,
}

impl Played {
    /// The arena with nobody but players.
    pub(crate) const ARENA: Played = Played { game: "arena", drones: 0 };
}

/// One or several nodes; the players of each match are spread over all of them.
#[derive(Clone)]
pub(crate) struct Tickcast {
    pub(crate) nodes: Vec<SocketAddr>,
    /// Places of a match.
    pub(crate) places: u32,
    pub(crate) tick_rate: u32,
    pub(crate) played: Played,
    pub(crate) matches: Vec<MatchId>,
}

impl Protocol for Tickcast {
    fn join(&mut self, place: Place) -> io::Result<(Opened, Box<dyn Session>)> {
        while self.matches.len() <= place.in_match as usize {
            let node = self.nodes[self.matches.len() % self.nodes.len()];
            let options = json!({ "players_max": self.places.max(2), "drones": self.played.drones });
            let new = json!({ "game": self.played.game, "tick_rate": self.tick_rate, "options": options });
            let created = http::post(node, "/v1/matches", &new)?;
            let id = created["id"].as_str().and_then(|id| id.parse().ok());
            self.matches.push(id.ok_or_else(|| io::Error::other(format!("no match id in {created}")))?);
        }
        let node = self.nodes[place.player as usize % self.nodes.len()];
        let id = self.matches[place.in_match as usize].clone();
        let join = if place.is_spectator { Join::Spectate(id) } else { Join::Match(id) };
        let client = Client::new(&format!("p{}", place.player), join);
        let session: Box<dyn Session> = match place.is_probe {
            true => Box::new(Probe { client, playing: false, awaited: None }),
            false => Box::new(Player { client: Some(client), at: None, seq: InputSeq(0) }),
        };
        Ok((websocket::open(node, "/ws", Some(SUBPROTOCOL))?, session))
    }

    fn fork(&self) -> Box<dyn Protocol> {
        Box::new(self.clone())
    }
}

/// What a hand is in the game `arena`: two parts of a direction, where to aim, whether to fire.
pub(crate) fn values(hand: Hand) -> [i32; 4] {
    let angle = (f32::from(hand.direction) + 0.5) * std::f32::consts::TAU / f32::from(DIRECTIONS);
    let part = |share: f32| (share * 127.0) as i32;
    [part(angle.cos()), part(angle.sin()), (hand.aim >> 14) as i32, hand.fires().into()]
}

/// Reads heads.
struct Player {
    /// Until the state comes.
    client: Option<Client>,
    at: Option<Tick>,
    seq: InputSeq,
}

impl Player {
    /// Where a frame leads that has the low bits of its tick, and how many ticks were left out on the way: because they
    /// were quiet, or not.
    fn advance(&mut self, tick_low: u16, after_quiet: bool) -> Seen {
        let Some(at) = self.at else { return Seen::Other };
        let ahead = tick_low.wrapping_sub(at.low());
        if ahead == 0 || ahead >= 0x8000 {
            return Seen::Other;
        }
        self.at = Some(Tick(at.0 + u64::from(ahead)));
        let passed = u32::from(ahead) - 1;
        let (quiet, skipped) = if after_quiet { (passed, 0) } else { (0, passed) };
        Seen::Update { skipped, quiet, is_answer: false }
    }
}

impl Session for Player {
    fn greet(&mut self, out: &mut Outbox<'_>) {
        if let Some(frame) = self.client.as_mut().and_then(Client::poll_transmit) {
            out.put(BINARY, &frame);
        }
    }

    fn take(&mut self, opcode: u8, payload: &[u8], _: &mut Outbox<'_>) -> Result<Seen, String> {
        if opcode != BINARY {
            return Ok(Seen::Other);
        }
        if payload.first() == Some(&SERVER_CONTROL) {
            if let Some(client) = &mut self.client {
                client.handle_frame(payload).map_err(|error| error.to_string())?;
            }
            return Ok(Seen::Other);
        }
        match frame::parse(payload).map_err(|error| error.to_string())? {
            StateFrame::Diff { tick_low, after_quiet, .. } => Ok(self.advance(tick_low, after_quiet)),
            StateFrame::CatchUp { tick_low, .. }
            | StateFrame::Segments { tick_low, .. }
            | StateFrame::Leap { tick_low, .. } => Ok(self.advance(tick_low, false)),
            StateFrame::Snapshot { position, .. } | StateFrame::View { position, .. } => {
                self.client = None;
                let before = self.at.replace(position.tick);
                let Some(before) = before else { return Ok(Seen::Other) };
                let skipped = position.tick.0.saturating_sub(before.0 + 1) as u32;
                Ok(Seen::Update { skipped, quiet: 0, is_answer: false })
            }
            StateFrame::Owner { position } => {
                self.at = Some(position.tick);
                Ok(Seen::Other)
            }
            StateFrame::Prior { .. } => Ok(Seen::Other),
        }
    }

    fn is_playing(&self) -> bool {
        self.at.is_some()
    }

    fn act(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        let Some(seen) = self.at else { return };
        self.seq.0 += 1;
        let input = ClientMessage::Input { seq: self.seq, seen, behind: 0, values: values(hand)[..].into() };
        out.put(BINARY, &input.to_frame());
    }

    fn probe(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        self.act(hand, out);
    }

    fn leave(&mut self, out: &mut Outbox<'_>) {
        out.put(BINARY, &ClientMessage::Leave.to_frame());
    }
}

/// Decodes everything.
struct Probe {
    client: Client,
    playing: bool,
    awaited: Option<InputSeq>,
}

impl Probe {
    fn send(&mut self, out: &mut Outbox<'_>) {
        while let Some(frame) = self.client.poll_transmit() {
            out.put(BINARY, &frame);
        }
    }
}

impl Session for Probe {
    fn greet(&mut self, out: &mut Outbox<'_>) {
        self.send(out);
    }

    fn take(&mut self, opcode: u8, payload: &[u8], out: &mut Outbox<'_>) -> Result<Seen, String> {
        if opcode != BINARY {
            return Ok(Seen::Other);
        }
        let tick = |client: &Client| client.joined().map_or(0, |joined| joined.replica.position().tick.0);
        let before = tick(&self.client);
        let event = self.client.handle_frame(payload).map_err(|error| error.to_string())?;
        self.send(out);
        match event {
            Event::Advanced | Event::CaughtUp => {}
            Event::Snapshot => {
                self.playing = true;
                return Ok(Seen::Other);
            }
            _ => return Ok(Seen::Other),
        }
        let is_diff = event == Event::Advanced;
        let applied = self.client.joined().and_then(|joined| joined.acknowledged());
        let is_answer = self.awaited.take_if(|awaited| applied.is_some_and(|seq| seq >= *awaited)).is_some();
        let passed = tick(&self.client).saturating_sub(before + 1) as u32;
        let (quiet, skipped) = if is_diff { (passed, 0) } else { (0, passed) };
        Ok(Seen::Update { skipped, quiet, is_answer })
    }

    fn is_playing(&self) -> bool {
        self.playing
    }

    fn act(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        self.client.input(&values(hand));
        self.send(out);
    }

    fn probe(&mut self, hand: Hand, out: &mut Outbox<'_>) {
        self.awaited = self.client.input(&values(hand));
        self.send(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickcast_protocol::Position;

    fn take(player: &mut Player, frame: &[u8]) -> Seen {
        let mut rng = rand::SeedableRng::seed_from_u64(1);
        let mut bytes = Vec::new();
        player.take(BINARY, frame, &mut Outbox { bytes: &mut bytes, rng: &mut rng }).unwrap()
    }

    #[test]
    fn ticks_that_had_no_frame_of_their_own_are_counted() {
        let at = |tick| Position { tick: Tick(tick), ..Position::default() };
        let mut player = Player { client: None, at: None, seq: InputSeq(0) };
        let update = |skipped| Seen::Update { skipped, quiet: 0, is_answer: false };
        assert_eq!(take(&mut player, &frame::diff(at(9), 0, None, &[])), Seen::Other, "no state yet");
        assert_eq!(take(&mut player, &frame::snapshot(at(65_535), 0, &[], &[])), Seen::Other);
        assert!(player.is_playing());
        assert_eq!(take(&mut player, &frame::diff(at(65_536), 0, None, &[])), update(0));
        assert_eq!(take(&mut player, &frame::diff(at(65_536), 0, None, &[])), Seen::Other, "seen already");
        assert_eq!(take(&mut player, &frame::prior(at(65_536), &[])), Seen::Other);
        assert_eq!(take(&mut player, &frame::catch_up(at(65_540), 4, None, &[])), update(3));
        assert_eq!(take(&mut player, &frame::snapshot(at(65_543), 0, &[], &[])), update(2));
        let behind = frame::after_quiet(&frame::diff(at(65_553), 0, None, &[]), 0).unwrap();
        assert_eq!(take(&mut player, &behind), Seen::Update { skipped: 0, quiet: 9, is_answer: false });
    }

    #[test]
    fn hands_are_inputs_of_the_arena() {
        for direction in 0..DIRECTIONS {
            let [x, y, aim, fire] = values(Hand { direction, buttons: 3, aim: 0x00ff_ffff });
            assert!(x.abs() <= 127 && y.abs() <= 127 && (x, y) != (0, 0));
            assert_eq!((aim, fire), (1023, 1));
        }
    }
}
