//! The loop without a clock: joins, inputs, refusals, snapshots, and going on from what was written.

mod accounts;
mod chat;
mod cutting;
mod rest;
mod rewind;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::backplane::{Commit, FieldName, MatchFields, fields};
use crate::game::{GameType, Options};
use crate::games::Arena;
use crate::logic::channel::{self, FromOwner};
use crate::logic::relay::{Relay, Verdict};
use crate::logic::resume::TokenDigest;
use crate::logic::stored;
use tickcast_protocol::chat::{ChatRefusal, ChatTo};
use tickcast_protocol::replica::{Gap, Progress, Replica};
use tickcast_protocol::{InputSeq, ResumeToken, SessionId};

const SNAPSHOT_EVERY: u64 = 5;

fn writing() -> Writing {
    Writing {
        snapshot_every: SNAPSHOT_EVERY,
        hash_every: 1,
        lease: Duration::from_secs(1),
        resume_window: Duration::from_secs(10),
        rewind: Duration::from_millis(250),
        rests: false,
    }
}

fn created() -> MatchFields {
    // Drones move all the time: there is something to learn for priors.
    created_with(&[("players_max", 2), ("drones", 60)])
}

fn created_with(options: &[(&str, i64)]) -> MatchFields {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let info = Arena.info(&options).unwrap();
    let mut fields = stored::new_match(&info, &options, 42, 0, 16);
    for (name, value) in [
        (fields::EPOCH, "1"),
        (fields::NONCE, "0000000000000007"),
        (fields::OWNER, "n"),
        (fields::STATUS, fields::OPEN),
        (fields::LEASE_MS, "0"),
        (fields::TICK, "0"),
        (fields::SNAPSHOT_TICK, "0"),
    ] {
        fields.insert(name.into(), Bytes::from(value));
    }
    fields
}

fn resumed(fields: &MatchFields) -> Simulation {
    let restored = stored::restore(fields).unwrap();
    let mut simulation = Simulation::new(Arena.create(&restored.stored.options), restored, writing());
    simulation.recall(fields).unwrap();
    simulation
}

/// Writes a commit the way a store does.
fn write(fields: &mut MatchFields, commit: &Commit) {
    if commit.whole {
        fields.retain(|name, _| !fields::is_state(name));
    }
    fields.insert(commit.ring_field.clone(), commit.message.clone());
    fields.insert(fields::TICK.into(), commit.tick.0.to_string().into());
    fields.extend(commit.set.iter().cloned().collect::<BTreeMap<_, _>>());
    for name in &commit.delete {
        fields.remove(name);
    }
}

/// Odd players have an account.
fn holder(player: u32) -> Holder {
    let subject = (player % 2 == 1).then(|| format!("account-{player}").parse().unwrap());
    Holder { token: TokenDigest::of(&ResumeToken([player as u8; 16])), subject }
}

fn join(simulation: &mut Simulation, player: u32) {
    simulation.handle_upstream(Upstream::Join {
        player: PlayerId(player),
        name: format!("p{player}"),
        token: holder(player).token,
        subject: holder(player).subject,
    });
}

fn leave(player: u32) -> Upstream {
    Upstream::Leave { player: PlayerId(player), token: holder(player).token }
}

fn input(simulation: &mut Simulation, player: u32, seq: u32) {
    let values = simulation.world().schema().input().iter().map(|field| field.max).collect();
    let (player, seq) = (PlayerId(player), InputSeq(seq));
    simulation.handle_upstream(Upstream::Input { player, seq, seen: Tick(0), behind: 0, values });
}

fn acknowledged(simulation: &Simulation) -> Vec<i32> {
    let world = simulation.world();
    let schema = world.schema();
    world.ids(schema.player_kind()).map(|id| world.get(id, schema.seq_field())).collect()
}

#[test]
fn nobody_joins_as_a_player_of_the_games_own() {
    let mut simulation = resumed(&created());
    for player in [0, PlayerId::OF_GAME.0, u32::MAX] {
        join(&mut simulation, player);
    }
    assert_eq!(simulation.handle_tick(0).notes.len(), 0);
    assert_eq!((simulation.players(), acknowledged(&simulation).len()), (0, 0));
}

#[test]
fn an_applied_input_is_acknowledged_by_the_state_itself() {
    let mut simulation = resumed(&created());
    join(&mut simulation, 5);
    simulation.handle_tick(0);
    input(&mut simulation, 5, 1);
    input(&mut simulation, 5, 1);
    input(&mut simulation, 6, 1);
    simulation.handle_tick(0);
    assert_eq!(acknowledged(&simulation), [1]);
    assert_eq!(
        simulation.counts(),
        Counts { inputs_applied: 1, inputs_dropped: 2, priors: 0, chat_lines: 0 }
    );
}

#[test]
fn values_against_the_schema_never_reach_the_game() {
    let mut simulation = resumed(&created());
    join(&mut simulation, 5);
    simulation.handle_tick(0);
    for values in [vec![], vec![i32::MAX; 4], vec![0; 40]] {
        let (player, seq) = (PlayerId(5), InputSeq(1));
        let upstream = Upstream::Input { player, seq, seen: Tick(0), behind: 0, values: values.into() };
        simulation.handle_upstream(upstream);
    }
    simulation.handle_tick(0);
    assert_eq!(acknowledged(&simulation), [0]);
    assert_eq!(simulation.counts().inputs_dropped, 3);
}

#[test]
fn a_full_match_refuses_and_a_place_that_is_left_is_given_again() {
    let mut simulation = resumed(&created());
    (1..=3).for_each(|player| join(&mut simulation, player));
    let produced = simulation.handle_tick(0);
    let refused = Note::Refused { player: PlayerId(3), code: CloseCode::MatchFull.number() };
    assert_eq!((produced.notes, simulation.players()), (vec![refused], 2));
    simulation.handle_upstream(leave(1));
    simulation.handle_tick(0);
    join(&mut simulation, 3);
    assert_eq!((simulation.handle_tick(0).notes, simulation.players()), (vec![], 2));
}

#[test]
fn players_whose_relay_fell_silent_are_removed() {
    let mut simulation = resumed(&created());
    (1..=2).for_each(|player| join(&mut simulation, player));
    for _ in 0..400 {
        simulation.handle_upstream(Upstream::Present { players: vec![PlayerId(2)] });
        simulation.handle_tick(0);
    }
    assert_eq!(simulation.players(), 1);
}

/// A message of the diff channel, which a tick is.
fn tick_of(message: &Bytes) -> channel::TickMessage {
    match channel::parse_from_owner(message) {
        Ok(FromOwner::Tick(tick)) => tick,
        other => panic!("not a tick: {other:?}"),
    }
}

/// Ticks in which two players come, play, and one goes.
fn play(simulation: &mut Simulation, round: u32) -> Commit {
    match round {
        3 => join(simulation, 1),
        7 => join(simulation, 2),
        40 => simulation.handle_upstream(leave(2)),
        _ => {}
    }
    if round > 10 {
        input(simulation, 1, round - 10);
    }
    simulation.handle_tick(0).commit
}

#[test]
fn whoever_goes_on_from_the_written_fields_goes_on_exactly_alike() {
    let mut fields = created();
    let mut original = resumed(&fields);
    let mut restored_beside_a_prior = 0;
    for round in 0u32..130 {
        let commit = play(&mut original, round);
        write(&mut fields, &commit);
        let with_prior = tick_of(&commit.message).prior.is_some();
        restored_beside_a_prior += u32::from(with_prior);
        // Another node restores at every tick, and its next tick is this one's next tick.
        let mut other = resumed(&fields);
        assert_eq!(other.position(), original.position());
        assert!(other.world().same_state(original.world()), "tick {}", other.position().tick);
        assert_eq!(other.encoder.prior(), original.encoder.prior());
        let commit = other.handle_tick(0).commit;
        assert_eq!(tick_of(&commit.message).position.tick, original.position().tick.next());
        let mut copy = fields.clone();
        write(&mut copy, &commit);
        let next = stored::restore(&copy).unwrap();
        assert!(next.world.same_state(other.world()), "tick {}", other.position().tick);
        assert_eq!(&next.prior, other.encoder.prior());
    }
    assert!(restored_beside_a_prior > 1, "priors were published: {restored_beside_a_prior}");
    assert_eq!(u64::from(restored_beside_a_prior), original.counts().priors);
    let entities = fields.keys().filter(|name| !name.starts_with(b"~")).count();
    assert_eq!(
        entities,
        stored::restore(&fields).unwrap().world.len(),
        "despawned entities' fields are gone"
    );
}

#[test]
fn every_tick_of_the_ring_is_told_and_none_before() {
    let (mut fields, mut worlds) = (created(), Vec::new());
    let mut simulation = resumed(&fields);
    worlds.push(simulation.world().clone());
    for round in 0..60 {
        let commit = play(&mut simulation, round);
        write(&mut fields, &commit);
        worlds.push(simulation.world().clone());
        let first = fields::number(&fields, fields::SNAPSHOT_TICK).unwrap();
        for (tick, world) in worlds.iter().enumerate().skip((first as usize).saturating_sub(2)) {
            match stored::restore_at(&fields, Tick(tick as u64)).unwrap() {
                Some(told) => assert!(told.same_state(world) && tick as u64 >= first, "tick {tick}"),
                None => assert!((tick as u64) < first, "tick {tick} is in the ring"),
            }
        }
        assert!(stored::restore_at(&fields, Tick(worlds.len() as u64)).unwrap().is_none());
    }
}

#[test]
fn a_copy_that_differs_is_told_where_as_long_as_the_ring_tells_it() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    // Until the entity fields tell the last tick.
    let behind = |fields: &MatchFields| {
        fields::number(fields, fields::SNAPSHOT_TICK) != fields::number(fields, fields::TICK)
    };
    let mut round = 0;
    while round < 10 || behind(&fields) {
        write(&mut fields, &play(&mut simulation, round));
        round += 1;
    }
    let restored = stored::restore(&fields).unwrap();
    // A copy with one step more in the first field of one entity.
    let (mut wrong, mut record) = (fields.clone(), fields[&b"pickup:3"[..]].to_vec());
    record[1] ^= 2;
    wrong.insert("pickup:3".into(), record.into());
    let world = stored::restore_at(&wrong, restored.stored.tick).unwrap().unwrap();
    let mut relay = Relay::loaded(stored::Restored { world, ..restored });
    let commit = play(&mut simulation, round);
    write(&mut fields, &commit);
    assert!(matches!(relay.handle_message(&commit.message), Verdict::Reload(Gap::Desync { .. })));
    let told = |fields: &MatchFields| relay.find_difference(fields).map(|difference| difference.to_string());
    let first = told(&fields).expect("the ring has the tick");
    assert!(first.starts_with("pickup:3 field `x` is "), "{first}");
    let mut left = 2 * SNAPSHOT_EVERY;
    while told(&fields).as_ref() == Some(&first) {
        write(&mut fields, &simulation.handle_tick(0).commit);
        left -= 1;
    }
    assert_eq!(told(&fields), None, "a later snapshot tells nothing of an earlier tick");
    assert!(left > 0);
}

#[test]
fn what_is_published_is_all_that_a_replica_needs() {
    let fields = created();
    let mut simulation = resumed(&fields);
    let stored::Restored { stored, world, prior, .. } = stored::restore(&fields).unwrap();
    let mut replica = Replica::loaded(world, prior, stored.position());
    let mut numbers = Vec::new();
    for round in 0..200 {
        let message = tick_of(&play(&mut simulation, round).message);
        assert_eq!(replica.apply(&message.frame), Progress::Advanced);
        if let Some(prior) = &message.prior {
            assert_eq!(replica.apply(prior), Progress::Stale);
            numbers.push(replica.prior().number());
        }
        assert!(replica.world().same_state(simulation.world()));
    }
    assert!(numbers.len() > 1 && numbers.iter().copied().eq(1..=numbers.len() as u8), "{numbers:?}");
}

#[test]
fn damaged_fields_are_an_error_that_names_the_field() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join(&mut simulation, 1);
    for _ in 0..7 {
        write(&mut fields, &simulation.handle_tick(0).commit);
    }
    let names: Vec<FieldName> = fields.keys().cloned().collect();
    for name in names {
        let mut damaged = fields.clone();
        damaged.insert(name.clone(), Bytes::from_static(b"\xff\xfe"));
        let harmless = [fields::OWNER, fields::COMMITTED_MS].map(str::as_bytes).contains(&&name[..]);
        // Ring fields of ticks before the snapshot are not needed any more.
        let snapshot_tick = fields::number(&fields, fields::SNAPSHOT_TICK).unwrap();
        let old = name.starts_with(b"~d") && tick_of(&fields[&name[..]]).position.tick <= Tick(snapshot_tick);
        let restored = stored::restore(&damaged);
        assert!(restored.is_err() || harmless || old, "{}", String::from_utf8_lossy(&name));
    }
}

#[test]
fn a_whole_commit_mends_a_store_that_lost_ticks() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join(&mut simulation, 1);
    let mut lost = None;
    for round in 0..200 {
        if round == 2 * SNAPSHOT_EVERY as u32 + 1 {
            lost = Some(fields.clone());
        }
        if round == 50 {
            join(&mut simulation, 2);
        }
        write(&mut fields, &play(&mut simulation, round));
    }
    assert!(simulation.encoder.prior().number() > 1, "priors came after the loss");
    let mut mended = lost.unwrap();
    let commit = play(&mut simulation, 200);
    let whole = simulation.repair(&commit);
    assert_eq!((whole.tick, &whole.message), (commit.tick, &commit.message), "the very tick, told as before");
    write(&mut mended, &whole);
    write(&mut fields, &commit);
    let (one, other) = (stored::restore(&mended).unwrap(), stored::restore(&fields).unwrap());
    assert!(one.world.same_state(&other.world) && one.world.same_state(simulation.world()));
    assert_eq!((one.prior.number(), one.holders), (other.prior.number(), other.holders));
    // And on from there.
    for round in 201..240 {
        let commit = play(&mut simulation, round);
        write(&mut mended, &commit);
        assert!(stored::restore(&mended).unwrap().world.same_state(simulation.world()));
    }
}

#[test]
fn who_is_kicked_is_gone_with_the_seat_and_it_is_told() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join(&mut simulation, 1);
    write(&mut fields, &simulation.handle_tick(0).commit);
    join(&mut simulation, 2);
    for player in [1, 2, 3] {
        simulation.handle_upstream(Upstream::Kick { player: PlayerId(player) });
    }
    let produced = simulation.handle_tick(0);
    write(&mut fields, &produced.commit);
    let told = |player| Note::Refused { player: PlayerId(player), code: CloseCode::Kicked.number() };
    assert_eq!(produced.notes, [told(1), told(2)], "of somebody who is not there nothing is told");
    assert_eq!((simulation.players(), stored::restore(&fields).unwrap().holders.len()), (0, 0));
    assert_eq!(simulation.handle_tick(0).notes, []);
}

#[test]
fn who_has_the_token_is_known_to_the_next_owner() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join(&mut simulation, 1);
    join(&mut simulation, 2);
    write(&mut fields, &simulation.handle_tick(0).commit);
    let known = |fields: &MatchFields| stored::restore(fields).unwrap().holders;
    assert_eq!(known(&fields), BTreeMap::from([(PlayerId(1), holder(1)), (PlayerId(2), holder(2))]));
    let mut successor = resumed(&fields);
    successor.handle_upstream(leave(2));
    for (player, session) in [(1, 11), (2, 12)] {
        let (token, attempt) = (holder(player).token, 1);
        let (player, session) = (PlayerId(player), SessionId(session));
        successor.handle_upstream(Upstream::Resume { player, session, attempt, token });
    }
    let produced = successor.handle_tick(0);
    write(&mut fields, &produced.commit);
    assert_eq!(known(&fields), BTreeMap::from([(PlayerId(1), holder(1))]));
    let refused = Note::Refused { player: PlayerId(2), code: CloseCode::BadTicket.number() };
    let resumed = Note::Resumed { player: PlayerId(1), session: SessionId(11), attempt: 1 };
    assert_eq!(produced.notes, [resumed, refused]);
}

#[test]
fn the_stored_number_of_players_is_that_of_the_seats() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    let stored = |fields: &MatchFields| fields::number(fields, fields::PLAYERS);
    for round in 0..60 {
        // Another owner every few ticks: one that counted on from zero would be wrong from there.
        if round % 8 == 0 {
            simulation = resumed(&fields);
        }
        write(&mut fields, &play(&mut simulation, round));
        assert_eq!(stored(&fields), Some(simulation.players() as u64), "round {round}");
    }
    assert_eq!(stored(&fields), Some(1), "two came, one went");
}

#[test]
fn failures_are_forgotten_after_a_good_second() {
    let mut simulation = resumed(&created());
    let forgets = |commit: &Commit| commit.set.iter().any(|(name, _)| *name == *fields::CRASHES.as_bytes());
    let told: Vec<u64> = (1..=100).filter(|_| forgets(&simulation.handle_tick(0).commit)).collect();
    assert_eq!(told, [u64::from(simulation.hz)]);
}

#[test]
fn a_player_of_whom_nothing_is_heard_keeps_its_place_for_a_while() {
    let mut simulation = resumed(&created());
    join(&mut simulation, 1);
    let window = 10 * u64::from(simulation.hz);
    for _ in 0..window {
        simulation.handle_tick(0);
        assert_eq!(simulation.players(), 1);
    }
    (0..2).for_each(|_| drop(simulation.handle_tick(0)));
    assert_eq!(simulation.players(), 0);
}
