//! What the benches measure: a large match as a bare state (here), a match of the demo game ([`Battle`]), loads
//! made to find what one entity costs ([`synthetic`]), and recorded games ([`traces`], [`measure`]). [`report`] says
//! what the `wire` program found. [`cells`] is a world too big to send. [`load`] compares whole servers with each other and with a [`floor`].

pub(crate) mod battle;
pub mod cells;
pub mod floor;
pub mod load;
pub mod measure;
pub mod report;
pub mod summary;
pub mod synthetic;
pub mod traces;

use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::{EntityId, Field, Kind, Schema, World};

pub use battle::{Battle, Crew, claimed};

/// Players of a [`Crowd`].
pub const PLAYERS: usize = 64;
/// Bullets of a [`Crowd`].
pub const BULLETS: usize = 300;

/// Half the side of the field, in steps of a sixteenth of a unit.
const FIELD: i32 = 16 * 1024;
/// Bullets that hit something in a tick, each replaced by a new one.
const BULLETS_RENEWED: usize = 10;
const PLAYER: u8 = 0;
const BULLET: u8 = 1;
// Positions of the fields in their kinds.
const SEQ: usize = 1;
const X: usize = 2;
const Y: usize = 3;
const AIM: usize = 4;
const HEALTH: usize = 5;
const BULLET_X: usize = 0;
const BULLET_Y: usize = 1;

/// A match of [`PLAYERS`] players who turn now and then and [`BULLETS`] bullets that fly straight on; the same
/// in every run. Stands between two ticks: [`Crowd::step`] changes the world, the caller commits it.
pub struct Crowd {
    /// The state.
    pub world: World,
    rng: ChaCha8Rng,
    players: Vec<(EntityId, Velocity)>,
    bullets: Vec<(EntityId, Velocity)>,
}

/// Steps along x and y per tick.
type Velocity = (i32, i32);

impl Crowd {
    /// The match after its first tick, committed.
    ///
    /// # Panics
    /// Never: the schema is good and the world has room.
    pub fn new() -> Crowd {
        let world = World::new(schema());
        let rng = ChaCha8Rng::seed_from_u64(4711);
        let mut crowd = Crowd { world, rng, players: Vec::new(), bullets: Vec::new() };
        for number in 0..PLAYERS {
            let id = crowd.spawn(PLAYER, X, Y);
            crowd.world.set(id, 0, number as i32 + 1);
            crowd.world.set(id, HEALTH, 100);
            let velocity = crowd.velocity(24);
            crowd.players.push((id, velocity));
        }
        for _ in 0..BULLETS {
            crowd.shoot();
        }
        crowd.world.advance();
        crowd
    }

    /// One tick's changes, not committed: everybody moves, one in sixteen players turns, some bullets hit.
    pub fn step(&mut self) {
        for at in 0..self.players.len() {
            if self.rng.random_ratio(1, 16) {
                self.players[at].1 = self.velocity(24);
            }
            let (id, (dx, dy)) = self.players[at];
            self.world.add(id, SEQ, 1);
            self.world.add(id, X, dx);
            self.world.add(id, Y, dy);
            let turned = self.rng.random_range(-8..=8);
            self.world.add(id, AIM, turned);
        }
        for (id, (dx, dy)) in &self.bullets {
            self.world.add(*id, BULLET_X, *dx);
            self.world.add(*id, BULLET_Y, *dy);
        }
        for _ in 0..BULLETS_RENEWED {
            let hit = self.rng.random_range(0..self.bullets.len());
            let (bullet, _) = self.bullets.swap_remove(hit);
            self.world.despawn(bullet);
            let victim = self.rng.random_range(0..self.players.len());
            self.world.add(self.players[victim].0, HEALTH, -5);
            self.shoot();
        }
    }

    fn shoot(&mut self) {
        let id = self.spawn(BULLET, BULLET_X, BULLET_Y);
        let velocity = self.velocity(96);
        self.bullets.push((id, velocity));
    }

    fn spawn(&mut self, kind: u8, x: usize, y: usize) -> EntityId {
        let id = self.world.spawn(kind).expect("a crowd fits a world");
        for field in [x, y] {
            let value = self.rng.random_range(-FIELD..FIELD);
            self.world.set(id, field, value);
        }
        id
    }

    fn velocity(&mut self, fastest: i32) -> Velocity {
        (self.rng.random_range(-fastest..=fastest), self.rng.random_range(-fastest..=fastest))
    }
}

impl Default for Crowd {
    fn default() -> Crowd {
        Crowd::new()
    }
}

fn schema() -> Arc<Schema> {
    let position = |name| Field::linear(name, -FIELD, FIELD).scale(16);
    let player = [
        Field::int(Schema::PLAYER_FIELD, 0, i32::MAX),
        Field::linear(Schema::SEQ_FIELD, 0, i32::MAX),
        position("x"),
        position("y"),
        Field::angle("aim", 10),
        Field::int("health", 0, 100),
    ];
    let kinds = [Kind::new("player", player), Kind::new("bullet", [position("x"), position("y")])];
    Schema::new("crowd", "player", kinds, []).expect("the schema is good")
}
