//! What frames mean to a client: a snapshot, one tick, several ticks in one, and what a repaired state was wrong about.

use std::sync::Arc;

use super::*;
use crate::catch_up::{self, Leap};
use crate::diff::Encoder;
use crate::ids::{Epoch, Fence, Nonce};
use crate::prior::Prior;
use crate::schema::{Field, Kind};
use crate::tick::Position;
use crate::world::World;
use crate::{frame, snapshot};

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    Schema::new("demo", "player", [player], []).unwrap()
}

fn position(tick: u64) -> Position {
    Position { fence: Fence { epoch: Epoch(1), nonce: Nonce(7) }, tick: Tick(tick) }
}

fn snapshot_of(world: &World, tick: u64) -> Vec<u8> {
    let (mut prior, mut payload) = (Vec::new(), Vec::new());
    Prior::first(&schema()).encode(&mut prior);
    snapshot::encode(world, &mut payload);
    frame::snapshot(position(tick), world.hash(), &prior, &payload)
}

/// A client that has been let in and holds the state of tick 5, with one player in it.
fn joined() -> (Client, World) {
    let mut client = Client::new("n", Join::Quick { game: String::new() });
    client.poll_transmit().unwrap();
    let welcome = ServerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        node: "n1".parse().unwrap(),
        session: SessionId(1),
        match_id: "m1".parse().unwrap(),
        role: Role::Spectator,
        tick_rate: TickRate::try_from(30u64).unwrap(),
        schema: schema().to_json(),
    };
    assert_eq!(client.handle_frame(&welcome.to_frame()), Ok(Event::Welcome));
    let mut world = World::new(schema());
    world.spawn(0).unwrap();
    world.advance();
    assert_eq!(client.handle_frame(&snapshot_of(&world, 5)), Ok(Event::Snapshot));
    (client, world)
}

/// The frame that leads a client who knows `known` steps over `span` ticks without a change.
fn catch_up(world: &mut World, tick: u64, span: u8, known: u8) -> Vec<u8> {
    let from = world.clone();
    (0..span).for_each(|_| world.advance());
    let mut payload = Vec::new();
    catch_up::encode(&from, world, Leap { span: u32::from(span), known }, &mut payload);
    frame::catch_up(position(tick), span, Some(world.hash()), &payload)
}

#[test]
fn one_tick_is_told_from_several() {
    let (mut client, mut world) = joined();
    let several = catch_up(&mut world, 9, 4, 2);
    assert_eq!(client.handle_frame(&several), Ok(Event::CaughtUp));
    assert_eq!(client.handle_frame(&several), Ok(Event::Stale), "it is there already");
    for (tick, known) in [(10, 0), (11, 1)] {
        let one = catch_up(&mut world, tick, 1, known);
        assert_eq!(client.handle_frame(&one), Ok(Event::Advanced));
    }
    let mut payload = Vec::new();
    Encoder::new(Prior::first(&schema())).encode(&world, &mut payload);
    assert_eq!(client.handle_frame(&frame::diff(position(12), 0, None, &payload)), Ok(Event::Advanced));
    assert_eq!(client.handle_frame(&snapshot_of(&world, 13)), Ok(Event::Snapshot));
    assert_eq!(client.poll_transmit(), None, "nothing was missing");
}

#[test]
fn a_gap_is_asked_about_once_and_what_was_wrong_is_told() {
    let (mut client, mut world) = joined();
    let lie = frame::diff(position(6), 0, Some(1), &[]);
    assert!(matches!(client.handle_frame(&lie), Ok(Event::Gap(Gap::Desync { .. }))));
    assert_eq!(client.handle_frame(&lie), Ok(Event::Stale), "it waits for a snapshot");
    assert_eq!(client.poll_transmit(), Some(ClientMessage::NeedSnapshot.to_frame()));
    assert_eq!(client.poll_transmit(), None);
    let id = world.ids(0).next().unwrap();
    world.set(id, 0, 7);
    world.advance();
    assert_eq!(client.handle_frame(&snapshot_of(&world, 6)), Ok(Event::Snapshot));
    let difference = client.take_difference().unwrap().to_string();
    assert_eq!(difference, "player:0 field `player` is 0, should be 7");
    assert_eq!(client.take_difference(), None, "told once");
}
