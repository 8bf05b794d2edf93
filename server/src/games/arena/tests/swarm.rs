//! The swarm: the same rules, with a thousand players among thousands of drones.

use super::*;
use crate::game::{Looking, Viewer, Visibility};

/// A swarm as a server runs it.
struct Flock {
    tick: Tick,
    world: World,
    past: Past,
    game: Box<dyn Game>,
    rng: TickRng,
}

impl Flock {
    fn new(options: &[(&str, i64)]) -> Flock {
        let options: Options = options.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let mut world = World::new(Swarm.info(&options).unwrap().schema);
        let mut game = Swarm.create(&options);
        let mut rng = rng(3, Tick(0));
        game.start(&mut rng, &mut world);
        world.advance();
        let past = Past::new(world.schema(), &game.remembers(), 20, Duration::from_millis(250));
        Flock { tick: Tick(0), world, past, game, rng }
    }

    fn join(&mut self, player: u32) -> EntityId {
        let id = self.game.join(PlayerId(player), "one", &mut self.rng, &mut self.world).unwrap();
        self.world.set(id, self.world.schema().player_field(), player as i32);
        id
    }

    fn step(&mut self, inputs: &[(u32, Values)]) {
        let view = View { seen: self.tick, behind: 0 };
        self.tick = self.tick.next();
        let player = |number: &u32| PlayerId(*number);
        let inputs: Vec<PlayerInput<'_>> = inputs
            .iter()
            .map(|(number, values)| PlayerInput { player: player(number), view, values })
            .collect();
        inputs.iter().for_each(|input| self.past.note(input.player, input.view));
        let (tick, past) = (self.tick, &self.past);
        self.game.step(Step { tick, inputs: &inputs, past, rng: &mut self.rng, world: &mut self.world });
        self.world.advance();
        self.past.record(self.tick, &self.world);
    }

    fn view(&self, viewer: Viewer, entity: Option<EntityId>) -> Vec<SegmentId> {
        let mut view = self.game.view(Looking { viewer, entity, before: &[], world: &self.world });
        view.sort_unstable();
        view
    }
}

#[test]
fn a_bullet_flies_for_a_while_and_is_gone() {
    let mut flock = Flock::new(&[("drones", 0), ("pickups", 0)]);
    let one = flock.join(1);
    put(&mut flock.world, one, player::X, Spot { x: 6_000 * SCALE, y: 3_000 * SCALE });
    flock.step(&[(1, FIRE)]);
    flock.step(&[(1, IDLE)]);
    let bullet = flock.world.ids(bullet::KIND).next().expect("it flies");
    let begun = spot(&flock.world, bullet, bullet::X);
    let (mut last, mut ticks) = (begun, 2);
    while flock.world.contains(bullet) {
        last = spot(&flock.world, bullet, bullet::X);
        flock.step(&[]);
        ticks += 1;
        assert!(ticks < 100, "it flies on and on");
    }
    // 900 ms at 600 units a second, less the tick in which it was fired and the one in which it goes.
    assert!((450..=540).contains(&((last.x - begun.x) / SCALE)), "{begun:?} to {last:?}");
    assert_eq!(flock.world.count(bullet::KIND), 0);
}

#[test]
fn everybody_sees_what_is_near_and_spectators_what_the_leader_sees() {
    let mut flock = Flock::new(&[("drones", 3_000)]);
    assert_eq!(Swarm.info(&Options::new()).unwrap().visibility, Visibility::Regions);
    let (one, other) = (flock.join(1), flock.join(2));
    put(&mut flock.world, one, player::X, Spot { x: 2_000 * SCALE, y: 2_000 * SCALE });
    put(&mut flock.world, other, player::X, Spot { x: 11_000 * SCALE, y: 6_000 * SCALE });
    flock.step(&[]);
    let of = |flock: &Flock, id| flock.view(Viewer::Player(PlayerId(1)), Some(id));
    for id in [one, other] {
        let view = of(&flock, id);
        assert!(view.binary_search(&flock.world.segment(id)).is_ok(), "one sees oneself");
        for drone in flock.world.ids(drone::KIND) {
            let is_near =
                spot(&flock.world, drone, drone::X).is_within(700 * SCALE, spot(&flock.world, id, player::X));
            assert!(!is_near || view.binary_search(&flock.world.segment(drone)).is_ok());
        }
    }
    assert_eq!(flock.view(Viewer::Spectators, None), of(&flock, one), "the first of equals");
    flock.world.set(other, player::SCORE, 3);
    flock.world.advance();
    assert_eq!(flock.view(Viewer::Spectators, None), of(&flock, other));
}

#[test]
fn a_thousand_players_among_ten_thousand_entities() {
    let mut flock = Flock::new(&[]);
    for player in 1..=1_000 {
        flock.join(player);
    }
    assert!(flock.game.join(PlayerId(1_001), "more", &mut flock.rng, &mut flock.world).is_none());
    let hand = |tick: u32, player: u32| {
        let turn = (player * 37 + tick * 5) as i32;
        [(turn * 3) % 128, (turn * 7) % 128, turn & 1023, i32::from(player.is_multiple_of(4))]
    };
    for tick in 0..30 {
        let inputs: Vec<(u32, Values)> = (1..=1_000).map(|player| (player, hand(tick, player))).collect();
        flock.step(&inputs);
    }
    let bullets = flock.world.count(bullet::KIND);
    assert!((250..=2_000).contains(&bullets), "{bullets} bullets of 250 who fire");
    assert!(flock.world.len() > 7_500);
    let ground = Ground { map: Venue::SWARM.map, walls: Vec::new() };
    for id in flock.world.ids(player::KIND) {
        let at = spot(&flock.world, id, player::X);
        assert_eq!(ground.slide(at, Spot { x: 0, y: 0 }, BODY_RADIUS), at, "on the map");
    }
}
