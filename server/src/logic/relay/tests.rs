//! What a relay passes on, passes over, and reloads for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::backplane::fields;
use crate::game::{GameInfo, Options, Visibility};
use crate::logic::stored::StoredMatch;
use crate::logic::vouch::Vouch;
use tickcast_protocol::TickRate;
use tickcast_protocol::World;
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{Epoch, Fence, Field, Kind, Nonce, Schema};

fn fence(epoch: u64) -> Fence {
    Fence { epoch: Epoch(epoch), nonce: Nonce(epoch * 77) }
}

fn schema() -> Arc<Schema> {
    let player = Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)]);
    Schema::new("demo", "player", [player], []).unwrap()
}

fn first() -> Arc<Prior> {
    Prior::first(&schema())
}

/// An owner's next tick: one more entity.
fn tick(world: &mut World, fence: Fence, tick: u64) -> Bytes {
    next_tick(world, &mut Encoder::new(first()), fence, tick)
}

fn next_tick(world: &mut World, encoder: &mut Encoder, fence: Fence, tick: u64) -> Bytes {
    world.spawn(0).unwrap();
    let mut payload = Vec::new();
    let number = encoder.prior().number();
    encoder.encode(world, &mut payload);
    world.advance();
    let position = Position { fence, tick: Tick(tick) };
    let prior = encoder.poll_prior().map(|prior| {
        let mut bytes = Vec::new();
        prior.encode(&mut bytes);
        frame::prior(position, &bytes)
    });
    let diff_frame = frame::diff(position, number, None, &payload);
    channel::encode_tick(position, world.hash(), 0, &diff_frame, prior.as_deref(), &[], &[])
}

/// The fields of a match with a ring of 8, as far as a relay reads them: where it stands, from which ticks its
/// ownerships began, and ticks.
fn store(at: Position, began: &[u64], ticks: &[Bytes]) -> MatchFields {
    let entry = |(epoch, tick): (u64, &u64)| fields::claim_entry(fence(epoch), *tick);
    let claims: Vec<String> = (1..).zip(began).map(entry).collect();
    let info = GameInfo {
        schema: schema(),
        tick_rate: TickRate::try_from(30_u64).unwrap(),
        players_max: 8,
        visibility: Visibility::Everything,
    };
    let mut fields = stored::new_match(&info, &Options::new(), 1, 0, 8);
    for (name, value) in [
        (fields::EPOCH, at.fence.epoch.0.to_string()),
        (fields::NONCE, fields::nonce_text(at.fence.nonce)),
        (fields::CLAIMS, claims.join(" ")),
        (fields::OWNER, "n".to_owned()),
        (fields::STATUS, fields::OPEN.to_owned()),
        (fields::LEASE_MS, "0".to_owned()),
        (fields::TICK, at.tick.0.to_string()),
        (fields::SNAPSHOT_TICK, at.tick.0.to_string()),
    ] {
        fields.insert(name.into(), value.into());
    }
    for message in ticks {
        let Ok(FromOwner::Tick(tick)) = channel::parse_from_owner(message) else { panic!("a tick") };
        fields.insert(fields::ring(tick.position.tick.0, 8), message.clone());
    }
    fields
}

fn restored(fields: &MatchFields, world: &World) -> Restored {
    let stored = StoredMatch::parse(fields).unwrap();
    Restored {
        stored,
        world: world.clone(),
        segments: None,
        views: Default::default(),
        prior: first(),
        holders: BTreeMap::new(),
        chat: Default::default(),
    }
}

/// Loads a match of which the store has no ticks.
fn load(relay: &mut Relay, world: &World, at: Position, began: &[u64]) -> Resync {
    let fields = store(at, began, &[]);
    relay.handle_load(&fields, restored(&fields, world))
}

fn started() -> (World, Relay) {
    let at = Position { fence: fence(1), tick: Tick(10) };
    (World::new(schema()), Relay::new(Replica::loaded(World::new(schema()), first(), at), Vec::new()))
}

#[test]
fn passes_on_the_very_bytes_once() {
    let (mut world, mut relay) = started();
    let message = tick(&mut world, fence(1), 11);
    let Verdict::FanOut(frames) = relay.handle_message(&message) else { panic!("fan out") };
    assert_eq!(frames.len(), 1);
    assert!(message.as_ptr_range().contains(&frames[0].as_ptr()), "a slice, not a copy");
    assert_eq!(relay.handle_message(&message), Verdict::Ignore);
}

#[test]
fn a_new_prior_is_passed_on_behind_its_tick() {
    let ((mut world, mut relay), mut encoder) = (started(), Encoder::new(first()));
    let mut priors = 0;
    for number in 11..60 {
        let message = next_tick(&mut world, &mut encoder, fence(1), number);
        let Verdict::FanOut(frames) = relay.handle_message(&message) else { panic!("fan out") };
        if let [_, prior] = &frames[..] {
            assert!(message.as_ptr_range().contains(&prior.as_ptr()), "a slice, not a copy");
            assert_eq!(prior[0], frame::PRIOR);
            priors += 1;
        }
        assert_eq!(relay.replica().prior(), encoder.prior());
    }
    assert!(priors > 0 && relay.replica().world().same_state(&world));
}

#[test]
fn a_prior_that_is_none_is_a_reload() {
    let (mut world, mut relay) = started();
    let good = tick(&mut world, fence(1), 11);
    let Ok(FromOwner::Tick(told)) = channel::parse_from_owner(&good) else { panic!("a tick") };
    let broken = channel::encode_tick(told.position, told.hash, 0, &told.frame, Some(b"none"), &[], &[]);
    assert!(matches!(relay.handle_message(&broken), Verdict::Reload(Gap::Broken { .. })));
}

#[test]
fn a_hole_or_a_false_hash_is_a_reload_and_nothing_is_passed_on_until_then() {
    let (mut world, mut relay) = started();
    tick(&mut world, fence(1), 11);
    let late = tick(&mut world, fence(1), 12);
    assert!(matches!(relay.handle_message(&late), Verdict::Reload(Gap::Missing { .. })));
    let next = tick(&mut world, fence(1), 13);
    assert!(matches!(relay.handle_message(&next), Verdict::Reload(Gap::Missing { .. })));
    let at = Position { fence: fence(1), tick: Tick(13) };
    assert_eq!(load(&mut relay, &world, at, &[0]), Resync::Forward);
    let mut lying = tick(&mut world, fence(1), 14).to_vec();
    lying[25] ^= 1;
    assert!(matches!(relay.handle_message(&lying.into()), Verdict::Reload(Gap::Desync { .. })));
    let next = tick(&mut world, fence(1), 15);
    assert!(matches!(relay.handle_message(&next), Verdict::Reload(Gap::Waiting)));
}

#[test]
fn a_new_owner_that_goes_on_from_our_state_is_announced_once_the_store_knows_it() {
    let (mut world, mut relay) = started();
    let message = tick(&mut world, fence(2), 11);
    assert_eq!(relay.handle_message(&message), Verdict::Confirm(fence(2)));
    assert_eq!(relay.replica().position().tick, Tick(10), "nothing is believed before");
    relay.confirm(fence(2));
    let Verdict::FanOut(frames) = relay.handle_message(&message) else { panic!("fan out") };
    assert_eq!(frames[0], frame::owner(Position { fence: fence(2), tick: Tick(10) }));
    assert_eq!(frames.len(), 2);
    // What the old owner says now is nobody's business: the store will not confirm it.
    let mut zombie = World::new(schema());
    for number in [11, 12, 400] {
        let message = tick(&mut zombie, fence(1), number);
        assert_eq!(relay.handle_message(&message), Verdict::Confirm(fence(1)));
    }
    assert!(!relay.replica().is_broken());
}

#[test]
fn when_inputs_were_lost_clients_are_told_with_the_next_tick() {
    let (mut world, mut relay) = started();
    assert_eq!(relay.handle_message(&channel::encode_note(&Note::InputsLost)), Verdict::Ignore);
    let told = |verdict| match verdict {
        Verdict::FanOut(frames) => frames.len() == 2 && frames[0][0] == frame::OWNER,
        other => panic!("{other:?}"),
    };
    assert!(told(relay.handle_message(&tick(&mut world, fence(1), 11))));
    assert!(!told(relay.handle_message(&tick(&mut world, fence(1), 12))));
    // A node that missed messages may have missed that note.
    let now = Position { fence: fence(1), tick: Tick(12) };
    assert_eq!(load(&mut relay, &world, now, &[0]), Resync::Missed(Vec::new()));
    assert!(told(relay.handle_message(&tick(&mut world, fence(1), 13))));
    assert!(!told(relay.handle_message(&tick(&mut world, fence(1), 14))));
}

/// Ticks 11 to 15 of one owner, then 16 to 18 of the next.
fn history(world: &mut World) -> Vec<Bytes> {
    (11..=18).map(|number| tick(world, fence(if number < 16 { 1 } else { 2 }), number)).collect()
}

#[test]
fn missed_ticks_come_from_the_ring_also_across_a_change_of_owner() {
    let (mut world, mut relay) = started();
    let ticks = history(&mut world);
    assert!(matches!(relay.handle_message(&ticks[0]), Verdict::FanOut(_)));
    assert!(matches!(relay.handle_message(&ticks[4]), Verdict::Reload(Gap::Missing { .. })));
    let now = Position { fence: fence(2), tick: Tick(18) };
    let fields = store(now, &[0, 15], &ticks);
    let Resync::Missed(frames) = relay.handle_load(&fields, restored(&fields, &world)) else {
        panic!("missed")
    };
    let kinds: Vec<u8> = frames.iter().map(|frame| frame[0]).collect();
    let (owner, diff) = (frame::OWNER, frame::DIFF);
    // Inputs may have been lost with the ticks, which is said before the first; the second is the new owner.
    assert_eq!(kinds, [owner, diff, diff, diff, diff, owner, diff, diff, diff]);
    assert!(relay.replica().world().same_state(&world));
    assert_eq!(relay.replica().position(), now);
    assert_eq!(relay.handle_load(&fields, restored(&fields, &world)), Resync::Missed(Vec::new()));
}

#[test]
fn ticks_of_the_ring_that_do_not_lead_on_from_ours_are_not_taken() {
    let jump = |ticks: &[Bytes], relay: &mut Relay, world: &World| {
        let fields = store(Position { fence: fence(2), tick: Tick(18) }, &[0, 15], ticks);
        relay.handle_load(&fields, restored(&fields, world))
    };
    let begun = || {
        let (mut world, mut relay) = started();
        let ticks = history(&mut world);
        assert!(matches!(relay.handle_message(&ticks[0]), Verdict::FanOut(_)));
        (world, relay, ticks)
    };
    let (world, mut relay, mut ticks) = begun();
    ticks.remove(3);
    assert_eq!(jump(&ticks, &mut relay, &world), Resync::Forward, "one is missing");
    let (world, mut relay, ticks) = begun();
    let fields = store(Position { fence: fence(2), tick: Tick(18) }, &[0, 10], &ticks);
    let resync = relay.handle_load(&fields, restored(&fields, &world));
    assert_eq!(
        resync,
        Resync::Reset { from: Tick(11), to: Tick(10) },
        "tick 11 was taken back and made again"
    );
    let (world, mut relay, mut ticks) = begun();
    let mut lying = ticks[3].to_vec();
    lying[25] ^= 1;
    ticks[3] = lying.into();
    assert_eq!(jump(&ticks, &mut relay, &world), Resync::Forward, "a tick does not give its hash");
    assert!(relay.replica().world().same_state(&world));
    let (mut world, mut relay, mut ticks) = begun();
    ticks.extend((19..=20).map(|number| tick(&mut world, fence(2), number)));
    let fields = store(Position { fence: fence(2), tick: Tick(20) }, &[0, 15], &ticks);
    let resync = relay.handle_load(&fields, restored(&fields, &world));
    assert_eq!(resync, Resync::Forward, "the ring has come round to ours");
}

#[test]
fn ticks_that_the_store_lost_are_kept_for_their_owner_to_write_back() {
    let (mut world, mut relay) = started();
    let back = Position { fence: fence(1), tick: Tick(4) };
    assert_eq!(load(&mut relay, &World::new(schema()), back, &[0]), Resync::Kept);
    let verdict = relay.handle_message(&tick(&mut world, fence(1), 11));
    assert!(matches!(verdict, Verdict::FanOut(_)), "{verdict:?}");
}

#[test]
fn a_copy_with_a_hole_or_of_no_use_waits_for_what_the_store_lost_as_well() {
    let back = Position { fence: fence(1), tick: Tick(4) };
    for spoils in [false, true] {
        let (mut world, mut relay) = started();
        let mut late = (tick(&mut world, fence(1), 11), tick(&mut world, fence(1), 12)).1.to_vec();
        if spoils {
            late = tick(&mut World::new(schema()), fence(1), 11).to_vec();
            late.truncate(late.len() - 1);
        }
        assert!(matches!(relay.handle_message(&late.into()), Verdict::Reload(_)));
        assert_eq!(relay.replica().is_broken(), spoils);
        assert_eq!(load(&mut relay, &World::new(schema()), back, &[0]), Resync::Kept);
        // The owner writes the whole state, and nothing of the ring before it.
        let now = tick(&mut world, fence(1), 13);
        assert!(matches!(relay.handle_message(&now), Verdict::Reload(_)));
        let repaired = Position { fence: fence(1), tick: Tick(13) };
        assert_eq!(load(&mut relay, &world, repaired, &[0]), Resync::Forward);
        assert!(matches!(relay.handle_message(&tick(&mut world, fence(1), 14)), Verdict::FanOut(_)));
    }
}

#[test]
fn a_store_that_went_back_is_a_reset() {
    let (world, mut relay) = started();
    let back = Position { fence: fence(2), tick: Tick(4) };
    assert_eq!(load(&mut relay, &world, back, &[0, 3]), Resync::Reset { from: Tick(10), to: Tick(3) });
}

#[test]
fn a_lost_tick_is_told_also_when_the_match_has_passed_it_since() {
    let (world, mut relay) = started();
    let ahead = Position { fence: fence(2), tick: Tick(40) };
    assert_eq!(load(&mut relay, &world, ahead, &[0, 3]), Resync::Reset { from: Tick(10), to: Tick(3) });
    let (world, mut relay) = started();
    assert_eq!(load(&mut relay, &world, ahead, &[0, 10]), Resync::Forward);
}

#[test]
fn foreign_messages_change_nothing() {
    let (_, mut relay) = started();
    for bytes in [&b""[..], b"hello", b"\x81", b"\x82\xff\xff"] {
        assert_eq!(relay.handle_message(&Bytes::copy_from_slice(bytes)), Verdict::Foreign);
    }
    assert!(!relay.replica().is_broken());
}

/// A tick with which this was said.
fn tick_saying(world: &mut World, number: u64, said: u64) -> Bytes {
    let message = tick(world, fence(1), number);
    let Ok(FromOwner::Tick(told)) = channel::parse_from_owner(&message) else { panic!("a tick") };
    channel::encode_tick(told.position, told.hash, 0, &told.frame, None, &[line(said)], &[])
}

fn line(number: u64) -> ChatLine {
    let (name, text) = (String::new().try_into().unwrap(), format!("line {number}").try_into().unwrap());
    ChatLine { number, tick: Tick(10 + number), from: PlayerId(7), seq: number as u32, team: 0, name, text }
}

fn numbers(lines: Vec<ChatLine>) -> Vec<u64> {
    lines.into_iter().map(|line| line.number).collect()
}

#[test]
fn what_was_said_with_a_tick_is_told_once_however_the_tick_comes() {
    let (mut world, mut relay) = started();
    let ticks: Vec<Bytes> = (1..=5).map(|said| tick_saying(&mut world, 10 + said, said)).collect();
    for repeated in 0..2 {
        relay.handle_message(&ticks[0]);
        assert_eq!(numbers(relay.take_said()), [1, 2][..1 - repeated]);
    }
    // A tick that is not the next is not told, and what was said with it neither.
    assert!(matches!(relay.handle_message(&ticks[2]), Verdict::Reload(_)));
    assert_eq!(numbers(relay.take_said()), [0; 0]);
    let fields = store(Position { fence: fence(1), tick: Tick(15) }, &[0], &ticks);
    let resync = relay.handle_load(&fields, restored(&fields, &world));
    assert!(matches!(resync, Resync::Missed(_)), "{resync:?}");
    assert_eq!(numbers(relay.take_said()), [2, 3, 4, 5], "from the ring");
    assert_eq!(numbers(relay.history(0)), [1, 2, 3, 4, 5]);
}

#[test]
fn what_was_said_while_the_ring_went_round_is_told_from_the_fields() {
    let (mut world, mut relay) = started();
    relay.handle_message(&tick_saying(&mut world, 11, 1));
    relay.take_said();
    let mut load = |began: &[u64], from: u64| {
        let fields = store(Position { fence: fence(began.len() as u64), tick: Tick(40) }, began, &[]);
        let mut restored = restored(&fields, &world);
        restored.chat.lines = (from..5).map(line).collect();
        (relay.handle_load(&fields, restored), numbers(relay.take_said()), numbers(relay.history(0)))
    };
    assert_eq!(load(&[0], 1), (Resync::Forward, vec![2, 3, 4], vec![1, 2, 3, 4]));
    // Where ticks are lost, all that was said is another story: clients are told it anew.
    let (resync, said, history) = load(&[0, 5], 3);
    assert!(matches!(resync, Resync::Reset { .. }), "{resync:?}");
    assert_eq!((said, history), (vec![], vec![3, 4]));
}

/// An owner on the relay's node and how far its ticks went.
struct Beside {
    world: World,
    encoder: Encoder,
    vouch: Vouch,
    tick: u64,
}

impl Beside {
    fn new() -> (Beside, Relay) {
        let mut world = World::new(schema());
        let mut encoder = Encoder::new(first());
        let mut relay = Relay::new(
            Replica::loaded(world.clone(), first(), Position { fence: fence(1), tick: Tick(0) }),
            vec![],
        );
        for number in 1..=40 {
            relay.handle_message(&next_tick(&mut world, &mut encoder, fence(1), number));
        }
        (Beside { world, encoder, vouch: Vouch::default(), tick: 40 }, relay)
    }

    /// The owner's next tick, with a hash that is off by `lie`, as its relay takes it.
    fn tick(&mut self, relay: &mut Relay, lie: u32) -> Verdict {
        self.tick += 1;
        let told = next_tick(&mut self.world, &mut self.encoder, fence(1), self.tick);
        let Ok(FromOwner::Tick(read)) = channel::parse_from_owner(&told) else { panic!("a tick") };
        let hash = read.hash.wrapping_add(lie);
        let message =
            channel::encode_tick(read.position, hash, 0, &read.frame, read.prior.as_deref(), &[], &[]);
        let state = || Replica::loaded(self.world.clone(), Arc::clone(self.encoder.prior()), read.position);
        self.vouch.handle_made(&message, state);
        if relay.wants_state() {
            self.vouch.want_state();
        }
        let made = self.vouch.take(&message);
        assert!(made.is_some());
        relay.handle_vouched(&message, made)
    }
}

#[test]
fn what_the_owner_beside_it_vouches_for_is_passed_on_and_decoded_where_the_state_is_needed() {
    let (mut owner, mut relay) = Beside::new();
    let mut deferred = Vec::new();
    for number in 41..300 {
        assert!(matches!(owner.tick(&mut relay, 0), Verdict::FanOut(_)), "tick {number}");
        assert_eq!(relay.position(), Position { fence: fence(1), tick: Tick(number) });
        assert_eq!(relay.hash(), owner.world.hash());
        deferred.push(number - relay.replica().position().tick.0);
        // Somebody comes, now and then.
        if number % 67 == 0 {
            assert!(relay.settle() && relay.replica().world().same_state(&owner.world));
            assert_eq!(relay.replica().position(), relay.position());
        }
    }
    let most = deferred.iter().max().copied();
    assert_eq!(most, Some(CHECK_EVERY as u64 - 2), "no more than that is put off: {deferred:?}");
    let decoded = deferred.windows(2).filter(|pair| pair == &[0, 0]).count();
    assert!(
        decoded >= 300 / (2 * CHECK_EVERY),
        "behind a state that was taken over one tick is decoded: {deferred:?}"
    );
}

#[test]
fn an_owner_that_codes_wrongly_is_found_by_its_own_node() {
    let (mut owner, mut relay) = Beside::new();
    let verdicts: Vec<Verdict> = (0..=CHECK_EVERY).map(|_| owner.tick(&mut relay, 1)).collect();
    let is_desync = |verdict: &Verdict| matches!(verdict, Verdict::Reload(Gap::Desync { .. }));
    assert_eq!(verdicts.iter().filter(|verdict| is_desync(verdict)).count(), 1, "{verdicts:?}");
    assert!(relay.is_broken());
}

#[test]
fn what_is_found_wrong_where_the_state_is_needed_is_told() {
    for asked in [false, true] {
        let (mut owner, mut relay) = Beside::new();
        assert!(matches!(owner.tick(&mut relay, 0), Verdict::FanOut(_)));
        assert!(matches!(owner.tick(&mut relay, 1), Verdict::FanOut(_)), "nobody has looked");
        assert!(!relay.settle() && relay.is_broken());
        let is_desync = |gap: &Gap| matches!(gap, Gap::Desync { tick: Tick(42), .. });
        if asked {
            assert!(relay.take_found().as_ref().is_some_and(is_desync));
        } else {
            let Verdict::Reload(gap) = owner.tick(&mut relay, 0) else { panic!("it must be loaded anew") };
            assert!(is_desync(&gap), "{gap}");
        }
        assert_eq!(owner.tick(&mut relay, 0), Verdict::Reload(Gap::Waiting), "it is told once");
    }
}

#[test]
fn what_nobody_vouches_for_is_decoded_with_all_before_it() {
    let (mut owner, mut relay) = Beside::new();
    for _ in 0..5 {
        owner.tick(&mut relay, 0);
    }
    assert!(relay.replica().position().tick < Tick(45));
    let message = next_tick(&mut owner.world, &mut owner.encoder, fence(1), 46);
    assert!(matches!(relay.handle_message(&message), Verdict::FanOut(_)));
    assert_eq!(relay.replica().position().tick, Tick(46));
    assert!(relay.replica().world().same_state(&owner.world));
}
