//! What the load counts and times while it is measured.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest time told apart, microseconds.
const LONGEST_US: u64 = 60_000_000;

/// One measurement.
pub(crate) struct Tally {
    /// How long it took.
    pub(crate) seconds: f64,
    /// Updates that came.
    pub(crate) updates: u64,
    /// Bytes of everything that came, with the heads of its WebSocket frames.
    pub(crate) bytes: u64,
    /// Ticks that had no update of their own.
    pub(crate) skipped: u64,
    /// Ticks in which nothing happened, told by the update behind them.
    pub(crate) quiet: u64,
    /// Inputs sent.
    pub(crate) inputs: u64,
    /// Their bytes.
    pub(crate) input_bytes: u64,
    /// Inputs of probes whose effect was not seen until the next.
    pub(crate) unanswered: u64,
    gaps: Histogram<u32>,
    latencies: Histogram<u32>,
    joins: Histogram<u32>,
}

/// Percentiles, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Tally {
        let histogram = || Histogram::new_with_max(LONGEST_US, 3).expect("the bounds are good");
        Tally {
            seconds: 0.0,
            updates: 0,
            bytes: 0,
            skipped: 0,
            quiet: 0,
            inputs: 0,
            input_bytes: 0,
            unanswered: 0,
            gaps: histogram(),
            latencies: histogram(),
            joins: histogram(),
        }
    }

    /// An update came.
    pub(crate) fn update(&mut self, skipped: u32, gap: Option<Duration>, latency: Option<Duration>) {
        self.updates += 1;
        self.skipped += u64::from(skipped);
        for (histogram, time) in [(&mut self.gaps, gap), (&mut self.latencies, latency)] {
            if let Some(time) = time {
                histogram.saturating_record(time.as_micros() as u64);
            }
        }
    }

    /// A client got into its match, so long after it began to connect.
    pub(crate) fn join(&mut self, time: Duration) {
        self.joins.saturating_record(time.as_micros() as u64);
    }

    /// Clients that got into their matches.
    pub(crate) fn joined(&self) -> u64 {
        self.joins.len()
    }

    /// From the first step of connecting to the first state.
    pub(crate) fn joins(&self) -> Percentiles {
        percentiles(&self.joins)
    }

    /// Time between two updates of a client.
    pub(crate) fn gaps(&self) -> Percentiles {
        percentiles(&self.gaps)
    }

    /// Time from an input to its effect; `None` when no effect was seen.
    pub(crate) fn latencies(&self) -> Option<Percentiles> {
        (!self.latencies.is_empty()).then(|| percentiles(&self.latencies))
    }
}

fn percentiles(histogram: &Histogram<u32>) -> Percentiles {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1000.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_came() {
        let mut tally = Tally::new();
        assert_eq!((tally.latencies(), tally.gaps()), (None, Percentiles::default()));
        for ms in 1..=1000 {
            tally.update(0, Some(Duration::from_millis(ms)), None);
        }
        tally.update(3, None, Some(Duration::from_millis(7)));
        let gaps = tally.gaps();
        for (found, expected) in
            [(gaps.p50, 500.0), (gaps.p99, 990.0), (gaps.p999, 999.0), (gaps.max, 1000.0)]
        {
            assert!((found / expected - 1.0_f64).abs() < 0.002, "{found} for {expected}");
        }
        assert!((tally.latencies().unwrap().p50 - 7.0).abs() < 0.02);
        assert_eq!((tally.updates, tally.skipped), (1001, 3));
    }
}
