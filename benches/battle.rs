//! A match of the demo game in full swing: everybody walks, turns, aims and fires, the same in every run.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tickcast_protocol::{InputSeq, MatchId, Nonce, PlayerId, ResumeToken, Tick, World};
use tickcast_server::backplane::store::Store;
use tickcast_server::backplane::{Claim, ClaimReply, Commit, MatchFields};
use tickcast_server::game::{GameType, Options};
use tickcast_server::games::Arena;
use tickcast_server::logic::channel::Upstream;
use tickcast_server::logic::resume::TokenDigest;
use tickcast_server::logic::simulation::{Counts, Simulation, Writing};
use tickcast_server::logic::stored;

/// Ring fields of the match: what a node chooses at 30 Hz and at less.
pub(crate) const RING: u64 = 64;
/// Ticks per second, where nothing else is said: the game's own choice.
const TICK_RATE: u32 = 30;
/// Ticks before anything is measured: bullets fly, and nobody stands where it began.
const WARM_UP_TICKS: u64 = 90;

/// The players' hands: one input each per tick.
pub struct Crew {
    rng: ChaCha8Rng,
    seq: u32,
    /// What each player does at the moment.
    held: Vec<[i32; 4]>,
    /// Part of the players who fire, percent.
    fire: u32,
}

impl Crew {
    pub(crate) fn new(players: u32, fire: u32) -> Crew {
        let held = vec![[0, 0, 0, 1]; players as usize];
        Crew { rng: ChaCha8Rng::seed_from_u64(4711), seq: 0, held, fire }
    }

    /// The next tick's inputs. One player in sixteen walks another way, and fires from then on or not; everybody aims anew.
    pub fn inputs(&mut self) -> Vec<Upstream> {
        self.seq += 1;
        let seq = InputSeq(self.seq);
        let mut inputs = Vec::with_capacity(self.held.len());
        for (index, values) in self.held.iter_mut().enumerate() {
            if self.seq == 1 || self.rng.random_ratio(1, 16) {
                values[0] = self.rng.random_range(-127..=127);
                values[1] = self.rng.random_range(-127..=127);
                // Where all fire nothing is left to chance: benches that have no such part go on as they were.
                values[3] = i32::from(self.fire >= 100 || self.rng.random_ratio(self.fire, 100));
            }
            values[2] = (values[2] + self.rng.random_range(-8..=8)) & 1023;
            let player = PlayerId(index as u32 + 1);
            inputs.push(Upstream::Input { player, seq, seen: Tick(0), behind: 0, values: values[..].into() });
        }
        inputs
    }
}

/// The fields of a new match as its first owner gets them.
///
/// # Panics
/// Never: a store that is empty lets the first have it.
pub fn claimed(fields: MatchFields) -> MatchFields {
    let id: MatchId = "battle".parse().expect("a valid id");
    let mut store = Store::default();
    assert!(store.create(&id, fields), "the store is empty");
    let claim = Claim {
        node: "bench".parse().expect("a valid id"),
        nonce: Nonce(7),
        unanswered: Vec::new(),
        lease: Duration::from_secs(3600),
        crashes_max: u32::MAX,
    };
    match store.claim(&id, &claim, 0) {
        ClaimReply::Claimed { fields, .. } => fields,
        other => panic!("not claimed: {other:?}"),
    }
}

/// The owner's side of the match.
pub struct Battle {
    simulation: Simulation,
}

impl Battle {
    /// The fields of such a match before it is created.
    ///
    /// # Panics
    /// When the game does not take this many players or drones.
    pub fn fields(players: u32, drones: u32) -> MatchFields {
        Battle::fields_at(players, drones, TICK_RATE)
    }

    /// The fields of such a match that has so many ticks per second.
    ///
    /// # Panics
    /// When the game does not take this many players or drones, or this tick rate.
    pub fn fields_at(players: u32, drones: u32, tick_rate: u32) -> MatchFields {
        // No round ends and nobody wins while something is measured.
        let options = [
            ("players_max", players),
            ("drones", drones),
            ("tick_rate", tick_rate),
            ("round_seconds", 3600),
            ("score_limit", 10_000),
        ];
        let options: Options = options.map(|(name, value)| (name.to_owned(), i64::from(value))).into();
        let info = Arena.info(&options).expect("the options are the game's");
        stored::new_match(&info, &options, 42, 0, RING)
    }

    /// Goes on from a new match that was claimed; everybody has joined and played for a while. Every tick so
    /// far goes to `written`, in order.
    ///
    /// # Panics
    /// When the fields are not those of [`Battle::fields`] after a claim.
    pub fn begin(
        claimed: &MatchFields,
        players: u32,
        snapshot_every: u64,
        written: impl FnMut(Commit),
    ) -> (Battle, Crew) {
        let mut crew = Crew::new(players, 100);
        (Battle::begin_with(claimed, players, snapshot_every, &mut || crew.inputs(), written), crew)
    }

    /// As [`Battle::begin`], with other hands.
    ///
    /// # Panics
    /// As [`Battle::begin`].
    pub fn begin_with(
        claimed: &MatchFields,
        players: u32,
        snapshot_every: u64,
        inputs: &mut dyn FnMut() -> Vec<Upstream>,
        mut written: impl FnMut(Commit),
    ) -> Battle {
        let restored = stored::restore(claimed).expect("a new match is readable");
        let writing = Writing {
            snapshot_every,
            hash_every: 16,
            lease: Duration::from_millis(1500),
            resume_window: Duration::from_secs(10),
            rewind: Duration::from_millis(250),
            rests: false,
        };
        let game = Arena.create(&restored.stored.options);
        let simulation = Simulation::new(game, restored, writing);
        let mut battle = Battle { simulation };
        for player in 1..=players {
            let name = format!("player {player}");
            battle.simulation.handle_upstream(Upstream::Join {
                player: PlayerId(player),
                name,
                token: TokenDigest::of(&ResumeToken::default()),
                subject: None,
            });
        }
        written(battle.tick(Vec::new()));
        for _ in 0..WARM_UP_TICKS {
            written(battle.tick(inputs()));
        }
        assert_eq!(battle.simulation.players(), players as usize, "everybody plays");
        battle
    }

    /// One tick: takes the inputs in and makes what is to be committed.
    pub fn tick(&mut self, inputs: Vec<Upstream>) -> Commit {
        for input in inputs {
            self.simulation.handle_upstream(input);
        }
        self.simulation.handle_tick(0).commit
    }

    /// What was applied and what was not.
    pub fn counts(&self) -> Counts {
        self.simulation.counts()
    }

    /// The state after the last tick.
    pub fn world(&self) -> &World {
        self.simulation.world()
    }

    /// Entities in the state.
    pub fn entities(&self) -> usize {
        self.simulation.world().len()
    }
}
