//! Shots over a slow line: what is dead on the shooter's screen is hit. A match of the arena without walls, stepped
//! in virtual time; a client that hears of it late and shows it later still, between two ticks, aims at what it shows.

mod line;
mod range;

use line::{Line, Screen};
use range::{HIT_REACH, Movement, Range, Shot};

/// What became of the shots of one run.
#[derive(Debug, Default)]
struct Score {
    shots: usize,
    dead_on: usize,
    hit: usize,
    /// Shots that missed on the screen by more than can be argued about, and hit.
    unseen: usize,
    off_screen: usize,
}

struct Case {
    rtt_ms: f64,
    hz: u8,
    movement: Movement,
    rewind_ms: u64,
    seed: u64,
}

const JITTER_MS: f64 = 20.0;
/// The client shows the state two and a half ticks behind what it expects to have, as section 3 of the goals allows.
const INTERPOLATION_TICKS: f64 = 2.5;
const TICKS: u64 = 7200;
/// So many shots of a run are dead on at least, or it says nothing.
const DEAD_ON_MIN: usize = 30;
/// On the screen a shot is dead on when it goes through the middle of the body, whose half width is 14 units.
const DEAD_ON: f64 = 7.0;

fn play(case: &Case) -> Score {
    let Case { rtt_ms, hz, movement, rewind_ms, seed } = *case;
    let tick_ms = 1000.0 / f64::from(hz);
    let mut range = Range::new(hz, movement, rewind_ms, seed);
    let mut line = Line::new(rtt_ms / 2.0, JITTER_MS, seed);
    let mut screen = Screen::new(&range, tick_ms, rtt_ms / 2.0 + JITTER_MS + INTERPOLATION_TICKS * tick_ms);
    let mut shots: Vec<Shot> = Vec::new();
    // The client's clock does not beat with the server's.
    let phase = 0.37 * tick_ms;
    for beat in 1..TICKS {
        let (server_ms, client_ms) = (beat as f64 * tick_ms, beat as f64 * tick_ms + phase);
        for frame in line.ups_until(server_ms) {
            range.hear(&frame);
        }
        for frame in range.tick() {
            line.send_down(server_ms, frame);
        }
        for frame in line.downs_until(client_ms) {
            screen.handle_frame(&frame);
        }
        let fires = beat % (u64::from(hz) * 11 / 10) == 0;
        if let Some((input, shot)) = screen.act(client_ms, fires) {
            line.send_up(client_ms, input);
            shots.extend(shot);
        }
    }
    judge(&range, &shots)
}

/// Compares what the server made of the shots with what was to be seen on the screen.
fn judge(range: &Range, shots: &[Shot]) -> Score {
    let mut score = Score::default();
    for shot in shots {
        let Some(missed_by) = range.missed_by(shot) else { continue };
        let hit = range.was_hit(shot);
        score.shots += 1;
        score.dead_on += usize::from(missed_by <= DEAD_ON);
        score.hit += usize::from(missed_by <= DEAD_ON && hit);
        score.off_screen += usize::from(missed_by > 2.0 * HIT_REACH);
        score.unseen += usize::from(missed_by > 2.0 * HIT_REACH && hit);
    }
    score
}

fn share(score: &Score) -> f64 {
    score.hit as f64 / score.dead_on as f64
}

/// Prints both figures, with compensation and without; returns them as parts of the shots that were dead on.
fn compare(rtt_ms: f64, hz: u8, movement: Movement) -> (f64, f64) {
    let run = |rewind_ms| play(&Case { rtt_ms, hz, movement, rewind_ms, seed: 7 });
    let (with, without) = (run(250), run(0));
    println!(
        "RTT {rtt_ms} ms, {hz} Hz, {movement:?}: {}/{} dead-on shots hit ({:.1} %), without compensation {}/{} \
         ({:.1} %); of {} shots {} missed on the screen, of which {} hit",
        with.hit,
        with.dead_on,
        share(&with) * 100.0,
        without.hit,
        without.dead_on,
        share(&without) * 100.0,
        with.shots,
        with.off_screen,
        with.unseen,
    );
    assert!(with.dead_on >= DEAD_ON_MIN && without.dead_on >= DEAD_ON_MIN, "{with:?} {without:?}");
    assert_eq!(with.unseen, 0, "nobody is hit who was not aimed at: {with:?}");
    (share(&with), share(&without))
}

#[test]
fn what_is_dead_on_the_screen_is_hit_at_150_ms() {
    for movement in [Movement::Steady, Movement::Turning] {
        let (with, without) = compare(150.0, 30, movement);
        assert!(with >= 0.99 && without < 0.6, "{with} {without}");
    }
}

#[test]
fn what_is_dead_on_the_screen_is_hit_at_200_ms() {
    for movement in [Movement::Steady, Movement::Turning] {
        let (with, without) = compare(200.0, 30, movement);
        assert!(with >= 0.99 && without < 0.6, "{with} {without}");
    }
}

#[test]
fn what_is_dead_on_the_screen_is_hit_at_60_ticks_a_second() {
    let (with, without) = compare(150.0, 60, Movement::Turning);
    assert!(with >= 0.99 && without < 0.6, "{with} {without}");
}
