//! How a match runs on its owner: time and bytes of its last ticks, and the text that its hash keeps of them, so that
//! every node can tell, also when the owner is gone.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Ticks that are remembered: p99 is then not the single worst one.
const TICKS_KEPT: usize = 256;

/// What is told of a match's last ticks; a JSON object in its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TickStats {
    /// Step and diff, half of the ticks took at most so many microseconds.
    pub tick_us_p50: u32,
    /// The same for 99 of 100.
    pub tick_us_p99: u32,
    /// From the call to the answer of a commit.
    pub commit_us_p50: u32,
    /// The same for 99 of 100.
    pub commit_us_p99: u32,
    /// Bytes that were published within the last second, headers between nodes included.
    pub bytes_per_s: u64,
    /// Ticks that this owner left out, because it was late for them.
    pub overruns: u64,
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    tick_us: u32,
    commit_us: u32,
    bytes: u32,
}

/// Remembers an owned match's last ticks.
#[derive(Debug)]
pub struct TickMeter {
    ticks_per_s: usize,
    taken: VecDeque<Taken>,
    overruns: u64,
}

impl TickMeter {
    /// For a match of this rate.
    pub fn new(hz: u8) -> TickMeter {
        TickMeter { ticks_per_s: usize::from(hz), taken: VecDeque::with_capacity(TICKS_KEPT), overruns: 0 }
    }

    /// A tick was made and committed.
    pub fn handle_tick(&mut self, made_in: Duration, committed_in: Duration, bytes: usize) {
        let us = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        if self.taken.len() == TICKS_KEPT {
            self.taken.pop_front();
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.taken.push_back(Taken { tick_us: us(made_in), commit_us: us(committed_in), bytes });
    }

    /// So many ticks were left out.
    pub fn handle_overruns(&mut self, count: u64) {
        self.overruns += count;
    }

    /// What there is to tell; `None` before the first tick.
    pub fn stats(&self) -> Option<TickStats> {
        if self.taken.is_empty() {
            return None;
        }
        let (tick_us_p50, tick_us_p99) = percentiles(self.taken.iter().map(|taken| taken.tick_us));
        let (commit_us_p50, commit_us_p99) = percentiles(self.taken.iter().map(|taken| taken.commit_us));
        let last_second = self.taken.iter().rev().take(self.ticks_per_s);
        Some(TickStats {
            tick_us_p50,
            tick_us_p99,
            commit_us_p50,
            commit_us_p99,
            bytes_per_s: last_second.map(|taken| u64::from(taken.bytes)).sum(),
            overruns: self.overruns,
        })
    }
}

/// The least values that 50 and 99 of 100 do not exceed.
fn percentiles(values: impl Iterator<Item = u32>) -> (u32, u32) {
    let mut sorted: Vec<u32> = values.collect();
    sorted.sort_unstable();
    let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    (at(50), at(99))
}

impl TickStats {
    /// As the hash keeps it.
    pub fn to_text(self) -> String {
        serde_json::to_string(&self).expect("numbers by name are JSON")
    }

    /// Reads it; `None` if it makes no sense.
    pub fn from_text(text: &str) -> Option<TickStats> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn the_last_ticks_count_and_bytes_are_of_a_second() {
        let mut meter = TickMeter::new(30);
        assert_eq!(meter.stats(), None);
        (0..1000).for_each(|_| meter.handle_tick(us(9_000_000), us(1), 1));
        (1..=200).for_each(|number| meter.handle_tick(us(number), us(2 * number), 10));
        (0..56).for_each(|_| meter.handle_tick(us(100), us(100), 20));
        meter.handle_overruns(3);
        let stats = meter.stats().unwrap();
        assert_eq!((stats.tick_us_p50, stats.tick_us_p99), (100, 198));
        assert_eq!((stats.commit_us_p50, stats.commit_us_p99), (144, 396));
        assert_eq!((stats.bytes_per_s, stats.overruns), (600, 3));
        assert_eq!(TickStats::from_text(&stats.to_text()), Some(stats));
        assert_eq!(TickStats::from_text("{}"), None);
    }

    #[test]
    fn one_tick_is_all_percentiles() {
        let mut meter = TickMeter::new(60);
        meter.handle_tick(us(7), us(8), 9);
        let stats = meter.stats().unwrap();
        assert_eq!((stats.tick_us_p50, stats.tick_us_p99, stats.bytes_per_s), (7, 7, 9));
    }
}
