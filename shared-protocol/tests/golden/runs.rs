//! What happens in each run of frames.

use std::sync::Arc;

use tickcast_protocol::{EntityId, Position, Replica, Schema, Tick, World, frame};

use crate::file::File;
use crate::frames::position;
use crate::sequence::Script;
use crate::{fog, segments, storm, traces, worlds};

/// Tick of the worked example after which its prior holds.
pub(crate) const DUEL_PRIOR_TICK: u64 = 16;

/// Every run, with the schema of its game.
pub(crate) fn all() -> Vec<(File, Arc<Schema>)> {
    let whole =
        [duel(), slow(), quiet(), extremes(), wide(), storm::storm()].into_iter().chain(traces::all());
    let whole = whole.map(|script| (script.file, Arc::clone(script.owner.schema())));
    let parts = std::iter::once(segments::run()).chain(fog::runs());
    whole.chain(parts.map(|viewer| (viewer.file, Arc::clone(viewer.replica.world().schema())))).collect()
}

/// The state of the worked example at a tick that the replica of the run has been at.
pub(crate) fn duel_at(tick: u64) -> World {
    let mut replica = Replica::empty(worlds::duel());
    for entry in duel().file.entries {
        replica.apply(&entry.bytes);
        if replica.position().tick == Tick(tick) {
            return replica.into_world();
        }
    }
    panic!("the run is never at tick {tick}")
}

/// The worked example of docs/wire.md.
pub(crate) fn duel() -> Script {
    let about = "The worked example of docs/wire.md: a snapshot at tick 7, diffs, a prior after tick 16,\n\
                 a diff that is coded with it; then the client falls behind at tick 17 and is led to\n\
                 tick 24 again. The schema is in duel.schema.json. Apply in order to an empty replica.";
    let mut script = Script::new("duel.hex", about, worlds::duel(), position(2, 0x1122_3344_5566_7788, 5));
    let zoe = script.spawn(0, 0, &[("player", 1), ("seq", 40), ("x", 115), ("aim", 250), ("hp", 100)]);
    let bo = script.spawn(0, 1, &[("player", 2), ("seq", 6), ("x", -300), ("hp", 100)]);
    script.text(zoe, "name", "Zoë");
    script.text(bo, "name", "Bo");
    let ball = script.spawn(1, 0, &[("x", 982), ("spin", 11)]);
    script.next(false);
    script.set(zoe, &[("seq", 41), ("x", 120)]);
    script.set(bo, &[("seq", 7)]);
    script.set(ball, &[("x", 990), ("spin", 14)]);
    script.next(false);
    let snapshot = script.snapshot();
    script.deliver("duel_snapshot", "the whole state at tick 7", snapshot);
    script.set(zoe, &[("seq", 42), ("x", 125)]);
    script.set(bo, &[("seq", 8)]);
    script.set(ball, &[("x", 998), ("spin", 1)]);
    script.tick("duel_tick_8", "everything goes on as it went: nothing is mentioned", true);
    script.set(zoe, &[("seq", 43), ("x", 127), ("aim", 4)]);
    script.set(bo, &[("hp", 75)]);
    script.set(ball, &[("x", 1000), ("spin", 4)]);
    script.tick(
        "duel_tick_9",
        "a slower step, a turn over zero, a hit, a player without input; the ball is stopped",
        false,
    );
    script.set(zoe, &[("seq", 44), ("x", 129)]);
    script.text(bo, "name", "Bob");
    script.owner.despawn(ball);
    let ball = script.spawn(1, 1, &[("x", 129)]);
    script.tick("duel_tick_10", "a text changes, one ball goes, another is born", true);
    walk(&mut script, zoe, bo, ball);
    script
}

/// Zoë walks on, the ball flies, Bo's inputs come again; then the connection of the client gets slow.
fn walk(script: &mut Script, zoe: EntityId, bo: EntityId, ball: EntityId) {
    let go_on = |script: &mut Script| {
        let past = script.position.tick.0 as i32 - 10;
        script.set(zoe, &[("seq", 45 + past), ("x", 131 + 2 * past)]);
        script.set(bo, &[("seq", 9 + past)]);
        script.set(ball, &[("x", 136 + 7 * past), ("spin", (1 + past) & 15)]);
    };
    for tick in 11..=DUEL_PRIOR_TICK {
        go_on(script);
        let comment = match tick {
            11 => "Bo's inputs come again, the new ball begins to fly and to spin",
            12 => "the ball and Bo's inputs go on, which was not expected yet",
            _ => "everything goes on: nothing is mentioned",
        };
        script.tick(&format!("duel_tick_{tick}"), comment, tick == 16);
    }
    script.publish("duel_prior_1", "a prior for the diffs after tick 16");
    go_on(script);
    script.set(bo, &[("hp", 74)]);
    script.tick("duel_tick_17", "Bo is hit; the first diff that is coded with the prior", false);
    for tick in 18..=21 {
        go_on(script);
        script.text(zoe, "name", if tick < 20 { "Zoë" } else { "Zoe" });
        script.set(bo, &[("aim", 3 * (tick - 17)), ("hp", 74 - (tick - 17))]);
        script.next(false);
    }
    script.leap("duel_catch_up_21", "from tick 17 to tick 21 in one; after it no step is known", true);
    go_on(script);
    script.next(false);
    script.leap("duel_catch_up_22", "one tick; one step is known", false);
    go_on(script);
    script.set(bo, &[("hp", 69)]);
    script.next(false);
    script.leap("duel_catch_up_23", "one tick; two steps are known, enough for diffs", false);
    go_on(script);
    script.tick("duel_tick_24", "the diff that everybody gets", true);
}

/// A client that falls behind, and what it must not take.
fn slow() -> Script {
    let about = "A client that is led on by catch-ups, with births, ends, another prior and another owner in\n\
                 between, and frames that lead nowhere. The schema is in duel.schema.json. Apply in order.";
    let mut script = Script::new("slow.hex", about, worlds::duel(), position(7, 99, 999));
    let player = script.spawn(0, 3, &[("player", 4), ("x", -990), ("hp", 9)]);
    let balls: Vec<EntityId> =
        (0..6).map(|index| script.spawn(1, index, &[("x", 100 * i32::from(index))])).collect();
    script.next(false);
    let step = |script: &mut Script, by: i32| {
        let seq = script.owner.get(player, 1);
        script.set(player, &[("seq", seq + 1), ("aim", (50 * by) & 255)]);
        for ball in &balls[..4] {
            let (x, spin) = (script.owner.get(*ball, 0), script.owner.get(*ball, 1));
            script.set(*ball, &[("x", x + by), ("spin", (spin + by) & 15)]);
        }
    };
    step(&mut script, 9);
    script.next(false);
    let first = script.catch_up(false);
    script.deliver("slow_too_early", "a catch-up while waiting for a snapshot", first);
    let snapshot = script.snapshot();
    script.deliver("slow_snapshot", "the state at tick 1001", snapshot);
    for by in 0..3 {
        step(&mut script, 9 + by);
        script.next(false);
    }
    script.leap("slow_known_2", "three ticks with two steps known: linear fields go on at their mean", false);
    let again = script.file.entries.last().expect("a frame").bytes.clone();
    script.deliver("slow_again", "the same frame again", again);
    step(&mut script, 12);
    let diff = script.next(false);
    script.deliver("slow_cold", "a diff when no step is known", diff);
    let snapshot = script.snapshot();
    script.deliver("slow_cure", "the snapshot", snapshot);
    births(&mut script, player, step);
    script
}

/// Ticks that change nothing are not sent; the next that is says so.
fn quiet() -> Script {
    let about = "Ticks in which nothing changes, told by the diff behind them, and what does not lead on. The schema\n\
                 is in duel.schema.json. Apply in order.";
    let mut script = Script::new("quiet.hex", about, worlds::duel(), position(7, 99, 65_529));
    let player = script.spawn(0, 3, &[("player", 4), ("x", -990), ("hp", 9)]);
    script.spawn(1, 0, &[("x", 100)]);
    script.next(false);
    let snapshot = script.snapshot();
    script.deliver("quiet_snapshot", "the state at tick 65530", snapshot);
    script.set(player, &[("x", -980)]);
    script.tick("quiet_moves", "the player moves", false);
    script.tick("quiet_stops", "and stands", false);
    for name in ["quiet_still_1", "quiet_still_2"] {
        script.tick(name, "nothing changes", false);
    }
    let behind = |script: &mut Script, quiet: u32| {
        (0..quiet).for_each(|_| drop(script.next(false)));
        let x = script.owner.get(player, 2);
        script.set(player, &[("x", x + 10)]);
        let diff = script.next(false);
        (frame::after_quiet(&diff, script.owner.hash()).expect("a diff"), diff)
    };
    let (after, _) = behind(&mut script, 4);
    script.deliver("quiet_over", "tick 65539: the four before it were quiet", after.clone());
    script.deliver("quiet_again", "the same frame again", after);
    let (after, _) = behind(&mut script, 0);
    script.deliver("quiet_none", "the very next tick, in a frame that may lie behind quiet ones", after);
    let (after, plain) = behind(&mut script, 6);
    script.deliver("quiet_not_told", "the same, but the frame does not say that ticks lie before it", plain);
    script.deliver("quiet_waiting", "too late: it waits for a snapshot", after);
    let snapshot = script.snapshot();
    script.deliver("quiet_cure", "the snapshot", snapshot);
    script.next(false);
    script.set(player, &[("hp", 8)]);
    let (lie, _) = behind(&mut script, 4);
    script.deliver("quiet_lie", "said to lie behind quiet ticks, but in one of them something changed", lie);
    script
}

fn births(script: &mut Script, player: EntityId, step: impl Fn(&mut Script, i32)) {
    step(script, -20);
    script.next(false);
    script.owner.despawn(EntityId { kind: 1, index: 5 });
    script.spawn(1, 300, &[("x", -1000), ("spin", 15)]);
    script.text(player, "name", "née");
    script.next(false);
    let other = script.spawn(0, 0, &[("player", 5), ("x", 1), ("aim", 200)]);
    script.text(other, "name", "twelve bytes");
    script.owner.despawn(EntityId { kind: 1, index: 4 });
    script.next(false);
    script.leap("slow_births", "three ticks in which entities went and were born", true);
    step(script, 5);
    script.next(false);
    script.leap("slow_one_step", "one tick: one step is known", false);
    script.publish("slow_prior", "a prior for the diffs to come; this replica needs it too");
    step(script, 5);
    step(script, -10);
    script.next(false);
    step(script, -10);
    script.next(false);
    script.leap("slow_known_1", "two ticks with one step known; then none is", false);
    script.position.fence = position(8, 100, 0).fence;
    script.deliver("slow_owner", "another owner goes on from here", frame::owner(script.position));
    for name in ["slow_first", "slow_second"] {
        step(script, 3);
        script.next(false);
        script.leap(name, "one tick, of the new owner", false);
    }
    step(script, 3);
    script.tick("slow_in_step", "a diff, with the prior that came in between", true);
    let late = script.new_prior("slow_late_prior");
    step(script, 3);
    let other = script.next(true);
    script.deliver("slow_other_prior", "a diff that is coded with a prior which the replica lacks", other);
    let snapshot = script.snapshot();
    script.deliver("slow_cure_prior", "the snapshot brings the prior", snapshot);
    script.deliver("slow_late_prior", "the prior, of a tick that is over: nothing", late);
    for _ in 0..255 {
        step(script, 1);
        script.next(false);
    }
    let mut short = script.catch_up(true);
    short[4] -= 1;
    script.deliver("slow_span", "a catch-up whose span is not what lies between", short);
    let snapshot = script.snapshot();
    script.deliver("slow_cure_span", "the snapshot", snapshot);
    for _ in 0..255 {
        step(script, 1);
        script.next(false);
    }
    script.leap("slow_longest", "the longest span", true);
    step(script, 1);
    script.next(true);
    let mut lie = script.catch_up(true);
    lie[5] ^= 1;
    script.deliver("slow_desync", "a catch-up with a hash that the state does not have", lie);
}

fn extremes() -> Script {
    let about = "Values at their bounds, low bits of the tick that wrap, another owner, repeats and gaps.\n\
                 The schema is in extremes.schema.json. Apply the frames in order to an empty replica.";
    let mut script = Script::new("extremes.hex", about, worlds::extremes(), position(u64::MAX, 5, 65_533));
    let early = script.next(false);
    script.deliver("ext_too_early", "a diff while waiting for a snapshot", early);
    let snapshot = script.snapshot();
    script.deliver("ext_empty", "an empty state at tick 65534", snapshot);
    script.spawn(0, 0, &[]);
    let far =
        script.spawn(0, 300, &[("x", i32::MIN), ("aim", 63), ("turret", 65_535), ("hp", -100), ("side", 1)]);
    script.text(far, "label", "äöü€");
    script.text(far, "long", &"0123456789".repeat(26));
    script.spawn(0, 65_534, &[("x", i32::MAX), ("level", 9)]);
    script.spawn(1, 3, &[("player", i32::MAX), ("seq", i32::MAX)]);
    script.tick("ext_spawn", "births with defaults, at the bounds, with gaps between the indexes", true);
    script.set(
        far,
        &[("x", i32::MAX), ("aim", 31), ("turret", 32_767), ("hp", 100), ("level", 9), ("side", 0)],
    );
    script.text(far, "label", "");
    script.tick("ext_jump", "from bound to bound; low bits of the tick are 0", true);
    script.set(far, &[("x", i32::MIN), ("aim", 0), ("turret", 0), ("hp", 0), ("level", 3)]);
    script.text(far, "long", "x");
    script.tick("ext_jump_back", "against a prediction that stops at the bound", true);
    script.deliver("ext_unknown", "a frame of no known kind", vec![0x33]);
    let snapshot = script.snapshot();
    script.deliver("ext_steps", "a snapshot with the longest steps", snapshot);
    script.set(far, &[("x", i32::MAX), ("aim", 32), ("level", 9)]);
    script.next(false);
    script.leap("ext_leap", "one tick further, from bound to bound", true);
    let repeat = script.file.entries.last().expect("a frame").bytes.clone();
    script.deliver("ext_repeat", "the same frame again", repeat);
    script.set(far, &[("x", i32::MAX), ("aim", 1), ("level", 9)]);
    script.tick("ext_rest", "what was predicted to go on stands still at the bound", true);
    script.owner.despawn(EntityId { kind: 0, index: 0 });
    script.owner.despawn(EntityId { kind: 0, index: 65_534 });
    script.spawn(0, 1, &[]);
    script.tick("ext_despawn", "two go, one is born; no hash", false);
    ownership(&mut script);
    script
}

/// What follows when the match changes its owner, and the ways of losing track.
fn ownership(script: &mut Script) {
    let far = EntityId { kind: 0, index: 300 };
    let old = script.position.fence;
    script.position.fence = position(1, 0xfeed, 0).fence;
    script.deliver("ext_owner", "another owner goes on from here", frame::owner(script.position));
    script.set(far, &[("hp", 1)]);
    script.tick("ext_new_owner", "a diff with the new owner's tag", true);
    script.set(far, &[("hp", 2)]);
    let mut stray = script.next(true);
    stray[1] = old.tag();
    script.deliver("ext_old_tag", "a diff with the old owner's tag", stray);
    let waiting = script.next(true);
    script.deliver("ext_waiting", "a gap is closed by nothing but a snapshot", waiting);
    let snapshot = script.snapshot();
    script.deliver("ext_cure", "the snapshot", snapshot.clone());
    script.deliver("ext_known", "a snapshot of a tick that the replica has", snapshot);
    script.next(true);
    let late = script.next(true);
    script.deliver("ext_hole", "a tick is missing", late);
    let snapshot = script.snapshot();
    script.deliver("ext_cure_hole", "the snapshot", snapshot);
    let mut lie = script.next(true);
    lie[4] ^= 0x01;
    script.deliver("ext_desync", "a hash that the state does not have", lie);
    let snapshot = script.snapshot();
    script.deliver("ext_cure_desync", "the snapshot", snapshot);
    let ahead = Position { tick: Tick(script.position.tick.0 + 1), ..script.position };
    script.deliver(
        "ext_owner_ahead",
        "an owner that goes on from a tick which the replica lacks",
        frame::owner(ahead),
    );
}

pub(crate) fn wide() -> Script {
    let about = "A kind with 64 fields, and one with 40 entities, of which only those that move get a flag.\n\
                 The schema is in wide.schema.json. Apply the frames in order to an empty replica.";
    let mut script = Script::new("wide.hex", about, worlds::wide(), position(1, 1, 0));
    let panel = script.spawn(1, 0, &[("f1", 1)]);
    let tiles: Vec<EntityId> = (0..40).map(|n| script.spawn(2, 10 + 3 * n, &[("x", 5 * n as i32)])).collect();
    script.next(false);
    script.set(tiles[7], &[("x", 40)]);
    script.next(false);
    let snapshot = script.snapshot();
    script.deliver("wide_snapshot", "one panel and 40 tiles, of which one moves", snapshot);
    script.set(panel, &[("f63", 1)]);
    script.set(tiles[7], &[("x", 45)]);
    script.tick("wide_last_field", "the last field changes; the tile goes on", true);
    script.set(panel, &[("f0", 1), ("f1", 0), ("f63", 0)]);
    script.set(tiles[7], &[("x", 50)]);
    for (tile, x) in [(0, 1), (1, 4), (39, -5000)] {
        script.set(tiles[tile], &[("x", x)]);
    }
    script.text(tiles[20], "sign", "stop");
    script.tick("wide_woken", "three fields of 64; four tiles that lay still are mentioned", true);
    script.set(tiles[0], &[("x", 2)]);
    script.set(tiles[1], &[("x", 3), ("state", 9)]);
    script.set(tiles[7], &[("x", 50)]);
    script.owner.despawn(tiles[39]);
    script.owner.despawn(tiles[30]);
    script.spawn(2, 0, &[("x", 77)]);
    script.spawn(2, 11, &[("state", 5)]);
    script.tick(
        "wide_moving",
        "of those that move one goes, of those that lie still too; two are born",
        true,
    );
    script.publish("wide_prior", "a prior");
    script.set(tiles[0], &[("x", 3)]);
    script.set(tiles[1], &[("x", 3)]);
    (12..20).for_each(|tile| script.owner.despawn(tiles[tile]));
    script.tick("wide_fewer", "eight go: the kind is small from the next tick on", true);
    script.set(tiles[0], &[("x", 4)]);
    script.set(tiles[35], &[("state", 7)]);
    script.spawn(2, 1, &[]);
    script.tick("wide_small", "every one of 32 tiles has a flag; one is born", true);
    script.set(tiles[0], &[("x", 5)]);
    script.set(tiles[36], &[("state", 7)]);
    script.tick("wide_large", "of 33 only those that move have one", true);
    script
}
