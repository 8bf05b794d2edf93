//! Worlds for decoders to be given: a few schemas at their extremes, each with states that a game could have left and
//! priors that an owner could have published. The same in every run: an input names them by number.

use std::sync::{Arc, OnceLock};

use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::schema::{FieldType, Predictor};
use tickcast_protocol::{EntityId, Field, InputField, Kind, Schema, World};

/// Ticks from a scene's beginning to its last world.
const TICKS: usize = 40;

/// A schema with states and priors.
pub(crate) struct Scene {
    pub(crate) schema: Arc<Schema>,
    /// Committed states, each with what an owner would code its next diff with.
    pub(crate) moments: Vec<Moment>,
    pub(crate) priors: Vec<Arc<Prior>>,
}

/// A committed state.
pub(crate) struct Moment {
    pub(crate) world: World,
    /// The number of ticks behind it.
    pub(crate) tick: usize,
}

/// Every scene.
pub(crate) fn scenes() -> &'static [Scene] {
    static SCENES: OnceLock<Vec<Scene>> = OnceLock::new();
    SCENES.get_or_init(|| vec![mixed(), wide(), crowded()])
}

/// Every state of every scene.
pub(crate) fn moments() -> impl Iterator<Item = (&'static Scene, &'static Moment)> {
    scenes().iter().flat_map(|scene| scene.moments.iter().map(move |moment| (scene, moment)))
}

/// One state and one prior, named by two bytes; every pair of bytes names some.
pub(crate) fn pick(moment: u8, prior: u8) -> (&'static Scene, &'static Moment, &'static Arc<Prior>) {
    let (scene, moment) = moments().nth(usize::from(moment) % moments().count()).expect("there are some");
    (scene, moment, &scene.priors[usize::from(prior) % scene.priors.len()])
}

/// Numbers drawn from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        // splitmix64 (Steele, Lea, Flood).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % sides as u64) as usize
    }
}

/// One tick's changes, not committed: some entities go on, some leap, a few are born and end.
pub(crate) fn play(world: &mut World, dice: &mut Dice) {
    let schema = Arc::clone(world.schema());
    for (number, kind) in (0..).zip(schema.kinds()) {
        let ids: Vec<EntityId> = world.ids(number).collect();
        for id in ids {
            match dice.roll(40) {
                0 => world.despawn(id),
                // What does not move keeps still until it is rolled.
                1..=3 => change(world, id, kind, dice, true),
                _ if id.index % 3 != 0 => change(world, id, kind, dice, false),
                _ => {}
            }
        }
        if dice.roll(4) == 0 {
            // A full world takes none.
            if let Ok(id) = world.spawn(number) {
                change(world, id, kind, dice, true);
            }
        }
    }
}

fn change(world: &mut World, id: EntityId, kind: &Kind, dice: &mut Dice, leaps: bool) {
    for (field, declared) in kind.fields.iter().enumerate() {
        match declared.holds {
            FieldType::Text { .. } if leaps && dice.roll(4) == 0 => {
                let text = ["", "a", "bc", "wörter", "a longer text than others"][dice.roll(5)];
                world.set_text(id, field, text);
            }
            FieldType::Text { .. } => {}
            FieldType::Int { .. } | FieldType::Angle { .. } => {
                let amount = match (leaps, declared.predictor) {
                    (true, _) => [i32::MIN, i32::MAX, -1000, 1000, 1, 0][dice.roll(6)],
                    (false, Predictor::Linear) => field as i32 * 3 + dice.roll(3) as i32,
                    (false, Predictor::Hold) => i32::from(dice.roll(8) == 0),
                };
                world.add(id, field, amount);
            }
        }
    }
}

fn player() -> Kind {
    Kind::new("player", [Field::int("player", 0, i32::MAX), Field::linear("seq", 0, i32::MAX)])
}

fn schema(game: &str, kinds: impl IntoIterator<Item = Kind>) -> Arc<Schema> {
    let kinds = std::iter::once(player()).chain(kinds);
    Schema::new(game, "player", kinds, [InputField::new("move", -1, 1)]).expect("a good schema")
}

fn turning(name: &str, bits: u8) -> Field {
    Field { predictor: Predictor::Linear, ..Field::angle(name, bits) }
}

/// A scene that begins with this many entities of each kind, and plays for a while; with its states at these ticks.
fn scene(schema: Arc<Schema>, begin: &[usize], ticks: &[usize]) -> Scene {
    let first = Prior::first(&schema);
    let mut world = World::new(Arc::clone(&schema));
    let mut moments = Vec::new();
    let mut encoder = Encoder::new(Arc::clone(&first));
    let mut priors = vec![first];
    let mut dice = Dice(schema.kinds().len() as u64);
    for tick in 0..=TICKS {
        match tick {
            0 => {}
            1 => {
                for (kind, count) in (0..).zip(begin) {
                    (0..*count).try_for_each(|_| world.spawn(kind).map(drop)).unwrap_or_default();
                }
            }
            _ => play(&mut world, &mut dice),
        }
        encoder.encode(&world, &mut Vec::new());
        world.advance();
        if ticks.contains(&tick) {
            moments.push(Moment { world: world.clone(), tick });
        }
        if [TICKS / 2, TICKS].contains(&tick) {
            priors.push(encoder.force_prior());
        }
    }
    // Nearly nothing changes for long, so that most models are all but certain.
    for _ in 0..4 * TICKS {
        encoder.encode(&world, &mut Vec::new());
        world.advance();
    }
    priors.push(encoder.force_prior());
    Scene { schema, moments, priors }
}

/// Kinds of a few fields, one of them with more entities than are given a flag each.
fn mixed() -> Scene {
    let thing = [
        Field::linear("x", i32::MIN, i32::MAX),
        turning("aim", 6),
        Field::text("label", 8),
        Field::int("hp", 0, 100),
        Field::angle("turret", 16),
    ];
    let speck = [Field::linear("x", -5000, 5000), Field::linear("y", -5000, 5000)];
    let kinds = [Kind::new("thing", thing), Kind::new("speck", speck)];
    scene(schema("mixed", kinds), &[3, 6, 60], &[0, 1, 2, TICKS / 2, TICKS])
}

/// As many fields as a kind takes, of every type at its bounds.
fn wide() -> Scene {
    let field = |number: usize| {
        let name = format!("f{number}");
        match number % 8 {
            0 => Field::linear(&name, i32::MIN, i32::MAX),
            1 => Field::int(&name, i32::MIN, i32::MAX),
            2 => Field::int(&name, 7, 7),
            3 => turning(&name, 1),
            4 => turning(&name, 16),
            5 => Field::angle(&name, 1),
            6 => Field::text(&name, 255),
            _ => Field::linear(&name, i32::MAX - 1, i32::MAX),
        }
    };
    scene(schema("wide", [Kind::new("wide", (0..64).map(field))]), &[1, 3], &[0, 2, TICKS])
}

/// As many entities as a world takes, because their records could be long.
fn crowded() -> Scene {
    let page = (0..64).map(|number| Field::text(&format!("line{number}"), 255));
    let bean = [Field::flag("counted")];
    let kinds = [Kind::new("page", page), Kind::new("bean", bean)];
    // A full world takes long to look at: two of the ten are enough.
    scene(schema("crowded", kinds), &[1, usize::MAX, 3], &[1, TICKS])
}
