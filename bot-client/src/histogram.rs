//! Distributions that can be merged between processes: HDR histograms, as text a list of (value, count).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Greatest value that is told apart: an hour in microseconds, or more bytes than a frame has.
const VALUE_MAX: u64 = 3_600_000_000;
/// Decimal digits that are kept of a value.
const DIGITS: u8 = 3;

/// Values of one kind: microseconds or bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Histogram(hdrhistogram::Histogram<u64>);

/// What a person wants to know of a distribution, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Number of values.
    pub count: u64,
    /// Half of the values are not above it.
    pub p50: f64,
    /// 90 % are not above it.
    pub p90: f64,
    /// 99 % are not above it.
    pub p99: f64,
    /// 99.9 % are not above it.
    pub p999: f64,
    /// The greatest.
    pub max: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        let histogram = hdrhistogram::Histogram::new_with_bounds(1, VALUE_MAX, DIGITS);
        Histogram(histogram.expect("the bounds are a histogram's"))
    }
}

impl Histogram {
    /// Adds a value.
    pub fn record(&mut self, value: u64) {
        self.0.saturating_record(value);
    }

    /// Adds a time in microseconds.
    pub fn record_time(&mut self, time: Duration) {
        self.record(microseconds(time));
    }

    /// Adds a time between two events that were due every `interval`, and the times that the missing events in
    /// between would have shown: correction for coordinated omission.
    pub fn record_gap(&mut self, gap: Duration, interval: Duration) {
        let recorded = self.0.record_correct(microseconds(gap), microseconds(interval));
        recorded.expect("a time was cut to the histogram's bounds");
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Histogram) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The greatest value.
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// The percentiles, each value divided by `unit`.
    pub fn percentiles(&self, unit: f64) -> Percentiles {
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / unit;
        Percentiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.0.max() as f64 / unit,
        }
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(VALUE_MAX).min(VALUE_MAX)
}

impl From<Histogram> for Vec<(u64, u64)> {
    fn from(histogram: Histogram) -> Self {
        histogram.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }
}

impl From<Vec<(u64, u64)>> for Histogram {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut histogram = Histogram::default();
        for (value, count) in counts {
            histogram.0.saturating_record_n(value, count);
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_from_text_and_merges() {
        let (mut one, mut both) = (Histogram::default(), Histogram::default());
        for value in [0, 1, 999, 1000, 123_456, 123_456, u64::MAX] {
            one.record(value);
            both.record(value);
        }
        let text = serde_json::to_string(&one).unwrap();
        let again: Histogram = serde_json::from_str(&text).unwrap();
        assert_eq!(again, one);
        both.record(5);
        let mut merged = again;
        let mut other = Histogram::default();
        other.record(5);
        merged.merge(&other);
        assert_eq!(merged.percentiles(1.0), both.percentiles(1.0));
    }

    #[test]
    fn a_long_gap_stands_for_the_updates_that_did_not_come() {
        let mut histogram = Histogram::default();
        histogram.record_gap(Duration::from_millis(100), Duration::from_millis(10));
        let percentiles = histogram.percentiles(1000.0);
        assert_eq!(percentiles.count, 10);
        assert!((percentiles.p50 - 50.0).abs() < 0.1, "{percentiles:?}");
        histogram.record_gap(Duration::MAX, Duration::from_secs(1));
        assert!(histogram.max() >= VALUE_MAX);
    }
}
