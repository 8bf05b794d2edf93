//! What a run of the catalogue came to: a line per phase, a verdict, a table, JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::GROWTH_KB_MAX;
use super::catalogue::Done;

/// So much later than without abuse may the 99th percentile of updates be, milliseconds.
const LATER_MS_MAX: f64 = 1.0;

/// Time between two updates of an honest bot, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gaps {
    /// How many were measured.
    pub count: u64,
    /// Half are not above it.
    pub p50: f64,
    /// 99 % are not above it.
    pub p99: f64,
    /// 99.9 % are not above it.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Gaps {
    /// As a report of bots tells them.
    pub fn of(report: &Value) -> Gaps {
        let number = |name: &str| report[name].as_f64().unwrap_or(f64::INFINITY);
        Gaps {
            count: report["count"].as_u64().unwrap_or(0),
            p50: number("p50"),
            p99: number("p99"),
            p999: number("p999"),
            max: number("max"),
        }
    }
}

/// What was seen while the bots played once.
#[derive(Debug, Clone)]
pub struct Phase {
    /// The row.
    pub row: String,
    /// What was done.
    pub what: String,
    /// Whether it is the second try.
    pub is_again: bool,
    /// How long it was measured.
    pub seconds: f64,
    /// What the attackers did.
    pub done: Done,
    /// What was not as it must be for attackers.
    pub wrong: Option<String>,
    /// What the honest saw.
    pub gaps: Gaps,
    /// What must not happen to the honest, and did.
    pub harm: Vec<String>,
    /// Memory of the nodes before, with nobody connected, kilobytes.
    pub before_kb: u64,
    /// The most of it meanwhile.
    pub peak_kb: u64,
    /// After, with nobody connected.
    pub after_kb: u64,
    /// Processor time of the nodes, as part of a core.
    pub cpu: f64,
    /// Processor time that each attack may cost, microseconds.
    pub cost_us_max: Option<f64>,
    /// How long a thread of the bots waited for its core each time, on average; microseconds.
    pub bots_wait_us: f64,
    /// What the host took of the nodes' core for others.
    pub stolen: f64,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Phases without abuse.
    pub quiet: Vec<Phase>,
    /// Rows, in the order in which they were driven.
    pub rows: Vec<Phase>,
    /// Whether bots go before attackers on their core.
    pub has_priority: bool,
    /// Whether times are judged: of a debug build they mean nothing.
    pub is_timed: bool,
}

impl Phase {
    /// For a person who waits.
    pub fn line(&self) -> String {
        let Gaps { p50, p99, p999, .. } = self.gaps;
        let mut line = format!(
            "{} {}: gaps p50 {p50:.1}, p99 {p99:.1}, p99.9 {p999:.1} ms, {:.1} -> {:.1} -> {:.1} MB, CPU {:.0} %",
            self.row,
            self.what,
            mb(self.before_kb),
            mb(self.peak_kb),
            mb(self.after_kb),
            100.0 * self.cpu
        );
        if !self.done.told.is_empty() {
            let _ = write!(line, "; {}", self.done.told);
        }
        for wrong in self.wrong.iter().chain(&self.harm) {
            let _ = write!(line, "; WRONG: {wrong}");
        }
        line
    }

    fn grown_kb(&self) -> u64 {
        self.after_kb.saturating_sub(self.before_kb)
    }
}

impl Outcome {
    /// The median of the quiet phases, of something.
    fn quiet(&self, of: impl Fn(&Phase) -> f64) -> f64 {
        let mut values: Vec<f64> = self.quiet.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    }

    /// How much later the 99th percentile of updates was than without abuse, milliseconds.
    fn later_ms(&self, phase: &Phase) -> f64 {
        phase.gaps.p99 - self.quiet(|quiet| quiet.gaps.p99)
    }

    /// Processor time of the nodes for each attack, microseconds.
    fn cost_us(&self, phase: &Phase) -> Option<f64> {
        let seconds = (phase.cpu - self.quiet(|quiet| quiet.cpu)).max(0.0) * phase.seconds;
        (phase.done.times > 0).then(|| seconds * 1e6 / phase.done.times as f64)
    }

    /// Whether the updates were late the last time that this row was driven.
    pub fn is_late(&self, row: &str) -> bool {
        let last = self.rows.iter().rfind(|phase| phase.row == row);
        self.is_timed && last.is_some_and(|phase| self.later_ms(phase) > LATER_MS_MAX)
    }

    /// What was not as promised.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for phase in self.quiet.iter().chain(&self.rows) {
            let row = &phase.row;
            faults.extend(phase.wrong.iter().chain(&phase.harm).map(|wrong| format!("{row}: {wrong}")));
            if phase.grown_kb() > GROWTH_KB_MAX {
                faults.push(format!("{row}: {:.1} MB more memory after it", mb(phase.grown_kb())));
            }
            if let (Some(cost), Some(max)) = (self.cost_us(phase), phase.cost_us_max)
                && cost > max
                && self.is_timed
            {
                faults.push(format!("{row}: {cost:.0} us for each, more than {max:.0}"));
            }
        }
        let driven: std::collections::BTreeSet<&String> = self.rows.iter().map(|phase| &phase.row).collect();
        let late = driven.into_iter().filter(|row| self.is_late(row));
        faults.extend(
            late.map(|row| format!("{row}: the p99 of updates is more than {LATER_MS_MAX} ms later")),
        );
        if let (Some(first), Some(last)) = (self.quiet.first(), self.quiet.last()) {
            let grown = last.after_kb.saturating_sub(first.after_kb);
            if grown > GROWTH_KB_MAX {
                faults.push(format!("{:.1} MB more memory at the end than at the begin", mb(grown)));
            }
        }
        faults
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<6} {:<42} {:>9} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>5} {:>7} {:>6} {:>6}",
            "row",
            "what",
            "attacks",
            "p50",
            "p99",
            "later",
            "p99.9",
            "MB",
            "peak",
            "after",
            "CPU",
            "us each",
            "wait",
            "stolen"
        );
        for phase in self.quiet.iter().chain(&self.rows) {
            let Gaps { p50, p99, p999, .. } = phase.gaps;
            let cost = self.cost_us(phase).map(|cost| format!("{cost:.0}")).unwrap_or_default();
            let again = if phase.is_again { " (again)" } else { "" };
            let _ = writeln!(
                out,
                "{:<6} {:<42} {:>9} {p50:>6.1} {p99:>6.1} {:>6.1} {p999:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>4.0}% {cost:>7} \
                 {:>6.0} {:>5.1}%",
                phase.row,
                format!("{}{again}", phase.what),
                phase.done.times,
                self.later_ms(phase),
                mb(phase.before_kb),
                mb(phase.peak_kb),
                mb(phase.after_kb),
                100.0 * phase.cpu,
                phase.bots_wait_us,
                100.0 * phase.stolen
            );
        }
        let _ = writeln!(
            out,
            "gaps between updates of honest bots in ms, `later` against the median p99 without abuse; memory of the nodes with \
             nobody connected, at its peak, and after; what a thread of the bots waited for its core, us; bots before attackers: {}",
            if self.has_priority { "yes" } else { "no" }
        );
        let faults = self.faults();
        faults.iter().for_each(|fault| {
            let _ = writeln!(out, "WRONG {fault}");
        });
        let _ = writeln!(out, "{}", if faults.is_empty() { "PASSED" } else { "FAILED" });
        out
    }

    /// For a program.
    pub fn json(&self) -> Value {
        let phase = |phase: &Phase| {
            let Gaps { count, p50, p99, p999, max } = phase.gaps;
            json!({
                "row": phase.row, "what": phase.what, "again": phase.is_again, "seconds": phase.seconds,
                "attacks": phase.done.times, "told": phase.done.told, "wrong": phase.wrong, "harm": phase.harm,
                "update_gap_ms": { "count": count, "p50": p50, "p99": p99, "p999": p999, "max": max },
                "later_ms": self.later_ms(phase), "cost_us": self.cost_us(phase),
                "resident_kb": { "before": phase.before_kb, "peak": phase.peak_kb, "after": phase.after_kb },
                "cpu": phase.cpu, "bots_wait_us": phase.bots_wait_us, "stolen": phase.stolen,
            })
        };
        json!({
            "passed": self.faults().is_empty(),
            "faults": self.faults(),
            "bots_before_attackers": self.has_priority,
            "quiet": self.quiet.iter().map(phase).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(phase).collect::<Vec<_>>(),
        })
    }
}

fn mb(kb: u64) -> f64 {
    kb as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(row: &str, p99: f64) -> Phase {
        Phase {
            row: row.to_owned(),
            what: String::new(),
            is_again: false,
            seconds: 6.0,
            done: Done { times: 1000, told: String::new() },
            wrong: None,
            gaps: Gaps { count: 36_000, p50: 33.3, p99, p999: p99, max: p99 },
            harm: Vec::new(),
            before_kb: 30_000,
            peak_kb: 90_000,
            after_kb: 31_000,
            cpu: 0.2,
            cost_us_max: None,
            bots_wait_us: 5.0,
            stolen: 0.0,
        }
    }

    fn run(rows: Vec<Phase>) -> Outcome {
        let quiet = [35.0, 99.0, 34.0].map(|p99| Phase { cpu: 0.1, ..phase("quiet", p99) });
        Outcome { quiet: quiet.into(), rows, has_priority: true, is_timed: true }
    }

    #[test]
    fn a_row_is_judged_by_what_became_of_it() {
        let good = run(vec![phase("A-01", 35.9)]);
        assert_eq!(good.faults(), [""; 0]);
        assert!(good.text().ends_with("PASSED\n") && good.json()["passed"] == true);
        let wrongs = [
            Phase { wrong: Some("not closed".to_owned()), ..phase("A-01", 35.0) },
            Phase { harm: vec!["1 lost_ticks".to_owned()], ..phase("A-01", 35.0) },
            Phase { after_kb: 30_000 + GROWTH_KB_MAX + 1, ..phase("A-01", 35.0) },
        ];
        for wrong in wrongs {
            let outcome = run(vec![wrong.clone()]);
            assert_eq!(outcome.faults().len(), 1, "{wrong:?}");
            assert!(outcome.text().ends_with("FAILED\n") && outcome.json()["passed"] == false);
        }
    }

    #[test]
    fn memory_that_grows_a_little_in_each_row_has_grown() {
        let mut outcome = run(Vec::new());
        outcome.quiet[2].after_kb += GROWTH_KB_MAX + 1;
        outcome.quiet[2].before_kb = outcome.quiet[2].after_kb;
        assert_eq!(outcome.faults().len(), 1, "{:?}", outcome.faults());
    }

    #[test]
    fn the_last_of_two_tries_says_whether_updates_were_late() {
        assert!(run(vec![phase("A-01", 36.1)]).is_late("A-01"), "more than 1 ms above the median");
        assert_eq!(run(vec![phase("A-01", 36.1), phase("A-01", 35.2)]).faults(), [""; 0]);
        assert_eq!(run(vec![phase("A-01", 35.2), phase("A-01", 36.1)]).faults().len(), 1);
        // 0.1 of a core for 6 s, by 1000.
        let dear = Phase { cost_us_max: Some(599.0), ..phase("A-02", 35.0) };
        assert_eq!(run(vec![dear]).faults().len(), 1);
    }
}
