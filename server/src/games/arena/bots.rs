//! Players whom nobody plays, so that nobody has to play alone. All that a bot remembers stands in its entity: what
//! it wants is what a person's input would leave there, and everything else is the chance of the tick. So a bot goes
//! on on another node like anybody else.

use rand::RngExt;
use tickcast_protocol::{EntityId, PlayerId, World};

use super::geometry::{DIRECTION_LENGTH, Ground, Spot, TURN, cross, direction, heading};
use super::schema::{pickup, player};
use super::venue::BOTS;
use super::{
    ArenaMatch, BODY_RADIUS, BULLET_SPEED, HP_MAX, MOVE_MAX, PLAYER_SPEED, SCALE, all, place_player, spot,
};
use crate::game::TickRng;

/// One for each bot that there can be.
const NAMES: [&str; BOTS.max as usize] = [
    "Ada", "Grace", "Alan", "Radia", "Edsger", "Barbara", "Dennis", "Hedy", "Claude", "Frances", "Ken",
    "Karen", "Niklaus", "Margaret", "Donald", "Joan",
];

/// How far a bot sees, and at which distances it comes nearer or backs off; in steps.
const SIGHT: i32 = 620 * SCALE;
const FAR: i32 = 330 * SCALE;
const NEAR: i32 = 150 * SCALE;
/// With so little left it looks for something that heals.
const HURT: i32 = HP_MAX / 2;
/// How fast it turns, per second, and how badly it aims; in parts of a turn.
const TURN_SPEED: i32 = TURN;
const AIM_ERROR: i32 = 30;
/// It fires when its aim is off by less than this.
const AIM_ENOUGH: i32 = 56;
/// How often it aims anew.
const AIMS_PER_SECOND: u32 = 4;

/// Players that clients play.
pub(super) fn count_people(world: &World) -> usize {
    world.ids(player::KIND).filter(|id| number(world, *id).is_none()).count()
}

/// A bot's number, from 0; `None` for a client's player.
fn number(world: &World, id: EntityId) -> Option<usize> {
    let number = world.get(id, player::PLAYER) - PlayerId::OF_GAME.0 as i32;
    usize::try_from(number).ok()
}

impl ArenaMatch {
    /// Bots come, make room for people, and want something.
    pub(super) fn run_bots(&self, world: &mut World, rng: &mut TickRng, ground: &Ground) {
        if self.bots == 0 {
            return;
        }
        let places = self.players_max.saturating_sub(count_people(world)).min(self.bots);
        let mut there = [false; NAMES.len()];
        for id in all(world, player::KIND) {
            match number(world, id) {
                Some(number) if number >= places => world.despawn(id),
                Some(number) => there[number] = true,
                None => {}
            }
        }
        for number in (0..places).filter(|number| !there[*number]) {
            let Ok(bot) = world.spawn(player::KIND) else { return };
            world.set(bot, player::PLAYER, PlayerId::OF_GAME.0 as i32 + number as i32);
            world.set_text(bot, player::NAME, &format!("bot {}", NAMES[number]));
            place_player(world, bot, rng, ground);
        }
        for bot in all(world, player::KIND) {
            if number(world, bot).is_some() {
                self.think(world, bot, rng, ground);
            }
        }
    }

    fn think(&self, world: &mut World, bot: EntityId, rng: &mut TickRng, ground: &Ground) {
        if world.get(bot, player::HP) == 0 {
            world.set(bot, player::FIRE, 0);
            return;
        }
        let at = spot(world, bot, player::X);
        let others = living_others(world, bot);
        let enemy = nearest(
            at,
            others.iter().copied().filter(|other| {
                let there = spot(world, *other, player::X);
                there.is_within(SIGHT, at) && ground.is_clear(at, there)
            }),
            |id| spot(world, id, player::X),
        );
        match enemy {
            Some(enemy) => self.aim(world, bot, enemy, rng),
            None => world.set(bot, player::FIRE, 0),
        }
        let goal = if world.get(bot, player::HP) <= HURT { healing(world, at, ground) } else { None };
        let angle = match (goal, enemy) {
            (Some(goal), _) => Some(heading(goal - at)),
            (None, Some(enemy)) => Some(self.dance(world, bot, enemy, rng, ground)),
            (None, None) => self.wander(world, bot, &others, rng, ground),
        };
        let Some(angle) = angle else { return };
        let Spot { x, y } = direction(angle);
        world.set(bot, player::MOVE_X, x * MOVE_MAX / DIRECTION_LENGTH);
        world.set(bot, player::MOVE_Y, y * MOVE_MAX / DIRECTION_LENGTH);
        if enemy.is_none() {
            world.set(bot, player::AIM, angle & (TURN - 1));
        }
    }

    /// Turns the weapon to where the enemy will be, not too fast and not too well, and fires in bursts.
    fn aim(&self, world: &mut World, bot: EntityId, enemy: EntityId, rng: &mut TickRng) {
        let way = spot(world, enemy, player::X) - spot(world, bot, player::X);
        let far = i64::from(way.x).pow(2) + i64::from(way.y).pow(2);
        let flight = |wish: i32| {
            let lead = far.isqrt() * i64::from(wish) * i64::from(PLAYER_SPEED);
            (lead / (i64::from(MOVE_MAX) * i64::from(BULLET_SPEED))) as i32
        };
        let lead =
            Spot { x: flight(world.get(enemy, player::MOVE_X)), y: flight(world.get(enemy, player::MOVE_Y)) };
        let aim = world.get(bot, player::AIM);
        let off = shortest(heading(way + lead) - aim);
        let most = TURN_SPEED / self.hz;
        // A mistake is not made for long: who stands still is hit sooner or later.
        if off.abs() > AIM_ERROR || rng.random_ratio(AIMS_PER_SECOND, self.hz as u32) {
            let error = rng.random_range(-AIM_ERROR..=AIM_ERROR);
            world.set(bot, player::AIM, (aim + off.clamp(-most, most) + error) & (TURN - 1));
        }
        let fires = world.get(bot, player::FIRE) == 1;
        let changes = rng.random_ratio(if fires { 2 } else { 3 }, self.hz as u32);
        let fire = off.abs() < AIM_ENOUGH && fires != changes;
        world.set(bot, player::FIRE, fire.into());
    }

    /// Where to go in a fight: around the enemy, nearer or further away. The side is the one it goes to already.
    fn dance(
        &self,
        world: &World,
        bot: EntityId,
        enemy: EntityId,
        rng: &mut TickRng,
        ground: &Ground,
    ) -> i32 {
        let at = spot(world, bot, player::X);
        let there = spot(world, enemy, player::X);
        let side = match cross(there - at, wish(world, bot)) {
            0 => rng.random_bool(0.5),
            side => side > 0,
        };
        let turns = self.is_blocked(world, bot, ground) || rng.random_ratio(1, self.hz as u32);
        let slant = match () {
            () if !there.is_within(FAR, at) => TURN / 8,
            () if there.is_within(NEAR, at) => TURN * 3 / 8,
            () => TURN / 4,
        };
        heading(there - at) + if side == turns { -slant } else { slant }
    }

    /// Where to go when nobody is in sight: on, for a while and as far as the walls allow, then roughly to somebody.
    /// `None` is on.
    fn wander(
        &self,
        world: &World,
        bot: EntityId,
        others: &[EntityId],
        rng: &mut TickRng,
        ground: &Ground,
    ) -> Option<i32> {
        let stands = wish(world, bot) == (Spot { x: 0, y: 0 });
        let blocked = self.is_blocked(world, bot, ground);
        if !stands && !blocked && !rng.random_ratio(1, 2 * self.hz as u32) {
            return None;
        }
        let at = spot(world, bot, player::X);
        let prey = nearest(at, others.iter().copied(), |id| spot(world, id, player::X));
        match prey {
            Some(prey) if !blocked => {
                let way = spot(world, prey, player::X) - at;
                Some(heading(way) + rng.random_range(-TURN / 8..=TURN / 8))
            }
            _ => Some(rng.random_range(0..TURN)),
        }
    }

    /// Whether a wall or the border is in a player's way.
    fn is_blocked(&self, world: &World, id: EntityId, ground: &Ground) -> bool {
        let at = spot(world, id, player::X);
        let way = self.stride(wish(world, id));
        ground.slide(at, way, BODY_RADIUS) != at + way
    }
}

/// What a player's last input wants.
fn wish(world: &World, id: EntityId) -> Spot {
    Spot { x: world.get(id, player::MOVE_X), y: world.get(id, player::MOVE_Y) }
}

fn living_others(world: &World, bot: EntityId) -> Vec<EntityId> {
    world.ids(player::KIND).filter(|id| *id != bot && world.get(*id, player::HP) > 0).collect()
}

/// The nearest thing in sight that heals.
fn healing(world: &World, at: Spot, ground: &Ground) -> Option<Spot> {
    let place = |id| spot(world, id, pickup::X);
    let ready = world.ids(pickup::KIND).filter(|id| {
        world.get(*id, pickup::RESPAWN) == 0
            && place(*id).is_within(SIGHT, at)
            && ground.is_clear(at, place(*id))
    });
    nearest(at, ready, place).map(place)
}

fn nearest(
    at: Spot,
    ids: impl Iterator<Item = EntityId>,
    place: impl Fn(EntityId) -> Spot,
) -> Option<EntityId> {
    ids.min_by_key(|id| {
        let way = place(*id) - at;
        i64::from(way.x).pow(2) + i64::from(way.y).pow(2)
    })
}

/// The short way round between two angles.
fn shortest(turn: i32) -> i32 {
    (turn + TURN / 2).rem_euclid(TURN) - TURN / 2
}
