//! Ceilings: what an update may cost, as a multiple of what it costs on a floor in the same comparison, and how much
//! memory a connection may take.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::summary::Summary;
use super::systems::System;
use super::text;

/// `budget.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    ceiling: Vec<Ceiling>,
    #[serde(default)]
    memory: Vec<MemoryCeiling>,
}

/// What one system may cost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ceiling {
    system: System,
    floor: System,
    /// At most so many times the floor's CPU time per update.
    ratio: f64,
    /// Where this is to come down to.
    goal: f64,
}

/// What a connection may take of one system.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryCeiling {
    system: System,
    /// At most so many KiB of resident memory.
    kb: f64,
    /// Where this is to come down to.
    goal: f64,
}

/// What came of a ceiling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    system: System,
    /// What is compared.
    of: String,
    /// `None` when it, or its floor, was not measured.
    measured: Option<f64>,
    ceiling: f64,
    goal: f64,
}

impl Verdict {
    /// Whether it is known to be under its ceiling.
    pub(crate) fn holds(&self) -> bool {
        self.measured.is_some_and(|measured| measured <= self.ceiling)
    }
}

impl Budget {
    /// Reads it.
    pub(crate) fn read(path: &Path) -> io::Result<Budget> {
        let bad = |why: String| io::Error::other(format!("{}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Budget::parse(&text).map_err(bad)
    }

    fn parse(text: &str) -> Result<Budget, String> {
        let budget: Budget = toml::from_str(text).map_err(|error| error.to_string())?;
        let wrong = budget.ceiling.iter().find(|ceiling| {
            !matches!(ceiling.floor, System::FloorScan | System::FloorEpoll) || ceiling.ratio <= 0.0
        });
        match wrong {
            Some(Ceiling { system, .. }) => {
                Err(format!("the ceiling of {} has no floor or no ratio", system.name()))
            }
            None if budget.memory.iter().any(|memory| memory.kb <= 0.0) => {
                Err("a ceiling of memory is above 0 KB".to_owned())
            }
            None => Ok(budget),
        }
    }

    /// Whom it takes to judge by it: floors first.
    pub(crate) fn systems(&self) -> Vec<System> {
        let named = self.ceiling.iter().flat_map(|ceiling| [ceiling.floor, ceiling.system]);
        let named = named.chain(self.memory.iter().map(|memory| memory.system));
        let mut systems: Vec<System> = named.collect();
        systems.sort();
        systems.dedup();
        systems
    }

    /// Holds it against what was measured in one comparison.
    pub(crate) fn judge(&self, summaries: &[Summary]) -> Vec<Verdict> {
        let find = |system| summaries.iter().find(|summary| summary.system == system);
        let cpu = |system| find(system).map(|summary| summary.cpu_us);
        let costs = self.ceiling.iter().map(|Ceiling { system, floor, ratio, goal }| Verdict {
            system: *system,
            of: format!("CPU, x {}", floor.name()),
            measured: cpu(*system)
                .zip(cpu(*floor).filter(|floor| *floor > 0.0))
                .map(|(cost, floor)| cost / floor),
            ceiling: *ratio,
            goal: *goal,
        });
        let memory = self.memory.iter().map(|MemoryCeiling { system, kb, goal }| Verdict {
            system: *system,
            of: "RSS KB/conn".to_owned(),
            measured: find(*system).map(|summary| summary.resident_kb),
            ceiling: *kb,
            goal: *goal,
        });
        costs.chain(memory).collect()
    }
}

/// Verdicts for the terminal.
pub(crate) fn table(verdicts: &[Verdict]) -> String {
    let header = ["system", "what", "measured", "ceiling", "goal", "verdict"];
    let rows = verdicts.iter().map(|verdict| {
        let [measured, ceiling, goal] = [verdict.measured, Some(verdict.ceiling), Some(verdict.goal)]
            .map(|figure| text::number(figure, 2));
        let word = match verdict.measured {
            None => "not measured",
            Some(_) if verdict.holds() => "holds",
            Some(_) => "TOO DEAR",
        };
        vec![verdict.system.name(), verdict.of.clone(), measured, ceiling, goal, word.to_owned()]
    });
    text::plain_table(&header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::summary::{summaries, tests::outcome};

    const TEXT: &str =
        "[[ceiling]]\nsystem = \"tickcast\"\nfloor = \"floor-scan\"\nratio = 2.5\ngoal = 1.25\n";

    #[test]
    fn a_ceiling_is_held_against_the_medians_of_one_comparison() {
        let budget = Budget::parse(TEXT).unwrap();
        assert_eq!(budget.systems(), [System::FloorScan, System::Tickcast]);
        let judge = |cost| {
            let outcomes = [outcome(System::FloorScan, 10.0), outcome(System::Tickcast, cost)];
            budget.judge(&summaries(&outcomes)).remove(0)
        };
        assert!(judge(25.0).holds());
        assert!(!judge(25.1).holds());
        assert!(table(&[judge(30.0)]).contains("TOO DEAR"));
        let missing = budget.judge(&summaries(&[outcome(System::Tickcast, 1.0)]));
        assert!(!missing[0].holds(), "what was not measured is not known to hold");
        assert!(table(&missing).contains("not measured"));
    }

    #[test]
    fn a_connection_s_memory_has_a_ceiling_too() {
        let memory = "[[memory]]\nsystem = \"tickcast-redis\"\nkb = 15.0\ngoal = 12.0\n";
        let budget = Budget::parse(&format!("{TEXT}{memory}")).unwrap();
        assert!(budget.systems().contains(&System::TickcastRedis), "it is measured for its memory alone");
        let judge = |kb| {
            let mut outcome = outcome(System::TickcastRedis, 10.0);
            outcome.resident_kb = kb;
            budget.judge(&summaries(&[outcome])).remove(1)
        };
        assert!(judge(15.0).holds() && !judge(15.1).holds());
        assert!(!budget.judge(&[])[1].holds(), "what was not measured is not known to hold");
        assert!(Budget::parse(&format!("{TEXT}{}", memory.replace("15.0", "0.0"))).is_err());
    }

    #[test]
    fn what_is_no_budget_is_refused() {
        assert!(Budget::parse(&TEXT.replace("floor-scan", "colyseus")).is_err());
        assert!(Budget::parse(&TEXT.replace("2.5", "0.0")).is_err());
        assert!(Budget::parse(&TEXT.replace("goal", "hope")).is_err());
        assert!(Budget::parse("").is_err());
    }

    #[test]
    fn the_budget_of_the_checkout_can_be_read() {
        let budget = Budget::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/budget.toml"))).unwrap();
        assert!(budget.ceiling.iter().all(|ceiling| ceiling.goal <= ceiling.ratio));
        assert!(budget.memory.iter().all(|memory| memory.goal <= memory.kb));
    }
}
