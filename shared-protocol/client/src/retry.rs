//! When a client that lost its connection tries again: soon, then ever more slowly, never in step with the others, and
//! not for ever.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Bounds of the wait before the first try; each further one waits twice as long.
const FIRST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));
/// Longest wait before a try.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The waits have reached their longest by then.
const DOUBLINGS_MAX: u32 = 8;

/// One client's tries.
#[derive(Debug)]
pub struct Retry {
    rng: ChaCha8Rng,
    total: Duration,
    /// When the connection was lost, and how many tries there were since.
    lost: Option<(Duration, u32)>,
}

impl Retry {
    /// Tries for at most `total` after each loss; zero tries never.
    pub fn new(seed: u64, total: Duration) -> Retry {
        // Not the numbers that the same seed gives to what it decides by.
        Retry { rng: ChaCha8Rng::seed_from_u64(!seed), total, lost: None }
    }

    /// There is no connection at `now`: how long to wait until the next try. `None` when the time is over.
    pub fn next_wait(&mut self, now: Duration) -> Option<Duration> {
        let (since, tries) = self.lost.unwrap_or((now, 0));
        self.lost = Some((since, tries + 1));
        let factor = 1 << tries.min(DOUBLINGS_MAX);
        let wait = self.rng.random_range(FIRST.0 * factor..=FIRST.1 * factor).min(WAIT_MAX);
        Some(wait).filter(|wait| now + *wait < since + self.total)
    }

    /// How much of the time is left at `now`.
    pub fn time_left(&self, now: Duration) -> Duration {
        self.lost.map_or(self.total, |(since, _)| (since + self.total).saturating_sub(now))
    }

    /// The client is in its match again.
    pub fn handle_return(&mut self) {
        self.lost = None;
    }

    /// Another of so many targets; the same one if there is no other. By chance, so that the players of a dead node do
    /// not all go to the same next one.
    pub fn other_target(&mut self, current: usize, targets: usize) -> usize {
        match targets {
            0 | 1 => current,
            _ => (current + self.rng.random_range(1..targets)) % targets,
        }
    }

    /// A random moment within a time.
    pub fn moment_within(&mut self, within: Duration) -> Duration {
        self.rng.random_range(Duration::ZERO..=within)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_next_target_is_any_other_one() {
        let mut retry = Retry::new(7, SECOND);
        assert_eq!(retry.other_target(0, 1), 0);
        let chosen: BTreeSet<usize> = (0..50).map(|_| retry.other_target(1, 4)).collect();
        assert_eq!(chosen, BTreeSet::from([0, 2, 3]));
    }

    /// The waits after a loss at one second, when each try fails at once.
    fn waits(retry: &mut Retry) -> Vec<Duration> {
        let mut now = SECOND;
        let waits = std::iter::from_fn(|| {
            let wait = retry.next_wait(now)?;
            now += wait;
            Some(wait)
        });
        waits.take(1000).collect()
    }

    #[test]
    fn waits_grow_within_their_bounds_and_end() {
        for seed in 0..200 {
            let waits = waits(&mut Retry::new(seed, SECOND * 20));
            for (tries, wait) in waits.iter().enumerate() {
                let factor = 1 << tries.min(10) as u32;
                let least = (FIRST.0 * factor).min(WAIT_MAX);
                assert!((least..=(FIRST.1 * factor).min(WAIT_MAX)).contains(wait), "seed {seed}: {waits:?}");
            }
            let total: Duration = waits.iter().sum();
            assert!(total < SECOND * 20 && total > SECOND * 17, "seed {seed}: {waits:?}");
        }
    }

    #[test]
    fn bots_do_not_come_back_together_and_a_seed_repeats_itself() {
        let first = |seed| waits(&mut Retry::new(seed, SECOND))[0];
        let mut firsts: Vec<Duration> = (0..100).map(first).collect();
        assert_eq!(first(7), firsts[7]);
        firsts.sort_unstable();
        firsts.dedup();
        assert!(firsts.len() > 90, "{firsts:?}");
    }

    #[test]
    fn each_loss_has_its_own_time() {
        let mut retry = Retry::new(1, SECOND);
        waits(&mut retry);
        assert_eq!(retry.next_wait(SECOND * 30), None);
        assert_eq!(retry.time_left(SECOND * 30), Duration::ZERO);
        retry.handle_return();
        let wait = retry.next_wait(SECOND * 30).unwrap();
        assert!(wait <= FIRST.1, "{wait:?}");
        assert_eq!(retry.time_left(SECOND * 30 + wait), SECOND - wait);
        assert_eq!(Retry::new(1, Duration::ZERO).next_wait(SECOND), None);
    }

    #[test]
    fn a_moment_is_within_its_time() {
        let mut retry = Retry::new(3, SECOND);
        let moments: Vec<Duration> = (0..100).map(|_| retry.moment_within(SECOND)).collect();
        assert!(moments.iter().all(|moment| *moment <= SECOND));
        assert!(moments.iter().any(|moment| *moment < SECOND / 4));
        assert!(moments.iter().any(|moment| *moment > SECOND * 3 / 4));
        assert_eq!(retry.moment_within(Duration::ZERO), Duration::ZERO);
    }
}
