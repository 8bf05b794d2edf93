//! Tic-tac-toe, a whole game in one file: copy it, change the rules, and run it with
//! `cargo run -p tickcast-server --example tictactoe`. Two play; others watch and take a seat that gets free.

use tickcast_protocol::{EntityId, Field, InputField, Kind, PlayerId, Schema, Tick, TickRate, World};
use tickcast_server::game::{
    BadOptions, Game, GameInfo, GameType, Games, Options, Step, TickRng, Visibility,
};

// Numbers of the kinds and positions of their fields, as the schema below lists them.
const PLAYER: u8 = 0;
const PLAYER_ID: usize = 0;
const NAME: usize = 2;
const MARK: usize = 3;
const WINS: usize = 4;
const SQUARE: u8 = 1;
const HELD_BY: usize = 2;
const BOARD: u8 = 2;
const TURN: usize = 0;
const WINNER: usize = 1;
const PAUSE: usize = 2;

// Marks: nobody, X, O. As the winner of a game: not yet, X, O, and a draw.
const NOBODY: i32 = 0;
const X: i32 = 1;
const O: i32 = 2;
const DRAW: i32 = 3;
const PLAYERS_MAX: usize = 16;
const TICKS_PER_SECOND: u8 = 10;
const PAUSE_TICKS: i32 = 30;
const LINES: [[usize; 3]; 8] =
    [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];

fn main() -> std::process::ExitCode {
    tickcast_server::run(Games::new().with(TicTacToe))
}

/// The game: its name, what clients see of it, and how a match of it is made.
struct TicTacToe;

impl GameType for TicTacToe {
    fn info(&self, options: &Options) -> Result<GameInfo, BadOptions> {
        if let Some(name) = options.keys().next() {
            return Err(BadOptions(format!("tictactoe takes no options, so also no {name}")));
        }
        let player = [
            Field::int("player", 0, i32::MAX), // every game's player kind has these two;
            Field::linear("seq", 0, i32::MAX), // the server fills them in
            Field::text("name", 24),
            Field::int("mark", NOBODY, O),
            Field::int("wins", 0, i32::MAX),
        ];
        let square = [Field::int("column", 0, 2), Field::int("row", 0, 2), Field::int("held_by", NOBODY, O)];
        let pause = Field::linear("pause", 0, PAUSE_TICKS); // a countdown goes on as predicted
        let board = [Field::int("turn", X, O), Field::int("winner", NOBODY, DRAW), pause];
        let kinds = [Kind::new("player", player), Kind::new("square", square), Kind::new("board", board)];
        // Squares are numbered 1 to 9 from the upper left; 0 is no move.
        let input = [InputField::new("square", 0, 9)];
        Ok(GameInfo {
            schema: Schema::new("tictactoe", "player", kinds, input).expect("the schema above is sound"),
            tick_rate: TickRate::try_from(TICKS_PER_SECOND).expect("10 is a tick rate"),
            players_max: PLAYERS_MAX as u32,
            visibility: Visibility::Everything,
        })
    }

    fn create(&self, _: &Options) -> Box<dyn Game> {
        Box::new(Rules)
    }
}

/// The rules. They hold no state: all of it is in the world, so another node can go on at any tick.
struct Rules;

impl Game for Rules {
    fn start(&mut self, _: &mut TickRng, world: &mut World) {
        for number in 0..9 {
            let Ok(square) = world.spawn(SQUARE) else { return };
            world.set(square, 0, number % 3);
            world.set(square, 1, number / 3);
        }
        // A new entity's fields are 0 or the nearest value allowed: the turn is X's.
        let _ = world.spawn(BOARD);
    }

    fn join(&mut self, _: PlayerId, name: &str, _: &mut TickRng, world: &mut World) -> Option<EntityId> {
        if world.count(PLAYER) >= PLAYERS_MAX {
            return None;
        }
        let player = world.spawn(PLAYER).ok()?;
        world.set_text(player, NAME, name);
        Some(player)
    }

    /// Between two moves nothing happens by itself.
    fn rests_until(&self, _: Tick, _: &World) -> Tick {
        Tick(u64::MAX)
    }

    fn step(&mut self, step: Step<'_>) {
        let world = step.world;
        let Some(board) = world.ids(BOARD).next() else { return };
        seat_players(world);
        if world.get(board, WINNER) != NOBODY {
            world.add(board, PAUSE, -1);
            if world.get(board, PAUSE) == 0 {
                clear(world, board);
            }
            return;
        }
        for input in step.inputs {
            let player = world.ids(PLAYER).find(|id| world.get(*id, PLAYER_ID) as u32 == input.player.0);
            let number = usize::try_from(input.values[0] - 1).ok();
            let square = number.and_then(|number| world.ids(SQUARE).nth(number));
            if let (Some(player), Some(square)) = (player, square) {
                play(world, board, player, square);
            }
        }
    }
}

/// Gives a mark that nobody has to the first player without one.
fn seat_players(world: &mut World) {
    for mark in [X, O] {
        if !world.ids(PLAYER).any(|id| world.get(id, MARK) == mark) {
            let waiting = world.ids(PLAYER).find(|id| world.get(*id, MARK) == NOBODY);
            waiting.into_iter().for_each(|id| world.set(id, MARK, mark));
        }
    }
}

/// A player marks a square, if it is free and the player's turn; perhaps that ends the game.
fn play(world: &mut World, board: EntityId, player: EntityId, square: EntityId) {
    let mark = world.get(player, MARK);
    let over = world.get(board, WINNER) != NOBODY;
    if over || mark != world.get(board, TURN) || world.get(square, HELD_BY) != NOBODY {
        return;
    }
    world.set(square, HELD_BY, mark);
    world.set(board, TURN, X + O - mark);
    let held: Vec<i32> = world.ids(SQUARE).map(|id| world.get(id, HELD_BY)).collect();
    let won = LINES.iter().any(|line| line.iter().all(|at| held[*at] == mark));
    if won || !held.contains(&NOBODY) {
        world.set(board, WINNER, if won { mark } else { DRAW });
        world.set(board, PAUSE, PAUSE_TICKS);
        world.add(player, WINS, i32::from(won));
    }
}

/// Clears the board for the next game.
fn clear(world: &mut World, board: EntityId) {
    world.set(board, WINNER, NOBODY);
    let squares: Vec<EntityId> = world.ids(SQUARE).collect();
    squares.into_iter().for_each(|id| world.set(id, HELD_BY, NOBODY));
}
