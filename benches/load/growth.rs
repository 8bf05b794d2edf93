//! How the cost of an update grows: each system is measured at a series of sizes, once with more and more connections in
//! matches of one size, once with more and more matches.

use std::io;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::client::Load;
use super::run::{Outcome, Plan, Trial};
use super::systems::System;
use super::tasks::{progress, say};

mod report;

pub(super) use report::Report;

/// Whom it takes where nobody else is named.
pub(super) const SYSTEMS: [System; 3] = [System::FloorScan, System::Tickcast, System::TickcastRedis];

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Series {
    /// Connections, in matches of --players
    Connections,
    /// Matches, of --match-players each
    Matches,
}

/// What `growth` takes besides.
#[derive(Debug, Clone, Args)]
pub(crate) struct GrowthFlags {
    /// What grows, one after the other
    #[arg(
        long,
        value_enum,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "connections,matches"
    )]
    pub(crate) series: Vec<Series>,
    /// Connections to measure at, as whole matches of --players
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "100,300,1000,3000,10000", value_parser = clap::value_parser!(u32).range(1..=18_000))]
    pub(crate) connections: Vec<u32>,
    /// Matches to measure at
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub(crate) match_counts: Vec<u32>,
    /// Players of a match where matches grow
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) match_players: u32,
    /// Nobody sends inputs, so that a core carries more
    #[arg(long)]
    pub(crate) silent: bool,
}

impl GrowthFlags {
    /// Players of a match, and the numbers of matches to measure at, from small to large.
    fn steps(&self, series: Series, players: u32) -> (u32, Vec<u32>) {
        let (players, mut matches) = match series {
            Series::Connections => {
                let matches = self.connections.iter().map(|count| (count + players / 2) / players);
                (players, matches.map(|matches| matches.max(1)).collect())
            }
            Series::Matches => (self.match_players, self.match_counts.clone()),
        };
        matches.sort_unstable();
        matches.dedup();
        (players, matches)
    }
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    series: Series,
    players: u32,
    matches: u32,
    outcome: Outcome,
}

/// Measures every system at every size, then again, as often as wanted. Whether everything could be measured.
pub(super) fn grow(
    flags: &GrowthFlags,
    plan: Plan,
    systems: &[System],
    turns: u32,
) -> io::Result<(bool, Report)> {
    let plan = Plan { load: Load { sends_inputs: !flags.silent, ..plan.load }, ..plan };
    let (mut steps, mut complete) = (Vec::new(), true);
    for turn in 1..=turns {
        for series in &flags.series {
            for system in systems {
                let said = format!("{turn}/{turns} {}", system.name());
                if let Err(error) = climb(flags, *series, *system, plan, &said, &mut steps) {
                    complete = false;
                    say(&format!("{said} failed: {error}"));
                }
            }
        }
    }
    Ok((complete, Report::new(plan, steps)))
}

/// Adds matches to one system, size by size.
fn climb(
    flags: &GrowthFlags,
    series: Series,
    system: System,
    plan: Plan,
    said: &str,
    steps: &mut Vec<Step>,
) -> io::Result<()> {
    let (players, sizes) = flags.steps(series, plan.load.players);
    let plan = Plan { load: Load { players, ..plan.load }, ..plan };
    let mut trial = Trial::start(system, plan)?;
    for matches in sizes {
        let outcome = trial.measure(matches)?;
        say(&format!("{said}, {matches} matches of {players}: {}", progress(&outcome)));
        steps.push(Step { series, players, matches, outcome });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        flags: GrowthFlags,
    }

    #[test]
    fn sizes_are_whole_matches_from_small_to_large() {
        let flags = Alone::parse_from(["growth"]).flags;
        let (players, matches) = flags.steps(Series::Connections, 32);
        assert_eq!((players, matches), (32, vec![3, 9, 31, 94, 313]));
        assert_eq!(flags.steps(Series::Matches, 32), (2, vec![1, 10, 100, 1000]));
        let flags = Alone::parse_from(["growth", "--connections", "64,1,32"]).flags;
        assert_eq!(flags.steps(Series::Connections, 64).1, [1], "one match is the least there can be");
    }
}
