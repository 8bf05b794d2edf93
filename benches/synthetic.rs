//! Loads made to find what one entity costs the owner of a match: entities that all move otherwise than guessed,
//! and worlds in which nearly all lie still. The same in every run, but for the times.

use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use tickcast_protocol::diff::{self, Encoder};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{EntityId, Field, Kind, Schema, World};

use crate::measure::timed;
use crate::summary::Summary;

/// How many move in the two worlds of movers.
const MOVING: [usize; 2] = [1_000, 100];
/// How many lie still in the two worlds that differ in nothing else.
const IDLE: [usize; 2] = [1_000, 60_000];
/// How many move in each of those.
const IDLE_MOVING: usize = 64;
/// Ticks before anything is measured: priors are learned, and who lies still has done so for a while.
const WARM_UP_TICKS: usize = 300;
/// Ticks that are measured.
const TICKS: usize = 600;
/// Half the side of the field, in steps of a sixteenth of a unit.
const FIELD: i32 = 16 * 1024;
const WALKER: u8 = 1;
// Positions of the fields of a walker.
const X: usize = 0;
const Y: usize = 1;
const AIM: usize = 2;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Synthetic {
    /// Worlds in which everything moves.
    pub moving: Vec<Moving>,
    /// Worlds in which nearly nothing does.
    pub idle: Idle,
}

/// A world in which everything moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moving {
    /// Entities.
    pub entities: usize,
    /// Those that a diff mentions, mean.
    pub sent: f64,
    /// A diff's payload, mean bytes.
    pub bytes: f64,
    /// Time to code a tick, nanoseconds.
    pub encode_ns: Summary,
    /// Time to decode and commit it, nanoseconds.
    pub decode_ns: Summary,
    /// Time to commit a tick that was coded, nanoseconds.
    pub advance_ns: Summary,
}

/// Two worlds that differ only in how many entities lie still.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Idle {
    /// Entities that lie still in the one and in the other.
    pub entities: [usize; 2],
    /// Entities that move, in each.
    pub moving: usize,
    /// Time to code a tick of the one and of the other: half of the ticks take no longer. Nanoseconds.
    pub encode_ns: [usize; 2],
    /// Time to commit it.
    pub advance_ns: [usize; 2],
    /// What one more entity that lies still adds to coding a tick, nanoseconds.
    pub encode_ns_per_idle: f64,
    /// What it adds to committing one.
    pub advance_ns_per_idle: f64,
}

/// Runs the loads. `progress` is told what comes next.
///
/// # Panics
/// When the codec is broken.
pub fn run(mut progress: impl FnMut(&str)) -> Synthetic {
    let moving = MOVING.map(|entities| {
        progress(&format!("synthetic load, {entities} moving entities"));
        measure(0, entities)
    });
    let idle = IDLE.map(|idle| {
        progress(&format!("synthetic load, {idle} idle entities"));
        measure(idle, IDLE_MOVING)
    });
    let per_idle = |time: &dyn Fn(&Moving) -> usize| {
        (time(&idle[1]) as f64 - time(&idle[0]) as f64) / (IDLE[1] - IDLE[0]) as f64
    };
    let (encode, advance) = (|of: &Moving| of.encode_ns.p50, |of: &Moving| of.advance_ns.p50);
    Synthetic {
        idle: Idle {
            entities: IDLE,
            moving: IDLE_MOVING,
            encode_ns: [encode(&idle[0]), encode(&idle[1])],
            advance_ns: [advance(&idle[0]), advance(&idle[1])],
            encode_ns_per_idle: per_idle(&encode),
            advance_ns_per_idle: per_idle(&advance),
        },
        moving: moving.into(),
    }
}

fn measure(idle: usize, moving: usize) -> Moving {
    let mut load = Load::new(idle, moving);
    let mut encoder = Encoder::new(Prior::first(load.world.schema()));
    let mut replica = World::new(Arc::clone(load.world.schema()));
    let mut payload = Vec::new();
    let (mut sent, mut bytes) = (0, 0);
    let (mut encode, mut decode, mut advance) = (Vec::new(), Vec::new(), Vec::new());
    for tick in 0..WARM_UP_TICKS + TICKS {
        load.step();
        payload.clear();
        let prior = Arc::clone(encoder.prior());
        let ((), encode_ns) = timed(|| encoder.encode(&load.world, &mut payload));
        let ((), advance_ns) = timed(|| load.world.advance());
        let (applied, decode_ns) = timed(|| diff::apply(&mut replica, &prior, &payload));
        applied.expect("our own bytes");
        encoder.poll_prior();
        if tick >= WARM_UP_TICKS {
            sent += encoder.sent();
            bytes += payload.len();
            encode.push(encode_ns);
            decode.push(decode_ns);
            advance.push(advance_ns);
        }
    }
    assert!(replica.same_state(&load.world), "what was decoded is what was coded");
    let summary = |times| Summary::of(times).expect("ticks were measured");
    Moving {
        entities: moving,
        sent: sent as f64 / TICKS as f64,
        bytes: bytes as f64 / TICKS as f64,
        encode_ns: summary(encode),
        decode_ns: summary(decode),
        advance_ns: summary(advance),
    }
}

/// A world of walkers who change their pace a little in every tick, among others who lie still.
struct Load {
    world: World,
    rng: ChaCha8Rng,
    walkers: Vec<(EntityId, [i32; 2])>,
}

impl Load {
    fn new(idle: usize, moving: usize) -> Load {
        let mut load = Load {
            world: World::new(schema()),
            rng: ChaCha8Rng::seed_from_u64(4711),
            walkers: Vec::with_capacity(moving),
        };
        let all = idle + moving;
        for number in 0..all {
            let id = load.world.spawn(WALKER).expect("a load fits a world");
            for field in [X, Y] {
                load.world.set(id, field, load.rng.random_range(-FIELD..FIELD));
            }
            // Spread evenly among those who lie still.
            if number * moving / all != (number + 1) * moving / all {
                let pace = [load.rng.random_range(-24..=24), load.rng.random_range(-24..=24)];
                load.walkers.push((id, pace));
            }
        }
        assert_eq!(load.walkers.len(), moving);
        load
    }

    fn step(&mut self) {
        for (id, pace) in &mut self.walkers {
            for (pace, field) in pace.iter_mut().zip([X, Y]) {
                *pace = (*pace + self.rng.random_range(-2..=2)).clamp(-64, 64);
                // At the wall it turns round.
                let at = self.world.get(*id, field);
                if at + *pace != (at + *pace).clamp(-FIELD, FIELD) {
                    *pace = -*pace;
                }
                self.world.add(*id, field, *pace);
            }
            self.world.add(*id, AIM, self.rng.random_range(-8..=8));
        }
    }
}

fn schema() -> Arc<Schema> {
    let position = |name| Field::linear(name, -FIELD, FIELD).scale(16);
    let player =
        [Field::int(Schema::PLAYER_FIELD, 0, i32::MAX), Field::linear(Schema::SEQ_FIELD, 0, i32::MAX)];
    let walker = [position("x"), position("y"), Field::angle("aim", 10), Field::int("health", 0, 100)];
    let kinds = [Kind::new("player", player), Kind::new("walker", walker)];
    Schema::new("synthetic", "player", kinds, []).expect("the schema is good")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_walkers_are_sent_and_nobody_else() {
        let measured = measure(200, 50);
        assert!((48.0..=50.0).contains(&measured.sent), "{measured:?}");
        assert!(measured.bytes < 50.0 * 4.0, "{measured:?}");
    }
}
