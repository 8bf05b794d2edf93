//! A server with the demo game and one that panics: over an input of 9, and at the tick that a match's option
//! `panic_at` says. How often is in the environment, so that nodes of one cluster can differ: `FAULTY=once`,
//! `FAULTY=always`, or not at all.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use tickcast_protocol::{EntityId, Field, InputField, Kind, PlayerId, Schema, TickRate, World};
use tickcast_server::game::{
    BadOptions, Game, GameInfo, GameType, Games, Options, Step, TickRng, Visibility,
};
use tickcast_server::games::Arena;

/// The option that says when.
const PANIC_AT: &str = "panic_at";
/// The input that is too much.
const POISON: i32 = 9;
const WORD_MAX: i32 = 10;
const PLAYER: u8 = 0;
/// Position of the field that counts a player's inputs.
const INPUTS: usize = 2;

fn main() -> ExitCode {
    tickcast_server::run(Games::new().with(Arena).with(Faulty))
}

struct Faulty;

impl GameType for Faulty {
    fn info(&self, options: &Options) -> Result<GameInfo, BadOptions> {
        if let Some(name) = options.keys().find(|name| *name != PANIC_AT) {
            return Err(BadOptions(format!("faulty takes {PANIC_AT}, but no {name}")));
        }
        let player = [
            Field::int("player", 0, i32::MAX),
            Field::linear("seq", 0, i32::MAX),
            Field::linear("inputs", 0, i32::MAX),
        ];
        let input = [InputField::new("word", 0, WORD_MAX)];
        Ok(GameInfo {
            schema: Schema::new("faulty", "player", [Kind::new("player", player)], input)
                .expect("the schema above is sound"),
            tick_rate: TickRate::try_from(30u64).expect("30 is a tick rate"),
            players_max: 16,
            visibility: Visibility::Everything,
        })
    }

    fn create(&self, options: &Options) -> Box<dyn Game> {
        Box::new(Rules { panic_at: options.get(PANIC_AT).copied().unwrap_or(0) as u64 })
    }
}

struct Rules {
    panic_at: u64,
}

impl Game for Rules {
    fn start(&mut self, _: &mut TickRng, _: &mut World) {}

    fn join(&mut self, _: PlayerId, _: &str, _: &mut TickRng, world: &mut World) -> Option<EntityId> {
        world.spawn(PLAYER).ok()
    }

    fn step(&mut self, step: Step<'_>) {
        let Step { tick, inputs, world, .. } = step;
        for input in inputs {
            let is_ours = |id: &EntityId| world.get(*id, 0) as u32 == input.player.0;
            let player = world.ids(PLAYER).find(is_ours);
            if let Some(id) = player {
                world.set(id, INPUTS, world.get(id, INPUTS) + 1);
            }
            // The world is half changed when it happens: nothing of this step may be seen.
            fail_if(input.values == [POISON], "over an input");
        }
        fail_if(self.panic_at > 0 && tick.0 >= self.panic_at, "at a tick");
    }
}

fn fail_if(due: bool, when: &str) {
    static FAILED: AtomicBool = AtomicBool::new(false);
    let fails = || match std::env::var("FAULTY").as_deref() {
        Ok("always") => true,
        Ok("once") => !FAILED.swap(true, Ordering::SeqCst),
        _ => false,
    };
    assert!(!(due && fails()), "the game fails {when}, as it was told to");
}
