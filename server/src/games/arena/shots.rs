//! The arena's bullets: how they are fired, fly and hit. The example of lag compensation.
//!
//! A player sees itself where it is and all others where they were a moment ago: what it sees is as old as its
//! connection is long, and is drawn a little later still. A bullet that it fires flies through that picture. So the
//! bullet begins in the moment that the player was shown, flies past the others as they were in the ticks since, and
//! is then as far away as it is on the player's screen. Whom it meets there it hits. Who is shot at sees bullets
//! begin some way in front of the shooter; how far, `--rewind-ms` of the server bounds.

use tickcast_protocol::{EntityId, World};

use super::crowd::Target;
use super::geometry::{Ground, Spot};
use super::schema::{bullet, drone, player};
use super::{
    ArenaMatch, BULLET_DAMAGE, BULLET_SPEED, COOLDOWN_MS, DRONE_POINTS, HIT_REACH, KILL_POINTS, PLAYER_SPEED,
    RESPAWN_MS, SCALE, Scope, all, place_drone, put, spot,
};
use crate::game::{Moment, TickRng};

/// Parts of a tick, in which legs of a [`Moment`] are given.
const PARTS: i32 = 256;

/// What ends a bullet's flight.
enum End {
    Hit(EntityId),
    Wall,
}

impl ArenaMatch {
    /// Every bullet flies its way of this tick and is gone when it meets a wall, the border or somebody, or has flown as
    /// long as it may.
    pub(super) fn fly_bullets(&self, world: &mut World, rng: &mut TickRng, scope: &mut Scope) {
        let reach = BULLET_SPEED / self.hz + HIT_REACH + SCALE;
        for bullet in all(world, bullet::KIND) {
            let from = spot(world, bullet, bullet::X);
            let shooter = scope.crowd.player(world.get(bullet, bullet::OWNER));
            let way = self.flight(world.get(bullet, bullet::HEADING), BULLET_SPEED);
            let mut near = scope.crowd.near(from, reach);
            near.retain(|(id, _)| Some(*id) != shooter);
            let end = end_of_flight(from, way, &near, &scope.ground);
            match end {
                None if !self.venue.flight_is_over(world, bullet, scope.tick) => {
                    put(world, bullet, bullet::X, from + way);
                }
                _ => world.despawn(bullet),
            }
            if let Some(End::Hit(target)) = end {
                self.hit(world, target, shooter, rng, scope);
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
        scope: &mut Scope,
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
        let near = scope.crowd.near(at, reach + PLAYER_SPEED / self.hz);
        let is_target = |id: EntityId| {
            let (x, lives) = match id.kind {
                player::KIND => (player::X, world.get(id, player::HP) > 0),
                _ => (drone::X, true),
            };
            lives && id != shooter && spot(world, id, x).is_within(reach, at)
        };
        let near: Vec<EntityId> = near.into_iter().map(|(id, _)| id).filter(|id| is_target(*id)).collect();
        for (moment, part) in shown.legs() {
            let then: Vec<Target> = near.iter().filter_map(|id| Some((*id, stood(moment, *id)?))).collect();
            let leg = Spot { x: way.x * part / PARTS, y: way.y * part / PARTS };
            match end_of_flight(at, leg, &then, &scope.ground) {
                Some(End::Hit(target)) => {
                    self.hit(world, target, Some(shooter), rng, scope);
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
        self.venue.begin_flight(world, bullet, scope.tick, self.hz);
    }

    /// A bullet hits a player or a drone.
    fn hit(
        &self,
        world: &mut World,
        target: EntityId,
        shooter: Option<EntityId>,
        rng: &mut TickRng,
        scope: &mut Scope,
    ) {
        let points = if target.kind == drone::KIND {
            place_drone(world, target, rng, &scope.ground);
            DRONE_POINTS
        } else {
            world.add(target, player::HP, -BULLET_DAMAGE);
            if world.get(target, player::HP) > 0 {
                return;
            }
            world.add(target, player::DEATHS, 1);
            world.set(target, player::RESPAWN, self.ticks(RESPAWN_MS));
            KILL_POINTS
        };
        scope.crowd.forget(target);
        if let Some(shooter) = shooter {
            world.add(shooter, player::SCORE, points);
        }
    }
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
fn end_of_flight(from: Spot, way: Spot, targets: &[Target], ground: &Ground) -> Option<End> {
    from.path(way).find_map(|at| {
        let hit = targets.iter().find(|(_, target)| target.is_within(HIT_REACH, at));
        match hit {
            Some((target, _)) => Some(End::Hit(*target)),
            None => ground.stops(at).then_some(End::Wall),
        }
    })
}
