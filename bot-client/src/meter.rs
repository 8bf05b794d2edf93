//! Measures the updates of one connection: their number, size, and the gaps between them.

use std::time::Duration;

use crate::tally::{Marks, Sample};

/// One connection's updates.
#[derive(Debug, Clone)]
pub struct Meter {
    period: Duration,
    last: Option<Duration>,
    /// Bytes of priors since the last update.
    prior_bytes: usize,
    /// How long updates may keep us waiting where nothing changes.
    quiet: Duration,
}

impl Meter {
    /// For a match with this time between two ticks, of which quiet ones are held back for so long at most.
    pub fn new(period: Duration, quiet: Duration) -> Meter {
        Meter { period, last: None, prior_bytes: 0, quiet }
    }

    /// An update of this many bytes arrived. While nothing is measured it only ends the gap before.
    pub fn handle_update(&mut self, now: Duration, bytes: usize, measuring: bool, marks: &mut Marks) {
        if !measuring {
            self.last = None;
            return;
        }
        marks.traffic.updates += 1;
        marks.traffic.update_bytes += bytes as u64;
        marks.samples.push(Sample::UpdateBytes(bytes + std::mem::take(&mut self.prior_bytes)));
        if let Some(last) = self.last {
            marks.samples.push(Sample::Gap(now.saturating_sub(last), self.period));
        }
        self.last = Some(now);
    }

    /// The update that arrives tells of so many quiet ticks besides: nobody waited for those.
    pub fn handle_quiet(&mut self, ticks: u64, measuring: bool, marks: &mut Marks) {
        if measuring {
            marks.traffic.quiet_ticks += ticks;
        }
        let passed = self.period.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        self.last = self.last.map(|last| last.saturating_add(passed));
    }

    /// A prior of this many bytes arrived. It brings no tick: its bytes are added to those of the next update, which
    /// could not be read without it.
    pub fn handle_prior(&mut self, bytes: usize, measuring: bool, marks: &mut Marks) {
        if measuring {
            marks.traffic.priors += 1;
            marks.traffic.prior_bytes += bytes as u64;
            marks.traffic.update_bytes += bytes as u64;
            self.prior_bytes += bytes;
        }
    }

    /// Measuring ends at `now`: updates that are overdue count with the time they have taken so far. Returns
    /// whether they were.
    pub fn handle_end(&mut self, now: Duration, marks: &mut Marks) -> bool {
        let gap = self
            .last
            .take()
            .map(|last| now.saturating_sub(last))
            .filter(|gap| *gap > self.period * 2 + self.quiet);
        marks.samples.extend(gap.map(|gap| Sample::Gap(gap, self.period)));
        gap.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Traffic;

    #[test]
    fn gaps_are_between_measured_updates_and_a_silent_end_is_one() {
        let ms = Duration::from_millis;
        let (mut meter, mut marks) = (Meter::new(ms(10), ms(200)), Marks::default());
        for (at, measuring) in [(0, false), (10, false), (20, true), (35, true)] {
            meter.handle_update(ms(at), 100, measuring, &mut marks);
        }
        assert!(meter.handle_end(ms(1035), &mut marks));
        let gaps: Vec<Sample> = marks.samples.into_iter().filter(|s| matches!(s, Sample::Gap(..))).collect();
        assert_eq!(gaps, [Sample::Gap(ms(15), ms(10)), Sample::Gap(ms(1000), ms(10))]);
        assert_eq!((marks.traffic.updates, marks.traffic.update_bytes), (2, 200));
        assert!(!meter.handle_end(ms(2000), &mut Marks::default()), "an end is measured once");
    }

    #[test]
    fn quiet_ticks_are_no_gap_and_what_is_late_behind_them_is() {
        let ms = Duration::from_millis;
        let (mut meter, mut marks) = (Meter::new(ms(10), ms(100)), Marks::default());
        for (at, quiet) in [(0, 0), (100, 9), (210, 9), (220, 0)] {
            meter.handle_quiet(quiet, true, &mut marks);
            meter.handle_update(ms(at), 10, true, &mut marks);
        }
        assert!(!meter.clone().handle_end(ms(340), &mut Marks::default()), "it may be quiet");
        assert!(meter.handle_end(ms(341), &mut marks));
        let gaps: Vec<Sample> = marks.samples.into_iter().filter(|s| matches!(s, Sample::Gap(..))).collect();
        assert_eq!(gaps, [10, 20, 10, 121].map(|gap| Sample::Gap(ms(gap), ms(10))));
        assert_eq!((marks.traffic.updates, marks.traffic.quiet_ticks), (4, 18));
    }

    #[test]
    fn a_prior_is_no_update_and_its_bytes_count_with_the_next_one() {
        let ms = Duration::from_millis;
        let (mut meter, mut marks) = (Meter::new(ms(10), ms(0)), Marks::default());
        meter.handle_prior(500, false, &mut marks);
        meter.handle_update(ms(0), 30, true, &mut marks);
        meter.handle_prior(500, true, &mut marks);
        meter.handle_update(ms(10), 20, true, &mut marks);
        meter.handle_update(ms(20), 20, true, &mut marks);
        let Traffic { updates, update_bytes, priors, prior_bytes, .. } = marks.traffic;
        assert_eq!((updates, update_bytes, priors, prior_bytes), (3, 570, 1, 500));
        let sizes = marks.samples.into_iter().filter(|sample| matches!(sample, Sample::UpdateBytes(_)));
        assert!(sizes.eq([30, 520, 20].map(Sample::UpdateBytes)));
    }
}
