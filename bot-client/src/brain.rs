//! A bot's decisions: from the state it sees and a seeded generator to input values. Integers only, no clock, so
//! the same seed and states give the same inputs. Plays by the schema's names: goes for enemies and pickups, aims,
//! fires, wanders. What it has no name for it fills with random values.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::schema::FieldType;
use tickcast_protocol::{EntityId, InputField, Kind, Schema, World};

/// Ticks for which a chosen target is kept: a search looks at every entity.
const TARGET_TICKS: u32 = 8;
/// Ticks without getting anywhere after which a wall is assumed.
const STUCK_TICKS: u32 = 6;
/// One in so many searches ends in wandering about instead.
const WANDER_ONE_IN: u32 = 12;
/// Units of a full turn in [`turn`].
const TURN: i64 = 1024;
/// The greatest error that a bot makes when aiming, in units of a turn.
const AIM_ERROR: i64 = 16;

/// One bot's mind.
#[derive(Debug)]
pub struct Brain {
    rng: ChaCha8Rng,
    inputs: Vec<InputField>,
    senses: Option<Senses>,
    target: Option<EntityId>,
    search_in: u32,
    wander: Option<Wander>,
    last_place: Place,
    stuck: u32,
}

/// Where the schema keeps what a player needs to know and do.
#[derive(Debug, Clone)]
struct Senses {
    player: Body,
    hp: Option<(usize, i32)>,
    pickup: Option<Body>,
    move_x: usize,
    move_y: usize,
    aim: Option<usize>,
    fire: Option<usize>,
    reach: i64,
}

/// A kind with a place, by field positions.
#[derive(Debug, Clone, Copy)]
struct Body {
    kind: u8,
    x: usize,
    y: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    x: i64,
    y: i64,
}

#[derive(Debug, Clone, Copy)]
struct Wander {
    direction: Place,
    ticks: u32,
}

impl Brain {
    /// A mind for a game's player.
    pub fn new(schema: &Schema, seed: u64) -> Brain {
        Brain {
            rng: ChaCha8Rng::seed_from_u64(seed),
            inputs: schema.input().to_vec(),
            senses: Senses::find(schema),
            target: None,
            search_in: 0,
            wander: None,
            last_place: Place::default(),
            stuck: 0,
        }
    }

    /// The next input, by the state in which the player is this entity.
    pub fn decide(&mut self, world: &World, own: Option<EntityId>) -> Vec<i32> {
        let mut values = self.random_input();
        if let (Some(senses), Some(own)) = (self.senses.clone(), own.filter(|own| world.contains(*own))) {
            self.play(&senses, world, own, &mut values);
        }
        values
    }

    /// Random values within the input's bounds.
    pub fn random_input(&mut self) -> Vec<i32> {
        let rng = &mut self.rng;
        self.inputs.iter().map(|field| rng.random_range(field.min..=field.max)).collect()
    }

    fn play(&mut self, senses: &Senses, world: &World, own: EntityId, values: &mut [i32]) {
        let here = senses.player.place(world, own);
        self.notice_walls(here);
        if self.search_in == 0 || self.target.is_some_and(|target| !world.contains(target)) {
            self.search_in = TARGET_TICKS;
            self.target = senses.choose(world, own, here);
            if self.target.is_none() || self.rng.random_range(0..WANDER_ONE_IN) == 0 {
                self.begin_wandering();
            }
        }
        self.search_in -= 1;
        let sight =
            self.target.and_then(|target| Some(senses.body(target)?.place(world, target).minus(here)));
        let enemy = sight.filter(|_| self.target.is_some_and(|target| target.kind == senses.player.kind));
        let direction = match (&mut self.wander, sight) {
            (Some(wander), _) => wander.direction,
            // Close to an enemy, run around it instead of into it.
            (None, Some(to)) if enemy.is_some() && to.norm() < senses.reach / 4 => {
                Place { x: -to.y, y: to.x }
            }
            (None, Some(to)) => to,
            (None, None) => Place::default(),
        };
        self.wander = self.wander.filter(|w| w.ticks > 1).map(|w| Wander { ticks: w.ticks - 1, ..w });
        values[senses.move_x] = scaled(&self.inputs[senses.move_x], direction.x, direction.norm());
        values[senses.move_y] = scaled(&self.inputs[senses.move_y], direction.y, direction.norm());
        if let Some(aim) = senses.aim {
            let error = self.rng.random_range(-AIM_ERROR..=AIM_ERROR);
            values[aim] = aimed(&self.inputs[aim], turn(enemy.unwrap_or(direction)) + error);
        }
        if let Some(fire) = senses.fire {
            let field = &self.inputs[fire];
            let wants = enemy.is_some_and(|to| to.norm() < senses.reach) && self.rng.random_range(0..4) != 0;
            values[fire] = if wants { field.max } else { field.min };
        }
    }

    fn notice_walls(&mut self, here: Place) {
        self.stuck = if here == self.last_place { self.stuck + 1 } else { 0 };
        self.last_place = here;
        if self.stuck == STUCK_TICKS {
            self.stuck = 0;
            self.begin_wandering();
        }
    }

    fn begin_wandering(&mut self) {
        let mut step = || self.rng.random_range(-100..=100);
        let direction = Place { x: step(), y: step() };
        self.wander = Some(Wander { direction, ticks: self.rng.random_range(8..40) });
    }
}

impl Senses {
    /// `None` when the game has no players with a place, or they cannot walk.
    fn find(schema: &Schema) -> Option<Senses> {
        let kind = &schema.kinds()[usize::from(schema.player_kind())];
        let player = Body::find(schema, &kind.name)?;
        let input = |name: &str| schema.input().iter().position(|field| field.name == name);
        let hp = number_field(kind, "hp").map(|field| (field, kind.fields[field].bounds().1));
        let (least, most) = kind.fields[player.x].bounds();
        Some(Senses {
            player,
            hp,
            pickup: Body::find(schema, "pickup"),
            move_x: input("move_x")?,
            move_y: input("move_y")?,
            aim: input("aim"),
            fire: input("fire"),
            reach: ((i64::from(most) - i64::from(least)) / 4).max(1),
        })
    }

    fn body(&self, id: EntityId) -> Option<Body> {
        [Some(self.player), self.pickup].into_iter().flatten().find(|body| body.kind == id.kind)
    }

    /// The nearest enemy that is alive, or pickup; a hurt player would rather have a pickup.
    fn choose(&self, world: &World, own: EntityId, here: Place) -> Option<EntityId> {
        let health = |id| self.hp.map_or(1, |(field, _)| world.get(id, field));
        let hurt = self.hp.is_some_and(|(field, most)| world.get(own, field) <= most / 3);
        let enemies = world.ids(self.player.kind).filter(|id| *id != own && health(*id) > 0);
        let enemy = nearest(world, self.player, enemies, here);
        let pickup = self.pickup.and_then(|body| nearest(world, body, world.ids(body.kind), here));
        match (enemy, pickup) {
            (Some(_), Some((_, pickup))) if hurt => Some(pickup),
            (Some(enemy), Some(pickup)) => Some(enemy.min(pickup).1),
            (one, other) => one.or(other).map(|(_, id)| id),
        }
    }
}

impl Body {
    fn find(schema: &Schema, kind: &str) -> Option<Body> {
        let index = schema.kind_index(kind)?;
        let kind = &schema.kinds()[usize::from(index)];
        Some(Body { kind: index, x: number_field(kind, "x")?, y: number_field(kind, "y")? })
    }

    fn place(self, world: &World, id: EntityId) -> Place {
        Place { x: i64::from(world.get(id, self.x)), y: i64::from(world.get(id, self.y)) }
    }
}

impl Place {
    fn minus(self, other: Place) -> Place {
        Place { x: self.x - other.x, y: self.y - other.y }
    }

    fn norm(self) -> i64 {
        self.x.abs().max(self.y.abs())
    }
}

/// The nearest of these and its distance; of equal ones the first.
fn nearest(
    world: &World,
    body: Body,
    ids: impl Iterator<Item = EntityId>,
    here: Place,
) -> Option<(i64, EntityId)> {
    ids.map(|id| (body.place(world, id).minus(here).norm(), id)).min()
}

fn number_field(kind: &Kind, name: &str) -> Option<usize> {
    let index = kind.field_index(name)?;
    match kind.fields[index].holds {
        FieldType::Int { .. } | FieldType::Angle { .. } => Some(index),
        FieldType::Text { .. } => None,
    }
}

/// `part` of `whole` as a value of an input field: the field's bounds are full speed both ways.
fn scaled(field: &InputField, part: i64, whole: i64) -> i32 {
    let bound = i64::from(if part < 0 { field.min } else { field.max });
    let value = bound * part.abs() / whole.max(1);
    value.clamp(i64::from(field.min), i64::from(field.max)) as i32
}

/// A direction in units of [`TURN`] as a value of an input field, whose bounds span one turn.
fn aimed(field: &InputField, angle: i64) -> i32 {
    let steps = i64::from(field.max) - i64::from(field.min) + 1;
    (i64::from(field.min) + angle.rem_euclid(TURN) * steps / TURN) as i32
}

/// The direction of a vector in units of [`TURN`]: 0 along x, a quarter along y. Wrong by one unit at most.
fn turn(to: Place) -> i64 {
    let (long, short) = (to.x.abs().max(to.y.abs()), to.x.abs().min(to.y.abs()));
    if long == 0 {
        return 0;
    }
    // atan(r) = r * (pi/4 + 0.273 * (1 - r)) within 0.004 radians, here in 1/1024 turns and r in 1/4096.
    let ratio = short * 4096 / long;
    let octant = (ratio * (128 * 4096 + 44 * (4096 - ratio)) + (1 << 23)) >> 24;
    let quadrant = if to.x.abs() >= to.y.abs() { octant } else { TURN / 4 - octant };
    let half = if to.x >= 0 { quadrant } else { TURN / 2 - quadrant };
    if to.y >= 0 { half } else { (TURN - half) % TURN }
}

#[cfg(test)]
mod tests;
