//! The rules of the arena, one by one. What holds whatever players do is tested in `tests/random.rs`.

mod bots;
mod fog;
mod random;
mod shots;
mod swarm;
mod walk;

use super::*;
use crate::game::{Past, PlayerInput, View};
use rand::SeedableRng;
use std::collections::BTreeMap;
use std::time::Duration;
use tickcast_protocol::{Schema, Tick, snapshot};

/// What a player sends: `move_x`, `move_y`, `aim`, `fire`.
type Values = [i32; 4];

const CHOICES: venue::Choices = Venue::ARENA.choices;

const IDLE: Values = [0, 0, 0, 0];
const FIRE: Values = [0, 0, 0, 1];

/// A match as a server runs it, without the server.
struct Match {
    options: Options,
    seed: u64,
    tick: Tick,
    world: World,
    past: Past,
    game: Box<dyn Game>,
    seqs: BTreeMap<u32, i32>,
    /// How far behind players act, in 256ths of a tick.
    behind: u16,
}

impl Match {
    fn new(seed: u64, options: &[(&str, i64)]) -> Match {
        let options: Options = options.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let info = Arena.info(&options).unwrap();
        let mut world = World::new(info.schema);
        let mut game = Arena.create(&options);
        game.start(&mut rng(seed, Tick(0)), &mut world);
        world.advance();
        let mut past = past_of(&*game, &world, &options);
        past.record(Tick(0), &world);
        Match { options, seed, tick: Tick(0), world, past, game, seqs: BTreeMap::new(), behind: 0 }
    }

    fn join(&mut self, player: u32) -> Option<EntityId> {
        let name = format!("bot {player}");
        let mut rng = rng(!self.seed ^ u64::from(player), self.tick);
        let id = self.game.join(PlayerId(player), &name, &mut rng, &mut self.world)?;
        self.world.set(id, self.world.schema().player_field(), player as i32);
        Some(id)
    }

    fn leave(&mut self, player: u32) {
        if let Some(id) = find_player(&self.world, player as i32) {
            self.game.leave(PlayerId(player), &mut self.world);
            self.world.despawn(id);
        }
    }

    fn step(&mut self, inputs: &[(u32, Values)]) {
        // The state that the step begins with is the newest that anybody can have.
        let view = View { seen: self.tick, behind: self.behind };
        self.tick = self.tick.next();
        let inputs: Vec<PlayerInput<'_>> = inputs
            .iter()
            .map(|(player, values)| PlayerInput { player: PlayerId(*player), view, values })
            .collect();
        let mut rng = rng(self.seed, self.tick);
        inputs.iter().for_each(|input| self.past.note(input.player, input.view));
        let (tick, past, world) = (self.tick, &self.past, &mut self.world);
        let step = Step { tick, inputs: &inputs, past, rng: &mut rng, world };
        self.game.step(step);
        for input in &inputs {
            let seq = self.seqs.entry(input.player.0).or_default();
            *seq += 1;
            if let Some(id) = find_player(&self.world, input.player.0 as i32) {
                self.world.set(id, self.world.schema().seq_field(), *seq);
            }
        }
        self.world.advance();
        self.past.record(self.tick, &self.world);
    }

    /// The match as another node takes it over: a fresh game over a world that was encoded and decoded.
    fn taken_over(&self) -> Match {
        let mut bytes = Vec::new();
        snapshot::encode(&self.world, &mut bytes);
        let world = snapshot::decode(self.world.schema().clone(), &bytes).unwrap();
        let mut game = Arena.create(&self.options);
        game.restore(&world);
        let mut past = past_of(&*game, &world, &self.options);
        past.record(self.tick, &world);
        let (options, seqs) = (self.options.clone(), self.seqs.clone());
        Match { options, seed: self.seed, tick: self.tick, world, past, game, seqs, behind: self.behind }
    }

    /// Steps until the condition holds; the number of steps it took.
    fn step_until(&mut self, ticks_max: usize, holds: impl Fn(&World) -> bool) -> usize {
        for ticks in 0..ticks_max {
            if holds(&self.world) {
                return ticks;
            }
            self.step(&[]);
        }
        panic!("does not hold within {ticks_max} ticks");
    }

    fn place(&mut self, id: EntityId, x_units: i32, y_units: i32) {
        put(&mut self.world, id, player::X, Spot { x: x_units * SCALE, y: y_units * SCALE });
        self.past.record(self.tick, &self.world);
    }

    fn round(&self, field: usize) -> i32 {
        self.world.get(self.world.ids(round::KIND).next().unwrap(), field)
    }

    fn clear(&mut self, kind: u8) {
        all(&self.world, kind).into_iter().for_each(|id| self.world.despawn(id));
    }
}

fn past_of(game: &dyn Game, world: &World, options: &Options) -> Past {
    let hz = CHOICES.tick_rate.of(options) as u8;
    Past::new(world.schema(), &game.remembers(), hz, Duration::from_millis(250))
}

fn rng(seed: u64, tick: Tick) -> TickRng {
    TickRng::seed_from_u64(seed ^ tick.0.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn find_player(world: &World, player: i32) -> Option<EntityId> {
    world.ids(player::KIND).find(|id| world.get(*id, player::PLAYER) == player)
}

/// Two players on one line without a wall between them, 200 units apart; the first aims at the second.
fn duel(options: &[(&str, i64)]) -> (Match, EntityId, EntityId) {
    let mut arena = Match::new(7, options);
    let (shooter, target) = (arena.join(1).unwrap(), arena.join(2).unwrap());
    arena.place(shooter, 100, 600);
    arena.place(target, 300, 600);
    (arena, shooter, target)
}

/// What must hold after every tick, whatever happened.
fn check(arena: &Match) {
    let world = &arena.world;
    let ground = Ground { map: Venue::ARENA.map, walls: walls(world) };
    let inside = |at: Spot, radius: i32| {
        (radius..=ground.map.x - radius).contains(&at.x)
            && (radius..=ground.map.y - radius).contains(&at.y)
            && ground.is_free(at, radius)
    };
    assert_eq!(ground.walls.len(), Venue::ARENA.walls.len());
    assert_eq!(world.count(round::KIND), 1);
    assert_eq!(world.count(pickup::KIND) as i32, CHOICES.pickups.of(&arena.options));
    assert_eq!(world.count(drone::KIND) as i32, CHOICES.drones.of(&arena.options));
    assert!(world.count(player::KIND) as i32 <= CHOICES.players_max.of(&arena.options));
    assert_eq!(world.hash(), world.recomputed_hash());
    for id in world.ids(player::KIND) {
        assert!(inside(spot(world, id, player::X), BODY_RADIUS), "player {id} is in a wall");
        let dead = world.get(id, player::HP) == 0;
        assert_eq!(dead, world.get(id, player::RESPAWN) > 0, "player {id} waits exactly when dead");
    }
    for id in world.ids(drone::KIND) {
        assert!(inside(spot(world, id, drone::X), BODY_RADIUS), "drone {id} is in a wall");
    }
    for id in world.ids(bullet::KIND) {
        assert!(inside(spot(world, id, bullet::X), 0), "bullet {id} is in a wall");
    }
    let phase = arena.round(round::PHASE);
    assert!(phase == round::PLAYING || world.count(bullet::KIND) == 0, "nobody shoots in a break");
    assert!(phase == round::BREAK || arena.round(round::WINNER) == 0);
    assert!(phase == round::BREAK || best_score(world) < CHOICES.score_limit.of(&arena.options));
    assert!(round::ticks_left(arena.round(round::ENDS_AT), arena.tick) > 0);
}

#[test]
fn the_positions_of_fields_are_those_of_the_schema() {
    let schema = Arena.info(&Options::new()).unwrap().schema;
    let names = |kind: u8, fields: &[usize]| -> Vec<String> {
        let kind = &schema.kinds()[usize::from(kind)];
        [kind.name.clone()].into_iter().chain(fields.iter().map(|i| kind.fields[*i].name.clone())).collect()
    };
    use player as p;
    let fields =
        [p::PLAYER, p::NAME, p::X, p::X + 1, p::AIM, p::HP, p::SCORE, p::DEATHS, p::COOLDOWN, p::RESPAWN];
    let expected =
        ["player", "player", "name", "x", "y", "aim", "hp", "score", "deaths", "cooldown", "respawn"];
    assert_eq!(names(p::KIND, &fields), expected);
    assert_eq!(names(p::KIND, &[p::MOVE_X, p::MOVE_Y, p::FIRE]), ["player", "move_x", "move_y", "fire"]);
    let fields = [bullet::X, bullet::X + 1, bullet::HEADING, bullet::OWNER];
    assert_eq!(names(bullet::KIND, &fields), ["bullet", "x", "y", "heading", "owner"]);
    let fields = [wall::X, wall::X + 1, wall::WIDTH, wall::HEIGHT];
    assert_eq!(names(wall::KIND, &fields), ["wall", "x", "y", "width", "height"]);
    assert_eq!(
        names(pickup::KIND, &[pickup::X, pickup::X + 1, pickup::RESPAWN]),
        ["pickup", "x", "y", "respawn"]
    );
    let fields = [round::PHASE, round::NUMBER, round::ENDS_AT, round::WINNER, round::WINNER_NAME];
    assert_eq!(names(round::KIND, &fields), ["round", "phase", "number", "ends_at", "winner", "winner_name"]);
    assert_eq!(names(drone::KIND, &[drone::X, drone::X + 1, drone::HEADING]), ["drone", "x", "y", "heading"]);
    assert_eq!(schema.player_kind(), player::KIND);
    assert_eq!(Schema::PLAYER_FIELD, schema.kinds()[0].fields[player::PLAYER].name);
}

#[test]
fn directions_are_those_of_the_sine() {
    for angle in -TURN..2 * TURN {
        let turn = f64::from(angle) * std::f64::consts::TAU / f64::from(TURN);
        let Spot { x, y } = direction(angle);
        let exact = [turn.cos() * f64::from(DIRECTION_LENGTH), turn.sin() * f64::from(DIRECTION_LENGTH)];
        let error = (f64::from(x) - exact[0]).abs().max((f64::from(y) - exact[1]).abs());
        assert!(error < 3.0, "angle {angle}: off by {error}");
    }
}

#[test]
fn a_bullet_that_is_aimed_at_a_player_hits_at_any_angle_and_tick_rate() {
    for hz in [10, 30, 60, 128] {
        for aim in (0..TURN).step_by(53) {
            let mut arena = Match::new(7, &[("tick_rate", hz), ("pickups", 0)]);
            arena.clear(wall::KIND);
            let (shooter, target) = (arena.join(1).unwrap(), arena.join(2).unwrap());
            let Spot { x, y } = direction(aim);
            arena.place(shooter, 800, 480);
            arena.place(target, 800 + x * 400 / DIRECTION_LENGTH, 480 + y * 400 / DIRECTION_LENGTH);
            arena.step(&[(1, [0, 0, aim, 1])]);
            arena.step(&[(1, [0, 0, aim, 0])]);
            let ticks = arena.step_until(hz as usize, |world| world.count(bullet::KIND) == 0);
            assert_eq!(arena.world.get(target, player::HP), HP_MAX - BULLET_DAMAGE, "{hz} Hz, aim {aim}");
            assert_eq!(arena.world.get(shooter, player::HP), HP_MAX);
            assert!(ticks as i64 * 3 >= hz, "400 units take more than half a second");
        }
    }
}

#[test]
fn a_bullet_flies_exactly_straight() {
    let (mut arena, ..) = duel(&[]);
    arena.clear(wall::KIND);
    arena.step(&[(1, [0, 0, 901, 1])]);
    let bullet = EntityId { kind: bullet::KIND, index: 0 };
    let mut steps = Vec::new();
    while arena.world.contains(bullet) {
        let before = spot(&arena.world, bullet, bullet::X);
        arena.step(&[(1, IDLE)]);
        let after = spot(&arena.world, bullet, bullet::X);
        if arena.world.contains(bullet) {
            steps.push((after.x - before.x, after.y - before.y));
        }
    }
    assert!(steps.len() > 10);
    assert!(steps.iter().all(|step| *step == steps[0]), "{steps:?}");
}

#[test]
fn the_trigger_is_held_until_let_go_and_waits_for_the_cooldown() {
    let (mut arena, shooter, _) = duel(&[("tick_rate", 40)]);
    arena.clear(wall::KIND);
    arena.step(&[(1, [0, 0, TURN / 4, 1])]);
    assert_eq!(arena.world.get(shooter, player::COOLDOWN), 10);
    (0..9).for_each(|_| arena.step(&[]));
    assert_eq!(arena.world.count(bullet::KIND), 1);
    arena.step(&[]);
    assert_eq!(arena.world.count(bullet::KIND), 2);
    arena.step(&[(1, IDLE)]);
    arena.step_until(200, |world| world.count(bullet::KIND) == 0);
    // A tap between two ticks is a shot.
    arena.step(&[(1, FIRE), (1, IDLE)]);
    assert_eq!(arena.world.count(bullet::KIND), 1);
}

#[test]
fn walls_and_the_border_stop_players_who_then_slide() {
    for hz in [10, 30, 128] {
        let (mut arena, walker, other) = duel(&[("tick_rate", hz)]);
        arena.place(walker, 650, 480);
        arena.place(other, 100, 100);
        (0..hz).for_each(|_| arena.step(&[(1, [127, 0, 0, 0]), (2, [-127, -127, 0, 0])]));
        let at = spot(&arena.world, walker, player::X);
        assert_eq!(at, Spot { x: 740 * SCALE - BODY_RADIUS, y: 480 * SCALE }, "{hz} Hz");
        assert_eq!(spot(&arena.world, other, player::X), Spot { x: BODY_RADIUS, y: BODY_RADIUS });
        (0..hz / 5).for_each(|_| arena.step(&[(1, [127, 127, 0, 0])]));
        let slid = spot(&arena.world, walker, player::X);
        assert!(slid.x == at.x && slid.y > at.y, "{hz} Hz: {slid:?}");
    }
}

#[test]
fn a_wall_stops_a_bullet() {
    for hz in [10, 30, 128] {
        let (mut arena, shooter, target) = duel(&[("tick_rate", hz)]);
        arena.place(shooter, 520, 480);
        arena.place(target, 640, 480);
        arena.step(&[(1, FIRE)]);
        arena.step(&[(1, IDLE)]);
        arena.step_until(hz as usize, |world| world.count(bullet::KIND) == 0);
        assert_eq!(arena.world.get(target, player::HP), HP_MAX, "{hz} Hz");
    }
}

#[test]
fn players_go_equally_far_at_every_tick_rate_and_in_every_direction() {
    for (x, y) in [(127, 0), (0, -127), (127, 127), (-90, 90), (3, -127)] {
        for hz in 10..=128 {
            let (mut arena, walker, _) = duel(&[("tick_rate", hz)]);
            arena.clear(wall::KIND);
            arena.place(walker, 800, 480);
            let from = spot(&arena.world, walker, player::X);
            (0..hz).for_each(|_| arena.step(&[(1, [x, y, 0, 0])]));
            let to = spot(&arena.world, walker, player::X);
            let far = f64::from(to.x - from.x).hypot(f64::from(to.y - from.y));
            // Half a step of rounding a tick on each axis, and the vector's length in whole numbers.
            let rounding = hz as f64 * 0.71 + f64::from(PLAYER_SPEED) * 0.006;
            assert!((far - f64::from(PLAYER_SPEED)).abs() <= rounding, "({x}, {y}) at {hz} Hz: {far}");
        }
    }
}

#[test]
fn death_gives_points_and_the_dead_come_back() {
    let (mut arena, shooter, target) = duel(&[]);
    arena.step(&[(1, FIRE), (2, [0, 0, 0, 0])]);
    arena.step_until(100, |world| world.get(target, player::HP) == 0);
    arena.step(&[(1, IDLE), (2, [127, 0, 0, 1])]);
    assert_eq!(arena.world.get(shooter, player::SCORE), KILL_POINTS);
    assert_eq!(arena.world.get(target, player::DEATHS), 1);
    let body = spot(&arena.world, target, player::X);
    let ticks = arena.step_until(100, |world| world.get(target, player::HP) == HP_MAX);
    assert!((85..=90).contains(&ticks), "three seconds, not {ticks} ticks");
    assert_ne!(spot(&arena.world, target, player::X), body);
    assert_eq!(arena.world.get(target, player::RESPAWN), 0);
    // Bullets of the one who left belong to nobody, but they hit.
    arena.step(&[(2, IDLE)]);
    arena.place(target, 300, 600);
    arena.step(&[(1, FIRE)]);
    arena.leave(1);
    arena.step_until(60, |world| world.get(target, player::HP) < HP_MAX);
}

#[test]
fn a_drone_is_worth_a_point_and_appears_elsewhere() {
    let (mut arena, shooter, target) = duel(&[("drones", 1)]);
    arena.place(target, 1500, 60);
    let drone = EntityId { kind: drone::KIND, index: 0 };
    put(&mut arena.world, drone, drone::X, Spot { x: 250 * SCALE, y: 600 * SCALE });
    arena.world.set(drone, drone::HEADING, TURN / 2);
    arena.step(&[(1, FIRE)]);
    arena.step_until(60, |world| world.get(shooter, player::SCORE) == DRONE_POINTS);
    assert!(arena.world.contains(drone));
}

#[test]
fn pickups_heal_the_hurt_and_come_back() {
    let (mut arena, healthy, hurt) = duel(&[("pickups", 1)]);
    let pickup = EntityId { kind: pickup::KIND, index: 0 };
    arena.place(healthy, 200, 600);
    arena.place(hurt, 200, 600);
    arena.world.set(hurt, player::HP, 30);
    put(&mut arena.world, pickup, pickup::X, Spot { x: 210 * SCALE, y: 600 * SCALE });
    arena.step(&[]);
    assert_eq!(arena.world.get(hurt, player::HP), 30 + PICKUP_HEALS);
    let ticks = arena.step_until(400, |world| world.get(hurt, player::HP) > 30 + PICKUP_HEALS);
    assert_eq!(ticks, 300, "ten seconds");
    assert_eq!(arena.world.get(hurt, player::HP), HP_MAX, "never more than full");
}

#[test]
fn a_round_ends_by_score_shows_the_winner_and_restarts() {
    let (mut arena, shooter, target) = duel(&[("score_limit", 20)]);
    arena.world.set(shooter, player::SCORE, 10);
    arena.world.set(target, player::HP, BULLET_DAMAGE);
    arena.step(&[(1, FIRE)]);
    arena.step_until(60, |world| world.get(shooter, player::SCORE) == 20);
    assert_eq!([arena.round(round::PHASE), arena.round(round::WINNER)], [round::BREAK, 1]);
    let round = arena.world.ids(round::KIND).next().unwrap();
    assert_eq!(arena.world.text(round, round::WINNER_NAME), "bot 1");
    let ticks = arena.step_until(200, |world| world.get(round, round::PHASE) == round::PLAYING);
    assert_eq!(ticks, 180, "six seconds");
    assert_eq!([arena.round(round::NUMBER), arena.round(round::WINNER), best_score(&arena.world)], [2, 0, 0]);
    assert_eq!(arena.world.get(target, player::DEATHS), 0);
    assert_eq!(arena.world.get(target, player::HP), HP_MAX);
}

#[test]
fn a_round_ends_by_time_and_a_draw_has_no_winner() {
    let (mut arena, shooter, target) = duel(&[("round_seconds", 5), ("tick_rate", 20)]);
    arena.world.set(shooter, player::SCORE, 3);
    arena.world.set(target, player::SCORE, 3);
    let round = arena.world.ids(round::KIND).next().unwrap();
    let ticks = arena.step_until(200, |world| world.get(round, round::PHASE) == round::BREAK);
    assert_eq!([ticks as i32, arena.round(round::WINNER)], [100, 0]);
}

/// What a node need not send.
#[test]
fn while_nobody_does_anything_no_tick_changes_anything_until_the_round_ends() {
    let (mut arena, ..) = duel(&[("round_seconds", 5), ("tick_rate", 20)]);
    arena.step(&[(1, FIRE), (2, IDLE)]);
    arena.step(&[(1, IDLE)]);
    arena.clear(bullet::KIND);
    let mut still = 0;
    while arena.round(round::PHASE) == round::PLAYING {
        let before = arena.world.clone();
        arena.step(&[]);
        still = if arena.world.same_state(&before) { still + 1 } else { 0 };
        assert!(
            still > 0 || arena.tick.0 < 12 || arena.tick.0 == 100,
            "tick {} changes something",
            arena.tick
        );
    }
    assert_eq!(arena.tick, Tick(100), "five seconds");
}

#[test]
fn the_end_of_a_round_is_found_over_the_end_of_its_field() {
    for (tick, ticks) in [(0, 1), (5, 100), (i32::MAX as u64 - 3, 10), (1 << 40, schema::TIMER_TICKS_MAX)] {
        let ends_at = round::ends_at(Tick(tick), ticks);
        assert_eq!(round::ticks_left(ends_at, Tick(tick)), ticks);
        assert_eq!(round::ticks_left(ends_at, Tick(tick + ticks as u64 - 1)), 1);
        assert_eq!(round::ticks_left(ends_at, Tick(tick + ticks as u64)), 0);
        assert_eq!(round::ticks_left(ends_at, Tick(tick + ticks as u64 + 9)), 0);
    }
}

#[test]
fn a_full_match_refuses_until_somebody_leaves() {
    for players_max in [2u32, 64] {
        let mut arena = Match::new(7, &[("players_max", players_max.into())]);
        (1..=players_max).for_each(|player| assert!(arena.join(player).is_some()));
        assert!(arena.join(1000).is_none());
        arena.leave(2);
        arena.step(&[]);
        assert!(arena.join(1000).is_some());
        check(&arena);
    }
}

#[test]
fn options_that_make_no_sense_are_refused_in_words() {
    let refused = |name: &str, value: i64| Arena.info(&[(name.to_owned(), value)].into()).unwrap_err().0;
    assert!(
        refused("dragons", 1).contains("arena takes no dragons = 1, but players_max 2 to 64 (default 16)")
    );
    for choice in CHOICES.all() {
        let expected = format!("{} {} to {}", choice.name, choice.min, choice.max);
        for value in [i64::from(choice.min) - 1, i64::from(choice.max) + 1, i64::MIN, i64::MAX] {
            assert!(refused(choice.name, value).contains(&expected));
        }
    }
    let info = Arena.info(&[("tick_rate".to_owned(), 128), ("players_max".to_owned(), 64)].into()).unwrap();
    assert_eq!((info.tick_rate.hz(), info.players_max), (128, 64));
}

#[test]
fn a_match_can_hold_a_thousand_entities() {
    let mut arena = Match::new(7, &[("players_max", 64), ("drones", 900), ("pickups", 64)]);
    (1..=64).for_each(|player| assert!(arena.join(player).is_some()));
    (0..60).for_each(|_| arena.step(&[]));
    assert!(arena.world.len() >= 1_000, "{}", arena.world.len());
    check(&arena);
}
