//! Everything that a task of `load` found, and how it is told on the terminal.

use serde::Serialize;

use super::hands::Style;
use super::knee::Knee;
use super::process::Cores;
use super::procfs;
use super::run::{Outcome, Plan};
use super::summary::{Summary, median, summaries};
use super::systems::System;
use super::text::{self, COST, Column, DELIVERY, IDLE, LATENCY};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Cpu,
    Latency,
    Idle,
    Knee,
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// What was asked.
    pub(crate) task: Kind,
    /// On what.
    pub(crate) machine: Machine,
    /// The load.
    pub(crate) load: Settings,
    /// Each system over all its turns; empty where the load grows.
    pub(crate) summaries: Vec<Summary>,
    /// Each turn of each system, where the load grows.
    pub(crate) knees: Vec<Knee>,
    /// Each measurement, in the order in which they were made.
    pub(crate) outcomes: Vec<Outcome>,
}

/// Where it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Whether servers and load had a core each.
    pub(crate) is_pinned: bool,
}

/// How it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Settings {
    pub(crate) players: u32,
    pub(crate) spectators: u32,
    pub(crate) matches: u32,
    pub(crate) tick_rate: u32,
    pub(crate) sends_inputs: bool,
    pub(crate) hands: Style,
    pub(crate) may_fire: bool,
    pub(crate) warm_up_seconds: f64,
    pub(crate) seconds: f64,
}

impl Settings {
    /// Those of a plan.
    pub(crate) fn of(plan: Plan) -> Settings {
        Settings {
            players: plan.load.players,
            spectators: plan.load.spectators,
            matches: plan.matches,
            tick_rate: plan.load.tick_rate,
            sends_inputs: plan.load.sends_inputs,
            hands: plan.load.hands,
            may_fire: plan.load.may_fire,
            warm_up_seconds: plan.warm_up.as_secs_f64(),
            seconds: plan.time.as_secs_f64(),
        }
    }
}

impl Machine {
    /// This one, with this place for what is measured.
    pub(crate) fn this(place: Cores) -> Machine {
        Machine {
            processor: procfs::processor(),
            cores: procfs::cores().map_or(1, |cores| cores.len()),
            kernel: procfs::kernel(),
            is_pinned: place.server.is_some(),
        }
    }
}

impl Report {
    /// What these measurements say.
    pub(crate) fn new(task: Kind, plan: Plan, outcomes: Vec<Outcome>, knees: Vec<Knee>) -> Report {
        let (machine, load) = (Machine::this(plan.cores), Settings::of(plan));
        let summaries = if task == Kind::Knee { Vec::new() } else { summaries(&outcomes) };
        Report { task, machine, load, summaries, knees, outcomes }
    }

    /// The tables that tell it.
    pub(crate) fn columns(&self) -> &'static [&'static [Column]] {
        match self.task {
            Kind::Cpu => &[COST, DELIVERY],
            Kind::Latency => &[LATENCY, COST],
            Kind::Idle => &[IDLE],
            Kind::Knee => &[],
        }
    }

    /// Heading and rows of the table of knees.
    pub(crate) fn knee_table(&self) -> ([&'static str; 5], Vec<Vec<String>>) {
        let players = |system| self.knee_players(system);
        let ratio = |own: f64, other: System| {
            let other = players(other).filter(|other| *other > 0.0);
            text::number(other.map(|other| own / other), 2)
        };
        let rows = self.knee_systems().into_iter().filter_map(|system| {
            let own = players(system)?;
            let turns: Vec<String> = self.of(system).map(|knee| knee.players.to_string()).collect();
            let (scan, colyseus) = (ratio(own, System::FloorScan), ratio(own, System::Colyseus));
            Some(vec![system.name(), text::number(Some(own), 0), turns.join(" "), scan, colyseus])
        });
        (["system", "players at the knee", "each turn", "x floor-scan", "x colyseus"], rows.collect())
    }

    fn of(&self, system: System) -> impl Iterator<Item = &Knee> {
        self.knees.iter().filter(move |knee| knee.system == system)
    }

    /// The systems that grew, in their order.
    pub(crate) fn knee_systems(&self) -> Vec<System> {
        System::all().into_iter().filter(|system| self.of(*system).next().is_some()).collect()
    }

    /// Players at the knee of a system, the median of its turns.
    pub(crate) fn knee_players(&self, system: System) -> Option<f64> {
        median(self.of(system).map(|knee| knee.players as f64))
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let mut tables: Vec<String> =
            self.columns().iter().map(|columns| text::table(columns, &self.summaries)).collect();
        if self.task == Kind::Knee {
            let (header, rows) = self.knee_table();
            tables.push(text::plain_table(&header, rows));
        }
        tables.join("\n")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::client::Load;
    use crate::load::protocols::tickcast::Played;
    use crate::load::summary::tests::outcome;

    /// A report of this kind, of two systems.
    pub(crate) fn report(task: Kind) -> Report {
        let plan = plan();
        let outcomes = vec![outcome(System::FloorScan, 10.0), outcome(System::Tickcast, 25.0)];
        let knee = |system, players| Knee { system, players, server_cores: 0.9 };
        let knees =
            vec![knee(System::FloorScan, 4000), knee(System::Tickcast, 1000), knee(System::Tickcast, 3000)];
        Report::new(task, plan, outcomes, if task == Kind::Knee { knees } else { Vec::new() })
    }

    /// Two matches of 32 players.
    pub(crate) fn plan() -> Plan {
        let load = Load {
            players: 32,
            spectators: 0,
            guests: 0,
            tick_rate: 20,
            sends_inputs: true,
            hands: Style::Play,
            may_fire: true,
            ramp: 1,
            probes: 0,
            played: Played::ARENA,
        };
        let (warm_up, time) = (Duration::from_secs(1), Duration::from_secs(5));
        let cores = Cores { server: Some(0), load: Some(1) };
        Plan { load, matches: 2, warm_up, time, is_idle: false, cores }
    }

    #[test]
    fn every_task_is_told_with_every_system() {
        for task in [Kind::Cpu, Kind::Latency, Kind::Idle, Kind::Knee] {
            let text = report(task).text();
            assert!(text.contains("floor-scan") && text.contains("tickcast"), "{task:?}: {text}");
        }
    }

    #[test]
    fn a_knee_is_the_median_of_its_turns() {
        let (_, rows) = report(Kind::Knee).knee_table();
        assert_eq!(rows[0], ["floor-scan", "4000", "4000", "1.00", "-"]);
        assert_eq!(rows[1], ["tickcast", "2000", "1000 3000", "0.50", "-"]);
    }

    #[test]
    fn json_has_everything() {
        let json = serde_json::to_value(report(Kind::Cpu)).unwrap();
        assert_eq!(json["task"], "cpu");
        assert_eq!(json["summaries"][1]["system"], "tickcast");
        assert_eq!(json["summaries"][1]["to_scan"], 2.5);
        assert_eq!(json["outcomes"][0]["gap_ms"]["p99"], 51.0);
    }
}
