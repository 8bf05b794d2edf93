//! Payloads that no game can bring about: states of a game with wider bounds, and streams written bit by bit.

use std::sync::Arc;

use serde_json::json;
use tickcast_protocol::catch_up::{self, Leap};
use tickcast_protocol::diff::Encoder;
use tickcast_protocol::frame::{self, StateFrame};
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{EntityId, Schema, World, snapshot};

use crate::coder::{Coder, FixedEncoder, NUMBER_MODELS, Number};
use crate::streams::{adaptive, encode_prior, even};
use crate::{runs, worlds};

pub(crate) const ZOE: EntityId = EntityId { kind: 0, index: 0 };
const BALL: EntityId = EntityId { kind: 1, index: 0 };

/// The worked example's state at tick 7, of this schema.
pub(crate) fn at_7(schema: &Arc<Schema>) -> World {
    let script = runs::duel();
    let Ok(StateFrame::Snapshot { payload, .. }) = frame::parse(&script.file.entries[0].bytes) else {
        panic!("the run begins with a snapshot")
    };
    snapshot::decode(Arc::clone(schema), payload).unwrap()
}

/// What changes from tick 7 to the next in a game with wider bounds.
struct Wider(World, World);

impl Wider {
    fn new(change: impl FnOnce(&mut World)) -> Wider {
        let before = at_7(&worlds::loose_duel());
        let mut after = before.clone();
        // Everything goes on as it went.
        let prior = Prior::first(before.schema());
        tickcast_protocol::diff::apply(&mut after, &prior, &[]).unwrap();
        let mut changed = before.clone();
        for kind in 0..2 {
            for id in after.ids(kind).collect::<Vec<_>>() {
                for (field, declared) in before.schema().kinds()[usize::from(kind)].fields.iter().enumerate()
                {
                    if declared.name != "name" {
                        changed.set(id, field, after.get(id, field));
                    }
                }
            }
        }
        change(&mut changed);
        Wider(before, changed)
    }

    fn diff(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(Prior::first(self.0.schema())).encode(&self.1, &mut out);
        out
    }

    fn snapshot(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.1.advance();
        snapshot::encode(&self.1, &mut out);
        out
    }

    fn catch_up(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.1.advance();
        catch_up::encode(&self.0, &self.1, Leap { span: 1, known: 2 }, &mut out);
        out
    }
}

/// The same bit many times.
fn repeat(coder: &mut impl Coder, bit: bool, times: usize) {
    for _ in 0..times {
        coder.bit(0, bit);
    }
}

type Case = (&'static str, Vec<u8>, &'static str);

/// Changes that lead to values which the game does not have.
fn beyond() -> Vec<(&'static str, Wider, &'static str)> {
    vec![
        ("above", Wider::new(|world| world.set(ZOE, 4, 101)), "hp would be 101"),
        ("below", Wider::new(|world| world.set(ZOE, 2, -1001)), "x would be -1001"),
        ("text_long", Wider::new(|world| world.set_text(ZOE, 5, "thirteen long")), "13 bytes of at most 12"),
        ("birth_above", Wider::new(|world| birth(world, 1001, 0)), "a birth with x = 1001"),
        ("birth_angle", Wider::new(|world| birth(world, 0, 16)), "a birth with spin = 16 of 16"),
    ]
}

fn birth(world: &mut World, x: i32, spin: i32) {
    let id = EntityId { kind: 1, index: 1 };
    world.spawn_at(id).unwrap();
    world.set(id, 0, x);
    world.set(id, 1, spin);
}

pub(crate) fn diffs() -> Vec<Case> {
    let mut cases: Vec<Case> =
        beyond().into_iter().map(|(name, wider, why)| (name, wider.diff(), why)).collect();
    let turn = Wider::new(|world| world.set(ZOE, 3, (250 + 128) & 511)).diff();
    cases.push(("half_turn", turn, "an angle's residual of +128 of 256"));
    // Of the players none changes and none is born, the ball does not change.
    let quiet = |coder: &mut FixedEncoder<'_>| repeat(coder, false, 4);
    let number = |coder: &mut FixedEncoder<'_>, value| coder.number(Number::at(0), value);
    let born = |gaps: &'static [u64], mark: u32| {
        even(|coder| {
            quiet(coder);
            number(coder, gaps.len() as u64);
            for gap in gaps {
                number(coder, *gap);
                coder.raw(mark, 1);
                // Both fields are the default.
                repeat(coder, false, 2);
            }
        })
    };
    let reused = even(|coder| {
        repeat(coder, false, 3);
        repeat(coder, true, 2);
        number(coder, 1);
        number(coder, 0);
        coder.raw(1, 1);
    });
    let utf8 = even(|coder| {
        coder.bit(0, true);
        // It does not go; of the fields before the name none differs, so that the name does.
        repeat(coder, false, 6);
        for byte in [255 - 2, 0xff - 0xc3, 0xff - 0x28] {
            coder.raw(byte, 8);
        }
    });
    let many = even(|coder| {
        quiet(coder);
        number(coder, 65_536);
        number(coder, 0);
        coder.raw(1, 1);
    });
    cases.extend([
        ("text_utf8", utf8, "a text that is not UTF-8"),
        ("birth_mark", born(&[3], 0), "a birth without its mark"),
        (
            "birth_claimed",
            even(|coder| {
                quiet(coder);
                number(coder, 60_000);
            }),
            "60000 births, and the bytes end",
        ),
        ("birth_twice", born(&[0], 1), "a birth of ball 0, which exists"),
        ("birth_reused", reused, "ball 0 goes and is born in the same tick"),
        ("birth_index", born(&[65_535], 1), "index 65535"),
        ("birth_index_sum", born(&[65_534, 0], 1), "indexes 65534 and 65535"),
        ("birth_many", many, "65536 births"),
        ("trailing", vec![0, 0, 0, 0, 0, 0, 1], "a byte too many"),
        ("zero", vec![0], "a zero byte at the end"),
    ]);
    cases
}

/// Of the run wide, after its first snapshot: kind 2 is large, tile 31 (the eighth) moves.
pub(crate) fn wide_diffs() -> Vec<Case> {
    let woken = |count: u64, gap: u64| {
        even(|coder| {
            // No player is born, the panel stays, none is born, the moving tile goes on.
            repeat(coder, false, 4);
            coder.number(Number::at(0), count);
            coder.number(Number::at(0), gap);
            coder.bit(0, true);
        })
    };
    vec![
        ("woken_stranger", woken(1, 11), "tile 11 is mentioned, which does not exist"),
        ("woken_moving", woken(1, 31), "tile 31 is mentioned as one that lay still, but it moves"),
        ("woken_index", woken(1, 65_535), "index 65535"),
        ("woken_many", woken(41, 10), "41 of 40 tiles are mentioned"),
    ]
}

pub(crate) fn snapshots() -> Vec<Case> {
    let mut cases: Vec<Case> =
        beyond().into_iter().map(|(name, wider, why)| (name, wider.snapshot(), why)).collect();
    let mut world = World::new(worlds::loose_duel());
    world.spawn_at(BALL).unwrap();
    world.set(BALL, 0, 1001);
    world.advance();
    world.set(BALL, 0, 1000);
    let ball = |world: &World| {
        let mut out = Vec::new();
        snapshot::encode(world, &mut out);
        out
    };
    world.advance();
    cases.push(("step", ball(&world), "x = 1000 after a step of -1 would come from 1001"));
    world.set(BALL, 0, 999);
    world.advance();
    cases.push(("step_before", ball(&world), "the step before that would come from 1001"));
    let mut world = World::new(worlds::loose_duel());
    world.spawn_at(BALL).unwrap();
    world.advance();
    world.set(BALL, 1, 8);
    world.advance();
    cases.push(("angle_step", ball(&world), "a step of +8 of 16 is written as -8"));
    let entities = |indexes: &'static [u64], count: u64, mark: u32| {
        adaptive(2 * NUMBER_MODELS + 4, |coder| {
            coder.number(Number::at(0), 0);
            coder.number(Number::at(0), count);
            let mut next = 0;
            for index in indexes {
                coder.number(Number::at(NUMBER_MODELS), index - next);
                next = index + 1;
                coder.raw(mark, 1);
                // Value, step and step before of both fields, each with models of its own, are 0.
                for model in 0..4 {
                    coder.bit(2 * NUMBER_MODELS + model, false);
                }
            }
        })
    };
    cases.extend([
        ("mark", entities(&[3], 1, 0), "an entity without its mark"),
        ("claimed", vec![0xff, 0xff, 0xf0], "a number of entities, and the bytes end"),
        ("index", entities(&[65_535], 1, 1), "index 65535"),
        ("trailing", vec![0, 0, 0, 0, 0, 0, 7], "a byte too many"),
        ("zero", vec![0], "a zero byte at the end"),
    ]);
    cases
}

pub(crate) fn catch_ups() -> Vec<Case> {
    let mut cases: Vec<Case> =
        beyond().into_iter().map(|(name, wider, why)| (name, wider.catch_up(), why)).collect();
    let turn = Wider::new(|world| world.set(ZOE, 3, (250 + 128) & 511)).catch_up();
    cases.push(("half_turn", turn, "an angle's residual of +128 of 256"));
    let born = |index: u64, mark: u32| {
        adaptive(4 * NUMBER_MODELS, |coder| {
            // Two players that do not change, none is born; the same for the ball with models of its own.
            repeat(coder, false, 2);
            coder.bit(1, false);
            coder.bit(2, false);
            coder.number(Number::at(NUMBER_MODELS), 1);
            coder.number(Number::at(2 * NUMBER_MODELS), index);
            coder.raw(mark, 1);
        })
    };
    cases.extend([
        ("birth_mark", born(3, 0), "a birth without its mark"),
        ("birth_twice", born(0, 1), "a birth of ball 0, which exists"),
        ("birth_index", born(65_535, 1), "index 65535"),
        ("trailing", vec![0, 0, 0, 0, 0, 0, 1], "a byte too many"),
        ("zero", vec![0], "a zero byte at the end"),
    ]);
    cases
}

pub(crate) fn priors() -> Vec<Case> {
    vec![
        ("empty", vec![], "no number"),
        ("above", encode_prior(&worlds::duel(), 1, &[json!([5, 64])]), "a level of 64"),
        ("below", encode_prior(&worlds::duel(), 1, &[json!([5, -64])]), "a level of -64"),
        (
            "trailing",
            [encode_prior(&worlds::duel(), 1, &[json!([400, 3])]), vec![1; 8]].concat(),
            "bytes too many",
        ),
        ("zero", vec![1, 0], "a zero byte at the end"),
    ]
}
