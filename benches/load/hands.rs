//! What players do: the same choices, tick by tick, for every server that is loaded.

use clap::ValueEnum;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// Directions a player may walk in.
pub(crate) const DIRECTIONS: u8 = 8;
/// Values that an aim has: 24 bits of a turn, so that it is exact in a 32-bit float.
const TURN: u32 = 1 << 24;
const SEED: u64 = 4711;

/// One tick in so many has a player at the trigger.
const FIRES_ONE_IN: u32 = 4;
/// Changes of direction per second.
const NEW_DIRECTIONS: f64 = 2.0;
/// Ends of bursts per second of firing: a burst takes three quarters of a second.
const BURST_ENDS: f64 = 4.0 / 3.0;
/// How fast an aim turns, turns per second: the standard deviation, so that it is 60 degrees on average.
const TURNS: f64 = 75.0 / 360.0;
/// Per second, so much of how fast it turns is forgotten.
const FORGETS: f64 = 2.0;
/// Sudden turns per second, and how far they go, in turns.
const FLICKS: f64 = 0.3;
const FLICK_TURNS: [f64; 2] = [30.0 / 360.0, 150.0 / 360.0];

/// How players play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Style {
    /// Another direction and another aim in every tick, all equally likely: what nobody does, and no codec foresees
    Noise,
    /// A direction is kept for half a second on average, the aim turns smoothly and flicks now and then, fire comes in bursts
    Play,
}

/// What a player does in a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hand {
    /// One of [`DIRECTIONS`]: everybody moves in every tick.
    pub(crate) direction: u8,
    /// Two buttons; the player fires with both.
    pub(crate) buttons: u8,
    /// Where to, 24 bits of a turn.
    pub(crate) aim: u32,
}

impl Hand {
    /// Both buttons.
    const FIRE: u8 = 3;

    /// Whether it fires.
    pub(crate) fn fires(self) -> bool {
        self.buttons == Hand::FIRE
    }

    /// The aim as a number of turns, exact in 32 bits.
    pub(crate) fn turns(self) -> f32 {
        self.aim as f32 / TURN as f32
    }
}

/// The hands of one player.
pub(crate) struct Hands {
    style: Style,
    may_fire: bool,
    tick_rate: f64,
    rng: ChaCha8Rng,
    /// What they do in this tick. The aim is even.
    now: Hand,
    /// How far the aim turns in a tick, turns.
    turning: f64,
}

impl Hands {
    /// The hands of this player, the same in every run.
    pub(crate) fn new(style: Style, may_fire: bool, tick_rate: u32, player: u64) -> Hands {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED + player);
        let fires = rng.random_ratio(1, FIRES_ONE_IN);
        let now = Hand {
            direction: rng.random_range(0..DIRECTIONS),
            buttons: if fires { Hand::FIRE } else { 0 },
            aim: rng.random_range(0..TURN) & !1,
        };
        Hands { style, may_fire, tick_rate: tick_rate.into(), rng, now, turning: 0.0 }
    }

    /// What they do in the next tick. Aims of probes are odd and all others even, so that a probe's is nobody else's.
    pub(crate) fn next(&mut self, is_probe: bool) -> Hand {
        match self.style {
            Style::Noise => self.draw(),
            Style::Play => self.play(),
        }
        let Hand { direction, buttons, aim } = self.now;
        let buttons = if buttons == Hand::FIRE && !self.may_fire { 0 } else { buttons };
        Hand { direction, buttons, aim: aim | u32::from(is_probe) }
    }

    fn draw(&mut self) {
        let bits: u32 = self.rng.random();
        self.now = Hand {
            direction: (bits >> 24) as u8 % DIRECTIONS,
            buttons: (bits >> 30) as u8 & Hand::FIRE,
            aim: bits & (TURN - 2),
        };
    }

    fn play(&mut self) {
        if self.happens(NEW_DIRECTIONS) {
            let turned = self.rng.random_range(1..DIRECTIONS);
            self.now.direction = (self.now.direction + turned) % DIRECTIONS;
        }
        let fires = self.now.fires();
        let changes = if fires { BURST_ENDS } else { BURST_ENDS / f64::from(FIRES_ONE_IN - 1) };
        if self.happens(changes) {
            self.now.buttons = if fires { 0 } else { Hand::FIRE };
        }
        let turned = (self.turn() * f64::from(TURN)) as i32 & !1;
        // It never rests: an aim that a probe waits for must be another than that of the tick before.
        let turned = if turned == 0 { 2 } else { turned };
        self.now.aim = self.now.aim.wrapping_add_signed(turned) % TURN;
    }

    /// How far the aim turns now. How fast it turns drifts from tick to tick: a random walk that is drawn back to zero.
    fn turn(&mut self) -> f64 {
        let kept = 1.0 - FORGETS / self.tick_rate;
        // Evenly spread numbers have a third of their bound's square for a variance.
        let bound = TURNS / self.tick_rate * (3.0 * (1.0 - kept * kept)).sqrt();
        self.turning = self.turning * kept + self.rng.random_range(-bound..bound);
        if !self.happens(FLICKS) {
            return self.turning;
        }
        let [least, most] = FLICK_TURNS;
        let far = self.rng.random_range(least..most);
        if self.rng.random() { far } else { -far }
    }

    /// Whether in this tick comes what comes so often in a second.
    fn happens(&mut self, per_second: f64) -> bool {
        self.rng.random_bool((per_second / self.tick_rate).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK_RATE: u32 = 20;
    const TICKS: usize = 40_000;

    fn played(style: Style, may_fire: bool) -> Vec<Hand> {
        let mut hands = Hands::new(style, may_fire, TICK_RATE, 7);
        (0..TICKS).map(|_| hands.next(false)).collect()
    }

    /// In how many of all ticks something is so with this hand and the one before.
    fn share(hands: &[Hand], is_so: impl Fn(Hand, Hand) -> bool) -> f64 {
        hands.windows(2).filter(|pair| is_so(pair[0], pair[1])).count() as f64 / hands.len() as f64
    }

    /// Degrees between two aims, the short way.
    fn degrees(a: Hand, b: Hand) -> f64 {
        let turned = b.aim.wrapping_sub(a.aim) % TURN;
        f64::from(turned.min(TURN - turned)) * 360.0 / f64::from(TURN)
    }

    #[track_caller]
    fn about(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 0.15, "{found} for {expected}");
    }

    #[test]
    fn the_aim_of_a_probe_is_its_own_and_exact_and_never_that_of_the_tick_before() {
        for style in [Style::Noise, Style::Play] {
            let mut hands = Hands::new(style, true, TICK_RATE, 1);
            let mut last = None;
            for _ in 0..1000 {
                let (other, probe) = (hands.next(false), hands.next(true));
                assert_eq!((probe.aim % 2, other.aim % 2), (1, 0));
                assert_eq!((f64::from(probe.turns()) * f64::from(TURN)) as u32, probe.aim);
                assert!(probe.direction < DIRECTIONS && probe.buttons < 4 && probe.aim < TURN);
                assert_ne!(last.replace(probe.aim), Some(probe.aim));
            }
        }
    }

    #[test]
    fn hands_are_the_same_in_every_run_and_others_for_every_player() {
        for style in [Style::Noise, Style::Play] {
            assert_eq!(played(style, true), played(style, true));
            let mut other = Hands::new(style, true, TICK_RATE, 8);
            assert_ne!(played(style, true)[..9], [(); 9].map(|()| other.next(false)));
        }
    }

    #[test]
    fn both_styles_fire_as_often_and_only_when_they_may() {
        for style in [Style::Noise, Style::Play] {
            let (may, may_not) = (played(style, true), played(style, false));
            about(share(&may, |_, hand| hand.fires()), 0.25);
            assert!(!may_not.iter().any(|hand| hand.fires()));
            let moved = |hands: &[Hand]| -> Vec<_> { hands.iter().map(|h| (h.direction, h.aim)).collect() };
            assert_eq!(moved(&may), moved(&may_not), "all else stays the same");
        }
    }

    #[test]
    fn players_keep_a_direction_turn_smoothly_and_fire_in_bursts() {
        let hands = played(Style::Play, true);
        about(share(&hands, |a, b| a.direction != b.direction), 0.1);
        about(share(&hands, |a, b| a.fires() && !b.fires()), 0.25 / 15.0);
        let same_to_arena = share(&hands, |a, b| a.aim >> 14 == b.aim >> 14);
        assert!(same_to_arena < 0.08, "aims of {same_to_arena} of the ticks are those of the tick before");
        about(share(&hands, |a, b| degrees(a, b) > 30.0), 0.015);
        let smooth: Vec<f64> =
            hands.windows(2).map(|pair| degrees(pair[0], pair[1])).filter(|turned| *turned < 30.0).collect();
        about(smooth.iter().sum::<f64>() / smooth.len() as f64, 3.0);
    }
}
