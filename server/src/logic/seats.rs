//! The players of an owned match and their waiting inputs: which input is applied when.
//!
//! An input is applied at most once, in the order of its number. Each tick grants a player one input; what is
//! not used is saved up to a bound, so a client whose inputs arrive in pairs loses nothing and a client that
//! sends twice as many gains nothing.

use std::collections::{BTreeMap, VecDeque};

use tickcast_protocol::limits::INPUT_SEQ_AHEAD_MAX;
use tickcast_protocol::{EntityId, InputSeq, PlayerId, Tick, World};

/// Inputs that wait per player; the oldest gives way.
pub const INPUTS_QUEUED_MAX: usize = 8;
/// Inputs a player may save up.
const CREDITS_MAX: u32 = 4;
/// Inputs of one player that one tick applies at most.
const INPUTS_PER_TICK_MAX: usize = 2;
/// Ticks without a sign of life from a player's relay, after which the player is taken for gone: in seconds.
const ABSENT_SECONDS_MAX: u64 = 10;

/// An input that waits for its tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub seq: InputSeq,
    /// The last tick the client had applied.
    pub seen: Tick,
    /// The values.
    pub values: Vec<i32>,
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It waits for its tick.
    Queued,
    /// It waits for its tick; an older one gave way.
    Displaced,
    /// Its number was there before.
    Repeated,
    /// Its number is too far ahead.
    Ahead,
    /// Nobody of that id plays here.
    Unknown,
}

#[derive(Debug)]
struct Seat {
    entity: EntityId,
    newest: InputSeq,
    credits: u32,
    waiting: VecDeque<Waiting>,
    heard_tick: Tick,
}

/// Who plays, and what waits.
#[derive(Debug, Default)]
pub struct Seats {
    seats: BTreeMap<PlayerId, Seat>,
}

impl Seats {
    /// The seats that a world's player entities tell of.
    pub fn of(world: &World, tick: Tick) -> Seats {
        let mut seats = Seats::default();
        let schema = world.schema();
        for entity in world.ids(schema.player_kind()) {
            let player = PlayerId(world.get(entity, schema.player_field()) as u32);
            let newest = InputSeq(world.get(entity, schema.seq_field()) as u32);
            seats.seat(player, entity, newest, tick);
        }
        seats
    }

    /// Gives a player a seat.
    pub fn seat(&mut self, player: PlayerId, entity: EntityId, newest: InputSeq, tick: Tick) {
        let seat = Seat { entity, newest, credits: 1, waiting: VecDeque::new(), heard_tick: tick };
        self.seats.insert(player, seat);
    }

    /// Takes a player's seat away and returns the player's entity.
    pub fn leave(&mut self, player: PlayerId) -> Option<EntityId> {
        self.seats.remove(&player).map(|seat| seat.entity)
    }

    /// Whether the player has a seat.
    pub fn contains(&self, player: PlayerId) -> bool {
        self.seats.contains_key(&player)
    }

    /// Players that have a seat.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether nobody plays.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The player's relay says that the player is connected.
    pub fn handle_presence(&mut self, player: PlayerId, tick: Tick) {
        if let Some(seat) = self.seats.get_mut(&player) {
            seat.heard_tick = tick;
        }
    }

    /// Players whose relay has been silent for too long.
    pub fn absent(&self, tick: Tick, hz: u8) -> Vec<PlayerId> {
        let bound = ABSENT_SECONDS_MAX * u64::from(hz);
        let gone = |seat: &Seat| tick.0.saturating_sub(seat.heard_tick.0) > bound;
        self.seats.iter().filter(|(_, seat)| gone(seat)).map(|(player, _)| *player).collect()
    }

    /// Takes an input in.
    pub fn handle_input(&mut self, player: PlayerId, input: Waiting, tick: Tick) -> Admission {
        let Some(seat) = self.seats.get_mut(&player) else { return Admission::Unknown };
        seat.heard_tick = tick;
        if input.seq <= seat.newest {
            return Admission::Repeated;
        }
        if input.seq.0 - seat.newest.0 > INPUT_SEQ_AHEAD_MAX || input.seq.0 > i32::MAX as u32 {
            return Admission::Ahead;
        }
        seat.newest = input.seq;
        seat.waiting.push_back(input);
        if seat.waiting.len() > INPUTS_QUEUED_MAX {
            seat.waiting.pop_front();
            return Admission::Displaced;
        }
        Admission::Queued
    }

    /// The inputs of this tick, by player, each player's in order; with the player's entity.
    pub fn take_inputs(&mut self) -> Vec<(PlayerId, EntityId, Waiting)> {
        let mut taken = Vec::new();
        for (player, seat) in &mut self.seats {
            for _ in 0..INPUTS_PER_TICK_MAX.min(seat.credits as usize) {
                let Some(input) = seat.waiting.pop_front() else { break };
                seat.credits -= 1;
                taken.push((*player, seat.entity, input));
            }
            seat.credits = (seat.credits + 1).min(CREDITS_MAX);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: PlayerId = PlayerId(7);

    fn seats() -> Seats {
        let mut seats = Seats::default();
        seats.seat(ME, EntityId { kind: 0, index: 0 }, InputSeq(0), Tick(1));
        seats
    }

    fn send(seats: &mut Seats, seq: u32) -> Admission {
        let input = Waiting { seq: InputSeq(seq), seen: Tick(0), values: vec![] };
        seats.handle_input(ME, input, Tick(1))
    }

    fn taken(seats: &mut Seats) -> Vec<u32> {
        seats.take_inputs().into_iter().map(|(_, _, input)| input.seq.0).collect()
    }

    #[test]
    fn each_input_once_and_in_order() {
        let mut seats = seats();
        assert_eq!(send(&mut seats, 1), Admission::Queued);
        assert_eq!(send(&mut seats, 1), Admission::Repeated);
        assert_eq!(taken(&mut seats), [1]);
        assert_eq!(send(&mut seats, 1), Admission::Repeated);
        assert_eq!(send(&mut seats, 3), Admission::Queued);
        assert_eq!(send(&mut seats, 2), Admission::Repeated, "behind the newest");
        assert_eq!(send(&mut seats, u32::MAX), Admission::Ahead);
        assert_eq!(send(&mut seats, 4), Admission::Queued, "a jump does not lock the player out");
    }

    #[test]
    fn a_pair_after_a_pause_is_caught_up_but_twice_the_rate_gains_nothing() {
        let mut seats = seats();
        taken(&mut seats);
        send(&mut seats, 1);
        send(&mut seats, 2);
        assert_eq!(taken(&mut seats), [1, 2]);
        let mut applied = 0;
        let mut seq = 2;
        for _ in 0..100 {
            for _ in 0..2 {
                seq += 1;
                send(&mut seats, seq);
            }
            applied += taken(&mut seats).len();
        }
        assert!(applied <= 100 + CREDITS_MAX as usize, "{applied}");
    }

    #[test]
    fn silence_of_the_relay_makes_a_player_absent() {
        let mut seats = seats();
        assert_eq!(seats.absent(Tick(301), 30), []);
        assert_eq!(seats.absent(Tick(302), 30), [ME]);
        seats.handle_presence(ME, Tick(302));
        assert_eq!(seats.absent(Tick(302), 30), []);
    }
}
