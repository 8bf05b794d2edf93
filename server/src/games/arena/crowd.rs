//! Who is where as a step begins, found without a walk through everybody: players by their number, bodies by their place.
//! So a thousand players among thousands of drones cost what is near each of them.

use std::collections::BTreeSet;

use tickcast_protocol::{EntityId, World};

use super::geometry::Spot;
use super::schema::{drone, player};
use super::{SCALE, spot};

/// Width and height of the squares by which bodies are found, in steps.
const SQUARE: i32 = 128 * SCALE;

/// A body that can be hit, and where it is.
pub(super) type Target = (EntityId, Spot);

/// Row and column of a square.
type Square = (i32, i32);

/// The players and drones of a match.
pub(super) struct Crowd {
    /// By number, ascending.
    players: Vec<(i32, EntityId)>,
    /// Drones and players who are alive, by square.
    bodies: Vec<(Square, Target)>,
    /// Who has been put elsewhere since.
    gone: BTreeSet<EntityId>,
}

fn square(at: Spot) -> Square {
    (at.y.div_euclid(SQUARE), at.x.div_euclid(SQUARE))
}

impl Crowd {
    pub(super) fn of(world: &World) -> Crowd {
        let mut players = Vec::with_capacity(world.count(player::KIND));
        players.extend(world.ids(player::KIND).map(|id| (world.get(id, player::PLAYER), id)));
        players.sort_unstable();
        let living = world.ids(player::KIND).filter(|id| world.get(*id, player::HP) > 0);
        let living = living.map(|id| (id, spot(world, id, player::X)));
        let drones = world.ids(drone::KIND).map(|id| (id, spot(world, id, drone::X)));
        let mut bodies = Vec::with_capacity(players.len() + world.count(drone::KIND));
        bodies.extend(living.chain(drones).map(|target| (square(target.1), target)));
        bodies.sort_unstable_by_key(|(square, (id, _))| (*square, *id));
        Crowd { players, bodies, gone: BTreeSet::new() }
    }

    /// The entity of a player.
    pub(super) fn player(&self, number: i32) -> Option<EntityId> {
        let at = self.players.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(self.players[at].1)
    }

    /// Who was at most `reach` steps from a spot as the step began, and has not been put elsewhere; players first.
    pub(super) fn near(&self, at: Spot, reach: i32) -> Vec<Target> {
        let corner = Spot { x: reach, y: reach };
        let ((top, left), (bottom, right)) = (square(at - corner), square(at + corner));
        let mut near = Vec::new();
        for row in top..=bottom {
            let from = self.bodies.partition_point(|(square, _)| *square < (row, left));
            let of_row = self.bodies[from..].iter().take_while(|(square, _)| *square <= (row, right));
            let targets = of_row.map(|(_, target)| *target);
            near.extend(targets.filter(|(id, there)| there.is_within(reach, at) && !self.gone.contains(id)));
        }
        near.sort_unstable_by_key(|(id, _)| *id);
        near
    }

    /// Somebody is not any more where the step found it.
    pub(super) fn forget(&mut self, id: EntityId) {
        self.gone.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::put;
    use super::super::schema::schema;
    use super::super::venue::Venue;
    use super::*;

    fn body(world: &mut World, kind: u8, x: i32, y: i32) -> EntityId {
        let id = world.spawn(kind).unwrap();
        put(world, id, if kind == player::KIND { player::X } else { drone::X }, Spot { x, y });
        if kind == player::KIND {
            world.set(id, player::HP, 1);
            world.set(id, player::PLAYER, 1_000 - i32::from(id.index));
        }
        id
    }

    #[test]
    fn whoever_is_near_is_found_and_nobody_else() {
        let mut world = World::new(schema(&Venue::ARENA).unwrap());
        for number in 0..400 {
            let kind = if number % 3 == 0 { player::KIND } else { drone::KIND };
            body(&mut world, kind, number * 7_919 % (1_600 * SCALE), number * 104_729 % (960 * SCALE));
        }
        let dead = body(&mut world, player::KIND, 500 * SCALE, 500 * SCALE);
        world.set(dead, player::HP, 0);
        let mut crowd = Crowd::of(&world);
        let place =
            |id: EntityId| spot(&world, id, if id.kind == player::KIND { player::X } else { drone::X });
        for (at, reach) in [((500, 500), 40), ((0, 0), 300), ((1_600, 960), 128), ((800, 1), 2_000)] {
            let at = Spot { x: at.0 * SCALE, y: at.1 * SCALE };
            let expected = |crowd: &Crowd| {
                let all = world.ids(player::KIND).chain(world.ids(drone::KIND));
                let near = all.filter(|id| place(*id).is_within(reach * SCALE, at) && *id != dead);
                near.filter(|id| !crowd.gone.contains(id)).map(|id| (id, place(id))).collect::<Vec<_>>()
            };
            let found = crowd.near(at, reach * SCALE);
            assert_eq!(found, expected(&crowd), "{reach} around {at:?}");
            found.first().into_iter().for_each(|(id, _)| crowd.forget(*id));
            assert_eq!(crowd.near(at, reach * SCALE), expected(&crowd));
        }
        assert_eq!(crowd.player(1_000 - i32::from(dead.index)), Some(dead));
        assert_eq!(crowd.player(7_000), None);
    }
}
