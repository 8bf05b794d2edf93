//! What commits cost, as a table and as JSON.

use serde::Serialize;

use super::{Kind, Outcome, Pace};
use crate::load::hands::Style;
use crate::load::redis::Keeps;
use crate::load::report::Machine;
use crate::load::summary::median;
use crate::load::text::{number, plain_table};

/// A comparison.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) task: &'static str,
    pub(super) machine: Machine,
    pub(super) matches: u32,
    pub(super) hands: Style,
    pub(super) tick_rate: u32,
    pub(super) seconds: f64,
    /// What was written.
    pub(super) ticks: Vec<TickSize>,
    /// Medians over all turns.
    pub(super) rows: Vec<Row>,
    /// Each measurement.
    pub(super) outcomes: Vec<Outcome>,
}

/// What a tick consists of, means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct TickSize {
    /// Entities that change.
    pub(super) changed: f64,
    /// Bytes that are published, and kept in the ring.
    pub(super) message_bytes: f64,
    /// Fields written besides those that every commit has, and their bytes with names.
    pub(super) fields_set: f64,
    pub(super) field_bytes: f64,
}

/// A commit beside a PUBLISH.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) changed: u32,
    pub(super) keeps: Keeps,
    pub(super) pace: Pace,
    pub(super) publish: Cost,
    pub(super) commit: Cost,
    /// How often a commit costs what a PUBLISH does: the median of the turns' ratios.
    pub(super) ratio: f64,
    /// Matches whose commits fill one core.
    pub(super) matches_per_core: f64,
}

/// CPU time of Redis for one, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) us: f64,
    pub(super) us_min: f64,
    pub(super) us_max: f64,
    /// How busy Redis was, of one core.
    pub(super) redis_cores: f64,
    pub(super) per_second: f64,
}

/// One row for each size, persistence and pace, in the order in which they came.
pub(super) fn rows(outcomes: &[Outcome], tick_rate: u32) -> Vec<Row> {
    let mut cases: Vec<(Keeps, Pace, u32)> = Vec::new();
    for outcome in outcomes {
        let case = (outcome.keeps, outcome.pace, outcome.changed);
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    cases.into_iter().filter_map(|case| row(outcomes, case, tick_rate)).collect()
}

fn row(outcomes: &[Outcome], (keeps, pace, changed): (Keeps, Pace, u32), tick_rate: u32) -> Option<Row> {
    let of = |kind| {
        let is_of = move |outcome: &&Outcome| {
            (outcome.keeps, outcome.pace, outcome.changed, outcome.kind) == (keeps, pace, changed, kind)
        };
        outcomes.iter().filter(is_of)
    };
    let ratios = of(Kind::Commit).filter_map(|commit| {
        let publish = of(Kind::Publish).find(|publish| publish.turn == commit.turn)?;
        Some(commit.redis_us / publish.redis_us)
    });
    let (publish, commit) = (cost(of(Kind::Publish))?, cost(of(Kind::Commit))?);
    let matches_per_core = 1e6 / (commit.us * f64::from(tick_rate));
    Some(Row { changed, keeps, pace, publish, commit, ratio: median(ratios)?, matches_per_core })
}

fn cost<'a>(outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> Option<Cost> {
    let us = outcomes.clone().map(|outcome| outcome.redis_us);
    Some(Cost {
        us: median(us.clone())?,
        us_min: us.clone().fold(f64::INFINITY, f64::min),
        us_max: us.fold(0.0, f64::max),
        redis_cores: median(outcomes.clone().map(|outcome| outcome.redis_cores))?,
        per_second: median(outcomes.map(|outcome| outcome.per_second))?,
    })
}

impl Report {
    /// For the terminal.
    pub(super) fn text(&self) -> String {
        let header = [
            "changed",
            "Redis keeps",
            "pace",
            "PUBLISH us",
            "min..max",
            "commit us",
            "min..max",
            "ratio",
            "commits/s",
            "Redis cores",
            "matches/core",
        ];
        let cell = |value| number(Some(value), 2);
        let range = |cost: &Cost| format!("{:.1}..{:.1}", cost.us_min, cost.us_max);
        let rows = self.rows.iter().map(|row| {
            let Row { changed, keeps, pace, publish, commit, ratio, matches_per_core } = row;
            let [rate, matches] = [commit.per_second, *matches_per_core].map(|value| number(Some(value), 0));
            let mut cells = vec![changed.to_string(), keeps.name(), pace.name().to_owned()];
            cells.extend([cell(publish.us), range(publish), cell(commit.us), range(commit), cell(*ratio)]);
            cells.extend([rate, cell(commit.redis_cores), matches]);
            cells
        });
        let sizes = self.ticks.iter().map(|tick| {
            let TickSize { changed, message_bytes, fields_set, field_bytes } = tick;
            [changed, message_bytes, fields_set, field_bytes].map(|mean| number(Some(*mean), 1)).into()
        });
        let columns = ["entities changed", "message B", "fields set", "their B"];
        format!("{}\n{}", plain_table(&columns, sizes), plain_table(&header, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_held_against_the_publish_of_its_own_turn() {
        let outcome = |turn, kind, redis_us| Outcome {
            turn,
            kind,
            changed: 32,
            keeps: Keeps::Nothing,
            pace: Pace::Paced,
            redis_us,
            redis_cores: 0.5,
            per_second: 2000.0,
        };
        let turns = [(1, 10.0, 20.0), (2, 20.0, 60.0), (3, 10.0, 40.0)];
        let both = |(turn, publish, commit)| {
            [outcome(turn, Kind::Publish, publish), outcome(turn, Kind::Commit, commit)]
        };
        let outcomes: Vec<Outcome> = turns.into_iter().flat_map(both).collect();
        let rows = rows(&outcomes, 20);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].publish.us, rows[0].commit.us, rows[0].ratio), (10.0, 40.0, 3.0));
        assert_eq!((rows[0].commit.us_min, rows[0].commit.us_max), (20.0, 60.0));
        assert_eq!(rows[0].matches_per_core, 1250.0);
        assert!(super::rows(&outcomes[..1], 20).is_empty(), "no commit was measured");
    }
}
