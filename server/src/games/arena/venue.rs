//! The two places where the arena's rules are played, and what a person may choose of a match there.

use std::error::Error;

use tickcast_protocol::{EntityId, Tick, TickRate, World};

use super::SCALE;
use super::geometry::Spot;
use super::schema::{self, bullet};
use crate::game::{BadOptions, GameInfo, Options, Visibility};

/// The walls of the map: left edge, upper edge, width, height; in units. Thick enough that nobody jumps over
/// one in a single tick, and so far apart that a player fits between any two.
const WALLS: [[i32; 4]; 15] = [
    [740, 420, 120, 120],
    [300, 160, 240, 40],
    [300, 200, 40, 120],
    [1060, 160, 240, 40],
    [1260, 200, 40, 120],
    [300, 760, 240, 40],
    [300, 640, 40, 120],
    [1060, 760, 240, 40],
    [1260, 640, 40, 120],
    [560, 380, 40, 200],
    [1000, 380, 40, 200],
    [780, 100, 40, 160],
    [780, 700, 40, 160],
    [100, 440, 120, 80],
    [1380, 440, 120, 80],
];

/// One number that a person may set per match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) name: &'static str,
    default: i32,
    pub(super) min: i32,
    pub(super) max: i32,
}

impl Choice {
    const fn new(name: &'static str, default: i32, min: i32, max: i32) -> Choice {
        Choice { name, default, min, max }
    }

    /// The chosen number, or the default.
    pub(super) fn of(&self, options: &Options) -> i32 {
        let chosen = options.get(self.name).copied().unwrap_or(self.default.into());
        chosen.clamp(self.min.into(), self.max.into()) as i32
    }
}

/// Players whom nobody plays; each has a name.
pub(super) const BOTS: Choice = Choice::new("bots", 0, 0, 16);

/// All that may be chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices {
    pub(super) players_max: Choice,
    pub(super) drones: Choice,
    pub(super) pickups: Choice,
    pub(super) round_seconds: Choice,
    pub(super) score_limit: Choice,
    pub(super) tick_rate: Choice,
    pub(super) bots: Choice,
    /// How far one sees, in units; 0 is everything.
    pub(super) fog: Choice,
    /// Width and height of a cell where one sees only what is near, in units.
    pub(super) cell: Choice,
}

impl Choices {
    pub(super) fn all(&self) -> [Choice; 9] {
        [
            self.players_max,
            self.drones,
            self.pickups,
            self.round_seconds,
            self.score_limit,
            self.tick_rate,
            self.bots,
            self.fog,
            self.cell,
        ]
    }
}

/// A place to play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Venue {
    /// Name of the game that is played there.
    pub(super) game: &'static str,
    /// The map's lower right corner; the upper left one is (0, 0).
    pub(super) map: Spot,
    pub(super) walls: &'static [[i32; 4]],
    /// How long a bullet flies, in milliseconds; 0 is until something stops it.
    pub(super) flight_ms: i32,
    pub(super) choices: Choices,
    /// What it is to be seen of, where one sees only what is near.
    pub(super) fogged: Visibility,
}

impl Venue {
    pub(super) const ARENA: Venue = Venue {
        game: "arena",
        map: Spot { x: 1_600 * SCALE, y: 960 * SCALE },
        walls: &WALLS,
        flight_ms: 0,
        choices: Choices {
            players_max: Choice::new("players_max", 16, 2, 64),
            drones: Choice::new("drones", 0, 0, 900),
            pickups: Choice::new("pickups", 12, 0, 64),
            round_seconds: Choice::new("round_seconds", 120, 5, 3_600),
            score_limit: Choice::new("score_limit", 100, 1, 10_000),
            tick_rate: Choice::new("tick_rate", 30, 10, 128),
            bots: BOTS,
            fog: Choice::new("fog", 0, 0, 2_000),
            cell: Choice::new("cell", 80, 40, 2_000),
        },
        fogged: Visibility::Secrets,
    };

    /// Too big to send: some ten thousand entities when it is full.
    pub(super) const SWARM: Venue = Venue {
        game: "swarm",
        map: Spot { x: 12_800 * SCALE, y: 7_680 * SCALE },
        walls: &[],
        flight_ms: 900,
        choices: Choices {
            players_max: Choice::new("players_max", 1_000, 2, 1_000),
            drones: Choice::new("drones", 6_000, 0, 10_000),
            pickups: Choice::new("pickups", 500, 0, 2_000),
            round_seconds: Choice::new("round_seconds", 600, 5, 3_600),
            score_limit: Choice::new("score_limit", 1_000, 1, 10_000),
            tick_rate: Choice::new("tick_rate", 20, 10, 128),
            bots: BOTS,
            fog: Choice::new("fog", 700, 100, 2_000),
            cell: Choice::new("cell", 1_280, 200, 4_000),
        },
        fogged: Visibility::Regions,
    };

    /// What a match with these options is like.
    pub(super) fn info(&self, options: &Options) -> Result<GameInfo, BadOptions> {
        let choices = self.choices.all();
        for (name, value) in options {
            let choice = choices.iter().find(|choice| choice.name == name);
            if !choice.is_some_and(|choice| (choice.min.into()..=choice.max.into()).contains(value)) {
                let allowed =
                    choices.map(|c| format!("{} {} to {} (default {})", c.name, c.min, c.max, c.default));
                let (game, allowed) = (self.game, allowed.join(", "));
                return Err(BadOptions(format!("{game} takes no {name} = {value}, but {allowed}")));
            }
        }
        let bad = |error: &dyn Error| BadOptions(error.to_string());
        let rate = self.choices.tick_rate.of(options) as u64;
        let fogged = self.choices.fog.of(options) > 0;
        Ok(GameInfo {
            schema: schema::schema(self).map_err(|error| bad(&error))?,
            tick_rate: TickRate::try_from(rate).map_err(|error| bad(&error))?,
            players_max: self.choices.players_max.of(options) as u32,
            visibility: if fogged { self.fogged } else { Visibility::Everything },
        })
    }

    /// A bullet is fired in this tick.
    pub(super) fn begin_flight(&self, world: &mut World, bullet: EntityId, tick: Tick, hz: i32) {
        if self.flight_ms > 0 {
            let ticks = self.flight_ms * hz / 1_000;
            world.set(bullet, bullet::ENDS, bullet::ends(Tick(tick.0.wrapping_add(ticks as u64))));
        }
    }

    /// Whether a bullet has flown long enough.
    pub(super) fn flight_is_over(&self, world: &World, bullet: EntityId, tick: Tick) -> bool {
        self.flight_ms > 0 && world.get(bullet, bullet::ENDS) == bullet::ends(tick)
    }
}
