//! The demo game: a top-down shooter with walls, bullets, pickups and rounds. The example to copy: this file
//! holds its rules but those of shots, which are in `shots.rs`; beside it are `schema.rs`, what clients see,
//! `geometry.rs`, the arithmetic, `venue.rs`, where they are played, `crowd.rs`, who is near, `bots.rs`, players whom
//! nobody plays, and `fog.rs`, what one does not see.
//!
//! How it is made, and what a game of your own can take from it:
//! - Everything that must survive a node is a field of an entity. The match itself holds nothing but its
//!   options, so [`Game::restore`] has nothing to do.
//! - What a player wants stands until its next input: a tick without an input is not a tick without a wish.
//! - All numbers are whole: positions count steps of 1/16 unit, timers count ticks. Speeds are per second and
//!   are divided by the tick rate, so the game feels the same at 10 Hz and at 128 Hz.
//! - A body in steady motion moves by the same whole steps in every tick. Positions are *linear* fields, so
//!   such a body costs no byte on the wire until it turns.
//! - What is the same for all is kept as the tick at which it ends, not as a counter: where nobody does anything
//!   ticks change nothing, and are not even sent.

mod bots;
mod crowd;
mod fog;
mod geometry;
mod schema;
mod shots;
mod venue;

use rand::RngExt;
use tickcast_protocol::{EntityId, PlayerId, SegmentId, Tick, World};

use crate::game::{
    BadOptions, Game, GameInfo, GameType, Grid, Looking, Options, Remembered, Step, TickRng, Visibility,
};
use crowd::Crowd;
use geometry::{DIRECTION_LENGTH, Ground, Spot, TURN, Wall, direction, divide_round};
use schema::{bullet, drone, pickup, player, round, wall};
use venue::Venue;

/// Steps per unit: positions are stored in sixteenths of a unit.
const SCALE: i32 = 16;
/// A spot without a wall on any map, for the rare case that none is found by chance.
const OPEN_SPOT: Spot = Spot { x: 800 * SCALE, y: 340 * SCALE };
/// How often a spot without a wall is looked for by chance.
const SPOT_TRIES_MAX: u32 = 16;

/// Half the width of a player or drone, in steps.
const BODY_RADIUS: i32 = 14 * SCALE;
/// A bullet hits what is at most this far from its way, in steps.
const HIT_REACH: i32 = 16 * SCALE;
/// A player picks up what is at most this far away, in steps.
const PICKUP_REACH: i32 = 24 * SCALE;

/// Nobody goes this far in one tick: who is further away was put there, in steps.
const JUMP: i32 = 40 * SCALE;

/// Speeds, in steps per second. Along an axis they are whole steps per tick at all the usual tick rates.
const PLAYER_SPEED: i32 = 240 * SCALE;
const BULLET_SPEED: i32 = 600 * SCALE;
const DRONE_SPEED: i32 = 120 * SCALE;

/// Times, in milliseconds.
const COOLDOWN_MS: i32 = 250;
const RESPAWN_MS: i32 = 3_000;
const PICKUP_MS: i32 = 10_000;
const BREAK_MS: i32 = 6_000;
/// A drone flies straight for this long on average, in seconds.
const DRONE_TURN_SECONDS: u32 = 3;

const HP_MAX: i32 = 100;
const BULLET_DAMAGE: i32 = 25;
const PICKUP_HEALS: i32 = 40;
const KILL_POINTS: i32 = 10;
const DRONE_POINTS: i32 = 1;

/// Length of the move vector at full speed: `move_x` and `move_y` of the input are within it.
const MOVE_MAX: i32 = 127;

/// The game `arena`. Its options are numbers by name: `players_max`, `drones`, `pickups`, `round_seconds`,
/// `score_limit`, `tick_rate`, `bots`, `fog` and `cell`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arena;

impl GameType for Arena {
    fn info(&self, options: &Options) -> Result<GameInfo, BadOptions> {
        Venue::ARENA.info(options)
    }

    fn create(&self, options: &Options) -> Box<dyn Game> {
        Box::new(ArenaMatch::new(Venue::ARENA, options))
    }
}

/// The game `swarm`: the arena's rules on a map that is 64 times as big and without a wall, for a thousand players among
/// thousands of drones. Its options have the same names, and other defaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Swarm;

impl GameType for Swarm {
    fn info(&self, options: &Options) -> Result<GameInfo, BadOptions> {
        Venue::SWARM.info(options)
    }

    fn create(&self, options: &Options) -> Box<dyn Game> {
        Box::new(ArenaMatch::new(Venue::SWARM, options))
    }
}

/// The rules of one match: its options and one note, for all state is in the world.
struct ArenaMatch {
    venue: Venue,
    players_max: usize,
    drones: i32,
    pickups: i32,
    round_ms: i32,
    score_limit: i32,
    /// Ticks per second.
    hz: i32,
    bots: usize,
    /// How far one sees, in units; 0 is everything.
    sight: i32,
    /// The cells of the map.
    grid: Grid,
    /// The last step found nobody's input and a world at rest, and left it so.
    rests: bool,
}

/// What all of a step looks at.
struct Scope {
    tick: Tick,
    ground: Ground,
    crowd: Crowd,
}

impl Game for ArenaMatch {
    fn start(&mut self, rng: &mut TickRng, world: &mut World) {
        for [left, top, width, height] in self.venue.walls.iter().map(|wall| wall.map(|units| units * SCALE))
        {
            let Ok(wall) = world.spawn(wall::KIND) else { return };
            put(world, wall, wall::X, Spot { x: left, y: top });
            world.set(wall, wall::WIDTH, width);
            world.set(wall, wall::HEIGHT, height);
        }
        let ground = self.ground(world);
        for _ in 0..self.pickups {
            let Ok(pickup) = world.spawn(pickup::KIND) else { return };
            put(world, pickup, pickup::X, open_spot(rng, &ground));
        }
        for _ in 0..self.drones {
            let Ok(drone) = world.spawn(drone::KIND) else { return };
            place_drone(world, drone, rng, &ground);
        }
        if let Ok(round) = world.spawn(round::KIND) {
            world.set(round, round::SIGHT, self.sight);
            self.begin_round(world, round, Tick(0), rng, &ground);
        }
    }

    fn join(&mut self, _: PlayerId, name: &str, rng: &mut TickRng, world: &mut World) -> Option<EntityId> {
        // Bots make room with the next step.
        if bots::count_people(world) >= self.players_max {
            return None;
        }
        let player = world.spawn(player::KIND).ok()?;
        world.set_text(player, player::NAME, name);
        place_player(world, player, rng, &self.ground(world));
        Some(player)
    }

    fn remembers(&self) -> Vec<Remembered> {
        let players = [player::X, player::X + 1, player::HP];
        let drones = [drone::X, drone::X + 1];
        [Remembered::new(player::KIND, players), Remembered::new(drone::KIND, drones)]
            .map(|kind| kind.jump(JUMP))
            .into()
    }

    fn step(&mut self, step: Step<'_>) {
        let Step { tick, inputs, past, rng, world } = step;
        let Some(round) = world.ids(round::KIND).next() else { return };
        // Where a step has just changed nothing, the next one changes nothing either until the round is over.
        let over = round::ticks_left(world.get(round, round::ENDS_AT), tick) == 0;
        let rests = inputs.is_empty() && self.drones == 0 && self.bots == 0 && world.is_at_rest() && !over;
        if rests && self.rests {
            return;
        }
        let playing = world.get(round, round::PHASE) == round::PLAYING;
        let scope = &mut Scope { tick, ground: self.ground(world), crowd: Crowd::of(world) };
        self.fly_bullets(world, rng, scope);
        for player in all(world, player::KIND) {
            self.wait(world, player, rng, &scope.ground);
        }
        for input in inputs {
            let Some(player) = scope.crowd.player(input.player.0 as i32) else { continue };
            self.handle_input(world, player, input.values);
            // Two inputs may come in one tick: a short tap on the trigger must not get lost between them.
            if playing && world.get(player, player::FIRE) == 1 {
                self.shoot(world, player, past.at(input.view), rng, scope);
            }
        }
        self.run_bots(world, rng, &scope.ground);
        for player in all(world, player::KIND) {
            if world.get(player, player::HP) > 0 {
                if playing && world.get(player, player::FIRE) == 1 {
                    let id = PlayerId(world.get(player, player::PLAYER) as u32);
                    self.shoot(world, player, past.of(id), rng, scope);
                }
                self.walk(world, player, &scope.ground);
            }
        }
        self.fly_drones(world, rng, &scope.ground);
        self.offer_pickups(world, &scope.crowd);
        self.run_round(world, round, tick, rng, &scope.ground);
        if self.sight > 0 {
            fog::place(world, &self.grid);
        }
        self.rests = rests && world.is_at_rest();
    }

    fn rests_until(&self, tick: Tick, world: &World) -> Tick {
        let round = world.ids(round::KIND).next().filter(|_| self.rests);
        let left = round.map_or(0, |round| round::ticks_left(world.get(round, round::ENDS_AT), tick));
        Tick(tick.0 + left.max(1) as u64)
    }

    fn view(&self, looking: Looking<'_>) -> Vec<SegmentId> {
        fog::view(looking, &self.grid, self.sight, self.venue.fogged == Visibility::Secrets)
    }
}

impl ArenaMatch {
    fn new(venue: Venue, options: &Options) -> ArenaMatch {
        let choices = &venue.choices;
        ArenaMatch {
            players_max: choices.players_max.of(options) as usize,
            drones: choices.drones.of(options),
            pickups: choices.pickups.of(options),
            round_ms: choices.round_seconds.of(options) * 1_000,
            score_limit: choices.score_limit.of(options),
            hz: choices.tick_rate.of(options),
            bots: choices.bots.of(options) as usize,
            sight: choices.fog.of(options),
            grid: fog::grid(venue.map, choices.cell.of(options) * SCALE),
            rests: false,
            venue,
        }
    }

    fn ground(&self, world: &World) -> Ground {
        Ground { map: self.venue.map, walls: walls(world) }
    }

    /// One tick of a player's timers: the weapon cools down, the dead come back.
    fn wait(&self, world: &mut World, player: EntityId, rng: &mut TickRng, ground: &Ground) {
        count_down(world, player, player::COOLDOWN);
        if world.get(player, player::HP) == 0 {
            count_down(world, player, player::RESPAWN);
            if world.get(player, player::RESPAWN) == 0 {
                place_player(world, player, rng, ground);
            }
        }
    }

    /// Takes over what a player wants. It stands until the player's next input, which may be ticks away.
    fn handle_input(&self, world: &mut World, player: EntityId, values: &[i32]) {
        let [move_x, move_y, aim, fire] = *values else { return };
        world.set(player, player::MOVE_X, move_x);
        world.set(player, player::MOVE_Y, move_y);
        world.set(player, player::AIM, aim);
        world.set(player, player::FIRE, fire);
    }

    /// Moves a player as its newest input wants it.
    fn walk(&self, world: &mut World, player: EntityId, ground: &Ground) {
        let wish = Spot { x: world.get(player, player::MOVE_X), y: world.get(player, player::MOVE_Y) };
        // Nobody stands within a wall, so who stays where it is need not be held against them all.
        if wish == (Spot { x: 0, y: 0 }) {
            return;
        }
        let from = spot(world, player, player::X);
        let to = ground.slide(from, self.stride(wish), BODY_RADIUS);
        put(world, player, player::X, to);
    }

    /// The way of one tick that a move vector wants. One longer than full speed is shortened to it.
    fn stride(&self, Spot { x, y }: Spot) -> Spot {
        let full = (x * x + y * y).isqrt().max(MOVE_MAX);
        let part = |vector: i32| divide_round(vector * PLAYER_SPEED, full * self.hz);
        Spot { x: part(x), y: part(y) }
    }

    /// Drones fly straight, turn now and then, and bounce off walls and the border like a ball.
    fn fly_drones(&self, world: &mut World, rng: &mut TickRng, ground: &Ground) {
        for drone in all(world, drone::KIND) {
            if rng.random_ratio(1, DRONE_TURN_SECONDS * self.hz as u32) {
                world.set(drone, drone::HEADING, rng.random_range(0..TURN));
            }
            let (from, heading) = (spot(world, drone, drone::X), world.get(drone, drone::HEADING));
            let way = self.flight(heading, DRONE_SPEED);
            let to = ground.slide(from, way, BODY_RADIUS);
            put(world, drone, drone::X, to);
            let turned = if to.x == from.x + way.x { heading } else { TURN / 2 - heading };
            world.set(drone, drone::HEADING, if to.y == from.y + way.y { turned } else { -turned });
        }
    }

    /// Pickups heal the first hurt player who comes near, then take a while to come back.
    fn offer_pickups(&self, world: &mut World, crowd: &Crowd) {
        let is_hurt = |world: &World, id: EntityId| (1..HP_MAX).contains(&world.get(id, player::HP));
        // Nobody is hurt while this goes on: mostly there is nobody to look for at all.
        let is_needed = world.ids(player::KIND).any(|id| is_hurt(world, id));
        for pickup in all(world, pickup::KIND) {
            count_down(world, pickup, pickup::RESPAWN);
            if !is_needed || world.get(pickup, pickup::RESPAWN) > 0 {
                continue;
            }
            let at = spot(world, pickup, pickup::X);
            let takes = |id: &EntityId| {
                id.kind == player::KIND
                    && is_hurt(world, *id)
                    && spot(world, *id, player::X).is_within(PICKUP_REACH, at)
            };
            let near = crowd.near(at, PICKUP_REACH + PLAYER_SPEED / self.hz);
            if let Some(player) = near.into_iter().map(|(id, _)| id).find(takes) {
                world.add(player, player::HP, PICKUP_HEALS);
                world.set(pickup, pickup::RESPAWN, self.ticks(PICKUP_MS));
            }
        }
    }

    /// A round ends by time or by score; a break shows the winner; then the next round begins. The state keeps when, and
    /// not how long that is: a tick in which nothing happens changes nothing.
    fn run_round(&self, world: &mut World, round: EntityId, tick: Tick, rng: &mut TickRng, ground: &Ground) {
        let over = round::ticks_left(world.get(round, round::ENDS_AT), tick) == 0;
        if world.get(round, round::PHASE) == round::BREAK {
            if over {
                self.begin_round(world, round, tick, rng, ground);
            }
        } else if over || best_score(world) >= self.score_limit {
            self.end_round(world, round, tick);
        }
    }

    fn begin_round(
        &self,
        world: &mut World,
        round: EntityId,
        tick: Tick,
        rng: &mut TickRng,
        ground: &Ground,
    ) {
        world.set(round, round::PHASE, round::PLAYING);
        world.add(round, round::NUMBER, 1);
        world.set(round, round::ENDS_AT, round::ends_at(tick, self.ticks(self.round_ms)));
        world.set(round, round::WINNER, 0);
        world.set_text(round, round::WINNER_NAME, "");
        for player in all(world, player::KIND) {
            world.set(player, player::SCORE, 0);
            world.set(player, player::DEATHS, 0);
            place_player(world, player, rng, ground);
        }
        for pickup in all(world, pickup::KIND) {
            world.set(pickup, pickup::RESPAWN, 0);
        }
    }

    /// Names the winner: the one player with the best score. Nobody wins a draw or a round without points.
    fn end_round(&self, world: &mut World, round: EntityId, tick: Tick) {
        world.set(round, round::PHASE, round::BREAK);
        world.set(round, round::ENDS_AT, round::ends_at(tick, self.ticks(BREAK_MS)));
        for bullet in all(world, bullet::KIND) {
            world.despawn(bullet);
        }
        let best = best_score(world);
        let mut leaders = all(world, player::KIND);
        leaders.retain(|id| best > 0 && world.get(*id, player::SCORE) == best);
        if let [winner] = leaders[..] {
            let name = world.text(winner, player::NAME).to_owned();
            world.set(round, round::WINNER, world.get(winner, player::PLAYER));
            world.set_text(round, round::WINNER_NAME, &name);
        }
    }

    /// Ticks that take at least this long.
    fn ticks(&self, ms: i32) -> i32 {
        ((i64::from(ms) * i64::from(self.hz) + 999) / 1_000) as i32
    }

    /// The way of one tick at this heading and speed: the same whole steps in every tick.
    fn flight(&self, heading: i32, speed: i32) -> Spot {
        let Spot { x, y } = direction(heading);
        let part = |vector: i32| divide_round(vector * speed, DIRECTION_LENGTH * self.hz);
        Spot { x: part(x), y: part(y) }
    }
}

/// Puts a player, unhurt, to a random spot.
fn place_player(world: &mut World, player: EntityId, rng: &mut TickRng, ground: &Ground) {
    put(world, player, player::X, open_spot(rng, ground));
    world.set(player, player::HP, HP_MAX);
    world.set(player, player::COOLDOWN, 0);
    world.set(player, player::RESPAWN, 0);
}

/// Puts a drone to a random spot, with a random heading.
fn place_drone(world: &mut World, drone: EntityId, rng: &mut TickRng, ground: &Ground) {
    put(world, drone, drone::X, open_spot(rng, ground));
    world.set(drone, drone::HEADING, rng.random_range(0..TURN));
}

/// A random spot where a body touches no wall.
fn open_spot(rng: &mut TickRng, ground: &Ground) -> Spot {
    for _ in 0..SPOT_TRIES_MAX {
        let x = rng.random_range(BODY_RADIUS..=ground.map.x - BODY_RADIUS);
        let spot = Spot { x, y: rng.random_range(BODY_RADIUS..=ground.map.y - BODY_RADIUS) };
        if ground.is_free(spot, BODY_RADIUS) {
            return spot;
        }
    }
    OPEN_SPOT
}

fn walls(world: &World) -> Vec<Wall> {
    let corners = |id: EntityId| {
        let from = spot(world, id, wall::X);
        let size = Spot { x: world.get(id, wall::WIDTH), y: world.get(id, wall::HEIGHT) };
        Wall { from, to: from + size }
    };
    let mut walls = Vec::with_capacity(world.count(wall::KIND));
    walls.extend(world.ids(wall::KIND).map(corners));
    walls
}

/// One tick of a timer, which rests at 0.
fn count_down(world: &mut World, id: EntityId, timer: usize) {
    let left = world.get(id, timer);
    if left > 0 {
        world.set(id, timer, left - 1);
    }
}

fn best_score(world: &World) -> i32 {
    world.ids(player::KIND).map(|id| world.get(id, player::SCORE)).max().unwrap_or(0)
}

/// The entities of a kind, as a list: the world may then change while it is walked through.
fn all(world: &World, kind: u8) -> Vec<EntityId> {
    let mut all = Vec::with_capacity(world.count(kind));
    all.extend(world.ids(kind));
    all
}

/// Where an entity is, by the position of its kind's field `x`.
fn spot(world: &World, id: EntityId, x: usize) -> Spot {
    Spot { x: world.get(id, x), y: world.get(id, x + 1) }
}

fn put(world: &mut World, id: EntityId, x: usize, at: Spot) {
    world.set(id, x, at.x);
    world.set(id, x + 1, at.y);
}

#[cfg(test)]
mod tests;
