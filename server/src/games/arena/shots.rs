//! The arena's bullets: how they are fired, fly and hit. The example of lag compensation.
//!
//! A player sees itself where it is and all others where they were a moment ago: what it sees is as old as its
//! connection is long, and is drawn a little later still. A bullet that it fires flies through that picture. So the
//! bullet begins in the moment that the player was shown, flies past the others as they were in the ticks since, and
//! is then as far away as it is on the player's screen. Whom it meets there it hits. Who is shot at sees bullets
//! begin some way in front of the shooter; how far, `--rewind-ms` of the server bounds.

use tickcast_protocol::{EntityId, World};

use super::geometry::{Spot, Wall};
use super::schema::{bullet, drone, player};
use super::{
    ArenaMatch, BULLET_DAMAGE, BULLET_SPEED, COOLDOWN_MS, DRONE_POINTS, HIT_REACH, KILL_POINTS, MAP,
    PLAYER_SPEED, RESPAWN_MS, SCALE, all, find_player, place_drone, put, spot,
};
use crate::game::{Moment, TickRng};

/// Parts of a tick, in which legs of a [`Moment`] are given.
const PARTS: i32 = 256;

/// Whom a bullet can hit, and where.
type Target = (EntityId, Spot);

/// What ends a bullet's flight.
enum End {
    Hit(EntityId),
    Wall,
}

impl ArenaMatch {
    /// Every bullet flies its way of this tick and is gone when it meets a wall, the border or somebody.
    pub(super) fn fly_bullets(&self, world: &mut World, rng: &mut TickRng, walls: &[Wall]) {
        let mut targets = targets(world);
        let reach = BULLET_SPEED / self.hz + HIT_REACH + SCALE;
        for bullet in all(world, bullet::KIND) {
            let from = spot(world, bullet, bullet::X);
            let shooter = find_player(world, world.get(bullet, bullet::OWNER));
            let way = self.flight(world.get(bullet, bullet::HEADING), BULLET_SPEED);
            let near = |(id, at): &&Target| from.is_within(reach, *at) && Some(*id) != shooter;
            let near: Vec<Target> = targets.iter().filter(near).copied().collect();
            let end = end_of_flight(from, way, &near, walls);
            match end {
                None => put(world, bullet, bullet::X, from + way),
                Some(_) => world.despawn(bullet),
            }
            if let Some(End::Hit(target)) = end
                && self.hit(world, target, shooter, rng, walls)
            {
                targets.retain(|(id, _)| *id != target);
            }
        }
    }

    /// Fires a bullet when the player is alive and the weapon has cooled down. It flies at once from the moment that
    /// the player was shown to the present, and goes on from there if it has met nobody.
    pub(super) fn shoot(
        &self,
        world: &mut World,
        shooter: EntityId,
        shown: Moment<'_>,
        rng: &mut TickRng,
        walls: &[Wall],
    ) {
        if world.get(shooter, player::HP) == 0 || world.get(shooter, player::COOLDOWN) > 0 {
            return;
        }
        world.set(shooter, player::COOLDOWN, self.ticks(COOLDOWN_MS));
        let (heading, mut at) = (world.get(shooter, player::AIM), spot(world, shooter, player::X));
        let way = self.flight(heading, BULLET_SPEED);
        // Whoever is further away now than bullet and target can have gone since was never near.
        let ticks = shown.behind() as i32 / PARTS + 2;
        let reach = (BULLET_SPEED + PLAYER_SPEED) / self.hz * ticks + HIT_REACH + SCALE;
        let mut near = targets(world);
        near.retain(|(id, now)| *id != shooter && now.is_within(reach, at));
        for (moment, part) in shown.legs() {
            let then: Vec<Target> =
                near.iter().filter_map(|(id, _)| Some((*id, stood(moment, *id)?))).collect();
            let leg = Spot { x: way.x * part / PARTS, y: way.y * part / PARTS };
            match end_of_flight(at, leg, &then, walls) {
                Some(End::Hit(target)) => {
                    self.hit(world, target, Some(shooter), rng, walls);
                    return;
                }
                Some(End::Wall) => return,
                None => at = at + leg,
            }
        }
        let Ok(bullet) = world.spawn(bullet::KIND) else { return };
        put(world, bullet, bullet::X, at);
        world.set(bullet, bullet::HEADING, heading);
        world.set(bullet, bullet::OWNER, world.get(shooter, player::PLAYER));
    }

    /// A bullet hits a player or a drone. Returns whether the target is no longer where it was.
    fn hit(
        &self,
        world: &mut World,
        target: EntityId,
        shooter: Option<EntityId>,
        rng: &mut TickRng,
        walls: &[Wall],
    ) -> bool {
        let points = if target.kind == drone::KIND {
            place_drone(world, target, rng, walls);
            DRONE_POINTS
        } else {
            world.add(target, player::HP, -BULLET_DAMAGE);
            if world.get(target, player::HP) > 0 {
                return false;
            }
            world.add(target, player::DEATHS, 1);
            world.set(target, player::RESPAWN, self.ticks(RESPAWN_MS));
            KILL_POINTS
        };
        if let Some(shooter) = shooter {
            world.add(shooter, player::SCORE, points);
        }
        true
    }
}

/// Who can be hit now: drones and players who are alive.
fn targets(world: &World) -> Vec<Target> {
    let living = world.ids(player::KIND).filter(|id| world.get(*id, player::HP) > 0);
    let players = living.map(|id| (id, spot(world, id, player::X)));
    players.chain(world.ids(drone::KIND).map(|id| (id, spot(world, id, drone::X)))).collect()
}

/// Where somebody stood in a moment of the past; `None` for whoever was dead or elsewhere then.
fn stood(moment: Moment<'_>, id: EntityId) -> Option<Spot> {
    let (x, dead) = match id.kind {
        player::KIND => (player::X, moment.get(id, player::HP)? == 0),
        _ => (drone::X, false),
    };
    let spot = Spot { x: moment.get(id, x)?, y: moment.get(id, x + 1)? };
    (!dead).then_some(spot)
}

/// What a bullet meets first on a way from a spot, if anything.
fn end_of_flight(from: Spot, way: Spot, targets: &[Target], walls: &[Wall]) -> Option<End> {
    from.path(way).find_map(|at| {
        let hit = targets.iter().find(|(_, target)| target.is_within(HIT_REACH, at));
        let outside = !((0..=MAP.x).contains(&at.x) && (0..=MAP.y).contains(&at.y));
        match hit {
            Some((target, _)) => Some(End::Hit(*target)),
            None => (outside || walls.iter().any(|wall| wall.overlaps(at, 0))).then_some(End::Wall),
        }
    })
}
