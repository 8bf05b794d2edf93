//! A match for tests of bots: builds the frames that a server would send, without one.

use std::sync::Arc;
use std::time::Duration;

use tickcast_protocol::catch_up::Leap;
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::message::{ClientMessage, PROTOCOL_VERSION, Role, ServerMessage};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{
    EntityId, Epoch, Fence, Field, InputField, InputSeq, Kind, Nonce, PlayerId, Position, ResumeToken,
    Schema, SessionId, Tick, TickRate, World, catch_up, frame, snapshot,
};

/// Time between two ticks of the match, at 100 Hz.
pub(crate) const PERIOD: Duration = Duration::from_millis(10);

/// The owner's side of a match.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) position: Position,
    encoder: Encoder,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let fields = [
            Field::int("player", 0, i32::MAX),
            Field::linear("seq", 0, i32::MAX),
            Field::linear("x", 0, 1000),
            Field::linear("y", 0, 1000),
        ];
        let inputs = [InputField::new("move_x", -1, 1), InputField::new("move_y", -1, 1)];
        let schema = Schema::new("stage", "player", [Kind::new("player", fields)], inputs).unwrap();
        let fence = Fence { epoch: Epoch(1), nonce: Nonce(7) };
        let encoder = Encoder::new(Prior::first(&schema));
        Stage { world: World::new(schema), position: Position { fence, tick: Tick(100) }, encoder }
    }

    pub(crate) fn welcome(&self, player: Option<u32>) -> Vec<u8> {
        ServerMessage::Welcome {
            protocol: PROTOCOL_VERSION,
            node: "n1".parse().unwrap(),
            session: SessionId(1),
            match_id: "m1".parse().unwrap(),
            role: player.map_or(Role::Spectator, |player| Role::Player(PlayerId(player))),
            tick_rate: TickRate::try_from(100u64).unwrap(),
            schema: Arc::clone(self.world.schema()).to_json(),
            resume: ResumeToken([7; 16]),
            quiet_ms: 50,
        }
        .to_frame()
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let (mut prior, mut payload) = (Vec::new(), Vec::new());
        self.encoder.prior().encode(&mut prior);
        snapshot::encode(&self.world, &mut payload);
        frame::snapshot(self.position, self.world.hash(), &prior, &payload)
    }

    /// The next tick, which commits what was changed in the world.
    pub(crate) fn diff(&mut self) -> Vec<u8> {
        let number = self.encoder.prior().number();
        let mut payload = Vec::new();
        self.encoder.encode(&self.world, &mut payload);
        self.world.advance();
        self.position.tick = self.position.tick.next();
        frame::diff(self.position, number, Some(self.world.hash()), &payload)
    }

    /// A new prior for the diffs to come. None is published by itself.
    pub(crate) fn prior(&mut self) -> Vec<u8> {
        let mut payload = Vec::new();
        self.encoder.force_prior().encode(&mut payload);
        frame::prior(self.position, &payload)
    }

    /// Goes on by `span` ticks, the first of which commits what was changed in the world, and tells them in one
    /// frame to a client that stood here and knew `known` steps.
    pub(crate) fn catch_up(&mut self, span: u8, known: u8) -> Vec<u8> {
        let mut from = self.world.clone();
        from.roll_back();
        (0..span).for_each(|_| drop(self.diff()));
        let mut payload = Vec::new();
        catch_up::encode(&from, &self.world, Leap { span: u32::from(span), known }, &mut payload);
        frame::catch_up(self.position, span, Some(self.world.hash()), &payload)
    }

    pub(crate) fn spawn(&mut self, player: u32) -> EntityId {
        let id = self.world.spawn(0).unwrap();
        self.world.set(id, 0, player as i32);
        id
    }

    pub(crate) fn acknowledge(&mut self, id: EntityId, seq: u32) {
        self.world.set(id, 1, seq as i32);
    }
}

/// The numbers of the inputs among these frames.
pub(crate) fn input_seqs(poll: impl FnMut() -> Option<Vec<u8>>) -> Vec<InputSeq> {
    let frames = std::iter::from_fn(poll);
    frames
        .filter_map(|frame| match ClientMessage::from_frame(&frame).unwrap() {
            ClientMessage::Input { seq, .. } => Some(seq),
            _ => None,
        })
        .collect()
}
