//! The game of the simulation: each player's entity keeps book of the inputs that were applied to it. An input
//! carries its own number, so the state itself tells what was applied twice, out of order, or never.

use std::sync::Arc;

use rand::RngExt;
use tickcast_protocol::schema::SchemaError;
use tickcast_protocol::{
    EntityId, Field, InputField, Kind, PlayerId, Schema, SegmentId, Tick, TickRate, World,
};
use tickcast_server::game::{
    BadOptions, Game, GameInfo, GameType, Looking, Options, Step, TickRng, Viewer, Visibility,
};

use super::plan::Plan;
use super::secrets;
use super::settings::HZ;

pub(super) const PLAYER: u8 = 0;
const DRONE: u8 = 1;
/// Only where there are secrets.
pub(super) const HAND: u8 = 2;
pub(super) const ID: usize = 0;
const SEQ: usize = 1;
const LAST: usize = 2;
const APPLIED: usize = 3;
const SKIPPED: usize = 4;
const WRONG: usize = 5;
pub(super) const X: usize = 6;
pub(super) const HAND_OF: usize = 0;
const CARD: usize = 1;
const DRONES: usize = 6;
const FAR: i32 = 10_000;

/// Ticks from one morning to the next, and up to the evening.
const DAY: u64 = 160;
const EVENING: u64 = 110;

/// The game; with secrets players see their room and their hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ledger {
    pub(super) secrets: bool,
    /// Drones stand still at night.
    pub(super) nights: bool,
}

/// What is known of a committed state.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) rows: Vec<Row>,
    /// All of it, where there are secrets.
    pub(super) world: Option<World>,
}

/// What a player's entity says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) player: PlayerId,
    /// The last input that the server says to have applied.
    pub(super) seq: i32,
    /// The last input that was applied.
    pub(super) last: i32,
    pub(super) applied: i32,
    /// Inputs that were passed over.
    pub(super) skipped: i32,
    /// Inputs that came again, or late.
    pub(super) wrong: i32,
}

/// Whether it is night then, where there are nights.
pub(super) fn is_night(tick: Tick) -> bool {
    tick.0 % DAY >= EVENING
}

/// What is to be known of a state.
pub(super) fn book(world: &World, secrets: bool) -> Book {
    Book { rows: rows(world), world: secrets.then(|| world.clone()) }
}

fn rows(world: &World) -> Vec<Row> {
    let row = |id: EntityId| Row {
        player: PlayerId(world.get(id, ID) as u32),
        seq: world.get(id, SEQ),
        last: world.get(id, LAST),
        applied: world.get(id, APPLIED),
        skipped: world.get(id, SKIPPED),
        wrong: world.get(id, WRONG),
    };
    world.ids(PLAYER).map(row).collect()
}

fn schema(secrets: bool) -> Result<Arc<Schema>, SchemaError> {
    let count = |name| Field::int(name, 0, i32::MAX);
    let player = [
        count(Schema::PLAYER_FIELD),
        Field::linear(Schema::SEQ_FIELD, 0, i32::MAX),
        count("last"),
        count("applied"),
        count("skipped"),
        count("wrong"),
        Field::linear("x", 0, FAR),
    ];
    let drone = [Field::linear("x", 0, FAR), Field::int("speed", -9, 9)];
    let hand = Kind::new("hand", [count("of"), Field::int("card", 0, 51)]);
    let kinds = [Kind::new("player", player), Kind::new("drone", drone)].into_iter();
    let kinds = kinds.chain(secrets.then_some(hand));
    let input = [InputField::new("number", 1, i32::MAX), InputField::new("push", -9, 9)];
    Schema::new("ledger", "player", kinds, input)
}

impl Ledger {
    /// That of a plan.
    pub(super) fn of(plan: &Plan) -> Ledger {
        Ledger { secrets: plan.secrets, nights: plan.nights }
    }
}

impl GameType for Ledger {
    fn info(&self, _: &Options) -> Result<GameInfo, BadOptions> {
        let bad = |error: &dyn std::error::Error| BadOptions(error.to_string());
        Ok(GameInfo {
            schema: schema(self.secrets).map_err(|error| bad(&error))?,
            tick_rate: TickRate::try_from(HZ).map_err(|error| bad(&error))?,
            players_max: 64,
            visibility: if self.secrets { Visibility::Secrets } else { Visibility::Everything },
        })
    }

    fn create(&self, _: &Options) -> Box<dyn Game> {
        Box::new(*self)
    }
}

impl Game for Ledger {
    fn start(&mut self, rng: &mut TickRng, world: &mut World) {
        for _ in 0..DRONES {
            let Ok(drone) = world.spawn(DRONE) else { return };
            world.set(drone, 0, rng.random_range(0..FAR));
        }
    }

    fn join(&mut self, who: PlayerId, _: &str, rng: &mut TickRng, world: &mut World) -> Option<EntityId> {
        let player = world.spawn(PLAYER).ok()?;
        world.set(player, X, rng.random_range(0..FAR));
        if self.secrets {
            let hand = world.spawn(HAND).ok()?;
            world.set(hand, HAND_OF, who.0 as i32);
            world.place(hand, secrets::hidden(hand));
        }
        Some(player)
    }

    fn leave(&mut self, player: PlayerId, world: &mut World) {
        if self.secrets {
            let hand = world.ids(HAND).find(|hand| world.get(*hand, HAND_OF) as u32 == player.0);
            hand.into_iter().for_each(|hand| world.despawn(hand));
        }
    }

    fn view(&self, looking: Looking<'_>) -> Vec<SegmentId> {
        let player = match looking.viewer {
            Viewer::Spectators => None,
            Viewer::Player(player) => Some(player),
        };
        secrets::view(looking.world, player)
    }

    fn rests_until(&self, tick: Tick, _: &World) -> Tick {
        let is_still = self.nights && is_night(tick.next());
        if is_still { Tick(tick.0.next_multiple_of(DAY)) } else { tick.next() }
    }

    fn step(&mut self, step: Step<'_>) {
        let Step { tick, inputs, rng, world, .. } = step;
        for input in inputs {
            let [number, push] = *input.values else { continue };
            let own = world.ids(PLAYER).find(|id| world.get(*id, ID) as u32 == input.player.0);
            let Some(own) = own else { continue };
            let last = world.get(own, LAST);
            world.add(own, X, push);
            world.add(own, APPLIED, 1);
            if number <= last {
                world.add(own, WRONG, 1);
                continue;
            }
            world.add(own, SKIPPED, number - last - 1);
            world.set(own, LAST, number);
        }
        let drones = if self.nights && is_night(tick) { Vec::new() } else { world.ids(DRONE).collect() };
        for drone in drones {
            if rng.random_ratio(1, 16) {
                world.set(drone, 1, rng.random_range(-9..=9));
            }
            let speed = world.get(drone, 1);
            world.add(drone, 0, speed);
        }
        if self.secrets {
            hide(rng, world);
        }
    }
}

/// Cards are drawn, hands are shown and hidden again, and everything is in its room.
fn hide(rng: &mut TickRng, world: &mut World) {
    for hand in world.ids(HAND).collect::<Vec<_>>() {
        if rng.random_ratio(1, 4) {
            world.set(hand, CARD, rng.random_range(0..52));
        }
        if rng.random_ratio(1, 16) {
            let open = world.segment(hand) != SegmentId::EVERYONE;
            world.place(hand, if open { SegmentId::EVERYONE } else { secrets::hidden(hand) });
        }
    }
    for (kind, field) in [(PLAYER, X), (DRONE, 0)] {
        for id in world.ids(kind).collect::<Vec<_>>() {
            world.place(id, secrets::room(world.get(id, field)));
        }
    }
}
