//! A world that is only big is whole while it is small, and cut while it is not; replicas and successors go along.

use super::*;
use crate::game::Viewer;
use crate::games::Swarm;
use rand::RngExt;
use tickcast_protocol::SegmentId;

const DRONES: usize = 300;
/// In these ticks there are more than a world has that is whole.
const MANY: std::ops::Range<u64> = 30..60;
const MANY_DRONES: usize = 1_200;
const TICKS: u64 = 200;
const PLAYER: PlayerId = PlayerId(1);

/// The swarm, with more drones for a while.
struct Flock(Box<dyn Game>);

impl Flock {
    fn of(options: &Options) -> Box<dyn Game> {
        Box::new(Flock(Swarm.create(options)))
    }
}

impl Game for Flock {
    fn start(&mut self, rng: &mut TickRng, world: &mut World) {
        self.0.start(rng, world);
    }

    fn join(
        &mut self,
        player: PlayerId,
        name: &str,
        rng: &mut TickRng,
        world: &mut World,
    ) -> Option<EntityId> {
        self.0.join(player, name, rng, world)
    }

    fn step(&mut self, step: Step<'_>) {
        let Step { tick, inputs, past, rng, world } = step;
        let wanted = if MANY.contains(&tick.0) { MANY_DRONES } else { DRONES };
        let (kind, x) = drone(world);
        let ids: Vec<EntityId> = world.ids(kind).collect();
        ids.iter().skip(wanted).for_each(|id| world.despawn(*id));
        for _ in ids.len()..wanted {
            let id = world.spawn(kind).unwrap();
            world.set(id, x, rng.random_range(0..200_000));
        }
        self.0.step(Step { tick, inputs, past, rng, world });
    }

    fn view(&self, looking: crate::game::Looking<'_>) -> Vec<SegmentId> {
        self.0.view(looking)
    }
}

fn drone(world: &World) -> (u8, usize) {
    let kind = world.schema().kind_index("drone").unwrap();
    (kind, world.schema().kinds()[usize::from(kind)].field_index("x").unwrap())
}

fn flock_created() -> MatchFields {
    let options = [("drones", DRONES as i64), ("pickups", 0), ("tick_rate", 10)];
    let options = Options::from(options.map(|(name, value)| (name.to_owned(), value)));
    let info = Swarm.info(&options).unwrap();
    MatchFields::from_iter(created().into_iter().chain(stored::new_match(&info, &options, 42, 0, 16)))
}

fn flock_resumed(fields: &MatchFields) -> Simulation {
    let restored = stored::restore(fields).unwrap();
    Simulation::new(Flock::of(&restored.stored.options), restored, writing())
}

/// Whether the drones are in cells, and not where everybody sees them.
fn is_cut(simulation: &Simulation) -> bool {
    let world = simulation.world();
    let cut = world.ids(drone(world).0).filter(|id| world.segment(*id) != SegmentId::EVERYONE).count();
    assert!(cut == 0 || cut == world.count(drone(world).0), "all or none: {cut}");
    cut > 0
}

#[test]
fn a_world_is_cut_while_it_is_large_and_everybody_goes_along() {
    let mut fields = flock_created();
    let mut simulation = flock_resumed(&fields);
    let mut replica = simulation.replica();
    let mut turns = Vec::new();
    join(&mut simulation, PLAYER.0);
    for tick in 1..=TICKS {
        simulation.handle_upstream(Upstream::Present { players: vec![PLAYER] });
        let commit = simulation.handle_tick(0).commit;
        let message = tick_of(&commit.message);
        assert_eq!(replica.apply(&message.frame), Progress::Advanced, "tick {tick}");
        if let Some(prior) = &message.prior {
            assert_eq!(replica.apply(prior), Progress::Stale);
        }
        assert!(replica.world().same_state(simulation.world()), "tick {tick}");
        let seen = simulation.parts.as_ref().unwrap().views().of(Viewer::Player(PLAYER)).len();
        assert_eq!(seen > 1, is_cut(&simulation), "one gets all of it, or its cells: tick {tick}");
        if turns.last().is_none_or(|(cut, _)| *cut != is_cut(&simulation)) {
            turns.push((is_cut(&simulation), tick));
        }
        write(&mut fields, &commit);
        if tick % 25 == 0 {
            let mut heir = flock_resumed(&fields);
            assert_eq!(is_cut(&heir), is_cut(&simulation), "tick {tick}");
            let mut same = flock_resumed(&fields);
            assert_eq!(heir.handle_tick(0).commit.message, same.handle_tick(0).commit.message);
            assert_eq!(is_cut(&heir), is_cut(&simulation), "an heir leaves it as it was: tick {tick}");
        }
    }
    let [(false, 1), (true, cut), (false, whole)] = turns[..] else { panic!("{turns:?}") };
    // A hundred ticks are ten seconds at this rate.
    assert!(cut == MANY.start + 1 && (MANY.end + 100..MANY.end + 130).contains(&whole), "{turns:?}");
}
