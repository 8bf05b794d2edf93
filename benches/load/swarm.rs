//! What an update costs where each client gets a part of the world, beside one of plain matches of about as many bytes: the
//! swarm with all players in one match, and matches of the arena with drones, in turns.

use std::io;

use clap::Args;
use serde::Serialize;

use super::client::Load;
use super::html;
use super::plot::{Bar, bars};
use super::protocols::tickcast::Played;
use super::report::{Machine, Settings};
use super::run::{Outcome, Plan, Trial};
use super::summary::{Summary, median, summaries};
use super::systems::System;
use super::tasks::{progress, say};
use super::text::{number, percent, plain_table};

/// Whom it takes where nobody else is named.
pub(super) const SYSTEMS: [System; 1] = [System::TickcastTwo];

/// What `swarm` takes besides.
#[derive(Debug, Clone, Args)]
pub(crate) struct SwarmFlags {
    /// Players of the swarm
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    crowd: u32,
    /// Drones of the swarm
    #[arg(long, value_name = "N", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(..=10_000))]
    crowd_drones: u32,
    /// Drones of each plain match: as many as it takes, for its updates to be about as large
    #[arg(long, value_name = "N", default_value_t = 900, value_parser = clap::value_parser!(u32).range(..=900))]
    drones: u32,
}

/// All that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    task: &'static str,
    machine: Machine,
    /// Of the plain matches; the swarm has another number of players, in one match.
    load: Settings,
    swarm: Vec<Outcome>,
    plain: Vec<Outcome>,
    /// CPU time of an update of the swarm over that of a plain match, turn by turn and system by system.
    ratios: Vec<f64>,
}

/// Measures both, then both again, as often as wanted. Whether everything could be measured.
pub(super) fn compare(
    flags: &SwarmFlags,
    plan: Plan,
    systems: &[System],
    turns: u32,
) -> io::Result<(bool, Report)> {
    let of = |players, game, drones, matches| Plan {
        load: Load { players, played: Played { game, drones }, ..plan.load },
        matches,
        ..plan
    };
    let swarm = of(flags.crowd, "swarm", flags.crowd_drones, 1);
    let plain = of(plan.load.players, "arena", flags.drones, plan.matches);
    let mut report = Report::new(plain);
    let mut complete = true;
    for turn in 1..=turns {
        for system in systems {
            let measure = |plan: Plan| {
                let measured = Trial::start(*system, plan).and_then(|mut trial| trial.measure(plan.matches));
                let told = measured.as_ref().map_or_else(ToString::to_string, progress);
                let (name, game) = (system.name(), plan.load.played.game);
                say(&format!("{turn}/{turns} {name}, {game}: {told}"));
                measured
            };
            match (measure(swarm), measure(plain)) {
                (Ok(swarm), Ok(plain)) => report.add(swarm, plain),
                _ => complete = false,
            }
        }
    }
    Ok((complete, report))
}

impl Report {
    fn new(plain: Plan) -> Report {
        let (machine, load) = (Machine::this(plain.cores), Settings::of(plain));
        Report { task: "swarm", machine, load, swarm: Vec::new(), plain: Vec::new(), ratios: Vec::new() }
    }

    fn add(&mut self, swarm: Outcome, plain: Outcome) {
        self.ratios.push(swarm.cpu_us() / plain.cpu_us());
        self.swarm.push(swarm);
        self.plain.push(plain);
    }

    /// Both worlds on each system, medians.
    fn summaries(&self) -> Vec<(&'static str, Summary)> {
        let worlds = [("swarm", &self.swarm), ("plain", &self.plain)];
        let of = |(world, outcomes): (_, &Vec<Outcome>)| {
            summaries(outcomes).into_iter().map(move |summary| (world, summary))
        };
        worlds.into_iter().flat_map(of).collect()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.summaries().iter().map(|(world, summary)| row(world, summary)).collect()
    }

    fn verdict(&self) -> String {
        let ratio = number(median(self.ratios.iter().copied()), 2);
        let each = self.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(", ");
        format!("CPU time per update, swarm over plain: {ratio} (turns: {each})")
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}", plain_table(&HEADER, self.rows()), self.verdict())
    }

    /// As a page.
    pub(crate) fn page(&self) -> String {
        let who = format!("A swarm, and {} matches of {},", self.load.matches, html::members(&self.load));
        let outcomes = self.swarm.iter().chain(&self.plain);
        let conditions = html::conditions(&who, &self.machine, &self.load, outcomes);
        let of = |(world, summary): (&str, Summary)| Bar {
            name: format!("{world} {}", summary.system.name()),
            parts: vec![summary.user_us, summary.system_us],
        };
        let all: Vec<Bar> = self.summaries().into_iter().map(of).collect();
        let plot = bars("CPU time per update, microseconds", &["user", "kernel"], &all);
        let table = html::table(&HEADER, self.rows());
        let content = format!("{plot}\n<p>{}</p>\n{table}", self.verdict());
        html::frame("An update of a part of a large world", &conditions, &content)
    }
}

const HEADER: [&str; 13] = [
    "world",
    "system",
    "runs",
    "connections",
    "CPU us/update",
    "min..max",
    "user",
    "kernel",
    "B/update",
    "gap p50/p99/p99.9 ms",
    "delivered",
    "ticks skipped",
    "others' CPU",
];

fn row(world: &str, summary: &Summary) -> Vec<String> {
    vec![
        world.to_owned(),
        summary.system.name(),
        summary.runs.to_string(),
        summary.connections.to_string(),
        number(Some(summary.cpu_us), 2),
        format!("{:.1}..{:.1}", summary.cpu_us_min, summary.cpu_us_max),
        number(Some(summary.user_us), 2),
        number(Some(summary.system_us), 2),
        number(Some(summary.bytes_per_update), 0),
        format!("{:.1}/{:.1}/{:.1}", summary.gap_p50_ms, summary.gap_p99_ms, summary.gap_p999_ms),
        percent(summary.delivered),
        summary.skipped.to_string(),
        percent(summary.foreign),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::plan;
    use crate::load::summary::tests::outcome;

    #[test]
    fn both_worlds_are_told_and_their_ratio_is_that_of_the_turns() {
        let mut report = Report::new(plan());
        for (swarm, plain) in [(30.0, 20.0), (22.0, 20.0), (40.0, 20.0)] {
            report.add(outcome(System::TickcastTwo, swarm), outcome(System::TickcastTwo, plain));
        }
        let text = report.text();
        let page = report.page();
        for told in [text, page] {
            assert!(told.contains("swarm over plain: 1.50 (turns: 1.50, 1.10, 2.00)"), "{told}");
            assert!(told.contains("30.00") && told.contains("20.00"), "{told}");
        }
    }
}
