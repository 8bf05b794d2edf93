//! A run in which every kind of change comes by turns, coded with a prior in which every model has a level of
//! its own: a model that is taken for another shows at once.

use std::sync::Arc;

use serde_json::json;
use tickcast_protocol::EntityId;
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::prior::Prior;

use crate::frames::position;
use crate::sequence::Script;
use crate::streams::encode_prior;
use crate::worlds;

const THING: u8 = 1;
const THINGS: u16 = 36;
/// Things are fewer than that from this tick on, so that the kind is small.
const SMALL_FROM: u64 = 7;

/// Numbers without any order, the same on every machine (Numerical Recipes' generator).
pub(crate) struct Dice(pub(crate) u32);

impl Dice {
    pub(crate) fn below(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(self.0) * u64::from(sides)) >> 32) as u32
    }

    /// Of any size, as likely small as large.
    fn amount(&mut self) -> i32 {
        let bits = self.below(31);
        let amount = (self.below(u32::MAX) & ((1 << bits) - 1)) as i32;
        if self.below(2) == 0 { amount } else { -amount }
    }
}

pub(crate) fn storm() -> Script {
    let about = "Changes of every kind, coded with a prior in which every model has a level of its own; also\n\
                 with catch-ups. The schema is in storm.schema.json. Apply the frames in order to an empty\n\
                 replica.";
    let schema = worlds::storm();
    let mut script = Script::new("storm.hex", about, Arc::clone(&schema), position(1, 2, 0));
    let first = Prior::first(&schema);
    let mut dice = Dice(2026);
    let level = |model| json!([model, (model * 37 + model / 127 * 11) as i32 % 127 - 63]);
    let prior =
        first.decode(&encode_prior(&schema, 3, &(0..worlds::STORM_MODELS).map(level).collect::<Vec<_>>()));
    script.encoder = Encoder::new(prior.unwrap());
    for index in 0..THINGS {
        script.spawn(THING, 2 * index, &[]);
    }
    for _ in 0..3 {
        turn(&mut script, &mut dice);
        script.next(false);
    }
    let snapshot = script.snapshot();
    script.deliver("storm_snapshot", "the state, and the prior", snapshot);
    for tick in 5..=10 {
        turn(&mut script, &mut dice);
        if tick == SMALL_FROM {
            (0..6).for_each(|at| script.owner.despawn(EntityId { kind: THING, index: 4 * at + 2 }));
        }
        script.tick(&format!("storm_{tick}"), "the next tick", true);
    }
    for _ in 0..3 {
        turn(&mut script, &mut dice);
        script.next(false);
    }
    script.leap("storm_catch_up_13", "three ticks in one", true);
    for tick in 14..=15 {
        turn(&mut script, &mut dice);
        script.next(false);
        script.leap(&format!("storm_catch_up_{tick}"), "one tick", true);
    }
    turn(&mut script, &mut dice);
    script.tick("storm_16", "the next tick", true);
    script
}

/// Things that go on, stop, start, turn, are born and go.
fn turn(script: &mut Script, dice: &mut Dice) {
    let ids: Vec<EntityId> = script.owner.ids(THING).collect();
    let before = script.owner.clone();
    for id in ids {
        let now = |field| before.get(id, field);
        match dice.below(9) {
            // It stays where it is: a surprise if it moved.
            0..=2 => {}
            3 => {
                let (x, y) = (dice.amount(), dice.amount() % 40);
                script.set(id, &[("x", now(0).wrapping_add(x)), ("y", now(1) + y)]);
            }
            4 => {
                let (aim, hp) = (dice.amount() % 1024, dice.below(100) as i32);
                script.set(id, &[("aim", now(2) + aim), ("hp", hp)]);
            }
            5 => {
                let name = ["", "a", "né", "zz"][dice.below(4) as usize];
                script.text(id, "name", name);
                script.set(id, &[("y", now(1) + 3)]);
            }
            6 => script.set(id, &[("x", now(0).wrapping_add(5)), ("last", dice.below(3) as i32 - 1)]),
            7 => script.set(id, &[("last", dice.amount() % 20_000)]),
            _ if dice.below(6) == 0 => script.owner.despawn(id),
            _ => script.set(id, &[("y", dice.amount())]),
        }
    }
    if dice.below(2) == 0 {
        let index = 2 * dice.below(80) as u16 + 1;
        let (x, last) = (dice.amount(), dice.amount() % 100);
        script.spawn(THING, index, &[("x", x), ("aim", 7), ("last", last)]);
    }
}
