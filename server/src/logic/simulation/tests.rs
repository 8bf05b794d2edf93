//! The loop without a clock: joins, inputs, refusals, snapshots, and going on from what was written.

use std::collections::BTreeMap;

use super::*;
use crate::backplane::MatchFields;
use crate::game::{GameType, Options};
use crate::games::Arena;
use crate::logic::channel::FromOwner;
use crate::logic::stored;

const SNAPSHOT_EVERY: u64 = 5;

fn writing() -> Writing {
    Writing { snapshot_every: SNAPSHOT_EVERY, hash_every: 1, lease: Duration::from_secs(1) }
}

fn created() -> MatchFields {
    let options = Options::from([("players_max".to_owned(), 2)]);
    let info = Arena.info(&options).unwrap();
    let mut fields = stored::new_match(&info, &options, 42, 0, 16);
    for (name, value) in [
        (fields::EPOCH, "1"),
        (fields::NONCE, "0000000000000007"),
        (fields::OWNER, "n"),
        (fields::LEASE_MS, "0"),
        (fields::TICK, "0"),
        (fields::SNAPSHOT_TICK, "0"),
    ] {
        fields.insert(name.into(), Bytes::from(value));
    }
    fields
}

fn resumed(fields: &MatchFields) -> Simulation {
    let (stored, world) = stored::restore(fields).unwrap();
    Simulation::new(Arena.create(&stored.options), &stored, world, writing())
}

/// Writes a commit the way a store does.
fn write(fields: &mut MatchFields, commit: &Commit) {
    fields.insert(commit.ring_field.clone(), commit.message.clone());
    fields.insert(fields::TICK.into(), commit.tick.0.to_string().into());
    fields.extend(commit.set.iter().cloned().collect::<BTreeMap<_, _>>());
    for name in &commit.delete {
        fields.remove(name);
    }
}

fn join(simulation: &mut Simulation, player: u32) {
    simulation.handle_upstream(Upstream::Join { player: PlayerId(player), name: format!("p{player}") });
}

fn input(simulation: &mut Simulation, player: u32, seq: u32) {
    let values = simulation.world().schema().input().iter().map(|field| field.max).collect();
    let (player, seq) = (PlayerId(player), InputSeq(seq));
    simulation.handle_upstream(Upstream::Input { player, seq, seen: Tick(0), values });
}

fn acknowledged(simulation: &Simulation) -> Vec<i32> {
    let world = simulation.world();
    let schema = world.schema();
    world.ids(schema.player_kind()).map(|id| world.get(id, schema.seq_field())).collect()
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
    assert_eq!(simulation.counts(), Counts { inputs_applied: 1, inputs_dropped: 2 });
}

#[test]
fn values_against_the_schema_never_reach_the_game() {
    let mut simulation = resumed(&created());
    join(&mut simulation, 5);
    simulation.handle_tick(0);
    for values in [vec![], vec![i32::MAX; 4], vec![0; 40]] {
        let upstream = Upstream::Input { player: PlayerId(5), seq: InputSeq(1), seen: Tick(0), values };
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
    simulation.handle_upstream(Upstream::Leave { player: PlayerId(1) });
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

#[test]
fn whoever_goes_on_from_the_written_fields_goes_on_exactly_alike() {
    let mut fields = created();
    let mut original = resumed(&fields);
    let mut seq = 0;
    for round in 0u32..60 {
        if round == 3 {
            join(&mut original, 1);
        }
        if round == 7 {
            join(&mut original, 2);
        }
        if round > 10 {
            seq += 1;
            input(&mut original, 1, seq);
        }
        if round == 40 {
            original.handle_upstream(Upstream::Leave { player: PlayerId(2) });
        }
        let produced = original.handle_tick(0);
        write(&mut fields, &produced.commit);
        // Another node restores at every tick, and its next tick is this one's next tick.
        let mut other = resumed(&fields);
        assert_eq!(other.position(), original.position());
        assert!(other.world().same_state(original.world()), "tick {}", other.position().tick);
        let mut copy = fields.clone();
        write(&mut copy, &other.handle_tick(0).commit);
        let next = stored::restore(&copy).unwrap().1;
        assert_eq!(next.hash(), other.world().hash());
    }
    let entities = fields.keys().filter(|name| !name.starts_with(b"~")).count();
    assert_eq!(entities, stored::restore(&fields).unwrap().1.len(), "despawned entities' fields are gone");
}

#[test]
fn damaged_fields_are_an_error_that_names_the_field() {
    let mut fields = created();
    let mut simulation = resumed(&fields);
    join(&mut simulation, 1);
    for _ in 0..7 {
        write(&mut fields, &simulation.handle_tick(0).commit);
    }
    let names: Vec<Vec<u8>> = fields.keys().cloned().collect();
    for name in names {
        let mut damaged = fields.clone();
        damaged.insert(name.clone(), Bytes::from_static(b"\xff\xfe"));
        let harmless = [fields::OWNER, fields::COMMITTED_MS].map(str::as_bytes).contains(&&name[..]);
        // Ring fields of ticks before the snapshot are not needed any more.
        let old = name.starts_with(b"~d") && {
            let Ok(FromOwner::Tick(tick)) = channel::parse_from_owner(&fields[&name]) else {
                panic!("a tick")
            };
            tick.position.tick <= Tick(SNAPSHOT_EVERY)
        };
        let restored = stored::restore(&damaged);
        assert!(restored.is_err() || harmless || old, "{}", String::from_utf8_lossy(&name));
    }
}
