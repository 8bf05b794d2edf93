//! The players of an owned match and their waiting inputs: which input is applied when.
//!
//! An input is applied at most once, in the order of its number. Each tick grants a player one input; what is
//! not used is saved up to a bound, so a client whose inputs arrive in pairs loses nothing and a client that
//! sends twice as many gains nothing.

use std::collections::BTreeMap;
use std::hint::black_box;

use smallvec::SmallVec;
use tickcast_protocol::limits::INPUT_SEQ_AHEAD_MAX;
use tickcast_protocol::ticket::Subject;
use tickcast_protocol::{EntityId, InputSeq, InputValues, PlayerId, SessionId, Tick, World};

use crate::game::View;
use crate::logic::resume::{Holder, LAST_ATTEMPT, TokenDigest, displaces};

/// Inputs that wait per player; the oldest gives way.
pub const INPUTS_QUEUED_MAX: usize = 8;
/// Inputs a player may save up.
const CREDITS_MAX: u32 = 4;
/// Inputs of one player that one tick applies at most.
const INPUTS_PER_TICK_MAX: usize = 2;

/// An input that waits for its tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub seq: InputSeq,
    /// What the player was shown.
    pub view: View,
    /// The values.
    pub values: InputValues,
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
    /// Who the player is, and what it proves that with on another connection.
    holder: Option<Holder>,
    /// The newest connection that the player came back on, and which of its resumes made it.
    connection: Option<(u32, SessionId)>,
    /// The token before this one, if the account was given the seat anew.
    former: Option<TokenDigest>,
    /// The last input that was applied or given up: the next in order has one number more.
    done: InputSeq,
    credits: u32,
    /// In the order of their numbers. Those of a tick stand in the seat itself.
    waiting: SmallVec<[Waiting; INPUTS_PER_TICK_MAX]>,
    /// Since when the first input that waits is not the next in order.
    hole_since: Option<Tick>,
    heard_tick: Tick,
    depth: Depth,
    /// What the player's entity says of it.
    told: Option<usize>,
}

/// How many inputs waited when ticks took theirs, at least: of the last window and of this one so far. A least, and of
/// a while, because a client steers by its worst moments; and so it stays the same while nothing goes wrong.
#[derive(Debug, Clone, Copy)]
struct Depth {
    since: Tick,
    least: usize,
    before: usize,
}

/// Who plays, and what waits.
#[derive(Debug, Default)]
pub struct Seats {
    seats: BTreeMap<PlayerId, Seat>,
}

impl Seats {
    /// The seats that a world's player entities tell of, with what the store knows of who they are.
    pub fn of(world: &World, tick: Tick, holders: &BTreeMap<PlayerId, Holder>) -> Seats {
        let mut seats = Seats::default();
        let schema = world.schema();
        for entity in world.ids(schema.player_kind()) {
            let player = PlayerId(world.get(entity, schema.player_field()) as u32);
            if !player.is_of_client() {
                continue;
            }
            let done = InputSeq(world.get(entity, schema.seq_field()) as u32);
            seats.seat(player, entity, holders.get(&player).cloned(), tick);
            seats.seats.entry(player).and_modify(|seat| seat.done = done);
        }
        seats
    }

    /// Looks at what the inputs of a tick will need: of all seats at once it takes the memory hardly longer than of one.
    pub fn warm(&self) {
        for seat in self.seats.values() {
            black_box((seat.entity, seat.done, seat.waiting.last().map(|input| input.seq), seat.depth.least));
        }
    }

    /// Gives a player a seat; its first input has number 1.
    pub fn seat(&mut self, player: PlayerId, entity: EntityId, holder: Option<Holder>, tick: Tick) {
        let seat = Seat {
            entity,
            holder,
            connection: None,
            former: None,
            done: InputSeq(0),
            credits: 1,
            waiting: SmallVec::new(),
            hole_since: None,
            heard_tick: tick,
            depth: Depth { since: tick, least: usize::MAX, before: usize::MAX },
            told: None,
        };
        self.seats.insert(player, seat);
    }

    /// The player that this account is.
    pub fn of_account(&self, subject: &Subject) -> Option<PlayerId> {
        let of = |holder: &Holder| holder.subject.as_ref() == Some(subject);
        self.holders().find(|(_, holder)| of(holder)).map(|(player, _)| player)
    }

    /// The account that has this seat came with another ticket, and is given it anew, with another token: whoever has the one
    /// before has nothing any more. False where nothing changes: it is another's seat, or was given so before.
    pub fn give_anew(&mut self, player: PlayerId, holder: &Holder) -> bool {
        let Some(seat) = self.seats.get_mut(&player) else { return false };
        let Some(had) = &seat.holder else { return false };
        let is_theirs = holder.subject.is_some() && holder.subject == had.subject;
        if !is_theirs || holder.token == had.token || seat.former == Some(holder.token) {
            return false;
        }
        seat.former = Some(had.token);
        seat.holder = Some(holder.clone());
        seat.connection = None;
        seat.waiting.clear();
        true
    }

    /// Who a player is, as far as that is known.
    pub fn holder(&self, player: PlayerId) -> Option<&Holder> {
        self.seats.get(&player)?.holder.as_ref()
    }

    /// The players of whom is known who they are.
    pub fn holders(&self) -> impl Iterator<Item = (PlayerId, &Holder)> {
        self.seats.iter().filter_map(|(player, seat)| Some((*player, seat.holder.as_ref()?)))
    }

    /// Takes a player's seat away and returns the player's entity.
    pub fn leave(&mut self, player: PlayerId) -> Option<EntityId> {
        self.seats.remove(&player).map(|seat| seat.entity)
    }

    /// Whether the player has a seat.
    pub fn contains(&self, player: PlayerId) -> bool {
        self.seats.contains_key(&player)
    }

    /// The player's entity, if the player has a seat.
    pub fn entity(&self, player: PlayerId) -> Option<EntityId> {
        self.seats.get(&player).map(|seat| seat.entity)
    }

    /// The players and their entities.
    pub fn entities(&self) -> impl Iterator<Item = (PlayerId, EntityId)> {
        self.seats.iter().map(|(player, seat)| (*player, seat.entity))
    }

    /// The player is on this connection, which has shown the token. One that an earlier resume made is late, and so is one
    /// with the token of before the seat was given anew: it changes nothing.
    pub fn handle_resume(&mut self, player: PlayerId, session: SessionId, attempt: u32, token: TokenDigest) {
        if let Some(seat) = self.seats.get_mut(&player)
            && seat.holder.as_ref().is_none_or(|holder| holder.token == token)
            && seat.connection.is_none_or(|(newest, _)| displaces(attempt, newest))
        {
            seat.connection = Some((attempt, session));
        }
    }

    /// The newest connection that a player came back on, with which of its resumes made it: the first one of a seat that was
    /// given anew comes after all that were before.
    pub fn connection(&self, player: PlayerId) -> Option<(u32, SessionId)> {
        let seat = self.seats.get(&player)?;
        let (attempt, session) = seat.connection?;
        let is_first = attempt == 0 && seat.former.is_some();
        Some((if is_first { LAST_ATTEMPT } else { attempt }, session))
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

    /// Players of whom nothing was heard for more than so many ticks.
    pub fn absent(&self, tick: Tick, ticks_max: u64) -> Vec<PlayerId> {
        let gone = |seat: &Seat| tick.0.saturating_sub(seat.heard_tick.0) > ticks_max;
        self.seats.iter().filter(|(_, seat)| gone(seat)).map(|(player, _)| *player).collect()
    }

    /// Whether an input waits for its tick.
    pub fn is_waiting(&self) -> bool {
        self.seats.values().any(|seat| !seat.waiting.is_empty())
    }

    /// Takes an input in.
    pub fn handle_input(&mut self, player: PlayerId, input: Waiting, tick: Tick) -> Admission {
        let Some(seat) = self.seats.get_mut(&player) else { return Admission::Unknown };
        seat.heard_tick = tick;
        let place = seat.waiting.binary_search_by_key(&input.seq, |waiting| waiting.seq);
        let Some(place) = place.err().filter(|_| input.seq > seat.done) else { return Admission::Repeated };
        if input.seq.0 - seat.done.0 > INPUT_SEQ_AHEAD_MAX || input.seq.0 > i32::MAX as u32 {
            return Admission::Ahead;
        }
        seat.waiting.insert(place, input);
        if seat.waiting.len() > INPUTS_QUEUED_MAX {
            seat.done = seat.waiting.remove(0).seq;
            return Admission::Displaced;
        }
        Admission::Queued
    }

    /// For each player's entity, how many inputs waited when a tick took its own, the least of the last one or two
    /// windows of so many ticks; where that is another number than at the last tick. To be asked in every tick, before it
    /// takes them.
    pub fn input_buffers(&mut self, tick: Tick, window: u64) -> impl Iterator<Item = (EntityId, usize)> {
        self.seats.values_mut().filter_map(move |seat| {
            // Before its first input a player has no lead that could be judged.
            let is_silent = seat.waiting.is_empty() && seat.done == InputSeq(0);
            let depth = if is_silent { 0 } else { seat.depth.handle(seat.waiting.len(), tick, window) };
            (seat.told.replace(depth) != Some(depth)).then_some((seat.entity, depth))
        })
    }

    /// The inputs of this tick, by player, each player's in order; with the player's entity. An input whose
    /// predecessor is missing waits for it, at most so many ticks: an owner that has just taken the match over
    /// hears new inputs before those that are sent again.
    pub fn take_inputs(&mut self, tick: Tick, hole_ticks_max: u64) -> Vec<(PlayerId, EntityId, Waiting)> {
        let mut taken = Vec::with_capacity(self.seats.len());
        for (player, seat) in &mut self.seats {
            for _ in 0..INPUTS_PER_TICK_MAX.min(seat.credits as usize) {
                let Some(input) = seat.next_input(tick, hole_ticks_max) else { break };
                seat.credits -= 1;
                taken.push((*player, seat.entity, input));
            }
            seat.credits = (seat.credits + 1).min(CREDITS_MAX);
            seat.forget_rush();
        }
        taken
    }
}

impl Depth {
    fn handle(&mut self, waiting: usize, tick: Tick, window: u64) -> usize {
        if tick.0.saturating_sub(self.since.0) >= window {
            *self = Depth { since: tick, least: usize::MAX, before: self.least };
        }
        self.least = self.least.min(waiting);
        self.least.min(self.before)
    }
}

impl Seat {
    fn next_input(&mut self, tick: Tick, hole_ticks_max: u64) -> Option<Waiting> {
        let first = self.waiting.first()?.seq;
        if first.0 != self.done.0 + 1 {
            let since = *self.hole_since.get_or_insert(tick);
            if tick.0.saturating_sub(since.0) < hole_ticks_max {
                return None;
            }
        }
        self.hole_since = None;
        self.done = first;
        Some(self.waiting.remove(0))
    }

    /// Gives back the memory of many inputs that came at once, as they do at first and after a stall.
    fn forget_rush(&mut self) {
        if self.waiting.is_empty() && self.waiting.spilled() {
            self.waiting.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use tickcast_protocol::ResumeToken;

    use super::*;
    use crate::game::{GameType, Options};
    use crate::games::Arena;

    const ME: PlayerId = PlayerId(7);

    fn seats() -> Seats {
        let mut seats = Seats::default();
        seats.seat(ME, EntityId { kind: 0, index: 0 }, None, Tick(1));
        seats
    }

    fn send(seats: &mut Seats, seq: u32) -> Admission {
        let input = Waiting { seq: InputSeq(seq), view: View::default(), values: InputValues::default() };
        seats.handle_input(ME, input, Tick(1))
    }

    fn taken_at(seats: &mut Seats, tick: u64) -> Vec<u32> {
        seats.take_inputs(Tick(tick), 10).into_iter().map(|(_, _, input)| input.seq.0).collect()
    }

    fn taken(seats: &mut Seats) -> Vec<u32> {
        taken_at(seats, 2)
    }

    #[test]
    fn each_input_once_and_in_order() {
        let mut seats = seats();
        assert_eq!(send(&mut seats, 1), Admission::Queued);
        assert_eq!(send(&mut seats, 1), Admission::Repeated);
        assert_eq!(taken(&mut seats), [1]);
        assert_eq!(send(&mut seats, 1), Admission::Repeated);
        assert_eq!(send(&mut seats, u32::MAX), Admission::Ahead);
    }

    #[test]
    fn what_overtook_waits_for_what_it_overtook() {
        let mut seats = seats();
        send(&mut seats, 1);
        assert_eq!(taken(&mut seats), [1]);
        assert_eq!(send(&mut seats, 4), Admission::Queued);
        assert_eq!(taken_at(&mut seats, 3), [0; 0]);
        // Sent again, in order: all are applied, each once.
        for seq in [2, 3] {
            assert_eq!(send(&mut seats, seq), Admission::Queued);
        }
        assert_eq!(send(&mut seats, 4), Admission::Repeated);
        assert_eq!(taken_at(&mut seats, 4), [2, 3]);
        assert_eq!(taken_at(&mut seats, 5), [4]);
    }

    #[test]
    fn what_never_comes_is_not_waited_for_longer_than_a_moment() {
        let mut seats = seats();
        send(&mut seats, 5);
        assert_eq!(taken_at(&mut seats, 2), [0; 0]);
        assert_eq!(taken_at(&mut seats, 11), [0; 0]);
        assert_eq!(taken_at(&mut seats, 12), [5]);
        assert_eq!(send(&mut seats, 4), Admission::Repeated, "it came too late");
        assert_eq!(send(&mut seats, 6), Admission::Queued, "a jump does not lock the player out");
        assert_eq!(taken_at(&mut seats, 13), [6]);
    }

    #[test]
    fn the_oldest_of_too_many_gives_way_and_is_not_waited_for() {
        let mut seats = seats();
        for seq in 1..=INPUTS_QUEUED_MAX as u32 {
            assert_eq!(send(&mut seats, seq), Admission::Queued);
        }
        assert_eq!(send(&mut seats, 9), Admission::Displaced);
        assert_eq!(send(&mut seats, 1), Admission::Repeated);
        assert_eq!(taken(&mut seats), [2]);
    }

    #[test]
    fn many_inputs_at_once_are_no_memory_for_ever() {
        let mut seats = seats();
        (1..=INPUTS_QUEUED_MAX as u32).for_each(|seq| assert_eq!(send(&mut seats, seq), Admission::Queued));
        let applied: usize = (0..INPUTS_QUEUED_MAX).map(|_| taken(&mut seats).len()).sum();
        let kept = seats.seats[&ME].waiting.capacity();
        assert_eq!((applied, kept), (INPUTS_QUEUED_MAX, INPUTS_PER_TICK_MAX));
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
    fn an_earlier_resume_does_not_displace_a_later_one() {
        let (mut seats, token) = (seats(), TokenDigest::of(&ResumeToken([1; 16])));
        assert_eq!(seats.connection(ME), None);
        let told = [(10, 1, 10), (12, 3, 12), (11, 2, 12), (10, 1, 12), (13, 3, 13), (14, 0, 13)];
        for (session, attempt, newest) in told {
            seats.handle_resume(ME, SessionId(session), attempt, token);
            assert_eq!(seats.connection(ME).map(|(_, session)| session), Some(SessionId(newest)));
        }
        assert_eq!(seats.connection(PlayerId(8)), None);
    }

    #[test]
    fn a_player_of_the_games_own_has_no_seat() {
        let info = Arena.info(&Options::new()).unwrap();
        let mut world = World::new(info.schema);
        for player in [5, PlayerId::OF_GAME.0 - 1, PlayerId::OF_GAME.0, i32::MAX as u32] {
            let entity = world.spawn(world.schema().player_kind()).unwrap();
            world.set(entity, world.schema().player_field(), player as i32);
        }
        world.advance();
        let seats = Seats::of(&world, Tick(1), &BTreeMap::new());
        assert_eq!(seats.absent(Tick(9), 1), [PlayerId(5), PlayerId(PlayerId::OF_GAME.0 - 1)]);
    }

    #[test]
    fn the_least_that_waited_is_told_for_a_while() {
        let mut seats = seats();
        let (mut seq, mut told) = (0, usize::MAX);
        // Inputs that come in a tick; the first is one more, to be ahead.
        let mut tick = |tick: u64, inputs: u32| {
            for _ in 0..inputs {
                seq += 1;
                send(&mut seats, seq);
            }
            for (_, now) in seats.input_buffers(Tick(tick), 10) {
                assert_ne!(std::mem::replace(&mut told, now), now, "it is told when it changes");
            }
            taken_at(&mut seats, tick);
            told
        };
        assert_eq!(tick(1, 0), 0, "nothing is known yet");
        // At tick 30 one is late, and comes with the next.
        let late = |now| match now {
            30 => 0,
            31 => 2,
            _ => 1,
        };
        let told: Vec<usize> = (2..60).map(|now| tick(now, late(now))).collect();
        let (before, after) = (&told[..28], &told[48..]);
        assert!(before.iter().chain(after).all(|told| *told == 1), "{told:?}");
        assert!(told[28..38].iter().all(|told| *told == 0), "{told:?}");
        // A client that gets ahead first uses up what was saved.
        let ahead: Vec<usize> = (60..120).map(|now| tick(now, 1 + u32::from(now % 10 == 0))).collect();
        assert!(ahead.is_sorted() && ahead.last() > Some(&3), "{ahead:?}");
    }

    #[test]
    fn silence_of_the_relay_makes_a_player_absent() {
        let mut seats = seats();
        assert_eq!(seats.absent(Tick(301), 300), []);
        assert_eq!(seats.absent(Tick(302), 300), [ME]);
        seats.handle_presence(ME, Tick(302));
        assert_eq!(seats.absent(Tick(302), 300), []);
    }
}
