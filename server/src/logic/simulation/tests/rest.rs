//! Ticks that may wait: what would happen in them happens on time, and nothing does in those that waited.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::*;

/// A match of the arena in which nothing moves but players, with rounds that do not end with a rest; two players are in it.
fn match_at_rest(rests: bool) -> Simulation {
    let fields = created_with(&[
        ("drones", 0),
        ("bots", 0),
        ("players_max", 2),
        ("round_seconds", 10),
        ("tick_rate", 33),
    ]);
    let restored = stored::restore(&fields).unwrap();
    let writing = Writing { rests, resume_window: Duration::from_secs(3600), ..writing() };
    let mut simulation = Simulation::new(Arena.create(&restored.stored.options), restored, writing);
    (1..=2).for_each(|player| join(&mut simulation, player));
    simulation
}

/// Makes a tick, and tells whether it changed something or says something.
fn tells(simulation: &mut Simulation) -> bool {
    let hash = simulation.world().hash();
    let produced = simulation.handle_tick(0);
    let tick = tick_of(&produced.commit.message);
    let is_empty =
        crate::logic::quiet::is_empty(&tick.frame) && tick.prior.is_none() && tick.lines.is_empty();
    !is_empty || hash != simulation.world().hash() || !produced.notes.is_empty()
}

/// A player steers; everything at 0 is to stand still.
fn steer(simulation: &mut Simulation, player: u32, seq: u32, values: [i32; 4]) {
    let (player, seq, values) = (PlayerId(player), InputSeq(seq), values.into_iter().collect());
    simulation.handle_upstream(Upstream::Input { player, seq, seen: Tick(0), behind: 0, values });
}

#[test]
fn nothing_happens_in_ticks_that_wait_and_all_else_is_on_time() {
    let (mut waited, mut by_itself) = (0, 0);
    for seed in 1..=4 {
        let (mut rng, mut simulation) = (ChaCha8Rng::seed_from_u64(seed), match_at_rest(true));
        let mut moves = 0;
        for wake in 0..400 {
            if wake % 50 == 10 {
                moves += 1;
                steer(
                    &mut simulation,
                    1,
                    moves * 2 - 1,
                    [rng.random_range(-1..=1), 1, rng.random_range(0..256), 1],
                );
                assert_eq!(simulation.ticks_to_wait(), 0, "an input waits for its tick");
            }
            if wake % 50 == 14 {
                steer(&mut simulation, 1, moves * 2, [0; 4]);
            }
            let wait = simulation.ticks_to_wait();
            for tick in 1..=wait {
                assert!(!tells(&mut simulation), "seed {seed}: tick {tick} of {wait} that waited");
            }
            waited += wait;
            by_itself += u32::from(tells(&mut simulation) && wait > 0);
        }
    }
    assert!(waited > 2_000, "{waited} of {} ticks waited", waited + 1_600);
    assert!(
        by_itself >= 4,
        "{by_itself} times something happened by itself, behind ticks that waited: a round ended"
    );
}

#[test]
fn who_says_something_is_heard_in_the_next_tick_and_who_may_not_rest_does_not() {
    let mut restless = match_at_rest(false);
    let mut simulation = match_at_rest(true);
    assert_eq!(simulation.ticks_to_wait(), 0, "joins wait");
    for _ in 0..100 {
        tells(&mut simulation);
        tells(&mut restless);
        assert_eq!(restless.ticks_to_wait(), 0);
    }
    let until_rest = (0..20).find(|_| !tells(&mut simulation) && simulation.ticks_to_wait() > 0);
    assert!(until_rest.is_some());
    let says: [fn(u32) -> Upstream; 4] = [
        |player| Upstream::Resume {
            player: PlayerId(player),
            session: SessionId(9),
            attempt: 1,
            token: holder(player).token,
        },
        |player| Upstream::Chat {
            player: PlayerId(player),
            seq: 1,
            to: ChatTo::Everyone,
            text: "hi".to_owned().try_into().unwrap(),
        },
        leave,
        |player| Upstream::Kick { player: PlayerId(player) },
    ];
    for (says, player) in says.into_iter().zip([1, 1, 1, 2]) {
        let said = says(player);
        assert!(said.ends_rest(), "{said:?}");
        simulation.handle_upstream(said);
        assert_eq!(simulation.ticks_to_wait(), 0);
        assert!(
            (0..100).any(|_| !tells(&mut simulation) && simulation.ticks_to_wait() > 0),
            "and then rests again"
        );
    }
    let present = Upstream::Present { players: vec![PlayerId(1)] };
    assert!(!present.ends_rest(), "that somebody is there is no news");
}
