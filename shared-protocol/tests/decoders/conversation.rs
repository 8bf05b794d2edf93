//! Checks of what is said on a connection: control messages, schemas, and sequences of frames, which a replica and a
//! client follow.

use std::sync::Arc;

use tickcast_protocol::catch_up::{self, Leap};
use tickcast_protocol::client::{Client, Event, INPUTS_KEPT_MAX};
use tickcast_protocol::diff::{self, Encoder};
use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION, Role, ServerMessage};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::replica::Gap;
use tickcast_protocol::{
    Epoch, Fence, InputSeq, Nonce, PlayerId, Position, Progress, Replica, ResumeToken, Schema, SessionId,
    Tick, TickRate, World, snapshot,
};

use super::checks::{assert_sound, assert_untouched, born_max, head};
use super::scenes::{self, Moment};

/// Frames of one input that are looked at.
const FRAMES_MAX: usize = 64;

/// A frame of an input: `form length(2) argument(2) payload`.
pub(crate) struct Spoken<'a> {
    pub(crate) form: Form,
    /// Flags and numbers of the form.
    pub(crate) argument: [u8; 2],
    pub(crate) payload: &'a [u8],
}

/// How a frame is made of a payload: most bytes that are no frame at all would end every conversation at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The payload is the frame.
    Raw,
    /// A diff of the next tick.
    Diff,
    /// A catch-up over the ticks in the argument.
    CatchUp,
    /// A prior.
    Prior,
    /// A snapshot; the payload begins with the prior's length, in two bytes.
    Snapshot,
    /// A new owner.
    Owner,
}

impl Form {
    /// Every form; its number is its position.
    pub(crate) const ALL: [Form; 6] =
        [Form::Raw, Form::Diff, Form::CatchUp, Form::Prior, Form::Snapshot, Form::Owner];
}

/// A diff's flag for a hash that is wrong, a snapshot's for one that is right.
pub(crate) const HASH: u8 = 0x01;
/// A flag for another owner's frame.
pub(crate) const STRANGER: u8 = 0x02;
/// A diff's flag for another prior than the replica's.
pub(crate) const OTHER_PRIOR: u8 = 0x04;

/// The frames of an input.
fn spoken(mut input: &[u8]) -> Vec<Spoken<'_>> {
    let mut all = Vec::new();
    while !input.is_empty() && all.len() < FRAMES_MAX {
        let ([form, low, high, first, second], rest) = head(input);
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([low, high]))));
        let form = Form::ALL[usize::from(form) % Form::ALL.len()];
        all.push(Spoken { form, argument: [first, second], payload });
        input = rest;
    }
    all
}

impl Spoken<'_> {
    /// The frame as a replica gets it that stands here.
    fn frame(&self, replica: &Replica) -> Vec<u8> {
        let [flags, number] = self.argument;
        let mut position = replica.position();
        if flags & STRANGER != 0 {
            position.fence.nonce.0 ^= 1;
        }
        let after = |ticks: u64| Position { tick: Tick(position.tick.0.saturating_add(ticks)), ..position };
        match self.form {
            Form::Raw => self.payload.to_vec(),
            Form::Diff => {
                let prior = replica.prior().number() ^ u8::from(flags & OTHER_PRIOR != 0);
                let hash = (flags & HASH != 0).then_some(1);
                frame::diff(after(1), prior, hash, self.payload)
            }
            Form::CatchUp => frame::catch_up(after(u64::from(number)), number, None, self.payload),
            Form::Prior => frame::prior(position, self.payload),
            Form::Snapshot => {
                let ([low, high], rest) = head(self.payload);
                let (prior, payload) =
                    rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([low, high]))));
                let schema = Arc::clone(replica.world().schema());
                let hash = snapshot::decode(schema, payload).map_or(0, |world| world.hash());
                let hash = if flags & HASH != 0 { hash } else { 1 };
                frame::snapshot(after(1), hash, prior, payload)
            }
            Form::Owner => {
                position.tick.0 += u64::from(number > 1);
                frame::owner(position)
            }
        }
    }
}

/// A replica of a moment that frames are given to: `moment prior frames`.
pub(crate) fn replica(input: &[u8]) -> bool {
    let ([moment, prior], input) = head(input);
    let (scene, moment, prior) = scenes::pick(moment, prior);
    let mut replica = match moment.tick {
        0 => Replica::empty(Arc::clone(&scene.schema)),
        _ => Replica::loaded(moment.world.clone(), Arc::clone(prior), position_of(moment)),
    };
    let mut advanced = false;
    for spoken in spoken(input) {
        let frame = spoken.frame(&replica);
        let before = replica.clone();
        let progress = replica.apply(&frame);
        assert_followed(&before, &replica, &frame, &progress);
        advanced |= progress == Progress::Advanced;
    }
    advanced
}

pub(crate) fn position_of(moment: &Moment) -> Position {
    Position { fence: Fence { epoch: Epoch(2), nonce: Nonce(7) }, tick: Tick(moment.tick as u64) }
}

/// That a replica did with a frame what it says, and nothing else.
fn assert_followed(before: &Replica, after: &Replica, frame: &[u8], progress: &Progress) {
    let same_place = before.position() == after.position()
        && before.prior() == after.prior()
        && before.steps_known() == after.steps_known();
    match progress {
        Progress::Advanced => {
            assert!(!after.is_broken());
            let whole = matches!(frame::parse(frame), Ok(StateFrame::Snapshot { .. }));
            let held = if whole { 0 } else { before.world().len() };
            let born = after.world().len().saturating_sub(held);
            assert!(born <= born_max(frame.len()), "{born} entities of {} bytes", frame.len());
            assert!(
                whole
                    || after.position().tick > before.position().tick
                    || before.position().tick.0 == u64::MAX
            );
            assert_sound(after.world());
        }
        Progress::Stale => {
            assert_eq!(before.is_broken(), after.is_broken());
            assert_eq!(before.steps_known(), after.steps_known());
            assert!(after.world().same_state(before.world()), "nothing new, and the state is another");
        }
        Progress::Gap(Gap::Desync { actual, expected, .. }) => {
            assert!(after.is_broken());
            assert_eq!(after.world().hash(), *actual);
            assert_ne!(actual, expected);
        }
        Progress::Gap(gap) => {
            assert!(after.is_broken());
            assert!(same_place, "{gap}, and the replica stands elsewhere");
            let error = match gap {
                Gap::Broken { error, .. } => error.clone(),
                _ => tickcast_protocol::varint::DecodeError::State("a gap"),
            };
            assert_untouched(before.world(), after.world(), &error);
        }
    }
}

/// A client that is let in and hears frames: `moment role frames`.
pub(crate) fn client(input: &[u8]) -> bool {
    let ([moment, role_byte], input) = head(input);
    let (scene, _, _) = scenes::pick(moment, 0);
    let mut client = Client::new("fuzz", Join::Quick { game: String::new() });
    let mut outsider = Client::new("fuzz", Join::Quick { game: String::new() });
    let role = match role_byte % 2 {
        0 => Role::Spectator,
        _ => Role::Player(PlayerId(u32::from(role_byte))),
    };
    let welcome = ServerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        node: "n1".parse().expect("an id"),
        session: SessionId(1),
        match_id: "m1".parse().expect("an id"),
        role,
        tick_rate: TickRate::try_from(30u64).expect("a rate"),
        schema: scene.schema.to_json(),
        resume: ResumeToken([role_byte; 16]),
        quiet_ms: 1000,
    };
    assert_eq!(client.handle_frame(&welcome.to_frame()), Ok(Event::Welcome));
    client.poll_transmit().expect("the hello");
    let mut advanced = false;
    let mut owner = None;
    for spoken in spoken(input) {
        let frame = spoken.frame(&client.joined().expect("it was let in").replica);
        let heard = client.handle_frame(&frame);
        assert_ne!(heard, Ok(Event::Welcome), "there is one welcome");
        let (asked, again) = said(&mut client);
        assert_eq!(
            asked,
            u32::from(matches!(heard, Ok(Event::Gap(_)))),
            "a gap is asked about once: {heard:?}"
        );
        client.take_difference();
        let joined = client.joined().expect("it was let in");
        assert_eq!(joined.acknowledged().is_some(), joined.entity().is_some());
        let fence = Some(joined.replica.position().fence).filter(|_| !joined.replica.is_broken());
        let changed = fence.is_some_and(|fence| owner.replace(fence).is_some_and(|before| before != fence));
        // docs/wire.md, section 2.2, 6: one that is announced once more has lost inputs.
        let is_announced = frame.first() == Some(&frame::OWNER);
        assert!(
            changed || is_announced || again.is_empty(),
            "only an owner's change tells it again: {heard:?}"
        );
        assert!(again.is_sorted() && again.iter().all(|seq| *seq <= client.last_seq()));
        assert!(again.len() <= INPUTS_KEPT_MAX);
        if let Some(seq) = client.input(&[1]) {
            assert_eq!(seq, client.last_seq());
            client.poll_transmit().expect("the input");
        }
        // Whoever was not let in takes a message at most.
        if matches!(outsider.handle_frame(&frame), Ok(Event::Welcome)) {
            break;
        }
        advanced |= matches!(heard, Ok(Event::Snapshot | Event::Advanced | Event::CaughtUp));
    }
    client.resume().expect("it was let in");
    client.poll_transmit().expect("the next hello");
    assert_eq!(client.poll_transmit(), None, "nothing of the last connection is left");
    assert_eq!(client.handle_frame(&welcome.to_frame()), Ok(Event::Welcome));
    advanced
}

/// How often a client asks for a snapshot, and the inputs that it sends.
fn said(client: &mut Client) -> (u32, Vec<InputSeq>) {
    let (mut asked, mut inputs) = (0, Vec::new());
    while let Some(frame) = client.poll_transmit() {
        match ClientMessage::from_frame(&frame) {
            Ok(ClientMessage::Input { seq, .. }) => inputs.push(seq),
            Ok(ClientMessage::NeedSnapshot) => asked += 1,
            other => panic!("nobody asked for {other:?}"),
        }
    }
    (asked, inputs)
}

/// A control message: `side message`.
pub(crate) fn message(input: &[u8]) -> bool {
    let ([side], bytes) = head(input);
    if side % 2 == 0 {
        let Ok(message) = ClientMessage::from_frame(bytes) else { return false };
        let frame = message.to_frame();
        assert!(frame.len() <= bytes.len(), "a message holds no more than its bytes");
        assert_eq!(ClientMessage::from_frame(&frame), Ok(message));
    } else {
        let Ok(message) = ServerMessage::from_frame(bytes) else { return false };
        let frame = message.to_frame();
        assert!(frame.len() <= bytes.len().max(1), "a message holds no more than its bytes");
        assert_eq!(ServerMessage::from_frame(&frame), Ok(message));
    }
    true
}

/// A schema's JSON. Whatever is a schema is good for a match.
pub(crate) fn schema(input: &[u8]) -> bool {
    let Ok(json) = std::str::from_utf8(input) else { return false };
    let Ok(schema) = Schema::from_json(json) else { return false };
    let again = Schema::from_json(&schema.to_json()).expect("our own JSON");
    assert_eq!((&again, again.hash()), (&schema, schema.hash()));
    let first = Prior::first(&schema);
    let mut encoder = Encoder::new(Arc::clone(&first));
    let mut owner = World::new(Arc::clone(&schema));
    let mut replica = owner.clone();
    let mut dice = scenes::Dice(schema.hash());
    for _ in 0..3 {
        // A kind of which one entity's record would fill a world is of no use, and no harm.
        (0..schema.kinds().len() as u8).for_each(|kind| drop(owner.spawn(kind)));
        scenes::play(&mut owner, &mut dice);
        let mut bytes = Vec::new();
        encoder.encode(&owner, &mut bytes);
        owner.advance();
        assert_eq!(diff::apply(&mut replica, &first, &bytes), Ok(()));
        assert!(replica.same_state(&owner));
    }
    assert_sound(&owner);
    let (mut late, mut bytes) = (World::new(Arc::clone(&schema)), Vec::new());
    let leap = Leap { span: 255, known: 1 };
    catch_up::encode(&late, &owner, leap, &mut bytes);
    assert_eq!(catch_up::apply(&mut late, leap, &bytes), Ok(()));
    assert_eq!(late.first_difference(&owner), None);
    true
}
