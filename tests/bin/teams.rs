//! A server with a game that does nothing but put its players into teams: the first who comes into none, the others by
//! turns into 1 and 2.

use std::process::ExitCode;

use tickcast_protocol::{EntityId, Field, InputField, Kind, PlayerId, Schema, TickRate, World};
use tickcast_server::game::{
    BadOptions, Game, GameInfo, GameType, Games, Options, Step, TickRng, Visibility,
};

const PLAYER: u8 = 0;
const NAME: usize = 2;
const TEAM: usize = 3;

fn main() -> ExitCode {
    tickcast_server::run(Games::new().with(Teams))
}

struct Teams;

impl GameType for Teams {
    fn info(&self, _: &Options) -> Result<GameInfo, BadOptions> {
        let player = [
            Field::int(Schema::PLAYER_FIELD, 0, i32::MAX),
            Field::linear(Schema::SEQ_FIELD, 0, i32::MAX),
            Field::text(Schema::NAME_FIELD, 24),
            Field::int(Schema::TEAM_FIELD, 0, 2),
        ];
        let kinds = [Kind::new("player", player)];
        let schema = Schema::new("teams", "player", kinds, [InputField::new("nothing", 0, 0)]);
        let tick_rate = TickRate::try_from(30u64).expect("30 is a tick rate");
        let schema = schema.expect("the schema above is sound");
        Ok(GameInfo { schema, tick_rate, players_max: 16, visibility: Visibility::Everything })
    }

    fn create(&self, _: &Options) -> Box<dyn Game> {
        Box::new(Rules)
    }
}

struct Rules;

impl Game for Rules {
    fn start(&mut self, _: &mut TickRng, _: &mut World) {}

    fn join(&mut self, _: PlayerId, name: &str, _: &mut TickRng, world: &mut World) -> Option<EntityId> {
        let there = world.count(PLAYER) as i32;
        let player = world.spawn(PLAYER).ok()?;
        world.set_text(player, NAME, name);
        world.set(player, TEAM, if there == 0 { 0 } else { (there - 1) % 2 + 1 });
        Some(player)
    }

    fn step(&mut self, _: Step<'_>) {}
}
