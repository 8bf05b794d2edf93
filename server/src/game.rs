//! What a game is to the server: a type that changes a [`World`] once per tick.
//!
//! Rules for a game: everything that must survive the death of a node lives in the world; what the game
//! keeps beside it can be rebuilt by [`Game::restore`]. A step uses no clock, no thread and no generator
//! but the one it is given, so that any node would compute the same tick.

mod grid;
mod past;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use thiserror::Error;
use tickcast_protocol::{EntityId, PlayerId, Schema, SegmentId, Tick, TickRate, World};

pub use grid::Grid;
pub use past::{Moment, Past, Remembered, View};

/// The per-tick generator: seeded by (match seed, tick), so there is no generator to save.
pub type TickRng = ChaCha8Rng;

/// What a person may set per match: numbers by name, for example `{"pickups": 40}`.
pub type Options = BTreeMap<String, i64>;

/// Options that a game does not take. The text says which and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BadOptions(pub String);

/// Who sees what of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// Everybody sees everything: one diff for all. What fits most games.
    #[default]
    Everything,
    /// Everybody gets the segments that [`Game::view`] gives; the rest is too far away to matter. The codec learns from
    /// all of it. As long as a match is small the server keeps it whole and sends all of it to everybody: it does not ask
    /// for views, and where entities are put counts for nothing. So put each where it belongs in every step.
    Regions,
    /// As [`Visibility::Regions`], and what somebody does not get is a secret: hands, fog, plans. The codec learns from
    /// segment 0 only, for what it learned goes to everybody. What still tells of secrets: docs/visibility.md.
    Secrets,
}

impl Visibility {
    /// Every one there is.
    pub const ALL: [Visibility; 3] = [Visibility::Everything, Visibility::Regions, Visibility::Secrets];

    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Visibility::Everything => "everything",
            Visibility::Regions => "regions",
            Visibility::Secrets => "secrets",
        }
    }
}

/// Whose view is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Viewer {
    /// All who look on and are no players.
    Spectators,
    /// A player, who has an entity.
    Player(PlayerId),
}

impl fmt::Display for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Viewer::Spectators => f.write_str("spectators"),
            Viewer::Player(player) => player.fmt(f),
        }
    }
}

/// A question: which segments does somebody get?
#[derive(Debug, Clone, Copy)]
pub struct Looking<'a> {
    /// Who.
    pub viewer: Viewer,
    /// Of a player the entity.
    pub entity: Option<EntityId>,
    /// What it got in the last tick, ascending; nothing before the first answer. For a border that is not crossed again
    /// and again by who walks along it.
    pub before: &'a [SegmentId],
    /// The state after this tick's step.
    pub world: &'a World,
}

/// What never changes about a game's matches once they are created.
#[derive(Debug, Clone)]
pub struct GameInfo {
    /// Kinds, fields and inputs.
    pub schema: Arc<Schema>,
    /// Ticks per second unless the match is created with another rate.
    pub tick_rate: TickRate,
    /// Players a match takes.
    pub players_max: u32,
    /// Who sees what.
    pub visibility: Visibility,
}

/// One input of a player. A tick brings a player none, one, or two (after a pause), in the order made.
#[derive(Debug, Clone, Copy)]
pub struct PlayerInput<'a> {
    /// Whose it is.
    pub player: PlayerId,
    /// What the player was shown when it made the input, by its own account.
    pub view: View,
    /// One value for each input field of the schema, within its bounds.
    pub values: &'a [i32],
}

/// What happens in one tick. Inputs come by ascending player id; each player's inputs in the order in which
/// they were made. A player without an input in this tick is not in the list.
pub struct Step<'a> {
    /// The tick that this step leads to.
    pub tick: Tick,
    /// The inputs to apply.
    pub inputs: &'a [PlayerInput<'a>],
    /// What players were shown when they acted: of what [`Game::remembers`] asks for.
    ///
    /// ```
    /// # use tickcast_protocol::EntityId;
    /// # use tickcast_server::game::{PlayerInput, Step};
    /// # const X: usize = 3;
    /// /// Where the target stood on the screen of the player who fires.
    /// fn aimed_at(step: &Step<'_>, shot: &PlayerInput<'_>, target: EntityId) -> Option<i32> {
    ///     step.past.at(shot.view).get(target, X)
    /// }
    /// ```
    pub past: &'a Past,
    /// Randomness of this tick.
    pub rng: &'a mut TickRng,
    /// The state to change.
    pub world: &'a mut World,
}

/// The rules of one game; one value per running match.
pub trait Game: Send + 'static {
    /// Builds the very first state.
    fn start(&mut self, rng: &mut TickRng, world: &mut World);

    /// A player joins: spawn the player's entity and return it, or `None` to refuse (the match is full).
    /// The server fills in the fields `player` and `seq`. A text field `name` and an integer field `team` (0 is none),
    /// if the player kind has them, tell its chat who says something and who may read what is said to a team. Whether
    /// it is full is a matter of clients: a game that spawns players of its own gives them ids from
    /// [`PlayerId::OF_GAME`] on.
    fn join(
        &mut self,
        player: PlayerId,
        name: &str,
        rng: &mut TickRng,
        world: &mut World,
    ) -> Option<EntityId>;

    /// A player left for good. The server despawns the player's entity afterwards.
    fn leave(&mut self, _player: PlayerId, _world: &mut World) {}

    /// The kinds and fields whose last second [`Step::past`] is to tell. Of a game that asks for nothing, nothing is
    /// kept. It is no part of the state: another node that takes the match over knows it as far as the store's ring
    /// reaches back, and tells of earlier moments what it knows first.
    fn remembers(&self) -> Vec<Remembered> {
        Vec::new()
    }

    /// One tick.
    fn step(&mut self, step: Step<'_>);

    /// The next tick that may change something in this state, which the step of `tick` led to, although nobody says anything. Where
    /// it is not the very next one, and three ticks have changed nothing, the server makes those before it late and together,
    /// within half a second: that is for matches in which players stand still by the thousand. Whatever happens in an
    /// earlier tick happens all the same, and is seen late. Unless it is told it is the very next tick; `Tick(u64::MAX)` where nothing
    /// ever happens by itself.
    fn rests_until(&self, tick: Tick, _world: &World) -> Tick {
        tick.next()
    }

    /// Which segments somebody gets from this tick on, in any order; asked after each step for everybody, of a game that
    /// has not [`Visibility::Everything`]. What the game puts where is [`World::place`]'s matter. The server remembers the
    /// answer in the match's state. A player's own entity has to be in the player's view: a client is in the match as
    /// soon as it sees it.
    fn view(&self, _looking: Looking<'_>) -> Vec<SegmentId> {
        vec![SegmentId::EVERYONE]
    }

    /// Rebuilds what the game keeps beside the world, after another node's world was loaded.
    fn restore(&mut self, _world: &World) {}
}

/// A game that a server can host: its name, and how a match of it is made.
pub trait GameType: Send + Sync + 'static {
    /// What a match with these options is like; refuses options that make no sense.
    fn info(&self, options: &Options) -> Result<GameInfo, BadOptions>;

    /// The rules for one match, made with options that [`GameType::info`] accepted.
    fn create(&self, options: &Options) -> Box<dyn Game>;
}

/// The games of a server, by name. The first one added is the default of a quick play.
#[derive(Default, Clone)]
pub struct Games {
    types: BTreeMap<String, Arc<dyn GameType>>,
    default: String,
}

impl Games {
    /// No games yet.
    pub fn new() -> Games {
        Games::default()
    }

    /// Adds a game under the name that its schema has.
    ///
    /// # Panics
    /// When the game refuses its own default options.
    #[must_use]
    pub fn with(mut self, game: impl GameType) -> Games {
        let info = game.info(&Options::new()).expect("a game accepts empty options");
        let name = info.schema.game().to_owned();
        if self.types.is_empty() {
            self.default.clone_from(&name);
        }
        self.types.insert(name, Arc::new(game));
        self
    }

    /// The game of this name; the default one for an empty name.
    pub fn find(&self, name: &str) -> Option<(&str, &Arc<dyn GameType>)> {
        let name = if name.is_empty() { &self.default } else { name };
        self.types.get_key_value(name).map(|(name, game)| (name.as_str(), game))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }
}
