//! Measures the updates of one connection: their number, size, and the gaps between them.

use std::time::Duration;

use crate::tally::{Marks, Sample};

/// One connection's updates.
#[derive(Debug, Clone)]
pub struct Meter {
    period: Duration,
    last: Option<Duration>,
}

impl Meter {
    /// For a match with this time between two ticks.
    pub fn new(period: Duration) -> Meter {
        Meter { period, last: None }
    }

    /// An update of this many bytes arrived. While nothing is measured it only ends the gap before.
    pub fn handle_update(&mut self, now: Duration, bytes: usize, measuring: bool, marks: &mut Marks) {
        if !measuring {
            self.last = None;
            return;
        }
        marks.traffic.updates += 1;
        marks.traffic.update_bytes += bytes as u64;
        marks.samples.push(Sample::UpdateBytes(bytes));
        if let Some(last) = self.last {
            marks.samples.push(Sample::Gap(now.saturating_sub(last), self.period));
        }
        self.last = Some(now);
    }

    /// Measuring ends at `now`: updates that are overdue count with the time they have taken so far. Returns
    /// whether they were.
    pub fn handle_end(&mut self, now: Duration, marks: &mut Marks) -> bool {
        let gap = self.last.take().map(|last| now.saturating_sub(last)).filter(|gap| *gap > self.period * 2);
        marks.samples.extend(gap.map(|gap| Sample::Gap(gap, self.period)));
        gap.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_between_measured_updates_and_a_silent_end_is_one() {
        let ms = Duration::from_millis;
        let (mut meter, mut marks) = (Meter::new(ms(10)), Marks::default());
        for (at, measuring) in [(0, false), (10, false), (20, true), (35, true)] {
            meter.handle_update(ms(at), 100, measuring, &mut marks);
        }
        assert!(meter.handle_end(ms(1035), &mut marks));
        let gaps: Vec<Sample> = marks.samples.into_iter().filter(|s| matches!(s, Sample::Gap(..))).collect();
        assert_eq!(gaps, [Sample::Gap(ms(15), ms(10)), Sample::Gap(ms(1000), ms(10))]);
        assert_eq!((marks.traffic.updates, marks.traffic.update_bytes), (2, 200));
        assert!(!meter.handle_end(ms(2000), &mut Marks::default()), "an end is measured once");
    }
}
