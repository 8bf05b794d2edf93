//! Plays a trace into a world, and proves that a world holds what the trace held.

use tickcast_protocol::world::WorldFull;
use tickcast_protocol::{EntityId, World};

use super::TraceTick;

/// Makes the world's current values those of the tick: removes who is missing, creates who is new, sets the
/// fields. The caller then encodes the diff and calls [`World::advance`]. The world has the schema that
/// [`schema_of`](super::schema::schema_of) made for the trace.
///
/// # Errors
/// When the tick's entities are more than a world takes.
///
/// # Panics
/// When the world has another schema, with fewer kinds or fields.
pub fn apply_tick(tick: TraceTick<'_>, world: &mut World) -> Result<(), WorldFull> {
    let mut wanted = tick.entities().map(|entity| entity.id).peekable();
    let missing = |id: &EntityId| {
        while wanted.next_if(|wanted| wanted < id).is_some() {}
        wanted.next_if_eq(id).is_none()
    };
    // First, so that a full world has room for who is new.
    let missing: Vec<EntityId> = ids(world).filter(missing).collect();
    for id in missing {
        world.despawn(id);
    }
    for entity in tick.entities() {
        world.spawn_at(entity.id)?;
        for (field, value) in entity.values.iter().enumerate() {
            world.set(entity.id, field, *value);
        }
    }
    Ok(())
}

/// The first difference between a world and the tick, or none when every entity and every field is the same.
/// To be asked between [`World::advance`] (or a replica's frame) and the next change: it looks at current
/// values, which are then the committed ones.
///
/// # Panics
/// When the world has another schema than the trace, with fewer fields.
pub fn differs(world: &World, tick: TraceTick<'_>) -> Option<String> {
    let number = tick.number();
    let mut held = ids(world);
    for entity in tick.entities() {
        let (id, found) = (entity.id, held.next());
        if found != Some(id) {
            return Some(match found {
                Some(extra) if extra < id => {
                    format!("tick {number}: {} is in the world, not in the trace", named(tick, extra))
                }
                _ => format!("tick {number}: {} is in the trace, not in the world", named(tick, id)),
            });
        }
        for (field, value) in entity.values.iter().enumerate() {
            let own = world.get(id, field);
            if own != *value {
                let (entity, field) = (named(tick, id), &tick.types()[usize::from(id.kind)].fields[field]);
                return Some(format!(
                    "tick {number}: {entity}, field `{field}`: {own} in the world, {value} in the trace"
                ));
            }
        }
    }
    let extra = held.next()?;
    Some(format!("tick {number}: {} is in the world, not in the trace", named(tick, extra)))
}

/// Every entity of a world, ascending.
fn ids(world: &World) -> impl Iterator<Item = EntityId> {
    (0..world.schema().kinds().len() as u8).flat_map(|kind| world.ids(kind))
}

fn named(tick: TraceTick<'_>, id: EntityId) -> String {
    let of_trace = tick.types().get(usize::from(id.kind));
    format!("entity {id} (`{}`)", of_trace.map_or("not of the trace", |entity| &entity.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::sample::Sample;
    use crate::traces::schema::schema_of;

    /// Two types of one and two fields; entities come, change, go, and come again at once.
    fn sample() -> Sample {
        Sample::new(&[("Point", &["x", "y"]), ("Flag", &["up"])])
            .tick(&[(0, 3, &[1, 2]), (0, 9, &[-5, 6]), (1, 0, &[1])])
            .tick(&[(0, 3, &[1, 3]), (0, 4, &[0, 0])])
            .tick(&[(0, 9, &[7, 6]), (1, 0, &[0]), (1, 65_534, &[1])])
            .tick(&[])
    }

    #[test]
    fn a_world_follows_the_trace() {
        let trace = sample().trace();
        let mut world = World::new(schema_of(&trace).unwrap());
        for tick in trace.ticks() {
            apply_tick(tick, &mut world).unwrap();
            world.advance();
            assert_eq!(differs(&world, tick), None);
            assert_eq!(world.hash(), world.recomputed_hash());
        }
        assert!(world.is_empty());
    }

    #[test]
    fn what_stays_is_not_touched() {
        let same: &[crate::traces::sample::Entity<'_>] = &[(0, 1, &[5, 5]), (0, 2, &[6, 6])];
        let trace = Sample::new(&[("Point", &["x", "y"])]).tick(same).tick(same).trace();
        let mut world = World::new(schema_of(&trace).unwrap());
        apply_tick(trace.tick(0), &mut world).unwrap();
        world.advance();
        world.take_touched();
        apply_tick(trace.tick(1), &mut world).unwrap();
        world.advance();
        assert_eq!(world.take_touched(), []);
    }

    #[test]
    fn each_difference_is_named() {
        let trace = sample().trace();
        let tick = trace.tick(0);
        let mut world = World::new(schema_of(&trace).unwrap());
        apply_tick(tick, &mut world).unwrap();
        world.advance();
        let told = |change: &dyn Fn(&mut World)| {
            let mut changed = world.clone();
            change(&mut changed);
            changed.advance();
            differs(&changed, tick).unwrap_or_default()
        };
        let of = |kind, index| EntityId { kind, index };
        assert_eq!(
            told(&|world| world.set(of(0, 9), 1, 5)),
            "tick 0: entity 0:9 (`Point`), field `y`: 5 in the world, 6 in the trace"
        );
        let extra = "is in the world, not in the trace";
        let missing = "is in the trace, not in the world";
        assert_eq!(told(&|world| world.despawn(of(0, 3))), format!("tick 0: entity 0:3 (`Point`) {missing}"));
        assert_eq!(told(&|world| world.despawn(of(1, 0))), format!("tick 0: entity 1:0 (`Flag`) {missing}"));
        let with = |id| told(&|world: &mut World| world.spawn_at(id).unwrap());
        assert_eq!(with(of(0, 0)), format!("tick 0: entity 0:0 (`Point`) {extra}"));
        assert_eq!(with(of(1, 7)), format!("tick 0: entity 1:7 (`Flag`) {extra}"));
        assert_eq!(with(of(2, 0)), format!("tick 0: entity 2:0 (`not of the trace`) {extra}"));
    }
}
