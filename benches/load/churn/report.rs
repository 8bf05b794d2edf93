//! What comers and goers left behind, as a table, as a page and as JSON.

use serde::Serialize;

use super::{Churn, ChurnFlags};
use crate::load::html;
use crate::load::plot::{Bar, bars};
use crate::load::report::{Machine, Settings};
use crate::load::run::Plan;
use crate::load::text::{number, plain_table};

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    task: &'static str,
    machine: Machine,
    load: Settings,
    joins_per_second: u32,
    stay_seconds: f64,
    churns: Vec<Churn>,
}

const JOINS: [&str; 8] = [
    "system",
    "joined",
    "failed",
    "join p50/p99/max ms",
    "others' gap p99/p99.9 ms before",
    "meanwhile",
    "server cores before",
    "meanwhile",
];
const HELD: [&str; 9] = [
    "system",
    "RSS MB before",
    "peak",
    "after",
    "growth",
    "files before/after",
    "keys before/after",
    "settled in s",
    "verdict",
];

impl Report {
    /// What was found.
    pub(crate) fn new(flags: ChurnFlags, plan: Plan, churns: Vec<Churn>) -> Report {
        let (machine, load) = (Machine::this(plan.cores), Settings::of(plan));
        Report {
            task: "churn",
            machine,
            load,
            joins_per_second: flags.rate,
            stay_seconds: flags.stay,
            churns,
        }
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let failures = self.churns.iter().filter_map(|churn| {
            let failure = churn.failure.as_ref()?;
            Some(format!("{}: {} failed, the first because: {failure}", churn.system.name(), churn.failed))
        });
        let tables = [plain_table(&JOINS, self.joins()), plain_table(&HELD, self.held())];
        tables.into_iter().chain(failures).collect::<Vec<_>>().join("\n")
    }

    /// As a page.
    pub(crate) fn page(&self) -> String {
        let who = format!(
            "{} matches of {}, and {} joins and leaves per second of players who stay for {} s,",
            self.load.matches,
            html::members(&self.load),
            self.joins_per_second,
            self.stay_seconds
        );
        let outcomes = self.churns.iter().flat_map(|churn| [&churn.quiet, &churn.busy]);
        let conditions = html::conditions(&who, &self.machine, &self.load, outcomes);
        let plot = |title: &str, of: &dyn Fn(&Churn) -> [(&'static str, f64); 3]| {
            let all = self.churns.iter().flat_map(|churn| {
                let name = churn.system.name();
                of(churn).map(|(when, value)| Bar { name: format!("{name} {when}"), parts: vec![value] })
            });
            bars(title, &[], &all.collect::<Vec<_>>())
        };
        let content = [
            plot("resident memory, MB", &|churn| {
                let [before, peak, after] =
                    [churn.before.resident_kb, churn.peak_kb, churn.after.resident_kb].map(mb);
                [("before", before), ("peak", peak), ("after", after)]
            }),
            plot("from connecting to the first state, milliseconds", &|churn| {
                let of = churn.join_ms;
                [("p50", of.p50), ("p99", of.p99), ("p99.9", of.p999)]
            }),
            html::table(&JOINS, self.joins()),
            html::table(&HELD, self.held()),
        ];
        html::frame("Players who come and go", &conditions, &content.concat())
    }

    fn joins(&self) -> impl Iterator<Item = Vec<String>> {
        self.churns.iter().map(|churn| {
            let gaps = [churn.quiet.gap_ms, churn.busy.gap_ms];
            let [quiet, busy] = gaps.map(|gap| format!("{:.1}/{:.1}", gap.p99, gap.p999));
            let join = churn.join_ms;
            vec![
                churn.system.name(),
                churn.joined.to_string(),
                churn.failed.to_string(),
                format!("{:.1}/{:.1}/{:.1}", join.p50, join.p99, join.max),
                quiet,
                busy,
                number(Some(churn.quiet.server_cores), 2),
                number(Some(churn.busy.server_cores), 2),
            ]
        })
    }

    fn held(&self) -> impl Iterator<Item = Vec<String>> {
        self.churns.iter().map(|churn| {
            let Churn { before, after, peak_kb, .. } = churn;
            let [quiet, peak, end] =
                [before.resident_kb, *peak_kb, after.resident_kb].map(|kb| number(Some(mb(kb)), 1));
            let keys = before.keys.zip(after.keys);
            vec![
                churn.system.name(),
                quiet,
                peak,
                end,
                format!("{:+.1} %", after.growth(before) * 100.0),
                format!("{}/{}", before.files, after.files),
                keys.map_or_else(|| "-".to_owned(), |(before, after)| format!("{before}/{after}")),
                number(Some(churn.settled_seconds), 0),
                if churn.is_back() { "back" } else { "NOT BACK" }.to_owned(),
            ]
        })
    }
}

fn mb(kb: u64) -> f64 {
    kb as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::churn::Held;
    use crate::load::report::tests::plan;
    use crate::load::summary::tests::outcome;
    use crate::load::systems::System;
    use crate::load::tally::Percentiles;

    #[test]
    fn what_was_left_behind_is_told_everywhere() {
        let before = Held { resident_kb: 10_240, files: 20, keys: Some(3) };
        let quiet = outcome(System::TickcastRedis, 20.0);
        let churn = Churn {
            system: System::TickcastRedis,
            quiet: quiet.clone(),
            busy: quiet,
            joined: 24_000,
            failed: 1,
            failure: Some("closed with code 4000".to_owned()),
            join_ms: Percentiles { p50: 30.0, p99: 60.5, p999: 70.0, max: 80.0 },
            before,
            peak_kb: 20_480,
            after: Held { resident_kb: 11_264, keys: Some(5), ..before },
            settled_seconds: 60.0,
        };
        let flags = ChurnFlags { rate: 200, stay: 1.0, settle: 60.0 };
        let back = Churn { system: System::Tickcast, after: before, failure: None, ..churn.clone() };
        let report = Report::new(flags, plan(), vec![churn, back]);
        let (text, page) = (report.text(), report.page());
        for part in ["24000", "30.0/60.5/80.0", "51.0/52.0", "+10.0 %", "20/20", "3/5", "NOT BACK"] {
            assert!(text.contains(part), "{part} in {text}");
            assert!(page.contains(part), "{part} in the page");
        }
        assert!(text.contains("tickcast-redis: 1 failed, the first because: closed with code 4000"));
        assert_eq!(text.matches(" back ").count(), 1, "{text}");
        assert!(page.contains("200 joins and leaves per second") && page.contains("tickcast-redis peak"));
        assert_eq!(serde_json::to_value(&report).unwrap()["churns"][0]["after"]["keys"], 5);
    }
}
