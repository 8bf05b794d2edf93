//! Good inputs of every check: what an owner, a node, a client and a game would write. Fuzzing begins with them, and the
//! tests damage them.

use std::sync::Arc;

use tickcast_protocol::catch_up::{self, Leap, STEPS_KNOWN_MAX};
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION, Role, ServerMessage};
use tickcast_protocol::{
    EntityId, Field, InputField, InputSeq, Kind, PlayerId, Position, ResumeToken, Schema, SessionId, Tick,
    TickRate, World, frame, record, snapshot,
};

use super::conversation::{Form, HASH, OTHER_PRIOR, STRANGER};
use super::scenes::{self, Dice, Moment, Scene};
use super::{parts, tickets};

/// Longest seed, bytes: a longer one says nothing that a shorter one does not.
pub(crate) const SEED_BYTES_MAX: usize = 2048;

/// Good inputs of the check with this name.
pub(crate) fn seeds(check: &str) -> Vec<Vec<u8>> {
    let all = match check {
        "diff" => diffs(),
        "snapshot" => snapshots(),
        "catch_up" => catch_ups(),
        "prior" => priors(),
        "record" => records(),
        "schema" => schemas(),
        "message" => messages(),
        "replica" => conversations(0),
        "client" => conversations(1),
        "segments" => parts::seeds(),
        "ticket" => tickets::seeds(),
        _ => panic!("no check is named {check}"),
    };
    all.into_iter().filter(|seed| seed.len() <= SEED_BYTES_MAX).collect()
}

/// Every moment with its number.
fn moments() -> impl Iterator<Item = (u8, &'static Scene, &'static Moment)> {
    (0..).zip(scenes::moments()).map(|(number, (scene, moment))| (number, scene, moment))
}

fn with_head(head: &[u8], payload: Vec<u8>) -> Vec<u8> {
    [head.to_vec(), payload].concat()
}

/// A world some ticks later.
fn later(world: &World, ticks: u8, dice: &mut Dice) -> World {
    let mut world = world.clone();
    for _ in 0..ticks {
        scenes::play(&mut world, dice);
        world.advance();
    }
    world
}

/// The diff of a tick in which a world is played on, and that world.
fn next(scene: &Scene, prior: usize, world: &World, dice: &mut Dice) -> (Vec<u8>, World) {
    let (mut world, mut payload) = (world.clone(), Vec::new());
    scenes::play(&mut world, dice);
    Encoder::new(Arc::clone(&scene.priors[prior])).encode(&world, &mut payload);
    world.advance();
    (payload, world)
}

fn diffs() -> Vec<Vec<u8>> {
    let mut dice = Dice(1);
    let mut all = Vec::new();
    for (number, scene, moment) in moments() {
        for prior in 0..scene.priors.len() {
            all.push(with_head(&[number, prior as u8], next(scene, prior, &moment.world, &mut dice).0));
        }
    }
    all
}

fn catch_ups() -> Vec<Vec<u8>> {
    let mut dice = Dice(2);
    let mut all = Vec::new();
    for (number, _, moment) in moments() {
        for (span, known) in [(1, 0), (1, STEPS_KNOWN_MAX), (5, STEPS_KNOWN_MAX), (30, 1)] {
            let to = later(&moment.world, span, &mut dice);
            let mut payload = Vec::new();
            let leap = Leap { span: u32::from(span), known };
            catch_up::encode(&moment.world, &to, leap, &mut payload);
            all.push(with_head(&[number, span, known], payload));
        }
    }
    all
}

fn snapshots() -> Vec<Vec<u8>> {
    let mut dice = Dice(3);
    let mut all = Vec::new();
    for (number, scene) in (0..).zip(scenes::scenes()) {
        for moment in &scene.moments {
            let mut payload = Vec::new();
            snapshot::encode(&later(&moment.world, 3, &mut dice), &mut payload);
            all.push(with_head(&[number], payload));
        }
    }
    all
}

fn priors() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (number, scene) in (0..).zip(scenes::scenes()) {
        for prior in &scene.priors {
            let mut payload = Vec::new();
            prior.encode(&mut payload);
            all.push(with_head(&[number], payload));
        }
    }
    all
}

fn records() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (number, scene) in (0..).zip(scenes::scenes()) {
        for moment in &scene.moments {
            let world = &moment.world;
            let kinds = 0..scene.schema.kinds().len() as u8;
            let ids: Vec<EntityId> = kinds.flat_map(|kind| world.ids(kind)).collect();
            let mut input = vec![number];
            // Some of each kind that there are many of.
            for id in ids.iter().filter(|id| id.index < 4) {
                let bytes = record::encode_entity(world, *id).expect("it is there");
                let [low, high] = id.index.to_le_bytes();
                if let Ok(length) = u8::try_from(bytes.len()) {
                    input.extend([id.kind, low, high, length]);
                    input.extend(bytes);
                }
            }
            all.push(input);
        }
    }
    all
}

/// Every kind of field alone, beside a player.
fn schemas() -> Vec<Vec<u8>> {
    let fields = [
        vec![Field::linear("x", i32::MIN, i32::MAX).scale(16)],
        vec![Field::angle("aim", 16), Field::flag("up")],
        vec![Field::text("name", 24)],
    ];
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    let schema = |fields| {
        let kinds = [Kind::new("thing", fields), player.clone()];
        Schema::new("a-game", "player", kinds, [InputField::new("move", -1, 1)]).expect("a good schema")
    };
    let all = scenes::scenes().iter().map(|scene| Arc::clone(&scene.schema)).chain(fields.map(schema));
    all.map(|schema| schema.to_json().into_bytes()).collect()
}

fn messages() -> Vec<Vec<u8>> {
    let join = [
        Join::Quick { game: "arena".to_owned() },
        Join::Match("m1".parse().expect("an id")),
        Join::Spectate("m-2_3".parse().expect("an id")),
        Join::Resume {
            match_id: "m1".parse().expect("an id"),
            player: PlayerId(7),
            token: ResumeToken([251; 16]),
            shown: Position::default(),
            attempt: 1,
        },
    ];
    let hello = |join| ClientMessage::Hello {
        protocol: PROTOCOL_VERSION,
        name: "näme".to_owned(),
        join,
        ticket: "AQcHBw".to_owned(),
    };
    let mut client: Vec<ClientMessage> = join.into_iter().map(hello).collect();
    let values = vec![i32::MIN, -1, 0, 300, i32::MAX];
    client.extend([
        ClientMessage::Input { seq: InputSeq(1), seen: Tick(u64::MAX), behind: 300, values: values.into() },
        ClientMessage::Ping { nonce: 70_000 },
        ClientMessage::NeedSnapshot,
        ClientMessage::Leave,
    ]);
    let welcome = |role| ServerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        node: "n1".parse().expect("an id"),
        session: SessionId(u64::MAX),
        match_id: "m1".parse().expect("an id"),
        role,
        tick_rate: TickRate::try_from(30u64).expect("a rate"),
        schema: "{}".to_owned(),
        resume: ResumeToken([1; 16]),
        quiet_ms: 1000,
    };
    let server = [
        welcome(Role::Player(PlayerId(7))),
        welcome(Role::Spectator),
        ServerMessage::Pong { nonce: 1, tick: Tick(300) },
        ServerMessage::Reset { from: Tick(9), to: Tick(3) },
        ServerMessage::Ended,
        ServerMessage::Reconnect { within_ms: 5000, url: "ws://b1:7777/ws".to_owned() },
    ];
    let client = client.iter().map(|message| with_head(&[0], message.to_frame()));
    client.chain(server.iter().map(|message| with_head(&[1], message.to_frame()))).collect()
}

/// A frame of a conversation as an input holds it.
fn say(out: &mut Vec<u8>, form: Form, argument: [u8; 2], payload: &[u8]) {
    let number = Form::ALL.iter().position(|other| *other == form).expect("every form has a number");
    out.push(number as u8);
    out.extend((payload.len() as u16).to_le_bytes());
    out.extend(argument);
    out.extend(payload);
}

/// Frames that follow on each moment as an owner would send them, with something wrong in the end.
fn conversations(second: u8) -> Vec<Vec<u8>> {
    let mut dice = Dice(4);
    let mut all = Vec::new();
    for (number, scene, moment) in moments() {
        let mut input = vec![number, second];
        let mut world = moment.world.clone();
        if moment.tick == 0 || second == 1 {
            // Whoever has nothing yet is given the first prior and the state.
            say_snapshot(&mut input, scene, &world);
        }
        let prior = if second == 1 { 0 } else { usize::from(second) };
        for _ in 0..2 {
            let (payload, after) = next(scene, prior, &world, &mut dice);
            say(&mut input, Form::Diff, [0, 0], &payload);
            world = after;
        }
        for (span, known) in [(3, STEPS_KNOWN_MAX), (1, 0), (1, 1)] {
            let (to, mut payload) = (later(&world, span, &mut dice), Vec::new());
            catch_up::encode(&world, &to, Leap { span: u32::from(span), known }, &mut payload);
            say(&mut input, Form::CatchUp, [0, span], &payload);
            world = to;
        }
        let mut payload = Vec::new();
        scene.priors[1].encode(&mut payload);
        say(&mut input, Form::Prior, [0, 0], &payload);
        let (payload, after) = next(scene, 1, &world, &mut dice);
        say(&mut input, Form::Diff, [0, 0], &payload);
        say(&mut input, Form::Owner, [STRANGER, 0], &[]);
        let wrong = [HASH, STRANGER, OTHER_PRIOR][usize::from(number) % 3];
        let (payload, _) = next(scene, 1, &after, &mut dice);
        say(&mut input, Form::Diff, [wrong, 0], &payload);
        say_snapshot(&mut input, scene, &after);
        say(&mut input, Form::Raw, [0, 0], &frame::owner(Default::default()));
        say(&mut input, Form::Raw, [0, 0], &ServerMessage::Ended.to_frame());
        all.push(input);
    }
    all
}

fn say_snapshot(input: &mut Vec<u8>, scene: &Scene, world: &World) {
    let (mut prior, mut payload) = (Vec::new(), Vec::new());
    scene.priors[0].encode(&mut prior);
    snapshot::encode(world, &mut payload);
    let length = (prior.len() as u16).to_le_bytes();
    say(input, Form::Snapshot, [HASH, 0], &[&length, &prior[..], &payload[..]].concat());
}
