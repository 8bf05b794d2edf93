//! A shooting range: the arena without walls, with a shooter who stands and a target who walks and cannot die.

use std::f64::consts::TAU;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::message::{ClientMessage, PROTOCOL_VERSION, Role, ServerMessage};
use tickcast_protocol::{EntityId, InputSeq, PlayerId, ResumeToken, SessionId, Tick, World, frame, snapshot};
use tickcast_server::backplane::fields;
use tickcast_server::game::{Game, GameType, Options, Remembered, Step, TickRng};
use tickcast_server::games::Arena;
use tickcast_server::logic::channel::{self, FromOwner, Upstream};
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::simulation::{Simulation, Writing};
use tickcast_server::logic::stored::{self, Restored};

pub(super) const SHOOTER: u32 = 1;
const TARGET: u32 = 2;
/// Units from a bullet's way within which a body is hit.
pub(super) const HIT_REACH: f64 = 16.0;
/// Units per second.
const BULLET_SPEED: f64 = 600.0;
const SCALE: f64 = 16.0;
/// Where the shooter stands and the target begins, in units.
const STAND: Spot = Spot { x: 800.0, y: 480.0 };
const BEGIN: Spot = Spot { x: 800.0, y: 280.0 };
/// The target stays about between these distances from the shooter.
const NEAR: f64 = 150.0;
const FAR: f64 = 300.0;
const HP_MAX: i32 = 100;
/// Units that a bullet is followed on the screen.
const SIGHT: f64 = 560.0;

#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Spot {
    pub(super) fn minus(self, other: Spot) -> Spot {
        Spot { x: self.x - other.x, y: self.y - other.y }
    }

    pub(super) fn between(self, to: Spot, part: f64) -> Spot {
        Spot { x: self.x + (to.x - self.x) * part, y: self.y + (to.y - self.y) * part }
    }

    fn norm(self) -> f64 {
        self.x.hypot(self.y)
    }
}

/// How the target walks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Movement {
    /// To and fro on a line, past the shooter.
    Steady,
    /// Another way every half to whole second.
    Turning,
}

/// A shot as it looked on the shooter's screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shot {
    pub(super) seq: InputSeq,
    /// The moment that was shown, in ticks.
    pub(super) at: f64,
    pub(super) aim: i32,
    pub(super) from: Spot,
}

/// The heading, of 1024, at which a bullet meets a target that goes on by `way` each tick.
pub(super) fn aim_at(from: Spot, target: Spot, way: Spot, hz: f64) -> i32 {
    let (to, speed) = (target.minus(from), BULLET_SPEED / hz);
    let mut ticks = to.norm() / speed;
    for _ in 0..20 {
        ticks = Spot { x: to.x + way.x * ticks, y: to.y + way.y * ticks }.norm() / speed;
    }
    let angle = (to.y + way.y * ticks).atan2(to.x + way.x * ticks);
    (angle / TAU * 1024.0).round() as i32 & 1023
}

/// Ticks in which the target was hit.
type Hits = Arc<Mutex<Vec<u64>>>;

/// The arena's rules on an empty map.
struct Rules {
    arena: Box<dyn Game>,
    hits: Hits,
}

fn field(world: &World, kind: u8, name: &str) -> usize {
    world.schema().kinds()[usize::from(kind)].field_index(name).expect("a field of the arena")
}

fn player_in(world: &World, player: u32) -> Option<EntityId> {
    let schema = world.schema();
    world.ids(schema.player_kind()).find(|id| world.get(*id, schema.player_field()) as u32 == player)
}

fn spot_of(world: &World, player: u32) -> Option<Spot> {
    let id = player_in(world, player)?;
    let [x, y] = ["x", "y"].map(|name| f64::from(world.get(id, field(world, id.kind, name))) / SCALE);
    Some(Spot { x, y })
}

impl Game for Rules {
    fn start(&mut self, rng: &mut TickRng, world: &mut World) {
        self.arena.start(rng, world);
        let walls = world.schema().kind_index("wall").expect("a kind of the arena");
        world.ids(walls).collect::<Vec<_>>().into_iter().for_each(|wall| world.despawn(wall));
    }

    fn join(
        &mut self,
        player: PlayerId,
        name: &str,
        rng: &mut TickRng,
        world: &mut World,
    ) -> Option<EntityId> {
        let id = self.arena.join(player, name, rng, world)?;
        let at = if player.0 == SHOOTER { STAND } else { BEGIN };
        for (name, value) in [("x", at.x), ("y", at.y)] {
            world.set(id, field(world, id.kind, name), (value * SCALE) as i32);
        }
        Some(id)
    }

    fn remembers(&self) -> Vec<Remembered> {
        self.arena.remembers()
    }

    fn step(&mut self, step: Step<'_>) {
        let Step { tick, inputs, past, rng, world } = step;
        self.arena.step(Step { tick, inputs, past, rng, world: &mut *world });
        let Some(target) = player_in(world, TARGET) else { return };
        let hp = field(world, target.kind, "hp");
        if world.get(target, hp) < HP_MAX {
            self.hits.lock().expect("nobody panics with it").push(tick.0);
            world.set(target, hp, HP_MAX);
        }
    }
}

/// The match, as its owner runs it.
pub(super) struct Range {
    simulation: Simulation,
    hits: Hits,
    welcome: Vec<Vec<u8>>,
    movement: Movement,
    rng: ChaCha8Rng,
    hz: u8,
    /// Where the target was after each tick.
    targets: Vec<Spot>,
    /// The tick that applied each of the shooter's inputs, by its number.
    applied: Vec<u64>,
    heading: f64,
    turns_at: u64,
}

impl Range {
    pub(super) fn new(hz: u8, movement: Movement, rewind_ms: u64, seed: u64) -> Range {
        let options =
            [("pickups", 0), ("tick_rate", hz.into()), ("round_seconds", 3600), ("score_limit", 10_000)];
        let options: Options = options.map(|(name, value)| (name.to_owned(), value)).into();
        let mut stored =
            stored::new_match(&Arena.info(&options).expect("options of the arena"), &options, seed, 0, 64);
        let claim = [
            (fields::EPOCH, "1"),
            (fields::NONCE, "0000000000000007"),
            (fields::OWNER, "n"),
            (fields::STATUS, fields::OPEN),
            (fields::LEASE_MS, "0"),
            (fields::TICK, "0"),
            (fields::SNAPSHOT_TICK, "0"),
        ];
        stored.extend(claim.map(|(name, value)| (name.into(), Bytes::from(value))));
        let restored = stored::restore(&stored).expect("a new match");
        let hits = Hits::default();
        let game = Box::new(Rules { arena: Arena.create(&options), hits: Arc::clone(&hits) });
        let writing = Writing {
            snapshot_every: 30,
            hash_every: 16,
            lease: Duration::from_secs(1),
            resume_window: Duration::from_secs(3600),
            rewind: Duration::from_millis(rewind_ms),
            rests: false,
        };
        let welcome = welcome(&restored);
        let mut simulation = Simulation::new(game, restored, writing);
        for player in [SHOOTER, TARGET].map(PlayerId) {
            let token = TokenDigest::of(&ResumeToken::default());
            simulation.handle_upstream(Upstream::Join { player, name: String::new(), token, subject: None });
        }
        let rng = ChaCha8Rng::seed_from_u64(!seed);
        let (targets, applied) = (vec![BEGIN], vec![0]);
        Range { simulation, hits, welcome, movement, rng, hz, targets, applied, heading: 0.0, turns_at: 0 }
    }

    /// The frames that let the shooter in.
    pub(super) fn welcome(&self) -> Vec<Vec<u8>> {
        self.welcome.clone()
    }

    /// What the shooter's client says.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        let Ok(ClientMessage::Input { seq, seen, behind, values }) = ClientMessage::from_frame(frame) else {
            panic!("an input");
        };
        let player = PlayerId(SHOOTER);
        self.simulation.handle_upstream(Upstream::Input { player, seq, seen, behind, values });
    }

    /// One tick; what goes to clients.
    pub(super) fn tick(&mut self) -> Vec<Vec<u8>> {
        let tick = self.simulation.position().tick.next();
        self.walk(tick);
        let produced = self.simulation.handle_tick(0);
        for (player, _) in produced.applied {
            if player.0 == SHOOTER {
                self.applied.push(tick.0);
            }
        }
        self.targets.push(Range::target_in(self.simulation.world()).unwrap_or(BEGIN));
        let Ok(FromOwner::Tick(message)) = channel::parse_from_owner(&produced.commit.message) else {
            panic!("a tick");
        };
        [Some(message.frame), message.prior].into_iter().flatten().map(|frame| frame.to_vec()).collect()
    }

    /// The target's own input: it sits beside the server.
    fn walk(&mut self, tick: Tick) {
        let (at, hz) = (*self.targets.last().unwrap_or(&BEGIN), u64::from(self.hz));
        let home = STAND.minus(at);
        match self.movement {
            Movement::Steady if (at.x - STAND.x).abs() > FAR => {
                self.heading = if home.x > 0.0 { 0.0 } else { TAU / 2.0 };
            }
            Movement::Steady => {}
            // Past the edge of its ring it turns back into it at once.
            Movement::Turning if home.norm() < NEAR => self.heading = (-home.y).atan2(-home.x),
            Movement::Turning if home.norm() > FAR => self.heading = home.y.atan2(home.x),
            Movement::Turning if tick.0 >= self.turns_at => {
                self.turns_at = tick.0 + self.rng.random_range(hz / 2..=hz);
                self.heading = self.rng.random_range(0.0..TAU);
            }
            Movement::Turning => {}
        }
        let part = |part: f64| (part * 127.0).round() as i32;
        let values = vec![part(self.heading.cos()), part(self.heading.sin()), 0, 0];
        let (player, seq) = (PlayerId(TARGET), InputSeq(tick.0 as u32));
        self.simulation.handle_upstream(Upstream::Input {
            player,
            seq,
            seen: tick,
            behind: 0,
            values: values.into(),
        });
    }

    /// By how many units the bullet missed the target on the shooter's screen, which showed every moment as it was.
    /// `None` for a shot at the end, or one whose bullet was not followed to its end.
    pub(super) fn missed_by(&self, shot: &Shot) -> Option<f64> {
        let speed = BULLET_SPEED / f64::from(self.hz);
        let flown = SIGHT / speed;
        if (shot.at + flown) as usize + 2 >= self.targets.len() {
            return None;
        }
        let heading = f64::from(shot.aim) / 1024.0 * TAU;
        let steps = (flown * 16.0) as usize;
        let gap = |step: usize| {
            let ticks = step as f64 / 16.0;
            let way = ticks * speed;
            let bullet = Spot { x: shot.from.x + heading.cos() * way, y: shot.from.y + heading.sin() * way };
            let at = shot.at + ticks;
            let from = self.targets[at.floor() as usize];
            from.between(self.targets[at.floor() as usize + 1], at.fract()).minus(bullet).norm()
        };
        (0..steps).map(gap).min_by(f64::total_cmp)
    }

    /// Whether the target was hit by this shot: before the next one can have been fired.
    pub(super) fn was_hit(&self, shot: &Shot) -> bool {
        let fired = self.applied[shot.seq.0 as usize];
        let until = fired + u64::from(self.hz);
        self.hits.lock().expect("nobody panics with it").iter().any(|tick| (fired..until).contains(tick))
    }

    pub(super) fn target_in(world: &World) -> Option<Spot> {
        spot_of(world, TARGET)
    }

    pub(super) fn shooter_in(world: &World) -> Option<Spot> {
        spot_of(world, SHOOTER)
    }
}

fn welcome(restored: &Restored) -> Vec<Vec<u8>> {
    let (world, position) = (&restored.world, restored.stored.position());
    let welcome = ServerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        node: "n".parse().expect("an id"),
        session: SessionId(1),
        match_id: "m".parse().expect("an id"),
        role: Role::Player(PlayerId(SHOOTER)),
        tick_rate: restored.stored.tick_rate,
        schema: world.schema().to_json(),
        resume: ResumeToken::default(),
        quiet_ms: 0,
    };
    let (mut prior, mut payload) = (Vec::new(), Vec::new());
    restored.prior.encode(&mut prior);
    snapshot::encode(world, &mut payload);
    vec![welcome.to_frame(), frame::snapshot(position, world.hash(), &prior, &payload)]
}
