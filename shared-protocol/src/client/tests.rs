//! What frames mean to a client: a snapshot, one tick, several ticks in one, and what a repaired state was wrong about.
//! What it sends again, and what it says to be the same player on another connection.

use std::sync::Arc;

use super::*;
use crate::catch_up::{self, Leap};
use crate::diff::Encoder;
use crate::ids::{Epoch, Fence, Nonce};
use crate::prior::Prior;
use crate::schema::{Field, InputField, Kind};
use crate::tick::Position;
use crate::world::World;
use crate::{frame, snapshot};

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    Schema::new("demo", "player", [player], [InputField::new("move", -1, 1)]).unwrap()
}

fn position(tick: u64) -> Position {
    Position { fence: Fence { epoch: Epoch(1), nonce: Nonce(7) }, tick: Tick(tick) }
}

fn snapshot_of(world: &World, tick: u64) -> Vec<u8> {
    snapshot_at(world, position(tick))
}

fn snapshot_at(world: &World, at: Position) -> Vec<u8> {
    let (mut prior, mut payload) = (Vec::new(), Vec::new());
    Prior::first(&schema()).encode(&mut prior);
    snapshot::encode(world, &mut payload);
    frame::snapshot(at, world.hash(), &prior, &payload)
}

fn welcome(role: Role, token: u8) -> Vec<u8> {
    let welcome = ServerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        node: "n1".parse().unwrap(),
        session: SessionId(1),
        match_id: "m1".parse().unwrap(),
        role,
        tick_rate: TickRate::try_from(30u64).unwrap(),
        schema: schema().to_json(),
        resume: ResumeToken([token; 16]),
        quiet_ms: 1000,
    };
    welcome.to_frame()
}

/// A client that has been let in and holds the state of tick 5, with one player in it.
fn joined() -> (Client, World) {
    let mut client = Client::new("n", Join::Quick { game: String::new() });
    client.poll_transmit().unwrap();
    assert_eq!(client.handle_frame(&welcome(Role::Spectator, 0)), Ok(Event::Welcome));
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
fn quiet_ticks_are_no_catch_up_and_the_welcome_tells_of_them() {
    let (mut client, mut world) = joined();
    assert_eq!(client.joined().unwrap().quiet, Duration::from_millis(1000));
    for (tick, event) in [(14, Event::Advanced), (14, Event::Stale), (15, Event::Advanced)] {
        let mut payload = Vec::new();
        if event == Event::Advanced {
            let id = world.ids(0).next().unwrap();
            world.set(id, 1, tick);
            Encoder::new(Prior::first(&schema())).encode(&world, &mut payload);
            world.advance();
        }
        let diff = frame::diff(position(tick as u64), 0, None, &payload);
        let frame = frame::after_quiet(&diff, world.hash()).unwrap();
        assert_eq!(client.handle_frame(&frame), Ok(event), "tick {tick}");
        assert!(client.joined().unwrap().replica.world().same_state(&world));
    }
    assert_eq!(client.joined().unwrap().replica.position(), position(15));
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

const ME: Role = Role::Player(PlayerId(4));

/// A client that plays and is part of the state of tick 5.
fn playing() -> (Client, World) {
    let mut client = Client::new("n", Join::Match("m1".parse().unwrap()));
    client.poll_transmit().unwrap();
    client.handle_frame(&welcome(ME, 7)).unwrap();
    let mut world = World::new(schema());
    let id = world.spawn(0).unwrap();
    world.set(id, 0, 4);
    world.advance();
    client.handle_frame(&snapshot_of(&world, 5)).unwrap();
    (client, world)
}

fn acknowledge(world: &mut World, seq: i32) {
    let id = world.ids(0).next().unwrap();
    world.set(id, 1, seq);
    world.advance();
}

/// What a client says, the inputs as their numbers.
fn said(client: &mut Client) -> (Vec<ClientMessage>, Vec<u32>) {
    let (mut others, mut inputs) = (Vec::new(), Vec::new());
    while let Some(frame) = client.poll_transmit() {
        match ClientMessage::from_frame(&frame).unwrap() {
            ClientMessage::Input { seq, seen, behind, values } => {
                let was = (Tick(5), seq.0 as u16, vec![seq.0 as i32 % 2]);
                assert_eq!((seen, behind, values.to_vec()), was, "an input stays as it was");
                inputs.push(seq.0);
            }
            other => others.push(other),
        }
    }
    (others, inputs)
}

fn plays(client: &mut Client, inputs: u32) {
    for _ in 0..inputs {
        let value = (client.last_seq().0 + 1) as i32 % 2;
        client.input_behind(&[value], client.last_seq().0 as u16 + 1).unwrap();
    }
}

fn of_owner(nonce: u64, tick: u64) -> Position {
    Position { fence: Fence { epoch: Epoch(2), nonce: Nonce(nonce) }, tick: Tick(tick) }
}

#[test]
fn who_is_given_a_seat_anew_numbers_on_from_its_state() {
    let (mut client, mut world) = playing();
    acknowledge(&mut world, 40);
    assert_eq!(client.handle_frame(&snapshot_of(&world, 6)), Ok(Event::Snapshot));
    assert_eq!(client.input(&[0]), Some(InputSeq(41)));
    // What was under way from the connection before counts, too.
    acknowledge(&mut world, 43);
    assert_eq!(client.handle_frame(&snapshot_of(&world, 7)), Ok(Event::Snapshot));
    assert_eq!(client.input(&[0]), Some(InputSeq(44)));
}

#[test]
fn a_resumed_player_is_the_same_and_says_again_what_is_not_acknowledged() {
    let (mut client, mut world) = playing();
    plays(&mut client, 5);
    assert_eq!(said(&mut client).1, [1, 2, 3, 4, 5]);
    client.ping(9);
    client.resume().unwrap();
    assert!(client.joined().unwrap().replica.is_broken() && !client.is_welcomed());
    let join = Join::Resume {
        match_id: "m1".parse().unwrap(),
        player: PlayerId(4),
        token: ResumeToken([7; 16]),
        shown: client.joined().unwrap().replica.position(),
        attempt: 1,
    };
    let ticket = String::new();
    let hello = ClientMessage::Hello { protocol: PROTOCOL_VERSION, name: "n".to_owned(), join, ticket };
    assert_eq!(said(&mut client), (vec![hello.clone()], vec![]), "and nothing of the last connection");
    assert_eq!(client.input(&[0]), None, "only pings before the welcome");
    let early = client.handle_frame(&snapshot_of(&world, 6));
    assert_eq!(early, Err(ServerError::Order("state before the welcome")));
    assert_eq!(client.handle_frame(&welcome(ME, 8)), Ok(Event::Welcome));
    assert_eq!(client.handle_frame(&welcome(ME, 8)), Err(ServerError::Order("a second welcome")));
    assert_eq!(client.input(&[0]), None, "it would overtake those that are sent again");
    acknowledge(&mut world, 3);
    assert_eq!(client.handle_frame(&snapshot_of(&world, 6)), Ok(Event::Snapshot));
    assert_eq!(said(&mut client), (vec![], vec![4, 5]));
    assert_eq!((client.last_seq(), client.inputs_sent_again()), (InputSeq(5), 2));
    assert_eq!(client.input(&[0]), Some(InputSeq(6)));
    // The next connection shows the newest token.
    client.resume().unwrap();
    client.resume().unwrap();
    let (hellos, inputs) = said(&mut client);
    assert!(matches!(
        hellos[..],
        [ClientMessage::Hello { join: Join::Resume { token: ResumeToken([8, ..]), attempt: 3, .. }, .. }]
    ));
    assert!(inputs.is_empty());
}

#[test]
fn a_player_who_is_not_yet_part_of_the_state_sends_no_input() {
    let mut client = Client::new("n", Join::Match("m1".parse().unwrap()));
    client.poll_transmit().unwrap();
    client.handle_frame(&welcome(ME, 7)).unwrap();
    let mut world = World::new(schema());
    client.handle_frame(&snapshot_of(&world, 5)).unwrap();
    assert_eq!(client.input(&[0]), None, "nobody would take it");
    let id = world.spawn(0).unwrap();
    world.set(id, 0, 4);
    world.advance();
    client.handle_frame(&snapshot_of(&world, 6)).unwrap();
    assert_eq!(client.input(&[0]), Some(InputSeq(1)), "and no number is missing");
}

#[test]
fn only_the_same_place_is_resumed() {
    let (mut client, _) = playing();
    client.resume().unwrap();
    let other = client.handle_frame(&welcome(Role::Player(PlayerId(5)), 7));
    assert!(matches!(other, Err(ServerError::Order(_))), "{other:?}");
    assert_eq!(Client::new("n", Join::Quick { game: String::new() }).resume(), Err(NeverWelcomed));
    let (mut watcher, world) = joined();
    watcher.resume().unwrap();
    let (hellos, _) = said(&mut watcher);
    assert!(
        matches!(&hellos[..], [ClientMessage::Hello { join: Join::Spectate(id), .. }] if id.as_str() == "m1")
    );
    assert_eq!(watcher.handle_frame(&welcome(Role::Spectator, 0)), Ok(Event::Welcome));
    assert_eq!(watcher.handle_frame(&snapshot_of(&world, 6)), Ok(Event::Snapshot));
}

#[test]
fn a_new_owner_is_told_what_the_last_one_did_not_apply() {
    let (mut client, mut world) = playing();
    plays(&mut client, 3);
    assert_eq!(said(&mut client).1, [1, 2, 3]);
    assert_eq!(client.handle_frame(&frame::owner(of_owner(8, 5))), Ok(Event::NewOwner));
    assert_eq!(said(&mut client).1, [1, 2, 3]);
    acknowledge(&mut world, 2);
    assert_eq!(client.handle_frame(&snapshot_at(&world, of_owner(8, 6))), Ok(Event::Snapshot));
    assert!(said(&mut client).1.is_empty(), "the same owner");
    assert_eq!(client.handle_frame(&snapshot_at(&world, of_owner(9, 6))), Ok(Event::Snapshot));
    assert_eq!(said(&mut client).1, [3]);
    // Found out by a diff of a stranger, and by a state that is wrong at first.
    let diff = frame::diff(of_owner(10, 7), 0, None, &[]);
    assert!(matches!(client.handle_frame(&diff), Ok(Event::Gap(Gap::Owner { .. }))));
    let mut wrong = snapshot_at(&world, of_owner(10, 7));
    wrong[25] ^= 1;
    assert!(matches!(client.handle_frame(&wrong), Ok(Event::Gap(Gap::Desync { .. }))));
    assert_eq!(said(&mut client), (vec![ClientMessage::NeedSnapshot; 2], vec![]));
    assert_eq!(client.handle_frame(&snapshot_at(&world, of_owner(10, 7))), Ok(Event::Snapshot));
    assert_eq!(said(&mut client).1, [3]);
    assert_eq!(client.inputs_sent_again(), 5);
}

#[test]
fn an_owner_that_lost_inputs_asks_for_them_by_being_announced_once_more() {
    let (mut client, _) = playing();
    plays(&mut client, 2);
    assert_eq!(said(&mut client).1, [1, 2]);
    let at = client.joined().unwrap().replica.position();
    let announced = frame::owner(at);
    assert_eq!(client.handle_frame(&announced), Ok(Event::Stale));
    assert_eq!(said(&mut client).1, [1, 2]);
}

#[test]
fn the_oldest_inputs_are_given_up() {
    let (mut client, _) = playing();
    plays(&mut client, INPUTS_KEPT_MAX as u32 + 2);
    said(&mut client);
    client.handle_frame(&frame::owner(of_owner(8, 5))).unwrap();
    let (_, again) = said(&mut client);
    assert_eq!((again.len(), again[0], again[INPUTS_KEPT_MAX - 1]), (INPUTS_KEPT_MAX, 3, 66));
}

#[test]
fn a_node_that_stops_says_where_to_go() {
    let (mut client, mut world) = joined();
    let sent = |url: &str| ServerMessage::Reconnect { within_ms: 2500, url: url.to_owned() }.to_frame();
    let within = Duration::from_millis(2500);
    assert_eq!(client.handle_frame(&sent("")), Ok(Event::Reconnect { within, url: None }));
    let url = Some("ws://b:1/ws".to_owned());
    assert_eq!(client.handle_frame(&sent("ws://b:1/ws")), Ok(Event::Reconnect { within, url }));
    let goes_on = catch_up(&mut world, 6, 1, 2);
    assert_eq!(client.handle_frame(&goes_on), Ok(Event::Advanced));
}

#[test]
fn a_view_is_a_snapshot_of_a_match_in_segments() {
    let mut client = Client::new("n", Join::Quick { game: String::new() });
    client.poll_transmit().unwrap();
    client.handle_frame(&welcome(Role::Spectator, 0)).unwrap();
    let mut handle = |frame: Vec<u8>| client.handle_frame(&frame).unwrap();
    assert_eq!(
        handle(frame::segments(position(5), 0, &[])),
        Event::Stale,
        "it is early, and nothing is asked for"
    );
    assert_eq!(handle(frame::view(position(5), &[0], &[])), Event::Snapshot);
    assert_eq!(handle(frame::segments(position(6), 0, &[])), Event::Advanced);
    assert_eq!(handle(frame::leap(position(9), 3, &[])), Event::CaughtUp);
    assert!(matches!(handle(frame::view(position(10), &[], &[])), Event::Gap(_)));
    assert_eq!(client.poll_transmit(), Some(ClientMessage::NeedSnapshot.to_frame()));
    assert_eq!(client.poll_transmit(), None);
}
