//! What a match that is taken over still knows of the past.

use super::*;
use crate::game::Remembered;
use tickcast_protocol::Schema;

/// 250 ms at 30 Hz, and the tick that the earliest moment is in.
const REACH_TICKS: u64 = 8;

/// The arena, whose players look back if they are asked to.
struct Rules {
    arena: Box<dyn Game>,
    looks_back: bool,
}

impl Game for Rules {
    fn start(&mut self, rng: &mut TickRng, world: &mut World) {
        self.arena.start(rng, world);
    }

    fn join(
        &mut self,
        player: PlayerId,
        name: &str,
        rng: &mut TickRng,
        world: &mut World,
    ) -> Option<EntityId> {
        self.arena.join(player, name, rng, world)
    }

    fn remembers(&self) -> Vec<Remembered> {
        if self.looks_back { self.arena.remembers() } else { Vec::new() }
    }

    fn step(&mut self, step: Step<'_>) {
        self.arena.step(step);
    }
}

fn taken_over(fields: &MatchFields, looks_back: bool, recalls: bool) -> Simulation {
    let restored = stored::restore(fields).unwrap();
    let game = Rules { arena: Arena.create(&restored.stored.options), looks_back };
    let writing = Writing { snapshot_every: 16, ..writing() };
    let mut simulation = Simulation::new(Box::new(game), restored, writing);
    if recalls {
        simulation.recall(fields).unwrap();
    }
    simulation
}

/// Two players who are late fire all the time, and turn.
fn fight(simulation: &mut Simulation, round: u32) -> Commit {
    if round == 3 {
        (1..=2).for_each(|player| join(simulation, player));
    }
    let seen = Tick(simulation.position().tick.0.saturating_sub(3));
    for player in [1, 2].map(PlayerId).into_iter().filter(|_| round > 10) {
        let values = vec![0, 0, ((round * 37 + player.0 * 500) % 1024) as i32, 1];
        let seq = InputSeq(round - 10);
        simulation.handle_upstream(Upstream::Input { player, seq, seen, behind: 700, values: values.into() });
    }
    simulation.handle_tick(0).commit
}

/// At every tick another node takes the match over and makes the next one: how often that one is the owner's next, by
/// whether the ring told it of as long a past as anybody may be judged by.
fn count_alike(looks_back: bool, recalls: bool) -> [(usize, usize); 2] {
    let mut fields = created();
    let mut original = taken_over(&fields, looks_back, true);
    let mut alike = [(0, 0); 2];
    for round in 0..600 {
        let told = original.position().tick.0 - fields::number(&fields, fields::SNAPSHOT_TICK).unwrap();
        let mut other = taken_over(&fields, looks_back, recalls);
        fight(&mut other, round);
        write(&mut fields, &fight(&mut original, round));
        let (same, of) = &mut alike[usize::from(told >= REACH_TICKS)];
        *same += usize::from(other.world().same_state(original.world()));
        *of += 1;
    }
    alike
}

#[test]
fn a_match_that_looks_back_goes_on_alike_as_far_as_the_ring_tells_of_its_past() {
    let [_, (same, of)] = count_alike(true, true);
    assert!(same == of && of > 200, "{same} of {of}");
    let [_, (same, of)] = count_alike(true, false);
    assert!(same < of, "who recalls nothing judges otherwise, or the test would show nothing");
}

#[test]
fn a_match_that_does_not_look_back_goes_on_alike_always() {
    for recalls in [false, true] {
        for (same, of) in count_alike(false, recalls) {
            assert!(same == of && of > 200, "{same} of {of}");
        }
    }
}

#[test]
fn the_owner_tells_each_player_how_many_inputs_waited() {
    let mut simulation = resumed(&created());
    join(&mut simulation, 5);
    simulation.handle_tick(0);
    let field = simulation.world().schema().input_buffer_field().expect("the arena has it");
    assert_eq!(simulation.world().schema().kinds()[0].fields[field].name, Schema::INPUT_BUFFER_FIELD);
    let told = |simulation: &Simulation| {
        let player = simulation.world().ids(0).next().unwrap();
        simulation.world().get(player, field)
    };
    assert_eq!(told(&simulation), 0);
    for seq in 1..=40 {
        input(&mut simulation, 5, seq);
        simulation.handle_tick(0);
    }
    assert_eq!(told(&simulation), 1, "each tick found one");
    simulation.handle_tick(0);
    assert_eq!(told(&simulation), 0, "a tick found none");
}

#[test]
fn no_claim_of_a_client_reaches_into_the_future_or_further_back_than_allowed() {
    let mut simulation = taken_over(&created(), true, true);
    join(&mut simulation, 1);
    (0..40).for_each(|_| drop(simulation.handle_tick(0)));
    let claims = [0, 1, 30, u64::from(u32::MAX), u64::MAX / 256, u64::MAX / 256 + 1, u64::MAX];
    let claims = claims.into_iter().flat_map(|seen| [0, 1, 300, u16::MAX].map(|behind| (seen, behind)));
    for ((seen, behind), seq) in claims.zip(1..) {
        let (player, values) = (PlayerId(1), vec![127, 0, seq as i32, 1]);
        let seen = Tick(seen);
        simulation.handle_upstream(Upstream::Input {
            player,
            seq: InputSeq(seq),
            seen,
            behind,
            values: values.into(),
        });
        let now = simulation.position().tick;
        let produced = simulation.handle_tick(0);
        assert_eq!(produced.applied, [(player, InputSeq(seq))], "believed or not, it is an input");
        let honest = if seen > now { 0 } else { (now.0 - seen.0) * 256 } + u64::from(behind);
        // 250 ms are seven and a half ticks.
        assert_eq!(simulation.past.of(player).behind(), honest.min(1920), "seen {seen}, {behind} behind");
    }
}
