//! How many players a core carries: matches are added, step by step, until updates come late or not at all.

use std::io;

use serde::Serialize;

use super::run::Outcome;
use super::systems::System;

/// The 99th percentile of the time between two updates, at most, in ticks.
pub(crate) const GAP_TICKS_MAX: f64 = 1.5;
/// The share of updates that must come.
const DELIVERED_MIN: f64 = 0.99;
/// The same where a timer that is always late makes fewer ticks.
const DELIVERED_MIN_LAZY: f64 = 0.95;
/// Steps in a row that must fail until no more are tried: one may be the machine's.
const FAILURES_MAX: usize = 2;

/// Where a system's knee is, in one turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Knee {
    /// The system.
    pub(crate) system: System,
    /// Players of the last step that was good; 0 if none was.
    pub(crate) players: usize,
    /// Cores that the servers took then.
    pub(crate) server_cores: f64,
}

impl Knee {
    /// The knee of these steps.
    pub(crate) fn of(system: System, tick_rate: u32, steps: &[Outcome]) -> Knee {
        let good = steps.iter().filter(|step| is_good(step, tick_rate)).max_by_key(|step| step.connections);
        Knee {
            system,
            players: good.map_or(0, |step| step.connections),
            server_cores: good.map_or(0.0, |step| step.server_cores),
        }
    }
}

/// Whether everybody got everything in time.
pub(crate) fn is_good(outcome: &Outcome, tick_rate: u32) -> bool {
    let delivered = if outcome.system.has_lazy_timer() { DELIVERED_MIN_LAZY } else { DELIVERED_MIN };
    let gap_max_ms = GAP_TICKS_MAX * 1000.0 / f64::from(tick_rate);
    outcome.gap_ms.p99 < gap_max_ms && outcome.skipped == 0 && outcome.delivered >= delivered
}

/// Numbers of matches from one to another, each so many times the one before, and at least one more.
pub(crate) fn steps(from: u32, to: u32, growth: f64) -> Vec<u32> {
    let next = |matches: &u32| Some(((f64::from(*matches) * growth) as u32).max(matches + 1));
    std::iter::successors(Some(from), next).take_while(|matches| *matches <= to).collect()
}

/// Measures one step after the other, until too many in a row failed or could not be measured at all.
pub(crate) fn grow(steps: &[u32], mut measure: impl FnMut(u32) -> io::Result<Outcome>) -> Vec<Outcome> {
    let (mut outcomes, mut failures) = (Vec::new(), 0);
    for matches in steps {
        let Ok(outcome) = measure(*matches) else { break };
        let tick_rate = outcome.tick_rate;
        failures = if is_good(&outcome, tick_rate) { 0 } else { failures + 1 };
        outcomes.push(outcome);
        if failures == FAILURES_MAX {
            break;
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::summary::tests::outcome;

    fn step(connections: usize, gap: f64) -> Outcome {
        let mut step = Outcome { connections, ..outcome(System::Tickcast, 10.0) };
        step.gap_ms.p99 = gap;
        step
    }

    #[test]
    fn a_step_is_good_when_everybody_got_everything_in_time() {
        assert!(is_good(&step(1, 74.9), 20));
        assert!(!is_good(&step(1, 75.0), 20));
        assert!(!is_good(&Outcome { skipped: 1, ..step(1, 50.0) }, 20));
        assert!(!is_good(&Outcome { delivered: 0.97, ..step(1, 50.0) }, 20));
        assert!(is_good(&Outcome { delivered: 0.97, system: System::Colyseus, ..step(1, 50.0) }, 20));
    }

    #[test]
    fn steps_grow_and_end() {
        assert_eq!(steps(2, 12, 1.5), [2, 3, 4, 6, 9]);
        assert_eq!(steps(1, 4, 1.0), [1, 2, 3, 4]);
    }

    #[test]
    fn growing_goes_on_behind_one_bad_step_and_ends_behind_two() {
        let gaps = [50.0, 90.0, 50.0, 90.0, 90.0, 50.0];
        let measured =
            grow(&[1, 2, 3, 4, 5, 6], |matches| Ok(step(matches as usize, gaps[matches as usize - 1])));
        assert_eq!(measured.len(), 5);
        assert_eq!(Knee::of(System::Tickcast, 20, &measured).players, 3);
        let broken = grow(&[1, 2], |_| Err(io::Error::other("gone")));
        assert_eq!(Knee::of(System::Tickcast, 20, &broken).players, 0);
    }
}
