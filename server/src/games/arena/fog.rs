//! Fog: with the option `fog`, and always in the swarm, everybody sees what is near and no further. The map is cut into
//! cells, each a segment; what is where nobody looks is not sent, so no client can show it. Walls and how the round stands are no secret.

use tickcast_protocol::{EntityId, SegmentId, World};

use super::geometry::Spot;
use super::schema::{bullet, drone, pickup, player};
use super::{SCALE, all, spot};
use crate::game::{Grid, Looking, Viewer};

/// The cells of a map, whose width and height is in steps.
pub(super) fn grid(map: Spot, cell: i32) -> Grid {
    Grid::new(map.x, map.y, cell, SegmentId::EVERYONE.0 + 1)
}

/// Puts everything that fog may hide into the cell where it is.
pub(super) fn place(world: &mut World, grid: &Grid) {
    for (kind, x) in [
        (player::KIND, player::X),
        (bullet::KIND, bullet::X),
        (pickup::KIND, pickup::X),
        (drone::KIND, drone::X),
    ] {
        for id in all(world, kind) {
            let at = spot(world, id, x);
            world.place(id, grid.cell(at.x, at.y));
        }
    }
}

/// What somebody gets. Who looks on without being there sees what the leader sees, where it is no secret; else no more
/// than the walls, for a second window would lift the fog.
pub(super) fn view(looking: Looking<'_>, grid: &Grid, sight: i32, is_secret: bool) -> Vec<SegmentId> {
    let mut view = vec![SegmentId::EVERYONE];
    let followed = match looking.viewer {
        Viewer::Spectators if !is_secret => leader(looking.world),
        _ => looking.entity.filter(|id| looking.world.contains(*id)),
    };
    if let Some(followed) = followed {
        let at = spot(looking.world, followed, player::X);
        grid.look(at.x, at.y, sight * SCALE, looking.before, &mut view);
    }
    view
}

/// The first of those with the best score.
fn leader(world: &World) -> Option<EntityId> {
    world.ids(player::KIND).min_by_key(|id| (-world.get(*id, player::SCORE), *id))
}
