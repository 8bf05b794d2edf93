//! How costs grew, as tables, as a page and as JSON.

use serde::Serialize;

use super::{Series, Step};
use crate::load::html;
use crate::load::plot::{Bar, bars};
use crate::load::report::{Machine, Settings};
use crate::load::run::Plan;
use crate::load::summary::{Summary, summaries};
use crate::load::systems::System;
use crate::load::text::{number, percent, plain_table};

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    task: &'static str,
    machine: Machine,
    load: Settings,
    /// Medians over all turns.
    rows: Vec<Row>,
    /// Each measurement.
    steps: Vec<Step>,
}

/// One system at one size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    series: Series,
    players: u32,
    matches: u32,
    /// CPU time per update as a multiple of what the same system took at its smallest size.
    to_smallest: f64,
    /// Compared with the floors of the same size.
    summary: Summary,
}

impl Report {
    /// What these measurements say.
    pub(crate) fn new(plan: Plan, steps: Vec<Step>) -> Report {
        let (machine, load) = (Machine::this(plan.cores), Settings::of(plan));
        Report { task: "growth", machine, load, rows: rows(&steps), steps }
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let tables = self.series().into_iter().map(|series| plain_table(&HEADER, self.cells(series)));
        tables.collect::<Vec<_>>().join("\n")
    }

    /// As a page.
    pub(crate) fn page(&self) -> String {
        let outcomes = self.steps.iter().map(|step| &step.outcome);
        let conditions = html::conditions("more and more players", &self.machine, &self.load, outcomes);
        let parts = self.series().into_iter().map(|series| self.plots(series));
        html::frame("How the cost of an update grows", &conditions, &parts.collect::<String>())
    }

    /// What grew.
    fn series(&self) -> Vec<Series> {
        let all = [Series::Connections, Series::Matches];
        all.into_iter().filter(|series| self.of(*series).next().is_some()).collect()
    }

    fn of(&self, series: Series) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.series == series)
    }

    fn cells(&self, series: Series) -> impl Iterator<Item = Vec<String>> {
        self.of(series).map(Row::cells)
    }

    fn plots(&self, series: Series) -> String {
        let grows = match series {
            Series::Connections => "as connections grow",
            Series::Matches => "as matches grow",
        };
        let plot = |title: &str, parts: &[&str], of: &dyn Fn(&Row) -> Vec<f64>| {
            let all: Vec<Bar> = self.of(series).map(|row| Bar { name: row.name(), parts: of(row) }).collect();
            bars(&format!("{title}, {grows}"), parts, &all)
        };
        [
            plot("CPU time per update, microseconds", &["user", "kernel"], &|row| {
                vec![row.summary.user_us, row.summary.system_us]
            }),
            plot("CPU time per update, times floor-scan of the same size", &[], &|row| {
                vec![row.summary.to_scan.unwrap_or(0.0)]
            }),
            plot(
                "time between updates, milliseconds",
                &["p50", "and on to p99", "and on to p99.9"],
                &|row| {
                    let Summary { gap_p50_ms, gap_p99_ms, gap_p999_ms, .. } = row.summary;
                    vec![gap_p50_ms, gap_p99_ms - gap_p50_ms, gap_p999_ms - gap_p99_ms]
                },
            ),
            html::table(&HEADER, self.cells(series)),
        ]
        .concat()
    }
}

const HEADER: [&str; 15] = [
    "system",
    "matches",
    "connections",
    "CPU us/update",
    "min..max",
    "x smallest",
    "x scan",
    "Redis us",
    "server cores",
    "gap p50/p99/p99.9 ms",
    "delivered",
    "ticks skipped",
    "B/update",
    "RSS KB/conn",
    "others' CPU",
];

impl Row {
    fn name(&self) -> String {
        let size = match self.series {
            Series::Connections => self.summary.connections,
            Series::Matches => self.matches as usize,
        };
        format!("{} {size}", self.summary.system.name())
    }

    fn cells(&self) -> Vec<String> {
        let s = &self.summary;
        vec![
            s.system.name(),
            format!("{} of {}", self.matches, self.players),
            s.connections.to_string(),
            number(Some(s.cpu_us), 2),
            format!("{:.1}..{:.1}", s.cpu_us_min, s.cpu_us_max),
            number(Some(self.to_smallest), 2),
            number(s.to_scan, 2),
            number(s.redis_us, 2),
            number(Some(s.server_cores), 2),
            format!("{:.1}/{:.1}/{:.1}", s.gap_p50_ms, s.gap_p99_ms, s.gap_p999_ms),
            percent(s.delivered),
            s.skipped.to_string(),
            number(Some(s.bytes_per_update), 0),
            number(Some(s.resident_kb), 1),
            percent(s.foreign),
        ]
    }
}

/// One row for each system and size: by series, then by system in the order in which they came, then by size.
fn rows(steps: &[Step]) -> Vec<Row> {
    let mut sizes: Vec<(Series, u32, u32)> = Vec::new();
    let mut systems: Vec<System> = Vec::new();
    for Step { series, players, matches, outcome } in steps {
        if !sizes.contains(&(*series, *players, *matches)) {
            sizes.push((*series, *players, *matches));
        }
        if !systems.contains(&outcome.system) {
            systems.push(outcome.system);
        }
    }
    sizes.sort_by_key(|(series, _, matches)| (*series as u8, *matches));
    let mut rows: Vec<Row> = sizes.into_iter().flat_map(|size| at_size(steps, size)).collect();
    let place = |row: &Row| systems.iter().position(|system| *system == row.summary.system);
    rows.sort_by_key(|row| (row.series as u8, place(row), row.matches));
    let to_smallest = |row: &Row| {
        let is_same = |other: &&Row| (other.series, other.summary.system) == (row.series, row.summary.system);
        let smallest = rows.iter().find(is_same).map(|smallest| smallest.summary.cpu_us);
        smallest.filter(|cost| *cost > 0.0).map_or(0.0, |cost| row.summary.cpu_us / cost)
    };
    let ratios: Vec<f64> = rows.iter().map(to_smallest).collect();
    rows.iter_mut().zip(ratios).for_each(|(row, ratio)| row.to_smallest = ratio);
    rows
}

fn at_size(steps: &[Step], (series, players, matches): (Series, u32, u32)) -> Vec<Row> {
    let here = steps.iter().filter(|step| (step.series, step.matches) == (series, matches));
    let outcomes: Vec<_> = here.map(|step| step.outcome.clone()).collect();
    let row = |summary| Row { series, players, matches, to_smallest: 1.0, summary };
    summaries(&outcomes).into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::plan;
    use crate::load::run::Outcome;
    use crate::load::summary::tests::outcome;

    fn step(series: Series, system: System, matches: u32, cpu_us: f64) -> Step {
        let outcome = Outcome { connections: matches as usize * 2, ..outcome(system, cpu_us) };
        Step { series, players: 2, matches, outcome }
    }

    fn report() -> Report {
        use System::{FloorScan, Tickcast};
        let connections = |system, matches, cpu_us| step(Series::Connections, system, matches, cpu_us);
        let steps = vec![
            connections(FloorScan, 9, 10.0),
            step(Series::Matches, Tickcast, 1000, 50.0),
            step(Series::Matches, Tickcast, 1, 40.0),
            connections(FloorScan, 3, 5.0),
            connections(Tickcast, 9, 30.0),
            connections(Tickcast, 3, 20.0),
            connections(Tickcast, 3, 18.0),
            connections(Tickcast, 3, 25.0),
        ];
        Report::new(plan(), steps)
    }

    #[test]
    fn a_size_is_held_against_the_smallest_and_against_the_floor_of_the_same_size() {
        let told = report().rows.into_iter().map(|row| {
            (row.name(), row.summary.cpu_us, row.to_smallest, row.summary.to_scan, row.summary.runs)
        });
        let name = |name: &str| name.to_owned();
        let expected = [
            (name("floor-scan 6"), 5.0, 1.0, Some(1.0), 1),
            (name("floor-scan 18"), 10.0, 2.0, Some(1.0), 1),
            (name("tickcast 6"), 20.0, 1.0, Some(4.0), 3),
            (name("tickcast 18"), 30.0, 1.5, Some(3.0), 1),
            (name("tickcast 1"), 40.0, 1.0, None, 1),
            (name("tickcast 1000"), 50.0, 1.25, None, 1),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_size_is_told_everywhere() {
        let report = report();
        let (text, page) = (report.text(), report.page());
        for part in ["9 of 2", "1000 of 2", "floor-scan", "1.25", "50.0/51.0/52.0"] {
            assert!(text.contains(part), "{part} in {text}");
            assert!(page.contains(part), "{part} in the page");
        }
        assert!(page.contains("as connections grow") && page.contains("as matches grow"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rows"][3]["to_smallest"], 1.5);
        assert_eq!(json["steps"][0]["outcome"]["gap_ms"]["p99"], 51.0);
    }
}
